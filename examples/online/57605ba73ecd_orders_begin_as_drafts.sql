-- orders begin as drafts
--
-- Revision ID: 57605ba73ecd
-- Revises: a4747f8f9e7e
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-12 09:00:00+00

-- migrate:up
ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'draft';

-- migrate:down transaction:false
ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'open';

-- The release before does not know drafts. Can be run again, as above.
DO $$
DECLARE
    next bigint;
    last bigint;
BEGIN
    SELECT min(id), max(id) INTO next, last FROM orders WHERE status = 'draft';
    WHILE next <= last LOOP
        UPDATE orders SET status = 'open'
            WHERE id >= next AND id < next + 1000 AND status = 'draft';
        COMMIT;
        next := next + 1000;
    END LOOP;
END;
$$;
