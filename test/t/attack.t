#!/usr/bin/perl
#
# Traps.  Somebody who may create objects makes casts, operators, functions,
# types and tables that could be taken for the server's, and a superuser who
# finds them first in search_path calls every function of ours: none of the
# traps is sprung.  Then the tables' owner attaches code to them: it runs with
# the owner's rights, whoever calls.  And the owner changes the tables
# themselves: the server lives.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

my $dir = scratch_dir();
# a crash must not disturb other tests
my $server = MigrateServer->create(settings => ['max_prepared_transactions = 2'])->use;

run_psql('postgres', 'CREATE ROLE mallory LOGIN');

# ------------------------------------------------------------- the traps ----

# What a trap does: it says so, also when its error is caught.
my $spring = <<'SQL';
CREATE FUNCTION PLACE.spring(what text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE WARNING 'sprung: % as %', what, current_user;
	RAISE EXCEPTION 'sprung';
END $$
SQL

# Functions and operators of every name in pg_catalog, for arguments of plain
# types: where pg_catalog has polymorphic ones these fit better.
my $copies = <<'SQL';
DO $do$
DECLARE
	place text := 'PLACE';
	plain text[] := '{text,text[],name,varchar,bool,int2,int4,int8,float8,numeric,oid,regclass,'
		'timestamptz,interval,jsonb,inet,xid,bytea,bytea[],timestamptz[],float8[]}';
	kinds regtype[] := plain::regtype[];
	one record;
	arguments text;
	result text;
	operators int := 0;
BEGIN
	FOR one IN
		SELECT p.oid, proname::text AS name, p.proargtypes::oid[] AS types, prorettype, proretset,
			NULL::text AS operator
		FROM pg_proc p
		WHERE pronamespace = 'pg_catalog'::regnamespace AND pronargs <= 5
		UNION ALL
		SELECT p.oid, 'operator', array_remove(ARRAY[oprleft, oprright], 0::oid), prorettype,
			false, oprname::text
		FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
		WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprright <> 0
	LOOP
		one.types := ARRAY(SELECT CASE
				WHEN t IN ('anyarray'::regtype, 'anycompatiblearray'::regtype)
					THEN 'text[]'::regtype
				WHEN t IN ('anyelement'::regtype, 'anynonarray'::regtype,
					'anycompatible'::regtype, 'anycompatiblenonarray'::regtype,
					'"any"'::regtype) THEN 'text'::regtype
				ELSE t::regtype END
			FROM unnest(one.types) WITH ORDINALITY AS u (t, n) ORDER BY n);
		CONTINUE WHEN NOT one.types::regtype[] <@ kinds;
		result := CASE
			WHEN one.prorettype IN ('anyarray'::regtype, 'anycompatiblearray'::regtype)
				THEN 'text[]'
			WHEN one.prorettype IN ('anyelement'::regtype, 'anycompatible'::regtype) THEN 'text'
			WHEN one.prorettype = 'record'::regtype THEN 'text'
			ELSE format_type(one.prorettype, NULL) END;
		CONTINUE WHEN result <> 'void'
			AND (SELECT typtype FROM pg_type WHERE oid = result::regtype) = 'p';
		arguments := (SELECT string_agg(format_type(t, NULL), ', ' ORDER BY n)
			FROM unnest(one.types) WITH ORDINALITY AS u (t, n));
		IF one.operator IS NOT NULL THEN
			operators := operators + 1;
			one.name := 'operator_' || operators;
		END IF;
		BEGIN
			EXECUTE format('CREATE FUNCTION %I.%I(%s) RETURNS %s%s LANGUAGE plpgsql'
				' SET search_path = pg_catalog AS %L', place, one.name, arguments,
				CASE WHEN one.proretset THEN 'SETOF ' END, result,
				format('BEGIN PERFORM %I.spring(%L); RETURN%s; END', place,
					coalesce('operator ' || one.operator, one.name)
						|| '(' || coalesce(arguments, '') || ')',
					CASE WHEN NOT one.proretset AND result <> 'void' THEN ' NULL' END));
			IF one.operator IS NOT NULL THEN
				EXECUTE format('CREATE OPERATOR %I.%s (%s RIGHTARG = %s, FUNCTION = %I.%I)',
					place, one.operator,
					CASE WHEN cardinality(one.types) = 2
						THEN format('LEFTARG = %s,', format_type(one.types[1], NULL)) END,
					format_type(one.types[cardinality(one.types)], NULL), place, one.name);
			END IF;
		EXCEPTION WHEN duplicate_function THEN NULL;
		END;
	END LOOP;
END $do$
SQL

# Types named like the server's, and casts from and to types of the attacker's.
sub types
{
	my $place = shift;
	my @sql = (
		"CREATE FUNCTION $place.never(pg_catalog.text) RETURNS bool"
		  . " LANGUAGE plpgsql SET search_path = pg_catalog"
		  . " AS 'BEGIN PERFORM $place.spring(''domain''); RETURN false; END'",
		"CREATE TYPE $place.vt AS (v pg_catalog.text)",
		"CREATE TYPE $place.et AS ENUM ('0001', 'head')");
	for my $type (qw(text varchar bool int4 int8 name timestamptz interval regclass))
	{
		push @sql,
		  "CREATE DOMAIN $place.$type AS pg_catalog.$type CHECK"
		    . " ($place.never(VALUE::pg_catalog.text))";
	}
	for my $own ("$place.vt", "$place.vt[]", "$place.et")
	{
		for my $other (map { "pg_catalog.$_" }
			qw(text text[] varchar bool int4 int8 name timestamptz))
		{
			for my $direction ([ $own, $other ], [ $other, $own ])
			{
				my ($from, $to) = @$direction;
				next
				  if $own =~ /et$/ && $from =~ /text$|varchar|name/
				  || "$from$to" =~ /vt\[\].*text\[\]|text\[\].*vt\[\]/;
				my $name = 'c' . @sql;
				push @sql,
				  "CREATE FUNCTION $place.$name($from) RETURNS $to LANGUAGE plpgsql SET search_path"
				    . " = pg_catalog AS 'BEGIN PERFORM $place.spring(''cast $from to"
				  . " $to''); RETURN NULL; END'",
				  "CREATE CAST ($from AS $to) WITH FUNCTION $place.$name($from) AS IMPLICIT";
			}
		}
	}
	return @sql;
}

# Tables and views named like ours and like the server's.
my @tables =
  qw(revisions versions applied partial running steps models compared settings revisions_heads
  revision_data);
my @views = qw(log status progress);
sub tables
{
	my $place = shift;
	return (
		(map { "CREATE TABLE $place.$_ (revision pg_catalog.int4)" } @tables, @views),
		map {
			"CREATE VIEW $place.$_ AS SELECT '$_'::pg_catalog.text AS extname, $place.never('x')"
		} qw(pg_class pg_namespace pg_extension pg_proc pg_type pg_roles pg_authid pg_locks
		  pg_stat_activity pg_subscription pg_settings)
	);
}

sub set_traps
{
	my ($session, $place) = @_;
	$session->run(
		'SET search_path = pg_catalog',
		map({ s/PLACE/$place/gr } $spring, $copies),
		types($place), tables($place));
	return;
}

# Runs statements, each as [statement, expected state]; none springs a trap.
sub untouched
{
	my ($session, $what, @statements) = @_;
	for (@statements)
	{
		my ($sql, $state) = ref ? @$_ : ($_, '00000');
		my $result = $session->query($sql);
		(my $short = $sql) =~ s/\s+/ /g;
		my $name = "$what: " . substr $short, 0, 100;
		unlike($result->{err}, qr/sprung/, $name);
		is($result->{state}, $state, "$name: $state") or diag $result->{err};
	}
	return;
}

create_database('mig_attack', plain => 1);
my $admin = connect_to('mig_attack');
$admin->run('GRANT CREATE ON DATABASE mig_attack TO mallory',
	'GRANT ALL ON SCHEMA public TO mallory');
my $mallory = connect_to('mig_attack', user => 'mallory');
$mallory->run('CREATE SCHEMA evil');
set_traps($mallory, 'evil');
set_traps($mallory, 'public');
cmp_ok($mallory->value(q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'evil'::regnamespace}),
	'>', 1000, 'there are many traps');
cmp_ok(
	$mallory->value(
		q{SELECT count(*) FROM pg_operator WHERE oprnamespace = 'public'::regnamespace}),
	'>', 200,
	'of operators too');
$mallory->finish;

# The superuser's session.  What is in its pg_temp mallory made, as after SET
# ROLE in a pool of connections.
my $path = 'evil, public, pg_temp, pg_catalog';
$admin->run('SET SESSION AUTHORIZATION mallory', 'SET search_path = pg_catalog',
	"CREATE FUNCTION pg_temp.never(pg_catalog.text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN"
	  . " PERFORM evil.spring(''pg_temp''); RETURN false; END'",
	tables('pg_temp'),
	'RESET SESSION AUTHORIZATION',
	'GRANT USAGE ON SCHEMA evil TO PUBLIC',
	"SET search_path = $path");

# They work where they are not kept away from.
for my $sql (
	'SELECT now()',
	q{SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text},
	q{SELECT unnest('{a}'::pg_catalog.text[])},
	q{SELECT array_agg(v) FROM (VALUES ('a'::pg_catalog.text)) t (v)},
	q{SELECT 'a'::text},
	q{SELECT ROW('a')::evil.vt::pg_catalog.text},
	q{SELECT upper(ROW('a')::evil.vt)},
	'SELECT * FROM pg_class')
{
	like($admin->query($sql)->{err}, qr/sprung: .* as postgres$/m, "a trap works: $sql");
}

# ----------------------------------------------------------- the functions ----

untouched($admin, 'installing', 'CREATE EXTENSION migrate');

my $files = "$dir/files";
mkdir $files;
chmod 0755, $files;
# A file of ours.
sub file
{
	my ($id, $parents, $n, $more) = @_;
	return
		"-- file $id\n--\n-- Revision ID: $id\n-- Revises: $parents\n"
	  . ($more // '')
	  . "\n-- migrate:up\nCREATE TABLE app.t_$id (n pg_catalog.int4);\n-- $n\n\n--"
	  . " migrate:down\nDROP TABLE app.t_$id;\n";
}

# The same files for load_files and file_status.
sub sent
{
	return 'ARRAY['
	  . join(', ', map { 'pg_catalog.convert_to(' . lit($_) . ", 'UTF8')" } file('f1', '0004', 1),
		file('f2', 'f1', 2), file('f3', 'f2', 3))
	  . "], ARRAY['f1.sql', 'f2.sql', 'f3.sql']";
}
spew("$files/f1.sql", file('f1', '0004', 1));
mkdir "$dir/dbmate";
chmod 0755, "$dir/dbmate";
spew("$dir/dbmate/20240101_first.sql", "-- migrate:up\nSELECT 1;\n\n-- migrate:down\nSELECT 2;\n");

$admin->run(
	'CREATE SCHEMA app',
	'CREATE TABLE app.alembic_version (version_num pg_catalog.varchar(32) NOT NULL)',
	q{INSERT INTO app.alembic_version VALUES ('0001')});
my $array = 'pg_catalog.text[]';
# as for a function of the server's own: minor versions differ
my $no_internal = $admin->query('SELECT pg_catalog.numeric_avg_serialize(NULL)')->{state};
like($no_internal, qr/^(?:0A000|42883)$/, 'what takes "internal" cannot be called');
my @calls = (
	q{SELECT migrate.configure('revision_ids', 'serial')},
	q{SELECT migrate.configure('managed_schemas', 'app')},
	q{SELECT migrate.configure('managed_schemas', NULL)},
	q{SELECT migrate.revision('one', 'CREATE TABLE app.t1 (n pg_catalog.int4)',}
	  . q{ 'DROP TABLE app.t1')},
	q{SELECT migrate.revision('two', 'CREATE TABLE app.t2 (n pg_catalog.int4)',}
	  . q{ 'DROP TABLE app.t2', branch_label => 'side')},
	q{SELECT migrate.revision('three', 'CREATE TABLE app.t3 (n pg_catalog.int4)',}
	  . q{ 'DROP TABLE app.t3', head => '0001', splice => true)},
	q{SELECT migrate.merge()},
	q{SELECT migrate.drop('0004')},
	qq{SELECT migrate.merge('{0002,0003}'::$array)},
	'SELECT migrate.load_directory(' . lit("$dir/dbmate") . q{, 'dbmate')},
	q{SELECT migrate.edit('0004', message => 'a merge')},
	q{SELECT migrate.revision('five', '', '', 'other', head => 'base',}
	  . qq{ depends_on => '{0002}'::$array)},
	q{SELECT migrate.edit('0003', 'CREATE TABLE app.t3 (n pg_catalog.int8)')},
	q{SELECT migrate.revision('gone', rev_id => 'gone', head => 'other')},
	q{SELECT migrate.drop('gone')},
	'SELECT migrate.load_directory(' . lit($files) . q{, 'native')},
	'SELECT migrate.load_directory(' . lit($files) . ')',
	'SELECT migrate.load(' . lit(file('f2', 'f1', 1, "-- Branch Labels: lab\n")) . ", 'f2.sql')",
	'SELECT migrate.load(' . lit(file('f2', 'f1', 2)) . ')',
	'SELECT migrate.load(' . lit(file('f2', 'f1', 2)) . ')',
	map({ "SELECT * FROM migrate.$_" } 'file_status(' . sent() . ')', 'load_files(' . sent() . ')'),
	q{SELECT * FROM migrate.current()},
	'SELECT * FROM migrate.heads()',
	'SELECT * FROM migrate.bases()',
	'SELECT * FROM migrate.branches()',
	'SELECT migrate.pending()',
	q{SELECT migrate.pending('0003')},
	'SELECT * FROM migrate.history()',
	q{SELECT * FROM migrate.history('0001:0003')},
	map({ 'SELECT migrate.resolve(' . lit($_) . ')' } 'heads',
		'f2@head', '0003-1', 'side@0001+1', 'base', 'oth'),
	[ q{SELECT migrate.resolve('000')}, 'MG002' ],
	[ q{SELECT migrate.resolve('head')}, 'MG003' ],
	[ q{SELECT migrate.upgrade('nowhere')}, 'MG001' ],
	q{SELECT migrate.show('0003')},
	q{SELECT migrate.show('heads')},
	map({ "SELECT * FROM migrate.graph('$_')" } qw(text dot mermaid)),
	'SELECT * FROM migrate.status',
	q{SELECT migrate.export('0003')},
	q{SELECT migrate.file_name('0003')},
	q{SELECT migrate.script_checksum('x', true)},
	[ 'SELECT migrate.check()',           'MG004' ],
	[ 'SELECT migrate.check(lint => true)', 'MG004' ],
	'SELECT * FROM migrate.lint()',
	'SELECT * FROM migrate.lint_rules()',
	[ 'SELECT migrate.check_revisions()', 'MG004' ],
	q{SELECT * FROM migrate.rehearse('side@+2')},
	q{SELECT migrate.rehearsal_report('side@+2')},
	q{SELECT migrate.upgrade('side@+2')},
	q{SELECT migrate.upgrade('heads')},
	q{SELECT migrate.upgrade('heads')},
	'SELECT migrate.check()',
	q{SELECT migrate.configure('managed_schemas', 'app')},
	q{SELECT migrate.set_model('CREATE TABLE app.attacked (id pg_catalog.int4 PRIMARY KEY,
		t pg_catalog.text DEFAULT ''a'')')},
	# the server's types are named without their schema: the scripts have it searched first
	'SELECT * FROM migrate.diff_sql()',
	q{SELECT migrate.revision('attacked', rev_id => 'attacked', head => 'base',
		autogenerate => true, prove => false, renames => '{}')},
	[ q{SELECT migrate.revision('again', head => 'base', autogenerate => true)}, 'MG004' ],
	q{SELECT migrate.drop('attacked')},
	q{SELECT migrate.configure('managed_schemas', NULL)},
	q{SELECT migrate.set_model('CREATE TABLE public.attacked (id pg_catalog.int4 PRIMARY KEY,
		t pg_catalog.text DEFAULT ''a'')')},
	'SELECT * FROM migrate.compare()',
	[ 'SELECT * FROM migrate.drift()', '0A000' ],
	q{SELECT migrate.configure('managed_schemas', 'public, app')},
	q{SELECT * FROM migrate.compare('revisions')},
	'SELECT * FROM migrate.drift()',
	[ q{SELECT migrate.capture('captured')}, 'MG003' ],
	q{SELECT migrate.derive_downgrade('0001')},
	q{SELECT migrate.set_revision_data('0001', 'SELECT 1')},
	'SELECT * FROM migrate.runtests()',
	'SELECT * FROM migrate.test_single_head_revision()',
	'SELECT * FROM migrate.test_upgrade()',
	q{SELECT * FROM migrate.test_up_down_consistency(lowest => '0001')},
	q{SELECT * FROM migrate.test_model_definitions_match_ddl(skip => '{0003}')},
	'SELECT * FROM migrate.test_downgrade_leaves_no_trace()',
	q{SELECT migrate.schema_sql('revisions')},
	q{SELECT migrate.configure('managed_schemas', NULL)},
	[ 'SELECT migrate.create_all()', '55000' ],
	q{SELECT migrate.init_db('heads')},
	'SELECT migrate.schema_sql()',
	q{SELECT migrate.schema_sql('models')},
	[ 'SELECT migrate.check()', 'MG009' ],
	q{SELECT migrate.drop_model('default')},
	'SELECT * FROM migrate.status',
	'SELECT * FROM migrate.log',
	[ 'SELECT migrate.undo_steps(NULL, NULL, NULL, NULL)', '22004' ],
	# no SQL can
	[ 'SELECT migrate.undo_step(NULL, NULL, NULL, NULL, NULL)', $no_internal ],
	[ 'SELECT migrate.undone(NULL)',                            $no_internal ],
	q{SELECT migrate.downgrade('0003')},
	q{SELECT migrate.downgrade('other-1')},
	q{SELECT migrate.downgrade('base')},
	q{SELECT migrate.stamp('heads')},
	q{SELECT migrate.stamp('0001')},
	q{SELECT migrate.stamp('0002', purge => true)},
	qq{SELECT migrate.stamp('{0002,0003}'::$array)},
	q{SELECT migrate.stamp('base')},
	q{SELECT migrate.adopt_alembic('app.alembic_version')},
	q{SELECT migrate.stamp('base', purge => true)},
	q{SELECT migrate.upgrade_sql('heads')},
	q{SELECT migrate.upgrade_sql('0001:0003')},
	q{SELECT migrate.downgrade_sql('0002:base')},
	# what commits step by step
	q{SELECT migrate.revision('index', 'CREATE INDEX CONCURRENTLY ON app.t1 (n)',}
	  . q{ 'DROP INDEX CONCURRENTLY app.t1_n_idx', 'index', head => '0004', splice => true,}
	  . q{ transactional => false)},
	q{CALL migrate.upgrade_stepwise('heads')},
	q{CALL migrate.downgrade_stepwise('base')},
	q{SELECT migrate.drop('index')},
	[ q{SELECT migrate.resume('0001', 'again')}, '55000' ],
	'SELECT * FROM migrate.progress',
	q{SELECT migrate.revision('gone', rev_id => 'gone', head => 'base')},
	'SELECT migrate.load_files(' . sent() . ', prune => true)',
	# by hand: the trigger, the generated column, the CHECKs
	q{INSERT INTO migrate.revisions (revision, message) VALUES ('hand', 'by hand')},
	q{UPDATE migrate.revisions SET down_revisions = '{0001}'}
	  . q{ WHERE message OPERATOR(pg_catalog.=) 'by hand'},
	q{INSERT INTO migrate.settings VALUES ('exclude', 'x')},
	q{DELETE FROM migrate.settings},
	q{DELETE FROM migrate.revisions WHERE message OPERATOR(pg_catalog.=) 'by hand'});
untouched($admin, 'calling', @calls);
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	untouched(
		$admin,
		$level,
		"BEGIN ISOLATION LEVEL $level",
		q{SELECT migrate.upgrade('heads')},
		q{SELECT migrate.downgrade('base')},
		'SELECT migrate.current()',
		q{SELECT migrate.stamp('0001')},
		'ROLLBACK');
}

# Offline scripts call functions of ours, and psql runs them.
for my $sql (q{SELECT migrate.upgrade_sql('heads')}, q{SELECT migrate.downgrade_sql('base')})
{
	my $script = spew("$dir/script.sql", join "\n", $admin->rows($sql));
	local $ENV{PGOPTIONS} = '-c search_path=' . $path =~ s/ //gr;
	my ($status, $out, $err) = run_psql('mig_attack', '', '-f', $script);
	is($status, 0, "the script of $sql runs") or diag $err;
	unlike($err, qr/sprung/, 'and springs nothing');
}

my $called = join "\n", (map { ref ? $_->[0] : $_ } @calls), slurp("$dir/script.sql");
my @missing =
  grep { $called !~ /\bmigrate\.\Q$_\E\(/ }
  $admin->rows(
	q{SELECT DISTINCT proname OPERATOR(pg_catalog.||) '' FROM pg_catalog.pg_proc}
	  . q{ WHERE pronamespace OPERATOR(pg_catalog.=) 'migrate'::pg_catalog.regnamespace AND}
	  . q{ prorettype OPERATOR(pg_catalog.<>) 'pg_catalog.trigger'::pg_catalog.regtype}
  );
is("@missing", '', 'all functions of ours were called');

# A version table of mallory's: only a plain one is read.
my $version =
  int($admin->value(q{SELECT pg_catalog.current_setting('server_version_num')}) / 10000);
$admin->run('RESET search_path', q{SELECT migrate.stamp('base', purge => true)});
$mallory = connect_to('mig_attack', user => 'mallory');
$mallory->run(
	'SET search_path = pg_catalog',
	'CREATE FUNCTION evil.v() RETURNS text LANGUAGE plpgsql AS $$ BEGIN'
	  . ' PERFORM evil.spring(current_user::text); RETURN 1; END $$',
	'CREATE SCHEMA theirs',
	map { "CREATE $_" } 'VIEW theirs.a_view AS SELECT evil.v() AS version_num',
	'MATERIALIZED VIEW theirs.materialized AS SELECT evil.v() AS version_num WITH NO DATA',
	'TABLE theirs.composite (version_num evil.vt)',
	'TABLE theirs.enum (version_num evil.et)',
	'DOMAIN evil.plain AS pg_catalog.text',
	'TABLE theirs.domain (version_num evil.plain)',
	'TABLE theirs.parted (version_num text) PARTITION BY LIST (version_num)',
	'TABLE theirs.policies (version_num text)',
	'POLICY p ON theirs.policies USING (evil.v() IS NULL)',
	'TABLE theirs.plain (version_num varchar)');
$mallory->run(
	q{INSERT INTO theirs.composite VALUES (ROW('0001'))},
	q{INSERT INTO theirs.enum VALUES ('0001')},
	q{INSERT INTO theirs.domain VALUES ('0001')},
	q{INSERT INTO theirs.policies VALUES ('0001')},
	'ALTER TABLE theirs.policies ENABLE ROW LEVEL SECURITY',
	q{INSERT INTO theirs.plain VALUES ('0001')},
	'GRANT USAGE ON SCHEMA theirs, evil TO PUBLIC',
	'GRANT SELECT ON ALL TABLES IN SCHEMA theirs TO PUBLIC');
# What the planner evaluates: expressions with constants.
my @planned = ('predicate', 'expression', 'statistics', 'inherited');
$mallory->run(
	'CREATE FUNCTION evil.constant(n int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS'
	  . q{ $$ BEGIN IF current_user <> 'mallory' THEN PERFORM evil.spring(current_user::text);}
	  . q{ END IF;}
	  . ' RETURN true; END $$',
	(   map {
			(   "CREATE TABLE theirs.$_ (version_num varchar(32))",
				"INSERT INTO theirs.$_ VALUES ('0001')")
		} @planned),
	'CREATE INDEX ON theirs.predicate (version_num) WHERE evil.constant(1)',
	'CREATE INDEX ON theirs.expression (version_num, (evil.constant(1)))',
	'CREATE TABLE theirs.child () INHERITS (theirs.inherited)',
	'CREATE INDEX ON theirs.child (version_num) WHERE evil.constant(1)');
# 18 refuses functions of users there
push @planned, 'virtual' if $version >= 18;
$mallory->run('CREATE TABLE theirs.virtual (n int,'
	  . q{ version_num text GENERATED ALWAYS AS (repeat('0001', n)) VIRTUAL)},
	'INSERT INTO theirs.virtual VALUES (1)') if $version >= 18;
$mallory->run(
	'CREATE STATISTICS theirs.their_statistics ON (evil.constant(1)), version_num'
	  . ' FROM theirs.statistics'
) if $version >= 14;
$mallory->run(
	'CREATE STATISTICS theirs.of_expressions ON (version_num || (evil.constant(1))::text)'
	  . ' FROM theirs.statistics'
) if $version >= 14;
$mallory->run('GRANT SELECT ON ALL TABLES IN SCHEMA theirs TO PUBLIC');
$mallory->finish;
$admin->run(
	'CREATE ROLE mig_deployer LOGIN',
	'GRANT USAGE ON SCHEMA migrate TO mig_deployer',
	'GRANT EXECUTE ON FUNCTION migrate.adopt_alembic TO mig_deployer');
my $deployer = connect_to('mig_attack', user => 'mig_deployer');

for my $case (
	[ a_view       => '42809' ],
	[ materialized => '42809' ],
	[ composite    => '42804' ],
	[ enum         => '42804' ],
	[ domain       => '42804' ],
	[ parted       => '42809' ],
	[ plain        => '00000' ])
{
	untouched($_, 'adopting', [ "SELECT migrate.adopt_alembic('theirs.$case->[0]')", $case->[1] ])
	  for $admin, $deployer;
}
for my $table (@planned)
{
	my $state = $table eq 'virtual' ? '42809' : '00000';
	untouched($_, "adopting, $table", [ "SELECT migrate.adopt_alembic('theirs.$table')", $state ])
	  for $deployer, $admin;
}
like($deployer->query(q{SELECT version_num FROM theirs.predicate WHERE version_num = 'x'})->{err},
	qr/sprung: mig_deployer/, 'a trap works: the predicate of an index');
# a superuser is not subject to policies
untouched(
	$deployer, 'adopting',
	[ q{SELECT migrate.adopt_alembic('theirs.policies')}, '42501' ],
	[ 'SELECT * FROM theirs.plain', '00000' ]);
is($deployer->value('SHOW row_security'), 'on', 'row_security is as it was');
untouched($admin, 'adopting', [ q{SELECT migrate.adopt_alembic('theirs.policies')}, '00000' ]);
like(
	$deployer->query('SELECT * FROM theirs.policies')->{err},
	qr/sprung: mig_deployer/,
	'a trap works: the policy');
like(
	$admin->query('SELECT version_num::text FROM theirs.composite')->{err},
	qr/sprung: cast .* as postgres/,
	'a trap works: the cast');
$deployer->finish;

# The triggers are there for whom the owner lets write.
$admin->run(
	'RESET search_path',
	'CREATE ROLE mig_writer LOGIN',
	'GRANT USAGE ON SCHEMA migrate TO mig_writer',
	'GRANT ALL ON ALL TABLES IN SCHEMA migrate TO mig_writer');
my $writer = connect_to('mig_attack', user => 'mig_writer');
$writer->run("SET search_path = $path");
untouched(
	$writer,
	'another writer',
	q{INSERT INTO migrate.revisions (revision, message) VALUES ('hand', 'by hand')},
	q{DELETE FROM migrate.revisions WHERE message OPERATOR(pg_catalog.=) 'by hand'});
$_->finish for $writer, $admin;
drop_databases();

# --------------------------------------------------- whoever installs it ----

# The script runs as a superuser when a database's owner installs.
{
	create_database('mig_own', plain => 1, owner => 'mallory');
	run_psql('mig_own', 'ALTER SCHEMA public OWNER TO mallory');
	my $owner = connect_to('mig_own', user => 'mallory');
	$owner->run('CREATE SCHEMA evil');
	set_traps($owner, $_) for qw(evil public);
	$owner->run(
		"CREATE FUNCTION pg_temp.never(pg_catalog.text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN"
		  . " PERFORM evil.spring(''pg_temp''); RETURN false; END'",
		tables('pg_temp'));
	$owner->run("ALTER DATABASE mig_own SET search_path = $path", "SET search_path = $path");
	untouched(
		$owner,
		'the owner installs',
		'CREATE EXTENSION migrate',
		q{SELECT migrate.revision('one', '', '', '0001')},
		'SELECT migrate.upgrade()',
		'DROP EXTENSION migrate');
	$owner->finish;
	drop_databases();
}

# ------------------------------------------------ what the owner attaches ----

# The owner of the tables is mallory, who is no superuser; a superuser calls.
create_database('mig_owned', plain => 1, owner => 'mallory');
{
	my $owner = connect_to('mig_owned', user => 'mallory');
	$owner->run(
		'CREATE EXTENSION migrate', 'CREATE SCHEMA evil',
		map({ "SELECT migrate.revision('m', 'SELECT 1', 'SELECT 2', 'r$_')" } 1 .. 4),
		q{SELECT migrate.revision('side', '', '', 's1', head => 'r1', splice => true,}
		  . q{ branch_label => 'lab')},
		q{SELECT migrate.upgrade('r3')}, q{SELECT migrate.configure('revision_ids', 'serial')},
		# says as whom it runs, and tries to become somebody else
		<<'SQL',
CREATE FUNCTION evil.look() RETURNS bool LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	attempt text;
BEGIN
	RAISE WARNING 'ran as %', current_user;
	FOREACH attempt IN ARRAY ARRAY['SET ROLE postgres', 'SET LOCAL ROLE postgres', 'RESET ROLE',
		'SET SESSION AUTHORIZATION postgres', 'RESET SESSION AUTHORIZATION',
		'SET LOCAL search_path = evil', 'ALTER ROLE mallory SUPERUSER',
		$x$SELECT set_config('role', 'postgres', false)$x$,
		$x$SELECT set_config('session_authorization', 'postgres', false)$x$,
		'CREATE TEMPORARY TABLE pg_temp.mine (n int)',
		'DECLARE c CURSOR WITH HOLD FOR SELECT evil.look()'] LOOP
		BEGIN
			EXECUTE attempt;
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
		IF current_user <> 'mallory' THEN
			RAISE WARNING 'ESCAPED: %', attempt;
		END IF;
	END LOOP;
	RETURN true;
END $$
SQL
		q{CREATE FUNCTION evil.fixed(pg_catalog.text) RETURNS pg_catalog.text IMMUTABLE}
		  . q{ LANGUAGE plpgsql AS 'BEGIN PERFORM evil.look(); RETURN $1; END'},
		q{CREATE FUNCTION evil.on_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN}
		  . q{ PERFORM evil.look(); RETURN coalesce(NEW, OLD); END'},
		q{CREATE DOMAIN evil.checked AS text CHECK (evil.look())},
		q{CREATE TYPE evil.vt AS (v text)},
		q{CREATE FUNCTION evil.to_vt(text) RETURNS evil.vt LANGUAGE plpgsql AS 'BEGIN}
		  . q{ PERFORM evil.look(); RETURN ROW($1); END'},
		q{CREATE FUNCTION evil.from_vt(evil.vt) RETURNS text LANGUAGE plpgsql AS 'BEGIN}
		  . q{ PERFORM evil.look(); RETURN $1.v; END'},
		'CREATE CAST (text AS evil.vt) WITH FUNCTION evil.to_vt(text) AS ASSIGNMENT',
		'CREATE CAST (evil.vt AS text) WITH FUNCTION evil.from_vt(evil.vt) AS IMPLICIT');
	$owner->finish;
}

# One call of each function, in an order in which most do something.
my @each = (
	map({ "SELECT migrate.$_" } 'current()',
		'heads()',
		'bases()',
		'branches()',
		'pending()',
		'history()',
		q{resolve('heads')},
		q{show('r2')},
		'graph()',
		'check()',
		'lint()',
		'lint_rules()',
		q{export('r2')},
		q{file_name('r2')},
		q{upgrade_sql('heads')},
		q{downgrade_sql('base')},
		q{upgrade('r3')},
		q{upgrade('heads')},
		q{downgrade('r2')},
		q{stamp('r4')},
		q{stamp('r1', purge => true)},
		q{stamp(ARRAY['r4', 's1'])},
		q{revision('m', 'SELECT 1', '')},
		q{revision('m', head => 'r4', rev_id => 'new')},
		q{merge(ARRAY['r4', 's1'])},
		q{edit('s1', 'SELECT 3')},
		q{load(migrate.export('r2'))},
		'load('
		  . lit("-- m\n--\n-- Revision ID: f1\n-- Revises: r4\n\n-- migrate:up\nSELECT 1;\n") . ')',
		q{drop('f1')},
		q{configure('revision_ids', 'timestamp')},
		q{resume('r4', 'done')},
		q{begin_script('upgrade', ARRAY['r3'], ARRAY['r4'])},
		q{record('upgrade', 'r4')}));

# Each in a subtransaction, with what was put off.
sub as_superuser
{
	my $session = shift;
	my $calls = join ', ', map { lit($_) } @each;
	my $result = $session->query(<<"SQL");
DO \$do\$
DECLARE
	call text;
BEGIN
	FOREACH call IN ARRAY ARRAY[$calls] LOOP
		BEGIN
			RAISE LOG 'calling %', call;
			EXECUTE call;
			SET CONSTRAINTS ALL IMMEDIATE;
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
END \$do\$
SQL
	return $result->{err} . ($session->{dead} ? 'DEAD' : '');
}

# What mallory does, to be undone with the superuser's transaction: the
# results that were not expected.
sub owner_does
{
	my ($session, @statements) = @_;
	$session->query('BEGIN');
	$session->query('SET LOCAL SESSION AUTHORIZATION mallory');
	my @results = map { $session->query($_) } @statements;
	$session->query('RESET SESSION AUTHORIZATION');
	return grep { $_->{state} ne '00000' } @results;
}

{
	my $session = connect_to('mig_owned', options => '-c migrate.step_messages=off');
	my @attached;
	for my $table (@tables)
	{
		my %keys = (settings => 'name', models => 'name', compared => 'fingerprint');
		my $column = $keys{$table} // 'revision';
		push @attached,
		  [
			"a row trigger of $table",
			map({ "CREATE TRIGGER look_$_ $_ INSERT OR UPDATE OR DELETE"
			  . " ON migrate.$table FOR EACH ROW EXECUTE FUNCTION evil.on_row()"
				} qw(BEFORE AFTER))
		  ],
		  [
			"a statement trigger of $table",
			map({ "CREATE TRIGGER look_$_ $_ INSERT OR UPDATE OR DELETE"
			  . " ON migrate.$table EXECUTE FUNCTION evil.on_row()"
				} qw(BEFORE AFTER))
		  ],
		  [
			"a trigger that is put off, of $table",
			"CREATE CONSTRAINT TRIGGER look AFTER INSERT OR UPDATE OR DELETE"
			  . " ON migrate.$table DEFERRABLE INITIALLY DEFERRED"
			  . " FOR EACH ROW EXECUTE FUNCTION evil.on_row()"
		  ],
		  [ "a CHECK of $table", "ALTER TABLE migrate.$table ADD CHECK (evil.look()) NOT VALID" ],
		  [
			"a rule of $table",
			map({ "CREATE RULE look_$_ AS ON $_ TO migrate.$table DO ALSO SELECT evil.look()" }
				qw(INSERT UPDATE DELETE))
		  ],
		  [
			"a rule in place of writing $table",
			map({ "CREATE RULE look_$_ AS ON $_"
			  . " TO migrate.$table DO INSTEAD SELECT evil.look(), 1, 2, 3, 4"
				} qw(INSERT UPDATE DELETE))
		  ],
		  [
			"a policy of $table",
			"ALTER TABLE migrate.$table ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
			"CREATE POLICY look ON migrate.$table USING (evil.look()) WITH CHECK (evil.look())"
		  ],
		  [
			"an index of $table",
			"CREATE INDEX ON migrate.$table (evil.fixed($column)) WHERE evil.fixed($column) <> 'x'"
		  ],
		  [ "a default of $table",
			"ALTER TABLE migrate.$table ADD extra bool DEFAULT evil.look()" ],
		  [
			"a generated column of $table",
			"ALTER TABLE migrate.$table ADD extra text GENERATED ALWAYS"
			  . " AS (evil.fixed($column)) STORED"
		  ],
		  [
			"a child of $table",
			"CREATE TABLE evil.child () INHERITS (migrate.$table)",
			"CREATE INDEX ON evil.child (evil.fixed($column)) WHERE evil.fixed('x') <> 'x'"
		  ],
		  $version < 14 ? ()
		  : [
			"statistics of $table",
			"CREATE STATISTICS migrate.look ON (evil.fixed('x')), (evil.fixed($column))"
			  . " FROM migrate.$table"
		  ],
		  $version < 18 ? ()
		  : [
			"a virtual column of $table",
			"ALTER TABLE migrate.$table ADD extra text GENERATED ALWAYS AS (lower($column)) VIRTUAL"
		  ],
		  [
			"a view in place of $table",
			"ALTER EXTENSION migrate DROP TABLE migrate.$table",
			"ALTER TABLE migrate.$table RENAME TO the_$table",
			"CREATE VIEW migrate.$table AS SELECT * FROM migrate.the_$table WHERE evil.look()"
		  ];
	}
	push @attached, map({
			my $type = $_;
			map {
				[
					"$type as the type of $_->[0].$_->[1]",
					(map { "DROP VIEW migrate.$_" } @views),
					"ALTER TABLE migrate.$_->[0] ALTER $_->[1] DROP DEFAULT,"
					  . " ALTER $_->[1] TYPE $type USING $_->[1]::$type"
				]
			  } [qw(revisions message)], [qw(revisions downgrade_sql)], [qw(applied how)],
			  [qw(steps effective_role)], [qw(settings value)]
	} qw(evil.checked evil.vt));
	# what the owner of functions can do with them
	my $each_routine = sub {
		my ($attribute) = @_;
		return <<"SQL";
DO \$\$ DECLARE routine regprocedure; BEGIN
	FOR routine IN SELECT oid FROM pg_proc
		WHERE pronamespace = 'migrate'::regnamespace AND prokind = 'f' LOOP
		EXECUTE format('ALTER FUNCTION %s $attribute', routine);
	END LOOP;
END \$\$
SQL
	};
	push @attached,
	  [
		'script_checksum replaced',
		q{CREATE OR REPLACE FUNCTION migrate.script_checksum(script text, transactional bool)}
		  . q{ RETURNS text IMMUTABLE STRICT LANGUAGE plpgsql AS}
		  . q{ 'BEGIN PERFORM evil.look(); RETURN ''x''; END'}
	  ],
	  [
		'forget_heads replaced',
		q{CREATE OR REPLACE FUNCTION migrate.forget_heads() RETURNS trigger LANGUAGE plpgsql}
		  . q{ AS 'BEGIN PERFORM evil.look(); RETURN NULL; END'}
	  ],
	  [
		'functions with a search_path',
		'CREATE FUNCTION evil.count(bigint) RETURNS bigint LANGUAGE plpgsql'
		  . q{ AS 'BEGIN PERFORM evil.look(); RETURN 1; END'},
		$each_routine->('SET search_path = evil, migrate, pg_catalog')
	  ],
	  map { [ "functions $_", $each_routine->($_) ] } 'SECURITY DEFINER', 'CALLED ON NULL INPUT',
	  'IMMUTABLE PARALLEL SAFE', 'SET role = mallory', 'SET session_authorization = mallory',
	  'SET row_security = off', 'SECURITY DEFINER SET search_path = evil, migrate';
	my $ran = 0;
	for (@attached)
	{
		my ($what, @statements) = @$_;
		my @failed =
		  owner_does($session, (map { "ALTER EXTENSION migrate DROP VIEW migrate.$_" } @views),
			@statements);
		is(scalar @failed, 0, "$what: is made") or diag $failed[0]{err};
		my $said = as_superuser($session);
		my %who = map { $_ => 1 } $said =~ /ran as (\w+)/g;
		$ran++ if %who;
		is_deeply([ grep { $_ ne 'mallory' } keys %who ], [],
			"$what: only with the owner's rights");
		unlike($said, qr/ESCAPED|DEAD/, "$what: and nowhere else");
		is($session->value('SELECT session_user || current_user'),
			'postgrespostgres', "$what: the superuser is one");
		is($session->value('SHOW search_path'), '"$user", public', "$what: with its settings");
		$session->run('ROLLBACK');
	}
	# What commits step by step cannot be undone.
	$session->finish;
	{
		create_database('mig_stepwise', plain => 1, owner => 'mallory', template => 'mig_owned');
		my $owner = connect_to('mig_stepwise', user => 'mallory');
		$owner->run(q{SELECT migrate.edit('r4', 'SELECT 1; SELECT 2', transactional => false)});
		for my $table (@tables)
		{
			$owner->run(
				"CREATE TRIGGER look BEFORE INSERT OR UPDATE OR DELETE"
				  . " ON migrate.$table FOR EACH ROW EXECUTE FUNCTION evil.on_row()",
				"ALTER TABLE migrate.$table ADD CHECK (evil.look())");
		}
		$owner->finish;
		my $superuser = connect_to('mig_stepwise', options => '-c migrate.step_messages=off');
		for my $call (q{upgrade_stepwise('heads')}, q{downgrade_stepwise('base')})
		{
			my $result = $superuser->query("CALL migrate.$call");
			is($result->{state}, '00000', $call) or diag $result->{err};
			my %who = map { $_ => 1 } $result->{err} =~ /ran as (\w+)/g;
			is_deeply([ keys %who ], ['mallory'], "$call: with the owner's rights");
			unlike($result->{err}, qr/ESCAPED/, "$call: and no others");
		}
		$superuser->finish;
	}
	$session = connect_to('mig_owned');
	note "$ran of " . @attached . ' ran';
	cmp_ok($ran, '>', @attached / 2, 'most of it does run');
	is($session->value(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}),
		'f', 'mallory is what mallory was');
	$session->finish;
}

# --------------------------------------------------- tables that are others ----

{
	my $session = connect_to('mig_owned', options => '-c migrate.step_messages=off');
	my @columns = map { [ split /\|/ ] } $session->rows(
		q{SELECT relname, attname, format_type(atttypid, NULL), attgenerated
		FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
		WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r' AND attnum > 0
		ORDER BY 1, attnum}
	);
	cmp_ok(scalar @columns, '>', 40, 'columns');
	# Nothing that depends on a column is left, so that it can be any.
	my @bare = (
		(map { "DROP VIEW migrate.$_" } @views),
		'DROP TRIGGER forget_heads ON migrate.revisions',
		'DROP TRIGGER forget_all_heads ON migrate.revisions',
		'DROP INDEX migrate.revisions_labelled_idx',
		(   map {
				my $table = $_;
				map { "ALTER TABLE migrate.$table DROP CONSTRAINT $_" }
				  $session->rows(
					"SELECT conname FROM pg_constraint"
					  . " WHERE conrelid = 'migrate.$table'::regclass AND contype <> 'n'"
				  )
			} @tables),
		# 13 cannot alter what was generated
		'ALTER TABLE migrate.revisions DROP checksum, ADD checksum text',
		'UPDATE migrate.revisions SET checksum = migrate.script_checksum(upgrade_sql,'
		  . ' upgrade_transactional)'
	);
	my @changed = [
		'without its keys',
		map({ ("INSERT INTO migrate.$_ "
					  . ($_ eq 'steps' ? 'OVERRIDING SYSTEM VALUE ' : '')
					  . "SELECT * FROM migrate.$_") } @tables)
	];
	for (@columns)
	{
		my ($table, $column, $type) = @$_;
		next if "$table.$column" eq 'steps.id';
		# a row that the other calls would meet
		my @row =
		  $table eq 'partial'
		  ? q{INSERT INTO migrate.partial (revision, direction, statements, statements_done,}
		    . q{ digest, in_doubt, started_at, intent) VALUES ('r4', 'upgrade', 2, 1, 'x', true,}
		  . q{ now(), 'x')}
		  : ();
		# what would be taken for an address, and what has one
		my ($to, $value) =
		  $type =~ /^(?:text|oid\[\])/
		  ? ('int8', '4242424242424242')
		  : ('text', q{repeat('x', 100)});
		push @changed,
		  [
			"$table.$column as $to",
			@row,
			"ALTER TABLE migrate.$table ALTER $column DROP DEFAULT,"
			  . " ALTER $column TYPE $to USING $value"
		  ],
		  [
			"$table.$column NULL",
			@row,
			"ALTER TABLE migrate.$table ALTER $column DROP NOT NULL",
			"UPDATE migrate.$table SET $column = NULL"
		  ];
	}
	push @changed, map { [ "no $_", "DROP TABLE migrate.$_ CASCADE" ],
		  # rows that come and go
		  [
			"now and then $_",
			"ALTER TABLE migrate.$_ RENAME TO the_$_",
			"SELECT setseed(0.42)",
			"CREATE VIEW migrate.$_ AS SELECT * FROM migrate.the_$_ WHERE random() < 0.7"
		  ]
	} @tables;
	for (@changed)
	{
		my ($what, @statements) = @$_;
		my ($failed) = owner_does(
			$session,
			(map { "ALTER EXTENSION migrate DROP VIEW migrate.$_" } @views),
			(map { "ALTER EXTENSION migrate DROP TABLE migrate.$_" } @tables),
			@bare, @statements);
		diag "$what: $failed->{err}" if $failed;
		my $said = $failed ? 'it was not made' : as_superuser($session);
		unlike($said, qr/DEAD|not made/, "$what: the server lives")
		  or diag $session->{dead} ? ($server->log_text =~ /LOG:  (calling .*)/g)[-1] : $said;
		if ($session->{dead})
		{
			wait_until(sub { !(run_psql('mig_owned', 'SELECT 1'))[0] }, 30);
			$session = connect_to('mig_owned', options => '-c migrate.step_messages=off');
		}
		else { $session->run('ROLLBACK') }
	}
	$session->finish;
}
is_deeply([ $server->log_text =~ /(.*was terminated by signal.*|TRAP:.*|PANIC:.*)/g ],
	[], 'nothing crashed');

drop_databases();
done_testing();
