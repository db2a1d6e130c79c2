-- Replays what Alembic 1.19 answered for random revision graphs: the set of
-- revisions moved, the version rows afterwards, and the kind of error.
\set vectors `cat data/alembic-vectors.jsonl`
SET client_min_messages = warning;
CREATE EXTENSION pgtap;
CREATE EXTENSION migrate;
SET migrate.step_messages = off;

CREATE TABLE vector (line bigint PRIMARY KEY, v jsonb NOT NULL);
INSERT INTO vector
SELECT n, l::jsonb
FROM regexp_split_to_table(:'vectors', E'\n') WITH ORDINALITY AS t (l, n)
WHERE l <> '';

CREATE FUNCTION real_ancestors(of text[]) RETURNS SETOF text
LANGUAGE sql AS $$
WITH RECURSIVE a (id) AS (
	SELECT unnest(of)
	UNION
	SELECT unnest(r.down_revisions || r.depends_on)
	FROM a JOIN migrate.revisions r ON r.revision = a.id)
SELECT id FROM a
$$;

CREATE FUNCTION sorted(ids text[]) RETURNS text[]
LANGUAGE sql AS $$
SELECT COALESCE(array_agg(id ORDER BY id COLLATE "C"), '{}') FROM unnest(ids) AS t (id)
$$;

-- Puts a vector's graph and rows into the tables by hand.
CREATE FUNCTION build(v jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	-- a dependency may be named by a label; authoring would store the id
	INSERT INTO migrate.revisions
		(revision, down_revisions, depends_on, branch_labels, message, downgrade_sql)
	SELECT r ->> 'id',
		ARRAY(SELECT jsonb_array_elements_text(r -> 'down')),
		ARRAY(SELECT COALESCE((SELECT o ->> 'id' FROM jsonb_array_elements(v -> 'revisions') o
							   WHERE o -> 'labels' ? d), d)
			  FROM jsonb_array_elements_text(r -> 'depends') d),
		ARRAY(SELECT jsonb_array_elements_text(r -> 'labels')),
		'a vector', ''
	FROM jsonb_array_elements(v -> 'revisions') r;
	-- Alembic's table may hold a row twice, ours cannot
	INSERT INTO migrate.versions
	SELECT DISTINCT id FROM jsonb_array_elements_text(v -> 'versions') AS t (id);
	INSERT INTO migrate.applied (revision, checksum, applied_at, how)
	SELECT revision, checksum, now(), 'upgrade' FROM migrate.revisions
	WHERE revision IN (SELECT real_ancestors(ARRAY(SELECT migrate.current())));
END
$$;

-- Kinds of our errors that stand for one of Alembic's classes.
CREATE FUNCTION kinds(expect jsonb) RETURNS text[]
LANGUAGE sql AS $$
SELECT CASE
	WHEN expect ->> 'alembic_message' LIKE '%not allowed in revision identifier%' THEN '{MG010}'
	WHEN expect ->> 'alembic_message' LIKE 'Ambiguous%' THEN '{MG002}'
	ELSE CASE expect ->> 'error'
		WHEN 'ResolutionError' THEN '{MG001,MG002}'	-- Alembic has one class for both
		WHEN 'MultipleHeads' THEN '{MG003}'
		ELSE '{MG005}' END
	END::text[]
$$;

-- Runs a vector's command; NULL when the answer is Alembic's.
CREATE FUNCTION replay(v jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	moved text[];
	got text;
	expected text;
	failure text;
	instead text := (SELECT ours FROM differs d WHERE d.id = (v ->> 'id')::int);
BEGIN
	BEGIN
		PERFORM build(v);
		CASE v ->> 'command'
			WHEN 'upgrade' THEN
				moved := ARRAY(SELECT migrate.upgrade(v ->> 'target'));
			WHEN 'downgrade' THEN
				moved := ARRAY(SELECT migrate.downgrade(v ->> 'target'));
			WHEN 'stamp' THEN
				PERFORM migrate.stamp(v ->> 'target');
				moved := '{}';
			WHEN 'heads' THEN
				moved := ARRAY(SELECT migrate.heads());
		END CASE;
		got := format('moved %s, rows %s',
			sorted(moved),
			sorted(ARRAY(SELECT migrate.current())));
		IF EXISTS (SELECT revision FROM migrate.applied
				   EXCEPT SELECT real_ancestors(ARRAY(SELECT migrate.current())))
		OR EXISTS (SELECT real_ancestors(ARRAY(SELECT migrate.current()))
				   EXCEPT SELECT revision FROM migrate.applied) THEN
			got := got || ', and migrate.applied differs from them';
		END IF;
		RAISE EXCEPTION 'done';
	EXCEPTION WHEN OTHERS THEN
		IF SQLERRM <> 'done' THEN
			got := SQLSTATE;
			failure := SQLERRM;
		END IF;
	END;
	IF instead IS NOT NULL THEN
		RETURN CASE WHEN got IS DISTINCT FROM instead
			THEN format('expected %s; got %s %s', instead, got, failure) END;
	END IF;
	IF v -> 'expect' ? 'error' THEN
		IF got = ANY (kinds(v -> 'expect')) THEN
			RETURN NULL;
		END IF;
		RETURN format('expected one of %s (%s), got %s %s', kinds(v -> 'expect'),
			v -> 'expect' ->> 'alembic_message', got, failure);
	END IF;
	expected := format('moved %s, rows %s',
		CASE v ->> 'command'
			WHEN 'stamp' THEN '{}'
			ELSE sorted(ARRAY(SELECT jsonb_array_elements_text(v -> 'expect' -> 'set')))
		END,
		sorted(ARRAY(SELECT jsonb_array_elements_text(
			COALESCE(v -> 'expect' -> 'versions', v -> 'versions')))));
	IF got = expected THEN
		RETURN NULL;
	END IF;
	RETURN format('expected %s; got %s %s', expected, got, failure);
END
$$;

-- Where we differ on purpose, and what we answer instead.
CREATE TABLE differs (id int PRIMARY KEY, reason text NOT NULL, ours text NOT NULL);
INSERT INTO differs VALUES
	(74, 'text after the steps', 'MG001'),
	(1779, 'text after the steps', 'MG001'),
	(2427, 'text after the steps', 'MG001'),
	(150, 'current is an identifier everywhere', 'moved {}, rows {0027,0055}'),
	(448, 'current is an identifier everywhere', 'moved {}, rows {be}'),
	(476, 'current is an identifier everywhere', 'moved {}, rows {}'),
	(870, 'current is an identifier everywhere', 'moved {}, rows {0004}'),
	(1431, 'current is an identifier everywhere', 'moved {}, rows {0b3e3bb87eef}'),
	(867, 'Alembic loses the target fix_123, a row already',
		'moved {}, rows {add_122,drop_185,drop_7,fix_123,fix_175}'),
	(1275, 'Alembic loses the target 0004, a row already', 'moved {}, rows {0004,0005,0006}'),
	(1439, 'Alembic loses the target egd, a row already', 'moved {}, rows {c,de,egd}'),
	(2211, 'Alembic loses the target drop_141, a row already', 'moved {}, rows {add_100,drop_141}');

SELECT plan((SELECT count(*)::int FROM vector));

SELECT is(replay(v), NULL,
	format('%s: %s %s%s', v ->> 'id', v ->> 'command', v ->> 'target',
		' (not as Alembic: ' || d.reason || ')'))
FROM vector LEFT JOIN differs d ON d.id = (v ->> 'id')::int
ORDER BY line;

SELECT * FROM finish();
