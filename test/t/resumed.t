#!/usr/bin/perl
#
# A script that stopped in its middle and is resumed, in another session: no
# statement that is recorded as done is run again, and what they have set is set
# for the rest.  First the cases, then random scripts of SET, RESET, set_config,
# SET ROLE and the like that stop after every few statements: what their later
# statements see is what those of the same script see that never stopped.
#
# Environment: MIGRATE_TEST_SEED, MIGRATE_PROPERTY_ROUNDS (default 12).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

my $rounds = $ENV{MIGRATE_PROPERTY_ROUNDS} // 12;
my $seed = $ENV{MIGRATE_TEST_SEED} // int(time * 1000) % 1_000_000;
srand $seed;
diag "seed $seed";

my $db = create_database('mig_resumed');
my $session = connect_to($db);
my @roles = qw(migr_one migr_two);
run_psql($db, "DROP OWNED BY $_; DROP ROLE $_") for @roles;
$session->run(map { "CREATE ROLE $_ LOGIN" } @roles);
END
{
	local $?;
	$session->finish if $session;
	drop_databases();
	run_psql('postgres', "DROP ROLE IF EXISTS $_") for @roles;
}

my $number = 0;

# A new base revision with a script that is not transactional: its id.
sub revision
{
	my $sql = shift;
	my $id = 'r' . ++$number;
	$session->run(sprintf q{SELECT migrate.revision('m', %s, '', '%s', head => 'base', transactional => false)},
		lit($sql), $id);
	return $id;
}

# Calls it in a session of its own.
sub call
{
	my ($id, %options) = @_;
	my $other = connect_to($db, %options);
	my $result = $other->query("CALL migrate.upgrade_stepwise('$id')");
	$other->finish;
	return $result;
}

sub value { return $session->value($_[0]) }

# ------------------------------------------------------ never a second time ----

$session->run('CREATE TABLE t (x int)', 'CREATE TABLE gate (n int)', 'CREATE TABLE seen (n int, what text)',
	'GRANT ALL ON t, gate, seen TO PUBLIC', 'GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC',
	'CREATE SEQUENCE counter');

for my $sets (
	q{WITH i AS (INSERT INTO t VALUES (1) RETURNING x) SELECT set_config('app.x', 'y', false)},
	q{WITH i AS (INSERT INTO t VALUES (1) RETURNING x) SELECT set_config('app.x', x::text, false) FROM i},
	q{SELECT set_config('app.x', 'y', false) INTO TABLE made_here; INSERT INTO t VALUES (1)},
	q{SELECT set_config('app.x', nextval('counter')::text, false); INSERT INTO t VALUES (1)},
	q{SET work_mem = '5MB'; INSERT INTO t VALUES (1)})
{
	my $id = revision("$sets;\nSELECT 1/(SELECT count(*) FROM gate);\nINSERT INTO seen VALUES (0, current_setting('app.x', true))");
	$session->run('TRUNCATE t', 'TRUNCATE seen', 'TRUNCATE gate', 'ALTER SEQUENCE counter RESTART');
	is(call($id)->{state}, '22012', "$sets: stops behind it") for 1 .. 3;
	$session->run('INSERT INTO gate VALUES (1)');
	is(call($id)->{state}, '00000', 'and resumes');
	is(value('SELECT count(*) FROM t'), '1', 'it was run once');
	is(value('SELECT what FROM seen') // '', $sets =~ /work_mem/ ? '' : $sets =~ /'y'/ ? 'y' : '1', 'what it had set is set');
	$session->query('DROP TABLE made_here');
}

{
	my $id = revision(q{SELECT set_config('app.n', (SELECT x::text FROM old_cfg), false);}
		  . q{ DROP TABLE old_cfg; SELECT 1/(SELECT count(*) FROM gate);}
		  . q{ INSERT INTO seen VALUES (1, current_setting('app.n'))});
	$session->run('TRUNCATE gate', 'TRUNCATE seen', 'CREATE TABLE old_cfg AS SELECT 7 AS x');
	is(call($id)->{state}, '22012', 'what a setting was read from is gone');
	$session->run('INSERT INTO gate VALUES (1)');
	is(call($id)->{state}, '00000', 'the script resumes all the same');
	is(value('SELECT what FROM seen'), '7', 'with the value');
}

# --------------------------------------------------------------- who it was ----

{
	my $id = revision(q{SET SESSION AUTHORIZATION migr_one; SET application_name = 'forged'; SELECT 1});
	my $own = value('SELECT SESSION_USER');
	local $ENV{PGAPPNAME} = 'deploy';
	is(call($id)->{state}, '00000', 'a script that says who it is');
	is(value("SELECT concat_ws('|', session_role, effective_role, application_name) FROM migrate.log WHERE revision = '$id'"),
		"$own|$own|deploy", 'the log has who called');
	is(value("SELECT applied_by FROM migrate.status WHERE revision = '$id'"), $own, 'and so has the status');
}

{
	my $id = revision(q{SET ROLE migr_one; SELECT 1/(SELECT count(*) FROM gate WHERE n = 5); INSERT INTO seen SELECT 2, current_user});
	$session->run('GRANT USAGE ON SCHEMA migrate TO migr_two', 'GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO migr_two', 'TRUNCATE seen');
	is(call($id)->{state}, '22012', 'a script that has set a role');
	is(value("SELECT settings FROM migrate.partial WHERE revision = '$id'"), '{role=migr_one}', 'the record has it');
	my $result = call($id, user => 'migr_two');
	is($result->{state}, '42501', 'a role that may not set it cannot resume the script') or diag $result->{err};
	like($result->{err}, qr/setting "role" as the script has set it before/, 'and is told why');
	is(value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), '0', 'it holds no lock');
	$session->run('INSERT INTO gate VALUES (5)');
	is(call($id)->{state}, '00000', 'another one can');
	is(value('SELECT what FROM seen'), 'migr_one', 'as the role that was set');
}

{
	# a script of the tables' owner that changes itself
	my $id = revision(q{UPDATE migrate.revisions SET upgrade_sql = 'SELECT 1' WHERE revision = 'r0'; SELECT 2} =~ s/r0/'r' . ($number + 1)/er);
	is(call($id)->{state}, '00000', 'a script that changes itself');
	is($session->query('SELECT migrate.check()')->{state}, 'MG007', 'is noticed');
	is(value("SELECT count(*) FROM migrate.log l JOIN migrate.applied a USING (revision) WHERE l.checksum <> a.checksum"), '0',
		'the log and applied agree');
	$session->run(q{SELECT migrate.stamp(ARRAY(SELECT migrate.current()), purge => true)});
}

# ----------------------------------------------------------------- at random ----

my @settings = qw(work_mem search_path statement_timeout lock_timeout DateStyle app.one app.two
  default_transaction_isolation default_transaction_read_only random_page_cost row_security
  log_min_messages role session_authorization extra_float_digits);
my $observe = join ", ", map { "COALESCE(current_setting('$_', true), '')" } @settings;

sub any { return $_[ rand @_ ] }

# One statement that changes the session.
sub random_set
{
	return any(
		sub { "SET work_mem = '" . any('1MB', '77MB', '2000kB') . q{'} },
		sub { 'SET search_path = ' . any('public', 'pg_catalog, public', q{"odd ""name""", public}, q{public, 'x y'}) },
		sub { 'SET ' . any('statement_timeout', 'lock_timeout') . ' = ' . any(q{'5min'}, '60000', '0') },
		sub { q{SELECT set_config('app.} . any('one', 'two') . q{', '} . any('a=b', '', 'x y', q{it''s}) . q{', false)} },
		sub { 'RESET ' . any('work_mem', 'search_path', 'random_page_cost', 'app.one', 'ALL') },
		sub { 'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL ' . any('REPEATABLE READ', 'READ COMMITTED') },
		sub { 'SET random_page_cost = ' . any('1.1', '1.23456789012345', '4') },
		sub { 'SET DateStyle = ' . any(q{'German'}, q{'SQL, DMY'}) },
		sub { 'SET ROLE ' . any('migr_one', 'migr_two', 'NONE') },
		sub { 'SET SESSION AUTHORIZATION ' . any('migr_one', 'DEFAULT') },
		sub { 'SET log_min_messages = error' },
		sub { 'SET LOCAL work_mem = \'9MB\'' },
		sub { "BEGIN;\nSET LOCAL work_mem = '8MB';\nSET extra_float_digits = " . any(0, 1, 2) . ";\nSET LOCAL extra_float_digits = 3;\nCOMMIT" },
		sub { "BEGIN;\nSET work_mem = '6MB';\nSET LOCAL work_mem = '7MB';\nINSERT INTO t VALUES (1);\nCOMMIT" },
		sub { q{DO $$ BEGIN PERFORM set_config('app.two', 'from a block', false); PERFORM set_config('work_mem', '4444kB', true); END $$} },
		sub { q{DO $$ BEGIN PERFORM set_config('app.one', 'before', false); COMMIT; PERFORM set_config('app.two', 'after', false); END $$} })->();
}

# The same script twice: as it is, and with statements that stop it.
for my $round (1 .. $rounds)
{
	my (@plain, @stops);
	my $stops = 0;
	for my $n (1 .. 6 + rand 8)
	{
		my $set = random_set();
		push @plain, $set;
		push @stops, $set;
		if (rand() < 0.4)
		{
			$stops++;
			push @stops, "SELECT 1/(SELECT count(*) FROM gate WHERE n = $stops)";
		}
		my $look = "INSERT INTO seen SELECT $n, concat_ws('|', $observe)";
		push @plain, $look;
		push @stops, $look;
	}
	$session->run('TRUNCATE seen', 'TRUNCATE gate');
	my $id = revision(join ";\n", @plain);
	my $result = call($id);
	my $expected = join "\n", $session->rows('SELECT n, what FROM seen ORDER BY n, what');
	# a script may fail by itself, as a role that may not do what comes next:
	# then it stops at the same place
	my $state = $result->{state};
	$session->run('TRUNCATE seen', 'DELETE FROM migrate.partial');
	my $other = revision(join ";\n", @stops);
	my $calls = 0;
	for my $gate (1 .. $stops)
	{
		$result = call($other);
		last if $result->{state} ne '22012';
		$calls++;
		call($other) if rand() < 0.3;
		$session->run("INSERT INTO gate VALUES ($gate)");
	}
	$result = call($other) if $result->{state} eq '22012' || !$stops;
	is($result->{state}, $state, "round $round: $stops stops, it ends the same way") or diag $result->{err}, join ";\n", @stops;
	is(join("\n", $session->rows('SELECT n, what FROM seen ORDER BY n, what')), $expected,
		"round $round: after $calls calls the same is seen, each once")
	  or diag join ";\n", @stops;
	$session->run('DELETE FROM migrate.partial', 'DELETE FROM migrate.running');
}

done_testing();
