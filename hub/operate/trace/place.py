"""What is known of a place in the log whose record has no key or was not read by the hub: an alert may name it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, select

from hub.log.places import Place, place_text, topic_of
from hub.log.topic_ids import created_again
from hub.model.errors import UnreachableError
from hub.operate.log.record import LogRecord, read_record
from hub.warehouse.database import translated_errors
from hub.warehouse.stops import Stop, read_stops
from hub.warehouse.tables.core import audit, dead_letter, log_partition

_OTHER_LOG = "its topic was deleted and created again, and the hub has not read the new log"
_PLACE = re.compile(r"^(?P<topic>[\w.\-]+)/(?P<partition>\d{1,9})(?:[@/](?P<offset>\d{1,18}))?$")


@dataclass(frozen=True, slots=True)
class PlaceStory:
    """A place in the log, in words.

    Fields:
        place: which place; for a partition alone, how far the hub has read it.
        outcome, reason, detail: what became of its record; None: nothing yet.
        record: as in the log; None: the log has none there.
        said: what is known, one sentence each.
        do: commands that show more.
    """

    place: Place
    outcome: str | None
    reason: str | None
    detail: str | None
    decided_at: datetime | None
    record: LogRecord | None
    said: tuple[str, ...]
    do: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        record = self.record
        return {
            "place": place_text(self.place),
            "outcome": self.outcome,
            "reason": self.reason,
            "detail": self.detail,
            "decided_at": self.decided_at and self.decided_at.isoformat(),
            "appended_at": record and record.appended_at and record.appended_at.isoformat(),
            "value_bytes": record and record.value_bytes,
            "headers": record and dict(record.headers_as_text(is_masked=True)),
            "said": list(self.said),
            "do": list(self.do),
        }


@dataclass(frozen=True, slots=True)
class _Known:
    """What the warehouse knows of a place."""

    place: Place
    first_offset: int | None
    next_offset: int | None
    stop: Stop | None
    row: Any
    has_letter: bool
    topic_id: UUID | None = None


def place_named(text: str) -> tuple[str, int, int | None] | None:
    """Return the topic, partition and offset that a text names; a subject means its topic. None: the text names none.

    The offset is None if only a partition is named, as alerts do.
    """
    found = _PLACE.match(text.strip())
    if found is None:
        return None
    offset = found["offset"]
    return topic_of(found["topic"]), int(found["partition"]), None if offset is None else int(offset)


def story_of(engine: Engine, bootstrap: str, named: tuple[str, int, int | None]) -> PlaceStory:
    """Return what is known of a place.

    Args:
        engine: of the warehouse.
        bootstrap: Kafka brokers; the story says so if they are unreachable.
        named: as ``place_named`` returns it.

    Raises:
        RetryableError: the warehouse does not answer.
    """
    with translated_errors("looking at a place of the log"), engine.connect() as connection:
        known = _known(connection, named)
    away, record = "", None
    is_other_log = False
    try:
        topic = known.place.topic
        is_other_log = known.topic_id is not None and bool(created_again(bootstrap, {topic: known.topic_id}))
        record = None if is_other_log else read_record(bootstrap, known.place)
    except UnreachableError as error:
        away = error.message
    row = known.row
    return PlaceStory(
        known.place,
        None if row is None else str(row.outcome),
        None if row is None else row.reason,
        None if row is None else row.detail,
        None if row is None else row.recorded_at,
        record,
        tuple(_said(known, record, _OTHER_LOG if is_other_log else away)),
        tuple(_commands(known)),
    )


def _known(connection: Connection, named: tuple[str, int, int | None]) -> _Known:
    topic, partition, offset = named
    stop = next(
        (one for one in read_stops(connection, standing_only=True) if (one.topic, one.partition) == (topic, partition)),
        None,
    )
    log = connection.execute(
        select(log_partition).where(log_partition.c.topic == topic, log_partition.c.partition == partition)
    ).first()
    if offset is None:
        offset = stop.poison_offset if stop else log.next_offset if log else 0
    place = Place(topic, partition, offset)
    if log is None:
        return _Known(place, None, None, stop, None, False)
    row = connection.execute(
        select(audit.c.outcome, audit.c.reason, audit.c.detail, audit.c.recorded_at).where(
            audit.c.log == log.id, audit.c.log_offset == offset
        )
    ).first()
    letter = select(dead_letter.c.log_offset).where(dead_letter.c.log == log.id, dead_letter.c.log_offset == offset)
    has_letter = connection.execute(letter).first() is not None
    return _Known(place, log.first_offset, log.next_offset, stop, row, has_letter, log.topic_id)


def _said(known: _Known, record: LogRecord | None, away: str) -> Iterator[str]:
    offset = known.place.offset
    if known.next_offset is None or known.first_offset is None:
        yield "the hub has never read this partition"
    elif known.row is not None:
        yield "the record has no key that the hub knows: it could not be read as an event"
    elif offset < known.first_offset:
        yield f"the hub began to read this partition at {known.first_offset}, after this place"
    elif offset < known.next_offset:
        yield "the hub read past it, and no record is here: a transaction's marker, or an aborted record"
    else:
        yield f"it is not decided yet: {offset - known.next_offset:,} places are before it"
    if known.stop is not None:
        stop = known.stop
        since = f" since {stop.stopped_at:%Y-%m-%d %H:%M:%S} UTC" if stop.stopped_at else ""
        yield f"the partition is stopped at {stop.stop_offset}{since}: {stop.why}"
    if away:
        yield f"the log cannot be asked: {away}"
    elif record is None:
        yield "the log holds no record here now"
    elif record.why:
        yield f"the bytes here are not a record: {record.why}"


def _commands(known: _Known) -> Iterator[str]:
    if known.has_letter:
        yield f"hub deadletters show {place_text(known.place)}"
    if known.stop is not None:
        yield "hub partitions list"
    if known.next_offset is None:
        yield "hub offsets show"
    elif known.row is None:
        yield "hub ledger --partitions"
