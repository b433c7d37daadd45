"""Debezium's JDBC sink in Kafka Connect: the settings it is tried with, and one run of it."""

from dataclasses import dataclass

from sqlalchemy.engine import make_url

from tests.bench.peers.target import KEY, NAME
from tests.bench.support.events import TOPIC

BATCH = "5000"


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """One way to run the sink.

    Fields:
        tasks: consumers, each with a connection.
        unnest: insert by arrays (``dialect.postgres.unnest.insert.enabled``).
        rewrite: the driver joins inserts of a batch (``reWriteBatchedInserts``).
    """

    tasks: int
    unnest: bool
    rewrite: bool = True

    @property
    def name(self) -> str:
        """Its name in tables and results."""
        way = "unnest" if self.unnest else "rewrite" if self.rewrite else "plain"
        return f"sink_{self.tasks}_{way}"


SCREENED = tuple(
    [SinkSettings(tasks, unnest) for tasks in (1, 2, 4) for unnest in (False, True)]
    + [SinkSettings(2, unnest=False, rewrite=False)]
)
"""All that the first round tries."""

WORKER = {
    # the lag is looked at from outside, and the default of a minute is longer than a run
    "offset.flush.interval.ms": "1000",
}


def sink_properties(settings: SinkSettings, name: str, database_url: str, registry: str) -> dict[str, str]:
    """Return the connector's configuration."""
    url = make_url(database_url)
    rewrite = "?reWriteBatchedInserts=true" if settings.rewrite else ""
    return {
        "name": name,
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "topics": TOPIC,
        "tasks.max": str(settings.tasks),
        "connection.url": f"jdbc:postgresql://{url.host}:{url.port}/{url.database}{rewrite}",
        "connection.username": str(url.username),
        "connection.password": str(url.password),
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": KEY,
        "schema.evolution": "none",
        "collection.name.format": NAME,
        "batch.size": BATCH,
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": str(settings.unnest).lower(),
        "consumer.override.max.poll.records": BATCH,
        "consumer.override.auto.offset.reset": "earliest",
        **avro_converter("value.converter", registry),
    }


def avro_converter(prefix: str, registry: str) -> dict[str, str]:
    """Return the settings by which Apicurio's converter reads the hub's wire format."""
    return {
        prefix: "io.apicurio.registry.utils.converter.AvroConverter",
        f"{prefix}.apicurio.registry.url": registry,
        f"{prefix}.apicurio.registry.as-confluent": "true",
        f"{prefix}.apicurio.registry.use-id": "contentId",
    }


def group_of(name: str) -> str:
    """Return the consumer group of a sink connector."""
    return f"connect-{name}"
