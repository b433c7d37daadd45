"""Compare the state of two warehouses, row by row, whatever the order in which the rows came.

A table's state is its number of rows and a digest that does not depend on their order. Some columns are left out,
because another run over the same events may differ in them: times of the hub's own clock, batches, numbers that the
database assigned (a source is represented by its code), the merge's own flag, and fields in which a repeated event may
differ (hub.codec.content_hash). Connections must come from ``open_database``: its session settings decide how a row
reads as text.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, Table, Text, cast, func, select

from hub.warehouse.tables.core import conflict, identity_link, review, same_key, source
from hub.warehouse.tables.dossiers import dossier_deadline
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables
from hub.warehouse.tables.people import deceased, flag
from hub.warehouse.tables.units import agency_now, unit_now

_NOT_STATE = frozenset({"contested", "event_id", "recorded_at", "source_agency"})
_HALF_BYTES = 8
"""Half of a row's digest; the sums of the first two halves, as numbers, form the table's digest."""


@dataclass(frozen=True, slots=True)
class TableState:
    """Number of rows of one table, and their digest (SHA-256, hex)."""

    rows: int
    digest: str


def warehouse_state(connection: Connection) -> dict[str, TableState]:
    """Return the state of claims, records, history, links, open conflicts and open reviews, by table name.

    Reads every row once, in the database; only counts and sums leave the database.
    """
    states = {}
    for name, rows in _tables().items():
        digested = rows.subquery()
        halves = (
            func.sum(cast(func.substr(digested.c.digest, first, _HALF_BYTES), BigInteger))
            for first in (1, 1 + _HALF_BYTES)
        )
        count, *sums = connection.execute(select(func.count(), *halves).select_from(digested)).one()
        states[name] = TableState(count, hashlib.sha256(f"{count} {sums}".encode()).hexdigest())
    return states


def differences(one: Connection, other: Connection, most: int = 20) -> list[str]:
    """Name rows that only one of two warehouses has, at most ``most`` per table; empty if the states are equal.

    Reads the tables that differ into memory. The names hold keys, codes and field names, no values (I8).
    """
    states = warehouse_state(one), warehouse_state(other)
    found = []
    for name, rows in _tables().items():
        if states[0][name] == states[1][name]:
            continue
        here, there = (set(map(tuple, connection.execute(rows))) for connection in (one, other))
        changed = sorted({_words(row) for row in here ^ there})
        found.append(f"{name}: {states[0][name].rows} rows and {states[1][name].rows} rows, {len(changed)} differ")
        found += [f"  {words}" for words in changed[:most]]
    return found


def _words(row: tuple[Any, ...]) -> str:
    return " ".join(str(part) for part in row[:-1])


def _tables() -> dict[str, Select[tuple[Any, ...]]]:
    """Return one statement per table; it selects the identifying columns, then ``digest`` of all that is compared."""
    tables = {}
    for aspect in all_aspect_tables():
        tables[aspect.claim.name] = _claims(aspect)
        tables[aspect.record.name] = _records(aspect)
        for beside in (aspect.sensitive, aspect.history):
            if beside is not None:
                tables[beside.name] = _beside(aspect, beside)
    tables[identity_link.name] = _links()
    tables[same_key.name] = _digested([same_key.c.entity, same_key.c.key], [same_key.c.canonical])
    died = [column for column in deceased.columns if column.name not in {"key", "source"}]
    tables[deceased.name] = _digested([deceased.c.key], [*died, _code(deceased.c.source, "source")])
    tables[flag.name] = _digested([flag.c.id], []).where(flag.c.closed_at.is_(None))
    for derived in (unit_now, agency_now):
        named = [column.name for column in derived.primary_key.columns]
        content = [column for column in derived.columns if column.name not in named]
        tables[derived.name] = _digested([derived.c[name] for name in named], content)
    tables[conflict.name] = _conflicts()
    tables[review.name] = _reviews()
    tables[dossier_deadline.name] = _deadlines()
    return tables


def _claims(aspect: AspectTables) -> Select[tuple[Any, ...]]:
    claim = aspect.claim
    names = [*aspect.identity, "source"]
    content = [column for column in claim.columns if column.name not in {*names, *_NOT_STATE}]
    identity = [*(claim.c[name] for name in aspect.identity), _code(claim.c.source, "source")]
    return _digested(identity, content)


def _records(aspect: AspectTables) -> Select[tuple[Any, ...]]:
    record = aspect.record
    return _digested([*(record.c[name] for name in aspect.identity)], [_code(record.c.source, "source")])


def _beside(aspect: AspectTables, table: Table) -> Select[tuple[Any, ...]]:
    names = [name for name in (*aspect.identity, "source_epoch", "source_version") if name in table.c]
    content = [column for column in table.columns if column.name not in {*names, "source", *_NOT_STATE}]
    return _digested([*(table.c[name] for name in names), _code(table.c.source, "source")], content)


def _links() -> Select[tuple[Any, ...]]:
    names = ("entity", "aspect", "key", "other", "kind")
    return _digested([identity_link.c[name] for name in names], [_code(identity_link.c.source, "source")])


def _deadlines() -> Select[tuple[Any, ...]]:
    content = [column for column in dossier_deadline.columns if column.name not in {"key", "source"}]
    return _digested([dossier_deadline.c.key, _code(dossier_deadline.c.source, "source")], content)


def _conflicts() -> Select[tuple[Any, ...]]:
    identity = [
        conflict.c.aspect,
        conflict.c.key,
        conflict.c.part,
        conflict.c.field,
        _code(conflict.c.source, "source"),
    ]
    return _digested(identity, [_code(conflict.c.held_by, "held_by")]).where(conflict.c.closed_at.is_(None))


def _reviews() -> Select[tuple[Any, ...]]:
    named = [review.c[name] for name in ("kind", "aspect", "key", "part", "field")]
    return _digested([*named, _code(review.c.source, "source")], [review.c.detail]).where(review.c.closed_at.is_(None))


def _code(number: ColumnElement[int], name: str) -> ColumnElement[str]:
    """Return the code of the source that has this number in this database."""
    return select(source.c.code).where(source.c.id == number).scalar_subquery().label(name)


def _digested(identity: list[Any], content: list[Any]) -> Select[tuple[Any, ...]]:
    row = cast(func.row(*identity, *content), Text)
    return select(*identity, func.sha256(func.convert_to(row, "UTF8")).label("digest"))
