"""Which log a stored offset is one of: the id that Kafka gave its topic; and what stopped a partition."""

from alembic import op

revision = "0015"
down_revision = "0014"

_STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE log_partition ADD COLUMN topic_id uuid, ADD COLUMN chain text",
    "ALTER TABLE partition_stop ADD COLUMN cause text NOT NULL DEFAULT 'STORM'",
)


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
