#!/usr/bin/perl
#
# The applied revisions as a source: migrate.drift(), migrate.compare('revisions') and
# migrate.schema_sql('revisions').  What was done by hand is found, and nothing else:
# not for scripts that look into the catalogs, that are not transactional, that leave
# temporary tables, settings or deferred checks; and not for real histories.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

alarm 900;
END { local $?; drop_databases() }
own_roles(qw(mig_drift_role mig_drift_gone mig_drift_owner));

my $number = 0;

# A session in a new database with some revisions (scripts, or [script, transactional]),
# all applied.
sub applied
{
	my ($name, @scripts) = @_;
	return connect_to(create_revisions("mig_drift_$name", '%04d', @scripts))
	  ->run(q{CALL migrate.upgrade_stepwise('heads')});
}

# The rows of drift, one line each; or the error.
sub drift
{
	my ($session, $call) = @_;
	my $result = $session->query(
		q{SELECT concat_ws(' ', action, object_type, object_identity, detail) FROM }
		  . ($call // 'migrate.drift()'));
	return $result->{state} eq '00000' ? $result->{out} : "$result->{state} $result->{message}\n";
}

# ----------------------------------------------------------- what is found ----

{
	my $session = applied('hand', <<'SQL', <<'SQL');
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE notes (id int PRIMARY KEY, body text CHECK (body IN ('a', 'b')));
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
SQL
ALTER TABLE notes ADD COLUMN author bigint REFERENCES users;
CREATE INDEX notes_author ON notes (author);
CREATE VIEW named AS SELECT name FROM users;
SQL
	is(drift($session), '', 'a database that only the revisions have changed has no drift');
	is(drift($session, q{migrate.compare('revisions')}), '', '    and is what they make');
	for my $case (
		[ 'a column', 'ALTER TABLE users ADD COLUMN email text', 'ALTER TABLE users DROP email',
			"create column public.users.email\n", "drop column public.users.email\n" ],
		[ 'a missing index', 'DROP INDEX notes_author',
			'CREATE INDEX notes_author ON notes (author)',
			"drop index notes_author on public.notes\n",
			"create index notes_author on public.notes\n" ],
		[ 'a default', q{ALTER TABLE users ALTER name SET DEFAULT 'x'},
			'ALTER TABLE users ALTER name DROP DEFAULT',
			qq{alter column public.users.name default: none -> 'x'::text\n},
			qq{alter column public.users.name default: 'x'::text -> none\n} ],
		[ 'a function', q{CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql}
				. q{ AS 'SELECT $1 + $1'}, q{CREATE OR REPLACE FUNCTION twice(int) RETURNS int}
				. q{ LANGUAGE sql AS 'SELECT 2 * $1'},
			"alter function public.twice(integer) definition\n",
			"alter function public.twice(integer) definition\n" ],
		[ 'a table', 'CREATE TABLE extra (id int)', 'DROP TABLE extra',
			"create table public.extra\n", "drop table public.extra\n" ],
		[ 'a view', 'CREATE OR REPLACE VIEW named AS SELECT name, id FROM users',
			'DROP VIEW named; CREATE VIEW named AS SELECT name FROM users',
			qr/^alter view public\.named /m, qr/^alter view public\.named /m ],
		[ 'a constraint', 'ALTER TABLE notes DROP CONSTRAINT notes_body_check',
			q{ALTER TABLE notes ADD CHECK (body IN ('a', 'b'))},
			"drop constraint notes_body_check on public.notes\n",
			"create constraint notes_body_check on public.notes\n" ])
	{
		my ($what, $do, $undo, $drift, $compare) = @$case;
		$session->run($do);
		for ([ $drift, 'migrate.drift()' ], [ $compare, q{migrate.compare('revisions')} ])
		{
			ref $_->[0] ? like(drift($session, $_->[1]), $_->[0], "$what, $_->[1]")
			  : is(drift($session, $_->[1]), $_->[0], "$what, $_->[1]");
		}
		$session->run(split /; /, $undo);
		is(drift($session), '', "    undone: none");
	}

	# what they make, as a script
	my $sql = join "\n", $session->rows(q{SELECT migrate.schema_sql('revisions')});
	my $copy = create_database('mig_drift_copy', plain => 1);
	my ($status, undef, $err) = run_psql($copy, $sql);
	is($status, 0, q{schema_sql('revisions') runs in an empty database}) or diag $err;
	is(schema_difference('mig_drift_hand', $copy), '', '    and makes what the revisions make');

	# a position below the heads
	$session->run(q{SELECT migrate.revision('later', 'CREATE TABLE later ()', rev_id => 'later')});
	is(drift($session), '', 'a pending revision does not count');
	$session->run('CREATE TABLE later ()');
	is(drift($session), "create table public.later\n", '    nor what it would make');
	$session->run('DROP TABLE later');

	# nothing is left, and nothing was said
	is($session->value(q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'mig_live%'}), 0,
		'nothing of the scratch is left');
	$session->run(q{UPDATE migrate.revisions SET upgrade_sql = upgrade_sql || '-- '
		WHERE revision = '0001'});
	is($session->query('SELECT migrate.drift()')->{state}, 'MG007',
		'an applied revision that was edited is an error');
}

# ------------------------------------------------- scripts of many kinds ----

{
	my $session = applied('kinds',
		# what the next ones look for
		'CREATE TABLE looked (id int PRIMARY KEY, kept text); CREATE TYPE mood AS ENUM (\'a\')',
		# looking into the catalogs
		<<'SQL',
DO $$
BEGIN
	IF NOT EXISTS (SELECT 1 FROM pg_tables WHERE tablename = 'by_tables') THEN
		CREATE TABLE by_tables (id int);
	END IF;
	IF NOT EXISTS (SELECT FROM pg_class WHERE relname = 'by_class') THEN
		CREATE TABLE by_class (id int);
	END IF;
	IF NOT EXISTS (SELECT FROM information_schema.columns
			WHERE table_name = 'looked' AND column_name = 'added') THEN
		ALTER TABLE looked ADD COLUMN added int;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_type WHERE typname = 'by_type') THEN
		CREATE TYPE by_type AS ENUM ('x');
	END IF;
	IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'looked_positive') THEN
		ALTER TABLE looked ADD CONSTRAINT looked_positive CHECK (id > 0);
	END IF;
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_user) THEN
		RAISE 'no role';
	END IF;
END $$;
SQL
		# an enum value that a later revision uses
		q{ALTER TYPE mood ADD VALUE 'b'},
		q{CREATE TABLE moody (m mood DEFAULT 'b'); INSERT INTO moody VALUES ('b')},
		# not transactional
		[ 'CREATE INDEX CONCURRENTLY looked_kept ON looked (kept)', 'false' ],
		[ 'BEGIN; CREATE TABLE in_group (); COMMIT; VACUUM looked; ANALYZE;'
			. ' REINDEX INDEX CONCURRENTLY looked_kept', 'false' ],
		# temporary tables of one name
		'CREATE TEMP TABLE work ON COMMIT DROP AS SELECT 1 AS a; CREATE TABLE from_work (a int);'
			. ' INSERT INTO from_work SELECT a FROM work',
		'CREATE TEMP TABLE work (b text) ON COMMIT DROP; INSERT INTO work VALUES (1)',
		# data, and what needs it
		'CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);'
			. ' CREATE TABLE child (p int); INSERT INTO child VALUES (1)',
		'ALTER TABLE child ADD FOREIGN KEY (p) REFERENCES parent DEFERRABLE INITIALLY DEFERRED;'
			. ' ALTER TABLE child ALTER p SET NOT NULL',
		# deferred checks, pending at the end of a script
		'INSERT INTO child VALUES (3); INSERT INTO parent VALUES (3)',
		'ALTER TABLE child ADD COLUMN note text',
		'SET CONSTRAINTS ALL DEFERRED; INSERT INTO child VALUES (4); INSERT INTO parent VALUES (4);'
			. ' SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE child ADD COLUMN more text',
		# settings end with a script
		'CREATE SCHEMA IF NOT EXISTS own; SET search_path = own; CREATE FUNCTION hidden()'
			. ' RETURNS int LANGUAGE sql AS \'SELECT 1\'; DROP FUNCTION hidden(); DROP SCHEMA own',
		'CREATE TABLE in_public ()',
		# DDL in a block, over a loop
		'DO $$ BEGIN FOR i IN 1 .. 3 LOOP EXECUTE format(\'CREATE TABLE part_%s (id int)\', i);'
			. ' END LOOP; END $$',
		# the server's, the session's
		'CREATE ROLE mig_drift_role; COMMENT ON ROLE mig_drift_role IS \'x\';'
			. ' ALTER DATABASE mig_drift_kinds SET work_mem = \'5MB\'; NOTIFY x; LOCK TABLE looked;'
			. ' GRANT SELECT ON looked TO mig_drift_role',
		# a role that is gone since
		'CREATE ROLE mig_drift_gone; GRANT SELECT ON looked TO mig_drift_gone',
		'REVOKE ALL ON looked FROM mig_drift_gone; DROP ROLE mig_drift_gone',
		# rows in the script
		"COPY looked (id, kept) FROM stdin;\n1\tone\n\\.\n"
		  . 'ALTER TABLE looked ALTER kept SET NOT NULL');
	is(drift($session), '', 'scripts of many kinds, run again, make the same');
	is($session->value('SELECT count(*) FROM child'), 3, '    and the live rows are as before');
	is($session->value(q{SELECT count(*) FROM pg_roles WHERE rolname = 'mig_drift_gone'}), 0,
		'    and no role is left');

	# within a transaction that has deferred something itself
	$session->run('BEGIN', 'INSERT INTO child VALUES (9)');
	is(drift($session), '', 'within a transaction that has deferred a check');
	$session->run('INSERT INTO parent VALUES (9)');
	is($session->query('COMMIT')->{state}, '00000', '    which is made at its end');

	# hidden objects: what was made by hand is found
	$session->run('DROP TABLE by_class', 'ALTER TABLE looked DROP CONSTRAINT looked_positive');
	is(drift($session),
		"drop constraint looked_positive on public.looked\ndrop table public.by_class\n",
		'what a script made after looking, and is gone, is found');
	$session->run('DROP OWNED BY mig_drift_role', 'DROP ROLE mig_drift_role');
}

# ------------------------------------------- extensions, partitions, triggers ----

{
	my $session = connect_to(create_database('mig_drift_more'));
	$session->run(q{SELECT migrate.configure('managed_schemas', 'public, app')});
	my $version = $session->value('SHOW server_version_num');
	my $n = 0;
	for my $script (
		'DO $$ BEGIN CREATE EXTENSION citext; CREATE SCHEMA app; END $$;'
		. ' CREATE TABLE app.t (n citext)',
		'CREATE SCHEMA gone; CREATE TABLE gone.t (); DROP SCHEMA gone CASCADE',
		'CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);'
		. ' CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10);'
		. ' CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)',
		# rows that a trigger writes
		'CREATE TABLE audit (x int); CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql'
		. ' AS $$ BEGIN INSERT INTO audit VALUES (new.id); RETURN new; END $$;'
		. ' CREATE TRIGGER audited AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION audited();'
		. ' INSERT INTO p VALUES (3);'
		. ' CREATE TABLE needs (x int REFERENCES p (id)); INSERT INTO needs SELECT x FROM audit;'
		. ' DO $$ BEGIN ASSERT (SELECT count(*) FROM needs) = 1; END $$',
		'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC; CREATE TABLE granted ()',
		'CREATE PUBLICATION pub FOR TABLE p; COMMENT ON TABLE p IS \'x\'',
		$version >= 140000 ? 'ALTER TABLE p DETACH PARTITION p2 CONCURRENTLY' : ())
	{
		$session->run(sprintf
			q{SELECT migrate.revision('step', %s, rev_id => '%d', transactional => %s)},
			lit($script), ++$n, $script =~ /CONCURRENTLY/ ? 'false' : 'true');
	}
	$session->run('CALL migrate.upgrade_stepwise()');
	is(drift($session), '', 'extensions, partitions, triggers, publications: the same');
	$session->run('CREATE EXTENSION pg_trgm', 'ALTER PUBLICATION pub ADD TABLE audit',
		'ALTER TABLE app.t DROP COLUMN n', 'DROP EXTENSION citext');
	like(drift($session), qr/^$_$/m, "    by hand: $_")
	  for 'create extension pg_trgm', 'drop extension citext', 'drop column app\.t\.n',
	  'alter publication pub .*';
}

# ------------------------------------------------------ tables of other tools ----

{
	my $session = connect_to(create_database('mig_drift_tools'));
	$session->run(
		'CREATE TABLE alembic_version (version_num varchar(32) NOT NULL,'
		  . ' CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))',
		q{SELECT migrate.revision('one', 'CREATE TABLE one (); ALTER TABLE alembic_version}
		  . q{ ADD COLUMN IF NOT EXISTS note text', rev_id => '0001')},
		'SELECT migrate.upgrade()');
	is(drift($session), '', 
		'the table of another migration tool is no drift, and scripts may use it');
	$session->run('ALTER TABLE alembic_version DROP COLUMN note');
	is(drift($session), "drop column public.alembic_version.note\n", '    what they do to it is');
}

# ----------------------------------------------------------- failing replays ----

{
	my $session = connect_to(create_database('mig_drift_rows'));
	$session->run(
		'CREATE TABLE users (id int PRIMARY KEY)',
		'INSERT INTO users VALUES (1)',
		q{SELECT migrate.revision('base', 'CREATE TABLE users (id int PRIMARY KEY)',}
		  . q{ rev_id => '0001')},
		q{SELECT migrate.stamp('0001')},
		q{SELECT migrate.revision('rows', E'CREATE TABLE posts (u int REFERENCES users);\n}
		  . q{INSERT INTO posts VALUES (1);', rev_id => '0002')},
		'SELECT migrate.upgrade()');
	my $result = $session->query('SELECT migrate.drift()');
	is($result->{state}, '23503', 'a script that needs live rows keeps its own code');
	like($result->{err}, qr/revision "0002", upgrade script, statement 2, line 2/,
		'    and says where');
	like($result->{err}, qr/HINT:  migrate\.drift\(\) could not look: .* may need rows/,
		'    and that drift could not look');
	like($session->query(q{SELECT migrate.schema_sql('revisions')})->{err},
		qr/HINT:  migrate\.schema_sql\(\) could not look/, '    from each function');
	is($session->value('SELECT count(*) FROM posts'), 1, '    and nothing has changed');
}
{
	my $session = applied('commits', [ <<'SQL', 'false' ]);
CREATE TABLE t ();
DO $$ BEGIN COMMIT; END $$;
SQL
	my $result = $session->query('SELECT migrate.drift()');
	is($result->{state}, '2D000', 'a script that commits by itself is an error');
	like($result->{err}, qr/HINT: .* and this one commits/, '    that says so');
	unlike($result->{err}, qr/upgrade_stepwise/, '    and has no hint of an upgrade');
}
for my $case (
	[ 'a table',    'CREATE TABLE apart.t ()' ],
	[ 'a function', q{CREATE FUNCTION apart.f() RETURNS int LANGUAGE sql AS 'SELECT 1'} ],
	[ 'a type',     q{CREATE TYPE apart.e AS ENUM ('x')} ],
	[ 'an index',   'CREATE INDEX ON apart.there (id)' ],
	[ 'a column',   'ALTER TABLE apart.there ADD COLUMN x int' ],
	[ 'rows',       'INSERT INTO apart.there VALUES (2)' ],
	[ 'rows in it', "COPY apart.there (id) FROM stdin;\n7\n\\.\n" ],
	[ 'a block',    q{DO $$ BEGIN UPDATE apart.there SET id = 8; END $$} ],
	[ 'a drop',     'DROP TABLE apart.dropped' ],
	[ 'the path',   'SET search_path = apart; CREATE TABLE by_path ()' ])
{
	my ($what, $sql) = @$case;
	my $name = 'unmanaged' . ++$number;
	my $session = connect_to(create_database("mig_drift_$name"));
	$session->run(
		'CREATE SCHEMA apart', 'CREATE TABLE apart.there (id int)', 'CREATE TABLE apart.dropped ()',
		sprintf(q{SELECT migrate.revision('x', %s, rev_id => '1')}, lit($sql)),
		'SELECT migrate.upgrade()');
	$session->run('CREATE TABLE apart.dropped ()') if $what eq 'a drop';
	my $result = $session->query('SELECT migrate.drift()');
	is("$result->{state} $result->{message}",
		'0A000 script changes schema "apart", which is not managed', "$what of another schema");
	like($result->{err}, qr/HINT:  Add the schema to the setting managed_schemas/,
		'    with a hint');
	$session->run(q{SELECT migrate.configure('managed_schemas', 'public, apart')});
	like(drift($session), qr/^(?!0A000)/, '    which helps');
}
{
	my $session = connect_to(create_database('mig_drift_empty'), messages => 'notice');
	$session->run('CREATE TABLE before ()',
		q{SELECT migrate.revision('as it was', '', rev_id => '0001')},
		q{SELECT migrate.stamp('0001')});
	my $result = $session->query(
		'SELECT action, object_type, object_identity, detail FROM migrate.drift()');
	is($result->{out}, "create|table|public.before|\n",
		'a baseline without a script: all is drift');
	like($result->{err}, qr/NOTICE: .* revision "0001", the first one, has an empty upgrade script/,
		'    and why');
	is($session->query('SELECT migrate.drift()')->{state}, '00000', '    and once more');
}

{
	my $session = connect_to(create_database('mig_drift_partial'), messages => 'notice');
	$session->run(
		q{SELECT migrate.revision('half', 'CREATE TABLE half (); SELECT 1 / 0',}
		  . q{ rev_id => '1', transactional => false)});
	is($session->query('CALL migrate.upgrade_stepwise()')->{state},
		'22012', 'an incomplete script');
	my $result = $session->query(
		'SELECT action, object_type, object_identity, detail FROM migrate.drift()');
	is($result->{out}, "create|table|public.half|\n", '    what it has done is drift');
	like($result->{err}, qr/NOTICE: .*upgrade of revision "1" is incomplete/, '    and why');
}
{
	my $session = applied('loud', q{DO $$ BEGIN RAISE WARNING 'loud'; END $$});
	is($session->query('SELECT migrate.drift()')->{err}, '', 'warnings are not repeated');
}

# ------------------------------------------------------------------- rights ----

{
	run_psql('postgres', 'CREATE ROLE mig_drift_owner LOGIN');
	create_database('mig_drift_owned', plain => 1, owner => 'mig_drift_owner');
	run_psql('mig_drift_owned', 'ALTER SCHEMA public OWNER TO mig_drift_owner');
	my $session = connect_to('mig_drift_owned', user => 'mig_drift_owner');
	$session->run(
		'CREATE EXTENSION migrate',
		q{SELECT migrate.revision('x', 'CREATE TABLE x (id int PRIMARY KEY);}
		  . q{ DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_class WHERE relname = ''y'')}
		  . q{ THEN CREATE TABLE y (); END IF; END $$', rev_id => '1')},
		'SELECT migrate.upgrade()');
	is(drift($session), '', 'an owner of the database who is no superuser');
	$session->run('ALTER TABLE y ADD COLUMN z int');
	is(drift($session), "create column public.y.z\n", '    who finds the same');
	is($session->query('BEGIN READ ONLY; SELECT migrate.drift()')->{state}, '25006',
		'not in a read-only transaction');
	$session->finish;
}

# ---------------------------------------------------------- real histories ----

SKIP:
{
	my $data = ($ENV{MIGRATE_SHARED_DATA} // '') . '/histories';
	skip 'MIGRATE_SHARED_DATA has no histories', 1 unless -d $data;
	my $tool = "$FindBin::RealBin/../tools/history2files";
	my $dir = scratch_dir();
	chomp(my $version = `@{[ tool('psql') ]} -XAtqc 'SHOW server_version_num' postgres`);
	for my $name (qw(authelia crates_io lumigator navigator_data_in stellar_horizon))
	{
		# crates.io has CREATE OR REPLACE TRIGGER, which 13 cannot parse.
		next if $name eq 'crates_io' && $version < 140000;
		my ($status, undef, $err) =
		  run_program($^X, $tool, "$data/$name.jsonl", "$dir/$name");
		die "history2files: $err" if $status;
		chmod 0755, "$dir/$name";
		my $session = connect_to(create_database("mig_drift_$name"));
		$session->run('SELECT migrate.load_directory(' . lit("$dir/$name") . ')',
			q{CALL migrate.upgrade_stepwise('heads')});
		is(drift($session), '', "$name: no drift after all of its revisions");
		is(drift($session, q{migrate.compare('revisions')}), '', '    in neither direction');
	}
}

done_testing();
