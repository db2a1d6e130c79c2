--
-- Revision files: load, export, file_name, load_directory.
--
-- Not only ASCII: this needs UTF-8, as client and as database.
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
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\pset format unaligned
\pset tuples_only on

\set srcdir `echo "${MIGRATE_SRCDIR:-.}"`
\set ECHO none
\i :srcdir/sql/include/regress_error.sql
\set ECHO all
-- A revision in one text.
CREATE FUNCTION pg_temp.shown(id text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN (
	SELECT replace(format('%s: down %s, depends %s, labels %s, %s%s'
		' message [%s]%s up%s [%s]%s down%s [%s]',
		r.revision, r.down_revisions, r.depends_on, r.branch_labels,
		CASE WHEN r.created_at = now() THEN 'now' ELSE r.created_at::text END,
		E'\n', r.message, E'\n',
		CASE WHEN NOT r.upgrade_transactional THEN ' (not transactional)' END, r.upgrade_sql, E'\n',
		CASE WHEN NOT r.downgrade_transactional THEN ' (not transactional)' END,
		coalesce(r.downgrade_sql, '<NULL>')),
		E'\r', '<CR>') FROM migrate.revisions r WHERE r.revision = id);
END $$;
-- What a file is read as, or why it is refused; it is not kept.
CREATE FUNCTION pg_temp.file(content text, name text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	result := pg_temp.regress_error(format('SELECT migrate.load(%L, %L)', content, name));
	IF result = 'no error' THEN
		BEGIN
			result := pg_temp.shown(migrate.load(content, name));
			RAISE 'undo' USING ERRCODE = 'ZZ000';
		EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
			NULL;
		END;
	END IF;
	RETURN result;
END $$;

-- Without a header, id and message are the name's.
BEGIN;
SELECT pg_temp.file(E'-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n',
	'db/20240101120000_create_users.sql');
ROLLBACK;
BEGIN;
SELECT pg_temp.file(E'-- some comment\n\n-- migrate:up', 'x.sql');
ROLLBACK;
BEGIN;
SELECT pg_temp.file(E'-- migrate:up', 'V1__Add  Größe_.sql');
ROLLBACK;
SELECT pg_temp.file(E'-- migrate:up');
SELECT pg_temp.file(E'-- migrate:up', '_x.sql');
SELECT pg_temp.file(E'-- migrate:up', '1_Revision ID: 5.sql');
SELECT pg_temp.file(E'-- migrate:up', 'head.sql');
SELECT pg_temp.file(E'-- migrate:up', 'a b_c.sql');
SELECT count(*) FROM migrate.revisions;

-- The documented example comes back as it is.
SELECT migrate.revision('parent', rev_id => '3135632d55e1');
\set example '-- add last_login to user table\n--\n-- Revision ID: 0e59c3885358\n'
\set example :example '-- Revises: 3135632d55e1\n-- Depends On:\n-- Branch Labels:\n'
\set example :example '-- Create Date: 2025-11-04 10:00:00+00\n\n'
\set example :example '-- migrate:up\nALTER TABLE users ADD COLUMN last_login timestamptz;\n\n'
\set example :example '-- migrate:down\nALTER TABLE users DROP COLUMN last_login;\n'
SELECT migrate.load(:'example', '0e59c3885358_add_last_login_to_user_table.sql');
SELECT pg_temp.shown('0e59c3885358');
SELECT migrate.export('0e59');
SELECT migrate.export('0e59') = :'example';
SELECT migrate.file_name('0e59');
SELECT migrate.drop('0e59');

-- BOM, CRLF and CR; keys in any case and order; blanks.
SELECT migrate.revision('x', rev_id => 'x1', head => 'base');
SELECT migrate.revision('y', rev_id => 'y1', head => 'base');
BEGIN;
SELECT pg_temp.file(U&'\FEFF-- m\000D\000A--\000D\000A-- revision id:  a1 \000D\000A'
	'-- REVISES: None\000D\000A-- Depends On: x1, y1\000D\000A-- Branch Labels: l,k\000D\000A'
	'\000D\000A-- migrate:up transaction:false\000D\000AVACUUM;\000D\000A\000D\000A'
	'SELECT 1;\000D\000A\000D\000A-- migrate:down\000D\000A\000D\000A', 'f.sql');
ROLLBACK;
BEGIN;
SELECT pg_temp.file(E'-- m\r-- Revision ID: a\r-- Revises:\r-- migrate:up\rSELECT 1;\r--'
	' migrate:down\rSELECT 2;\r');
ROLLBACK;
BEGIN;
SELECT pg_temp.file(E' \f\n-- first\n   \n  --second\n--\n--   third \n--\n -- revision id :a\n\n'
	'-- Create Date: 2025-01-02 03:04:05.678+02\n-- Revises : base\n\t\n--\n--migrate:up'
	' transaction:true\n\n \n   SELECT 1;  \n\n--migrate:down   transaction:false  \nVACUUM;');
ROLLBACK;
BEGIN;
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises:\n\n-- migrate:up\nBEGIN;\n\n'
	'  SELECT 1;\nCOMMIT;\n\n-- migrate:down transaction:false\nBEGIN;SELECT 1;COMMIT;VACUUM;');
ROLLBACK;

-- Headers that are refused, with the line.
SELECT pg_temp.file(E'-- m\n-- Revises: x1\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID:\n-- Revises:\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises:\n-- Revises: b\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises:\n-- Foo: b\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises: a,,b\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises: a,\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises: \n-- Create Date: foo\n-- migrate:up',
	'1.sql');
SELECT replace(pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises: \n-- Create Date: 2025-13-45\n'
	'-- migrate:up'), 'DateStyle', 'datestyle');
SELECT pg_temp.file(E'-- Revision ID: a\n-- Revises: \n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\nSELECT 1;\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- x', '1.sql');
SELECT pg_temp.file('', '1.sql');
SELECT pg_temp.file(E' -- migrate:up\n', '1.sql');
SELECT pg_temp.file(E'-- m\n-- migrate:down\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- migrate:up\n\nSELECT 1;\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- migrate:up\nSELECT 1;\n-- migrate:down\n-- migrate:down\n', '1.sql');
SELECT pg_temp.file(E'-- migrate:up transaction:maybe', '1.sql');
-- Ids, labels and parents.
SELECT pg_temp.file(E'-- m\n-- Revision ID: a@b\n-- Revises:\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: heads\n-- Revises:\n-- migrate:up', '1.sql');
SELECT replace(pg_temp.file(E'-- m\n-- Revision ID: ' || repeat('a', 1000000) || E'\n-- Revises:\n'
	'-- migrate:up', '1.sql'), repeat('a', 255), '<255 a>');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises:\n-- Branch Labels: b+1\n-- migrate:up',
	'1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises: nowhere\n-- migrate:up', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises:\n-- Depends On: nowhere\n-- migrate:up',
	'1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises: a\n-- migrate:up', '1.sql');
SELECT pg_temp.regress_error('SELECT migrate.load(NULL)');

-- Marker lines count outside of literals and block comments only.
BEGIN;
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises:\n-- migrate:up\nCREATE FUNCTION f()'
	' RETURNS void LANGUAGE sql AS $$\n-- migrate:down\n$$;\nSELECT ''\n-- migrate:down\n'', "\n--'
	' migrate:down\n", E''\\''\n-- migrate:down\n'', $a$ $b$\n-- migrate:down\n$a$;\n/* /* \n--'
	' migrate:down\n*/\n-- migrate:down\n*/\n  -- migrate:down indented\nSELECT 2;\n--'
	' migrate:down\nSELECT 3');
ROLLBACK;

-- Errors in the scripts have the line in the file.
SELECT pg_temp.file(E'-- migrate:up\n\n\nSELECT 1;\n\nSELECT ''äöü'' frm x where;\nSELECT 2;\n'
	'-- migrate:down\n', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises:\n-- migrate:up\nSELECT 1;\n'
	'-- migrate:down\n\nSELECT 1;\n\nSELECT )', '1.sql');
SELECT pg_temp.file(E'-- migrate:up\n\nSELECT 1;\nSELECT ''abc;\n-- migrate:down\n', '1.sql');
SELECT pg_temp.file(E'-- migrate:up\nCOPY t FROM stdin;\n1\tdon''t\n-- migrate:down\n', '1.sql');
SELECT pg_temp.file(E'-- migrate:up\nCOPY t FROM stdin;\n-- migrate:down\n\\.\nSELECT )\n'
	'-- migrate:down\n', '1.sql');
SELECT pg_temp.file(E'-- migrate:up\n\\i abc\nSELECT 1', '1.sql');
-- What psql alone reads is in the script, but no SQL; nor is a block comment a header.
BEGIN;
SELECT migrate.load(E'/*\n * Copyright\n-- migrate:up\n*/ /* more\n*/\n-- with rows\n/* -- x\n*/\n'
	'-- Revision ID: c1\n/**/ -- Revises:\n\n-- migrate:up\n\\restrict abc\nCOPY t FROM stdin;\n'
	'-- migrate:down\ndon''t\n\\.\n-- migrate:down\nCOPY t FROM stdin;\n-- migrate:up\n\\.\n');
SELECT message, upgrade_sql, downgrade_sql FROM migrate.revisions WHERE revision = 'c1';
ROLLBACK;
SELECT pg_temp.file(E'/* a */ SELECT 1;\n-- migrate:up\n', '1.sql');
SELECT pg_temp.file(E'/* a\n\n*/ \nSELECT 1;\n-- migrate:up\n', '1.sql');
SELECT pg_temp.file(E'/* /* a */\n-- migrate:up\n', '1.sql');
SELECT pg_temp.file(E'/* a */ -- migrate:up\n', '1.sql');
SELECT pg_temp.file(E'-- m\n-- Revision ID: a\n-- Revises:\n-- migrate:up\nSELECT 1;\nCOMMIT;\n');
SELECT pg_temp.file(E'-- migrate:up\nSELECT 1;\n\n-- migrate:down\n\n\nVACUUM;', '1.sql');

-- Everything comes back from its file as it was: messages, ...
CREATE TEMP TABLE hostile (n int GENERATED ALWAYS AS IDENTITY, message text DEFAULT 'm',
	up text DEFAULT '', down text);
INSERT INTO hostile (message) VALUES
	('- x'), ('-- x'), ('x' || E'\n indented'), (E'a\n\nb'), (E'Revises: x\nDepends On: y'),
		('migrate:upgrade'),
	('--'), (E'a\n--\n--b'), ('\d'), ('$$ $1 % %s %I {} "q" ''q'''), ('Größe 日本語 🦆'), (E'a\r\n'
		'b \t\nc'), (repeat('long ', 500));
-- ... scripts, ...
INSERT INTO hostile (up, down) VALUES
	('', NULL), ('', ''), ('SELECT 1', NULL), ('SELECT 1', 'SELECT 2;'),
	(E'SELECT 1;\r\n\r\n-- two\r\nSELECT 2;', E'SELECT\r\n3'),
	('SELECT ''%'', ''$1'', ''\'', ''"'', $$it''s$$, $a$$$ $1 %s$a$', 'SELECT E''\n\r\t\\'''),
	(E'SELECT ''\n-- migrate:down\n''', E'/*\n-- migrate:up\n*/'),
	(E'-- Revision ID: z\n-- Revises: z\nSELECT 1', '-- Create Date: never'),
	(E'  -- indented\n  SELECT ''日本語 🦆'' AS "Größe"', E'\t\tSELECT 1'), (';', ';;'),
	(E'\n \n\t\r\n  SELECT 1', E'BEGIN;\n\nSELECT 1;\nCOMMIT;');
DO $$
DECLARE
	h record;
BEGIN
	FOR h IN SELECT * FROM hostile ORDER BY n LOOP
		PERFORM migrate.revision(h.message, h.up, h.down, rev_id => 'h' || to_char(h.n, 'FM00'),
			head => CASE WHEN h.n = 1 THEN 'base' ELSE 'h' || to_char(h.n - 1, 'FM00') END,
			branch_label => CASE WHEN h.n % 5 = 0 THEN 'l"' || h.n || '''%' END);
	END LOOP;
END $$;
-- ... ids, and flags.
SELECT migrate.revision('odd id', rev_id => i, depends_on => '{x1,y1}', head => 'base')
FROM unnest(ARRAY['we"ird', '$1', '''', '\', 'Größe', '../../etc/passwd', '%s', '.', 'a/b',
	'<x>|?*', '日本語', 'a_b']) i;
SELECT length(migrate.revision('longest id', rev_id => repeat('é', 127) || 'a', head => 'h01',
	splice => true));
SELECT migrate.revision('not transactional', 'VACUUM', 'VACUUM', transactional => false,
	rev_id => 'n1', head => 'base');
SELECT migrate.revision('not transactional', 'VACUUM', transactional => false, rev_id => 'n2',
	head => 'base');
SELECT migrate.edit('n2', downgrade => 'SELECT 1');
SELECT migrate.merge('{n1,n2,$1}', rev_id => 'm1', branch_label => 'merged');
CREATE TEMP TABLE before AS SELECT ctid AS place, r.* FROM migrate.revisions r;
CREATE TEMP TABLE exported AS
	SELECT revision, migrate.file_name(revision) AS name, migrate.export(revision) AS content
		FROM migrate.revisions;
SELECT count(*) AS revisions, bool_and(migrate.load(content) = revision) AS loaded FROM exported;
SELECT count(*) AS touched FROM migrate.revisions r FULL JOIN before b ON r.ctid = b.place
	WHERE r.revision IS DISTINCT FROM b.revision;
-- The same into an empty schema, parents before children.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
DO $$
DECLARE
	missing text;
BEGIN
	LOOP
		SELECT content INTO missing FROM exported
		WHERE revision NOT IN (SELECT revision FROM migrate.revisions)
			AND (SELECT down_revisions || depends_on FROM before b
				WHERE b.revision = exported.revision)
				<@ (SELECT coalesce(array_agg(revision), '{}') FROM migrate.revisions)
		LIMIT 1;
		EXIT WHEN NOT FOUND;
		PERFORM migrate.load(missing);
	END LOOP;
END $$;
SELECT count(*) FROM migrate.revisions;
SELECT 'differs', b.revision
FROM before b FULL JOIN migrate.revisions r USING (revision)
WHERE (b.down_revisions, b.depends_on, b.branch_labels, b.message, b.upgrade_transactional,
	b.downgrade_transactional, b.created_at)
	IS DISTINCT FROM (r.down_revisions, r.depends_on, r.branch_labels, r.message,
		r.upgrade_transactional, r.downgrade_transactional, r.created_at)
	OR b.upgrade_sql <> r.upgrade_sql OR b.checksum <> r.checksum OR b.downgrade_sql IS DISTINCT
		FROM r.downgrade_sql;
SELECT regexp_replace(migrate.export('h20'), 'Date: [^\n]*', 'Date:');
SELECT regexp_replace(migrate.export('m1'), 'Date: [^\n]*', 'Date:');

-- File names: safe whatever the id, a slug as Alembic's.
SELECT name, octet_length(name) <= 255 AND name !~ '/' AS safe FROM exported
WHERE revision !~ '^(h|x1|y1|m1|n|3)' ORDER BY revision COLLATE "C";
CREATE FUNCTION pg_temp.name_of(id text, message text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM migrate.revision(message, rev_id => id, head => 'base');
	result := migrate.file_name(id);
	PERFORM migrate.drop(id);
	RETURN result;
END $$;
SELECT pg_temp.name_of('0001', '!!!');
SELECT pg_temp.name_of('0001', '  Add -- a  Table, (now)! ');
SELECT pg_temp.name_of('0001', E'two\nlines');
SELECT pg_temp.name_of('0001', 'a' || repeat('b', 38) || 'c');
SELECT pg_temp.name_of('0001', 'a' || repeat('b', 38) || 'cd');
SELECT pg_temp.name_of('0001', 'one two three four five six seven eight nine ten');
SELECT pg_temp.name_of('1', 'Größe ändern – jetzt');
SELECT octet_length(pg_temp.name_of(repeat('x', 255), 'm')),
	octet_length(pg_temp.name_of(repeat('x', 240), 'one two three'));
SELECT pg_temp.name_of(repeat('x', 254) || 'a', 'm') <> pg_temp.name_of(repeat('x', 254) || 'b',
	'm');
SELECT migrate.export(NULL);
SELECT migrate.file_name(NULL);
SELECT pg_temp.regress_error($$SELECT migrate.export('nowhere')$$);
SELECT pg_temp.regress_error($$SELECT migrate.file_name('h')$$);
SELECT pg_temp.regress_error($$SELECT migrate.export('head')$$);
SELECT pg_temp.regress_error($$SELECT migrate.export('base')$$);

-- The date does not depend on the session's settings.
SELECT migrate.load(E'-- m\n-- Revision ID: d' || n || E'\n-- Revises:\n-- Create Date: ' || d
	|| E'\n-- migrate:up\n')
FROM (VALUES (1, '2025-11-04 10:00:00.123456+05:30'), (2, '2025-11-04 10:00'), (3,
	'0044-03-15 12:00:00+00 BC'),
	(4, 'infinity'), (5, '-infinity'), (6, '2025-11-04T10:00:00Z'), (7, 'Tue Nov  4 10:00:00 2025'
		' UTC')) AS t (n, d);
SET TimeZone = 'America/St_Johns';
SET DateStyle = 'SQL, DMY';
SELECT revision, substring(migrate.export(revision) FROM 'Create Date: [^\n]*')
	FROM migrate.revisions WHERE revision ~ '^d' ORDER BY 1;
SELECT bool_and(migrate.load(migrate.export(revision)) = revision) FROM migrate.revisions
	WHERE revision ~ '^d';
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT revision, created_at FROM migrate.revisions WHERE revision ~ '^d' ORDER BY 1;

-- Loading again: nothing, replaced, refused.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
CREATE FUNCTION pg_temp.content(id text, parents text, up text, down text DEFAULT 'SELECT 0;',
	more text DEFAULT '', message text DEFAULT 'm')
RETURNS text LANGUAGE sql AS $$
	SELECT format(E'-- %s\n--\n-- Revision ID: %s\n-- Revises: %s\n%s'
		'-- Create Date: 2025-01-01 00:00:00+00\n\n'
		'-- migrate:up\n%s\n\n-- migrate:down\n%s\n', message, id, parents, more, up, down)
$$;
CREATE FUNCTION pg_temp.load_error(content text, name text DEFAULT 'f.sql') RETURNS text
LANGUAGE sql AS $$
	SELECT pg_temp.regress_error(format('SELECT migrate.load(%L, %L)', content, name))
$$;
CREATE FUNCTION pg_temp.locks() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM pg_locks
	WHERE pid = pg_backend_pid()
		AND (locktype = 'advisory'
			OR mode NOT IN ('AccessShareLock', 'ExclusiveLock', 'SIReadLock'))
$$;
SELECT migrate.load(pg_temp.content('aa01', '', 'SELECT 1;'));
SELECT migrate.load(pg_temp.content('aa02', 'aa01', 'SELECT 2;', more => E'-- Branch Labels:'
	' branch\n'));
BEGIN;
SELECT migrate.load(pg_temp.content('aa02', 'aa01', E'SELECT 2;\r', more => E'-- Branch Labels:'
	' branch\n'));
SELECT pg_temp.locks() AS locks;
SELECT migrate.load(pg_temp.content('aa02', 'aa01', E'SELECT 22;', more => E'-- Branch Labels:'
	' branch\n'));
SELECT pg_temp.locks() > 0 AS locked;
SELECT pg_temp.shown('aa02');
ROLLBACK;
-- Parents by prefix and by label; what is stored is the id.
SELECT migrate.load(pg_temp.content('bb01', 'aa02', ''));
SELECT migrate.load(pg_temp.content('ee02', 'bb0', ''));
SELECT migrate.load(pg_temp.content('cc', 'branch, bb01', '', more => E'-- Depends On: aa01\n'));
SELECT pg_temp.load_error(pg_temp.content('dd', 'aa0', ''), 'd.sql');
SELECT revision, down_revisions, depends_on FROM migrate.revisions ORDER BY 1;
-- Of an applied revision, message, labels and downgrade can change.
SELECT migrate.upgrade('aa02');
SELECT migrate.load(pg_temp.content('aa02', 'aa01', 'SELECT 2;', 'SELECT 3;', E'-- Branch Labels:'
	' other\n', 'n'));
SELECT pg_temp.shown('aa02');
SELECT pg_temp.load_error(pg_temp.content('aa02', 'aa01', 'SELECT 3;'));
SELECT pg_temp.load_error(pg_temp.content('aa02', '', 'SELECT 2;'));
SELECT pg_temp.load_error(replace(migrate.export('aa02'), 'migrate:up',
	'migrate:up transaction:false'));
-- Nor does a revision slip in below an applied one.
SELECT migrate.load(pg_temp.content('aa00', '', ''));
SELECT pg_temp.load_error(pg_temp.content('aa01', 'aa00', 'SELECT 1;'));
SELECT pg_temp.load_error(pg_temp.content('aa01', '', 'SELECT 1;', more => E'-- Depends On:'
	' aa00\n'));
SELECT migrate.drop('aa00');
-- Cycles, and labels that are taken.
SELECT pg_temp.load_error(pg_temp.content('bb01', 'ee02', ''));
SELECT pg_temp.load_error(pg_temp.content('bb01', 'aa02', '', more => E'-- Depends On: ee02\n'));
SELECT pg_temp.load_error(pg_temp.content('dd', 'base', '', more => E'-- Branch Labels: other\n'));
SELECT pg_temp.load_error(pg_temp.content('other', 'base', ''));
SELECT pg_temp.load_error(pg_temp.content('dd', 'base', '', more => E'-- Branch Labels: aa01\n'));

-- Files of dbmate: the parent is the one before; out of order with a NOTICE.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SELECT migrate.load(E'-- migrate:up\nSELECT 1;\n-- migrate:down\n', '20240101_one.sql');
SELECT migrate.load(E'-- migrate:up\nSELECT 3;\n', '20240103_three.sql');
SELECT migrate.load(E'-- migrate:up\nSELECT 2;\n', '20240102_two.sql');
SELECT migrate.load(E'-- migrate:up\nSELECT 4;\n', '20240104_four.sql');
-- Again, and changed, they keep their parents.
SELECT migrate.load(E'-- migrate:up\nSELECT 3;\n', '20240103_three.sql');
SELECT migrate.load(E'-- migrate:up\nSELECT 33;\n', '20240103_three.sql');
SELECT revision, down_revisions, message, upgrade_sql FROM migrate.revisions ORDER BY 1;
-- Exported they have a header, and loading that changes nothing.
BEGIN;
SELECT bool_and(migrate.load(migrate.export(revision)) = revision) FROM migrate.revisions;
SELECT pg_temp.locks() AS locks;
ROLLBACK;
SELECT migrate.revision('branch', rev_id => 'b', head => 'base');
SELECT pg_temp.regress_error($$SELECT migrate.load('-- migrate:up', '20240105_five.sql')$$);

-- Directories of the server.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
\set dir `mktemp -d`
\setenv MIGRATE_TEST_DIR :dir
\! chmod 755 "$MIGRATE_TEST_DIR"
\! cd "$MIGRATE_TEST_DIR" && mkdir native dbmate bad empty native/sub.sql
\setenv NATIVE :dir/native
\setenv DBMATE :dir/dbmate
SELECT set_config('regress.dir', :'dir', false) = '';
CREATE FUNCTION pg_temp.dir_error(sub text, format text DEFAULT 'auto') RETURNS text
	LANGUAGE sql AS $$
	SELECT replace(pg_temp.regress_error(pg_catalog.format('SELECT migrate.load_directory(%L, %L)',
		current_setting('regress.dir') || sub, format)), current_setting('regress.dir'), '<dir>')
$$;
-- Parents come before children, whatever the files are called; other files
-- do not count.
\! printf -- '-- one\n-- Revision ID: first\n-- Revises:\n' > "$NATIVE/z.sql"
\! printf -- '-- migrate:up\nSELECT 1;\n' >> "$NATIVE/z.sql"
\! printf -- '\357\273\277-- zw\303\266lf\r\n-- Revision ID: two\r\n' > "$NATIVE/m.sql"
\! printf -- '-- Revises: fir\r\n-- Branch Labels: l\r\n' >> "$NATIVE/m.sql"
\! printf -- '-- migrate:up\r\nSELECT 2;\r\n' >> "$NATIVE/m.sql"
\! printf -- '-- three\n-- Revision ID: three\n-- Revises: l\n' > "$NATIVE/a.sql"
\! printf -- '-- migrate:up\nSELECT 3;\n' >> "$NATIVE/a.sql"
\! cd "$NATIVE" && echo bad > .hidden.sql && echo bad > README.md && echo bad > x.sql~
SELECT migrate.load_directory(:'dir' || '/native');
SELECT revision, down_revisions, message FROM migrate.revisions ORDER BY 1;
-- Again: nothing, and no lock.
BEGIN;
SELECT migrate.load_directory(:'dir' || '/native/');
SELECT pg_temp.locks() AS locks;
ROLLBACK;
-- Nothing to load is an error.
SELECT pg_temp.dir_error('/empty');
\! cd "$MIGRATE_TEST_DIR/empty" && mkdir a.sql && : > b.SQL
SELECT pg_temp.dir_error('/empty');
-- What changed, only.
\! echo '-- more' >> "$NATIVE/a.sql"
SELECT migrate.load_directory(:'dir' || '/native', 'native');
SELECT pg_temp.dir_error('/native', 'dbmate');
SELECT pg_temp.dir_error('/native', 'alembic');
-- The whole of it or nothing.
\! echo '-- even more' >> "$NATIVE/a.sql"
\! printf -- '-- m\n-- Revision ID: four\n-- Revises: three\n' > "$NATIVE/zz.sql"
\! printf -- '-- migrate:up\nSELECT 4;\n\nSELEC 4;\n' >> "$NATIVE/zz.sql"
SELECT pg_temp.dir_error('/native');
\! printf -- '-- m\n-- Revision ID: four\n-- Revises: nowhere\n-- migrate:up\n' > "$NATIVE/zz.sql"
SELECT pg_temp.dir_error('/native');
\! printf -- '-- m\n-- Revision ID: two\n-- Revises: first\n-- migrate:up\n' > "$NATIVE/zz.sql"
SELECT pg_temp.dir_error('/native');
\! printf -- '-- m\n-- Revision ID: first\n-- Revises: three\n-- migrate:up\n' > "$NATIVE/z.sql"
\! rm "$NATIVE/zz.sql"
SELECT pg_temp.dir_error('/native');
SELECT revision, down_revisions, upgrade_sql FROM migrate.revisions ORDER BY 1;
-- Files that are no text.
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- migrate:up\n-- \377\n' > 1_a.sql
SELECT pg_temp.dir_error('/bad');
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- migrate:up\n\n-- \000\n' > 1_a.sql
SELECT pg_temp.dir_error('/bad');
\! cd "$MIGRATE_TEST_DIR/bad" && rm 1_a.sql && ln -s nowhere 1_a.sql
SELECT pg_temp.dir_error('/bad');
SELECT pg_temp.dir_error('/missing');
SELECT pg_temp.dir_error('/native/a.sql');
SELECT pg_temp.regress_error($$SELECT migrate.load_directory('')$$);
SELECT migrate.load_directory(NULL);
-- A directory of dbmate loads as it is.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
\! printf -- '-- migrate:up\nSELECT 1;\n\n' > "$DBMATE/20240101_create_users.sql"
\! printf -- '-- migrate:down\nSELECT 0;\n' >> "$DBMATE/20240101_create_users.sql"
\! printf -- '-- migrate:up transaction:false\nVACUUM;\n' > "$DBMATE/20240102_tidy_up.sql"
SELECT pg_temp.dir_error('/dbmate', 'native');
SELECT migrate.load_directory(:'dir' || '/dbmate', 'dbmate');
\! printf -- '-- migrate:up\n' > "$DBMATE/20240103_late.sql"
\! printf -- '-- migrate:up\n' > "$DBMATE/20231231_early.sql"
SELECT migrate.load_directory(:'dir' || '/dbmate');
SELECT migrate.load_directory(:'dir' || '/dbmate');
SELECT revision, down_revisions, message, upgrade_transactional FROM migrate.revisions
	ORDER BY revision;
-- A file with a header may come after one without, and before one.
\! cd "$MIGRATE_TEST_DIR" && mkdir mixed
\! cd "$MIGRATE_TEST_DIR/mixed" && printf -- '-- migrate:up\n' | tee 30_a.sql > 31_b.sql
\! cd "$MIGRATE_TEST_DIR/mixed" && printf -- '-- h\n-- Revision ID: h1\n-- Revises: 31\n' > h.sql
\! cd "$MIGRATE_TEST_DIR/mixed" && printf -- '-- Depends On: 30\n-- migrate:up\n' >> h.sql
BEGIN;
SELECT migrate.load_directory(:'dir' || '/mixed');
SELECT revision, down_revisions, depends_on FROM migrate.revisions ORDER BY 1;
SELECT migrate.load_directory(:'dir' || '/mixed');
\! cd "$MIGRATE_TEST_DIR/mixed" && printf -- '-- migrate:up\n' > 32_c.sql
SELECT migrate.load_directory(:'dir' || '/mixed');
SELECT down_revisions FROM migrate.revisions WHERE revision = '32';
ROLLBACK;
-- Of every name that dbmate takes it makes what dbmate makes of it.
SELECT pg_temp.file(E'-- migrate:up\n', '20240105120000-create-users.sql');
SELECT pg_temp.file(E'-- migrate:up\n', '20240105120001createusers.sql');
SELECT pg_temp.file(E'-- migrate:up\n', '/a/20240105120002.sql');
SELECT pg_temp.file(E'-- migrate:up\n', '5_add_e-mail.sql');
SELECT pg_temp.file(E'-- migrate:up\n', 'zz_not_of_dbmate.sql');
\! : > "$DBMATE/seed.sql" && printf -- '-- migrate:up\n' > "$DBMATE/20240104-four.sql"
SELECT pg_temp.dir_error('/dbmate');
SELECT migrate.load_directory(:'dir' || '/dbmate', 'dbmate');
\! printf -- '-- migrate:up\n' > "$DBMATE/20240104b.sql"
SELECT pg_temp.dir_error('/dbmate', 'dbmate');
\! rm "$DBMATE/20240104b.sql" "$DBMATE/seed.sql"
\! rm -r "$MIGRATE_TEST_DIR/empty/"* && : > "$MIGRATE_TEST_DIR/empty/a.sql"
SELECT pg_temp.dir_error('/empty', 'dbmate');
-- All files that cannot be taken, in one error.
\! cd "$NATIVE" && rm * 2>/dev/null; cd "$MIGRATE_TEST_DIR/bad" && rm *
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- migrate:up\n\nSELEC 1;\n' > 1_a.sql
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- migrate:up\n-- migrate:down\nDRO;' > 2_b.sql
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- migrate:up\n-- \000\n' > 3_c.sql
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- migrate:up\nSELECT 4;\n' > 4_d.sql
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- +goose Up\nSELECT 5;\n' > 5_e.sql
SELECT pg_temp.dir_error('/bad');
-- Downgrade scripts that cannot be taken are left out on request.
\! cd "$MIGRATE_TEST_DIR/bad" && rm 1_a.sql 3_c.sql 5_e.sql
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- migrate:up\n-- migrate:down\n\\d;' > 6_f.sql
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- "-- migrate:up\n-- migrate:down\n;'x" > 7_g.sql
SELECT pg_temp.dir_error('/bad');
BEGIN;
SELECT migrate.load_directory(:'dir' || '/bad', allow_broken_downgrades => true);
SELECT migrate.load_directory(:'dir' || '/bad', allow_broken_downgrades => true);
SELECT revision, downgrade_sql IS NULL, downgrade_transactional FROM migrate.revisions
	WHERE revision IN ('2', '4', '6', '7') ORDER BY 1;
SELECT migrate.stamp('2');
SELECT migrate.downgrade('-1');
ROLLBACK;
\! cd "$MIGRATE_TEST_DIR/bad" && printf -- '-- migrate:up\nSELEC;\n' > 4_d.sql
SELECT pg_temp.regress_error(format('SELECT migrate.load_directory(%L, %L, true)',
	:'dir' || '/bad', 'auto'));
SELECT migrate.load_directory(:'dir' || '/bad', allow_broken_downgrades => NULL);
-- Parents that are nowhere.
\! cd "$MIGRATE_TEST_DIR/bad" && rm *
\! cd "$NATIVE" && printf -- '-- a\n-- Revision ID: aa\n-- Revises: zz\n-- migrate:up' > a.sql
\! cd "$NATIVE" && printf -- '-- b\n-- Revision ID: bb\n-- Revises: aa, yy\n' > b.sql
\! cd "$NATIVE" && printf -- '-- Depends On: xx\n-- migrate:up' >> b.sql
SELECT pg_temp.dir_error('/native');
-- It needs the rights of pg_read_server_files.
CREATE ROLE regress_migrate_loader;
GRANT USAGE ON SCHEMA migrate TO regress_migrate_loader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA migrate TO regress_migrate_loader;
SET ROLE regress_migrate_loader;
SELECT pg_temp.dir_error('/dbmate');
SELECT pg_temp.dir_error('/missing');
RESET ROLE;
GRANT pg_read_server_files TO regress_migrate_loader;
SET ROLE regress_migrate_loader;
SELECT migrate.load_directory(:'dir' || '/dbmate');
SELECT pg_temp.dir_error('/native');
RESET ROLE;
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
DROP ROLE regress_migrate_loader;
\! rm -r "$MIGRATE_TEST_DIR"
-- Files of other tools, and markers that are almost ours.
SELECT pg_temp.file(E'-- migrate: up\nSELECT 1;\n', '1_a.sql');
SELECT pg_temp.file(E'--  Migrate:Down\nSELECT 1;\n', '1_a.sql');
SELECT pg_temp.file(E'-- migrates up to ten users\nSELECT 1;\n', '1_a.sql');
SELECT pg_temp.file(E'-- migrate upstream\nSELECT 1;\n', '1_a.sql');
SELECT pg_temp.file(E'-- +goose Up\n-- +goose StatementBegin\n', '00001_a.sql');
SELECT pg_temp.file(E'-- +migrate Up\nSELECT 1;', '1_a.sql');
SELECT pg_temp.file(E'--liquibase formatted sql\n--changeset nvoxland:1\nSELECT 1;', '1_a.sql');
SELECT pg_temp.file(E'-- Up Migration\nSELECT 1;', '1_a.sql');
SELECT pg_temp.file(E'# --- !Ups\nSELECT 1;', '1.sql');
SELECT pg_temp.file(E'-- Deploy flipr:appschema to pg\nBEGIN;', 'appschema.sql');
SELECT pg_temp.file(E'CREATE TABLE a (b int);\n--> statement-breakpoint\n', '0000_a.sql');
SELECT pg_temp.file(E'CREATE TABLE a ();', 'V1__a.sql');
SELECT pg_temp.file(E'CREATE TABLE a ();', '/x/R__a.sql');
SELECT pg_temp.file(E'CREATE TABLE a ();', '000001_a.up.sql');
SELECT pg_temp.file(E'CREATE TABLE a ();', 'up.sql');
SELECT pg_temp.file(E'CREATE TABLE a ();', 'migration.sql');
-- Two branches that chose one id.
SELECT migrate.load(E'-- add invoices\n-- Revision ID: 0001\n-- Revises:\n-- migrate:up\nSELECT 1;',
	'0001_add_invoices.sql');
SELECT migrate.load(E'-- add payments\n-- Revision ID: 0001\n-- Revises:\n-- migrate:up\nSELECT 2;',
	'0001_add_payments.sql');
SELECT migrate.load(E'-- add payment\n-- Revision ID: 0001\n-- Revises:\n-- migrate:up\nSELECT 2;',
	'0001_add_payments.sql');
SELECT migrate.upgrade();
SELECT pg_temp.regress_error($$SELECT migrate.load(
	E'-- add invoices\n-- Revision ID: 0001\n-- Revises:\n-- migrate:up\nSELECT 1;', 'i.sql')$$);
-- A file with CRLF makes the same database as one with LF.
SELECT migrate.load(replace('-- two
-- Revision ID: 0002
-- Revises: 0001
-- migrate:up
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$
SELECT ''a
b'' $$;
', E'\n', E'\r\n'));
SELECT upgrade_sql LIKE E'%\r%' FROM migrate.revisions WHERE revision = '0002';
SELECT migrate.revision('three', E'SELECT $$a\r\nb\r\r\nc\rd$$\r\n', E'SELECT\r\n1', '0003');
SELECT replace(upgrade_sql, E'\r', '<CR>'), replace(downgrade_sql, E'\r', '<CR>')
	FROM migrate.revisions WHERE revision = '0003';
SELECT migrate.load(migrate.export('0003'));
-- Numbers that are not quoted.
SELECT migrate.upgrade(1);
SELECT migrate.downgrade(-1);
-- Many files that a client sends.
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
CREATE TEMP TABLE sent (name text, content text);
INSERT INTO sent VALUES
	('z.sql', E'-- one\n-- Revision ID: a1\n-- Revises:\n-- migrate:up\nSELECT 1;\n'
		'-- migrate:down\n'),
	('y.sql', E'\uFEFF-- zwölf\n-- Revision ID: b2\n-- Revises: a1\n-- migrate:up\r\n'
		'SELECT 2;\r\n'),
	('x''s "odd" %.sql', E'-- three\n-- Revision ID: c3\n-- Revises: b2\n-- migrate:up\n'
		'SELECT $$\n-- migrate:down\n$$;\n\n-- migrate:down transaction:false\nVACUUM;\n\n');
CREATE FUNCTION pg_temp.load_sent(prune bool DEFAULT false, broken bool DEFAULT false)
RETURNS SETOF text LANGUAGE sql AS $$
	SELECT migrate.load_files(array_agg(convert_to(content, 'UTF8') ORDER BY name),
		array_agg(name ORDER BY name), prune, broken) FROM sent
$$;
CREATE FUNCTION pg_temp.sent_error(prune bool DEFAULT false) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.regress_error(format('SELECT pg_temp.load_sent(%L)', prune))
$$;
CREATE TEMP VIEW sent_status AS
	SELECT s.* FROM (SELECT array_agg(convert_to(content, 'UTF8')) AS f, array_agg(name) AS n
		FROM sent) a, migrate.file_status(a.f, a.n) WITH ORDINALITY s ORDER BY s.ordinality;
SELECT * FROM pg_temp.sent_status;
SELECT pg_temp.load_sent();
SELECT revision, down_revisions, message, replace(upgrade_sql, E'\r', '<CR>'), downgrade_sql,
	downgrade_transactional FROM migrate.revisions ORDER BY 1;
-- Again: nothing, and no lock.
BEGIN;
SELECT pg_temp.load_sent();
SELECT pg_temp.locks() AS locks;
ROLLBACK;
SELECT migrate.upgrade('b2');
SELECT * FROM pg_temp.sent_status;
-- What is recognized without parsing is what parsing would find: an error is seen, and
-- so is a change of anything.
CREATE FUNCTION pg_temp.seen(id text, what text, by text) RETURNS text LANGUAGE sql AS $$
	SELECT s.state || coalesce(': ' || s.detail, '') FROM (
		SELECT array_agg(convert_to(CASE WHEN content LIKE '%ID: ' || id || '%'
			THEN replace(content, what, by) ELSE content END, 'UTF8')) AS f, array_agg(name) AS n
		FROM sent) a, migrate.file_status(a.f, a.n) s WHERE s.revision = id
$$;
SELECT pg_temp.seen('c3', 'VACUUM;', 'VACUUM; '), pg_temp.seen('c3', 'VACUUM;', 'VACUUM'),
	pg_temp.seen('c3', 'down transaction:false', 'down  transaction:false'),
	pg_temp.seen('c3', E'$$;\n\n', E'$$;\n'), pg_temp.seen('c3', E'$$;\n', '$$;'),
	pg_temp.seen('c3', 'Revises: b2', 'Revises: a1');
SELECT pg_temp.seen('c3', 'down transaction:false', 'down');
SELECT pg_temp.seen('c3', E'\n-- migrate:down\n$$', '$$');
SELECT pg_temp.seen('c3', E'-- migrate:down transaction:false\nVACUUM;\n', '');
SELECT pg_temp.seen('c3', 'VACUUM;', E'VACUUM;\n-- migrate:down');
SELECT pg_temp.seen('c3', 'SELECT $$', 'SELECT');
SELECT pg_temp.seen('a1', '-- migrate:down', E'\t\n -- migrate:down\n');
SELECT pg_temp.seen('a1', 'SELECT 1;', E'BEGIN;\nSELECT 1;\nCOMMIT;');
SELECT pg_temp.seen('a1', '-- one', '-- eins'), pg_temp.seen('b2', 'SELECT 2', 'SELECT 22');
UPDATE migrate.revisions SET upgrade_sql = 'SELECT 11' WHERE revision = 'a1';
SELECT * FROM pg_temp.sent_status;
UPDATE migrate.revisions SET upgrade_sql = 'SELECT 1;' WHERE revision = 'a1';
-- Pruned is what is in no file, not applied and not needed.
SELECT migrate.revision('of nobody', rev_id => 'd4');
SELECT migrate.revision('nor this', rev_id => 'e5', depends_on => '{d4}', head => 'base');
SELECT migrate.revision('of a file', rev_id => 'f6', head => 'base');
SELECT migrate.revision('needed', rev_id => 'aa', head => 'base');
INSERT INTO sent VALUES ('f.sql', E'-- of a file\n-- Revision ID: f6\n-- Revises:\n'
	'-- Depends On: aa\n-- migrate:up\n');
SELECT * FROM pg_temp.sent_status;
SELECT pg_temp.load_sent(true);
SELECT pg_temp.load_sent(true);
SELECT revision FROM migrate.revisions ORDER BY 1;
SELECT string_agg(h, ',') FROM migrate.heads() h;
-- Refused as a whole.
INSERT INTO sent VALUES ('g.sql', E'-- g\n-- Revision ID: f6\n-- Revises:\n-- migrate:up\n');
SELECT pg_temp.sent_error();
UPDATE sent SET content = '-- x' WHERE name IN ('g.sql', 'y.sql');
SELECT pg_temp.sent_error();
SELECT pg_temp.regress_error($$SELECT migrate.load_files('{}', '{}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.load_files('{a,b}', '{a}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.load_files(ARRAY[NULL::bytea], '{a}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.load_files(NULL, '{a}')$$);
SELECT pg_temp.regress_error($$SELECT migrate.load_files('{a}', NULL)$$);
SELECT pg_temp.regress_error($$SELECT migrate.load_files('{a}', '{a}', NULL)$$);
SELECT pg_temp.regress_error(
	$$SELECT migrate.load_files(ARRAY['\xff'::bytea, '\x00'], '{a.sql,b}')$$);
SELECT pg_temp.regress_error($$SELECT * FROM migrate.file_status('{}', '{}')$$);
-- An error names the file, too, and the line in it.
DELETE FROM sent;
INSERT INTO sent VALUES ('dir/1 "odd".sql', E'-- m\n-- Revision ID: x1\n-- Revises: c3\n\n'
	'-- migrate:up\nSELECT 1;\n\nSELECT 1/0;\n\n-- migrate:down\n\nSELECT 2/0;\n');
SELECT migrate.stamp('c3', purge => true);
SELECT migrate.load(content, name) FROM sent;
SELECT migrate.upgrade('x1');
CALL migrate.upgrade_stepwise('x1');
SELECT migrate.stamp('x1');
SELECT migrate.downgrade('-1');
SELECT file_name, upgrade_line, downgrade_line FROM migrate.revisions WHERE revision = 'x1';
-- Another place of the same text is noted, and is no change of the revision.
UPDATE sent SET name = 'x.sql', content = replace(content, E'c3\n\n', E'c3\n-- Create Date:'
	' 2025-01-01\n\n\n');
SELECT migrate.load_files(array_agg(convert_to(content, 'UTF8')), array_agg(name)) FROM sent;
SELECT file_name, upgrade_line, downgrade_line FROM migrate.revisions WHERE revision = 'x1';
SELECT migrate.downgrade('-1');
-- Where nothing can be written, it waits.
UPDATE sent SET name = 'y.sql';
BEGIN READ ONLY;
SELECT migrate.load_files(array_agg(convert_to(content, 'UTF8')), array_agg(name)) FROM sent;
SELECT migrate.load(content, name) FROM sent;
ROLLBACK;
SELECT file_name FROM migrate.revisions WHERE revision = 'x1';
-- Where it came from is not known any more.
SELECT migrate.edit('x1', downgrade => 'SELECT 3/0');
SELECT migrate.downgrade('-1');
SELECT migrate.edit('x1', message => 'other');
SELECT migrate.load(migrate.export('x1'));
SELECT file_name, upgrade_line, downgrade_line FROM migrate.revisions WHERE revision = 'x1';
SELECT migrate.load(replace(migrate.export('x1'), 'other', 'another'));
SELECT file_name, upgrade_line, downgrade_line FROM migrate.revisions WHERE revision = 'x1';
