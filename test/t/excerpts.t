#!/usr/bin/perl
#
# What messages quote of long texts is cut between characters: in each of the
# places that cut, with characters of two, three and four bytes on the border
# in every alignment, for servers and clients of several encodings.  Half a
# character could not be converted for the client, which would get an error
# about that in place of ours.
use strict;
use warnings;
use open qw(:std :utf8);

use Encode ();
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use MigrateWire;
use Test::More;

# Most bytes of a statement in an error, a name, a blocker's query, and of a
# statement in pg_stat_activity.
use constant { EXCERPT => 8192, IDENTIFIER => 255, BLOCKER => 200, ACTIVITY => 512 };

my $cluster = MigrateServer->create(
	settings => [ 'max_connections = 20', 'track_activity_query_size = 4kB' ])->use;

my ($e_acute, $han, $kanji, $emoji) = ("\x{e9}", "\x{6f22}", "\x{4e02}", "\x{1f600}");
my %perl_name =
  (UTF8 => 'UTF-8', LATIN1 => 'ISO-8859-1', EUC_JP => 'euc-jp', SQL_ASCII => 'UTF-8');
my $strictly = Encode::FB_CROAK | Encode::LEAVE_SRC;

sub bytes { return Encode::encode($perl_name{ $_[1] }, $_[0], $strictly) }

# The text that bytes are; undef when they are none.
sub text
{
	my ($bytes, $encoding) = @_;
	return eval { Encode::decode($perl_name{$encoding}, $bytes, $strictly) };
}

for my $encoding (qw(UTF8 EUC_JP SQL_ASCII))
{
	my $template = "template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'";
	my $name = create_database("mig_\L$encoding", template => $template);
	my ($status, undef, $err) = run_psql($name, <<'SQL');
CREATE TABLE held ();
CREATE TABLE facts ();
CREATE PROCEDURE fill(comment text) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO facts DEFAULT VALUES;
	COMMIT;
	PERFORM pg_sleep(100);
END $$;
SQL
	die $err if $status;
}

# ---------------------------------------------------------------- checks ----

# The case: encodings, the client under test, a session that watches it, the
# character, how far it is shifted, and a name.
my ($server, $client, $wire, $watch, $char, $shift, $name);

# More than n bytes in the server's encoding.
sub filler
{
	my $n = shift;
	return 'x' x $shift . $char x ($n / length(bytes($char, $server)) + 2);
}

sub run { return $wire->query(bytes($_[0], $client)) }

# A call that must work; its value.
sub value { return $wire->value(bytes($_[0], $client)) }

# A new revision beside the others, with a script: its id.
my $number = 0;

sub revision
{
	my ($sql, $transactional) = @_;
	my $id = 'r' . ++$number;
	value("SELECT migrate.revision('m', " . lit($sql) . ", '', '$id', 'base',"
		  . " transactional => $transactional)");
	return $id;
}

# What is wrong with bytes, an excerpt of the text whole of at most limit bytes,
# from its start, or around a place (at, at position); '' when nothing is.
sub complaint
{
	my ($bytes, $whole, $limit, %around) = @_;
	return 'is missing' unless defined $bytes;
	my $shown = text($bytes, $client);
	return 'is no text of the encoding' unless defined $shown;
	my $start = index $whole, $shown;
	my $size = length bytes($shown, $server);
	my $is_cut = length(bytes($whole, $server)) > $limit;
	my $width = length bytes($char, $server);

	return 'is not a part of the text' if $start < 0;
	return 'is not the whole text' if !$is_cut && $shown ne $whole;
	return "has $size bytes" if $size > $limit;
	if (!defined $around{at})
	{
		return "begins at character $start" if $start > 0;
		return "has only $size bytes" if $is_cut && $size <= $limit - $width;
		return '';
	}
	# the server counts characters, and bytes where it does not know any
	my $from = substr $server eq 'SQL_ASCII' ? $bytes : $shown, $around{position} - 1;
	return "has its position at \"" . substr($from, 0, 20) . '"' if index $from, $around{at};
	return "has only $size bytes" if $is_cut && $size <= $limit / 2 - $width;
	return '';
}

# Checks an error: its code, the fields that %expected has by their letters,
# what it "quotes" and "at" which place its position is.
sub is_error
{
	my ($result, $code, $what, %expected) = @_;
	my $error = $result->{error} // {};
	my @wrong;

	push @wrong, ($error->{C} // 'no error') . ' ' . ($error->{M} // '')
	  if ($error->{C} // '') ne $code;
	for my $field (grep { $expected{$_} } qw(M H W))
	{
		my $is = text($error->{$field} // '', $client) // 'no text of the encoding';
		push @wrong, "$field: " . substr $is, 0, 300 if $is !~ $expected{$field};
	}
	if (!@wrong && defined $expected{quotes})
	{
		my %around = (at => $expected{at}, position => $error->{p});
		my $complaint = complaint($error->{q}, $expected{quotes}, EXCERPT, %around);
		push @wrong, "what it quotes $complaint" if $complaint;
	}
	ok(!@wrong, "$name, shift $shift: $what") or diag join "\n", @wrong;
	return;
}

# ----------------------------------------------------------------- places ----

# A script that is refused when it is stored: a wrong parenthesis in the
# middle, at the start, at the end and near the end of its second statement.
sub refused
{
	my ($filler, $half) = (filler(EXCERPT), filler(EXCERPT / 2 - 20));
	for my $sql ("SELECT '$filler' ) '$filler'", "SELECT ) '$filler'", "SELECT '$filler' )",
		"SELECT '$filler' ) '$half'")
	{
		my $script = "SELECT 1;\n$sql;\nSELECT 2";
		is_error(
			run("SELECT migrate.revision('m', " . lit($script) . ", head => 'base')"),
			'42601', 'refused by revision()',
			quotes => $sql, at => ')', M => qr/ at or near "\)"$/,
			W => qr/^upgrade script of revision "\w+", line 2$/m);
	}
	my $sql = "SELECT '$filler' ) '$filler'";
	my $file = "-- m\n-- Revision ID: bad\n-- Revises:\n-- migrate:up\n$sql;\n";
	is_error(
		run('SELECT migrate.load(' . lit($file) . ')'),
		'42601', 'refused by load()',
		quotes => $sql, at => ')', W => qr/^revision file, line 5$/m);

	# the server's message has all of a literal that does not end
	$sql = "SELECT '$filler";
	is_error(
		run("SELECT migrate.revision('m', " . lit($sql) . ", head => 'base')"),
		'42601', 'a literal that does not end',
		quotes => $sql, at => "'", M => qr/^unterminated or malformed string/);
	return;
}

# Errors while a script runs, in all ways to run it: SQLSTATE, statement, the
# place, and what is quoted when that is not the statement.
sub fails
{
	my $filler = filler(EXCERPT);
	my ($column, $wrong) = qw(no_such_column no_such_statement);
	my $inner = "SELECT '$filler', $column, '$filler'";
	my $body = "\nBEGIN\n-- $filler\n$wrong;\n-- $filler\nEND ";
	my $create = 'CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS';
	my @cases = (
		[ '42703', "SELECT '$filler', $column, '$filler'", $column ],
		[ '42703', "SELECT $column, '$filler'", $column ],
		[ '42703', "SELECT '$filler', $column", $column ],
		[ '22012', "SELECT 1/0, '$filler'" ],
		[ '42703', 'DO $do$ BEGIN EXECUTE ' . lit($inner) . '; END $do$', $column, $inner ],
		[ '42703', "DO \$do\$ BEGIN PERFORM '$filler', $column; END \$do\$", $column,
			"SELECT '$filler', $column" ],
		[ '42601', "$create \$f\$$body\$f\$", $wrong, $body ],
	);
	for my $case (@cases)
	{
		my ($code, $sql, $at, $quotes) = @$case;
		my $what = 'a script: ' . $sql =~ s/['\n].*//sr;
		my $line = $code eq '42601' ? 5 : 2;
		for my $how ('atomic', 'stepwise, transactional', 'stepwise, statement by statement')
		{
			next if $how =~ /transactional/ && $shift > 0;
			my $id = revision("SELECT 1;\n$sql;\nSELECT 2",
				$how =~ /statement/ ? 'false' : 'true');
			is_error(
				run($how eq 'atomic' ? "SELECT migrate.upgrade('$id')"
					: "CALL migrate.upgrade_stepwise('$id')"),
				$code, "$what, $how",
				at => $at, quotes => $quotes // $sql,
				W => qr/^revision "$id", upgrade script, statement 2, line $line$/m);
			value('DELETE FROM migrate.partial');
			value("SELECT migrate.drop('$id')");
		}
	}
	return;
}

# A statement that was killed after its COMMIT.
sub is_in_doubt
{
	my $filler = filler(EXCERPT);
	my $sql = $shift % 2 ? "CALL fill('$filler')" : slow_block($filler);
	my $id = revision("SELECT 1;\n$sql;\nSELECT 2", 'false');
	cut_short($id);
	is_error(
		run("CALL migrate.upgrade_stepwise('$id')"),
		'MG013', 'in doubt',
		quotes => $sql,
		M => qr/^statement 2 of the upgrade script of revision "$id" is in doubt$/,
		H => qr/SELECT migrate\.resume\('$id', 'done' or 'again'\)/);
	value("SELECT migrate.resume('$id', 'done')");
	value("CALL migrate.upgrade_stepwise('$id')");
	return;
}

# A DO statement that does as the procedure fill does.
sub slow_block
{
	my $comment = shift;
	return 'DO $$ BEGIN INSERT INTO facts DEFAULT VALUES; COMMIT; PERFORM pg_sleep(100); END;'
	  . "-- $comment\n\$\$";
}

# Runs a revision and terminates the session after its COMMIT.
sub cut_short
{
	my $id = shift;
	$watch->value('TRUNCATE facts');
	$wire->send("CALL migrate.upgrade_stepwise('$id')");
	wait_until(sub { $watch->value('SELECT count(*) FROM facts') })
	  or die "$name: it does not come to its COMMIT\n";
	$watch->value('SELECT pg_terminate_backend(' . $wire->pid . ')');
	$wire->receive;
	connect_client();
	return;
}

# A revision that waits for a lock of a session in another database, say, whose
# last query this is: what the run shows of it.
sub in_the_way
{
	my ($database, $query, $encoding, $table) = @_;
	my $blocker = MigrateWire->connect($database, client_encoding => $encoding);
	$blocker->value("BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	$blocker->value(bytes($query, $encoding));
	my $id = revision("LOCK TABLE $table", 'true');
	$wire->send("CALL migrate.upgrade_stepwise('$id')");
	# the first retry may not know it, on a busy machine
	while (my $notice = $wire->notice)
	{
		next unless ($notice->{H} // '') =~ /was in the way: (.*)/s;
		my $shown = $1;
		undef $blocker;
		is($wire->receive->{error}, undef, "$name, shift $shift: the retry is successful");
		return $shown;
	}
	fail("$name, shift $shift: there is a retry");
	return '';
}

sub is_retried
{
	my $query = "SELECT '" . filler(BLOCKER) . "'";
	my $shown = in_the_way("mig_\L$server", $query, $client, 'held');
	my $complaint = $shown =~ s/\.\.\.$// ? complaint($shown, $query, BLOCKER) : 'is not cut';
	is($complaint, '', "$name, shift $shift: the query that was in the way");
	return;
}

# What pg_stat_activity shows, seen from inside of the script.
sub is_shown
{
	my $sql = "CREATE TABLE shown AS SELECT query, '" . filler(ACTIVITY)
	  . "' FROM pg_stat_activity WHERE pid = pg_backend_pid()";
	my $id = revision($sql, 'true');
	value("SELECT migrate.upgrade('$id')");
	my $shown = value('SELECT query FROM shown');
	my $complaint =
	  $shown =~ s{^migrate upgrade 1/1 $id: }{} ? complaint($shown, $sql, ACTIVITY) : 'is another';
	is($complaint, '', "$name, shift $shift: the activity");
	value('DROP TABLE shown');
	return;
}

# Names that are too long.
sub is_too_long
{
	my $long = filler(IDENTIFIER);
	my @calls = (
		[ 'MG001', "upgrade('$long')" ],
		[ 'MG001', "upgrade_sql('$long')" ],
		[ 'MG001', "stamp('$long')" ],
		[ '22023', "revision('m', '', '', '$long')" ],
		[ '22023', "revision('m', '', '', 'short', 'base', branch_label => '$long')" ],
		[ 'MG011', "load('-- m\n-- Revision ID: $long\n-- Revises:\n-- migrate:up\n')" ],
		[ '22023', "graph('$long')" ],
	);
	for my $call (@calls)
	{
		my ($code, $sql) = @$call;
		my $error = run("SELECT migrate.$sql")->{error} // {};
		my ($shown) = ($error->{M} // '') =~ /"([^"]*)\.\.\."/;
		is($error->{C}, $code, "$name, shift $shift: " . $sql =~ s/'.*//sr . ' of a long name')
		  or diag $error->{M};
		is(complaint($shown, $long, IDENTIFIER), '', '    shows its beginning');
	}
	return;
}

sub connect_client
{
	$wire = MigrateWire->connect(
		"mig_\L$server",
		client_encoding                   => $client,
		client_min_messages               => 'notice',
		'migrate.concurrent_lock_timeout' => '20ms',
		'migrate.lock_timeout'            => '20ms',
		'migrate.lock_retries'            => 6);
	return;
}

my @worlds = (
	[ 'UTF8',      'UTF8',   $kanji, $e_acute, $emoji ],
	[ 'UTF8',      'LATIN1', $e_acute ],
	[ 'UTF8',      'EUC_JP', $kanji ],
	[ 'EUC_JP',    'EUC_JP', $kanji, $han ],
	[ 'EUC_JP',    'UTF8',   $kanji ],
	[ 'SQL_ASCII', 'UTF8',   $kanji ],
);
for my $world (@worlds)
{
	($server, $client, my @chars) = @$world;
	$watch = MigrateWire->connect("mig_\L$server");
	connect_client();
	for (@chars)
	{
		$char = $_;
		my $width = length bytes($char, $server);
		$name = "server $server, client $client, $width bytes";
		for (0 .. $width - 1)
		{
			$shift = $_;
			refused();
			fails();
			is_too_long();
			is_shown();
			is_retried();
			is_in_doubt();
		}
	}
}

# ----------------------------------------------- what the client cannot hold ----

# Question marks stand for it in notices, which would end the run, and where a
# person has to decide.
($server, $client, $char, $shift) = ('UTF8', 'UTF8', $kanji, 1);
$watch = MigrateWire->connect('mig_utf8');
my $query = "SELECT '" . filler(BLOCKER) . "'";
my $table = 'pg_catalog.pg_shseclabel';

$name = 'bytes of another database, which are no text';
connect_client();
like(in_the_way('mig_euc_jp', $query, 'EUC_JP', $table),
	qr/^SELECT 'x\?+\.\.\.$/, "$name: the query that was in the way");

# A revision that comes from a client of UTF8.
my $utf8 = MigrateWire->connect('mig_utf8', client_encoding => 'UTF8');

sub revision_of_another
{
	my ($message, $sql, $id, $transactional) = @_;
	my $arguments = join ', ', lit($message), lit($sql), "''", "'$id'", "'base'",
	  "transactional => $transactional";
	$utf8->value(bytes("SELECT migrate.revision($arguments)", 'UTF8'));
	return;
}

$name = 'a character that LATIN1 lacks';
$client = 'LATIN1';
connect_client();
{
	revision_of_another("${e_acute}t$e_acute $kanji", 'SELECT 1', 'named', 'true');
	my $result = run(q{SELECT migrate.upgrade('named')});
	is($result->{error}, undef, "$name: a message does not keep its revision from running");
	is(text($result->{notices}[0]{M}, $client),
		"running upgrade  -> named, ${e_acute}t$e_acute ?", '    and has a question mark');
	like(in_the_way('mig_utf8', $query, 'UTF8', 'held'),
		qr/^SELECT 'x\?{63}\.\.\.$/, "$name: the query that was in the way");
}
{
	revision_of_another('m', slow_block(filler(EXCERPT)), 'doubtful', 'false');
	cut_short('doubtful');
	my $result = run(q{CALL migrate.upgrade_stepwise('doubtful')});
	is_error($result, 'MG013', 'in doubt', H => qr/SELECT migrate\.resume\('doubtful'/);
	like($result->{error}{q}, qr/^DO .*-- x\?{2600,}$/s, '    quotes the statement');
	value(q{SELECT migrate.resume('doubtful', 'done')});
	value(q{CALL migrate.upgrade_stepwise('doubtful')});
}

# An error of a script is hidden, as any error of the server is.
{
	my $sql = "SELECT no_such_column, '$kanji'";
	revision_of_another('m', $sql, 'fails', 'true');
	my $logged = length $cluster->log_text;
	is_error(run(q{SELECT migrate.upgrade('fails')}),
		'22P05', 'an error of a script', M => qr/has no equivalent in encoding "LATIN1"$/);
	like(substr($cluster->log_text, $logged),
		qr/ERROR:  column "no_such_column" does not exist at character 8\n/, '    is in the log');
	run(q{SET client_encoding = 'UTF8'});
	$client = 'UTF8';
	is_error(run(q{SELECT migrate.upgrade('fails')}),
		'42703', 'with another client_encoding', quotes => $sql, at => 'no_such_column');
}

done_testing();
drop_databases();
