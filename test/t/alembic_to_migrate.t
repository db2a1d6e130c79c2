#!/usr/bin/perl
#
# bin/alembic_to_migrate: projects of Alembic in test/alembic, and wrong calls.
#
# Skipped where there is no Python with Alembic, SQLAlchemy and psycopg2:
# MIGRATE_PYTHON, else python3.  Projects that need other packages (asyncpg,
# psycopg, sqlmodel) are skipped where these are missing.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $python = $ENV{MIGRATE_PYTHON} // 'python3';
my $top    = abs_path("$FindBin::RealBin/../..");
my $tool   = "$top/bin/alembic_to_migrate";

$ENV{PYTHONDONTWRITEBYTECODE} = 1;
$ENV{PYTHONIOENCODING} = 'utf-8';
delete @ENV{qw(DATABASE_URL ALEMBIC_CONFIG)};
(my $bindir = tool('psql')) =~ s{/psql$}{};
$ENV{PATH} = "$bindir:$ENV{PATH}";

# Whether Python has all modules of these names.
sub has
{
	my @modules = @_;
	for my $module (@modules)
	{
		my ($failed) = eval { run_program($python, '-c', "import $module") };
		return 0 if !defined $failed || $failed;
	}
	return 1;
}

# The module with which SQLAlchemy knows a driver; 1.4 has none of psycopg 3.
sub dialect_of { my $driver = shift; return "sqlalchemy.dialects.postgresql.$driver" }

plan skip_all => "$python has no alembic, sqlalchemy and psycopg2 (MIGRATE_PYTHON names another)"
  unless has(qw(alembic sqlalchemy psycopg2));

# A URL of a database of this server, as SQLAlchemy and libpq both take it.
sub url
{
	my $database = shift // 'postgres';
	return "postgresql://$ENV{PGUSER}@/$database?host=$ENV{PGHOST}&port=$ENV{PGPORT}";
}

# Runs a program in a directory: (status, output, errors).
sub run_in
{
	my ($dir, @command) = @_;
	my ($status, $out, $err) =
	  run_program('sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', $dir, @command);
	return ($status >> 8, $out, $err);
}

# A copy of a project, in a directory that goes away.
sub copy_of
{
	my $name = shift;
	my $dir = scratch_dir();
	run_program('cp', '-R', "$top/test/alembic/$name/.", "$dir");
	return $dir;
}

# A project that this test writes: scripts by their names, and env.py.
sub project
{
	my ($env, %scripts) = @_;
	my $dir = scratch_dir();
	mkdir "$dir/$_" for qw(alembic alembic/versions);
	spew("$dir/alembic.ini", "[alembic]\nscript_location = alembic\n");
	spew("$dir/alembic/env.py", $env // <<'PY');
from alembic import context
from sqlalchemy import create_engine
with create_engine("postgresql+psycopg2://localhost/x").connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
PY
	my $down = 'None';
	for my $id (sort keys %scripts)
	{
		my ($up, $back) = @{ $scripts{$id} };
		spew("$dir/alembic/versions/$id.py", <<"PY");
"""revision $id"""
from alembic import op
import sqlalchemy as sa
revision = "$id"
down_revision = $down
def upgrade():
    $up
def downgrade():
    $back
PY
		$down = qq{"$id"};
	}
	return $dir;
}

# Converts a project: (status, output, errors, directory of the files).
sub convert
{
	my ($dir, @options) = @_;
	push @options, '--create-in', url() unless grep { /^--(?:url|create-in)$/ } @options;
	my ($status, $out, $err) =
	  run_in($dir, $python, $tool, '-o', "$dir/files", @options);
	return ($status, $out, $err, "$dir/files");
}

# The content of the file of a revision.
sub file_of
{
	my ($files, $id) = @_;
	my ($name) = grep { m{/\Q$id\E(?:_[^/]*)?\.sql$} } glob "$files/*.sql";
	return defined $name ? slurp($name) : "there is no file of $id";
}

# Tests that the file of a revision has these lines, one after the other.
sub holds
{
	my ($files, $id, $what, @lines) = @_;
	my $content = "\n" . file_of($files, $id);
	ok(index($content, join "\n", '', @lines, '') >= 0, $what) or diag $content;
	return;
}

# Converts a project of test/alembic, which must give the same database.
sub same
{
	my ($name, $what, @options) = @_;
	my $dir = copy_of($name);
	my ($status, $out, $err, $files) = convert($dir, @options);
	is($status, 0, "$name, $what: both databases are the same") or diag "$out\n$err";
	return ($dir, $files, $out);
}

my $asked =
  '-- REVIEW: The script asked the database, and what follows fits the answers that it got:';

# --------------------------------------------------------------- functions ----

{
	my ($status, $out, $err) = run_program($python, "$top/test/alembic/units.py");
	is($status, 0, 'functions that need no database') or diag $out . $err;
}

# ---------------------------------------------------------------- projects ----

SKIP:
{
	skip 'no sqlmodel', 1 unless has('sqlmodel');
	my ($dir, $files, $out) = same('shop', 'the default driver');
	is(scalar(my @all = glob "$files/*.sql"), 14, 'shop: a file for each revision');
	holds($files, 'r001', 'shop: branch, dependency and label',
		'-- Revises: a004', '-- Depends On: a005', '-- Branch Labels: reports');
	holds($files, 'm001', 'shop: a merge', '-- Revises: a011, r002');
	holds($files, 'm001', '... with nothing to do', '-- migrate:up', '', '-- migrate:down');
	like(file_of($files, 'a003'), qr/it''s 100% \\\\? user'/, 'shop: quote, percent, backslash');
	holds($files, 'a005', 'shop: what a script asked',
		$asked, q{--   SELECT id FROM role WHERE name = 'admin'; (1 row)});
	holds($files, 'a006', 'shop: an autocommit block',
		'-- migrate:up transaction:false',
		q{ALTER TYPE category ADD VALUE 'gift';},
		'', 'CREATE INDEX CONCURRENTLY ix_orders_category ON orders (category);');
	holds($files, 'a006', '... in a downgrade',
		'-- migrate:down transaction:false', 'DROP INDEX CONCURRENTLY ix_orders_category;');
	unlike(file_of($files, 'a008'), qr/migrate:down/, 'shop: downgrade() raises: no section');
	holds($files, 'a008', '... but a comment',
		'-- No way back: downgrade() raises NotImplementedError: cannot be undone');
	like($out, qr/^REVIEW a005_\S+, up: asked the database \(1 query\)$/m, 'shop: the report');
}

SKIP:
{
	skip 'no asyncpg or greenlet', 1 unless has(qw(asyncpg greenlet));
	my ($dir, $files, $out) = same('async', 'asyncpg');
	holds($files, 'b2', 'async: two locations', '-- Revises: b1', '-- Depends On: c3');
	holds($files, 'b1', 'async: a dependency by label', '-- Revises:', '-- Depends On: c1');
	like(file_of($files, 'c1'), qr/\A-- accounts\n--\n/, 'async: the message');
	holds($files, 'c1', 'async: the date', '-- Create Date: 2024-02-03 04:05:06.789');
	like(file_of($files, 'c2'),
		qr/'O''Hara \\ \$1 :x %s %\(y\)s'/, 'async: what looks like parameters is kept');
	holds($files, 'c3', 'async: transactions around an autocommit block',
		'-- migrate:up transaction:false',
		'BEGIN;',
		'', 'ALTER TABLE account ADD COLUMN city TEXT;',
		'', q{UPDATE account SET city = 'here';},
		'', 'COMMIT;',
		'', 'CREATE INDEX CONCURRENTLY account_city ON account (city);',
		'', 'BEGIN;');
	like($out, qr/adopt_alembic\('"schema versions"'\)/, 'async: the name of the version table');

	local $ENV{LEVEL} = 'AUTOCOMMIT';
	my ($again, $auto) = same('async', 'an engine with AUTOCOMMIT');
	holds($auto, 'b1', '... scripts that can be are transactional',
		'-- migrate:up', q{CREATE TYPE state AS ENUM ('open', 'it''s paid');});
	holds($auto, 'c3', '... others are not', '-- migrate:up transaction:false');

	if (has(dialect_of('psycopg'), 'psycopg'))
	{
		delete local $ENV{LEVEL};
		same('async', 'psycopg', '--create-in', url() =~ s/:/+psycopg:/r);
	}
}

for my $driver (qw(psycopg2 psycopg))
{
  SKIP:
	{
		skip "no $driver, or SQLAlchemy does not know it", 1
		  unless has(dialect_of($driver), $driver);
		local $ENV{TEST_DRIVER} = $driver;
		my ($dir, $files, $out) = same('schemas', $driver);
		holds($files, '0001', 'schemas: what env.py does before',
			'-- env.py sends this before the migrations:',
			'', 'CREATE SCHEMA IF NOT EXISTS meta;');
		holds($files, '0001', 'schemas: search_path of the engine',
			'SET search_path = shop,public;');
		holds($files, '0001', 'schemas: a naming convention',
			'CREATE INDEX ix_audit_trail_item_id ON audit.trail (item_id);');
		holds($files, '0001', 'schemas: arguments of env.py',
			q{COMMENT ON TABLE item IS 'it''s me';});
		like(file_of($files, '0002'),
			qr/^-- REVIEW: The script could read what statements below returned; /m,
			'schemas: RETURNING');
		holds($files, '0003', 'schemas: a query with an effect is a statement',
			'-- REVIEW: The script could read what this returned.',
			'', q{SELECT setval('item_id_seq', 1000);});
		holds($files, '0003', '... one without is not',
			$asked, '--   SELECT count(*) FROM item; (1 row)');
		holds($files, '0004', 'schemas: search_path of an earlier script, and a savepoint',
			'SET search_path = audit;',
			'', '-- REVIEW: What the script rolled back is left out here: 1 statement.');
		unlike(file_of($files, '0004'), qr/not_kept/, '... what was rolled back is left out');
		like($out, qr/^note: rows of table shop.item are not the same/m, 'schemas: times differ');
	}
}

{
	my @options = qw(-c migrate.ini -x tenant=one);
	my ($dir, $files, $out) = same('raw', 'psycopg2', @options);
	holds($files, '1', 'raw: a body is as it was',
		'            -- migrate:down is no marker here; nor is this: $1 %');
	holds($files, '1', 'raw: a comment that would be a marker', '-- "migrate:down"');
	like(file_of($files, '1'),
		qr/^-- REVIEW: left out, since it is about Alembic's own table: /m,
		'raw: the version table');
	holds($files, '6', 'raw: COMMIT and BEGIN by hand',
		'VACUUM big;',
		'', 'BEGIN;', '', 'INSERT INTO big VALUES (1);', '', 'INSERT INTO big VALUES (2);',
		'', 'COMMIT;', '', '-- migrate:down transaction:false');
	holds($files, 'current_', 'raw: a cursor of the driver',
		q{UPDATE person SET name = 'two' WHERE id = 2;});
	like(file_of($files, 'other'),
		qr/^-- REVIEW: No way back: downgrade\(\) fails with Alembic, too:/m,
		'raw: a downgrade that fails');
	holds($files, '7', 'raw: savepoints',
		'-- REVIEW: What the script rolled back is left out here: 1 statement.',
		'', 'CREATE TABLE kept (id integer);');
	like($out, qr/^renamed: "current" is "current_"$/m, 'raw: the renamed are reported');
	is(slurp("$files/renamed.json"), <<'JSON', '... and in a file');
{
  "2019 05 spaces, comma": "2019_05_spaces__comma",
  "current": "current_"
}
JSON

	my ($again, $files_again) = same('raw', 'once more', @options);
	is((run_program('diff', '-r', $files, $files_again))[1], '', '... gives the same files');

	# a database at a revision that is renamed: adopted, then migrated on
	my $half = create_database('alembic_half');
	local $ENV{DATABASE_URL} = url($half);
	my ($status, undef, $err) =
	  run_in($dir, $python, '-m', 'alembic', @options, 'upgrade', 'current');
	is($status, 0, 'raw: Alembic upgrades a database half the way') or diag $err;
	my $session = connect_to($half);
	$session->run('SELECT migrate.load_directory(' . lit("$files") . ')');
	my $result = $session->query('SELECT migrate.adopt_alembic()');
	is($result->{state}, 'MG001', 'raw: renamed ids are not found');
	my ($call) = $out =~ /(SELECT migrate\.adopt_alembic.*);$/m;
	is(join(' ', $session->rows($call)), 'current_', 'raw: the call that is printed adopts');
	$session->run(q{CALL migrate.upgrade_stepwise('heads')});
	my $whole = create_database('alembic_whole', plain => 1);
	$ENV{DATABASE_URL} = url($whole);
	run_in($dir, $python, '-m', 'alembic', @options, 'upgrade', 'heads');
	is(schema_difference($half, $whole), '', 'raw: adopted and upgraded as by Alembic');
}

# A connection of its own commits: not in one transaction, and not to be rolled back.
# A role is the whole server's: it must not be in the way, and not stay.
{
	my $own = '    with op.get_bind().engine.begin() as other:
        other.execute(sa.text("%s"))';
	my $dir = project(
		undef,
		a1 => [
			join("\n", 'op.execute("CREATE ROLE alembic_role_1")',
				'    op.execute("CREATE TABLE a (i int)")',
				'    op.execute(\'GRANT SELECT ON a TO "alembic_role_1"\')'),
			'op.execute("DROP TABLE a; DROP ROLE alembic_role_1")'
		],
		b2 => [
			join("\n", 'op.execute("CREATE TABLE b (i int)")',
				sprintf($own, 'CREATE TABLE c (i int)'),
				'    op.execute("CREATE TABLE d (i int)")'),
			join("\n", 'pass', sprintf($own, 'DROP TABLE c'), '    op.execute("DROP TABLE b, d")')
		]);
	my ($status, $out, $err, $files) = convert($dir);
	is($status, 0, 'a role, and a connection of its own') or diag "$out\n$err";
	holds($files, 'b2', '... with a transaction of its own',
		'-- migrate:up transaction:false',
		'BEGIN;', '', 'CREATE TABLE b (i int);', '', 'CREATE TABLE c (i int);', '', 'COMMIT;',
		'', 'CREATE TABLE d (i int);');
	like(file_of($files, 'b2'), qr/^DROP TABLE c;\n\n(?:BEGIN;\n\n)?DROP TABLE b, d;$/m,
		'... also in the downgrade');
	is((run_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname ~ '^alembic_role'}))[1],
		"0\n", '... and the role is not left');
}

# ------------------------------------------------- what cannot be converted ----

# Converts, and expects a status and a message.
sub refused
{
	my ($dir, $expected, $message, $what, @options) = @_;
	my ($status, $out, $err, $files) = convert($dir, @options);
	is($status, $expected, "$what: status $expected") or diag "$out\n$err";
	like("$out$err", $message, "$what: message");
	return $files;
}

my %fine = (a1 => [ 'op.execute("CREATE TABLE a (i int)")', 'op.execute("DROP TABLE a")' ]);

# Not through SQLAlchemy at all.
my $cursor = 'op.get_bind().connection.dbapi_connection.cursor()';

for my $case (
	[
		'a statement that is not seen',
		[ qq{$cursor.execute("CREATE TABLE unseen (i int)")}, 'pass' ],
		qr/^only with Alembic: TABLE public\.unseen$/m
	],
	[
		'rows that are not seen',
		[
			'op.execute("CREATE TABLE b (i int)"); '
			  . qq{$cursor.execute("INSERT INTO b VALUES (1)")},
			'pass'
		],
		qr/^differs: 1 rows in table b with Alembic, 0 with migrate$/m
	])
{
	my ($what, $script, $message) = @$case;
	my $dir = project(undef, %fine, b2 => $script);
	my $files = refused($dir, 1, $message, $what);
	like(file_of($files, 'b2'), qr/^-- migrate:up/m, "$what: the files are there");
}

for my $case (
	[
		'an upgrade that fails',
		project(undef, %fine, b2 => [ 'op.execute("SELEC 1")', 'pass' ]),
		qr/: upgrade of revision "b2" \(.*b2\.py\) failed: SyntaxError: syntax error/
	],
	[ 'no revisions', project(undef), qr/: the project has no revisions$/m ],
	[
		'an env.py that does nothing',
		project("pass\n", %fine),
		qr/: env.py has not run any migrations$/m
	],
	[ 'an env.py with an error', project("1 / 0\n", %fine), qr/: ZeroDivisionError: division/ ],
	[ 'another kind of database', project(<<'PY', %fine), qr/: the project's database is sqlite/ ],
from alembic import context
from sqlalchemy import create_engine
with create_engine("sqlite://").connect() as connection:
    context.configure(connection=connection)
    context.run_migrations()
PY
	[ 'several runs', project(<<'PY', %fine), qr/: env.py runs its migrations more than once/ ],
from alembic import context
from sqlalchemy import create_engine
for name in "ab":
    with create_engine("postgresql+psycopg2://localhost/" + name).begin() as connection:
        context.configure(connection=connection)
        context.run_migrations()
PY
	[ 'a connection of its own', project(<<'PY', %fine), qr/: env.py connects to .* in a way of/ ],
import os, psycopg2
from alembic import context
from sqlalchemy import create_engine
creator = lambda: psycopg2.connect(dbname="postgres")
with create_engine("postgresql+psycopg2://", creator=creator).begin() as connection:
    context.configure(connection=connection)
    context.run_migrations()
PY
	)
{
	my ($what, $dir, $message) = @$case;
	my $files = refused($dir, 1, $message, $what);
	ok(!-e $files, "$what: nothing is written");
}

{
	my $full = create_database('alembic_full', plain => 1);
	run_psql($full, 'CREATE TABLE precious (i int)');
	my $dir = project(undef, %fine);
	refused($dir, 1, qr/database is not empty: it has relation precious$/m,
		'a database that is not empty', '--url', url($full));
	my $relations = q{SELECT string_agg(relname, ' ') FROM pg_class
		WHERE relnamespace = 'public'::regnamespace};
	is((run_psql($full, $relations))[1], "precious\n", '... is not touched');
	refused($dir, 1, qr/does not exist/, 'a database that does not exist', '--url', url('no_such'));
	refused($dir, 1, qr/no file "no\.ini"/, 'no configuration', '-c', 'no.ini');
	refused($dir, 2, qr/the URL must be one of PostgreSQL/, 'a URL of another kind',
		'--url', 'mysql://x/y');
	refused($dir, 2, qr/the URL must be one of PostgreSQL/, 'no URL', '--url', 'nonsense');
	refused($dir, 2, qr/must name a database/, 'no database', '--url', "postgresql://localhost");
	refused($dir, 2, qr/not allowed with argument/, 'two URLs',
		'--url', url(), '--create-in', url());
	my ($status, undef, $err) = run_in($dir, $python, $tool, '--url', url());
	is($status, 2, 'no directory: status 2');
	($status, undef, $err) = run_in($dir, $python, '-I', '-S', $tool, '-o', 'x', '--url', url());
	is($status, 2, 'a Python without Alembic: status 2');
	like($err, qr/^alembic_to_migrate: No module named .*\nRun it with the Python of the project/,
		'... and a message');

	mkdir "$dir/files";
	spew("$dir/files/old.sql", "-- mine\n");
	refused($dir, 1, qr/has revision files already/, 'a directory that has files');
	is(slurp("$dir/files/old.sql"), "-- mine\n", '... is not touched');
}

# ----------------------------------------------------------- databases given ----

{
	my $dir = project(undef,
		a1 => [ 'op.execute("CREATE TABLE app.a (i int)")', 'op.execute("DROP TABLE app.a")' ]);
	spew("$dir/before.sql", "CREATE SCHEMA app;\n");
	my ($one, $other) = map { create_database("alembic_scratch_$_", plain => 1) } 1, 2;
	my @prepare = ('--prepare', "$dir/before.sql");
	my ($status, $out, $err) = convert($dir, @prepare, '--url', url($one), '--verify-in', $other);
	is($status, 0, 'two databases that are given, with a schema that the project expects')
	  or diag "$out\n$err";
	refused($dir, 1, qr/has revision files already/, 'a second time');
	run_program('rm', '-r', "$dir/files");
	my $third = create_database('alembic_scratch_3', plain => 1);
	($status, $out, $err) = convert($dir, @prepare, '--url', url($third));
	is($status, 0, 'one database, of which a copy is made') or diag "$out\n$err";
	run_program('rm', '-r', "$dir/files");
	my $fourth = create_database('alembic_scratch_4', plain => 1);
	($status, $out, $err) = convert($dir, @prepare, '--url', url($fourth), '--no-verify');
	is($status, 0, 'not compared: status 0') or diag "$out\n$err";
	like($out, qr/^not compared$/m, '... which it says');
}

my $left = q{SELECT count(*) FROM pg_database WHERE datname LIKE 'alembic_to_migrate%'};
is((run_psql('postgres', $left))[1], "0\n", 'no database is left');
drop_databases();
done_testing();
