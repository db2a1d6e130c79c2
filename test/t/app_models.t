#!/usr/bin/perl
#
# doc/orm.md, run as it is: each section in a directory of its own, on a database that the
# ORM itself has made, of a role that is not a superuser.  There is no difference then,
# and one when a field has changed.
#
# What is not there is skipped, and with MIGRATE_REQUIRE_APPLICATIONS=1 a failure.
#
# Environment: MIGRATE_PYTHON, the Python (python3), with SQLAlchemy 2, SQLModel, Django 5
# and psycopg2; MIGRATE_NODE_MODULES, a directory of modules with drizzle-kit, drizzle-orm,
# prisma 6, @prisma/adapter-pg and pg.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigratePages;
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 1800;
my $python = $ENV{MIGRATE_PYTHON} // 'python3';
my $modules = $ENV{MIGRATE_NODE_MODULES} // '/usr/share/nodejs';
my $required = $ENV{MIGRATE_REQUIRE_APPLICATIONS};
my $server = MigrateServer->create->use;
run_psql('postgres', 'CREATE ROLE app LOGIN CREATEDB');
my $socket = $server->socket_dir;

$ENV{PYTHONDONTWRITEBYTECODE} = 1;
$ENV{PYTHONIOENCODING} = 'utf-8';
delete @ENV{qw(DATABASE_URL DJANGO_SETTINGS_MODULE PYTHONPATH MIGRATE_DIR MIGRATE_MODEL)};

# The programs of the page.
my $bin = scratch_dir();
chmod 0755, spew("$bin/python", qq{#!/bin/sh\nexec '$python' "\$@"\n}) && "$bin/python";
symlink abs_path("$FindBin::RealBin/../../bin/pg_migrate"), "$bin/pg_migrate" or die $!;
$ENV{PATH} = "$bin:" . tool('') . ":$ENV{PATH}";

# The first two numbers of the version of a module of Python, as one number, or undef.
sub version_of
{
	my $module = shift;
	my ($status, $out) = eval {
		run_program($python, '-c', "import $module; print(getattr($module, '__version__', '0'))");
	};
	return unless defined $status && !$status;
	return $out =~ /^(\d+)\.(\d+)/ ? $1 * 1000 + $2 : 0;
}

# Why modules of Python, each with the least version, cannot be used, or undef.
sub no_python
{
	my %least = @_;
	my @missing = grep { (version_of($_) // -1) < $least{$_} } sort keys %least;
	return unless @missing;
	return missing("$python has no @missing, or an older one (MIGRATE_PYTHON names another)");
}

# The same for modules of Node.js.
sub no_node
{
	my @missing = grep { !-d "$modules/$_" } @_;
	return unless @missing;
	return missing("there is no @missing in $modules (MIGRATE_NODE_MODULES names another)");
}

# A failure, if nothing is to be skipped.
sub missing
{
	my $why = shift;
	fail($why) if $required;
	return $why;
}

# A section of the page with a database of its own, which gets its contents by a function
# before the first command that compares.  Options: files, where its revisions go.
sub section
{
	my ($name, $make, %options) = @_;
	my $database = 'models_' . lc($name =~ s/\W+/_/gr);
	create_database($database, owner => 'app', plain => 1);
	# before PostgreSQL 15 it is the superuser's
	run_psql($database, 'ALTER SCHEMA public OWNER TO app');
	as_app($database, 'CREATE EXTENSION migrate');
	my $dir = scratch_dir();
	mkdir "$dir/db" or die $!;
	my $page = MigratePages->new(
		'orm.md',
		section     => $name,
		directory   => "$dir",
		with        => ", $name",
		database    => $database,
		environment => {
			HOME => "$dir", PGUSER => 'app', PGDATABASE => $database,
			DATABASE_URL => "postgresql://app\@localhost:$ENV{PGPORT}/$database?host=$socket" },
		%options);
	my $made;
	$page->run(
		before => {
			'pg_migrate check --models' => sub { $make->($page) unless $made++ }
		});
	is(value($database, 'SELECT count(*) FROM migrate.models'), 0, '    no model is stored');
	return;
}

# Runs SQL as the owner of the database.
sub as_app
{
	my ($database, @sql) = @_;
	for my $sql (@sql)
	{
		my ($status, undef, $err) = run_psql($database, $sql, '-U', 'app');
		die "$sql: $err" if $status;
	}
	return;
}

sub value { my ($database, $sql) = @_; return connect_to($database)->value($sql) }

# Runs a command of ours in the directory of the page.
sub succeed
{
	my ($page, $command) = @_;
	my ($status, $out) = $page->shell($command);
	is($status, 0, '    ' . (split /\n/, $command)[0]) or diag $out;
	return $out;
}

# Has the ORM make the database, with a revision that made nothing.
sub made_by
{
	my ($page, $command) = @_;
	$page->revision('0001', '', 'nothing', 'SELECT 1;');
	succeed($page, $command);
	succeed($page, 'pg_migrate upgrade');
	cmp_ok(value($page->{database}, q{SELECT count(*) FROM pg_class
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace}),
		'>', 0, '    there are tables');
	return;
}

# Models that are made by SQLAlchemy's create_all.
sub create_all
{
	my ($page, $base) = @_;
	made_by($page, qq{python -c "import os, models, sqlalchemy
from $base
engine = sqlalchemy.create_engine('postgresql+psycopg2' + os.environ['DATABASE_URL'][10:])
Base.metadata.create_all(engine)"});
	return;
}

# ----------------------------------------------------------------- SQL in git ----

section('A file in git', sub { }, files => 'db/migrations');

{
	create_database('development', owner => 'app', plain => 1);
	run_psql('development', 'ALTER SCHEMA public OWNER TO app');
	as_app('development', 'CREATE EXTENSION migrate',
		'CREATE TABLE orders (id serial PRIMARY KEY, note varchar(60) NOT NULL)',
		'CREATE VIEW ids AS SELECT id FROM orders');
	section(
		'A dump of a development database',
		sub {
			my $page = shift;
			made_by($page, q{psql -q -c 'CREATE TABLE orders (id serial PRIMARY KEY,}
				  . q{ note varchar(40) NOT NULL)' -c 'CREATE VIEW ids AS SELECT id FROM orders'});
		});
}

# --------------------------------------------------------------------- Python ----

SKIP:
{
	my $why = no_python(sqlalchemy => 2000, psycopg2 => 0);
	skip $why, 1 if $why;
	section(
		'SQLAlchemy',
		sub {
			my $page = shift;
			as_app($page->{database}, 'CREATE SCHEMA crm',
				q{SELECT migrate.configure('managed_schemas', 'public, crm')});
			create_all($page, 'models import Base');
		});
}

SKIP:
{
	my $why = no_python(sqlmodel => 0, psycopg2 => 0);
	skip $why, 1 if $why;
	section('SQLModel', sub { create_all(shift, 'sqlmodel import SQLModel as Base') });
}

SKIP:
{
	my $why = no_python(django => 5001);
	skip $why, 1 if $why;
	section(
		'Django',
		sub {
			my $page = shift;
			as_app($page->{database}, q{SELECT migrate.configure('exclude', 'django_migrations')});
			$page->write('shop/__init__.py', '');
			$page->write('settings.py', <<'PY');
import os

SECRET_KEY = "secret"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.sessions", "django.contrib.postgres", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"],
                         "PORT": os.environ["PGPORT"], "NAME": os.environ["PGDATABASE"],
                         "USER": "app"}}
PY
			my $with = '--settings settings --pythonpath .';
			made_by($page, "python -m django makemigrations $with shop"
				  . " && python -m django migrate $with");
		});
}

# -------------------------------------------------------------------- Node.js ----

SKIP:
{
	my $why = no_node('drizzle-kit', 'drizzle-orm', 'pg');
	skip $why, 1 if $why;
	section(
		'Drizzle',
		sub {
			my $page = shift;
			symlink $modules, "$page->{directory}/node_modules" or die $!;
			made_by($page, 'npx drizzle-kit push --force');
		});
}

# Prisma's native engines are not on npm.  That in WebAssembly prints the same DDL; but it
# cannot read a database, so psql runs it.
SKIP:
{
	my $why = no_node('prisma', '@prisma/adapter-pg', 'pg');
	skip $why, 1 if $why;
	section(
		'Prisma',
		sub {
			my $page = shift;
			symlink $modules, "$page->{directory}/node_modules" or die $!;
			$page->write('engine', '');
			chmod 0755, "$page->{directory}/engine" or die $!;
			$page->{environment}{$_} = "$page->{directory}/engine"
			  for qw(PRISMA_QUERY_ENGINE_LIBRARY PRISMA_SCHEMA_ENGINE_BINARY);
			$page->{environment}{CHECKPOINT_DISABLE} = 1;
			$page->write('prisma.config.ts', <<'TS');
import { defineConfig } from "prisma/config";
import { PrismaPg } from "@prisma/adapter-pg";

export default defineConfig({
  experimental: { adapter: true },
  engine: "js",
  schema: "schema.prisma",
  adapter: async () => new PrismaPg({ connectionString: process.env.DATABASE_URL }),
});
TS
			my $conf = slurp("$page->{directory}/migrate.conf");
			# what it says of its configuration
			$page->write('migrate.conf', $conf =~ s/--script/--script 2>messages/r);
			my ($command) = $conf =~ /^model = \| (.*)/m;
			made_by($page, "$command 2>messages | psql -q -v ON_ERROR_STOP=1");
		});
}

done_testing();
drop_databases();
