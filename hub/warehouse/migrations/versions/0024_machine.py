"""On which machine a process runs, so that its end is seen there at once."""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE process ADD COLUMN machine text")
