"""Tables of evidence: seals over the audit rows, signed heads of their chains, keys, months that were retired.

The worker may only add rows to them (hub.warehouse.setup.roles).
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
)

from hub.warehouse.tables.core import metadata, outcome_type, utc_time

seal = Table(
    "seal",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("chain", Text, nullable=False),
    Column("log", SmallInteger),
    Column("first_place", BigInteger, nullable=False),
    Column("end_place", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("month", Date, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("marks", LargeBinary, nullable=False),
    Column("places", LargeBinary),
    Column("link", LargeBinary, nullable=False),
    Column("sealed_at", utc_time, nullable=False, server_default=func.now()),
    UniqueConstraint("chain", "first_place"),
    UniqueConstraint("chain", "end_place"),
)
"""One link of a chain: the rows of a log partition from ``first_place`` to before ``end_place`` (hub.model.evidence).

``log`` is null for the chains of releases and actions, whose places are row numbers. ``marks``: the first bytes of each
row's leaf, so that a wrong row can be named. ``places``: the places of the rows, null if they leave no gap.
"""

audit_found = Table(
    "audit_found",
    metadata,
    Column("log", SmallInteger, nullable=False),
    Column("first_place", BigInteger, nullable=False),
    Column("end_place", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    Column("slack", Integer, nullable=False),
    PrimaryKeyConstraint("log", "first_place"),
)
"""Hashes of the keys and event ids in a stretch of audit rows (hub.warehouse.evidence.find): for searching, not a
proof.
"""

head = Table(
    "head",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("signed_at", utc_time, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("last_seal", BigInteger, nullable=False),
)
"""The ends of all chains at one moment, signed; ``last_seal``: the newest seal that it covers."""

head_published = Table(
    "head_published",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("published_at", utc_time, nullable=False, server_default=func.now()),
)
"""The place of a head on Kafka."""

signing_key = Table(
    "signing_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("first_used_at", utc_time, nullable=False, server_default=func.now()),
)
"""Public keys of the keys that signed heads."""

retired = Table(
    "retired",
    metadata,
    Column("relation", Text, nullable=False),
    Column("month", Date, nullable=False),
    Column("log", SmallInteger, nullable=False),
    Column("first_place", BigInteger, nullable=False),
    Column("end_place", BigInteger, nullable=False),
    Column("outcome", outcome_type, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("retired_at", utc_time, nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("relation", "month", "log", "outcome"),
)
"""Months of ``audit`` and ``release`` that were dropped after their retention, with their rows counted by outcome."""

APPEND_ONLY = (
    "audit",
    "release",
    "late_flag",
    "action",
    "batch",
    "seal",
    "head",
    "head_published",
    "signing_key",
    "retired",
)
"""Tables to which the worker may add rows, but in which it may not change or delete any."""

BY_MONTH = ("audit", "release")
"""Tables that are partitioned by the month in which a row was recorded."""
