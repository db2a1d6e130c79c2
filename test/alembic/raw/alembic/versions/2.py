"""an identifier that cannot be one here"""
from alembic import op

revision = '2019 05 spaces, comma'
down_revision = '1'
branch_labels = 'with space'

def upgrade():
    op.execute("INSERT INTO person (name) VALUES ('a'), ('100% b')")
    op.get_bind().execute(__import__("sqlalchemy").text("SELECT set_names('x')")) if 0 else None


def downgrade():
    raise Exception("data is lost: 100%")
