#!/usr/bin/perl
#
# Runs that are cut short: by a timeout, a cancel, a kill, a crash, a client
# that died, or a server without room for more locks.  Nothing of them stays,
# and the next call works.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $server =
  MigrateServer->create(settings => [ 'max_connections = 20', 'restart_after_crash = on' ])->use;
create_database('limits');
my $version = (split /\./, connect_to('limits')->value('SHOW server_version'))[0];

# Revision 0003 sleeps as long as the table nap says, once; 0004 many times.
{
	my $session = connect_to('limits');
	$session->run(
		'CREATE TABLE nap (seconds float)',
		'INSERT INTO nap VALUES (0)',
		'CREATE TABLE runs (revision text)',
		q{SELECT migrate.revision('one',
			'CREATE TABLE one (); INSERT INTO runs VALUES (''0001'')',
			'DROP TABLE one', '0001')},
		q{SELECT migrate.revision('two',
			'CREATE TABLE two (); INSERT INTO runs VALUES (''0002'')',
			'DROP TABLE two', '0002')},
		q{SELECT migrate.revision('three',
			E'CREATE TABLE three ();\nCREATE SEQUENCE three_s;\n'
				'SELECT pg_sleep(seconds) FROM nap;\nINSERT INTO runs VALUES (''0003'')',
			'DROP TABLE three; DROP SEQUENCE three_s', '0003')},
		q{SELECT migrate.revision('four',
			'CREATE TABLE four ();' || repeat('SELECT pg_sleep(seconds) FROM nap;', 40)
				|| 'INSERT INTO runs VALUES (''0004'')',
			'DROP TABLE four', '0004')},
		q{SELECT migrate.upgrade('0001')});
	$session->finish;
}

# All that a run may change.
my $everything = <<'SQL';
SELECT concat_ws(' / ',
	(SELECT string_agg(v::text, ' ' ORDER BY revision) FROM migrate.versions v),
	(SELECT string_agg(a::text, ' ' ORDER BY revision) FROM migrate.applied a),
	(SELECT string_agg(l::text, ' ' ORDER BY id) FROM migrate.log l),
	(SELECT count(*) FROM migrate.partial),
	(SELECT string_agg(revision, ' ') FROM runs),
	(SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace))
SQL

my $before;

sub set_nap
{
	my $session = connect_to('limits');
	$session->run("UPDATE nap SET seconds = $_[0]");
	$before = $session->value($everything);
	$session->finish;
	return;
}

# After a run that was cut short: it has ended, nothing is left, and the whole
# plan works now.
sub check_after
{
	my ($what, $seconds) = @_;
	my $session = connect_to('limits');
	my $running = q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'migrate upgrade%'};
	ok(wait_until(sub { !$session->value($running) }, $seconds // 5),
		"$what: no server process continues");
	is($session->value($everything), $before, "$what: rows, applied, log and schema are as before");
	$session->run('UPDATE nap SET seconds = 0');
	my $result = $session->query('SELECT migrate.upgrade()');
	is("$result->{state} @{$result->{rows}}", '00000 0002 0003 0004', "$what: a further call works")
	  or diag $result->{err};
	back_to_one($session);
	$session->finish;
	return;
}

# As it was when only the first revision had run.
sub back_to_one
{
	my $session = shift;
	return $session->run(
		q{SELECT migrate.downgrade('0001')},
		q{DELETE FROM runs WHERE revision <> '0001'},
		q{DELETE FROM migrate.steps WHERE revision <> '0001' OR operation <> 'upgrade'});
}

# A pattern for the place of an error, as the only context or after others.
sub context
{
	my $place = shift;
	return qr/^CONTEXT:  (?:.*^)?$place$/ms;
}

# Starts an upgrade and waits until it sleeps in the script of a revision;
# the psql, and the pid of its server process.
sub start_sleeping
{
	my ($target, %settings) = @_;
	my $psql = start('limits', "SELECT migrate.upgrade('$target')", %settings);
	my $session = connect_to('limits');
	my $sleeping = qq{SELECT pid FROM pg_stat_activity
		WHERE query LIKE 'migrate upgrade%$target%pg_sleep%' AND wait_event = 'PgSleep'};
	my $pid;
	ok(wait_until(sub { $pid = $session->value($sleeping) }),
		"it sleeps in the script of $target");
	$session->finish;
	return ($psql, $pid);
}

# --------------------------------------------------------- cut short ----

{
	set_nap(30);
	my $result = finish(start('limits', 'SELECT migrate.upgrade()', statement_timeout => '500ms'));
	is($result->{state}, '57014', 'statement_timeout: 57014');
	like($result->{err}, qr/canceling statement due to statement timeout/, '    its own message');
	like($result->{err},
		context('revision "0003", upgrade script, statement 3, line 3'),
		'    and where it was');
	check_after('statement_timeout');

	# many short statements together
	set_nap(0.1);
	my $start = time;
	$result = finish(start('limits', 'SELECT migrate.upgrade()', statement_timeout => '1s'));
	is($result->{state}, '57014', 'statement_timeout holds for the whole call');
	cmp_ok(time - $start, '<', 3, '    and comes in time');
	like($result->{err},
		qr/revision "0004", upgrade script, statement \d+, line 1/,
		'    and says where it was');
	check_after('statement_timeout of the whole');
}

for my $end ([ 'pg_cancel_backend', '57014' ], [ 'pg_terminate_backend', '57P01' ])
{
	my ($function, $state) = @$end;
	set_nap(30);
	my ($psql, $pid) = start_sleeping('0003');
	my $session = connect_to('limits');
	my $start = time;
	$session->run("SELECT $function($pid)");
	my $result = finish($psql);
	is($result->{state}, $state, "$function: $state");
	cmp_ok(time - $start, '<', 2, '    at once');
	like($result->{err}, qr/revision "0003", upgrade script, statement 3, line 3/,
		'    and where it was')
	  if $state eq '57014';
	$session->finish;
	check_after($function);
}

# The same session works after a cancel, within a savepoint too.
{
	set_nap(30);
	my $session = connect_to('limits', options => '-c statement_timeout=300');
	is($session->query('SELECT migrate.upgrade()')->{state}, '57014', 'a session is cancelled');
	is($session->value('SELECT migrate.current()'), '0001', '    and still works');
	is($session->value(q{SELECT migrate.upgrade('0002')}), '0002', '    and can move');
	back_to_one($session);
	$session->run('BEGIN', 'SAVEPOINT s');
	is($session->query('SELECT migrate.upgrade()')->{state},
		'57014', 'cancelled after a savepoint');
	$session->run('ROLLBACK TO s');
	is($session->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, '    the lock is released');
	is($session->value(q{SELECT migrate.upgrade('0002')}),
		'0002', '    and the transaction continues');
	$session->run('ROLLBACK');
	is($session->value('SHOW search_path'), '"$user", public', '    with its settings');
	is($session->value('SELECT current_user'), 'postgres', '    and its role');
	$session->finish;
	check_after('cancelled after a savepoint');
}

{
	set_nap(30);
	my ($psql, $pid) = start_sleeping('0003');
	kill KILL => $pid;
	my $result = finish($psql);
	ok($result->{status}, 'kill -9 of the server process: psql fails');
	ok(wait_until(sub { !(run_psql('limits', 'SELECT 1'))[0] }, 30), '    the server recovers');
	check_after('kill -9 of the server process');
}

{
	set_nap(30);
	my ($psql) = start_sleeping('0003');
	$server->stop('immediate');
	my $result = finish($psql);
	ok($result->{status}, 'immediate shutdown: psql fails');
	$server->start;
	check_after('immediate shutdown');
}

{
	set_nap(30);
	my ($psql) = start_sleeping('0003');
	$server->restart('fast');
	my $result = finish($psql);
	is($result->{state}, '57P01', 'fast shutdown: psql reports it');
	check_after('fast shutdown');
}

# -------------------------------------------------------- dead clients ----

SKIP:
{
	skip 'before 14 the server cannot look for its client', 1 if $version < 14;

	set_nap(0.3);
	my ($psql, $pid) = start_sleeping('0004', 'migrate.step_messages' => 'off');
	kill KILL => $psql->{pid};
	finish($psql);
	my $start = time;
	my $session = connect_to('limits');
	my $serving = "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid";
	ok(wait_until(sub { !$session->value($serving) }, 6),
		'a dead client: its server process ends');
	cmp_ok(time - $start, '<', 2, '    soon, long before the end of the script');
	note sprintf 'dead client: noticed after %.2f s', time - $start;
	$session->finish;
	check_after('a dead client');

	# Died while it waited for its turn: it must not have one.
	set_nap(0);
	my $holder = connect_to('limits');
	$holder->run('BEGIN', q{SELECT migrate.upgrade('0002')});
	my $waiter = start('limits', 'SELECT migrate.upgrade()', application_name => 'waiter');
	$session = connect_to('limits');
	my $waiting = q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waiter'};
	ok(wait_until(sub { $session->value("$waiting AND wait_event = 'Extension'") }),
		'a client waits for its turn');
	sleep 0.3;
	kill KILL => $waiter->{pid};
	finish($waiter);
	ok(wait_until(sub { !$session->value($waiting) }, 3),
		'    and dies: its server process stops waiting');
	$holder->run('ROLLBACK');
	ok(wait_until(sub { !$session->value($waiting) }, 5), '    or ends when its turn comes');
	$_->finish for $holder, $session;
	check_after('a client that died waiting');
}

# --------------------------------------------------------- out of locks ----

{
	$server->set(
		'max_locks_per_transaction = 16',
		'max_connections = 5',
		'max_wal_senders = 0',
		'max_worker_processes = 2',
		'autovacuum_max_workers = 1');
	$server->restart('fast');
	create_database('locks');
	my $session = connect_to('locks');
	$session->run(
		'CREATE TABLE nap (seconds float)',
		'CREATE TABLE runs (revision text)',
		q{SELECT migrate.revision('first', 'CREATE TABLE first ();', 'DROP TABLE first', '000')},
		'SELECT migrate.upgrade()');
	# 250 revisions of ten tables, each with its index
	for my $i (1 .. 250)
	{
		my $id = sprintf '%03d', $i;
		my $script = join "\n", map { "CREATE TABLE t_${id}_$_ (id int PRIMARY KEY);" } 1 .. 10;
		$session->run("SELECT migrate.revision('many', '$script', '', '$id')");
	}
	$before = $session->value($everything);
	my $result = $session->query('SELECT migrate.upgrade()');
	is($result->{state}, '53200', 'out of locks: 53200') or diag $result->{err};
	like($result->{err}, qr/out of shared memory/, '    its own message');
	like($result->{err}, qr/^HINT:  .*max_locks_per_transaction/m, '    its own hint');
	like($result->{err}, qr/CALL migrate\.upgrade_stepwise/, '    and ours');
	like(
		$result->{err},
		qr/^(?:CONTEXT:  )?revision "\d{3}", upgrade script, statement \d+, line \d+$/m,
		'    and where it was');
	my ($where) = $result->{err} =~ /revision "(\d{3})", upgrade/;
	note 'out of locks in revision ' . ($where // '?');
	is($session->value($everything),
		$before, 'out of locks: rows, applied, log and schema are as before');
	is($session->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, '    no lock is left');
	is($session->value(q{SELECT migrate.upgrade('+1')}), '001', '    a further call works');
	is( $session->value(
			q{SELECT count(*) FROM pg_class WHERE relname LIKE 't\_001\_%' AND relkind = 'r'}),
		10,
		'    and its tables are there');
	# one at a time it goes, as the stepwise call will do it
	my $last;
	for (1 .. 29)
	{
		$last = $session->value(q{SELECT migrate.upgrade('+1')});
	}
	is($last, '030', '    one revision in a transaction: farther than all in one');
	cmp_ok($where // 0, '<', 30, '    (that ended earlier)');
	$session->finish;
}

done_testing();
