"""Make the cluster's topics as the topology wants them. Idempotent; never deletes, never lowers a partition count."""

from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, TopicAlreadyExistsError

from hub.model.errors import HubError, UnreachableError
from hub.retry import FIRST_ANSWER_MS
from hub.topology import Topic


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """Topics that are missing, and those that are there already."""

    missing: tuple[Topic, ...]
    present: tuple[str, ...]


def plan_topics(bootstrap: str, wanted: tuple[Topic, ...]) -> TopicPlan:
    """Compare the topology with the cluster.

    Raises:
        UnreachableError: no broker answers.
    """
    client = _client(bootstrap)
    try:
        present = set(client.list_topics())
    finally:
        client.close()
    return TopicPlan(
        tuple(topic for topic in wanted if topic.name not in present),
        tuple(topic.name for topic in wanted if topic.name in present),
    )


def create_topics(bootstrap: str, topics: tuple[Topic, ...], replication: int) -> None:
    """Create topics; one that another created meanwhile is left as it is.

    Of ``replication`` brokers all but one must confirm each record, so that one can be away and nothing is lost.

    Raises:
        UnreachableError: no broker answers.
        HubError: the cluster refuses.
    """
    if not topics:
        return
    client = _client(bootstrap)
    try:
        client.create_topics(
            {
                topic.name: {
                    "num_partitions": topic.partitions,
                    "replication_factor": replication,
                    "configs": {**topic.config, "min.insync.replicas": str(max(1, replication - 1))},
                }
                for topic in topics
            },
            timeout_ms=30_000,
            wait_for_metadata=True,
        )
    except TopicAlreadyExistsError:
        pass
    except KafkaError as error:
        raise HubError(f"the cluster refuses to create topics: {error}") from error
    finally:
        client.close()


def _client(bootstrap: str) -> KafkaAdminClient:
    try:
        return KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","), request_timeout_ms=10_000, bootstrap_timeout_ms=FIRST_ANSWER_MS
        )
    except (KafkaTimeoutError, KafkaConnectionError) as error:
        raise UnreachableError(
            f"no Kafka broker answers at {bootstrap}; is it up, and is HUB_KAFKA_BOOTSTRAP right?"
        ) from error
