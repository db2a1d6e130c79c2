#!/usr/bin/perl
#
# A session that compares again and again: nothing of ours stays in its memory.  The
# server itself keeps something of tables, sequences and PL/pgSQL functions that are
# gone; that is listed here by the names of its memory contexts, and grows no faster
# than doc/internals.md says.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 300;

MigrateServer->create(settings => [ 'autovacuum = off', 'jit = off' ])->use;
my $version = (run_psql('postgres', 'SHOW server_version_num'))[1] / 10000;
plan skip_all => 'pg_backend_memory_contexts came with 14' if $version < 14;

# How often; the first are for caches to fill.
my ($first, $last) = (10, 30);

# Used bytes by name of context, apart from what the query itself needs.
my $contexts = q{SELECT name, sum(used_bytes) FROM pg_backend_memory_contexts
	WHERE name NOT IN ('pg_get_backend_memory_contexts', 'tuplestore tuples',
		'ExecutorState', 'ExprContext', 'printtup', 'PortalContext',
		'MessageContext', 'Type information cache', 'PgStat Pending') GROUP BY 1};

# Runs a call often, and says what has grown, in bytes for each call: name => bytes.
sub growth
{
	my ($session, $call) = @_;
	my %before;
	for my $round (1 .. $last)
	{
		$session->rows($call);
		%before = map { split /\|/ } $session->rows($contexts) if $round == $first;
	}
	my %after = map { split /\|/ } $session->rows($contexts);
	my %grown;
	for my $name (keys %after)
	{
		my $bytes = int(($after{$name} - ($before{$name} // 0)) / ($last - $first));
		# less than a chunk for each call comes from the order of things
		$grown{$name} = $bytes if $bytes > 50;
	}
	return \%grown;
}

my $plain = join ';', q{CREATE TYPE mood AS ENUM ('good', 'bad')},
  map {
	"CREATE TABLE t$_ (id int PRIMARY KEY, p int, m mood DEFAULT 'good',"
	  . " n varchar CHECK (n IN ('x', 'y'))); CREATE INDEX ON t$_ (lower(n));"
	  . " CREATE VIEW v$_ AS SELECT * FROM t$_ WHERE n IN ('p', 'q')"
  } 1 .. 4;
my $more = join ';', $plain, q{CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS}
  . q{ $$ BEGIN RETURN 1; END $$}, 'CREATE SEQUENCE s',
  'ALTER TABLE t1 ADD FOREIGN KEY (p) REFERENCES t2', q{INSERT INTO t2 (id) VALUES (1)},
  q{INSERT INTO t1 (id, p) VALUES (nextval('s'), 1)};

# what the server keeps of what is gone, and how much for one of each above
my %servers = (
	'TopMemoryContext'       => 1200,
	'PL/pgSQL function'      => 4000,
	'PLpgSQL function hash'  => 1000,
	'Sequence values'        => 200,
	'RI constraint cache'    => 1200,
	'RI compare cache'       => 200,
	'RI query cache'         => 300,
	'SPI Plan'               => 1000,
	'CachedPlanSource'       => 6000,
	'CachedPlanQuery'        => 6000,
	'CachedPlan'             => 6000);

for (
	[ 'compare()', 'SELECT count(*) FROM migrate.compare()' ],
	[ 'drift()',   'SELECT count(*) FROM migrate.drift()' ])
{
	my ($name, $call) = @$_;
	for my $ddl ($plain, $more)
	{
		my $session = connect_to(create_database('mig_memory'));
		my $model = lit($ddl);
		$session->run(
			"SELECT migrate.revision('r', $model, '', 'r1')", 'SELECT migrate.upgrade()',
			"SELECT migrate.set_model($model)",
			# else there would be nothing to do the second time
			'CREATE TABLE extra (a int)');
		my $grown = growth($session, $call);
		my $bytes = join ', ', map { "$_: $grown->{$_}" } sort keys %$grown;
		if ($ddl eq $plain)
		{
			is($bytes, '', "$name: tables, indexes and views leave nothing in memory");
		}
		else
		{
			my @ours = grep { $grown->{$_} > ($servers{$_} // 0) } sort keys %$grown;
			is("@ours", '', "$name: functions, sequences and foreign keys leave what the"
				  . ' server keeps') or diag $bytes;
			note "$name, bytes for each call: $bytes";
		}
		$session->finish;
	}
}
done_testing();
