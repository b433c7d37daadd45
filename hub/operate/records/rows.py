"""Rows about a thing in tables of single entities: open flags, today's units, recodes, a dossier's deadline."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Table, and_, or_, select

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import MASK
from hub.codec.fields import DataClass
from hub.model.declaration import Aspect, Derived, Entity, UnitField
from hub.operate.records.dossier_now import dossier_rows, masked_dossier_row
from hub.share.columns.aspects import resolved_unit
from hub.warehouse.tables.core import source
from hub.warehouse.tables.entities import AspectTables, aspect_tables
from hub.warehouse.tables.people import flag
from hub.warehouse.tables.units import recode

Row = Mapping[str, Any]


class _Rows(NamedTuple):
    """What reads the rows of what is derived from an entity's claims, and what masks one of them."""

    rows: Callable[[Connection, Collection[UUID], datetime], dict[str, tuple[Row, ...]]]
    mask: Callable[[Row], Row]


_DERIVED = {Derived.HANDLING: _Rows(dossier_rows, masked_dossier_row)}

FLAGS, UNITS, RECODES = "standing flags", "units today", "recodes"
_UNIT_COLUMNS = frozenset({"code", "code_now", "from_code", "to_code"})
"""Columns that hold a unit's code: as personal as the claim's field that contains it."""


def rows_of(connection: Connection, entity: Entity, keys: Collection[UUID]) -> dict[str, tuple[Row, ...]]:
    """Return the rows by title; titles without rows are left out."""
    found: dict[str, Iterable[Row]] = {
        FLAGS: _flags(connection, entity, keys),
        UNITS: _units(connection, entity, keys),
        RECODES: _recodes(connection, keys),
    }
    rows = {title: tuple(of) for title, of in found.items()}
    for derived in entity.derived:
        rows |= _DERIVED[derived].rows(connection, keys, datetime.now(UTC))
    return {title: of for title, of in rows.items() if of}


def masked_rows(entity: Entity, rows: Mapping[str, tuple[Row, ...]]) -> dict[str, tuple[Row, ...]]:
    """Return a copy with unit codes masked if their field is personal, and with reasons of extensions masked."""
    has_personal_units = any(_is_personal(aspect, unit.code) for aspect in entity.aspects for unit in aspect.units)
    hidden = _UNIT_COLUMNS if has_personal_units else frozenset()
    masks = [_DERIVED[derived].mask for derived in entity.derived]
    return {title: tuple(_masked(row, hidden, masks) for row in of) for title, of in rows.items()}


def _masked(row: Row, hidden: frozenset[str], masks: Iterable[Callable[[Row], Row]]) -> Row:
    shown: Row = {name: MASK if name in hidden and value is not None else value for name, value in row.items()}
    for mask in masks:
        shown = mask(shown)
    return shown


def _is_personal(aspect: Aspect, name: str) -> bool:
    fields = load_catalogue().latest(aspect.subject).data_fields
    return any(spec.name == name and spec.data_class not in {DataClass.PUBLIC, DataClass.INTERNAL} for spec in fields)


def _flags(connection: Connection, entity: Entity, keys: Collection[UUID]) -> Iterator[Row]:
    """Yield the flags on the thing, and those that a citizen's death raised on other things."""
    on_it = and_(flag.c.entity == entity.name, flag.c.key.in_(keys))
    order = (flag.c.closed_at.desc().nulls_first(), flag.c.flag, flag.c.key, flag.c.part)
    for row in connection.execute(select(flag).where(or_(on_it, flag.c.cause_key.in_(keys))).order_by(*order)):
        yield {
            "flag": row.flag,
            "of": " ".join(part for part in (row.aspect, row.part) if part),
            "key": row.key,
            "because_of": row.cause_key,
            "opened_at": row.opened_at,
            "closed_at": row.closed_at,
        }


def _recodes(connection: Connection, keys: Collection[UUID]) -> Iterator[Row]:
    for row in _with_source(connection, recode, keys):
        yield {name: value for name, value in row.items() if name != "source"}


def _with_source(connection: Connection, table: Table, keys: Collection[UUID]) -> Iterator[Row]:
    rows = connection.execute(
        select(table, source.c.code.label("said_by"))
        .outerjoin(source, source.c.id == table.c.source)
        .where(table.c.key.in_(keys))
        .order_by(*table.primary_key.columns)
    )
    for row in rows.mappings():
        yield dict(row)


def _units(connection: Connection, entity: Entity, keys: Collection[UUID]) -> Iterator[Row]:
    for aspect in entity.aspects:
        tables = aspect_tables(aspect.subject)
        for unit in aspect.units:
            yield from _units_named(connection, tables, unit, keys)


def _units_named(
    connection: Connection, tables: AspectTables, unit: UnitField, keys: Collection[UUID]
) -> Iterator[Row]:
    claim, record, field = tables.claim, tables.record, unit.code
    same = [claim.c[name] == record.c[name] for name in tables.identity]
    rows = connection.execute(
        select(*(claim.c[name] for name in tables.identity), claim.c[field], *resolved_unit(tables, unit))
        .join_from(record, claim, and_(*same, claim.c.source == record.c.source))
        .where(record.c.key.in_(keys), claim.c[field].is_not(None))
        .order_by(*(record.c[name] for name in tables.identity))
    )
    for row in rows.mappings():
        yield {
            "of": " ".join([tables.aspect.name, *(str(row[name]) for name in tables.aspect.part), field]),
            "key": row["key"],
            "code": row[field],
            "resolution": row[unit.resolution],
            "code_now": row[f"{field}_now"],
        }
