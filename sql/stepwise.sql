-- Runs that commit revision by revision: upgrade_stepwise, downgrade_stepwise,
-- what they leave when they fail, and who has to take notice of it.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate CASCADE;
CREATE EXTENSION migrate;
RESET client_min_messages;
-- the last message of a run has its duration
SET migrate.step_messages = off;

-- What has been done of a script that did not end.
CREATE FUNCTION partial() RETURNS TABLE (revision text, direction text, done text, in_doubt bool,
	intent bool)
LANGUAGE sql AS $$
	SELECT p.revision, p.direction, p.statements_done || '/' || p.statements, p.in_doubt,
		p.intent IS NOT NULL
	FROM migrate.partial p ORDER BY 1
$$;

-- ------------------------------------------------------- both kinds mixed ----

SELECT migrate.revision('items', 'CREATE TABLE items (id int, name text);
INSERT INTO items SELECT g, ''item '' || g FROM generate_series(1, 100) g;',
	'DROP TABLE items', '0001');
SELECT migrate.revision('indexes', $$
SET search_path = public, pg_temp;
CREATE INDEX CONCURRENTLY items_id ON items (id);
CREATE INDEX CONCURRENTLY ON items (name);
BEGIN;
INSERT INTO items VALUES (101, 'grouped');
INSERT INTO items VALUES (102, 'grouped');
COMMIT;
VACUUM items;
REINDEX TABLE CONCURRENTLY items;
DO $do$ BEGIN
	FOR i IN 1..3 LOOP UPDATE items SET name = 'batch' WHERE id = i; COMMIT; END LOOP;
END $do$;
$$, $$
DROP INDEX CONCURRENTLY items_id;
DROP INDEX CONCURRENTLY items_name_idx;
DELETE FROM items WHERE id > 100;
$$, '0002', transactional => false);
SELECT migrate.revision('mood', 'CREATE TYPE mood AS ENUM (''sad'')', 'DROP TYPE mood', '0003');
SELECT migrate.revision('a value and its use', $$
ALTER TYPE mood ADD VALUE 'happy';
CREATE TABLE moods (m mood DEFAULT 'happy')
$$, 'DROP TABLE moods', '0004', transactional => false);

-- Not in one transaction,
SELECT migrate.upgrade();
-- and not inside of one.
BEGIN;
CALL migrate.upgrade_stepwise();
ROLLBACK;
DO $$ BEGIN CALL migrate.upgrade_stepwise(); END $$;
CREATE PROCEDURE calls() LANGUAGE plpgsql AS $$ BEGIN CALL migrate.upgrade_stepwise(); END $$;
CALL calls();
DROP PROCEDURE calls;
SELECT migrate.upgrade_stepwise();
CALL migrate.upgrade_stepwise(NULL);
CALL migrate.upgrade_stepwise('nonsense');

CALL migrate.upgrade_stepwise();
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'items'::regclass ORDER BY 1;
SELECT count(*), count(*) FILTER (WHERE name = 'batch') FROM items;
SELECT operation, revision, versions_before, versions_after FROM migrate.log ORDER BY id;
SELECT count(*) FROM migrate.applied JOIN migrate.revisions USING (revision, checksum);
SELECT * FROM partial();
SELECT count(*) FROM migrate.progress;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SHOW search_path;

CALL migrate.upgrade_stepwise();
CALL migrate.downgrade_stepwise('0002');
CALL migrate.downgrade_stepwise('base');
SELECT to_regclass('items') IS NULL AS gone, to_regtype('mood') IS NULL AS gone_too;
CALL migrate.downgrade_stepwise('-1');

-- A transactional plan goes either way.
SELECT migrate.upgrade('0001');
CALL migrate.downgrade_stepwise('-1');
CALL migrate.upgrade_stepwise('0001');
SELECT migrate.downgrade('base');

-- ---------------------------------------------------- an error in the middle ----

SELECT migrate.edit('0002', upgrade => $$
INSERT INTO items VALUES (1, 'twice');
SET search_path = pg_catalog;
SET work_mem = '77kB';
CREATE UNIQUE INDEX CONCURRENTLY items_id ON public.items (id);
CREATE TABLE public.after (work_mem text DEFAULT current_setting('work_mem'));
INSERT INTO public.after DEFAULT VALUES;
$$);
CALL migrate.upgrade_stepwise('0002');
SELECT * FROM partial();
-- the settings are the session's own again
SHOW search_path;
SHOW work_mem;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
-- the build left an invalid index
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'items'::regclass;

-- Which functions report it, and which are refused.
SELECT migrate.current();
SELECT migrate.pending('0002');
SELECT migrate.check();
SELECT revision, state FROM migrate.status WHERE revision = '0002';
SELECT migrate.upgrade();
SELECT migrate.upgrade('0001');
SELECT migrate.downgrade('base');
SELECT migrate.drop('0004');
CALL migrate.downgrade_stepwise('base');
SELECT migrate.resume('0002', 'again');
SELECT migrate.resume('0001', 'again');
SELECT migrate.resume('0002', 'perhaps');
SELECT migrate.resume('0002', NULL);

-- Completed statements cannot be edited, nor can the script become of another kind.
SELECT migrate.edit('0002', upgrade => 'SELECT 1');
SELECT migrate.edit('0002', upgrade => $$
INSERT INTO items VALUES (1, 'thrice');
SET search_path = pg_catalog;
SET work_mem = '77kB';
CREATE UNIQUE INDEX CONCURRENTLY items_id ON public.items (id);
$$);
SELECT migrate.edit('0002', transactional => true, downgrade => '', upgrade => $$
INSERT INTO items VALUES (1, 'twice');
SET search_path = pg_catalog;
SET work_mem = '77kB';
$$);
SELECT migrate.load(replace(migrate.export('0002'), 'Revises: 0001', 'Revises:'));
SELECT migrate.load(replace(migrate.export('0002'), '''twice''', '''once'''));
-- What is not done can; comments, white space and line ends do not count.
SELECT migrate.edit('0002', upgrade => E'-- a comment\r\nINSERT INTO items VALUES (1,'
	' ''twice'');\r\n'
	'SET search_path = pg_catalog; /* two */ SET work_mem = ''77kB'';\n'
	'DELETE FROM public.items WHERE name = ''twice'';\n'
	'CREATE UNIQUE INDEX CONCURRENTLY items_id ON public.items (id);\n'
	'CREATE TABLE public.after (work_mem text DEFAULT current_setting(''work_mem''), path text'
		' DEFAULT current_setting(''search_path''));\n'
	'INSERT INTO public.after DEFAULT VALUES;\n');
-- Going on: the leftover goes first, what was SET is set again.
CALL migrate.upgrade_stepwise('0002');
SELECT * FROM public.after;
SELECT indexrelid::regclass, indisvalid, indisunique FROM pg_index
	WHERE indrelid = 'items'::regclass;
SELECT * FROM partial();
SHOW search_path;
SHOW work_mem;
SELECT migrate.check(models => false);

-- ---------------------------------------------------- a half-done downgrade ----

SELECT migrate.edit('0002', downgrade => $$
DROP TABLE public.after;
DROP INDEX CONCURRENTLY nosuch_index;
SELECT 1 / 0;
$$);
CALL migrate.downgrade_stepwise('0001');
SELECT * FROM partial();
-- nothing is pending, and yet not all is well
SELECT migrate.upgrade('0002');
CALL migrate.upgrade_stepwise('0002');
SELECT migrate.check(models => false);
-- The statement that failed is not in doubt and may be taken out.
SELECT migrate.edit('0002', downgrade => 'DROP TABLE public.after; SELECT 1 / 0');
CALL migrate.downgrade_stepwise('0001');
SELECT * FROM partial();
-- A stamp settles it.
SELECT migrate.stamp('0001');
SELECT * FROM partial();
DROP INDEX items_id;

-- ------------------------------------------------------------ stamp and purge ----

SELECT migrate.edit('0002', upgrade => 'SELECT 1; SELECT 1 / 0');
CALL migrate.upgrade_stepwise('0002');
-- no script for psql can begin here either
SELECT migrate.upgrade_sql('0002');
SELECT migrate.upgrade_sql('0001:0002') ~ 'migrate.begin_script';
SELECT migrate.begin_script('upgrade', '{0001}', '{}');
SELECT migrate.stamp('0002');
SELECT * FROM partial();
SELECT migrate.stamp('0001');
CALL migrate.upgrade_stepwise('0002');
SELECT migrate.record('upgrade', '0002');
SELECT * FROM partial();
SELECT migrate.stamp('0001');
CALL migrate.upgrade_stepwise('0002');
-- a stamp of what it is not about leaves it
SELECT migrate.stamp('0001');
SELECT * FROM partial();
SELECT migrate.stamp('0001', purge => true);
SELECT * FROM partial();

-- ---------------------------------------------------------------- in doubt ----

-- A procedure that commits a part and fails.
CREATE PROCEDURE batches(fail bool) LANGUAGE plpgsql AS $$
BEGIN
	UPDATE items SET name = name || '!' WHERE id = 1;
	COMMIT;
	UPDATE items SET name = name || '!' WHERE id = 2;
	IF fail THEN
		PERFORM 1 / 0;
	END IF;
END $$;
SELECT migrate.edit('0002', upgrade => 'UPDATE items SET name = ''x'' WHERE id < 3; CALL'
	' batches(true); SELECT ''end''');
CALL migrate.upgrade_stepwise('0002');
SELECT id, name FROM items WHERE id < 3 ORDER BY 1;
SELECT * FROM partial();
-- the detail says since when
\set VERBOSITY terse
CALL migrate.upgrade_stepwise('0002');
\set VERBOSITY default
SELECT migrate.check();
SELECT migrate.pending('0002');
-- what is in doubt cannot be edited
SELECT migrate.edit('0002', upgrade => 'UPDATE items SET name = ''x'' WHERE id < 3; CALL'
	' batches(false); SELECT ''end''');
SELECT migrate.edit('0002', upgrade => 'UPDATE items SET name = ''x'' WHERE id < 3; CALL'
	' batches(true); SELECT ''another end''');
SELECT migrate.resume('0002', 'again');
SELECT * FROM partial();
SELECT migrate.edit('0002', upgrade => 'UPDATE items SET name = ''x'' WHERE id < 3; CALL'
	' batches(false); SELECT ''end''');
CALL migrate.upgrade_stepwise('0002');
SELECT id, name FROM items WHERE id < 3 ORDER BY 1;
SELECT * FROM partial();

-- One that fails before it commits is not in doubt.
SELECT migrate.stamp('0001');
SELECT migrate.edit('0002', upgrade => 'DO $$ BEGIN PERFORM 1 / 0; COMMIT; END $$');
CALL migrate.upgrade_stepwise('0002');
SELECT * FROM partial();
SELECT migrate.edit('0002', upgrade => 'CALL batches(false)');
CALL migrate.upgrade_stepwise('0002');
SELECT id, name FROM items WHERE id < 3 ORDER BY 1;
-- fails before it has done anything: not begun at all
SELECT migrate.stamp('0001');
SELECT migrate.edit('0002', upgrade => 'CALL batches(1 / 0 > 0)');
CALL migrate.upgrade_stepwise('0002');
SELECT * FROM partial();

-- but not when an earlier call had committed a part of it
SELECT migrate.edit('0002', upgrade => 'CALL batches(true)');
CALL migrate.upgrade_stepwise('0002');
SELECT migrate.resume('0002', 'again');
SELECT migrate.edit('0002', upgrade => 'CALL batches(1 / 0 > 0)');
CALL migrate.upgrade_stepwise('0002');
SELECT * FROM partial();
SELECT migrate.stamp('0001', purge => true);
UPDATE items SET name = rtrim(name, '!') || '!!!' WHERE id = 1;

-- A crash in a procedure: done is done, also at the end of the script.
SELECT migrate.stamp('0001');
SELECT migrate.edit('0002', upgrade => 'CALL batches(true)');
CALL migrate.upgrade_stepwise('0002');
SELECT migrate.resume('0002', 'done');
SELECT * FROM partial();
SELECT migrate.resume('0002', 'done');
CALL migrate.upgrade_stepwise('0002');
SELECT id, name FROM items WHERE id < 3 ORDER BY 1;
SELECT migrate.current();

-- --------------------------------------------------- what the intent decides ----

-- The rows that a crash leaves, made by hand: an intent without an end.
CREATE FUNCTION crashed(script text, indexes oid[] DEFAULT '{}', object oid DEFAULT 0)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM migrate.stamp('0001', purge => true);
	PERFORM migrate.edit('0002', upgrade => script);
	INSERT INTO migrate.partial (revision, direction, statements, statements_done, digest, in_doubt,
		started_at, intent, intent_statement, intent_object, intent_relations, intent_indexes,
		intent_database)
	SELECT '0002', 'upgrade', 1, 0, '', true, now(),
		encode(sha256(convert_to(E'\n' || script, 'UTF8')), 'hex'), script, object,
		ARRAY['items'::regclass::oid], indexes,
		system_identifier || '/' || 'migrate.partial'::regclass::oid FROM pg_control_system();
END $$;
-- the build had ended
CREATE INDEX items_name ON items (name);
SELECT crashed('CREATE INDEX CONCURRENTLY items_name ON items (name)');
CALL migrate.upgrade_stepwise('0002');
-- another index has its name: it is not what the statement makes
SELECT crashed('CREATE INDEX CONCURRENTLY items_name ON items (lower(name))');
CALL migrate.upgrade_stepwise('0002');
-- an unnamed one is recognized too, by what it is
ALTER INDEX items_name RENAME TO items_name_idx;
SELECT crashed('CREATE INDEX CONCURRENTLY ON items (name ASC)');
CALL migrate.upgrade_stepwise('0002');
-- it was there before
SELECT crashed('CREATE INDEX CONCURRENTLY ON items (name ASC)',
	ARRAY['items_name_idx'::regclass::oid]);
CALL migrate.upgrade_stepwise('0002');
DROP INDEX items_name_idx1;
-- another one is there
SELECT crashed('CREATE INDEX CONCURRENTLY ON items (lower(name))');
CALL migrate.upgrade_stepwise('0002');
DROP INDEX items_lower_idx;
-- it was not dropped; it was; there was none
SELECT 'items_name_idx'::regclass::oid AS index \gset
SELECT crashed('DROP INDEX CONCURRENTLY items_name_idx', object => :index);
CALL migrate.upgrade_stepwise('0002');
SELECT crashed('DROP INDEX CONCURRENTLY items_name_idx', object => :index);
CALL migrate.upgrade_stepwise('0002');
SELECT crashed('DROP INDEX CONCURRENTLY items_name_idx');
CALL migrate.upgrade_stepwise('0002');
-- harmless to repeat
SELECT crashed('VACUUM items');
CALL migrate.upgrade_stepwise('0002');

-- An invalid index that was there before is the user's: it stays, and IF NOT
-- EXISTS over it is not done.
INSERT INTO items VALUES (5, 'twice');
\set VERBOSITY terse
CREATE UNIQUE INDEX CONCURRENTLY items_unique ON items (id);
\set VERBOSITY default
SELECT migrate.stamp('0001', purge => true);
SELECT migrate.edit('0002', upgrade => 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS items_unique'
	' ON items (id)');
CALL migrate.upgrade_stepwise('0002');
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'items'::regclass;
-- Nor is one removed in a restored database, where the intent's OIDs mean nothing.
SELECT crashed('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS items_unique ON items (id)');
UPDATE migrate.partial SET intent_database = '1/1';
CALL migrate.upgrade_stepwise('0002');
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'items'::regclass;
-- Only with the intent's list can it be told from a leftover.
SELECT crashed('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS items_unique ON items (id)');
DELETE FROM items WHERE name = 'twice';
CALL migrate.upgrade_stepwise('0002');
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'items'::regclass;

-- ------------------------------------------------------- what a script may do ----

SELECT migrate.stamp('0001', purge => true);
-- it cannot be called from within, nor lose the lock
SELECT migrate.edit('0002', upgrade => 'CALL migrate.upgrade_stepwise()');
CALL migrate.upgrade_stepwise('0002');
SELECT migrate.edit('0002', upgrade => 'SELECT pg_advisory_unlock_all(); CREATE TABLE not_made ()');
CALL migrate.upgrade_stepwise('0002');
SELECT to_regclass('not_made') IS NULL AS not_made;
SELECT * FROM partial();
-- a deferred constraint fails at the commit of its piece
SELECT migrate.edit('0002', upgrade => 'CREATE TABLE d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO d VALUES (1), (1)');
CALL migrate.upgrade_stepwise('0002');
SELECT * FROM partial();
-- statement_timeout counts for each statement
SELECT migrate.edit('0002', upgrade => 'CREATE TABLE d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);
SET statement_timeout = ''500ms'';
SELECT pg_sleep(0.3); SELECT pg_sleep(0.3); SELECT pg_sleep(10)');
CALL migrate.upgrade_stepwise('0002');
SELECT * FROM partial();
SHOW statement_timeout;
SELECT migrate.stamp('0001', purge => true);
DROP TABLE d;
-- what needs a transaction block and has none has no effect: a warning, as in psql
SELECT migrate.edit('0002', upgrade => 'SET LOCAL work_mem = 64;
SET CONSTRAINTS ALL DEFERRED; SET TRANSACTION READ ONLY; SET SESSION CHARACTERISTICS AS
TRANSACTION READ WRITE; BEGIN; SET LOCAL work_mem = 64; LOCK TABLE items; COMMIT');
CALL migrate.upgrade_stepwise('0002');
SELECT migrate.stamp('0001');
-- or an error, where such a script was put into the table
UPDATE migrate.revisions SET upgrade_sql = E'SELECT 1;\nLOCK TABLE items' WHERE revision = '0002';
CALL migrate.upgrade_stepwise('0002');
SELECT migrate.stamp('0001', purge => true);
-- empty
SELECT migrate.edit('0002', upgrade => '');
CALL migrate.upgrade_stepwise('0002');
SELECT migrate.stamp('0001');
SELECT migrate.edit('0002', upgrade => 'BEGIN; COMMIT; -- nothing');
CALL migrate.upgrade_stepwise('0002');
-- what a procedure wants to say is thrown away; INOUT arguments too
CREATE PROCEDURE increment(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; COMMIT; END $$;
SELECT migrate.stamp('0001');
SELECT migrate.edit('0002', upgrade => 'CALL increment(1); SELECT 1');
CALL migrate.upgrade_stepwise('0002');

-- ------------------------------------------------- what commits by itself, all ----

SELECT migrate.revision('parts', $$
CREATE TABLE parts (a int, b int);
CREATE INDEX parts_b ON parts (b);
INSERT INTO parts SELECT g % 10, g FROM generate_series(1, 100) g;
CREATE SCHEMA regress_migrate_parts;
CREATE MATERIALIZED VIEW parts_view AS SELECT DISTINCT a FROM parts;
CREATE UNIQUE INDEX ON parts_view (a)
$$, 'DROP MATERIALIZED VIEW parts_view; DROP TABLE parts; DROP SCHEMA regress_migrate_parts',
	'0005', head => 'base');
SELECT migrate.revision('all', format($$
REINDEX TABLE parts;
REINDEX INDEX parts_b;
REINDEX TABLE CONCURRENTLY parts;
REINDEX SCHEMA regress_migrate_parts;
REINDEX DATABASE %I;
CLUSTER;
VACUUM (ANALYZE) parts;
REFRESH MATERIALIZED VIEW CONCURRENTLY parts_view;
ALTER SYSTEM SET work_mem = '5MB';
ALTER SYSTEM RESET work_mem;
CREATE DATABASE regress_migrate_database;
ALTER DATABASE regress_migrate_database SET TABLESPACE pg_default;
DROP DATABASE regress_migrate_database;
DROP INDEX CONCURRENTLY IF EXISTS nosuch_index;
$$, current_database()), 'SELECT 1', '0006', head => '0005', transactional => false);
CALL migrate.upgrade_stepwise('0006');
SELECT count(*) FROM pg_index WHERE NOT indisvalid;
CALL migrate.downgrade_stepwise('0005@base');
SELECT to_regclass('parts') IS NULL AS gone;

-- ------------------------------------------------------------------- settings ----

SHOW migrate.lock_timeout;
SHOW migrate.lock_retries;
SHOW migrate.concurrent_lock_timeout;
SET migrate.lock_retries = -1;
CALL migrate.downgrade_stepwise('0001');
SET migrate.step_messages = notice;
CALL migrate.downgrade_stepwise('0001');

-- ---------------------------------------------------------- the hint to stamp ----

-- It is there for the first statement of the first script, and not once
-- something is done.
SET migrate.step_messages = off;
SELECT migrate.stamp('base', purge => true);
SELECT migrate.revision('first', 'CREATE TABLE items ()', 'SELECT 1', '0007', 'base',
	transactional => false);
CALL migrate.upgrade_stepwise('0007');
SELECT migrate.edit('0007', upgrade => 'SELECT 1; CREATE TABLE items ()');
CALL migrate.upgrade_stepwise('0007');
CALL migrate.upgrade_stepwise('0007');

SET client_min_messages = warning;
DROP EXTENSION migrate CASCADE;
DROP TABLE items;
DROP TYPE IF EXISTS mood;
DROP PROCEDURE batches, increment;
DROP FUNCTION partial, crashed;
