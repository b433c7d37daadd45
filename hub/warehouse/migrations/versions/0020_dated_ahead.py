"""Questions about events that are dated ahead are counted without reading all questions."""

from alembic import op

revision = "0020"
down_revision = "0019"

_STATEMENTS: tuple[str, ...] = (
    "CREATE INDEX review_time_in_future ON review (key) WHERE kind = 'TIME_IN_FUTURE' AND closed_at IS NULL",
)


def upgrade() -> None:
    """Add the index."""
    for statement in _STATEMENTS:
        op.execute(statement)
