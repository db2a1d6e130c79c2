-- Code, message, detail, hint and context of the error that a command raises;
-- the context without what comes from this function itself.
CREATE FUNCTION pg_temp.regress_error(command text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text; hint text; context text;
BEGIN
	EXECUTE command;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(E'\n', state || ': ' || message,
		'  detail: ' || nullif(detail, ''),
		'  hint: ' || nullif(hint, ''),
		'  context: ' || nullif(regexp_replace(context,
			E'\n?(SQL statement|PL/pgSQL function) .*', ''), ''));
END $$;
