#!/usr/bin/perl
#
# The example files of online migrations (examples/online, doc/online.md): each
# is applied, reverted and applied again while pgbench reads and writes the same
# tables all the time.  No transaction of pgbench fails or waits long, and the
# result is right.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

# What a transaction of pgbench may take, in seconds.
my $bound = 2;

# What is there at the beginning.  pgbench leaves the last accounts alone.
my $accounts = 20_000;
my $orders   = 60_000;
my $apart    = 1_000;
my $clients  = 4;

my $dir = scratch_dir();
my $top = abs_path("$FindBin::RealBin/../..");
plan skip_all => 'pgbench is not installed' unless -x tool('pgbench');

# ------------------------------------------------------------------ files ----

my $database = create_database('mig_online');
my $session = connect_to($database);
$session->run(q{SET TimeZone = 'UTC'});
my $version = $session->value('SHOW server_version_num');

# Those that this server can read, copied: DETACH CONCURRENTLY is of 14.
my $files = "$dir/online";
mkdir $files;
my %content;
for my $file (glob "$top/examples/online/*.sql")
{
	my ($name) = $file =~ m{([^/]+)$};
	my $content = slurp($file);
	next if $version < 140000 && $content =~ /DETACH PARTITION \w+ CONCURRENTLY/;
	$content{$name} = $content;
	spew("$files/$name", $content);
}

my @ids = $session->rows('SELECT migrate.load_directory(' . lit($files) . ')');
is(scalar @ids, scalar keys %content, 'load_directory takes all of them');
is($session->value('SELECT count(*) FROM migrate.heads()'), 1, 'with one head');
for my $name (sort keys %content)
{
	my ($id) = $name =~ /^([0-9a-f]{12})_/;
	is($session->value('SELECT migrate.file_name(' . lit($id) . ')'),
		$name, "$name: has the name that migrate gives it");
	my $hex = $session->value(
		q{SELECT encode(convert_to(migrate.export(} . lit($id) . q{), 'UTF8'), 'hex')});
	is(pack('H*', $hex), $content{$name}, "$name: export gives it back");
	is( $session->value(
			'SELECT downgrade_sql IS NOT NULL FROM migrate.revisions WHERE revision = ' . lit($id)),
		't',
		"$name: has both directions");
}
{
	my ($script) = slurp("$top/doc/files.md") =~ /^```sh\n(.*?tsort.*?)^```/ms;
	spew("$dir/loadall.sh", $script);
	my $other = create_database('mig_online_psql');
	my $psql = tool('psql');
	my ($status, undef, $err) = run_program('sh', '-c',
		"cd '$files' && sh '$dir/loadall.sh' | '$psql' -XAtq -1 -v ON_ERROR_STOP=1 -d $other");
	is($status, 0, 'psql alone loads them') or diag $err;
	my $all = q{SELECT md5(string_agg(concat_ws('|', revision, down_revisions, message, checksum,
			upgrade_sql, downgrade_sql, upgrade_transactional, downgrade_transactional,
			extract(epoch FROM created_at)), ';' ORDER BY revision))
		FROM migrate.revisions};
	is((run_psql($other, $all))[1], $session->value($all) . "\n", 'as the same revisions');
}

# ---------------------------------------------------------------- pgbench ----

my $base = $ids[0];
call("migrate.upgrade_stepwise('$base')");
$session->run(
	"INSERT INTO accounts (email) SELECT 'account' || n FROM generate_series(1, $accounts) n",
	"INSERT INTO orders (account_id, total_cents, note)
		SELECT 1 + n % $accounts, n, n FROM generate_series(1, $orders) n",
	q{INSERT INTO events
		SELECT timestamptz '2024-06-01 00:00:00+00' + (n % 700) * interval '1 day', 'old'
		FROM generate_series(1, 20000) n},
	# what makes pgbench end
	'CREATE TABLE bench (go_on text)',
	q{INSERT INTO bench VALUES ('1')},
	'VACUUM ANALYZE');
my $shape_of_base = shape();

# An order's note says what its total has to be.
my $busy = $accounts - $apart;
spew("$dir/write.sql", <<"SQL");
\\set account random(1, $busy)
\\set order random(1, $orders)
\\set cents random(1, 1000000)
SELECT go_on::int FROM bench;
BEGIN;
UPDATE accounts SET email = 'account' || :cents::text WHERE id = :account;
INSERT INTO accounts (email) VALUES ('new') RETURNING id AS mine \\gset
INSERT INTO orders (account_id, total_cents, note) VALUES (:mine, :cents, :cents::text);
UPDATE orders SET total_cents = :cents, note = :cents::text WHERE id = :order;
INSERT INTO events VALUES ('2026-05-01 12:00:00+00', 'order');
COMMIT;
\\sleep 5 ms
SQL
spew("$dir/read.sql", <<"SQL");
\\set order random(1, $orders)
SELECT go_on::int FROM bench;
SELECT CASE WHEN o.note <> o.total_cents::text THEN ('order ' || o.id || ' is wrong')::int END,
	o.status::text, a.email
FROM orders o JOIN accounts a ON a.id = o.account_id WHERE o.id = :order;
SELECT kind FROM events WHERE at >= '2025-06-01 00:00:00+00' LIMIT 1;
\\sleep 2 ms
SQL
my $bench = spawn(
	"$dir/bench.out", tool('pgbench'),
	'-n',
	'-M' => 'prepared',
	'-c' => $clients,
	'-j' => 2,
	'-T' => 200,
	'-l', "--log-prefix=$dir/bench",
	'-f' => "$dir/write.sql",
	'-f' => "$dir/read.sql",
	$database);

# Waits until pgbench has done some more.
sub wait_for_bench
{
	my $from = $session->value('SELECT max(id) FROM orders');
	wait_until(sub { $session->value('SELECT max(id) FROM orders') >= $from + 10 }, 30)
	  or BAIL_OUT('pgbench does nothing: ' . slurp("$dir/bench.out"));
	return;
}
wait_for_bench();

# ------------------------------------------------------------------ steps ----

# Runs CALL migrate....; its result.
sub call
{
	my ($sql, $name) = @_;
	my $result = finish(stepwise($sql));
	is($result->{state}, '00000', $name // $sql) or diag $result->{err};
	return $result;
}

sub stepwise
{
	my $sql = shift;
	# shorter than deadlock_timeout: then it is never pgbench that gives way
	return start($database, "CALL $sql",
		'migrate.lock_timeout' => '200ms', client_min_messages => 'notice');
}

# pg_dump, in an order that does not depend on that of the columns, without the
# enum value that stays, and without the names of NOT NULLs (18), which are the
# columns' first ones.
sub shape
{
	return join "\n",
	  sort map { s/,$//r =~ s/ CONSTRAINT \w+_not_null NOT NULL/ NOT NULL/r }
	  grep { /\S/ && !/^\s*'draft',?$/ } split /\n/, schema_dump($database);
}

sub holds
{
	my ($sql, $name) = @_;
	is($session->value("SELECT ($sql) IS TRUE"), 't', $name);
	return;
}

# Conditions for "holds".
sub valid_index
{
	my $name = shift;
	return "(SELECT indisvalid AND indisready FROM pg_index
		WHERE indexrelid = '$name'::regclass)";
}

sub not_null
{
	my ($table, $column) = @_;
	return "(SELECT attnotnull FROM pg_attribute
		WHERE attrelid = '$table'::regclass AND attname = '$column')";
}

sub validated { return "(SELECT convalidated FROM pg_constraint WHERE conname = '$_[0]')" }
sub no_constraint { return "NOT EXISTS (SELECT FROM pg_constraint WHERE conname = '$_[0]')" }
sub all_of { return join ' AND ', @_ }

# What holds after the upgrade to a revision, by the words of its file's name.
my %after = (
	index_orders_by_account    => valid_index('orders_account_id_idx'),
	orders_are_of_accounts     => 'NOT ' . validated('orders_account_id_fkey'),
	all_orders_are_of_accounts => validated('orders_account_id_fkey'),
	orders_have_a_currency     => all_of(
		q{(SELECT count(*) = 0 FROM orders WHERE currency <> 'EUR')},
		not_null('orders', 'currency')),
	accounts_have_a_public_id => 'EXISTS (SELECT FROM accounts WHERE public_id IS NULL)',
	fill_public_ids           => all_of(
		'NOT EXISTS (SELECT FROM accounts WHERE public_id IS NULL)',
		q{NOT EXISTS (SELECT FROM pg_proc WHERE proname = 'fill_public_ids')}),
	public_ids_are_not_null => all_of(
		not_null('accounts', 'public_id'), no_constraint('accounts_public_id_check')),
	public_ids_are_unique => all_of(
		valid_index('accounts_public_id_key'), validated('accounts_public_id_key')),
	orders_can_be_drafts =>
	  q{enum_range(NULL::order_status)::text = '{draft,open,paid,shipped,cancelled}'},
	totals_get_a_wider_column => 'EXISTS (SELECT FROM orders WHERE total_cents_new IS NULL)',
	copy_totals_to_the_wider_column => all_of(
		not_null('orders', 'total_cents_new'),
		'NOT EXISTS (SELECT FROM orders WHERE total_cents_new IS DISTINCT FROM total_cents)',
		no_constraint('orders_total_cents_new_check')),
	totals_are_wide =>
	  'NOT EXISTS (SELECT FROM orders WHERE total_cents_old IS DISTINCT FROM total_cents)',
	drop_the_narrow_totals =>
	  q{(SELECT array_agg(format_type(atttypid, NULL)) = '{bigint}' FROM pg_attribute
		WHERE attrelid = 'orders'::regclass AND attname LIKE 'total%')},
	retire_coupons => all_of(
		q{to_regclass('coupons') IS NULL}, q{to_regclass('coupons_retired') IS NOT NULL}),
	drop_coupons         => q{to_regclass('coupons_retired') IS NULL},
	index_events_by_kind => all_of(
		valid_index('events_kind_idx'),
		q{(SELECT count(*) = 3 FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid
			WHERE inhparent = 'events_kind_idx'::regclass AND indisvalid)}),
	detach_the_events_of_2024 => all_of(
		q{NOT (SELECT relispartition FROM pg_class WHERE oid = 'events_2024'::regclass)},
		q{(SELECT count(*) = 2 FROM pg_inherits WHERE inhparent = 'events'::regclass)}));

# Other ways than a plain CALL, by the same words.
my %way = (
	index_orders_by_account => \&beside_an_old_snapshot,
	orders_have_a_currency  => \&beside_a_long_transaction,
	fill_public_ids         => \&interrupted,
	orders_begin_as_drafts  => sub {
		my ($sql) = @_;
		call($sql);
		wait_for_bench();
		holds(q{EXISTS (SELECT FROM orders WHERE status = 'draft')}, 'new orders are drafts');
	});

# The build waits for a snapshot that is older than the index, and others see
# it.
sub beside_an_old_snapshot
{
	my ($sql) = @_;
	my $report = connect_to($database);
	$report->run('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM events');
	my $run = stepwise($sql);
	my $waiting = q{SELECT count(*) FROM migrate.progress
		WHERE phase = 'waiting for old snapshots' AND wait_event_type = 'Lock'};
	ok(wait_until(sub { $session->value($waiting) }, 60),
		'the build waits for an old snapshot');
	is( $session->value(
			q{SELECT concat_ws(' ', operation, revision, step, steps, statement, statements, done)
			FROM migrate.progress}),
		"upgrade $ids[1] 1 1 1 1 0.000",
		'migrate.progress says so, and that none of it is over');
	holds("(SELECT blocked_by = ARRAY[$report->{pid}] FROM migrate.progress)",
		'and who is in the way');
	my $since = time;
	my $atomic = finish(start($database, 'SELECT migrate.upgrade()'));
	is($atomic->{state}, 'MG012', 'upgrade() beside it is refused');
	cmp_ok(time - $since, '<', 10, 'without waiting');
	my $hint = 'Call again when it has ended: it commits step by step, and is not waited for.';
	like($atomic->{err}, qr/^HINT:  \Q$hint\E$/m, 'with a hint');
	wait_for_bench();
	$report->run('COMMIT')->finish;
	my $result = finish($run);
	is($result->{state}, '00000', 'it ends when the snapshot is gone') or diag $result->{err};
	return;
}

# A long transaction is in the way of the ALTER TABLE: it must give way, again
# and again, for longer than pgbench may wait.
sub beside_a_long_transaction
{
	my ($sql) = @_;
	my $report = connect_to($database);
	$report->run('BEGIN', 'SELECT count(*) FROM orders');
	my $since = time;
	my $run = stepwise($sql);
	my $said = sub { slurp($run->{err}->filename) };
	ok(wait_until(sub { $said->() =~ /retry 3 of/ && time - $since > $bound + 1 }, 60),
		'it gives way to a long transaction, and tries again')
	  or diag $said->();
	my $retry = 'canceling statement due to lock timeout; rolled back, retry 1 of 10 in';
	like($said->(), qr/NOTICE: .*\Q$retry\E \d+ ms/, 'and says so');
	my $blocker = qr/Process \Q$report->{pid}\E \(.*\) was in the way/;
	like($said->(), qr/HINT:  $blocker: SELECT count\(\*\) FROM orders/, 'and who it was');
	is( $session->value(
			q{SELECT count(*) FROM pg_attribute
			WHERE attrelid = 'orders'::regclass AND attname = 'currency'}),
		0,
		'nothing of it is there meanwhile');
	$report->run('COMMIT')->finish;
	my $result = finish($run);
	is($result->{state}, '00000', 'it ends when the transaction has ended') or diag $result->{err};
	return;
}

# The backfill's session dies in the middle.
sub interrupted
{
	my ($sql) = @_;
	my $other = connect_to($database);
	my $row = $accounts - $apart / 2;
	my ($revision) = $sql =~ /'(.*)'/;
	my $ids = "SELECT count(public_id) || md5(string_agg(public_id::text, ',' ORDER BY id))
		FROM accounts WHERE id < $busy";
	$other->run('BEGIN', "SELECT FROM accounts WHERE id = $row FOR UPDATE");
	my $run = stepwise($sql);
	# for this session, and not for a moment for one of pgbench's
	my $waiting = "FROM migrate.progress
		WHERE wait_event_type = 'Lock' AND blocked_by = ARRAY[$other->{pid}]
			AND revision = '$revision'";
	ok(wait_until(sub { $session->value("SELECT count(*) $waiting") }, 60),
		'the backfill has come to a row that is locked');
	is($session->value("SELECT statement || '/' || statements $waiting"),
		'2/4', 'as migrate.progress says');
	my $before = $session->value($ids);
	$session->rows("SELECT pg_terminate_backend(pid) $waiting");
	is(finish($run)->{state}, '57P01', 'its session is ended');
	$other->run('ROLLBACK')->finish;

	my $result = finish(stepwise($sql));
	is($result->{state}, 'MG013', 'the next one finds it in doubt') or diag $result->{err};
	is($session->query('SELECT migrate.check(models => false)')->{state},
		'MG004', 'check() refuses');
	$session->run("SELECT migrate.resume('$revision', 'again')");
	call($sql, 'run again, it resumes');
	is($session->value($ids), $before, 'from where it was');
	return;
}

for my $id (@ids[ 1 .. $#ids ])
{
	my ($words) = map { /^${id}_(.*)\.sql$/ } keys %content;
	my $start = time;
	($way{$words} // \&call)->("migrate.upgrade_stepwise('$id')");
	holds($after{$words}, "after \"$words\"") if $after{$words};
	wait_for_bench();
	note sprintf '%-34s %.2f s', $words, time - $start;
}
is($session->value('SELECT migrate.check(models => false)'), 't', 'check() is content');
my $shape_of_head = shape();
my @unmet = sort grep { my $words = $_; !grep { /_$words\.sql$/ } keys %content }
  keys %after, keys %way;
is_deeply(\@unmet, $version < 140000 ? ['detach_the_events_of_2024'] : [], 'nothing was left out');

# ------------------------------------------------------- down, and up again ----

for my $id (reverse @ids[ 1 .. $#ids ])
{
	my ($words) = map { /^${id}_(.*)\.sql$/ } keys %content;
	my $start = time;
	call(q{migrate.downgrade_stepwise('-1')}, "down from \"$words\"");
	note sprintf '%-34s %.2f s', "down: $words", time - $start;
}
wait_for_bench();
is_deeply([ $session->rows('SELECT migrate.current()') ], [$base], 'all the way down');
is(shape(), $shape_of_base, 'the schema is what it was');
holds(q{NOT EXISTS (SELECT FROM orders WHERE status = 'draft')}, 'no draft is left');

my $result = call(q{migrate.upgrade_stepwise('head')}, 'up again in one CALL');
like($result->{err}, qr/upgrade to head completed: $#ids revisions/, 'all revisions');
wait_for_bench();
is(shape(), $shape_of_head, 'the schema is that of the first time');

# ----------------------------------------------------------------- result ----

# Each client meets an error that we make, and ends.
$session->run(q{UPDATE bench SET go_on = 'enough'});
finish($bench);
my @errors = grep { /client \d+ .*aborted|FATAL/ } split /\n/, slurp("$dir/bench.out");
is(scalar(grep { /ERROR:  invalid input syntax for type integer: "enough"/ } @errors),
	$clients, 'every client of pgbench ran to the end')
  or diag slurp("$dir/bench.out");
is(scalar @errors, $clients, 'no transaction failed') or diag join "\n", @errors;

my ($n, $longest, $when) = (0, 0, 0);
my %of;
for my $log (glob "$dir/bench.*")
{
	next if $log =~ /\.out$/;
	for my $line (split /\n/, slurp($log))
	{
		my (undef, undef, $us, $script, $second, undef) = split / /, $line;
		$n++;
		$of{$script}++;
		($longest, $when) = ($us / 1e6, $second) if $us / 1e6 > $longest;
	}
}
note sprintf '%d transactions, the longest %.3f s, %.0f s before the end',
  $n, $longest, time - $when;
cmp_ok($of{$_} // 0, '>=', 100, "script $_ of pgbench ran often") for 0, 1;
cmp_ok($longest, '<', $bound, "no transaction took longer than $bound s");

is($session->value('SELECT count(*) FROM orders WHERE note <> total_cents::text'),
	0, 'every total is right');
is($session->value("SELECT count(*) FROM orders WHERE id > $orders"),
	$session->value(q{SELECT count(*) FROM events WHERE kind = 'order'}),
	'and none is lost');
is($session->value('SELECT count(*) FROM pg_index WHERE NOT indisvalid'),
	0, 'all indexes are valid');
is($session->value('SELECT count(*) FROM pg_constraint WHERE NOT convalidated'),
	0, 'all constraints are validated');
is($session->value('SELECT count(*) FROM migrate.partial'), 0, 'nothing is incomplete');
is($session->value('SELECT migrate.check(models => false)'), 't', 'check() is content');

$session->finish;
drop_databases();
done_testing();
