"""The topology equals what is subscribed and published, and no topic is named anywhere else."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import hub.topology
from hub.model.entities import ENTITIES, SUBJECTS
from hub.topology import (
    FLAG_RECORDS,
    FLAG_TOPIC,
    HEAD_SUBJECT,
    HEAD_TOPIC,
    HEARTBEAT_TOPIC,
    MAX_LOG_RECORD_BYTES,
    SOURCE_ACTIVITY_TOPIC,
    all_subjects,
    dead_letter_topic,
    event_topic,
    merged_topics,
    record_topic,
    record_topics,
    subject_of,
    topics,
)

ROOT = Path(__file__).parents[3]
PARTITIONS = 3
TOPICS = {topic.name: topic for topic in topics(PARTITIONS)}
TOPOLOGY = ROOT / "hub" / "topology.py"
SOURCES = sorted([*(ROOT / "hub").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")])
NAMES_OF_SCHEMAS = ROOT / "hub" / "codec" / "schema_check" / "rules.py"
"""Checks Avro full names, which begin as topics do."""


def test_merged_topics_are_those_of_the_declared_aspects() -> None:
    declared = [event_topic(aspect.subject) for entity in ENTITIES for aspect in entity.aspects]
    assert sorted(merged_topics()) == sorted(declared)
    assert len(set(declared)) == len(declared)


def test_every_subject_with_a_schema_has_a_topic_and_no_other_has() -> None:
    folders = {path.name for path in (ROOT / "schemas").iterdir() if path.is_dir()}
    assert set(all_subjects()) == {name for name in folders if not name.endswith(".record")} - {HEAD_SUBJECT}
    assert {event_topic(subject) for subject in all_subjects()} <= set(TOPICS)


@pytest.mark.parametrize("subject", all_subjects())
def test_event_topic_has_a_dead_letter_topic_and_leads_back_to_its_subject(subject: str) -> None:
    topic = TOPICS[event_topic(subject)]
    assert subject_of(topic.name) == subject
    assert topic.partitions == PARTITIONS
    assert topic.config["retention.ms"] == "-1"
    assert int(topic.config["max.message.bytes"]) == MAX_LOG_RECORD_BYTES
    assert dead_letter_topic(topic.name) in TOPICS


def test_record_topics_are_those_of_the_published_entities() -> None:
    published = [entity for entity in ENTITIES if entity.record_topic]
    compacted = {name for name, topic in TOPICS.items() if topic.config.get("cleanup.policy") == "compact"}
    assert compacted == {*(record_topic(entity) for entity in published), FLAG_TOPIC, HEARTBEAT_TOPIC}
    assert {*(entity.name for entity in published), FLAG_RECORDS} == set(record_topics())
    assert all((ROOT / "schemas" / f"{entity.name}.record").is_dir() for entity in published)


def test_topics_hold_nothing_that_nobody_reads_or_writes() -> None:
    events = {event_topic(subject) for subject in all_subjects()}
    letters = {dead_letter_topic(topic) for topic in events}
    records = {FLAG_TOPIC, *(record_topic(entity) for entity in ENTITIES if entity.record_topic)}
    assert set(TOPICS) == events | letters | records | {SOURCE_ACTIVITY_TOPIC, HEARTBEAT_TOPIC, HEAD_TOPIC}
    assert len(TOPICS) == len(topics(PARTITIONS))


def test_worker_subscribes_to_the_merged_topics() -> None:
    tree = ast.parse((ROOT / "hub" / "worker" / "assemble.py").read_text("utf-8"))
    given = [word.value for node in ast.walk(tree) for word in getattr(node, "keywords", []) if word.arg == "topics"]
    assert [ast.unparse(value) for value in given] == ["merged_topics()"]
    assert {subject_of(topic) for topic in merged_topics()} == set(SUBJECTS)


def test_agents_read_topics_of_the_topology() -> None:
    for path in (ROOT / "hub" / "worker").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "app.topic":
                assert ast.unparse(node.args[0]) in vars(hub.topology), f"{path.name}:{node.lineno}"


def test_no_topic_is_named_outside_the_topology() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in SOURCES
        if path not in {TOPOLOGY, NAMES_OF_SCHEMAS}
        for line, text in _texts(ast.parse(path.read_text("utf-8")))
        if text.startswith("hub.") and not _is_module(text.removesuffix("."))
    ]
    assert named == []


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the text constants of a module with their lines, but for docstrings; parts of f-strings among them."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


def _is_module(name: str) -> bool:
    try:
        return name != "hub" and find_spec(name) is not None
    except ModuleNotFoundError:
        return False
