#!/usr/bin/perl
#
# A hot standby, made by pg_basebackup: all that looks works there, what would
# write says 25006, an upgrade with nothing to do works, and after promotion
# work continues.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

my $primary = MigrateServer->create->use;
my $on_primary =
  connect_to(create_database('mig_standby'), options => '-c migrate.step_messages=off');

# Waits until a session on the standby sees what the primary has now.
sub catch_up
{
	my $on_standby = shift;
	my $lsn = $on_primary->value('SELECT pg_current_wal_flush_lsn()');
	my $arrived = "SELECT pg_last_wal_replay_lsn() >= '$lsn'";
	return wait_until(sub { $on_standby->value($arrived) eq 't' }, 60);
}

$on_primary->run(
	q{SELECT migrate.revision('users', 'CREATE TABLE users (id int);', 'DROP TABLE users;',
		rev_id => '0001')},
	q{SELECT migrate.revision('mail', 'ALTER TABLE users ADD mail text;',
		'ALTER TABLE users DROP mail;', rev_id => '0002')},
	q{SELECT migrate.revision('reviews', 'CREATE TABLE reviews ();', 'DROP TABLE reviews;',
		rev_id => '0003', head => '0001', splice => true, branch_label => 'reviews')},
	q{SELECT migrate.upgrade('0002')});

my $standby = MigrateServer->create(standby_of => $primary)->use;
my $session =
  connect_to('mig_standby', options => '-c migrate.step_messages=off -c statement_timeout=30s');
is($session->value('SELECT pg_is_in_recovery()'), 't', 'the standby is one');
ok(catch_up($session), 'it follows');

# ------------------------------------------------------------- what looks ----

# Statements that must say the same on both servers.
my @looking = (
	'SELECT migrate.current()',
	'SELECT migrate.heads()',
	'SELECT migrate.bases()',
	'SELECT migrate.branches()',
	'SELECT migrate.pending()',
	q{SELECT migrate.pending('0002')},
	'SELECT * FROM migrate.lint()',
	'SELECT * FROM migrate.lint_rules()',
	'SELECT * FROM migrate.history()',
	q{SELECT * FROM migrate.history('0001:0002')},
	q{SELECT * FROM migrate.history('-1:current')},
	q{SELECT migrate.show('0003')},
	q{SELECT migrate.show('heads')},
	'SELECT * FROM migrate.graph()',
	q{SELECT * FROM migrate.graph('dot')},
	q{SELECT * FROM migrate.graph('mermaid')},
	q{SELECT migrate.resolve('reviews@head')},
	q{SELECT migrate.export('0002')},
	q{SELECT migrate.file_name('0002')},
	'SELECT * FROM migrate.status',
);
for my $sql (@looking)
{
	my $there = $on_primary->query($sql);
	my $here = $session->query($sql);
	is($here->{err} . $here->{out}, $there->{out}, $sql);
}
$session->run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
is($session->query($_)->{state}, '00000', "REPEATABLE READ: $_") for @looking;
$session->run('COMMIT');

my $check = $session->query('SELECT migrate.check()');
is($check->{state}, 'MG004', 'check() says that a revision is pending');
like($check->{err}, qr/Pending revisions: "0003"\./, 'and which');

# ------------------------------------------------------------ what writes ----

my %writing = (
	q{SELECT migrate.upgrade('heads')}       => 'upgrade',
	q{SELECT migrate.downgrade('-1')}        => 'downgrade',
	q{SELECT migrate.stamp('0001')}          => 'stamp',
	q{SELECT migrate.rehearse('heads')}      => 'rehearse',
	q{SELECT migrate.test_upgrade()}         => 'test_upgrade',
	q{SELECT migrate.set_revision_data('0001', 'SELECT 1')} => 'set_revision_data',
	q{SELECT migrate.revision('more', head => '0002')} => 'revision',
	q{SELECT migrate.drop('0003')}           => 'drop',
	q{SELECT migrate.configure('revision_ids', 'serial')} => 'configure',
	q{SELECT migrate.load(replace(migrate.export('0002'), '0002', '0004'))} => 'load',
);
is($session->query($_)->{state}, '25006', "$_: 25006") for sort keys %writing;
for my $sql (
	q{SELECT migrate.upgrade('0002')},
	q{SELECT migrate.downgrade('0002')},
	q{SELECT migrate.stamp('0002')},
	q{SELECT migrate.load(migrate.export('0003'))})
{
	is($session->query($sql)->{state}, '00000', "$sql: nothing to do");
}

# What the primary does arrives, also at an open session.
$on_primary->run(q{SELECT migrate.upgrade('heads')});
catch_up($session);
is(join(' ', $session->rows('SELECT migrate.current()')),
	'0002 0003', 'an upgrade of the primary arrives');
is($session->value('SELECT migrate.check()'), 't', 'check() is true now');
for my $sql (q{SELECT migrate.upgrade('heads')}, 'SELECT migrate.upgrade()')
{
	my $result = $session->query($sql);
	is($result->{state} . $result->{out}, $sql =~ /heads/ ? '00000' : 'MG003', $sql);
}
$on_primary->run(q{SELECT migrate.merge(rev_id => '0004')}, 'SELECT migrate.upgrade()');
catch_up($session);
is(join(' ', $session->rows('SELECT migrate.upgrade()')), '', 'upgrade() with nothing to do');
is($session->value('SELECT migrate.current()'), '0004', 'it is at the head');

# -------------------------------------------------------------- promotion ----

$on_primary->run(
	q{SELECT migrate.revision('later', 'CREATE TABLE later ();', 'DROP TABLE later;',
		rev_id => '0005')});
catch_up($session);
is($session->query('SELECT migrate.upgrade()')->{state}, '25006', 'not before promotion');
$on_primary->finish;
$primary->stop('immediate');
is($session->value('SELECT pg_promote(true, 60)'), 't', 'promoted');
is(join(' ', $session->rows('SELECT migrate.upgrade()')), '0005', 'the same session upgrades');
is($session->value(q{SELECT to_regclass('later') IS NOT NULL}), 't', 'and the table is there');
is(join(' ', $session->rows(q{SELECT migrate.downgrade('-1')})), '0005', 'it downgrades');
is($session->value(q{SELECT migrate.revision('last', rev_id => '0006')}), '0006', 'and authors');
is(join(' ', $session->rows('SELECT migrate.upgrade()')), '0005 0006', 'and upgrades again');
is($session->value('SELECT migrate.check()'), 't', 'check() is true');
is($session->value('SELECT count(*) = count(DISTINCT id) AND count(*) >= 8 FROM migrate.log'),
	't', 'the log is continued');

$session->finish;
$standby->stop;
done_testing();
