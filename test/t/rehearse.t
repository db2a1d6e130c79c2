#!/usr/bin/perl
#
# migrate.rehearse(): each column, statement by statement; what ends a rehearsal, and that
# nothing is left of it, whatever ends it.  migrate.rehearsal_report() and pg_migrate
# rehearse; the commands of doc/before-you-deploy.md.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

alarm 300;
END { local $?; drop_databases() }
own_roles(qw(mig_rehearse_deployer mig_rehearse_reader mig_rehearse_other));
run_psql('postgres', "CREATE ROLE $_ LOGIN")
  for qw(mig_rehearse_deployer mig_rehearse_reader mig_rehearse_other);

create_database('mig_rehearse');
my $session = connect_to('mig_rehearse');
my $version = $session->value('SHOW server_version_num');
$session->run(<<'SQL');
CREATE TABLE users (id serial PRIMARY KEY, name text, email varchar(50), n int);
CREATE INDEX users_email ON users (email);
INSERT INTO users (name, email, n)
SELECT 'n' || i, 'e' || i, i FROM generate_series(1, 2000) i;
CREATE TABLE notes (id int PRIMARY KEY, author int, body text);
INSERT INTO notes SELECT i, i, 'body' FROM generate_series(1, 500) i;
CREATE TABLE "we""ird" ("a b" int);
CREATE SCHEMA "Ünïcode";
CREATE TABLE "Ünïcode"."x'y\z" (i int);
CREATE TABLE parted (i int) PARTITION BY RANGE (i);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS c FROM users;
CREATE UNIQUE INDEX counted_c ON counted (c);
CREATE VIEW named AS SELECT name FROM users;
CREATE SEQUENCE numbers;
ANALYZE
SQL

# What one script does: the script is that of a revision of its own, rehearsed.  Rows with
# the columns asked for, joined with "|", a null being "-".
my $columns = q{coalesce(array_to_string(locks, ' + '), '-'),
	coalesce(array_to_string(rewrites, ' '), '-'), coalesce(array_to_string(scans, ' '), '-'),
	coalesce(rows_affected::text, '-'), coalesce(problem, '-')};

sub store
{
	my ($in, $script, %options) = @_;
	$in->run('DELETE FROM migrate.revisions');
	$in->run(sprintf
		  q{SELECT migrate.revision('step', %s, %s, rev_id => 'r1', transactional => %s)},
		lit($script), lit($options{downgrade}), $options{stepwise} ? 'false' : 'true');
	return;
}

sub rehearsed
{
	my ($script, %options) = @_;
	store($session, $script, %options);
	my $result = $session->query("SELECT concat_ws('|', " . ($options{columns} // $columns)
		  . ') FROM migrate.rehearse(' . ($options{arguments} // '') . ')');
	return $result->{state} eq '00000' ? $result->{out} : "$result->{state} $result->{message}\n";
}

# Whatever a rehearsal leaves would show here: catalogs' rows, files, contents, locks.
my $state = <<'SQL';
SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_attribute),
	(SELECT count(*) FROM pg_type), (SELECT count(*) FROM pg_depend),
	(SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_proc),
	(SELECT md5(string_agg(c.oid || '=' || c.relfilenode || c.relname, ',' ORDER BY c.oid))
		FROM pg_class c WHERE c.oid >= 16384),
	(SELECT md5(string_agg(u::text, ',' ORDER BY id)) FROM users u),
	(SELECT count(*) FROM notes), (SELECT count(*) FROM migrate.applied),
	(SELECT count(*) FROM migrate.versions),
	(SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
SQL
my $before = $session->value($state);

# ---------------------------------------------------------- locks, files, scans ----

# name, script, locks | rewrites | scans | rows | problem
my $exclusive = 'AccessExclusiveLock on public.users';
my $share_row = 'ShareRowExclusiveLock on public';
for my $case (
	[ 'a column', 'ALTER TABLE users ADD x int', "$exclusive|||-|-" ],
	[ 'a column with a constant', 'ALTER TABLE users ADD x int DEFAULT 1', "$exclusive|||-|-" ],
	[ 'a column with a volatile default', 'ALTER TABLE users ADD x float DEFAULT random()',
		"$exclusive|pg_toast users users_email users_pkey|users|-|-" ],
	[ 'a type that needs a rewrite', 'ALTER TABLE users ALTER n TYPE bigint',
		"$exclusive|pg_toast users users_email users_pkey|users|-|-" ],
	[ 'a longer varchar', 'ALTER TABLE users ALTER email TYPE varchar(60)', "$exclusive|||-|-" ],
	[ 'a shorter varchar', 'ALTER TABLE users ALTER email TYPE varchar(20)',
		"$exclusive|pg_toast users users_email users_pkey|users|-|-" ],
	[ 'another collation: an index alone',
		'ALTER TABLE users ALTER email TYPE varchar(50) COLLATE "C"',
		"$exclusive|users_email|users|-|-" ],
	[ 'NOT NULL', 'ALTER TABLE users ALTER name SET NOT NULL', "$exclusive||users|-|-" ],
	[ 'a check', 'ALTER TABLE users ADD CHECK (n > 0)', "$exclusive||users|-|-" ],
	[ 'a check that is not validated', 'ALTER TABLE users ADD CHECK (n > 0) NOT VALID',
		"$exclusive|||-|-" ],
	[ 'an index', 'CREATE INDEX ON users (n)', 'ShareLock on public.users||users|-|-' ],
	[ 'dropping an index', 'DROP INDEX users_email', "$exclusive|||-|-" ],
	[ 'a primary key', 'ALTER TABLE users DROP CONSTRAINT users_pkey, ADD PRIMARY KEY (id)',
		"$exclusive|users_pkey|users|-|-" ],
	[ 'a foreign key', 'ALTER TABLE notes ADD FOREIGN KEY (author) REFERENCES users',
		"$share_row.notes + $share_row.users||notes users|-|-" ],
	[ 'a foreign key that is not validated',
		'ALTER TABLE notes ADD FOREIGN KEY (author) REFERENCES users NOT VALID',
		"$share_row.notes + $share_row.users|||-|-" ],
	[ 'a new table that refers to one', 'CREATE TABLE t (u int REFERENCES users)',
		'ShareRowExclusiveLock on public.users|||-|-' ],
	[ 'a trigger', <<'SQL', 'ShareRowExclusiveLock on public.users|||-|-' ],
CREATE TRIGGER z BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION
	suppress_redundant_updates_trigger()
SQL
	[ 'a comment', q{COMMENT ON TABLE users IS 'x'},
		'ShareUpdateExclusiveLock on public.users|||-|-' ],
	[ 'a setting of a table', 'ALTER TABLE users SET (fillfactor = 90)',
		'ShareUpdateExclusiveLock on public.users|||-|-' ],
	[ 'a setting of an index', 'ALTER INDEX users_email SET (fillfactor = 90)',
		'ShareUpdateExclusiveLock on public.users_email|||-|-' ],
	[ 'renaming', 'ALTER TABLE users RENAME TO people', "$exclusive|||-|-" ],
	[ 'dropping', 'DROP TABLE users CASCADE', 'AccessExclusiveLock on public.counted'
		  . " + AccessExclusiveLock on public.named + $exclusive + ${exclusive}_id_seq|||-|-" ],
	[ 'rows', 'UPDATE users SET n = 1 WHERE n <= 20',
		'RowExclusiveLock on public.users||users|20|-' ],
	[ 'rows by a key', 'UPDATE users SET n = 1 WHERE id = 20',
		'RowExclusiveLock on public.users|||1|-' ],
	[ 'reading', 'SELECT * FROM users', 'AccessShareLock on public.users||users|2000|-' ],
	[ 'locking rows', 'SELECT 1 FROM users WHERE id = 1 FOR UPDATE',
		'RowShareLock on public.users|||1|-' ],
	[ 'a view', 'SELECT count(*) FROM named',
		'AccessShareLock on public.named + AccessShareLock on public.users||users|1|-' ],
	[ 'a sequence', 'INSERT INTO users (name) VALUES (1)',
		'RowExclusiveLock on public.users + RowExclusiveLock on public.users_id_seq|||1|-' ],
	[ 'COPY', "COPY notes FROM stdin;\n1000\t1\tx\n1001\t1\ty\n\\.\n",
		'RowExclusiveLock on public.notes|||2|-' ],
	[ 'TRUNCATE', 'TRUNCATE notes', 'AccessExclusiveLock on public.notes|||-|-' ],
	[ 'CLUSTER', 'CLUSTER notes USING notes_pkey',
		'AccessExclusiveLock on public.notes|notes notes_pkey pg_toast|notes|-|-' ],
	[ 'REINDEX', 'REINDEX INDEX users_email',
		"${exclusive}_email + ShareLock on public.users|users_email|users|-|-" ],
	[ 'a materialized view', 'REFRESH MATERIALIZED VIEW counted',
		'AccessExclusiveLock on public.counted + AccessShareLock on public.users|counted counted_c'
		  . '|counted users|-|-' ],
	[ 'a partitioned table', 'ALTER TABLE parted ADD x int',
		'AccessExclusiveLock on public.parted + AccessExclusiveLock on public.parted_1|||-|-' ],
	[ 'catalogs', 'SELECT count(*) FROM pg_class', '|||1|-' ],
	[ 'hostile names', q{ALTER TABLE "we""ird" ADD x int},
		'AccessExclusiveLock on public."we""ird"|||-|-' ],
	[ 'Unicode and a quote', q{LOCK "Ünïcode"."x'y\z"},
		q{AccessExclusiveLock on "Ünïcode"."x'y\z"|||-|-} ],
	[ 'nothing that was there',
		'CREATE TABLE t (i int); INSERT INTO t VALUES (1); CREATE INDEX ON t (i);'
		  . ' ALTER TABLE t ALTER i TYPE bigint',
		"|||-|-\n|||1|-\n|||-|-\n|||-|-" ],
	[ 'a lock that is held already', 'LOCK users; UPDATE users SET n = 1 WHERE id = 1; LOCK notes',
		"$exclusive|||-|-\n|||1|-\nAccessExclusiveLock on public.notes|||-|-" ],
	[ 'a lock that becomes stronger', 'SELECT FROM users WHERE id = 1; CREATE INDEX ON users (n);'
		  . ' ALTER TABLE users ADD x int',
		"AccessShareLock on public.users|||1|-\nShareLock on public.users||users|-|-\n"
		  . "$exclusive|||-|-" ],
	[ 'all that is in a block',
		q{DO $$ BEGIN ALTER TABLE users ADD x float DEFAULT random(); END $$},
		"$exclusive|pg_toast users users_email users_pkey|users|-|-" ],
	[ 'renamed and made again', 'ALTER TABLE notes RENAME TO old; CREATE TABLE notes (i int);'
		  . ' LOCK notes',
		"AccessExclusiveLock on public.notes|||-|-\n|||-|-\n|||-|-" ])
{
	my ($name, $script, $expected) = @$case;
	my $rows = rehearsed($script);
	# which has none on older servers
	$rows =~ s/pg_toast\.pg_toast_\d+(?:_index)?(?: |(?=\|))//g;
	$rows =~ s/ (?=\|)//g;
	# the check of a foreign key is a query, which can read the referenced table by its index
	$rows =~ s/\|notes\|/|notes users|/ if $name eq 'a foreign key';
	$expected =~ s/pg_toast ?//g;
	$expected =~ s/ (?=\|)//g;
	is($rows, "$expected\n", $name);
}
is($session->value($state), $before, 'nothing is left of any of them');

is(rehearsed("ALTER TABLE users ALTER n TYPE bigint",
	columns => q{(SELECT count(*) FROM unnest(rewrites) r WHERE r::text LIKE '%toast%')}), "2\n",
	'TOAST tables are among the rewritten');
is(rehearsed("SELECT 1;\n-- two\n\nUPDATE notes\nSET author = 1;",
	columns => 'step, revision, statement, line, sql'),
	"1|r1|1|1|SELECT 1\n1|r1|2|4|UPDATE notes\nSET author = 1\n", 'where a statement is');
is(rehearsed('UPDATE notes SET author = 1; SELECT 1; SELECT pg_sleep(0.2)',
	columns => q{wal_bytes > 20000, wal_bytes = 0, duration >= '0.2 s', duration > '0', waited}),
	"t|f|f|t|00:00:00\nf|t|f|t|00:00:00\nf|t|t|t|00:00:00\n", 'time and WAL');
is(rehearsed(''), '', 'an empty script has no statement');
$session->run('BEGIN', 'SELECT count(*) FROM users', 'LOCK notes');
is(rehearsed('SELECT count(*) FROM notes; SELECT 1; CREATE INDEX ON users (n); SELECT 1'),
	"||notes|1|-\n|||1|-\nShareLock on public.users||users|-|-\n|||1|-\n",
	'what the transaction has done before counts as before');
$session->run('ROLLBACK', 'SET track_counts = off');
is(rehearsed('SELECT count(*) FROM notes'), "AccessShareLock on public.notes||notes|1|-\n",
	'scans are seen with track_counts off');
$session->run('RESET track_counts');

# The way down, and several steps.
$session->run(
	'DELETE FROM migrate.revisions',
	q{SELECT migrate.revision('1', 'CREATE TABLE a (i int)', 'DROP TABLE a', rev_id => '0001')},
	q{SELECT migrate.revision('2', 'CREATE TABLE b (i int)', 'DROP TABLE b', rev_id => '0002')},
	q{SELECT migrate.upgrade()});
is_deeply([ $session->rows(q{SELECT step, revision, statement, sql, locks
	FROM migrate.rehearse('base', 'downgrade')}) ],
	[ '1|0002|1|DROP TABLE b|{"AccessExclusiveLock on public.b"}',
		'2|0001|1|DROP TABLE a|{"AccessExclusiveLock on public.a"}' ], 'a downgrade');
is_deeply([ $session->rows(q{SELECT step, revision, sql, problem
	FROM migrate.rehearse('-1', 'downgrade', round_trip => true)}) ],
	[ '1|0002|DROP TABLE b|', '2|0002|CREATE TABLE b (i int)|' ], '    and back');
is($session->value('SELECT count(*) FROM migrate.rehearse()'), 0, 'nothing to do');
$session->run(q{SELECT migrate.downgrade('base')}, 'SET search_path = nowhere');
is_deeply([ $session->rows(q{SELECT step, revision, problem FROM migrate.rehearse('0002')}) ],
	[ '1|0001|3F000: no schema has been selected to create in' ],
	'the search_path is the caller\'s');
$session->run('RESET search_path');

# ----------------------------------------------------------------- round trip ----

my $trip = 'true';
is(rehearsed('ALTER TABLE users ADD x int', downgrade => 'ALTER TABLE users DROP x',
	arguments => 'round_trip => true', columns => q{step, coalesce(problem, '-')}),
	"1|-\n2|-\n", 'a way back that leads back');
is(rehearsed('ALTER TABLE users ADD x int; CREATE TABLE left_over (i int); DROP VIEW named',
	downgrade => 'ALTER TABLE users DROP x; ALTER TABLE users ALTER name SET NOT NULL',
	arguments => 'round_trip => true',
	columns   => q{step, coalesce(revision, '-'), coalesce(statement::text, '-'),
		coalesce(problem, '-')}),
	<<'OUT', 'a way back that does not');
1|r1|1|-
1|r1|2|-
1|r1|3|-
2|r1|1|-
2|r1|2|-
2|-|-|not as before: table public.left_over was not there before
2|-|-|not as before: column public.users.name differs: not_null: none -> NOT NULL
2|-|-|not as before: view public.named is not there any more
OUT
# What is only printed in another way is as before; where the caller can have no scratch that
# is not known.
$session->run(q{CREATE TABLE checked (s varchar(5) CONSTRAINT c CHECK (s IN ('a', 'b')))});
store($session, 'ALTER TABLE checked DROP CONSTRAINT c',
	downgrade => q{ALTER TABLE checked ADD CONSTRAINT c CHECK (((s)::text =
		ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))});
for my $transaction ('', 'BEGIN')
{
	$session->run($transaction) if $transaction;
	is_deeply([ $session->rows(q{SELECT step, problem
		FROM migrate.rehearse(round_trip => true)}) ], [ '1|', '2|' ],
		'a CHECK that is printed otherwise' . ($transaction && ', in a transaction'));
	$session->run('ROLLBACK') if $transaction;
}
store($session, 'ALTER TABLE checked DROP CONSTRAINT c',
	downgrade => q{ALTER TABLE checked ADD CONSTRAINT c CHECK (s = ANY (ARRAY['a', 'c']))});
like(join('', $session->rows(q{SELECT problem FROM migrate.rehearse(round_trip => true)})),
	qr/^not as before: constraint c on public\.checked differs/m, '    and one that is another');
$session->run('DROP TABLE checked');
is(rehearsed('SELECT 1', arguments => 'round_trip => true',
	columns => q{step, coalesce(statement::text, '-'), coalesce(problem, '-')}),
	qq{1|1|-\n2|-|MG006: revision "r1" has no downgrade script\n}, 'no way back');

# Prepared statements are not rolled back, so they are deallocated.
$session->run('PREPARE mine AS SELECT 1');
for my $script ('PREPARE theirs AS SELECT 2; EXECUTE theirs',
	'PREPARE theirs AS SELECT 2; SELECT 1/0',
	q{DO 'BEGIN EXECUTE ''PREPARE "the""irs" AS SELECT 1''; END'})
{
	store($session, $script);
	$session->run('SELECT migrate.rehearse()') for 1 .. 2;
	is($session->value('SELECT string_agg(name, $$ $$) FROM pg_prepared_statements'), 'mine',
		"nothing is prepared after $script");
}
$session->run('DEALLOCATE mine');

# -------------------------------------------------------------------- failures ----

is(rehearsed('CREATE TABLE t (i int); SELECT 1 / i FROM (VALUES (0)) v (i); SELECT 2',
	columns => q{statement, locks, coalesce(problem, '-')}),
	"1|{}|-\n2|{}|22012: division by zero\n", 'a statement that fails is the last row');
is(rehearsed('INSERT INTO notes VALUES (1)', columns => $columns),
	'RowExclusiveLock on public.notes|||-|23505: duplicate key value violates unique '
	  . qq{constraint "notes_pkey". Key (id)=(1) already exists.\n}, '    with what it had locked');
is(rehearsed(<<'SQL', columns => q{coalesce(statement::text, '-'), coalesce(problem, '-')}),
CREATE TABLE t (i int PRIMARY KEY);
CREATE TABLE u (i int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
INSERT INTO u VALUES (1)
SQL
	"1|-\n2|-\n3|-\n-|23503: insert or update on table \"u\" violates foreign key constraint "
	  . qq{"u_i_fkey". Key (i)=(1) is not present in table "t".\n},
	'the end of a script that fails');
is(rehearsed(q{ALTER TYPE mood ADD VALUE 'x'}, columns => 'problem'),
	qq{42704: type "mood" does not exist\n}, 'what is not there');
is(rehearsed(q{SELECT migrate.rehearse()}, columns => 'problem'),
	"55000: migrate.rehearse() cannot be called from a migration script\n", 'in a script');
store($session, 'SELECT 1');
for my $case (
	[ q{'nothing'} => 'MG001' ], [ q{'head', 'sideways'} => '22023' ], [ 'NULL' => '22004' ],
	[ q{'head', NULL} => '22004' ], [ q{'head', 'upgrade', NULL} => '22004' ],
	[ q{'r1', 'downgrade'} => 'MG005' ])
{
	my ($arguments, $expected) = @$case;
	is($session->query("SELECT migrate.rehearse($arguments)")->{state}, $expected,
		"migrate.rehearse($arguments)");
}
is($session->query('BEGIN READ ONLY; SELECT migrate.rehearse()')->{state}, '25006',
	'in a read-only transaction');
$session->run('ROLLBACK');

# ------------------------------------------------------------- plain forms ----

my $plain = 'ran in its plain form, not as';
is(rehearsed(<<'SQL', stepwise => 1, columns => 'statement, locks, rewrites, problem'),
CREATE INDEX CONCURRENTLY i ON users (n);
REINDEX INDEX CONCURRENTLY users_email;
DROP INDEX CONCURRENTLY i;
REFRESH MATERIALIZED VIEW CONCURRENTLY counted;
VACUUM users;
BEGIN;
CREATE TABLE t (i int);
COMMIT;
INSERT INTO t VALUES (1);
SQL
	<<"OUT", 'non-transactional statements run in their plain form, and are marked');
1|{"ShareLock on public.users"}|{}|$plain CREATE INDEX CONCURRENTLY
2|{"${exclusive}_email"}|{users_email}|$plain REINDEX CONCURRENTLY
3|{"$exclusive"}|{}|$plain DROP INDEX CONCURRENTLY
4|{"AccessExclusiveLock on public.counted"}|{counted,counted_c}
5|{}|{}|did not run: VACUUM cannot be in a transaction
7|{}|{}
9|{}|{}
OUT
$session->run(q{CREATE TYPE mood AS ENUM ('a')});
my $uses = q{ALTER TYPE mood ADD VALUE 'b'; CREATE TABLE t (m mood DEFAULT 'b')};
is(rehearsed($uses, stepwise => 1, columns => q{statement, coalesce(problem, '-')}), "1|-\n2|-\n",
	'an enum value is used by a script that would have committed it');
is(rehearsed($uses, columns => q{statement, left(problem, 6)}), "1\n2|55P04:\n",
	'    and not by one that would not have');
like(rehearsed($uses, columns => 'problem'), qr/Hint: .*upgrade_stepwise/s, '    with the hint');
$session->run(q{CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'});
like(
	rehearsed('CALL commits()', stepwise => 1, columns => 'problem'),
	qr/\A2D000: .*in a copy of the database/s,
	'a procedure that commits cannot be rehearsed');
$session->run('DROP PROCEDURE commits()');
$session->run('BEGIN', q{CREATE TYPE fresh AS ENUM ('a')}, q{ALTER TYPE mood ADD VALUE 'z'});
rehearsed($uses, stepwise => 1);
is($session->query(q{SELECT 'z'::mood})->{state}, '55P04',
	'a value of the caller\'s transaction is as usable as before');
$session->run('ROLLBACK');

# ----------------------------------------------------------- nothing remains ----

$session->run('LISTEN rehearsed', 'CREATE TEMP TABLE kept (i int)', 'INSERT INTO kept VALUES (1)',
	q{SELECT set_config('migrate_test.x', 'before', false)}, 'SELECT pg_advisory_lock(7)');
rehearsed(<<'SQL');
SET migrate_test.x = 'after';
SET search_path = nowhere;
SET ROLE mig_rehearse_other;
RESET ROLE;
DELETE FROM kept;
CREATE TEMP TABLE gone (i int);
SELECT pg_advisory_unlock(7), pg_advisory_lock(8);
NOTIFY rehearsed;
SELECT nextval('public.numbers');
SQL
is_deeply([ $session->rows('SHOW migrate_test.x') ], ['before'],
	'a setting is as before, and nobody is notified');
is($session->value('SHOW search_path'), '"$user", public', '    and search_path');
is($session->value('SELECT count(*) FROM kept'), 1, '    and a temporary table');
is_deeply([ $session->rows(q{SELECT objid FROM pg_locks WHERE locktype = 'advisory'
	AND pid = pg_backend_pid() AND classid <> 1835624306}) ], [7], '    and advisory locks');
is($session->value(q{SELECT last_value || ' ' || is_called FROM numbers}), '1 true',
	'a sequence is not rolled back');
$session->run('SELECT pg_advisory_unlock(7)', 'DROP TABLE kept');
store($session, 'DROP TABLE ours');
$session->run('BEGIN', 'CREATE TABLE ours (i int)', 'INSERT INTO ours VALUES (1)',
	'SELECT count(*) FROM migrate.rehearse()');
is($session->value('SELECT count(*) FROM ours'), 1, 'the caller\'s transaction goes on as before');
is($session->value(q{SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
	AND classid = 1835624306}), 0, '    and does not keep the run lock');
$session->run('ROLLBACK');
$session->run('BEGIN', 'CREATE TABLE p (i int PRIMARY KEY DEFERRABLE)',
	'SET CONSTRAINTS ALL DEFERRED', 'INSERT INTO p VALUES (1), (1)');
rehearsed('SET CONSTRAINTS ALL IMMEDIATE');
is($session->query('COMMIT')->{state}, '23505', 'the caller\'s deferred checks are still that');
$session->run('ROLLBACK');

# ------------------------------------------------------------------ time and locks ----

my $other = connect_to('mig_rehearse')->run('SET application_name = in_the_way');
store($session, "ALTER TABLE users ADD x int;\nALTER TABLE notes ADD x int");
$session->run(q{SET migrate.rehearse_lock_timeout = '300ms'});
$other->run('BEGIN', 'SELECT count(*) FROM notes /* "<b>" */');
my $start = time;
my ($row) = reverse $session->rows(
	q{SELECT statement, waited BETWEEN '0.25 s' AND '0.6 s', problem FROM migrate.rehearse()});
cmp_ok(time - $start, '<', 2, 'a lock is waited for shortly');
like($row, qr/^2\|t\|55P03: .*AccessExclusiveLock on public\.notes: process $other->{pid} holds/,
	'    the row says which, and whose it is');
like($row, qr/role ".+", application "in_the_way", .* with: SELECT count\(\*\) FROM notes/,
	'    its application and its query');
$other->run('ROLLBACK');
$other->run('BEGIN', 'UPDATE notes SET body = body WHERE id = 7');
is(rehearsed('UPDATE notes SET author = 1', columns => q{left(problem, 6)}), "55P03:\n",
	'a row that another transaction has changed');
like($session->value('SELECT problem FROM migrate.rehearse()'),
	qr/rows that another transaction has changed: process $other->{pid} holds/,
	'    with its name');
$session->run('RESET migrate.rehearse_lock_timeout');
store($session, 'UPDATE notes SET author = 1');
$session->send(q{SELECT waited BETWEEN '0.2 s' AND duration, problem FROM migrate.rehearse()});
sleep 0.4;
$other->run('COMMIT');
is($session->receive->{out}, "t|\n", 'a wait that ends is counted');

$session->run(q{SET migrate.rehearse_timeout = '300ms'});
for my $script (
	'LOCK users; SELECT pg_sleep(60)',
	'LOCK users; SELECT count(*) FROM generate_series(1, 1000000000)',
	'LOCK users; DO $$ BEGIN LOOP NULL; END LOOP; END $$',
	'LOCK users; DO $$ BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END $$',
	'LOCK users; DO $$ BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN '
	  . 'PERFORM pg_sleep(60); END $$; SELECT 1')
{
	$start = time;
	is(rehearsed($script, columns => q{statement, coalesce(problem, '-')}),
		"1|-\n2|57014: the time was over (migrate.rehearse_timeout, 300 ms)\n",
		"the time is over in $script");
	cmp_ok(time - $start, '<', 2, '    and then it ends');
}
is($session->query('SELECT pg_sleep(0.3)')->{state}, '00000', 'no cancel comes later');
$session->run(q{SET migrate.rehearse_timeout = '10s'});

store($session, 'LOCK users; SELECT pg_sleep(60)');
$session->send('SELECT count(*) FROM migrate.rehearse()');
sleep 0.3;
$other->run("SELECT pg_cancel_backend($session->{pid})");
is($session->receive->{state}, '57014', 'a cancel by somebody cancels the call');
$session->run(q{SET statement_timeout = '200ms'});
is($session->query('SELECT count(*) FROM migrate.rehearse()')->{state}, '57014',
	'    and so does statement_timeout');
$session->run('RESET statement_timeout');
is(rehearsed(q{SET statement_timeout = '100ms'; SELECT pg_sleep(60)},
	columns => q{statement, coalesce(problem, '-')}),
	"1|-\n2|57014: canceling statement due to statement timeout\n",
	'    but not that of a script');
is(rehearsed(q{SET lock_timeout = 0; SHOW lock_timeout}, columns => q{coalesce(problem, '-')}),
	"-\n-\n", 'a script may set lock_timeout');
$other->run('BEGIN', 'LOCK notes');
$session->run(q{SET migrate.rehearse_lock_timeout = '200ms'});
for my $setting ('lock_timeout', 'migrate.rehearse_lock_timeout')
{
	is(rehearsed("SET $setting = 0; LOCK notes", columns => q{left(problem, 6)}), "\n55P03:\n",
		"    which does not make it wait longer: $setting");
}
$other->run('ROLLBACK');
$session->run('RESET migrate.rehearse_lock_timeout');

# What is waited for before the first script is no finding.
store($session, 'SELECT 1');
$other->run('BEGIN', 'LOCK migrate.revisions');
$session->run(q{SET migrate.rehearse_lock_timeout = '200ms'});
is($session->query('SELECT migrate.rehearse()')->{state}, '55P03', 'a lock on our own tables');
$session->run(q{SET migrate.rehearse_lock_timeout = 0}, q{SET migrate.rehearse_timeout = '200ms'});
my $late = $session->query('SELECT migrate.rehearse()');
is("$late->{state} $late->{message}",
	'57014 canceling rehearsal due to migrate.rehearse_timeout', '    and the time');
$session->run('RESET migrate.rehearse_lock_timeout', q{SET migrate.rehearse_timeout = '10s'});
$session->send('SELECT migrate.rehearse()');
sleep 0.3;
run_psql('mig_rehearse', "SELECT pg_cancel_backend($session->{pid})");
is($session->receive->{message}, 'canceling statement due to user request',
	'    and a cancel is told from that');
$other->run('ROLLBACK');

# It is the rehearsal that gives way to others.
store($session, 'LOCK users; SELECT pg_sleep(0.4); LOCK notes');
$other->run('BEGIN', 'LOCK notes');
$session->send(q{SELECT left(problem, 6) FROM migrate.rehearse()});
sleep 0.2;
is($other->query('LOCK users')->{state}, '00000', 'a deadlock does not cost others anything');
is($session->receive->{out}, "\n\n40P01:\n", '    but ends the rehearsal');
$other->run('ROLLBACK');

# ------------------------------------------------------------ beside each other ----

store($session, 'SELECT pg_sleep(0.5)');
$session->send('SELECT count(*) FROM migrate.rehearse()');
sleep 0.2;
$start = time;
is($other->value('SELECT count(*) FROM migrate.rehearse()'), 1, 'two at once');
cmp_ok(time - $start, '>', 0.7, '    are one after the other');
is($session->receive->{out}, "1\n", '    and both succeed');
$session->send('SELECT count(*) FROM migrate.rehearse()');
sleep 0.2;
$other->run(q{SET migrate.run_lock_timeout = '100ms'});
my $result = $other->query('SELECT migrate.upgrade()');
is($result->{state}, 'MG012', 'an upgrade waits for it');
like($result->{err}, qr/Process $session->{pid}/, '    and says for whom');
$other->run('RESET migrate.run_lock_timeout');
$session->receive;
store($session, 'SELECT pg_sleep(0.5)', stepwise => 1);
$other->send(q{CALL migrate.upgrade_stepwise('head')});
sleep 0.2;
is($session->query('SELECT count(*) FROM migrate.rehearse()')->{state}, 'MG012',
	'it does not wait for a stepwise run');
$other->receive;
$session->run(q{SELECT migrate.stamp('base')});

# Rolled back when its session is terminated.
store($session, 'DROP TABLE notes; LOCK users; SELECT pg_sleep(60)');
my $victim = connect_to('mig_rehearse')->run(q{SET migrate.rehearse_timeout = 0});
$victim->send('SELECT count(*) FROM migrate.rehearse()');
sleep 0.3;
$session->run("SELECT pg_terminate_backend($victim->{pid})");
is($victim->receive->{state}, 'DEAD!', 'its session is terminated');
is($session->value('SELECT count(*) FROM notes'), 500, '    and nothing is left');
# One that catches each cancel would hold its locks for ever.
store($session, 'LOCK users; DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60);'
	  . ' EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$');
$victim = connect_to('mig_rehearse')->run(q{SET migrate.rehearse_timeout = '100ms'});
$start = time;
is($victim->query('SELECT count(*) FROM migrate.rehearse()')->{state}, 'DEAD!',
	'a script that catches each cancel');
cmp_ok(time - $start, '<', 4, '    has its session ended');

# ------------------------------------------------------------------------ report ----

# What is wrong with a page: elements that do not nest, what would run or be fetched,
# characters that depend on an encoding.
sub faults
{
	my $page = shift;
	my @open;
	for (my $rest = $page; $rest =~ s/^.*?<(\/?)([a-zA-Z][a-z0-9]*)([^<>]*)>//s;)
	{
		my ($end, $name, $attributes) = ($1, $2, $3);
		next if $name eq 'meta' || $name eq 'br';
		return "</$name> in <@open>" if $end && (pop @open // '') ne $name;
		push @open, $name unless $end;
		return "<$name$attributes>" if $attributes =~ /\son\w+=|src=|href="(?!#)/;
	}
	return "open: @open" if @open;
	return $1 if $page =~ /(<script|<img|<link|\@import|url\(|https?:|javascript:)/;
	return 'not ASCII' if $page =~ /[^\n\t -~]/;
	return '';
}

$session->run('CREATE TABLE "<b>bold</b> & ""quoted""" (i int)');
store($session, <<'SQL', downgrade => 'SELECT 1');
LOCK "<b>bold</b> & ""quoted""";
SELECT '</pre></script><script>alert(1)</script><img src=x onerror=alert(1)>';
ALTER TABLE users ALTER n TYPE bigint;
SELECT 'naïve 日本語 ‮ reversed';
SQL
$session->run(q{SELECT migrate.edit('r1', message => '</title><script>alert(2)</script>')});
my $page = join "\n", $session->rows('SELECT migrate.rehearsal_report()');
is(faults($page), '', 'a page is well-formed, and runs and fetches nothing');
like($page, qr/\A<!DOCTYPE html>\n.*<\/html>\z/s, '    from begin to end');
like($page, qr/<meta name="migrate-problems" content="0">/, '    without a problem');
like($page, qr/All statements ran, and were rolled back\./, '    which it says');
like($page, qr/Lock on public\.&quot;&lt;b&gt;bold&lt;\/b&gt; &amp; &quot;&quot;quoted/,
	'    names are escaped');
like($page, qr/&lt;\/pre&gt;&lt;\/script&gt;&lt;script&gt;alert\(1\)/, '    and scripts');
like($page, qr/na&#239;ve &#26085;&#26412;&#35486; \[U\+202E\] reversed/,
	'    what turns the direction of a text is seen');
like($page, qr/rewrites public\.users_pkey/, '    rewrites');
like($page, qr/&lt;\/title&gt;&lt;script&gt;alert\(2\)/, '    and messages');
unlike($page, qr/at risk|undefined|\(null\)/, '    nothing is missing');
store($session, 'CREATE TABLE t (i int)', downgrade => 'DROP TABLE t');
is($session->value(q{SELECT count(*) FROM migrate.rehearsal_report('r1', 'upgrade', true) AS p
	WHERE p LIKE '%the way back leads back%'}), 1, 'both ways');
store($session, 'CREATE TABLE left_over (i int)', downgrade => 'SELECT 1');
$page = join "\n", $session->rows(q{SELECT migrate.rehearsal_report(round_trip => true)});
is(faults($page), '', 'a way back that does not lead back');
like($page, qr/content="1">.*not as before: table public\.left_over/s, '    is told');
store($session, 'SELECT 1; SELECT 1 / 0; SELECT 2');
$page = join "\n", $session->rows('SELECT migrate.rehearsal_report()');
is(faults($page), '', 'a rehearsal that ends early');
like($page, qr/content="1">.*It ended early.*href="#s1-2".*22012: division by zero.*id="s1-2"/s,
	'    says where');
$session->run(q{SELECT migrate.drop('r1')});
is(faults(join "\n", $session->rows('SELECT migrate.rehearsal_report()')), '', 'nothing to do');
$session->run('DROP TABLE "<b>bold</b> & ""quoted"""');

# Lint is a reader of tables, and waits no longer than the rehearsal does.
store($session, 'ALTER TABLE users ADD x int');
{
	my $blocker = connect_to('mig_rehearse')->run('BEGIN', 'LOCK users');
	$session->run(q{SET migrate.rehearse_lock_timeout = '100ms'});
	my $since = time;
	$page = join "\n", $session->rows('SELECT migrate.rehearsal_report()');
	cmp_ok(time - $since, '<', 2, 'a page does not wait for locks of others');
	is(faults($page), '', '    and is one');
	like($page, qr/Lint could not look at a table/, '    which says what was not looked at');
	like($page, qr/55P03: .*process $blocker->{pid} holds AccessExclusiveLock/,
		'    and who was in the way');
	$session->run('RESET migrate.rehearse_lock_timeout');
	$blocker->finish;
}
like(join("\n", $session->rows('SELECT migrate.rehearsal_report()')),
	qr{<h3>1\. upgrade of r1.*</h3>\n<p class="verdict note"><b>irreversible</b>},
	'what lint finds of a script as a whole is below its heading');
$session->run(q{SELECT migrate.drop('r1')});

# ------------------------------------------------------------------- command line ----

{
	my $dir = scratch_dir();
	mkdir "$dir/migrations" or die $!;
	local $ENV{PATH} = tool('') . ":$ENV{PATH}";
	my $file = sub {
		spew("$dir/migrations/0001.sql",
			"-- one\n-- Revision ID: c1\n-- Revises:\n\n-- migrate:up$_[1]\n$_[0]\n"
			  . "-- migrate:down\nDROP TABLE cli;\n");
	};
	my $run = sub {
		return run_program("$FindBin::RealBin/../../bin/pg_migrate", '-d', 'mig_rehearse',
			'-D', "$dir/migrations", 'rehearse', @_);
	};
	$file->("CREATE TABLE cli (i int);\nALTER TABLE users ADD cli int;", '');
	my ($status, $out, $err) = $run->();
	is($status, 0, 'pg_migrate rehearse');
	like($out, qr/\Ac1 statement 1 line 1 CREATE TABLE cli \(i int\)\n    [\d.]+ ms, .* of WAL\n/,
		'    a statement, and what it took');
	like($out, qr/ALTER TABLE users .*\n.*\n    AccessExclusiveLock on public\.users\n\z/,
		'    locks');
	is($session->value('SELECT count(*) FROM migrate.revisions'), 0, '    nothing stays loaded');
	($status, $out, $err) = $run->('--json');
	is($status, 0, 'with --json');
	is($session->value("SELECT jsonb_array_length(j) || ' ' || (j -> 1 ->> 'statement')"
			  . ' FROM (SELECT ' . lit($out) . '::jsonb AS j) q'), '2 2', '    an array of rows');
	($status, $out, $err) = $run->('--html', "$dir/a page's.html");
	is($status, 0, 'with --html');
	is($out, "$dir/a page's.html\n", '    it prints the name');
	is(faults(slurp("$dir/a page's.html")), '', '    of the page');
	($status, $out, $err) = $run->('--round-trip');
	is($status >> 8, 1, 'a way back that does not lead back: status 1');
	like($out, qr/^    problem: not as before: column public\.users\.cli was not there before$/m,
		'    with what is not as before');
	$file->('SELECT 1 / 0;', '');
	($status, $out, $err) = $run->();
	is($status >> 8, 1, 'a script that fails: status 1');
	like($out, qr/problem: 22012: division by zero/, '    with the error');
	($status, $out, $err) = $run->('--html', "$dir/b.html");
	is($status >> 8, 1, '    also with --html');
	like(slurp("$dir/b.html"), qr/22012: division by zero/, '    which writes the page');
	$file->("CREATE TABLE cli (i int);\nCREATE INDEX CONCURRENTLY ON cli (i);",
		' transaction:false');
	($status, $out, $err) = $run->();
	is($status, 0, 'a script that is not transactional');
	like($out, qr/problem: ran in its plain form/, '    is marked');
	($status, $out, $err) = $run->('nowhere', '--html', "$dir/c.html");
	is($status >> 8, 1, 'a target that there is not');
	ok(!-e "$dir/c.html" && !-e "$dir/c.html.part", '    and no file');
	($status, $out, $err) = $run->('--no-load');
	is("$status $out", "0 nothing to do\n", 'with --no-load');
	($status, $out, $err) = $run->('--downgrade');
	is($status >> 8, 2, '--downgrade needs a target');
	($status, $out, $err) = $run->('--html', 'x', '--json');
	is($status >> 8, 2, 'one output');
	$session->run(q{SELECT migrate.load(} . lit(slurp("$dir/migrations/0001.sql")) . ')');
	$session->run(q{CALL migrate.upgrade_stepwise('head')});
	($status, $out, $err) = $run->('--downgrade', '-1');
	like($out, qr/\Ac1 statement 1 line 1 DROP TABLE cli\n.*\n    AccessExclusiveLock on pub/,
		'--downgrade');
	$session->run(q{SELECT migrate.downgrade('base')}, q{SELECT migrate.drop('c1')});
}

# The page, and its example.
{
	my $doc = "$FindBin::RealBin/../../doc";
	my $example = slurp("$doc/rehearsal-example.html");
	is(faults($example), '', 'the example of doc/before-you-deploy.md');
	my ($style) = $example =~ /(<style>.*<\/style>)/s;
	ok(index($session->value(q{SELECT replace(migrate.rehearsal_report('base'), E'\n', ' ')}),
			$style =~ s/\n/ /gr) > 0, '    looks as pages do');

	store($session, q{ALTER TABLE users ADD CHECK (n <> 7000)});
	my $linted = $session->value(q{SELECT replace(migrate.rehearsal_report(), E'\n', ' ')});
	like($linted, qr/check-validated/, '    a page has what lint finds');
	is(faults($linted), '', '    beside the statements');

	my ($part) = slurp("$doc/before-you-deploy.md") =~ /^## From pull.*?\n(.*?)^## /ms;
	my @commands = $part =~ /^```sh\n(.*?)^```/msg;
	cmp_ok(scalar @commands, '>=', 4, 'doc/before-you-deploy.md has commands');
	my $script = join '', "set -e\n", @commands;
	$script =~ s/\bshop\b/mig_rehearse_shop/g;
	$script =~ s/\bshop_copy\b/mig_rehearse_copy/g;
	my $database = create_database('mig_rehearse_shop');
	my $dir = scratch_dir();
	mkdir "$dir/migrations" or die $!;
	spew("$dir/migrations/0001.sql", "-- one\n-- Revision ID: 0001\n-- Revises:\n\n-- migrate:up\n"
		  . "CREATE TABLE t (i int);\n\n-- migrate:down\nDROP TABLE t;\n");
	local $ENV{PATH} = "$FindBin::RealBin/../../bin:" . tool('') . ":$ENV{PATH}";
	my ($status, $out, $err) = run_program('sh', '-c', "cd $dir && { $script }");
	is($status, 0, '    which work') or diag $out, $err;
	like($out, qr/^rehearsal\.html\n0001 statement 1 line 1 CREATE TABLE t/, '    in that order');
	is(faults(slurp("$dir/rehearsal.html")), '', '    and write a page');
}

# ---------------------------------------------------------------------- rights ----

store($session, 'CREATE TABLE deployed (i int)');
my $deployer = connect_to('mig_rehearse', user => 'mig_rehearse_deployer');
is($deployer->query('SELECT migrate.rehearse()')->{state}, '42501', 'not for everybody');
$session->run(
	'GRANT USAGE ON SCHEMA migrate TO mig_rehearse_deployer',
	'GRANT EXECUTE ON FUNCTION migrate.rehearse TO mig_rehearse_deployer',
	'GRANT CREATE ON SCHEMA public TO mig_rehearse_deployer');
is_deeply([ $deployer->rows('SELECT sql, locks, problem FROM migrate.rehearse()') ],
	['CREATE TABLE deployed (i int)|{}|'], 'a role with the rights of a deployer');
is_deeply([ $deployer->rows(q{SELECT problem FROM migrate.rehearse(round_trip => true)}) ],
	[ '', 'MG006: revision "r1" has no downgrade script' ], '    and both ways');
store($session, 'ALTER TABLE users ADD x int; SELECT 1');
is_deeply([ $deployer->rows('SELECT problem FROM migrate.rehearse()') ],
	['42501: must be owner of table users'], 'scripts run as the caller');
$session->run('GRANT SELECT, UPDATE ON users TO mig_rehearse_deployer');
store($session, 'UPDATE users SET n = 1');
$session->run('BEGIN', 'LOCK users', q{SELECT 'secret'});
$deployer->run(q{SET migrate.rehearse_lock_timeout = '100ms'});
my $seen = $deployer->value('SELECT problem FROM migrate.rehearse()');
like($seen, qr/^55P03: .*AccessExclusiveLock|process $session->{pid} holds/,
	'who is in the way is seen');
unlike($seen, qr/secret/, '    but not what a session of another role does');
$session->run('ROLLBACK', 'GRANT pg_read_all_stats TO mig_rehearse_deployer', 'BEGIN', 'LOCK users',
	q{SELECT 'secret'});
like($deployer->value('SELECT problem FROM migrate.rehearse()'), qr/secret/,
	'    unless the caller may see that');
$session->run('ROLLBACK');

$session->run('REVOKE ALL ON SCHEMA public, migrate FROM mig_rehearse_deployer',
	'REVOKE EXECUTE ON FUNCTION migrate.rehearse FROM mig_rehearse_deployer',
	'REVOKE ALL ON users FROM mig_rehearse_deployer', 'DROP TYPE mood');
is($session->value($state), $before, 'nothing is left of all that');
$_->finish for $session, $other, $deployer;

# A server that crashes has one of its own.
{
	my $server = MigrateServer->create->use;
	create_database('mig_rehearse_killed');
	my $at = connect_to('mig_rehearse_killed')->run('CREATE TABLE notes AS SELECT 1 AS i');
	store($at, 'DROP TABLE notes; CREATE TABLE t (i int); SELECT pg_sleep(60)');
	$at->run(q{SET migrate.rehearse_timeout = 0});
	$at->send('SELECT count(*) FROM migrate.rehearse()');
	sleep 0.3;
	kill KILL => $at->{pid};
	$at->receive;
	ok(wait_until(sub { !(run_psql('mig_rehearse_killed', 'SELECT 1'))[0] }, 30),
		'the server is up again after a SIGKILL');
	$at = connect_to('mig_rehearse_killed');
	is($at->value(q{SELECT count(*) || ' ' || to_regclass('t') IS NULL FROM notes}), 't',
		'    and nothing is left');
	$at->finish;
}

done_testing();
