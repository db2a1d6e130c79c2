"""seed accounts: values of every type

Revision ID: c2
Revises: c1
"""
import datetime
import decimal
import uuid

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "c2"
down_revision = "c1"

account = sa.table(
    "account",
    sa.column("id", pg.UUID(as_uuid=True)),
    sa.column("name", sa.Text),
    sa.column("born", sa.Date),
    sa.column("seen", sa.DateTime(timezone=True)),
    sa.column("rest", sa.Interval),
    sa.column("balance", sa.Numeric),
    sa.column("ratio", sa.Float),
    sa.column("image", sa.LargeBinary),
    sa.column("tags", pg.ARRAY(sa.Text)),
    sa.column("settings", pg.JSONB),
    sa.column("small", sa.SmallInteger),
    sa.column("is_active", sa.Boolean),
)


def upgrade():
    op.bulk_insert(
        account,
        [
            {
                "id": uuid.UUID(int=n),
                "name": name,
                "born": datetime.date(1999, 12, 31),
                "seen": datetime.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=datetime.timezone.utc),
                "rest": datetime.timedelta(days=-1, seconds=5, microseconds=7),
                "balance": decimal.Decimal("-12345678901234.5678"),
                "ratio": ratio,
                "image": b"\x00\\'\xff",
                "tags": ["a,b", 'quote " and \\', "", "NULL", "it's {x}"],
                "settings": {"text": "it's \"100%\" $1 \\ \u00e9", "none": None},
                "small": -32768,
                "is_active": False,
            }
            for n, name, ratio in [
                (1, "O'Hara \\ $1 :x %s %(y)s", -0.1),
                (2, "line 1\nline 2\t\u20ac \U0001f418", 1e300),
            ]
        ],
    )
    op.execute(
        account.insert().values(id=uuid.UUID(int=3), name=None or "-- migrate:down", tags=[])
    )
    op.get_bind().execute(
        sa.text("UPDATE account SET ratio = :r, name = name || :n WHERE small = :s OR born < :d"),
        {"r": 2.5, "n": " '$2' ", "s": -32768, "d": datetime.date(2000, 1, 1)},
    )
    op.get_bind().execute(
        account.update().where(account.c.name == sa.bindparam("b")).values(ratio=sa.bindparam("r")),
        [{"b": "x", "r": 1.0}, {"b": "-- migrate:down", "r": float("inf")}],
    )
    op.execute("COMMENT ON TABLE account IS '100% of $1, %s and %%; :not_bound'".replace(":", "\\:"))


def downgrade():
    op.execute("DELETE FROM account")
