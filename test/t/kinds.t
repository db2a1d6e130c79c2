#!/usr/bin/perl
#
# Nothing is equal in silence: compare() sees an object of every class that the
# server has, and a difference in any of their properties; what schema_sql() writes
# makes them again, and scripts that lead there and back are generated.  A class that
# a newer server brings fails the first test here, until it is listed below.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 600;

my $server = MigrateServer->create(
	settings => [ 'max_locks_per_transaction = 256', 'wal_level = logical' ]);
$server->use;
my $version = int((run_psql('postgres', 'SHOW server_version_num'))[1] / 10000);
my $dir = scratch_dir();
mkdir "$dir/space" or die "$dir/space: $!\n";
for my $sql ('CREATE ROLE kinds_other', 'CREATE ROLE kinds_plain LOGIN',
	"CREATE TABLESPACE kinds_space LOCATION '$dir/space'")
{
	my ($status, undef, $err) = run_psql('postgres', $sql);
	die $err if $status;
}

# The differences from the models: action|type|identity|detail.
sub differences
{
	return $_[0]->rows(
		'SELECT action, object_type, object_identity, detail FROM migrate.compare()');
}

sub declare
{
	my ($session, $ddl) = @_;
	$session->rows('SELECT migrate.set_model(' . lit($ddl) . ')');
	return;
}

# --------------------------------------------------------------- classes ----

# The catalogs whose rows have an OID, and the kinds that their objects are, or
# are a part of.
my %kinds = (
	pg_am                    => ['access method'],
	pg_amop                  => [ 'operator class', 'operator family' ],
	pg_amproc                => [ 'operator class', 'operator family' ],
	pg_attrdef               => ['column'],
	pg_cast                  => ['cast'],
	pg_class                 => [
		'table', 'view', 'materialized view', 'sequence', 'foreign table', 'composite type',
		'index'
	],
	pg_collation             => ['collation'],
	pg_constraint            => [ 'constraint', 'domain constraint' ],
	pg_conversion            => ['conversion'],
	pg_default_acl           => ['default privileges'],
	pg_enum                  => ['enum'],
	pg_event_trigger         => ['event trigger'],
	pg_extension             => ['extension'],
	pg_foreign_data_wrapper  => ['foreign data wrapper'],
	pg_foreign_server        => ['server'],
	pg_language              => ['language'],
	pg_namespace             => ['schema'],
	pg_opclass               => ['operator class'],
	pg_operator              => ['operator'],
	pg_opfamily              => ['operator family'],
	pg_policy                => ['policy'],
	pg_proc                  => [ 'function', 'procedure', 'aggregate' ],
	pg_publication           => ['publication'],
	pg_publication_namespace => ['publication'],
	pg_publication_rel       => ['publication'],
	pg_rewrite               => ['rule'],
	pg_statistic_ext         => ['statistics'],
	pg_subscription          => ['subscription'],
	pg_transform             => ['transform'],
	pg_trigger               => ['trigger'],
	pg_ts_config             => ['text search configuration'],
	pg_ts_dict               => ['text search dictionary'],
	pg_ts_parser             => ['text search parser'],
	pg_ts_template           => ['text search template'],
	pg_type                  =>
	  [ 'enum', 'domain', 'composite type', 'range type', 'base type', 'shell type' ],
	pg_user_mapping          => ['user mapping']);

# Those that are not of a schema.
my %no_meaning = (
	pg_auth_members        => 'roles are of the server',
	pg_authid              => 'roles are of the server',
	pg_database            => 'databases are of the server',
	pg_largeobject_metadata => 'large objects are data',
	pg_parameter_acl       => 'settings are of the server',
	pg_tablespace          => 'tablespaces are of the server');

my $db = create_database('mig_kinds');
my $session = connect_to($db);
$session->run(q{SELECT migrate.configure('managed_schemas', 'k, k_schema')},
	q{SELECT migrate.configure('compare_privileges', 'on')});

# What the models have, too: all else is attached to it, or is missing in them.
my $bare = <<'SQL';
CREATE SCHEMA k;
CREATE TABLE k.bare (id int, a int, v tsvector);
CREATE TABLE k.bare_partitioned (a int) PARTITION BY LIST (a);
CREATE DOMAIN k.bare_domain AS int;
SQL
my $all = <<'SQL';
CREATE SCHEMA k_schema;
CREATE EXTENSION hstore WITH SCHEMA k;
CREATE COLLATION k.k_coll (provider = libc, locale = 'C');
CREATE TYPE k.k_enum AS ENUM ('a', 'b');
CREATE DOMAIN k.k_domain AS int CONSTRAINT k_domain_check CHECK (VALUE > 0);
CREATE TYPE k.k_composite AS (x int, y int);
CREATE TYPE k.k_range AS RANGE (subtype = int);
CREATE TYPE k.k_shell;
CREATE TYPE k.k_base;
CREATE FUNCTION k.k_in(cstring) RETURNS k.k_base LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION k.k_out(k.k_base) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT
	AS 'int4out';
CREATE TYPE k.k_base (INPUT = k.k_in, OUTPUT = k.k_out, LIKE = int);
CREATE SEQUENCE k.k_sequence;
CREATE TABLE k.k_table (a int);
CREATE VIEW k.k_view AS SELECT a FROM k.k_table;
CREATE MATERIALIZED VIEW k.k_materialized AS SELECT a FROM k.k_table;
CREATE INDEX k_partitioned_index ON k.bare_partitioned (a);
ALTER DOMAIN k.bare_domain ADD CONSTRAINT k_bare_check CHECK (VALUE > 0);
ALTER TABLE k.bare ALTER COLUMN a SET DEFAULT 5;
CREATE FUNCTION k.k_function(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < $2';
CREATE FUNCTION k.k_cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
CREATE PROCEDURE k.k_procedure() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE k.k_aggregate(int) (sfunc = int4pl, stype = int);
CREATE FUNCTION k.k_fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION k.k_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
ALTER TABLE k.bare ADD CONSTRAINT k_check CHECK (id > 0);
CREATE INDEX k_index ON k.bare (a);
CREATE TRIGGER k_trigger AFTER INSERT ON k.bare EXECUTE FUNCTION k.k_fire();
CREATE RULE k_rule AS ON DELETE TO k.bare DO ALSO NOTHING;
CREATE POLICY k_policy ON k.bare;
CREATE STATISTICS k.k_statistics ON id, a FROM k.bare;
CREATE OPERATOR k.<<< (FUNCTION = k.k_function, LEFTARG = int, RIGHTARG = int,
	COMMUTATOR = OPERATOR(k.>>>));
CREATE OPERATOR FAMILY k.k_family USING btree;
ALTER OPERATOR FAMILY k.k_family USING btree ADD
	OPERATOR 1 < (int, int), FUNCTION 1 (int, int) btint4cmp(int, int);
CREATE OPERATOR CLASS k.k_class FOR TYPE int USING btree AS
	OPERATOR 1 k.<<<, FUNCTION 1 k.k_cmp(int, int);
CREATE CAST (k.k_enum AS int) WITH INOUT;
CREATE CAST (varchar AS int) WITH INOUT AS IMPLICIT;
CREATE CONVERSION k.k_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE LANGUAGE k_language HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler
	VALIDATOR plpgsql_validator;
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
CREATE ACCESS METHOD k_am TYPE INDEX HANDLER bthandler;
CREATE FOREIGN DATA WRAPPER k_wrapper OPTIONS (debug 'it''s');
CREATE SERVER k_server TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER k_wrapper
	OPTIONS (host 'a', "Port" '5');
CREATE USER MAPPING FOR kinds_other SERVER k_server OPTIONS (password 'secret');
CREATE FOREIGN TABLE k.k_foreign (a int OPTIONS (c 'd') NOT NULL DEFAULT 1) SERVER k_server
	OPTIONS (t 'u');
CREATE TEXT SEARCH PARSER k.k_parser (START = prsd_start, GETTOKEN = prsd_nexttoken,
	END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE k.k_template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY k.k_dictionary (TEMPLATE = k.k_template, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION k.k_configuration (PARSER = k.k_parser);
ALTER TEXT SEARCH CONFIGURATION k.k_configuration
	ADD MAPPING FOR asciiword, word WITH k.k_dictionary, simple;
CREATE INDEX k_search ON k.bare USING gin (to_tsvector('k.k_configuration', a::text));
CREATE PUBLICATION k_publication FOR TABLE k.bare;
CREATE SUBSCRIPTION k_subscription CONNECTION 'dbname=none password=secret'
	PUBLICATION p WITH (connect = false, slot_name = NONE);
CREATE EVENT TRIGGER k_event_trigger ON sql_drop EXECUTE FUNCTION k.k_event();
ALTER EVENT TRIGGER k_event_trigger DISABLE;
ALTER DEFAULT PRIVILEGES FOR ROLE kinds_other IN SCHEMA k GRANT SELECT ON TABLES TO PUBLIC;
COMMENT ON OPERATOR k.<<< (int, int) IS 'an operator';
COMMENT ON OPERATOR CLASS k.k_class USING btree IS 'a class';
COMMENT ON OPERATOR FAMILY k.k_family USING btree IS 'a family';
COMMENT ON CAST (varchar AS int) IS 'a cast';
COMMENT ON CONVERSION k.k_conversion IS 'a conversion';
COMMENT ON LANGUAGE k_language IS 'a language';
COMMENT ON TRANSFORM FOR int LANGUAGE sql IS 'a transform';
COMMENT ON ACCESS METHOD k_am IS 'a method';
COMMENT ON FOREIGN DATA WRAPPER k_wrapper IS 'a wrapper';
COMMENT ON SERVER k_server IS 'a server';
COMMENT ON TEXT SEARCH CONFIGURATION k.k_configuration IS 'a configuration';
COMMENT ON TEXT SEARCH DICTIONARY k.k_dictionary IS 'a dictionary';
COMMENT ON TEXT SEARCH TEMPLATE k.k_template IS 'a template';
COMMENT ON TEXT SEARCH PARSER k.k_parser IS 'a parser';
SQL
$all .= 'CREATE PUBLICATION k_publication_of_schema FOR TABLES IN SCHEMA k;' if $version >= 15;

$session->run($bare);
my $mark = $session->value(q{SELECT lo_create(0)});
$session->run($all);

# Every class is one that is known here, and has an object of ours.
my $with_oid = q{pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'oid'
	AND c.relkind = 'r' AND c.relnamespace = 'pg_catalog'::regnamespace};
my @catalogs = $session->rows("SELECT c.relname FROM $with_oid ORDER BY 1");
cmp_ok(scalar @catalogs, '>', 35, 'the server has said which catalogs there are');
is_deeply([ grep { !$kinds{$_} == !$no_meaning{$_} } @catalogs ],
	[], 'all of them are listed here, as kinds of ours or with a reason why not');
is_deeply(
	[ grep { $kinds{$_} && !$session->value("SELECT count(*) FROM $_ WHERE oid > $mark") }
		  @catalogs ],
	[], 'each has an object that the models do not have');

my %seen;
declare($session, $bare);
my @differences = differences($session);
push @{ $seen{ (split /\|/)[1] } }, $_ for @differences;
for my $catalog (grep { $kinds{$_} } @catalogs)
{
	is_deeply([ grep { !$seen{$_} } @{ $kinds{$catalog} } ],
		[], "$catalog: the differences have each kind");
}
my %known = map { $_ => 1 } map { @$_ } values %kinds;
is_deeply([ grep { !$known{$_} } keys %seen ], [], 'they have no kind that is not listed here');

# By name, each object of ours that the server names.
my @named = $session->rows(join ' UNION ',
	map {
		"SELECT i.type || ' ' || i.name FROM $_ x, pg_identify_object('$_'::regclass, x.oid, 0) i"
		  . " WHERE x.oid > $mark AND i.name LIKE 'k\\_%' AND i.type <> 'toast table'"
	} grep { $kinds{$_} && !/^pg_(?:amop|amproc|attrdef|enum|rewrite)$/ } @catalogs);
cmp_ok(scalar @named, '>', 35, 'the server has named our objects');
my @silent = grep {
	my ($name) = /.* (\S+)$/;
	# a multirange is made with its range
	$name ne 'k_multirange' && !grep { /\b\Q$name\E\b/ } @differences
} @named;
is_deeply(\@silent, [], 'each object that the server names is in a difference')
  or diag(explain(\@differences));
unlike(join("\n", @differences), qr/secret/, 'no password is shown');

# What schema_sql() writes makes all of it, but what is said not to be written.
my $script = join "\n", $session->rows('SELECT migrate.schema_sql()');
my @unwritten = $script =~ /^-- not written: (.*)$/mg;
is_deeply(
	\@unwritten,
	[
		'user mapping FOR kinds_other SERVER k_server',
		'base type k.k_base',
		'shell type k.k_shell',
		'subscription k_subscription'
	],
	'what is not written is said');
my $copy = create_database('mig_kinds_copy');
my $in_copy = connect_to($copy);
$in_copy->run(
	q{SELECT migrate.configure('managed_schemas', 'k, k_schema')},
	q{SELECT migrate.configure('exclude', 'base type:*, shell type:*, k_in, k_out')});
$script =~ s/^CREATE OR REPLACE FUNCTION k\.k_(?:in|out)\b.*?;\n//msg;
$script =~ s/^(?:ALTER|GRANT|REVOKE)\b.* FUNCTION k\.k_(?:in|out)\b.*;\n//mg;
$in_copy->run($script);
$in_copy->run('RESET search_path');
$session->run(q{SELECT migrate.configure('compare_privileges', NULL)});
$session->run(q{SELECT migrate.configure('exclude', 'base type:*, shell type:*, k_in, k_out')});
declare($in_copy, $script);
is_deeply([ differences($in_copy) ], [], 'a database made by the script is what it declares');
declare($session, $script);
is_deeply(
	[ map { join '|', (split /\|/)[ 0, 1 ] } differences($session) ],
	[ 'unsupported|subscription', 'unsupported|user mapping' ],
	'the script declares all but what is not written');

# ---------------------------------------------- objects of the database ----

# One that no model makes is a difference, as above; one that a model makes as it is
# none, as just seen; one that it makes otherwise is one.
my %otherwise = (
	'language'             => [ 'LANGUAGE k_language', 'TRUSTED LANGUAGE k_language' ],
	'access method'        => [ 'INDEX HANDLER bthandler', 'INDEX HANDLER hashhandler' ],
	'event trigger'        => [ 'ON sql_drop EXECUTE', 'ON table_rewrite EXECUTE' ],
	'foreign data wrapper' => [ q{(debug 'it''s')}, q{(debug 'is')} ],
	'server'               => [ q{VERSION '1'}, q{VERSION '2'} ],
	'cast'                 => [ 'WITH INOUT AS implicit', 'WITH INOUT' ],
	'transform' => [ '(FROM SQL WITH FUNCTION prsd_lextype', '(TO SQL WITH FUNCTION int4recv' ],
	'publication' => [ q{TABLE ONLY k.bare WITH (publish = 'insert, },
		q{TABLE ONLY k.bare WITH (publish = '} ]);
for my $kind (sort keys %otherwise)
{
	my ($as_it_is, $otherwise) = @{ $otherwise{$kind} };
	(my $other = $script) =~ s/\Q$as_it_is\E/$otherwise/ or die "no $as_it_is in\n$script";
	declare($session, $other);
	is_deeply([ map { join '|', (split /\|/)[ 0, 1 ] }
		grep { !/^unsupported/ } differences($session) ],
		["alter|$kind"], "a model makes it otherwise: $kind");
}
like(join("\n", @differences), qr/^drop\|\Q$_\E\|/m,
	"no model makes it: $_") for sort keys %otherwise;
declare($session, 'DROP SERVER IF EXISTS k_server; DROP CAST IF EXISTS (varchar AS int);'
	  . 'DROP LANGUAGE IF EXISTS k_language;' . $script
	  . q{CREATE USER MAPPING FOR kinds_other SERVER k_server OPTIONS (password 'other');});
is_deeply(
	[ grep { !/\|subscription\|/ } differences($session) ],
	['unsupported|user mapping|FOR kinds_other SERVER k_server|options'],
	'a model can drop what is there; of user mappings no options are shown');

# Who has not the rights to make it declares it as it is.
{
	my $name = create_database('mig_kinds_plain', plain => 1, owner => 'kinds_plain');
	my $admin = connect_to($name);
	my $made = <<'SQL';
CREATE LANGUAGE k_language HANDLER plpgsql_call_handler;
CREATE CAST (varchar AS int) WITH INOUT AS IMPLICIT;
CREATE FOREIGN DATA WRAPPER k_wrapper;
CREATE SERVER k_server FOREIGN DATA WRAPPER k_wrapper;
CREATE USER MAPPING FOR PUBLIC SERVER k_server;
SQL
	$admin->run('ALTER SCHEMA public OWNER TO kinds_plain', $made,
		'GRANT USAGE ON FOREIGN DATA WRAPPER k_wrapper TO kinds_plain');
	my $plain = connect_to($name, user => 'kinds_plain');
	$plain->run('CREATE EXTENSION migrate');
	my $fired = q{CREATE FUNCTION fired() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'};
	$admin->run($fired, 'ALTER FUNCTION fired() OWNER TO kinds_plain',
		'CREATE EVENT TRIGGER k_event_trigger ON sql_drop EXECUTE FUNCTION fired()');
	declare($plain, "$made$fired");
	is_deeply([ differences($plain) ], [], 'what the caller cannot make counts as it is');
	is_deeply([ grep { /event trigger/ } differences($admin) ],
		['drop|event trigger|k_event_trigger|'], '    which is not remembered for a superuser');
	declare($plain, "$made$fired; CREATE EVENT TRIGGER other ON sql_drop EXECUTE FUNCTION fired()");
	is_deeply([ differences($plain) ], [], '    an event trigger, too');
	$admin->run('DROP EVENT TRIGGER k_event_trigger', 'DROP FUNCTION fired()');
	$admin->run('ALTER SERVER k_server OWNER TO kinds_plain');
	declare($plain, $made =~ s/SERVER k_server FOR/SERVER k_server VERSION '2' FOR/r);
	is_deeply([ differences($plain) ], ['alter|server|k_server|version: none -> 2'],
		'a server of the caller is made again');
	declare($plain, 'CREATE TABLE t (a int)');
	is_deeply(
		[ differences($plain) ],
		[
			'create|table|public.t|',
			'drop|cast|(character varying AS integer)|',
			'unsupported|user mapping|FOR PUBLIC SERVER k_server|',
			'drop|server|k_server|',
			'drop|foreign data wrapper|k_wrapper|',
			'drop|language|k_language|'
		],
		'what no model makes is a difference for everybody');
	$plain->finish;
	$admin->finish;
}
$session->run('ALTER SUBSCRIPTION k_subscription DISABLE', 'DROP SUBSCRIPTION k_subscription');
$_->finish for $session, $in_copy;

# ------------------------------------------------------------ properties ----

# Two databases that differ in one fact only.  Each case: the kind and the property
# that differ, what both have, what one has besides.  $t: as the case's own table.
my @cases;
sub differ_in { push @cases, [@_]; return }

# Whether one of the differences is in a kind and a property, '' being the object.
sub is_seen
{
	my ($kind, $property, @differences) = @_;
	return scalar grep {
		my (undef, $type, undef, $detail) = split /\|/, $_, 4;
		$type eq $kind && ($property eq '' || $detail =~ /(?:^|; )\Q$property\E(?::|;|$)/)
	} @differences;
}

# What is refused, with what is to be written by hand.
my %refused =
  ('ALTER EXTENSION hstore SET SCHEMA k' => qr/ALTER EXTENSION hstore SET SCHEMA public;/);

# Generates the scripts for the last model, which are proved, both ways.
sub is_generated
{
	my ($session, $one, $name) = @_;
	$session->run('SAVEPOINT generated');
	my $scripts = $session->query('SELECT * FROM migrate.diff_sql()');
	$session->run('ROLLBACK TO generated');
	return like($scripts->{err}, $refused{$one}, "$name: is refused") if $refused{$one};
	return is($scripts->{state}, '00000', "$name: is generated") || diag($scripts->{err});
}

my $t = 'CREATE TABLE k.t (id int PRIMARY KEY, a int, b text);';
my $v = "$t CREATE VIEW k.v AS SELECT id, b FROM k.t;";
my $m = "$t CREATE MATERIALIZED VIEW k.m AS SELECT id, b FROM k.t;";
my $p = 'CREATE TABLE k.p (a int, b text) PARTITION BY LIST (a);'
  . 'CREATE TABLE k.p1 PARTITION OF k.p FOR VALUES IN (1);';
my $f = 'CREATE FUNCTION k.f(int) RETURNS int LANGUAGE sql AS \'SELECT 1\';';
my $tf = 'CREATE FUNCTION k.fire() RETURNS trigger LANGUAGE plpgsql AS \'BEGIN RETURN NULL; END\';';
my $trigger = 'CREATE TRIGGER g AFTER INSERT ON k.%s FOR EACH ROW EXECUTE FUNCTION k.fire();';
my $s = 'CREATE SEQUENCE k.s;';
my $d = 'CREATE DOMAIN k.d AS text;';
my $pub = "$t CREATE PUBLICATION pub FOR TABLE k.t;";
my $foreign = 'CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;'
  . 'CREATE FOREIGN TABLE k.ft (a int) SERVER s;';

# columns
differ_in('column', 'type', $t, 'ALTER TABLE k.t ALTER a TYPE bigint');
differ_in('column', 'type', 'CREATE TABLE k.t (a numeric(5, 2))',
	'ALTER TABLE k.t ALTER a TYPE numeric(6, 2)');
differ_in('column', 'collation', $t, 'ALTER TABLE k.t ALTER b TYPE text COLLATE "C"');
differ_in('column', 'not_null', $t, 'ALTER TABLE k.t ALTER a SET NOT NULL');
differ_in('column', 'default', $t, 'ALTER TABLE k.t ALTER a SET DEFAULT 1');
differ_in('column', 'statistics', $t, 'ALTER TABLE k.t ALTER a SET STATISTICS 50');
differ_in('column', 'statistics', $t, 'ALTER TABLE k.t ALTER a SET STATISTICS 0');
differ_in('column', 'storage', $t, 'ALTER TABLE k.t ALTER b SET STORAGE external');
differ_in('column', 'compression', $t, 'ALTER TABLE k.t ALTER b SET COMPRESSION pglz')
  if $version >= 14;
differ_in('column', 'options', $t, 'ALTER TABLE k.t ALTER a SET (n_distinct = 5)');
differ_in('column', 'options', $t, 'ALTER TABLE k.t ALTER a SET (n_distinct_inherited = -0.5)');
differ_in('column', 'comment', $t, q{COMMENT ON COLUMN k.t.a IS 'a'});
differ_in('column', 'identity', 'CREATE TABLE k.t (a int GENERATED ALWAYS AS IDENTITY)',
	'ALTER TABLE k.t ALTER a SET GENERATED BY DEFAULT');
for my $option ('INCREMENT 5', 'START 7', 'MINVALUE -5', 'MAXVALUE 1000', 'CACHE 9', 'CYCLE')
{
	differ_in('column', 'identity_sequence',
		'CREATE TABLE k.t (a int GENERATED ALWAYS AS IDENTITY)',
		"ALTER TABLE k.t ALTER a SET $option");
	my $of_sequence = lc((split / /, $option)[0]) =~ s/value/imum/r;
	differ_in('sequence', $of_sequence, $s, "ALTER SEQUENCE k.s $option");
}
differ_in('column', 'generated',
	'CREATE TABLE k.t (a int, b int GENERATED ALWAYS AS (a + 1) STORED)',
	'ALTER TABLE k.t DROP b, ADD b int GENERATED ALWAYS AS (a + 2) STORED');
differ_in('column', 'virtual', 'CREATE TABLE k.t (a int, b int GENERATED ALWAYS AS (a + 1) STORED)',
	'ALTER TABLE k.t DROP b, ADD b int GENERATED ALWAYS AS (a + 1) VIRTUAL') if $version >= 18;
differ_in('column', 'not_null', 'CREATE TABLE k.t (a int NOT NULL)',
	'ALTER TABLE k.t RENAME CONSTRAINT t_a_not_null TO named') if $version >= 18;
differ_in('column', 'not_null', 'CREATE TABLE k.t (a int NOT NULL NO INHERIT)',
	'ALTER TABLE k.t ALTER CONSTRAINT t_a_not_null INHERIT') if $version >= 18;
differ_in('column', 'not_null', 'CREATE TABLE k.t (a int CONSTRAINT n NOT NULL)',
	'ALTER TABLE k.t DROP CONSTRAINT n, ADD CONSTRAINT n NOT NULL a NOT VALID') if $version >= 18;
differ_in('column', 'not_null', 'CREATE TABLE k.t (a int NOT NULL NO INHERIT)',
	'ALTER TABLE k.t RENAME CONSTRAINT t_a_not_null TO n;'
	  . 'ALTER TABLE k.t ALTER CONSTRAINT n INHERIT') if $version >= 18;
differ_in('column', 'not_null', 'CREATE TABLE k.t ("NOT NULL a" int CONSTRAINT n NOT NULL)',
	'ALTER TABLE k.t DROP CONSTRAINT n, ADD CONSTRAINT "n NOT NULL a" NOT NULL "NOT NULL a"'
	  . ' NO INHERIT NOT VALID') if $version >= 18;
differ_in('column', 'not_null', $foreign =~ s/a int/a int NOT NULL/r,
	'ALTER TABLE k.ft RENAME CONSTRAINT ft_a_not_null TO named') if $version >= 18;
differ_in('column', '', $v, q{COMMENT ON COLUMN k.v.b IS 'b'});
differ_in('column', '', $v, q{ALTER VIEW k.v ALTER b SET DEFAULT 'x'});
differ_in('column', '', $m, q{COMMENT ON COLUMN k.m.b IS 'b'});
differ_in('column', '', $m, 'ALTER MATERIALIZED VIEW k.m ALTER b SET STATISTICS 7');
differ_in('column', '', $m, 'ALTER MATERIALIZED VIEW k.m ALTER b SET STORAGE external');
differ_in('column', '', $m, 'ALTER MATERIALIZED VIEW k.m ALTER b SET (n_distinct = 3)');
differ_in('column', 'comment', 'CREATE TYPE k.c AS (x int)', q{COMMENT ON COLUMN k.c.x IS 'x'});
differ_in('column', 'default', $p, 'ALTER TABLE k.p1 ALTER b SET DEFAULT 1');
differ_in('column', 'not_null', $p, 'ALTER TABLE k.p1 ALTER b SET NOT NULL');
differ_in('column', 'default', "$t CREATE TABLE k.child () INHERITS (k.t)",
	'ALTER TABLE k.child ALTER a SET DEFAULT 5');
differ_in('column', 'not_null', "$t CREATE TABLE k.child () INHERITS (k.t)",
	'ALTER TABLE k.child ALTER a SET NOT NULL');
differ_in('column', 'foreign_options', $foreign,
	q{ALTER FOREIGN TABLE k.ft ALTER a OPTIONS (c 'd')});

# tables
differ_in('table', 'unlogged', 'CREATE TABLE k.t ()', 'ALTER TABLE k.t SET UNLOGGED');
differ_in('table', 'of_type', 'CREATE TYPE k.c AS (a int); CREATE TABLE k.t (a int)',
	'ALTER TABLE k.t OF k.c');
differ_in('table', 'inherits', "$t CREATE TABLE k.child (LIKE k.t)",
	'ALTER TABLE k.child INHERIT k.t');
differ_in('table', 'tablespace', 'CREATE TABLE k.t ()',
	'ALTER TABLE k.t SET TABLESPACE kinds_space');
differ_in('table', 'access_method',
	"$t CREATE ACCESS METHOD other_heap TYPE TABLE HANDLER heap_tableam_handler",
	'ALTER TABLE k.t SET ACCESS METHOD other_heap') if $version >= 15;
differ_in('table', 'options', $t, 'ALTER TABLE k.t SET (fillfactor = 50)');
differ_in('table', 'options', $t, 'ALTER TABLE k.t SET (toast.autovacuum_enabled = off)');
differ_in('table', 'row_security', $t, 'ALTER TABLE k.t ENABLE ROW LEVEL SECURITY');
differ_in('table', 'force_row_security', $t, 'ALTER TABLE k.t FORCE ROW LEVEL SECURITY');
differ_in('table', 'replica_identity', $t, 'ALTER TABLE k.t REPLICA IDENTITY FULL');
differ_in('table', 'replica_identity', $t, 'ALTER TABLE k.t REPLICA IDENTITY NOTHING');
differ_in('constraint', 'replica_identity', $t,
	'ALTER TABLE k.t REPLICA IDENTITY USING INDEX t_pkey');
differ_in('table', 'comment', $t, q{COMMENT ON TABLE k.t IS 't'});
differ_in('table', 'partition_bound', $p,
	'ALTER TABLE k.p DETACH PARTITION k.p1;'
	  . 'ALTER TABLE k.p ATTACH PARTITION k.p1 FOR VALUES IN (2)');
differ_in('table', 'partition_of', $p, 'ALTER TABLE k.p DETACH PARTITION k.p1');
differ_in('foreign table', 'options', $foreign, q{ALTER FOREIGN TABLE k.ft OPTIONS (c 'd')});

# constraints and indexes
differ_in('constraint', 'definition', "$t ALTER TABLE k.t ADD CONSTRAINT c CHECK (a > 0)",
	'ALTER TABLE k.t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (a > 0) NO INHERIT');
differ_in('constraint', 'definition', "$t ALTER TABLE k.t ADD CONSTRAINT c CHECK (a > 0)",
	'ALTER TABLE k.t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (a > 0) NOT VALID');
my $fk = "$t ALTER TABLE k.t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES k.t";
for my $change ('NOT VALID', 'DEFERRABLE', 'DEFERRABLE INITIALLY DEFERRED', 'ON DELETE CASCADE',
	'ON UPDATE SET NULL', 'MATCH FULL', $version >= 18 ? 'NOT ENFORCED' : ())
{
	differ_in('constraint', 'definition', $fk,
		"ALTER TABLE k.t DROP CONSTRAINT c,"
		  . "ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES k.t $change");
}
differ_in('constraint', 'definition', "$t ALTER TABLE k.t ADD CONSTRAINT c CHECK (a > 0)",
	'ALTER TABLE k.t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (a > 0) NOT ENFORCED')
  if $version >= 18;
differ_in('constraint', 'definition',
	'CREATE EXTENSION btree_gist;'
	  . 'CREATE TABLE k.t (a int, r int4range, CONSTRAINT u UNIQUE (a, r))',
	'ALTER TABLE k.t DROP CONSTRAINT u, ADD CONSTRAINT u UNIQUE (a, r WITHOUT OVERLAPS)')
  if $version >= 18;
my $unique = 'CREATE TABLE k.t (a int, b int, CONSTRAINT u UNIQUE (a));';
for my $change ('UNIQUE (a) INCLUDE (b)', 'UNIQUE (a) DEFERRABLE', 'UNIQUE (b)',
	$version >= 15 ? 'UNIQUE NULLS NOT DISTINCT (a)' : ())
{
	differ_in('constraint', 'definition', $unique,
		"ALTER TABLE k.t DROP CONSTRAINT u, ADD CONSTRAINT u $change");
}
differ_in('constraint', 'comment', $unique, q{COMMENT ON CONSTRAINT u ON k.t IS 'u'});
differ_in('constraint', 'is_clustered', $unique, 'ALTER TABLE k.t CLUSTER ON u');
differ_in('constraint', 'index_options', $unique, 'ALTER INDEX k.u SET (fillfactor = 60)');
differ_in('constraint', 'index_tablespace', $unique, 'ALTER INDEX k.u SET TABLESPACE kinds_space');
differ_in('domain constraint', '', $d,
	q{ALTER DOMAIN k.d ADD CONSTRAINT c CHECK (VALUE <> '') NOT VALID});
differ_in('domain constraint', 'definition',
	"$d ALTER DOMAIN k.d ADD CONSTRAINT c CHECK (VALUE <> '')",
	'ALTER DOMAIN k.d DROP CONSTRAINT c;'
	  . q{ALTER DOMAIN k.d ADD CONSTRAINT c CHECK (VALUE <> '') NOT VALID});
differ_in('domain constraint', 'comment',
	"$d ALTER DOMAIN k.d ADD CONSTRAINT c CHECK (VALUE <> '')",
	q{COMMENT ON CONSTRAINT c ON DOMAIN k.d IS 'c'});
my $index = "$t CREATE UNIQUE INDEX i ON k.t (a, lower(b));";
for my $change ('UNIQUE INDEX i ON k.t (a, lower(b)) INCLUDE (id)', 'INDEX i ON k.t (a, lower(b))',
	'UNIQUE INDEX i ON k.t (a DESC, lower(b))', 'UNIQUE INDEX i ON k.t (a NULLS FIRST, lower(b))',
	'UNIQUE INDEX i ON k.t (a, lower(b) COLLATE "C")',
		'UNIQUE INDEX i ON k.t (a, lower(b)) WHERE a > 0',
	'UNIQUE INDEX i ON k.t (a, lower(b) text_pattern_ops)',
	$version >= 15 ? 'UNIQUE INDEX i ON k.t (a, lower(b)) NULLS NOT DISTINCT' : ())
{
	differ_in('index', 'definition', $index, "DROP INDEX k.i; CREATE $change");
}
differ_in('index', 'index_statistics', $index, 'ALTER INDEX k.i ALTER 2 SET STATISTICS 33');
differ_in('index', 'index_tablespace', $index, 'ALTER INDEX k.i SET TABLESPACE kinds_space');
differ_in('index', 'index_options', $index, 'ALTER INDEX k.i SET (fillfactor = 60)');
differ_in('index', 'is_clustered', "$t CREATE INDEX i ON k.t (a)", 'ALTER TABLE k.t CLUSTER ON i');
differ_in('index', 'is_clustered', "$m CREATE INDEX i ON k.m (id)",
	'ALTER MATERIALIZED VIEW k.m CLUSTER ON i');
differ_in('index', 'replica_identity',
	'CREATE TABLE k.t (a int NOT NULL); CREATE UNIQUE INDEX i ON k.t (a)',
	'ALTER TABLE k.t REPLICA IDENTITY USING INDEX i');
differ_in('index', 'comment', $index, q{COMMENT ON INDEX k.i IS 'i'});

# views
differ_in('view', 'definition', $v,
	'CREATE OR REPLACE VIEW k.v AS SELECT id, b FROM k.t WHERE a > 0');
differ_in('view', 'options', $v, 'ALTER VIEW k.v SET (security_barrier)');
differ_in('view', 'options', $v, 'ALTER VIEW k.v SET (check_option = local)');
differ_in('view', 'options', $v, 'ALTER VIEW k.v SET (security_invoker)') if $version >= 15;
differ_in('view', 'comment', $v, q{COMMENT ON VIEW k.v IS 'v'});
differ_in('materialized view', 'options', $m, 'ALTER MATERIALIZED VIEW k.m SET (fillfactor = 50)');
differ_in('materialized view', 'options', $m,
	'ALTER MATERIALIZED VIEW k.m SET (toast.autovacuum_enabled = off)');
differ_in('materialized view', 'tablespace', $m,
	'ALTER MATERIALIZED VIEW k.m SET TABLESPACE kinds_space');
differ_in('materialized view', 'comment', $m, q{COMMENT ON MATERIALIZED VIEW k.m IS 'm'});

# triggers, rules, policies
for my $state ('DISABLE', 'ENABLE REPLICA', 'ENABLE ALWAYS')
{
	differ_in('trigger', 'enabled', "$t $tf" . sprintf($trigger, 't'),
		"ALTER TABLE k.t $state TRIGGER g");
	differ_in('rule', 'enabled', "$t CREATE RULE r AS ON DELETE TO k.t DO INSTEAD NOTHING",
		"ALTER TABLE k.t $state RULE r");
}
differ_in('trigger', '', "$p $tf" . sprintf($trigger, 'p'), 'ALTER TABLE k.p1 DISABLE TRIGGER g');
differ_in('trigger', 'definition', "$t $tf" . sprintf($trigger, 't'),
	'DROP TRIGGER g ON k.t;' . sprintf($trigger, 't') =~ s/INSERT/INSERT OR UPDATE OF a/r);
differ_in('trigger', 'comment', "$t $tf" . sprintf($trigger, 't'),
	q{COMMENT ON TRIGGER g ON k.t IS 'g'});
differ_in('rule', 'definition', "$t CREATE RULE r AS ON DELETE TO k.t DO INSTEAD NOTHING",
	'CREATE OR REPLACE RULE r AS ON DELETE TO k.t DO ALSO NOTHING');
differ_in('rule', 'comment', "$t CREATE RULE r AS ON DELETE TO k.t DO INSTEAD NOTHING",
	q{COMMENT ON RULE r ON k.t IS 'r'});
my $policy = "$t CREATE POLICY y ON k.t USING (a > 0)";
differ_in('policy', 'using', $policy, 'ALTER POLICY y ON k.t USING (a > 1)');
differ_in('policy', 'check', $policy, 'ALTER POLICY y ON k.t WITH CHECK (a > 1)');
differ_in('policy', 'roles', $policy, 'ALTER POLICY y ON k.t TO kinds_other');
differ_in('policy', 'command', $policy,
	'DROP POLICY y ON k.t; CREATE POLICY y ON k.t FOR DELETE USING (a > 0)');
differ_in('policy', 'restrictive', $policy,
	'DROP POLICY y ON k.t; CREATE POLICY y ON k.t AS RESTRICTIVE USING (a > 0)');
differ_in('policy', 'comment', $policy, q{COMMENT ON POLICY y ON k.t IS 'y'});

# functions
for my $change ('COST 5', 'IMMUTABLE', 'STABLE', 'LEAKPROOF', 'PARALLEL SAFE', 'SECURITY DEFINER',
	'STRICT', 'SET work_mem = \'1MB\'', 'PARALLEL RESTRICTED')
{
	differ_in('function', 'definition', $f, "ALTER FUNCTION k.f $change");
}
differ_in('function', 'definition', $f =~ s/RETURNS int/RETURNS SETOF int/r,
	'ALTER FUNCTION k.f ROWS 3');
differ_in('function', 'definition', $f,
	'CREATE OR REPLACE FUNCTION k.f(x int) RETURNS int LANGUAGE sql AS \'SELECT 1\'');
differ_in('function', 'definition', $f,
	'CREATE OR REPLACE FUNCTION k.f(int DEFAULT 3) RETURNS int LANGUAGE sql AS \'SELECT 1\'');
differ_in('function', 'definition', $f,
	'CREATE OR REPLACE FUNCTION k.f(int) RETURNS int LANGUAGE sql AS \'SELECT 2\'');
differ_in('function', 'comment', $f, q{COMMENT ON FUNCTION k.f IS 'f'});
differ_in('procedure', 'definition', q{CREATE PROCEDURE k.f() LANGUAGE sql AS 'SELECT 1'},
	'ALTER PROCEDURE k.f SECURITY DEFINER');
differ_in('aggregate', 'initial', 'CREATE AGGREGATE k.a(int) (sfunc = int4pl, stype = int)',
	'DROP AGGREGATE k.a(int);'
	  . 'CREATE AGGREGATE k.a(int) (sfunc = int4pl, stype = int, initcond = 0)');
differ_in('aggregate', 'comment', 'CREATE AGGREGATE k.a(int) (sfunc = int4pl, stype = int)',
	q{COMMENT ON AGGREGATE k.a(int) IS 'a'});
# sequences, types, statistics, collations
differ_in('sequence', 'type', $s, 'ALTER SEQUENCE k.s AS int');
differ_in('sequence', 'owned_by', "$t $s", 'ALTER SEQUENCE k.s OWNED BY k.t.a');
differ_in('sequence', 'unlogged', $s, 'ALTER SEQUENCE k.s SET UNLOGGED') if $version >= 15;
differ_in('sequence', 'comment', $s, q{COMMENT ON SEQUENCE k.s IS 's'});
differ_in('enum', 'labels', q{CREATE TYPE k.e AS ENUM ('a', 'b')},
	q{ALTER TYPE k.e RENAME VALUE 'b' TO 'c'});
differ_in('enum', 'comment', q{CREATE TYPE k.e AS ENUM ('a', 'b')}, q{COMMENT ON TYPE k.e IS 'e'});
differ_in('domain', 'default', $d, q{ALTER DOMAIN k.d SET DEFAULT 'x'});
differ_in('domain', 'not_null', $d, 'ALTER DOMAIN k.d SET NOT NULL');
differ_in('domain', 'type', $d, 'DROP DOMAIN k.d; CREATE DOMAIN k.d AS varchar(5)');
differ_in('domain', 'collation', $d, 'DROP DOMAIN k.d; CREATE DOMAIN k.d AS text COLLATE "C"');
differ_in('domain', 'comment', $d, q{COMMENT ON DOMAIN k.d IS 'd'});
differ_in('composite type', 'comment', 'CREATE TYPE k.c AS (x int)', q{COMMENT ON TYPE k.c IS 'c'});
differ_in('column', 'type', 'CREATE TYPE k.c AS (x int)',
	'ALTER TYPE k.c ALTER ATTRIBUTE x TYPE bigint');
my $range = 'CREATE TYPE k.r AS RANGE (subtype = text%s)';
differ_in('range type', 'collation', sprintf($range, ''),
	'DROP TYPE k.r; ' . sprintf($range, ', collation = "C"'));
differ_in('range type', 'operator_class', sprintf($range, ''),
	'DROP TYPE k.r; ' . sprintf($range, ', subtype_opclass = text_pattern_ops'));
differ_in('range type', 'multirange', sprintf($range, ''),
	'DROP TYPE k.r; ' . sprintf($range, ', multirange_type_name = k.many')) if $version >= 14;
my $statistics = "$t CREATE STATISTICS k.x (ndistinct) ON id, a FROM k.t";
differ_in('statistics', 'definition', $statistics,
	'DROP STATISTICS k.x; CREATE STATISTICS k.x (mcv) ON id, a FROM k.t');
differ_in('statistics', 'target', $statistics, 'ALTER STATISTICS k.x SET STATISTICS 9');
differ_in('statistics', 'comment', $statistics, q{COMMENT ON STATISTICS k.x IS 'x'});
differ_in('collation', 'lc_collate', q{CREATE COLLATION k.c (locale = 'C')},
	q{DROP COLLATION k.c; CREATE COLLATION k.c (lc_collate = 'POSIX', lc_ctype = 'C')});
differ_in('collation', 'comment', q{CREATE COLLATION k.c (locale = 'C')},
	q{COMMENT ON COLLATION k.c IS 'c'});

# of the database
differ_in('publication', 'publish', $pub, q{ALTER PUBLICATION pub SET (publish = 'insert')});
differ_in('publication', 'via_root', $pub,
	'ALTER PUBLICATION pub SET (publish_via_partition_root)');
differ_in('publication', 'members', "$pub CREATE TABLE k.u (a int PRIMARY KEY)",
	'ALTER PUBLICATION pub ADD TABLE k.u');
differ_in('publication', 'members', $pub, 'ALTER PUBLICATION pub SET TABLE k.t (id, a)')
	if $version >= 15;
differ_in('publication', 'members', $pub, 'ALTER PUBLICATION pub SET TABLE k.t WHERE (id > 0)')
	if $version >= 15;
differ_in('publication', 'members', $pub, 'ALTER PUBLICATION pub SET TABLES IN SCHEMA k')
	if $version >= 15;
differ_in('publication', 'all_tables', $pub,
	'DROP PUBLICATION pub; CREATE PUBLICATION pub FOR ALL TABLES');
differ_in('publication', 'generated_columns', $pub,
	'ALTER PUBLICATION pub SET (publish_generated_columns = stored)') if $version >= 18;
differ_in('publication', 'comment', $pub, q{COMMENT ON PUBLICATION pub IS 'p'});
differ_in('server', 'options', $foreign, q{ALTER SERVER s OPTIONS (a 'b')});
differ_in('server', 'version', $foreign, q{ALTER SERVER s VERSION '2'});
differ_in('server', 'comment', $foreign, q{COMMENT ON SERVER s IS 's'});
differ_in('foreign data wrapper', 'options', $foreign,
	q{ALTER FOREIGN DATA WRAPPER w OPTIONS (a 'b')});
differ_in('foreign data wrapper', 'handler',
	'CREATE EXTENSION postgres_fdw; CREATE FOREIGN DATA WRAPPER w',
	'ALTER FOREIGN DATA WRAPPER w HANDLER postgres_fdw_handler');
differ_in('foreign data wrapper', 'validator', 'CREATE FOREIGN DATA WRAPPER w',
	'ALTER FOREIGN DATA WRAPPER w VALIDATOR postgresql_fdw_validator');
differ_in('schema', 'comment', 'SELECT 1', q{COMMENT ON SCHEMA k IS 'k'});
differ_in('extension', 'in_schema', 'CREATE EXTENSION hstore SCHEMA public',
	'ALTER EXTENSION hstore SET SCHEMA k');

# text search, operators, conversions
my $dictionary = q{CREATE TEXT SEARCH DICTIONARY k.x (TEMPLATE = simple, STOPWORDS = english);};
my $configuration = "$dictionary CREATE TEXT SEARCH CONFIGURATION k.c (PARSER = \"default\");"
  . 'ALTER TEXT SEARCH CONFIGURATION k.c ADD MAPPING FOR word WITH k.x;';
differ_in('text search dictionary', 'options', $dictionary,
	'ALTER TEXT SEARCH DICTIONARY k.x (STOPWORDS = danish)');
differ_in('text search configuration', 'mappings', $configuration,
	'ALTER TEXT SEARCH CONFIGURATION k.c ADD MAPPING FOR asciiword WITH simple');
differ_in('text search configuration', 'mappings', $configuration,
	'ALTER TEXT SEARCH CONFIGURATION k.c ALTER MAPPING FOR word WITH simple, k.x');
my $operator = 'CREATE FUNCTION k.f(int, int) RETURNS bool LANGUAGE sql IMMUTABLE'
  . q{ AS 'SELECT $1 < $2';}
  . 'CREATE OPERATOR k.<<< (FUNCTION = k.f, LEFTARG = int, RIGHTARG = int);';
differ_in('operator', 'restrict', $operator,
	'ALTER OPERATOR k.<<< (int, int) SET (RESTRICT = scalarltsel)');
differ_in('operator', 'join', $operator,
	'ALTER OPERATOR k.<<< (int, int) SET (JOIN = scalarltjoinsel)');
for my $change ('commutator = OPERATOR(k.<<<)', 'negator = OPERATOR(k.>>>)', 'hashes', 'merges')
{
	my ($property) = $change =~ /^(\w+)/;
	differ_in('operator', $property, $operator, 'DROP OPERATOR k.<<< (int, int);'
		  . "CREATE OPERATOR k.<<< (FUNCTION = k.f, LEFTARG = int, RIGHTARG = int, $change)");
}
differ_in('operator family', 'items', 'CREATE OPERATOR FAMILY k.y USING btree',
	'ALTER OPERATOR FAMILY k.y USING btree ADD OPERATOR 1 < (int, int)');
differ_in('operator class', 'is_default',
	'CREATE OPERATOR CLASS k.o FOR TYPE box USING btree AS STORAGE box',
	'DROP OPERATOR CLASS k.o USING btree;'
	  . 'CREATE OPERATOR CLASS k.o DEFAULT FOR TYPE box USING btree'
	  . ' FAMILY k.o AS STORAGE box');
differ_in('conversion', 'is_default',
	q{CREATE CONVERSION k.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8},
	'DROP CONVERSION k.c;'
	  . q{CREATE DEFAULT CONVERSION k.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8});

$db = create_database('mig_kinds_b');
$session = connect_to($db);
$session->run(q{SELECT migrate.configure('managed_schemas', 'k')});
my $drop_all = 'DROP SCHEMA k CASCADE; DROP PUBLICATION IF EXISTS pub;'
  . 'DROP EXTENSION IF EXISTS hstore; DROP EXTENSION IF EXISTS btree_gist;'
  . 'DROP FOREIGN DATA WRAPPER IF EXISTS w CASCADE; DROP EXTENSION IF EXISTS postgres_fdw;'
  . 'DROP ACCESS METHOD IF EXISTS other_heap;';
for my $case (@cases)
{
	my ($kind, $property, $both, $one) = @$case;
	$both = "CREATE SCHEMA k; $both";
	$session->run('BEGIN');
	my $state = $session->query("$both;\n$one");
	if ($state->{state} ne '00000')
	{
		fail("$kind: $one");
		diag($state->{err});
		$session->run('ROLLBACK');
		next;
	}
	# of the model that lacks it, of the live side that lacks it
	declare($session, $both);
	my @there = differences($session);
	ok(is_seen($kind, $property, @there), "$kind: $one")
	  or diag(explain(\@there));
	is_generated($session, $one, "$kind: $one");
	my $made = join "\n", $session->rows('SELECT migrate.schema_sql()');
	declare($session, $made);
	my @left = differences($session);
	# which says that it is in the script; and that can run outside of the scratch, too
	$session->run($drop_all);
	$state = $session->query($made);
	is_deeply([ $state->{err}, @left ], [''], "$kind: $one: in schema_sql()") or diag($made);
	$session->run('ROLLBACK');
}
# ------------------------------------------------- owners and privileges ----

my $owned = <<'SQL';
CREATE SCHEMA k;
CREATE TABLE k.t (id int PRIMARY KEY, a int);
CREATE VIEW k.v AS SELECT id FROM k.t;
CREATE SEQUENCE k.s;
CREATE FUNCTION k.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE k.e AS ENUM ('a');
CREATE TYPE k.c AS (x int);
CREATE DOMAIN k.d AS int;
CREATE COLLATION k.l (locale = 'C');
CREATE STATISTICS k.x ON id, a FROM k.t;
CREATE TEXT SEARCH DICTIONARY k.di (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION k.co (PARSER = "default");
CREATE CONVERSION k.n FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE OPERATOR k.<<< (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR FAMILY k.y USING btree;
CREATE PUBLICATION pub;
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE TRUSTED LANGUAGE kl HANDLER plpgsql_call_handler;
SQL
my @rights = (
	[ 'schema', 'owner', 'ALTER SCHEMA k OWNER TO kinds_other' ],
	[ 'schema', 'privileges', 'GRANT USAGE ON SCHEMA k TO PUBLIC' ],
	[ 'schema', 'privileges', 'REVOKE CREATE ON SCHEMA k FROM kinds_other' ],
	[ 'table', 'owner', 'ALTER TABLE k.t OWNER TO kinds_other' ],
	[ 'table', 'privileges', 'GRANT SELECT ON k.t TO kinds_other' ],
	[ 'table', 'privileges', 'REVOKE INSERT ON k.t FROM CURRENT_USER' ],
	[ 'column', 'privileges', 'GRANT SELECT (a) ON k.t TO kinds_other' ],
	[ 'column', '', 'GRANT SELECT (id) ON k.v TO kinds_other' ],
	[ 'view', 'owner', 'ALTER VIEW k.v OWNER TO kinds_other' ],
	[ 'view', 'privileges', 'GRANT SELECT ON k.v TO PUBLIC' ],
	[ 'sequence', 'privileges', 'GRANT USAGE ON SEQUENCE k.s TO PUBLIC' ],
	[ 'function', 'owner', 'ALTER FUNCTION k.f() OWNER TO kinds_other' ],
	[ 'function', 'privileges', 'REVOKE EXECUTE ON FUNCTION k.f() FROM PUBLIC' ],
	[ 'enum', 'owner', 'ALTER TYPE k.e OWNER TO kinds_other' ],
	[ 'enum', 'privileges', 'REVOKE USAGE ON TYPE k.e FROM PUBLIC' ],
	[ 'composite type', 'owner', 'ALTER TYPE k.c OWNER TO kinds_other' ],
	[ 'composite type', 'privileges', 'GRANT USAGE ON TYPE k.c TO kinds_other' ],
	[ 'domain', 'privileges', 'GRANT USAGE ON DOMAIN k.d TO kinds_other' ],
	[ 'collation', 'owner', 'ALTER COLLATION k.l OWNER TO kinds_other' ],
	[ 'statistics', 'owner', 'ALTER STATISTICS k.x OWNER TO kinds_other' ],
	[ 'text search dictionary', 'owner',
		'ALTER TEXT SEARCH DICTIONARY k.di OWNER TO kinds_other' ],
	[ 'text search configuration', 'owner',
		'ALTER TEXT SEARCH CONFIGURATION k.co OWNER TO kinds_other' ],
	[ 'conversion', 'owner', 'ALTER CONVERSION k.n OWNER TO kinds_other' ],
	[ 'operator', 'owner', 'ALTER OPERATOR k.<<< (int, int) OWNER TO kinds_other' ],
	[ 'operator family', 'owner',
		'ALTER OPERATOR FAMILY k.y USING btree OWNER TO kinds_other' ],
	[ 'server', 'privileges', 'GRANT USAGE ON FOREIGN SERVER s TO PUBLIC' ],
	[ 'server', 'owner',
		'GRANT USAGE ON FOREIGN DATA WRAPPER w TO PUBLIC; ALTER SERVER s OWNER TO kinds_other' ],
	[ 'foreign data wrapper', 'privileges', 'GRANT USAGE ON FOREIGN DATA WRAPPER w TO PUBLIC' ],
	[ 'publication', 'owner',
		'GRANT CREATE ON DATABASE mig_kinds_b TO kinds_other;'
		  . 'ALTER PUBLICATION pub OWNER TO kinds_other' ],
	[ 'language', 'owner', 'ALTER LANGUAGE kl OWNER TO kinds_other' ],
	[ 'language', 'privileges', 'GRANT USAGE ON LANGUAGE kl TO kinds_other' ],
	[ 'default privileges', '',
		'ALTER DEFAULT PRIVILEGES FOR ROLE kinds_other GRANT SELECT ON TABLES TO PUBLIC' ]);
$session->run($owned, 'GRANT CREATE ON SCHEMA k TO kinds_other');
declare($session, "$owned GRANT CREATE ON SCHEMA k TO kinds_other");
for my $case (@rights)
{
	my ($kind, $property, $change) = @$case;
	$session->run('BEGIN', $change);
	my @off = differences($session);
	$session->run(q{SELECT migrate.configure('compare_privileges', 'on')});
	my @on = differences($session);
	ok(!@off && is_seen($kind, $property, @on), "compare_privileges: $change")
	  or diag(explain([ \@off, \@on ]));
	is_generated($session, $change, "compare_privileges: $change");
	$session->run('ROLLBACK');
}
$session->run(q{SELECT migrate.configure('compare_privileges', 'on')});
is_deeply([ differences($session) ], [], 'the same owners and privileges are no difference');
$session->run('GRANT SELECT ON k.t TO kinds_other', 'GRANT SELECT (a) ON k.t TO PUBLIC');
declare($session, "$owned GRANT CREATE ON SCHEMA k TO kinds_other;"
	  . 'GRANT SELECT (a) ON k.t TO PUBLIC; GRANT SELECT ON k.t TO kinds_other');
is_deeply([ differences($session) ], [], 'nor are the same grants in another order');
is($session->query(q{SELECT migrate.configure('compare_privileges', 'yes')})->{state}, '22023',
	'compare_privileges is on or off');

$session->finish;

drop_databases();
$server->stop;
done_testing();
