#!/usr/bin/perl
#
# pg_migrate new --autogenerate: doc/autogenerate.md as it is, with each line of its table
# tried, and what its users can meet: renames, what is pending, heads, models that fail, odd
# names, and the models of SQLAlchemy where that is there.
#
# Environment: MIGRATE_PYTHON, the Python (python3) with SQLAlchemy 2.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigratePages;
use MigrateProject;
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 900;
my $server = MigrateServer->create(
	settings => [ 'max_locks_per_transaction = 256', 'wal_level = logical' ])->use;
delete @ENV{qw(DATABASE_URL MIGRATE_DIR MIGRATE_MODEL PGOPTIONS)};
my $dir = scratch_dir();
my $program = abs_path("$FindBin::RealBin/../../bin/pg_migrate");
symlink $program, "$dir/pg_migrate" or die $!;
$ENV{PATH} = "$dir:" . tool('') . ":$ENV{PATH}";
$ENV{PGUSER} //= 'postgres';

# ------------------------------------------------------------ the page ----

{
	create_database('autogenerate_page', plain => 1);
	my $home = scratch_dir();
	MigratePages->new(
		'autogenerate.md',
		directory   => "$home",
		with        => '',
		environment => { HOME => "$home", PGDATABASE => 'autogenerate_page' })->run;
	my $session = connect_to('autogenerate_page');
	is($session->value('SELECT string_agg(email, NULL ORDER BY id) FROM users'),
		'ann@example.combob@example.com', 'the rows are there');
}

# ------------------------------------------------------------ projects ----

my $projects = 0;

# A project: a directory with migrations, schema.sql as the model, and a database.
sub project
{
	my %options = @_;
	my $home = scratch_dir();
	my $database = 'autogenerate_' . ++$projects;
	create_database($database, %options);
	mkdir "$home/migrations" or die $!;
	spew("$home/migrate.conf", "revision_ids = serial\nmodel = schema.sql\n");
	my $self = bless { dir => $home, database => $database }, 'Project';
	$self->model('CREATE TABLE a (id int PRIMARY KEY, name text);');
	return $self;
}

# One that is at 0001, which has made what the model says.
sub begun
{
	my $self = project(@_);
	$self->generates([], 'migrations/0001_m.sql');
	$self->run('upgrade');
	return $self;
}

package Project;

use parent -norequire, 'MigrateProject';

use MigrateTest;
use Test::More;

sub model { return spew("$_[0]{dir}/schema.sql", "$_[1]\n") }

sub run
{
	my ($self, @arguments) = @_;
	local %ENV = (%ENV, PGDATABASE => $self->{database}, %{ $self->{environment} // {} });
	my ($status, $out, $err) = run_program('sh', '-c', 'cd "$0" && exec pg_migrate "$@"',
		"$self->{dir}", @arguments);
	return ($status >> 8, $out, $err);
}

# Generates a file of that name, and returns it.
sub generates
{
	my ($self, $options, $file, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = $self->state;
	$self->is_run([ 'new', '--autogenerate', '-m', 'm', @$options ], 0, "./$file\n", undef,
		$name // "$file, @$options") or return '';
	is($self->state, $before, '    nothing changes in the database');
	return slurp("$self->{dir}/$file");
}

# Generates nothing, with this status and messages.
sub refuses
{
	my ($self, $options, $status, $err, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @before = $self->files;
	$self->is_run([ 'new', '--autogenerate', '-m', 'm', @$options ], $status, '', $err, $name);
	is_deeply([ $self->files ], \@before, '    no file is written');
	return;
}

# What is in the tables of migrate, and in the schema.
sub state
{
	my $self = shift;
	return $self->sql(<<'SQL');
SELECT concat(
	(SELECT string_agg(r::text, ',' ORDER BY revision) FROM migrate.revisions AS r),
	(SELECT string_agg(m::text, ',' ORDER BY name) FROM migrate.models AS m),
	(SELECT string_agg(s::text, ',' ORDER BY s::text) FROM migrate.steps AS s),
	(SELECT string_agg(concat(oid, relname, relfilenode), ',' ORDER BY oid) FROM pg_class),
	(SELECT string_agg(concat(attrelid, attname), ',' ORDER BY attrelid, attnum)
		FROM pg_attribute))
SQL
}

package main;

# What is below the header.
sub scripts { return $_[0] =~ s/\A.*?^(?=-- migrate:up)//msr }

# ---------------------------------------------------------------- files ----

subtest 'generate, upgrade, downgrade, upgrade' => sub {
	my $p = project();
	my $file = $p->generates([], 'migrations/0001_m.sql', 'the first one, without any file');
	like(scripts($file),
		qr/\A-- migrate:up\nCREATE TABLE public\.a \(.*\n\n-- migrate:down\n.*\n\z/s,
		'    its scripts');
	for ('upgrade', 'downgrade base', 'upgrade')
	{
		my ($status, $out) = $p->run(split / /);
		is("$status $out", "0 0001\n", "    $_");
	}
	$p->is_run([ 'check', '--models' ], 0, '');
	is($p->sql(q{SELECT migrate.export('0001')}), $file, '    loaded as it is');
	$p->refuses([], 0, qr/\ANOTICE:  no changes in the schema detected\n\z/, 'no changes');
	$p->model('CREATE TABLE a (id int PRIMARY KEY, name text, b int);');
	$p->is_run([ 'check', '--models' ], 3, "create column public.a.b\n");
	$p->generates([], 'migrations/0002_m.sql', 'after a change');
	$p->refuses([], 1, qr/not up to date.*^pg_migrate: "pg_migrate upgrade" applies/ms, 'pending');
	$p->run('upgrade');
	$p->is_run([ 'check', '--models' ], 0, '');
	$p->is_run(['drift'], 0, '');
};

subtest 'name, header and place are those of new' => sub {
	my $p = begun();
	$p->model('CREATE TABLE a (id int PRIMARY KEY, name text, b int);');
	for my $options (
		[], [ '--rev-id', 'mine' ], [ '--label', 'side', '--depends-on', '0001' ],
		[ '--head', 'base' ], ['--no-transaction'])
	{
		my @files;
		for my $autogenerate ([], ['--autogenerate'])
		{
			my ($status, $path, $err) = $p->run('new', '--splice', @$options, @$autogenerate,
				'a message: -- migrate:up', "it's \$HOME `x`\nand \"more\" \\n");
			chomp $path;
			is("$status$err", 0, "new @$options @$autogenerate");
			push @files, [ $path, slurp("$p->{dir}/$path") =~ s/Create Date: .*//r ];
			unlink "$p->{dir}/$path";
		}
		is($files[1][0], $files[0][0], '    the names');
		my ($head, $expected) = map { $_->[1] =~ /\A(.*^-- migrate:up[^\n]*\n)/ms } @files[ 1, 0 ];
		is($head, $expected, '    the headers');
		like($files[1][1], qr/^ALTER TABLE public\.a ADD COLUMN b integer;\n/m, '    the script');
		like($files[1][1], qr/^-- migrate:down transaction:false$/m, '    marked')
		  if "@$options" =~ /no-tr/;
	}
	$p->is_run([ 'revision', '--autogenerate', '-m', 'm' ], 0, "./migrations/0002_m.sql\n");
	$p->run('upgrade');
	is($p->sql(q{SELECT array_agg(c) FROM migrate.current() AS c}), '{0002}', 'it upgrades');
	my $before = slurp("$p->{dir}/migrations/0002_m.sql");
	$p->model('CREATE TABLE a (id int PRIMARY KEY, name text);');
	$p->refuses([ '--rev-id', '0002' ], 1, qr/"0002" is in use/, 'an identifier in use');
	$p->sql(q{SELECT migrate.revision('theirs', rev_id => 'theirs', head => 'base');
		SELECT migrate.stamp('theirs')});
	$p->refuses([ '--rev-id', 'theirs' ], 1, qr/^ERROR:  .*"theirs"/m,
		'    in the database only');
	$p->generates([], 'migrations/0003_m.sql');
	is(slurp("$p->{dir}/migrations/0002_m.sql"), $before, 'no other file is written');
	unlink "$p->{dir}/migrations/0003_m.sql";
	mkdir "$p->{dir}/migrations/0003_m.sql";
	$p->refuses([], 1, qr/\Apg_migrate: cannot write "\.\/migrations\/0003_m\.sql"/,
		'the file is there');
};

subtest 'scripts that are not transactional' => sub {
	my $p = begun();
	# f is made before the function that its body names
	$p->model('CREATE TABLE a (id int PRIMARY KEY, name text);'
		  . q{ CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 0';}
		  . q{ CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT g()';}
		  . ' CREATE VIEW v AS SELECT f() AS n');
	my $file = $p->generates(['--no-transaction'], 'migrations/0002_m.sql');
	like($file, qr/^-- migrate:up transaction:false\nSET check_function_bodies = off;\n/m,
		'    the setting is not one of a transaction');
	like($file, qr/FUNCTION public\.f\(\).*FUNCTION public\.g\(\)/s,
		'    it is needed');
	like($file, qr/^RESET check_function_bodies;\n/m, '    and ends with the script');
	for ('upgrade', 'downgrade -1', 'upgrade')
	{
		my ($status, undef, $err) = $p->run(split / /);
		is($status, 0, "    $_");
		unlike($err, qr/WARNING/, '    without a warning');
	}
	$p->is_run([ 'check', '--models' ], 0, '');
	$p->sql(q{DO $$ BEGIN ASSERT (SELECT n FROM v) = 0; END $$});
	# the way back makes the function, and so does one that is derived
	$p->model('CREATE TABLE a (id int PRIMARY KEY, name text)');
	$file = $p->generates(['--no-transaction'], 'migrations/0003_m.sql');
	like($file, qr/^-- migrate:down transaction:false\nSET check_function_bodies = off;\n/m,
		'    likewise the way back');
	$p->run('upgrade');
	like($p->sql(q{SELECT migrate.derive_downgrade('0003')}),
		qr/^SET check_function_bodies = off;/m, '    also when it is derived');
	$p->is_run([ 'downgrade', '-1' ], 0, "0003\n", qr/completed/);
	my $session = MigrateTest::connect_to($p->{database});
	$session->run(q{SELECT migrate.set_model('CREATE TABLE a (id int PRIMARY KEY, name int)')},
		q{SELECT migrate.drop('0003')});
	is($session->value(q{SELECT migrate.revision('m', autogenerate => true, rev_id => 'mine',
		transactional => false)}), 'mine', 'the function takes the argument, too');
	is($session->value(q{SELECT concat(upgrade_transactional, downgrade_transactional)
		FROM migrate.revisions WHERE revision = 'mine'}), 'ff', '    both scripts are marked');
};

subtest 'files without headers' => sub {
	my $p = project();
	spew("$p->{dir}/migrations/20200101_a.sql",
		"-- migrate:up\nCREATE TABLE a (id int PRIMARY KEY);\n-- migrate:down\nDROP TABLE a;\n");
	$p->run('upgrade');
	my ($status, $path) = $p->run('new', '--autogenerate', 'name');
	like("$status$path", qr{\A0\./migrations/\d{14}_name\.sql\n\z}, 'generated');
	chomp $path;
	is(slurp("$p->{dir}/$path"), "-- migrate:up\nALTER TABLE public.a ADD COLUMN name text;\n\n"
		  . "-- migrate:down\n-- loses the data in it\nALTER TABLE public.a DROP COLUMN name;\n",
		'    without a header');
	$p->is_run(['upgrade'], 0, qr/\A\d{14}\n\z/, qr/completed/);
	$p->is_run([ 'check', '--models' ], 0, '');
};

# --------------------------------------------------------- what differs ----

subtest 'renames' => sub {
	my $p = begun();
	$p->sql(q{INSERT INTO a VALUES (1, 'Ann')});
	my $renamed = "ALTER TABLE public.a RENAME COLUMN name TO full_name;\n";
	$p->model("CREATE TABLE a (id int PRIMARY KEY, full_name text);");
	like($p->generates([], 'migrations/0002_m.sql'), qr/DROP COLUMN name;/, 'not told');
	unlink "$p->{dir}/migrations/0002_m.sql";
	$p->refuses([ '--rename', 'nonsense' ], 1, qr/^ERROR:  invalid rename "nonsense"/m);
	$p->refuses([ '--rename', 'column public.a.nothing -> x' ], 1, qr/nothing does not exist/);
	$p->is_run([ 'new', 'm', '--rename=x' ], 2, '', qr/are options of --autogenerate/);
	$p->is_run([ 'new', 'm', '--no-prove' ], 2, '', qr/are options of --autogenerate/);
	$p->refuses(['--rename'], 2, qr/--rename needs a value/);
	like($p->generates([ '--rename', 'column public.a.name -> full_name' ],
			'migrations/0002_m.sql'), qr/\Q$renamed\E\n/, 'told by the option');
	unlink "$p->{dir}/migrations/0002_m.sql";
	$p->model("CREATE TABLE a (\n\tid int PRIMARY KEY,\n"
		  . "\tfull_name text -- migrate:renamed_from name\n);");
	like($p->generates(['--no-prove'], 'migrations/0002_m.sql'), qr/\Q$renamed\E\n/,
		'told in the model');
	$p->run('upgrade');
	is($p->sql('SELECT full_name FROM a'), 'Ann', 'the row is there');
	$p->refuses([], 0, qr/no changes/, 'the mark can stay');

	# two, and names with all sorts of characters
	my $odd = qq{"a '\\ \n, {} ""b"};
	$p->sql("CREATE TABLE $odd (c int)");
	$p->model("CREATE TABLE b (key int PRIMARY KEY, full_name text);\n"
		  . "CREATE TABLE \"n \$x\" (c int);");
	$p->generates([ '--rename', 'column public.a.id -> key', '--rename', 'table public.a -> b',
			'--rename', "table public.$odd -> \"n \$x\"" ],
		'migrations/0003_m.sql', 'three renames');
	$p->run('upgrade');
	is($p->sql('SELECT key FROM b'), 1, '    the row is there');
	$p->is_run([ 'check', '--models' ], 0, '');
};

subtest 'what is refused' => sub {
	my $p = begun();
	$p->model("CREATE TABLE a (id int, name text) PARTITION BY LIST (id);");
	$p->refuses([], 1, qr/^ERROR:  cannot generate a script that changes how table public\.a/m,
		'a table that would lose its rows');
	$p->model("CREATE TABLE a (id int PRIMARY KEY, name text);\n\nCREATE TABEL b;");
	$p->refuses([], 1, qr/^CONTEXT:  model "schema.sql", line 3\npg_migrate: model "schema\.sql"/m,
		'a syntax error in the model');
	$p->model("CREATE TABLE a (id int PRIMARY KEY);\nSELECT 1 / 0;");
	$p->refuses([], 1, qr/division.*^CONTEXT:  model "schema\.sql", statement 2, line 2$/ms,
		'an error in it');
	unlink "$p->{dir}/schema.sql";
	$p->refuses([], 2, qr/no file or directory "schema\.sql"/, 'no model');
	spew("$p->{dir}/migrate.conf", "revision_ids = serial\n");
	$p->refuses([], 1, qr/no model is declared.*^pg_migrate: models are named by -M/ms,
		'nor a name');
	$p->refuses([ '-M', '| false' ], 1, qr/failed with status 1/, 'a command that fails');
	$p->generates([ '-M', '| echo "CREATE TABLE c ();"' ], 'migrations/0002_m.sql', 'a command');
	$p->is_run([ 'new', '--autogenerate' ], 2, '', qr/needs a message/);
	unlink "$p->{dir}/migrations/0002_m.sql";
	$p->sql(q{SELECT migrate.revision('theirs', rev_id => 'theirs')});
	$p->refuses([ '-M', '| echo "SELECT 1"' ], 1,
		qr/not up to date.*"pg_migrate upgrade" .*no file has revision "theirs" \(not applied\)/s,
		'pending in the database only');
	$p->sql(q{SELECT migrate.drop('theirs')});
	{
		local $p->{environment} = { PGPORT => 1 };
		$p->refuses([ '-M', '| echo "SELECT 1"' ], 2, qr/connection/, 'no connection');
	}
	my $holder = connect_to($p->{database});
	$holder->run('BEGIN', q{SELECT migrate.configure('revision_ids', 'serial')});
	local $p->{environment} = { PGOPTIONS => '-c migrate.run_lock_timeout=100ms' };
	$p->refuses([ '-M', '| echo "SELECT 1"' ], 4, qr/run lock/, 'the run lock is not available');
};

subtest 'two heads' => sub {
	my $p = begun();
	my $file = sub { "-- m\n-- Revision ID: $_[0]\n-- Revises: 0001\n\n-- migrate:up\n"
		  . "CREATE TABLE $_[0] ();\n\n-- migrate:down\nDROP TABLE $_[0];\n" };
	spew("$p->{dir}/migrations/$_.sql", $file->($_)) for 'port', 'starboard';
	$p->run('upgrade', 'heads');
	$p->refuses([], 1, qr/several heads: "port", "starboard"; choose one with --head/);
	$p->model("CREATE TABLE a (id int PRIMARY KEY);");
	like($p->generates([ '--head', 'port' ], 'migrations/0002_m.sql'),
		qr/^-- Revises: port\n/m, 'one of them is chosen');
	unlink "$p->{dir}/migrations/0002_m.sql";
	$p->run('merge');
	$p->refuses([], 1, qr/not up to date/, 'the merge is pending');
	$p->run('upgrade');
	like($p->generates([], 'migrations/0003_m.sql'), qr/^-- Revises: 0002\n/m, 'after it');
};

subtest 'the settings of the database and the role' => sub {
	my $p = project();
	$p->sql('ALTER DATABASE ' . $p->{database} . ' SET search_path = shop, public; '
		  . 'CREATE SCHEMA shop; '
		  . q{SELECT migrate.configure('managed_schemas', 'shop')});
	like($p->generates([], 'migrations/0001_m.sql'), qr/^CREATE TABLE shop\.a \(/m,
		'the model runs with the search_path of the role');
	$p->run('upgrade');
	$p->is_run([ 'check', '--models' ], 0, '');
};

subtest 'odd names' => sub {
	my $p = project();
	my $odd = "it's \"a\" \$(touch x) \\n";
	mkdir "$p->{dir}/$odd" or die $!;
	mkdir "$p->{dir}/$odd/models" or die $!;
	spew("$p->{dir}/$odd/models/1 '\"\\.sql", "CREATE TABLE \"t '\"\"\\ ;\n-- migrate:down\" "
		  . "(\"c \$\$ \n;\" text DEFAULT E'\\n-- migrate:up\\n');");
	my ($status, $path, $err) = $p->run('-D', $odd, '-M', "$odd/models", 'new', '--autogenerate',
		"'; DROP TABLE x; -- \xc3\xa9");
	chomp $path;
	is("$status $path $err", "0 $odd/0001_drop_table_x_\xc3\xa9.sql ", 'generated')
	  or return;
	($status, undef, $err) = $p->run('-D', $odd, 'upgrade');
	is($status, 0, '    upgraded') or diag $err, slurp("$p->{dir}/$path");
	$p->is_run([ '-D', $odd, '-M', "$odd/models", 'check', '--models' ], 0, '');
	is_deeply([ grep { -e "$p->{dir}/$_" } 'x', "$odd/x" ], [], '    nothing of it is run');
};

# ------------------------------------------------- the table of the page ----

# Each line of it: what the database has and what the model has, beside "t", and what the
# upgrade script is like.
my $trigger = q{CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';};
my %trials = (
	'tables, columns' => [
		[ 'CREATE TABLE u (a int)', 'ALTER TABLE t ADD c int',
			qr/^DROP TABLE public\.u;\n.*^ALTER TABLE public\.t ADD COLUMN c integer;\n/ms ] ],
	'names of these' => [
		[ '', 'ALTER TABLE t RENAME TO u',
			qr/^DROP TABLE public\.t;\n.*^CREATE TABLE public\.u/ms ],
		[ '', "CREATE TABLE u -- migrate:renamed_from t\n(a int, b text);\nDROP TABLE t",
			qr/\A(?!.*(?:DROP|CREATE)).*RENAME TO u;\n/s ] ],
	'type of a column' => [
		[ '', 'ALTER TABLE t ALTER a TYPE bigint', qr/ALTER COLUMN a TYPE bigint;/ ],
		[ '', 'ALTER TABLE t ALTER b TYPE int USING b::int', qr/TYPE integer USING b::integer;/ ],
		[ 'ALTER TABLE t ALTER b TYPE varchar(5)', 'ALTER TABLE t ALTER b TYPE varchar(9)',
			qr/TYPE character varying\(9\);/ ] ],
	'NOT NULL, identity' => [
		[ '', 'ALTER TABLE t ALTER a SET NOT NULL', qr/ALTER COLUMN a SET NOT NULL;/ ],
		[ 'ALTER TABLE t ALTER a SET NOT NULL',
			'ALTER TABLE t ALTER a SET NOT NULL, ALTER a ADD GENERATED ALWAYS AS IDENTITY',
			qr/ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY/ ] ],
	'default' => [ [ '', q{ALTER TABLE t ALTER b SET DEFAULT 'x'}, qr/b SET DEFAULT 'x'::text;/ ] ],
	'generated column' => [
		[ 'ALTER TABLE t ADD c int GENERATED ALWAYS AS (a + 1) STORED',
			'ALTER TABLE t ADD c int GENERATED ALWAYS AS (a + 2) STORED',
			qr/DROP COLUMN c;\n-- rewrites .*\n.*ADD COLUMN c integer GENERATED ALWAYS AS \(/ ] ],
	'collation, storage, statistics of a column' => [
		[ '', 'ALTER TABLE t ALTER b TYPE text COLLATE "C", ALTER b SET STORAGE external,
			ALTER b SET STATISTICS 5', qr/COLLATE pg_catalog."C";.*external;.*STATISTICS 5;/s ] ],
	'primary key, EXCLUDE' => [
		[ '', 'ALTER TABLE t ADD PRIMARY KEY (a)', qr/ADD CONSTRAINT t_pkey PRIMARY KEY \(a\);/ ],
		[ 'ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING hash (a WITH =)',
			'ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING hash (b WITH =)',
			qr/DROP CONSTRAINT x;\n.*EXCLUDE USING hash \(b WITH =\);/ ] ],
	'UNIQUE, foreign key, index' => [
		[ 'ALTER TABLE t ADD UNIQUE (a)', 'ALTER TABLE t ADD UNIQUE (a) DEFERRABLE',
			qr/DROP CONSTRAINT t_a_key;\n.*UNIQUE \(a\) DEFERRABLE;/ ],
		[ 'CREATE TABLE p (x int PRIMARY KEY); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p',
			'CREATE TABLE p (x int PRIMARY KEY);
			ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE',
			qr/DROP CONSTRAINT t_a_fkey;\n.*ON DELETE CASCADE;/ ],
		[ 'CREATE INDEX i ON t (a)', 'CREATE INDEX i ON t (a) WHERE a > 1',
			qr/DROP INDEX public\.i;\nCREATE INDEX i .*WHERE \(a > 1\);/ ] ],
	'CHECK' => [
		[ 'ALTER TABLE t ADD CHECK (a > 1)', 'ALTER TABLE t ADD CHECK (a > 2)',
			qr/DROP CONSTRAINT t_a_check;\n.*CHECK \(\(a > 2\)\);/ ] ],
	'names of indexes and constraints' => [
		[ 'CREATE INDEX i ON t (a); ALTER TABLE t ADD CONSTRAINT x CHECK (a > 1)',
			'CREATE INDEX j ON t (a); ALTER TABLE t ADD CONSTRAINT y CHECK (a > 1)',
			qr/\A(?!.*(?:DROP|CREATE))(?=.*RENAME TO j;).*RENAME CONSTRAINT x TO y;/s ] ],
	'comment' => [ [ '', q{COMMENT ON TABLE t IS 'x'; COMMENT ON COLUMN t.a IS 'y'},
			qr/COMMENT ON TABLE public\.t IS 'x';\nCOMMENT ON COLUMN public\.t\.a IS 'y';/ ] ],
	'enum' => [
		[ q{CREATE TYPE e AS ENUM ('a', 'c')}, q{CREATE TYPE e AS ENUM ('a', 'b', 'c')},
			qr/\AALTER TYPE public\.e ADD VALUE 'b' (?:AFTER 'a'|BEFORE 'c');\s*\z/ ],
		[ q{CREATE TYPE e AS ENUM ('a', 'b'); ALTER TABLE t ADD e e},
			q{CREATE TYPE e AS ENUM ('a'); ALTER TABLE t ADD e e},
			qr/CREATE TYPE public\.e AS ENUM \('a'\);.*ALTER COLUMN e TYPE public\.e USING/s ] ],
	'sequence, domain, composite type' => [
		[ 'CREATE SEQUENCE s', 'CREATE SEQUENCE s INCREMENT 5',
			qr/^ALTER SEQUENCE public\.s .*INCREMENT BY 5/m ],
		[ 'CREATE DOMAIN d AS int', 'CREATE DOMAIN d AS int NOT NULL CHECK (VALUE > 1)',
			qr/(?=.*ADD CONSTRAINT d_check).*ALTER DOMAIN public\.d SET NOT NULL;/s ],
		[ 'CREATE TYPE c AS (a int)', 'CREATE TYPE c AS (a bigint, b int)',
			qr/ADD ATTRIBUTE b integer;\n.*ALTER ATTRIBUTE a TYPE bigint;/ ] ],
	'view, materialized view, trigger, rule, policy, range type' => [
		[ 'CREATE VIEW v AS SELECT a FROM t; CREATE VIEW w AS SELECT 1 AS x FROM v',
			'CREATE VIEW v AS SELECT b FROM t; CREATE VIEW w AS SELECT 1 AS x FROM v',
			qr/VIEW public\.w;\nDROP VIEW public\.v;\nCREATE VIEW public\.v .*VIEW public\.w/s ],
		[ 'CREATE MATERIALIZED VIEW v AS SELECT a FROM t; CREATE INDEX i ON v (a)',
			'CREATE MATERIALIZED VIEW v AS SELECT a + 1 AS a FROM t; CREATE INDEX i ON v (a)',
			qr/DROP MATERIALIZED VIEW public\.v;\nCREATE MATERIALIZED VIEW .*CREATE INDEX i/s ],
		[ "$trigger CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
			"$trigger CREATE TRIGGER x BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
			qr/DROP TRIGGER x ON public\.t;\nCREATE TRIGGER x BEFORE UPDATE/i ],
		[ 'CREATE RULE r AS ON DELETE TO t DO NOTHING',
			'CREATE RULE r AS ON DELETE TO t DO ALSO NOTIFY x',
			qr/CREATE (?:OR REPLACE )?RULE r AS/ ],
		[ 'CREATE POLICY p ON t USING (a > 1)', 'CREATE POLICY p ON t USING (a > 2)',
			qr/POLICY p ON public\.t.*USING \(\(a > 2\)\);/is ],
		[ 'CREATE TYPE r AS RANGE (subtype = int)', 'CREATE TYPE r AS RANGE (subtype = bigint)',
			qr/DROP TYPE public\.r;\nCREATE TYPE public\.r AS RANGE \(subtype = bigint/ ] ],
	'function, procedure, aggregate' => [
		[ q{CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'},
			q{CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'},
			qr/\A(?!.*DROP).*CREATE OR REPLACE FUNCTION public\.f\(integer\)/s ],
		[ q{CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
			CREATE VIEW v AS SELECT 1 AS x WHERE f(1) > 0},
			q{CREATE FUNCTION f(int) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
			CREATE VIEW v AS SELECT 1 AS x WHERE f(1) > 0},
			qr/VIEW public\.v;\nDROP FUNCTION public\.f\(integer\);\n.*CREATE VIEW public\.v/s ],
		[ '', q{CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'},
			qr/CREATE OR REPLACE PROCEDURE public\.p\(\)/ ],
		[ '', 'CREATE AGGREGATE g(int) (SFUNC = int4pl, STYPE = int)',
			qr/CREATE AGGREGATE public\.g\(integer\)/ ] ],
	'partition' => [
		[ 'CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 (a int);
			CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3)',
			'CREATE TABLE p (a int) PARTITION BY LIST (a);
			CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
			CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); CREATE TABLE p3 (a int)',
			qr/(?=.*CREATE\ TABLE\ public\.p2)(?=.*ATTACH\ PARTITION\ public\.p1\ )
				(?=.*ATTACH\ PARTITION\ public\.p2\ ).*DETACH\ PARTITION\ public\.p3/sx ] ],
	'event trigger' => [
		[ q{CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
			CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()},
			q{CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
			CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f();
			ALTER EVENT TRIGGER e DISABLE}, qr/\AALTER EVENT TRIGGER e disable;\s*\z/ ] ],
	'default privileges, if privileges are compared' => [
		[ q{SELECT migrate.configure('compare_privileges', 'on')},
			'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC',
			qr/GRANT SELECT ON TABLES TO PUBLIC;\s*\z/ ] ],
	'storage parameters, row security, replica identity, UNLOGGED' => [
		[ '', 'ALTER TABLE t SET (fillfactor = 70), REPLICA IDENTITY FULL,
			ENABLE ROW LEVEL SECURITY; ALTER TABLE t SET UNLOGGED',
			qr/(?=.*\(fillfactor='70'\);)(?=.*IDENTITY FULL;)(?=.*ENABLE ROW).*SET UNLOGGED;/s ] ],
	'foreign server, wrapper, table and column' => [
		[ q{CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (a '1');
			CREATE FOREIGN TABLE f (a int OPTIONS (b '1')) SERVER s},
			q{CREATE FOREIGN DATA WRAPPER w OPTIONS (c '1');
			CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (a '2');
			CREATE FOREIGN TABLE f (a int OPTIONS (b '2')) SERVER s OPTIONS (d '1')},
			qr/\A(?!.*DROP)(?=.*SERVER\ s\ OPTIONS\ \(SET\ a\ '2'\))
				(?=.*WRAPPER\ w\ OPTIONS\ \(ADD\ c)(?=.*COLUMN\ a\ OPTIONS\ \(SET\ b)
				.*TABLE\ public\.f\ OPTIONS\ \(ADD\ d/sx ] ],
	'schema, extension, operator, cast, text search, publication and so on' => [
		[ '', 'CREATE EXTENSION hstore', qr/^CREATE EXTENSION (?:IF NOT EXISTS )?hstore/m ],
		[ '', 'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
			qr/CREATE OPERATOR public\.===/ ],
		[ '', q{CREATE TYPE c AS (a int);
			CREATE FUNCTION f(c) RETURNS int LANGUAGE sql AS 'SELECT $1.a';
			CREATE CAST (c AS int) WITH FUNCTION f(c)}, qr/CREATE CAST \(public\.c AS integer\)/ ],
		[ '', 'CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)',
			qr/CREATE TEXT SEARCH DICTIONARY public\.d/ ],
		[ '', 'CREATE PUBLICATION p FOR TABLE t', qr/CREATE PUBLICATION p FOR TABLE/ ],
		[ '', 'CREATE STATISTICS s ON a, b FROM t', qr/CREATE STATISTICS public\.s/ ],
		[ '', q{CREATE COLLATION k (provider = libc, locale = 'C')},
			qr/CREATE COLLATION public\.k/ ],
		[ '', 'CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
			CREATE FOREIGN TABLE f (a int) SERVER s',
			qr/CREATE SERVER s .*CREATE FOREIGN TABLE/s ] ]);

# What the page says is not written: what the error names.
my @refused = (
	[ 'CREATE TABLE p (a int)', 'CREATE TABLE p (a int) PARTITION BY LIST (a)',
		qr/table public\.p is partitioned$/m ],
	[ 'CREATE TABLE c (a int, b text)', 'CREATE TABLE c () INHERITS (t)', qr/column public\.c\./ ],
	[ 'CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w',
		'CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
		CREATE USER MAPPING FOR CURRENT_USER SERVER s', qr/user mapping/ ]);

subtest 'the table of doc/autogenerate.md' => sub {
	my $page = slurp("$FindBin::RealBin/../../doc/autogenerate.md");
	my ($table) = $page =~ /^\| \| here \| Alembic \|\n.*\n((?:^\|.*\n)+)/m;
	is_deeply([ sort map { /^\| (.*?) \|/ } split /\n/, $table ], [ sort keys %trials ],
		'every line is tried');
	my $session = connect_to(create_database('autogenerate_table'));
	my $try = sub {
		my ($from, $to) = @_;
		$session->run('BEGIN', 'CREATE TABLE t (a int, b text)');
		$session->run($from) if $from;
		$session->run('SELECT migrate.set_model('
			  . lit("CREATE TABLE t (a int, b text);\n$to;") . ')');
		my $result = $session->query('SELECT upgrade_sql FROM migrate.diff_sql()');
		$session->run('ROLLBACK');
		return $result;
	};
	for my $line (sort keys %trials)
	{
		for (@{ $trials{$line} })
		{
			my ($from, $to, $expected) = @$_;
			my $result = $try->($from, $to);
			# hazards are in autogenerate.t
			$result->{out} =~ s/^-- (?:blocks|fails on (?:rows|duplicate)) .*\n//gm;
			like("$result->{out}$result->{err}", $expected, "$line: " . $to =~ s/\s+/ /gr);
		}
	}
	for (@refused)
	{
		my $result = $try->($_->[0], $_->[1]);
		is($result->{state}, '0A000', "refused: $_->[1]");
		like($result->{err}, $_->[2], '    and named');
	}
	my $order = $try->('CREATE TABLE o (a int, b int)', 'CREATE TABLE o (b int, a int)');
	is($order->{out}, "\n", 'the order of columns is nothing');
};

# ------------------------------------------------------------ SQLAlchemy ----

SKIP:
{
	my $python = $ENV{MIGRATE_PYTHON} // 'python3';
	my ($failed, $version) = eval {
		run_program($python, '-c', 'import sqlalchemy; print(sqlalchemy.__version__)');
	};
	skip "$python has no SQLAlchemy 2 (MIGRATE_PYTHON names another)", 1
	  if !defined $failed || $failed || $version !~ /^2\./;
	subtest 'models of SQLAlchemy' => sub {
		my $p = project();
		spew("$p->{dir}/migrate.conf",
			"revision_ids = serial\nmodel = | '$python' models.py\n");
		my $models = sub {
			spew("$p->{dir}/models.py", <<"PY");
from sqlalchemy import Column, Integer, MetaData, String, Table, create_mock_engine
metadata = MetaData()
Table("users", metadata, Column("id", Integer, primary_key=True), $_[0])
engine = create_mock_engine("postgresql://",
    lambda sql, *a, **k: print(str(sql.compile(dialect=engine.dialect)).strip() + ";"))
metadata.create_all(engine, checkfirst=False)
PY
		};
		$models->('Column("name", String(40), nullable=False)');
		like($p->generates([], 'migrations/0001_m.sql'), qr/^CREATE TABLE public\.users \(/m);
		$p->run('upgrade');
		$p->is_run([ 'check', '--models' ], 0, '');
		$models->('Column("full_name", String(80), nullable=False, index=True)');
		my $file = $p->generates([ '--rename', 'column public.users.name -> full_name' ],
			'migrations/0002_m.sql');
		like($file,
			qr/RENAME COLUMN name TO full_name;.*TYPE character varying\(80\);.*CREATE INDEX/s,
			'    a rename, a type and an index');
		$p->run(split / /) for 'upgrade', 'downgrade -1', 'upgrade';
		$p->is_run([ 'check', '--models' ], 0, '');
		$p->refuses([], 0, qr/no changes/);
	};
}

done_testing;
