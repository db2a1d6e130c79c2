# A client without libpq, for tests that look at the very bytes of a message
# and at its fields: simple queries over the server's Unix socket.
#
#	my $wire = MigrateWire->connect($database, client_encoding => 'LATIN1');
#	my $result = $wire->query('SELECT 1/0');
#	$result->{error}{C}		its SQLSTATE; undef where there is no error
#	$result->{notices}[0]{M}
#	$result->{rows}[0][0]
#
# Fields have the letters of the protocol: C code, M message, D detail, H hint,
# P position, q internal query, p its position, W context.
package MigrateWire;

use strict;
use warnings;

use IO::Socket::UNIX;

# Settings are those of the session.
sub connect
{
	my ($class, $database, %settings) = @_;
	my $path = "$ENV{PGHOST}/.s.PGSQL.$ENV{PGPORT}";
	my $socket = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!\n";
	my $self = bless { socket => $socket }, $class;
	my $startup = join '', map { "$_\0" } user => $ENV{PGUSER}, database => $database, %settings;

	binmode $socket;
	$socket->print(pack('NN', length($startup) + 9, 196608), $startup, "\0");
	$socket->flush;
	my $result = $self->receive;
	die "$database: $result->{error}{M}\n" if $result->{error};
	return $self;
}

# The server process.
sub pid { return $_[0]{pid} }

# Runs one string of statements.
sub query
{
	my ($self, $sql) = @_;
	$self->send($sql);
	return $self->receive;
}

# Begins it, and does not wait for it; "receive" does.
sub send
{
	my ($self, $sql) = @_;
	local $SIG{PIPE} = 'IGNORE';
	$self->{socket}->print('Q', pack('N', length($sql) + 5), $sql, "\0");
	$self->{socket}->flush;
	return;
}

# All until the server is ready again, or has closed the connection.
sub receive
{
	my $self = shift;
	my $result = { rows => [], notices => [] };
	while (my ($type, $body) = $self->_message)
	{
		last if $type eq 'Z';
		if ($type eq 'E') { $result->{error} = _fields($body) }
		elsif ($type eq 'N') { push @{ $result->{notices} }, _fields($body) }
		elsif ($type eq 'D') { push @{ $result->{rows} }, _row($body) }
		elsif ($type eq 'K') { $self->{pid} = unpack 'N', $body }
	}
	return $result;
}

# The next notice, of what was sent; nothing where it ends without one, and then
# there is nothing to receive.
sub notice
{
	my $self = shift;
	while (my ($type, $body) = $self->_message)
	{
		return _fields($body) if $type eq 'N';
		return if $type eq 'Z';
	}
	return;
}

# The first value of the first row; dies of an error.
sub value
{
	my ($self, $sql) = @_;
	my $result = $self->query($sql);
	die substr($sql, 0, 200) . ": $result->{error}{C} $result->{error}{M}\n" if $result->{error};
	return @{ $result->{rows} } ? $result->{rows}[0][0] : undef;
}

# The next message: its type and its bytes; nothing at the end.
sub _message
{
	my $self = shift;
	my $head = $self->_read(5) // return;
	my ($type, $length) = unpack 'a1 N', $head;
	my $body = $self->_read($length - 4) // return;
	return ($type, $body);
}

sub _read
{
	my ($self, $length) = @_;
	my $data = '';
	while (length $data < $length)
	{
		read $self->{socket}, $data, $length - length $data, length $data or return;
	}
	return $data;
}

sub _fields { return { map { /^(.)(.*)/s ? ($1 => $2) : () } split /\0/, $_[0] } }

sub _row
{
	my $body = shift;
	my ($n, @row) = unpack 'n', $body;
	my $at = 2;
	for (1 .. $n)
	{
		my $length = unpack 'l>', substr $body, $at, 4;
		push @row, $length < 0 ? undef : substr $body, $at + 4, $length;
		$at += 4 + ($length < 0 ? 0 : $length);
	}
	return \@row;
}

1;
