"""Reviews: questions that a rule must not answer alone, put before an officer.

AMBIGUOUS_UNIT: a claim names a unit that was split, so today's unit cannot be known from the code; the candidates are
kept with the review and none is applied (domain.md section 1.3). Reviews follow the claims: asked when the claim or
the unit arrives, whichever is later, and closed by themselves when the claim no longer needs them.
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
    update,
)
from sqlalchemy.dialects.postgresql import insert

from hub.model.entities import ADMIN_UNIT, UnitField
from hub.reconcile.identity import part_text
from hub.warehouse.entity_tables import AspectTables, all_aspect_tables, aspect_tables
from hub.warehouse.tables import review

AMBIGUOUS_UNIT = "AMBIGUOUS_UNIT"


def refresh(connection: Connection, tables: AspectTables, written: int) -> None:
    """Bring the reviews in line with what this batch wrote for one aspect."""
    if not written:
        return
    for unit in tables.aspect.units:
        connection.execute(opened_by_claims(tables, unit))
        connection.execute(closed_by_claims(tables, unit))
    if tables.entity is ADMIN_UNIT:
        for other in all_aspect_tables():
            for unit in other.aspect.units:
                connection.execute(opened_by_units(other, unit))


def _unit_claims() -> Table:
    return aspect_tables(ADMIN_UNIT.aspects[0].subject).claim


def _names_split_unit(claim: Table, unit: UnitField) -> ColumnElement[bool]:
    """The claim's code, in the claim's scheme, is that of a unit with several successors."""
    units = _unit_claims()
    return and_(
        units.c.scheme == claim.c.unit_scheme,
        units.c.unit_code == claim.c[unit.code],
        func.jsonb_array_length(units.c.successors) > 1,
    )


def _written_claims(tables: AspectTables) -> ColumnElement[bool]:
    stage, merged = tables.stage, tables.merged
    same = and_(*(stage.c[name] == merged.c[name] for name in (*tables.identity, "source")))
    return and_(stage.c.newest, ~stage.c.revoked, same)


def _questions(tables: AspectTables, claim: Table, unit: UnitField) -> Select[tuple[object, ...]]:
    units = _unit_claims()
    return select(
        literal(AMBIGUOUS_UNIT, Text),
        literal(tables.name, Text),
        claim.c.key,
        part_text(tables, claim),
        literal(unit.code, Text),
        claim.c.source,
        func.jsonb_build_object("scheme", units.c.scheme, "code", units.c.unit_code, "candidates", units.c.successors),
    ).distinct(claim.c.key, part_text(tables, claim), claim.c.source)


def _opening(rows: Select[tuple[object, ...]]) -> Insert:
    opening = insert(review).from_select(["kind", "aspect", "key", "part", "field", "source", "detail"], rows)
    return opening.on_conflict_do_update(
        index_elements=["kind", "aspect", "key", "part", "field", "source"],
        set_={"detail": opening.excluded.detail, "closed_at": null()},
        where=or_(review.c.closed_at.is_not(None), review.c.detail != opening.excluded.detail),
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
    """Close the questions about claims of this batch that no longer name a split unit, or were taken back."""
    stage, merged = tables.stage, tables.merged
    rows = (
        select(merged.c.key, part_text(tables, merged).label("part"), merged.c.source)
        .select_from(merged)
        .where(
            ~exists()
            .select_from(stage)
            .where(_written_claims(tables), _names_split_unit(stage, unit))
            .correlate(merged)
        )
        .subquery()
    )
    return (
        update(review)
        .values(closed_at=func.now())
        .where(review.c.kind == AMBIGUOUS_UNIT, review.c.aspect == tables.name, review.c.field == unit.code)
        .where(review.c.closed_at.is_(None))
        .where(review.c.key == rows.c.key, review.c.part == rows.c.part, review.c.source == rows.c.source)
    )


@cache
def opened_by_units(tables: AspectTables, unit: UnitField) -> Insert:
    """Ask about stored claims that name a unit whose claim this batch wrote as split."""
    claim, units = tables.claim, _unit_claims()
    written = aspect_tables(ADMIN_UNIT.aspects[0].subject).merged
    rows = (
        _questions(tables, claim, unit)
        .select_from(claim.join(units, _names_split_unit(claim, unit)))
        .where(~claim.c.revoked)
        .where(exists().where(written.c.key == units.c.key, written.c.valid_from == units.c.valid_from))
    )
    return _opening(rows)
