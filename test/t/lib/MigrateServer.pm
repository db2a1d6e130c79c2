# Servers of a test's own, as many as it wants, also of another installation,
# and psqls that run beside the test.
#
#	my $server = MigrateServer->create(settings => ['max_connections = 20']);
#	$server->use;			what connects from now on connects to it
#	$server->restart('immediate');
#
#	my $psql = start('postgres', 'SELECT pg_sleep(60)');
#	kill KILL => $psql->{pid};
#	my $result = finish($psql);
#
# All of them are ended when the test is, by whatever way but SIGKILL.
#
# Environment: MIGRATE_TEST_PRELOAD, a list of libraries that servers of this
# installation preload after those that the test asks for.
package MigrateServer;

use strict;
use warnings;

use IO::Socket::INET;
use MigrateTest;
use POSIX ();
use Time::HiRes qw(sleep time);

# Processes of ours that nobody has waited for yet: pid => the signal that
# ends it, and with TERM what it has started too.
my %processes;
my $owner = $$;
# They keep their directories until the test ends, also where it keeps none.
my @servers;

END
{
	# not in a child that has not come to its exec
	if ($$ == $owner)
	{
		local ($?, $!);
		alarm 0;
		for my $pid (keys %processes)
		{
			my $signal = $processes{$pid};
			# it has no group until it has come to setsid
			kill $signal, $signal eq 'TERM' ? -$pid : $pid or kill $signal, $pid;
		}
		_await($_, 10) for keys %processes;
	}
}
$SIG{$_} = sub { exit 1 }
  for qw(INT TERM HUP);
# No die: an eval would stop it.
$SIG{ALRM} = sub { print STDERR "this test takes too long\n"; exit 1 };
alarm 240;

sub import { return MigrateServer::Psql->export_to_level(1) }

# Starts a program, its output in the file $out, its errors in $err: its pid.
sub _spawn
{
	my ($ending, $out, $err, $environment, @command) = @_;
	# No signal before it is known that there is something to end.
	my $signals = POSIX::SigSet->new(
		POSIX::SIGINT(), POSIX::SIGTERM(), POSIX::SIGHUP(), POSIX::SIGALRM());
	my $before = POSIX::SigSet->new;
	POSIX::sigprocmask(POSIX::SIG_BLOCK(), $signals, $before);
	my $pid = fork // die "fork: $!\n";
	$processes{$pid} = $ending if $pid;
	POSIX::sigprocmask(POSIX::SIG_SETMASK(), $before);
	return $pid if $pid;
	# Ctrl-C is for the test, which ends the rest in its order.
	POSIX::setsid();
	open STDIN, '<', '/dev/null' or POSIX::_exit(126);
	open STDOUT, '>>', $out or POSIX::_exit(126);
	open STDERR, '>>', $err or POSIX::_exit(126);
	%ENV = (%ENV, %$environment);
	{ no warnings 'exec'; exec { $command[0] } @command }
	POSIX::_exit(127);
}

# Waits for a process, without end or for some seconds and then kills it.  Its
# exit status.
sub _await
{
	my ($pid, $seconds) = @_;
	unless ($seconds && wait_until(sub { waitpid $pid, POSIX::WNOHANG() }, $seconds))
	{
		kill KILL => $pid if $seconds;
		waitpid $pid, 0;
	}
	delete $processes{$pid};
	return $?;
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

# A port of this host that nothing listens on.
sub free_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')
	  or die "port: $!\n";
	return $socket->sockport;
}

# ---------------------------------------------------------------- servers ----

# create([directory], ...): its files and its socket are in the directory, by
# default a new one.  Options: settings, lines of postgresql.conf; initdb,
# arguments; bindir, of another installation; standby_of, another server;
# stopped, do not start it.
sub create
{
	my $class = shift;
	my $dir = @_ % 2 ? shift : scratch_dir();
	my %options = @_;
	my $self = bless { dir => $dir, bindir => $options{bindir} }, $class;
	push @servers, $self;
	-d $dir or mkdir $dir or die "$dir: $!\n";
	mkdir $self->socket_dir or die $self->socket_dir . ": $!\n";
	my @initdb = (qw(--auth=trust --encoding=UTF8 --locale=C), @{ $options{initdb} // [] });
	my @common = ('-U', 'postgres', '-D', $self->data, '--no-sync');
	my ($status, $out, $err) =
	  $options{standby_of}
	  ? $self->program('pg_basebackup', '-h', $options{standby_of}->socket_dir, '-p', 5432,
		@common, '-R', '-X', 'stream', '-c', 'fast')
	  : $self->program('initdb', @common, @initdb);
	die "a new server: $out$err" if $status;
	$self->set(
		"listen_addresses = ''",
		"unix_socket_directories = '" . $self->socket_dir . "'",
		'fsync = off',
		@{ $options{settings} // [] });
	$self->_preload unless $options{bindir};
	$self->start unless $options{stopped};
	return $self;
}

# Appends the libraries of MIGRATE_TEST_PRELOAD to those that are set.
sub _preload
{
	my $self = shift;
	my @asked = split /,/, $ENV{MIGRATE_TEST_PRELOAD} // '' or return;
	my $conf = slurp($self->data . '/postgresql.conf');
	my ($set) = reverse $conf =~ /^shared_preload_libraries = '(.*)'/mg;
	my %seen;
	my @libraries = grep { !$seen{$_}++ } split(/, */, $set // ''), @asked;
	$self->set("shared_preload_libraries = '" . join(',', @libraries) . "'");
	return;
}

sub data { return "$_[0]{dir}/data" }
sub socket_dir { return "$_[0]{dir}/socket" }
sub log_text { return slurp("$_[0]{dir}/log") }

# The postmaster's, undef when it is stopped.
sub pid { return $_[0]{pid} }

# Runs a program of its installation.
sub program
{
	my ($self, $name, @arguments) = @_;
	return run_program($self->_tool($name), @arguments);
}

sub _tool
{
	my ($self, $name) = @_;
	return $self->{bindir} ? "$self->{bindir}/$name" : tool($name);
}

# Adds lines to postgresql.conf, for its next start.
sub set
{
	my ($self, @settings) = @_;
	open my $conf, '>>', $self->data . '/postgresql.conf' or die $!;
	print $conf "$_\n" for @settings;
	close $conf or die $!;
	return $self;
}

sub start
{
	my $self = shift;
	die "the server runs already\n" if $self->{pid};
	# Not by pg_ctl: a test that ends meanwhile has to know the process.
	my $log = "$self->{dir}/log";
	my $pid = _spawn('QUIT', $log, $log, {}, $self->_tool('postgres'), '-D', $self->data);
	$self->{pid} = $pid;
	my $ended;
	my $up = wait_until(sub {
		$ended = waitpid $pid, POSIX::WNOHANG();
		return 1 if $ended;
		# what pg_ctl looks at: the first line is the pid, the eighth the state
		my @line = eval { split /\n/, slurp($self->data . '/postmaster.pid') };
		return @line > 7 && $line[0] eq $pid && $line[7] =~ /^(?:ready|standby) *$/;
	}, 60);
	if ($ended || !$up)
	{
		$self->stop('immediate') unless $ended;
		delete $processes{ delete $self->{pid} } if $ended;
		die "the server did not start:\n" . $self->log_text;
	}
	return $self;
}

# Modes: fast and immediate.
sub stop
{
	my ($self, $mode) = @_;
	my $pid = delete $self->{pid} or return $self;
	kill +($mode // 'fast') eq 'immediate' ? 'QUIT' : 'INT', $pid;
	_await($pid, 60);
	return $self;
}

sub restart
{
	my ($self, $mode) = @_;
	return $self->stop($mode)->start;
}

sub use
{
	my $self = shift;
	%ENV = (
		%ENV,
		PGHOST     => $self->socket_dir,
		PGPORT     => 5432,
		PGUSER     => 'postgres',
		PGDATABASE => 'postgres');
	return $self;
}

# ------------------------------------------------------------------ psqls ----

# What a test gets of this module.  A package of its own, for "start" is also
# what a server does.
package MigrateServer::Psql;

use Exporter ();
use File::Temp ();
use MigrateTest;

our @ISA = 'Exporter';
our @EXPORT;
BEGIN { @EXPORT = qw(background start finish free_port spawn wait_until) }

*free_port = \&MigrateServer::free_port;
*wait_until = \&MigrateServer::wait_until;

# Starts a program that is ended with the test: spawn(file for what it says,
# program, arguments); finish waits for it.
sub spawn
{
	my ($out, @command) = @_;
	return { pid => MigrateServer::_spawn('TERM', $out, $out, {}, @command) };
}

# Starts a psql and does not wait for it: background(database, [arguments],
# setting => value...).
sub background
{
	my ($database, $arguments, %settings) = @_;
	my %environment;
	$environment{PGAPPNAME} = delete $settings{application_name} if $settings{application_name};
	$environment{PGUSER} = delete $settings{user} if $settings{user};
	$settings{client_min_messages} //= 'warning';
	$environment{PGOPTIONS} = join ' ',
	  map { (my $value = $settings{$_}) =~ s/ /\\ /g; "-c $_=$value" } sort keys %settings;
	my $self = { out => File::Temp->new, err => File::Temp->new };
	$self->{pid} = MigrateServer::_spawn('TERM', (map { $_->filename } @$self{qw(out err)}),
		\%environment, tool('psql'), '-XAtq',
		'-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=always', '-d', $database, @$arguments);
	return $self;
}

# One statement, or several, each in a transaction of its own.
sub start
{
	my ($database, $sql, @settings) = @_;
	return background($database, [ map { ('-c', $_) } ref $sql ? @$sql : $sql ], @settings);
}

# Waits for it: status, out, err, rows, and the SQLSTATE of the first error.
sub finish
{
	my $self = shift;
	my $status = MigrateServer::_await($self->{pid});
	my ($out, $err) = map { $_ ? slurp($_->filename) : '' } @$self{qw(out err)};
	my ($state) = $err =~ /(?:ERROR|FATAL):  (\w{5}):/;
	return {
		status => $status,
		out    => $out,
		err    => $err,
		rows   => [ split /\n/, $out ],
		state  => $state // ($status ? 'DEAD!' : '00000')
	};
}

1;
