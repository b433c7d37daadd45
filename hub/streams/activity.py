"""Liveness of sources, kept by a Faust agent: how many events each source sent, when it last spoke, how late it was.

The intake sends one small event per source and committed batch; the agent adds them up in a table whose changelog
survives the worker. It is a view for operators, not part of the truth: a batch whose announcement is lost is missing
from the counts and nowhere else.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

import faust
import polars as pl
from aiokafka.errors import KafkaError

from hub.topology import SOURCE_ACTIVITY_PARTITIONS, SOURCE_ACTIVITY_TOPIC
from hub.warehouse.batch import Batch

_log = logging.getLogger(__name__)

_MOST_WAITING = 1_000
"""Announcements kept while the broker does not take them; what comes on top is left out."""


@dataclass(frozen=True, slots=True)
class Activity:
    """The agent's topic and table, and the announcements to come."""

    topic: Any
    table: Any
    waiting: "asyncio.Queue[dict[str, Any]]"

    def announce(self, batch: Batch) -> None:
        """Take note of a committed batch; never waits for the broker."""
        for seen in activity_of(batch):
            if not self.waiting.full():
                self.waiting.put_nowait(seen)

    async def run(self) -> None:
        """Send the announcements, for ever; one that the broker does not take is left out."""
        while True:
            seen = await self.waiting.get()
            try:
                await self.topic.send(key=seen["source"], value=seen)
            except KafkaError as error:
                _log.info("a source's activity was not announced (%s)", type(error).__name__)


def add_activity(app: faust.App) -> Activity:
    """Add the agent that keeps the table of sources."""
    topic = app.topic(SOURCE_ACTIVITY_TOPIC, key_type=str, key_serializer="raw", value_serializer="json")
    table = app.Table("sources", key_type=str, partitions=SOURCE_ACTIVITY_PARTITIONS)

    @app.agent(topic)
    async def keep_sources(events: Any) -> None:
        async for event in events:
            table[event["source"]] = added(table.get(event["source"]), event)

    return Activity(topic, table, asyncio.Queue(_MOST_WAITING))


def added(before: dict[str, Any] | None, event: dict[str, Any]) -> dict[str, Any]:
    """Add one announcement to what is known of a source."""
    known = before or {"events": 0, "newest_occurred_at": None}
    newest = max(filter(None, (known["newest_occurred_at"], event["newest_occurred_at"])), default=None)
    return {
        "events": known["events"] + event["events"],
        "newest_occurred_at": newest,
        "last_seen_at": event["seen_at"],
    }


def activity_of(batch: Batch) -> list[dict[str, Any]]:
    """Return one announcement per source in a batch; times in seconds since the epoch."""
    frames = [accepted.frame.select("source_system", "occurred_at") for accepted in batch.accepted]
    if not frames:
        return []
    seen_at = time.time()
    counted = pl.concat(frames).group_by("source_system").agg(pl.len(), pl.col("occurred_at").max())
    return [
        {"source": source, "events": count, "newest_occurred_at": newest.timestamp(), "seen_at": seen_at}
        for source, count, newest in counted.sort("source_system").iter_rows()
    ]
