"""accounts

With a line more, which is not part of the message.

Revision ID: c1
Create Date: 2024-02-03 04:05:06.789
"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "c1"
down_revision = None
branch_labels = ("core", "accounts")
depends_on = None


def upgrade():
    op.create_table(
        "account",
        sa.Column("id", pg.UUID(as_uuid=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("born", sa.Date),
        sa.Column("seen", sa.DateTime(timezone=True)),
        sa.Column("rest", sa.Interval),
        sa.Column("balance", sa.Numeric(20, 4), server_default="0.50"),
        sa.Column("ratio", sa.Float),
        sa.Column("image", sa.LargeBinary),
        sa.Column("tags", pg.ARRAY(sa.Text), server_default="{}"),
        sa.Column("settings", pg.JSONB, server_default=sa.text("'{\"a\": [1, 2]}'::jsonb")),
        sa.Column("valid", pg.DATERANGE),
        sa.Column("small", sa.SmallInteger),
        sa.Column("is_active", sa.Boolean, server_default=sa.true(), nullable=False),
    )


def downgrade():
    op.drop_table("account")
