#!/usr/bin/perl
#
# make quickstart, make quickstart-stop, and doc/psql.md on such a server: what
# psql prints is what the page says.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateDoc;
use MigrateServer;
use MigrateTest;
use Test::More;

my $dir = scratch_dir();
my $top = abs_path("$FindBin::RealBin/../..");

# A tree of its own: quickstart keeps its pointer there.
my $tree = "$dir/tree";
mkdir $tree;
{
	my $copy = 'cd "$0"'
	  . ' && tar -cf - --exclude=./.git --exclude=./.quickstart . | tar -C "$1" -xf -';
	my ($status, undef, $err) = run_program('sh', '-c', $copy, $top, $tree);
	die $err if $status;
}

my $running;
END
{
	local $?;
	if ($running)
	{
		kill TERM => -$running->{pid};
		finish($running);
	}
	make('quickstart-stop') if -e "$tree/.quickstart";
}

# The status of make, and all that it said.
sub make
{
	my @arguments = @_;
	local %ENV = %ENV;
	delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS DESTDIR)};
	# what README.md has the user type, in the directory
	$running = spawn("$dir/said", $ENV{MAKE} // 'make', '-s', '-C', $tree, @arguments);
	my $status = finish($running)->{status};
	undef $running;
	my $said = slurp("$dir/said");
	unlink "$dir/said";
	return ($status, $said);
}

# ------------------------------------------------------------- quickstart ----

sub quickstart
{
	my $what = shift;
	my ($status, $said) = make('quickstart');
	is($status, 0, "$what: quickstart") or do
	{
		diag $said;
		BAIL_OUT('no quickstart, and it needs root unless the extension is installed');
	};
	my ($psql, $socket) = $said =~ /^    (\S+) -h (\S+) -U postgres demo$/m;
	ok($psql && -x $psql, "$what: it says how to open psql");
	return ($said, $psql, $socket =~ s{/socket$}{}r);
}

my ($said, $psql, $work) = quickstart('first');
like($said, qr/^$_\. /m, "part $_") for 1 .. 5;
like(
	$said,
	qr/^demo=\#\ SELECT\ migrate\.upgrade\('head'\);\n
		(?:NOTICE:\ \ running\ upgrade\ .*\n){6}
		NOTICE:\ \ upgrade\ to\ head\ completed:\ 6\ revisions,\ \d+\ ms$/mx,
	'it upgrades the examples');
unlike($said, qr/ERROR|WARNING/, 'without an error');

%ENV = (%ENV, PGHOST => "$work/socket", PGPORT => 5432, PGUSER => 'postgres');
{
	my @sql = $said =~ /^    (SELECT .*;)$/mg;
	is(scalar @sql, 2, 'two statements to try');
	my ($status, $out, $err) = run_psql('demo', '', map { ('-c', $_) } @sql);
	is($status, 0, 'they work') or diag $err;
	my @id = split /\n/, $out;
	is(scalar @id, 2, 'one revision each');
	is($id[0], $id[1], 'down and up again');
}
my $log = 'SELECT operation, count(*) FROM migrate.log GROUP BY 1 ORDER BY 1';
my @log = connect_to('demo')->rows($log);
is("@log", 'downgrade|1 upgrade|7', 'in the log');

# ----------------------------------------------------------- five minutes ----

my @steps = psql_steps(map { $_->[0] eq '' ? $_->[1] : () } blocks(slurp("$tree/doc/psql.md")));
cmp_ok(scalar @steps, '>=', 17, 'doc/psql.md has a session');

create_database('minutes', plain => 1);
my $script = spew("$dir/script", join '', map { "\\echo <<$_>>\n$steps[$_][0]" } 0 .. $#steps);
# from standard input, as pg_regress does: what is said keeps its order
my ($status, $out) = run_program('sh', '-c', '"$0" -X minutes <"$1" 2>&1', $psql, $script);
is($status, 0, 'psql runs it');
my (undef, @printed) = split /^<<\d+>>\n/m, $out;
is(scalar @printed, scalar @steps, 'all of it');
for my $i (0 .. $#steps)
{
	my ($command, $expected) = @{ $steps[$i] };
	my $printed = plain($printed[$i] // '');
	(my $name = $command) =~ s/\s+/ /g;
	# a command that the page shows nothing of
	$expected eq '' ? unlike($printed, qr/ERROR/, $name) : is($printed, plain($expected), $name);
}

# ------------------------------------------------------- anew, and the end ----

drop_databases();
my ($postmaster) = split /\n/, slurp("$work/data/postmaster.pid");
my ($again, undef, $new_work) = quickstart('again');
like($again, qr/^Stopped the server in \Q$work\E and removed it\.$/m, 'again: it begins anew');
isnt($new_work, $work, 'again: in another directory');
ok(!-e $work, 'again: the first is gone');
ok(wait_until(sub { !kill 0, $postmaster }), 'again: and its server');

($postmaster) = split /\n/, slurp("$new_work/data/postmaster.pid");
($status, $said) = make('quickstart-stop');
is($said, "Stopped the server in $new_work and removed it.\n", 'quickstart-stop says so');
is($status, 0, 'quickstart-stop');
ok(!-e $new_work, 'the directory is gone');
ok(wait_until(sub { !kill 0, $postmaster }), 'the server is gone');
ok(!-e "$tree/.quickstart", 'the pointer is gone');
($status, $said) = make('quickstart-stop');
is("$status $said", "0 No quickstart server.\n", 'quickstart-stop again');

# A pointer to something else.
mkdir "$dir/precious";
spew("$dir/precious/file", 'x');
spew("$tree/.quickstart", "$dir/precious\n" . tool('') . "\n");
for my $target ('quickstart-stop', 'quickstart')
{
	($status, $said) = make($target);
	isnt($status, 0, "$target: a directory that is not ours");
	like($said, qr/names no directory of ours: \Q$dir\E\/precious/, "$target: it says so");
	ok(-e "$dir/precious/file", "$target: it stays");
}
unlink "$tree/.quickstart";
done_testing();
