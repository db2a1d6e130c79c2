-- totals get a wider column
--
-- Revision ID: 1905ac9848ab
-- Revises: 57605ba73ecd
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-13 09:00:00+00

-- migrate:up
-- integer to bigint, 1 of 4: a second column that a trigger keeps up with the
-- first.
ALTER TABLE orders ADD COLUMN total_cents_new bigint;

CREATE FUNCTION orders_copy_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.total_cents_new := NEW.total_cents;
    RETURN NEW;
END;
$$;

CREATE TRIGGER orders_copy_total BEFORE INSERT OR UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION orders_copy_total();

-- migrate:down
DROP TRIGGER orders_copy_total ON orders;
DROP FUNCTION orders_copy_total();
ALTER TABLE orders DROP COLUMN total_cents_new;
