"""Find the rows of a source whose keyed hashes name its rejects, by hashing the keys that the table holds now.

A hash cannot be turned back into a key, so the whole list of keys is read once. Whole rows are read only for keys whose
hash matches. A row that its key does not identify (``KEY_MISSING``, ``KEY_SHARED``) is named by the hash of its whole
content; to find such rows, all rows are read.
"""

from collections.abc import Collection, Iterator

from connectors.access.reading import Rows, all_pages, rows_of
from connectors.access.source import SourceTable
from connectors.base.port import JsonValue
from connectors.conversion.mapping import RowMapper
from connectors.faults import translated
from connectors.tables.streaming import streamed
from connectors.tables.unreadable import UnreadableRow, keys_are_readable

KEYS_AT_ONCE = 20_000
ROWS_AT_ONCE = 100


def rows_named(table: SourceTable, mapper: RowMapper, names: Collection[str]) -> Iterator[Rows]:
    """Yield the rows whose key hash is in ``names``, in key order, with their child rows.

    A row that the source cannot read comes as an ``UnreadableRow``.

    Raises:
        RetryableError, ConfigError: as for any reading of the source.
    """
    places = _places(table, mapper, names)
    for first in range(0, len(places), ROWS_AT_ONCE):
        wanted = table.rows().where(table.at_any(places[first : first + ROWS_AT_ONCE])).order_by(*table.key)
        yield rows_of(table, wanted).rows


def rows_of_content(table: SourceTable, mapper: RowMapper, names: Collection[str]) -> Iterator[Rows]:
    """Yield the rows whose content hash is in ``names``."""
    if not names:
        return
    for rows in all_pages(table, table.rows(), KEYS_AT_ONCE):
        yield [row for row in rows if not isinstance(row, UnreadableRow) and mapper.content_hash(row) in names]


def _places(table: SourceTable, mapper: RowMapper, names: Collection[str]) -> list[list[JsonValue]]:
    if not names:
        return []
    wanted = table.rows().with_only_columns(*map(table.selected, table.key)).order_by(*table.key)
    found: list[list[JsonValue]] = []
    with keys_are_readable(table), translated(table.what), table.engine.connect() as connection:
        for page in streamed(connection, wanted, KEYS_AT_ONCE):
            for key in page:
                if mapper.row_hash(key) in names:
                    place = table.place(key)
                    if None not in place and (not found or found[-1] != place):
                        found.append(place)
    return found
