#!/usr/bin/perl
#
# Revision files as they lie on disks: of the server, and of a client that only
# has psql.  What sql/files.sql cannot do portably: other encodings, links,
# rights of the file system, many files, programs.
#
#  1. databases in other encodings;
#  2. links, rights, names, many files;
#  3. what goes out with export comes back by load as it was;
#  4. the three ways of doc/files.md to load files with psql alone.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

my $dir = scratch_dir();
my $bom = "\xef\xbb\xbf";
my $fingerprint = q{SELECT md5(string_agg(r.xmin::text || r::text, ';' ORDER BY revision))
	FROM migrate.revisions r};
# The same, whatever file it came from.
my $content_only = q{SELECT md5(string_agg(concat_ws('|', revision, down_revisions, depends_on,
		branch_labels, message, upgrade_sql, downgrade_sql, upgrade_transactional,
		downgrade_transactional, checksum, created_at, created_by, modified_by), ';'
		ORDER BY revision))
	FROM migrate.revisions};
my $with_parents = q{SELECT revision || '<' || array_to_string(down_revisions, ',')
	FROM migrate.revisions ORDER BY 1};

# A file with a header.
sub file
{
	my ($id, %more) = @_;
	my %field = (
		message => "message of $id",
		parents => '',
		depends => '',
		labels  => '',
		up      => "CREATE TABLE t_$id (a int);",
		down    => "DROP TABLE t_$id;",
		%more);
	return <<"END";
-- $field{message}
--
-- Revision ID: $id
-- Revises: $field{parents}
-- Depends On: $field{depends}
-- Branch Labels: $field{labels}
-- Create Date: 2025-11-04 10:00:00+00

-- migrate:up
$field{up}

-- migrate:down
$field{down}
END
}

sub directory
{
	my ($name, %files) = @_;
	mkdir "$dir/$name";
	spew("$dir/$name/$_", $files{$_}) for keys %files;
	return "$dir/$name";
}

sub load_sql { return 'SELECT migrate.load_directory(' . join(', ', map { lit($_) } @_) . ')' }

my $session = connect_to(create_database('mig_files'), messages => 'notice');
# Each case in a transaction that is rolled back.
sub tried
{
	my ($sql) = @_;
	$session->run('BEGIN');
	my $result = $session->query($sql);
	$result->{stored} = [ $result->{state} eq '00000' ? $session->rows($with_parents) : () ];
	$session->run('ROLLBACK');
	return $result;
}

# ----------------------------------------------- 1. other encodings ----
for my $case (
	[ LATIN1    => "gr\xc3\xb6\xc3\x9fer" ],
	[ LATIN9    => "5 \xe2\x82\xac" ],
	[ SQL_ASCII => "gr\xc3\xb6\xc3\x9fer" ],
	[ EUC_JP    => "\xe6\x97\xa5\xe6\x9c\xac" ])
{
	my ($encoding, $word) = @$case;
	my $name = 'mig_files_' . lc $encoding;
	my ($status, undef, $err) = run_psql('postgres', "DROP DATABASE IF EXISTS $name; ");
	($status, undef, $err) = run_psql('postgres',
		"CREATE DATABASE $name TEMPLATE template0
			ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	is($status, 0, "$encoding: a database") or diag $err;
	run_psql($name, 'CREATE EXTENSION migrate');
	my $other = connect_to($name);
	my $script = "SELECT '$word' AS \"$word\";";
	my $from = directory(
		$encoding,
		'a.sql' => $bom . file('a1', message => $word, up => $script) =~ s/\n/\r\n/gr,
		'b.sql' => file('b1', parents => 'a1', message => 'plain', up => 'SELECT 1;'));
	is_deeply([ $other->rows(load_sql($from)) ],
		[ 'a1', 'b1' ], "$encoding: a directory, with BOM and CRLF");
	is($other->value(q{SELECT message FROM migrate.revisions WHERE revision = 'a1'}),
		$word, "$encoding: the message as the client sees it");
	is_deeply([ $other->rows(load_sql($from)) ], [], "$encoding: again nothing");
	my $before = $other->value($fingerprint);
	$other->rows('SELECT migrate.load(migrate.export(revision)) FROM migrate.revisions');
	is($other->value($fingerprint), $before, "$encoding: load(export(r)) changes nothing");
	my $content = $other->value($content_only);
	$other->rows(
		'SELECT migrate.load(migrate.export(revision), migrate.file_name(revision))
		FROM migrate.revisions');
	is($other->value($content_only), $content,
		"$encoding: of another file only the file's name is noted");
	my $without_bom = slurp("$from/a.sql") =~ s/^\Q$bom\E//r;
	$other->rows('SELECT migrate.load(' . lit($without_bom) . q{, 'a.sql')});
	is($other->value($content_only),
		$content, "$encoding: load() of what the directory gave changes nothing");
	# One checksum for one file, whatever the database's encoding.
	is($other->value(q{SELECT checksum FROM migrate.revisions WHERE revision = 'a1'}),
		$session->value('SELECT migrate.script_checksum(' . lit($script) . ', true)'),
		"$encoding: the checksum of UTF-8");
	$other->rows(q{SELECT migrate.upgrade()});
	# load() with a BOM: where the encoding has that character.
	my $with_bom = $bom . file('c1', parents => 'b1');
	my $result = $other->query('SELECT migrate.load(' . lit($with_bom) . q{, 'c.sql')});
	like(
		$result->{state},
		$encoding eq 'SQL_ASCII' ? qr/^00000$/ : qr/^22P05$/,
		"$encoding: load() with a BOM: $result->{state}")
	  or diag $result->{err};
	$other->finish;
	run_psql('postgres', "DROP DATABASE $name");
}

# ----------------------------------- 2. links, rights, names, many files ----
{
	# Links are followed, wherever they lead; the name is the link's.
	directory(
		'elsewhere',
		'x.txt' => file('a1'),
		'b.sql' => "-- migrate:up\nSELECT 1;\n-- migrate:down\n");
	my $links = directory('links');
	symlink '../elsewhere/x.txt', "$links/1.sql";
	symlink "$dir/elsewhere/b.sql", "$links/20240101_linked_file.sql";
	symlink '../elsewhere', "$links/dir.sql";
	my $result = tried(load_sql($links));
	my $stored = [ '20240101<a1', 'a1<' ];
	is_deeply($result->{stored}, $stored,
		'links to files are read, a link to a directory is not')
	  or diag $result->{err};
	symlink 'links', "$dir/link_to_directory";
	is_deeply(tried(load_sql("$dir/link_to_directory"))->{stored},
		$stored, 'the directory may be a link');
	is_deeply(tried(load_sql("$dir//elsewhere/../links/"))->{stored},
		$stored, 'or a roundabout path');
	symlink '1.sql', "$links/2.sql";
	$result = tried(load_sql($links));
	is($result->{state}, 'MG011', 'the same file under two names is one id twice');
	like($result->{message}, qr/revision "a1" is in two files, "1.sql" and "2.sql"/,
		'both are named');
	unlink "$links/2.sql";
	symlink 'gone', "$links/2.sql";
	is(tried(load_sql($links))->{state}, '58P01', 'a link to nothing');
}
{
	# One id from a header and from a name.
	my $to =
	  directory('twice', 'z.sql' => file('20240101'), '20240101_a.sql' => "-- migrate:up\n");
	my $result = tried(load_sql($to));
	is($result->{state}, 'MG011', 'one id by header and by name');
	like($result->{message}, qr/"20240101" is in two files, "20240101_a.sql" and "z.sql"/,
		'both are named');
}
SKIP:
{
	skip 'root may read everything', 6 if $> == 0;
	my $to = directory('unreadable', '1.sql' => file('a1'), '2.sql' => file('b1', parents => 'a1'));
	chmod 0, "$to/2.sql";
	my $result = tried(load_sql($to));
	is($result->{state}, '42501', 'a file that the server may not read');
	like($result->{message},
		qr{could not open file "\Q$to\E/2\.sql" for reading: Permission denied},
		'is named');
	chmod 0644, "$to/2.sql";
	chmod 0, $to;
	$result = tried(load_sql($to));
	is($result->{state}, '42501', 'a directory that the server may not read');
	like($result->{message}, qr/could not open directory/, 'is named');
	chmod 0444, $to;
	$result = tried(load_sql($to));
	is($result->{state}, '42501', 'a directory that it may list and not enter');
	chmod 0755, $to;
	is_deeply(tried(load_sql($to))->{stored}, [ 'a1<', 'b1<a1' ], 'with the rights it loads');
}
{
	# What a loader may meet: upper case, other endings, hidden, editors' files.
	my @ignored = qw(B.SQL c.sql.bak d.sql~ .e.sql g.SQL sql .sql h.psql);
	my $to = directory(
		'names',
		'a1.sql' => file('a1'),
		map { $_ => 'nonsense' } @ignored, '#f.sql#');
	is_deeply(tried(load_sql($to))->{stored},
		['a1<'], 'files that do not end in .sql, and hidden ones, do not count');
	$to = directory(
		'spaces',
		"it's 100%.sql"                => file('a1'),
		"\xe6\x97\xa5\xe6\x9c\xac.sql" => file('b1', parents => 'a1'));
	is_deeply(tried(load_sql($to))->{stored},
		[ 'a1<', 'b1<a1' ], 'blanks, quotes and other letters in names');
	spew("$to/\xe6\x97\xa5\xe6\x9c\xac.sql", 'x');
	like(tried(load_sql($to))->{err},
		qr/revision file "\xe6\x97\xa5\xe6\x9c\xac\.sql", line 1/,
		'and in errors');
}
{
	# A file that sorts before what is loaded: of a directory, with a notice.
	my $up = "-- migrate:up\n";
	my $to = directory('late', '2_b.sql' => $up, '4_d.sql' => $up);
	$session->run('BEGIN', load_sql($to));
	directory('late', '1_a.sql' => $up, '3_c.sql' => $up, '5_e.sql' => $up);
	my $result = $session->query(load_sql($to));
	is_deeply($result->{rows}, [ 1, 3, 5 ], 'late files are loaded in their order');
	is_deeply([ $session->rows($with_parents) ],
		[ '1<4', '2<', '3<1', '4<2', '5<3' ],
		'as children of the last one loaded');
	like(
		$result->{err},
		qr/revision "1" sorts before "4", which was loaded earlier, and becomes its child/,
		'with a notice');
	my $before = $session->value($fingerprint);
	is_deeply([ $session->rows(load_sql($to)) ], [], 'again nothing');
	is($session->value($fingerprint), $before, 'and nothing is written');
	$session->run('ROLLBACK');
}
{
	# Markers.
	my %files = (
		'no marker'            => [ "-- m\n-- Revision ID: a1\n-- Revises:\nSELECT 1;\n", 4 ],
		'an empty file'        => [ '', undef ],
		'only a header'        => [ "-- m\n-- Revision ID: a1\n-- Revises:\n", undef ],
		'up twice'             => [ file('a1', up => "SELECT 1;\n-- migrate:up\nSELECT 2;"), 11 ],
		'down twice'           => [ file('a1', down => "SELECT 1;\n-- migrate:down"), 14 ],
		'down before up'       => [ "-- migrate:down\n-- migrate:up\n", 1 ],
		'an unknown option'    => [ "-- migrate:up transaction:maybe\n", 1 ],
		'a marker in capitals' => [ "-- MIGRATE:UP\n", undef ],
		'an indented marker'   => [ "  -- migrate:up\n", undef ]);
	for my $what (sort keys %files)
	{
		my ($content, $line) = @{ $files{$what} };
		my $result = tried(load_sql(directory("m $what", '1_x.sql' => $content)));
		is($result->{state}, 'MG011', "$what: refused");
		my $place = qr/revision file "1_x\.sql"/;
		$place = qr/$place, line $line\b/ if defined $line;
		like($result->{err}, $place, "$what: with file and line") or diag $result->{err};
	}
	chomp(my $hidden = <<'END');
SELECT '
-- migrate:down
', E'\'
-- migrate:up
', "
-- migrate:down
" FROM (SELECT 1 AS "
-- migrate:down
") x;
/* /*
-- migrate:down
*/
-- migrate:up
*/
DO $x$
-- migrate:down
BEGIN
-- migrate:up
END $x$;
SELECT 2; -- migrate:down
 -- migrate:down is the marker, but not here
END
	my $file = file('a1', up => $hidden, down => $hidden);
	$session->run('BEGIN');
	my $result = $session->query('SELECT migrate.load(' . lit($file) . ')');
	is($result->{state}, '00000',
		'markers in strings, names, comments and bodies, and after statements')
	  or diag $result->{err};
	is( $session->value('SELECT upgrade_sql = ' . lit($hidden)
			  . ' AND downgrade_sql = upgrade_sql FROM migrate.revisions'),
		't',
		'are part of the script');
	$session->run('ROLLBACK');
}
{
	my $n = 5000;
	my $to = directory('many');
	for my $i (1 .. $n)
	{
		spew(sprintf('%s/%05d_number_%d.sql', $to, $i, $i),
			"-- migrate:up\nCREATE TABLE t$i (a int);\n-- migrate:down\nDROP TABLE t$i;\n");
	}
	my $headed = directory('many_headed');
	for my $i (1 .. $n)
	{
		# children sort before their parents
		spew(sprintf('%s/%05d.sql', $headed, $n - $i),
			file("r$i", parents => $i > 1 ? 'r' . ($i - 1) : ''));
	}
	for my $what ([ $to, 'of dbmate' ], [ $headed, 'with headers' ])
	{
		my $t = time;
		is(scalar(my @ids = $session->rows(load_sql($what->[0]))), $n, "$n files $what->[1]");
		my $first = time - $t;
		$t = time;
		is_deeply([ $session->rows(load_sql($what->[0])) ], [], 'again nothing');
		note sprintf '%d files %s: %.2f s, again %.2f s', $n, $what->[1], $first, time - $t;
		cmp_ok($first, '<', 60, 'in reasonable time');
		$session->run('DROP EXTENSION migrate', 'CREATE EXTENSION migrate');
	}
}

# ------------------------------------------------ 3. load(export(r)) ----
{
	my $id = 0;
	my @scripts = (
		'',
		' ',
		"\n\n",
		'SELECT 1',
		"SELECT 1;\n\n\n",
		"\n\n  SELECT 1;",
		'-- only a comment',
		"SELECT 1 -- comment at the end",
		"SELECT 1;\r\nSELECT 2;\r\n",
		"BEGIN;\nSELECT 1;\nCOMMIT;",
		"-- first\nBEGIN; SELECT 1; COMMIT; -- last",
		"BEGIN;-- migrate:up\nSELECT 1;COMMIT;",
		"SELECT '\n-- migrate:down\n';",
		"SELECT '\r';",
		"/* \n\n */",
		"SELECT 1;;;;",
		"SELECT 'tab\t', E'\\\\', \$\$ \\ \$\$;",
		"-- Revision ID: x\n-- migrate up\nSELECT 1;");
	for my $message (
		'm', "two\nlines", '-- dashes', "  indented\n\n\n  more  ",
		"Revises: x\nCreate Date: never", 'a: b', "\xe6\x97\xa5\xe6\x9c\xac",
		'100% $1 \\', "tab\tinside", "line\r\nend")
	{
		my $arguments = lit($message) . ", rev_id => 'x" . ++$id . q{'};
		my $result = $session->query("SELECT migrate.revision($arguments, head => 'heads')");
		$session->rows("SELECT migrate.revision($arguments, head => 'base')")
		  if $result->{state} ne '00000';
	}
	for my $script (@scripts)
	{
		for my $transactional (qw(true false))
		{
			next if $transactional eq 'false' && $script =~ /migrate:up/;
			$id++;
			my $quoted = lit($script);
			$session->rows("SELECT migrate.revision('m', $quoted, $quoted, rev_id => 'x$id',
				head => 'base', transactional => $transactional)");
		}
	}
	$session->rows(q{SELECT migrate.revision('m', 'SELECT 1', rev_id => 'none', head => 'base')});
	$session->rows(
		q{SELECT migrate.revision('m', rev_id => 'lab', head => 'none', branch_label => 'l',
			depends_on => '{x1,x2}')});
	my $before = $session->value($fingerprint);
	my $n = $session->value('SELECT count(*) FROM migrate.revisions');
	is( $session->value(
			'SELECT count(*) FROM migrate.revisions
			WHERE migrate.load(migrate.export(revision)) = revision'),
		$n,
		"$n revisions of every form: load(export(r)) is r");
	is($session->value($fingerprint), $before, 'and nothing was written');
	is($session->value('SELECT count(DISTINCT migrate.file_name(revision)) FROM migrate.revisions'),
		$n, 'file names are distinct');
	# The same in another database.
	my $to = directory('exported');
	my @exported = $session->rows(
		q{SELECT migrate.file_name(revision) || '|'
			|| encode(convert_to(migrate.export(revision), 'UTF8'), 'hex')
		FROM migrate.revisions});
	for my $row (@exported)
	{
		my ($name, $content) = split /\|/, $row;
		spew("$to/$name", pack 'H*', $content);
	}
	my $content = q{SELECT md5(string_agg(ROW(
			revision, down_revisions, depends_on, branch_labels, message,
			upgrade_sql, downgrade_sql, upgrade_transactional, downgrade_transactional,
			checksum, created_at)::text, ';' ORDER BY revision))
		FROM migrate.revisions};
	my $whole = $session->value($content);
	$session->run('DROP EXTENSION migrate', 'CREATE EXTENSION migrate', load_sql($to));
	is($session->value($content), $whole, 'exported files load as the same revisions');
}

# -------------------------------------- 4. a client with psql alone ----
{
	my $doc = slurp("$FindBin::RealBin/../../doc/files.md");
	my $to = directory(
		'client',
		'0e59_child.sql' => file(
			'0e59',
			parents => '3135, 77',
			message => "it's \\ \"odd\" :x \xc3\xa9",
			up      => "CREATE TABLE c (a text DEFAULT E'\\\\ ''\t');\n\n\\\\x"),
		'3135_parent.sql' => file('3135'),
		'77_other.sql' => file('77', parents => 'base', depends => '3135') =~ s/\n/\r\n/gr,
		'9_last.sql' => file('9', parents => '0e59', depends => '77,3135'));
	# no psql command in it after all
	spew("$to/0e59_child.sql", slurp("$to/0e59_child.sql") =~ s/\n\\\\x//r);
	my $same = q{SELECT md5(string_agg(concat_ws('|', revision, down_revisions, depends_on, message,
			replace(upgrade_sql, E'\r', ''), replace(downgrade_sql, E'\r', ''), checksum),
			';' ORDER BY revision))
		FROM migrate.revisions};
	$session->run('BEGIN', 'DROP EXTENSION migrate', 'CREATE EXTENSION migrate', load_sql($to));
	my $expected = $session->value($same);
	$session->run('ROLLBACK');

	# The shell script of the documentation, as it is there.
	my ($script) = $doc =~ /^```sh\n(.*?tsort.*?)^```/ms;
	ok($script, 'the documentation has the script') or $script = '';
	spew("$dir/loadall.sh", $script);
	create_database('mig_client');
	local $ENV{PGDATABASE} = 'mig_client';
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	my $psql = tool('psql');
	my $load_all = "cd '$to' && sh '$dir/loadall.sh' | '$psql' -XAtq -1 -v ON_ERROR_STOP=1";
	my $run_copy = "'$psql' -XAtq -v ON_ERROR_STOP=1 -f copy.psql";
	my ($status, $out, $err) = run_program('sh', '-c', $load_all);
	is($status, 0, 'a shell loop, parents first') or diag $err;
	like($out, qr/\A(?:3135\n77\n)0e59\n9\n\z/, 'in this order');
	is((run_psql('mig_client', $same))[1], "$expected\n",
		'the same revisions as by load_directory');
	($status, $out, $err) = run_program('sh', '-c', $load_all);
	is($status, 0, 'again');
	spew("$to/9_last.sql", file('9', parents => '0e59', up => 'SELEC 1;'));
	($status, $out, $err) = run_program('sh', '-c', $load_all);
	is($status >> 8, 3, 'a file that is refused: psql ends with 3');
	like($err, qr/revision file "9_last\.sql", line 10/, 'file and line are said') or diag $err;

	# \copy of one file, as it is in the documentation.
	drop_databases();
	create_database('mig_client');
	my ($copy) = $doc =~ /^```\n(CREATE TEMP TABLE incoming.*?)^```/ms;
	ok($copy, 'the documentation has \copy') or $copy = '';
	$copy =~ s/0e59c3885358_add_last_login\.sql/3135_parent.sql/g;
	spew("$to/copy.psql", $copy);
	($status, $out, $err) = run_program('sh', '-c', "cd '$to' && $run_copy");
	is($status, 0, '\copy of one file') or diag $err;
	is($out, "3135\n", 'its id');
	my $before = (run_psql('mig_client', $fingerprint))[1];
	($status, $out, $err) = run_program('sh', '-c', "cd '$to' && $run_copy");
	is((run_psql('mig_client', $fingerprint))[1], $before, 'again nothing changes');
	my $odd = slurp("$to/0e59_child.sql") =~ s/Revises: 3135, 77/Revises: 3135/r;
	spew("$to/3135_parent.sql", $odd);
	($status, $out, $err) = run_program('sh', '-c', "cd '$to' && $run_copy");
	is($out, "0e59\n", '\copy of one with quotes, backslashes and tabs') or diag $err;
	my $stored = q{SELECT upgrade_sql FROM migrate.revisions WHERE revision = '0e59'};
	is((run_psql('mig_client', $stored))[1],
		"CREATE TABLE c (a text DEFAULT E'\\\\ ''\t');\n",
		'the script is as it was');

	# \copy of a directory of dbmate.
	my $made = directory(
		'client_dbmate',
		'20240101_a.sql' => "-- migrate:up\nCREATE TABLE a (x text DEFAULT '\\');\n\n"
		  . "-- migrate:down\nDROP TABLE a;\n",
		'20240102_b.sql' => "-- migrate:up transaction:false\nVACUUM;\n-- migrate:down\n",
		'20240103_c.sql' => "-- migrate:up\n-- migrate:down\n");
	drop_databases();
	create_database('mig_client');
	my ($all) = $doc =~ /^```\n(CREATE TEMP TABLE lines.*?)^```/ms;
	ok($all, 'the documentation has \copy of a directory') or $all = '';
	spew("$made/copy.psql", $all);
	($status, $out, $err) = run_program('sh', '-c', "cd '$made' && $run_copy");
	is($status, 0, '\copy of a directory') or diag $err;
	is($out, "20240101\n20240102\n20240103\n", 'their ids, in order');
	is((run_psql('mig_client', $fingerprint))[0], 0, 'stored');
	$before = (run_psql('mig_client', $fingerprint))[1];
	run_psql('mig_client', load_sql($made));
	is((run_psql('mig_client', $fingerprint))[1],
		$before, 'load_directory of the same changes nothing');
}

# ------------------- 5. ids that a shell or psql would take otherwise ----
{
	$session->run('DROP EXTENSION migrate', 'CREATE EXTENSION migrate');
	my @ids = (
		'0001`touch${IFS}shell_ran`', 'q`id>shell_ran', 'a|b', 'a;b', '$(touch${IFS}shell_ran)',
		'a"b', q{a'b}, 'a&b', 'a\\b', 'a!b', 'a*b', 'a(b)', '~root', '#x', 'a%41', 'aA',
		'.hidden', '/etc/passwd', '../up', "\xc3\xa9");
	for my $id (map { lit($_) } @ids)
	{
		my $message = q{'it`s|$(touch shell_ran)'};
		$session->value("SELECT migrate.revision($message, rev_id => $id, head => 'base')");
	}
	my @names = sort $session->rows('SELECT migrate.file_name(revision) FROM migrate.revisions');
	my $safe = qr/^[A-Za-z0-9%_\x80-\xff][A-Za-z0-9%._\x80-\xff]*\.sql\z/;
	is_deeply([ grep { $_ !~ $safe } @names ], [], 'file names are of safe characters only');
	my %seen;
	is(scalar(grep { !$seen{$_}++ } @names), scalar(@ids), 'and all differ');

	# id and message can be joined in several ways
	my $name = sub { return $session->value('SELECT migrate.file_name(' . lit($_[0]) . ')') };
	my $revision = sub {
		my ($id, $message) = map { lit($_) } @_;
		return $session->query("SELECT migrate.revision($message, rev_id => $id, head => 'base')");
	};
	$revision->('k', 'b c');
	is($name->('k'), 'k_b_c.sql', 'a name of its own');
	$revision->(@$_) for [ 'k_b', 'c' ], [ 'k_b_c', '!' ], [ 'k%B', 'c' ], [ 'k%25B', 'c' ];
	my @same = map { $name->($_) } qw(k k_b k_b_c);
	my $hash = qr/~[0-9a-f]{16}/;
	like("@same", qr/^k${hash}_b_c\.sql k_b${hash}_c\.sql k_b_c$hash\.sql\z/,
		'where another has the same, all get a hash');
	is($name->($_->[0]), $_->[1], "$_->[0] is not among them")
	  for [ 'k%B', 'k%25B_c.sql' ], [ 'k%25B', 'k%2525B_c.sql' ];
	push @ids, qw(k k_b k_b_c k%B k%25B);
	push @names, @same, 'k%25B_c.sql', 'k%2525B_c.sql';

	# characters that do not show
	for my $hidden ("\x1b", "\xc2\x9b", "\xe2\x80\xae", "\xe2\x80\xa8", "\xd8\x9c", "\xe2\x81\xa6")
	{
		my $what = unpack 'H*', $hidden;
		like($revision->("a${hidden}b", 'm')->{err},
			qr/^ERROR:  22023: revision identifier "a +b" contains .* a control character$/m,
			"$what in an id is refused, and not sent to the terminal");
		$revision->("hidden$what", "one${hidden}two");
		is($name->("hidden$what"),
			"hidden${what}_one_two.sql", "$what is not in the name of a file");
		push @ids, "hidden$what";
		push @names, "hidden${what}_one_two.sql";
	}
	@names = sort @names;

	# the recipe of the documentation, as it is there
	my ($recipe) =
	  slurp("$FindBin::RealBin/../../doc/files.md") =~ /^((?: {4}\\pset .*\n)(?: {4}.*\n)+)/m;
	my $where = directory('recipe');
	my $file = spew("$dir/recipe.psql", $recipe =~ s/^ {4}//mgr);
	my $run = 'cd "$1" && exec "$2" -X -d "$3" -v ON_ERROR_STOP=1 -f "$4"';
	my ($status, undef, $err) =
	  run_program('sh', '-c', $run, 'sh', $where, tool('psql'), $session->{database}, $file);
	is($status, 0, 'the recipe for exporting runs') or diag $err;
	my @made = sort map { s{.*/}{}r } glob("$where/* $where/.[!.]*");
	is_deeply(\@made, [ sort 'export.psql', @names ], 'it makes these files and runs nothing');
	my $other = connect_to(create_database('mig_files_exported'));
	unlink "$where/export.psql";
	$other->run(load_sql($where));
	is($other->value('SELECT count(*) FROM migrate.revisions'), scalar(@ids), 'which load again');
}

# What a terminal obeys is not sent to it, neither from the name of a file nor from
# what is in it.
{
	my $hostile = "x\x1b[31m\xc2\x9b";
	for my $content (
		"-- m\n-- Revision ID: $hostile\n-- Revises:\n-- migrate:up\n",
		"-- m\n-- Revision ID: h1\n-- Revises: $hostile\n-- migrate:up\n",
		"-- m\n-- Revision ID: h1\n-- Revises:\n-- migrate:up $hostile\n",
		"-- m\n-- Revision ID: h1\n-- Revises:\n-- migrate:up\nSELECT '$hostile' FROM;\n",
		"-- m\n-- Revision ID: h1\n-- Revises:\n-- migrate:up\nSELECT '$hostile;\n",
		qq{-- m\n-- Revision ID: h1\n-- Revises:\n-- migrate:up\nSELECT a b "$hostile"\n},
		"-- m\n-- Revision ID: h1\n-- Revises:\n-- migrate:up\n\\x $hostile\n",
		"SELECT 1;\n",
		"-- m\n-- Revision ID: h1\n-- Revises:\n-- migrate:up\nSELECT '\xff$hostile'\n",
		"-- m\n-- Revision ID: h1\n-- Revises:\n-- migrate:up\nSELECT '\0$hostile'\n")
	{
		my $where = directory('hostile');
		spew("$where/$hostile.sql", $content);
		my $result = $session->query(load_sql($where));
		isnt($result->{state}, '00000', 'a hostile file is refused: ' . unpack 'H*', $content);
		unlike($result->{err}, qr/[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/, '    in plain words')
		  or diag unpack 'H*', $result->{err};
		unlink "$where/$hostile.sql";
	}
}

$session->finish;
drop_databases();
done_testing();
