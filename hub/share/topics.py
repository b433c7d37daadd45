"""The topics that share fills, with the id that Kafka gave each: a topic that is deleted and recreated has a new id.

All records of a key are in one partition. So share uses only the partitions that a topic had when it was first filled.
Partitions added later stay empty until the topic is recreated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hub.model.alerts import RECORD_TOPIC_ANEW
from hub.topology import shared_topics
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.tables.share import share_topic

if TYPE_CHECKING:  # Kafka's client: commands that ask the warehouse only do without it
    from hub.log.topic_ids import TopicFound


@dataclass(frozen=True, slots=True)
class TopicMadeAnew:
    """A topic that is not the one share has filled; ``name`` is the argument of ``hub share republish``."""

    topic: str
    name: str
    known: UUID
    found: UUID


@dataclass(frozen=True, slots=True)
class Added:
    """Partitions were added to a topic: records stay in the first ``kept`` of ``there``."""

    topic: str
    kept: int
    there: int

    def __str__(self) -> str:
        return (
            f"{self.topic} has {self.there} partitions now: records stay in the first {self.kept}, so that each key "
            "stays in its own; to fill all: delete the topic, create it again and `hub share republish` it"
        )


def compare_topics(connection: Connection, found: "Mapping[str, TopicFound]") -> list[TopicMadeAnew]:
    """Store topics that are seen for the first time; return those whose id differs from the known one.

    Each of these has an open alert until its content is published again.
    """
    known = {row.topic: (row.topic_id, row.partitions_there) for row in connection.execute(select(share_topic))}
    for topic, now in sorted(found.items()):
        if known.get(topic) != (now.topic_id, now.partitions):
            _keep(connection, topic, now)
    anew = made_anew(connection, {topic: now.topic_id for topic, now in found.items()})
    for one in anew:
        raise_alert(connection, RECORD_TOPIC_ANEW, one.topic, words_of(one))
    clear_alert(connection, RECORD_TOPIC_ANEW, but=[one.topic for one in anew] + _not_seen(connection, found))
    return anew


def _keep(connection: Connection, topic: str, found: "TopicFound") -> None:
    """Store a topic as found, if it is new; what is known of another topic of that name does not change."""
    keeping = insert(share_topic).values(
        topic=topic, topic_id=found.topic_id, partitions=found.partitions, partitions_there=found.partitions
    )
    table, new = share_topic.c, keeping.excluded
    connection.execute(
        keeping.on_conflict_do_update(
            index_elements=["topic"],
            set_={
                "partitions": func.coalesce(table.partitions, new.partitions),
                "partitions_there": new.partitions_there,
            },
            where=table.topic_id == new.topic_id,
        )
    )


def partitions_kept(connection: Connection, found: "Mapping[str, TopicFound]") -> dict[str, int]:
    """Return how many partitions of each existing topic share fills."""
    known = {
        row.topic: row.partitions
        for row in connection.execute(select(share_topic))
        if row.topic in found and row.topic_id == found[row.topic].topic_id and row.partitions
    }
    return {topic: min(one.partitions, known.get(topic, one.partitions)) for topic, one in found.items()}


def partitions_added(connection: Connection) -> list[Added]:
    """Return the topics that have more partitions than share fills."""
    table = share_topic.c
    more = select(table.topic, table.partitions, table.partitions_there).where(
        table.partitions < table.partitions_there
    )
    return [Added(*row) for row in connection.execute(more.order_by(table.topic))]


def made_anew(connection: Connection, found: Mapping[str, UUID]) -> list[TopicMadeAnew]:
    """Return the topics whose id differs from the known one."""
    names = {topic: name for name, topic in shared_topics().items()}
    rows = connection.execute(select(share_topic.c.topic, share_topic.c.topic_id).order_by(share_topic.c.topic))
    return [
        TopicMadeAnew(topic, names[topic], known, found[topic])
        for topic, known in rows
        if topic in names and topic in found and found[topic] != known
    ]


def words_of(anew: TopicMadeAnew) -> str:
    """Return the alert's text: both ids, and the command that fills the topic again."""
    return (
        f"the topic has the id {anew.found}, and share has filled {anew.known}: it was deleted and created again; "
        f"hub share republish {anew.name} --execute --reason TEXT publishes all of it again"
    )


def accept_id(connection: Connection, topic: str, topic_id: UUID) -> None:
    """Store that the topic with this id holds all that share has published; the next look learns its partitions."""
    connection.execute(
        update(share_topic)
        .where(share_topic.c.topic == topic, share_topic.c.topic_id != topic_id)
        .values(topic_id=topic_id, partitions=None, partitions_there=None)
    )


def _not_seen(connection: Connection, found: "Mapping[str, TopicFound]") -> list[str]:
    """Return known topics that do not exist now: whether they are recreated is not known yet."""
    return [topic for topic in connection.execute(select(share_topic.c.topic)).scalars() if topic not in found]
