"""When and why a replay failed."""

from alembic import op

revision = "0023"
down_revision = "0022"

_STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE replay ADD COLUMN failed_at timestamptz",
    "ALTER TABLE replay ADD COLUMN failure text",
)


def upgrade() -> None:
    """Add the columns."""
    for statement in _STATEMENTS:
        op.execute(statement)
