--
-- Offline mode: upgrade_sql and downgrade_sql write scripts, begin_script and
-- record are what these call.  test/t/offline.t has psql run them.
--
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate CASCADE;
CREATE EXTENSION migrate;
RESET client_min_messages;
SET migrate.step_messages = off;
\pset format unaligned
\pset tuples_only on

-- nothing there yet: a script that only checks
SELECT migrate.upgrade_sql('heads');
SELECT migrate.downgrade_sql('base');

-- two branches and a merge point, with a dependency
SELECT migrate.revision('create users', 'CREATE TABLE users (id int PRIMARY KEY);',
	'DROP TABLE users;', rev_id => '0001');
SELECT migrate.revision('add name', E'ALTER TABLE users ADD name text;\nSELECT 1', 'ALTER TABLE'
	' users DROP name;', rev_id => '0002');
SELECT migrate.revision('reviews', 'CREATE TABLE reviews (n int); -- the end', 'DROP TABLE reviews',
	rev_id => '00b1', head => '0001', splice => true, branch_label => 'reviews',
	depends_on => '{0002}');
SELECT migrate.revision('add mail', 'ALTER TABLE users ADD mail text', rev_id => '0003',
	head => '0002');
SELECT migrate.merge(rev_id => '0009');
SELECT migrate.upgrade_sql();
SELECT migrate.upgrade('0002');
SELECT migrate.upgrade_sql('reviews');
SELECT migrate.upgrade_sql('+1');
SELECT migrate.upgrade_sql('0002');
SELECT migrate.downgrade_sql('-1');
SELECT migrate.downgrade_sql('base');

-- ranges: the start is not where the database is
SELECT migrate.upgrade_sql('base:0001');
SELECT migrate.upgrade_sql('0002:0009') = migrate.upgrade_sql();
SELECT migrate.upgrade_sql('current:') = migrate.upgrade_sql();
SELECT migrate.upgrade_sql(':current') = migrate.upgrade_sql('base:0002');
SELECT migrate.upgrade_sql('base:+1') = migrate.upgrade_sql(':0001');
SELECT migrate.upgrade_sql('-1:0003') = migrate.upgrade_sql('0002:0003');
SELECT split_part(migrate.upgrade_sql('reviews@base:reviews'), E'\n', 1);
SELECT split_part(migrate.upgrade_sql('0003:00b1'), E'\n', 1);
SELECT split_part(migrate.upgrade_sql('0009:'), E'\n', 1);
SELECT split_part(migrate.downgrade_sql('reviews:0001'), E'\n', 1);
SELECT split_part(migrate.downgrade_sql('00b1:-1'), E'\n', 1);
SELECT split_part(migrate.downgrade_sql('00b1:'), E'\n', 1);
SELECT migrate.downgrade_sql('0002:') = migrate.downgrade_sql('base');
SELECT migrate.upgrade_sql('0009:0001');
SELECT migrate.upgrade_sql('0001:base');
SELECT migrate.downgrade_sql('0001:0002');
SELECT migrate.downgrade_sql(':0002');
SELECT migrate.downgrade_sql('0009:base');
SELECT migrate.upgrade_sql('0001:0002:0003');
SELECT migrate.upgrade_sql('nothing:0002');
SELECT migrate.upgrade_sql('0001:nothing');
SELECT migrate.upgrade_sql('0002:+9');
SELECT migrate.upgrade_sql('-1');
SELECT migrate.upgrade_sql('000');
SELECT migrate.upgrade_sql(NULL);
SELECT migrate.downgrade_sql(NULL);

-- it changes nothing, takes no lock, and a read-only transaction will do
BEGIN READ ONLY;
SELECT length(migrate.upgrade_sql()) > 0, length(migrate.downgrade_sql('base')) > 0;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT migrate.begin_script('upgrade', '{0002}', '{}');
ROLLBACK;
SELECT migrate.current();
SELECT count(*) FROM migrate.log;

-- an applied revision that was edited by hand
UPDATE migrate.revisions SET upgrade_sql = 'SELECT 2;' WHERE revision = '0001';
SELECT migrate.upgrade_sql();
SELECT migrate.record('downgrade', '0002');
SELECT migrate.begin_script('upgrade', '{0002}', '{}');
SELECT length(migrate.upgrade_sql('0002:0009')) > 0;
UPDATE migrate.revisions SET upgrade_sql = 'CREATE TABLE users (id int PRIMARY KEY);'
	WHERE revision = '0001';

-- begin_script: where the script starts, and what it holds
SELECT migrate.begin_script('upgrade', '{0001}', '{}');
SELECT migrate.begin_script('upgrade', '{}', ARRAY[['0001', 'x'], ['0002', 'x']]);
SELECT migrate.begin_script('downgrade', '{0003,0002}', '{0003,x}');
SELECT migrate.begin_script('upgrade', '{0002}', ARRAY[['00b1', migrate.script_checksum('CREATE'
	' TABLE other (n int);', true)]]);
SELECT migrate.begin_script('upgrade', '{0002}', '{0007,x}');
SELECT migrate.begin_script('upgrade', '{0002}', '{0003}');
SELECT migrate.begin_script('sidegrade', '{0002}', '{}');
SELECT migrate.begin_script(NULL, '{0002}', '{}');
SELECT migrate.begin_script('upgrade', NULL, '{}');
SELECT migrate.begin_script('upgrade', '{0002}', NULL);
SELECT migrate.begin_script('upgrade', '{NULL}', '{}');
BEGIN;
SELECT migrate.begin_script('downgrade', '{0002}', ARRAY[['0002', migrate.script_checksum('ALTER'
	' TABLE users DROP name;', true)]]);
SELECT mode, classid, objid, objsubid FROM pg_locks WHERE locktype = 'advisory';
ROLLBACK;

-- record: one legal step
SELECT migrate.record('upgrade', '0009');
SELECT migrate.record('upgrade', '0002');
SELECT migrate.record('downgrade', '0001');
SELECT migrate.record('downgrade', '0003');
SELECT migrate.record('upgrade', '0007');
SELECT migrate.record('upgrade', '00');
SELECT migrate.record('upgrade', 'reviews');
SELECT migrate.record('stamp', '0003');
SELECT migrate.record('', '0003');
SELECT migrate.record(NULL, '0003');
SELECT migrate.record('upgrade', NULL);
SELECT migrate.current();
SELECT migrate.record('upgrade', '00b1');
SELECT migrate.record('upgrade', '0003');
SELECT migrate.record('upgrade', '0009');
SELECT migrate.record('downgrade', '0009');
SELECT migrate.record('downgrade', '0002');
SELECT migrate.record('downgrade', '00b1');
SELECT migrate.record('downgrade', '0003');
SELECT migrate.record('downgrade', '0002');
SELECT migrate.record('downgrade', '0001');
SELECT migrate.record('downgrade', '0001');
SELECT operation, revision, versions_before, versions_after, checksum = (SELECT r.checksum
	FROM migrate.revisions r WHERE r.revision = l.revision),
	duration >= '0', session_role = session_user, effective_role = current_user
FROM migrate.log l ORDER BY id;
SELECT * FROM migrate.versions;
SELECT * FROM migrate.applied;
SELECT migrate.record('upgrade', '0001');
SELECT revision, how, checksum = (SELECT r.checksum FROM migrate.revisions r
	WHERE r.revision = a.revision) FROM migrate.applied a;
SELECT split_part(migrate.downgrade_sql('00b1:current'), E'\n', 1);
-- several in one transaction; what comes in between counts
BEGIN;
SELECT migrate.begin_script('upgrade', '{0001}', '{}');
SELECT migrate.record('upgrade', '0002');
SELECT migrate.record('upgrade', '0003');
SAVEPOINT s;
SELECT migrate.record('upgrade', '00b1');
SELECT migrate.record('upgrade', '0009');
ROLLBACK TO s;
SELECT migrate.record('downgrade', '0003');
SELECT migrate.revision('new', rev_id => '0004', head => '0001', splice => true);
SELECT migrate.record('upgrade', '0004');
SELECT migrate.stamp('0003');
SELECT migrate.record('upgrade', '00b1');
SELECT migrate.record('upgrade', '0003');
ROLLBACK;
SELECT migrate.current();
-- in a migration script it is refused
SELECT migrate.revision('hidden', $$SELECT migrate.record('upgrade', '0002');$$, rev_id => '00c1',
	head => 'base');
SELECT migrate.upgrade('00c1');
SELECT migrate.drop('00c1');
-- rows by hand
INSERT INTO migrate.versions VALUES ('0003');
SELECT migrate.upgrade_sql('heads');
SELECT migrate.record('upgrade', '0002');
DELETE FROM migrate.versions WHERE revision = '0003';

-- who may
CREATE ROLE regress_offline_reader;
GRANT USAGE ON SCHEMA migrate TO regress_offline_reader;
SET ROLE regress_offline_reader;
SELECT length(migrate.upgrade_sql('heads')) > 0, length(migrate.downgrade_sql('base')) > 0;
SELECT migrate.begin_script('upgrade', '{0001}', '{}');
SELECT migrate.record('upgrade', '0002');
RESET ROLE;
DROP OWNED BY regress_offline_reader;
DROP ROLE regress_offline_reader;

-- settings are restored
SET lock_timeout = '5s';
BEGIN;
SELECT migrate.begin_script('upgrade', '{0001}', '{}');
SET lock_timeout = '7s';
SET search_path = pg_catalog;
SET my.setting = 'x';
SET LOCAL work_mem = '8MB';
SET ROLE pg_monitor;
SELECT set_config('statement_timeout', '1h', false) IS NULL;
RESET ROLE;
SELECT migrate.record('upgrade', '0002');
SHOW lock_timeout;
SHOW search_path;
SHOW my.setting;
SHOW statement_timeout;
SHOW work_mem;
SHOW role;
SELECT name, setting FROM pg_settings WHERE name IN ('search_path', 'my.setting',
	'statement_timeout', 'work_mem') AND source = 'session' ORDER BY 1;
RESET lock_timeout;
SET SESSION AUTHORIZATION pg_monitor;
RESET SESSION AUTHORIZATION;
SELECT migrate.record('upgrade', '0003');
SHOW lock_timeout;
COMMIT;
SHOW lock_timeout;
SHOW work_mem;
-- but not by a record that belongs to no script
SET lock_timeout = '8s';
SELECT migrate.record('downgrade', '0003');
SHOW lock_timeout;
RESET lock_timeout;

-- what psql would stumble over
SELECT migrate.revision(E'"; DROP TABLE users; --\n\\! echo hello\r\\q',
	$$CREATE TABLE slices AS SELECT (ARRAY[1,2,3])[1:n] AS a, (ARRAY[1,2,3])[n:"n"] AS b, $$
	|| $$(ARRAY[1,2,3])[1:'2'] AS c,
	(ARRAY[1,2,3])[:n] AS d, (ARRAY[1,2,3])[1 : n::int] AS e, ':n' AS f, E':n \' \\! echo' AS g, $$
	|| $$$x$ :n $x$ AS h, 'a\b' AS i /* :n */
FROM (VALUES (2)) v (n) -- :n ; \q$$, '-- nothing', rev_id => $$it's;"\q$$, head => 'base');
SELECT migrate.revision('empty', '', rev_id => 'q1', head => 'base');
SELECT migrate.revision('no semicolon, and a comment', '/* before */ SELECT 1 /* ; */ -- ;',
	'/* only a comment */', rev_id => 'q2', head => 'q1');
SELECT migrate.revision('ends in semicolons', 'SELECT 1;; -- more', 'BEGIN; SELECT 2; COMMIT',
	rev_id => 'q3', head => 'q2');
SELECT migrate.upgrade_sql($$base:it's;"\q$$);
SELECT migrate.downgrade_sql($$it's;"\q:base$$);
SELECT migrate.upgrade_sql('base:q3');
SELECT migrate.downgrade_sql('q3:q1');

-- by hand into the table: not into a script
INSERT INTO migrate.revisions (revision, message, upgrade_sql, downgrade_sql) VALUES ('h1', 'm',
	E'SELECT 1;\n\\! echo hello', 'COMMIT;');
SELECT migrate.upgrade_sql('h1');
SELECT migrate.downgrade_sql('h1:base');
UPDATE migrate.revisions SET upgrade_sql = E'COPY users FROM STDIN;\n1\n' WHERE revision = 'h1';
SELECT migrate.upgrade_sql('h1');
UPDATE migrate.revisions SET upgrade_sql = 'SELECT ''' WHERE revision = 'h1';
SELECT migrate.upgrade_sql('h1');
DELETE FROM migrate.revisions WHERE revision = 'h1';

-- roles
SELECT migrate.revision('as another role', 'SET ROLE pg_monitor; SELECT current_user;',
	'SET SESSION AUTHORIZATION pg_monitor', rev_id => 'r1', head => 'q3');
SELECT migrate.upgrade_sql('q3:r1');
SELECT migrate.downgrade_sql('r1:q3');

-- not transactional: out of the transaction
SELECT migrate.revision('index', E'CREATE INDEX CONCURRENTLY i ON users (id);\nBEGIN;\nSELECT 1;\n'
	'COMMIT', 'DROP INDEX CONCURRENTLY i;', rev_id => 'x1', head => 'q1', splice => true,
	transactional => false);
SELECT migrate.revision('between', 'SELECT 1;', 'SELECT 2;', rev_id => 'x2', head => 'x1');
SELECT migrate.revision('vacuum', 'VACUUM users', 'SELECT 3;', rev_id => 'x3', head => 'x2',
	transactional => false);
SELECT migrate.upgrade_sql('q1:x3');
SELECT migrate.downgrade_sql('x3:q1');
SELECT migrate.upgrade_sql('q1:x1');

-- each revision in a transaction of its own
SELECT migrate.upgrade_sql('q1:x3', per_revision => true);
SELECT migrate.revision('mood', 'CREATE TYPE mood AS ENUM (''ok'');', 'DROP TYPE mood;',
	rev_id => 'e1', head => 'base');
SELECT migrate.revision('bad', 'ALTER TYPE mood ADD VALUE ''bad'';', '', rev_id => 'e2',
	head => 'e1');
SELECT migrate.revision('use', 'SELECT ''bad''::mood;', 'SELECT 1;', rev_id => 'e3', head => 'e2');
SELECT migrate.upgrade_sql('e1:e3', per_revision => true);
SELECT migrate.downgrade_sql('e3:e1', per_revision => true);
SELECT migrate.upgrade_sql('e1:e2', per_revision => true);
SELECT migrate.upgrade_sql('e3:e3', per_revision => true);
SELECT migrate.upgrade_sql('e1:e3', per_revision => NULL);

-- a value that a later revision may use is said in the head
SELECT migrate.upgrade_sql('e1:e3');
-- not: of a type that is as new, of the last revision, or when it is committed
SELECT script FROM migrate.upgrade_sql('base:e3') AS script WHERE script ~ '55P04';
SELECT script FROM migrate.upgrade_sql('e1:e2') AS script WHERE script ~ '55P04';
SELECT migrate.edit('e3', upgrade => 'VACUUM', transactional => false);
SELECT migrate.revision('later', 'SELECT ''bad''::mood;', '', rev_id => 'e4', head => 'e3');
SELECT script FROM migrate.upgrade_sql('e1:e4') AS script WHERE script ~ '55P04';
SELECT migrate.edit('e2', upgrade => 'ALTER TYPE mood RENAME VALUE ''ok'' TO ''good'';');
SELECT migrate.edit('e3', upgrade => 'SELECT 1', transactional => true);
SELECT script FROM migrate.upgrade_sql('e1:e4') AS script WHERE script ~ '55P04';

-- a script that began in a savepoint does not count when that is rolled back
SET work_mem = '5MB';
BEGIN;
SAVEPOINT s;
SELECT migrate.begin_script('upgrade', ARRAY(SELECT migrate.current()), '{}');
ROLLBACK TO s;
SET work_mem = '6MB';
SELECT migrate.stamp('base', purge => true);
SELECT migrate.record('upgrade', 'q1');
SHOW work_mem;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT migrate.begin_script('upgrade', ARRAY(SELECT migrate.current()), '{}');
RELEASE s;
SET work_mem = '6MB';
SELECT migrate.stamp('base', purge => true);
SELECT migrate.record('upgrade', 'q1');
SHOW work_mem;
ROLLBACK;
RESET work_mem;

-- a file of the wrong kind
SELECT migrate.load(migrate.upgrade_sql('q1:x2'));

DROP TABLE users;
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
