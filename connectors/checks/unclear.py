"""Columns whose words must mean yes or no: do they? ``hub connect check`` asks the source before the first run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from sqlalchemy import Boolean, select

from connectors.access.source import SourceTable, raw
from connectors.base.reasons import Unmappable
from connectors.conversion.getters import Row, deletion
from connectors.conversion.truth import meaning, truth
from connectors.declared.declaration import Deleted, Stream
from connectors.faults import translated
from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind

_LOOKED_AT = 100
"""How many different words of a column are looked at."""


@dataclass(frozen=True, slots=True)
class UnclearColumn:
    """A column whose words are neither true nor false; ``problem`` does not show the ``words`` (I8)."""

    column: str
    problem: str
    words: Sequence[Any] = field(default=(), repr=False)


def unclear_columns(table: SourceTable, version: SchemaVersion) -> Iterator[UnclearColumn]:
    """Yield what to declare for columns whose words are neither true nor false."""
    stream = table.stream
    if stream.deleted is not None:
        yield from _unclear_deletion(table, stream.deleted)
    for name, column in _booleans(stream, version):
        if words := _unclear(table, column, lambda row: bool(truth(row[0]))):
            problem = (
                f"{table.what}: column {column} holds {len(words)} words that are neither true nor false: declare"
                f' {name} = {{ column = "{column}", words = {{ "a word" = true, "another" = false }} }}'
            )
            yield UnclearColumn(column, problem, words)


def _unclear_deletion(table: SourceTable, deleted: Deleted) -> Iterator[UnclearColumn]:
    column = deleted.column
    words = _unclear(table, column, deletion(deleted, 0, UTC))
    holds = f"{table.what}: column {column} holds {len(words)} words that are"
    wanted = f'deleted = {{ column = "{column}", values = [the words of deleted rows]'
    if (
        deleted.values
        and isinstance(table.table.c[column].type, Boolean)
        and not any(map(_has_meaning, deleted.values))
    ):
        problem = (
            f"{table.what}: column {column} is a boolean, and none of the declared values is:"
            f' declare deleted = "{column}"'
        )
        yield UnclearColumn(column, problem)
    elif words and deleted.values:
        told = f"not declared, and are neither true nor false: declare {wanted}, alive = [all other words] }}"
        yield UnclearColumn(column, f"{holds} {told}", words)
    elif words:
        yield UnclearColumn(column, f"{holds} neither true nor false: declare {wanted} }}", words)


def _has_meaning(word: str) -> bool:
    return meaning(word) is not None


def _booleans(stream: Stream, version: SchemaVersion) -> Iterator[tuple[str, str]]:
    kinds = {spec.name: spec.kind for spec in version.fields}
    for rule in stream.fields:
        if kinds.get(rule.field) is FieldKind.BOOLEAN and rule.words is None and len(rule.columns) == 1:
            yield rule.field, rule.columns[0]


def _unclear(table: SourceTable, name: str, says: Callable[[Row], bool]) -> list[Any]:
    """Return those of a column's words that are refused by ``says``, which takes a row of that column alone."""
    column = table.table.c[name]
    asked = select(raw(column)).where(column.is_not(None)).distinct().limit(_LOOKED_AT)
    with translated(table.what), table.engine.connect() as connection:
        values = connection.execute(asked).scalars().all()
    return [value for value in values if not _is_clear(says, value)]


def _is_clear(says: Callable[[Row], bool], value: Any) -> bool:
    try:
        says((value,))
    except Unmappable:
        return False
    return True
