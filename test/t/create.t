#!/usr/bin/perl
#
# A fresh database from the models: migrate.create_all() and migrate.init_db().  Many
# sessions at once do it once; what is no fresh database is left alone; an error leaves
# nothing; and what comes out is what compare() and drift() find nothing in.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

alarm 600;
END { local $?; drop_databases() }
own_roles(qw(mig_create_owner mig_create_other));

my $model = <<'SQL';
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE INDEX CONCURRENTLY users_name ON users (name);
CREATE TYPE mood AS ENUM ('good');
SQL
my @revisions = (
	[ '0001', 'CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)' ],
	[ '0002', 'ALTER TABLE users ADD name text; UPDATE users SET name = id;'
			. ' ALTER TABLE users ALTER name SET NOT NULL' ],
	[ '0003', q{CREATE INDEX users_name ON users (name); CREATE TYPE mood AS ENUM ('good')} ]);

sub declare
{
	my ($session, $ddl) = @_;
	$session->run('SELECT migrate.set_model(' . lit($ddl // $model) . ')');
	$session->run(sprintf q{SELECT migrate.revision('step', %s, rev_id => '%s')},
		lit($_->[1]), $_->[0])
	  for @revisions;
	return $session;
}

# A session in a new database with the model and the revisions.
sub fresh
{
	my ($name, %options) = @_;
	return declare(connect_to(create_database("mig_create_$name"), %options), $options{model});
}

sub position { return join ' ', $_[0]->rows('SELECT migrate.current()') }

# ------------------------------------------------------------------ both ----

for my $call ('create_all', 'init_db')
{
	my $session = fresh($call, messages => 'notice');
	my $result = $session->query("SELECT migrate.$call()");
	is($result->{out}, "0003\n", "$call returns what it stamped") or diag $result->{err};
	is(position($session), '0003', '    which is the position');
	is(join(' ', $session->rows('SELECT operation FROM migrate.log')), 'stamp',
		'    and what the log says');
	is($session->value('SELECT migrate.check()'), 't', '    the models and the revisions agree');
	is($session->value('SELECT count(*) FROM migrate.drift()'), 0, '    and there is no drift');
	like($result->{err}, qr/NOTICE:  00000: created what 1 model declares, stamped 0003/,
		'    it says so');
	my $data = qr/NOTICE: .*stamped revisions hold data statements, .* not run: "0002"\n/;
	$call eq 'init_db' ? like($result->{err}, $data, '    and what was left out')
	  : unlike($result->{err}, $data, '    and no more');
	is(schema_difference("mig_create_$call", do {
		my $other = connect_to(create_database("mig_create_by_upgrade"));
		declare($other)->run('SELECT migrate.upgrade()');
		$other->finish;
		'mig_create_by_upgrade'
	}), '', '    the same as an upgrade makes');
	$result = $session->query('SELECT migrate.create_all()');
	is("$result->{state} $result->{message}", '55000 database is not fresh', '    not again');
	is_deeply([ $session->rows('SELECT migrate.init_db()') ], [], '    init_db has nothing to do');
}

# ------------------------------------------------------------- not fresh ----

{
	my $session = fresh('other');
	$session->run('CREATE TABLE there ()');
	my $result = $session->query('SELECT migrate.create_all()');
	is($result->{state}, '55000', 'a schema that holds something');
	like($result->{err}, qr/DETAIL: .* table public\.there\.\nHINT: .* migrate\.stamp\('heads'\)/,
		'    is named, with a hint');
	is_deeply([ $session->rows('SELECT migrate.init_db()') ], [qw(0001 0002 0003)],
		'    init_db upgrades there');
	is($session->value(q{SELECT to_regclass('there')}), 'there', '    and leaves it alone');
}
{
	my $session = fresh('excluded');
	$session->run('CREATE TABLE alembic_version ()',
		q{SELECT migrate.configure('exclude', 'alembic_version')});
	is_deeply([ $session->rows('SELECT migrate.create_all()') ], ['0003'],
		'what is excluded does not count');
}
{
	my $session = fresh('target');
	$session->run('BEGIN');
	is_deeply([ $session->rows(q{SELECT migrate.init_db('0002')}) ], [qw(0001 0002)],
		'another target than the heads is an upgrade');
	$session->run('ROLLBACK', 'BEGIN');
	is_deeply([ $session->rows(q{SELECT migrate.init_db('+3')}) ], ['0003'],
		'    one that is the heads is none');
	$session->run('ROLLBACK', q{SELECT migrate.drop_model('default')});
	is($session->query('SELECT migrate.create_all()')->{state}, '55000', 'without a model');
	is_deeply([ $session->rows('SELECT migrate.init_db()') ], [qw(0001 0002 0003)],
		'    init_db upgrades');
}
{
	my $session = fresh('several');
	$session->run(
		q{SELECT migrate.revision('side', 'CREATE TABLE side ()', rev_id => 's1', head => 'base')});
	is($session->query('SELECT migrate.init_db()')->{state}, 'MG003', 'several heads, and "head"');
	is_deeply([ $session->rows(q{SELECT migrate.init_db('heads')}) ], [qw(0003 s1)],
		'    "heads" stamps all');
}
{
	my $session = connect_to(create_database('mig_create_bare'), messages => 'warning');
	$session->run('SELECT migrate.set_model(' . lit($model) . ')');
	my $result = $session->query('SELECT migrate.init_db()');
	is($result->{state}, '00000', 'without revisions the models are run');
	like($result->{err}, qr/WARNING: .*no revision is loaded/, '    with a warning');
	is($session->value('SELECT count(*) FROM users'), 0, '    and are there');
	is_deeply([ $session->rows('SELECT migrate.init_db()') ], [], '    once');
}

# ---------------------------------------------------------------- errors ----

for my $case (
	[ 'an error', "CREATE TABLE a ();\nSELECT 1 / 0;", '22012',
		qr/model "default", statement 2, line 2/ ],
	[ 'NOTIFY', 'CREATE TABLE a (); NOTIFY x', 'MG011', qr/model "default", statement 2/ ],
	[ 'NOTIFY in a block', 'CREATE TABLE a (); DO $$ BEGIN NOTIFY x; END $$', 'MG011',
		qr/model "default", statement 2/ ],
	[ 'a check at its end', 'CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (i int REFERENCES a'
			. ' DEFERRABLE INITIALLY DEFERRED); INSERT INTO b VALUES (1)', '23503',
		qr/model "default", at its end/ ])
{
	my ($what, $ddl, $state, $context) = @$case;
	my $session = connect_to(create_database('mig_create_error'));
	declare($session, $ddl);
	my $result = $session->query('SELECT migrate.init_db()');
	is($result->{state}, $state, "$what in a model");
	like($result->{err}, $context, '    names it');
	is($session->value(q{SELECT to_regclass('a') IS NULL}), 't', '    and leaves nothing');
	is(position($session), '', '    stamped neither');
	# the guard has ended with it
	is($session->query('NOTIFY x')->{state}, '00000', '    the session may do what it likes');
	$session->finish;
}
{
	my $session = fresh('rest', model => "$model\nCREATE TEMP TABLE work () ON COMMIT DROP;"
		  . ' SET search_path = nowhere;');
	$session->run('BEGIN', 'SELECT migrate.create_all()');
	is($session->value('SHOW search_path'), '"$user", public', 'settings of a model end with it');
	is($session->value(q{SELECT to_regclass('work') IS NULL}), 't', '    and its temporary tables');
	is($session->query('NOTIFY x')->{state}, '00000', '    NOTIFY is allowed again');
	$session->run('ROLLBACK');
	is($session->value(q{SELECT to_regclass('users') IS NULL}), 't', 'rolled back with the caller');
	is(position($session), '', '    as its stamp is');
	is($session->query('BEGIN READ ONLY; SELECT migrate.create_all()')->{state}, '25006',
		'not in a read-only transaction');
}

# ------------------------------------------------------------ six at once ----

{
	my $name = 'mig_create_six';
	my $first = declare(connect_to(create_database($name)),
		"$model\nSELECT pg_sleep(1);\nCREATE TABLE once ();");
	my @sessions = map { connect_to($name, messages => 'notice') } 1 .. 6;
	$_->send('SELECT migrate.init_db()') for @sessions;
	my @results = map { $_->receive } @sessions;
	is_deeply([ map { $_->{state} } @results ], [ ('00000') x 6 ], 'six at once: no error')
	  or diag map { $_->{err} } @results;
	is(join('', map { $_->{out} } @results), "0003\n", '    one does it');
	is(scalar(grep { $_->{err} =~ /nothing to do: at head 0003/ } @results), 5,
		'    the others find nothing to do');
	is($first->value('SELECT count(*) FROM migrate.log'), 1, '    there is one step');
}

# ---------------------------------------------------- an owner, no superuser ----

{
	run_psql('postgres', 'CREATE ROLE mig_create_owner LOGIN; CREATE ROLE mig_create_other');
	create_database('mig_create_owned', plain => 1, owner => 'mig_create_owner');
	run_psql('mig_create_owned', 'ALTER SCHEMA public OWNER TO mig_create_owner');
	my $session = connect_to('mig_create_owned', user => 'mig_create_owner');
	$session->run('CREATE EXTENSION migrate');
	declare($session, "$model ALTER TABLE users OWNER TO mig_create_other;"
		  . ' CREATE SCHEMA IF NOT EXISTS public;');
	my $result = $session->query('SELECT migrate.init_db()');
	is($result->{out}, "0003\n", 'the owner of the database, who is no superuser')
	  or diag $result->{err};
	like($result->{err}, qr/WARNING: .*role "mig_create_owner" owns what .* to "mig_create_other"/,
		'    and whose objects could not be given away');
	is($session->value('SELECT migrate.check()'), 't', '    and the models agree');
	$session->finish;
	drop_databases();
}

done_testing();
