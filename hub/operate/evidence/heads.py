"""Heads: the ends of all chains, signed together, stored, and published to their topic, which nobody can undo."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fastavro
from kafka import KafkaConsumer
from sqlalchemy import Connection, Select, func, insert, select, true
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.codec.decode import decode
from hub.log.clients import log_writer
from hub.log.reader import log_reader, partitions_of, read_from_the_beginning
from hub.model.errors import PoisonError, UnreachableError
from hub.model.evidence import ChainEnd, Head, document_digest, key_id_of
from hub.operate.evidence.keys import SigningKey
from hub.topology import HEAD_SUBJECT, HEAD_TOPIC
from hub.warehouse.tables.core import audit, log_partition
from hub.warehouse.tables.evidence import head, head_published, seal, signing_key

_CONFIRM_LIMIT_S = 15.0
_READ_LIMIT_MS = 10_000


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head as it is stored or published."""

    number: int
    key_id: str
    public_key: bytes
    document: str
    signature: bytes


def sign_head(connection: Connection, key: SigningKey) -> SignedHead:
    """Sign the ends of the chains that moved since the last head, and store the head in the caller's transaction.

    The caller holds the lock for sealing, so no seal is added meanwhile.
    """
    last = connection.execute(select(head).order_by(head.c.number.desc()).limit(1)).one_or_none()
    covered = 0 if last is None else int(last.last_seal)
    newest = connection.execute(select(func.coalesce(func.max(seal.c.id), 0))).scalar_one()
    moved = connection.execute(
        select(seal.c.chain, seal.c.end_place, seal.c.link)
        .where(seal.c.id > covered)
        .ext(distinct_on(seal.c.chain))
        .order_by(seal.c.chain, seal.c.end_place.desc())
    )
    signed_at = datetime.now(UTC)
    made = Head(
        1 if last is None else last.number + 1,
        signed_at.isoformat(),
        key.key_id,
        "" if last is None else document_digest(last.document),
        tuple(ChainEnd(chain, end, bytes(link).hex()) for chain, end, link in moved),
    )
    document = made.document()
    signature = key.sign(document)
    connection.execute(upsert(signing_key).values(id=key.key_id, public_key=key.public).on_conflict_do_nothing())
    values = {"number": made.number, "signed_at": signed_at, "key_id": key.key_id, "document": document}
    connection.execute(insert(head).values(**values, signature=signature, last_seal=newest))
    return SignedHead(made.number, key.key_id, key.public, document, signature)


def stored_heads(connection: Connection, number: int | None = None) -> list[SignedHead]:
    """Return the heads of the warehouse in order; ``number``: only that one."""
    wanted = _heads() if number is None else _heads().where(head.c.number == number)
    return _signed(connection, wanted)


def unpublished_heads(connection: Connection) -> list[SignedHead]:
    """Return the heads that no broker has confirmed, in order."""
    newest = select(func.coalesce(func.max(head_published.c.number), 0)).scalar_subquery()
    return _signed(connection, _heads().where(head.c.number > newest))


def _heads() -> Select[Any]:
    return (
        select(head.c.number, head.c.key_id, signing_key.c.public_key, head.c.document, head.c.signature)
        .join_from(head, signing_key, signing_key.c.id == head.c.key_id, isouter=True)
        .order_by(head.c.number)
    )


def _signed(connection: Connection, wanted: Select[Any]) -> list[SignedHead]:
    return [
        SignedHead(number, key_id, bytes(public or b""), document, bytes(signature))
        for number, key_id, public, document, signature in connection.execute(wanted)
    ]


def publish_heads(bootstrap: str, heads: Sequence[SignedHead]) -> list[dict[str, Any]]:
    """Send heads to their topic in order; return the rows of ``head_published`` when the broker has confirmed all.

    Raises:
        UnreachableError: the broker did not confirm in time, or the topic does not exist; it is safe to send again.
    """
    advice = f"is the topic {HEAD_TOPIC} there? `hub topics ensure` shows it"
    options = {"linger_ms": 0, "compression_type": None, "max_block_ms": int(_CONFIRM_LIMIT_S * 1000)}
    with log_writer(bootstrap, advice, _CONFIRM_LIMIT_S, **options) as producer:
        sent = [(one.number, producer.send(HEAD_TOPIC, value=_encoded(one))) for one in heads]
        producer.flush(timeout=_CONFIRM_LIMIT_S)
        placed = [(number, future.get(timeout=_CONFIRM_LIMIT_S)) for number, future in sent]
    return [
        {"number": number, "topic": at.topic, "partition": at.partition, "log_offset": at.offset}
        for number, at in placed
    ]


def note_published(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store the offsets of heads on Kafka."""
    connection.execute(upsert(head_published).on_conflict_do_nothing(), list(rows))


def _encoded(one: SignedHead) -> bytes:
    version = load_catalogue().latest(HEAD_SUBJECT)
    fields = {
        "number": one.number,
        "signed_at": datetime.fromisoformat(Head.parse(one.document).signed_at),
        "key_id": one.key_id,
        "public_key": one.public_key.hex(),
        "document": one.document,
        "signature": one.signature.hex(),
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, dict(version.schema), fields)
    return wire.frame(version.schema_id, out.getvalue())


def published_heads(bootstrap: str) -> list[SignedHead]:
    """Return every head on the topic, in the order of the topic; records that are not heads are skipped.

    Raises:
        UnreachableError: no broker answers in time.
    """
    with log_reader(bootstrap, auto_offset_reset="earliest") as consumer:
        return _all_heads(consumer)


def _all_heads(consumer: KafkaConsumer) -> list[SignedHead]:
    partitions = partitions_of(consumer, HEAD_TOPIC)
    if not partitions:
        return []
    ends = read_from_the_beginning(consumer, partitions)
    found: list[SignedHead] = []
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        polled = consumer.poll(timeout_ms=_READ_LIMIT_MS)
        if not polled:
            raise UnreachableError(f"{HEAD_TOPIC}: the broker does not give its records")
        for records in polled.values():
            found += [one for record in records if (one := _decoded(record.value)) is not None]
    return found


def _decoded(value: bytes | None) -> SignedHead | None:
    if value is None:
        return None
    try:
        version, fields = decode(value)
        if version.subject != HEAD_SUBJECT:
            return None
        public, signature = bytes.fromhex(fields["public_key"]), bytes.fromhex(fields["signature"])
        return SignedHead(fields["number"], key_id_of(public), public, fields["document"], signature)
    except (PoisonError, ValueError):
        return None


def published_seal(connection: Connection) -> int:
    """Return the newest seal that a published head covers; 0 before the first one."""
    newest = (
        select(head.c.last_seal)
        .join_from(head, head_published, head_published.c.number == head.c.number)
        .order_by(head.c.number.desc())
        .limit(1)
    )
    return int(connection.execute(newest).scalar_one_or_none() or 0)


def oldest_unproven(connection: Connection) -> datetime | None:
    """Return when the oldest audit row was recorded that no published head covers; None if all are covered."""
    covered = published_seal(connection)
    proven = (
        select(seal.c.end_place)
        .where(seal.c.log == log_partition.c.id, seal.c.id <= covered)
        .order_by(seal.c.first_place.desc())
        .limit(1)
        .lateral("proven")
    )
    since = func.coalesce(proven.c.end_place, log_partition.c.first_offset)
    oldest = (
        select(audit.c.recorded_at)
        .where(audit.c.log == log_partition.c.id, audit.c.log_offset >= since)
        .order_by(audit.c.log_offset)
        .limit(1)
        .lateral("oldest")
    )
    lacking = log_partition.outerjoin(proven, true()).join(oldest, true())
    found = select(func.min(oldest.c.recorded_at)).select_from(lacking).where(log_partition.c.next_offset > since)
    moment: datetime | None = connection.execute(found).scalar_one()
    return moment
