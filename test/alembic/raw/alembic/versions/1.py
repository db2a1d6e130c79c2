"""first"""
from alembic import op

revision = '1'
down_revision = None


def upgrade():
    op.execute("""
        -- the widest identifier is 60 characters long; see the wiki
        ALTER TABLE alembic_version ALTER COLUMN version_num TYPE varchar(60)
    """)
    op.execute("""
        CREATE TABLE person (id serial PRIMARY KEY, name text); -- all of them
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            -- migrate:down is no marker here; nor is this: $1 %
            NEW.name := NEW.name || ';' || E'\\'\\';';
            RETURN NEW;
        END $body$;
        CREATE TRIGGER touch BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION touch();
-- migrate:down
        /* the end; /* nested; */ */
    """)


def downgrade():
    op.execute("DROP TABLE person; DROP FUNCTION touch()")
