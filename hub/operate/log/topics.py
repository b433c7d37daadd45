"""Make the cluster's topics as the topology wants them. Idempotent; deletes no topic and removes no partition.

Differences of an existing topic are sorted by what can be done about them. Settings are altered, and partitions of
event topics added. Replicas must be moved with the cluster's own tools. A compacted topic keeps its partitions, because
a key whose partition changes would leave its older record in the old partition for ever.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from hub.log.clients import log_admin
from hub.model.errors import HubError
from hub.topology import Topic

_PARTITIONS, _REPLICAS = "partitions", "replicas"


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is on the cluster; ``config`` holds every setting that applies to it."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Drift:
    """How a topic differs from what is wanted; ``left_because``: why it stays so, empty if it is corrected."""

    topic: str
    what: str
    now: str
    wanted: str
    left_because: str = ""


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """Topics that are missing, topics that exist, and how these differ from what is wanted."""

    missing: tuple[Topic, ...]
    present: tuple[str, ...]
    drifts: tuple[Drift, ...] = ()

    @property
    def to_mend(self) -> tuple[Drift, ...]:
        """Return the differences that executing the plan removes."""
        return tuple(drift for drift in self.drifts if not drift.left_because)


def plan_topics(bootstrap: str, wanted: tuple[Topic, ...], replication: int | None = None) -> TopicPlan:
    """Compare the topology with the cluster.

    Args:
        bootstrap: Kafka brokers.
        wanted: the topology's topics.
        replication: how many brokers should hold each topic; None: replicas are not compared.

    Raises:
        UnreachableError: no broker answers.
    """
    states = topic_states(bootstrap, wanted)
    return TopicPlan(
        tuple(topic for topic in wanted if topic.name not in states),
        tuple(topic.name for topic in wanted if topic.name in states),
        tuple(
            drift
            for topic in wanted
            if topic.name in states
            for drift in drifts(topic, states[topic.name], replication)
        ),
    )


def topic_states(bootstrap: str, wanted: tuple[Topic, ...]) -> dict[str, TopicState]:
    """Return the existing topics, by name.

    Raises:
        UnreachableError: no broker answers.
    """
    with log_admin(bootstrap) as client:
        there = set(client.list_topics())
        names = [topic.name for topic in wanted if topic.name in there]
        if not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        configs = client.describe_configs(resources, config_filter="all")["topic"]
        return {told["name"]: _state(told, configs[told["name"]]) for told in client.describe_topics(names)}


def _state(told: Mapping[str, Any], config: Mapping[str, Mapping[str, Any]]) -> TopicState:
    partitions = told["partitions"]
    replicas = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
    values = {name: str(setting["value"]) for name, setting in config.items()}
    return TopicState(told["name"], len(partitions), replicas, values)


def drifts(wanted: Topic, state: TopicState, replication: int | None) -> list[Drift]:
    """Return how a topic differs from what is wanted."""
    found = []
    if state.partitions != wanted.partitions:
        why = ""
        if state.partitions > wanted.partitions:
            why = "partitions cannot be removed"
        elif "compact" in state.config.get("cleanup.policy", ""):
            why = "compacted: a key's older record would stay in its old partition"
        found.append(Drift(wanted.name, _PARTITIONS, str(state.partitions), str(wanted.partitions), why))
    if replication is not None and state.replicas != replication:
        why = "move replicas with kafka-reassign-partitions"
        found.append(Drift(wanted.name, _REPLICAS, str(state.replicas), str(replication), why))
    for name, value in wanted_config(wanted, state.replicas if replication is None else replication).items():
        now = state.config.get(name, "")
        if now != value:
            least = name == "min.insync.replicas" and int(value) > state.replicas
            why = "more than the topic has replicas" if least else ""
            found.append(Drift(wanted.name, name, now, value, why))
    return found


def wanted_config(topic: Topic, replication: int) -> dict[str, str]:
    """Return a topic's settings: all replicas but one must confirm a record, so that one may be down."""
    return {**topic.config, "min.insync.replicas": str(max(1, replication - 1))}


def mend_topics(bootstrap: str, drifted: tuple[Drift, ...]) -> None:
    """Remove differences: alter settings, add partitions. Differences with ``left_because`` stay.

    Raises:
        UnreachableError: no broker answers.
        HubError: the cluster refuses.
    """
    settings: dict[str, dict[str, str]] = {}
    partitions: dict[str, int] = {}
    for drift in drifted:
        if drift.left_because:
            continue
        if drift.what == _PARTITIONS:
            partitions[drift.topic] = int(drift.wanted)
        else:
            settings.setdefault(drift.topic, {})[drift.what] = drift.wanted
    if not settings and not partitions:
        return
    with log_admin(bootstrap) as client, _refusals("alter topics"):
        if settings:
            client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, *item) for item in settings.items()])
        if partitions:
            client.create_partitions(partitions, timeout_ms=30_000)


def create_topics(bootstrap: str, topics: tuple[Topic, ...], replication: int) -> None:
    """Create topics; a topic that another process created meanwhile stays as it is.

    All of the ``replication`` brokers but one must confirm each record, so that one may be down and nothing is lost.

    Raises:
        UnreachableError: no broker answers.
        HubError: the cluster refuses.
    """
    if not topics:
        return
    with log_admin(bootstrap) as client, _refusals("create topics"):
        client.create_topics(
            {
                topic.name: {
                    "num_partitions": topic.partitions,
                    "replication_factor": replication,
                    "configs": wanted_config(topic, replication),
                }
                for topic in topics
            },
            timeout_ms=30_000,
            wait_for_metadata=True,
        )


@contextmanager
def _refusals(doing: str) -> Iterator[None]:
    try:
        yield
    except TopicAlreadyExistsError:
        pass
    except KafkaError as error:
        raise HubError(f"the cluster refuses to {doing}: {error}") from error
