--
-- COPY with its rows in the script: the checks, options and errors of COPY FROM STDIN.
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
DROP ROLE IF EXISTS regress_copier;
CREATE ROLE regress_copier;
GRANT USAGE ON SCHEMA migrate TO regress_copier;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO regress_copier;
\pset format unaligned
\pset tuples_only on

\set srcdir `echo "${MIGRATE_SRCDIR:-.}"`
\set ECHO none
\i :srcdir/sql/include/regress_error.sql
\set ECHO all
-- Run a script as a revision of its own, in a transaction; return the error.
CREATE FUNCTION pg_temp.run(script text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM migrate.versions;
	DELETE FROM migrate.applied;
	DELETE FROM migrate.revisions;
	PERFORM migrate.revision('m', script, rev_id => 'r1');
	RETURN pg_temp.regress_error('SELECT migrate.upgrade(''r1'')');
END $$;
CREATE FUNCTION pg_temp.run_as(role text, script text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM migrate.versions;
	DELETE FROM migrate.applied;
	DELETE FROM migrate.revisions;
	PERFORM migrate.revision('m', script, rev_id => 'r1');
	EXECUTE 'SET ROLE ' || role;
	RETURN pg_temp.regress_error('SELECT migrate.upgrade(''r1'')');
END $$;

-- Formats and options.
CREATE TABLE t (a int, b text DEFAULT 'd', g int GENERATED ALWAYS AS (a * 2) STORED);
SELECT pg_temp.run(E'COPY t FROM stdin;\n1\tone\n2\t\\N\n3\tа\\tб\\\\\n\\.\n');
SELECT pg_temp.run(E'COPY t (b, a) FROM STDIN (FORMAT csv, HEADER, DELIMITER '';'', NULL ''-'');\n'
	'x;y\n"one;\ntwo";4\n-;5\n\\.\n');
SELECT pg_temp.run(E'COPY t (a) FROM stdin;\r\n6\r\n7\r\n\\.\r\n'
	'UPDATE t SET b = ''!'' WHERE a > 5;');
SELECT pg_temp.run(E'COPY t FROM stdin CSV QUOTE ''`'';\n8,`\\`\n9,"x"\n\\.\n'
	'COPY t FROM stdin;\n\\.\n');
SELECT pg_temp.run(E'SET client_encoding = ''LATIN1'';\nCOPY t FROM stdin;\n10\täöü€\n\\.\n');
SELECT a, b, g FROM t ORDER BY a;
TRUNCATE t;

-- What COPY writes to.
CREATE TABLE parts (a int) PARTITION BY LIST (a);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE VIEW plain AS SELECT a, b FROM t;
CREATE VIEW instead AS SELECT a, b FROM t;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t (a, b) VALUES (NEW.a, 'instead');
	RETURN NEW;
END $$;
CREATE TRIGGER i INSTEAD OF INSERT ON instead FOR EACH ROW EXECUTE FUNCTION instead();
SELECT pg_temp.run(E'COPY parts FROM stdin;\n1\n1\n\\.\nCOPY instead FROM stdin;\n1\tx\n\\.\n');
SELECT tableoid::regclass, a FROM parts;
SELECT a, b FROM t;
SELECT pg_temp.run(E'COPY plain FROM stdin;\n1\tx\n\\.\n');
SELECT pg_temp.run(E'COPY no_such_table FROM stdin;\n1\tx\n\\.\n');
SELECT pg_temp.run(E'COPY t (a, g) FROM stdin;\n1\tx\n\\.\n');
SELECT pg_temp.run(E'COPY t (a, c) FROM stdin;\n1\tx\n\\.\n');
SELECT pg_temp.run(E'COPY t (a, a) FROM stdin;\n1\t1\n\\.\n');
SELECT pg_temp.run(E'COPY t FROM stdin WITH (no_such_option);\n\\.\n');

-- Errors have the server's own context, and the line of the row in the script.
SELECT pg_temp.run(E'SELECT 1;\n\n-- rows\nCOPY t (a,\n\tb) FROM stdin;\n1\tx\n2\ty\n3x\tz\n\\.\n');
SELECT pg_temp.run(E'COPY t (a) FROM stdin;\n1\n\\.\nCOPY parts FROM stdin;\n1\n2\n\\.\n');
SELECT pg_temp.run(E'COPY t (a, b) FROM stdin CSV;\n1,"x\ny"\n2,"z"\n3,"z\n\\.\n');
SELECT pg_temp.run(E'COPY t (a, b) FROM stdin;\n1\tx\n2\n\\.\n');
SELECT pg_temp.run(E'COPY t (a, b) FROM stdin;\n1\tx\n2\tb\tc\n\\.\n');
SELECT pg_temp.run(E'COPY t (a, b) FROM stdin;\n1\t\\xff\n\\.\n');
ALTER TABLE t ADD CHECK (a < 100);
SELECT pg_temp.run(E'COPY t (a) FROM stdin;\n1\n2\n101\n4\n\\.\n');
SELECT count(*) FROM t;
\set SHOW_CONTEXT always
\set VERBOSITY default
SELECT migrate.upgrade('r1');
\set SHOW_CONTEXT errors
DELETE FROM migrate.revisions;

-- The rights are those of COPY, and so is row-level security.
GRANT SELECT ON t TO regress_copier;
SELECT pg_temp.run_as('regress_copier', E'COPY t FROM stdin;\n1\tx\n\\.\n');
RESET ROLE;
GRANT INSERT (a) ON t TO regress_copier;
SELECT pg_temp.run_as('regress_copier', E'COPY t FROM stdin;\n1\tx\n\\.\n');
RESET ROLE;
SELECT pg_temp.run_as('regress_copier', E'COPY t (a, b) FROM stdin;\n1\tx\n\\.\n');
RESET ROLE;
SELECT pg_temp.run_as('regress_copier', E'COPY t (a) FROM stdin;\n1\n\\.\n');
RESET ROLE;
GRANT INSERT ON t TO regress_copier;
SELECT pg_temp.run_as('regress_copier', E'COPY t FROM stdin;\n2\tx\n\\.\n');
RESET ROLE;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t USING (true);
SELECT pg_temp.run_as('regress_copier', E'COPY t FROM stdin;\n3\tx\n\\.\n');
RESET ROLE;
SELECT pg_temp.run(E'SET row_security = off;\nCOPY t FROM stdin;\n4\tx\n\\.\n');
SELECT a, b FROM t ORDER BY a;
SELECT pg_temp.run(E'SET TRANSACTION READ ONLY;\nCOPY t FROM stdin;\n5\tx\n\\.\n');
SELECT pg_temp.run(E'CREATE TEMP TABLE tt (a int);\nSET TRANSACTION READ ONLY;\n'
	'COPY tt FROM stdin;\n5x\n\\.\n');

-- By hand into the table: without rows, it would speak to the client.
DELETE FROM migrate.revisions;
INSERT INTO migrate.revisions (revision, message, upgrade_sql)
	VALUES ('h1', 'm', 'COPY t FROM stdin');
SELECT migrate.upgrade('h1');
UPDATE migrate.revisions SET upgrade_sql = E'COPY t FROM stdin;\n1\n\\.x';
SELECT migrate.upgrade('h1');
UPDATE migrate.revisions SET upgrade_sql = E'COPY t TO stdout;\n1\n\\.';
SELECT migrate.upgrade('h1');

-- Settings of newer servers that mean no limit are left out; a mistake is one.
SELECT pg_temp.run('SET transaction_timeout = 0; SET idle_session_timeout = 0;'
	' SET LOCAL Transaction_Timeout TO 0; SET statment_timeout = 0');
SELECT pg_temp.run('SET transaction_timeouts = 0');
SELECT pg_temp.run('SET my.transaction_timeout = 0; SET other_timeout = 0');
SELECT pg_temp.run('CREATE TABLE done ();'
	' SET transaction_timeout = 0; SET idle_session_timeout=0');

DROP EXTENSION migrate;
DROP TABLE t, parts, done CASCADE;
DROP FUNCTION instead;
DROP ROLE regress_copier;
