#!/usr/bin/perl
#
# Scripts that the documentation shows are run as they are there, with what their
# users will meet: odd names, empty and wrong directories, mixed line ends, several
# heads, downgrades that leave traces.
#
# doc/ci.md: the script check.sh, and the file for pgTAP.  doc/files.md: the way of a
# directory of dbmate, and of files with headers, where there are no files, and what is
# done about files that are gone and ids that meet; files.t has the rest of that page.
# doc/comparison.md: every cell about another tool names its source, and every source
# what was read.
use strict;
use warnings;

use Cwd ();
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $doc = "$FindBin::RealBin/../../doc";
my $dir = scratch_dir();
local $ENV{PATH} = tool('') . ":$ENV{PATH}";

# A directory with these files.
sub directory
{
	my ($name, %files) = @_;
	mkdir "$dir/$name" or die "$dir/$name: $!\n";
	chmod 0755, "$dir/$name";
	spew("$dir/$name/$_", $files{$_}) for keys %files;
	return "$dir/$name";
}

# A file with a header.
sub file
{
	my ($id, $parents, $up, $down) = @_;
	return "-- revision $id\n-- Revision ID: $id\n-- Revises: $parents\n\n-- migrate:up\n$up\n"
	  . (defined $down ? "\n-- migrate:down\n$down\n" : '');
}

# ------------------------------------------------------------- doc/ci.md ----

my $ci = slurp("$doc/ci.md");
my ($check) = $ci =~ /^```sh\n(#!\/bin\/sh\n# Usage: check\.sh.*?)^```/ms;
ok($check, 'doc/ci.md has check.sh') or $check = '';
my $script = spew("$dir/check.sh", $check);
mkdir "$dir/start" or die;

# Runs check.sh on a directory, and expects this end: a status, and what is said.
sub check
{
	my ($path, $status, $said, $name) = @_;
	my $before = Cwd::getcwd();
	chdir "$dir/start" or die;
	my ($is, $out, $err) = run_program('sh', $script, $path);
	chdir $before or die;
	is($is >> 8, $status, $name) or diag "$out$err";
	like("$out$err", $said, '    it says so') if $said;
	return;
}

my %good = (
	'a1 first.sql' => file('a1', '', 'CREATE TABLE t (a text DEFAULT $$x\ny$$);', 'DROP TABLE t;'),
	"it's \$HOME `second`.sql" => file('b2', 'a1', 'ALTER TABLE t ADD b int;',
		'ALTER TABLE t DROP b;') =~ s/\n/\r\n/gr);

check(directory('good', %good), 0, undef, 'a good directory passes');
check(directory("it's \"odd\" \\n \$(touch x) \xc3\xa9", %good), 0, undef, 'so does an odd name');
ok(!-e "$dir/start/x", '    nothing of it is run');
check(directory('empty'), 3, qr/directory ".*empty" has no revision files/, 'an empty directory');
check("$dir/missing", 2, undef, 'one that is not there');
check(directory('upper', 'A.SQL' => $good{'a1 first.sql'}),
	3, qr/It has 1 other entry/, 'no file that is taken');
check(
	directory('heads', %good, 'c3.sql' => file('c3', 'a1', 'SELECT 1;', '')),
	1, undef, 'two heads');
check(
	directory('trace', %good, 'c3.sql' => file('c3', 'b2', 'CREATE TABLE u ();', '')),
	1, qr/CREATE TABLE public\.u/, 'a downgrade that leaves something');
check(
	directory('oneway', %good, 'c3.sql' => file('c3', 'b2', 'SELECT 1;')),
	1, qr/revision "c3" has no downgrade script/, 'a revision that cannot be downgraded');
check(
	directory('bad', %good, 'c3.sql' => file('c3', 'b2', "SELECT 1;\n\nSELEC;", '')),
	3, qr/syntax error.*revision file "c3\.sql", line 8/s, 'a syntax error');
check(
	directory('stepwise', 'd.sql' => file('d', '', 'VACUUM;', '')
		  =~ s/migrate:up/migrate:up transaction:false/r),
	1, qr/CALL migrate\.upgrade_stepwise/, 'a script that is not transactional');

# pgTAP, on the project of the page.
SKIP:
{
	create_database('mig_pages');
	my $session = connect_to('mig_pages');
	skip 'no pgTAP', 3
	  unless $session->value(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pgtap'});
	# like pgTAP's own functions beside Citus
	skip 'pgTAP runs several statements as one string, which test/modules/neighbours.c refuses', 3
	  if ($ENV{MIGRATE_TEST_PRELOAD} // '') =~ /neighbours/;
	my ($tap) = $ci =~ /^```sql\n(BEGIN;\nCREATE EXTENSION IF NOT EXISTS pgtap;.*?)^```/ms;
	ok($tap, 'doc/ci.md has a file for pgTAP') or $tap = '';
	$session->run(
		q{SELECT migrate.revision('orders', 'CREATE TABLE orders ()', 'DROP TABLE orders',
			'2d79b4460ea1')});
	local $ENV{PGDATABASE} = 'mig_pages';
	my ($status, $out, $err) =
	  run_program(tool('psql'), '-X', '-Atq', '-f', spew("$dir/orders.sql", $tap));
	is(() = $out =~ /^ok \d/mg, 5, '    all of it passes') or diag "$out$err";
	unlike("$out$err", qr/not ok|ERROR/, '    no failure');
}

# ---------------------------------------------------------- doc/files.md ----

my $files = slurp("$doc/files.md");

# Runs commands in a directory, in the shell.
sub shell
{
	my ($in, $command) = @_;
	my $before = Cwd::getcwd();
	chdir $in or die;
	my ($status, $out, $err) = run_program('sh', '-c', $command);
	chdir $before or die;
	return ($status >> 8, "$out$err");
}

my ($loadall) = $files =~ /^```sh\n(.*?tsort.*?)^```/ms;
my ($dbmate) = $files =~ /^```\n(CREATE TEMP TABLE lines.*?)^```/ms;
ok($loadall && $dbmate, 'doc/files.md has its scripts');
spew("$dir/loadall.sh", $loadall);
spew("$dir/dbmate.psql", $dbmate);
create_database('mig_pages_files');
$ENV{PGDATABASE} = 'mig_pages_files';
my $psql = tool('psql') . ' -X -q -v ON_ERROR_STOP=1';
{
	my ($status, $said) = shell("$dir/empty", "sh '$dir/loadall.sh' | $psql");
	is($status, 3, 'files with headers, of an empty directory: an error');
	like($said, qr/no \*\.sql files/, '    that says why');
	($status, $said) = shell("$dir/empty", "$psql -f '$dir/dbmate.psql'");
	is($status, 3, 'a directory of dbmate, an empty one: an error') or diag $said;
	my $project = directory('dbmate',
		'1_a.sql' => "-- migrate:up\nCREATE TABLE a (b text);\n-- migrate:down\nDROP TABLE a;"
		  =~ s/\n/\r\n/gr,
		"2_it's \$HOME.sql" => <<'END');
-- migrate:up
INSERT INTO a VALUES (E'\\	');
-- migrate:down
END
	($status, $said) = shell($project, "$psql -f '$dir/dbmate.psql'");
	is($status, 0, 'a directory of dbmate') or diag $said;
	my $session = connect_to('mig_pages_files');
	is($session->value('SELECT array_agg(revision ORDER BY revision) FROM migrate.revisions'),
		'{1,2}', '    all of it');
	is($session->value('SELECT count(*) FROM migrate.upgrade()'), 2, '    it runs');
	is($session->value('SELECT b FROM a'), "\\\t", '    as it was written');
}

# Files that are gone, and ids that meet: the rows of the table, one after the other.
{
	create_database('mig_pages_ids');
	my $session = connect_to('mig_pages_ids');
	# Loads files (name => content) as a client does.
	my $load = sub {
		my ($prune, @files) = @_;
		my (@bytes, @names);
		while (my ($name, $content) = splice @files, 0, 2)
		{
			push @bytes, 'convert_to(' . lit($content) . q{, 'UTF8')};
			push @names, lit($name);
		}
		my ($bytes, $names) = map { join ', ', @$_ } \@bytes, \@names;
		return $session->query(
			"SELECT migrate.load_files(ARRAY[$bytes], ARRAY[$names], prune => $prune)");
	};
	my $stored = sub {
		return $session->value(q{SELECT string_agg(revision, ' ' ORDER BY revision)
			FROM migrate.revisions});
	};
	my %file = map { $_->[0] => file(@$_) }
	  ([ '1', '', 'SELECT 1;', '' ], [ '2', '1', 'SELECT 2;', '' ], [ '3', '2', 'SELECT 3;', '' ]);
	my @all = map { ("$_.sql" => $file{$_}) } 1 .. 3;
	$load->('false', @all);
	$session->run(q{SELECT migrate.upgrade('1')});

	$load->('false', '1.sql' => $file{1});
	is($stored->(), '1 2 3', 'a file that is gone stays');
	is($session->query(q{SELECT migrate.drop('2')})->{state}, 'MG010', 'one that is needed');
	is($session->query(q{SELECT migrate.drop('1')})->{state}, 'MG007', 'one that is applied');
	$load->('true', '3.sql' => $file{3});
	is($stored->(), '1 2 3', 'prune leaves what is applied or needed');
	$load->('true', '1.sql' => $file{1});
	is($stored->(), '1', 'and drops the others');

	my $other = file('2', '1', 'SELECT 22;', '') =~ s/revision 2/another/r;
	my $answer = $load->('false', @all, '2_other.sql' => $other);
	is($answer->{state}, 'MG011', 'two files of one id');
	like($answer->{message}, qr/"2\.sql" and "2_other\.sql"/, '    it names both');
	is($stored->(), '1', '    nothing is loaded');
	$load->('false', @all);
	like($load->('false', '2_other.sql' => $other)->{err},
		qr/^WARNING:  01000: replaced revision "2"/, 'another file of the same id, not applied');
	$session->run(q{SELECT migrate.upgrade('2')});
	is($load->('false', '2.sql' => $file{2})->{state}, 'MG007', '    and applied');
}

# ----------------------------------------------------- doc/comparison.md ----

{
	my ($table, $list) = split /^## Sources\n/m, slurp("$doc/comparison.md");
	my @rows = map { [ split /\s*\|\s*/ ] } grep { /^\| [^|]/ } split /\n/, $table;
	shift @rows;    # the names of the tools
	cmp_ok(scalar @rows, '>=', 15, 'doc/comparison.md has a table');
	# before the first | there is an empty cell, then what it is about, then migrate
	my %cited;
	my @without;
	for my $row (@rows)
	{
		is(scalar @$row, 9, "a cell for each tool: $row->[1]");
		for my $cell (@$row[ 3 .. $#$row ])
		{
			$cell =~ /\[([A-Z]\d+)\]$/ ? $cited{$1}++ : push @without, $cell;
		}
	}
	is_deeply(\@without, [], 'every cell about another tool names its source');
	is_deeply([ sort keys %cited ], [ sort $list =~ /^- ([A-Z]\d+): \[/mg ], 'all are listed');
	my @moving =
	  $list =~ m{(github\.com/[^)\s]+/(?:blob|tree)/(?!v?\d+\.\d|[0-9a-f]{40}/)[^)\s]+)}g;
	is_deeply(\@moving, [], 'a link to a file of a repository is to a commit or a version');
	my @undated = grep { s/\]\([^)]*\)//gr !~ /\d\.\d|\b20\d\d\b|commit|no date/ }
	  $list =~ /^- (.*)/mg;
	is_deeply(\@undated, [], 'every source has a version, a date or a commit');
}

done_testing();
drop_databases();
