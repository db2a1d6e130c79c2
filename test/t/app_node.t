#!/usr/bin/perl
#
# doc/app-node.md: its files, with node-postgres.
#
# MIGRATE_NODE_MODULES names a directory of modules with "pg"; by default, where
# Debian's node-pg puts it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateApp;
use MigrateServer;
use MigrateTest;
use Test::More;

my $modules = $ENV{MIGRATE_NODE_MODULES} // '/usr/share/nodejs';
need(has_program('node'), 'Node.js is not installed');
need(-d "$modules/pg", "there is no node-postgres in $modules");
alarm 600;

my $dir = scratch_dir();
my %files = page_files('app-node.md');
is_deeply([ sort keys %files ], [qw(migrate.mjs server.mjs)], 'doc/app-node.md has the files');
write_files($dir, %files);
symlink $modules, "$dir/node_modules" or die "node_modules: $!\n";

sub pack_files
{
	my (%migrations) = @_;
	run_program('rm', '-rf', "$dir/migrations");
	write_files("$dir/migrations", %migrations, '.draft.sql' => 'no', 'notes.txt' => 'no');
	return;
}

app_server();
check_application({
		page    => 'app-node.md',
		dir     => "$dir",
		pack    => \&pack_files,
		command => [ 'node', 'migrate.mjs' ]
});

# The server listens when the database is migrated.
{
	app_database('serving');
	pack_files('1.sql' => <<'END');
-- one
--
-- Revision ID: 1
-- Revises:

-- migrate:up
CREATE TABLE a ();
END
	local @ENV{qw(MIGRATION_URL DATABASE_URL PORT)} = ((owner_url('serving')) x 2, 0);
	my $log = "$dir/server.log";
	my $process = spawn($log, 'sh', '-c', 'cd "$1" && exec node server.mjs', 'sh', "$dir");
	ok(wait_until(sub { -e $log && slurp($log) =~ /^listening/m }, 60), 'the server listens')
	  or diag slurp($log);
	like(slurp($log), qr/applied \[ '1' \]\nlistening/, '    after the migrations');
	kill TERM => $process->{pid};
	finish($process);
	local $ENV{MIGRATION_URL} = owner_url('missing');
	my ($status, $out, $err) = run_in($dir, 'node', 'server.mjs');
	is($status, 1, 'without a database it ends with status 1');
	unlike($out, qr/listening/, '    and does not listen');
	like($err, qr/3D000.*"missing"/, '    and says why') or diag $err;
}

done_testing();
