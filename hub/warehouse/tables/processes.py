"""The last heartbeat of each process of the hub."""

from sqlalchemy import BigInteger, Column, Double, Integer, PrimaryKeyConstraint, Table, Text, func

from hub.warehouse.tables.core import metadata, utc_time

process = Table(
    "process",
    metadata,
    Column("role", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("began_at", utc_time, nullable=False),
    Column("beat_at", utc_time, nullable=False, server_default=func.now()),
    Column("progress_at", utc_time, nullable=False),
    Column("doing", Text, nullable=False),
    Column("waits_for", Text),
    Column("waits_since", utc_time),
    Column("behind", BigInteger),
    Column("behind_s", Double),
    Column("ended_at", utc_time),
    Column("machine", Text),
    PrimaryKeyConstraint("role", "name"),
)
"""One row per worker, share and connector, overwritten by each heartbeat (hub.model.processes)."""
