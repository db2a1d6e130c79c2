#!/usr/bin/perl
#
# The tests of migrations that run in the server: migrate.test_*(), runtests() and
# set_revision_data().  What passes, what fails and with what explanation, what is skipped;
# as plain TAP and through pgTAP; and that nothing of it reaches the live schema.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use TAP::Parser;
use Test::More;

alarm 600;
END { local $?; drop_databases() }
own_roles(qw(mig_tests_owner mig_tests_other));

my $number = 0;
my $dir    = scratch_dir();

# A session in a new database with revisions, each [upgrade, downgrade, more arguments].
sub project
{
	my @revisions = @_;
	my $session   = connect_to(create_database('mig_tests_' . ++$number));
	my $n         = 0;
	for my $revision (@revisions)
	{
		my ($up, $down, @more) = @$revision;
		my $id   = sprintf '%04d', ++$n;
		my $more = join '', map {", $_"} @more;
		$session->run('SELECT migrate.revision('
			  . lit("step $n") . ', '
			  . lit($up) . ', '
			  . lit($down)
			  . ", '$id'$more)");
	}
	return $session;
}

# The output of a test, or the error.
sub tap
{
	my ($session, $call) = @_;
	my $result = $session->query("SELECT * FROM migrate.$call");
	return $result->{state} eq '00000' ? $result->{out} : "$result->{state} $result->{message}\n";
}

# What the test of the one call says of itself, and of each revision, one line each: "ok 0001",
# "not ok 0002", "skip 0003: why".
sub verdicts
{
	my $text = shift;
	my @lines;
	my $parser = TAP::Parser->new({ tap => $text });
	while (my $line = $parser->next)
	{
		next unless $line->is_test;
		my $name = $line->description =~ s/^- //r =~ s/^downgrade_leaves_no_trace: (\S+),.*/$1/r;
		push @lines, $line->has_skip
		  ? "skip $name: " . $line->explanation
		  : ($line->is_ok ? 'ok ' : 'not ok ') . $name;
	}
	push @lines, map {"parse error: $_"} $parser->parse_errors;
	return join "\n", @lines;
}

# ------------------------------------------------------------- all is well ----

{
	my $session = project(
		[   'CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,'
			  . ' name text NOT NULL, state varchar(8) CHECK (state IN (\'on\', \'off\')))',
			'DROP TABLE users' ],
		[   'CREATE TYPE mood AS ENUM (\'sad\', \'happy\'); ALTER TABLE users ADD COLUMN mood mood',
			'ALTER TABLE users DROP COLUMN mood; DROP TYPE mood' ],
		[ 'CREATE VIEW happy AS SELECT id FROM users WHERE mood = \'happy\'', 'DROP VIEW happy' ]);
	is( verdicts(tap($session, 'runtests()')),
		"ok single_head_revision\nok upgrade\nok up_down_consistency\n"
		  . "skip model_definitions_match_ddl: no model is declared\nok 0001\nok 0002\nok 0003",
		'all tests of a good history pass, under one plan');
	is(
		$session->value(
			q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace}),
		0,
		'    and leave nothing');
	is($session->value('SELECT count(*) FROM migrate.versions'), 0, '    and nothing is applied');
	is(
		$session->value(
				'SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()'
			  . ' AND mode <> \'AccessShareLock\' AND locktype <> \'virtualxid\''),
		0,
		'    and no lock is held');

	# wherever the database is
	$session->run(
		q{SELECT migrate.upgrade('0002')},
		q{INSERT INTO users (name) VALUES ('a')},
		'CREATE TABLE by_hand (id int)');
	my $before = schema_dump($session->value('SELECT current_database()'));
	my $rows   = $session->value('SELECT string_agg(xmin::text || ctid::text, $$ $$) FROM users');
	is(verdicts(tap($session, 'test_upgrade()')),
		'ok upgrade', 'the live position and live objects do not matter');
	is( verdicts(tap($session, 'test_downgrade_leaves_no_trace()')),
		"ok 0001\nok 0002\nok 0003",
		'    nor for the downgrades');
	is(schema_dump($session->value('SELECT current_database()')), $before, '    which stay');
	is($session->value('SELECT string_agg(xmin::text || ctid::text, $$ $$) FROM users'),
		$rows, '    with their rows');

	# models
	$session->run('SELECT migrate.set_model($$CREATE TYPE mood AS ENUM (\'sad\', \'happy\');'
		  . 'CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,'
		  . ' name text NOT NULL, state varchar(8) CHECK (state IN (\'on\', \'off\')), mood mood);'
		  . 'CREATE VIEW happy AS SELECT id FROM users WHERE mood = \'happy\'$$)');
	is( tap($session, 'test_model_definitions_match_ddl()'),
		"1..1\nok 1 - model_definitions_match_ddl\n",
		'what the revisions make is what the models declare, though a revision is pending');
	$session->run(q{SELECT migrate.set_model('CREATE TABLE more (id int)', 'more')});
	like(
		tap($session, 'test_model_definitions_match_ddl()'),
		qr/^not ok 1.*\n# To make .* have to:\n#   create table public\.more\n# SELECT .* writes/m,
		'    or not, and then how not');
	$session->run(q{SELECT migrate.set_model('SELECT 1 / 0', 'more')});
	like(
		tap($session, 'test_model_definitions_match_ddl()'),
		qr/^22012 division by zero/,
		'a model that fails is an error');
}

# ------------------------------------------------------------- single head ----

{
	my $session = project([ 'SELECT 1', '' ]);
	is( tap($session, 'test_single_head_revision()'),
		"1..1\nok 1 - single_head_revision\n",
		'one head');
	$session->run(q{SELECT migrate.revision('other', 'SELECT 2', '', '000a', 'base')});
	is(tap($session, 'test_single_head_revision()'), <<'TAP', 'two heads are named');
1..1
not ok 1 - single_head_revision
# The heads are "0001", "000a". Join them with migrate.merge().
TAP
	$session->run(q{SELECT migrate.merge(rev_id => '0002')});
	is( verdicts(tap($session, 'runtests()')),
		"ok single_head_revision\nok upgrade\nok up_down_consistency\n"
		  . "skip model_definitions_match_ddl: no model is declared\nok 0001\nok 000a\nok 0002",
		'a merged graph is walked in the order of a plan');
	my $none = project();
	is( verdicts(tap($none, 'runtests()')),
		join(
			"\n",
			'not ok single_head_revision',
			map {"skip $_: no revision is loaded"}
			  qw(upgrade up_down_consistency
			  model_definitions_match_ddl downgrade_leaves_no_trace)),
		'without revisions there is nothing to test, and that is no success');
}

# ------------------------------------------------------- scripts that fail ----

{
	my $session = project(
		[ 'CREATE TABLE t (a int)',                       'DROP TABLE t' ],
		[ "ALTER TABLE t ADD b int;\nUPDATE t SET b = c", 'ALTER TABLE t DROP b' ],
		[ 'CREATE INDEX ON t (a)',                        'DROP INDEX t_a_idx' ]);
	is(tap($session, 'test_upgrade()'), <<'TAP', 'an upgrade that fails: what, where and why');
1..1
not ok 1 - upgrade
# upgrade of revision "0002" failed: column "c" does not exist
# QUERY: UPDATE t SET b = c
# CONTEXT: revision "0002", upgrade script, statement 2, line 2
TAP
	is( verdicts(tap($session, 'test_downgrade_leaves_no_trace()')),
		join("\n",
			'ok 0001', 'not ok 0002',
			'skip 0003: it builds on revision "0002", which could not be run'),
		'    and what builds on it is not looked at');
	is( verdicts(tap($session, q{runtests(skip => '{0002}')})),
		join("\n",
			'ok single_head_revision',
			'ok upgrade',
			'ok up_down_consistency',
			'skip model_definitions_match_ddl: no model is declared',
			'ok 0001',
			'skip 0002: it is left out',
			'ok 0003'),
		'    unless it is left out');
	like(
		tap($session, q{test_upgrade(skip => '{0002}')}),
		qr/^# Revision "0002" is left out\.$/m,
		'    which is said');
}

{
	my $file = <<'SQL';
-- from a file
--
-- Revision ID: 0001
-- Revises:

-- migrate:up
CREATE TABLE t (a int);

-- migrate:down
DROP TABLE nothing;
SQL
	my $session = project();
	$session->run('SELECT migrate.load(' . lit($file) . q{, 'first.sql')});
	is(tap($session, 'test_up_down_consistency()'), <<'TAP', 'a downgrade that fails, in its file');
1..1
not ok 1 - up_down_consistency
# downgrade of revision "0001" failed: table "nothing" does not exist
# QUERY: DROP TABLE nothing
# CONTEXT: revision "0001", downgrade script, statement 1, line 1 (line 10 of file "first.sql")
TAP
}

{
	my $session = project([ 'CREATE TABLE t (a int)', 'SELECT 1' ]);
	like(
		tap($session, 'test_up_down_consistency()'),
		qr/^not ok 1 .*\n# upgrade of revision "0001" failed: relation "t" already exists$/m,
		'what a downgrade leaves is in the way of the next upgrade');
}

{
	my $session = project(
		[ 'CREATE TABLE a (a int)', 'DROP TABLE a' ],
		[ 'CREATE TABLE b (b int)', undef ],
		[ 'CREATE TABLE c (c int)', 'DROP TABLE c' ]);
	is(tap($session, 'test_up_down_consistency()'),
		<<'TAP', 'a revision that cannot be downgraded ends the way back');
1..1
ok 1 - up_down_consistency
# Downgraded down to revision "0002", which has no downgrade script.
TAP
	is( verdicts(tap($session, 'test_downgrade_leaves_no_trace()')),
		"ok 0001\nskip 0002: it cannot be downgraded\nok 0003",
		'    and only its own trace is unknown');
	is(tap($session, q{test_up_down_consistency(lowest => '0002')}),
		<<'TAP', 'lowest: the last one that stays');
1..1
ok 1 - up_down_consistency
# Downgraded down to revision "0002".
TAP
	is( verdicts(tap($session, q{test_downgrade_leaves_no_trace(lowest => '0002')})),
		"skip 0001: it is not above the lowest revision\nskip 0002: it is not above the lowest"
		  . " revision\nok 0003",
		'    likewise for traces');
	for my $case (
		[ q{skip => '{9}'},    'MG001' ],
		[ q{lowest => 'x'},    'MG001' ],
		[ q{skip => '{000}'},  'MG002' ],
		[ 'skip => NULL',      '22004' ],
		[ q{skip => '{NULL}'}, '22004' ],
		[ q{lowest => 'base'}, 'MG001' ])
	{
		like(tap($session, "runtests($case->[0])"), qr/^$case->[1] /, "$case->[0] is $case->[1]");
	}
}

# ------------------------------------------------------------------ traces ----

for my $case (
	[ 'a table',  'CREATE TABLE u (id int)',         '',         'drop table public.u' ],
	[ 'an index', 'CREATE INDEX t_name ON t (name)', 'SELECT 1', 'drop index t_name on public.t' ],
	[   'a column that is not there again',
		'ALTER TABLE t DROP name',
		'',
		'create column public.t.name' ],
	[   'another type', 'ALTER TABLE t ALTER id TYPE bigint',
		'',             'alter column public.t.id: type: bigint -> integer' ],
	[   'a default', 'ALTER TABLE t ALTER name SET DEFAULT $$x$$',
		'',          q{alter column public.t.name: default: 'x'::text -> none} ],
	[   'NOT NULL',
		'ALTER TABLE t ALTER name SET NOT NULL',
		'',
		qr/(?:alter column public\.t\.name: not_null: |drop constraint t_name_not_null)/
	],
	[   'a comment', q{COMMENT ON TABLE t IS 'about t'},
		'',          'alter table public.t: comment: about t -> none' ],
	[   'a function', 'CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 2$$',
		'',           'alter function public.f(): definition' ],
	[   'an enum value',
		q{ALTER TYPE e ADD VALUE 'c'},
		'', qq{alter enum public.e: labels: 'a', 'b', 'c' -> 'a', 'b'} ],
	[ 'a view', 'CREATE VIEW v AS SELECT id FROM t', '', 'drop view public.v' ],
	[   'a trigger',
		'CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION'
		  . ' suppress_redundant_updates_trigger()',
		'',
		'drop trigger tr on public.t' ],
	[ 'a sequence', 'CREATE SEQUENCE s', '', 'drop sequence public.s' ],
	[   'a hostile name',
		'CREATE TABLE "we""ird" ("co""l # SKIP x" int)',
		'', 'drop table public."we""ird"' ])
{
	my ($what, $up, $down, $trace) = @$case;
	my $session = project(
		[   'CREATE TABLE t (id int, name text); CREATE TYPE e AS ENUM (\'a\', \'b\');'
			  . 'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
			'DROP TABLE t;' . ' DROP FUNCTION f(); DROP TYPE e' ],
		[ $up, $down ]);
	my $tap = tap($session, 'test_downgrade_leaves_no_trace()');
	is(verdicts($tap), "ok 0001\nnot ok 0002", "$what: a trace") or diag $tap;
	$trace = ref $trace ? $trace : qr/\Q$trace\E/;
	like($tap, qr/^#   $trace/m, '    which is named');

	# what it says to do, done
	my ($missing) = $tap =~ /^# Statements that do[^\n]*\n(.*?)^# SELECT migrate\.edit/ms;
	if (ok(defined $missing, '    with the statements that are missing'))
	{
		$missing =~ s/^# ?//mg;
		$session->run(q{SELECT migrate.edit('0002', downgrade => }
			  . lit("$down;\n$missing" =~ s/^;//r)
			  . ')');
		is( verdicts(tap($session, 'test_downgrade_leaves_no_trace()')),
			"ok 0001\nok 0002",
			'    with which it passes') or diag $missing;
	}
	$session->run(q{SELECT migrate.edit('0002', downgrade => } . lit($down) . ')');
	my ($call) = $tap =~ /^# (SELECT migrate\.edit\(.*\)\)) writes/m;
	$session->run($call);
	is( verdicts(tap($session, 'test_downgrade_leaves_no_trace()')),
		"ok 0001\nok 0002",
		'    and with the downgrade that is derived');
}

{
	my $session = project(
		[   'CREATE TABLE t (a int, b int, c int); CREATE TABLE u (a int, b int)',
			'DROP TABLE t, u' ],
		[ 'ALTER TABLE t DROP b', 'ALTER TABLE t ADD b int' ]);
	is(tap($session, 'test_downgrade_leaves_no_trace()'),
		<<'TAP', 'the order of columns is only that');
1..2
ok 1 - downgrade_leaves_no_trace: 0001, step 1
ok 2 - downgrade_leaves_no_trace: 0002, step 2
# Only the order of columns is not as before, which no downgrade can restore: public.t.
TAP
}

# Schemas that the revisions make are theirs, managed or not.
{
	my $session = project(
		[ 'CREATE SCHEMA o; CREATE TABLE o.t (a int CONSTRAINT c CHECK (a IN (1, 2)))',
			'DROP SCHEMA o CASCADE' ],
		[ 'CREATE TABLE o.u (a int)', '' ],
		[   'ALTER TABLE o.t DROP CONSTRAINT c',
			'ALTER TABLE o.t ADD CONSTRAINT c CHECK (a = ANY (ARRAY[1, 2]))' ],
		[ q{DO 'BEGIN EXECUTE ''CREATE SCHEMA p''; END'}, '' ],
		[ 'DROP SCHEMA p', 'CREATE SCHEMA p' ],
		[ 'CREATE TEMP TABLE first (t text)', '' ]);
	my $tap = tap($session, 'test_downgrade_leaves_no_trace()');
	is(verdicts($tap), "ok 0001\nnot ok 0002\nok 0003\nnot ok 0004\nok 0005\nok 0006",
		'what is left in a schema that the revisions make is a trace');
	like($tap, qr/^#   drop table o\.u\n# Statements that do, [^\n]+\n.*^# DROP TABLE/ms,
		'    and named, with the statement');
	like($tap, qr/^# Schemas that are not managed: o\. When the setting /m,
		'    and why derive_downgrade() does not write it');
	$session->run(q{SELECT migrate.configure('managed_schemas', 'public, o, o, p, public')});
	is(verdicts(tap($session, 'test_downgrade_leaves_no_trace()')), verdicts($tap),
		'    likewise where they are managed');
	like($session->query(q{SELECT migrate.derive_downgrade('0002')})->{out},
		qr/^DROP TABLE o\.u;$/m, '    which writes it then, though a schema is listed twice');
}

{
	my $session = project(
		[ q{CREATE TABLE t (s varchar(5) CONSTRAINT c CHECK (s IN ('a', 'b')))}, 'DROP TABLE t' ],
		[   'ALTER TABLE t DROP CONSTRAINT c',
			q{ALTER TABLE t ADD CONSTRAINT c}
			  . q{ CHECK (((s)::text = ANY ((ARRAY['a'::character varying,}
			  . q{ 'b'::character varying])::text[])))}
		]);
	is( verdicts(tap($session, 'test_downgrade_leaves_no_trace()')),
		"ok 0001\nok 0002",
		'a text that the server prints otherwise is no trace');
}

{
	my $session = project(
		[   'CREATE EXTENSION citext; CREATE TABLE t (a citext)',
			'DROP TABLE t; DROP EXTENSION citext' ],
		[ 'CREATE INDEX i ON t (a)', 'DROP INDEX i' ],
		[ 'CREATE EXTENSION hstore', '' ]);
	my $tap = tap($session, 'test_downgrade_leaves_no_trace()');
	is(verdicts($tap), "ok 0001\nok 0002\nnot ok 0003", 'extensions that come, go and stay')
	  or diag $tap;
	like($tap, qr/^#   drop extension hstore$/m, '    are traces, too');
}

{
	my $session = project(
		[ q{CREATE TYPE e AS ENUM ('a')},      'DROP TYPE e' ],
		[ q{ALTER TYPE e ADD VALUE 'b'},       undef ],
		[ q{CREATE TABLE t (e e DEFAULT 'b')}, 'DROP TABLE t' ]);
	is( verdicts(tap($session, 'runtests()')),
		join("\n",
			'ok single_head_revision',
			'ok upgrade',
			'ok up_down_consistency',
			'skip model_definitions_match_ddl: no model is declared',
			'ok 0001',
			'skip 0002: it cannot be downgraded',
			'ok 0003'),
		'an enum value that one revision adds and the next one uses');
}

# -------------------------------------------------------- rows and excuses ----

{
	my $session = project(
		[ 'CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)', 'DROP TABLE t' ],
		[   q{DO $$ BEGIN IF NOT EXISTS (SELECT FROM t)}
			  . q{ THEN RAISE EXCEPTION 'nobody is there'; END IF; END $$},
			'' ],
		[ 'CREATE TABLE u (id int)', 'DROP TABLE u' ]);
	$session->run(
			q{SELECT migrate.revision('branch', 'CREATE TABLE w (id int)', 'DROP TABLE w', '000b',}
		  . q{ '0001', splice => true)});
	my $tap = tap($session, 'test_upgrade()');
	like(
		$tap,
		qr/^ok 1 - upgrade # SKIP upgrade of revision "0002" could not be run here: it needs /m,
		'a script that needs rows says nothing');
	like(
		$tap,
		qr/^# If it needs rows, give it some with migrate\.set_revision_data\(\)/m,
		'    and what helps');
	is( verdicts(tap($session, 'test_downgrade_leaves_no_trace()')),
		join("\n",
			'ok 0001',
			'skip 0002: upgrade of revision "0002" could not be run here: it needs rows: nobody'
			  . ' is there',
			'skip 0003: it builds on revision "0002", which could not be run',
			'ok 000b'),
		'    nor does what builds on it; what does not is looked at');
	$session->run(q{SELECT migrate.set_revision_data('0002', 'INSERT INTO t VALUES (1, 1)')});
	is( verdicts(tap($session, 'runtests()')),
		join("\n",
			'not ok single_head_revision',
			'ok upgrade',
			'ok up_down_consistency',
			'skip model_definitions_match_ddl: no model is declared',
			'ok 0001',
			'ok 0002',
			'ok 0003',
			'ok 000b'),
		'with rows it is tested');
	is($session->value('SELECT migrate.pending() LIMIT 1'), '0001', '    and is still not applied');
	$session->run(
		q{SELECT migrate.set_revision_data('0001', 'INSERT INTO t VALUES (1, 2)', 'after')});
	like(
		tap($session, 'test_upgrade()'), qr/\Qnot ok 1 - upgrade
# upgrade of revision "0002" failed: duplicate key value violates unique constraint "t_pkey"
# DETAIL: Key (id)=(1) already exists.
# QUERY: INSERT INTO t VALUES (1, 1)
# CONTEXT: data before revision "0002", statement 1, line 1\E/,
		'rows that do not fit are a failure, and whose');
	$session->run(
		q{SELECT migrate.set_revision_data('0001', NULL, 'after')},
		q{SELECT migrate.set_revision_data('0002', '')});
	is($session->value('SELECT count(*) FROM migrate.revision_data'),
		0, 'null and empty take rows away');
	for my $case (
		[ q{'0002', 'SELEC 1'},   '42601' ],
		[ q{'0002', 'COMMIT'},    'MG011' ],
		[ q{'0002', '', 'later'}, '22023' ],
		[ q{'zz', 'SELECT 1'},    'MG001' ],
		[ q{NULL, 'SELECT 1'},    '22004' ],
		[ q{'0002', '', NULL},    '22004' ])
	{
		is($session->query("SELECT migrate.set_revision_data($case->[0])")->{state},
			$case->[1], "set_revision_data($case->[0]) is $case->[1]");
	}
	$session->run(q{SELECT migrate.set_revision_data('000b', 'SELECT 1')},
		q{SELECT migrate.drop('000b')});
	is($session->value('SELECT count(*) FROM migrate.revision_data'),
		0, 'what is dropped takes its rows away');
}

for my $case (
	[ 'a row of the referenced table', 'INSERT INTO child VALUES (7)',                 1 ],
	[ 'a row that a query finds',      'INSERT INTO t (v) SELECT 1 / count(*) FROM t', 0 ],
	[   'a value that a query finds',
		q{INSERT INTO need (v) VALUES ((SELECT id FROM t WHERE id = 1))}, 1 ],
	[ 'no value', 'INSERT INTO need (v) VALUES (NULL)',                                0 ],
	[ 'STRICT',   'DO $$ DECLARE x int; BEGIN SELECT id INTO STRICT x FROM t; END $$', 1 ],
	[ 'ASSERT',   'DO $$ BEGIN ASSERT EXISTS (SELECT FROM t); END $$',                 1 ],
	[ 'EXECUTE of nothing',    'DO $$ BEGIN EXECUTE (SELECT v::text FROM t); END $$',  1 ],
	[ 'a missing table',       'DO $$ BEGIN PERFORM * FROM missing; END $$',           0 ],
	[ 'a script that commits', 'DO $$ BEGIN CREATE TABLE c1 (); COMMIT; END $$',       1 ],
	[   'a schema that is not managed',
		'CREATE SCHEMA IF NOT EXISTS mine; CREATE TABLE outside.x (id int)', 1 ],
	[   'what the server cannot',
		'ALTER TABLE t ALTER id TYPE bigint',
		0,
		'CREATE VIEW v AS SELECT id FROM t' ])
{
	my ($what, $up, $excused, $more) = @$case;
	my $session = project(
		[   'CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE need (v int NOT NULL);'
			  . 'CREATE TABLE child (t int REFERENCES t); '
			  . ($more // ''),
			undef ],
		[ $up, '' ]);
	$session->run('CREATE SCHEMA outside');
	my $tap = tap($session, 'test_upgrade()');
	like(
		$tap,
		$excused
		? qr/^ok 1 - upgrade # SKIP upgrade of revision "0002"/m
		: qr/^not ok 1 - upgrade$/m,
		"$what " . ($excused ? 'excuses' : 'does not excuse')) or diag $tap;
}

# ---------------------------------------------------- not in a transaction ----

{
	my $session = project(
		[ 'CREATE TABLE t (a int)', 'DROP TABLE t' ],
		[   'CREATE INDEX CONCURRENTLY i ON t (a); VACUUM t',
			'DROP INDEX CONCURRENTLY i',
			'transactional => false' ]);
	like(
		tap($session, 'test_upgrade()'),
		qr/^ok 1 - upgrade\n# The upgrade script of revision "0002" is not transactional, /m,
		'a script that is not transactional has its plain form');
	like(
		tap($session, 'test_upgrade()'),
		qr/In its plain form: CREATE INDEX CONCURRENTLY\. Left out: VACUUM\.$/m,
		'    and says which statements have none');
	like(
		tap($session, 'test_downgrade_leaves_no_trace()'),
		qr/^ok 2 - .*\n# The upgrade .*\n# The downgrade .* DROP INDEX CONCURRENTLY\.$/m,
		'    both ways');
}

# ------------------------------------------------------------------- pgTAP ----

{
	my $session = project(
		[ 'CREATE TABLE t (a int)',               'DROP TABLE t' ],
		[ 'CREATE TABLE IF NOT EXISTS u (a int)', '' ]);
	my $database = $session->value('SELECT current_database()');
	$session->run(
		'CREATE SCHEMA tap',
		'CREATE EXTENSION pgtap SCHEMA tap',
		q{SET search_path = public, tap},
		'CREATE SCHEMA mine',
		q{CREATE FUNCTION mine.test_mine() RETURNS SETOF text LANGUAGE sql}
		  . q{ AS 'SELECT ok(true, $$mine$$)'}
	);
	my $text = join "\n", $session->rows(q{SELECT * FROM runtests('migrate'::name)});
	like($text, qr/^1\.\.5$/m, 'the runner of pgTAP finds the five tests');
	unlike($text, qr/No tests run/, '    and counts what they return');
	like(
		$text,
		qr/^    not ok 2 - downgrade_\w+: 0002, step 2\n.*^    1\.\.2\n    # Looks like you /ms,
		'    right');
	like($text, qr/^# Looks like you failed 1 test of 5$/m, '    in sum');
	spew("$dir/tap.sql", <<'SQL');
SET search_path = public, tap;
SELECT plan(6);
SELECT * FROM migrate.test_single_head_revision();
SELECT ok(true, 'one of the user''s own');
SELECT * FROM migrate.test_upgrade();
SELECT * FROM migrate.test_downgrade_leaves_no_trace();
SELECT * FROM migrate.test_model_definitions_match_ddl();
SELECT * FROM finish();
SQL
	my (undef, $out) = run_psql($database, '', '-f', "$dir/tap.sql");
	my $parser = TAP::Parser->new({ tap => $out });
	$parser->run;
	is_deeply(
		[   $parser->tests_planned,
			$parser->tests_run,
			scalar $parser->passed,
			scalar $parser->failed,
			scalar $parser->skipped,
			scalar $parser->parse_errors ],
		[ 6, 6, 5, 1, 1, 0 ],
		'between tests of one\'s own, under a plan of pgTAP') or diag $out;
	is(verdicts(tap(connect_to($database), 'test_upgrade()')),
		'ok upgrade', 'without a plan of pgTAP it is TAP of its own');
}

# -------------------------------------------------- names, paths and rights ----

{
	my $session = project([ 'CREATE TABLE t (a int)', '' ]);
	$session->run(q{SELECT migrate.edit('0001', message => 'a # SKIP or # todo \\ "quoted"')});
	my $tap    = tap($session, 'test_downgrade_leaves_no_trace()');
	my $parser = TAP::Parser->new({ tap => $tap });
	$parser->run;
	is_deeply(
		[ scalar $parser->failed, scalar $parser->skipped, scalar $parser->todo ],
		[ 1,                      0,                       0 ],
		'a message cannot make a failure pass') or diag $tap;
	for my $path (q{''}, 'pg_temp, "$user", nowhere', 'pg_temp, public, pg_catalog')
	{
		$session->run(
			"SET search_path = $path",
			'CREATE TEMP TABLE IF NOT EXISTS t (a text)',
			q{SELECT migrate.edit('0001', 'CREATE TABLE public.t (a int)', 'DROP TABLE public.t')});
		is( verdicts(tap($session, 'runtests()')),
			join("\n",
				'ok single_head_revision',
				'ok upgrade',
				'ok up_down_consistency',
				'skip model_definitions_match_ddl: no model is declared',
				'ok 0001'),
			"search_path $path");
	}
	is($session->query('SELECT migrate.runtests() FROM pg_temp.t LIMIT 1')->{state},
		'00000', 'in a query');
	$session->run('BEGIN READ ONLY');
	like(tap($session, 'test_upgrade()'), qr/^25006 /, 'not in a read-only transaction');
	$session->run('ROLLBACK', 'BEGIN READ ONLY');
	is( tap($session, 'test_single_head_revision()'),
		"1..1\nok 1 - single_head_revision\n",
		'    where the graph will do');
	$session->run(
		'ROLLBACK',
		q{SET statement_timeout = '100ms'},
		q{SELECT migrate.edit('0001', 'SELECT pg_sleep(30)', '')});
	like(tap($session, 'test_upgrade()'),
		qr/^57014 /, 'a cancelled test is cancelled, and not a failure');
	$session->run('RESET statement_timeout',
		q{SELECT migrate.edit('0001', 'SELECT migrate.upgrade()', '')});
	like(
		tap($session, 'test_upgrade()'),
		qr/^not ok 1 - upgrade\n# upgrade of revision "0001" failed: migrate/m,
		'a script cannot move the database');
	is($session->value('SELECT count(*) FROM migrate.versions'), 0, '    and has not');
	$session->run(
		q{SELECT migrate.edit('0001', 'SELECT pg_terminate_backend(pg_backend_pid())', '')});
	isnt(tap($session, 'test_upgrade()'), '', 'a test whose session ends');
	my $again = connect_to($session->{database} // 'mig_tests_' . $number);
	is($again->value('SELECT count(*) FROM migrate.versions'), 0, '    leaves nothing');
}

{
	my $session = connect_to(create_database('mig_tests_rights', plain => 1));
	$session->run(
		'CREATE ROLE mig_tests_owner LOGIN',
		'CREATE ROLE mig_tests_other LOGIN',
		'ALTER DATABASE mig_tests_rights OWNER TO mig_tests_owner',
		'ALTER SCHEMA public OWNER TO mig_tests_owner');
	my $owner = connect_to('mig_tests_rights', user => 'mig_tests_owner');
	$owner->run(
		'CREATE EXTENSION migrate',
		q{SELECT migrate.revision('a', 'CREATE TABLE a (id int)', 'DROP TABLE a', '0001')},
		'GRANT USAGE ON SCHEMA migrate TO mig_tests_other');
	is( verdicts(tap($owner, 'runtests()')),
		join("\n",
			'ok single_head_revision',
			'ok upgrade',
			'ok up_down_consistency',
			'skip model_definitions_match_ddl: no model is declared',
			'ok 0001'),
		'the owner of the database need not be superuser');
	my $other = connect_to('mig_tests_rights', user => 'mig_tests_other');
	for my $call (qw(runtests() test_upgrade() test_single_head_revision()),
		q{set_revision_data('0001', '')})
	{
		like(
			tap($other, $call),
			qr/^42501 permission denied for function/,
			"$call is not for everybody");
	}
	$owner->run('GRANT EXECUTE ON FUNCTION migrate.test_upgrade(text[], text) TO mig_tests_other');
	like(
		tap($other, 'test_upgrade()'),
		qr/^42501 (?:permission denied for database|must be owner)/,
		'who may run them needs the rights of a comparison, too');
}

# ---------------------------------------------------------- dump and restore ----

{
	my $session = project([ 'CREATE TABLE t (a int)', 'DROP TABLE t' ]);
	$session->run(q{SELECT migrate.set_revision_data('0001', 'SELECT $$été # \\$$', 'after')});
	my ($status, $dump) =
	  run_program(tool('pg_dump'), $session->value('SELECT current_database()'));
	my $file = "$dir/dump.sql";
	spew($file, $dump);
	my $copy = create_database('mig_tests_copy', plain => 1);
	run_psql($copy, '', '-f', $file);
	is( connect_to($copy)->value('SELECT revision || at || sql FROM migrate.revision_data'),
		'0001afterSELECT $$été # \\$$',
		'rows of tests are dumped and restored');
}

done_testing();
