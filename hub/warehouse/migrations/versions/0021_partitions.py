"""Share keeps how many partitions of a topic it fills, so that each key stays in its own."""

from alembic import op

revision = "0021"
down_revision = "0020"

_STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE share_topic ADD COLUMN partitions integer, ADD COLUMN partitions_there integer",
)


def upgrade() -> None:
    """Add the columns."""
    for statement in _STATEMENTS:
        op.execute(statement)
