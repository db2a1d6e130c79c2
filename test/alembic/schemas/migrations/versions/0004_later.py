"""what a search_path of an earlier revision does

Revision ID: 0004
Revises: 0003
"""
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade(greeting):
    with op.get_bind().begin_nested() as nested:
        op.execute("CREATE TABLE not_kept (id integer)")
        nested.rollback()
    op.execute("CREATE TABLE later AS SELECT 1 AS one, '%'::text AS two")


def downgrade(greeting):
    op.execute("DROP TABLE audit.later")
