# Applications of doc/app-*.md, taken from the pages and run against a server of
# the test's own.  They all say the same in their languages, so one set of tests
# is for all of them: check_application.
#
# Environment: MIGRATE_REQUIRE_APPLICATIONS=1, with which what is missing is a
# failure (need); test/tools/applications sets it, and installs what is needed.
package MigrateApp;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(make_path);
use FindBin;
use MigrateServer;
use MigrateTest;
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT = qw(app_database app_server check_application has_program need owner_url
  page_files run_in write_files);

# Ends the test unless it has what it needs: skipped, or failed where all has to
# be there.
sub need
{
	my ($has, $what) = @_;
	return 1 if $has;
	Test::More::plan(skip_all => "$what; \"make test-applications\" installs it")
	  unless $ENV{MIGRATE_REQUIRE_APPLICATIONS};
	Test::More::plan(tests => 1);
	Test::More::fail($what);
	exit 1;
}

sub has_program
{
	my $name = shift;
	return scalar grep { -x "$_/$name" } split /:/, $ENV{PATH};
}

# Runs a program in a directory: (status, output, errors).
sub run_in
{
	my ($dir, @command) = @_;
	my ($status, $out, $err) =
	  run_program('sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', $dir, @command);
	return ($status >> 8 || $status & 127, $out, $err);
}

sub write_files
{
	my ($dir, %content) = @_;
	for my $name (keys %content)
	{
		make_path(dirname("$dir/$name"));
		spew("$dir/$name", $content{$name});
	}
	return;
}

# The files that a page of doc/ shows, by their names: the code blocks whose
# first line is a comment that begins with one.
sub page_files
{
	my $page = shift;
	my %files;
	for my $block (slurp("$FindBin::RealBin/../../doc/$page") =~ /^```\w*\n(.*?)^```/msg)
	{
		my ($name) = $block =~ m{\A(?://|--|\#) ([\w./-]+\.\w+)(?::|\n)} or next;
		die "doc/$page shows $name twice\n" if exists $files{$name};
		$files{$name} = $block;
	}
	return %files;
}

# ---------------------------------------------------------------- server ----

my ($port, $password, $server, $version);

# A server that the applications reach by TCP with a password, as theirs; the
# test itself uses its socket.  shop_owner migrates, and owns the databases.
sub app_server
{
	$port = free_port();
	$password = join '', map { ('a' .. 'z', 0 .. 9)[ rand 36 ] } 1 .. 20;
	$server = MigrateServer->create(
		stopped  => 1,
		settings => [
			"listen_addresses = '127.0.0.1'", "port = $port",
			"password_encryption = 'scram-sha-256'", 'max_connections = 50'
		]);
	spew($server->data . '/pg_hba.conf', <<'END');
local all all trust
host all shop_owner,shop_app 127.0.0.1/32 scram-sha-256
END
	$server->start->use;
	$ENV{PGPORT} = $port;
	($version) = ($server->program('postgres', '--version'))[1] =~ /(\d+)/;
	my ($status, undef, $err) = run_psql('postgres', <<"END");
CREATE ROLE shop_owner LOGIN PASSWORD '$password';
CREATE ROLE shop_app LOGIN PASSWORD '$password';
END
	die $err if $status;
	return $server;
}

# A database of shop_owner's, who made the extension.
sub app_database
{
	my $name = shift;
	create_database($name, plain => 1, owner => 'shop_owner');
	my ($status, undef, $err) = run_psql($name, <<'END', '-U', 'shop_owner');
CREATE EXTENSION migrate;
CREATE TABLE naps (seconds float);
END
	die $err if $status;
	return $name;
}

sub owner_url
{
	my $database = shift;
	return "postgresql://shop_owner:$password\@127.0.0.1:$port/$database";
}

# ----------------------------------------------------------------- checks ----

sub revision
{
	my ($id, $parent, $up, $down) = @_;
	return "-- revision $id\n-- Revision ID: $id\n-- Revises: $parent\n\n-- migrate:up\n$up\n"
	  . (defined $down ? "\n-- migrate:down\n$down\n" : '');
}

my %first = (
	# in no order, with what a careless reader of files trips over
	'9_users.sql' => revision('0001', '',
		"CREATE TABLE users (id int PRIMARY KEY, name text);\n"
		  . "SELECT pg_sleep(seconds) FROM naps;",
		'DROP TABLE users;') =~ s/\n/\r\n/gr,
	"1_a name (of spaces) \xc3\xa9.sql" => revision('0002', '0001',
		"INSERT INTO users VALUES (1, E'O''Brien \\\\ \xc3\xa9 {\"a\", NULL} \$1');", ''));
my %fault = (
	'0003_email.sql' => revision('0003', '0002', "ALTER TABLE users ADD email text;\n\n"
		  . "UPDATE users\n\tSET email = mail;"));
my %concurrently = (
	'0003_email.sql' => revision('0003', '0002', "ALTER TABLE users ADD email text;"),
	'0004_index.sql' => revision('0004', '0003', "SET lock_timeout = '5s';\n"
		  . "CREATE INDEX CONCURRENTLY users_email ON users (email);")
	  =~ s/migrate:up/migrate:up transaction:false/r,
	'0005_naps.sql' => revision('0005', '0004', 'SELECT pg_sleep(seconds) FROM naps;'));

# Runs the application once: (status, what it logged).
sub run_app
{
	my ($app, $database, @arguments) = @_;
	local @ENV{qw(MIGRATION_URL DATABASE_URL)} =
	  ($app->{url}->($database), 'postgresql://127.0.0.1:1/nowhere');
	my ($status, $out, $err) = run_in($app->{dir}, @{ $app->{command} }, @arguments);
	return ($status, "$out$err");
}

# Starts it, waits until it is in a nap, and kills it.  Is its server process
# gone, too?
sub kill_app
{
	my ($app, $database, @arguments) = @_;
	my $nap = $version >= 14 ? 60 : 2;
	my $session = connect_to($database);
	$session->run("INSERT INTO naps VALUES ($nap)");
	local @ENV{qw(MIGRATION_URL DATABASE_URL)} = ($app->{url}->($database)) x 2;
	my $said = "$app->{dir}/killed.log";
	my $process = spawn($said, 'sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', $app->{dir},
		@{ $app->{command} }, @arguments);
	my $backend = q{SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND usename = 'shop_owner'};
	my $asleep = wait_until(
		sub { $session->value("$backend AND query LIKE 'migrate %pg_sleep%'") }, 60);
	Test::More::ok($asleep, '    it is in the middle') or Test::More::diag(slurp($said));
	kill KILL => $process->{pid};
	finish($process);
	my $gone = wait_until(sub { !$session->value($backend) }, 20);
	$session->run('DELETE FROM naps');
	return $gone;
}

sub applied
{
	my $database = shift;
	return (run_psql($database, q{SELECT coalesce(string_agg(revision, ' ' ORDER BY revision), '-')
		FROM migrate.applied}))[1] =~ s/\n//r;
}

sub loaded { return (run_psql($_[0], 'SELECT count(*) FROM migrate.revisions'))[1] + 0 }

# The tests of an application: page, of doc/; dir, where its files are; pack, a
# function that packages it with revision files; command, that runs it; url, of a
# database.
sub check_application
{
	my ($app) = @_;
	my $stepwise = '--stepwise';
	$app->{url} ||= \&owner_url;
	_check_start($app);
	_check_fault($app);
	_check_stepwise($app, $stepwise);
	_check_many($app);
	_check_killed($app, $stepwise);
	return;
}

sub _check_start
{
	my $app = shift;
	app_database('first');
	$app->{pack}->(%first);
	my ($status, $log) = run_app($app, 'first');
	Test::More::is($status, 0, 'the first start') or Test::More::diag($log);
	Test::More::is(applied('first'), '0001 0002', '    applies the files');
	Test::More::is((run_psql('first', 'SELECT name FROM users'))[1],
		qq(O'Brien \\ \xc3\xa9 {"a", NULL} \$1\n), '    as they are');
	Test::More::like($log, qr/(?:NOTICE|INFO): running upgrade  -> 0001, revision 0001$/m,
		'    and logs the notices');
	Test::More::like($log, qr/0001.*0002/, '    and what was applied');
	($status, $log) = run_app($app, 'first');
	Test::More::is($status, 0, 'another start') or Test::More::diag($log);
	Test::More::like($log, qr/(?:NOTICE|INFO): nothing to do: at head 0002$/m,
		'    has nothing to do');
	return;
}

sub _check_fault
{
	my $app = shift;
	$app->{pack}->(%first, %fault);
	my ($status, $log) = run_app($app, 'first');
	Test::More::is($status, 1, 'a script that fails: status 1') or Test::More::diag($log);
	Test::More::like($log, qr/42703.*column "mail" does not exist/, '    SQLSTATE and message');
	Test::More::like($log, qr/revision "0003", upgrade script, statement 2, line 4/,
		'    and where');
	Test::More::like($log, qr/0003_email\.sql/, '    and the file');
	my $page = slurp("$FindBin::RealBin/../../doc/$app->{page}");
	my ($shown) = $page =~ /^```\n([^`]*?42703.*?)^```/ms;
	Test::More::ok(defined $shown && index($log, $shown) >= 0, '    as the page shows it');
	Test::More::unlike($log, qr/^\s+at (?:java|node|org|file)\b|^goroutine /m,
		'    in place of a stack trace');
	Test::More::is(applied('first') . loaded('first'), '0001 00022', '    nothing is changed');
	return;
}

sub _check_stepwise
{
	my ($app, $stepwise) = @_;
	$app->{pack}->(%first, %concurrently);
	my ($status, $log) = run_app($app, 'first');
	Test::More::is($status, 1, 'a script that is not transactional, atomically: status 1');
	Test::More::like($log, qr/MG008/, '    MG008');
	($status, $log) = run_app($app, 'first', $stepwise);
	Test::More::is($status, 0, 'stepwise: it runs') or Test::More::diag($log);
	Test::More::is(applied('first'), '0001 0002 0003 0004 0005', '    to the end');
	Test::More::like($log, qr/(?:NOTICE|INFO): running upgrade 0003 -> 0004, revision 0004$/m,
		'    and logs the notices');
	# an older release, which has fewer files
	$app->{pack}->(%first);
	($status, $log) = run_app($app, 'first');
	Test::More::is($status, 0, 'an instance of the release before starts')
	  or Test::More::diag($log);
	return;
}

sub _check_many
{
	my $app = shift;
	app_database('many');
	run_psql('many', 'INSERT INTO naps VALUES (1)');
	local @ENV{qw(MIGRATION_URL DATABASE_URL)} = ($app->{url}->('many')) x 2;
	my @all = map {
		my $log = "$app->{dir}/many.$_";
		[ $log, spawn($log, 'sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', $app->{dir},
			@{ $app->{command} }) ]
	} 1 .. 6;
	my @failed = grep { finish($_->[1])->{status} } @all;
	Test::More::is(scalar @failed, 0, 'six at once, on an empty database')
	  or Test::More::diag(map { slurp($_->[0]) } @failed);
	Test::More::is((run_psql('many', 'SELECT count(*) FROM migrate.log'))[1], "2\n",
		'    each revision ran once');
	return;
}

sub _check_killed
{
	my ($app, $stepwise) = @_;
	app_database('killed');
	run_psql('postgres', q{ALTER ROLE shop_owner SET client_connection_check_interval = '500ms'})
	  if $version >= 14;
	Test::More::ok(kill_app($app, 'killed'), 'killed in the middle: the server notices');
	Test::More::is(applied('killed') . loaded('killed'), '-0', '    nothing is changed');
	my ($status, $log) = run_app($app, 'killed');
	Test::More::is($status, 0, '    the next start') or Test::More::diag($log);
	Test::More::is(applied('killed'), '0001 0002', '    does all of it');

	$app->{pack}->(%first, %concurrently);
	Test::More::ok(kill_app($app, 'killed', $stepwise), 'killed in the middle of a stepwise run');
	# before 14 the server may come to the end, without a client
	Test::More::like(applied('killed'), $version >= 14 ? qr/^0001 0002 0003 0004$/ : qr/ 0004/,
		'    the completed steps remain');
	($status, $log) = run_app($app, 'killed', $stepwise);
	Test::More::is($status, 0, '    the next start') or Test::More::diag($log);
	Test::More::is(applied('killed'), '0001 0002 0003 0004 0005', '    does the rest');
	return;
}

1;
