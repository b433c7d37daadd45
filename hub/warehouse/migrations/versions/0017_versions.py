"""Questions about reused versions are found without reading all questions."""

from alembic import op

revision = "0017"
down_revision = "0016"

_STATEMENTS: tuple[str, ...] = (
    "CREATE INDEX review_version_reused ON review (aspect, key) WHERE kind = 'VERSION_REUSED' AND closed_at IS NULL",
)


def upgrade() -> None:
    """Add the index."""
    for statement in _STATEMENTS:
        op.execute(statement)
