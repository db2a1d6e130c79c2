#!/usr/bin/perl
#
# doc/app-go.md: its files, with pgx v5.
#
# MIGRATE_PGX names a directory with go.mod and go.sum of a module that requires
# pgx v5, and in "vendor" its packages; nothing is downloaded.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateApp;
use MigrateTest;
use Test::More;

my $pgx = $ENV{MIGRATE_PGX} // '';
need(has_program('go'), 'Go is not installed');
need($pgx ne '', 'MIGRATE_PGX names no directory with pgx');
need(-d "$pgx/vendor/github.com/jackc/pgx/v5", "there is no pgx in $pgx");
alarm 900;

my $dir = scratch_dir();
my %files = page_files('app-go.md');
is_deeply([ sort keys %files ], [qw(main.go migrate.go)], 'doc/app-go.md has the files');
write_files($dir, %files, map { $_ => slurp("$pgx/$_") } qw(go.mod go.sum));
symlink "$pgx/vendor", "$dir/vendor" or die "vendor: $!\n";
$ENV{GOCACHE} //= "$dir/cache";
@ENV{qw(GOPATH GOFLAGS GOPROXY GOTOOLCHAIN CGO_ENABLED)} =
  ("$dir/go", '-mod=vendor', 'off', 'local', 0);

# The files are in the binary.
sub pack_files
{
	my (%migrations) = @_;
	run_program('rm', '-rf', "$dir/migrations");
	write_files("$dir/migrations", %migrations, '.draft.sql' => 'no', 'notes.txt' => 'no');
	my ($status, $out, $err) = run_in($dir, 'go', 'build', '-o', 'shop', '.');
	die "go build: $out$err" if $status;
	run_program('rm', '-rf', "$dir/migrations");
	return;
}

app_server();
check_application({
		page    => 'app-go.md',
		dir     => "$dir",
		pack    => \&pack_files,
		command => ['./shop']
});

# For PgBouncer.
{
	my ($mode) = slurp("$FindBin::RealBin/../../doc/app-go.md") =~ /`(config\.Default[^`]+)`/;
	my $changed = $files{'migrate.go'} =~ s/(\tconfig\.OnNotice)/\t$mode\n$1/r;
	isnt($changed, $files{'migrate.go'}, 'without prepared statements');
	spew("$dir/migrate.go", $changed);
	pack_files('1.sql' => <<'END');
-- one, "é" \\ '
--
-- Revision ID: 1
-- Revises:

-- migrate:up
CREATE TABLE a ();
END
	app_database('bouncer');
	local $ENV{MIGRATION_URL} = owner_url('bouncer');
	my ($status, $out, $err) = run_in($dir, './shop');
	is($status, 0, '    it runs, too') or diag "$out$err";
	spew("$dir/migrate.go", $files{'migrate.go'});
}

write_files("$dir/migrations", '1.sql' => '');
is((run_in($dir, 'go', 'vet', '.'))[2], '', 'go vet has no complaint');
is((run_in($dir, 'gofmt', '-l', 'main.go', 'migrate.go'))[1], '', 'the files are formatted');

done_testing();
