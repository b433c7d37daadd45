"""The unit that a claim names, as SQL: what its code means on a day, and what an officer chose for it."""

from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Text, and_, case, func, literal, or_, select

from hub.model.decisions import ReviewKind, Verdict
from hub.model.declaration import UnitField
from hub.model.envelope import UnitScheme
from hub.model.units.graph import Resolution
from hub.reconcile.shared.decisions import standing
from hub.reconcile.shared.identity import part_text
from hub.warehouse.tables.core import source
from hub.warehouse.tables.entities import AspectTables
from hub.warehouse.tables.units import day_of, is_effective, is_unit_of, unit_now

Day = ColumnElement[date] | date | None
"""The day that is asked for; None is after every known change."""


def is_said_unit(units: FromClause, claim: FromClause, unit: UnitField, on: Day) -> ColumnElement[bool]:
    """Return whether a row of ``unit_now`` is what a claim's code means on a day."""
    said = is_unit_of(units, claim.c.unit_scheme, claim.c[unit.code], day_of(claim.c.occurred_at))
    return and_(said, is_effective(units, on))


def chosen_code(tables: AspectTables, claim: Any, units: FromClause, unit: UnitField, on: Day) -> ColumnElement[str]:
    """Return the unit's code that an officer chose for a claim; null if none is chosen or the choice is out of date.

    A choice counts for the claim that the officer saw, as long as the chosen unit, or its successor, is one of the
    candidates in ``units``.
    """
    decided, later = standing("chosen"), unit_now.alias("later")
    of_claim = select(source.c.code).where(source.c.id == claim.c.source).scalar_subquery()
    now = (
        select(later.c.now_code)
        .where(
            is_unit_of(later, literal(UnitScheme.GSO_2025.value, Text), decided.c.chosen, day_of(decided.c.occurred_at))
        )
        .where(is_effective(later, on))
        .scalar_subquery()
    )
    chosen = func.coalesce(now, decided.c.chosen)
    is_candidate = units.c.candidates.contains(func.jsonb_build_array(func.jsonb_build_object("code", chosen)))
    return (
        select(chosen)
        .select_from(decided)
        .where(
            decided.c.aspect == tables.name,
            decided.c.subject_key == claim.c.key,
            decided.c.kind == ReviewKind.AMBIGUOUS_UNIT.value,
            decided.c.part == part_text(tables, claim),
            decided.c.field == unit.code,
            decided.c.source_code == of_claim,
            decided.c.decision == Verdict.TAKE.value,
            or_(decided.c.seen_other_hash.is_(None), decided.c.seen_other_hash == claim.c.content_hash),
            is_candidate,
        )
        .limit(1)
        .scalar_subquery()
    )


def resolution_of(tables: AspectTables, claim: Any, unit: UnitField, on: Day) -> tuple[Any, Any]:
    """Return today's code of the unit that a claim names, and the resolution; scalar subqueries over the claim.

    The code is null unless the resolution is EXACT or MANUAL. A code that no unit ever had is UNKNOWN.
    """
    units = unit_now.alias("unit")
    chosen = chosen_code(tables, claim, units, unit, on)
    is_ambiguous = units.c.resolution == Resolution.AMBIGUOUS.value
    now = case((is_ambiguous, chosen), else_=units.c.now_code)
    known = case((and_(is_ambiguous, chosen.is_not(None)), Resolution.MANUAL.value), else_=units.c.resolution)
    of_claim = is_said_unit(units, claim, unit, on)
    resolution = select(known).where(of_claim).scalar_subquery().correlate(claim)
    return (
        select(now).where(of_claim).scalar_subquery().correlate(claim),
        func.coalesce(resolution, Resolution.UNKNOWN.value),
    )
