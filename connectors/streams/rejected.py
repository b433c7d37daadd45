"""For the source's engineer: which of my rows is a reject, and which value failed?

Keys and values are looked up in the source on demand; the connector's state stores neither.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.access.lookup import rows_named, rows_of_content
from connectors.access.source import SourceTable
from connectors.base.reasons import UNFORESEEN, RejectReason, Unmappable
from connectors.conversion.mapping import RowMapper
from connectors.conversion.versions import version_column
from connectors.declared.declaration import FieldRule, Stream
from connectors.memory.rejects import KeptReject
from connectors.streams.context import Context
from connectors.tables.apart import REASONS
from hub.model.values.doubtful import notes_in


@dataclass(frozen=True, slots=True)
class ShownReject:
    """A reject with the source's own words. Key and values may be personal: only the source's side may see them.

    Fields:
        is_declared: whether the declaration still has the stream.
        key: the row's key by column; None: no row has it now (deleted, left ``where``, or the table or key is another).
        values: the values that failed, by column or path; the elements of a list are joined into one text.
    """

    stream: str
    reason: str
    detail: str
    at: datetime
    is_declared: bool
    key: Mapping[str, str | None] | None = field(default=None, repr=False)
    values: Mapping[str, str | None] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the reject as JSON."""
        return {
            "stream": self.stream,
            "declared": self.is_declared,
            "key": None if self.key is None else dict(self.key),
            "reason": self.reason,
            "detail": self.detail,
            "values": dict(self.values),
            "at": self.at.isoformat(timespec="seconds"),
        }


def shown_rejects(context: Context, stream: str | None = None, reason: str | None = None) -> list[ShownReject]:
    """Return the rejects of a source in the order of its streams, all or those of one stream or reason.

    Raises:
        RetryableError, ConfigError: as for any reading of the source or of the state.
    """
    kept = [
        one for one in context.state.rejects() if stream in (None, one.stream) and reason in (None, str(one.reason))
    ]
    declared = {one.name: one for one in context.declaration.streams}
    shown: list[ShownReject] = []
    for name, own in declared.items():
        mine = [one for one in kept if one.stream == name]
        if mine:
            shown += _looked_up(context, own, mine)
    gone = [one for one in kept if one.stream not in declared]
    return shown + [ShownReject(one.stream, one.reason, one.detail, one.at, is_declared=False) for one in gone]


def _looked_up(context: Context, stream: Stream, kept: Sequence[KeptReject]) -> Iterator[ShownReject]:
    version = context.catalogue.latest(stream.subject)
    mapper = RowMapper(context.declaration, stream, version, context.secret)
    table = SourceTable(context.engine, stream)
    by_content = {one.row for one in kept if one.reason in REASONS}
    rows = {
        mapper.row_hash(row): row
        for page in rows_named(table, mapper, {one.row for one in kept} - by_content)
        for row in page
    }
    rows |= {mapper.content_hash(row): row for page in rows_of_content(table, mapper, by_content) for row in page}
    for one in kept:
        row = rows.get(one.row)
        key = None if row is None else own_key(stream, row)
        values = {} if row is None else failed_values(mapper, one.reason, one.detail, row)
        yield ShownReject(stream.name, one.reason, one.detail, one.at, True, key, values)


def own_key(stream: Stream, row: Sequence[Any]) -> dict[str, str | None]:
    """Return a row's key by column, as text."""
    return {name: _text(row[place]) for place, name in enumerate(stream.key)}


def failed_values(mapper: RowMapper, reason: str, detail: str, row: Sequence[Any]) -> dict[str, str | None]:
    """Return the row's values that failed, by the source's own names."""
    if reason in REASONS:
        return {}
    stream = mapper.stream
    if reason == RejectReason.BAD_PAYLOAD and stream.payload:
        return _columns(mapper, row, [stream.payload])
    if reason == RejectReason.FIELD_DROPPED:
        found: dict[str, str | None] = {}
        for note in notes_in(detail):
            found |= _of_words(mapper, note.field.split("."), row)
        return found
    return _of_words(mapper, re.findall(r"\w+", detail), row)


def _of_words(mapper: RowMapper, words: Sequence[str], row: Sequence[Any]) -> dict[str, str | None]:
    """Return what a row holds for the first field that some words name; those after it may name a list's member."""
    stream = mapper.stream
    rules = {rule.field: rule for rule in stream.fields}
    for number, word in enumerate(words):
        rule = rules.get(word) or rules.get(word.removeprefix("raw_"))
        if rule is not None:
            return _of_rule(mapper, rule, words[number + 1 :], row)
        if word in _ENVELOPE:
            return _columns(mapper, row, _ENVELOPE[word](stream))
    return {}


def _operation_columns(stream: Stream) -> list[str]:
    columns = list(stream.operation.columns) if stream.operation else []
    return columns + ([stream.deleted.column] if stream.deleted else [])


_ENVELOPE = {
    "occurred_at": lambda stream: [stream.changed_at] if stream.changed_at else [],
    "source_version": lambda stream: [version_column(stream) or ""],
    "operation": _operation_columns,
}


def _of_rule(mapper: RowMapper, rule: FieldRule, words: Sequence[str], row: Sequence[Any]) -> dict[str, str | None]:
    if rule.child is not None:
        place = len(mapper.columns) + mapper.children.index(rule)
        items = [item for item in rule.items if item.field in words] or list(rule.items)
        names = list(dict.fromkeys(name for item in rule.items for name in item.columns))
        return {
            f"{rule.child.table}.{name}": ", ".join(str(_text(child[names.index(name)])) for child in row[place])
            for item in items
            for name in item.columns
        }
    if rule.columns:
        return _columns(mapper, row, rule.columns)
    step = next(step for step in mapper.steps if step.field == rule.field)
    (opened,), _ = mapper.opened([row])
    try:
        value = step.get(opened)
    except (Unmappable, *UNFORESEEN):
        return {}
    return {", ".join(".".join(path) for path in rule.paths): _text(value)}


def _columns(mapper: RowMapper, row: Sequence[Any], names: Sequence[str]) -> dict[str, str | None]:
    return {name: _text(row[mapper.columns.index(name)]) for name in names if name in mapper.columns}


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
