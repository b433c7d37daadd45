"""Two personal numbers that may be one person: they hold the same older number, of a CMND or of social insurance.

Names are never a reason, because a hundred million people share a few thousand names. Placeholder numbers link nobody.
The question is stored under the smaller key and names the other. It closes when one of them gives up the number, or
when both are known to be one person. A number with very many holders identifies nobody: one question covers all holders
instead of one per pair.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from hub.model.decisions import ReviewKind
from hub.model.entities import CITIZEN
from hub.model.pin import PLACEHOLDER
from hub.reconcile.rules.people.reviews import Asked, closed, opened
from hub.reconcile.shared.held_claims import given_keys, held, is_among
from hub.reconcile.shared.questions import question
from hub.warehouse.tables.aspect_columns import new_value, old_value
from hub.warehouse.tables.core import review, same_key
from hub.warehouse.tables.entities import AspectTables, aspect_tables

NUMBERS = ("cmnd9", "si_number_legacy")
"""Fields with an older number of a person; an aspect has at most one of them."""

MOST_HOLDERS = 6
"""If a number has more holders than this, one question covers all of them."""


def refresh_written(connection: Connection, tables: AspectTables) -> None:
    """Update the questions after the claims that a batch wrote.

    Nearly all numbers have one holder. Those are excluded first, so that a batch without doubts needs no further query.
    """
    numbers = set(connection.execute(numbers_in_doubt(tables)).scalars())
    keys = [*connection.execute(people_asked_about(tables)).scalars()]
    if keys:
        numbers |= set(connection.execute(numbers_of(tables), {"keys": keys}).scalars())
    if numbers or keys:
        _refresh(connection, tables, sorted(numbers), keys)


def refresh_given(connection: Connection, keys: Sequence[UUID]) -> None:
    """Update the questions about some citizens, all of whose other numbers may have changed."""
    for subject in ("citizen.changed", "health_insurance.linked"):
        tables = aspect_tables(subject)
        numbers = [*connection.execute(numbers_of(tables), {"keys": keys}).scalars()]
        _refresh(connection, tables, numbers, keys)


def _refresh(connection: Connection, tables: AspectTables, numbers: Sequence[str], keys: Sequence[UUID]) -> None:
    for statement in _statements(tables):
        connection.execute(statement, {"numbers": list(numbers), "keys": list(keys)})


@cache
def _statements(tables: AspectTables) -> tuple[Any, ...]:
    """Open and close the questions about the holders of ``:numbers``, and about ``:keys``, who may hold none now."""
    asked = Asked(ReviewKind.POSSIBLE_DUPLICATE_PERSON, tables.name, (_field_of(tables),))
    questions = _questions(tables)
    scope = given_keys().union(select(_holders(tables).subquery().c.key)).subquery()
    return opened(questions), closed(asked, select(scope.c[0]), questions, pairs=True)


def _field_of(tables: AspectTables) -> str:
    return next(name for name in NUMBERS if name in tables.claim.c)


@cache
def numbers_of(tables: AspectTables) -> Select[str]:
    """Select the numbers that claims of the citizens ``:keys`` name."""
    claim = tables.claim
    number = claim.c[_field_of(tables)]
    return select(number).where(claim.c.key.in_(given_keys()), number.is_not(None)).distinct()


@cache
def numbers_in_doubt(tables: AspectTables) -> Select[str]:
    """Select the numbers that the batch's people got and that another person has too, and those that they gave up.

    If a record moved to another source's claim, all its numbers count, whoever wrote.
    """
    merged, claim = tables.merged, tables.claim
    field = _field_of(tables)
    said, before = merged.c[new_value(field)], merged.c[old_value(field)]
    changed = said.is_distinct_from(before)
    moved = select(claim.c[field]).join_from(claim, merged, claim.c.key == merged.c.key).where(merged.c.moved)
    taken_up = select(said.label("number")).where(changed).union(moved).subquery()
    holder = claim.alias("holder")
    shared = (
        select(taken_up.c.number)
        .join_from(taken_up, holder, holder.c[field] == taken_up.c.number)
        .where(taken_up.c.number.is_not(None), holder.c[field].is_not(None))
        .group_by(taken_up.c.number)
        .having(func.min(cast(holder.c.key, Text)) != func.max(cast(holder.c.key, Text)))
    )
    given_up = select(before).where(changed, before.is_not(None))
    return shared.union(given_up)  # type: ignore[return-value]


@cache
def people_asked_about(tables: AspectTables) -> Select[UUID]:
    """Select the keys of open questions that involve people of the batch, on either side.

    Only a changed number or a moved record can change a question.
    """
    merged, field = tables.merged, _field_of(tables)
    is_changed = merged.c[new_value(field)].is_distinct_from(merged.c[old_value(field)])
    is_open = and_(
        review.c.kind == ReviewKind.POSSIBLE_DUPLICATE_PERSON.value,
        review.c.aspect == tables.name,
        review.c.closed_at.is_(None),
    )
    written = select(merged.c.key).where(or_(is_changed, merged.c.moved)).distinct()
    parts = select(cast(written.subquery().c.key, Text))
    by_key = select(review.c.key).where(is_open, is_among(review.c.key, written))
    by_part = select(review.c.key).where(is_open, review.c.part != "", is_among(review.c.part, parts))
    return by_key.union(by_part)  # type: ignore[return-value]


def _holders(tables: AspectTables) -> Select[Any]:
    """Who holds the numbers, by the records in force: (number, key, source, number of holders)."""
    person = held(tables, "holder")
    wanted = select(func.unnest(bindparam("numbers", type_=ARRAY(Text))).label("number")).subquery("wanted")
    number = person.c[_field_of(tables)]
    return (
        select(
            number.label("number"),
            person.c["key"].label("key"),
            person.c["source"].label("source"),
            func.count().over(partition_by=number).label("holders"),
        )
        .select_from(person.source.join(wanted, wanted.c.number == number))
        .where(~number.regexp_match(PLACEHOLDER))
    )


def _questions(tables: AspectTables) -> Select[Any]:
    holders = _holders(tables).cte("holders")
    return select(union_all(_pairs(tables, holders), _crowds(tables, holders)).subquery())


def _pairs(tables: AspectTables, holders: Any) -> Select[Any]:
    one, other = holders.alias("one"), holders.alias("other")
    detail = func.jsonb_build_object("other_key", cast(other.c.key, Text))
    same = and_(other.c.number == one.c.number, other.c.key > one.c.key)
    return (
        _question(tables, one, cast(other.c.key, Text), detail)
        .select_from(one.join(other, same))
        .where(one.c.holders <= MOST_HOLDERS, ~is_one_person(one.c.key, other.c.key))
    )


def _crowds(tables: AspectTables, holders: Any) -> Select[Any]:
    first = (
        select(holders.c.number, holders.c.key, holders.c.source, holders.c.holders)
        .ext(distinct_on(holders.c.number))
        .where(holders.c.holders > MOST_HOLDERS)
        .order_by(holders.c.number, holders.c.key)
        .subquery("crowd")
    )
    detail = func.jsonb_build_object("holders", first.c.holders)
    return _question(tables, first, "", detail)


def _question(tables: AspectTables, pair: Any, part: Any, detail: ColumnElement[Any]) -> Select[Any]:
    kind, about = ReviewKind.POSSIBLE_DUPLICATE_PERSON.value, (pair.c.key, pair.c.source)
    return question(kind, tables.name, about, detail, part, _field_of(tables))


def is_one_person(one: ColumnElement[UUID], other: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return whether two keys of citizens are known to be one person."""
    mine, theirs = same_key.alias("mine"), same_key.alias("theirs")
    return exists(
        select(literal(1))
        .where(mine.c.entity == CITIZEN.name, theirs.c.entity == CITIZEN.name)
        .where(mine.c.key == one, theirs.c.key == other, mine.c.canonical == theirs.c.canonical)
        .correlate_except(mine, theirs)
    )
