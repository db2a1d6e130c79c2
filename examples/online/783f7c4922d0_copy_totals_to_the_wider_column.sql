-- copy totals to the wider column
--
-- Revision ID: 783f7c4922d0
-- Revises: 1905ac9848ab
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-14 09:00:00+00

-- migrate:up transaction:false
-- 2 of 4: the rows that were there before the trigger. Can be run again.
-- migrate:ignore not-repeatable: it looks itself for what is left
DO $$
DECLARE
    next bigint;
    last bigint;
BEGIN
    SELECT min(id), max(id) INTO next, last FROM orders WHERE total_cents_new IS NULL;
    WHILE next <= last LOOP
        UPDATE orders SET total_cents_new = total_cents
            WHERE id >= next AND id < next + 1000 AND total_cents_new IS NULL;
        COMMIT;
        next := next + 1000;
    END LOOP;
END;
$$;

ALTER TABLE orders ADD CONSTRAINT orders_total_cents_new_check
    CHECK (total_cents_new IS NOT NULL) NOT VALID;

ALTER TABLE orders VALIDATE CONSTRAINT orders_total_cents_new_check;

BEGIN;
ALTER TABLE orders ALTER COLUMN total_cents_new SET NOT NULL;
ALTER TABLE orders DROP CONSTRAINT orders_total_cents_new_check;
COMMIT;

-- migrate:down
ALTER TABLE orders ALTER COLUMN total_cents_new DROP NOT NULL;
