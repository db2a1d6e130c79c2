--
-- Settings that a script makes affect neither the next script nor the session.
--
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate CASCADE;
CREATE EXTENSION migrate;
RESET client_min_messages;
SET migrate.step_messages = off;

CREATE ROLE regress_settings_other;
CREATE SCHEMA settings_other;
CREATE TABLE seen (n serial, what text, search_path text, lock_timeout text, role text,
	session_role text, scs text, check_bodies text, custom text);
GRANT INSERT ON seen TO regress_settings_other;
GRANT USAGE ON seen_n_seq TO regress_settings_other;
CREATE FUNCTION look(what text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO public.seen (what, search_path, lock_timeout, role, session_role, scs, check_bodies,
		custom)
	VALUES (what, current_setting('search_path'), current_setting('lock_timeout'), current_user,
		session_user, current_setting('standard_conforming_strings'),
		current_setting('check_function_bodies'), current_setting('my.setting', true));
$$;

SELECT migrate.revision('set', $$
SET search_path = settings_other, pg_catalog;
SET lock_timeout = '17s';
SET check_function_bodies = off;
SET my.setting = 'of 1';
SET statement_timeout = '1h';
SET ROLE regress_settings_other;
SELECT public.look('end of 1');
$$, $$SET search_path = ''; SET ROLE regress_settings_other; SELECT public.look('down 1');$$,
	rev_id => '0001');
SELECT migrate.revision('set local', $$
SELECT look('begin of 2');
SET LOCAL search_path = settings_other, public;
SET LOCAL lock_timeout = '18s';
SELECT set_config('my.setting', 'of 2', true);
SELECT set_config('check_function_bodies', 'off', false);
SET SESSION AUTHORIZATION regress_settings_other;
SELECT look('end of 2');
$$, $$SELECT look('down 2');$$, rev_id => '0002');
SELECT migrate.revision('look', $$
SELECT look('begin of 3');
SET CONSTRAINTS ALL IMMEDIATE;
RESET ALL;
SET TRANSACTION READ ONLY;
$$, '', rev_id => '0003');
-- scripts are parsed with standard_conforming_strings on, whatever the session's
-- setting
SELECT migrate.revision('backslash', $$CREATE TABLE backslash AS SELECT 'a\b'::text AS t;$$,
	'DROP TABLE backslash;', rev_id => '0004');
SELECT migrate.revision('end', $$SELECT look('begin of 5');$$, $$SELECT look('down 5');$$,
	rev_id => '0005');

SET lock_timeout = '5s';
SET check_function_bodies = on;
-- from 19 on it cannot be off
DO $$
BEGIN
	SET standard_conforming_strings = off;
EXCEPTION WHEN feature_not_supported THEN
	NULL;
END
$$;
SELECT current_setting('standard_conforming_strings') AS strings \gset
SELECT migrate.upgrade();
SELECT look('session after');
SELECT current_setting('standard_conforming_strings') = :'strings' AS unchanged;
SHOW statement_timeout;
SHOW transaction_read_only;
RESET standard_conforming_strings;
SELECT migrate.downgrade('base');
SELECT look('session after');
SELECT what, search_path, lock_timeout, role = session_user AS same_role,
	session_role = session_user AS same_session,
	CASE WHEN what <> 'session after' THEN scs END AS scs, check_bodies, custom
FROM seen ORDER BY n;
SELECT operation, revision, effective_role = session_user AS own FROM migrate.log ORDER BY id;

-- the same in a transaction block with settings of its own, and after an error
-- that the caller catches
BEGIN;
SET LOCAL lock_timeout = '6s';
SET LOCAL search_path = public, settings_other;
SELECT migrate.upgrade('0002');
SHOW lock_timeout;
SHOW search_path;
SELECT current_user = session_user AS same_role;
COMMIT;
SHOW lock_timeout;
SHOW search_path;
SELECT migrate.edit('0003',
	upgrade => $$SET lock_timeout = '19s'; SET ROLE regress_settings_other; SELECT 1/0;$$);
DO $$
BEGIN
	PERFORM migrate.upgrade('0003');
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE 'lock_timeout % role is own: %', current_setting('lock_timeout'),
		current_user = session_user;
END
$$;

-- temporary tables and prepared statements last until the session ends, as they
-- do in psql
SELECT migrate.edit('0003', upgrade => $$
CREATE TEMPORARY TABLE of_script (n int);
CREATE TEMPORARY TABLE of_transaction (n int) ON COMMIT DROP;
PREPARE of_script AS SELECT 42 AS answer;$$);
SELECT migrate.upgrade('0003');
SELECT * FROM of_script;
SELECT * FROM of_transaction;
EXECUTE of_script;
DEALLOCATE of_script;
DROP TABLE of_script;

SELECT migrate.downgrade('base');
RESET lock_timeout;
RESET check_function_bodies;
DROP EXTENSION migrate;
DROP FUNCTION look;
DROP TABLE seen;
DROP SCHEMA settings_other;
DROP ROLE regress_settings_other;
