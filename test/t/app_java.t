#!/usr/bin/perl
#
# doc/app-jdbc.md: its program, in a jar, with pgjdbc.
#
# MIGRATE_JDBC names the driver's jar; by default, where Debian's
# libpostgresql-jdbc-java puts it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateApp;
use MigrateTest;
use Test::More;

my $driver = $ENV{MIGRATE_JDBC} // '/usr/share/java/postgresql.jar';
need(has_program($_), "$_ of a Java development kit is not installed") for qw(java javac jar);
need(-e $driver, "there is no pgjdbc, $driver");
alarm 900;

my $dir = scratch_dir();
my @java = qw(java -XX:TieredStopAtLevel=1 -cp);
my %files = page_files('app-jdbc.md');
ok($files{'shop/Migrations.java'}, 'doc/app-jdbc.md has the program');
write_files("$dir/source", %files);
my ($status, $out, $err) = run_in($dir, 'javac', '-Xlint:all', '-cp', $driver, '-d', 'classes',
	'source/shop/Migrations.java');
is("$out$err", '', '    which compiles without a warning');

# The files are in the jar.
sub pack_files
{
	my (%migrations) = @_;
	run_program('rm', '-rf', "$dir/resources");
	write_files("$dir/resources/migrations", %migrations,
		'.draft.sql' => 'no', 'notes.txt' => 'no');
	my ($failed, @said) = run_in($dir, 'jar', '--create', '--file=shop.jar', '-C', 'classes', '.',
		'-C', 'resources', '.');
	die "jar: @said" if $failed;
	return;
}

# As JDBC wants it.
sub url
{
	my ($user, $password, $where) = owner_url(shift) =~ m{//(\w+):(\w+)@(.*)};
	return "jdbc:postgresql://$where?user=$user&password=$password&ApplicationName=shop";
}

app_server();
check_application({
		page    => 'app-jdbc.md',
		dir     => "$dir",
		pack    => \&pack_files,
		url     => \&url,
		command => [ @java, "shop.jar:$driver", 'shop.Migrations' ]
});

# ------------------------------------------------------------------ CALL ----

# What the page says of calls.
write_files("$dir/source", 'Calls.java' => <<'END');
import java.sql.*;

public class Calls {
    static void attempt(String url, boolean autocommit) throws SQLException {
        try (Connection connection = DriverManager.getConnection(url)) {
            connection.setAutoCommit(autocommit);
            connection.prepareCall("{call migrate.upgrade_stepwise('head')}").execute();
            System.out.println("called");
        } catch (SQLException e) {
            System.out.println(e.getSQLState());
        }
    }

    public static void main(String[] arguments) throws SQLException {
        attempt(arguments[0], true);
        attempt(arguments[0] + "&escapeSyntaxCallMode=callIfNoReturn", false);
        attempt(arguments[0] + "&escapeSyntaxCallMode=callIfNoReturn", true);
    }
}
END
app_database('calls');
run_in($dir, 'javac', '-d', 'classes', 'source/Calls.java');
($status, $out, $err) = run_in($dir, @java, "classes:$driver", 'Calls', url('calls'));
is($out, "42809\n25001\ncalled\n", 'JDBC\'s {call ...}: as the page says') or diag $err;

# ---------------------------------------------------------------- Spring ----

# An entity that Hibernate validates, and a main program.
write_files("$dir/source", 'shop/User.java' => <<'END', 'shop/Application.java' => <<'MAIN');
package shop;

import jakarta.persistence.*;

@Entity
@Table(name = "users")
public class User {
    @Id
    public Integer id;
    public String name;
}
END
package shop;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

@SpringBootApplication
public class Application {
    public static void main(String[] arguments) {
        SpringApplication.run(Application.class, arguments);
        System.out.println("started");
    }
}
MAIN

SKIP:
{
	my $spring = $ENV{MIGRATE_SPRING} // '';
	my @jars = glob "$spring/spring-boot-3*.jar";
	skip 'MIGRATE_SPRING names no directory with the jars of Spring Boot', 6
	  unless @jars || $ENV{MIGRATE_REQUIRE_APPLICATIONS};
	ok(scalar @jars, 'the jars of Spring Boot');
	($status, $out, $err) = run_in($dir, 'javac', '-cp', "$spring/*", '-d', 'spring',
		map { "source/shop/$_.java" } qw(Migrations MigrationRunner User Application));
	is($status, 0, 'the classes for Spring') or diag "$out$err";
	write_files("$dir/spring", map { $_ => $files{$_} }
		  qw(application.properties META-INF/spring.factories));
	pack_files('1.sql' => <<'END');
-- users
--
-- Revision ID: 0001
-- Revises:

-- migrate:up
CREATE TABLE users (id int PRIMARY KEY, name text);
END
	unlink "$dir/resources/migrations/.draft.sql";

	app_database('spring');
	local @ENV{qw(MIGRATION_URL DATABASE_URL)} = (url('spring')) x 2;
	my $factories = "$dir/spring/META-INF/spring.factories";
	rename $factories, "$factories.away" or die $!;
	my @command = (@java, "spring:resources:$spring/*", 'shop.Application');
	($status, $out, $err) = run_in($dir, @command);
	like($out, qr/missing table \[users\]/, 'without the detector Hibernate comes first');
	rename "$factories.away", $factories or die $!;
	app_database('spring_again');
	@ENV{qw(MIGRATION_URL DATABASE_URL)} = (url('spring_again')) x 2;
	($status, $out, $err) = run_in($dir, @command);
	is($status, 0, 'with it the migrations come first') or diag "$out$err";
	like($out, qr/running upgrade  -> 0001.*HHH.*^started/ms, '    then Hibernate')
	  or diag $out;

	spew("$dir/resources/migrations/2.sql", <<'END');
-- a fault
--
-- Revision ID: 0002
-- Revises: 0001

-- migrate:up
SELECT 1 / 0;
END
	($status, $out, $err) = run_in($dir, @command);
	like("$status $out", qr/^1 .*division by zero/s, 'a script that fails ends the start');
}

done_testing();
