"""Activity of sources, kept by a Faust agent: how many events each source sent, when it last sent, and how late.

Once a second the intake sends one small event per source about what was committed since. The agent adds them up in a
table; its changelog survives the worker. The table is a view for operators only. If an announcement is lost, its batch
is missing from these counts and nowhere else.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import faust
import polars as pl
from aiokafka.errors import KafkaError

from hub.topology import SOURCE_ACTIVITY_PARTITIONS, SOURCE_ACTIVITY_TOPIC
from hub.warehouse.batch import Batch
from hub.worker.own_topics import parsed

_log = logging.getLogger(__name__)

ANNOUNCE_EVERY_S = 1.0
MOST_ROWS = 1_000_000
"""Maximum number of rows kept until they are announced, about 24 MB. While the broker refuses announcements, the oldest
rows are dropped.
"""
MOST_SOURCES = 10_000
"""Maximum number of sources in the table: anybody who may write announcements may name any source."""
_SAID = ("source", "events", "newest_occurred_at", "seen_at")
_LONGEST_SOURCE = 200
_LAST_TIME = 2**40


@dataclass(frozen=True, slots=True)
class Activity:
    """The agent's topic and table, and the batches that are not announced yet."""

    topic: Any
    table: Any
    waiting: deque[pl.DataFrame] = field(default_factory=lambda: deque(maxlen=1_000))

    def announce(self, batch: Batch) -> None:
        """Note a committed batch; this costs the caller almost nothing."""
        self.waiting.extend(accepted.frame[["source_system", "occurred_at"]] for accepted in batch.accepted)
        while sum(frame.height for frame in self.waiting) > MOST_ROWS:
            self.waiting.popleft()

    async def send(self) -> None:
        """Send the announcements; one that the broker refuses is dropped."""
        frames = [self.waiting.popleft() for _ in range(len(self.waiting))]
        for seen in activity_of(frames):
            try:
                await self.topic.send(key=seen["source"].encode(), value=json.dumps(seen).encode())
            except KafkaError as error:
                _log.info("a source's activity was not announced (%s)", type(error).__name__)


def add_activity(app: faust.App) -> Activity:
    """Add the agent that keeps the table of sources."""
    topic = app.topic(
        SOURCE_ACTIVITY_TOPIC, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    table = app.Table("sources", key_type=str, partitions=SOURCE_ACTIVITY_PARTITIONS)

    @app.agent(topic)
    async def keep_sources(events: Any) -> None:
        async for event in events:
            seen = seen_in(event)
            if seen is not None and (seen["source"] in table or len(table) < MOST_SOURCES):
                table[seen["source"]] = added(table.get(seen["source"]), seen)

    return Activity(topic, table)


def seen_in(value: bytes | None) -> dict[str, Any] | None:
    """Return an announcement, or None if the value is not one: whoever may write to the topic may write anything."""
    said = parsed(value)
    if not isinstance(said, dict):
        return None
    source, events, newest, seen_at = (said.get(name) for name in _SAID)
    if not isinstance(source, str) or type(events) is not int or not _is_time(seen_at):
        return None
    return said if len(source) <= _LONGEST_SOURCE and (newest is None or _is_time(newest)) else None


def _is_time(said: object) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool) and abs(said) < _LAST_TIME


def added(before: dict[str, Any] | None, event: dict[str, Any]) -> dict[str, Any]:
    """Add one announcement to what is known of a source."""
    known = before or {"events": 0, "newest_occurred_at": None}
    newest = max(filter(None, (known["newest_occurred_at"], event["newest_occurred_at"])), default=None)
    return {
        "events": known["events"] + event["events"],
        "newest_occurred_at": newest,
        "last_seen_at": event["seen_at"],
    }


def activity_of(frames: Sequence[pl.DataFrame]) -> list[dict[str, Any]]:
    """Return one announcement per source in some batches' rows; times in seconds since the epoch.

    Args:
        frames: with ``source_system`` and ``occurred_at``.
    """
    if not frames:
        return []
    seen_at = time.time()
    counted = pl.concat(frames).group_by("source_system").agg(pl.len(), pl.col("occurred_at").max())
    return [
        {"source": source, "events": count, "newest_occurred_at": newest.timestamp(), "seen_at": seen_at}
        for source, count, newest in counted.sort("source_system").iter_rows()
    ]
