#!/usr/bin/perl
#
# Beside other extensions: those that expect one statement in a text, those
# whose statements need the top level and commit by themselves, and those that
# refuse the top level inside of a CALL.  Their habits are those of
# test/modules/neighbours.c.  Where pgaudit is installed, it is asked the same in
# a server of its own, and what it logs is looked at.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateModule;
use MigrateServer;
use MigrateTest;
use Test::More;

my $dir = scratch_dir();
# where the suite has it loaded, it must not be loaded twice
my ($library) = grep { m{/neighbours$} } split /,/, $ENV{MIGRATE_TEST_PRELOAD} // '';
$library //= build_library($dir, 'neighbours', ["$FindBin::RealBin/../modules/neighbours.c"]);
my $server = MigrateServer->create(
	settings => [ 'max_connections = 20', "shared_preload_libraries = '$library'" ]);
$server->use;
my $db = create_database('neighbours');
my $session = connect_to($db, messages => 'notice');
my $number = 0;

# Stores a revision; its id, or the error.
sub store
{
	my ($script, %options) = @_;
	my $id = sprintf 'r%03d', ++$number;
	my $result = $session->query(
		sprintf q{SELECT migrate.revision('m', %s, '', '%s', transactional => %s)},
		lit($script), $id, $options{transactional} ? 'true' : 'false');
	$number-- if $result->{state} ne '00000';
	return $result->{state} eq '00000' ? $id : $result;
}

sub upgrade { return $session->query('CALL migrate.upgrade_stepwise()') }

# What is written down: version rows, incomplete scripts, rows of the log.
sub recorded
{
	return $session->value(
		q{SELECT concat_ws(' ', (SELECT string_agg(revision, ',') FROM migrate.versions),}
		  . q{ (SELECT count(*) FROM migrate.partial), (SELECT count(*) FROM migrate.log))});
}

# ------------------------------------------------- one statement in a text ----

$session->run('CREATE TABLE plain (a int, b int)', 'CREATE TABLE hyper (a int PRIMARY KEY)',
	'INSERT INTO hyper VALUES (1), (2)');
{
	my $script = <<'END';
ALTER TABLE plain ALTER a SET NOT NULL; ALTER TABLE plain ADD CHECK (a > 0);
INSERT INTO plain VALUES (1, 1); UPDATE plain SET b = 2;
CREATE RULE r AS ON DELETE TO plain DO ALSO (SELECT 1; SELECT 2); DELETE FROM plain;
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 2; END $$;
DO $$ BEGIN PERFORM f(); END $$;
SELECT f() /* ; */; -- ;
END
	store($script, transactional => 1);
	my $result = $session->query('SELECT migrate.upgrade()');
	is($result->{state}, '00000', 'several statements in a script') or diag $result->{err};
	store("BEGIN; CREATE INDEX ON plain (a); ANALYZE plain; COMMIT;\n"
		  . 'CREATE INDEX CONCURRENTLY i1 ON plain (a); CREATE INDEX CONCURRENTLY i2 ON plain (b);'
		  . ' VACUUM plain; DO $$ BEGIN COMMIT; PERFORM 1; END $$');
	$result = upgrade();
	is($result->{state}, '00000', 'and stepwise') or diag $result->{err};
}

# ---------------------------------------------------------- the top level ----

{
	my $id = store('CLUSTER hyper USING hyper_pkey; INSERT INTO plain VALUES (7)');
	my $result = upgrade();
	is($result->{state}, '00000', 'a statement that an extension wants at top level')
	  or diag $result->{err};
	like($result->{err}, qr/^NOTICE:  .*statement 1\/2: CLUSTER$/m, '    is announced');
	is(recorded() =~ s/ .*//r, $id, '    is recorded');
	is($session->value('SELECT count(*) FROM plain WHERE a = 7'), 1, '    and the next one is run');

	$id = store("-- migrate:top-level\nCREATE MATERIALIZED VIEW hyper_v AS SELECT * FROM hyper");
	$result = upgrade();
	is($result->{state}, '00000', 'one that is marked') or diag $result->{err};
	is(recorded() =~ s/ .*//r, $id, '    is recorded');
	is($session->value('SELECT count(*) FROM hyper_v'), 2, '    is done');

	store("CREATE INDEX hyper_c ON hyper (a) WITH (neighbours.chunks)");
	is(upgrade()->{state}, '00000', 'an index with an option of an extension');
	is($session->value(q{SELECT count(*) FROM pg_indexes WHERE indexname = 'hyper_c'}),
		1, '    is made');
	$result =
	  store('CREATE INDEX hyper_d ON hyper (a) WITH (neighbours.chunks)', transactional => 1);
	is($result->{state}, 'MG011', '    is refused in a transactional script');
	like(
		$result->{err},
		qr/ CREATE INDEX with an option of an extension cannot be used in a transactional script$/m,
		'    and why');
}

# Each of these fails at first: the state, and what the error says.
for (
	[   'in a group of a script',
		"SELECT 1;\nBEGIN;\nCLUSTER hyper;\nCOMMIT",
		'25001', qr/^HINT:  Move the statement out of BEGIN \.\.\. COMMIT\.$/m
	],
	[   'that fails at top level, too',
		"-- migrate:top-level\nDO \$\$ BEGIN RAISE SQLSTATE '25001'; END \$\$",
		'25001', qr/^(?!.*HINT)/s
	],
	[   'that raises it by itself', "DO \$\$ BEGIN RAISE SQLSTATE '25001'; END \$\$",
		'25001', qr/^(?!.*HINT)/s
	])
{
	my ($what, $script, $state, $says) = @$_;
	my $id = store($script);
	my $result = upgrade();
	is($result->{state}, $state, "one $what") or diag $result->{err};
	like($result->{err}, $says, '    has a hint that fits, or none');
	$session->run("SELECT migrate.stamp('$id')");
}
{
	my $id = store('CLUSTER hyper', transactional => 1);
	my $result = $session->query('SELECT migrate.upgrade()');
	is($result->{state}, '25001', 'one in a transactional script') or diag $result->{err};
	like($result->{err}, qr/^HINT:  Such a script needs "-- migrate:up transaction:false"/m,
		'    has the hint that it needs another');
	$session->run("SELECT migrate.stamp('$id')");
}

# The session dies while it is under way.
my $slow = 'CREATE MATERIALIZED VIEW hyper_w AS SELECT pg_sleep(60)::text';
for my $script ("-- migrate:top-level\n$slow", $slow)
{
	my $id = store("SELECT 1;\n$script");
	my $runner = connect_to($db);
	$runner->send('CALL migrate.upgrade_stepwise()');
	my $waiting = 'SELECT count(*) FROM pg_stat_activity'
	  . " WHERE pid = $runner->{pid} AND wait_event = 'PgSleep'";
	wait_until(sub { $session->value($waiting) == 1 }, 30);
	$session->run("SELECT pg_terminate_backend($runner->{pid})");
	wait_until(
		sub {
			!$session->value(
				"SELECT count(*) FROM pg_stat_activity WHERE pid = $runner->{pid}");
		},
		30);
	my $result = upgrade();
	is($result->{state}, 'MG013', 'a session died within it: in doubt') or diag $result->{err};
	$session->run("SELECT migrate.resume('$id', 'done')");
	is(upgrade()->{state}, '00000', '    a person says that it is done');
	is(recorded() =~ s/ .*//r, $id, '    it is recorded');
}

# Where the mark must not be.
for (
	[ 'a transactional script', "-- migrate:top-level\nSELECT 1", 1,
		qr/"-- migrate:top-level" cannot be used in a transactional script/ ],
	[ 'a transactional script, a comment between', "-- migrate:top-level\n\n-- x\nSELECT 1",
		1, qr/"-- migrate:top-level" cannot be used in a transactional script/ ],
	[ 'after an empty statement', "SELECT 1;/* ; */;\n-- migrate:top-level\nSELECT 2", 1,
		qr/"-- migrate:top-level" cannot be used in a transactional script/ ],
	[ 'a group', "BEGIN;\n-- migrate:top-level\nSELECT 1;\nCOMMIT", 0,
		qr/"-- migrate:top-level" cannot be used between BEGIN and COMMIT/ ],
	[ 'BEGIN', "-- migrate:top-level\nBEGIN;\nSELECT 1;\nCOMMIT", 0,
		qr/BEGIN cannot be marked "-- migrate:top-level"/ ],
	[ 'BEGIN around a script', "-- migrate:top-level\nBEGIN;\nSELECT 1;\nCOMMIT", 1,
		qr/BEGIN cannot be marked "-- migrate:top-level"/ ],
	[ 'nothing', "SELECT 1;\n-- migrate:top-level\n", 0,
		qr/"-- migrate:top-level" is not followed by a statement/ ],
	[ 'the middle of a statement', "SELECT\n-- migrate:top-level\n1", 0,
		qr/"-- migrate:top-level" is not followed by a statement/ ],
	[ 'a statement, with more text', "-- migrate:top-level always\nSELECT 1", 0,
		qr/unrecognized text after "-- migrate:top-level"/ ])
{
	my ($what, $script, $transactional, $says) = @$_;
	my $result = store($script, transactional => $transactional);
	is(ref $result ? $result->{state} : $result, 'MG011', "marked: $what");
	like($result->{err}, $says, '    and why') if ref $result;
}
for my $script (
	"SELECT 1; -- migrate:top-level\nSELECT 2",
	"/* x */ -- migrate:top-level\nSELECT 1",
	"SELECT '\n-- migrate:top-level\n'",
	"/*\n-- migrate:top-level\n*/ SELECT 1",
	"-- migrate:top-levels\nSELECT 1")
{
	my $id = store($script, transactional => 1);
	ok(!ref $id, 'no mark: ' . $script =~ s/\n/~/gr);
	$session->run('SELECT migrate.upgrade()') unless ref $id;
}

# ------------------------------------------- those that refuse the top level ----

$session->run('CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$');

my @committing = (
	'CREATE INDEX CONCURRENTLY i3 ON plain (b)',
	'SELECT 1; VACUUM plain',
	'DO $$ BEGIN COMMIT; END $$',
	'CALL commits()');

# Nothing is written down, and what the message says can be done.
sub refuses
{
	my ($who, $hint, @scripts) = @_;

	for my $script (@scripts)
	{
		my $id = store($script);
		my $before = recorded();
		my $result = upgrade();
		is($result->{state}, '0A000', "$who, $script: refused") or diag $result->{err};
		my $what = 'a module of this server refuses statements that commit by themselves'
		  . ' in migrate.upgrade_stepwise()';
		like($result->{err}, qr/ \Q$what\E$/m, '    says what');
		like($result->{err}, qr/^DETAIL:  Its error is: \w+ stack is not empty$/m, '    and why');
		like($result->{err}, $hint, '    and what to do');
		is(recorded(), $before, '    and has written nothing down');
		my $offline = spew("$dir/offline.sql",
			join "\n", $session->rows("SELECT migrate.upgrade_sql('$id')"));
		my ($status, $out, $err) =
		  run_program(tool('psql'), '-X', '-v', 'ON_ERROR_STOP=1', '-d', $db, '-f', $offline);
		is($status, 0, '    psql can run it') or diag $err;
		is(recorded() =~ s/ .*//r, $id, '    it is recorded');
		$session->run('DROP INDEX IF EXISTS i3');
	}
	store('CREATE TABLE t1 (); BEGIN; DROP TABLE t1; COMMIT');
	is(upgrade()->{state}, '00000', "$who: what runs in transactions is run");
}

$session->run("SET neighbours.habits = 'single,places,top_level,audit'");
refuses('an audit module', qr/^HINT:  Run the script of migrate\.upgrade_sql\(\) with psql\.$/m,
	@committing, 'CLUSTER hyper');
$session->run("SET neighbours.habits = 'single,places,top_level'");
is_deeply([ $session->rows('SELECT migrate.pending()') ], [], 'nothing is pending');
$session->finish;

# ---------------------------------------------------------------- Citus ----

# Its catalog, as citus--*.sql makes it, and the errors that it raises.
{
	$db = create_database('citus');
	$session = connect_to($db, messages => 'notice');
	$session->run('CREATE ROLE citus_deployer LOGIN',
		'GRANT USAGE ON SCHEMA migrate TO citus_deployer',
		'GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO citus_deployer');
	my $warned = sub {
		my ($sql, $user) = @_;
		my $caller = connect_to($db, messages => 'notice', user => $user // 'citus_deployer');
		my $result = $caller->query($sql);
		is($result->{state}, '00000', "Citus: $sql") or diag $result->{err};
		$caller->finish;
		return $result->{err} =~ /^WARNING: .*(this database is on a worker of .*)$/m ? $1 : '';
	};
	my @calls = (
		'SELECT migrate.upgrade()',
		q{SELECT migrate.downgrade('base')},
		q{SELECT migrate.stamp('base')},
		'CALL migrate.upgrade_stepwise()',
		q{CALL migrate.downgrade_stepwise('base')});

	is($warned->($_), '', '    no warning without Citus') for @calls;
	$session->run('CREATE TABLE pg_dist_local_group (groupid int NOT NULL PRIMARY KEY)',
		'INSERT INTO pg_dist_local_group VALUES (7)');
	is($warned->($calls[0]), '', '    nor with a table of that name elsewhere');
	$session->run('ALTER TABLE pg_dist_local_group SET SCHEMA pg_catalog');
	is($warned->($calls[0]), '', '    nor with one that is not of Citus');
	$session->run(
		q{INSERT INTO pg_extension
			(oid, extname, extowner, extnamespace, extrelocatable, extversion)
			VALUES (99999, 'citus', 10, 11, false, '12.1-1')},
		'ALTER EXTENSION citus ADD TABLE pg_catalog.pg_dist_local_group');
	is($warned->($calls[0]), '', '    nor for a role that may not read it');
	$session->run('GRANT SELECT ON pg_catalog.pg_dist_local_group TO public');
	is($warned->($_), 'this database is on a worker of Citus, in group 7', '    a worker: warned')
	  for @calls;
	is($warned->('SELECT migrate.current()'), '', '    not for looking');
	$session->run('UPDATE pg_catalog.pg_dist_local_group SET groupid = 0');
	is($warned->($_), '', '    the coordinator: none') for @calls;
	$session->run('DELETE FROM pg_catalog.pg_dist_local_group');
	is($warned->($calls[0]), '', '    no row: none');
	$session->run('ALTER EXTENSION citus DROP TABLE pg_catalog.pg_dist_local_group',
		q{DELETE FROM pg_extension WHERE extname = 'citus'});
}

# What it raises when a transaction has worked over several connections to a node.
my $theirs = q{Try re-running the transaction with}
  . q{ "SET LOCAL citus.multi_shard_modify_mode TO 'sequential';"};
my $call = qr/the setting must come before that call; or CALL migrate\.\w+_stepwise\(\.\.\.\)/;
for (
	[   'cannot run type command because there was a parallel operation on a distributed table'
		  . ' in the transaction',
		$theirs, qr/^HINT:  \Q$theirs\E\nIn the transaction of migrate\.upgrade\(\), $call/m
	],
	[   'cannot create or modify type because there was a parallel operation on a distributed table'
		  . ' in the transaction',
		undef, qr/^HINT:  In the transaction of migrate\.upgrade\(\), $call/m
	],
	[   'cannot execute DDL on reference relation "r" because there was a parallel SELECT access to'
		  . ' distributed relation "d" in the same transaction',
		$theirs, qr/^HINT:  \Q$theirs\E\nIn the transaction of/m
	],
	[ 'there was a parallel operation', 'Try re-running the transaction.', qr/^(?!.*stepwise)/s ],
	[ 'distributed table',              undef,                             qr/^(?!.*HINT)/s ])
{
	my ($message, $hint, $says) = @$_;
	my $raise = sprintf 'DO %s', lit(sprintf 'BEGIN RAISE EXCEPTION USING MESSAGE = %s%s; END',
		lit($message), $hint ? ', HINT = ' . lit($hint) : '');
	my $id = store($raise, transactional => 1);
	my $result = $session->query('SELECT migrate.upgrade()');

	like($result->{err}, $says, "Citus: $message");
	$result = upgrade();
	if ($hint && $hint eq $theirs)
	{
		like(
			$result->{err},
			qr/^The setting must come first in the script, or in its BEGIN \.\.\. COMMIT\.$/m,
			'    and stepwise');
	}
	else { isnt($result->{state}, '00000', '    and stepwise') }
	$session->run("SELECT migrate.drop('$id')");
}
$session->query('DROP OWNED BY citus_deployer');
$session->query('DROP ROLE citus_deployer');
$session->finish;

# -------------------------------------------------------------- pgaudit ----

chomp(my $pkglibdir = (run_program(tool('pg_config'), '--pkglibdir'))[1]);
SKIP:
{
	skip 'pgaudit is not installed', 1 unless -e "$pkglibdir/pgaudit.so";
	$server = MigrateServer->create(settings =>
		  [ 'max_connections = 20', "shared_preload_libraries = 'pgaudit'" ]);
	$server->use;
	$db = create_database('pgaudit');
	$session = connect_to($db, messages => 'notice');
	$session->run(
		'CREATE EXTENSION pgaudit',
		'CREATE TABLE plain (a int, b int)',
		'CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$');
	check_audit($_) for 'none', 'all';
}
done_testing();

# pgaudit with a setting of pgaudit.log: what is refused, and what is not.
sub check_audit
{
	my $log = shift;

	$session->run("SET pgaudit.log = '$log'");
	my $id = store('VACUUM plain');
	my $result = upgrade();
	if ($result->{state} eq '0A000')
	{
		$session->run("SELECT migrate.stamp('$id')");
		refuses("pgaudit, $log", qr/^HINT:  Update pgaudit to at least .* with psql\.$/m,
			@committing);
	}
	else
	{
		is($result->{state}, '00000', "pgaudit, $log, refuses nothing") or diag $result->{err};
		for my $script (@committing)
		{
			store($script);
			is(upgrade()->{state}, '00000', "pgaudit, $log: $script");
			$session->run('DROP INDEX IF EXISTS i3');
		}
	}

	my $n = 500;
	my @inserts = map { "INSERT INTO plain VALUES ($_)" } 1 .. $n;
	$id = store(join(";\n", "CREATE TABLE made_$log ()", @inserts), transactional => 1);
	my $before = length $server->log_text;
	$result = $session->query('SELECT migrate.upgrade()');
	is($result->{state}, '00000', "pgaudit, $log: a transactional upgrade")
	  or diag $result->{err};
	is(recorded() =~ s/ .*//r, $id, '    is recorded');
	my $logged = substr $server->log_text, $before;
	my %times;
	$times{$_}++ for $logged =~ /AUDIT: .*,(INSERT INTO plain VALUES \(\d+\)),/g;
	my $times = $log eq 'all' ? 1 : 0;
	is_deeply([ grep { ($times{$_} // 0) != $times } @inserts ],
		[], "    each statement is logged $times times");
	cmp_ok(length $logged, '<', 50_000 + 300 * $n, '    and the log is no longer than that');
	return;
}
