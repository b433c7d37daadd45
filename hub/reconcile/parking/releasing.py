"""Release parked records once what they waited for exists, in log order; ask an officer after a while.

A sweep examines the parked records, so nothing depends on the moment at which a reference arrives. Released records are
prepared and merged like any others, as a batch that moves no offset. The fence against a second worker is that each
batch deletes its own rows from ``parked``.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

from sqlalchemy import (
    BigInteger,
    Connection,
    Delete,
    Insert,
    Interval,
    RowMapping,
    Select,
    SmallInteger,
    Subquery,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.model.entities import SUBJECTS
from hub.model.errors import ConcurrentUpdateError
from hub.reconcile.parking.dated_ahead import TIME_IN_FUTURE, still_asks, waits_for_officer
from hub.reconcile.parking.references import known_reference
from hub.reconcile.shared.questions import question, reviews_of
from hub.warehouse.batch import Batch
from hub.warehouse.tables.core import log_partition, parked, review
from hub.warehouse.tables.entities import aspect_tables

REFERENCE_MISSING = "REFERENCE_MISSING"


@dataclass(frozen=True, slots=True)
class Releasable:
    """A parked record that may go: where it was read, its bytes, and whether it is admitted without its reference."""

    log: int
    topic: str
    partition: int
    log_offset: int
    key: bytes | None = field(repr=False)
    value: bytes = field(repr=False)
    let_in: bool


def releasable(connection: Connection, most: int, thorough: bool) -> list[Releasable]:
    """Return parked records that may go, oldest first, at most ``most``; empty if nothing is parked.

    A record may go if neither it, nor a record of its key that was parked before it, still lacks a reference.

    Args:
        connection: in a transaction of its own.
        most: maximum number at once.
        thorough: examine every parked record; otherwise only if something that is waited for has arrived, which is
            cheap for any number of waiting records.
    """
    rows: list[RowMapping] = []
    for subject in _SUBJECTS_THAT_WAIT:
        if connection.execute(_has_arrived(subject) if not thorough else _waits_at_all(subject)).scalar_one():
            rows += connection.execute(_free_rows(subject), {"most": most - len(rows)}).mappings().all()
    return [Releasable(**row) for row in rows]


_SUBJECTS_THAT_WAIT = tuple(SUBJECTS)


@cache
def _waits_at_all(subject: str) -> Select[bool]:
    return select(exists().where(parked.c.subject == subject))


def _waits(subject: str) -> Subquery:
    """Select what a subject's records wait for, each once, with one index look-up per value."""
    mine = parked.c.subject == subject
    named = select(func.min(parked.c.waits_for).label("waits_for")).where(mine).cte("named", recursive=True)
    after = select(func.min(parked.c.waits_for)).where(mine, parked.c.waits_for > named.c.waits_for).scalar_subquery()
    waits = named.union_all(select(after).where(named.c.waits_for.is_not(None)))
    return select(waits.c.waits_for).where(waits.c.waits_for.is_not(None)).subquery("waits")


@cache
def _has_arrived(subject: str) -> Select[bool]:
    """Select whether anything that a subject's records wait for is known now, or was admitted."""
    waits = _waits(subject)
    arrived = exists(select(waits.c.waits_for).where(known_reference(aspect_tables(subject), waits.c.waits_for)))
    let_in = exists().where(parked.c.subject == subject, parked.c.let_in)
    return select(or_(arrived, let_in))


@cache
def _free_rows(subject: str) -> Select[tuple[object, ...]]:
    """Select rows of a subject that may go. Few references are missing, even if many records wait for each."""
    waits = _waits(subject)
    still = select(waits.c.waits_for).where(~known_reference(aspect_tables(subject), waits.c.waits_for)).cte("still")
    earlier = parked.alias("earlier")
    stuck = exists().where(
        earlier.c.subject == subject,
        earlier.c.key == parked.c.key,
        tuple_(earlier.c.log, earlier.c.log_offset) <= tuple_(parked.c.log, parked.c.log_offset),
        ~earlier.c.let_in,
        or_(~waits_for_officer(earlier.c.waits_for), earlier.c.log_offset == parked.c.log_offset),
        earlier.c.waits_for.in_(select(still.c.waits_for)),
    )
    return (
        select(
            parked.c.log,
            log_partition.c.topic,
            log_partition.c.partition,
            parked.c.log_offset,
            parked.c.record_key.label("key"),
            parked.c.record_value.label("value"),
            parked.c.let_in,
        )
        .join(log_partition, log_partition.c.id == parked.c.log)
        .where(parked.c.subject == subject, ~stuck)
        .order_by(parked.c.log, parked.c.log_offset)
        .limit(bindparam("most"))
    )


def leave_parked(connection: Connection, batch: Batch) -> None:
    """Delete a released batch's records from ``parked``; this comes first in its transaction.

    Raises:
        ConcurrentUpdateError: another worker has released some of them.
    """
    places = batch.places()
    gone = connection.execute(
        _at_places(), {"logs": [place[0] for place in places], "offsets": [place[1] for place in places]}
    ).rowcount
    if gone != len(places):
        raise ConcurrentUpdateError(f"{gone} of {len(places)} parked records were still there")
    _close_reviews(connection)


@cache
def _at_places() -> Delete:
    logs, offsets = bindparam("logs", type_=ARRAY(SmallInteger)), bindparam("offsets", type_=ARRAY(BigInteger))
    places = func.unnest(logs, offsets).table_valued("log", "log_offset", name="places").render_derived()
    return delete(parked).where(parked.c.log == places.c.log, parked.c.log_offset == places.c.log_offset)


def ask_about_overdue(connection: Connection, deadline: timedelta) -> int:
    """Ask an officer about keys that have waited longer than the deadline; return the number of new questions."""
    return connection.execute(_questions(), {"before": deadline}).rowcount


@cache
def _questions() -> Insert:
    aspect = case(
        *((parked.c.subject == subject, f"{entity.name}.{of.name}") for subject, (entity, of) in SUBJECTS.items()),
        else_="",
    )
    one = (parked.c.subject, parked.c.key, parked.c.source)
    detail = func.jsonb_build_object("waits_for", func.min(parked.c.waits_for))
    rows = (
        question(REFERENCE_MISSING, aspect, (parked.c.key, parked.c.source), detail)
        .where(parked.c.waits_for.is_not(None), ~parked.c.let_in, ~waits_for_officer(parked.c.waits_for))
        .where(parked.c.parked_at < func.now() - bindparam("before", type_=Interval))
        .group_by(*one)
    )
    return reviews_of(rows, keeps_open_ones=True)


def _close_reviews(connection: Connection) -> None:
    """Close the questions about keys of which nothing waits any more."""
    waits = exists().where(
        parked.c.key == review.c.key, parked.c.source == review.c.source, ~waits_for_officer(parked.c.waits_for)
    )
    connection.execute(
        update(review)
        .values(closed_at=func.now())
        .where(review.c.kind == REFERENCE_MISSING, review.c.closed_at.is_(None), ~waits)
    )
    connection.execute(
        update(review)
        .values(closed_at=func.now())
        .where(review.c.kind == TIME_IN_FUTURE, review.c.closed_at.is_(None), ~still_asks())
    )
