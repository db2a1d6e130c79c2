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
			? alone('ALTER TABLE part DETACH PARTITION part_1 CONCURRENTLY', "NOT $attached", phases => [qw(detach)], table => 'part', partition => 'part_1')
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
my $session_state = <<"SQL";
SELECT concat_ws(' ', (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype <> 'virtualxid' AND mode <> 'AccessShareLock'),
	current_user, session_user, current_setting('app.tenant', true),
	(SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source = 'session'),
	(SELECT count(*) FROM pg_cursors WHERE statement NOT LIKE 'SELECT concat_ws%'), (SELECT count(*) FROM pg_prepared_statements)
	@{[ $version >= 14 ? q{, (SELECT string_agg(name || ' ' || COALESCE(ident, ''), ', ') FROM pg_backend_memory_contexts WHERE name LIKE 'migrate%')} : '' ]})
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
my $timeout = 200;				# ms, of both timeouts

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
		my $hog = fill_lock_table();
		let_go(@held);
		unblock();
		$result = $run->receive;
		empty_lock_table($hog);
		return $result;
	}
	else
	{
		$result = $run->receive;
	}
	$run->{dead} = 1 unless $survives{$kind};
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
			[ sub { "EXISTS (SELECT FROM pg_inherits WHERE inhrelid = '$statement->{partition}'::regclass AND inhdetachpending) AND " . waits_for('virtualxid') } ] ])
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
			push @wrong, $result->{err} if bad_warning($result);
		}
		$tried{$kind}++;
		push @wrong, tidy();
		if ($survives{$kind})
		{
			my $activity = $watch->value("SELECT concat_ws(' ', state, left(query, 4), backend_xid, backend_xmin) FROM pg_stat_activity WHERE pid = $run->{pid}");
			push @wrong, "pg_stat_activity: $activity" if $activity ne 'idle CALL';
			$run->run('RESET statement_timeout');
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

# Warnings that are not the server's own of an end, or of the user's index.
sub bad_warning
{
	my $result = shift;
	return $result->{err} =~ /^WARNING:  (?!57P0[12]|.*cannot reindex invalid index "public\.users_own)/m;
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
@walks = () if $ENV{FAULTS_ONLY} && $ENV{FAULTS_ONLY} ne 'walks';
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
ok($leftovers{$_}, "faults left an invalid $_, which did not stay") for qw(i_named t_unnamed_b_idx i_unique i_ine i_drop i_reindex_ccnew i_reindex_ccold);

# ------------------------------------------------------------------ storm ----

# Faults at any time, not at points only, and two cancels one soon after the
# other: whatever is cut short, all agrees.
sub storm
{
	my $seed = $ENV{MIGRATE_FAULTS_SEED} // time % 1_000_000;
	my $end = time + ($ENV{MIGRATE_FAULTS_SECONDS} // 120);
	my ($calls, $rounds) = (0, 0);
	my @wrong;
	note "MIGRATE_FAULTS_SEED=$seed";
	srand $seed;
	while (time < $end && !@wrong)
	{
		$rounds++;
		new_database();
		load_plan();
		for my $direction (qw(upgrade downgrade))
		{
			%valid = ();
			$watch->run('DELETE FROM marks', q{INSERT INTO marks SELECT 'i_reindex', 'i_reindex'::regclass});
			until (@wrong)
			{
				push @wrong, decide($direction);
				my $kind = ('statement_timeout', 'statement_timeout', 'cancel', 'cancel', 'terminate', rand() < 0.1 ? 'kill -9' : 'terminate')[ rand 6 ];
				my $wait = rand() ** 2 * 0.15;
				$where = sprintf 'storm %d, call %d, %s, %s, %.1f ms', $seed, ++$calls, $direction, $kind, 1000 * $wait;
				my $state = $run->value($session_state);
				$run->run(sprintf "SET statement_timeout = '%d'", 1 + 1000 * $wait) if $kind eq 'statement_timeout';
				$run->send(call($direction));
				sleep $wait unless $kind eq 'statement_timeout';
				for (2 .. 1 + ($kind eq 'cancel' ? 1 + rand 2 : 0))
				{
					$watch->run("SELECT pg_cancel_backend($run->{pid})");
					sleep rand 0.003;
				}
				my $result = $survives{$kind} ? $run->receive : inject($kind);
				tidy();
				if ($survives{$kind})
				{
					# a cancel may come too late for the call
					$run->query('SELECT 1');
					$run->run('RESET statement_timeout');
					my $after = $run->value($session_state);
					push @wrong, "session was: $state\n        is: $after" if $after ne $state;
				}
				my %now = look($direction);
				push @wrong, disagreements($direction, %now);
				push @wrong, $result->{err} if bad_warning($result) || $result->{state} !~ /^(?:57...|00000|DEAD!|MG013)$/;
				last if $now{applied} eq ($direction eq 'upgrade' ? "@ids" : '');
			}
			push @wrong, difference($reference{$direction}, schema_dump($database)) unless @wrong;
		}
	}
	ok(!@wrong, "faults at any time: $calls calls, $rounds rounds") or diag join "\n", $where, @wrong;
	return;
}
storm() if $thorough;

# --------------------------------------------------------- single branches ----

# Revisions on top of each other, each the script of one case; all are applied
# in the end.  A case is a fault, what it left, and what the next call does.
new_database();
my $case;
my $number = 0;					# of cases
my $id;							# the case's revision
my $revision_state;				# settings of the session that runs it

sub case
{
	my ($name, @sql) = @_;
	$case = $where = $name;
	$number++;
	$id = "c$number";
	my $parent = $number > 1 ? 'head' : 'base';
	$watch->run("SELECT migrate.revision('a case', " . lit(join '', map { "$_;\n" } @sql) . ", NULL, '$id', '$parent', transactional => false)");
	$revision_state = $run->value($session_state);
	return;
}

# A table with an invalid index of the user's own.
sub table
{
	my $name = shift;
	$watch->run("CREATE TABLE $name (a int, b int, c text, dup int)", "INSERT INTO $name SELECT i, i, i, 1 FROM generate_series(1, 3) i");
	my $result = $watch->query("CREATE UNIQUE INDEX CONCURRENTLY users_own_$name ON $name (dup)");
	die $result->{err} unless $result->{state} eq '23505';
	return;
}

sub upgrade { return $run->query('CALL migrate.upgrade_stepwise()') }
sub label { return "$id upgrade: $_[0]" }
sub partial { return $watch->value(q{SELECT COALESCE(string_agg(concat_ws(' ', statements_done, in_doubt, intent IS NOT NULL), ', '), '') FROM migrate.partial}) // '' }
sub invalid { return join ' ', sort $watch->rows(q{SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid AND indexrelid::regclass::text !~ '^"?users_own'}) }
sub oid { return $watch->value('SELECT to_regclass(' . lit($_[0]) . ')::oid') }
sub is_valid { return $watch->value('SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(' . lit($_[0]) . ')') // '' }

# The call stops where the steps end, and is cut short there.
sub cut_short
{
	my ($kind, $gates, @steps) = @_;
	my $came = go_to('upgrade', { gates => $gates, steps => \@steps });
	is($came, '', "$case: the run comes to its point") or die $run->answers ? $run->receive->{err} : 'it does not';
	my $result = inject($kind, @$gates);
	is(tidy() // '', '', "    $kind: the server process ends") unless $survives{$kind};
	tidy() if $survives{$kind};
	is($run->value($session_state), $revision_state, "    $kind: the session is as before, without locks") if $survives{$kind};
	is($watch->value('SELECT count(*) FROM migrate.progress') . $watch->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), '00', "    $kind: nobody holds a lock");
	return $result;
}

# The next call ends it.
sub ends
{
	my ($like, $what) = @_;
	my $result = upgrade();
	is($result->{state}, '00000', "$case: the next call ends it") or die $result->{err};
	like($result->{err}, $like, '    and tells: ' . ($what // $like)) if $like;
	is(partial() . ' ' . invalid(), ' ', '    nothing is left');
	is($watch->value('SELECT string_agg(revision, NULL) FROM migrate.versions') . $watch->value("SELECT count(*) FROM migrate.log WHERE revision = '$id'"), "${id}1", '    it is applied, once');
	is($watch->value(q{SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indexrelid::regclass::text ~ '^"?users_own'}),
		$watch->value(q{SELECT count(*) FROM pg_class WHERE relname ~ '^users_own'}), q{    the user's own invalid indexes stay});
	is($run->value($session_state), $revision_state, '    the session is as before, without locks');
	return $result;
}

# CREATE INDEX CONCURRENTLY, killed in each of its phases.
{
	my $n = 0;
	for my $phase (qw(writers build later_writers snapshots))
	{
		my $table = 't_killed_' . ++$n;
		table($table);
		case("kill -9, $phase", 'SELECT 1', qq{CREATE INDEX CONCURRENTLY "Odd ""name"" $n" ON $table (gated(a, 'build $n'))});
		my %how = phase($phase eq 'build' ? 'writers' : $phase, label('statement 2 begins'), { table => $table, build => "build $n" });
		%how = (gates => ["build $n"], steps => [ ["build $n"] ]) if $phase eq 'build';
		cut_short('kill -9', $how{gates}, @{ $how{steps} });
		is(partial(), '1 t t', '    its statement is in doubt');
		is(invalid(), qq{"Odd ""name"" $n"}, '    an invalid index is there');
		ends(qr/removing invalid index "Odd "name" $n", which an interrupted build left/);
		is(is_valid(qq{"Odd ""name"" $n"}), 't', '    the index is valid');
	}
}

# Killed when it had ended, before that was recorded: it is not built again.
# An index without a name is found by what it says.
{
	my @indexes = (
		[ 'CREATE INDEX CONCURRENTLY %n ON %t (a)' ],
		[ 'CREATE UNIQUE INDEX CONCURRENTLY %n ON public.%t (a DESC, b ASC NULLS FIRST) INCLUDE (c) WHERE a > 0' ],
		[ 'CREATE INDEX CONCURRENTLY %n ON %t USING hash (c)' ],
		[ 'CREATE INDEX CONCURRENTLY %n ON %t (lower(c))' ],
		[ 'CREATE INDEX CONCURRENTLY %n ON %t (c COLLATE "C" text_pattern_ops)' ],
		[ 'CREATE INDEX CONCURRENTLY IF NOT EXISTS %n ON %t (a)' ],
	);
	my $n = 0;
	for my $named ('i_ended', '')
	{
		for my $index (@indexes)
		{
			my $sql = $index->[0];
			next if !$named && $sql =~ /IF NOT EXISTS/;
			my $table = 't_ended_' . ++$n;
			table($table);
			my $name = $named ? "${named}_$n" : '';
			$sql =~ s/%n/$name/;
			$sql =~ s/%t/$table/;
			case("ended: $sql", $sql, 'SELECT 1');
			cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
			is(partial() . invalid(), '0 t t', '    in doubt, and not invalid');
			my $indexes = "SELECT string_agg(indexrelid::regclass || ' ' || indexrelid, ' ' ORDER BY 1) FROM pg_index WHERE indrelid = '$table'::regclass";
			my $before = $watch->value($indexes);
			ends($sql =~ /IF NOT EXISTS/ ? qr/already exists, skipping/ : qr{statement 1/2 is done already});
			is($watch->value($indexes), $before, '    it was not built again');
		}
	}
}

# An index without a name that was written otherwise than the server writes
# it: nobody knows, so a person has to say it.
for my $decision (qw(done again))
{
	my $table = "t_unknown_$decision";
	table($table);
	case("unknown, $decision", "CREATE INDEX CONCURRENTLY ON $table (a) WITH (fillfactor = 70)", 'SELECT 1');
	cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
	my $result = upgrade();
	is($result->{state}, 'MG013', '    MG013') or diag $result->{err};
	my $indexes = "SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid = '$table'::regclass";
	$watch->run("SELECT migrate.resume('$id', '$decision')");
	ends();
	is($watch->value($indexes), $decision eq 'done' ? 1 : 2, "    $decision: " . ($decision eq 'done' ? 'not built again' : 'built again'));
}

# A DO that fails by itself, before and after it has committed.
for my $commits (0, 1)
{
	my $name = "do $commits";
	case("a DO that fails, $commits commits", 'SELECT 1', "DO \$\$BEGIN INSERT INTO ran VALUES ('$name'); IF $commits = 1 THEN COMMIT; END IF; PERFORM 1 / (SELECT count(*) FROM marks WHERE name = '$name'); END\$\$", 'SELECT 1');
	my $result = upgrade();
	is($result->{state}, '22012', "$case: it fails") or diag $result->{err};
	is(partial(), $commits ? '1 t t' : '1 f f', '    it is in doubt when it had committed');
	is($result->{err} =~ /^HINT:  Statement 2 has committed a part of its work\. Look, then SELECT migrate\.resume\('$id'/m ? 1 : 0, $commits, '    and says so then');
	is($run->value($session_state), $revision_state, '    the session is as before, without locks');
	$watch->run("INSERT INTO marks VALUES ('$name', 1)");
	if ($commits)
	{
		is(upgrade()->{state}, 'MG013', '    MG013');
		$watch->run("SELECT migrate.resume('$id', 'done')");
	}
	ends();
	is($watch->value("SELECT count(*) FROM ran WHERE name = '$name'"), 1, '    it counts once');
}

# IF NOT EXISTS over what an interrupted build left, and over the user's own.
{
	table('t_over');
	case('IF NOT EXISTS over a leftover', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS i_over ON t_over (a)', 'SELECT 1');
	my %how = phase('snapshots', label('statement 1 begins'), { table => 't_over' });
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	is(invalid(), 'i_over', '    an invalid index is there');
	ends(qr/removing invalid index "i_over"/);
	is(is_valid('i_over'), 't', '    and built');

	case(q{IF NOT EXISTS over the user's own}, 'CREATE INDEX CONCURRENTLY IF NOT EXISTS users_own_t_over ON t_over (a)');
	my $before = oid('users_own_t_over');
	for (1, 2)
	{
		my $result = upgrade();
		is($result->{state}, '55000', "$case: 55000") or diag $result->{err};
		like($result->{err}, qr/index "users_own_t_over" exists and is invalid/, '    it says which');
		is(oid('users_own_t_over'), $before, '    it is not removed');
		is($run->value($session_state), $revision_state, '    the session is as before, without locks');
	}
	$watch->run('DROP INDEX users_own_t_over');
	my $result = upgrade();
	is($result->{state} . is_valid('users_own_t_over'), '00000t', '    without it, the call ends') or diag $result->{err};
	$watch->run('DROP INDEX users_own_t_over');
}

# A build that fails by itself; then the statement is edited.
for my $edit ('', 'SELECT 1; CREATE INDEX CONCURRENTLY i_failed ON %s (dup);', 'SELECT 1; CREATE INDEX CONCURRENTLY ON %s (a);',
	'SELECT 1; INSERT INTO ran VALUES (NULL);', 'SELECT 1;', 'SELECT 1; BEGIN; SELECT 2; COMMIT;', 'SELECT 1; VACUUM %s; SELECT 3;')
{
	my $table = 't_failed_' . ($number + 1);
	table($table);
	case('a failed build, ' . ($edit || 'not edited'), 'SELECT 1', "CREATE UNIQUE INDEX CONCURRENTLY i_failed ON $table (dup)");
	my $result = upgrade();
	is($result->{state}, '23505', "$case: it fails") or diag $result->{err};
	is(partial() . ' ' . invalid(), '1 f t i_failed', '    it is not in doubt, and left an invalid index');
	is($run->value($session_state), $revision_state, '    the session is as before, without locks');
	is($watch->query("SELECT migrate.edit('$id', " . lit("SELECT 0; CREATE INDEX CONCURRENTLY ON $table (b);") . ')')->{state}, 'MG007', '    what is done cannot be edited');
	if ($edit)
	{
		(my $sql = $edit) =~ s/%s/$table/;
		$watch->run("SELECT migrate.edit('$id', " . lit($sql) . ')');
	}
	else
	{
		$watch->run("DELETE FROM $table WHERE a > 1");
	}
	ends(qr/removing invalid index "i_failed"/);
	$watch->run("DROP TABLE $table");
}

# In doubt: no edit before it is decided.
{
	case('a procedure, killed', 'SELECT 1', q{CALL batches('killed')}, 'SELECT 1');
	cut_short('kill -9', ['killed, batch 2'], ['killed, batch 2']);
	is(partial(), '1 t t', '    in doubt');
	my $edit = "SELECT migrate.edit('$id', 'SELECT 1; CALL batches(''killed''); SELECT 2;')";
	is($watch->query("SELECT migrate.edit('$id', 'SELECT 1; SELECT 2; SELECT 1;')")->{state}, 'MG007', '    its statement cannot be edited');
	is($watch->query($edit)->{state}, '00000', '    but what comes after it');
	for (1, 2)
	{
		my $result = upgrade();
		is($result->{state}, 'MG013', '    MG013') or diag $result->{err};
		like($result->{err}, qr/statement 2 of the upgrade script of revision "$id" is in doubt.*SELECT migrate\.resume\('$id', 'done' or 'again'\)/s, '    with what to do');
		is($run->value($session_state), $revision_state, '    the session is as before, without locks');
	}
	is($watch->query("SELECT migrate.resume('$id', 'perhaps')")->{state}, '22023', '    resume has two answers');
	is($watch->value("SELECT migrate.resume('$id', 'again')"), $id, '    again');
	is($watch->query("SELECT migrate.resume('$id', 'again')")->{state}, '55000', '    once');
	ends();
	is($watch->value(q{SELECT string_agg(name, ' | ' ORDER BY name) FROM ran WHERE name ~ '^killed'}), 'killed, batch 1 | killed, batch 2', '    both batches ran once');

	case('a procedure, killed, and done', q{CALL batches('given up')});
	cut_short('terminate', ['given up, batch 2'], ['given up, batch 2']);
	$watch->run("SELECT migrate.resume('$id', 'done')");
	ends();
	is($watch->value(q{SELECT string_agg(name, ' | ' ORDER BY name) FROM ran WHERE name ~ '^given'}), 'given up, batch 1', '    it did not run again');

	case('a procedure, killed, given up and edited', q{CALL batches('edited')}, 'SELECT 1');
	cut_short('terminate', ['edited, batch 2'], ['edited, batch 2']);
	$watch->run("SELECT migrate.resume('$id', 'again')", "SELECT migrate.edit('$id', 'SELECT 2;')");
	ends();
}

# REINDEX: its leftovers, also those of TOAST tables and of a primary key, and
# nothing that looks like them.
for my $phase (qw(snapshots readers later_readers))
{
	my $table = "t_toast_$phase";
	table($table);
	$watch->run("ALTER TABLE $table ADD PRIMARY KEY (a)", "ALTER INDEX users_own_$table RENAME TO users_own_${table}_ccnew");
	my $toast = $watch->value("SELECT indexrelid::regclass FROM pg_index WHERE indrelid = (SELECT reltoastrelid FROM pg_class WHERE oid = '$table'::regclass)");
	case("REINDEX TABLE CONCURRENTLY, $phase", "REINDEX TABLE CONCURRENTLY $table");
	my %how = phase($phase, label('statement 1 begins'), { table => $table });
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	my $suffix = $phase eq 'snapshots' ? '_ccnew' : '_ccold';
	is(invalid(), join(' ', sort "$toast$suffix", "${table}_pkey$suffix"), '    its indexes are left') if $phase ne 'later_readers';
	ends(qr/removing invalid index/);
	is(is_valid("${table}_pkey") . is_valid($toast), 'tt', '    both are valid');
}

# REINDEX of a schema, and of a partitioned table, where that is done.
for my $sql ('REINDEX SCHEMA CONCURRENTLY many', $version >= 14 ? ('REINDEX TABLE CONCURRENTLY many.parts', 'REINDEX INDEX CONCURRENTLY many.parts_a') : ())
{
	$watch->run('CREATE SCHEMA many', 'CREATE TABLE many.parts (a int) PARTITION BY LIST (a)', 'CREATE INDEX parts_a ON many.parts (a)',
		map { "CREATE TABLE many.part_$_ PARTITION OF many.parts FOR VALUES IN ($_)" } 1, 2);
	case($sql, $sql, 'SELECT 1');
	my %how = phase('readers', label('statement 1 begins'), { table => 'many.part_2' });
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	is(invalid(), $sql =~ /SCHEMA|TABLE|INDEX/ ? 'many.part_2_a_idx_ccold' : '', '    an old index is left');
	ends(qr/removing invalid index "part_2_a_idx_ccold"/);
	is($watch->value(q{SELECT count(*) FROM pg_class WHERE relname ~ '_cc'}) , $watch->value(q{SELECT count(*) FROM pg_class WHERE relname ~ '^users_own.*_cc'}), '    none is left');
	$watch->run('DROP SCHEMA many CASCADE');
}

# DROP INDEX CONCURRENTLY.
for my $phase (qw(drop later_drop))
{
	my $table = "t_dropped_$phase";
	table($table);
	$watch->run("CREATE INDEX i_dropped_$phase ON $table (a)");
	case("DROP INDEX CONCURRENTLY, $phase", "DROP INDEX CONCURRENTLY i_dropped_$phase");
	my %how = phase($phase, label('statement 1 begins'), { table => $table, index => "i_dropped_$phase" });
	cut_short('kill -9', $how{gates}, @{ $how{steps} });
	is(partial() . invalid(), "0 t ti_dropped_$phase", '    in doubt, and the index is invalid');
	ends();
	is(oid("i_dropped_$phase") // '', '', '    it is gone');
}

# DETACH PARTITION CONCURRENTLY, killed after its first transaction.
SKIP:
{
	skip 'no DETACH PARTITION CONCURRENTLY before 14', 1 if $version < 14;
	case('DETACH', 'ALTER TABLE part DETACH PARTITION part_2 CONCURRENTLY', 'SELECT 1');
	my %how = phase('detach', label('statement 1 begins'), { table => 'part', partition => 'part_2' });
	cut_short('kill -9', $how{gates}, @{ $how{steps} });
	is($watch->value(q{SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'part_2'::regclass}), 't', '    it is pending');
	ends(qr{statement 1/2 was interrupted: ALTER TABLE public\.part DETACH PARTITION public\.part_2 FINALIZE});
	is($watch->value(q{SELECT count(*) FROM pg_inherits WHERE inhrelid = 'part_2'::regclass}), 0, '    it is no partition any more');
}

# Databases and ALTER SYSTEM, ended but not recorded.
{
	case('CREATE DATABASE', 'CREATE DATABASE faults_made TEMPLATE template0', 'SELECT 1');
	cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
	ends(qr{statement 1/2 is done already});
	case('DROP DATABASE', 'DROP DATABASE faults_made', 'SELECT 1');
	cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
	ends(qr{statement 1/2 is done already});
	case('ALTER SYSTEM', q{ALTER SYSTEM SET work_mem = '6MB'}, 'SELECT 1');
	cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
	ends();
}

# A fault while a failure is written down: the statement stays in doubt, and
# the catalogs decide.
for my $kind ('cancel', 'kill -9', 'full lock table')
{
	(my $table = "t_noting_$kind") =~ s/\W+/_/g;
	table($table);
	case("failed, then $kind", 'SELECT 1', "CREATE UNIQUE INDEX CONCURRENTLY i_noting ON $table (dup)");
	cut_short($kind, [ label('statement 2 failed') ], [ label('statement 2 failed') ]);
	is(partial() . invalid(), '1 t ti_noting', '    in doubt, and an invalid index is there');
	$watch->run("DELETE FROM $table WHERE a > 1");
	ends(qr/removing invalid index "i_noting"/);
	$watch->run("DROP TABLE $table");
}

# A fault while a leftover is removed.
for my $kind ('cancel', 'terminate', 'kill -9')
{
	(my $table = "t_removing_$kind") =~ s/\W+/_/g;
	table($table);
	case("leftover, then $kind", 'SELECT 1', "CREATE INDEX CONCURRENTLY i_removing ON $table (a)");
	my %how = phase('snapshots', label('statement 2 begins'), { table => $table });
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	my $reader = sub { block('reader', "LOCK TABLE $table IN ACCESS SHARE MODE") };
	for my $flag ('indislive', 'NOT indislive')
	{
		$reader->();
		my $waits = "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('i_removing') AND indislive) AND " . waits_for('virtualxid');
		my $dead = "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('i_removing') AND NOT indislive) AND " . waits_for('virtualxid');
		cut_short($kind, [], $flag eq 'indislive' ? [ sub { $waits } ]
			: ([ sub { "$waits OR $dead" }, sub { block('later reader', "LOCK TABLE $table IN ACCESS SHARE MODE"); unblock('reader') } ], [ sub { $dead } ]));
		is(invalid(), 'i_removing', '    it is still there');
	}
	ends(qr/removing invalid index "i_removing"/);
	$watch->run("DROP TABLE $table");
}

# While somebody else builds an index on the same table, a leftover is not
# mixed up with it.
{
	table('t_others');
	case('others build too', 'SELECT 1', 'CREATE INDEX CONCURRENTLY i_ours ON t_others (a)');
	my %how = phase('snapshots', label('statement 2 begins'), { table => 't_others' });
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	block('snapshot');
	my $other = session();
	$other->send('CREATE INDEX CONCURRENTLY i_theirs ON t_others (b)');
	ok(wait_until(sub { $watch->value("SELECT count(*) FROM pg_stat_progress_create_index WHERE pid = $other->{pid} AND phase = 'waiting for old snapshots'") }), '    another session builds');
	is(invalid(), 'i_ours i_theirs', '    both are invalid');
	$run->send('CALL migrate.upgrade_stepwise()');
	ok(wait_for(waits_for('relation')), '    the run waits for it');
	unblock();
	is($other->receive->{state}, '00000', '    which ends');
	my $result = $run->receive;
	is($result->{state}, '00000', '    and then the run') or diag $result->{err};
	is(is_valid('i_ours') . is_valid('i_theirs') . partial(), 'tt', '    both are valid');
	unlike($result->{err}, qr/i_theirs/, '    theirs was left alone');
	$other->finish;
}

# What a script sets is set again in the next session: role and search_path
# too, by which the statement in doubt is decided.
{
	$watch->run('CREATE ROLE faults_builder', 'CREATE SCHEMA apart AUTHORIZATION faults_builder', 'SET ROLE faults_builder', 'CREATE TABLE apart.t_apart (a int)', 'RESET ROLE');
	case('role and search_path', 'SET ROLE faults_builder', 'SET search_path = apart', 'CREATE INDEX CONCURRENTLY i_apart ON t_apart (a)', 'CREATE TABLE t_after AS SELECT current_user AS who');
	my %how = phase('snapshots', label('statement 3 begins'), { table => 't_apart' });
	cut_short('cancel', $how{gates}, @{ $how{steps} });
	cut_short('full lock table', [ label('statement 3 begins') ], [ label('statement 3 begins') ]);
	cut_short('kill -9', [ label('statement 3 done') ], [ label('statement 3 done') ]);
	is(is_valid('apart.i_apart'), 't', '    the index is there');
	ends(qr{statement 3/4 is done already});
	is($watch->value('SELECT who FROM apart.t_after'), 'faults_builder', '    the rest ran as that role');
}

# Limits of the script's own, and of ours, for what waits for others.
for my $limit ([ q{SET lock_timeout = '100ms'}, '', '55P03' ], [ q{SET statement_timeout = '300ms'}, '', '57014' ], [ 'SELECT 1', q{SET migrate.concurrent_lock_timeout = '100ms'}, '55P03' ])
{
	my ($in_script, $in_session, $state) = @$limit;
	my $table = 't_limit_' . ($number + 1);
	table($table);
	$run->run($in_session || 'SELECT 1');
	case('a limit, ' . ($in_session || $in_script), $in_script, "CREATE INDEX CONCURRENTLY i_limit ON $table (a)");
	block('writer', "LOCK TABLE $table IN ROW EXCLUSIVE MODE");
	my $result = upgrade();
	is($result->{state}, $state, "$case: $state") or diag $result->{err};
	unlike($result->{err}, qr/retry/, '    not tried again');
	is(partial() . invalid(), '1 f ti_limit', '    not in doubt, and an invalid index is there');
	is($run->value($session_state), $revision_state, '    the session is as before, without locks');
	unblock();
	ends(qr/removing invalid index "i_limit"/);
	$run->run('RESET migrate.concurrent_lock_timeout');
	$watch->run("DROP TABLE $table");
}

# A cancel and a terminated session between two tries.
for my $kind ('cancel', 'terminate')
{
	my $table = "t_retried_$kind";
	table($table);
	$run->run(q{SET migrate.lock_timeout = '20ms'}, 'SET migrate.lock_retries = 100');
	case("between two tries, $kind", q{INSERT INTO ran VALUES ('} . "$table')", "ALTER TABLE $table ADD more int", "INSERT INTO $table (more) VALUES (1)");
	block('reader', "LOCK TABLE $table IN ACCESS SHARE MODE");
	cut_short($kind, [], [ sub { "EXISTS (SELECT FROM pg_stat_activity WHERE pid = $run->{pid} AND wait_event = 'Extension')" } ]);
	is(partial(), '1 f f', '    what was done is recorded');
	$run->run('RESET migrate.lock_timeout', 'RESET migrate.lock_retries') if $kind eq 'cancel';
	$revision_state = $run->value($session_state);
	ends();
	is($watch->value("SELECT count(*) FROM ran WHERE name = '$table'") . $watch->value("SELECT count(*) FROM $table WHERE more = 1"), '11', '    both ran once');
	open_sessions();
}

# While it waits for its turn.
for my $kind ('cancel', 'terminate', 'kill -9')
{
	case("waiting for its turn, $kind", "INSERT INTO ran VALUES ('turn $kind')", "SELECT gate('turn $kind')");
	hold("turn $kind");
	my $first = session();
	$first->send('CALL migrate.upgrade_stepwise()');
	ok(wait_until(sub { $watch->value("SELECT count(*) FROM pg_locks WHERE classid = 7 AND NOT granted AND pid = $first->{pid}") }), "$case: another session runs");
	$run->send('CALL migrate.upgrade_stepwise()');
	ok(wait_for("EXISTS (SELECT FROM pg_stat_activity WHERE pid = $run->{pid} AND wait_event = 'Extension')"), '    this one waits');
	my $result = inject($kind);
	if ($kind eq 'kill -9')
	{
		tidy();
		$first->finish;
		ends();
	}
	else
	{
		is($result->{err} =~ /(?:ERROR|FATAL):  (\w{5})/ ? $1 : '', $expected{$kind}, '    and is stopped');
		is($watch->value("SELECT count(*) FROM migrate.progress WHERE pid = $first->{pid}"), 1, '    the other one goes on');
		tidy();
		is($first->receive->{state}, '00000', '    and ends');
		$first->finish;
		is($run->value($session_state), $revision_state, '    no lock is left');
		like(upgrade()->{err}, qr/nothing to do/, '    nothing is left to do');
	}
	is($watch->value("SELECT count(*) FROM ran WHERE name = 'turn $kind'"), 1, '    it ran once');
}

# A full lock table before anything began, and a revision that needs more locks
# than there are.
{
	case('no lock to be had', "INSERT INTO ran VALUES ('no lock')");
	my $hog = fill_lock_table();
	is(upgrade()->{state}, '53200', "$case: 53200");
	empty_lock_table($hog);
	is($run->value($session_state), $revision_state, '    the session is as before, without locks');
	is($watch->value('SELECT count(*) FROM migrate.partial') . $watch->value(q{SELECT count(*) FROM ran WHERE name = 'no lock'}), '00', '    nothing was done');
	ends();

	case('too many locks', "INSERT INTO ran VALUES ('few')", 'SELECT count(pg_advisory_xact_lock(10, i)) FROM generate_series(1, 100000) i', "INSERT INTO ran VALUES ('many')");
	is(upgrade()->{state}, '53200', "$case: 53200");
	is($run->value($session_state), $revision_state, '    the session is as before, without locks');
	is(partial(), '1 f f', '    what was done before stays');
	$watch->run("SELECT migrate.edit('$id', 'INSERT INTO ran VALUES (''few''); SELECT 1; INSERT INTO ran VALUES (''many'');')");
	ends();
	is($watch->value(q{SELECT string_agg(name, ' ' ORDER BY name) FROM ran WHERE name IN ('few', 'many')}), 'few many', '    both ran once');
}

# Fast shutdown.
{
	case('fast shutdown', "INSERT INTO ran VALUES ('fast')", "SELECT gate('fast')", "INSERT INTO ran VALUES ('fast')");
	hold('fast');
	$run->send('CALL migrate.upgrade_stepwise()');
	ok(wait_for(at_gate('fast')), "$case: it runs");
	$server->stop('fast');
	like($run->receive->{err}, qr/57P01/, '    57P01');
	$_->{dead} = 1 for $run, $watch, $control;
	$server->start;
	tidy();
	is(partial(), '1 f f', '    what was done stays');
	ends();
	is($watch->value(q{SELECT count(*) FROM ran WHERE name = 'fast'}), 2, '    each statement ran once');
}

# A client that dies in a long statement, without client_connection_check_interval:
# it is noticed when the statement ends, long before the script does.
SKIP:
{
	skip 'before 14 the server cannot look for its client', 1 if $version < 14;
	case('a dead client', "SELECT gate('dead')", map { ("INSERT INTO ran VALUES ('dead')", 'SELECT pg_sleep(0.1)') } 1 .. 30);
	$run->run('SET client_connection_check_interval = 0', 'SET migrate.step_messages = off');
	hold('dead');
	$run->send('CALL migrate.upgrade_stepwise()');
	ok(wait_for(at_gate('dead')), "$case: it runs");
	kill KILL => $run->{child};
	$run->{dead} = 1;
	is(tidy() // '', '', '    the server process ends');
	my $done = (split ' ', partial())[0];
	cmp_ok($done, '<', 30, "    soon, after statement $done");
	ends();
	is($watch->value(q{SELECT count(*) FROM ran WHERE name = 'dead'}), 30, '    each statement ran once');
}

# Timeouts of idle sessions do not count while a call runs.
{
	case('idle timeouts', "SELECT gate('idle 1')", 'CREATE INDEX CONCURRENTLY i_idle ON t_over (b)', "SELECT gate('idle 2')");
	hold('idle 1', 'idle 2');
	my $idle = start($database, 'CALL migrate.upgrade_stepwise()', idle_in_transaction_session_timeout => '50ms', $version >= 14 ? (idle_session_timeout => '50ms') : ());
	for my $gate ('idle 1', 'idle 2')
	{
		ok(wait_until(sub { $watch->value(q{SELECT count(*) FROM pg_locks WHERE classid = 7 AND NOT granted}) }), "$case: at its gate");
		sleep 0.2;
		let_go($gate);
	}
	my $result = finish($idle);
	is($result->{state}, '00000', '    it runs to its end') or diag $result->{err};
}

# -------------------------------------------------------------------- end ----

close_sessions();
my $log = $server->log_text;
unlike($log, qr/PANIC:|TRAP:|was terminated by signal (?!9)/, 'no crash but those made here');
done_testing();
