"""The hub's asynchronous consumer: committed records only, and no record makes it fail.

If aiokafka cannot parse a record, every poll fails at the same place, forever. Here the bytes of such a fetch are
unpacked again (hub.log.unpacking), and an ``OddRecord`` replaces what cannot be a record. What the library can read
takes the library's own path, at its own speed.
"""

import struct
from collections.abc import Callable, Collection, Iterator
from functools import partial
from types import FunctionType
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer import consumer as _consumer
from aiokafka.consumer import fetcher as _fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from hub.log.decompress import Budget, legacy_size, plain_batch
from hub.log.odd import OddRecord
from hub.log.unpacking import Aborted, Unpacking

_Function = TypeVar("_Function", bound=Callable[..., Any])
READ_COMMITTED = "read_committed"
_START = struct.Struct(">qi")
_MAGIC_AT, _V2 = 16, 2


def stream_consumer(bootstrap: str, **options: Any) -> "LogConsumer":
    """Return a consumer, not started, that does not commit offsets and starts nowhere by itself.

    Args:
        bootstrap: Kafka brokers.
        options: further settings of ``AIOKafkaConsumer``.
    """
    return LogConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level=READ_COMMITTED,
        **options,
    )


def is_odd(records: Collection[ConsumerRecord | OddRecord]) -> bool:
    """Tell whether any of these is an ``OddRecord``; if none is, the cost is close to zero."""
    return OddRecord in set(map(type, records))


class _Kept:
    """The batches of a fetch as the library reads them, with the bytes they come from.

    Each batch is checked and decompressed before the library gets it. After the poll has returned enough, no more
    follow.
    """

    def __init__(self, content: bytes, budget: Budget | None = None) -> None:
        self.content = content
        self.budget = budget or Budget()
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self.content)

    def has_next(self) -> bool:
        """Tell whether a batch follows; a fetch that has bytes never counts as empty."""
        if not self._at:
            return bool(self.content)
        return not self.budget.is_spent and self._end() is not None

    def next_batch(self) -> Any:
        end = self._end()
        if end is None:
            raise CorruptRecordException("the first batch of a fetch has a wrong length")
        content, self._at = self.content[self._at : end], end
        if content[_MAGIC_AT] < _V2:
            self.budget.spend(legacy_size(content))
            return LegacyRecordBatch(bytearray(content), content[_MAGIC_AT])
        batch = DefaultRecordBatch(content)
        if not batch.validate_crc():
            raise CorruptRecordException("a batch of a fetch has a wrong checksum")
        plain = plain_batch(content)
        self.budget.spend(len(plain))
        return batch if plain is content else DefaultRecordBatch(plain)

    def _end(self) -> int | None:
        """Return where the next batch ends; None where no whole one follows."""
        if len(self.content) - self._at < _START.size:
            return None
        end = self._at + _START.size + int(_START.unpack_from(self.content, self._at)[1])
        return end if self._at + _MAGIC_AT < end <= len(self.content) else None


class _PartitionRecords(_fetcher.PartitionRecords):  # type: ignore[misc]
    """The library's records of a fetch; where it fails, those that are unpacked again."""

    _records_iterator: Iterator[ConsumerRecord | OddRecord] | None
    next_fetch_offset: int

    def __init__(
        self, tp: TopicPartition, records: _Kept, aborted: list[Aborted] | None, fetch_offset: int, *rest: Any
    ) -> None:
        self._content = records.content
        self._told_aborted = list(aborted or ())
        self._budget = records.budget
        super().__init__(tp, records, aborted, fetch_offset, *rest)
        self._check_crcs = False  # done by _Kept, before decompression

    def __next__(self) -> ConsumerRecord | OddRecord:
        try:
            return next(self._records_iterator)  # type: ignore[arg-type] # never None before its end
        except StopIteration:
            self._records_iterator = None
            raise
        except BaseException as error:
            # A codec written in Rust raises a panic, which is not an Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            self._records_iterator = self._unpacked()
            return next(self)

    def _unpacked(self) -> Iterator[ConsumerRecord | OddRecord]:
        place = self._tp.topic, self._tp.partition
        is_committed = self._isolation_level == _fetcher.READ_COMMITTED
        unpacking = Unpacking(
            place, self._content, self.next_fetch_offset, self._told_aborted, is_committed, self._budget
        )
        for record in unpacking:
            self.next_fetch_offset = unpacking.next_offset
            if not isinstance(record, OddRecord):
                yield self._consumer_record(self._tp, record)
            else:
                yield record if record.why else _sound(record)
        self.next_fetch_offset = unpacking.next_offset


def _sound(record: OddRecord) -> ConsumerRecord:
    """Return the library's form of a good record in a batch that the library refuses."""
    sizes = (-1 if part is None else len(part) for part in (record.key, record.value))
    content = record.timestamp, 0, record.key, record.value, None
    return ConsumerRecord(record.topic, record.partition, record.offset, *content, *sizes, record.headers)


def swapped(function: _Function, **names: Any) -> _Function:
    """Return a copy of a library's function in which some names refer to other classes; the library is not changed."""
    code, known = function.__code__, function.__globals__
    return FunctionType(code, known | names, function.__name__, function.__defaults__, function.__closure__)  # type: ignore[return-value]


class _Fetcher(_fetcher.Fetcher):  # type: ignore[misc]
    """The library's fetcher; its budget bounds what one poll returns."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.budget = Budget()
        kept = partial(_Kept, budget=self.budget)
        process = swapped(_fetcher.Fetcher._proc_fetch_request, MemoryRecords=kept, PartitionRecords=_PartitionRecords)
        self._proc_fetch_request = partial(process, self)
        super().__init__(*arguments, **named)

    async def fetched_records(self, *arguments: Any, **named: Any) -> Any:
        self.budget.renew()
        return await super().fetched_records(*arguments, **named)


class LogConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """The library's consumer; fetches that the library cannot read are unpacked again."""

    def reached(self, partition: TopicPartition) -> int:
        """Return where the next fetch of a partition begins; -1 if that is unknown, or if it is not assigned."""
        assignment = getattr(self._subscription.subscription, "assignment", None)
        state = None if assignment is None else assignment.state_value(partition)
        return int(state.position) if state is not None and state.has_valid_position else -1

    start = swapped(_consumer.AIOKafkaConsumer.start, Fetcher=_Fetcher)
