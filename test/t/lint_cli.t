#!/usr/bin/perl
#
# pg_migrate lint and check --lint: as text, JSON, annotations of GitHub and SARIF; the
# examples of online migrations, each linted at its place, in which lint finds nothing.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateProject;
use MigrateTest;
use Test::More;

delete @ENV{qw(DATABASE_URL MIGRATE_DIR MIGRATE_MODEL PGOPTIONS)};
my $program = abs_path("$FindBin::RealBin/../../bin/pg_migrate");
$ENV{PATH} = tool('') . ":$ENV{PATH}";
own_roles('mig_lint_author');

my $home = scratch_dir();
my $database = create_database('mig_lint_cli');
mkdir "$home/migrations" or die $!;
my $p = bless { dir => $home, database => $database }, 'Project';
my $session = connect_to($database);
$session->run('CREATE TABLE users (id int, name text)', q{INSERT INTO users VALUES (1, 'a')});

# ------------------------------------------------------------------- text ----

$p->is_run(['lint'], 1, '', qr/no revision files/, 'no files');
$p->file('0001_index.sql', <<'SQL');
-- an index, 100 %

-- migrate:up
-- of names
CREATE INDEX users_name ON users (name);

-- migrate:down
DROP INDEX users_name;
SQL
my %advice = map { split /\|/, $_, 2 }
  $session->rows('SELECT id, advice FROM migrate.lint_rules()');
my $found = "./migrations/0001_index.sql:5: error: index-not-concurrent: writes to table "
  . "public.users wait until the index is built (SHARE)\n    $advice{'index-not-concurrent'}\n"
  . './migrations/0001_index.sql:5: warning: lock-timeout: writes of table public.users wait '
  . "while this waits for its lock (SHARE)\n    $advice{'lock-timeout'}\n";
$p->is_run(['lint'], 3, $found);
is($p->sql('SELECT count(*) FROM migrate.revisions'), 0, 'and nothing is loaded');
$p->is_run([ 'lint', '--level', 'off' ],     0, $found);
$p->is_run([ 'lint', '0001' ],               3, $found);
$p->is_run([ 'lint', '--no-load' ],          0, '');
$p->is_run([ 'lint', 'base:0001' ],          3, $found);
$p->is_run([ 'lint', '0002' ],               1, '', qr/can't locate revision identified by "0002"/);
$p->is_run([ 'check', '--lint' ], 3, "not loaded 0001 0001_index.sql\n$found",
	qr/not up to date/);
$p->is_run(['check'], 3, "not loaded 0001 0001_index.sql\n", qr/not up to date/);

# Warnings alone are no reason to stop, unless that is wanted.
$session->run(q{SELECT migrate.configure('lint_disable', 'index-not-concurrent')});
$p->is_run(['lint'], 0, qr/\A\S+:5: warning: lock-timeout: .*\n.*\n\z/);
$p->is_run([ 'lint', '--level=warning' ], 3, qr/\A\S+:5: warning: /);
$session->run(q{SELECT migrate.configure('lint_disable', NULL)});

# Without rows there is nothing to find, but for those who test.
$session->run('TRUNCATE users');
$p->is_run(['lint'], 0, '');
$p->is_run([ 'lint', '--assume-rows' ], 3, $found);
$session->run(q{INSERT INTO users VALUES (1, 'a')});

# Where the script moves in its file, so do the lines.
$p->is_run(['load'], 0, qr/0001/, qr//);
my $moved = $p->file('0001_index.sql',
	slurp("$home/migrations/0001_index.sql") =~ s/^(-- migrate:up)/\n\n$1/mr);
$p->is_run(['lint'], 3, $found =~ s/:5:/:7:/gr, qr//, 'the lines of the file');
$p->is_run([ 'lint', '--no-load' ], 3, $found, qr//, 'the lines of what is loaded');

# The way back is linted when it is asked for.
$p->is_run(['upgrade'], 0, qr/0001/, qr//);
$p->is_run(['lint'], 0, '');
$p->is_run([ 'lint', '--downgrade', '-1' ], 3, qr/:10: error: drop-index-not-concurrent: /);
$p->is_run([ 'lint', '--downgrade', 'base' ], 3, qr/:10: error: drop-index-not-concurrent: /);

# ----------------------------------------------------------- other formats ----

my $odd = "0002_odd, 50%: \N{U+fc}.sql";
utf8::encode($odd);
mkdir "$home/db:m";
spew("$home/db:m/0001_index.sql", slurp($moved));
spew("$home/db:m/$odd", <<'SQL');
-- odd

-- migrate:up
ALTER TABLE users DROP COLUMN name; ALTER TABLE users ADD COLUMN "a
%" int NOT NULL;
SQL
my @at = ('-D', 'db:m', 'lint');
my $out = $p->is_run([ @at, '--github' ], 3, qr/\A(?:::.*\n)+\z/);
(my $file = "db:m/$odd") =~ s/%/%25/g;
$file =~ s/:/%3A/g;
$file =~ s/,/%2C/g;
like($out, qr/^::error file=\Q$file\E,line=4,title=drop-column::column "name" of /m, '--github');
like($out, qr/^::warning file=\Q$file\E,line=1,title=irreversible::/m, 'of the script as a whole');
like($out, qr/column "a%0A%25" of table/, 'what is syntax is escaped');

$out = $p->is_run([ @at, '--json' ], 3, qr/\A\[/);
is(json($out, q{-> 1 ->> 'rule'}), 'drop-column', '--json: the rule');
is(json($out, q{-> 1 ->> 'file'}), "db:m/$odd", '--json: the file');
is(json($out, q{-> 1 ->> 'file_line'}), 4, '--json: its line');
is(json($out, q{-> 1 ->> 'line'}), 1, '--json: that of the script');
$p->is_run([ '-D', 'db:m', 'lint', '--json', '--no-load' ], 0, qr/\A\[\]\s*\z/);

$out = $p->is_run([ @at, '--sarif' ], 3, qr/\A\{/);
is(json($out, q{->> 'version'}), '2.1.0', '--sarif: the version');
is(json($out, q{#>> '{runs,0,tool,driver,name}'}), 'migrate', 'the tool');
is(json($out, q{#>> '{runs,0,results,1,ruleId}'}), 'drop-column', 'the rule');
my $index = json($out, q{#>> '{runs,0,results,1,ruleIndex}'});
is(json($out, "#>> '{runs,0,tool,driver,rules,$index,id}'"), 'drop-column', 'its number');
is(json($out, q{#>> '{runs,0,results,1,locations,0,physicalLocation,artifactLocation,uri}'}),
	'db%3Am/0002_odd%2C%2050%25%3A%20%C3%BC.sql', 'the file, as a URI');
is(json($out, q{#>> '{runs,0,results,1,locations,0,physicalLocation,region,startLine}'}),
	4, 'the line');
$p->is_run([ '-D', 'db:m', 'lint', '--sarif', '--no-load' ], 0, qr/"results": \[\s*\]/);

# Those who may not read the revisions get names in place of files.
$session->run('CREATE ROLE mig_lint_author LOGIN',
	'GRANT USAGE ON SCHEMA migrate TO mig_lint_author',
	'GRANT EXECUTE ON FUNCTION migrate.lint(text, text), migrate.load_files TO mig_lint_author');
$p->is_run([ '-U', 'mig_lint_author', @at ], 3,
	qr/^revision 0002, line 1: error: drop-column: /m, qr//, 'a role with few rights');
$p->is_run([ '-U', 'mig_lint_author', @at, '--github' ], 3,
	qr/^::error title=drop-column::0002: column/m, qr//, 'its annotations');
$p->is_run([ '-U', 'mig_lint_author', @at, '--sarif' ], 3,
	qr/"logicalLocations"/, qr//, 'its SARIF');

# A value of a JSON text.
sub json
{
	my ($text, $operation) = @_;
	return $p->sql('SELECT v ' . $operation . ' FROM (SELECT ' . lit($text) . '::jsonb) AS q (v)');
}

# ------------------------------------------------ examples/online, at its place ----

my $online = create_database('mig_lint_online');
my $shop = connect_to($online, options => '-c migrate.step_messages=off');
$shop->run(q{SET migrate.lint_assume_rows = on});
my $version = $shop->value('SHOW server_version_num');
my $files = "$home/online";
mkdir $files;
for my $name (glob "$FindBin::RealBin/../../examples/online/*.sql")
{
	my $content = slurp($name);
	next if $version < 140000 && $content =~ /DETACH PARTITION \w+ CONCURRENTLY/;
	spew($files . '/' . ($name =~ m{([^/]+)$})[0], $content);
}
$shop->run('SELECT migrate.load_directory(' . lit($files) . ')');
my @pending = $shop->rows('SELECT * FROM migrate.pending()');
cmp_ok(scalar @pending, '>', 15, 'the examples of online migrations');
my $spoken = 0;
for my $revision (@pending)
{
	my $in = 'FROM migrate.lint() WHERE revision = ' . lit($revision);
	is(join("\n", $shop->rows("SELECT concat_ws(': ', line, rule, message) $in")),
		'', "$revision: nothing, at its place");

	# without their comments some would be found
	$shop->run('BEGIN', 'UPDATE migrate.revisions
		SET upgrade_sql = replace(upgrade_sql, $$migrate:ignore$$, $$was:ignore$$)
		WHERE revision = ' . lit($revision));
	my %rules = map { $_ => 1 } $shop->rows("SELECT rule $in");
	$shop->run('ROLLBACK');
	my $sql = $shop->value('SELECT replace(upgrade_sql, chr(10), chr(1)) FROM migrate.revisions
		WHERE revision = ' . lit($revision));
	for ($sql =~ /-- migrate:ignore ([a-z-]+)/g)
	{
		# coupons are dropped by a later one
		next if $_ eq 'unindexed-foreign-key';
		ok($rules{$_}, "$revision: the comment that ignores $_ is needed");
		$spoken++;
	}
	$shop->run('CALL migrate.upgrade_stepwise(' . lit($revision) . ')');
}
cmp_ok($spoken, '>', 5, 'which is the case of some');

$_->finish for $session, $shop;
drop_databases();
done_testing();

package Project;

use parent -norequire, 'MigrateProject';

# Runs the program in the project's directory.
sub run
{
	my ($self, @arguments) = @_;
	my ($status, $out, $err) = MigrateTest::run_program('sh', '-c', 'cd "$0" && exec "$@"',
		$self->{dir}, $program, '-d', $self->{database}, @arguments);
	return ($status >> 8, $out, $err);
}
