#!/usr/bin/perl
#
# Where runs that commit step by step run: with other extensions loaded, event
# triggers, as a role with few rights, behind PgBouncer, in all protocols and
# isolation levels, under hostile settings; where they refuse to; what scripts
# may do in them; and what others see of them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $dir = scratch_dir();
chomp(my $libraries = `@{[ $ENV{PG_CONFIG} // 'pg_config' ]} --pkglibdir`);
my @preload = grep { -e "$libraries/$_.so" } qw(pg_stat_statements auto_explain);
my $server = MigrateServer->create(settings => [
	'max_connections = 60', 'max_prepared_transactions = 2', 'jit = off', 'wal_level = logical',
	"shared_preload_libraries = '" . join(',', @preload) . "'" ])->use;
my $version = connect_to('postgres')->value('SHOW server_version_num');
my $admin = connect_to('postgres');

# Whether a session comes to what is said of it in pg_stat_activity.
sub activity
{
	my ($query, $what) = @_;
	return wait_until(sub {
		$admin->value('SELECT count(*) FROM pg_stat_activity WHERE query LIKE ' . lit($query)
			  . " AND pid <> pg_backend_pid() AND state = 'active' AND ($what)") > 0;
	});
}

# ----------------------------------------------------------- a whole plan ----

# Revisions of both kinds, with all that a script may hold; each statement
# counts.  All names are qualified, so that it runs with any search_path.
my @plan = (
	[ 'p1', 1, <<'UP', <<'DOWN' ],
CREATE TABLE public.item (id int PRIMARY KEY, name text,
  at timestamptz DEFAULT '2026-02-03 04:05:06+00');
INSERT INTO public.item (id, name) SELECT i, 'it''s \ ' || i FROM generate_series(1, 300) i;
INSERT INTO public.runs VALUES ('p1 1');
UP
INSERT INTO public.runs VALUES ('-p1 1');
DROP TABLE public.item;
DOWN
	[ 'p2', 0, <<'UP', <<'DOWN' ],
INSERT INTO public.runs VALUES ('p2 1');
CREATE INDEX CONCURRENTLY item_name ON public.item (name);
BEGIN;
INSERT INTO public.runs VALUES ('p2 2');
ALTER TABLE public.item ADD more int;
COMMIT;
VACUUM (ANALYZE) public.item;
DO $$
BEGIN
  FOR i IN 0 .. 2 LOOP
    UPDATE public.item SET more = i WHERE id % 3 = i;
    INSERT INTO public.runs VALUES ('p2 batch ' || i);
    COMMIT;
  END LOOP;
END $$;
REINDEX INDEX CONCURRENTLY public.item_name;
INSERT INTO public.runs VALUES ('p2 3');
UP
DROP INDEX CONCURRENTLY public.item_name;
INSERT INTO public.runs VALUES ('-p2 1');
ALTER TABLE public.item DROP more;
DOWN
	[ 'p3', 1, <<'UP', <<'DOWN' ],
CREATE FUNCTION public.p3() RETURNS int LANGUAGE sql AS $$ SELECT 3 $$;
INSERT INTO public.runs SELECT 'p3 ' || public.p3();
UP
DROP FUNCTION public.p3;
INSERT INTO public.runs VALUES ('-p3 1');
DOWN
	[ 'p4', 0, <<'UP', <<'DOWN' ]);
CREATE UNIQUE INDEX CONCURRENTLY ON public.item (more, id);
UP
DROP INDEX CONCURRENTLY public.item_more_id_idx;
DOWN
my $up = 'p1 1|p2 1|p2 2|p2 3|p2 batch 0|p2 batch 1|p2 batch 2|p3 3';
my $down = '-p1 1|-p2 1|-p3 1';

# Stores it in a database.
sub store_plan
{
	my $session = shift;
	$session->run('CREATE TABLE public.runs (what text)');
	for my $revision (@plan)
	{
		my ($id, $transactional, $upgrade, $downgrade) = @$revision;
		$session->run(
			'SELECT migrate.revision('
			  . join(', ',
				map({ lit($_) } "plan $id", $upgrade, $downgrade, $id),
				'transactional => ' . ($transactional ? 'true' : 'false'))
			  . ')');
	}
	return $session;
}

# What is there: "up", "down", or what is wrong.
sub state_of
{
	my $session = shift;
	my $runs = join '|', $session->rows('SELECT what FROM public.runs ORDER BY what COLLATE "C"');
	my $indexes = join '|', $session->rows(
		q{SELECT c.relname || ':' || i.indisvalid
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		JOIN pg_class t ON t.oid = i.indrelid WHERE t.relname = 'item'
		ORDER BY c.relname COLLATE "C"});
	my $applied = join '|',
	  $session->rows('SELECT revision FROM migrate.applied ORDER BY revision COLLATE "C"');
	my $logged = $session->value('SELECT count(*) FROM migrate.log');
	my $left = $session->value(
		'SELECT (SELECT count(*) FROM migrate.partial) + (SELECT count(*) FROM migrate.running)');
	my $locks = $session->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'});
	return 'up'
	  if "$runs;$indexes;$applied;$logged;$left;$locks" eq
	  "$up;item_more_id_idx:true|item_name:true|item_pkey:true|;p1|p2|p3|p4;4;0;0" =~ s/\|;/;/r;
	return 'down' if "$runs;$indexes;$applied;$logged;$left;$locks" eq "$down;;;4;0;0";
	return "runs $runs; indexes $indexes; applied $applied; log $logged; left $left; locks $locks";
}

sub forget
{
	my $session = shift;
	$session->run('TRUNCATE public.runs', 'TRUNCATE migrate.steps');
	return;
}

# Runs it up and down again with $call, which gets the CALL and returns a
# result; look is a session that has no part in it.
sub whole
{
	my ($look, $what, $call) = @_;
	for my $way (
		[ 'up', q{CALL migrate.upgrade_stepwise('head')} ],
		[ 'down', q{CALL migrate.downgrade_stepwise('base')} ])
	{
		forget($look);
		my $result = $call->($way->[1]);
		is($result->{state}, '00000', "$what: $way->[0]") or diag $result->{err};
		is(state_of($look), $way->[0], '    each statement ran once, all is recorded')
		  or diag $result->{err};
	}
	return;
}

# What differs between two lists of settings.
sub changes
{
	my ($before, $after) = @_;
	my %was = map { $_ => 1 } @$before;
	my %is = map { $_ => 1 } @$after;
	return join "\n", (map { "- $_" } grep { !$is{$_} } @$before),
	  map { "+ $_" } grep { !$was{$_} } @$after;
}
my $settings = q{SELECT name, setting, source FROM pg_catalog.pg_settings ORDER BY 1};

# Those of a session that has loaded the libraries that it needs.
sub known_settings
{
	my $session = shift;
	$session->run('SELECT migrate.current()', 'DO $$ BEGIN END $$');
	return $session->rows($settings);
}

# A new session with settings, for whole.
sub with
{
	my ($database, %settings) = @_;
	my $user = delete $settings{user};
	my $options = join ' ',
	  map { (my $value = $settings{$_}) =~ s/([\\ ])/\\$1/g; "-c $_=$value" } sort keys %settings;
	return connect_to($database, user => $user, options => $options);
}

my $look = store_plan(connect_to(create_database('plan')));
whole($look, 'plain', sub { connect_to('plan')->query(shift) });

# ------------------------------------------------------ other extensions ----

SKIP:
{
	skip 'the server has no pg_stat_statements and auto_explain', 12 if @preload < 2;
	$look->run('CREATE EXTENSION pg_stat_statements');
	my @explain = (
		'auto_explain.log_min_duration'      => 0,
		'auto_explain.log_nested_statements' => 'on',
		'auto_explain.log_analyze'           => 'on',
		'auto_explain.log_verbose'           => 'on');
	for my $track (qw(all top none))
	{
		$look->run('SELECT pg_stat_statements_reset()');
		my $runner = with('plan', 'pg_stat_statements.track' => $track, @explain);
		whole(
			$look,
			"pg_stat_statements.track = $track and auto_explain",
			sub { $runner->query(shift) });
		my %calls =
		  map { split /\|/ }
		  $look->rows(
			q{SELECT regexp_replace(query, '\s.*', '') || substr(md5(query), 1, 4), calls}
			  . q{ FROM pg_stat_statements WHERE query LIKE 'CREATE INDEX%item_name%' OR query LIKE}
			  . q{ 'INSERT INTO public.runs%'}
		  );
		my @queries =
		  $look->rows(q{SELECT replace(query, chr(10), ' ') FROM pg_stat_statements ORDER BY 1});
		my @ours = grep { /CONCURRENTLY item_name|INSERT INTO public\.runs/ } @queries;
		if ($track eq 'all')
		{
			is( scalar(
					grep { $_ eq 'CREATE INDEX CONCURRENTLY item_name ON public.item (name)' }
					  @queries),
				1,
				'    the statements are seen, each as itself');
			cmp_ok(scalar(grep { /^INSERT INTO public\.runs VALUES \(\$1\)$/ } @queries),
				'>', 0, '    with constants taken out')
			  or diag join "\n", @queries;
		}
		else
		{
			is(join("\n", @ours), '', '    the statements of the scripts are not seen');
		}
	}
	like($server->log_text, qr/Query Text:/, 'auto_explain wrote something');
	$look->run('DROP EXTENSION pg_stat_statements');
}

# Event triggers that write, of all kinds.
{
	$look->run('CREATE TABLE public.events (event text, tag text)');
	$look->run(
		q{CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN}
		  . q{ INSERT INTO public.events VALUES (tg_event, tg_tag); END $$}
	);
	for my $event (qw(ddl_command_start ddl_command_end sql_drop table_rewrite))
	{
		# the server itself refuses DROP INDEX CONCURRENTLY behind a trigger that writes
		my $when =
		  $event ne 'ddl_command_start'
		  ? ''
		  : "WHEN tag IN ('CREATE INDEX', 'CREATE TABLE', 'ALTER TABLE'"
		  . ($version >= 170000 ? q{, 'REINDEX'} : '') . ')';
		$look->run(
			"CREATE EVENT TRIGGER note_$event ON $event $when EXECUTE FUNCTION public.note()");
	}
	my $runner = connect_to('plan');
	whole($look, 'event triggers that write', sub { $runner->query(shift) });
	is( join(
			' ',
			$look->rows(
				q{SELECT event || ':' || tag FROM public.events WHERE tag ~ 'INDEX' GROUP BY 1}
				  . q{ ORDER BY 1}
			)),
		'ddl_command_end:CREATE INDEX ddl_command_end:DROP INDEX'
		  . ($version >= 170000 ? ' ddl_command_end:REINDEX' : '')
		  . ' ddl_command_start:CREATE INDEX'
		  . ($version >= 170000 ? ' ddl_command_start:REINDEX' : '')
		  . ' sql_drop:DROP INDEX',
		'    they see the builds');
	is( join(' ',
			$look->rows(q{SELECT DISTINCT tag FROM public.events WHERE tag ~ 'REVIS|PARTIAL|LOG'})),
		'',
		'    and nothing of ours');
	# one that refuses
	$look->run(
		q{CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$}
		  . q{ BEGIN RAISE 'no index today' USING ERRCODE = 'XX123'; END $$},
		q{CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN tag IN ('CREATE INDEX') EXECUTE}
		  . q{ FUNCTION public.refuse()}
	);
	forget($look);
	my $result = $runner->query(q{CALL migrate.upgrade_stepwise('head')});
	is($result->{state}, 'XX123', 'an event trigger that refuses: its error comes');
	like(
		$result->{err},
		qr/^CONTEXT:  (?:.*\n)*revision "p2", upgrade script, statement 2, line 2$/m,
		'    with the place');
	$look->run('DROP EVENT TRIGGER refuse');
	is($runner->query(q{CALL migrate.upgrade_stepwise('head')})->{state},
		'00000', '    and without it the run goes on');
	is(state_of($look), 'up', '    to its end');
	$look->run("DROP EVENT TRIGGER note_$_")
	  for qw(ddl_command_start ddl_command_end sql_drop table_rewrite);
	$runner->run(q{CALL migrate.downgrade_stepwise('base')});
}

# ---------------------------------------------------- a role with few rights ----

{
	$admin->run('CREATE ROLE deployer LOGIN', 'CREATE ROLE reader LOGIN');
	my $denied = connect_to('plan', user => 'deployer');
	is($denied->query(q{CALL migrate.upgrade_stepwise()})->{state},
		'42501', 'a role without rights: refused by the schema');
	$look->run('GRANT USAGE ON SCHEMA migrate TO deployer, reader');
	is($denied->query(q{CALL migrate.upgrade_stepwise()})->{state},
		'42501', '    with USAGE: refused by the procedure');
	is($denied->query(q{SELECT migrate.resume('p1', 'done')})->{state},
		'42501', '    resume is refused, too');
	is($denied->query(q{SELECT * FROM migrate.partial})->{state},
		'42501', '    the tables are, too');
	$look->run(
		'GRANT EXECUTE ON PROCEDURE migrate.upgrade_stepwise, migrate.downgrade_stepwise'
		  . ' TO deployer',
		'GRANT USAGE, CREATE ON SCHEMA public TO deployer',
		'GRANT SELECT, INSERT ON public.runs TO deployer',
		'GRANT SELECT ON migrate.progress TO reader');
	my $runner = connect_to('plan', user => 'deployer');
	whole($look, 'a role with the documented grants', sub { $runner->query(shift) });
	forget($look);
	$runner->run(q{CALL migrate.upgrade_stepwise('head')});
	is(join(' ', $look->rows('SELECT DISTINCT session_role, effective_role FROM migrate.log')),
		'deployer|deployer', '    the log has it');
	is( join(
			' ',
			$look->rows(
				q{SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname LIKE 'item%'})),
		'deployer',
		'    what it made is its own');
	$runner->run(q{CALL migrate.downgrade_stepwise('base')});
	# as a member that has SET ROLE
	$admin->run('CREATE ROLE member LOGIN IN ROLE deployer');
	my $member = connect_to('plan', user => 'member');
	$member->run('SET ROLE deployer');
	whole(
		$look,
		'a member after SET ROLE',
		sub {
			my $result = $member->query(shift);
			is($member->value('SELECT session_user || current_user'),
				'memberdeployer', '    still in its role');
			$result;
		});
	$_->finish for $denied, $runner, $member;
}

# ------------------------------------------------------------ settings ----

$look->run('CREATE SCHEMA evil');
$look->run(@$_)
  for (
	[
		map { "CREATE TABLE evil.$_ (revision int)" }
		  qw(versions revisions applied partial running log pg_class pg_index pg_locks)
	],
	[
		'CREATE FUNCTION evil.eq(text, text) RETURNS bool LANGUAGE plpgsql AS $$'
		  . ' BEGIN RAISE $x$evil was called$x$; END $$'
	],
	['CREATE OPERATOR evil.= (FUNCTION = evil.eq, LEFTARG = text, RIGHTARG = text)'],
	[
		map {
			"CREATE FUNCTION evil.$_ LANGUAGE plpgsql AS \$\$"
			  . " BEGIN RAISE 'evil was called'; END \$\$"
		} 'clock_timestamp() RETURNS timestamptz',
		'now() RETURNS timestamptz',
		'sha256(bytea) RETURNS bytea',
		'encode(bytea, text) RETURNS text',
		'unnest(anyarray) RETURNS SETOF anyelement'
	]);

my %hostile = (
	'repeatable read'             => { default_transaction_isolation => 'repeatable read' },
	'serializable'                => { default_transaction_isolation => 'serializable' },
	'serializable and deferrable' =>
	  { default_transaction_isolation => 'serializable', default_transaction_deferrable => 'on' },
	$version >= 190000 ? () :    # strings cannot be read in another way
	  (
		'strings off' => {
			standard_conforming_strings => 'off',
			escape_string_warning       => 'on',
			backslash_quote             => 'off'
		}),
	'formats' => {
		DateStyle             => 'German',
		IntervalStyle         => 'sql_standard',
		TimeZone              => 'Asia/Kolkata',
		bytea_output          => 'escape',
		extra_float_digits    => -5,
		quote_all_identifiers => 'on'
	},
	'no search_path'             => { search_path => '""' },
	'a hostile search_path'      => { search_path => 'evil, pg_catalog, public, pg_temp' },
	'row_security off and so on' => {
		row_security             => 'off',
		check_function_bodies    => 'off',
		transform_null_equals    => 'on',
		array_nulls              => 'off',
		session_replication_role => 'replica'
	},
	'small memory' => {
		work_mem             => '64kB',
		maintenance_work_mem => '1MB',
		temp_buffers         => '100',
		plan_cache_mode      => 'force_generic_plan'
	},
	'timeouts that are long enough' => {
		statement_timeout                   => '100s',
		lock_timeout                        => '50s',
		idle_in_transaction_session_timeout => '50ms',
		$version >= 140000 ? (idle_session_timeout => '50s') : ()
	},
	'messages' => {
		client_min_messages     => 'debug1',
		log_min_messages        => 'debug1',
		'migrate.step_messages' => 'log',
		log_lock_waits          => 'off',
		log_statement           => 'all'
	},
	'planner' => {
		enable_seqscan                                                        => 'off',
		enable_indexscan                                                      => 'off',
		max_parallel_workers_per_gather                                       => 4,
		($version >= 160000 ? 'debug_parallel_query' : 'force_parallel_mode') => 'on'
	});
for my $what (sort keys %hostile)
{
	my $runner = with('plan', %{ $hostile{$what} });
	my @before = known_settings($runner);
	whole($look, $what, sub { $runner->query(shift) });
	is(changes(\@before, [ $runner->rows($settings) ]), '', '    and all settings are as before');
	$runner->finish;
}
{
	# set by the session itself, and not when it connects
	my $runner = connect_to('plan');
	$runner->run(
		'SELECT set_config(name, value, false) FROM (VALUES ($$DateStyle$$, $$German$$),'
		  . ' ($$search_path$$, $$evil, pg_catalog$$), ($$default_transaction_isolation$$,'
		  . ' $$serializable$$), ($$my.own$$, $$x$$), ($$lock_timeout$$, $$7s$$)) v(name, value)'
	);
	my @before = known_settings($runner);
	whole($look, 'set by the session', sub { $runner->query(shift) });
	is(changes(\@before, [ $runner->rows($settings) ]), '', '    and all settings are as before');
	is($runner->value('SHOW my.own'), 'x', '    one of no known name, too');
}
{
	my $reader = with('plan', default_transaction_read_only => 'on');
	forget($look);
	my $result = $reader->query('CALL migrate.upgrade_stepwise()');
	is($result->{state}, '25006', 'default_transaction_read_only: refused') or diag $result->{err};
	like(
		$result->{message},
		qr/cannot execute migrate\.upgrade_stepwise\(\) in a read-only transaction/,
		'    and says what');
	is( $look->value(
			'SELECT (SELECT count(*) FROM migrate.log) + (SELECT count(*) FROM public.runs)'),
		0,
		'    nothing was done');
	is($look->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		0, '    no lock is left');
	is($reader->query(q{CALL migrate.upgrade_stepwise('base')})->{state},
		'00000', '    with nothing to do it may be called');
	ok($reader->alive, '    the session goes on');
}

# ------------------------------------------------------- where it refuses ----

my $call = 'CALL migrate.upgrade_stepwise()';
sub refused
{
	my ($what, $result) = @_;
	is($result->{state}, '25001', "$what: refused") or diag $result->{err};
	my $where = 'inside a transaction block, function or procedure';
	like(
		$result->{err},
		qr/ERROR:  25001: migrate\.(?:up|down)grade_stepwise\(\) cannot run $where$/m,
		'    says why');
	my $hint = 'HINT:  CALL it by itself, outside of BEGIN ... COMMIT; '
	  . 'a client that begins transactions by itself has to be set to autocommit.';
	like($result->{err}, qr/^\Q$hint\E$/m, '    and what to do');
	is( $look->value(
			'SELECT (SELECT count(*) FROM migrate.log) + (SELECT count(*) FROM public.runs)'),
		0,
		'    nothing was done');
	return;
}
{
	forget($look);
	my $session = connect_to('plan');
	$session->run(
		"CREATE PROCEDURE public.calls() LANGUAGE plpgsql AS \$\$ BEGIN $call; END \$\$",
		"CREATE PROCEDURE public.calls_after_commit() LANGUAGE plpgsql AS \$\$"
		  . " BEGIN COMMIT; $call; END \$\$",
		"CREATE PROCEDURE public.calls_in_sql() LANGUAGE sql AS \$\$ $call \$\$",
		"CREATE PROCEDURE public.calls_caught() LANGUAGE plpgsql AS \$\$"
		  . " BEGIN $call; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$",
		"CREATE PROCEDURE public.calls_down() LANGUAGE plpgsql AS \$\$"
		  . " BEGIN EXECUTE 'CALL migrate.downgrade_stepwise(''base'')'; END \$\$",
		"CREATE FUNCTION public.function_calls() RETURNS void LANGUAGE plpgsql AS \$\$"
		  . " BEGIN $call; END \$\$"
	);
	for my $how (
		"CALL public.calls()",
		"CALL public.calls_after_commit()",
		"CALL public.calls_in_sql()",
		"CALL public.calls_caught()",
		"CALL public.calls_down()",
		"SELECT public.function_calls()",
		"DO \$\$ BEGIN $call; END \$\$",
		"DO \$\$ BEGIN COMMIT; $call; END \$\$",
		"DO \$\$ BEGIN EXECUTE '$call'; END \$\$")
	{
		refused($how, $session->query($how));
	}
	for my $begin ('BEGIN', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'START TRANSACTION READ ONLY')
	{
		$session->run($begin);
		refused($begin, $session->query($call));
		is($session->query('SELECT 1')->{state},
			'25P02', '    the transaction has failed, as with any error');
		$session->run('ROLLBACK');
	}
	$session->run('BEGIN', 'SAVEPOINT s');
	refused('a savepoint', $session->query($call));
	$session->run('ROLLBACK TO s', 'COMMIT');
	$session->query('\set AUTOCOMMIT off');
	refused('AUTOCOMMIT off', $session->query($call));
	$session->run('ROLLBACK');
	$session->query('\set AUTOCOMMIT on');
	ok($session->alive, 'refused: the session goes on');
	for my $together ("SELECT 1; $call", "$call; SELECT 1", "BEGIN; $call; COMMIT", "$call; $call")
	{
		my ($status, undef, $err) = run_psql('plan', $together, '-v', 'VERBOSITY=verbose');
		refused("psql -c '$together'",
			{ state => $err =~ /ERROR:  (\w{5}):/ ? $1 : '00000', err => $err });
	}
	{
		my ($status, undef, $err) = run_psql('plan', $call, '-1', '-v', 'VERBOSITY=verbose');
		refused('psql -1', { state => $err =~ /ERROR:  (\w{5}):/ ? $1 : '00000', err => $err });
	}
	is($session->query('SELECT migrate.upgrade_stepwise()')->{state},
		'42809', 'SELECT of the procedure is the server\'s own error');
  SKIP:
	{
		skip 'pgbench of 13 has no pipelines', 4 if $version < 140000;
		my $pipeline = spew("$dir/pipeline.sql",
			"\\startpipeline\nINSERT INTO public.runs VALUES ('first');\n$call;\n\\endpipeline\n");
		my ($status, $out, $err) =
		  run_program(tool('pgbench'), '-n', '-M', 'extended', '-t', 1, '-f', $pipeline, 'plan');
		like(
			$err,
			qr/migrate\.upgrade_stepwise\(\) cannot run inside a transaction block/,
			'in a pipeline: refused');
		is($look->value('SELECT count(*) FROM public.runs'),
			0, '    what came before it is rolled back');
		is($look->value('SELECT count(*) FROM migrate.log'), 0, '    nothing was done');
		is($look->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
			0, '    no lock is left');
	}
	$session->run("DROP PROCEDURE $_")
	  for map { "public.$_" } qw(calls calls_after_commit calls_in_sql calls_caught calls_down);
}

# ------------------------------------------------- the extended protocol ----

for my $mode (qw(simple extended prepared))
{
	my $script = spew("$dir/bench.sql",
		"CALL migrate.upgrade_stepwise('head');\nCALL migrate.downgrade_stepwise('base');\n");
	forget($look);
	my ($status, $out, $err) =
	  run_program(tool('pgbench'), '-n', '-M', $mode, '-t', 3, '-f', $script, 'plan');
	is($status, 0, "pgbench -M $mode, up and down three times") or diag $err;
	is($look->value('SELECT count(*) FROM migrate.log'), 3 * 8, '    every step is in the log');
	is($look->value('SELECT count(*) FROM public.runs'), 3 * 11, '    every statement ran');
	is($look->value('SELECT count(*) FROM migrate.applied'), 0, '    nothing is applied now');
	# arguments as parameters
	spew($script, "CALL migrate.upgrade_stepwise(:up);\n");
	forget($look);
	($status, $out, $err) =
	  run_program(tool('pgbench'), '-n', '-M', $mode, '-t', 2, '-D',
		q{up=} . ($mode eq 'simple' ? q{'head'} : 'head'),
		'-f', $script, 'plan');
	is($status, 0, '    with a parameter') or diag $err;
	is(state_of($look), 'up', '    it is the same');
	connect_to('plan')->run(q{CALL migrate.downgrade_stepwise('base')});
}
{
	my $session = connect_to('plan');
	$session->run(q{PREPARE moving(text) AS SELECT 1});
	# a client's own cursors and temporary tables outlast it
	$session->run(
		'DECLARE held CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 10) i',
		'CREATE TEMP TABLE temporary (n int)',
		'INSERT INTO temporary VALUES (7)',
		'LISTEN something',
		'SELECT pg_advisory_lock(99)',
		'SELECT pg_advisory_lock(1835624306, 3)',
		'FETCH 2 FROM held');
	my $result = $session->query(q{CALL migrate.upgrade_stepwise('head')});
	is($result->{state}, '00000', 'a session that has more than that') or diag $result->{err};
	is(join(' ', $session->rows('FETCH 2 FROM held')), '3 4', '    its cursor goes on');
	is($session->value('SELECT n FROM temporary'), 7, '    its temporary table is there');
	is($session->value('EXECUTE moving(1)'), 1, '    its prepared statement, too');
	is($session->value(q{SELECT count(*) FROM pg_listening_channels()}), 1, '    it listens still');
	is($session->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		2, '    and has its own advisory locks');
	$session->query(
		q{SELECT migrate.revision('fails', 'SELECT 1; SELECT 1 / 0', '', 'p5',}
		  . q{ transactional => false)}
	);
	is($session->query(q{CALL migrate.upgrade_stepwise('head')})->{state}, '22012', '    an error');
	is($session->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		2, '    takes none of them');
	is(join(' ', $session->rows('FETCH 2 FROM held')), '5 6', '    nor the cursor');
	$session->run(
		q{SELECT migrate.stamp('p4', purge => true)},
		q{SELECT migrate.drop('p5')},
		'SELECT pg_advisory_unlock_all()',
		q{CALL migrate.downgrade_stepwise('base')});
}

# ------------------------------------------------------- what scripts do ----

my $session = store_plan(connect_to(create_database('scripts'), messages => 'notice'));
my $other = connect_to('scripts');
$session->run(q{CALL migrate.upgrade_stepwise()});
my $number = 0;

# A new revision with such a script, and what a call of it says.  It is gone
# again afterwards, unless it is kept.
sub try
{
	my ($script, %options) = @_;
	my $id = 'try' . ++$number;
	$session->run('TRUNCATE public.runs') unless $options{no_truncate};
	my $stored = $session->query(
		'SELECT migrate.revision('
		  . join(', ',
			map({ lit($_) } $id, $script, $options{down} // 'SELECT 1', $id),
			'transactional => ' . ($options{pieces} ? 'false' : 'true'))
		  . ')');
	die $stored->{err} if $stored->{state} ne '00000';
	my $result = ($options{session} // $session)->query('CALL migrate.upgrade_stepwise()');
	$result->{id} = $id;
	$result->{applied} =
	  $other->value("SELECT count(*) FROM migrate.applied WHERE revision = '$id'");
	$result->{logged} = $other->value("SELECT count(*) FROM migrate.log WHERE revision = '$id'");
	$result->{partial} = join ' ',
	  $other->rows("SELECT statements_done, in_doubt FROM migrate.partial WHERE revision = '$id'");
	$result->{runs} = join ' ',
	  $other->rows('SELECT what FROM public.runs ORDER BY what COLLATE "C"');
	give_up($id) unless $options{keep};
	return $result;
}

sub give_up
{
	my $id = shift;
	$other->run(q{SELECT migrate.stamp('p4', purge => true)}, "SELECT migrate.drop('$id')");
	return;
}

my $locks = q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'};

for my $pieces (0, 1)
{
	my $kind = $pieces ? 'piece by piece' : 'in one transaction';

	# The lock.
	for my $way (
		'SELECT pg_advisory_unlock_all()',
		'DO $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$',
		'SELECT pg_advisory_unlock(1835624306, 1)',
		'SELECT pg_advisory_unlock(1835624306, 2)')
	{
		my $result = try("INSERT INTO public.runs VALUES ('unlocked'); $way;", pieces => $pieces);
		is($result->{state}, 'MG012', "$kind, $way: an error") or diag $result->{err};
		like($result->{message}, qr/the run lock of migrate was lost/, '    that says it');
		is("$result->{applied}$result->{logged}", '00', '    nothing is recorded of the revision');
		is( $result->{runs},
			$pieces ? 'unlocked' : '',
			'    what the failed transaction did is gone');
		is($result->{partial}, $pieces ? '1|f' : '', '    what was done before is recorded');
		is($other->value($locks), 0, '    no lock is left');
	}

	# What is set is put back, after success and after an error.
	$session->run(
		'CREATE SCHEMA IF NOT EXISTS "some place"',
		q{SET work_mem = '5MB'},
		q{SET my.own = 'mine'},
		q{SET search_path = public, "some place"},
		q{SET lock_timeout = '33s'});
	$other->query('CREATE ROLE someone');
	my @before = $session->rows($settings);
	my $sets = q{
SET ROLE someone;
SET search_path = pg_catalog;
SET lock_timeout = '44s';
SET LOCAL enable_sort = off;
SET work_mem = '6MB';
SET my.own = 'yours';
SET another.own = 'new';
SET statement_timeout = '66s';
SET DateStyle = 'SQL, DMY';
SET default_transaction_isolation = 'repeatable read';
SET migrate.lock_timeout = '1s';
SET migrate.step_messages = off;
SET client_min_messages = error;
SET enable_seqscan = off;
SET synchronous_commit = off;
SET TIME ZONE 'Asia/Tokyo';
RESET ROLE;
SELECT set_config('maintenance_work_mem', '2MB', false);
SET SESSION AUTHORIZATION someone;
SET ROLE NONE;
RESET SESSION AUTHORIZATION;
SET ROLE someone;
};
	for my $end (
		[ '00000', '' ],
		[ '22012', 'SELECT 1 / 0;' ],
		[
			'23505',
			q{RESET ROLE; CREATE TABLE public.deferred (n int UNIQUE DEFERRABLE INITIALLY}
			  . q{ DEFERRED); INSERT INTO public.deferred VALUES (1), (1);}
		])
	{
		my $result = try($sets . $end->[1], pieces => $pieces);
		is($result->{state}, $end->[0], "$kind, much is SET: $end->[0]") or diag $result->{err};
		is(changes(\@before, [ $session->rows($settings) ]), '', '    and put back');
		is($session->value('SELECT current_user || session_user'),
			'postgrespostgres', '    the role, too');
		is($session->value('SHOW my.own'), 'mine', '    and what has no known name');
		is( $session->value(
				q{SELECT coalesce(nullif(current_setting('another.own', true), ''), 'none')}),
			'none',
			'    and what was not there');
		$session->run('DROP TABLE IF EXISTS public.deferred');
	}
	# What is SET counts for what follows, to the end of the script.
	my $result = try(
		q{SET search_path = "some place"; CREATE TABLE settled AS}
		  . q{ SELECT current_setting('search_path') AS path; SELECT 1; INSERT INTO settled}
		  . q{ SELECT current_setting('search_path');},
		pieces => $pieces,
		keep   => 1);
	is($result->{state}, '00000', "$kind: what is SET") or diag $result->{err};
	is( join(' ', $session->rows('SELECT * FROM "some place".settled')),
		'"some place" "some place"',
		'    counts to the end of the script');
	$session->run('DROP TABLE "some place".settled');
	give_up($result->{id});
	$session->run('RESET ALL');

	# statement_timeout of the script counts for each statement, the client's
	# for all of the call.
	$result = try(
		q{SET statement_timeout = '800ms'; SELECT pg_sleep(0.5); SELECT pg_sleep(0.5);}
		  . q{ SELECT pg_sleep(0.5); INSERT INTO public.runs VALUES ('end')},
		pieces => $pieces);
	is("$result->{state} $result->{runs}",
		'00000 end', "$kind: statement_timeout of the script counts for a statement")
	  or diag $result->{err};
	$result = try(
		q{SET statement_timeout = '100ms'; INSERT INTO public.runs VALUES ('begin');}
		  . q{ SELECT pg_sleep(20); INSERT INTO public.runs VALUES ('end')},
		pieces => $pieces);
	is($result->{state}, '57014', '    and ends a long one') or diag $result->{err};
	like($result->{err}, qr/upgrade script, statement 3, line 1$/m, '    that is named');
	is($result->{runs}, $pieces ? 'begin' : '', '    what it leaves');
	is($session->value('SHOW statement_timeout'), '0', '    and is put back');
	my $hasty = with('scripts', statement_timeout => '1s');
	$result = try(
		q{SELECT pg_sleep(0.4); SELECT pg_sleep(0.4); SELECT pg_sleep(0.4)},
		pieces  => $pieces,
		session => $hasty);
	is($result->{state}, '57014', '    that of the client counts for all') or diag $result->{err};
	$result = try(
		q{SET statement_timeout = 0; SELECT pg_sleep(0.6); SELECT pg_sleep(0.6);}
		  . q{ INSERT INTO public.runs VALUES ('end')},
		pieces  => $pieces,
		session => $hasty);
	is("$result->{state} $result->{runs}", '00000 end', '    a script can do without')
	  or diag $result->{err};
	$result = try(
		q{SET statement_timeout = 0; SELECT pg_sleep(1.1); RESET statement_timeout;}
		  . q{ SELECT pg_sleep(0.3); SELECT pg_sleep(1)},
		pieces  => $pieces,
		session => $hasty);
	is($result->{state}, '57014', '    and it goes on where the script has its own no more')
	  or diag $result->{err};
	like(
		$result->{err},
		qr/upgrade script, statement 5, line 1$/m,
		'    with the time that was left');
	is( "$hasty->{pid} " . $hasty->value('SHOW statement_timeout'),
		"$hasty->{pid} 1s",
		'    and the session has it still');
	is($hasty->query('SELECT pg_sleep(0.1)')->{state}, '00000', '    anew for each statement');
	$hasty->finish;

	# Calls of ours.
	$session->run(
		q{CREATE OR REPLACE FUNCTION public.mover() RETURNS bigint LANGUAGE plpgsql AS $$}
		  . q{ BEGIN RETURN (SELECT count(*) FROM migrate.upgrade('head')); END $$},
		q{CREATE OR REPLACE PROCEDURE public.move() LANGUAGE plpgsql AS $$ BEGIN COMMIT;}
		  . q{ CALL migrate.upgrade_stepwise(); END $$}
	);
	for my $ours (
		q{SELECT migrate.upgrade()},
		q{SELECT migrate.downgrade('base')},
		q{SELECT migrate.stamp('p1')},
		q{SELECT migrate.revision('inner')},
		q{SELECT migrate.resume('p1', 'done')},
		q{SELECT migrate.load('x')},
		q{CALL migrate.upgrade_stepwise()},
		q{CALL migrate.downgrade_stepwise('base')},
		q{SELECT public.mover()},
		q{DO $$ BEGIN CALL migrate.upgrade_stepwise(); END $$},
		q{DO $$ BEGIN PERFORM public.mover(); END $$},
		$pieces ? (q{CALL public.move()}) : ())
	{
		my $result = try("INSERT INTO public.runs VALUES ('begin'); $ours", pieces => $pieces);
		is($result->{state}, '55000', "$kind, $ours: refused") or diag $result->{err};
		like($result->{message}, qr/^migrate\.\w+\(\) cannot be called from a migration script$/,
			'    says why');
		is("$result->{applied}$result->{logged}", '00', '    and nothing is recorded');
	}
	$result = try(
		q{SELECT migrate.current(); SELECT * FROM migrate.history(); INSERT INTO public.runs}
		  . q{ SELECT coalesce(max(operation), 'nobody') FROM migrate.progress},
		pieces => $pieces);
	is("$result->{state} $result->{runs}", '00000 upgrade', "$kind: looking is allowed")
	  or diag $result->{err};
}

# After a run in which such a thing was refused the session may call again.
is($session->query('CALL migrate.upgrade_stepwise()')->{state},
	'00000', 'and the session can call us as before');

# ---------------------------------------------------- procedures, commits ----

{
	$session->run(
		q{CREATE PROCEDURE public.counts(INOUT n int, IN more int DEFAULT 1) LANGUAGE plpgsql AS $$}
		  . q{ BEGIN n := n + more; INSERT INTO public.runs VALUES ('counted ' || n); END $$},
		q{CREATE PROCEDURE public.commits(INOUT n int, fail bool DEFAULT false)
			LANGUAGE plpgsql AS $$ BEGIN
			FOR i IN 1 .. n LOOP INSERT INTO public.runs VALUES ('batch ' || i); COMMIT; END LOOP;
			IF fail THEN RAISE 'asked to fail'; END IF;
			INSERT INTO public.runs VALUES ('rest'); n := 0; END $$},
		q{CREATE PROCEDURE public.fails() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.runs}
		  . q{ VALUES ('gone'); ROLLBACK; INSERT INTO public.runs VALUES ('kept'); END $$},
		q{CREATE PROCEDURE public.nested() LANGUAGE plpgsql AS $$ DECLARE n int := 2; BEGIN}
		  . q{ CALL public.commits(n); CALL public.counts(n); END $$},
		q{CREATE PROCEDURE public.unlocks() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.runs}
		  . q{ VALUES ('committed'); COMMIT; PERFORM pg_advisory_unlock_all(); END $$}
	);
	my $result = try('CALL public.counts(41); CALL public.counts(n => 1, more => 2)');
	is( "$result->{state} $result->{runs}",
		'00000 counted 3 counted 42',
		'a procedure with INOUT arguments, in one transaction') or diag $result->{err};
	is($result->{out}, '', '    says nothing to the client');
	$result =
	  try('CALL public.counts(41); SELECT 1; CALL public.counts(n => 1, more => 2)', pieces => 1);
	is("$result->{state} $result->{runs}", '00000 counted 3 counted 42', 'the same, piece by piece')
	  or diag $result->{err};
	is($result->{out}, '', '    says nothing to the client');
	$result = try(
		q{INSERT INTO public.runs VALUES ('begin'); CALL public.commits(3); INSERT INTO public.runs}
		  . q{ VALUES ('z end')},
		pieces => 1);
	is( "$result->{state} $result->{runs}",
		'00000 batch 1 batch 2 batch 3 begin rest z end',
		'a procedure that commits, piece by piece') or diag $result->{err};
	$result = try('CALL public.nested()', pieces => 1);
	is( "$result->{state} $result->{runs}",
		'00000 batch 1 batch 2 counted 1 rest',
		'one that calls such a one') or diag $result->{err};
	$result = try('CALL public.fails(); SELECT 1', pieces => 1);
	is("$result->{state} $result->{runs}", '00000 kept', 'one that rolls back')
	  or diag $result->{err};

	for my $commits (
		q{CALL public.commits(3)},
		q{CALL public.fails()},
		q{DO $$ BEGIN INSERT INTO public.runs VALUES ('x'); COMMIT; END $$},
		q{DO $$ BEGIN CALL public.nested(); END $$})
	{
		$result = try("INSERT INTO public.runs VALUES ('begin'); $commits");
		is($result->{state}, '2D000', "$commits in one transaction: refused by the server")
		  or diag $result->{err};
		my $hint = 'HINT:  Such a script needs "-- migrate:up transaction:false" '
		  . '(transactional => false), and CALL migrate.upgrade_stepwise(...).';
		like($result->{err}, qr/^\Q$hint\E$/m, '    with the hint');
		is("$result->{runs}$result->{applied}", '0', '    nothing of it stays');
	}
	$result = try("BEGIN; CALL public.commits(1); COMMIT; SELECT 1", pieces => 1);
	is($result->{state}, '2D000', 'in a group of a script, likewise') or diag $result->{err};
	is($result->{runs}, '', '    nothing of it stays');

	# One that fails when it has committed some of its work.
	$result = try(
		q{CALL public.commits(2, true); INSERT INTO public.runs VALUES ('z end')},
		pieces => 1,
		keep   => 1);
	is($result->{state}, 'P0001', 'a procedure that fails after it has committed')
	  or diag $result->{err};
	my $hint = 'HINT:  Statement 1 has committed a part of its work. Look, then run '
	  . "SELECT migrate.resume('$result->{id}', 'done' or 'again') and call again.";
	like($result->{err}, qr/^\Q$hint\E$/m, '    says what to do');
	is($result->{partial}, '0|t', '    is in doubt');
	is($session->query('CALL migrate.upgrade_stepwise()')->{state},
		'MG013', '    and so says the next call');
	$session->run("SELECT migrate.resume('$result->{id}', 'done')");
	is($session->query('CALL migrate.upgrade_stepwise()')->{state},
		'00000', '    until it is decided');
	is( join(' ', $session->rows('SELECT what FROM public.runs ORDER BY 1')),
		'batch 1 batch 2 z end',
		'    then it goes on behind it');
	give_up($result->{id});

	$result =
	  try(q{CALL public.unlocks(); INSERT INTO public.runs VALUES ('end')}, pieces => 1, keep => 1);
	is($result->{state}, 'MG012', 'one that commits and takes our lock away')
	  or diag $result->{err};
	is( "$result->{runs} $result->{partial}",
		'committed 0|t',
		'    nothing behind it is run, and it is in doubt');
	is($session->query('CALL migrate.upgrade_stepwise()')->{state},
		'MG013', '    and so says the next call');
	give_up($result->{id});

	# Downgrades likewise.
	my $id = try(
		'SELECT 1',
		pieces => 1,
		keep   => 1,
		down   =>
		  q{CALL public.commits(2); DO $$ BEGIN INSERT INTO public.runs VALUES ('down'); COMMIT;}
		    . q{ END $$}
	)->{id};
	$session->run('TRUNCATE public.runs');
	$result = $session->query(q{CALL migrate.downgrade_stepwise('-1')});
	is($result->{state}, '00000', 'procedures in a downgrade') or diag $result->{err};
	is( join(' ', $session->rows('SELECT what FROM public.runs ORDER BY 1')),
		'batch 1 batch 2 down rest',
		'    run');
	give_up($id);
}

# ------------------------------------------------------------ what is seen ----

my $reader = do
{
	$session->run('GRANT USAGE ON SCHEMA migrate TO reader',
		'GRANT SELECT ON migrate.progress TO reader');
	connect_to('scripts', user => 'reader');
};

sub progress
{
	my ($columns, $who) = @_;
	return join "\n", ($who // $other)->rows("SELECT $columns FROM migrate.progress");
}

# A build that waits for a writer.
my $unique = 0;
sub held_build
{
	my ($writer, $id) = @_;
	$writer->run('BEGIN', 'INSERT INTO public.item VALUES (' . --$unique . ')');
	my $runner =
	  start('scripts', q{CALL migrate.upgrade_stepwise('heads')}, client_min_messages => 'notice');
	ok(activity("migrate upgrade 2/3 $id: CREATE INDEX%", q{wait_event_type = 'Lock'}),
		'seen: a build waits');
	return $runner;
}
{
	my $writer = connect_to('scripts');
	my @ids = map { "seen$_" } 1 .. 3;
	$session->run(q{SELECT migrate.revision('one', 'SELECT 1', 'SELECT 1', 'seen1')},
		q{SELECT migrate.revision('two', 'INSERT INTO public.runs VALUES (''seen'');}
		  . q{ CREATE INDEX CONCURRENTLY item_seen ON public.item (name, id); SELECT 2',}
		  . q{ 'DROP INDEX CONCURRENTLY public.item_seen', 'seen2', transactional => false)},
		q{SELECT migrate.revision('three', 'SELECT pg_advisory_xact_lock(5)', 'SELECT 1', 'seen3')}
	);
	is(progress('*'), '', 'seen: nothing before');
	my $runner = held_build($writer, 'seen2');
	my ($pid) =
	  $admin->rows(q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'migrate upgrade%'});
	is( progress(
			'operation, target, revision, step, steps, statement, statements, wait_event_type,'
			  . ' blocked_by'
		),
		"upgrade|heads|seen2|2|3|2|3|Lock|{$writer->{pid}}",
		'    where it is');
	is(progress('pid'), $pid, '    who runs it');
	is(progress('phase'), 'waiting for writers before build', '    in which phase it is');
	is( progress(
			'started_at <= step_started_at AND step_started_at <= statement_started_at AND'
			  . ' statement_started_at <= now()'
		),
		't',
		'    since when');
	is( progress('query'),
		'migrate upgrade 2/3 seen2: CREATE INDEX CONCURRENTLY item_seen ON public.item (name, id)',
		'    and what');
	is(progress('pid, revision, step, statement, phase', $reader),
		"$pid|seen2|2|2|", '    a reader sees it')
	  or diag 'the phase is for those who may see pg_stat_progress_create_index';
	is(progress('query', $reader), '<insufficient privilege>', '    but not the statement');
	is($other->value('SELECT count(*) FROM migrate.partial WHERE in_doubt'),
		1, '    the intent is committed');

	# The last step, in a transaction.
	$other->run('SELECT pg_advisory_lock(5)');
	$writer->run('COMMIT');
	ok( activity(
			'migrate upgrade 3/3 seen3: SELECT pg_advisory_xact_lock(5)',
			q{wait_event_type = 'Lock'}),
		'seen: the last step');
	is( progress(
			'revision, step, steps, coalesce(statement::text, $$none$$), coalesce(phase, $$none$$),'
			  . ' blocked_by'
		),
		"seen3|3|3|none|none|{$other->{pid}}",
		'    where it is');
	$other->run('SELECT pg_advisory_unlock(5)');
	my $result = finish($runner);
	is($result->{state}, '00000', '    the run ends') or diag $result->{err};
	is(progress('*'), '', '    nothing after');
	is($other->value('SELECT count(*) FROM migrate.running'), 0, '    no row is left');

	# In the same session, afterwards: the client's own query is shown again.
	my $shown = connect_to('scripts');
	$shown->run(q{CALL migrate.downgrade_stepwise('seen1')});
	is( $admin->value("SELECT query FROM pg_stat_activity WHERE pid = $shown->{pid}") =~ s/\s+//gr,
		q{CALLmigrate.downgrade_stepwise('seen1')},
		'seen: afterwards, the client\'s own query');

	# Terminated.
	$runner =
	  do { $session->run(q{CALL migrate.downgrade_stepwise('p4')}); held_build($writer, 'seen2') };
	$admin->run(
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'migrate}
		  . q{ upgrade%'}
	);
	is(finish($runner)->{state}, '57P01', 'seen: a run that is terminated');
	is(progress('*'), '', '    is not seen any more');
	$writer->run('COMMIT');
	$session->run(q{CALL migrate.upgrade_stepwise('seen2')},
		q{CALL migrate.downgrade_stepwise('p4')});
	$_->finish for $writer, $shown;
}

# kill -9: the server restarts, and the row of the run is there and not shown.
{
	my $writer = connect_to('scripts');
	my $runner = held_build($writer, 'seen2');
	my ($pid) =
	  $admin->rows(q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'migrate upgrade%'});
	kill KILL => $pid;
	finish($runner);
	$_->finish for $writer, $session, $other, $reader, $look, $admin;
	ok(wait_until(sub { !(run_psql('scripts', 'SELECT 1'))[0] }, 60),
		'seen: after kill -9 the server is up again');
	($admin, $other) = map { connect_to($_) } qw(postgres scripts);
	is($other->value('SELECT count(*) FROM migrate.running'), 1, '    the row of the run is there');
	is(progress('*'), '', '    and nothing is shown');
	my $result = $other->query(q{CALL migrate.upgrade_stepwise('heads')});
	is($result->{state}, '00000', '    the next call goes on') or diag $result->{err};
	is($other->value('SELECT count(*) FROM migrate.running'), 0, '    then the row is gone');
	is($other->value(q{SELECT count(*) FROM pg_index WHERE NOT indisvalid}),
		0, '    and no index is invalid');
	is($other->value(q{SELECT count(*) FROM public.runs WHERE what = 'seen'}),
		3, '    no statement ran twice');
}

# ------------------------------------------------------------- PgBouncer ----

SKIP:
{
	my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } '/usr/sbin', split /:/, $ENV{PATH};
	skip 'PgBouncer is not installed', 20 unless $pgbouncer;
	my $port = 6433;
	my %bouncer = (
		listen_addr        => '',
		listen_port        => $port,
		unix_socket_dir    => $server->socket_dir,
		auth_type          => 'any',
		pool_mode          => 'transaction',
		max_client_conn    => 100,
		default_pool_size  => 1,
		reserve_pool_size  => 0,
		server_reset_query => '',
		query_wait_timeout => 60,
		ignore_startup_parameters => 'extra_float_digits,options',
		logfile            => "$dir/pgbouncer.log",
		pidfile            => "$dir/pgbouncer.pid");
	my $socket = $server->socket_dir;
	spew(
		"$dir/pgbouncer.ini",
		"[databases]\none = host=$socket port=5432 user=postgres dbname=plan pool_size=1\ntwo ="
		  . " host=$socket port=5432 user=postgres dbname=plan pool_size=2\n\n[pgbouncer]\n"
		  . join '',
		map { "$_ = $bouncer{$_}\n" } sort keys %bouncer);
	my $bouncer = spawn("$dir/pgbouncer.out", $pgbouncer, "$dir/pgbouncer.ini");
	ok(wait_until(sub { !(run_psql('one', 'SELECT 1', '-p', $port))[0] }), 'PgBouncer answers')
	  or do { diag slurp("$dir/pgbouncer.out"); skip 'no PgBouncer', 19 };
	$look = connect_to('plan');
	my $through = sub {
		my ($database, @sql) = @_;
		return background(
			$database,
			[ '-p', $port, map { ('-c', $_) } @sql ],
			client_min_messages => 'notice');
	};

	# what the server connection has; pooled, it is the same for all
	my $left =
	  q{SELECT pg_backend_pid(), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
		(SELECT count(*) FROM pg_prepared_statements),
		(SELECT count(*) FROM pg_cursors WHERE name <> ''),
		current_user, session_user,
		(SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
			WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding',
				'DateStyle', 'TimeZone', 'standard_conforming_strings', 'IntervalStyle',
				'extra_float_digits'))};
	my $before = finish($through->('one', $left))->{out};
	like(
		$before,
		qr/^\d+\|0\|0\|0\|postgres\|postgres\|$/,
		'through PgBouncer: the connection is clean');
	whole(
		$look,
		'through PgBouncer',
		sub {
			my $result = finish($through->('one', shift));
			is(finish($through->('one', $left))->{out},
				$before, '    the connection is clean still');
			$result;
		});
	forget($look);
	$look->run(
		'SELECT migrate.revision('
		  . join(
			', ',
			map({ lit($_) } 'sets',
				q{SET search_path = evil; SET lock_timeout = '44s'; SET my.own = 'x';}
				  . q{ SET ROLE deployer; SELECT 1; RESET ROLE;}
				  . q{ CREATE INDEX CONCURRENTLY item_bounced ON public.item (id, more)},
				'DROP INDEX CONCURRENTLY public.item_bounced',
				'p5'))
		  . ', transactional => false)',
		q{SELECT migrate.revision('fails', 'SET search_path = evil; SET lock_timeout = ''44s'';}
		  . q{ SELECT 1 / 0', '', 'p6', transactional => false)}
	);
	my $result = finish($through->('one', q{CALL migrate.upgrade_stepwise('head')}));
	is($result->{state}, '22012', 'through PgBouncer: settings and an error')
	  or diag $result->{err};
	is(finish($through->('one', $left))->{out}, $before, '    the connection is clean still');
	is(join(' ', $look->rows('SELECT revision, statements_done FROM migrate.partial')),
		'p6|2', '    what is done is recorded');

	# A client that dies in the middle takes its server connection with it.
	$look->run(
		q{SELECT migrate.edit('p6', 'SET search_path = evil; SET lock_timeout = ''44s'';}
		  . q{ SELECT pg_catalog.pg_sleep(30)')}
	);
	my $client = $through->('one', q{CALL migrate.upgrade_stepwise('head')});
	ok(activity('migrate upgrade 1/1 p6%pg_sleep%', 'true'), 'through PgBouncer: a client runs');
	kill KILL => $client->{pid};
	finish($client);
	$look->run(
		q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'migrate upgrade%'});
	ok(wait_until(sub { $look->value($locks) == 0 }), '    when it is dead, no lock stays');
	like(
		finish($through->('one', $left))->{out},
		qr/^\d+\|0\|0\|0\|postgres\|postgres\|$/,
		'    and the connection is clean');
	$look->run(
		q{SELECT migrate.edit('p6', 'SET search_path = evil; SET lock_timeout = ''44s''; SELECT 1')}
	);

	# Many at once, through two connections.
	my @clients = map {
		$through->(
			'two',
			q{CALL migrate.upgrade_stepwise('head')},
			'SELECT count(*) FROM migrate.pending()')
	} 1 .. 15;
	my @results = map { finish($_) } @clients;
	is(scalar(grep { $_->{state} ne '00000' } @results),
		0, 'through PgBouncer: fifteen clients at once')
	  or diag join "\n", map { $_->{err} } @results;
	is(scalar(grep { $_->{err} =~ /completed: / } @results), 1, '    one does the work');
	is(scalar(grep { $_->{out} eq "0\n" } @results), 15, '    and all see its end');
	is($look->value('SELECT count(*) FROM migrate.log'), 6, '    each step once');
	is($look->value($locks), 0, '    no lock is left');
	like(
		finish($through->('two', $left))->{out},
		qr/^\d+\|0\|0\|0\|postgres\|postgres\|$/,
		'    and the connections are clean') for 1 .. 2;
	kill INT => $bouncer->{pid};
	finish($bouncer);
	$look->finish;
}

# What is partitioned is known when it runs, not when the script enters.
SKIP:
{
	skip '13 does not reindex partitioned tables', 6 if $version < 140000;
	my $session = connect_to(create_database('parts'));
	$session->run(
		q{SELECT migrate.revision('parts',
		$$CREATE TABLE parts (a int, b int) PARTITION BY RANGE (a);
		CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
		CREATE INDEX parts_b ON parts (b);
		INSERT INTO parts SELECT g % 10, g FROM generate_series(1, 100) g$$, '', '0001')}
	);
	my $reindex = 'REINDEX TABLE parts; REINDEX INDEX parts_b'
	  . ($version < 150000 ? '' : '; CLUSTER parts USING parts_b')
	  . ($version < 190000 ? '' : '; REPACK parts; REPACK parts USING INDEX parts_b');
	$session->run("SELECT migrate.revision('reindex', '$reindex', '', '0002')");
	my $nodes =
	  q{SELECT string_agg(relfilenode::text, ' ' ORDER BY relname) FROM pg_class}
	    . q{ WHERE relname LIKE 'parts%' AND relkind = 'i'};
	for my $call (q{SELECT migrate.upgrade()}, q{CALL migrate.upgrade_stepwise()})
	{
		my $result = $session->query($call);
		is($result->{state}, '25001', "$call: a partitioned table in a transactional script");
		like(
			$result->{err},
			qr/HINT:.*transaction:false.*CALL migrate\.upgrade_stepwise/,
			'    with a hint');
	}
	my $before = $session->value($nodes);
	$session->run(q{SELECT migrate.edit('0002', transactional => false)});
	is($session->query('CALL migrate.upgrade_stepwise()')->{state},
		'00000', '    in one that is not, it runs');
	isnt($session->value($nodes), $before, '    and does what it says');
	$session->finish;
}

# REPACK is a statement of 19; of its forms some run in a transaction.
SKIP:
{
	skip 'there is no REPACK before 19', 17 if $version < 190000;
	my $repacked = create_database('repack');
	my $session = connect_to($repacked);
	$session->run(
		q{SELECT migrate.revision('big',
		$$CREATE TABLE big (a int PRIMARY KEY, b int);
		INSERT INTO big SELECT g, -g FROM generate_series(1, 100) g$$, '', '0001');
		SELECT migrate.upgrade()}
	);
	my $file = q{SELECT pg_relation_filenode('big')};
	my $store = sub {
		my ($script, $transactional) = @_;
		return $session->query("SELECT migrate.revision('repack', '$script', '', '0002',"
			  . " transactional => $transactional)");
	};
	for my $form ('REPACK (CONCURRENTLY) big', 'REPACK (ANALYZE) big', 'REPACK')
	{
		my $result = $store->($form, 'true');
		is($result->{state}, 'MG011', "$form is refused in a transactional script");
		like($result->{err}, qr/ REPACK .*cannot be used in a transactional script$/m,
			'    by its name');
		my $before = $session->value($file);
		$store->("SELECT 1; $form; SELECT 2", 'false');
		$result = $session->query('CALL migrate.upgrade_stepwise()');
		is($result->{state}, '00000', '    in one that is not, it runs') or diag $result->{err};
		isnt($session->value($file), $before, '    and does what it says');
		$session->run(q{SELECT migrate.stamp('0001'); SELECT migrate.drop('0002')});
	}

	# The session dies within it.
	$store->('SELECT 1; REPACK (CONCURRENTLY) big; SELECT 2', 'false');
	my ($reader, $runner) = map { connect_to($repacked) } 1 .. 2;
	my $alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = $runner->{pid}";
	$reader->run('BEGIN', 'LOCK TABLE big IN ACCESS SHARE MODE');
	$runner->send('CALL migrate.upgrade_stepwise()');
	wait_until(sub { $session->value("$alive AND wait_event_type = 'Lock'") }, 30);
	$session->run("SELECT pg_terminate_backend($runner->{pid})");
	wait_until(sub { !$session->value($alive) }, 30);
	$reader->finish;
	my $before = $session->value($file);
	my $result = $session->query('CALL migrate.upgrade_stepwise()');
	is($result->{state}, '00000', 'interrupted, it is repeated') or diag $result->{err};
	isnt($session->value($file), $before, '    and does what it says');
	$session->run(q{SELECT migrate.stamp('0001'); SELECT migrate.drop('0002')});

	$before = $session->value($file);
	$store->('REPACK (CONCURRENTLY off) big USING INDEX big_pkey; CLUSTER big; REPACK big', 'true');
	$result = $session->query('SELECT migrate.upgrade()');
	is($result->{state}, '00000', 'of one table, it runs in a transactional script')
	  or diag $result->{err};
	isnt($session->value($file), $before, '    and does what it says');
	is($session->value('SELECT migrate.check()'), 't', '    and all is well');
	$session->finish;
}

$_->finish for $admin, $other;
$server->stop;
done_testing();
