"""Tests of the functions of bin/alembic_to_migrate that need no database."""
import datetime
import decimal
import importlib.machinery
import importlib.util
import os
import unittest

PATH = os.path.join(os.path.dirname(__file__), "..", "..", "bin", "alembic_to_migrate")
loader = importlib.machinery.SourceFileLoader("alembic_to_migrate", os.path.abspath(PATH))
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(tool)


class Dialect:
    def __init__(self, driver, paramstyle):
        self.driver, self.paramstyle = driver, paramstyle


class Text(unittest.TestCase):
    def test_split(self):
        for sql, parts in [
            ("a; b;", ["a", "b"]),
            ("a;; -- c;\n /* ; /* ; */ */ ;", ["a"]),
            ("select ';', \";\", E'\\';', $$;$$, $a$;$$;$a$; b", 2),
            ("create function f() begin atomic select case when a then b end; select 2; end; c", 2),
            ("begin; select 1; end", ["begin", "select 1", "end"]),
            ("select a$1; b", ["select a$1", "b"]),
            ("'not closed; b", ["'not closed; b"]),
            ("", []),
        ]:
            found = tool.split(sql)
            self.assertEqual(len(found) if isinstance(parts, int) else found, parts, sql)

    def test_terminated(self):
        for sql, text in [
            ("a", "a;"),
            ("  a ; ; \n", "a;"),
            ("a -- b", "a -- b\n;"),
            ("a; -- b", "a; -- b\n;"),
            ("a 'x; '", "a 'x; ';"),
            ("-- only this", "-- only this"),
            ("a  \nb 'c  \nd'", "a\nb 'c  \nd';"),
            ("-- migrate:down\na", '-- "migrate:down"\na;'),
            ("'\n-- migrate:down\n'", "'\n-- migrate:down\n';"),
        ]:
            self.assertEqual(tool.terminated(sql), text, sql)

    def test_kinds(self):
        for sql in [
            "SELECT 1", "/* a */ select ' into '", "WITH a AS (SELECT 'insert into') SELECT 1",
            "(values (1))"[1:-1], "SHOW search_path", "SELECT 1 FOR UPDATE",
        ]:
            self.assertTrue(tool.is_read(tool.skeleton(sql)), sql)
        for sql in [
            "SELECT 1 INTO t", "WITH a AS (DELETE FROM t RETURNING 1) SELECT 1", "INSERT INTO t",
            "WITH a AS (SELECT 1) UPDATE t SET a = 1", "",
        ]:
            self.assertFalse(tool.is_read(tool.skeleton(sql)), sql)
        for sql in [
            "VACUUM", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "drop index concurrently i",
            "ALTER TYPE a.b ADD VALUE 'x'", "REINDEX (VERBOSE) TABLE CONCURRENTLY t",
            "CREATE DATABASE d", "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
        ]:
            self.assertTrue(tool.needs_autocommit(tool.skeleton(sql)), sql)
        for sql in [
            "CREATE INDEX concurrently_made ON t (a)", "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "COMMENT ON TABLE t IS 'vacuum'", "ALTER TABLE a ADD value int",
        ]:
            self.assertFalse(tool.needs_autocommit(tool.skeleton(sql)), sql)


class Literals(unittest.TestCase):
    def test_values(self):
        for value, text in [
            (None, "NULL"), (True, "true"), (0, "0"), (-5, "(-5)"), (1.5, "1.5"),
            (float("nan"), "'nan'"), (float("-inf"), "'-inf'"), ("it's \\", "'it''s \\'"),
            (decimal.Decimal("-1.50"), "'-1.50'"), (b"\x00'", "'\\x0027'"),
            (datetime.date(1999, 1, 2), "'1999-01-02'"),
            (datetime.timedelta(-1, 5, 7), "'-1 days 5.000007 seconds'"),
            ([], "'{}'"), ([1, None, "a,\"\\"], "'{\"1\",NULL,\"a,\\\"\\\\\"}'"),
            ([[True], [False]], "'{{\"true\"},{\"false\"}}'"), ({"a": 1}, "'{\"a\": 1}'"),
        ]:
            self.assertEqual(tool.literal(value), text)

    def test_placeholders(self):
        for style, sql, values, text in [
            ("numeric_dollar", "$2 '$1' $a$$1$a$ a$1 \"$1\" $1 -- $1", (1, "x"),
             "'x' '$1' $a$$1$a$ a$1 \"$1\" 1 -- $1"),
            ("format", "%s '100%%' %s", (1, "%s"), "1 '100%' '%s'"),
            ("pyformat", "%(b)s %% %(a)s %(a)s", {"a": 1, "b": "%(a)s"}, "'%(a)s' % 1 1"),
            ("pyformat", "100%", None, "100%"),
        ]:
            found = tool.with_literals(Dialect("asyncpg", style), None, None, sql, values)
            self.assertEqual(found, text)


class Names(unittest.TestCase):
    def test_names(self):
        for name, taken, new in [
            ("0001", set(), "0001"), ("a b", set(), "a_b"), ("a b", {"a_b"}, "a_b_2"),
            ("head", set(), "head_"), ("2024-01:x@y+z", set(), "2024_01_x_y_z"),
            ("\u00e9" * 128, set(), "\u00e9" * 127), ("Head", set(), "Head"),
        ]:
            self.assertEqual(tool.our_name(name, taken), new)


class Comparing(unittest.TestCase):
    DUMP = "--\n-- Name: {0}; Type: TABLE; Schema: public; Owner: {1}\n--\n\nCREATE TABLE {0} ({2});\n"

    def test_dumps(self):
        one = self.DUMP.format("a", "me", "x int") + self.DUMP.format("b", "me", "")
        same = self.DUMP.format("b", "me", "") + self.DUMP.format("a", "other", "x int")
        self.assertEqual(tool.compare_dumps(one, same), [])
        other = self.DUMP.format("a", "me", "x text") + self.DUMP.format("c", "me", "")
        lines = tool.compare_dumps(one, other)
        self.assertEqual([line for line in lines if not line.startswith(" ")], [
            "differs: TABLE public.a", "only with Alembic: TABLE public.b",
            "only with migrate: TABLE public.c"])
        self.assertIn("    +CREATE TABLE a (x text);", lines)

    def test_rows(self):
        self.assertEqual(tool.compare_rows("a|1|x\nb|2|y\n", "a|1|x\nb|2|z\n"), ([], ["b"]))
        numbers, contents = tool.compare_rows("a|1|x\n", "a|0|y\n")
        self.assertEqual(numbers, ["differs: 1 rows in table a with Alembic, 0 with migrate"])
        self.assertEqual(contents, [])


if __name__ == "__main__":
    unittest.main()
