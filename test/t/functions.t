#!/usr/bin/perl
#
# doc/functions.md has every function, procedure, view and table of the schema, and no
# other, with its signature, its result, and who may call or read it after the GRANTs of
# doc/rights.md.  doc/looking.md has every column of the log, doc/settings.md every
# setting with its default.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateDoc;
use MigrateTest;
use Test::More;

my $doc = "$FindBin::RealBin/../../doc";
my $page = slurp("$doc/functions.md");
my @roles = map { "mig_functions_$_" } qw(author deployer reader);

# Rows of the tables of a page, as lists of cells.
sub rows_of
{
	return map { [ map { s/^\s+|\s+$//gr } split /\|/ ] }
	  map { /^\| (`.*) \|$/ ? $1 : () } split /\n/, $_[0];
}

# Types as the page has them.
sub short
{
	my $text = shift;
	$text =~ s/::(?:text|boolean|integer|int|jsonb)(?:\[\])?//g;
	$text =~ s/\bboolean\b/bool/g;
	$text =~ s/\binteger\b/int/g;
	$text =~ s/\btimestamp with time zone\b/timestamptz/g;
	return $text;
}

create_database('mig_functions', plain => 1);
my $session = connect_to('mig_functions');
$session->run('SET client_min_messages = warning');
$session->run(map { ("DROP ROLE IF EXISTS $_", "CREATE ROLE $_") } @roles);
END
{
	local $?;
	undef $session;
	drop_databases();
	run_psql('postgres', "DROP ROLE IF EXISTS $_") for @roles;
}

# The page's three roles, by other names.
my ($grants) = slurp("$doc/rights.md") =~ /^## Three roles\n.*?^```sql\n(.*?)^```/ms;
$grants =~ s/\bmigrate_(author|deployer|reader)\b/mig_functions_$1/g;
my $dir = scratch_dir();
my $file = spew("$dir/grants.sql", $grants);
my ($status, undef, $err) = run_psql('mig_functions', '', '-f', $file);
is($status, 0, 'the GRANTs of doc/rights.md') or diag $err;

# --------------------------------------------------------------- functions ----

# Who may call it, of those that the page knows.
my $who = q{CASE WHEN has_function_privilege('public', p.oid, 'EXECUTE') THEN 'everyone'
	WHEN has_function_privilege('mig_functions_author', p.oid, 'EXECUTE') THEN 'author'
	WHEN has_function_privilege('mig_functions_deployer', p.oid, 'EXECUTE') THEN 'deployer'
	ELSE 'owner' END};
my @functions = $session->rows(<<"END");
WITH arguments AS (
	SELECT p.oid, n, coalesce(p.proargmodes[n], 'i') AS mode,
		concat_ws(' ', p.proargnames[n],
			format_type(coalesce(p.proallargtypes[n], p.proargtypes[n - 1]), NULL),
			'DEFAULT ' || pg_get_function_arg_default(p.oid, n)) AS argument
	FROM pg_proc p, generate_series(1, cardinality(coalesce(p.proallargtypes, p.proargtypes))) n
), results AS (
	SELECT p.oid, (SELECT string_agg(a.argument, ', ' ORDER BY a.n) FROM arguments a
			WHERE a.oid = p.oid AND a.mode = 'i') AS arguments,
		(SELECT string_agg(a.argument, ', ' ORDER BY a.n) FROM arguments a
			WHERE a.oid = p.oid AND a.mode <> 'i') AS columns
	FROM pg_proc p WHERE p.pronamespace = 'migrate'::regnamespace
)
SELECT format('%s(%s) returns %s for %s', p.proname, r.arguments,
	CASE WHEN p.prokind = 'p' THEN 'procedure'
		WHEN r.columns IS NOT NULL THEN format('TABLE (%s)', r.columns)
		ELSE concat_ws(' ', CASE WHEN p.proretset THEN 'SETOF' END, format_type(p.prorettype, NULL))
	END, $who)
FROM pg_proc p JOIN results r USING (oid);
END
cmp_ok(scalar @functions, '>', 35, 'there are functions');

my @shown = grep { $_->[0] =~ /\(/ } rows_of($page);
is_deeply(
	[ sort map { s/`//gr } map { "$_->[0] returns $_->[1] for $_->[2]" } @shown ],
	[ sort map { short($_) } @functions ],
	'doc/functions.md has all of them, as they are');

# -------------------------------------------------------- views and tables ----

my @relations = $session->rows(<<'END');
SELECT format('%s for %s', c.relname,
	CASE WHEN has_table_privilege('mig_functions_reader', c.oid, 'SELECT') THEN 'reader'
		ELSE 'owner' END)
FROM pg_class c WHERE c.relnamespace = 'migrate'::regnamespace AND c.relkind IN ('r', 'v');
END
is_deeply(
	[ sort map { "$_->[0] for $_->[1]" =~ s/`//gr } grep { $_->[0] !~ /\(/ } rows_of($page) ],
	[ sort @relations ],
	'doc/functions.md has all views and tables');

# The columns of the log.
my ($log) = slurp("$doc/looking.md") =~ /^What a step records:\n(.*?)^It is written/ms;
is_deeply(
	[ map { $_->[0] =~ /`(\w+)`/g } rows_of($log) ],
	[   $session->rows(
			q{SELECT attname FROM pg_attribute WHERE attrelid = 'migrate.log'::regclass
				AND attnum > 0 ORDER BY attnum})
	],
	'doc/looking.md has all columns of the log');

# ---------------------------------------------------------------- settings ----

my ($of_session, $of_project) =
  slurp("$doc/settings.md") =~ /^## Of a session\n(.*?)^## Of the project\n(.*?)^## /ms;
$session->run(q{LOAD 'migrate'});
my @settings = $session->rows(<<'END');
SELECT format('`%s` `%s`', name, current_setting(name))
FROM pg_settings WHERE name LIKE 'migrate.%' ORDER BY name;
END
is_deeply([ sort map { "$_->[0] $_->[1]" } rows_of($of_session) ],
	\@settings, 'doc/settings.md has all settings');
{
	my ($query) = slurp("$doc/settings.md") =~ /^## The run lock\n.*?^```sql\n(.*?;)\n```/ms;
	my $holder = connect_to('mig_functions');
	$holder->run('BEGIN', q{SELECT migrate.configure('revision_ids', 'random')});
	my $pid = $holder->value('SELECT pg_backend_pid()');
	is_deeply([ map { /^(\d+)/ } $session->rows($query) ],
		[$pid], 'doc/settings.md: who holds the run lock');
	$holder->run('ROLLBACK');
}
for my $row (rows_of($of_project))
{
	for my $name ($row->[0] =~ /`(\w+)`/g)
	{
		is($session->query("SELECT migrate.configure('$name', NULL)")->{state},
			'00000', "doc/settings.md: $name is one of the project");
	}
}
isnt($session->query(q{SELECT migrate.configure('other', NULL)})->{state}, '00000', 'no other is');

done_testing();
