"""Reviews of versions that a source used twice, with different contents: VERSION_REUSED.

The first content stays. The version does not show which content the source means. The question names the version and
the hashes of both contents. It closes by itself when the source sends a higher version.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    Text,
    Update,
    and_,
    case,
    cast,
    exists,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.model.decisions import ReviewKind
from hub.reconcile.shared.identity import part_text, same_identity
from hub.reconcile.shared.questions import question, reviews_of
from hub.reconcile.shared.step import Merge
from hub.warehouse.tables.core import review
from hub.warehouse.tables.entities import AspectTables

VERSION_REUSED = ReviewKind.VERSION_REUSED.value


def step(connection: Connection, merge: Merge) -> None:
    """Open questions about the batch's versions that claims had used; close those that higher versions answer."""
    frame = merge.accepted.frame
    if merge.are_versions_asked and merge.written:
        connection.execute(closed_by_claims(merge.tables))
    if merge.written < frame.height:
        connection.execute(opened_by_batch(merge.tables))


def are_asked(tables: AspectTables) -> ColumnElement[bool]:
    """Return whether a question of this kind is open about an aspect: a column for any select."""
    open_ones = exists().where(
        review.c.kind == VERSION_REUSED, review.c.aspect == tables.name, review.c.closed_at.is_(None)
    )
    return select(open_ones).scalar_subquery()


@cache
def opened_by_batch(tables: AspectTables) -> Insert:
    """Open questions about staged rows that have the claim's version and different content."""
    stage, claim = tables.stage, tables.claim
    mine, held = (tuple_(of.c.source_epoch, of.c.source_version) for of in (stage, claim))
    detail = func.jsonb_build_object(
        *("epoch", claim.c.source_epoch, "version", claim.c.source_version),
        *("content_hash", cast(claim.c.content_hash, Text)),
        *("refused", func.jsonb_agg(cast(stage.c.content_hash, Text).distinct())),
    )
    one = [*(claim.c[name] for name in tables.identity), claim.c.source]
    rows = (
        question(VERSION_REUSED, tables.name, (claim.c.key, claim.c.source), detail, part_text(tables, claim))
        .join_from(stage, claim, and_(same_identity(tables, stage, claim), stage.c.source == claim.c.source))
        .where(mine == held, stage.c.content_hash != claim.c.content_hash)
        .group_by(*one, claim.c.source_epoch, claim.c.source_version, claim.c.content_hash)
    )
    return reviews_of(rows, _with_refused_before)


def _with_refused_before(detail: Any) -> ColumnElement[Any]:
    """Add what was refused of the same version before, so that the detail does not depend on how batches were cut."""
    before: Any = review.c.detail
    both = func.jsonb_array_elements(before["refused"].concat(detail["refused"])).table_valued("value")
    together = select(func.jsonb_agg(both.c.value.distinct())).scalar_subquery()
    is_same = and_(before["epoch"] == detail["epoch"], before["version"] == detail["version"])
    return case((is_same, func.jsonb_set(detail, cast(["refused"], ARRAY(Text)), together)), else_=detail)


@cache
def closed_by_claims(tables: AspectTables) -> Update:
    """Close the questions about claims that this batch replaced by a higher version."""
    merged, claim = tables.merged, tables.claim
    said: Any = review.c.detail
    asked = tuple_(cast(said["epoch"].astext, Integer), cast(said["version"].astext, BigInteger))
    written = (
        exists()
        .where(merged.c.key == review.c.key, merged.c.source == review.c.source)
        .where(part_text(tables, merged) == review.c.part)
        .where(same_identity(tables, claim, merged), claim.c.source == merged.c.source)
        .where(tuple_(claim.c.source_epoch, claim.c.source_version) > asked)
        .correlate(review)
    )
    return (
        update(review)
        .values(closed_at=func.now())
        .where(review.c.kind == VERSION_REUSED, review.c.aspect == tables.name, review.c.closed_at.is_(None), written)
    )
