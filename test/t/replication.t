#!/usr/bin/perl
#
# Logical replication: a publication of all tables does not disturb those who
# move the publisher; what a subscriber finds whose tables of ours are filled
# by it; and revisions alone, published to databases that move themselves.
# doc/replication.md says the same to users.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

my $server = MigrateServer->create(
	settings => [
		'wal_level = logical',
		'max_replication_slots = 20',
		'max_wal_senders = 20',
		'max_logical_replication_workers = 10',
		'wal_retrieve_retry_interval = 200ms',
		'logical_decoding_work_mem = 64kB'
	]);
$server->use;
my $version = (split /\D/, connect_to('postgres')->value('SHOW server_version'))[0];

# --------------------------------------------------------------- helpers ----

sub becomes_true
{
	my ($session, $sql, $what) = @_;
	my $last;
	return ok(wait_until(sub { ($last = $session->value($sql) // '') eq 't' }, 30), $what)
	  || diag "the last answer: $last\n", substr $server->log_text, -3000;
}

# Both databases are in one server, so the slot is made beforehand.
sub subscribe
{
	my ($publisher, $subscriber, $publication, $name) = @_;
	$publisher->run("SELECT pg_create_logical_replication_slot('$name', 'pgoutput')");
	my $database = $publisher->value('SELECT current_database()');
	my $connection = 'host=' . $server->socket_dir . " port=5432 user=postgres dbname=$database";
	$subscriber->run(
		"CREATE SUBSCRIPTION $name CONNECTION '$connection' PUBLICATION $publication
			WITH (create_slot = false, slot_name = '$name')");
	becomes_true(
		$subscriber,
		q{SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel},
		"$name: the first copy");
	return;
}

# Leaves the slot at the publisher.
sub unsubscribe
{
	my ($subscriber, $name) = @_;
	return $subscriber->run(
		"ALTER SUBSCRIPTION $name DISABLE",
		"ALTER SUBSCRIPTION $name SET (slot_name = NONE)",
		"DROP SUBSCRIPTION $name");
}

sub catch_up
{
	my ($publisher, $name, $what) = @_;
	my $lsn = $publisher->value('SELECT pg_current_wal_lsn()');
	return becomes_true(
		$publisher,
		"SELECT confirmed_flush_lsn >= '$lsn' FROM pg_replication_slots WHERE slot_name = '$name'",
		$what);
}

my @tables = qw(revisions versions applied partial log steps models settings);
sub content
{
	my $session = shift;
	my %content;
	for my $table (@_ ? @_ : @tables)
	{
		$content{$table} = [ $session->rows(
				qq{SELECT t::text FROM migrate.$table t ORDER BY t::text COLLATE "C"}) ];
	}
	return \%content;
}

# The number of rows, and a hash of them all.
sub content_of
{
	my $session = shift;
	return [ $session->rows('SELECT count(*), sum(hashtextextended(d::text, 0)) FROM data d') ];
}

# The cache holds the heads or nothing.
sub heads_ok
{
	my ($session, $what) = @_;
	my $wrong = $session->value(
		q{SELECT count(*) FROM migrate.revisions_heads h
			FULL JOIN migrate.heads() i ON i = h.revision
		WHERE (h.revision IS NULL OR i IS NULL)
			AND EXISTS (SELECT FROM migrate.revisions_heads)});
	return is($wrong, 0, "$what: the heads that are known are right");
}

sub known_heads
{
	my $session = shift;
	return $session->value('SELECT count(*) FROM migrate.revisions_heads');
}

# Tables of ours belong to another role than the one that subscribes.
run_psql('postgres', 'CREATE ROLE mig_app LOGIN');
for my $name (qw(pub sub))
{
	create_database($name, plain => 1, owner => 'mig_app');
	my ($status, undef, $err) = run_psql($name, 'CREATE EXTENSION migrate', '-U', 'mig_app');
	die $err if $status;
}
my $publisher = connect_to('pub', user => 'mig_app');
my $pub_admin = connect_to('pub');
my $subscriber = connect_to('sub', user => 'mig_app');
my $sub_admin = connect_to('sub');

# ------------------------------------------------------- at the publisher ----

for my $n (1 .. 5)
{
	my $more = $n == 5 ? '; INSERT INTO t5 VALUES (5)' : '';
	$publisher->run("SELECT migrate.revision('number $n',
		'CREATE TABLE t$n (id int PRIMARY KEY)$more', 'DROP TABLE t$n', 'r$n')");
}
$publisher->run(q{SELECT migrate.upgrade('r2')});
$pub_admin->run('CREATE PUBLICATION everything FOR ALL TABLES');

is( $pub_admin->value(
		q{SELECT string_agg(relname, ',') FROM pg_class
		WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r'
			AND NOT (relreplident = 'd' AND EXISTS (
				SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary))}),
	undef,
	'every table of ours has a replica identity');

my $file = <<'END';
-- loaded
--
-- Revision ID: loaded
-- Revises: r5

-- migrate:up
SELECT 1;

-- migrate:down
SELECT 2;
END
for my $case (
	[ q{migrate.upgrade('r4')},                                                'r3,r4' ],
	[ q{migrate.downgrade('r3')},                                              'r4' ],
	[ q{migrate.stamp('r4')},                                                  'r4' ],
	[ q{migrate.stamp('r3', purge => true)},                                   'r3' ],
	[ 'migrate.load(' . lit($file) . ')',                                      'loaded' ],
	[ 'migrate.load(' . lit($file =~ s/SELECT 1/SELECT 11/r) . ')',            'loaded' ],
	[ q{migrate.edit('loaded', message => 'edited')},                          'loaded' ],
	[ q{migrate.revision('side', '', '', 'side', head => 'r3', splice => true)}, 'side' ],
	[ q{migrate.merge(rev_id => 'merged')},                                    'merged' ],
	[ q{migrate.drop('merged')},                                               'merged' ],
	[ q{migrate.drop('side')},                                                 'side' ],
	[ q{migrate.configure('revision_ids', 'serial')},                          '' ],
	[ q{migrate.configure('revision_ids', 'timestamp')},                       '' ],
	[ q{migrate.upgrade('r4')},                                                'r4' ])
{
	my ($call, $expected) = @$case;
	my $result = $publisher->query("SELECT $call");
	is("$result->{state} " . join(',', @{ $result->{rows} }),
		"00000 $expected",
		'FOR ALL TABLES, publisher: ' . substr($call =~ s/\n.*//sr, 0, 50))
	  or diag $result->{err};
}

# A script that changes rows of a table without a key is the server's affair.
{
	$publisher->run(
		q{SELECT migrate.revision('no key',
			'CREATE TABLE nokey (a int);
			INSERT INTO nokey VALUES (1);
			UPDATE nokey SET a = 2',
			'DROP TABLE nokey', 'nokey', head => 'loaded')});
	my $result = $publisher->query(q{SELECT migrate.upgrade('head')});
	is($result->{state}, '55000', 'a script that updates a published table without a key fails');
	like($result->{err}, qr/does not have a replica identity/, 'with the server\'s message');
	like($result->{err}, qr/revision "nokey", upgrade script, statement 3/, 'and its place');
	$publisher->run(q{SELECT migrate.drop('nokey')});
}

# ------------------------------------ a subscriber of everything, ours too ----

# Who subscribes to all tables needs them all, as the publisher has them now.
$sub_admin->run(map { "CREATE TABLE t$_ (id int PRIMARY KEY)" } 1 .. 4);
subscribe($pub_admin, $sub_admin, 'everything', 'sub_all');
is_deeply(content($subscriber), content($publisher),
	'subscriber: all rows of ours arrive, checksums are computed alike');
heads_ok($subscriber, 'after the first copy');

# Rows for a table that is not there stop the subscription, before anything
# of the transaction arrives.
$publisher->run(q{SELECT migrate.upgrade('head')});
{
	my $missing = qr/logical replication target relation "public.t5" does not exist/;
	ok(wait_until(sub { $server->log_text =~ $missing }, 20),
		'subscriber: rows wait for their table');
	is_deeply([ $subscriber->rows('SELECT migrate.current()') ],
		['r4'], 'subscriber: and so does the position');
	is_deeply([ $subscriber->rows('SELECT migrate.pending()') ],
		[qw(r5 loaded)], 'subscriber: what is pending is known');
	$sub_admin->run('CREATE TABLE t5 (id int PRIMARY KEY)');
}
catch_up($publisher, 'sub_all',
	'subscriber: with the table made by hand it catches up with the upgrade');
is_deeply(content($subscriber), content($publisher), 'subscriber: position and log follow');
heads_ok($subscriber, 'after an upgrade');
for my $round (1, 2)
{
	my $session = connect_to('sub', user => 'mig_app', messages => 'notice');
	my $result = $session->query(q{SELECT migrate.upgrade('head')});
	is($result->{state} . $result->{out},
		'00000', 'subscriber: upgrade has nothing to do, though it never ran here');
	like($result->{err},
		qr/WARNING: .*version rows of this database are written by subscription "/,
		'with a warning');
	like($result->{err}, qr/nothing to do: at head loaded/, 'and says so');
}

# Everything else that writes, and the looking.
$publisher->run(
	q{SELECT migrate.downgrade('r3')},
	q{SELECT migrate.stamp('r5')},
	q{SELECT migrate.configure('revision_ids', 'serial')},
	q{SELECT migrate.revision('branch', '', '', 'branch',
		head => 'r3', splice => true, branch_label => 'lab')},
	q{SELECT migrate.edit('loaded', message => E'new\nmessage')},
	q{SELECT migrate.upgrade('heads')});
catch_up($publisher, 'sub_all', 'subscriber: caught up with all the rest');
is_deeply(content($subscriber), content($publisher), 'subscriber: the same');
heads_ok($subscriber, 'after all the rest');
for my $look (
	'migrate.current()', 'migrate.heads()', 'migrate.bases()', 'migrate.branches()',
	q{migrate.pending('heads')}, q{migrate.resolve('lab@head')},
	'migrate.history()', q{migrate.export('loaded')})
{
	is($subscriber->query("SELECT $look")->{out},
		$publisher->query("SELECT $look")->{out},
		"subscriber: $look is the same");
}

# The publisher forgets its heads with every change, so does the subscriber,
# also what it has come to know by itself.
$publisher->run(
	q{SELECT migrate.stamp('r3', purge => true)},
	q{SELECT migrate.drop('branch')},
	q{SELECT migrate.stamp('loaded')});
catch_up($publisher, 'sub_all', 'subscriber: caught up with revisions that went');
is_deeply(content($subscriber), content($publisher), 'subscriber: the same again');
heads_ok($subscriber, 'after revisions that went');

# --------------------------------------------- what must not be done there ----

# Moving the subscriber by itself: the publisher's step then finds the row.
{
	$publisher->run(q{SELECT migrate.revision('next', '', '', 'next', head => 'loaded')});
	catch_up($publisher, 'sub_all', 'subscriber: a new revision arrives');
	is_deeply([ $subscriber->rows(q{SELECT migrate.pending('heads')}) ],
		['next'], 'subscriber: it is pending');
	my $result = $subscriber->query(q{SELECT migrate.upgrade('heads')});
	is($result->{state}, '23505',
		'subscriber: upgrade fails there, because the ids of the log do not follow')
	  or diag $result->{err};
	# The ids follow by hand; then it moves, and stops the subscription.
	$subscriber->run(q{SELECT setval('migrate.log_id_seq', (SELECT max(id) FROM migrate.log))});
	$result = $subscriber->query(q{SELECT migrate.upgrade('heads')});
	is($result->{state} . $result->{out}, "00000next\n", 'subscriber: with the ids set it moves')
	  or diag $result->{err};
	my $from = length $server->log_text;
	$publisher->run(q{SELECT migrate.upgrade('heads')});
	# 18 words it its own way
	my $conflict = qr/ERROR:\ \ (?:duplicate\ key\ value\ violates\ unique\ constraint\ "
		|conflict\ detected\ on\ relation\ "migrate\.)
		(?:versions|applied|steps|revisions_heads)/x;
	ok(wait_until(sub { substr($server->log_text, $from) =~ $conflict }, 20),
		'subscriber: and the publisher\'s own step cannot be applied any more')
	  or diag substr $server->log_text, $from;

	# The way out of doc/replication.md: take back what was done there.
	$subscriber->run(
		q{DELETE FROM migrate.versions WHERE revision = 'next'},
		q{DELETE FROM migrate.applied WHERE revision = 'next'},
		q{DELETE FROM migrate.steps WHERE revision = 'next'},
		q{DELETE FROM migrate.revisions_heads});
	catch_up($publisher, 'sub_all', 'subscriber: with that taken back it catches up');
	is_deeply(content($subscriber), content($publisher), 'subscriber: the same as the publisher');
	heads_ok($subscriber, 'after a conflict');
}

# ------------------------------------------------------- taking over there ----

{
	$publisher->run(
		q{SELECT migrate.revision('last', 'CREATE TABLE over (a int)', 'DROP TABLE over', 'last',
			head => 'next')});
	catch_up($publisher, 'sub_all', 'subscriber: before it takes over');
	unsubscribe($sub_admin, 'sub_all');
	my $inactive = q{SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'sub_all'};
	wait_until(sub { $pub_admin->value($inactive) eq 't' }, 20);
	$pub_admin->run(q{SELECT pg_drop_replication_slot('sub_all')});
	$sub_admin->run(q{SELECT setval('migrate.log_id_seq', (SELECT max(id) FROM migrate.log))});
	my $result = $subscriber->query(q{SELECT migrate.upgrade('last')});
	is($result->{state}, '00000', 'a subscriber that takes over moves on, with the ids set')
	  or diag $result->{err};
	isnt($subscriber->value(q{SELECT to_regclass('over')}), undef, 'and runs the script');
	heads_ok($subscriber, 'after taking over');
}

# ------------------------------------------------ revisions alone, published ----

# A publisher of revisions only; each subscriber moves itself.
{
	create_database($_) for qw(origin copy);
	my $origin = connect_to('origin');
	my $copy = connect_to('copy');
	$origin->run('CREATE PUBLICATION revisions FOR TABLE migrate.revisions');
	$origin->run("SELECT migrate.revision('number $_',
		'CREATE TABLE t$_ (a int)', 'DROP TABLE t$_', 'r$_')")
	  for 1 .. 3;
	subscribe($origin, $copy, 'revisions', 'sub_revisions');
	is_deeply(content($copy, 'revisions'), content($origin, 'revisions'),
		'revisions alone: they arrive');
	is_deeply([ $copy->rows('SELECT migrate.upgrade()') ],
		[qw(r1 r2 r3)], 'revisions alone: the subscriber moves itself');
	isnt($copy->value(q{SELECT to_regclass('t3')}), undef,
		'revisions alone: the scripts ran there');
	is(known_heads($copy), 1, 'revisions alone: the head is known');

	# What arrives by replication must make it forget.
	my $three = q{SELECT migrate.load(format(
			E'-- m\n--\n-- Revision ID: l%s\n-- Revises: %s\n\n-- migrate:up\n',
			i, CASE i WHEN 1 THEN 'base1' ELSE 'l' || i - 1 END))
		FROM generate_series(1, 3) i};
	for my $change (
		[ 'a new revision', q{SELECT migrate.revision('number 4', '', '', 'r4')}, 'r4' ],
		[ 'a branch',
			q{SELECT migrate.revision('b', '', '', 'b1', head => 'r2', splice => true)}, 'b1' ],
		[ 'a merge', q{SELECT migrate.merge(rev_id => 'm1')}, 'm1' ],
		[ 'a new base',
			q{SELECT migrate.revision('base', '', '', 'base1', head => 'base')}, 'base1' ],
		[ 'several', $three, 'l1,l2,l3' ])
	{
		my ($what, $sql, $expected) = @$change;
		# known before it arrives
		$copy->run(q{SELECT migrate.configure('exclude', 'x')});
		cmp_ok(known_heads($copy), '>', 0, "$what: the heads were known");
		$origin->run($sql);
		catch_up($origin, 'sub_revisions', "$what: arrives");
		is(known_heads($copy), 0, "$what: makes the heads unknown");
		is(join(',', $copy->rows(q{SELECT migrate.upgrade('heads')})),
			$expected, "$what: and upgrade finds it");
		heads_ok($copy, $what);
	}
	# What is applied at the subscriber but goes at the publisher is noticed.
	$origin->run(q{SELECT migrate.drop('l3')});
	catch_up($origin, 'sub_revisions', 'a revision that goes: arrives');
	is(known_heads($copy), 0, 'a revision that goes: makes the heads unknown');
	is($copy->query(q{SELECT migrate.upgrade('heads')})->{state},
		'MG010', 'a revision that goes although it is applied here: MG010, not "nothing to do"');
	# TRUNCATE too
	$copy->run('SELECT 1');
	$origin->run('TRUNCATE migrate.revisions');
	catch_up($origin, 'sub_revisions', 'TRUNCATE: arrives');
	is(known_heads($copy) + $copy->value('SELECT count(*) FROM migrate.revisions'),
		0, 'TRUNCATE: leaves no head');
	unsubscribe($copy, 'sub_revisions');
	$_->finish for $origin, $copy;
}

# ------------------------------------------------ each moved by itself ----

# Only the tables that are no one's: both have the extension, and both run the
# scripts.  The subscriber first, so that rows find their columns.
{
	create_database($_) for qw(one two);
	my $one = connect_to('one');
	my $two = connect_to('two');
	for my $session ($one, $two)
	{
		$session->run(
			q{SELECT migrate.revision('users',
				'CREATE TABLE users (id int PRIMARY KEY)', 'DROP TABLE users', 'r1')},
			q{SELECT migrate.upgrade()});
	}
	my $create = $one->value(
		q{SELECT format('CREATE PUBLICATION app FOR TABLE %s',
			string_agg(format('%I.%I', schemaname, tablename), ', '))
		FROM pg_tables WHERE schemaname NOT IN ('migrate', 'pg_catalog', 'information_schema')});
	is($create, 'CREATE PUBLICATION app FOR TABLE public.users', 'a publication of all but ours');
	$one->run($create, 'INSERT INTO users VALUES (1)');
	subscribe($one, $two, 'app', 'sub_app');
	for my $session ($two, $one)
	{
		$session->run(
			q{SELECT migrate.revision('email',
				'ALTER TABLE users ADD email text', 'ALTER TABLE users DROP email', 'r2')});
		is_deeply([ $session->rows('SELECT migrate.upgrade()') ], ['r2'],
			'each is moved by itself');
	}
	$one->run(q{INSERT INTO users VALUES (2, 'x@y')});
	catch_up($one, 'sub_app', 'rows keep arriving');
	is_deeply([ $two->rows('SELECT * FROM users ORDER BY id') ],
		[ '1|', '2|x@y' ], 'with the new column');
	is($two->value('SELECT count(*) FROM migrate.log'), 2, 'and nothing of ours is replicated');
	unsubscribe($two, 'sub_app');
	$_->finish for $one, $two;
}

# ----------------------------------------------- comparisons under load ----

# What a comparison makes is of subtransactions that are rolled back: rows and files of the
# catalogs that decoding meets while others write, alter and rewrite.  The rows of scripts,
# in tables of the same names, must not arrive; nor may decoding stop at a file that it
# finds no table for.  Large transactions are sent before they end, and from 16 on they can
# be applied before they end, by workers beside which the subscriber is compared, too.
for my $streaming (qw(on parallel))
{
	if ($streaming eq 'parallel' && $version < 16)
	{
		SKIP: { skip 'no parallel apply before 16', 1 }
		next;
	}
	my ($load, $slot) = ("under load, streaming $streaming", "sub_$streaming");
	my @names = map { "${_}_$streaming" } qw(busy mirror);
	create_database($_) for @names;
	my ($busy, $mirror, $writer, $alterer) = map { connect_to($_) } @names, ($names[0]) x 2;
	my $plugin = -e (run_program(tool('pg_config'), '--pkglibdir'))[1] =~ s/\n//r
	  . '/test_decoding.so';
	my $up = <<'SQL';
CREATE TABLE data (id serial PRIMARY KEY, body text);
INSERT INTO data (body) SELECT 'of the script' FROM generate_series(1, 1000);
ALTER TABLE data ALTER id TYPE bigint;
CREATE INDEX data_body ON data (body);
UPDATE data SET body = 'of the script, too';
SQL
	$busy->run(
		'SELECT migrate.revision(' . join(', ', map { lit($_) } 'data', $up, '', 'r1') . ')',
		'SELECT migrate.upgrade()',
		'SELECT migrate.set_model(' . lit("$up; CREATE TABLE more (a int)") . ')',
		'TRUNCATE data',
		'CREATE PUBLICATION busy FOR ALL TABLES',
		$plugin
		? "SELECT pg_create_logical_replication_slot('plain_$streaming', 'test_decoding')"
		: (),
		"SELECT pg_create_logical_replication_slot('$slot', 'pgoutput')");
	$mirror->run('CREATE TABLE data (id bigint PRIMARY KEY, body text)',
		"CREATE SUBSCRIPTION $slot CONNECTION 'host=" . $server->socket_dir
		  . " port=5432 user=postgres dbname=$names[0]' PUBLICATION busy WITH ("
		  . ($version >= 14 ? "streaming = $streaming, " : '')
		  . "create_slot = false, slot_name = '$slot')");
	becomes_true($mirror,
		q{SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel},
		"$load: the first copy");

	# until the lock can be had
	my $from = length $server->log_text;
	my $gate = connect_to($names[0]);
	$gate->run('SELECT pg_advisory_lock(42)');
	my $loop = q{DO $$ BEGIN WHILE NOT pg_try_advisory_xact_lock_shared(42) LOOP %s }
	  . q{END LOOP; END $$};
	$writer->send(sprintf $loop, <<'SQL');
INSERT INTO data (body) SELECT 'row' FROM generate_series(1, 5); COMMIT;
UPDATE data SET body = body || '.' WHERE id > (SELECT max(id) - 3 FROM data); COMMIT;
SQL
	$alterer->send(sprintf $loop, <<'SQL');
CREATE TABLE passing (a int PRIMARY KEY, b text); COMMIT;
ALTER TABLE passing ALTER a TYPE bigint; COMMIT;
CLUSTER data USING data_pkey; COMMIT;
DROP TABLE passing; COMMIT; PERFORM pg_sleep(0.02);
SQL
	my (%states, $rows);
	my @calls = map { "SELECT count(*) FROM migrate.$_" } 'compare()', 'drift()';
	for my $round (1 .. 12)
	{
		$states{ $busy->query($_)->{state} }++ for @calls;
		# rows of the same transaction, before and after
		my $insert = q{INSERT INTO data (body) SELECT 'around' FROM generate_series(1, 300)};
		$busy->run('BEGIN', $insert);
		my $result = $busy->query($calls[ $round % 2 ]);
		$states{ $result->{state} }++;
		$states{ $mirror->query($calls[0])->{state} }++;
		if ($result->{state} ne '00000')
		{
			diag $result->{err};
			$busy->run('ROLLBACK');
			next;
		}
		$busy->run($insert, 'COMMIT');
		$rows += 600;
	}
	$gate->run('SELECT pg_advisory_unlock(42)');
	is($_->receive->{state}, '00000', "$load: others work") for $writer, $alterer;
	is_deeply(\%states, { '00000' => 48 }, "$load: comparisons too");
	catch_up($busy, $slot, "$load: all is decoded and applied");
	is($mirror->value(q{SELECT count(*) > 0 FROM pg_stat_activity
		WHERE backend_type = 'logical replication parallel worker'}), 't',
		"$load: workers have applied") if $streaming eq 'parallel';
	is_deeply(content_of($mirror), content_of($busy), "$load: all rows arrive");
	is($mirror->value(q{SELECT count(*) FROM data WHERE body LIKE 'around%'}), $rows,
		"$load: those around comparisons, too");
	is($mirror->value(q{SELECT count(*) FROM data WHERE body LIKE 'of the script%'}), 0,
		"$load: and none of those that scripts wrote");
	SKIP:
	{
		skip 'test_decoding is not installed', 2 unless $plugin;
		my $result = $busy->query(
			q{SELECT count(*) FILTER (WHERE data LIKE '%of the script%'), count(*) FILTER }
			  . q{(WHERE data LIKE 'table public.data: INSERT:%around%')}
			  . q{ FROM pg_logical_slot_get_changes('plain_} . $streaming . q{', NULL, NULL)});
		is($result->{out}, "0|$rows\n", "$load: the same, decoded afterwards")
		  or diag $result->{err};
	}
	unlike(substr($server->log_text, $from), qr/(?:ERROR|FATAL|PANIC): /,
		"$load: no error in the log");
	unsubscribe($mirror, $slot);
	$_->finish for $busy, $mirror, $writer, $alterer, $gate;
}

unlike($server->log_text, qr/was terminated by signal|TRAP:|PANIC:/, 'nothing crashed');
$_->finish for $publisher, $pub_admin, $subscriber, $sub_admin;
$server->stop('immediate');
done_testing();
