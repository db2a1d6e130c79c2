#!/usr/bin/perl
#
# Autogenerate under conditions: ended or cancelled at many moments, beside another session,
# in a restored database, where nothing can be written, by roles with few rights, under
# search_paths of all sorts, and with names, comments and messages that are no easy ones.
# Nothing is left of what fails, and what is generated is never wrong.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use MigrateServer;
use MigrateTest;
use Test::More;
use Time::HiRes qw(sleep time);

alarm 900;
my $server = MigrateServer->create(
	settings => [ 'autovacuum = off', 'max_locks_per_transaction = 256' ])->use;
chomp(my $version = (run_psql('postgres', 'SHOW server_version_num'))[1]);

sub autogenerate { return q{SELECT migrate.revision('m', autogenerate => true} . "@_)" }

# Declares a model and generates: the result.
sub generate
{
	my ($session, $model, $arguments) = @_;
	$session->run('SELECT migrate.set_model(' . lit($model) . ')');
	return $session->query(autogenerate($arguments // ''));
}

# The same, run there, back and there again; says whether nothing differs then.
sub is_generated
{
	my ($session, $model, $name, $arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = generate($session, $model, $arguments);
	is($result->{state}, '00000', "$name: is generated") or return diag $result->{err};
	for my $run (q{upgrade()}, q{downgrade('-1')}, q{upgrade()})
	{
		my $done = $session->query("SELECT migrate.$run");
		is($done->{state}, '00000', "    $run") or diag $done->{err};
	}
	my @left = $session->rows(q{SELECT concat_ws(' ', action, object_type, object_identity, detail)
		FROM migrate.compare()});
	is("@left", '', '    nothing differs');
	return $result;
}

# All that the catalogs and the tables of migrate say.
sub catalogs
{
	my $session = shift;
	my @tables = $session->rows(q{SELECT c.oid::regclass FROM pg_class c
		WHERE c.relkind = 'r' AND (c.relnamespace = 'migrate'::regnamespace
			OR c.relnamespace = 'pg_catalog'::regnamespace
				AND c.relname !~ '^pg_(statistic|subscription_rel|largeobject)')
		ORDER BY 1});
	return join "\n", map {
		"$_ " . $session->value(
			"SELECT md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM $_ t")
	} @tables;
}

sub locks
{
	return $_[0]->value(q{SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid()
		AND (locktype = 'advisory' OR relation >= 16384)});
}

# ------------------------------------------------------ ended, cancelled ----

{
	my $database = create_database('mig_conditions_ended');
	my $model = join ";\n", map { <<"SQL" } 1 .. 40;
CREATE TABLE t$_ (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	a text CHECK (a IN ('x', 'y')));
CREATE INDEX ON t$_ (a); CREATE VIEW v$_ AS SELECT id, a FROM t$_ WHERE a <> 'x'
SQL
	my $look = connect_to($database);
	$look->run(map { "CREATE TABLE old$_ (id int PRIMARY KEY, a varchar CHECK (a IN ('x')))" }
		  1 .. 20);
	$look->run('CREATE PUBLICATION all_tables FOR ALL TABLES',
		'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC',
		'SELECT migrate.set_model(' . lit($model) . ')');
	my $takes;
	for (1 .. 2)
	{
		my $begin = time;
		connect_to($database)->run('BEGIN', autogenerate(), 'ROLLBACK');
		$takes = time - $begin;
	}
	my $before = catalogs($look);
	my %ends = (
		cancel    => sub { $look->run("SELECT pg_cancel_backend($_[0])") },
		terminate => sub { $look->run("SELECT pg_terminate_backend($_[0])") },
		KILL      => sub { kill KILL => $_[0] });
	my %state = (cancel => '57014', terminate => '57P01|DEAD!', KILL => 'DEAD!');
	for my $how (sort keys %ends)
	{
		my $moments = $how eq 'KILL' ? 5 : 8;
		my $met = 0;
		for my $moment (1 .. $moments)
		{
			my $session = connect_to($database);
			$session->send(autogenerate());
			sleep $takes * ($moment - 0.5) / $moments;
			$ends{$how}->($session->{pid});
			my $result = $session->receive;
			$met++ if $result->{state} =~ /^(?:$state{$how})$/;
			if ($how eq 'KILL')
			{
				ok(wait_until(sub { !(run_psql($database, 'SELECT 1'))[0] }, 60),
					'the server is there again');
				$look = connect_to($database);
			}
			ok(wait_until(sub { !locks($look) }), "$how at $moment of $moments: no lock is left");
			if ($result->{state} eq '00000')
			{
				$look->run(q{SELECT migrate.drop(revision) FROM migrate.revisions});
				$before = catalogs($look);
				# it takes less than when it was measured
				$takes *= 0.7;
			}
			is(catalogs($look), $before, '    nor anything else');
			# the session is still usable where it is still there
			is($session->query('SELECT count(*) FROM migrate.compare()')->{state}, '00000',
				'    the session can compare')
			  if $how eq 'cancel' && $moment % 4 == 0;
		}
		cmp_ok($met, '>', $moments / 4, "$how: it was met while it ran");
	}
	is($look->query(autogenerate())->{state}, '00000', 'afterwards it is generated');
	is($look->query('SELECT migrate.upgrade()')->{state}, '00000', '    and runs');
}

# ------------------------------------------------------ beside another one ----

for my $end ('COMMIT', 'ROLLBACK')
{
	for my $upgrade (0, 1)
	{
		my $database = create_database('mig_conditions_two');
		my ($one, $two) = map { connect_to($database, messages => 'notice') } 1, 2;
		$one->run(q{SELECT migrate.set_model('CREATE TABLE t (id int)')}, 'BEGIN', autogenerate());
		$one->run('SELECT migrate.upgrade()') if $upgrade;
		$two->send(autogenerate());
		sleep 0.5;
		ok(!$two->answers, "$end, upgrade $upgrade: the second session waits");
		$one->run($end);
		my $result = $two->receive;
		if ($end eq 'ROLLBACK')
		{
			is($result->{state}, '00000', '    and generates what is not there')
			  or diag $result->{err};
			is($two->query('SELECT migrate.upgrade()')->{state}, '00000', '    which runs');
		}
		elsif ($upgrade)
		{
			is("$result->{state}$result->{out}", "00000\n", '    and there is nothing to do');
			like($result->{err}, qr/no changes in the schema detected/, '    which it says');
		}
		else
		{
			is("$result->{state} $result->{message}", 'MG004 target database is not up to date',
				'    and the revision is pending');
		}
		is($two->value(q{SELECT count(*) FROM migrate.revisions}), 1, '    there is one revision');
	}
}
{
	my $database = create_database('mig_conditions_two');
	my ($one, $two) = map { connect_to($database) } 1, 2;
	$one->run(q{SELECT migrate.set_model('CREATE TABLE t (id int)')}, 'BEGIN', autogenerate());
	$two->run(q{SET migrate.run_lock_timeout = '200ms'});
	is($two->query(autogenerate())->{state}, 'MG012', 'the second session does not wait for ever');
	$two->run('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM migrate.revisions');
	$one->run('SELECT migrate.upgrade()', 'COMMIT');
	my $result = $two->query(autogenerate());
	like($result->{state}, qr/^(?:40001|MG004)$/, '    nor does it work on an old snapshot')
	  or diag $result->{out}, $result->{err};
	$two->run('ROLLBACK');
	# DDL of another session meanwhile
	$one->run('BEGIN', 'ALTER TABLE t ADD COLUMN meanwhile int');
	$two->send(autogenerate());
	sleep 0.5;
	$one->run('COMMIT');
	$result = $two->receive;
	if ($result->{out} eq "\n")
	{
		$result = $two->query(autogenerate());
	}
	is($result->{state}, '00000', 'after DDL of another session') or diag $result->{err};
	like($two->query(q{SELECT upgrade_sql FROM migrate.revisions WHERE revision = }
			. lit($result->{rows}[0]))->{out}, qr/DROP COLUMN meanwhile/, '    it is seen');
}

# ------------------------------------------------------------- restored ----

{
	my $database = create_database('mig_conditions_dumped');
	my $session = connect_to($database);
	my $model = <<'SQL';
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE TABLE t (id int PRIMARY KEY, s varchar CHECK (s IN ('a', 'b')), m mood DEFAULT 'b');
CREATE VIEW v AS SELECT id, s FROM t WHERE s IN ('a', 'c');
CREATE INDEX t_s ON t (s) WHERE s IN ('a', 'b')
SQL
	is_generated($session, $model, 'a database to dump');
	$session->run(q{INSERT INTO t VALUES (1, 'a', 'a')});
	my $dir = scratch_dir();
	for my $format ('plain', 'custom')
	{
		my $restored = create_database('mig_conditions_restored', plain => 1);
		my ($status, undef, $err) =
		  run_program(tool('pg_dump'), '-F', $format, '-f', "$dir/$format", $database);
		is($status, 0, "pg_dump, $format") or diag $err;
		($status, undef, $err) = $format eq 'plain' ? run_psql($restored, '', '-f', "$dir/plain")
		  : run_program(tool('pg_restore'), '-d', $restored, "$dir/custom");
		is($status, 0, '    is restored') or diag $err;
		my $there = connect_to($restored, messages => 'notice');
		my $result = $there->query(autogenerate());
		is("$result->{state}$result->{out}", "00000\n", '    nothing differs there')
		  or diag $there->rows('SELECT upgrade_sql FROM migrate.diff_sql()');
		is_generated($there, "$model; ALTER TABLE t ADD COLUMN n int NOT NULL DEFAULT 3",
			'    a change');
		is($there->value('SELECT n FROM t'), 3, '    the row is there');
	}
}

# ---------------------------------------------- where nothing can be written ----

{
	my $database = create_database('mig_conditions_read');
	my $session = connect_to($database);
	$session->run(q{SELECT migrate.set_model('CREATE TABLE t (id int)')});
	for my $call (autogenerate(), 'SELECT migrate.diff_sql()', q{SELECT migrate.capture('x')})
	{
		$session->run('BEGIN READ ONLY');
		is($session->query($call)->{state}, '25006', "read-only: $call");
		$session->run('ROLLBACK');
	}
	my $standby = MigrateServer->create(standby_of => $server)->use;
	my $there = connect_to($database);
	for my $call (autogenerate(), 'SELECT migrate.diff_sql()', q{SELECT migrate.capture('x')})
	{
		my $result = $there->query($call);
		is($result->{state}, '25006', "standby: $call") or diag $result->{err};
	}
	$there->finish;
	$standby->stop;
	$server->use;
}

# ---------------------------------------------------------------- few rights ----

{
	run_psql('postgres', "CREATE ROLE mig_conditions_author LOGIN");
	my $database = create_database('mig_conditions_rights');
	my $owner = connect_to($database);
	$owner->run(q{SELECT migrate.set_model('CREATE TABLE t (id int)')},
		'GRANT USAGE ON SCHEMA migrate TO mig_conditions_author');
	my $author = connect_to($database, user => 'mig_conditions_author');
	my $result = $author->query(autogenerate());
	is("$result->{state} $result->{message}", '42501 permission denied for function revision',
		'a role that may not call it');
	$owner->run('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA migrate TO mig_conditions_author');
	# as many times as it takes, what the hint says is done
	my @hints;
	for my $step (1 .. 3)
	{
		$result = $author->query(autogenerate());
		last if $result->{state} eq '00000';
		is($result->{state}, '42501', "refused, $step");
		my ($hint) = $result->{err} =~ /^HINT:  (.*;)$/m;
		ok($hint, '    with a hint that is a statement') or diag $result->{err};
		is($owner->value('SELECT count(*) FROM migrate.revisions'), 0, '    nothing is stored');
		push @hints, $hint;
		$owner->run($hint) if $hint;
	}
	is($result->{state}, '00000', '    the hints help') or diag $result->{err};
	is_deeply([ sort @hints ],
		[
			'ALTER SCHEMA public OWNER TO mig_conditions_author;',
			'GRANT CREATE ON DATABASE mig_conditions_rights TO mig_conditions_author;'
		],
		'    they are two');
	is($author->query('SELECT migrate.upgrade()')->{state}, '00000', '    and it runs');
	$_->finish for $author, $owner;
}

# --------------------------------------------------------------- search_path ----

my $shadows = <<'SQL';
CREATE SCHEMA app;
CREATE DOMAIN app.text AS pg_catalog.int4;
CREATE TYPE app.int4 AS ENUM ('x');
CREATE TYPE app.mood AS ENUM ('y');
CREATE FUNCTION app.never(pg_catalog.text, pg_catalog.text) RETURNS bool LANGUAGE sql IMMUTABLE
	AS 'SELECT false';
CREATE FUNCTION app.lower(pg_catalog.text) RETURNS pg_catalog.text LANGUAGE sql IMMUTABLE
	AS 'SELECT NULL::pg_catalog.text';
CREATE OPERATOR app.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text,
	FUNCTION = app.never);
CREATE OPERATOR app.<> (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text,
	FUNCTION = app.never);
SQL
my $qualified = <<'SQL';
CREATE TABLE public.t (id pg_catalog.int4 PRIMARY KEY,
	a pg_catalog.text DEFAULT 'q'::pg_catalog.text,
	b app.text, m app.mood DEFAULT 'y',
	CHECK (a OPERATOR(pg_catalog.=) 'q'), CHECK (a OPERATOR(app.<>) 'r'));
CREATE INDEX t_a ON public.t (pg_catalog.lower(a), app.lower(a));
CREATE VIEW public.v AS SELECT id, a FROM public.t WHERE a OPERATOR(pg_catalog.<>) 'z';
CREATE FUNCTION public.f(pg_catalog.text, app.text) RETURNS pg_catalog.text LANGUAGE sql
	AS 'SELECT $1';
SQL
for my $path (
	q{''}, q{'"$user"'}, 'app', 'app, pg_catalog', 'app, public, pg_catalog', 'public, app',
	'pg_temp, app, pg_catalog', '"no ""schema", app, pg_catalog', 'pg_catalog')
{
	for my $managed ('public', 'public, app')
	{
		my $session = connect_to(create_database('mig_conditions_path'));
		$session->run($shadows, "SELECT migrate.configure('managed_schemas', '$managed')",
			"SET search_path = $path");
		my $model = $managed eq 'public' ? $qualified : "$shadows $qualified";
		is_generated($session, $model, "search_path $path, managed $managed");
		is_generated($session,
			$model =~ s/b app\.text/b app.text, n pg_catalog.text, k app.int4/r,
			'    and a change');
		is(connect_to('mig_conditions_path')->value(q{SELECT string_agg(
				concat_ws(' ', attname, atttypid::regtype), ', ' ORDER BY attnum)
				FROM pg_attribute WHERE attrelid = 'public.t'::regclass AND attnum > 0
					AND NOT attisdropped}),
			'id integer, a text, b app.text, m app.mood, n text, k app.int4',
			'    with the types that the model has');
		# no revision has made what is in the other schema
		next if $managed ne 'public';
		my $shown = $session->query(q{SELECT migrate.derive_downgrade('head')});
		is($shown->{state}, '00000', '    its downgrade is derived') or diag $shown->{err};
	}
}

# ------------------------------------------------------- hostile names ----

{
	my @names = (
		q{a'b}, q{we"ird}, q{; DROP TABLE x; --}, "new\nline", q{$$}, q{$a$ x}, q{/* open}, q{*/},
		q{back\\slash}, q{%s %n}, q{-- migrate:down}, "-- \n-- migrate:up", q{SELECT}, q{ },
		"tab\t",
		q{Größe}, 'n' x 63, q{a.b}, q{a->b}, q{:name}, q{{x}});
	my $session = connect_to(create_database('mig_conditions_hostile'));
	my $model = '';
	my $n = 0;
	for my $name (@names)
	{
		my $quoted = '"' . $name =~ s/"/""/gr . '"';
		my ($comment) = lit("$name\n;\n-- migrate:down\n\\.\n$name");
		my $short = '"' . substr($name, 0, 50) =~ s/"/""/gr . ++$n . '"';
		$model .= <<"SQL";
CREATE TABLE $quoted ($quoted int DEFAULT length($comment),
	CONSTRAINT $quoted CHECK ($quoted > 0));
COMMENT ON TABLE $quoted IS $comment;
COMMENT ON COLUMN $quoted.$quoted IS $comment;
COMMENT ON CONSTRAINT $quoted ON $quoted IS $comment;
CREATE INDEX $short ON $quoted ($quoted);
CREATE FUNCTION $quoted($quoted int) RETURNS text LANGUAGE sql AS $comment;
SQL
	}
	$model = "SET check_function_bodies = off;\n$model";
	is_generated($session, $model, 'hostile names and comments');
	is_generated($session, $model =~ s/ int DEFAULT/ bigint DEFAULT/gr, '    which change');
	# as files: exported, loaded in another database, run there
	my $copy = connect_to(create_database('mig_conditions_copy'));
	my $dir = scratch_dir();
	chmod 0755, "$dir";
	for my $id ($session->rows('SELECT revision FROM migrate.revisions ORDER BY created_at'))
	{
		my $hex = $session->value(
			"SELECT encode(convert_to(migrate.export('$id'), 'UTF8'), 'hex')");
		spew("$dir/$id.sql", pack 'H*', $hex);
	}
	is($copy->query('SELECT migrate.load_directory(' . lit("$dir") . ')')->{state}, '00000',
		'    its files are loaded');
	my $run = $copy->query('SELECT migrate.upgrade()');
	is($run->{state}, '00000', '    and run') or diag $run->{err};
	is(schema_difference('mig_conditions_hostile', 'mig_conditions_copy'), '',
		'    and make the same');

	# names in hazards, which are comments
	for my $name (@names, "\n; CREATE TABLE evil ();", "\r; CREATE TABLE evil ();")
	{
		my $quoted = '"' . $name =~ s/"/""/gr . '"';
		my $one = connect_to(create_database('mig_conditions_hazard'));
		$one->run("CREATE TABLE t (old int); CREATE TABLE $quoted (a int)");
		is_generated($one, "CREATE TABLE t ($quoted int); CREATE TABLE u (a int)",
			'it may be renamed: ' . $name =~ s/[\r\n]/|/gr);
		is($one->value(q{SELECT count(*) FROM pg_class WHERE relname = 'evil'}), 0,
			'    nothing else is run');
	}

	# names of models
	$session = connect_to(create_database('mig_conditions_models'));
	for my $name (@names, q{..}, q{a/b})
	{
		my $at = lit($name);
		$session->run('SELECT migrate.drop_model(name) FROM migrate.models',
			"SELECT migrate.set_model('CREATE TABLE y ()', $at)");
		my $made = $session->query('SELECT upgrade_sql FROM migrate.diff_sql()');
		is("$made->{state} $made->{out}" =~ s/\s*\z//r, '00000 CREATE TABLE public.y ();',
			"a model called $name" =~ s/\n/ /r) or diag $made->{err};
		$session->run("SELECT migrate.set_model('SELECT 1 / 0', $at)");
		my $failed = $session->query(autogenerate());
		is($failed->{state}, '22012', '    and with an error');
		like($failed->{err}, qr/model "\Q$name\E"/, '    which names it');
	}
	$session->run('SELECT migrate.drop_model(name) FROM migrate.models');
}

# ---------------------------------------------------------------- messages ----

{
	my $session = connect_to(create_database('mig_conditions_message'));
	my ($n, $model) = (0, '');
	for my $message (
		"one\ntwo\n\nthree", "crlf\r\ntwo", "  blanks  \n", "it's \"quoted\" \$x\$ \\", "/* x\n*/",
		"-- x\n--", '$HOME `x`', "x\n-- migrate:up\n-- migrate:down")
	{
		$model .= 'CREATE TABLE t' . ++$n . ' ();';
		$session->run('SELECT migrate.set_model(' . lit($model) . ')');
		my $result = $session->query('SELECT migrate.revision(' . lit($message)
			  . ", autogenerate => true, rev_id => '$n')");
		is($result->{state}, '00000', 'message ' . $message =~ s/[\r\n]/|/gr)
		  or diag $result->{err};
		my $text = $session->query("SELECT migrate.export('$n')")->{out};
		like($text, qr/^-- migrate:up\nCREATE TABLE public\.t$n /m, '    the file has the script');
		my $stored = $session->value("SELECT encode(convert_to(message, 'UTF8'), 'hex')
			FROM migrate.revisions WHERE revision = '$n'");
		(my $wanted = $message) =~ s/\r\n/\n/g;
		$wanted =~ s/[ \t]+$//mg;
		$wanted =~ s/\A\s+|\s+\z//g;
		is(pack('H*', $stored), $wanted, '    it is stored');
		is($session->query('SELECT migrate.upgrade()')->{state}, '00000', '    it runs');
	}
	my $before = $session->value('SELECT count(*) FROM migrate.revisions');
	for my $message ("x\nRevision ID: y", '', " \n ")
	{
		$session->run(q{SELECT migrate.set_model('CREATE TABLE other ()')});
		my $result = $session->query('SELECT migrate.revision(' . lit($message)
			  . ', autogenerate => true)');
		is($result->{state}, '22023', 'refused: ' . $message =~ s/\n/|/gr) or diag $result->{out};
	}
	is($session->value('SELECT count(*) FROM migrate.revisions'), $before, '    none is stored');
}

# ------------------------------------------------------------ nothing there ----

{
	my $session = connect_to(create_database('mig_conditions_empty'), messages => 'notice');
	for my $model ("-- a comment", "/* one\n*/\n-- more\n", ' ', ';')
	{
		my $result = generate($session, $model);
		is("$result->{state}$result->{out}", "00000\n", "nothing, and a model that is '$model'"
			  =~ s/\n/|/gr) or diag $result->{err};
		like($result->{err}, qr/no changes in the schema detected/, '    says so');
	}
	$session->run('CREATE TABLE t (id int); CREATE SCHEMA void');
	is_generated($session, '-- nothing', 'a model with comments only drops');
	is($session->value(q{SELECT count(*) FROM pg_class WHERE relname = 't'}), 0, '    the table');
	$session->run(q{SELECT migrate.configure('managed_schemas', 'void')});
	my $result = generate($session, '-- nothing');
	is($result->{state}, '00000', 'a managed schema without objects') or diag $result->{err};
	$session->run('SELECT migrate.upgrade()') if $result->{out} ne "\n";
	is_generated($session, 'CREATE SCHEMA void; CREATE TABLE void.t (id int)', '    gets one');
	is_generated($session, 'CREATE SCHEMA void', '    and loses it');
	is($session->value(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'void'}), 1,
		'    and is there still');
}

done_testing();
