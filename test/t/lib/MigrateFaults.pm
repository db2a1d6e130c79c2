# Stepwise runs that are cut short: a server and databases for them, points
# where a run stops exactly, and the faults.
#
#	prepare('CREATE TABLE t (a int)');		and what all databases shall have
#	new_database();
#	my $came = go_to('upgrade', { gates => ['label'], steps => [ ['label'] ] });
#	my $result = inject('kill -9');
#	tidy();
#
# A run stops at gates, functions that wait for an advisory lock: in scripts,
# SELECT gate('label'); in index expressions, gated(column, 'label'); and in
# triggers on our own tables, at each write of what is done.  These are called
#
#	<revision> upgrade: statement 3 begins		its intent
#	<revision> upgrade: statement 3 done
#	<revision> upgrade: statement 3 failed
#	<revision> upgrade: recorded				the whole revision
#
# In the phases of a concurrent build it stops where another session holds what
# the phase waits for; see "phase".
package MigrateFaults;

use strict;
use warnings;

use Exporter 'import';
use MigrateServer;
use MigrateTest;
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw($run $watch $control $database $where $version $server
  prepare new_database session open_sessions close_sessions hold let_go block unblock
  wait_for at_gate in_phase waits_for call go_to phase inject expected_state survives
  fill_lock_table empty_lock_table tidy session_state bad_warning);

our ($run, $watch, $control);	# sessions, see open_sessions
our ($server, $version, $database);
our $where = 'set-up';			# for whoever waits too long

$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { Test::More::diag("this test takes too long, $where"); exit 1 };

# --------------------------------------------------------------- database ----

# The gates; a table where statements write that they ran; and a procedure
# that commits.
my $setup = <<'SQL';
CREATE TABLE ran (name text, tenant text DEFAULT current_setting('app.tenant', true));
CREATE TABLE marks (name text, oid oid);

CREATE FUNCTION gate(label text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('faults.record', true) = 'on' THEN
		RAISE NOTICE 'gate %', label;
	END IF;
	PERFORM pg_advisory_xact_lock_shared(7, hashtext(label));
	-- where a full lock table is found out
	PERFORM pg_advisory_xact_lock_shared(8, hashtext(label || i)) FROM generate_series(1, 50) i;
END $$;
CREATE FUNCTION gated(a int, label text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	PERFORM public.gate(label);
	RETURN a;
END $$;
CREATE FUNCTION gate_partial() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.gate(format('%s %s: statement %s', NEW.revision, NEW.direction, CASE
		WHEN NEW.in_doubt THEN NEW.statements_done + 1 || ' begins'
		WHEN NEW.intent IS NOT NULL THEN NEW.statements_done + 1 || ' failed'
		ELSE NEW.statements_done || ' done' END));
	RETURN NULL;
END $$;
CREATE FUNCTION gate_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.gate(format('%s %s: recorded', NEW.revision, NEW.operation));
	RETURN NULL;
END $$;
CREATE TRIGGER gate AFTER INSERT OR UPDATE ON migrate.partial
	FOR EACH ROW EXECUTE FUNCTION gate_partial();
CREATE TRIGGER gate AFTER INSERT ON migrate.steps
	FOR EACH ROW EXECUTE FUNCTION gate_log();

CREATE PROCEDURE batches(prefix text) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 2 LOOP
		IF NOT EXISTS (SELECT FROM ran WHERE name = prefix || ', batch ' || i) THEN
			INSERT INTO ran VALUES (prefix || ', batch ' || i);
			PERFORM gate(prefix || ', batch ' || i);
			COMMIT;
		END IF;
	END LOOP;
END $$;
SQL

# The server, and the template of all databases, with what a test wants in it.
sub prepare
{
	my $sql = shift;
	# Few locks, so that their table is soon full.  No autovacuum: its locks and
	# snapshots would be in the way of what is counted here.
	$server = MigrateServer->create(
		settings => [
			'max_connections = 25',
			'max_locks_per_transaction = 12',
			'max_wal_senders = 0',
			'max_worker_processes = 2',
			'autovacuum = off',
			'restart_after_crash = on',
			'deadlock_timeout = 10s'
		])->use;
	($version) = ($server->program('postgres', '--version'))[1] =~ /(\d+)/;
	my ($status, undef, $err) = run_psql(create_database('faults_template'), $setup . $sql);
	die $err if $status;
	return;
}

# A database like the template, and the sessions to it.
my $databases = 0;
my %blocker;					# sessions that are in the way, by name

sub new_database
{
	close_sessions();
	run_psql('postgres', "DROP DATABASE IF EXISTS $database") if $database;
	$database = 'faults_' . ++$databases;
	my ($status, undef, $err) =
	  run_psql('postgres', "CREATE DATABASE $database TEMPLATE faults_template");
	die $err if $status;
	open_sessions();
	return;
}

# --------------------------------------------------------------- sessions ----

# A session; the server may still be starting.
sub session
{
	my (%options) = @_;
	my $session;
	wait_until(
		sub {
			$session = connect_to($database, %options);
			return !$session->{dead} && $session->{pid};
		},
		60) or die "the server does not come back: " . substr($server->log_text, -2000);
	return $session;
}

# $run runs what is tested: a pooled session with settings of its own, that
# must never be idle in a transaction.  $watch looks, $control opens and
# closes the gates.
sub open_sessions
{
	$watch ||= session();
	$control ||= session();
	$run     ||= session(
		messages => 'notice',
		options  => join ' ',
		map { "-c $_" } 'idle_in_transaction_session_timeout=20', 'migrate.lock_timeout=60s',
		$version >= 14 ? 'client_connection_check_interval=20' : ());
	$run->run(q{SET app.tenant = 'mine'}, q{SET work_mem = '5MB'}, q{SET lock_timeout = '77s'})
	  unless $run->{is_set}++;
	return;
}

sub close_sessions
{
	$_ && $_->finish for $run, $watch, $control, values %blocker;
	undef $_ for $run, $watch, $control;
	%blocker = ();
	return;
}

sub hold
{
	my @labels = @_;
	$control->run(map { 'SELECT pg_advisory_lock(7, hashtext(' . lit($_) . '))' } @labels);
	return;
}
sub open_gates { $control->run('SELECT pg_advisory_unlock_all()'); return }

sub let_go
{
	my @labels = @_;
	$control->run(map { 'SELECT pg_advisory_unlock(7, hashtext(' . lit($_) . '))' } @labels);
	return;
}

# Another session, in a transaction that has run some statements.
sub block
{
	my ($name, @sql) = @_;
	$blocker{$name} = session();
	$blocker{$name}
	  ->run('BEGIN' . (@sql ? '' : ' ISOLATION LEVEL REPEATABLE READ'), @sql ? @sql : 'SELECT 1');
	return;
}

sub unblock
{
	my @names = @_ ? @_ : keys %blocker;
	for my $name (@names)
	{
		my $session = delete $blocker{$name} or next;
		$session->query('ROLLBACK') unless $session->{dead};
		$session->finish;
	}
	return;
}

# Until a query of $watch says true, or $run answers.
sub wait_for
{
	my $sql = shift;
	my $end = time + 20;
	while (time < $end)
	{
		return 1 if $watch->value("SELECT ($sql)") eq 't';
		return 0 if $run->answers;
		sleep 0.003;
	}
	return 0;
}

# Conditions for wait_for.
sub at_gate
{
	return
		'EXISTS (SELECT FROM pg_locks WHERE classid = 7 AND objid::int8::bit(32)::int4 = hashtext('
	  . lit($_[0])
	  . ") AND NOT granted AND pid = $run->{pid})";
}

sub in_phase
{
	return
		'EXISTS (SELECT FROM migrate.progress WHERE phase = '
	  . lit($_[0])
	  . " AND pid = $run->{pid})";
}

sub waits_for
{
	return
	  "EXISTS (SELECT FROM pg_locks WHERE pid = $run->{pid} AND NOT granted AND locktype = "
	  . lit($_[0]) . ')';
}

# What a session must have after an error as before: no locks, its role and
# settings, no cursors, none of our memory.
sub session_state
{
	return $run->value(<<'SQL' . ($version >= 14 ? <<'MORE' : ')'));
SELECT concat_ws(' ', (SELECT count(*) FROM pg_locks
		WHERE pid = pg_backend_pid() AND locktype <> 'virtualxid' AND mode <> 'AccessShareLock'),
	current_user, session_user, current_setting('app.tenant', true),
	(SELECT string_agg(name || '=' || setting, ' ' ORDER BY name)
		FROM pg_settings WHERE source = 'session'),
	(SELECT count(*) FROM pg_cursors WHERE statement NOT LIKE 'SELECT concat_ws%'),
	(SELECT count(*) FROM pg_prepared_statements)
SQL
	, (SELECT string_agg(name || ' ' || COALESCE(ident, ''), ', ')
		FROM pg_backend_memory_contexts WHERE name LIKE 'migrate%'))
MORE
}

# ----------------------------------------------------------------- points ----

sub call
{
	return $_[0] eq 'upgrade'
	  ? 'CALL migrate.upgrade_stepwise()'
	  : q{CALL migrate.downgrade_stepwise('base')};
}

# Starts the run and brings it to a point: true, or what became of it.
sub go_to
{
	my ($direction, $point) = @_;
	my @held = (@{ $point->{gates} }, $point->{fence} // ());
	hold(@held);
	$run->send(call($direction));
	my @steps = @{ $point->{steps} };
	while (my $step = shift @steps)
	{
		my ($until, $action) = @$step;
		my $gate = ref $until ? undef : $until;
		my $condition = $gate ? at_gate($gate) : $until->();
		my $fence = defined $point->{fence} ? at_gate($point->{fence}) : 'false';
		wait_for("$condition OR $fence");
		return 'it ended' if $run->answers;
		return 'it is stuck: ' . join(' ', $watch->rows('SELECT * FROM migrate.progress'))
		  unless $watch->value("SELECT $condition OR $fence") eq 't';
		return 'it went on' unless $watch->value("SELECT $condition") eq 't';
		$action->() if $action;
		let_go($gate) if $gate && @steps;
	}
	return '';
}

# How to get into a phase of a statement: gates and steps for go_to.  begins is
# the gate of the statement's intent.  More: table; build, the gate in the
# expression of the index; index, that is dropped; partition, that is detached.
#
#	writers, later_writers		CREATE INDEX and REINDEX wait for transactions that
#								write, before they build and before they validate
#	snapshots					... for old snapshots
#	readers, later_readers		REINDEX waits for readers, before it marks the old
#								index dead and before it drops it
#	drop, later_drop			DROP INDEX waits for readers, of a valid index and of
#								a dead one
#	vacuum						VACUUM waits for its lock
#	detach						DETACH PARTITION waits for readers; it is pending
sub phase
{
	my ($phase, $begins, %statement) = @_;
	my ($table, $build) = @statement{qw(table build)};
	my $lock = sub {
		my ($name, $mode) = @_;
		return sub { block($name, "LOCK TABLE ONLY $table IN $mode MODE") }
	};
	my $writer = $lock->('writer', 'ROW EXCLUSIVE');
	my $reader = $lock->('reader', 'ACCESS SHARE');
	my $change = sub { $lock->('later reader', 'ACCESS SHARE')->(); unblock('reader') };
	my $in = sub { my $name = shift; return sub { in_phase($name) } };
	my $dropping = sub {
		my $flags = shift;
		return sub {
			"EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('$statement{index}') AND"
			  . " $flags) AND "
			  . waits_for('virtualxid');
		};
	};

	if ($phase eq 'later_writers')
	{
		return (
			gates => [$build],
			steps => [ [ $build, $writer ], [ $in->('waiting for writers before validation') ] ]);
	}
	my %steps = (
		writers   => [ [ $begins, $writer ], [ $in->('waiting for writers before build') ] ],
		snapshots =>
		  [ [ $begins, sub { block('snapshot') } ], [ $in->('waiting for old snapshots') ] ],
		readers => [ [ $begins, $reader ], [ $in->('waiting for readers before marking dead') ] ],
		later_readers => [
			[ $begins, $reader ],
			[ $in->('waiting for readers before marking dead'), $change ],
			[ $in->('waiting for readers before dropping') ]
		],
		drop       => [ [ $begins, $reader ], [ $dropping->('NOT indisvalid AND indislive') ] ],
		later_drop => [
			[ $begins, $reader ],
			[ $dropping->('NOT indisvalid AND indislive'), $change ],
			[ $dropping->('NOT indislive') ]
		],
		vacuum => [
			[ $begins, $lock->('vacuum', 'SHARE UPDATE EXCLUSIVE') ],
			[ sub { waits_for('relation') } ]
		],
		detach => [
			[ $begins, $reader ],
			[
				sub {
					"EXISTS (SELECT FROM pg_inherits"
					  . " WHERE inhrelid = '$statement{partition}'::regclass"
					  . " AND inhdetachpending) AND "
					  . waits_for('virtualxid');
				}
			]
		],);
	return (gates => [$begins], steps => $steps{$phase} // die "no phase $phase\n");
}

# ----------------------------------------------------------------- faults ----

# What psql reports, or what becomes of it.
my %state = (
	'cancel' => '57014',
	'terminate' => '57P01',
	'kill -9' => 'DEAD!',
	'immediate shutdown' => 'DEAD!',
	'dead client' => 'gone',
	'statement_timeout' => '57014',
	'full lock table' => '53200',
	'transaction_timeout' => '25P04',
);
sub expected_state { return $state{ $_[0] } }

# Whether the session goes on after it.
sub survives { return $_[0] =~ /^(?:cancel|statement_timeout|full lock table)$/ }

# Cuts $run short, which is stopped somewhere, by a fault of some kind: what
# psql got, and as "got" what expected_state says if all is well.  The timeouts
# have been set before, and come by themselves.
sub inject
{
	my $kind = shift;
	my $result = _inject($kind);
	my ($got) = $result->{err} =~ /(?:ERROR|FATAL):  (\w{5})/;
	$got //= $result->{state};
	$got = 'DEAD!' if $got =~ /^57P0[12]$/ && $kind =~ /shutdown|-9/;
	$result->{got} = $got;
	$run->{dead} = 1 unless survives($kind);
	return $result;
}

sub _inject
{
	my $kind = shift;
	my $result;
	if ($kind eq 'cancel')
	{
		$watch->run("SELECT pg_cancel_backend($run->{pid})");
		$result = $run->receive;
	}
	elsif ($kind eq 'terminate')
	{
		$watch->run("SELECT pg_terminate_backend($run->{pid})");
		$result = $run->receive;
	}
	elsif ($kind eq 'kill -9')
	{
		kill KILL => $run->{pid};
		$result = $run->receive;
		wait_until(sub { !$watch->alive }, 30) or die "the server did not notice kill -9\n";
		$_->{dead} = 1 for $watch, $control, values %blocker;
	}
	elsif ($kind eq 'immediate shutdown')
	{
		$server->stop('immediate');
		$result = $run->receive;
		$_->{dead} = 1 for $watch, $control, values %blocker;
		$server->start;
	}
	elsif ($kind eq 'dead client')
	{
		kill KILL => $run->{child};
		my $gone = wait_until(
			sub { !$watch->value("SELECT count(*) FROM pg_stat_activity WHERE pid = $run->{pid}") }
		);
		$result = { state => $gone ? 'gone' : 'still there', err => '' };
	}
	elsif ($kind eq 'full lock table')
	{
		my $hog = fill_lock_table();
		open_gates();
		unblock();
		$result = $run->receive;
		empty_lock_table($hog);
	}
	else
	{
		$result = $run->receive;
	}
	return $result;
}

# A session that holds all locks that were left, and its end.
sub fill_lock_table
{
	my $hog = session();
	$hog->run(q{DO $$
		BEGIN
			FOR i IN 1 .. 100000 LOOP
				PERFORM pg_advisory_lock(9, i);
			END LOOP;
		EXCEPTION WHEN out_of_memory THEN NULL;
		END $$});
	return $hog;
}

sub empty_lock_table
{
	my $hog = shift;
	$hog->run('SELECT pg_advisory_unlock_all()');
	$hog->finish;
	return;
}

# After a fault: nobody is in the way any more, the server process that ran is
# gone unless its session survives, and all sessions are there again.  What is
# wrong, if anything.
sub tidy
{
	unblock();
	open_gates() unless $control->{dead};
	for ($control, $watch)
	{
		next unless $_->{dead};
		$_->finish;
		undef $_;
	}
	$watch ||= session();
	if ($run->{dead})
	{
		wait_until(
			sub { !$watch->value("SELECT count(*) FROM pg_stat_activity WHERE pid = $run->{pid}") },
			20) or return 'the server process goes on';
		$run->finish;
		undef $run;
	}
	open_sessions();
	return;
}

# Warnings that are not the server's own of an end, or of the user's index.
sub bad_warning
{
	my $result = shift;
	my $known = join '|', '57P0[12]', '53200: could not record that statement',
	  '.*invalid index "public\.users_own';
	return $result->{err} =~ /^WARNING:  (?!$known)/m;
}

1;
