--
-- Installing and dropping the extension: its objects and their owners.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate;
RESET client_min_messages;

-- A schema that exists already is never adopted.
CREATE SCHEMA migrate;
DO $$
BEGIN
	CREATE EXTENSION migrate;
	RAISE 'not refused';
EXCEPTION WHEN duplicate_schema THEN
	RAISE NOTICE '%', SQLERRM;
END $$;
DROP SCHEMA migrate;

-- The extension creates its schema: another one cannot be chosen.
CREATE EXTENSION migrate SCHEMA public;

CREATE EXTENSION migrate;
SELECT extversion, extrelocatable, extowner = current_user::regrole AS mine,
	extnamespace::regnamespace AS schema
FROM pg_extension WHERE extname = 'migrate';

-- The tables.
SELECT relname, relkind, relpersistence, relowner = current_user::regrole AS mine,
	EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary) AS has_key
FROM pg_class c
WHERE relnamespace = 'migrate'::regnamespace AND relkind NOT IN ('i', 'c', 't')
ORDER BY relname COLLATE "C";
SELECT attrelid::regclass AS "table", attname AS "column",
	format_type(atttypid, atttypmod) AS type, attnotnull AS not_null
FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM pg_class
		WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r')
	AND attnum > 0 AND NOT attisdropped
ORDER BY attrelid::regclass::text COLLATE "C", attnum;
SELECT count(*) AS rows FROM (
	SELECT FROM migrate.revisions UNION ALL SELECT FROM migrate.versions UNION ALL
	SELECT FROM migrate.applied UNION ALL SELECT FROM migrate.partial UNION ALL
	SELECT FROM migrate.steps UNION ALL SELECT FROM migrate.models UNION ALL
	SELECT FROM migrate.settings UNION ALL SELECT FROM migrate.revision_data) t;

-- pg_dump dumps the contents of all tables and sequences.
SELECT t.oid::regclass AS dumped, t.condition
FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS t (oid, condition)
WHERE e.extname = 'migrate'
ORDER BY t.oid::regclass::text COLLATE "C";
SELECT c.oid::regclass AS not_dumped
FROM pg_class c
WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'S')
	AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'migrate' AND c.oid = ANY (extconfig));

-- Tables, and functions that write, are closed to PUBLIC; functions that only read
-- can be called by all roles with USAGE on the schema.
SELECT nspacl FROM pg_namespace WHERE nspname = 'migrate';
SELECT c.oid::regclass AS open_to_public
FROM pg_class c
WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r'
	AND has_table_privilege('public', c.oid,
		'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');
SELECT p.oid::regprocedure::text COLLATE "C" AS function,
	has_function_privilege('public', p.oid, 'EXECUTE') AS public,
	p.provolatile AS volatility
FROM pg_proc p
WHERE pronamespace = 'migrate'::regnamespace
ORDER BY 2 DESC, 1;

-- Functions run as their caller and with the caller's settings.
SELECT p.oid::regprocedure AS not_as_the_caller
FROM pg_proc p
WHERE pronamespace = 'migrate'::regnamespace
	AND (prosecdef OR proconfig IS NOT NULL OR proowner <>
		(SELECT extowner FROM pg_extension WHERE extname = 'migrate'));

-- All functions and tables have a comment; the trigger function needs no result.
SELECT p.oid::regprocedure AS unexplained
FROM pg_proc p
WHERE pronamespace = 'migrate'::regnamespace
	AND (coalesce(obj_description(p.oid, 'pg_proc'), '') !~ '\nResult: .'
		OR (pronargs > 0) <> (obj_description(p.oid, 'pg_proc') ~ '\nArguments: .'));
SELECT c.oid::regclass AS unexplained
FROM pg_class c
WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r'
	AND obj_description(c.oid, 'pg_class') IS NULL;

-- Other roles.
CREATE ROLE regress_migrate_reader;
SET ROLE regress_migrate_reader;
\set VERBOSITY sqlstate
SELECT * FROM migrate.current();
SELECT * FROM migrate.revisions;
RESET ROLE;
GRANT USAGE ON SCHEMA migrate TO regress_migrate_reader;
SET ROLE regress_migrate_reader;
SELECT * FROM migrate.revisions;
INSERT INTO migrate.versions VALUES ('a');
SELECT migrate.revision('m');
SELECT migrate.upgrade();
SELECT migrate.configure('revision_ids', 'serial');
SELECT * FROM migrate.current();
SELECT * FROM migrate.heads();
RESET ROLE;
\set VERBOSITY default
REVOKE USAGE ON SCHEMA migrate FROM regress_migrate_reader;

-- Dropping leaves nothing behind.
DROP EXTENSION migrate;
SELECT count(*) FROM pg_namespace WHERE nspname = 'migrate';
SELECT count(*) FROM pg_proc WHERE probin LIKE '%/migrate';

-- A database owner who is not a superuser can install it.
CREATE ROLE regress_migrate_owner;
CREATE DATABASE regress_migrate_db OWNER regress_migrate_owner TEMPLATE template0;
\set database :DBNAME
\connect regress_migrate_db
SET SESSION AUTHORIZATION regress_migrate_reader;
\set VERBOSITY sqlstate
CREATE EXTENSION migrate;
SET SESSION AUTHORIZATION regress_migrate_owner;
\set VERBOSITY default
CREATE EXTENSION migrate;
SELECT extowner::regrole FROM pg_extension WHERE extname = 'migrate';
SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'migrate';
SELECT relname, relowner::regrole
FROM pg_class
WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'S')
ORDER BY relname COLLATE "C";

-- The owner can call all functions and grant EXECUTE on them.
SELECT p.oid::regprocedure AS not_to_grant
FROM pg_proc p
WHERE pronamespace = 'migrate'::regnamespace
	AND NOT has_function_privilege(p.oid, 'EXECUTE WITH GRANT OPTION');
GRANT USAGE ON SCHEMA migrate TO regress_migrate_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA migrate TO regress_migrate_reader;
SELECT migrate.revision('by the owner', 'CREATE TABLE t (a int)', 'DROP TABLE t', rev_id => '0001');
SET SESSION AUTHORIZATION regress_migrate_reader;
SELECT migrate.revision('by another', rev_id => '0002');
SET SESSION AUTHORIZATION regress_migrate_owner;
SELECT revision, created_by, modified_by FROM migrate.revisions ORDER BY revision;
SET migrate.step_messages = off;
SELECT migrate.upgrade();
SELECT migrate.downgrade('base');
DROP EXTENSION migrate;
SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$|public$)';
RESET SESSION AUTHORIZATION;

\connect :database
DROP DATABASE regress_migrate_db;
DROP ROLE regress_migrate_owner;
DROP ROLE regress_migrate_reader;

-- It can be created again; other tests find it installed.
CREATE EXTENSION migrate;
