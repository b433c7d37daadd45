"""Administrative units over time."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE unit_now (
        scheme text NOT NULL,
        code text NOT NULL,
        said_from date NOT NULL,
        said_until date NOT NULL,
        effective_from date NOT NULL,
        effective_until date NOT NULL,
        resolution text NOT NULL CHECK (resolution IN ('EXACT', 'AMBIGUOUS', 'UNKNOWN')),
        now_scheme text,
        now_code text,
        candidates jsonb,
        PRIMARY KEY (scheme, code, said_from, effective_from),
        CHECK ((resolution = 'EXACT') = (now_code IS NOT NULL)),
        CHECK ((resolution = 'AMBIGUOUS') = (candidates IS NOT NULL))
    )
    """,
    "CREATE INDEX unit_now_now ON unit_now (now_scheme, now_code)",
    """
    CREATE TABLE agency_now (
        prefix text NOT NULL,
        effective_from date NOT NULL,
        effective_until date NOT NULL,
        now_prefix text NOT NULL,
        PRIMARY KEY (prefix, effective_from)
    )
    """,
    """
    CREATE TABLE recode (
        key uuid NOT NULL,
        part text NOT NULL,
        source smallint NOT NULL,
        from_scheme text NOT NULL,
        from_code text NOT NULL,
        to_scheme text NOT NULL,
        to_code text NOT NULL,
        decree text,
        effective date NOT NULL,
        job bigint NOT NULL,
        PRIMARY KEY (key, part, source, effective, from_scheme, from_code)
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
