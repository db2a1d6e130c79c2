--
-- Privileges: an extension installed by a database owner who is not a superuser,
-- with an author, a deployer and a reader; and what they get if they are hostile.
--
SET client_min_messages = warning;
CREATE ROLE regress_rights_owner LOGIN;
CREATE ROLE regress_rights_author LOGIN;
CREATE ROLE regress_rights_deployer LOGIN;
CREATE ROLE regress_rights_reader LOGIN;
CREATE ROLE regress_rights_stranger LOGIN;
CREATE DATABASE regress_rights OWNER regress_rights_owner;
SELECT current_database() AS main, current_user AS superuser \gset
\connect regress_rights
SET client_min_messages = warning;
-- default privileges of other roles do not open the tables (those of the superuser
-- that the script runs as do)
ALTER DEFAULT PRIVILEGES FOR ROLE regress_rights_deployer GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_rights_owner GRANT ALL ON TABLES TO PUBLIC;
SET SESSION AUTHORIZATION regress_rights_owner;
CREATE EXTENSION migrate;
SELECT c.relname
FROM pg_class c, pg_roles r
WHERE c.relnamespace = 'migrate'::regnamespace AND r.rolname = 'regress_rights_stranger'
	AND ((c.relkind IN ('r', 'v') AND has_table_privilege(r.oid, c.oid,
			'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'))
		OR (c.relkind = 'S' AND has_sequence_privilege(r.oid, c.oid, 'USAGE, SELECT, UPDATE')));
RESET SESSION AUTHORIZATION;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_rights_deployer REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_rights_owner REVOKE ALL ON TABLES FROM PUBLIC;
SET SESSION AUTHORIZATION regress_rights_owner;
CREATE SCHEMA app;
CREATE SCHEMA private;

-- the GRANTs of doc/rights.md
GRANT USAGE ON SCHEMA migrate
TO regress_rights_reader, regress_rights_deployer, regress_rights_author;
GRANT SELECT ON ALL TABLES IN SCHEMA migrate TO regress_rights_reader;
GRANT EXECUTE ON FUNCTION migrate.upgrade(text), migrate.downgrade(text), migrate.stamp(text, bool),
	migrate.stamp(text[], bool)
TO regress_rights_deployer;
GRANT EXECUTE ON FUNCTION
	migrate.revision(text, text, text, text, text, bool, text, text[], bool, bool,
		bool, text[]),
	migrate.merge(text[], text, text, text),
	migrate.edit(text, text, text, text, bool, bool),
	migrate.drop(text),
	migrate.load(text, text)
TO regress_rights_author;
GRANT USAGE, CREATE ON SCHEMA app TO regress_rights_deployer;

-- the author writes, and cannot deploy
SET SESSION AUTHORIZATION regress_rights_author;
SET migrate.step_messages = off;
SELECT migrate.revision('one', 'CREATE TABLE app.one AS SELECT current_user::text AS made_by;',
	'DROP TABLE app.one;', rev_id => '0001');
SELECT migrate.upgrade();
SELECT migrate.stamp('head');
SELECT migrate.configure('revision_ids', 'serial');
INSERT INTO migrate.versions VALUES ('0001');
SELECT created_by, modified_by FROM migrate.revisions;

-- the reader can read, and nothing else
SET SESSION AUTHORIZATION regress_rights_reader;
SELECT created_by, modified_by, revision FROM migrate.revisions;
SELECT migrate.current();
SELECT migrate.pending();
SELECT revision, message FROM migrate.history();
SELECT migrate.export('0001') LIKE '%CREATE TABLE app.one%' AS exported;
SELECT migrate.upgrade();
SELECT migrate.rehearse();
SELECT migrate.rehearsal_report();
SELECT migrate.revision('mine');
DELETE FROM migrate.revisions;

-- a stranger has no access
SET SESSION AUTHORIZATION regress_rights_stranger;
SELECT migrate.current();
SELECT migrate.upgrade();

-- the deployer runs scripts with its own privileges, and the log names it
SET SESSION AUTHORIZATION regress_rights_deployer;
SELECT migrate.upgrade();
SELECT * FROM app.one;
SELECT migrate.revision('mine');
INSERT INTO migrate.versions VALUES ('x');
UPDATE migrate.steps SET revision = 'x';
CREATE TRIGGER t AFTER INSERT ON migrate.steps
EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TABLE migrate.mine (n int);
ALTER TABLE migrate.steps DISABLE TRIGGER ALL;
SET SESSION AUTHORIZATION regress_rights_owner;
SELECT operation, revision, session_role, effective_role FROM migrate.log;

-- a script has the privileges of the deployer, and no others
SET SESSION AUTHORIZATION regress_rights_author;
SELECT migrate.revision('two', 'CREATE TABLE private.two (n int);', rev_id => '0002');
SET SESSION AUTHORIZATION regress_rights_deployer;
SELECT migrate.upgrade();
SET SESSION AUTHORIZATION regress_rights_author;
SELECT migrate.edit('0002', upgrade => 'INSERT INTO migrate.versions VALUES (''0009'');');
SET SESSION AUTHORIZATION regress_rights_deployer;
SELECT migrate.upgrade();
SET SESSION AUTHORIZATION regress_rights_author;
SELECT migrate.edit('0002', upgrade => 'SET ROLE regress_rights_owner; DELETE FROM migrate.steps;');
SET SESSION AUTHORIZATION regress_rights_deployer;
SELECT migrate.upgrade();
-- a script cannot escape the role that the session logged in as
SET SESSION AUTHORIZATION regress_rights_author;
SELECT migrate.edit('0002', upgrade => 'RESET ROLE; RESET SESSION AUTHORIZATION; '
	'CREATE TABLE app.two AS SELECT current_user::text AS made_by;');
SET SESSION AUTHORIZATION regress_rights_deployer;
SELECT migrate.upgrade();
SELECT current_user;

-- objects and operators with the names of ours, first in the search_path, are not
-- used
CREATE FUNCTION app.trap() RETURNS void
LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE FUNCTION app.trap_eq(text, text) RETURNS bool
LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE FUNCTION app.unnest(text[]) RETURNS SETOF text
LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE FUNCTION app.now() RETURNS timestamptz
LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE OPERATOR app.= (LEFTARG = text, RIGHTARG = text, FUNCTION = app.trap_eq);
CREATE OPERATOR app.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = app.trap_eq);
CREATE TABLE app.versions (revision text);
CREATE TABLE app.revisions (revision text, upgrade_sql text);
CREATE TEMPORARY TABLE versions (revision text);
CREATE TEMPORARY TABLE log (n int);
CREATE TEMPORARY TABLE pg_class (n int);
CREATE DOMAIN app.text AS varchar CHECK (VALUE = 'never');
SET search_path = pg_temp, app, pg_catalog;
SELECT migrate.current();
SELECT migrate.downgrade('0001');
SELECT migrate.upgrade();
SELECT revision FROM migrate.history();
SELECT migrate.stamp('0002');
SELECT migrate.stamp('0002', purge => true);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT migrate.stamp('0001');
ROLLBACK;
RESET search_path;
SELECT count(*) FROM app.versions;
DISCARD TEMP;

-- triggers on the tables run with the privileges of the tables' owner, even if a
-- superuser calls
SET SESSION AUTHORIZATION regress_rights_owner;
CREATE TABLE private.caught (who text, what text);
CREATE FUNCTION private.catch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE format('SET ROLE %I', (SELECT rolname FROM pg_roles WHERE oid = 10));
		INSERT INTO private.caught VALUES (current_user, 'changed the role');
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO private.caught VALUES (current_user, SQLERRM);
	END;
	RETURN NULL;
END
$$;
CREATE TRIGGER catch AFTER INSERT ON migrate.steps FOR EACH ROW EXECUTE FUNCTION private.catch();
\connect - :superuser
SET migrate.step_messages = off;
SELECT migrate.stamp('0001');
SELECT * FROM private.caught;
DROP TRIGGER catch ON migrate.steps;

-- hostile scripts of the owner, who can write the tables
SET SESSION AUTHORIZATION regress_rights_owner;
SET migrate.step_messages = off;
SELECT migrate.revision('three', 'DELETE FROM migrate.versions;', rev_id => '0003');
SELECT migrate.stamp('0002');
SELECT migrate.upgrade();
SELECT migrate.edit('0003', upgrade => 'INSERT INTO migrate.versions VALUES (''0009'');');
SELECT migrate.upgrade();
SELECT migrate.edit('0003', upgrade => 'DELETE FROM migrate.revisions WHERE revision = ''0003'';');
SELECT migrate.upgrade();
SELECT migrate.edit('0003',
	upgrade => 'UPDATE migrate.revisions SET revision = ''0009'' WHERE revision = ''0003'';');
SELECT migrate.upgrade();
-- a script that adds a revision: the stored heads are not those without it
SELECT migrate.edit('0003',
	upgrade => 'INSERT INTO migrate.revisions (revision, down_revisions, message) '
	'VALUES (''0009'', ''{0003}'', ''nine'');');
BEGIN;
SELECT migrate.upgrade();
SELECT * FROM migrate.revisions_heads;
SELECT migrate.upgrade();
ROLLBACK;
SELECT migrate.edit('0003', upgrade => 'DROP EXTENSION migrate;');
SELECT migrate.upgrade();
SELECT migrate.edit('0003', upgrade => 'INSERT INTO migrate.applied '
	'SELECT revision, checksum, now(), ''stamp'' FROM migrate.revisions '
	'WHERE revision = ''0003'';');
SELECT migrate.upgrade();
SELECT migrate.edit('0003', upgrade => 'DROP TABLE migrate.steps CASCADE;');
SELECT migrate.upgrade();
SELECT migrate.edit('0003', upgrade => 'SELECT pg_advisory_unlock_all();');
BEGIN;
SELECT migrate.upgrade();
SELECT mode, granted, objsubid FROM pg_locks
WHERE locktype = 'advisory' AND classid = 1835624306 AND objid = 1 AND pid = pg_backend_pid();
ROLLBACK;
SELECT migrate.current();
SELECT revision FROM migrate.applied ORDER BY 1;

-- event triggers fire for a script's statements, as the caller, and for nothing else
\connect - :superuser
CREATE TABLE private.events (who text, tag text);
GRANT USAGE ON SCHEMA private TO regress_rights_deployer;
GRANT INSERT ON private.events TO regress_rights_deployer;
CREATE FUNCTION private.on_event() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO private.events VALUES (current_user, tg_tag);
END
$$;
CREATE EVENT TRIGGER regress_rights_event ON ddl_command_start EXECUTE FUNCTION private.on_event();
SET SESSION AUTHORIZATION regress_rights_author;
SET migrate.step_messages = off;
SELECT migrate.edit('0003',
	upgrade => 'CREATE TABLE app.three (n int); INSERT INTO app.three VALUES (1);');
SET SESSION AUTHORIZATION regress_rights_deployer;
SELECT migrate.upgrade();
RESET SESSION AUTHORIZATION;
SELECT * FROM private.events;
DROP EVENT TRIGGER regress_rights_event;
REVOKE USAGE ON SCHEMA private FROM regress_rights_deployer;
SET SESSION AUTHORIZATION regress_rights_owner;

-- adopt_alembic reads as the caller, and runs no code of others
CREATE TABLE private.alembic_version AS SELECT '0001'::varchar(32) AS version_num;
GRANT EXECUTE ON FUNCTION migrate.adopt_alembic TO regress_rights_deployer;
SELECT migrate.stamp('base', purge => true);
SET SESSION AUTHORIZATION regress_rights_deployer;
SELECT migrate.adopt_alembic('private.alembic_version');
CREATE TABLE app.alembic_version AS SELECT '0001'::varchar(32) AS version_num;
REVOKE ALL ON app.alembic_version FROM regress_rights_deployer;
SELECT migrate.adopt_alembic('app.alembic_version');
GRANT SELECT ON app.alembic_version TO regress_rights_deployer;
SELECT migrate.adopt_alembic('app.alembic_version');
CREATE FUNCTION app.version() RETURNS text
LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'read as %', current_user; RETURN '0001'; END $$;
CREATE VIEW app.alembic_view AS SELECT app.version() AS version_num;
SELECT migrate.adopt_alembic('app.alembic_view');
SET SESSION AUTHORIZATION regress_rights_owner;

-- functions of the schema that PUBLIC can execute
\connect - :superuser
SELECT p.proname
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'migrate' AND has_function_privilege('regress_rights_stranger', p.oid, 'EXECUTE')
ORDER BY 1;
\connect :main
DROP DATABASE regress_rights;
DROP ROLE regress_rights_owner, regress_rights_author, regress_rights_deployer,
	regress_rights_reader, regress_rights_stranger;
