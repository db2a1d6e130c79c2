#!/bin/sh
# Roles and database of the project.  The image of PostgreSQL runs this once, when
# its data directory is empty.
#
# shop_owner owns the database, and logs in to migrate it.  shop_app is the
# application: it can read and write rows, and cannot change tables or revisions.
set -eu

psql -X -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'END'
\set owner_password `printf %s "$SHOP_OWNER_PASSWORD"`
\set app_password `printf %s "$SHOP_APP_PASSWORD"`
CREATE ROLE shop_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE shop_app LOGIN PASSWORD :'app_password';
CREATE DATABASE shop OWNER shop_owner;
\connect shop

-- as since PostgreSQL 15
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO shop_owner;

-- as shop_owner, which owns the extension then: it is trusted
SET ROLE shop_owner;
CREATE EXTENSION migrate;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO shop_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO shop_app;
-- to look whether the migrations are applied: pg_migrate check
GRANT USAGE ON SCHEMA migrate TO shop_app;
RESET ROLE;

-- A statement ends when its client is gone, in place of running to its end.  Before
-- PostgreSQL 14 there is no such setting.
SELECT current_setting('server_version_num')::int >= 140000 AS can_check \gset
\if :can_check
ALTER ROLE shop_owner SET client_connection_check_interval = '5s';
\endif
END
