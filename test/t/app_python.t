#!/usr/bin/perl
#
# The pages on applications in Python, run as they are: doc/app-sqlalchemy.md,
# doc/app-django.md, doc/app-asyncpg.md.  Their role owns the database, and is not
# a superuser.
#
# What is not there is skipped, and with MIGRATE_REQUIRE_APPLICATIONS=1 a failure.
# Debian has it as python3-sqlalchemy, python3-psycopg2, python3-asyncpg, python3-django,
# python3-fastapi, python3-uvicorn, python3-alembic and python3-pytest.  psycopg 3 is tried
# too where it is, with SQLAlchemy 2 and Django 4.2 or later.  From PyPI, take
# sqlalchemy[asyncio]: since 2.1 greenlet does not come without it.
#
# Environment: MIGRATE_PYTHON, the Python (python3).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigratePages;
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 1800;
my $python = $ENV{MIGRATE_PYTHON} // 'python3';
my $required = $ENV{MIGRATE_REQUIRE_APPLICATIONS};
my $server = MigrateServer->create(settings => ['max_connections = 100'])->use;
run_psql('postgres', $_) for 'CREATE ROLE app LOGIN CREATEDB', 'CREATE ROLE deployer LOGIN';
my $socket = $server->socket_dir;

$ENV{PYTHONDONTWRITEBYTECODE} = 1;
$ENV{PYTHONIOENCODING} = 'utf-8';
delete @ENV{
	qw(DATABASE_URL ALEMBIC_CONFIG DJANGO_SETTINGS_MODULE PYTHONPATH PYTHONUNBUFFERED)};

# The programs of the pages, all of this Python.
my $bin = scratch_dir();
my %program = (
	python  => '"$@"',
	alembic => q{-c 'from alembic.config import main; main(prog="alembic")' "$@"},
	map { $_ => qq{-m $_ "\$@"} } qw(pytest uvicorn));
for (keys %program)
{
	chmod 0755, spew("$bin/$_", "#!/bin/sh\nexec '$python' $program{$_}\n") && "$bin/$_";
}
$ENV{PATH} = "$bin:" . tool('') . ":$ENV{PATH}";

# The version of a module of Python, or undef.
my %version;
sub version_of
{
	my $module = shift;
	return $version{$module} if exists $version{$module};
	my ($status, $out) = eval {
		run_program($python, '-c', "import $module; print(getattr($module, '__version__', '0'))");
	};
	chomp $out if defined $out;
	return $version{$module} = defined $status && !$status ? $out : undef;
}

# Whether a module is at least of a version, by its first two numbers.
sub at_least
{
	my ($module, $wanted) = @_;
	my $is = version_of($module) // '0.0';
	my ($number, $least) = map { /^(\d+)\.(\d+)/ ? $1 * 1000 + $2 : 0 } $is, $wanted;
	return $number >= $least;
}

# Why something cannot be run, or undef.  With MIGRATE_REQUIRE_APPLICATIONS a failure.
sub missing
{
	my @modules = grep { !defined version_of($_) } @_;
	return unless @modules;
	my $why = "$python has no " . join ', ', @modules;
	fail($why) if $required;
	return "$why (MIGRATE_PYTHON names another)";
}

# A database of the role app, with the extension, and what Python's libraries take for its
# address.
sub database
{
	my $name = shift;
	create_database($name, owner => 'app', plain => 1);
	my ($status, undef, $err) = run_psql($name, 'CREATE EXTENSION migrate', '-U', 'app');
	die $err if $status;
	return $name;
}
sub url { my ($name, $scheme) = @_; return "$scheme://app@/$name?host=$socket&port=$ENV{PGPORT}" }

# The one value of a query.
sub value { my ($database, $sql) = @_; return connect_to($database)->value($sql) }

# Ends a process of ours, and waits for it.
sub end { kill TERM => $_[0]{pid}; return finish_spawned($_[0]) }
sub finish_spawned { return MigrateServer::_await($_[0]{pid}, 60) }

# Runs a command that serves on a socket until a request is answered: the process, the answer,
# and what was logged.
sub served
{
	my ($page, $command, $path) = @_;
	my $at = "$page->{directory}/http";
	local %ENV = (%ENV, %{ $page->{environment} });
	my $log = "$page->{directory}/server.out";
	my $pid = spawn($log, 'sh', '-c', 'cd "$1" && exec $2', 'sh', $page->{directory},
		"$command --uds $at");
	spew("$page->{directory}/get.py", <<'PY');
import http.client, socket, sys
c = http.client.HTTPConnection("localhost")
c.sock = socket.socket(socket.AF_UNIX)
c.sock.connect(sys.argv[1])
c.request("GET", sys.argv[2])
print(c.getresponse().read().decode())
PY
	my $answer;
	wait_until(
		sub {
			my ($status, $out) = run_program($python, "$page->{directory}/get.py", $at, $path);
			chomp($answer = $out) unless $status;
			return !$status;
		},
		120);
	return ($pid, $answer, slurp($log));
}

SKIP: { my $why = missing(qw(sqlalchemy psycopg2)); skip $why, 1 if $why; sqlalchemy('psycopg2') }
SKIP:
{
	# psycopg 3: not in Debian 12's SQLAlchemy
	skip 'no SQLAlchemy 2 with psycopg 3', 1
	  unless at_least('sqlalchemy', '2.0') && version_of('psycopg');
	sqlalchemy('psycopg', 'again');
}
SKIP:
{
	my $why = missing('django');
	skip $why, 1 if $why;
	my @drivers = grep { version_of($_) } at_least('django', '4.2') ? 'psycopg' : (), 'psycopg2';
	django($drivers[$_], $_) for 0 .. $#drivers;
	missing('psycopg2') unless @drivers;
}
SKIP: { my $why = missing('asyncpg'); skip $why, 1 if $why; asyncpg() }
done_testing();
drop_databases();

# ------------------------------------------------------------------ SQLAlchemy ----

sub sqlalchemy
{
	my ($driver, $again) = @_;
	my $dir = scratch_dir();
	my $page = MigratePages->new(
		'app-sqlalchemy.md',
		directory   => "$dir",
		with        => ", $driver",
		environment => {
			DATABASE_URL       => url(database('app'), "postgresql+$driver"),
			EMPTY_DATABASE_URL => url(database('app_empty'), "postgresql+$driver")
		});
	$page->run(
		skip => sub {
			my ($program) = $_[0] =~ /^(\w+)/;
			return 'tried with another driver' if $again && $program =~ /^(?:uvicorn|alembic)$/;
			return missing(qw(fastapi uvicorn asyncpg greenlet)) if $program eq 'uvicorn';
			return missing($program) if $program =~ /^(?:pytest|alembic)$/;
			return;
		},
		edit => sub {
			my ($file, $content) = @_;
			# as the page says
			$content =~
			  s/^(app = FastAPI\()lifespan=lifespan/$1)\napp.router.lifespan_context = (lifespan/m
			  if $file eq 'main.py' && !at_least('fastapi', '0.93');
			return $content;
		},
		sh => {
			'uvicorn main:app --workers 4' => sub { fastapi($page) },
			'alembic revision --autogenerate -m "next"' => sub { autogenerate($page) },
		});
	is(value('app', 'SELECT array_agg(r ORDER BY r) FROM migrate.current() r'),
		'{0003}', "    it is at the head, $driver");
	is(value('postgres', q{SELECT count(*) FROM pg_database WHERE datname LIKE 'test\_%'}),
		0, '    no database of a test is left');
	changed_file($page);
	restarted($page);
	restarted_stepwise($page);
	fifty($page) unless $again;
	deployer($page, "postgresql+$driver");
	return;
}

# What is served at the head, on an empty database, and what is logged.
sub fastapi
{
	my $page = shift;
	my $url = url(database('app_fast'), 'postgresql');
	local $page->{environment}{DATABASE_URL} = $url;
	my ($pid, $answer, $log) = served($page, 'uvicorn main:app --workers 4', '/users');
	is($answer, '{"users":0}', 'app-sqlalchemy.md: FastAPI answers') or diag $log;
	# one that answers is enough for that; the others can still be on their way
	wait_until(
		sub {
			my $started = () = slurp("$page->{directory}/server.out") =~ /startup complete/g;
			return $started == 4;
		},
		120);
	end($pid);
	$log = slurp("$page->{directory}/server.out");
	is(() = $log =~ /running upgrade  -> 0001/g, 1, '    one worker upgrades');
	is(() = $log =~ /nothing to do: at head 0001/g, 3, '    three find nothing to do') or diag $log;
	# a broken script: it does not serve
	$page->revision('0002', '0001', 'x', 'SELECT 1/0;');
	my ($status, $out) = $page->shell('timeout 120 uvicorn main:app --uds http2');
	isnt($status, 0, '    an error ends it');
	like($out, qr/division by zero/, '    which it names');
	($status, $out) = $page->shell(<<'SH');
python - <<'PY'
import asyncio
from errors import DBAPIError, explain
from main import engine, load, upgrade
async def main():
    try:
        async with engine.begin() as connection:
            await connection.run_sync(load)
            await connection.run_sync(upgrade)
    except DBAPIError as error:
        print(explain(error))
    await engine.dispose()
asyncio.run(main())
PY
SH
	like(
		$out,
		qr/^22012: division by zero\nrevision "0002", upgrade script, statement 1.*0002_x\.sql/m,
		'    explain() has the context with asyncpg');
	unlink "$page->{directory}/migrations/0002_x.sql";
	return;
}

# Alembic proposes to drop our tables without include_name, and only then.
sub autogenerate
{
	my $page = shift;
	my $dir = $page->{directory};
	my ($status, $out) = $page->shell('alembic init made && cp made/script.py.mako alembic'
		  . q{ && mkdir alembic/versions && sed -i 's|made|alembic|' alembic.ini});
	is($status, 0, 'app-sqlalchemy.md: a project of Alembic') or diag $out;
	my $generate = sub {
		my $name = shift;
		($status, $out) = $page->shell("alembic revision --autogenerate -m $name --rev-id $name");
		return "failed, migrate' $out" if $status;
		my $file = "$dir/alembic/versions/${name}_$name.py";
		my $content = slurp($file);
		unlink $file;
		return $content;
	};
	unlike($generate->('with'), qr/migrate'/, '    with include_name it leaves our tables alone');
	my $env = slurp("$dir/alembic/env.py");
	$page->write('alembic/env.py', $env =~ s/, include_name=include_name//r);
	my $ours = qr/op\.drop_table\('(?:applied|versions|revisions)', schema='migrate'\)/;
	like($generate->('without'), $ours, '    without it, to drop our tables');
	my $object = 'include_object=lambda thing, name, type_, *rest:'
	  . ' type_ != "table" or thing.schema != "migrate"';
	$page->write('alembic/env.py', $env =~ s/include_name=include_name/$object/r);
	unlike($generate->('object'), qr/migrate'/, '    include_object does so, too');
	$page->write('alembic/env.py', $env =~ s/include_schemas=True, include_name=include_name//r);
	unlike($generate->('default'), qr/migrate'/, '    nothing of them without include_schemas');
	return;
}

# A file that was changed after it was applied.
sub changed_file
{
	my $page = shift;
	my $name = 'migrations/0001_create_users.sql';
	my $content = slurp("$page->{directory}/$name");
	$page->write($name, $content =~ s/text NOT NULL/text/r);
	my ($status, $out) = $page->shell('python errors.py');
	like($out, qr/^MG007: /, '    a file that was changed after it was applied');
	$page->write($name, $content);
	return;
}

# Runs a script of Python, and restarts the server while it runs a statement: its status.
sub restart_during
{
	my ($page, $script, $statement) = @_;
	local %ENV = (%ENV, %{ $page->{environment} });
	my $log = "$page->{directory}/restart.out";
	my $started = spawn($log, 'sh', '-c', "cd $page->{directory} && exec python $script");
	my $query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'migrate %: $statement%'";
	ok(wait_until(sub { value('postgres', $query) }, 60), "    $script: $statement")
	  or diag slurp($log);
	$server->restart('immediate');
	return finish_spawned($started);
}

# The server restarts while a script runs: nothing is left, and the next start does it all.
sub restarted
{
	my $page = shift;
	$page->revision('0004', '0003', 'slow', 'CREATE TABLE slow (); SELECT pg_sleep(3);');
	my $result = restart_during($page, 'start.py', 'SELECT pg_sleep');
	isnt($result, 0, '    a restart of the server in the middle ends the application');
	is(
		value('app', q{SELECT to_regclass('slow') IS NULL
			AND NOT EXISTS (SELECT FROM migrate.history() WHERE revision = '0004')}),
		't', '    nothing is left of it');
	my ($status, $out) = $page->shell('python start.py');
	is($out, "applied: ['0004']\n", '    the next start does it');
	return;
}

# The same, step by step: what was completed stays.  CREATE TABLE could not be repeated.
sub restarted_stepwise
{
	my $page = shift;
	$page->revision('0005', '0004', 'steps', "CREATE TABLE once ();\nSELECT pg_sleep(3);",
		'transaction:false');
	my $result = restart_during($page, 'stepwise.py', 'SELECT pg_sleep');
	isnt($result, 0, '    a restart in the middle of a stepwise run ends the application');
	is(value('app', q{SELECT to_regclass('once')}), 'once', '    what was completed stays');
	my ($status, $out) = $page->shell('python stepwise.py');
	is($status, 0, '    the next call resumes there') or diag $out;
	is(value('app', q{SELECT string_agg(r, ',') FROM migrate.current() r}),
		'0005', '    to the head');
	return;
}

# Fifty at the same time, of which one does the work.
sub fifty
{
	my $page = shift;
	$page->revision('0006', '0005', 'fifty', 'CREATE TABLE fifty (); SELECT pg_sleep(0.5);');
	$page->write('fifty.py', <<'PY');
import os, sys, sqlalchemy, migrations
from sqlalchemy.dialects import postgresql
waiting, go = os.pipe()
workers = []
for i in range(50):
    worker = os.fork()
    if not worker:
        os.close(go)
        os.read(waiting, 1)
        import start
        sys.stdout.flush()
        os._exit(0)
    workers.append(worker)
os.close(go)
print(sum(os.waitpid(worker, 0)[1] for worker in workers))
PY
	my ($status, $out) = $page->shell('python fifty.py');
	is(() = $out =~ /^applied: \['0006'\]$/mg, 1, '    of fifty workers one upgrades') or diag $out;
	is(() = $out =~ /^applied: \[\]$/mg, 49, '    the others find nothing to do');
	like($out, qr/^0$/m, '    all of them end well');

	$page->revision('0007', '0006', 'waits', 'CREATE TABLE waits ();');
	my $holder = connect_to('app');
	$holder->run('SELECT pg_advisory_lock(1835624306, 1)');
	local $page->{environment}{PGOPTIONS} = '-c migrate.run_lock_timeout=200ms';
	($status, $out) = $page->shell('python errors.py');
	like($out, qr/^MG012: /, '    who waits too long fails');
	$holder->finish;
	unlink "$page->{directory}/migrations/0007_waits.sql";
	return;
}

# A deployer may upgrade, and not load.
sub deployer
{
	my ($page, $scheme) = @_;
	my ($status, undef, $err) = run_psql('app', <<'SQL', '-U', 'app');
GRANT USAGE ON SCHEMA migrate TO deployer;
GRANT EXECUTE ON FUNCTION migrate.upgrade(text) TO deployer;
SQL
	die $err if $status;
	local $page->{environment}{DATABASE_URL} = url('app', $scheme) =~ s/app@/deployer@/r;
	my ($failed, $out) = $page->shell('python errors.py');
	like($out, qr/^42501: permission denied for function load_files/,
		'    who is no author cannot load');
	($failed, $out) = $page->shell('python -c "import database, migrations
with database.engine.begin() as connection: print(migrations.upgrade(connection))"');
	is($out, "[]\n", '    a deployer can upgrade');
	return;
}

# ---------------------------------------------------------------------- Django ----

# Django takes psycopg 3 where it is, so psycopg2 is tried with that hidden.
sub django
{
	my ($driver, $again) = @_;
	my $dir = scratch_dir();
	my $page = MigratePages->new(
		'app-django.md',
		directory   => "$dir",
		files       => 'shop/revisions',
		with        => ", $driver",
		environment => { DB_HOST => $socket, DB_NAME => 'shop', SECRET_KEY => 'secret' });
	create_database('shop', owner => 'app', plain => 1);
	$page->write($_, '')
	  for 'shop/__init__.py', 'shop/management/__init__.py', 'shop/management/commands/__init__.py';
	# what startproject makes
	$page->write('manage.py', <<"PY");
import os, sys
if "$driver" == "psycopg2":
    sys.modules["psycopg"] = None
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
PY
	# which must not be run
	$page->write('shop/migrations/0001_initial.py', 'raise Exception("Django reads this")');
	my $from_django = join "\n", "{ printf -- '-- from Django\\n-- Revision ID: 0001\\n-- Revises:"
	  . "\\n-- migrate:up\\n'", '  python manage.py sqlmigrate shop 0001; } > 0001_from_django.sql';
	$page->run(
		skip => sub { $again && $_[0] eq $from_django ? 'tried with another driver' : undef },
		sh     => { $from_django => sub { from_django($page, $from_django) } },
		before => { 'python manage.py test' => sub { unmanaged($page) unless $again } });
	return;
}

# What the page says of managed = False.
sub unmanaged
{
	my $page = shift;
	my $models = slurp("$page->{directory}/shop/models.py");
	$page->write('shop/models.py', "$models        managed = False\n");
	my ($status, $out) = $page->shell('python manage.py test');
	isnt($status, 0, '    with managed = False, TransactionTestCase fails');
	like($out, qr/cannot truncate a table referenced in a foreign key/, '    which says why');
	$page->write('shop/models.py', $models);
	return;
}

# Several copies at once, CALL in atomic(), and stepwise upgrades of the command migrate; the
# history is that of the whole page.
sub stepwise_django
{
	my $page = shift;
	my ($status, $out) = $page->shell(
		"python manage.py upgrade --stepwise\npython manage.py shell -c '
from django.db import transaction
from shop import schema
from shop.management.commands.upgrade import explain
try:
    with transaction.atomic(): schema.upgrade(stepwise=True)
except Exception as error: print(explain(error))'");
	like($out, qr/^25001: /m, '    CALL in atomic()');
	my $command = 'shop/management/commands/migrate.py';
	my $content = slurp("$page->{directory}/$command");
	$page->write($command, $content =~ s/options\["database"\]\)$/options["database"], True)/mr);
	($status, $out) = $page->shell('python manage.py test shop.tests.CommitTest');
	is($status, 0, '    the command migrate, stepwise, makes the database of tests') or diag $out;
	$page->write($command, $content);
	$page->revision('0003', '0002', 'slow', 'SELECT pg_sleep(3);');
	($status, $out) =
	  $page->shell('python manage.py migrate --plan && python manage.py migrate --check');
	is($status, 0, '    migrate --plan and --check') or diag $out;
	is(value('shop', q{SELECT count(*) FROM migrate.history() WHERE revision = '0003'}),
		0, '    do not load');
	($status, $out) = $page->shell('for i in 1 2 3 4 5; do
			python manage.py upgrade --settings local_settings || echo failed & done; wait');
	is(() = $out =~ /running upgrade 0002 -> 0003/g, 1, '    one of five copies upgrades');
	is(() = $out =~ /nothing to do/g, 4, '    four find nothing to do') or diag $out;
	return;
}

# A file that sqlmigrate makes gives what Django makes, and a database of Django's is stamped.
sub from_django
{
	my ($page, $command) = @_;
	stepwise_django($page);
	my $dir = $page->{directory};
	unlink glob "$dir/shop/revisions/*.sql";
	unlink "$dir/shop/migrations/0001_initial.py";
	$page->write('shop/migrations/__init__.py', '');
	$page->write('before.py', "from settings import *\nMIGRATION_MODULES = {}\n");
	my ($status, $out);
	{
		local $page->{environment}{DJANGO_SETTINGS_MODULE} = 'before';
		local $page->{environment}{DB_NAME} = database('dj_old');
		($status, $out) = $page->shell("python manage.py makemigrations shop -v 0 &&
			python manage.py migrate auth -v 0 && python manage.py migrate shop -v 0 && $command");
		is($status, 0, "    a database and a migration of Django's") or diag $out;
	}
	my $file = slurp("$dir/0001_from_django.sql");
	$page->write('shop/revisions/0001_from_django.sql', $file);
	($status, undef, $out) = run_psql('dj_old',
		'SELECT migrate.load(' . lit($file) . q{, '0001_from_django.sql')}, '-U', 'app');
	is($status, 0, '    what sqlmigrate prints, as a file') or diag $out;
	run_psql('dj_old', q{SELECT migrate.stamp('0001')}, '-U', 'app');
	for my $database ('dj_old', database('dj_new'))
	{
		local $page->{environment}{DB_NAME} = $database;
		($status, $out) = $page->shell('python manage.py migrate -v 0');
		is($status, 0, "    migrate, $database") or diag $out;
		is(value($database, q{SELECT string_agg(r, ',') FROM migrate.current() r}),
			'0001', '    is at the head');
	}
	is(schema_difference('dj_old', 'dj_new'), '', '    both have the same tables');
	return;
}

# --------------------------------------------------------------------- asyncpg ----

sub asyncpg
{
	my $dir = scratch_dir();
	my $page = MigratePages->new(
		'app-asyncpg.md',
		directory   => "$dir",
		with        => '',
		environment => { DATABASE_URL => url(database('app_async'), 'postgresql') });
	$page->run;
	unlink "$dir/migrations/0003_add_last_login.sql";
	asyncpg_facts($page);
	through_pgbouncer($page);
	return;
}

# What the page says in words.
sub asyncpg_facts
{
	my $page = shift;
	$page->write('facts.py', <<'PY');
import asyncio, os, warnings, asyncpg, schema
url = os.environ["DATABASE_URL"]
async def main():
    warnings.simplefilter("always")
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        with warnings.catch_warnings(record=True) as caught:
            async with pool.acquire() as connection:
                connection.add_log_listener(lambda *_: print("removed"))
        print("warned", len(caught), "listener" in str(caught[0].message))
        heard = []
        schema.log_message = lambda connection, message: heard.append(message)
        for listens in False, True:
            async with pool.acquire() as connection:
                if listens:
                    connection.add_log_listener(schema.log_message)
                await connection.execute("DO 'BEGIN RAISE NOTICE ''x''; END'")
                await asyncio.sleep(0.1)
                connection.remove_log_listener(schema.log_message)
                print("heard", len(heard))
    connection = await asyncpg.connect(url)
    for call in "SELECT migrate.upgrade('zz')", "BEGIN; CALL migrate.upgrade_stepwise('head')":
        try:
            await connection.execute(call)
        except asyncpg.PostgresError as error:
            print(error.sqlstate)
    await connection.execute("ROLLBACK")
    await connection.execute("""SELECT migrate.revision('slow', head => '0002', rev_id => 'slow',
        upgrade => 'CREATE TABLE slow (); SELECT pg_sleep(60);')""")
    run = asyncio.ensure_future(connection.fetch("SELECT migrate.upgrade('slow')"))
    await asyncio.sleep(1)
    run.cancel()
    try:
        await run
    except asyncio.CancelledError:
        print("cancelled")
    await connection.close()
    connection = await asyncpg.connect(url)
    print(await connection.fetchval("SELECT to_regclass('slow')"))
    await connection.execute("SELECT migrate.drop('slow')")
    await connection.close()
    try:
        async with asyncpg.create_pool(url, command_timeout=0.5) as pool:
            await pool.execute("SELECT pg_sleep(5)")
    except asyncio.TimeoutError:
        print("timeout")
    done = await asyncio.gather(*(schema.upgrade(url) for i in range(50)))
    print(done.count(["0003"]), done.count([]))
asyncio.run(main())
PY
	$page->revision('0003', '0002', 'fifty', 'CREATE TABLE fifty (); SELECT pg_sleep(0.5);');
	my ($status, $out) = $page->shell('python facts.py');
	is($out =~ s/\n/; /gr,
		'warned 1 True; heard 0; heard 1; MG001; 25001; cancelled; None; timeout; 1 49; ',
		'app-asyncpg.md, in words');
	return;
}

# PgBouncer in transaction mode, with several server connections in turn.
sub through_pgbouncer
{
	my $page = shift;
	my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } '/usr/sbin', split /:/, $ENV{PATH};
  SKIP:
	{
		skip 'PgBouncer is not installed', 4 unless $pgbouncer;
		my $dir = $page->{directory};
		spew("$dir/pgbouncer.ini", <<"INI");
[databases]
app_async = host=$socket port=$ENV{PGPORT} dbname=app_async user=app
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $dir
auth_type = any
pool_mode = transaction
server_round_robin = 1
min_pool_size = 3
INI
		my $bouncer = spawn("$dir/pgbouncer.out", $pgbouncer, "$dir/pgbouncer.ini");
		local $page->{environment}{DATABASE_URL} =
		  "postgresql://app@/app_async?host=$dir&port=6432";
		wait_until(sub { -S "$dir/.s.PGSQL.6432" }, 30) or diag slurp("$dir/pgbouncer.out");
		my ($failed, $said);
		for (1 .. 6) { ($failed, $said) = $page->shell('python app.py'); last if $failed }
		like($said, qr/prepared statement "__asyncpg\w+" (?:already exists|does not exist)/,
			'    PgBouncer needs statement_cache_size=0');
		my $connect = slurp("$dir/schema.py");
		my $application = slurp("$dir/app.py");
		my $option = 'statement_cache_size=0';
		$page->write('schema.py', $connect =~ s/connect\(url\)/connect(url, $option)/r);
		$page->write('app.py', $application =~ s/command_timeout=10/$option/r);
		$page->revision('0004', '0003', 'pooled', 'CREATE TABLE pooled ();');
		my ($status, $out) = $page->shell('python app.py');
		like($out, qr/^applied: \['0004'\]\nusers: 0$/m, '    through PgBouncer') or diag $out;
		$page->revision('0005', '0004', 'index', 'CREATE INDEX CONCURRENTLY ON users (id);',
			'transaction:false');
		($status, $out) = $page->shell('python stepwise.py');
		is($status, 0, '    step by step') or diag $out;
		is(value('app_async', q{SELECT string_agg(r, ',') FROM migrate.current() r}),
			'0005', '    it is at the head');
		end($bouncer);
	}
	return;
}
