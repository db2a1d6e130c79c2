#!/usr/bin/perl
#
# Revisions against whoever runs their offline script with psql: statements that
# change how psql reads the rest of the file, followed by text that then would be
# a command of psql's.  Each runs in a directory of its own; no file appears in
# it, and what is in the database afterwards is what migrate.upgrade() makes, also
# with a psql that cannot be restricted to SQL.
#
# Environment: MIGRATE_HOSTILE=all tries each change with each text, and not with
# some of them; MIGRATE_HOSTILE_PSQL, other programs psql, separated by spaces;
# MIGRATE_TEST_SEED.
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
my @programs = (tool('psql'), split ' ', $ENV{MIGRATE_HOSTILE_PSQL} // '');
my $ours = create_database('mig_hostile');
my $theirs = create_database('mig_hostile_psql');
my @sessions = map { connect_to($_) } $ours, $theirs;
my $bodies = $sessions[0]->value('SHOW server_version_num') >= 140000;

# Ways to change a setting of the session: [name, statement]...
sub ways
{
	my ($name, $value) = @_;
	my $call = "set_config('$name', '$value', false)";
	return (
		$name =~ /strings/ ? () : ([ 'SET', "SET $name = '$value'" ]),
		[ 'set_config', "SELECT pg_catalog.$call" ],
		[ 'DO', "DO \$\$ BEGIN PERFORM pg_catalog.$call; END \$\$" ],
		[
			'function',
			"CREATE FUNCTION sets() RETURNS text LANGUAGE sql AS \$\$ SELECT $call \$\$;\nSELECT"
			  . " sets();\nDROP FUNCTION sets()"
		],
		[ 'UPDATE', "UPDATE pg_catalog.pg_settings SET setting = '$value' WHERE name = '$name'" ],
		[
			'default',
			"CREATE TEMPORARY TABLE d (t text DEFAULT $call);\nINSERT INTO d DEFAULT"
			  . " VALUES;\nDROP TABLE d"
		]);
}

# Since 19 strings are read in one way only.
my $one_way = $sessions[0]->value('SHOW server_version_num') >= 190000;
my @changes;
push @changes, $one_way ? () :
  map { [ "standard_conforming_strings off by $_->[0]", $_->[1] ] }
  ways('standard_conforming_strings', 'off');
push @changes,
  map { [ "client_encoding $_ by SET", "SET client_encoding = '$_'" ] }
  qw(SJIS BIG5 GBK UHC GB18030 JOHAB SHIFT_JIS_2004 LATIN1 SQL_ASCII EUC_JP UTF8);
push @changes, map { [ "client_encoding by $_->[0]", $_->[1] ] } ways('client_encoding', 'SJIS');
push @changes, [ 'client_encoding by SET NAMES', "SET NAMES 'SJIS'" ];
push @changes, [ 'backslash_quote on', 'SET backslash_quote = on' ];
push @changes, $one_way ? () :
  [
	'both',
	"SELECT set_config('standard_conforming_strings', 'off', false);\nSET client_encoding ="
	  . " 'SJIS';\nSET backslash_quote = on"
  ];
push @changes, [ 'nothing', 'SELECT 1' ];

# Statements that hold a command for psql where it is no command; "ran" is the
# file that it would make.  All are statements of their own, behind a change.
my $run = '\! touch ran';
my @payloads = (
	[ 'literal'    => qq{INSERT INTO t VALUES ('\\'), (' $run\n-- ')} ],
	[ 'literals'   => qq{INSERT INTO t VALUES ('a\\'), (' $run\n-- '), ('\\\\')} ],
	[ 'E literal'  => qq{INSERT INTO t VALUES (E'\\' $run\n-- '), (E'\\\\')} ],
	[ 'continued'  => qq{INSERT INTO t VALUES ('a\\'\n'b'), (' $run\n-- ')} ],
	[ 'N literal'  => qq{INSERT INTO t VALUES (N'\\'), (N' $run\n-- ')} ],
	[ 'glued'      => qq{INSERT INTO t SELECT 1e'\\' $run\n-- '} ],
	[ 'identifier' => qq{SELECT 1 AS "\\", 2 AS " $run\n-- "} ],
	[ 'body'       => qq{DO \$\$ BEGIN INSERT INTO t VALUES ('\\'), (' $run\n-- '); END \$\$} ],
	[
		'tagged body' =>
		  qq{CREATE FUNCTION f() RETURNS text LANGUAGE sql}
		    . qq{ AS \$x\$ SELECT '\\' || ' $run\n-- ' \$x\$; DROP FUNCTION f()}
	],
	[ 'comment'      => qq{/* \\' ' $run\n*/ INSERT INTO t VALUES ('x\\y')} ],
	[ 'line comment' => qq{-- ' \\ $run\nINSERT INTO t VALUES ('\\')} ],
	[ 'swallowed'    => qq{INSERT INTO t VALUES ('\xd0\x96'), (' $run\n-- ')} ],
	[ 'swallowed \\' => qq{INSERT INTO t VALUES ('\xd0\x96\\'), (' $run\n-- ')} ],
	[ 'swallowed */' => qq{/* \xd0\x96*/ INSERT INTO t VALUES ('*/ $run\n-- ')} ],
	[
		'swallowed \$' =>
		  qq{DO \$\$ BEGIN INSERT INTO t VALUES ('\xd0\x96'); END \$\$; INSERT INTO t}
		    . qq{ VALUES ('\$\$ $run\n-- ')}
	],
	[ 'swallowed "' => qq{SELECT 1 AS "\xd0\x96", 2 AS "$run\n-- "} ],
	[ 'E, parts'    => qq{INSERT INTO t VALUES (E'a'\n'b\\' $run\n-- '), (E'\\\\'\n'\\'')} ],
	[
		'U&, parts' =>
		  qq{INSERT INTO t SELECT U&'x'\n'b\\' UESCAPE '!'; INSERT INTO t VALUES (' $run\n-- ')}
	],
	[
		'U&' =>
		  qq{INSERT INTO t VALUES (U&'\\0041\\+01F600'), (u&'d!0061t\\a' UESCAPE '!'),}
		    . qq{ (U&'''' || U&'\xc3\xa9')}
	],
	[ 'N, parts'     => qq{INSERT INTO t VALUES (n'a' -- it's\n'\\'), (N' $run\n-- ')} ],
	[ 'bits, parts'  => qq{SELECT b'1'\n'\\', ' $run\n-- '} ],
	[ 'bytes, parts' => qq{SELECT X'1'\n'\\', ' $run\n-- '} ],
	[
		'begin()' =>
		  qq{CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1';}
		    . qq{ INSERT INTO t VALUES ('\xd0\x96'), (' $run\n-- ');\nDROP FUNCTION begin()}
	],
	[
		'begin = begin' =>
		  qq{CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql}
		    . qq{ SET my.begin = BEGIN AS 'SELECT 1';}
		    . qq{ INSERT INTO t VALUES ('\xd0\x96'), (' $run\n-- ');\nDROP FUNCTION f()}
	],
	[
		'rule' =>
		  qq{CREATE RULE r AS ON INSERT TO u DO ALSO (INSERT INTO t VALUES ('a'); INSERT INTO t}
		    . qq{ VALUES ('\xc3\xa9')); INSERT INTO u VALUES (1); DROP RULE r ON u}
	],
	[
		'seen' =>
		  qq{INSERT INTO t VALUES ('\xc3\xa9'); INSERT INTO t}
		    . qq{ SELECT current_setting('client_encoding')}
	],
	[
		'set beside' =>
		  qq{/* \xc3\xa9 */ SET LOCAL client_encoding = LATIN1; INSERT INTO t VALUES ('\xc3\xa9');}
		    . qq{ INSERT INTO t SELECT current_setting('client_encoding')}
	],
	[
		'message' =>
		  qq{INSERT INTO t VALUES ('\xd0\x96'), (' ); ROLLBACK; DO \$q\$}
		    . qq{ BEGIN RAISE EXCEPTION \$a\$%\$a\$, chr(92)||\$a\$! touch ran\$a\$;}
		  . qq{ END \$q\$;\n:LAST_ERROR_MESSAGE\n-- '); SELECT 1 / 0}
	],
	[ 'rows'     => qq{COPY t FROM stdin;\n\\\\\n$run\n\\! \xd0\x96\n\\.\nSELECT 1} ],
	[
		'rows, swallowed' =>
		  qq{COPY t (x) FROM STDIN (FORMAT csv, NULL '\\'); -- \xd0\x96\n"\xd0\x96\\"\n'\n\\.\n}
		    . qq{INSERT INTO t VALUES ('\xd0\x96'), (' $run\n-- ')}
	],
	[ 'rows, failed' => qq{COPY none FROM stdin;\n$run\n\\.\nSELECT 1} ],
	[ 'restrict' => qq{\n\\restrict a\nINSERT INTO t VALUES (' $run\n-- ');\n\\unrestrict a\n} ],
	[ 'letters' => qq{INSERT INTO t VALUES ('\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80')} ],
	[
		'one line' =>
		  qq{INSERT INTO t VALUES ('a'); INSERT INTO t VALUES ('\xc3\xa9'); INSERT INTO t}
		    . qq{ VALUES ('\\'), (' $run\n-- ')}
	],
	[
		'variable' =>
		  qq{INSERT INTO t SELECT ('{:HOST,a}'::text[])[1:2]::text;}
		    . qq{ INSERT INTO t VALUES (':HOST \\ :"HOST" :''HOST''')}
	]);
push @payloads,
  [ 'SQL body' =>
	  qq{CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT 'a' AS begin;}
	    . qq{ SELECT CASE WHEN true THEN '\xc3\xa9' ELSE '' END AS CASE;}
	    . qq{ SELECT '\\' || x.end FROM (SELECT '\xd0\x96' AS "end") x; END;}
	    . qq{ INSERT INTO t SELECT f(); INSERT INTO t VALUES ('\xd0\x96'), (' $run\n-- ');}
	    . qq{\nDROP FUNCTION f()}
  ],
  [ 'procedure' =>
	  qq{CREATE OR REPLACE PROCEDURE begin(x text) BEGIN ATOMIC INSERT INTO t VALUES ('\xc3\xa9');}
	    . qq{ INSERT INTO t VALUES (x); END; CALL begin('\\'); INSERT INTO t VALUES ('\xd0\x96'),}
	  . qq{ (' $run\n-- ');\nDROP PROCEDURE begin(text)}
  ]
  if $bodies;

# Forgets what is applied, and begins with an empty table.
sub restart
{
	my ($session) = @_;
	$session->query('ROLLBACK');
	$session->run('DROP TABLE IF EXISTS t, u', 'CREATE TABLE t (x text)', 'CREATE TABLE u (n int)',
		q{SELECT migrate.stamp('base', purge => true)});
	return;
}

# Runs a script in a directory of its own, in a session that begins with some
# client_encoding: the status, the errors, and the files that came into being.
sub run_script
{
	my ($program, $text, $client, @options) = @_;
	my $where = scratch_dir();
	spew("$where/script.sql", $text);
	my ($status, undef, $err) = run_program('sh', '-c',
		'cd "$1" && PGCLIENTENCODING=$2 && export PGCLIENTENCODING && shift 2 && exec "$@"',
		'sh', $where, $client, $program, '-X', '-q', @options, '-f', 'script.sql');
	return ($status, $err, grep { !/script\.sql$/ } glob "$where/*");
}

# As a psql that does not know \restrict takes it.
sub unrestricted
{
	my ($text) = @_;
	return $text =~ s/^:(?:migrate_restrict|unrestrict_\w+)\n//mgr;
}

sub table_rows
{
	my ($session) = @_;
	return join "\n", sort $session->rows("SELECT encode(convert_to(x, 'UTF8'), 'hex') FROM t");
}

sub store
{
	my ($session, $id, $script, $head) = @_;
	return $session->query(
		'SELECT migrate.revision('
		  . join(', ',
			lit("$run \xd0\x96"), lit($script), q{''},
			lit($id), 'head => ' . lit($head // 'base'))
		  . ')');
}

# Whether one script does with psql what the function does; what is wrong.
sub compare
{
	my ($name, $id, $script) = @_;
	my @wrong;
	for my $session (@sessions)
	{
		restart($session);
		my $stored = store($session, $id, $script);
		next if $stored->{state} eq '00000';
		# the server's own lexer is of another opinion on 15 and later
		return if $name eq 'glued' && $stored->{state} =~ /^(?:42601|MG011)$/;
		# lines of psql end with a line feed
		return if $name =~ /^(?:rows|restrict)/ && $stored->{state} eq 'MG011' && $script !~ /\n/;
		return "$name: not stored: $stored->{err}";
	}
	my $moved = $sessions[0]->query("SELECT migrate.upgrade('$id')");
	my $written = $sessions[1]->query("SELECT migrate.upgrade_sql('$id')");
	return "$name: $written->{err}" if $written->{state} ne '00000';
	my $open = unrestricted($written->{out});
	push @wrong, "$name: not restricted" if $open eq $written->{out};

	for my $program (@programs)
	{
		# one before 14 does not know the bodies
		next if $name =~ /SQL body|procedure/ && (run_program($program, '--version'))[1] =~ / 13\./;
		for my $text ($written->{out}, $open)
		{
			my $client = (qw(UTF8 LATIN1 SJIS SQL_ASCII))[ rand 4 ];
			my $what = "$name, $program in $client" . ($text eq $open ? ', unrestricted' : '');
			restart($sessions[1]);
			my ($status, $err, @files) =
			  run_script($program, $text, $client, '-d', $theirs, '-v', 'ON_ERROR_STOP=1');
			push @wrong, "$what: it ran @files:\n$text" if @files;
			if (($moved->{state} eq '00000') != ($status == 0))
			{
				push @wrong,
				  "$what: upgrade() $moved->{state} $moved->{err}, psql $status $err\n$text";
				next;
			}
			my @rows = map { table_rows($_) } @sessions;
			push @wrong, "$what: other rows:\n$rows[0]\n--\n$rows[1]\n$text"
			  if $rows[0] ne $rows[1];

			# where psql was not told to stop
			restart($sessions[1]);
			(undef, undef, @files) = run_script($program, $text, $client, '-d', $theirs);
			push @wrong, "$what: without ON_ERROR_STOP it ran @files:\n$text" if @files;
		}
	}
	return @wrong;
}

my $n = 0;
for my $change (@changes)
{
	my ($title, $sets) = @$change;
	my @wrong;
	for my $payload (@payloads)
	{
		my ($name, $sql) = @$payload;
		next unless $all || rand() < 0.3;
		# several times, so that quotes that are read otherwise come in both parities
		my $script = "$sets;\n$sql;\n$sql;\nINSERT INTO t VALUES ('$run\n');\n$sql;\n";
		my $ends = ("\n", "\n", "\r\n", "\r")[ rand 4 ];
		$script =~ s/\n/$ends/g;
		push @wrong, compare($name, 'h' . ++$n, $script);
	}
	ok(!@wrong, $title) or diag join "\n", splice @wrong, 0, 3;
}
note "$n scripts";

# What is not written: a body whose end psql would not find, and characters that
# the file could not hold.
if ($bodies)
{
	my $session = $sessions[1];
	store($session, 'label',
		'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 begin; SELECT 2; END');
	my $written = $session->query(q{SELECT migrate.upgrade_sql('base:label')});
	is($written->{state}, 'MG011', 'a label that psql would take for BEGIN');
	like(
		$written->{err},
		qr/psql would not find the end.*upgrade script of revision "label", line 1/s,
		'it names the revision');
	$session->run(
		q{SELECT migrate.edit('label', 'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC}
		  . q{ SELECT 1 "begin"; SELECT 2; END')}
	);
	is($session->query(q{SELECT migrate.upgrade_sql('base:label')})->{state},
		'00000', 'in quotes it is fine');
}
{
	my $session = $sessions[1];
	store($session, 'yen', "INSERT INTO t VALUES ('\xc2\xa5 \\')");
	my $write = sub {
		my ($client) = @_;
		$session->run("SET client_encoding = '$client'");
		my $result = $session->query(q{SELECT migrate.upgrade_sql('base:yen')});
		$session->run(q{SET client_encoding = 'UTF8'});
		return $result;
	};
	$session->run(q{SELECT migrate.edit('yen', message => 'yen')});
	for my $client (qw(SJIS BIG5 GBK UHC GB18030 JOHAB SHIFT_JIS_2004))
	{
		my $result = $write->($client);
		is($result->{state}, '0A000', "no script in $client");
		like(
			$result->{err},
			qr/^HINT:  Run SET client_encoding = 'UTF8' first\./m,
			"what to do instead of $client");
	}
	is($write->('WIN1251')->{state}, '22P05', 'no script in an encoding without the character');
	for my $client (qw(LATIN1 UTF8 SQL_ASCII))
	{
		restart($session);
		my ($status, $err) =
		  run_script($programs[0], $write->($client)->{out}, 'SJIS', '-d', $theirs);
		is($status, 0, "a script written in $client") or diag $err;
		is(table_rows($session), 'c2a5205c', "has the character in $client");
	}
}

# Scripts one after the other in one session, which keeps its settings and can use
# psql's commands again; ids that are not ASCII, also where only the head has them.
{
	my $session = $sessions[1];
	my $text = sub {
		my ($target) = @_;
		my $result = $session->query('SELECT migrate.upgrade_sql(' . lit($target) . ')');
		is($result->{state}, '00000', "the script to $target");
		$session->run('SELECT migrate.upgrade(' . lit($target) . ')');
		return $result->{out};
	};
	restart($session);
	is(store($session, @$_)->{state}, '00000', "revision $_->[0]")
	  for [ "\xc3\xa9", q{INSERT INTO t VALUES ('\\')}, 'base' ],
	  [ 'other', q{INSERT INTO t VALUES ('\\')}, 'base' ],
	  [ 'another', 'INSERT INTO t VALUES (1)', 'other' ];
	$session->run(q{SELECT migrate.edit('another', message => 'ASCII')});
	my @texts = map { $text->($_) } "\xc3\xa9", 'other', 'another';
	unlike($texts[2] =~ s/^-- .*\n//mgr =~ s/SELECT migrate\.begin_script.*?;\n//sr,
		qr/[\x80-\xff]/, 'only the head of the last one is not ASCII');
	restart($session);
	my $where = scratch_dir();
	spew("$where/$_.sql", $texts[$_]) for 0 .. $#texts;
	spew("$where/after.sql",
		"\\echo unrestricted\nSHOW client_encoding;\nSHOW standard_conforming_strings;\n");

	for my $program (@programs)
	{
		restart($session);
		my ($status, $out, $err) = run_program(
			'sh', '-c',
			'PGCLIENTENCODING=LATIN1 && export PGCLIENTENCODING && cd "$1" && shift && exec "$@"',
			'sh', $where, $program, '-X', '-q', '-A', '-t', '-d', $theirs,
			(map { ('-f', "$_.sql") } 0 .. $#texts, 'after'));
		is($status, 0, 'three scripts in one session') or diag $err;
		like($out, qr/^unrestricted\nLATIN1\non$/m, 'psql and the session are as before');
		is(table_rows($session), "31\n5c\n5c", 'all of them ran');
	}
}

# A database of bytes without an encoding.
{
	my $bytes = create_database('mig_hostile_bytes',
		template => q{template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'});
	my $session = connect_to($bytes);
	restart($session);
	is( store($session, 'b1',
			"SET client_encoding = 'SJIS';\nINSERT INTO t VALUES ('\xd0\x96'), (' $run\n-- ');")
		  ->{state},
		'00000', 'bytes');
	for my $client (qw(SQL_ASCII UTF8))
	{
		restart($session);
		$session->run("SET client_encoding = '$client'");
		my $text = unrestricted($session->query(q{SELECT migrate.upgrade_sql('b1')})->{out});
		$session->run('SET client_encoding = SQL_ASCII');
		my ($status, $err, @files) = run_script($programs[0], $text, 'UTF8', '-d', $bytes);
		is("$status @files", '0 ', "SQL_ASCII, written in $client: it runs, and nothing else does")
		  or diag $err;
		is( join(
				' ',
				sort $session->rows(
					q{SELECT encode(x::bytea, 'hex') FROM (SELECT replace(x, E'\\\\',}
					  . q{ E'\\\\\\\\') x FROM t) t}
				)),
			unpack('H*', " $run\n-- ") . ' d096',
			"SQL_ASCII, written in $client: the bytes");
	}
	$session->finish;
}

$_->finish for @sessions;
drop_databases();
done_testing();
