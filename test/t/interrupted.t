#!/usr/bin/perl
#
# What is decided about a statement of a stepwise run that was cut short, case
# by case: in each phase of a concurrent build, between its end and its record,
# before and behind the first commit of a procedure, while a failure is written
# down or a leftover removed; what may be edited and resumed then; and limits
# and timeouts.  faults.t tries all faults on one plan.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateFaults;
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep);

alarm 400;
prepare(<<'SQL');
CREATE TABLE part (a int) PARTITION BY LIST (a);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
SQL

# Revisions on top of each other, each the script of one case; all are applied
# in the end.  A case is a fault, what it left, and what the next call does.
new_database();
my $case;
my $number = 0;					# of cases
my $id;							# the case's revision
my $revision_state;				# settings of the session that runs it

sub case
{
	my ($name, @sql) = @_;
	$case = $where = $name;
	$number++;
	$id = "c$number";
	my $parent = $number > 1 ? 'head' : 'base';
	$watch->run("SELECT migrate.revision('a case', "
		  . lit(join '', map { "$_;\n" } @sql)
		  . ", NULL, '$id', '$parent', transactional => false)");
	$revision_state = session_state();
	return;
}

# A table with an invalid index of the user's own.
sub table
{
	my $name = shift;
	$watch->run("CREATE TABLE $name (a int, b int, c text, dup int)",
		"INSERT INTO $name SELECT i, i, i, 1 FROM generate_series(1, 3) i");
	my $result = $watch->query("CREATE UNIQUE INDEX CONCURRENTLY users_own_$name ON $name (dup)");
	die $result->{err} unless $result->{state} eq '23505';
	return;
}

sub upgrade { return $run->query('CALL migrate.upgrade_stepwise()') }
sub label   { return "$id upgrade: $_[0]" }

sub partial
{
	return $watch->value(
		q{SELECT COALESCE(string_agg(concat_ws(' ', statements_done, in_doubt, intent IS NOT NULL),}
		  . q{ ', '), '') FROM migrate.partial}
	) // '';
}

sub invalid
{
	return join ' ',
	  sort $watch->rows(
		q{SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid AND}
		  . q{ indexrelid::regclass::text !~ '^"?users_own'}
	  );
}
sub oid { return $watch->value('SELECT to_regclass(' . lit($_[0]) . ')::oid') }

sub is_valid
{
	return $watch->value(
		'SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(' . lit($_[0]) . ')') // '';
}

# The SQLSTATE of the statement that a fault does not hide, if any.
our $own_error;

# The call stops where the steps end, and is cut short there.
sub cut_short
{
	my ($kind, $gates, @steps) = @_;
	my $came = go_to('upgrade', { gates => $gates, steps => \@steps });
	is($came, '', "$case: the run comes to its point")
	  or die $run->answers ? $run->receive->{err} : 'it does not';
	my $result = inject($kind);
	is($result->{got}, $own_error // expected_state($kind), "    $kind") or diag $result->{err};
	is(tidy() // '', '', '    its server process ends, or goes on');
	is(session_state(), $revision_state, "    $kind: the session is as before, without locks")
	  if survives($kind);
	is( $watch->value('SELECT count(*) FROM migrate.progress')
		  . $watch->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		'00',
		"    $kind: nobody holds a lock");
	return $result;
}

# The next call ends it.
sub ends
{
	my ($like, $what) = @_;
	my $result = upgrade();
	is($result->{state}, '00000', "$case: the next call ends it") or die $result->{err};
	like($result->{err}, $like, '    and tells: ' . ($what // $like)) if $like;
	is(partial() . ' ' . invalid(), ' ', '    nothing is left');
	is( $watch->value('SELECT string_agg(revision, NULL) FROM migrate.versions')
		  . $watch->value("SELECT count(*) FROM migrate.log WHERE revision = '$id'"),
		"${id}1",
		'    it is applied, once');
	is( $watch->value(
			q{SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indexrelid::regclass::text ~}
			  . q{ '^"?users_own'}
		),
		$watch->value(q{SELECT count(*) FROM pg_class WHERE relname ~ '^users_own'}),
		q{    the user's own invalid indexes stay});
	is(session_state(), $revision_state, '    the session is as before, without locks');
	return $result;
}

# CREATE INDEX CONCURRENTLY, killed in each of its phases.
{
	my $n = 0;
	for my $phase (qw(writers build later_writers snapshots))
	{
		my $table = 't_killed_' . ++$n;
		table($table);
		case ("kill -9, $phase",
			'SELECT 1',
			qq{CREATE INDEX CONCURRENTLY "Odd ""name"" $n" ON $table (gated(a, 'build $n'))});
		my %how = phase(
			$phase eq 'build' ? 'writers' : $phase, label('statement 2 begins'),
			table => $table,
			build => "build $n");
		%how = (gates => ["build $n"], steps => [ ["build $n"] ]) if $phase eq 'build';
		cut_short('kill -9', $how{gates}, @{ $how{steps} });
		is(partial(), '1 t t', '    its statement is in doubt');
		is(invalid(), qq{"Odd ""name"" $n"}, '    an invalid index is there');
		ends(qr/removing invalid index "Odd "name" $n", which an interrupted build left/);
		is(is_valid(qq{"Odd ""name"" $n"}), 't', '    the index is valid');
	}
}

# Killed when it had ended, before that was recorded: it is not built again.
# An index without a name is found by what it says.
{
	my @indexes = (
		['CREATE INDEX CONCURRENTLY %n ON %t (a)'],
		[
			'CREATE UNIQUE INDEX CONCURRENTLY %n ON public.%t (a DESC,'
			  . ' b ASC NULLS FIRST) INCLUDE (c) WHERE a > 0'
		],
		['CREATE INDEX CONCURRENTLY %n ON %t USING hash (c)'],
		['CREATE INDEX CONCURRENTLY %n ON %t (lower(c))'],
		['CREATE INDEX CONCURRENTLY %n ON %t (c COLLATE "C" text_pattern_ops)'],
		['CREATE INDEX CONCURRENTLY %n ON %t (a, (b)) WITH (fillfactor = 70)'],
		[
			'CREATE INDEX CONCURRENTLY %n ON %t (lower(%t.c) DESC, a)'
			  . q{ WHERE c IN ('x', 'y') AND b > 1}
		],
		['CREATE INDEX CONCURRENTLY %n ON %t ((c || a), lower(c), (a + b)) WHERE true'],
		['CREATE INDEX CONCURRENTLY IF NOT EXISTS %n ON %t (a)'],);
	my $n = 0;
	for my $named ('i_ended', '')
	{
		for my $index (@indexes)
		{
			my $sql = $index->[0];
			next if !$named && $sql =~ /IF NOT EXISTS/;
			my $table = 't_ended_' . ++$n;
			table($table);
			my $name = $named ? "${named}_$n" : '';
			$sql =~ s/%n/$name/;
			$sql =~ s/%t/$table/g;
			case("ended: $sql", $sql, 'SELECT 1');
			cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
			is(partial() . invalid(), '0 t t', '    in doubt, and not invalid');
			my $indexes =
			  "SELECT string_agg(indexrelid::regclass || ' ' || indexrelid, ' ' ORDER BY 1)"
			  . " FROM pg_index WHERE indrelid = '$table'::regclass";
			my $before = $watch->value($indexes);
			ends($sql =~ /IF NOT EXISTS/
				? qr/already exists, skipping/
				: qr{statement 1/2 is done already});
			is($watch->value($indexes), $before, '    it was not built again');
		}
	}
}

# The index that has the name when the script is resumed is another one: that is
# not what the statement has made, in no part of its definition.
{
	my @others = (
		'INDEX %n ON %t (b)',
		'UNIQUE INDEX %n ON %t (a)',
		'INDEX %n ON %t (a DESC)',
		'INDEX %n ON %t (a NULLS FIRST)',
		'INDEX %n ON %t (a, b)',
		'INDEX %n ON %t (a) INCLUDE (b)',
		'INDEX %n ON %t (a) WHERE a > 0',
		'INDEX %n ON %t ((a + 0))',
		'INDEX %n ON %t USING hash (a)',
		'INDEX %n ON %t (a) WITH (fillfactor = 70)',
		'INDEX %n ON users_table (a)');
	table('t_other');
	$watch->run('CREATE TABLE users_table (a int)');
	case('another index', 'CREATE INDEX CONCURRENTLY i_other ON t_other (a)');
	my %how = phase('writers', label('statement 1 begins'), table => 't_other');
	cut_short('kill -9', $how{gates}, @{ $how{steps} });
	is(partial(), '0 t t', '    in doubt');
	for my $other (@others)
	{
		(my $sql = "CREATE $other") =~ s/%n/i_other/;
		$sql =~ s/%t/t_other/;
		$watch->run('DROP INDEX i_other', $sql, 'UPDATE migrate.partial SET in_doubt = true');
		my $before = oid('i_other');
		my $result = upgrade();
		is($result->{state}, '42P07', "    $sql: 42P07") or diag $result->{err};
		unlike($result->{err}, qr/stamp/, '    without a hint to stamp');
		is(oid('i_other'), $before, '    and stays');
	}
	$watch->run('DROP INDEX i_other');
	ends();
}

# What failed before the client's eyes is run again, whatever has its name now;
# invalid indexes that the user has built since are the user's.
for my $leftover (1, 0)
{
	my $table = "t_helped_$leftover";
	table($table);
	case (
		"a failed build, leftover $leftover",
		"CREATE UNIQUE INDEX CONCURRENTLY i_helped ON $table (dup)");
	is(upgrade()->{state}, '23505', "$case: it fails");
	is(partial() . invalid(), '0 f ti_helped', '    not in doubt, and an invalid index is there');
	my @others = map { "CREATE UNIQUE INDEX CONCURRENTLY $_" } "users_own_2_$table ON $table (dup)",
	  "users_own_3_$table ON $table (a, dup) WHERE a > 1";
	$watch->run("UPDATE $table SET a = 2");
	is($watch->query($_)->{state}, '23505', "    $_ fails too") for @others;
	$watch->run('DROP INDEX i_helped', "CREATE INDEX i_helped ON $table (b)") unless $leftover;
	if (!$leftover)
	{
		my $before = oid('i_helped');
		for (1, 2)
		{
			my $result = upgrade();
			is($result->{state}, '42P07', '    42P07, not done already') or diag $result->{err};
			is(oid('i_helped'), $before, '    what has the name stays');
		}
		$watch->run('DROP INDEX i_helped');
		is($watch->query("CREATE UNIQUE INDEX CONCURRENTLY i_helped ON $table (a)")->{state},
			'23505', '    an invalid one of another definition');
		is(upgrade()->{state}, '42P07', '    stays too');
		is(is_valid('i_helped'), 'f', '    and is not removed');
		$watch->run('DROP INDEX i_helped');
	}
	$watch->run("DELETE FROM $table");
	ends($leftover ? qr/removing invalid index "i_helped"/ : undef);
	is($watch->value("SELECT count(*) FROM pg_class WHERE relname ~ '^users_own.*$table'"),
		3, q{    all of the user's are there});
	$watch->run("DROP TABLE $table");
}

# An unnamed one, too: its leftover has a name that the server chooses.
{
	table('t_unnamed');
	case (
		'an unnamed build',
		'CREATE UNIQUE INDEX CONCURRENTLY ON t_unnamed (dup, lower(c)) INCLUDE (b)');
	$watch->run(q{UPDATE t_unnamed SET c = 'x'}, 'CREATE TABLE t_unnamed_dup_lower_b_idx ()');
	is(upgrade()->{state}, '23505', "$case: it fails");
	is(invalid(), 't_unnamed_dup_lower_b_idx1', '    an invalid index is there');
	is( $watch->query(
			'CREATE UNIQUE INDEX CONCURRENTLY users_own_idx2 ON t_unnamed (dup, lower(c))'
			  . ' INCLUDE (b)'
		)->{state},
		'23505',
		'    and one of the user');
	$watch->run('DELETE FROM t_unnamed');
	ends(qr/removing invalid index "t_unnamed_dup_lower_b_idx1"/);
	$watch->run('DROP TABLE t_unnamed, t_unnamed_dup_lower_b_idx');
}

# A DO that fails by itself, before and after it has committed.
for my $commits (0, 1)
{
	my $name = "do $commits";
	case (
		"a DO that fails, $commits commits",
		'SELECT 1',
		"DO \$\$BEGIN INSERT INTO ran VALUES ('$name'); IF $commits = 1 THEN COMMIT; END IF;"
		  . " PERFORM 1 / (SELECT count(*) FROM marks WHERE name = '$name'); END\$\$",
		'SELECT 1');
	my $result = upgrade();
	is($result->{state}, '22012', "$case: it fails") or diag $result->{err};
	is(partial(), $commits ? '1 t t' : '1 f f', '    it is in doubt when it had committed');
	my $hint = 'HINT:  Statement 2 has committed a part of its work. '
	  . "Look, then run SELECT migrate.resume('$id'";
	is( $result->{err} =~ /^\Q$hint\E/m
		? 1
		: 0,
		$commits,
		'    and says so then');
	is(session_state(), $revision_state, '    the session is as before, without locks');
	$watch->run("INSERT INTO marks VALUES ('$name', 1)");
	if ($commits)
	{
		is(upgrade()->{state}, 'MG013', '    MG013');
		$watch->run("SELECT migrate.resume('$id', 'done')");
	}
	ends();
	is($watch->value("SELECT count(*) FROM ran WHERE name = '$name'"), 1, '    it counts once');
}

# IF NOT EXISTS over what an interrupted build left, and over the user's own.
{
	table('t_over');
	case (
		'IF NOT EXISTS over a leftover',
		'CREATE INDEX CONCURRENTLY IF NOT EXISTS i_over ON t_over (a)',
		'SELECT 1');
	my %how = phase('snapshots', label('statement 1 begins'), table => 't_over');
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	is(invalid(), 'i_over', '    an invalid index is there');
	ends(qr/removing invalid index "i_over"/);
	is(is_valid('i_over'), 't', '    and built');

	case (q{IF NOT EXISTS over the user's own},
		'CREATE INDEX CONCURRENTLY IF NOT EXISTS users_own_t_over ON t_over (a)');
	my $before = oid('users_own_t_over');
	for (1, 2)
	{
		my $result = upgrade();
		is($result->{state}, '55000', "$case: 55000") or diag $result->{err};
		like(
			$result->{err},
			qr/index "users_own_t_over" exists and is invalid/,
			'    it says which');
		is(oid('users_own_t_over'), $before, '    it is not removed');
		is(session_state(), $revision_state, '    the session is as before, without locks');
	}
	$watch->run('DROP INDEX users_own_t_over');
	my $result = upgrade();
	is($result->{state} . is_valid('users_own_t_over'), '00000t', '    without it, the call ends')
	  or diag $result->{err};
	$watch->run('DROP INDEX users_own_t_over');
}

# A build that fails by itself; then the statement is edited.
for my $edit (
	'',
	'SELECT 1; CREATE INDEX CONCURRENTLY i_failed ON %s (dup);',
	'SELECT 1; CREATE INDEX CONCURRENTLY ON %s (a);',
	'SELECT 1; INSERT INTO ran VALUES (NULL);',
	'SELECT 1;',
	'SELECT 1; BEGIN; SELECT 2; COMMIT;',
	'SELECT 1; VACUUM %s; SELECT 3;')
{
	my $table = 't_failed_' . ($number + 1);
	table($table);
	case (
		'a failed build, ' . ($edit || 'not edited'),
		'SELECT 1',
		"CREATE UNIQUE INDEX CONCURRENTLY i_failed ON $table (dup)");
	my $result = upgrade();
	is($result->{state}, '23505', "$case: it fails") or diag $result->{err};
	is( partial() . ' ' . invalid(),
		'1 f t i_failed',
		'    it is not in doubt, and left an invalid index');
	is(session_state(), $revision_state, '    the session is as before, without locks');
	is( $watch->query(
			"SELECT migrate.edit('$id', "
			  . lit("SELECT 0; CREATE INDEX CONCURRENTLY ON $table (b);") . ')')->{state},
		'MG007',
		'    what is done cannot be edited');

	if ($edit)
	{
		(my $sql = $edit) =~ s/%s/$table/;
		$watch->run("SELECT migrate.edit('$id', " . lit($sql) . ')');
	}
	else
	{
		$watch->run("DELETE FROM $table WHERE a > 1");
	}
	ends(qr/removing invalid index "i_failed"/);
	$watch->run("DROP TABLE $table");
}

# In doubt: no edit before it is decided.
{
	case('a procedure, killed', 'SELECT 1', q{CALL batches('killed')}, 'SELECT 1');
	cut_short('kill -9', ['killed, batch 2'], ['killed, batch 2']);
	is(partial(), '1 t t', '    in doubt');
	my $edit = "SELECT migrate.edit('$id', 'SELECT 1; CALL batches(''killed''); SELECT 2;')";
	my $doubt = qq{statement 2 of the upgrade script of revision "$id" is in doubt};
	my $resume = "SELECT migrate.resume('$id', 'done' or 'again')";
	is($watch->query("SELECT migrate.edit('$id', 'SELECT 1; SELECT 2; SELECT 1;')")->{state},
		'MG007', '    its statement cannot be edited');
	is($watch->query($edit)->{state}, '00000', '    but what comes after it');
	for (1, 2)
	{
		my $result = upgrade();
		is($result->{state}, 'MG013', '    MG013') or diag $result->{err};
		like(
			$result->{err},
			qr/\Q$doubt\E.*\Q$resume\E/s,
			'    with what to do');
		is(session_state(), $revision_state, '    the session is as before, without locks');
	}
	is($watch->query("SELECT migrate.resume('$id', 'perhaps')")->{state},
		'22023', '    resume has two answers');
	is($watch->value("SELECT migrate.resume('$id', 'again')"), $id, '    again');
	is($watch->query("SELECT migrate.resume('$id', 'again')")->{state}, '55000', '    once');
	ends();
	is( $watch->value(
			q{SELECT string_agg(name, ' | ' ORDER BY name) FROM ran WHERE name ~ '^killed'}),
		'killed, batch 1 | killed, batch 2',
		'    both batches ran once');

	case('a procedure, killed, and done', q{CALL batches('given up')});
	cut_short('terminate', ['given up, batch 2'], ['given up, batch 2']);
	$watch->run("SELECT migrate.resume('$id', 'done')");
	ends();
	is( $watch->value(
			q{SELECT string_agg(name, ' | ' ORDER BY name) FROM ran WHERE name ~ '^given'}),
		'given up, batch 1',
		'    it did not run again');

	case('a procedure, killed, given up and edited', q{CALL batches('edited')}, 'SELECT 1');
	cut_short('terminate', ['edited, batch 2'], ['edited, batch 2']);
	$watch->run("SELECT migrate.resume('$id', 'again')", "SELECT migrate.edit('$id', 'SELECT 2;')");
	ends();
}

# REINDEX: its leftovers, also those of TOAST tables and of a primary key, and
# nothing that looks like them.
for my $phase (qw(snapshots readers later_readers))
{
	my $table = "t_toast_$phase";
	table($table);
	$watch->run("ALTER TABLE $table ADD PRIMARY KEY (a)",
		"ALTER INDEX users_own_$table RENAME TO users_own_${table}_ccnew");
	my $toast = $watch->value(
		"SELECT indexrelid::regclass FROM pg_index WHERE indrelid ="
		  . " (SELECT reltoastrelid FROM pg_class WHERE oid = '$table'::regclass)"
	);
	case ("REINDEX TABLE CONCURRENTLY, $phase", "REINDEX TABLE CONCURRENTLY $table");
	my %how = phase($phase, label('statement 1 begins'), table => $table);
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	my $suffix = $phase eq 'snapshots' ? '_ccnew' : '_ccold';
	is( invalid(),
		join(' ', sort "$toast$suffix", "${table}_pkey$suffix"),
		'    its indexes are left') if $phase ne 'later_readers';
	ends(qr/removing invalid index/);
	is(is_valid("${table}_pkey") . is_valid($toast), 'tt', '    both are valid');
}

# What only has such a name is the user's: another definition, or a copy of
# another index.
{
	table('t_named');
	$watch->run('CREATE INDEX i_named ON t_named (a)', 'CREATE INDEX i_beside ON t_named (b)');
	case('REINDEX INDEX CONCURRENTLY', 'REINDEX INDEX CONCURRENTLY i_named');
	my %how = phase('snapshots', label('statement 1 begins'), table => 't_named');
	cut_short('kill -9', $how{gates}, @{ $how{steps} });
	for my $sql (
		'UNIQUE INDEX CONCURRENTLY i_named_ccnew1 ON t_named (dup)',
		'UNIQUE INDEX CONCURRENTLY i_named_x_ccnew ON t_named (dup)')
	{
		is($watch->query("CREATE $sql")->{state}, '23505', "    $sql");
	}
	block('snapshot');
	my $other = session();
	$other->run(q{SET statement_timeout = '300ms'});
	is($other->query('REINDEX INDEX CONCURRENTLY i_beside')->{state},
		'57014', '    a REINDEX of another');
	$other->finish;
	unblock();
	is(invalid(), 'i_beside_ccnew i_named_ccnew i_named_ccnew1 i_named_x_ccnew',
		'    four are invalid');
	is(upgrade()->{state}, '00000', '    the next call ends it');
	is(invalid(), 'i_beside_ccnew i_named_ccnew1 i_named_x_ccnew', '    and removes its own only');
	$watch->run('DROP TABLE t_named');
}

# REINDEX of a schema, and of a partitioned table, where that is done.
for my $sql (
	'REINDEX SCHEMA CONCURRENTLY many',
	$version >= 14
	? ('REINDEX TABLE CONCURRENTLY many.parts', 'REINDEX INDEX CONCURRENTLY many.parts_a')
	: ())
{
	$watch->run(
		'CREATE SCHEMA many',
		'CREATE TABLE many.parts (a int) PARTITION BY LIST (a)',
		'CREATE INDEX parts_a ON many.parts (a)',
		map { "CREATE TABLE many.part_$_ PARTITION OF many.parts FOR VALUES IN ($_)" } 1,
		2);
	case ($sql, $sql, 'SELECT 1');
	my %how = phase('readers', label('statement 1 begins'), table => 'many.part_2');
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	is(invalid(), 'many.part_2_a_idx_ccold', '    an old index is left');
	ends(qr/removing invalid index "part_2_a_idx_ccold"/);
	is( $watch->value(q{SELECT count(*) FROM pg_class WHERE relname ~ '_cc'}),
		$watch->value(q{SELECT count(*) FROM pg_class WHERE relname ~ '^users_own.*_cc'}),
		'    none is left');
	$watch->run('DROP SCHEMA many CASCADE');
}

# DROP INDEX CONCURRENTLY.
for my $phase (qw(drop later_drop))
{
	my $table = "t_dropped_$phase";
	table($table);
	$watch->run("CREATE INDEX i_dropped_$phase ON $table (a)");
	case ("DROP INDEX CONCURRENTLY, $phase", "DROP INDEX CONCURRENTLY i_dropped_$phase");
	my %how =
	  phase($phase, label('statement 1 begins'), table => $table, index => "i_dropped_$phase");
	cut_short('kill -9', $how{gates}, @{ $how{steps} });
	is(partial() . invalid(), "0 t ti_dropped_$phase", '    in doubt, and the index is invalid');
	ends();
	is(oid("i_dropped_$phase") // '', '', '    it is gone');
}

# An index that was dropped, and behind it in the search_path one of the same
# name.
for my $sql ('DROP INDEX CONCURRENTLY i_twice', 'DROP INDEX CONCURRENTLY IF EXISTS i_twice')
{
	$watch->run(
		map {
			(   "CREATE SCHEMA $_",
				"CREATE TABLE $_.t_twice (a int)",
				"CREATE INDEX i_twice ON $_.t_twice (a)")
		} 'before',
		'behind');
	case ("$sql, one behind it", 'SET search_path = before, behind', $sql, 'SELECT 1');
	cut_short('terminate', [ label('statement 2 done') ], [ label('statement 2 done') ]);
	is((oid('before.i_twice') // '') . is_valid('behind.i_twice'), 't', '    the first is dropped');
	ends(qr{statement 2/3 is done already});
	is(is_valid('behind.i_twice'), 't', '    the other one stays');
	$watch->run('DROP SCHEMA before, behind CASCADE');
}

# What was dropped is known by its OID: another index that has its name since is
# not dropped; one that has another name by now is not done.
{
	table('t_again');
	$watch->run('CREATE INDEX i_again ON t_again (a)');
	case('DROP INDEX, made again', 'DROP INDEX CONCURRENTLY i_again', 'SELECT 1');
	cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
	$watch->run('CREATE INDEX i_again ON t_again (a)');
	ends(qr{statement 1/2 is done already});
	is(is_valid('i_again'), 't', '    the new one stays');

	case('DROP INDEX, renamed', 'DROP INDEX CONCURRENTLY i_again');
	my %how = phase('drop', label('statement 1 begins'), table => 't_again', index => 'i_again');
	cut_short('kill -9', $how{gates}, @{ $how{steps} });
	$watch->run('ALTER INDEX i_again RENAME TO i_renamed', 'CREATE INDEX i_again ON t_again (b)');
	is(upgrade()->{state}, 'MG013', '    MG013');
	is(is_valid('i_again') . is_valid('i_renamed'), 'tf', '    both are there');
	$watch->run('DROP INDEX i_again', 'ALTER INDEX i_renamed RENAME TO i_again');
	ends();
	is(oid('i_again') // '', '', '    it is gone');
}

# Intents as a crash leaves them before the statement has done anything.
sub crashed
{
	my ($sql, $object) = @_;
	case("crashed: $sql", $sql);
	$watch->run('INSERT INTO migrate.partial (revision, direction, statements, statements_done,'
		  . ' digest, in_doubt, started_at, intent, intent_object, intent_database)'
		  . " SELECT '$id', 'upgrade', 1, 0, '', true, now(), encode(sha256(convert_to(E'\\n' || "
		  . lit($sql)
		  . q{, 'UTF8')), 'hex'), }
		  . ($object // 0)
		  . q{, system_identifier || '/' || 'migrate.partial'::regclass::oid}
		  . ' FROM pg_control_system()'
	);
	return;
}

# What was never there was not dropped; what others have made is not made.
{
	$watch->run('CREATE ROLE faults_other', 'CREATE TABLE no_part (a int)');
	for my $try (
		[ 'DROP INDEX CONCURRENTLY no_such', '42704' ],
		[ 'DROP DATABASE no_such', '3D000' ],
		[ 'DROP TABLESPACE no_such', '42704' ],
		[
			'CREATE DATABASE faults_made', '42P04',
			'CREATE DATABASE faults_made OWNER faults_other'
		],
		$version >= 14
		? ([ 'ALTER TABLE part DETACH PARTITION no_part CONCURRENTLY', '42P01' ])
		: ())
	{
		my ($sql, $state, @before) = @$try;
		crashed($sql);
		$watch->run(@before) if @before;
		my $result = upgrade();
		is($result->{state}, $state, "$case: $state") or diag $result->{err};
		unlike($result->{err}, qr/done already/, '    not done already');
		$watch->run('DROP DATABASE faults_made') if @before;
		$watch->run("SELECT migrate.edit('$id', 'SELECT 1')");
		ends();
	}
	$watch->run('CREATE DATABASE faults_made');
	crashed('DROP DATABASE faults_made', 2);
	ends(qr/done already/);
	is($watch->value(q{SELECT count(*) FROM pg_database WHERE datname = 'faults_made'}),
		1, '    a database that has its name since is not dropped');
	$watch->run('DROP DATABASE faults_made', 'DROP ROLE faults_other', 'DROP TABLE no_part');
}

# DETACH PARTITION CONCURRENTLY, killed after its first transaction.
SKIP:
{
	skip 'no DETACH PARTITION CONCURRENTLY before 14', 1 if $version < 14;
	case('DETACH', 'ALTER TABLE part DETACH PARTITION part_2 CONCURRENTLY', 'SELECT 1');
	my %how = phase('detach', label('statement 1 begins'), table => 'part', partition => 'part_2');
	cut_short('kill -9', $how{gates}, @{ $how{steps} });
	is( $watch->value(
			q{SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'part_2'::regclass}),
		't',
		'    it is pending');
	my $statement = 'ALTER TABLE public\.part DETACH PARTITION public\.part_2 FINALIZE';
	ends(qr{statement 1/2 was interrupted: $statement});
	is($watch->value(q{SELECT count(*) FROM pg_inherits WHERE inhrelid = 'part_2'::regclass}),
		0, '    it is no partition any more');
}

# Databases and ALTER SYSTEM, ended but not recorded.
{
	case('CREATE DATABASE', 'CREATE DATABASE faults_made TEMPLATE template0', 'SELECT 1');
	cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
	ends(qr{statement 1/2 is done already});
	case('DROP DATABASE', 'DROP DATABASE faults_made', 'SELECT 1');
	cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
	ends(qr{statement 1/2 is done already});
	case('ALTER SYSTEM', q{ALTER SYSTEM SET work_mem = '6MB'}, 'SELECT 1');
	cut_short('terminate', [ label('statement 1 done') ], [ label('statement 1 done') ]);
	ends();
}

# A fault while a failure is written down: the statement stays in doubt, and
# the catalogs decide.  Its own error is raised all the same, with a warning.
for my $kind ('cancel', 'kill -9', 'full lock table')
{
	(my $table = "t_noting_$kind") =~ s/\W+/_/g;
	table($table);
	case ("failed, then $kind",
		'SELECT 1', "CREATE UNIQUE INDEX CONCURRENTLY i_noting ON $table (dup)");
	local $own_error = '23505' if survives($kind);
	my $result = cut_short($kind, [ label('statement 2 failed') ], [ label('statement 2 failed') ]);
	like(
		$result->{err},
		qr/WARNING:  \w{5}: could not record that statement 2 failed/,
		'    and a warning') if survives($kind);
	is(partial() . invalid(), '1 t ti_noting', '    in doubt, and an invalid index is there');
	$watch->run("DELETE FROM $table WHERE a > 1");
	ends(qr/removing invalid index "i_noting"/);
	$watch->run("DROP TABLE $table");
}

# A fault while a leftover is removed.
for my $kind ('cancel', 'terminate', 'kill -9')
{
	(my $table = "t_removing_$kind") =~ s/\W+/_/g;
	table($table);
	case("leftover, then $kind", 'SELECT 1', "CREATE INDEX CONCURRENTLY i_removing ON $table (a)");
	my %how = phase('snapshots', label('statement 2 begins'), table => $table);
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	my $reader = sub { block('reader', "LOCK TABLE $table IN ACCESS SHARE MODE") };
	for my $flag ('indislive', 'NOT indislive')
	{
		$reader->();
		my $waits =
		  "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('i_removing') AND indislive)"
		    . " AND "
		  . waits_for('virtualxid');
		my $dead =
		  "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('i_removing') AND NOT"
		    . " indislive) AND "
		  . waits_for('virtualxid');
		cut_short(
			$kind,
			[],
			$flag eq 'indislive'
			? [ sub { $waits } ]
			: ( [
					sub { "$waits OR $dead" },
					sub {
						block('later reader', "LOCK TABLE $table IN ACCESS SHARE MODE");
						unblock('reader');
					}
				],
				[ sub { $dead } ]));
		is(invalid(), 'i_removing', '    it is still there');
	}
	ends(qr/removing invalid index "i_removing"/);
	$watch->run("DROP TABLE $table");
}

# While somebody else builds an index on the same table, a leftover is not
# mixed up with it.
{
	table('t_others');
	case('others build too', 'SELECT 1', 'CREATE INDEX CONCURRENTLY i_ours ON t_others (a)');
	my %how = phase('snapshots', label('statement 2 begins'), table => 't_others');
	cut_short('terminate', $how{gates}, @{ $how{steps} });
	block('snapshot');
	my $other = session();
	$other->send('CREATE INDEX CONCURRENTLY i_theirs ON t_others (b)');
	ok( wait_until(
			sub {
				$watch->value(
					"SELECT count(*) FROM pg_stat_progress_create_index"
					  . " WHERE pid = $other->{pid} AND phase = 'waiting for old snapshots'"
				);
			}),
		'    another session builds');
	is(invalid(), 'i_ours i_theirs', '    both are invalid');
	$run->send('CALL migrate.upgrade_stepwise()');
	ok(wait_for(waits_for('relation')), '    the run waits for it');
	unblock();
	is($other->receive->{state}, '00000', '    which ends');
	my $result = $run->receive;
	is($result->{state}, '00000', '    and then the run') or diag $result->{err};
	is(is_valid('i_ours') . is_valid('i_theirs') . partial(), 'tt', '    both are valid');
	unlike($result->{err}, qr/i_theirs/, '    theirs was left alone');
	$other->finish;
}

# What a script sets is set again in the next session: role and search_path
# too, by which the statement in doubt is decided.
{
	$watch->run(
		'CREATE ROLE faults_builder',
		'CREATE SCHEMA apart AUTHORIZATION faults_builder',
		'SET ROLE faults_builder',
		'CREATE TABLE apart.t_apart (a int)',
		'RESET ROLE');
	case (
		'role and search_path',
		'SET ROLE faults_builder',
		'SET search_path = apart',
		'CREATE INDEX CONCURRENTLY i_apart ON t_apart (a)',
		'CREATE TABLE t_after AS SELECT current_user AS who');
	my %how = phase('snapshots', label('statement 3 begins'), table => 't_apart');
	cut_short('cancel', $how{gates}, @{ $how{steps} });
	cut_short('full lock table', [ label('statement 3 begins') ], [ label('statement 3 begins') ]);
	cut_short('kill -9', [ label('statement 3 done') ], [ label('statement 3 done') ]);
	is(is_valid('apart.i_apart'), 't', '    the index is there');
	ends(qr{statement 3/4 is done already});
	is($watch->value('SELECT who FROM apart.t_after'),
		'faults_builder', '    the rest ran as that role');
}

# Limits of the script's own, and of ours, for what waits for others.
for my $limit (
	[ q{SET lock_timeout = '100ms'}, '', '55P03' ],
	[ q{SET statement_timeout = '300ms'}, '', '57014' ],
	[ 'SELECT 1', q{SET migrate.concurrent_lock_timeout = '100ms'}, '55P03' ])
{
	my ($in_script, $in_session, $state) = @$limit;
	my $table = 't_limit_' . ($number + 1);
	table($table);
	$run->run($in_session || 'SELECT 1');
	case ('a limit, ' . ($in_session || $in_script),
		$in_script, "CREATE INDEX CONCURRENTLY i_limit ON $table (a)");
	block('writer', "LOCK TABLE $table IN ROW EXCLUSIVE MODE");
	my $result = upgrade();
	is($result->{state}, $state, "$case: $state") or diag $result->{err};
	unlike($result->{err}, qr/retry/, '    not tried again');
	is(partial() . invalid(), '1 f ti_limit', '    not in doubt, and an invalid index is there');
	is(session_state(), $revision_state, '    the session is as before, without locks');
	unblock();
	ends(qr/removing invalid index "i_limit"/);
	$run->run('RESET migrate.concurrent_lock_timeout');
	$watch->run("DROP TABLE $table");
}

# A cancel and a terminated session between two tries.
for my $kind ('cancel', 'terminate')
{
	my $table = "t_retried_$kind";
	table($table);
	$run->run(q{SET migrate.lock_timeout = '20ms'}, 'SET migrate.lock_retries = 100');
	case (
		"between two tries, $kind",
		q{INSERT INTO ran VALUES ('} . "$table')",
		"ALTER TABLE $table ADD more int",
		"INSERT INTO $table (more) VALUES (1)");
	block('reader', "LOCK TABLE $table IN ACCESS SHARE MODE");
	cut_short(
		$kind,
		[],
		[
			sub {
				"EXISTS (SELECT FROM pg_stat_activity"
				  . " WHERE pid = $run->{pid} AND wait_event = 'Extension')";
			}
		]);
	is(partial(), '1 f f', '    what was done is recorded');
	$run->run('RESET migrate.lock_timeout', 'RESET migrate.lock_retries') if $kind eq 'cancel';
	$revision_state = session_state();
	ends();
	is( $watch->value("SELECT count(*) FROM ran WHERE name = '$table'")
		  . $watch->value("SELECT count(*) FROM $table WHERE more = 1"),
		'11',
		'    both ran once');
	open_sessions();
}

# While it waits for its turn.
for my $kind ('cancel', 'terminate', 'kill -9')
{
	case (
		"waiting for its turn, $kind",
		"INSERT INTO ran VALUES ('turn $kind')",
		"SELECT gate('turn $kind')");
	hold("turn $kind");
	my $first = session();
	$first->send('CALL migrate.upgrade_stepwise()');
	ok( wait_until(
			sub {
				$watch->value(
					"SELECT count(*) FROM pg_locks"
					  . " WHERE classid = 7 AND NOT granted AND pid = $first->{pid}"
				);
			}),
		"$case: another session runs");
	$run->send('CALL migrate.upgrade_stepwise()');
	ok( wait_for(
			"EXISTS (SELECT FROM pg_stat_activity"
			  . " WHERE pid = $run->{pid} AND wait_event = 'Extension')"
		),
		'    this one waits');
	my $result = inject($kind);
	if ($kind eq 'kill -9')
	{
		tidy();
		$first->finish;
		ends();
	}
	else
	{
		is($result->{got}, expected_state($kind), '    and is stopped');
		is($watch->value("SELECT count(*) FROM migrate.progress WHERE pid = $first->{pid}"),
			1, '    the other one goes on');
		tidy();
		is($first->receive->{state}, '00000', '    and ends');
		$first->finish;
		is(session_state(), $revision_state, '    no lock is left');
		like(upgrade()->{err}, qr/nothing to do/, '    nothing is left to do');
	}
	is($watch->value("SELECT count(*) FROM ran WHERE name = 'turn $kind'"), 1, '    it ran once');
}

# A full lock table before anything began, and a revision that needs more locks
# than there are.
{
	case('no lock to be had', "INSERT INTO ran VALUES ('no lock')");
	my $hog = fill_lock_table();
	is(upgrade()->{state}, '53200', "$case: 53200");
	empty_lock_table($hog);
	is(session_state(), $revision_state, '    the session is as before, without locks');
	is( $watch->value('SELECT count(*) FROM migrate.partial')
		  . $watch->value(q{SELECT count(*) FROM ran WHERE name = 'no lock'}),
		'00',
		'    nothing was done');
	ends();

	case (
		'too many locks',
		"INSERT INTO ran VALUES ('few')",
		'SELECT count(pg_advisory_xact_lock(10, i)) FROM generate_series(1, 100000) i',
		"INSERT INTO ran VALUES ('many')");
	is(upgrade()->{state}, '53200', "$case: 53200");
	is(session_state(), $revision_state, '    the session is as before, without locks');
	is(partial(), '1 f f', '    what was done before stays');
	$watch->run(
		"SELECT migrate.edit('$id', 'INSERT INTO ran VALUES (''few''); SELECT 1;"
		  . " INSERT INTO ran VALUES (''many'');')"
	);
	ends();
	is( $watch->value(
			q{SELECT string_agg(name, ' ' ORDER BY name) FROM ran WHERE name IN ('few', 'many')}),
		'few many',
		'    both ran once');
}

# Fast shutdown.
{
	case (
		'fast shutdown',
		"INSERT INTO ran VALUES ('fast')",
		"SELECT gate('fast')",
		"INSERT INTO ran VALUES ('fast')");
	hold('fast');
	$run->send('CALL migrate.upgrade_stepwise()');
	ok(wait_for(at_gate('fast')), "$case: it runs");
	$server->stop('fast');
	like($run->receive->{err}, qr/57P01/, '    57P01');
	$_->{dead} = 1 for $run, $watch, $control;
	$server->start;
	tidy();
	is(partial(), '1 f f', '    what was done stays');
	ends();
	is($watch->value(q{SELECT count(*) FROM ran WHERE name = 'fast'}),
		2, '    each statement ran once');
}

# A client that dies in a long statement, without client_connection_check_interval:
# it is noticed when the statement ends, long before the script does.
SKIP:
{
	skip 'before 14 the server cannot look for its client', 1 if $version < 14;
	case (
		'a dead client',
		"SELECT gate('dead')",
		map { ("INSERT INTO ran VALUES ('dead')", 'SELECT pg_sleep(0.1)') } 1 .. 30);
	$run->run('SET client_connection_check_interval = 0', 'SET migrate.step_messages = off');
	hold('dead');
	$run->send('CALL migrate.upgrade_stepwise()');
	ok(wait_for(at_gate('dead')), "$case: it runs");
	kill KILL => $run->{child};
	$run->{dead} = 1;
	is(tidy() // '', '', '    the server process ends');
	my $done = (split ' ', partial())[0];
	cmp_ok($done, '<', 30, "    soon, after statement $done");
	ends();
	is($watch->value(q{SELECT count(*) FROM ran WHERE name = 'dead'}),
		30, '    each statement ran once');
}

# Timeouts of idle sessions do not count while a call runs.
{
	case (
		'idle timeouts',
		"SELECT gate('idle 1')",
		'CREATE INDEX CONCURRENTLY i_idle ON t_over (b)',
		"SELECT gate('idle 2')");
	hold('idle 1', 'idle 2');
	my $idle = start(
		$database, 'CALL migrate.upgrade_stepwise()',
		idle_in_transaction_session_timeout => '50ms',
		$version >= 14 ? (idle_session_timeout => '50ms') : ());
	for my $gate ('idle 1', 'idle 2')
	{
		ok( wait_until(
				sub {
					$watch->value(
						q{SELECT count(*) FROM pg_locks WHERE classid = 7 AND NOT granted});
				}),
			"$case: at its gate");
		sleep 0.2;
		let_go($gate);
	}
	my $result = finish($idle);
	is($result->{state}, '00000', '    it runs to its end') or diag $result->{err};
}

# A copy of the database has all OIDs of it, and so knows what is its own; a
# restored one does not, and leaves everything alone.
{
	table('t_copied');
	case('a copy', 'CREATE UNIQUE INDEX CONCURRENTLY i_copied ON t_copied (a)');
	my %how = phase('snapshots', label('statement 1 begins'), table => 't_copied');
	cut_short('kill -9', $how{gates}, @{ $how{steps} });
	is(invalid(), 'i_copied', '    an invalid index is there');
	my $original = $database;
	close_sessions();
	run_psql('postgres', "CREATE DATABASE faults_copy TEMPLATE $original");
	for my $copy ('faults_copy', $original)
	{
		my ($status, undef, $err) = run_psql($copy, 'CALL migrate.upgrade_stepwise()');
		is($status, 0, "$case, in $copy: the next call ends it") or diag $err;
		like($err, qr/removing invalid index "i_copied"/, '    after its leftover is removed');
	}
	open_sessions();
	is(is_valid('i_copied') . invalid(), 't', '    the index is valid');
	run_psql('postgres', 'DROP DATABASE faults_copy');

	case('restored', 'CREATE UNIQUE INDEX CONCURRENTLY i_restored ON t_copied (dup)');
	is(upgrade()->{state}, '23505', "$case: it fails");
	$watch->run(q{UPDATE migrate.partial SET intent_database = '1/1'});
	my $result = upgrade();
	is($result->{state}, '42P07', "    with OIDs of elsewhere: 42P07") or diag $result->{err};
	unlike($result->{err}, qr/stamp/, '    without a hint to stamp');
	is(invalid(), 'i_restored', '    and nothing is removed');
	$watch->run('DROP INDEX i_restored', 'DELETE FROM t_copied');
	ends();
}

close_sessions();
my $log = $server->log_text;
unlike($log, qr/PANIC:|TRAP:|was terminated by signal (?!9)/, 'no crash but those made here');
done_testing();
