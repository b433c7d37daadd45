"""Words in a source's columns that no word table has: ``hub connect check`` names them, with near known words.

A word is the text of a column that the declaration, or the schema, maps by a closed list: a status, a kind. Without its
row it says nothing about a person. A column with very many different words is not of that sort (the wrong column may be
declared, and it holds names): of such a column only the number of words is shown.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.access.source import SourceTable
from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.getters import Get, Row, column_getter, digger
from connectors.conversion.mapping import UNKNOWN, RowMapper
from connectors.conversion.plain import folded, plain
from connectors.declared.declaration import FieldRule
from connectors.faults import SourceRowError, translated
from hub.model.texts.near import did_you_mean

LOOKED_AT = 10_000
"""How many rows are looked at if not all rows are mapped."""

MOST_WORDS = 50
"""A column with more unknown words than this does not hold words of a closed list."""

_LONGEST = 60


@dataclass(slots=True)
class _Column:
    """One field whose values come from a closed list, and how often each word outside the list was found."""

    name: str
    get: Get
    known: Collection[str]
    is_table: bool
    raw: str | None
    unknown: Counter[str] = field(default_factory=Counter, repr=False)

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            try:
                text = plain(self.get(row))
            except Unmappable:
                continue  # not a word; the mapping of the row reports what it is
            if text is not None and (folded(text) if self.is_table else text) not in self.known:
                self.unknown[text] += 1

    def told(self, words: Sequence[str]) -> Iterator[str]:
        lacking = "is in no word table" if self.is_table else "is none of the schema's words"
        if len(self.unknown) > MOST_WORDS:
            yield (
                f"{self.name}: {len(self.unknown):,} different words {lacking.replace('is ', 'are ')}, "
                f"{_rows(self.unknown.total())}: is it the right column? "
                + (f"They become {UNKNOWN} and are kept in {self.raw}" if self.raw else "Such rows are rejects")
            )
            return
        becomes = f"it becomes {UNKNOWN} and is kept in {self.raw}" if self.raw else _REJECT
        for word, count in self.unknown.most_common():
            shown = word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..."
            yield f"{self.name}: {shown!r} {lacking}, {_rows(count)}: {becomes}{did_you_mean(word, words)}"


_REJECT = f"such a row is a reject, {RejectReason.UNMAPPED_WORD}"


class UnknownWords:
    """Counts the words of one stream's columns that no table has. It does not look into lists inside a row."""

    def __init__(self, mapper: RowMapper) -> None:
        self._mapper = mapper
        self._words: dict[str, Sequence[str]] = {}
        index = {name: place for place, name in enumerate(mapper.columns)}
        self._columns = [
            self._column(rule, step.raw, index)
            for rule, step in zip(mapper.stream.fields, mapper.steps, strict=True)
            if _is_closed(rule, mapper.symbols(rule.field))
        ]
        operation = mapper.stream.operation
        if operation is not None and _is_closed(operation, mapper.symbols("operation")):
            self._columns.append(self._column(operation, None, index))

    def _column(self, rule: FieldRule, raw: str | None, index: dict[str, int]) -> _Column:
        words = tuple(rule.words) if rule.words is not None else self._mapper.symbols(rule.field)
        self._words[rule.field] = words
        get = digger(rule.paths, rule.join, last=True) if rule.paths else column_getter(rule, index)
        is_table = rule.words is not None
        known = frozenset(map(folded, words)) if is_table else frozenset(words)
        return _Column(rule.field, get, known, is_table, raw)

    def add(self, rows: Sequence[Row]) -> None:
        """Count the words of some rows, given as they were read."""
        if self._columns:
            opened, _ = self._mapper.opened(rows)
            for column in self._columns:
                column.add(opened)

    def told(self) -> tuple[str, ...]:
        """Return a line for each word, the most frequent words of each field first."""
        return tuple(line for column in self._columns for line in column.told(self._words[column.name]))


def unknown_words(table: SourceTable, mapper: RowMapper) -> tuple[str, ...]:
    """Return a line for each word in the table's first rows that no table has.

    Raises:
        RetryableError, ConfigError: as for any reading of the source.
    """
    counted = UnknownWords(mapper)
    # an unreadable row hides the words of the others here; where all rows are mapped, only that row is skipped
    with suppress(SourceRowError), translated(table.what), table.engine.connect() as connection:
        counted.add([tuple(row) for row in connection.execute(table.rows().limit(LOOKED_AT))])
    return counted.told()


def _is_closed(rule: FieldRule, symbols: Sequence[str]) -> bool:
    is_read = bool(rule.columns or rule.paths) and not rule.items
    return is_read and (rule.words is not None or bool(symbols))


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
