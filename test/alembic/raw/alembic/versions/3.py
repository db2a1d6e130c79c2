"""a reserved word"""
from alembic import op

revision = 'current'
down_revision = '2019 05 spaces, comma'


def upgrade():
    cursor = op.get_bind().connection.cursor()
    cursor.execute("INSERT INTO person (name) VALUES (%s), (%s)", ("it's", None))
    cursor.executemany("UPDATE person SET name = %s WHERE id = %s", [("one", 1), ("two", 2)])
    cursor.execute("SELECT name FROM person WHERE id = 1")
    name = cursor.fetchone()[0]
    cursor.execute("UPDATE person SET name = %s WHERE id = 1", (name + "%",))
    cursor.close()


def downgrade():
    op.execute("DELETE FROM person WHERE id > 2")
