"""Encode a record's fields from Arrow columns: each field becomes pieces of bytes for all rows at once.

A datum consists of its fields' bytes in order, so the pieces of a record, joined row by row, are its bytes: the same as
``Encoder.encode`` gives, in a fraction of its time. Rows with a value that the schema refuses are named; the encoder of
single records says what is wrong with them. Texts are expected in composed letters (``composed_texts``).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from hub.codec.cells import Cell, cell_of, long_bytes
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.texts.letters import composed

BYTES = pa.large_binary()
Piece: TypeAlias = bytes | pa.Array
"""The bytes of a part of a field: the same for all rows, or one value a row, none of them null."""
_LOW_BITS = 14
_LOW = (1 << _LOW_BITS) - 1
_NOTHING = pa.scalar(b"", BYTES)


@dataclass(slots=True)
class Pieces:
    """The bytes of some fields.

    Fields:
        pieces: in order; a row's bytes are its pieces joined.
        refused: for each row whether a value breaks the schema; None: no row.
    """

    pieces: list[Piece] = field(default_factory=list)
    refused: pa.Array | None = None

    def add(self, piece: Piece) -> None:
        """Append a piece; bytes that are the same for all rows are joined with those before them."""
        if isinstance(piece, bytes) and self.pieces and isinstance(self.pieces[-1], bytes):
            self.pieces[-1] += piece
        else:
            self.pieces.append(piece)

    def refuse(self, rows: pa.Array | None) -> None:
        """Note rows that break the schema."""
        if rows is not None and pc.any(rows).as_py():
            self.refused = rows if self.refused is None else pc.or_(self.refused, rows)

    def joined(self, rows: int) -> pa.Array:
        """Return each row's bytes."""
        if not any(isinstance(piece, pa.Array) for piece in self.pieces):
            return pa.repeat(pa.scalar(b"".join(self.pieces), BYTES), rows)
        pieces = [pa.scalar(piece, BYTES) if isinstance(piece, bytes) else piece for piece in self.pieces]
        return pc.binary_join_element_wise(*pieces, _NOTHING)


class FieldColumns:
    """Encodes the fields of one record, at the top of a schema or inside it."""

    def __init__(self, specs: Sequence[FieldSpec], avro: Mapping[str, Any], named: Mapping[str, Any]) -> None:
        """Take the fields and the record's schema; ``named``: types by name, from ``named_types``."""
        types = {one["name"]: one for one in avro["fields"]}
        self.names = tuple(spec.name for spec in specs)
        self._fields = [_Field(spec, types[spec.name], named) for spec in specs]

    def encode(self, columns: Mapping[str, pa.Array]) -> Pieces:
        """Return the fields' pieces; columns that are not given are null, or the caller's pieces (``Pieces``)."""
        found = Pieces()
        for one in self._fields:
            given = columns.get(one.name)
            if isinstance(given, Pieces):
                for piece in given.pieces:
                    found.add(piece)
                found.refuse(given.refused)
            else:
                one.encode(given, found)
        return found


class _Field:
    """Encodes one field's column."""

    def __init__(self, spec: FieldSpec, avro: Mapping[str, Any], named: Mapping[str, Any]) -> None:
        self.name, self._spec, self._avro = spec.name, spec, _whole(avro, named)
        self._branch, self._null = branches_of(avro)
        self._remembered: _Remembered | None = None

    def encode(self, column: pa.Array | None, found: Pieces) -> None:
        """Append a column's pieces."""
        if column is None or column.null_count == len(column):
            if self._null is None:
                self._refuse_all(column, found)
            found.add(self._null or b"")
            return
        if column.null_count and self._null is None:
            found.refuse(column.is_null())
        kind = self._spec.kind
        if kind is FieldKind.STRING and self._spec.max_length is None and not self._spec.symbols:
            self._text(column, found)
        elif kind in _WHOLE:
            found.add(_whole_numbers(column, self._branch, self._null or b""))
        elif kind is FieldKind.UUID:
            found.add(_or_null(column, self._branch, self._null))
        else:
            self._by_value(column, found)

    def _refuse_all(self, column: pa.Array | None, found: Pieces) -> None:
        if column is None:
            raise ValueError(f"{self.name} is required")
        if len(column):
            found.refuse(column.is_null())

    def _text(self, column: pa.Array, found: Pieces) -> None:
        content = column.cast(BYTES)
        found.add(sizes(content, self._branch, self._null or b""))
        found.add(pc.fill_null(content, b"") if content.null_count else content)

    def _by_value(self, column: pa.Array, found: Pieces) -> None:
        """Encode each different value once."""
        if self._remembered is None:
            self._remembered = _Remembered(self._spec, self._avro)
        coded = column.dictionary_encode()
        known = [self._remembered[value] for value in coded.dictionary.to_pylist()]
        table = pa.array([*(value or b"" for value in known), self._null or b""], BYTES)
        found.add(table.take(pc.fill_null(coded.indices, len(known))))
        if None in known:
            is_refused = pa.array([value is None for value in known])
            found.refuse(pc.fill_null(is_refused.take(coded.indices), False))


class _Remembered(dict[Any, bytes | None]):
    """A field's encoded values; None for one that the schema refuses."""

    def __init__(self, spec: FieldSpec, avro: Mapping[str, Any]) -> None:
        super().__init__()
        self._cell: Cell = cell_of(spec, avro)
        self._is_json = spec.kind is FieldKind.JSON

    def __missing__(self, value: Any) -> bytes | None:
        if len(self) >= _KEPT:
            self.clear()
        try:
            found = self._cell(composed(json.loads(value)) if self._is_json else value)
        except Exception:  # noqa: BLE001 - the encoder of single records meets it again and says what is wrong
            found = None
        self[value] = found
        return found


_KEPT = 10_000
_WHOLE = frozenset({FieldKind.INT, FieldKind.LONG, FieldKind.TIMESTAMP, FieldKind.DATE})


_MAYBE_DECOMPOSED = r"[^\x{0}-\x{2ff}\x{1e00}-\x{1eff}\x{2010}-\x{2027}]"
"""A letter outside the ranges in which every letter, whatever stands before it, is in composed form."""


def composed_texts(column: pa.Array) -> pa.Array:
    """Return a column of texts in composed letters (NFC); see ``hub.model.texts.letters``."""
    if column.null_count == len(column) or pc.all(pc.string_is_ascii(column)).as_py():
        return column
    is_odd = pc.fill_null(pc.match_substring_regex(column, _MAYBE_DECOMPOSED), False)
    if not pc.any(is_odd).as_py():
        return column
    texts = pa.array([composed(text) for text in column.filter(is_odd).to_pylist()], column.type)
    return pc.replace_with_mask(column, is_odd, texts)


def branches_of(avro: Mapping[str, Any]) -> tuple[bytes, bytes | None]:
    """Return the bytes before a field's value that is not null, and those of null; None if null is not allowed."""
    union = avro["type"]
    if not isinstance(union, list):
        return b"", None
    return long_bytes(1 - union.index("null")), long_bytes(union.index("null"))


def named_types(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the types that a schema names, by their short names: they are written whole only where they come first."""
    return dict(_named(schema))


def _named(avro: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(avro, list):
        for branch in avro:
            yield from _named(branch)
    elif isinstance(avro, dict):
        if avro["type"] in ("record", "enum", "fixed"):
            yield avro["name"].rpartition(".")[2], avro
        for inner in avro.get("fields", ()):
            yield from _named(inner["type"])
        if "items" in avro:
            yield from _named(avro["items"])


def record_in(avro: Mapping[str, Any], named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the record that a field holds: its value, or the items of its list."""
    (kind,) = [one for one in _as_list(avro["type"]) if one != "null"]
    whole = named.get(str(kind).rpartition(".")[2], kind) if isinstance(kind, str) else kind
    return record_in({"type": whole["items"]}, named) if whole["type"] == "array" else dict(whole)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _whole(avro: Any, named: Mapping[str, Any]) -> Any:
    """Return a field's schema with every type in full where it is named the first time."""
    seen: set[str] = set()

    def filled(one: Any) -> Any:
        if isinstance(one, str):
            name = one.rpartition(".")[2]
            return filled(named[name]) if name in named and name not in seen else one
        if isinstance(one, list):
            return [filled(branch) for branch in one]
        if one["type"] in ("record", "enum", "fixed"):
            seen.add(one["name"].rpartition(".")[2])
        if "fields" in one:
            return {**one, "fields": [{**inner, "type": filled(inner["type"])} for inner in one["fields"]]}
        return {**one, "items": filled(one["items"])} if "items" in one else one

    return {**avro, "type": filled(avro["type"])}


def _or_null(column: pa.Array, branch: bytes, null: bytes | None) -> pa.Array:
    content = column.cast(BYTES)
    if branch:
        content = pc.binary_join_element_wise(pa.scalar(branch, BYTES), content, _NOTHING)
    return pc.fill_null(content, null or b"") if content.null_count else content


def sizes(content: pa.Array, branch: bytes = b"", null: bytes = b"") -> pa.Array:
    """Return what stands before each text: the branch and its number of bytes; ``null`` where there is none."""
    return _whole_numbers(pc.binary_length(content), branch, null)


def counts(numbers: pa.Array) -> pa.Array:
    """Return whole numbers in Avro's form, one after another."""
    return _whole_numbers(numbers, b"", b"")


def _whole_numbers(column: pa.Array, branch: bytes, null: bytes) -> pa.Array:
    """Encode whole numbers, times and days: zigzag, seven bits a byte, in steps of two bytes.

    The table of each step holds the bytes of fourteen bits, if more follow and if none do; then nothing, and null.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_int64(column.type):
        numbers = column.cast(pa.int64())
    else:
        numbers = column.cast(pa.int32()).cast(pa.int64())
    sign = pc.if_else(pc.less(numbers, 0), pa.scalar(-1, pa.int64()), pa.scalar(0, pa.int64()))
    numbers = pc.bit_wise_xor(pc.shift_left(numbers, 1), sign).view(pa.uint64())
    steps: list[pa.Array] = []
    first, rest = _table(branch, null), numbers
    most = pc.max(numbers).as_py() or 0
    while True:
        table = _table(b"", b"") if steps else first
        if most <= _LOW:
            places = rest
            more = None
        else:
            more = pc.shift_right(rest, _SHIFT)
            places = pc.add(pc.bit_wise_and(rest, _LOW_MASK), pc.if_else(pc.greater(more, _ZERO), _MORE, _ZERO))
        if steps:
            places = pc.if_else(pc.greater(rest, _ZERO), places, _NONE)
        steps.append(table.take(pc.fill_null(places, _NULL)))
        if more is None:
            break
        rest, most = more, most >> _LOW_BITS
    return steps[0] if len(steps) == 1 else pc.binary_join_element_wise(*steps, _NOTHING)


_ZERO, _SHIFT, _LOW_MASK = (pa.scalar(number, pa.uint64()) for number in (0, _LOW_BITS, _LOW))
_MORE = pa.scalar(_LOW + 1, pa.uint64())
_NONE = pa.scalar(2 * (_LOW + 1), pa.uint64())
_NULL = pa.scalar(2 * (_LOW + 1) + 1, pa.uint64())


@cache
def _table(branch: bytes, null: bytes) -> pa.Array:
    last = [branch + _varint(bits) for bits in range(_LOW + 1)]
    followed = [branch + bytes((bits & 127 | 128, bits >> 7 | 128)) for bits in range(_LOW + 1)]
    return pa.array([*last, *followed, b"", null], BYTES)


def _varint(bits: int) -> bytes:
    return bytes((bits,)) if bits < 128 else bytes((bits & 127 | 128, bits >> 7))
