-- accounts have a public id
--
-- Revision ID: 7ae2607d805a
-- Revises: 8f5b94b4d01e
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-07 09:00:00+00

-- migrate:up
-- Two commands: ADD COLUMN with a default that is not constant would write all
-- rows under a lock. This way only new rows get it; the next revision fills
-- the others.
ALTER TABLE accounts ADD COLUMN public_id uuid;
ALTER TABLE accounts ALTER COLUMN public_id SET DEFAULT gen_random_uuid();

-- migrate:down
ALTER TABLE accounts DROP COLUMN public_id;
