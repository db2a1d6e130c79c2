#!/usr/bin/perl
#
# Directories of dbmate load as they are, and make the schema that dbmate
# makes.
#
#  1. a directory that this test writes, in the forms that dbmate's users write;
#  2. with a program "dbmate" in PATH, or named by MIGRATE_DBMATE: a directory
#     whose files "dbmate new" makes, migrated by both, up and down again.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $dir = scratch_dir();

# Name, upgrade, downgrade, options: as "dbmate new NAME" names them, and what
# is written into the file.  Text before the markers is in "before".
my @migrations = (
	[ 'create_users', <<'UP', <<'DOWN' ],
CREATE TABLE users (
  id integer PRIMARY KEY,
  name text NOT NULL
);
UP
DROP TABLE users;
DOWN
	[ 'add_email_to_users', <<'UP', <<'DOWN' ],
ALTER TABLE users ADD COLUMN email text;
CREATE UNIQUE INDEX users_email ON users (email);
UP
DROP INDEX users_email;
ALTER TABLE users DROP COLUMN email;
DOWN
	[ 'create_posts', <<'UP', <<'DOWN' ],
-- a comment; with a semicolon
CREATE TABLE posts (
  id serial PRIMARY KEY, user_id int REFERENCES users, body text DEFAULT 'it''s; here');
COMMENT ON TABLE posts IS 'a;b';
UP
DROP TABLE posts;
DOWN
	[ 'touch_function', <<'UP', <<'DOWN' ],
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- now; or never
  NEW.body := NEW.body || ';';
  RETURN NEW;
END;
$$;
CREATE TRIGGER posts_touch BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION touch();
UP
DROP TRIGGER posts_touch ON posts;
DROP FUNCTION touch();
DOWN
	[ 'seed_users', <<"UP", <<'DOWN' ],
INSERT INTO users VALUES (1, 'Zo\xc3\xab', 'z\@example.org');
INSERT INTO posts (user_id) VALUES (1);
UP
DELETE FROM posts;
DELETE FROM users;
DOWN
	[
		'index_posts',
		"CREATE INDEX CONCURRENTLY posts_user ON posts (user_id);\n",
		"DROP INDEX CONCURRENTLY posts_user;\n",
		transaction => 'false'
	],
	[
		'explicit_transaction',
		"CREATE TYPE mood AS ENUM ('sad', 'ok');\n",
		"DROP TYPE mood;\n",
		transaction => 'true'
	],
	[
		'comments_before',
		"CREATE VIEW names AS SELECT name FROM users;\n",
		"DROP VIEW names;\n",
		before => "-- Asked for in ticket 17.\n-- See the wiki.\n\n"
	],
	[ 'nested_bodies', <<'UP', <<'DOWN' ],
CREATE FUNCTION outer_f() RETURNS text LANGUAGE sql AS $outer$
  SELECT $inner$ a; b $inner$::text;
$outer$;
DO $do$ BEGIN EXECUTE 'CREATE TABLE made (a int)'; END $do$;
UP
DROP TABLE made;
DROP FUNCTION outer_f();
DOWN
	[ 'nothing_up', '', '' ],
	[ 'spaces_in_marker', <<'UP', <<'DOWN', blanks => ' ' ],
CREATE SCHEMA audit;
CREATE TABLE audit.log (at timestamptz DEFAULT now(), what jsonb);
UP
DROP TABLE audit.log;
DROP SCHEMA audit;
DOWN
	[ 'crlf', <<'UP', <<'DOWN', crlf => 1 ]);
CREATE TABLE crlf (a int);
ALTER TABLE crlf ADD b text;
UP
DROP TABLE crlf;
DOWN

# What dbmate itself could not do: a marker in a body.
my $marked = <<'END';
CREATE FUNCTION marked() RETURNS text LANGUAGE sql AS $$ SELECT '
-- migrate:down
'::text $$;
END

sub content
{
	my (undef, $up, $down, %more) = @_;
	my $option = $more{transaction} ? " transaction:$more{transaction}" : '';
	my $blanks = $more{blanks} // '';
	my $text = ($more{before} // '')
	  . "-- ${blanks}migrate:up$option$blanks\n$up\n-- ${blanks}migrate:down$option\n$down";
	return $more{crlf} ? $text =~ s/\n/\r\n/gr : $text;
}

# Applies all; the scripts that no transaction may hold by hand.
sub upgrade_all
{
	my ($session, $database) = @_;
	my @pending = $session->rows(
		q{SELECT p || ' ' || r.upgrade_transactional
		FROM migrate.pending() WITH ORDINALITY x(p, n)
			JOIN migrate.revisions r ON r.revision = p
		ORDER BY n});
	for my $row (@pending)
	{
		my ($revision, $transactional) = split / /, $row;
		by_hand($session, $database, $revision, 'upgrade_sql', $revision, $transactional)
		  or $session->rows("SELECT migrate.upgrade('$revision')");
	}
	return;
}

sub by_hand
{
	my ($session, $database, $revision, $column, $to, $transactional) = @_;
	return if $transactional eq 'true';
	my ($sql) = join "\n",
	  $session->rows("SELECT $column FROM migrate.revisions WHERE revision = '$revision'");
	my ($status, undef, $err) = run_psql($database, $sql);
	is($status, 0, "$revision: $column by hand") or diag $err;
	$session->rows("SELECT migrate.stamp('$to')");
	return 1;
}

sub downgrade_all
{
	my ($session, $database) = @_;
	my $next = q{SELECT v.revision || ' ' || r.downgrade_transactional || ' '
			|| coalesce(r.down_revisions[1], 'base')
		FROM migrate.versions v JOIN migrate.revisions r USING (revision)};
	while (my ($row) = $session->rows($next))
	{
		my ($revision, $transactional, $parent) = split / /, $row;
		by_hand($session, $database, $revision, 'downgrade_sql', $parent, $transactional)
		  or $session->rows(q{SELECT migrate.downgrade('-1')});
	}
	return;
}

sub same_dump
{
	my ($ours, $theirs, $what) = @_;
	my @dumps = map { schema_dump($_, '-T', 'schema_migrations') } $ours, $theirs;
	return 1 if ok($dumps[0] eq $dumps[1], $what);
	my @files = (spew("$dir/theirs.sql", $dumps[1]), spew("$dir/ours.sql", $dumps[0]));
	diag substr +(run_program('diff', '-u', @files))[1], 0, 4000;
	return;
}

# ------------------------------------------------ 1. written by this test ----
{
	mkdir "$dir/fixed";
	my $version = 20240101000000;
	spew("$dir/fixed/" . $version++ . "_$_->[0].sql", content(@$_)) for @migrations;
	spew("$dir/fixed/${version}_marker_in_body.sql",
		"-- migrate:up\n$marked\n-- migrate:down\nDROP FUNCTION marked();\n");
	spew("$dir/fixed/README.md", 'not a migration');

	my $database = create_database('mig_dbmate');
	my $session = connect_to($database);
	my $load = 'SELECT migrate.load_directory(' . lit("$dir/fixed") . q{, 'dbmate')};
	my @loaded = $session->rows($load);
	is(scalar @loaded, @migrations + 1, 'all files are loaded');
	is_deeply([ $session->rows($load) ], [], 'and not again');
	is($loaded[0], '20240101000000', 'the id is the version');
	is_deeply(
		[ $session->rows('SELECT message FROM migrate.revisions ORDER BY revision LIMIT 3') ],
		[ 'create users', 'add email to users', 'create posts' ],
		'the message is the name');
	is_deeply(
		[ $session->rows(q{SELECT down_revisions[1] FROM migrate.revisions ORDER BY revision}) ],
		[ '', @loaded[ 0 .. $#loaded - 1 ] ],
		'each is the child of the one before');
	is_deeply(
		[
			$session->rows(
				'SELECT message FROM migrate.revisions
				WHERE NOT upgrade_transactional AND NOT downgrade_transactional')
		],
		['index posts'],
		'transaction:false');

	my $before = schema_dump($database);
	upgrade_all($session, $database);
	is_deeply([ $session->rows('SELECT migrate.current()') ], [ $loaded[-1] ], 'at the last one');
	is($session->value('SELECT marked()'), '', 'a marker in a body is part of the body');
	is($session->value('SELECT count(*) FROM users'), 1, 'rows are there');
	# The same scripts by psql.
	my $plain = create_database('mig_dbmate_psql', plain => 1);
	for my $migration (@migrations)
	{
		my ($status, undef, $err) =
		  run_psql($plain, '', '-f', spew("$dir/one.sql", $migration->[1]));
		die "$migration->[0]: $err" if $status;
	}
	run_psql($plain, $marked);
	same_dump($database, $plain, 'the schema is the one that psql makes');
	downgrade_all($session, $database);
	is(schema_dump($database), $before, 'down again: nothing is left');
	$session->finish;
	drop_databases();
}

# --------------------------------------------------- 2. made by dbmate ----
my ($dbmate) = grep { -x } $ENV{MIGRATE_DBMATE} // (),
  map { "$_/dbmate" } split /:/, $ENV{PATH} // '';
SKIP:
{
	skip 'no program dbmate in PATH or MIGRATE_DBMATE', 1 unless $dbmate;
	note((run_program($dbmate, '--version'))[1]);
	mkdir "$dir/made";
	my $url = sub {
		"postgres://$ENV{PGUSER}\@/$_[0]?socket=$ENV{PGHOST}&port=$ENV{PGPORT}&sslmode=disable";
	};
	my $run = sub {
		my ($database, @arguments) = @_;
		local $ENV{DATABASE_URL} = $url->($database);
		my ($status, $out, $err) = run_program($dbmate,
			'--env-file', '/dev/null', '--no-dump-schema', '-d', "$dir/made", @arguments);
		is($status, 0, "dbmate @arguments") or diag $out, $err;
		return;
	};

	my $theirs = create_database('mig_dbmate_theirs', plain => 1);
	# "new" names files by the second
	my %moved;
	my $version = 20240301000000;
	for my $migration (@migrations)
	{
		$run->($theirs, 'new', $migration->[0]);
		my ($file) = grep { !$moved{$_} } glob "$dir/made/*_$migration->[0].sql";
		is(slurp($file), "-- migrate:up\n\n\n-- migrate:down\n\n",
			"$migration->[0]: the file as we know it");
		my $name = "$dir/made/" . $version++ . "_$migration->[0].sql";
		rename $file, $name or die $!;
		$moved{$name} = 1;
		spew($name, content(@$migration));
	}

	# Names that "new" does not write, and dbmate takes all the same; and others.
	my @odd = ('20240401-create-odd.sql', '20240402odd.sql', '20240403.sql', '5_first.sql',
		'20240404.1_odd.sql', '20240405 odd name.sql');
	for my $n (0 .. $#odd)
	{
		spew("$dir/made/$odd[$n]",
			"-- migrate:up\nCREATE TABLE odd_$n ();\n-- migrate:down\nDROP TABLE odd_$n;\n");
	}
	spew("$dir/made/$_", "-- migrate:up\nCREATE TABLE not_taken ();\n")
	  for 'zz.sql', '_20240406.sql', 'v1.sql';
	spew("$dir/made/seed.sql", "INSERT INTO users VALUES (1);\n");

	my $ours = create_database('mig_dbmate_ours');
	my $session = connect_to($ours);
	my $load = 'SELECT migrate.load_directory(' . lit("$dir/made") . q{, 'dbmate')};
	my @loaded = $session->rows($load);
	is(scalar @loaded, @migrations + @odd, 'the directory is loaded');
	$run->($theirs, 'up');
	upgrade_all($session, $ours);
	same_dump($ours, $theirs, 'up: the same schema');
	is_deeply(
		[ $session->rows('SELECT * FROM users') ],
		[ split /\n/, (run_psql($theirs, 'SELECT * FROM users'))[1] ],
		'the same rows');
	my $versions = (run_psql($theirs, 'SELECT version FROM schema_migrations'))[1];
	is_deeply([ sort split /\n/, $versions ], [ sort @loaded ], 'ids are the versions of dbmate');

	# A database that dbmate has managed continues with us.
	run_psql($theirs, 'CREATE EXTENSION migrate');
	my $adopted = connect_to($theirs);
	$adopted->rows($load);
	$adopted->rows("SELECT migrate.stamp('$loaded[-1]')");
	is_deeply([ $adopted->rows('SELECT migrate.pending()') ], [], 'adopted: nothing is pending');
	is_deeply([ $adopted->rows(q{SELECT migrate.downgrade('-1')}) ],
		[ $loaded[-1] ], 'adopted: down by one');
	is_deeply([ $adopted->rows('SELECT migrate.upgrade()') ], [ $loaded[-1] ], 'adopted: and up');
	$adopted->finish;
	run_psql($theirs, 'DROP EXTENSION migrate');

	$run->($theirs, 'rollback') for @migrations, @odd;
	downgrade_all($session, $ours);
	same_dump($ours, $theirs, 'down: the same schema');
	$session->finish;
}

drop_databases();
done_testing();
