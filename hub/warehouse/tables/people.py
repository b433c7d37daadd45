"""Tables about people: who died, and the open flags caused by that. Both follow from the claims in force."""

from sqlalchemy import Column, Date, DateTime, Integer, SmallInteger, Table, Text, Uuid, func

from hub.warehouse.tables.core import metadata

_utc_time = DateTime(timezone=True)

deceased = Table(
    "deceased",
    metadata,
    Column("key", Uuid, primary_key=True),
    Column("state", Text, nullable=False),
    Column("died_year", Integer),
    Column("died_month", Integer),
    Column("died_day", Integer),
    Column("died_on", Date),
    Column("source", SmallInteger, nullable=False),
    Column("since", _utc_time, nullable=False),
)
"""Citizens whose record says that they are dead (DEAD) or missing (MISSING).

``died_year``, ``died_month``, ``died_day`` are as given; ``died_on`` is the earliest day they allow, null if no year is
known. ``since``: when it happened at the source that holds the record.
"""

flag = Table(
    "flag",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("entity", Text, nullable=False),
    Column("aspect", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("part", Text, nullable=False),
    Column("flag", Text, nullable=False),
    Column("cause_key", Uuid, nullable=False),
    Column("opened_at", _utc_time, nullable=False, server_default=func.now()),
    Column("closed_at", _utc_time),
)
"""Standing flags (``hub.model.flags.StandingFlag``): what is flagged, and the key of the citizen whose death is the
cause.

``id`` is computed from all columns except the times, so the same flag has the same id in every warehouse.
"""
