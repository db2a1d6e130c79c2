#!/usr/bin/perl
#
# pg_dump and restore: by a superuser, by the owner, by one who may read all;
# plain, and custom with pg_restore -j4.  What is restored is the same, work
# continues, and what parts of a dump lose is what doc/dump-restore.md says.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

$SIG{ALRM} = sub { die "this test takes too long\n" };
alarm 300;

my $dir = scratch_dir();
my ($version) = (run_program(tool('pg_dump'), '--version'))[1] =~ /(\d+)/;
my @roles = qw(migd_owner migd_other migd_reader migd_backup migd_author migd_deployer);

# ------------------------------------------------------------- what there is ----

run_psql('postgres', "DROP ROLE IF EXISTS $_") for @roles;
run_psql('postgres', "CREATE ROLE $_ LOGIN") for @roles;
my $source = create_database('migd_source', plain => 1, owner => 'migd_owner');
my $owner = connect_to($source, user => 'migd_owner');

# The GRANTs of doc/rights.md.
$owner->run(
	'CREATE EXTENSION migrate',
	'GRANT USAGE ON SCHEMA migrate TO migd_reader, migd_author, migd_deployer',
	'GRANT EXECUTE ON FUNCTION migrate.revision, migrate.merge, migrate.edit, migrate.drop,
		migrate.load, migrate.configure TO migd_author',
	'GRANT EXECUTE ON FUNCTION migrate.upgrade(text), migrate.downgrade(text),
		migrate.stamp(text, bool), migrate.stamp(text[], bool), migrate.adopt_alembic
		TO migd_deployer',
	'GRANT SELECT ON migrate.log, migrate.revisions TO migd_reader');

# Texts that a dump could get wrong.
my $big = join '', map { "-- line $_ of a long script \\. \xe2\x82\xac\n" } 1 .. 26000;
my %script = (
	backslash => "INSERT INTO said VALUES ('\\.'), (E'\\\\.'), ('C:\\new\\table\\N'), ('\\');",
	copy_end => "INSERT INTO said VALUES ('\n\\.\n'), (\$x\$\n\\.\n\\\\.\n.\n\$x\$);\n/*\n\\.\n*/",
	quotes   => "CREATE TABLE \"we\"\"ird 'table'\" (\"a\"\"b\" text DEFAULT 'it''s');\n"
	  . "INSERT INTO said VALUES (\$\$ \$1 '' \" \$\$);",
	crlf => "INSERT INTO said VALUES ('a\r\nb\rc');\r\n"
	  . "INSERT INTO said VALUES (E'\\r\\n');\r\n-- end\r\n",
	control => "INSERT INTO said VALUES ('tab \t vertical \x0b form \x0c bell \x07"
	  . " delete \x7f escape \x1b');",
	unicode => "INSERT INTO said VALUES ('\xc3\xa9 e\xcc\x81 \xe2\x82\xac \xf0\x9f\x90\x98"
	  . " \xef\xbb\xbf \xe2\x80\xa8 \xc2\x85 \xe2\x80\xae');",
	null      => "INSERT INTO said VALUES ('\\N'), ('NULL'), ('');",
	copy_from => "-- COPY migrate.revisions FROM stdin;\n-- 1\t2\t3\n-- \\.\n"
	  . "SELECT 'COPY said FROM stdin;\nx\n\\.\n';",
	variable => "SELECT ':name', ':''x''', ':\"y\"', '%s %1\$s', '{a,\"b\\\\\"}', '`id`', '--;';\n"
	  . "-- :variable \\gexec \\! id",
	empty   => '',
	blank   => "\n\n\n  SELECT 1;",
	comment => '-- nothing but this',
	big     => "${big}INSERT INTO said VALUES ('" . 'x' x 50_000 . "');",
);
my @hostile = sort keys %script;

{
	my $last = 'r0';
	$owner->run(
		q{SELECT migrate.revision('the first', 'CREATE TABLE said (t text)',
			E'DROP TABLE said; -- \\\\.', 'r0')});
	for my $name (@hostile)
	{
		my $message =
		  "odd \\ \"message\" ' \t \\. %s \xf0\x9f\x90\x98 $name\nsecond line\n\\.\nfourth";
		my $down = $name eq 'quotes' ? "DROP TABLE \"we\"\"ird 'table'\";\n" : '';
		$down .= "SELECT '\\.', \$\$\n\\.\n\$\$;";
		my $arguments = join ', ', map { lit($_) } $message, $script{$name}, $down, "r_$name";
		my $result = $owner->query("SELECT migrate.revision($arguments, head => '$last')");
		is($result->{out}, "r_$name\n", "a revision to dump: $name") or diag $result->{err};
		$last = "r_$name";
	}
	# branches, a label, a dependency, what cannot be downgraded, and heads
	# that are not applied
	$owner->run(
		q{SELECT migrate.revision('side', 'CREATE TABLE side (); SELECT 1', NULL, 'side1',
			head => 'base', branch_label => 'side', depends_on => '{r_big}')},
		"SELECT migrate.revision('two', '', '', 'zz1', head => '$last')",
		q{SELECT migrate.revision('not in a transaction',
			'CREATE INDEX CONCURRENTLY ON said (t)', NULL, 'zz2',
			head => 'zz1', transactional => false)},
		q{SELECT migrate.configure('revision_ids', 'serial')},
		q{SELECT migrate.upgrade('zz1')},
		q{SELECT migrate.upgrade('side1')},
		q{SELECT migrate.downgrade('zz1-1')},
		q{INSERT INTO migrate.models VALUES ('odd \\. name', -3, E'CREATE TABLE x ();\n\\\\.\n')},
		q{INSERT INTO migrate.revision_data VALUES ('zz1', 'after', E'SELECT 1;\n\\.\n')},
		q{INSERT INTO migrate.partial
			(revision, direction, statements_done, digest, in_doubt, started_at)
			VALUES ('zz2', 'upgrade', 2, 'digest', true, now())},
		# as if a long time had passed
		q{UPDATE migrate.revisions
			SET created_at = '1999-12-31 23:59:59.123456+00', created_by = 'who left'
			WHERE revision = 'r0'});
	# A log that lost its first rows, and a sequence that is ahead.
	$owner->run('DELETE FROM migrate.steps WHERE id = 2',
		q{SELECT setval('migrate.log_id_seq', 1000)});
}

my @tables = qw(applied log steps models partial revision_data revisions settings versions);

# Heads that are known and no heads, or the other way round.
my $wrong_heads = 'FROM migrate.revisions_heads h
		FULL JOIN migrate.heads() i ON i = h.revision
	WHERE (h.revision IS NULL OR i IS NULL)';

# All rows of ours, and the sequence.  Long rows by their digest.  Heads may be
# known or not, but are right.
sub content
{
	my ($database) = @_;
	my $session = connect_to($database);
	my %content;
	for my $table (@tables)
	{
		$content{$table} = [
			$session->rows(
				qq{SELECT CASE WHEN length(t::text) < 2000 THEN t::text ELSE md5(t::text) END
				FROM migrate.$table t ORDER BY t::text COLLATE "C"})
		];
	}
	$content{sequence} = [ $session->rows('SELECT last_value, is_called FROM migrate.log_id_seq') ];
	$content{wrong_heads} = [
		$session->rows(
			"SELECT count(*) $wrong_heads AND EXISTS (SELECT FROM migrate.revisions_heads)")
	];
	return \%content;
}

# Who owns what, and the GRANTs, in a fixed order.
sub rights
{
	my $session = connect_to(shift);
	return [
		$session->rows(
			q{SELECT nspowner::regrole, array(SELECT unnest(nspacl)::text ORDER BY 1)
			FROM pg_namespace WHERE nspname = 'migrate'}),
		$session->rows(
			q{SELECT relname, relowner::regrole, array(SELECT unnest(relacl)::text ORDER BY 1)
			FROM pg_class WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'S')
			ORDER BY 1}),
		$session->rows(
			q{SELECT p.oid::regprocedure::text AS name, proowner::regrole,
				array(SELECT unnest(proacl)::text ORDER BY 1)
			FROM pg_proc p WHERE pronamespace = 'migrate'::regnamespace
			ORDER BY 1}),
		$session->rows(q{SELECT extowner::regrole FROM pg_extension WHERE extname = 'migrate'})
	];
}

my $before = content($source);
my $rights = rights($source);
my $schema_before = schema_dump($source);
cmp_ok(scalar @{ $before->{$_} }, '>', 0, "there are rows in $_") for sort keys %$before;

# ---------------------------------------------------------------- helpers ----

# pg_dump as a role: (the file, status, errors).
my $files = 0;
sub dump_as
{
	my ($role, @options) = @_;
	my $file = "$dir/dump" . ++$files;
	my ($failed, undef, $err) =
	  run_program(tool('pg_dump'), '-U', $role, '-f', $file, @options, $source);
	return ($file, $failed, $err);
}

# Restores a file into a new database that belongs to the owner: the errors.
# Options go to psql or pg_restore; before is SQL that the owner runs first.
my $databases = 0;
sub restore
{
	my ($file, %options) = @_;
	my $to = create_database('migd_to' . ++$databases,
		plain => 1, owner => $options{owner} // 'migd_owner');
	if ($options{before})
	{
		my ($failed, undef, $err) = run_psql($to, $options{before}, '-U', 'migd_owner');
		die $err if $failed;
	}
	my @user = $options{user} ? ('-U', $options{user}) : ();
	my @role = $options{role} ? ('--role', $options{role}) : ();
	my $is_custom = slurp($file) =~ /^PGDMP/;
	local $ENV{PGOPTIONS} = $options{role} && !$is_custom ? "-c role=$options{role}" : '';
	my ($failed, $out, $err) =
	  $is_custom
	  ? run_program(tool('pg_restore'), '-d', $to, @user, '-j4', @role, $file)
	  : run_program(tool('psql'), '-X', '-q', '-d', $to, @user, '-o', '/dev/null', '-f', $file);
	my @errors = grep { /ERROR/ } split /\n/, $err;
	return ($to, @errors);
}

# Everything that we do works in a restored database.
sub works
{
	my ($to, $what) = @_;
	my $session = connect_to($to, user => 'migd_owner');
	my $ok = 1;
	my $check = sub {
		my ($sql, $expected) = @_;
		my $result = $session->query($sql);
		my $same = is(join(',', @{ $result->{rows} }), $expected, "$what: $sql");
		diag $result->{err} unless $same;
	};
	$check->(q{SELECT migrate.current()}, "$hostile[-1],side1");
	$check->(q{DELETE FROM migrate.partial}, '');
	$check->(q{SELECT migrate.pending('zz1')}, 'zz1');
	$check->(q{SELECT migrate.upgrade('zz1')}, 'zz1');
	$check->(q{SELECT id FROM migrate.log ORDER BY id DESC LIMIT 1}, 1001);
	$check->(q{SELECT migrate.revision('new', '', '', head => 'zz1', splice => true)}, '0001');
	$check->(q{SELECT migrate.upgrade('0001')}, '0001');
	$check->(q{SELECT count(*) FROM migrate.downgrade('zz1-5')}, 6);
	$check->(q{SELECT count(*) FROM migrate.upgrade('0001')}, 6);
	$check->(q{SELECT count(*) = count(DISTINCT id) FROM migrate.log}, 't');
	$check->(q{SELECT migrate.load(migrate.export('r_crlf'))}, 'r_crlf');
	$check->("SELECT count(*) $wrong_heads", 0);
	return;
}
# the name of the last hostile revision, for works()
@hostile = map { "r_$_" } @hostile;

# --------------------------------------------------- dumps of everything ----

# Who dumps, in which format, who restores.
for my $case (
	[ 'postgres',    'plain',  {} ],
	[ 'postgres',    'custom', {} ],
	[ 'migd_owner',  'plain',  { user => 'migd_owner' } ],
	[ 'migd_owner',  'custom', { user => 'migd_owner' } ],
	[ 'migd_owner',  'custom', { role => 'migd_owner' } ],
	[ 'migd_owner',  'plain',  { role => 'migd_owner' } ],
	[ 'migd_owner',  'plain',  { before => 'CREATE EXTENSION migrate' } ],
	[ 'migd_owner',  'custom', { before => 'CREATE EXTENSION migrate' } ],
	[ 'migd_backup', 'custom', { role => 'migd_owner' } ])
{
	my ($who, $format, $how) = @$case;
	my $restored_by = %$how ? "with @{[ %$how ]}" : 'by a superuser';
	my $what = "$format, dumped by $who, restored $restored_by";
	if ($who eq 'migd_backup')
	{
		# who may read everything
		my @grants = 'GRANT pg_read_all_data TO migd_backup';
		@grants = map {
			("GRANT USAGE ON SCHEMA $_ TO migd_backup",
				"GRANT SELECT ON ALL TABLES IN SCHEMA $_ TO migd_backup",
				"GRANT SELECT ON ALL SEQUENCES IN SCHEMA $_ TO migd_backup")
		} qw(migrate public) if $version < 14;
		my ($failed, undef, $err) =
		  run_program(tool('psql'), '-X', '-q', '-d', $source, map { ('-c', $_) } @grants);
		is($failed, 0, 'GRANTs for who makes backups') or diag $err;
	}
	my ($file, $failed, $err) = dump_as($who, '-F', $format);
	is($failed, 0, "pg_dump, $what") or diag $err;
	my ($to, @errors) = restore($file, %$how);
	my $is_owner = grep { ($how->{$_} // '') =~ /migd_owner|EXTENSION/ } keys %$how;
	is_deeply(\@errors, [], "$what: no error");
	if ($is_owner)
	{
		# 13 needed GRANTs more
		is_deeply(rights($to), $rights, "$what: the same rights") if $who ne 'migd_backup';
		ok(schema_dump($to) eq $schema_before, "$what: the same schema") if $who ne 'migd_backup';
	}
	else
	{
		# Everything belongs to the superuser, who restores the GRANTs.
		is_deeply([ grep { !/postgres/ } @{ rights($to) } ], [], "$what: it is the superuser's");
		my $deployer = connect_to($to, user => 'migd_deployer');
		is($deployer->value(q{SELECT has_function_privilege('migrate.upgrade(text)', 'EXECUTE')}),
			't', "$what: a deployer may deploy");
		is($deployer->value(q{SELECT has_function_privilege('migrate.drop(text)', 'EXECUTE')}),
			'f', "$what: and no more");
	}
	is_deeply(content($to), $before, "$what: every row is the same");
	is( connect_to($to)->value(
			q{SELECT string_agg(tgname::text || tgenabled::text, ',' ORDER BY tgname)
			FROM pg_trigger WHERE tgrelid = 'migrate.revisions'::regclass}),
		'forget_all_headsA,forget_headsA',
		"$what: the triggers are on for everybody");
	works($to, $what) if $is_owner;
	run_psql('postgres', "DROP DATABASE $to");
}

# -------------------------------------------------- who cannot, or not so ----

{
	my (undef, $failed, $err) = dump_as('migd_reader');
	isnt($failed, 0, 'a reader with the GRANTs of doc/rights.md cannot dump');
	like($err, qr/permission denied for table/, 'and gets the server\'s error');
	(undef, $failed, $err) = dump_as('migd_other');
	isnt($failed, 0, 'nor can another role');

	# Another role restores: it is theirs.
	my ($file) = dump_as('migd_owner');
	my ($to, @errors) = restore($file, owner => 'migd_other', user => 'migd_other');
	is_deeply(content($to), $before, 'restored by another role: every row is the same');
	my $member = qr/must be (?:member of|able to SET) role/i;
	my $denied = qr/permission denied to set session authorization/i;
	is(scalar(grep { !/$member|$denied/ } @errors), 0, 'only owners are not what they were')
	  or diag join "\n", @errors;
	is( connect_to($to)->value(
			q{SELECT DISTINCT relowner::regrole FROM pg_class
			WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'S')}),
		'migd_other',
		'our tables belong to the role that restored');
	my $other = connect_to($to, user => 'migd_other');
	is($other->query(q{DELETE FROM migrate.partial; SELECT migrate.upgrade('zz1')})->{state},
		'00000', 'which can continue');
	$other->finish;
	is(connect_to($to, user => 'migd_owner')->query(q{SELECT migrate.upgrade('zz1')})->{state},
		'42501', 'and the old owner cannot');
	run_psql('postgres', "DROP DATABASE $to");
}

# --------------------------------------------------------- parts of dumps ----

# The rows alone, into a database that has the extension.
my ($rows, $rows_failed, $rows_err) = dump_as('migd_owner', '--data-only', '-t', 'migrate.*');
is($rows_failed, 0, q{pg_dump --data-only -t 'migrate.*'}) or diag $rows_err;

{
	my ($file, $failed, $err) = dump_as('migd_owner', '--schema-only');
	is($failed, 0, '--schema-only') or diag $err;
	my ($to, @errors) = restore($file, user => 'migd_owner');
	is_deeply(\@errors, [], '--schema-only: restored');
	is_deeply(rights($to), rights($source), '--schema-only: with the rights');
	my $session = connect_to($to, user => 'migd_owner');
	is( $session->value(
			'SELECT (SELECT count(*) FROM migrate.revisions)
				+ (SELECT count(*) FROM migrate.versions) + (SELECT count(*) FROM migrate.log)'),
		0,
		'--schema-only: revisions and position are lost');
	isnt($session->value(q{SELECT to_regclass('said')}),
		undef, '--schema-only: what they made is there');
	# how to bring them over
	my ($bad, undef, $message) = run_psql($to, '', '-U', 'migd_owner', '-f', $rows);
	is($bad, 0, 'and the rows of migrate after it') or diag $message;
	is_deeply(content($to), $before, 'then all is there');
	works($to, '--schema-only and our rows');
	$session->finish;

	# Without the rows, from files: stamp says where the database is.
	my ($to2) = restore($file, user => 'migd_owner');
	my $second = connect_to($to2, user => 'migd_owner');
	my $first = connect_to($source, user => 'migd_owner');
	my @ids = $first->rows('SELECT revision FROM migrate.history()');
	for my $id (reverse @ids)
	{
		my $content = $first->query("SELECT migrate.export('$id')")->{out};
		chop $content;
		my $result = $second->query('SELECT migrate.load(' . lit($content) . ')');
		is($result->{out}, "$id\n", "loaded again: $id") or diag substr $result->{err}, 0, 500;
	}
	my @current = $first->rows('SELECT migrate.current()');
	my $current = join ', ', map { lit($_) } @current;
	is_deeply([ $second->rows("SELECT migrate.stamp(ARRAY[$current])") ],
		\@current, 'and stamped');
	is_deeply([ $second->rows(q{SELECT migrate.upgrade('zz1')}) ], ['zz1'], 'that works too');
	is_deeply(
		[ $second->rows('SELECT revision, checksum FROM migrate.revisions ORDER BY 1') ],
		[ $first->rows('SELECT revision, checksum FROM migrate.revisions ORDER BY 1') ],
		'with the same checksums');
}

{
	my ($file, $failed, $err) = dump_as('migd_owner', '-n', 'public');
	is($failed, 0, '-n public') or diag $err;
	unlike(slurp($file), qr/\bmigrate\b/, '-n public: the extension is not in it at all');
	($file, $failed, $err) = dump_as('migd_owner', '-n', 'public', '-n', 'migrate');
	unlike(slurp($file), qr/^(?:COPY|CREATE TABLE) migrate\./m,
		'-n public -n migrate: nor are its tables');

	my ($to, @errors) = restore($file, user => 'migd_owner', before => 'CREATE EXTENSION migrate');
	# what a dump of a schema says about the schema itself
	is(scalar(grep { !/schema "?public|must be owner of schema public|schema migrate/ } @errors),
		0, '-n public: restored')
	  or diag join "\n", @errors;
	my ($bad, undef, $message) = run_psql($to, '', '-U', 'migd_owner', '-f', $rows);
	is($bad, 0, '-n public: and the rows of migrate after it') or diag $message;
	is_deeply(content($to), $before, '-n public and our rows: all is there');
	works($to, '-n public and our rows');
}

{
	my ($file, $failed, $err) = dump_as('migd_owner', '--data-only');
	is($failed, 0, '--data-only') or diag $err;
	my $text = slurp($file);
	is_deeply(
		[ $text =~ /^COPY migrate\.(\w+)/mg ],
		[
			qw(applied compared models partial revision_data revisions revisions_heads running
			  settings steps versions)
		],
		'--data-only: all tables of ours are in it');
	like($text, qr/setval\('migrate.log_id_seq', 1000/, '--data-only: and the sequence');
}

SKIP:
{
	skip 'pg_dump --extension is new in 14', 3 if $version < 14;
	my ($file, $failed, $err) = dump_as('migd_owner', '-n', 'public', '-e', 'migrate');
	is($failed, 0, '-n public -e migrate') or diag $err;
	my ($to, @errors) = restore($file, user => 'migd_owner');
	is(scalar(grep { !/schema "?public/ } @errors), 0, '-n public -e migrate: restored')
	  or diag join "\n", @errors;
	is_deeply(content($to), $before, '-n public -e migrate: all is there');
	works($to, '-n public -e migrate');
}

{
	# Rows only, with triggers off: a trigger that was on always is on for
	# ordinary sessions after it.
	my ($file, $failed, $err) =
	  dump_as('postgres', '--data-only', '--disable-triggers', '-t', 'migrate.*');
	is($failed, 0, '--disable-triggers') or diag $err;
	my ($to, @errors) = restore($file, before => 'CREATE EXTENSION migrate');
	is_deeply(\@errors, [], '--disable-triggers: restored');
	is_deeply(content($to), $before, '--disable-triggers: every row is the same');
	is( connect_to($to)->value(
			q{SELECT string_agg(tgenabled::text, '') FROM pg_trigger
			WHERE tgrelid = 'migrate.revisions'::regclass}),
		'OO',
		'--disable-triggers: the triggers are not as they were (see doc/dump-restore.md)');
}

# ------------------------------------------ rows that belong to the server ----

{
	# With INSERTs, and onto another order of the tables.
	my ($file, $failed, $err) = dump_as('migd_owner', '--column-inserts', '--rows-per-insert=7');
	is($failed, 0, '--column-inserts') or diag $err;
	my ($to, @errors) = restore($file, user => 'migd_owner');
	is_deeply(\@errors, [], '--column-inserts: restored');
	is_deeply(content($to), $before, '--column-inserts: every row is the same');

	# The heads are right when they come before the revisions, or not at all.
	my ($custom) = dump_as('migd_owner', '-Fc', '--data-only', '-t', 'migrate.*');
	my (undef, $list) = run_program(tool('pg_restore'), '-l', $custom);
	my @entries = grep { /^\d+;/ } split /\n/, $list;
	my @cache = grep { /revisions_heads/ } @entries;
	my @others = grep { !/revisions_heads/ } @entries;
	for my $order ([ 'the cache first', @cache, @others ], [ 'the cache last', @others, @cache ])
	{
		my ($name, @lines) = @$order;
		my $target = create_database('migd_order', plain => 1, owner => 'migd_owner');
		run_psql($target, 'CREATE EXTENSION migrate', '-U', 'migd_owner');
		spew("$dir/list", join '', map { "$_\n" } @lines);
		my ($bad, undef, $message) = run_program(tool('pg_restore'),
			'-d', $target, '-U', 'migd_owner', '-L', "$dir/list", $custom);
		is($bad, 0, $name) or diag $message;
		my $session = connect_to($target, user => 'migd_owner');
		is( $session->value(
				'SELECT count(*) FROM migrate.revisions_heads
				WHERE revision NOT IN (SELECT migrate.heads())'),
			0,
			"$name: no wrong head");
		$session->run('DELETE FROM migrate.partial');
		is_deeply([ $session->rows(q{SELECT migrate.upgrade('zz1')}) ],
			['zz1'], "$name: upgrade finds what is pending");
		$session->finish;
	}
}

$owner->finish;
drop_databases();
run_psql('postgres', "DROP ROLE $_") for @roles;
is((run_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname LIKE 'migd\_%'}))[1],
	"0\n", 'no role is left');
done_testing();
