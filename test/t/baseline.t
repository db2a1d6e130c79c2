#!/usr/bin/perl
#
# Dumps of pg_dump as revisions: plain ones as they are, with their rows and large
# objects.  Each is run by migrate.upgrade(), by migrate.upgrade_stepwise() and as
# an offline script, and the database that it makes dumps like the first one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $dir = scratch_dir();
my $source = create_database('migb_source', plain => 1);
my $session = connect_to($source);
my $version = $session->value('SHOW server_version_num');
my $long = 'x' x 1_200_000;

# ------------------------------------------------------------- what there is ----

# What psql, not the server, would take for something in the rows.
my @texts = (
	'\\.', '\\', '\\N', 'NULL', '', "a\tb", "line\nline", "\\.\n\\.", "car\rriage", '\\! id',
	'-- migrate:down', "-- migrate:up\n", '\\restrict abc', ';', 'COPY t FROM stdin;', "it's",
	'$x$', '/*', "\xd0\x96\xe2\x82\xac\xf0\x9f\x98\x80", "\x01\x08\x7f", ':HOST', '"', ',');
$session->run(
	'CREATE SCHEMA "Odd ""schema"""',
	'CREATE EXTENSION IF NOT EXISTS plpgsql',
	q{COMMENT ON EXTENSION plpgsql IS 'the language; \\. of it'},
	q{CREATE TYPE mood AS ENUM ('ok', 'it''s')},
	'CREATE TYPE pair AS (a int, b text)',
	'CREATE DOMAIN small AS int CHECK (VALUE < 100)',
	'CREATE TABLE texts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text)',
	(map { 'INSERT INTO texts (x) VALUES (' . lit($_) . ')' } @texts),
	'INSERT INTO texts (x) VALUES (NULL)',
	"INSERT INTO texts (x) VALUES ('$long')",
	'CREATE TABLE "Odd ""schema"""."a ""table"", odd" ("a;b" int, "(" text, "from" mood)',
	q{INSERT INTO "Odd ""schema"""."a ""table"", odd" VALUES (1, '(', 'it''s'), (2, NULL, 'ok')},
	q{CREATE TABLE types (b bytea, j jsonb, a text[], p pair, s small, r numrange, f float8,
		t timestamptz, g int GENERATED ALWAYS AS (s * 2) STORED)},
	q{INSERT INTO types VALUES ('\\x5c2e0a', '{"a": "\\\\.\\n"}', '{"\\\\.", NULL, "\\\\N"}',
		'(1,"\\\\")', 7, '[1,2)', 'NaN', '2020-01-01Z')},
	'INSERT INTO types DEFAULT VALUES',
	'CREATE TABLE nothing ()',
	'INSERT INTO nothing DEFAULT VALUES',
	'CREATE TABLE empty (a int)',
	'CREATE TABLE parts (a int, b text) PARTITION BY RANGE (a)',
	'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)',
	'CREATE TABLE parts_2 PARTITION OF parts DEFAULT',
	q{INSERT INTO parts VALUES (1, 'one'), (11, 'eleven')},
	'CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree)',
	'INSERT INTO tree VALUES (1, 2), (2, 1)',
	q{CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'a trigger has run'; END $$},
	'CREATE TABLE triggered (a int)',
	'INSERT INTO triggered VALUES (1)',
	'CREATE TRIGGER t BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION noted()',
	'CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM public.texts',
	'CREATE TABLE guarded (a int)',
	'INSERT INTO guarded VALUES (1)',
	'ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
	'CREATE POLICY p ON guarded USING (a > 0)',
	q{SELECT lo_from_bytea(4711, '\\x5c2e0a')},
	'SELECT lo_from_bytea(4712, convert_to(repeat(' . lit('many ') . q{, 10000), 'UTF8'))},
	q{COMMENT ON LARGE OBJECT 4711 IS 'large'},
	'GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC');

# pg_dump of a database, without the key that each has of its own.
sub dump_of
{
	my ($database, @options) = @_;
	my ($status, $out, $err) = run_program(tool('pg_dump'), @options, $database);
	die "pg_dump: $err" if $status;
	return $out;
}

sub without_key
{
	my ($text) = @_;
	return $text =~ s/^\\(?:un)?restrict .*\n//mgr;
}

# ------------------------------------------------------------------ the ways ----

sub offline
{
	my ($to) = @_;
	my $file = "$dir/offline.sql";
	my ($status, $out, $err) = run_psql($to->{database}, 'SELECT migrate.upgrade_sql()');
	return $err if $status;
	spew($file, $out);
	($status, undef, $err) = run_psql($to->{database}, '', '-f', $file);
	return $status ? $err : '';
}

my %ways = (
	atomic   => sub { $_[0]->query('SELECT migrate.upgrade()')->{err} },
	stepwise => sub { $_[0]->query('CALL migrate.upgrade_stepwise()')->{err} },
	offline  => \&offline);

# Stores scripts as revisions, one after the other; what went wrong.
sub store
{
	my ($to, @scripts) = @_;
	my $n = 0;
	for my $script (@scripts)
	{
		my $file = "-- dump\n-- Revision ID: d" . ++$n . "\n-- Revises:\n\n-- migrate:up\n$script";
		my $call = $n == 1 ? 'load(' . lit($file) . ')'
		  : "revision('dump', " . lit($script) . ", rev_id => 'd$n')";
		my $err = $to->query("SELECT migrate.$call")->{err};
		return $err if $err;
	}
	return '';
}

# What the database is after some scripts have run in one of the ways.
sub made_by
{
	my ($way, @scripts) = @_;
	my $database = create_database('migb_target');
	my $to = connect_to($database);
	my $err = store($to, @scripts);
	$err ||= $ways{$way}->($to);
	return substr $err, 0, 3000 if $err;
	$to->run('DROP EXTENSION migrate CASCADE');
	$to->finish;
	return without_key(dump_of($database));
}

# What of a dump is compared.
my $compared = sub { $_[0] };

sub same
{
	my ($name, $want, @scripts) = @_;
	for my $way (sort keys %ways)
	{
		my $got = made_by($way, @scripts);
		ok($compared->($got) eq $compared->($want), "$name, $way") and next;
		spew("$dir/want", $want);
		spew("$dir/got", $got);
		diag substr +(run_program('diff', '-u', "$dir/want", "$dir/got"))[1], 0, 3000;
	}
	return;
}

my $whole = dump_of($source);
my $expected = without_key($whole);
same('a dump', $expected, $whole);
same('a dump with a statement for each row', $expected, dump_of($source, '--column-inserts'));
same('a dump that cleans up first', $expected, dump_of($source, '--clean', '--if-exists'));
# What of large objects is in neither of the two depends on the version.
$compared = sub {
	my ($text) = @_;
	return $text =~ s/^--\n-- Name: LARGE OBJECT \d+; Type: (?:ACL|COMMENT);.*?(?=^--\n)//gmsr;
};
same('schema and rows', $expected,
	dump_of($source, '--schema-only'),
	dump_of($source, '--data-only', '--disable-triggers'),
	'REFRESH MATERIALIZED VIEW public.counts');
$compared = sub { $_[0] };

# What pg_dump of a newer server writes, and what it wrote before it restricted psql.
my $head = "\\restrict dGhlIGtleQ\n\nSET transaction_timeout = 0;\nSET idle_session_timeout = 0;\n";
same('a dump of a newer server',
	$expected, $head . without_key($whole) . "\\unrestrict dGhlIGtleQ\n");

# ------------------------------------------------------- settings, messages ----

{
	my $to = connect_to(create_database('migb_head'), messages => 'notice');
	$to->run('SELECT migrate.revision(' . join(', ', lit('head'), lit($head), lit('')) . ')');
	my $result = $to->query('SELECT migrate.upgrade()');
	my @left = $result->{err} =~ /setting "(\w+)" is left out: this server does not have it/g;
	is_deeply(
		\@left,
		[
			$version < 170000 ? 'transaction_timeout'  : (),
			$version < 140000 ? 'idle_session_timeout' : ()
		],
		'settings that this server does not have');
	my $written = $to->query(q{SELECT migrate.upgrade_sql('base:head')})->{out};
	my @set = $written =~ /^SET (transaction_timeout|idle_session_timeout)/mg;
	is(@set + @left, 2, 'offline the others are set');
	unlike($written, qr/dGhlIGtleQ/, 'offline there is no key of pg_dump');

	# as pg_dump -n public writes it
	$to->run(q{SELECT migrate.revision('public', 'CREATE SCHEMA public;')});
	like(
		$to->query('SELECT migrate.upgrade()')->{err},
		qr/42P06.*HINT:  Every database has this schema\. Remove the statement/s,
		'CREATE SCHEMA public has a hint of its own');
}

# ------------------------------------------------------------- a COPY stops ----

# An interrupted script that is not transactional resumes after its last COPY, if
# the rows of that are what they were.
{
	my $to = connect_to(create_database('migb_resumed'));
	my $script = sub {
		my ($rows, $more) = @_;
		return lit("CREATE TABLE r (a int);\nCOPY r FROM stdin;\n$rows\n\\.\n"
			  . "COPY r FROM stdin;\n3\n$more\n\\.\n");
	};
	$to->run('SELECT migrate.revision('
		  . join(', ', lit('m'), $script->("1\n2", 'x'), q{''}, q{'r1'})
		  . ', transactional => false)');
	my $result = $to->query('CALL migrate.upgrade_stepwise()');
	is($result->{state}, '22P02', 'a row fails');
	like(
		$result->{err},
		qr/CONTEXT:  COPY r, line 2, column a: "x"\n.*statement 3, line 8$/m,
		'its line is that in the script');
	is($to->value('SELECT statements_done FROM migrate.partial'), 2, 'the COPY before is done');
	is($to->value('SELECT string_agg(a::text, \',\' ORDER BY a) FROM r'), '1,2', 'with its rows');
	$to->run("UPDATE migrate.revisions SET upgrade_sql = " . $script->("1\n9", '4'));
	is($to->query('CALL migrate.upgrade_stepwise()')->{state}, 'MG007', 'other rows are a change');
	$to->run("UPDATE migrate.revisions SET upgrade_sql = " . $script->("1\n2", '4'));
	is($to->query('CALL migrate.upgrade_stepwise()')->{err}, '', 'it resumes');
	is($to->value('SELECT string_agg(a::text, \',\' ORDER BY a) FROM r'), '1,2,3,4', 'once each');

	# a trigger that refuses a transaction block does not make it a client's COPY
	$to->run('CREATE TABLE v (a int)', q{CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN RAISE active_sql_transaction; END $$},
		'CREATE TRIGGER t BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION refuses()',
		q{SELECT migrate.revision('m', E'COPY v FROM stdin;\n1\n\\\\.\n', rev_id => 'r2',
			transactional => false)});
	is($to->query('CALL migrate.upgrade_stepwise()')->{state}, '25001', 'the error is its own');
	ok($to->alive, 'the session lives');
}

# By hand into the table: at top level COPY would speak to the client.
{
	my $to = connect_to(create_database('migb_top_level'));
	$to->run('CREATE TABLE r (a int)',
		'INSERT INTO migrate.revisions (revision, message, upgrade_transactional, upgrade_sql)'
		  . q{ VALUES ('r1', 'm', false, E'-- migrate:top-level\nCOPY r FROM stdin;\n5\n\\\\.')});
	is($to->query('CALL migrate.upgrade_stepwise()')->{state}, 'MG011', 'no COPY at top level');
	ok($to->alive, 'the session lives');
}

# ---------------------------------------------------------------- conditions ----

SKIP:
{
	skip 'rows in a script have no WHERE before 14', 1 if $version < 140000;
	my $to = connect_to(create_database('migb_where'));
	my $try = sub {
		my ($condition, $role) = @_;
		my $script = "COPY w (a, b) FROM stdin WHERE $condition;\n1\tx\n2\ty\n\\.\n";
		$to->run(q{SELECT migrate.stamp('base', purge => true)}, 'TRUNCATE w',
			'DELETE FROM migrate.revisions',
			q{SELECT migrate.revision('m', } . lit($script) . ')');
		my $result = $to->query(($role ? "SET ROLE $role;" : '') . 'SELECT migrate.upgrade()');
		$to->run('RESET ROLE');
		return $result->{state} eq '00000'
		  ? join ',', $to->rows('SELECT a FROM w ORDER BY a')
		  : $result->{state};
	};
	$to->run('CREATE TABLE w (a int, b text, g int GENERATED ALWAYS AS (a) STORED)');
	run_psql('postgres', 'CREATE ROLE migb_writer');
	$to->run('GRANT USAGE ON SCHEMA migrate TO migb_writer',
		'GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO migb_writer',
		'GRANT INSERT, SELECT (a) ON w TO migb_writer');
	is($try->('a > 1'), '2', 'WHERE');
	is($try->(q{b = 'x' AND a < length(b) + 1}), '1', 'WHERE of two columns');
	is($try->('false'), '', 'WHERE false');
	is($try->('b'), '42804', 'WHERE is boolean');
	is($try->('c'), '42703', 'of columns of the table');
	is($try->('g = 1'), '42P10', 'not of generated ones');
	is($try->('w IS NULL'), '42P10', 'nor of a row with them');
	is($try->('a > 1', 'migb_writer'), '2', 'WHERE of a column that may be read');
	is($try->(q{b = 'x'}, 'migb_writer'), '42501', 'and of one that may not');
	$to->run('DROP OWNED BY migb_writer', 'DROP ROLE migb_writer');
	$to->finish;
}

# ------------------------------------------------------- another client's text ----

# The file of an offline script is in the client's encoding, and so are its rows.
{
	my $database = create_database('migb_latin');
	my $to = connect_to($database);
	my $script = "SET client_encoding = 'UTF8';\nCREATE TABLE l (x text);\n"
	  . "COPY l FROM stdin;\n\xc3\xa4\n\\.\nCOPY l FROM stdin;\nascii\n\\.\n"
	  . "SET client_encoding = 'SJIS';\nCOPY l FROM stdin;\n\xc3\xb6\\\\\n\\.\n"
	  . "COPY l FROM stdin;\r\ncrlf\r\n\\.\r\nSELECT 1;\nCOPY l FROM stdin;\r\nend\r\n\\.\r\n";
	$to->run("SELECT migrate.revision('m', " . lit($script) . ')');
	local $ENV{PGCLIENTENCODING} = 'LATIN1';
	my ($status, $out, $err) = run_psql($database, 'SELECT migrate.upgrade_sql()');
	like($out, qr/^\xe4$/m, 'a script in LATIN1');
	spew("$dir/latin.sql", $out);
	($status, undef, $err) = run_psql($database, '', '-f', "$dir/latin.sql");
	is($err, '', 'it runs');
	is_deeply(
		[ $to->rows('SELECT x FROM l') ],
		[ "\xc3\xa4", 'ascii', "\xc3\xb6\\", 'crlf', 'end' ],
		'its rows, which may have CRLF');
}

drop_databases();
done_testing();
