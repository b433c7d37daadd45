"""Reviews: questions that a rule must not answer alone, put before an officer.

AMBIGUOUS_UNIT: a claim names a unit that was split, so today's unit cannot be known from the code; the candidates are
kept with the review and none is applied (domain.md section 1.3). Reviews follow the claims: asked when the claim or
the unit arrives, whichever is later, and closed by themselves when neither the claim nor the unit needs them any more.
"""

from functools import cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    Text,
    Update,
    and_,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert

from hub.model.entities import ADMIN_UNIT, UnitField
from hub.reconcile.identity import part_text, same_identity
from hub.reconcile.step import Merge
from hub.warehouse.entity_tables import AspectTables, all_aspect_tables, aspect_tables
from hub.warehouse.tables import review

AMBIGUOUS_UNIT = "AMBIGUOUS_UNIT"
_LOCK = 0x4855_4223
"""Advisory lock between claims that name units and the units: shared by the former, exclusive for the latter."""


def step(connection: Connection, merge: Merge) -> None:
    """Bring the reviews in line with what this batch wrote for one aspect.

    A claim and the unit it names, written at once by two workers, would not see each other: the second waits for the
    first here.
    """
    tables = merge.tables
    if not merge.written:
        return
    if tables.aspect.units:
        connection.execute(select(func.pg_advisory_xact_lock_shared(_LOCK)))
        for unit in tables.aspect.units:
            connection.execute(opened_by_claims(tables, unit))
            connection.execute(closed_by_claims(tables, unit))
    if tables.entity is ADMIN_UNIT:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        for other in all_aspect_tables():
            for unit in other.aspect.units:
                connection.execute(opened_by_units(other, unit))
                connection.execute(closed_by_units(other, unit))


def _unit_claims() -> Table:
    return aspect_tables(ADMIN_UNIT.aspects[0].subject).claim


def _is_split_unit(scheme: ColumnElement[str], code: ColumnElement[str]) -> ColumnElement[bool]:
    """The unit claim is the last word about the unit of that code, and names several successors."""
    units = _unit_claims()
    later = units.alias("later")
    return and_(
        units.c.scheme == scheme,
        units.c.unit_code == code,
        ~units.c.revoked,
        func.jsonb_array_length(units.c.successors) > 1,
        ~exists().where(later.c.key == units.c.key, later.c.valid_from > units.c.valid_from, ~later.c.revoked),
    )


def _names_split_unit(claim: Table, unit: UnitField) -> ColumnElement[bool]:
    return _is_split_unit(claim.c.unit_scheme, claim.c[unit.code])


def _written_claims(tables: AspectTables) -> ColumnElement[bool]:
    stage, merged = tables.stage, tables.merged
    same = and_(*(stage.c[name] == merged.c[name] for name in (*tables.identity, "source")))
    return and_(stage.c.newest, ~stage.c.revoked, same)


def _questions(tables: AspectTables, claim: Table, unit: UnitField) -> Select[tuple[object, ...]]:
    units = _unit_claims()
    one = (claim.c.key, part_text(tables, claim), claim.c.source)
    return (
        select(
            literal(AMBIGUOUS_UNIT, Text),
            literal(tables.name, Text),
            claim.c.key,
            part_text(tables, claim),
            literal(unit.code, Text),
            claim.c.source,
            func.jsonb_build_object(
                "scheme", units.c.scheme, "code", units.c.unit_code, "candidates", units.c.successors
            ),
        )
        .ext(distinct_on(*one))
        .order_by(*one, units.c.source)
    )


def _opening(rows: Select[tuple[object, ...]]) -> Insert:
    opening = insert(review).from_select(["kind", "aspect", "key", "part", "field", "source", "detail"], rows)
    return opening.on_conflict_do_update(
        index_elements=["kind", "aspect", "key", "part", "field", "source"],
        set_={"detail": opening.excluded.detail, "closed_at": null()},
        where=or_(review.c.closed_at.is_not(None), review.c.detail != opening.excluded.detail),
    )


def _closing(tables: AspectTables, unit: UnitField) -> Update:
    return (
        update(review)
        .values(closed_at=func.now())
        .where(review.c.kind == AMBIGUOUS_UNIT, review.c.aspect == tables.name, review.c.field == unit.code)
        .where(review.c.closed_at.is_(None))
    )


@cache
def opened_by_claims(tables: AspectTables, unit: UnitField) -> Insert:
    """Ask about the claims of this batch that name a split unit."""
    stage = tables.stage
    rows = (
        _questions(tables, stage, unit)
        .select_from(stage.join(tables.merged, _written_claims(tables)))
        .where(_names_split_unit(stage, unit))
    )
    return _opening(rows)


@cache
def closed_by_claims(tables: AspectTables, unit: UnitField) -> Update:
    """Close the questions about claims of this batch that no longer name a split unit, or were taken back.

    The claims are looked up by their primary key, only for rows that have an open question.
    """
    claim, merged = tables.claim, tables.merged
    still_asks = exists().where(
        same_identity(tables, claim, merged),
        claim.c.source == merged.c.source,
        ~claim.c.revoked,
        _names_split_unit(claim, unit),
    )
    return (
        _closing(tables, unit)
        .where(review.c.key == merged.c.key, review.c.part == part_text(tables, merged))
        .where(review.c.source == merged.c.source, ~still_asks)
    )


@cache
def opened_by_units(tables: AspectTables, unit: UnitField) -> Insert:
    """Ask about stored claims that name a unit of which this batch wrote something, if it is split."""
    claim, units = tables.claim, _unit_claims()
    written = aspect_tables(ADMIN_UNIT.aspects[0].subject).merged
    rows = (
        _questions(tables, claim, unit)
        .select_from(claim.join(units, _names_split_unit(claim, unit)))
        .where(~claim.c.revoked)
        .where(exists().where(written.c.key == units.c.key))
    )
    return _opening(rows)


@cache
def closed_by_units(tables: AspectTables, unit: UnitField) -> Update:
    """Close the questions about a unit of which this batch wrote something, if it is no longer split."""
    units = _unit_claims()
    written = aspect_tables(ADMIN_UNIT.aspects[0].subject).merged
    scheme, code = review.c.detail["scheme"].astext, review.c.detail["code"].astext
    changed = (
        select(units.c.scheme, units.c.unit_code).join_from(units, written, written.c.key == units.c.key).subquery()
    )
    return _closing(tables, unit).where(
        tuple_(scheme, code).in_(select(changed.c.scheme, changed.c.unit_code)),
        ~exists().select_from(units).where(_is_split_unit(scheme, code)).correlate(review),
    )
