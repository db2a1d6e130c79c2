--
-- Functions that only read: heads, bases, branches, history, show, graph, status,
-- check.
--
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate CASCADE;
CREATE EXTENSION migrate;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET migrate.step_messages = off;

-- empty tables
SELECT * FROM migrate.heads();
SELECT * FROM migrate.bases();
SELECT * FROM migrate.branches();
SELECT revision FROM migrate.history();
SELECT revision FROM migrate.history(':');
SELECT revision FROM migrate.history(':head');
SELECT migrate.show('head');
SELECT migrate.show('heads') = '' AS empty, migrate.show('base') = '' AS base,
	migrate.show('current') = '' AS current;
SELECT * FROM migrate.graph();
SELECT * FROM migrate.graph('dot');
SELECT * FROM migrate.graph('mermaid');
SELECT * FROM migrate.status;
SELECT migrate.check();

-- two branches from one base, a dependency between them, a merge, and another base
-- whose branch depends on the merge
SELECT migrate.revision('create users', 'CREATE TABLE users (id int PRIMARY KEY);',
	'DROP TABLE users;', rev_id => '0001');
SELECT migrate.revision('add mail', 'ALTER TABLE users ADD mail text;',
	'ALTER TABLE users DROP mail;', rev_id => '0002');
SELECT migrate.revision('create reviews', 'CREATE TABLE reviews ();', 'DROP TABLE reviews;',
	rev_id => '0003', head => '0001', splice => true, branch_label => 'reviews');
SELECT migrate.revision(E'stars\n\nOne to five.\nNobody gives two.',
	'ALTER TABLE reviews ADD stars int;', rev_id => '0004', head => 'reviews@head',
	depends_on => '{0002}');
SELECT migrate.merge('{0002,0004}', 'users and reviews', rev_id => '0005');
SELECT migrate.revision('search', rev_id => '0006', head => '0005',
	upgrade => 'CREATE INDEX CONCURRENTLY ON users (mail);',
	downgrade => 'DROP INDEX CONCURRENTLY users_mail_idx;', transactional => false);
SELECT migrate.revision('billing', rev_id => 'b001', head => 'base', branch_label => 'billing');
SELECT migrate.revision('invoices', rev_id => 'b002', head => 'billing@head',
	depends_on => '{0005}');
SELECT * FROM migrate.heads();
SELECT * FROM migrate.bases();
SELECT * FROM migrate.branches();

-- all of them work in a read-only transaction
BEGIN READ ONLY;
SELECT * FROM migrate.graph();
ROLLBACK;
SELECT migrate.upgrade('0004');

BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
\pset tuples_only
\pset format unaligned
SELECT * FROM migrate.graph();
SELECT * FROM migrate.graph('text');
SELECT * FROM migrate.graph('dot');
SELECT * FROM migrate.graph('mermaid');
SELECT migrate.show('0001');
SELECT migrate.show('0004');
SELECT migrate.show('0005');
SELECT migrate.show('heads');
SELECT migrate.show('current');
SELECT migrate.show('billing');
SELECT migrate.show('reviews@head-1');
\pset format aligned
\pset tuples_only
SELECT revision, state, is_head, labels, message, applied_at IS NOT NULL AS at, how,
	applied_by = session_user AS by, duration >= interval '0' AS lasted, edited
FROM migrate.status;
SELECT * FROM migrate.current();
SELECT * FROM migrate.pending();
SELECT migrate.check();
ROLLBACK;
SELECT migrate.show('nothing');
SELECT migrate.show('000');
SELECT migrate.show('head');
SELECT migrate.show('0006+1');
SELECT migrate.show(NULL);
SELECT * FROM migrate.graph('png');
SELECT * FROM migrate.graph('');
SELECT * FROM migrate.graph(NULL);

-- ranges
SELECT string_agg(revision, ' ') FROM migrate.history();
SELECT string_agg(revision, ' ') FROM migrate.history(':');
SELECT string_agg(revision, ' ') FROM migrate.history('0001:0004');
SELECT string_agg(revision, ' ') FROM migrate.history('0001:0005');
SELECT string_agg(revision, ' ') FROM migrate.history('0003:');
SELECT string_agg(revision, ' ') FROM migrate.history(':0003');
SELECT string_agg(revision, ' ') FROM migrate.history('0004:0004');
SELECT string_agg(revision, ' ') FROM migrate.history('0004:current');
SELECT string_agg(revision, ' ') FROM migrate.history('current:');
SELECT string_agg(revision, ' ') FROM migrate.history(':current');
SELECT string_agg(revision, ' ') FROM migrate.history('-2:current');
SELECT string_agg(revision, ' ') FROM migrate.history('-99:current');
SELECT string_agg(revision, ' ') FROM migrate.history('current:+1');
SELECT string_agg(revision, ' ') FROM migrate.history('-1:');
SELECT string_agg(revision, ' ') FROM migrate.history('0001:+2');
SELECT string_agg(revision, ' ') FROM migrate.history('0003:+1');
SELECT string_agg(revision, ' ') FROM migrate.history('base:0002');
SELECT string_agg(revision, ' ') FROM migrate.history('base:heads');
SELECT string_agg(revision, ' ') FROM migrate.history('reviews:heads');
SELECT string_agg(revision, ' ') FROM migrate.history('billing:billing@head');
SELECT string_agg(revision, ' ') FROM migrate.history('0005:0001');
SELECT string_agg(revision, ' ') FROM migrate.history('0002:0003');
SELECT string_agg(revision, ' ') FROM migrate.history(':head');
SELECT string_agg(revision, ' ') FROM migrate.history('nothing:');
SELECT string_agg(revision, ' ') FROM migrate.history('0001');
SELECT string_agg(revision, ' ') FROM migrate.history('');
SELECT string_agg(revision, ' ') FROM migrate.history('a:b:c');

-- labels spread as in Alembic: up to all descendants; down only where no branch or
-- merge point is above, and not past one
BEGIN;
SELECT migrate.revision('x1', rev_id => 'x1', head => 'base');
SELECT migrate.revision('x2', rev_id => 'x2', head => 'x1');
SELECT migrate.revision('x3', rev_id => 'x3', head => 'x2', branch_label => 'exes');
SELECT migrate.revision('x4', rev_id => 'x4', head => 'x3', branch_label => 'crosses');
SELECT revision, (regexp_match(migrate.show(revision), 'Branch names: (.*?)\n'))[1] AS names
FROM migrate.history() ORDER BY 1;
SELECT migrate.revision('x5', rev_id => 'x5', head => 'x3', splice => true);
SELECT revision, (regexp_match(migrate.show(revision), 'Branch names: (.*?)\n'))[1] AS names
FROM migrate.history(':x4') ORDER BY 1;
ROLLBACK;

-- text: more shapes.  An octopus merge beside another branch; one that has to push
-- others aside; branches that cross; several bases, one above the other.
BEGIN;
TRUNCATE migrate.revisions, migrate.versions, migrate.applied;
INSERT INTO migrate.revisions (revision, down_revisions, message) VALUES
	('a', '{}', 'a'), ('b', '{a}', 'b'), ('c', '{a}', 'c'), ('d', '{a}', 'd'),
	('e', '{b,c,d}', 'e'), ('f', '{b}', 'f'), ('g', '{a}', 'g'), ('h', '{e,g}', 'h'),
	('i', '{f,c}', 'i');
\pset tuples_only
\pset format unaligned
SELECT * FROM migrate.graph();
INSERT INTO migrate.revisions (revision, down_revisions, message) VALUES
	('j', '{}', 'j'), ('k', '{}', 'k'), ('l', '{}', 'l'), ('m', '{k}', 'm'),
	('n', '{j,a,m,l}', 'n'), ('z', '{h}', 'z'), ('y', '{i}', 'y');
SELECT * FROM migrate.graph();
ROLLBACK;

-- names and messages with a special meaning to a terminal, to Graphviz or to
-- Mermaid
BEGIN;
TRUNCATE migrate.revisions, migrate.versions, migrate.applied;
INSERT INTO migrate.revisions (revision, down_revisions, depends_on, branch_labels, message) VALUES
	('a"b', '{}', '{}', '{"la\"bel"}', E'say "hi" & <b>bold</b> &lt;\nsecond line'),
	(E'a\\N\\', '{"a\"b"}', '{}', '{}', E'back\\slash \\N \\n end\\'),
	('<c>', ARRAY[E'a\\N\\'], '{}', '{}',
		'%%{init: {"theme":"dark"}}%% style x: #fff; classDef a:#b;'),
	('end', '{"<c>"}', '{"a\"b"}', '{}',
		'graph end subgraph `code` "]; click n0 "javascript:alert(1)"'),
	('#35;', '{}', '{end}', '{}', E'tab\there \x1b[31mred #quot; &amp;\r');
SELECT * FROM migrate.graph();
SELECT * FROM migrate.graph('dot');
SELECT * FROM migrate.graph('mermaid');
ROLLBACK;
\pset format aligned
\pset tuples_only

-- check: pending
SELECT migrate.check(false);
SELECT migrate.check(models => true);
SELECT migrate.check(NULL);
SELECT migrate.stamp('heads');
SELECT migrate.check();
SELECT migrate.check(models => false);
SELECT revision, state, how, applied_by = session_user AS by, duration IS NOT NULL AS lasted,
	edited FROM migrate.status;
BEGIN;
SELECT count(migrate.revision('no. ' || i, rev_id => 'c' || 100 + i, head => '0006',
	splice => true)) FROM generate_series(1, 12) i;
SELECT migrate.check();
ROLLBACK;

-- check: edited after it was applied
BEGIN;
UPDATE migrate.revisions SET upgrade_sql = 'SELECT 1;' WHERE revision IN ('0002', '0003');
SELECT revision FROM migrate.status WHERE edited;
SELECT migrate.check();
ROLLBACK;
BEGIN;
UPDATE migrate.revisions SET upgrade_transactional = false WHERE revision = '0002';
SELECT migrate.check();
ROLLBACK;
BEGIN;
UPDATE migrate.revisions SET message = 'another', downgrade_sql = 'SELECT 2;'
WHERE revision = '0002';
SELECT migrate.check();
ROLLBACK;

-- check: broken tables
BEGIN;
DELETE FROM migrate.revisions WHERE revision = '0003';
SELECT migrate.check();
ROLLBACK;
BEGIN;
UPDATE migrate.revisions SET down_revisions = '{0004}' WHERE revision = '0003';
SELECT migrate.check();
ROLLBACK;
BEGIN;
DELETE FROM migrate.applied WHERE revision = '0003';
SELECT migrate.check();
ROLLBACK;
BEGIN;
INSERT INTO migrate.versions VALUES ('gone');
SELECT migrate.check();
ROLLBACK;
-- functions that work even if a version row names no revision
BEGIN;
INSERT INTO migrate.versions VALUES ('gone');
SELECT count(*) FROM migrate.graph();
SELECT count(*) FROM migrate.history();
SELECT count(*) FROM migrate.status;
SELECT migrate.show('0001');
ROLLBACK;

-- check: with models; see models.sql
BEGIN;
INSERT INTO migrate.models VALUES ('default', 1, 'CREATE TABLE t ();');
SELECT migrate.check(models => false);
SELECT migrate.check_revisions();
SELECT migrate.check();
ROLLBACK;

-- status: an incomplete script; upgraded and stamped revisions
BEGIN;
SELECT migrate.stamp('0004', purge => true);
INSERT INTO migrate.partial (revision, direction, statements_done, digest, in_doubt, started_at)
VALUES ('0006', 'upgrade', 1, 'd', false, now());
SELECT revision, state, how, applied_by IS NOT NULL AS by, duration IS NOT NULL AS lasted
FROM migrate.status;
ROLLBACK;
BEGIN;
DROP TABLE users, reviews;
SELECT migrate.stamp('base', purge => true);
SELECT migrate.upgrade('0002');
SELECT migrate.stamp('0004');
SELECT migrate.stamp('b001');
UPDATE migrate.steps SET session_role = 'stamper' WHERE operation = 'stamp';
UPDATE migrate.steps SET session_role = 'upgrader' WHERE operation = 'upgrade';
SELECT revision, state, how, applied_by, duration IS NOT NULL AS lasted FROM migrate.status;
ROLLBACK;

-- the log: version rows are computed from what each step changed
CREATE TABLE seen AS
SELECT id, operation, revision, versions_before, versions_after FROM migrate.log ORDER BY id;
BEGIN;
SELECT migrate.stamp('base', purge => true);
SELECT migrate.stamp(ARRAY['0004', 'b001']);
SELECT migrate.stamp(ARRAY['b001', '0003'], purge => true);
SELECT migrate.stamp('base', purge => true);
SELECT operation, revision, versions_before, versions_after FROM migrate.log
WHERE id > (SELECT max(id) FROM seen) ORDER BY id;
SELECT count(*) FROM seen s FULL JOIN migrate.log l USING (id)
WHERE l.id <= (SELECT max(id) FROM seen)
	AND (s.operation, s.revision, s.versions_before, s.versions_after) IS DISTINCT FROM
	(l.operation, l.revision, l.versions_before, l.versions_after);
-- without its oldest rows: the others are as they were
DELETE FROM migrate.steps WHERE id <= (SELECT min(id) + 2 FROM seen);
SELECT count(*) FROM seen s JOIN migrate.log l USING (id)
WHERE s.versions_before <> l.versions_before OR s.versions_after <> l.versions_after;
-- without one in between: older ones are not known
SELECT max(id) AS purge FROM migrate.log WHERE revision IS NOT NULL \gset
DELETE FROM migrate.steps WHERE id = :purge;
SELECT operation, revision, versions_before, versions_after FROM migrate.log
WHERE id > (SELECT max(id) FROM seen) ORDER BY id;
SELECT count(versions_before), count(versions_after) FROM migrate.log
WHERE id <= (SELECT max(id) FROM seen);
ROLLBACK;
BEGIN;
-- a position that was changed by hand
DELETE FROM migrate.versions;
SELECT count(*) > 0 AS some, count(versions_before), count(versions_after) FROM migrate.log;
ROLLBACK;
DROP TABLE seen;

-- with the privileges of a reader
CREATE ROLE regress_migrate_looker;
GRANT USAGE ON SCHEMA migrate TO regress_migrate_looker;
SET ROLE regress_migrate_looker;
BEGIN READ ONLY;
SELECT migrate.check_revisions();
SAVEPOINT s;
SELECT migrate.check(models => false);
ROLLBACK TO s;
SELECT count(*) FROM migrate.graph();
SELECT length(migrate.show('0001')) > 0 AS shown;
SELECT count(*) FROM migrate.history();
SELECT count(*) FROM migrate.status;
ROLLBACK;
RESET ROLE;
GRANT SELECT ON migrate.status TO regress_migrate_looker;
SET ROLE regress_migrate_looker;
BEGIN READ ONLY;
SELECT revision, state FROM migrate.status;
SELECT count(*) FROM migrate.log;
ROLLBACK;
RESET ROLE;
REVOKE SELECT ON migrate.status FROM regress_migrate_looker;
REVOKE USAGE ON SCHEMA migrate FROM regress_migrate_looker;
DROP ROLE regress_migrate_looker;
DROP TABLE users, reviews;
DROP EXTENSION migrate;
