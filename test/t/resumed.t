#!/usr/bin/perl
#
# A script that stopped in its middle and is resumed, in another session: no
# statement that is recorded as done is run again, and what they have set is set
# for the rest.  First the cases, then random scripts of SET, RESET, set_config,
# SET ROLE and the like that stop after every few statements and are resumed in
# sessions that have set something else: what their later statements see is what
# those of the same script see that never stopped.
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
	$session->run(
		sprintf
		  q{SELECT migrate.revision('m', %s, '', '%s', head => 'base', transactional => false)},
		lit($sql), $id);
	return $id;
}

# Calls it in a session of its own, which runs the statements "before" first.
sub call
{
	my ($id, %options) = @_;
	my $other = connect_to($db, %options);
	$other->run(@{ $options{before} // [] });
	my $result = $other->query("CALL migrate.upgrade_stepwise('$id')");
	$other->finish;
	return $result;
}

sub value { return $session->value($_[0]) }

# ------------------------------------------------------ never a second time ----

$session->run(
	'CREATE TABLE t (x int)',
	'CREATE TABLE gate (n int)',
	'CREATE TABLE seen (n int, what text)',
	'GRANT ALL ON t, gate, seen TO PUBLIC',
	'GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC',
	'CREATE SEQUENCE counter');

for my $sets (
	q{WITH i AS (INSERT INTO t VALUES (1) RETURNING x) SELECT set_config('app.x', 'y', false)},
	q{WITH i AS (INSERT INTO t VALUES (1) RETURNING x) SELECT set_config('app.x', x::text, false)}
	  . q{ FROM i},
	q{SELECT set_config('app.x', 'y', false) INTO TABLE made_here; INSERT INTO t VALUES (1)},
	q{SELECT set_config('app.x', nextval('counter')::text, false); INSERT INTO t VALUES (1)},
	q{SET work_mem = '5MB'; INSERT INTO t VALUES (1)})
{
	my $id = revision(
		"$sets;\nSELECT 1/(SELECT count(*)"
		  . " FROM gate);\nINSERT INTO seen VALUES (0, current_setting('app.x', true))"
	);
	$session->run('TRUNCATE t', 'TRUNCATE seen', 'TRUNCATE gate', 'ALTER SEQUENCE counter RESTART');
	is(call($id)->{state}, '22012', "$sets: stops behind it") for 1 .. 3;
	$session->run('INSERT INTO gate VALUES (1)');
	is(call($id)->{state}, '00000', 'and resumes');
	is(value('SELECT count(*) FROM t'), '1', 'it was run once');
	is( value('SELECT what FROM seen') // '',
		$sets =~ /work_mem/ ? '' : $sets =~ /'y'/ ? 'y' : '1',
		'what it had set is set');
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
	my $id =
	  revision(q{SET SESSION AUTHORIZATION migr_one; SET application_name = 'forged'; SELECT 1});
	my $own = value('SELECT SESSION_USER');
	local $ENV{PGAPPNAME} = 'deploy';
	is(call($id)->{state}, '00000', 'a script that says who it is');
	is( value(
			"SELECT concat_ws('|', session_role, effective_role, application_name)"
			  . " FROM migrate.log WHERE revision = '$id'"
		),
		"$own|$own|deploy",
		'the log has who called');
	is(value("SELECT applied_by FROM migrate.status WHERE revision = '$id'"),
		$own, 'and so has the status');
}

{
	my $id = revision(
		q{SET ROLE migr_one; SELECT 1/(SELECT count(*) FROM gate WHERE n = 5); INSERT INTO seen}
		  . q{ SELECT 2, current_user}
	);
	$session->run(
		'GRANT USAGE ON SCHEMA migrate TO migr_two',
		'GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO migr_two',
		'TRUNCATE seen');
	is(call($id)->{state}, '22012', 'a script that has set a role');
	is(value("SELECT settings FROM migrate.partial WHERE revision = '$id'"),
		'{role=migr_one}', 'the record has it');
	my $result = call($id, user => 'migr_two');
	is($result->{state}, '42501', 'a role that may not set it cannot resume the script')
	  or diag $result->{err};
	like($result->{err}, qr/setting "role" as the script has set it before/, 'and is told why');
	is(value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), '0',
		'it holds no lock');
	$session->run('INSERT INTO gate VALUES (5)');
	is(call($id)->{state}, '00000', 'another one can');
	is(value('SELECT what FROM seen'), 'migr_one', 'as the role that was set');
}

{
	# a script of the tables' owner that changes itself
	my $id = revision(
		q{UPDATE migrate.revisions SET upgrade_sql = 'SELECT 1' WHERE revision = 'r0'; SELECT 2} =~
		  s/r0/'r' . ($number + 1)/er);
	is(call($id)->{state}, '00000', 'a script that changes itself');
	is($session->query('SELECT migrate.check()')->{state}, 'MG007', 'is noticed');
	is( value(
			"SELECT count(*) FROM migrate.log l JOIN migrate.applied a USING (revision)"
			  . " WHERE l.checksum <> a.checksum"
		),
		'0',
		'the log and applied agree');
	$session->run(q{SELECT migrate.stamp(ARRAY(SELECT migrate.current()), purge => true)});
}

# ------------------------------------------- whatever the session has set ----

# A script that stops at {1}, {2} and so on until its gate is open, and that notes
# the value of an expression at LOOK.
sub with_gates
{
	my $sql = shift;
	$sql =~ s/\{(\d+)\}/SELECT 1\/(SELECT count(*) FROM gate WHERE n = $1)/g;
	$sql =~ s/LOOK/INSERT INTO seen SELECT 1,/;
	return $sql;
}

# Runs such a script in one session for each list of statements, which sets the
# session up, and opens a gate after each: what it has noted in the end.
sub resumed
{
	my ($sql, @sessions) = @_;
	$session->run('TRUNCATE gate', 'TRUNCATE seen');
	my $id = revision(with_gates($sql));
	for my $n (1 .. @sessions)
	{
		my $result = call($id, before => $sessions[ $n - 1 ]);
		is($result->{state}, $n < @sessions ? '22012' : '00000', "session $n of " . @sessions)
		  or diag $sql, "\n", $result->{err};
		$session->run("INSERT INTO gate VALUES ($n)");
	}
	return join ' ', $session->rows('SELECT what FROM seen ORDER BY n');
}

for my $role (@roles)
{
	$session->run("GRANT USAGE ON SCHEMA migrate TO $role",
		"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO $role");
}

my $default = value('SHOW work_mem');
my $login = value('SELECT session_user');
my ($same, $one) = ([q{SET work_mem = '77MB'}], ['SET ROLE migr_one']);
my $role = 'SET ROLE migr_one; {1}; SELECT 1; {2}; LOOK current_user';
my $value = q{SET work_mem = '77MB'; {1}; SELECT 1; {2}; LOOK current_setting('work_mem')};
my $reset =
  q{SET work_mem = '77MB'; {1}; RESET work_mem; {2}; LOOK current_setting('work_mem')};
my $who = q{LOOK concat_ws(',', session_user, current_user)};

# title, what it sees, script, what its sessions have set
for my $case (
	['a role', 'migr_one', $role, [], [], []],
	['a role that the first session has as well', 'migr_one', $role, $one, [], []],
	['a role that the second session has', 'migr_one', $role, [], $one, []],
	['a role that the last session has', 'migr_one', $role, [], [], $one],
	['no role, where the next session has one', $login,
		'SET ROLE NONE; {1}; LOOK current_user', [], $one],
	['a value that the first session has as well', '77MB', $value, $same, [], []],
	['a value that the second session has', '77MB', $value, [], $same, []],
	['a value, where all sessions have others', '77MB', $value,
		['SET work_mem = 1000'], ['SET work_mem = 2000'], ['SET work_mem = 3000']],
	['a reset one, where the last session has set it', $default, $reset, [], [], $same],
	['a reset one, where the second has as well', $default, $reset, [], $same, $same],
	['one that was only reset', $default,
		q{RESET work_mem; {1}; LOOK current_setting('work_mem')}, [], $same],
	['RESET ALL', '',
		q{RESET ALL; {1}; LOOK current_setting('app.one', true)}, ['SET app.one = 1'], []],
	['what the script leaves alone is the session\'s', '77MB',
		q{{1}; LOOK current_setting('work_mem')}, [], $same],
	['names are equal in all cases', 'a',
		q{SET app.ONE = 'a'; {1}; SELECT 1; {2}; LOOK current_setting('app.one')},
		[], ['SET App.One = 1'], []],
	['a session authorization takes the role away', 'migr_two,migr_two',
		'BEGIN; SET ROLE migr_one; SET SESSION AUTHORIZATION migr_two; COMMIT; {1};' . $who,
		[], []],
	['also where the next session has one', 'migr_one,migr_one',
		'BEGIN; SET SESSION AUTHORIZATION migr_one; SET LOCAL ROLE NONE; COMMIT; {1};' . $who,
		[], ['SET ROLE migr_two']],
	['a session authorization that was reset', "$login,$login",
		'SET SESSION AUTHORIZATION migr_one; RESET SESSION AUTHORIZATION; {1};' . $who,
		[], ['SET SESSION AUTHORIZATION migr_two']],
	['read-only transactions are recorded', 'w',
		'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; {1}; SELECT 1;'
		  . q{SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; LOOK 'w'}, [], []],
	['and so is what may commit in them', 'w',
		'SET default_transaction_read_only = on; DO $$ BEGIN END $$; {1}; VACUUM gate;'
		  . q{SET default_transaction_read_only = off; LOOK 'w'}, [], []],
	['and their end', '', 'SET default_transaction_read_only = on; {1}', [], []])
{
	my ($title, $expected, @run) = @$case;
	is(resumed(@run), $expected, $title);
}

# What is recorded as the script's: in a transaction lock_timeout is ours.
my $block = 'DO $$ BEGIN END $$';
my $both = q{SET search_path = "a,b", 'c"d'; SET SESSION CHARACTERISTICS AS TRANSACTION DEFERRABLE};
my $long = [q{SET lock_timeout = '5min'}];
for my $case (
	['SELECT 1', '{}'],
	[$block, '{}'],
	["$block; SELECT 1", '{}'],
	[$block, '{}', $long],
	['VACUUM gate; SELECT 1', '{}', $long],
	['SET lock_timeout = 0; SELECT 1', '{lock_timeout=0}'],
	["SET lock_timeout = 0; $block", '{lock_timeout=0}'],
	["SET lock_timeout = 0; $block; SELECT 1", '{lock_timeout=0}'],
	['SET lock_timeout = 0; VACUUM gate; VACUUM gate; SELECT 1', '{lock_timeout=0}'],
	["SET lock_timeout = 77; $block; SELECT 1", '{lock_timeout=77}'],
	['DO $$ BEGIN SET lock_timeout = 78; END $$; SELECT 1', '{lock_timeout=78}'],
	['BEGIN; SET LOCAL work_mem = 1000; SET LOCAL ROLE migr_one; COMMIT', '{}'],
	[$both, '{default_transaction_deferrable=on,"search_path=\"a,b\", \"c\"\"d\""}'])
{
	my ($sql, $expected, $before) = @$case;
	my $id = revision("$sql; SELECT 1/0; SELECT 2");
	is(call($id, before => $before)->{state}, '22012', "it stops after $sql");
	is(value("SELECT settings FROM migrate.partial WHERE revision = '$id'"), $expected,
		"what is set by $sql");
}
$session->run('DELETE FROM migrate.partial');

SKIP:
{
	skip 'no rights on parameters', 1 if value('SHOW server_version_num') < 150000;
	my $parameter = 'log_min_duration_statement';
	my $set = "SET ROLE migr_one; SET $parameter = 12345";
	my $look = "INSERT INTO params SELECT current_setting('$parameter')";
	my @user = (user => 'migr_two');
	# since 16 the grant remembers whether it is inherited
	$session->run("GRANT SET ON PARAMETER $parameter TO migr_one",
		'ALTER ROLE migr_two NOINHERIT', 'GRANT migr_one TO migr_two',
		'CREATE TABLE params (what text)', 'GRANT ALL ON params TO PUBLIC', 'TRUNCATE gate');

	is(call(revision("$set; $look; RESET ROLE; SELECT 1"), @user)->{state}, '00000',
		'what a role could set is restored for one that cannot');

	my $id = revision(with_gates("$set; {1}; $look"));
	is(call($id, @user)->{state}, '22012', 'a script that sets what only its role may set');
	$session->run('INSERT INTO gate VALUES (1)', 'TRUNCATE params');
	my $result = call($id, @user);
	is($result->{state}, '00000', 'is resumed, as that role') or diag $result->{err};
	is(value('SELECT what FROM params'), '12345ms', 'with the value');

	$id = revision(with_gates("$set; RESET ROLE; {2}"));
	is(call($id, @user)->{state}, '22012', 'one that stops as another role');
	$result = call($id, @user);
	is($result->{state}, '42501', 'what that role may not set is an error')
	  or diag $result->{err};
	like($result->{err}, qr/HINT:.*migrate\.partial/, 'with a hint');
	$session->run('UPDATE migrate.partial SET settings ='
		  . " array_remove(settings, '$parameter=12345')", 'INSERT INTO gate VALUES (2)');
	is(call($id, @user)->{state}, '00000', 'without the setting it is resumed');
	$session->run('REVOKE migr_one FROM migr_two',
		"REVOKE SET ON PARAMETER $parameter FROM migr_one", 'ALTER ROLE migr_two INHERIT');
}

{
	my $id = revision('CREATE ROLE migr_gone; SET ROLE migr_gone; SELECT 1/0');
	is(call($id)->{state}, '22012', 'a script that has set a role');
	$session->run('DROP ROLE migr_gone');
	my $result = call($id);
	is($result->{state}, '22023', 'the role is gone') or diag $result->{err};
	like($result->{err}, qr/HINT:.*migrate\.partial/, 'the hint says what can be done');
	$session->run('DELETE FROM migrate.partial');
}

# ----------------------------------------------------------------- at random ----

my @settings = qw(work_mem search_path statement_timeout lock_timeout DateStyle app.one app.two
  default_transaction_isolation default_transaction_read_only random_page_cost row_security
  log_min_messages role session_authorization extra_float_digits TimeZone);
my $observe = join ", ", map { "COALESCE(current_setting('$_', true), '')" } @settings;

sub any { return $_[ rand @_ ] }

# One statement that changes the session.
sub random_set
{
	return any(
		sub { "SET work_mem = '" . any('1MB', '77MB', '2000kB') . q{'} },
		sub {
			'SET search_path = '
			  . any('public', 'pg_catalog, public', q{"odd ""name""", public}, q{public, 'x y'});
		},
		sub {
			'SET ' . any('statement_timeout', 'lock_timeout') . ' = ' . any(q{'5min'}, '60000',
			  '0');
		},
		sub {
			q{SELECT set_config('app.}
			  . any('one', 'two') . q{', '}
			  . any('a=b', '', 'x y', q{it''s})
			  . q{', false)};
		},
		sub { 'RESET ' . any('work_mem', 'search_path', 'random_page_cost', 'app.one', 'ALL') },
		sub {
			'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL '
			  . any('REPEATABLE READ', 'READ COMMITTED');
		},
		sub { 'SET random_page_cost = ' . any('1.1', '1.23456789012345', '4') },
		sub { 'SET DateStyle = ' . any(q{'German'}, q{'SQL, DMY'}) },
		sub { 'SET ROLE ' . any('migr_one', 'migr_two', 'NONE') },
		sub { 'SET SESSION AUTHORIZATION ' . any('migr_one', 'DEFAULT') },
		sub { 'SET log_min_messages = error' },
		sub {
			'SET TIME ZONE '
			  . any(q{INTERVAL '-08:30' HOUR TO MINUTE}, q{'Europe/Berlin'}, '3', 'LOCAL');
		},
		sub {
			join ";\nSELECT 1;\n",
			  map { "SET SESSION CHARACTERISTICS AS TRANSACTION READ $_" } qw(ONLY WRITE);
		},
		sub { 'SET LOCAL work_mem = \'9MB\'' },
		sub {
			"BEGIN;\nSET LOCAL work_mem = '8MB';\nSET extra_float_digits = "
			  . any(0, 1, 2)
			  . ";\nSET LOCAL extra_float_digits = 3;\nCOMMIT";
		},
		sub {
			"BEGIN;\nSET work_mem = '6MB';\nSET LOCAL work_mem = '7MB';\nINSERT INTO t"
			  . " VALUES (1);\nCOMMIT";
		},
		sub {
			q{DO $$ BEGIN PERFORM set_config('app.two', 'from a block', false);}
			  . q{ PERFORM set_config('work_mem', '4444kB', true); END $$};
		},
		sub {
			q{DO $$ BEGIN PERFORM set_config('app.one', 'before', false); COMMIT;}
			  . q{ PERFORM set_config('app.two', 'after', false); END $$};
		})->();
}

# What a script begins with, so that nothing of what is looked at is the session's.
sub random_beginning
{
	return (
		'RESET SESSION AUTHORIZATION',
		'SET ROLE NONE',
		'SET log_min_messages = warning',
		q{SET work_mem = '} . any('1MB', '77MB') . q{'},
		any('RESET search_path', 'SET search_path = public'),
		'SET statement_timeout = 0',
		'SET lock_timeout = 0',
		'SET DateStyle = ' . any('DEFAULT', q{'German'}),
		q{SET app.one = ''},
		q{SET app.two = 'a=b'},
		'RESET default_transaction_isolation',
		'SET default_transaction_read_only = off',
		'SET random_page_cost = ' . any('4', '1.1'),
		'SET row_security = on',
		'RESET extra_float_digits',
		'SET TIME ZONE ' . any(q{'UTC'}, 'DEFAULT'));
}

# What a session may have set by itself when the script is resumed in it.
sub random_session
{
	my $script = shift;
	my @own = map {
		any(q{SET work_mem = '77MB'}, 'SET search_path = public',
			'SET random_page_cost = 1.1', q{SET app.one = ''}, q{SET app.two = 'its own'},
			q{SET DateStyle = 'German'}, 'SET row_security = off', 'SET extra_float_digits = 2',
			q{SET default_transaction_isolation = 'repeatable read'}, q{SET TIME ZONE 'UTC'})
	} 1 .. rand 4;
	# a role that may not set again what the script has set before another login
	push @own, 'SET ROLE ' . any(@roles)
	  if rand() < 0.3 && $script !~ /SESSION AUTHORIZATION migr/;
	return \@own;
}

# The same script twice: as it is, and with statements that stop it.
for my $round (1 .. $rounds)
{
	my @plain = random_beginning();
	my @stops = @plain;
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
		$result = call($other, before => random_session("@stops"));
		last if $result->{state} ne '22012';
		$calls++;
		call($other, before => random_session("@stops")) if rand() < 0.3;
		$session->run("INSERT INTO gate VALUES ($gate)");
	}
	$result = call($other, before => random_session("@stops"))
	  if $result->{state} eq '22012' || !$stops;
	is($result->{state}, $state, "round $round: $stops stops, it ends the same way")
	  or diag $result->{err}, join ";\n", @stops;
	is(join("\n", $session->rows('SELECT n, what FROM seen ORDER BY n, what')),
		$expected, "round $round: after $calls calls the same is seen, each once")
	  or diag join ";\n", @stops;
	$session->run('DELETE FROM migrate.partial', 'DELETE FROM migrate.running');
}

done_testing();
