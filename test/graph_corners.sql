-- Corners where Alembic 1.19 crashes, guesses or leaves its version rows wrong:
-- what migrate does instead.
SET client_min_messages = warning;
CREATE EXTENSION pgtap;
CREATE EXTENSION migrate;
SET migrate.step_messages = off;

-- A graph from "id, down revisions, dependencies, labels" each, comma-separated
-- inside, and its version rows.
CREATE FUNCTION graph(revisions text[], rows text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	r text;
BEGIN
	PERFORM migrate.stamp('base', purge => true);
	DELETE FROM migrate.revisions;
	FOREACH r IN ARRAY revisions LOOP
		INSERT INTO migrate.revisions
			(revision, down_revisions, depends_on, branch_labels, message, downgrade_sql)
		SELECT s[1],
			COALESCE(string_to_array(NULLIF(s[2], ''), ','), '{}'),
			COALESCE(string_to_array(NULLIF(s[3], ''), ','), '{}'),
			COALESCE(string_to_array(NULLIF(s[4], ''), ','), '{}'),
			'corner', ''
		FROM string_to_array(r, '/') AS t (s);
	END LOOP;
	IF rows <> '{}' THEN
		PERFORM migrate.stamp(rows);
	END IF;
END
$$;

CREATE FUNCTION rows_are(expected text[], what text) RETURNS text
LANGUAGE sql AS $$
SELECT is(ARRAY(SELECT migrate.current() c ORDER BY c), expected, what)
$$;

SELECT plan(36);

-- a dependency on a revision and on its child: Alembic's upgrade dies
SELECT graph(ARRAY['c', 'b/c', 'a', 'm/a/b,c'], '{}');
SELECT results_eq($$SELECT migrate.upgrade('heads')$$, ARRAY['a', 'c', 'b', 'm'],
	'redundant dependency: upgrade heads');
SELECT rows_are('{m}', 'redundant dependency: one row');
SELECT results_eq($$SELECT migrate.downgrade('m-1')$$, ARRAY['m'],
	'redundant dependency: downgrade');
SELECT rows_are('{a,b}', 'redundant dependency: c is implied by b, so it is no row');
SELECT results_eq($$SELECT migrate.downgrade('base')$$, ARRAY['b', 'c', 'a'],
	'redundant dependency: to base');
SELECT rows_are('{}', 'redundant dependency: nothing is left');

-- walking past the ends: Alembic fails with an exception of Python
SELECT graph(ARRAY['0001', '0002/0001', '0003/0002'], '{}');
SELECT throws_ok($$SELECT migrate.upgrade('0002+2')$$, 'MG005', NULL, 'rev+N past the head');
SELECT throws_ok($$SELECT migrate.upgrade('0002-3')$$, 'MG005', NULL, 'rev-N past base');
SELECT is_empty($$SELECT migrate.upgrade('0002-2')$$, 'rev-N that is base: nothing to do');
SELECT throws_ok($$SELECT migrate.upgrade('+4')$$, 'MG005', NULL, '+N past the head');
SELECT throws_ok($$SELECT migrate.upgrade('99999999999999999999')$$, 'MG001', NULL,
	'a long number is an identifier');
SELECT throws_ok($$SELECT migrate.upgrade('0001+99999999999999999999')$$, 'MG005', NULL,
	'more steps than an int holds');
SELECT throws_ok($$SELECT migrate.downgrade('-99999999999999999999')$$, 'MG005', NULL,
	'the same downwards');

-- several rows: Alembic continues from the one that its SELECT returns first
SELECT graph(ARRAY['0001', '0002/0001//left', '0003/0001//right', '0004/0003'],
	ARRAY['0002', '0004']);
SELECT throws_ok($$SELECT migrate.downgrade('-1')$$, 'MG002', NULL, '-1 from several rows');
SELECT results_eq($$SELECT migrate.downgrade('right@-1')$$, ARRAY['0004'],
	'label@-1 keeps to the branch');
SELECT rows_are('{0002,0003}', 'label@-1: rows');
SELECT results_eq($$SELECT migrate.downgrade('0003@0001')$$, ARRAY['0003'],
	'arm@branch point reverts one arm');
SELECT rows_are('{0002}', 'the other arm stays');
SELECT throws_ok($$SELECT migrate.downgrade('nolabel@-1')$$, 'MG001', NULL, 'no such label');

-- nothing of the branch is applied, or it is there twice
SELECT graph(ARRAY['0001///one', '0002///two', '0003/0002', '0004/0002'], ARRAY['0001']);
SELECT throws_ok($$SELECT migrate.downgrade('two@-1')$$, 'MG002', NULL,
	'label@-N with no row on the branch');
SELECT count(*) FROM migrate.upgrade('heads') \gset
SELECT throws_ok($$SELECT migrate.downgrade('two@-1')$$, 'MG002', NULL,
	'label@-N with several rows on the branch');

-- stamp: Alembic loses a target that is a row already, and leaves rows that
-- imply each other
SELECT graph(ARRAY['0001', '0002/0001', '0003'], ARRAY['0001', '0003']);
SELECT results_eq($$SELECT migrate.stamp('heads')$$, ARRAY['0002', '0003'],
	'stamp heads keeps a head that is a row');
SELECT throws_ok($$SELECT migrate.stamp(ARRAY['0001', '0002'])$$, 'MG005', NULL,
	'stamp of a revision and its parent');
SELECT results_eq($$SELECT migrate.stamp(ARRAY['0002', '0002'])$$, ARRAY['0002', '0003'],
	'the same target twice counts once');
SELECT throws_ok($$SELECT migrate.stamp('+1')$$, 'MG005', NULL, 'stamp +1');

-- rows that another program wrote
SELECT graph(ARRAY['0001', '0002/0001'], ARRAY['0002']);
INSERT INTO migrate.versions VALUES ('0001');
SELECT throws_ok($$SELECT migrate.upgrade('heads')$$, 'MG005', NULL,
	'a row that another row implies');
SELECT results_eq($$SELECT migrate.stamp('0002', purge => true)$$, ARRAY['0002'],
	'purge puts it right');
INSERT INTO migrate.versions VALUES ('gone');
SELECT throws_ok($$SELECT migrate.upgrade('heads')$$, 'MG010', NULL,
	'a row that names no revision');
SELECT throws_ok($$SELECT migrate.downgrade('base')$$, 'MG010', NULL, 'the same downwards');
SELECT results_eq($$SELECT migrate.stamp('0001', purge => true)$$, ARRAY['0001'],
	'purge removes it');
SELECT rows_are('{0001}', 'and only what was asked for is left');

-- +N follows down revisions, and takes what the revision reached needs
SELECT graph(ARRAY['a', 'b/a', 'c/a', 'm/b,c', 'd', 'e/d/m'], ARRAY['b']);
SELECT results_eq($$SELECT migrate.upgrade('+1')$$, ARRAY['c', 'm'],
	'+1 from one arm of an open diamond');
SELECT count(*) FROM migrate.downgrade('b') \gset
SELECT results_eq($$SELECT migrate.upgrade('e')$$, ARRAY['d', 'm', 'e'],
	'dependencies of another branch');
SELECT rows_are('{e}', 'which it implies');
SELECT results_eq($$SELECT migrate.downgrade('d@base')$$, ARRAY['e', 'd'],
	'branch@base: dependencies of the branch stay');
SELECT rows_are('{m}', 'with their row');

SELECT * FROM finish();
