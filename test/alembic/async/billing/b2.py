"""draw the lines together

Revision ID: b2
"""
from alembic import op

revision = "b2"
down_revision = "b1"
depends_on = ("c3",)


def upgrade():
    op.execute("CREATE VIEW open_invoice AS SELECT * FROM invoice WHERE state = 'open'")


def downgrade():
    op.execute("DROP VIEW open_invoice")
