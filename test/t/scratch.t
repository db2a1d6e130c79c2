#!/usr/bin/perl
#
# The scratch, through a function of tests (test/modules/scratch.c): what is
# declared is there, the live schema is not, and afterwards nothing has changed:
# not for the session, not for its transaction, not for others.  Each trap of
# doc/internals.md, "The scratch", has a test here.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateModule;
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

alarm 600;

my $dir = scratch_dir();
my $top = "$FindBin::RealBin/../..";
my $library = build_library($dir, 'scratch',
	[ "$FindBin::RealBin/../modules/scratch.c", "$top/src/compat.c", "$top/src/sql.c",
		glob "$top/src/*/*.c" ]);
my @settings = ('max_prepared_transactions = 2', 'wal_level = logical', 'autovacuum = off',
	'jit = off', 'max_connections = 30');
my $server = MigrateServer->create(settings => \@settings);
$server->use;
my $version = (run_psql('postgres', 'SHOW server_version_num'))[1] / 10000;
$version = int $version;

# A database with the function, in a schema of its own.
sub database
{
	my ($name, %options) = @_;
	create_database($name, plain => 1, %options);
	my ($status, undef, $err) = run_psql($name, <<"SQL");
CREATE SCHEMA t;
CREATE FUNCTION t.scratch_run(models text[], query text DEFAULT NULL,
	schemas text[] DEFAULT '{public}', hide bool DEFAULT false, keep bool DEFAULT false)
RETURNS text LANGUAGE c VOLATILE AS '$library';
GRANT USAGE ON SCHEMA t TO PUBLIC;
SQL
	die $err if $status;
	return $name;
}

# The call that declares some models and runs a query inside.
sub scratch
{
	my ($models, $query, %options) = @_;
	return sprintf 'SELECT t.scratch_run(ARRAY[%s]::text[], %s, %s, %s, %s)',
	  join(',', map { lit($_) } ref $models ? @$models : $models), lit($query),
	  lit($options{schemas} // '{public}'), $options{hide} ? 'true' : 'false',
	  $options{keep} ? 'true' : 'false';
}

# What the catalogs and the session look like, for "as before".  Statistics are
# left out.
my $census = join ' UNION ALL ', map {
	"SELECT '$_', count(*), sum(hashtext(x::text)) FROM pg_catalog.$_ x"
} qw(pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_authid pg_cast pg_class
  pg_collation pg_constraint pg_conversion pg_database pg_db_role_setting pg_default_acl pg_depend
  pg_description pg_enum pg_event_trigger pg_extension pg_foreign_data_wrapper
  pg_foreign_server pg_foreign_table pg_index pg_inherits pg_init_privs pg_language
  pg_namespace pg_opclass pg_operator pg_opfamily pg_partitioned_table pg_policy pg_proc
  pg_publication pg_publication_rel pg_range pg_rewrite pg_seclabel pg_sequence pg_shdepend
  pg_shdescription pg_statistic_ext pg_tablespace pg_transform pg_trigger pg_ts_config
  pg_ts_dict pg_ts_parser pg_type pg_user_mapping);

sub census { return join "\n", sort $_[0]->rows($census) }

my $db = database('mig_scratch');
my $session = connect_to($db);
my $other = connect_to($db);
$session->run(
	'CREATE TABLE public.live (id serial PRIMARY KEY, body text)',
	q{INSERT INTO public.live (body) VALUES ('first')},
	q{CREATE TYPE public.mood AS ENUM ('good', 'bad')},
	'CREATE VIEW public.seen AS SELECT id FROM public.live',
	'CREATE SCHEMA apart',
	'CREATE TABLE apart.kept (a int PRIMARY KEY)',
	'CREATE ROLE scratch_plain LOGIN',
	'CREATE ROLE scratch_other');

# A query that waits inside until another session releases lock 42.
my $gate = q{SELECT pg_advisory_xact_lock_shared(42)};

# Runs a query once another session waits for an advisory lock, or a lock of any kind.
sub wait_for_lock
{
	my ($pid, $type) = @_;
	return wait_until(
		sub {
			return $other->value(
				"SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted"
				  . ($type ? " AND locktype = '$type'" : '')) > 0;
		},
		20);
}

# ------------------------------------------------------------- what it is ----

{
	my $before = census($session);
	my $dump = schema_dump($db, '-N', 't');
	is( $session->value(scratch(
			'CREATE TABLE live (other int); CREATE VIEW twice AS SELECT other FROM live',
			q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class}
			  . q{ WHERE relnamespace = 'public'::regnamespace})),
		'live twice', 'the schema holds what was declared, under its own name, and nothing else');
	is( $session->value(scratch(
			[ 'CREATE TABLE one (a int)', 'CREATE TABLE two (LIKE one)' ],
			q{SELECT count(*) FROM public.two})),
		0, 'models see each other');
	is( $session->value(scratch([],
			q{SELECT t.nspowner = l.nspowner AND t.nspacl::text IS NOT DISTINCT FROM l.nspacl::text}
			  . q{ FROM pg_namespace t, pg_namespace l}
			  . q{ WHERE t.nspname = 'public' AND l.nspname = 'mig_live_2200'})),
		't', 'the twin has owner and privileges of the schema');
	is( $session->value(scratch('CREATE SCHEMA fresh CREATE TABLE x (a int)',
			q{SELECT count(*) FROM fresh.x}, schemas => '{public,fresh}')),
		0, 'a schema that does not exist is the model\'s to create');
	is($session->value(scratch([],
			q{SELECT count(*) FROM pg_namespace WHERE nspname = 'fresh'},
			schemas => '{public,fresh}')), 0, '    and is not created without');
	is(census($session), $before, 'the catalogs are as before');
	is(schema_dump($db, '-N', 't'), $dump, '    and so is the dump');
}

# ------------------------------------------------------------ who may not ----

{
	my $result;
	for (
		[ '{pg_catalog}',         '22023' ], [ '{migrate}', '22023' ],
		[ '{information_schema}', '22023' ], [ '{pg_toast}', '22023' ],
		[ '{pg_temp_3}',          '22023' ])
	{
		$result = $session->query(scratch([], undef, schemas => $_->[0]));
		is($result->{state}, $_->[1], "schema $_->[0] cannot be managed");
	}
	my $nested = q{SELECT t.scratch_run('{}', NULL)};
	$result = $session->query(scratch([], $nested));
	is($result->{state}, '55000', 'no scratch in a scratch') or diag $result->{err};
	$result = $session->query(scratch($nested));
	is($result->{state}, '55000', '    nor in a script') or diag $result->{err};
	like($result->{err}, qr/model "m1", statement 1, line 1/, '    which says where');

	$session->run('BEGIN READ ONLY');
	$result = $session->query(scratch([]));
	is($result->{state}, '25006', 'none in a read-only transaction');
	$session->run('ROLLBACK');

	my $plain = connect_to($db, user => 'scratch_plain');
	$result = $plain->query(scratch([]));
	is($result->{state}, '42501', 'not without owning the schema');
	like($result->{err}, qr/HINT: +ALTER SCHEMA public OWNER TO scratch_plain;/, '    with a hint');
	$session->run('CREATE SCHEMA of_plain AUTHORIZATION scratch_plain');
	$result = $plain->query(scratch([], undef, schemas => '{of_plain}'));
	is($result->{state}, '42501', 'not without CREATE on the database');
	like($result->{err}, qr/HINT: +GRANT CREATE ON DATABASE mig_scratch TO scratch_plain;/,
		'    with a hint');
	$session->run('DROP SCHEMA of_plain');
	$plain->finish;
}

# ------------------------------------------------------------- statements ----

# Each is refused as a statement and, where PL/pgSQL can run it, in a DO block.
{
	for (
		'PREPARE x AS SELECT 1', 'LISTEN x', 'NOTIFY x', q{LOAD 'plpgsql'},
		'LOCK TABLE pg_class', 'DROP SCHEMA public CASCADE', 'DROP EXTENSION plpgsql',
		'ALTER EXTENSION plpgsql UPDATE', 'CREATE ROLE scratch_new', 'DROP ROLE scratch_plain',
		'ALTER ROLE scratch_plain SET work_mem = 64', 'GRANT scratch_plain TO scratch_other',
		'ALTER ROLE scratch_plain RENAME TO x', 'DROP OWNED BY scratch_plain',
		'ALTER DATABASE postgres SET work_mem = 64', q{ALTER SYSTEM SET work_mem = 64},
		q{CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)},
		q{COPY live TO '/tmp/x'}, q{COPY live FROM '/tmp/x'},
		'SET CONSTRAINTS ALL IMMEDIATE', 'VACUUM live', 'CLUSTER live USING live_pkey',
		'CREATE DATABASE x', 'CREATE TABLESPACE x LOCATION \'/tmp\'')
	{
		my $result = $session->query(scratch("SELECT 1;\n$_"));
		is($result->{state}, 'MG011', "refused: $_") or diag $result->{err};
		like($result->{err}, qr/HINT: .*statement 2, line 2/s, '    with a hint, and the place');
		next if /^(?:VACUUM)/;
		$result = $session->query(scratch('DO $$ BEGIN EXECUTE ' . lit($_) . '; END $$'));
		is($result->{state}, 'MG011', '    in a block too') or diag $result->{err};
	}
	for ('BEGIN', 'COMMIT', 'SAVEPOINT x', 'DISCARD ALL', 'DEALLOCATE ALL', 'CLOSE ALL',
		'COPY live TO stdout')
	{
		my $result = $session->query(scratch($_));
		is($result->{state}, 'MG011', "refused: $_") or diag $result->{err};
		like($result->{err}, qr/cannot be used in a model/, '    by name');
	}
	my $result = $session->query(scratch('DO $$ BEGIN COMMIT; END $$'));
	is($result->{state}, '2D000', 'a block cannot commit');
	like($result->{err}, qr/model "m1", statement 1/, '    and says where');
	$result = $session->query(scratch("SELECT 1;\n\nCREATE TABL x"));
	is($result->{state}, '42601', 'a syntax error');
	like($result->{err}, qr/model "m1", line 3/, '    has its line');
}

{
	my $result = $session->query(scratch('CREATE TABLE apart.kept (a int)'));
	is($result->{state}, '42P07', 'a schema that is not managed is as it is');
	like($result->{err}, qr/HINT:.*managed_schemas/, '    which a hint says');
}

# Plain forms, and what is there already.
{
	$session->run('CREATE EXTENSION postgres_fdw SCHEMA apart',
		'CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw',
		'CREATE USER MAPPING FOR postgres SERVER away',
		'CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler',
		'CREATE CAST (varchar AS int) WITH INOUT',
		'CREATE FOREIGN DATA WRAPPER bare',
		'CREATE PUBLICATION p_all FOR ALL TABLES');
	my $before = census($session);
	my $detach = $version >= 14 ? 'CONCURRENTLY' : '';
	is( $session->value(scratch(<<"SQL", q{SELECT count(*) FROM new_t})),
CREATE TABLE new_t (a int PRIMARY KEY, b int);
CREATE INDEX CONCURRENTLY i ON new_t (b);
DROP INDEX CONCURRENTLY i;
CREATE MATERIALIZED VIEW m AS SELECT a FROM new_t;
CREATE UNIQUE INDEX ON m (a);
REFRESH MATERIALIZED VIEW CONCURRENTLY m;
REINDEX TABLE CONCURRENTLY new_t;
ANALYZE;
DO \$\$ BEGIN ANALYZE; END \$\$;
CREATE TABLE parent (a int) PARTITION BY LIST (a);
CREATE TABLE part PARTITION OF parent FOR VALUES IN (1);
ALTER TABLE parent DETACH PARTITION part $detach;
CREATE SCHEMA IF NOT EXISTS public;
CREATE SCHEMA public;
CREATE SCHEMA public CREATE TABLE inside (a int) CREATE VIEW outside AS SELECT a FROM inside;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR postgres SERVER away;
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE CAST (varchar AS int) WITH INOUT;
CREATE FOREIGN DATA WRAPPER bare;
CREATE LANGUAGE plpgsql;
CREATE ROLE scratch_plain;
COMMENT ON EXTENSION plpgsql IS 'other';
COMMENT ON DATABASE mig_scratch IS 'other';
CREATE PUBLICATION p_all FOR TABLE new_t;
COPY new_t FROM stdin;
1\t2
\\.
DELETE FROM new_t;
TABLE inside; TABLE outside;
SQL
		0, 'what is there is skipped, what runs concurrently runs plainly');
	is( $session->value(scratch(
			'CREATE EXTENSION plpgsql; CREATE EXTENSION hstore;'
			  . ' CREATE SCHEMA a; CREATE SCHEMA public',
			'notes')),
		'extensions plpgsql,hstore; schemas a,public; owners ',
		'extensions and schemas are noted');
	is(census($session), $before, '    and nothing is left');
	$session->run('DROP PUBLICATION p_all', 'DROP EXTENSION postgres_fdw CASCADE',
		'DROP ACCESS METHOD heap2', 'DROP CAST (varchar AS int)',
		'DROP FOREIGN DATA WRAPPER bare');
}

# What psql would take from pg_dump.
{
	my $dump = <<'SQL';
\restrict abc
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT a FROM public.later';
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.later (a integer);
CREATE SEQUENCE public.s;
ALTER TABLE public.later OWNER TO scratch_other;
SELECT pg_catalog.setval('public.s', 3, true);
\unrestrict abc
SQL
	is( $session->value(scratch([ $dump, 'CREATE TABLE unqualified (a int)' ],
			q{SELECT current_setting('search_path') || current_setting('lock_timeout')}
			  . q{ || current_setting('check_function_bodies') || 'public.unqualified'::regclass})),
		'"$user", public5son' . 'unqualified',
		'a dump runs, and what it sets ends with it');
	$session->run(q{SET lock_timeout = '700ms'});
	for ('RESET ALL', q{SELECT set_config('lock_timeout', '0', false)})
	{
		my $model = "$_; CREATE TABLE w AS SELECT current_setting('lock_timeout') s";
		is($session->value(scratch($model, 'SELECT s FROM w')), '700ms', "lock_timeout holds: $_");
	}
	$session->run('RESET lock_timeout');
	if ($version >= 17)
	{
		my $victim = connect_to($db);
		$victim->run(q{SET transaction_timeout = '1500ms'}, 'BEGIN');
		$victim->query(scratch('SET transaction_timeout = 0; SELECT pg_sleep(20)'));
		ok($victim->{dead}, 'transaction_timeout holds');
		$victim->finish;
	}
}

# ------------------------------------------------------------ the session ----

{
	$session->run(q{SET work_mem = '5MB'}, 'SET search_path = apart, public');
	my $models = [ q{SET work_mem = '7MB'; SET search_path = ''; SET ROLE scratch_other},
		q{SELECT set_config('work_mem', '9MB', false)} ];
	my $all = q{SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings};
	my $before = $session->value($all);
	is($session->value(scratch($models, 'SELECT current_user')), 'postgres', 'settings: in it');
	is($session->value($all), $before, '    and afterwards');
	is($session->query(scratch([ @$models, 'SELECT 1/0' ]))->{state},
		'22012', '    after an error');
	is($session->value($all), $before, '    too');
	is($session->value('SELECT current_user'), 'postgres', '    also the role');
	$session->run('RESET ALL');
}

{
	$session->run('PREPARE mine AS SELECT count(*) FROM public.live');
	is($session->value('EXECUTE mine'), 1, 'prepared: before');
	is($session->value(scratch('CREATE TABLE public.live (x int)',
			'SELECT count(*) FROM public.live')), 0, '    in it the twin counts');
	is($session->value('EXECUTE mine'), 1, '    afterwards the live table');
	is($session->value('SELECT count(*) FROM pg_prepared_statements'), 1, '    and nothing new');
	$session->run('DEALLOCATE mine');
	$session->run('CREATE FUNCTION apart.n() RETURNS bigint LANGUAGE plpgsql'
		  . ' AS $$ BEGIN RETURN (SELECT count(*) FROM public.live); END $$');
	is($session->value('SELECT apart.n()'), 1, 'a function: before');
	is($session->value(scratch('CREATE TABLE public.live (x int); INSERT INTO live VALUES (1), (2)',
			'SELECT apart.n()')), 2, '    in it');
	is($session->value('SELECT apart.n()'), 1, '    and afterwards');
}

{
	my $id = $session->value(q{SELECT nextval('public.live_id_seq')});
	$session->value(scratch('CREATE TABLE quiet (a int)'));
	is($session->value('SELECT lastval()'), $id, 'lastval() stays where no sequence was used');
	$session->value(scratch(q{CREATE SEQUENCE s START 77; SELECT nextval('s')}));
	is($session->query('SELECT lastval()')->{state}, '55000', '    else it is an error, no value');
	is($session->value(q{SELECT currval('public.live_id_seq')}), $id, '    currval() stays');
	is($session->value(q{SELECT nextval('public.live_id_seq'), lastval()}),
		($id + 1) . '|' . ($id + 1), '    and both after the next');
}

# Advisory locks of the session.
{
	my $held = q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}
	  . q{ AND pid = pg_backend_pid()};
	$session->value(scratch('SELECT pg_advisory_lock(7); SELECT pg_advisory_lock(7);'
			  . ' SELECT pg_advisory_lock_shared(8); SELECT pg_advisory_xact_lock(9)'));
	is($session->value($held), 0, 'advisory locks: those of a script are released');
	$session->query(scratch('SELECT pg_advisory_lock(7); SELECT 1/0'));
	is($session->value($held), 0, '    after an error too');
	$session->run('SELECT pg_advisory_lock(7)', 'SELECT pg_advisory_lock(7)',
		'SELECT pg_advisory_lock_shared(7)');
	$session->value(scratch('SELECT pg_advisory_lock(7)'));
	is($session->value('SELECT pg_advisory_unlock(7)'), 't', '    mine is held as often as before');
	is($session->value('SELECT pg_advisory_unlock(7)'), 't', '    twice');
	is($session->value('SELECT pg_advisory_unlock(7)'), 'f', '    and not more');
	is($session->value('SELECT pg_advisory_unlock_shared(7)'), 't', '    in its other mode once');
	$session->run('SELECT pg_advisory_lock(7)');
	$session->value(scratch('SELECT pg_advisory_unlock_all()',
			q{SELECT pg_advisory_unlock_all()}));
	is($other->value('SELECT pg_try_advisory_lock(7)'), 'f', '    what it releases is held again');
	is($session->value('SELECT pg_advisory_unlock(7)'), 't', '    by me');
	$session->run('BEGIN', 'SELECT pg_advisory_xact_lock(7)');
	$session->value(scratch('SELECT pg_advisory_lock(7)'));
	$session->run('COMMIT');
	is($session->value($held), 0, '    one of the transaction ends with it');
}

# -------------------------------------------------------- the transaction ----

{
	for my $break ('SELECT 1', 'SELECT 1/0')
	{
		$session->run('BEGIN', q{ALTER TYPE public.mood ADD VALUE 'new'}, 'SAVEPOINT s');
		my $result = $session->query(scratch(
				q{CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'b';}
				  . q{ CREATE TABLE x (e e DEFAULT 'b'); } . $break));
		is($result->{state}, $break =~ /0/ ? '22012' : '00000',
			'a model uses an enum value that it has added');
		$session->run('ROLLBACK TO s');
		is($session->query(q{SELECT 'new'::public.mood})->{state}, '55P04',
			'    the transaction\'s own one is not to be used afterwards');
		$session->run('ROLLBACK');
	}
}

{
	my $locks = q{SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()};
	my $many = join ';', map { "CREATE TABLE s$_ (a serial); INSERT INTO s$_ DEFAULT VALUES;"
		  . "SELECT setval('s${_}_a_seq', 9)" } 1 .. 20;
	$session->run('BEGIN', 'SELECT 1 FROM public.live', 'SELECT txid_current()');
	my $before = $session->value($locks);
	$session->value(scratch($many));
	is($session->value($locks), $before, 'no lock is left on sequences that are gone');
	$session->run('DROP TABLE apart.kept');
	$session->value(scratch($many));
	is( $session->value(
			q{SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()}
			  . q{ AND locktype = 'relation' AND mode = 'AccessExclusiveLock'}
			  . q{ AND relation NOT IN (SELECT oid FROM pg_class)}) > 0,
		1, 'a lock on what the transaction has dropped stays');
	$other->send('SELECT count(*) FROM apart.kept');
	ok(wait_for_others($other->{pid}), '    so others wait');
	$session->run('ROLLBACK');
	is($other->receive->{state}, '00000', '    for the end of the transaction');
}

# Waiting, seen from the session itself.
sub wait_for_others
{
	my $pid = shift;
	return wait_until(
		sub {
			return $session->value(
				"SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted") > 0;
		},
		20);
}

{
	$session->run('BEGIN', 'CREATE TEMP TABLE mine (a int) ON COMMIT DELETE ROWS',
		'INSERT INTO mine VALUES (1), (2)');
	my $models = [ ('CREATE TEMP TABLE temporary (a int) ON COMMIT DROP; DO $$ BEGIN'
			  . ' CREATE TEMP TABLE of_block ON COMMIT DROP AS SELECT 1; END $$') x 2 ];
	is($session->query(scratch($models))->{state}, '00000',
		'a temporary table ends with its script');
	is($session->value('SELECT count(*) FROM mine'), 2, '    and mine keeps its rows');
	$session->run('COMMIT');
	$session->run('BEGIN');
	$session->value(scratch($models));
	is($session->query(q{PREPARE TRANSACTION 'x'})->{state}, '00000',
		'    and it is in nobody\'s way who prepares the transaction');
	$session->run(q{ROLLBACK PREPARED 'x'});
}

{
	$session->run('BEGIN', 'SAVEPOINT s');
	is($session->query(scratch('SELECT 1/0'))->{state}, '22012', 'an error');
	$session->run('ROLLBACK TO s');
	is($session->value(scratch('CREATE TABLE x (a int)', 'SELECT count(*) FROM x')), 0,
		'    leaves the transaction to use, after ROLLBACK TO');
	$session->run('CREATE FUNCTION apart.caught(q text) RETURNS text LANGUAGE plpgsql'
		  . ' AS $$ BEGIN EXECUTE q; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$');
	is( $session->value(
			q{SELECT apart.caught(} . lit(scratch('CREATE TABLE y (a int); SELECT 1/0')) . ')'),
		'22012', '    and in a block with EXCEPTION');
	is($session->value('SELECT count(*) FROM public.live'), 1, '    which sees the live schema');
	$session->run('ROLLBACK');
	my $result = $session->query(scratch(
		q{DO $$ BEGIN RAISE EXCEPTION 'my message' USING ERRCODE = 'XY123', DETAIL = 'my detail',}
		  . q{ HINT = 'my hint', TABLE = 'my table'; END $$}));
	is($result->{state}, 'XY123', 'an error keeps its code');
	like($result->{err}, qr/$_/, "    and '$_'")
	  for 'my message', 'my detail', 'my hint', 'my table';
}

for my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	$session->run("BEGIN ISOLATION LEVEL $level", 'SELECT 1');
	is( $session->value(scratch('CREATE TABLE live (x int); INSERT INTO live VALUES (1), (2)',
			'SELECT count(*) FROM live')),
		2, "in $level");
	is($session->value('SELECT count(*) FROM public.live'), 1, '    and afterwards');
	$session->run('COMMIT');
}

{
	my $before = census($session);
	my $locks;
	$session->run('BEGIN');
	my $model = 'CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE live (id serial, a int'
	  . ' REFERENCES a); INSERT INTO a DEFAULT VALUES';
	for my $n (1 .. 200)
	{
		$session->value(scratch($model));
		$locks //= $session->value('SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()');
	}
	is($session->value('SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()'), $locks,
		'200 in one transaction: as many locks as after the first');
	$session->run('COMMIT');
	is(census($session), $before, '    and nothing is left');
}

# --------------------------------------------------------------- database ----

{
	$session->run('CREATE TABLE apart.fired (tag text)',
		'CREATE FUNCTION apart.fire() RETURNS event_trigger LANGUAGE plpgsql'
		  . q{ AS $$ BEGIN RAISE EXCEPTION 'event trigger fired'; END $$},
		'CREATE FUNCTION apart.nothing() RETURNS event_trigger LANGUAGE plpgsql'
		  . q{ AS $$ BEGIN END $$},
		'CREATE EVENT TRIGGER plain ON ddl_command_start EXECUTE FUNCTION apart.fire()',
		'CREATE EVENT TRIGGER always ON ddl_command_end EXECUTE FUNCTION apart.fire()',
		'ALTER EVENT TRIGGER always ENABLE ALWAYS');
	my $result = $session->query(scratch(
		'CREATE TABLE x (a int); ALTER TABLE x ADD b int; DROP TABLE x;'
		  . ' DO $$ BEGIN CREATE TABLE y (a int); DROP TABLE y; END $$;'
		  . ' CREATE EVENT TRIGGER plain ON ddl_command_end EXECUTE FUNCTION apart.nothing()'));
	is($result->{state}, '00000', 'event triggers do not fire, not in blocks either')
	  or diag $result->{err};
	is($session->query('CREATE TABLE x (a int)')->{state}, 'P0001', '    afterwards they do');
	$session->run('DROP EVENT TRIGGER plain', 'DROP EVENT TRIGGER always');
}

{
	$session->run('CREATE TABLE apart.published (a int)', 'INSERT INTO apart.published VALUES (1)',
		'CREATE PUBLICATION pub FOR TABLE apart.published');
	is( $session->value(scratch('CREATE PUBLICATION pub FOR ALL TABLES; CREATE TABLE x (a int);'
			  . ' DROP PUBLICATION pub; UPDATE apart.published SET a = 2',
			'SELECT count(*) FROM pg_publication_tables')),
		0, 'publications are the model\'s own');
	# each of these finds none
	for my $missing (
		'ALTER PUBLICATION pub ADD TABLE x',          'ALTER PUBLICATION pub RENAME TO bup',
		'ALTER PUBLICATION pub OWNER TO scratch_other', 'DROP PUBLICATION pub',
		q{COMMENT ON PUBLICATION pub IS 'x'},
		'DO $$ BEGIN DROP PUBLICATION pub; END $$')
	{
		is($session->query(scratch("CREATE TABLE x (a int); $missing"))->{state}, '42704',
			"    $missing: no");
	}
	is( $session->value(scratch(
			'CREATE TABLE x (a int); CREATE PUBLICATION two;'
			  . ' ALTER PUBLICATION two RENAME TO pub; DROP PUBLICATION IF EXISTS two;'
			  . ' ALTER PUBLICATION pub ADD TABLE x',
			q{SELECT string_agg(tablename, '') FROM pg_publication_tables})),
		'x', '    a name can be given again');
	is($session->query('UPDATE apart.published SET a = 3')->{state}, '55000',
		'    afterwards the table is published as before');
	$session->value(scratch('UPDATE apart.published SET a = 2'));
	is($session->query('UPDATE apart.published SET a = 3')->{state}, '55000',
		'    also when nothing was done but to update it');
	$session->run('DROP PUBLICATION pub');
}

{
	$session->run('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO scratch_other',
		'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO scratch_other');
	my $acl = q{SELECT coalesce(relacl::text, 'none') FROM pg_class}
	  . q{ WHERE oid = 'public.x'::regclass};
	is($session->value(scratch('CREATE TABLE x (a int)', $acl)), 'none',
		'a model begins without default privileges');
	like($session->value(scratch('CREATE TABLE x (a int)', $acl, keep => 1)),
		qr/scratch_other=ar/, '    a replay with those that are there');
	$session->run('ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM scratch_other',
		'ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM scratch_other');
}

{
	$session->run('CREATE EXTENSION hstore SCHEMA public', 'CREATE EXTENSION pg_trgm SCHEMA public',
		'CREATE TABLE public.member (id serial PRIMARY KEY, h hstore)',
		'ALTER EXTENSION hstore ADD TABLE public.member',
		'ALTER EXTENSION hstore ADD SEQUENCE public.member_id_seq');
	my $before = census($session);
	is( $session->value(scratch(
			'CREATE TABLE public.live (h public.hstore, hs hstore[], t text,'
			  . ' m int REFERENCES member);'
			  . ' CREATE INDEX ON live USING gin (t gin_trgm_ops);'
			  . q{ CREATE INDEX ON live USING gist (h); INSERT INTO live VALUES ('a=>1');}
			  . q{ INSERT INTO member VALUES (DEFAULT, 'b=>2')},
			q{SELECT h -> 'a' FROM public.live WHERE h @> 'a=>1'})),
		'1', 'members of extensions are in the twin');
	is( $session->value(scratch([],
			q{SELECT count(*) FROM pg_extension e, pg_namespace n WHERE n.oid = extnamespace}
			  . q{ AND nspname = 'public'})),
		2, '    and so are the extensions');
	is( $session->value(scratch([],
			q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class}
			  . q{ WHERE relname LIKE 'member%' AND relnamespace = 'public'::regnamespace})),
		'member member_id_seq member_pkey', '    and the indexes of constraints');
	is(census($session), $before, '    and nothing is left');
	is($session->value('SELECT count(*) FROM public.member'), 0, '    not even rows');
	$session->run('DROP EXTENSION hstore CASCADE', 'DROP EXTENSION pg_trgm');
}

# ----------------------------------------------------------------- others ----

# The scratch waits, and others work.
{
	$other->run('SELECT pg_advisory_lock(42)');
	$session->run(q{SET migrate.scratch_lock_timeout = '60s'});
	$session->send(scratch('CREATE TABLE live (x int); CREATE TABLE another (a int)', $gate));
	ok(wait_for_lock($session->{pid}, 'advisory'), 'a scratch waits');
	my $third = connect_to($db, options => '-c lock_timeout=1500');
	for (
		'SELECT count(*) FROM public.live', q{INSERT INTO public.live (body) VALUES ('second')},
		'UPDATE public.live SET body = body', 'ALTER TABLE public.live ADD COLUMN more int',
		'CREATE INDEX ON public.live (more)', 'CREATE TABLE public.another (a int)',
		'DROP TABLE public.another', 'ANALYZE public.live', 'TRUNCATE public.live',
		'VACUUM public.live', 'GRANT SELECT ON public.live TO scratch_other',
		q{ALTER TYPE public.mood ADD VALUE 'indifferent'})
	{
		my $result = $third->query($_);
		is($result->{state}, '00000', "    meanwhile: $_") or diag $result->{err};
	}
	is( $third->query('GRANT USAGE ON SCHEMA public TO scratch_other')->{state}, '55P03',
		'    but who changes the schema itself waits');
	my $result = $third->query(q{SET migrate.scratch_lock_timeout = '300ms'; } . scratch([]));
	is($result->{state}, 'MG012', '    and so does another scratch');
	like($result->{err}, qr/could not obtain the scratch of migrate.*Process $session->{pid} /s,
		'    which names the holder');
	$third->send(q{SET migrate.scratch_lock_timeout = '20s'; } . scratch([], 'SELECT 5'));
	sleep 0.3;
	$other->run('SELECT pg_advisory_unlock(42)');
	is($session->receive->{state}, '00000', '    it ends');
	$session->run('RESET migrate.scratch_lock_timeout');
	is($third->receive->{out}, "5\n", '    and the next has its turn');
	is($session->value('SELECT count(*) FROM public.live'), 0, '    the others\' work is done');
	$third->finish;
}

# Live objects are hidden from look-ups by name alone, also those in use.
{
	$session->run('CREATE FUNCTION public.known() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
		'ALTER TABLE public.live ADD CONSTRAINT positive CHECK (id > 0)',
		'CREATE INDEX by_body ON public.live (body)');
	my $before = census($session);
	my $looks = q{SELECT concat_ws(' ', (SELECT count(*) FROM pg_class WHERE relname IN ('live',}
	  . q{ 'seen', 'by_body')), (SELECT count(*) FROM pg_type WHERE typname IN ('mood', 'live')),}
	  . q{ (SELECT count(*) FROM pg_proc WHERE proname = 'known'), (SELECT count(*) FROM}
	  . q{ pg_constraint WHERE conname = 'positive'), (SELECT count(*) FROM pg_tables WHERE}
	  . q{ tablename = 'live'), (SELECT count(*) FROM information_schema.columns}
	  . q{ WHERE table_name = 'live'))};
	like($session->value(scratch([], $looks)),
		qr/^3 2 1 1 1 /, 'not hidden: live objects are seen');
	is($session->value(scratch([], $looks, hide => 1)), '0 0 0 0 0 0', 'hidden: none is');
	my $once = q{DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_tables WHERE tablename = 'live') THEN}
	  . q{ CREATE TABLE live (id int CONSTRAINT positive CHECK (id > 1)); END IF; IF NOT EXISTS}
	  . q{ (SELECT FROM pg_type WHERE typname = 'mood') THEN CREATE TYPE mood AS ENUM (); END IF;}
	  . q{ END $$};
	is($session->value(scratch($once, $looks, hide => 1)), '1 2 0 1 1 1',
		'    so what is not there is created');
	$session->run(q{INSERT INTO public.live (id, body) VALUES (100, 'x')});
	is( $session->value('SELECT id, '
			  . scratch($once, $looks, hide => 1) =~ s/^SELECT //r
			  . ' FROM public.live WHERE known() = 1'),
		'100|1 2 0 1 1 1', '    also for a query that has the table open');
	$session->run('BEGIN', 'LOCK TABLE public.live', q{UPDATE public.live SET body = 'y'},
		'DECLARE c CURSOR FOR SELECT body FROM public.live', 'MOVE 0 IN c');
	is($session->value(scratch($once, $looks, hide => 1)),
		'1 2 0 1 1 1', '    and beside a cursor');
	is($session->value('FETCH c'), 'y', '    which goes its way');
	is($session->query('INSERT INTO public.live (id) VALUES (-1)')->{state}, '23514',
		'    and the table is as before');
	$session->run('ROLLBACK');
	is(census($session), $before, '    nothing is left');

	# what that costs others
	$other->run('SELECT pg_advisory_lock(42)');
	$session->run(q{SET migrate.scratch_lock_timeout = '60s'});
	$session->send(scratch($once, $gate, hide => 1));
	ok(wait_for_lock($session->{pid}, 'advisory'), 'hidden: others');
	my $third = connect_to($db, options => '-c lock_timeout=1000');
	for ('SELECT count(*) FROM public.live', q{INSERT INTO public.live (body) VALUES ('second')},
		'CREATE TABLE public.another (a int)', 'DROP TABLE public.another')
	{
		my $result = $third->query($_);
		is($result->{state}, '00000', "    meanwhile: $_") or diag $result->{err};
	}
	is($third->query('ALTER TABLE public.live ADD COLUMN other int')->{state},
		'55P03', '    but ALTER TABLE waits');
	$other->run('SELECT pg_advisory_unlock(42)');
	is($session->receive->{state}, '00000', '    it ends');
	$third->finish;

	# others change what is to be hidden
	$other->run('BEGIN', 'ALTER TABLE public.live ADD COLUMN other int');
	$session->send(scratch($once, $looks, hide => 1));
	ok(wait_for_lock($session->{pid}), '    an ALTER TABLE is waited for');
	$other->run('COMMIT');
	is($session->receive->{out}, "1 2 0 1 1 1\n", '    then all is hidden');

	# who waits for what is hidden already, and is waited for
	$session->run('CREATE TABLE public.early (a int)', q{SET deadlock_timeout = '2s'});
	$other->run(q{SET deadlock_timeout = '60s'});
	my $order = q{SELECT string_agg(relname, ' ' ORDER BY ctid) FROM pg_class}
	  . q{ WHERE relname IN ('early', 'live')};
	my ($first, $last) = split ' ', $session->value($order);
	$other->run('BEGIN', "ALTER TABLE public.$last ADD COLUMN third int");
	$session->send(scratch($once, $looks, hide => 1));
	ok(wait_for_lock($session->{pid}), '    another ALTER TABLE is waited for');
	is($other->query("ALTER TABLE public.$first ADD COLUMN fourth int")->{state},
		'00000', '    it waits for us, and is not stopped for that');
	$other->run('ROLLBACK');
	is($session->receive->{out}, "1 2 0 1 1 1\n", '    but all is hidden in the end');
	$session->run('DROP TABLE public.early', 'RESET deadlock_timeout');
	$other->run('RESET deadlock_timeout');
	$session->run('RESET migrate.scratch_lock_timeout', 'DROP FUNCTION public.known()',
		'ALTER TABLE public.live DROP COLUMN other, DROP CONSTRAINT positive',
		'DROP INDEX public.by_body', 'TRUNCATE public.live');
}

# Others change what the scratch has to change.
for my $how ('COMMIT', 'ROLLBACK')
{
	$other->run('BEGIN', 'GRANT USAGE ON SCHEMA public TO scratch_other');
	$session->send(scratch('CREATE TABLE x (a int)', 'SELECT count(*) FROM x'));
	ok(wait_for_lock($session->{pid}), "a GRANT on the schema is waited for, to its $how");
	$other->run($how);
	my $result = $session->receive;
	is($result->{out}, "0\n", '    then the scratch is entered') or diag $result->{err};
}
$session->run('REVOKE ALL ON SCHEMA public FROM scratch_other');
{
	$other->run('BEGIN', 'GRANT USAGE ON SCHEMA public TO scratch_other');
	$session->run('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1');
	$session->send(scratch([]));
	ok(wait_for_lock($session->{pid}), 'with a snapshot of the transaction');
	$other->run('COMMIT');
	is($session->receive->{state}, '40001', '    it is a serialization failure');
	$session->run('ROLLBACK', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1');
	$other->run('REVOKE ALL ON SCHEMA public FROM scratch_other');
	is($session->query(scratch([]))->{state}, '40001', '    also when it was before the scratch');
	$session->run('ROLLBACK');

	$other->run('BEGIN', 'GRANT USAGE ON SCHEMA public TO scratch_other');
	my $result = $session->query(q{SET migrate.scratch_lock_timeout = '200ms'; } . scratch([]));
	is($result->{state}, '55P03', 'no longer than migrate.scratch_lock_timeout');
	like($result->{err}, qr/HINT:.*migrate\.scratch_lock_timeout/, '    which is named');
	$other->run('ROLLBACK');
	$session->run('RESET migrate.scratch_lock_timeout');
}

# Cancelled and terminated, in each phase.
{
	my $blocker = connect_to($db);
	my $before = census($other);
	# name, what the blocker does, what is run, how one knows that it waits
	my @phases = (
		[   'waiting for another scratch',
			[ 'BEGIN', 'SELECT pg_advisory_xact_lock(1835624306, 3)' ],
			scratch([]), "wait_event = 'Extension'" ],
		[   'entering',
			[ 'BEGIN', 'GRANT USAGE ON SCHEMA public TO scratch_other' ],
			scratch([]), "wait_event_type = 'Lock'" ],
		[   'in a function of a model', ['BEGIN'],
			scratch('CREATE TABLE x (a serial); INSERT INTO x DEFAULT VALUES;'
				  . q{ SELECT pg_advisory_lock(3); SELECT set_config('work_mem', '9MB', false),}
				  . ' pg_sleep(30)'), "wait_event = 'PgSleep'" ],
		[   'in DDL of a model', [ 'BEGIN', 'LOCK TABLE apart.published' ],
			scratch('CREATE TABLE x (a serial); ALTER TABLE apart.published ADD b int'),
			"wait_event_type = 'Lock'" ],
		[   'in the query', ['BEGIN'],
			scratch('CREATE TABLE x (a serial)', 'SELECT pg_sleep(30)'),
			"wait_event = 'PgSleep'" ]);
	for my $phase (@phases)
	{
		my ($name, $does, $sql, $waits) = @$phase;
		for my $end (qw(cancel terminate))
		{
			my $victim = connect_to($db);
			$victim->run(q{SET migrate.scratch_lock_timeout = '30s'}, 'BEGIN', 'SAVEPOINT s');
			$blocker->run(@$does);
			$victim->send($sql);
			my $waited = wait_until(
				sub {
					return $other->value('SELECT count(*) FROM pg_stat_activity'
						  . " WHERE pid = $victim->{pid} AND $waits");
				},
				20);
			ok($waited, "$end, $name");
			$other->run("SELECT pg_${end}_backend($victim->{pid})");
			my $result = $victim->receive;
			if ($end eq 'cancel')
			{
				is($result->{state}, '57014', '    it is cancelled') or diag $result->{err};
				$blocker->run('ROLLBACK');
				$victim->run('ROLLBACK TO s');
				is($victim->value(scratch('CREATE TABLE x (a int)', 'SELECT count(*) FROM x')), 0,
					'    and the transaction can have another');
				is($victim->value('SHOW work_mem'), '4MB', '    with the settings of before');
				is( $victim->value(
						q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}
						  . q{ AND pid = pg_backend_pid()}),
					0, '    and no lock of the session');
				$victim->run('COMMIT');
			}
			else
			{
				ok($victim->{dead}, '    it is gone');
				$blocker->run('ROLLBACK');
			}
			$victim->finish;
			is(census($other), $before, '    and nothing is left');
			is( $other->value(
					q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 3}),
				0, '    not even the key');
		}
	}
	$blocker->finish;
}

$_->finish for $session, $other;

# ------------------------------------------------------------- plain user ----

{
	my $own = database('mig_scratch_plain', owner => 'scratch_plain');
	my $admin = connect_to($own);
	$admin->run('ALTER SCHEMA public OWNER TO scratch_plain',
		'REVOKE CREATE ON SCHEMA public FROM PUBLIC')
	  if $version < 15;
	$admin->run('CREATE EXTENSION hstore SCHEMA public',
		'REVOKE ALL ON FUNCTION public.hstore_in(cstring) FROM PUBLIC');
	$admin->run('CREATE ROLE scratch_team', 'GRANT scratch_team TO scratch_plain');
	$admin->run(q{CREATE FUNCTION t.e() RETURNS event_trigger LANGUAGE plpgsql AS}
		  . q{ $$ BEGIN RAISE EXCEPTION 'fired'; END $$},
		'CREATE EVENT TRIGGER foreign_one ON ddl_command_start EXECUTE FUNCTION t.e()');
	my $plain = connect_to($own, user => 'scratch_plain');
	my $before = census($admin);
	my $dump = <<'SQL';
SET SESSION AUTHORIZATION scratch_other;
RESET SESSION AUTHORIZATION;
CREATE SCHEMA more AUTHORIZATION scratch_other;
COMMENT ON EXTENSION plpgsql IS 'other';
CREATE TABLE public.two (a int, b int);
CREATE TABLE public.t (a serial PRIMARY KEY);
ALTER TABLE public.t OWNER TO scratch_other;
ALTER TABLE public.t_a_seq OWNER TO scratch_other;
CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
ALTER FUNCTION public.f(int) OWNER TO postgres;
CREATE TYPE public.e AS ENUM ('a');
ALTER TYPE public.e OWNER TO scratch_team;
GRANT SELECT ON public.t TO scratch_other;
ALTER DEFAULT PRIVILEGES FOR ROLE scratch_other IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO scratch_other;
REVOKE ALL ON FUNCTION public.hstore_in(cstring) FROM PUBLIC;
GRANT ALL ON FUNCTION public.hstore_in(cstring) TO scratch_other;
CREATE FUNCTION public.fire() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER foreign_one ON ddl_command_start EXECUTE FUNCTION public.fire();
ALTER EVENT TRIGGER foreign_one OWNER TO postgres;
COMMENT ON EVENT TRIGGER foreign_one IS 'it';
ALTER EVENT TRIGGER foreign_one DISABLE;
CREATE AGGREGATE public.total(int) (SFUNC = int4pl, STYPE = int);
ALTER AGGREGATE public.total(int) OWNER TO scratch_other;
CREATE COLLATION public.c FROM "C";
ALTER COLLATION public.c OWNER TO scratch_other;
CREATE CONVERSION public.l FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
ALTER CONVERSION public.l OWNER TO scratch_other;
CREATE DOMAIN public.d AS int;
ALTER DOMAIN public.d OWNER TO scratch_other;
CREATE OPERATOR public.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
ALTER OPERATOR public.=== (int, int) OWNER TO scratch_other;
CREATE PROCEDURE public.p() LANGUAGE sql AS 'SELECT 1';
ALTER PROCEDURE public.p() OWNER TO scratch_other;
ALTER ROUTINE public.p() OWNER TO scratch_other;
CREATE STATISTICS public.st (ndistinct) ON a, b FROM public.two;
ALTER STATISTICS public.st OWNER TO scratch_other;
CREATE TEXT SEARCH DICTIONARY public.di (TEMPLATE = simple);
ALTER TEXT SEARCH DICTIONARY public.di OWNER TO scratch_other;
CREATE TEXT SEARCH CONFIGURATION public.co (PARSER = "default");
ALTER TEXT SEARCH CONFIGURATION public.co OWNER TO scratch_other;
CREATE VIEW public.v AS SELECT 1 AS a;
ALTER VIEW public.v OWNER TO scratch_other;
CREATE MATERIALIZED VIEW public.mv AS SELECT 1 AS a;
ALTER MATERIALIZED VIEW public.mv OWNER TO scratch_other;
CREATE PUBLICATION wide FOR ALL TABLES;
ALTER PUBLICATION wide OWNER TO postgres;
CREATE PUBLICATION pu FOR TABLE public.two;
ALTER PUBLICATION pu OWNER TO scratch_other;
ALTER SCHEMA more OWNER TO scratch_other;
SQL
	my $result = $plain->query(scratch($dump,
			q{SELECT string_agg(DISTINCT proowner::regrole::text, ',') FROM pg_proc}
			  . q{ WHERE pronamespace = 'public'::regnamespace AND proname IN ('f', 'p')}));
	is($result->{state}, '00000', 'the owner of the database, who is no superuser, runs a dump')
	  or diag $result->{err};
	is($result->{out}, "scratch_plain\n", '    what it cannot give away remains its own');
	like($plain->value(scratch($dump, 'notes')),
		qr/owners scratch_other,postgres,scratch_team$/, '    and the roles are noted');
	is(census($admin), $before, '    and nothing is left');
	$_->finish for $plain, $admin;
}

# ------------------------------------------------------------ real schemas ----

# What there is in public, for people; the same inside and outside.
my $reader = <<'SQL';
SELECT string_agg(x, E'\n' ORDER BY x COLLATE "C") FROM (
	SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod),
		attnotnull, attidentity, attcollation::regcollation, pg_get_expr(adbin, adrelid))
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
		LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
	WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
	UNION ALL SELECT concat_ws(' ', 'relation', oid::regclass, relkind, relowner::regrole, relacl)
	FROM pg_class WHERE relnamespace = 'public'::regnamespace
	UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid
	WHERE relnamespace = 'public'::regnamespace
	UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
	FROM pg_constraint WHERE connamespace = 'public'::regnamespace
	UNION ALL SELECT concat_ws(' ', oid::regclass, pg_get_viewdef(oid)) FROM pg_class
	WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
	UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc
	WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
	UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
	WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal
	UNION ALL SELECT concat_ws(' ', 'label', enumtypid::regtype, enumlabel, rank() OVER
		(PARTITION BY enumtypid ORDER BY enumsortorder))
	FROM pg_enum JOIN pg_type t ON t.oid = enumtypid WHERE typnamespace = 'public'::regnamespace
	UNION ALL SELECT concat_ws(' ', 'comment', description, classoid::regclass)
	FROM pg_description d WHERE objoid IN (SELECT oid FROM pg_class
		WHERE relnamespace = 'public'::regnamespace)) AS all_of_it (x)
SQL

SKIP:
{
	my $data = $ENV{MIGRATE_SHARED_DATA};
	skip 'no shared data', 1 unless defined $data;
	for my $file (sort glob "$data/schemas/*.sql")
	{
		my ($name) = $file =~ m{([^/]+)\.sql$};
		my $sql = slurp($file);
		my $real = database('mig_scratch_real');
		my $one = connect_to($real);
		my ($missing) = grep {
			$one->value("SELECT count(*) FROM pg_available_extensions WHERE name = '$_'") == 0
		} $sql =~ /^CREATE EXTENSION (?:IF NOT EXISTS )?(\w+)/mg;
		if ($missing)
		{
			# the name and the type that it is wanted for are enough
			note("$name: without $missing");
			$sql =~ s/^(?:CREATE|COMMENT ON) EXTENSION [^;]*\b$missing\b[^;]*;//mg;
			$sql =~ s/\bpublic\.geometry\(\w+,\d+\)/text/g;
			$file = spew("$dir/$name.sql", $sql);
		}
		$one->run(q{SET search_path = ''});
		my $empty = $one->query(scratch($sql, $reader));
		is($empty->{state}, '00000', "$name: runs in an empty schema") or diag $empty->{err};
		my ($status, undef, $err) = run_psql($real, '', '-f', $file);
		is($status, 0, '    it is loaded') or diag $err;
		my $before = census($one);
		my $live = $one->query($reader);
		ok($live->{out} eq $empty->{out}, '    what was declared was the same');
		my $over = $one->query(scratch($sql, $reader));
		is($over->{state}, '00000', '    it runs over what is there') or diag $over->{err};
		ok($over->{out} eq $live->{out}, '    and makes the same');
		is(census($one), $before, '    and nothing is left');
		$one->finish;
	}
}

# ------------------------------------------------------- a full lock table ----

drop_databases();
$server->stop;
{
	$server = MigrateServer->create(
		settings => [ 'max_connections = 10', 'max_locks_per_transaction = 10',
			'autovacuum = off', 'max_prepared_transactions = 0' ]);
	$server->use;
	my $full = database('mig_scratch_full');
	my $one = connect_to($full);
	$one->run('CREATE TABLE public.live (a int)', 'BEGIN', 'SAVEPOINT s');
	my $before = census($one);
	my $model = join ';', map { "CREATE TABLE t$_ (a serial PRIMARY KEY, b text UNIQUE)" } 1 .. 400;
	my $result = $one->query(scratch($model));
	is($result->{state}, '53200', 'a full lock table');
	like($result->{err}, qr/HINT:.*Increase max_locks_per_transaction\./, '    with a hint');
	$one->run('ROLLBACK TO s');
	is($one->value(scratch('CREATE TABLE live (x serial)', 'SELECT count(*) FROM live')), 0,
		'    and the transaction can have a smaller one');
	is(census($one), $before, '    and nothing is left');
	$one->finish;
	drop_databases();
}

# ---------------------------------------------------------------- pgaudit ----

# An auditor that logs everything sees what scripts execute, and is not in the way.
chomp(my $pkglibdir = (run_program(tool('pg_config'), '--pkglibdir'))[1]);
SKIP:
{
	skip 'pgaudit is not installed', 1 unless -e "$pkglibdir/pgaudit.so";
	my $audited = MigrateServer->create(
		settings => [ "shared_preload_libraries = 'pgaudit'", q{pgaudit.log = 'all'},
			'max_connections = 10' ]);
	$audited->use;
	my $name = create_database('mig_scratch_audit');
	my $one = connect_to($name);
	my $up = 'CREATE TABLE live (id serial PRIMARY KEY, body text);'
	  . q{ DO $$ BEGIN CREATE TABLE in_block (a int); END $$; INSERT INTO in_block VALUES (71)};
	$one->run(
		'CREATE EXTENSION pgaudit',
		q{SELECT migrate.configure('exclude', 'extension:pgaudit')},
		'SELECT migrate.revision(' . lit('first') . ', ' . lit($up) . q{, '', 'r1')},
		'SELECT migrate.upgrade()',
		'SELECT migrate.set_model(' . lit($up =~ s/body text/body varchar/r) . ')',
		'ALTER TABLE live ADD by_hand int');
	# what one call writes into the log, and that nothing else remains of it
	my $logged = sub {
		my ($sql, $state, $expected, $what) = @_;
		my @before = (census($one), schema_dump($name));
		my $from = length $audited->log_text;
		my $result = $one->query($sql);
		my $log = substr $audited->log_text, $from;
		is("$result->{state} $result->{out}", "$state $expected", "pgaudit: $what")
		  or diag $result->{err};
		is_deeply([ census($one), schema_dump($name) ], \@before, '    nothing is left');
		unlike($log, qr/stack|WARNING|PANIC|TRAP/, '    and nothing went wrong');
		like($log, qr/AUDIT: SESSION,\d+,1,READ,SELECT,,,"SELECT .*migrate\./,
			'    the log has the call');
		return $log;
	};
	my $rest = sub { return join '', map { "$_\n" } @_ };
	my $drift = 'SELECT action, object_identity FROM migrate.drift()';
	my $compare = 'SELECT action, object_identity FROM migrate.compare()';
	my @drifted = $rest->('create|public.live.by_hand');
	my @compared = $rest->('alter|public.live.body', 'drop|public.live.by_hand');
	my $block = qr/AUDIT: SESSION,\d+,\d+,DDL,CREATE TABLE,,,CREATE TABLE in_block/;
	my $rows = qr/AUDIT: SESSION,\d+,\d+,WRITE,INSERT,,,.*INSERT INTO in_block VALUES \(71\)/;
	my $plain = qr/AUDIT: .*CREATE TABLE live/;
	my $log;
	for ([ $compare, @compared, 'compare()' ], [ $drift, @drifted, 'drift()' ])
	{
		$log = $logged->($_->[0], '00000', $_->[1], $_->[2]);
		like($log, $block, '    what a block executes');
		like($log, $rows, '    and the rows that are written');
		unlike($log, $plain, '    but not the plain DDL, which has no effect');
	}
	$one->run('BEGIN');
	$logged->($compare, '00000', @compared, 'in a transaction');
	$logged->($drift, '00000', @drifted, '    twice');
	my $broken = 'CREATE TABLE broken (a int);'
	  . q{ DO $$ BEGIN CREATE TABLE in_block (a int); PERFORM 1/0; END $$};
	$one->run('COMMIT', 'SELECT migrate.set_model(' . lit($broken) . ')');
	$log = $logged->($compare, '22012', '', 'an error in a block');
	like($log, $block, '    what was executed before it');
	$log = $logged->($drift, '00000', @drifted, 'after an error');
	like($log, $rows, '    as before');
	$one->finish;
	drop_databases();
	$audited->stop('immediate');
}

# ---------------------------------------------------------------- standby ----

{
	my $primary = MigrateServer->create(settings => ['max_connections = 10']);
	$primary->use;
	my $name = database('mig_scratch_standby');
	my $standby = MigrateServer->create(standby_of => $primary);
	$standby->use;
	my $reader = connect_to($name);
	is($reader->query(scratch([]))->{state}, '25006', 'none on a standby');
	$reader->finish;
	$standby->stop;
	$primary->stop('immediate');
}

done_testing();
