# Servers of a test's own, as objects: for tests that need more than one, or
# another installation's.
#
#	my $server = MigrateCluster->create($dir, settings => [...], bindir => ...);
#	$server->use;			what MigrateTest has connects to it from now on
#	$server->stop;
#
# Its files and its socket are in $dir.  It is stopped when the test ends.
package MigrateCluster;

use strict;
use warnings;

use MigrateTest;

my @running;

END
{
	local $?;
	$_->stop('immediate') for @running;
}
$SIG{$_} = sub { exit 1 }
  for qw(INT TERM HUP);

# Options: bindir, of another installation; initdb, arguments; settings,
# lines of postgresql.conf; stopped, do not start it.
sub create
{
	my ($class, $dir, %options) = @_;
	my $self = bless { dir => "$dir", bindir => $options{bindir} }, $class;
	mkdir $self->{dir};
	mkdir "$dir/socket" or die "$dir/socket: $!";
	my ($status, $out, $err) = $self->program('initdb', '-D', $self->data, '-U', 'postgres', '--auth=trust',
		'--encoding=UTF8', '--locale=C', '--no-sync', @{ $options{initdb} // [] });
	die "initdb: $out$err" if $status;
	open my $conf, '>>', $self->data . '/postgresql.conf' or die $!;
	print $conf "$_\n" for "listen_addresses = ''", "unix_socket_directories = '$dir/socket'", 'fsync = off', @{ $options{settings} // [] };
	close $conf or die $!;
	$self->start unless $options{stopped};
	return $self;
}

sub data { return "$_[0]{dir}/data" }
sub socket_dir { return "$_[0]{dir}/socket" }
sub log_text { return slurp("$_[0]{dir}/log") }

# Runs a program of its installation.
sub program
{
	my ($self, $name, @arguments) = @_;
	return run_program($self->{bindir} ? "$self->{bindir}/$name" : tool($name), @arguments);
}

sub start
{
	my $self = shift;
	push @running, $self;
	my ($status, $out, $err) = $self->program('pg_ctl', '-D', $self->data, '-l', "$self->{dir}/log", '-w', '-t', '60', 'start');
	die "the server did not start: $err" . $self->log_text if $status;
	return $self;
}

sub stop
{
	my ($self, $mode) = @_;
	@running = grep { $_ != $self } @running;
	$self->program('pg_ctl', '-D', $self->data, '-m', $mode // 'fast', '-w', '-t', '60', 'stop');
	return $self;
}

sub use
{
	my $self = shift;
	%ENV = (%ENV, PGHOST => $self->socket_dir, PGPORT => 5432, PGUSER => 'postgres', PGDATABASE => 'postgres');
	return $self;
}

1;
