#!/usr/bin/perl
#
# Revisions against whoever runs their offline script with psql: statements that
# change how psql reads the rest of the file, followed by text that then would be
# a command of psql's.  Each runs in a directory of its own; no file appears in
# it, and what is in the database afterwards is what migrate.upgrade() makes.
#
# Environment: MIGRATE_HOSTILE=all tries each change with each text, and not with
# some of them; MIGRATE_TEST_SEED.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;
use Time::HiRes qw(time);

my $all = ($ENV{MIGRATE_HOSTILE} // '') eq 'all';
my $seed = $ENV{MIGRATE_TEST_SEED} // int(time * 1000) % 1_000_000;
srand $seed;
diag "seed $seed";
my $dir = scratch_dir();
my $ours = create_database('mig_hostile');
my $theirs = create_database('mig_hostile_psql');
my @sessions = map { connect_to($_) } $ours, $theirs;
my $encoding = $sessions[0]->value('SHOW server_encoding');

# Ways to change a setting of the session: [name, statement]...
sub ways
{
	my ($name, $value) = @_;
	my $call = "set_config('$name', '$value', false)";
	return (
		$name =~ /strings/ ? () : ([ 'SET', "SET $name = '$value'" ]),
		[ 'set_config', "SELECT pg_catalog.$call" ],
		[ 'DO',         "DO \$\$ BEGIN PERFORM pg_catalog.$call; END \$\$" ],
		[ 'function',   "CREATE FUNCTION sets() RETURNS text LANGUAGE sql AS \$\$ SELECT $call \$\$;\nSELECT sets();\nDROP FUNCTION sets()" ],
		[ 'UPDATE',     "UPDATE pg_catalog.pg_settings SET setting = '$value' WHERE name = '$name'" ],
		[ 'default',    "CREATE TEMPORARY TABLE d (t text DEFAULT $call);\nINSERT INTO d DEFAULT VALUES;\nDROP TABLE d" ]);
}

my @changes;
push @changes, map { [ "standard_conforming_strings off by $_->[0]", $_->[1] ] } ways('standard_conforming_strings', 'off');
push @changes, map { [ "client_encoding $_ by SET", "SET client_encoding = '$_'" ] }
  qw(SJIS BIG5 GBK UHC GB18030 JOHAB SHIFT_JIS_2004 LATIN1 SQL_ASCII EUC_JP UTF8);
push @changes, map { [ "client_encoding by $_->[0]", $_->[1] ] } ways('client_encoding', 'SJIS');
push @changes, [ 'client_encoding by SET NAMES', "SET NAMES 'SJIS'" ];
push @changes, [ 'backslash_quote on', 'SET backslash_quote = on' ];
push @changes, [ 'both', "SELECT set_config('standard_conforming_strings', 'off', false);\nSET client_encoding = 'SJIS';\nSET backslash_quote = on" ];
push @changes, [ 'nothing', 'SELECT 1' ];

# Statements that hold a command for psql where it is no command; "ran" is the
# file that it would make.  All are statements of their own, behind a change.
my $run = '\! touch ran';
my @payloads = (
	[ 'literal'      => qq{INSERT INTO t VALUES ('\\'), (' $run\n-- ')} ],
	[ 'literals'     => qq{INSERT INTO t VALUES ('a\\'), (' $run\n-- '), ('\\\\')} ],
	[ 'E literal'    => qq{INSERT INTO t VALUES (E'\\' $run\n-- '), (E'\\\\')} ],
	[ 'continued'    => qq{INSERT INTO t VALUES ('a\\'\n'b'), (' $run\n-- ')} ],
	[ 'N literal'    => qq{INSERT INTO t VALUES (N'\\'), (N' $run\n-- ')} ],
	[ 'glued'        => qq{INSERT INTO t SELECT 1e'\\' $run\n-- '} ],
	[ 'identifier'   => qq{SELECT 1 AS "\\", 2 AS " $run\n-- "} ],
	[ 'body'         => qq{DO \$\$ BEGIN INSERT INTO t VALUES ('\\'), (' $run\n-- '); END \$\$} ],
	[ 'tagged body'  => qq{CREATE FUNCTION f() RETURNS text LANGUAGE sql AS \$x\$ SELECT '\\' || ' $run\n-- ' \$x\$; DROP FUNCTION f()} ],
	[ 'comment'      => qq{/* \\' ' $run\n*/ INSERT INTO t VALUES ('x\\y')} ],
	[ 'line comment' => qq{-- ' \\ $run\nINSERT INTO t VALUES ('\\')} ],
	[ 'swallowed'    => qq{INSERT INTO t VALUES ('\xd0\x96'), (' $run\n-- ')} ],
	[ 'swallowed \\' => qq{INSERT INTO t VALUES ('\xd0\x96\\'), (' $run\n-- ')} ],
	[ 'swallowed */' => qq{/* \xd0\x96*/ INSERT INTO t VALUES ('*/ $run\n-- ')} ],
	[ 'swallowed \$' => qq{DO \$\$ BEGIN INSERT INTO t VALUES ('\xd0\x96'); END \$\$; INSERT INTO t VALUES ('\$\$ $run\n-- ')} ],
	[ 'swallowed "'  => qq{SELECT 1 AS "\xd0\x96", 2 AS "$run\n-- "} ],
	[ 'letters'      => qq{INSERT INTO t VALUES ('\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80')} ],
	[ 'one line'     => qq{INSERT INTO t VALUES ('a'); INSERT INTO t VALUES ('\xc3\xa9'); INSERT INTO t VALUES ('\\'), (' $run\n-- ')} ],
	[ 'variable'     => qq{INSERT INTO t SELECT ('{:HOST,a}'::text[])[1:2]::text; INSERT INTO t VALUES (':HOST \\ :"HOST" :''HOST''')} ]);

my ($n, $refused) = (0, 0);
for my $change (@changes)
{
	my ($title, $sets) = @$change;
	my @wrong;
	for my $payload (@payloads)
	{
		my ($name, $sql) = @$payload;
		next unless $all || rand() < 0.3;
		my $id = 'h' . ++$n;
		# several times, so that quotes that are read otherwise come in both parities
		my $script = "$sets;\n$sql;\n$sql;\nINSERT INTO t VALUES ('$run\n');\n$sql;\n";
		for my $session (@sessions)
		{
			$session->query('ROLLBACK');
			$session->run('DROP TABLE IF EXISTS t', 'CREATE TABLE t (x text)');
			my $stored = $session->query('SELECT migrate.revision(' . join(', ', lit("$run \xd0\x96"), lit($script), q{''}, "'$id'", q{head => 'base'}) . ')');
			if ($stored->{state} ne '00000')
			{
				# the server's own lexer is of another opinion on 15 and later
				push @wrong, "$name: not stored: $stored->{err}" unless $name eq 'glued' && $stored->{state} =~ /^(?:42601|MG011)$/;
				undef $id;
				last;
			}
		}
		next unless $id;
		my $moved = $sessions[0]->query("SELECT migrate.upgrade('$id')");
		my $written = $sessions[1]->query("SELECT migrate.upgrade_sql('$id')");
		if ($written->{state} eq 'MG011')
		{
			$refused++;
			next;
		}
		push(@wrong, "$name: $written->{err}"), next if $written->{state} ne '00000';
		my $where = scratch_dir();
		my $file = spew("$where/script.sql", $written->{out});
		my ($status, undef, $err) = run_program('sh', '-c', 'cd "$1" && exec "$2" -X -q -d "$3" -v ON_ERROR_STOP=1 -f script.sql',
			'sh', $where, tool('psql'), $theirs);
		my @files = grep { !/script\.sql$/ } glob "$where/*";
		push @wrong, "$name: it ran @files:\n$written->{out}" if @files;
		if (($moved->{state} eq '00000') != ($status == 0))
		{
			push @wrong, "$name: upgrade() $moved->{state} $moved->{err}, psql $status $err\n$written->{out}";
			next;
		}
		# without ON_ERROR_STOP nothing else comes of it
		run_program('sh', '-c', 'cd "$1" && exec "$2" -X -q -d "$3" -f script.sql', 'sh', $where, tool('psql'), $theirs);
		@files = grep { !/script\.sql$/ } glob "$where/*";
		push @wrong, "$name: without ON_ERROR_STOP it ran @files" if @files;
		my @rows = map { join "\n", sort $_->rows("SELECT encode(convert_to(x, 'UTF8'), 'hex') FROM t") } @sessions;
		push @wrong, "$name: other rows:\n$rows[0]\n--\n$rows[1]\n$written->{out}" if $rows[0] ne $rows[1];
	}
	ok(!@wrong, $title) or diag join "\n", splice @wrong, 0, 3;
}
is($refused, 0, 'no script was refused');
note "$n scripts";

$_->finish for @sessions;
drop_databases();
done_testing();
