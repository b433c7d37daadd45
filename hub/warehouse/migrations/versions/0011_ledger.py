"""The ledger's running account, and planned moves of stored offsets."""

from alembic import op

revision = "0011"
down_revision = "0010"

_STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE ledger_range (
        log smallint NOT NULL,
        stretch bigint NOT NULL,
        end_offset bigint NOT NULL,
        consumed bigint NOT NULL,
        outcomes jsonb NOT NULL,
        checked_at timestamptz NOT NULL DEFAULT now(),
        problem text,
        PRIMARY KEY (log, stretch)
    ) WITH (fillfactor = 70)""",
    """CREATE TABLE offset_plan (
        id text PRIMARY KEY,
        topic text NOT NULL,
        partition bigint NOT NULL,
        from_offset bigint NOT NULL,
        to_offset bigint NOT NULL,
        records bigint NOT NULL,
        lost bigint NOT NULL,
        digest text NOT NULL,
        planned_by text NOT NULL,
        planned_at timestamptz NOT NULL DEFAULT now(),
        applied_at timestamptz
    )""",
)


def upgrade() -> None:
    """Add them."""
    for statement in _STATEMENTS:
        op.execute(statement)
