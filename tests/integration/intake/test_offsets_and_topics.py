"""Topics made and mended, stored offsets moved past records with an outcome for each, on the real broker."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from hub.config import Settings
from hub.model.errors import ConfigError, HubError, UnreachableError
from hub.operate.log.offset_moves import MOVE, OffsetPlan, apply_move, plan_move, stored_plan
from hub.operate.log.offsets import read_offsets
from hub.operate.log.topics import create_topics, drifts, mend_topics, plan_topics, topic_states
from hub.topology import Topic, event_topic
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, Outgoing, pin_of, send
from tests.support.running_intake import Ground

TOPIC = event_topic("inspection.changed")


@pytest.fixture(scope="module")
def ground(engine: RunningEngine) -> Iterator[Ground]:
    name = f"offsets_{uuid.uuid4().hex[:12]}"
    url = engine.create_database(name)
    made = Ground(Settings(kafka_bootstrap=engine.bootstrap, database_url=url, key_secret=engine.key_secret), name)
    yield made
    made.database.dispose()
    engine.engine.drop_database(name)


def stored(ground: Ground, partition: int) -> int:
    query = f"SELECT next_offset FROM log_partition WHERE topic = '{TOPIC}' AND partition = {partition}"
    return int(ground.rows(query)[0].next_offset)


def planned(ground: Ground, to: int | str, partition: int = 0) -> OffsetPlan:
    return plan_move(ground.database, ground.bootstrap, (TOPIC, partition), str(to), "H42-017")


def moved(ground: Ground, plan: OffsetPlan) -> OffsetPlan:
    return apply_move(ground.database, ground.bootstrap, plan.id, "H42-017", "a test")


def unread(ground: Ground, partition: int = 0, count: int = 3) -> int:
    """Send records that nobody can read to one partition; return its first new offset."""
    records = [Outgoing(TOPIC, uuid.uuid4().bytes, b"not an event") for _ in range(16 * count)]
    first = stored(ground, partition)
    offsets = [offset for _, number, offset in send(ground.bootstrap, records) if number == partition]
    assert len(offsets) >= count
    return first


def test_i5_skipped_records_are_audited_and_the_running_worker_goes_on(ground: Ground) -> None:
    ground.consume()
    first = unread(ground)
    plan = planned(ground, first + 2)
    assert (plan.from_offset, plan.to_offset, plan.records, plan.lost) == (first, first + 2, 2, 0)
    assert planned(ground, first + 2).id == plan.id
    assert stored_plan(ground.database, plan.id).digest == plan.digest
    moved(ground, plan)
    assert stored(ground, 0) == first + 2
    assert [tuple(row) for row in _rows(ground, first)] == [
        ("rejected", "SKIPPED_BY_OPERATOR", f"plan {plan.id}", True),
        ("rejected", "SKIPPED_BY_OPERATOR", f"plan {plan.id}", True),
    ]
    (action,) = ground.rows(f"SELECT actor, purpose, detail FROM action WHERE action = '{MOVE}'")
    assert (action.actor, action.purpose, action.detail["records"]) == ("H42-017", "a test", 2)
    with pytest.raises(HubError, match="was applied at"):
        moved(ground, plan)
    make = EventSet(ground.secret, seed=5)
    person = make.fields("dancu", 1, 1, pin=pin_of(880_001), full_name="x", birth_year=1990)
    send(ground.bootstrap, [make.record("citizen.changed", person)])
    ground.consume()
    assert all(row.balanced for row in ground.ledger())


def _rows(ground: Ground, first: int) -> list[Any]:
    return ground.rows(
        "SELECT a.outcome, a.reason, a.detail, a.key IS NOT NULL FROM audit a JOIN log_partition p ON p.id = a.log "
        f"WHERE p.topic = '{TOPIC}' AND p.partition = 0 AND log_offset BETWEEN {first} AND {first + 1} ORDER BY 3"
    )


def test_i1_move_is_refused_when_it_goes_back_too_far_or_is_not_what_was_planned(ground: Ground) -> None:
    ground.consume()
    first = unread(ground)
    for to, said in (
        (first - 1, "hub replay plan"),
        (first, "already"),
        (10**9, "do not exist"),
        ("soon", "a number, begin or end"),
    ):
        with pytest.raises(ConfigError, match=said):
            planned(ground, to)
    with pytest.raises(ConfigError, match=r"has never read no\.such/0"):
        plan_move(ground.database, ground.bootstrap, ("no.such", 0), "end", "x")
    with pytest.raises(ConfigError, match="there is no plan nothing"):
        apply_move(ground.database, ground.bootstrap, "nothing", "x", "y")
    with pytest.raises(UnreachableError):
        plan_move(ground.database, "127.0.0.1:1", (TOPIC, 0), "end", "x")
    plan, further = planned(ground, first + 1), planned(ground, first + 2)
    moved(ground, plan)
    with pytest.raises(HubError, match="make a new plan"):
        moved(ground, further)
    ground.consume()
    assert all(row.balanced for row in ground.ledger())


def test_lost_range_is_skipped_with_a_row_for_each_offset(ground: Ground) -> None:
    ground.consume()
    first = unread(ground)
    to_be_lost = planned(ground, first + 2)
    admin = KafkaAdminClient(bootstrap_servers=ground.bootstrap)
    try:
        admin.delete_records({TopicPartition(TOPIC, 0): first + 2})
    finally:
        admin.close()
    with pytest.raises(HubError, match="no longer holds what it held"):
        moved(ground, to_be_lost)
    (shown,) = [
        row
        for row in read_offsets(ground.database, ground.bootstrap, "no.such.group", TOPIC)
        if row.partition == 0 and row.log
    ]
    assert shown.log is not None
    assert f"begins at {first + 2}" in shown.log.problem(shown.stored)
    plan = planned(ground, "begin")
    assert (plan.records, plan.lost, plan.to_offset) == (0, 2, first + 2)
    moved(ground, plan)
    ground.consume()
    assert all(row.balanced for row in ground.ledger())


def test_topics_are_made_and_mended_and_what_cannot_be_is_said(engine: RunningEngine, topic_prefix: str) -> None:
    events = Topic(f"{topic_prefix}.a", 1, {"retention.ms": "1000", "cleanup.policy": "delete"})
    records = Topic(f"{topic_prefix}.b", 2, {"cleanup.policy": "compact"})
    create_topics(engine.bootstrap, (events, records), 1)
    try:
        assert plan_topics(engine.bootstrap, (events, records), 1).drifts == ()
        wanted = (
            Topic(events.name, 3, {"retention.ms": "-1", "cleanup.policy": "delete"}),
            Topic(records.name, 4, {"cleanup.policy": "compact"}),
            Topic(f"{topic_prefix}.c", 1),
        )
        plan = plan_topics(engine.bootstrap, wanted, 2)
        assert [topic.name for topic in plan.missing] == [f"{topic_prefix}.c"]
        assert [(drift.topic[-1], drift.what, drift.now, drift.wanted) for drift in plan.to_mend] == [
            ("a", "partitions", "1", "3"),
            ("a", "retention.ms", "1000", "-1"),
        ]
        left = {drift.what: drift.left_because for drift in plan.drifts if drift.left_because}
        assert "kafka-reassign" in left["replicas"]
        assert "compacted" in left["partitions"]
        mend_topics(engine.bootstrap, plan.drifts)
        mend_topics(engine.bootstrap, plan_topics(engine.bootstrap, wanted, 1).drifts)
        states = topic_states(engine.bootstrap, wanted)
        assert (states[events.name].partitions, states[events.name].config["retention.ms"]) == (3, "-1")
        assert states[records.name].partitions == 2
        (fewer,) = drifts(Topic(events.name, 1, {}), states[events.name], 1)
        assert fewer.left_because == "partitions cannot be removed"
    finally:
        admin = KafkaAdminClient(bootstrap_servers=engine.bootstrap)
        admin.delete_topics([events.name, records.name])
        admin.close()
