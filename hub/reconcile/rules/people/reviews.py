"""Open and close reviews about people: a review is open while the records that cause it are in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, Update, cast, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import Insert

from hub.model.decisions import ReviewKind
from hub.reconcile.shared.questions import COLUMNS, IDENTITY, reviews_of
from hub.warehouse.tables.core import review


@dataclass(frozen=True, slots=True)
class Asked:
    """The reviews that a rule manages: its kind, an aspect (``citizen.person``), some fields."""

    kind: ReviewKind
    aspect: str
    fields: tuple[str, ...]


def opened(questions: Select[Any]) -> Insert:
    """Open reviews for some questions; a closed review opens again."""
    found = questions.cte("questions")
    return reviews_of(select(*(found.c[name] for name in COLUMNS)), is_dated_anew=True)


def closed(asked: Asked, keys: Select[UUID], questions: Select[Any], pairs: bool = False) -> Update:
    """Close the open reviews about some keys that are not among the questions.

    Args:
        asked: which reviews.
        keys: the keys that may have changed.
        questions: all questions in force about those keys.
        pairs: whether a review is about two keys: its key, and the one in its part.
    """
    found, scope = questions.cte("questions"), keys.cte("scope")
    same = (found.c[name] == review.c[name] for name in IDENTITY)
    about: ColumnElement[bool] = review.c.key.in_(select(scope.c[0]))
    if pairs:
        about = or_(about, review.c.part.in_(select(cast(scope.c[0], Text))))
    return (
        update(review)
        .values(closed_at=func.now())
        .where(review.c.kind == asked.kind.value, review.c.aspect == asked.aspect, _is_of(asked.fields))
        .where(review.c.closed_at.is_(None), about, ~exists(select(found.c.key).where(*same)))
    )


def _is_of(fields: Sequence[str]) -> ColumnElement[bool]:
    return review.c.field == fields[0] if len(fields) == 1 else review.c.field.in_(fields)
