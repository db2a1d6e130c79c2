# A server of a test's own, and psqls that run beside the test.
package MigrateServer;
use strict;
use warnings;

use Exporter 'import';
use File::Temp;
use MigrateTest;
use POSIX ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw($dir $running start_server background start finish wait_until);

# A server of our own, with settings of its own and to be killed.  Everything
# that follows start_server finds it in the environment.
our $dir = scratch_dir();
our $running;

END
{
	local $?;
	run_program(tool('pg_ctl'), '-D', "$dir/data", '-m', 'immediate', '-w', 'stop') if $running;
}
$SIG{$_} = sub { exit 1 }
  for qw(INT TERM HUP);
$SIG{ALRM} = sub { die "this test takes too long\n" };
alarm 240;

sub start_server
{
	my @settings = @_;
	mkdir "$dir/socket" or die $!;
	my ($status, $out, $err) = run_program(tool('initdb'), '-D', "$dir/data", '-U', 'postgres',
		'--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync');
	die "initdb: $err" if $status;
	open my $conf, '>>', "$dir/data/postgresql.conf" or die $!;
	print $conf "$_\n" for "listen_addresses = ''", "unix_socket_directories = '$dir/socket'", 'fsync = off', @settings;
	close $conf or die $!;
	%ENV = (%ENV, PGHOST => "$dir/socket", PGPORT => 5432, PGUSER => 'postgres');
	$running = 1;
	($status, $out, $err) =
	  run_program(tool('pg_ctl'), '-D', "$dir/data", '-l', "$dir/log", '-w', '-t', '60', 'start');
	die 'the server did not start: ' . slurp("$dir/log") if $status;
	return;
}

# Starts a psql and does not wait for it: background(database, [arguments],
# setting => value...).
sub background
{
	my ($database, $arguments, %settings) = @_;
	my $self = { out => File::Temp->new, err => File::Temp->new };
	my @command = (tool('psql'), '-XAtq', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=always',
		'-d', $database, @$arguments);
	$self->{pid} = fork // die "fork: $!";
	return $self if $self->{pid};
	open STDIN, '<', '/dev/null' or POSIX::_exit(126);
	open STDOUT, '>&', $self->{out} or POSIX::_exit(126);
	open STDERR, '>&', $self->{err} or POSIX::_exit(126);
	$ENV{PGAPPNAME} = delete $settings{application_name} if $settings{application_name};
	$ENV{PGUSER} = delete $settings{user} if $settings{user};
	$settings{client_min_messages} //= 'warning';
	$ENV{PGOPTIONS} = join ' ', map { (my $value = $settings{$_}) =~ s/ /\\ /g; "-c $_=$value" } sort keys %settings;
	exec { $command[0] } @command or POSIX::_exit(127);
}

# One statement, or several, each in a transaction of its own.
sub start { my ($database, $sql, @settings) = @_; return background($database, [ map { ('-c', $_) } ref $sql ? @$sql : $sql ], @settings) }

# Waits for it: status, out, err, rows, and the SQLSTATE of the first error.
sub finish
{
	my $self = shift;
	waitpid $self->{pid}, 0;
	my ($out, $err) = map { slurp($_->filename) } @$self{qw(out err)};
	my ($state) = $err =~ /(?:ERROR|FATAL):  (\w{5}):/;
	return { status => $?, out => $out, err => $err, rows => [ split /\n/, $out ], state => $state // ($? ? 'DEAD!' : '00000') };
}

sub wait_until
{
	my ($test, $seconds) = @_;
	my $end = time + ($seconds // 10);
	until ($test->())
	{
		return 0 if time > $end;
		sleep 0.02;
	}
	return 1;
}

1;
