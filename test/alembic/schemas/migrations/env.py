import os
import sys

sys.path.insert(0, os.getcwd())

from alembic import context
from sqlalchemy import text

from application import engine, metadata

with engine.connect() as connection:
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS meta"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS shop"))
    connection.execute(text("SET lock_timeout = '10s'"))
    if hasattr(connection, "commit"):
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table="version",
        version_table_schema="meta",
        include_schemas=True,
    )
    with context.begin_transaction():
        context.run_migrations(greeting="it's me")
