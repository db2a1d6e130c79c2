# Judges of migrate.compare() and migrate.schema_sql() that are not migrate: pg_dump,
# and the server that loads what they say.
#
#	my $judge = MigrateJudge->new('mig_x');
#	my @wrong = $judge->own($ddl);		# of a schema with itself
#	my @wrong = $judge->pair($from, $to);
#
# Two databases are used again and again: what a schema leaves in them is dropped.  The
# second has no migrate.
package MigrateJudge;

use strict;
use warnings;

use MigrateTest;

# What one schema can leave in a database.
my $reset = <<'SQL';
SET client_min_messages = error;
DO $$
DECLARE
	drops text;
BEGIN
	FOR drops IN
		SELECT format('DROP PUBLICATION %I', pubname) FROM pg_publication
		UNION ALL SELECT format('DROP EVENT TRIGGER %I', evtname) FROM pg_event_trigger
		UNION ALL SELECT format('DROP EXTENSION IF EXISTS %I CASCADE', extname)
			FROM pg_extension WHERE extname NOT IN ('plpgsql', 'migrate')
		UNION ALL SELECT format('DROP FOREIGN DATA WRAPPER IF EXISTS %I CASCADE', fdwname)
			FROM pg_foreign_data_wrapper
		UNION ALL SELECT format('DROP LANGUAGE IF EXISTS %I CASCADE', lanname)
			FROM pg_language WHERE oid >= 16384 AND lanname <> 'plpgsql'
		UNION ALL SELECT format('DROP ACCESS METHOD IF EXISTS %I CASCADE', amname)
			FROM pg_am WHERE oid >= 16384
		UNION ALL SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', nspname)
			FROM pg_namespace WHERE nspname !~ '^pg_'
			AND nspname NOT IN ('information_schema', 'migrate')
		UNION ALL SELECT format(
			'ALTER DEFAULT PRIVILEGES FOR ROLE %1$I REVOKE ALL ON %2$s FROM %3$s;'
			' ALTER DEFAULT PRIVILEGES FOR ROLE %1$I GRANT ALL ON %2$s TO %1$I%4$s', r, t,
			concat_ws(', ', 'PUBLIC', (SELECT string_agg(i.grantee::regrole::text, ', ')
				FROM aclexplode(x.defaclacl) i WHERE i.grantee <> 0)),
			CASE WHEN t IN ('FUNCTIONS', 'TYPES') THEN ', PUBLIC' END)
			FROM pg_default_acl x, pg_get_userbyid(x.defaclrole) r, LATERAL (SELECT
				CASE x.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
				WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END AS t) t
			WHERE x.defaclnamespace = 0
	LOOP
		EXECUTE drops;
	END LOOP;
END
$$;
SELECT lo_unlink(oid) FROM pg_largeobject_metadata;
CREATE SCHEMA public;
COMMENT ON SCHEMA public IS 'standard public schema';
SQL

my $schemas = q{SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_'}
  . q{ AND nspname NOT IN ('information_schema', 'migrate')};

# Databases NAME_a and NAME_b.
sub new
{
	my ($class, $name) = @_;
	my $self = bless { name => $name, dir => scratch_dir() }, $class;
	$self->{a} = create_database("${name}_a");
	$self->{b} = create_database("${name}_b", plain => 1);
	chomp(my $number = (run_psql('postgres', 'SHOW server_version_num'))[1]);
	$self->{version} = int $number / 10000;
	return $self;
}

# Runs a script: (status, output, errors).
sub script
{
	my ($self, $database, $sql) = @_;
	return run_psql($self->{$database}, '', '-f', spew("$self->{dir}/$database.sql", $sql));
}

# Empties a database, and loads a schema into it.  What went wrong, or ''.
sub load
{
	my ($self, $database, $sql) = @_;
	my $owner = $self->{version} >= 15 ? "ALTER SCHEMA public OWNER TO pg_database_owner;\n" : '';
	my ($status, undef, $err) = $self->script($database, $reset . $owner);
	die "$self->{$database}: $err" if $status;
	($status, undef, $err) = $self->script($database, $sql);
	return $status ? $err : '';
}

# The dump of a database, without what is not compared.
sub dump
{
	my ($self, $database) = @_;
	my $dump = schema_dump($self->{$database}, $self->{privileges} ? () : '--no-privileges');
	# the order of storage parameters means nothing
	$dump =~ s/((?:^WITH|\bSET) \()([^()]*)(\);?)$/$1 . join(', ', sort split m{, }, $2) . $3/gme;
	# nor that of columns which the server prints in the order of the table's
	my $sorted = sub { join ', ', sort split /, /, $_[0] };
	$dump =~ s/^(CREATE STATISTICS [^\n]* ON )([^()\n]*)( FROM .*)$/$1 . $sorted->($2) . $3/gme;
	$dump =~ s/^(ALTER PUBLICATION [^(\n]*\()([^()\n]*)(\).*)$/$1 . $sorted->($2) . $3/gme;
	return $dump;
}

# Has migrate compare the schemas of both databases.
sub manage
{
	my $self = shift;
	my %names = map { $_ => 1 } map { split /\n/, (run_psql($self->{$_}, $schemas))[1] } qw(a b);
	my ($status, undef, $err) = run_psql($self->{a},
		"SELECT migrate.configure('managed_schemas', " . lit(join ', ', sort keys %names) . ')');
	die $err if $status;
	return;
}

# compare() with a model: (error, differences), a line each.
sub compare
{
	my ($self, $model) = @_;
	my ($status, $out, $err) = $self->script('a',
		'SELECT migrate.set_model(' . lit($model) . ");\n"
		  . q{SELECT concat_ws(' ', action, object_type, object_identity, '(' || detail || ')')}
		  . " FROM migrate.compare();\n");
	$out =~ s/^\n+//;
	return $status ? ($err, '') : ('', $out);
}

# Compares what is loaded with a model that says the same.  What is wrong.
sub same
{
	my ($self, $what, $model) = @_;
	my ($err, $out) = $self->compare($model);
	return "$what fails: $err" if $err;
	return $out eq '' ? () : "$what differs: $out";
}

# Loads a schema, and compares it with its own text and dump, and with what its own
# script makes.  What is wrong.
sub own
{
	my ($self, $sql) = @_;
	my $err = $self->load('a', $sql);
	return "does not load: $err" if $err;
	$self->load('b', '');
	$self->manage;
	return ($self->same('own text', $sql), $self->own_dump, $self->own_script);
}

# The comparison with the own dump.
sub own_dump
{
	my $self = shift;
	return $self->same('own dump', $self->dump('a'));
}

# What the script makes in an empty database, compared with the original by pg_dump, as it
# is or loaded once again.
sub own_script
{
	my $self = shift;
	my ($status, $script, $err) = run_psql($self->{a}, 'SELECT migrate.schema_sql()');
	return "schema_sql fails: $err" if $status;
	my @wrong = $self->same('own script', $script);
	$err = $self->load('b', $script);
	return (@wrong, "script fails: $err") if $err;
	my ($dump, $made) = map { $self->dump($_) } qw(a b);
	return @wrong if $dump eq $made;
	$err = $self->load('b', $dump);
	return (@wrong, "dump fails: $err") if $err;
	my $again = $self->dump('b');
	return @wrong if $again eq $made;
	return (@wrong, 'script makes something else: ' . $self->difference($again, $made));
}

# Compares a schema with another as its model: compare() is empty exactly when the dumps
# are the same.  Both are loaded.  What is wrong, of each side with itself too.
sub pair
{
	my ($self, $from, $to) = @_;
	my $err = $self->load('a', $from) || $self->load('b', $to);
	return "does not load: $err" if $err;
	$self->manage;
	my ($dump, $other) = map { $self->dump($_) } qw(a b);
	my ($failed, $out) = $self->compare($to);
	my @wrong;
	if ($failed)
	{
		push @wrong, "model fails: $failed";
	}
	elsif ($out eq '' && $dump ne $other)
	{
		my ($again, $other_again) = map { $self->load('b', $_); $self->dump('b') } $dump, $other;
		push @wrong, 'missed: ' . $self->difference($again, $other_again)
		  if _unordered($again) ne _unordered($other_again);
	}
	elsif ($out ne '' && $dump eq $other)
	{
		push @wrong, "false: $out";
	}
	return ($self->same('own text', $from), $self->same('own dump', $dump), @wrong);
}

# What two dumps differ in, as they are or loaded once again; '' when in nothing.
sub dump_difference
{
	my ($self, $one, $other) = @_;
	return '' if _unordered($one) eq _unordered($other);
	my @again;
	for my $dump ($one, $other)
	{
		my $err = $self->load('b', $dump);
		return "dump fails: $err" if $err;
		push @again, _unordered($self->dump('b'));
	}
	return $again[0] eq $again[1] ? '' : $self->difference(@again);
}

# Forgets all revisions, and whether privileges count: from now on they do or do not.
sub begin
{
	my ($self, $privileges) = @_;
	$self->{privileges} = $privileges;
	my ($status, undef, $err) = $self->script('a', join ";\n",
		map { "DELETE FROM migrate.$_" } qw(steps applied versions revisions models));
	die $err if $status;
	run_psql($self->{a}, "SELECT migrate.configure('compare_privileges', "
		  . ($privileges ? "'on')" : 'NULL)'));
	return;
}

# Generates a revision that makes of a schema another, which is the model, runs it up and
# down, and has pg_dump judge both.  A query "keep" prints the same before and after it; rows
# are those of a script "seed".  What is wrong.
sub generated
{
	my ($self, $from, $to, $seed, $keep) = @_;
	my $err = $self->load('a', $from) || $self->load('b', $to);
	return "does not load: $err" if $err;
	$self->manage;
	my ($before, $after) = map { $self->dump($_) } qw(a b);
	(my $status, undef, $err) = $self->script('a', $seed // '');
	return "seed does not load: $err" if $status;
	my $kept = $self->kept($keep);

	($status, my $out, $err) = $self->script('a', 'SELECT migrate.set_model(' . lit($to) . ");\n"
		  . q{SELECT migrate.revision('x', autogenerate => true, rev_id => 'x')});
	return "revision refuses: $err" if $status && $err =~ /ERROR:  (?:cannot generate|0A000)/;
	return "revision fails: $err" if $status;
	($status, undef, $err) = run_psql($self->{a}, 'SELECT migrate.upgrade()');
	return "upgrade fails: $err" if $status;
	my $differs = $self->dump_difference($after, $self->dump('a'));
	return "upgrade makes something else: $differs" if $differs;
	($err, my $rest) = $self->compare($to);
	return "compare fails: $err" if $err;
	return "compare differs: $rest" if $rest;
	my $left = $self->kept($keep);
	return "rows differ: $kept became $left" if $left ne $kept;
	# nothing to do, nothing to undo
	return () if $out !~ /^x$/m;
	($status, undef, $err) = run_psql($self->{a}, q{SELECT migrate.downgrade('-1')});
	return "downgrade fails: $err" if $status;
	$differs = $self->dump_difference($before, $self->dump('a'));
	return $differs ? "downgrade makes something else: $differs" : ();
}

# What a query prints, or its error; '' without one.
sub kept
{
	my ($self, $keep) = @_;
	return '' unless $keep;
	my (undef, $out, $err) = $self->script('a', $keep);
	return "$out$err";
}

# A dump with the order of columns, and of what pg_dump orders by it, taken away.
sub _unordered
{
	return join "\n", sort map { s/^\s+|,?\s*$//gr } grep { /\S/ && !/^--/ } split /\n/, $_[0];
}

# The first lines in which two dumps differ.
sub difference
{
	my ($self, $one, $other) = @_;
	my @files = (spew("$self->{dir}/one", $one), spew("$self->{dir}/other", $other));
	my @lines = grep { /^[-+]/ && !/^(?:---|\+\+\+)/ }
	  split /\n/, (run_program('diff', '-U0', @files))[1];
	splice @lines, 8;
	return join "\n", @lines;
}

1;
