"""A page of rows becomes records, column by column: the same bytes as row by row, at a fraction of the cost.

Each field of the schema becomes one list of encoded values. Most values are looked up by the source's own value. Then
the lists are joined. A row with anything unusual (a value that cannot be mapped, an unknown word) goes to the row path,
which finds out what is wrong with it; other rows are not affected.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any

from connectors.base.port import Record
from connectors.base.reasons import UNFORESEEN, Unmappable
from connectors.conversion.getters import Row
from connectors.conversion.mapping import RowMapper, Step
from connectors.conversion.noted import Noted
from connectors.conversion.pieces import Fill, NotedPiece, Pieces, noting
from hub.codec import wire
from hub.codec.cells import Cell, branch_of, cells_of, null_of, text_bytes
from hub.codec.encode import Encoder
from hub.model.values.doubtful import DOUBTFUL, SEPARATOR

_KEPT = 10_000
"""How many encoded values of a column are remembered before the memory is cleared."""

_MOSTLY = 0.8
"""If a larger share of a column is new in a page, remembering its values does not help."""

_TELLING = 500
"""A page with fewer rows than this is too small to judge by."""

_REMEMBERED = (str, int)
"""Types whose equal values every mapping treats alike; values of two different types are never mixed."""


@dataclass(slots=True)
class Encoded:
    """A page in columns: per row its record and event id; both are None if the row path must handle the row.

    ``doubtful``: the notes of a record about values that broke their rule, by its place; most records have none.
    """

    records: list[Record | None]
    event_ids: list[bytes | None] = field(default_factory=list)
    doubtful: dict[int, str] = field(default_factory=dict)


class _Memory(dict[Any, bytes | None]):
    """Encoded values by the source's values; None for a value that the row path must handle."""

    def __init__(self, make: Callable[[Any], bytes | None]) -> None:
        super().__init__()
        self._make = make
        self.is_useless = False

    def all(self, values: Sequence[Any]) -> Pieces:
        """Return the encoding of each value; notes whether these values repeat."""
        before = len(self)
        found = list(map(self.__getitem__, values))
        if len(values) >= _TELLING:
            self.is_useless = len(self) - before > len(values) * _MOSTLY
        return found

    def __missing__(self, value: Any) -> bytes | None:
        if len(self) >= _KEPT:
            self.clear()
        made = self[value] = self._make(value)
        return made


class ColumnEncoder:
    """Encodes pages of one stream. Between pages it keeps encoded values and nothing else."""

    def __init__(self, mapper: RowMapper, encoder: Encoder) -> None:
        self._mapper = mapper
        self._encoder = encoder
        self._cells = cells_of(encoder.version)
        self._header = wire.header(encoder.version.schema_id)
        self._steps = {step.field: step for step in mapper.steps}
        self._operations = _Memory(lambda value: _encoded(self._cells["operation"], value))
        self._parts: list[str | bytes | Fill] | None = self._compiled()

    def encode(self, rows: Sequence[Row], recorded_at: datetime) -> Encoded:
        """Return the records of a page, in the order of the rows."""
        if self._parts is None or not rows:
            nothing: list[bytes | None] = [None] * len(rows)
            return Encoded([None] * len(rows), nothing)
        rows, unreadable = self._mapper.opened(rows)
        envelope = self._envelope(rows, recorded_at)
        keys = self._keys(rows)
        columns: list[Pieces] = []
        notes, doubtful_texts = dict[int, list[str]](), dict[int, str]()
        for part in self._parts:
            if isinstance(part, bytes):
                columns.append(repeat(part))
            elif part == DOUBTFUL:
                # after the fields that a declaration fills
                column, doubtful_texts = self._notes(notes, len(rows))
                columns.append(column)
            elif isinstance(part, str):
                columns.append(envelope[part])
            else:
                columns.append(noting(part, rows, notes))
        doubtful = unreadable.union(_doubtful(keys), *(_doubtful(column) for column in columns))
        if doubtful:
            columns = [_blank(column) for column in columns]
        values = map(b"".join, zip(*columns, strict=False))
        records: list[Record | None] = list(zip(keys, values, strict=True))  # type: ignore[arg-type]
        ids = list(envelope["event_id"])
        for place in doubtful:
            records[place] = ids[place] = None
            doubtful_texts.pop(place, None)
        return Encoded(records, ids, doubtful_texts)

    def _compiled(self) -> list[str | bytes | Fill] | None:
        """Return, in the schema's order, what fills its fields; None if only the row path can."""
        parts: list[str | bytes | Fill] = [self._header]
        for spec in self._encoder.version.fields:
            part = self._part(spec.name)
            if part is None:
                return None
            if isinstance(part, bytes) and isinstance(parts[-1], bytes):
                parts[-1] += part
            else:
                parts.append(part)
        known = all(name in self._steps for name in self._encoder.key_names)
        return parts if known and not _ENVELOPE.intersection(self._steps) else None

    def _part(self, name: str) -> str | bytes | Fill | None:
        step = self._steps.get(name)
        if name in _ENVELOPE or name == DOUBTFUL or (name == "occurred_at" and step is None):
            return name
        usual = self._usual(name)
        if step is None:
            return usual
        cell = self._cells.get(name)
        version = self._encoder.version
        return None if cell is None else _column(step, cell, usual, branch_of(version, name), null_of(version, name))

    def _notes(self, notes: dict[int, list[str]], rows: int) -> tuple[Pieces, dict[int, str]]:
        """Return the field that says what became of values, and its texts by the row's place."""
        null = null_of(self._encoder.version, DOUBTFUL)
        if not notes:
            return repeat(null), {}
        texts = {place: SEPARATOR.join(said) for place, said in notes.items()}
        pieces = {text: self._cells[DOUBTFUL](text) for text in set(texts.values())}
        return [pieces[texts[place]] if place in texts else null for place in range(rows)], texts

    def _usual(self, name: str) -> bytes | None:
        """Return the encoded value of a field that the row says nothing about."""
        constant = self._mapper.constants.get(name)
        return self._cells[name](constant) if constant is not None else null_of(self._encoder.version, name)

    def _envelope(self, rows: Sequence[Row], recorded_at: datetime) -> dict[str, Pieces]:
        mapper, cells = self._mapper, self._cells
        versions = _all(mapper.version, rows)
        operations = _all(mapper.operation, rows)
        said = zip(rows, versions, operations, strict=True)
        ids = [
            None if version is None or operation is None else mapper.event_id(row, version, operation)
            for row, version, operation in said
        ]
        found: dict[str, Pieces] = {
            "event_id": ids,
            "recorded_at": repeat(cells["recorded_at"](recorded_at)),
            "source_version": _each(cells["source_version"], versions),
            "operation": list(map(self._operations.__getitem__, operations)),
        }
        if "occurred_at" not in self._steps:
            found["occurred_at"] = _each(cells["occurred_at"], _all(mapper.changed_at, rows))
        return found

    def _keys(self, rows: Sequence[Row]) -> list[bytes | None]:
        steps = [self._steps[name] for name in self._encoder.key_names]
        said = list(zip(*(_all(step.value, rows) for step in steps), strict=True))
        # every part of a key must be text and not empty; otherwise the row path says what is wrong
        whole = all(map(all, said)) and all(set(map(type, parts)) == {str} for parts in zip(*said, strict=True))
        return _each(self._encoder.key_of, said) if whole else [self._key(parts) for parts in said]

    def _key(self, parts: Sequence[Any]) -> bytes | None:
        is_text = all(isinstance(part, str) and part for part in parts)
        return _encoded(self._encoder.key_of, parts) if is_text else None


_TextBytes = Callable[[Sequence[Any]], list[bytes | None] | None]
_ENVELOPE = frozenset(("event_id", "recorded_at", "source_version", "operation"))


def _column(step: Step, cell: Cell, usual: bytes | None, branch: bytes, null: bytes | None) -> Fill:
    """Return what encodes a declared field of all rows; ``branch`` precedes a value that is not null."""
    if step.default is not None:
        usual = _encoded(cell, step.default)
    elif step.required:
        usual = None

    def encoded(value: Any) -> bytes | None:
        try:
            converted = step.convert(value)
            if converted.__class__ is Noted:
                return noted(converted)
            return usual if converted is None else cell(converted)
        except (Unmappable, *UNFORESEEN):
            return None

    def noted(found: Noted) -> bytes | None:
        piece = null if found.value is None else cell(found.value)
        if piece is None:
            return None
        fill.is_noting = True
        return NotedPiece.of(piece, found.notes)

    fill = Fill(_pieces(step, encoded, _texts(branch, step) if step.is_text else None))
    return fill


def _pieces(
    step: Step, encoded: Callable[[Any], bytes | None], texts: _TextBytes | None
) -> Callable[[Sequence[Row]], Pieces]:
    """Return what encodes a column: plain text all at once, values of a kind that repeats from memory."""
    memories: dict[type, _Memory] = {of: _Memory(encoded) for of in _REMEMBERED}

    def pieces(rows: Sequence[Row]) -> Pieces:
        try:
            values = list(map(step.get, rows))
        except (Unmappable, *UNFORESEEN):
            return [None if (value := _tried(step.get, row)) is None else encoded(value) for row in rows]
        types = set(map(type, values))
        types.discard(type(None))
        memory = memories.get(types.pop()) if len(types) == 1 else None
        if memory is None or memory.is_useless:
            return (texts(values) if texts else None) or list(map(encoded, values))
        return memory.all(values)

    return pieces


def _texts(branch: bytes, step: Step) -> _TextBytes:
    """Return what encodes plain text, all of a column at once; None if a value needs a closer look."""
    encoded, longest, keeps = text_bytes(branch), step.longest, step.keeps

    def texts(values: Sequence[Any]) -> list[bytes | None] | None:
        if set(map(type, values)) != {str}:
            return None
        stripped = [value.strip() for value in values]
        if "" in stripped or "\0" in "".join(stripped) or (longest and max(map(len, stripped)) > longest):
            return None
        if keeps is not None and not all(map(keeps, stripped)):
            return None
        with suppress(UnicodeEncodeError):
            return list(map(encoded, stripped))
        return None

    return texts


def _all(call: Callable[[Any], Any], rows: Sequence[Any]) -> list[Any]:
    """Call for every row; None where a value cannot be had."""
    try:
        return list(map(call, rows))
    except (Unmappable, *UNFORESEEN):
        return [_tried(call, row) for row in rows]


def _each(cell: Callable[[Any], bytes], values: Sequence[Any]) -> list[bytes | None]:
    """Encode every value; None for None, and for a value that cannot be encoded."""
    if None not in values:
        with suppress(ValueError):
            return list(map(cell, values))
    return [_encoded(cell, value) for value in values]


def _tried(call: Callable[[Any], Any], value: Any) -> Any:
    try:
        return call(value)
    except (Unmappable, *UNFORESEEN):
        return None


def _encoded(cell: Callable[[Any], bytes], value: Any) -> bytes | None:
    try:
        return None if value is None else cell(value)
    except ValueError:
        return None


def _doubtful(column: Pieces) -> set[int]:
    if isinstance(column, repeat) or None not in column:
        return set()
    return {place for place, piece in enumerate(column) if piece is None}


def _blank(column: Pieces) -> Pieces:
    return column if isinstance(column, repeat) else [piece or b"" for piece in column]
