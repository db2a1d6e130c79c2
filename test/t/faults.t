#!/usr/bin/perl
#
# Stepwise runs that are cut short, at every statement boundary and inside of
# long statements, by all that can cut them short: a cancel, a terminated
# session, kill -9 of the server process, an immediate shutdown, a client that
# dies, timeouts, a full lock table.  After each fault what is recorded and
# what is there agree; another CALL goes on, and in the end every statement
# has run once.
#
# A point of the plan is reached exactly: gates, functions that wait for an
# advisory lock, are in the scripts, in index expressions, and in triggers on
# our own tables, so that a run stops while it writes what is done; and other
# sessions hold what the phases of a concurrent build wait for.
#
# MIGRATE_FAULTS=thorough tries every fault at every point, which takes some
# minutes; otherwise each point gets one or two of them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $thorough = ($ENV{MIGRATE_FAULTS} // '') eq 'thorough';
my $where = 'set-up';
$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { diag "this test takes too long, $where"; exit 1 };
alarm($thorough ? 3000 : 400);

# Few locks, so that their table is soon full.  No autovacuum: its locks and
# snapshots would be in the way of what is counted here.
my $server = MigrateServer->create(settings => [ 'max_connections = 25', 'max_locks_per_transaction = 12', 'max_wal_senders = 0',
		'max_worker_processes = 2', 'autovacuum = off', 'restart_after_crash = on', 'deadlock_timeout = 10s', 'log_statement = none' ])->use;
my ($version) = ($server->program('postgres', '--version'))[1] =~ /(\d+)/;

# --------------------------------------------------------------- database ----

# Everything that the plans work on; the gates; and of every table that gets
# an index an invalid one of the user's, which must stay.
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
CREATE TRIGGER gate AFTER INSERT OR UPDATE ON migrate.partial FOR EACH ROW EXECUTE FUNCTION gate_partial();
CREATE TRIGGER gate AFTER INSERT ON migrate.log FOR EACH ROW EXECUTE FUNCTION gate_log();

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

CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE moods (mood mood);
CREATE TABLE part (a int) PARTITION BY LIST (a);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
INSERT INTO part VALUES (1), (2);
SQL
my @tables = qw(t_named t_unnamed t_unique t_ine t_reindex t_drop t_vacuum t_vacuum2);
$setup .= "CREATE TABLE $_ (a int, b int, dup int); INSERT INTO $_ SELECT i, i, 1 FROM generate_series(1, 3) i;\n" for @tables;
$setup .= <<'SQL';
CREATE INDEX i_reindex ON t_reindex (gated(a, 'build of i_reindex'));
CREATE INDEX i_drop ON t_drop (a);
CREATE INDEX i_vacuum ON t_vacuum (gated(a, 'analyze of t_vacuum'));
SQL

sub create_template
{
	my $session = connect_to(create_database('faults_template'));
	$session->run(grep { /\S/ } split /;\n(?=\S)(?!BEGIN|\t)(?=CREATE|INSERT)/, $setup);
	for my $table (@tables)
	{
		my $result = $session->query("CREATE UNIQUE INDEX CONCURRENTLY users_own_$table ON $table (dup)");
		die "users_own_$table: $result->{err}" unless $result->{state} eq '23505';
	}
	$session->finish;
	return;
}

# A database like the template, and the sessions to it.
my $database;
my $databases = 0;
my ($run, $watch, $control);
my %blocker;

sub new_database
{
	close_sessions();
	run_psql('postgres', "DROP DATABASE IF EXISTS $database") if $database;
	$database = 'faults_' . ++$databases;
	my ($status, undef, $err) = run_psql('postgres', "CREATE DATABASE $database TEMPLATE faults_template");
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
	wait_until(sub { $session = connect_to($database, %options); return !$session->{dead} && $session->{pid} }, 60)
	  or die "the server does not come back: " . substr($server->log_text, -2000);
	return $session;
}

# $run runs what is tested: a pooled session with settings of its own, that
# must never be idle in a transaction.  $watch looks, $control opens and
# closes the gates.
sub open_sessions
{
	$watch ||= session();
	$control ||= session();
	$run ||= session(messages => 'notice', options => join ' ', map { "-c $_" } 'idle_in_transaction_session_timeout=20', 'migrate.lock_timeout=60s',
		$version >= 14 ? 'client_connection_check_interval=20' : ());
	$run->run(q{SET app.tenant = 'mine'}, q{SET work_mem = '5MB'}, q{SET lock_timeout = '77s'}) unless $run->{is_set}++;
	return;
}

sub close_sessions
{
	$_ && $_->finish for $run, $watch, $control, values %blocker;
	undef $_ for $run, $watch, $control;
	%blocker = ();
	return;
}

sub hold { my @labels = @_; $control->run(map { 'SELECT pg_advisory_lock(7, hashtext(' . lit($_) . '))' } @labels); return }
sub let_go { my @labels = @_; $control->run(map { 'SELECT pg_advisory_unlock(7, hashtext(' . lit($_) . '))' } @labels); return }

# Another session, in a transaction that has run some statements.
sub block
{
	my ($name, @sql) = @_;
	$blocker{$name} = session();
	$blocker{$name}->run('BEGIN' . (@sql ? '' : ' ISOLATION LEVEL REPEATABLE READ'), @sql ? @sql : 'SELECT 1');
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
	my ($sql, $seconds) = @_;
	my $true = 0;
	wait_until(sub { $true = $watch->value("SELECT ($sql)") eq 't'; return $true || $run->answers }, $seconds // 20);
	return $true;
}

# Conditions for wait_for.
sub at_gate { return 'EXISTS (SELECT FROM pg_locks WHERE classid = 7 AND objid::int8::bit(32)::int4 = hashtext(' . lit($_[0]) . ") AND NOT granted AND pid = $run->{pid})" }
sub in_phase { return 'EXISTS (SELECT FROM migrate.progress WHERE phase = ' . lit($_[0]) . " AND pid = $run->{pid})" }
sub waits_for { return "EXISTS (SELECT FROM pg_locks WHERE pid = $run->{pid} AND NOT granted AND locktype = " . lit($_[0]) . ')' }

# ------------------------------------------------------------------- plan ----

# Statements: sql; ran, it writes its name into the table of that name; done,
# what is true when it is done and only then; alone, it commits by itself;
# phases, in what it can be stopped; batches, it is a procedure.
sub ran { return { ran => 1 } }
sub gate { return { sql => "SELECT gate('$_[0]')" } }
sub statement { my ($sql, @more) = @_; return { sql => $sql, @more } }
sub alone { my ($sql, $done, @more) = @_; return { sql => $sql, done => $done, alone => 1, @more } }
sub batches { my $sql = shift; return { sql => $sql, alone => 1, batches => 1 } }
sub valid { return "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('$_[0]') AND indisvalid)" }
sub rebuilt { return "to_regclass('$_[0]')::oid <> (SELECT oid FROM marks WHERE name = '$_[0]')" }
sub vacuumed { return "(SELECT relallvisible > 0 FROM pg_class WHERE oid = '$_[0]'::regclass)" }

my $attached = q{EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('part_1'))};

my @plan = (
	{   id => 'r1',
		transactional => 1,
		upgrade => [ statement('CREATE TABLE one ()', done => q{to_regclass('one') IS NOT NULL}), ran(), gate('in r1'), ran() ],
		downgrade => [ ran(), gate('in r1, down'), statement('DROP TABLE one', done => q{to_regclass('one') IS NULL}), ran() ],
	},
	{   id => 'r2',
		upgrade => [
			statement(q{SET app.tenant = 'acme'}),
			ran(),
			alone(q{CREATE INDEX CONCURRENTLY i_named ON t_named (gated(a, 'build of i_named'))}, valid('i_named'), phases => [qw(writers later_writers snapshots)], table => 't_named', build => 'build of i_named'),
			ran(),
			alone('CREATE INDEX CONCURRENTLY ON t_unnamed (b)', valid('t_unnamed_b_idx'), phases => [qw(writers snapshots)], table => 't_unnamed'),
			alone(q{CREATE UNIQUE INDEX CONCURRENTLY i_unique ON t_unique (a, gated(b, 'build of i_unique'))}, valid('i_unique'), phases => [qw(snapshots)], table => 't_unique'),
			statement('BEGIN'), ran(), gate('in the group'), ran(), statement('COMMIT'),
			alone(q{CREATE INDEX CONCURRENTLY IF NOT EXISTS i_ine ON t_ine (gated(a, 'build of i_ine'))}, valid('i_ine'), phases => [qw(snapshots)], table => 't_ine'),
			gate('in a statement'),
			ran(),
		],
		downgrade => [
			ran(),
			statement(q{SET app.tenant = 'down'}),
			alone('DROP INDEX CONCURRENTLY i_named', q{to_regclass('i_named') IS NULL}, phases => [qw(drop later_drop)], table => 't_named', index => 'i_named'),
			alone('DROP INDEX CONCURRENTLY IF EXISTS i_ine', q{to_regclass('i_ine') IS NULL}, phases => [qw(drop)], table => 't_ine', index => 'i_ine'),
			alone('DROP INDEX CONCURRENTLY t_unnamed_b_idx', q{to_regclass('t_unnamed_b_idx') IS NULL}),
			ran(),
			alone('DROP INDEX CONCURRENTLY i_unique', q{to_regclass('i_unique') IS NULL}, phases => [qw(later_drop)], table => 't_unique', index => 'i_unique'),
		],
	},
	{   id => 'r3',
		transactional => 1,
		upgrade => [ ran(), statement('ALTER TABLE t_named ADD more int', done => q{EXISTS (SELECT FROM pg_attribute WHERE attrelid = 't_named'::regclass AND attname = 'more')}) ],
		downgrade => [ statement('ALTER TABLE t_named DROP more', done => q{NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 't_named'::regclass AND attname = 'more')}), ran() ],
	},
	{   id => 'r4',
		upgrade => [
			alone('REINDEX INDEX CONCURRENTLY i_reindex', rebuilt('i_reindex'), phases => [qw(writers later_writers snapshots readers later_readers)], table => 't_reindex', build => 'build of i_reindex'),
			ran(),
			alone('VACUUM (ANALYZE) t_vacuum', vacuumed('t_vacuum'), phases => [qw(vacuum)], table => 't_vacuum'),
			statement(q{ALTER TYPE mood ADD VALUE 'new'}, done => q{EXISTS (SELECT FROM pg_enum WHERE enumlabel = 'new')}),
			statement(q{INSERT INTO moods VALUES ('new')}, done => '(SELECT count(*) FROM moods) = 1'),
			alone('DROP INDEX CONCURRENTLY i_drop', q{to_regclass('i_drop') IS NULL}, phases => [qw(drop later_drop)], table => 't_drop', index => 'i_drop'),
		],
		downgrade => [
			alone('REINDEX TABLE CONCURRENTLY t_reindex', rebuilt('i_reindex'), phases => [qw(snapshots readers)], table => 't_reindex', build => 'build of i_reindex'),
			alone(q{CREATE INDEX CONCURRENTLY i_drop ON t_drop (a)}, valid('i_drop'), phases => [qw(snapshots)], table => 't_drop'),
			ran(),
			statement('DELETE FROM moods', done => '(SELECT count(*) FROM moods) = 0'),
			gate('in a statement, down'),
		],
	},
	{   id => 'r5',
		upgrade => [
			batches(q{CALL batches('r5 upgrade 1')}),
			ran(),
			$version >= 14
			? alone('ALTER TABLE part DETACH PARTITION part_1 CONCURRENTLY', "NOT $attached", phases => [qw(detach)], table => 'part')
			: statement('ALTER TABLE part DETACH PARTITION part_1', done => "NOT $attached"),
			batches(q{DO $$BEGIN CALL public.batches('r5 upgrade 4'); END$$}),
		],
		downgrade => [
			batches(q{CALL batches('r5 downgrade 1')}),
			statement('ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES IN (1)', done => $attached),
			ran(),
			alone('VACUUM t_vacuum2', vacuumed('t_vacuum2'), phases => [qw(vacuum)], table => 't_vacuum2'),
		],
	},
	{   id => 'r6',
		transactional => 1,
		upgrade => [ statement('CREATE TABLE six (LIKE t_named)', done => q{to_regclass('six') IS NOT NULL}), ran() ],
		downgrade => [ statement('DROP TABLE six', done => q{to_regclass('six') IS NULL}), ran() ],
	});
my %plan = map { $_->{id} => $_ } @plan;
my @ids = map { $_->{id} } @plan;

# Numbers and names of the statements, and which tenant they shall see.
for my $revision (@plan)
{
	for my $direction (qw(upgrade downgrade))
	{
		my $number = 0;
		my $tenant = 'mine';
		for my $statement (@{ $revision->{$direction} })
		{
			$statement->{name} = "$revision->{id} $direction " . ++$number;
			$statement->{sql} //= "INSERT INTO public.ran VALUES ('$statement->{name}')";
			$tenant = $1 if $statement->{sql} =~ /^SET app.tenant = '(.*)'/;
			$statement->{rows} = $statement->{ran} ? ["$statement->{name}/$tenant"]
			  : $statement->{batches} ? [ map { "$statement->{name}, batch $_/$tenant" } 1, 2 ]
			  : [];
		}
	}
}

sub script
{
	my $statements = shift;
	return join '', map { "$_->{sql};\n" } @$statements;
}

sub load_plan
{
	my $parent = 'base';
	for my $revision (@plan)
	{
		$watch->run("SELECT migrate.revision('the plan', " . lit(script($revision->{upgrade})) . ', ' . lit(script($revision->{downgrade}))
			  . ", '$revision->{id}', '$parent', transactional => " . ($revision->{transactional} ? 'true' : 'false') . ')');
		$parent = $revision->{id};
	}
	return;
}

# -------------------------------------------------------------- agreement ----

my %valid;						# indexes that were valid once, and their OIDs

# What the database says: (key => value).
sub look
{
	my $direction = shift;
	my $checks = join '', map {
		map { $_->{done} ? " UNION ALL SELECT 'check $_->{name}', ($_->{done})::text" : () } @{ $_->{$direction} }
	} @plan;
	my $now = <<"SQL" . $checks;
SELECT 'versions', (SELECT string_agg(revision, ' ' ORDER BY revision) FROM migrate.versions)
UNION ALL SELECT 'applied', (SELECT string_agg(revision, ' ' ORDER BY revision) FROM migrate.applied)
UNION ALL SELECT 'partial', (SELECT string_agg(concat_ws(' ', revision, direction, statements_done, statements, in_doubt, intent IS NOT NULL), ', ') FROM migrate.partial)
UNION ALL SELECT 'log', (SELECT string_agg(operation || ' ' || revision, ', ' ORDER BY operation, revision) FROM migrate.log)
UNION ALL SELECT 'log end', (SELECT versions_after::text FROM migrate.log ORDER BY id DESC LIMIT 1)
UNION ALL SELECT 'ran', (SELECT string_agg(concat(name, '/', tenant), ';' ORDER BY name) FROM ran)
UNION ALL SELECT 'progress', (SELECT count(*)::text FROM migrate.progress)
UNION ALL SELECT 'locks', (SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND classid = 1835624306)
UNION ALL SELECT 'prepared', (SELECT count(*)::text FROM pg_prepared_xacts)
UNION ALL SELECT 'invalid', (SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid) FROM pg_index WHERE NOT indisvalid AND indexrelid::regclass::text NOT LIKE 'users_own%')
UNION ALL SELECT 'users own', (SELECT count(*)::text FROM pg_class WHERE relname LIKE 'users_own%' AND NOT (SELECT indisvalid FROM pg_index WHERE indexrelid = pg_class.oid))
UNION ALL SELECT 'valid', (SELECT string_agg(indexrelid::regclass || '=' || indexrelid::oid, ' ') FROM pg_index WHERE indisvalid AND indrelid::regclass::text LIKE 't\\_%' AND indexrelid::regclass::text <> 'i_reindex')
SQL
	return map { my ($key, $value) = split /\|/, $_, 2; $key => $value } $watch->rows($now);
}

# What is wrong with what the database says, as sentences.
sub disagreements
{
	my ($direction, %now) = @_;
	my @wrong;
	my $up = $direction eq 'upgrade';
	my @applied = split ' ', $now{applied};
	my @finished = $up ? @applied : reverse grep { my $id = $_; !grep { $_ eq $id } @applied } @ids;
	my $next = ($up ? @ids : reverse @ids)[ scalar @finished ];
	my ($partial, undef, $done, $statements, $in_doubt, $intent) = split ' ', $now{partial};

	push @wrong, "applied is $now{applied}" unless "@applied" eq "@ids[0 .. $#applied]";
	push @wrong, "version rows are $now{versions}, applied is $now{applied}" unless $now{versions} eq ($applied[-1] // '');
	if (defined $partial)
	{
		push @wrong, "partial: $now{partial}, next is " . ($next // '-')
		  unless $now{partial} =~ /^\Q@{[ $next \/\/ '-' ]}\E $direction \d+ \d+ [tf] [tf]$/;
		push @wrong, "partial: $now{partial}, of a transactional script" if $plan{$partial}{transactional};
		push @wrong, "partial: $now{partial}" unless $statements == @{ $plan{$partial}{$direction} } && $done < $statements;
	}

	my $log = join ', ', sort((map { "upgrade $_" } $up ? @finished : @ids), $up ? () : map { "downgrade $_" } @finished);
	push @wrong, "log: $now{log}\n    not: $log" unless $now{log} eq $log;
	push @wrong, "last log row: $now{'log end'}" unless $now{'log end'} eq (@finished || !$up ? '{' . ($applied[-1] // '') . '}' : '');

	# every statement: done, perhaps done, or not
	my (@ran, @may);
	@ran = map { map { @{ $_->{rows} } } @{ $_->{upgrade} } } @plan unless $up;
	for my $revision (@plan)
	{
		my $number = 0;
		for my $statement (@{ $revision->{$direction} })
		{
			my $is_done = (grep { $_ eq $revision->{id} } @finished)
			  || (defined $partial && $partial eq $revision->{id} && $number < $done);
			my $may_be = defined $partial && $partial eq $revision->{id} && $number == $done && $intent eq 't';
			my $seems = $now{"check $statement->{name}"};
			push @ran, @{ $statement->{rows} } if $is_done;
			push @may, @{ $statement->{rows} } if $may_be;
			push @wrong, "$statement->{name}: $statement->{sql}: " . ($is_done ? 'not done' : 'done too early')
			  if defined $seems && !$may_be && $seems ne ($is_done ? 'true' : 'false');
			$number++;
		}
	}
	my %times;
	$times{$_}++ for split /;/, $now{ran};
	$times{$_}-- for @ran;
	for my $row (sort keys %times)
	{
		push @wrong, "$row: " . ($times{$row} < 0 ? 'did not run' : "ran $times{$row} times too often")
		  unless $times{$row} == 0 || ($times{$row} == 1 && grep { $_ eq $row } @may);
	}

	push @wrong, 'migrate.progress shows a run' if $now{progress};
	push @wrong, 'the run lock is held' if $now{locks};
	push @wrong, 'invalid index ' . $now{invalid} if length $now{invalid} && !(defined $partial && $intent eq 't');
	push @wrong, "the user's own invalid indexes: $now{'users own'} left" unless $now{'users own'} == @tables;
	for (split ' ', $now{valid})
	{
		my ($name, $oid) = split /=/;
		push @wrong, "index $name was built again" if $valid{$name} && $valid{$name} ne $oid;
		$valid{$name} = $oid;
	}
	return @wrong;
}

# What is wrong with a session after an error: locks, settings, role,
# transaction.
my $session_state = <<'SQL';
SELECT concat_ws(' ', (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype NOT IN ('virtualxid', 'relation')),
	current_user, session_user, current_setting('app.tenant', true),
	(SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source = 'session'))
SQL

# ----------------------------------------------------------------- faults ----

# The SQLSTATE that psql reports.
my %expected = (
	'cancel' => '57014',
	'terminate' => '57P01',
	'kill -9' => 'DEAD!',
	'immediate shutdown' => 'DEAD!',
	'dead client' => 'gone',
	'statement_timeout' => '57014',
	'full lock table' => '53200',
	'transaction_timeout' => '25P04',
);
my @kinds = ('terminate', 'cancel', 'kill -9', 'full lock table', 'dead client', 'statement_timeout', 'immediate shutdown');
@kinds = grep { $_ ne 'dead client' } @kinds if $version < 14;
push @kinds, 'transaction_timeout' if $version >= 17;
my %survives = map { $_ => 1 } 'cancel', 'statement_timeout', 'full lock table';
my $timeout = 400;				# ms, of both timeouts

# Cuts $run short, which is stopped somewhere; returns what psql got.
sub inject
{
	my ($kind, @held) = @_;
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
		my $gone = wait_until(sub { !$watch->value("SELECT count(*) FROM pg_stat_activity WHERE pid = $run->{pid}") });
		$result = { state => $gone ? 'gone' : 'still there', err => '' };
	}
	elsif ($kind eq 'full lock table')
	{
		my $hog = session();
		$hog->run(q{DO $$
			BEGIN
				FOR i IN 1 .. 100000 LOOP
					PERFORM pg_advisory_lock(9, i);
				END LOOP;
			EXCEPTION WHEN out_of_memory THEN NULL;
			END $$});
		let_go(@held);
		unblock();
		$result = $run->receive;
		$hog->run('SELECT pg_advisory_unlock_all()');
		$hog->finish;
		return $result;
	}
	else
	{
		$result = $run->receive;
	}
	$run->{dead} = 1 unless $survives{$kind};
	return $result;
}

# After a fault: nobody is in the way any more, the server process that ran is
# gone unless the session survives, and all sessions are there again.
sub tidy
{
	my @held = @_;
	unblock();
	if ($control->{dead}) { $control->finish; undef $control }
	else { $control->run('SELECT pg_advisory_unlock_all()') }
	if ($watch->{dead}) { $watch->finish; undef $watch }
	$watch ||= session();
	if ($run->{dead})
	{
		wait_until(sub { !$watch->value("SELECT count(*) FROM pg_stat_activity WHERE pid = $run->{pid}") }, 20)
		  or return 'the server process goes on';
		$run->finish;
		undef $run;
	}
	open_sessions();
	return;
}

# ------------------------------------------------------------------ walks ----

# The gates of a whole run, in order.
sub record_gates
{
	my $direction = shift;
	my $recorder = session(messages => 'notice', options => '-c faults.record=on -c app.tenant=mine');
	my $result = $recorder->query(call($direction));
	die $result->{err} if $result->{state} ne '00000';
	$recorder->finish;
	my @gates = $result->{err} =~ /^NOTICE:  \w+: gate (.*)/mg;
	my %seen;
	return grep { !$seen{$_}++ } @gates;
}

sub call { return $_[0] eq 'upgrade' ? 'CALL migrate.upgrade_stepwise()' : q{CALL migrate.downgrade_stepwise('base')} }

# The points of a walk: a name, steps to get there (each is what is waited
# for, what is done then), the gates that are held, and the statement, if it
# is in one.
sub points
{
	my ($direction, @gates) = @_;
	my @points;
	for my $at (0 .. $#gates)
	{
		my $gate = $gates[$at];
		my $fence = $gates[ $at + 1 ];
		push @points, { name => $gate, gates => [$gate], fence => $fence, steps => [ [ $gate ] ] };
		my ($id, $number) = $gate =~ /^(r\d) $direction: statement (\d+) begins$/ or next;
		my $statement = $plan{$id}{$direction}[ $number - 1 ];
		my ($record) = grep { $_ eq "$id $direction: statement $number done" || $_ eq "$id $direction: recorded" } @gates[ $at .. $#gates ];
		for my $phase (@{ $statement->{phases} // [] })
		{
			push @points, { name => "$id $direction: statement $number, " . phase_name($phase), fence => $record, phase($phase, $gate, $statement) };
		}
	}
	return @points;
}

my %phase_name = (writers => 'waits for writers', later_writers => 'waits for later writers', snapshots => 'waits for old snapshots',
	readers => 'waits for readers', later_readers => 'waits for later readers', drop => 'waits for readers', later_drop => 'waits for later readers',
	vacuum => 'waits for the lock', detach => 'waits for readers');
sub phase_name { return $phase_name{ $_[0] } }

# How to get to a phase of a statement: gates and steps.
sub phase
{
	my ($phase, $begins, $statement) = @_;
	my $table = $statement->{table};
	my $lock = sub { my ($name, $mode) = @_; return sub { block($name, "LOCK TABLE ONLY $table IN $mode MODE") } };
	my $writer = $lock->('writer', 'ROW EXCLUSIVE');
	my $reader = $lock->('reader', 'ACCESS SHARE');
	my $change = sub { $lock->('later reader', 'ACCESS SHARE')->(); unblock('reader') };
	my $dropping = sub { my $flag = shift; return sub { "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('$statement->{index}') AND $flag) AND " . waits_for('virtualxid') } };

	return (gates => [$begins], steps => [ [ $begins, $writer ], [ sub { in_phase('waiting for writers before build') } ] ]) if $phase eq 'writers';
	return (gates => [ $statement->{build} ], steps => [ [ $statement->{build}, $writer ], [ sub { in_phase('waiting for writers before validation') } ] ])
	  if $phase eq 'later_writers';
	return (gates => [$begins], steps => [ [ $begins, sub { block('snapshot') } ], [ sub { in_phase('waiting for old snapshots') } ] ])
	  if $phase eq 'snapshots';
	return (gates => [$begins], steps => [ [ $begins, $reader ], [ sub { in_phase('waiting for readers before marking dead') } ] ])
	  if $phase eq 'readers';
	return (gates => [$begins],
		steps => [ [ $begins, $reader ], [ sub { in_phase('waiting for readers before marking dead') }, $change ], [ sub { in_phase('waiting for readers before dropping') } ] ])
	  if $phase eq 'later_readers';
	return (gates => [$begins], steps => [ [ $begins, $reader ], [ $dropping->('NOT indisvalid AND indislive') ] ]) if $phase eq 'drop';
	return (gates => [$begins], steps => [ [ $begins, $reader ], [ $dropping->('NOT indisvalid AND indislive'), $change ], [ $dropping->('NOT indislive') ] ])
	  if $phase eq 'later_drop';
	return (gates => [$begins], steps => [ [ $begins, $lock->('vacuum', 'SHARE UPDATE EXCLUSIVE') ], [ sub { waits_for('relation') } ] ])
	  if $phase eq 'vacuum';
	return (gates => [$begins],
		steps => [ [ $begins, $reader ],
			[ sub { q{EXISTS (SELECT FROM pg_inherits WHERE inhrelid = 'part_1'::regclass AND inhdetachpending) AND } . waits_for('virtualxid') } ] ])
	  if $phase eq 'detach';
	die $phase;
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
		return 'it is stuck: ' . join(' ', $watch->rows('SELECT * FROM migrate.progress')) unless $watch->value("SELECT $condition OR $fence") eq 't';
		return 'it went on' unless $watch->value("SELECT $condition") eq 't';
		$action->() if $action;
		let_go($gate) if $gate && @steps;
	}
	return '';
}

# One walk through the whole plan: at each point a fault, then on.  $choose
# says which.
my %leftovers;					# invalid indexes that faults have left
my %tried;						# kinds: how often
my %points;						# of both directions
my %reference;					# the schema after a run without faults

sub walk
{
	my ($name, $direction, $points, $choose) = @_;
	my $doubtful;				# a fault may have come too late for its statement
	%valid = ();
	$watch->run('DELETE FROM marks', q{INSERT INTO marks SELECT 'i_reindex', 'i_reindex'::regclass});

	for my $i (0 .. $#$points)
	{
		my $point = $points->[$i];
		my $kind = $choose->($i, $point);
		my @wrong;
		my $begin = time;
		$where = "$name: $point->{name}: $kind";
		push @wrong, decide($direction);
		my $state = $run->value($session_state);
		my $came;
		for my $try (1 .. 4)
		{
			$run->run("SET $kind = '${timeout}ms'") if $kind =~ /timeout/;
			$came = go_to($direction, $point);
			last unless $kind =~ /timeout/ && $came eq 'it ended' && $try < 4;
			# too slow to come there in time
			$run->receive;
			tidy();
			$timeout *= 2;
		}
		if ($came eq 'it went on' && $doubtful)
		{
			$kind = 'cancel';
		}
		elsif ($came)
		{
			push @wrong, $came;
			push @wrong, $run->receive->{err} if $run->answers;
		}
		my $result = $run->answers && $kind !~ /timeout/ ? undef : inject($kind, @{ $point->{gates} }, $point->{fence} // ());
		$doubtful = $kind eq 'full lock table' && $point->{name} =~ /waits/ ? 1 : $point->{name} =~ /done|recorded/ ? 0 : $doubtful;
		if ($result)
		{
			my $got = $result->{err} =~ /(?:ERROR|FATAL):  (\w{5})/ ? $1 : $result->{state};
			$got = 'DEAD!' if $got =~ /^57P0[12]$/ && $kind =~ /shutdown|-9/;
			push @wrong, "got $got: $result->{err}" unless $got eq $expected{$kind};
		}
		$tried{$kind}++;
		push @wrong, tidy();
		if ($survives{$kind})
		{
			$run->run("RESET $kind") if $kind =~ /timeout/;
			my $after = $run->value($session_state);
			push @wrong, "session was: $state\n        is: $after" if $after ne $state;
		}
		my %now = look($direction);
		$leftovers{$_}++ for split ' ', $now{invalid};
		push @wrong, disagreements($direction, %now);
		ok(!@wrong, "$name: $point->{name}: $kind") or diag join "\n", @wrong;
		note sprintf '%s: %.0f ms%s', $where, 1000 * (time - $begin), length $now{invalid} ? ", left $now{invalid}" : '';
		return 0 if @wrong && $came;
	}

	$where = "$name: end";
	my @wrong = decide($direction);
	my $result = $run->query(call($direction));
	push @wrong, $result->{err} if $result->{state} ne '00000';
	my %now = look($direction);
	push @wrong, disagreements($direction, %now), $now{partial} ? "partial: $now{partial}" : (), $now{invalid} ? "invalid: $now{invalid}" : ();
	push @wrong, "applied: $now{applied}" unless $now{applied} eq ($direction eq 'upgrade' ? "@ids" : '');
	my $schema = schema_dump($database);
	push @wrong, 'the schema is not that of a run without faults:', difference($reference{$direction}, $schema) if $schema ne $reference{$direction};
	ok(!@wrong, "$name: one more call ends it, and everything is done once") or diag join "\n", @wrong;
	return !@wrong;
}

# Lines that only one of two texts has.
sub difference
{
	my ($one, $other) = @_;
	my %count;
	$count{$_}++ for split /\n/, $other;
	$count{$_}-- for split /\n/, $one;
	return map { $count{$_} ? ($count{$_} > 0 ? '+' : '-') . $_ : () } sort keys %count;
}

# When a procedure is in doubt, a call must say so and change nothing; then it
# is decided.
sub decide
{
	my $direction = shift;
	my %before = look($direction);
	my ($id, undef, $done, undef, $in_doubt) = split ' ', $before{partial};
	return unless defined $id && $in_doubt eq 't' && $plan{$id}{$direction}[$done]{batches};
	my @wrong;
	my $statement = $plan{$id}{$direction}[$done];
	my $result = $run->query(call($direction));
	push @wrong, "in doubt, but: $result->{state} $result->{err}" unless $result->{state} eq 'MG013';
	my %after = look($direction);
	push @wrong, map { $before{$_} eq $after{$_} ? () : "MG013 changed $_" } keys %before;
	my $all = !grep { my $row = $_; !grep { $_ eq $row } split /;/, $after{ran} } @{ $statement->{rows} };
	$watch->run("SELECT migrate.resume('$id', '" . ($all ? 'done' : 'again') . "')");
	return @wrong;
}

create_template();
new_database();
load_plan();
for my $direction (qw(upgrade downgrade))
{
	$watch->run('DELETE FROM marks', q{INSERT INTO marks SELECT 'i_reindex', 'i_reindex'::regclass});
	$points{$direction} = [ points($direction, record_gates($direction)) ];
	my @wrong = disagreements($direction, look($direction));
	ok(!@wrong, "a run without a fault: $direction") or diag join "\n", @wrong;
	$reference{$direction} = schema_dump($database);
	note sprintf '%s: %d points', $direction, scalar @{ $points{$direction} };
}

my @walks = $thorough ? 0 .. $#kinds : (0, 3);
for my $walk (@walks)
{
	new_database();
	load_plan();
	for my $direction (qw(upgrade downgrade))
	{
		my $start = time;
		walk("walk $walk", $direction, $points{$direction}, sub { return $kinds[ ($_[0] + $walk) % @kinds ] }) or last;
		note sprintf 'walk %d, %s: %.1f s', $walk, $direction, time - $start;
	}
}
note join ', ', map { "$_: $leftovers{$_}" } sort keys %leftovers;
note join ', ', map { "$_: $tried{$_}" } sort keys %tried;

close_sessions();
done_testing();
