-- drop the narrow totals
--
-- Revision ID: 2104a07b82d1
-- Revises: 909a4767728e
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-16 09:00:00+00

-- migrate:up
-- 4 of 4, when nothing uses the old column any more.
DROP TRIGGER orders_copy_total ON orders;
DROP FUNCTION orders_copy_total();
-- migrate:ignore drop-column: total_cents has the same data
ALTER TABLE orders DROP COLUMN total_cents_old;

-- migrate:down transaction:false
-- The way back to 3: the same as the way from 1 to 2.
BEGIN;
ALTER TABLE orders ADD COLUMN total_cents_old integer;

CREATE FUNCTION orders_copy_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.total_cents_old := NEW.total_cents;
    RETURN NEW;
END;
$$;

CREATE TRIGGER orders_copy_total BEFORE INSERT OR UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION orders_copy_total();
COMMIT;

DO $$
DECLARE
    next bigint;
    last bigint;
BEGIN
    SELECT min(id), max(id) INTO next, last FROM orders WHERE total_cents_old IS NULL;
    WHILE next <= last LOOP
        UPDATE orders SET total_cents_old = total_cents
            WHERE id >= next AND id < next + 1000 AND total_cents_old IS NULL;
        COMMIT;
        next := next + 1000;
    END LOOP;
END;
$$;

ALTER TABLE orders ADD CONSTRAINT orders_total_cents_old_check
    CHECK (total_cents_old IS NOT NULL) NOT VALID;

ALTER TABLE orders VALIDATE CONSTRAINT orders_total_cents_old_check;

BEGIN;
ALTER TABLE orders ALTER COLUMN total_cents_old SET NOT NULL;
ALTER TABLE orders DROP CONSTRAINT orders_total_cents_old_check;
COMMIT;
