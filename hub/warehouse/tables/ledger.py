"""The ledger's running account: the counts of each stretch of a log partition, so that the check stays cheap."""

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, SmallInteger, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from hub.warehouse.tables.core import metadata, utc_time

ledger_range = Table(
    "ledger_range",
    metadata,
    Column("log", SmallInteger, nullable=False),
    Column("stretch", BigInteger, nullable=False),
    Column("end_offset", BigInteger, nullable=False),
    Column("consumed", BigInteger, nullable=False),
    Column("outcomes", JSONB, nullable=False),
    Column("checked_at", utc_time, nullable=False, server_default=func.now()),
    Column("problem", Text),
    PrimaryKeyConstraint("log", "stretch"),
)
"""The counts of ``OFFSETS_PER_STRETCH`` offsets of a log partition (hub.reconcile.ledger.counts).

``consumed``: by the stored offsets. ``outcomes``: by the audit rows, per outcome. ``problem``: what was missing at the
last check, at ``checked_at``; null: nothing.
"""

offset_plan = Table(
    "offset_plan",
    metadata,
    Column("id", Text, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", BigInteger, nullable=False),
    Column("from_offset", BigInteger, nullable=False),
    Column("to_offset", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("planned_by", Text, nullable=False),
    Column("planned_at", utc_time, nullable=False, server_default=func.now()),
    Column("applied_at", utc_time),
)
"""Planned moves of stored offsets: what would be skipped, and the digest of those records.

``lost``: offsets of the move that the log no longer held when it was planned.
"""
