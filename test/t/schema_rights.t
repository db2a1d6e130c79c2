#!/usr/bin/perl
#
# Owner, privileges and comment of the managed schemas themselves: what models and
# revisions say of them is compared, and what they do not say is that of a new schema,
# or of public in a new database.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

my $server = MigrateServer->create;
$server->use;
my $version = int((run_psql('postgres', 'SHOW server_version_num'))[1] / 10000);
for my $sql ('CREATE ROLE rights_other', 'CREATE ROLE "a, b"', 'CREATE ROLE rights_plain LOGIN',
	'CREATE ROLE rights_owner LOGIN')
{
	my ($status, undef, $err) = run_psql('postgres', $sql);
	die $err if $status;
}
my ($me) = (run_psql('postgres', 'SELECT current_user'))[1] =~ /(\S+)/;

my $session = connect_to(create_database('mig_schema_rights'));
$session->run(q{SELECT migrate.configure('managed_schemas', 'public, k')},
	'CREATE SCHEMA k', 'CREATE TABLE k.t (id int)');

# The differences of schemas, a line each: name and what differs.
sub differences
{
	my ($of) = @_;
	my $result = $of->query(q{SELECT object_identity || ' ' || coalesce(detail, action)
		FROM migrate.compare() WHERE object_type = 'schema'});
	return $result->{state} eq '00000' ? $result->{out} : "$result->{state} $result->{err}";
}

# The same of a model, in a database to which something was done.
sub compare
{
	my ($live, $model) = @_;
	$session->run('BEGIN', split(/; /, $live));
	$session->run('SELECT migrate.set_model(' . lit($model) . ')');
	my $found = differences($session);
	$session->run('ROLLBACK');
	return $found;
}

# One side has what the other has not.
sub both_ways
{
	my ($what, $sql, $model) = @_;
	like(compare($sql, $model), $what, "only the database: $sql");
	like(compare('SELECT 1', "$model; $sql"), $what, "only the model: $sql");
	is(compare($sql, "$model; $sql"), '', '    both');
	return;
}

my $k = 'CREATE SCHEMA k; CREATE TABLE k.t (id int)';
my $in_k = 'CREATE TABLE k.t (id int)';
is(compare('GRANT USAGE ON SCHEMA k TO PUBLIC', $k), '', 'not where privileges are not compared');
$session->run(q{SELECT migrate.configure('compare_privileges', 'on')});

# ------------------------------------------------------------ made by a model ----

is(compare('SELECT 1', $k), '', 'a schema as it was created');
both_ways(qr/^k owner: .*; privileges: /, 'ALTER SCHEMA k OWNER TO rights_other', $k);
both_ways(qr/^k privileges: /, 'GRANT USAGE ON SCHEMA k TO rights_other', $k);
both_ways(qr/^k privileges: /, 'GRANT USAGE ON SCHEMA k TO "a, b" WITH GRANT OPTION', $k);
both_ways(qr/^k privileges: /, "REVOKE CREATE ON SCHEMA k FROM $me", $k);
both_ways(qr/^k comment: /, q{COMMENT ON SCHEMA k IS 'standard public schema'}, $k);
my $others = 'CREATE SCHEMA k AUTHORIZATION rights_other; CREATE TABLE k.t (id int)';
like(compare('SELECT 1', $others), qr/^k owner: $me -> rights_other;/, 'AUTHORIZATION');
is(compare('ALTER SCHEMA k OWNER TO rights_other', $others), '', '    both');
is(compare('ALTER SCHEMA k OWNER TO rights_other',
		'CREATE SCHEMA IF NOT EXISTS k AUTHORIZATION rights_other;'
		  . 'CREATE SCHEMA IF NOT EXISTS k; ' . $in_k),
	'', 'the first CREATE SCHEMA counts');
is(compare('GRANT USAGE ON SCHEMA k TO PUBLIC', 'ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS '
		  . "TO PUBLIC; $k"),
	"k privileges: =U/$me, $me=UC/$me -> $me=UC/$me\n",
	'default privileges are for what is created afterwards');

# ------------------------------------------------------------ there before it ----

is(compare('ALTER SCHEMA k OWNER TO rights_other', $in_k), '',
	'the owner of a schema that the model does not create is as it is');
both_ways(qr/^k privileges: /, 'GRANT USAGE ON SCHEMA k TO PUBLIC', $in_k);
is(compare('ALTER SCHEMA k OWNER TO rights_other', "$in_k; ALTER SCHEMA k OWNER TO $me"),
	"k owner: rights_other -> $me; privileges: rights_other=UC/rights_other -> $me=UC/$me\n",
	'    or as the model says');

# ----------------------------------------------------------------------- public ----

is(compare('SELECT 1', 'SELECT 1'), "k drop\n", 'public as initdb has made it');
both_ways(qr/^public privileges/, 'GRANT CREATE ON SCHEMA public TO rights_other', $k);
both_ways(qr/^public privileges/, 'REVOKE ALL ON SCHEMA public FROM PUBLIC', $k);
both_ways($version < 15 ? qr/^public privileges/ : qr/^public privileges/,
	$version < 15 ? 'REVOKE CREATE ON SCHEMA public FROM PUBLIC'
	: 'GRANT CREATE ON SCHEMA public TO PUBLIC', $k);
is(compare('SELECT 1', "CREATE SCHEMA IF NOT EXISTS public; $k"), '',
	'CREATE SCHEMA public says nothing');
my $to_other = 'ALTER SCHEMA public OWNER TO rights_other';
if ($version >= 15)
{
	both_ways(qr/^public owner: .*; privileges: /, $to_other, $k);
}
else
{
	is(compare($to_other, $k), '', 'public is anybody\'s');
	like(compare('SELECT 1', "$k; $to_other"), qr/^public owner: /, '    unless a model says it');
	is(compare($to_other, "$k; $to_other"), '', '    both');
}
both_ways(qr/^public comment: /, q{COMMENT ON SCHEMA public IS 'ours'}, $k);
is(compare('COMMENT ON SCHEMA public IS NULL', $k), '',
	'the standard comment of public may be missing');
is(compare('DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO '
		  . 'PUBLIC', $k) =~ s/owner: \S+ -> \S+; //r,
	$version < 15 ? "public privileges: =U/$me, $me=UC/$me -> =UC/$me, $me=UC/$me\n"
	: "public privileges: =U/$me, $me=UC/$me -> =U/pg_database_owner, "
	  . "pg_database_owner=UC/pg_database_owner\n", 'public that was made again');

# ------------------------------------------------------------------ schema_sql() ----

for my $rights (
	'ALTER SCHEMA k OWNER TO rights_other',
	'GRANT USAGE ON SCHEMA k TO PUBLIC; GRANT ALL ON SCHEMA k TO "a, b"',
	'GRANT USAGE ON SCHEMA k TO rights_other WITH GRANT OPTION;'
	  . ' GRANT CREATE ON SCHEMA k TO rights_other; GRANT USAGE ON SCHEMA public TO "a, b"',
	'GRANT USAGE ON SCHEMA k TO rights_other WITH GRANT OPTION; SET ROLE rights_other; '
	  . 'GRANT USAGE ON SCHEMA k TO "a, b"; RESET ROLE',
	"REVOKE ALL ON SCHEMA k FROM $me; REVOKE ALL ON SCHEMA public FROM PUBLIC",
	"ALTER SCHEMA public OWNER TO rights_other; REVOKE CREATE ON SCHEMA public FROM rights_other")
{
	my $acl = q{SELECT string_agg(nspname || ' ' || nspowner::regrole || ' ' || (SELECT
		string_agg(i::text, ',' ORDER BY i::text) FROM unnest(coalesce(nspacl,
		acldefault('n', nspowner))) i), ' ' ORDER BY 1) FROM pg_namespace n
		WHERE nspname IN ('k', 'public') GROUP BY nspname};
	$session->run('BEGIN', split /;\s*/, $rights);
	my $made = join "\n", $session->rows('SELECT migrate.schema_sql()');
	my $before = join "\n", $session->rows($acl);
	$session->run('SELECT migrate.set_model(' . lit($made) . ')');
	is(differences($session), '', "schema_sql() declares: $rights");
	$session->run('ROLLBACK', 'BEGIN', 'DROP SCHEMA k CASCADE');
	my $state = $session->query($made);
	is($state->{err}, '', '    can be run') or diag($made);
	$session->run('RESET search_path');
	is(join("\n", $session->rows($acl)), $before, '    makes the same');
	$session->run('ROLLBACK');
}
unlike(
	do
	{
		$session->run('BEGIN', q{SELECT migrate.configure('compare_privileges', NULL)});
		my $made = join "\n", $session->rows('SELECT migrate.schema_sql()');
		$session->run('ROLLBACK');
		$made;
	},
	qr/OWNER|GRANT|REVOKE/,
	'not where privileges are not compared');

# -------------------------------------------------------------------- revisions ----

{
	my $of = connect_to(create_database('mig_schema_rights_drift'));
	$of->run(q{SELECT migrate.configure('managed_schemas', 'public, k')},
		q{SELECT migrate.configure('compare_privileges', 'on')});
	my $n = 0;
	$of->run(sprintf q{SELECT migrate.revision('step', %s, rev_id => '%04d')}, lit($_), ++$n)
	  for 'CREATE SCHEMA k AUTHORIZATION rights_other; CREATE TABLE k.t (id int)',
	  'DO $$ BEGIN CREATE SCHEMA IF NOT EXISTS k; GRANT USAGE ON SCHEMA k TO PUBLIC; END $$',
	  'GRANT CREATE ON SCHEMA public TO rights_other';
	$of->run(q{SELECT migrate.upgrade('heads')});
	my $drift = q{SELECT object_identity || ' ' || detail FROM migrate.drift()};
	is(join("\n", $of->rows($drift)), '', 'revisions: no drift');
	for ([ 'ALTER SCHEMA k OWNER TO "a, b"', qr/^k owner: rights_other -> "?a, b"?; / ],
		[ 'GRANT CREATE ON SCHEMA k TO PUBLIC', qr/^k privileges: \S.* -> / ],
		[ 'REVOKE USAGE ON SCHEMA k FROM PUBLIC', qr/^k privileges: =U/ ],
		[ 'REVOKE CREATE ON SCHEMA public FROM rights_other', qr/^public privileges/ ],
		[ q{COMMENT ON SCHEMA k IS 'x'}, qr/^k comment: none -> x/ ])
	{
		my ($change, $what) = @$_;
		$of->run('BEGIN', $change);
		like(join("\n", $of->rows($drift)), $what, "revisions: $change");
		$of->run('ROLLBACK');
	}
	$of->finish;
}

# ------------------------------------------------------------- who is no superuser ----

{
	my $name = create_database('mig_schema_rights_plain', plain => 1, owner => 'rights_owner');
	my $admin = connect_to($name);
	$admin->run('ALTER SCHEMA public OWNER TO rights_plain',
		"GRANT CREATE ON DATABASE $name TO rights_plain");
	my $plain = connect_to($name, user => 'rights_plain');
	$plain->run('CREATE EXTENSION migrate',
		q{SELECT migrate.configure('compare_privileges', 'on')},
		q{SELECT migrate.set_model('CREATE TABLE t (id int)')}, 'CREATE TABLE t (id int)');
	is(differences($plain), '', 'who needs public to be his own finds no difference in that');
	$plain->run('GRANT USAGE ON SCHEMA public TO rights_other');
	like(differences($plain), qr/^public privileges/, '    but in its privileges');
	$_->finish for $plain, $admin;
}

$session->finish;
drop_databases();
$server->stop;
done_testing();
