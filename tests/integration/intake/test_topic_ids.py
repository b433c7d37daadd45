"""A topic's id is told by the real broker, and changes when the topic is made anew."""

import time

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from hub.log.topic_ids import TopicIds, topic_ids
from hub.model.errors import UnreachableError
from tests.conftest import RunningEngine

pytestmark = pytest.mark.engine


def test_topic_made_anew_has_another_id_and_one_that_is_gone_has_none(engine: RunningEngine, topic_prefix: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    with TopicIds(engine.bootstrap) as ids:
        assert ids.read([topic_prefix]) == {}
        admin.create_topics([NewTopic(topic_prefix, num_partitions=1, replication_factor=1)])
        first = _settled(ids, topic_prefix, True)
        assert first == ids.read([topic_prefix, f"{topic_prefix}.none"]) == topic_ids(engine.bootstrap, [topic_prefix])
        admin.delete_topics([topic_prefix])
        assert _settled(ids, topic_prefix, False) == {}
        assert ids.absent([topic_prefix]) == {topic_prefix}
        admin.create_topics([NewTopic(topic_prefix, num_partitions=1, replication_factor=1)])
        assert _settled(ids, topic_prefix, True) != first
    admin.delete_topics([topic_prefix])
    admin.close()


def _settled(ids: TopicIds, topic: str, is_there: bool) -> dict[str, object]:
    for _ in range(300):
        told = ids.read([topic])
        if bool(told) is is_there:
            return dict(told)
        time.sleep(0.1)
    raise AssertionError("the broker does not get there")


def test_no_broker_is_told_as_such() -> None:
    with pytest.raises(UnreachableError):
        topic_ids("127.0.0.1:1", ["any"])
