"""Tables of replays: the plans, and how far each replay is."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
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
from sqlalchemy.dialects.postgresql import JSONB

from hub.warehouse.tables.core import metadata, utc_time

replay = Table(
    "replay",
    metadata,
    Column("id", Integer, Identity(always=False), primary_key=True),
    Column("made_at", utc_time, nullable=False, server_default=func.now()),
    Column("made_by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("publish", Boolean, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("shadow", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'PLANNED'")),
    Column("asked", Text),
    Column("changed_at", utc_time, nullable=False, server_default=func.now()),
    Column("events_per_s", Double),
    Column("failed_at", utc_time),
    Column("failure", Text),
)
"""Plans of replays. ``document``: filters and what they selected; ``asked``: PAUSE or CANCEL, read between batches.

``failure``: why the last try failed; null if it did not, or is under way."""

replay_position = Table(
    "replay_position",
    metadata,
    Column("replay", Integer, nullable=False),
    Column("log", SmallInteger, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("end_offset", BigInteger, nullable=False),
    Column("copied_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("read", BigInteger, nullable=False, server_default=text("0")),
    Column("selected", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("replay", "log"),
)
"""How far a replay has read each log partition; moved in the transaction that stores the shadow's batch.

``first_offset`` to ``end_offset``: what the plan reads. ``copied_offset``: from here on every event counts, whatever
the plan selects. It is the position of the live warehouse when its state was copied or, for a whole rebuild,
``end_offset``.
"""

replay_withdrawn = Table(
    "replay_withdrawn",
    metadata,
    Column("replay", Integer, nullable=False),
    Column("subject", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("source_epoch", Integer, nullable=False),
    Column("source_version", BigInteger, nullable=False),
    PrimaryKeyConstraint("subject", "key", "source", "replay"),
)
"""What a live replay removed: up to this version, events of the source about the key have left no claim.

Without these rows the ledger's check would report these claims as missing, because their audit rows still say that they
were applied.
"""

replay_left = Table(
    "replay_left",
    metadata,
    Column("log", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("replay", Integer, nullable=False),
    Column("outcome", Text),
    PrimaryKeyConstraint("log", "log_offset", "replay"),
)
"""Records that waited when a replay went live and no longer wait: their outcome there; null: the replay left them out.
"""
