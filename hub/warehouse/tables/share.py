"""Tables of share: what it set aside, the topics it writes to, what it was asked to publish again.

How far it has followed the audit log stands in ``share_position`` (hub.warehouse.tables.core), how it is in
``process``.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Integer,
    PrimaryKeyConstraint,
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
"""Records that share could not publish. The portal has the state of before, or none, since ``since``.

``item``: the key of a golden record, or the place of a dead letter (``topic/partition/offset``), whose ``key`` is null.
``closed_at``: when it was published after all, or was no longer there to publish; null: it still waits."""

share_topic = Table(
    "share_topic",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("topic_id", Uuid, nullable=False),
    Column("known_since", utc_time, nullable=False, server_default=func.now()),
    Column("partitions", Integer),
    Column("partitions_there", Integer),
)
"""The topics that share has filled, each by the id that Kafka gave it: one that is made anew has another id.

``partitions``: how many share fills, those that it had when it was filled first. ``partitions_there``: how many it has
by now. Both are null until share looks."""

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

``keys``: only these; null: all of ``name``. ``after``: the last item that was published, null before the first."""
