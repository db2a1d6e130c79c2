#!/usr/bin/perl
#
# A team and its migrations, from the first day to the squash, with pg_migrate and git:
# what the guides of four teams to Alembic tell their developers to do, in the order in
# which they come to do it.
#
# There are two developers with a clone each, Ann and Bob, and a database each; a
# production database with the roles of doc/rights.md; and one server, which is reached by
# TCP, with a password, by roles that are not superusers.
#
# A step is a command as it is typed.  Its status, its output and its messages are
# compared, and on demand the position of the database, a query and the files.
# "alembic" is the command that it takes the place of.  Every commit is checked out
# elsewhere, and moves an empty database to its heads, back to base, and to its heads.
#
# The second part runs the commands of doc/team.md, and compares what they print.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

alarm 600;

my ($git) = grep { -x } map { "$_/git" } split /:/, $ENV{PATH};
plan skip_all => 'there is no git' unless $git;

my $dir = scratch_dir();
my $port = free_port();
my $server = MigrateServer->create(
	settings => [ "listen_addresses = '127.0.0.1'", "port = $port" ],
	initdb   => ['--auth-host=scram-sha-256']);
$server->use;
$ENV{PGPORT} = $port;

# The program as it is installed for developers.
my $bin = "$dir/bin";
mkdir $bin or die $!;
symlink abs_path("$FindBin::RealBin/../../bin/pg_migrate"), "$bin/pg_migrate" or die $!;

# What developers have in their environment, and no more.
my %environment = (
	PATH                => "$bin:" . (tool('psql') =~ s{/psql$}{}r) . ":$ENV{PATH}",
	HOME                => "$dir",
	TZ                  => 'UTC',
	LANG                => 'C.UTF-8',
	GIT_CONFIG_NOSYSTEM => 1,
	GIT_MERGE_AUTOEDIT  => 'no',
	GIT_EDITOR          => 'true');

sub super
{
	my ($sql, $database) = @_;
	my ($status, $out, $err) = run_psql($database // 'postgres', $sql);
	die "$sql: $err" if $status;
	chomp $out;
	return $out;
}

# The roles of doc/rights.md; developers own their databases.
my @roles = qw(owner author deployer reader);
super("CREATE ROLE app_$_ LOGIN PASSWORD 'se%cret'") for @roles;

sub url_of
{
	my ($role, $database) = @_;
	return "postgresql+psycopg2://app_$role:se%25cret\@127.0.0.1:$port/$database";
}

# A database of its own for somebody, without the extension.
sub database
{
	my $name = shift;
	return create_database("mig_guides_$name", owner => 'app_owner', plain => 1);
}

# ------------------------------------------------------------- steps ----

# Who works: their directory, and how they connect.
my (%home, %url, %database);

sub person
{
	my ($name, $home, $role, $database) = @_;
	($home{$name}, $url{$name}, $database{$name}) =
	  ("$dir/$home", url_of($role, $database), $database);
	return;
}

# Runs a command line as somebody.
sub as
{
	my ($who, $command) = @_;
	local %ENV = (
		%environment,
		DATABASE_URL        => $url{$who},
		GIT_AUTHOR_NAME     => $who,
		GIT_AUTHOR_EMAIL    => "$who\@example.com",
		GIT_COMMITTER_NAME  => $who,
		GIT_COMMITTER_EMAIL => "$who\@example.com");
	my ($status, $out, $err) = run_program('sh', '-c', "cd '$home{$who}' && $command");
	return ($status >> 8, $out, $err);
}

# What matches these texts, in this order.
sub said
{
	my $all = join '.*', map { quotemeta } @_;
	return qr/$all/s;
}

# Whether a text is, or matches.
sub fits { return ref $_[1] ? $_[0] =~ $_[1] : $_[0] eq $_[1] }

# step title, person => command, ...:
#	status, out, err	what to expect: 0, and none of both
#	at					the current revisions of the database, afterwards
#	sql					a query, and what it returns
#	files				the names in migrations/
#	alembic				the command of Alembic
sub step
{
	my ($title, $who, $command, %want) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = as($who, $command);
	my $good = $status == ($want{status} // 0)
	  && fits($out, $want{out} // '') && fits($err, $want{err} // '');
	my @said;
	if (exists $want{at})
	{
		my $at = super(q{SELECT coalesce(string_agg(c, ' ' ORDER BY c), '')
			FROM migrate.current() AS c}, $database{$who});
		push @said, "at $at" if $at ne $want{at};
	}
	if ($want{sql})
	{
		my $got = super($want{sql}[0], $database{$who});
		push @said, "$want{sql}[0]: $got" if $got ne $want{sql}[1];
	}
	if ($want{files})
	{
		my $files = files($who);
		push @said, "files: $files" if $files ne $want{files};
	}
	my $instead = $want{alembic} ? " ($want{alembic})" : '';
	ok($good && !@said, "$title: $command$instead")
	  or diag "status $status\noutput:\n${out}messages:\n$err", map { "$_\n" } @said;
	return $out;
}

sub files
{
	my $who = shift;
	opendir my $in, "$home{$who}/migrations" or return '';
	return join ' ', sort grep { !/^\./ } readdir $in;
}

# Somebody writes scripts into the file of a revision.
sub fill
{
	my ($who, $id, $up, $down) = @_;
	my ($name) = glob "$home{$who}/migrations/${id}*.sql" or die "no file of $id";
	my $text = slurp($name);
	$text =~ s/^(-- migrate:up.*\n)[\s\S]*?(?=\n-- migrate:down|\z)/$1$up\n/m or die $text;
	$text =~ s/^(-- migrate:down.*\n)[\s\S]*/$1$down\n/m if defined $down;
	return spew($name, $text);
}

# A commit, and what it is worth by itself: by which command, and how far back its database
# can go.
my $checked = database('commit');

sub commit
{
	my ($who, $message, $command, $back) = @_;
	$back //= 'base';
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$command //= "git add -A && git commit -q -m '$message'";
	my ($status, $out, $err) = as($who, $command);
	is($status, 0, "$who commits: $message") or diag $out, $err;
	(undef, $out) = as($who, 'git status --porcelain');
	is($out, '', '    and nothing is left') or return;

	my $tree = "$dir/commit";
	system('rm', '-rf', $tree);
	mkdir $tree or die $!;
	as($who, "git archive HEAD | tar -x -C '$tree'");
	super("DROP OWNED BY app_owner; CREATE SCHEMA IF NOT EXISTS public;
		GRANT ALL ON SCHEMA public TO PUBLIC", $checked);
	local $home{commit} = $tree;
	local $url{commit} = url_of('owner', $checked);
	my @files = glob "$tree/migrations/*.sql";
	($status, $out, $err) = as('commit', 'pg_migrate init && pg_migrate upgrade heads
		&& pg_migrate check && pg_migrate downgrade BACK && pg_migrate upgrade heads
		&& pg_migrate status --json' =~ s/BACK/$back/r =~ s/\n\s*/ /gr);
	my $applied = () = $out =~ /"state": "applied"/g;
	my $all = () = $out =~ /"state": /g;
	ok($status == 0 && $applied == @files && $all == @files,
		"    it moves an empty database up, down and up: $applied of " . @files)
	  or diag $out, $err;
	return;
}

# ------------------------------------------------------- the first day ----

person('ann', 'ann', 'owner', database('ann'));
person('bob', 'bob', 'owner', database('bob'));
local $home{nobody} = "$dir";
local $url{nobody} = '';
as('nobody', "git init -q --bare -b main origin.git && git clone -q origin.git ann");

note('the first day');
step 'a directory and its settings', ann => 'pg_migrate init',
	out     => "./migrations\nmigrate.conf\n",
	alembic => 'alembic init',
	sql     => [ q{SELECT extowner::regrole FROM pg_extension WHERE extname = 'migrate'},
		'app_owner' ];
step 'identifiers that are numbers', ann =>
  'sed -i.bak "s/^revision_ids = .*/revision_ids = serial/" migrate.conf && rm migrate.conf.bak';
step 'there is nothing yet', ann => 'pg_migrate upgrade',
	status => 1,
	err    => qr/^pg_migrate: directory "\.\/migrations" has no revision files[^\n]*\n\z/;
step 'the first revision', ann => 'pg_migrate new "create users"',
	out     => "./migrations/0001_create_users.sql\n",
	alembic => 'alembic revision -m "create users"',
	files   => '0001_create_users.sql';
fill(ann => '0001', 'CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);',
	'DROP TABLE users;');
step 'what would run', ann => 'pg_migrate upgrade --sql',
	out     => qr/^BEGIN;.*^CREATE TABLE users.*^COMMIT;/ms,
	alembic => 'alembic upgrade head --sql',
	at      => '';
step 'whether it runs', ann => 'pg_migrate upgrade --dry-run',
	out => "0001\n",
	err => qr/running upgrade  -> 0001, create users\n.*rolled back \(--dry-run\)\n\z/s,
	at  => '',
	sql => [ q{SELECT to_regclass('users') IS NULL}, 't' ];
step 'it is not there yet', ann => 'pg_migrate check',
	status  => 3,
	out     => "not loaded 0001 0001_create_users.sql\n",
	err     => qr/not up to date/,
	alembic => 'alembic check';
step 'upgrade', ann => 'pg_migrate upgrade',
	out     => "0001\n",
	err     => qr/^NOTICE:  running upgrade  -> 0001, create users\nNOTICE:  upgrade to head/,
	alembic => 'alembic upgrade head',
	at      => '0001',
	sql     => [ q{SELECT to_regclass('users') IS NULL}, 'f' ];
step 'again', ann => 'pg_migrate upgrade',
	err => "NOTICE:  nothing to do: at head 0001\n",
	at  => '0001';
step 'now it is', ann => 'pg_migrate check', alembic => 'alembic check';
step 'where the database is', ann => 'pg_migrate current',
	out     => "0001 (head)\n",
	alembic => 'alembic current';
step 'a second revision', ann => 'pg_migrate new add last login',
	out => "./migrations/0002_add_last_login.sql\n";
fill(ann => '0002', 'ALTER TABLE users ADD last_login timestamp;',
	'ALTER TABLE users DROP last_login;');
step 'one step', ann => 'pg_migrate upgrade +1',
	out     => "0002\n",
	err     => qr/running upgrade 0001 -> 0002/,
	alembic => 'alembic upgrade +1',
	at      => '0002';
step 'one back', ann => 'pg_migrate downgrade -1',
	out     => "0002\n",
	err     => qr/running downgrade 0002 -> 0001, add last login/,
	alembic => 'alembic downgrade -1',
	at      => '0001';
step 'a target relative to another', ann => 'pg_migrate upgrade 0001+1',
	out     => "0002\n",
	err     => qr/running upgrade/,
	alembic => 'alembic upgrade 0001+1',
	at      => '0002';
step 'all the way back', ann => 'pg_migrate downgrade base',
	out     => "0002\n0001\n",
	err     => qr/running downgrade 0002 -> 0001.*running downgrade 0001 -> /s,
	alembic => 'alembic downgrade base',
	at      => '',
	sql     => [ q{SELECT to_regclass('users') IS NULL}, 't' ];
step 'a beginning that is not enough', ann => 'pg_migrate upgrade 000',
	status  => 1,
	err     => qr/ambiguous.*"0001".*"0002"/s,
	alembic => 'alembic upgrade 000',
	at      => '';
step 'a name that is none', ann => 'pg_migrate upgrade 0009',
	status => 1,
	err    => qr/^ERROR:  can't locate revision identified by "0009"\nHINT: [^\n]*\n\z/,
	at     => '';
step 'up again', ann => 'pg_migrate upgrade head', out => "0001\n0002\n", err => qr/running/;
step 'one step too many', ann => 'pg_migrate upgrade +1',
	status => 1,
	err    => qr/^ERROR:  walked too far/,
	at     => '0002';

note('a mistake that is seen before the commit');
step 'it should have a time zone, but has been applied', ann =>
  'sed -i.bak "s/ timestamp;/ timestamptz;/" migrations/0002_*.sql && rm migrations/*.bak'
  . ' && pg_migrate upgrade',
	status => 1,
	err    => qr/cannot change the upgrade script of revision "0002" because it is applied/,
	at     => '0002';
step 'so: back with the script that was applied', ann => 'pg_migrate downgrade --no-load -1',
	out => "0002\n",
	err => qr/running downgrade 0002/,
	at  => '0001';
step 'and up with the one that was edited', ann => 'pg_migrate upgrade',
	out => "0002\n",
	err => qr/replaced revision "0002".*upgrade script.*running upgrade 0001 -> 0002/s,
	sql => [ q{SELECT format_type(atttypid, -1) FROM pg_attribute
		WHERE attrelid = 'users'::regclass AND attname = 'last_login'},
		'timestamp with time zone' ];
step 'the history', ann => 'pg_migrate history',
	out => "0001 -> 0002 (head), add last login\n<base> -> 0001, create users\n",
	alembic => 'alembic history';
step 'with all there is to say', ann => 'pg_migrate history --verbose',
	out => "Rev: 0002 (head) (current)\nParent: 0001\n\n    add last login\n\n"
	  . "Rev: 0001\nParent: <base>\n\n    create users\n\n",
	alembic => 'alembic history --verbose';
step 'of some', ann => 'pg_migrate history -r0002:',
	out     => "0001 -> 0002 (head), add last login\n",
	alembic => 'alembic history -r0002:';
step 'the last one', ann => 'pg_migrate history -r-1:current',
	out     => "0001 -> 0002 (head), add last login\n<base> -> 0001, create users\n",
	alembic => 'alembic history -r-1:current';
step 'of some, with their marks', ann => 'pg_migrate history --rev-range=0001:current -i',
	out => "0001 -> 0002 (head) (current), add last login\n<base> -> 0001, create users\n",
	alembic => 'alembic history -r0001:current -i';
step 'one of them', ann => 'pg_migrate show head',
	out     => said("Rev: 0002 (head) (current)\n", "    add last login\n\n-- migrate:up\n"),
	alembic => 'alembic show head';
step 'in an editor', ann => 'EDITOR="grep -c timestamptz" pg_migrate edit head',
	out     => "1\n",
	alembic => 'alembic edit head';
step 'the heads', ann => 'pg_migrate heads', out => "0002 (head)\n", alembic => 'alembic heads';
step 'no branches', ann => 'pg_migrate branches', alembic => 'alembic branches';
commit(ann => 'users');
step 'the others may have it', ann => 'git push -q origin HEAD:main';

note('a second developer');
as('nobody', 'git clone -q -b main origin.git bob');
step 'all that is needed comes with the clone', bob => 'pg_migrate init',
	sql => [ q{SELECT count(*) FROM migrate.revisions}, '0' ];
step 'what is to do', bob => 'pg_migrate status',
	out => qr/^ not loaded \| 0001 .*^ not loaded \| 0002 /ms;
step 'the same database', bob => 'pg_migrate upgrade',
	out => "0001\n0002\n",
	err => qr/running upgrade  -> 0001.*new or changed revisions: 2\n\z/s,
	at  => '0002';
step 'side by side', bob => 'pg_migrate status',
	out => qr/^ applied +\| 0001 .*^ applied +\| 0002 /ms;

note('data migrations: expand, move, contract');
super(q{INSERT INTO users VALUES (1, 'Ada Lovelace'), (2, 'Plato')}, $database{$_})
  for qw(ann bob);
step 'the first half adds', bob => 'pg_migrate revision --message="split name: add"',
	out     => "./migrations/0003_split_name_add.sql\n",
	alembic => 'alembic revision --message="split name: add"';
fill(bob => '0003', <<'END', 'ALTER TABLE users DROP first, DROP last;');
ALTER TABLE users ADD first text, ADD last text;
UPDATE users SET first = split_part(name, ' ', 1), last = nullif(split_part(name, ' ', 2), '');
END
step 'the second half drops', bob => 'pg_migrate revision -m "split name: drop"',
	out => "./migrations/0004_split_name_drop.sql\n";
fill(bob => '0004', 'ALTER TABLE users DROP name;', <<'END');
ALTER TABLE users ADD name text;
UPDATE users SET name = concat_ws(' ', first, last);
ALTER TABLE users ALTER name SET NOT NULL;
END
step 'with the release that writes both', bob => 'pg_migrate upgrade 0003',
	out => "0003\n",
	err => qr/running/,
	at  => '0003',
	sql => [ q{SELECT string_agg(concat(first, '/', last), ' ' ORDER BY id) FROM users},
		'Ada/Lovelace Plato/' ];
step 'with the next one', bob => 'pg_migrate upgrade', out => "0004\n", err => qr/running/;
step 'and back', bob => 'pg_migrate downgrade -2',
	out     => "0004\n0003\n",
	err     => qr/running/,
	alembic => 'alembic downgrade -2',
	sql     => [ q{SELECT string_agg(name, ', ' ORDER BY id) FROM users},
		'Ada Lovelace, Plato' ];
step 'and there', bob => 'pg_migrate upgrade', out => "0003\n0004\n", err => qr/running/;
commit(bob => 'split the name');

note('an index that is built while others write');
step 'a revision that is not transactional', bob =>
  'pg_migrate new --no-transaction --rev-id=0005 "index last"',
	out     => "./migrations/0005_index_last.sql\n",
	alembic => 'with context.get_context().autocommit_block()';
fill(bob => '0005', 'CREATE INDEX CONCURRENTLY users_last ON users (last);',
	'DROP INDEX CONCURRENTLY users_last;');
step 'step by step, by itself', bob => 'pg_migrate upgrade',
	out => "0005\n",
	err => qr/^pg_migrate: revision "0005" is not transactional: going step by step$/m,
	sql => [ q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_last'::regclass}, 't' ];
step 'back, likewise', bob => 'pg_migrate downgrade -1',
	out => "0005\n",
	err => qr/step by step/,
	at  => '0004',
	sql => [ q{SELECT to_regclass('users_last') IS NULL}, 't' ];
step 'as a script for the administrator', bob => 'pg_migrate upgrade --sql',
	out => qr/^CREATE INDEX CONCURRENTLY users_last ON users \(last\);/m,
	at  => '0004';
step 'and there', bob => 'pg_migrate upgrade', out => "0005\n", err => qr/running/;
commit(bob => 'index');
step 'for all', bob => 'git push -q origin HEAD:main';
step 'Ann has it', ann => 'git pull -q origin main && pg_migrate upgrade',
	out => "0003\n0004\n0005\n",
	err => qr/step by step/,
	at  => '0005';

note('two developers, one parent: resolved by a merge');
step 'Ann on a branch', ann => 'git switch -q -c orders && pg_migrate new --rev-id=ae10 orders',
	out => "./migrations/ae10_orders.sql\n";
fill(ann => 'ae10', 'CREATE TABLE orders (id int PRIMARY KEY);', 'DROP TABLE orders;');
step 'she has it in her database', ann => 'pg_migrate upgrade', out => "ae10\n", err => qr/running/;
commit(ann => 'orders');
step 'Bob on another', bob => 'git switch -q -c email && pg_migrate new --rev-id=27c6 email',
	out => "./migrations/27c6_email.sql\n";
fill(bob => '27c6', 'ALTER TABLE users ADD email text;', 'ALTER TABLE users DROP email;');
step 'he in his', bob => 'pg_migrate upgrade', out => "27c6\n", err => qr/running/;
commit(bob => 'email');
step 'Bob is the first', bob => 'git push -q origin email:main';
commit(ann => 'merge of main',
	'git fetch -q && git merge -q -m "merge of main" origin/main');
step 'git has seen no conflict, pg_migrate does', ann => 'pg_migrate upgrade',
	status  => 1,
	err     => said('ERROR:  multiple head', '"27c6", "ae10".', '"pg_migrate merge" joins heads'),
	alembic => 'alembic upgrade head',
	at      => 'ae10';
step 'neither is a new one allowed', ann => 'pg_migrate new x',
	status  => 1,
	err     => qr/^pg_migrate: there are several heads: "27c6", "ae10"; [^\n]*merge[^\n]*\n\z/,
	alembic => 'alembic revision -m x';
step 'all heads at once', ann => 'pg_migrate upgrade heads',
	out     => "27c6\n",
	err     => qr/running upgrade 0005 -> 27c6/,
	alembic => 'alembic upgrade heads',
	at      => '27c6 ae10';
step 'they are seen', ann => 'pg_migrate heads',
	out     => "ae10 (head)\n27c6 (head)\n",
	alembic => 'alembic heads';
step 'and the branch point', ann => 'pg_migrate branches',
	out     => "0005 (branchpoint)\n     -> 27c6 (head)\n     -> ae10 (head)\n",
	alembic => 'alembic branches';
step 'one step down from two: which one?', ann => 'pg_migrate downgrade -1',
	status  => 1,
	err     => qr/"27c6", "ae10"/,
	alembic => 'alembic downgrade -1',
	at      => '27c6 ae10';
step 'joined', ann => 'pg_migrate merge -m "orders and email" heads',
	out     => "./migrations/0006_orders_and_email.sql\n",
	alembic => 'alembic merge -m "orders and email" heads';
step 'it has nothing to run', ann => 'pg_migrate upgrade',
	out => "0006\n",
	err => qr/running upgrade 27c6, ae10 -> 0006, orders and email/,
	at  => '0006';
step 'in the history', ann => 'pg_migrate history -r 0005:',
	out => qr/^27c6, ae10 -> 0006 \(head\) \(mergepoint\), orders and email\n/;
commit(ann => 'orders and email');
step 'to all', ann =>
  'git push -q origin orders:main && git switch -q main && git pull -q origin main';
step 'Bob has it, too', bob =>
  'git switch -q main && git pull -q origin main && pg_migrate upgrade',
	out => "ae10\n0006\n",
	err => qr/running upgrade 0005 -> ae10/,
	at  => '0006';

note('two developers, one parent, and one serial identifier: resolved by another parent');
step 'Ann', ann => 'git switch -q -c price && pg_migrate new "add price"',
	out => "./migrations/0007_add_price.sql\n";
fill(ann => '0007', 'ALTER TABLE orders ADD price numeric;', 'ALTER TABLE orders DROP price;');
commit(ann => 'price');
step 'is the first', ann => 'git push -q origin price:main';
step 'Bob', bob => 'git switch -q -c state && pg_migrate new "add state"',
	out => "./migrations/0007_add_state.sql\n";
fill(bob => '0007', 'ALTER TABLE orders ADD state text;', 'ALTER TABLE orders DROP state;');
step 'has it in his database', bob => 'pg_migrate upgrade', out => "0007\n", err => qr/running/;
step 'and commits', bob => 'git add -A && git commit -q -m state';
step 'git takes both', bob => 'git fetch -q && git rebase -q origin/main',
	files => '0001_create_users.sql 0002_add_last_login.sql 0003_split_name_add.sql '
	  . '0004_split_name_drop.sql 0005_index_last.sql 0006_orders_and_email.sql '
	  . '0007_add_price.sql 0007_add_state.sql 27c6_email.sql ae10_orders.sql';
step "pg_migrate does not: $_", bob => "pg_migrate $_",
	status => 1,
	err    => said('ERROR:  revision "0007" is in two files, "0007_add_price.sql" and '
	  . qq{"0007_add_state.sql"\nHINT: }, 'another identifier'),
	at     => '0007'
  for 'upgrade', 'check', 'status', 'load', 'downgrade -1', 'stamp head';
step 'nor without a database', bob => 'pg_migrate new x',
	status => 1,
	err    => said('pg_migrate: files "0007_add_price.sql" and "0007_add_state.sql" have the same '
	  . 'identifier, "0007"; give one of them another');
step 'first back, with what the database has', bob => 'pg_migrate downgrade --no-load -1',
	out => "0007\n",
	err => qr/running downgrade 0007 -> 0006, add state/,
	at  => '0006';
my $renumber = <<'END' =~ s/\n/ /gr;
git mv migrations/0007_add_state.sql migrations/0008_add_state.sql &&
sed -i.bak -e "s/^-- Revision ID: .*/-- Revision ID: 0008/" -e "s/^-- Revises: .*/-- Revises: 0007/"
 migrations/0008_add_state.sql && rm migrations/*.bak
END
step 'then the file is given another number, and another parent', bob => $renumber;
step 'and up', bob => 'pg_migrate upgrade',
	out => "0007\n0008\n",
	err => said('WARNING:  replaced revision "0007", add state',
	'running upgrade 0006 -> 0007, add price', 'running upgrade 0007 -> 0008, add state'),
	at  => '0008';
step 'all is well', bob => 'pg_migrate check';
commit(bob => 'state, after price');
step 'to all', bob => 'git push -q origin state:main';
step 'Ann', ann => 'git switch -q main && git pull -q origin main && pg_migrate upgrade',
	out => "0007\n0008\n",
	err => qr/running/,
	at  => '0008';

note('the parent is changed while the revision is applied');
step 'Ann', ann => 'git switch -q -c note && pg_migrate new "add note" && git push -q origin note',
	out => "./migrations/0009_add_note.sql\n";
fill(ann => '0009', 'ALTER TABLE orders ADD note text;', 'ALTER TABLE orders DROP note;');
step 'applied', ann => 'pg_migrate upgrade', out => "0009\n", err => qr/running/;
step 'another parent', ann =>
  'sed -i.bak "s/^-- Revises: .*/-- Revises: 0007/" migrations/0009_*.sql && rm migrations/*.bak';
step 'is refused', ann => 'pg_migrate upgrade',
	status => 1,
	err    => qr/^ERROR:  cannot change .* of revision "0009" because it is applied/,
	at     => '0009';
step 'and seen', ann => 'pg_migrate status', out => qr/^ edited +\| 0009 /m;
step 'as it was', ann =>
  'sed -i.bak "s/^-- Revises: .*/-- Revises: 0008/" migrations/0009_*.sql && rm migrations/*.bak'
  . ' && pg_migrate check';
commit(ann => 'note');

note('another branch of the repository, while a migration of this one is applied');
step 'the database has more than the files', ann => 'git switch -q main && pg_migrate status',
	out => qr/^ database only \| 0009 .*applied/m;
step 'which is said', ann => "pg_migrate $_->[0]",
	err     => $_->[1],
	at      => '0009',
	alembic => "Can't locate revision identified by '0009'"
  for [ check => qq{pg_migrate: no file has revision "0009" (applied)\n} ],
  [ upgrade => qq{NOTICE:  nothing to do: at head 0009\n}
	  . qq{pg_migrate: no file has revision "0009" (applied)\n} ];
step 'a new revision does not know of it', ann => 'pg_migrate new "urgent" --rev-id=f001',
	out => "./migrations/f001_urgent.sql\n";
fill(ann => 'f001', 'ALTER TABLE orders ADD urgent bool;', 'ALTER TABLE orders DROP urgent;');
step 'two heads then, of which one has no file', ann => 'pg_migrate upgrade',
	status => 1,
	err    => said('ERROR:  multiple head', qq{: no file has revision "0009" (applied)\n}),
	at     => '0009';
step 'the database has the way back', ann => 'pg_migrate downgrade 0008',
	out => "0009\n",
	err => said('running downgrade 0009 -> 0008, add note', 'no file has revision "0009" '
	  . '(not applied); "pg_migrate load --prune" forgets what is not applied'),
	at  => '0008';
step 'what is loaded counts all the same', ann => 'pg_migrate upgrade',
	status => 1,
	err    => said('ERROR:  multiple head', 'no file has revision "0009" (not applied); '),
	at     => '0008';
step 'until it is pruned', ann => 'pg_migrate load --prune',
	err => qr/^NOTICE:  dropped revision "0009", add note$/m;
step 'now', ann => 'pg_migrate upgrade', out => "f001\n", err => qr/running upgrade 0008 -> f001/;
commit(ann => 'urgent');
step 'to all', ann => 'git push -q origin main';
step 'the other branch again, on top of it', ann =>
  'git switch -q note && git rebase -q main && pg_migrate heads',
	out => "f001 (head)\n";
step 'two heads in the files', ann => 'pg_migrate merge -m "note and urgent"',
	out => "./migrations/0010_note_and_urgent.sql\n";
step 'both', ann => 'pg_migrate upgrade', out => "0009\n0010\n", err => qr/running/, at => '0010';
commit(ann => 'note and urgent');
step 'to all', ann => 'git switch -q main && git merge -q note && git push -q origin main';
step 'Bob', bob => 'git switch -q main && git pull -q origin main && pg_migrate upgrade',
	out => "0009\nf001\n0010\n",
	err => qr/running/,
	at  => '0010';

note('git revert');
step 'something', bob => 'pg_migrate new "regret"', out => "./migrations/0011_regret.sql\n";
fill(bob => '0011', 'CREATE TABLE regret ();', 'DROP TABLE regret;');
step 'applied', bob => 'pg_migrate upgrade', out => "0011\n", err => qr/running/;
commit(bob => 'regret');
commit(bob => 'revert of regret', 'git revert --no-edit HEAD');
step 'the file is gone', bob => 'pg_migrate check',
	err => qq{pg_migrate: no file has revision "0011" (applied)\n},
	at  => '0011';
step 'the database follows', bob => 'pg_migrate downgrade -1 && pg_migrate load --prune',
	out => "0011\n",
	err => qr/running downgrade 0011 -> 0010.*dropped revision "0011"/s,
	at  => '0010',
	sql => [ q{SELECT to_regclass('regret') IS NULL}, 't' ];
step 'with nothing left', bob => 'pg_migrate check && git push -q origin main';

note('branches with labels and dependencies');
step 'a base of its own', ann =>
  'git pull -q origin main && git switch -q -c billing && pg_migrate '
  . 'new --head=base --label=billing --depends-on=0001 --rev-id=b001 "bills"',
	out     => "./migrations/b001_bills.sql\n",
	alembic => 'alembic revision --head=base --branch-label=billing --depends-on=0001 -m bills';
fill(ann => 'b001', 'CREATE TABLE bills (user_id int REFERENCES users);', 'DROP TABLE bills;');
step 'which head is it to follow?', ann => 'pg_migrate new x',
	status => 1,
	err    => qr/several heads: "0010", "b001"; choose one with --head/;
step 'the head of the branch', ann =>
  'pg_migrate new --head billing@head --rev-id b002 "bills: due date"',
	out     => "./migrations/b002_bills_due_date.sql\n",
	alembic => 'alembic revision --head=billing@head -m "bills: due date"';
fill(ann => 'b002', 'ALTER TABLE bills ADD due date;', 'ALTER TABLE bills DROP due;');
step 'one branch, one step', ann => 'pg_migrate upgrade billing@+1',
	out     => "b001\n",
	err     => qr/running upgrade  -> b001, bills/,
	alembic => 'alembic upgrade billing@+1',
	at      => '0010 b001';
step 'that branch to its head', ann => 'pg_migrate upgrade billing@head',
	out     => "b002\n",
	err     => qr/running upgrade b001 -> b002/,
	alembic => 'alembic upgrade billing@head';
step 'with what it needs', ann => 'pg_migrate history -r billing@base:billing@head',
	out     => "b001 -> b002 (billing) (head), bills: due date\n"
	  . "<base> (0001) -> b001 (billing), bills\n<base> -> 0001, create users\n",
	alembic => 'alembic history -r billing@base:billing@head';
step 'one branch, one step back', ann => 'pg_migrate downgrade billing@-1',
	out     => "b002\n",
	err     => qr/running downgrade b002 -> b001/,
	alembic => 'alembic downgrade billing@-1',
	at      => '0010 b001';
step 'what is below it takes it along', ann => 'pg_migrate downgrade base --sql',
	out => qr/^DROP TABLE bills;.*^DROP TABLE users;/ms;
step 'that branch alone', ann => 'pg_migrate downgrade billing@base',
	out     => "b001\n",
	err     => qr/running downgrade b001 -> /,
	alembic => 'alembic downgrade billing@base',
	at      => '0010';
step 'both heads', ann => 'pg_migrate upgrade heads',
	out     => "b001\nb002\n",
	err     => qr/running/,
	alembic => 'alembic upgrade heads',
	at      => '0010 b002';
step 'a label twice', ann => 'pg_migrate new --head=0010 --label=billing x',
	status => 1,
	err    => qr/^pg_migrate: label "billing" is in use: file "b001_bills\.sql"\n\z/;
step 'a dependency that is nowhere', ann => 'pg_migrate new --head=0010 --depends-on=nope x',
	status => 1,
	err    => qr/^pg_migrate: no file has a revision "nope"\n\z/;
commit(ann => 'billing');
step 'one history again', ann => 'pg_migrate merge && pg_migrate upgrade',
	out => "./migrations/0011_merge_0010_and_b002.sql\n0011\n",
	err => qr/running upgrade 0010, b002 -> 0011/,
	at  => '0011';
commit(ann => 'billing joined');
step 'to all', ann => 'git switch -q main && git merge -q billing && git push -q origin main';

note('a revision in the middle');
step 'not by accident', ann => 'pg_migrate new --head=0008 "in between"',
	status  => 1,
	err     => qr/^pg_migrate: revision "0008" is not a head; --splice allows it[^\n]*\n\z/,
	alembic => 'alembic revision --head=0008';

note('production: an owner, an author, a deployer');
database('prod');
super("GRANT CREATE ON SCHEMA public TO app_deployer", 'mig_guides_prod');
person(owner    => 'ann', 'owner',    'mig_guides_prod');
person(author   => 'ann', 'author',   'mig_guides_prod');
person(deployer => 'ann', 'deployer', 'mig_guides_prod');
person(reader   => 'ann', 'reader',   'mig_guides_prod');
step 'before anything is there', deployer => 'pg_migrate upgrade --no-load',
	status => 1,
	err    => said('schema "migrate" does not exist', '"pg_migrate init" installs the extension');
step 'the owner installs', owner => 'pg_migrate init';
my ($grants) = slurp("$FindBin::RealBin/../../doc/rights.md") =~ /^-- everybody who.*?(?=^```)/ms
  ? $& : die 'doc/rights.md';
super('CREATE ROLE migrate_reader; CREATE ROLE migrate_author; CREATE ROLE migrate_deployer;
	GRANT migrate_reader TO app_reader; GRANT migrate_author TO app_author;
	GRANT migrate_deployer TO app_deployer');
super("SET SESSION AUTHORIZATION app_owner; $grants", 'mig_guides_prod');
step 'a reader cannot load', reader => 'pg_migrate load',
	status => 1,
	err    => qr/permission denied for function load_files/;
step 'an author can', author => 'pg_migrate load', out => qr/\A(?:new .*\n){16}\z/;
step 'but not upgrade', author => 'pg_migrate upgrade --no-load',
	status => 1,
	err    => qr/permission denied for function upgrade/;
step 'a deployer cannot load', deployer => 'pg_migrate upgrade',
	status => 1,
	err    => qr/permission denied for function load_files/;
step 'but upgrade', deployer => 'pg_migrate upgrade --no-load 0001',
	out => "0001\n",
	err => qr/running upgrade  -> 0001/,
	at  => '0001';
step 'what is still to run', deployer => 'pg_migrate check',
	status => 3,
	out    => qr/\A(?:pending .*\n){15}\z/,
	err    => qr/not up to date/;

note('many sessions start the application at once');
step 'up to what is not transactional', deployer => 'pg_migrate upgrade --no-load 0005',
	out => "0002\n0003\n0004\n0005\n",
	err => qr/step by step/;
my @starts = map { spawn_as('deployer', "$dir/start$_", 'pg_migrate upgrade --no-load') } 1 .. 12;
is(join(' ', map { finish($_)->{status} } @starts), join(' ', (0) x 12), 'twelve at once: 0 each');
my $ran = join '', map { slurp("$dir/start$_") } 1 .. 12;
is(() = $ran =~ /^NOTICE:  upgrade to head completed: 11 revisions/mg,
	1, '    one of them upgrades');
is(() = $ran =~ /^NOTICE:  nothing to do: at head 0011$/mg, 11, '    the others find it done');
step 'it is where it should be', deployer => 'pg_migrate check && pg_migrate current',
	out => "0011 (head) (mergepoint)\n";
step 'who did it', reader => 'pg_migrate log',
	out => qr/upgrade   0001 .* app_deployer \(pg_migrate\)\n(?:.*\n){14}.*upgrade   0011 .*\n\z/;
step 'not for all', author => 'pg_migrate log',
	status => 1,
	err    => qr/permission denied/;

sub spawn_as
{
	my ($who, $out, $command) = @_;
	local %ENV = (%environment, DATABASE_URL => $url{$who});
	return spawn($out, '/bin/sh', '-c', "cd '$home{$who}' && exec $command");
}

note('a hotfix of what is in production');
step 'the release', ann => 'git tag v1';
step 'the next one is under way', ann => 'pg_migrate new "next release" --rev-id=0012',
	out => qr/0012/;
fill(ann => '0012', 'CREATE TABLE next ();', 'DROP TABLE next;');
step 'in her database', ann => 'pg_migrate upgrade', out => "0012\n", err => qr/running/;
commit(ann => 'next release');
step 'to all', ann => 'git push -q origin main';
step 'a branch at the release', ann =>
  'git switch -q -c hotfix v1 && pg_migrate new hotfix --rev-id=h001',
	out => qr/h001/;
fill(ann => 'h001', 'ALTER TABLE users ADD hot bool;', 'ALTER TABLE users DROP hot;');
commit(ann => 'hotfix');
step 'loaded', author => 'pg_migrate load', out => "new h001 h001_hotfix.sql\n";
step 'deployed', deployer => 'pg_migrate upgrade --no-load && pg_migrate check',
	out => "h001\n",
	err => qr/running upgrade 0011 -> h001/,
	at  => 'h001';
commit(ann => 'merge of the hotfix', 'git switch -q main && git merge -q -m hotfix hotfix');
step 'joined', ann => 'pg_migrate merge -m "hotfix in the next release" && pg_migrate upgrade',
	out => "./migrations/0013_hotfix_in_the_next_release.sql\nh001\n0013\n",
	err => qr/running upgrade 0011 -> h001.*running upgrade 0012, h001 -> 0013/s,
	at  => '0013';
commit(ann => 'hotfix in the next release');
step 'to all', ann => 'git push -q origin main';
step 'the next release', author => 'pg_migrate load',
	out => "new 0012 0012_next_release.sql\nnew 0013 0013_hotfix_in_the_next_release.sql\n";
step 'what a deployment of it would run', deployer => 'pg_migrate upgrade --no-load --sql',
	out => qr/-- Running upgrade 0011 -> 0012.*-- Running upgrade 0012, h001 -> 0013/s;
step 'runs, without what production has', deployer => 'pg_migrate upgrade --no-load',
	out => "0012\n0013\n",
	err => qr/\A(?!.*hotfix\n.*h001,)/s,
	at  => '0013';

note('databases that exist already');
database($_) for qw(legacy fresh offline old);
person(legacy  => 'ann', 'owner', 'mig_guides_legacy');
person(fresh   => 'ann', 'owner', 'mig_guides_fresh');
person(offline => 'ann', 'owner', 'mig_guides_offline');
person(old     => 'ann', 'owner', 'mig_guides_old');
super('CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL)', 'mig_guides_legacy');
super('ALTER TABLE users OWNER TO app_owner', 'mig_guides_legacy');
step 'one with the tables of the first revision', legacy =>
  'pg_migrate init && pg_migrate stamp 0001',
	out     => "0001\n",
	alembic => 'alembic stamp 0001',
	at      => '0001';
step 'has the rest to run', legacy => 'pg_migrate upgrade',
	out => qr/\A0002\n0003\n0004\n0005\n/,
	err => qr/running/,
	at  => '0013';
# psql knows no drivers
my $psql = 'psql -Xq -v ON_ERROR_STOP=1 "$(echo "$DATABASE_URL" | sed s/+psycopg2//)"';
my ($schema) = schema_dump('mig_guides_ann', '-O');
step 'one that the application has made whole', fresh =>
  qq(pg_dump -s -x -O -N migrate '@{[ url_of('owner', 'mig_guides_ann') =~ s/\+psycopg2//r ]}')
  . " | grep -v 'EXTENSION migrate\\|EXTENSION IF NOT EXISTS migrate' | $psql"
  . ' && pg_migrate init && pg_migrate stamp head',
	out     => qr/0013\n\z/,
	err     => qr//,
	alembic => 'alembic stamp head',
	at      => '0013';
step 'is what the others are', fresh => 'pg_migrate check && pg_migrate upgrade',
	err => "NOTICE:  nothing to do: at head 0013\n";
is(schema_dump('mig_guides_fresh'), schema_dump('mig_guides_ann'), '    table by table');
step 'back to the beginning, without running anything', fresh => 'pg_migrate stamp base',
	alembic => 'alembic stamp base',
	at      => '',
	sql     => [ q{SELECT to_regclass('users') IS NULL}, 'f' ];
step 'several', fresh => 'pg_migrate stamp 0010 b002',
	out     => "0010\nb002\n",
	alembic => 'alembic stamp 0010 b002';
step 'whatever was there', fresh => 'pg_migrate stamp --purge heads',
	out     => "0013\n",
	alembic => 'alembic stamp --purge heads',
	at      => '0013';

note('scripts for an administrator who has no pg_migrate');
step 'the extension and the revisions', offline => 'pg_migrate init && pg_migrate load',
	out => qr/\A(?:new .*\n){19}\z/;
step 'a part of the history', offline => 'pg_migrate upgrade 0001:0003 --sql',
	out     => qr/upgrade from 0001 to 0003.*-- Running upgrade 0001 -> 0002.*0002 -> 0003/s,
	alembic => 'alembic upgrade 0001:0003 --sql',
	at      => '';
step 'run with psql', offline =>
  "pg_migrate upgrade 0004 --sql | $psql",
	out => qr//,
	err => qr//,
	at  => '0004';
step 'known to both', offline => 'pg_migrate upgrade 0006',
	out => "0005\n27c6\nae10\n0006\n",
	err => qr/running upgrade 0004 -> 0005/;
step 'and back', offline => 'pg_migrate downgrade 0004:0003 --sql',
	out     => qr/downgrade from 0004 to 0003.*-- Running downgrade 0004 -> 0003/s,
	alembic => 'alembic downgrade 0004:0003 --sql',
	at      => '0006';

note('a database of Alembic');
super(q{CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
	INSERT INTO alembic_version VALUES ('0013');
	ALTER TABLE alembic_version OWNER TO app_owner}, 'mig_guides_old');
step 'is taken over', old => 'pg_migrate init && pg_migrate adopt alembic && pg_migrate check',
	out => "0013\n",
	at  => '0013';

note('CI');
database('ci');
person(ci => 'ci', 'owner', 'mig_guides_ci');
as('nobody', 'git clone -q -b main origin.git ci');
step 'a job', ci => 'set -e; pg_migrate wait --timeout 60; pg_migrate init; '
  . 'test "$(pg_migrate load | wc -l)" -eq 19; test "$(pg_migrate heads | wc -l)" -eq 1; '
  . 'pg_migrate upgrade; pg_migrate check; pg_migrate downgrade base; pg_migrate upgrade; '
  . 'pg_migrate check',
	out => qr/\A0001\n.*\n0013\n0013\n.*\n0001\n0001\n.*\n0013\n\z/s,
	err => qr/running/,
	at  => '0013';
step 'a pull request that forgot the merge', ci =>
  'pg_migrate new a --rev-id=pr1 && pg_migrate new b --rev-id=pr2 --head=0013 --splice && '
  . 'pg_migrate load && test "$(pg_migrate heads | wc -l)" -eq 1',
	status => 1,
	out    => qr/pr1.*pr2/s;
step 'one whose file does not parse', ci => 'rm migrations/pr* && pg_migrate load --prune && '
  . 'pg_migrate new --rev-id=bad bad && echo "SELEC 1;" >>migrations/bad_bad.sql && '
  . 'pg_migrate check',
	status => 1,
	out    => "./migrations/bad_bad.sql\n",
	err    => qr/syntax error at or near "SELEC".*revision file "bad_bad\.sql", line \d+/s,
	at     => '0013';

note('a squash');
step 'all databases are at the head', deployer => 'pg_migrate check';
step 'one revision that makes all of it', ann => 'pg_migrate new --head=base "all until here"',
	out => "./migrations/0014_all_until_here.sql\n";
fill(ann => '0014', $schema =~ s/^SET default_table_access_method.*\n//mr);
step 'the others go', ann =>
  'git rm -q $(git ls-files migrations) && sed -i.bak "/^-- migrate:down/,\$d" migrations/0014* '
  . '&& rm migrations/*.bak',
	files => '0014_all_until_here.sql';
step 'the files alone do not move a database', ann => 'pg_migrate upgrade',
	status => 1,
	err    => qr/multiple head revisions.*no file has revision "0013" \(applied\)\n\z/s,
	at     => '0013';
my $pruned =
  qr/\A(?:pg_migrate: no file .*\n)?(?:NOTICE:  dropped revision ".*\nDETAIL: .*\n){19}\z/;
step 'a stamp does, and what no file has is forgotten', ann =>
  'pg_migrate stamp 0014 --purge && pg_migrate load --prune',
	out => "0014\n",
	err => $pruned,
	at  => '0014',
	sql => [ q{SELECT to_regclass('users') IS NULL}, 'f' ];
step 'nothing is left to do', ann => 'pg_migrate check && pg_migrate history && pg_migrate upgrade',
	out => "<base> -> 0014 (head), all until here\n",
	err => "NOTICE:  nothing to do: at head 0014\n";
commit(ann => 'squash', undef, 'current');
step 'in production: the author', author => 'pg_migrate load',
	out => "new 0014 0014_all_until_here.sql\n";
step 'the deployer', deployer => 'pg_migrate stamp 0014 --purge --no-load',
	out     => "0014\n",
	alembic => 'alembic stamp --purge 0014',
	at      => '0014';
step 'the author', author => 'pg_migrate load --prune', err => $pruned;
step 'the next revision is on top of it', ann => 'pg_migrate new "after it" && pg_migrate upgrade',
	out => "./migrations/0015_after_it.sql\n0015\n",
	err => qr/running upgrade 0014 -> 0015/,
	at  => '0015';

# --------------------------------------------------------- doc/team.md ----

note('doc/team.md');
my $page = slurp("$FindBin::RealBin/../../doc/team.md");
database("team_$_") for qw(ann bob ci);
person($_ => "team/$_", 'owner', "mig_guides_team_$_") for qw(ann bob ci);
mkdir "$dir/team" or die $!;
as('nobody', 'cd team && git init -q --bare -b main origin.git && for i in ann bob; do '
	  . 'git clone -q origin.git $i; git -C $i symbolic-ref HEAD refs/heads/main; done');

# A session: lines with a prompt, and what the commands of these print.  In a new file, the
# developers write something.
sub session
{
	my $text = shift;
	while ($text =~ /\G(\w+)\$ (.*)\n((?:(?!\w+\$ ).*\n)*)/g)
	{
		my ($who, $command, $printed) = ($1, $2, $3);
		my ($status, $out, $err) = as($who, "{ $command; } 2>&1");
		s/\b\d+ ms\b/N ms/g for $out, $printed;
		my $match = join '', map { $_ eq "…\n" ? '(?:.*\n)*' : quotemeta } $printed =~ /.*\n/g;
		ok($out =~ /\A$match\z/ && $status == ($out =~ /^ERROR/m), "$who\$ $command")
		  or diag "status $status\n$out";
		fill($who, "$1_$2", "CREATE TABLE $2 ();", "DROP TABLE $2;")
		  if $command =~ /pg_migrate new/ && $out =~ /(\w+?)_(\w+)\.sql$/m;
	}
	return;
}

my $sessions = 0;
while ($page =~ /^```(\w*)\n(.*?)^```$/msg)
{
	my ($kind, $text) = ($1, $2);
	if ($kind eq '')
	{
		session($text);
		$sessions++;
	}
	else
	{
		as('nobody', 'git clone -q -b main team/origin.git team/ci');
		my ($status, $out, $err) = as('ci', $text);
		is($status, 0, 'doc/team.md: the job of CI') or diag $out, $err;
		is(super('SELECT count(*) FROM migrate.applied', $database{ci}), 6, '    all is applied');
	}
}
is($sessions, 5, 'doc/team.md: the sessions');

drop_databases();
done_testing();
