-- orders have a currency
--
-- Revision ID: 8f5b94b4d01e
-- Revises: 9f8cef04cae3
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-06 09:00:00+00

-- migrate:up
-- A constant default is stored once, not in each row, and so is NOT NULL: no
-- row is read or written.
ALTER TABLE orders ADD COLUMN currency text NOT NULL DEFAULT 'EUR';

-- migrate:down
ALTER TABLE orders DROP COLUMN currency;
