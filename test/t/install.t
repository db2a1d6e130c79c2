#!/usr/bin/perl
#
# Installing: the files, the extension in a database, who may, what stands in
# the way, and what comes back from a dump.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Find;
use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $dir = scratch_dir();
my $top = abs_path("$FindBin::RealBin/../..");
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
my $make = $ENV{MAKE} // 'make';
chomp(my $bindir = `$pg_config --bindir`);
chomp(my $libdir = `$pg_config --pkglibdir`);
chomp(my $sharedir = `$pg_config --sharedir`);
chomp(my $docdir = `$pg_config --docdir`);

# ------------------------------------------------------------- the files ----

# make in a directory, without what an outer make says.
sub make
{
	my ($in, @arguments) = @_;
	local %ENV = %ENV;
	delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS DESTDIR)};
	my ($status, $out, $err) = run_program('sh', '-c', 'cd "$0" && exec "$@"',
		$in, $make, "PG_CONFIG=$pg_config", 'with_llvm=no', @arguments);
	is($status, 0, "make @arguments") or diag $out, $err;
	return $out;
}

sub files_below
{
	my $root = shift;
	my @files;
	my $wanted = sub { push @files, File::Spec->abs2rel($_, $root) if -f };
	find({ wanted => $wanted, no_chdir => 1 }, $root) if -d $root;
	return sort @files;
}

# Links of a page to files that are not there.
sub dead_links
{
	my $page = shift;
	my $text = slurp($page) =~ s/<!--.*?-->//gsr;
	my @links = grep { !/^(?:https?:|#)/ } $text =~ /\]\(([^)\s]+)\)/g;
	my $here = $page =~ s{[^/]*$}{}r;
	return map { "$page: $_" } grep { !-e $here . s/#.*//r } @links;
}

{
	# Of the sources only, so that nothing built is copied.
	my $source = "$dir/source";
	mkdir $source;
	my $copy = 'cd "$0" && tar -cf - --exclude=./.git'
	  . ' --exclude="*.o" --exclude="*.bc" --exclude="*.so" . | tar -C "$1" -xf -';
	my ($status) = run_program('sh', '-c', $copy, $top, $source);
	is($status, 0, 'a copy of the sources');
	# what regression tests left in the copy is none of the sources
	make($source, '-s', 'clean');
	my @source = files_below($source);

	my $build = "$dir/build";
	mkdir $build;
	make($build, '-f', "$source/Makefile", '-s', 'all');
	ok(-e "$build/migrate.so", 'VPATH: the library is in the build directory');
	is_deeply([ files_below($source) ], \@source, 'VPATH: the sources are as they were');

	my $to = "$dir/destdir";
	mkdir $to;
	make($build, '-f', "$source/Makefile", '-s', 'install', "DESTDIR=$to");
	my @installed = files_below($to);
	my %installed = map { ("/$_" => 1) } @installed;
	ok(delete $installed{"$libdir/migrate.so"}, 'DESTDIR: the library');
	ok(delete $installed{"$sharedir/extension/migrate.control"}, 'DESTDIR: the control file');
	my $script = qr{^\Q$sharedir\E/extension/migrate--[\w.]+(?:--[\w.]+)?\.sql$};
	my @scripts = grep { $_ =~ $script } keys %installed;
	ok(@scripts, "DESTDIR: the script: @{[ map { s{.*/}{}r } @scripts ]}");
	delete @installed{@scripts};
	my @programs = grep { m{^bin/} } @source;
	ok(@programs, "there are programs for clients: @programs");
	is_deeply([ grep { !delete $installed{ s{^bin/}{$bindir/}r } } @programs ],
		[], 'DESTDIR: they are in the server\'s bindir');
	is_deeply([ grep { !-x $to . s{^bin/}{$bindir/}r } @programs ], [], 'DESTDIR: and can be run');
	my $documents = "$docdir/extension/migrate";
	my @documents = grep { m{^\Q$documents\E/} } keys %installed;
	delete @installed{@documents};
	is_deeply([ keys %installed ], [], 'DESTDIR: and nothing else');
	is_deeply(
		[ sort map { s{^\Q$documents\E/}{}r } grep { /\.md$/ } @documents ],
		[ sort grep { m{^(?:README|CHANGELOG|doc/.*|examples/.*)\.md$} } @source ],
		'DESTDIR: the documentation, in a folder of its own');
	is_deeply([ map { dead_links("$to$_") } grep { /\.md$/ } @documents ],
		[], 'DESTDIR: links between its pages hold');
	my ($version) = slurp("$source/migrate.control") =~ /^default_version = '(.*)'/m;
	ok((grep { m{/migrate--\Q$version\E\.sql$} } @scripts),
		"the script of the default version $version is there");

	make($build, '-f', "$source/Makefile", '-s', 'uninstall', "DESTDIR=$to");
	is_deeply([ files_below($to) ], [], 'make uninstall takes all of them away');
	make($build, '-f', "$source/Makefile", '-s', 'clean');
	is_deeply([ grep { /\.(?:o|so|bc)$/ } files_below($build) ],
		[], 'make clean leaves nothing built');

	# Where no pg_config is, and from another directory.
	for my $arguments ([], ["prefix=$dir/client prefix"])
	{
		my $destdir = @$arguments ? '' : $to;
		my $bin = ($arguments->[0] // 'prefix=/usr/local') =~ s/^prefix=(.*)/$destdir$1\/bin/r;
		my @more = ('-f', "$source/Makefile", "DESTDIR=$destdir", 'PG_CONFIG=/nowhere/pg_config');
		make($build, @more, '-s', 'install-client', @$arguments);
		is_deeply(
			[ files_below($bin) ],
			[ map { s{^bin/}{}r } @programs ],
			"install-client @$arguments: the programs alone");
		make($build, @more, '-s', 'uninstall-client', @$arguments);
		is_deeply([ files_below($bin) ], [], 'uninstall-client');
	}

	# In the sources' own directory.
	make($source, '-s', 'all');
	make($source, '-s', 'install', "DESTDIR=$to");
	is_deeply([ files_below($to) ], \@installed, 'a build in place installs the same');
	make($source, '-s', 'clean');
	is_deeply([ files_below($source) ], \@source, 'and make clean removes all that it made');

	# One exported symbol that is not ours could meet another library's.
	my ($nm, $symbols) = run_program('nm', '-D', '--defined-only', "$to$libdir/migrate.so");
	SKIP:
	{
		skip 'no nm', 1 if $nm;
		my $ours = qr/^(?:mig_|migrate_|pg_finfo_migrate_|Pg_magic_func|_PG_init|_PG_fini
			|_init|_fini)/x;
		my @exported = map { /\s[A-Z]\s(\S+)/ ? $1 : () } split /\n/, $symbols;
		my @strange = grep { $_ !~ $ours } @exported;
		is_deeply(\@strange, [], 'the library exports names of ours only');
	}
}

# ------------------------------------------------------------ who and how ----

run_psql('postgres', "DROP ROLE IF EXISTS $_") for qw(mig_owner mig_other);
run_psql('postgres', "CREATE ROLE $_ LOGIN") for qw(mig_owner mig_other);
{
	my $database = create_database('mig_install', plain => 1, owner => 'mig_owner');
	my $owner = connect_to($database, user => 'mig_owner');
	my $other = connect_to($database, user => 'mig_other');

	is($other->query('CREATE EXTENSION migrate')->{state},
		'42501', 'who does not own the database cannot install');

	# A schema of that name is never adopted.
	$owner->run('CREATE SCHEMA migrate');
	my $result = $owner->query('CREATE EXTENSION migrate');
	is($result->{state}, '42P06', 'a schema made beforehand is refused');
	$result = $owner->query('CREATE EXTENSION IF NOT EXISTS migrate CASCADE');
	is($result->{state}, '42P06', 'with IF NOT EXISTS too');
	$owner->run('DROP SCHEMA migrate');
	isnt($owner->query('CREATE EXTENSION migrate SCHEMA public')->{state},
		'00000', 'another schema cannot be asked for');

	# Objects in the search_path do not matter.
	my $raise = q{LANGUAGE plpgsql AS 'BEGIN RAISE ''hostile %''; END'};
	my $operator = $raise =~ s/%/operator/r;
	my $function = $raise =~ s/%/function/r;
	my $of_texts = '(LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.raise)';
	my @hostile = (
		'CREATE SCHEMA hostile',
		'CREATE TABLE hostile.revisions (revision text)',
		"CREATE FUNCTION hostile.raise(text, text) RETURNS bool $operator",
		(map { "CREATE OPERATOR hostile.$_ $of_texts" } qw(= <> ||)),
		"CREATE FUNCTION hostile.raise_array(text[], text[]) RETURNS bool $operator",
		'CREATE OPERATOR hostile.= '
		  . '(LEFTARG = text[], RIGHTARG = text[], FUNCTION = hostile.raise_array)',
		'CREATE DOMAIN hostile.text AS pg_catalog.int4',
		'CREATE DOMAIN hostile.bool AS pg_catalog.int4',
		"CREATE FUNCTION hostile.now() RETURNS timestamptz $function",
		map { "CREATE FUNCTION hostile.$_ RETURNS pg_catalog.text $function" } (
			'upgrade(text)',      'downgrade(text)', 'unnest(text[])',
			'lower(text)',        'sha256(bytea)',   'convert_to(text, name)',
			'encode(bytea, text)'));
	$owner->run(@hostile, 'SET search_path = hostile, pg_catalog, public');
	$result = $owner->query('CREATE EXTENSION migrate');
	is($result->{state}, '00000',
		'the owner of the database installs, with hostile objects in the way')
	  or diag $result->{err};

	my $catalog = connect_to($database);
	my $is_ours = q{relnamespace = 'migrate'::regnamespace};
	is( $catalog->value(
			"SELECT string_agg(DISTINCT rolname, ',')
			FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
			WHERE $is_ours AND relkind IN ('r', 'S')"),
		'mig_owner',
		'the role that installs owns tables and sequences');
	is( $catalog->value(
			q{SELECT rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = nspowner
			WHERE nspname = 'migrate'}),
		'mig_owner',
		'and the schema');
	is( $catalog->value(
			"SELECT string_agg(c.oid::regclass::text, ',') FROM pg_class c
			WHERE $is_ours AND relkind = 'r'
				AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND indisprimary)"),
		undef,
		'every table has a primary key');
	is( $catalog->value(
			"SELECT string_agg(c.oid::regclass::text, ',') FROM pg_class c
			WHERE $is_ours AND relkind IN ('r', 'S') AND NOT c.oid = ANY (
				SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'migrate')"),
		undef,
		'every table and sequence is dumped');
	is( $catalog->value(
			q{SELECT string_agg(p.oid::regprocedure::text, ',') FROM pg_proc p
			WHERE pronamespace = 'migrate'::regnamespace
				AND obj_description(p.oid, 'pg_proc') IS NULL}),
		undef,
		'every function has a comment');
	is( $catalog->value(
			q{SELECT string_agg(p.oid::regprocedure::text, ',') FROM pg_proc p
			WHERE pronamespace = 'migrate'::regnamespace AND prosecdef}),
		undef,
		'no function is SECURITY DEFINER');
	is( $catalog->value(
			"SELECT count(*) FROM pg_class c, aclexplode(relacl)
			WHERE $is_ours AND grantee = 0 AND privilege_type <> 'SELECT'"),
		0,
		'nobody else may write');

	# Everything works with the hostile search_path.
	my $file = <<'END';
-- m
--
-- Revision ID: a
-- Revises:
-- Branch Labels: lab

-- migrate:up
SELECT 1;

-- migrate:down
SELECT 2;
END
	my $third = q{migrate.revision('third', 'SELECT 3', 'SELECT 4', rev_id => 'c', }
	  . q{head => 'a', splice => true)};
	for my $case (
		[ 'migrate.load(' . lit($file) . ')', 'a' ],
		[ 'migrate.load(' . lit($file) . ')', 'a' ],
		[ q{migrate.revision('second', 'SELECT 3', 'SELECT 4', rev_id => 'b')}, 'b' ],
		[ $third, 'c' ],
		[ q{migrate.merge(rev_id => 'd')}, 'd' ],
		[ q{migrate.edit('b', message => 'other')}, 'b' ],
		[ q{migrate.configure('revision_ids', 'serial')}, '' ],
		[ q{migrate.revision('fifth')}, '0001' ],
		[ q{migrate.drop('0001')}, '0001' ],
		[ q{migrate.pending()}, "a\nb\nc\nd" ],
		[ q{migrate.upgrade()}, "a\nb\nc\nd" ],
		[ q{migrate.upgrade()}, '' ],
		[ q{migrate.current()}, 'd' ],
		[ q{migrate.heads()}, 'd' ],
		[ q{migrate.bases()}, 'a' ],
		[ q{migrate.branches()}, 'a' ],
		[ q{migrate.resolve('lab@head')}, 'd' ],
		[ q{migrate.file_name('b')}, 'b_other.sql' ],
		[ q{migrate.load(migrate.export('d'))}, 'd' ],
		[ q{migrate.downgrade('b@a')}, undef ],
		[ q{migrate.downgrade('a')}, undef ],
		[ q{migrate.stamp('heads')}, 'd' ],
		[
			q{migrate.stamp(ARRAY['c'::pg_catalog.text, 'b'::pg_catalog.text], purge => true)},
			undef
		],
		[ q{migrate.downgrade('base')}, undef ],
		[ q{migrate.history()}, undef ])
	{
		my ($call, $expected) = @$case;
		my $answer = $owner->query("SELECT $call");
		chomp(my $out = $answer->{out});
		$call =~ s/\n.*\n/ ... /s;
		is($answer->{state}, '00000', "hostile search_path: $call") or diag $answer->{err};
		is($out, $expected, "hostile search_path: $call: the answer") if defined $expected;
	}
	$owner->run('CREATE TABLE hostile.alembic_version (version_num varchar(32) NOT NULL)',
		q{INSERT INTO hostile.alembic_version VALUES ('b')});
	$result = $owner->query('SELECT migrate.adopt_alembic()');
	is($result->{out}, "b\n", 'hostile search_path: adopt_alembic') or diag $result->{err};

	# Dropped and created again in one session, with our code loaded and plans kept.
	$owner->run('SET search_path = public', 'CREATE TABLE public.kept (a int)');
	for my $round (1, 2)
	{
		$result = $owner->query('DROP EXTENSION migrate');
		is($result->{state}, '00000', "DROP EXTENSION, $round") or diag $result->{err};
		isnt($owner->query(q{SELECT migrate.upgrade()})->{state}, '00000', 'it is gone');
		$owner->run('DROP SCHEMA IF EXISTS migrate');
		is($owner->query('CREATE EXTENSION migrate')->{state}, '00000', 'CREATE EXTENSION again');
		is_deeply([ $owner->rows('SELECT migrate.current() UNION ALL SELECT migrate.heads()') ],
			[], 'empty');
		$owner->run('SELECT migrate.load(' . lit($file) . ')');
		is_deeply([ $owner->rows('SELECT migrate.upgrade()') ], ['a'], 'and works');
	}
	# All of it in one transaction.
	$owner->run(
		'BEGIN',
		'DROP EXTENSION migrate',
		'CREATE EXTENSION migrate',
		'SELECT migrate.load(' . lit($file) . ')',
		'SELECT migrate.upgrade()',
		'ROLLBACK');
	is_deeply([ $owner->rows('SELECT migrate.current()') ], ['a'], 'DROP and CREATE rolled back');
	$owner->run('BEGIN', 'DROP EXTENSION migrate', 'CREATE EXTENSION migrate', 'COMMIT');
	is_deeply([ $owner->rows('SELECT migrate.current()') ],
		[], 'DROP and CREATE in one transaction');
	is($owner->value(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'migrate'}),
		1, 'one schema');
	ok($owner->alive, 'in one session');

	# Others look where they may, and cannot write.
	$owner->run('GRANT USAGE ON SCHEMA migrate TO mig_other',
		'SELECT migrate.load(' . lit($file) . ')');
	is_deeply([ $other->rows('SELECT migrate.heads()') ], ['a'], 'who has USAGE may look');
	for my $call (
		'upgrade()', q{downgrade('base')}, 'stamp()', q{revision('m')}, q{load('x')},
		'merge()', q{edit('a')}, q{drop('a')}, q{load_directory('.')},
		q{configure('revision_ids', 'serial')}, 'adopt_alembic()')
	{
		is($other->query("SELECT migrate.$call")->{state}, '42501', "but not $call");
	}
	is($other->query(q{INSERT INTO migrate.versions VALUES ('a')})->{state},
		'42501', 'nor write the tables');
	is($owner->query('SELECT migrate.load_directory(' . lit("$dir") . ')')->{state},
		'42501', 'load_directory needs the right to read files');
	$_->finish for $owner, $other, $catalog;
}
drop_databases();

# --------------------------------------------------------- dump and restore ----

{
	my $database = create_database('mig_dump');
	my $session = connect_to($database);
	my $last = 'base';
	for my $i (1 .. 12)
	{
		my $head = $i == 7 ? 'r4' : $last;
		my $arguments = join ', ',
		  lit("odd \\ \"message\" \t %s \xc3\xa9 $i"),
		  lit("CREATE TABLE t$i (a int); -- \\ ' \t\xc3\xa9\nSELECT E'\\n';\n"),
		  $i == 3 ? 'NULL' : lit("DROP TABLE t$i;"),
		  "rev_id => 'r$i'",
		  "head => '$head'",
		  'splice => true',
		  $i == 5 ? q{branch_label => 'five'} : (),
		  $i == 9 ? q{depends_on => '{r6}'}   : ();
		$session->run("SELECT migrate.revision($arguments)");
		$last = "r$i";
	}
	$session->run(
		q{SELECT migrate.upgrade('heads')},
		q{SELECT migrate.downgrade('r10')},
		q{SELECT migrate.configure('revision_ids', 'serial')},
		q{INSERT INTO migrate.partial
			(revision, direction, statements_done, digest, in_doubt, started_at)
			VALUES ('r11', 'upgrade', 2, 'digest', true, now())},
		q{INSERT INTO migrate.models VALUES ('default', 1, E'CREATE TABLE x ();\n\\\\')});
	my @tables = qw(revisions versions applied partial log steps models settings);
	my $content = sub {
		my $of = shift;
		return map { [ $_, $of->rows("SELECT t::text FROM migrate.$_ t ORDER BY 1") ] } @tables;
	};
	my @before = $content->($session);
	cmp_ok(scalar @$_, '>', 1, "rows in $_->[0]") for @before;
	my $dump_schema = schema_dump($database);

	for my $format (qw(plain custom directory))
	{
		my $dump = "$dir/dump.$format";
		my ($status, undef, $err) =
		  run_program(tool('pg_dump'), '-F', $format, '-f', $dump, $database);
		is($status, 0, "pg_dump, $format") or diag $err;
		my $to = create_database("mig_restore_$format", plain => 1);
		($status, undef, $err) =
		  $format eq 'plain'
		  ? run_psql($to, '', '-f', $dump)
		  : run_program(tool('pg_restore'), '--exit-on-error', '-d', $to, $dump);
		is($status, 0, "restore, $format") or diag $err;
		my $restored = connect_to($to);
		is_deeply([ $content->($restored) ], \@before, "$format: every table has the same rows");
		ok(schema_dump($to) eq $dump_schema, "$format: the same schema");
		$restored->run('DELETE FROM migrate.partial');
		is_deeply([ $restored->rows(q{SELECT migrate.upgrade('heads')}) ],
			[qw(r11 r12)], "$format: upgrade resumes")
		  or diag $err;
		is( $restored->value(
				'SELECT count(*) = count(DISTINCT id)
					AND max(id) = (SELECT last_value FROM migrate.log_id_seq)
				FROM migrate.log'),
			't',
			"$format: the log is continued");
		is_deeply([ sort $restored->rows(q{SELECT migrate.downgrade('five')}) ],
			[ sort qw(r12 r11 r10 r9 r6) ],
			"$format: downgrade works too");
		# Dumped again it is the same, so nothing is lost on the second way.
		$restored->finish;
	}
	$session->finish;
}
drop_databases();
run_psql('postgres', "DROP ROLE $_") for qw(mig_owner mig_other);
done_testing();
