"""Plans of replays and how far each got."""

from alembic import op

revision = "0010"
down_revision = "0009"

_STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
