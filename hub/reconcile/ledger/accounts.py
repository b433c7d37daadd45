"""Log partitions by their stored offsets, cut into stretches, and the records missing in them (I5)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, Connection, cast, func, select

from hub.reconcile.shared.republish import JOB_LOG
from hub.warehouse.tables.core import audit, log_partition
from hub.warehouse.tables.evidence import retired

OFFSETS_PER_STRETCH = 20_000


@dataclass(frozen=True, slots=True)
class Account:
    """A log partition as its stored offsets describe it."""

    log: int
    topic: str
    partition: int
    first_offset: int
    next_offset: int
    consumed: int

    @property
    def place(self) -> str:
        """``topic/partition``."""
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Offsets ``first <= offset < end`` of a log partition; ``consumed``: number of records consumed from them."""

    account: Account
    first: int
    end: int
    consumed: int

    @property
    def bounds(self) -> dict[str, int]:
        """Parameters for the statements about a stretch."""
        return {"log": self.account.log, "first": self.first, "end": self.end}

    def cut(self, offsets: int) -> Iterator["Stretch"]:
        """Yield the same offsets in order, as stretches of at most ``offsets``; their ``consumed`` is 0."""
        for first in range(self.first, self.end, offsets):
            yield replace(self, first=first, end=min(self.end, first + offsets), consumed=0)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that must exist and does not: what, and of which record of the log."""

    what: str
    topic: str
    partition: int
    offset: int
    last_offset: int

    @property
    def place(self) -> str:
        """``topic/partition@offset``, or ``@first-last`` for several records in a row."""
        last = "" if self.last_offset == self.offset else f"-{self.last_offset}"
        return f"{self.topic}/{self.partition}/{self.offset}{last}"

    def __str__(self) -> str:
        return f"{self.what}: {self.place}"


def read_accounts(connection: Connection) -> list[Account]:
    """Return the account of every log partition, by topic and partition, without the months that were retired."""
    gone = (
        select(retired.c.log, func.max(retired.c.end_place).label("end"), func.sum(retired.c.records).label("records"))
        .where(retired.c.relation == audit.name)
        .group_by(retired.c.log)
        .subquery()
    )
    rows = connection.execute(
        select(
            log_partition.c.id,
            log_partition.c.topic,
            log_partition.c.partition,
            func.greatest(log_partition.c.first_offset, func.coalesce(gone.c.end, 0)),
            log_partition.c.next_offset,
            cast(log_partition.c.consumed - func.coalesce(gone.c.records, 0), BigInteger),
        )
        .outerjoin_from(log_partition, gone, gone.c.log == log_partition.c.id)
        .where(log_partition.c.topic != JOB_LOG)
        .order_by(log_partition.c.topic, log_partition.c.partition)
    )
    return [Account(*row) for row in rows]


def shared_out(
    account: Account, first: int, consumed: int, counted: dict[int, int], size: int = OFFSETS_PER_STRETCH
) -> list[Stretch]:
    """Distribute the consumed records over the stretches from ``first``; missing records go to offsets without rows.

    Args:
        account: of the log partition; its ``next_offset`` ends the last stretch.
        first: where the first stretch begins.
        consumed: number of records between there and the end, by the stored offsets.
        counted: audit rows by number of stretch.
        size: offsets per stretch.
    """
    missing = consumed - sum(counted.values())
    stretches: list[Stretch] = []
    for number in range(first // size, -(-account.next_offset // size)):
        begin, end = max(first, number * size), min((number + 1) * size, account.next_offset)
        records = counted.get(number, 0)
        here = max(0, min(missing, end - begin - records))
        missing -= here
        stretches.append(Stretch(account, begin, end, records + here))
    if stretches and missing:
        stretches[-1] = replace(stretches[-1], consumed=stretches[-1].consumed + missing)
    return stretches
