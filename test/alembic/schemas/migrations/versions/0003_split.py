"""a column per language, from what is there

Revision ID: 0003
Revises: 0002
"""
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade(greeting):
    bind = op.get_bind()
    if "item" in sa.inspect(bind).get_table_names(schema="shop"):
        op.add_column("item", sa.Column("label", sa.Text))
    for row in bind.execute(sa.text("SELECT id, name FROM item ORDER BY id")).fetchall():
        bind.execute(
            sa.text("UPDATE item SET label = :label WHERE id = :id"),
            {"label": row[1] + " %", "id": row[0]},
        )
    bind.execute(sa.text("SELECT setval('item_id_seq', 1000)"))
    bind.execute(sa.text("SELECT count(*) FROM item"))
    op.execute("SET search_path TO audit")
    op.execute("CREATE TABLE in_audit (id integer)")


def downgrade(greeting):
    op.execute("DROP TABLE audit.in_audit")
    op.drop_column("item", "label")
