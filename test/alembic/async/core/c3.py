"""find names

Revision ID: c3
Revises: c2
"""
from alembic import op

revision = "c3"
down_revision = "c2"


def upgrade():
    op.add_column("account", __import__("sqlalchemy").Column("city", __import__("sqlalchemy").Text))
    op.execute("UPDATE account SET city = 'here'")
    with op.get_context().autocommit_block():
        op.create_index("account_city", "account", ["city"], postgresql_concurrently=True)
    op.execute("UPDATE account SET city = city || '!'")
    op.alter_column("account", "city", nullable=False)


def downgrade():
    op.drop_index("account_city", "account")
    op.drop_column("account", "city")
