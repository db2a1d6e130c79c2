"""Revision ID: 6"""
from alembic import op

revision = '6'
down_revision = '00005'


def upgrade():
    op.execute("CREATE TABLE big (id integer)")
    op.execute("COMMIT")
    op.execute("CREATE INDEX CONCURRENTLY big_id ON big (id)")
    op.execute("VACUUM big")
    op.execute("BEGIN")
    op.execute("INSERT INTO big VALUES (1)")
    op.execute("INSERT INTO big VALUES (2)")


def downgrade():
    op.execute("COMMIT")
    op.execute("DROP INDEX CONCURRENTLY big_id")
    op.execute("BEGIN")
    op.execute("DROP TABLE big")
