"""seed items with the ORM

Revision ID: 0002
Revises: 0001
"""
import decimal

import sqlalchemy as sa
from alembic import op
from sqlalchemy import orm

revision = "0002"
down_revision = "0001"

Base = orm.declarative_base()


class Item(Base):
    __tablename__ = "item"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String)
    price = sa.Column(sa.Numeric)


class Trail(Base):
    __tablename__ = "trail"
    __table_args__ = {"schema": "audit"}
    id = sa.Column(sa.Integer, primary_key=True)
    item_id = sa.Column(sa.Integer, sa.ForeignKey("item.id"))
    said = sa.Column(sa.Text)


def upgrade(greeting):
    session = orm.Session(bind=op.get_bind())
    item = Item(name="50% off: \\ 'best'", price=decimal.Decimal("9.99"))
    session.add(item)
    session.add_all([Item(name=f"item {n}", price=n) for n in range(5)])
    session.flush()
    session.add(Trail(item_id=item.id, said=greeting))
    session.commit()
    for row in session.query(Item).filter(Item.price > 3):
        row.name = row.name.upper()
    session.commit()


def downgrade(greeting):
    op.execute("DELETE FROM audit.trail; DELETE FROM item;")
