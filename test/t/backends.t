#!/usr/bin/perl
#
# Every kind of server process that our functions can run in: background
# workers with a port, without one, and with one that has no client
# (test/modules/worker.c), walsenders, parallel workers' leaders, autovacuum
# workers, and a server in single-user mode.  What is asked of the process has
# an answer in each of them, and none crashes.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateModule;
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $dir = scratch_dir();
my $library =
  build_library($dir, 'worker', ["$FindBin::RealBin/../modules/worker.c"]);
my $server = MigrateServer->create(
	settings => [
		'max_worker_processes = 20',
		'autovacuum_naptime = 1s',
		'max_wal_senders = 4',
		'wal_level = replica',
	]);
$server->use;
my $db = create_database('mig_backends');
my $session = connect_to($db, messages => 'error');
my $started = $session->value('SELECT pg_postmaster_start_time()');
my $crashes = 0;

$session->run(
	'CREATE TABLE public.jobs (job serial PRIMARY KEY, sql text, result text)',
	'CREATE FUNCTION run_in_worker(library text, job int, port bool, role bool, way text)'
	  . ' RETURNS void LANGUAGE c STRICT AS ' . lit($library));

# Runs a statement in a worker, in a way of worker.c: what it wrote of it.
sub in_worker
{
	my ($sql, %options) = @_;
	my $job =
	  $session->value('INSERT INTO public.jobs (sql) VALUES (' . lit($sql) . ') RETURNING job');
	my $result;

	$session->run(sprintf 'SELECT run_in_worker(%s, %d, %s, %s, %s)', lit($library), $job,
		(map { $options{$_} ? 'true' : 'false' } qw(port role)), lit($options{way} // 'spi'));
	wait_until(
		sub {
			my $asked = $session->query("SELECT result FROM public.jobs WHERE job = $job");
			$result = $session->{dead} ? 'CRASH' : $asked->{rows}[0];
			return length $result;
		},
		30);
	if ($session->{dead})
	{
		# the whole server restarts
		$crashes++;
		wait_until(sub { !(run_psql($db, 'SELECT 1'))[0] }, 30);
		$session = connect_to($db, messages => 'error');
	}
	return $result || 'no answer';
}

sub current { return join ' ', $session->rows('SELECT migrate.current()') }

$session->run(
	map { "SELECT migrate.revision($_)" } (
		q{'one', 'CREATE TABLE public.one (n int)', 'DROP TABLE public.one', 'r1'},
		q{'two', 'CREATE TABLE public.two (n int)', 'DROP TABLE public.two', 'r2'},
		q{'side', 'SELECT 1/0', '', 'bad', head => 'base', branch_label => 'to_zero'},
		q{'slow', $$SET statement_timeout = '200ms'; SELECT pg_sleep(20)$$, '', 'slow',}
		  . q{ head => 'base', branch_label => 'to_sleep'},
		q{'index', 'CREATE INDEX CONCURRENTLY one_n ON public.one (n); SELECT 1',}
		  . q{ 'DROP INDEX CONCURRENTLY public.one_n', 'r3', head => 'r2', transactional => false})
);
# others' rights, each of which ends with its revision
$session->run(
	'CREATE ROLE bob',
	'GRANT SELECT, UPDATE ON public.jobs TO bob',
	map { "SELECT migrate.revision($_)" } (
		q{'as bob', 'SET SESSION AUTHORIZATION bob', 'SET ROLE bob', 'b1',}
		  . q{ head => 'base', branch_label => 'to_bob'},
		q{'between', 'CREATE TABLE public.ours (n int)', 'DROP TABLE public.ours', 'b2',}
		  . q{ head => 'b1'},
		q{'as bob', 'SET ROLE bob; SET SESSION AUTHORIZATION bob', 'SET SESSION AUTHORIZATION bob',}
		  . q{ 'b3', head => 'b2'},
		q{'as bob', 'SET SESSION AUTHORIZATION bob; SELECT 1',}
		  . q{ 'SET SESSION AUTHORIZATION bob; SELECT 1', 'b4', head => 'b3',}
		  . q{ transactional => false}
	));

# --------------------------------------------------- background workers ----

for my $port (0, 1)
{
	my $in = $port ? 'a worker whose port has no client' : 'a worker without a port';
	my $worker = sub { return in_worker($_[0], port => $port, role => !$port, @_[ 1 .. $#_ ]) };

	is($worker->(q{SELECT migrate.upgrade('r2')}), 'ok', "$in upgrades");
	is(current(), 'r2', "$in: the revisions are applied");
	is($session->value(q{SELECT concat_ws('|', application_name, client_addr, session_role)}
			  . ' FROM migrate.log ORDER BY id DESC LIMIT 1'),
		'|postgres', "$in: the log has no client") unless $port;
	is($worker->(q{SELECT migrate.upgrade('r2')}), 'ok', "$in has nothing to do");
	like($worker->(q{SELECT migrate.upgrade('bad')}),
		qr/^22012: division by zero;.*revision "bad", upgrade script, statement 1, line 1/s,
		"$in reports an error where it is");
	my $start = time;
	like($worker->(q{SELECT migrate.upgrade('slow')}), qr/^57014: .*statement timeout/,
		"$in: a script's statement_timeout");
	cmp_ok(time - $start, '<', 10, "$in: it ended in time");
	is($worker->(q{SELECT migrate.downgrade('-1')}), 'ok', "$in downgrades");
	is($worker->(q{SELECT migrate.stamp('r2')}), 'ok', "$in stamps");
	is($worker->(q{SELECT migrate.stamp('r1')}), 'ok', "$in stamps back");

	# it waits for the run lock, and looks after its client meanwhile
	my $holder = start($db,
		[ 'BEGIN; SELECT pg_advisory_xact_lock(1835624306, 1);' . ' SELECT pg_sleep(1); COMMIT' ]);
	wait_until(sub { $session->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}) }
	);
	is($worker->(q{SELECT migrate.upgrade('r2')}), 'ok', "$in waits for the run lock");
	finish($holder);

	like($worker->(q{CALL migrate.upgrade_stepwise('r3')}), qr/^25001: /,
		"$in: a stepwise run in a transaction is refused");
	like($worker->(q{CALL migrate.upgrade_stepwise('r3')}, way => 'committing'), qr/^25001: /,
		"$in: and one that SPI would let commit");
	is($worker->(q{CALL migrate.upgrade_stepwise('r3')}, way => 'portal'), 'ok',
		"$in: a stepwise run as a statement of its own");
	is(current(), 'r3', "$in: it is applied");
	ok( $session->value(
			q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.one_n'::regclass}),
		"$in: with its index");
	is($worker->(q{CALL migrate.downgrade_stepwise('base')}, way => 'portal'), 'ok',
		"$in: and down again");
	is(current(), '', "$in: nothing is applied");
	is($worker->(q{CALL migrate.upgrade_stepwise('r3')}, way => 'call'), 'ok',
		"$in: and without a portal");
	is($worker->(q{CALL migrate.downgrade_stepwise('base')}, way => 'call'), 'ok',
		"$in: in both directions");
	is(current(), '', "$in: nothing is applied");

	# what a script makes of the role ends with its revision
	is($worker->(q{SELECT migrate.upgrade('b3')}), 'ok', "$in: scripts that change the role");
	is( $session->value(
			q{SELECT relowner::regrole FROM pg_class WHERE oid = 'public.ours'::regclass}),
		'postgres',
		"$in: the one between them has its own");
	is($worker->(q{SELECT migrate.downgrade('b1')}), 'ok', "$in: down again");
	is($worker->(q{CALL migrate.upgrade_stepwise('b4')}, way => 'portal'),
		'ok', "$in: the same, step by step");
	is( $session->value(
			q{SELECT relowner::regrole FROM pg_class WHERE oid = 'public.ours'::regclass}),
		'postgres',
		"$in: with its own");
	is($worker->(q{CALL migrate.downgrade_stepwise('base')}, way => 'portal'),
		'ok', "$in: step by step down again");
	is( $session->value(
				q{SELECT string_agg(DISTINCT session_role || ' ' || effective_role, ';')}
			  . ' FROM migrate.log'),
		'postgres postgres', "$in: as the log says");
}

# ----------------------------------------------------------- walsenders ----

{
	local $ENV{PGOPTIONS} = '-c client_min_messages=error';
	my @answers = map {
		my ($status, $out, $err) =
		  run_program(tool('psql'), '-XAtq', '-d', "dbname=$db replication=database", '-c', $_);
		$out =~ s/\n\z//;
		$status ? $err : $out;
	} ( q{SELECT migrate.upgrade('r1')},
		q{CALL migrate.upgrade_stepwise('r3')},
		'SELECT migrate.current()',
		q{CALL migrate.downgrade_stepwise('r1')},
		'SELECT migrate.check_nothing()');
	is_deeply([ @answers[ 0 .. 3 ] ], [ 'r1', '', 'r3', '' ], 'a walsender that takes SQL');
	like($answers[4], qr/does not exist/, 'and tells its errors');
}

# ------------------------------------------------------------- parallel ----

{
	my $name = $session->value(q{SELECT name FROM pg_settings}
		  . q{ WHERE name IN ('force_parallel_mode', 'debug_parallel_query')});
	my $parallel = connect_to($db, messages => 'error', options => "-c $name=on");
	is_deeply(
		[
			map { join ' ', $parallel->rows("SELECT $_") }
			  q{migrate.upgrade('r2')}, 'migrate.current()', 'migrate.heads() ORDER BY 1',
			q{count(*) FROM migrate.history()}, q{migrate.downgrade('base')},
			'(migrate.script_checksum(upgrade_sql, upgrade_transactional) = checksum)'
			  . ' FROM migrate.revisions GROUP BY 1',
		],
		[ 'r2', 'r2', 'b4 bad r3 slow', '9', 'r2 r1', 't' ],
		"with $name");

	# a function of the user's that says it is safe, and is not
	$parallel->run(
		q{CREATE FUNCTION public.looks(n int) RETURNS int PARALLEL SAFE LANGUAGE plpgsql}
		  . q{ AS $$ BEGIN PERFORM migrate.current(); RETURN n; END $$},
		q{CREATE FUNCTION public.moves(n int) RETURNS int PARALLEL SAFE LANGUAGE plpgsql}
		  . q{ AS $$ BEGIN PERFORM migrate.upgrade('r1'); RETURN n; END $$});
	my @states = map { $parallel->query("SELECT public.$_(1)") } qw(looks moves);
	like(
		$states[$_]{err},
		qr/parallel (?:operation|worker)/,
		'in a worker, by a function that lies')
	  or diag $states[$_]{state}
	  for 0, 1;
	is(current(), '', 'nothing came of it');
	is($session->value(q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace}
			  . q{ AND proparallel <> 'u' AND proname <> 'script_checksum'}),
		'0', 'no function but the checksum runs in a parallel worker');
}

# ----------------------------------------------------------- autovacuum ----

# ANALYZE evaluates the expressions of indexes: as the table's owner, in a
# process without a client.
$session->run(
	q{CREATE FUNCTION public.asks(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS}
	  . q{ $$ BEGIN PERFORM migrate.current(); PERFORM migrate.history();}
	  . q{ RETURN n + (SELECT count(*) FROM migrate.pending()); END $$},
	'CREATE TABLE public.analyzed (n int) WITH (autovacuum_analyze_threshold = 1,'
	  . ' autovacuum_analyze_scale_factor = 0)',
	'CREATE INDEX ON public.analyzed (public.asks(n))',
	'INSERT INTO public.analyzed SELECT generate_series(1, 200)');
ok(wait_until(
		sub {
			$session->value(q{SELECT last_autoanalyze IS NOT NULL FROM pg_stat_user_tables}
				  . q{ WHERE relname = 'analyzed'}) eq 't';
		},
		60),
	'an autovacuum worker evaluates what calls us');

is($session->value('SELECT pg_postmaster_start_time()'), $started, 'the server is the same');
is($crashes, 0, 'and nothing crashed');
unlike($server->log_text, qr/was terminated by signal|TRAP:|PANIC/, 'as its log says');

# ----------------------------------------------------- single-user mode ----

$session->finish;
$server->stop;
my $input = spew("$dir/input", <<'END');
SELECT migrate.upgrade('r2')
SELECT migrate.upgrade('bad')
SELECT migrate.upgrade('b3')
SELECT 'between by ' || relowner::regrole FROM pg_class WHERE oid = 'public.ours'::regclass
SELECT migrate.downgrade('to_bob@base')
SELECT 'position ' || migrate.current()
CALL migrate.upgrade_stepwise('r3')
SELECT 'position ' || migrate.current()
CALL migrate.downgrade_stepwise('base')
SELECT 'revisions ' || count(*) FROM migrate.revisions
END
my $out = spew("$dir/output", '');
my $postgres = tool('postgres');
my $status = system 'sh', '-c', 'exec "$1" --single -D "$2" "$3" <"$4" >"$5" 2>&1', 'sh',
  $postgres, $server->data, $db, $input, $out;
my $said = slurp($out);
is($status, 0, 'a server in single-user mode ends well') or diag $said;
like($said, qr/position r2.*position r3.*revisions 9/s, 'it moves in both ways') or diag $said;
like($said, qr/between by postgres/, 'a role that a script sets ends with it');
like($said, qr/ERROR: .*division by zero/, 'and tells its errors');

done_testing();
