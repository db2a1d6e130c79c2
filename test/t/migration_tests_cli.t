#!/usr/bin/perl
#
# pg_migrate test: the tests of migrations with commits, in databases of their own; and the
# examples of doc/testing.md.
#
# Environment: MIGRATE_PYTHON, the Python (python3) with psycopg and pytest, for one of these.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateDoc;
use MigrateProject;
use MigrateTest;
use TAP::Parser;
use Test::More;

alarm 600;
END { local $?; drop_databases() }
own_roles(qw(mig_testing_few));
delete @ENV{qw(DATABASE_URL MIGRATE_DIR MIGRATE_MODEL PGOPTIONS)};
my $program = abs_path("$FindBin::RealBin/../../bin/pg_migrate");
my $page    = slurp("$FindBin::RealBin/../../doc/testing.md");
$ENV{PATH} = tool('') . ":$ENV{PATH}";
my $projects = 0;

# A project with files: each [upgrade, downgrade, options of these, parents].
sub project
{
	my @revisions = @_;
	my $home      = scratch_dir();
	my $database  = 'mig_testing_' . ++$projects;
	create_database($database, plain => 1);
	mkdir "$home/migrations" or die $!;
	my $self = bless { dir => $home, database => $database }, 'Project';
	my $n    = 0;
	for my $revision (@revisions)
	{
		my ($up, $down, %more) = @$revision;
		my $id      = sprintf '%04d', ++$n;
		my $parents = $more{parents} // ($n > 1 ? sprintf('%04d', $n - 1) : '');
		my $message = $more{message} // "step $n";
		my $mode    = $more{plain} ? ' transaction:false' : '';
		$self->file("${id}_x.sql",
			"-- $message\n--\n-- Revision ID: $id\n-- Revises: $parents\n\n"
			  . "-- migrate:up$mode\n$up\n"
			  . (defined $down ? "\n-- migrate:down$mode\n$down\n" : ''));
	}
	return $self;
}

# The databases of tests that are there.
sub left
{
	my (undef, $out) =
	  run_psql('postgres', q{SELECT datname FROM pg_database WHERE datname ~ '^migrate_test_'});
	return $out;
}

# What each test says: "ok 0001", "not ok upgrade", "skip 0003: why".
sub verdicts
{
	my $parser = TAP::Parser->new({ tap => $_[0] });
	my @lines;
	while (my $line = $parser->next)
	{
		next unless $line->is_test;
		my $name = $line->description =~ s/^- //r =~ s/^downgrade_leaves_no_trace: (\S+),.*/$1/r;
		push @lines, $line->has_skip
		  ? "skip $name: " . $line->explanation
		  : ($line->is_ok ? 'ok ' : 'not ok ') . $name;
	}
	return join "\n", @lines, map {"parse error: $_"} $parser->parse_errors;
}

package Project;

use parent -norequire, 'MigrateProject';

use MigrateTest;

# Runs pg_migrate in the project.
sub run
{
	my ($self, @arguments) = @_;
	my ($status, $out, $err) = run_program('sh', '-c', 'cd "$0" && exec "$@"',
		$self->{dir}, $program, '-d', $self->{database}, @arguments);
	return ($status >> 8, $out, $err);
}

package main;

sub tests
{
	my ($self, $expected, $name, @arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = $self->run('test', @arguments);
	is(verdicts($out), $expected,                       $name) or diag $out, $err;
	is($status,        $expected =~ /^not ok/m ? 1 : 0, '    and its status');
	is(left(),         '',                              '    and no database is left');
	return $out;
}

my $modelless = 'skip model_definitions_match_ddl: no model is declared';
my $good      = "ok single_head_revision\nok upgrade\n$modelless\nok up_down_consistency";

# ------------------------------------------------------------------ passes ----

{
	my $self = project(
		[ 'CREATE TABLE t (a int, b int);', 'DROP TABLE t;' ],
		[ 'CREATE INDEX CONCURRENTLY i ON t (a);', 'DROP INDEX CONCURRENTLY i;', plain => 1 ],
		[   'DO $$ BEGIN CREATE TABLE c1 (); COMMIT; CREATE TABLE c2 (); END $$;',
			'DROP TABLE c1, c2;',
			plain => 1 ],
		[   'ALTER TABLE t DROP a; CREATE INDEX i ON t (b);',
			'DROP INDEX i; ALTER TABLE t ADD a int; CREATE INDEX i ON t (a);' ]);
	my $out = tests(
		$self,
		"$good\nok 0001\nok 0002\nok 0003\nok 0004",
		'scripts that commit, and indexes that are built concurrently');
	like($out, qr/^# Only the order of columns is not as before/m,
		'    with what is not as before');
	is($self->sql(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'migrate'}),
		0, '    and the database that was connected to is as it was');
}

{
	my $self = project(
		[ 'CREATE TABLE a (id int);', 'DROP TABLE a;' ],
		[ 'CREATE TABLE b (id int);', 'DROP TABLE b;', parents => '0001' ],
		[ 'CREATE TABLE c (id int);', 'DROP TABLE c;', parents => '0001' ],
		[ 'CREATE TABLE d (id int);', 'DROP TABLE d;', parents => '0002, 0003' ],
		[ 'CREATE TABLE e (id int);', undef ]);
	tests(
		$self,
		"$good\nok 0001\nok 0002\nok 0003\nok 0004\nskip 0005: it cannot be downgraded",
		'branches, a merge point, and a revision that cannot be downgraded');
	tests(
		$self,
		"$good\nskip 0001: it is not above the lowest revision\n"
		  . "skip 0002: it is not above the lowest revision\n"
		  . "skip 0003: it is left out\nok 0004\nskip 0005: it cannot be downgraded",
		'some are left out',
		'--lowest',
		'0002',
		'--skip=0003');
}

# ------------------------------------------------------------------- fails ----

{
	my $self = project(
		[ 'CREATE TABLE a (id int);', '' ],
		[   'CREATE TABLE b (id int);',
			"DROP TABLE b;",
			message => 'x `touch hacked` $(touch hacked) # SKIP' ],
		[ 'CREATE TABLE c (id int);',                    'DROP TABLE nothing;' ],
		[ 'CREATE TABLE d (id int REFERENCES nothing);', '' ],
		[ 'SELECT 1;',                                   '' ]);
	my $out = tests(
		$self,
		"ok single_head_revision\nnot ok upgrade\n"
		  . "skip model_definitions_match_ddl: not all revisions could be applied\n"
		  . "not ok up_down_consistency\nnot ok 0001\nok 0002\nnot ok 0003\nnot ok 0004\n"
		  . 'skip 0005: it builds on a revision that failed',
		'what fails');
	like(
		$out,
		qr/^# ERROR:  table "nothing" does not exist\n(?:# .*\n)*# CONTEXT:  revision "0003"/m,
		'    with the error and its place');
	like(
		$out,
		qr/^#   drop table public\.a\n# Statements that do:\n# DROP TABLE public\.a;$/m,
		'    with what is left and what would take it away');
	ok(!-e "$self->{dir}/hacked", '    and a message is a text');
}

# The same lines in another order are another schema.
{
	my $f    = 'CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ '
	  . "DECLARE i int = 1; BEGIN\n%s\nRETURN i;\nEND \$\$;";
	my $self = project(
		[   'CREATE TABLE a (id int, x int); CREATE TABLE b (id int, y int);'
			  . sprintf($f, "i = i + 1;\ni = i * 2;"),
			'DROP TABLE a, b; DROP FUNCTION f();' ],
		[ 'ALTER TABLE a DROP x; ALTER TABLE b ADD x int;', '' ],
		[ sprintf($f, "i = i * 2;\ni = i + 1;"), '' ],
		[ 'CREATE SCHEMA o; CREATE TABLE o.t (a int);', 'DROP SCHEMA o CASCADE;' ],
		[ 'CREATE TABLE o.u (a int);', '' ],
		[ 'CREATE SCHEMA "O, ""o";', '' ]);
	my $out = tests(
		$self,
		($good =~ s/^ok up_down/not ok up_down/mr)
		  . "\nok 0001\nnot ok 0002\nnot ok 0003\nok 0004\nnot ok 0005\nnot ok 0006",
		'what is elsewhere, or in a schema of the revisions, is a trace');
	like($out, qr/^#   drop column public\.b\.x$/m, '    and named');
	like($out, qr/^#   drop table o\.u$/m,          '    likewise');
}

{
	my $self = project(
		[ 'CREATE TABLE t (id int PRIMARY KEY);', 'DROP TABLE t;' ],
		[   'INSERT INTO t SELECT id + 1 FROM t; ALTER TABLE t ADD n int NOT NULL;',
			'ALTER TABLE t DROP n;' ]);
	spew("$self->{dir}/rows.sql",
		"SELECT migrate.set_revision_data('0002', 'INSERT INTO t VALUES (1)');\n");
	tests($self, "$good\nok 0001\nok 0002", 'without rows');
	my $out = tests(
		$self,
		"ok single_head_revision\nnot ok upgrade\n"
		  . "skip model_definitions_match_ddl: not all revisions could be applied\n"
		  . "not ok up_down_consistency\nok 0001\nnot ok 0002",
		'with rows',
		'--setup',
		'rows.sql');
	like($out, qr/column "n" of relation "t" contains null values/, '    it is seen why');
	spew("$self->{dir}/model.sql", "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL);\n");
	tests($self, ($good =~ s/^skip.*/ok model_definitions_match_ddl/mr) . "\nok 0001\nok 0002",
		'with a model', '-M', 'model.sql');
	spew("$self->{dir}/model.sql", "CREATE TABLE t (id int PRIMARY KEY, n bigint NOT NULL);\n");
	$out = tests(
		$self,
		($good =~ s/^skip.*/not ok model_definitions_match_ddl/mr) . "\nok 0001\nok 0002",
		'with another model',
		'-M', 'model.sql');
	like($out, qr/^#   alter column public\.t\.n: type: integer -> bigint$/m, '    how it differs');
}

{
	my $self = project([ 'SELECT 1;', '' ], [ 'SELECT 2;', '', parents => '' ]);
	my $out  = tests(
		$self,
		"not ok single_head_revision\nok upgrade\n$modelless\n"
		  . "ok up_down_consistency\nok 0001\nok 0002",
		'two heads');
	like($out, qr/^# The heads are 0001, 0002; "pg_migrate merge" joins them$/m, '    are named');
}

# ------------------------------------------------------------------ errors ----

{
	my $self = project([ 'CREATE TABLE t (id int);', 'DROP TABLE t;' ]);
	$self->is_run([ 'test', '--lowest',   'zz' ],      1, '', qr/can't locate revision/);
	$self->is_run([ 'test', '--skip',     'zz' ],      1, '', qr/can't locate revision/);
	$self->is_run([ 'test', '--setup',    'zz' ],      2, '', qr/cannot read "zz"/);
	$self->is_run([ 'test', '--template', 'no such' ], 1, '', qr/template database "no such"/);
	$self->is_run([ 'test', 'x' ], 2, '', qr/unexpected argument "x"/);
	spew("$self->{dir}/rows.sql", "SELECT 1 / 0;\n");
	$self->is_run([ 'test', '--setup', 'rows.sql' ], 1, '', qr/division by zero/);
	$self->file('0002_x.sql', "-- migrate:up\nSELEC 1;\n");
	$self->is_run(['test'], 1, '', qr/syntax error/);
	unlink "$self->{dir}/migrations/0002_x.sql";
	run_psql('postgres', 'CREATE ROLE mig_testing_few LOGIN');
	$self->is_run([ '-U', 'mig_testing_few', 'test' ],
		1, '', qr/permission denied to create database/);
	is(left(), '', 'after errors no database is left');
	my ($status, undef, $err) = $self->run('test', '--keep');
	my @kept = split /\n/, left();
	is($status, 0, '--keep keeps them') or diag $err;
	is(scalar @kept,    4,                     '    all');
	run_psql('postgres', "DROP DATABASE $_") for @kept;

	# ended from outside
	$self->file('0001_x.sql', "-- migrate:up\nSELECT pg_sleep(60);\n");
	my $pid = fork;
	if (!$pid)
	{
		chdir $self->{dir};
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		exec $program, '-d', $self->{database}, 'test';
	}
	for (1 .. 300)
	{
		last
		  if (run_psql(
			'postgres',
			q{SELECT 1 FROM pg_stat_activity WHERE query ~ 'pg_sleep'}
			  . q{ AND datname ~ 'migrate_test'}))[1];
		select undef, undef, undef, 0.1;
	}
	kill TERM => $pid;
	my $killed = time;
	waitpid $pid, 0;
	cmp_ok(time - $killed, '<', 30, 'a test that is ended from outside ends soon');
	is(left(), '', '    and drops its databases');
}

# ---------------------------------------------------------------- the page ----

{
	my @blocks = $page =~ /^```console\n(.*?)^```/msg;
	my $self   = project(
		[   'CREATE TABLE users (id int PRIMARY KEY, name text);',
			'DROP TABLE users;',
			message => 'create users' ],
		[   'ALTER TABLE users ADD COLUMN last_login timestamptz;',
			'ALTER TABLE users DROP COLUMN last_login;',
			message => 'add last login' ]);
	my ($shown) = grep {/^\$ pg_migrate test\n/} @blocks;
	my (undef, $out) = $self->run('test');
	is("\$ pg_migrate test\n$out", $shown, 'pg_migrate test as the page shows it');
	$self->run('init');
	$self->run('load');
	$self->sql(q{SELECT migrate.edit('0002', downgrade => '')});
	($shown) = grep { /runtests/ && /Atc/ } @blocks;
	is( "\$ psql -d app -Atc 'SELECT * FROM migrate.runtests()'\n"
		  . $self->sql('SELECT * FROM migrate.runtests()') . "\n",
		$shown,
		'migrate.runtests() as the page shows it');

	$self->sql('CREATE EXTENSION pgtap');
	my ($sql) = $page =~ /^```sql\n(SELECT plan.*?)^```/ms;
	my ($plan, $runner) = split /\n\n/, $sql;
	# psql -c of before 15 prints the last result only
	my (undef, $tap) =
	  run_psql($self->{database}, '', '-f', spew("$self->{dir}/plan.sql", $plan));
	is(verdicts($tap), "ok one of mine\nok single_head_revision\nok upgrade",
		'the page with pgTAP');
	like((run_psql($self->{database}, $runner))[1],
		qr/^not ok 1 - migrate\.test_downgrade_leaves_no_trace$/m, '    and its runner');

	my $python = $ENV{MIGRATE_PYTHON} // 'python3';
	SKIP:
	{
		skip "$python has no psycopg and pytest", 2
		  if (run_program('sh', '-c', "\"\$0\" -c 'import psycopg, pytest'", $python))[0];
		my ($code) = $page =~ /^```python\n(.*?)^```/ms;
		spew("$self->{dir}/test_migrations.py", $code);
		local $ENV{PGDATABASE} = $self->{database};
		my ($status, $said) = run_program($python, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
			"$self->{dir}/test_migrations.py");
		is($status >> 8, 1, 'the page with pytest') or diag $said;
		like($said, qr/^1 failed, 5 passed/m, '    counts');
	}
}

# ------------------------------------------------------------- the template ----

{
	my $home = scratch_dir();
	my $bin = "$home/bin";
	mkdir $bin or die $!;
	symlink $program, "$bin/pg_migrate" or die $!;
	my ($status) = run_program('cp', '-r',
		abs_path("$FindBin::RealBin/../../examples/project"), "$home/project");
	is($status, 0, 'examples/project is copied');
	local $ENV{PATH} = "$bin:$ENV{PATH}";
	local $ENV{TMPDIR} = "$home";
	my ($failed, $out, $err) = run_program("$home/project/test.sh");
	is($failed, 0, '    and its tests pass') or diag $out, $err;
	my %count;
	$count{$_}++ for $out =~ /^(ok|not ok) \d+ - \w+/mg;
	cmp_ok($count{ok} // 0, '>=', 8, '    pg_migrate test');
	like($out, qr/^(?:test migrations +\.\.\. ok|ok 1 +- migrations)\b/m, '    pg_regress');
  SKIP:
	{
		skip 'there is no pg_prove', 1 unless grep { -x "$_/pg_prove" } split /:/, $ENV{PATH};
		like($out, qr/^All tests successful\.\nFiles=1, Tests=9,/m, '    pg_prove');
	}
	is(left(), '', '    and leave no database');

	# what CI runs is there
	for my $file ('.github/workflows/migrations.yml', '.gitlab-ci.yml')
	{
		my $ci = slurp("$home/project/$file");
		like($ci, qr/^ +- (?:run: )?\.\/test\.sh$/m, "$file runs them");
		unlike($ci, qr/\t/, '    and has no tab');
	}

	# a mistake is found
	my $file = "$home/project/migrations/0003_customers_have_an_email.sql";
	spew($file, slurp($file) =~ s/ALTER TABLE customers DROP COLUMN email;\n//r);
	($failed, $out) = run_program("$home/project/test.sh");
	isnt($failed, 0, 'a downgrade that forgets a column does not pass');
	like($out, qr/^not ok \d+ - downgrade_leaves_no_trace: 0003,/m, '    and is named');
	is(left(), '', '    and leaves no database either');
}

done_testing();
