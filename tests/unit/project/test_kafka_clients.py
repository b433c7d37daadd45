"""Each kind of Kafka client is made in one place of the hub, and in one of the connectors."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[3]
HOMES = {
    "KafkaConsumer": {"hub/log/reader.py"},
    "KafkaProducer": {"hub/log/clients.py", "connectors/running/heartbeat.py"},
    "KafkaAdminClient": {"hub/log/clients.py"},
    "LogConsumer": {"hub/log/stream.py"},
    "AIOKafkaConsumer": set(),
    "AIOKafkaProducer": {"hub/share/send/publisher.py", "connectors/running/publisher.py"},
}


def test_each_kind_of_kafka_client_is_made_in_one_place() -> None:
    made = defaultdict(set)
    for path in [*(ROOT / "hub").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(call.func, "attr", getattr(call.func, "id", "")) if isinstance(call, ast.Call) else ""
            if name in HOMES:
                made[name].add(str(path.relative_to(ROOT)))
    assert {name: made[name] for name in HOMES} == HOMES
