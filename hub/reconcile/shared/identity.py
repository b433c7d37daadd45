"""Conditions and columns that the merge's statements share."""

from sqlalchemy import ColumnElement, FromClause, Select, Text, and_, cast, func, literal, select

from hub.warehouse.tables.entities import AspectTables, WholeClaim


def same_identity(tables: AspectTables, left: FromClause, right: FromClause) -> ColumnElement[bool]:
    """Return whether two rows are about the same key and parts."""
    return and_(*(left.c[name] == right.c[name] for name in tables.identity))


def part_text(tables: AspectTables, table: FromClause | WholeClaim) -> ColumnElement[str]:
    """Return the aspect's parts as one text, empty if it has none; conflicts and reviews use this text."""
    if not tables.aspect.part:
        return literal("", Text)
    return func.concat_ws("|", *(cast(table.c[name], Text) for name in tables.aspect.part))


def contested_keys(tables: AspectTables) -> Select[tuple[object, ...]]:
    """Select the identities of this batch's claims whose records must be decided."""
    merged = tables.merged
    return select(*(merged.c[column] for column in tables.identity)).where(merged.c.contested).distinct()
