"""a branch"""
from alembic import op

revision = 'other'
down_revision = '2019 05 spaces, comma'


def upgrade():
    op.execute("CREATE TABLE other (id integer)")


def downgrade():
    op.execute("DROP TABLE never_made")
