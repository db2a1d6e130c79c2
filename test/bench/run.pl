#!/usr/bin/perl
#
# What "make bench" measures: run.pl [PART...], on the server that the
# environment names (test/tools/bench starts it).
#
#	tables	upgrade and downgrade of 1,000 revisions that create a table each
#	rows	the same of 10,000 that insert a row each
#	stepwise	upgrade_stepwise and downgrade_stepwise of 1,000 of either, against
#			one psql with a transaction for each
#	noop	upgrade('head') with nothing to do, in a new connection
#	pending	pending('heads') over 100,000 revisions
#	load	10,000 files
#	memory	of the backend that upgrades
#	client	pg_migrate: an upgrade of 100 files with nothing to do, and a new file;
#			beside it psql alone, and dbmate (MIGRATE_DBMATE or PATH), goose and
#			alembic, those that are there
#	tests	test_up_down_consistency() over the 285 revisions of crates.io, where the shared
#			data is (MIGRATE_SHARED_DATA), against one psql that runs the same scripts
#	lint	lint() over the same, from base, and of each revision at its place, where all
#			tables count as large; against one psql that runs the upgrade scripts
#	models	check() with a model of 500 tables: nothing has changed since, and the
#			comparison itself, against psql running the model and pg_dump twice;
#			scripts for 30 changes, beside Alembic and migra, where the Python that
#			MIGRATE_PYTHON names has them
#	rehearse	the 285 revisions of crates.io (MIGRATE_SHARED_DATA), and dropping 500
#			tables that are there, against upgrade and downgrade rolled back
#
# The floors run the same statements without us: "psql" is "psql -1 -f" of a
# file that holds them, "DO" is a loop of EXECUTE over migrate.revisions in the
# server.  All of a comparison is measured in one round after the other, each
# time in a new copy of the same database, and in another order; what is
# printed are medians.  A time is that of the whole psql process unless it says
# otherwise.  Ours writes the version rows, migrate.applied and a row of
# migrate.log a revision besides; the floors keep no record.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use MigrateTest;
use IO::Handle;
use Time::HiRes qw(sleep time);

STDOUT->autoflush(1);
my $rounds = $ENV{MIGRATE_BENCH_ROUNDS} // 5;
my $dir = scratch_dir();
my @parts = qw(tables rows stepwise noop pending load memory client tests lint models
  rehearse);
my %wanted = map { ($_ => 1) } @ARGV ? @ARGV : @parts;
my @unknown = grep { my $name = $_; !grep { $_ eq $name } @parts } keys %wanted;
die "usage: run.pl [PART...], parts: @parts\n" if @unknown;
my $begin = time;

# Our settings where a session is not about them.
my $quiet = '-c client_min_messages=warning -c migrate.step_messages=off';

# --------------------------------------------------------------- helpers ----

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	my $middle = int(@sorted / 2);
	return @sorted % 2 ? $sorted[$middle] : ($sorted[ $middle - 1 ] + $sorted[$middle]) / 2;
}

sub number { my $n = reverse shift; $n =~ s/(\d{3})(?=\d)/$1,/g; return scalar reverse $n }

sub seconds { my $s = shift; return $s < 0.1 ? sprintf '%.1f ms', $s * 1000 : sprintf '%.2f s', $s }

# psql with arguments, its output thrown away; the seconds that it took.
sub timed
{
	my ($database, $options, @arguments) = @_;
	local $ENV{PGOPTIONS} = $options;
	my $start = time;
	my ($status, undef, $err) = run_program(tool('psql'),
		'-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $database, @arguments);
	my $took = time - $start;
	die "psql @arguments: $err" if $status;
	return $took;
}

# The first statement of a new connection: the milliseconds that psql's
# \timing says.
sub timing
{
	my ($database, $sql, $options) = @_;
	local $ENV{PGOPTIONS} = $options // $quiet;
	my ($status, $out, $err) = run_program(tool('psql'),
		'-XAt', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-c', '\timing on', '-c', $sql);
	die "$sql: $err" if $status;
	my ($ms) = $out =~ /^Time: ([\d.]+) ms/m or die "$sql: no time in $out";
	return $ms;
}

sub sql
{
	my ($database, @statements) = @_;
	local $ENV{PGOPTIONS} = $quiet;
	my ($status, $out, $err) = run_program(tool('psql'),
		'-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $database, map { ('-c', $_) } @statements);
	die "@statements: $err" if $status;
	chomp $out;
	return $out;
}

# A new copy of a database, read once and all written.
sub copy
{
	my ($to, $from) = @_;
	sql('postgres', "DROP DATABASE IF EXISTS $to", "CREATE DATABASE $to TEMPLATE $from");
	sql($to, 'SELECT count(*) FROM pg_class', 'CHECKPOINT');
	return;
}

# Fills migrate.revisions with a chain: a query of i, upgrade, downgrade.
# By SQL, because this is set-up: loading is measured by itself.
sub template
{
	my ($name, $query, @before) = @_;
	create_database($name);
	sql($name, @before, <<"END", 'VACUUM (FREEZE, ANALYZE)');
INSERT INTO migrate.revisions (revision, down_revisions, message, upgrade_sql, downgrade_sql)
SELECT to_char(i, 'FM000000'),
	CASE WHEN i = 1 THEN '{}' ELSE ARRAY[to_char(i - 1, 'FM000000')] END,
	'revision number ' || i, up, down
FROM ($query) AS q (i, up, down)
END
	return $name;
}

my $insert_row = q{SELECT i, format('INSERT INTO r VALUES (%s, ''row number %s'');', i, i),
	format('DELETE FROM r WHERE id = %s;', i) FROM generate_series(1, %d) AS i};

sub rows_template
{
	my ($name, $n) = @_;
	(my $query = $insert_row) =~ s/%d/$n/;
	return template($name, $query, 'CREATE TABLE r (id int PRIMARY KEY, name text)');
}

# Each refers to the one before.
sub tables_template
{
	my $name = shift;
	return template($name, q{SELECT i,
		CASE WHEN i = 1 THEN 'CREATE TABLE t1 (id int PRIMARY KEY, parent int, name text);'
		ELSE format(
			'CREATE TABLE t%s (id int PRIMARY KEY, parent int REFERENCES t%s, name text);',
			i, i - 1)
		END || format(E'\nCREATE INDEX t%s_name ON t%s (name);', i, i),
		format('DROP TABLE t%s;', i)
		FROM generate_series(1, 1000) AS i});
}

# The scripts of a database as a file for psql.
sub script_file
{
	my ($database, $column, $order) = @_;
	return spew("$dir/$database.$column.sql",
		sql($database, "SELECT $column FROM migrate.revisions ORDER BY revision $order") . "\n");
}

sub do_loop
{
	my ($column, $order) = @_;
	return "DO \$do\$ DECLARE s text; BEGIN
		FOR s IN SELECT $column FROM migrate.revisions ORDER BY revision $order LOOP
			EXECUTE s;
		END LOOP;
	END \$do\$";
}

# ------------------------------------------------- upgrade and downgrade ----

my @methods = ('ours', 'ours, notices', 'psql', 'DO');

sub compare
{
	my ($title, $template, %target) = @_;
	my %file = (
		upgrade   => script_file($template, 'upgrade_sql',   ''),
		downgrade => script_file($template, 'downgrade_sql', 'DESC'));
	my %call = (
		upgrade   => q{SELECT migrate.upgrade('head')},
		downgrade => q{SELECT migrate.downgrade('base')});
	my %loop = (
		upgrade   => do_loop('upgrade_sql',   ''),
		downgrade => do_loop('downgrade_sql', 'DESC'));
	my %arguments;
	for my $direction (qw(upgrade downgrade))
	{
		$arguments{$direction} = {
			'ours'          => [ $quiet, '-c', $call{$direction} ],
			'ours, notices' => [ '-c migrate.step_messages=notice', '-c', $call{$direction} ],
			'psql'          => [ $quiet, '-1', '-f', $file{$direction} ],
			'DO'            => [ $quiet, '-c', $loop{$direction} ],
		};
	}
	my %took;

	for my $round (1 .. $rounds)
	{
		my @order = map { $methods[ ($_ + $round) % @methods ] } 0 .. $#methods;
		for my $method (@order)
		{
			copy('bench', $template);
			for my $direction (qw(upgrade downgrade))
			{
				my $seconds = timed('bench', @{ $arguments{$direction}{$method} });
				push @{ $took{$direction}{$method} }, $seconds;
				sql('bench', 'CHECKPOINT');
			}
		}
	}
	for my $direction (qw(upgrade downgrade))
	{
		my %median = map { ($_ => median(@{ $took{$direction}{$_} })) } @methods;
		printf "%-30s %9s %9s %9s %9s %9.2f %9.2f   %s\n", "$title, $direction",
		  map({ seconds($median{$_}) } @methods),
		  $median{ours} / $median{psql}, $median{ours} / $median{DO}, $target{$direction} // '';
	}
	sql('postgres', 'DROP DATABASE bench');
	return;
}

sub compare_head
{
	printf "\n%-30s %9s %9s %9s %9s %9s %9s   %s\n",
	  "medians of $rounds",
	  'ours', 'notices', 'psql -1', 'DO loop', 'to psql', 'to DO', 'target (to psql)';
	return;
}

compare_head() if $wanted{tables} || $wanted{rows};
if ($wanted{tables})
{
	tables_template('bench_tables');
	compare('1,000 tables', 'bench_tables', upgrade => 'at most 1.0', downgrade => 'at most 1.0');
	sql('postgres', 'DROP DATABASE bench_tables');
}
if ($wanted{rows})
{
	rows_template('bench_rows', 10000);
	compare('10,000 rows', 'bench_rows', upgrade => 'at most 0.8', downgrade => 'at most 0.8');
	sql('postgres', 'DROP DATABASE bench_rows');
}

# -------------------------------------------------------- stepwise runs ----

# The scripts of a database as a file for psql, a transaction for each.
sub transactions_file
{
	my ($database, $column, $order) = @_;
	my $scripts = sql($database,
		"SELECT E'BEGIN;\\n' || $column || E'\\nCOMMIT;'
		FROM migrate.revisions ORDER BY revision $order");
	return spew("$dir/$database.$column.each.sql", "$scripts\n");
}

sub compare_stepwise
{
	my ($title, $template, $target) = @_;
	my %arguments = (
		upgrade => {
			ours => [ '-c', q{CALL migrate.upgrade_stepwise('head')} ],
			psql => [ '-f', transactions_file($template, 'upgrade_sql', '') ],
		},
		downgrade => {
			ours => [ '-c', q{CALL migrate.downgrade_stepwise('base')} ],
			psql => [ '-f', transactions_file($template, 'downgrade_sql', 'DESC') ],
		});
	my %took;

	for my $round (1 .. $rounds)
	{
		for my $method ($round % 2 ? qw(ours psql) : qw(psql ours))
		{
			copy('bench', $template);
			for my $direction (qw(upgrade downgrade))
			{
				my $seconds = timed('bench', $quiet, @{ $arguments{$direction}{$method} });
				push @{ $took{$direction}{$method} }, $seconds;
				sql('bench', 'CHECKPOINT');
			}
		}
	}
	for my $direction (qw(upgrade downgrade))
	{
		my ($ours, $psql) = map { median(@{ $took{$direction}{$_} }) } qw(ours psql);
		printf "%-46s %9s %9s %9.2f   %s\n",
		  "$title, $direction", seconds($ours), seconds($psql), $ours / $psql, $target;
	}
	sql('postgres', 'DROP DATABASE bench');
	return;
}

if ($wanted{stepwise})
{
	printf "\n%-46s %9s %9s %9s   %s\n",
	  "stepwise, medians of $rounds", 'ours', 'psql', 'ratio', 'target';
	tables_template('bench_tables');
	compare_stepwise('1,000 tables', 'bench_tables', 'at most 1.1');
	sql('postgres', 'DROP DATABASE bench_tables');
	rows_template('bench_rows', 1000);
	compare_stepwise('1,000 rows', 'bench_rows', '');
	sql('postgres', 'DROP DATABASE bench_rows');
}

# ---------------------------------------------- memory, nothing to do ----

# Upgrades in a session and looks at its process meanwhile; the first and the
# last script look too.  VmHWM has the pages of shared_buffers that it touched,
# RssAnon has not.
sub memory
{
	my $database = shift;
	my $look = q{INSERT INTO memory (kb)
		SELECT substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)');};
	sql(
		$database,
		'CREATE TABLE memory (id int GENERATED ALWAYS AS IDENTITY, kb text)',
		'UPDATE migrate.revisions SET upgrade_sql = upgrade_sql || ' . lit(" $look")
		  . ' WHERE revision IN (SELECT min(revision) FROM migrate.revisions
				UNION SELECT max(revision) FROM migrate.revisions)');
	my $session = connect_to($database, options => $quiet);
	my %kb = (before => status_of($session->{pid})->{RssAnon});
	my $watcher = open(my $from, '-|') // die "fork: $!";
	unless ($watcher)
	{
		my $most = 0;
		my $stop = 0;
		local $SIG{TERM} = sub { $stop = 1 };
		until ($stop)
		{
			my $now = status_of($session->{pid})->{RssAnon} // 0;
			$most = $now if $now > $most;
			sleep 0.01;
		}
		print $most, "\n";
		close STDOUT;
		require POSIX;
		POSIX::_exit(0);
	}
	my $start = time;
	$kb{rows} = $session->value(q{SELECT count(*) FROM migrate.upgrade('head')});
	$kb{seconds} = time - $start;
	kill 'TERM', $watcher;
	chomp($kb{peak} = <$from>);
	close $from;
	my $after = status_of($session->{pid});
	@kb{qw(after hwm)} = @$after{qw(RssAnon VmHWM)};
	@kb{qw(first last)} = $session->rows('SELECT kb FROM memory ORDER BY id');
	$session->finish;
	return \%kb;
}

sub status_of
{
	my $pid = shift;
	open my $in, '<', "/proc/$pid/status" or return {};
	return { map { /^(\w+):\s+(\d+) kB/ ? ($1 => $2) : () } <$in> };
}

my @sizes = (1000, 10000, 100000);
if ($wanted{noop} || $wanted{memory} || $wanted{pending})
{
	rows_template("bench_$_", $_) for @sizes;
}

if ($wanted{pending})
{
	my $sql = q{SELECT count(*) FROM migrate.pending('heads')};
	printf "\n%-46s %9s %9s   %s\n",
	  "pending('heads'), new connection, medians of $rounds", 'pending', 'time', 'target';
	my @times = map { timing('bench_100000', $sql) / 1000 } 1 .. $rounds;
	printf "%-46s %9s %9s   %s\n",
	  '100,000 revisions, none applied',
	  number(sql('bench_100000', $sql)), seconds(median(@times)), 'at most 0.5 s';
}

if ($wanted{noop} || $wanted{memory})
{
	my $linux = -e '/proc/self/status';
	my @lines;
	for my $n (@sizes)
	{
		my $kb = $linux ? memory("bench_$n") : undef;
		sql("bench_$n", q{SELECT count(*) FROM migrate.upgrade('head')}) unless $linux;
		push @lines, [ $n, $kb ];
		sql("bench_$n", 'VACUUM ANALYZE', 'CHECKPOINT');
	}
	if ($wanted{memory} && $linux)
	{
		printf "\n%-30s %9s %9s %12s %11s %9s %9s %9s\n",
		  'memory of a backend, kB', 'time', 'before', 'first script', 'last script',
		  'peak', 'after', 'VmHWM';
		printf "%-30s %9s %9s %12s %11s %9s %9s %9s\n",
		  'upgrade of ' . number($_->[0]) . ' revisions',
		  seconds($_->[1]{seconds}),
		  map({ number($_) } @{ $_->[1] }{qw(before first last peak after hwm)})
		  for @lines;
		print 'its own memory (RssAnon); '
		  . "VmHWM also counts the pages of shared_buffers that it touched\n";
	}
}

if ($wanted{pending} && ($wanted{noop} || $wanted{memory}))
{
	my $sql = q{SELECT count(*) FROM migrate.pending('heads')};
	my @times = map { timing('bench_100000', $sql) / 1000 } 1 .. $rounds;
	printf "\n%-46s %9s %9s   %s\n",
	  "pending('heads'), 100,000 revisions, all applied",
	  0, seconds(median(@times)), 'at most 0.5 s';
}

if ($wanted{noop})
{
	my $noop = q{SELECT migrate.upgrade('head')};
	my $times = 30;
	my %ms;

	# the caches that the first connection to a database builds
	timing("bench_$_", $noop) for @sizes, @sizes;
	for my $round (1 .. $times)
	{
		for my $n (@sizes)
		{
			push @{ $ms{$n}{one} }, timing("bench_$n", 'SELECT 1');
			push @{ $ms{$n}{noop} }, timing("bench_$n", $noop);
			push @{ $ms{$n}{notice} }, timing("bench_$n", $noop, '-c migrate.step_messages=notice');
			push @{ $ms{$n}{current} }, timing("bench_$n", 'SELECT migrate.current()');
		}
	}
	printf "\n%-46s %10s %10s %10s %10s %10s   %s\n",
	  "first statement of a new connection, medians of $times",
	  'SELECT 1', 'upgrade()', 'notice', 'current()', 'upgrade+', 'target';
	for my $n (@sizes)
	{
		my ($one, $ours, $notice, $current) =
		  map { median(@{ $ms{$n}{$_} }) } qw(one noop notice current);
		printf "%-46s %7.2f ms %7.2f ms %7.2f ms %7.2f ms %7.2f ms   %s\n",
		  number($n) . q{ applied, upgrade('head') has nothing to do},
		  $one, $ours, $notice, $current, $ours - $one, 'at most 2 ms';
	}
}

# ------------------------------------------------------------- files ----

if ($wanted{load})
{
	my $n = 10000;
	mkdir "$dir/files" or die $!;
	chmod 0755, "$dir/files";
	my @statements;
	for my $i (1 .. $n)
	{
		my $id = sprintf '%06d', $i;
		my $parent = $i == 1 ? 'base' : sprintf '%06d', $i - 1;
		my $file = <<"END";
-- add thing $i
--
-- Revision ID: $id
-- Revises: $parent
-- Create Date: 2025-11-04 10:00:00+00

-- migrate:up
CREATE TABLE t$i (id int PRIMARY KEY, parent int, name text);
CREATE INDEX t${i}_name ON t$i (name);

-- migrate:down
DROP TABLE t$i;
END
		spew("$dir/files/${id}_add_thing.sql", $file);
		push @statements, 'SELECT migrate.load(' . lit($file) . ");\n";
	}
	create_database('bench_empty');
	my %took;
	for my $round (1 .. $rounds)
	{
		copy('bench', 'bench_empty');
		my $load = "SELECT count(*) FROM migrate.load_directory('$dir/files')";
		push @{ $took{new} }, timed('bench', $quiet, '-c', $load);
		push @{ $took{same} }, timed('bench', $quiet, '-c', $load);
	}
	printf "\n%-62s %9s   %s\n", 'files', 'time', 'target';
	printf "%-62s %9s   %s\n",
	  "load_directory, 10,000 new files, median of $rounds",
	  seconds(median(@{ $took{new} })), 'at most 3 s';
	printf "%-62s %9s\n",
	  "load_directory, the same 10,000 again, median of $rounds",
	  seconds(median(@{ $took{same} }));

	# once: it takes long
	for my $first (1000, 3000, $n)
	{
		spew("$dir/load.sql", join '', @statements[ 0 .. $first - 1 ]);
		copy('bench', 'bench_empty');
		printf "%-62s %9s\n",
		  'SELECT migrate.load(...) ' . number($first) . ' times in one session, once',
		  seconds(timed('bench', $quiet, '-f', "$dir/load.sql"));
	}
	sql('postgres', 'DROP DATABASE bench');
}

# ------------------------------------------------------------ pg_migrate ----

# The programs that migrate from files, each with a directory of 100 files and a
# database that has them: [name, command for a no-op, command for a new file].
sub clients
{
	my @clients;
	my $url = sub {
		my ($database, $parameter) = @_;
		return "postgres://$ENV{PGUSER}\@/$database?$parameter=$ENV{PGHOST}&port=$ENV{PGPORT}"
		  . '&sslmode=disable';
	};
	my $find = sub { grep { -x && !-d } map { "$_/$_[0]" } split /:/, $ENV{PATH} };
	my $make = sub {
		my ($name, $suffix, $content) = @_;
		mkdir "$dir/$name" or die $!;
		for my $i (1 .. 100)
		{
			my $id = sprintf '%04d', $i;
			my $parent = $i == 1 ? '' : sprintf '%04d', $i - 1;
			spew("$dir/$name/20240101000$id" . $suffix, $content->($id, $parent, $i));
		}
		return create_database("bench_$name", plain => $name ne 'pg_migrate');
	};
	my $add = sub {
		my ($name, $first, @commands) = @_;
		my ($status, $out, $err) = run_program(@$first);
		die "@$first: $out$err" if $status;
		push @clients, [ $name, @commands ];
	};

	my $ours = "$FindBin::RealBin/../../bin/pg_migrate";
	my $database = $make->('pg_migrate', '_add_thing.sql', sub {
		my ($id, $parent, $i) = @_;
		return "-- add thing $i\n--\n-- Revision ID: $id\n-- Revises: $parent\n\n"
		  . "-- migrate:up\nCREATE TABLE t$i (id int PRIMARY KEY);\n\n"
		  . "-- migrate:down\nDROP TABLE t$i;\n";
	});
	my @ours = ($ours, '-d', $database, '-D', "$dir/pg_migrate");
	$add->('pg_migrate', [ @ours, 'upgrade' ], [ @ours, 'upgrade' ], [ @ours, 'new', 'a thing' ]);
	push @clients,
	  [ 'psql -c "SELECT 1"', [ tool('psql'), '-X', '-d', $database, '-c', 'SELECT 1' ] ];

	if (my ($dbmate) = grep { -x } $ENV{MIGRATE_DBMATE} // (), $find->('dbmate'))
	{
		my $its = $make->('dbmate', '_add_thing.sql', sub {
			my (undef, undef, $i) = @_;
			return "-- migrate:up\nCREATE TABLE t$i (id int PRIMARY KEY);\n\n"
			  . "-- migrate:down\nDROP TABLE t$i;\n";
		});
		my @its = ($dbmate, '--env-file', '/dev/null', '--url', $url->($its, 'socket'),
			'--schema-file', "$dir/dbmate.schema", '-d', "$dir/dbmate");
		$add->('dbmate', [ @its, 'up' ], [ @its, 'up' ], [ @its, 'new', 'a_thing' ]);
		push @clients, [ 'dbmate --no-dump-schema', [ @its, '--no-dump-schema', 'up' ] ];
	}
	if (my ($goose) = $find->('goose'))
	{
		my $its = $make->('goose', '_add_thing.sql', sub {
			my (undef, undef, $i) = @_;
			return "-- +goose Up\nCREATE TABLE t$i (id int PRIMARY KEY);\n\n"
			  . "-- +goose Down\nDROP TABLE t$i;\n";
		});
		my @its = ($goose, '-dir', "$dir/goose");
		my @up = (@its, 'postgres', $url->($its, 'host'), 'up');
		$add->('goose', \@up, \@up, [ @its, 'create', 'a_thing', 'sql' ]);
	}
	if (my ($alembic) = $find->('alembic'))
	{
		my $project = "$dir/alembic_project";
		run_program($alembic, 'init', $project);
		my $its = $make->('alembic', '_add_thing.py', sub {
			my ($id, $parent, $i) = @_;
			$parent = $parent ? "'$parent'" : 'None';
			return "revision = '$id'\ndown_revision = $parent\nfrom alembic import op\n"
			  . "def upgrade():\n    op.execute('CREATE TABLE t$i (id int PRIMARY KEY)')\n"
			  . "def downgrade():\n    op.execute('DROP TABLE t$i')\n";
		});
		my $python = "postgresql:///$its?host=$ENV{PGHOST}&port=$ENV{PGPORT}&user=$ENV{PGUSER}";
		my $ini = spew("$dir/alembic.ini", "[alembic]\nscript_location = $project\n"
			  . "version_locations = $dir/alembic\nsqlalchemy.url = $python\n"
			  . "[loggers]\nkeys = root\n[handlers]\nkeys =\n[formatters]\nkeys =\n"
			  . "[logger_root]\nhandlers =\n");
		my @its = ($alembic, '-c', $ini);
		eval {
			$add->('alembic', [ @its, 'upgrade', 'head' ], [ @its, 'upgrade', 'head' ],
				[ @its, 'revision', '-m', 'a thing' ]);
			1;
		} or print 'alembic does not run: ', (split /\n/, $@)[-1], "\n";
	}
	return @clients;
}

if ($wanted{client})
{
	my $times = 4 * $rounds;
	local $ENV{PATH} = tool('') =~ s{/\z}{}r . ":$ENV{PATH}";
	delete local $ENV{DATABASE_URL};
	my @clients = clients();
	my %took;
	for my $round (1 .. $times)
	{
		for my $client (map { $clients[ ($_ + $round) % @clients ] } 0 .. $#clients)
		{
			my ($name, @commands) = @$client;
			for my $what (0 .. $#commands)
			{
				my %before = map { ($_ => 1) } glob "$dir/*/*";
				my $start = time;
				my ($status, $out, $err) = run_program(@{ $commands[$what] });
				push @{ $took{$name}[$what] }, time - $start;
				die "@{ $commands[$what] }: $out$err" if $status;
				# ids of some are the second
				unlink grep { !$before{$_} } glob "$dir/*/*" if $what == 1;
			}
		}
	}
	printf "\n%-46s %12s %12s   %s\n", "command lines, 100 files, medians of $times",
	  'no-op', 'new', 'target';
	for my $client (@clients)
	{
		my ($noop, $new) =
		  map { $_ ? seconds(median(@$_)) : '' } @{ $took{ $client->[0] } }[ 0, 1 ];
		printf "%-46s %12s %12s   %s\n", $client->[0], $noop, $new,
		  $client->[0] eq 'pg_migrate' ? 'at most dbmate; 1.5 times dbmate' : '';
	}
}

# --------------------------------------------------- tests of migrations ----

# The history of crates.io in a new database; those downgrades that do not restore the schema
# are replaced by derived ones, so that all of it can go down and up again.
sub crates
{
	my $files = "$dir/crates";
	my ($status, undef, $err) = run_program($^X, "$FindBin::RealBin/../tools/history2files",
		"$ENV{MIGRATE_SHARED_DATA}/histories/crates_io.jsonl", $files);
	die $err if $status;
	chmod 0755, $files;
	my $database = create_database('bench_crates');
	sql($database, 'SELECT migrate.load_directory(' . lit($files) . ')');
	my $tap = sql($database, 'SELECT * FROM migrate.test_downgrade_leaves_no_trace()');
	my @bad = $tap =~ /^(?:not ok \d+ - \w+: (\S+),|ok \d+ - \w+: (\S+),.* # SKIP)/mg;
	sql($database, map { "SELECT migrate.edit('$_', downgrade => migrate.derive_downgrade('$_'))" }
		  grep { defined } @bad);
	return $database;
}

# What psql runs: all scripts up, down, and up again, each transactional one in a transaction.
sub up_down_file
{
	my $database = shift;
	my $scripts = sub {
		my ($direction, $order) = @_;
		return sql($database, "SELECT CASE WHEN ${direction}_transactional"
			  . " THEN E'BEGIN;\\n' || ${direction}_sql || E'\\n;COMMIT;\\n'"
			  . " ELSE ${direction}_sql || E'\\n;\\n' END FROM migrate.history()"
			  . " WITH ORDINALITY AS h JOIN migrate.revisions r USING (revision)"
			  . " ORDER BY h.ordinality $order");
	};
	my ($up, $down) = ($scripts->('upgrade', 'DESC'), $scripts->('downgrade', ''));
	return spew("$dir/up_down.sql", "$up\n$down\n$up\n");
}

if ($wanted{tests} && !-d ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories')
{
	print "\ntests: skipped, without the shared data\n";
}
elsif ($wanted{tests})
{
	my $crates = crates();
	my $file = up_down_file($crates);
	my $test = 'SELECT * FROM migrate.test_up_down_consistency()';
	my ($verdict) = sql($crates, $test) =~ /^((?:not )?ok.*)$/m;
	my %s;
	for (1 .. $rounds)
	{
		push @{ $s{ours} }, timed($crates, $quiet, '-c', $test);
		create_database('bench_floor', plain => 1);
		push @{ $s{floor} }, timed('bench_floor', $quiet, '-f', $file);
	}
	my ($ours, $floor) = (median(@{ $s{ours} }), median(@{ $s{floor} }));
	printf "\n%-46s %12s   %s\n", "tests: crates.io, medians of $rounds", 'time', 'target';
	printf "%-46s %12s   %s\n", 'test_up_down_consistency()', seconds($ours),
	  sprintf('%.2f of the floor, at most 2; %s', $ours / $floor, $verdict);
	printf "%-46s %12s\n", 'psql -f: up, down, up', seconds($floor);
}

# ------------------------------------------------------------------ lint ----

# The history of crates.io in a new database, as it is.
sub crates_as_it_is
{
	my $files = "$dir/crates_lint";
	my ($status, undef, $err) = run_program($^X, "$FindBin::RealBin/../tools/history2files",
		"$ENV{MIGRATE_SHARED_DATA}/histories/crates_io.jsonl", $files);
	die $err if $status;
	chmod 0755, $files;
	my $database = create_database('bench_lint');
	sql($database, 'SELECT migrate.load_directory(' . lit($files) . ')');
	return $database;
}

# The milliseconds of the lint of each revision of a database, added, before it is upgraded to.
sub lint_at_place
{
	my $database = shift;
	my $file = spew("$dir/at_place.sql", join "\n", "\\timing on",
		map {
			("SELECT count(*) FROM migrate.lint('$_');",
				"\\timing off", "CALL migrate.upgrade_stepwise('$_');", "\\timing on")
		} split /\n/, sql($database, 'SELECT * FROM migrate.pending()'));
	local $ENV{PGOPTIONS} = "$quiet -c migrate.lint_assume_rows=on";
	my ($status, $out, $err) = run_program(tool('psql'),
		'-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-f', $file);
	die $err if $status;
	my $sum = 0;
	$sum += $_ for $out =~ /^Time: ([\d.]+) ms/mg;
	return $sum / 1000;
}

if ($wanted{lint} && !-d ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories')
{
	print "\nlint: skipped, without the shared data\n";
}
elsif ($wanted{lint})
{
	my $crates = crates_as_it_is();
	my $up = sql($crates, "SELECT CASE WHEN upgrade_transactional"
		  . " THEN E'BEGIN;\\n' || upgrade_sql || E'\\n;COMMIT;\\n'"
		  . " ELSE upgrade_sql || E'\\n;\\n' END FROM migrate.history()"
		  . " WITH ORDINALITY AS h JOIN migrate.revisions r USING (revision)"
		  . " ORDER BY h.ordinality DESC");
	my $file = spew("$dir/lint_floor.sql", "$up\n");
	my %s;
	for (1 .. $rounds)
	{
		push @{ $s{base} }, timed($crates, $quiet, '-c', 'SELECT * FROM migrate.lint()');
		create_database('bench_floor', plain => 1);
		push @{ $s{floor} }, timed('bench_floor', $quiet, '-f', $file);
		copy('bench_place', $crates);
		push @{ $s{place} }, lint_at_place('bench_place');
	}
	sql('postgres', 'DROP DATABASE bench_place');
	my ($base, $place, $floor) = map { median(@{ $s{$_} }) } qw(base place floor);
	printf "\n%-46s %12s   %s\n", "lint: crates.io, medians of $rounds", 'time', 'target';
	printf "%-46s %12s   %s\n", 'lint(), the whole from base', seconds($base),
	  sprintf('%.3f of the floor, at most 0.1', $base / $floor);
	printf "%-46s %12s   %s\n", 'each revision at its place, added', seconds($place),
	  sprintf('%.3f of the floor, in 285 calls', $place / $floor);
	printf "%-46s %12s\n", 'psql -f: up', seconds($floor);
}

# ---------------------------------------------------------------- models ----

# 500 tables as of a shop that has grown: keys, checks, defaults, indexes, foreign
# keys, comments, and a view and a function for each tenth.
sub grown_schema
{
	my @sql = ("CREATE TYPE state AS ENUM ('new', 'paid', 'sent');");
	for my $i (1 .. 500)
	{
		push @sql, "CREATE TABLE t$i (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
		  . " parent bigint REFERENCES t" . ($i > 1 ? $i - 1 : 1) . ','
		  . " name varchar(80) NOT NULL, state state NOT NULL DEFAULT 'new',"
		  . " price numeric(12, 2) CHECK (price >= 0), kind text CHECK (kind IN ('a', 'b')),"
		  . ' created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz,'
		  . " tags text[] DEFAULT '{}', data jsonb, UNIQUE (parent, name));",
		  "CREATE INDEX ON t$i (lower(name));",
		  "CREATE INDEX ON t$i (created_at) WHERE state <> 'sent';",
		  "COMMENT ON TABLE t$i IS 'table number $i';";
		push @sql, "CREATE VIEW v$i AS SELECT a.id, a.name, count(b.id) AS children FROM t$i a"
		  . " LEFT JOIN t$i b ON b.parent = a.id GROUP BY a.id;",
		  "CREATE FUNCTION f$i(bigint) RETURNS text LANGUAGE sql STABLE"
		  . " AS 'SELECT name FROM t$i WHERE id = \$1';"
		  if $i % 10 == 0;
	}
	return spew("$dir/grown.sql", join "\n", @sql);
}

# The seconds of a program whose output is thrown away.
sub seconds_of
{
	my @command = @_;
	my $start = time;
	my ($status, undef, $err) = run_program(@command);
	die "@command: $err" if $status;
	return time - $start;
}

# Thirty changes of the grown schema, of which a script takes each back.
sub thirty_changes
{
	my @sql;
	push @sql, "ALTER TABLE t$_ ADD COLUMN extra int" for 1 .. 8;
	push @sql, "ALTER TABLE t$_ ALTER name TYPE varchar(100)" for 51 .. 55;
	push @sql, "ALTER TABLE t$_ ALTER created_at DROP NOT NULL" for 101 .. 105;
	push @sql, "DROP INDEX t${_}_created_at_idx" for 151 .. 156;
	push @sql, "DROP VIEW v${_}0", "DROP FUNCTION f${_}0" for 30, 31;
	push @sql, "CREATE TABLE more$_ (id int PRIMARY KEY, t bigint REFERENCES t1)" for 1, 2;
	return @sql;
}

# What one comparison leaves: WAL in kB, dead rows of catalogs, locks at its most.
sub comparison_costs
{
	my $database = shift;
	my $session = connect_to($database, options => $quiet);
	my $dead = q{SELECT sum(n_dead_tup) FROM pg_stat_sys_tables};
	my $rows = sql($database, $dead);
	$session->run('BEGIN');
	my $before = $session->value('SELECT pg_current_wal_insert_lsn()');
	$session->run('SELECT * FROM migrate.compare()');
	my $wal = $session->value("SELECT pg_current_wal_insert_lsn() - '$before'");
	my $locks = $session->value('SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()');
	$session->run('COMMIT');
	my $memory = status_of($session->{pid});
	$session->finish;
	sleep 1;    # statistics are sent when a session ends
	return ($wal / 1024, $locks, $memory->{RssAnon}, sql($database, $dead) - $rows);
}

# What another tool takes to find the changes that make a database of another, by rivals.py:
# its median seconds and the number of its statements; nothing where it is not installed.
sub rival
{
	my ($tool, $live, $model) = @_;
	my (@seconds, $statements);
	for (1 .. $rounds)
	{
		my ($status, $out, $err) = eval {
			run_program($ENV{MIGRATE_PYTHON} // 'python3', "$FindBin::RealBin/rivals.py", $tool,
				"dbname=$live", "dbname=$model")
		};
		return if $@ || $status == 3 << 8;
		die "$tool: $err" if $status;
		(my $took, $statements) = split ' ', $out;
		push @seconds, $took;
	}
	return (median(@seconds), $statements);
}

# Prints how long the other tools take for what diff_sql() does.
sub print_rivals
{
	my ($generated, @databases) = @_;
	for my $rival ([ 'Alembic', 'alembic' ], [ 'migra', 'migra' ])
	{
		my ($name, $tool) = @$rival;
		my ($took, $statements) = rival($tool, @databases);
		printf "%-46s %12s   %s\n", "$name, the same changes, not proved",
		  defined $took ? (seconds($took), sprintf '%.1f times diff_sql(), %d statements',
			$took / $generated, $statements)
		  : ('-', "not installed in the Python that MIGRATE_PYTHON names");
	}
	return;
}

if ($wanted{models})
{
	my $file = grown_schema();
	my $grown = create_database('bench_grown');
	timed($grown, $quiet, '-1', '-f', $file);
	my $model = "$dir/grown.dump.sql";
	my @dump = (tool('pg_dump'), '--schema-only', '-N', 'migrate', '-d', $grown, '-f', $model);
	seconds_of(@dump);
	my $script = slurp($model) =~ s/^\\(?:un)?restrict.*$//mgr;
	spew($model, $script);
	timed($grown, $quiet, '-f',
		spew("$dir/set_model.sql", 'SELECT migrate.set_model(' . lit($script) . ');'));
	sql($grown, 'VACUUM ANALYZE', 'SELECT migrate.compare()', 'SELECT migrate.compare()');
	my (%ms, %s);
	for (1 .. 4 * $rounds)
	{
		push @{ $ms{one} }, timing($grown, 'SELECT 1');
		push @{ $ms{same} }, timing($grown, 'SELECT count(*) FROM migrate.compare()');
	}
	for my $round (1 .. $rounds)
	{
		sql($grown, 'UPDATE migrate.compared SET fingerprint = NULL');
		push @{ $s{ours} }, timed($grown, $quiet, '-c', 'SELECT * FROM migrate.compare()');
		sql('postgres', 'DROP DATABASE IF EXISTS bench_floor', 'CREATE DATABASE bench_floor');
		push @{ $s{floor} },
		  timed('bench_floor', $quiet, '-1', '-f', $model)
		  + seconds_of(@dump[ 0 .. 5 ], '-f', "$dir/floor.sql")
		  + seconds_of(@dump[ 0 .. 3 ], '-d', 'bench_floor', '-f', "$dir/floor.sql");
	}
	sql($grown, 'UPDATE migrate.compared SET fingerprint = NULL');
	my ($wal, $locks, $memory, $dead) = comparison_costs($grown);
	sql($grown, thirty_changes());
	push @{ $s{generated} }, timed($grown, $quiet, '-c', 'SELECT * FROM migrate.diff_sql()')
	  for 1 .. $rounds;
	my ($ours, $floor) = (median(@{ $s{ours} }), median(@{ $s{floor} }));
	my $generated = median(@{ $s{generated} });
	my $same = median(@{ $ms{same} }) / 1000;
	printf "\n%-46s %12s   %s\n", 'models: 500 tables, medians', 'time', 'target';
	printf "%-46s %12s   %s\n", 'compare(), nothing changed, new connection',
	  seconds($same), sprintf('at most 30 ms; %.1f %% of the comparison, at most 2 %%',
		100 * $same / $ours);
	printf "%-46s %12s\n", 'SELECT 1, new connection', seconds(median(@{ $ms{one} }) / 1000);
	printf "%-46s %12s   %s\n", 'compare(), compared', seconds($ours),
	  sprintf('%.2f of the floor, at most 1.0', $ours / $floor);
	printf "%-46s %12s\n", 'psql -1 -f of the model, and two pg_dump', seconds($floor);
	printf "%-46s %12s   %s\n", 'diff_sql(), 30 changes, proved', seconds($generated),
	  sprintf('%.2f of the comparison, at most 2', $generated / $ours);
	print_rivals($generated, $grown, 'bench_floor');
	printf "%-46s %s kB of WAL, %s dead rows of catalogs\n", 'a comparison leaves',
	  number(int $wal), number($dead);
	printf "%-46s %s locks, %s kB of memory of its session\n", 'and to the end',
	  number($locks), number($memory);
}

# ------------------------------------------------------------- rehearse ----

# Medians of a rehearsal in a database, and of what it rehearses, rolled back: each in
# turn, in one session, without what connecting takes.
sub rehearsal_against
{
	my ($database, $arguments, $move) = @_;
	my $session = connect_to($database);
	$session->run('SET migrate.step_messages = off', 'SET migrate.rehearse_timeout = 0');
	my %s;
	my %way = (
		rehearsal => sub { $session->run("SELECT count(*) FROM migrate.rehearse($arguments)") },
		plain     => sub { $session->run('BEGIN', "SELECT count(*) FROM $move", 'ROLLBACK') });
	$_->() for values %way;
	for my $round (1 .. 2 * $rounds)
	{
		for my $name ($round % 2 ? qw(rehearsal plain) : qw(plain rehearsal))
		{
			my $start = time;
			$way{$name}->();
			push @{ $s{$name} }, time - $start;
		}
	}
	$session->finish;
	return map { median(@{ $s{$_} }) } qw(rehearsal plain);
}

if ($wanted{rehearse})
{
	my $history = ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories/crates_io.jsonl';
	my @measured;
	if (-e $history)
	{
		my $database = create_database('bench_crates');
		my ($status, undef, $err) = run_program($^X, "$FindBin::RealBin/../tools/history2files",
			$history, "$dir/crates", '--plain', '--psql', "$dir/crates.sql");
		die $err if $status;
		run_program('chmod', '-R', 'a+rX', "$dir/crates");
		sql($database, 'SELECT migrate.load_directory(' . lit("$dir/crates") . ')',
			'VACUUM ANALYZE');
		push @measured, [ '285 revisions of crates.io',
			rehearsal_against($database, q{'head'}, 'migrate.upgrade()') ];
		my $floor = spew("$dir/crates_rolled_back.sql",
			'BEGIN;' . slurp("$dir/crates.sql") . ';ROLLBACK;');
		push @{ $measured[0] },
		  median(map { timed($database, $quiet, '-f', $floor) } 1 .. $rounds);
	}
	my $tables = tables_template('bench_drops');
	sql($tables, q{SELECT count(*) FROM migrate.upgrade('000500')}, 'VACUUM ANALYZE');
	push @measured, [ '500 tables dropped',
		rehearsal_against($tables, q{'base', 'downgrade'}, q{migrate.downgrade('base')}) ];
	printf "\n%-32s %12s %12s %12s   %s\n", 'rehearse, medians', 'rehearsal', 'rolled back',
	  'psql', 'target';
	for (@measured)
	{
		my ($what, $rehearsal, $plain, $floor) = @$_;
		printf "%-32s %12s %12s %12s   %s\n", $what, seconds($rehearsal), seconds($plain),
		  $floor ? seconds($floor) : '', sprintf '%.2f of it rolled back, at most 1.25',
		  $rehearsal / $plain;
	}
}

my $cores = sub {
	open my $in, '<', '/proc/cpuinfo' or return 'cores unknown';
	my $number = grep { /^processor/ } <$in>;
	return "$number cores";
};
printf "\nmeasured in %d s on %s, %s\n",
  time - $begin, sql('postgres', 'SELECT version()') =~ /^(\S+ \S+)/, $cores->();
drop_databases();
