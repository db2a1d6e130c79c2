#!/bin/sh
# All tests of this project, on the server of the connection (PGHOST, PGPORT, PGUSER), in
# databases that are made and dropped.  pg_prove, pg_regress and pytest are left out where they
# are not installed.
set -eu
cd "$(dirname "$0")"

# with commits, concurrent builds and rows
pg_migrate -d postgres test --setup rows.sql

PGDATABASE=project_test_$$
export PGDATABASE
createdb "$PGDATABASE"
trap 'dropdb --if-exists --force "$PGDATABASE"' EXIT
psql -Xqc 'CREATE EXTENSION migrate'
pg_migrate load --models
pg_migrate upgrade
pg_migrate check --models

if command -v pg_prove >/dev/null; then
    pg_prove t/*.sql
fi
pg_regress=$(dirname "$(pg_config --pgxs)")/../test/regress/pg_regress
if [ -x "$pg_regress" ]; then
    "$pg_regress" --bindir="$(pg_config --bindir)" --inputdir=regress \
        --outputdir="${TMPDIR:-/tmp}" --use-existing --dbname="$PGDATABASE" migrations
fi
if python3 -c 'import psycopg, pytest' 2>/dev/null; then
    python3 -m pytest -q -p no:cacheprovider tests
fi
