/* migrate--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION migrate" to load this file. \quit

-- Nothing is created with OR REPLACE or IF NOT EXISTS: a schema or an object
-- of the same name that exists already is an error, and never adopted.
CREATE SCHEMA migrate;

-- ---------------------------------------------------------------------------
-- Tables
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.script_checksum(script pg_catalog.text, transactional pg_catalog.bool)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_script_checksum'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION migrate.script_checksum(pg_catalog.text, pg_catalog.bool) IS
'Return the SHA-256 checksum, in hexadecimal, of an upgrade script and its transaction mode.
Arguments: script; transactional.
Result: for a transactional script, the checksum of its text in UTF-8 with LF line ends and '
'without leading blank lines (those before and between its first comment lines); for a '
'non-transactional one, the checksum of the same text preceded by a line "transaction:false".';

CREATE TABLE migrate.revisions (
	revision pg_catalog.text NOT NULL,
	down_revisions pg_catalog.text[] NOT NULL DEFAULT '{}',
	depends_on pg_catalog.text[] NOT NULL DEFAULT '{}',
	branch_labels pg_catalog.text[] NOT NULL DEFAULT '{}',
	message pg_catalog.text NOT NULL,
	upgrade_sql pg_catalog.text NOT NULL DEFAULT '',
	downgrade_sql pg_catalog.text,
	upgrade_transactional pg_catalog.bool NOT NULL DEFAULT true,
	downgrade_transactional pg_catalog.bool NOT NULL DEFAULT true,
	checksum pg_catalog.text GENERATED ALWAYS AS
		(migrate.script_checksum(upgrade_sql, upgrade_transactional)) STORED,
	created_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
	created_by pg_catalog.text NOT NULL DEFAULT CURRENT_USER,
	modified_by pg_catalog.text NOT NULL DEFAULT CURRENT_USER,
	file_name pg_catalog.text,
	upgrade_line pg_catalog.int4,
	downgrade_line pg_catalog.int4,
	CONSTRAINT revisions_pkey PRIMARY KEY (revision)
);
CREATE INDEX revisions_labelled_idx ON migrate.revisions (revision)
WHERE branch_labels OPERATOR(pg_catalog.<>) '{}'::pg_catalog.text[];
COMMENT ON TABLE migrate.revisions IS
'Revisions, one row each. Only the functions of this schema write it.';
COMMENT ON COLUMN migrate.revisions.revision IS 'identifier, 1 to 255 bytes';
COMMENT ON COLUMN migrate.revisions.down_revisions IS
'parents: none for a base, several for a merge point';
COMMENT ON COLUMN migrate.revisions.depends_on IS
'revisions of other branches that must be applied first';
COMMENT ON COLUMN migrate.revisions.branch_labels IS
'names of the branch that starts at this revision';
COMMENT ON COLUMN migrate.revisions.downgrade_sql IS
'downgrade script; NULL if the revision cannot be downgraded';
COMMENT ON COLUMN migrate.revisions.checksum IS
'migrate.script_checksum(upgrade_sql, upgrade_transactional)';
COMMENT ON COLUMN migrate.revisions.created_at IS 'Create Date of the revision file, if it has one';
COMMENT ON COLUMN migrate.revisions.file_name IS 'file that the revision was loaded from, if known';
COMMENT ON COLUMN migrate.revisions.upgrade_line IS
'line of that file where the upgrade script begins; NULL if it was edited since';
COMMENT ON COLUMN migrate.revisions.downgrade_line IS 'likewise, the downgrade script';

CREATE TABLE migrate.versions (
	revision pg_catalog.text NOT NULL,
	CONSTRAINT versions_pkey PRIMARY KEY (revision)
);
COMMENT ON TABLE migrate.versions IS
'Version rows: the current heads of this database, one row each. Always the maximal elements of '
'migrate.applied.';

CREATE TABLE migrate.applied (
	revision pg_catalog.text NOT NULL,
	checksum pg_catalog.text NOT NULL,
	applied_at pg_catalog.timestamptz NOT NULL,
	how pg_catalog.text NOT NULL,
	CONSTRAINT applied_pkey PRIMARY KEY (revision),
	CONSTRAINT applied_how_check CHECK (how OPERATOR(pg_catalog.=) ANY
		(ARRAY['upgrade'::pg_catalog.text, 'stamp'::pg_catalog.text, 'capture'::pg_catalog.text]))
);
COMMENT ON TABLE migrate.applied IS
'Applied revisions: those in migrate.versions and all their ancestors, dependencies included.';
COMMENT ON COLUMN migrate.applied.checksum IS
'checksum of the revision when it was applied or stamped';

CREATE TABLE migrate.partial (
	revision pg_catalog.text NOT NULL,
	direction pg_catalog.text NOT NULL,
	statements pg_catalog.int4 NOT NULL DEFAULT 0,
	statements_done pg_catalog.int4 NOT NULL,
	digest pg_catalog.text NOT NULL,
	in_doubt pg_catalog.bool NOT NULL DEFAULT false,
	started_at pg_catalog.timestamptz NOT NULL,
	statement_started_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
	intent pg_catalog.text,
	intent_statement pg_catalog.text,
	intent_object pg_catalog.oid NOT NULL DEFAULT 0::pg_catalog.oid,
	intent_relations pg_catalog.oid[] NOT NULL DEFAULT '{}',
	intent_indexes pg_catalog.oid[] NOT NULL DEFAULT '{}',
	intent_database pg_catalog.text,
	settings pg_catalog.text[] NOT NULL DEFAULT '{}',
	CONSTRAINT partial_pkey PRIMARY KEY (revision),
	CONSTRAINT partial_direction_check CHECK (direction OPERATOR(pg_catalog.=) ANY
		(ARRAY['upgrade'::pg_catalog.text, 'downgrade'::pg_catalog.text]))
);
COMMENT ON TABLE migrate.partial IS 'Non-transactional scripts that are incomplete.';
COMMENT ON COLUMN migrate.partial.statements IS 'number of statements in the script';
COMMENT ON COLUMN migrate.partial.digest IS 'checksum of the completed statements';
COMMENT ON COLUMN migrate.partial.in_doubt IS
'true if the next statement was started; after a crash its outcome is unknown';
COMMENT ON COLUMN migrate.partial.statement_started_at IS
'when the next statement was started, or else when the last one ended';
COMMENT ON COLUMN migrate.partial.intent IS
'checksum of the completed statements and of the started one, if that commits by itself; else '
'NULL';
COMMENT ON COLUMN migrate.partial.intent_statement IS
'the started statement, if it builds indexes; else NULL';
COMMENT ON COLUMN migrate.partial.intent_object IS
'object that the started statement creates, drops or detaches, as its name was found before; 0 if '
'there was none';
COMMENT ON COLUMN migrate.partial.intent_relations IS
'tables whose indexes the started statement builds';
COMMENT ON COLUMN migrate.partial.intent_indexes IS
'indexes that these tables had before; for REINDEX, those that were invalid';
COMMENT ON COLUMN migrate.partial.intent_database IS
'where these OIDs are valid, as system identifier and OID of this table: not in a restored '
'database, but in a copy made with CREATE DATABASE ... TEMPLATE';
COMMENT ON COLUMN migrate.partial.settings IS
'settings made by the completed statements, as "name=value", or "name" if reset; applied again '
'before the script resumes';

-- Source of migrate.progress: one row while a stepwise run is in progress, or
-- left over after it crashed.  Excluded from dumps, being of no use in another
-- database.
CREATE TABLE migrate.running (
	pid pg_catalog.int4 NOT NULL,
	operation pg_catalog.text NOT NULL,
	target pg_catalog.text NOT NULL,
	revision pg_catalog.text NOT NULL,
	step pg_catalog.int4 NOT NULL,
	steps pg_catalog.int4 NOT NULL,
	started_at pg_catalog.timestamptz NOT NULL,
	step_started_at pg_catalog.timestamptz NOT NULL,
	CONSTRAINT running_pkey PRIMARY KEY (pid)
);
COMMENT ON TABLE migrate.running IS 'The stepwise run in progress; see migrate.progress.';

-- The source of migrate.log.  A step is recorded with what it changed: with all
-- version rows, n heads would cost n times n.
CREATE TABLE migrate.steps (
	id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME migrate.log_id_seq),
	operation pg_catalog.text NOT NULL,
	revision pg_catalog.text,
	checksum pg_catalog.text,
	removed pg_catalog.text[] NOT NULL,
	added pg_catalog.text[] NOT NULL,
	versions_count pg_catalog.int4 NOT NULL,
	started_at pg_catalog.timestamptz NOT NULL,
	duration pg_catalog.interval NOT NULL,
	session_role pg_catalog.text NOT NULL,
	effective_role pg_catalog.text NOT NULL,
	application_name pg_catalog.text NOT NULL,
	client_addr pg_catalog.inet,
	server_version pg_catalog.text NOT NULL,
	CONSTRAINT steps_pkey PRIMARY KEY (id),
	CONSTRAINT steps_operation_check CHECK (operation OPERATOR(pg_catalog.=) ANY
		(ARRAY['upgrade'::pg_catalog.text, 'downgrade'::pg_catalog.text, 'stamp'::pg_catalog.text,
			'capture'::pg_catalog.text]))
);
COMMENT ON TABLE migrate.steps IS
'Completed steps, as they are stored; see migrate.log. Old rows can be deleted, oldest first.';
COMMENT ON COLUMN migrate.steps.removed IS 'version rows that the step removed';
COMMENT ON COLUMN migrate.steps.added IS 'version rows that the step added';
COMMENT ON COLUMN migrate.steps.versions_count IS 'number of version rows after the step';

CREATE TABLE migrate.models (
	name pg_catalog.text NOT NULL,
	ordinal pg_catalog.int4 NOT NULL,
	ddl pg_catalog.text NOT NULL,
	CONSTRAINT models_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE migrate.models IS 'Models: named parts of the declared schema.';

CREATE TABLE migrate.revision_data (
	revision pg_catalog.text NOT NULL,
	at pg_catalog.text NOT NULL,
	sql pg_catalog.text NOT NULL,
	CONSTRAINT revision_data_pkey PRIMARY KEY (revision, at),
	CONSTRAINT revision_data_at_check CHECK (at OPERATOR(pg_catalog.=) ANY
		(ARRAY['before'::pg_catalog.text, 'after'::pg_catalog.text]))
);
COMMENT ON TABLE migrate.revision_data IS
'What the tests of migrations run before and after the upgrade of a revision, to have rows.';

-- One row at most.  It is of this database: neither dumped nor replicated.
CREATE UNLOGGED TABLE migrate.compared (
	id pg_catalog.int4 NOT NULL DEFAULT 1,
	fingerprint pg_catalog.text,
	compared_at pg_catalog.timestamptz,
	CONSTRAINT compared_pkey PRIMARY KEY (id),
	CONSTRAINT compared_id_check CHECK (id OPERATOR(pg_catalog.=) 1)
);
COMMENT ON TABLE migrate.compared IS
'The last comparison with the models that found no difference: what it was made of.';

CREATE TABLE migrate.settings (
	name pg_catalog.text NOT NULL,
	value pg_catalog.text NOT NULL,
	CONSTRAINT settings_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE migrate.settings IS 'Project settings, written by migrate.configure().';

-- The heads, so that "nothing to do" is determined without reading the graph.
-- Empty means that they are not known.  The rows are correct or missing,
-- whatever the order in which a restore loads the tables.  (The name sorts after
-- migrate.revisions, and so does the table in a dump: that is what keeps its
-- rows.)
CREATE TABLE migrate.revisions_heads (
	revision pg_catalog.text NOT NULL,
	is_real pg_catalog.bool NOT NULL,
	CONSTRAINT revisions_heads_pkey PRIMARY KEY (revision)
);
COMMENT ON TABLE migrate.revisions_heads IS
'Head revisions, or no rows while they are not known. Maintained by the functions of this schema.';
COMMENT ON COLUMN migrate.revisions_heads.is_real IS
'true if no other revision depends on it, either';

CREATE FUNCTION migrate.forget_heads()
RETURNS pg_catalog.trigger
AS 'MODULE_PATHNAME', 'migrate_forget_heads'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.forget_heads() IS
'Empty migrate.revisions_heads when migrate.revisions changes or a row is added to '
'migrate.partial. Can only be called as a trigger.';

CREATE TRIGGER forget_heads
AFTER INSERT OR DELETE OR UPDATE OF revision, down_revisions, depends_on ON migrate.revisions
FOR EACH ROW EXECUTE FUNCTION migrate.forget_heads();
CREATE TRIGGER forget_all_heads AFTER TRUNCATE ON migrate.revisions
FOR EACH STATEMENT EXECUTE FUNCTION migrate.forget_heads();
-- While a script is incomplete, "nothing to do" takes more than comparing heads.
CREATE TRIGGER forget_all_heads AFTER INSERT ON migrate.partial
FOR EACH STATEMENT EXECUTE FUNCTION migrate.forget_heads();
-- Fire during a restore and for replicated rows, too.
ALTER TABLE migrate.revisions ENABLE ALWAYS TRIGGER forget_heads;
ALTER TABLE migrate.revisions ENABLE ALWAYS TRIGGER forget_all_heads;
ALTER TABLE migrate.partial ENABLE ALWAYS TRIGGER forget_all_heads;

SELECT pg_catalog.pg_extension_config_dump('migrate.revisions', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.versions', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.applied', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.partial', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.running', 'WHERE false');
SELECT pg_catalog.pg_extension_config_dump('migrate.steps', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.log_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.revisions_heads', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.models', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.revision_data', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.compared', 'WHERE false');
SELECT pg_catalog.pg_extension_config_dump('migrate.settings', '');

-- The script runs as the bootstrap superuser when a database owner installs
-- the extension.  Give everything to the role that runs CREATE EXTENSION, so that
-- REASSIGN OWNED moves it together with the privileges that the role granted; the
-- sequence belongs to its table.  The schema comes first: REASSIGN OWNED by a
-- role that is no superuser takes the same order, and needs CREATE on it for the
-- functions.
ALTER SCHEMA migrate OWNER TO @extowner@;
ALTER TABLE migrate.revisions OWNER TO @extowner@;
ALTER TABLE migrate.versions OWNER TO @extowner@;
ALTER TABLE migrate.applied OWNER TO @extowner@;
ALTER TABLE migrate.partial OWNER TO @extowner@;
ALTER TABLE migrate.running OWNER TO @extowner@;
ALTER TABLE migrate.steps OWNER TO @extowner@;
ALTER TABLE migrate.revisions_heads OWNER TO @extowner@;
ALTER TABLE migrate.models OWNER TO @extowner@;
ALTER TABLE migrate.revision_data OWNER TO @extowner@;
ALTER TABLE migrate.compared OWNER TO @extowner@;
ALTER TABLE migrate.settings OWNER TO @extowner@;

-- ---------------------------------------------------------------------------
-- Authoring
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.revision(
	message pg_catalog.text,
	upgrade pg_catalog.text DEFAULT '',
	downgrade pg_catalog.text DEFAULT NULL,
	rev_id pg_catalog.text DEFAULT NULL,
	head pg_catalog.text DEFAULT 'head',
	splice pg_catalog.bool DEFAULT false,
	branch_label pg_catalog.text DEFAULT NULL,
	depends_on pg_catalog.text[] DEFAULT '{}',
	transactional pg_catalog.bool DEFAULT true,
	autogenerate pg_catalog.bool DEFAULT false,
	prove pg_catalog.bool DEFAULT true,
	renames pg_catalog.text[] DEFAULT '{}')
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_revision'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.revision(
	pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text,
	pg_catalog.bool, pg_catalog.text, pg_catalog.text[], pg_catalog.bool, pg_catalog.bool,
	pg_catalog.bool, pg_catalog.text[]) IS
'Store a new revision.
Arguments: message; upgrade and downgrade: the scripts (downgrade NULL: the revision cannot be '
'downgraded, but '''' if the upgrade is empty too); rev_id: its identifier (NULL: generate one '
'according to the setting revision_ids); head: the parent (an identifier, or base); splice: allow '
'a parent that is not a head; branch_label; depends_on: identifiers; transactional: of both '
'scripts; autogenerate: write both scripts, from what differs from the models, instead of '
'taking them; prove: only if both were seen to work in the scratch; renames: what has another '
'name now, ''column public.users.fullname -> full_name''.
Result: the new identifier; NULL where autogenerate finds no difference.
Errors: 22023 invalid message or identifier; 42601 or MG011 unacceptable script; MG001, MG002, '
'MG003 head or depends_on does not name one revision; MG005 the parent is not a head; MG010 '
'identifier or label in use; with autogenerate those of compare, MG004 revisions are pending, '
'0A000 what migrate cannot write, MG014 a script was not proved, 42704 a rename of what is not '
'there; 22004 null argument; 25006 read-only transaction; 40001 stale snapshot; 40P01 the holder '
'of the run lock waits for this transaction; 55000 called from a migration script; MG012 run lock '
'not available.
Locks: the run lock, until the end of the transaction.';

CREATE FUNCTION migrate.merge(
	revisions pg_catalog.text[] DEFAULT '{heads}',
	message pg_catalog.text DEFAULT NULL,
	rev_id pg_catalog.text DEFAULT NULL,
	branch_label pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_merge'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.merge(
	pg_catalog.text[], pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
'Store a merge revision with empty scripts.
Arguments: revisions: identifiers of two or more heads to merge; message (NULL: "merge a and '
'b"); rev_id; branch_label.
Result: the new identifier.
Errors: MG005 fewer than two revisions, or one that is not a head; and those of '
'migrate.revision().
Locks: the run lock, until the end of the transaction.';

CREATE FUNCTION migrate.edit(
	revision pg_catalog.text,
	upgrade pg_catalog.text DEFAULT NULL,
	downgrade pg_catalog.text DEFAULT NULL,
	message pg_catalog.text DEFAULT NULL,
	transactional pg_catalog.bool DEFAULT NULL,
	irreversible pg_catalog.bool DEFAULT NULL)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_edit'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.edit(
	pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool,
	pg_catalog.bool) IS
'Change a revision. Arguments that are NULL leave their part unchanged.
Arguments: revision: its identifier; upgrade; downgrade; message; transactional: of both '
'scripts; irreversible: true removes the downgrade script.
Result: its full identifier.
Errors: MG007 change of the upgrade script of an applied revision, or of the completed '
'statements of an incomplete script; MG001, MG002, MG003 not exactly one revision; 22023, 42601, '
'MG011 as for migrate.revision(); MG010 broken graph; 22004 null argument; 25006 read-only '
'transaction; 40001 stale snapshot; 40P01 the holder of the run lock waits for this transaction; '
'55000 called from a migration script; MG012 run lock not available.
Locks: the run lock, until the end of the transaction.';

CREATE FUNCTION migrate.drop(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_drop'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.drop(pg_catalog.text) IS
'Delete a revision.
Arguments: revision: its identifier.
Result: its full identifier.
Errors: MG007 the revision is applied; MG008 a script is incomplete; MG010 another '
'revision has it as parent or dependency; MG001, MG002, MG003 not exactly one revision; 22004 '
'null argument; 25006 read-only transaction; 40001 stale snapshot; 40P01 the holder of the run '
'lock waits for this transaction; 55000 called from a migration script; MG012 run lock not '
'available.
Locks: the run lock, until the end of the transaction.';

CREATE FUNCTION migrate.load(content pg_catalog.text, name pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_load'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.load(pg_catalog.text, pg_catalog.text) IS
'Store the revision of one revision file: add a new revision, replace a changed one that is not '
'applied, ignore an unchanged one.
Arguments: content: of the file; name: of the file, for messages and for files without a header.
Result: the revision''s identifier.
Errors: MG011 unacceptable file, 42601 syntax error in a script (both with name and line); MG007 '
'change of the upgrade script or the parents of an applied revision; MG001, MG002 a parent that '
'does not name one revision; MG003 several heads that a file without a header could follow; MG010 '
'the graph would be broken; 22004 null argument; 25006 read-only transaction; 40001 stale '
'snapshot; 40P01 the holder of the run lock waits for this transaction; 55000 called from a '
'migration script; MG012 run lock not available.
Locks: the run lock, until the end of the transaction, unless nothing changes.';

CREATE FUNCTION migrate.load_directory(path pg_catalog.text, format pg_catalog.text DEFAULT 'auto',
	allow_broken_downgrades pg_catalog.bool DEFAULT false)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_load_directory'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.load_directory(pg_catalog.text, pg_catalog.text, pg_catalog.bool) IS
'Store the revisions of all *.sql files, in UTF-8, of a directory on the server, parents before '
'children: either all of them or none.
Arguments: path; format: native (every file has a header), dbmate (none has; a file whose name '
'does not begin with a digit is left out, with a notice) or auto; allow_broken_downgrades: a '
'downgrade script that cannot be taken is left out, with a warning, so that its revision cannot be '
'downgraded.
Result: identifiers added or changed, parents before children. A notice names each revision that '
'was replaced, and what changed; a warning, where both script and message are others.
Errors: 58P01 no *.sql files in it; MG011 with all files that cannot be taken, if there are '
'several; 42501 missing privileges of pg_read_server_files; 22023 unknown format, or empty path; '
'22021, 22P05 a file that is not UTF-8, or has characters that the database encoding lacks; 54000 '
'a file over 256 MB; 58P01 and other errors of the file system; and those of migrate.load().
Locks: the run lock, until the end of the transaction, unless nothing changes.';

CREATE FUNCTION migrate.load_files(files pg_catalog.bytea[], names pg_catalog.text[],
	prune pg_catalog.bool DEFAULT false, allow_broken_downgrades pg_catalog.bool DEFAULT false)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_load_files'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.load_files(
	pg_catalog.bytea[], pg_catalog.text[], pg_catalog.bool, pg_catalog.bool) IS
'Store the revisions of files that a client sends, in any order: either all of them or none.
Arguments: files: their bytes, in UTF-8; names: their names, in the same order; prune: drop '
'revisions that are in none of the files, not applied and not needed, with a notice for each; '
'allow_broken_downgrades: as for migrate.load_directory().
Result: identifiers added or changed, parents before children.
Errors: 22023 no files, or not as many names; 22021, 22P05 a file that is not UTF-8, or has '
'characters that the database encoding lacks; MG011 with all files that cannot be taken, if '
'there are several; and those of migrate.load().
Locks: the run lock, until the end of the transaction, unless nothing changes.';

CREATE FUNCTION migrate.file_status(
	files pg_catalog.bytea[],
	names pg_catalog.text[],
	OUT revision pg_catalog.text,
	OUT name pg_catalog.text,
	OUT state pg_catalog.text,
	OUT detail pg_catalog.text)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'migrate_file_status'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.file_status(pg_catalog.bytea[], pg_catalog.text[]) IS
'Compare the revisions of files that a client sends with those that are stored.
Arguments: files: their bytes, in UTF-8; names: their names, in the same order.
Result: a row for each revision of either, parents before children: revision; name of the file; '
'state: applied, pending, not loaded, changed (not applied, and the file differs), edited '
'(applied, and the file or the stored script differs from what was applied) or database only; '
'detail: what differs.
Errors: those of migrate.load_files(), but for those of writing.';

CREATE FUNCTION migrate.export(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_export'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.export(pg_catalog.text) IS
'Return a revision in the format of a revision file. Loading it again changes nothing.
Arguments: revision: its identifier.
Result: the text.
Errors: MG001, MG002, MG003 not exactly one revision; MG010 broken graph; 22004 null argument.';

CREATE FUNCTION migrate.file_name(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_file_name'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.file_name(pg_catalog.text) IS
'Return the name for a revision''s file: <revision>_<slug of the message>.sql.
Arguments: revision: its identifier.
Result: the name.
Errors: MG001, MG002, MG003 not exactly one revision; MG010 broken graph; 22004 null argument.';

CREATE FUNCTION migrate.configure(name pg_catalog.text, value pg_catalog.text)
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'migrate_configure'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.configure(pg_catalog.text, pg_catalog.text) IS
'Set a project setting.
Arguments: name: revision_ids (random, serial or timestamp), managed_schemas (comma-separated '
'names), exclude (comma-separated patterns) or compare_privileges (on or off); value (NULL: '
'restore the default).
Result: none.
Errors: 22023 unknown setting, or invalid value; 22004 null argument; 25006 read-only '
'transaction; 40001 stale snapshot; 40P01 the holder of the run lock waits for this transaction; '
'55000 called from a migration script; MG012 run lock not available.
Locks: the run lock, until the end of the transaction.';

-- ---------------------------------------------------------------------------
-- Looking
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.current()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_current'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.current() IS
'Return the current revisions of this database: the rows of migrate.versions.
Result: identifiers in byte order; no rows if nothing is applied.';

CREATE FUNCTION migrate.heads()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_heads'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.heads() IS
'Return the head revisions: those that are not the down revision of another.
Result: identifiers in byte order.
Errors: MG010 broken graph.';

CREATE FUNCTION migrate.bases()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_bases'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.bases() IS
'Return the base revisions: those without a down revision.
Result: identifiers in byte order.
Errors: MG010 broken graph.';

CREATE FUNCTION migrate.branches()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_branches'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.branches() IS
'Return the branch points: revisions that are the down revision of several others.
Result: identifiers in byte order.
Errors: MG010 broken graph.';

CREATE FUNCTION migrate.pending(target pg_catalog.text DEFAULT 'heads')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_pending'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.pending(pg_catalog.text) IS
'Return the revisions that migrate.upgrade(target) would apply.
Arguments: target: an identifier.
Result: identifiers in the order of application; no rows if there is nothing to do.
Errors: MG001, MG002, MG003, MG005 invalid target; MG010 broken graph; 22004 null target.';

CREATE FUNCTION migrate.history(
	range pg_catalog.text DEFAULT NULL,
	OUT revision pg_catalog.text,
	OUT down_revisions pg_catalog.text[],
	OUT depends_on pg_catalog.text[],
	OUT branch_labels pg_catalog.text[],
	OUT message pg_catalog.text,
	OUT is_head pg_catalog.bool,
	OUT is_base pg_catalog.bool,
	OUT is_branch_point pg_catalog.bool,
	OUT is_merge_point pg_catalog.bool,
	OUT is_current pg_catalog.bool,
	OUT is_applied pg_catalog.bool,
	OUT applied_at pg_catalog.timestamptz,
	OUT created_at pg_catalog.timestamptz)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'migrate_history'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.history(pg_catalog.text) IS
'Return the revisions, newest first: children before parents.
Arguments: range: start:end, start: or :end, both ends included (NULL: all revisions).
Result: one row per revision.
Errors: MG005 a range that is reversed or not on one branch; MG001, MG002, MG003 invalid end; '
'MG010 broken graph.';

CREATE FUNCTION migrate.resolve(target pg_catalog.text)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_resolve'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.resolve(pg_catalog.text) IS
'Return the revisions that an identifier names.
Arguments: target: an identifier.
Result: identifiers in byte order; no rows for base.
Errors: MG001 no such revision; MG002 ambiguous; MG003 several heads; MG005 walked too far; '
'MG010 broken graph; 22004 null target.';

CREATE FUNCTION migrate.show(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_show'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.show(pg_catalog.text) IS
'Return a revision in readable form: Alembic''s verbose entry, followed by both scripts.
Arguments: revision: an identifier; if it names several revisions, as heads can, all are shown.
Result: the text, without a final line end; empty for base.
Errors: MG001 no such revision; MG002 ambiguous; MG003 several heads; MG005 walked too far; '
'MG010 broken graph; 22004 null revision.';

CREATE FUNCTION migrate.graph(format pg_catalog.text DEFAULT 'text')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_graph'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.graph(pg_catalog.text) IS
'Draw the revision graph.
Arguments: format: text (for a terminal, newest first; * is applied, o is not), dot (Graphviz) '
'or mermaid.
Result: the lines of the drawing.
Errors: 22023 unknown format; MG010 broken graph; 22004 null format.';

CREATE FUNCTION migrate.undo_step(
	state pg_catalog.internal,
	versions pg_catalog.text[],
	removed pg_catalog.text[],
	added pg_catalog.text[],
	versions_count pg_catalog.int4)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'migrate_undo_step'
LANGUAGE C IMMUTABLE;

COMMENT ON FUNCTION migrate.undo_step(
	pg_catalog.internal, pg_catalog.text[], pg_catalog.text[], pg_catalog.text[],
	pg_catalog.int4) IS
'Transition function of migrate.undo_steps().
Arguments: state; and those of migrate.undo_steps().
Result: the new state.';

CREATE FUNCTION migrate.undone(state pg_catalog.internal)
RETURNS pg_catalog.text[]
AS 'MODULE_PATHNAME', 'migrate_undone'
LANGUAGE C IMMUTABLE;

COMMENT ON FUNCTION migrate.undone(pg_catalog.internal) IS
'Final function of migrate.undo_steps().
Arguments: state.
Result: that of migrate.undo_steps().';

CREATE AGGREGATE migrate.undo_steps(
	versions pg_catalog.text[],
	removed pg_catalog.text[],
	added pg_catalog.text[],
	versions_count pg_catalog.int4) (
	SFUNC = migrate.undo_step,
	STYPE = pg_catalog.internal,
	FINALFUNC = migrate.undone);

COMMENT ON AGGREGATE migrate.undo_steps(
	pg_catalog.text[], pg_catalog.text[], pg_catalog.text[], pg_catalog.int4) IS
'Return the version rows before a step.
Arguments: versions: the current version rows; removed, added and versions_count of each step, '
'newest first.
Result: the version rows before the oldest of the steps; NULL if they do not lead to versions.
Errors: 22004 null argument.';

CREATE VIEW migrate.log AS
SELECT s.id,
	s.operation,
	s.revision,
	s.checksum,
	s.versions_before,
	CASE WHEN s.versions_before IS NOT NULL THEN COALESCE(
		pg_catalog.lag(s.versions_before) OVER (ORDER BY s.id DESC),
		ARRAY(SELECT v.revision FROM migrate.versions v
			ORDER BY v.revision COLLATE pg_catalog."C"))
	END AS versions_after,
	s.started_at,
	s.duration,
	s.session_role,
	s.effective_role,
	s.application_name,
	s.client_addr,
	s.server_version
FROM (
	SELECT t.*, migrate.undo_steps(ARRAY(SELECT v.revision FROM migrate.versions v),
		t.removed, t.added, t.versions_count)
		OVER (ORDER BY t.id DESC ROWS UNBOUNDED PRECEDING) AS versions_before
	FROM migrate.steps t) AS s;

COMMENT ON VIEW migrate.log IS
'Completed steps: who moved which revision, when, and how long it took.';
COMMENT ON COLUMN migrate.log.revision IS 'NULL if stamped to base';
COMMENT ON COLUMN migrate.log.versions_before IS
'version rows before the step; NULL if they are not known, because later rows of migrate.steps '
'were deleted or migrate.versions was changed by hand';
COMMENT ON COLUMN migrate.log.versions_after IS 'version rows after the step, likewise';
COMMENT ON COLUMN migrate.log.session_role IS 'role that logged in';
COMMENT ON COLUMN migrate.log.effective_role IS 'role that called migrate';

ALTER VIEW migrate.log OWNER TO @extowner@;

CREATE VIEW migrate.status AS
WITH stamps AS (
	-- all rows of one stamp have the same time
	SELECT t.applied_at, t.how, (SELECT l.session_role FROM migrate.steps l
		WHERE l.operation OPERATOR(pg_catalog.=) t.how
			AND l.started_at OPERATOR(pg_catalog.<=) t.applied_at
		ORDER BY l.id DESC LIMIT 1) AS session_role
	FROM (SELECT DISTINCT a.applied_at, a.how FROM migrate.applied a
		WHERE a.how OPERATOR(pg_catalog.<>) 'upgrade') t
), upgrades AS (
	SELECT DISTINCT ON (l.revision) l.revision, l.session_role, l.duration
	FROM migrate.steps l
	WHERE l.operation OPERATOR(pg_catalog.=) 'upgrade'
	ORDER BY l.revision, l.id DESC
)
SELECT h.revision,
	CASE WHEN p.revision IS NOT NULL THEN 'partial'
		WHEN h.is_current THEN 'current'
		WHEN h.is_applied THEN 'applied'
		ELSE 'pending' END AS state,
	h.is_head,
	h.branch_labels AS labels,
	pg_catalog.split_part(h.message, E'\n', 1) AS message,
	h.applied_at,
	a.how,
	CASE a.how WHEN 'upgrade' THEN u.session_role ELSE s.session_role END AS applied_by,
	CASE a.how WHEN 'upgrade' THEN u.duration END AS duration,
	a.revision IS NOT NULL AND a.checksum OPERATOR(pg_catalog.<>) r.checksum AS edited
FROM migrate.history() WITH ORDINALITY
		AS h (revision, down_revisions, depends_on, branch_labels, message, is_head, is_base,
			is_branch_point, is_merge_point, is_current, is_applied, applied_at, created_at, n)
	JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) h.revision
	LEFT JOIN migrate.applied a ON a.revision OPERATOR(pg_catalog.=) h.revision
	LEFT JOIN migrate.partial p ON p.revision OPERATOR(pg_catalog.=) h.revision
	LEFT JOIN upgrades u ON u.revision OPERATOR(pg_catalog.=) h.revision
	LEFT JOIN stamps s ON a.how OPERATOR(pg_catalog.=) s.how
		AND s.applied_at OPERATOR(pg_catalog.=) a.applied_at
ORDER BY h.n;

COMMENT ON VIEW migrate.status IS 'State of this database: one row per revision, newest first.';
COMMENT ON COLUMN migrate.status.state IS
'pending; applied; current: a version row; partial: a non-transactional script is incomplete';
COMMENT ON COLUMN migrate.status.labels IS 'branch labels that the revision declares';
COMMENT ON COLUMN migrate.status.message IS 'first line of the message';
COMMENT ON COLUMN migrate.status.how IS 'upgrade, stamp or capture; NULL if not applied';
COMMENT ON COLUMN migrate.status.applied_by IS
'role that logged in and applied it, from migrate.log';
COMMENT ON COLUMN migrate.status.duration IS 
'duration of its upgrade; NULL if it was stamped or captured';
COMMENT ON COLUMN migrate.status.edited IS
'true if the upgrade script was changed after it was applied';

ALTER VIEW migrate.status OWNER TO @extowner@;

-- ---------------------------------------------------------------------------
-- Checking
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.check(models pg_catalog.bool DEFAULT true,
	lint pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'migrate_check'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.check(pg_catalog.bool, pg_catalog.bool) IS
'Check that the database is in the state that revisions and models describe.
Arguments: models: compare it with the declared models too, if there are any; their DDL runs with '
'the caller''s rights and is rolled back; lint: lint pending revisions first, as the setting '
'lint_level says.
Result: true; anything else is an error.
Errors: MG004 pending revisions, or an incomplete script; MG007 an applied revision was edited; '
'MG009 the database differs from the models; MG010 broken graph or tables of migrate; MG015 lint '
'found an error, and lint_level is error; 22004 null argument; with models, those of '
'migrate.compare().';

CREATE FUNCTION migrate.check_revisions()
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'migrate_check_revisions'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.check_revisions() IS
'Check that the database is in the state that the revisions describe, as migrate.check(false).
Result: true; anything else is an error.
Errors: MG004, MG007, MG010 as migrate.check().';

-- ---------------------------------------------------------------------------
-- Lint
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.lint(
	target pg_catalog.text DEFAULT 'heads',
	way pg_catalog.text DEFAULT 'upgrade',
	OUT revision pg_catalog.text,
	OUT direction pg_catalog.text,
	OUT statement pg_catalog.int4,
	OUT line pg_catalog.int4,
	OUT rule pg_catalog.text,
	OUT severity pg_catalog.text,
	OUT message pg_catalog.text,
	OUT advice pg_catalog.text)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'migrate_lint'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.lint(pg_catalog.text, pg_catalog.text) IS
'Read the scripts that migrate.upgrade(target) would run, and say what in them hurts. Nothing '
'runs; it works in a read-only transaction and on a standby.
Arguments: target: an identifier, or a range from:to; way: upgrade, or downgrade for the scripts '
'of migrate.downgrade(target).
Result: findings in the order of the plan; statement and line, in the script, are null for what is '
'of the script as a whole.
Errors: those of migrate.upgrade(target) for its target; 22023 invalid way; 22004 null argument.
Locks: ACCESS SHARE on the tables that the scripts name.';

CREATE FUNCTION migrate.lint_rules(
	OUT id pg_catalog.text,
	OUT severity pg_catalog.text,
	OUT is_default pg_catalog.bool,
	OUT since pg_catalog.int4,
	OUT summary pg_catalog.text,
	OUT advice pg_catalog.text,
	OUT example pg_catalog.text,
	OUT counter_example pg_catalog.text,
	OUT shows pg_catalog.text)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'migrate_lint_rules'
LANGUAGE C IMMUTABLE;

COMMENT ON FUNCTION migrate.lint_rules() IS
'List the rules of migrate.lint().
Result: a row for each rule. is_default: it is on unless lint_disable names it; others are on if '
'lint_enable names them; since: the first version of PostgreSQL it is for; shows: what the server '
'does with the example and not with the other.';

-- ---------------------------------------------------------------------------
-- Models
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.set_model(ddl pg_catalog.text,
	name pg_catalog.text DEFAULT 'default', ordinal pg_catalog.int4 DEFAULT NULL)
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'migrate_set_model'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.set_model(pg_catalog.text, pg_catalog.text, pg_catalog.int4) IS
'Declare a part of the schema as it should be.
Arguments: ddl: SQL statements that make it in an empty database; name: of the model, which '
'replaces one of that name; ordinal: models are run in this order, then that of their names '
'(default: as before, or after all others).
Result: none.
Errors: 22004 a null argument; 22023 an empty name; MG011 a statement that cannot be in a '
'model; a syntax error of the DDL.';

CREATE FUNCTION migrate.drop_model(name pg_catalog.text)
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'migrate_drop_model'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.drop_model(pg_catalog.text) IS
'Forget a model.
Arguments: name: of the model.
Result: none.
Errors: 42704 there is none of that name.';

CREATE FUNCTION migrate.compare(source pg_catalog.text DEFAULT 'models', OUT action pg_catalog.text,
	OUT object_type pg_catalog.text, OUT object_identity pg_catalog.text,
	OUT detail pg_catalog.text, OUT upgrade_sql pg_catalog.text,
	OUT downgrade_sql pg_catalog.text, OUT hazard pg_catalog.text)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'migrate_compare'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.compare(pg_catalog.text) IS
'Say what would have to be done to the managed schemas to make them what the source says.
The models, or the upgrade scripts of the applied revisions, are run in a subtransaction that is '
'rolled back.
Arguments: source: models or revisions.
Result: a row a difference: action: create, drop, alter, or unsupported for objects that migrate '
'compares but cannot write; detail: the properties that differ; upgrade_sql and downgrade_sql: '
'statements that would take the difference away, and bring it back; hazard: what is dangerous in '
'the first of these.
Errors: 22023 another source; 55000 no model is declared; 42501 the managed schemas are not the '
'caller''s, or the caller may not create schemas; 25006 in a read-only transaction; MG012 another '
'comparison takes too long; whatever the models or scripts raise; of revisions, MG007 an applied '
'one was edited; 0A000 a script changes a schema that is not managed.';

CREATE FUNCTION migrate.drift(OUT action pg_catalog.text, OUT object_type pg_catalog.text,
	OUT object_identity pg_catalog.text, OUT detail pg_catalog.text,
	OUT upgrade_sql pg_catalog.text, OUT downgrade_sql pg_catalog.text,
	OUT hazard pg_catalog.text)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'migrate_drift'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.drift() IS
'Say what was done to the managed schemas since the applied revisions made them: the differences '
'of migrate.compare(''revisions''), the other way round.
Result: a row a difference, as migrate.compare().
Errors: those of migrate.compare(''revisions'').';

CREATE FUNCTION migrate.diff_sql(source pg_catalog.text DEFAULT 'models',
	OUT upgrade_sql pg_catalog.text, OUT downgrade_sql pg_catalog.text)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'migrate_diff_sql'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.diff_sql(pg_catalog.text) IS
'Return the scripts that would turn the managed schemas into what the source says, and back.
Arguments: source: models or revisions.
Result: one row, of two scripts, which are empty if nothing differs.
Errors: those of compare; 0A000 what migrate cannot write; MG014 a script was not proved.';

CREATE FUNCTION migrate.derive_downgrade(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_derive_downgrade'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.derive_downgrade(pg_catalog.text) IS
'Return a downgrade script for a revision, applied or not, from what its upgrade script does.
The upgrade scripts of its ancestors, and then its own, are run in a subtransaction that is rolled '
'back; the script leads from the schema after it to the one before, and was seen to do that.
Arguments: revision: an identifier of one revision.
Result: SQL, for migrate.edit(revision, downgrade => ...). What the upgrade removes, and the '
'downgrade cannot give back, is named in comments at its top.
Errors: MG001 to MG003 of the identifier; MG014 the script was not proved; 0A000 migrate cannot '
'write it, or an upgrade script changes a schema that is not managed; those of migrate.compare() '
'about rights and time; whatever the scripts raise.';

CREATE FUNCTION migrate.capture(message pg_catalog.text, rev_id pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_capture'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.capture(pg_catalog.text, pg_catalog.text) IS
'Store what was done to the managed schemas by hand, as migrate.drift() says it, as a revision on '
'top of the current one, and record it as applied here. Nothing is run.
Arguments: message, rev_id: as in migrate.revision().
Result: the identifier; NULL, with a NOTICE, if there is no drift.
Errors: MG003 several current revisions; MG004 a revision is pending; MG014 a script was not '
'proved; 0A000 migrate cannot write it; 22023 and MG010 as in migrate.revision(); MG008 a script '
'is incomplete; MG012; those of migrate.drift().';

CREATE FUNCTION migrate.schema_sql(source pg_catalog.text DEFAULT 'live')
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_schema_sql'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.schema_sql(pg_catalog.text) IS
'Return the managed schemas as a script that makes them in an empty database.
Arguments: source: live, as they are; models, as they are declared; revisions, as the applied '
'ones make them.
Result: SQL; what migrate cannot write is named in comments at its top.
Errors: 22023 another source; for models and revisions, those of migrate.compare().';

CREATE FUNCTION migrate.create_all()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_create_all'
LANGUAGE C VOLATILE ROWS 1;
COMMENT ON FUNCTION migrate.create_all() IS
'Make what the models declare, in a fresh database, and stamp the heads.
Result: the stamped revisions.
Errors: 55000 no model is declared, a revision is applied, or a managed schema is not empty; MG012 '
'the run lock; whatever the models raise.';

CREATE FUNCTION migrate.init_db(target pg_catalog.text DEFAULT 'head')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_init_db'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.init_db(pg_catalog.text) IS
'Bring the database of an application to a target: an empty one by migrate.create_all(), if models '
'are declared and the target is the heads; any other by migrate.upgrade(target).
Arguments: target: as migrate.upgrade().
Result: the stamped or applied revisions.
Errors: those of migrate.create_all() and migrate.upgrade().';

-- ---------------------------------------------------------------------------
-- Tests of migrations
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.test_single_head_revision(
	skip pg_catalog.text[] DEFAULT '{}', lowest pg_catalog.text DEFAULT NULL)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_test_single_head_revision'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.test_single_head_revision(pg_catalog.text[], pg_catalog.text) IS
'Test that there is exactly one head.
Arguments: skip, lowest: as the other tests have them; nothing here depends on them.
Result: lines of the Test Anything Protocol; where a plan of pgTAP is under way in the session, '
'what pgTAP''s own functions return.
Errors: MG001 and MG002 of the arguments; 22004 a null argument; MG010 broken graph.';

CREATE FUNCTION migrate.test_upgrade(
	skip pg_catalog.text[] DEFAULT '{}', lowest pg_catalog.text DEFAULT NULL)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_test_upgrade'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.test_upgrade(pg_catalog.text[], pg_catalog.text) IS
'Test that all revisions can be applied one after the other, from base, whatever is applied here.
The scripts run with the caller''s rights, on empty tables, in a subtransaction that is rolled '
'back. One that fails for want of rows (see migrate.set_revision_data) says nothing, and is SKIP; '
'so is one that commits.
Arguments: skip: revisions whose scripts are not run; lowest: has no effect here.
Result: as migrate.test_single_head_revision().
Errors: likewise; those of migrate.compare() about rights and time.';

CREATE FUNCTION migrate.test_up_down_consistency(
	skip pg_catalog.text[] DEFAULT '{}', lowest pg_catalog.text DEFAULT NULL)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_test_up_down_consistency'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.test_up_down_consistency(pg_catalog.text[], pg_catalog.text) IS
'Test that all revisions can be applied one by one, reverted one by one and applied again.
It reverts as far as there are downgrade scripts, and says where it stopped.
Arguments: skip: revisions whose scripts are not run; lowest: a revision that is not reverted, nor '
'are its ancestors.
Result: as migrate.test_upgrade().
Errors: likewise.';

CREATE FUNCTION migrate.test_model_definitions_match_ddl(
	skip pg_catalog.text[] DEFAULT '{}', lowest pg_catalog.text DEFAULT NULL)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_test_model_definitions_match_ddl'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.test_model_definitions_match_ddl(pg_catalog.text[], pg_catalog.text) IS
'Test that what the revisions make, applied from base, is what the models declare.
Arguments: skip: revisions whose scripts are not run; lowest: has no effect here.
Result: as migrate.test_upgrade(); a comment for each difference.
Errors: as migrate.test_upgrade(); whatever the models raise.';

CREATE FUNCTION migrate.test_downgrade_leaves_no_trace(
	skip pg_catalog.text[] DEFAULT '{}', lowest pg_catalog.text DEFAULT NULL)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_test_downgrade_leaves_no_trace'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.test_downgrade_leaves_no_trace(pg_catalog.text[], pg_catalog.text) IS
'Test of each revision that its downgrade leaves the schema as it was before its upgrade.
Whole schemas are compared, as migrate.compare() does. The order of columns does not count: no '
'downgrade can restore it.
Arguments: skip: revisions whose scripts are not run; lowest: a revision that is not reverted, nor '
'are its ancestors.
Result: as migrate.test_upgrade(), one test a revision; of one that fails, comments with what its '
'downgrade leaves, and the statements that are missing.
Errors: as migrate.test_upgrade().';

CREATE FUNCTION migrate.runtests(
	skip pg_catalog.text[] DEFAULT '{}', lowest pg_catalog.text DEFAULT NULL)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_runtests'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.runtests(pg_catalog.text[], pg_catalog.text) IS
'Run all tests of migrations: migrate.test_single_head_revision(), test_upgrade(), '
'test_up_down_consistency(), test_model_definitions_match_ddl() and '
'test_downgrade_leaves_no_trace().
Arguments: skip, lowest: as these have them.
Result: theirs, under one plan.
Errors: theirs.';

CREATE FUNCTION migrate.set_revision_data(revision pg_catalog.text, sql pg_catalog.text,
	at pg_catalog.text DEFAULT 'before')
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'migrate_set_revision_data'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION migrate.set_revision_data(pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
'Have the tests of migrations run statements before or after the upgrade of a revision, so that '
'its scripts meet rows. They are never run outside of tests, and are forgotten with the revision.
Arguments: revision: an identifier of one revision; sql: statements, in place of those that were '
'set before; null or empty: none; at: before or after.
Result: none.
Errors: MG001 to MG003 of the identifier; MG011 a statement that cannot be in a script; a syntax '
'error; 22023 another time; 22004 a null argument; MG012 the run lock.';

-- ---------------------------------------------------------------------------
-- Moving
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.upgrade(target pg_catalog.text DEFAULT 'head')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_upgrade'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.upgrade(pg_catalog.text) IS
'Apply all revisions that the target requires, in the caller''s transaction: either all of them '
'or none.
Arguments: target: an identifier.
Result: identifiers applied, in order; no rows if there was nothing to do.
Errors: MG001, MG002, MG003, MG005 invalid target; MG007 an applied revision was edited; MG008 a '
'script is non-transactional or incomplete; MG010 broken graph; 22004 null target; 40001 stale '
'snapshot; 55000 called from a migration script; unless there is nothing to do, 25006 read-only '
'transaction, MG012 run lock not available, 40P01 the holder of the run lock waits for this '
'transaction; and any error of a script, with revision, statement and line in its context.
Locks: the run lock, until the end of the transaction, unless there is nothing to do; and those '
'that the scripts take.';

CREATE FUNCTION migrate.downgrade(target pg_catalog.text)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_downgrade'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.downgrade(pg_catalog.text) IS
'Revert the applied revisions above the target, in the caller''s transaction: either all of them '
'or none.
Arguments: target: an identifier; -N goes down N revisions, base reverts all.
Result: identifiers reverted, in order; no rows if there was nothing to do.
Errors: MG006 a revision without a downgrade script; and those of migrate.upgrade().
Locks: as for migrate.upgrade().';

CREATE FUNCTION migrate.rehearse(target pg_catalog.text DEFAULT 'head',
	direction pg_catalog.text DEFAULT 'upgrade', round_trip pg_catalog.bool DEFAULT false,
	OUT step pg_catalog.int4, OUT revision pg_catalog.text, OUT statement pg_catalog.int4,
	OUT line pg_catalog.int4, OUT sql pg_catalog.text, OUT duration pg_catalog.interval,
	OUT wal_bytes pg_catalog.numeric, OUT rows_affected pg_catalog.int8,
	OUT locks pg_catalog.text[], OUT waited pg_catalog.interval,
	OUT rewrites pg_catalog.regclass[], OUT scans pg_catalog.regclass[],
	OUT problem pg_catalog.text)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'migrate_rehearse'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.rehearse(pg_catalog.text, pg_catalog.text, pg_catalog.bool) IS
'Run what migrate.upgrade(target) or migrate.downgrade(target) would, on the real tables, in a '
'subtransaction that is rolled back, and say what each statement does.
Arguments: target: an identifier; direction: upgrade or downgrade; round_trip: run the way back '
'too, and say what is not as before.
Result: a row a statement: locks: those it took on relations that were there before; waited: for '
'locks of others; rewrites: relations that got new files; scans: tables that were read from begin '
'to end; problem: why the rehearsal ended, or what was not run as it is written. No rows if there '
'is nothing to do.
Errors: those with which migrate.upgrade() and migrate.downgrade() refuse a target or a plan, but '
'for MG008 of scripts that are only non-transactional; 22023 another direction; 25006; 55000; '
'MG012. Errors of scripts are rows.
Locks: the run lock and those that the scripts take, until it ends: after '
'migrate.rehearse_timeout at the latest.';

CREATE FUNCTION migrate.rehearsal_report(target pg_catalog.text DEFAULT 'head',
	direction pg_catalog.text DEFAULT 'upgrade', round_trip pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_rehearsal_report'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.rehearsal_report(pg_catalog.text, pg_catalog.text, pg_catalog.bool) IS
'Rehearse as migrate.rehearse() does, and return a page of HTML for a pull request.
Arguments: as for migrate.rehearse().
Result: the page: one file of ASCII characters, without scripts or anything from the network.
Errors: those of migrate.rehearse().
Locks: as for migrate.rehearse().';

CREATE FUNCTION migrate.upgrade(target pg_catalog.int4)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_refuse_number'
LANGUAGE C IMMUTABLE;

COMMENT ON FUNCTION migrate.upgrade(pg_catalog.int4) IS
'Refuse a number, and say that it has to be quoted: migrate.upgrade(''+1'').
Arguments: target: a number.
Result: none, it always fails.
Errors: 42804; 22004 null target.';

CREATE FUNCTION migrate.downgrade(target pg_catalog.int4)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_refuse_number'
LANGUAGE C IMMUTABLE;

COMMENT ON FUNCTION migrate.downgrade(pg_catalog.int4) IS
'Refuse a number, and say that it has to be quoted: migrate.downgrade(''-1'').
Arguments: target: a number.
Result: none, it always fails.
Errors: 42804; 22004 null target.';

CREATE PROCEDURE migrate.upgrade_stepwise(target pg_catalog.text DEFAULT 'head')
AS 'MODULE_PATHNAME', 'migrate_upgrade_stepwise'
LANGUAGE C;

COMMENT ON PROCEDURE migrate.upgrade_stepwise(pg_catalog.text) IS
'Apply all revisions that the target requires, and commit after each. Non-transactional scripts '
'are run too, statement by statement. After an interruption or error, another call resumes where '
'the previous one stopped.
Arguments: target: an identifier.
Result: none.
Errors: 25001 called in a transaction block or in a function; MG013 a statement is in doubt; '
'MG012 run lock not available, or lost; MG005 a downgrade is incomplete; and those of '
'migrate.upgrade() except MG008. Work committed before the error remains.
Locks: the run lock, held by the session until the call returns; and those that the scripts '
'take.';

CREATE PROCEDURE migrate.downgrade_stepwise(target pg_catalog.text)
AS 'MODULE_PATHNAME', 'migrate_downgrade_stepwise'
LANGUAGE C;

COMMENT ON PROCEDURE migrate.downgrade_stepwise(pg_catalog.text) IS
'Revert the applied revisions above the target, and commit after each. Non-transactional scripts '
'are run too, statement by statement.
Arguments: target: an identifier; -N goes down N revisions, base reverts all.
Result: none.
Errors: MG006 a revision without a downgrade script; and those of migrate.upgrade_stepwise().
Locks: as for migrate.upgrade_stepwise().';

CREATE FUNCTION migrate.resume(revision pg_catalog.text, decision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_resume'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.resume(pg_catalog.text, pg_catalog.text) IS
'Record a decision about a statement in doubt. Run nothing: the next CALL of '
'migrate.upgrade_stepwise() or migrate.downgrade_stepwise() resumes the script.
Arguments: revision: its identifier; decision: done (the statement has done its work) or again '
'(run it again).
Result: the revision''s full identifier.
Errors: 55000 no statement of the revision is in doubt; 22023 unknown decision; MG001, MG002, '
'MG003 not exactly one revision; MG007 the script was changed; 22004 null argument; 25006 '
'read-only transaction; 40001 stale snapshot; 40P01 the holder of the run lock waits for this '
'transaction; 55000 called from a migration script; MG012 run lock not available.
Locks: the run lock, until the end of the transaction.';

CREATE VIEW migrate.progress AS
SELECT r.pid,
	r.operation,
	r.target,
	r.revision,
	r.step,
	r.steps,
	r.started_at,
	r.step_started_at,
	p.statements_done OPERATOR(pg_catalog.+) 1 AS statement,
	p.statements,
	p.statement_started_at,
	COALESCE(i.phase, v.phase, c.phase) AS phase,
	pg_catalog.round(CASE
		-- tuples and blocks can be those of the previous phase
		WHEN i.phase OPERATOR(pg_catalog.~~) 'waiting for %'
				AND i.lockers_total OPERATOR(pg_catalog.>) 0
			THEN i.lockers_done::pg_catalog.numeric OPERATOR(pg_catalog./) i.lockers_total
		WHEN i.phase OPERATOR(pg_catalog.~~) ANY (ARRAY['waiting for %', '%: sorting %'])
			THEN NULL
		WHEN i.tuples_total OPERATOR(pg_catalog.>) 0 AND i.tuples_done OPERATOR(pg_catalog.>) 0
			THEN i.tuples_done::pg_catalog.numeric OPERATOR(pg_catalog./) i.tuples_total
		WHEN i.blocks_total OPERATOR(pg_catalog.>) 0
			THEN i.blocks_done::pg_catalog.numeric OPERATOR(pg_catalog./) i.blocks_total
		WHEN v.heap_blks_total OPERATOR(pg_catalog.>) 0
			THEN v.heap_blks_scanned::pg_catalog.numeric OPERATOR(pg_catalog./) v.heap_blks_total
		WHEN c.heap_blks_total OPERATOR(pg_catalog.>) 0
			THEN c.heap_blks_scanned::pg_catalog.numeric OPERATOR(pg_catalog./) c.heap_blks_total
	END, 3) AS done,
	a.wait_event_type,
	a.wait_event,
	pg_catalog.pg_blocking_pids(r.pid) AS blocked_by,
	a.query
FROM migrate.running r
	-- no process holds the lock for a row left over by a crash
	JOIN pg_catalog.pg_locks l ON l.pid OPERATOR(pg_catalog.=) r.pid
		AND l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted
		AND l.classid OPERATOR(pg_catalog.=) 1835624306::pg_catalog.oid
		AND l.objid OPERATOR(pg_catalog.=) 2::pg_catalog.oid AND l.objsubid OPERATOR(pg_catalog.=) 2
		AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d
			WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
	LEFT JOIN migrate.partial p ON p.revision OPERATOR(pg_catalog.=) r.revision
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) r.pid
	LEFT JOIN pg_catalog.pg_stat_progress_create_index i ON i.pid OPERATOR(pg_catalog.=) r.pid
	LEFT JOIN pg_catalog.pg_stat_progress_vacuum v ON v.pid OPERATOR(pg_catalog.=) r.pid
	LEFT JOIN pg_catalog.pg_stat_progress_cluster c ON c.pid OPERATOR(pg_catalog.=) r.pid;

COMMENT ON VIEW migrate.progress IS 'The stepwise run in progress; no rows if there is none.';
COMMENT ON COLUMN migrate.progress.pid IS 'its server process';
COMMENT ON COLUMN migrate.progress.step IS 'number of the revision in the plan, from 1';
COMMENT ON COLUMN migrate.progress.statement IS
'number of the running statement, from 1; NULL in a transactional script, and until the first '
'statement of a non-transactional one is recorded';
COMMENT ON COLUMN migrate.progress.statement_started_at IS 'when that statement was started';
COMMENT ON COLUMN migrate.progress.phase IS
'phase of an index build, VACUUM, CLUSTER or REPACK, from pg_stat_progress_*';
COMMENT ON COLUMN migrate.progress.done IS 'completed share of the phase, 0 to 1';
COMMENT ON COLUMN migrate.progress.blocked_by IS 'processes whose locks it waits for';
COMMENT ON COLUMN migrate.progress.query IS 'visible to roles that can see it in pg_stat_activity';

ALTER VIEW migrate.progress OWNER TO @extowner@;

CREATE FUNCTION migrate.upgrade_sql(
	target pg_catalog.text DEFAULT 'head',
	per_revision pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_upgrade_sql'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.upgrade_sql(pg_catalog.text, pg_catalog.bool) IS
'Return the SQL script that migrate.upgrade(target) would run, for psql or for review. Change '
'nothing.
Arguments: target: an identifier, or start:target to begin at start regardless of the revisions '
'applied here; per_revision: the script commits each revision by itself.
Result: the script. It refuses to run in a database that is not at its start.
Errors: MG001, MG002, MG003, MG005 invalid target; MG007 an applied revision was edited; MG008 a '
'script is incomplete; MG010 broken graph; MG011, 42601 a script that was changed by hand; 22004 '
'null argument.';

CREATE FUNCTION migrate.downgrade_sql(
	target pg_catalog.text,
	per_revision pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_downgrade_sql'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.downgrade_sql(pg_catalog.text, pg_catalog.bool) IS
'Return the SQL script that migrate.downgrade(target) would run, for psql or for review. Change '
'nothing.
Arguments: target: an identifier, or start:target, with start above target, to begin at start '
'regardless of the revisions applied here; per_revision: as for migrate.upgrade_sql().
Result: the script. It refuses to run in a database that is not at its start.
Errors: MG006 a revision without a downgrade script; and those of migrate.upgrade_sql().';

CREATE FUNCTION migrate.begin_script(
	operation pg_catalog.text,
	versions pg_catalog.text[],
	steps pg_catalog.text[],
	resume pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'migrate_begin_script'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.begin_script(
	pg_catalog.text, pg_catalog.text[], pg_catalog.text[], pg_catalog.bool) IS
'Begin a script of migrate.upgrade_sql() or migrate.downgrade_sql(): take the run lock, refuse a '
'database in a different state, and remember the session''s settings, which migrate.record() '
'restores. Write nothing.
Arguments: operation: upgrade or downgrade; versions: the version rows that the script starts '
'from; steps: pairs of a revision and the checksum of its script; resume: keep the settings '
'remembered before, in the second and later transactions of a script.
Result: none.
Errors: MG005 different version rows; MG007 a revision was changed after the script was made or '
'after it was applied; MG008 a script is incomplete; MG001 no such revision; MG010 broken graph; '
'22023 invalid argument; 22004 null argument; 25006 read-only transaction; 40001 stale snapshot; '
'40P01 the holder of the run lock waits for this transaction; 55000 called from a migration '
'script; MG012 run lock not available.
Locks: the run lock, until the end of the transaction.';

CREATE FUNCTION migrate.record(operation pg_catalog.text, revision pg_catalog.text)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_record'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.record(pg_catalog.text, pg_catalog.text) IS
'Record one step that was done elsewhere, for example by a script of migrate.upgrade_sql(), in '
'migrate.versions, migrate.applied and migrate.log. Run nothing.
Arguments: operation: upgrade (of a revision that is not applied, but whose parents and '
'dependencies are) or downgrade (of a current revision); revision: its full identifier.
Result: the new version rows.
Errors: MG005 not the next step; MG001 no such revision; MG007 an applied revision was edited; '
'MG010 broken graph; 22023 unknown operation; 22004 null argument; 25006 read-only transaction; '
'40001 stale snapshot; 40P01 the holder of the run lock waits for this transaction; 55000 called '
'from a migration script; MG012 run lock not available.
Locks: the run lock, until the end of the transaction.';

CREATE FUNCTION migrate.stamp(
	target pg_catalog.text DEFAULT 'head',
	purge pg_catalog.bool DEFAULT false)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_stamp'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.stamp(pg_catalog.text, pg_catalog.bool) IS
'Set the version rows without running anything.
Arguments: target: an identifier; purge: delete all version rows first, and record every '
'checksum anew.
Result: the new version rows.
Errors: MG001, MG002, MG003, MG005 invalid target; MG010 broken graph; 22004 null argument; '
'25006 read-only transaction; 40001 stale snapshot; 40P01 the holder of the run lock waits for '
'this transaction; 55000 called from a migration script; MG012 run lock not available.
Locks: the run lock, until the end of the transaction, unless nothing changes.';

CREATE FUNCTION migrate.stamp(targets pg_catalog.text[], purge pg_catalog.bool DEFAULT false)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_stamp_several'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.stamp(pg_catalog.text[], pg_catalog.bool) IS
'Set the version rows to several targets without running anything.
Arguments: targets: identifiers (none: base, with purge); purge: delete all version rows first, '
'and record every checksum anew.
Result: the new version rows.
Errors: 22023 empty targets without purge; and those of migrate.stamp(text, bool).
Locks: the run lock, until the end of the transaction, unless nothing changes.';

CREATE FUNCTION migrate.adopt_alembic(
	version_table pg_catalog.text DEFAULT 'alembic_version',
	renamed pg_catalog.jsonb DEFAULT '{}')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_adopt_alembic'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.adopt_alembic(pg_catalog.text, pg_catalog.jsonb) IS
'Stamp the revisions that an Alembic version table names. The table is only read, with the '
'caller''s privileges.
Arguments: version_table: an SQL name, optionally schema-qualified; renamed: an object with '
'Alembic''s identifiers of revisions that have others here, and these.
Result: the new version rows.
Errors: 22023 renamed is no object of strings; 42P01 no such table; 42809 not a table; 42703 no '
'column version_num, 42804 not of a text type; 42501 permission denied, or the table has '
'policies; MG001 a revision that is not stored here; MG005 its rows overlap or are older than the '
'version rows here; and those of migrate.stamp().
Locks: the run lock, until the end of the transaction, unless nothing changes.';

-- Functions that write can be called by the owner and the roles that the owner
-- grants EXECUTE to; those that only read, by every role with USAGE on the
-- schema.  The owner comes first: it is the grantor of these privileges.
ALTER FUNCTION migrate.script_checksum(pg_catalog.text, pg_catalog.bool) OWNER TO @extowner@;
ALTER FUNCTION migrate.forget_heads() OWNER TO @extowner@;
ALTER FUNCTION migrate.revision(
	pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text,
	pg_catalog.bool, pg_catalog.text, pg_catalog.text[], pg_catalog.bool, pg_catalog.bool,
	pg_catalog.bool, pg_catalog.text[])
OWNER TO @extowner@;
ALTER FUNCTION migrate.merge(
	pg_catalog.text[], pg_catalog.text, pg_catalog.text, pg_catalog.text)
OWNER TO @extowner@;
ALTER FUNCTION migrate.edit(
	pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool,
	pg_catalog.bool)
OWNER TO @extowner@;
ALTER FUNCTION migrate.drop(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.load(pg_catalog.text, pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.load_directory(pg_catalog.text, pg_catalog.text, pg_catalog.bool)
OWNER TO @extowner@;
ALTER FUNCTION migrate.load_files(
	pg_catalog.bytea[], pg_catalog.text[], pg_catalog.bool, pg_catalog.bool)
OWNER TO @extowner@;
ALTER FUNCTION migrate.file_status(pg_catalog.bytea[], pg_catalog.text[]) OWNER TO @extowner@;
ALTER FUNCTION migrate.export(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.file_name(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.configure(pg_catalog.text, pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.set_model(pg_catalog.text, pg_catalog.text, pg_catalog.int4)
	OWNER TO @extowner@;
ALTER FUNCTION migrate.drop_model(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.compare(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.drift() OWNER TO @extowner@;
ALTER FUNCTION migrate.diff_sql(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.derive_downgrade(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.capture(pg_catalog.text, pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.schema_sql(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.create_all() OWNER TO @extowner@;
ALTER FUNCTION migrate.init_db(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.test_single_head_revision(pg_catalog.text[], pg_catalog.text)
	OWNER TO @extowner@;
ALTER FUNCTION migrate.test_upgrade(pg_catalog.text[], pg_catalog.text)
	OWNER TO @extowner@;
ALTER FUNCTION migrate.test_up_down_consistency(pg_catalog.text[], pg_catalog.text)
	OWNER TO @extowner@;
ALTER FUNCTION migrate.test_model_definitions_match_ddl(pg_catalog.text[], pg_catalog.text)
	OWNER TO @extowner@;
ALTER FUNCTION migrate.test_downgrade_leaves_no_trace(pg_catalog.text[], pg_catalog.text)
	OWNER TO @extowner@;
ALTER FUNCTION migrate.runtests(pg_catalog.text[], pg_catalog.text)
	OWNER TO @extowner@;
ALTER FUNCTION migrate.set_revision_data(pg_catalog.text, pg_catalog.text, pg_catalog.text)
	OWNER TO @extowner@;
ALTER FUNCTION migrate.current() OWNER TO @extowner@;
ALTER FUNCTION migrate.heads() OWNER TO @extowner@;
ALTER FUNCTION migrate.bases() OWNER TO @extowner@;
ALTER FUNCTION migrate.branches() OWNER TO @extowner@;
ALTER FUNCTION migrate.pending(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.history(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.resolve(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.show(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.graph(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.undo_step(
	pg_catalog.internal, pg_catalog.text[], pg_catalog.text[], pg_catalog.text[],
	pg_catalog.int4)
OWNER TO @extowner@;
ALTER FUNCTION migrate.undone(pg_catalog.internal) OWNER TO @extowner@;
ALTER AGGREGATE migrate.undo_steps(
	pg_catalog.text[], pg_catalog.text[], pg_catalog.text[], pg_catalog.int4)
OWNER TO @extowner@;
ALTER FUNCTION migrate.check(pg_catalog.bool, pg_catalog.bool) OWNER TO @extowner@;
ALTER FUNCTION migrate.lint(pg_catalog.text, pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.lint_rules() OWNER TO @extowner@;
ALTER FUNCTION migrate.check_revisions() OWNER TO @extowner@;
ALTER FUNCTION migrate.upgrade(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.upgrade(pg_catalog.int4) OWNER TO @extowner@;
ALTER FUNCTION migrate.downgrade(pg_catalog.int4) OWNER TO @extowner@;
ALTER FUNCTION migrate.downgrade(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.rehearse(pg_catalog.text, pg_catalog.text, pg_catalog.bool)
OWNER TO @extowner@;
ALTER FUNCTION migrate.rehearsal_report(pg_catalog.text, pg_catalog.text, pg_catalog.bool)
OWNER TO @extowner@;
ALTER PROCEDURE migrate.upgrade_stepwise(pg_catalog.text) OWNER TO @extowner@;
ALTER PROCEDURE migrate.downgrade_stepwise(pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.resume(pg_catalog.text, pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.upgrade_sql(pg_catalog.text, pg_catalog.bool) OWNER TO @extowner@;
ALTER FUNCTION migrate.downgrade_sql(pg_catalog.text, pg_catalog.bool) OWNER TO @extowner@;
ALTER FUNCTION migrate.begin_script(
	pg_catalog.text, pg_catalog.text[], pg_catalog.text[], pg_catalog.bool)
OWNER TO @extowner@;
ALTER FUNCTION migrate.record(pg_catalog.text, pg_catalog.text) OWNER TO @extowner@;
ALTER FUNCTION migrate.stamp(pg_catalog.text, pg_catalog.bool) OWNER TO @extowner@;
ALTER FUNCTION migrate.stamp(pg_catalog.text[], pg_catalog.bool) OWNER TO @extowner@;
ALTER FUNCTION migrate.adopt_alembic(pg_catalog.text, pg_catalog.jsonb) OWNER TO @extowner@;

REVOKE EXECUTE ON FUNCTION
	migrate.forget_heads(),
	migrate.revision(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text,
		pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text[], pg_catalog.bool,
		pg_catalog.bool, pg_catalog.bool, pg_catalog.text[]),
	migrate.merge(pg_catalog.text[], pg_catalog.text, pg_catalog.text, pg_catalog.text),
	migrate.edit(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text,
		pg_catalog.bool, pg_catalog.bool),
	migrate.drop(pg_catalog.text),
	migrate.load(pg_catalog.text, pg_catalog.text),
	migrate.load_directory(pg_catalog.text, pg_catalog.text, pg_catalog.bool),
	migrate.load_files(pg_catalog.bytea[], pg_catalog.text[], pg_catalog.bool, pg_catalog.bool),
	migrate.configure(pg_catalog.text, pg_catalog.text),
	migrate.set_model(pg_catalog.text, pg_catalog.text, pg_catalog.int4),
	migrate.drop_model(pg_catalog.text),
	migrate.check(pg_catalog.bool, pg_catalog.bool),
	migrate.lint(pg_catalog.text, pg_catalog.text),
	migrate.compare(pg_catalog.text),
	migrate.drift(),
	migrate.diff_sql(pg_catalog.text),
	migrate.derive_downgrade(pg_catalog.text),
	migrate.capture(pg_catalog.text, pg_catalog.text),
	migrate.schema_sql(pg_catalog.text),
	migrate.test_single_head_revision(pg_catalog.text[], pg_catalog.text),
	migrate.test_upgrade(pg_catalog.text[], pg_catalog.text),
	migrate.test_up_down_consistency(pg_catalog.text[], pg_catalog.text),
	migrate.test_model_definitions_match_ddl(pg_catalog.text[], pg_catalog.text),
	migrate.test_downgrade_leaves_no_trace(pg_catalog.text[], pg_catalog.text),
	migrate.runtests(pg_catalog.text[], pg_catalog.text),
	migrate.set_revision_data(pg_catalog.text, pg_catalog.text, pg_catalog.text),
	migrate.create_all(),
	migrate.init_db(pg_catalog.text),
	migrate.upgrade(pg_catalog.text),
	migrate.downgrade(pg_catalog.text),
	migrate.rehearse(pg_catalog.text, pg_catalog.text, pg_catalog.bool),
	migrate.rehearsal_report(pg_catalog.text, pg_catalog.text, pg_catalog.bool),
	migrate.resume(pg_catalog.text, pg_catalog.text),
	migrate.begin_script(pg_catalog.text, pg_catalog.text[], pg_catalog.text[],
		pg_catalog.bool),
	migrate.record(pg_catalog.text, pg_catalog.text),
	migrate.stamp(pg_catalog.text, pg_catalog.bool),
	migrate.stamp(pg_catalog.text[], pg_catalog.bool),
	migrate.adopt_alembic(pg_catalog.text, pg_catalog.jsonb)
FROM PUBLIC;
REVOKE EXECUTE ON PROCEDURE
	migrate.upgrade_stepwise(pg_catalog.text),
	migrate.downgrade_stepwise(pg_catalog.text)
FROM PUBLIC;

-- What pg_init_privs would remember names the owner; see src/command/install.c.
CREATE FUNCTION migrate.forget_initial_privileges(function pg_catalog.oid)
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'migrate_forget_initial_privileges'
LANGUAGE C VOLATILE;
SELECT migrate.forget_initial_privileges(p.oid)
FROM pg_catalog.pg_proc p
WHERE p.pronamespace OPERATOR(pg_catalog.=) 'migrate'::pg_catalog.regnamespace;
DROP FUNCTION migrate.forget_initial_privileges(pg_catalog.oid);
