--
-- Errors in scripts: messages, and the position that they point to.
--
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate CASCADE;
CREATE EXTENSION migrate;
RESET client_min_messages;
SET migrate.step_messages = off;

-- psql shows message, detail, hint, query and context; show the SQLSTATE, too
CREATE FUNCTION sqlstate_of(sql text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE sql;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;

-- one revision whose upgrade script is changed for each case
SELECT migrate.revision('case', '', '', rev_id => '0001');
CREATE FUNCTION script(sql text) RETURNS void
LANGUAGE sql AS $$ SELECT migrate.edit('0001', upgrade => sql) $$;

-- a statement that cannot be analyzed
SELECT script($$
-- a comment
CREATE TABLE a (id int);

CREATE TABLE b (
	id int,
	c no_such_type
);
$$);
SELECT migrate.upgrade();
SELECT sqlstate_of('SELECT migrate.upgrade()');
SELECT count(*) FROM pg_class WHERE relname = 'a';

-- one that fails at run time: no position
SELECT script($$CREATE TABLE a (id int PRIMARY KEY);
INSERT INTO a VALUES (1);
/* two
   lines */ INSERT INTO a
	VALUES (1);
$$);
SELECT migrate.upgrade();

-- multibyte text before the position
SELECT script($$SELECT 'äöü€', no_such_column;$$);
SELECT migrate.upgrade();

-- in a PL/pgSQL block: at run time, in one of its queries, at compilation
SELECT script($$CREATE TABLE a (id int);

DO LANGUAGE plpgsql $body$
DECLARE
	n int := 0;
BEGIN
	n := 1;
	RAISE EXCEPTION 'broken' USING DETAIL = 'a detail', HINT = 'a hint', ERRCODE = 'XY123';
END
$body$;
$$);
SELECT migrate.upgrade();
SELECT sqlstate_of('SELECT migrate.upgrade()');
SELECT script($$
DO $body$
BEGIN
	PERFORM 1;
	PERFORM no_such_column;
END
$body$;
$$);
SELECT migrate.upgrade();
SELECT script($$SELECT 1;
DO $$ || '$body$' || $$
BEGIN
	PERFORM 1;
	nonsense here;
END
$body$;
$$);
SELECT migrate.upgrade();

-- in a function body: when the function is created, and when it is called
SELECT script($$SELECT 1;
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$
BEGIN
	RETURN 1;
	oops;
END
$body$;
$$);
SELECT migrate.upgrade();
SELECT script($$SELECT 1;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $body$
	SELECT 1
	FROM no_such_table
$body$;
$$);
SELECT migrate.upgrade();
SELECT script($$
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$
BEGIN
	RAISE EXCEPTION 'in f';
	RETURN 1;
END
$body$;

SELECT f();
$$);
SELECT migrate.upgrade();

-- in a trigger
SELECT script($$
CREATE TABLE a (id int);
CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
	RAISE EXCEPTION 'not this row';
END
$body$;
CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION tr();
INSERT INTO a VALUES (1);
$$);
SELECT migrate.upgrade();

-- nested: a DO in a function called by a DO
SELECT script($$
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN


	DO 'BEGIN PERFORM 1/0; END';
END
$body$;
DO $body$
BEGIN
	PERFORM f();
END
$body$;
$$);
SELECT migrate.upgrade();

-- a long statement: at most 8 kB around the position are quoted
SELECT script('SELECT 1;' || E'\nSELECT ARRAY[' || repeat('12345, ', 3000) || 'nowhere, '
	|| repeat('12345, ', 3000) || '1];');
DO $$
DECLARE
	context text;
BEGIN
	PERFORM migrate.upgrade();
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
	RAISE NOTICE '% %', SQLERRM, split_part(context, E'\n', 1);
END
$$;

-- errors that the script itself catches leave no context on its messages
SELECT script($$
DO $body$
BEGIN
	PERFORM 1/0;
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE 'caught: %', SQLERRM;
	RAISE WARNING 'a warning';
END
$body$;
$$);
SELECT migrate.upgrade();
SELECT migrate.downgrade('base');

-- hints
SELECT migrate.edit('0001', upgrade => 'CREATE TYPE mood AS ENUM (''a'');');
SELECT migrate.revision('a value and its use', $$ALTER TYPE mood ADD VALUE 'b'; SELECT 'b'::mood;$$,
	rev_id => '0002');
SELECT migrate.upgrade('0001');
SELECT migrate.upgrade();
SELECT sqlstate_of('SELECT migrate.upgrade()');
SELECT migrate.edit('0002', upgrade => $$
CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
INSERT INTO b VALUES (1);
ALTER TABLE b ADD c int;$$);
SELECT migrate.upgrade();
SELECT sqlstate_of('SELECT migrate.upgrade()');
SELECT migrate.edit('0002', upgrade => $$
CREATE PROCEDURE p() LANGUAGE plpgsql AS $p$ BEGIN COMMIT; END $p$;
CALL p();$$);
SELECT migrate.upgrade();
SELECT sqlstate_of('SELECT migrate.upgrade()');
SELECT migrate.edit('0002',
	upgrade => 'CREATE TABLE pg_class (id int); CREATE TABLE pg_class (id int);');
SELECT migrate.upgrade();
SELECT migrate.downgrade('base');
CREATE TYPE mood AS ENUM ('x');
SELECT migrate.upgrade('0001');
SELECT sqlstate_of('SELECT migrate.upgrade(''0001'')');

-- variables of psql and others, which nobody replaces
\set name nothing
SELECT script($$SELECT 1;
CREATE TABLE $$ || ':na' || $$me (id int);$$);
SELECT script('SELECT ' || ':' || '''name''');
SELECT script('SELECT ' || ':' || '"name"');
SELECT script('SELECT * FROM ${schema}.t');
SELECT script('SELECT * FROM $schema.t');
SELECT script('SELECT {{ name }}');
-- none
SELECT script('SELECT 1 : 2');
SELECT script('SELECT a::');
SELECT script('SELECT 1 :');
SELECT script('SELECT { 1 }');
SELECT script('SELECT $name$ abc');

-- to stamp is no help where what exists is of another origin
CREATE TABLE old (id int);
CREATE SCHEMA old_schema;
CREATE TEMP TABLE old_temporary (id int);
CREATE ROLE regress_migrate_old;
CREATE FUNCTION hint_of(first text, second text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	PERFORM migrate.edit('0001', upgrade => first), migrate.edit('0002', upgrade => second);
	PERFORM migrate.upgrade();
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || hint;
END $$;
SELECT e.first, e.second, hint_of(e.first, e.second) FROM (VALUES
	('CREATE TABLE old ()', ''),
	('SET work_mem = 64; CREATE TABLE IF NOT EXISTS old (); CREATE TABLE old AS SELECT 1', ''),
	('SELECT 1 AS a INTO old', ''),
	('ALTER TABLE old ADD id int', ''),
	('CREATE SCHEMA old_schema', ''),
	('CREATE SCHEMA public', ''),
	('CREATE TABLE new (); CREATE TABLE old ()', ''),
	('CREATE TABLE new (); CREATE TABLE new ()', ''),
	('CREATE TABLE new ()', 'CREATE TABLE new ()'),
	('CREATE TABLE new ()', 'CREATE TABLE old ()'),
	('', 'CREATE TABLE old ()'),
	('CREATE TEMP TABLE old_temporary (id int)', ''),
	('CREATE TABLE pg_temp.old_temporary (id int)', ''),
	('SELECT 1 AS a INTO TEMP new', 'CREATE TEMP TABLE new ON COMMIT DROP AS SELECT 2 AS a'),
	('CREATE ROLE regress_migrate_old', ''),
	('CREATE EXTENSION migrate', ''),
	($$DO 'BEGIN CREATE TABLE old (); END'$$, '')) AS e (first, second);
DROP TABLE old, old_temporary;
DROP SCHEMA old_schema;
DROP ROLE regress_migrate_old;
DROP FUNCTION hint_of;
DROP TYPE mood;

-- a script cannot call functions that write, but those that only read
SELECT migrate.edit('0001', upgrade => $$DO 'BEGIN PERFORM migrate.upgrade(''0002''); END';$$);
SELECT migrate.upgrade('0001');
SELECT sqlstate_of('SELECT migrate.upgrade(''0001'')');
SELECT migrate.edit('0001', upgrade => $$SELECT migrate.stamp('0002');$$);
SELECT migrate.upgrade('0001');
SELECT migrate.edit('0001', upgrade => $$SELECT migrate.revision('x');$$);
SELECT migrate.upgrade('0001');
SELECT migrate.edit('0001', upgrade => $$SELECT migrate.configure('revision_ids', 'serial');$$);
SELECT migrate.upgrade('0001');
SELECT migrate.edit('0001', upgrade => $$SELECT migrate.load('x', 'y');$$);
SELECT migrate.upgrade('0001');
SELECT migrate.edit('0001', upgrade => $$CREATE TABLE seen AS SELECT r FROM migrate.pending() r;$$,
	downgrade => 'DROP TABLE seen');
SELECT migrate.upgrade('0001');
SELECT * FROM seen;
SELECT migrate.downgrade('base');
-- an error that the caller catches changes nothing
DO $$
BEGIN
	BEGIN
		PERFORM migrate.upgrade('0002');
	EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE '%: %', SQLSTATE, SQLERRM;
	END;
	PERFORM migrate.upgrade('0001');
END
$$;
SELECT migrate.current();

-- refused before anything runs
SELECT migrate.edit('0002', upgrade => '');
SELECT migrate.upgrade();
SELECT migrate.edit('0001', irreversible => true);
SELECT migrate.downgrade('base');
SELECT sqlstate_of('SELECT migrate.downgrade(''base'')');
SELECT migrate.current();
SELECT migrate.revision('indexes', 'CREATE INDEX CONCURRENTLY i ON seen (r);', 'DROP INDEX i;',
	rev_id => '0003', transactional => false);
SELECT migrate.upgrade();
SELECT sqlstate_of('SELECT migrate.upgrade()');
UPDATE migrate.revisions SET upgrade_sql = 'SELECT 1' WHERE revision = '0001';
SELECT migrate.upgrade();
SELECT migrate.downgrade('-1');
SELECT sqlstate_of('SELECT migrate.upgrade()');
SELECT migrate.stamp(ARRAY(SELECT migrate.current()), purge => true);
SELECT migrate.downgrade('-1');
-- in a read-only transaction: reading works, and so does a move with nothing to do
BEGIN READ ONLY;
SELECT migrate.current();
SELECT migrate.pending('0002');
SELECT migrate.upgrade('0001');
SELECT migrate.upgrade('0002');
ROLLBACK;
BEGIN READ ONLY;
SELECT migrate.revision('x');
ROLLBACK;
DROP TABLE seen;
DROP EXTENSION migrate;
DROP FUNCTION sqlstate_of, script;
