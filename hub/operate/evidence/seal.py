"""Seal what is committed: hash the rows that no seal covers yet and link them to their chain, after the writer.

The stored offset of a log partition says which rows are final: it moves in their own transaction (I1). Releases
and actions are numbered, and an open transaction may already have taken a number. So their writers wait
for the moment in which the last number is read.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection, func, insert, select, text, true

from hub.model.evidence import NO_LINK, Stretch, marks_digest, root_of
from hub.reconcile.shared.republish import JOB_LOG
from hub.warehouse.evidence.rows import (
    ACTION_CHAIN,
    RELEASE_CHAIN,
    Chain,
    Rows,
    end_of_month_at,
    parts_of,
    read_rows,
)
from hub.warehouse.tables.core import action, log_partition, release
from hub.warehouse.tables.evidence import seal

MOST_PLACES = 65_536
"""The most places that one seal covers."""


@dataclass(frozen=True, slots=True)
class Open:
    """A chain with places that no seal covers: ``first <= place < end``; ``previous``: its last link."""

    chain: Chain
    first: int
    end: int
    previous: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one turn sealed."""

    rows: int = 0
    seals: int = 0


def open_logs(connection: Connection) -> list[Open]:
    """Return the log partitions with places that no seal covers."""
    last = (
        select(seal.c.end_place, seal.c.link)
        .where(seal.c.log == log_partition.c.id)
        .order_by(seal.c.first_place.desc())
        .limit(1)
        .lateral("last")
    )
    rows = connection.execute(
        select(log_partition, last.c.end_place, last.c.link)
        .select_from(log_partition.outerjoin(last, true()))
        .where(log_partition.c.topic != JOB_LOG)
        .where(log_partition.c.next_offset > func.coalesce(last.c.end_place, log_partition.c.first_offset))
        .order_by(log_partition.c.id)
    )
    return [
        Open(
            Chain(row.chain or f"{row.topic}/{row.partition}", "audit", row.id),
            row.first_offset if row.end_place is None else row.end_place,
            row.next_offset,
            NO_LINK if row.link is None else bytes(row.link),
        )
        for row in rows
    ]


def open_numbered(connection: Connection, chain: Chain) -> Open | None:
    """Return a numbered chain if it has unsealed rows; its writers then wait until the transaction ends."""
    of = release if chain is RELEASE_CHAIN else action
    last = select(seal.c.end_place, seal.c.link).where(seal.c.chain == chain.name).order_by(seal.c.first_place.desc())
    ended = connection.execute(last.limit(1)).one_or_none()
    first = 0 if ended is None else int(ended.end_place)
    if connection.execute(select(of.c.id).where(of.c.id >= first).limit(1)).first() is None:
        return None
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    connection.execute(text(f"LOCK TABLE {of.name} IN SHARE MODE"))
    end = int(connection.execute(select(func.max(of.c.id))).scalar_one()) + 1
    return Open(chain, first, end, NO_LINK if ended is None else bytes(ended.link))


def seal_all(connection: Connection) -> Sealed:
    """Seal every row that is final, in one transaction per chain.

    The caller holds ``Lock.SEAL`` and has no open transaction.
    """
    total = Sealed()
    with connection.begin():
        logs = open_logs(connection)
    for of in logs:
        with connection.begin():
            total = _sum(total, seal_chain(connection, of))
    for chain in (RELEASE_CHAIN, ACTION_CHAIN):
        with connection.begin():
            numbered = open_numbered(connection, chain)
            if numbered is not None:
                total = _sum(total, seal_chain(connection, numbered))
    return total


def _sum(one: Sealed, other: Sealed) -> Sealed:
    return Sealed(one.rows + other.rows, one.seals + other.seals)


def seal_chain(connection: Connection, chain: Open) -> Sealed:
    """Seal the open places of a chain, in stretches of at most ``MOST_PLACES`` places, each within one month."""
    first, previous, rows, seals = chain.first, chain.previous, 0, 0
    while first < chain.end:
        end = min(chain.end, first + MOST_PLACES)
        found = read_rows(connection, chain.chain, first, end)
        if _month(found.oldest) != _month(found.newest):
            end = end_of_month_at(connection, chain.chain, first, end)
            found = read_rows(connection, chain.chain, first, end)
        previous = _store(connection, chain.chain, (first, end), found, previous)
        first, rows, seals = end, rows + found.count, seals + 1
    return Sealed(rows, seals)


def _month(moment: datetime | None) -> date | None:
    return None if moment is None else date(moment.year, moment.month, 1)


def _store(connection: Connection, chain: Chain, places: tuple[int, int], rows: Rows, previous: bytes) -> bytes:
    """Store the seal of a stretch; return its link."""
    first, end = places
    root = root_of([part.digest for part in parts_of(connection, rows)])
    marks, gaps = rows.marks(), rows.places(first)
    link = Stretch(chain.name, first, end, rows.count, root, marks_digest(marks, gaps)).link(previous)
    values = {
        "chain": chain.name,
        "log": chain.log,
        "first_place": first,
        "end_place": end,
        "rows": rows.count,
        "month": _month(rows.oldest) or datetime.now(UTC).date().replace(day=1),
        "previous": previous,
        "root": root,
        "marks": marks,
        "places": gaps,
        "link": link,
    }
    connection.execute(insert(seal).values(**values))
    return link
