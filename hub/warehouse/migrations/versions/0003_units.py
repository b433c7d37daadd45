"""Administrative units over time."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
