"""The id that Kafka gives a topic when it is created: a topic that is deleted and recreated gets a new id.

Offsets are valid in one log only. Whoever stores an offset stores the topic's id with it, and reads the id again before
the offset is used.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from kafka.errors import KafkaError

from hub.log.clients import open_admin
from hub.model.errors import UnreachableError

_NO_SUCH_TOPIC = 3
"""Kafka's error number for: the brokers have no topic of that name."""


@dataclass(frozen=True, slots=True)
class TopicFound:
    """A topic on the cluster: its id and its number of partitions."""

    topic_id: UUID
    partitions: int


class TopicIds:
    """Reads topics' ids of one cluster, through a connection that stays open between calls.

    Calls block. Used from one thread at a time; use it as a context manager, or ``close`` it.
    """

    def __init__(self, bootstrap: str) -> None:
        """Take the Kafka brokers' addresses; no connection is opened yet."""
        self._bootstrap = bootstrap
        self._client: Any = None

    def read(self, topics: Collection[str]) -> dict[str, UUID]:
        """Return the ids of some topics by name. A topic that does not exist or has no id is left out.

        Raises:
            UnreachableError: no broker answers.
        """
        return {name: found.topic_id for name, found in self.describe(topics).items()}

    def describe(self, topics: Collection[str]) -> dict[str, TopicFound]:
        """Return some topics by name; for those left out and the errors see ``read``."""
        told = [one for one in self._told(topics) if one["topic_id"] and not one["error_code"]]
        found = {one["name"]: TopicFound(UUID(str(one["topic_id"])), len(one["partitions"])) for one in told}
        return {name: one for name, one in found.items() if one.topic_id.int}

    def absent(self, topics: Collection[str]) -> set[str]:
        """Return the topics that do not exist, according to the brokers; raises as ``read``."""
        return {one["name"] for one in self._told(topics) if one["error_code"] == _NO_SUCH_TOPIC}

    def _told(self, topics: Collection[str]) -> list[Mapping[str, Any]]:
        if not topics:
            return []
        if self._client is None:
            self._client = open_admin(self._bootstrap)
        try:
            return list(self._client.describe_topics(sorted(topics)))
        except KafkaError as error:
            self.close()
            raise UnreachableError(f"no Kafka broker at {self._bootstrap} answers with the ids of topics") from error

    def close(self) -> None:
        """Disconnect from the broker; the next call opens a new connection."""
        if self._client is not None:
            client, self._client = self._client, None
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def topic_ids(bootstrap: str, topics: Collection[str]) -> dict[str, UUID]:
    """Return the ids of some topics by name, with one connection; see ``TopicIds.read``."""
    with TopicIds(bootstrap) as ids:
        return ids.read(topics)


def created_again(bootstrap: str, known: Mapping[str, UUID]) -> set[str]:
    """Return the topics that now have another id than the known one: they hold other records. One that is gone is not.

    Raises:
        UnreachableError: no broker answers.
    """
    return {topic for topic, found in topic_ids(bootstrap, known).items() if found != known[topic]}
