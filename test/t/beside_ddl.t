#!/usr/bin/perl
#
# Comparisons beside other sessions' DDL on the schemas that are compared.  A comparison
# ends in bounded time, with a result or an error that says to try again; it keeps no lock
# on what it has read, and nobody else is a deadlock's victim because of it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

alarm 200;
my $server = MigrateServer->create(
	settings => [ q{statement_timeout = '60s'}, q{deadlock_timeout = '2s'} ]);
$server->use;
my $db = create_database('mig_beside');
my ($session, $other) = (connect_to($db), connect_to($db));

# The calls: name => the query.
my @calls = (
	q{migrate.compare()}, q{migrate.compare('revisions')}, q{migrate.drift()},
	q{migrate.schema_sql()}, q{migrate.schema_sql('revisions')}, q{migrate.check()},
	q{migrate.revision('auto', autogenerate => true)});

# SQLSTATEs that say to try again, or that nothing is wrong.
my %expected = map { $_ => 1 } qw(00000 MG009 40001 40P01 55P03);

sub call { return $session->query("SELECT count(*) FROM $_[0]") }

sub state_of { return call(@_)->{state} }

# Whether a session waits for a lock, or gets there in time.
sub waits
{
	my ($waiting) = @_;
	return wait_until(sub {
		$other->value("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $waiting->{pid}");
	}, 20);
}

# Runs a function while a psql runs some statements again and again; what that says.
sub beside
{
	my ($statements, $work) = @_;
	my $file = File::Temp->new;
	$other->run('DELETE FROM besides.stop');
	print $file "\\set ON_ERROR_STOP on\n", (<<"END_LOOP") x 5000;
$statements
SELECT count(*) > 0 AS stop FROM besides.stop \\gset
\\if :stop
\\q
\\endif
END_LOOP
	close $file or die $!;
	chmod 0644, $file->filename;
	my $psql = background($db, [ '-f', $file->filename ], client_min_messages => 'error');
	$work->();
	$other->run('INSERT INTO besides.stop VALUES (1)');
	return finish($psql)->{err};
}

# Calls what is to be called, in turns, for some seconds: the unexpected SQLSTATEs.
sub repeat
{
	my ($seconds, @which) = @_;
	my (@unexpected, %count);
	my $end = time + $seconds;
	do
	{
		for my $call (@which)
		{
			$session->run('BEGIN');
			my $result = call($call);
			$session->run('ROLLBACK');
			$count{ $result->{state} }++;
			push @unexpected, "$call\n$result->{err}" unless $expected{ $result->{state} };
		}
	} while (time < $end);
	note join ' ', map { "$_: $count{$_}" } sort keys %count;
	ok($count{'00000'} || $count{MG009}, '    some have a result');
	return join "\n", @unexpected;
}

$other->run(
	'CREATE SCHEMA besides', 'CREATE TABLE besides.stop (id int)',
	q{SELECT migrate.revision('one', $$
		CREATE TABLE a (id int PRIMARY KEY, t text);
		CREATE INDEX a_t ON a (t);
		CREATE TABLE b (id int PRIMARY KEY REFERENCES a, v varchar CHECK (v IN ('x', 'y')));
		CREATE VIEW v AS SELECT id, t FROM a WHERE t IN ('p', 'q')$$, 'DROP TABLE a CASCADE',
		rev_id => '0001')},
	q{SELECT migrate.upgrade('head')},
	q{SELECT migrate.set_model('CREATE TABLE a (id int PRIMARY KEY, t text);
		CREATE VIEW v AS SELECT id, t FROM a WHERE t IN (''p'', ''r'')')});

# Definitions of views are printed under locks on what they use.
my $locks = q{SELECT count(*) FROM pg_locks
	JOIN pg_class c ON c.oid = relation WHERE relnamespace = 'public'::regnamespace};
for my $call (@calls)
{
	$session->run('BEGIN');
	like(state_of($call), qr/^(?:00000|MG009)$/, $call);
	is($other->value($locks), 0, '    no lock stays on what was read');
	$session->run('ROLLBACK');
}

# The scratch is entered without them.
$other->run(q{SELECT migrate.set_model('DO $$BEGIN PERFORM pg_sleep(3); END$$', 'sleepy')});
$session->send('SELECT count(*) FROM migrate.compare()');
my $asleep = wait_until(sub {
	$other->value(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = }
		  . $session->{pid});
}, 20);
ok($asleep, 'a comparison is in its scratch');
$other->run(q{SET lock_timeout = '1s'});
is($other->query('ALTER TABLE a ADD n int, DROP t CASCADE')->{state}, '00000',
	'    meanwhile a table that a view uses can be altered');
is($session->receive->{state}, '00000', '    and the comparison ends');
$other->run('RESET lock_timeout', q{SELECT migrate.drop_model('sleepy')},
	'ALTER TABLE a DROP n, ADD t text',
	q{CREATE VIEW v AS SELECT id, t FROM a WHERE t IN ('p', 'q')});

# A transaction that is left open.
$session->run(q{SET migrate.scratch_lock_timeout = '300ms'});
$other->run('BEGIN', 'ALTER TABLE a ADD n int');
for my $call (@calls)
{
	my $result = call($call);
	is($result->{state}, '55P03', "$call: a table that stays locked");
	like($result->{err}, qr/scratch_lock_timeout/, '    the hint');
}
$session->run('SET migrate.scratch_lock_timeout = 0', q{SET lock_timeout = '200ms'});
is(state_of('migrate.schema_sql()'), '55P03', '    lock_timeout counts');
$session->run('RESET lock_timeout');
$session->send('SELECT count(*) FROM migrate.schema_sql()');
ok(waits($session), '    without a limit it waits');
$other->run('COMMIT', 'ALTER TABLE a DROP n');
is($session->receive->{state}, '00000', '    until the transaction has ended');

# Others lock the table first and then its view, as DROP TABLE does.
$session->run('RESET migrate.scratch_lock_timeout');
$other->run('BEGIN', 'LOCK TABLE a');
$session->send('SELECT count(*) FROM migrate.compare()');
ok(waits($session), 'a comparison waits for a table, and holds a lock on its view');
is($other->query('ALTER VIEW v RENAME TO w')->{state}, '00000',
	'    who needs that is no victim of a deadlock');
$other->run('ALTER VIEW w RENAME TO v', 'COMMIT');
is($session->receive->{state}, '00000', '    nor is the comparison');

# What is gone when its definition is to be printed.
$other->run('CREATE VIEW z AS SELECT 1', 'BEGIN', 'LOCK TABLE a');
$session->send('SELECT count(*) FROM migrate.schema_sql()');
ok(waits($session), 'a view is to be read');
$other->run('DROP VIEW z', 'COMMIT');
is($session->receive->{state}, '00000', '    and dropped just then: all is read again');

# Whoever changes the schema itself for as long as it takes.
$session->run(q{SET migrate.scratch_lock_timeout = '1s'});
my ($said, $began, $result);
$said = beside(<<'END_GRANT', sub {
BEGIN;
GRANT CREATE ON SCHEMA public TO PUBLIC;
SELECT pg_sleep(0.9) \g /dev/null
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
COMMIT;
END_GRANT
	ok(wait_until(sub { $other->value(q{SELECT count(*) FROM pg_stat_activity
		WHERE wait_event = 'PgSleep'}) }, 20), 'a schema is changed again and again');
	$began = time;
	$result = call(q{migrate.compare()});
});
ok($expected{ $result->{state} }, '    a comparison ends') or diag($result->{err});
cmp_ok(time - $began, '<', 12, '    in time');
is($said, '', '    nobody else fails');
$session->run('RESET migrate.scratch_lock_timeout');

# All at once.
$said = beside(<<'END_DDL', sub { is(repeat(5, @calls), '', 'beside constant DDL') });
CREATE TABLE t (id int PRIMARY KEY, n int);
CREATE VIEW tv AS SELECT * FROM t;
CREATE INDEX ON t (n);
ALTER TABLE t ADD c text DEFAULT 'x' CHECK (c <> '');
CREATE OR REPLACE VIEW tv AS SELECT id, n, n + 1 AS m FROM t;
CREATE OR REPLACE VIEW v AS SELECT id, t FROM a WHERE t IN ('p', 's');
ALTER TABLE a ADD c int;
ALTER TABLE a ADD CONSTRAINT k CHECK (c > 0) NOT VALID;
CREATE INDEX x ON b (v);
DROP INDEX x;
ALTER TABLE a DROP c;
CREATE TYPE e AS ENUM ('a');
ALTER TYPE e ADD VALUE 'b';
DROP TYPE e;
DROP TABLE t CASCADE;
END_DDL
is($said, '', '    which has no error');

# Revisions that look into the catalogs: the live objects are hidden meanwhile.
$other->run(
	q{SELECT migrate.revision('looks', $s$DO $d$ BEGIN
		IF NOT EXISTS (SELECT FROM pg_class WHERE relname = 'late') THEN
			CREATE TABLE late (id int PRIMARY KEY, t text);
		END IF; END $d$;$s$, 'DROP TABLE late', rev_id => '0002')},
	q{SELECT migrate.upgrade('head')},
	q{INSERT INTO a SELECT i, 'x' || i FROM generate_series(1, 1000) i});
my $catalogs = join ' UNION ALL ',
  map { "SELECT '$_', count(*) FROM $_" }
  qw(pg_class pg_type pg_constraint pg_proc pg_namespace pg_depend pg_index pg_rewrite);
$catalogs .= ' ORDER BY 1';
my @before = $other->rows($catalogs);
$said = beside(<<'END_REWRITE', sub { is(repeat(5, @calls[ 1, 2, 4 ]), '', 'hidden objects') });
ALTER TABLE a ADD n int;
ALTER TABLE a DROP n;
CLUSTER a USING a_pkey;
VACUUM FULL b;
REINDEX TABLE a;
VACUUM ANALYZE late;
BEGIN;
ALTER TABLE late ADD n int;
ALTER TABLE a ADD m int;
GRANT SELECT ON b TO PUBLIC;
ALTER TABLE b ADD n int;
REVOKE SELECT ON b FROM PUBLIC;
ALTER TABLE a DROP m;
ALTER TABLE b DROP n;
ALTER TABLE late DROP n;
COMMIT;
END_REWRITE
is($said, '', '    that others rewrite meanwhile, without an error');
is_deeply([ $other->rows($catalogs) ], \@before, '    the catalogs have what they had');
is($other->value(q{SELECT count(*) FROM (SELECT relname FROM pg_class UNION ALL
	SELECT typname FROM pg_type UNION ALL SELECT conname FROM pg_constraint UNION ALL
	SELECT proname FROM pg_proc UNION ALL SELECT nspname FROM pg_namespace) n (name)
	WHERE name LIKE 'mig\_live%'}), 0, '    under their own names');
is($other->value(qq{SELECT count(*) FROM pg_locks WHERE pid = $session->{pid}}), 0,
	'    no lock is left');
$other->run('SET enable_seqscan = off', 'SET enable_bitmapscan = off');
is($other->value(q{SELECT count(*) FROM a WHERE id > 0 AND t IS NULL}), 0, '    indexes work');
is($other->value(q{SELECT id FROM a WHERE t = 'x77'}), 77, '    those of columns, too');
is(state_of('migrate.drift()'), '00000', '    and comparisons');
SKIP:
{
	skip 'no amcheck', 1
	  unless $other->value(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});
	$other->run('CREATE SCHEMA am', 'CREATE EXTENSION amcheck SCHEMA am');
	is($other->query(q{SELECT am.bt_index_parent_check(indexrelid, true) FROM pg_index
		JOIN pg_class c ON c.oid = indexrelid JOIN pg_am m ON m.oid = relam
		WHERE amname = 'btree' AND relpersistence = 'p' AND indisvalid})->{err}, '',
		'    amcheck finds nothing');
}

$_->finish for $session, $other;
drop_databases();
$server->stop;
done_testing();
