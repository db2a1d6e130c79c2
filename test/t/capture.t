#!/usr/bin/perl
#
# Revisions from what is there: migrate.derive_downgrade(), of pending and applied ones, and
# migrate.capture(), of what was done by hand.  Both are judged by pg_dump: what a derived
# downgrade leaves is what was there before, and a captured revision makes in another
# database what was done by hand in this one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use MigrateTest;
use Test::More;

alarm 1800;
my @roles = qw(mig_capture_owner mig_capture_author);
END { local $?; drop_databases() }
own_roles(@roles);

# A session in a new database with some revisions (scripts), named 1, 2 and so on.
sub authored
{
	my ($name, @scripts) = @_;
	return connect_to(create_revisions("mig_capture_$name", '%d', @scripts), messages => 'notice');
}

# A result in one line: the rows, or the error.
sub said
{
	my ($session, $sql) = @_;
	my $result = $session->query($sql);
	return $result->{state} eq '00000' ? $result->{out} : "$result->{state} $result->{message}\n";
}

# The same without what comments say of hazards.
sub statements { return said(@_) =~ s/^-- [a-z].*\n//mgr }

# A dump as a sorted list of its lines: the order of columns means nothing.
sub lines_of
{
	return join "\n", sort map { s/^\s+|,?\s*$//gr } grep { /\S/ && !/^--/ } split /\n/, $_[0];
}

# What two dumps differ in, loaded and dumped again where they do; '' when in nothing.
my $reloaded;

sub difference
{
	my ($one, $other) = @_;
	return '' if lines_of($one) eq lines_of($other);
	my $dir = scratch_dir();
	my @again;
	for my $dump ($one, $other)
	{
		$reloaded = create_database('mig_capture_again', plain => 1);
		my ($status, undef, $err) = run_psql($reloaded, '', '-f', spew("$dir/dump", $dump));
		return "does not load: $err" if $status;
		push @again, lines_of(schema_dump($reloaded));
	}
	my @files = map { spew("$dir/$_", "$again[$_]\n") } 0, 1;
	return join "\n", grep { /^[-+][^-+]/ } split /\n/, (run_program('diff', '-U0', @files))[1];
}

# ---------------------------------------------------- derived downgrades ----

{
	my $session = authored('derive', <<'SQL', <<'SQL', <<'SQL');
CREATE TABLE users (id serial PRIMARY KEY, fullname text, gone int, note text,
	twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE "we""ird" ("a b" int CHECK ("a b" > 0));
CREATE TYPE mood AS ENUM ('x', 'y');
CREATE SCHEMA apart;
CREATE TABLE moves (m mood);
SQL
ALTER TABLE users RENAME fullname TO "full ""name";
ALTER TABLE users DROP gone, DROP twice;
ALTER TABLE users RENAME TO people;
DROP TABLE "we""ird";
ALTER TYPE mood ADD VALUE 'z';
ALTER TABLE moves SET SCHEMA apart;
CREATE VIEW named AS SELECT "full ""name" FROM people;
SQL
INSERT INTO people ("full ""name") VALUES ('x');
ALTER TABLE people DROP note, ADD note text;
SQL
	$session->run(q{SELECT migrate.configure('managed_schemas', 'public, apart')});

	is(statements($session, q{SELECT migrate.derive_downgrade('1')}), <<'SQL',
DROP TABLE public."we""ird";
DROP TABLE public.users;
DROP TABLE public.moves;
DROP TYPE public.mood;
DROP SCHEMA apart;

SQL
		'of a first revision');
	my $second = said($session, q{SELECT migrate.derive_downgrade('2')});
	is(join("\n", grep { /^-- What/ } split /\n/, $second), <<'SQL' =~ s/\n$//r,
-- What was in table public."we""ird" does not come back.
-- What was in column public.users.gone does not come back.
SQL
		'what the upgrade removed is named, computed columns are not');
	like($second, qr/^ALTER TABLE public\.people RENAME COLUMN "full ""name" TO fullname;$/m,
		'a column that was renamed is renamed');
	like($second, qr/^ALTER TABLE public\.people RENAME TO users;$/m, '    so is a table');
	like($second, qr/^ALTER TABLE apart\.moves SET SCHEMA public;$/m, '    or moved');
	my $third = said($session, q{SELECT migrate.derive_downgrade('3')});
	like($third, qr/^-- The upgrade script drops column public\.people\.note and creates it again/m,
		'a column that is another one');
	like($third, qr/^-- The upgrade script changes rows/m, '    and rows that were changed');
	is($session->value('SELECT count(*) FROM migrate.applied'), 0, 'all of them are pending');
	is($session->value(q{SELECT count(*) FROM pg_tables WHERE schemaname = 'public'}), 0,
		'    and nothing is there');

	# they do what they say, rows included
	my @dumps = schema_dump('mig_capture_derive');
	for my $n (1 .. 3)
	{
		$session->run("SELECT migrate.edit('$n', downgrade => migrate.derive_downgrade('$n'))",
			q{SELECT migrate.upgrade('+1')});
		$session->run(q{INSERT INTO users (fullname) VALUES ('Ada')}) if $n == 1;
		push @dumps, schema_dump('mig_capture_derive');
	}
	for my $n (reverse 1 .. 3)
	{
		$session->run(q{SELECT migrate.downgrade('-1')});
		is(difference(schema_dump('mig_capture_derive'), $dumps[ $n - 1 ]), '',
			"the downgrade of revision $n leaves what was there before");
		is($session->value('SELECT fullname FROM users ORDER BY 1 LIMIT 1'), 'Ada',
			'    and the rows') if $n == 2;
	}
	$session->run(q{SELECT migrate.upgrade('2')});
	is(said($session, q{SELECT migrate.derive_downgrade('2')}), $second,
		'of an applied revision it is the same');
	is(said($session, q{SELECT migrate.derive_downgrade('head')}), $third,
		'a revision has other names, too');

	for my $case (
		[ q{'base'},  qq{MG001 can't locate revision identified by "base"\n} ],
		[ q{'none'},  qq{MG001 can't locate revision identified by "none"\n} ],
		[ 'NULL',     "22004 revision must not be null\n" ])
	{
		my ($argument, $error) = @$case;
		is(said($session, "SELECT migrate.derive_downgrade($argument)"), $error,
			"of $argument");
	}
	is($session->query(q{BEGIN READ ONLY; SELECT migrate.derive_downgrade('1')})->{state},
		'25006', 'not in a read-only transaction');
	$session->run('ROLLBACK');

	$session->run(q{SELECT migrate.revision('bad', 'SELECT 1 / 0', rev_id => 'bad')});
	my $result = $session->query(q{SELECT migrate.derive_downgrade('bad')});
	is($result->{state}, '22012', 'a script that fails keeps its own code');
	like($result->{err}, qr/revision "bad", upgrade script, statement 1/, '    and says where');
	$session->run(q{SELECT migrate.drop('bad')},
		q{SELECT migrate.revision('far', 'CREATE SCHEMA far; CREATE TABLE far.t ()',}
		  . q{ rev_id => 'far')});
	$session->run('CREATE SCHEMA far');
	is($session->query(q{SELECT migrate.derive_downgrade('far')})->{state}, '0A000',
		'nor one that changes a schema that is not managed');
	$session->run('DROP SCHEMA far', q{SELECT migrate.drop('far')});
	$session->run(q{SELECT migrate.revision('rows', 'UPDATE people SET id = 3', rev_id => 'rows')});
	is(said($session, q{SELECT migrate.derive_downgrade('rows')}),
		"-- The upgrade script changes rows; this one does not change them back.\n\n",
		'of one that changes rows only');
	$session->finish;
}
{
	# the ancestors are those by dependency, too, and no others
	my $session = authored('branches');
	$session->run(
		q{SELECT migrate.revision('a', 'CREATE TABLE a (x int)', rev_id => 'a', head => 'base')},
		q{SELECT migrate.revision('b', 'CREATE TABLE b (x int)', rev_id => 'b', head => 'base')},
		q{SELECT migrate.revision('c', 'CREATE TABLE c (x int)', rev_id => 'c', head => 'base')},
		q{SELECT migrate.revision('a2', 'ALTER TABLE b ADD y int; CREATE TABLE c ()',}
		  . q{ rev_id => 'a2', head => 'a', depends_on => '{b}')});
	is(statements($session, q{SELECT migrate.derive_downgrade('a2')}),
		"ALTER TABLE public.b DROP COLUMN y;\nDROP TABLE public.c;\n\n",
		'of a revision with a dependency, beside another branch');
	$session->finish;
}

{
	# what an altered column uses only afterwards is there for the proof, too
	my $session = authored('used', <<'SQL',
CREATE TYPE e AS ENUM ('x');
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE t (a int DEFAULT f(), b e);
SQL
		'ALTER TABLE t ALTER a DROP DEFAULT, ALTER b TYPE text');
	is(statements($session, q{SELECT migrate.derive_downgrade('2')}), <<'SQL',
ALTER TABLE public.t ALTER COLUMN b TYPE public.e USING b::pg_catalog.text::public.e;
ALTER TABLE ONLY public.t ALTER COLUMN a SET DEFAULT public.f();

SQL
		'of columns that are altered');
	$session->finish;
}

# --------------------------------------------------------------- captures ----

my $by_hand = <<'SQL';
CREATE TYPE e AS ENUM ('a', 'b');
CREATE TABLE "we""ird" (c e DEFAULT 'a', CHECK (c IN ('a', 'b')));
ALTER TABLE notes DROP gone, ADD author text NOT NULL DEFAULT '\';
CREATE INDEX ON notes (author);
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
CREATE VIEW seen AS SELECT * FROM notes;
COMMENT ON TABLE notes IS 'it''s';
SQL

{
	my $session = authored('hand', 'CREATE TABLE notes (id serial PRIMARY KEY, gone int)');
	my $first = q{SELECT migrate.capture('by hand')};
	is(said($session, $first), "MG004 target database is not up to date\n",
		'with a pending revision');
	$session->run('SELECT migrate.upgrade()');
	my $result = $session->query($first);
	is($result->{out}, "\n", 'without drift: NULL');
	like($result->{err}, qr/^NOTICE: .* no drift/m, '    and a notice');
	is($session->value('SELECT count(*) FROM migrate.revisions'), 1, '    and nothing is stored');

	my $before = schema_dump('mig_capture_hand');
	$session->run('BEGIN', (split /;\n/, $by_hand), 'COMMIT',
		'INSERT INTO notes VALUES (7)');
	my $after = schema_dump('mig_capture_hand');
	for my $case (
		[ 'NULL',                 '22023' ],
		[ q{''},                  '22023' ],
		[ q{'x', '1'},            'MG010' ],
		[ q{'x', 'a b'},          '22023' ],
		[ q{E'two\nlines', 'ok'}, '00000' ])
	{
		my ($arguments, $state) = @$case;
		$session->run('BEGIN');
		is($session->query("SELECT migrate.capture($arguments)")->{state}, $state,
			"capture($arguments)");
		$session->run('ROLLBACK');
	}
	is($session->query(q{BEGIN READ ONLY; SELECT migrate.capture('x')})->{state}, '25006',
		'not in a read-only transaction');
	$session->run('ROLLBACK');

	is(said($session, q{SELECT migrate.capture('by hand', 'hand')}), "hand\n", 'captured');
	is(schema_dump('mig_capture_hand'), $after, '    the schema is as it was');
	is($session->value('SELECT id FROM notes'), 7, '    and so are the rows');
	is(said($session, 'SELECT migrate.drift()'), '', '    there is no drift any more');
	is(said($session, 'SELECT migrate.check()'), "t\n", '    and the database is up to date');
	is(said($session, 'SELECT migrate.current()'), "hand\n", '    at the new revision');
	is(said($session, q{SELECT how, applied_by, duration IS NULL, state FROM migrate.status
		WHERE revision = 'hand'}), "capture|postgres|t|current\n", '    in the status');
	is(said($session, q{SELECT operation, versions_before, versions_after, checksum =
		(SELECT checksum FROM migrate.revisions r WHERE r.revision = l.revision)
		FROM migrate.log l WHERE revision = 'hand'}), "capture|{1}|{hand}|t\n", '    in the log');
	is(said($session, q{SELECT how, checksum = (SELECT checksum FROM migrate.revisions r
		WHERE r.revision = a.revision) FROM migrate.applied a WHERE revision = 'hand'}),
		"capture|t\n", '    and among the applied revisions');
	is(said($session, $first), "\n", '    a second time there is nothing to capture');
	$session->run(q{SELECT migrate.set_model($$CREATE TABLE notes (id serial PRIMARY KEY)$$)});
	is($session->query(q{SELECT migrate.capture('not the models')})->{out}, "\n",
		'    whatever the models say');
	$session->run(q{SELECT migrate.drop_model('default')});

	# elsewhere
	my $dump = "CREATE EXTENSION migrate;\n" . join "\n",
	  map { 'SELECT migrate.load(' . lit($_) . ');' }
	  map { pack 'H*', $_ } $session->rows(q{SELECT encode(convert_to(migrate.export(revision),
		'UTF8'), 'hex') FROM migrate.revisions ORDER BY revision});
	my $other = create_database('mig_capture_other', plain => 1);
	my ($status, undef, $err) = run_psql($other, '', '-f', spew(scratch_dir() . '/x', $dump));
	is($status, 0, 'the files of the revisions, loaded elsewhere') or diag $err;
	my $elsewhere = connect_to($other);
	$elsewhere->run('SELECT migrate.upgrade()');
	is(difference(schema_dump($other), $after), '', '    make the same schema');
	is(said($elsewhere, 'SELECT migrate.drift()'), '', '    without drift');
	$elsewhere->finish;

	# and back
	$session->run(q{SELECT migrate.downgrade('-1')});
	is(difference(schema_dump('mig_capture_hand'), $before), '',
		'the downgrade leaves what there was before');
	is($session->value('SELECT id FROM notes'), 7, '    and the rows');
	is(said($session, 'SELECT migrate.drift()'), '', '    without drift');
	is(said($session, 'SELECT count(*) FROM migrate.applied'), "1\n",
		'    and the revision is applied no more');
	$session->finish;
}
{
	# a database that nobody has made with revisions
	my $session = authored('baseline');
	$session->run('CREATE TABLE notes (id int PRIMARY KEY)');
	is(said($session, q{SELECT migrate.capture('as it is', '1')}), "1\n",
		'without a revision, the first one');
	is(said($session, 'SELECT down_revisions FROM migrate.revisions'), "{}\n", '    a base');
	is(said($session, 'SELECT migrate.drift()'), '', '    that makes what is there');

	$session->run(q{SELECT migrate.revision('b', rev_id => 'b')},
		q{SELECT migrate.revision('c', rev_id => 'c', head => '1', splice => true)},
		q{SELECT migrate.upgrade('heads')}, 'ALTER TABLE notes ADD x int');
	my $result = $session->query(q{SELECT migrate.capture('x')});
	is("$result->{state} $result->{message}",
		'MG003 multiple head revisions are present for given argument "head"',
		'with several current revisions');
	like($result->{err}, qr/DETAIL:  The current revisions are "b", "c"\./, '    which it names');
	$session->run(q{SELECT migrate.merge(rev_id => 'm')}, 'SELECT migrate.upgrade()');
	is(said($session, q{SELECT migrate.capture('x', 'd')}), "d\n", '    merged, it works');
	is(said($session, q{SELECT down_revisions FROM migrate.revisions WHERE revision = 'd'}),
		"{m}\n", '    on top of the merge');

	$session->run(q{SELECT migrate.revision('half', 'CREATE TABLE half (); SELECT 1 / 0',}
		  . q{ rev_id => 'half', transactional => false)});
	$session->query('CALL migrate.upgrade_stepwise()');
	is($session->query(q{SELECT migrate.capture('x')})->{state}, 'MG008',
		'with an incomplete script');
	$session->run(q{SELECT migrate.stamp('half')}, 'DROP TABLE half',
		q{SELECT migrate.stamp('d')}, q{SELECT migrate.drop('half')});
	$session->run(q{UPDATE migrate.revisions SET upgrade_sql = '' WHERE revision = '1'});
	is($session->query(q{SELECT migrate.capture('x')})->{state}, 'MG007',
		'with an applied revision that was edited');
	$session->finish;
}

# ----------------------------------------------------------------- rights ----

{
	run_psql('postgres', "CREATE ROLE $_ LOGIN") for @roles;
	create_database('mig_capture_owned', plain => 1, owner => 'mig_capture_owner');
	run_psql('mig_capture_owned', 'ALTER SCHEMA public OWNER TO mig_capture_owner');
	my $session = connect_to('mig_capture_owned', user => 'mig_capture_owner');
	$session->run('CREATE EXTENSION migrate',
		'GRANT USAGE ON SCHEMA migrate TO mig_capture_author',
		q{SELECT migrate.revision('x', 'CREATE TABLE x (id int)', rev_id => '1')},
		'SELECT migrate.upgrade()', 'ALTER TABLE x ADD y int');
	my $author = connect_to('mig_capture_owned', user => 'mig_capture_author');
	is(said($author, q{SELECT migrate.capture('x')}),
		"42501 permission denied for function capture\n", 'not for everybody');
	is(said($author, q{SELECT migrate.derive_downgrade('1')}),
		"42501 permission denied for function derive_downgrade\n", '    nor is the other');
	$session->run('GRANT EXECUTE ON FUNCTION migrate.derive_downgrade TO mig_capture_author');
	is($author->query(q{SELECT migrate.derive_downgrade('1')})->{state}, '42501',
		'who may call it must own the managed schemas, too');
	$author->finish;
	is(statements($session, q{SELECT migrate.derive_downgrade('1')}), "DROP TABLE public.x;\n\n",
		'an owner of the database who is no superuser');
	is(said($session, q{SELECT migrate.capture('y', '2')}), "2\n", '    captures, too');
	is(said($session, 'SELECT migrate.drift()'), '', '    and there is no drift');
	is(said($session, q{SELECT applied_by FROM migrate.status WHERE revision = '2'}),
		"mig_capture_owner\n", '    who did it is known');
	$session->finish;
}

# --------------------------------------------------------- real histories ----

# Authors' downgrades that do not lead back to the schema before, among those judged, and
# what they forget.
my %wrong = (
	'stellar_horizon/68_remove_deprecated_fields_from_exp_asset_stats' => 'defaults of two columns'
);

# MIGRATE_DERIVE_EVERY=1 judges all of them, and shows what the authors' forget.
my $every = $ENV{MIGRATE_DERIVE_EVERY} // 16;

# Has one revision downgraded by a script: what the schema then differs in from a dump; undef
# where it cannot be upgraded to.
sub downgraded
{
	my ($session, $database, $revision, $script, $before) = @_;
	$session->run('SELECT migrate.edit(' . lit($revision) . ', downgrade => ' . lit($script) . ')');
	my $upgrade = $session->query("SELECT migrate.upgrade('$revision')");
	if ($upgrade->{state} ne '00000')
	{
		note "$revision: $upgrade->{err}";
		return;
	}
	my $result = $session->query(q{SELECT migrate.downgrade('-1')});
	if ($result->{state} ne '00000')
	{
		$session->run("SELECT migrate.stamp('$revision')");
		return "fails: $result->{message}";
	}
	return difference(schema_dump($database), $before);
}

SKIP:
{
	my $data = ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories';
	skip 'MIGRATE_SHARED_DATA has no histories', 1 unless -d $data;
	my $tool = "$FindBin::RealBin/../tools/history2files";
	my $dir = scratch_dir();
	my ($judged, $same, $number) = (0, 0, 0);
	chomp(my $version = `@{[ tool('psql') ]} -XAtqc 'SHOW server_version_num' postgres`);
	for my $name (qw(authelia crates_io lumigator navigator_data_in stellar_horizon))
	{
		# crates.io has CREATE OR REPLACE TRIGGER, which 13 cannot parse.
		next if $name eq 'crates_io' && $version < 140000;
		my ($status, undef, $err) =
		  run_program($^X, $tool, "$data/$name.jsonl", "$dir/$name", '--plain');
		die "history2files: $err" if $status;
		chmod 0755, "$dir/$name";
		my $load = 'SELECT migrate.load_directory(' . lit("$dir/$name") . ')';
		my $database = create_database("mig_capture_$name");
		my $session = connect_to($database)->run($load);
		my @revisions = reverse $session->rows(q{SELECT h.revision || ' ' || encode(convert_to(
			coalesce(r.downgrade_sql, ''), 'UTF8'), 'hex') FROM migrate.history() h
			JOIN migrate.revisions r USING (revision)});
		my $last = 'base';
		for (@revisions)
		{
			my ($revision, $author) = /^(\S+) ?(.*)/;
			my $before = $last;
			$last = $revision;
			next if $author eq '' || $number++ % $every;
			$session->run("SELECT migrate.upgrade('$before')") if $before ne 'base';
			my $dump = schema_dump($database);
			my $derived = $session->query("SELECT migrate.derive_downgrade('$revision')");
			$judged++;
			is($derived->{state}, '00000', "$name, $revision: a derived downgrade")
			  or diag $derived->{err};
			next if $derived->{state} ne '00000';
			is(downgraded($session, $database, $revision, $derived->{out}, $dump), '',
				'    leaves what was there before');
			my $differs = downgraded($session, $database, $revision, pack('H*', $author), $dump);
			if (!defined $differs)
			{
				# the rows of the first upgrade are in the way: no derived downgrade removes rows
				$session->finish;
				$session = connect_to(create_database($database))->run($load);
				$session->run("SELECT migrate.upgrade('$before')") if $before ne 'base';
				$differs = downgraded($session, $database, $revision, pack('H*', $author), $dump)
				  // 'cannot be upgraded to';
			}
			$same++ unless $differs;
			note "$name/$revision, the author's: $differs" if $differs;
			is($differs ne '', defined $wrong{"$name/$revision"},
				'    and so does that of the author, or not')
			  unless $ENV{MIGRATE_DERIVE_EVERY};
			next unless $differs;
			# what it has left is in the way
			$session->finish;
			$session = connect_to(create_database($database))->run($load);
		}
		$session->finish;
	}
	note "$judged judged, of $same the author's downgrade does the same";
}

done_testing();
