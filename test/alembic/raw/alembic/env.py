import os

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

if context.get_x_argument(as_dictionary=True).get("tenant") != "one":
    raise SystemExit("say -x tenant=one")
url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2")
with create_engine(url).begin() as connection:
    context.configure(connection=connection, version_table_pk=False)
    context.run_migrations()
