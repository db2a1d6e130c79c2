#!/usr/bin/perl
#
# Bad input ends in a clear error or works: never in a crash, a loop, a leak
# or a half-written table.
#
#  1. every argument of every function with NULL, empty, over-long, non-ASCII
#     and hostile text;
#  2. files and directories: bytes that are no text, what is no file, 64 MB;
#  3. tables that were changed by hand;
#  4. memory after thousands of calls.
use strict;
use warnings;

use FindBin;
use POSIX qw(mkfifo);
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

my $dir = scratch_dir();
my $database = create_database('mig_bad_input');
my $session = connect_to($database, options => '-c statement_timeout=20s');
my $begin = time;

my @tables = qw(revisions versions applied partial steps models settings);
my $rows_of =
  "(SELECT string_agg(t.xmin::text || t::text, ';' ORDER BY t::text) FROM migrate.%s t)";
my $fingerprint = 'SELECT md5(concat(' . join(', ', map { sprintf $rows_of, $_ } @tables) . '))';

# Codes that are never the answer: internal error, cancelled, a lost server.
sub bad_state
{
	my $state = shift;
	return $state =~ /^(?:XX|57|58000|53|DEAD)/;
}

# An error on one line that is not too long.
sub brief
{
	my $text = substr shift, 0, 10_000;
	$text =~ s/(.)\1{20,10000}/$1$1.../g;
	$text =~ s/\s*\n\s*/ | /g;
	return substr $text, 0, 600;
}

# One call: an answer or an error that is no internal one, from the same
# server, and after an error all tables as they were.  A successful call is
# rolled back.
sub survives
{
	my ($sql, $what) = @_;
	$session->run('BEGIN');
	my $result = $session->query($sql);
	$session->run('ROLLBACK') unless $session->{dead};
	my @problems;
	push @problems, "state $result->{state}: " . brief($result->{err})
	  if bad_state($result->{state});
	push @problems, 'the server process is gone' if $session->{dead};
	push @problems, 'an error of ' . length($result->{err}) . ' bytes'
	  if length $result->{err} > 1200 * 1024;

	if (@problems)
	{
		fail($what // substr $sql, 0, 200);
		diag @problems;
		BAIL_OUT('no server') if $session->{dead} && ($session = connect_to($database))->{dead};
	}
	return $result;
}

# A file, with defaults for what is not given.
sub header
{
	my ($id, %more) = @_;
	my %field = (message => 'm', down => '', depends => '', labels => '', %more);
	my ($up, $down) = ($more{up} // "SELECT 1;\n", $more{down_sql} // '');
	return <<"END" . $down;
-- $field{message}
--
-- Revision ID: $id
-- Revises: $field{down}
-- Depends On: $field{depends}
-- Branch Labels: $field{labels}

-- migrate:up
$up
-- migrate:down
END
}

# A file at the head, with an upgrade script.
sub with_script { return header('e1', down => 'd1', up => $_[0]) }

# The call that loads a file.
sub load_of { return 'migrate.load(' . lit(header(@_)) . ')' }

$session->run(
	'SELECT ' . load_of('a1', labels => 'lab'),
	'SELECT ' . load_of('b1', down => 'a1'),
	'SELECT ' . load_of('c1', down => 'b1'),
	'SELECT ' . load_of('d1', down => 'b1', depends => 'c1'));
$session->run(q{SELECT migrate.upgrade('b1')});

# --------------------------------------------------- 1. every argument ----

my %text = (
	null         => 'NULL',
	empty        => "''",
	blank        => "' '",
	newline      => "E'\\n'",
	'line ends'  => "E'a\\r\\nb\\n'",
	tab          => "E'\\ta1'",
	control      => "E'\\x01\\x1b[31m\\x7f'",
	quote        => q{''''},
	quotes       => q{'a''b"c`d'},
	percent      => q{'%s%n%d%1$s%%%'},
	dollar       => q{'$1 $$ $x$ ${a}'},
	backslash    => q{E'\\\\ \\\\n \\\\x00 \\\\'},
	injection    => q{'x''; DROP TABLE migrate.revisions; --'},
	braces       => q{'{a,b}'},
	'non-ASCII'  => "'h\xc3\xa9ll\xc3\xb6 \xe6\x97\xa5\xe6\x9c\xac'",
	emoji        => "'\xf0\x9f\x98\x80'",
	combining    => "'e\xcc\x81'",
	bidi         => "'\xe2\x80\xae evil'",
	'wide space' => "'a\xe3\x80\x80b'",
	'300 bytes'  => q{repeat('x', 300)},
	'255 wide'   => "repeat('\xc3\xa9', 128)",
	'1 MB'       => q{repeat('x', 1048576)},
	'1 MB wide'  => "repeat('\xe6\x97\xa5', 349526)",
	'1 MB quotes' => q{repeat('"''', 524288)},
	'1 MB lines' => q{repeat(E'a\n', 524288)},
	'1 MB @'     => q{repeat('@', 1048576)},
	# more takes the server's own scanner long
	'16 kB +'    => q{repeat('+', 16384)},
	'1 MB digits' => q{'+' || repeat('9', 1048576)},
	'1 MB comma' => q{repeat(',', 1048576)},
	colon        => q{':'},
	colons       => q{'::::'},
	at           => q{'@'},
	plus         => q{'+'},
	head         => q{'head'},
	current      => q{'current'},
	steps        => q{'-2147483649'},
	comment      => q{'/* /* '},
	unterminated => q{'SELECT $a$'},
	'copy'       => q{'COPY t FROM STDIN;'},
	'commit'     => q{'COMMIT;'},
	'psql'       => q{'\\i x'},
	marker       => q{E'-- migrate:down\n-- migrate:up\n'},
);
my %array = (
	null        => 'NULL',
	empty       => q{'{}'},
	'null in'   => q{'{NULL}'},
	'null two'  => q{ARRAY['a1', NULL]},
	'empty in'  => q{ARRAY['']},
	twice       => q{ARRAY['a1', 'a1']},
	dimensions  => q{ARRAY[['a1', 'b1'], ['c1', 'd1']]},
	'other bound' => q{'[5:6]={a1,c1}'},
	hostile     => q{ARRAY['%s$1''"\\']},
	wide        => "ARRAY['\xf0\x9f\x98\x80']",
	'1 MB'      => q{ARRAY[repeat('x', 1048576)]},
	many        => q{(SELECT array_agg('a1'::text) FROM generate_series(1, 100000))},
	'many new'  => q{(SELECT array_agg('z' || i) FROM generate_series(1, 100000) i)},
);

my %jsonb = (
	null     => 'NULL',
	'a null' => q{'null'},
	array    => q{'["a1", "b1"]'},
	scalar   => q{'"a1"'},
	number   => q{'{"a1": 1}'},
	nested   => q{'{"a1": {"b1": "c1"}}'},
	'null in' => q{'{"a1": null}'},
	empty    => q{'{"": ""}'},
	hostile  => q{jsonb_build_object('%s$1''"\', '%s$1''"\')},
	'1 MB'   => q{jsonb_build_object('a1', repeat('x', 1048576))},
	many     => q{(SELECT jsonb_object_agg(i, i::text) FROM generate_series(1, 100000) i)},
);

# Functions, and arguments that work.
my @functions = (
	[
		'revision',
		[ message       => 'text', q{'m'} ],
		[ upgrade       => 'text', q{'SELECT 1'} ],
		[ downgrade     => 'text', q{'SELECT 2'} ],
		[ rev_id        => 'text', q{'new'} ],
		[ head          => 'text', q{'d1'} ],
		[ splice        => 'bool', 'false' ],
		[ branch_label  => 'text', q{'lbl'} ],
		[ depends_on    => 'array', q{'{}'} ],
		[ transactional => 'bool', 'true' ],
		[ autogenerate  => 'bool', 'false' ],
		[ prove         => 'bool', 'true' ],
		[ renames       => 'array', q{'{}'} ]
	],
	[
		'merge',
		[ revisions    => 'array', q{'{c1,d1}'} ],
		[ message      => 'text', 'NULL' ],
		[ rev_id       => 'text', 'NULL' ],
		[ branch_label => 'text', 'NULL' ]
	],
	[
		'edit',
		[ revision      => 'text', q{'d1'} ],
		[ upgrade       => 'text', 'NULL' ],
		[ downgrade     => 'text', 'NULL' ],
		[ message       => 'text', 'NULL' ],
		[ transactional => 'bool', 'NULL' ],
		[ irreversible  => 'bool', 'NULL' ]
	],
	[ 'drop', [ revision => 'text', q{'d1'} ] ],
	[
		'load',
		[ content => 'text', lit(header('e1', down => 'd1')) ],
		[ name    => 'text', 'NULL' ]
	],
	[
		'load_directory',
		[ path                    => 'text', lit("$dir") ],
		[ format                  => 'text', q{'auto'} ],
		[ allow_broken_downgrades => 'bool', 'false' ]
	],
	[ 'export',         [ revision => 'text', q{'a1'} ] ],
	[ 'file_name',      [ revision => 'text', q{'a1'} ] ],
	[ 'configure',      [ name => 'text', q{'revision_ids'} ], [ value => 'text', q{'serial'} ] ],
	[ 'pending',        [ target => 'text', q{'heads'} ] ],
	[ 'history',        [ range => 'text', q{'a1:'} ] ],
	[ 'resolve',        [ target => 'text', q{'heads'} ] ],
	[ 'upgrade',        [ target => 'text', q{'heads'} ] ],
	[ 'downgrade',      [ target => 'text', q{'base'} ] ],
	[ 'stamp',          [ target => 'text', q{'heads'} ], [ purge => 'bool', 'false' ] ],
	[ 'stamp',          [ targets => 'array', q{ARRAY['c1']} ], [ purge => 'bool', 'false' ] ],
	[
		'adopt_alembic',
		[ version_table => 'text', q{'alembic_version'} ],
		[ renamed => 'jsonb', q{'{}'} ]
	],
	[ 'script_checksum', [ script => 'text', q{''} ], [ transactional => 'bool', 'true' ] ]);
my %types = (text => '::text', array => '::text[]', bool => '::bool', jsonb => '::jsonb');

# What the library has and this list has not is a hole in the test.
{
	my %known = map { $_ => 1 } (map { $_->[0] } @functions), qw(current heads bases branches);
	my @all = $session->rows(
		q{SELECT DISTINCT proname FROM pg_proc
		WHERE pronamespace = 'migrate'::regnamespace ORDER BY 1});
	my @missing = grep { !$known{$_} } @all;
	diag "functions not covered here: @missing" if @missing;
}

# What stands in for an argument, by its type.
my %values = (text => \%text, array => \%array, bool => { null => 'NULL' }, jsonb => \%jsonb);
my $before = $session->value($fingerprint);
for my $function (@functions)
{
	my ($name, @arguments) = @$function;
	my %states;
	my $failed = grep { !$_ } Test::More->builder->summary;
	for my $argument (@arguments)
	{
		my $values = $values{ $argument->[1] };
		for my $value (sort keys %$values)
		{
			my @list;
			for my $other (@arguments)
			{
				my ($other_name, $type, $default) = @$other;
				my $given = $other == $argument ? $values->{$value} : $default;
				push @list, "$other_name => ($given)$types{$type}";
			}
			my $list = join ', ', @list;
			my $result =
			  survives("SELECT * FROM migrate.$name($list)", "$name with $argument->[0] $value");
			$states{ $result->{state} }++;
			if ($result->{state} ne '00000' && !length $result->{message})
			{
				fail("$name with $argument->[0] $value: an error without words");
			}
		}
	}
	my $summary = join ', ', map { "$_ $states{$_}" } sort keys %states;
	is(grep({ !$_ } Test::More->builder->summary) - $failed,
		0, "migrate.$name: bad arguments, $summary");
}
is($session->value($fingerprint), $before, 'no table changed');
ok($session->alive, 'the server process is still the same');

# Exactly these codes: [call, pattern, what it is].
my @ids = ('a@b', 'a+b', 'a-b', 'a:b', 'a b', 'a\tb', 'a\nb', qw(head heads base bases current));
my @labels = ('', 'a@b', 'a b', 'head', 'current');
my $x_255 = q{repeat('x', 255)};
my $x_256 = q{repeat('x', 256)};
my $wide_256 = "repeat('\xc3\xa9', 128)";
my $long = 'x' x 1_048_576;
my $hostile = '%s%n $1 \'"\\ ' . "\xc3\xa9";
for my $case (
	[ q{migrate.revision(NULL)}, '22004|22023', 'no message' ],
	[ q{migrate.revision('')}, '22023', 'an empty message' ],
	[ q{migrate.revision('m', rev_id => '', head => 'd1')}, '22023', 'an empty id' ],
	[ "migrate.revision('m', rev_id => $x_256, head => 'd1')", '22023', 'an id of 256 bytes' ],
	[ "migrate.revision('m', rev_id => $x_255, head => 'd1')", '00000', 'an id of 255 bytes' ],
	[
		"migrate.revision('m', rev_id => $wide_256, head => 'd1')",
		'22023',
		'an id of 256 bytes in 128 characters'
	],
	(map { [ "migrate.revision('m', rev_id => E'$_', head => 'd1')", '22023', "the id $_" ] } @ids),
	(map {
			[
				"migrate.revision('m', branch_label => E'$_', head => 'd1')",
				'22023',
				"the label $_"
			]
	} @labels),
	[ q{migrate.revision('m', rev_id => 'a1', head => 'd1')}, 'MG010', 'an id that is taken' ],
	[
		q{migrate.revision('m', branch_label => 'lab', head => 'd1')},
		'MG010',
		'a label that is taken'
	],
	[ q{migrate.revision('m', 'SELEC 1', head => 'd1')}, '42601', 'a syntax error' ],
	[ q{migrate.revision('m', 'COMMIT; SELECT 1', head => 'd1')}, 'MG011', 'transaction control' ],
	[ q{migrate.revision('m', 'COPY x FROM STDIN', head => 'd1')}, 'MG011', 'COPY FROM STDIN' ],
	[
		q{migrate.revision('m', depends_on => '{NULL}', head => 'd1')},
		'22004|22023',
		'a NULL dependency'
	],
	[ q{migrate.load(NULL)}, '22004|22023', 'no content' ],
	[ q{migrate.load('')}, 'MG011', 'an empty file' ],
	[ q{migrate.load('SELECT 1')}, 'MG011', 'a file that is none' ],
	[ load_of('a@b'), 'MG011|22023', 'a file with a bad id' ],
	[ load_of($long), 'MG011|22023', 'a file with an id of 1 MB' ],
	[ load_of('e1', down => $long), 'MG001|MG011|22023', 'a file with a parent of 1 MB' ],
	[ load_of('e1', labels => $long), 'MG011|22023', 'a file with a label of 1 MB' ],
	[
		load_of('e1', down => join ',', ('a1') x 200_000),
		'00000|MG011',
		'a file with 200,000 parents'
	],
	[ load_of('a1', down => 'd1'), 'MG007|MG010', 'a file that makes a cycle' ],
	[ load_of('e1', down => 'e1'), 'MG010', 'a file that is its own parent' ],
	[ load_of('e1', message => $hostile, down => 'd1'), '00000', 'a hostile message' ],
	[ q{migrate.upgrade(NULL)}, '22004|22023', 'no target' ],
	[ q{migrate.stamp('{a,b}')}, 'MG001', 'a list as text' ],
	[ q{migrate.stamp(ARRAY['c1', NULL])}, '22004|22023', 'a NULL among targets' ],
	[ q{migrate.load_directory('')}, '22023|58P01|42602', 'an empty path' ],
	[ q{migrate.load_directory('/nonexistent/x')}, '58P01', 'a path that is not there' ],
	[ q{migrate.load_directory('.', 'zip')}, '22023', 'a format that is none' ],
	[ q{migrate.configure('nonsense', 'x')}, '22023', 'a setting that is none' ],
	[ q{migrate.adopt_alembic('no such.table')}, '42602|42601|42P01', 'a bad table name' ],
	[ q{migrate.adopt_alembic('pg_class')}, '42703', 'a table that is not Alembic\'s' ])
{
	my ($call, $expected, $what) = @$case;
	my $result = survives("SELECT $call", $what);
	like($result->{state}, qr/^(?:$expected)$/, $what) or diag brief("$call\n$result->{err}");
}

# Text that goes through files and out again.
{
	my $message = "it's 100% \"odd\" \\ \$1 %n\$s \xc3\xa9\xf0\x9f\x98\x80";
	my $up = "DO \$\$ BEGIN RAISE NOTICE 'a %% b \\ % \"', '\$1 %s'; END \$\$;\n"
	  . "SELECT 'it''s', E'\\'', \$q\$ \$1 -- migrate:down \$q\$, '\xf0\x9f\x98\x80';\n";
	my $id = "\xc3\xa9'\"%s\$1\\";
	$session->run('BEGIN');
	my $load = load_of($id, down => 'd1', message => $message, up => $up);
	is($session->value("SELECT $load"), $id, 'a hostile id is stored');
	is($session->value('SELECT message FROM migrate.revisions WHERE revision = ' . lit($id)),
		$message, 'so is the message');
	my $result = $session->query('SELECT migrate.load(migrate.export(' . lit($id) . '))');
	is($result->{state}, '00000', 'exported and loaded') or diag brief($result->{err});
	my $stored = 'SELECT upgrade_sql FROM migrate.revisions WHERE revision = ' . lit($id);
	is_deeply([ $session->rows($stored) ], [ split /\n/, $up ], 'the script is untouched');
	unlike($session->value('SELECT migrate.file_name(' . lit($id) . ')'),
		qr{/}, 'a file name without a slash');
	is(($session->rows('SELECT migrate.upgrade(' . lit($id) . ')'))[-1], $id, 'and runs');
	$session->run('ROLLBACK');
	$session->run('BEGIN');
	$result = $session->query('SELECT ' . load_of('../../etc/x', down => 'd1'));
	if ($result->{state} eq '00000')
	{
		unlike($session->value(q{SELECT migrate.file_name('../../etc/x')}),
			qr{/}, 'no slash in a file name, whatever the id');
	}
	else
	{
		is($result->{state}, 'MG011', 'an id with slashes is refused');
	}
	$session->run('ROLLBACK');
}

# ------------------------------------------------ 2. files and directories ----

# A directory with one file: the state of loading it, and what was said.
my $directory = 0;
sub load_file
{
	my ($content, $name) = @_;
	my $to = "$dir/d" . ++$directory;
	mkdir $to;
	spew("$to/" . ($name // 'x.sql'), $content);
	my $result = survives('SELECT migrate.load_directory(' . lit($to) . ')');
	unlink glob "$to/*";
	return $result;
}

for my $case (
	[ "\xff\xfe", '22021|MG011', 'bytes that are no UTF-8' ],
	[ with_script("SELECT '\xe9';\n"), '22021|MG011', 'Latin 1' ],
	[ with_script("SELECT '\xed\xa0\x80';\n"), '22021|MG011', 'a surrogate' ],
	[ with_script("SELECT '\xc3"), '22021|MG011', 'half a character at the end' ],
	[ with_script("SELECT '\xc0\x80';\n"), '22021|MG011', 'an overlong NUL' ],
	[ with_script("SELECT '\0';\n"), '22021|MG011', 'a NUL byte' ],
	[ join('', map { "$_\0" } split //, "\xff" . header('e1')), '22021|MG011', 'UTF-16' ],
	[ '', 'MG011', 'an empty file' ],
	[ "\xef\xbb\xbf", 'MG011', 'nothing but a byte order mark' ],
	[ "\n" x 100_000, 'MG011', 'nothing but line ends' ],
	[ '-' x 1_000_000, 'MG011', 'nothing but dashes' ],
	[ "-- Revision ID:\n-- Revises:\n\n-- migrate:up\n", 'MG011', 'no id' ],
	[ header('e1', down => 'd1') . "\n-- migrate:up\nSELECT 1;\n", 'MG011', 'two upgrades' ],
	[ with_script('/* ' x 100_000), '42601|MG011', 'comments without end' ],
	[ with_script('SELECT ' . '(' x 200_000), '42601|54001|MG011', 'parentheses without end' ],
	[
		with_script('SELECT ' . '(' x 20_000 . '1' . ')' x 20_000 . ";\n"),
		'00000|42601|54001',
		'20,000 parentheses'
	],
	[ with_script(';' x 1_000_000), '00000|42601|MG011', 'a million semicolons' ],
	[ with_script("\$a\$" x 100_001), '42601|MG011', 'many dollar quotes' ],
	[ with_script("\\copy x from stdin\n"), 'MG011', 'a psql command' ],
	[ with_script("SELECT 1 \\gset\n"), 'MG011', 'a psql command after a statement' ])
{
	my ($content, $expected, $what) = @$case;
	my $result = load_file($content);
	like($result->{state}, qr/^(?:$expected)$/, "file: $what") or diag brief($result->{err});
	like($result->{err}, qr/x\.sql/, "file: $what: the file is named")
	  if $result->{state} ne '00000';
}
for my $case (
	[ "\xef\xbb\xbf" . header('e1', down => 'd1'), 'byte order mark' ],
	[ header('e1', down => 'd1') =~ s/\n/\r\n/gr, 'CRLF' ],
	[ header('e1', down => 'd1', up => "SELECT '\xf0\x9f\x98\x80'"), 'no line end at the end' ])
{
	my $result = load_file($case->[0]);
	is($result->{state}, '00000', "file: $case->[1]") or diag brief($result->{err});
	is_deeply($result->{rows}, ['e1'], "file: $case->[1]: loaded");
}
{
	my $result = load_file(header('e1', down => 'd1'), "%s\$1 '\"\\ \xc3\xa9.sql");
	is($result->{state}, '00000', 'a hostile file name') or diag brief($result->{err});
	$result = load_file('nothing', "%s\$1 '\"\\ \xc3\xa9.sql");
	is($result->{state}, 'MG011', 'a hostile file name in an error') or diag brief($result->{err});
	$result = load_file('SELECT 1', "\xff\xfe.sql");
	ok(!bad_state($result->{state}), 'a file name that is no UTF-8') or diag brief($result->{err});
	$result = load_file("-- migrate:up\nSELECT 1;\n", "\xff\xfe_x.sql");
	like($result->{state}, qr/^(?:MG011|22021)$/, 'an id from a file name that is no UTF-8')
	  or diag brief($result->{err});
}
{
	# What has the name of a file and is none.
	my $to = "$dir/odd";
	mkdir $to;
	mkdir "$to/directory.sql";
	symlink 'loop.sql', "$to/loop.sql";
	mkfifo("$to/fifo.sql", 0644);
	my $t = time;
	my $what = 'a directory, a fifo and a link to itself';
	my $result = survives('SELECT migrate.load_directory(' . lit($to) . ')', $what);
	cmp_ok(time - $t, '<', 5, "$what: $result->{state}, no waiting");
	unlink "$to/loop.sql", "$to/fifo.sql";
	spew("$to/1.sql", header('e1', down => 'd1'));
	spew("$to/2.sql", header('f1', down => 'nowhere'));
	$result = survives('SELECT migrate.load_directory(' . lit($to) . ')');
	is($result->{state}, 'MG001', 'one bad file of several') or diag brief($result->{err});
	is($session->value(q{SELECT count(*) FROM migrate.revisions WHERE revision = 'e1'}),
		0, 'the good one is not stored either');
	spew("$to/2.sql", header('e1', down => 'd1'));
	is(survives('SELECT migrate.load_directory(' . lit($to) . ')')->{state},
		'MG011', 'two files with one id');
	$result = survives('SELECT migrate.load_directory(' . lit("$to/1.sql") . ')');
	ok($result->{state} =~ /^(?:42809|58P01|22023|MG011)$/, 'a file for a directory');
	chmod 0, "$to/2.sql";
	$result = survives('SELECT migrate.load_directory(' . lit($to) . ')');
	is($result->{state}, '42501', 'a file that cannot be read') if $> != 0;
	truncate_file("$to/2.sql");
	$result = survives('SELECT migrate.load_directory(' . lit($to) . ')');
	is($result->{state}, '54000', 'a file of 300 MB') or diag brief($result->{err});
	unlink glob "$to/*.sql";
}

sub truncate_file
{
	my $name = shift;
	unlink $name;
	open my $out, '>', $name or die $!;
	truncate $out, 300 * 1024 * 1024 or die $!;
	close $out;
	chmod 0644, $name;
	return;
}

# 64 MB.
{
	my $size = 64 * 1024 * 1024;
	my $t = time;
	my $big = connect_to(create_database('mig_big'));
	# A single string, a comment, and short statements.
	my $header = lit("-- m\n--\n-- Revision ID: %s\n-- Revises:\n\n-- migrate:up\n");
	for my $case (
		[ string  => q{'SELECT length(''' || repeat('x', 67108864) || E''');\n'} ],
		[ comment => q{E'/* ' || repeat('x', 67108864) || E' */ SELECT 1;\n'} ],
		[
			lines => q{E'SELECT 1\n' || repeat(E', 1234567890\n', 50000)
				|| E';\n-- ' || repeat('x', 66000000) || E'\n'}
		],
		[ statements => q{repeat(E'SELECT 1;\n', 200000)} ])
	{
		my ($id, $script) = @$case;
		my $content = sprintf($header, $id) . " || $script";
		my $result = $big->query("SELECT migrate.load($content)");
		if ($id eq 'lines')
		{
			# More columns than a query may have: an error of the script.
			ok(!bad_state($result->{state}), "64 MB, $id: loads");
			$big->query(q{SELECT migrate.drop('lines')});
			next;
		}
		is($result->{state}, '00000', "64 MB, $id: loads") or diag brief($result->{err});
		$result = $big->query("SELECT migrate.upgrade('$id')");
		is($result->{state}, '00000', "64 MB, $id: runs") or diag brief($result->{err});
		is($big->query("SELECT migrate.load(migrate.export('$id'))")->{state},
			'00000', "64 MB, $id: round trip");
		note sprintf '%s: %.1f s', $id, time - $t;
	}
	ok($big->alive, '64 MB: the server lives');
	my $result = $big->query(
		q{SELECT migrate.revision('m', 'SELECT ''' || repeat('x', 67108864) || ''' FROM',
			head => 'base')});
	is($result->{state}, '42601', '64 MB with a syntax error');
	cmp_ok(length $result->{err}, '<', 64 * 1024, '64 MB with a syntax error: the message is short')
	  or diag length $result->{err};
	$result = $big->query(
		q{SELECT migrate.revision('m', 'SELECT ''' || repeat('x', 67108864) || ''' FROM nowhere',
			head => 'base', rev_id => 'broken')});
	is($result->{state}, '00000', '64 MB that fails later') or diag brief($result->{err});
	$result = $big->query(q{SELECT migrate.upgrade('broken')});
	is($result->{state}, '42P01', '64 MB that fails when it runs');
	cmp_ok(length $result->{err},
		'<', 64 * 1024, '64 MB that fails when it runs: the message is short')
	  or diag length $result->{err};
	$big->run(q{SELECT migrate.drop('broken')});

	my $to = "$dir/big";
	mkdir $to;
	my $digits = "0123456789\n" x ($size / 11);
	spew("$to/big.sql", header('bigfile', up => "SELECT length(\$x\$$digits\$x\$);\n"));
	$result = $big->query('SELECT migrate.load_directory(' . lit($to) . ')');
	is_deeply($result->{rows}, ['bigfile'], 'a file of 64 MB') or diag brief($result->{err});
	is_deeply([ $big->rows('SELECT migrate.load_directory(' . lit($to) . ')') ],
		[], 'a file of 64 MB again');
	unlink "$to/big.sql";
	$big->finish;
	note sprintf '64 MB: %.1f s', time - $t;
}

# ------------------------------------------------------ other encodings ----
{
	for my $encoding (qw(SQL_ASCII LATIN1))
	{
		my $name = 'mig_' . lc $encoding;
		my ($status, undef, $err) = run_psql('postgres',
			"CREATE DATABASE $name TEMPLATE template0
				ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
		is($status, 0, "$encoding: a database") or diag $err;
		run_psql($name, 'CREATE EXTENSION migrate');
		my $other = connect_to($name);
		my $to = "$dir/$encoding";
		mkdir $to;
		spew("$to/1.sql", header('e1', message => "\xc3\xa9", up => "SELECT '\xc3\xa9';\n"));
		my $result = $other->query('SELECT migrate.load_directory(' . lit($to) . ')');
		is($result->{state}, '00000', "$encoding: a file in UTF-8") or diag brief($result->{err});
		my $is_latin = $encoding eq 'LATIN1';
		is($other->value(q{SELECT octet_length(message) FROM migrate.revisions}),
			$is_latin ? 1 : 2, "$encoding: is converted");
		is_deeply([ $other->rows('SELECT migrate.load_directory(' . lit($to) . ')') ],
			[], "$encoding: again");
		spew("$to/2.sql", header('e2', down => 'e1', up => "SELECT '\xf0\x9f\x98\x80';\n"));
		$result = $other->query('SELECT migrate.load_directory(' . lit($to) . ')');
		is($result->{state}, $is_latin ? '22P05' : '00000',
			"$encoding: a character that it has not")
		  or diag brief($result->{err});
		$other->run(q{SET client_encoding = 'SQL_ASCII'});
		for my $call (
			q{resolve(E'\xff')},
			q{upgrade(E'\xff\xfe')},
			q{revision(E'\xff', E'SELECT ''\xff\xc3''', rev_id => E'\xff', head => 'base')},
			q{export(E'\xff')},
			q{load(migrate.export(E'\xff'))},
			q{file_name(E'\xff')},
			q{upgrade(E'\xff')},
			q{downgrade('base')})
		{
			my $answer = $other->query("SELECT migrate.$call");
			ok(!bad_state($answer->{state}), "$encoding: $call: $answer->{state}")
			  or diag brief($answer->{err});
		}
		ok($other->alive, "$encoding: the server lives");
		$other->finish;
		run_psql('postgres', "DROP DATABASE $name");
	}
}

# A script that cannot be converted to UTF-8 has no checksum.  It is refused when it
# comes, of whichever direction, and not when it is needed; what is ASCII is
# taken everywhere.
for my $try (
	[ 'SQL_ASCII', '\xe9', '22021', 'In a database with encoding SQL_ASCII, scripts must be' ],
	[ 'WIN1252', '\x81', '22P05', 'Scripts must be text that can be converted to UTF-8' ],
	[ 'MULE_INTERNAL', '\x81\xe9', '42883', 'Scripts must be text that can be converted to UTF-8' ])
{
	my ($encoding, $bytes, $state, $hint) = @$try;
	my $number = (run_psql('postgres', "SELECT pg_catalog.pg_char_to_encoding('$encoding')"))[1];
	next if $number == -1;    # 19 has no MULE_INTERNAL
	my $name = 'mig_' . lc $encoding;
	my ($status, undef, $err) = run_psql('postgres',
		"CREATE DATABASE $name TEMPLATE template0
			ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	is($status, 0, "$encoding: a database") or diag $err;
	my $other = connect_to($name, encoding => 'SQL_ASCII');
	$other->run('CREATE EXTENSION migrate');
	is( $other->value(
			q{SELECT migrate.revision('m', 'SELECT 1', 'SELECT 2; SELECT 3', rev_id => 'plain',}
			  . q{ transactional => false)}
		),
		'plain',
		"$encoding: a script of ASCII is taken");
	my $bad = "E'SELECT 1;\\n\\nSELECT ''$bytes'''";
	for my $call (
		[ 'upgrade', "revision('m', $bad, 'SELECT 1')" ],
		[ 'downgrade', "revision('m', 'SELECT 1', $bad)" ],
		[ 'upgrade', "edit('plain', upgrade => $bad)" ],
		[ 'downgrade', "edit('plain', downgrade => $bad)" ])
	{
		my ($direction, $sql) = @$call;
		my $result = $other->query("SELECT migrate.$sql");
		is($result->{state}, $state, "$encoding: $sql: $state") or diag brief($result->{err});
		like($result->{err}, qr/^HINT:  \Q$hint/m, '    with a hint');
		like(
			$result->{err},
			qr/^CONTEXT:  $direction script of revision "\w+", line 3$/m,
			'    and the line');
	}
	is($other->query($_)->{state}, '00000', "$encoding: $_")
	  for 'CALL migrate.upgrade_stepwise()', q{SELECT migrate.downgrade_sql('base')},
	  q{CALL migrate.downgrade_stepwise('base')};
	$other->finish;
	run_psql('postgres', "DROP DATABASE $name");
}

# ------------------------------------------------------ 3. tampered tables ----

my $tampered = connect_to(create_database('mig_tampered'), options => '-c statement_timeout=4s');
my @calls = (
	'current()', 'heads()', 'bases()', 'branches()', 'pending()', q{pending('+1')},
	'history()', q{history(':current')}, q{history('-3:')},
	q{resolve('head')}, q{resolve('a')}, q{resolve('a@heads')},
	q{resolve('current')}, q{resolve('-1')},
	q{export('a')}, q{file_name('a')},
	q{upgrade('heads')}, q{upgrade('+1')}, q{upgrade('a')},
	q{downgrade('-1')}, q{downgrade('base')}, q{downgrade('a')},
	q{stamp('heads')}, q{stamp('base')}, q{stamp('heads', true)}, q{stamp('base', true)},
	q{stamp(ARRAY['a'])},
	q{revision('m', head => 'a', splice => true)}, q{revision('m', head => 'base')},
	'merge()', q{edit('a', message => 'x')}, q{drop('b')}, q{drop('a')},
	map { 'load(' . lit($_) . ')' }
	  header('zz', down => 'a'), header('a'), header('c', down => 'b'));

# Statements that make a state: rows of migrate.revisions as (revision, down,
# depends, labels),
sub row
{
	my ($id, $down, $depends, $labels) = @_;
	my $values = join ', ', lit($id), map { lit($_ // '{}') } $down, $depends, $labels;
	return "INSERT INTO migrate.revisions
		(revision, down_revisions, depends_on, branch_labels, message, upgrade_sql, downgrade_sql)
		VALUES ($values, 'm', 'SELECT 1', 'SELECT 1')";
}

# the applied ones,
sub applied
{
	my $insert = q{INSERT INTO migrate.applied SELECT revision, checksum, now(), 'upgrade'
		FROM migrate.revisions WHERE revision = };
	return map { $insert . lit($_) } @_;
}

# the version rows,
sub version
{
	return map { 'INSERT INTO migrate.versions VALUES (' . lit($_) . ')' } @_;
}

# and the script of all.
sub script { return 'UPDATE migrate.revisions SET upgrade_sql = ' . lit($_[0]) }

my @bad_ids = (
	'', ' ', 'a@b', 'a-b', 'a+b', 'a:b', 'a b', "a\nb",
	qw(head heads base current),
	'x' x 256,
	'x' x 2500);
sub name_of
{
	my $id = shift;
	return length $id > 20 ? length($id) . ' bytes' : $id =~ s/\n/\\n/r;
}

my $broken = 'MG010';
my $position = 'MG010|MG007|MG005';
for my $case (
	[ 'a cycle of two', $broken, row('a', '{b}'), row('b', '{a}') ],
	[ 'a cycle of one', $broken, row('a', '{a}') ],
	[ 'a cycle through a dependency', $broken, row('a', '{}', '{b}'), row('b', '{a}') ],
	[
		'a cycle above a base',
		$broken,
		row('a'),
		row('b', '{a,d}'),
		row('c', '{b}'),
		row('d', '{c}')
	],
	[
		'a cycle that is applied',
		$broken,
		row('a', '{b}'),
		row('b', '{a}'),
		applied('a', 'b'),
		version('a')
	],
	[ 'a missing parent', $broken, row('a'), row('b', '{nowhere}') ],
	[ 'a missing dependency', $broken, row('a'), row('b', '{a}', '{nowhere}') ],
	[ 'a parent named by a prefix', $broken, row('aaa'), row('b', '{aa}') ],
	[ 'a label twice', $broken, row('a', '{}', '{}', '{lab}'), row('b', '{a}', '{}', '{lab}') ],
	[ 'a label twice in one row', "$broken|00000", row('a', '{}', '{}', '{lab,lab}') ],
	[ 'a label that is an id', $broken, row('a', '{}', '{}', '{b}'), row('b', '{a}') ],
	(map { [ 'the id ' . name_of($_), $broken, row('a'), row($_, '{a}') ] } @bad_ids),
	[ 'the label head', $broken, row('a', '{}', '{}', '{head}') ],
	[ 'an empty label', $broken, row('a', '{}', '{}', '{""}') ],
	[ 'a NULL parent', $broken, row('a', '{NULL}') ],
	[ 'a NULL dependency', $broken, row('a'), row('b', '{a}', '{NULL}') ],
	[ 'a NULL label', $broken, row('a', '{}', '{}', '{NULL}') ],
	[ 'an empty parent', $broken, row('a', '{""}') ],
	[ 'parents in two dimensions', "$broken|00000", row('a'), row('b'), row('c', '{{a},{b}}') ],
	[ 'parents counted from 5', '00000', row('a'), row('b'), row('c', '[5:6]={a,b}') ],
	[ 'a parent twice', "$broken|00000", row('a'), row('b', '{a,a}') ],
	[ 'a version row that names nothing', $position, row('a'), version('ghost') ],
	[
		'a version row that names nothing beside one that does',
		$position,
		row('a'),
		applied('a'),
		version('a', 'ghost')
	],
	[
		'a version row that is a prefix',
		$position,
		row('a'),
		row('bbb', '{a}'),
		applied('a'),
		version('bb')
	],
	[ 'an empty version row', $position, row('a'), version('') ],
	[ 'a version row of 2,500 bytes', $position, row('a'), version('x' x 2500) ],
	[
		'version rows that overlap',
		$position,
		row('a'),
		row('b', '{a}'),
		row('c', '{b}'),
		applied('a', 'b'),
		version('a', 'b')
	],
	[
		'an applied row without a revision',
		"$position|00000",
		row('a'),
		row('b', '{a}'),
		applied('a'),
		version('a'),
		q{INSERT INTO migrate.applied VALUES ('ghost', '', now(), 'upgrade')}
	],
	[
		'an applied row above the version rows',
		"$position|00000",
		row('a'),
		row('b', '{a}'),
		row('c', '{b}'),
		applied('a', 'b'),
		version('a')
	],
	[
		'a version row without an applied one',
		"$position|00000",
		row('a'),
		row('b', '{a}'),
		version('a')
	],
	[
		'applied rows without a version row',
		"$position|00000",
		row('a'),
		row('b', '{a}'),
		applied('a')
	],
	[
		'a checksum that differs',
		'MG007',
		row('a'),
		row('b', '{a}'),
		applied('a'),
		version('a'),
		q{UPDATE migrate.applied SET checksum = 'x'}
	],
	[
		'an applied script that was changed',
		'MG007',
		row('a'),
		row('b', '{a}'),
		applied('a'),
		version('a'),
		q{UPDATE migrate.revisions SET upgrade_sql = 'SELECT 2' WHERE revision = 'a'}
	],
	[ 'a script with a syntax error', '42601', row('a'), script("SELECT 1;\nSELEC 2") ],
	[
		'a script that commits',
		'MG011|2D000|0A000|25001',
		row('a'),
		script('SELECT 1; COMMIT; SELECT 2')
	],
	[
		'a script that begins',
		'MG011|2D000|0A000|25001',
		row('a'),
		script('BEGIN; SELECT 1; COMMIT')
	],
	[
		'a script that rolls back to a savepoint',
		'MG011|2D000|0A000|25001|25P01',
		row('a'),
		script('SAVEPOINT s; ROLLBACK TO s')
	],
	[
		'a script that prepares a transaction',
		'MG011|2D000|0A000|25001',
		row('a'),
		script(q{PREPARE TRANSACTION 'x'})
	],
	[
		'a script that copies from the client',
		'MG011|0A000',
		row('a'),
		script('CREATE TABLE zz (a int); COPY zz FROM STDIN')
	],
	[
		'a script that copies to the client',
		'MG011|0A000|00000',
		row('a'),
		script('COPY (SELECT 1) TO STDOUT')
	],
	[ 'a script that calls us', '55000', row('a'), script(q{SELECT migrate.upgrade('heads')}) ],
	[
		'a script that stamps',
		'55000',
		row('a'),
		script(q{DO 'BEGIN PERFORM migrate.stamp(''a''); END'})
	],
	[ 'a script that drops us', undef, row('a'), script('DROP EXTENSION migrate CASCADE') ],
	[
		'a script that empties our tables',
		undef,
		row('a'),
		row('b', '{a}'),
		script('TRUNCATE migrate.revisions, migrate.versions, migrate.applied')
	],
	[ 'a script that discards', undef, row('a'), script('DISCARD ALL') ],
	[
		'a script that drops temporary tables',
		undef,
		row('a'),
		script('DISCARD TEMP; DISCARD PLANS')
	],
	[
		'a script that drops what the client has prepared',
		undef,
		row('a'),
		script('CLOSE ALL; UNLISTEN *; DEALLOCATE ALL')
	],
	[ 'a script that unlocks', undef, row('a'), script('SELECT pg_advisory_unlock_all()') ],
	[
		'a script that sets a role',
		undef,
		row('a'),
		row('b', '{a}'),
		script('SET ROLE pg_monitor; RESET ALL; SET SESSION AUTHORIZATION pg_monitor')
	],
	[
		'a script that declares a cursor',
		undef,
		row('a'),
		script('DECLARE c CURSOR WITH HOLD FOR SELECT 1; CLOSE ALL')
	],
	[
		'a partial row for nothing',
		undef,
		row('a'),
		q{INSERT INTO migrate.partial
			(revision, direction, statements_done, digest, in_doubt, started_at)
			VALUES ('ghost', 'upgrade', 7, 'x', true, now())}
	],
	[
		'a setting that is none',
		undef,
		row('a'),
		q{INSERT INTO migrate.settings
			VALUES ('revision_ids', 'nonsense'), ('managed_schemas', '"'), ('exclude', '(((')}
	],
	[
		'the greatest serial id',
		undef,
		row('99999999999999999999999999'),
		row('a'),
		q{INSERT INTO migrate.settings VALUES ('revision_ids', 'serial')}
	],
	[ 'nothing at all', '00000', 'SELECT 1' ])
{
	my ($what, $expected, @setup) = @$case;
	my $failed = grep { !$_ } Test::More->builder->summary;
	$tampered->run('TRUNCATE ' . join(', ', map { "migrate.$_" } @tables));
	my $prepared = 1;
	for my $sql (@setup)
	{
		my $result = $tampered->query($sql);
		next if $result->{state} eq '00000';
		# A table that refuses the row itself is as good.
		like($result->{state}, qr/^(?:23514|54000)$/, "$what: refused by the table")
		  or diag brief($result->{err});
		$prepared = 0;
		last;
	}
	next unless $prepared;
	my $hopeless;
	for my $call (@calls)
	{
		last if $hopeless;
		my $start = time;
		$tampered->run('BEGIN');
		my $result = $tampered->query("SELECT migrate.$call");
		my $again = $tampered->{dead} ? undef : $tampered->query('ROLLBACK');
		if (bad_state($result->{state}))
		{
			fail("$what: $call");
			$hopeless = 1;
			diag brief($result->{err});
		}
		cmp_ok(time - $start, '<', 3, "$what: $call: time") if time - $start > 3;
		if ($call eq q{upgrade('heads')} && defined $expected)
		{
			like($result->{state}, qr/^(?:$expected)$/, "$what: upgrade: $result->{state}")
			  or diag brief($result->{err});
		}
		if ($call eq q{history()} && defined $expected && $expected eq $broken)
		{
			is($result->{state}, $broken, "$what: history");
		}
		if (!$tampered->alive)
		{
			fail("$what: $call: the server process is gone");
			$tampered = connect_to('mig_tampered', options => '-c statement_timeout=4s');
			$hopeless = 1;
		}
	}
	# A script that got away with it must not hold up the rest.
	$tampered->query("ROLLBACK PREPARED 'x'") if $what =~ /prepares/;
	is(grep({ !$_ } Test::More->builder->summary) - $failed, 0, "$what: " . @calls . ' calls');
}
is($tampered->value('SELECT count(*) FROM pg_prepared_xacts'), 0, 'nothing is left prepared');
$tampered->finish;

# ------------------------------------------------------------- 4. memory ----
{
	my $memory = connect_to($database, options => '-c statement_timeout=60s');
	my $contexts =
	  $memory->value(q{SELECT count(*) FROM pg_class WHERE relname = 'pg_backend_memory_contexts'});
	my $rss = sub { return (slurp("/proc/$memory->{pid}/status") =~ /^VmRSS:\s+(\d+)/m)[0] };
	my $used = sub {
		return $rss->() * 1024 unless $contexts;
		return $memory->value('SELECT sum(used_bytes) FROM pg_backend_memory_contexts');
	};
	for my $case (
		[ q{upgrade('nowhere')}, 'MG001' ],
		[ q{upgrade('b1')}, '00000' ],
		[ q{upgrade('+1')}, 'MG002' ],
		[ q{downgrade('c1')}, 'MG005' ],
		[ q{stamp('b1')}, '00000' ],
		[ q{stamp('{a,b}')}, 'MG001' ],
		[ q{history()}, '00000' ],
		[ q{pending()}, '00000' ],
		[ q{resolve('heads')}, '00000' ],
		[ 'load(' . lit(header('b1', down => 'a1')) . ')', '00000' ],
		[ 'load(' . lit(header('b1', down => 'a1', up => "SELEC 1;\n")) . ')', '42601' ],
		[ 'load(' . lit(header('b1', down => 'a1', up => "SELECT 2;\n")) . ')', 'MG007' ],
		[ q{load('x')}, 'MG011' ],
		[ 'load_directory(' . lit("$dir/nowhere") . ')', '58P01' ],
		[ q{revision('m', 'SELEC', head => 'd1')}, '42601' ],
		[ q{revision('m', head => 'a1')}, 'MG005' ],
		[ q{export('a1')}, '00000' ])
	{
		my ($call, $state) = @$case;
		my $statement = "SELECT migrate.$call";
		my $many = sub {
			my $n = shift;
			my $result =
			  $memory->query("\\o /dev/null\n" . "$statement;\n" x $n . '\o' . "\n$statement");
			$result->{state} eq $state
			  or fail("$call: $result->{state}, expected $state") && diag brief($result->{err});
		};
		$many->(100);
		my ($bytes, $kb) = ($used->(), $rss->());
		$many->(1000);
		$call =~ s/\n.*\n/ ... /s;
		my ($growth, $rss_growth) = ($used->() - $bytes, $rss->() - $kb);
		cmp_ok($growth, '<', 64 * 1024, "$call: memory after 1,000 calls grew by $growth bytes");
		cmp_ok($rss_growth, '<', 4096, "$call: resident memory grew by $rss_growth kB");
	}
	# In one transaction, with the errors caught.
	$memory->run(<<'SQL', <<'SQL') for 1;
CREATE FUNCTION pg_temp.try(call text, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text;
BEGIN
	FOR i IN 1 .. n LOOP
		BEGIN
			EXECUTE call;
			state := '00000';
		EXCEPTION WHEN OTHERS THEN
			state := SQLSTATE;
		END;
	END LOOP;
	RETURN state;
END $$
SQL
SELECT pg_temp.try('SELECT migrate.upgrade(''nowhere'')', 200)
SQL
	for my $call (
		q{SELECT migrate.upgrade('nowhere')},
		q{SELECT migrate.upgrade('b1')},
		q{SELECT migrate.stamp('b1')},
		q{SELECT count(*) FROM migrate.history()},
		q{SELECT migrate.revision('m', head => 'a1')})
	{
		$memory->value('SELECT pg_temp.try(' . lit($call) . ', 100)');
		my $kb = $rss->();
		$memory->value('SELECT pg_temp.try(' . lit($call) . ', 2000)');
		my $growth = $rss->() - $kb;
		cmp_ok($growth, '<', 8192, "$call 2,000 times in one transaction: $growth kB");
	}
	is( $memory->value(
			q{SELECT count(*) FROM pg_locks
			WHERE locktype = 'advisory' AND pid = pg_backend_pid()}),
		0,
		'no lock is left');
	ok($memory->alive, 'the server process is still the same');
	$memory->finish;
}

is($session->value($fingerprint), $before, 'no table changed');
ok($session->alive, 'the server process is still the same');
note sprintf '%.1f s', time - $begin;
$session->finish;
drop_databases();
done_testing();
