"""Tables of working days and of dossiers' deadlines."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from hub.warehouse.tables.core import metadata, utc_time

calendar = Table(
    "calendar",
    metadata,
    Column("version", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("utc_offset_s", Integer, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("total_seconds", BigInteger, nullable=False),
    Column("in_force", Boolean, nullable=False),
    Column("installed_at", utc_time, nullable=False, server_default=func.now()),
)
"""Calendars of working days by which deadlines were ever computed; new deadlines use the one in force."""

calendar_day = Table(
    "calendar_day",
    metadata,
    Column("version", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("seconds_before", BigInteger, nullable=False),
    Column("seconds", Integer, nullable=False),
    Column("opens", Integer, nullable=False),
    Column("rests", Integer, nullable=False),
    Column("resumes", Integer, nullable=False),
    Column("closes", Integer, nullable=False),
    PrimaryKeyConstraint("version", "day"),
)
"""Each day: the working seconds before it, its own, and its hours in seconds since local midnight."""

dossier_deadline = Table(
    "dossier_deadline",
    metadata,
    Column("key", Uuid, primary_key=True),
    Column("source", SmallInteger, nullable=False),
    Column("calendar_version", Text, nullable=False),
    Column("interlinked", Boolean, nullable=False),
    Column("received_at", utc_time),
    Column("started_at", utc_time),
    Column("stated_due_at", utc_time),
    Column("due_at", utc_time),
    Column("finished_at", utc_time),
    Column("paused_since", utc_time),
    Column("paused_seconds", BigInteger, nullable=False),
    Column("used_seconds", BigInteger),
    Column("on_time", Boolean),
    Column("overdue_seconds", BigInteger),
    Column("extensions", JSONB),
)
"""The deadline of each dossier whose progress is known, by the source that holds it (hub.model.dossiers.deadline).

``extensions``: ``stated``, the source's own list of changed due times, and ``seen``, changes between its versions; null
if there are neither.
"""
