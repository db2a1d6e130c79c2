#!/usr/bin/perl
#
# Five real projects' migration histories: loaded, upgraded, downgraded, and
# the schema that comes out compared with what psql makes of the same scripts.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $data = ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories';
plan skip_all => 'MIGRATE_SHARED_DATA has no histories' unless -d $data;

my $tool = "$FindBin::RealBin/../tools/history2files";
my $dir = scratch_dir();

# name, number of revisions, how far down the authors' own scripts work:
# all the way, or to where one is missing (MG006) or does not work.
my @histories = (
	[ 'authelia',          26,  'base' ],
	[ 'crates_io',         285, 'broken' ],
	[ 'lumigator',         9,   'broken' ],
	[ 'navigator_data_in', 9,   'base' ],
	[ 'stellar_horizon',   72,  'missing' ]);

# crates.io has CREATE OR REPLACE TRIGGER, which 13 cannot parse.
chomp(my $version = `@{[ tool('psql') ]} -XAtqc 'SHOW server_version_num' postgres`);
@histories = grep { $_->[0] ne 'crates_io' } @histories if $version < 140000;

# Every row of a table with its xmin: proves that nothing was written.
my $fingerprint = q{SELECT md5(string_agg(r.xmin::text || r::text, ';' ORDER BY revision))
	FROM migrate.revisions r};

# The applied set as the version rows imply it, and whether our tables agree.
my $implied = <<'SQL';
WITH RECURSIVE a(revision) AS (
	SELECT revision FROM migrate.versions
	UNION
	SELECT p FROM a JOIN migrate.revisions r USING (revision),
		unnest(r.down_revisions || r.depends_on) p)
SELECT revision FROM a
SQL

sub convert
{
	my ($name, $to, @options) = @_;
	my ($status, undef, $err) = run_program($^X, $tool, @options, "$data/$name.jsonl", $to);
	die "history2files: $err" if $status;
	chmod 0755, $to;
	return;
}

# The scripts of a history, as one psql session runs them.
sub psql_script
{
	my ($database, $file) = @_;
	my ($status, undef, $err) = run_psql($database, '', '-f', $file);
	is($status, 0, "psql runs the scripts in $database") or diag $err;
	return;
}

sub consistent
{
	my ($session, $what) = @_;
	my $recorded = 'SELECT revision FROM migrate.applied';
	is($session->value("SELECT count(*) FROM (($implied) EXCEPT ALL $recorded) x"),
		0, "$what: what the version rows imply is in migrate.applied");
	is($session->value("SELECT count(*) FROM ($recorded EXCEPT ALL ($implied)) x"),
		0, "$what: and nothing else");
	return;
}

# Where a name is in a list.
sub index_of
{
	my ($name, @list) = @_;
	return (grep { $list[$_] eq $name } 0 .. $#list)[0];
}

for my $history (@histories)
{
	my ($name, $count, $down) = @$history;
	my $files = "$dir/$name";

	note $name;

	# Loaded whole, as the authors wrote it.
	convert($name, $files);
	my $whole = connect_to(create_database("mig_${name}_a"));
	my $load = 'SELECT migrate.load_directory(' . lit($files) . ')';
	is(scalar(my @loaded = $whole->rows($load)), $count, "$name: $count revisions loaded");
	is($whole->value('SELECT count(*) FROM migrate.revisions'), $count, "$name: and stored");
	is_deeply([ $whole->rows($load) ], [], "$name: loading again adds nothing");
	is_deeply(
		\@loaded,
		[ reverse $whole->rows('SELECT revision FROM migrate.history()') ],
		"$name: loaded parents before children");
	my $nontransactional =
	  $whole->value('SELECT count(*) FROM migrate.revisions WHERE NOT upgrade_transactional');

	if ($nontransactional)
	{
		my $refused = $whole->query(q{SELECT migrate.upgrade('heads')});
		is($refused->{state}, 'MG008',
			"$name: a non-transactional script is refused in a function");
		like($refused->{err}, qr/HINT: .*upgrade_stepwise/, "$name: with a hint");
		is( $whole->value(
				q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace}),
			0,
			"$name: before anything ran");
	}

	# The round trip through a file writes nothing.
	for my $what ('native', 'file name given')
	{
		my $call =
		  $what eq 'native'
		  ? 'migrate.load(migrate.export(revision))'
		  : 'migrate.load(migrate.export(revision), migrate.file_name(revision))';
		# where it came from is noted the first time
		$whole->rows("SELECT $call FROM migrate.revisions") if $what ne 'native';
		my $before = $whole->value($fingerprint);
		is( $whole->value(
				"SELECT count(*) FROM (
					SELECT revision, $call AS again FROM migrate.revisions OFFSET 0) x
				WHERE revision = again"),
			$count,
			"$name: load(export(r)) is r for every revision, $what");
		is($whole->value($fingerprint), $before, "$name: and nothing was written");
	}
	is( $whole->value(
			q{SELECT count(*) FROM pg_locks
			WHERE locktype = 'advisory' AND pid = pg_backend_pid()}),
		0,
		"$name: no lock is left");

	# Written to files and loaded elsewhere it is the same.
	{
		my $copy = "$dir/${name}_copy";
		mkdir $copy;
		my @exported = $whole->rows(
			q{SELECT migrate.file_name(revision) || '|'
				|| encode(convert_to(migrate.export(revision), 'UTF8'), 'hex')
			FROM migrate.revisions});
		for my $row (@exported)
		{
			my ($file, $content) = split /\|/, $row;
			spew("$copy/$file", pack 'H*', $content);
		}
		my $content = q{SELECT md5(string_agg(ROW(
				revision, down_revisions, depends_on, branch_labels, message,
				upgrade_sql, downgrade_sql, upgrade_transactional, downgrade_transactional,
				checksum)::text, ';' ORDER BY revision))
			FROM migrate.revisions};
		my $other = connect_to(create_database("mig_${name}_x"));
		$other->rows('SELECT migrate.load_directory(' . lit($copy) . ')');
		is($other->value($content), $whole->value($content),
			"$name: exported files load as the same revisions");
		$other->finish;
	}
	$whole->finish;

	# Upgrade, against psql.
	my $plain = "$dir/${name}_plain";
	convert(
		$name, $plain, '--plain',
		'--psql'      => "$dir/$name.up.sql",
		'--psql-down' => "$dir/$name.down.sql");
	my $database = create_database("mig_${name}_b");
	my $reference = create_database("mig_${name}_c", plain => 1);
	my $up = connect_to($database);
	$up->rows('SELECT migrate.load_directory(' . lit($plain) . ')');
	my @pending = $up->rows('SELECT migrate.pending()');
	is_deeply([ $up->rows(q{SELECT migrate.upgrade('head')}) ],
		\@pending, "$name: upgrade applies what was pending");
	is(scalar @pending, $count, "$name: all $count");
	psql_script($reference, "$dir/$name.up.sql");
	is(schema_difference($database, $reference),
		'', "$name: upgrade makes the schema that psql makes");
	is_deeply([ $up->rows('SELECT migrate.current()') ],
		[ $pending[-1] ], "$name: one version row, the head");
	consistent($up, "$name at head");
	is($up->value(q{SELECT count(*) FROM migrate.log WHERE operation = 'upgrade'}),
		$count, "$name: a log row for each step");
	is( $up->value(
			'SELECT count(*) FROM migrate.log l
				JOIN migrate.applied a USING (revision, checksum)
				JOIN migrate.revisions r USING (revision, checksum)'),
		$count,
		"$name: with the checksum of the script");
	is( $up->value(
			q{SELECT count(*) FROM (
				SELECT versions_before, lag(versions_after, 1, '{}') OVER (ORDER BY id) AS last
				FROM migrate.log) l
			WHERE versions_before IS DISTINCT FROM last}),
		0,
		"$name: each log row begins where the one before ended");
	is_deeply([ $up->rows(q{SELECT migrate.upgrade('heads')}) ], [], "$name: nothing left to do");

	# Downgrade, step by step, as far as the authors' scripts go.
	my %broken = map { $_ => 1 } split /\n/, slurp("$plain/.downgrade_skip");
	my @left = @pending;
	my @steps;
	while (@left && !$broken{ $left[-1] })
	{
		my $result = $up->query(q{SELECT migrate.downgrade('-1')});
		if ($result->{state} ne '00000')
		{
			is($result->{state}, 'MG006', "$name: $left[-1] cannot be downgraded")
			  or diag $result->{err};
			like($result->{err}, qr/\Q$left[-1]\E/, "$name: the error names it");
			last;
		}
		my $expected = pop @left;
		push @steps, $expected;
		is_deeply($result->{rows}, [$expected], "$name: downgrade('-1') reverts $expected") or last;
		is_deeply([ $up->rows('SELECT migrate.current()') ],
			[ @left ? $left[-1] : () ], "$name: and its parent is current")
		  or last;
	}
	note scalar @steps . " steps down";
	if (@left && $broken{ $left[-1] })
	{
		# Those that do not work leave everything as it was.
		my $before = schema_dump($database);
		my $result = $up->query(q{SELECT migrate.downgrade('-1')});
		isnt($result->{state}, '00000', "$name: the downgrade of $left[-1] fails");
		like(
			$result->{err},
			qr/revision "\Q$left[-1]\E", downgrade script, statement \d+, line \d+|MG006/,
			"$name: with its place")
		  or diag $result->{err};
		ok(schema_dump($database) eq $before, "$name: and changes nothing");
		is_deeply([ $up->rows('SELECT migrate.current()') ],
			[ $left[-1] ], "$name: not the version row either");
	}
	if ($down eq 'base')
	{
		is(scalar @left, 0, "$name: down to base");
	}
	else
	{
		ok(scalar @left, "$name: not down to base");
	}
	psql_script($reference, "$dir/$name.down.sql");
	is(schema_difference($database, $reference),
		'', "$name: downgrade makes the schema that psql makes");
	consistent($up, "$name below head");
	is($up->value(q{SELECT count(*) FROM migrate.log WHERE operation = 'downgrade'}),
		scalar @steps, "$name: a log row for each step down");
	is_deeply([ $up->rows(q{SELECT migrate.upgrade('head')}) ],
		[ reverse @steps ], "$name: up again");
	$up->finish;

	# All the way down in one call, with the broken scripts emptied.
	my $emptied = "$dir/${name}_emptied";
	convert($name, $emptied, '--plain', '--empty-skipped', '--psql-down', "$dir/$name.base.sql");
	my $base = create_database("mig_${name}_d");
	my $emptied_session = connect_to($base);
	$emptied_session->rows('SELECT migrate.load_directory(' . lit($emptied) . ')');
	is_deeply([ $emptied_session->rows('SELECT migrate.upgrade()') ],
		\@pending, "$name: the same order in another database");
	my $result = $emptied_session->query(q{SELECT migrate.downgrade('base')});
	if ($result->{state} eq 'MG006')
	{
		like($result->{err}, qr/nothing was reverted/i,
			"$name: irreversible, found out before anything ran");
		is($emptied_session->value('SELECT count(*) FROM migrate.applied'),
			$count, "$name: all still applied");
		isnt($down, 'base', "$name: as expected");
		# Down to the one that cannot be reverted.
		my ($missing) = $result->{err} =~ /revision "([^"]+)"/;
		my @above = reverse @pending[ index_of($missing, @pending) + 1 .. $#pending ];
		is_deeply([ $emptied_session->rows('SELECT migrate.downgrade(' . lit($missing) . ')') ],
			\@above, "$name: down to $missing in one call");
		my $theirs = create_database("mig_${name}_e", plain => 1);
		psql_script($theirs, "$dir/$name.up.sql");
		psql_script($theirs, "$dir/$name.base.sql");
		is(schema_difference($base, $theirs), '', "$name: which is where psql gets");
	}
	elsif ($result->{state} eq '00000')
	{
		is_deeply($result->{rows}, [ reverse @pending ],
			"$name: downgrade('base') reverts all in reverse order");
		my @rows = $emptied_session->rows(
			'SELECT revision FROM migrate.versions UNION ALL SELECT revision FROM migrate.applied');
		is_deeply(\@rows, [], "$name: no rows at base");
		my $theirs = create_database("mig_${name}_e", plain => 1);
		psql_script($theirs, "$dir/$name.up.sql");
		psql_script($theirs, "$dir/$name.base.sql");
		is(schema_difference($base, $theirs), '', "$name: base is what psql comes down to");
		my $again = $emptied_session->query('SELECT migrate.upgrade()');
		if ($down eq 'base')
		{
			is_deeply($again->{rows}, \@pending, "$name: up again") or diag $again->{err};
			create_database("mig_${name}_f", plain => 1);
			psql_script("mig_${name}_f", "$dir/$name.up.sql");
			is(schema_difference($base, "mig_${name}_f"), '', "$name: and the same schema again");
		}
		elsif ($again->{state} ne '00000')
		{
			# emptied downgrades leave objects that get in the way
			like(
				$again->{err},
				qr/revision ".*", upgrade script, statement \d+, line \d+/,
				"$name: an error of a script has its place");
			is($emptied_session->value('SELECT count(*) FROM migrate.applied'),
				0, "$name: and nothing is applied");
		}
	}
	elsif ($result->{err} =~ /semver_triple/
		&& $emptied_session->value('SHOW server_version_num') >= 170000)
	{
		# From 17 on the server builds indexes with search_path pg_catalog,
		# which a function of theirs does not expect; psql fails likewise.
		my $theirs = create_database("mig_${name}_e", plain => 1);
		psql_script($theirs, "$dir/$name.up.sql");
		my ($status) = run_program(tool('psql'), '-XqAt', '-v', 'ON_ERROR_STOP=1', '-1',
			'-d', $theirs, '-f', "$dir/$name.base.sql");
		isnt($status, 0, "$name: downgrade('base') fails in psql too");
		like($result->{err}, qr/revision ".*", downgrade script, statement \d+, line \d+/,
			"$name: and says where");
	}
	else
	{
		fail("$name: downgrade('base')");
		diag $result->{err};
	}
	$emptied_session->finish;
	drop_databases();
}

# ------------------------------------------------- errors in real scripts ----

if ($version < 140000)
{
	done_testing();
	exit;
}

# Changes a file of the crates.io history, and returns the upgrade's error.
sub break_script
{
	my ($pattern, $from, $to, $what) = @_;
	my $files = "$dir/broken" . int rand 1e9;
	convert('crates_io', $files, '--plain');
	my ($file) = grep { /$pattern/ } glob "$files/*.sql";
	my $content = slurp($file);
	my $at = index $content, $from;
	ok($at >= 0, "$what: the script is as we know it") or return;
	substr($content, $at, length $from) = $to;
	spew($file, $content);
	my ($revision) = $content =~ /^-- Revision ID: (\S+)/m;
	my ($script) = $content =~ /^-- migrate:up.*\n([\s\S]*?)(?=^-- migrate:down|\z)/m;
	my $session = connect_to(create_database('mig_broken'));
	$session->rows('SELECT migrate.load_directory(' . lit($files) . ')');
	my $before = schema_dump('mig_broken');
	my $result = $session->query('SELECT migrate.upgrade()');
	ok(schema_dump('mig_broken') eq $before, "$what: nothing was applied");
	is($session->value('SELECT count(*) FROM migrate.applied'), 0, "$what: nor recorded");
	$session->finish;
	drop_databases();
	return ($result, $revision, $script);
}

# Line, from 1, of what the error is about.
sub line_of
{
	my ($script, $text) = @_;
	return 1 + (substr($script, 0, index $script, $text) =~ tr/\n//);
}

{
	# The longest script: a statement well inside of it.
	my $files = "$dir/search";
	convert('crates_io', $files, '--plain');
	my ($longest, $name) = (0);
	for my $file (glob "$files/*.sql")
	{
		my ($script) = slurp($file) =~ /^-- migrate:up.*\n([\s\S]*?)(?=^-- migrate:down|\z)/m;
		my @statements = $script =~ /^(?:CREATE INDEX|ALTER TABLE|DROP INDEX|CREATE TABLE).*/mg;
		next if $script =~ /\$\$/ || @statements < 4;
		($longest, $name) = (length $script, $file) if length $script > $longest;
	}
	my $script = slurp($name);
	$script =~ s/^[\s\S]*?(?=^-- migrate:up)//m;
	$script =~ s/^-- migrate:down[\s\S]*//m;
	my @starts = $script =~ /^((?:CREATE INDEX|ALTER TABLE|DROP INDEX|CREATE TABLE)[^;]*;)/mg;
	my $victim = $starts[-2];
	my $base = $name =~ s{.*/}{}r;
	my ($result, $revision, $broken) =
	  break_script("\Q$base\E", $victim, "SELECT 1,\n    'ü', no_such_column_zz;", 'bad column');
	is($result->{state}, '42703', 'bad column: the SQLSTATE is the script\'s');
	my $line = line_of($broken, 'no_such_column_zz');
	like(
		$result->{err},
		qr/revision "\Q$revision\E", upgrade script, statement \d+, line $line\b/,
		"bad column: revision and line $line")
	  or diag $result->{err};
	my ($number) = $result->{err} =~ /statement (\d+), line/;
	my $before = substr $broken, 0, index $broken, 'SELECT 1';
	$before =~ s/--.*//mg;
	is($number, 1 + ($before =~ tr/;//), "bad column: statement $number")
	  unless $before =~ /'[^']*;/;
	cmp_ok($line, '>', 10, 'bad column: deep inside') or note $broken;
	unlike($result->{err}, qr/QUERY: .*\Q$starts[0]\E/s,
		'bad column: only the statement is quoted');

	# Without a position: a constraint that data violates.
	($result, $revision, $broken) = break_script("\Q$base\E", $victim, <<'SQL', 'division');
-- one

DO $$
BEGIN
  PERFORM 1;

  -- deep
  PERFORM 1 / (SELECT 0);
END
$$;
SQL
	is($result->{state}, '22012', 'division in a DO body: the SQLSTATE is the script\'s');
	$line = line_of($broken, 'PERFORM 1 / (SELECT 0)');
	like(
		$result->{err},
		qr/revision "\Q$revision\E", upgrade script, statement $number, line $line\b/,
		"division in a DO body: statement $number, line $line")
	  or diag $result->{err};

	($result, $revision, $broken) = break_script("\Q$base\E", $victim, <<'SQL', 'table in DO');
DO $x$
DECLARE
  n int;
BEGIN
  SELECT count(*)
    INTO n
    FROM no_such_table_zz;
END
$x$;
SQL
	is($result->{state}, '42P01', 'missing table in a DO body: SQLSTATE');
	my $first = line_of($broken, 'SELECT count(*)');
	my $last = line_of($broken, 'FROM no_such_table_zz');
	my ($said) =
	  $result->{err} =~ /revision "\Q$revision\E", upgrade script, statement \d+, line (\d+)/;
	ok($said && $said >= $first && $said <= $last,
		"missing table in a DO body: line $first to $last")
	  or diag $result->{err};

	($result, $revision, $broken) = break_script("\Q$base\E", $victim, <<'SQL', 'syntax in body');
CREATE FUNCTION zz() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RETURN 1;
  RETRUN 2;
END $$;
SQL
	is($result->{state}, '42601', 'syntax error in a function body: SQLSTATE');
	$line = line_of($broken, 'RETRUN');
	like(
		$result->{err},
		qr/revision "\Q$revision\E", upgrade script, statement \d+, line $line\b/,
		"syntax error in a function body: line $line")
	  or diag $result->{err};
}

done_testing();
