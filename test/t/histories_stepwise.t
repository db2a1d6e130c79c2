#!/usr/bin/perl
#
# The real histories that hold non-transactional revisions, as their authors
# wrote them: run whole with upgrade_stepwise and down again, and the schema
# compared with what psql makes of the same scripts.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $data = ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories';
plan skip_all => 'MIGRATE_SHARED_DATA has no histories' unless -d $data;

my $dir = scratch_dir();
chomp(my $version = `@{[ tool('psql') ]} -XAtqc 'SHOW server_version_num' postgres`);

# crates.io has CREATE OR REPLACE TRIGGER, which 13 cannot parse.
for my $name ($version < 140000 ? () : 'crates_io', 'stellar_horizon')
{
	note $name;
	my ($status, undef, $err) = run_program($^X, "$FindBin::RealBin/../tools/history2files",
		'--empty-skipped', "$data/$name.jsonl", "$dir/$name");
	die "history2files: $err" if $status;
	chmod 0755, "$dir/$name";

	my $ours = create_database("mig_step_$name");
	my $theirs = create_database("mig_step_${name}_psql", plain => 1);
	my $session = connect_to($ours);
	my @all = $session->rows('SELECT migrate.load_directory(' . lit("$dir/$name") . ')');
	my $concurrent = $session->value(q{SELECT count(*) FROM migrate.revisions
		WHERE NOT upgrade_transactional OR NOT downgrade_transactional});
	ok($concurrent, "$name: $concurrent revisions have a script that is not transactional");

	is($session->query(q{CALL migrate.upgrade_stepwise('head')})->{state},
		'00000', "$name: upgrade_stepwise runs it whole");
	is_deeply([ $session->rows('SELECT revision FROM migrate.log ORDER BY id') ],
		\@all, "$name: all @{[ scalar @all ]} revisions, in order");
	nothing_left($session, "$name up");
	by_psql($session, $theirs, 'upgrade', @all);
	is(schema_difference($ours, $theirs),
		'', "$name: the schema is what psql makes of the same scripts");
	is($session->value('SELECT migrate.check()'), 't', "$name: check");

	# Down to base, or to what cannot be reverted.
	my $result = $session->query(q{CALL migrate.downgrade_stepwise('base')});
	my $target = 'base';
	if ($result->{state} eq 'MG006')
	{
		($target) = $result->{err} =~ /revision "([^"]+)" has no downgrade/;
		is($session->value('SELECT count(*) FROM migrate.applied'),
			scalar @all, "$name: irreversible, found out before anything ran");
		$result = $session->query('CALL migrate.downgrade_stepwise(' . lit($target) . ')');
	}
	my $applied = $session->value('SELECT count(*) FROM migrate.applied');
	my @down = reverse @all[ $applied .. $#all ];
	if ($result->{state} eq '00000')
	{
		my $expected = $target eq 'base' ? 0 : 1 + (grep { $all[$_] eq $target } 0 .. $#all)[0];
		is($applied, $expected, "$name: downgrade_stepwise goes down to $target");
		by_psql($session, $theirs, 'downgrade', @down);
		is(schema_difference($ours, $theirs), '', "$name: the schema is what psql comes down to");
	}
	else
	{
		# From 17 on the server builds indexes with search_path pg_catalog,
		# which a function of theirs does not expect; psql stops there too.
		cmp_ok($version, '>=', 170000, "$name: downgrade_stepwise") or diag $result->{err};
		my $stopped_at = $all[ $applied - 1 ];
		like(
			$result->{err},
			qr/revision "\Q$stopped_at\E", downgrade script, statement \d+, line \d+/,
			"$name: stops at a script that fails");
		by_psql($session, $theirs, 'downgrade', @down);
		my $script = $session->value(
			'SELECT downgrade_sql FROM migrate.revisions WHERE revision = ' . lit($stopped_at));
		my ($failed) = run_psql($theirs, $script);
		isnt($failed, 0, "$name: psql fails there too");
		is(schema_difference($ours, $theirs), '', "$name: what is above is reverted as by psql");
	}
	is( scalar @down,
		$session->value(q{SELECT count(*) FROM migrate.log WHERE operation = 'downgrade'}),
		"$name: a log row for each step down");
	nothing_left($session, "$name down");
	if ($result->{state} eq '00000' && $name eq 'stellar_horizon')
	{
		is($session->query('CALL migrate.upgrade_stepwise()')->{state}, '00000', "$name: up again");
		by_psql($session, $theirs, 'upgrade', reverse @down);
		is(schema_difference($ours, $theirs), '', "$name: and the same schema again");
	}
	$session->finish;
	drop_databases();
}

# psql runs the scripts of revisions, statement by statement.
sub by_psql
{
	my ($session, $database, $direction, @revisions) = @_;
	my $sql = '';
	for my $revision (@revisions)
	{
		my $hex = $session->value(
			"SELECT encode(convert_to(${direction}_sql, 'UTF8'), 'hex')
			FROM migrate.revisions WHERE revision = " . lit($revision));
		$sql .= pack('H*', $hex // '') . "\n;\nRESET ALL;\n";
	}
	spew("$dir/$database.sql", $sql);
	my ($status, undef, $err) = run_psql($database, '', '-f', "$dir/$database.sql");
	is($status, 0, "psql runs the $direction scripts in $database") or diag $err;
	return;
}

sub nothing_left
{
	my ($session, $what) = @_;
	is($session->value('SELECT count(*) FROM migrate.partial'),
		0, "$what: no script is incomplete");
	is( $session->value(
			q{SELECT count(*) FROM pg_locks
			WHERE locktype = 'advisory' AND pid = pg_backend_pid()}),
		0,
		"$what: no lock is left");
	is($session->value('SELECT count(*) FROM pg_index WHERE NOT indisvalid'),
		0, "$what: no invalid index");
	return;
}

done_testing();
