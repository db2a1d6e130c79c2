#!/usr/bin/perl
#
# Many sessions at once: fifty that start the same upgrade, eight that move
# and author at random, and sessions that wait for each other.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $dir = scratch_dir();
MigrateServer->create(
	settings => [
		'max_connections = 100',
		'max_prepared_transactions = 2',
		'deadlock_timeout = 500ms',
		'log_min_messages = fatal'
	])->use;
my $admin = connect_to('postgres');
cmp_ok($admin->value('SHOW max_connections'), '>=', 80, 'the server takes fifty sessions and more');

# Whether a session's statement waits for the run lock: it polls, so that
# pg_locks shows nothing.
sub polls
{
	my $like = shift;
	return activity($like, q{state = 'active' AND wait_event_type = 'Extension'});
}

sub activity
{
	my ($like, $what) = @_;
	my $sql = 'SELECT count(*) FROM pg_stat_activity WHERE query LIKE '
	  . lit($like) . " AND pid <> pg_backend_pid() AND ($what)";
	return wait_until(sub { $admin->value($sql) > 0 });
}

# ---------------------------------------------------------- consistency ----

# What the version rows imply.
my $implied = <<'SQL';
WITH RECURSIVE a(revision) AS (
	SELECT revision FROM migrate.versions
	UNION
	SELECT p FROM a JOIN migrate.revisions r USING (revision),
		unnest(r.down_revisions || r.depends_on) p)
SELECT revision FROM a
SQL

# The maximal elements of what is applied.
my $maximal = <<'SQL';
SELECT a.revision FROM migrate.applied a WHERE NOT EXISTS (
	SELECT 1 FROM migrate.revisions r JOIN migrate.applied USING (revision)
	WHERE a.revision = ANY (r.down_revisions || r.depends_on))
SQL

# Number of rows in which two queries differ.
sub difference
{
	my ($session, $one, $other) = @_;
	return $session->value("SELECT count(*) FROM (
		(($one) EXCEPT ALL ($other)) UNION ALL (($other) EXCEPT ALL ($one))) x");
}

# Rows, applied and log agree; every script ran as often as the log says.
sub consistent
{
	my ($session, $what) = @_;
	my $rows = 'SELECT revision FROM migrate.versions';
	my $applied = 'SELECT revision FROM migrate.applied';
	my $last = 'SELECT unnest(versions_after) FROM migrate.log
		WHERE id = (SELECT max(id) FROM migrate.log)';
	is(difference($session, $applied, $implied),
		0, "$what: applied is what the version rows imply");
	is(difference($session, $rows, $maximal),
		0, "$what: the version rows are the maximal elements of applied");
	is($session->value(<<'SQL'), 0, "$what: each log row begins where the one before ended");
SELECT count(*) FROM (
	SELECT versions_before, lag(versions_after, 1, '{}') OVER (ORDER BY id) AS before
	FROM migrate.log) l
WHERE versions_before <> before
SQL
	is(difference($session, $last, $rows), 0, "$what: and the last one at the version rows");
	is($session->value(<<'SQL'), 0, "$what: every script ran as often as the log says");
SELECT count(*) FROM (SELECT revision, up, count(*) FROM runs GROUP BY 1, 2) r
FULL JOIN (SELECT revision, operation = 'upgrade' AS up, count(*) FROM migrate.log
	WHERE operation <> 'stamp' GROUP BY 1, 2) l
USING (revision, up, count) WHERE r.revision IS NULL OR l.revision IS NULL
SQL
	return;
}

# ----------------------------------------------- fifty sessions at once ----

my $sessions = 50;
my @all = map { sprintf '%04d', $_ } 1 .. 20;

# Twenty revisions in a new database: tables, or with data_only rows alone.
sub make_history
{
	my ($name, %options) = @_;
	create_database($name);
	my $session = connect_to($name);
	$session->run('CREATE TABLE runs (revision text, up bool)');
	for my $id (@all)
	{
		my ($up, $down) =
		  $options{data_only} ? ('', '') : ("CREATE TABLE t_$id (id int);", "DROP TABLE t_$id;");
		$up = lit("$up INSERT INTO runs VALUES ('$id', true);");
		$down = lit("$down INSERT INTO runs VALUES ('$id', false);");
		$session->run("SELECT migrate.revision('revision $id', $up, $down, '$id')");
	}
	return $session;
}

# Starts one psql for each target and lets all go at the same moment.
sub race
{
	my ($session, $targets, %settings) = @_;
	my $gate = 'DO $$BEGIN
		PERFORM pg_advisory_lock_shared(4242), pg_advisory_unlock_shared(4242); END$$';
	my $ready = 'SELECT count(*) FROM pg_locks WHERE objid = 4242 AND NOT granted';
	$session->run('SELECT pg_advisory_lock(4242)');
	my @children =
	  map { start($session->{database}, [ $gate, "SELECT migrate.upgrade('$_')" ], %settings) }
	  @$targets;
	my $all = wait_until(sub { $session->value($ready) == @$targets }, 30);
	$session->run('SELECT pg_advisory_unlock(4242)');
	my @results = map { finish($_) } @children;
	ok($all, scalar(@$targets) . ' sessions stood ready');
	return @results;
}

for my $isolation ('read committed', 'repeatable read', 'serializable')
{
	for my $kind ('one target', 'data only, two targets')
	{
		my $what = "$isolation, $kind";
		my $session = make_history('race', data_only => $kind ne 'one target');
		my @targets = map { $kind ne 'one target' && $_ % 2 ? '0010' : 'head' } 1 .. $sessions;
		my (%returned, $workers, $stale, $rounds);
		my $start = time;

		while (@targets && ++$rounds <= 6)
		{
			my @results = race($session, \@targets, default_transaction_isolation => $isolation);
			my @again;
			for my $i (0 .. $#results)
			{
				my $result = $results[$i];
				if ($result->{state} eq '40001')
				{
					push @again, $targets[$i];
					$stale++;
				}
				elsif ($result->{status} || $result->{state} ne '00000')
				{
					fail("$what: a session failed");
					diag $result->{err};
				}
				$workers++ if @{ $result->{rows} };
				$returned{$_}++ for @{ $result->{rows} };
			}
			@targets = @again;
			last if $isolation eq 'read committed';
		}
		my $retried = $isolation eq 'read committed' ? '' : ', some after trying again';
		is(scalar @targets, 0, "$what: all sessions succeed$retried");
		note sprintf '%s: %d times 40001, %d rounds, %.1f s',
		  $what, $stale // 0, $rounds, time - $start;
		is(join(' ', sort keys %returned), "@all", "$what: all revisions were returned");
		is_deeply([ grep { $_ != 1 } values %returned ], [], "$what: each to one session");
		if ($kind eq 'one target')
		{
			is($workers, 1, "$what: one session did it all");
		}
		else
		{
			cmp_ok($workers, '<=', 2, "$what: one session or two did it");
		}
		is($session->value('SELECT count(*) FROM migrate.log'), 20, "$what: the log has 20 rows");
		is($session->value('SELECT string_agg(revision, $$ $$ ORDER BY revision) FROM runs'),
			"@all", "$what: each script ran once");
		is($session->value('SELECT migrate.current()'),
			'0020', "$what: the database is at the head");
		consistent($session, $what);
		$session->finish;
		drop_databases();
	}
}

# The one that has the lock goes away: another one does the work.
{
	my $session = make_history('race');
	my $runner = connect_to('race');
	$runner->run('BEGIN', 'SELECT migrate.upgrade()');
	my @waiters = map { start('race', 'SELECT migrate.upgrade()') } 1 .. 5;
	ok(polls('SELECT migrate.upgrade()'), 'a winner that goes away: others wait');
	$admin->run("SELECT pg_terminate_backend($runner->{pid})");
	my @results = map { finish($_) } @waiters;
	is(join(' ', map { $_->{state} } @results),
		join(' ', ('00000') x 5),
		'a winner that goes away: none of them fails');
	is(join(' ', map { @{ $_->{rows} } } @results), "@all", 'and one of them does the work');
	consistent($session, 'a winner that goes away');
	$_->finish for $runner, $session;
	drop_databases();
}

# A plan that fails: every session tries, every session gets the error, nothing
# stays.
{
	my $session = make_history('race');
	$session->run(q{SELECT migrate.edit('0020', 'SELECT 1/0')});
	my @results = race($session, [ ('head') x 20 ]);
	is_deeply([ grep { $_->{state} ne '22012' || $_->{out} ne '' } @results ],
		[], 'a plan that fails: each of 20 sessions gets the error');
	is($session->value('SELECT count(*) FROM runs'), 0, '    no script has run');
	is($session->value('SELECT count(*) FROM migrate.log'), 0, '    nothing is in the log');
	is($session->value(q{SELECT count(*) FROM pg_class WHERE relname LIKE 't\_00%'}),
		0, '    no table is left');
	consistent($session, 'a plan that fails');
	$session->finish;
	drop_databases();
}

# ------------------------------------------------------ mixed, at random ----

# Each of eight sessions has a psql script: moving, stamping, authoring, in
# all isolation levels, some in transactions of several calls.
{
	my $seed = $ENV{MIGRATE_TEST_SEED} // 20251104;
	my $rounds = 600;
	note "mixed: seed $seed, $rounds rounds";
	srand $seed;

	my $session = make_history('mixed', data_only => 1);
	# A branch, and a merge point above both.
	for my $id (qw(b1 b2))
	{
		my $head = $id eq 'b1' ? '0005' : 'b1';
		$session->run("SELECT migrate.revision('branch', 'INSERT INTO runs VALUES (''$id'', true)',"
			  . " 'INSERT INTO runs VALUES (''$id'', false)', '$id', '$head', splice => true)");
	}
	$session->run(q{SELECT migrate.merge(ARRAY['0020', 'b2'], rev_id => 'm1')});
	# A merge has empty scripts; count it too.
	$session->run(
		q{SELECT migrate.edit('m1', 'INSERT INTO runs VALUES (''m1'', true)',
			'INSERT INTO runs VALUES (''m1'', false)')});

	my @ids = (@all, qw(b1 b2 m1));
	my $any = sub { $_[ int rand @_ ] };
	my ($number, $new, $known);
	my $script = sub {
		my ($id) = @_;
		return sub {
			my $up = shift;
			return "INSERT INTO runs VALUES ('$id', $up); -- " . int rand 3;
		};
	};
	my %parents = map { $all[$_] => $_ ? $all[ $_ - 1 ] : '' } 0 .. $#all;
	my @calls = (
		(sub { 'upgrade(' . lit($any->(@ids, 'head', 'heads', '+1', '+3')) . ')' }) x 6,
		(sub { 'downgrade(' . lit($any->(@ids, 'base', '-1', '-2')) . ')' }) x 4,
		(sub {
				my $target = lit($any->(@ids, 'base'));
				return "stamp($target" . (rand() < 0.2 ? ', purge => true' : '') . ')';
			}) x 2,
		(sub {
				my $id = $any->(@ids);
				return "edit('$id', " . lit($script->($id)->('true')) . ')';
			}) x 2,
		sub {
			my $id = $any->(@ids);
			return "edit('$id', message => " . lit('message ' . int rand 10) . ')';
		},
		(sub {
				my $id = $any->(@all);
				my ($up, $down) = map { $script->($id)->($_) } qw(true false);
				return 'load(' . lit(<<"END") . ')';
-- loaded
-- Revision ID: $id
-- Revises: $parents{$id}
-- migrate:up
$up
-- migrate:down
$down
END
			}) x 2,
		# a new revision and its end
		sub { $new->() },
		(sub { 'drop(' . lit($known->()) . ')' }) x 2,
		# added and applied in one transaction, reverted and dropped likewise
		sub { my ($call, $id) = $new->(); ($call, "upgrade('$id')") },
		sub { my $id = $known->(); ("downgrade('$id-1')", "drop('$id')") },
		# looking, and no-ops
		sub { 'history()' }, sub { 'pending()' }, sub { 'current()' },
	);

	# Every session makes revisions of its own, and drops those of others too.
	my $self;
	$new = sub {
		my $id = sprintf 'x%d.%d', ++$number, $self;
		my @scripts = map { lit($script->($id)->($_)) } qw(true false);
		my $call = join ', ', lit('new'), @scripts, lit($id), lit($any->(@ids));
		return ("revision($call, splice => true)", $id);
	};
	$known = sub { sprintf 'x%d.%d', $number - int rand 4, rand() < 0.5 ? $self : 1 + int rand 8 };

	my @scripts = map {
		($number, $self) = (0, $_);
		my $text = "SET migrate.step_messages = off;\n";
		for (1 .. $rounds)
		{
			my @list = grep { /\(/ } $any->(@calls)->();
			push @list, grep({ /\(/ } $any->(@calls)->()) if rand() < 0.15;
			my $level =
			  $any->('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
			my $end = rand() < 0.15 ? 'ROLLBACK' : 'COMMIT';
			$text .= "$_;\n"
			  for "BEGIN ISOLATION LEVEL $level",
			  (map { "SELECT count(*) FROM migrate.$_" } @list),
			  $end;
		}
		spew("$dir/mixed$_.sql", $text);
	} 1 .. 8;

	my $start = time;
	my @results = map { finish($_) } map { background('mixed', [ '-f', $_ ]) } @scripts;
	my %states;
	my @unexpected;
	for my $result (@results)
	{
		push @unexpected, $result->{err} if $result->{status};
		while ($result->{err} =~ /(?:ERROR|FATAL|PANIC):  (\w{5}): (.*)/g)
		{
			my ($state, $message) = ($1, $2);
			next if $state eq '25P02';    # what follows in the transaction
			$states{$state}++;
			next if $state =~ /^(?:40001|MG00[1-7])$/;
			next if $state eq 'MG010' && $message =~ /^cannot drop revision|is already present$/;
			push @unexpected, "$state $message";
		}
	}
	note sprintf 'mixed: %.1f s; %s; %d steps in the log',
	  time - $start,
	  join(', ', map { "$_ $states{$_} times" } sort keys %states),
	  $session->value('SELECT count(*) FROM migrate.log');
	is(scalar @unexpected, 0, 'mixed: no error but documented ones')
	  or diag join "\n", @unexpected[ 0 .. ($#unexpected < 9 ? $#unexpected : 9) ];
	cmp_ok($session->value('SELECT count(*) FROM migrate.log'), '>', 200, 'mixed: it moved about');
	consistent($session, 'mixed');
	for my $call ("upgrade('heads')", "stamp('heads', purge => true)", "downgrade('base')")
	{
		my $result = $session->query("SELECT count(*) FROM migrate.$call");
		is($result->{state}, '00000', "mixed: at the end $call works") or diag $result->{err};
	}
	consistent($session, 'mixed, back at base');
	$session->finish;
	drop_databases();
}

# A session that only looks, or has nothing to do, sees one state: revisions and
# version rows of the same moment.  A long history makes reading it slow.
{
	create_database('looking');
	my $session = connect_to('looking');
	$session->run(<<'SQL', 'SELECT migrate.upgrade()');
INSERT INTO migrate.revisions (revision, down_revisions, message, downgrade_sql)
SELECT 'r' || i, CASE WHEN i = 1 THEN '{}' ELSE ARRAY['r' || i - 1] END, 'r', ''
FROM generate_series(1, 1500) i
SQL
	my $quiet = "SET migrate.step_messages = off;\n";
	my $writer = spew("$dir/writer.sql", $quiet . join '', map { <<"SQL" } 1 .. 60);
BEGIN; SELECT migrate.revision('new', rev_id => 'n$_'); SELECT migrate.upgrade(); COMMIT;
BEGIN; SELECT migrate.downgrade('-1'); SELECT migrate.drop('n$_'); COMMIT;
SQL
	my $reader = spew("$dir/reader.sql", $quiet . (<<'SQL') x 150);
SELECT count(*) FROM migrate.pending();
SELECT count(*) FROM migrate.upgrade('r1500');
SELECT count(*) FROM migrate.history('r1:r2');
SQL
	my $start = time;
	my $writing = background('looking', [ '-f', $writer ]);
	my @results = map { finish($_) } map { background('looking', [ '-f', $reader ]) } 1 .. 3;
	my $written = finish($writing);
	is($written->{state}, '00000', 'looking: the writer meets no error')
	  or diag substr $written->{err}, 0, 500;
	my @errors = map { $_->{err} =~ /ERROR:  (.*)/g } @results;
	is(scalar @errors, 0, 'looking: neither do those who look, or have nothing to do')
	  or diag scalar(@errors) . " errors, the first: $errors[0]";
	note sprintf 'looking: %.1f s', time - $start;

	# Loading the file of a revision that either is applied as it is in the file, or
	# is not applied: there is never a reason for MG007.
	$session->run(
		q{SELECT migrate.downgrade('-1')},
		q{SELECT migrate.edit('r1500', 'SELECT 1')},
		'SELECT migrate.upgrade()');
	spew($writer, $quiet . (<<'SQL') x 60);
BEGIN; SELECT migrate.downgrade('-1'); SELECT migrate.edit('r1500', 'SELECT 2'); COMMIT;
BEGIN; SELECT migrate.edit('r1500', 'SELECT 1'); SELECT migrate.upgrade(); COMMIT;
SQL
	my $file = lit($session->value("SELECT replace(migrate.export('r1500'), chr(10), '~')"));
	spew($reader, $quiet . "SELECT migrate.load(replace($file, '~', chr(10)));\n" x 200);
	$start = time;
	$writing = background('looking', [ '-f', $writer ]);
	@results = map { finish($_) } map { background('looking', [ '-f', $reader ]) } 1 .. 3;
	$written = finish($writing);
	is($written->{state}, '00000', 'loading: the writer meets no error')
	  or diag substr $written->{err}, 0, 500;
	@errors = map { $_->{err} =~ /ERROR:  (.*)/g } @results;
	is(scalar @errors, 0, 'loading what is applied: no error')
	  or diag scalar(@errors) . " errors, the first: $errors[0]";
	note sprintf 'loading: %.1f s', time - $start;
	$session->finish;
	drop_databases();
}

# ------------------------------------------------------------ the lock ----

create_database('waiting');
$admin->run('CREATE ROLE "the holder" SUPERUSER LOGIN');
my $session = connect_to('waiting');
$session->run(
	'CREATE TABLE busy (id int)',
	'CREATE TABLE runs (revision text, up bool)',
	q{SELECT migrate.revision('one', 'INSERT INTO runs VALUES (''0001'', true);',
		'INSERT INTO runs VALUES (''0001'', false);', '0001')},
	q{SELECT migrate.revision('two', 'ALTER TABLE busy ADD n int;',
		'ALTER TABLE busy DROP n;', '0002')});

# pg_locks, and calls that need no lock.
{
	my $locks = q{SELECT classid, objid, objsubid, mode, granted FROM pg_locks
		WHERE locktype = 'advisory' AND pid = pg_backend_pid()
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())};
	my $file = lit($session->value("SELECT replace(migrate.export('0002'), chr(10), '~')"));
	$file = "replace($file, '~', chr(10))";
	for my $call (
		[ 'upgrade', q{migrate.upgrade('0001')} ],
		[ 'stamp', q{migrate.stamp('0001')} ],
		[ 'stamp of an array', q{migrate.stamp(ARRAY['0001'])} ],
		[ 'revision', q{migrate.revision('three')} ],
		[ 'edit', q{migrate.edit('0002', message => 'zwei')} ],
		[ 'drop', q{migrate.drop('0002')} ],
		[
			'load of a new file',
			q{migrate.load(E'-- x\n-- Revision ID: x\n-- Revises: 0002\n-- migrate:up\n')}
		],
		[ 'configure', q{migrate.configure('revision_ids', 'serial')} ])
	{
		$session->run('BEGIN', "SELECT $call->[1]");
		is(join(' ', $session->rows($locks)),
			'1835624306|1|2|ExclusiveLock|t',
			"$call->[0] takes the lock");
		$session->run('ROLLBACK');
		is(join(' ', $session->rows($locks)), '', '    and the end of the transaction releases it');
	}
	for my $call (
		[ 'upgrade with nothing to do',   q{migrate.upgrade('base')} ],
		[ 'downgrade with nothing to do', q{migrate.downgrade('base')} ],
		[ 'unchanged load',               "migrate.load($file)" ],
		[ 'unchanged stamp',              q{migrate.stamp('base')} ],
		[ 'pending',                      'migrate.pending()' ],
		[ 'history',                      'migrate.history()' ])
	{
		my $result = $session->run('BEGIN')->query("SELECT $call->[1]");
		is("$result->{state} " . join(' ', $session->rows($locks)),
			'00000 ', "$call->[0] takes no lock")
		  or diag $result->{err};
		$session->run('ROLLBACK');
	}
}

my $holder = connect_to('waiting', user => 'the holder');
$holder->run(q{SET application_name = 'deploy 7'});
my $upgrade = 'SELECT migrate.upgrade()';

# The process that holds it, its role, since when; how long we wait.
{
	$holder->run('BEGIN', q{SELECT migrate.upgrade('0001')});
	my $since = $admin->value(
		"SELECT to_char(xact_start AT TIME ZONE current_setting('TimeZone'),
			'YYYY-MM-DD HH24:MI:SS')
		FROM pg_stat_activity WHERE pid = $holder->{pid}");
	my $start = time;
	my %timeouts = ('migrate.run_lock_timeout' => '700ms', lock_timeout => '100ms');
	my $result = finish(start('waiting', $upgrade, %timeouts));
	my $took = time - $start;
	is($result->{state}, 'MG012', 'run_lock_timeout ends the wait; lock_timeout does not');
	ok($took >= 0.7 && $took < 4, "after 700 ms") or diag $took;
	like($result->{err}, qr/could not obtain the run lock of migrate$/m, 'MG012: message');
	my ($detail) = $result->{err} =~ /^DETAIL:  (.*)/m;
	$detail //= '';
	like($detail, qr/^Process $holder->{pid} \(/, 'MG012: the detail names the process');
	like($detail, qr/role "the holder"/, 'MG012: its role');
	like($detail, qr/application "deploy 7"/, 'MG012: its application_name');
	like($detail, qr/since \Q$since\E/, 'MG012: since when');
	like($detail, qr/Waited [7-9]\d\d ms|Waited 1\d\d\d ms/, 'MG012: how long we waited');
	like($result->{err}, qr/^HINT:  .*migrate\.run_lock_timeout/m,
		'MG012: the hint names the setting');

	my %short = ('migrate.run_lock_timeout' => '20ms');
	for my $call (
		q{migrate.stamp('0002')},
		q{migrate.edit('0002', message => 'x')},
		q{migrate.revision('x')},
		q{migrate.configure('revision_ids', NULL)},
		q{migrate.drop('0002')})
	{
		$result = finish(start('waiting', "SELECT $call", %short));
		is($result->{state}, 'MG012', "$call waits, too");
	}
	my $looking = 'SELECT migrate.current(), count(*) FROM migrate.history()';
	is(finish(start('waiting', $looking, %short))->{state}, '00000', 'looking does not');
	$result = finish(start('waiting', $upgrade, statement_timeout => '300ms'));
	is($result->{state}, '57014', 'statement_timeout ends the wait');
	is(finish(start('waiting', 'SET migrate.run_lock_timeout = -1'))->{state},
		'00000', 'before the library is loaded nobody knows the setting');
	my %zero = ('migrate.run_lock_timeout' => '0');
	is(finish(start('waiting', ['SELECT migrate.current()'], %zero))->{state},
		'00000', 'a timeout of 0 is allowed');

	# waiting can be cancelled and terminated
	for my $end ([ 'pg_cancel_backend', '57014' ], [ 'pg_terminate_backend', '57P01' ])
	{
		my $waiter = start('waiting', $upgrade, application_name => $end->[0]);
		ok(polls('SELECT migrate.upgrade()'), "$end->[0]: the waiter polls");
		$start = time;
		$admin->run("SELECT $end->[0](pid) FROM pg_stat_activity
			WHERE application_name = '$end->[0]' AND query LIKE '%upgrade%'");
		$result = finish($waiter);
		is($result->{state}, $end->[1], "$end->[0] ends the wait");
		cmp_ok(time - $start, '<', 2, '    at once');
	}
	# 0: for ever; here until the holder ends
	my $waiter = start('waiting', q{SELECT migrate.upgrade('0001')}, %zero);
	ok(polls(q{SELECT migrate.upgrade('0001')}), 'a timeout of 0 waits');
	sleep 0.5;
	$holder->run('COMMIT');
	$result = finish($waiter);
	is("$result->{state} @{$result->{rows}}",
		'00000 ', '    until the lock is free, and there is nothing to do');
	is($session->value('SELECT count(*) FROM runs'), 1, 'the script ran once');
	$session->run(q{SELECT migrate.downgrade('base')});
}

# A waiter that blocks the runner gives up, so that the runner does not die: it
# blocks by a table lock, by a row, or by way of a third session.
for my $way ('table', 'table, waiting first', 'row', 'third session')
{
	my $waiter = connect_to(
		'waiting',
		messages => 'notice',
		options  => '-c migrate.run_lock_timeout=6s -c migrate.step_messages=off');
	my ($up, $down) = ('ALTER TABLE busy ADD n int;', 'ALTER TABLE busy DROP n');
	($up, $down) = ('UPDATE busy SET id = id + 1;', 'SELECT 1') if $way eq 'row';
	$up = "SELECT pg_sleep(1); $up" if $way eq 'table, waiting first';
	$session->run(
		'DELETE FROM busy',
		'INSERT INTO busy VALUES (1)',
		'CREATE TABLE IF NOT EXISTS other (id int)',
		"SELECT migrate.edit('0002', '$up', '$down')");
	my ($third, $runner);
	$waiter->run('BEGIN', $way eq 'third session' ? 'LOCK TABLE other' : 'UPDATE busy SET id = 7');
	if ($way eq 'third session')
	{
		$third = start('waiting', 'BEGIN; LOCK TABLE busy; LOCK TABLE other; COMMIT');
		ok(activity('%LOCK TABLE other%', q{wait_event_type = 'Lock'}),
			"$way: a third session waits for the waiter");
	}
	$runner = start('waiting', $upgrade, 'migrate.step_messages' => 'off');
	if ($way eq 'table, waiting first')
	{
		ok(activity('migrate upgrade%pg_sleep%', 'true'), "$way: the runner runs");
	}
	else
	{
		ok(activity('migrate upgrade%', q{wait_event_type = 'Lock'}), "$way: the runner waits");
	}
	my $start = time;
	my $result = $waiter->query($upgrade);
	is($result->{state}, '40P01', "$way: the waiter gives up") or diag $result->{err};
	cmp_ok(time - $start, '<', 4, "$way: soon");
	like($result->{err}, qr/^HINT:  Call migrate before anything else in the transaction/m,
		"$way: with the hint");
	like($result->{err}, qr/^DETAIL:  Process \d+, which runs migrations/m, "$way: and who it is");
	$waiter->run('ROLLBACK');
	finish($third) if $third;
	$result = finish($runner);
	is("$result->{state} @{$result->{rows}}", '00000 0001 0002', "$way: the runner succeeds")
	  or diag $result->{err};
	$waiter->finish;
	$session->run(q{SELECT migrate.downgrade('base')});
}

# The second key, taken by hand.
{
	my ($first, $second, $caller) = map { connect_to('waiting') } 1 .. 3;
	$second->run('SELECT pg_advisory_lock(1835624306, 2)');
	my $result = $caller->query('CALL migrate.upgrade_stepwise()');
	is($result->{state}, 'MG012', 'a session holds the second key alone');
	like($result->{err}, qr/^DETAIL:  Process $second->{pid} \(/m, 'the detail names it');
	like($result->{err}, qr/^HINT:  .*only the second key/m, 'and the hint says that it is no run');
	is($caller->query($upgrade)->{state},
		'00000', 'a run in one transaction does not need that key');
	$session->run(q{SELECT migrate.downgrade('base')});

	# two sessions, a key each: neither is a stepwise run
	$first->run('SELECT pg_advisory_lock(1835624306, 1)');
	$caller->run('SET migrate.run_lock_timeout = 300');
	my $start = time;
	$result = $caller->query($upgrade);
	is($result->{state}, 'MG012', 'two sessions hold a key each');
	cmp_ok(time - $start, '>', 0.29, 'the first is waited for');
	like($result->{err}, qr/^DETAIL:  Process $first->{pid} \(/m, 'the detail names it');
	unlike($result->{err}, qr/step by step/, 'and it is not taken for a stepwise run');
	$_->finish for $first, $second, $caller;
}

# A prepared transaction keeps the lock, and has no process.
{
	$holder->run('BEGIN', q{SELECT migrate.upgrade('0001')}, q{PREPARE TRANSACTION 'held'});
	my $result = finish(start('waiting', $upgrade, 'migrate.run_lock_timeout' => '50ms'));
	is($result->{state}, 'MG012', 'a prepared transaction holds the lock');
	unlike($result->{err}, qr/is gone/, '    and the error does not say that its holder is gone');
	$holder->run(q{ROLLBACK PREPARED 'held'});
}

# Waiting, for hours maybe, does not eat memory, however many locks there are.
SKIP:
{
	skip 'no /proc here', 1 unless -r "/proc/$admin->{pid}/status";
	my $rss = sub { my ($kb) = slurp("/proc/$_[0]/status") =~ /^RssAnon:\s+(\d+)/m; $kb // 0 };
	$holder->run(
		'BEGIN',
		q{SELECT migrate.upgrade('0001')},
		'SELECT count(pg_advisory_xact_lock(i)) FROM generate_series(1, 4000) i');
	my $waiter = connect_to('waiting');
	$waiter->run('SET migrate.run_lock_timeout = 100');
	$waiter->query($upgrade);
	my $before = $rss->($waiter->{pid});
	$waiter->run('SET migrate.run_lock_timeout = 3000');
	print { $waiter->{in} } "$upgrade;\n";
	sleep 2.6;
	my $grown = $rss->($waiter->{pid}) - $before;
	cmp_ok($grown, '<', 3000, 'waiting does not eat memory') or diag "$grown kB more after 2.6 s";
	$waiter->query('SELECT 1');
	$waiter->finish;
	$holder->run('ROLLBACK');
}

# --------------------------------------------------- stale snapshots ----

# Everything that writes, in REPEATABLE READ and SERIALIZABLE: 40001 when another
# session wrote after the snapshot, and never a duplicate key.
$session->run(q{SELECT migrate.edit('0002', 'SELECT 1', 'SELECT 1')});
my $load = q{SELECT migrate.load(E'-- x\n-- Revision ID: n1\n-- Revises: 0002\n-- migrate:up\n};
for my $isolation ('REPEATABLE READ', 'SERIALIZABLE')
{
	my $other = connect_to('waiting');
	for my $case (
		[ q{SELECT migrate.upgrade()}, q{SELECT migrate.upgrade('0001')} ],
		[ q{SELECT migrate.upgrade()}, q{SELECT migrate.upgrade('0002')} ],
		[ q{SELECT migrate.stamp('0002')}, q{SELECT migrate.upgrade('0001')} ],
		[ q{SELECT migrate.upgrade()}, q{SELECT migrate.stamp('0001')} ],
		[ q{SELECT migrate.upgrade('0001')}, q{SELECT migrate.edit('0001', message => 'eins')} ],
		[
			q{SELECT migrate.edit('0001', message => 'uno')},
			q{SELECT migrate.edit('0001', message => 'eins')}
		],
		[
			q{SELECT migrate.edit('0001', upgrade => 'SELECT 1')},
			q{SELECT migrate.upgrade('0001')}
		],
		[
			q{SELECT migrate.revision('new', rev_id => 'n1')},
			q{SELECT migrate.revision('new', rev_id => 'n1')}
		],
		[
			q{SELECT migrate.revision('new', rev_id => 'n2')},
			q{SELECT migrate.revision('new', rev_id => 'n1')}
		],
		[ q{SELECT migrate.drop('0002')}, q{SELECT migrate.revision('new', rev_id => 'n1')} ],
		[ "$load')", "${load}SELECT 1;')" ],
		[
			q{SELECT migrate.configure('revision_ids', 'serial')},
			q{SELECT migrate.configure('revision_ids', 'timestamp')}
		])
	{
		my ($late, $first) = @$case;
		$session->run("BEGIN ISOLATION LEVEL $isolation", 'SELECT count(*) FROM runs');
		$other->run($first);
		my $result = $session->query($late);
		is($result->{state}, '40001', "$isolation: $late after $first") or diag $result->{err};
		$session->run(
			'ROLLBACK',
			q{SELECT migrate.configure('revision_ids', NULL)},
			q{SELECT migrate.stamp('base')});
		$session->query(q{SELECT migrate.drop('n1')});
	}
	$other->finish;
}

$_->finish for $session, $holder;
drop_databases();
$admin->finish;
done_testing();
