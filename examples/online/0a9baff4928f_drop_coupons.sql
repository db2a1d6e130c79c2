-- drop coupons
--
-- Revision ID: 0a9baff4928f
-- Revises: 149154ff80b7
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-18 09:00:00+00

-- migrate:up
-- migrate:ignore drop-table: nobody has missed the table since it was renamed
DROP TABLE coupons_retired;

-- migrate:down
-- The rows are gone.
CREATE TABLE coupons_retired (
    code text CONSTRAINT coupons_pkey PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT coupons_account_id_fkey REFERENCES accounts
);
