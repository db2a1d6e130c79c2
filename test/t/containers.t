#!/usr/bin/perl
#
# examples/docker and doc/containers.md, without containers: the steps of the
# Dockerfile run in directories that stand for its stages, and the commands of
# compose.yaml and of the Kubernetes files against a server that roles.sh has
# prepared.
#
# The files are also checked by hadolint, "docker compose config" (or docker-compose)
# and kubernetes-validate, where these are; with MIGRATE_REQUIRE_APPLICATIONS=1 they
# have to be.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use JSON::PP ();
use lib "$FindBin::RealBin/lib";
use MigrateApp;
use MigrateServer;
use MigrateTest;
use Test::More;

my $top      = abs_path("$FindBin::RealBin/../..");
my $examples = "$top/examples/docker";
my $python   = $ENV{MIGRATE_PYTHON} // 'python3';
my $has_yaml = eval { !(run_program($python, '-c', 'import yaml'))[0] };
need($has_yaml, "$python has no yaml");
alarm 600;

my $dir = scratch_dir();
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
chomp(my %at = map { ($_ => scalar `$pg_config --$_`) } qw(pkglibdir sharedir bindir));
my %files = map { s{.*/}{}r => slurp($_) } glob "$examples/*";

# ------------------------------------------------------------ Dockerfile ----

# The instructions of each stage, as [name, arguments], by the stage's name; ''
# is what comes before the first.
my %stage;
{
	my $name = '';
	my $text = $files{Dockerfile} =~ s/^#.*\n//mgr =~ s/\\\n//gr;
	for (grep { /\S/ } split /\n/, $text)
	{
		my ($instruction, $rest) = /^([A-Z]+) +(.*)$/ or die "Dockerfile: $_\n";
		if ($instruction eq 'FROM')
		{
			($name) = $rest =~ / AS (\w+)$/ or die "Dockerfile: $_\n";
		}
		push @{ $stage{$name} }, [ $instruction, $rest =~ s/ +/ /gr ];
	}
}
is_deeply([ sort keys %stage ], [ '', qw(build client server) ], 'the stages of the Dockerfile');

# The arguments of the instructions of a kind.
sub of
{
	my ($stage, $kind) = @_;
	return map { $_->[0] eq $kind ? $_->[1] : () } @{ $stage{$stage} };
}

# The context: what .dockerignore leaves of the tree.
my $context = "$dir/usr/src/migrate";
{
	my @lines = grep { /^[^#]/ } split /\n/, $files{'Dockerfile.dockerignore'};
	is($lines[0], '*', 'the context is nothing but what it names');
	my @names = map { /^!(.*)/ ? $1 : () } @lines;
	my @without = map { m{^\*\*/(.*)} ? "--exclude=$1" : () } @lines;
	is(@names + @without + 1, @lines, '    all of which this test understands');
	run_program('mkdir', '-p', $context);
	my ($status, $out, $err) = run_program('sh', '-c',
		'cd "$1" && shift && context=$1 && shift && tar -cf - "$@" | tar -C "$context" -xf -',
		'sh', $top, $context, @without, map { glob_in($_) } @names);
	is("$status$out$err", '0', '    and is there');
}

sub glob_in { my $name = shift; return map { s{^\Q$top\E/}{}r } glob "$top/$name" }

# The steps that build, with the directories moved to ours.
{
	is_deeply([ of('build', 'COPY') ], ['. .'], 'the build has the whole context');
	is_deeply([ of('build', 'WORKDIR') ], ['/usr/src/migrate'], '    where it runs');
	my @run = of('build', 'RUN');
	like(shift @run, qr/^apt-get update && apt-get install .*postgresql-server-dev-\$PG_MAJOR/,
		'it installs the development files');
	is(@run, 1, 'then it compiles');
	my $command = $run[0] =~ s{"/usr/lib/postgresql/\$PG_MAJOR/bin/pg_config"}{"\$ours"}gr
	  =~ s{/out\b}{$dir/out}gr;
	unlike($command =~ s/\Q$dir\E//gr, qr{[ ="]/(?!out\b)},
		'    with no path of the image but those');
	local $ENV{ours} = $pg_config;
	local @ENV{qw(MAKEFLAGS MAKELEVEL)};
	my ($status, $out, $err) = run_in($context, 'sh', '-c', $command);
	is($status, 0, '    it succeeds') or diag substr "$out$err", -3000;
}

# The server's image: what make installed.
{
	is_deeply([ of('server', 'COPY') ],
		[
			'--from=build /out/ /',
			'examples/docker/roles.sh /docker-entrypoint-initdb.d/10-roles.sh'
		],
		'the server gets what was built, and the roles');
	ok(-s "$dir/out$_", "    $_")
	  for "$at{pkglibdir}/migrate.so", "$at{sharedir}/extension/migrate.control",
	  "$at{bindir}/pg_migrate";
	is(slurp("$dir/out$at{sharedir}/extension/migrate--1.0.sql"), slurp("$top/migrate--1.0.sql"),
		'    and the script of the extension');
	ok(-x "$context/examples/docker/roles.sh", '    roles.sh can be executed');
}

# The client's image: a directory of programs.
my %client = map { /^(\w+)=(.*)/ } of('client', 'ENV');
{
	is_deeply([ of('client', 'COPY') ], ['bin/pg_migrate /usr/local/bin/pg_migrate'],
		'the client gets pg_migrate');
	run_program('mkdir', '-p', "$dir/client");
	run_program('cp', '-p', "$context/bin/pg_migrate", "$dir/client/");
	ok(-x "$dir/client/pg_migrate", '    which can be executed');
	like($files{'Dockerfile.migrations'}, qr{^COPY migrations/ \Q$client{MIGRATE_DIR}\E/$}m,
		'an image of a project has its files where pg_migrate looks');
	unlike(join(' ', of('client', 'USER')), qr/root|^0/, '    and it is not root');
}

# Runs the client's image with arguments, a URL and a directory of files: what
# spawn returns, or with "wait" (status, output).
my @entry = @{ JSON::PP::decode_json((of('client', 'ENTRYPOINT'))[0]) };
my $runs = 0;

sub container
{
	my ($arguments, $url, $migrations) = @_;
	my $log = "$dir/log." . ++$runs;
	my $process = spawn($log, 'env', '-i', "PATH=$dir/client:$at{bindir}:/usr/bin:/bin",
		"DATABASE_URL=$url", "MIGRATE_DIR=$migrations", 'sh', '-c', 'cd / && exec "$@"', 'sh',
		@entry, @$arguments);
	return { %$process, log => $log };
}

sub ended
{
	my $container = shift;
	my $status = finish($container)->{status};
	return ($status >> 8 || $status & 127, slurp($container->{log}));
}

# ------------------------------------------------------------------ roles ----

my %password = (
	SHOP_OWNER_PASSWORD => q{it's "50%" \\a},
	SHOP_APP_PASSWORD   => q{$HOME; `b`:@/});
my $server = app_server();
my $psql = tool('psql');
{
	# roles of its own
	run_psql('postgres', 'DROP ROLE shop_owner, shop_app');
	local @ENV{ 'POSTGRES_USER', keys %password } = ('postgres', values %password);
	local $ENV{PATH} = "$at{bindir}:$ENV{PATH}";
	my ($status, $out, $err) = run_program('sh', "$context/examples/docker/roles.sh");
	is($status, 0, 'roles.sh') or diag "$out$err";
	unlike("$out$err", qr/50%|HOME/, '    shows no password');
}
END { run_psql('postgres', 'DROP DATABASE IF EXISTS shop') if $server && $server->pid }

# A URL as in the files, with the password in it, and our address for the service's.
sub url
{
	my ($text) = @_;
	my $encoded = sub { $password{ $_[0] } =~ s/([^\w.~-])/sprintf '%%%02X', ord $1/ger };
	return $text =~ s/\$\{(\w+):\?\}/$encoded->($1)/ger =~ s{\@db/}{\@127.0.0.1:$ENV{PGPORT}/}r;
}

my %url = (
	'shop-owner' => url('postgresql://shop_owner:${SHOP_OWNER_PASSWORD:?}@db/shop'),
	'shop-app'   => url('postgresql://shop_app:${SHOP_APP_PASSWORD:?}@db/shop'));

sub as_app { return run_psql($url{'shop-app'}, @_) }

sub loaded_yaml
{
	my $name = shift;
	my ($status, $out, $err) = run_program($python, '-c', <<'END', "$examples/$name");
import json, sys, yaml
print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))
END
	die $err if $status;
	return @{ JSON::PP::decode_json($out) };
}

# ---------------------------------------------------------------- compose ----

my ($compose) = loaded_yaml('compose.yaml');
my $examples_applied = () = glob "$top/examples/migrations/*.sql";
{
	my ($db, $migrate, $app) = @{ $compose->{services} }{qw(db migrate app)};
	my @needed = sort map { /^(\w+)=/ ? $1 : () } split /\n/, $files{'env.example'};
	is_deeply(\@needed, [ sort keys %{ $db->{environment} } ], 'env.example has the variables');
	for my $service ($db, $migrate)
	{
		is(abs_path("$examples/$service->{build}{context}"), $top, 'a context is the sources');
		ok($stage{ $service->{build}{target} }, '    and its target is there');
	}
	my (undef, @healthy) = @{ $db->{healthcheck}{test} };
	my $program = shift @healthy;
	is((run_program(tool($program), @healthy))[0], 0, 'the health check of a server that runs');
	ok((run_program(tool($program), @healthy, '-h', $server->socket_dir . '/none'))[0],
		'    and of one that does not');

	my ($mounted) = map { m{^(\.\./\w+):\Q$client{MIGRATE_DIR}\E:ro$} } @{ $migrate->{volumes} };
	my ($status, $log) = ended(
		container(
			$migrate->{command}, url($migrate->{environment}{DATABASE_URL}),
			"$examples/$mounted"));
	is($status, 0, 'the service "migrate"') or diag $log;
	is((run_psql('shop', 'SELECT count(*) FROM migrate.applied'))[1], "$examples_applied\n",
		'    applies the files');
	is((run_psql($url{'shop-app'}, 'SELECT count(*) FROM customers'))[0], 0,
		'shop_app reads the tables');
	is(url($app->{environment}{DATABASE_URL}), $url{'shop-app'}, '    and is the application');
	like((as_app('DROP TABLE customers'))[2], qr/must be owner/, '    cannot change them');
	like((as_app('CREATE TABLE mine ()'))[2], qr/permission denied/, '    nor make some');
	like((as_app('SELECT migrate.upgrade()'))[2], qr/permission denied/, '    nor migrate');
	run_psql('shop', 'SELECT migrate.downgrade($$base$$)', '-U', 'shop_owner');
}

# ------------------------------------------------------------- Kubernetes ----

# A release: a directory of migrations.
sub release
{
	my ($name, %up) = @_;
	my $parent = '';
	for my $id (sort keys %up)
	{
		write_files("$dir/release.$name", "$id.sql" => <<"END");
-- revision $id
--
-- Revision ID: $id
-- Revises: $parent

-- migrate:up
$up{$id}
END
		$parent = $id;
	}
	return "$dir/release.$name";
}

# The containers of a manifest's object that use the image of the migrations.
sub pods
{
	my ($kind, @objects) = @_;
	my ($object) = grep { $_->{kind} eq $kind } @objects or die "no $kind\n";
	my $spec = $object->{spec}{template}{spec};
	my @ours = grep { $_->{image} =~ /-migrations:/ }
	  map { @{ $spec->{$_} // [] } } qw(initContainers containers);
	return map {
		{
			arguments => $_->{args},
			url       => $url{ $_->{env}[0]{valueFrom}{secretKeyRef}{name} }
		}
	} @ours;
}

sub pod { my ($pod, $release) = @_; return container($pod->{arguments}, $pod->{url}, $release) }

# How many sessions there are of a kind, as another one sees it.
sub sessions
{
	my ($session, $condition) = @_;
	return $session->value(
		"SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND $condition");
}

sub applied
{
	return (run_psql('shop', q{SELECT coalesce(string_agg(revision, ' ' ORDER BY revision), '-')
		FROM migrate.applied WHERE length(revision) = 2}))[1] =~ s/\n//r;
}

{
	my @objects = loaded_yaml('kubernetes.yaml');
	my ($job)  = pods('Job', @objects);
	my ($wait) = pods('Deployment', @objects);
	# before 14 the server does not look after its client
	run_psql('shop', <<'END', '-U', 'shop_owner');
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
GRANT USAGE ON SCHEMA migrate TO shop_app;
CREATE TABLE naps AS SELECT CASE
	WHEN current_setting('server_version_num')::int >= 140000 THEN 60 ELSE 4 END AS seconds
END
	my %up = (
		r1 => 'CREATE TABLE a ();',
		r2 => "ALTER TABLE a ADD b int;\nSELECT pg_sleep(seconds) FROM naps;");
	my $one = release(1, r1 => $up{r1});
	my $two = release(2, %up);

	my ($status, $log) = ended(pod($wait, $one));
	isnt($status, 0, 'the init container fails before the Job');
	($status, $log) = ended(pod($job, $one));
	is($status, 0, 'the Job migrates') or diag $log;
	($status, $log) = ended(pod($wait, $one));
	is($status, 0, '    then the init container passes') or diag $log;

	# killed in the middle of the next release
	my $session = connect_to('shop');
	for my $signal (qw(TERM KILL))
	{
		my $container = pod($job, $two);
		ok(wait_until(sub { sessions($session, q{query LIKE 'migrate %pg_sleep%'}) }, 30),
			"SIG$signal in the middle");
		# all of the container, as Kubernetes does after the time of grace
		kill $signal, $signal eq 'KILL' ? -$container->{pid} : $container->{pid};
		($status, $log) = ended($container);
		isnt($status, 0, '    it fails');
		ok(wait_until(sub { !sessions($session, q{usename = 'shop_owner'}) }, 20),
			'    the server notices');
		is(applied(), 'r1', '    nothing is changed');
	}
	$session->run('DELETE FROM naps');
	($status, $log) = ended(pod($job, $two));
	is($status, 0, 'the Job\'s next pod') or diag $log;
	is(applied(), 'r1 r2', '    migrates');
	($status, $log) = ended(pod($wait, $one));
	is($status, 0, 'a pod of the release before starts') or diag $log;
}

{
	my ($init) = pods('Deployment', loaded_yaml('kubernetes-init.yaml'));
	my $three = release(3, r1 => 'CREATE TABLE a ();',
		r2 => "ALTER TABLE a ADD b int;\nSELECT pg_sleep(seconds) FROM naps;",
		r3 => 'SELECT pg_sleep(0.5); CREATE TABLE c ();');
	my @pods = map { pod($init, $three) } 1 .. 3;
	is_deeply([ map { (ended($_))[0] } @pods ], [ 0, 0, 0 ], 'three pods at once');
	is(applied(), 'r1 r2 r3', '    migrate');
	is((run_psql('shop', q{SELECT count(*) FROM migrate.log WHERE revision = 'r3'}))[1], "1\n",
		'    once');
}

# ------------------------------------------------------------------- page ----

# What the page shows of the files is there.
{
	my $page = slurp("$top/doc/containers.md");
	my $shown = 0;
	while ($page =~ /^```\w+\n# ([\w.]+)\n(.*?)^```/msg)
	{
		my ($name, $block) = ($1, $2);
		for (split /^ *# \.\.\.\n/m, $block)
		{
			ok(index($files{$name} // '', $_) >= 0, "doc/containers.md shows $name as it is")
			  or diag $_;
			$shown++;
		}
	}
	ok($shown, 'doc/containers.md shows the files');
	is_deeply([ grep { !-e "$top/doc/$_" } $page =~ /\]\((\.\.[^)#]*)\)/g ], [],
		'    and links to those that are there');
}

# ---------------------------------------------------------------- linters ----

# Runs a checker, if it is there.
sub checked
{
	my ($has, $name, @command) = @_;
SKIP:
	{
		skip "$name is not installed", 1 unless $has || $ENV{MIGRATE_REQUIRE_APPLICATIONS};
		return fail("$name is installed") unless $has;
		my ($status, $out, $err) = run_in($examples, @command);
		is($status, 0, "@command") or diag "$out$err";
	}
	return;
}

checked(has_program('hadolint'), 'hadolint', 'hadolint', $_)
  for 'Dockerfile', 'Dockerfile.migrations';
checked(has_program('kubernetes-validate'),
	'kubernetes-validate', 'kubernetes-validate', '--strict', '--quiet', $_)
  for 'kubernetes.yaml', 'kubernetes-init.yaml';
{
	local $ENV{HOME} = $ENV{TMPDIR} // '/tmp';
	my @compose =
	    has_program('docker') && !(run_program(qw(docker compose version)))[0] ? qw(docker compose)
	  : has_program('docker-compose') ? 'docker-compose'
	  :                                 ();
	checked(scalar @compose, 'docker compose',
		@compose, '--env-file', 'env.example', '-f', 'compose.yaml', 'config', '-q');
}

done_testing();
