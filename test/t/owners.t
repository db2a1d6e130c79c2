#!/usr/bin/perl
#
# Owners.  The role that installed the extension is retired, single objects are
# given to others, dumps are restored by roles that are no superusers: the new
# owner can do everything, and GRANTs to others remain.  Then an owner changes
# what an owner of functions can change: the server lives.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 600;
my $dir = scratch_dir();
# a crash must not disturb other tests
my $server = MigrateServer->create(settings => ['autovacuum = off'])->use;
my ($version) = (run_program(tool('pg_dump'), '--version'))[1] =~ /(\d+)/;

my @tables = qw(revisions versions applied partial running steps models settings revisions_heads);
my @views = qw(log status progress);

sub admin
{
	my ($database, @sql) = @_;
	my $session = connect_to($database);
	$session->run(@sql);
	$session->finish;
	return;
}

admin('postgres', map { "CREATE ROLE $_ LOGIN" } qw(old new other deployer reader));

# ---------------------------------------------------------------- helpers ----

# A database of old's, with the extension, GRANTs, and two revisions.
sub database
{
	my ($name, @more) = @_;
	create_database($name, plain => 1, owner => 'old');
	admin($name, 'GRANT ALL ON SCHEMA public TO PUBLIC');
	my $old = connect_to($name, user => 'old');
	$old->run(
		'CREATE EXTENSION migrate',
		'GRANT USAGE ON SCHEMA migrate TO deployer, reader',
		'GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO deployer',
		'GRANT SELECT ON migrate.revisions, migrate.log TO reader',
		q{SELECT migrate.revision('one', 'CREATE TABLE one (n int)', 'DROP TABLE one', 'r1')},
		q{SELECT migrate.revision('two', 'CREATE TABLE two (n int)', 'DROP TABLE two', 'r2')},
		@more);
	$old->finish;
	return $name;
}

# Calls of nearly all functions, which leave everything as it was.
my @calls = (
	q{SELECT migrate.upgrade('heads')},
	'SELECT migrate.upgrade()',
	'SELECT migrate.check()',
	'SELECT * FROM migrate.history()',
	q{SELECT migrate.revision('three', 'SELECT 1; CREATE INDEX CONCURRENTLY ON two (n)',
		'DROP INDEX CONCURRENTLY two_n_idx', 'r3', transactional => false)},
	q{CALL migrate.upgrade_stepwise('head')},
	q{CALL migrate.downgrade_stepwise('r1')},
	q{SELECT migrate.edit('r3', message => 'third')},
	q{SELECT migrate.drop('r3')},
	q{SELECT migrate.stamp('r2')},
	q{SELECT migrate.stamp(ARRAY['r1'], purge => true)},
	q{SELECT migrate.load(migrate.export('r2'))},
	q{SELECT migrate.configure('revision_ids', 'serial')},
	q{SELECT migrate.configure('revision_ids', NULL)},
	'BEGIN ISOLATION LEVEL REPEATABLE READ',
	q{SELECT migrate.stamp('r2')},
	'COMMIT',
	'BEGIN',
	q{SELECT migrate.begin_script('downgrade', '{r2}', '{}')},
	q{SELECT migrate.record('downgrade', 'r2')},
	'COMMIT',
	q{SELECT migrate.upgrade_sql()},
	q{SELECT migrate.downgrade('base')});

# Runs them as a role: all succeed.  Otherwise the first result that did not.
sub life
{
	my ($database, $role) = @_;
	my $session = connect_to($database, user => $role, options => '-c migrate.step_messages=off');
	for my $sql (@calls)
	{
		my $result = $session->query($sql);
		next if $result->{state} eq '00000';
		$result->{sql} = $sql;
		return $result;
	}
	return;
}

sub works
{
	my ($database, $role, $what) = @_;
	my $failed = life($database, $role);
	ok(!$failed, "$what: $role can do everything") or diag "$failed->{sql}: $failed->{err}";
	return;
}

# Owners and GRANTs of all objects, in a fixed order.
sub rights
{
	my $session = connect_to(shift);
	return [
		$session->rows(
			q{SELECT 'schema', nspowner::regrole, ARRAY(SELECT unnest(nspacl)::text ORDER BY 1)
			FROM pg_namespace WHERE nspname = 'migrate'
			UNION ALL
			SELECT relname, relowner::regrole, ARRAY(SELECT unnest(relacl)::text ORDER BY 1)
			FROM pg_class
			WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'S', 'v')
			UNION ALL
			SELECT p.oid::regprocedure::text, proowner::regrole,
				ARRAY(SELECT unnest(proacl)::text ORDER BY 1)
			FROM pg_proc p WHERE pronamespace = 'migrate'::regnamespace
			UNION ALL
			SELECT 'extension', extowner::regrole, '{}' FROM pg_extension WHERE extname = 'migrate'
			ORDER BY 1})
	];
}

# What is in a database, but for when.
sub content
{
	my $session = connect_to(shift);
	return [
		$session->rows('SELECT revision, message, upgrade_sql FROM migrate.revisions ORDER BY 1'),
		$session->rows('SELECT * FROM migrate.versions'),
		$session->rows('SELECT id, operation, revision, session_role FROM migrate.log ORDER BY 1')
	];
}

# Dumps a database and restores it into a new one, both as roles: its name, and
# the errors.
my $restored = 0;
sub copy
{
	my ($from, $format, $who, $to_whom, @options) = @_;
	my $file = "$dir/dump" . ++$restored;
	my ($failed, undef, $err) =
	  run_program(tool('pg_dump'), '-U', $who, '-F', $format, '-f', $file, $from);
	is($failed, 0, "pg_dump by $who, $format") or diag $err;
	my $to = create_database("own_to$restored",
		plain => 1, owner => $to_whom eq 'postgres' ? $who : $to_whom);
	(undef, undef, $err) =
	  $format eq 'custom'
	  ? run_program(tool('pg_restore'), '-d', $to, '-U', $to_whom, @options, $file)
	  : run_program(tool('psql'), '-X', '-q', '-d', $to, '-U', $to_whom, '-o', '/dev/null',
		'-f', $file);
	# of the schema public, before 15
	my @errors = grep { /ERROR/ && !/schema "?public/ } split /\n/, $err;
	return ($to, @errors);
}

# ------------------------------------------------------------ who installs ----

{
	my $name = database('own_installed');
	my $session = connect_to($name, user => 'old');
	is( $session->value(
			q{SELECT string_agg(p.oid::regprocedure::text, ',') FROM pg_proc p
			WHERE pronamespace = 'migrate'::regnamespace AND proowner <> 'old'::regrole}),
		undef,
		'the role that installs owns every function');
	is( $session->value(
			q{SELECT string_agg(pg_describe_object(i.classoid, i.objoid, i.objsubid), ',')
			FROM pg_init_privs i JOIN pg_depend d ON d.classid = classoid AND d.objid = objoid
			WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
				AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'migrate')}),
		undef,
		'no initial privileges, which would go on naming that role');
	is( $session->value(
			q{SELECT string_agg(p.oid::regprocedure::text, ',') FROM pg_proc p
			WHERE pronamespace = 'migrate'::regnamespace
			AND proname = 'forget_initial_privileges'}),
		undef,
		'what the script needed is gone');
	works($name, $_, 'installed') for qw(old deployer);
	is(connect_to($name, user => 'other')->query('SELECT migrate.current()')->{state},
		'42501', 'a stranger can do nothing');
	is(connect_to($name, user => 'reader')->query('SELECT migrate.upgrade()')->{state},
		'42501', 'a reader cannot upgrade');
	is_deeply([ connect_to($name, user => 'reader')->rows('SELECT migrate.heads()') ],
		['r2'], 'a reader can look');
}

# ------------------------------------------------------- a role is retired ----

# Dumps of a database whose owner's name is $owner restore without an error.
sub dumps_restore
{
	my ($name, $owner, $what) = @_;
	my ($rights, $content) = (rights($name), content($name));
	for my $format (qw(plain custom))
	{
		my ($to, @errors) = copy($name, $format, $owner, $owner);
		is_deeply(\@errors, [], "$what, $format: restored by $owner without an error");
		is_deeply(rights($to), $rights, "$what, $format: the same owners and GRANTs");
		is_deeply(content($to), $content, "$what, $format: the same rows");
		works($to, $_, "$what, $format, restored") for $owner, 'deployer';

		# another name owns the new database, and the extension in it
		($to, @errors) = copy($name, $format, $owner, 'other', '--no-owner');
		# psql cannot leave the owners of other tables out
		@errors = grep { !/must be (?:member of|able to SET) role/i } @errors if $format eq 'plain';
		is_deeply(\@errors, [], "$what, $format: another role restores it");
		works($to, $_, "$what, $format, restored by another role") for 'other', 'deployer';

		($to, @errors) = copy($name, $format, $owner, 'postgres');
		is_deeply(\@errors, [], "$what, $format: a superuser restores it without an error");
		is(life($to, 'reader')->{state}, '42501', "$what, $format: a reader may only look");
		is(connect_to($to, user => 'deployer')->query('SELECT migrate.upgrade()')->{state},
			'00000', "$what, $format: a deployer may deploy");
	}
	# what pg_upgrade runs
	my ($failed, $out, $err) =
	  run_program(tool('pg_dump'), '--binary-upgrade', '--schema-only', $name);
	is($failed, 0, "$what: pg_dump --binary-upgrade") or diag $err;
	unlike($out, qr/(?:FROM|TO|AUTHORIZATION) "?\d+/, "$what: it names no role that is gone");
	return;
}
dumps_restore('own_installed', 'old', 'as it was installed');
drop_databases();

# The two smallest cases of the reports.
{
	my $name = database('own_retired');
	admin($name,
		'ALTER DATABASE own_retired OWNER TO new',
		'REASSIGN OWNED BY old TO new');
	works($name, $_, 'after REASSIGN OWNED') for qw(new deployer);
	is(connect_to($name, user => 'old')->query('SELECT migrate.upgrade()')->{state},
		'42501', 'the old owner can do nothing any more');
	admin($name, 'DROP OWNED BY old', 'DROP ROLE old');
	works($name, $_, 'after DROP OWNED and DROP ROLE') for qw(new deployer);

	my $new = connect_to($name, user => 'new');
	for my $sql (
		'GRANT EXECUTE ON FUNCTION migrate.downgrade(text) TO reader',
		'REVOKE EXECUTE ON FUNCTION migrate.downgrade(text) FROM reader',
		'GRANT EXECUTE ON PROCEDURE migrate.upgrade_stepwise TO reader WITH GRANT OPTION',
		'REVOKE EXECUTE ON PROCEDURE migrate.upgrade_stepwise FROM reader')
	{
		is($new->query($sql)->{err}, '', "the new owner: $sql");
	}
	is( connect_to($name, user => 'reader')->value('SELECT count(*) FROM migrate.revisions'),
		2, 'a reader can read');
	is(life($name, 'reader')->{state}, '42501', 'and no more');
	dumps_restore($name, 'new', 'a role was retired');
	is($new->query('ALTER EXTENSION migrate UPDATE')->{state}, '00000', 'the new owner can update');
	is($new->query('DROP EXTENSION migrate')->{state}, '00000', 'and drop the extension');
	drop_databases();
	admin('postgres', 'CREATE ROLE old LOGIN');
}

# By a role that is no superuser.
{
	my $name = database('own_reassigned');
	admin($name, 'CREATE ROLE boss LOGIN', 'GRANT old, new TO boss',
		'ALTER DATABASE own_reassigned OWNER TO new');
	my $boss = connect_to($name, user => 'boss');
	my $result = $boss->query('REASSIGN OWNED BY old TO new');
	is($result->{state}, '00000', 'REASSIGN OWNED by a member of both roles')
	  or diag $result->{err};
	works($name, $_, 'after it') for qw(new deployer);
	$boss->finish;
	drop_databases();
	admin('postgres', 'DROP ROLE boss');
}

# --------------------------------------------------------- single objects ----

# The statement of an error's hint.
sub hint
{
	my $result = shift;
	return $result->{err} =~ /^HINT:  (?:.*: )?([A-Z]+ [^;]*);/m ? $1 : '';
}

# Takes back what calls did before one of them failed.
my @undo = (
	'DELETE FROM migrate.partial',
	q{DELETE FROM migrate.revisions WHERE revision = 'r3'},
	q{SELECT migrate.stamp('base', purge => true)},
	'DROP TABLE IF EXISTS one, two');

# Everything works for these roles after the statement of the hint has been
# run, which can be none.
sub works_with_hint
{
	my ($name, $what, @roles) = @_;
	for my $role (@roles)
	{
		my $failed = life($name, $role);
		unless ($failed)
		{
			pass("$what: $role can do everything");
			next;
		}
		is($failed->{state}, '42501', "$what: $role: the error");
		like($failed->{message}, qr/^role "\w+" does not have USAGE on schema "migrate"/,
			"$what: $role: says what is missing") or diag $failed->{sql}, $failed->{err};
		my $statement = hint($failed);
		like(
			$statement,
			qr/^GRANT USAGE ON SCHEMA migrate TO \w+$/,
			"$what: $role: and what to do");
		admin($name, $statement, @undo) if $statement;
		works($name, $role, "$what, with the hint's GRANT");
	}
	return;
}

database('own_template');
sub fresh
{
	my $name = shift // 'own_single';
	return create_database($name, plain => 1, template => 'own_template', owner => 'old');
}

{
	my $name = fresh('own_tables');
	my $other = connect_to($name, user => 'other');
	$other->run(
		'CREATE TABLE seen (who name)',
		'GRANT INSERT ON seen TO PUBLIC',
		q{CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NULL; END'});
	for my $table (@tables)
	{
		admin($name, "ALTER TABLE migrate.$table OWNER TO other");
		works_with_hint($name, "$table has another owner", qw(old deployer));

		# what the other owner attaches runs as it
		$other->run(
			"CREATE TRIGGER look AFTER INSERT OR UPDATE OR DELETE ON migrate.$table
				FOR EACH STATEMENT EXECUTE FUNCTION look()");
		works($name, $_, "$table has a trigger") for qw(old postgres);
		is($other->value(q{SELECT coalesce(string_agg(DISTINCT who, ','), 'other') FROM seen}),
			'other', "$table: the trigger runs as the table's owner");
		$other->run("DROP TRIGGER look ON migrate.$table", 'DELETE FROM seen');
		admin($name, "ALTER TABLE migrate.$table OWNER TO old",
			'REVOKE ALL ON SCHEMA migrate FROM other');
	}
	$other->finish;

	# The owner cannot give one away to a role that cannot work with it.
	admin($name, 'GRANT other TO old');
	my $old = connect_to($name, user => 'old');
	is($old->query('ALTER TABLE migrate.versions OWNER TO other')->{state},
		'42501', 'the new owner needs CREATE on the schema');
	$old->run('GRANT USAGE, CREATE ON SCHEMA migrate TO other',
		'ALTER TABLE migrate.versions OWNER TO other');
	$old->finish;
	admin($name, 'REVOKE other FROM old');
	works($name, $_, 'versions was given away by the owner') for qw(old deployer);
}

for my $case (
	[ 'the schema' => 'ALTER SCHEMA migrate OWNER TO other' ],
	[ 'all tables' => map { "ALTER TABLE migrate.$_ OWNER TO other" } @tables ],
	[ 'all tables and views' => map { "ALTER TABLE migrate.$_ OWNER TO other" } @tables, @views ],
	[ 'the views'     => map { "ALTER VIEW migrate.$_ OWNER TO other" } @views ],
	[
		'two tables' => 'ALTER TABLE migrate.applied OWNER TO other',
		'ALTER TABLE migrate.steps OWNER TO new'
	])
{
	my ($what, @statements) = @$case;
	my $name = fresh();
	admin($name, @statements);
	# more than one role may miss USAGE
	for (1, 2)
	{
		my $failed = life($name, 'postgres') or last;
		admin($name, hint($failed)) if hint($failed);
	}
	works_with_hint($name, "$what: another owner", qw(deployer postgres));
}

# Every statement at once.
{
	my $name = fresh();
	admin($name,
		q{DO $$ DECLARE one record; BEGIN
			FOR one IN SELECT oid::regclass AS name FROM pg_class
				WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'v')
			LOOP EXECUTE format('ALTER TABLE %s OWNER TO other', one.name); END LOOP;
			FOR one IN SELECT oid::regprocedure AS name FROM pg_proc
				WHERE pronamespace = 'migrate'::regnamespace
			LOOP EXECUTE format('ALTER ROUTINE %s OWNER TO other', one.name); END LOOP;
			ALTER SCHEMA migrate OWNER TO other;
		END $$});
	works($name, $_, 'all objects have another owner') for qw(other deployer);
}

# The views, which are not ours to help, follow the server's rules.
{
	my $name = fresh();
	admin($name, 'ALTER TABLE migrate.steps OWNER TO other',
		'GRANT USAGE ON SCHEMA migrate TO other');
	my $old = connect_to($name, user => 'old');
	is($old->query('SELECT * FROM migrate.status')->{state},
		'42501', 'a view over a table of another owner');
	connect_to($name, user => 'other')->run('GRANT SELECT ON migrate.steps TO old');
	is($old->query('SELECT * FROM migrate.status')->{state}, '00000', 'with a GRANT it works');
	$old->finish;
}

# Functions and procedures, one by one and by the owner: GRANTs remain.
{
	my $name = fresh();
	admin($name, 'GRANT other TO old');
	my $old = connect_to($name, user => 'old');
	$old->run('GRANT USAGE, CREATE ON SCHEMA migrate TO other');
	my @routines = $old->rows(
		q{SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace});
	for my $routine (@routines)
	{
		$old->query('BEGIN');
		is($old->query("ALTER ROUTINE $routine OWNER TO other")->{state},
			'00000', "the owner gives $routine away");
		is($old->value("SELECT has_function_privilege('deployer', '$routine', 'EXECUTE')"),
			't', "$routine: who could call it can");
		$old->query('ROLLBACK');
	}
	$old->run("ALTER ROUTINE $_ OWNER TO other") for @routines;
	works($name, $_, 'all functions have another owner') for qw(old other deployer);
	$old->finish;
	admin($name, 'REVOKE other FROM old');
	works($name, $_, 'all functions have another owner') for qw(other deployer);
	is(life($name, 'old')->{state}, '42501', 'who gave them away cannot call them');
}

# An owner without rights on a table of its own.
{
	my $name = fresh();
	connect_to($name, user => 'old')->run('REVOKE ALL ON migrate.versions FROM old');
	like(life($name, 'deployer')->{message}, qr/^permission denied for table versions/,
		'what an owner takes from itself');
}

# ------------------------------------------- functions that are not as ours ----

my $name = fresh('own_changed');
my $old = connect_to($name, user => 'old', options => '-c migrate.step_messages=off');
my @routines = $old->rows(
	q{SELECT oid::regprocedure || '|' || CASE prokind WHEN 'p' THEN 'CALL ' ELSE 'SELECT ' END
		|| oid::regproc || '('
		|| array_to_string(ARRAY(SELECT 'NULL::' || format_type(t, NULL)
			FROM unnest(proargtypes) WITH ORDINALITY AS u (t, n) ORDER BY n), ', ') || ')'
	FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace AND prokind <> 'a'
		AND 'internal'::regtype <> ALL (proargtypes::oid[]) ORDER BY 1});
cmp_ok(scalar @routines, '>', 30, 'functions');

# Changes all functions, and calls each with nulls: the states.  Nothing of it
# remains.
sub changed
{
	my ($attribute, @before) = @_;
	my %states;
	my $change = sub {
		$old->run('BEGIN', @before, <<"SQL");
DO \$\$ DECLARE routine regprocedure; BEGIN
	FOR routine IN SELECT oid FROM pg_proc
		WHERE pronamespace = 'migrate'::regnamespace AND prokind <> 'a' LOOP
		BEGIN
			EXECUTE format('ALTER ROUTINE %s $attribute', routine);
		EXCEPTION WHEN invalid_function_definition THEN NULL; -- a procedure
		END;
	END LOOP;
END \$\$
SQL
		return;
	};
	$change->();
	# what has an argument of type internal cannot be called, but by the view
	for (@routines, 'log|SELECT count(versions_after) FROM migrate.log')
	{
		my (undef, $call) = split /\|/;
		$old->run('SAVEPOINT call');
		my $result = $old->query($call);
		$states{ $result->{state} }++;
		unlike($result->{state}, qr/DEAD|XX/, "$attribute: $call") or diag $result->{err};
		if ($old->{dead})
		{
			wait_until(sub { !(run_psql($name, 'SELECT 1'))[0] }, 30);
			$old = connect_to($name, user => 'old', options => '-c migrate.step_messages=off');
			$change->();
		}
		else { $old->run('ROLLBACK TO SAVEPOINT call') }
	}
	$old->run('ROLLBACK');
	note "$attribute: ", join ' ', map { "$_:$states{$_}" } sort keys %states;
	return \%states;
}

my $states = changed('CALLED ON NULL INPUT');
# capture() wants a message: 22023; before 15, the schema public is that of the role that
# ran initdb: 42501
is_deeply([ grep { !/^(?:00000|22004|22023|39P01|25001|42501|55000|MG004)$/ } sort keys %$states ],
	[],
	'called on null: a result, or the error for a null, of a trigger, of a transaction block, '
	  . 'for what is pending, or without a model');
for my $attribute ('STRICT', 'SECURITY DEFINER', 'IMMUTABLE', 'PARALLEL SAFE',
	'CALLED ON NULL INPUT SECURITY DEFINER IMMUTABLE PARALLEL SAFE',
	'SET search_path = public', 'SET role = old', 'COST 1 CALLED ON NULL INPUT')
{
	my @before = $version < 16 ? 'SET LOCAL force_parallel_mode = on'
	  : 'SET LOCAL debug_parallel_query = on';
	changed($attribute, @before);
}

# The same with arguments.
for my $attribute ('SECURITY DEFINER', 'IMMUTABLE', 'SET search_path = public',
	'CALLED ON NULL INPUT', 'PARALLEL SAFE')
{
	my $to = fresh();
	my $owner = connect_to($to, user => 'old');
	for (@routines)
	{
		my ($routine) = split /\|/;
		# these two commit, which they may not do then
		next if $routine =~ /stepwise/ && $attribute =~ /DEFINER|SET/;
		my $result = $owner->query("ALTER ROUTINE $routine $attribute");
		next if $routine =~ /stepwise/ && $result->{state} eq '42P13';
		is($result->{state}, '00000', "ALTER ROUTINE $routine $attribute") or diag $result->{err};
	}
	# who defined a function runs its scripts then, but not those that commit
	works($to, $attribute eq 'SECURITY DEFINER' ? 'old' : 'deployer', $attribute);
}

# In parallel workers, and in what a function without side effects can be in.
{
	my $to = fresh();
	my $owner = connect_to($to, user => 'old');
	$owner->run(
		'ALTER FUNCTION migrate.export PARALLEL SAFE',
		'ALTER FUNCTION migrate.export IMMUTABLE',
		'ALTER FUNCTION migrate.upgrade(text) PARALLEL SAFE',
		'CREATE TABLE ids AS SELECT revision AS id FROM migrate.revisions',
		'INSERT INTO ids SELECT id FROM ids, generate_series(1, 20000)',
		'ANALYZE ids',
		'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
		'SET min_parallel_table_scan_size = 0', 'SET min_parallel_index_scan_size = 0');
	my $plan = join "\n", $owner->rows(q{EXPLAIN SELECT count(migrate.export(id)) FROM ids});
	like($plan, qr/Gather/, 'a parallel plan');
	for my $sql (q{SELECT count(migrate.export(id)) FROM ids},
		q{SELECT count(*) FROM ids WHERE migrate.export(id) = 'x'})
	{
		my $result = $owner->query($sql);
		is($result->{state}, '25000', "in parallel: $sql") or diag $result->{err};
		like($result->{message}, qr/during a parallel operation/, 'in parallel: the message');
	}
	$owner->run('SET max_parallel_workers_per_gather = 0',
		'SET max_parallel_maintenance_workers = 0',
		q{DELETE FROM ids WHERE ctid >= '(1,0)'},
		'CREATE INDEX ON ids (md5(migrate.export(id)))',
		'ANALYZE ids', 'VACUUM ids');
	is($owner->value(q{SELECT count(*) > 0 FROM ids WHERE md5(migrate.export(id)) <> 'x'}),
		't', 'an index on a function of ours');
	# autovacuum computes it too
	$owner->run('ALTER TABLE ids SET (autovacuum_analyze_threshold = 0)',
		'INSERT INTO ids SELECT id FROM ids');
	$server->set('autovacuum = on', 'autovacuum_naptime = 1');
	admin('postgres', 'SELECT pg_reload_conf()');
	ok( wait_until(
			sub {
				$owner->value(
					q{SELECT last_autoanalyze IS NOT NULL FROM pg_stat_user_tables
					WHERE relname = 'ids'}) eq 't'
			}, 60),
		'which autovacuum computes');
	$server->set('autovacuum = off');
	admin('postgres', 'SELECT pg_reload_conf()');
}

# The trigger's function on tables that are not ours.
{
	my $to = fresh();
	my $owner = connect_to($to, user => 'old');
	$owner->run('CREATE TABLE t (n int)', 'CREATE VIEW v AS SELECT * FROM t',
		'CREATE TABLE revisions (revision text)', 'INSERT INTO t VALUES (0)');
	my %insert = (
		'migrate.revisions' =>
		  q{INSERT INTO migrate.revisions (revision, message) VALUES ('x', 'x')},
		'migrate.steps' => q{SELECT migrate.stamp('r1')});
	for my $case (
		[ 'BEFORE INSERT', 't', 'ROW' ],
		[ 'BEFORE UPDATE', 't', 'ROW' ],
		[ 'AFTER INSERT OR UPDATE', 't', 'ROW' ],
		[ 'AFTER INSERT', 't', 'STATEMENT' ],
		[ 'BEFORE TRUNCATE', 't', 'STATEMENT' ],
		[ 'INSTEAD OF INSERT', 'v', 'ROW' ],
		[ 'AFTER INSERT', 'revisions', 'ROW' ],
		[ 'BEFORE INSERT', 'migrate.revisions', 'ROW' ],
		[ 'BEFORE DELETE', 'migrate.partial', 'STATEMENT' ],
		[ 'AFTER INSERT', 'migrate.steps', 'ROW' ])
	{
		my ($when, $table, $each) = @$case;
		my ($event) = $when =~ /(\w+)$/;
		$owner->run('BEGIN',
			"CREATE TRIGGER x $when ON $table FOR EACH $each
				EXECUTE FUNCTION migrate.forget_heads('odd', 'arguments')");
		my %statement = (
			INSERT   => $insert{$table} // "INSERT INTO $table VALUES ('1')",
			UPDATE   => "UPDATE $table SET n = n",
			DELETE   => "DELETE FROM $table",
			TRUNCATE => "TRUNCATE $table");
		my $result = $owner->query($statement{$event});
		is($result->{state}, '39P01', "a trigger $when ON $table FOR EACH $each")
		  or diag $result->{err};
		$owner->query('ROLLBACK');
	}
	ok($owner->alive, 'the server lives');
}

is_deeply([ $server->log_text =~ /(.*was terminated by signal.*|TRAP:.*|PANIC:.*)/g ],
	[], 'nothing crashed');
$old->finish;
drop_databases();
done_testing();
