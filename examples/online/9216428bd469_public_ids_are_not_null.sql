-- public ids are not null
--
-- Revision ID: 9216428bd469
-- Revises: e8ef8becdfb0
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-09 09:00:00+00

-- migrate:up transaction:false
-- SET NOT NULL alone would read the table under a lock that stops everybody.
-- A constraint that is valid spares it that.
ALTER TABLE accounts ADD CONSTRAINT accounts_public_id_check
    CHECK (public_id IS NOT NULL) NOT VALID;

ALTER TABLE accounts VALIDATE CONSTRAINT accounts_public_id_check;

BEGIN;
ALTER TABLE accounts ALTER COLUMN public_id SET NOT NULL;
ALTER TABLE accounts DROP CONSTRAINT accounts_public_id_check;
COMMIT;

-- migrate:down
ALTER TABLE accounts ALTER COLUMN public_id DROP NOT NULL;
