"""Dead letters and parked records as an operator handles them."""

from alembic import op

revision = "0009"
down_revision = "0008"

_STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
