"""Times other tools on what the part "models" of run.pl has: python rivals.py TOOL LIVE MODEL.

LIVE and MODEL are connection strings of two databases; the second has the schema that the
first is to get.  Prints the seconds that the tool takes to find the changes and to write its
script, without those that Python takes to start and Alembic's models to be read, and the
number of its statements.  Where the tool is not installed, the status is 3.
"""

import sys
import time

DRIVER = "postgresql+psycopg2://"


def alembic(live, model):
    from alembic.autogenerate import produce_migrations, render_python_code
    from alembic.migration import MigrationContext
    from sqlalchemy import MetaData, create_engine

    metadata = MetaData()
    metadata.reflect(create_engine(DRIVER, creator=connector(model)))
    engine = create_engine(DRIVER, creator=connector(live))
    begin = time.perf_counter()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        script = produce_migrations(context, metadata)
        code = render_python_code(script.upgrade_ops) + render_python_code(script.downgrade_ops)
    return time.perf_counter() - begin, code.count("op.")


def migra(live, model):
    from migra import Migration
    from sqlalchemy import create_engine

    begin = time.perf_counter()
    with create_engine(DRIVER, creator=connector(live)).connect() as source, \
            create_engine(DRIVER, creator=connector(model)).connect() as target:
        migration = Migration(source, target, schema="public")
        migration.set_safety(False)
        migration.add_all_changes()
        statements = len(migration.statements)
        _ = migration.sql
    return time.perf_counter() - begin, statements


def connector(dsn):
    import psycopg2

    return lambda: psycopg2.connect(dsn)


try:
    seconds, count = {"alembic": alembic, "migra": migra}[sys.argv[1]](*sys.argv[2:])
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
print(f"{seconds:.3f} {count}")
