"""Verify audit rows against the log's own bytes: every record has its row, and both say the same."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError
from sqlalchemy import Connection, select

from hub.log.odd import is_damage
from hub.log.reader import open_reader
from hub.log.topic_ids import created_again
from hub.model.errors import UnreachableError
from hub.operate.evidence.findings import Finding, Wrong
from hub.operate.evidence.outcomes import Derivation, Derived, outcome_difference
from hub.reconcile.shared.republish import JOB_LOG
from hub.topology import is_closed
from hub.warehouse.tables.core import audit, dead_letter, log_partition

_ROWS_AT_ONCE = 10_000
_QUIET_LIMIT_MS = 10_000
ANOTHER_LOG = (
    "the topic was deleted and created again, and its records are others: none was compared. "
    "`hub offsets accept` begins with them; the archive may have those of before"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """How many records were compared with their rows; ``gone``: rows whose record the log no longer holds."""

    records: int
    gone: int


class BytesCheck:
    """Reads log partitions with a separate consumer; moves nobody's offsets."""

    def __init__(self, bootstrap: str, derivation: Derivation, progress: Callable[[int], None]) -> None:
        self._derivation = derivation
        self._progress = progress
        self._records = 0
        self._gone = 0
        self._damaged: set[int] = set()
        self._bootstrap = bootstrap
        self._consumer = open_reader(bootstrap, auto_offset_reset="earliest", max_poll_records=_ROWS_AT_ONCE)

    def close(self) -> None:
        """Close the connection to the broker."""
        self._consumer.close()

    @property
    def compared(self) -> Compared:
        """Return what was compared so far."""
        return Compared(self._records, self._gone)

    def findings(self, connection: Connection, chain: str | None) -> Iterator[Finding]:
        """Yield the differences between the log and the audit rows of a topic or topic/partition; None: of all.

        Raises:
            UnreachableError: the log cannot be read.
        """
        rows = connection.execute(select(log_partition).where(log_partition.c.topic != JOB_LOG)).all()
        logs = [one for one in rows if chain in {None, one.topic, f"{one.topic}/{one.partition}"}]
        others = created_again(self._bootstrap, {one.topic: one.topic_id for one in logs if one.topic_id is not None})
        for log in logs:
            if log.topic in others:
                self._gone += log.next_offset - log.first_offset
                yield Finding(Wrong.NOT_IN_LOG, f"{log.topic}/{log.partition}", ANOTHER_LOG)
            else:
                try:
                    yield from self._of_log(connection, log)
                except KafkaError as error:
                    raise UnreachableError(f"{log.topic} cannot be read: {type(error).__name__}") from error

    def _of_log(self, connection: Connection, log: Any) -> Iterator[Finding]:
        place = TopicPartition(log.topic, log.partition)
        if is_closed(log.topic):
            self._gone += log.next_offset - log.first_offset
            return
        if log.partition not in (self._consumer.partitions_for_topic(log.topic) or ()):
            yield Finding(Wrong.NOT_IN_LOG, f"{log.topic}/{log.partition}", "the log has no such partition")
            return
        self._consumer.assign([place])
        begin = max(log.first_offset, self._consumer.beginning_offsets([place])[place])
        end = min(log.next_offset, self._consumer.end_offsets([place])[place])
        self._gone += max(0, begin - log.first_offset)
        for first in range(begin, end, _ROWS_AT_ONCE):
            until = min(end, first + _ROWS_AT_ONCE)
            records = self._read(place, first, until)
            yield from self._compare(connection, log, records, (first, until))
        if end < log.next_offset:
            words = f"the log ends at {end}, before what was consumed: this is another log"
            yield Finding(Wrong.NOT_IN_LOG, f"{log.topic}/{log.partition}/{end}", words)

    def _read(self, place: TopicPartition, first: int, end: int) -> dict[int, Any]:
        self._consumer.seek(place, first)
        found: dict[int, Any] = {}
        self._damaged = set()
        at = first
        while at < end:
            records = self._consumer.poll(timeout_ms=_QUIET_LIMIT_MS).get(place, [])
            if not records and self._consumer.position(place) <= at:
                break
            at = self._consumer.position(place)
            for record in records:
                if is_damage(record):
                    self._damaged |= set(range(record.offset, min(record.end, end)))
                elif record.offset < end:
                    found[record.offset] = record
        return found

    def _compare(
        self, connection: Connection, log: Any, records: dict[int, Any], places: tuple[int, int]
    ) -> Iterator[Finding]:
        first, end = places
        inside = (audit.c.log == log.id, audit.c.log_offset >= first, audit.c.log_offset < end)
        letters = dead_letter.c.value_sha256.label("value_sha256")
        same = (dead_letter.c.log == audit.c.log) & (dead_letter.c.log_offset == audit.c.log_offset)
        query = select(audit, letters).join_from(audit, dead_letter, same, isouter=True).where(*inside)
        rows = {row.log_offset: row for row in connection.execute(query)}
        where = f"{log.topic}/{log.partition}/"
        for place in sorted(records.keys() - rows.keys()):
            yield Finding(
                Wrong.NOT_AUDITED, f"{where}{place}", "a record of the log without a row that says its outcome"
            )
        for place in sorted(self._damaged - rows.keys()):
            yield Finding(Wrong.NOT_AUDITED, f"{where}{place}", "bytes that are not a record, and no row for them")
        self._gone += len(self._damaged & rows.keys())
        for place in sorted(rows.keys() - records.keys() - self._damaged):
            yield Finding(Wrong.NOT_IN_LOG, f"{where}{place}", "the log has no record here")
        both = sorted(records.keys() & rows.keys())
        said = self._derivation.derive(log, rows, {place: records[place] for place in both})
        for place in both:
            if words := _difference(rows[place], records[place], said.get(place)):
                yield Finding(Wrong.BYTES_DIFFER, f"{where}{place}", words)
            elif place in said and (words := outcome_difference(rows[place], said[place])):
                yield Finding(Wrong.OUTCOME_DIFFERS, f"{where}{place}", words)
        self._records += len(both)
        self._progress(len(both))


def _difference(row: Any, record: Any, said: Derived | None) -> str:
    """Say how a row differs from its record; empty if it does not."""
    if row.key is not None and record.key != row.key.bytes:
        return "the row names another key than the record"
    if row.value_sha256 is not None and hashlib.sha256(record.value or b"").digest() != bytes(row.value_sha256):
        return "the dead letter was made of other bytes"
    if row.content_hash is None or said is None:
        return ""
    if said.content_hash is None or said.event_id is None:
        return "the row has a content hash, but the record cannot be read"
    if said.content_hash != row.content_hash:
        return "the record's contents have another hash"
    if row.event_id is not None and said.event_id != row.event_id.bytes:
        return "the row names another event than the record"
    return ""
