#!/usr/bin/perl
#
# A statement of a script is run with a text of its own: what hooks, event
# triggers, logs and views show is that statement, never the whole script.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

my @contrib = grep { -e tool('../lib/' . $_ . '.so') || -e pkglibdir() . "/$_.so" }
  qw(auto_explain pg_stat_statements);
my %has = map { $_ => 1 } @contrib;

my $server = MigrateServer->create(
	settings => [
		'max_connections = 20',
		"log_line_prefix = '%a|'",
		"shared_preload_libraries = '" . join(',', @contrib) . "'"
	]);
$server->use;
my $db = create_database('query_text');
my $session = connect_to($db, messages => 'error');

sub pkglibdir
{
	my ($status, $out) = run_program(tool('pg_config'), '--pkglibdir');
	chomp $out;
	return $out;
}

# What the server has logged since the last call.
my $read = 0;

sub logged
{
	my $log = $server->log_text;
	my $new = substr $log, $read;
	$read = length $log;
	return $new;
}

# Stores a revision and upgrades to it: the result of the call.
my $number = 0;

sub upgrade
{
	my ($script, %options) = @_;
	my $id = sprintf 'r%03d', ++$number;
	$session->run(sprintf q{SELECT migrate.revision('m', %s, '', '%s', transactional => %s)},
		lit($script), $id, $options{stepwise} ? 'false' : 'true');
	logged();
	my $result = $session->query(
		$options{stepwise} ? 'CALL migrate.upgrade_stepwise()' : 'SELECT migrate.upgrade()');
	# out of the way of the next one
	$session->run("SELECT migrate.stamp('$id')") if $result->{state} ne '00000';
	return $result;
}

# ----------------------------------------------------------- what SQL sees ----

$session->run(
	'CREATE TABLE seen (n serial, what text, query text)',
	q{CREATE FUNCTION ddl() RETURNS event_trigger LANGUAGE plpgsql AS
	  $$ BEGIN INSERT INTO seen (what, query) VALUES (tg_tag, current_query()); END $$},
	'CREATE EVENT TRIGGER ddl ON ddl_command_end EXECUTE FUNCTION ddl()',
	q{CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN
	  INSERT INTO seen (what, query) VALUES ('before', current_query()); COMMIT;
	  INSERT INTO seen (what, query) VALUES ('after', current_query()); END $$},
	'TRUNCATE seen RESTART IDENTITY');

# What was seen since the last call.
sub seen
{
	my @seen =
	  $session->rows(q{SELECT what || ': ' || replace(query, E'\n', '~') FROM seen ORDER BY n});
	$session->run('TRUNCATE seen RESTART IDENTITY');
	return \@seen;
}

my $script = <<'END';
-- a comment
CREATE TABLE a (n int); /* not b's */ CREATE TABLE b (
	n int	-- é
);
/*+ SeqScan(a) */ /* two */
INSERT INTO seen (what, query) SELECT 'INSERT', current_query() ;

-- before the last
PREPARE p AS SELECT 1 /* ; */ ;
INSERT INTO seen (what, query) SELECT 'PREPARE', statement FROM pg_prepared_statements
END
my @expected = (
	'CREATE TABLE: CREATE TABLE a (n int)',
	"CREATE TABLE: /* not b's */ CREATE TABLE b (~\tn int\t-- é~)",
	"INSERT: /*+ SeqScan(a) */ /* two */~"
	  . "INSERT INTO seen (what, query) SELECT 'INSERT', current_query()",
	'PREPARE: PREPARE p AS SELECT 1 /* ; */');

is(upgrade($script)->{state}, '00000', 'a script is run');
is_deeply(seen(), \@expected, 'each statement sees itself as the current query');
is($session->value('SELECT current_query()'), 'SELECT current_query()',
	'afterwards the current query is the client\'s');

$session->run('DROP TABLE a, b', 'DEALLOCATE ALL');
seen();
is(upgrade($script, stepwise => 1)->{state}, '00000', 'a script is run stepwise');
is_deeply(seen(), \@expected, 'each statement sees itself, too');

is( upgrade("CREATE INDEX CONCURRENTLY a_n ON a (n);\nCALL commits(); SELECT 1", stepwise => 1)
	  ->{state},
	'00000',
	'statements that commit');
is_deeply(
	seen(),
	[   'CREATE INDEX: CREATE INDEX CONCURRENTLY a_n ON a (n)',
		'before: CALL commits()',
		'after: CALL commits()'
	],
	'see themselves, also after they have committed');

my $caught = $session->query(
	"DO \$\$ BEGIN PERFORM migrate.revision('bad', 'SELECT 1; SELECT 1/0', '', 'bad');"
	  . ' PERFORM migrate.upgrade(); EXCEPTION WHEN division_by_zero THEN'
	  . " INSERT INTO seen (what, query) VALUES ('caught', left(current_query(), 5)); END \$\$");
is($caught->{state}, '00000', 'an error of a script is caught');
is_deeply(seen(), ['caught: DO $$'], 'and the current query is the client\'s');

# --------------------------------------------------- how a text is read ----

SKIP:
{
	skip 'standard_conforming_strings cannot be off since 19', 4
	  if $session->value('SHOW server_version_num') >= 190000;
	is( upgrade("SELECT set_config('standard_conforming_strings', 'off', false);\n"
			  . q{INSERT INTO seen (what, query) VALUES ('a\\b', '\\')})->{state},
		'00000',
		'a script turns standard_conforming_strings off');
	is_deeply(seen(), ['a\\b: \\'], 'and is read as when it was stored');
	is( upgrade("SELECT set_config('standard_conforming_strings', 'off', false);\n"
			  . q{INSERT INTO seen (what, query) VALUES ('a\\b', '\\');}
			  . q{ INSERT INTO seen (what, query) VALUES ('c', '\\')},
			stepwise => 1)->{state},
		'00000',
		'so does one that is run stepwise');
	is_deeply(seen(), [ 'a\\b: \\', 'c: \\' ], 'and is read as when it was stored');
}

for my $set (q{client_encoding = 'SJIS'}, 'backslash_quote = off')
{
	for my $stepwise (0, 1)
	{
		my $script = "SET $set;\n" . q{INSERT INTO seen (what, query) VALUES (E'a\'b', '\')};
		my $result = upgrade($script, stepwise => $stepwise);
		is($result->{state}, '00000', "\\' is a quote after SET $set, stepwise: $stepwise")
		  or diag $result->{err};
		is_deeply(seen(), [q{a'b: \\}], '    and is read as when it was stored');
	}
}

# ------------------------------------------------------------ the positions ----

for my $stepwise (0, 1)
{
	my $how = $stepwise ? ', stepwise' : '';
	my $result = upgrade("SELECT 'é';\n\n/*+ ほげ */ SELECT\n  'ほ', no_such_column",
		stepwise => $stepwise);

	is($result->{state}, '42703', "a statement fails$how");
	like($result->{err}, qr/^LINE 2:   'ほ', no_such_column\n\s+\^$/m, '    the line is quoted')
	  or diag $result->{err};
	like($result->{err}, qr/^QUERY:  SELECT\n  'ほ', no_such_column$/m, '    and the statement');
	like($result->{err}, qr/statement 2, line 4$/m, '    the line of the script is named');
	my $arrow = index +($result->{err} =~ /^LINE 2: .*\n(.*\^)/m)[0] // '', '^';
	# ほ has three bytes and is two columns wide
	is($arrow, length("LINE 2:   'ほ', ") - 1, '    the arrow is at the column');
}

# -------------------------------------------------------------------- logs ----

$session->run("SET log_statement = 'ddl'");
is(upgrade("CREATE TABLE c (n int);\nINSERT INTO c VALUES (1);\n\nDROP TABLE c")->{state},
	'00000', 'a script with log_statement = ddl');
my $log = logged();
is_deeply(
	[ $log =~ /LOG:  statement: (.*)/g ],
	[ 'CREATE TABLE c (n int)', 'DROP TABLE c' ],
	'DDL is logged, and nothing else');
is_deeply(
	[ $log =~ /CONTEXT:  revision "r\d+", (.*)/g ],
	[ 'upgrade script, statement 1, line 1', 'upgrade script, statement 3, line 4' ],
	'with the place in the script');

$session->run("SET log_statement = 'all'");
upgrade("INSERT INTO a VALUES (1);\nCREATE INDEX CONCURRENTLY a_n2 ON a (n)", stepwise => 1);
$log = logged();
is_deeply(
	[ $log =~ /LOG:  statement: (.*)/g ],
	[   'CALL migrate.upgrade_stepwise()',
		'INSERT INTO a VALUES (1)',
		'CREATE INDEX CONCURRENTLY a_n2 ON a (n)'
	],
	'with log_statement = all, the call and every statement');
$session->run("SET log_statement = 'none'");

$session->run("SET log_min_error_statement = 'warning'");
upgrade("SELECT 1;\nDO \$\$ BEGIN RAISE WARNING 'look'; END \$\$;\nSELECT 1/0");
$log = logged();
unlike($log, qr/LOG:  statement/, 'with log_statement = none, nothing');
like(
	$log,
	qr/WARNING:  look\n(?:.*\n)*?.*STATEMENT:  DO \$\$ BEGIN RAISE WARNING 'look'; END \$\$$/m,
	'a warning is logged with its statement');
like($log, qr/ERROR:  division by zero\n(?:.*\n)*?.*QUERY:  SELECT 1\/0$/m,
	'an error is logged with the statement as query...');
like(
	$log,
	qr/ERROR:  division by zero\n(?:.*\n)*?.*STATEMENT:  SELECT migrate\.upgrade\(\)$/m,
	'...and the call as statement');

# A line of n columns in a script of n lines is logged once.
my $inserts = join '', map { "INSERT INTO a VALUES ($_); -- ....................\n" } 1 .. 300;

SKIP:
{
	skip 'no auto_explain', 3 unless $has{auto_explain};
	$session->run(
		'SET auto_explain.log_min_duration = 0',
		'SET auto_explain.log_nested_statements = on');
	is(upgrade($inserts)->{state}, '00000', 'a script with auto_explain');
	$log = logged();
	$session->run('SET auto_explain.log_min_duration = -1');
	is_deeply(
		[ $log =~ /Query Text: (INSERT INTO a.*)/g ],
		[ map { "INSERT INTO a VALUES ($_)" } 1 .. 300 ],
		'auto_explain logs each statement by itself');
	cmp_ok(length $log, '<', 300 * 1000, 'what is logged grows with the script, not its square');
}

SKIP:
{
	skip 'no pg_stat_statements', 3 unless $has{pg_stat_statements};
	$session->run('CREATE EXTENSION pg_stat_statements', q{SET pg_stat_statements.track = 'all'},
		'SELECT pg_stat_statements_reset()');
	for my $stepwise (0, 1)
	{
		upgrade("SELECT 4711;\n/* two */ SELECT 4711, 2 ;\n-- three\nCREATE TABLE s$stepwise ()",
			stepwise => $stepwise);
	}
	# since 18 a statement begins after its comments
	my $two = $session->value('SHOW server_version_num') < 180000 ? '/* two */ ' : '';
	is_deeply(
		[   $session->rows(
				'SELECT calls, query FROM pg_stat_statements'
				  . q{ WHERE query ~ '^(/\* two \*/ )?(SELECT \$1(, \$2)?|CREATE TABLE s.*)$'}
				  . ' ORDER BY query COLLATE "C"')
		],
		[   $two ? "2|${two}SELECT \$1, \$2" : (),
			'1|CREATE TABLE s0 ()',
			'1|CREATE TABLE s1 ()',
			'2|SELECT $1',
			$two ? () : '2|SELECT $1, $2'
		],
		'pg_stat_statements counts statements by their own text');
	is( $session->value(
			q{SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%two%CREATE TABLE%'}),
		0,
		'and has no whole script');
}

done_testing();
