"""The tests of migrations, each a test of pytest.  The connection is libpq's: PGHOST, PGDATABASE."""

import psycopg
import pytest

with psycopg.connect("") as connection:
    lines = [row[0] for row in connection.execute("SELECT * FROM migrate.runtests()")]


@pytest.mark.parametrize("line", [line for line in lines if line.startswith(("ok", "not ok"))])
def test_migrations(line):
    assert line.startswith("ok"), "\n".join(lines)
