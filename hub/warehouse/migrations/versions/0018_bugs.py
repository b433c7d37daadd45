"""Ends of workers by a bug, and stops of partitions for one."""

from alembic import op

revision = "0018"
down_revision = "0017"

_STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE worker_bug (
        topic text NOT NULL,
        partition integer NOT NULL,
        first_offset bigint NOT NULL,
        end_offset bigint NOT NULL,
        ends integer NOT NULL,
        bug text NOT NULL,
        noted_at timestamptz NOT NULL DEFAULT now(),
        noted_by text NOT NULL,
        PRIMARY KEY (topic, partition)
    )""",
    "ALTER TABLE partition_stop ADD COLUMN bug text",
)


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
