"""How the ledger looks: what became of the records, and how far the hub has read the log. Fits 100 columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.table import Table

from hub.cli.shared.duration import duration
from hub.cli.shared.screen import styled
from hub.log.places import Partition
from hub.model.outcomes import Outcome
from hub.operate.ledger.balance import LedgerRow
from hub.operate.log.ends import LogEnd, earliest
from hub.topology import CLOSED_MARK, merged_topics, subject_of

_HEADINGS = ("consumed", "applied", "super-\nseded", "dupli-\ncate", "stale", "parked", "rejec-\nted", "dead\nletter")


def ledger_table(rows: Sequence[LedgerRow]) -> Table:
    """Render ledger rows, topics by their subject; a zero is a dot, so that other numbers stand out."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("topic", no_wrap=True, overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("")
    for row in rows:
        counts = [row.consumed, *(row.outcomes[outcome] for outcome in Outcome)]
        mark = styled("[green]ok[/green]") if row.balanced else styled("[red]OFF[/red]")
        table.add_row(_name(row), *(f"{count:,}" if count else "·" for count in counts), mark)
    return table


def _name(row: LedgerRow) -> str:
    subject = subject_of(row.topic) + "".join(row.topic.partition(CLOSED_MARK)[1:])
    return subject if row.partition < 0 else f"{subject}/{row.partition}"


def positions_table(rows: Sequence[LedgerRow], ends: Mapping[Partition, LogEnd], now: datetime) -> Table:
    """Render how far the hub has read each partition: log begin and end, stored offset, lag."""
    table = Table(box=None, pad_edge=False)
    table.add_column("topic/partition", no_wrap=True, overflow="fold")
    for heading in ("log begins", "stored", "log ends", "lag", "oldest unread"):
        table.add_column(heading, justify="right")
    for row in rows:
        end = ends.get((row.topic, row.partition))
        if end is None:
            table.add_row(_name(row), "-", f"{row.next_offset:,}", "-", "-", "not on this Kafka")
            continue
        lag = end.lag(row.next_offset)
        numbers = (end.begin, row.next_offset, end.end, lag)
        age = (end.problem(row.next_offset) and styled("[red]LOST[/red]")) or duration(end.lag_s(now))
        table.add_row(_name(row), *(f"{number:,}" for number in numbers), age if lag or "LOST" in age else "·")
    return table


def lag_table(rows: Sequence[LedgerRow], ends: Mapping[Partition, LogEnd], now: datetime) -> Table:
    """Render the lag of each topic: records not read yet, in how many partitions, and since when the oldest waits."""
    table = Table(box=None, pad_edge=False)
    table.add_column("behind", no_wrap=True, overflow="fold")
    for heading in ("records", "partitions", "oldest unread"):
        table.add_column(heading, justify="right")
    for topic in dict.fromkeys(row.topic for row in rows):
        mine = [(row, ends[row.topic, row.partition]) for row in rows if row.topic == topic and _key(row) in ends]
        behind = [(end.lag(row.next_offset), end) for row, end in mine if end.lag(row.next_offset)]
        if not behind:
            continue
        oldest = LogEnd(0, 0, earliest([end.unread_since for _, end in behind])).lag_s(now)
        table.add_row(subject_of(topic), f"{sum(lag for lag, _ in behind):,}", str(len(behind)), duration(oldest))
    return table


def _key(row: LedgerRow) -> Partition:
    return row.topic, row.partition


def held_back(rows: Sequence[LedgerRow], ends: Mapping[Partition, LogEnd]) -> list[str]:
    """Name the partitions in which an open transaction of a producer hides all that follows its first record."""
    waiting = [(row, ends[_key(row)]) for row in rows if _key(row) in ends and ends[_key(row)].held_back]
    return [
        f"{row.topic}/{row.partition}/{end.end}: a producer's transaction is open; {end.held_back:,} offsets from "
        "there on wait for its end"
        for row, end in waiting
    ]


def not_on_kafka(rows: Sequence[LedgerRow], ends: Mapping[Partition, LogEnd]) -> list[str]:
    """Name the event topics that the hub has read and Kafka lacks, in whole or in part; none while Kafka is away."""
    if not ends:
        return []
    missing = Counter(row.topic for row in rows if row.topic in merged_topics() and _key(row) not in ends)
    return [
        f"{topic}: not on Kafka ({count} partitions): nothing of it is read; find out who deleted it, then "
        "`hub topics ensure --execute` creates it again"
        for topic, count in missing.items()
    ]


def position_problems(rows: Sequence[LedgerRow], ends: Mapping[Partition, LogEnd]) -> list[str]:
    """Name the partitions whose stored offset the log does not hold."""
    said = [(row, ends[_key(row)].problem(row.next_offset)) for row in rows if _key(row) in ends]
    return [f"{row.topic}/{row.partition}: {problem}" for row, problem in said if problem]
