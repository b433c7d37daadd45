"""Tries of credentials, who approved an operator, and which approval a redrive relied on."""

from alembic import op

revision = "0013"
down_revision = "0012"

_STATEMENTS: tuple[str, ...] = (
    """ALTER TABLE operator
        ADD COLUMN approved_by text,
        ADD COLUMN failed_tries integer NOT NULL DEFAULT 0,
        ADD COLUMN last_failed_at timestamptz,
        ADD COLUMN locked_at timestamptz""",
    "ALTER TABLE letter_edit ADD COLUMN value_bytes integer GENERATED ALWAYS AS (length(record_value)) STORED",
    "ALTER TABLE letter_edit ADD COLUMN approval bigint",
    "ALTER TABLE redrive ADD COLUMN approval bigint",
)


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
