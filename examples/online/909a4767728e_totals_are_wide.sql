-- totals are wide
--
-- Revision ID: 909a4767728e
-- Revises: 783f7c4922d0
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-15 09:00:00+00

-- migrate:up
-- 3 of 4: the columns change places, and the trigger keeps the old one up, for
-- the way back. So totals must fit both types until the old one is gone.
-- migrate:ignore rename: programs find the name, and either type is right for them
ALTER TABLE orders RENAME COLUMN total_cents TO total_cents_old;
-- migrate:ignore rename: as above
ALTER TABLE orders RENAME COLUMN total_cents_new TO total_cents;

CREATE OR REPLACE FUNCTION orders_copy_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.total_cents_old := NEW.total_cents;
    RETURN NEW;
END;
$$;

-- migrate:down
ALTER TABLE orders RENAME COLUMN total_cents TO total_cents_new;
ALTER TABLE orders RENAME COLUMN total_cents_old TO total_cents;

CREATE OR REPLACE FUNCTION orders_copy_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.total_cents_new := NEW.total_cents;
    RETURN NEW;
END;
$$;
