#!/usr/bin/perl
#
# The tests of migrations over five real projects' histories: how many downgrades of their
# authors restore the schema, and what is wrong with three of them.  pg_dump judges the
# smaller histories, too, or with MIGRATE_TESTS_THOROUGH=1 all of them: before the upgrade of
# a revision and after its downgrade, in a database where both are really run.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use TAP::Parser;
use Test::More;

my $data = ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories';
plan skip_all => 'MIGRATE_SHARED_DATA has no histories' unless -d $data;
alarm 1200;
END { local $?; drop_databases() }

# name, revisions whose downgrade restores the schema, does not, and that have none; how far
# up_down_consistency gets; whether pg_dump judges it.
my @histories = (
	[ 'authelia',          21,  5,  0, 'ok', 1 ],
	[ 'crates_io',         257, 27, 1, 'not ok' ],
	[ 'lumigator',         5,   3,  1, 'not ok', 1 ],
	[ 'navigator_data_in', 9,   0,  0, 'ok',     1 ],
	[ 'stellar_horizon',   64,  7,  1, 'ok' ]);

# Findings: a part of the output of the history's tests, and its cause.
my %findings = (
	authelia => [
		qr/: 0011, .*\n# .*\n#   .*: type: character varying\(768\) -> .*\(255\)$/m,
		'the column gets longer, and the downgrade does not make it shorter' ],
	crates_io => [
		qr/failed: constraint "versions_crate_id_num_no_build_uindex" of relation /,
		'the downgrade drops a constraint by the name that its index had before it was one' ],
	lumigator => [
		qr/failed: column "format" of relation "jobs" does not exist/,
		'the downgrade names a column of another table' ]);

# crates.io has CREATE OR REPLACE TRIGGER, which 13 cannot parse.
chomp(my $version = `@{[ tool('psql') ]} -XAtqc 'SHOW server_version_num' postgres`);
@histories = grep { $_->[0] ne 'crates_io' } @histories if $version < 140000;

# Since 18 NOT NULL has a name, which two downgrades after the renaming of a table do not restore.
$_->[1] -= 2, $_->[2] += 2 for grep { $_->[0] eq 'crates_io' && $version >= 180000 } @histories;

my $dir = scratch_dir();

# A database with a history, and a session in it.
sub loaded
{
	my ($name, $suffix) = @_;
	my $files = "$dir/$name";
	unless (-d $files)
	{
		my ($status, undef, $err) =
		  run_program($^X, "$FindBin::RealBin/../tools/history2files", "$data/$name.jsonl", $files);
		die $err if $status;
		chmod 0755, $files;
	}
	my $session = connect_to(create_database("mig_tests_${name}_$suffix"));
	$session->run('SELECT count(*) FROM migrate.load_directory(' . lit($files) . ')');
	return $session;
}

# A dump without the order of columns.
sub sorted_dump
{
	return join "\n", sort map {s/,$//r} split /\n/, schema_dump($_[0]);
}

# Whether the downgrade of each revision (by its id) restores what pg_dump sees.  One that
# does not is repaired by what the extension proposes, so that the next can be tried.
sub judged
{
	my $session  = shift;
	my $database = $session->value('SELECT current_database()');
	my %good;
	$session->run('SET migrate.step_messages = off');
	my @rows =
	  $session->rows(q{SELECT concat_ws(' ', revision, CASE WHEN downgrade_sql IS NULL}
		  . q{ THEN 'none' WHEN down_revisions = '{}' THEN 'base' ELSE down_revisions[1] END)}
		  . q{ FROM migrate.pending() WITH ORDINALITY AS p (revision, n)}
		  . q{ JOIN migrate.revisions USING (revision) ORDER BY n});
	for (@rows)
	{
		my ($revision, $parent) = split / /;
		my $up     = "CALL migrate.upgrade_stepwise('$revision')";
		my $before = sorted_dump($database);
		$session->run('SELECT migrate.set_model(migrate.schema_sql())', $up);
		next if $parent eq 'none';
		my $down = $session->query("CALL migrate.downgrade_stepwise('$parent')");
		$good{$revision} = $down->{state} eq '00000' && sorted_dump($database) eq $before;
		next if $down->{state} ne '00000';

		unless ($good{$revision})
		{
			my $script = $session->query('SELECT upgrade_sql FROM migrate.diff_sql()')->{out};
			my ($status, undef, $err) =
			  run_psql($database, '', '-f', spew("$dir/repair.sql", $script));
			die $err if $status;
		}
		$session->run($up);
	}
	return \%good;
}

for my $history (@histories)
{
	my ($name, $restored, $traces, $without, $consistent, $judge) = @$history;
	my $session = loaded($name, 'scratch');
	my @lines   = $session->rows('SELECT * FROM migrate.runtests()');
	my $tap     = join "\n", @lines, '';
	my (%count, %verdict);
	my $parser = TAP::Parser->new({ tap => $tap });
	while (my $line = $parser->next)
	{
		next unless $line->is_test && $line->description =~ /leaves_no_trace: (\S+),/;
		my $what = $line->has_skip ? 'none' : $line->is_ok ? 'ok' : 'trace';
		$count{$what}++;
		$verdict{$1} = $what;
	}
	is(scalar $parser->parse_errors, 0, "$name: TAP");
	like($tap, qr/^ok 1 - single_head_revision$/m,         '    one head');
	like($tap, qr/^ok 2 - upgrade$/m,                      '    which is reached from base');
	like($tap, qr/^$consistent 3 - up_down_consistency$/m, "    up and down and up: $consistent");
	is_deeply(
		[ map { $count{$_} // 0 } qw(ok trace none) ],
		[ $restored, $traces, $without ],
		"    $restored downgrades restore the schema, $traces do not, $without are missing");
	note "$name: ", join ', ', map {"$_ $count{$_}"} sort keys %count;
	if (my $finding = $findings{$name})
	{
		like($tap, $finding->[0], "    found: $finding->[1]");
	}
	is(
		$session->value(
			q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace}),
		0,
		'    and nothing is left');
	next unless $judge || $ENV{MIGRATE_TESTS_THOROUGH};

	my $good  = judged(loaded($name, 'real'));
	my @other = grep { $good->{$_} != ($verdict{$_} eq 'ok') } grep { $verdict{$_} ne 'none' }
	  sort keys %verdict;
	is("@other", '', '    pg_dump says the same of each');
}

done_testing();
