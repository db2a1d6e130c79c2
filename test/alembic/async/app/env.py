import asyncio
import os

from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine


def do_run_migrations(connection):
    context.configure(connection=connection, version_table="schema versions")
    with context.begin_transaction():
        context.run_migrations()


async def run_async_migrations():
    url = context.config.get_main_option("sqlalchemy.url")
    level = {"isolation_level": os.environ["LEVEL"]} if "LEVEL" in os.environ else {}
    connectable = create_async_engine(url, poolclass=pool.NullPool, **level)
    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await connectable.dispose()


asyncio.run(run_async_migrations())
