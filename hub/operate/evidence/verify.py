"""Verify the audit log against its seals, and the seals against the links that signed heads name."""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    case,
    cast,
    func,
    literal,
    select,
    true,
    union_all,
)

from hub.model.evidence import MARK_BYTES, NO_LINK, Stretch, root_of
from hub.operate.evidence.findings import Finding, Wrong, row_findings
from hub.reconcile.shared.republish import JOB_LOG
from hub.topology import CLOSED_MARK
from hub.warehouse.evidence.months import Month, months_there
from hub.warehouse.evidence.rows import ACTION_CHAIN, RELEASE_CHAIN, Chain, Rows, parts_of, read_rows
from hub.warehouse.tables.core import action, audit, log_partition
from hub.warehouse.tables.evidence import BY_MONTH, retired, seal

RETIRE = "audit.retire"
"""The name of the action that drops a month."""

_MOST_NAMED = 20
"""The most rows of one log partition that are named for being at places never consumed."""


@dataclass(frozen=True, slots=True)
class Range:
    """What is verified row by row; None: all. ``chain``: a topic, or topic/partition. Days are those of sealing."""

    chain: str | None = None
    since: date | None = None
    until: date | None = None

    def holds(self, row: Any) -> bool:
        """Tell whether a seal is in the range."""
        day = row.sealed_at.date()
        of_chain = (
            self.chain is None
            or row.chain == self.chain
            or row.chain.rpartition("/")[0].partition(CLOSED_MARK)[0] == self.chain
        )
        return of_chain and (self.since is None or day >= self.since) and (self.until is None or day <= self.until)


@dataclass(slots=True)
class Verification:
    """What was looked at, and what is wrong.

    ``published``, ``records``: None if the heads on Kafka, or the log's bytes, were not read.
    """

    findings: list[Finding] = field(default_factory=list)
    rows: int = 0
    seals: int = 0
    heads: int = 0
    published: int | None = None
    retired_seals: int = 0
    unsealed: int = 0
    records: int | None = None
    gone: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the verification as ``--json`` prints it."""
        findings = [{"wrong": one.wrong.value, "where": one.where, "what": one.words} for one in self.findings]
        names = ("heads", "published", "seals", "rows", "retired_seals", "unsealed", "records", "gone")
        return {"whole": self.is_whole, "findings": findings, **{name: getattr(self, name) for name in names}}

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify_rows(
    connection: Connection,
    links: Mapping[tuple[str, int], str],
    wanted: Range,
    progress: Callable[[int], None] = lambda _: None,
) -> Verification:
    """Check every seal's link, and the rows of the seals in a range; ``progress`` receives how many rows were read."""
    done = Verification()
    gone, done.findings = _retired_months(connection)
    seen: set[tuple[str, int]] = set()
    before: Any = None
    for row in connection.execute(_seals()).yield_per(500):
        is_first = before is None or before.chain != row.chain
        done.findings += _link_findings(row, None if is_first else before, links)
        seen.add((row.chain, row.end_place))
        done.seals += 1
        if (chain_of(row).relation, row.month) in gone:
            done.retired_seals += 1
        elif wanted.holds(row):
            done.findings += stretch_findings(connection, row)
            done.rows += row.rows
            progress(row.rows)
        before = row
    for chain, end in sorted(set(links) - seen):
        words = "a signed head names a seal that ends here, but it is missing"
        done.findings.append(Finding(Wrong.SEAL_MISSING, f"{chain}/{end}", words))
    findings, done.unsealed = _outside(connection)
    done.findings += findings
    return done


def _retired_months(connection: Connection) -> tuple[set[tuple[str, date]], list[Finding]]:
    """Return the months that were dropped after their time, and what is wrong with rows that say so.

    A month whose partition still exists was not dropped: its rows are verified like all others.
    """
    counted = select(retired.c.relation, retired.c.month, func.sum(retired.c.records)).group_by("relation", "month")
    counts = {(relation, month): int(records) for relation, month, records in connection.execute(counted)}
    there = {(one.relation, one.first_day) for relation in BY_MONTH for one in months_there(connection, relation)}
    months = counts.keys() - there
    said = select(action.c.detail["partition"].astext).where(action.c.action == RETIRE)
    names = set(connection.execute(said).scalars())
    findings = [
        Finding(Wrong.DELETED, f"{relation} {month:%Y-%m}", "is recorded as retired, but no action says who did it")
        for relation, month in sorted(months)
        if Month(relation, month).name not in names
    ]
    findings += [
        Finding(Wrong.NOT_RETIRED, f"{relation} {month:%Y-%m}", "is recorded as retired, but its partition exists")
        for relation, month in sorted(counts.keys() & there)
    ]
    findings += _counts_findings(connection, {month: counts[month] for month in months})
    return months, findings


def _counts_findings(connection: Connection, counts: Mapping[tuple[str, date], int]) -> Iterator[Finding]:
    """Yield months for which ``retired`` does not count the rows of their seals: only verified months are dropped."""
    relation = case((seal.c.log.is_not(None), "audit"), else_="release")
    query = select(relation, seal.c.month, func.sum(seal.c.rows)).where(seal.c.chain != ACTION_CHAIN.name)
    rows = connection.execute(query.group_by(relation, seal.c.month))
    sealed = {(name, month): int(number) for name, month, number in rows}
    for (name, month), number in sorted(counts.items()):
        if sealed.get((name, month), 0) != number:
            words = f"retired counts {number:,} rows, its seals {sealed.get((name, month), 0):,}"
            yield Finding(Wrong.NOT_RETIRED, f"{name} {month:%Y-%m}", words)


def _seals() -> Select[Any]:
    nothing = cast(literal(b"", LargeBinary), LargeBinary)
    covered = (
        cast(literal(b"\x05", LargeBinary), LargeBinary)
        .op("||")(func.int4send(func.octet_length(seal.c.marks)))
        .op("||")(seal.c.marks)
        .op("||")(func.coalesce(seal.c.places, nothing))
    )
    columns = [column for column in seal.columns if column.name not in {"marks", "places"}]
    return select(*columns, func.sha256(covered).label("marks_digest")).order_by(seal.c.chain, seal.c.first_place)


def seals_from(chain: str, place: int) -> Select[Any]:
    """Select the seal that covers a place of a chain and the seals after it, with the digests of their marks."""
    return _seals().where(seal.c.chain == chain, seal.c.end_place > place)


def _link_findings(row: Any, before: Any, links: Mapping[tuple[str, int], str]) -> Iterator[Finding]:
    where = f"{row.chain}/{row.first_place}"
    previous = NO_LINK if before is None else bytes(before.link)
    if before is None and bytes(row.previous) != NO_LINK:
        yield Finding(Wrong.SEAL_MISSING, where, "the seals before this one are missing")
    elif before is not None and before.end_place != row.first_place:
        yield Finding(Wrong.SEAL_MISSING, where, f"places {before.end_place} to {row.first_place - 1} have no seal")
    elif bytes(row.previous) != previous:
        yield Finding(Wrong.SEAL_ALTERED, where, "does not follow the seal before it")
    stretch = Stretch(row.chain, row.first_place, row.end_place, row.rows, bytes(row.root), bytes(row.marks_digest))
    if stretch.link(bytes(row.previous)) != bytes(row.link):
        yield Finding(Wrong.SEAL_ALTERED, where, "its link does not match its content")
    signed = links.get((row.chain, row.end_place))
    if signed is not None and signed != bytes(row.link).hex():
        yield Finding(Wrong.SEAL_ALTERED, where, "a signed head says another link: the chain was rewritten up to here")


def chain_of(row: Any) -> Chain:
    """Return the chain of a seal."""
    if row.log is not None:
        return Chain(row.chain, "audit", row.log)
    return RELEASE_CHAIN if row.chain == RELEASE_CHAIN.name else ACTION_CHAIN


def stretch_findings(connection: Connection, row: Any) -> Iterator[Finding]:
    """Yield the differences between a seal's rows as they were sealed and as they are."""
    there = read_rows(connection, chain_of(row), row.first_place, row.end_place)
    parts = parts_of(connection, there)
    if root_of([part.digest for part in parts]) == bytes(row.root) and there.count == row.rows:
        return
    marks, places = connection.execute(select(seal.c.marks, seal.c.places).where(seal.c.id == row.id)).one()
    sealed = _sealed_marks(row.first_place, bytes(marks), None if places is None else bytes(places))
    found = list(row_findings(row.chain, sealed, _marks_there(there)))
    if not found:
        batches = ", ".join(str(part.batch) for part in parts)
        found = [
            Finding(
                Wrong.ALTERED,
                f"{row.chain}/{row.first_place}-{row.end_place - 1}",
                f"the rows are as sealed, but the batch rows they name ({batches}) are not",
            )
        ]
    yield from found


def _sealed_marks(first: int, marks: bytes, places: bytes | None) -> dict[int, bytes]:
    count = len(marks) // MARK_BYTES
    numbers = range(count) if places is None else struct.unpack(f">{len(places) // 4}i", places)
    each = (marks[at * MARK_BYTES : (at + 1) * MARK_BYTES] for at in range(count))
    return {first + number: mark for number, mark in zip(numbers, each, strict=False)}


def _marks_there(rows: Rows) -> dict[int, bytes]:
    frame = rows.frame()
    return dict(zip(frame["place"].to_list(), frame["mark"].to_list(), strict=True))


def _some_rows(condition: ColumnElement[bool]) -> Select[int]:
    rows = select(audit.c.log_offset).where(audit.c.log == log_partition.c.id, condition)
    return select(rows.correlate(log_partition).limit(_MOST_NAMED).subquery().c.log_offset)


def _outside(connection: Connection) -> tuple[list[Finding], int]:
    """Return rows at places that were never consumed, and how many places no seal covers yet."""
    beyond = _some_rows(audit.c.log_offset >= log_partition.c.next_offset)
    before = _some_rows(audit.c.log_offset < log_partition.c.first_offset)
    never = union_all(beyond, before).lateral("never")
    rows = connection.execute(
        select(log_partition.c.topic, log_partition.c.partition, never.c.log_offset)
        .select_from(log_partition.join(never, true()))
        .where(log_partition.c.topic != JOB_LOG)
    )
    findings = [
        Finding(Wrong.INSERTED, f"{topic}/{partition}/{place}", "this place was never consumed")
        for topic, partition, place in rows
    ]
    ends = (
        select(seal.c.end_place)
        .where(seal.c.log == log_partition.c.id)
        .order_by(seal.c.first_place.desc())
        .limit(1)
        .scalar_subquery()
    )
    open_places = func.sum(log_partition.c.next_offset - func.coalesce(ends, log_partition.c.first_offset))
    unsealed = connection.execute(select(func.coalesce(open_places, 0)).where(log_partition.c.topic != JOB_LOG))
    return findings, int(unsealed.scalar_one())
