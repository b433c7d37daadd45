"""Columns whose words must mean yes or no: do they? ``hub connect check`` asks the source before the first run."""

from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

from sqlalchemy import select

from connectors.access.source import SourceTable, raw
from connectors.base.reasons import Unmappable
from connectors.conversion.getters import Row, deletion
from connectors.conversion.truth import truth
from connectors.declared.declaration import Deleted, Stream
from connectors.faults import translated
from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind

_LOOKED_AT = 100
"""How many different words of a column are looked at."""


def unclear_words(table: SourceTable, version: SchemaVersion) -> Iterator[str]:
    """Yield what to declare for columns whose words are neither true nor false. It does not show the words (I8)."""
    stream = table.stream
    if stream.deleted is not None and not stream.deleted.values:
        column = stream.deleted.column
        if count := _unclear(table, column, is_deletion=True):
            yield (
                f"{table.what}: column {column} holds {count} words that are neither true nor false: declare"
                f' deleted = {{ column = "{column}", values = [the words of deleted rows] }}'
            )
    for field, column in _booleans(stream, version):
        if count := _unclear(table, column, is_deletion=False):
            yield (
                f"{table.what}: column {column} holds {count} words that are neither true nor false: declare"
                f' {field} = {{ column = "{column}", words = {{ "a word" = true, "another" = false }} }}'
            )


def _booleans(stream: Stream, version: SchemaVersion) -> Iterator[tuple[str, str]]:
    kinds = {spec.name: spec.kind for spec in version.fields}
    for rule in stream.fields:
        if kinds.get(rule.field) is FieldKind.BOOLEAN and rule.words is None and len(rule.columns) == 1:
            yield rule.field, rule.columns[0]


def _unclear(table: SourceTable, name: str, is_deletion: bool) -> int:
    """Return how many of a column's words are neither true nor false."""
    column = table.table.c[name]
    asked = select(raw(column)).where(column.is_not(None)).distinct().limit(_LOOKED_AT)
    with translated(table.what), table.engine.connect() as connection:
        values = connection.execute(asked).scalars().all()
    says = deletion(Deleted(name), 0, UTC) if is_deletion else lambda row: bool(truth(row[0]))
    return sum(not _is_clear(says, value) for value in values)


def _is_clear(says: Callable[[Row], bool], value: Any) -> bool:
    try:
        says((value,))
    except Unmappable:
        return False
    return True
