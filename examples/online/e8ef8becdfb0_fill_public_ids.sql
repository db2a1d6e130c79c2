-- fill public ids
--
-- Revision ID: e8ef8becdfb0
-- Revises: 7ae2607d805a
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-08 09:00:00+00

-- migrate:up transaction:false
-- Batch by batch, each committed, so that rows are locked for a moment only. It
-- looks itself for what is not filled: interrupted, it can be called again,
-- and the answer to migrate.resume() is 'again'.
CREATE PROCEDURE fill_public_ids(batch integer) LANGUAGE plpgsql AS $$
DECLARE
    next bigint;
    last bigint;
BEGIN
    SELECT min(id), max(id) INTO next, last FROM accounts WHERE public_id IS NULL;
    WHILE next <= last LOOP
        UPDATE accounts SET public_id = gen_random_uuid()
            WHERE id >= next AND id < next + batch AND public_id IS NULL;
        COMMIT;
        next := next + batch;
    END LOOP;
END;
$$;

-- migrate:ignore not-repeatable: it can be called again, see above
CALL fill_public_ids(1000);

DROP PROCEDURE fill_public_ids;

-- The old versions of the rows.
VACUUM (ANALYZE) accounts;

-- migrate:down
-- Nothing to do: the revision before drops the column.
