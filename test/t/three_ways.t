#!/usr/bin/perl
#
# A history differs in nothing but its commits, whichever way it is run: by
# migrate.upgrade, by migrate.upgrade_stepwise, or by psql from the script of
# migrate.upgrade_sql.  Schema, rows, what is recorded, what the session is left
# with, and errors are compared: for cases of constraint modes, for random
# histories, and for real ones.
#
# Where a run fails, the revisions before the failure are applied stepwise, and
# in the other ways none: they then run those revisions again.
#
# Not generated, because there the commits are what differs (doc/online.md): ON
# COMMIT, and cursors.  Nor names that constraints share which are initially
# deferred on one table and immediate on another (doc/errors.md).
#
# Environment: MIGRATE_WAYS_SEED, MIGRATE_WAYS_ROUNDS (random histories; by
# default what 25 seconds allow, one at least).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $seed = $ENV{MIGRATE_WAYS_SEED} // int(time) % 1_000_000;
my $rounds = $ENV{MIGRATE_WAYS_ROUNDS} // 1000;
srand $seed;
diag "seed $seed";

my $deadline = defined $ENV{MIGRATE_WAYS_ROUNDS} ? undef : time + 25;
my $data = ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories';
my $dir = scratch_dir();
my @ways = qw(atomic stepwise offline);
my %session = map { $_ => connect_to(create_database(database_of($_))) } @ways;
my %logged;
run_psql('postgres', $_) for 'DROP ROLE IF EXISTS mig_ways_role', 'CREATE ROLE mig_ways_role';

# -------------------------------------------------------------- the ways ----

# What a session is left with, as psql prints it.
my $left = q{SELECT 'left', name, setting FROM pg_settings
	WHERE source = 'session' AND setting <> reset_val
	UNION ALL SELECT 'left', 'prepared', name FROM pg_prepared_statements
	UNION ALL SELECT 'left', 'role', current_user
	UNION ALL SELECT 'left', 'temporary', relname FROM pg_class
		WHERE relpersistence = 't' AND relkind = 'r' ORDER BY 2, 3};

# Runs a database's history up to a target in one of the ways: its first error, "" for
# none, and what is left in the session.
sub run_way
{
	my ($way, $database, $target) = @_;
	my $name = lit($target);
	my $sql = {
		atomic   => "SELECT migrate.upgrade($name);",
		stepwise => "CALL migrate.upgrade_stepwise($name);",
		offline  => '',
	}->{$way};
	if ($way eq 'offline')
	{
		my ($status, $out, $err) = run_psql($database, "SELECT migrate.upgrade_sql($name)");
		die $err if $status;
		$sql = $out;
	}
	my $file = spew("$dir/$database.sql", "SET client_min_messages = error;\n$sql\n$left;\n");
	my (undef, $out, $err) =
	  run_psql($database, '', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=always', '-f', $file);
	my ($error) = $err =~ /ERROR:  (\w{5}: .*)/;
	my ($context) = $err =~ /(revision ".*", upgrade script.*)/;
	return {
		error   => $error // '',
		context => $context // '',
		left    => join("\n", grep { /^left\|/ } split /\n/, $out),
		err     => $err,
	};
}

# All that is in the database of a way, but for what no two runs share.
sub content
{
	my $way = shift;
	my ($status, $out, $err) =
	  run_program(tool('pg_dump'), '--inserts', '-N', 'migrate', database_of($way));
	die "pg_dump: $err" if $status;
	$out =~ s/^\\(?:un)?restrict .*\n//mg;
	my @recorded = map { $session{$way}->rows($_) } (
		'SELECT revision FROM migrate.versions ORDER BY 1',
		'SELECT revision, checksum FROM migrate.applied ORDER BY 1',
		'SELECT operation, revision, checksum, versions_before, versions_after'
		  . " FROM migrate.log WHERE id > $logged{$way} ORDER BY id",
		'SELECT count(*) FROM migrate.partial');
	return join "\n", $out, @recorded, '';
}

# The name of the database of a way.
sub database_of { return "mig_ways_$_[0]" }

# The files of a real history, without what commits by itself.
sub real_history
{
	my $name = shift;
	my ($status, undef, $err) = run_program($^X, "$FindBin::RealBin/../tools/history2files",
		'--plain', "$data/$name.jsonl", "$dir/$name");
	die "history2files: $err" if $status;
	chmod 0755, "$dir/$name";
	return "$dir/$name";
}

# Loads a history, [id, script]..., into the database of each of the ways, which is
# emptied; from a directory if it is one.
sub prepare
{
	my $history = shift;
	for my $way (@ways)
	{
		my $session = $session{$way};
		$session->run('DROP SCHEMA IF EXISTS public, s CASCADE; CREATE SCHEMA public',
			q{SELECT migrate.stamp('base', purge => true)},
			'SELECT migrate.drop(revision) FROM migrate.history()');
		$logged{$way} = $session->value('SELECT coalesce(max(id), 0) FROM migrate.log');
		if (!ref $history)
		{
			$session->run('SELECT migrate.load_directory(' . lit($history) . ')');
			next;
		}
		$session->run(
			join '; ',
			map {
				'SELECT migrate.revision(' . join(', ', lit($_->[0]), lit($_->[1]))
				  . ', rev_id => ' . lit($_->[0]) . ')'
			} @$history);
	}
	return;
}

# What differs between two texts, "" for nothing.
sub difference
{
	my ($one, $other) = @_;
	return '' if $one eq $other;
	my @files = (spew("$dir/one", $one), spew("$dir/other", $other));
	return substr +(run_program('diff', '-u', @files))[1], 0, 3000;
}

# Runs a history in all ways, and returns what differs, "" for nothing; and the
# results, by way.
sub compare
{
	my ($history, $normalize) = @_;
	prepare($history);
	my %result = map { $_ => run_way($_, database_of($_), 'heads') } @ways;
	my @differences;
	for my $way (@ways)
	{
		my ($mine, $first) = @result{ $way, 'atomic' };
		# offline, psql knows the statement, and no more than that
		push @differences, "error, $way: $mine->{error}; atomic: $first->{error}\n$mine->{err}"
		  if $mine->{error} ne $first->{error};
		push @differences, "context, $way: $mine->{context}; atomic: $first->{context}\n"
		  if $mine->{context} ne $first->{context} && ($way ne 'offline' || $mine->{context} ne '');
	}
	if ($result{atomic}{error} ne '' && !@differences)
	{
		my ($reached) = $session{stepwise}->rows('SELECT migrate.current()');
		for my $way (defined $reached ? qw(atomic offline) : ())
		{
			my $again = run_way($way, database_of($way), $reached);
			push @differences, "again, $way: $again->{err}" if $again->{error} ne '';
		}
	}
	elsif (!@differences)
	{
		push @differences, map { difference($result{atomic}{left}, $result{$_}{left}) } @ways;
	}
	unless (grep { $_ ne '' } @differences)
	{
		my %content = map { $_ => content($_) } @ways;
		$normalize->($_) for $normalize ? values %content : ();
		push @differences, map { difference($content{atomic}, $content{$_}) } @ways;
	}
	return (join('', @differences), \%result);
}

# Hides the times and random numbers that scripts write.
sub hide_times
{
	$_[0] =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+/TIME/g;
	return;
}

# A history's scripts, each with its id in front, to read.
sub history_text
{
	return join '', map { "-- $_->[0]\n$_->[1]\n" } @{ $_[0] };
}

# ------------------------------------------------------------ their cases ----

my $tables = 'CREATE TABLE p (id int PRIMARY KEY);
	CREATE TABLE c (id int CONSTRAINT c_fk REFERENCES p DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE u (id int UNIQUE DEFERRABLE);
	INSERT INTO p VALUES (1); INSERT INTO c VALUES (1);';
my $fk = 'insert or update on table "c" violates foreign key constraint "c_fk"';
my $uk = 'duplicate key value violates unique constraint "u_id_key"';

# What each is about; the scripts, from a1 on; the error, and its context.
my @cases = (
	[   'SET CONSTRAINTS ALL IMMEDIATE ends with the revision',
		[   "$tables SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE c ADD x int;",
			'INSERT INTO c VALUES (2); INSERT INTO p VALUES (2);',
		]
	],
	[   'SET CONSTRAINTS ALL DEFERRED ends with the revision',
		[ "$tables SET CONSTRAINTS ALL DEFERRED;", 'INSERT INTO u VALUES (1), (1);' ],
		"23505: $uk", 'revision "a2", upgrade script, statement 1, line 1'
	],
	[   'also where the rows are corrected later',
		[   "$tables SET CONSTRAINTS ALL DEFERRED;",
			'INSERT INTO u VALUES (1), (1); DELETE FROM u;'
		],
		"23505: $uk", 'revision "a2", upgrade script, statement 1, line 1'
	],
	[   'SET CONSTRAINTS of one constraint ends with the revision',
		[   "$tables SET CONSTRAINTS c_fk IMMEDIATE; SET CONSTRAINTS u_id_key DEFERRED;",
			'INSERT INTO c VALUES (2); INSERT INTO p VALUES (2); INSERT INTO u VALUES (1), (1);',
		],
		"23505: $uk", 'revision "a2", upgrade script, statement 3, line 1'
	],
	[   'a deferred check is of its revision',
		[ "$tables", "INSERT INTO c VALUES (2);", 'INSERT INTO p VALUES (2);' ],
		"23503: $fk", 'revision "a2", upgrade script, at its end'
	],
	[   'a table with checks is free for the next revision',
		[ $tables, 'ALTER TABLE c ADD x int;', 'DROP TABLE c;' ]
	],
	[   'a table with checks is not free in its revision',
		["$tables ALTER TABLE c ADD x int;"],
		'55006: cannot ALTER TABLE "c" because it has pending trigger events',
		'revision "a1", upgrade script, statement 6, line 4'
	],
	[   'SET CONSTRAINTS in a block that fails is undone',
		[   "$tables DO \$\$ BEGIN SET CONSTRAINTS ALL IMMEDIATE; RAISE 'x';
				EXCEPTION WHEN raise_exception THEN NULL; END \$\$;
				INSERT INTO c VALUES (2); INSERT INTO p VALUES (2);",
			'INSERT INTO c VALUES (3); INSERT INTO p VALUES (3);'
		]
	],
	[   'SET CONSTRAINTS in a function ends with the revision',
		[   "$tables CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS
				'BEGIN EXECUTE ''SET CONSTRAINTS ALL IMMEDIATE''; END';",
			'SELECT f();',
			'INSERT INTO c VALUES (3); INSERT INTO p VALUES (3);'
		]
	],
	[   'a new constraint has its mode after SET CONSTRAINTS ALL IMMEDIATE',
		[   "$tables SET CONSTRAINTS ALL IMMEDIATE;",
			'CREATE TABLE d (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED);
				INSERT INTO d VALUES (5); INSERT INTO p VALUES (5);'
		]
	],
	[   'a new constraint has its mode after SET CONSTRAINTS ALL DEFERRED',
		[   "$tables SET CONSTRAINTS ALL DEFERRED;",
			'DO $$ BEGIN CREATE TABLE d (id int CONSTRAINT d_fk REFERENCES p DEFERRABLE);
				INSERT INTO d VALUES (5); INSERT INTO p VALUES (5); END $$;'
		],
		'23503: insert or update on table "d" violates foreign key constraint "d_fk"',
		'revision "a2", upgrade script, statement 1, line 2'
	],
	[   'a constraint that is declared anew has its new mode',
		[   "$tables SET CONSTRAINTS ALL DEFERRED;",
			'ALTER TABLE c ALTER CONSTRAINT c_fk DEFERRABLE INITIALLY IMMEDIATE;',
			'INSERT INTO c VALUES (2); INSERT INTO p VALUES (2);'
		],
		"23503: $fk", 'revision "a3", upgrade script, statement 1, line 1'
	],
	[   'the other way round as well',
		[   "$tables ALTER TABLE u ADD n int CONSTRAINT u_fk REFERENCES p DEFERRABLE;
				SET CONSTRAINTS ALL DEFERRED;",
			'ALTER TABLE u ALTER CONSTRAINT u_fk DEFERRABLE INITIALLY DEFERRED;
				INSERT INTO u VALUES (2, 2); INSERT INTO p VALUES (2);',
			'INSERT INTO u VALUES (3, 3); INSERT INTO p VALUES (3);'
		]
	],
	[   'constraints of the same name that are not deferrable',
		[   "$tables CREATE TABLE d (id int CONSTRAINT c_fk REFERENCES p);
				INSERT INTO c VALUES (2); INSERT INTO p VALUES (2);",
			'INSERT INTO c VALUES (3); INSERT INTO p VALUES (3);',
			'INSERT INTO d VALUES (4);'
		],
		'23503: insert or update on table "d" violates foreign key constraint "c_fk"',
		'revision "a3", upgrade script, statement 1, line 1'
	],
	[   'checks that leave checks of other constraints',
		[   "$tables CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
				'BEGIN INSERT INTO c VALUES (7); RETURN NULL; END';
				CREATE CONSTRAINT TRIGGER t AFTER INSERT ON u DEFERRABLE INITIALLY DEFERRED
				FOR EACH ROW EXECUTE FUNCTION f();",
			'INSERT INTO u VALUES (1);',
			'INSERT INTO p VALUES (7);'
		],
		"23503: $fk", 'revision "a2", upgrade script, at its end'
	],
	[   'the settings and the role that a check sees',
		[   "$tables CREATE TABLE seen (who text, setting text);
				GRANT ALL ON SCHEMA public TO mig_ways_role; GRANT ALL ON u, seen TO mig_ways_role;
				CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO
				public.seen VALUES (session_user, current_setting(''work_mem'')); RETURN NULL; END';
				CREATE CONSTRAINT TRIGGER t AFTER INSERT ON u DEFERRABLE INITIALLY DEFERRED
				FOR EACH ROW EXECUTE FUNCTION f();",
			"SET work_mem = '77MB'; SET ROLE mig_ways_role; INSERT INTO u VALUES (1);",
			'DROP TABLE u;'
		]
	],
	[   'partitioned tables',
		[   'CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
				CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
				CREATE TABLE c (id int, p int, CONSTRAINT c_fk FOREIGN KEY (p) REFERENCES p
				DEFERRABLE INITIALLY DEFERRED) PARTITION BY LIST (id);
				CREATE TABLE c1 PARTITION OF c DEFAULT; SET CONSTRAINTS ALL IMMEDIATE;',
			'INSERT INTO c VALUES (1, 1); INSERT INTO p VALUES (1);',
			'ALTER TABLE c ADD x int; INSERT INTO c VALUES (1, 5);',
		],
		'23503: insert or update on table "c1" violates foreign key constraint "c_fk"',
		'revision "a3", upgrade script, at its end'
	],
);

for my $case (@cases)
{
	my ($title, $scripts, $error, $context) = @$case;
	my $n = 0;
	my @history = map { [ 'a' . ++$n, $_ ] } @$scripts;
	my ($difference, $result) = compare(\@history);
	is($difference, '', "$title: all ways are the same");
	is($result->{atomic}{error}, $error // '', "$title: the error");
	is($result->{stepwise}{context}, $context // '', "$title: its context");
}

# ------------------------------------------------- the caller's transaction ----

{
	prepare([
		[ 'a1', $tables ],
		[ 'a2', 'SET CONSTRAINTS u_id_key DEFERRED; INSERT INTO u VALUES (1);' ],
		[ 'a3', 'CREATE TABLE d (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED);' ],
		[ 'a4', 'INSERT INTO d VALUES (2); INSERT INTO p VALUES (2);' ],
		[ 'a5', 'INSERT INTO c VALUES (5);' ]
	]);
	my $session = $session{atomic};
	$session->run(q{SELECT migrate.upgrade('a1')});

	# the caller's check is on c and p, the revisions' on d and p
	$session->run('BEGIN', 'INSERT INTO c VALUES (9)', q{SELECT migrate.upgrade('a4')},
		'INSERT INTO p VALUES (9)', 'COMMIT');
	is($session->value('SELECT count(*) FROM c WHERE id = 9'),
		1, q{a check that the caller has deferred before waits for the caller's commit});

	my $call = q{SELECT migrate.upgrade('a5')};
	$session->run('BEGIN');
	is($session->query($call)->{message},
		$fk, 'a check that a revision has deferred does not');
	$session->run('ROLLBACK', 'BEGIN', 'INSERT INTO c VALUES (8)', $call);
	like($session->query('COMMIT')->{message},
		qr/violates foreign key constraint "c_fk"/,
		'unless the caller has deferred checks of the same table');

	# what a revision has set does not hold for the caller
	$session->run(q{SELECT migrate.edit('a5', 'SET CONSTRAINTS ALL DEFERRED')},
		'BEGIN', $call, 'INSERT INTO c VALUES (7)', 'INSERT INTO p VALUES (7)');
	is($session->query('INSERT INTO u VALUES (2), (2)')->{message},
		$uk, q{modes are as declared for the caller's statements after the call});
	$session->run('ROLLBACK', 'BEGIN', $call,
		'CREATE TABLE late (id int CONSTRAINT late_fk REFERENCES p DEFERRABLE)');
	like($session->query('INSERT INTO late VALUES (99)')->{message},
		qr/"late_fk"/, 'also those of a constraint that is created then');
	$session->run('ROLLBACK');
}

# ------------------------------------------------------ random histories ----

sub any { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }

# The names that scripts use; not all of them exist at any time.
my @parents = qw(p1 p2);
my @children = qw(c1 c2 c3 s.c4);
my @uniques = qw(u1 u2 s.u3);
my $new = 0;

sub mode { return any('', ' DEFERRABLE', (' DEFERRABLE INITIALLY DEFERRED') x 2) }

# A constraint of the first tables, or one that may not be there.
sub constraint_name
{
	my $table = any(@children, @uniques);
	return $table . '_con' if chance(0.95);
	return 'nosuch_con';
}

sub set_constraints
{
	my $which = chance(0.6) ? 'ALL' : join ', ', map { constraint_name() } 1 .. 1 + rand 2;
	return "SET CONSTRAINTS $which " . any('IMMEDIATE', 'DEFERRED');
}

sub create_child
{
	my ($name, $parent, $mode) = @_;
	(my $plain = $name) =~ s/.*\.//;
	return "CREATE TABLE $name (id int,"
	  . " p int CONSTRAINT ${plain}_con REFERENCES public.$parent$mode)";
}

sub create_unique
{
	my ($name, $mode) = @_;
	(my $plain = $name) =~ s/.*\.//;
	return "CREATE TABLE $name (id int CONSTRAINT ${plain}_con UNIQUE$mode)";
}

sub value { return int rand 6 }

# Rows of a child before those of its parents, and so on: what is right at the end of
# a script only, or not even then.
sub change_rows
{
	my ($v, $child, $parent, $unique) = (value(), any(@children), any(@parents), any(@uniques));
	return any(
		"INSERT INTO $child VALUES ($v, $v)",
		"INSERT INTO $child VALUES ($v, $v); INSERT INTO p1 VALUES ($v) ON CONFLICT DO NOTHING;"
		  . " INSERT INTO p2 VALUES ($v) ON CONFLICT DO NOTHING",
		"INSERT INTO $parent VALUES ($v) ON CONFLICT DO NOTHING",
		"DELETE FROM $child WHERE p = $v",
		"DELETE FROM $parent WHERE id = $v",
		"INSERT INTO $unique VALUES ($v)",
		"DELETE FROM $unique WHERE id = $v; INSERT INTO $unique VALUES ($v)",
		"UPDATE $unique SET id = id + 1",
		"INSERT INTO $unique VALUES ($v), ($v); DELETE FROM $unique WHERE id = $v");
}

sub define_table
{
	my ($child, $parent, $unique, $n) = (any(@children), any(@parents), any(@uniques), ++$new);
	(my $plain = $child) =~ s/.*\.//;
	return any(
		"ALTER TABLE $child ADD x$n int",
		"ALTER TABLE $unique ADD x$n int DEFAULT $n",
		"CREATE INDEX ON $child (p)",
		"ALTER TABLE $child ALTER CONSTRAINT ${plain}_con" . any(
			' DEFERRABLE INITIALLY DEFERRED', ' DEFERRABLE INITIALLY IMMEDIATE', ' NOT DEFERRABLE'),
		"DROP TABLE $child; " . create_child($child, $parent, mode()),
		"DROP TABLE $unique; " . create_unique($unique, mode()),
		create_child("n$n", $parent, mode()) . "; INSERT INTO n$n VALUES (1, "
		  . value() . "); INSERT INTO $parent VALUES (1) ON CONFLICT DO NOTHING",
		create_unique("n$n", mode())
		  . "; INSERT INTO n$n VALUES (1), (2); UPDATE n$n SET id = id + 1",
		"CREATE CONSTRAINT TRIGGER t$n AFTER INSERT OR UPDATE ON $unique" . any(
			'', ' DEFERRABLE', ' DEFERRABLE INITIALLY DEFERRED')
		  . ' FOR EACH ROW EXECUTE FUNCTION public.note()');
}

# What belongs to the session, and is seen by later statements.
sub change_session
{
	my $n = value();
	return any(
		"SET work_mem = '" . (64 + $n) . "MB'",
		"SET LOCAL work_mem = '" . (64 + $n) . "MB'",
		"SELECT set_config('my.setting', '$n', false)",
		'RESET work_mem', 'RESET ALL',
		'SET search_path = s, public', 'SET LOCAL search_path = public, s',
		'SET ROLE mig_ways_role', 'RESET ROLE', 'SET LOCAL ROLE mig_ways_role',
		'SET SESSION AUTHORIZATION mig_ways_role',
		"CREATE TEMPORARY TABLE t$n AS SELECT $n AS n",
		"INSERT INTO public.seen SELECT 't', n::text FROM t$n",
		"DROP TABLE IF EXISTS pg_temp.t$n",
		"PREPARE s$n (int) AS INSERT INTO public.p1 VALUES (\$1) ON CONFLICT DO NOTHING",
		"EXECUTE s$n ($n)", "DEALLOCATE s$n");
}

sub look
{
	return q{INSERT INTO public.seen SELECT current_user || ' ' || current_schemas(false)::text,
	current_setting('work_mem') || ' ' || coalesce(current_setting('my.setting', true), '')};
}

sub failure
{
	return any(
		'SELECT 1 / 0', 'SELECT nosuch()',
		'INSERT INTO public.p1 VALUES (NULL)',
		'DO $$ BEGIN RAISE SQLSTATE \'XX123\' USING MESSAGE = \'asked to fail\'; END $$');
}

# A statement, or several.
sub statement
{
	my $kind = rand;
	return $kind < 0.15 ? set_constraints()
	  : $kind < 0.5  ? change_rows()
	  : $kind < 0.65 ? define_table()
	  : $kind < 0.75 ? change_session()
	  : $kind < 0.82 ? look()
	  : $kind < 0.86 ? "SELECT public.run('" . join('; ', map { s/'/''/gr } inner()) . "')"
	  : $kind < 0.92 ? 'DO $do$ BEGIN ' . join('; ', inner()) . '; END $do$'
	  : $kind < 0.97
	  ? 'DO $do$ BEGIN ' . join('; ', inner()) . '; EXCEPTION WHEN OTHERS THEN NULL; END $do$'
	  : failure();
}

# What can be in a function as well.
sub inner
{
	return map { any(\&set_constraints, (\&change_rows) x 2, \&define_table)->() } 1 .. 1 + rand 3;
}

# The first revision gives the others what they need; most of them can succeed.
sub random_history
{
	$new = 0;
	my @scripts = (
		[   'a0',
			join ";\n",
			'CREATE SCHEMA s',
			'CREATE TABLE seen (what text, value text)',
			'GRANT ALL ON SCHEMA public, s TO mig_ways_role',
			'CREATE FUNCTION run(text) RETURNS void LANGUAGE plpgsql AS \'BEGIN EXECUTE $1; END\'',
			'CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \'BEGIN INSERT INTO'
			  . ' public.seen SELECT TG_TABLE_NAME || NEW.id, current_user ||'
			  . ' current_setting(\'\'work_mem\'\') || count(*) FROM public.p1; RETURN NULL; END\'',
			(map { "CREATE TABLE $_ (id int PRIMARY KEY)" } @parents),
			(map { create_child($_, any(@parents), mode()) } @children),
			(map { create_unique($_, mode()) } @uniques),
			'GRANT ALL ON ALL TABLES IN SCHEMA public, s TO mig_ways_role',
			map { "INSERT INTO $_ SELECT generate_series(0, 3)" } @parents
		]);
	push @scripts, [ "a$_", join ";\n", map { statement() } 1 .. 1 + rand 4 ] for 1 .. 3 + rand 6;
	return \@scripts;
}

my %ends;
my $round = 0;
while ($round < $rounds && !($round && defined $deadline && time > $deadline))
{
	my $history = random_history();
	$round++;
	my ($difference, $result) = compare($history);
	$ends{ $result->{atomic}{error} =~ s/:.*//r || 'success' }++;
	next if $difference eq '';
	is($difference, '', "seed $seed, random history $round: all ways are the same")
	  or diag history_text($history);
	last;
}
ok($round, "$round random histories");
diag "$round random histories: ", join ', ', map { "$_ $ends{$_}" } sort keys %ends;

# -------------------------------------------------------- real histories ----

chomp(my $version = `@{[ tool('psql') ]} -XAtqc 'SHOW server_version_num' postgres`);
for my $file (glob "$data/*.jsonl")
{
	my ($name) = $file =~ /([^\/]*)\.jsonl$/;
	# it has CREATE OR REPLACE TRIGGER, which 13 cannot parse
	next if $name eq 'crates_io' && $version < 140000;
	my ($difference, $result) = compare(real_history($name), \&hide_times);
	is($difference, '', "$name: all ways are the same");
	is($result->{atomic}{error}, '', "$name: it runs to its end");
}

$_->finish for values %session;
drop_databases();
run_psql('postgres', 'DROP ROLE mig_ways_role');
done_testing();
