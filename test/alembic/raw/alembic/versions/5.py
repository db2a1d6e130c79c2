"""a merge

Revision ID: 00005
"""
from alembic import op

revision = '00005'
down_revision = ('current', 'other')


def upgrade():
    pass


def downgrade():
    pass
