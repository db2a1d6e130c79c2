/* migrate--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION migrate" to load this file. \quit

-- Everything is created plainly: a schema or an object of that name that
-- somebody made beforehand is an error, never adopted.
CREATE SCHEMA migrate;

-- ---------------------------------------------------------------------------
-- Tables
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.script_checksum(script pg_catalog.text, transactional pg_catalog.bool)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_script_checksum'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION migrate.script_checksum(pg_catalog.text, pg_catalog.bool) IS
'SHA-256, in hexadecimal, of an upgrade script and of whether it is transactional.
Arguments: script, transactional.
Result: of a transactional script the digest of its text in UTF-8 with LF line ends and without blank lines in front (before and between its first comment lines); of a non-transactional one the same with a line "transaction:false" before it.';

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
	checksum pg_catalog.text GENERATED ALWAYS AS (migrate.script_checksum(upgrade_sql, upgrade_transactional)) STORED,
	created_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
	created_by pg_catalog.text NOT NULL DEFAULT CURRENT_USER,
	modified_by pg_catalog.text NOT NULL DEFAULT CURRENT_USER,
	CONSTRAINT revisions_pkey PRIMARY KEY (revision)
);
CREATE INDEX revisions_labelled_idx ON migrate.revisions (revision) WHERE branch_labels OPERATOR(pg_catalog.<>) '{}'::pg_catalog.text[];
COMMENT ON TABLE migrate.revisions IS 'Revisions: one row is a revision. Written by the functions of this schema only.';
COMMENT ON COLUMN migrate.revisions.revision IS 'identifier, 1 to 255 bytes';
COMMENT ON COLUMN migrate.revisions.down_revisions IS 'parents: empty for a base, several for a merge point';
COMMENT ON COLUMN migrate.revisions.depends_on IS 'revisions of other branches that must be applied before';
COMMENT ON COLUMN migrate.revisions.branch_labels IS 'names of the branch that begins here';
COMMENT ON COLUMN migrate.revisions.downgrade_sql IS 'NULL: cannot be downgraded';
COMMENT ON COLUMN migrate.revisions.checksum IS 'migrate.script_checksum(upgrade_sql, upgrade_transactional)';
COMMENT ON COLUMN migrate.revisions.created_at IS 'from the file''s Create Date where there is one';

CREATE TABLE migrate.versions (
	revision pg_catalog.text NOT NULL,
	CONSTRAINT versions_pkey PRIMARY KEY (revision)
);
COMMENT ON TABLE migrate.versions IS 'Version rows: one row is a current head of this database. Always the maximal elements of migrate.applied.';

CREATE TABLE migrate.applied (
	revision pg_catalog.text NOT NULL,
	checksum pg_catalog.text NOT NULL,
	applied_at pg_catalog.timestamptz NOT NULL,
	how pg_catalog.text NOT NULL,
	CONSTRAINT applied_pkey PRIMARY KEY (revision),
	CONSTRAINT applied_how_check CHECK (how OPERATOR(pg_catalog.=) ANY (ARRAY['upgrade'::pg_catalog.text, 'stamp'::pg_catalog.text]))
);
COMMENT ON TABLE migrate.applied IS 'Applied revisions: the real ancestors of migrate.versions, themselves included.';
COMMENT ON COLUMN migrate.applied.checksum IS 'what the revision''s checksum was when it was applied or stamped';

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
	intent_existed pg_catalog.bool NOT NULL DEFAULT false,
	intent_relations pg_catalog.oid[] NOT NULL DEFAULT '{}',
	intent_indexes pg_catalog.oid[] NOT NULL DEFAULT '{}',
	intent_database pg_catalog.text,
	settings pg_catalog.text[] NOT NULL DEFAULT '{}',
	CONSTRAINT partial_pkey PRIMARY KEY (revision),
	CONSTRAINT partial_direction_check CHECK (direction OPERATOR(pg_catalog.=) ANY (ARRAY['upgrade'::pg_catalog.text, 'downgrade'::pg_catalog.text]))
);
COMMENT ON TABLE migrate.partial IS 'Non-transactional scripts that have begun and not ended.';
COMMENT ON COLUMN migrate.partial.statements IS 'how many the script has';
COMMENT ON COLUMN migrate.partial.digest IS 'of the statements that are done';
COMMENT ON COLUMN migrate.partial.in_doubt IS 'the next statement has begun; after a crash nobody knows whether it ended';
COMMENT ON COLUMN migrate.partial.statement_started_at IS 'when the next statement began, or the last one ended';
COMMENT ON COLUMN migrate.partial.intent IS 'digest of the statements that are done and of the one that has begun and commits by itself; NULL: none';
COMMENT ON COLUMN migrate.partial.intent_existed IS 'what that one makes was there before';
COMMENT ON COLUMN migrate.partial.intent_relations IS 'tables whose indexes it builds';
COMMENT ON COLUMN migrate.partial.intent_indexes IS 'indexes that these tables had before; for REINDEX those that were invalid; for DROP INDEX the one to drop';
COMMENT ON COLUMN migrate.partial.intent_database IS 'database of these OIDs, as system identifier and OID; in a restored one they mean nothing';
COMMENT ON COLUMN migrate.partial.settings IS 'what the statements that are recorded as done have set, "name=value" or, where they reset it, "name": set again before the script resumes';

-- One row while a run that commits step by step is under way, or since it
-- crashed: what migrate.progress shows.  Of no use elsewhere: dumps
-- leave it out.
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
COMMENT ON TABLE migrate.running IS 'The run that commits step by step and is under way; see migrate.progress.';

CREATE TABLE migrate.log (
	id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY,
	operation pg_catalog.text NOT NULL,
	revision pg_catalog.text,
	checksum pg_catalog.text,
	versions_before pg_catalog.text[] NOT NULL,
	versions_after pg_catalog.text[] NOT NULL,
	started_at pg_catalog.timestamptz NOT NULL,
	duration pg_catalog.interval NOT NULL,
	session_role pg_catalog.text NOT NULL,
	effective_role pg_catalog.text NOT NULL,
	application_name pg_catalog.text NOT NULL,
	client_addr pg_catalog.inet,
	server_version pg_catalog.text NOT NULL,
	CONSTRAINT log_pkey PRIMARY KEY (id),
	CONSTRAINT log_operation_check CHECK (operation OPERATOR(pg_catalog.=) ANY (ARRAY['upgrade'::pg_catalog.text, 'downgrade'::pg_catalog.text, 'stamp'::pg_catalog.text]))
);
COMMENT ON TABLE migrate.log IS 'Steps done: who moved what, when, how long it took.';
COMMENT ON COLUMN migrate.log.revision IS 'NULL: stamped to base';
COMMENT ON COLUMN migrate.log.session_role IS 'the role that logged in';
COMMENT ON COLUMN migrate.log.effective_role IS 'the role that called migrate';

CREATE TABLE migrate.models (
	name pg_catalog.text NOT NULL,
	ordinal pg_catalog.int4 NOT NULL,
	ddl pg_catalog.text NOT NULL,
	CONSTRAINT models_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE migrate.models IS 'Models: named pieces of the declared schema.';

CREATE TABLE migrate.settings (
	name pg_catalog.text NOT NULL,
	value pg_catalog.text NOT NULL,
	CONSTRAINT settings_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE migrate.settings IS 'Project settings, written by migrate.configure().';

-- The heads, so that "nothing to do" is known without reading the graph.  Empty
-- means not known; whatever a restore does first, the rows are right or none.
-- (By its name it comes behind migrate.revisions in a dump, and so is kept.)
CREATE TABLE migrate.revisions_heads (
	revision pg_catalog.text NOT NULL,
	is_real pg_catalog.bool NOT NULL,
	CONSTRAINT revisions_heads_pkey PRIMARY KEY (revision)
);
COMMENT ON TABLE migrate.revisions_heads IS 'Head revisions, or no row when they are not known. Kept by the functions of this schema.';
COMMENT ON COLUMN migrate.revisions_heads.is_real IS 'no other revision depends on it either';

CREATE FUNCTION migrate.forget_heads()
RETURNS pg_catalog.trigger
AS 'MODULE_PATHNAME', 'migrate_forget_heads'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.forget_heads() IS
'Trigger function of migrate.revisions and migrate.partial: empties migrate.revisions_heads, whoever writes.';

CREATE TRIGGER forget_heads AFTER INSERT OR DELETE OR UPDATE OF revision, down_revisions, depends_on ON migrate.revisions
FOR EACH ROW EXECUTE FUNCTION migrate.forget_heads();
CREATE TRIGGER forget_all_heads AFTER TRUNCATE ON migrate.revisions
FOR EACH STATEMENT EXECUTE FUNCTION migrate.forget_heads();
-- While a script has begun and not ended, "nothing to do" takes a closer look.
CREATE TRIGGER forget_all_heads AFTER INSERT ON migrate.partial
FOR EACH STATEMENT EXECUTE FUNCTION migrate.forget_heads();
-- also in a restore and where rows arrive by replication
ALTER TABLE migrate.revisions ENABLE ALWAYS TRIGGER forget_heads;
ALTER TABLE migrate.revisions ENABLE ALWAYS TRIGGER forget_all_heads;
ALTER TABLE migrate.partial ENABLE ALWAYS TRIGGER forget_all_heads;

SELECT pg_catalog.pg_extension_config_dump('migrate.revisions', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.versions', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.applied', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.partial', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.running', 'WHERE false');
SELECT pg_catalog.pg_extension_config_dump('migrate.log', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.log_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.revisions_heads', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.models', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.settings', '');

-- The script runs as the bootstrap superuser when a database owner installs:
-- schema and tables (and with a table its own sequence) belong to whoever
-- installs.
ALTER TABLE migrate.revisions OWNER TO @extowner@;
ALTER TABLE migrate.versions OWNER TO @extowner@;
ALTER TABLE migrate.applied OWNER TO @extowner@;
ALTER TABLE migrate.partial OWNER TO @extowner@;
ALTER TABLE migrate.running OWNER TO @extowner@;
ALTER TABLE migrate.log OWNER TO @extowner@;
ALTER TABLE migrate.revisions_heads OWNER TO @extowner@;
ALTER TABLE migrate.models OWNER TO @extowner@;
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
	autogenerate pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_revision'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.revision(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text[], pg_catalog.bool, pg_catalog.bool) IS
'Stores a new revision.
Arguments: message; upgrade and downgrade, the scripts (downgrade NULL: cannot be downgraded, but '''' where the upgrade is empty too); rev_id (NULL: made by the setting revision_ids); head, the parent (an identifier, or base); splice, allow a parent that is not a head; branch_label; depends_on (identifiers); transactional, of both scripts; autogenerate.
Result: the new id.
Errors: 22023 bad message or id, 42601 and MG011 a script that cannot be taken, MG001 to MG003 a parent that is none or several, MG005 a parent that is not a head, MG010 an id or label that is taken; 0A000 autogenerate; 22004 a null argument; 25006 in a read-only transaction; 40001 a stale snapshot; 55000 called from a migration script; MG012 the lock could not be had.';

CREATE FUNCTION migrate.merge(
	revisions pg_catalog.text[] DEFAULT '{heads}',
	message pg_catalog.text DEFAULT NULL,
	rev_id pg_catalog.text DEFAULT NULL,
	branch_label pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_merge'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.merge(pg_catalog.text[], pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
'Stores a merge revision with empty scripts.
Arguments: revisions to merge (identifiers of at least two heads), message (NULL: "merge a and b"), rev_id, branch_label.
Result: the new id.
Errors: MG005 fewer than two revisions, or one that is not a head; and those of migrate.revision().';

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

COMMENT ON FUNCTION migrate.edit(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.bool) IS
'Changes a revision; NULL leaves as it is.
Arguments: revision (identifier), upgrade, downgrade, message, transactional (of both scripts), irreversible (true: removes the downgrade script).
Result: its id.
Errors: MG007 the upgrade script of an applied revision, or what is done of a script that has begun and not ended; MG001, MG002, MG003 not one revision; 22023, 42601, MG011 as migrate.revision(); MG010 the graph is broken; 22004 a null argument; 25006 in a read-only transaction; 40001 a stale snapshot; 55000 called from a migration script; MG012 the lock could not be had.';

CREATE FUNCTION migrate.drop(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_drop'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.drop(pg_catalog.text) IS
'Forgets a revision.
Arguments: revision (identifier).
Result: its id.
Errors: MG007 it is applied; MG008 a script has begun and not ended; MG010 another revision has it as parent or dependency; MG001, MG002, MG003 not one revision; 22004 a null argument; 25006 in a read-only transaction; 40001 a stale snapshot; 55000 called from a migration script; MG012 the lock could not be had.';

CREATE FUNCTION migrate.load(content pg_catalog.text, name pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_load'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.load(pg_catalog.text, pg_catalog.text) IS
'Stores the revision of one revision file: new ones are added, changed ones that are not applied replaced, and the same again changes nothing and takes no lock.
Arguments: content of the file; name of the file, for messages and for files without a header.
Result: the revision''s id.
Errors: MG011 a file that cannot be taken, 42601 a script that cannot be parsed (both with name and line), MG007 the upgrade script or the parents of an applied revision differ, MG001 and MG002 a parent that is none or several, MG003 several heads that a file without a header could follow, MG010 the graph would be broken; 22004 a null argument; 25006 in a read-only transaction; 40001 a stale snapshot; 55000 called from a migration script; MG012 the lock could not be had.';

CREATE FUNCTION migrate.load_directory(path pg_catalog.text, format pg_catalog.text DEFAULT 'auto')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_load_directory'
LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION migrate.load_directory(pg_catalog.text, pg_catalog.text) IS
'Stores the revisions of all *.sql files of a directory of the server: the whole of it or nothing, parents before children. The files are UTF-8.
Arguments: path; format: native (every file has a header), dbmate (none has), auto.
Result: ids that were added or changed, parents before children.
Errors: 42501 without the rights of pg_read_server_files; 22023 no such format, or an empty path; 22021 and 22P05 a file that is not UTF-8, or that the database''s encoding does not have; 54000 a file over 256 MB; 58P01 and others of the file system; and those of migrate.load().';

CREATE FUNCTION migrate.export(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_export'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.export(pg_catalog.text) IS
'A revision as the content of a revision file; loading it again changes nothing.
Arguments: revision (identifier).
Result: the text.
Errors: MG001, MG002, MG003 not one revision; MG010 the graph is broken.';

CREATE FUNCTION migrate.file_name(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_file_name'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.file_name(pg_catalog.text) IS
'Name for a revision''s file: <revision>_<slug of the message>.sql.
Arguments: revision (identifier).
Result: the name.
Errors: MG001, MG002, MG003 not one revision; MG010 the graph is broken.';

CREATE FUNCTION migrate.configure(name pg_catalog.text, value pg_catalog.text)
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'migrate_configure'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.configure(pg_catalog.text, pg_catalog.text) IS
'Sets a project setting.
Arguments: name: revision_ids (random, serial or timestamp), managed_schemas (comma-separated names), exclude (comma-separated patterns); value (NULL: the default again).
Result: none.
Errors: 22023 no such setting, or not a value of it; 22004 a null argument; 25006 in a read-only transaction; 40001 a stale snapshot; 55000 called from a migration script; MG012 the lock could not be had.';

-- ---------------------------------------------------------------------------
-- Looking
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.current()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_current'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.current() IS
'The current revisions of this database: the rows of migrate.versions.
Result: ids in byte order; no row when nothing is applied.';

CREATE FUNCTION migrate.heads()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_heads'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.heads() IS
'The head revisions: those that are no other revision''s down revision.
Result: ids in byte order.
Errors: MG010 the graph is broken.';

CREATE FUNCTION migrate.bases()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_bases'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.bases() IS
'The base revisions: those without a down revision.
Result: ids in byte order.
Errors: MG010 the graph is broken.';

CREATE FUNCTION migrate.branches()
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_branches'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION migrate.branches() IS
'The branch points: revisions that are the down revision of more than one other.
Result: ids in byte order.
Errors: MG010 the graph is broken.';

CREATE FUNCTION migrate.pending(target pg_catalog.text DEFAULT 'heads')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_pending'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.pending(pg_catalog.text) IS
'What migrate.upgrade(target) would apply, in that order.
Arguments: target (identifier).
Result: ids; no row when there is nothing to do.
Errors: MG001, MG002, MG003, MG005 for the target; MG010 the graph is broken; 22004 a null target.';

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
'The revisions, newest first: children before parents.
Arguments: range start:end, start: or :end, both ends included (NULL: all).
Result: one row a revision.
Errors: MG005 a range that is reversed or not on one branch; MG001 to MG003 for its ends; MG010 the graph is broken.';

CREATE FUNCTION migrate.resolve(target pg_catalog.text)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_resolve'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.resolve(pg_catalog.text) IS
'The revisions that an identifier names.
Arguments: target (identifier).
Result: ids in byte order; no row for base.
Errors: MG001 no such revision, MG002 ambiguous, MG003 several heads, MG005 walked too far, MG010 the graph is broken; 22004 a null target.';

CREATE FUNCTION migrate.show(revision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_show'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.show(pg_catalog.text) IS
'A revision for reading: Alembic''s verbose entry, and both scripts.
Arguments: revision (identifier; of several revisions, as for heads, all are shown).
Result: the text, without a line end behind the last line; empty for base.
Errors: MG001 no such revision, MG002 ambiguous, MG003 several heads, MG005 walked too far, MG010 the graph is broken; 22004 a null revision.';

CREATE FUNCTION migrate.graph(format pg_catalog.text DEFAULT 'text')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_graph'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.graph(pg_catalog.text) IS
'The revision graph as a picture.
Arguments: format: text (for a terminal, newest first; * is applied, o is not), dot (Graphviz), mermaid.
Result: its lines.
Errors: 22023 no such format; MG010 the graph is broken; 22004 a null format.';

CREATE VIEW migrate.status AS
WITH stamps AS (
	-- all that one stamp recorded has one time
	SELECT t.applied_at, (SELECT l.session_role FROM migrate.log l
		WHERE l.operation OPERATOR(pg_catalog.=) 'stamp' AND l.started_at OPERATOR(pg_catalog.<=) t.applied_at
		ORDER BY l.id DESC LIMIT 1) AS session_role
	FROM (SELECT DISTINCT a.applied_at FROM migrate.applied a
		WHERE a.how OPERATOR(pg_catalog.=) 'stamp') t
), upgrades AS (
	SELECT DISTINCT ON (l.revision) l.revision, l.session_role, l.duration
	FROM migrate.log l
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
FROM migrate.history() WITH ORDINALITY AS h (revision, down_revisions, depends_on, branch_labels, message,
		is_head, is_base, is_branch_point, is_merge_point, is_current, is_applied, applied_at, created_at, n)
	JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) h.revision
	LEFT JOIN migrate.applied a ON a.revision OPERATOR(pg_catalog.=) h.revision
	LEFT JOIN migrate.partial p ON p.revision OPERATOR(pg_catalog.=) h.revision
	LEFT JOIN upgrades u ON u.revision OPERATOR(pg_catalog.=) h.revision
	LEFT JOIN stamps s ON a.how OPERATOR(pg_catalog.=) 'stamp' AND s.applied_at OPERATOR(pg_catalog.=) a.applied_at
ORDER BY h.n;

COMMENT ON VIEW migrate.status IS 'Where this database is: one row a revision, newest first.';
COMMENT ON COLUMN migrate.status.state IS 'pending; applied; current: a version row; partial: a non-transactional script of it has begun and not ended';
COMMENT ON COLUMN migrate.status.labels IS 'branch labels that the revision declares';
COMMENT ON COLUMN migrate.status.message IS 'first line of the message';
COMMENT ON COLUMN migrate.status.how IS 'upgrade or stamp; NULL: not applied';
COMMENT ON COLUMN migrate.status.applied_by IS 'the role that logged in and applied it, from migrate.log';
COMMENT ON COLUMN migrate.status.duration IS 'how long its upgrade took; NULL when it was stamped';
COMMENT ON COLUMN migrate.status.edited IS 'the upgrade script is not what it was when it was applied';

ALTER VIEW migrate.status OWNER TO @extowner@;

-- ---------------------------------------------------------------------------
-- Checking
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.check(models pg_catalog.bool DEFAULT true)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'migrate_check'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.check(pg_catalog.bool) IS
'Whether the database is what the revisions say.
Arguments: models: compare it with the declared models too, if there are any.
Result: true, or an error.
Errors: MG004 revisions are pending, or a script has begun and not ended; MG007 an applied revision was edited, MG010 the graph or our tables are broken; 0A000 models are declared (not available in this version); 22004 a null argument.';

-- ---------------------------------------------------------------------------
-- Moving
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.upgrade(target pg_catalog.text DEFAULT 'head')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_upgrade'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.upgrade(pg_catalog.text) IS
'Applies the revisions that are missing for the target, in the caller''s transaction: all or nothing.
Arguments: target (identifier).
Result: ids applied, in order; no row when there was nothing to do.
Errors: MG001, MG002, MG003, MG005 for the target; MG007 an applied revision was edited; MG008 a non-transactional script, or one that has begun and not ended; MG010 the graph is broken; 22004 a null target; 40001 a stale snapshot; 55000 called from a migration script; when there is something to do, 25006 in a read-only transaction, MG012 the lock could not be had, 40P01 the runner waits for this transaction; and whatever a script raises, with revision, statement and line in the context.';

CREATE FUNCTION migrate.downgrade(target pg_catalog.text)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_downgrade'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.downgrade(pg_catalog.text) IS
'Reverts the applied revisions above the target, in the caller''s transaction: all or nothing.
Arguments: target (identifier; -N goes down N revisions, base reverts all).
Result: ids reverted, in order; no row when there was nothing to do.
Errors: MG006 a revision without a downgrade script; and those of migrate.upgrade().';

CREATE PROCEDURE migrate.upgrade_stepwise(target pg_catalog.text DEFAULT 'head')
AS 'MODULE_PATHNAME', 'migrate_upgrade_stepwise'
LANGUAGE C;

COMMENT ON PROCEDURE migrate.upgrade_stepwise(pg_catalog.text) IS
'Applies the revisions that are missing for the target, each committed when it is done; scripts that are not transactional are run too, statement by statement. A second call goes on where the first one ended, however it ended.
Arguments: target (identifier).
Result: none.
Errors: 25001 in a transaction block or in a function; MG013 a statement in doubt; MG012 the lock could not be had, or was lost; MG005 a downgrade has begun and not ended; and those of migrate.upgrade() but MG008. What was committed before the error stays.';

CREATE PROCEDURE migrate.downgrade_stepwise(target pg_catalog.text)
AS 'MODULE_PATHNAME', 'migrate_downgrade_stepwise'
LANGUAGE C;

COMMENT ON PROCEDURE migrate.downgrade_stepwise(pg_catalog.text) IS
'Reverts the applied revisions above the target, each committed when it is done; scripts that are not transactional are run too, statement by statement.
Arguments: target (identifier; -N goes down N revisions, base reverts all).
Result: none.
Errors: MG006 a revision without a downgrade script; and those of migrate.upgrade_stepwise().';

CREATE FUNCTION migrate.resume(revision pg_catalog.text, decision pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_resume'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.resume(pg_catalog.text, pg_catalog.text) IS
'Decides about a statement in doubt. Runs nothing: the next CALL of migrate.upgrade_stepwise() or migrate.downgrade_stepwise() goes on.
Arguments: revision (identifier); decision: done, the statement has done its work; again, it is to be run again.
Result: the revision''s id.
Errors: 55000 no statement of the revision is in doubt, or called from a migration script; 22023 another decision; MG001, MG002, MG003 not one revision; MG007 the script was changed; MG012 the lock could not be had; 22004 a null argument; 25006 in a read-only transaction.';

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
		-- tuples and blocks can be those of the phase before
		WHEN i.phase OPERATOR(pg_catalog.~~) 'waiting for %' AND i.lockers_total OPERATOR(pg_catalog.>) 0
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
	-- a row that a crash left has nobody who holds the lock
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

COMMENT ON VIEW migrate.progress IS 'The run that commits step by step and is under way, or no row.';
COMMENT ON COLUMN migrate.progress.pid IS 'its server process';
COMMENT ON COLUMN migrate.progress.step IS 'number of the revision in the plan, from 1';
COMMENT ON COLUMN migrate.progress.statement IS 'statement that runs, from 1; NULL in a transactional script, and before the first statement of one that is not is done';
COMMENT ON COLUMN migrate.progress.statement_started_at IS 'when it began';
COMMENT ON COLUMN migrate.progress.phase IS 'of an index build, VACUUM or CLUSTER, as pg_stat_progress_* say';
COMMENT ON COLUMN migrate.progress.done IS 'share of the phase that is done, 0 to 1';
COMMENT ON COLUMN migrate.progress.blocked_by IS 'processes whose locks it waits for';
COMMENT ON COLUMN migrate.progress.query IS 'for whoever may see it in pg_stat_activity';

ALTER VIEW migrate.progress OWNER TO @extowner@;

CREATE FUNCTION migrate.upgrade_sql(target pg_catalog.text DEFAULT 'head')
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_upgrade_sql'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.upgrade_sql(pg_catalog.text) IS
'The SQL script that migrate.upgrade(target) would run, for psql or for review. Changes nothing.
Arguments: target (identifier), or start:target to begin at start whatever is applied here.
Result: the script. It refuses a database that is not where it starts.
Errors: MG001, MG002, MG003, MG005 for the target; MG007 an applied revision was edited; MG008 a script has begun and not ended; MG010 the graph is broken; MG011, 42601 a script that somebody changed by hand; 22004 a null target.';

CREATE FUNCTION migrate.downgrade_sql(target pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_downgrade_sql'
LANGUAGE C STABLE;

COMMENT ON FUNCTION migrate.downgrade_sql(pg_catalog.text) IS
'The SQL script that migrate.downgrade(target) would run, for psql or for review. Changes nothing.
Arguments: target (identifier), or start:target, start being above, to begin at start whatever is applied here.
Result: the script. It refuses a database that is not where it starts.
Errors: MG006 a revision without a downgrade script; and those of migrate.upgrade_sql().';

CREATE FUNCTION migrate.begin_script(operation pg_catalog.text, versions pg_catalog.text[], steps pg_catalog.text[], resume pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'migrate_begin_script'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.begin_script(pg_catalog.text, pg_catalog.text[], pg_catalog.text[], pg_catalog.bool) IS
'What a script of migrate.upgrade_sql() or migrate.downgrade_sql() calls first: takes the run lock, refuses a database in another state, and remembers the session''s settings for migrate.record() to put back. Writes nothing.
Arguments: operation (upgrade or downgrade); versions, the rows that the script starts from; steps, pairs of a revision and the checksum of its script; resume: keep what was remembered, after a revision that is not transactional.
Result: none.
Errors: MG005 the version rows are others; MG007 a revision was changed, after the script was made or after it was applied; MG008 a script has begun and not ended; MG001 a revision is not here; MG010 the graph is broken; MG012 the lock could not be had; 22023, 22004 a bad argument; 25006 in a read-only transaction; 40001 a stale snapshot; 55000 called from a migration script.';

CREATE FUNCTION migrate.record(operation pg_catalog.text, revision pg_catalog.text)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_record'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.record(pg_catalog.text, pg_catalog.text) IS
'Records one step that somebody else did, a script of migrate.upgrade_sql() for one: version rows, applied, a log row. Runs nothing.
Arguments: operation: upgrade, of a revision that is not applied and whose parents and dependencies are; or downgrade, of a current revision; revision, its id in full.
Result: the new version rows.
Errors: MG005 not the next step; MG001 no such revision; MG007 an applied revision was edited; MG010 the graph is broken; MG012 the lock could not be had; 22023 no such operation; 22004 a null argument; 25006 in a read-only transaction; 40001 a stale snapshot; 55000 called from a migration script.';

CREATE FUNCTION migrate.stamp(target pg_catalog.text DEFAULT 'head', purge pg_catalog.bool DEFAULT false)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_stamp'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.stamp(pg_catalog.text, pg_catalog.bool) IS
'Sets the version rows without running anything.
Arguments: target (identifier); purge: empty the version rows first, and record every checksum anew.
Result: the new version rows.
Errors: MG001, MG002, MG003, MG005 for the target; MG010 the graph is broken; 22004 a null argument; 25006 in a read-only transaction; 40001 a stale snapshot; 55000 called from a migration script; MG012 the lock could not be had.';

CREATE FUNCTION migrate.stamp(targets pg_catalog.text[], purge pg_catalog.bool DEFAULT false)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_stamp_several'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.stamp(pg_catalog.text[], pg_catalog.bool) IS
'Sets the version rows to several targets without running anything.
Arguments: targets (identifiers); purge: empty the version rows first, and record every checksum anew.
Result: the new version rows.
Errors: those of migrate.stamp(text, bool); 22023 no target.';

CREATE FUNCTION migrate.adopt_alembic(version_table pg_catalog.text DEFAULT 'alembic_version')
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'migrate_adopt_alembic'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION migrate.adopt_alembic(pg_catalog.text) IS
'Stamps what an Alembic version table says. The table is only read, as the caller.
Arguments: version_table, a name as in SQL (a schema may be given).
Result: the new version rows.
Errors: 42P01 no such table, 42809 not a table, 42703 it has no column version_num, 42804 which is no text, 42501 no right to read it, or it has policies, MG001 it names a revision that is not here, MG005 its rows overlap or are behind the version rows here; and those of migrate.stamp().';

ALTER SCHEMA migrate OWNER TO @extowner@;

-- Who may call what writes is said by GRANTs of the owner; what only looks is
-- open to every role that has USAGE on the schema.
REVOKE EXECUTE ON FUNCTION
	migrate.forget_heads(),
	migrate.revision(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text[], pg_catalog.bool, pg_catalog.bool),
	migrate.merge(pg_catalog.text[], pg_catalog.text, pg_catalog.text, pg_catalog.text),
	migrate.edit(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.bool),
	migrate.drop(pg_catalog.text),
	migrate.load(pg_catalog.text, pg_catalog.text),
	migrate.load_directory(pg_catalog.text, pg_catalog.text),
	migrate.configure(pg_catalog.text, pg_catalog.text),
	migrate.upgrade(pg_catalog.text),
	migrate.downgrade(pg_catalog.text),
	migrate.resume(pg_catalog.text, pg_catalog.text),
	migrate.begin_script(pg_catalog.text, pg_catalog.text[], pg_catalog.text[], pg_catalog.bool),
	migrate.record(pg_catalog.text, pg_catalog.text),
	migrate.stamp(pg_catalog.text, pg_catalog.bool),
	migrate.stamp(pg_catalog.text[], pg_catalog.bool),
	migrate.adopt_alembic(pg_catalog.text)
FROM PUBLIC;
REVOKE EXECUTE ON PROCEDURE
	migrate.upgrade_stepwise(pg_catalog.text),
	migrate.downgrade_stepwise(pg_catalog.text)
FROM PUBLIC;

GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA migrate TO @extowner@ WITH GRANT OPTION;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA migrate TO @extowner@ WITH GRANT OPTION;
