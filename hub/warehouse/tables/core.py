"""The tables that every warehouse has: log partitions, audit, dead letters, conflicts, reviews.

Names are unqualified; the connection's ``search_path`` chooses the schema, so a replay runs the same statements on a
shadow. The migrations set autovacuum and fillfactor.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ENUM, JSONB

from hub.model.outcomes import Outcome

metadata = MetaData()

outcome_type = ENUM(*(outcome.value for outcome in Outcome), name="outcome", metadata=metadata, create_type=False)
utc_time = DateTime(timezone=True)

source = Table(
    "source",
    metadata,
    Column("id", SmallInteger, Identity(always=False), primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    Column("agency", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("valid_until", utc_time),
)
"""Source systems of the policy; claims and audit rows refer to them by a small number."""

authority = Table(
    "authority",
    metadata,
    Column("aspect", Text, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("rank", SmallInteger, nullable=False),
    PrimaryKeyConstraint("aspect", "source"),
)
"""Rank of a source in an aspect, 0 is the highest; derived from the policy's roles and the entities' declarations."""

log_partition = Table(
    "log_partition",
    metadata,
    Column("id", SmallInteger, Identity(always=False), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("consumed", BigInteger, nullable=False, server_default=text("0")),
    Column("topic_id", Uuid),
    Column("chain", Text),
    UniqueConstraint("topic", "partition"),
)
"""The hub's position in each partition of the log; these offsets are authoritative (I1).

``consumed`` counts records. ``topic_id`` is Kafka's id of the topic to which the offsets belong, null if unknown.
``chain`` is the name of the chain of seals over its rows, null for ``topic/partition``.
"""

batch = Table(
    "batch",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("recorded_at", utc_time, nullable=False, server_default=func.now()),
    Column("worker", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
)
"""One row per committed transaction of the worker; audit rows refer to it."""

audit = Table(
    "audit",
    metadata,
    Column("log", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("batch", BigInteger, nullable=False),
    Column("outcome", outcome_type, nullable=False),
    Column("source", SmallInteger),
    Column("source_epoch", Integer),
    Column("source_version", BigInteger),
    Column("content_hash", BigInteger),
    Column("occurred_at", utc_time),
    Column("key", Uuid),
    Column("event_id", Uuid),
    Column("reason", Text),
    Column("detail", Text),
    Column("flags", Integer),
    Column("recorded_at", utc_time, nullable=False, server_default=func.now()),
)
"""One row per record read: its outcome and the reason (I5). Append-only and ordered within a log partition: the outbox.

``flags``: quality flags that follow from the event itself (hub.model.flags), null for none. Partitioned by the month of
``recorded_at``. (log, log_offset) is unique in each month, and no two months share an offset, since offsets move once
(I1).
"""

release = Table(
    "release",
    metadata,
    *(
        Column(column.name, column.type, nullable=column.nullable)
        for column in audit.columns
        if not column.server_default
    ),
    Column("id", BigInteger, nullable=False, server_default=text("nextval('release_id_seq')")),
    Column("recorded_at", utc_time, nullable=False, server_default=func.now()),
)
"""The outcome of parked records after their release: columns of ``audit``, whose row still says ``parked``.

``id`` counts the releases in the order in which they were written; partitioned like ``audit``.
"""

late_flag = Table(
    "late_flag",
    metadata,
    Column("log", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("flags", Integer, nullable=False),
    PrimaryKeyConstraint("log", "log_offset"),
)
"""Quality flags that do not follow from the event alone, but from what was stored before it. Append-only."""

parked = Table(
    "parked",
    metadata,
    Column("log", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("waits_for", Text),
    Column("let_in", Boolean, nullable=False, server_default=text("false")),
    Column("record_key", LargeBinary),
    Column("record_value", LargeBinary, nullable=False),
    Column("parked_at", utc_time, nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("log", "log_offset"),
)
"""Records that wait. ``waits_for`` names the missing reference (``procedure:1.001193``); null: it waits behind another.

``let_in``: an officer decided that the record is admitted without the reference.
"""

touched = Table(
    "touched",
    metadata,
    Column("log", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("noted_at", utc_time, nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("log", "log_offset", "entity", "key"),
)
"""Keys whose published record changed without their own event, at a place in the log that share will pass."""

identity_link = Table(
    "identity_link",
    metadata,
    Column("entity", Text, nullable=False),
    Column("aspect", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("other", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    PrimaryKeyConstraint("entity", "key", "other", "aspect", "source", "kind"),
)
"""``source`` states in its claim of ``key`` that ``other`` is another key of the same thing."""

same_key = Table(
    "same_key",
    metadata,
    Column("entity", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("canonical", Uuid, nullable=False),
    PrimaryKeyConstraint("entity", "key"),
)
"""Keys of one thing, and the key under which the thing is published; a key without a group has no row."""

policy = Table(
    "policy",
    metadata,
    Column("id", Integer, Identity(always=False), primary_key=True),
    Column("digest", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("applied_at", utc_time, nullable=False, server_default=func.now()),
    Column("applied_by", Text, nullable=False),
)
"""Every policy that was ever applied; the last one is in force."""

action = Table(
    "action",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("at", utc_time, nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("entity", Text),
    Column("key", Uuid),
    Column("detail", JSONB),
)
"""What people did with the hub's commands, and why. Append-only; no personal values."""

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("log", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("schema_id", BigInteger),
    Column("record_key", LargeBinary),
    Column("record_value", LargeBinary),
    Column("value_bytes", Integer, nullable=False),
    Column("value_sha256", LargeBinary, nullable=False),
    Column("recorded_at", utc_time, nullable=False, server_default=func.now()),
    Column("refused_by", JSONB),
    PrimaryKeyConstraint("log", "log_offset"),
)
"""Records that can never succeed. ``record_value`` is null for a tombstone and for a value that is too large to store.

``refused_by``: the stages through which the record went (hub.model.refusals); null in rows of an older version.
"""

conflict = Table(
    "conflict",
    metadata,
    Column("aspect", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("part", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("held_by", SmallInteger, nullable=False),
    Column("opened_at", utc_time, nullable=False, server_default=func.now()),
    Column("closed_at", utc_time),
    Column("id", BigInteger, Identity(always=False), nullable=False),
    PrimaryKeyConstraint("aspect", "key", "part", "field", "source"),
)
"""Two sources disagree about a field: ``source`` contradicts ``held_by``. The values are in the claims.

``id``: the number by which officers refer to it, in this warehouse.
"""

review = Table(
    "review",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("aspect", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("part", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("opened_at", utc_time, nullable=False, server_default=func.now()),
    Column("closed_at", utc_time),
    UniqueConstraint("kind", "aspect", "key", "part", "field", "source"),
)
"""Questions for an officer, e.g. AMBIGUOUS_UNIT with its candidates. Closed when the question no longer applies."""

alert = Table(
    "alert",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("name", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("opened_at", utc_time, nullable=False, server_default=func.now()),
    Column("last_seen_at", utc_time, nullable=False, server_default=func.now()),
    Column("count", BigInteger, nullable=False, server_default=text("1")),
    Column("closed_at", utc_time),
    Column("detail", Text, nullable=False),
)
"""Alerts (hub.model.alerts), at most one open for each name and place."""

share_position = Table(
    "share_position",
    metadata,
    Column("log", SmallInteger, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
"""How far share has read the audit log of each log partition."""
