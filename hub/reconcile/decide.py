"""Decide the records of contested keys, then which fields are in conflict.

Used by the merge for the keys that a batch made contested, and for keys whose decision changed without an event: a
policy was applied, or an officer decided.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Insert, Select, and_, false, func, insert, literal, select, true

from hub.reconcile import conflicts, records
from hub.reconcile.shared.republish import AuditPlace, republish_keys
from hub.reconcile.shared.step import Rule
from hub.warehouse.tables.entities import AspectTables


class Decided(NamedTuple):
    """Number of claims in ``merged`` that do not hold their record, and number of claims whose record moved."""

    superseded: int = 0
    moved: int = 0


def decide(connection: Connection, tables: AspectTables, are_any_new: bool = True) -> Decided:
    """Decide again every key that is contested in ``tables.merged``.

    ``are_any_new``: whether some became contested in this transaction; then the claims of other sources are marked.
    """
    connection.execute(records.records_locked(tables))
    if are_any_new:
        connection.execute(records.rivals_marked(tables))
    decided = Decided(*connection.execute(records.records_decided(tables)).one())
    connection.execute(conflicts.conflicts_settled(tables))
    return decided


def redecide(
    connection: Connection,
    tables: AspectTables,
    identities: Select[tuple[object, ...]],
    place: AuditPlace,
    rules: Sequence[Rule],
) -> int:
    """Decide again as ``hub.reconcile.registry.redecide`` says; ``rules``: what follows from the records."""
    connection.execute(tables.merged.delete())
    found = connection.execute(_contested(tables, identities), execution_options={"preserve_rowcount": True}).rowcount
    if found:
        decide(connection, tables)
        republish_keys(connection, place, tables.entity.name, select(tables.merged.c.key))
        for rule in rules:
            if rule.after_redecision is not None:
                rule.after_redecision(connection, tables, place)
        connection.execute(tables.merged.delete())
    return found


def _contested(tables: AspectTables, identities: Select[tuple[object, ...]]) -> Insert:
    record, wanted = tables.record, identities.distinct().subquery()
    names = [*tables.identity, "source", "inserted", "contested", "moved"]
    rows = select(
        *(record.c[name] for name in tables.identity),
        func.coalesce(record.c.source, literal(0)),
        false(),
        true(),
        true(),
    ).join_from(record, wanted, and_(*(record.c[name] == wanted.c[name] for name in tables.identity)))
    return insert(tables.merged).from_select(names, rows)
