-- split customer names
--
-- Revision ID: 2d79b4460ea1
-- Revises: e8213cb7f06a
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-02-16 08:20:00+00

-- migrate:up
ALTER TABLE customers ADD COLUMN given_name text, ADD COLUMN family_name text;

-- The last word is taken for the family name.
UPDATE customers
    SET given_name = regexp_replace(name, '\s*\S+$', ''),
        family_name = substring(name FROM '\S+$');

ALTER TABLE customers ALTER COLUMN given_name SET NOT NULL;
ALTER TABLE customers ALTER COLUMN family_name SET NOT NULL;
ALTER TABLE customers DROP COLUMN name;

-- migrate:down
ALTER TABLE customers ADD COLUMN name text;

UPDATE customers SET name = ltrim(given_name || ' ' || family_name);

ALTER TABLE customers ALTER COLUMN name SET NOT NULL;
ALTER TABLE customers DROP COLUMN given_name, DROP COLUMN family_name;
