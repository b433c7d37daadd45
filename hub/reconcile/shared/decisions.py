"""Officers' decisions, as the merge's statements use them.

A decision is in force until a later one about the same review. Its effect depends only on the decision and on the
claims in force, never on which came first (I4):

- TAKE in a conflict: that source's claim comes before rank, as long as its content is the one the officer saw. If the
  claim that lost still says the same, there is no conflict between the two.
- KEEP in a conflict: that field is not in conflict, as long as the other claim's content is the one the officer saw.
- KEEP or TAKE in a review: it is closed, as long as its claim is the one the officer saw. KEEP decides nothing where
  a record waits for an officer alone: the review stays open until the record is admitted or discarded.
- WAIT changes nothing; the review stays open and shows the reason.
"""

from functools import cache
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
)

from hub.model.decisions import NOTHING_TO_KEEP, SUBJECT, ReviewKind, Verdict
from hub.model.entities import REVIEW
from hub.reconcile.shared.identity import part_text
from hub.warehouse.locks import Lock, held
from hub.warehouse.tables.core import review, source
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables, aspect_tables

_ABOUT_THEIR_DETAIL = tuple(
    kind.value for kind in (ReviewKind.BACKWARD_STATUS, ReviewKind.VERSION_REUSED, ReviewKind.TIME_IN_FUTURE)
)
"""Kinds of questions about more than one claim's content: a decision is in force while the question's detail is
unchanged.
"""

_DECISION = (
    "review_key",
    "kind",
    "aspect",
    "subject_key",
    "part",
    "field",
    "source_code",
    "decision",
    "chosen",
    "other_key",
    "seen_held_hash",
    "seen_other_hash",
    "officer",
    "reason",
    "source_version",
    "occurred_at",
)


class _Values(Protocol):
    """Columns of a claim, by name."""

    def __getitem__(self, key: str, /) -> Any: ...


def decisions_settled() -> ColumnElement[str]:
    """Wait for decisions that are being merged, so that later statements see them: a column for any select."""
    return select(cast(held(Lock.DECISIONS, shared=True), Text)).scalar_subquery()


@cache
def standing(name: str = "decided") -> Subquery:
    """The decisions in force, one per review: the decision's data, its version and when it was made."""
    tables = aspect_tables(SUBJECT)
    claim, record = tables.claim, tables.record
    held = and_(record.c.key == claim.c.key, record.c.source == claim.c.source)
    columns = [claim.c[column] for column in _DECISION]
    return select(*columns).join_from(claim, record, held).where(~claim.c.revoked).subquery(name)


def taken_at(tables: AspectTables, claim: Any, code: ColumnElement[str]) -> ColumnElement[int]:
    """Version of the latest decision to take a claim; null if there is none. The content must be the one seen."""
    if tables.entity is REVIEW:
        return cast(null(), BigInteger)
    decided = standing()
    latest = (
        select(func.max(decided.c.source_version))
        .where(_about(decided, tables, claim.c.key, part_text(tables, claim)))
        .where(decided.c.kind == ReviewKind.CONFLICT.value, decided.c.decision == Verdict.TAKE.value)
        .where(decided.c.source_code == code, decided.c.seen_other_hash == claim.c.content_hash)
        .correlate_except(decided)
        .scalar_subquery()
    )
    return case((_are_any(tables), latest))


def is_kept(
    tables: AspectTables, part: ColumnElement[str], field: ColumnElement[str], rival: _Values, code: ColumnElement[str]
) -> ColumnElement[bool]:
    """Return whether an officer kept the record's value of a field against the value of the rival (source ``code``)."""
    if tables.entity is REVIEW:
        return false()
    decided = standing()
    kept = (
        exists()
        .where(_about(decided, tables, rival["key"], part))
        .where(decided.c.kind == ReviewKind.CONFLICT.value, decided.c.decision == Verdict.KEEP.value)
        .where(decided.c.source_code == code, decided.c.field == field)
        .where(decided.c.seen_other_hash == rival["content_hash"])
        .correlate_except(decided)
    )
    return case((_are_any(tables), kept), else_=false())


def is_passed_over(
    tables: AspectTables, part: ColumnElement[str], held: _Values, rival: _Values
) -> ColumnElement[bool]:
    """Return whether an officer took the claim that holds the record, having seen the rival's present content."""
    if tables.entity is REVIEW:
        return false()
    decided = standing()
    code = select(source.c.code).where(source.c.id == held["source"]).correlate_except(source).scalar_subquery()
    passed_over = (
        exists()
        .where(_about(decided, tables, rival["key"], part))
        .where(decided.c.kind == ReviewKind.CONFLICT.value, decided.c.decision == Verdict.TAKE.value)
        .where(decided.c.source_code == code, decided.c.seen_other_hash == held["content_hash"])
        .where(decided.c.seen_held_hash == rival["content_hash"])
        .correlate_except(decided)
    )
    return case((_are_any(tables), passed_over), else_=false())


def is_decided() -> ColumnElement[bool]:
    """Return whether a decision of KEEP or TAKE about the present claim settles a row of ``review``."""
    decided = standing()
    code = select(source.c.code).where(source.c.id == review.c.source).correlate(review).scalar_subquery()
    seen = decided.c.seen_other_hash
    keeps_nothing = and_(decided.c.decision == Verdict.KEEP.value, review.c.kind.in_(sorted(NOTHING_TO_KEEP)))
    return (
        exists()
        .where(decided.c.aspect == review.c.aspect, decided.c.subject_key == review.c.key)
        .where(decided.c.part == review.c.part, decided.c.kind == review.c.kind)
        .where(decided.c.field == review.c.field, decided.c.source_code == code)
        .where(decided.c.decision.in_([Verdict.KEEP.value, Verdict.TAKE.value]), ~keeps_nothing)
        .where(or_(seen.is_(None), seen == hash_of_review()))
        .correlate(review)
    )


def hash_of_review() -> ColumnElement[int]:
    """Return what a row of ``review`` is about, in the form that a decision stores; null if there is nothing.

    This is the content hash of its claim or, for a question about many versions, the digest of its detail.
    """
    branches: list[tuple[ColumnElement[bool], ColumnElement[int]]] = [
        (review.c.kind.in_(_ABOUT_THEIR_DETAIL), _digest(cast(review.c.detail, Text)))
    ]
    for tables in all_aspect_tables():
        claim = tables.claim.alias("asked")
        found = (
            select(claim.c.content_hash)
            .where(claim.c.key == review.c.key, claim.c.source == review.c.source)
            .where(part_text(tables, claim) == review.c.part)
            .correlate(review)
            .scalar_subquery()
        )
        branches.append((review.c.aspect == tables.name, found))
    return case(*branches, else_=cast(null(), BigInteger))


def _digest(column: ColumnElement[str]) -> ColumnElement[int]:
    first_bytes = func.substr(func.sha256(func.convert_to(column, "UTF8")), 1, 8)
    return cast(first_bytes, BigInteger)


@cache
def identities_decided(tables: AspectTables) -> Select[tuple[object, ...]]:
    """Identities of an aspect about whose conflicts this batch brought decisions."""
    staged, record = aspect_tables(SUBJECT).stage, tables.record
    about = exists().where(
        staged.c.aspect == tables.name,
        staged.c.kind == ReviewKind.CONFLICT.value,
        staged.c.subject_key == record.c.key,
        staged.c.part == part_text(tables, record),
    )
    keys = select(staged.c.subject_key).where(staged.c.aspect == tables.name)
    return select(*(record.c[name] for name in tables.identity)).where(record.c.key.in_(keys), about)


def _are_any(tables: AspectTables) -> ColumnElement[bool]:
    """Return whether there is any decision about the aspect. One such query per statement saves a look-up per row."""
    claim = aspect_tables(SUBJECT).claim.alias("any_decision")
    return select(exists().where(claim.c.aspect == tables.name)).scalar_subquery()


def _about(
    decided: Subquery, tables: AspectTables, key: ColumnElement[Any], part: ColumnElement[str]
) -> ColumnElement[bool]:
    return and_(decided.c.aspect == literal(tables.name, Text), decided.c.subject_key == key, decided.c.part == part)
