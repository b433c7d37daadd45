"""The id that Kafka gave a topic when it was made: a topic that is deleted and made anew has the same name, another id.

Offsets mean something in one log only. Whoever stores an offset stores the topic's id beside it, and asks for the id
again before the offset is used.
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
"""Kafka's number of the error: the brokers know no topic of that name."""


@dataclass(frozen=True, slots=True)
class TopicFound:
    """A topic as it is on the cluster: the id that Kafka gave it, and how many partitions it has."""

    topic_id: UUID
    partitions: int


class TopicIds:
    """Asks one cluster for topics' ids, through a connection that is kept between questions.

    Calls block. Used from one thread at a time; a context manager, or ``close`` it.
    """

    def __init__(self, bootstrap: str) -> None:
        """Take the Kafka brokers' addresses; nothing is opened yet."""
        self._bootstrap = bootstrap
        self._client: Any = None

    def read(self, topics: Collection[str]) -> dict[str, UUID]:
        """Return the ids of some topics by name. A topic that is not there now, or has no id, is left out.

        Raises:
            UnreachableError: no broker answers.
        """
        return {name: found.topic_id for name, found in self.describe(topics).items()}

    def describe(self, topics: Collection[str]) -> dict[str, TopicFound]:
        """Return some topics by name; which are left out, and what is raised: see ``read``."""
        told = [one for one in self._told(topics) if one["topic_id"] and not one["error_code"]]
        found = {one["name"]: TopicFound(UUID(str(one["topic_id"])), len(one["partitions"])) for one in told}
        return {name: one for name, one in found.items() if one.topic_id.int}

    def absent(self, topics: Collection[str]) -> set[str]:
        """Return those of some topics that the brokers say they do not have; raises as ``read``."""
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
            raise UnreachableError(f"no Kafka broker at {self._bootstrap} tells the ids of topics") from error

    def close(self) -> None:
        """Let go of the broker; the next question opens a connection anew."""
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
    """Return the ids of some topics by name, asked once; see ``TopicIds.read``."""
    with TopicIds(bootstrap) as ids:
        return ids.read(topics)
