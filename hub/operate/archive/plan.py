"""What can be archived from the event topics, and what may then be deleted from them.

Only what the live warehouse has made durable is archived. Only what is archived and what no open replay still reads
may be deleted. Nothing beyond the stored offset is ever deleted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Connection, Engine, func, inspect, select

from hub.log.places import Partition
from hub.log.reader import log_reader
from hub.log.topic_ids import created_again
from hub.model.errors import ConfigError
from hub.model.replay_state import ReplayState
from hub.operate.archive.files import read_manifests
from hub.operate.archive.reader import archived_until
from hub.reconcile.ledger.accounts import Account, read_accounts
from hub.topology import CLOSED_MARK, is_closed
from hub.warehouse.database import translated_errors
from hub.warehouse.lost_offsets import LostOffsets, lost_on_record
from hub.warehouse.offsets import read_positions
from hub.warehouse.tables.replays import replay, replay_position

_CLOSED = (ReplayState.SWITCHED, ReplayState.UNDONE, ReplayState.CANCELLED, ReplayState.DROPPED)
"""States of replays that read nothing any more."""


@dataclass(frozen=True, slots=True)
class ArchiveStretch:
    """One log partition.

    Fields:
        first, end: what a run would archive: ``first <= offset < end``; nothing if they are equal.
        log_begin: the first offset that the topic holds.
        stored: the stored offset of the live warehouse.
        held_by: records from this offset on must stay for an open replay; None: no replay needs any.
        lost: number of offsets between the archive's end and the topic's beginning: neither holds them, and it is not
            on record that the log had lost them before the hub read them.
        lost_before: number of offsets directly before ``first`` of which that is on record.
        topic_id: Kafka's id of the topic of these offsets; None: the hub never learned it.
    """

    topic: str
    partition: int
    first: int
    end: int
    log_begin: int
    stored: int
    held_by: int | None = None
    lost: int = 0
    topic_id: str | None = None
    lost_before: int = 0

    @property
    def place(self) -> str:
        """Return ``topic/partition``."""
        return f"{self.topic}/{self.partition}"

    def deletable(self, archived_end: int) -> int:
        """Return the offset before which records may be deleted, once the archive reaches ``archived_end``."""
        bounds = [archived_end, self.stored, *([] if self.held_by is None else [self.held_by])]
        return max(self.log_begin, min(bounds))


def plan_archive(
    engine: Engine, bootstrap: str, archive: Path, older_than: timedelta, topics: Collection[str] = ()
) -> list[ArchiveStretch]:
    """Return what a run would do with each log partition that the hub has read.

    Args:
        engine: of the warehouse.
        bootstrap: Kafka brokers.
        archive: folder of the archive.
        older_than: only records that were appended longer ago than this.
        topics: only these; empty: all event topics.

    Raises:
        UnreachableError: Kafka or the database does not answer.
        DamagedArchiveError: a manifest cannot be read.
        ConfigError: the archive holds files of a closed log under the name of the new log; a topic was created again,
            and its new log is not accepted.
    """
    with translated_errors("planning what to archive"), engine.connect() as connection:
        accounts = [one for one in read_accounts(connection) if not topics or one.topic in topics]
        held = _held_by_replays(connection)
        ids = _checked_ids(connection, archive, accounts)
        gaps = lost_on_record(connection)
    known = {topic: UUID(topic_id) for (topic, _), topic_id in ids.items() if not is_closed(topic)}
    wanted = {one.topic for one in accounts}
    if others := created_again(bootstrap, {topic: known[topic] for topic in wanted & known.keys()}):
        raise ConfigError(
            [
                f"{topic} was deleted and created again, and the hub has not read the new log: accept it first "
                f"(`hub offsets accept {topic}`), or name other topics with --topic"
                for topic in sorted(others)
            ]
        )
    until = datetime.now(UTC) - older_than
    with log_reader(bootstrap) as consumer:
        there = [one for one in accounts if one.partition in (consumer.partitions_for_topic(one.topic) or ())]
        places = {TopicPartition(one.topic, one.partition): one for one in there}
        begins = consumer.beginning_offsets(list(places)) if places else {}
        aged = _ends_of_age(consumer, places, until)
        stretches = [_stretch(one, begins[place], aged[place], archive, held, gaps) for place, one in places.items()]
        return [replace(one, topic_id=ids.get((one.topic, one.partition))) for one in stretches]


def _checked_ids(connection: Connection, archive: Path, accounts: Sequence[Account]) -> dict[tuple[str, int], str]:
    """Return topics' ids; raises ConfigError if the archive holds files of another log under a current name."""
    ids = {place: str(one.topic_id) for place, one in read_positions(connection).items() if one.topic_id}
    closed = {(place[0].partition(CLOSED_MARK)[0], place[1]): place[0] for place in ids if is_closed(place[0])}
    for one in accounts:
        place = one.topic, one.partition
        written = {of.topic_id for of in read_manifests(archive, *place)} if place in closed else set()
        if written - {ids.get(place)}:
            raise ConfigError(
                [
                    f"the archive {archive} holds files of {one.place} from before its topic was created again: move "
                    f"them with `hub offsets accept {one.topic} --archived-as {closed[place]} --execute`"
                ]
            )
    return ids


def _stretch(
    account: Account,
    begin: int,
    aged: int,
    archive: Path,
    held: Mapping[int, int],
    gaps: Sequence[LostOffsets],
) -> ArchiveStretch:
    place = account.topic, account.partition
    mine = [one for one in gaps if one.log == account.log]
    done = archived_until(archive, *place, begin)
    first = max(begin, done)
    end = max(first, min(account.next_offset, aged))
    lost_before = sum(one.end - one.first for one in mine if one.end == first)
    lost = max(0, begin - _accounted_until(archive, place, account.first_offset, mine)) if done == begin else 0
    return ArchiveStretch(
        *place, first, end, begin, account.next_offset, held.get(account.log), lost, lost_before=lost_before
    )


def _accounted_until(archive: Path, place: Partition, first: int, gaps: Sequence[LostOffsets]) -> int:
    """Return the offset up to which the archive holds everything from ``first`` on; lost offsets on record count."""
    at, until = -1, first
    while until != at:
        at, until = until, archived_until(archive, *place, until)
        until = next((one.end for one in gaps if one.first <= until < one.end), until)
    return until


def _ends_of_age(
    consumer: KafkaConsumer, places: Mapping[TopicPartition, Account], until: datetime
) -> dict[TopicPartition, int]:
    """Return each partition's first offset that is too young; its end if all records are old enough."""
    if not places:
        return {}
    young = consumer.offsets_for_times(dict.fromkeys(places, int(until.timestamp() * 1000)))
    ends = consumer.end_offsets(list(places))
    found = {place: young.get(place) for place in places}
    return {place: ends[place] if at is None else at.offset for place, at in found.items()}


def _held_by_replays(connection: Connection) -> dict[int, int]:
    """Return, by log partition, the lowest offset that an open replay still has to read."""
    if not inspect(connection).has_table(replay_position.name):
        return {}
    rows = connection.execute(
        select(replay_position.c.log, func.min(replay_position.c.next_offset))
        .join(replay, replay.c.id == replay_position.c.replay)
        .where(replay.c.state.not_in([state.value for state in _CLOSED]))
        .group_by(replay_position.c.log)
    )
    return {log: int(lowest) for log, lowest in rows}
