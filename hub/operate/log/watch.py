"""Watch for topics of the hub that are missing on Kafka: an alert is open for each as long as it is missing.

A worker whose topic is deleted loses its partitions and continues with the others; nothing else would report it.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, func, select

from hub.log.topic_ids import TopicIds
from hub.model.alerts import TOPIC_GONE
from hub.topology import merged_topics, topics
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import log_partition

LOOK_EVERY_S = 5.0
_ADVICE = "find out who deleted it; `hub topics ensure --execute` makes it"


@dataclass(slots=True)
class TopicWatch:
    """Watches the cluster's topics; used from one thread at a time."""

    engine: Engine = field(repr=False)
    bootstrap: str
    _absent: frozenset[str] = frozenset()
    _ids: TopicIds = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ids = TopicIds(self.bootstrap)

    def look(self) -> None:
        """Open and close alerts. A topic counts as missing after two looks: after one it may be just being created.

        Raises:
            UnreachableError: Kafka or PostgreSQL is unreachable.
        """
        absent = frozenset(self._ids.absent([topic.name for topic in topics(1)]))
        missed, self._absent = absent & self._absent, absent
        with translated_errors("looking for topics that are gone"), self.engine.begin() as connection:
            for topic in sorted(missed):
                raise_alert(connection, TOPIC_GONE, topic, _words(connection, topic))
            clear_alert(connection, TOPIC_GONE, but=absent)

    def close(self) -> None:
        """Close the connection to the broker."""
        self._ids.close()


def _words(connection: Connection, topic: str) -> str:
    if topic not in merged_topics():
        return f"the topic is not on Kafka: nothing can be written to it; {_ADVICE}"
    consumed = func.coalesce(func.sum(log_partition.c.consumed), 0)
    read = connection.execute(select(consumed).where(log_partition.c.topic == topic)).scalar_one()
    return f"the topic is not on Kafka: nothing of it is read, {read:,} records of it were; {_ADVICE}"
