"""Find the audit rows of a key or an event, without an index that slows down the writer.

After the writer, each stretch of a log partition gets the sorted 4-byte hashes of the keys and event ids in its rows.
The value of a hash gives its approximate position in sorted order; the error is at most ``slack``, which is known
exactly. So a look-up reads a small part of each stretch. Rows that are in no stretch yet are searched directly.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
import polars_hash  # noqa: F401 - registers the `nchash` namespace
import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Select,
    Subquery,
    Uuid,
    bindparam,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.warehouse.tables.core import audit, log_partition
from hub.warehouse.tables.evidence import audit_found

HASH_BYTES = 4
LEAST_PLACES = 16_384
MOST_PLACES = 65_536
"""Minimum and maximum size of a stretch."""

_BITS = 8 * HASH_BYTES


@dataclass(frozen=True, slots=True)
class PackedNames:
    """Sorted hashes of the names in rows."""

    hashes: bytes
    slack: int


def pack_names(names: pl.Series) -> PackedNames:
    """Return the hashes of keys and event ids (Binary of 16 bytes, nulls left out)."""
    hashes = _hashes(names.drop_nulls()).unique().sort()
    count = len(hashes)
    if not count:
        return PackedNames(b"", 0)
    frame = pl.DataFrame({"hash": hashes}).with_row_index("at")
    expected = (pl.col("hash").cast(pl.Int64) * count) // 2**_BITS
    slack = frame.select((pl.col("at").cast(pl.Int64) - expected).abs().max()).item()
    packed: bytes = hashes.to_arrow().buffers()[1].to_pybytes()[: HASH_BYTES * count]
    return PackedNames(packed, int(slack))


def _hashes(names: pl.Series) -> pl.Series:
    hashed: pl.Expr = pl.col("name").nchash.xxh3_64()  # type: ignore[attr-defined]
    return names.alias("name").to_frame().select((hashed % 2**_BITS).cast(pl.UInt32)).to_series()


def sought(names: Collection[UUID]) -> dict[str, Any]:
    """Return the parameters ``names``, ``hashes`` and ``packed`` of a search for keys or event ids."""
    ordered = list(names)
    hashes = _hashes(pl.Series([name.bytes for name in ordered], dtype=pl.Binary)).to_list()
    return {"names": ordered, "hashes": hashes, "packed": [number.to_bytes(HASH_BYTES, "little") for number in hashes]}


def names_one_sought() -> ColumnElement[bool]:
    """Return whether a stretch may contain one of the sought names: sometimes wrongly true, never wrongly false."""
    wanted = func.unnest(
        bindparam("hashes", type_=ARRAY(BigInteger)), bindparam("packed", type_=ARRAY(LargeBinary))
    ).table_valued("hash", "packed", name="wanted")
    wanted = wanted.render_derived()
    count = cast(func.octet_length(audit_found.c.hashes) // HASH_BYTES, BigInteger)
    expected = (cast(wanted.c.hash, BigInteger) * count).op(">>")(cast(_BITS, Integer))
    first = func.greatest(0, cast(expected, Integer) - audit_found.c.slack)
    slice_ = func.substring(audit_found.c.hashes, first * HASH_BYTES + 1, (2 * audit_found.c.slack + 1) * HASH_BYTES)
    return select(literal(1)).select_from(wanted).where(func.position(_in(wanted.c.packed, slice_)) > 0).exists()


def _in(part: ColumnElement[bytes], whole: ColumnElement[bytes]) -> ColumnElement[bool]:
    return part.op("IN")(whole)


def stretches_to_search() -> Subquery:
    """Select (log, first_place, end_place): stretches that may contain what is sought, and rows in no stretch yet."""
    known = select(audit_found.c.log, audit_found.c.first_place, audit_found.c.end_place).where(names_one_sought())
    rest = _places_in_no_stretch().subquery()
    to_the_end = literal(_NO_END, BigInteger).label("end_place")
    return union_all(known, select(rest.c.log, rest.c.first_place, to_the_end)).subquery("stretch")


_NO_END = 2**63 - 1


def _places_in_no_stretch() -> Select[Any]:
    """Select the rest of each log partition: (log, first_place, end_place)."""
    newest = (
        select(audit_found.c.end_place)
        .where(audit_found.c.log == log_partition.c.id)
        .order_by(audit_found.c.first_place.desc())
        .limit(1)
        .scalar_subquery()
    )
    first = func.coalesce(newest, log_partition.c.first_offset).label("first_place")
    return select(log_partition.c.id.label("log"), first, log_partition.c.next_offset.label("end_place"))


def make_stretches(connection: Connection) -> int:
    """Create stretches from rows that are in none, if there are enough; return their number.

    In the connection's transaction, which reads committed rows.
    """
    made = 0
    for log, first, end in connection.execute(_places_in_no_stretch()).all():
        while end - first >= LEAST_PLACES:
            until = min(end, first + MOST_PLACES)
            named = connection.execute(_names_in(), {"log": log, "first": first, "end": until}).scalar_one()
            found = pack_names(_uuids(bytes(named)))
            values = {"log": log, "first_place": first, "end_place": until, "hashes": found.hashes}
            connection.execute(insert(audit_found).values(**values, slack=found.slack))
            first, made = until, made + 1
    return made


def _names_in() -> Select[bytes]:
    """Select the keys and event ids of a stretch, concatenated."""
    first, end = (bindparam(name, type_=BigInteger) for name in ("first", "end"))
    both = func.uuid_send(func.coalesce(audit.c.key, audit.c.event_id, _NOBODY)).op("||")(
        func.uuid_send(func.coalesce(audit.c.event_id, audit.c.key, _NOBODY))
    )
    nothing = cast(literal(b"", LargeBinary), LargeBinary)
    inside = (audit.c.log == bindparam("log"), audit.c.log_offset >= first, audit.c.log_offset < end)
    return select(func.coalesce(func.string_agg(both, nothing), nothing)).where(*inside)


_NOBODY = cast("00000000-0000-0000-0000-000000000000", Uuid)


def _uuids(packed: bytes) -> pl.Series:
    array = pa.Array.from_buffers(pa.binary(16), len(packed) // 16, [None, pa.py_buffer(packed)])
    return pl.Series(array, dtype=pl.Binary)


def rows_naming(*columns: ColumnElement[UUID], logs: Select[int] | None = None) -> Select[Any]:
    """Select the audit rows in which one of ``columns`` (key, event id) is one of ``:names``; see ``sought``.

    ``logs``: selects the log partitions to search; None: all.
    """
    stretch = stretches_to_search()
    names = bindparam("names", type_=ARRAY(Uuid))
    rows = (
        select(audit)
        .where(
            audit.c.log == stretch.c.log,
            audit.c.log_offset >= stretch.c.first_place,
            audit.c.log_offset < stretch.c.end_place,
            or_(*(column == func.any(names) for column in columns)),
        )
        .lateral("row")
    )
    found = select(*rows.c).select_from(stretch.join(rows, true()))
    return found if logs is None else found.where(stretch.c.log.in_(logs))
