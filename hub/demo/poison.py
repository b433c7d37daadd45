"""Records that must not stop anything: broken bytes, invalid values, sources that may not speak, repeats.

Each is sent directly to an event topic, between good records, and each has the reason with which it must be audited.
"""

import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kafka import TopicPartition

from hub.codec.encode import Encoder
from hub.demo.people import MIDNIGHT, Person
from hub.embedded.locate import Endpoints
from hub.log.clients import CONFIRM_LIMIT_S, log_writer
from hub.log.reader import log_reader
from hub.model.outcomes import Reason
from hub.topology import MAX_LOG_RECORD_BYTES, event_topic

TOO_LARGE_BYTES = 10_000_000
_SUBJECT = "citizen.changed"
_UNKNOWN_ID = (1 << 31) - 1
_HEADER = 5


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record, and why it cannot be applied."""

    key: bytes = field(repr=False)
    value: bytes | None = field(repr=False)
    reason: Reason


def bad_records(person: Person, other: Person, secret: str) -> Iterator[BadRecord]:
    """Return one record for each way to be bad, about ``person``; a wrong key is the key of ``other``."""
    encoder = Encoder(_SUBJECT, secret)

    def event(**changed: Any) -> Mapping[str, Any]:
        return {**_event(person), **changed}

    key, value = encoder.key(event()), encoder.encode(event())
    dossier = Encoder("dossier.progressed", secret).encode(_step())
    yield BadRecord(key, value[:-7], Reason.NOT_DECODABLE)
    yield BadRecord(key, value + b"\x00\x00", Reason.TRAILING_BYTES)
    yield BadRecord(key, b"\x01" + value[1:], Reason.BAD_MAGIC)
    yield BadRecord(key, b"\x00" + _UNKNOWN_ID.to_bytes(4, "big") + value[_HEADER:], Reason.UNKNOWN_SCHEMA_ID)
    yield BadRecord(key, dossier, Reason.WRONG_SUBJECT)
    yield BadRecord(key, b"", Reason.EMPTY)
    yield BadRecord(key, None, Reason.TOMBSTONE)
    yield BadRecord(key, random.Random(1).randbytes(TOO_LARGE_BYTES), Reason.TOO_LARGE)
    yield BadRecord(key, encoder.encode(event(source_epoch=-1)), Reason.INVALID_VALUE)
    yield BadRecord(encoder.key(_event(other)), value, Reason.KEY_MISMATCH)
    yield BadRecord(key, encoder.encode(event(source_system="vien.nghien.cuu")), Reason.SOURCE_UNKNOWN)
    yield BadRecord(key, encoder.encode(event(source_system="hanam.motcua")), Reason.SOURCE_NOT_ALLOWED)
    yield BadRecord(key, encoder.encode(event(full_name="Người Khác")), Reason.VERSION_REUSED)


def send_bad_records(where: Endpoints, person: Person, other: Person) -> int:
    """Send every bad record once and return how many; blocks until the broker has confirmed them."""
    topic = event_topic(_SUBJECT)
    with log_writer(where.bootstrap, "start the demo again", max_request_size=MAX_LOG_RECORD_BYTES) as out:
        bad = bad_records(person, other, where.key_secret)
        sent = [out.send(topic, key=one.key, value=one.value) for one in bad]
        for one in sent:
            one.get(timeout=CONFIRM_LIMIT_S)
    return len(sent)


def send_again(where: Endpoints, subject: str, count: int) -> int:
    """Send the first ``count`` records of partition 0 again, byte for byte; return how many there were."""
    partition = TopicPartition(event_topic(subject), 0)
    with log_reader(where.bootstrap) as source:
        source.assign([partition])
        source.seek_to_beginning(partition)
        found = source.poll(timeout_ms=10_000, max_records=count).get(partition, [])
    with log_writer(where.bootstrap, "start the demo again") as out:
        for sent in [out.send(partition.topic, key=record.key, value=record.value) for record in found]:
            sent.get(timeout=CONFIRM_LIMIT_S)
    return len(found)


def _event(person: Person) -> dict[str, Any]:
    """Return the person's first event as the population database's connector would send it, except for the place."""
    return {
        **_envelope("dancu", "G01", person.registered_at),
        "pin": person.pin,
        "full_name": person.full_name,
        "birth_year": person.birth_year,
    }


def _step() -> dict[str, Any]:
    at = MIDNIGHT.replace(hour=1)
    return {**_envelope("hanam.motcua", "H25", at), "dossier_code": "H25.10-250630-99999", "status": "IN_PROCESS"}


def _envelope(source: str, agency: str, occurred_at: datetime) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4(),
        "occurred_at": occurred_at,
        "recorded_at": datetime.now(UTC),
        "source_system": source,
        "source_agency": agency,
        "source_epoch": 1,
        "source_version": 1,
        "operation": "UPDATE",
        "unit_scheme": "GSO_2004",
    }
