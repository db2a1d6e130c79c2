#!/usr/bin/perl
#
# Each rule of lint: it finds its example and not its counter-example, and the server
# does with the example what the rule says, and not with the other.
#
# What a rule claims (lint_rules().shows) is a list of
#
#	lock MODE TABLE		the statement holds that lock afterwards
#	rewrite TABLE		the table or index is in another file afterwards
#	scan TABLE [N]		the table was read, N times at least
#	error SQLSTATE		the statement fails
#	warning SQLSTATE	the server warns
#	notice SQLSTATE		likewise
#	waits			behind a writer it waits until statement_timeout ends it
#
# A rule of which the server shows nothing says why.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;

my $database = create_database('mig_lint_rules');
my $session = connect_to($database, messages => 'notice');
my $writer = connect_to($database);
my $observer = connect_to($database);
my $version = $session->value('SHOW server_version_num') / 10000;

# The tables of doc/lint.md.
my $page = slurp("$FindBin::RealBin/../../doc/lint.md");
my ($tables) = $page =~ /^```sql tables\n(.*?)^```/ms;
$session->run($tables);
$session->run(q{SELECT migrate.configure('lint_enable', 'types, unqualified, index-wide')},
	q{SELECT migrate.configure('lint_large_rows', '2')});

my @rules = map { [ split /\x1f/, $_, -1 ] } split /\x1e/, join "\n", $session->rows(
	q{SELECT string_agg(concat_ws(E'\x1f', id, severity, coalesce(since, 0), summary, advice,
		example, counter_example, shows), E'\x1e') FROM migrate.lint_rules()});
cmp_ok(scalar @rules, '>', 50, 'lint_rules() lists the rules');
is(join("\n", $page =~ /^(\| `[a-z-]+` \| (?:error|warning).*)$/mg),
	join("\n", $session->rows(q{SELECT format('| `%s` | %s | %s | %s | %s |', id,
		severity || CASE WHEN is_default THEN '' ELSE ', off' END ||
			CASE WHEN since IS NULL THEN '' ELSE ', from ' || since || ' on' END,
		summary, advice, regexp_replace(shows, '^not confirmed', 'nothing'))
		FROM migrate.lint_rules()})), 'doc/lint.md has the table of these');
my %seen;
ok(!(grep { $seen{ $_->[0] }++ } @rules), 'each once');

# ------------------------------------------------------------------- lint ----

# A revision file with a script.
sub file_of
{
	my $script = shift;
	return $script if $script =~ /^-- migrate:up/;
	my $apart = $script =~ /CONCURRENTLY|^VACUUM/ && $script !~ /REFRESH/;
	return '-- migrate:up' . ($apart ? ' transaction:false' : '') .
	  "\n$script\n-- migrate:down\n-- Nothing.\n";
}

# The rules that lint finds in a script; nothing of it is left.
sub findings
{
	my $script = shift;
	$session->run('BEGIN',
		"SELECT migrate.load(" . lit(file_of($script)) . ", '0001_example.sql')");
	my @found = $session->rows(q{SELECT DISTINCT rule FROM migrate.lint() ORDER BY 1});
	$session->run('ROLLBACK');
	return map { $_ => 1 } @found;
}

for (@rules)
{
	my ($id, $severity, $since, $summary, $advice, $example, $other, $shows) = @$_;

	like($severity, qr/^(?:error|warning)$/, "$id: has a severity");
	ok(length $_ > 1, "$id: has its texts") for $summary, $advice, $example, $other, $shows;
	next if $version < $since;
	my %found = findings($example);
	ok($found{$id}, "$id: is found in its example") or diag join ' ', 'found:', %found;
	%found = findings($other);
	ok(!$found{$id}, "$id: is not found in the other") or diag join ' ', 'found:', %found;
}

# ----------------------------------------------------------------- server ----

# Runs a script in a transaction that is rolled back: what it shows.
sub observe
{
	my $script = shift;
	my %shown;

	$session->run('BEGIN');
	my $files = q{SELECT oid::regclass || ' ' || pg_relation_filenode(oid) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'm')};
	# what a transaction before it has counted may still be there
	my $counts = q{SELECT relname, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables};
	my %counted = map { split /\|/ } $session->rows($counts);
	my %before = map { $_ => 1 } $session->rows($files);
	my $result = $session->query($script);
	$shown{"error $_"} = 1 for $result->{err} =~ /ERROR:  (\w{5}):/g;
	$shown{"warning $_"} = 1 for $result->{err} =~ /WARNING:  (\w{5}):/g;
	$shown{"notice $_"} = 1 for $result->{err} =~ /NOTICE:  (\w{5}):/g;
	if ($result->{err} !~ /ERROR:  /)
	{
		for ($session->rows($counts))
		{
			my ($table, $n) = split /\|/;
			$shown{"scan $table" . ($_ > 1 ? " $_" : '')} = 1
			  for 1 .. $n - ($counted{$table} // 0);
		}
		$shown{"lock $_"} = 1 for $session->rows(
			q{SELECT mode || ' ' || relation::regclass FROM pg_locks
			WHERE pid = pg_backend_pid() AND locktype = 'relation'
			AND relation >= 16384 AND granted});
		$shown{"rewrite $_"} = 1
		  for map { /(\S+) / } grep { !$before{$_} } $session->rows($files);
	}
	$session->run('ROLLBACK');
	return \%shown;
}

# What a rehearsal of a script shows, in the same words; nothing of it is left.
sub rehearse
{
	my $script = shift;
	my %shown;

	$session->run('BEGIN',
		"SELECT migrate.load(" . lit(file_of($script)) . ", '0001_example.sql')");
	for ($session->rows(q{SELECT 'lock ' || replace(l, ' on public.', ' ')
			FROM migrate.rehearse(), unnest(locks) l
		UNION ALL SELECT 'rewrite ' || r FROM migrate.rehearse(), unnest(rewrites) r
		UNION ALL SELECT 'scan ' || s FROM migrate.rehearse(), unnest(scans) s
		UNION ALL SELECT 'error ' || substring(problem FROM '\y[0-9A-Z]{5}\y')
			FROM migrate.rehearse() WHERE problem IS NOT NULL}))
	{
		$shown{$_} = 1;
	}
	$session->run('ROLLBACK');
	return \%shown;
}

# Runs a script, while a writer is in its way, by itself: the locks that it takes.
sub observe_beside
{
	my $script = shift;
	my %shown;

	$writer->run('BEGIN', 'LOCK users, items, logs, logs_2024 IN ROW EXCLUSIVE MODE');
	$session->send($script);
	wait_until(sub {
			$session->answers || $observer->value(
				"SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $session->{pid} AND NOT granted)")
			  eq 't'
	}, 30);
	$shown{"lock $_"} = 1 for $observer->rows(
		qq{SELECT mode || ' ' || relation::regclass FROM pg_locks
		WHERE pid = $session->{pid} AND locktype = 'relation' AND relation >= 16384});
	$writer->run('COMMIT');
	my $result = $session->receive;
	$shown{"error $_"} = 1 for $result->{err} =~ /ERROR:  (\w{5}):/g;
	return \%shown;
}

# How a script ends behind a writer.
sub waits
{
	my $script = shift;
	$writer->run('BEGIN', 'LOCK users IN ROW EXCLUSIVE MODE');
	$session->run('BEGIN', q{SET LOCAL statement_timeout = '700ms'});
	my ($state) = $session->query($script)->{err} =~ /ERROR:  (\w{5}):/;
	$session->run('ROLLBACK');
	$writer->run('COMMIT');
	return $state // '';
}

my @later;
for (@rules)
{
	my ($id, undef, $since, undef, undef, $example, $other, $shows) = @$_;
	next if $shows =~ /^not confirmed: / || $version < $since;
	my @claims = split /, /, $shows;
	my $waits = @claims != grep { $_ ne 'waits' } @claims;
	@claims = grep { $_ ne 'waits' } @claims;

	if ($waits)
	{
		is(waits($example), '57014', "$id: the example waits");
		is(waits($other),   '55P03', "$id: the other does not");
	}
	if ($shows =~ /^(?:warning|notice) /)
	{
		my ($one, $two) = map { $session->query("$_\n")->{err} } $example, $other;
		my ($level, $state) = $shows =~ /^(\w+) (\w+)$/;
		like($one, qr/^\U$level\E:  $state:/m, "$id: the server says $shows");
		unlike($two, qr/^\U$level\E:  $state:/m, "$id: and not of the other");
		next;
	}
	my $shown = $example =~ /CONCURRENTLY/ ? observe_beside($example) : observe($example);
	ok($shown->{$_}, "$id: the server shows: $_")
	  or diag join ', ', 'shown:', sort keys %$shown
	  for @claims;
	if ($example !~ /CONCURRENTLY/ && !$waits)
	{
		my $rehearsed = rehearse($example);
		ok($rehearsed->{$_}, "$id: a rehearsal shows: $_")
		  or diag join ', ', 'shown:', sort keys %$rehearsed
		  for map { s/ \d$//r } @claims;
	}
	if ($other =~ /CONCURRENTLY/ && $other !~ /REFRESH/)
	{
		push @later, [ $id, $other, \@claims ];
		next;
	}
	next if $waits;
	$shown = observe($other);
	ok(scalar(grep { !$shown->{$_} } @claims), "$id: and not all of that of the other")
	  or diag join ', ', 'shown:', sort keys %$shown;
	ok(!(grep { /^error/ } keys %$shown), "$id: which is run") or diag join ', ', keys %$shown;
}

# Those that commit: what others use, before what drops it.
for (sort { ($b->[1] =~ /^REINDEX/) <=> ($a->[1] =~ /^REINDEX/) } @later)
{
	my ($id, $other, $claims) = @$_;
	my $shown = observe_beside($other);
	ok(!(grep { $shown->{$_} } @$claims), "$id: nothing of that of the other, concurrently")
	  or diag join ', ', 'shown:', sort keys %$shown;
	ok(!(grep { /^error/ } keys %$shown), "$id: which is run") or diag join ', ', keys %$shown;
}

$_->finish for $session, $writer, $observer;
drop_databases();
done_testing();
