"""The application, whose settings say where its database is."""
import os

import sqlalchemy as sa

naming = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=naming)
driver = os.environ.get("TEST_DRIVER", "psycopg2")
engine = sa.create_engine(
    f"postgresql+{driver}://app:secret%40@production.invalid:6543/live?sslmode=verify-full",
    connect_args={"options": "-c search_path=shop,public"},
)
