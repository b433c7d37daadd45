"""From a record on a topic of share to what it is about: a thing, or the place of an event.

A golden record has its thing's key; its header ``hub.position`` names the event that changed it last. A flag has only
this header. The copy of a dead letter has the header ``hub.origin``: the place of its record.
"""

from dataclasses import dataclass
from uuid import UUID

from hub.log.places import Place
from hub.model.entities import ENTITIES
from hub.operate.log.record import LogRecord, read_record
from hub.operate.records.request import NoSuchThingError
from hub.operate.trace.place import place_named
from hub.reconcile.shared.republish import JOB_LOG
from hub.topology import HEADER_ORIGIN, HEADER_POSITION, record_topic, shared_topics

_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class SharedRecord:
    """A record that share wrote.

    Fields:
        record: as in the log.
        who: what to trace: a key, or a place in the log.
        entity: whose key it is; None if ``who`` is a place.
    """

    record: LogRecord
    who: str
    entity: str | None


def shared_record(bootstrap: str, text: str) -> SharedRecord | None:
    """Return the record that a text names by its place on a topic of share; None: it names none.

    Raises:
        NoSuchThingError: the topic holds no record there, or one that refers to no event.
        UnreachableError: no broker answers.
    """
    if text.startswith(f"{JOB_LOG}/"):
        raise NoSuchThingError(
            "this position is a job of the hub, not an event: parked records released, a policy applied, units "
            "recoded or a replay switched; trace the record itself, by its code, its key or its place"
        )
    named = place_named(text)
    if named is None or named[0] not in shared_topics().values():
        return None
    topic, partition, offset = named
    if offset is None:
        raise NoSuchThingError(f"{topic}/{partition} is a topic of records: name its offset too, {topic}/{partition}/N")
    place = Place(topic, partition, offset)
    record = read_record(bootstrap, place)
    if record is None:
        raise NoSuchThingError(
            f"the topic holds no record at {topic}/{partition}/{offset}: a later one of its key has taken its place, "
            "or there never was one"
        )
    return _meant(record)


def _meant(record: LogRecord) -> SharedRecord:
    entity = next((one for one in ENTITIES if one.record_topic and record_topic(one) == record.place.topic), None)
    if entity is not None and record.key is not None and len(record.key) == _KEY_BYTES:
        return SharedRecord(record, str(UUID(bytes=record.key)), entity.name)
    said = record.headers_as_text(is_masked=True)
    for name in (HEADER_POSITION, HEADER_ORIGIN):
        if name in said and not said[name].startswith(JOB_LOG):
            return SharedRecord(record, said[name], None)
    raise NoSuchThingError(f"the record refers to no event: it has no header {HEADER_POSITION} or {HEADER_ORIGIN}")
