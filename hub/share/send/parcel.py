"""What share sends to one topic: records in columns, so that no step on the way looks at a single one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from hub.codec.cells import long_bytes
from hub.codec.columns import BYTES, Pieces, sizes
from hub.share.send.outgoing import Headers, Outgoing, golden_record, size_of
from hub.topology import HEADER_POSITION


@dataclass(frozen=True, slots=True)
class Parcel:
    """Records for one topic, in columns.

    Fields:
        keys, values: of the records; a value that is null is a tombstone.
        headers: of each record, as they stand in a record of Kafka: their number, then each with its sizes.
        sizes: number of bytes of key, value and headers of each record.
        singles: the records one by one; None: they are golden records.
    """

    topic: str
    keys: pa.Array = field(repr=False)
    values: pa.Array = field(repr=False)
    headers: pa.Array = field(repr=False)
    sizes: pa.Array = field(repr=False)
    singles: Sequence[Outgoing] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, first: int, end: int) -> "Parcel":
        """Return the records from one place to another."""
        columns = {name: getattr(self, name)[first:end] for name in _COLUMNS}
        return replace(self, **columns, singles=self.singles and self.singles[first:end])

    def only(self, wanted: pa.Array) -> "Parcel":
        """Return the records for which a column of truths is true."""
        columns = {name: getattr(self, name).filter(wanted) for name in _COLUMNS}
        singles = self.singles and [
            one for one, is_wanted in zip(self.singles, wanted.to_pylist(), strict=True) if is_wanted
        ]
        return replace(self, **columns, singles=singles)

    def single(self, place: int) -> Outgoing:
        """Return one record."""
        if self.singles is not None:
            return self.singles[place]
        return golden_record(self.topic, UUID(bytes=self.keys[place].as_py()), self.values[place].as_py())

    def items(self) -> Iterator[str]:
        """Yield the records' names within the topic."""
        if self.singles is not None:
            return (one.item for one in self.singles)
        return (str(UUID(bytes=key)) for key in self.keys.to_pylist())


_COLUMNS = ("keys", "values", "headers", "sizes")


def parcels_of(singles: Sequence[Outgoing]) -> list[Parcel]:
    """Return single records as parcels, one for each topic."""
    topics = dict.fromkeys(one.topic for one in singles)
    return [_parcel(topic, [one for one in singles if one.topic == topic]) for topic in topics]


def _parcel(topic: str, singles: Sequence[Outgoing]) -> Parcel:
    return Parcel(
        topic,
        pa.array([one.key for one in singles], BYTES),
        pa.array([one.value for one in singles], BYTES),
        pa.array([long_bytes(len(one.headers)) + _written(one.headers) for one in singles], BYTES),
        pa.array([one.size for one in singles], pa.int64()),
        singles,
    )


def golden_records(topic: str, keys: pa.Array, values: pa.Array, headers: Headers, positions: pa.Array) -> Parcel:
    """Return the records of some keys.

    Args:
        topic: where they go.
        keys: the bytes of the keys.
        values: null is a tombstone.
        headers: of every record.
        positions: each record's own header, the place of the row that changed it; null: none.
    """
    has_position = positions.is_valid()
    size = pa.scalar(size_of(headers), pa.int64())
    without, with_one = (pa.scalar(long_bytes(count) + _written(headers), BYTES) for count in _counts(headers))
    written = Pieces([pc.if_else(has_position, with_one, without)])
    if positions.null_count < len(positions):
        name = pa.scalar(_text(HEADER_POSITION.encode()), BYTES)
        content = pc.fill_null(positions, b"")
        head = pc.binary_join_element_wise(name, sizes(content), pa.scalar(b"", BYTES))
        written.add(pc.if_else(has_position, head, pa.scalar(b"", BYTES)))
        written.add(content)
        own = pc.add(pc.binary_length(positions), len(HEADER_POSITION))
        size = pc.add(size, pc.fill_null(own, 0))
    of_value = pc.fill_null(pc.binary_length(values), 0)
    return Parcel(
        topic, keys, values, written.joined(len(keys)), pc.add(pc.add(pc.binary_length(keys), of_value), size)
    )


def _counts(headers: Headers) -> tuple[int, int]:
    return len(headers), len(headers) + 1


def _written(headers: Headers) -> bytes:
    return b"".join(_text(name.encode()) + _text(value) for name, value in headers)


def _text(content: bytes) -> bytes:
    return long_bytes(len(content)) + content
