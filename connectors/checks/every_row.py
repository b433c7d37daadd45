"""Map and encode every row of a stream and publish nothing: shows before the first run what it would reject."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.access.source import SourceTable
from connectors.base.port import Record
from connectors.base.reasons import RejectReason, Unmappable
from connectors.checks.unknown_words import UnknownWords
from connectors.conversion.columns import ColumnEncoder
from connectors.conversion.mapping import RowMapper
from connectors.conversion.rows import record_of_row
from connectors.declared.declaration import Stream
from connectors.streams.comparing import all_rows
from connectors.streams.context import Context, declaration_in_force
from connectors.streams.rejected import failed_values, own_key
from connectors.tables.unreadable import UnreadableRow
from hub.codec.encode import Encoder
from hub.model.values.doubtful import Done, Note, notes_in
from hub.topology import MAX_RECORD_BYTES

MOST_EXAMPLES = 3
MASK = "•••"


@dataclass(frozen=True, slots=True)
class Example:
    """A row that would be a reject: the source's own key, and the failing values, masked or not."""

    key: dict[str, str | None] = field(repr=False)
    values: dict[str, str | None] = field(repr=False)


@dataclass(slots=True)
class StreamReport:
    """What became of a stream's rows.

    Fields:
        rejects: counts by reason and detail.
        doubtful: counts of the notes about values: ``birth_year DROPPED OUT_OF_RANGE``.
        examples: the first rows of each reason and detail, and of each value that is dropped.
        words: a line for each word that no word table has.
    """

    stream: str
    subject: str
    rows: int = 0
    events: int = 0
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    doubtful: Counter[Note] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[Example]] = field(default_factory=dict, repr=False)
    words: tuple[str, ...] = ()

    def always_dropped(self) -> list[Note]:
        """Return what is dropped of every event: more likely the declaration is wrong than all the values."""
        return [note for note, count in self.doubtful.items() if count == self.events and note.done is Done.DROPPED]

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "stream": self.stream,
            "subject": self.subject,
            "rows": self.rows,
            "events": self.events,
            "rejects": [
                {
                    "reason": reason,
                    "detail": detail,
                    "count": count,
                    "examples": [{"key": one.key, "values": one.values} for one in self.examples[reason, detail]],
                }
                for (reason, detail), count in self.rejects.most_common()
            ],
            "words": list(self.words),
            "doubtful": [
                {
                    "field": note.field,
                    "done": note.done,
                    "why": note.why,
                    "count": count,
                    "examples": [
                        {"key": one.key, "values": one.values} for one in self.examples.get(example_of(note), ())
                    ],
                }
                for note, count in self.doubtful.most_common()
            ],
        }


def example_of(note: Note) -> tuple[str, str]:
    """Return under what the examples of a dropped value stand."""
    return RejectReason.FIELD_DROPPED.value, str(note)


class StreamCheck:
    """Maps all rows of one stream; the report grows while the caller takes the records."""

    def __init__(self, context: Context, stream: Stream, unmask: bool = False) -> None:
        """Open the table; see ``SourceTable``."""
        version = context.catalogue.latest(stream.subject)
        self._mapper = RowMapper(declaration_in_force(context), stream, version, context.secret)
        self._encoder = Encoder(stream.subject, context.secret, context.catalogue)
        self._columns = ColumnEncoder(self._mapper, self._encoder)
        self._table = SourceTable(context.engine, stream)
        self._table.prove_key()
        self._unmask = unmask
        self._words = UnknownWords(self._mapper)
        self.report = StreamReport(stream.name, stream.subject)
        self.own_keys: list[str] = []
        """The source's own keys of the records that were yielded last, each as JSON; they may be personal."""

    def records(self) -> Iterator[list[Record]]:
        """Yield the records of all rows, page by page.

        Raises:
            RetryableError, ConfigError: as for any reading of the source.
        """
        for rows in all_rows(self._table, self._table.rows()):
            now = datetime.now(UTC)
            found: list[Record] = []
            self.own_keys = []
            self.report.rows += len(rows)
            for row in rows:
                if isinstance(row, UnreadableRow):
                    self._reject(row, RejectReason.SOURCE_CANNOT_READ.value, "")
            rows = [row for row in rows if not isinstance(row, UnreadableRow)]
            self._words.add(rows)
            encoded = self._columns.encode(rows, now)
            for place, (row, record) in enumerate(zip(rows, encoded.records, strict=True)):
                doubtful = encoded.doubtful.get(place, "")
                try:
                    if record is None or len(record[1]) > MAX_RECORD_BYTES:
                        record, _, doubtful = record_of_row(self._mapper, self._encoder, row, now)
                except Unmappable as problem:
                    self._reject(row, problem.reason.value, problem.field or "")
                else:
                    found.append(record)
                    self.own_keys.append(json.dumps(own_key(self._mapper.stream, row), ensure_ascii=False))
                    for note in notes_in(doubtful):
                        self._doubt(row, note)
            self.report.events += len(found)
            yield found

    def words(self) -> tuple[str, ...]:
        """Return a line for each word, in the rows read so far, that no word table has."""
        return self._words.told()

    def _reject(self, row: Sequence[Any], reason: str, detail: str) -> None:
        self.report.rejects[reason, detail] += 1
        self._example(row, reason, detail)

    def _doubt(self, row: Sequence[Any], note: Note) -> None:
        self.report.doubtful[note] += 1
        if note.done is Done.DROPPED:
            self._example(row, *example_of(note))

    def _example(self, row: Sequence[Any], reason: str, detail: str) -> None:
        examples = self.report.examples.setdefault((reason, detail), [])
        if len(examples) < MOST_EXAMPLES:
            values = failed_values(self._mapper, reason, detail, row)
            shown = (
                values if self._unmask else {name: None if value is None else MASK for name, value in values.items()}
            )
            examples.append(Example(own_key(self._mapper.stream, row), shown))
