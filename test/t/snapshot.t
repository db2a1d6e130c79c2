#!/usr/bin/perl
#
# A transaction of REPEATABLE READ or SERIALIZABLE that has its snapshot compares the
# database as it is now, with the models and revisions of now; and either says how it
# differs or fails with 40001.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 60;
my $server = MigrateServer->create(settings => [q{statement_timeout = '15s'}]);
$server->use;
my $db = create_database('mig_snapshot');
my ($session, $other) = (connect_to($db), connect_to($db));

# The differences, a line each; or the error.
sub differences
{
	my ($call) = @_;
	my $result = $session->query("SELECT concat_ws(' ', action, object_type, object_identity)"
		  . " FROM $call");
	return $result->{state} eq '00000' ? $result->{out} : "$result->{state}\n";
}

sub check { return $session->query('SELECT migrate.check()')->{state} }

$other->run(q{SELECT migrate.revision('one', 'CREATE TABLE a (id int)', rev_id => '0001')},
	q{SELECT migrate.upgrade('head')},
	q{SELECT migrate.set_model('CREATE TABLE a (id int)')});

for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	my $begin =
	  sub { $session->run("BEGIN ISOLATION LEVEL $level", 'SELECT count(*) FROM pg_class') };
	$begin->();
	is(differences('migrate.compare()'), '', "$level: nothing differs");
	$other->run('CREATE TABLE by_hand (id int)',
		'CREATE VIEW v AS SELECT * FROM by_hand');
	my $created = "create table public.by_hand\ncreate view public.v\n";
	my $dropped = "drop view public.v\ndrop table public.by_hand\n";
	is($session->value('SELECT count(*) FROM pg_tables WHERE tablename = \'by_hand\''), 0,
		'    the snapshot is older than a table');
	is(differences('migrate.compare()'), $dropped, '    compare() finds it');
	is(differences(q{migrate.compare('revisions')}), $dropped, q{    so does compare('revisions')});
	is(differences('migrate.drift()'), $created, '    and drift()');
	is(check(), 'MG009', '    and check()');
	$session->run('ROLLBACK');

	# the server's function that returns its definition looks with the transaction's snapshot
	$begin->();
	$other->run('ALTER TABLE by_hand ADD CONSTRAINT newer CHECK (id > 0)');
	is(differences('migrate.compare()'), "40001\n", '    a constraint that is newer: try again');
	$session->run('ROLLBACK');
	$other->run('ALTER TABLE by_hand DROP CONSTRAINT newer');

	$begin->();
	$other->run('DROP TABLE by_hand CASCADE');
	is(differences('migrate.compare()'), '', '    one that is gone is gone');
	is(differences('migrate.drift()'), '', '    in drift(), too');
	$other->run('ALTER TABLE a ADD n int');
	is(differences('migrate.compare()'), "drop column public.a.n\n", '    a column');
	$other->run('ALTER TABLE a DROP n');
	is(check(), '00000', '    check() finds nothing again');
	$session->run('COMMIT');

	# revisions and models are those of now, too
	$begin->();
	$other->run(q{SELECT migrate.revision('more', 'CREATE TABLE b (id int)', 'DROP TABLE b',}
		  . q{ rev_id => '0002')}, q{SELECT migrate.upgrade('head')});
	is(differences('migrate.drift()'), '', '    what an upgrade has made is no drift');
	$session->run('ROLLBACK');
	$other->run(q{SELECT migrate.downgrade('-1')}, q{SELECT migrate.drop('0002')});

	# the scratch has to change the row of the schema
	$begin->();
	$other->run('GRANT CREATE ON SCHEMA public TO PUBLIC');
	is(differences('migrate.compare()'), "40001\n", '    a schema that was changed: 40001');
	$session->run('ROLLBACK');
	is(differences('migrate.compare()'), '', '    afterwards nothing differs');
	$other->run('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
}

$_->finish for $session, $other;
drop_databases();
$server->stop;
done_testing();
