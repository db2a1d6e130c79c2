--
-- Moving between revisions: upgrade, downgrade, stamp, adopt_alembic, pending,
-- current, resolve, history, as typed by a user.
--
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate CASCADE;
CREATE EXTENSION migrate;
RESET client_min_messages;
\set SHOW_CONTEXT errors
SET migrate.step_messages = off;

-- empty tables
SELECT * FROM migrate.current();
SELECT * FROM migrate.heads();
SELECT migrate.upgrade('heads');
SELECT migrate.upgrade();
SELECT migrate.downgrade('base');
SELECT migrate.downgrade('-1');
SELECT migrate.stamp('head');
SELECT migrate.upgrade('nothing');

-- a chain
SELECT migrate.revision('create users', 'CREATE TABLE users (id int PRIMARY KEY);',
	'DROP TABLE users;', rev_id => '0001');
SELECT migrate.revision('add name', 'ALTER TABLE users ADD name text;',
	'ALTER TABLE users DROP name;', rev_id => '0002');
SELECT migrate.revision('add mail', 'ALTER TABLE users ADD mail text;',
	'ALTER TABLE users DROP mail;', rev_id => '0003');
SELECT migrate.pending();
SELECT migrate.upgrade('0002');
SELECT migrate.pending();
SELECT migrate.current();
SELECT migrate.upgrade();
SELECT migrate.upgrade();
SELECT migrate.downgrade('-1');
SELECT migrate.downgrade('0001');
SELECT migrate.upgrade('+1');
SELECT migrate.upgrade('+2');
SELECT migrate.upgrade('-1');
SELECT migrate.downgrade('+1');
SELECT migrate.downgrade('0003');
SELECT migrate.downgrade('base');
SELECT migrate.downgrade('base');
SELECT operation, revision, versions_before, versions_after,
	duration >= interval '0' AS lasted, session_role = session_user AS s,
	effective_role = current_user AS c
FROM migrate.log ORDER BY id;
\d users

-- the first call does all of it, no matter how many rows the query fetches
SELECT migrate.upgrade() LIMIT 1;
SELECT migrate.current();
BEGIN;
DECLARE c CURSOR FOR SELECT migrate.downgrade('base');
FETCH 1 FROM c;
SELECT migrate.current();
ROLLBACK;
SELECT count(*) FROM migrate.downgrade('base') WHERE false;
SELECT migrate.current();

-- rollback of the transaction, and to a savepoint
BEGIN;
SELECT migrate.upgrade();
ROLLBACK;
SELECT migrate.current();
BEGIN;
SAVEPOINT s;
SELECT migrate.upgrade();
ROLLBACK TO s;
SELECT migrate.upgrade('0001');
COMMIT;
SELECT migrate.current();
SELECT migrate.downgrade('base');

-- a branch, a dependency and a merge
SELECT migrate.revision('reviews', rev_id => '00b1', head => '0001', splice => true,
	branch_label => 'reviews');
SELECT migrate.revision('more reviews', rev_id => '00b2', head => 'reviews@head',
	depends_on => '{0002}');
SELECT migrate.heads();
SELECT migrate.bases();
SELECT migrate.branches();
SELECT migrate.upgrade();
SELECT migrate.upgrade('head');
SELECT migrate.upgrade('reviews@head');
SELECT migrate.current();
SELECT migrate.downgrade('-1');
SELECT migrate.upgrade('heads');
SELECT migrate.current();
SELECT migrate.downgrade('-1');
SELECT migrate.downgrade('reviews@-1');
SELECT migrate.downgrade('0003-1');
SELECT migrate.upgrade('heads');
SELECT migrate.merge(rev_id => '0008');
SELECT migrate.revision('last', rev_id => '0009', head => 'head');
SELECT revision, cardinality(down_revisions) AS parents, branch_labels,
	message LIKE 'merge %' AS merges, is_head, is_base, is_branch_point, is_merge_point, is_current,
	is_applied, applied_at IS NOT NULL AS applied_at
FROM migrate.history();
SELECT count(*) FROM migrate.upgrade();
SELECT migrate.current();
SELECT migrate.downgrade('0009-2');
SELECT revision FROM migrate.history('0001:00b2');
SELECT revision FROM migrate.history('00b1:');
SELECT revision FROM migrate.history(':0002');
SELECT revision FROM migrate.history('-1:');
SELECT revision FROM migrate.history('0003-1:+1');
SELECT revision FROM migrate.history('reviews@-9:0009');
SELECT revision FROM migrate.history('reviews@base:');
SELECT revision FROM migrate.history('current:');
SELECT revision FROM migrate.history('0001:current');
SELECT revision FROM migrate.history(':');
SELECT revision FROM migrate.history('0002:00b1');
SELECT revision FROM migrate.history('0003:0001');
SELECT revision FROM migrate.history('0001');
SELECT migrate.downgrade('0001@base');
SELECT migrate.current();

-- identifiers
SELECT migrate.resolve('heads');
SELECT migrate.resolve('reviews');
SELECT migrate.resolve('revi');
SELECT migrate.resolve('000');
SELECT migrate.resolve('base');
SELECT migrate.resolve('current');
SELECT migrate.resolve('0001+2');
SELECT migrate.resolve('reviews@0001+2');
SELECT migrate.resolve('0003-1');
SELECT migrate.resolve('0003-3');
SELECT migrate.resolve('0003-4');
SELECT migrate.resolve('0009+1');
SELECT migrate.resolve('reviews@0002');
SELECT migrate.resolve('nolabel@head');
SELECT migrate.resolve('@head');
SELECT migrate.resolve('');
SELECT migrate.resolve(' head');
SELECT migrate.resolve('a@b@c');
SELECT migrate.resolve('0001+');
SELECT migrate.resolve('0001+99999999999999999999');
SELECT migrate.resolve(NULL);
SELECT migrate.upgrade(NULL);
SELECT migrate.upgrade('0001:0003');
SELECT migrate.downgrade(NULL);
SELECT migrate.pending(NULL);

-- stamp
SELECT migrate.stamp('0002');
SELECT migrate.stamp('0002');
SELECT migrate.stamp('00b1');
SELECT migrate.stamp('head');
SELECT migrate.stamp(ARRAY['0003', '00b2']);
SELECT migrate.stamp(ARRAY['0003', '0003', '00b2']);
SELECT revision, how, checksum = (SELECT r.checksum FROM migrate.revisions r
	WHERE r.revision = a.revision) AS checksum
FROM migrate.applied a ORDER BY 1;
SELECT migrate.stamp(ARRAY['0001', '0003']);
SELECT migrate.stamp('{0003,00b2}');
SELECT migrate.stamp('reviews@base');
SELECT migrate.stamp('-1');
SELECT migrate.stamp('+1');
SELECT migrate.stamp('0009', purge => true);
SELECT migrate.stamp('base');
SELECT migrate.stamp('0001', purge => true);
SELECT migrate.stamp('base', purge => true);
SELECT migrate.stamp('{}'::text[]);
BEGIN;
SELECT migrate.stamp('0001');
SELECT migrate.stamp('{}'::text[], purge => true);
SELECT migrate.current();
ROLLBACK;
-- an incomplete script is given up at base, where current() is empty
INSERT INTO migrate.partial
	(revision, direction, statements, statements_done, digest, in_doubt, started_at)
VALUES ('0001', 'upgrade', 2, 1, 'x', false, now());
SELECT migrate.stamp(ARRAY(SELECT migrate.current()), purge => true);
SELECT count(*) FROM migrate.partial;
SELECT migrate.stamp(ARRAY[NULL]);
SELECT migrate.stamp(NULL::text);
SELECT migrate.stamp('0001', NULL);
SELECT count(*) FROM migrate.applied;
SELECT operation, revision, versions_before, versions_after FROM migrate.log
WHERE operation = 'stamp' AND revision LIKE '00%' ORDER BY id;

-- objects that exist already
CREATE TABLE users (id int);
SELECT migrate.upgrade('0001');
SELECT migrate.stamp('0001');
DROP TABLE users;

-- an Alembic database
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
SELECT migrate.adopt_alembic();
INSERT INTO alembic_version VALUES ('0003'), ('00b2');
SELECT migrate.adopt_alembic();
SELECT migrate.adopt_alembic('public.alembic_version');
SELECT migrate.adopt_alembic('no_such_table');
SELECT migrate.adopt_alembic('pg_class');
INSERT INTO alembic_version VALUES ('0001');
SELECT migrate.adopt_alembic();
TRUNCATE alembic_version;
INSERT INTO alembic_version VALUES ('000');
SELECT migrate.adopt_alembic();
TRUNCATE alembic_version;
INSERT INTO alembic_version VALUES ('0002');
SELECT migrate.adopt_alembic();

-- revisions that have other identifiers here
TRUNCATE alembic_version;
INSERT INTO alembic_version VALUES ('0003'), ('2024-05-01 b2');
SELECT migrate.adopt_alembic();
SELECT migrate.adopt_alembic(renamed => '{"2024-05-01 b2": "00c9", "no such": "x"}');
SELECT migrate.adopt_alembic(renamed => '{"2024-05-01 b2": "00b2", "no such": "x"}');
SELECT migrate.adopt_alembic('alembic_version', '{"2024-05-01 b2": "0003"}');
SELECT migrate.adopt_alembic(renamed => '["2024-05-01 b2", "00b2"]');
SELECT migrate.adopt_alembic(renamed => '"00b2"');
SELECT migrate.adopt_alembic(renamed => '{"a": "b", "2024-05-01 b2": 2}');
SELECT migrate.adopt_alembic(renamed => '{"2024-05-01 b2": {"a": "b"}}');
SELECT migrate.adopt_alembic(renamed => NULL);
DROP TABLE alembic_version;

-- "nothing to do" is determined without reading the graph; changes of the tables by
-- hand are noticed all the same
SELECT migrate.stamp('head');
SELECT * FROM migrate.revisions_heads;
INSERT INTO migrate.revisions (revision, down_revisions, message, upgrade_sql, downgrade_sql)
VALUES ('0010', '{0009}', 'by hand', '', '');
SELECT * FROM migrate.revisions_heads;
SELECT migrate.upgrade();
SELECT * FROM migrate.revisions_heads;
SELECT migrate.revision('another head', rev_id => '0011', head => '0009', splice => true);
SELECT * FROM migrate.revisions_heads ORDER BY 1;
SELECT migrate.upgrade();
SELECT migrate.upgrade('heads');
SELECT migrate.upgrade('heads');
SELECT migrate.downgrade('0009@0009');
SELECT migrate.downgrade('0009');
SELECT migrate.drop('0011');
SELECT * FROM migrate.revisions_heads;
SELECT migrate.upgrade();
SELECT migrate.revision('on another root', rev_id => '0020', head => 'base');
SELECT migrate.revision('needs it', rev_id => '0021', head => '0010', depends_on => '{0020}');
SELECT * FROM migrate.revisions_heads ORDER BY 1;
SELECT migrate.upgrade('heads');
SELECT migrate.upgrade('heads');
SELECT migrate.upgrade('head');
DELETE FROM migrate.revisions WHERE revision = '0021';
SELECT * FROM migrate.revisions_heads ORDER BY 1;
SELECT migrate.upgrade('heads');
SELECT migrate.stamp('0010', purge => true);
SELECT migrate.drop('0020');
SELECT migrate.edit('0010', message => 'edited');
SELECT * FROM migrate.revisions_heads;
BEGIN;
TRUNCATE migrate.revisions;
SELECT * FROM migrate.revisions_heads;
SELECT migrate.upgrade();
ROLLBACK;
SELECT * FROM migrate.revisions_heads;
SELECT migrate.upgrade();
SELECT migrate.forget_heads();

-- messages
SELECT migrate.stamp('base', purge => true);
SET migrate.step_messages = notice;
BEGIN;
DO $$
BEGIN
	-- the last message includes the duration
	PERFORM migrate.upgrade('base');
END
$$;
COMMIT;
SET migrate.step_messages = loud;
SET migrate.step_messages = off;
DROP EXTENSION migrate;
