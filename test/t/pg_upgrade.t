#!/usr/bin/perl
#
# pg_upgrade with the extension installed.  MIGRATE_OLD_BINDIR names the
# programs of the older server, which must have the extension's files too;
# without it the old cluster is of the same version as the new one, which goes
# the same way.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 300;

plan skip_all => 'this installation has no pg_upgrade' unless -x tool('pg_upgrade');
my $old_bindir = $ENV{MIGRATE_OLD_BINDIR} || (tool('') =~ s{/$}{}r);
plan skip_all => "no programs in MIGRATE_OLD_BINDIR, $old_bindir" unless -x "$old_bindir/postgres";

sub major { return (`$_[0]/postgres --version` =~ /(\d+)/)[0] }
my ($old_version, $new_version) = (major($old_bindir), major(tool('') =~ s{/$}{}r));
diag("pg_upgrade $old_version to $new_version");

my $dir = scratch_dir();
my $old = MigrateServer->create(
	"$dir/old",
	bindir   => $old_bindir,
	initdb   => ['--data-checksums'],
	settings => ['log_statement = none']);
$old->use;

# ------------------------------------------------------------ the old one ----

# The role that installs is retired before the upgrade.
run_psql('postgres', "CREATE ROLE $_ LOGIN") for qw(mig_installer mig_app mig_deployer);
run_psql('postgres', 'CREATE DATABASE app OWNER mig_installer');
{
	my $owner = connect_to('app', user => 'mig_installer');
	$owner->run(
		'CREATE EXTENSION migrate',
		'GRANT USAGE ON SCHEMA migrate TO mig_deployer',
		'GRANT EXECUTE ON FUNCTION migrate.upgrade(text), migrate.downgrade(text) TO mig_deployer',
		'GRANT SELECT ON migrate.log TO mig_deployer');
	for my $i (1 .. 9)
	{
		$owner->run("SELECT migrate.revision('number $i', "
			  . lit("CREATE TABLE t$i (a text);\nINSERT INTO t$i VALUES (E'\\\\. \xc3\xa9');")
			  . ", 'DROP TABLE t$i', 'r$i')");
	}
	$owner->run(
		q{SELECT migrate.upgrade('r6')},
		q{SELECT migrate.downgrade('r5')},
		q{SELECT migrate.configure('revision_ids', 'serial')},
		q{INSERT INTO migrate.models VALUES ('default', 1, 'CREATE TABLE x ()')},
		q{SELECT migrate.set_revision_data('r5', 'SELECT 1')},
		q{INSERT INTO migrate.partial
			(revision, direction, statements_done, digest, in_doubt, started_at)
			VALUES ('r9', 'upgrade', 2, 'digest', true, now())});
	$owner->finish;
	my $superuser = connect_to('app');
	$superuser->run(
		'ALTER DATABASE app OWNER TO mig_app',
		'REASSIGN OWNED BY mig_installer TO mig_app',
		'DROP OWNED BY mig_installer',
		'DROP ROLE mig_installer');
	$superuser->finish;
}

# What must not change, each a query: tables, and the catalogs' view of them.
my %queries = (
	(map { ($_ => "SELECT t::text FROM migrate.$_ t ORDER BY 1") }
		  qw(revisions versions applied partial log steps models settings revision_data
		  revisions_heads)),
	sequence => 'SELECT last_value, is_called FROM migrate.log_id_seq',
	owners   => q{SELECT relname, relowner::regrole,
			array(SELECT unnest(relacl)::text ORDER BY 1)
		FROM pg_class WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'S')
		ORDER BY 1},
	functions => q{SELECT p.oid::regprocedure, proowner::regrole,
			array(SELECT unnest(proacl)::text ORDER BY 1)
		FROM pg_proc p WHERE pronamespace = 'migrate'::regnamespace
		ORDER BY p.oid::regprocedure::text},
	triggers => q{SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger
		WHERE tgrelid IN ('migrate.revisions'::regclass, 'migrate.partial'::regclass)
		ORDER BY 1, 2},
	members => q{SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
		WHERE refclassid = 'pg_extension'::regclass AND classid <> 'pg_type'::regclass
			AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'migrate')
		ORDER BY 1},
	dumped => q{SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'migrate'
		ORDER BY unnest(extconfig)::regclass::text},
);

sub content
{
	my $session = connect_to('app');
	my %content = map { ($_ => [ $session->rows($queries{$_}) ]) } keys %queries;
	# 17 has one right more on tables, which the owner gets
	s/arwdDxtm/arwdDxt/g for @{ $content{owners} };
	return %content;
}
my %before = content();
for (sort keys %before)
{
	# the heads are not known while a script is incomplete
	my $operator = $_ eq 'revisions_heads' ? '==' : '>';
	cmp_ok(scalar @{ $before{$_} }, $operator, 0, "there is something in $_, if there can be");
}

# ------------------------------------------------------------------ over ----

$old->stop;
my $new = MigrateServer->create("$dir/new", initdb => ['--data-checksums'], stopped => 1);
{
	my ($status, $out, $err) = run_program(
		'sh', '-c', 'cd "$0" && exec "$@"', "$dir",
		tool('pg_upgrade'),
		'-U' => 'postgres',
		'-b' => $old_bindir,
		'-B' => tool('') =~ s{/$}{}r,
		'-d' => $old->data,
		'-D' => $new->data,
		'-s' => $new->socket_dir);
	is($status, 0, 'pg_upgrade') or do
	{
		diag $out, $err;
		diag slurp($_)
		  for glob("$dir/new/data/pg_upgrade_output.d/*/log/*"), glob("$dir/*.txt"),
		  glob("$dir/*.log");
		BAIL_OUT('nothing to look at');
	};
}
$new->start->use;

my %after = content();
is_deeply($after{$_}, $before{$_}, "the same as before: $_") for sort keys %before;

{
	my $deployer = connect_to('app', user => 'mig_app');
	is_deeply([ $deployer->rows('SELECT migrate.current()') ], ['r5'], 'the position');
	$deployer->run('DELETE FROM migrate.partial');
	is_deeply([ $deployer->rows('SELECT migrate.upgrade()') ],
		[qw(r6 r7 r8 r9)], 'upgrade continues');
	is_deeply([ $deployer->rows(q{SELECT migrate.downgrade('r8')}) ], ['r9'], 'downgrade too');
	is($deployer->value(q{SELECT migrate.revision('new', 'SELECT 1', '')}),
		'0001', 'and authoring, with the setting');
	is_deeply([ $deployer->rows('SELECT migrate.upgrade()') ],
		[qw(r9 0001)], 'what is new is applied');
	is( $deployer->value(
			'SELECT count(*) = count(DISTINCT id)
				AND max(id) = (SELECT last_value FROM migrate.log_id_seq)
			FROM migrate.log'),
		't',
		'the log is continued');
	is( $deployer->value('SELECT count(DISTINCT server_version) FROM migrate.log'),
		$old_version == $new_version ? 1 : 2,
		'and names the server of each step');
	is( $deployer->value(
			'SELECT count(*) FROM migrate.revisions
			WHERE checksum <> migrate.script_checksum(upgrade_sql, upgrade_transactional)'),
		0,
		'checksums are the same on both');
	is(connect_to('app', user => 'mig_deployer')->query('SELECT migrate.upgrade()')->{state},
		'00000', 'a role with GRANTs still may');

	my ($status, undef, $err) = run_program(tool('pg_dump'), '-f', "$dir/again.sql", 'app');
	is($status, 0, 'and it is dumped') or diag $err;
	run_psql('postgres', 'CREATE DATABASE again');
	($status, undef, $err) = run_psql('again', '', '-f', "$dir/again.sql");
	unlike($err, qr/ERROR/, 'and restored');
	# pg_upgrade, like pg_dump, does not know who owned an extension.
	is($deployer->query('DROP EXTENSION migrate')->{state},
		'42501', 'the extension belongs to who ran pg_upgrade');
	my $superuser = connect_to('app')->run('DROP EXTENSION migrate');
	is($superuser->value(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'migrate'}),
		0, 'DROP EXTENSION leaves nothing');
}
$new->stop;
done_testing();
