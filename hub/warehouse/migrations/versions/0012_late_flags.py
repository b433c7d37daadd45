"""Flags of events that only what is stored tells of: beside the audit log, whose rows nobody changes."""

from alembic import op

revision = "0012"
down_revision = "0011"

_STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE late_flag (
        log smallint NOT NULL,
        log_offset bigint NOT NULL,
        flags integer NOT NULL,
        PRIMARY KEY (log, log_offset)
    )""",
)


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
