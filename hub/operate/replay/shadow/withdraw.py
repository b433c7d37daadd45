"""Withdraw from a shadow what sources say within a replay's scope; then it says only what the selected events say.

A claim is withdrawn as if its source had withdrawn it: the merge's own statements update what follows from
it. Then its rows are deleted. Questions about it are closed, not deleted: one that is asked again keeps its number.
"""

from collections.abc import Iterable
from functools import cache
from uuid import UUID

from sqlalchemy import Column, Connection, Delete, MetaData, Select, Table, and_, delete, exists, func, insert, select
from sqlalchemy import update as update_

from hub.model.decisions import ReviewKind
from hub.model.entities import REVIEW
from hub.operate.replay.filters import Selection
from hub.operate.replay.plan import claims_in_scope
from hub.reconcile.parking.dated_ahead import TIME_IN_FUTURE
from hub.reconcile.parking.releasing import REFERENCE_MISSING
from hub.reconcile.registry import redecide
from hub.reconcile.rules.links import MERGED, regroup
from hub.reconcile.rules.reused_versions import VERSION_REUSED
from hub.reconcile.shared.republish import AuditPlace, job_place
from hub.warehouse.tables.core import identity_link, parked, review
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables

_ABOUT_CLAIMS = (
    ReviewKind.AMBIGUOUS_UNIT.value,
    ReviewKind.BACKWARD_STATUS.value,
    REFERENCE_MISSING,
    VERSION_REUSED,
    TIME_IN_FUTURE,
)
"""Kinds of questions that one claim raises; the merge's own steps update the others."""


def withdraw_scope(connection: Connection, selection: Selection) -> int:
    """Withdraw every claim within the scope; return how many there were.

    Args:
        connection: of the shadow, in a transaction; ``ensure_stages`` was called on it before.
        selection: the plan's.
    """
    place = job_place(connection)
    count = 0
    in_scope = [tables for tables in all_aspect_tables() if tables.aspect.subject in selection.subjects]
    for tables in in_scope:
        found = _note_withdrawn(connection, tables, selection)
        connection.execute(_records_that_wait(tables, selection))
        if found:
            count += found
            _take_back(connection, tables, place)
    for tables in in_scope:
        for gone in _rows_gone(tables):
            connection.execute(gone)
    return count


@cache
def withdrawn(tables: AspectTables) -> Table:
    """Return the temporary table of an aspect's withdrawn claims: identity and source."""
    names = [*tables.identity, "source"]
    columns = [Column(name, tables.claim.c[name].type) for name in names]
    name = f"{tables.name.replace('.', '_')}_withdrawn"
    return Table(name, MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")


def _note_withdrawn(connection: Connection, tables: AspectTables, selection: Selection) -> int:
    noted = withdrawn(tables)
    noted.create(connection, checkfirst=False)
    names = [column.name for column in noted.columns]
    rows = select(*(tables.claim.c[name] for name in names)).where(claims_in_scope(tables, selection))
    noting = insert(noted).from_select(names, rows)
    return connection.execute(noting, execution_options={"preserve_rowcount": True}).rowcount


def _take_back(connection: Connection, tables: AspectTables, place: AuditPlace) -> None:
    claim, noted = tables.claim, withdrawn(tables)
    same = and_(*(claim.c[column.name] == column for column in noted.columns))
    if tables.history is not None:
        history = tables.history
        connection.execute(delete(history).where(*(history.c[column.name] == column for column in noted.columns)))
    connection.execute(update_(claim).values(revoked=True, contested=True).where(same))
    _drop_links(connection, tables, place)
    redecide(connection, tables, select(*(noted.c[name] for name in tables.identity)), place)
    _close_questions(connection, tables)
    if tables.entity is REVIEW:
        _decide_without(connection, tables, place)


def _drop_links(connection: Connection, tables: AspectTables, place: AuditPlace) -> None:
    """Delete what the withdrawn claims, or decisions, say of other keys."""
    noted, link = withdrawn(tables), identity_link
    if tables.entity is REVIEW:
        claim = tables.claim
        merged = (
            select(claim.c.subject_key, claim.c.other_key)
            .join(noted, and_(claim.c.key == noted.c.key, claim.c.source == noted.c.source))
            .where(claim.c.kind == ReviewKind.POSSIBLE_DUPLICATE_PERSON.value, claim.c.other_key.is_not(None))
            .subquery()
        )
        dropping = delete(link).where(
            link.c.kind == MERGED, link.c.key == merged.c.subject_key, link.c.other == merged.c.other_key
        )
    else:
        dropping = delete(link).where(
            link.c.aspect == tables.name, link.c.key == noted.c.key, link.c.source == noted.c.source
        )
    ends: dict[str, set[UUID]] = {}
    for row in connection.execute(dropping.returning(link.c.entity, link.c.key, link.c.other)):
        ends.setdefault(row.entity, set()).update((row.key, row.other))
    for entity, keys in ends.items():
        regroup(connection, entity, keys, place)


def _close_questions(connection: Connection, tables: AspectTables) -> None:
    noted = withdrawn(tables)
    about = exists().where(noted.c.key == review.c.key, noted.c.source == review.c.source)
    connection.execute(
        update_(review)
        .values(closed_at=func.now())
        .where(review.c.kind.in_(_ABOUT_CLAIMS), review.c.aspect == tables.name, review.c.closed_at.is_(None), about)
    )


def _decide_without(connection: Connection, decisions: AspectTables, place: AuditPlace) -> None:
    """Decide again the conflicts that the withdrawn decisions were about."""
    claim, noted = decisions.claim, withdrawn(decisions)
    about = (
        select(claim.c.subject_key)
        .join(noted, and_(claim.c.key == noted.c.key, claim.c.source == noted.c.source))
        .where(claim.c.kind == ReviewKind.CONFLICT.value)
    )
    for tables in all_aspect_tables():
        if tables.entity is not REVIEW:
            record = tables.record
            keys = about.where(claim.c.aspect == tables.name)
            identities = select(*(record.c[name] for name in tables.identity)).where(record.c.key.in_(keys))
            redecide(connection, tables, identities, place)


def _records_that_wait(tables: AspectTables, selection: Selection) -> Delete:
    """Delete parked records of the scope: the selected ones are read again."""
    waiting = delete(parked).where(parked.c.subject == tables.aspect.subject)
    if selection.sources is not None:
        waiting = waiting.where(parked.c.source.in_(list(selection.sources.values())))
    if selection.keys is not None:
        waiting = waiting.where(parked.c.key.in_(selection.keys))
    return waiting


def _rows_gone(tables: AspectTables) -> Iterable[Delete]:
    """Delete the withdrawn claims, their companions, and the records without a claim."""
    noted, claim, record = withdrawn(tables), tables.claim, tables.record
    for table in (tables.sensitive, claim):
        if table is not None:
            yield delete(table).where(*(table.c[column.name] == column for column in noted.columns))
    same = and_(*(record.c[name] == noted.c[name] for name in tables.identity))
    left: Select[tuple[object, ...]] = select(claim.c.key).where(
        *(claim.c[name] == record.c[name] for name in tables.identity)
    )
    yield delete(record).where(exists().where(same), ~exists(left))
