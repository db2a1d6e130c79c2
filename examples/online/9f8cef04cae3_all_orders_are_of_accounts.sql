-- all orders are of accounts
--
-- Revision ID: 9f8cef04cae3
-- Revises: bf80e33785bb
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-05 09:00:00+00

-- migrate:up
-- A revision of its own: in one transaction with the one before, its locks
-- would be held while all rows are read.
ALTER TABLE orders VALIDATE CONSTRAINT orders_account_id_fkey;

-- migrate:down
-- What is validated stays so; the revision before drops the constraint.
