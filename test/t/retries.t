#!/usr/bin/perl
#
# What is attempted again in a stepwise run, and what never is.
#
#  - The cases, one by one: a CALL or DO whose last transaction cannot be ended
#    because of others' locks, with and without a COMMIT of its own; deferred
#    constraints that wait or fail at the commit; serialization failures.
#  - Faults at random: while a script of procedures, plain statements and groups
#    runs, another session holds one of our tables or rows that the script needs,
#    and then lets go late, cancels or terminates the run, or makes a deadlock of
#    it.  However it ends, and however often it is called again, each statement
#    has done its work once, and nothing is recorded that is not there.
#
# Environment: MIGRATE_FAULT_ROUNDS, how many faults (default 60);
# MIGRATE_TEST_SEED.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{MIGRATE_FAULT_ROUNDS} // 60;
my $seed = $ENV{MIGRATE_TEST_SEED} // int(time * 1000) % 1_000_000;
alarm 900 + 3 * $rounds;
srand $seed;
diag "seed $seed";

MigrateServer->create(settings => [ 'max_connections = 40', 'jit = off' ])->use;
my $db = create_database('mig_retries');
my $session = connect_to($db);
my @quick = ('migrate.concurrent_lock_timeout' => '50ms', 'migrate.lock_timeout' => '50ms');

$session->run(
	'CREATE TABLE facts (id text, n int)',
	'CREATE TABLE parent (id int PRIMARY KEY)',
	'CREATE TABLE child (id text, p int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)',
	'CREATE TABLE counters (n int)',
	'CREATE TABLE hot (n int)',
	'INSERT INTO parent VALUES (1), (2)',
	'INSERT INTO counters VALUES (0)',
	<<'END', <<'END', <<'END', <<'END');
CREATE PROCEDURE whole(name text) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO facts VALUES (name, 1);
	PERFORM pg_sleep(0.01);
	INSERT INTO facts VALUES (name, 2);
END $$
END
CREATE PROCEDURE parts(name text) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO facts VALUES (name, 1);
	COMMIT;
	PERFORM pg_sleep(0.01);
	INSERT INTO facts VALUES (name, 2);
END $$
END
CREATE PROCEDURE deferred(name text, parent int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO facts VALUES (name, 1);
	INSERT INTO child VALUES (name, parent);
	INSERT INTO facts VALUES (name, 2);
END $$
END
CREATE PROCEDURE parts_deferred(name text, parent int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO facts VALUES (name, 1);
	COMMIT;
	INSERT INTO child VALUES (name, parent);
	INSERT INTO facts VALUES (name, 2);
END $$
END

my $number = 0;

# A new base revision with a script: its id.
sub revision
{
	my ($sql, %options) = @_;
	my $id = 'r' . ++$number;
	$session->run(
		sprintf q{SELECT migrate.revision('m', %s, '', '%s', head => 'base', transactional => %s)},
		lit($sql), $id, $options{transactional} ? 'true' : 'false');
	return $id;
}

# How often a name is in facts, by its numbers: "1:1 2:1".
sub facts
{
	my $name = shift;
	return join ' ', $session->rows("SELECT n || ':' || count(*) FROM facts WHERE id = '$name'"
		  . ' GROUP BY n ORDER BY n');
}

sub applied
{
	return $session->value("SELECT count(*) FROM migrate.applied WHERE revision = '$_[0]'");
}

sub partial
{
	return join '|',
	  $session->rows(
		"SELECT statements_done, in_doubt FROM migrate.partial WHERE revision = '$_[0]'");
}

# Starts a run; finish waits for it.
sub call
{
	my ($id, %settings) = @_;
	return start(
		$db, "CALL migrate.upgrade_stepwise('$id')",
		client_min_messages => 'notice',
		%settings);
}

# Waits until a process of ours waits for a lock; its pid.
sub waiting
{
	my $seconds = shift;
	my $pid;
	wait_until(
		sub {
			$pid = $session->value(
				q{SELECT pid FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid() LIMIT 1});
		},
		$seconds // 10);
	return $pid;
}

# --------------------------------------------------- the last transaction ----

for my $kind ('CALL whole(%s)', 'DO $$ BEGIN CALL whole(%s); END $$')
{
	my $id = revision(sprintf($kind, q{'a'}) . '; SELECT 1');
	my $other = connect_to($db);
	my $name = $kind =~ s/\W.*//sr;
	$session->run('TRUNCATE facts');
	# not to be had before the intent is written
	my $run = call($id, @quick, 'migrate.lock_retries' => 50);
	wait_until(sub { partial($id) eq '0|t' || applied($id) });
	$other->run(
		'BEGIN',
		'LOCK TABLE migrate.partial IN SHARE MODE',
		'SELECT pg_sleep(0.5)', 'COMMIT');
	my $result = finish($run);
	is($result->{state}, '00000', "$name: another session held migrate.partial")
	  or diag $result->{err};
	is(facts('a'), '1:1 2:1', "$name: its work is there, once");
	is(applied($id), '1', "$name: and is recorded");
}

{
	my $id = revision(q{CALL parts('b'); SELECT 1});
	my $other = connect_to($db);
	my $run = call($id, @quick, 'migrate.lock_retries' => 50);
	wait_until(sub { facts('b') });
	$other->run('BEGIN', 'LOCK TABLE migrate.partial IN SHARE MODE');
	my $result = finish($run);
	SKIP:
	{
		skip 'the lock came too late', 7 if $result->{state} eq '00000';
		is($result->{state}, '55P03', 'a CALL that has committed is not repeated');
		like(
			$result->{err},
			qr/HINT:.*Statement 1 has committed a part of its work/s,
			'and the hint says so');
		is(facts('b'), '1:1', 'what it had committed is there, and nothing else');
		is(partial($id), '0|t', 'it is in doubt');
		$other->run('COMMIT');
		is(finish(call($id))->{state}, 'MG013', 'which a person has to decide');
		$session->run("DELETE FROM facts WHERE id = 'b'", "SELECT migrate.resume('$id', 'again')");
		is(finish(call($id))->{state}, '00000', 'again');
		is(facts('b'), '1:1 2:1', 'it has done its work once');
	}
	$other->query('ROLLBACK');
}

# ------------------------------------------------ what the commit waits for ----

for my $what (
	[ 'CALL without COMMIT', q{CALL deferred('%s', 2); SELECT 1}, '1:1 2:1' ],
	[
		'transaction', q{INSERT INTO facts VALUES ('%s', 1); INSERT INTO child VALUES ('%s', 2)},
		'1:1', 1
	])
{
	my ($title, $sql, $facts, $transactional) = @$what;
	my $name = "d$number";
	my $id = revision($sql =~ s/%s/$name/gr, transactional => $transactional);
	my $other = connect_to($db);
	$other->run('BEGIN', 'SELECT FROM parent WHERE id = 2 FOR UPDATE');
	my $run = call($id, @quick, 'migrate.lock_retries' => 50);
	ok(waiting(), "$title: its deferred constraint waits at the commit");
	sleep 0.3;
	$other->run('COMMIT');
	my $result = finish($run);
	is($result->{state}, '00000', "$title: it ends") or diag $result->{err};
	like(
		$result->{err},
		qr/lock timeout; rolled back, retry 1 of 50/,
		"$title: was attempted again");
	is(facts($name), $facts, "$title: its work is there, once");
	is($session->value("SELECT count(*) FROM child WHERE id = '$name'"),
		'1', "$title: the constraint's row too");
}

{
	my $id = revision(q{CALL parts_deferred('e', 2); SELECT 1});
	my $other = connect_to($db);
	$other->run('BEGIN', 'SELECT FROM parent WHERE id = 2 FOR UPDATE');
	my $result = finish(call($id, @quick, 'migrate.lock_retries' => 50));
	is($result->{state}, '55P03', 'a CALL with COMMIT whose last commit waits too long');
	is(facts('e') . ' ' . applied($id) . ' ' . partial($id),
		'1:1 0 0|t', 'is in doubt, not applied');
	$other->run('COMMIT');
}

{
	# a deadlock of the deferred check with another session
	my $id = revision(q{CALL deferred('f', 2); SELECT 1});
	$session->run(
			'CREATE OR REPLACE PROCEDURE deferred(name text, parent int) LANGUAGE plpgsql AS $$'
		  . ' BEGIN INSERT INTO facts VALUES (name, 1); INSERT INTO child VALUES (name, parent);'
		  . ' UPDATE parent SET id = id WHERE id = 1; PERFORM pg_sleep(0.3); INSERT INTO facts'
		  . ' VALUES (name, 2); END $$'
	);
	my $other = connect_to($db, options => '-c deadlock_timeout=20s');
	$other->run('BEGIN', 'SELECT FROM parent WHERE id = 2 FOR UPDATE');
	my $run = call($id, 'deadlock_timeout' => '100ms');
	wait_until(
		sub {
			$session->value(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
		});
	$other->send('UPDATE parent SET id = id WHERE id = 1');
	sleep 0.8;
	$other->receive;
	$other->run('ROLLBACK');
	my $result = finish($run);
	is($result->{state}, '00000', 'a deadlock at the commit') or diag $result->{err};
	like(
		$result->{err},
		qr/(?:deadlock detected|lock timeout); rolled back, retry 1/,
		'was attempted again');
	is(facts('f'), '1:1 2:1', 'and its work is there, once');
}

{
	$session->run(
			'CREATE PROCEDURE counts(name text) LANGUAGE plpgsql AS $$ DECLARE total int; BEGIN'
		  . ' SELECT sum(n) INTO total FROM counters; PERFORM pg_sleep(0.3);'
		  . ' INSERT INTO hot VALUES (total); INSERT INTO facts VALUES (name, 1); END $$');
	my $id = revision(q{CALL counts('g'); SELECT 1});
	my $other = connect_to($db, options => '-c default_transaction_isolation=serializable');
	my $run = call($id, default_transaction_isolation => 'serializable');
	wait_until(
		sub {
			$session->value(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
		});
	$other->run('BEGIN', 'SELECT count(*) FROM hot', 'UPDATE counters SET n = n + 1', 'COMMIT');
	my $result = finish($run);
	is($result->{state}, '00000', 'a serialization failure') or diag $result->{err};
	is(facts('g') . ' ' . $session->value('SELECT count(*) FROM hot'),
		'1:1 1', 'its work is there, once');
}

# ----------------------------------------------- statements that are run again ----

# The server writes into the trees that it analyzes and runs: what is attempted
# again must be the statement as it was parsed, not what an attempt made of it.
$session->run(
	'CREATE TABLE source (a int)',
	'INSERT INTO source VALUES (1), (2)',
	'CREATE TABLE target (a int, b int)',
	'CREATE SEQUENCE attempts', <<'END');
CREATE FUNCTION fail_once() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('attempts') % 2 = 1 THEN
		RAISE EXCEPTION 'asked to fail' USING ERRCODE = 'lock_not_available';
	END IF;
END $$
END
for my $what (
	[
		'sub-selects',
		'INSERT INTO target SELECT (SELECT max(a) FROM source) FROM source WHERE a IN (SELECT a'
		  . ' FROM source)'
	],
	[
		'WITH',
		'WITH x AS (INSERT INTO target SELECT a FROM source WHERE EXISTS (SELECT FROM source)'
		  . ' RETURNING a)'
		  . ' INSERT INTO target SELECT a FROM x'
	],
	[
		'CREATE TABLE',
		'CREATE TABLE made (c int DEFAULT (1 + 1) PRIMARY KEY, d serial, e int GENERATED ALWAYS'
		  . ' AS IDENTITY,'
		  . ' CHECK (c > 0), LIKE target INCLUDING ALL, UNIQUE (d, e))'
	],
	[
		'partitions',
		'CREATE TABLE made (a int UNIQUE, b text DEFAULT upper(\'b\')) PARTITION BY RANGE (a);'
		  . ' CREATE TABLE made_1 PARTITION OF made FOR VALUES FROM (1) TO (1 + 9)'
	],
	[
		'ALTER TABLE',
		'CREATE TABLE made (a int, b int); ALTER TABLE made ADD c int DEFAULT (1 + 1) CHECK (c > 0)'
		  . ' REFERENCES parent, ALTER a TYPE bigint USING (b + 1), ALTER b SET DEFAULT (2 * 2),'
		  . ' ADD UNIQUE (a)'
	],
	[ 'CREATE INDEX', 'CREATE INDEX made ON target ((a + 1), abs(a)) WHERE a IN (1, 2)' ],
	[
		'CREATE VIEW',
		'CREATE VIEW made AS SELECT (SELECT max(a) FROM source) AS m, a FROM source ORDER BY 1'
	],
	[
		'materialized view',
		'CREATE MATERIALIZED VIEW made AS SELECT (SELECT max(a) FROM source) AS m;'
		  . ' REFRESH MATERIALIZED VIEW made'
	],
	[ 'CREATE TABLE AS', 'CREATE TABLE made AS SELECT (SELECT max(a) FROM source) AS m' ],
	[
		'CREATE RULE',
		'CREATE RULE made AS ON INSERT TO parent WHERE new.id IN (SELECT 77) DO ALSO'
		  . ' SELECT (SELECT 1)'
	],
	[ 'CREATE POLICY', 'CREATE POLICY made ON source USING (a IN (SELECT a FROM target))' ],
	[
		'CREATE TRIGGER',
		'CREATE TRIGGER made BEFORE UPDATE ON source FOR EACH ROW WHEN (new.a IN (1, 2))'
		  . ' EXECUTE FUNCTION suppress_redundant_updates_trigger()'
	],
	[ 'CREATE DOMAIN', 'CREATE DOMAIN made AS int DEFAULT (1 + 1) CHECK (VALUE IN (1, 2))' ],
	[ 'CREATE STATISTICS', 'CREATE STATISTICS made (ndistinct) ON a, b FROM target' ],
	[
		'CREATE SCHEMA',
		'CREATE SCHEMA made CREATE TABLE a (b int PRIMARY KEY)'
		  . ' CREATE VIEW c AS SELECT (SELECT max(b) FROM a) AS m'
	],
	[
		'CREATE FUNCTION',
		q{CREATE FUNCTION made(a int DEFAULT (1 + 1)) RETURNS int LANGUAGE sql}
		  . q{ AS 'SELECT (SELECT a)'}
	],
	[ 'cursor', 'DECLARE made CURSOR FOR SELECT (SELECT max(a) FROM source); FETCH made' ],
	[ 'EXPLAIN', 'EXPLAIN (ANALYZE) INSERT INTO target SELECT (SELECT 1)' ],
	[ 'GRANT', 'GRANT SELECT (a), UPDATE ON source TO CURRENT_USER' ])
{
	my ($title, $sql) = @$what;
	my $name = 'again' . $number;
	$sql =~ s/\bmade(?=\b|_)/made$number/g;
	my $id = revision(
		"BEGIN; INSERT INTO facts VALUES ('$name', 1); $sql; SELECT fail_once(); COMMIT; SELECT 1");
	my $result = finish(call($id));
	like(
		$result->{err},
		qr/asked to fail; rolled back, retry 1 of 10/,
		"$title: is attempted again");
	is("$result->{state} " . facts($name), '00000 1:1', "$title: and is done")
	  or diag $result->{err};
}
{
	# also the one statement of a CALL
	$session->run('CREATE PROCEDURE failing(name text, n int[]) LANGUAGE plpgsql AS $$'
		  . ' BEGIN INSERT INTO facts SELECT name, unnest(n); PERFORM fail_once(); END $$');
	my $id = revision(q{CALL failing(n => ARRAY[1 + 0, 2], name => 'call'); SELECT 1});
	my $result = finish(call($id));
	like($result->{err}, qr/asked to fail; rolled back, retry 1 of 10/, 'CALL: is attempted again');
	is("$result->{state} " . facts('call'), '00000 1:1 2:1', 'CALL: and is done')
	  or diag $result->{err};
}

# ------------------------------------------ what fails at the commit is known ----

for my $what ([ 'CALL', q{CALL deferred('h', 99)} ],
	[ 'DO', q{DO $$ BEGIN CALL deferred('h', 99); END $$} ])
{
	my ($title, $sql) = @$what;
	my $id = revision("$sql; SELECT 1");
	for my $time (1, 2)
	{
		my $result = finish(call($id));
		is($result->{state}, '23503',
			"$title without COMMIT: its deferred constraint fails, time $time");
		like(
			$result->{err},
			qr/revision "$id", upgrade script, at its commit/,
			"$title: which is said");
		is(facts('h') . partial($id), '', "$title: it has done nothing, and is not in doubt");
	}
	$session->run('INSERT INTO parent VALUES (99)');
	is(finish(call($id))->{state}, '00000', "$title: it can be called again");
	is(facts('h'), '1:1 2:1', "$title: and has done its work once");
	$session->run(
		q{DELETE FROM child WHERE id = 'h'},
		'DELETE FROM parent WHERE id = 99',
		q{DELETE FROM facts WHERE id = 'h'});
}

{
	# its failure cannot be recorded
	my $id = revision(q{CREATE INDEX CONCURRENTLY hot_n ON hot ((n / 0)); SELECT 1});
	my $other = connect_to($db);
	my $run = call(
		$id,
		'migrate.lock_timeout' => '30ms',
		'migrate.lock_retries' => 1,
		lock_timeout           => '300ms');
	wait_until(sub { partial($id) eq '0|t' });
	$other->run('BEGIN', 'LOCK TABLE migrate.partial IN SHARE MODE');
	my $result = finish($run);
	is($result->{state}, '22012', 'a failure that cannot be recorded is raised all the same');
	$other->run('COMMIT');
	is(finish(call($id))->{state}, '22012', 'and the index is built again');
}

# ---------------------------------------------------- bounded to the commit ----

{
	my $id = revision('ALTER TABLE hot ADD COLUMN x int; INSERT INTO child VALUES (1, 2)',
		transactional => 1);
	my $other = connect_to($db);
	$other->run('BEGIN', 'SELECT FROM parent WHERE id = 2 FOR UPDATE');
	my $run = call($id, 'migrate.lock_timeout' => '200ms', 'migrate.lock_retries' => 50);
	ok(waiting(), 'a deferred constraint waits, and the step has an exclusive lock');
	my $longest = 0;
	for (1 .. 5)
	{
		my $start = time;
		$session->value('SELECT count(*) FROM hot');
		$longest = time - $start if time - $start > $longest;
		sleep 0.1;
	}
	$other->run('COMMIT');
	is(finish($run)->{state}, '00000', 'it ends when the constraint can be checked');
	cmp_ok($longest, '<', 1,
		'and nobody has waited for it longer than migrate.lock_timeout allows');
}

# ------------------------------------------------------------------ at random ----

my %count;

# A script at random and what it is to leave: names in facts with their numbers.
sub random_script
{
	my $id = shift;
	my (@sql, %facts);
	for my $n (1 .. 1 + rand 3)
	{
		my $name = "$id-$n";
		my @kinds = (
			[ "CALL whole('$name')",          '1:1 2:1' ],
			[ "CALL parts('$name')",          '1:1 2:1' ],
			[ "CALL parts_deferred('$name', 2)", '1:1 2:1' ],
			[ "DO \$\$ BEGIN INSERT INTO facts VALUES ('$name', 1); COMMIT;"
				  . " INSERT INTO facts VALUES ('$name', 2); END \$\$", '1:1 2:1' ],
			[ "INSERT INTO facts VALUES ('$name', 1)", '1:1' ],
			[
				"BEGIN; INSERT INTO facts VALUES ('$name', 1);"
				  . " INSERT INTO child VALUES ('$name', 1); INSERT INTO facts"
				  . " VALUES ('$name', 2); COMMIT",
				'1:1 2:1'
			],
			[
				"DO \$\$ BEGIN INSERT INTO facts VALUES ('$name', 1);"
				  . " UPDATE counters SET n = n + 1; END \$\$",
				'1:1'
			]);
		my $kind = $kinds[ rand @kinds ];
		push @sql, $kind->[0];
		$facts{$name} = $kind->[1];
	}
	return (join(";\n", @sql), \%facts);
}

my @locks = (
	(   map { "LOCK TABLE migrate.$_ IN SHARE MODE" }
		  qw(partial versions applied log running revisions_heads)),
	'SELECT FROM parent WHERE id = 2 FOR UPDATE',
	'SELECT FROM parent WHERE id = 1 FOR UPDATE',
	'SELECT FROM counters FOR UPDATE',
	'LOCK TABLE facts IN SHARE MODE');

# Goes on with a script until it is applied; what is in doubt is decided by what
# is there.  Its answer is how often it was called.
sub to_the_end
{
	my ($id, $facts) = @_;
	for my $calls (1 .. 20)
	{
		my $result = finish(call($id));
		return $calls if $result->{state} eq '00000' && applied($id);
		next unless $result->{state} eq 'MG013';
		$count{doubt}++;
		my ($statement) = $result->{err} =~ /statement (\d+) of the upgrade script/;
		# groups count as several statements: look for the first that is not whole
		my ($name) = grep { facts($_) ne $facts->{$_} } sort keys %$facts;
		my $decision = 'again';
		if ($name)
		{
			$session->run("DELETE FROM facts WHERE id = '$name'",
				"DELETE FROM child WHERE id = '$name'");
			# a later statement cannot have begun
		}
		else
		{
			$decision = 'done';
		}
		# all before it must be whole
		my @whole = grep { facts($_) eq $facts->{$_} } keys %$facts;
		$decision = 'done' if $name && grep { $_ gt $name } @whole;
		$session->run("SELECT migrate.resume('$id', '$decision')");
	}
	return 0;
}

my ($lost, $doubled) = (0, 0);
for my $round (1 .. $rounds)
{
	my $next = 'r' . ($number + 1);
	my ($sql, $facts) = random_script($next);
	my $id = revision($sql);
	my $other = connect_to($db, options => '-c deadlock_timeout=10s');
	my @settings = (
		'migrate.lock_timeout' => int(5 + rand 60) . 'ms',
		'migrate.lock_retries' => int(rand 4),
		'migrate.concurrent_lock_timeout' => (0, int(5 + rand 60))[ rand 2 ] . 'ms',
		deadlock_timeout => '20ms',
		$round % 5 == 0 ? (lock_timeout => int(5 + rand 60) . 'ms') : (),
		$round % 7 == 0 ? (statement_timeout => int(20 + rand 100) . 'ms') : (),
		$round % 3 == 0 ? (default_transaction_isolation => 'serializable') : ());
	my $run = call($id, @settings);
	sleep rand 0.04;
	my $lock = $locks[ rand @locks ];
	$other->query('BEGIN');
	$other->query("SET LOCAL lock_timeout = '50ms'");
	$other->query($lock);
	my $pid = waiting(0.08);
	my $fault = $pid ? (qw(late cancel terminate deadlock))[ rand 4 ] : 'none';
	$count{$fault}++;
	if ($fault eq 'late') { sleep rand 0.15 }
	elsif ($fault eq 'cancel') { $session->query("SELECT pg_cancel_backend($pid)") }
	elsif ($fault eq 'terminate') { $session->query("SELECT pg_terminate_backend($pid)") }
	elsif ($fault eq 'deadlock')
	{
		$other->query($_) for 'UPDATE parent SET id = id', 'LOCK TABLE facts';
	}
	$other->query('ROLLBACK');
	finish($run);
	# what is recorded is there
	if (applied($id))
	{
		$lost++, diag "round $round, $lock, $fault: $sql"
		  if grep { facts($_) ne $facts->{$_} } keys %$facts;
	}
	elsif (!to_the_end($id, $facts))
	{
		$lost++;
		diag "round $round, $lock, $fault: did not end: $sql";
	}
	for my $name (keys %$facts)
	{
		next if facts($name) eq $facts->{$name};
		$doubled++;
		diag "round $round, $lock, $fault: $name is ", facts($name), ", not $facts->{$name}: $sql";
	}
}
diag "$rounds rounds: ", join ', ', map { "$_ $count{$_}" } sort keys %count;
is($lost, 0, "at random: $rounds rounds, nothing is lost");
is($doubled, 0, 'and nothing is doubled');
cmp_ok($count{none} // 0, '<', $rounds, 'some runs met a fault');
is($session->value('SELECT count(*) FROM migrate.partial WHERE revision LIKE \'r%\''),
	$session->value(q{SELECT count(*) FROM migrate.partial}), 'what is left begun is known');

done_testing();
