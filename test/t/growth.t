#!/usr/bin/perl
#
# What a call does grows with the number of revisions, and not with its square:
# twenty times as many take at most sixty times as long.
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

my %seconds;
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
	for (@calls)
	{
		my ($name, $sql, $expected) = @$_;
		my $start = time;
		my $result = $session->query($sql);

		push @{ $seconds{$name} }, time - $start;
		is($result->{rows}[0], $expected->($n), "$name: $n revisions") or diag $result->{err};
	}
	$session->finish;
}
for (@calls)
{
	my $name = $_->[0];
	my ($few, $many) = @{ $seconds{$name} };
	diag sprintf '%s: %.3f s, %.3f s', $name, $few, $many;
	cmp_ok($many, '<', 60 * $few + 2, "$name: grows as the revisions do");
}

done_testing();
