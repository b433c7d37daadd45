"""Decide where the intake may read: compare the stored offsets with the log on Kafka.

If a stored offset does not belong to its log, that partition is stopped; the others continue.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from hub.intake.broker.log import Taken, bounds
from hub.intake.faults.storms import Storms
from hub.intake.lanes import Lanes
from hub.intake.patience import Patience
from hub.intake.status import Errand
from hub.log.odd import OddRecord
from hub.log.places import Partition
from hub.log.reader import written_ends
from hub.log.topic_ids import TopicIds
from hub.model.errors import UnreachableError
from hub.model.stop_causes import StopCause
from hub.warehouse.offsets import LogFound, Position
from hub.warehouse.stops import Stop

_Result = TypeVar("_Result")
ReadPositions = Callable[[Mapping[Partition, LogFound]], Mapping[Partition, Position]]
"""Gives the stored positions of partitions, given the log as it is now; blocks and raises UnreachableError."""

LOOK_EVERY_S = 1.0
"""How often the topics' ids are read while records flow: a topic can be deleted and recreated while it is read."""


class LogLook:
    """Asks the broker about partitions. Its blocking calls run in its own thread."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._ids = TopicIds(bootstrap)
        self._thread = ThreadPoolExecutor(1, "topic-ids")

    async def found(
        self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
    ) -> dict[Partition, LogFound]:
        """Return where the log of each partition begins and ends, and its topic's id.

        Raises:
            UnreachableError: the broker does not answer.
        """
        begins, ends = await bounds(consumer, list(partitions))
        ids = await self._call(self._ids.read, {one.topic for one in partitions})
        return {tuple(one): LogFound(begins[one], ends[one], ids.get(one.topic)) for one in partitions}

    async def written_ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where partitions end, with the records of open transactions included.

        Raises:
            UnreachableError: the broker does not answer.
        """
        ends = await self._call(written_ends, self._bootstrap, list(partitions))
        return {TopicPartition(*one): end for one, end in ends.items()}

    async def are_other_logs(self, positions: Mapping[TopicPartition, Position]) -> bool:
        """Tell whether any stored offset belongs to a topic that no longer exists.

        Raises:
            UnreachableError: the broker does not answer.
        """
        known = {one.topic: position.topic_id for one, position in positions.items() if position.topic_id}
        ids = await self._call(self._ids.read, known)
        return any(found != known[topic] for topic, found in ids.items())

    async def _call(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def close(self) -> None:
        """Disconnect from the broker. Blocks."""
        self._thread.submit(self._ids.close)
        self._thread.shutdown(wait=True)


@dataclass(frozen=True, slots=True)
class Placed:
    """The positions from which partitions are read, and the partitions that must not be read."""

    positions: Mapping[TopicPartition, Position]
    wrong: Sequence[Stop]


class Placer:
    """Finds the positions of the assigned partitions, and the new stops among them."""

    def __init__(self, bootstrap: str, place: ReadPositions, storms: Storms, lanes: Lanes, patience: Patience) -> None:
        """Take what it works with; ``place`` gives stored positions and blocks (hub.intake.warehouse_port.Store)."""
        self._log = LogLook(bootstrap)
        self._place = place
        self._storms = storms
        self._lanes = lanes
        self._patience = patience

    async def placed(
        self, consumer: AIOKafkaConsumer, assigned: Sequence[TopicPartition], is_wanted: Callable[[], bool]
    ) -> Placed:
        """Return the positions of some partitions; waits for the servers while the partitions are wanted.

        Raises:
            ConcurrentUpdateError: they are not wanted any more.
        """
        found = await self._patience.until_done(Errand.PLACE, lambda: self._log.found(consumer, assigned), is_wanted)
        async with self._lanes.quiet():
            stored = await self._patience.until_done(
                Errand.PLACE, lambda: self._lanes.express.in_thread(self._stored, found)
            )
        beyond = [tp for tp in assigned if stored[tp].next_offset > found[tp].end]
        ends = {tp: found[tp].end for tp in assigned}
        if beyond:
            ends |= await self._patience.until_done(Errand.PLACE, lambda: self._log.written_ends(beyond), is_wanted)
        wrong = [
            self._stop(stored[tp], *why)
            for tp in assigned
            if tp not in self._storms.standing and (why := what_is_wrong(stored[tp], found[tp], ends[tp])) is not None
        ]
        return Placed({tp: stored[tp] for tp in assigned}, wrong)

    def _stored(self, found: Mapping[Partition, LogFound]) -> Mapping[Partition, Position]:
        stored = self._place(found)
        self._storms.begin(stored)
        return stored

    async def look_for_other_logs(
        self, flowing: Callable[[], Mapping[TopicPartition, Position]], on_other: Callable[[], None]
    ) -> None:
        """Call ``on_other`` if a topic was recreated while it was read: its id is different."""
        # Another chore reports that the broker is unreachable (hub.intake.broker.calls).
        with suppress(UnreachableError):
            if await self._log.are_other_logs(flowing()):
                on_other()

    def damaged(self, found: Sequence[Taken]) -> list[Stop]:
        """Return the stops of the partitions whose log holds bytes that are not records."""
        return [self._stop(one.position, StopCause.DAMAGED_BATCH, _damage(one.damage)) for one in found if one.damage]

    def _stop(self, position: Position, cause: StopCause, why: str) -> Stop:
        at, store = position.next_offset, self._storms.store
        return Stop(position.topic, position.partition, at, at, why, {}, store.limits, store.worker, cause=cause)

    def close(self) -> None:
        """Disconnect from the broker. Blocks."""
        self._log.close()


def _damage(damage: OddRecord) -> str:
    place = f"{damage.topic}/{damage.partition}"
    return f"{place}: {damage.why}; to skip it on record: `hub offsets plan {place} --to {damage.end}`"


def what_is_wrong(position: Position, found: LogFound, written_end: int) -> tuple[StopCause, str] | None:
    """Return why a partition must not be read from its stored offset, and what to do; None if it may be read."""
    place, stored = f"{position.topic}/{position.partition}", position.next_offset
    if position.topic_id and found.topic_id and position.topic_id != found.topic_id:
        return StopCause.TOPIC_MADE_ANEW, (
            f"{place}: the topic was deleted and created again (id {found.topic_id}, the stored offset is of "
            f"{position.topic_id}): if that is right, read the new log from its beginning: "
            f"`hub offsets accept {position.topic}`"
        )
    if stored < found.begin:
        return StopCause.LOST_RANGE, (
            f"{place}: the log begins at {found.begin}, after the stored offset {stored}: "
            f"{found.begin - stored} records would be skipped; restore them, or skip them on record: "
            f"`hub offsets plan {place} --to begin`"
        )
    if stored > written_end:
        return StopCause.LOST_RANGE, (
            f"{place}: the log ends at {written_end}, before the stored offset {stored}: "
            "this is not the log the warehouse was built from"
        )
    return None
