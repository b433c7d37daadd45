"""Conflicts and reviews as an officer sees them: by a number, with what was decided about them so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import INTERVAL, JSONB

from hub.model.decisions import ReviewId, ReviewKind, Verdict
from hub.model.errors import ConfigError
from hub.reconcile.shared.decisions import is_decided, standing
from hub.warehouse.tables.core import conflict, review, source

CONFLICT, REVIEW = "C", "R"
"""First letter of a number: it says which table the number counts."""


@dataclass(frozen=True, slots=True)
class Noted:
    """The last decision about a question."""

    verdict: str
    officer: str
    reason: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """A conflict or a review.

    Fields:
        number: ``C12`` is a conflict, ``R5`` a review; of this warehouse.
        held_by: for a conflict: the source that holds the record.
        detail: what the rule recorded; it may contain values, so it is never in a repr.
        is_open: whether it waits for an officer.
        noted: the valid decision, if there is one. An open question has one if the decision was to wait, or if what
            was decided about has changed since.
    """

    number: str
    of: ReviewId
    held_by: str | None
    opened_at: datetime
    is_open: bool
    noted: Noted | None
    detail: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class QuestionFilter:
    """Which questions to list; None: all. ``older_than_h``: those that have been open for at least this many hours."""

    kind: ReviewKind | None = None
    aspect: str | None = None
    source: str | None = None
    older_than_h: float = 0
    limit: int = 50


def open_questions(connection: Connection, wanted: QuestionFilter) -> list[Question]:
    """Return what waits for an officer, the oldest first."""
    rows = _all_rows().subquery("question")
    query = select(rows).where(rows.c.is_open).order_by(rows.c.opened_at, rows.c.number).limit(wanted.limit)
    if wanted.kind is not None:
        query = query.where(rows.c.kind == wanted.kind.value)
    if wanted.aspect is not None:
        query = query.where(rows.c.aspect == wanted.aspect)
    if wanted.source is not None:
        query = query.where(or_(rows.c.source == wanted.source, rows.c.held_by == wanted.source))
    if wanted.older_than_h:
        age = cast(func.make_interval(0, 0, 0, 0, 0, 0, wanted.older_than_h * 3600), INTERVAL)
        query = query.where(rows.c.opened_at <= func.now() - age)
    return [_question(row) for row in connection.execute(query).mappings()]


def open_counts(connection: Connection) -> dict[str, int]:
    """Count what waits for an officer, by kind; kinds without a question are left out."""
    rows = _all_rows().subquery("question")
    query = select(rows.c.kind, func.count()).where(rows.c.is_open).group_by(rows.c.kind).order_by(rows.c.kind)
    return {kind: number for kind, number in connection.execute(query)}


def question_of(connection: Connection, number: str) -> Question:
    """Return a conflict or review by its number, open or closed.

    Raises:
        ConfigError: there is none with that number.
    """
    letter, digits = number[:1].upper(), number[1:]
    if letter not in {CONFLICT, REVIEW} or not (digits.isascii() and digits.isdigit()):
        raise ConfigError([f"{number}: not the number of a conflict (C12) or review (R5); see `hub review list`"])
    rows = (_conflicts() if letter == CONFLICT else _reviews()).subquery("question")
    found = connection.execute(select(rows).where(rows.c.number == int(digits))).mappings().one_or_none()
    if found is None:
        raise ConfigError([f"{letter}{digits}: there is no such question; see `hub review list`"])
    return _question(found)


def _question(row: Mapping[Any, Any]) -> Question:
    noted = None
    if row["verdict"] is not None:
        noted = Noted(row["verdict"], row["officer"], row["reason"], row["decided_at"])
    of = ReviewId(
        ReviewKind(row["kind"]), row["aspect"], UUID(str(row["key"])), row["part"], row["field"], row["source"]
    )
    return Question(
        f"{row['letter']}{row['number']}", of, row["held_by"], row["opened_at"], row["is_open"], noted, row["detail"]
    )


def _all_rows() -> Select[Any]:
    return select(union_all(_conflicts(), _reviews()).subquery("both"))


def _conflicts() -> Select[Any]:
    against, decided = source.alias("against"), standing()
    kind = literal(ReviewKind.CONFLICT.value, Text)
    return (
        _columns(CONFLICT, kind, conflict, decided)
        .add_columns(
            against.c.code.label("held_by"),
            cast(null(), JSONB).label("detail"),
            conflict.c.closed_at.is_(None).label("is_open"),
        )
        .join_from(conflict, source, source.c.id == conflict.c.source)
        .join(against, against.c.id == conflict.c.held_by)
        .outerjoin(decided, _is_about(decided, conflict, kind))
    )


def _reviews() -> Select[Any]:
    decided = standing("noted")
    return (
        _columns(REVIEW, review.c.kind, review, decided)
        .add_columns(
            cast(null(), Text).label("held_by"),
            review.c.detail,
            and_(review.c.closed_at.is_(None), ~is_decided()).label("is_open"),
        )
        .join_from(review, source, source.c.id == review.c.source)
        .outerjoin(decided, _is_about(decided, review, review.c.kind))
        .where(review.c.kind.in_([kind.value for kind in ReviewKind]))
    )


def _columns(letter: str, kind: ColumnElement[str], table: Any, decided: Any) -> Select[Any]:
    return select(
        literal(letter, Text).label("letter"),
        table.c.id.label("number"),
        kind.label("kind"),
        table.c.aspect,
        table.c.key,
        table.c.part,
        table.c.field,
        source.c.code.label("source"),
        table.c.opened_at,
        decided.c.decision.label("verdict"),
        decided.c.officer,
        decided.c.reason,
        decided.c.occurred_at.label("decided_at"),
    )


def _is_about(decided: Any, question: Any, kind: ColumnElement[str]) -> ColumnElement[bool]:
    return and_(
        decided.c.aspect == question.c.aspect,
        decided.c.subject_key == question.c.key,
        decided.c.part == question.c.part,
        decided.c.kind == kind,
        decided.c.field == question.c.field,
        decided.c.source_code == source.c.code,
        decided.c.decision.in_([verdict.value for verdict in Verdict]),
    )
