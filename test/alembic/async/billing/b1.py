"""invoices

Revision ID: b1
"""
import sqlalchemy as sa
from alembic import op

revision = "b1"
down_revision = None
branch_labels = "billing"
depends_on = "accounts"


def upgrade():
    op.create_table(
        "invoice",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("account_id", sa.Uuid if hasattr(sa, "Uuid") else sa.Text, nullable=False),
        sa.Column("state", sa.Enum("open", "it's paid", name="state"), server_default="open"),
        sa.CheckConstraint("id % 2 >= 0", name="odd_or_even"),
    )
    if hasattr(sa, "Uuid"):
        op.create_foreign_key(
            "invoice_account", "invoice", "account", ["account_id"], ["id"], deferrable=True
        )


def downgrade():
    op.drop_table("invoice")
    op.execute("DROP TYPE state")
