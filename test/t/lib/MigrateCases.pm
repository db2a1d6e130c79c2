# What the judges of test/tools have in common: cases of the shared data, judged by several
# processes, and a table of the results.
#
#	judge_all(cases => [...], prefix => 'mig_x', judge => sub {...}, result => sub {...},
#		expected => {...});
#
# A case is a hash with a group and a name.  "judge" gets a MigrateJudge and a case, and
# returns what is wrong with it; "result" names the result, from what is wrong.  "expected"
# has [result, why] for cases that are not exact.
package MigrateCases;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;
use MigrateJudge;
use MigrateTest;
use POSIX ();

our @EXPORT = qw(bytes judge_all pairs records select_cases);

use constant PROCESSES => 2;

my @results = (qw(exact differs refused error), 'no load');

sub data
{
	return $ENV{MIGRATE_SHARED_DATA} // die "MIGRATE_SHARED_DATA is not set\n";
}

# The lines of a file of JSON.
sub records
{
	return map { JSON::PP->new->utf8->decode($_) } grep { /\S/ } split /\n/,
	  slurp(data() . "/$_[0]");
}

# A text of the data as bytes; the data has some as lists.
sub bytes
{
	my $text = ref $_[0] ? join "\n", @{ $_[0] } : $_[0] // '';
	utf8::encode($text);
	return $text;
}

# The pairs of schemas, as cases.
sub pairs
{
	my @cases;
	for my $file (qw(pairs hard))
	{
		for my $pair (records("diff/$file.jsonl"))
		{
			my $setup = bytes($pair->{setup});
			my ($group) = $file eq 'hard' ? 'hard' : $pair->{name} =~ m{^([^/]+)};
			push @cases,
			  { group => $group, name => "$file/$pair->{name}", roles => $pair->{roles} // [],
				from => $setup . bytes($pair->{from}), to => $setup . bytes($pair->{to}),
				seed => bytes($pair->{seed}), keep => bytes($pair->{keep}),
				expect => $pair->{expect} // 'equal' };
		}
	}
	return @cases;
}

# Those that a pattern selects by their names, or "K/N": each Nth from the Kth, from 0.
sub select_cases
{
	my ($pattern, @cases) = @_;
	return @cases unless defined $pattern;
	return @cases[ grep { $_ % $2 == $1 } 0 .. $#cases ] if $pattern =~ m{^(\d+)/(\d+)$};
	return grep { $_->{name} =~ /$pattern/ } @cases;
}

# Prints what is wrong with a case, and why that is expected.
sub _explain
{
	my ($self, $case, @wrong) = @_;
	my $why = ($self->{expected}{ $case->{name} } // [])->[1];
	return unless @wrong || $why;
	print "$case->{name}: ", $self->{result}->(@wrong), $why ? " ($why)" : '', "\n",
	  map { '    ' . substr($_, 0, 600) . "\n" } @wrong;
	return;
}

# Judges every PROCESSESth case, and writes a line of JSON for each.
sub _work
{
	my ($self, $number, $out) = @_;
	my @cases = @{ $self->{cases} };
	my $name = "$self->{prefix}_$number";
	my $judge = MigrateJudge->new($name);
	for my $i (grep { $_ % PROCESSES == $number } 0 .. $#cases)
	{
		for my $role (@{ $cases[$i]{roles} })
		{
			run_psql('postgres', qq{CREATE ROLE "$role"});
		}
		my @wrong = eval { $self->{judge}->($judge, $cases[$i]) };
		if (my $died = $@)
		{
			@wrong = ("fails: $died");
			drop_databases();
			$judge = MigrateJudge->new($name);
		}
		s/[^\x20-\x7e]+/ | /g for @wrong;
		$self->_explain($cases[$i], @wrong);
		print {$out} JSON::PP->new->utf8->encode({ case => $i, wrong => \@wrong }), "\n";
	}
	drop_databases();
	close $out or die "$!\n";
	return;
}

# Judges all cases, and prints the table.  Whether all are as expected.
sub judge_all
{
	my $self = bless {@_};
	my @cases = @{ $self->{cases} };
	my @files = map { File::Temp->new } 1 .. PROCESSES;
	$| = 1;
	for my $number (0 .. PROCESSES - 1)
	{
		my $pid = fork // die "fork: $!\n";
		next if $pid;
		$self->_work($number, $files[$number]);
		POSIX::_exit(0);
	}
	my $failed = 0;
	while (wait != -1) { $failed++ if $? }

	my (%table, @surprises);
	my @records = map { JSON::PP->new->utf8->decode($_) }
	  map { split /\n/, slurp($_->filename) } @files;
	for my $record (@records)
	{
		my $case = $cases[ $record->{case} ];
		my $result = $self->{result}->(@{ $record->{wrong} });
		my $wanted = ($self->{expected}{ $case->{name} } // ['exact'])->[0];
		$table{ $case->{group} }{$result}++;
		$table{all}{$result}++;
		push @surprises, "$case->{name}: $result, not $wanted" if $result ne $wanted;
	}
	printf "\n%-12s" . ' %8s' x @results . "\n", 'group', @results;
	printf "%-12s" . ' %8d' x @results . "\n", $_, map { $_ // 0 } @{ $table{$_} }{@results}
	  for sort { ($a eq 'all') - ($b eq 'all') || $a cmp $b } keys %table;
	print "\n", map { "$_\n" } sort @surprises;
	printf "%d of %d judged, %d not as expected\n", scalar @records, scalar @cases,
	  scalar @surprises;
	return !$failed && !@surprises && @records == @cases;
}

1;
