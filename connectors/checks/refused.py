"""Everything for which a stream's table is refused, together: columns, key, words that are not clear.

With it come some of the source's own keys and words. They may be personal: ``hub connect check`` prints them on the
source's own screen; they are in no error and no log (I8).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import func

from connectors.access.source import SourceTable
from connectors.checks.unclear import unclear_columns
from connectors.declared.declaration import Stream
from connectors.faults import SourceRowError, translated
from connectors.streams.context import Context
from hub.model.errors import ConfigError

MOST_EXAMPLES = 3
_MOST_WORDS = 10
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a table is refused; ``shown``: a line for each row or word that is named, perhaps personal."""

    problems: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list, repr=False)


def refused(context: Context, stream: Stream) -> Refused:
    """Return all that is wrong with a stream's table; the stream itself need not fit the schemas.

    Raises:
        RetryableError: the source is unreachable.
    """
    found = Refused()
    tables: list[SourceTable] = []
    _collect(found.problems, lambda: tables.append(SourceTable(context.engine, stream)))
    for table in tables:
        _collect(found.problems, table.prove_key)
        if found.problems:
            _collect([], partial(_add_keys, found, table))
        _collect(found.problems, partial(_add_unclear, found, context, table))
    return found


def _collect(problems: list[str], call: Callable[[], object]) -> None:
    try:
        call()
    except ConfigError as error:
        problems += error.problems
    except SourceRowError as error:
        problems.append(error.message)


def _add_keys(found: Refused, table: SourceTable) -> None:
    found.shown.extend(key_examples(table))


def _add_unclear(found: Refused, context: Context, table: SourceTable) -> None:
    for one in unclear_columns(table, context.catalogue.latest(table.stream.subject)):
        found.problems.append(one.problem)
        words = ", ".join(repr(_text(word)) for word in one.words[:_MOST_WORDS])
        more = ", ..." if len(one.words) > _MOST_WORDS else ""
        if words:
            found.shown.append(f"{table.stream.name}: column {one.column} holds {words}{more}")


def key_examples(table: SourceTable) -> Iterator[str]:
    """Yield a line for some values that are in several rows, and for some rows that lack a part of the key."""
    stream, columns = table.stream, table.table.c
    key = [columns[name] for name in stream.key]
    with translated(table.what), table.engine.connect() as connection:
        if table.proof.kept_by is None:
            shared = table.keys().where(*(column.is_not(None) for column in key)).group_by(*key)
            wanted = shared.having(func.count() > 1).with_only_columns(*map(table.selected, key), func.count())
            for *values, count in connection.execute(wanted.limit(MOST_EXAMPLES)):
                yield f"{stream.name}: {_pairs(stream.key, values)} is in {count:,} rows"
        lacking = sorted(table.proof.nullable)
        named = [column.name for column in table.table.primary_key.columns] or list(stream.key)
        rows = table.keys().where(table.without_key())
        wanted = rows.with_only_columns(*(table.selected(columns[name]) for name in named)).limit(MOST_EXAMPLES)
        for row in connection.execute(wanted) if lacking else ():
            yield f"{stream.name}: the row {_pairs(named, row)} has no value in {', '.join(lacking)}"


def _pairs(names: Iterable[str], values: Sequence[Any]) -> str:
    told = zip(names, values, strict=True)
    return ", ".join(f"{name} = {'null' if value is None else repr(_text(value))}" for name, value in told)


def _text(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
