#!/usr/bin/perl
#
# Stepwise runs that are cut short, at every statement boundary and inside of
# long statements, by all that can cut them short: a cancel, a terminated
# session, kill -9 of the server process, an immediate shutdown, a client that
# dies, timeouts, a full lock table.  After each fault what is recorded and
# what is there agree; another CALL goes on, and in the end every statement
# has run once.  interrupted.t has the single branches.
#
# A walk goes through a plan from point to point, with a fault at each.
# MIGRATE_FAULTS=thorough tries every fault at every point, and then faults at
# any time (of MIGRATE_FAULTS_SEED), which takes some minutes; otherwise each
# point gets two of them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateFaults;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $thorough = ($ENV{MIGRATE_FAULTS} // '') eq 'thorough';
alarm($thorough ? 3000 : 400);

# Tables that the plan works on, and an invalid index of the user's own on each,
# which must stay.
my @tables = qw(t_named t_unnamed t_unique t_ine t_reindex t_drop t_vacuum t_vacuum2);
my $create_tables = join '', map {
	"CREATE TABLE $_ (a int, b int, dup int);"
	  . " INSERT INTO $_ SELECT i, i, 1 FROM generate_series(1, 3) i;\n"
} @tables;
prepare(<<'SQL' . $create_tables);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE moods (mood mood);
CREATE TABLE part (a int) PARTITION BY LIST (a);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
INSERT INTO part VALUES (1), (2);
SQL
{
	my $session = connect_to('faults_template');
	for my $table (@tables)
	{
		my $result =
		  $session->query("CREATE UNIQUE INDEX CONCURRENTLY users_own_$table ON $table (dup)");
		die "users_own_$table: $result->{err}" unless $result->{state} eq '23505';
	}
	$session->run(
		q{CREATE INDEX i_reindex ON t_reindex (gated(a, 'build of i_reindex'))},
		'CREATE INDEX i_drop ON t_drop (a)',
		q{CREATE INDEX i_vacuum ON t_vacuum (gated(a, 'analyze of t_vacuum'))});
	$session->finish;
}

# ------------------------------------------------------------------- plan ----

# Statements: sql; ran, it writes its name into the table of that name; done,
# what is true when it is done and only then; phases, those of it that the walk
# stops in, and what "phase" wants to know; batches, it is a procedure that
# commits.
sub ran       { return { ran => 1 } }
sub gate      { return { sql => "SELECT gate('$_[0]')" } }
sub statement { my ($sql, @more) = @_;        return { sql => $sql, @more } }
sub alone     { my ($sql, $done, @more) = @_; return { sql => $sql, done    => $done, @more } }
sub batches   { my $sql = shift;              return { sql => $sql, batches => 1 } }

sub valid
{
	return "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('$_[0]') AND indisvalid)";
}
sub rebuilt  { return "to_regclass('$_[0]')::oid <> (SELECT oid FROM marks WHERE name = '$_[0]')" }
sub vacuumed { return "(SELECT relallvisible > 0 FROM pg_class WHERE oid = '$_[0]'::regclass)" }

my $attached = q{EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('part_1'))};

my @plan = (
	{   id => 'r1',
		transactional => 1,
		upgrade       => [
			statement('CREATE TABLE one ()', done => q{to_regclass('one') IS NOT NULL}), ran(),
			gate('in r1'), ran()
		],
		downgrade => [
			ran(), gate('in r1, down'),
			statement('DROP TABLE one', done => q{to_regclass('one') IS NULL}), ran()
		],
	},
	{   id => 'r2',
		upgrade => [
			statement(q{SET app.tenant = 'acme'}),
			ran(),
			alone(
				q{CREATE INDEX CONCURRENTLY i_named ON t_named (gated(a, 'build of i_named'))},
				valid('i_named'),
				phases => [qw(writers later_writers snapshots)],
				table  => 't_named',
				build  => 'build of i_named'),
			ran(),
			alone(
				'CREATE INDEX CONCURRENTLY ON t_unnamed (b)', valid('t_unnamed_b_idx'),
				phases => [qw(writers snapshots)],
				table  => 't_unnamed'),
			alone(
				q{CREATE UNIQUE INDEX CONCURRENTLY i_unique ON t_unique (a, gated(b,}
				  . q{ 'build of i_unique'))},
				valid('i_unique'),
				phases => [qw(snapshots)],
				table  => 't_unique'),
			statement('BEGIN'),
			ran(),
			gate('in the group'),
			ran(),
			statement('COMMIT'),
			alone(
				q{CREATE INDEX CONCURRENTLY IF NOT EXISTS i_ine ON t_ine (gated(a,}
				  . q{ 'build of i_ine'))},
				valid('i_ine'),
				phases => [qw(snapshots)],
				table  => 't_ine'),
			gate('in a statement'),
			ran(),
		],
		downgrade => [
			ran(),
			statement(q{SET app.tenant = 'down'}),
			alone(
				'DROP INDEX CONCURRENTLY i_named', q{to_regclass('i_named') IS NULL},
				phases => [qw(drop later_drop)],
				table  => 't_named',
				index  => 'i_named'),
			alone(
				'DROP INDEX CONCURRENTLY IF EXISTS i_ine', q{to_regclass('i_ine') IS NULL},
				phases => [qw(drop)],
				table  => 't_ine',
				index  => 'i_ine'),
			alone(
				'DROP INDEX CONCURRENTLY t_unnamed_b_idx',
				q{to_regclass('t_unnamed_b_idx') IS NULL}),
			ran(),
			alone(
				'DROP INDEX CONCURRENTLY i_unique', q{to_regclass('i_unique') IS NULL},
				phases => [qw(later_drop)],
				table  => 't_unique',
				index  => 'i_unique'),
		],
	},
	{   id => 'r3',
		transactional => 1,
		upgrade       => [
			ran(),
			statement(
				'ALTER TABLE t_named ADD more int',
				done =>
				  q{EXISTS (SELECT FROM pg_attribute WHERE attrelid = 't_named'::regclass AND}
				    . q{ attname = 'more')}
			)
		],
		downgrade => [
			statement(
				'ALTER TABLE t_named DROP more',
				done =>
				  q{NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 't_named'::regclass AND}
				    . q{ attname = 'more')}
			),
			ran()
		],
	},
	{   id => 'r4',
		upgrade => [
			alone(
				'REINDEX INDEX CONCURRENTLY i_reindex', rebuilt('i_reindex'),
				phases => [qw(writers later_writers snapshots readers later_readers)],
				table  => 't_reindex',
				build  => 'build of i_reindex'),
			ran(),
			alone(
				'VACUUM (ANALYZE) t_vacuum', vacuumed('t_vacuum'),
				phases => [qw(vacuum)],
				table  => 't_vacuum'),
			statement(
				q{ALTER TYPE mood ADD VALUE 'new'},
				done => q{EXISTS (SELECT FROM pg_enum WHERE enumlabel = 'new')}),
			statement(
				q{INSERT INTO moods VALUES ('new')},
				done => '(SELECT count(*) FROM moods) = 1'),
			alone(
				'DROP INDEX CONCURRENTLY i_drop', q{to_regclass('i_drop') IS NULL},
				phases => [qw(drop later_drop)],
				table  => 't_drop',
				index  => 'i_drop'),
		],
		downgrade => [
			alone(
				'REINDEX TABLE CONCURRENTLY t_reindex', rebuilt('i_reindex'),
				phases => [qw(snapshots readers)],
				table  => 't_reindex',
				build  => 'build of i_reindex'),
			alone(
				q{CREATE INDEX CONCURRENTLY i_drop ON t_drop (a)}, valid('i_drop'),
				phases => [qw(snapshots)],
				table  => 't_drop'),
			ran(),
			statement('DELETE FROM moods', done => '(SELECT count(*) FROM moods) = 0'),
			gate('in a statement, down'),
		],
	},
	{   id => 'r5',
		upgrade => [
			batches(q{CALL batches('r5 upgrade 1')}),
			ran(),
			$version >= 14
			? alone(
				'ALTER TABLE part DETACH PARTITION part_1 CONCURRENTLY', "NOT $attached",
				phases    => [qw(detach)],
				table     => 'part',
				partition => 'part_1')
			: statement('ALTER TABLE part DETACH PARTITION part_1', done => "NOT $attached"),
			batches(q{DO $$BEGIN CALL public.batches('r5 upgrade 4'); END$$}),
		],
		downgrade => [
			batches(q{CALL batches('r5 downgrade 1')}),
			statement(
				'ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES IN (1)',
				done => $attached),
			ran(),
			alone(
				'VACUUM t_vacuum2', vacuumed('t_vacuum2'),
				phases => [qw(vacuum)],
				table  => 't_vacuum2'),
		],
	},
	{   id => 'r6',
		transactional => 1,
		upgrade       => [
			statement('CREATE TABLE six (LIKE t_named)', done => q{to_regclass('six') IS NOT NULL}),
			ran()
		],
		downgrade => [ statement('DROP TABLE six', done => q{to_regclass('six') IS NULL}), ran() ],
	});
my %plan = map { $_->{id} => $_ } @plan;
my @ids = map { $_->{id} } @plan;

# Numbers and names of the statements, and which tenant they shall see.
for my $revision (@plan)
{
	for my $direction (qw(upgrade downgrade))
	{
		my $number = 0;
		my $tenant = 'mine';
		for my $statement (@{ $revision->{$direction} })
		{
			$statement->{name} = "$revision->{id} $direction " . ++$number;
			$statement->{sql} //= "INSERT INTO public.ran VALUES ('$statement->{name}')";
			$tenant = $1 if $statement->{sql} =~ /^SET app.tenant = '(.*)'/;
			$statement->{rows} = $statement->{ran} ? ["$statement->{name}/$tenant"]
			  : $statement->{batches} ? [ map { "$statement->{name}, batch $_/$tenant" } 1, 2 ]
			  : [];
		}
	}
}

sub script
{
	my $statements = shift;
	return join '', map { "$_->{sql};\n" } @$statements;
}

sub load_plan
{
	my $parent = 'base';
	for my $revision (@plan)
	{
		$watch->run("SELECT migrate.revision('the plan', "
			  . lit(script($revision->{upgrade})) . ', '
			  . lit(script($revision->{downgrade}))
			  . ", '$revision->{id}', '$parent', transactional => "
			  . ($revision->{transactional} ? 'true' : 'false')
			  . ')');
		$parent = $revision->{id};
	}
	return;
}

# -------------------------------------------------------------- agreement ----

my %valid;						# indexes that were valid once, and their OIDs
my %resumed;					# procedures that shall run again: what they did stays

# What the database says: (key => value).
sub look
{
	my $direction = shift;
	my $checks = join '', map {
		map { $_->{done} ? " UNION ALL SELECT 'check $_->{name}', ($_->{done})::text" : () }
		  @{ $_->{$direction} }
	} @plan;
	my $now = <<"SQL" . $checks;
SELECT 'versions', (SELECT string_agg(revision, ' ' ORDER BY revision) FROM migrate.versions)
UNION ALL SELECT 'applied',
	(SELECT string_agg(revision, ' ' ORDER BY revision) FROM migrate.applied)
UNION ALL SELECT 'partial',
	(SELECT string_agg(concat_ws(' ', revision, direction, statements_done, statements, in_doubt,
		intent IS NOT NULL), ', ') FROM migrate.partial)
UNION ALL SELECT 'log',
	(SELECT string_agg(operation || ' ' || revision, ', ' ORDER BY operation, revision)
	FROM migrate.log)
UNION ALL SELECT 'log end', (SELECT versions_after::text FROM migrate.log ORDER BY id DESC LIMIT 1)
UNION ALL SELECT 'ran', (SELECT string_agg(concat(name, '/', tenant), ';' ORDER BY name) FROM ran)
UNION ALL SELECT 'progress', (SELECT count(*)::text FROM migrate.progress)
UNION ALL SELECT 'locks',
	(SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND classid = 1835624306)
UNION ALL SELECT 'prepared', (SELECT count(*)::text FROM pg_prepared_xacts)
UNION ALL SELECT 'invalid',
	(SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid) FROM pg_index
	WHERE NOT indisvalid AND indexrelid::regclass::text NOT LIKE 'users_own%')
UNION ALL SELECT 'users own',
	(SELECT count(*)::text FROM pg_class WHERE relname LIKE 'users_own%'
		AND NOT (SELECT indisvalid FROM pg_index WHERE indexrelid = pg_class.oid))
UNION ALL SELECT 'valid',
	(SELECT string_agg(indexrelid::regclass || '=' || indexrelid::oid, ' ') FROM pg_index
	WHERE indisvalid AND indrelid::regclass::text LIKE 't\\_%'
		AND indexrelid::regclass::text <> 'i_reindex')
SQL
	return map { my ($key, $value) = split /\|/, $_, 2; $key => $value } $watch->rows($now);
}

# What is wrong with what the database says, as sentences.
sub disagreements
{
	my ($direction, %now) = @_;
	my @wrong;
	my $up = $direction eq 'upgrade';
	my @applied = split ' ', $now{applied};
	my @finished = $up ? @applied : reverse grep { my $id = $_; !grep { $_ eq $id } @applied } @ids;
	my $next = ($up ? @ids : reverse @ids)[ scalar @finished ];
	my ($partial, undef, $done, $statements, $in_doubt, $intent) = split ' ', $now{partial};

	push @wrong, "applied is $now{applied}" unless "@applied" eq "@ids[0 .. $#applied]";
	push @wrong, "version rows are $now{versions}, applied is $now{applied}"
	  unless $now{versions} eq ($applied[-1] // '');
	if (defined $partial)
	{
		push @wrong, "partial: $now{partial}, next is " . ($next // '-')
		  unless $now{partial} =~ /^\Q@{[ $next \/\/ '-' ]}\E $direction \d+ \d+ [tf] [tf]$/;
		push @wrong, "partial: $now{partial}, of a transactional script"
		  if $plan{$partial}{transactional};
		# the last one may have been decided
		my $last = $plan{$partial}{$direction}[-1];
		push @wrong, "partial: $now{partial}"
		  unless $statements == @{ $plan{$partial}{$direction} }
		  && ($done < $statements || ($done == $statements && $last->{batches}));
	}

	my $log = join ', ',
	  sort((map { "upgrade $_" } $up ? @finished : @ids),
		$up ? () : map { "downgrade $_" } @finished);
	push @wrong, "log: $now{log}\n    not: $log" unless $now{log} eq $log;
	push @wrong, "last log row: $now{'log end'}"
	  unless $now{'log end'} eq (@finished || !$up ? '{' . ($applied[-1] // '') . '}' : '');

	# every statement: done, perhaps done, or not
	my (@ran, @may);
	@ran = map { map { @{ $_->{rows} } } @{ $_->{upgrade} } } @plan unless $up;
	for my $revision (@plan)
	{
		my $number = 0;
		for my $statement (@{ $revision->{$direction} })
		{
			my $is_done = (grep { $_ eq $revision->{id} } @finished)
			  || (defined $partial && $partial eq $revision->{id} && $number < $done);
			my $may_be =
			  defined $partial && $partial eq $revision->{id} && $number == $done && $intent eq 't';
			my $seems = $now{"check $statement->{name}"};
			push @ran, @{ $statement->{rows} } if $is_done;
			push @may, @{ $statement->{rows} }
			  if $may_be || (!$is_done && $resumed{ $statement->{name} });
			push @wrong,
			  "$statement->{name}: $statement->{sql}: " . ($is_done ? 'not done' : 'done too early')
			  if defined $seems && !$may_be && $seems ne ($is_done ? 'true' : 'false');
			$number++;
		}
	}
	my %times;
	$times{$_}++ for split /;/, $now{ran};
	$times{$_}-- for @ran;
	for my $row (sort keys %times)
	{
		push @wrong,
		  "$row: " . ($times{$row} < 0 ? 'did not run' : "ran $times{$row} times too often")
		  unless $times{$row} == 0 || ($times{$row} == 1 && grep { $_ eq $row } @may);
	}

	push @wrong, 'migrate.progress shows a run' if $now{progress};
	push @wrong, 'the run lock is held' if $now{locks};
	push @wrong, 'invalid index ' . $now{invalid}
	  if length $now{invalid} && !(defined $partial && $intent eq 't');
	push @wrong, "the user's own invalid indexes: $now{'users own'} left"
	  unless $now{'users own'} == @tables;
	for (split ' ', $now{valid})
	{
		my ($name, $oid) = split /=/;
		push @wrong, "index $name was built again" if $valid{$name} && $valid{$name} ne $oid;
		$valid{$name} = $oid;
	}
	return @wrong;
}

# ------------------------------------------------------------------ walks ----

# The gates of a whole run, in order.
sub record_gates
{
	my $direction = shift;
	my $recorder =
	  session(messages => 'notice', options => '-c faults.record=on -c app.tenant=mine');
	my $result = $recorder->query(call($direction));
	die $result->{err} if $result->{state} ne '00000';
	$recorder->finish;
	my @gates = $result->{err} =~ /^NOTICE:  \w+: gate (.*)/mg;
	my %seen;
	return grep { !$seen{$_}++ } @gates;
}

# The points of a walk: as go_to wants them, with a name.
sub points
{
	my ($direction, @gates) = @_;
	my @points;
	for my $at (0 .. $#gates)
	{
		my $gate = $gates[$at];
		push @points,
		  { name => $gate, gates => [$gate], steps => [ [$gate] ], fence => $gates[ $at + 1 ] };
		my ($id, $number) = $gate =~ /^(r\d) $direction: statement (\d+) begins$/ or next;
		my $statement = $plan{$id}{$direction}[ $number - 1 ];
		my ($record) = grep {
				 $_ eq "$id $direction: statement $number done"
			  || $_ eq "$id $direction: recorded"
		} @gates[ $at .. $#gates ];
		for my $phase (@{ $statement->{phases} // [] })
		{
			push @points,
			  {
				name => "$id $direction: statement $number in phase $phase",
				phase($phase, $gate, %$statement), fence => $record
			  };
		}
	}
	return @points;
}

my %leftovers;					# invalid indexes that faults have left
my %tried;						# kinds: how often
my %points;						# of both directions
my %reference;					# the schema after a run without faults
my $timeout = 200;				# ms, of both timeouts

# One walk through the whole plan: at each point a fault, then on.
sub walk
{
	my ($name, $direction, @kinds) = @_;
	my $passed;					# the point may be behind us, for the last fault came late
	begin_walk();

	for my $point (@{ $points{$direction} })
	{
		my $kind = shift @kinds;
		push @kinds, $kind;
		my $begin = time;
		$where = "$name: $point->{name}: $kind";
		my @wrong = decide($direction);
		my ($came, $result, $state);
		while (1)
		{
			$state = session_state();
			$run->run("SET $kind = '${timeout}ms'") if $kind =~ /timeout/;
			$came = go_to($direction, $point);
			$result = inject($kind) unless $came eq 'it ended' && $kind !~ /timeout/;
			last unless $came eq 'it ended' && $kind =~ /timeout/ && $timeout < 10_000;
			# it ended before it was there; or there, but before that was seen
			push @wrong, tidy();
			$run->run('RESET statement_timeout');
			push @wrong, disagreements($direction, look($direction)), decide($direction);
			$timeout *= 2;
			$passed = 1;
		}
		push @wrong, $came if $came && !($came eq 'it went on' && $passed);
		push @wrong, $result ? () : $run->receive->{err};
		push @wrong, "got $result->{got}: $result->{err}"
		  if $result && $result->{got} ne expected_state($kind);
		push @wrong, $result->{err} if $result && bad_warning($result);
		# without a lock it may still come to the end of the statement
		$passed = $kind eq 'full lock table' && $point->{name} =~ /phase/
		  || $passed && $point->{name} !~ /done|recorded/;
		$tried{$kind}++;

		push @wrong, tidy();
		if (survives($kind))
		{
			my $activity = $watch->value(
				"SELECT concat_ws(' ', state, left(query, 4), backend_xid, backend_xmin)"
				  . " FROM pg_stat_activity WHERE pid = $run->{pid}"
			);
			push @wrong, "pg_stat_activity: $activity" if $activity ne 'idle CALL';
			$run->run('RESET statement_timeout');
			my $after = session_state();
			push @wrong, "session was: $state\n        is: $after" if $after ne $state;
		}
		my %now = look($direction);
		$leftovers{$_}++ for split ' ', $now{invalid};
		push @wrong, disagreements($direction, %now);
		# a statement that fails in a session that goes on is not in doubt
		push @wrong, "partial: $now{partial}"
		  if !$came
		  && $point->{name} =~ /phase|^build|^analyze/
		  && $kind ne 'full lock table'
		  && (split ' ', $now{partial})[4] ne (survives($kind) ? 'f' : 't');
		ok(!@wrong, "$name: $point->{name}: $kind") or diag join "\n", @wrong;
		note sprintf '%s: %.0f ms%s', $where, 1000 * (time - $begin),
		  length $now{invalid} ? ", left $now{invalid}" : '';
		return 0 if @wrong && $came;
	}

	$where = "$name: end";
	my @wrong = decide($direction);
	my $result = $run->query(call($direction));
	push @wrong, $result->{err} if $result->{state} ne '00000';
	my %now = look($direction);
	push @wrong, disagreements($direction, %now), $now{partial} ? "partial: $now{partial}" : (),
	  $now{invalid}                                             ? "invalid: $now{invalid}" : ();
	push @wrong, "applied: $now{applied}"
	  unless $now{applied} eq ($direction eq 'upgrade' ? "@ids" : '');
	my $schema = schema_dump($database);
	push @wrong, 'the schema is not that of a run without faults:',
	  difference($reference{$direction}, $schema)
	  if $schema ne $reference{$direction};
	ok(!@wrong, "$name: one more call ends it, and everything is done once")
	  or diag join "\n", @wrong;
	return !@wrong;
}

# What is checked is what changes from here on.
sub begin_walk
{
	%valid = %resumed = ();
	$watch->run('DELETE FROM marks',
		q{INSERT INTO marks SELECT 'i_reindex', 'i_reindex'::regclass});
	return;
}

# Lines that only one of two texts has.
sub difference
{
	my ($one, $other) = @_;
	my %count;
	$count{$_}++ for split /\n/, $other;
	$count{$_}-- for split /\n/, $one;
	return map { $count{$_} ? ($count{$_} > 0 ? '+' : '-') . $_ : () } sort keys %count;
}

# When a procedure is in doubt, a call must say so and change nothing; then it
# is decided.
sub decide
{
	my $direction = shift;
	my %before = look($direction);
	my ($id, undef, $done, undef, $in_doubt) = split ' ', $before{partial};
	return unless defined $id && $in_doubt eq 't' && $plan{$id}{$direction}[$done]{batches};
	my @wrong;
	my $statement = $plan{$id}{$direction}[$done];
	my $result = $run->query(call($direction));
	push @wrong, "in doubt, but: $result->{state} $result->{err}"
	  unless $result->{state} eq 'MG013';
	my %after = look($direction);
	push @wrong, map { $before{$_} eq $after{$_} ? () : "MG013 changed $_" } keys %before;
	return @wrong if @wrong;
	my $all = !grep {
		my $row = $_;
		!grep { $_ eq $row } split /;/, $after{ran}
	} @{ $statement->{rows} };
	$resumed{ $statement->{name} } = !$all;
	$watch->run("SELECT migrate.resume('$id', '" . ($all ? 'done' : 'again') . "')");
	return @wrong;
}

# ------------------------------------------------------------------ storm ----

# Faults at any time, not at points only, and two cancels one soon after the
# other: whatever is cut short, all agrees.
sub storm
{
	my $seed = $ENV{MIGRATE_FAULTS_SEED} // time % 1_000_000;
	my $end = time + ($ENV{MIGRATE_FAULTS_SECONDS} // 120);
	my ($calls, $rounds) = (0, 0);
	my @wrong;
	note "MIGRATE_FAULTS_SEED=$seed";
	srand $seed;
	while (time < $end && !@wrong)
	{
		$rounds++;
		new_database();
		load_plan();
		for my $direction (qw(upgrade downgrade))
		{
			begin_walk();
			until (@wrong)
			{
				push @wrong, decide($direction);
				my $kind = (
					'statement_timeout', 'statement_timeout', 'cancel', 'cancel', 'terminate',
					rand() < 0.1 ? 'kill -9' : 'terminate')[ rand 6 ];
				my $wait = rand()**2 * 0.04;
				$where = sprintf 'storm %d, call %d, %s, %s, %.1f ms', $seed, ++$calls, $direction,
				  $kind, 1000 * $wait;
				my $state = session_state();
				$run->run(sprintf "SET statement_timeout = '%d'", 1 + 1000 * $wait)
				  if $kind eq 'statement_timeout';
				$run->send(call($direction));
				sleep $wait unless $kind eq 'statement_timeout';
				for (2 .. 1 + ($kind eq 'cancel' ? 1 + rand 2 : 0))
				{
					$watch->run("SELECT pg_cancel_backend($run->{pid})");
					sleep rand 0.003;
				}
				my $result = survives($kind) ? $run->receive : inject($kind);
				tidy();
				if (survives($kind))
				{
					# a cancel may come too late for the call
					$run->query('SELECT 1');
					$run->run('RESET statement_timeout');
					my $after = session_state();
					push @wrong, "session was: $state\n        is: $after" if $after ne $state;
				}
				my %now = look($direction);
				push @wrong, disagreements($direction, %now);
				push @wrong, $result->{err}
				  if bad_warning($result) || $result->{state} !~ /^(?:57...|00000|DEAD!|MG013)$/;
				last if $now{applied} eq ($direction eq 'upgrade' ? "@ids" : '');
			}
		}
		push @wrong, difference($reference{downgrade}, schema_dump($database)) unless @wrong;
	}
	ok(!@wrong, "faults at any time: $calls calls, $rounds rounds")
	  or diag join "\n", $where, @wrong;
	return;
}

# ------------------------------------------------------------------ tests ----

new_database();
load_plan();
for my $direction (qw(upgrade downgrade))
{
	begin_walk();
	$points{$direction} = [ points($direction, record_gates($direction)) ];
	my @wrong = disagreements($direction, look($direction));
	ok(!@wrong, "a run without a fault: $direction") or diag join "\n", @wrong;
	$reference{$direction} = schema_dump($database);
	note sprintf '%s: %d points', $direction, scalar @{ $points{$direction} };
}

# The second of two walks does without the faults that take longest.
my @kinds = (
	'terminate', 'cancel', 'kill -9',
	'full lock table',
	$version >= 14 ? 'dead client' : (),
	'statement_timeout',
	'immediate shutdown',
	$version >= 17 ? 'transaction_timeout' : ());
my @walks =
  $thorough
  ? map({ [ rotated($_, @kinds) ] } 0 .. $#kinds)
  : ([@kinds], [ grep { !/kill|shutdown/ } rotated(4, @kinds) ]);

sub rotated
{
	my ($by, @list) = @_;
	return @list[ map { ($_ + $by) % @list } 0 .. $#list ];
}

for my $walk (1 .. @walks)
{
	new_database();
	load_plan();
	for my $direction (qw(upgrade downgrade))
	{
		my $start = time;
		walk("walk $walk", $direction, @{ $walks[ $walk - 1 ] }) or last;
		note sprintf 'walk %d, %s: %.1f s', $walk, $direction, time - $start;
	}
}
note join ', ', map { "$_: $leftovers{$_}" } sort keys %leftovers;
note join ', ', map { "$_: $tried{$_}" } sort keys %tried;
ok($leftovers{$_}, "faults left an invalid $_, which did not stay")
  for qw(i_named t_unnamed_b_idx i_unique i_ine i_drop i_reindex_ccnew i_reindex_ccold);
storm() if $thorough;

close_sessions();
my $log = $server->log_text;
unlike($log, qr/PANIC:|TRAP:|was terminated by signal (?!9)/, 'no crash but those made here');
done_testing();
