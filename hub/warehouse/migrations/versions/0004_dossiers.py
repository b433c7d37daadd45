"""Dossiers: working days and deadlines."""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE calendar (
        version text PRIMARY KEY,
        digest text NOT NULL,
        utc_offset_s integer NOT NULL,
        first_day date NOT NULL,
        last_day date NOT NULL,
        total_seconds bigint NOT NULL,
        in_force boolean NOT NULL,
        installed_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE UNIQUE INDEX calendar_in_force ON calendar (in_force) WHERE in_force",
    """
    CREATE TABLE calendar_day (
        version text NOT NULL REFERENCES calendar,
        day date NOT NULL,
        seconds_before bigint NOT NULL,
        seconds integer NOT NULL,
        opens integer NOT NULL,
        rests integer NOT NULL,
        resumes integer NOT NULL,
        closes integer NOT NULL,
        PRIMARY KEY (version, day)
    )
    """,
    "CREATE INDEX calendar_day_worked ON calendar_day (version, seconds_before) WHERE seconds > 0",
    """
    CREATE TABLE dossier_deadline (
        key uuid PRIMARY KEY,
        source smallint NOT NULL,
        calendar_version text NOT NULL,
        interlinked boolean NOT NULL,
        received_at timestamptz,
        started_at timestamptz,
        stated_due_at timestamptz,
        due_at timestamptz,
        finished_at timestamptz,
        paused_since timestamptz,
        paused_seconds bigint NOT NULL,
        used_seconds bigint,
        on_time boolean,
        overdue_seconds bigint,
        extensions jsonb
    ) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)
    """,
    "CREATE INDEX dossier_deadline_open ON dossier_deadline (due_at) WHERE finished_at IS NULL",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
