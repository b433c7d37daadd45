"""The rows of a chain as evidence needs them: hashed by the database, one stretch at a time.

Sealing and verifying read through the same statements, so both compute the same hashes.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import polars as pl
import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal,
    select,
)

from hub.model.evidence import (
    ACTIONS,
    CHUNK,
    DIGEST_BYTES,
    FIELDS,
    MARK_BYTES,
    NO_LINK,
    RELEASES,
    TAGS,
    Part,
    node_of,
)
from hub.warehouse.tables.core import action, audit, batch, release

_PLACED_BYTES = 8 + DIGEST_BYTES
_TABLES: Mapping[str, Table] = {"audit": audit, "release": release, "action": action, "batch": batch}


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: of the audit rows of one log partition, of all releases, or of all actions."""

    name: str
    relation: str
    log: int | None = None

    @property
    def place(self) -> ColumnElement[int]:
        """The column with a row's place."""
        return audit.c.log_offset if self.relation == "audit" else _TABLES[self.relation].c.id


RELEASE_CHAIN = Chain(RELEASES, "release")
ACTION_CHAIN = Chain(ACTIONS, "action")


def leaf(relation: str) -> ColumnElement[bytes]:
    """Return the leaf of a row, as ``hub.model.evidence.leaf_of`` computes it."""
    of = _TABLES[relation]
    columns = [cast(of.c[name], Text) if kind == "text" else of.c[name] for name, kind in FIELDS[relation].items()]
    return func.sha256(func.record_send(func.row(cast(literal(TAGS[relation]), Text), *columns)))


@dataclass(frozen=True, slots=True)
class Rows:
    """A stretch as it is in the database.

    Fields:
        placed: for each row, in order, 8 bytes of place and 32 bytes of leaf.
        batches: 8 bytes of batch for each row.
        oldest, newest: when the first and the last row were recorded; None without rows.
    """

    placed: bytes
    batches: bytes
    oldest: datetime | None
    newest: datetime | None

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.placed) // _PLACED_BYTES

    def frame(self) -> pl.DataFrame:
        """Return ``place``, ``mark`` and ``batch``, one row each, in order."""
        both = pl.DataFrame({"placed": _column(self.placed, _PLACED_BYTES), "batch": _column(self.batches, 8)})
        return both.select(
            place=pl.col("placed").bin.slice(0, 8).bin.reinterpret(dtype=pl.Int64, endianness="big"),
            mark=pl.col("placed").bin.slice(8, MARK_BYTES),
            batch=pl.col("batch").bin.reinterpret(dtype=pl.Int64, endianness="big"),
        )

    def marks(self) -> bytes:
        """Return the first bytes of every row's leaf."""
        if not self.count:
            return b""
        numbers = self.frame().select(pl.col("mark").bin.reinterpret(dtype=pl.UInt32, endianness="little")).to_series()
        packed: bytes = numbers.rechunk().to_arrow().buffers()[1].to_pybytes()[: MARK_BYTES * self.count]
        return packed

    def places(self, first: int) -> bytes | None:
        """Return every row's place relative to ``first``, in 4 bytes each; None if the places leave no gap."""
        numbers = self.frame()["place"]
        if numbers.is_empty() or int(numbers[-1]) - first + 1 == self.count:
            return None
        return struct.pack(f">{self.count}i", *(numbers - first))


def _column(packed: bytes, width: int) -> pl.Series:
    array = pa.Array.from_buffers(pa.binary(width), len(packed) // width, [None, pa.py_buffer(packed)])
    return pl.Series(array, dtype=pl.Binary)


@cache
def _hashed_rows(chain: Chain) -> Select[Any]:
    """Select the rows of a stretch, hashed and concatenated in order."""
    of = _TABLES[chain.relation]
    of_batch = of.c.batch if "batch" in of.c else cast(0, BigInteger)
    first, end = (bindparam(name, type_=BigInteger) for name in ("first", "end"))
    each = (
        select(
            func.int8send(chain.place).op("||")(leaf(chain.relation)).label("placed"),
            func.int8send(of_batch).label("batch"),
            _recorded(chain).label("recorded_at"),
        )
        .where(chain.place >= first, chain.place < end, *_of_log(chain))
        .order_by(chain.place)
        .subquery()
    )
    nothing = cast(literal(b"", LargeBinary), LargeBinary)
    return select(
        func.coalesce(func.string_agg(each.c.placed, nothing), nothing),
        func.coalesce(func.string_agg(each.c.batch, nothing), nothing),
        func.min(each.c.recorded_at),
        func.max(each.c.recorded_at),
    )


def read_rows(connection: Connection, chain: Chain, first: int, end: int) -> Rows:
    """Return the rows of a chain with ``first <= place < end``, as they are now."""
    placed, batches, oldest, newest = connection.execute(_hashed_rows(chain), {"first": first, "end": end}).one()
    return Rows(bytes(placed), bytes(batches), oldest, newest)


def end_of_month_at(connection: Connection, chain: Chain, first: int, end: int) -> int:
    """Return the end of the rows in a stretch that were recorded in the month of its first row."""
    recorded = _recorded(chain)
    inside = [chain.place >= first, chain.place < end, *_of_log(chain)]
    month = func.date_trunc("month", recorded, "UTC")
    of_first = select(month).where(*inside).order_by(chain.place).limit(1).scalar_subquery()
    found = connection.execute(select(func.min(chain.place)).where(*inside, month != of_first)).scalar_one()
    return end if found is None else int(found)


def _recorded(chain: Chain) -> ColumnElement[datetime]:
    return action.c.at if chain.relation == "action" else _TABLES[chain.relation].c.recorded_at


def _of_log(chain: Chain) -> list[ColumnElement[bool]]:
    return [] if chain.log is None else [audit.c.log == chain.log]


def parts_of(connection: Connection, rows: Rows) -> list[Part]:
    """Return the parts of some rows: each is a sequence of rows of one batch."""
    batches = rows.frame()["batch"]
    if batches.is_empty():
        return []
    runs = batches.rle().struct.unnest()
    lengths, numbers = runs["len"].to_list(), runs["value"].to_list()
    leaves = _batch_leaves(connection, sorted(set(numbers)))
    parts, begin = [], 0
    for number, length in zip(numbers, lengths, strict=True):
        placed = rows.placed[begin * _PLACED_BYTES : (begin + length) * _PLACED_BYTES]
        parts.append(_part(number, leaves.get(number, NO_LINK), placed))
        begin += length
    return parts


def _part(number: int, batch_leaf: bytes, placed: bytes) -> Part:
    step = CHUNK * _PLACED_BYTES
    nodes = tuple(node_of(placed[start : start + step]) for start in range(0, len(placed), step))
    first, last = place_at(placed, 0), place_at(placed, len(placed) // _PLACED_BYTES - 1)
    return Part(number, batch_leaf, first, last, len(placed) // _PLACED_BYTES, nodes)


def place_at(placed: bytes, row: int) -> int:
    """Return the place of a row among placed leaves."""
    return int.from_bytes(placed[row * _PLACED_BYTES : row * _PLACED_BYTES + 8], "big", signed=True)


def leaf_at(placed: bytes, row: int) -> bytes:
    """Return the leaf of a row among placed leaves."""
    return placed[row * _PLACED_BYTES + 8 : (row + 1) * _PLACED_BYTES]


def _batch_leaves(connection: Connection, numbers: list[int]) -> dict[int, bytes]:
    found = connection.execute(select(batch.c.id, leaf("batch")).where(batch.c.id.in_(numbers)))
    return {number: bytes(digest) for number, digest in found}
