# What the Perl tests share: sessions of psql that stay open, databases,
# pg_dump, files.  Core modules only; the server comes from the environment
# (PG_CONFIG, PGHOST, PGPORT, PGUSER), as test/tools/run_tests sets it.
package MigrateTest;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use IO::Handle;
use IO::Select;
use IPC::Open3;

our @EXPORT = qw(connect_to create_database create_revisions drop_databases lit own_roles
  run_program run_psql schema_difference scratch_dir schema_dump slurp spew tool);

my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
my (@databases, @roles);

# A program of the server.
sub tool { return "$bindir/$_[0]" }

# A directory that goes away with the test, and that the server can read.
sub scratch_dir
{
	my $dir = File::Temp->newdir('migXXXXXX', DIR => $ENV{TMPDIR} // '/tmp');
	chmod 0755, $dir->dirname;
	return $dir;
}

sub slurp
{
	my ($name, $from) = @_;
	open my $in, '<:raw', $name or die "$name: $!\n";
	seek $in, $from, 0 if $from;
	local $/;
	my $content = <$in>;
	return $content // '';
}

sub spew
{
	my ($name, $content) = @_;
	open my $out, '>:raw', $name or die "$name: $!\n";
	print $out $content;
	close $out or die "$name: $!\n";
	chmod 0644, $name;
	return $name;
}

# Runs a program without a shell: (status, output, errors).
sub run_program
{
	my @command = @_;
	my $err = File::Temp->new;
	my $pid = open3('<&' . fileno(_nothing()), my $out, '>&' . fileno($err), @command);
	binmode $out;
	my $output = do { local $/; <$out> } // '';
	waitpid $pid, 0;
	return ($?, $output, slurp($err->filename));
}

my $nothing;
sub _nothing
{
	open $nothing, '<', '/dev/null' or die $! unless $nothing;
	return $nothing;
}

# psql -c, or with a file name psql -f; stops at an error.
sub run_psql
{
	my ($database, $sql, @options) = @_;
	return run_program(tool('psql'), '-X', '-Atq', '-v', 'ON_ERROR_STOP=1', '-d', $database,
		@options, length $sql ? ('-c', $sql) : ());
}

# A string constant of SQL; undef is NULL.
sub lit
{
	my $text = shift;
	return 'NULL' unless defined $text;
	my $copy = $text;
	$copy =~ s/(['\\])/$1$1/g;
	return $copy =~ /\\/ ? " E'$copy'" : "'$copy'";
}

# A database, with the extension unless asked without; dropped at the end.
sub create_database
{
	my ($name, %options) = @_;
	my $template = $options{template} // 'template0';
	my $owner = $options{owner} ? "OWNER $options{owner}" : '';
	for my $sql (
		"DROP DATABASE IF EXISTS $name",
		"CREATE DATABASE $name TEMPLATE $template $owner")
	{
		my ($status, undef, $err) = run_psql('postgres', $sql);
		die $err if $status;
	}
	push @databases, $name;
	unless ($options{plain})
	{
		my ($status, undef, $err) = run_psql($name, 'CREATE EXTENSION migrate');
		die $err if $status;
	}
	return $name;
}

# Roles that the test creates: those that an earlier run has left are dropped, and with the
# databases all of them.
sub own_roles
{
	push @roles, @_;
	run_psql('postgres', "DROP ROLE IF EXISTS $_") for @_;
	return;
}

sub drop_databases
{
	run_psql('postgres', "DROP DATABASE IF EXISTS $_") for splice @databases;
	run_psql('postgres', "DROP ROLE IF EXISTS $_") for @roles;
	return;
}

# A database with revisions in it, which are scripts, or [script, transactional]: their
# identifiers are numbers in that format.
sub create_revisions
{
	my ($database, $format, @scripts) = @_;
	my $n = 0;
	create_database($database);
	my ($status, undef, $err) = run_psql($database, join ";\n", map {
		my ($sql, $transactional) = ref ? @$_ : ($_, 'true');
		sprintf "SELECT migrate.revision('step', %s, rev_id => '$format', transactional => %s)",
		  lit($sql), ++$n, $transactional
	} @scripts);
	die $err if $status;
	return $database;
}

# pg_dump --schema-only, without our own schema and what no two dumps share.
sub schema_dump
{
	my ($database, @options) = @_;
	my ($status, $out, $err) = run_program(tool('pg_dump'),
		'--schema-only', '--no-owner', '-N', 'migrate', @options, $database);
	die "pg_dump: $err" if $status;
	# The extension itself and its privileges are dumped all the same.
	my $ours = qr/(?:EXTENSION )?migrate; Type: (?:EXTENSION|COMMENT)/;
	my $heading = qr/-- Name: (?:$ours|.*; Type: ACL; Schema: migrate;).*/;
	$out =~ s/^--\n$heading\n--\n\n(?:.*\n)+?\n\n//mg;
	$out =~ s/^\\(?:un)?restrict .*\n//mg;
	return $out;
}

# What two databases' schemas differ in, as diff shows it; '' when in nothing.
sub schema_difference
{
	my ($one, $other) = map { schema_dump($_) } @_;
	return '' if $one eq $other;
	my $dir = scratch_dir();
	my @files = (spew("$dir/one", $one), spew("$dir/other", $other));
	return substr +(run_program('diff', '-u', @files))[1], 0, 4000;
}

# ------------------------------------------------------------- sessions ----

# A psql that stays open: connect_to(database, user => ..., options => ...).
sub connect_to
{
	my ($database, %options) = @_;
	my $self = bless {
		database => $database,
		errors   => File::Temp->new,
		number   => 0,
	}, 'MigrateTest::Session';
	my $messages = $options{messages} // 'warning';
	local $ENV{PGOPTIONS} = join ' ', "-c client_min_messages=$messages", $options{options} // ();
	local $ENV{PGCLIENTENCODING} = $options{encoding} // 'UTF8';
	$self->{child} = open3($self->{in}, $self->{out}, '>&' . fileno($self->{errors}),
		tool('psql'), '-X', '-Atq', '-d', $database, $options{user} ? ('-U', $options{user}) : ());
	binmode $self->{$_} for qw(in out);
	$self->{in}->autoflush(1);
	print { $self->{in} } "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n";
	$self->{pid} = $self->query('SELECT pg_backend_pid()')->{rows}[0];
	return $self;
}

package MigrateTest::Session;

# Runs one statement.  Result: state (SQLSTATE, "00000" without error),
# rows (lines of output), out, err (all that psql said), message.
sub query
{
	my ($self, $sql) = @_;
	$self->send($sql);
	return $self->receive;
}

# Begins one statement, and does not wait for it; "receive" does.
sub send
{
	my ($self, $sql) = @_;
	$self->{mark} = '@@' . ++$self->{number} . '@@';
	$self->{from} = -s $self->{errors}->filename;
	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } $sql, "\n;\n\\echo $self->{mark} :SQLSTATE\n";
	return;
}

# Whether the statement that was sent has ended, or said something.
sub answers
{
	my $self = shift;
	return scalar IO::Select->new($self->{out})->can_read(0);
}

sub receive
{
	my $self = shift;
	my ($out, $state) = ('');
	while (defined(my $line = readline $self->{out}))
	{
		if ($line =~ /^\Q$self->{mark}\E (.*)/)
		{
			$state = $1;
			last;
		}
		$out .= $line;
	}
	my $err = MigrateTest::slurp($self->{errors}->filename, $self->{from});
	$self->{dead} = 1 unless defined $state;
	my ($message) = $err =~ /(?:ERROR|FATAL|PANIC):  \w{5}: (.*)/;
	# psql itself, not a server, may fail
	$state //= 'DEAD!';
	return {
		state   => $state,
		out     => $out,
		rows    => [ split /\n/, $out ],
		err     => $err,
		message => $message // '',
	};
}

# The rows of a statement that must not fail.
sub rows
{
	my ($self, $sql) = @_;
	my $result = $self->query($sql);
	die "$sql\n$result->{err}" if $result->{state} ne '00000';
	return @{ $result->{rows} };
}

# The one value.
sub value
{
	my ($self, $sql) = @_;
	return ($self->rows($sql))[0];
}

sub run { my ($self, @sql) = @_; $self->rows($_) for @sql; return $self }

# Whether the same server process still answers.
sub alive
{
	my $self = shift;
	return !$self->{dead}
	  && ($self->query('SELECT pg_backend_pid()')->{rows}[0] // '') eq $self->{pid};
}

sub finish
{
	my $self = shift;
	return unless $self->{child};
	close $self->{in};
	close $self->{out};
	waitpid delete $self->{child}, 0;
	return;
}

sub DESTROY { local $?; $_[0]->finish }

1;
