"""Reviews: questions that a rule must not answer alone and that go to an officer.

AMBIGUOUS_UNIT: a claim names a unit that was split, so its code does not determine today's unit. The candidates are
stored with the review and none is applied (domain.md section 1.3). Reviews follow claims, units and decisions. A review
opens when the last part of its cause arrives; it closes by itself when a part of the cause no longer exists, or when an
officer has chosen. A split that is known and not yet in effect opens a review too.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Select,
    Update,
    and_,
    exists,
    func,
    select,
    update,
)

from hub.model.decisions import ReviewKind
from hub.model.declaration import UnitField
from hub.model.entities import REVIEW
from hub.model.units.graph import Resolution, UnitRef
from hub.reconcile.rules.units.claimed_unit import chosen_code, is_said_unit
from hub.reconcile.rules.units.graph_store import named_units, parameters_of
from hub.reconcile.shared.identity import part_text
from hub.reconcile.shared.questions import question, reviews_of
from hub.reconcile.shared.step import Merge
from hub.warehouse.locks import Lock, hold
from hub.warehouse.tables.core import review
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables, aspect_tables
from hub.warehouse.tables.units import unit_now

AMBIGUOUS_UNIT = ReviewKind.AMBIGUOUS_UNIT.value


def step(connection: Connection, merge: Merge) -> None:
    """Update the questions about units after the claims that a batch wrote.

    If two workers write a claim and the unit it names at the same time, they do not see each other's rows. The lock
    makes the second wait for the first.
    """
    if not merge.written or not merge.tables.aspect.units:
        return
    hold(connection, Lock.UNITS, shared=True)
    for unit in merge.tables.aspect.units:
        connection.execute(opened_by_claims(merge.tables, unit))
        connection.execute(closed_by_claims(merge.tables, unit))


def follow_units(connection: Connection, changed: Sequence[UnitRef]) -> None:
    """Update the questions about some codes after their meaning changed."""
    for tables in all_aspect_tables():
        for unit in tables.aspect.units:
            connection.execute(opened_by_units(tables, unit), parameters_of(changed))
            connection.execute(closed_by_units(tables, unit), parameters_of(changed))


def follow_decisions(connection: Connection) -> None:
    """Update the questions after the decisions that a batch wrote.

    A decision and its claim, written at the same time, do not see each other either.
    """
    hold(connection, Lock.UNITS)
    for tables in all_aspect_tables():
        for unit in tables.aspect.units:
            connection.execute(opened_by_decisions(tables, unit))
            connection.execute(closed_by_decisions(tables, unit))


def _asks(tables: AspectTables, claim: Any, units: FromClause, unit: UnitField) -> ColumnElement[bool]:
    """Return whether the claim names a unit that is split after every known change, and nobody has chosen a part."""
    return and_(
        is_said_unit(units, claim, unit, None),
        units.c.resolution == Resolution.AMBIGUOUS.value,
        chosen_code(tables, claim, units, unit, None).is_(None),
    )


def _opening(
    tables: AspectTables, claim: Any, unit: UnitField, among: FromClause, which: ColumnElement[bool]
) -> Insert:
    """Open questions for the claims in ``among`` that satisfy ``which`` and name a split unit."""
    units = unit_now.alias("unit")
    detail = func.jsonb_build_object("scheme", units.c.scheme, "code", units.c.code, "candidates", units.c.candidates)
    rows = (
        question(
            AMBIGUOUS_UNIT, tables.name, (claim.c.key, claim.c.source), detail, part_text(tables, claim), unit.code
        )
        .select_from(among.join(units, _asks(tables, claim, units, unit)))
        .where(~claim.c.revoked, which)
    )
    return reviews_of(rows)


def _closing(tables: AspectTables, unit: UnitField) -> Update:
    """Close open questions whose claim no longer has the doubt; the claim is found by its primary key."""
    claim, units = tables.claim, unit_now.alias("unit")
    asks = exists().where(_asks(tables, claim, units, unit)).correlate(claim)
    # With the negated conjunction PostgreSQL looks up each question's claim; NOT EXISTS alone would join all claims.
    still_asks = and_(~claim.c.revoked, asks)
    return (
        update(review)
        .values(closed_at=func.now())
        .where(review.c.kind == AMBIGUOUS_UNIT, review.c.aspect == tables.name, review.c.field == unit.code)
        .where(review.c.closed_at.is_(None))
        .where(
            claim.c.key == review.c.key, part_text(tables, claim) == review.c.part, claim.c.source == review.c.source
        )
        .where(~still_asks)
    )


@cache
def opened_by_claims(tables: AspectTables, unit: UnitField) -> Insert:
    """Open questions about the claims of this batch that name a split unit."""
    stage, merged = tables.stage, tables.merged
    same = and_(*(stage.c[name] == merged.c[name] for name in (*tables.identity, "source")))
    return _opening(tables, stage, unit, stage.join(merged, same), stage.c.newest)


@cache
def closed_by_claims(tables: AspectTables, unit: UnitField) -> Update:
    """Close the questions about claims of this batch that no longer name a split unit, or were withdrawn."""
    merged = tables.merged
    return _closing(tables, unit).where(
        review.c.key == merged.c.key,
        review.c.part == part_text(tables, merged),
        review.c.source == merged.c.source,
    )


@cache
def opened_by_units(tables: AspectTables, unit: UnitField) -> Insert:
    """Open questions about stored claims that name one of the given codes, if that unit is split now."""
    claim, named = tables.claim, named_units()
    names = and_(claim.c.unit_scheme == named.c.scheme, claim.c[unit.code] == named.c.code)
    return _opening(tables, claim, unit, named.join(claim, names), claim.c[unit.code].is_not(None))


@cache
def closed_by_units(tables: AspectTables, unit: UnitField) -> Update:
    """Close the questions about the given codes that are no longer ambiguous."""
    named = named_units()
    return _closing(tables, unit).where(
        review.c.detail["scheme"].astext == named.c.scheme, review.c.detail["code"].astext == named.c.code
    )


def _keys_decided(tables: AspectTables) -> Select[Any]:
    decisions = aspect_tables(REVIEW.aspects[0].subject)
    return (
        select(decisions.claim.c.subject_key)
        .join_from(decisions.claim, decisions.merged, decisions.claim.c.key == decisions.merged.c.key)
        .where(decisions.claim.c.kind == AMBIGUOUS_UNIT, decisions.claim.c.aspect == tables.name)
    )


@cache
def opened_by_decisions(tables: AspectTables, unit: UnitField) -> Insert:
    """Open questions again that this batch's decisions leave open, for example after a withdrawn choice."""
    claim = tables.claim
    return _opening(tables, claim, unit, claim, claim.c.key.in_(_keys_decided(tables)))


@cache
def closed_by_decisions(tables: AspectTables, unit: UnitField) -> Update:
    """Close the questions that this batch's decisions answer."""
    return _closing(tables, unit).where(review.c.key.in_(_keys_decided(tables)))


@cache
def keys_of_decisions(tables: AspectTables) -> Select[Any]:
    """Select the keys of an aspect whose unit this batch's decisions concern: their published record may change."""
    return _keys_decided(tables)
