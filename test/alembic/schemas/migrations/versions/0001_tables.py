"""tables of the shop

Revision ID: 0001
Create Date: 2021-01-02 03:04:05
"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade(greeting):
    op.execute("CREATE SCHEMA audit")
    op.create_table(
        "item",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False, unique=True),
        sa.Column("price", sa.Numeric(10, 2), sa.CheckConstraint("price >= 0", name="price")),
        sa.Column("discount", sa.String, server_default="10%"),
        sa.Column("made", sa.DateTime, server_default=sa.func.now()),
        comment=greeting,
    )
    op.create_table(
        "trail",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item_id", sa.Integer, sa.ForeignKey("item.id")),
        sa.Column("said", sa.Text, server_default="none's"),
        schema="audit",
    )
    op.create_index(None, "trail", ["item_id"], schema="audit")


def downgrade(greeting):
    op.drop_table("trail", schema="audit")
    op.drop_table("item")
    op.execute("DROP SCHEMA audit")
