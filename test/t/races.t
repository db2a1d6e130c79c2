#!/usr/bin/perl
#
# Races with runs that commit step by step.
#
#  - Eight sessions that upgrade, downgrade, stamp and load at random over one
#    graph, atomically and step by step; after each round, and at moments in
#    between, all that we record agrees with itself and with the schema.
#  - Three sessions that start the same run with concurrent index builds, with
#    atomic callers and writers beside them.
#  - Locks of others: what is tried again, what is not, and who was in the way.
#
# Environment: MIGRATE_RACES, seconds for the first two (default 40);
# MIGRATE_TEST_SEED.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{MIGRATE_RACES} // 40;
my $seed = $ENV{MIGRATE_TEST_SEED} // int(time * 1000) % 1_000_000;
alarm 240 + 3 * $seconds;
srand $seed;
diag "seed $seed";

my $dir = scratch_dir();
MigrateServer->create(
	settings => [ 'max_connections = 60', 'max_prepared_transactions = 2', 'jit = off' ])->use;
my $admin = connect_to('postgres');

sub any { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }

# The errors in what psql printed: [state, message]...
sub errors_in
{
	my $text = shift;
	my @errors;
	push @errors, [ $1, $2 ] while $text =~ /(?:ERROR|FATAL|PANIC):  (\w{5}): (.*)/g;
	return @errors;
}

# ------------------------------------------------------- mixed, at random ----

# The graph: [id, parents, dependencies, label, transactional].  A script with
# an index is not transactional.
my @graph = (
	[ 'r1', '',        '',   '',      1 ],
	[ 'r2', 'r1',      '',   '',      0 ],
	[ 'r3', 'r2',      '',   '',      1 ],
	[ 'r4', 'r3',      '',   '',      0 ],
	[ 'a1', 'r1',      '',   'alpha', 1 ],
	[ 'a2', 'a1',      '',   '',      0 ],
	[ 'a3', 'a2',      'r3', '',      1 ],
	[ 'm1', 'r4, a3',  '',   '',      1 ],
	[ 'n1', 'm1',      '',   '',      0 ],
	[ 'b1', '',        '',   'beta',  1 ],
	[ 'b2', 'b1',      'a1', '',      0 ],
	[ 'b3', 'b2',      '',   '',      1 ]);
# What load may add; leaves, so that there are more heads now and then.
my @later = ([ 'x1', 'r3', '', '', 1 ], [ 'x2', 'a2', '', '', 0 ], [ 'x3', 'b1', 'r2', '', 1 ]);
my %revision = map { $_->[0] => $_ } @graph, @later;

# The file of a revision.  Each makes an object of its own and counts its runs.
# lenient: for where stamps leave the schema as it is.
sub file
{
	my ($id, $lenient, $salt) = @_;
	my (undef, $parents, $depends, $label, $transactional) = @{ $revision{$id} };
	my ($if_not, $if) = $lenient ? ('IF NOT EXISTS ', 'IF EXISTS ') : ('', '');
	my $count = sub { "INSERT INTO runs VALUES ('$id', $_[0]);" };
	my ($up, $down);
	if ($transactional)
	{
		$up = "CREATE TABLE ${if_not}r_$id (id int);\n" . $count->('true');
		$down = $count->('false') . "\nDROP TABLE ${if}r_$id;";
	}
	else
	{
		my $table = 'data' . (1 + ord(substr $id, 1) % 2);
		$up = "CREATE INDEX CONCURRENTLY ${if_not}i_$id ON $table (n);\n";
		$up =
		  $id =~ /^[ab]/
		  ? "BEGIN;\n" . $count->('true') . "\nSELECT 1;\nCOMMIT;\n$up"
		  : $up . $count->('true');
		$down =
		  "SET lock_timeout = '50s';\nDROP INDEX CONCURRENTLY ${if}i_$id;\n" . $count->('false');
		$down = $count->('false') . "\n$down\nSELECT 1;" =~ s/\n.*false.*\n/\n/r if $id =~ /^r/;
	}
	my $note = $transactional ? '' : ' transaction:false';
	# only the upgrade script's text counts once it is applied
	return
	  "-- number $id\n-- Revision ID: $id\n-- Revises: $parents\n-- Depends On:"
	    . " $depends\n-- Branch Labels: $label\n"
	  . "-- migrate:up$note\n$up\n-- $salt\n-- migrate:down$note\n$down\n-- $salt\n";
}

# What is wrong now, one row each, in one snapshot.  A script that has begun and
# not ended is between before and after.
my $wrong = <<'SQL';
WITH RECURSIVE implied(revision) AS (
	SELECT revision FROM migrate.versions
	UNION
	SELECT p FROM implied JOIN migrate.revisions r USING (revision),
		unnest(r.down_revisions || r.depends_on) p),
maximal AS (
	SELECT a.revision FROM migrate.applied a WHERE NOT EXISTS (
		SELECT 1 FROM migrate.revisions r JOIN migrate.applied USING (revision)
		WHERE a.revision = ANY (r.down_revisions || r.depends_on))),
chain AS (SELECT id, versions_before, lag(versions_after, 1, '{}') OVER (ORDER BY id) AS before
	FROM migrate.log),
whole AS (SELECT revision FROM migrate.revisions EXCEPT SELECT revision FROM migrate.partial),
moved AS (SELECT DISTINCT ON (revision) revision, operation = 'upgrade' AS up FROM migrate.log
	WHERE operation <> 'stamp' ORDER BY revision, id DESC),
logged AS (SELECT revision, operation = 'upgrade' AS up, count(*) FROM migrate.log
	WHERE operation <> 'stamp' GROUP BY 1, 2),
ran AS (SELECT revision, up, count(*) FROM runs GROUP BY 1, 2),
made AS (SELECT substr(c.relname, 3) AS revision, coalesce(i.indisvalid, true) AS valid
	FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
	WHERE c.relname ~ '^[ri]_' AND c.relkind IN ('r', 'i')
		AND c.relnamespace = 'public'::regnamespace)
SELECT 'applied, not implied: ' || revision
	FROM (SELECT revision FROM migrate.applied EXCEPT SELECT revision FROM implied) x
UNION ALL
SELECT 'implied, not applied: ' || revision
	FROM (SELECT revision FROM implied EXCEPT SELECT revision FROM migrate.applied) x
UNION ALL
SELECT 'row, not maximal: ' || revision
	FROM (SELECT revision FROM migrate.versions EXCEPT SELECT revision FROM maximal) x
UNION ALL
SELECT 'maximal, no row: ' || revision
	FROM (SELECT revision FROM maximal EXCEPT SELECT revision FROM migrate.versions) x
UNION ALL
SELECT 'log row ' || id || ' does not follow the one before'
	FROM chain WHERE versions_before <> before
UNION ALL
SELECT 'the last log row is not the position' WHERE
	(SELECT versions_after FROM migrate.log ORDER BY id DESC LIMIT 1)
	<> (SELECT array_agg(revision ORDER BY revision COLLATE "C") FROM migrate.versions)
UNION ALL
SELECT 'scripts run, and log: ' || concat_ws(' ', revision, up, r.count, l.count)
	FROM (ran r FULL JOIN logged l USING (revision, up)) JOIN whole USING (revision)
	WHERE r.count IS DISTINCT FROM l.count
UNION ALL
SELECT 'made, but not by the log: ' || revision
	FROM made JOIN whole USING (revision) LEFT JOIN moved USING (revision)
	WHERE up IS NOT TRUE
UNION ALL
SELECT 'in the log, but not made: ' || revision
	FROM moved JOIN whole USING (revision) LEFT JOIN made USING (revision)
	WHERE up AND valid IS NOT TRUE
SQL
my $wrong_schema = <<'SQL';

UNION ALL
SELECT 'applied, but not made: ' || revision
	FROM migrate.applied JOIN whole USING (revision) LEFT JOIN made USING (revision)
	WHERE valid IS NOT TRUE
UNION ALL
SELECT 'made, but not applied: ' || revision
	FROM made JOIN whole USING (revision) LEFT JOIN migrate.applied a USING (revision)
	WHERE a.revision IS NULL
SQL

# One session's part of a round, for psql -f: groups, each with a marker.
# Stepwise calls stand alone, others sometimes in transactions.
sub mixed_script
{
	my ($stamps, $n) = @_;
	my @ids = sort keys %revision;
	my $up =
	  sub { lit(any(@ids,
	    qw(heads heads heads head alpha@head beta@head +1 +2 beta@+1 alpha@+1))) };
	my $down = sub { lit(any(@ids, qw(base base -1 -2 alpha@base beta@base beta@-1 alpha@-1 r1))) };
	my @calls = (
		(sub { 'SELECT count(*) FROM migrate.upgrade(' . $up->() . ')' }) x 4,
		(sub { 'CALL migrate.upgrade_stepwise(' . $up->() . ')' }) x 8,
		(sub { 'SELECT count(*) FROM migrate.downgrade(' . $down->() . ')' }) x 3,
		(sub { 'CALL migrate.downgrade_stepwise(' . $down->() . ')' }) x 6,
		(   sub {
				'SELECT migrate.load(' . lit(file(any(@ids), $stamps, 'salt ' . int rand 3)) . ')';
			}) x 3,
		sub {
			any('SELECT migrate.current()',
				'SELECT count(*) FROM migrate.pending()',
				'SELECT count(*) FROM migrate.history()',
				'SELECT * FROM migrate.progress');
		});
	push @calls, (
		sub {
			'SELECT count(*) FROM migrate.stamp('
			  . lit(any(@ids, 'base', 'heads'))
			  . (chance(0.2) ? ', purge => true' : '') . ')';
		}) x 2
	  if $stamps;
	my $text = '';
	for my $group (1 .. $n)
	{
		my $call = any(@calls)->();
		if ($call =~ /^CALL/)
		{
			$text .=
			  "SET default_transaction_isolation = '"
			  . any('read committed', 'repeatable read', 'serializable') . "';\n"
			  if chance(0.3);
			$text .= "\\warn \@\@stepwise\n$call;\n";
			next;
		}
		my @group = ($call, map({ any(@calls)->() } chance(0.25) ? 1 .. 2 : ()));
		@group = grep { !/^CALL/ } @group;
		my $isolation = any('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
		my $end = chance(0.1) ? 'ROLLBACK' : 'COMMIT';
		$text .=
			"\\warn \@\@\L$end\E\nBEGIN ISOLATION LEVEL $isolation;\n"
		  . join('', map { "$_;\n" } @group)
		  . "$end;\n";
	}
	return $text;
}

# The steps of which a session was told, and which were committed, as
# "upgrade a": those of its calls that succeeded, and of a stepwise call that
# failed all but the last.
sub steps_told
{
	my ($err) = @_;
	my @steps;
	for my $group (split /^@@/m, $err)
	{
		my @here;
		push @here, $1 eq 'upgrade' ? "$1 $3" : "$1 $2"
		  while $group =~ /NOTICE:  00000: running (upgrade|downgrade) (.*?) -> (.*?), number/g;
		my $failed = () = errors_in($group);
		if ($group =~ /^stepwise/)
		{
			pop @here if $failed;
		}
		elsif ($failed || $group =~ /^rollback/)
		{
			@here = ();
		}
		push @steps, @here;
	}
	return @steps;
}

# Documented errors of such calls.  MG012: a stepwise run is under way.
my %documented = map { $_ => 1 } qw(MG001 MG002 MG003 MG005 MG007 MG008 MG012 40001);

sub mixed
{
	my ($what, $stamps, $duration) = @_;
	my $begin = time;
	my $session = connect_to(create_database('mixed'));
	$session->run(
		'CREATE TABLE runs (revision text, up bool)',
		'CREATE TABLE data1 AS SELECT n FROM generate_series(1, 500) n',
		'CREATE TABLE data2 AS SELECT n FROM generate_series(1, 500) n');
	$session->run('SELECT migrate.load(' . lit(file($_->[0], $stamps, 'salt 0')) . ')') for @graph;

	my $look = $stamps ? $wrong : $wrong . $wrong_schema;
	my (%states, @unexpected, %wrong, $rounds, $samples, @unlogged);
	while (1)
	{
		my $round = ++$rounds;
		my @sessions = map {
			background('mixed', [ '-f', spew("$dir/mixed$_.sql", mixed_script($stamps, 30)) ],
				application_name => "s$round.$_", client_min_messages => 'notice')
		} 1 .. 8;
		my $running = sub { grep { !defined $_->{result} } @sessions };
		# psql may end at any time; finish waits
		my $waits = sub {
			$admin->value(
				"SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 's$round.%'");
		};
		wait_until($waits);
		while ($waits->() && time < $begin + $duration + 60)
		{
			$samples++;
			$wrong{$_}++ for $session->rows($look);
			sleep 0.02;
		}
		for my $n (1 .. 8)
		{
			my $result = finish($sessions[ $n - 1 ]);
			push @unexpected, $result->{err} if $result->{status};
			for my $error (errors_in($result->{err}))
			{
				my ($state, $message) = @$error;
				next if $state eq '25P02';    # what follows in the transaction
				$states{$state}++;
				next if $documented{$state};
				my ($group) = grep { index($_, $message) >= 0 } split /^@@/m, $result->{err};
				push @unexpected, "$state $message\n$group";
			}
			my $told = join ', ', steps_told($result->{err});
			my $logged = join ', ',
			  $session->rows(
				"SELECT operation || ' ' || revision FROM migrate.log"
				  . " WHERE application_name = 's$round.$n' AND operation <> 'stamp' ORDER BY id"
			  );
			push @unlogged, "told: $told\nin the log: $logged" if $told ne $logged;
		}
		$wrong{$_}++ for $session->rows($look);
		last if time > $begin + $duration || @unexpected || %wrong;
	}
	note sprintf '%s: %.1f s, %d rounds, %d looks, %d steps; %s', $what, time - $begin, $rounds,
	  $samples,
	  $session->value('SELECT count(*) FROM migrate.log'),
	  join(', ', map { "$_ $states{$_} times" } sort keys %states);
	is(scalar @unexpected, 0, "$what: no error but documented ones")
	  or diag join "\n", @unexpected[ 0 .. ($#unexpected < 4 ? $#unexpected : 4) ];
	is(join("\n", sort keys %wrong),
		'', "$what: rows, applied, log, scripts and schema agree at every moment");
	is(scalar @unlogged, 0, "$what: the log has each step of which somebody was told, and no other")
	  or diag $unlogged[0];
	is($session->value('SELECT count(*) FROM migrate.partial'),
		0, "$what: no script is left between");
	is($session->value('SELECT count(*) FROM migrate.running'), 0, "$what: no run is left");
	is($session->value('SELECT count(*) FROM pg_index WHERE NOT indisvalid'),
		0, "$what: no index is left invalid");
	is($admin->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, "$what: no lock is left");

	for my $kind (qw(MG008 MG012))
	{
		cmp_ok($states{$kind} // 0, '>', 0, "$what: they met, $kind");
	}
	cmp_ok($session->value('SELECT count(*) FROM migrate.log'), '>', 50, "$what: they moved about");
	for my $call ("upgrade_stepwise('heads')", "downgrade_stepwise('base')",
		"upgrade_stepwise('heads')")
	{
		my $result = $session->query("CALL migrate.$call");
		is($result->{state}, '00000', "$what: at the end $call works") or diag $result->{err};
		is(join("\n", $session->rows($look)), '', '    and all agrees');
	}
	$session->finish;
	drop_databases();
	return;
}

mixed('moving and loading', 0, 0.35 * $seconds);
mixed('with stamps', 1, 0.25 * $seconds);

# ------------------------------------------------- builds, under writers ----

# Each index has a leading column that no other index of its table has.
my @builds = (
	[ 'b1', 0, <<'UP', <<'DOWN' ],
CREATE INDEX CONCURRENTLY w1_k ON w1 (k);
CREATE INDEX CONCURRENTLY w2_k ON w2 (k);
UP
DROP INDEX CONCURRENTLY w2_k;
DROP INDEX CONCURRENTLY w1_k;
DOWN
	[ 'b2', 1, 'ALTER TABLE w2 ADD extra int DEFAULT 7;', 'ALTER TABLE w2 DROP extra;' ],
	[ 'b3', 0, <<'UP', <<'DOWN' ],
CREATE UNIQUE INDEX CONCURRENTLY w3_k ON w3 (k, id);
BEGIN;
CREATE TABLE made (n int);
INSERT INTO made SELECT count(*) FROM w3;
COMMIT;
REINDEX INDEX CONCURRENTLY w3_k;
CREATE INDEX CONCURRENTLY ON w2 (extra, id);
UP
DROP INDEX CONCURRENTLY w2_extra_id_idx;
DROP TABLE made;
DROP INDEX CONCURRENTLY w3_k;
DOWN
	[ 'b4', 0, <<'UP', <<'DOWN' ]);
VACUUM (ANALYZE) w1;
CREATE INDEX CONCURRENTLY w1_pad ON w1 (pad) WHERE id % 2 = 0;
DROP INDEX CONCURRENTLY w1_old;
UP
CREATE INDEX CONCURRENTLY w1_old ON w1 (abs(k));
DROP INDEX CONCURRENTLY w1_pad;
DOWN
my %index = (
	w1_k            => [ 'w1', 'k > -1000000000' ],
	w2_k            => [ 'w2', 'k > -1000000000' ],
	w3_k            => [ 'w3', 'k > -1000000000' ],
	w2_extra_id_idx => [ 'w2', 'extra >= 0' ],
	w1_pad          => [ 'w1', q{pad >= '' AND id % 2 = 0} ],
	w1_old          => [ 'w1', 'abs(k) >= 0' ]);

# Starts sessions with one call and lets all go at the same moment.
sub at_once
{
	my ($session, $calls, %settings) = @_;
	my $gate =
	  'DO $$BEGIN PERFORM pg_advisory_lock_shared(4242), pg_advisory_unlock_shared(4242); END$$';
	$session->run('SELECT pg_advisory_lock(4242)');
	my @children = map { start($session->{database}, [ $gate, $_ ], %settings) } @$calls;
	my $all = wait_until(
		sub {
			$admin->value("SELECT count(*) FROM pg_locks WHERE objid = 4242 AND NOT granted") ==
			  @$calls;
		},
		30);
	$session->run('SELECT pg_advisory_unlock(4242)');
	ok($all, scalar(@$calls) . ' sessions stood ready');
	return @children;
}

# Ends those that are not ended after some seconds; whether there was none.
sub ends_within
{
	my ($bound, $name) = @_;
	return 1 if wait_until(
		sub {
			!$admin->value(
				"SELECT count(*) FROM pg_stat_activity WHERE application_name = '$name'");
		},
		$bound);
	diag join "\n",
	  $admin->rows(
		"SELECT concat_ws(' ', pid, wait_event_type, wait_event, pg_blocking_pids(pid), query)"
		  . " FROM pg_stat_activity WHERE datname = 'builds'"
	  );
	$admin->run(
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '$name'");
	return 0;
}

# Whether an index has all rows of its table, seen in one snapshot.
sub check_index
{
	my ($session, $name) = @_;
	my ($table, $where) = @{ $index{$name} };
	$session->run(
		'BEGIN ISOLATION LEVEL REPEATABLE READ',
		'SET LOCAL enable_seqscan = off',
		'SET LOCAL enable_indexscan = on');
	my $plan = join ' ', $session->rows("EXPLAIN SELECT count(*) FROM $table WHERE $where");
	my $by_index = $session->value("SELECT count(*) FROM $table WHERE $where");
	$session->run(
		'SET LOCAL enable_seqscan = on',
		'SET LOCAL enable_indexscan = off',
		'SET LOCAL enable_bitmapscan = off',
		'SET LOCAL enable_indexonlyscan = off');
	my $by_table = $session->value("SELECT count(*) FROM $table WHERE $where");
	$session->run('COMMIT');
	return "$name is not used: $plan" if $plan !~ /\b$name\b/;
	return "$name has $by_index of $by_table rows" if $by_index != $by_table;
	return;
}

{
	my $begin = time;
	my $session = connect_to(create_database('builds'));
	$session->run('CREATE TABLE flag (done bool)', 'INSERT INTO flag VALUES (false)');
	for my $table (qw(w1 w2 w3))
	{
		$session->run(
			"CREATE TABLE $table (id serial PRIMARY KEY, k int, pad text)",
			"INSERT INTO $table (k, pad)"
			  . " SELECT i % 1000, 'pad ' || i % 77 FROM generate_series(1, 50000) i"
		);
	}
	$session->run('CREATE INDEX w1_old ON w1 (abs(k))');
	for my $build (@builds)
	{
		my ($id, $transactional, $up, $down) = @$build;
		$session->run(
			'SELECT migrate.revision('
			  . join(', ',
				map({ lit($_) } "build $id", $up, $down, $id),
				'transactional => ' . ($transactional ? 'true' : 'false'))
			  . ')');
	}

	# writers: all of them in the same order, so that none blocks another
	my $writes = spew("$dir/writes.sql", <<'SQL');
\set i random(1, 50000)
\set j random(1, 50000)
BEGIN;
UPDATE w1 SET k = k + 1 WHERE id = :i;
INSERT INTO w2 (k, pad) VALUES (:j, 'new');
UPDATE w2 SET pad = 'other' WHERE id = :i;
UPDATE w3 SET k = -k WHERE id = :j;
DELETE FROM w3 WHERE id = :i;
COMMIT;
SQL
	my $writers =
	  spawn("$dir/writers.out", tool('pgbench'), '-n', '-c', 4, '-j', 2, '-R', 400, '-T',
		100 + 3 * $seconds,
		'-f', $writes, 'builds');
	# atomic callers, one after the other without end
	my $calls = spew("$dir/calls.sql", <<'SQL' x (100 * (100 + $seconds)));
SELECT count(*) FROM migrate.upgrade('head');
SELECT pg_sleep(0.01);
SELECT done FROM flag \gset
\if :done
\q
\endif
SQL
	my @callers =
	  map { background('builds', [ '-f', $calls ], application_name => 'caller') } 1 .. 5;
	ok(wait_until(sub { $session->value('SELECT max(id) > 50010 FROM w2') eq 't' }, 30),
		'builds: there are writers');

	my @ways = (
		[ 'upgrade', 'head', [qw(w1_k w2_k w3_k w2_extra_id_idx w1_pad)] ],
		[ 'downgrade', 'base', ['w1_old'] ]);
	my ($runs, $retries, %took) = (0, 0);
	# up and down in turn, up at last
	while (1)
	{
		my ($direction, $target, $indexes) = @{ $ways[ $runs++ % 2 ] };
		my $from = time;
		my $written = $session->value('SELECT max(id) FROM w2');
		my @sessions = at_once(
			$session, [ ("CALL migrate.${direction}_stepwise('$target')") x 3 ],
			application_name    => 'stepper',
			client_min_messages => 'notice');
		ok(ends_within(60, 'stepper'), "builds, $direction: all three end in time");
		my @results = map { finish($_) } @sessions;
		$took{$direction} += time - $from;
		is( join(' ', map { $_->{state} } @results),
			'00000 00000 00000',
			"builds, $direction: without an error") or diag join "\n", map { $_->{err} } @results;
		is(scalar(grep { $_->{err} =~ /$direction to $target completed: 4 revisions/ } @results),
			1, '    one did it all');
		is(scalar(grep { $_->{err} =~ /nothing to do: at / } @results),
			2, '    and two found nothing to do');

		for my $result (@results)
		{
			$retries += () = $result->{err} =~ /rolled back, retry/g;
		}
		is( $session->value('SELECT count(*) FROM pg_index WHERE NOT (indisvalid AND indisready)'),
			0, '    no index is left invalid');
		is(join("\n", map { check_index($session, $_) } @$indexes),
			'', '    the indexes have all rows');
		is( $session->value(
				q{SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid}
				  . q{ WHERE c.relname ~ '^w[123]_'}
			),
			3 + @$indexes,
			'    and there are no others');
		is( join(' ', $session->rows('SELECT revision FROM migrate.applied ORDER BY 1')),
			$direction eq 'upgrade' ? 'b1 b2 b3 b4' : '',
			'    applied is as it should be');
		cmp_ok($session->value('SELECT max(id) FROM w2'),
			'>', $written, '    and the writers went on');
		last if $direction eq 'upgrade' && time > $begin + 0.4 * $seconds;
	}

	is( $admin->value(
			q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'caller'}
			  . q{ AND backend_type = 'client backend'}
		),
		5, 'builds: the callers call still');
	$session->run('UPDATE flag SET done = true');
	ok(ends_within(30, 'caller'), 'builds: and end when they are told');
	my (%states, %moved);
	for my $result (map { finish($_) } @callers)
	{
		$states{ $_->[0] }++ for errors_in($result->{err});
		$moved{$_}++ for grep { length } @{ $result->{rows} };
	}
	is(join(' ', grep { !/^MG0(?:08|12)$/ } sort keys %states),
		'', 'builds: the callers met MG012, and MG008 where no run was under way');
	cmp_ok($states{MG012}, '>', 10, 'builds: MG012 often');
	is(join(' ', sort keys %moved), '0', 'builds: or they had nothing to do');
	kill TERM => $writers->{pid};
	finish($writers);
	unlike(slurp("$dir/writers.out"), qr/ERROR|FATAL|aborted/, 'builds: no writer met an error');
	my ($ups, $downs) = (int(($runs + 1) / 2), int($runs / 2));
	is( join(
			' ',
			$session->rows(
				q{SELECT operation || revision || ':' || count(*) FROM migrate.log}
				  . q{ WHERE application_name = 'stepper' GROUP BY operation, revision ORDER BY 1}
			)),
		join(' ',
			($downs ? map { "downgradeb$_:$downs" } 1 .. 4 : ()),
			map { "upgradeb$_:$ups" } 1 .. 4),
		'builds: the log has each step of each run');
	is($session->value('SELECT count(*) FROM migrate.log'), $runs * 4, 'builds: and nothing else');
	note sprintf
	  'builds: %.1f s, %d runs, upgrades %.1f s, downgrades %.1f s, %d retries; callers: %s,'
	    . ' nothing to do %d times; %d rows written',
	  time - $begin,
	  $runs, $took{upgrade}, $took{downgrade} // 0, $retries,
	  join(', ', map { "$_ $states{$_} times" } sort keys %states), $moved{0} // 0,
	  $session->value('SELECT max(id) - 50000 FROM w2');
	$session->finish;
	drop_databases();
}

# ------------------------------------------------------- beside one run ----

# What a psql that runs still has said.
sub said { my $child = shift; return slurp($child->{err}->filename) }

# Whether a session comes to what is said of it in pg_stat_activity.
sub activity
{
	my ($query, $what) = @_;
	return wait_until(sub {
		$admin->value('SELECT count(*) FROM pg_stat_activity WHERE query LIKE ' . lit($query)
			  . " AND pid <> pg_backend_pid() AND state = 'active' AND ($what)") > 0;
	});
}

my $in_lock = q{wait_event_type = 'Lock'};
# it polls, so that pg_locks shows nothing
my $polls = q{wait_event_type = 'Extension'};

# Stores a revision on top of the head.
sub revision
{
	my ($session, $id, $up, $down, %options) = @_;
	$session->run(
		'SELECT migrate.revision('
		  . join(', ',
			map({ lit($_) } "number $id", $up, $down // 'SELECT 1', $id),
			map { "$_ => $options{$_}" } sort keys %options)
		  . ')');
	return;
}

{
	my $session = connect_to(create_database('beside'), messages => 'notice');
	$session->run('CREATE TABLE busy (n int)');
	revision($session, '0001', 'CREATE TABLE t1 ()', 'DROP TABLE t1');
	revision(
		$session, '0002',
		'CREATE INDEX CONCURRENTLY busy_n ON busy (n); CREATE TABLE t2 ()',
		'DROP TABLE t2; DROP INDEX CONCURRENTLY busy_n',
		transactional => 'false');
	revision($session, '0003', 'CREATE TABLE t3 ()', 'DROP TABLE t3');
	my $file =
		'replace('
	  . lit($session->value("SELECT replace(migrate.export('0003'), chr(10), '~')"))
	  . ", '~', chr(10))";
	my $writer = connect_to('beside');
	my $other = connect_to('beside', messages => 'notice');

	# The run is in the build, and so has an intent.
	my $hold = sub {
		$writer->run('BEGIN', 'INSERT INTO busy VALUES (1)');
		my $runner =
		  start('beside', 'CALL migrate.upgrade_stepwise()', client_min_messages => 'notice');
		ok(activity('migrate upgrade 2/3 0002: CREATE INDEX%', $in_lock),
			'beside a run: the build waits');
		return ($runner,
			$admin->value(q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'migrate upgrade%'}));
	};
	my ($runner, $pid) = $hold->();

	for my $call (
		q{SELECT migrate.upgrade('0001')},
		q{SELECT migrate.downgrade('0001')},
		q{CALL migrate.upgrade_stepwise('0001')},
		q{CALL migrate.downgrade_stepwise('0001')},
		"SELECT migrate.load($file)",
		q{SELECT migrate.current()},
		q{SELECT * FROM migrate.history()})
	{
		my $result = $other->query("SET migrate.run_lock_timeout = '20ms'; $call");
		is($result->{state}, '00000', "beside a run: $call has nothing to do, or only looks")
		  or diag $result->{err};
		like($result->{err}, qr/^HINT:  Process $pid runs it/m, '    and is told of the run')
		  if $call =~ /CALL|current/;
	}
	$other->run('RESET migrate.run_lock_timeout');
	my $hint = 'HINT:  Call again when it has ended: it commits step by step';
	for my $call (
		q{upgrade()},
		q{downgrade('base')},
		q{stamp('0003')},
		q{stamp('base', purge => true)},
		q{revision('new')},
		q{drop('0003')},
		q{edit('0003', 'SELECT 7')},
		q{edit('0002', 'SELECT 7')},
		"load(replace($file, 't3', 't4'))",
		q{configure('revision_ids', 'serial')},
		q{resume('0002', 'again')})
	{
		my $start = time;
		my $result = $other->query("SELECT migrate.$call");
		is($result->{state}, 'MG012', "beside a run: $call does not wait") or diag $result->{err};
		cmp_ok(time - $start, '<', 5, '    at all');
		like(
			$result->{err},
			qr/^DETAIL:  Process $pid \(.*\n.*$hint/m,
			'    and is told of the run');
	}
	is($other->query('SELECT migrate.check()')->{state},
		'MG004', 'beside a run: check() says that there is something to do');

	# Whoever keeps the build waiting by its snapshot is told the same, and
	# does not die of a deadlock.
	{
		my $late = connect_to('beside');
		$late->run('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM busy');
		$writer->run('COMMIT');
		ok( wait_until(
				sub { $admin->value("SELECT $late->{pid} = ANY (pg_blocking_pids($pid))") eq 't' }),
			'beside a run: the build waits for a snapshot');
		my $result = $late->query('SELECT migrate.upgrade()');
		is($result->{state}, 'MG012', '    and its owner gets MG012 too') or diag $result->{err};
		$late->run('ROLLBACK');
		$result = finish($runner);
		is($result->{state}, '00000', '    so that the run ends') or diag $result->{err};
		$late->finish;
	}
	$session->run(q{CALL migrate.downgrade_stepwise('base')});

	# Another stepwise run waits, also one that goes the other way.  It has no
	# snapshot meanwhile, for which the build would wait.
	($runner, $pid) = $hold->();
	my @waiters = map {
		start(
			'beside', "CALL migrate.$_",
			client_min_messages     => 'notice',
			'migrate.step_messages' => 'notice')
	} q{downgrade_stepwise('base')};
	ok(activity('CALL migrate.downgrade_stepwise%', $polls), 'beside a run: another run waits');
	my $snapshots = 0;
	for (1 .. 30)
	{
		$snapshots += $admin->value(
			q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL migrate.downgrade%' AND}
			  . q{ (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)}
		);
		sleep 0.01;
	}
	is($snapshots, 0, '    without a snapshot');
	my $start = time;
	my $result = finish(
		start(
			'beside', 'CALL migrate.upgrade_stepwise()',
			'migrate.run_lock_timeout' => '400ms',
			lock_timeout               => '50ms'));
	is($result->{state}, 'MG012', 'beside a run: migrate.run_lock_timeout ends the wait of a run')
	  or diag $result->{err};
	cmp_ok(time - $start, '>=', 0.4, '    and lock_timeout does not');
	is( finish(start('beside', 'CALL migrate.upgrade_stepwise()', statement_timeout => '300ms'))
		  ->{state},
		'57014',
		'beside a run: statement_timeout ends it');
	for my $end ([ 'pg_cancel_backend', '57014' ], [ 'pg_terminate_backend', '57P01' ])
	{
		my $waiter =
		  start('beside', 'CALL migrate.upgrade_stepwise()', application_name => $end->[0]);
		ok( activity('CALL migrate.upgrade_stepwise%', "$polls AND application_name = '$end->[0]'"),
			"beside a run: before $end->[0]");
		$admin->run(
			"SELECT $end->[0](pid) FROM pg_stat_activity WHERE application_name = '$end->[0]'");
		is(finish($waiter)->{state}, $end->[1], "$end->[0] ends it");
	}
	$writer->run('COMMIT');
	$result = finish($runner);
	is($result->{state}, '00000', 'beside a run: the run ends') or diag $result->{err};
	$result = finish($waiters[0]);
	is($result->{state}, '00000', '    and then the other way is gone') or diag $result->{err};
	like($result->{err}, qr/downgrade to base completed: 3 revisions/, '    whole');
	is($session->value('SELECT count(*) FROM migrate.applied'), 0, '    to its end');

	# A run waits for whoever has the lock for a transaction, and takes it at
	# its end.
	$writer->run('BEGIN', q{SELECT migrate.upgrade('0001')});
	$runner = start('beside', 'CALL migrate.upgrade_stepwise()', client_min_messages => 'notice');
	ok(activity('CALL migrate.upgrade_stepwise%', $polls), 'beside an atomic call: the run waits');
	$writer->run('COMMIT');
	$result = finish($runner);
	is($result->{state}, '00000', '    and goes on') or diag $result->{err};
	like(
		$result->{err},
		qr/upgrade to head completed: 2 revisions/,
		'    from where the other has come to');
	$session->run(q{CALL migrate.downgrade_stepwise('base')});
	$writer->run('BEGIN', q{SELECT migrate.upgrade('0001')}, q{PREPARE TRANSACTION 'held'});
	$result = finish(
		start('beside', 'CALL migrate.upgrade_stepwise()', 'migrate.run_lock_timeout' => '50ms'));
	is($result->{state}, 'MG012', 'beside a prepared transaction: the run waits');
	like($result->{err}, qr/^DETAIL:  A prepared transaction holds it/m, '    and tells who it is');
	$writer->run(q{ROLLBACK PREPARED 'held'});

	# A waiter that has something that the run needs, a lock of its session.
	$session->run(
		q{SELECT migrate.edit('0001', 'SELECT pg_advisory_xact_lock(7); CREATE TABLE t1 ()')});
	$other->run('SELECT pg_advisory_lock(7)');
	$runner = start(
		'beside', q{CALL migrate.upgrade_stepwise('0001')},
		client_min_messages    => 'notice',
		'migrate.lock_timeout' => 0);
	ok( activity('migrate upgrade 1/1 0001%', $in_lock),
		'beside a run that waits for the session: it waits');
	$result = $other->query('CALL migrate.upgrade_stepwise()');
	is($result->{state}, '40P01', '    and the session does not wait for it')
	  or diag $result->{err};
	$other->run('SELECT pg_advisory_unlock(7)');
	is(finish($runner)->{state}, '00000', '    but the run ends');
	$_->finish for $session, $other, $writer;
	drop_databases();
}

# ----------------------------------------------------- locks of others ----

create_database('locks');
$admin->run('CREATE ROLE "the reporter" SUPERUSER LOGIN');
my $session = connect_to('locks');
$session->run(
	'CREATE TABLE busy (n int)',
	'CREATE TABLE other (n int)',
	'CREATE TABLE runs (what text)',
	'INSERT INTO busy SELECT generate_series(1, 100)');
my $blocker = connect_to('locks', user => 'the reporter');
$blocker->run(q{SET application_name = 'nightly report'});
revision(
	$session, '0001',
	q{INSERT INTO runs VALUES ('0001')},
	q{INSERT INTO runs VALUES ('-0001')});
my ($ids, @ids) = (1, '0001');

# Another revision at the head, and the others are applied.
sub next_revision
{
	my ($up, %options) = @_;
	my $result = $session->query(q{CALL migrate.upgrade_stepwise()});
	diag $result->{err} if $result->{state} ne '00000';
	$session->run('TRUNCATE runs');
	my $id = sprintf '%04d', ++$ids;
	push @ids, $id;
	revision($session, $id, $up, undef, %options);
	return $id;
}

sub upgrade
{
	my (%settings) = @_;
	return start('locks', 'CALL migrate.upgrade_stepwise()', client_min_messages => 'notice',
		%settings);
}
sub runs { return join ' ', $session->rows('SELECT what FROM runs ORDER BY 1') }

sub logged
{
	my $id = shift;
	return $session->value("SELECT count(*) FROM migrate.log WHERE revision = '$id'");
}

sub applied
{
	my $id = shift;
	return $session->value("SELECT count(*) FROM migrate.applied WHERE revision = '$id'");
}
# Since 19 the server says which lock it waited for, before what we say.
my $waited = qr/(?:waiting for .*\n)?/;

sub retries { my $text = shift; my $n = () = $text =~ /rolled back, retry/g; return $n }
sub tries { my ($child, $n) = @_; return wait_until(sub { retries(said($child)) >= $n }) }

# An open report stops an ALTER TABLE, but the ALTER stops nobody for long.
{
	my $id = next_revision(q{INSERT INTO runs VALUES ('alter'); ALTER TABLE busy ADD more int});
	$blocker->run('BEGIN', "SELECT count(*) AS report FROM busy /* \x1b[31m */");
	my $runner = upgrade('migrate.lock_timeout' => '300ms');
	ok(tries($runner, 2), 'a report in the way: it is tried again, and again');
	my $told = said($runner);
	my $failed = 'canceling statement due to lock timeout; rolled back';
	like($told, qr/^NOTICE:  00000: $failed, retry 1 of 10 in \d+ ms$/m, '    the message says so');
	like(
		$told,
		qr/^DETAIL:  ${waited}revision "$id", upgrade script, statement 2, line 1$/m,
		'    the detail says where');
	my $who = qq{Process $blocker->{pid} (role "the reporter", application "nightly report", in its}
	  . ' transaction since ';
	my $what = 'was in the way: SELECT count(*) AS report FROM busy /*  [31m *';
	like(
		$told,
		qr/^HINT:  \Q$who\E\d{4}-.*\) \Q$what\E/m,
		'    and the hint who was in the way');
	is(runs(), '', '    nothing of it is there between');
	is(applied($id), 0, '    and nothing is recorded');
	my ($first, $second) = $told =~ /retry 1 of 10 in (\d+) ms.*retry 2 of 10 in (\d+) ms/s;
	ok($first >= 100 && $first <= 300 && $second >= 200 && $second <= 600, '    the pauses grow')
	  or diag "$first $second";
	is( $admin->value(
			q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%migrate%' AND state LIKE}
			  . q{ 'idle in transaction%'}
		),
		0,
		'    it is no idle transaction');
	$blocker->run('COMMIT');
	my $result = finish($runner);
	is($result->{state}, '00000', '    when the report ends, the run does') or diag $result->{err};
	is(runs(), 'alter', '    the script has run once');
	is(logged($id), 1, '    and is in the log once');
}

# A query that comes behind the ALTER that waits gets through between.
{
	my $id = next_revision('ALTER TABLE busy ADD yet_more int');
	$blocker->run('BEGIN', 'SELECT count(*) AS report FROM busy');
	my $runner = upgrade('migrate.lock_timeout' => '3s');
	ok(activity('migrate upgrade 1/1%', $in_lock), 'queries behind: the ALTER waits');
	my $query = start('locks', 'SELECT count(*) AS behind FROM busy');
	ok(activity('%AS behind%', $in_lock), '    a query waits behind it');
	my $result = finish($query);
	is("$result->{state} @{$result->{rows}}", '00000 100', '    and gets through')
	  or diag $result->{err};
	is($blocker->value('SELECT 1'), 1, '    while the report goes on');
	is(applied($id), 0, '    and the ALTER is not done');
	ok(tries($runner, 1), '    it is tried again');
	$blocker->run('COMMIT');
	is(finish($runner)->{state}, '00000', '    at last it is done');
}

# How often.
{
	my $done = next_revision(q{INSERT INTO runs VALUES ('before')});
	my $id = sprintf '%04d', ++$ids;
	push @ids, $id;
	revision($session, $id, q{INSERT INTO runs VALUES ('again'); ALTER TABLE busy ADD often int});
	$blocker->run('BEGIN', 'SELECT count(*) AS report FROM busy');
	for my $n (0, 1, 3)
	{
		my $result =
		  finish(upgrade('migrate.lock_timeout' => '50ms', 'migrate.lock_retries' => $n));
		is($result->{state}, '55P03', "$n retries: then the error comes") or diag $result->{err};
		is(retries($result->{err}), $n, '    after as many');
		like(
			$result->{err},
			qr/^CONTEXT:  ${waited}revision "$id", upgrade script, statement 2, line 1$/m,
			'    it says where');
		my $gave_up =
		  $n == 0 ? 'It was not retried, because migrate.lock_retries is 0.' :
		  $n == 1 ? 'Gave up after 1 retry (migrate.lock_retries).' :
		  "Gave up after $n retries (migrate.lock_retries).";
		my $pid = $blocker->value('SELECT pg_backend_pid()');
		like($result->{err}, qr/^DETAIL:  \Q$gave_up\E$/m, '    how often');
		like($result->{err}, qr/^Process $pid .* was in the way: SELECT /m,
			'    and who was in the way');
		is(runs(), 'before', '    what came before stays, and the revision is rolled back');
		is(applied($done) . applied($id), '10', '    so is the record');
		is($session->value('SELECT count(*) FROM migrate.partial'),
			0, '    nothing is left between');
	}
	# the session's own lock_timeout, where it is shorter, and where ours is off
	for my $settings (
		{ lock_timeout => '50ms' },
		{ lock_timeout => '50ms', 'migrate.lock_timeout' => 0 },
		{ lock_timeout => '20s', 'migrate.lock_timeout'  => '50ms' })
	{
		my $start = time;
		my $result = finish(upgrade(%$settings, 'migrate.lock_retries' => 0));
		is($result->{state}, '55P03',
			'    with ' . join(', ', map { "$_ = $settings->{$_}" } sort keys %$settings))
		  or diag $result->{err};
		cmp_ok(time - $start, '<', 4, '    the shorter one counts');
	}
	# both off: it waits, and can be cancelled
	my $runner = upgrade('migrate.lock_timeout' => 0);
	ok(activity('migrate upgrade 1/1%', $in_lock), '    with neither it waits');
	$admin->run(
		q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'migrate upgrade%'});
	is(finish($runner)->{state}, '57014', '    a cancelled run is not tried again');
	# neither is a cancelled pause
	$runner = upgrade('migrate.lock_timeout' => '50ms');
	ok(tries($runner, 4), '    in the pauses');
	$admin->run(
		q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'migrate upgrade%'});
	is(finish($runner)->{state}, '57014', '    it can be cancelled, too');
	# what the script sets counts for the script
	$session->run(
		"SELECT migrate.edit('$id', "
		  . lit(
			q{SET lock_timeout = '60ms'; INSERT INTO runs VALUES ('again');}
			  . q{ ALTER TABLE busy ADD often int}
		  )
		  . ')');
	my $result = finish(upgrade('migrate.lock_timeout' => '50s', 'migrate.lock_retries' => 2));
	is($result->{state} . retries($result->{err}),
		'55P032', '    lock_timeout of the script counts')
	  or diag $result->{err};
	$blocker->run('COMMIT');
}

# A blocker that is no session; one that may not be looked at; several.
{
	my $id = next_revision('ALTER TABLE busy ADD prepared int');
	$blocker->run('BEGIN', 'SELECT count(*) FROM busy', q{PREPARE TRANSACTION 'old'});
	my $runner = upgrade('migrate.lock_timeout' => '100ms');
	ok(tries($runner, 1), 'a prepared transaction in the way: it is tried again');
	like(said($runner), qr/^HINT:  A prepared transaction was in the way\.$/m, '    and named');
	$blocker->run(q{ROLLBACK PREPARED 'old'});
	is(finish($runner)->{state}, '00000', '    at last it is done');

	# what the server's log does not take is heard all the same
	$id = next_revision('ALTER TABLE busy ADD silent int');
	$blocker->run('BEGIN', 'SELECT count(*) FROM busy');
	$runner = upgrade('migrate.lock_timeout' => '100ms', log_min_messages => 'fatal');
	ok(tries($runner, 1), 'without messages in the log: it is tried again');
	like(said($runner), qr/^HINT:  Process $blocker->{pid} /m,
		'    and who was in the way is told');
	$blocker->run('COMMIT');
	is(finish($runner)->{state}, '00000', '    at last it is done');

	$id = next_revision('ALTER TABLE busy ADD several int');
	my @others =
	  map { connect_to('locks', user => 'the reporter')->run('BEGIN', 'SELECT count(*) FROM busy') }
	  1 .. 3;
	$runner = upgrade('migrate.lock_timeout' => '100ms');
	ok(tries($runner, 1), 'three in the way: it is tried again');
	like(said($runner), qr/Process $_->{pid} \(role "the reporter"/, '    each is named')
	  for @others;
	$_->finish for @others;
	is(finish($runner)->{state}, '00000', '    at last it is done');

	$admin->run('CREATE ROLE deployer LOGIN');
	$session->run('GRANT USAGE ON SCHEMA migrate TO deployer',
		'GRANT EXECUTE ON PROCEDURE migrate.upgrade_stepwise TO deployer');
	$id = next_revision('LOCK TABLE other');
	$session->run('GRANT ALL ON other TO deployer');
	$blocker->run('BEGIN', q{SELECT count(*), 'secret' FROM other});
	$runner = upgrade('migrate.lock_timeout' => '100ms', user => 'deployer');
	ok(tries($runner, 1), 'as a role without rights: it is tried again');
	like(
		said($runner),
		qr/Process $blocker->{pid} \(role "the reporter".*was in the way: <insufficient privilege>/,
		'    the process is named');
	unlike(said($runner), qr/secret/, '    and not what it does');
	$blocker->run('COMMIT');
	is(finish($runner)->{state}, '00000', '    at last it is done');
}

# A real deadlock, with the run as its victim.
{
	my $id =
	  next_revision(q{LOCK TABLE other; INSERT INTO runs VALUES ('deadlock'); LOCK TABLE busy});
	my $enemy = connect_to('locks', options => '-c deadlock_timeout=60s');
	$enemy->run('BEGIN', 'LOCK TABLE busy');
	my $runner = upgrade('migrate.lock_timeout' => '60s', deadlock_timeout => '2s');
	ok(activity('migrate upgrade 1/1%LOCK TABLE busy%', $in_lock), 'a deadlock: the run waits');
	$enemy->run('LOCK TABLE other');
	ok(tries($runner, 1), '    is its victim, and is tried again') or diag said($runner);
	like(
		said($runner),
		qr/^NOTICE:  00000: deadlock detected; rolled back, retry 1 of 10/m,
		'    the message says so');
	my $enemys = qr/^DETAIL:  Process \d+ waits for .*; blocked by process $enemy->{pid}\.\n/m;
	my $where = qq{revision "$id", upgrade script, statement 3, line 1};
	like(
		said($runner),
		qr/$enemys(?:.*\n)*\Q$where\E$/m,
		'    the detail who was in the way, and where');
	$enemy->run('COMMIT');
	my $result = finish($runner);
	is($result->{state}, '00000', '    at last it is done') or diag $result->{err};
	is(runs() . logged($id), 'deadlock1', '    once');
	$enemy->finish;
}

# A real conflict of two serializable transactions.
{
	my $id = next_revision(
		q{SELECT sum(n) FROM other; SELECT pg_advisory_xact_lock(8); INSERT INTO runs}
		  . q{ VALUES ('serializable'); UPDATE other SET n = n + 1}
	);
	$session->run('INSERT INTO other VALUES (1)');
	$blocker->run('SELECT pg_advisory_lock(8)');
	my $runner =
	  upgrade(default_transaction_isolation => 'serializable', 'migrate.lock_timeout' => '60s');
	ok( activity('migrate upgrade 1/1%advisory%', $in_lock),
		'a conflict: the run waits with a snapshot');
	$blocker->run('UPDATE other SET n = 10', 'SELECT pg_advisory_unlock(8)');
	my $result = finish($runner);
	is($result->{state}, '00000', '    and is done') or diag $result->{err};
	my $failed = 'could not serialize access due to concurrent update; rolled back';
	like($result->{err}, qr/^NOTICE:  00000: $failed, retry 1 of 10/m, '    at the second try');
	is(runs() . logged($id), 'serializable1', '    once');
	is($session->value('SELECT n FROM other'), 11, '    on what the other has written');
}

# Nothing else is tried again.
for my $case (
	[ '23505', q{CREATE TABLE k (n int PRIMARY KEY); INSERT INTO k VALUES (1), (1)} ],
	[ '22012', 'SELECT 1 / 0' ],
	[ '42P01', 'SELECT * FROM nowhere' ],
	[ '57014', q{SET statement_timeout = '50ms'; SELECT pg_sleep(10)} ],
	[ '55000', q{SELECT currval('migrate.log_id_seq')} ],
	[
		'23505',
		q{CREATE TABLE k (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED); INSERT INTO k}
		  . q{ VALUES (1), (1)}
	])
{
	my ($state, $script) = @$case;
	my $id = next_revision("INSERT INTO runs VALUES ('once'); $script");
	my $result = finish(upgrade());
	is($result->{state}, $state, "an error $state comes at once") or diag $result->{err};
	is(retries($result->{err}), 0, '    and is not tried again');
	like(
		$result->{err},
		qr/^CONTEXT:  (?:.*\n)*?revision "$id", upgrade script, /m,
		'    it says where');
	is(runs() . applied($id), '0', '    nothing of it stays');
	$session->run("SELECT migrate.edit('$id', 'SELECT 1')");
}

# A plain part of a script that is not transactional: the part is tried again,
# and nothing that is done already.
{
	my $id = next_revision(<<'SQL', transactional => 'false');
INSERT INTO runs VALUES ('first');
CREATE INDEX CONCURRENTLY other_n ON other (n);
BEGIN;
INSERT INTO runs VALUES ('group');
ALTER TABLE busy ADD in_group int;
COMMIT;
INSERT INTO runs VALUES ('last');
SQL
	$blocker->run('BEGIN', 'SELECT count(*) AS report FROM busy');
	my $runner = upgrade('migrate.lock_timeout' => '100ms');
	ok(tries($runner, 2), 'a part of a script: it is tried again');
	like(
		said($runner),
		qr/^DETAIL:  ${waited}revision "$id", upgrade script, statement 5, line 5$/m,
		'    the detail says where');
	is(runs(), 'first', '    what came before it is done');
	is($session->value("SELECT statements_done FROM migrate.partial WHERE revision = '$id'"),
		2, '    and recorded');
	$blocker->run('COMMIT');
	my $result = finish($runner);
	is($result->{state}, '00000', '    at last it is done') or diag $result->{err};
	is(runs(), 'first group last', '    each part once');
	is(() = ($result->{err} =~ /statement \d\/7: CREATE INDEX/g), 1, '    the index too');
}

# Builds: migrate.concurrent_lock_timeout, by default none.
{
	my $id =
	  next_revision('CREATE INDEX CONCURRENTLY busy_n ON busy (n)', transactional => 'false');
	$blocker->run('BEGIN', 'INSERT INTO busy VALUES (0)');
	my $result = finish(
		upgrade('migrate.concurrent_lock_timeout' => '300ms', 'migrate.lock_timeout' => '50ms'));
	is($result->{state}, '55P03', 'a build that may not wait: the error comes')
	  or diag $result->{err};
	is(retries($result->{err}), 0, '    and it is not tried again');
	is($session->value(q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'busy_n'::regclass}),
		'f', '    an invalid index is there');
	is($session->value(q{SELECT NOT in_doubt FROM migrate.partial}), 't',
		'    nothing is in doubt');
	$blocker->run('COMMIT');
	$result = finish(upgrade('migrate.concurrent_lock_timeout' => '10s'));
	is($result->{state}, '00000', '    the next call goes on') or diag $result->{err};
	like(
		$result->{err},
		qr/NOTICE:  00000: removing invalid index "busy_n", which an interrupted build left/,
		'    and says what it does');
	is($session->value(q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'busy_n'::regclass}),
		't', '    the index is valid');
	is($session->value(q{SELECT count(*) FROM pg_index WHERE indrelid = 'busy'::regclass}),
		1, '    and alone');
	is(logged($id), 1, '    the log has it once');

	$id = next_revision('CREATE INDEX CONCURRENTLY busy_more ON busy (more); SELECT 1',
		transactional => 'false');
	$blocker->run('BEGIN', 'INSERT INTO busy VALUES (0)');
	my $runner = connect_to('locks', messages => 'notice', options => '-c lock_timeout=200ms');
	print { $runner->{in} } "CALL migrate.upgrade_stepwise();\n";
	ok(activity('migrate upgrade 1/1%CREATE INDEX%', $in_lock), 'a build that may wait: it waits');
	ok( activity(
			'migrate upgrade 1/1%CREATE INDEX%',
			"$in_lock AND now() > state_change + interval '1 s'"),
		'    for longer than lock_timeout says')
	  or diag $admin->rows(
		q{SELECT query, state, wait_event_type, clock_timestamp() - state_change}
		  . q{ FROM pg_stat_activity}
	  );
	is($session->value(q{SELECT count(*) FROM migrate.applied WHERE revision = '} . $id . q{'}),
		0, '    and is not done');
	$blocker->run('COMMIT');
	$result = $runner->query('SHOW lock_timeout');
	is($result->{out}, "200ms\n", '    afterwards lock_timeout is as it was');
	is( $session->value(
			q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'busy_more'::regclass}),
		't',
		'    and the index is there') or diag $result->{err};
	is(applied($id), 1, '    recorded');

	# DROP INDEX CONCURRENTLY, and removing what is left, are bounded likewise
	$id = next_revision('DROP INDEX CONCURRENTLY busy_more', transactional => 'false');
	$blocker->run('BEGIN', 'INSERT INTO busy VALUES (0)');
	$result = finish(upgrade('migrate.concurrent_lock_timeout' => '200ms'));
	is($result->{state}, '55P03', 'a drop that may not wait: the error comes')
	  or diag $result->{err};
	$blocker->run('COMMIT');
	$result = finish(upgrade());
	is($result->{state}, '00000', '    the next call goes on') or diag $result->{err};
	is($session->value(q{SELECT count(*) FROM pg_class WHERE relname = 'busy_more'}),
		0, '    the index is gone');

	# the script's own lock_timeout counts for its builds
	$id = next_revision(
		q{SET lock_timeout = '250ms'; CREATE INDEX CONCURRENTLY busy_own ON busy (more)},
		transactional => 'false');
	$blocker->run('BEGIN', 'INSERT INTO busy VALUES (0)');
	$result = finish(upgrade());
	is($result->{state}, '55P03', 'a build with a lock_timeout of the script: it counts')
	  or diag $result->{err};
	# and when the script goes on in another session
	$result = finish(upgrade());
	is($result->{state}, '55P03', '    also when the script goes on') or diag $result->{err};
	$blocker->run('COMMIT');
	$result = finish(upgrade());
	is($result->{state}, '00000', '    at last it is done') or diag $result->{err};
	is( join(
			' ',
			$session->rows(
				q{SELECT indexrelid::regclass, indisvalid FROM pg_index}
				  . q{ WHERE indrelid = 'busy'::regclass ORDER BY 1}
			)),
		'busy_n|t busy_own|t',
		'    nothing is left');
}

# All scripts down again.
{
	my $result = $session->query(q{CALL migrate.downgrade_stepwise('base')});
	is($result->{state}, '00000', 'locks: and down again') or diag $result->{err};
	is($session->value('SELECT count(*) FROM migrate.applied'), 0, '    to base');
	is($admin->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, '    no lock is left');
}

$_->finish for $session, $blocker;
drop_databases();
$admin->finish;
done_testing();
