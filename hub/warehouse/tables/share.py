"""Tables of share: what it set aside, the topics to which it writes, what it was asked to publish again.

Its position in the audit log is in ``share_position`` (hub.warehouse.tables.core), its state is in ``process``.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.warehouse.tables.core import metadata, utc_time

set_aside = Table(
    "set_aside",
    metadata,
    Column("topic", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("key", Uuid),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("value_bytes", BigInteger),
    Column("since", utc_time, nullable=False, server_default=func.now()),
    Column("tried_at", utc_time, nullable=False, server_default=func.now()),
    Column("tries", Integer, nullable=False, server_default=text("1")),
    Column("closed_at", utc_time),
    PrimaryKeyConstraint("topic", "item"),
)
"""Records that share could not publish. The portal has an older state, or none, since ``since``.

``item``: the key of a golden record, or the place of a dead letter (``topic/partition/offset``), whose ``key`` is null.
``closed_at``: when it was published later, or no longer existed; null: it still waits.
"""

share_topic = Table(
    "share_topic",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("topic_id", Uuid, nullable=False),
    Column("known_since", utc_time, nullable=False, server_default=func.now()),
    Column("partitions", Integer),
    Column("partitions_there", Integer),
)
"""The topics that share has filled, with the id that Kafka gave each: a recreated topic has a new id.

``partitions``: the number that share fills, which the topic had when it was first filled. ``partitions_there``: the
number that it has now. Both are null until share looks.
"""

blocked_topic = Table(
    "blocked_topic",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("why", Text, nullable=False),
    Column("since", utc_time, nullable=False, server_default=func.now()),
    Column("tried_at", utc_time, nullable=False, server_default=func.now()),
    Column("tries", Integer, nullable=False, server_default=text("0")),
)
"""Topics that share cannot publish to now; it goes on with all others. ``tries`` is 0 if the topic does not exist."""

missed_span = Table(
    "missed_span",
    metadata,
    Column("topic", Text, nullable=False),
    Column("log", SmallInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("topic", "log"),
)
"""The offset of a log partition from which on a blocked topic is behind, up to ``share_position``."""

republication = Table(
    "republication",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("name", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("topic_id", Uuid),
    Column("keys", ARRAY(Uuid)),
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False, server_default=text("0")),
    Column("after", Text),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_at", utc_time, nullable=False, server_default=func.now()),
    Column("finished_at", utc_time),
)
"""What share was asked to publish again (``hub share republish``), and how far it is.

``keys``: only these; null: all of ``name``. ``after``: the last item that was published, null before the first.
"""
