"""The warehouse's side of a comparison: a source's claims of one subject, and which of its events wait or failed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    LargeBinary,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.log.places import Partition
from hub.operate.compare.buckets import BUCKETS, DIGESTS, bucket
from hub.operate.compare.judge import CLAIMS, PART_SEPARATOR
from hub.topology import event_topic
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import dead_letter, log_partition, parked
from hub.warehouse.tables.entities import AspectTables, aspect_tables, whole_claim

ROWS_AT_ONCE = 20_000
_BY_INDEX_BELOW = BUCKETS // 8
"""For more buckets than this, all claims are read: it costs less than that many look-ups."""

_DOING = "reading a source's claims"


@dataclass(frozen=True, slots=True)
class ClaimsOf:
    """A source's claims of one subject. ``number``: the source's number in the warehouse."""

    engine: Engine
    subject: str
    source: str
    number: int

    @property
    def tables(self) -> AspectTables:
        """The tables of the subject's aspect."""
        return aspect_tables(self.subject)

    def digests(self) -> tuple[pl.DataFrame, int]:
        """Return count and hash by bucket (``DIGESTS``) of claims that are not revoked, and how many are revoked.

        It is one statement, and so one snapshot.
        """
        claim = self.tables.claim
        sent = func.uuid_send(claim.c.key)
        number = func.get_byte(sent, 0) * 256 + func.get_byte(sent, 1)
        wanted = (
            select(
                number,
                func.count().filter(~claim.c.revoked),
                func.bit_xor(claim.c.content_hash).filter(~claim.c.revoked),
                func.count().filter(claim.c.revoked),
            )
            .where(claim.c.source == self.number)
            .group_by(number)
        )
        with translated_errors(_DOING), self.engine.connect() as connection:
            rows = connection.execute(wanted).all()
        standing = [tuple(row[:3]) for row in rows if row[1]]
        return pl.DataFrame(standing, schema=DIGESTS, orient="row"), sum(row[3] for row in rows)

    def in_buckets(self, buckets: Sequence[int]) -> pl.DataFrame:
        """Return the claims in some buckets, revoked ones included (``CLAIMS``)."""
        if not buckets:
            return CLAIMS.to_frame()
        claim, wanted = self.tables.claim, self._claims()
        if len(buckets) < _BY_INDEX_BELOW:
            lows, highs = zip(*(_bounds(number) for number in buckets), strict=True)
            uuids = ARRAY(Uuid())
            ranges = func.unnest(literal(list(lows), uuids), literal(list(highs), uuids)).table_valued(
                column("low", Uuid()), column("high", Uuid()), name="ranges"
            )
            # the column names are set together with the alias; otherwise both columns get the function's name
            named = ranges.render_derived()
            wanted = wanted.join(named, and_(claim.c.key >= named.c.low, claim.c.key <= named.c.high))
        with translated_errors(_DOING), self.engine.connect() as connection:
            found = _frame(connection, wanted)
        return found if len(buckets) < _BY_INDEX_BELOW else found.filter(bucket().is_in(list(buckets)))

    def of_keys(self, keys: pl.Series) -> pl.DataFrame:
        """Return the claims of some keys, revoked ones included (``CLAIMS``)."""
        claim = self.tables.claim
        statement = self._claims().where(claim.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid()))))
        frames = [CLAIMS.to_frame()]
        with translated_errors(_DOING), self.engine.connect() as connection:
            frames += [_frame(connection, statement, {"keys": some}) for some in _chunks(keys)]
        return pl.concat(frames)

    def waiting(self, keys: pl.Series) -> list[tuple[str, bytes, bytes]]:
        """Return the events of some keys that are parked or dead letters: what became of each, its key, its value."""
        found: list[tuple[str, bytes, bytes]] = []
        letters = (
            select(dead_letter.c.reason, dead_letter.c.record_key, dead_letter.c.record_value)
            .join(log_partition, log_partition.c.id == dead_letter.c.log)
            .where(log_partition.c.topic == event_topic(self.subject), dead_letter.c.record_value.is_not(None))
            .where(dead_letter.c.record_key == func.any(bindparam("keys", type_=ARRAY(LargeBinary()))))
        )
        held = select(parked.c.waits_for, func.uuid_send(parked.c.key), parked.c.record_value).where(
            parked.c.subject == self.subject,
            parked.c.source == self.number,
            parked.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid()))),
        )
        with translated_errors("reading what waits"), self.engine.connect() as connection:
            for some in _chunks(keys):
                raw = connection.execute(letters, {"keys": [key.bytes for key in some]})
                found += [(f"dead_lettered {reason}", bytes(key), bytes(value)) for reason, key, value in raw]
                rows = connection.execute(held, {"keys": some})
                found += [
                    (f"parked, waits for {what or 'an earlier record'}", bytes(key), bytes(value))
                    for what, key, value in rows
                ]
        return found

    def whole(self, keys: pl.Series) -> Iterator[Mapping[str, Any]]:
        """Yield the claims of some keys with all their fields, sensitive ones included: personal data."""
        whole = whole_claim(self.tables)
        wanted = (
            select(*(value.label(name) for name, value in whole.c.items()), self._part().label("_part"))
            .select_from(whole.source)
            .where(self.tables.claim.c.source == self.number, ~self.tables.claim.c.revoked)
            .where(self.tables.claim.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid()))))
        )
        with translated_errors(_DOING), self.engine.connect() as connection:
            for some in _chunks(keys):
                yield from [dict(row) for row in connection.execute(wanted, {"keys": some}).mappings()]

    def next_offsets(self) -> dict[Partition, int]:
        """Return up to which offsets the hub has read the subject's topic."""
        wanted = select(log_partition.c.topic, log_partition.c.partition, log_partition.c.next_offset).where(
            log_partition.c.topic == event_topic(self.subject)
        )
        with translated_errors("reading stored offsets"), self.engine.connect() as connection:
            return {(topic, partition): int(offset) for topic, partition, offset in connection.execute(wanted)}

    def _part(self) -> Any:
        claim = self.tables.claim
        parts = [cast(claim.c[name], Text) for name in self._parts]
        return func.concat_ws(PART_SEPARATOR, *parts) if parts else literal("")

    @property
    def _parts(self) -> tuple[str, ...]:
        return self.tables.aspect.part

    def _claims(self) -> Select[Any]:
        claim = self.tables.claim
        return select(
            func.uuid_send(claim.c.key),
            self._part(),
            cast(claim.c.source_epoch, Integer),
            claim.c.source_version,
            claim.c.content_hash,
            claim.c.revoked,
        ).where(claim.c.source == self.number)


def _bounds(number: int) -> tuple[UUID, UUID]:
    first = number.to_bytes(2, "big")
    return UUID(bytes=first + b"\0" * 14), UUID(bytes=first + b"\xff" * 14)


def _chunks(keys: pl.Series) -> Iterator[list[UUID]]:
    for first in range(0, len(keys), ROWS_AT_ONCE):
        yield [UUID(bytes=key) for key in keys.slice(first, ROWS_AT_ONCE)]


def _frame(connection: Connection, wanted: Select[Any], values: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Return the rows of a select (``CLAIMS``); only a few thousand at a time are Python objects."""
    frames = [CLAIMS.to_frame()]
    options = connection.execution_options(stream_results=True, max_row_buffer=ROWS_AT_ONCE)
    for rows in options.execute(wanted, dict(values or {})).partitions(ROWS_AT_ONCE):
        frames.append(pl.DataFrame(list(map(tuple, rows)), schema=CLAIMS, orient="row"))
    return pl.concat(frames)
