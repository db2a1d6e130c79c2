#!/usr/bin/perl
#
# migrate.lint beyond its rules: what is exempt, how names are found, what comments and
# settings silence, check(lint => true), few rights; and that what it asks the server
# about types, defaults and conditions is what ALTER TABLE does.
use strict;
use warnings;
use utf8;

use Encode qw(encode_utf8);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $database = create_database('mig_lint');
my $session = connect_to($database);
my $version = $session->value('SHOW server_version_num') / 10000;
$session->run(q{
	CREATE TABLE old (id bigint PRIMARY KEY, a int, b text);
	INSERT INTO old VALUES (1, 1, 'x'), (2, 2, 'y');
	CREATE TABLE empty (id bigint PRIMARY KEY, a int, b text);
	CREATE TABLE parts (at int NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
	INSERT INTO parts VALUES (1);
	CREATE TYPE kind AS ENUM ('a')});

# The findings of scripts, which are the pending revisions one after the other, as
# "statement rule", without rules that are not asked for.
my $number = 0;
sub pend
{
	my $parent = 'base';
	for (@_)
	{
		my ($up, $transactional, $down) = ref ? @$_ : ($_, 1);
		my $id = sprintf 'r%05d', ++$number;
		$session->run(sprintf 'SELECT migrate.revision(%s, %s, %s, %s, %s, transactional => %s)',
			lit('a step'), lit($up), lit($down // '-- none'), lit($id), lit($parent),
			$transactional ? 'true' : 'false');
		$parent = $id;
	}
	return $parent;
}

sub lint
{
	$session->run('BEGIN');
	pend(@_);
	my @found = $session->rows(q{SELECT concat_ws(' ', statement, rule) FROM migrate.lint()
		WHERE rule <> 'lock-timeout'});
	$session->run('ROLLBACK');
	return join ', ', @found;
}

# The messages of one script.
sub messages
{
	$session->run('BEGIN');
	pend(@_);
	my @found = $session->rows(q{SELECT rule || ': ' || message FROM migrate.lint()});
	$session->run('ROLLBACK');
	return join "\n", @found;
}

sub finds { my ($expected, $name, @scripts) = @_; is(lint(@scripts), $expected, $name) }

# ----------------------------------------------------------------- exempt ----

my $index = 'CREATE INDEX ON %s (a);';
finds('1 index-not-concurrent', 'a table that has rows', sprintf $index, 'old');
finds('', 'one that is empty here', sprintf $index, 'empty');
finds('', 'one that the script made', 'CREATE TABLE new (a int); ' . sprintf $index, 'new');
finds('2 type-change-rewrite', 'a type that the script made is another one',
	q{CREATE TYPE state AS ENUM ('a'); ALTER TABLE old ALTER a TYPE state USING a::text::state});
finds('', 'one that a revision before it made', 'CREATE TABLE new (a int);', sprintf $index, 'new');
finds('', 'one that is made from a query', 'CREATE TABLE new AS SELECT * FROM old; '
	. sprintf $index, 'new');
finds('', 'likewise, with SELECT INTO', 'SELECT * INTO new FROM old; ' . sprintf $index, 'new');
finds('', 'one that is made with its schema',
	'CREATE SCHEMA s CREATE TABLE new (a int); ' . sprintf $index, 's.new');
finds('1 rename, 2 index-not-concurrent, 2 statements-under-exclusive',
	'an old one under another name, which stays locked',
	'ALTER TABLE old RENAME TO older; ' . sprintf $index, 'older');
finds('1 drop-table', 'a new one of the name of an old one, which is dropped',
	'DROP TABLE old; CREATE TABLE old (a int); ' . sprintf $index, 'old');
finds('2 rename, 3 index-not-concurrent, 3 statements-under-exclusive',
	'one that is moved to another schema',
	'CREATE SCHEMA s; ALTER TABLE old SET SCHEMA s; ' . sprintf $index, 's.old');
finds('', 'an emptied one', 'TRUNCATE old; ' . sprintf $index, 'old');
finds('1 index-not-concurrent', 'a partition counts as a table',
	'CREATE INDEX ON parts_1 (at);');
finds('1 index-not-concurrent', 'and a partitioned table has the rows of its partitions',
	'CREATE INDEX ON parts (at);');
finds('', 'but for ON ONLY', 'CREATE INDEX ON ONLY parts (at);');
finds('', 'a column that the plan made can be dropped',
	'ALTER TABLE old ADD COLUMN c int;', 'ALTER TABLE old DROP COLUMN c;');
finds('1 drop-column, 3 drop-column', 'once, if it is named as one that was dropped',
	'ALTER TABLE old DROP COLUMN a; ALTER TABLE old ADD COLUMN a int; '
	  . 'ALTER TABLE old DROP COLUMN b; ALTER TABLE old DROP COLUMN a;');
{
	$session->run('SET migrate.lint_assume_rows = on');
	finds('1 index-not-concurrent', 'lint_assume_rows: the empty one too', sprintf $index, 'empty');
	finds('', 'but not the new one', 'CREATE TABLE new (a int); ' . sprintf $index, 'new');
	$session->run('RESET migrate.lint_assume_rows');
}
like(messages('CREATE TABLE new (id bigint REFERENCES old);'),
	qr/^lock-timeout: writes of table public.old wait .*SHARE ROW EXCLUSIVE/m,
	'CREATE TABLE ... REFERENCES locks the old table');
unlike(messages([ 'ALTER TABLE old ADD COLUMN c int;', 0 ]),
	qr/lock-timeout/, 'a plan that can only run stepwise has a lock_timeout');
unlike(messages("SET LOCAL lock_timeout = '1s'; ALTER TABLE old ADD COLUMN c int;"),
	qr/lock-timeout/, 'or the script has');
like(messages("SET LOCAL lock_timeout = 0; ALTER TABLE old ADD COLUMN c int;"),
	qr/lock-timeout/, 'if it is not 0');
unlike(messages("SELECT set_config('lock_timeout', '1s', true); ALTER TABLE old ADD COLUMN c int;"),
	qr/lock-timeout/, 'with set_config(), too');
{
	$session->run(q{SET lock_timeout = '1s'});
	unlike(messages('ALTER TABLE old ADD COLUMN c int;'), qr/lock-timeout/, 'or the session');
	$session->run('RESET lock_timeout');
}

# ------------------------------------------------------------------ names ----

$session->run('CREATE SCHEMA other', 'CREATE TABLE other.there (a int)',
	'INSERT INTO other.there VALUES (1)');
finds('', 'a table that is not in the search_path is not there', sprintf $index, 'there');
finds('2 index-not-concurrent', 'SET LOCAL search_path counts from there on',
	'SET LOCAL search_path = other; ' . sprintf $index, 'there');
finds('2 index-not-concurrent', 'as does set_config()',
	"SELECT pg_catalog.set_config('search_path', 'other', false); " . sprintf $index, 'there');
finds('1 session-setting', 'to the end of the script',
	'SET search_path = other;', sprintf $index, 'there');
finds('', 'a new table in a new schema is found by the path',
	'CREATE SCHEMA s; SET LOCAL search_path = s; CREATE TABLE old (a int); '
	  . sprintf $index, 'old');
is($session->value('SHOW search_path'), '"$user", public', 'the session keeps its own');
finds('2 index-not-concurrent', 'a temporary table is before all others, until it is gone',
	'CREATE TEMP TABLE old (a int); CREATE INDEX ON public.old (a); ' . sprintf $index, 'old');
for my $odd ('we""ird', "\N{U+fc}b\N{U+e9}r \N{U+1F600}", 'x' x 63, 'select', '%s %d')
{
	my $name = encode_utf8(qq{"$odd"});
	$session->run("CREATE TABLE $name (a int, $name int)", "INSERT INTO $name VALUES (1)");
	my $said = messages("ALTER TABLE $name DROP COLUMN $name; " . sprintf $index, $name);
	$said =~ s/^lock-timeout.*\n//m;
	like($said, qr/^drop-column: .*public\.\Q$name\E.*\nindex-not-concurrent: .*public\.\Q$name\E /,
		encode_utf8("table $odd")) unless $odd eq 'x' x 63;
	like($said, qr/public\.x{63}/, 'a name of 63 bytes') if $odd eq 'x' x 63;
	$session->run("DROP TABLE $name");
}
for (
	'ALTER TABLE nowhere ADD COLUMN a int NOT NULL, DROP COLUMN b CASCADE;',
	'DROP TABLE IF EXISTS nowhere CASCADE; DROP SCHEMA IF EXISTS nowhere CASCADE;',
	'DROP INDEX nowhere; REINDEX INDEX nowhere; DROP INDEX CONCURRENTLY nowhere;',
	'ALTER TABLE old ALTER COLUMN nowhere TYPE int, ALTER COLUMN nowhere SET NOT NULL;',
	'ALTER TABLE old ALTER COLUMN a TYPE nowhere, ALTER COLUMN b TYPE nowhere.t(1, 2) USING c;',
	'ALTER TABLE old ADD COLUMN c nowhere DEFAULT nowhere(1, x);',
	'ALTER TABLE old DROP CONSTRAINT nowhere; ALTER TABLE old VALIDATE CONSTRAINT nowhere;',
	'ALTER TABLE nowhere ATTACH PARTITION old FOR VALUES IN (1);',
	'ALTER TABLE parts ATTACH PARTITION nowhere DEFAULT;',
	'ALTER TABLE parts DETACH PARTITION nowhere CONCURRENTLY;',
	'CREATE TABLE nowhere PARTITION OF nothing FOR VALUES IN (1);',
	'CREATE TRIGGER t AFTER INSERT ON nowhere FOR EACH ROW EXECUTE FUNCTION f();',
	'ALTER DOMAIN nowhere ADD CHECK (VALUE > 0); ALTER TYPE nowhere ADD VALUE $$x$$;',
	'CLUSTER; VACUUM FULL; VACUUM FULL nowhere; CLUSTER nowhere; REINDEX DATABASE postgres;',
	'ALTER TABLE a.b.nowhere RENAME TO x; ALTER VIEW nowhere RENAME COLUMN x TO y;',
	'ALTER INDEX nowhere RENAME TO x; ALTER FUNCTION f(int) RENAME TO g; ',
	'VACUUM (FULL maybe) old; REINDEX (VERBOSE) TABLE nowhere;',
	'COMMENT ON TABLE nowhere IS $$x$$; GRANT SELECT ON nowhere TO PUBLIC;',
	'ALTER TABLE old SET TABLESPACE nowhere; ALTER TABLE old ADD UNIQUE USING INDEX nowhere;',
	'REFRESH MATERIALIZED VIEW nowhere; LOCK TABLE nowhere; TRUNCATE nowhere CASCADE;',
	'ALTER TABLE old INHERIT nowhere; CREATE TABLE n (LIKE nowhere) INHERITS (nowhere);',
	'UPDATE nowhere SET a = 1; INSERT INTO old SELECT * FROM nowhere; DELETE FROM nowhere;',
	'ALTER TABLE old ADD FOREIGN KEY (a, nowhere) REFERENCES nowhere NOT VALID;',
	'CREATE VIEW v AS SELECT 1; CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING; DROP VIEW v;',
	'DROP FUNCTION f(int) CASCADE; DROP TYPE nowhere CASCADE; DROP TRIGGER t ON nowhere;')
{
	$session->run('BEGIN');
	next if $version < 14 && /DETACH/;
	my $apart = /CONCURRENTLY|VACUUM|CLUSTER;/;
	my $last = eval { pend([ $_, !$apart ]) };
	my $result = $session->query('SELECT count(*) FROM migrate.lint()');
	is($result->{state}, '00000', "what is not there is no error: $_") or diag $result->{err};
	$session->run('ROLLBACK');
}
# CASCADE: what the server names in its NOTICE, and lint in its finding.
$session->run(q{
	CREATE DOMAIN limited AS int;
	CREATE SEQUENCE counted;
	CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE SCHEMA part;
	CREATE TABLE part.base (id int PRIMARY KEY DEFAULT nextval('counted'), u int UNIQUE,
		l limited, ll limited[], o int DEFAULT one());
	CREATE TABLE part.more (b int REFERENCES part.base, u int REFERENCES part.base (u));
	CREATE TRIGGER fire BEFORE INSERT ON part.more FOR EACH ROW EXECUTE FUNCTION fired();
	CREATE VIEW part.v1 AS SELECT id, u FROM part.base;
	CREATE VIEW part.v2 AS SELECT id FROM part.v1;
	CREATE MATERIALIZED VIEW part.v3 AS SELECT id FROM part.v2;
	CREATE TABLE part.kept (n bigserial);
	CREATE RULE away AS ON DELETE TO part.kept DO ALSO INSERT INTO part.more VALUES (1, 1);
	INSERT INTO part.base VALUES (1, 1)});
for my $statement (
	'DROP DOMAIN limited CASCADE',
	'DROP SEQUENCE counted CASCADE',
	'DROP FUNCTION one() CASCADE',
	'DROP FUNCTION fired CASCADE',
	'DROP TABLE part.base CASCADE',
	'DROP TABLE part.more CASCADE',
	'DROP VIEW part.v1 CASCADE',
	'DROP SCHEMA part CASCADE',
	'ALTER TABLE part.base DROP COLUMN id CASCADE',
	'ALTER TABLE part.base DROP CONSTRAINT base_u_key CASCADE',
	'ALTER TABLE part.more DROP COLUMN b CASCADE',
	'DROP FUNCTION absent() CASCADE',
	'DROP FUNCTION pg_catalog.now() CASCADE')
{
	my ($dropped) = messages($statement) =~ /^create-or-drop-cascade: CASCADE drops (.*)$/m;
	my @named = sort split /, | and /, $dropped // '';
	my $notices = $session->query(
		"BEGIN; SET LOCAL client_min_messages = notice; $statement")->{err};
	my @server = sort $notices =~ /drop cascades to (?!\d+ other)(.*)$/mg;
	$session->run('ROLLBACK');
	@server = () if $notices =~ /^ERROR/m;
	my $more = @server - 5;
	@server = ("$more more", @named[ grep { $named[$_] !~ / more$/ } 0 .. $#named ]) if $more > 0;
	is_deeply([ sort @named ], [ sort @server ], "$statement: what the server says");
}
like(messages('DROP OWNED BY CURRENT_USER'), qr/^create-or-drop-cascade: DROP OWNED drops all/m,
	'DROP OWNED is a CASCADE');
$session->run('DROP SCHEMA part CASCADE', 'DROP DOMAIN limited', 'DROP SEQUENCE counted',
	'DROP FUNCTION one, fired');

# All tables, and views.
finds('1 table-rewrite', 'VACUUM FULL of all', [ 'VACUUM (FULL, ANALYZE)', 0 ]);
finds('1 table-rewrite', 'CLUSTER of all', [ 'CLUSTER', 0 ]);
finds('', 'VACUUM of all', [ 'VACUUM (FULL off)', 0 ]);
finds('1 table-rewrite', 'all tables of a tablespace',
	'ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE pg_global');
finds('', 'all tables, to where they are',
	'ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE pg_default');
$session->run('CREATE VIEW seen AS SELECT a FROM old');
like(messages('CREATE OR REPLACE VIEW seen AS SELECT a, b FROM old'),
	qr/^lock-timeout: reads and writes of table public\.seen wait/m, 'a view that is replaced');
is(messages('CREATE OR REPLACE VIEW unseen AS SELECT a FROM old'), '', 'and one that is new');
$session->run('DROP VIEW seen');
finds('2 statements-under-exclusive', "a query under a lock: $_",
	"ALTER TABLE old ADD c int; $_")
  for 'CREATE TABLE copy AS SELECT * FROM parts', 'SELECT a.* INTO copy FROM old a, parts',
  'INSERT INTO empty (a) SELECT p.at FROM parts p JOIN old o ON o.a = p.at',
  'INSERT INTO empty (a) (SELECT 1 UNION SELECT at FROM parts)',
  'CREATE MATERIALIZED VIEW copy AS SELECT * FROM parts';
finds('2 statements-under-exclusive', 'one with a WITH under a lock', 'ALTER TABLE old ADD c int; '
	. 'WITH moved AS (DELETE FROM parts RETURNING at) INSERT INTO empty (a) SELECT at FROM moved');
$session->run('SET migrate.lint_assume_rows = on');
finds("1 backfill-in-transaction", "all rows in WITH: $_", $_)
  for 'WITH moved AS (DELETE FROM parts RETURNING at) INSERT INTO empty (a) SELECT at FROM moved',
  'WITH d AS (UPDATE old SET a = 1 RETURNING id) SELECT count(*) FROM d';
finds('', 'some rows of WITH', 'WITH few AS (SELECT id FROM old LIMIT 10) '
	. 'UPDATE old SET a = 1 WHERE id IN (SELECT id FROM few)');
$session->run('RESET migrate.lint_assume_rows');
finds('', "and one that is none: $_", "ALTER TABLE old ADD c int; $_")
  for 'INSERT INTO empty (id) VALUES (1)', 'CREATE TABLE copy AS SELECT * FROM empty',
  'SELECT max(id) FROM old';

# What is there already is not made.
$session->run('CREATE INDEX there ON old (a)', 'CREATE EXTENSION IF NOT EXISTS plpgsql');
for my $statement ('CREATE INDEX IF NOT EXISTS there ON old (a)',
	'CREATE UNIQUE INDEX IF NOT EXISTS there ON old (a, b)',
	'CREATE TABLE IF NOT EXISTS parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)',
	'CREATE EXTENSION IF NOT EXISTS plpgsql CASCADE')
{
	finds('', "nothing is made: $statement", $statement);
}
is(messages('CREATE TABLE IF NOT EXISTS empty (a bigint REFERENCES old)'), '', '    nor locked');
finds('1 index-not-concurrent', '    unless its name is free',
	'CREATE INDEX IF NOT EXISTS not_there ON old (a)');
$session->run('DROP INDEX there');

# The type of a column that foreign keys refer to: what the server locks.
$session->run(q{
	CREATE TABLE keyed (id int PRIMARY KEY, u int UNIQUE, up int REFERENCES keyed);
	CREATE TABLE k1 (r int CONSTRAINT k1_r REFERENCES keyed, n int);
	CREATE TABLE k2 (a int, u int REFERENCES keyed (u));
	INSERT INTO keyed VALUES (1, 1); INSERT INTO k1 VALUES (1); INSERT INTO k2 VALUES (1, 1)});
for my $script ('ALTER TABLE keyed ALTER id TYPE bigint', 'ALTER TABLE keyed ALTER u TYPE bigint',
	'ALTER TABLE k1 ALTER r TYPE bigint', 'ALTER TABLE k1 ALTER n TYPE bigint',
	'ALTER TABLE k1 DROP CONSTRAINT k1_r; ALTER TABLE keyed ALTER id TYPE bigint',
	'DROP TABLE k1; ALTER TABLE keyed ALTER id TYPE bigint')
{
	my @found = messages($script) =~ /^type-change-foreign-key: .* table public\.(\S+)/mg;
	my ($table) = $script =~ /(\w+) ALTER \w+ TYPE/;
	$session->run('BEGIN');
	pend($script);
	my $locked = $session->value(qq{SELECT string_agg(substring(l FROM 'on public\\.(.*)'), ' ')
		FROM migrate.rehearse(), unnest(locks) l WHERE sql ~ ' TYPE '
		AND l ~ 'AccessExclusiveLock on public.(keyed|k1|k2)\$' AND l !~ '\\y$table\$'});
	$session->run('ROLLBACK');
	is("@found", $locked // '', "locked for a foreign key: $script");
}
$session->run('DROP TABLE keyed, k1, k2');

# Indexes that ALTER TYPE builds again: what the server does.
$session->run(q{
	CREATE TABLE typed (v varchar(10), w varchar(10), n numeric(5, 2), t timestamp, b bit(4),
		a int[], i int);
	INSERT INTO typed VALUES ('v', 'w', 1, now(), B'1010', '{1}', 1);
	CREATE INDEX typed_lower ON typed (lower(v));
	CREATE INDEX typed_part ON typed (n) WHERE w <> 'x';
	CREATE INDEX typed_plain ON typed (w, n);
	CREATE INDEX typed_pattern ON typed (w varchar_pattern_ops);
	CREATE INDEX typed_t ON typed (t);
	CREATE INDEX typed_b ON typed (b) INCLUDE (v);
	CREATE INDEX typed_a ON typed (a);
	CREATE TABLE parted (k int, v varchar(10)) PARTITION BY LIST (k);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
	INSERT INTO parted VALUES (1, 'v');
	CREATE INDEX parted_upper ON parted (upper(v));
	SET TimeZone = 'UTC'});
for my $change ('v TYPE varchar(20)', 'v TYPE text', 'v TYPE varchar(10)', 'w TYPE text',
	'n TYPE numeric(6, 2)', 't TYPE timestamptz', 'b TYPE varbit', 'a TYPE int[]', 'i TYPE oid',
	'v TYPE text COLLATE "C"', 'parted v TYPE text')
{
	my $table = $change =~ /^parted/ ? 'parted' : 'typed';
	my $script = "ALTER TABLE $table ALTER " . $change =~ s/^parted //r;
	my @found = messages($script) =~ /^type-change-index: index public\.(\S+)/mg;
	$session->run('BEGIN');
	pend($script);
	my $rewritten = $session->value(q{SELECT coalesce(string_agg(r::text, ' ' ORDER BY r::text), '')
		FROM migrate.rehearse(), unnest(rewrites) r});
	$session->run('ROLLBACK');
	is(join(' ', sort @found), ($rewritten // '') =~ s/parted_1_upper_idx/parted_upper/r,
		"indexes built again: $change");
}
$session->run('DROP TABLE typed, parted');
finds('', 'what a block does is not seen', q{DO 'BEGIN DROP TABLE old; END'});

# ---------------------------------------------------------------- silence ----

finds('3 drop-table', 'a comment silences the statement below it, and no other', <<'SQL');
-- migrate:ignore drop-table
DROP TABLE old;
-- migrate:ignore drop-column: not that
CREATE TABLE x (a int); DROP TABLE parts;
SQL
for my $body ('', "-- migrate:ignore empty-downgrade")
{
	finds($body ? 'empty-downgrade' : '', 'a rule about the script is silenced over a statement'
			. ($body && ', and not within one'),
		[ ($body ? '' : "-- migrate:ignore empty-downgrade\n")
			. "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1\n$body\n'", 1, '' ]);
}
finds('', 'several names, several lines, a reason', <<'SQL');
-- first
-- migrate:ignore rename, index-not-concurrent: nobody uses it
--   migrate:ignore unique-may-fail : as above
CREATE UNIQUE INDEX ON old (b);
SQL
finds('', 'a rule about the script is silenced over any statement', [ <<'SQL', 1, '' ]);
CREATE TABLE x (a int);
-- migrate:ignore empty-downgrade
CREATE TABLE y (a int);
SQL
finds('1 drop-table, 1 unknown-rule', 'a name that is no rule is reported',
	"-- migrate:ignore drop-tables\nDROP TABLE old;");
like(messages("-- migrate:ignore\nDROP TABLE old;"), qr/unknown-rule: .*names no rule/,
	'as is no name');
finds('unknown-rule', 'also after the last statement',
	"CREATE TABLE x (a int);\n-- migrate:ignore drop-tables");
finds('1 drop-table', 'a word that begins like it is none',
	"-- migrate:ignored drop-table\nDROP TABLE old;");

# --------------------------------------------------------------- settings ----

sub configured
{
	my ($name, $value, $code) = @_;
	$session->run("SELECT migrate.configure('$name', '$value')");
	$code->();
	$session->run("SELECT migrate.configure('$name', NULL)");
}
configured('lint_disable', 'drop-table, drop-column',
	sub { finds('', 'lint_disable', 'ALTER TABLE old DROP COLUMN a; DROP TABLE old;') });
finds('', 'some rules are off', 'CREATE TABLE n (a char(3), b timestamp, c serial);');
configured('lint_enable', 'types', sub {
		finds('1 serial, 1 char, 1 timestamp', 'lint_enable turns them on',
			'CREATE TABLE n (a char(3), b timestamp, c serial);') });
configured('lint_enable', 'unqualified',
	sub { finds('1 unqualified', 'one by one', 'CREATE TABLE n (a char(3));') });
finds('', 'a small table', 'UPDATE old SET a = 1;');
configured('lint_large_rows', '2',
	sub { finds('1 backfill-in-transaction', 'lint_large_rows', 'UPDATE old SET a = 1;') });
for (
	[ 'lint_disable',    'drop-tables' ],
	[ 'lint_enable',     'nothing' ],
	[ 'lint_level',      'high' ],
	[ 'lint_large_rows', 'many' ],
	[ 'lint_large_rows', '-1' ],
	[ 'lint_large_rows', '' ],
	[ 'lint_large_rows', 'nan' ])
{
	is($session->query(sprintf 'SELECT migrate.configure(%s, %s)', map { lit($_) } @$_)->{state},
		'22023', "configure refuses $_->[0] = \"$_->[1]\"");
}
configured('lint_level', 'error', sub {
		$session->run('BEGIN');
		pend('DROP TABLE old; ALTER TABLE parts RENAME TO partitions;');
		$session->run('SAVEPOINT s');
		my $result = $session->query('SELECT migrate.check(lint => true)');
		is($result->{state}, 'MG015', 'lint_level error: check(lint => true) is MG015');
		like($result->{err}, qr/DETAIL:  upgrade of revision "r\d+", line 1: drop-table: /,
			'which says what');
		like($result->{err}, qr/WARNING: .*: rename: /, 'what is no error is a warning');
		$session->run('ROLLBACK TO s');
		is($session->query('SELECT migrate.check()')->{state}, 'MG004', 'without lint: MG004');
		$session->run('ROLLBACK');
		$session->run('BEGIN');
		pend(join ' ', map { "CREATE INDEX i$_ ON old (a);" } 1 .. 15);
		like($session->query('SELECT migrate.check(lint => true)')->{err},
			qr/and 5 more$/m, 'the first ten, and how many more');
		$session->run('ROLLBACK');
});
$session->run('BEGIN');
pend('DROP TABLE old;');
{
	my $result = $session->query('SELECT migrate.check(lint => true)');
	is($result->{state}, 'MG004', 'lint_level warning: the revision is pending');
	like($result->{err}, qr/WARNING: .*: drop-table: /, 'and there is a warning');
}
$session->run('ROLLBACK');
configured('lint_level', 'off', sub {
		$session->run('BEGIN');
		pend('DROP TABLE old;');
		unlike($session->query('SELECT migrate.check(lint => true)')->{err}, qr/WARNING/,
			'lint_level off: no warning');
		$session->run('ROLLBACK');
});

# ------------------------------------------------------ targets and rights ----

my @ids;
$session->run('CREATE TABLE t (a int, b int)', 'INSERT INTO t VALUES (1)');
pend('CREATE TABLE u (a int);', [ 'CREATE INDEX t_a ON t (a);', 1, 'DROP INDEX t_a;' ],
	[ 'ALTER TABLE t DROP COLUMN b;', 1, '' ]);
@ids = $session->rows('SELECT * FROM migrate.pending()');
sub rules
{
	return join ' ',
	  $session->rows("SELECT rule FROM migrate.lint($_[0]) WHERE rule <> 'lock-timeout'");
}
is(rules("'$ids[1]'"), 'index-not-concurrent', 'up to a target');
is(rules("'$ids[1]:$ids[2]'"), 'empty-downgrade drop-column', 'a range');
is(rules("'$ids[2]:'"), '', 'an empty one');
for ([ "'nothing'", 'MG001' ], [ 'NULL', '22004' ], [ "'head', NULL", '22004' ],
	[ "'head', 'sideways'", '22023' ], [ "'-1'", 'MG005' ], [ "'x:y'", 'MG001' ])
{
	is($session->query("SELECT * FROM migrate.lint($_->[0])")->{state}, $_->[1],
		"lint($_->[0]) is $_->[1]");
}
$session->run('BEGIN READ ONLY');
is(rules("'heads'"), 'index-not-concurrent empty-downgrade drop-column',
	'in a read-only transaction');
is($session->value('SELECT txid_current_if_assigned() IS NULL'), 't', 'which writes nothing');
$session->run('COMMIT', 'SELECT migrate.upgrade()');
is(rules("'-2', 'downgrade'"), 'drop-index-not-concurrent', 'the way down');
is(rules("'heads'"), '', 'nothing is pending');
is($session->value('SELECT migrate.check(lint => true)'), 't', 'and all is well');

own_roles('mig_lint_deployer', 'mig_lint_other');
$session->run('CREATE ROLE mig_lint_deployer LOGIN', 'CREATE ROLE mig_lint_other LOGIN',
	'GRANT USAGE ON SCHEMA migrate TO mig_lint_deployer, mig_lint_other',
	'GRANT EXECUTE ON FUNCTION migrate.lint(text, text) TO mig_lint_deployer');
$session->run("SELECT migrate.revision('x', 'ALTER TABLE old ALTER COLUMN a SET NOT NULL')");
{
	my $deployer = connect_to($database, user => 'mig_lint_deployer');
	is(join(' ', $deployer->rows('SELECT rule FROM migrate.lint()')),
		'irreversible not-null-scan lock-timeout', 'a role without rights on the tables');
	my $other = connect_to($database, user => 'mig_lint_other');
	is($other->query('SELECT * FROM migrate.lint()')->{state}, '42501', 'PUBLIC may not');
	cmp_ok($other->value('SELECT count(*) FROM migrate.lint_rules()'), '>', 50,
		'but may list the rules');
	$_->finish for $deployer, $other;
}

# A function of a user that says it is immutable would run where the planner folds it.
$session->run('BEGIN', q{SELECT migrate.stamp()},
	q{CREATE FUNCTION trap(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
		'BEGIN PERFORM nextval(''springs''); RETURN $1; END'}, 'CREATE SEQUENCE springs',
	'CREATE TYPE pair AS (x int)',
	q{CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE plpgsql IMMUTABLE AS
		'BEGIN PERFORM trap(1); RETURN row($1); END'},
	'CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT',
	'CREATE TABLE trapped (a int, CHECK (a > trap(1)))',
	'INSERT INTO trapped VALUES (2)', q{SELECT setval('springs', 1)});
found($_) for 'ALTER TABLE old ADD COLUMN c int DEFAULT trap(1);',
  'ALTER TABLE old ALTER COLUMN a TYPE pair;',
  'ALTER TABLE old ALTER COLUMN a TYPE int USING trap(1);',
  'ALTER TABLE trapped ALTER COLUMN a SET NOT NULL;',
  'ALTER TABLE parts ATTACH PARTITION trapped FOR VALUES FROM (10) TO (20);',
  'ALTER TABLE parts ATTACH PARTITION old FOR VALUES FROM (trap(9)) TO (20);';
is($session->value('SELECT last_value FROM springs'), '1', 'no function of a user runs');
$session->run('ROLLBACK');

# ---------------------------------------------- what ALTER TABLE really does ----

# The file and the scans of table "probe" before and after a statement; undef where it
# fails.
sub really
{
	my ($sql) = @_;
	my $state = q{SELECT pg_relation_filenode('probe') || ' ' ||
		(SELECT coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0) FROM pg_stat_xact_user_tables
			WHERE relid = 'probe'::regclass)};
	$session->run('SAVEPOINT really');
	my ($file, $scans) = split / /, $session->value($state);
	my $result = $session->query($sql);
	my %did;
	if ($result->{state} eq '00000')
	{
		my ($file_after, $scans_after) = split / /, $session->value($state);
		%did = (rewrite => $file ne $file_after, scan => $scans_after > $scans);
	}
	$session->run('ROLLBACK TO really');
	return $result->{state} eq '00000' ? \%did : undef;
}

# The rules that a statement is found by.
sub found
{
	my ($sql) = @_;
	$session->run('SAVEPOINT found');
	$session->run('SELECT migrate.revision(' . lit('x') . ', ' . lit($sql) . ", '-- none')");
	my %found = map { $_ => 1 } $session->rows('SELECT rule FROM migrate.lint()');
	$session->run('ROLLBACK TO found');
	return \%found;
}

$session->run('BEGIN', q{SELECT migrate.stamp()}, q{CREATE DOMAIN plain AS text},
	q{CREATE DOMAIN checked AS text CHECK (VALUE <> 'no')},
	q{CREATE FUNCTION stable_f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'},
	q{CREATE FUNCTION volatile_f() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 1; END'});
my @types = ('smallint', 'integer', 'bigint', 'numeric', 'numeric(10,2)', 'numeric(12,2)',
	'numeric(12,4)', 'text', 'varchar', 'varchar(10)', 'varchar(20)', 'char(10)', 'char(20)',
	'plain', 'checked', 'bit varying(8)', 'bit varying(16)', 'bit(8)', 'timestamp', 'timestamp(3)',
	'timestamptz', 'timestamptz(3)', 'date', 'interval', 'interval(3)', 'oid', 'regclass', 'cidr',
	'inet', 'json', 'jsonb', 'xml', 'name', 'text[]', 'varchar[]', 'varchar(10)[]', 'real',
	'double precision', 'boolean', 'bytea', 'uuid');
@types = grep { $_ ne 'xml' } @types;

# What a statement does to the table, and whether lint finds it, both undone; NULL where
# it fails.
$session->run(q{CREATE FUNCTION does(sql text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		file oid := pg_relation_filenode('probe');
	BEGIN
		EXECUTE sql;
		RAISE EXCEPTION '%', pg_relation_filenode('probe') <> file USING ERRCODE = 'ZZ001';
	EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
		RETURN SQLERRM;
	WHEN OTHERS THEN
		RETURN NULL;
	END $$},
	q{CREATE FUNCTION finds(sql text, wanted text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM migrate.revision('x', sql, '-- none', 'probe', 'base');
		RAISE EXCEPTION '%', EXISTS (SELECT FROM migrate.lint('probe') WHERE rule = wanted)
			USING ERRCODE = 'ZZ001';
	EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
		RETURN SQLERRM;
	END $$});
my ($tried, $rewrites, @wrong) = (0, 0);
for my $zone ('UTC', 'Europe/Berlin')
{
	$session->run("SET LOCAL TimeZone = '$zone'");
	for my $from ($zone eq 'UTC' ? @types : grep { /^(?:timestamp|date)/ } @types)
	{
		$session->run("CREATE TABLE probe (id int, c $from)", 'INSERT INTO probe VALUES (1, NULL)');
		my @statements;
		for my $to (@types)
		{
			my $alter = "ALTER TABLE probe ALTER COLUMN c TYPE $to";
			push @statements, $alter;
			push @statements, "$alter USING c::$to", "$alter USING c"
			  if $from =~ /^(?:integer|text|varchar|num|times|plain)/;
		}
		my @got = $session->rows(q{SELECT sql, did, finds(sql, 'type-change-rewrite')
			FROM (SELECT sql, does(sql) AS did FROM unnest(ARRAY[} . join(', ', map { lit($_) }
			@statements) . ']) AS u (sql) OFFSET 0) AS q WHERE did IS NOT NULL');
		$tried += @got;
		$rewrites += grep { /\|t\|\w+$/ } @got;
		push @wrong, map { "$zone, $from: $_" } grep { !/\|(.)\w*\|\1\w*$/ } @got;
		$session->run('DROP TABLE probe');
	}
}
is(join("\n", @wrong), '', "of $tried changes of type, those that rewrite are found, and no other");
cmp_ok($tried, '>', 500, 'which is many');
cmp_ok($rewrites, '>', 100, 'of both kinds');
cmp_ok($tried - $rewrites, '>', 100, 'of both kinds');

$session->run(q{CREATE TABLE probe (id int, a int, b text, c int)},
	q{INSERT INTO probe VALUES (1, 1, 'x', 1)}, 'CREATE SEQUENCE counter');
@wrong = ();
for my $default ('1', "'x'", 'now()', 'clock_timestamp()', 'random()', 'gen_random_uuid()',
	'stable_f()', 'volatile_f()', 'current_user', 'current_timestamp', "nextval('counter')",
	"timeofday()", "(1 + random())::text", "CASE WHEN random() > 2 THEN 1 ELSE 2 END",
	"CASE WHEN false THEN random() ELSE 2 END", "coalesce(1, random())", "localtime", 'ARRAY[1, 2]',
	"pg_backend_pid()", "txid_current()", "statement_timestamp()", "date_trunc('day', now())",
	"upper('x')", "'{}'::jsonb", "md5(random()::text)", "lastval()")
{
	my $type = 'text';
	for my $sql ("ALTER TABLE probe ADD COLUMN d $type DEFAULT ($default)::text",
		"ALTER TABLE probe ADD COLUMN d $type NOT NULL DEFAULT ($default)::text")
	{
		my $did = really($sql) or next;
		push @wrong, "$sql: " . ($did->{rewrite} ? 'rewrites' : 'does not')
		  if $did->{rewrite} != (found($sql)->{'volatile-default'} // 0);
	}
}
is(join("\n", @wrong), '', 'of defaults, those that rewrite are found, and no other');
ok(found('CREATE FUNCTION vf() RETURNS int LANGUAGE sql AS $$SELECT 1$$;
		ALTER TABLE probe ADD COLUMN d int DEFAULT vf();')->{'volatile-default'},
	'a function that the plan makes is volatile');
ok(!found('CREATE FUNCTION vf() RETURNS int LANGUAGE sql IMMUTABLE AS $$SELECT 1$$;
		ALTER TABLE probe ADD COLUMN d int DEFAULT vf();')->{'volatile-default'},
	'unless it is not');
ok(found("CREATE SEQUENCE s9; ALTER TABLE probe ADD COLUMN d bigint DEFAULT nextval('s9')")
	  ->{'volatile-default'}, 'nextval() of a new sequence is volatile');

@wrong = ();
for my $check ('a IS NOT NULL', 'a > 0', 'a IS NOT NULL AND b > $$$$', 'a IS NOT NULL OR c > 0',
	'NOT (a IS NULL)', 'a > 0 AND a IS NOT NULL', 'coalesce(a, 1) > 0', '(a, c) IS NOT NULL',
	'a IS NOT NULL AND true', 'num_nulls(a) = 0', 'CASE WHEN a IS NULL THEN false ELSE true END',
	'c IS NOT NULL')
{
	for my $valid ('', ' NOT VALID')
	{
		$session->run('SAVEPOINT c', "ALTER TABLE probe ADD CONSTRAINT k CHECK ($check)$valid");
		my $sql = 'ALTER TABLE probe ALTER COLUMN a SET NOT NULL';
		my $did = really($sql);
		push @wrong, "$check$valid: " . ($did->{scan} ? 'scans' : 'does not')
		  if $did->{scan} != (found($sql)->{'not-null-scan'} // 0);
		$session->run('ROLLBACK TO c');
	}
}
is(join("\n", @wrong), '', 'of CHECKs, those that spare SET NOT NULL its scan are known');
ok(!found('ALTER TABLE probe ADD CONSTRAINT k CHECK (a IS NOT NULL) NOT VALID;
		ALTER TABLE probe VALIDATE CONSTRAINT k; ALTER TABLE probe ALTER COLUMN a SET NOT NULL')
	  ->{'not-null-scan'}, 'also one that the plan makes and validates');
ok(found('ALTER TABLE probe ADD CONSTRAINT k CHECK (a IS NOT NULL) NOT VALID;
		ALTER TABLE probe ALTER COLUMN a SET NOT NULL')->{'not-null-scan'},
	'but not one that it does not validate');

@wrong = ();
$session->run('DROP TABLE probe', 'CREATE TABLE whole (at int, k text) PARTITION BY RANGE (at)');
for my $check ('at >= 0 AND at < 10 AND at IS NOT NULL', 'at >= 0 AND at < 10',
	'at = 5 AND at IS NOT NULL',
	'at BETWEEN 1 AND 9 AND at IS NOT NULL', 'at < 10 AND at IS NOT NULL', 'at IS NOT NULL', 'true',
	'at >= 0 AND at < 20 AND at IS NOT NULL')
{
	for my $valid ('', ' NOT VALID')
	{
		$session->run('SAVEPOINT c', 'CREATE TABLE probe (k text, at int)',
			q{INSERT INTO probe VALUES ('x', 5)},
			"ALTER TABLE probe ADD CONSTRAINT k CHECK ($check)$valid");
		my $sql = 'ALTER TABLE whole ATTACH PARTITION probe FOR VALUES FROM (0) TO (10)';
		my $did = really($sql);
		push @wrong, "$check$valid: " . ($did->{scan} ? 'scans' : 'does not')
		  if $did->{scan} != (found($sql)->{'attach-without-check'} // 0);
		$session->run('ROLLBACK TO c');
	}
}
is(join("\n", @wrong), '', 'of CHECKs, those that spare ATTACH its scan are known');
$session->run('ROLLBACK');

$_->finish for $session;
drop_databases();
done_testing();
