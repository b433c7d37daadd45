"""Unpack the records of one fetch: no bytes make it fail, and every offset is accounted for.

The client library's own parser reads a batch. If it refuses the batch, the records are read one by one
(hub.log.record_bytes). What is still unreadable becomes an ``OddRecord``. Nothing after damage is read, because the
damage may hide the marker that ends a transaction; a new fetch that begins after it learns again which transactions
were aborted.
"""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import calc_crc32c

from hub.log.decompress import Budget, DamageError, TooMuchError, legacy_size, plain_batch
from hub.log.odd import OddRecord
from hub.log.places import Partition
from hub.log.record_bytes import ByHand, records_in

_START = struct.Struct(">qi")
_HEADER = struct.Struct(">qiibIhiqqqhii")
_MAGIC_AT = 16
_CRC_FROM = 21
_V2 = 2
_LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x08, 0x10, 0x20
_NO_PRODUCER = -1
Aborted = tuple[int, int]
"""A producer's id, and the first offset of one of its aborted transactions."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """The header of a batch of version 2, and all its bytes."""

    base: int
    attributes: int
    next_offset: int
    first_timestamp: int
    max_timestamp: int
    producer: int
    count: int
    content: bytes = field(repr=False)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & _CONTROL)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)


class Unpacking:
    """Iterates over the records of one fetch of one partition: the library's records, and ``OddRecord``.

    Fields:
        next_offset: where to continue reading after what was yielded so far; also past markers and aborted records.
    """

    def __init__(
        self,
        place: Partition,
        content: bytes,
        first: int,
        aborted: Collection[Aborted],
        is_committed: bool,
        budget: Budget | None = None,
    ) -> None:
        """Take the bytes.

        Args:
            place: topic and partition.
            content: batches as the broker sent them; the last may be cut off.
            first: the offset that was requested.
            aborted: the aborted transactions that the broker reported.
            is_committed: leave out records of aborted transactions.
            budget: how many bytes may be returned; the rest of the fetch must be fetched again.
        """
        self.next_offset = first
        self._place = place
        self._content = content
        self._aborted = sorted(aborted, key=lambda one: one[1])
        self._aborted_producers: set[int] = set()
        self._is_committed = is_committed
        self._budget = budget or Budget()

    def __iter__(self) -> Iterator[Any]:
        """Yield everything from the requested offset on."""
        at, size = 0, len(self._content)
        while at + _START.size <= size:
            base, length = _START.unpack_from(self._content, at)
            end = at + _START.size + length
            if length < _MAGIC_AT + 1 - _START.size or (at == 0 and end > size):
                # The beginning of the next batch is unknown; the first batch is never cut off.
                yield self._damage(base, base + 1, "its length is wrong")
                return
            if end > size:
                return
            try:
                yield from self._of_batch(base, self._content[at:end])
            except _Stop as stop:
                yield self._damage(stop.first, self._until(stop.end, end), stop.why)
                return
            at = end
            if self._budget.is_spent:
                return

    def _until(self, end: int, at: int) -> int:
        """Return where damage ends: never after the beginning of the next batch."""
        if at + _START.size <= len(self._content):
            return min(end, int(_START.unpack_from(self._content, at)[0]))
        return end

    def _of_batch(self, base: int, content: bytes) -> Iterator[Any]:
        if content[_MAGIC_AT] < _V2:
            yield from self._of_legacy(base, content)
            return
        batch = _header(content)
        if self._is_committed and batch.producer != _NO_PRODUCER and self._is_left_out(batch):
            self.next_offset = max(self.next_offset, batch.next_offset)
            return
        if not batch.is_control:
            yield from self._wanted(self._records(batch))
        self.next_offset = max(self.next_offset, batch.next_offset)

    def _wanted(self, records: Iterator[Any]) -> Iterator[Any]:
        for record in records:
            if record.offset >= self.next_offset:
                self.next_offset = record.offset + 1
                yield record

    def _is_left_out(self, batch: _Batch) -> bool:
        """Tell whether a batch was aborted; note where aborted transactions begin and end."""
        while self._aborted and self._aborted[0][1] <= batch.base:
            self._aborted_producers.add(self._aborted.pop(0)[0])
        if batch.is_control:
            if _is_abort(batch):
                self._aborted_producers.discard(batch.producer)
            return True
        return batch.is_transactional and batch.producer in self._aborted_producers

    def _records(self, batch: _Batch) -> Iterator[Any]:
        if batch.next_offset <= self.next_offset:
            return
        try:
            content = plain_batch(batch.content)
        except TooMuchError as error:
            if batch.count > 1:
                raise _Stop(max(batch.base, self.next_offset), batch.next_offset, str(error)) from error
            yield OddRecord(*self._place, batch.base, batch.next_offset, batch.max_timestamp, str(error))
            return
        except DamageError as error:
            raise _Stop(max(batch.base, self.next_offset), batch.next_offset, str(error)) from error
        self._budget.spend(len(content))
        # One after the other: a list of all would be many times the batch where records are tiny.
        try:
            yield from DefaultRecordBatch(content)
        except Exception:  # noqa: BLE001 - what the library refuses, and what follows in the batch, is read by hand
            yield from self._by_hand(batch, content[_HEADER.size :])

    def _by_hand(self, batch: _Batch, content: bytes) -> Iterator[OddRecord]:
        expected = batch.base
        try:
            for record in records_in(content, batch.count):
                offset = batch.base + record.offset_delta
                if not expected <= offset < batch.next_offset:
                    raise DamageError("a record in it gives an offset that is not its own")
                yield self._odd(batch, offset, record)
                expected = offset + 1
        except DamageError as error:
            if expected < batch.next_offset:
                raise _Stop(max(expected, self.next_offset), batch.next_offset, str(error)) from error

    def _odd(self, batch: _Batch, offset: int, record: ByHand) -> OddRecord:
        is_append_time = batch.attributes & _LOG_APPEND_TIME
        time = batch.max_timestamp if is_append_time else batch.first_timestamp + record.timestamp_delta
        return OddRecord(*self._place, offset, offset + 1, time, record.why, record.key, record.value, record.headers)

    def _of_legacy(self, base: int, content: bytes) -> Iterator[Any]:
        """Yield the records of a batch of an older version; its offset is that of its last record."""
        try:
            self._budget.spend(legacy_size(content))
            batch = LegacyRecordBatch(bytearray(content), content[_MAGIC_AT])
            if not batch.validate_crc():
                raise DamageError("its checksum is wrong")
            yield from self._wanted(iter(batch))
        except TooMuchError as error:
            raise _Stop(self.next_offset, base + 1, f"it is of an old version, and {error}") from error
        except Exception as error:
            raise _Stop(self.next_offset, base + 1, "it is of an old version and cannot be read") from error

    def _damage(self, first: int, end: int, why: str) -> OddRecord:
        first = max(first, self.next_offset)
        end = max(end, first + 1)
        self.next_offset = end
        return OddRecord(*self._place, first, end, -1, f"the batch from {first} to {end - 1}: {why}", is_damage=True)


class _Stop(Exception):
    def __init__(self, first: int, end: int, why: str) -> None:
        super().__init__(why)
        self.first, self.end, self.why = first, end, why


def _header(content: bytes) -> _Batch:
    base = int(_START.unpack_from(content)[0])
    if len(content) < _HEADER.size:
        raise _Stop(base, base + 1, "it is shorter than its header")
    _, _, _, _, crc, attributes, last, first_time, max_time, producer, _, _, count = _HEADER.unpack_from(content)
    end = base + last + 1 if last >= 0 else base + 1
    if calc_crc32c(content[_CRC_FROM:]) != crc:
        raise _Stop(base, end, "its checksum is wrong")
    return _Batch(base, attributes, end, first_time, max_time, producer, count, content)


def _is_abort(batch: _Batch) -> bool:
    try:
        return bool(ControlRecord.parse(next(iter(DefaultRecordBatch(batch.content))).key) == ABORT_MARKER)
    except Exception as error:
        raise _Stop(batch.base, batch.next_offset, "it is a marker of a transaction and cannot be read") from error
