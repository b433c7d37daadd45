"""The topics that share fills, by the id that Kafka gave each: one that is deleted and made anew has another id."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from hub.model.alerts import RECORD_TOPIC_ANEW
from hub.topology import shared_topics
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.tables.share import share_topic


@dataclass(frozen=True, slots=True)
class TopicMadeAnew:
    """A topic that is not the one share has filled: ``name`` is what ``hub share republish`` calls its content."""

    topic: str
    name: str
    known: UUID
    found: UUID


def compare_ids(connection: Connection, found: Mapping[str, UUID]) -> list[TopicMadeAnew]:
    """Keep the ids of topics that are seen for the first time; return those whose id is another than the one known.

    An alert is open for each of these, until its content is published again.
    """
    if found:
        rows = [{"topic": topic, "topic_id": topic_id} for topic, topic_id in sorted(found.items())]
        connection.execute(insert(share_topic).on_conflict_do_nothing(), rows)
    anew = made_anew(connection, found)
    for one in anew:
        raise_alert(connection, RECORD_TOPIC_ANEW, one.topic, words_of(one))
    clear_alert(connection, RECORD_TOPIC_ANEW, but=[one.topic for one in anew] + _not_seen(connection, found))
    return anew


def made_anew(connection: Connection, found: Mapping[str, UUID]) -> list[TopicMadeAnew]:
    """Return the topics whose id is another than the one known."""
    names = {topic: name for name, topic in shared_topics().items()}
    rows = connection.execute(select(share_topic.c.topic, share_topic.c.topic_id).order_by(share_topic.c.topic))
    return [
        TopicMadeAnew(topic, names[topic], known, found[topic])
        for topic, known in rows
        if topic in names and topic in found and found[topic] != known
    ]


def words_of(anew: TopicMadeAnew) -> str:
    """Say what is known and which command fills the topic again."""
    return (
        f"the topic has the id {anew.found}, and share has filled {anew.known}: it was deleted and made anew; "
        f"hub share republish {anew.name} --execute --reason TEXT publishes all of it again"
    )


def accept_id(connection: Connection, topic: str, topic_id: UUID) -> None:
    """Note that the topic of that id holds all that share has published."""
    keeping = insert(share_topic).values(topic=topic, topic_id=topic_id)
    connection.execute(
        keeping.on_conflict_do_update(index_elements=["topic"], set_={"topic_id": keeping.excluded.topic_id})
    )


def _not_seen(connection: Connection, found: Mapping[str, UUID]) -> list[str]:
    """Return known topics that are not there now: whether they are made anew is not known yet."""
    return [topic for topic in connection.execute(select(share_topic.c.topic)).scalars() if topic not in found]
