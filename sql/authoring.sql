--
-- Authoring: revision, merge, edit, drop, configure.
--
-- Contains non-ASCII characters, so client and database encoding must be UTF8.
SELECT getdatabaseencoding() <> 'UTF8' AS skip \gset
\if :skip
\quit
\endif
SET client_encoding = utf8;
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate;
CREATE EXTENSION migrate;
RESET client_min_messages;
SET migrate.step_messages = off;
\pset format unaligned
\pset tuples_only on
\pset null '<NULL>'

\set srcdir `echo "${MIGRATE_SRCDIR:-.}"`
\set ECHO none
\i :srcdir/sql/include/regress_error.sql
\set ECHO all
CREATE FUNCTION pg_temp.shown() RETURNS TABLE (line text) LANGUAGE sql STABLE AS $$
	SELECT format('%s: down %s, depends %s, labels %s, "%s" [%s]%s [%s]%s',
		revision, down_revisions, depends_on, branch_labels,
		message, upgrade_sql, CASE WHEN NOT upgrade_transactional THEN '!' END,
		coalesce(downgrade_sql, '<NULL>'), CASE WHEN NOT downgrade_transactional THEN '!' END)
	FROM migrate.revisions ORDER BY revision COLLATE "C"
$$;

-- Defaults.
SELECT migrate.revision('first', rev_id => 'a1');
SELECT migrate.revision('second', 'SELECT 1', rev_id => 'a2');
SELECT migrate.revision('third', 'SELECT 1', 'SELECT 2', rev_id => 'a3');
SELECT migrate.revision('fourth', '', 'SELECT 2', rev_id => 'a4');
SELECT migrate.revision('fifth', NULL, NULL, 'a5', 'head', NULL, NULL, NULL, NULL, NULL);
SELECT * FROM pg_temp.shown();
SELECT created_by = current_user, modified_by = current_user, created_at <= now(),
	checksum = encode(sha256('SELECT 1'), 'hex')
FROM migrate.revisions WHERE revision = 'a2';
SELECT migrate.revision('sixth', rev_id => NULL) ~ '^[0-9a-f]{12}$';
SELECT count(DISTINCT migrate.revision('many')) FROM generate_series(1, 50);
SELECT count(*) FROM migrate.heads();
SELECT count(*) FROM migrate.log;
SELECT * FROM migrate.current();

-- Messages.
SELECT pg_temp.regress_error('SELECT migrate.revision(NULL)');
SELECT pg_temp.regress_error($$SELECT migrate.revision('')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision(E' \n\t ')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('migrate:up')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision(E'm\n  migrate:down transaction:false')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision(E'm\nrevision id : x')$$);
SELECT migrate.revision(E'\n  one \r\n\r\n  two\t\n', rev_id => 'msg');
SELECT '[' || replace(message, E'\r', '<CR>') || ']' FROM migrate.revisions WHERE revision = 'msg';

-- Identifiers and labels.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SELECT length(migrate.revision('longest', rev_id => repeat('x', 255)));
SELECT pg_temp.regress_error(format('SELECT migrate.revision(''m'', rev_id => %L)', i))
FROM unnest(ARRAY['', 'head', 'heads', 'base', 'bases', 'current', 'a@b', 'a-b', 'a+b', 'a:b',
	'a,b', 'a b', E'a\tb', E'a\n', E'a\x7f', ' ']) i;
SELECT replace(pg_temp.regress_error(format(
	'SELECT migrate.revision(''m'', rev_id => %L)', repeat('x', 256))),
	repeat('x', 255), '<255 x>');
SELECT pg_temp.regress_error(format(
	'SELECT migrate.revision(''m'', rev_id => %L)', repeat('é', 500000))) =
	'22023: revision identifier "' || repeat('é', 127) || '..." is longer than 255 bytes';
SELECT migrate.revision('odd', rev_id => i, branch_label => 'L' || i)
FROM unnest(ARRAY['Größe', '日本語🦆', '$$', '''', '"', 'we"ird', '\', '%s', 'HEAD', 'none', '0',
	'../..', '_', 'ſ', '{a}', '(', '*']) i;
SELECT revision, branch_labels FROM migrate.revisions WHERE octet_length(revision) < 255
ORDER BY created_at, revision COLLATE "C";
SELECT count(migrate.drop(revision)) FROM migrate.history();
SELECT pg_temp.regress_error(format('SELECT migrate.revision(''m'', branch_label => %L)', i))
FROM unnest(ARRAY['', 'heads', 'a@b', 'a-b', 'a,b', 'a b']) i;
SELECT replace(pg_temp.regress_error(format(
	'SELECT migrate.revision(''m'', branch_label => %L)', repeat('x', 256))),
	repeat('x', 255), '<255 x>');

-- Parents: an identifier that names one revision, which must be a head unless
-- splice is true.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SELECT migrate.revision('m', rev_id => 'aa1');
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'aa1')$$);
SELECT migrate.revision('m', rev_id => 'aa2', branch_label => 'left');
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'aa3', head => 'aa1')$$);
SELECT migrate.revision('m', rev_id => 'aa3', head => 'aa1', splice => true,
	branch_label => 'right');
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'aa4')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'aa4', head => 'heads')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'aa4', head => 'aa')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'aa4', head => 'nowhere')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'aa4', head => NULL)$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'aa4', head => '')$$);
SELECT migrate.revision('m', rev_id => 'aa4', head => 'left@head');
SELECT migrate.revision('m', rev_id => 'aa5', head => 'right');
SELECT migrate.revision('m', rev_id => 'bb1', head => 'base', depends_on => '{left, aa1, aa2}');
SELECT migrate.revision('m', rev_id => 'bb2', head => 'bb1', splice => true, depends_on => '{}');
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', head => 'bb2',
	depends_on => '{nowhere}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', head => 'bb2', depends_on => '{aa}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', head => 'bb2',
	depends_on => '{aa1,NULL}')$$);
-- A label is unique, and not the identifier of a revision.
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'cc', head => 'bb2',
	branch_label => 'left')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', rev_id => 'cc', head => 'bb2',
	branch_label => 'aa1')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', head => 'bb2', rev_id => 'left')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', head => 'bb2', rev_id => 'cc',
	branch_label => 'cc')$$);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', head => 'bb2', autogenerate => true)$$);
SELECT * FROM pg_temp.shown();

-- Merges.
SELECT pg_temp.regress_error($$SELECT migrate.merge('{}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,left@head}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,aa3}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,nowhere}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,base}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,NULL}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge(NULL)$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,aa5}', message => '')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,aa5}', rev_id => 'aa1')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,aa5}', rev_id => 'a b')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge('{aa4,aa5}', rev_id => 'cc',
	branch_label => 'left')$$);
SELECT migrate.merge('{left@head,aa5}', rev_id => 'mm1');
SELECT migrate.merge(rev_id => 'mm2', message => 'all of it', branch_label => 'all');
SELECT pg_temp.regress_error('SELECT migrate.merge()');
SELECT line FROM pg_temp.shown() WHERE line ~ '^mm';
SELECT * FROM migrate.heads();

-- The three kinds of generated identifiers.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SELECT migrate.configure('revision_ids', 'serial');
SELECT migrate.revision('m'), migrate.revision('m');
SELECT migrate.revision('m', rev_id => '0009'), migrate.revision('m');
SELECT migrate.revision('m', rev_id => '12345a'), migrate.revision('m');
SELECT migrate.revision('m', rev_id => '9999'), migrate.revision('m');
SELECT migrate.revision('m', rev_id => '000123456'), migrate.revision('m');
SELECT migrate.revision('m', rev_id => repeat('9', 30)), migrate.revision('m');
SELECT migrate.merge('{heads}') IS NULL FROM (SELECT migrate.revision('m', head => 'base')) t;
-- A number that was moved or stamped here is not given again.
BEGIN;
DELETE FROM migrate.revisions;
SELECT migrate.revision('m'), migrate.revision('m'), migrate.revision('m');
SELECT migrate.upgrade('0002');
SELECT migrate.downgrade('0001') IS NULL FROM migrate.edit('0002', downgrade => '');
SELECT migrate.drop('0003'), migrate.drop('0002');
SELECT migrate.revision('m') AS not_0002, migrate.revision('m') AS the_next;
SELECT migrate.revision('m', rev_id => '0009');
SELECT migrate.stamp('0009');
SELECT migrate.stamp('base');
SELECT migrate.drop('0009');
SELECT migrate.revision('m', rev_id => '0008'), migrate.revision('m') AS not_0009;
ROLLBACK;
SELECT migrate.configure('revision_ids', 'timestamp');
SELECT id ~ '^20\d{12}$', abs(extract(epoch FROM to_timestamp(id, 'YYYYMMDDHH24MISS')
	- (now() AT TIME ZONE 'UTC')::timestamptz)) < 60
FROM migrate.revision('m') id;
-- Two generated within a second do not collide.
SELECT count(DISTINCT migrate.revision('m')) FROM generate_series(1, 5);
SELECT migrate.configure('revision_ids', 'random');
SELECT migrate.revision('m') ~ '^[0-9a-f]{12}$';
SELECT migrate.configure('revision_ids', 'timestamp');
SELECT migrate.configure('revision_ids', NULL);
SELECT migrate.revision('m') ~ '^[0-9a-f]{12}$';

-- Settings.
SELECT migrate.configure('managed_schemas', 'public, "Other"');
SELECT migrate.configure('exclude', 'tmp_*');
SELECT migrate.configure('exclude', 'tmp_*, log.*');
SELECT name, value FROM migrate.settings ORDER BY name;
SELECT pg_temp.regress_error($$SELECT migrate.configure('nothing', 'x')$$);
SELECT pg_temp.regress_error($$SELECT migrate.configure(NULL, 'x')$$);
SELECT pg_temp.regress_error($$SELECT migrate.configure('', NULL)$$);
SELECT pg_temp.regress_error($$SELECT migrate.configure('revision_ids', 'uuid')$$);
SELECT pg_temp.regress_error($$SELECT migrate.configure('revision_ids', '')$$);
SELECT pg_temp.regress_error($$SELECT migrate.configure('managed_schemas', '')$$);
SELECT pg_temp.regress_error($$SELECT migrate.configure('managed_schemas', 'a,,b')$$);
SELECT migrate.configure('managed_schemas', NULL), migrate.configure('exclude', NULL);
SELECT name, value FROM migrate.settings ORDER BY name;

-- Edits: change the arguments given, and leave the rest unchanged.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SELECT migrate.revision('one', 'SELECT 1', rev_id => 'a1', branch_label => 'l');
SELECT migrate.revision('two', 'SELECT 2', 'SELECT 2', rev_id => 'a2');
SELECT migrate.edit('a1');
SELECT migrate.edit('l', NULL, NULL, NULL, NULL, NULL);
SELECT * FROM pg_temp.shown();
SELECT migrate.edit('a1', upgrade => 'SELECT 11');
SELECT migrate.edit('head', message => 'new');
SELECT migrate.edit('a2', downgrade => 'SELECT 22');
SELECT * FROM pg_temp.shown();
SELECT migrate.edit('a1', transactional => false);
SELECT migrate.edit('a1', 'VACUUM');
-- Without a downgrade script, the downgrade counts as transactional.
SELECT pg_temp.regress_error($$SELECT migrate.edit('a1', downgrade => 'VACUUM')$$);
SELECT migrate.edit('a1', downgrade => 'VACUUM', transactional => false);
SELECT migrate.edit('a2', irreversible => true);
SELECT * FROM pg_temp.shown();
SELECT pg_temp.regress_error($$SELECT migrate.edit('a1', transactional => true)$$);
SELECT migrate.edit('a1', 'SELECT 1', 'SELECT 1', transactional => true);
SELECT migrate.edit('a2', irreversible => true);
SELECT pg_temp.regress_error($$SELECT migrate.edit('a2', irreversible => false)$$);
SELECT pg_temp.regress_error($$SELECT migrate.edit('a2', downgrade => 'SELECT 1',
	irreversible => true)$$);
SELECT migrate.edit('a2', downgrade => '', irreversible => false);
SELECT * FROM pg_temp.shown();
SELECT pg_temp.regress_error('SELECT migrate.edit(NULL)');
SELECT pg_temp.regress_error($$SELECT migrate.edit('nowhere', 'SELECT 1')$$);
SELECT pg_temp.regress_error($$SELECT migrate.edit('a', 'SELECT 1')$$);
SELECT pg_temp.regress_error($$SELECT migrate.edit('base', 'SELECT 1')$$);
SELECT pg_temp.regress_error($$SELECT migrate.edit('a1', message => '')$$);
SELECT pg_temp.regress_error($$SELECT migrate.edit('a1', message => 'migrate:up')$$);
-- modified_by and checksum follow an edit.
CREATE ROLE regress_migrate_editor;
GRANT USAGE ON SCHEMA migrate TO regress_migrate_editor;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA migrate TO regress_migrate_editor;
SET ROLE regress_migrate_editor;
SELECT migrate.edit('a1', upgrade => 'SELECT 5');
RESET ROLE;
SELECT created_by = current_user, modified_by, checksum = encode(sha256('SELECT 5'), 'hex')
FROM migrate.revisions WHERE revision = 'a1';
-- All of an applied revision but its upgrade script can be changed; storing the
-- same script again is no change.
SELECT migrate.upgrade('a1');
SELECT pg_temp.regress_error($$SELECT migrate.edit('a1', 'SELECT 6')$$);
SELECT pg_temp.regress_error($$SELECT migrate.edit('a1', transactional => false)$$);
SELECT migrate.edit('a1', E'\nSELECT 5\n', 'SELECT 7', 'seven', true);
SELECT migrate.edit('a1', irreversible => true);
SELECT line FROM pg_temp.shown() WHERE line ~ '^a1';
SELECT migrate.edit('a2', 'SELECT 8');

-- Drops.
SELECT migrate.revision('m', rev_id => 'b1', head => 'base', depends_on => '{a2}');
SELECT migrate.revision('m', rev_id => 'c1', head => 'base');
SELECT pg_temp.regress_error($$SELECT migrate.drop('a1')$$);
SELECT pg_temp.regress_error($$SELECT migrate.drop('a2')$$);
SELECT pg_temp.regress_error('SELECT migrate.drop(NULL)');
SELECT pg_temp.regress_error($$SELECT migrate.drop('nowhere')$$);
SELECT pg_temp.regress_error($$SELECT migrate.drop('a')$$);
SELECT pg_temp.regress_error($$SELECT migrate.drop('base')$$);
SELECT pg_temp.regress_error($$SELECT migrate.drop('heads')$$);
SELECT migrate.drop('c1');
SELECT migrate.drop('b1');
SELECT migrate.drop('a2');
SELECT migrate.edit('a1', downgrade => '');
SELECT migrate.downgrade('base');
SELECT migrate.drop('l');
SELECT * FROM pg_temp.shown();

-- A new revision is never inserted below an applied one: it is a child, or a base
-- of its own.
SELECT migrate.revision('m', rev_id => 'a1'), migrate.revision('m', rev_id => 'a2');
SELECT migrate.upgrade();
SELECT migrate.revision('m', rev_id => 'a3', head => 'a1', splice => true);
SELECT * FROM migrate.pending() ORDER BY 1;
SELECT * FROM migrate.current();

-- All of it is transactional.
BEGIN;
SELECT migrate.revision('m', rev_id => 'z1', head => 'base');
SELECT migrate.configure('revision_ids', 'serial');
SELECT migrate.drop('a3');
ROLLBACK;
SELECT line FROM pg_temp.shown();
SELECT count(*) FROM migrate.settings;
-- Functions that write fail in a read-only transaction.
BEGIN READ ONLY;
SELECT pg_temp.regress_error($$SELECT migrate.revision('m')$$);
SELECT pg_temp.regress_error($$SELECT migrate.edit('a3', message => 'n')$$);
SELECT pg_temp.regress_error($$SELECT migrate.drop('a3')$$);
SELECT pg_temp.regress_error($$SELECT migrate.merge()$$);
SELECT pg_temp.regress_error($$SELECT migrate.configure('exclude', 'a')$$);
SELECT pg_temp.regress_error($$SELECT migrate.load(
	E'-- m\n-- Revision ID: a\n-- Revises:\n-- migrate:up', '1.sql')$$);
SELECT length(migrate.export('a3')) > 0;
COMMIT;

DROP EXTENSION migrate;
CREATE EXTENSION migrate;
DROP ROLE regress_migrate_editor;
