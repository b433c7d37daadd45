"""The last heartbeat of each process."""

from alembic import op

revision = "0014"
down_revision = "0013"

_STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE process (
        role text NOT NULL,
        name text NOT NULL,
        host text NOT NULL,
        pid integer NOT NULL,
        version text NOT NULL,
        began_at timestamptz NOT NULL,
        beat_at timestamptz NOT NULL DEFAULT now(),
        progress_at timestamptz NOT NULL,
        doing text NOT NULL,
        waits_for text,
        waits_since timestamptz,
        behind bigint,
        behind_s double precision,
        ended_at timestamptz,
        PRIMARY KEY (role, name)
    ) WITH (fillfactor = 50)""",
)


def upgrade() -> None:
    """Add it."""
    for statement in _STATEMENTS:
        op.execute(statement)
