-- customers have an email
--
-- Revision ID: 0003
-- Revises: 0002
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-11-04 09:00:00+00

-- migrate:up
ALTER TABLE customers ADD COLUMN email text;

-- migrate:down
ALTER TABLE customers DROP COLUMN email;
