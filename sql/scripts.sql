--
-- Scripts: permitted contents, the text that is stored, and positions of errors.
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
\pset format unaligned
\pset tuples_only on

\set srcdir `echo "${MIGRATE_SRCDIR:-.}"`
\set ECHO none
\i :srcdir/sql/include/regress_error.sql
\set ECHO all
-- Return the stored form of an upgrade script, in brackets, or the error.
CREATE FUNCTION pg_temp.script(script text, transactional bool DEFAULT true) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	result := pg_temp.regress_error(format(
		'SELECT migrate.revision(''m'', %L, rev_id => ''r1'', transactional => %L)',
		script, transactional));
	IF result = 'no error' THEN
		SELECT '[' || upgrade_sql || ']' INTO result FROM migrate.revisions;
		-- The stored form is stored unchanged.
		PERFORM migrate.edit('r1', upgrade_sql, '') FROM migrate.revisions;
		IF result IS DISTINCT FROM (SELECT '[' || upgrade_sql || ']' FROM migrate.revisions) THEN
			result := result || ' is not stable';
		END IF;
		PERFORM migrate.drop('r1');
	END IF;
	RETURN replace(result, E'\r', '<CR>');
END $$;

-- Trailing white space is removed, nothing else; lines keep their numbers.
SELECT pg_temp.script('');
SELECT pg_temp.script(E' \t\n \r\n  ');
SELECT pg_temp.script(E'\n \n  SELECT 1 ;\n\n  SELECT 2;\t \r\n\n');
SELECT pg_temp.script(E'SELECT 1;\r\nSELECT 2;\r\n');
SELECT pg_temp.script('-- only a comment');
SELECT pg_temp.script(';;');
SELECT pg_temp.script(E'SELECT \'a\n\n\';\n\n');

-- Syntax errors, with the line number.
SELECT pg_temp.script('SELEC 1');
SELECT pg_temp.script(E'\n\nSELECT 1;\n\nSELECT )');
SELECT pg_temp.script(E'SELECT 1;\r\nSELECT 2;\r\nSELECT )');
SELECT pg_temp.script(E'SELECT 1;\n\nSELECT ''abc;\nSELECT 2;');
SELECT pg_temp.script(E'SELECT 1;\n/* abc;\nSELECT 2;');
SELECT pg_temp.script(E'SELECT 1;\nDO $a$ abc;\nSELECT 2;');
SELECT pg_temp.script(E'SELECT 1;\nSELECT "abc;');
SELECT pg_temp.script(E'SELECT 1;\nSELECT "";');
SELECT pg_temp.script(E'SELECT 1;\nSELECT 1 FROM');
SELECT pg_temp.script(E'SELECT 1;\nSELECT U&''\\00zz''');
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', 'SELECT 1', E'\nSELECT 1;\nDROP',
	rev_id => 'r1')$$);
SELECT migrate.revision('m', 'SELECT 1', rev_id => 'r1');
SELECT pg_temp.regress_error($$SELECT migrate.edit('r1', E'SELECT 1;\nDROP')$$);
SELECT pg_temp.regress_error($$SELECT migrate.edit('r1', downgrade => E'SELECT 1;\n\nDROP')$$);
SELECT upgrade_sql, downgrade_sql IS NULL FROM migrate.revisions;
SELECT migrate.drop('r1');

-- Only the statement is quoted, and the position is relative to it, in characters,
-- not bytes.
\set SHOW_CONTEXT always
SELECT migrate.revision('m', E'SELECT 1;\n\n-- Größe\nSELECT ''äöü€'', frm x where;\nSELECT 2;',
	rev_id => 'r1');
SELECT migrate.revision('m', E'SELECT ''äöü€'';\n\\i größe.sql\nSELECT 2;', rev_id => 'r1');
SELECT migrate.revision('m', E'SELECT ''äöü€''; /* ü */ DISCARD /* ü */ ALL; SELECT 2;',
	rev_id => 'r1');
\set SHOW_CONTEXT errors
-- Of a long statement, only the text around the position is quoted.
SELECT length(pg_temp.script('SELECT ' || repeat('''ä'', ', 1000000) || ' frm x where;')) < 300;
SELECT pg_temp.script(E'SELECT 1;\nSELECT ''' || repeat('ä', 1000000));

-- A BEGIN and COMMIT that enclose the whole script are removed; comments remain,
-- and lines keep their numbers.
SELECT pg_temp.script('BEGIN; SELECT 1; COMMIT;');
SELECT pg_temp.script(E'BEGIN;\n\nSELECT 1;\nSELECT 2;\n\nCOMMIT;\n');
SELECT pg_temp.script(E'-- first\nbegin transaction;\n  -- second\n  SELECT 1;\nend;\n-- third\n');
SELECT pg_temp.script(E'START TRANSACTION; -- why\nSELECT 1;\nCOMMIT WORK -- last');
SELECT pg_temp.script(E'BEGIN /* a */ ; SELECT 1; COMMIT /* b */');
SELECT pg_temp.script(E'BEGIN;\nCOMMIT;');
SELECT pg_temp.script(E'BEGIN; COMMIT;-- migrate:up');
-- Other transaction control is refused.
SELECT pg_temp.script(E'BEGIN;\nSELECT 1;');
SELECT pg_temp.script(E'SELECT 1;\n-- now\nEnd;\nSELECT 2');
SELECT pg_temp.script(E'SELECT 1;\n/* x */ ABORT');
SELECT pg_temp.script(E'SELECT 1;\nCOMMIT;');
SELECT pg_temp.script(E'BEGIN;\nSELECT 1;\nCOMMIT;\nSELECT 2;');
SELECT pg_temp.script(E'BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT;');
SELECT pg_temp.script('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT;');
SELECT pg_temp.script('BEGIN; SELECT 1; COMMIT AND CHAIN;');
SELECT pg_temp.script('BEGIN; SELECT 1; ROLLBACK;');
SELECT pg_temp.script('SAVEPOINT a');
SELECT pg_temp.script('ROLLBACK TO a');
SELECT pg_temp.script('RELEASE a');
SELECT pg_temp.script('ROLLBACK');
SELECT pg_temp.script('COMMIT PREPARED ''a''');
SELECT pg_temp.script('PREPARE TRANSACTION ''a''');
-- In a function body or a string it is not transaction control.
SELECT pg_temp.script('CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; '
	'SELECT ''BEGIN;''');

-- In a non-transactional script, BEGIN and COMMIT form a group.
SELECT pg_temp.script('BEGIN; SELECT 1; COMMIT;', false);
SELECT pg_temp.script('VACUUM; BEGIN; SELECT 1; COMMIT; SELECT 2; BEGIN; COMMIT;', false);
SELECT pg_temp.script(E'SELECT 1;\nBEGIN;\nSELECT 1;', false);
SELECT pg_temp.script(E'BEGIN;\nBEGIN;\nCOMMIT;', false);
SELECT pg_temp.script(E'SELECT 1;\nCOMMIT;', false);
SELECT pg_temp.script(E'BEGIN;\nVACUUM;\nCOMMIT;', false);
SELECT pg_temp.script('BEGIN READ ONLY; COMMIT;', false);
SELECT pg_temp.script('BEGIN; ROLLBACK;', false);
SELECT pg_temp.script('BEGIN; SAVEPOINT a; COMMIT;', false);

-- Commands that cannot run in a transaction need a non-transactional script.
SELECT s, pg_temp.script(s), pg_temp.script(s, false) FROM (VALUES
	('CREATE INDEX CONCURRENTLY i ON t (a)'),
	('DROP INDEX CONCURRENTLY i'),
	('REINDEX TABLE CONCURRENTLY t'),
	('REINDEX SCHEMA public'),
	('REINDEX DATABASE d'),
	('REINDEX SYSTEM d'),
	('CLUSTER'),
	('VACUUM'),
	('VACUUM ANALYZE t'),
	('CREATE DATABASE d'),
	('DROP DATABASE d'),
	('ALTER DATABASE d SET TABLESPACE s'),
	('CREATE TABLESPACE s LOCATION ''/s'''),
	('DROP TABLESPACE s'),
	('ALTER SYSTEM SET work_mem = 1'),
	('CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p')) AS t (s);
SELECT pg_temp.regress_error($$SELECT migrate.revision('m', 'SELECT 1', 'VACUUM',
	rev_id => 'r1')$$);
-- These do not.
SELECT pg_temp.script(s) FROM (VALUES
	('CREATE INDEX i ON t (a)'), ('DROP INDEX i'), ('REINDEX TABLE t'), ('CLUSTER t USING i'),
	('ANALYZE t'), ('ALTER DATABASE d CONNECTION LIMIT 3'), ('ALTER TABLE t DETACH PARTITION p'),
	('CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p WITH (connect = false)'),
	('CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p WITH (create_slot = false)'),
	('ALTER TYPE t ADD VALUE ''a''')) AS t (s);

-- psql's commands are refused, with a hint.
SELECT pg_temp.script(E'SELECT 1;\n\\i other.sql');
SELECT pg_temp.script(E'\\ir other.sql');
SELECT pg_temp.script(E'\\connect d');
SELECT pg_temp.script(E'SELECT 1 \\gset');
SELECT pg_temp.script(E'SELECT 1 \\gexec');
SELECT pg_temp.script(E'\\set a 1');
SELECT pg_temp.script(E'\\if true');
SELECT pg_temp.script(E'\\copy t FROM ''f''');
SELECT pg_temp.script(E'SELECT 1\\;');
SELECT pg_temp.script(E'SELECT ''\\i'', "\\i", $$\\i$$, E''\\\\i'' /* \\i */ -- \\i');

-- But for pg_dump's lines that forbid psql its commands.
SELECT pg_temp.script(E'-- a dump\n\\restrict abc\n\n\\restrict d9 \nSELECT 1;\n'
	'\\unrestrict d9\n\n');
SELECT pg_temp.script(E'\\restrict abc\r\nSELECT 1;\r\n  \\unrestrict\tabc\r\nSELECT 2 x y', false);
SELECT pg_temp.script(E'\\unrestrict abc');
SELECT pg_temp.script(E'SELECT 1; \\restrict abc\n');
SELECT pg_temp.script(E'SELECT 1\n\\restrict abc\n');
SELECT pg_temp.script(E'/* */ \\restrict abc\n');
SELECT pg_temp.script(E'\\restrict\nSELECT 1;');
SELECT pg_temp.script(E'\\restrict abc \\! id\n');
SELECT pg_temp.script(E'\\restricted abc\n');
SELECT pg_temp.script(E'SELECT ''\n\\restrict abc\n'', $$\n\\unrestrict abc\n$$ /*\n'
	'\\restrict abc\n*/');

-- COPY from the client has its rows in the script, which are no SQL.
SELECT pg_temp.script(E'SELECT 1;\nCOPY t FROM stdin;\n1\tit''s\n\\N\t/* $$ ;\n\\.\n');
SELECT pg_temp.script(E'copy"t"(a,b)from/**/stdin with (format csv, null '';'') ; -- rows\r\n'
	'1,"\r\n\\!\r\n-- migrate:up\r\n\\.\r\nCOPY t.u FROM STDOUT;\n\\.\n\\unrestrict x', false);
SELECT pg_temp.script(E'BEGIN;\nCOPY t FROM stdin;\n1\n\\.\n\nCOMMIT;\n');
SELECT pg_temp.script(E'COPY t FROM stdin;\n1\n\\.\nCOPY u FROM stdin;\n\\.\n\nSELECT 1 x y;');
SELECT pg_temp.script(E'COPY t FROM stdin;\näöü €\n\\.\nCOPY u FROM stdin;\nü\n\\.\nSELECT ü ä ö;');
SELECT pg_temp.script(E'COPY t FROM stdin;\n\\.');
SELECT pg_temp.script(E'SELECT 1;\nCOPY t FROM stdin;\n1\n\\. \n \\.\n\\.x\n');
SELECT pg_temp.script('COPY t (a, b) FROM STDIN WITH (FORMAT csv)');
SELECT pg_temp.script('COPY t (a, b) FROM STDIN;');
SELECT pg_temp.script(E'COPY t FROM stdin; SELECT 1;\n1\n\\.\n');
SELECT pg_temp.script(E'COPY t FROM stdin; /* 1\n*/\n1\n\\.\n');
SELECT pg_temp.script(E'COPY t FROM stdin; -- 1\rSELECT 1;\n1\n\\.\n');
SELECT pg_temp.script(E'COPY t FROM stdin (FORMAT ''Binary'');\n1\n\\.\n');
SELECT pg_temp.script(E'COPY BINARY t FROM stdin;\n1\n\\.\n');
SELECT pg_temp.script(E'SELECT 1;\nCOPY t FROM stdin ENCODING ''utf8'';\n1\n\\.\n');
SELECT pg_temp.script(E'-- migrate:top-level\nCOPY t FROM stdin;\n1\n\\.\n', false);
SELECT pg_temp.script(E'COPY t FROM stdin;\n1\n\\.\n\\copy t FROM stdin\n1\n\\.\n');
-- To the client it is refused.
SELECT pg_temp.script('COPY (SELECT 1) TO STDOUT');
SELECT pg_temp.script('COPY t TO stdout', false);
SELECT pg_temp.script(E'COPY t TO stdin;\n1\n\\.\n');
SELECT pg_temp.script('COPY t FROM ''stdin''; COPY t TO ''stdout''; COPY t FROM PROGRAM ''cat''');
SELECT pg_temp.script('SELECT a FROM stdin; COPY (SELECT a FROM stdin) TO ''f''');

-- A BEGIN and COMMIT with only a large object's data between them mean nothing.
SELECT pg_temp.script(E'SELECT 1;\nBEGIN;\n\nSELECT pg_catalog.lo_open(''1'', 131072);\n'
	'SELECT pg_catalog.lowrite(0, ''\\x00'');\nSELECT pg_catalog.lo_close(0);\n\nCOMMIT;\n');
SELECT pg_temp.script(E'BEGIN; SELECT pg_catalog.lo_close(0); COMMIT;\n'
	'BEGIN; SELECT pg_catalog.lo_close(0); COMMIT;');
SELECT pg_temp.script('SELECT 1; BEGIN; SELECT pg_catalog.lo_close(0); SELECT 1; COMMIT');
SELECT pg_temp.script('SELECT 1; BEGIN; SELECT pg_catalog.lo_close(0); ROLLBACK;');
SELECT pg_temp.script('SELECT 1; BEGIN; SELECT lo_close(0); COMMIT;');
SELECT pg_temp.script('SELECT 1; BEGIN; COMMIT;');

-- Marker lines are allowed in files only.
SELECT pg_temp.script(E'SELECT 1;\n-- migrate:down\nSELECT 2;');
SELECT pg_temp.script(E'--migrate:up transaction:false');
SELECT pg_temp.script(E' -- migrate:up\nSELECT ''\n-- migrate:up\n'', $$\n-- migrate:up\n$$; '
	'/*\n-- migrate:up\n*/ -- migrate:up\n-- migrate:upgrade');

-- Other commands that are refused.
SELECT pg_temp.script(E'SELECT 1;\nDISCARD ALL');
SELECT pg_temp.script('DISCARD TEMP', false);
-- What takes away what the client has, too; what is named is allowed.
SELECT pg_temp.script(E'SELECT 1;\nDEALLOCATE ALL');
SELECT pg_temp.script('DEALLOCATE PREPARE ALL', false);
SELECT pg_temp.script('CLOSE ALL');
SELECT pg_temp.script('UNLISTEN *');
SELECT pg_temp.script('DEALLOCATE a; CLOSE a; UNLISTEN a; LISTEN a; RESET ALL');
-- What holds to the end of a transaction block, where there is none.
SELECT pg_temp.script(E'SELECT 1;\nLOCK TABLE t', false);
SELECT pg_temp.script('DECLARE c CURSOR FOR SELECT 1', false);
SELECT pg_temp.script('BEGIN; LOCK TABLE t; DECLARE c CURSOR FOR SELECT 1; COMMIT; '
	'DECLARE c CURSOR WITH HOLD FOR SELECT 1; SET LOCAL work_mem = 64', false);
SELECT pg_temp.script('LOCK TABLE t; DECLARE c CURSOR FOR SELECT 1; SET LOCAL work_mem = 64');
SELECT pg_temp.script(E'\nSET standard_conforming_strings = off');
SELECT pg_temp.script('SET LOCAL standard_conforming_strings TO ''false''');
SELECT pg_temp.script('SET standard_conforming_strings = 0', false);
SELECT pg_temp.script('SET standard_conforming_strings = on; SET escape_string_warning = off');

-- A script means the same whatever the session's settings; from 19 on this one cannot
-- be off.
SET client_min_messages = error;
DO $$
BEGIN
	SET standard_conforming_strings = off;
EXCEPTION WHEN feature_not_supported THEN
	NULL;
END
$$;
SELECT current_setting('standard_conforming_strings') AS strings \gset
SELECT pg_temp.script(format('SELECT %sa%s, 1', '''', chr(92) || ''''));
SELECT pg_temp.script(format('SELECT %sa%s;', '''', chr(92)));
SELECT current_setting('standard_conforming_strings') = :'strings';
RESET standard_conforming_strings;
RESET client_min_messages;

-- Truncation of an identifier is reported once.
SELECT migrate.revision('m', 'CREATE TABLE ' || repeat('a', 70) || ' ()', rev_id => 'r1');
SELECT migrate.drop('r1');
