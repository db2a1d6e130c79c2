# Libraries of C that tests load into the server: test/modules/NAME.c, built by
# the server's compiler into a directory of the test's, never installed.
package MigrateModule;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use MigrateTest;

our @EXPORT = qw(build_library);

my $top = "$FindBin::RealBin/../..";

# Builds a library of some sources and returns its path:
# build_library(directory, name, [sources], arguments for the compiler...).
sub build_library
{
	my ($dir, $name, $sources, @arguments) = @_;
	my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
	my %config = map { $_ => `'$pg_config' --$_` =~ s/\n//r } qw(includedir-server cc);
	# a command, which can have arguments, as "ccache gcc"
	my @compiler = split ' ', $ENV{CC} // $config{cc};
	@compiler = ('cc') if !@compiler || system("command -v '$compiler[0]' >/dev/null 2>&1") != 0;

	my ($status, $out, $err) = run_program(
		@compiler, '-shared', '-fPIC', '-O1', '-fwrapv', '-fno-strict-aliasing',
		'-isystem', $config{'includedir-server'}, "-I$top/src", @arguments, @$sources,
		'-o', "$dir/$name.so");
	die "$name was not built:\n$out$err" if $status;
	chmod 0755, "$dir/$name.so";
	return "$dir/$name.so";
}

1;
