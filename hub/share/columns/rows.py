"""Rows that become a part of records: each belongs to one record, and a record may have none, one, or several of them.

The rows of a field are encoded once, all together, and then spread over the records.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hub.codec.catalogue import SchemaVersion
from hub.codec.columns import BYTES, FieldColumns, Pieces, branches_of, counts, named_types, record_in
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.texts.letters import composed
from hub.share.columns.revision import TEXT

_FIRST = pa.array([0], pa.int64())


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the order of the records to which they belong.

    Fields:
        columns: by name, one value a row.
        records: the place of each row's record, ascending.
        count: number of records.
    """

    columns: Mapping[str, pa.Array]
    records: pa.Array
    count: int

    @property
    def is_each(self) -> bool:
        """Whether each record has exactly one row."""
        return len(self.records) == self.count and (self.count == 0 or self._are_different())

    def _are_different(self) -> bool:
        return self.records[0].as_py() == 0 and len(self.records.unique()) == self.count

    def one_each(self, values: pa.Array) -> pa.Array:
        """Return the value of each record's row; null for a record without a row."""
        return values if self.is_each else values.take(pc.index_in(_range(self.count), value_set=self.records))

    def all_each(self, values: pa.Array, between: Any, kind: pa.DataType) -> pa.Array:
        """Return the values of each record's rows, joined; empty for a record without a row."""
        return pc.binary_join(pa.LargeListArray.from_arrays(self._offsets(), values), pa.scalar(between, kind))

    def counts(self) -> pa.Array:
        """Return how many rows each record has."""
        offsets = self._offsets()
        return pc.subtract(offsets[1:], offsets[:-1])

    def is_any(self) -> pa.Array:
        """Return for each record whether it has a row."""
        return pc.greater(self.counts(), 0)

    def _offsets(self) -> pa.Array:
        counted = pc.value_counts(self.records)
        numbers = counted.field("counts").take(pc.index_in(_range(self.count), value_set=counted.field("values")))
        return pa.concat_arrays([_FIRST, pc.cumulative_sum(pc.fill_null(numbers, 0))])

    def of_record(self, place: int, specs: Mapping[str, FieldSpec]) -> list[dict[str, Any]]:
        """Return the rows of one record, as the encoder of single records takes them."""
        offsets = self._offsets()
        first, end = offsets[place].as_py(), offsets[place + 1].as_py()
        return [
            {name: value_of(self.columns[name][row], spec) for name, spec in specs.items() if name in self.columns}
            for row in range(first, end)
        ]


def value_of(value: pa.Scalar, spec: FieldSpec) -> Any:
    """Return a column's value as the encoder of single records takes it."""
    found = value.as_py()
    return composed(json.loads(found)) if spec.kind is FieldKind.JSON and found is not None else found


def _range(count: int) -> pa.Array:
    return pa.array(range(count), pa.int64())


class RowsField:
    """A field of a record schema that holds rows: a record, or a list of records."""

    def __init__(self, version: SchemaVersion, name: str) -> None:
        """Take a schema and the field's name."""
        avro = next(field for field in version.schema["fields"] if field["name"] == name)
        named = named_types(version.schema)
        self._spec = next(spec for spec in version.fields if spec.name == name)
        self._branch, self._null = branches_of(avro)
        self._inside = FieldColumns(self._spec.items, record_in(avro, named), named)
        self.specs = {spec.name: spec for spec in self._spec.items}

    def encode(self, rows: Rows) -> Pieces:
        """Return the field's pieces, one value a record."""
        inside = self._inside.encode(rows.columns)
        if self._spec.is_array:
            found = self._list(rows, inside)
        elif rows.is_each and rows.count:
            found = Pieces()
            found.add(self._branch)
            for piece in inside.pieces:
                found.add(piece)
        else:
            found = self._single(rows, inside)
        if inside.refused is not None:
            refused = rows.records.filter(inside.refused)
            found.refuse(pc.is_in(_range(rows.count), value_set=refused))
        return found

    def _single(self, rows: Rows, inside: Pieces) -> Pieces:
        found = Pieces()
        if len(rows.records):
            branch, nothing = pa.scalar(self._branch, BYTES), pa.scalar(b"", BYTES)
            whole = pc.binary_join_element_wise(branch, inside.joined(len(rows.records)), nothing)
            each = rows.one_each(whole)
            found.add(pc.fill_null(each, self._null or b""))
        else:
            found.add(self._null or b"")
        if self._null is None:
            found.refuse(pc.invert(rows.is_any()))
        return found

    def _list(self, rows: Rows, inside: Pieces) -> Pieces:
        found, none = Pieces(), self._null if self._null is not None else b"\0"
        if not len(rows.records):
            found.add(none)
            return found
        numbers, is_any = rows.counts(), rows.is_any()
        nothing = pa.scalar(b"", BYTES)
        count = pc.binary_join_element_wise(pa.scalar(self._branch, BYTES), counts(numbers), nothing)
        found.add(pc.if_else(is_any, count, nothing))
        found.add(rows.all_each(inside.joined(len(rows.records)), b"", BYTES))
        found.add(pc.if_else(is_any, pa.scalar(b"\0", BYTES), pa.scalar(none, BYTES)))
        return found


def texts_of_rows(rows: Rows, texts: pa.Array) -> pa.Array:
    """Return the texts of each record's rows with commas between them; null for a record without a row."""
    if not len(rows.records):
        return pa.nulls(rows.count, TEXT)
    if rows.is_each:
        return texts
    return pc.if_else(rows.is_any(), rows.all_each(texts, ", ", TEXT), pa.scalar(None, TEXT))
