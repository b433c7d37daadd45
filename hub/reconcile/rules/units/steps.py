"""What a batch changes about administrative units, and about everything that names one.

Units change rarely, and the meaning of a code can depend on any of them. So the derived tables are computed as a whole,
in Python, and only the differences are written. The differences decide which claims are examined: questions about them
open or close, and their records are published again.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, and_, select

from hub.model.declaration import UnitField
from hub.model.entities import ADMIN_UNIT, REVIEW
from hub.model.units.graph import UnitRef
from hub.reconcile.rules.units.graph_store import named_units, parameters_of, refresh_unit_tables
from hub.reconcile.rules.units.reviews import (
    AMBIGUOUS_UNIT,
    follow_decisions,
    follow_units,
    keys_of_decisions,
)
from hub.reconcile.shared.republish import AuditPlace, republish_keys
from hub.reconcile.shared.step import Merge
from hub.warehouse.locks import Lock, hold
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables


def step(connection: Connection, merge: Merge) -> None:
    """Update everything that depends on units, and on decisions about them, after what the batch wrote."""
    if not merge.written:
        return
    if merge.tables.entity is ADMIN_UNIT:
        refresh_units(connection, merge.place)
    elif merge.tables.entity is REVIEW and (merge.accepted.frame["kind"] == AMBIGUOUS_UNIT).any():
        follow_decisions(connection)
        for tables in _published():
            republish_keys(connection, merge.place, tables.entity.name, keys_of_decisions(tables))


def follow(connection: Connection, tables: AspectTables, place: AuditPlace) -> None:
    """Update it after records of an aspect were decided again."""
    if tables.entity is ADMIN_UNIT:
        refresh_units(connection, place)


def refresh_units(connection: Connection, place: AuditPlace) -> Sequence[UnitRef]:
    """Compute again what every code means; return the codes whose meaning changed.

    For callers that change records of units: a batch, a policy that is applied, an officer.
    """
    hold(connection, Lock.UNITS)
    changed = refresh_unit_tables(connection)
    if changed:
        follow_units(connection, changed)
        for tables in _published():
            for unit in tables.aspect.units:
                keys = keys_of_units(tables, unit).params(parameters_of(changed))
                republish_keys(connection, place, tables.entity.name, keys)
    return changed


def _published() -> list[AspectTables]:
    return [tables for tables in all_aspect_tables() if tables.aspect.units and tables.entity.record_topic]


@cache
def keys_of_units(tables: AspectTables, unit: UnitField) -> Select[Any]:
    """Select the keys of an aspect with a claim that names one of the given codes."""
    claim, named = tables.claim, named_units()
    names = and_(claim.c.unit_scheme == named.c.scheme, claim.c[unit.code] == named.c.code)
    return select(claim.c.key).join_from(named, claim, names)
