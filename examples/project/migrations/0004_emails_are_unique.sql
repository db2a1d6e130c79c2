-- emails are unique
--
-- Revision ID: 0004
-- Revises: 0003
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-11-05 09:00:00+00

-- migrate:up transaction:false
CREATE UNIQUE INDEX CONCURRENTLY customers_email ON customers (lower(email));

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY customers_email;
