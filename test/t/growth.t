#!/usr/bin/perl
#
# What a call does grows with the number of revisions, and not with its square:
# twenty times as many take at most sixty times as long.  The same for what it
# writes when none of them are merged.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

my @sizes = (2_000, 40_000);
MigrateServer->create->use;

# The calls in their order: a name, SQL, and what it returns for n revisions.
my @calls = (
	[ 'pending', 'SELECT count(*) FROM migrate.pending()',            sub { $_[0] } ],
	[ 'stamp',   q{SELECT count(*) FROM migrate.stamp('heads')},      sub { 2 } ],
	[ 'heads',   'SELECT count(*) FROM migrate.heads()',              sub { 2 } ],
	[ 'nothing', q{SELECT count(*) FROM migrate.upgrade('heads')},    sub { 0 } ],
	[ 'check',   'SELECT migrate.check()',                            sub { 't' } ],
	[ 'history', 'SELECT count(*) FROM migrate.history()',            sub { $_[0] } ],
	[ 'status',  q{SELECT count(*) FROM migrate.status},              sub { $_[0] } ],
	[ 'add',     q{SELECT migrate.revision('m', '', '', 'new', 'base')}, sub { 'new' } ],
	[ 'upgrade', q{SELECT count(*) FROM migrate.upgrade('new')},      sub { 1 } ],
	[ 'purge',   q{SELECT count(*) FROM migrate.stamp('base')},       sub { 0 } ],
	[ 'all',     q{SELECT count(*) FROM migrate.stamp(ARRAY['heads'], purge => true)}, sub { 3 } ]);

# The same for n heads; the last one is of another branch.
my @of_heads = (
	[ 'each',      q{SELECT count(*) FROM migrate.upgrade('heads')},     sub { $_[0] } ],
	[ 'back',      q{SELECT count(*) FROM migrate.downgrade('base')},    sub { $_[0] } ],
	[ 'stamp all', q{SELECT count(*) FROM migrate.stamp('heads')},       sub { $_[0] } ],
	[ 'anew',      q{SELECT count(*) FROM migrate.stamp(ARRAY['heads'], true)}, sub { $_[0] } ],
	[ 'none',      q{SELECT count(*) FROM migrate.stamp('base')},        sub { 0 } ],
	[ 'stepwise',  q{CALL migrate.upgrade_stepwise('heads')},            sub { undef } ],
	[
		'one more',
		q{SELECT count(*) FROM migrate.revision('m', '', '', 'new', 'base'),
			LATERAL migrate.upgrade('new')},
		sub { 1 }
	],
	[ 'log',      'SELECT count(*) FROM migrate.log', sub { 5 * $_[0] + 2 } ],
	[ 'last row', 'SELECT versions_after[1] FROM migrate.log ORDER BY id DESC LIMIT 1',
		sub { '000001' } ]);

my %seconds;
my %bytes;

# Runs calls with n revisions, and notes how long each takes.
sub run_calls
{
	my ($session, $n, @todo) = @_;

	for (@todo)
	{
		my ($name, $sql, $expected) = @$_;
		my $start = time;
		my $result = $session->query($sql);

		push @{ $seconds{$name} }, time - $start;
		is($result->{rows}[0], $expected->($n), "$name: $n revisions") or diag $result->{err};
	}
	return;
}

for my $n (@sizes)
{
	my $session = connect_to(create_database("growth_$n"), messages => 'warning');

	# two branches of equal length; each revision of the one depends on one of the other
	$session->run(<<"SQL");
INSERT INTO migrate.revisions (revision, down_revisions, depends_on, message, upgrade_sql,
	downgrade_sql)
SELECT to_char(i, 'FM000000'),
	CASE WHEN i <= 2 THEN '{}' ELSE ARRAY[to_char(i - 2, 'FM000000')] END,
	CASE WHEN i > 3 AND i % 2 = 0 THEN ARRAY[to_char(i - 3, 'FM000000')] ELSE '{}' END,
	'm', '', ''
FROM generate_series(1, $n) AS i
SQL
	run_calls($session, $n, @calls);
	$session->finish;
}
for my $n (500, 10_000)
{
	my $session = connect_to(create_database("heads_$n"),
		messages => 'warning', options => '-c statement_timeout=60s');

	$session->run(<<"SQL");
INSERT INTO migrate.revisions (revision, message, upgrade_sql, downgrade_sql)
SELECT to_char(i, 'FM000000'), 'm', '', '' FROM generate_series(1, $n) AS i
SQL
	run_calls($session, $n, @of_heads);
	push @{ $bytes{'all tables'} }, $session->value(
		q{SELECT sum(pg_total_relation_size(oid)) FROM pg_class
		WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r'});
	$session->finish;
}
for (@calls, @of_heads)
{
	my $name = $_->[0];
	my ($few, $many) = @{ $seconds{$name} };
	diag sprintf '%s: %.3f s, %.3f s', $name, $few, $many;
	cmp_ok($many, '<', 60 * $few + 2, "$name: grows as the revisions do");
}
for my $name (keys %bytes)
{
	my ($few, $many) = @{ $bytes{$name} };
	diag "$name: $few, $many bytes";
	cmp_ok($many, '<', 40 * $few, "$name: grow as the heads do");
}

done_testing();
