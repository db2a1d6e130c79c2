#!/usr/bin/perl
#
# Through PgBouncer in transaction mode: fifty clients, two server connections.
# Each transaction may get another connection, so nothing of ours may stay in one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } '/usr/sbin', split /:/, $ENV{PATH};
plan skip_all => 'PgBouncer is not installed' unless $pgbouncer;

my $dir = scratch_dir();
my $server = MigrateServer->create->use;
my $port = 6432;

# ----------------------------------------------------------------- set-up ----

my $direct = do
{
	create_database('app', plain => 1);
	run_psql('app', 'CREATE EXTENSION migrate');
	my $session = connect_to('app');
	$session->run('CREATE TABLE ran (revision text, pid int DEFAULT pg_backend_pid())');
	for my $i (1 .. 5)
	{
		# long enough that the others meet it
		$session->run(
			"SELECT migrate.revision('number $i',
				'CREATE TABLE t$i (); INSERT INTO ran VALUES (''r$i''); SELECT pg_sleep(0.1)',
				'DROP TABLE t$i; INSERT INTO ran VALUES (''-r$i'')',
				'r$i')");
	}
	$session;
};

my %bouncer = (
	listen_addr               => '',
	listen_port               => $port,
	unix_socket_dir           => $server->socket_dir,
	auth_type                 => 'any',
	pool_mode                 => 'transaction',
	max_client_conn           => 200,
	default_pool_size         => 2,
	reserve_pool_size         => 0,
	server_reset_query        => '',
	query_wait_timeout        => 60,
	ignore_startup_parameters => 'extra_float_digits,options',
	logfile                   => "$dir/pgbouncer.log",
	pidfile                   => "$dir/pgbouncer.pid");
my $address = 'host=' . $server->socket_dir . ' port=5432 user=postgres';
spew(
	"$dir/pgbouncer.ini",
	join "\n",
	'[databases]', "app = $address dbname=app", '',
	'[pgbouncer]', (map { "$_ = $bouncer{$_}" } sort keys %bouncer), '');

my $bouncer = spawn("$dir/pgbouncer.out", $pgbouncer, "$dir/pgbouncer.ini");
ok(wait_until(sub { !(run_psql('app', 'SELECT 1', '-p', $port))[0] }), 'PgBouncer answers')
  or do { diag slurp("$dir/pgbouncer.out"); BAIL_OUT('no PgBouncer') };

# ------------------------------------------------------------------ fifty ----

sub through
{
	my @sql = @_;
	return background('app', [ '-v', 'ON_ERROR_STOP=1', '-p', $port, map { ('-c', $_) } @sql ]);
}

# Starts as many psql and waits for all: [status, output, errors] of each.
sub at_once
{
	my ($n, @sql) = @_;
	my @clients = map { through(@sql) } 1 .. $n;
	return map { [ @{ finish($_) }{qw(status out err)} ] } @clients;
}

sub check_left
{
	my $what = shift;
	my $in_app = q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'};
	is($direct->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, "$what: no lock is left");
	is($direct->value("$in_app AND state LIKE 'idle in%'"), 0, "$what: no transaction is left");
	cmp_ok($direct->value("$in_app AND pid <> pg_backend_pid()"),
		'<=', 2, "$what: through two connections");
	return;
}

sub failed { return grep { $_->[0] } @_ }

for my $case (
	[ 'upgrade',   q{SELECT migrate.upgrade('head')},   [ map { "r$_" } 1 .. 5 ] ],
	[ 'downgrade', q{SELECT migrate.downgrade('base')}, [ map { "r$_" } reverse 1 .. 5 ] ])
{
	my ($what, $sql, $expected) = @$case;
	$direct->run('TRUNCATE ran');
	my @clients = at_once(50, $sql);
	my @failed = failed(@clients);
	is(scalar @failed, 0, "$what: all fifty succeed") or diag $failed[0][2];
	my @worked = grep { length $_->[1] } @clients;
	is(scalar @worked, 1, "$what: one did the work");
	is($worked[0][1], join('', map { "$_\n" } @$expected), "$what: all of it");
	is($direct->value('SELECT count(*) FROM ran'), 5, "$what: each script ran once");
	is($direct->value('SELECT count(DISTINCT pid) FROM ran'), 1, "$what: in one connection");
	check_left($what);
}

# Clients that do other things too, and one whose script fails.
{
	my @clients = at_once(
		50,
		'BEGIN', 'SELECT 1', q{SELECT migrate.upgrade('r3')}, 'COMMIT',
		q{SELECT migrate.upgrade('head')},
		'SELECT migrate.current()');
	my @failed = failed(@clients);
	is(scalar @failed, 0, 'in transactions of several statements: all fifty succeed')
	  or diag $failed[0][2];
	is(scalar(grep { $_->[1] !~ /^r5\n\z/m } @clients), 0, 'and all see the head');
	is($direct->value(q{SELECT count(*) FROM migrate.applied}), 5, 'all is applied');
	is( $direct->value(
			q{SELECT count(*) = count(DISTINCT revision) FROM migrate.log
			WHERE operation = 'upgrade' AND id > 10}),
		't',
		'each once');
	check_left('several statements');

	$direct->run(q{SELECT migrate.revision('bad', 'CREATE TABLE bad (); SELECT 1 / 0', '', 'r6')});
	@clients = at_once(20, q{SELECT migrate.upgrade('head')});
	is(scalar(grep { $_->[2] =~ /22012/ } @clients), 20, 'a script that fails: all get the error');
	is_deeply([ $direct->rows('SELECT migrate.current()') ], ['r5'], 'and nothing of it stays');
	check_left('a script that fails');
}

# A client that dies takes nothing with it.
{
	$direct->run(q{SELECT migrate.edit('r6', 'SELECT pg_sleep(2); CREATE TABLE good ()')});
	my $client = through(q{SELECT migrate.upgrade('head')});
	my $locks = q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted};
	ok(wait_until(sub { $direct->value($locks) }), 'a client runs');
	kill KILL => $client->{pid};
	finish($client);
	my @clients = at_once(20, q{SELECT migrate.upgrade('head')});
	my @failed = failed(@clients);
	is(scalar @failed, 0, 'after a client that died: all succeed') or diag $failed[0][2];
	is_deeply([ $direct->rows('SELECT migrate.current()') ], ['r6'], 'and the head is reached');
	is($direct->value(q{SELECT count(*) FROM migrate.log WHERE revision = 'r6'}), 1, 'once');
	check_left('after a client that died');
}

# An offline script that commits in between needs one server session, and in this mode
# can leave its lock in one.
{
	$direct->run('CREATE TABLE indexed (a int)');
	$direct->run(
		q{SELECT migrate.revision('m', 'CREATE INDEX CONCURRENTLY i ON indexed (a); SELECT 1/0',}
		  . q{ '', 'r7', transactional => false)});
	my $file = spew("$dir/offline.sql",
		join '', map { "$_\n" } $direct->rows(q{SELECT migrate.upgrade_sql()}));
	my ($status, undef, $err) = run_psql('app', '', '-p', $port, '-f', $file);
	like($err, qr/division by zero/, 'an offline script fails');
	my $result = $direct->query(q{SELECT migrate.revision('m', rev_id => 'r8')});
	is($result->{state}, 'MG012', 'the lock stays in a connection of the pool');
	my ($holder) = $result->{err} =~ /^DETAIL:  Process (\d+) /m;
	$direct->run("SELECT pg_terminate_backend($holder)");
	ok( wait_until(
			sub { !$direct->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}) }),
		'until that is ended, as the documentation says');
}

kill INT => $bouncer->{pid};
finish($bouncer);
$direct->finish;
$server->stop;
done_testing();
