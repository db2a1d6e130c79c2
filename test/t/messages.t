#!/usr/bin/perl
#
# What a run says: step messages to the client or to the server's log, and
# pg_stat_activity while it runs.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

my $server = MigrateServer->create(
	settings => [
		'max_connections = 20',
		"log_line_prefix = '%a|'",
		'log_min_messages = warning'
	])->use;

# What the server has logged since the last call, for an application.
my $read = 0;

sub logged
{
	my $application = shift;
	my $log = $server->log_text;
	my $new = substr $log, $read;
	$read = length $log;
	return join '', grep { /^\Q$application\E\|/ } split /^/, $new;
}

# Lines that psql wrote to its standard error.
sub said
{
	my ($sql, %settings) = @_;
	$settings{client_min_messages} //= 'notice';
	$settings{application_name} //= 'said';
	my $result = finish(start('messages', $sql, %settings));
	is($result->{state}, '00000', 'no error: ' . (ref $sql ? $sql->[-1] : $sql))
	  or diag $result->{err};
	# VERBOSITY verbose adds the code and the place
	my $text = $result->{err};
	$text =~ s/^(\w+:  )\w{5}: /$1/mg;
	$text =~ s/^LOCATION:  .*\n//mg;
	return $text;
}

sub without_time { my $text = shift; $text =~ s/, \d+ ms$/, N ms/mg; return $text }

create_database('messages');
my $session = connect_to('messages');
my $add = sub {
	my ($id, $parents, $message, $depends) = @_;
	$depends //= '';
	my $file = lit(<<"END");
-- $message
-- Revision ID: $id
-- Revises: $parents
-- Depends On: $depends

-- migrate:up
SELECT 1;
-- migrate:down
END
	$session->run("SELECT migrate.load($file)");
};
$add->('0001', '', 'first table');
$add->('0002', '0001', 'add users');
$add->('0003', '0002', "\x{e9}t\x{e9}" =~ s/\x{e9}/\xc3\xa9/gr . ' 100%s %n');

# ----------------------------------------------------------- to the client ----

is(without_time(said('SELECT migrate.upgrade()')), <<"TEXT", 'an upgrade, step by step');
NOTICE:  running upgrade  -> 0001, first table
NOTICE:  running upgrade 0001 -> 0002, add users
NOTICE:  running upgrade 0002 -> 0003, \xc3\xa9t\xc3\xa9 100%s %n
NOTICE:  upgrade to head completed: 3 revisions, N ms
TEXT
is(said('SELECT migrate.upgrade()'), "NOTICE:  nothing to do: at head 0003\n", 'nothing to do');
is(without_time(said(q{SELECT migrate.downgrade('0001')})), <<"TEXT", 'a downgrade');
NOTICE:  running downgrade 0003 -> 0002, \xc3\xa9t\xc3\xa9 100%s %n
NOTICE:  running downgrade 0002 -> 0001, add users
NOTICE:  downgrade to 0001 completed: 2 revisions, N ms
TEXT
is(said(q{SELECT migrate.upgrade('0001')}),
	"NOTICE:  nothing to do: at 0001\n", 'nothing to do, below the head');
is(without_time(said(q{SELECT migrate.downgrade('-1')})), <<'TEXT', 'to base, and one revision');
NOTICE:  running downgrade 0001 -> , first table
NOTICE:  downgrade to -1 completed: 1 revision, N ms
TEXT
is(said(q{SELECT migrate.downgrade('base')}),
	"NOTICE:  nothing to do: at base\n", 'nothing to do, at base');

# How long it took.
{
	$session->run(q{SELECT migrate.edit('0001', upgrade => 'SELECT pg_sleep(0.3)')});
	my ($ms) = said(q{SELECT migrate.upgrade('0001')}) =~
	  /^NOTICE:  upgrade to 0001 completed: 1 revision, (\d+) ms$/m;
	ok(defined $ms && $ms >= 300 && $ms < 3000, 'the last line says how long it took')
	  or diag $ms // 'nothing';
	$session->run(q{SELECT migrate.downgrade('base')});
}

# Branches, a merge point, a dependency: the parents in Alembic's way.
$add->('a', '0003', 'one branch');
$add->('b', '0003', 'other branch');
$add->('c', 'a, b', 'join');
$session->run(q{SELECT migrate.upgrade('0003')});
is(without_time(said(q{SELECT migrate.upgrade()})), <<'TEXT', 'a merge point');
NOTICE:  running upgrade 0003 -> a, one branch
NOTICE:  running upgrade 0003 -> b, other branch
NOTICE:  running upgrade a, b -> c, join
NOTICE:  upgrade to head completed: 3 revisions, N ms
TEXT
is(without_time(said(q{SELECT migrate.downgrade('a')})), <<'TEXT', 'a merge point, down');
NOTICE:  running downgrade c -> a, b, join
NOTICE:  downgrade to a completed: 1 revision, N ms
TEXT
is(said(q{SELECT migrate.upgrade('a')}),
	"NOTICE:  nothing to do: at a, b\n", 'nothing to do, at two rows');
$session->run(q{SELECT migrate.drop('c')});
is(said(q{SELECT migrate.upgrade('heads')}),
	"NOTICE:  nothing to do: at heads a, b\n", 'nothing to do, at several heads');
$session->run(q{SELECT migrate.downgrade('b-1')});
$add->('d', '', 'needs another', 'a');
like(said(q{SELECT migrate.upgrade('d')}), qr/^NOTICE:  running upgrade  -> d, needs another$/m,
	'dependencies are not among the parents, as in Alembic');
$session->run(
	q{SELECT migrate.downgrade('base')},
	q{SELECT migrate.drop('d')},
	q{SELECT migrate.drop('a')},
	q{SELECT migrate.drop('b')});

# The first line of a long message only.
$session->run(q{SELECT migrate.edit('0001', message => E'first line\nsecond line')});
like(
	said(q{SELECT migrate.upgrade('0001')}),
	qr/^NOTICE:  running upgrade  -> 0001, first line\nNOTICE:  upgrade/m,
	'the first line of a message');
$session->run(
	q{SELECT migrate.downgrade('base')},
	q{SELECT migrate.edit('0001', upgrade => 'SELECT 1')});

# From PL/pgSQL: psql shows no context by itself, and the log has none.
my $from_plpgsql = q{DO $$BEGIN PERFORM migrate.upgrade('0001'); END$$};
is(without_time(said([ '\set SHOW_CONTEXT errors', $from_plpgsql ])), <<'TEXT', 'from PL/pgSQL');
NOTICE:  running upgrade  -> 0001, first line
NOTICE:  upgrade to 0001 completed: 1 revision, N ms
TEXT
$session->run(q{SELECT migrate.downgrade('base')});

# An upgrade script without a statement is said to be one, but for a merge's.
$session->run(
	q{SELECT migrate.edit('0001', upgrade => E'-- only a comment\n/* and another */ ')});
is(without_time(said(q{SELECT migrate.upgrade('0001')})), <<'TEXT', 'an empty upgrade script');
NOTICE:  running upgrade  -> 0001, first line
NOTICE:  upgrade script of revision "0001" is empty
NOTICE:  upgrade to 0001 completed: 1 revision, N ms
TEXT
is(without_time(said(q{SELECT migrate.downgrade('base')})), <<'TEXT', '    not so a downgrade');
NOTICE:  running downgrade 0001 -> , first line
NOTICE:  downgrade to base completed: 1 revision, N ms
TEXT
is(without_time(said(q{CALL migrate.upgrade_stepwise('0001')})), <<'TEXT', '    stepwise');
NOTICE:  running upgrade  -> 0001, first line
NOTICE:  upgrade script of revision "0001" is empty
NOTICE:  upgrade to 0001 completed: 1 revision, N ms
TEXT
$session->run(
	q{SELECT migrate.downgrade('base')},
	q{SELECT migrate.edit('0001', upgrade => 'SELECT 1')});

# A script's own messages come in between, and a failed run has no last line.
$session->run(
	q{SELECT migrate.edit('0002',
		upgrade => 'DO $$BEGIN RAISE NOTICE ''from the script''; END$$; SELECT 1/0')});
{
	my $result =
	  finish(start('messages', 'SELECT migrate.upgrade()', client_min_messages => 'notice'));
	is($result->{state}, '22012', 'a run that fails');
	is_deeply(
		[ $result->{err} =~ /^NOTICE:  \w{5}: (.*)/mg ],
		[
			'running upgrade  -> 0001, first line',
			'running upgrade 0001 -> 0002, add users',
			'from the script'
		],
		'    says which step it was, and not that it is complete');
	$session->run(q{SELECT migrate.edit('0002', upgrade => 'SELECT 1')});
}

# -------------------------------------------------- where they go ----

my $up = q{SELECT migrate.upgrade('0001')};
my $down = q{SELECT migrate.downgrade('base')};
my $both = qr/^migrate\|LOG:\ \ running\ upgrade\ \ ->\ 0001,\ first\ line\n
	migrate\|LOG:\ \ upgrade\ to\ 0001\ completed:\ 1\ revision,\ \d+\ ms\n\z/x;
my $both_down = qr/^migrate\|LOG:\ \ running\ downgrade\ 0001\ ->\ ,\ first\ line\n
	migrate\|LOG:\ \ downgrade\ to\ base\ completed:\ 1\ revision,\ \d+\ ms\n\z/x;
my %as_migrate = (application_name => 'migrate');
my %to_log = (%as_migrate, 'migrate.step_messages' => 'log');

logged('migrate');
is(said($up, %as_migrate, client_min_messages => 'warning'),
	'', 'client_min_messages = warning: nothing at the client');
is(logged('migrate'), '', '    nor in the log');
is(said($down, %to_log), '', 'step_messages = log: nothing at the client');
like(logged('migrate'), $both_down, '    it is in the log, without the statement');
is(said($up, %to_log, client_min_messages => 'error'), '', 'with client_min_messages = error');
like(logged('migrate'), $both, '    it is in the log, too');
is(said($up, %to_log), '', 'step_messages = log, nothing to do: nothing at the client');
is(logged('migrate'), "migrate|LOG:  nothing to do: at 0001\n", '    it is in the log');
is(said($down, %as_migrate, 'migrate.step_messages' => 'off'),
	'', 'step_messages = off: nothing at the client');
is(logged('migrate'), '', '    nor in the log');
my $set_off = 'SET migrate.step_messages = off';
is(said([ $set_off, $up ], %as_migrate), '', 'SET before the first call counts');
is(said([ 'SELECT migrate.current()', $set_off, $down ], %as_migrate), '', 'SET after it, too');
like(
	said($up, %as_migrate, client_min_messages => 'debug1'),
	qr/^NOTICE:  running upgrade/m,
	'notice, for a client that wants more');
$session->run($down);
is($session->query("SET migrate.step_messages = 'loud'")->{state},
	'22023', 'a value that is none is refused');
$session->run('ALTER DATABASE messages SET migrate.step_messages = log');
logged('migrate');
is(said($up, %as_migrate), '', 'set for the database');
like(logged('migrate'), $both, '    it goes to the log');
$session->run($down);
logged('migrate');
is(said("DO \$\$BEGIN PERFORM ($up); END\$\$", %as_migrate), '', 'the same from PL/pgSQL');
like(logged('migrate'), $both, '    without a context in the log');
$session->run('ALTER DATABASE messages RESET migrate.step_messages', $down);

# ----------------------------------------------------- pg_stat_activity ----

# The state and the query of a session, as others see them.
sub seen
{
	my $pid = shift;
	my $seen =
	  $session->value("SELECT state || '|' || query FROM pg_stat_activity WHERE pid = $pid");
	return split /\|/, $seen, 2;
}

{
	my $long = 'SELECT pg_sleep(1.2), ' . lit("\xc3\xa9" x 3000);
	my %scripts = (
		'0001' => 'SELECT 1',
		'0002' => 'SELECT 1; SELECT pg_sleep(1.2) AS nap; SELECT 2',
		'0003' => $long);
	$session->run("SELECT migrate.edit('$_', " . lit($scripts{$_}) . ')') for sort keys %scripts;
	my $runner = connect_to('messages');
	my $call = 'SELECT migrate.upgrade() /* mine */';
	print { $runner->{in} } "$call;\n";
	my ($state, $query);
	ok(wait_until(sub { ($state, $query) = seen($runner->{pid}); $query =~ /nap/ }),
		'pg_stat_activity has the statement');
	is($query,
		'migrate upgrade 2/3 0002: SELECT pg_sleep(1.2) AS nap',
		'    with k/n and revision');
	is($state, 'active', '    active');
	ok(wait_until(sub { ($state, $query) = seen($runner->{pid}); $query =~ m{ 3/3 } }),
		'then the next');
	like($query, qr/^migrate upgrade 3\/3 0003: SELECT pg_sleep\(1\.2\), '(?:\xc3\xa9)+\z/,
		'    cut, between characters');
	cmp_ok(length $query, '>', 500, '    after 500 bytes and more');
	ok(wait_until(sub { ($state, $query) = seen($runner->{pid}); $state eq 'idle' }),
		'the session is idle again');
	is($query, "$call;", '    and has its own query');

	# also within a transaction of the caller, and after an error
	$runner->run(q{SELECT migrate.downgrade('0002')}, 'BEGIN', $call);
	like((seen($runner->{pid}))[1], qr/^\Q$call\E\s*;?\z/, 'in a transaction: its own query');
	$runner->run('ROLLBACK');
	$session->run("SELECT migrate.edit('0003', 'SELECT 1; SELECT 1/0')");
	is($runner->query($call)->{state}, '22012', 'a script that fails');
	like(join(' ', seen($runner->{pid})), qr/^idle \Q$call\E\s*;?\z/, '    its own query again');
	print { $runner->{in} }
	  "SELECT count(*), pg_sleep(0.7) FROM (SELECT migrate.downgrade('base')) d;\n";
	my $event = "SELECT coalesce(wait_event, 'none') FROM pg_stat_activity
		WHERE pid = $runner->{pid}";
	my $sleeps = sub {
		($state, $query) = seen($runner->{pid});
		return $state eq 'active'
		  && $query =~ /^SELECT count/
		  && $session->value($event) eq 'PgSleep';
	};
	ok(wait_until($sleeps), 'after the run, in the same statement: its own query');
	$runner->query('SELECT 1');

	# a downgrade says so
	$session->run(q{SELECT migrate.edit('0001', downgrade => 'SELECT pg_sleep(0.7)')},
		q{SELECT migrate.upgrade('0001')});
	print { $runner->{in} } "$down;\n";
	ok(wait_until(sub { ($state, $query) = seen($runner->{pid}); $query =~ /^migrate/ }),
		'a downgrade');
	is($query, 'migrate downgrade 1/1 0001: SELECT pg_sleep(0.7)', '    says so');
	$runner->query('SELECT 1');
	$runner->finish;
}

# ------------------------------------------------ what a terminal obeys ----

# The one who writes a message, names an index or runs a query is not the one who
# reads of it.
{
	my $hostile = "red \x1b[31m c1 \xc2\x9b turned \xe2\x80\xae end";
	my $plain = qr/red  \[31m c1 + turned + end/;
	create_database('hostile');
	my $author = connect_to('hostile');
	my $message = lit($hostile);
	my $name = '"' . $hostile . '"';
	$author->run(
		"SELECT migrate.revision($message, 'CREATE TABLE t (n int, m int)', 'DROP TABLE t', 'a1')",
		"SELECT migrate.revision($message, 'CREATE UNIQUE INDEX CONCURRENTLY $name ON t (n);"
		  . " SELECT 1', '', 'a2', transactional => false)");
	my $said = sub {
		my ($sql) = @_;
		return finish(start('hostile', $sql, client_min_messages => 'notice'))->{err};
	};
	my @all = $said->(q{SELECT migrate.upgrade('a1')});
	like($all[0], qr/^NOTICE:  (?:\w+: )?running upgrade  -> a1, $plain$/m,
		'a message, when a step begins');
	$author->run('INSERT INTO t VALUES (1, 1), (1, 2)');
	$said->('CALL migrate.upgrade_stepwise()');
	$author->run('DELETE FROM t WHERE m = 2');
	push @all, $said->('CALL migrate.upgrade_stepwise()');
	like($all[1], qr/^NOTICE:  (?:\w+: )?removing invalid index "$plain"/m, 'the name of an index');
	my $statement = lit("SELECT '$hostile' +\n\t no_such");
	$author->run("SELECT migrate.revision('m', $statement, '', 'a3')");
	push @all, $said->('SELECT migrate.upgrade()');
	like($all[2], qr/^QUERY:  SELECT '$plain' \+\n\t no_such$/m, 'a statement that is quoted');
	$all[2] =~ s/\t/ /;
	my ($line) = grep { /Running/ } $author->rows(q{SELECT migrate.upgrade_sql('base:a1')});
	like($line, qr/^-- Running upgrade  -> a1, $plain$/, 'a comment of an offline script');
	push @all, $line;
	unlike(join("\n", @all), qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]/,
		'and nothing else');
	$author->finish;
}

# ------------------------------------------------ what the messages cost ----

{
	my $n = 10_000;
	create_database('costs');
	my $costs = connect_to('costs');
	$costs->run(
		"INSERT INTO migrate.revisions
			(revision, down_revisions, message, upgrade_sql, downgrade_sql)
		SELECT to_char(i, 'FM00000'),
			CASE WHEN i = 1 THEN '{}' ELSE ARRAY[to_char(i - 1, 'FM00000')] END,
			'revision ' || i, 'SELECT 1', 'SELECT 1'
		FROM generate_series(1, $n) i",
		'ANALYZE migrate.revisions');
	for my $way ('off', 'notice', 'log', 'off', 'notice')
	{
		$session->finish if $session;
		undef $session;
		my %took;
		for my $call ('upgrade()', q{downgrade('base')})
		{
			my $start = time;
			my %settings = (client_min_messages => 'notice', 'migrate.step_messages' => $way);
			my $result = finish(start('costs', "SELECT count(*) FROM migrate.$call", %settings));
			$took{$call} = time - $start;
			is("$result->{state} $result->{out}", "00000 $n\n", "$n revisions, $way: $call")
			  or diag substr $result->{err}, 0, 500;
			is(scalar(() = $result->{err} =~ /^NOTICE/mg),
				$way eq 'notice' ? $n + 1 : 0,
				'    and what it says');
		}
		my $took = join ', ', map { sprintf '%s %.2f s', $_, $took{$_} } reverse sort keys %took;
		note sprintf '%d revisions, step_messages = %-6s  %s', $n, $way, $took;
	}
	$costs->finish;
}

done_testing();
