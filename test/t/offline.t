#!/usr/bin/perl
#
# Offline mode: scripts of migrate.upgrade_sql() and migrate.downgrade_sql(),
# run by psql, leave what migrate.upgrade() and migrate.downgrade() leave.  A
# small graph with a branch, five real projects' histories; scripts that
# change settings and roles, and scripts that psql could stumble over; what
# refuses to run; two at a time.
use strict;
use warnings;

use File::Temp ();
use FindBin;
use IPC::Open3;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $dir = scratch_dir();
my $number = 0;

# ------------------------------------------------------------------ tools ----

# Writes the script of a call to a file, as psql would.
sub write_script
{
	my ($database, $call) = @_;
	my ($status, $out, $err) = run_psql($database, "SELECT migrate.$call");
	die "$call: $err" if $status;
	return spew("$dir/script" . ++$number . '.sql', $out);
}

# Runs a file with psql: (status, output, errors with SQLSTATE).
sub run_file
{
	my ($database, $file, @options) = @_;
	return run_psql($database, '', '-v', 'VERBOSITY=verbose', @options, '-f', $file);
}

sub runs
{
	my ($database, $file, $what, @options) = @_;
	my ($status, undef, $err) = run_file($database, $file, @options);
	return is($status, 0, $what) || diag $err;
}

sub refused
{
	my ($database, $file, $state, $what, @options) = @_;
	my $before = content($database);
	my ($status, undef, $err) = run_file($database, $file, @options);
	isnt($status, 0, "$what: psql stops");
	like($err, qr/ERROR:  $state: /, "$what: $state");
	is(content($database), $before, "$what: nothing is recorded");
	return $err;
}

sub value
{
	my ($database, $sql) = @_;
	my ($status, $out, $err) = run_psql($database, $sql);
	die "$sql: $err" if $status;
	chomp $out;
	return $out;
}

# Version rows, what is applied, and the log, without times.
sub content
{
	my ($database) = @_;
	return join "\n--\n", map { value($database, $_) }
	  'SELECT * FROM migrate.versions ORDER BY 1',
	  'SELECT a.revision, how, r.checksum = a.checksum FROM migrate.applied a'
	    . ' JOIN migrate.revisions r USING (revision) ORDER BY 1',
	  q{SELECT operation, l.revision, l.checksum = r.checksum, versions_before, versions_after,
			session_role, effective_role, duration >= '0'
		FROM migrate.log l JOIN migrate.revisions r USING (revision) ORDER BY id};
}

sub same
{
	my ($one, $other, $what) = @_;
	my ($ours, $theirs) = map { schema_dump($_) } $one, $other;
	unless (ok($ours eq $theirs, "$what: the same schema"))
	{
		spew("$dir/ours",   $ours);
		spew("$dir/theirs", $theirs);
		diag substr +(run_program('diff', '-u', "$dir/theirs", "$dir/ours"))[1], 0, 4000;
	}
	is(content($one), content($other), "$what: the same rows");
	return;
}

# A database with revisions, each [id, head, upgrade, downgrade, options...].
sub with_revisions
{
	my ($name, @revisions) = @_;
	my $session = connect_to(create_database($name));
	for my $revision (@revisions)
	{
		my ($id, $head, $up, $down, @options) = @$revision;
		$session->rows("SELECT migrate.revision('message of $id', "
			  . lit($up) . ', '
			  . lit($down)
			  . ", rev_id => '$id', head => '$head', splice => true"
			  . join('', map { ", $_" } @options)
			  . ')');
	}
	$session->finish;
	return $name;
}

# psql in the background; end_psql waits for it: (status, errors).
sub start_psql
{
	my ($database, $file) = @_;
	my $errors = File::Temp->new;
	open my $in,  '<', '/dev/null' or die $!;
	open my $out, '>', '/dev/null' or die $!;
	my $pid = open3(
		'<&' . fileno($in),
		'>&' . fileno($out),
		'>&' . fileno($errors),
		tool('psql'), '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d',
		$database, '-f', $file);
	return { pid => $pid, errors => $errors };
}

sub end_psql
{
	my ($psql) = @_;
	waitpid $psql->{pid}, 0;
	return ($? >> 8, slurp($psql->{errors}->filename));
}

sub wait_for
{
	my ($database, $condition) = @_;
	for (1 .. 200)
	{
		return 1 if value($database, "SELECT $condition") eq 't';
		select undef, undef, undef, 0.05;
	}
	diag "in vain: $condition";
	return 0;
}

# --------------------------------------------------- branch, merge, roles ----

run_psql('postgres', "DROP ROLE IF EXISTS $_") for qw(offline_deployer offline_owner);
value('postgres', 'CREATE ROLE offline_owner');
value('postgres', 'CREATE ROLE offline_deployer LOGIN IN ROLE offline_owner');

my @example = (
	[ '0001', 'base', 'CREATE TABLE users (id int PRIMARY KEY)', 'DROP TABLE users; -- gone' ],
	# as pg_dump writes it
	[   '0002', '0001',
		"SET statement_timeout = '1h';\nSET client_encoding = 'UTF8';\nSET"
		  . " standard_conforming_strings = on;\nSELECT pg_catalog.set_config('search_path', '',"
		  . " false);\n"
		  . "SET check_function_bodies = false;\nSET xmloption = content;\nSET my.setting ="
		  . " 'left';\nSET row_security = off;\n"
		  . "CREATE TABLE public.dumped (t text DEFAULT 'a\\b''é');\nRESET ALL;\n"
		  . "COMMENT ON TABLE public.dumped IS 'é';\nSET default_tablespace = '';",
		"SELECT pg_catalog.set_config('search_path', '', false);\nDROP TABLE public.dumped;" ],
	# finds its table by the caller's search_path, and leaves another role
	[   '0003', '0002',
		"CREATE TABLE seen AS SELECT name, current_setting(name, true) AS setting"
		  . " FROM unnest('{search_path,statement_timeout,check_function_bodies,my.setting,"
		  . "lock_timeout,work_mem}'::text[]) name;\n"
		  . "SET ROLE offline_owner;\nSET lock_timeout = '3s';\nSET LOCAL work_mem = '9MB'",
		'DROP TABLE seen; SET LOCAL ROLE offline_owner;'
	],
	[
		'b1', '0001', "CREATE TABLE b (n int[], r text DEFAULT current_setting('work_mem'));",
		'DROP TABLE b',
		q{depends_on => '{0002}'},
		q{branch_label => 'b'}
	],
	[
		'b2',
		'b1',
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS \$\$\nDECLARE a int[] := '{1,2,3}';"
		  . " n int := 2;\nBEGIN\n\tRETURN (a[1:n])[2]; -- :n ;\nEND\n\$\$;\n"
		  . "INSERT INTO b SELECT (ARRAY[1,2,3])[1:n] FROM (VALUES (3)) v (n)"
		  . " WHERE ':n' <> E'\\':n;\\\\' /* ; :n -- */",
		'DROP FUNCTION f();' ]);

sub example
{
	my ($name) = @_;
	with_revisions($name, @example);
	value($name, q{SELECT migrate.merge('{0003,b2}', rev_id => '0009')});
	return $name;
}

{
	my $script = example('offline_a');
	my $function = example('offline_b');
	is(value($function, "SET lock_timeout = '5s'; SELECT count(*) FROM migrate.upgrade()"),
		6, 'the function applies six');
	my $file = write_script($script, 'upgrade_sql()');
	is(value($script, 'SELECT count(*) FROM migrate.log'), 0, 'writing the script records nothing');
	my ($status, $out, $err) = run_psql(
		$script,
		'',
		'-v',
		'n=1',
		'-c',
		"SET lock_timeout = '5s'",
		'-f',
		$file,
		'-c',
		"SELECT 'end', current_setting('lock_timeout'), current_setting('search_path'),"
		  . " current_setting('statement_timeout'), current_setting('role'),"
		  . " current_setting('my.setting')"
	);
	is($status, 0, 'psql runs it, with a variable n set') or diag $err;
	like(
		$out,
		qr/^end\|5s\|"\$user", public\|0\|none\|$/m,
		'the session has its own settings again');
	same($script, $function, 'upgrade');
	is( value($script, 'SELECT string_agg(setting, $$|$$ ORDER BY name) FROM seen'),
		value($function, 'SELECT string_agg(setting, $$|$$ ORDER BY name) FROM seen'),
		'no setting reached the next revision');
	is( value($script, 'SELECT n FROM b'),
		value($function, 'SELECT n FROM b'),
		'psql replaced nothing');
	is(value($script, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, 'no lock is left');

	my $again = refused($script, $file, 'MG005', 'the script again');
	like(
		$again,
		qr/starts from base; the current revisions are: "0009"/,
		'it says where the database is');
	like($again, qr/is done already/, 'and that nothing is left to do');
	runs($script, write_script($script, 'upgrade_sql()'), 'a script that has nothing to do');
	same($script, $function, 'and changes nothing');

	# downgrades, in pieces
	for my $target ('0009-1', 'b@0001', '0002', 'base')
	{
		my ($failed) = run_psql($function, "SELECT migrate.downgrade('$target')");
		my ($script_failed) = run_psql($script, "SELECT migrate.downgrade_sql('$target')");
		is($script_failed, $failed, "downgrade to $target: refused, or not, like the function")
		  or next;
		next if $failed;
		runs(
			$script,
			write_script(
				$function,
				"downgrade_sql('"
				  . value($script,
					q{SELECT CASE WHEN count(*) = 1 THEN min(c) ELSE 'heads' END}
					  . q{ FROM migrate.current() c}
				  )
				  . ":$target')"),
			"downgrade to $target, by a range"
		) if value($script, 'SELECT count(*) FROM migrate.current()') == 1;
		runs($script, write_script($script, "downgrade_sql('$target')"), "downgrade to $target")
		  if content($script) ne content($function);
		same($script, $function, "downgrade to $target");
	}
	runs($script, write_script($script, "upgrade_sql('heads')"), 'up again');
	value($function, 'SELECT migrate.upgrade()');
	same($script, $function, 'up again');
	drop_databases();
}

# A deployer who is no superuser, called as a group role; a script leaves a
# role that may not even use our schema.
{
	my @revisions = (
		[
			'r1', 'base',
			'CREATE SCHEMA s; SET ROLE NONE; SET search_path = s;',
			'DROP SCHEMA s CASCADE;'
		],
		[
			'r2', 'r1',
			'CREATE TABLE s.t (n int); RESET ALL; RESET ROLE;',
			'SET ROLE offline_deployer; SET ROLE offline_owner; DROP TABLE s.t'
		]);
	my ($script, $function) = map {
		my $database = with_revisions($_, @revisions);
		value($database,
			"GRANT CREATE ON DATABASE $database TO offline_owner; GRANT USAGE ON SCHEMA migrate"
			  . " TO offline_owner; "
			  . 'GRANT EXECUTE ON FUNCTION migrate.upgrade(text), migrate.downgrade(text),'
			  . ' migrate.begin_script, migrate.record TO offline_owner'
		);
		$database;
	} qw(offline_a offline_b);
	my @as = ('-U', 'offline_deployer', '-c', 'SET ROLE offline_owner');
	for my $direction (qw(upgrade downgrade))
	{
		my $target = $direction eq 'upgrade' ? 'heads' : 'base';
		runs(
			$script,
			write_script($script, "${direction}_sql('$target')"),
			"$direction as a group role", @as);
		my ($status, undef, $err) =
		  run_psql($function, '', @as, '-c', "SELECT migrate.$direction('$target')");
		is($status, 0, "$direction by the function") or diag $err;
		same($script, $function, "$direction as a group role");
	}
	like(
		content($script),
		qr/upgrade\|r2\|t\|\{r1\}\|\{r2\}\|offline_deployer\|offline_owner/,
		'the log says who');
	drop_databases();

	# session authorization, and what the caller may not do
	my $other = with_revisions('offline_c',
		[ 's1', 'base', 'SET SESSION AUTHORIZATION offline_deployer; SET ROLE offline_owner;', '' ],
		[
			's2', 's1',
			'CREATE TABLE whose AS SELECT session_user::text AS s, current_user::text AS c;',
			'DROP TABLE whose;'
		]);
	runs(
		$other,
		write_script($other, 'upgrade_sql()'),
		'SET SESSION AUTHORIZATION in a script',
		'-c', 'SET ROLE pg_monitor',
		'-c', 'RESET ROLE');
	is(value($other, "SELECT s = c AND s = session_user FROM whose"), 't', 'is put back');
	my $file = write_script($other, "downgrade_sql('base')");
	value($other, 'GRANT USAGE ON SCHEMA migrate TO offline_deployer');
	refused($other, $file, '42501', 'whoever may not record', '-U', 'offline_deployer');
	drop_databases();
}

# -------------------------------------------------- another state, edited ----

{
	my @revisions = map {
		[
			"000$_",
			$_ > 1 ? '000' . ($_ - 1) : 'base',
			"CREATE TABLE t$_ (n int);",
			"DROP TABLE t$_;"
		]
	} 1 .. 3;
	my $database = with_revisions('offline_a', @revisions);
	my $up   = write_script($database, "upgrade_sql('0001:0003')");
	my $down = write_script($database, "downgrade_sql('0003:0001')");
	refused($database, $up,   'MG005', 'below the start');
	refused($database, $down, 'MG005', 'a downgrade below its start');
	value($database, 'SELECT migrate.upgrade()');
	refused($database, $up, 'MG005', 'above the start');
	runs($database, $down, 'a downgrade from its start');
	value($database, q{SELECT migrate.edit('0003', upgrade => 'CREATE TABLE t3 (n int, m int);')});
	like(
		refused($database, $up, 'MG007', 'a revision edited since'),
		qr/"0003" was changed after this script was made/,
		'it names the revision');
	value($database, q{SELECT migrate.edit('0003', upgrade => 'CREATE TABLE t3 (n int);')});
	value($database, q{SELECT migrate.edit('0002', transactional => false)});
	refused($database, $up, 'MG007', 'a revision not transactional any more');
	value($database, q{SELECT migrate.edit('0002', transactional => true)});
	runs($database, $up, 'as it was again');
	value($database, q{SELECT migrate.edit('0003', downgrade => 'DROP TABLE public.t3;')});
	refused($database, $down, 'MG007', 'a downgrade edited since');
	value($database, q{SELECT migrate.downgrade('0002')});
	value($database, q{SELECT migrate.drop('0003')});
	value($database, q{SELECT migrate.downgrade('0001')});
	refused($database, $up, 'MG001', 'a revision that is gone');
	value($database,
		q{UPDATE migrate.revisions SET upgrade_sql = 'SELECT 1;' WHERE revision = '0001'});
	refused($database, $up, 'MG007', 'an applied revision edited');
	my ($status, undef, $err) =
	  run_psql($database, '', '-v', 'VERBOSITY=verbose', '-c', 'SELECT migrate.upgrade_sql()');
	like($err, qr/ERROR:  MG007/, 'for which no script is made');
	drop_databases();
}

# --------------------------------------------- by hand, between the steps ----

{
	my @revisions = map {
		[
			"000$_",
			$_ > 1 ? '000' . ($_ - 1) : 'base',
			"CREATE TABLE t$_ (n int);",
			"DROP TABLE t$_;"
		]
	} 1 .. 4;
	my $database = with_revisions('offline_a', @revisions);
	my $script = slurp(write_script($database, 'upgrade_sql()'));
	my $with = sub {
		my ($sql) = @_;
		(my $text = $script) =~ s/(SELECT migrate.record\('upgrade', '0002'\);\n)/$1$sql\n/ or die;
		return spew("$dir/by_hand.sql", $text);
	};
	refused($database, $with->($_), 'MG010', $_)
	  for 'DELETE FROM migrate.versions;',
	  q{UPDATE migrate.versions SET revision = '0001';},
	  'TRUNCATE migrate.versions;',
	  # as many writes as there were
	  q{TRUNCATE migrate.versions; INSERT INTO migrate.versions VALUES ('0001'), ('x'), ('y');}
	    . q{ DELETE FROM migrate.versions WHERE revision > '0001';},
	  'SET LOCAL track_counts = off; DELETE FROM migrate.versions;';
	refused($database, $with->(q{DELETE FROM migrate.revisions WHERE revision = '0004';}),
		'MG001', 'a revision that goes');
	runs(
		$database,
		$with->('SAVEPOINT s; DELETE FROM migrate.versions; ROLLBACK TO s;'),
		'what is rolled back does no harm');
	is( value(
			$database,
			'SELECT string_agg(revision || versions_before::text || versions_after::text, $$,$$'
			  . ' ORDER BY id) FROM migrate.log'
		),
		'0001{}{0001},0002{0001}{0002},0003{0002}{0003},0004{0003}{0004}',
		'the log');
	value($database, q{SELECT migrate.downgrade('base')});
	runs(
		$database,
		$with->(
			q{SAVEPOINT s; CREATE TABLE t3 (n int); SELECT migrate.record('upgrade', '0003');}
			  . q{ ROLLBACK TO s;}
		),
		'a step that is rolled back, and done again');
	is(value($database, 'SELECT migrate.current()'), '0004', 'the row');
	drop_databases();
}

# -------------------------------------- scripts that edit what is stored ----

# Whatever a script of the tables' owner makes of the stored scripts, its own or
# one that runs later: what is recorded is the checksum of what was run, and who
# has called.
{
	my $long = '-- ' . 'long ' x 2000;
	my @revisions = (
		[
			'0001', 'base',
			q{UPDATE migrate.revisions SET upgrade_sql = 'CREATE TABLE forged (n int);'}
			  . q{ WHERE revision = '0001';}
			  . qq{ UPDATE migrate.revisions SET upgrade_sql = 'CREATE TABLE later (n int); $long'}
			  . q{ WHERE revision = '0002';},
			''
		],
		[ '0002', '0001', "CREATE TABLE two (n int); $long", '' ],
		[
			'0003', '0002',
			q{SET application_name = 'forged'; SET SESSION AUTHORIZATION pg_monitor; SELECT 1;},
			''
		]);
	for my $how ('an offline script', 'SELECT migrate.upgrade()', 'CALL migrate.upgrade_stepwise()')
	{
		my $database = with_revisions('offline_a', @revisions);
		my $checksum = sub {
			return value($database,
				"SELECT string_agg(checksum, ' ' ORDER BY revision) FROM migrate.$_[0]"
				  . q{ WHERE revision <= '0002'}
			);
		};
		my $first = $checksum->('revisions');
		if ($how =~ /offline/)
		{
			runs($database, write_script($database, 'upgrade_sql()'), $how);
		}
		else
		{
			value($database, $how);
		}
		my $ran = value($database, q{SELECT to_regclass('later')}) eq 'later' ?
		  (split ' ', $first)[0] . ' ' . (split ' ', $checksum->('revisions'))[1] : $first;
		isnt($checksum->('revisions'), $first, "$how: the stored scripts are others");
		is($checksum->('applied'), $ran, '    what is applied has the checksums of what ran');
		is($checksum->('log'), $ran, '    and so has the log');
		is( value(
				$database,
				q{SELECT count(*) FROM migrate.log WHERE application_name <> 'forged'}
				  . q{ AND session_role <> 'pg_monitor' AND effective_role <> 'pg_monitor'}
			),
			3,
			'    which has who called, not what a script says');
		my (undef, undef, $err) =
		  run_psql($database, '', '-v', 'VERBOSITY=verbose', '-c', 'SELECT migrate.check()');
		like($err, qr/ERROR:  MG007/, '    the edit is noticed');
		drop_databases();
	}
}

# ------------------------------------------------------- failing, options ----

{
	my @revisions = (
		[ '0001', 'base', 'CREATE TABLE one (n int);', 'DROP TABLE one;' ],
		[
			'0002', '0001',
			'CREATE TABLE two (n int); SELECT 1 / (SELECT count(*) FROM one);',
			'DROP TABLE two;'
		],
		[ '0003', '0002', 'CREATE TABLE three (n int);', 'DROP TABLE three;' ]);
	my $database = with_revisions('offline_a', @revisions);
	my $file = write_script($database, 'upgrade_sql()');
	my $before = schema_dump($database);
	refused($database, $file, '22012', 'a script that fails');
	run_file($database, $file, '-v', 'ON_ERROR_STOP=0');
	is(schema_dump($database), $before, 'and leaves nothing, also if psql goes on');
	is(value($database, 'SELECT count(*) FROM migrate.log'), 0, 'nor a row');
	value($database, q{SELECT migrate.edit('0002', upgrade => 'CREATE TABLE two (n int);')});
	$file = write_script($database, 'upgrade_sql()');

	for my $option (
		['-1'],
		[ '-v', 'AUTOCOMMIT=off' ],
		[ '-v', 'ON_ERROR_ROLLBACK=on' ],
		[ '-v', 'ON_ERROR_STOP=0' ],
		value('postgres', 'SHOW server_version_num') >= 190000 ? () :    # it cannot be off
		  ([ '-c', 'SET standard_conforming_strings = off' ]),
		[ '-c', q{SET default_transaction_isolation = 'serializable'} ],
		[ '-c', q{SET search_path = ''} ],
		[ '-c', q{SET search_path = 'pg_catalog'} ])
	{
		my @extra = "@$option" =~ /search_path/ ? ('-c', 'SET search_path = public') : ();
		runs($database, $file, "psql @$option", @$option, @extra);
		is(value($database, 'SELECT string_agg(revision, $$,$$ ORDER BY id) FROM migrate.log'),
			'0001,0002,0003', "psql @$option: three rows");
		value($database, q{SELECT migrate.downgrade('base')});
		value($database, 'TRUNCATE migrate.steps');
	}
	drop_databases();
}

# --------------------------------------------------------- two at a time ----

{
	my $database = with_revisions('offline_a',
		[ '0001', 'base', 'CREATE TABLE one (n int);', 'DROP TABLE one;' ],
		[ '0002', '0001', 'SELECT pg_sleep(1);', '' ]);
	my $file = write_script($database, 'upgrade_sql()');
	my @results = sort { $a->[0] <=> $b->[0] }
	  map { [ end_psql($_) ] } map { start_psql($database, $file) } 1 .. 3;
	is(join(',', map { $_->[0] } @results),
		'0,3,3', 'three at the same time: one applies, the others are refused')
	  or diag explain \@results;
	like($results[$_][1], qr/ERROR:  MG005: .*is done already/s, 'because it is done') for 1, 2;
	is(value($database, 'SELECT count(*) FROM migrate.log'), 2, 'one log row a step');
	value($database, q{SELECT migrate.downgrade('base')});

	# against the function
	my $psql = start_psql($database, $file);
	wait_for($database, q{EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted)});
	is(value($database, 'SELECT count(*) FROM migrate.upgrade()'),
		0, 'the function waits, and finds nothing to do');
	is((end_psql($psql))[0], 0, 'while psql applies');
	drop_databases();
}

# ----------------------------------------------------- not transactional ----

{
	my @revisions = (
		[ '0001', 'base', 'CREATE TABLE one (n int);', 'DROP TABLE one;' ],
		[
			'0002',
			'0001',
			"SET lock_timeout = '1h';\nSET search_path = public,"
			  . " pg_catalog;\nCREATE INDEX CONCURRENTLY i ON one (n);\nSELECT pg_sleep(1);\nVACUUM"
			  . " one",
			'DROP INDEX CONCURRENTLY i -- not in a transaction',
			'transactional => false'
		],
		[
			'0003',
			'0002',
			"CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS l,"
			  . " current_setting('search_path') AS s;",
			'DROP TABLE seen;'
		],
		[
			'0004', '0003',
			"BEGIN;\nCREATE TYPE e AS ENUM ('a');\nCOMMIT;\nALTER TYPE e ADD VALUE 'b'",
			'DROP TYPE e;', 'transactional => false'
		],
		[ '0005', '0004', 'REINDEX INDEX CONCURRENTLY i;', '', 'transactional => false' ]);
	my $database = with_revisions('offline_a', @revisions);
	my $file = write_script($database, 'upgrade_sql()');
	my $psql = start_psql($database, $file);
	wait_for($database,
		q{to_regclass('i') IS NOT NULL AND EXISTS (SELECT FROM pg_stat_activity}
		  . q{ WHERE query ~ 'pg_sleep' AND pid <> pg_backend_pid())}
	);
	is( value(
			$database,
			q{SELECT string_agg(objid::text, ',' ORDER BY objid) FROM pg_locks}
			  . q{ WHERE locktype = 'advisory' AND classid = 1835624306 AND granted}
		),
		'1,2',
		'the lock is held while statements run outside of a transaction');
	my ($status, undef, $err) = run_file($database, $file);
	like($err, qr/ERROR:  MG012/, 'another script is refused at once');
	($status, undef, $err) =
	  run_psql($database, '', '-v', 'VERBOSITY=verbose', '-c', 'SELECT migrate.upgrade()');
	like($err, qr/ERROR:  MG012/, 'and so is the function');
	($status, $err) = end_psql($psql);
	is($status, 0, 'psql runs the script') or diag $err;
	is( value(
			$database,
			q{SELECT string_agg(revision || versions_after::text, ' ' ORDER BY id) FROM migrate.log}
		),
		'0001{0001} 0002{0002} 0003{0003} 0004{0004} 0005{0005}',
		'one row a step');
	is(value($database, q{SELECT duration >= '1 s' FROM migrate.log WHERE revision = '0002'}),
		't', 'with its duration');
	is( value($database, q{SELECT l || ' ' || s FROM seen}),
		'0 "$user", public',
		'settings are put back');
	is(value($database, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, 'no lock is left');
	runs($database, write_script($database, "downgrade_sql('base')"),
		'and down', '-v', 'AUTOCOMMIT=off');
	is( value(
			$database, q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace}
		),
		0,
		'to nothing');
	is(value($database, 'SELECT count(*) FROM migrate.applied'), 0, 'nor is anything recorded');

	# one that fails in the middle: what is done is done, and recorded
	value($database, q{SELECT migrate.edit('0004', upgrade => 'SELECT 1/0;')});
	$file = write_script($database, 'upgrade_sql()');
	($status, undef, $err) = run_psql($database, '', '-v', 'ON_ERROR_STOP=0', '-f', $file);
	is($status >> 8, 3, 'a failing statement stops psql, whatever it was told');
	is(value($database, 'SELECT * FROM migrate.current()'), '0003', 'up to there it is recorded');
	is(value($database, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, 'the lock went with the session');
	value($database, q{SELECT migrate.edit('0004', upgrade => 'SELECT 1;')});
	refused($database, $file, 'MG005', 'the same script again');
	runs($database, write_script($database, 'upgrade_sql()'), 'a new one goes on');
	is(value($database, 'SELECT * FROM migrate.current()'), '0005', 'to the head');

	# one that drops the lock, or that reaches another session through a pooler
	value($database,
		q{SELECT migrate.revision('m', 'SELECT pg_advisory_unlock_all()', '', '0006',}
		  . q{ transactional => false)});
	($status, undef, $err) = run_file($database, write_script($database, 'upgrade_sql()'));
	like($err, qr/ERROR:  MG012: the run lock of migrate was lost/, 'a script that drops the lock');
	is(value($database, 'SELECT * FROM migrate.current()'), '0005', 'is not recorded');
	drop_databases();
}

# ------------------------------------------------- revision by revision ----

# The graph of before, with its settings and roles.
{
	my $script = example('offline_a');
	my $function = example('offline_b');
	value($function, "SET lock_timeout = '5s'; SELECT count(*) FROM migrate.upgrade()");
	my $file = write_script($script, 'upgrade_sql(per_revision => true)');
	my ($status, $out, $err) = run_psql(
		$script, '', '-v', 'n=1', '-c', "SET lock_timeout = '5s'",
		'-f', $file, '-c',
		"SELECT 'end', current_setting('lock_timeout'), current_setting('search_path'),"
		  . " current_setting('role'), current_setting('my.setting')"
	);
	is($status, 0, 'per revision: psql runs it') or diag $err;
	like($out, qr/^end\|5s\|"\$user", public\|none\|$/m, 'per revision: settings are restored');
	same($script, $function, 'per revision: upgrade');
	is( value($script, 'SELECT string_agg(setting, $$|$$ ORDER BY name) FROM seen'),
		value($function, 'SELECT string_agg(setting, $$|$$ ORDER BY name) FROM seen'),
		'per revision: no setting reached the next one');
	is(value($script, 'SELECT count(DISTINCT xmin::text) FROM migrate.steps'),
		6, 'per revision: each is a transaction');
	runs(
		$script,
		write_script($script, "downgrade_sql('0002', per_revision => true)"),
		'per revision: down, with AUTOCOMMIT off',
		'-v', 'AUTOCOMMIT=off');
	value($function, "SELECT migrate.downgrade('0002')");
	same($script, $function, 'per revision: downgrade');
	is(value($script, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, 'per revision: no lock is left');
	drop_databases();
}

# A value of an enum type, used by the next revision.
{
	my $database = with_revisions(
		'offline_a',
		[ '0001', 'base', q{CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE p (m mood);}, '' ],
		[ '0002', '0001', q{ALTER TYPE mood ADD VALUE 'bad';},  '' ],
		[ '0003', '0002', q{INSERT INTO p VALUES ('bad');},      '' ]);
	value($database, q{SELECT migrate.upgrade('0001')});
	my $one = write_script($database, 'upgrade_sql()');
	like(
		slurp($one),
		qr/^-- Revision 0002 adds a value .*\n-- .*55P04.* per_revision => true/m,
		'an enum value: the head says what can happen');
	refused($database, $one, '55P04', 'an enum value in one transaction');
	my (undef, undef, $err) = run_psql($database, 'SELECT migrate.upgrade()');
	like(
		$err,
		qr/unsafe use of new value .*^HINT:  .*CALL migrate\.upgrade_stepwise\(/ms,
		'an enum value: and the function says what to call');
	my $each = write_script($database, 'upgrade_sql(per_revision => true)');
	unlike(slurp($each), qr/55P04/, 'an enum value, per revision: nothing can');
	# statement by statement is not what this client sends
	my ($status, undef, $failed) = run_psql($database, '', '-c', slurp($each));
	is($status, 0, 'an enum value, per revision, as one string') or diag $failed;
	is(value($database, 'SELECT m FROM p'), 'bad', 'an enum value: it is used');
	is(value($database, 'SELECT migrate.current()'), '0003', 'an enum value: all is recorded');
	drop_databases();
}

# What fails in the middle: nothing runs after it, also when psql continues.
for my $stop (0, 1)
{
	my @revisions = map {
		[
			"000$_",
			$_ > 1 ? '000' . ($_ - 1) : 'base',
			"CREATE TABLE t$_ (n int);" . ($_ == 3 ? ' SELECT 1/0;' : ''),
			"DROP TABLE t$_;"
		]
	} 1 .. 5;
	my $database = with_revisions('offline_a', @revisions);
	my $file = write_script($database, 'upgrade_sql(per_revision => true)');
	my $what = "per revision, ON_ERROR_STOP=$stop";
	my ($status, undef, $err) = run_file($database, $file, '-v', "ON_ERROR_STOP=$stop");

	is($status >> 8, $stop ? 3 : 0, "$what: the status");
	like($err, qr/ERROR:  22012: /, "$what: an error");
	my $rest = qr/ERROR:  MG005: this part .*?HINT:  A revision before it failed.*upgrade_sql/s;
	is($err =~ $rest, $stop ? '' : 1, "$what: the rest says why it does nothing");
	is( value(
			$database, q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
			WHERE relnamespace = 'public'::regnamespace}
		),
		't1 t2',
		"$what: what is before it has run");
	is( value($database, q{SELECT string_agg(revision, ' ' ORDER BY id) FROM migrate.log}),
		'0001 0002', "$what: and is recorded");
	is(value($database, 'SELECT count(*) FROM migrate.partial'), 0, "$what: nothing is partial");
	is(value($database, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, "$what: no lock is left");

	like(
		refused($database, $file, 'MG005', "$what: the same file again",
			'-v', "ON_ERROR_STOP=1"),
		qr/The first 2 of its 5 revisions are done, up to "0002"\. Make a script of the rest/,
		"$what: it says what to do");
	run_file($database, $file, '-v', 'ON_ERROR_STOP=0');
	is(value($database, 'SELECT migrate.current()'), '0002', "$what: and does nothing");
	value($database, q{SELECT migrate.edit('0003', upgrade => 'CREATE TABLE t3 (n int);')});
	runs(
		$database,
		write_script($database, 'upgrade_sql(per_revision => true)'),
		"$what: a script of the rest");
	is(value($database, 'SELECT migrate.current()'), '0005', "$what: leads to the head");
	like(refused($database, $file, 'MG005', "$what: the first file"),
		qr/is done already/, "$what: has nothing left to do");
	drop_databases();
}

# What is done by hand between two of its transactions, or is rolled back.
for my $case (
	[ 'COMMIT;', "COMMIT;\nDELETE FROM migrate.versions;", 'MG010', '' ],
	[ 'COMMIT;', "COMMIT;\nUPDATE migrate.versions SET revision = '0001';", 'MG010', '0001' ],
	[ 'COMMIT;', "ROLLBACK;", 'MG005', '0002' ],
	[
		'COMMIT;', "COMMIT;\nINSERT INTO migrate.revisions (revision, message) VALUES ('x', 'm');",
		'', '0005'
	],
	[
		'COMMIT;',
		"COMMIT;\nUPDATE migrate.revisions SET upgrade_sql = 'SELECT 4' WHERE revision = '0004';",
		'MG007', '0003'
	],
	[ 'COMMIT;', "COMMIT;\nSELECT pg_advisory_unlock_all();", 'MG012', '0003' ])
{
	my ($old, $new, $state, $position) = @$case;
	my $database = with_revisions('offline_a',
		map { [ "000$_", $_ > 1 ? '000' . ($_ - 1) : 'base', "SELECT $_;", '' ] } 1 .. 5);
	my $script = slurp(write_script($database, 'upgrade_sql(per_revision => true)'));
	$script =~ s/(record\('upgrade', '0003'\);\n\n)\Q$old\E/$1$new/ or die;
	my ($status, undef, $err) =
	  run_file($database, spew("$dir/by_hand.sql", $script), '-v', 'ON_ERROR_STOP=0');
	my ($first) = $err =~ /ERROR:  (\w+):/;
	is($first // '', $state, "per revision, $new: the error") or diag $err;
	is( value($database, q{SELECT coalesce(string_agg(revision, ' '), '') FROM migrate.versions}),
		$position, '    the position');
	drop_databases();
}

# Nobody comes in between.
{
	my $database = with_revisions(
		'offline_a',
		[ '0001', 'base', 'SELECT 1;', '' ],
		[ '0002', '0001', 'SELECT pg_sleep(2);', '' ],
		[ '0003', '0002', 'SELECT 1;', '' ]);
	my $psql = start_psql($database, write_script($database, 'upgrade_sql(per_revision => true)'));
	wait_for($database, q{EXISTS (SELECT FROM migrate.versions)});
	my ($status, undef, $err) =
	  run_psql($database, '', '-v', 'VERBOSITY=verbose', '-c', 'SELECT migrate.upgrade()');
	like($err, qr/ERROR:  MG012/, 'per revision: the function is refused at once');
	($status, $err) = end_psql($psql);
	is($status, 0, 'per revision: the script ends') or diag $err;
	is(value($database, 'SELECT migrate.current()'), '0003', 'per revision: at the head');
	drop_databases();
}

# -------------------------------------------------------------- histories ----

my $data = ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories';
my @histories = -d $data ? qw(authelia crates_io lumigator navigator_data_in stellar_horizon) : ();

sub convert
{
	my ($name, $to, @options) = @_;
	my ($status, undef, $err) = run_program($^X, "$FindBin::RealBin/../tools/history2files",
		@options, "$data/$name.jsonl", $to);
	die "history2files: $err" if $status;
	chmod 0755, $to;
	return $to;
}

sub with_history
{
	my ($database, $files) = @_;
	create_database($database);
	value($database, 'SELECT count(*) FROM migrate.load_directory(' . lit($files) . ')');
	return $database;
}

# CREATE OR REPLACE TRIGGER
@histories = grep { $_ ne 'crates_io' } @histories
  if value('postgres', 'SHOW server_version_num') < 140000;

for my $name (@histories)
{
	my $plain = convert($name, "$dir/${name}_plain", '--plain', '--empty-skipped');
	my $real  = convert($name, "$dir/${name}_real", '--empty-skipped');
	my $function = with_history('offline_f', $plain);
	my $script   = with_history('offline_s', $plain);
	my $range    = with_history('offline_r', $plain);
	my $count = value($function, q{SELECT count(*) FROM migrate.upgrade('heads')});

	runs(
		$script,
		write_script($script, q{upgrade_sql('heads')}),
		"$name: psql runs the script of $count revisions");
	same($script, $function, "$name: upgrade");

	# by ranges, in two pieces, made where all is applied
	my $middle = value($function,
		'SELECT revision FROM migrate.log ORDER BY id OFFSET ' . int($count / 2) . ' LIMIT 1');
	runs(
		$range,
		write_script($function, "upgrade_sql(':$middle')"),
		"$name: the lower half, by a range");
	runs($range, write_script($function, "upgrade_sql('$middle:')"), "$name: the upper half");
	same($range, $function, "$name: two ranges");

	# not transactional scripts as they are
	my $nontransactional = 0;
	if (slurp_all($real) ne slurp_all($plain))
	{
		my $stepwise = with_history('offline_n', $real);
		$nontransactional = value($stepwise,
			'SELECT count(*) FROM migrate.revisions WHERE NOT upgrade_transactional');
		runs(
			$stepwise,
			write_script($stepwise, q{upgrade_sql('heads')}),
			"$name: with $nontransactional revisions outside of transactions");
		same($stepwise, $function, "$name: outside of transactions");
		is(value($stepwise, q{SELECT count(*) FROM pg_index WHERE NOT indisvalid}),
			0, "$name: all indexes are valid");
	}

	# down as far as the scripts go
	my $target = value($function,
		q{SELECT coalesce((SELECT l.revision FROM migrate.log l JOIN migrate.revisions r USING}
		  . q{ (revision) WHERE r.downgrade_sql IS NULL ORDER BY l.id DESC LIMIT 1), 'base')}
	);
	if ($target ne 'base')
	{
		my (undef, undef, $err) =
		  run_psql($script, q{SELECT migrate.downgrade_sql('base')}, '-v', 'VERBOSITY=verbose');
		like($err, qr/ERROR:  MG006: .*"\Q$target\E"/, "$name: no script goes down past $target");
	}
	my ($failed, undef, $err) =
	  run_psql($function, "BEGIN; SELECT migrate.downgrade('$target'); ROLLBACK",
		'-v', 'VERBOSITY=verbose');
	if ($failed)
	{
		# not on this server
		my ($state) = $err =~ /ERROR:  (\w{5}): /;
		refused(
			$script, write_script($script, "downgrade_sql('$target')"),
			$state, "$name: a downgrade that fails in the function");
		($target) = $err =~ /revision "(.*?)", downgrade script, statement/;
	}
	my $file = write_script($script, "downgrade_sql('$target')");
	runs($script, $file, "$name: psql runs the script down to $target");
	runs(
		$range,
		write_script($script, "downgrade_sql('heads:$target')"),
		"$name: and that of a range");
	value($function, "SELECT count(*) FROM migrate.downgrade('$target')");
	same($script, $function, "$name: downgrade");
	same($range,  $function, "$name: downgrade by a range");
	if ($nontransactional)
	{
		runs(
			'offline_n',
			write_script('offline_n', "downgrade_sql('$target')"),
			"$name: down outside of transactions");
		same('offline_n', $function, "$name: down outside of transactions");
	}
	drop_databases();
}

sub slurp_all
{
	my ($files) = @_;
	return join '', map { slurp($_) } sort glob "$files/*.sql";
}

run_psql('postgres', "DROP ROLE $_") for qw(offline_deployer offline_owner);
done_testing();
