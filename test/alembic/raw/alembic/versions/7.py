""""""
from alembic import op

revision = '7'
down_revision = '6'


def upgrade():
    op.execute("SAVEPOINT before")
    op.execute("CREATE TABLE dropped (id integer)")
    op.execute("ROLLBACK TO SAVEPOINT before")
    op.execute("SAVEPOINT again; CREATE TABLE kept (id integer); RELEASE again; ")


def downgrade():
    op.execute("DROP TABLE kept")
