--
-- Models: declaring them, comparing the database with them.
--
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate CASCADE;
CREATE EXTENSION migrate;
CREATE SCHEMA models_a;
SELECT migrate.configure('managed_schemas', 'models_a');

-- none yet
SELECT migrate.compare();
SELECT migrate.schema_sql('models');
SELECT migrate.schema_sql('nothing');
SELECT migrate.compare('nothing');
SELECT migrate.create_all();
SELECT migrate.compare(NULL);
SELECT migrate.drop_model('none');
SELECT migrate.set_model(NULL);
SELECT migrate.set_model('CREATE TABLE t ();', '');
SELECT migrate.set_model('CREATE TABEL t ();');
SELECT migrate.set_model('CREATE TABLE t (); ROLLBACK;');

-- models are run by ordinal, then name; one can be replaced
SELECT migrate.set_model('CREATE TABLE models_a.b (a int REFERENCES models_a.a);', 'b', 2);
SELECT migrate.set_model('CREATE TABLE models_a.a (id int PRIMARY KEY);', 'z', 1);
SELECT migrate.set_model('CREATE VIEW models_a.v AS SELECT 1 AS one;', 'a', 2);
SELECT migrate.set_model('CREATE VIEW models_a.v AS SELECT 2 AS two;', 'a');
SELECT migrate.set_model('COMMENT ON VIEW models_a.v IS ''it''''s "two"'';', 'last');
SELECT name, ordinal, ddl FROM migrate.models ORDER BY ordinal, name;
SELECT action, object_type, object_identity, detail FROM migrate.compare();
\pset format unaligned
\pset tuples_only
SELECT migrate.schema_sql('models');
\pset format aligned
\pset tuples_only
SELECT migrate.check();

-- what schema_sql gives makes the models
SELECT migrate.schema_sql('models') AS script \gset
BEGIN;
DROP SCHEMA models_a;
:script
RESET search_path;
RESET check_function_bodies;
SELECT migrate.compare();
ROLLBACK;

-- an existing schema: what differs, in which property
CREATE TABLE models_a.a (id bigint PRIMARY KEY, note text COLLATE "C" DEFAULT 'x',
	CHECK (note <> ''));
CREATE TABLE models_a.b (a bigint);
CREATE INDEX b_a ON models_a.b (a) WITH (fillfactor = 70) WHERE a > 0;
CREATE TABLE models_a.gone (id int PRIMARY KEY, a bigint REFERENCES models_a.a);
CREATE VIEW models_a.v AS SELECT 2 AS two;
SELECT action, object_type, object_identity, detail FROM migrate.compare();
-- what would be done about it, and how that would be undone
\pset format unaligned
\pset tuples_only
SELECT object_identity, upgrade_sql, downgrade_sql, hazard FROM migrate.compare();
\pset format aligned
\pset tuples_only
\set VERBOSITY default
SELECT migrate.check();
SELECT migrate.stamp('base');
SELECT migrate.revision('first', 'SELECT 1;', rev_id => 'r1');
SELECT migrate.check();
SELECT migrate.stamp('r1');
SELECT migrate.check();
SELECT migrate.check(false);

-- objects can be left out: with what belongs to them, by kind, by column, quoted
SELECT migrate.configure('exclude', 'gone, index:models_a.b_*, models_a.a.note');
SELECT action, object_type, object_identity, detail FROM migrate.compare();
SELECT migrate.configure('exclude', 'constraint:*, "gone", column:a, models_a.?_A, models_a.v');
SELECT action, object_type, object_identity, detail FROM migrate.compare();
SELECT migrate.configure('exclude', '"*"');
SELECT count(*) FROM migrate.compare();
SELECT migrate.configure('exclude', '*');
SELECT count(*) FROM migrate.compare();
\set VERBOSITY terse
SELECT migrate.configure('exclude', 'a..b');
SELECT migrate.configure('exclude', 'a.b.c.d');
SELECT migrate.configure('exclude', 'a b');
SELECT migrate.configure('exclude', 'a,');
SELECT migrate.configure('exclude', '"a');
SELECT migrate.configure('exclude', 'tabel:a');
SELECT migrate.configure('managed_schemas', 'pg_catalog');
SELECT migrate.configure('managed_schemas', 'public, migrate');
\set VERBOSITY default
SELECT migrate.configure('exclude', NULL);

-- a text that the server prints otherwise when it reads it again is no difference
DROP SCHEMA models_a CASCADE;
CREATE SCHEMA models_a;
CREATE TABLE models_a.t (note text, status varchar(10) CHECK (status IN ('a', 'b')),
	CONSTRAINT range CHECK (status::text BETWEEN 'a' AND 'c'));
CREATE INDEX t_status ON models_a.t (status) WHERE status IN ('a', 'b');
SELECT migrate.drop_model(name) FROM (SELECT name FROM migrate.models) m;
SELECT migrate.set_model($$
CREATE TABLE models_a.t (note text, status varchar(10),
	CONSTRAINT t_status_check CHECK (((status)::text = ANY ((ARRAY['a'::character varying,
		'b'::character varying])::text[]))),
	CONSTRAINT range CHECK (status::text >= 'a' AND status::text <= 'c'));
CREATE INDEX t_status ON models_a.t USING btree (status) WHERE ((status)::text = ANY
	(ARRAY[('a'::character varying)::text, ('b'::character varying)::text]));
$$);
SELECT action, object_type, object_identity, detail FROM migrate.compare();
SELECT migrate.check();
-- but another text is
ALTER TABLE models_a.t DROP CONSTRAINT range, ADD CONSTRAINT range
	CHECK (status::text >= 'a' AND status::text < 'c');
SELECT action, object_type, object_identity, detail FROM migrate.compare();

-- that nothing differs is remembered: nothing runs, so a read-only transaction will do
ALTER TABLE models_a.t DROP CONSTRAINT range, ADD CONSTRAINT range
	CHECK (status::text BETWEEN 'a' AND 'c');
BEGIN READ ONLY;
SELECT migrate.compare();
ROLLBACK;
SELECT migrate.compare();
CREATE FUNCTION pg_temp.is_known() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL transaction_read_only = on;
	PERFORM migrate.compare();
	RETURN 'known';
EXCEPTION WHEN read_only_sql_transaction THEN RETURN 'not known';
END $$;
SELECT pg_temp.is_known();
-- until something changes: not what maintenance writes, nor temporary tables
VACUUM FREEZE models_a.t;
ANALYZE models_a.t;
REINDEX TABLE models_a.t;
INSERT INTO models_a.t VALUES ('a');
TRUNCATE models_a.t;
CREATE TEMPORARY TABLE models_t (id serial PRIMARY KEY, a text DEFAULT 'x' CHECK (a <> ''));
COMMENT ON TABLE models_t IS 'temporary';
CREATE INDEX ON models_t (a);
SELECT pg_temp.is_known();
DROP TABLE models_t;
SELECT pg_temp.is_known();
-- but each of these, also in another schema, where what is managed could use it
CREATE FUNCTION pg_temp.after(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE statement;
	answer := pg_temp.is_known();
	RAISE EXCEPTION 'undone' USING DETAIL = answer;
EXCEPTION WHEN raise_exception THEN
	GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
	RETURN answer;
END $$;
SELECT statement, pg_temp.after(statement) FROM unnest(ARRAY[
	'SELECT 1',
	'COMMENT ON TABLE models_a.t IS ''x''',
	'ALTER TABLE models_a.t ALTER status SET STATISTICS 7',
	'ALTER TABLE models_a.t ALTER status SET DEFAULT ''a''',
	'ALTER TABLE models_a.t SET (fillfactor = 50)',
	'ALTER TABLE models_a.t ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE models_a.t REPLICA IDENTITY FULL',
	'ALTER INDEX models_a.t_status RENAME TO other',
	'CREATE TABLE public.models_other ()',
	'CREATE TYPE public.models_other AS ENUM ()',
	'CREATE FUNCTION public.models_other() RETURNS int LANGUAGE sql AS ''SELECT 1''',
	'CREATE RULE r AS ON INSERT TO models_a.t DO INSTEAD NOTHING',
	'CREATE POLICY p ON models_a.t',
	'CREATE STATISTICS models_a.s ON status, note FROM models_a.t',
	'CREATE ROLE regress_migrate_models',
	'ALTER SCHEMA models_a RENAME TO models_b',
	'GRANT SELECT ON models_a.t TO PUBLIC',
	'SET LOCAL search_path = public, models_a',
	'SET LOCAL DateStyle = ''German''',
	'SELECT migrate.set_model(''COMMENT ON TABLE models_a.t IS NULL'', ''more'')',
	'SELECT migrate.configure(''exclude'', ''nothing'')']) statement;
SELECT pg_temp.is_known();

-- an error in a model says where
SELECT migrate.set_model(E'CREATE TABLE models_a.w ();\n\nCREATE TABLE models_a.u (a nothing);',
	'm');
SELECT migrate.compare();
SELECT migrate.drop_model('m');

-- the difference as a pair of scripts, and as a revision
SET client_min_messages = notice;
SELECT * FROM migrate.diff_sql();
SELECT migrate.revision('nothing', autogenerate => true) IS NULL AS nothing;
SELECT migrate.diff_sql('nothing');
SELECT migrate.diff_sql(NULL);
BEGIN;
ALTER TABLE models_a.t DROP COLUMN note, ALTER COLUMN status TYPE varchar(5);
\pset format unaligned
SELECT * FROM migrate.diff_sql();
SELECT migrate.revision('note', autogenerate => true, rev_id => 'r2');
SELECT upgrade_sql, downgrade_sql FROM migrate.revisions WHERE revision = 'r2';
\pset format aligned
SELECT migrate.revision('pending', autogenerate => true);
ROLLBACK;
BEGIN;
ALTER TABLE models_a.t RENAME COLUMN note TO remark;
SELECT migrate.revision('note', autogenerate => true, rev_id => 'r2',
	renames => '{column models_a.t.remark -> note}');
SELECT upgrade_sql, downgrade_sql FROM migrate.revisions WHERE revision = 'r2';
SELECT migrate.drop('r2');
SAVEPOINT s;
SELECT migrate.revision('m', autogenerate => true, renames => '{nonsense}');
ROLLBACK TO s;
SELECT migrate.revision('m', autogenerate => true, renames => '{NULL}');
ROLLBACK TO s;
SELECT migrate.revision('m', autogenerate => true, renames => '{column models_a.t.a -> b}');
ROLLBACK;
SELECT migrate.revision('both', 'SELECT 1;', autogenerate => true);
SELECT migrate.revision('both', downgrade => 'SELECT 1;', autogenerate => true);
SET client_min_messages = warning;

-- the applied revisions as a source
\pset format unaligned
\pset tuples_only
SELECT action, object_type, object_identity, detail FROM migrate.drift();
SELECT action, object_type, object_identity, detail FROM migrate.compare('revisions');
SELECT migrate.schema_sql('revisions');
SELECT migrate.revision('second', 'CREATE TABLE models_a.t (status varchar(10));
ALTER TABLE models_a.t
	ADD CONSTRAINT t_status_check CHECK (status IN (''a'', ''b''));', rev_id => 'r2');
SELECT migrate.stamp('r2');
SELECT * FROM migrate.drift();
SELECT migrate.schema_sql('revisions');
-- scripts that cannot be run again
SELECT migrate.revision('third', E'\nCREATE TABLE models_a.t2 ();\nSELECT 1 / 0;',
	rev_id => 'r3');
SELECT migrate.stamp('r3');
SELECT migrate.drift();
SELECT migrate.compare('revisions');
SELECT migrate.stamp('r2');
SELECT migrate.edit('r3', 'PREPARE p AS SELECT 1;');
SELECT migrate.stamp('r3');
SELECT migrate.drift();
SELECT migrate.stamp('r2');
SELECT migrate.edit('r3', 'COPY models_a.t FROM ''/nowhere'';');
SELECT migrate.stamp('r3');
SELECT migrate.drift();
SELECT migrate.stamp('r2');
SELECT migrate.edit('r3', 'DROP OWNED BY nobody;');
SELECT migrate.stamp('r3');
SELECT migrate.drift();
SELECT migrate.stamp('r2');
SELECT migrate.edit('r3', 'CREATE TABLE public.other ();');
SELECT migrate.stamp('r3');
SELECT migrate.drift();
-- not in a script
SELECT migrate.revision('fourth', 'SELECT migrate.drift()', rev_id => 'r4');
SELECT migrate.upgrade();
\pset format aligned
\pset tuples_only

-- a fresh database
SELECT migrate.create_all();
SELECT migrate.stamp('base');
SELECT migrate.create_all();
DROP TABLE models_a.t;
SET client_min_messages = notice;
SELECT migrate.create_all();
SELECT migrate.check();
SELECT migrate.drift();
SELECT migrate.create_all();
SELECT migrate.init_db();
SELECT migrate.init_db(NULL);
SELECT migrate.init_db('nothing');
DROP TABLE models_a.t;
SET client_min_messages = warning;
SELECT migrate.stamp('base');
SET client_min_messages = notice;
-- what cannot be in a model, and a model that fails
SELECT migrate.set_model('CREATE TABLE models_a.w (); NOTIFY x;', 'm');
SELECT migrate.init_db();
SELECT migrate.set_model(E'\nSELECT 1 / 0;', 'm');
SELECT migrate.init_db();
SELECT migrate.drop_model('m');
-- data of revisions that are stamped
SELECT migrate.drop('r4');
SELECT migrate.edit('r3', $q$DO $x$ BEGIN INSERT INTO models_a.t VALUES ('a'); END $x$$q$);
SELECT migrate.edit('r2', $$SELECT pg_catalog.set_config('search_path', '', false);
WITH x AS (INSERT INTO models_a.t VALUES ('a') RETURNING *) SELECT * FROM x;$$);
SELECT migrate.edit('r1', $$SELECT pg_catalog.set_config('search_path', '', false);$$);
SELECT migrate.revision('set', $$SELECT setval('models_a.s', 3)$$, rev_id => 'r5');
-- another target is an upgrade
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT migrate.init_db('r1');
ROLLBACK;
SELECT migrate.init_db();
SELECT migrate.init_db('heads');
SET client_min_messages = warning;

-- nothing of the scratch is left
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'mig%' AND nspname <> 'migrate';
SELECT relname FROM pg_class WHERE relnamespace = 'models_a'::regnamespace ORDER BY 1;

DROP SCHEMA models_a CASCADE;
DROP EXTENSION migrate;
