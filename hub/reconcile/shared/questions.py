"""Open reviews: one for each kind, aspect, key, part, field and source; a closed one opens again."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, case, func, literal, null, or_, select
from sqlalchemy.dialects.postgresql import Insert, insert

from hub.warehouse.tables.core import review

IDENTITY = ("kind", "aspect", "key", "part", "field", "source")
COLUMNS = (*IDENTITY, "detail")
"""Columns of a select of questions."""


def question(
    kind: str, aspect: Any, about: tuple[Any, Any], detail: Any, part: Any = "", field: Any = ""
) -> Select[Any]:
    """Return a select of ``COLUMNS``; ``about``: the columns of the key, and of the source that states it."""
    told = (kind, aspect, about[0], part, field, about[1], detail)
    columns = (literal(one, Text) if isinstance(one, str) else one for one in told)
    return select(*(column.label(name) for name, column in zip(COLUMNS, columns, strict=True)))


def reviews_of(
    questions: Select[Any],
    detail: Callable[[Any], ColumnElement[Any]] = lambda new: new,
    *,
    is_dated_anew: bool = False,
    keeps_open_ones: bool = False,
) -> Insert:
    """Open reviews for some questions.

    Args:
        questions: a select of ``COLUMNS``, in this order.
        detail: makes the detail of a review that is there already, from the new one.
        is_dated_anew: whether a review that opens again counts from now.
        keeps_open_ones: whether an open review stays as it is; else it gets the new detail.
    """
    opening = insert(review).from_select(list(COLUMNS), questions)
    new, is_closed = opening.excluded.detail, review.c.closed_at.is_not(None)
    since = case((review.c.closed_at.is_(None), review.c.opened_at), else_=func.now())
    return opening.on_conflict_do_update(
        index_elements=list(IDENTITY),
        set_={"detail": detail(new), "closed_at": null()} | ({"opened_at": since} if is_dated_anew else {}),
        where=is_closed if keeps_open_ones else or_(is_closed, review.c.detail != new),
    )
