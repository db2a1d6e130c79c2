#!/usr/bin/perl
#
# Properties that hold for every graph and every call, on random graphs:
#
#  - the version rows are the maximal elements of what is applied, and
#    migrate.applied is their closure;
#  - a script runs exactly when its revision is applied or reverted, parents
#    before children, and the other way round on the way down;
#  - a call that fails changes nothing;
#  - pending() says what upgrade() does;
#  - upgrade and then downgrade returns to the rows that were there;
#  - a second database, loaded in another order, gives the same answers.
#
# Environment: MIGRATE_PROPERTY_SEED, MIGRATE_PROPERTY_ROUNDS (graphs; by
# default 150, or what 25 seconds allow).
use strict;
use warnings;
use utf8;

use FindBin;
use List::Util qw(shuffle);
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $seed = $ENV{MIGRATE_PROPERTY_SEED} // int(time) % 1_000_000;
my $rounds = $ENV{MIGRATE_PROPERTY_ROUNDS} // 150;
my $deadline = defined $ENV{MIGRATE_PROPERTY_ROUNDS} ? undef : time + 25;
my $calls = 30;
srand $seed;
diag "seed $seed";
binmode $_, ':encoding(UTF-8)' for Test::More->builder->output, Test::More->builder->failure_output;

my $dir = scratch_dir();
my @sessions;
for my $n (1, 2)
{
	my $session =
	  connect_to(create_database("mig_properties_$n"), options => '-c statement_timeout=20s');
	$session->run('CREATE TABLE ran (n serial, rev text, dir text)',
		'CREATE TABLE failing (rev text)');
	push @sessions, $session;
}

sub any { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }

# ------------------------------------------------------------- the model ----

# The graph as the database has it: {id}{down, depends, parents, labels}.
my %graph;
# The applied revisions, by the calls that succeeded.
my %applied;
my %failing;
my %seen_states;

sub closure
{
	my @todo = @_;
	my %set;
	while (defined(my $id = shift @todo))
	{
		next if $set{$id}++;
		push @todo, @{ $graph{$id}{parents} };
	}
	return \%set;
}

# Applied revisions that have none of others above them.
sub maximal
{
	my %below;
	for my $id (@_)
	{
		$below{$_} = 1 for @{ $graph{$id}{parents} };
	}
	return sort grep { !$below{$_} } @_;
}

sub descendants
{
	my @todo = @_;
	my %set;
	while (defined(my $id = shift @todo))
	{
		next if $set{$id}++;
		push @todo, grep { grep { $_ eq $id } @{ $graph{$_}{parents} } } keys %graph;
	}
	return \%set;
}

# What a downgrade to a revision reverts: the revision's children by down
# revision and all that needs those.  What merely depends on the revision
# itself can stay, because the revision does.
sub above
{
	my $id = shift;
	return descendants(grep { grep { $_ eq $id } @{ $graph{$_}{down} } } keys %graph);
}

sub read_graph
{
	%graph = ();
	my @rows = $sessions[0]->rows(
		q{SELECT revision
			|| '|' || array_to_string(down_revisions, ',')
			|| '|' || array_to_string(depends_on, ',')
			|| '|' || array_to_string(branch_labels, ',')
			|| '|' || (downgrade_sql IS NULL)::text
			|| '|' || (upgrade_sql = '')::text
		FROM migrate.revisions});
	for my $row (@rows)
	{
		utf8::decode($row);
		my ($id, $down, $depends, $labels, $irreversible, $silent) = split /\|/, $row;
		$graph{$id} = {
			down         => [ split /,/, $down ],
			depends      => [ split /,/, $depends ],
			labels       => [ split /,/, $labels ],
			parents      => [ split(/,/, $down), split(/,/, $depends) ],
			irreversible => $irreversible eq 'true',
			silent       => $silent eq 'true',
		};
	}
	return;
}

# ------------------------------------------------------------ random things ----

sub random_id
{
	my $taken = shift;
	while (1)
	{
		my $first = any('a', 'ab', 'b', '0', 'é', 'r_', 'A');
		my $id = join '', $first, map { any('0' .. '9', 'a' .. 'c', '_', '.') } 1 .. 1 + rand 4;
		return $id unless $taken->{$id}++;
	}
}

# A random graph: the text of each file, by id.
sub random_files
{
	my $n = 2 + int rand 13;
	my (@ids, %taken, %files, %parents);
	my $label = 0;
	my $bases = 0.05 + rand 0.25;
	for (1 .. $n)
	{
		my $id = random_id(\%taken);
		my (@down, @depends);
		if (@ids && !chance($bases))
		{
			my $wanted = chance(0.25) ? 2 + int rand 2 : 1;
			@down = (shuffle(@ids))[ 0 .. $wanted - 1 ];
			@down = ($ids[-1]) if $wanted == 1 && chance(0.5);
			@down = grep { defined } @down;
			# A merge of a revision with its own ancestor is no merge.
			my %below;
			for my $parent (@down)
			{
				my @todo = @{ $parents{$parent} };
				while (defined(my $at = shift @todo))
				{
					push @todo, @{ $parents{$at} } unless $below{$at}++;
				}
			}
			@down = grep { !$below{$_} } @down;
		}
		if (@ids && chance(0.3))
		{
			my %is_down = map { $_ => 1 } @down;
			@depends = grep { defined && !$is_down{$_} } (shuffle(@ids))[ 0 .. rand 2 ];
		}
		$parents{$id} = [ @down, @depends ];
		push @ids, $id;
		my $wanted_labels = chance(0.2) ? 1 + int rand 2 : 0;
		my @labels = map { 'lab' . chr(ord('a') + $label++) . 'x' } 1 .. $wanted_labels;
		$files{$id} = file($id, \@down, \@depends, \@labels);
	}
	return \%files;
}

sub script
{
	my ($id, $direction) = @_;
	my $name = lit($id);
	return <<"SQL";
DO \$\$ BEGIN
  IF EXISTS (SELECT FROM failing WHERE rev = $name) THEN
    RAISE 'asked to fail';
  END IF;
END \$\$;
INSERT INTO ran (rev, dir) VALUES ($name, '$direction');
SQL
}

sub file
{
	my ($id, $down, $depends, $labels) = @_;
	my $text =
	    "-- revision $id\n--\n-- Revision ID: $id\n-- Revises: "
	  . join(', ', shuffle(@$down))
	  . "\n-- Depends On: "
	  . join(', ', @$depends)
	  . "\n-- Branch Labels: "
	  . join(', ', @$labels)
	  . "\n\n-- migrate:up\n"
	  . script($id, 'up');
	$text .= "\n-- migrate:down\n" . script($id, 'down') unless chance(0.04);
	return $text;
}

sub random_name
{
	my @names = sort keys %graph;
	my @labels = map { @{ $graph{$_}{labels} } } @names;
	my $name = any(@names) // 'none';    # all may have been dropped
	return any(@labels) if @labels && chance(0.3);
	return substr $name, 0, 1 + rand length $name if chance(0.2);
	return $name;
}

sub steps { return any(1, 1, 1, 2, 2, 3, 4, 0, 7) }

# Any target that the grammar has, and some that it has not.
my @templates = (
	(sub { random_name() }) x 6,
	(sub { any(qw(head heads base current)) }) x 4,
	(sub { '+' . steps() }) x 3,
	(sub { '-' . steps() }) x 3,
	(sub { random_name() . any('+', '-') . steps() }) x 3,
	sub { any(qw(head heads base current)) . any('+', '-') . steps() },
	(sub { random_name() . '@' . any(qw(head heads base current)) }) x 3,
	(sub { random_name() . '@' . any('+', '-') . steps() }) x 3,
	sub { random_name() . '@' . random_name() },
	sub { random_name() . '@' . any(random_name(), qw(head heads base)) . any('+', '-') . steps() },
	sub {
		any('', ' ', '@', '+', '-', '@head', 'head@', 'a@@b', '+-1', '-1+1',
			'+99999999999999999999', '-99999999999999999999',
			'a:b', ':', 'Head', 'head ', '%s', '{a,b}', "\x{1F600}", 'x' x 300,
			'+1.5', 'base@base', 'heads@heads', '--1');
	});

sub random_target { return any(@templates)->() }

# ------------------------------------------------------------------ calls ----

my $history;    # of this graph, for messages

sub report
{
	my ($what, @more) = @_;
	my @graph;
	for my $id (sort keys %graph)
	{
		my ($down, $depends, $labels) = map { "[@$_]" } @{ $graph{$id} }{qw(down depends labels)};
		push @graph, "  $id <- $down depends $depends labels $labels";
	}
	fail($what);
	diag "seed $seed\n" . join "\n", @more, 'graph:', @graph, 'calls:', map { "  $_" } @$history;
	return;
}

my $bytes = sub { my $copy = shift; utf8::encode($copy); return $copy };

# One statement in both databases, with the same answer.
sub both
{
	my $sql = shift;
	my @results = map { $_->query($bytes->($sql)) } @sessions;
	for my $result (@results)
	{
		utf8::decode($_) for @{ $result->{rows} }, $result->{err}, $result->{message};
	}
	my ($one, $two) = map { join "\n", $_->{state}, $_->{message}, @{ $_->{rows} } } @results;
	if ($one ne $two)
	{
		report("the same answer in two databases: $sql", "one: $one", "other: $two");
	}
	return $results[0];
}

# What is in the tables of the first database, in one string each.
sub tables
{
	my $row = $sessions[0]->value(<<'SQL');
SELECT concat_ws('|',
	(SELECT coalesce(string_agg(revision, ',' ORDER BY revision COLLATE "C"), '')
		FROM migrate.versions),
	(SELECT coalesce(string_agg(revision, ',' ORDER BY revision COLLATE "C"), '')
		FROM migrate.applied),
	(SELECT coalesce(string_agg(rev || ' ' || dir, ',' ORDER BY n), '') FROM ran),
	(SELECT count(*) FROM migrate.log))
SQL
	utf8::decode($row);
	my ($versions, $applied, $ran, $log) = split /\|/, $row, -1;
	return {
		versions => [ split /,/, $versions ],
		applied  => [ split /,/, $applied ],
		ran      => [ split /,/, $ran ],
		log      => $log,
		all      => $row
	};
}

my %expected_states = map { $_ => 1 } qw(00000 MG001 MG002 MG003 MG005);

# Whether the tables say what the model says.
sub check_tables
{
	my ($what, $now) = @_;
	my @versions = maximal(keys %applied);
	"@versions" eq "@{[ sort @{ $now->{versions} } ]}"
	  or report(
		"$what: version rows are the maximal applied ones",
		"model: @versions",
		"table: @{$now->{versions}}");
	"@{[ sort keys %applied ]}" eq "@{[ sort @{ $now->{applied} } ]}"
	  or report("$what: applied", "model: @{[ sort keys %applied ]}", "table: @{$now->{applied}}");
	"@{[ sort keys %{ closure(@{ $now->{versions} }) } ]}" eq "@{[ sort keys %applied ]}"
	  or report("$what: applied is the closure of the version rows");
	return;
}

# What a target without any grammar in it must mean for an upgrade; undef for
# the others.
sub plain_meaning
{
	my $target = shift;
	return [$target] if $graph{$target};
	for my $id (keys %graph)
	{
		return [$id] if grep { $_ eq $target } @{ $graph{$id}{labels} };
	}
	return [ keys %graph ] if $target eq 'heads';
	return [] if $target eq 'base';
	return [ grep { $applied{$_} } keys %graph ] if $target eq 'current';
	return;
}

sub move
{
	my ($direction, $target) = @_;
	my $call = "migrate.$direction(" . lit($target) . ')';
	my $before = tables();
	my ($pending, $resolved);
	if ($direction eq 'upgrade')
	{
		$pending = both('SELECT migrate.pending(' . lit($target) . ')');
		$resolved = both('SELECT migrate.resolve(' . lit($target) . ')');
	}
	my $result = both("SELECT $call");
	my $now = tables();
	my @moved = @{ $result->{rows} };
	push @$history, "$call -> $result->{state} @moved";
	$seen_states{ $result->{state} }++;

	if ($result->{state} ne '00000')
	{
		my $fine = $expected_states{ $result->{state} }
		  || ($result->{state} eq 'P0001' && %failing)
		  || ($result->{state} eq 'MG006' && $direction eq 'downgrade');
		$fine or report("$call: an error that is documented", $result->{err});
		$now->{all} eq $before->{all}
		  or report("$call: a failed call changes nothing", $before->{all}, $now->{all});
		if ($pending && $result->{state} ne 'P0001')
		{
			$pending->{state} eq $result->{state}
			  or report("$call: pending fails alike", $pending->{err});
		}
		if ($direction eq 'upgrade' && plain_meaning($target) && $result->{state} ne 'P0001')
		{
			report("$call: an id, label, heads or base is a legal target", $result->{err});
		}
		return check_tables($call, $now);
	}

	# Only what is missing, in a legal order, and every script once.
	my %was = %applied;
	for my $id (@moved)
	{
		if ($direction eq 'upgrade')
		{
			$applied{$id}++ and report("$call: \"$id\" is applied twice");
			$failing{$id} && !$graph{$id}{silent} and report("$call: \"$id\" should have failed");
			for my $parent (@{ $graph{$id}{parents} })
			{
				$applied{$parent} or report("$call: \"$id\" before its parent \"$parent\"");
			}
		}
		else
		{
			delete $applied{$id} or report("$call: \"$id\" was not applied");
			$graph{$id}{irreversible} and report("$call: \"$id\" cannot be reverted");
			for my $child (keys %applied)
			{
				grep { $_ eq $id } @{ $graph{$child}{parents} }
				  and report("$call: \"$id\" before its child \"$child\"");
			}
		}
	}
	my $short = $direction eq 'upgrade' ? 'up' : 'down';
	my @ran = @{ $now->{ran} };
	my @new = splice @ran, scalar @{ $before->{ran} };
	"@new" eq join(' ', map { "$_ $short" } grep { !$graph{$_}{silent} } @moved)
	  or report("$call: the scripts that ran", "@new");
	$now->{log} == $before->{log} + @moved or report("$call: a log row for each step");
	check_tables($call, $now);

	if ($direction eq 'upgrade')
	{
		$pending->{state} eq '00000' && "@{$pending->{rows}}" eq "@moved"
		  or report("$call: pending() said so", "@{$pending->{rows}}", $pending->{err});
		# What it resolves to, and all it needs, is applied now, and no more.
		my %missing = %{ closure(@{ $resolved->{rows} }) };
		delete @missing{ keys %was };
		if (!($target =~ /^\+/))
		{
			"@{[ sort keys %missing ]}" eq "@{[ sort @moved ]}"
			  or report("$call: what the target needs and no more",
				"needed: @{[ sort keys %missing ]}");
		}
		if (my $meaning = plain_meaning($target))
		{
			my %want = %{ closure(@$meaning) };
			delete @want{ keys %was };
			"@{[ sort keys %want ]}" eq "@{[ sort @moved ]}"
			  or report("$call: applies what is missing", "model: @{[ sort keys %want ]}");
		}
	}
	elsif ($target eq 'base')
	{
		%applied and report("$call: nothing is left");
	}
	elsif ($graph{$target})
	{
		my %want = %{ above($target) };
		my @want = sort grep { $was{$_} } keys %want;
		"@want" eq "@{[ sort @moved ]}" or report("$call: all that is above", "model: @want");
	}
	return;
}

sub stamp
{
	my @targets = @_;
	my $purge = chance(0.15) ? ', purge => true' : '';
	my $what =
	  @targets == 1 && chance(0.7)
	  ? lit($targets[0])
	  : 'ARRAY[' . join(',', map { lit($_) } @targets) . ']::text[]';
	my $call = "migrate.stamp($what$purge)";
	my $before = tables();
	my $result = both("SELECT $call");
	my $now = tables();
	push @$history, "$call -> $result->{state} @{$result->{rows}}";
	$seen_states{ $result->{state} }++;
	if ($result->{state} ne '00000')
	{
		$expected_states{ $result->{state} }
		  or report("$call: an error that is documented", $result->{err});
		$now->{all} eq $before->{all} or report("$call: a failed call changes nothing");
		return;
	}
	%applied = %{ closure(@{ $result->{rows} }) };
	"@{$now->{ran}}" eq "@{$before->{ran}}" or report("$call: runs nothing");
	check_tables($call, $now);
	if (@targets == 1 && $graph{ $targets[0] })
	{
		(grep { $_ eq $targets[0] } @{ $result->{rows} }) or report("$call: the target is a row");
	}
	return;
}

# Up and back again, in a transaction that is rolled back.
sub round_trip
{
	my $target = shift;
	my @rows = maximal(keys %applied);
	return if @rows > 1;
	my $back = @rows ? $rows[0] : 'base';
	both('BEGIN');
	my $before = tables();
	my $up = both('SELECT migrate.upgrade(' . lit($target) . ')');
	my $below = @rows ? above(@rows) : undef;

	# where a downgrade leads back
	my $is_undone = sub {
		my $id = shift;
		return !$graph{$id}{irreversible} && (!$below || $below->{$id});
	};
	if ($up->{state} eq '00000' && !grep { !$is_undone->($_) } @{ $up->{rows} })
	{
		my $down = both('SELECT migrate.downgrade(' . lit($back) . ')');
		my $call = "upgrade('$target'), downgrade('$back')";
		if ($down->{state} eq '00000')
		{
			my $now = tables();
			"@{[ sort @{$down->{rows}} ]}" eq "@{[ sort @{$up->{rows}} ]}"
			  or report("$call: reverts what was applied");
			my ($was, $is) = map { "@{$_->{versions}} @{$_->{applied}}" } $before, $now;
			$is eq $was or report("$call: returns to the same rows");
		}
		else
		{
			report($call, $down->{err});
		}
	}
	both('ROLLBACK');
	return;
}

# New and changed revisions never move what is applied.
sub author
{
	my @ids = sort keys %graph;
	my %taken = map { $_ => 1 } @ids;
	my $id = chance(0.5) ? any(@ids) : random_id(\%taken);
	my @others = grep { $_ ne $id } @ids;
	my $before = tables();
	my $what = any(qw(load revision merge drop));
	my %arguments = (
		load => sub {
			my @down = chance(0.8) && @others ? any(@others) : ();
			my @depends = chance(0.3) ? any(@ids) : ();
			return lit(file($id, \@down, \@depends, []));
		},
		revision => sub {
			return join ', ', "'m'", 'rev_id => ' . lit($id),
			  'head => ' . lit(random_target()), 'splice => ' . any('true', 'false');
		},
		merge => sub {
			my $heads = "'{heads}'";
			$heads = 'ARRAY[' . join(',', map { lit(random_target()) } 1, 2) . ']' if chance(0.5);
			return "$heads, rev_id => " . lit($id);
		},
		drop => sub { return lit(random_target()) });
	my $sql = "SELECT migrate.$what(" . $arguments{$what}->() . ')';
	my $result = both($sql);
	push @$history, ($sql =~ s/\n.*//sr) . " -> $result->{state}";
	$seen_states{"$what $result->{state}"}++;
	my $now = tables();
	$result->{state} =~ /^(?:00000|MG\d\d\d|22023)$/
	  or report("$sql: an error that is documented", $result->{err});
	$now->{all} eq $before->{all} or report("$sql: nothing moved");
	read_graph();
	"@{[ sort keys %{ closure(@{ $now->{versions} }) } ]}" eq "@{[ sort @{ $now->{applied} } ]}"
	  or report("$sql: applied is still the closure of the version rows");
	return;
}

# ------------------------------------------------------------------ rounds ----

my $round = 0;
while ($round < $rounds && !(defined $deadline && time > $deadline))
{
	$round++;
	$history = [];
	%failing = ();
	%applied = ();
	for my $session (@sessions)
	{
		$session->run(
			'TRUNCATE migrate.revisions, migrate.versions, migrate.applied, migrate.steps',
			'TRUNCATE ran, failing RESTART IDENTITY');
	}
	my $files = random_files();
	my @loaded;
	for my $i (0, 1)
	{
		my $to = "$dir/$round.$i";
		mkdir $to;
		my $n = 0;
		spew(sprintf('%s/%03d.sql', $to, $n++), $bytes->($files->{$_}))
		  for shuffle(sort keys %$files);
		push @loaded, [ $sessions[$i]->rows('SELECT migrate.load_directory(' . lit($to) . ')') ];
		$sessions[$i]->run('ANALYZE migrate.revisions') if $i;
	}
	is_deeply($loaded[1], $loaded[0],
		"graph $round: the files load in the same order, however they are called");
	read_graph();
	is(scalar keys %graph, scalar keys %$files,
		"graph $round: all " . keys(%$files) . ' revisions are stored');

	my $failed = grep { !$_ } Test::More->builder->summary;
	for (1 .. $calls)
	{
		my $what = rand;
		if ($what < 0.06)
		{
			%failing = chance(0.5) || %failing ? () : map { $_ => 1 } any(sort keys %graph);
			both('DELETE FROM failing');
			both('INSERT INTO failing VALUES (' . lit($_) . ')') for keys %failing;
		}
		elsif ($what < 0.14)
		{
			stamp(map { random_target() } 1 .. (chance(0.3) ? 2 : 1));
		}
		elsif ($what < 0.22 && !%failing)
		{
			round_trip(random_target());
		}
		elsif ($what < 0.28)
		{
			author();
		}
		elsif ($what < (%applied ? 0.62 : 0.95))
		{
			move('upgrade', random_target());
		}
		else
		{
			move('downgrade', random_target());
		}
		last if grep({ !$_ } Test::More->builder->summary) > $failed;
	}
	ok($failed == grep({ !$_ } Test::More->builder->summary), "graph $round: $calls calls");
	ok($_->alive, "graph $round: the server lives") for @sessions;
	last if grep({ !$_ } Test::More->builder->summary) > 5;
}
note "$round graphs, answers: " . join ', ', map { "$_ $seen_states{$_}" } sort keys %seen_states;
cmp_ok($round, '>', 0, 'something was tried');
$_->finish for @sessions;
drop_databases();
done_testing();
