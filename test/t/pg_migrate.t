#!/usr/bin/perl
#
# bin/pg_migrate, as its users run it: a repository of files, and a server at the
# other end of a TCP connection that wants a password.
#
# It runs by sh; the first part also by other shells with other awks, those that
# there are.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::RealBin/lib";
use MigrateProject;
use MigrateServer;
use MigrateTest;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

alarm 600;

my $program = abs_path("$FindBin::RealBin/../../bin/pg_migrate");
my $dir = scratch_dir();

my $port = free_port();
my $server = MigrateServer->create(
	settings => [
		"listen_addresses = '127.0.0.1'", "port = $port",
		"password_encryption = 'scram-sha-256'", 'max_locks_per_transaction = 256'
	],
	initdb => ['--auth-host=scram-sha-256']);
$server->use;
$ENV{PGPORT} = $port;

my $password = "p\@ss:w/\xc3\xb6rd?% &=\$x'";
my $role = 'a role';
run_psql('postgres', qq{CREATE ROLE "$role" SUPERUSER LOGIN PASSWORD } . lit($password));

# A text as a part of a URL.
sub encoded { return $_[0] =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger }

my ($user_part, $password_part) = map { encoded($_) } $role, $password;
sub url_of { return "postgresql://$user_part:$password_part\@127.0.0.1:$port/$_[0]" }

# What the user's environment has: no more than this.
our %environment = (
	PATH => dirname(tool('psql')) . ":$ENV{PATH}",
	HOME => "$dir",
	TZ   => 'UTC',
	LANG => 'C.UTF-8');

# Runs pg_migrate in a directory: (exit status or "signal N", output, errors).
our @shell;

sub pg_migrate_in
{
	my ($in, $settings, @arguments) = @_;
	local %ENV = (%environment, %$settings);
	my ($status, $out, $err) =
	  run_program('/bin/sh', '-c', 'cd "$0" && exec "$@"', $in, @shell, $program, @arguments);
	return ($status & 127 ? 'signal ' . ($status & 127) : $status >> 8, $out, $err);
}

# A project: its directory, and the database that it is for.
my $projects = 0;

sub project
{
	my %options = @_;
	my $self = bless { dir => "$dir/project" . ++$projects }, 'Project';
	mkdir $self->{dir} or die $!;
	$self->{database} = create_database("mig_client_$projects", %options);
	$self->{environment} = { DATABASE_URL => url_of($self->{database}) };
	mkdir "$self->{dir}/migrations" unless $options{empty};
	return $self;
}

package Project;

use parent -norequire, 'MigrateProject';

sub run
{
	my ($self, @arguments) = @_;
	return main::pg_migrate_in($self->{dir}, $self->{environment}, @arguments);
}

# An error in one line.
sub is_refused
{
	my ($self, $arguments, $status, $err, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $self->is_run($arguments, $status, '',
		qr/\Apg_migrate: [^\n]*(?:$err)[^\n]*\n\z/, $name);
}

# A revision file with a script.
sub revision
{
	my ($self, $id, $parent, $up, $down, $option) = @_;
	$option = $option ? " $option" : '';
	return $self->file("$id.sql",
		"-- revision $id\n--\n-- Revision ID: $id\n-- Revises: $parent\n"
		  . "\n-- migrate:up$option\n$up\n\n-- migrate:down$option\n" . ($down // '') . "\n");
}

package main;

sub find_program
{
	my $name = shift;
	return grep { -x && !-d } map { "$_/$name" } split /:/, "$environment{PATH}:/sbin:/usr/sbin";
}

# ---------------------------------------------------------------- source ----

for my $check ([ 'shellcheck', '-s', 'sh' ], [ 'dash', '-n' ], [ 'busybox', 'sh', '-n' ])
{
	my ($name, @arguments) = @$check;
	SKIP:
	{
		my ($found) = find_program($name);
		skip "no $name", 1 unless $found;
		my ($status, $out, $err) = run_program($found, @arguments, $program);
		is($status, 0, "@$check has nothing to say") or diag $out, $err;
	}
}

# ----------------------------------------------- by all shells and awks ----

my @ways = ([ 'sh', [], undef ]);
for my $shell ([ 'dash' ], [ 'busybox', 'sh' ], [ 'bash', '--posix' ])
{
	my ($name, @arguments) = @$shell;
	my ($found) = find_program($name) or next;
	push @ways, [ "@$shell", [ $found, @arguments ], undef ];
}
for my $awk ('mawk', 'gawk', 'original-awk', 'busybox')
{
	my ($found) = find_program($awk) or next;
	my $bin = "$dir/bin-$awk";
	mkdir $bin or die $!;
	symlink $found, "$bin/awk" or die $!;
	push @ways, [ "sh with awk of $awk", [], $bin ];
}
# all of busybox, as on Alpine
if (my ($busybox) = find_program('busybox'))
{
	my $bin = "$dir/bin-all";
	mkdir $bin or die $!;
	symlink $busybox, "$bin/$_" for qw(awk od wc tr date mkdir cat sleep kill rm sh);
	push @ways, [ 'busybox alone', [ $busybox, 'sh' ], $bin ];
}

for my $way (@ways)
{
	my ($name, $shell, $bin) = @$way;
	local @shell = @$shell;
	local $environment{PATH} = "$bin:$environment{PATH}" if $bin;
	subtest "a day with it, $name" => \&day;
}

# What a developer does with a new project.
sub day
{
	my $p = project(empty => 1, plain => 1);

	$p->is_run(['init'], 0, "./migrations\nmigrate.conf\n");
	$p->is_run(['init'], 0, '', undef, 'init again');
	is($p->sql(q{SELECT count(*) FROM pg_extension WHERE extname = 'migrate'}),
		1, 'init creates the extension');
	$p->is_run(['status'], 1, '', qr/^pg_migrate: directory .* has no revision files/);

	my $first = $p->is_run([ 'new', 'create users' ], 0,
		qr{^\./migrations/[0-9a-f]{12}_create_users\.sql\n\z});
	chomp $first;
	my ($one) = $first =~ m{/([0-9a-f]{12})};
	my $second = $p->is_run([ 'revision', '-m', "add e-mail: it's 100%" ],
		0, qr{^\./migrations/[0-9a-f]{12}_add_e_mail_it_s_100\.sql\n\z});
	my ($two) = $second =~ m{/([0-9a-f]{12})};
	is(slurp("$p->{dir}/$first") =~ s/Date: [\d: +-]+\n/Date: then\n/r, <<"END", 'the first file');
-- create users
--
-- Revision ID: $one
-- Revises:
-- Depends On:
-- Branch Labels:
-- Create Date: then

-- migrate:up


-- migrate:down

END
	like(slurp("$p->{dir}/" . $second =~ s/\n//r), qr/^-- Revises: $one$/m,
		'the second follows it');

	spew("$p->{dir}/$first",
		slurp("$p->{dir}/$first") =~ s/up\n\n/up\nCREATE TABLE users (id int);\n/r
		  =~ s/down\n\n/down\nDROP TABLE users;\n/r);
	$p->is_run(['status'], 0,
		qr/^ not loaded \| $one +\| ${one}_create_users.sql .*^ not loaded \| $two /ms);
	$p->is_run(['check'], 3, "not loaded $one ${one}_create_users.sql\n"
		  . "not loaded $two ${two}_add_e_mail_it_s_100.sql\n", qr/not up to date/);
	$p->is_run([ 'load', '--dry-run' ],
		0, "new $one ${one}_create_users.sql\nnew $two ${two}_add_e_mail_it_s_100.sql\n");
	is($p->sql('SELECT count(*) FROM migrate.revisions'), 0, 'a dry run loads nothing');
	$p->is_run([ 'upgrade', '--sql' ], 0, qr/^BEGIN;.*^CREATE TABLE users.*^COMMIT;/ms);
	is($p->sql('SELECT count(*) FROM migrate.revisions'), 0, 'nor does --sql');
	$p->is_run(['upgrade'], 0, "$one\n$two\n",
		qr/running upgrade  -> $one, create users\n.*new or changed revisions: 2\n\z/s);
	$p->is_run(['upgrade'], 0, '', qr/^NOTICE:  nothing to do: at head $two\n\z/, 'upgrade again');
	$p->is_run(['current'], 0, "$two (head)\n");
	$p->is_run(['heads'], 0, "$two (head)\n");
	$p->is_run(['history'], 0,
		"$one -> $two (head), add e-mail: it's 100%\n<base> -> $one, create users\n");
	$p->is_run(['check'], 0, '');
	$p->is_run([ 'downgrade', '-1' ], 0, "$two\n", qr/running downgrade $two -> $one/);
	$p->is_run([ 'downgrade', 'base' ], 0, "$one\n", qr/running downgrade $one -> /);
	is($p->sql(q{SELECT to_regclass('users') IS NULL}), 't', 'the table is gone');

	# a file of another branch of the repository
	my $file = $p->revision('8888', $two, 'SELECT 8;');
	$p->is_run(['load'], 0, "new 8888 8888.sql\n");
	unlink $file;
	$p->is_run([ 'upgrade', $one ], 0, "$one\n", qr/^pg_migrate: no file has revision "8888" /m);
	$p->is_run([ 'load', '--prune' ], 0, '', qr/dropped revision "8888"/);
	$p->is_run([ 'downgrade', 'base' ], 0, "$one\n", qr/\A(?!.*no file)/s);

	# two branches, and their merge
	my ($three) = $p->is_run([ 'new', '--head', $one, '--splice', 'another' ], 0, qr/_another\.sql/)
	  =~ m{/([0-9a-f]{12})};
	$p->is_refused([ 'new', 'a third' ], 1, 'there are several heads: .*--head');
	my ($merge) = $p->is_run(['merge'], 0, qr/_merge_/) =~ m{/([0-9a-f]{12})};
	$p->is_run(['upgrade'], 0, qr/\A$one\n(?:$two\n$three|$three\n$two)\n$merge\n\z/, qr//);
	$p->is_run(['history'], 0,
		qr/ -> $merge \(head\) \(mergepoint\), merge .* -> $one \(branchpoint\), create users/s);

	# what comes by a signal of psql, and what is passed on to it
	my $other = connect_to($p->{database});
	$other->run('SELECT pg_advisory_lock(1835624306, 1)');
	local $p->{environment}{PGOPTIONS} = '-c migrate.run_lock_timeout=100ms';
	$p->is_run([ 'stamp', 'base' ], 4, '', qr/could not obtain the run lock/);
	$other->finish;
	$p->revision('9999', $merge, 'SELECT pg_sleep(60);');
	my $run = spawn_in($p, 'upgrade');
	ok(wait_until(sub { sleeping($p) }, 20), 'a script runs') or diag slurp($p->{output});
	kill TERM => $run->{pid};
	is(finish($run)->{status}, 15, 'SIGTERM ends it') or diag slurp($p->{output});
	ok(wait_until(sub { sessions($p) == 0 }, 5), 'and the session');
	is($p->sql('SELECT migrate.current()'), $merge, 'nothing is half done');
	return;
}

# ------------------------------------------------------------- usage ----

subtest 'usage: status 2 and one line' => sub {
	my $p = project();
	is(($p->run)[0], 2, 'no arguments');
	$p->is_run([$_], 0, qr/^pg_migrate \[CONNECTION\]/) for qw(help --help);
	$p->is_run(['--version'], 0, qr/^pg_migrate [\d.]+\n\z/);
	$p->is_run([ 'upgrade', '--help' ], 0, qr/^pg_migrate \[CONNECTION\]/);
	$p->is_refused(['up'], 2, 'unknown command "up"');
	$p->is_refused([ '--nonsense', 'upgrade' ], 2, 'unknown option "--nonsense"');
	$p->is_refused([ $_, '--nonsense' ], 2, 'unknown option "--nonsense"')
	  for qw(init new merge load upgrade downgrade stamp adopt status check current history
	  heads branches show log graph wait export edit);
	$p->is_refused([ $_, 'x', 'y' ], 2, 'y|x') for qw(upgrade edit adopt load log check init);
	$p->is_refused(['downgrade'], 2, 'needs a target');
	$p->is_refused([$_], 2, 'needs') for qw(stamp show edit);
	$p->is_refused(['adopt'], 2, 'alembic');
	$p->is_refused(['new'], 2, 'needs a message');
	$p->is_refused([ 'new', ' ' ], 2, 'needs a message');
	$p->is_refused([ 'new', '--head' ], 2, '--head needs a value');
	$p->is_refused([ 'check', '--models', '-M' ], 2, '-M needs a value');
	$p->is_refused([ 'check', '--models', '--model=' ], 2, '--model= needs a value');
	$p->is_refused([ 'upgrade', '-d' ], 2, '-d needs a value');
	$p->is_refused([ 'upgrade', '--atomic', '--stepwise' ], 2, 'exclude');
	$p->is_refused([ 'upgrade', '--sql', '--dry-run' ], 2, 'exclude');
	$p->is_refused([ 'upgrade', '--dry-run', '--stepwise' ], 2, 'no --dry-run');
	$p->is_refused([ 'wait', '--timeout', 'x' ], 2, 'number of seconds');
	$p->is_refused([ 'lint', '--github', '--sarif' ], 2, 'exclude');
	$p->is_refused([ 'lint', '--json', '--sarif' ], 2, 'exclude');
	$p->is_refused([ 'check', '--json', '--lint' ], 2, 'exclude');
	$p->is_refused([ 'lint', '--level=high' ], 2, '--level is');
	$p->is_refused([ 'lint', '--downgrade' ], 2, 'needs a target');
	$p->is_refused([ 'lint', 'a', 'b' ], 2, 'one target');
	is_deeply([ $p->files ], [], 'and nothing is written');
};

subtest 'migrate.conf' => sub {
	my $p = project();
	my $conf = sub { spew("$p->{dir}/migrate.conf", shift) };
	$conf->("# of the shop\r\n\r\n directory = db migrations \r\nrevision_ids=serial\n"
		  . "role = $role\nmodel = | true\nmode = stepwise");
	mkdir "$p->{dir}/db migrations" or die $!;
	$p->is_run([ 'new', 'one' ], 0, "db migrations/0001_one.sql\n", undef,
		'directory, revision_ids');
	$p->is_run(['upgrade'], 0, "0001\n", qr/running upgrade  -> 0001/, 'mode, role');
	is($p->sql('SELECT effective_role FROM migrate.log'), $role, 'role');
	$p->is_run([ '-D', 'migrations', 'new', 'x' ], 0, qr{^migrations/0001}, undef,
		'-D is stronger');
	$p->{environment}{MIGRATE_DIR} = "$p->{dir}/migrations";
	$p->is_run([ 'new', 'y' ], 0, qr{/migrations/0002_y}, undef, 'MIGRATE_DIR is, too');
	$conf->("direktory = x\n");
	$p->is_refused([ 'new', 'x' ], 2, 'line 1: unknown setting "direktory"');
	$conf->("\nrevision_ids = uuid\n");
	$p->is_refused([ 'new', 'x' ], 2, 'line 2: revision_ids');
	$conf->("mode = fast\n");
	$p->is_refused(['upgrade'], 2, 'line 1: mode');
	$conf->("atomic\n");
	$p->is_refused(['upgrade'], 2, 'line 1: not of the form');
	$conf->("role = nobody here\n");
	$p->is_run(['current'], 1, '', qr/nobody here/, 'a role that is not there');
};

# -------------------------------------------------------- connections ----

subtest 'connections' => sub {
	my $p = project();
	$p->revision('0001', '', 'SELECT 1;');
	my $at = "127.0.0.1:$port/$p->{database}";
	my $try = sub {
		my ($url, $status, $err, $name, @more) = @_;
		local $p->{environment} = { defined $url ? (DATABASE_URL => $url) : (), @more };
		my @got = $p->run('current');
		is($got[0], $status, $name);
		like($got[2], $err, "$name: what it says");
		unlike("@got[1, 2]", qr/secret|w\/\xc3|\Q$password_part\E/, "$name: no password");
		is($got[2] =~ tr/\n//, 1, "$name: one line") if $status == 2 && $name !~ /no server/;
	};
	my $good = "$user_part:$password_part\@$at";
	$try->("postgresql://$good", 0, qr/^\z/, 'an encoded password');
	$try->("postgres://$good", 0, qr/^\z/, 'postgres://');
	$try->("postgresql+psycopg2://$good", 0, qr/^\z/, 'a driver in the scheme');
	$try->("postgres+asyncpg://$good?connect_timeout=5", 0, qr/^\z/, 'with a parameter');
	$try->("postgresql://$user_part\@$at?password=$password_part&connect_timeout=5",
		0, qr/^\z/, 'the password as a parameter');
	$try->("postgresql://$user_part\@$at?connect_timeout=5&password=$password_part",
		0, qr/^\z/, 'as the last one');
	$try->("postgresql://$user_part\@$at", 0, qr/^\z/, 'PGPASSWORD', PGPASSWORD => $password);
	$try->("postgresql://$user_part:secret\@$at", 2, qr/password/, 'a wrong password',
		PGPASSWORD => $password);
	$try->("postgresql://$good" . 'x', 2, qr/does not exist/, 'no such database');
	$try->("postgresql://u:secret\@127.0.0.1:1/x", 2, qr/refused/, 'no server');
	{
		# psql has gone before the files are sent
		my $long = $p->revision('0002', '0001', '-- ' . 'x' x 1e6);
		local $p->{environment} = { DATABASE_URL => 'postgresql://u:secret@127.0.0.1:1/x' };
		$p->is_run($_, 2, '', qr/\Apsql: (?!.*(?:pipe|pg_migrate:)).*refused/s, "no server: @$_")
		  for ['load'], ['upgrade'], [ 'upgrade', '--stepwise' ], [ 'upgrade', '--dry-run' ],
		  [ 'downgrade', '-1' ], ['status'], ['check'], [ 'stamp', 'head' ];
		unlink $long;
	}
	$try->("postgresql://u:secret\@$at?ssl=require", 2, qr/ssl/, 'a parameter of another driver');
	$try->("mysql://u:secret\@$at", 2, qr/not a URL of PostgreSQL: it begins with "mysql:/,
		'MySQL');
	$try->("u:secret\@$at", 2, qr/^pg_migrate: DATABASE_URL is not a URL/, 'no URL');
	$try->("postgresql://u:secret%zz\@$at", 2, qr/hexadecimal/, 'a stray %');
	$try->("postgresql://u:secret%\@$at", 2, qr/hexadecimal/, 'a % at the end');
	$try->("postgresql://u:secret%00\@$at", 2, qr/%00/, 'a zero byte');

	my @options = ('-h', '127.0.0.1', "-p$port", "--username=$role", '-w', '-d', $p->{database});
	$p->{environment} = { DATABASE_URL => 'mysql://x', PGPASSWORD => $password };
	$p->is_run([ @options, 'current' ], 0, '', undef, 'options are stronger than DATABASE_URL');
	$p->is_run([ 'current', @options ], 0, '', undef, 'after the command, too');
	$p->{environment} = {};
	$p->is_run([ '-d', "postgresql+x://$good", 'current' ], 0, '', undef, 'a URL as -d');
	$p->{environment} = {
		PGHOST     => '127.0.0.1', PGPORT => $port, PGUSER => $role, PGPASSWORD => $password,
		PGDATABASE => $p->{database} };
	$p->is_run(['current'], 0, '', undef, 'PG*');
	$p->{environment} = {};
	spew("$dir/.pgpass", "127.0.0.1:$port:*:$role:" . $password =~ s/([:\\])/\\$1/gr . "\n");
	chmod 0600, "$dir/.pgpass";
	# libpq before 15 does not look for it in $HOME
	$p->{environment} = { PGPASSFILE => "$dir/.pgpass" };
	$p->is_run([ @options, 'current' ], 0, '', undef, '.pgpass');
	$p->{environment} = {};
	unlink "$dir/.pgpass";
	local $environment{PATH} = "$dir/nothing";
	mkdir "$dir/nothing";
	symlink $_, "$dir/nothing/" . s{.*/}{}r for map { (find_program($_))[0] } qw(awk cat od);
	my ($sh) = grep { -x } '/bin/sh', '/usr/bin/sh';
	local @shell = ($sh);
	my ($status, $out, $err) = pg_migrate_in($p->{dir}, { PATH => "$dir/nothing" }, 'current');
	is($status, 2, 'no psql');
	like($err, qr/\Apg_migrate: there is no psql in PATH[^\n]*\n\z/, 'no psql: says so');
};

subtest 'the password is in no argument' => sub {
	plan skip_all => 'no /proc' unless -r '/proc/self/cmdline';
	my $p = project();
	$p->revision('0001', '', 'SELECT pg_sleep(60);');
	my $run = spawn_in($p, 'upgrade');
	ok(wait_until(sub { sleeping($p) }, 20), 'the script runs');
	my @with = grep { (eval { slurp($_) } // '') =~ /\Q$p->{database}\E/ }
	  glob '/proc/[0-9]*/cmdline';
	ok(@with, 'arguments have the database');
	my @secrets = grep
	{
		my $text = eval { slurp($_) } // '';
		index($text, $password) >= 0 || index($text, $password_part) >= 0
	} glob '/proc/[0-9]*/cmdline';
	is_deeply(\@secrets, [], 'and none the password');
	kill INT => $run->{pid};
	finish($run);
};

# Starts it in a project, in a process group of its own.
sub spawn_in
{
	my ($p, @arguments) = @_;
	local %ENV = (%environment, %{ $p->{environment} });
	$p->{output} = "$p->{dir}/output";
	return spawn($p->{output}, '/bin/sh', '-c', 'cd "$0" && exec "$@"',
		$p->{dir}, @shell, $program, @arguments);
}

# Sessions of the project's database that run pg_sleep.
sub sleeping
{
	my $p = shift;
	return (run_psql('postgres',
			"SELECT count(*) FROM pg_stat_activity WHERE datname = '$p->{database}'
				AND wait_event = 'PgSleep'"))[1] > 0;
}

sub sessions
{
	my $p = shift;
	return 0 + (run_psql('postgres',
			"SELECT count(*) FROM pg_stat_activity WHERE datname = '$p->{database}'"))[1];
}

# ------------------------------------------------------------ signals ----

for my $case (
	[ 'Ctrl-C: SIGINT to all of them', INT => -1, 'upgrade' ],
	[ 'SIGINT to the shell alone', INT => 1, 'upgrade' ],
	[ 'SIGTERM to the shell alone', TERM => 1, 'upgrade' ],
	[ 'SIGHUP to the shell alone', HUP => 1, 'upgrade' ],
	[ 'Ctrl-C in a stepwise run', INT => -1, 'upgrade', '--stepwise' ])
{
	my ($name, $signal, $sign, @arguments) = @$case;
	subtest $name => sub {
		my $p = project();
		my %number = (INT => 2, TERM => 15, HUP => 1);
		my $stepwise = grep { $_ eq '--stepwise' } @arguments;
		$p->revision('0001', '', 'CREATE TABLE t (a int);', 'DROP TABLE t;');
		$p->revision('0002', '0001', "CREATE TABLE u (a int);\nSELECT pg_sleep(60);");
		my $begin = time;
		my $run = spawn_in($p, @arguments);
		ok(wait_until(sub { sleeping($p) }, 20), 'the script runs') or diag slurp($p->{output});
		kill $signal => $sign * $run->{pid};
		my $status = finish($run)->{status};
		is($status, $number{$signal}, 'it ends by the signal') or diag slurp($p->{output});
		ok(time - $begin < 40, 'at once');
		ok(wait_until(sub { sessions($p) == 0 }, 5), 'the session has ended');
		is($p->sql('SELECT migrate.current()'), $stepwise ? '0001' : '', 'nothing is half done');
		is($p->sql(q{SELECT to_regclass('u') IS NULL}), 't', 'nor a table left');
	};
}

subtest 'a signal while it connects' => sub {
	my $p = project();
	$p->revision('0001', '', 'SELECT 1;');
	# takes connections, and says nothing
	my $deaf = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die $!;
	$p->{environment}{DATABASE_URL} = 'postgresql://u:p@127.0.0.1:' . $deaf->sockport . '/x';
	my $run = spawn_in($p, 'upgrade');
	my $client = $deaf->accept;
	kill INT => -$run->{pid};
	my $begin = time;
	is(finish($run)->{status}, 2, 'it ends by the signal');
	ok(time - $begin < 20, 'soon');
};

subtest 'a signal before it knows psql' => sub {
	my ($bash) = find_program('bash');
	plan skip_all => 'no bash' unless $bash;
	my $p = project();
	$p->revision('0001', '', 'SELECT pg_sleep(60);');
	# psql runs already, and its pid is not looked at yet
	$p->{environment}{BASH_ENV} = spew("$p->{dir}/slow",
		q{set -T; trap '[ "$BASH_COMMAND" != "pid=\$!" ] || sleep 3' DEBUG});
	local @shell = ($bash);
	my $run = spawn_in($p, 'upgrade');
	ok(wait_until(sub { sleeping($p) }, 20), 'the script runs') or diag slurp($p->{output});
	kill INT => $run->{pid};
	my $begin = time;
	is(finish($run)->{status}, 2, 'it ends by the signal');
	ok(time - $begin < 20, 'soon');
	ok(wait_until(sub { sessions($p) == 0 }, 5), 'the session has ended');
};

# --------------------------------------------------------- file contents ----

subtest 'names and contents of files' => sub {
	my $p = project();
	my $bom = "\xef\xbb\xbf";
	my %content = (
		'0001_blanks in the name.sql' =>
		  "-- one\n-- Revision ID: 0001\n-- Revises:\n-- migrate:up\nCREATE TABLE one (a text);\n",
		"0002_quote's \"two\".sql" =>
		  "-- two\r\n-- Revision ID: 0002\r\n-- Revises: 0001\r\n\r\n-- migrate:up\r\n"
		  . "INSERT INTO one VALUES ('two');\r\n\r\n-- migrate:down\r\nDELETE FROM one;\r\n",
		'0003_100%_\\_$(id)_`id`.sql' => "$bom-- three\n-- Revision ID: 0003\n-- Revises: 0002\n"
		  . "-- migrate:up\nINSERT INTO one VALUES (\$q\$it's \\ :a :'b' \$1 \$\$ \$q\$);\n",
		"0004_\xc3\xa4\xe6\xbc\xa2=x:y,z{}.sql" => "-- vier \xc3\xa4\n-- Revision ID: 0004\n"
		  . "-- Revises: 0003\n-- migrate:up\nINSERT INTO one VALUES ('\xc3\xa4 \xe6\xbc\xa2');\n",
		'-0005.sql' => "-- five\n-- Revision ID: 0005\n-- Revises: 0004\n-- migrate:up\n"
		  . "INSERT INTO one VALUES (E'\\\\x\\n\\'');",
		'a=b.sql' => "-- six\n-- Revision ID: 0006\n-- Revises: 0005\n-- migrate:up\n"
		  . "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS \$\$ "
		  . "SELECT 'a;\n-- migrate:down\n'::text \$\$;\n",
		'licence.sql' => "/* a licence\n-- Revision ID: 1\n/* nested */ DROP\n"
		  . "-- migrate:up\n*/ /**/\n"
		  . " /* one */ -- eight\n-- Revision ID: 0008\n-- Revises: 0007\n-- migrate:up\n",
		'+7 .sql' => "-- seven\n-- Revision ID: 0007\n-- Revises: 0006\n-- migrate:up\n",
	);
	$p->file($_, $content{$_}) for keys %content;
	mkdir "$p->{dir}/migrations/directory.sql" or die $!;
	$p->file('.hidden.sql', 'no revision');
	$p->file('README.md',   'no revision');
	my $out = $p->is_run(['load'], 0, qr/^new 0001 0001_blanks in the name\.sql$/m);
	is_deeply(
		[ sort map { /^new \d{4} (.*)/ ? $1 : $_ } split /\n/, $out ],
		[ sort keys %content ], 'the names are as they are');
	$p->is_run(['load'], 0, '', undef, 'again: nothing');
	$p->is_run(['upgrade'], 0, join('', map { "000$_\n" } 1 .. 8), qr/completed: 8 revisions/);
	is($p->sql(q{SELECT string_agg(a, '|' ORDER BY a COLLATE "C") FROM one}),
		join('|', sort 'two', q{it's \\ :a :'b' $1 $$ }, "\xc3\xa4 \xe6\xbc\xa2", "\\x\n'"),
		'and so are the contents');
	is($p->sql('SELECT downgrade_sql FROM migrate.revisions WHERE revision = \'0002\''),
		'DELETE FROM one;', 'CRLF');
	$p->is_run([ 'new', 'next' ], 0, qr/_next\.sql/, undef, 'new reads them, too');
	like(slurp("$p->{dir}/migrations/" . (grep { /_next/ } $p->files)[0]),
		qr/^-- Revises: 0008$/m, 'and finds the head');
};

subtest 'files of all lengths' => sub {
	my $p = project();
	my $parent = '';
	for my $length (0 .. 40, 4095 .. 4097, 100_000)
	{
		my $id = sprintf '%06d', $length;
		my $head = "-- $id\n-- Revision ID: $id\n-- Revises: $parent\n-- migrate:up\n";
		$p->file("$id.sql", "$head-- " . 'x' x $length . "\nSELECT 1;");
		$parent = $id;
	}
	$p->is_run(['load'], 0, qr/\A(?:new .*\n){45}\z/);
	is(
		$p->sql(
			q{SELECT count(*) FROM migrate.revisions
			WHERE upgrade_sql = '-- ' || repeat('x', revision::int) || E'\nSELECT 1;'}),
		45, 'all are as they were');
};

subtest 'files that cannot be taken' => sub {
	my $p = project();
	my $good = sub { $p->revision('0001', '', 'SELECT 1;') };
	my $refused = sub {
		my ($name, $content, $err, @more) = @_;
		unlink "$p->{dir}/migrations/$_" for $p->files;
		$good->();
		$p->file($name, $content);
		my @before = $p->files;
		for my $command (['load'], ['upgrade'], [ 'upgrade', '--sql' ], [ 'upgrade', '--dry-run' ],
			[ 'downgrade', 'base' ], [ 'stamp', 'head' ], ['status'], ['check'], @more)
		{
			my ($status, $out, $said) = $p->run(@$command);
			is($status, 1, "$name: @$command: 1");
			like($said, $err, "$name: what it says");
			is($out, '', "$name: and prints nothing") unless $command->[0] eq 'check';
		}
		is($p->sql('SELECT count(*) FROM migrate.revisions'), 0, "$name: nothing is loaded");
		is_deeply([ $p->files ], \@before, "$name: nothing is written");
	};
	my $new = [ 'new', 'x' ];
	$refused->('zero.sql', "-- x\n-- Revision ID: x1\n-- Revises:\n-- migrate:up\nSELECT '\0';\n",
		qr/zero\.sql/);
	$refused->('latin1.sql',
		"-- x\n-- Revision ID: x1\n-- Revises:\n-- migrate:up\nSELECT '\xe4';\n",
		qr/latin1\.sql/);
	$refused->('syntax.sql', "-- x\n-- Revision ID: x1\n-- Revises:\n-- migrate:up\nSELEC 1;\n",
		qr/syntax\.sql.*line 5/s);
	$refused->('twice.sql', "-- x\n-- Revision ID: 0001\n-- Revises:\n-- migrate:up\n",
		qr/0001\.sql.*twice\.sql.*another/s, $new, ['merge'], [ 'edit', '0001' ]);
	$refused->('00001_goose.sql', "-- +goose Up\nSELECT 1;\n", qr/goose/, $new, ['merge']);
	for my $command (['load'], ['check'], $new)
	{
		$p->file("0000${_}_more.sql", "-- +goose Up\nSELECT $_;\n") for 1 .. 3;
		my ($status, $out, $said) = $p->run(@$command);
		is($status, 1, "several of goose: @$command: 1");
		like($said, qr/is one of goose.*write "-- migrate:up"|is one of goose.*HINT: /s,
			'several of goose: what it says');
	}
	$refused->('V1__flyway.sql', "CREATE TABLE t (a int);\n", qr/Flyway/, $new);
	$refused->('1_a.up.sql', "CREATE TABLE t (a int);\n", qr/golang-migrate/, $new);
	$refused->('empty.sql', '', qr/empty\.sql.*migrate:up|migrate:up.*empty\.sql/s, $new);
	$refused->('orphan.sql', "-- x\n-- Revision ID: x1\n-- Revises: nobody\n-- migrate:up\n",
		qr/nobody/, $new);
	my $long = 'x' x 100_000;
	$refused->('cut.sql', "-- $long\n-- Revision ID: x1\n-- Revises:\n-- migrate:up\n\\i x\n",
		qr/cut\.sql/);
};

subtest 'directories' => sub {
	my $p = project();
	my @commands = (['load'], ['upgrade'], ['status'], ['check'], [ 'stamp', 'head' ]);
	$p->is_refused($_, 1, 'directory "\./migrations" has no revision files') for @commands;
	$p->file('notes.txt', 'x');
	$p->is_refused($_, 1, 'directory "\./migrations" has no revision files', "@$_, other files")
	  for @commands;
	$p->is_refused([ '-D', 'nowhere', @$_ ], 2, 'there is no directory "nowhere"')
	  for @commands, [ 'new', 'x' ], ['merge'], ['export'];
	$p->is_refused([ '-D', 'migrations/notes.txt', @$_ ], 2, 'there is no directory') for @commands;
	symlink 'gone', "$p->{dir}/migrations/link.sql" or die $!;
	$p->is_refused($_, 1, 'cannot read file "\./migrations/link\.sql"')
	  for @commands, [ 'new', 'x' ];
	unlink "$p->{dir}/migrations/link.sql";
	$p->file("a\nb.sql", 'x');
	$p->is_refused($_, 1, 'line break') for @commands;
	unlink "$p->{dir}/migrations/a\nb.sql";
	my $file = $p->revision('0001', '', 'SELECT 1;');
	SKIP:
	{
		skip 'root can read everything', 2 if $> == 0;
		chmod 0, $file;
		$p->is_refused($_, 1, 'cannot read file "\./migrations/0001\.sql"') for @commands;
		chmod 0644, $file;
		chmod 0, "$p->{dir}/migrations";
		$p->is_refused($_, 2, 'cannot read directory "\./migrations"') for @commands;
		chmod 0755, "$p->{dir}/migrations";
	}
	is($p->sql('SELECT count(*) FROM migrate.revisions'), 0, 'nothing is loaded');
	mkdir "$p->{dir}/-x" or die $!;
	rename $file, "$p->{dir}/-x/0001.sql" or die $!;
	$p->is_run([ '-D', '-x', 'upgrade' ], 0, "0001\n", qr/running/,
		'a directory named like an option');
};

subtest '5,000 files' => sub {
	my $p = project();
	my $parent = '';
	for my $i (1 .. 5000)
	{
		my $id = sprintf '%05d', $i;
		$p->revision($id, $parent, "SELECT $i; -- " . "it's long " x 200);
		$parent = $id;
	}
	$p->is_run(['load'], 0, qr/\A(?:new .*\n){5000}\z/);
	is($p->sql(q{SELECT count(*) FROM migrate.revisions WHERE length(upgrade_sql) > 1800}),
		5000, 'all are loaded');
	$p->is_run(['load'], 0, '', undef, 'again: nothing');
	$p->is_run(['status'], 0, qr/pending .* 05000/);
	$p->is_run([ 'new', '--rev-id', 'x', 'one more' ], 0, qr{/x_one_more\.sql});
};

# wc says other lengths than od has: files that others write at the same time.
subtest 'files that change while they are read' => sub {
	my $p = project();
	$p->revision('0001', '', 'CREATE TABLE t (a int);');
	$p->revision('0002', '0001', 'SELECT 2;');
	my ($wc) = find_program('wc');
	for my $change ('+ 1', '- 1', '+ 100000', '* 0')
	{
		my $bin = "$dir/bin-wc";
		mkdir $bin;
		chmod 0755,
		  spew("$bin/wc", "#!/bin/sh\n$wc \"\$@\" | awk '{ print \$1 $change, \$2 }'\n");
		local $environment{PATH} = "$bin:$environment{PATH}";
		$p->is_refused($_, 1, 'could not be read, or changed', "wc $change: @$_")
		  for ['load'], ['upgrade'], [ 'upgrade', '--stepwise' ], [ 'upgrade', '--dry-run' ],
		  ['status'], ['check'], [ 'stamp', 'head' ];
	}
	is($p->sql(q{SELECT count(*) || (to_regclass('t') IS NULL)::text FROM migrate.revisions}),
		'0true', 'nothing is loaded, nothing has run');
};

# ------------------------------------------------------- new and merge ----

subtest 'new and merge: no database is needed' => sub {
	my $p = project();
	$p->{environment} = { DATABASE_URL => 'nonsense', PGHOST => '/nowhere' };
	my @new = ('new', '--rev-id');
	$p->is_run([ @new, 'a1', 'one' ], 0, "./migrations/a1_one.sql\n");
	$p->is_run([ @new, 'a2', '--no-transaction', 'two', 'words' ], 0,
		"./migrations/a2_two_words.sql\n");
	like(slurp("$p->{dir}/migrations/a2_two_words.sql"),
		qr/^-- migrate:up transaction:false\n.*^-- migrate:down transaction:false\n/ms,
		'--no-transaction');
	$p->is_refused([ @new, 'a1', 'x' ], 1, '"a1" is in use: file "a1_one\.sql"');
	$p->is_refused([ @new, $_, 'x' ], 2, 'reserved word') for qw(head base heads current);
	$p->is_refused([ @new, $_, 'x' ], 2, 'characters') for 'a-b', 'a b', 'a@b', 'a+1', 'a:b', 'a,b';
	$p->is_refused([ 'new', '--head', 'a1', 'x' ], 1, '"a1" is not a head; --splice');
	$p->is_refused([ 'new', '--head', 'nobody', 'x' ], 1, 'no file has a revision "nobody"');
	$p->is_refused(['merge'], 1, 'nothing to merge');
	$p->is_run([ @new, 'b1', '--head', 'a1', '--splice', '--label', 'billing', 'bills' ], 0,
		qr/b1/);
	$p->is_refused([ @new, 'x', '--head', 'a1', '--splice', '--label', $_, 'x' ], 1, 'in use')
	  for qw(billing a1);
	$p->is_refused([ 'new', 'x' ], 1, 'several heads: "a2", "b1"');
	$p->is_run([ @new, 'b2', '--head', 'billing@head', '--depends-on', 'a2,a1', 'more' ], 0,
		qr/b2/);
	like(slurp("$p->{dir}/migrations/b2_more.sql"),
		qr/^-- Revises: b1\n-- Depends On: a2, a1\n-- Branch Labels:\n/m,
		'--head L@head, --depends-on');
	like(slurp("$p->{dir}/migrations/b1_bills.sql"), qr/^-- Branch Labels: billing\n/m, '--label');
	$p->is_run([ @new, 'c0001', '--head', 'base', 'base' ], 0, qr/c0001/, undef, '--head base');
	$p->is_run([ @new, 'c0002', '--head', 'c000', 'prefix' ], 0, qr/c0002/, undef, 'a prefix');
	$p->is_refused([ 'new', '--head', 'c000', 'x' ], 1, 'ambiguous');
	$p->is_refused([ 'merge', 'a2' ], 1, 'two heads');
	$p->is_refused([ 'merge', 'a2', 'b1' ], 1, '"b1" is not a head');
	$p->is_run([ 'merge', '--rev-id', 'm1', 'a2', 'b2' ], 0,
		"./migrations/m1_merge_a2_and_b2.sql\n");
	like(slurp("$p->{dir}/migrations/m1_merge_a2_and_b2.sql"),
		qr/^-- merge a2 and b2\n--\n.*^-- Revises: a2, b2\n/ms, 'the merge');
	$p->is_run([ 'merge', '-m', 'all', '--rev-id', 'm2' ], 0, "./migrations/m2_all.sql\n");
	$p->is_run([ @new, 'm3', "several\nlines" ], 0, "./migrations/m3_several_lines.sql\n");
	like(slurp("$p->{dir}/migrations/m3_several_lines.sql"), qr/\A-- several\n-- lines\n--\n/,
		'lines');
	$p->is_refused([ 'new', "x\nRevision ID: y" ], 2, 'cannot have a line');
	$p->{environment} = { EDITOR => 'echo edited', VISUAL => '' };
	$p->is_run([ @new, 'm4', '--edit', 'x' ], 0,
		"./migrations/m4_x.sql\nedited ./migrations/m4_x.sql\n");
	$p->is_run([ 'edit', 'c0002' ], 0, "edited ./migrations/c0002_prefix.sql\n");
	$p->is_run([ 'edit', 'head' ], 0, "edited ./migrations/m4_x.sql\n");
	$p->is_run([ 'edit', 'billing@head' ], 0, "edited ./migrations/m4_x.sql\n");
	$p->is_refused([ 'edit', 'nobody' ], 1, 'no file has');
	$p->is_refused([ 'edit', 'nobody@head' ], 1, 'no file has');
	$p->is_run([ qw(new --head=c0002 --splice --rev-id=c3 --label=c --message=c3),
			'--depends-on=a1,a2' ], 0, "./migrations/c3_c3.sql\n", undef, '--option=value');
	like(slurp("$p->{dir}/migrations/c3_c3.sql"),
		qr/: c3\n-- Revises: c0002\n-- Depends On: a1, a2\n-- Branch Labels: c\n/,
		'the values are those');
	$p->is_refused([ 'edit', 'head' ], 1, 'several heads: "c3", "m4"');
	$p->is_run([ qw(merge --rev-id=m5 --message=all --label=all) ], 0, "./migrations/m5_all.sql\n",
		undef, 'merge --option=value');
	my @files = $p->files;
	$p->{environment} = { DATABASE_URL => url_of($p->{database}) };
	$p->is_run(['load'], 0, qr/\A(?:new .*\n){@{[ scalar @files ]}}\z/);
	$p->is_run(['heads'], 0, "m5 (all, billing, c) (head)\n");
};

subtest 'ids and names of files are those of the server' => sub {
	my $p = project();
	my @messages = (
		'add users', 'Add  USERS, and: more!',
		"\xc3\x84nderung \xc3\xbcber\xe6\xbc\xa2\xe5\xad\x97",
		'a_b__c', '.hidden', '100% sure', 'x' x 50, 'word ' x 20,
		"\xc3\xa4 \xc3\xb6 " x 20, "\xc3\xa4" x 41, 'a' x 39 . ' b', 'a' x 40 . ' b', '!!!',
		"C1 \xc2\x85 x");
	my $n = 0;
	for my $message (@messages)
	{
		my $id = sprintf 'id%%%02d', ++$n;
		$p->is_run([ 'new', '--rev-id', $id, $message ], 0, qr/id/);
	}
	$p->is_run(['load'], 0, qr/new/);
	is_deeply(
		[ sort split /\n/, $p->sql('SELECT migrate.file_name(revision) FROM migrate.revisions') ],
		[ $p->files ], 'names');

	my $q = project();
	spew("$q->{dir}/migrate.conf", "revision_ids = serial\n");
	$q->is_run([ 'new', 'x' ], 0, "./migrations/0001_x.sql\n");
	$q->is_run([ 'new', 'x' ], 0, "./migrations/0002_x.sql\n");
	$q->is_run([ 'new', '--rev-id', '9999', 'x' ], 0, "./migrations/9999_x.sql\n");
	$q->is_run([ 'new', 'x' ], 0, "./migrations/10000_x.sql\n");
	$q->is_run([ 'new', '--rev-id', '99999999999999999999', 'x' ], 0, qr/99999999999999999999_x/);
	$q->is_run([ 'new', 'x' ], 0, "./migrations/100000000000000000000_x.sql\n");
	spew("$q->{dir}/migrate.conf", "revision_ids = timestamp\n");
	$q->is_run([ 'new', 'x' ], 0, qr{^\./migrations/20\d{12}_x\.sql\n\z});
	$q->is_run([ 'new', 'y' ], 0, qr/_y\.sql\n\z/, undef,
		'and another, perhaps in the same second');
	$q->is_run(['load'], 0, qr/\A(?:new .*\n){8}\z/);
};

subtest 'a directory of dbmate' => sub {
	my $p = project();
	$p->file('20240101000000_create_users.sql',
		"-- migrate:up\nCREATE TABLE users (id int);\n\n-- migrate:down\nDROP TABLE users;\n");
	$p->is_run([ 'new', 'add email' ], 0, qr{^\./migrations/20\d{12}_add_email\.sql\n\z});
	my ($file) = grep { /add_email/ } $p->files;
	is(slurp("$p->{dir}/migrations/$file"), "-- migrate:up\n\n\n-- migrate:down\n\n",
		'a new file is one of dbmate');
	$p->is_refused([ 'new', '--label', 'x', 'y' ], 2, 'have no headers');
	$p->is_refused([ 'new', '--rev-id', '20230101000000', 'y' ], 2, 'sorts before');
	$p->is_run(['upgrade'], 0, qr/\A20240101000000\n20\d{12}\n\z/, qr/running/);
};

# ----------------------------------------------------- ways of moving ----

subtest 'transactional and not' => sub {
	my $p = project();
	my $index = 'CREATE INDEX CONCURRENTLY t_a ON t (a);';
	$p->revision('0001', '', 'CREATE TABLE t (a int);', 'DROP TABLE t;');
	$p->revision('0002', '0001', $index, 'DROP INDEX CONCURRENTLY t_a;', 'transaction:false');
	$p->is_run([ 'upgrade', '--atomic' ], 1, '', qr/not transactional|non-transactional/);
	is($p->sql('SELECT count(*) FROM migrate.applied'), 0, '--atomic: nothing is done');
	$p->is_run(['upgrade'], 0, "0001\n0002\n",
		qr/^pg_migrate: revision "0002" is not transactional: going step by step$/m,
		'step by step by itself');
	$p->is_run(['upgrade'], 0, '', qr/\ANOTICE:  nothing to do/, 'nothing to do');
	$p->is_run([ 'downgrade', '--atomic', '-1' ], 1, '', qr/not transactional|non-transactional/);
	$p->is_run([ 'downgrade', 'base' ], 0, "0002\n0001\n", qr/^pg_migrate: .* step by step$/m,
		'downgrade: by itself, too');
	$p->is_run([ 'upgrade', '--stepwise', '0001' ], 0, "0001\n", qr/running/);
	$p->is_run([ 'downgrade', '-1' ], 0, "0001\n", qr/\A(?!.*step by step)/s,
		'atomic where it can be');

	# marker lines that are part of a literal
	$p->revision('0003', '0001', "SELECT '\n-- migrate:up transaction:false\n';");
	$p->is_run([ 'upgrade', '0003' ], 0, "0001\n0003\n", qr/\A(?!.*step by step)/s, 'not fooled');

	# an error, and what was done before it
	$p->revision('0004', '0002', "CREATE TABLE u (a int);\nSELECT 1 / 0;", '', 'transaction:false');
	$p->is_run([ 'upgrade', '0004' ], 5, "0002\n", qr/division by zero/, 'a script is incomplete');
	$p->is_run([ 'upgrade', '--atomic', '0004' ], 5, '', qr/incomplete/, 'still');
	$p->is_run(['check'], 5, qr//, qr/incomplete/);
	$p->is_run([ 'upgrade', '--stepwise', '0004' ], 5, '', qr/division by zero/, 'again');
	$p->revision('0004', '0002', "CREATE TABLE u (a int);\nSELECT 1;", '', 'transaction:false');
	$p->is_run([ 'upgrade', '0004' ], 0, "0004\n", qr/completed/, 'resumed with the file mended');
	$p->is_run([ 'downgrade', '0002' ], 0, "0004\n", qr/completed/);

	# an error in a transactional script: nothing is half done, not even loaded
	$p->revision('0005', '0003', "CREATE TABLE v (a int);\nSELECT 1 / 0;");
	$p->is_run([ 'upgrade', '0005' ], 1, '', qr/division by zero.*^CONTEXT:  revision "0005"/ms);
	is($p->sql(q{SELECT to_regclass('v') IS NULL
		AND NOT EXISTS (SELECT FROM migrate.revisions WHERE revision = '0005')}), 't',
		'nothing is done');
	$p->is_run([ 'upgrade', '--dry-run', '0005' ], 1, '', qr/division by zero/);
	$p->is_run([ 'upgrade', 'nobody' ], 1, '', qr/can't locate revision/);
	$p->is_run([ 'upgrade', "no'body\\" ], 1, '', qr/can't locate revision.*no'body/);
	$p->is_run([ 'downgrade', 'nobody' ], 1, '', qr/can't locate revision/);
	$p->is_run([ 'upgrade', '--sql', 'nobody' ], 1, '', qr/can't locate revision/);
	$p->is_run([ 'upgrade', '--sql', 'base:0001' ], 0, qr/CREATE TABLE t/);
	unlink "$p->{dir}/migrations/0005.sql";
	$p->revision('0005', '0003', 'CREATE TABLE v (a int);', 'DROP TABLE v;');
	$p->is_run([ 'upgrade', '--dry-run', '0005' ], 0, "0005\n", qr/rolled back/);
	is($p->sql(q{SELECT to_regclass('v') IS NULL}), 't', '--dry-run: rolled back');
	$p->is_run([ 'upgrade', '--no-load', '0005' ], 1, '', qr/division by zero/,
		'--no-load: as it was loaded before');
	mkdir "$p->{dir}/empty";
	$p->is_run([ '-D', 'empty', 'upgrade', '--no-load', '0003' ], 0, '', qr/nothing to do/,
		'--no-load needs no files');
};

subtest 'the run lock: status 4' => sub {
	my $p = project();
	$p->revision('0001', '', 'SELECT 1;', '');
	my $other = connect_to($p->{database});
	$other->run('SELECT pg_advisory_lock(1835624306, 1)');
	$p->{environment}{PGOPTIONS} = '-c migrate.run_lock_timeout=200ms';
	$p->is_run($_, 4, '', qr/could not obtain the run lock/, "@$_")
	  for ['load'], ['upgrade'], [ 'upgrade', '--atomic' ], [ 'upgrade', '--stepwise' ],
	  [ 'upgrade', '--dry-run' ], [ 'stamp', 'head' ];
	spew("$p->{dir}/model.sql", 'SELECT 1;');
	$p->is_run([ 'load', '--models', '-M', 'model.sql' ], 4, '', qr/obtain the run lock/);
	$other->finish;
	$p->is_run(['upgrade'], 0, "0001\n", qr/running/);

	$other = connect_to($p->{database});
	$other->run('SELECT pg_advisory_lock(1835624306, 1)');
	$p->is_run([ 'check', '--models', '-M', 'model.sql' ], 4, '', qr/obtain the run lock/);
	# of the scratch
	$other->run('SELECT pg_advisory_unlock(1835624306, 1), pg_advisory_lock(1835624306, 3)');
	$p->{environment}{PGOPTIONS} = '-c migrate.scratch_lock_timeout=200ms';
	$p->is_run([ 'check', '--models', '-M', 'model.sql' ], 4, '', qr/^ERROR:  [^\n]*scratch/);
	$p->is_run(['drift'], 4, '', qr/^ERROR:  [^\n]*scratch/);
	$other->finish;
};

# ------------------------------------------------------------- models ----

# A project whose database has a table "a".
sub project_with_table
{
	my $p = project(@_);
	$p->revision('0001', '', 'CREATE TABLE a (id int, t text);', 'DROP TABLE a;');
	$p->run('upgrade');
	return $p;
}
my $table = "CREATE TABLE a (id int, t text);\n";

subtest 'check --models: status 3 where the database differs' => sub {
	my $p = project_with_table();
	my $check = [ 'check', '--models' ];
	my $model = sub { spew("$p->{dir}/model.sql", shift) };
	$p->is_run($check, 1, '', qr/^ERROR:  no model is declared.*^pg_migrate: models are named by/ms,
		'no model');
	spew("$p->{dir}/migrate.conf", "model = model.sql\n");
	$model->($table);
	$p->is_run($check, 0, '', undef, 'as the model says');
	$p->is_run([ @$check, '--json' ], 0, qr/\A\{"files": \[\]\s*, "differences": \s*\[\]\s*\}\n\z/);
	$model->("\xef\xbb\xbfCREATE TABLE a (id bigint, t text);\r\n"
		  . qq{CREATE TABLE "b '\\ ""\n" ();});
	my $two = qq{create table public."b '\\ "" "\n}
	  . "alter column public.a.id: type: integer -> bigint\n";
	my $out;
	$p->is_run($check, 3, $two, undef, 'a BOM, CRLF, and two differences, a line each');
	$out = $p->is_run([ @$check, '--json' ], 3, qr/\A\{/);
	is(json_value($p, $out, q{#>> '{differences,0,object_identity}'}), qq{public."b '\\ ""\n"},
		'--json: the name as it is');
	is(json_value($p, $out, q{#>> '{differences,1,detail}'}), 'type: integer -> bigint',
		'--json: the second');
	is($p->sql('SELECT count(*) FROM migrate.models'), 0, 'nothing is stored');
	is($p->sql(q{SELECT to_regclass('public."b"') IS NULL}), 't', 'nor made');

	# only check --models reads it
	spew("$p->{dir}/migrate.conf", "model = missing\n");
	$p->is_run($_, 0, qr//) for ['check'], ['status'], ['history'];
	$p->is_refused($check, 2, 'no file or directory "missing"');
	$p->is_run([ @$check, '-M', 'model.sql' ], 3, qr/^alter/m, undef, '-M is stronger');
	{
		local $p->{environment}{MIGRATE_MODEL} = 'model.sql';
		$p->is_run($check, 3, qr/^alter/m, undef, 'MIGRATE_MODEL is, too');
	}

	# revisions come first
	$p->revision('0002', '0001', 'ALTER TABLE a ALTER id TYPE bigint;');
	$p->is_run([ @$check, '-M', 'model.sql' ], 3, "not loaded 0002 0002.sql\n$two", undef,
		 'a revision that is not loaded');
	$p->run('load');
	$p->is_run([ @$check, '-M', 'model.sql' ], 3, "pending 0002 0002.sql\n", qr/not up to date/,
		'one that is pending: not compared');
	$out = $p->is_run([ @$check, '-M', 'model.sql', '--json' ], 3, qr/\A\{/, qr/not up to date/);
	is(json_value($p, $out, q{#>> '{files,0,state}'}), 'pending', '--json: the files');
	# psql has ended before it gets all models
	spew("$p->{dir}/long.sql", "-- a long line of a comment\n" x 20000);
	$p->is_run([ @$check, '-M', 'long.sql' ], 3, "pending 0002 0002.sql\n",
		qr/\A(?!.*pg_migrate:)/s, 'a long model that is not read');
	is(json_value($p, $out, q{->> 'differences' IS NULL AND j ? 'differences'}), 't',
		'--json: no differences');
	$out = $p->is_run([ 'check', '--json' ], 3, qr/\A\{/, qr/not up to date/);
	is(json_value($p, $out, q{? 'differences'}), 'f', '--json without --models');
};

# A value of a JSON object.
sub json_value
{
	my ($p, $json, $operation) = @_;
	return $p->sql('SELECT j ' . $operation . ' FROM (SELECT ' . lit($json) . '::jsonb) AS v (j)');
}

subtest 'models of a directory, of a command' => sub {
	my $p = project_with_table();
	my @check = ('check', '--models');
	mkdir "$p->{dir}/a model" or die $!;
	spew("$p->{dir}/a model/2 \"v'\\:x\\.sql", 'CREATE VIEW v AS SELECT id FROM a;');
	spew("$p->{dir}/a model/10.sql", $table);
	spew("$p->{dir}/a model/README", 'not SQL');
	$p->is_run([ @check, '-M', 'a model' ], 3, "create view public.v\n", undef,
		'each file a model, in the order of their names');
	$p->is_run([ @check, '-M', 'a model/10.sql' ], 0, '', undef, 'one of them');

	my $command = sub { return [ @check, '-M', "| $_[0]" ] };
	$p->is_run($command->(q{cat 'a model/'*.sql}), 3, "create view public.v\n", undef, 'a command');
	spew("$p->{dir}/migrate.conf", "model = | cat a*/1*; echo said >&2\n");
	$p->is_run(\@check, 0, '', qr/\Asaid\n\z/, 'of migrate.conf, with a message of its own');
	$p->is_refused($command->('exit 3'), 1, 'failed with status 3: exit 3');
	$p->is_refused($command->('true'), 1, 'printed nothing: true');
	$p->is_refused($command->('echo; echo'), 1, 'printed nothing');
	$p->is_refused([ @check, '-M', '| ' ], 2, 'without a command');
	$p->is_run($command->('nonsense_x'), 1, '',
		qr/^pg_migrate: .* failed with status 127: nonsense_x$/m);
	$p->is_run($command->(q{printf 'SELECT 1;\n\nCREATE TBLE x;'}), 1, '',
		qr/^ERROR:  syntax error.*^CONTEXT:  model "default", line 3\npg_migrate: model "d/ms);
	$p->is_run($command->(q{printf '\377'}), 1, '',
		qr/invalid byte.*^pg_migrate: model "default"/ms);
	{
		local $environment{LC_ALL} = 'C.UTF-8';
		$p->is_run($command->(q{[ "$LC_ALL" = C.UTF-8 ] && ! read x && echo "SELECT 1"}), 3,
			"drop table public.a\n", undef, 'it has the locale of the user, and no input');
	}
	# no argument is too long, and none is cut
	my $many = q{i=0; while [ $i -lt 4000 ]; do i=$((i + 1));}
	  . q{ echo "-- a long line of comment: aaaaaaaaaaaaaaaaaaaa"; done; cat 'a model/10.sql'};
	$p->is_run($command->($many), 0, '', undef, '200 kB of a command');

	# what cannot be read
	mkdir "$p->{dir}/none" or die $!;
	$p->is_refused([ @check, '-M', 'none' ], 1, 'no models');
	spew("$p->{dir}/none/x.sql", '');
	$p->is_refused([ @check, '-M', 'none' ], 1, 'model "none/x.sql" is empty');
	unlink "$p->{dir}/none/x.sql";
	symlink 'nowhere', "$p->{dir}/none/x.sql" or die $!;
	$p->is_refused([ @check, '-M', 'none' ], 1, 'a link to nothing');
	unlink "$p->{dir}/none/x.sql";
	mkdir "$p->{dir}/none/x.sql" or die $!;
	$p->is_refused([ @check, '-M', 'none' ], 1, 'cannot read model "none/x.sql"');
	spew("$p->{dir}/none/x\ny.sql", 'SELECT 1;');
	rmdir "$p->{dir}/none/x.sql";
	$p->is_refused([ @check, '-M', 'none' ], 1, 'line break');
	unlink "$p->{dir}/none/x\ny.sql";
	spew("$p->{dir}/none/1.sql", "SELECT 1;\n");
	spew("$p->{dir}/none/2.sql", "\nSELECT (;\n");
	$p->is_run([ @check, '-M', 'none' ], 1, '',
		qr/^CONTEXT:  model "2.sql", line 2\npg_migrate: model "2.sql" cannot be taken: none$/m);
	spew("$p->{dir}/none/2.sql", "\nSELECT 1 / 0;\n");
	$p->is_run([ @check, '-M', 'none' ], 1, '',
		qr/division by zero.*^CONTEXT:  model "2.sql", statement 1, line 2$/ms, 'when it runs');
	spew("$p->{dir}/none/2.sql", 'DROP DATABASE x;');
	$p->is_run([ @check, '-M', 'none' ], 1, '', qr/^CONTEXT:  model "2.sql"/m,
		'what no model can have');
};

subtest 'load --models' => sub {
	my $p = project_with_table();
	my @load = ('load', '--models');
	$p->is_refused(\@load, 2, '--models needs -M');
	$p->{environment}{MIGRATE_MODEL} = 'models';
	mkdir "$p->{dir}/models" or die $!;
	spew("$p->{dir}/models/1.sql", $table);
	spew("$p->{dir}/models/2.sql", "CREATE VIEW v AS SELECT id FROM a;\r\n");
	$p->sql(q{SELECT migrate.set_model('SELECT 1', 'by hand')});
	my $all = "new model 1.sql\nnew model 2.sql\ndropped model by hand\n";
	$p->is_run([ @load, '--dry-run' ], 0, $all);
	is($p->sql('SELECT name FROM migrate.models'), 'by hand', 'a dry run changes nothing');
	$p->is_run(\@load, 0, $all, undef, 'the models are those of the files');
	is($p->sql(q{SELECT string_agg(name, ',' ORDER BY ordinal) FROM migrate.models}), '1.sql,2.sql',
		'in their order');
	$p->is_run(\@load, 0, '', undef, 'again: nothing');
	spew("$p->{dir}/models/2.sql", 'CREATE VIEW v AS SELECT t FROM a;');
	$p->revision('0002', '0001', 'CREATE VIEW v AS SELECT t FROM a;');
	$p->is_run(\@load, 0, "new 0002 0002.sql\nchanged model 2.sql\n", undef, 'with a revision');
	$p->is_run([ 'upgrade' ], 0, "0002\n", qr/running/);
	is($p->sql('SELECT migrate.check()'), 't', 'the database is as the stored models say');
	delete $p->{environment}{MIGRATE_MODEL};
	$p->is_run([ 'check', '--models' ], 0, '', undef, 'check compares with them');
	$p->sql('ALTER TABLE a ADD c int');
	$p->is_run([ 'check', '--models' ], 3, "drop column public.a.c\n");
	spew("$p->{dir}/models/2.sql", 'CREATE VIEW (');
	$p->revision('0003', '0002', 'SELECT 3;');
	$p->is_run([ @load, '-M', 'models' ], 1, qr//, qr/model "2.sql" cannot be taken: models/);
	is($p->sql(q{SELECT count(*) FROM migrate.revisions}), 2, 'nothing is loaded then');
};

subtest 'drift: status 3 where the database was changed by hand' => sub {
	my $p = project_with_table();
	$p->is_run(['drift'], 0, '', undef, 'it was not');
	$p->is_run([ 'drift', '--json' ], 0, qr/\A\[\]\s*\z/);
	$p->sql(qq{CREATE TABLE "b\n" (); ALTER TABLE a ALTER id TYPE bigint; ALTER TABLE a DROP t});
	$p->is_run(['drift'], 3, qq{create table public."b "\nalter column public.a.id: }
		  . "type: integer -> bigint\ndrop column public.a.t\n", undef, 'a line each');
	my $out = $p->is_run([ 'drift', '--json' ], 3, qr/\A\[/);
	is(json_value($p, $out, q{#>> '{0,object_identity}'}), qq{public."b\n"},
		'--json: the name as it is');
	is($p->sql(q{SELECT to_regclass('a')}), 'a', 'nothing is changed');
	$p->is_refused([ 'drift', 'x' ], 2, 'unexpected argument');
	$p->is_refused([ 'drift', '--models' ], 2, '--models');

	# files do not count, nor are they needed
	$p->revision('0002', '0001', 'CREATE TABLE c ();');
	$p->is_run(['drift'], 3, qr/^drop column/m, undef, 'a file that is not loaded');
	rename("$p->{dir}/migrations", "$p->{dir}/elsewhere") or die $!;
	$p->is_run(['drift'], 3, qr/^drop column/m, undef, 'no files');

	$p->sql(qq{DROP TABLE "b\n"; ALTER TABLE a ALTER id TYPE int; ALTER TABLE a ADD t text});
	$p->is_run(['drift'], 0, '', undef, 'undone');
	$p->sql(q{UPDATE migrate.revisions SET upgrade_sql = 'SELECT 1/0' WHERE revision = '0001'});
	$p->is_run(['drift'], 3, '', qr/^ERROR:  /, 'an applied revision was edited');
};

subtest 'drift: a script that cannot be run again' => sub {
	my $p = project();
	$p->sql('CREATE TABLE rows_of (n int); INSERT INTO rows_of VALUES (1)');
	$p->revision('0001', '', 'CREATE TABLE a AS SELECT 1 / count(*) AS n FROM rows_of;');
	$p->run('upgrade');
	$p->is_run(['drift'], 1, '', qr/^ERROR:  .*revision "0001"/ms, 'is an error');
};

# The models are run as migrations are: with the search_path of the role.
subtest 'check --models: the search_path of the role' => sub {
	my $p = project();
	$p->sql(q{CREATE SCHEMA shop; CREATE SCHEMA "Odd =";
		SELECT migrate.configure('managed_schemas', 'shop');
		ALTER DATABASE } . $p->{database} . q{ SET search_path = shop, "Odd ="});
	$p->revision('0001', '', 'CREATE TABLE a (id int, t text);');
	$p->run('upgrade');
	# operators and functions that are not the server's
	$p->sql(q{CREATE FUNCTION "Odd =".f(text, text) RETURNS text LANGUAGE sql
			AS 'SELECT (1 / 0)::text';
		CREATE OPERATOR "Odd =".|| (LEFTARG = text, RIGHTARG = text, FUNCTION = "Odd =".f)});
	$p->is_run([ 'check', '--models', '-M', "| echo '$table'" ], 0, '');
	$p->is_run([ 'check', '--models', '-M', "| echo 'CREATE TABLE a (id int, t int)'" ], 3,
		"alter column shop.a.t: type: text -> integer\n");
};

subtest 'check, status --exit-code: status 3' => sub {
	my $p = project();
	my $both = sub {
		my ($status, $state, $err) = @_;
		$p->is_run(['check'], $status, $state ? qr/^$state/m : '', $err);
		$p->is_run([ 'status', '--exit-code' ], $status, $state ? qr/^ *$state /m : qr/applied/);
		$p->is_run(['status'], 0, qr/state/);
	};
	$p->revision('0001', '', 'SELECT 1;');
	$both->(3, 'not loaded', qr/not up to date/);
	$p->run('load');
	$both->(3, 'pending', qr/not up to date/);
	$p->revision('0001', '', 'SELECT 11;');
	$both->(3, 'changed', qr/not up to date/);
	$p->run('upgrade');
	$both->(0, '', undef);
	$p->revision('0002', '0001', 'SELECT 2;');
	$both->(3, 'not loaded', undef);
	$p->run('upgrade');
	$p->revision('0002', '0001', 'SELECT 22;');
	$both->(3, 'edited', undef);
	$p->is_run(['upgrade'], 1, '', qr/cannot change the upgrade script of revision "0002"/);
	$p->revision('0002', '0001', 'SELECT 2;');
	$both->(0, '', undef);
	like($p->is_run([ 'status', '--json' ], 0, qr/^\[/), qr/"state": "applied"/, '--json');
};

# The database has a revision of another branch of the repository.
subtest 'revisions that no file has' => sub {
	my $p = project();
	my $said = sub { return qr/^pg_migrate: no file has revision \Q$_[0]\E$/m };
	my $pruned = '; "pg_migrate load --prune" forgets what is not applied';
	$p->revision('0001', '', 'SELECT 1;', '');
	my $other = $p->revision('0002', '0001', 'SELECT 2;', '');
	$p->run('load');
	unlink $other;
	my $pending = $said->(qq{"0002" (not applied)$pruned});
	$p->is_run([ 'upgrade', '0001' ], 0, "0001\n", $pending);
	$p->is_run(['check'], 3, '', $pending);
	$p->is_run([ 'stamp', 'base' ], 0, '', $pending);
	$p->is_run([ 'upgrade', @$_, '+1' ], 0, "0001\n", $pending, "upgrade @$_")
	  && $p->is_run([ 'downgrade', @$_, 'base' ], 0, "0001\n", $pending, "downgrade @$_")
	  for [], ['--atomic'], ['--stepwise'];
	$p->is_run([ 'upgrade', '--dry-run' ], 0, "0001\n0002\n", $pending);
	$p->is_run(['upgrade'], 0, "0001\n0002\n", $said->('"0002" (applied)'));
	$p->is_run(['upgrade'], 0, '', qr/nothing to do.*no file has revision "0002" \(applied\)\n\z/s);
	$p->is_run(['check'], 0, '', $said->('"0002" (applied)'), 'check');
	$p->is_run([ 'upgrade', '--no-load' ], 0, '', qr/\ANOTICE:  nothing to do: .*\n\z/,
		'not without the files');

	# a new one beside it: why there are two heads
	my $third = $p->revision("3'\\\"x", '0001', 'SELECT 3;', '');
	my $heads = qr/\AERROR:  multiple head revisions.*no file has revision "0002" \(applied\)\n\z/s;
	$p->is_run(['upgrade', @$_ ], 1, '', $heads, "upgrade @$_")
	  for [], ['--atomic'], ['--dry-run'], ['--sql'];
	$p->is_run([ 'upgrade', '--stepwise' ], 1, '', qr/ERROR:  multiple.*no file has .*"0002"/s);
	$p->is_run([ 'stamp', 'head' ], 1, '', $heads);
	$p->revision('0002', '0001', 'SELECT 2;', '');
	$p->is_run(['upgrade'], 1, '',
		qr/multiple head.*^pg_migrate: "pg_migrate merge" joins heads\n\z/ms, 'with both files');
	$p->is_run([ 'upgrade', 'nobody' ], 1, '', qr/can't locate(?!.*pg_migrate:)/s,
		'nothing is said without a reason');

	# files without a header
	my $q = project();
	$q->file('1_one.sql', "-- migrate:up\nSELECT 1;\n-- migrate:down\n");
	my $two = $q->file('2_two.sql', "-- migrate:up\nSELECT 2;\n-- migrate:down\n");
	$q->is_run(['upgrade'], 0, "1\n2\n", qr/\A(?!.*no file)/s, 'dbmate');
	unlink $two;
	$q->is_run(['upgrade'], 0, '', $said->('"2" (applied)'), 'dbmate: one is gone');
};

subtest 'load' => sub {
	my $p = project();
	$p->revision('0001', '', 'SELECT 1;');
	$p->revision('0002', '0001', 'SELECT 2;');
	$p->is_run(['load'], 0, "new 0001 0001.sql\nnew 0002 0002.sql\n");
	$p->revision('0002', '0001', 'SELECT 22;');
	$p->is_run([ 'load', '--dry-run' ], 0, "changed 0002 0002.sql\n", qr/replaced/);
	$p->is_run(['load'], 0, "changed 0002 0002.sql\n", qr/replaced revision "0002"/);
	unlink "$p->{dir}/migrations/0002.sql";
	$p->is_run(['load'], 0, '', undef, 'a file that is gone');
	is($p->sql('SELECT count(*) FROM migrate.revisions'), 2, 'stays in the database');
	$p->is_run([ 'load', '--prune', '--dry-run' ], 0, '', qr/0002/);
	is($p->sql('SELECT count(*) FROM migrate.revisions'), 2, 'as it does in a dry run');
	$p->is_run([ 'load', '--prune' ], 0, '', qr/0002/);
	is($p->sql('SELECT count(*) FROM migrate.revisions'), 1, '--prune drops it');
	run_psql($p->{database}, 'DROP EXTENSION migrate');
	$p->is_run(['load'], 1, '', qr/^pg_migrate: "pg_migrate init" installs the extension$/m,
		'without the extension');
};

# ------------------------------------------- stamp, adopt, export, looking ----

subtest 'stamp, adopt, export' => sub {
	my $p = project();
	$p->revision('0001', '', 'CREATE TABLE t (a int);');
	$p->revision('0002', '0001', 'SELECT 2;');
	$p->revision('b001', '', 'SELECT 3;');
	$p->is_run([ 'stamp', '0001' ], 0, "0001\n");
	$p->is_run([ 'stamp', '0002', 'b001' ], 0, "0002\nb001\n", undef, 'two targets');
	$p->is_run([ 'stamp', '--purge', 'base' ], 0, '');
	$p->is_run([ 'stamp', 'nobody' ], 1, '', qr/can't locate/);
	run_psql($p->{database},
		q{CREATE TABLE alembic_version AS SELECT '0001'::varchar AS version_num});
	$p->is_run([ 'adopt', 'alembic' ], 0, "0001\n");

	my $q = project();
	my $file = $p->revision('0003', '0002', "SELECT 'it''s \\';\n\n-- end", "SELECT 4;\n");
	$p->is_run(['load'], 0, qr/0003/);
	local $p->{environment}{MIGRATE_DIR} = "$q->{dir}/migrations";
	$p->is_run(['export'], 0, qr/\A(?:\S+\n){4}\z/);
	is_deeply([ $q->files ],
		[ sort split /\n/, $p->sql('SELECT migrate.file_name(revision) FROM migrate.revisions') ],
		'export: the files');
	is(slurp("$q->{dir}/migrations/0003_revision_0003.sql"),
		$p->sql(q{SELECT migrate.export('0003')}), 'their content');
	$p->is_run(['export'], 0, '', undef, 'export again: nothing');
	$p->is_run(['status', '--exit-code'], 3, qr/pending/);
	$p->is_run(['load'], 0, qr/\A(?:changed .*\n)*\z/, qr//, 'and loaded again');
	spew("$q->{dir}/migrations/0003_revision_0003.sql", 'mine');
	unlink "$q->{dir}/migrations/0001_revision_0001.sql";
	$p->is_refused(['export'], 1, 'is there already, and differs');
	is(slurp("$q->{dir}/migrations/0003_revision_0003.sql"), 'mine', 'no file is overwritten');
	ok(!-e "$q->{dir}/migrations/0001_revision_0001.sql", 'nor any written');
	$p->is_run([ 'export', '0001' ], 0, qr/0001_revision_0001\.sql\n\z/);
	$p->is_run([ 'export', 'nobody' ], 1, '', qr/can't locate/);
};

subtest 'looking' => sub {
	my $p = project();
	$p->revision($_->[0], $_->[1], 'SELECT 1;')
	  for [ '0001', '' ], [ '0002', '0001' ], [ '0003', '0001' ];
	$p->file('0004.sql', "-- four\n-- Revision ID: 0004\n-- Revises: 0003\n-- Depends On: 0002\n"
		  . "-- Branch Labels: four\n-- migrate:up\n");
	$p->file('0005.sql', "-- five\n-- Revision ID: 0005\n-- Revises: 0004\n-- migrate:up\n");
	$p->is_run([ 'upgrade', '0004' ], 0, qr/0004/, qr/running/);
	$p->is_run(['history'], 0, <<'END');
0004 -> 0005 (four) (head), five
0003 (0002) -> 0004 (four), four
0001 -> 0003 (four), revision 0003
0001 -> 0002 (effective head), revision 0002
<base> -> 0001 (branchpoint), revision 0001
END
	$p->is_run([ 'history', '-r', '0003:0004', '-i' ], 0, <<'END');
0003 (0002) -> 0004 (four) (current), four
0001 -> 0003 (four), revision 0003
END
	$p->is_run([ 'history', '-r0004:' ], 0, qr/\A0004 -> 0005 .*\n0003 .* -> 0004 .*\n\z/, undef,
		'-rA:B in one word');
	$p->is_run([ 'history', '-rx:0004' ], 1, '', qr/can't locate/);
	$p->is_run([ 'history', '-v', '-r', '0004:0004' ], 0, <<'END');
Rev: 0004 (current)
Parent: 0003
Also depends on: 0002
Branch names: four

    four

END
	for my $line (split /\n/, ($p->run('history'))[1])
	{
		my ($id, $labels) = $line =~ /-> (\d+)(?: \(((?!head|eff|branch).*?)\))?/;
		my ($names) = ($p->run('show', $id))[1] =~ /^Branch names: (.*)$/m;
		is($labels, $names, "$id: the labels are those that show() names");
	}
	$p->is_run([ 'history', '-r', 'x:y' ], 1, '', qr/can't locate/);
	$p->is_run(['current'], 0, "0004\n");
	$p->is_run([ 'current', '-v' ], 0, qr/^Rev: 0004 \(current\)\nParent: 0003\n/);
	$p->is_run(['heads'], 0, "0005 (four) (head)\n0002 (effective head)\n");
	$p->is_run(['branches'], 0, qr/^0001 \(branchpoint\)\n     -> 0002 .*\n     -> 0003/);
	$p->is_run([ 'show', '0004' ], 0, qr/^Rev: 0004 .*^-- migrate:up/ms);
	$p->is_run([ 'show', 'nobody' ], 1, '', qr/can't locate/);
	$p->is_run(['graph'], 0, qr/^\* 0004 \(four\) \(current\)/m);
	$p->is_run([ 'graph', '--dot' ], 0, qr/^digraph/);
	$p->is_run([ 'graph', '--mermaid' ], 0, qr/^flowchart/);
	$p->is_run(['log'], 0,
		qr/^\d{4}-\d\d-\d\d .*upgrade   0001  [\d.]+ ms  \Q$role\E \(pg_migrate\)$/m);
	for my $command (qw(current history heads branches log graph show))
	{
		my @arguments = $command eq 'show' ? '0001' : ();
		$p->is_run([ $command, '--json', @arguments ], 0, qr/\A\[\n.*\n\]\n\z/s);
	}
	local $p->{environment}{LC_ALL} = 'C';
	$p->is_run([ '-w', 'current' ], 0, "0004\n");
};

subtest 'wait' => sub {
	my $p = project();
	$p->is_run(['wait'], 0, '');
	local $p->{environment}{DATABASE_URL} = 'postgresql://u:secret@127.0.0.1:1/x';
	my $begin = time;
	$p->is_run([ 'wait', '--timeout', '1' ], 2, '',
		qr/\Apg_migrate: no connection after 1 s: .*refused/);
	ok(time - $begin < 20, 'no longer than that');
};

# A connection can be one of a pool: nothing is left set in it.
subtest 'settings do not outlive a transaction' => sub {
	my $p = project();
	$p->revision('0001', '', 'SELECT 1;', '');
	$p->{environment}{PGOPTIONS} = '-c log_statement=all';
	for my $command (['upgrade'], ['history'], ['check'], ['status'], [ 'downgrade', '-1' ],
		['load'])
	{
		my $from = length $server->log_text;
		$p->run(@$command);
		my $log = substr $server->log_text, $from;
		like($log, qr/set_config|load_files/, "@$command: is in the log");
		unlike($log, qr/set_config\([^()]*, false\)/, "@$command: all settings are local");
	}
};

# An author and a deployer have no more than rights.md gives them.
subtest 'rights' => sub {
	my $p = project();
	run_psql('postgres', "CREATE ROLE mig_client_$_ LOGIN") for qw(author deployer);
	$p->sql(<<'END');
GRANT USAGE ON SCHEMA migrate TO mig_client_author, mig_client_deployer;
GRANT EXECUTE ON FUNCTION migrate.load_files, migrate.set_model, migrate.drop_model
	TO mig_client_author;
GRANT EXECUTE ON FUNCTION migrate.upgrade(text), migrate.downgrade(text) TO mig_client_deployer;
GRANT EXECUTE ON PROCEDURE migrate.upgrade_stepwise, migrate.downgrade_stepwise
	TO mig_client_deployer;
END
	my $as = sub { return { PGHOST => $ENV{PGHOST}, PGPORT => $port, PGUSER => shift,
		PGDATABASE => $p->{database} } };
	$p->revision('0001', '', 'SELECT 1;');
	$p->revision('0002', '0001', 'SELECT 2;', '', 'transaction:false');
	$p->{environment} = $as->('mig_client_author');
	$p->is_run(['load'], 0, "new 0001 0001.sql\nnew 0002 0002.sql\n", undef, 'an author loads');
	$p->is_run(['upgrade'], 1, '', qr/permission denied/, 'and cannot upgrade');
	my @models = ('load', '--models', '-M', '| echo "SELECT 1"');
	$p->is_run(\@models, 1, '', qr/permission denied for table models/, 'models need SELECT');
	$p->sql('GRANT SELECT ON migrate.models TO mig_client_author');
	$p->is_run(\@models, 0, "new model default\n", undef, 'an author loads models');
	$p->is_run([ 'check', '--models' ], 3, qr/pending/, qr/not up to date/, 'and cannot compare');
	$p->{environment} = $as->('mig_client_deployer');
	$p->is_run([ 'upgrade', '--no-load', '0001' ], 0, "0001\n", qr/running/, 'a deployer upgrades');
	$p->is_run([ 'upgrade', '--no-load' ], 0, "0002\n", qr/step by step/, 'step by step, too');
	$p->is_run([ 'downgrade', '--no-load', '-1' ], 0, "0002\n", qr/step by step/, 'and back');
	$p->is_run([ 'history' ], 0, qr/0002/);
	$p->is_run([ 'status', '--exit-code' ], 3, qr/pending/);
};

$server->use;
$ENV{PGPORT} = $port;
drop_databases();
done_testing();
