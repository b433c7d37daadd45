"""Move fields that became SENSITIVE out of an existing claim table, into the claims' companion.

This is the only case in which a migration removes columns. If they stayed, the most sensitive values would remain
readable for everybody who may read claims.
"""

from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, column, inspect, or_, select, text, true, update
from sqlalchemy.dialects.postgresql import insert

from hub.warehouse.tables.entities import AspectTables


def move_sensitive(connection: Connection, tables: AspectTables) -> list[str]:
    """Move the companion's fields that a claim table still holds; return what was moved, as text."""
    if tables.sensitive is None:
        return []
    claim, companion = tables.claim, tables.sensitive
    key = [*tables.identity, "source"]
    there = {found["name"] for found in inspect(connection).get_columns(claim.name)}
    moving = [field for field in companion.columns if field.name in there and field.name not in key]
    if not moving:
        return []
    said = or_(*(column(field.name).is_not(None) for field in moving))
    names = [*key, *(field.name for field in moving)]
    columns: list[ColumnElement[Any]] = [column(name) for name in names]
    rows = select(*columns).select_from(claim).where(said)
    connection.execute(insert(companion).from_select(names, rows).on_conflict_do_nothing())
    connection.execute(update(claim).values(sensitive=true()).where(said))
    return [_dropped(connection, claim, field) for field in moving]


def _dropped(connection: Connection, claim: Table, field: Column[object]) -> str:
    connection.execute(text(f'ALTER TABLE "{claim.name}" DROP COLUMN "{field.name}"'))
    return f"column {claim.name}.{field.name} moved to the sensitive companion"
