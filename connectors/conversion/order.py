"""Versions that rise even if the source's do not: the connector remembers for a while what it sent last.

Two changes may fall within one tick of a clock; a time may be the start of its transaction; a session may take ids
ahead. Each of these gives the later state a version that is not above the one sent before. The connector has seen which
state came later, so it gives that state the next free version:

- a row of a table is a state: a row that is read again with different content is newer than what was sent of it;
- a row of an outbox is a change: of two changes to one thing with ids in the wrong order, the one with the later time
  is newer; where sessions take ids ahead, ids say nothing, and times order the rows of a page. The same row, read again
  with another mapping because a value of it had been dropped, is newer than what was sent of it.

What is remembered is stored with the checkpoint of its page, and forgotten after ``remember_s``.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.base.port import Record, Said
from connectors.base.reasons import Unmappable
from connectors.conversion.getters import Row
from connectors.conversion.mapping import RowMapper
from connectors.conversion.versions import MOST_VERSION
from connectors.declared.declaration import Kind
from hub.codec.cells import cells_of, null_of
from hub.codec.encode import Encoder
from hub.model.entities import SUBJECTS
from hub.model.envelope import FULL_READ

FOR_EVER_US = 253_402_300_799_999_999
"""The end of the year 9999: a version that was used up beside the source's own stays used up."""

_HASH_BYTES = 16
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Met:
    """A row that became a record under its own version.

    ``is_whole``: no value of it was dropped. One that lacks a value is sent again when the mapping changes, and then
    it needs the next version: what was sent of it is remembered for good.
    """

    row: Row = field(repr=False)
    record: Record
    event_id: bytes
    is_whole: bool = True


class OrderMemory:
    """Finds the version of each row of one stream. Holds only what unconfirmed pages say; the rest is in the store.

    Args:
        mapper: of the stream.
        encoder: of the stream.
        secret: of the keyed hash; without a key, personal content could be guessed from its hash.
        remember_s: how long a row or thing is remembered, in seconds.
        look_up: returns what the store holds of some rows or things.
    """

    def __init__(
        self,
        mapper: RowMapper,
        encoder: Encoder,
        secret: str,
        remember_s: float,
        look_up: Callable[[Collection[str]], Mapping[str, Said]],
    ) -> None:
        self._mapper = mapper
        self._hash = hashlib.blake2b(digest_size=_HASH_BYTES, key=hashlib.sha256(secret.encode()).digest())
        self._remember = timedelta(seconds=remember_s)
        self._look_up = look_up
        self._is_outbox = mapper.stream.kind is Kind.OUTBOX
        self._under_way: dict[str, Said] = {}
        self._time = cells_of(encoder.version)["recorded_at"]
        self._full_read = cells_of(encoder.version)["causation_id"](FULL_READ)
        self._no_cause = null_of(encoder.version, "causation_id") or b""
        _, aspect = SUBJECTS[mapper.stream.subject]
        self._parts = tuple(step for step in mapper.steps if step.field in aspect.part)

    def forget_under_way(self) -> None:
        """Drop what unconfirmed pages say: they are read again."""
        self._under_way.clear()

    def confirmed(self, said: Mapping[str, Said]) -> None:
        """Drop what the store now holds, unless a later page says something newer of the same thing."""
        for thing, one in said.items():
            if self._under_way.get(thing) == one:
                del self._under_way[thing]

    def by_time(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows in the order of their times; rows without a time come first."""
        return sorted(rows, key=lambda row: self._changed_at(row) or _EPOCH)

    def content(self, value: bytes, event_id: bytes, recorded_at: datetime) -> str:
        """Return the hash of a record without its event id, its ``recorded_at`` and the mark of a full read."""
        said = value.replace(self._full_read, self._no_cause, 1)
        return self._hashed(said.replace(event_id, b"", 1).replace(self._time(recorded_at), b"", 1))

    def settle(
        self, met: Sequence[Met], now: datetime, is_first_read: bool, again: Callable[[Row, int], Record]
    ) -> tuple[list[Record], dict[str, Said]]:
        """Return the records of a page's rows, each with the version that its order gives it, and what to remember.

        Args:
            met: the rows, in the order in which they are sent.
            now: when they were read.
            is_first_read: in a first full read, only rows that changed recently can come again with the same version.
            again: makes a row's record with another version.
        """
        times = [self._changed_at(one.row) for one in met]
        asked = [
            self._is_outbox or not is_first_read or not one.is_whole or self._is_recent(at, now)
            for one, at in zip(met, times, strict=True)
        ]
        things = [self._thing(one) if is_asked else "" for one, is_asked in zip(met, asked, strict=True)]
        known = {} if is_first_read and not self._is_outbox else self._known([thing for thing in things if thing])
        records, said = [one.record for one in met], dict[str, Said]()
        for place, (one, thing, at) in enumerate(zip(met, things, times, strict=True)):
            if not thing:
                continue
            own, before = self._mapper.version(one.row), known.get(thing)
            content = self.content(one.record[1], one.event_id, now)
            version = self._version(before, own, content, at)
            if version != own:
                records[place] = again(one.row, version)
            if before is None or version >= before.sent:
                known[thing] = Said(own, version, content, _micros(at), self._until(one, before, version, now))
                if not is_first_read or not one.is_whole or self._is_recent(at, now):
                    said[thing] = known[thing]
        self._under_way.update(said)
        return records, said

    def _thing(self, met: Met) -> str:
        """Return what a row is about: a table's row is about itself, an outbox's row about its entity."""
        if not self._is_outbox:
            return self._mapper.row_hash(met.row)
        key = met.record[0]
        if not self._parts:
            return key.hex()
        opened, _ = self._mapper.opened([met.row])
        parts = "\x1f".join(str(step.value(opened[0])) for step in self._parts)
        return self._hashed(key + parts.encode())

    def _known(self, things: Sequence[str]) -> dict[str, Said]:
        """Return what was sent of some things, unconfirmed pages included."""
        stored = self._look_up({thing for thing in things if thing not in self._under_way})
        return {**stored, **{thing: self._under_way[thing] for thing in things if thing in self._under_way}}

    def _version(self, before: Said | None, own: int, content: str, at: datetime | None) -> int:
        """Return the version to send: the row's own, or the next free one if the row is newer than what was sent."""
        if before is None or own > before.sent:
            return own
        if before.content == content:
            return before.sent
        at_us = _micros(at)
        is_same_row = not self._is_outbox or own == before.own
        is_newer = is_same_row or (at_us is not None and before.at_us is not None and at_us > before.at_us)
        return min(before.sent + 1, MOST_VERSION) if is_newer else own

    def _until(self, met: Met, before: Said | None, version: int, now: datetime) -> int:
        """Return how long it is remembered what was sent: for good where a value was dropped, and what follows it."""
        is_for_good = before is not None and before.until_us == FOR_EVER_US and version == before.sent + 1
        return FOR_EVER_US if is_for_good or not met.is_whole else _micros(now + self._remember) or 0

    def _changed_at(self, row: Row) -> datetime | None:
        try:
            return self._mapper.changed_at(row)
        except Unmappable:
            return None

    def _is_recent(self, at: datetime | None, now: datetime) -> bool:
        return at is not None and at >= now - self._remember

    def _hashed(self, data: bytes) -> str:
        hashed = self._hash.copy()
        hashed.update(data)
        return hashed.hexdigest()


def _micros(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MICROSECOND
