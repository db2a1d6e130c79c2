-- public ids are unique
--
-- Revision ID: cf1cff8d6799
-- Revises: 9216428bd469
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-10 09:00:00+00

-- migrate:up transaction:false
-- migrate:ignore unique-may-fail: gen_random_uuid() does not repeat itself
CREATE UNIQUE INDEX CONCURRENTLY accounts_public_id_key ON accounts (public_id);

-- The constraint takes the index over, and its name.
ALTER TABLE accounts ADD CONSTRAINT accounts_public_id_key
    UNIQUE USING INDEX accounts_public_id_key;

-- migrate:down
ALTER TABLE accounts DROP CONSTRAINT accounts_public_id_key;
