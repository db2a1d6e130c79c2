#!/usr/bin/perl
#
# migrate.graph('text') can be read back: the lines of random graphs are
# followed from child to parent, and lead where the graph says.  Also that
# children come before parents, that heads and what is applied are marked, and
# that wide and long graphs are drawn in a short time.
#
# Environment: MIGRATE_PROPERTY_SEED, MIGRATE_PROPERTY_ROUNDS (graphs; by
# default 300, or what 20 seconds allow).
use strict;
use warnings;

use FindBin;
use List::Util qw(shuffle);
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{MIGRATE_PROPERTY_SEED} // int(time) % 1_000_000;
my $rounds = $ENV{MIGRATE_PROPERTY_ROUNDS} // 300;
my $deadline = defined $ENV{MIGRATE_PROPERTY_ROUNDS} ? undef : time + 20;
srand $seed;
diag "seed $seed";

my $dir = scratch_dir();
my $session = connect_to(create_database('mig_draw'), options => '-c statement_timeout=20s');

sub chance { return rand() < $_[0] }

# -------------------------------------------------------------- reading ----

# What the connectors of one line do to the points that lanes have come to:
# [from, to, kind], kind being "|" or "/" or "\".
sub moves
{
	my $line = shift;
	my @moves;
	for my $at (0 .. length($line) - 1)
	{
		my $char = substr $line, $at, 1;
		if ($char eq '|')
		{
			die "'|' in an odd place\n" if $at % 2;
			push @moves, [ $at / 2, $at / 2, '|' ];
		}
		elsif ($char eq '\\' || $char eq '/')
		{
			die "'$char' in an even place\n" unless $at % 2;
			push @moves, [ ($at - 1) / 2, ($at + 1) / 2, $char ] if $char eq '\\';
			next if $char eq '\\';
			my $to = $at - 2;
			$to -= 2 while $to >= 0 && substr($line, $to, 1) eq '_';
			push @moves, [ ($at + 1) / 2, ($to + 3) / 2 - 1, '/' ];
		}
		elsif ($char ne ' ' && $char ne '_')
		{
			die "what is '$char'?\n";
		}
	}
	return @moves;
}

# The lanes after a line of connectors.  A lane is {children, kind}, kind being
# the connector by which it came to its point.
sub connect_lanes
{
	my ($points, $line) = @_;
	my (%leaving, %next);
	push @{ $leaving{ $_->[0] } }, $_ for moves($line);
	for my $point (keys %$points)
	{
		my $fork = grep { $_->{kind} eq 'node' } @{ $points->{$point} };
		my @leaving = @{ $leaving{$point} // [] };
		for my $lane (@{ $points->{$point} })
		{
			# A crossing: each lane keeps its direction.
			my @ways = @leaving;
			@ways = grep { $_->[2] eq $lane->{kind} } @leaving unless @leaving == 1 || $fork;
			die "a lane ends at column $point\n" unless @ways || $fork;
			push @{ $next{ $_->[1] } }, { children => $lane->{children}, kind => $_->[2] }
			  for @ways;
		}
	}
	$points->{$_} or die "a lane begins at column $_\n" for keys %leaving;
	return \%next;
}

# Reads a picture: its edges as [child, parent], and its revisions as [id,
# sign, text].
sub read_picture
{
	my @lines = @_;
	my ($points, @edges, @revisions) = ({});
	for my $line (@lines)
	{
		if ($line =~ /^((?:\| )*)([*o])((?:-+\.)?)((?: \|)*) (\w+)(.*)/)
		{
			my ($before, $sign, $dashes, $after, $id, $text) = ($1, $2, $3, $4, $5, $6);
			my $column = length($before) / 2;
			my @children = map { @{ $_->{children} } } @{ $points->{$column} // [] };
			push @edges, map { [ $_, $id ] } @children;
			push @revisions, [ $id, $sign, $text ];
			my $places = 1 + length($dashes) / 2;
			my $n = $column + $places + length($after) / 2;
			my %next;
			for my $at (0 .. $n - 1)
			{
				my $in_node = $at >= $column && $at < $column + $places;
				my $lanes = delete $points->{$at};
				die "no lane leads to column $at\n" unless $lanes || $in_node;
				die "a lane ends under a dash\n" if $lanes && $in_node && $at > $column;
				my @children = $in_node ? $id : map { @{ $_->{children} } } @$lanes;
				$next{$at} = [ { children => \@children, kind => $in_node ? 'node' : '|' } ];
			}
			die "a lane ends on the right\n"
			  if grep { $_->{kind} ne 'node' } map { @$_ } values %$points;
			$points = \%next;
		}
		else
		{
			$points = connect_lanes($points, $line);
		}
	}
	die "a lane leads nowhere\n" if grep { $_->{kind} ne 'node' } map { @$_ } values %$points;
	return (\@edges, \@revisions);
}

# --------------------------------------------------------------- graphs ----

# A graph as {id => {down => [...], depends => [...]}}.
sub random_graph
{
	my $n = 1 + int rand(chance(0.2) ? 60 : 15);
	my @ids = map { sprintf 'r%04d', $_ } shuffle 1 .. $n;
	my $window = chance(0.5) ? 4 : $n;
	my (%graph, @done);
	for my $id (@ids)
	{
		my @near = @done > $window ? @done[ -$window .. -1 ] : @done;
		my $parents = chance(0.1) ? 0 : chance(0.7) ? 1 : 1 + int rand 5;
		my @down = (shuffle @near)[ 0 .. ($parents < @near ? $parents : @near) - 1 ];
		my %is_down = map { $_ => 1 } @down;
		my @depends = chance(0.1) ? grep { !$is_down{$_} } $done[ rand @done ] // () : ();
		$graph{$id} = { down => \@down, depends => \@depends };
		push @done, $id;
	}
	return \%graph;
}

sub store
{
	my $graph = shift;
	my @values;
	for my $id (sort keys %$graph)
	{
		my ($down, $depends) = map { join ',', @{ $graph->{$id}{$_} } } qw(down depends);
		push @values, "('$id', '{$down}', '{$depends}', 'message of $id', '', '')";
	}
	$session->run(
		'TRUNCATE migrate.revisions, migrate.versions, migrate.applied, migrate.revisions_heads',
		'INSERT INTO migrate.revisions
			(revision, down_revisions, depends_on, message, upgrade_sql, downgrade_sql)
		VALUES ' . join(', ', @values));
	return;
}

# What is wrong with the picture of a graph; empty when nothing is.
sub complaint
{
	my ($graph, %applied) = @_;
	my @lines = $session->rows("SELECT coalesce(nullif(g, ''), ' ') FROM migrate.graph() g");
	my ($edges, $revisions) = eval { read_picture(map { s/ +\z//r } @lines) }
	  or return clip($@, @lines);
	my $drawn = join ' ', sort map { "$_->[0]>$_->[1]" } @$edges;
	my @pairs = map { my $id = $_; map { "$id>$_" } @{ $graph->{$id}{down} } } keys %$graph;
	my $real = join ' ', sort @pairs;
	my %seen;
	my @wrong;
	push @wrong, "lines lead elsewhere: $drawn instead of $real" if $drawn ne $real;
	my %has_child = map { $_ => 1 } map { @{ $_->{down} } } values %$graph;
	for (@$revisions)
	{
		my ($id, $sign, $text) = @$_;
		my @above = grep { $seen{$_} } @{ $graph->{$id}{down} }, @{ $graph->{$id}{depends} };
		push @wrong, "$id is below @above" if @above;
		push @wrong, "$id is drawn twice" if $seen{$id}++;
		push @wrong, "sign of $id" if ($sign eq '*') != !!$applied{$id};
		push @wrong, "mark of $id" if ($text =~ /\((?:effective )?head\)/) != !$has_child{$id};
		my ($dependency) = @{ $graph->{$id}{depends} };
		push @wrong, "dependencies of $id"
		  if defined $dependency && $text !~ /\(depends on \Q$dependency\E\)/;
	}
	push @wrong, 'revisions are missing' if keys %seen != keys %$graph;
	return @wrong ? clip(@wrong, @lines) : '';
}

# What fits on a page.
sub clip { return join "\n", map { substr $_, 0, 120 } @_ < 80 ? @_ : @_[ 0 .. 79 ] }

# ---------------------------------------------------------------- tests ----

my $drawn = 0;
my $wrong = '';
for (1 .. $rounds)
{
	last if $deadline && time > $deadline;
	my $graph = random_graph();
	store($graph);
	my ($target) = shuffle keys %$graph;
	my @upgraded = chance(0.7) ? $session->rows("SELECT migrate.upgrade('$target')") : ();
	my %applied = map { $_ => 1 } @upgraded;
	$wrong = complaint($graph, %applied);
	last if $wrong;
	$drawn++;
}
is($wrong, '', 'the pictures lead where the graphs say');
cmp_ok($drawn, '>=', 50, "$drawn graphs");

# Wide and long ones: name, the most lines that they may take, parents of each
# revision.
my @ids = map { sprintf 'n%03d', $_ } 0 .. 200;
my %shapes = (
	'a chain of 200'            => [ 201, map { $_ ? [ $_ - 1 ] : [] } 0 .. 200 ],
	'200 branches of one point' => [ 400, map { $_ ? [0] : [] } 0 .. 200 ],
	'200 roots'                 => [ 401, map { [] } 0 .. 200 ],
	'a merge of 200 roots'      => [ 401, (map { [] } 0 .. 199), [ 0 .. 199 ] ],
	'200 branches merged again' => [ 402, [], (map { [0] } 1 .. 199), [ 1 .. 199 ] ],
	'100 branches of two, side by side' =>
	  [ 402, [], (map { [ $_ > 100 ? $_ - 100 : 0 ] } 1 .. 200) ],
	'a ladder, each merging two before' =>
	  [ 1000, map { $_ > 1 ? [ $_ - 1, $_ - 2 ] : $_ ? [0] : [] } 0 .. 200 ],
);
for my $shape (sort keys %shapes)
{
	my ($most, @parents) = @{ $shapes{$shape} };
	my %graph;
	for my $n (0 .. 200)
	{
		$graph{ $ids[$n] } = { down => [ @ids[ @{ $parents[$n] } ] ], depends => [] };
	}
	store(\%graph);
	my $start = time;
	my @lines = $session->rows('SELECT * FROM migrate.graph()');
	my $seconds = time - $start;
	is(complaint(\%graph), '', $shape);
	cmp_ok(scalar @lines, '<=', $most, "$shape: " . @lines . ' lines');
	cmp_ok($seconds, '<', 3, sprintf '%s: %d ms', $shape, $seconds * 1000);
}

$session->finish;
drop_databases();
done_testing();
