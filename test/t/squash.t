#!/usr/bin/perl
#
# doc/squash.md: one revision in place of a history, in the database where it is made
# and in others, with the statements of the page.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateTest;
use Test::More;

my $dir = scratch_dir();
my ($together, $first, $other) =
  slurp("$FindBin::RealBin/../../doc/squash.md") =~ /^```sql\n(.*?)^```/msg;
like($together, qr/string_agg/, 'the page: scripts put together');
like($first, qr/migrate\.revision\(/, 'the page: the first database');
like($other, qr/migrate\.load\(/,     'the page: the others');

# Branches, a merge, a dependency between two bases, a row, a script that was marked.
my @revisions = (
	[ '0001', 'base', 'CREATE TABLE users (id int PRIMARY KEY)' ],
	[ '0002', '0001', 'ALTER TABLE users ADD mail text; CREATE TYPE mood AS ENUM (\'ok\');' ],
	[ '0003', '0001', 'CREATE TABLE orders (u int REFERENCES users)', 'branch_label => \'shop\'' ],
	[ '0004', '0002', "INSERT INTO users VALUES (1, 'a;b') -- a comment" ],
	[ 'b1',   'base', 'CREATE VIEW v AS SELECT mail FROM users', 'depends_on => \'{0002}\'' ],
	[ 'b2', 'b1', 'CREATE INDEX ON orders (u)', 'depends_on => \'{0003}\'' ]);

sub database
{
	my ($name, $upto) = @_;
	my $session = connect_to(create_database($name), messages => 'warning');
	$session->run(q{SELECT migrate.configure('revision_ids', 'serial')});
	for (@revisions)
	{
		my ($id, $head, $script, @options) = @$_;
		$session->run(sprintf q{SELECT migrate.revision('m', %s, '', '%s', '%s', splice => true%s)},
			lit($script), $id, $head, join '', map { ", $_" } @options);
	}
	$session->run(q{SELECT migrate.merge('{0003,0004}', rev_id => '0005')},
		"SELECT migrate.upgrade('$upto')");
	$session->finish;
	return $name;
}

sub psql
{
	my ($database, $sql, %variables) = @_;
	my $file = spew("$dir/page.sql", $sql);
	return run_psql($database, '', '-v', 'VERBOSITY=verbose',
		(map { ('-v', "$_=$variables{$_}") } sort keys %variables),
		'-f', $file);
}

sub value { my ($database, $sql) = @_; return connect_to($database)->value($sql) }

my $made = database('squash_first', 'heads');
my $also = database('squash_other', 'heads');
my $late = database('squash_late',  'heads');
value($late, q{SELECT migrate.downgrade('b1')});

my ($status, $script, $err) = run_psql($made, $together);
is($status, 0, 'the scripts are put together') or diag $err;
($status, undef, $err) = psql($made, $first, script => $script);
is($status, 0, 'the first database') or diag $err;
my $file = join "\n", connect_to($made)->rows(q{SELECT migrate.export('base2')});

sub squashed
{
	my $database = shift;
	my $session = connect_to($database);

	is(join(' ', $session->rows('SELECT revision FROM migrate.revisions')),
		'base2', "$database: one revision is left");
	is(join(' ', $session->rows('SELECT revision FROM migrate.versions')),
		'base2', "$database: the position");
	is(join(' ', $session->rows('SELECT revision FROM migrate.applied')),
		'base2', "$database: what is applied");
	is($session->value('SELECT migrate.check()'), 't', "$database: check");
	is_deeply([ $session->rows(q{SELECT migrate.upgrade()}) ], [], "$database: nothing to do");
	is($session->value('SELECT mail FROM users'), 'a;b', "$database: the rows are there");
	is( $session->value(q{SELECT count(*) = 7 AND bool_and(versions_after IS NOT NULL)
			FROM migrate.log WHERE operation = 'upgrade'}),
		't',
		"$database: the log has the old steps");
	is($session->value(q{SELECT migrate.revision('new')}), '0006', "$database: the next number");
	is($session->value('SELECT down_revisions FROM migrate.revisions WHERE revision = \'0006\''),
		'{base2}', "$database: is on top");
	$session->finish;
	return;
}
squashed($made);

# another one that is at the head, and one that is not
my $position = 'SELECT string_agg(revision, \' \' ORDER BY revision) FROM migrate.versions';
($status, undef, $err) = psql($also, $other, file => $file);
is($status, 0, 'another database') or diag $err;
squashed($also);
my $before = value($late, $position);
($status, undef, $err) = psql($late, $other, file => $file);
isnt($status, 0, 'one that is not at the head is refused');
like($err, qr/ERROR:  MG004:/, '    because revisions are pending');
is(value($late, $position), $before, '    and is as it was');
is(value($late, 'SELECT count(*) FROM migrate.revisions'), 7, '    with its revisions');

# a new one
my $new = create_database('squash_new');
value($new, 'SELECT migrate.load(' . lit($file) . ')');
is(join(' ', connect_to($new)->rows('SELECT migrate.upgrade()')), 'base2', 'a new database');
is(schema_difference($new, $_), '', "    has the schema of $_") for $made, $also;
is(value($new, 'SELECT mail FROM users'), 'a;b', '    and the rows');

drop_databases();
done_testing();
