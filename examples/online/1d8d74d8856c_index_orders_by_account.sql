-- index orders by account
--
-- Revision ID: 1d8d74d8856c
-- Revises: 031c6873c258
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-03 09:00:00+00

-- migrate:up transaction:false
-- Writers go on while it is built.
CREATE INDEX CONCURRENTLY orders_account_id_idx ON orders (account_id);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY orders_account_id_idx;
