"""Names and settings of everything on Kafka: topics, consumer groups, headers. Each name exists here, once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.model.declaration import Entity
from hub.model.entities import ENTITIES, SUBJECTS

WORKER_APP = "hub.worker"
"""Name of the Faust app: the group of its agents, and the first part of its changelogs' names."""

SOURCE_ACTIVITY_TOPIC = "hub.source.activity.v1"
"""What each committed batch held of each source; from it the worker's agents compute the sources' activity."""

SOURCE_ACTIVITY_PARTITIONS = 1
"""A few small events a second; the agents' table and its changelog must have the same number of partitions."""

HEARTBEAT_TOPIC = "hub.heartbeat.v1"
"""Heartbeats of connectors, every few seconds: they have no access to the warehouse. Compacted by source."""

HEAD_SUBJECT = "evidence.head"
HEAD_TOPIC = f"hub.{HEAD_SUBJECT}.v1"
"""Signed ends of the audit log's chains, kept forever: a rewritten audit log does not match them."""

MAX_RECORD_BYTES = 1_048_576
"""A larger event is dead-lettered as TOO_LARGE without being decoded."""

MAX_KEPT_KEY_BYTES = 1_024
"""A longer key of a dead letter is not stored: the hub's own keys have 16 bytes."""

MAX_LOG_RECORD_BYTES = 16 * 1_048_576
"""The limit of the event topics: an oversized record gets an outcome instead of failing unseen at its producer."""

MAX_SHARED_BYTES = 4 * 1_048_576
"""The limit of the topics that share writes: the largest dead letter, or a record made from several large events."""

HEADER_REASON = "hub.reason"
HEADER_ORIGIN = "hub.origin"
"""``<topic>/<partition>/<offset>`` of the record from which a dead letter or redriven event came."""

HEADER_PUBLISHED_AT = "hub.published_at"
"""When share read what it published, by the warehouse's clock: the record contains all that was committed before."""

HEADER_POSITION = "hub.position"
"""``<topic>/<partition>/<offset>`` of the newest row of the audit log that changed a published record."""


CLOSED_MARK = "~"
"""``<topic>~<part of its id>``: the warehouse's name for the log of a topic that was deleted and recreated since."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the hub wants it: name, partitions and topic-level configuration."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


def event_topic(subject: str) -> str:
    """Return the topic of a subject: ``citizen.changed`` is on ``hub.citizen.changed.v1``."""
    return f"hub.{subject}.v1"


def subject_of(topic: str) -> str:
    """Return the subject of an event topic, the inverse of ``event_topic``; a closed log has its topic's subject."""
    return topic.partition(CLOSED_MARK)[0].removeprefix("hub.").removesuffix(".v1")


def closed_name(topic: str, mark: str) -> str:
    """Return the name of a topic's closed log."""
    return f"{topic}{CLOSED_MARK}{mark}"


def is_closed(topic: str) -> bool:
    """Tell whether this names a log that Kafka no longer has and that was closed (hub.operate.log.new_log)."""
    return CLOSED_MARK in topic


def dead_letter_topic(topic: str) -> str:
    """Return the topic for copies of a topic's dead letters."""
    return f"{topic.partition(CLOSED_MARK)[0]}.dlq"


def record_topic(entity: Entity) -> str:
    """Return the compacted topic of an entity's golden records."""
    return f"hub.{entity.name}.record.v1"


FLAG_RECORDS = "flag"
"""The name of standing flags among the published records; they belong to no entity."""

FLAG_TOPIC = "hub.flag.record.v1"
"""Compacted: standing flags (hub.reconcile.rules.people.death_flags); a tombstone when one closes."""


def record_topics() -> dict[str, str]:
    """Return the compacted topics that share writes, by the name of their content."""
    return {entity.name: record_topic(entity) for entity in ENTITIES if entity.record_topic} | {
        FLAG_RECORDS: FLAG_TOPIC
    }


_LETTERS = ".dlq"


def shared_topics() -> dict[str, str]:
    """Return every topic that share writes, by the name of its content: ``citizen``, ``citizen.changed.dlq``."""
    return record_topics() | {f"{subject}{_LETTERS}": dead_letter_topic(event_topic(subject)) for subject in SUBJECTS}


def topic_of_letters(name: str) -> str:
    """Return the event topic of the dead letters that a name of ``shared_topics`` means."""
    return event_topic(name.removesuffix(_LETTERS))


def all_subjects() -> tuple[str, ...]:
    """Return every subject that has a schema."""
    return tuple(SUBJECTS)


def merged_topics() -> tuple[str, ...]:
    """Return the event topics to which the worker subscribes: those that feed an entity."""
    return tuple(event_topic(subject) for subject in SUBJECTS)


def topics(partitions: int) -> tuple[Topic, ...]:
    """Return every topic; event topics have ``partitions`` partitions each."""
    events = [
        Topic(
            event_topic(subject),
            partitions,
            {"retention.ms": "-1", "max.message.bytes": str(MAX_LOG_RECORD_BYTES), "cleanup.policy": "delete"},
        )
        for subject in all_subjects()
    ]
    dead = [
        Topic(dead_letter_topic(topic.name), 1, {"retention.ms": "-1", "max.message.bytes": str(MAX_SHARED_BYTES)})
        for topic in events
    ]
    records = [
        Topic(name, partitions, {"cleanup.policy": "compact", "max.message.bytes": str(MAX_SHARED_BYTES)})
        for name in record_topics().values()
    ]
    activity = Topic(SOURCE_ACTIVITY_TOPIC, SOURCE_ACTIVITY_PARTITIONS, {"retention.ms": str(24 * 3600 * 1000)})
    beats = Topic(HEARTBEAT_TOPIC, 1, {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"})
    heads = Topic(
        HEAD_TOPIC, 1, {"retention.ms": "-1", "cleanup.policy": "delete", "max.message.bytes": str(MAX_SHARED_BYTES)}
    )
    return (*events, *dead, *records, activity, beats, heads)
