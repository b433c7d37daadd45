"""Log partitions as their own offsets account for them, cut into stretches, and what is found missing of them (I5)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, Connection, cast, func, select

from hub.reconcile.shared.republish import JOB_LOG
from hub.warehouse.tables.core import audit, log_partition
from hub.warehouse.tables.evidence import retired

OFFSETS_PER_STRETCH = 20_000


@dataclass(frozen=True, slots=True)
class Account:
    """A log partition as the offsets' own account has it."""

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
    """Offsets ``first <= offset < end`` of a log partition; ``consumed``: how many records its account says."""

    account: Account
    first: int
    end: int
    consumed: int

    @property
    def bounds(self) -> dict[str, int]:
        """The parameters of the statements about a stretch."""
        return {"log": self.account.log, "first": self.first, "end": self.end}

    def cut(self, offsets: int) -> Iterator["Stretch"]:
        """Yield the same offsets in order, as stretches of so many at most; nothing is said of their records."""
        for first in range(self.first, self.end, offsets):
            yield replace(self, first=first, end=min(self.end, first + offsets), consumed=0)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that must be there and is not: what, of which record of the log."""

    what: str
    topic: str
    partition: int
    offset: int
    last_offset: int

    @property
    def place(self) -> str:
        """``topic/partition@offset``, or ``@first-last`` of neighbours."""
        last = "" if self.last_offset == self.offset else f"-{self.last_offset}"
        return f"{self.topic}/{self.partition}@{self.offset}{last}"

    def __str__(self) -> str:
        return f"{self.what}: {self.place}"


def read_accounts(connection: Connection) -> list[Account]:
    """Return every log partition's own account, by topic and partition; without the months of it that were retired."""
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
    """Share the consumed records out over the stretches from ``first`` on; what is missing, to offsets without rows.

    Args:
        account: of the log partition; its ``next_offset`` ends the last stretch.
        first: where the first stretch begins.
        consumed: records between there and the end, by the offsets' own account.
        counted: audit rows by number of stretch.
        size: offsets of a stretch.
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
