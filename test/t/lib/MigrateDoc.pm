# What tests of the documentation share: sessions in Markdown, as a list of
# commands and what they print, and comparing that with what is printed now.
package MigrateDoc;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT = qw(blocks psql_steps console_steps plain);

# The fenced blocks of a text, in order: [language, text].
sub blocks
{
	my $text = shift;
	my @blocks;
	push @blocks, [ $1, $2 ] while $text =~ /^```(\w*)\n(.*?)^```$/msg;
	return @blocks;
}

# The steps of sessions in psql, [command, output]: a command begins with "=> "
# and has further lines until it is complete.
sub psql_steps
{
	my @steps;

	for my $text (@_)
	{
		my $command;
		for my $line (split /\n/, $text)
		{
			if (!defined $command && $line =~ s/^=> //)
			{
				$command = '';
				push @steps, [ '', '' ];
			}
			if (!defined $command)
			{
				die "output without a command: $line\n" unless @steps;
				$steps[-1][1] .= "$line\n";
				next;
			}
			$steps[-1][0] .= "$line\n";
			$command = $steps[-1][0];
			(my $code = $command) =~ s/(\$\w*\$).*?\1|'[^']*'//sg;
			# a quote that is left is open
			undef $command if $code !~ /'|\$\w*\$/ && $code =~ /^\\|;\s*\z/;
		}
		die "where does this end?\n$command" if defined $command;
	}
	return @steps;
}

# The steps of sessions in a shell, likewise: a command is one line that begins
# with "$ ".
sub console_steps
{
	my @steps;

	for my $line (map { split /\n/ } @_)
	{
		if ($line =~ s/^\$ //)
		{
			push @steps, [ "$line\n", '' ];
			next;
		}
		die "output without a command: $line\n" unless @steps;
		$steps[-1][1] .= "$line\n";
	}
	return @steps;
}

# Without what differs each time, and what pages leave out.
sub plain
{
	my $text = shift;

	$text =~ s/\d+ ms$/N ms/mg;
	$text =~ s/^(-- Create Date: ).*/$1now/mg;
	$text =~ s/^\([1-9]\d* rows?\)$//mg;
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\n{2,}/\n/g;
	$text =~ s/\A\n//;
	return $text;
}

1;
