#!/usr/bin/perl
#
# "Five minutes with files" of README.md, word by word: the commands in a shell, the
# files as they are there; what is printed is what the page says.  After it doc/faq.md,
# in the same directory and on the same database: what its answers say is so.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateDoc;
use MigrateTest;
use Test::More;

alarm 600;

my $top = abs_path("$FindBin::RealBin/../..");
my $dir = scratch_dir();
mkdir "$dir/project" or die $!;
delete @ENV{qw(DATABASE_URL MIGRATE_DIR PGDATABASE PGOPTIONS PGAPPNAME)};
$ENV{PATH} = "$top/bin:" . tool('') . ":$ENV{PATH}";
END
{
	local $?;
	drop();
}

sub drop
{
	my $sql = 'DROP DATABASE IF EXISTS app';
	run_psql('postgres', $sql);
	run_psql('postgres', $sql =~ s/app/shop/r);
	return;
}

drop();

# --------------------------------------------------------- running a page ----

# The blocks of a page as steps: [name, what is printed, command, 'sh' or 'psql', whether
# it is the last of a session in psql].  A block of SQL with a header is what its file
# contains from then on, and one that begins with a marker the scripts of the last file.
sub steps
{
	my @steps;

	for (@_)
	{
		my ($language, $text) = @$_;
		if ($language eq 'console')
		{
			push @steps, [ $_->[0] =~ s/\n//r, $_->[1], $_->[0], 'sh' ] for console_steps($text);
		}
		elsif ($language eq '')
		{
			push @steps, [ $_->[0] =~ s/\s+/ /gr, $_->[1], $_->[0], 'psql' ] for psql_steps($text);
			$steps[-1][4] = 'last';
		}
		elsif ($text =~ /^-- Revision ID: (\w+)$/m)
		{
			my $file = spew("$dir/$1.sql", $text);
			my $command = "cp migrations/$1_*.sql '$dir/$1.made'\ncp '$file' migrations/$1_*.sql\n";
			push @steps, [ "the file of $1", '', $command, 'sh' ];
		}
		elsif ($text =~ /\A-- migrate:up$/m)
		{
			my $file = spew("$dir/scripts.sql", $text);
			push @steps, [ 'scripts', '', <<"END", 'sh' ];
last=\$(ls migrations/*.sql | tail -n 1)
sed -i '/^-- migrate:up/,\$d' "\$last"
cat '$file' >>"\$last"
END
		}
	}
	return @steps;
}

# Runs them in one shell, with a psql for each block, and compares.  psql has its
# commands on standard input, so that what is said keeps its order.
sub run_steps
{
	my @steps = @_;
	my ($script, $in) = ('', 'sh');

	for my $i (0 .. $#steps)
	{
		my (undef, undef, $command, $by, $last) = @{ $steps[$i] };
		$script .= "psql -X -d app <<'END OF SQL'\n" if $by eq 'psql' && $in eq 'sh';
		$script .= ($by eq 'psql' ? "\\echo <<$i>>\n" : "echo '<<$i>>'\n") . $command;
		$script .= "END OF SQL\n" if $last;
		$in = $last ? 'sh' : $by;
	}
	my (undef, $out) = run_program('sh', '-c', 'cd "$0" && . "$1" 2>&1',
		"$dir/project", spew("$dir/script", $script));
	my (undef, @printed) = split /^<<\d+>>\n/m, $out;
	is(scalar @printed, scalar @steps, 'all of it is run');
	is(plain($printed[$_] // ''), plain($steps[$_][1]), $steps[$_][0]) for 0 .. $#steps;
	return;
}

# --------------------------------------------------------------- README.md ----

my ($minutes) = slurp("$top/README.md") =~ /^## Five minutes with files\n(.*?)^## /ms;
my @steps = steps(blocks($minutes));
cmp_ok(scalar @steps, '>=', 17, 'README.md has a session');
run_steps(@steps);

# The README's file is what "new" writes, and the scripts.
{
	my ($shown, $made) = map { plain(slurp($_)) } "$dir/0001.sql", "$dir/0001.made";
	s/^-- migrate:up\n.*//ms for $shown, $made;
	is($shown, $made, 'the file in README.md has the header that was made');
	like($shown, qr/^-- Create Date: now$/m, '    all of it');
}

# ---------------------------------------------- upgrading the extension ----

# Another version, as far as a session can see: between "make install" and ALTER
# EXTENSION.
{
	my $before = connect_to('app');
	my $after = connect_to('app');
	my $version = $before->value(
		q{SELECT extversion FROM pg_extension WHERE extname = 'migrate'});
	is($before->query('SELECT migrate.current()')->{state}, '00000', 'a session that used migrate');
	my $set = q{UPDATE pg_extension SET extversion = %s WHERE extname = 'migrate'};
	connect_to('app')->run(sprintf $set, lit('0.9'));
	is($before->query('SELECT migrate.current()')->{state}, '00000', '    keeps working');
	my $answer = $after->query('SELECT migrate.upgrade()');
	is($answer->{state}, '55000', 'a new one is refused');
	like($answer->{message}, qr/version \Q$version\E, but version 0\.9 is/, '    it names both');
	connect_to('app')->run(sprintf $set, lit($version));
	is(connect_to('app')->query('SELECT migrate.current()')->{state}, '00000', 'not after it');
	$_->finish for $before, $after;
}

# ------------------------------------------------------------- doc/faq.md ----

$ENV{DATABASE_URL} = 'postgresql:///app';
@steps = steps(blocks(slurp("$top/doc/faq.md")));
cmp_ok(scalar @steps, '>=', 15, 'doc/faq.md has commands');
run_steps(@steps);

done_testing();
