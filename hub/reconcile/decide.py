"""Decide the records of contested keys, then which fields are in conflict.

Used by the merge for the keys that a batch made contested, and for keys whose decision changed without an event: a
policy was applied, or an officer decided.
"""

from typing import NamedTuple

from sqlalchemy import Connection, Insert, Select, and_, false, func, insert, literal, select, true

from hub.reconcile import conflicts, records
from hub.reconcile.rules.dossiers import steps as dossier_steps
from hub.reconcile.rules.people import steps as person_steps
from hub.reconcile.rules.units import steps as unit_steps
from hub.reconcile.shared.republish import AuditPlace, republish_keys
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
    connection: Connection, tables: AspectTables, identities: Select[tuple[object, ...]], place: AuditPlace
) -> int:
    """Decide records and conflicts of some identities again; note the keys as touched; return their number.

    Args:
        connection: in the transaction that also changes the decision's grounds; ``ensure_stages`` was called on it
            before.
        tables: the aspect.
        identities: selects the columns of ``tables.identity``, by those names, of keys that have a record.
        place: where share will find the keys.
    """
    connection.execute(tables.merged.delete())
    found = connection.execute(_contested(tables, identities), execution_options={"preserve_rowcount": True}).rowcount
    if found:
        decide(connection, tables)
        republish_keys(connection, place, tables.entity.name, select(tables.merged.c.key))
        dossier_steps.reckon_again(connection, tables, select(tables.merged.c.key))
        person_steps.follow(connection, tables, place)
        unit_steps.follow(connection, tables, place)
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
