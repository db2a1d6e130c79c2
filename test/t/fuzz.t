#!/usr/bin/perl
#
# The inputs of the fuzzer, once each: test/fuzz/corpus has its seeds,
# test/fuzz/found what it found.  The same harness judges them (no crash, round
# trips, only errors that are meant for users; see test/fuzz/harness.c), built
# by an ordinary compiler.  "make fuzz" looks for more.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateModule;
use MigrateTest;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $dir = scratch_dir();
my $library = build_library(
	$dir, 'replay',
	[
		"$top/test/fuzz/harness.c", "$top/src/compat.c",
		glob("$top/src/script/*.c $top/src/revision/*.c"
			  . " $top/src/files/{dbmate,file_name,foreign,format,header,native}.c")
	],
	'-DUSE_ASSERT_CHECKING', '-Wl,-Bsymbolic');
ok(-s $library, 'the harness is built');

my $session =
  connect_to(create_database('mig_fuzz', plain => 1), options => '-c statement_timeout=10s');
$session->run('CREATE FUNCTION fuzz_one(target text, input bytea) RETURNS text'
	  . ' LANGUAGE c STRICT AS ' . lit($library));

for my $target (qw(file script target))
{
	my %outcomes;
	my $n = 0;
	for my $name (glob "$top/test/fuzz/corpus/$target/* $top/test/fuzz/found/$target/*")
	{
		my $input = unpack 'H*', slurp($name);
		my $result = $session->query("SELECT fuzz_one('$target', '\\x$input')");
		$n++;
		$outcomes{ $result->{rows}[0] // 'failed' }++;
		next if $result->{state} eq '00000';
		fail("$target: " . $name =~ s{.*/}{}r);
		diag $result->{err};
		last if $session->{dead};
	}
	my $summary = join ', ', map { "$_ $outcomes{$_}" } sort keys %outcomes;
	cmp_ok($n, '>', 10, "$target: inputs");
	ok(!$outcomes{failed}, "$target: $n inputs, $summary");
	ok($outcomes{accepted}, "$target: some are accepted");
}
ok($session->alive, 'the same server process still answers');

done_testing();
