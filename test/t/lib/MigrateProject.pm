# A project of pg_migrate: a directory with migrations, and a database.  A test makes its
# own class of it, which says how the program is run there:
#
#	sub run { my ($self, @arguments) = @_; return ($status, $out, $err) }
#
# Fields: dir, database.
package MigrateProject;

use strict;
use warnings;

use MigrateTest;
use Test::More;

# Runs it, and says whether status, output and errors are so.  The output is compared, or
# matched; errors are matched.  Returns the output, or '' when it was
# not so.
sub is_run
{
	my ($self, $arguments, $status, $out, $err, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$name //= "@$arguments" =~ s/\n/ /gr;
	my @got = $self->run(@$arguments);
	my $good = $got[0] eq $status && (ref $out ? $got[1] =~ $out : $got[1] eq $out)
	  && $got[2] =~ ($err // qr/\A\z/);
	ok($good, "$name: $status")
	  or diag "status $got[0]\noutput:\n", substr($got[1], 0, 2000), "\nerrors:\n",
	  substr($got[2], 0, 2000);
	return $good ? $got[1] : '';
}

sub file
{
	my ($self, $name, $content) = @_;
	return spew("$self->{dir}/migrations/$name", $content);
}

sub files
{
	my $self = shift;
	opendir my $in, "$self->{dir}/migrations" or die $!;
	return sort grep { !/^\./ } readdir $in;
}

# What a statement prints that must not fail.
sub sql
{
	my ($self, $sql) = @_;
	my ($status, $out, $err) = run_psql($self->{database}, $sql);
	die "$sql: $err" if $status;
	chomp $out;
	return $out;
}

1;
