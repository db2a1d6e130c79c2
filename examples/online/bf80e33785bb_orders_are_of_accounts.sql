-- orders are of accounts
--
-- Revision ID: bf80e33785bb
-- Revises: 1d8d74d8856c
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-04 09:00:00+00

-- migrate:up
-- From now on new rows are checked, old ones not yet: nothing is read, so the
-- locks on both tables are short.
ALTER TABLE orders ADD CONSTRAINT orders_account_id_fkey
    FOREIGN KEY (account_id) REFERENCES accounts NOT VALID;

-- migrate:down
ALTER TABLE orders DROP CONSTRAINT orders_account_id_fkey;
