# Pages of doc/ that show how an application uses migrate: a test runs all that
# such a page shows.
#
#	my $page = MigratePages->new('app-django.md', directory => $dir);
#	$page->run(skip => sub { ... });
#
# What is between two fences is one of these; anything else is a failure, so
# that a page shows nothing that is not run:
#
#  - code whose first line is a comment with a file name, "# shop/models.py",
#    "// schema.ts", "-- schema.sql": it becomes that file of the directory;
#  - a revision file: it becomes a file of the directory's migrations;
#  - lines "$ command", each with the output and errors expected of it: the
#    command is run in the directory.  A line "..." stands for any lines.
#    Durations and process ids are not compared;
#  - a block "sh": a command that does not end by itself.  The test has a
#    function for it.
#
# The order is that of the page.
package MigratePages;

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path qw(make_path);
use FindBin;
use MigrateTest;
use Test::More;

# A page of doc/.  Options: directory, where it is run; environment, of the
# commands; files, where revision files go (migrations); section, the heading of the
# part that is run (all of it).
sub new
{
	my ($class, $name, %options) = @_;
	my $text = slurp("$FindBin::RealBin/../../doc/$name");
	my @blocks;
	if (defined $options{section})
	{
		($text) = $text =~ /^## \Q$options{section}\E\n(.*?)(?=^## |\z)/ms
		  or die "$name has no section \"$options{section}\"\n";
	}
	push @blocks, { language => $1, text => $2 } while $text =~ /^```(\w*)\n(.*?)^```$/gms;
	return bless { name => $name, files => 'migrations', blocks => \@blocks, %options }, $class;
}

# Runs a page, a test for each command.  Options, all functions:
#
#	sh		{ command => function }, for what does not end by itself
#	skip	(command, file names of the directory): why not to run it, or undef
#	edit	(file name, content): the content to write
#	before	{ command => function }, called before the command is run
sub run
{
	my ($self, %options) = @_;
	my %unused = map { $_ => 1 } keys %{ $options{sh} }, keys %{ $options{before} };
	for my $block (@{ $self->{blocks} })
	{
		if (defined(my $file = file_name($block)))
		{
			my $content = $block->{text};
			$content = $options{edit}->($file, $content) if $options{edit};
			$file = "$self->{files}/$file" if $file !~ m{/} && $file =~ /\.sql$/;
			$self->write($file, $content);
		}
		elsif ($block->{language} eq 'sh')
		{
			chomp(my $command = $block->{text});
			delete $unused{$command};
			my $why = $options{skip} && $options{skip}->($command);
			my $do = $options{sh}{$command};
			ok($do, "$self->{name}: there is a test of: $command") or next;
		  SKIP:
			{
				skip "$self->{name}: $why", 1 if $why;
				$do->();
			}
		}
		elsif ($block->{text} =~ /^\$ /)
		{
			for (split /^(?=\$ )/m, $block->{text})
			{
				my ($command, $expected) = /^\$ (.*)\n((?s).*)/;
				delete $unused{$command};
				$options{before}{$command}->() if $options{before}{$command};
				$self->command($command, $expected, $options{skip});
			}
		}
		else
		{
			fail("$self->{name} shows something that is not run");
			diag $block->{text};
		}
	}
	fail("$self->{name} has no more: $_") for sort keys %unused;
	return;
}

# The name of the file that a block shows, or undef.
sub file_name
{
	my $block = shift;
	if ($block->{text} =~ /^-- Revision ID: (\S+)/m)
	{
		my $id = $1;
		my ($message) = $block->{text} =~ /^-- (.*)/;
		return "${id}_" . $message =~ s/\W+/_/gr . '.sql';
	}
	return $block->{text} =~ m{^(?:#|//|--) ([\w./]+\.\w+)\n} ? $1 : undef;
}

# Writes a file of the directory.
sub write
{
	my ($self, $file, $content) = @_;
	make_path(dirname("$self->{directory}/$file"));
	spew("$self->{directory}/$file", $content);
	return;
}

# Writes a revision file that is not on the page; options come after "migrate:up".
sub revision
{
	my ($self, $id, $parent, $message, $up, $options) = @_;
	my $marker = join ' ', '-- migrate:up', $options // ();
	$self->write("$self->{files}/${id}_$message.sql",
		"-- $message\n-- Revision ID: $id\n-- Revises: $parent\n$marker\n$up\n");
	return;
}

# Runs a command in the directory: (status, output and errors).
sub shell
{
	my ($self, $command) = @_;
	my $before = Cwd::getcwd();
	local %ENV = (%ENV, %{ $self->{environment} // {} });
	chdir $self->{directory} or die "$self->{directory}: $!\n";
	my ($status, $out) = run_program('sh', '-c', "exec 2>&1\n$command");
	chdir $before or die "$before: $!\n";
	return ($status >> 8, $out);
}

# Runs a command, and compares what it says.
sub command
{
	my ($self, $command, $expected, $skip) = @_;
  SKIP:
	{
		my $why = $skip && $skip->($command);
		skip "$self->{name}, $command: $why", 1 if $why;
		my ($status, $out) = $self->shell($command);
		my $pattern = join '\n', map { $_ eq '...' ? '(?s:.*)' : quotemeta plain($_) }
		  split /\n/, $expected;
		like(plain($out), qr/\A$pattern\s*\z/, "$self->{name}$self->{with}: $command")
		  or diag "it said:\n$out";
	}
	return;
}

# Text without what differs from run to run and from driver to driver.
sub plain
{
	my $text = shift;
	$text =~ s/\d+(?:\.\d+)? ?(m?s)\b/N $1/g;
	$text =~ s/^(.*?(?:NOTICE|WARNING|ERROR)):  /$1: /mg;
	$text =~ s/[ \t]+$//mg;
	return $text;
}

1;
