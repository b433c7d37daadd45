"""Topics that share cannot publish to: since when, why, and from which offsets each is behind."""

from alembic import op

revision = "0022"
down_revision = "0021"

_STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE blocked_topic (
        topic text PRIMARY KEY,
        why text NOT NULL,
        since timestamptz NOT NULL DEFAULT now(),
        tried_at timestamptz NOT NULL DEFAULT now(),
        tries integer NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE missed_span (
        topic text NOT NULL,
        log smallint NOT NULL,
        next_offset bigint NOT NULL,
        PRIMARY KEY (topic, log)
    )""",
)


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
