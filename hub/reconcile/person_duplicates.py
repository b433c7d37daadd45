"""Two personal numbers that may be one person: they hold the same older number, of a CMND or of social insurance.

Names are never a reason: a hundred million people share a few thousand. Numbers that nobody was given (placeholders)
tie nobody together. The question stands on the smaller key and names the other; it closes when one of them gives the
number up or both are known to be one person. A number that very many hold is nobody's: it is asked about once, as a
whole, instead of pair by pair.
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
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on

from hub.model.decisions import ReviewKind
from hub.model.entities import CITIZEN
from hub.model.pin import PLACEHOLDER
from hub.reconcile.held import given_keys, held, merged_keys
from hub.reconcile.person_reviews import Asked, closed, opened
from hub.warehouse.entity_tables import AspectTables, aspect_tables, old_value
from hub.warehouse.tables import same_key

NUMBERS = ("cmnd9", "si_number_legacy")
"""Fields with an older number of a person; at most one of them in an aspect."""

MOST_HOLDERS = 6
"""More holders of one number than these are asked about as a whole."""


def refresh_written(connection: Connection, tables: AspectTables) -> None:
    """Bring the questions in line with the claims that a batch wrote."""
    for statement in _statements_of_written(tables):
        connection.execute(statement)


def refresh_given(connection: Connection, keys: Sequence[UUID]) -> None:
    """Bring the questions about some citizens in line, all of whose other numbers may have changed."""
    for subject in ("citizen.changed", "health_insurance.linked"):
        for statement in _statements_of_given(aspect_tables(subject)):
            connection.execute(statement, {"keys": list(keys)})


@cache
def _statements_of_written(tables: AspectTables) -> tuple[Any, ...]:
    return _statements(tables, _numbers_of_written(tables), merged_keys(tables))


@cache
def _statements_of_given(tables: AspectTables) -> tuple[Any, ...]:
    claim = tables.claim.alias("given")
    number = claim.c[_field_of(tables)]
    numbers = select(number.label("number")).where(claim.c.key.in_(given_keys()), number.is_not(None)).distinct()
    return _statements(tables, numbers, given_keys())


def _statements(tables: AspectTables, numbers: Select[str], keys: Select[UUID]) -> tuple[Any, ...]:
    """Open and close what is asked about the holders of some numbers, and about some keys that may hold none now."""
    asked = Asked(ReviewKind.POSSIBLE_DUPLICATE_PERSON, tables.name, (_field_of(tables),))
    questions = _questions(tables, numbers)
    scope = keys.union(select(_holders(tables, numbers).subquery().c.key)).subquery()
    return opened(questions), closed(asked, select(scope.c[0]), questions, pairs=True)


def _field_of(tables: AspectTables) -> str:
    return next(name for name in NUMBERS if name in tables.claim.c)


@cache
def _numbers_of_written(tables: AspectTables) -> Select[str]:
    """The numbers that the batch's keys hold or held, as far as they may have changed."""
    claim, merged = tables.claim.alias("written"), tables.merged
    field = _field_of(tables)
    before = merged.c[old_value(field)]
    # Of a contested key another source's claim may hold the record now, whoever wrote.
    changed = or_(merged.c.contested, claim.c[field].is_distinct_from(before), claim.c.revoked)
    now = select(claim.c[field].label("number")).where(claim.c.key == merged.c.key, changed)
    same_claim = and_(claim.c.key == merged.c.key, claim.c.source == merged.c.source)
    was = select(before.label("number")).where(same_claim, changed)
    both = union(now, was).subquery()
    return select(both.c.number).where(both.c.number.is_not(None))


def _holders(tables: AspectTables, numbers: Select[str]) -> Select[Any]:
    """Who holds the numbers by the records that stand: (number, key, source, size of the crowd)."""
    person, wanted = held(tables, "holder"), numbers.subquery("wanted")
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


def _questions(tables: AspectTables, numbers: Select[str]) -> Select[Any]:
    holders = _holders(tables, numbers).cte("holders")
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
    return _question(tables, first, literal("", Text), detail)


def _question(tables: AspectTables, of: Any, part: ColumnElement[str], detail: ColumnElement[Any]) -> Select[Any]:
    return select(
        literal(ReviewKind.POSSIBLE_DUPLICATE_PERSON.value, Text).label("kind"),
        literal(tables.name, Text).label("aspect"),
        of.c.key.label("key"),
        part.label("part"),
        literal(_field_of(tables), Text).label("field"),
        of.c.source.label("source"),
        detail.label("detail"),
    )


def is_one_person(one: ColumnElement[UUID], other: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return whether two keys of citizens are known to be one person."""
    mine, theirs = same_key.alias("mine"), same_key.alias("theirs")
    return exists(
        select(literal(1))
        .where(mine.c.entity == CITIZEN.name, theirs.c.entity == CITIZEN.name)
        .where(mine.c.key == one, theirs.c.key == other, mine.c.canonical == theirs.c.canonical)
        .correlate_except(mine, theirs)
    )
