"""Tables of what people do with dead letters, parked records and stopped partitions.

A record is named by its place on Kafka, not by the number of its log partition. So these rows stay valid in every
warehouse that is built from the same log.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB

from hub.warehouse.tables.core import metadata, utc_time


def _place() -> tuple[Column[str], Column[int], Column[int]]:
    return (
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
    )


letter = Table(
    "letter",
    metadata,
    *_place(),
    Column("state", Text, nullable=False),
    Column("changed_at", utc_time, nullable=False, server_default=func.now()),
    Column("changed_by", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    PrimaryKeyConstraint("topic", "partition", "log_offset"),
)
"""State of a dead letter that somebody handled (hub.operate.dead_letters.letters.State); a letter without a row is
open.
"""

letter_edit = Table(
    "letter_edit",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    *_place(),
    Column("edited_at", utc_time, nullable=False, server_default=func.now()),
    Column("edited_by", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("before_sha256", LargeBinary, nullable=False),
    Column("after_sha256", LargeBinary, nullable=False),
    Column("fields", ARRAY(Text), nullable=False),
    Column("record_key", LargeBinary),
    Column("record_value", LargeBinary, nullable=False),
    Column("approved_at", utc_time),
    Column("approved_by", Text),
    Column("value_bytes", Integer, Computed("length(record_value)", persisted=True)),
    Column("approval", BigInteger),
)
"""New bytes for a dead letter, with the hashes before and after; the last edit of a letter counts.

Append-only except for the approval. ``fields``: names of the fields that were set, empty if the bytes were replaced as
a whole; ``approval``: the row of ``action`` in which it was approved.
"""

redrive = Table(
    "redrive",
    metadata,
    *_place(),
    Column("attempt", Integer, nullable=False),
    Column("intent_at", utc_time, nullable=False, server_default=func.now()),
    Column("intended_by", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("value_sha256", LargeBinary, nullable=False),
    Column("edit", BigInteger),
    Column("approval", BigInteger),
    Column("end_offset", BigInteger, nullable=False),
    Column("new_offset", BigInteger),
    Column("done_at", utc_time),
    PrimaryKeyConstraint("topic", "partition", "log_offset"),
    UniqueConstraint("topic", "partition", "new_offset"),
)
"""A redrive of a dead letter into its partition: recorded first, then sent, then marked with its new offset.

``end_offset``: the end of the partition when the redrive was recorded; a copy can only be at or after it. ``attempt``:
1 for a record that was never redriven before, otherwise one more than the redrive that brought it. ``edit``,
``approval``: the edit whose bytes it sends, and the row of ``action`` in which that was approved; null if it is sent
unchanged.
"""

discarded = Table(
    "discarded",
    metadata,
    *_place(),
    Column("discarded_at", utc_time, nullable=False, server_default=func.now()),
    Column("discarded_by", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    PrimaryKeyConstraint("topic", "partition", "log_offset"),
)
"""Parked records that two people decided to discard; their outcome is in ``release``."""

operator = Table(
    "operator",
    metadata,
    Column("name", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("cost", Integer, nullable=False),
    Column("added_at", utc_time, nullable=False, server_default=func.now()),
    Column("added_by", Text, nullable=False),
    Column("approved_by", Text),
    Column("disabled_at", utc_time),
    Column("disabled_by", Text),
    Column("failed_tries", Integer, nullable=False, server_default=text("0")),
    Column("last_failed_at", utc_time),
    Column("locked_at", utc_time),
)
"""People who may approve what another person has prepared; only the scrypt hash of their credential is stored."""

partition_stop = Table(
    "partition_stop",
    metadata,
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("stop_offset", BigInteger, nullable=False),
    Column("poison_offset", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("limit_run", Integer, nullable=False),
    Column("limit_window", Integer, nullable=False),
    Column("limit_share", DOUBLE_PRECISION, nullable=False),
    Column("stopped_at", utc_time, nullable=False, server_default=func.now()),
    Column("stopped_by", Text, nullable=False),
    Column("resumed_at", utc_time),
    Column("resumed_by", Text),
    Column("purpose", Text),
    Column("accept_poison", Integer, nullable=False, server_default=text("0")),
    Column("cause", Text, nullable=False, server_default=text("'STORM'")),
    Column("bug", Text),
    PrimaryKeyConstraint("topic", "partition"),
)
"""The latest stop of a partition; ``cause`` is a ``StopCause``. It is stopped while ``resumed_at`` is null.

``stop_offset``: the stored offset, from which it will continue; ``poison_offset``: the record that reached the limit.
``bug``: the bug and its place in the code, if that is the cause (hub.model.bug).
"""

worker_bug = Table(
    "worker_bug",
    metadata,
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("end_offset", BigInteger, nullable=False),
    Column("ends", Integer, nullable=False),
    Column("bug", Text, nullable=False),
    Column("noted_at", utc_time, nullable=False, server_default=func.now()),
    Column("noted_by", Text, nullable=False),
    PrimaryKeyConstraint("topic", "partition"),
)
"""The last batch of a partition at which a bug ended a worker, until it is durable (hub.warehouse.bugs)."""
