"""People: deaths and standing flags."""

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE deceased (
        key uuid PRIMARY KEY,
        state text NOT NULL,
        died_year integer,
        died_month integer,
        died_day integer,
        died_on date,
        source smallint NOT NULL,
        since timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE flag (
        id uuid PRIMARY KEY,
        entity text NOT NULL,
        aspect text NOT NULL,
        key uuid NOT NULL,
        part text NOT NULL,
        flag text NOT NULL,
        cause_key uuid NOT NULL,
        opened_at timestamptz NOT NULL DEFAULT now(),
        closed_at timestamptz
    )
    """,
    "CREATE INDEX flag_cause ON flag (cause_key)",
    "CREATE INDEX flag_key ON flag (key) WHERE closed_at IS NULL",
    "CREATE INDEX review_open_part ON review (kind, part) WHERE closed_at IS NULL AND part <> ''",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
