"""Every hop of a thing on the real log: occurred, appended, decided, parked, released, published; and who is behind."""

import io
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from rich.console import Console

from hub.cli.dead_letters.view import shown_as_json
from hub.cli.trace.view import trace_json, trace_view
from hub.config import Settings
from hub.log.places import Place
from hub.model.errors import ConfigError, UnreachableError
from hub.model.outcomes import Outcome
from hub.operate.dead_letters.show import show_letter
from hub.operate.log.ends import read_log_ends
from hub.operate.records.request import NoSuchThingError
from hub.operate.trace.find import NoKeyError
from hub.operate.trace.hops import Passage, Trace, trace
from hub.operate.trace.place import place_named, story_of
from hub.operate.trace.shared import shared_record
from hub.topology import event_topic
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, Outgoing, pin_of, send
from tests.support.running_intake import Ground

NOWHERE = "127.0.0.1:1"
SUBMITTED, PROGRESSED = event_topic("dossier.submitted"), event_topic("dossier.progressed")
CODE, PROCEDURE = "H25.10-250601-90001", "7.777001"
PIN = pin_of(990_001)


@pytest.fixture(scope="module")
def ground(engine: RunningEngine) -> Iterator[Ground]:
    name = f"trace_{uuid.uuid4().hex[:12]}"
    url = engine.create_database(name)
    made = Ground(Settings(kafka_bootstrap=engine.bootstrap, database_url=url, key_secret=engine.key_secret), name)
    yield made
    made.database.dispose()
    engine.engine.drop_database(name)


@pytest.fixture(scope="module")
def story(ground: Ground) -> list[Outgoing]:
    """A dossier that waited for its procedure and was then moved on; a citizen of whom two sources say otherwise."""
    make = EventSet(ground.secret, seed=77)
    filed = make.fields("hanam.motcua", 1, 1, dossier_code=CODE, procedure_code=PROCEDURE)
    moved = make.fields("hanam.motcua", 1, 2, dossier_code=CODE, status="ACCEPTED")
    person = {"pin": PIN, "full_name": "Người Thứ Nhất", "birth_year": 1990}
    records = [
        make.record("dossier.submitted", filed),
        make.record("dossier.progressed", moved),
        make.record("citizen.changed", make.fields("dancu", 1, 1, **person)),
        make.record("citizen.changed", make.fields("namdinh.motcua", 1, 3, **person | {"birth_year": 1991})),
        make.record("citizen.changed", make.fields("dancu", 1, 1, **person)),
    ]
    for record in records:
        send(ground.bootstrap, [record])
        ground.consume()
    procedure = make.fields("dvcqg", 1, procedure_code=PROCEDURE, name="Thủ tục")
    send(ground.bootstrap, [make.record("procedure.changed", procedure)])
    ground.consume(lambda: bool(ground.rows("SELECT 1 FROM release")))
    ground.share()
    return records


def traced(ground: Ground, who: str, entity: str | None = None, bootstrap: str = "") -> Trace:
    return trace(ground.database, bootstrap or ground.bootstrap, ground.secret, who, entity)


def of_topic(found: Trace, topic: str) -> list[Passage]:
    return [passage for passage in found.passages if passage.event.place.topic == topic]


def test_dossier_is_traced_from_its_source_to_the_portal(ground: Ground, story: list[Outgoing]) -> None:
    found = traced(ground, CODE)
    assert found.entity == "dossier"
    (filed,) = of_topic(found, SUBMITTED)
    (moved,) = of_topic(found, PROGRESSED)
    assert filed.event.outcome is Outcome.APPLIED
    assert filed.event.parked_at is not None
    assert filed.appended_at is not None
    assert filed.published is not None
    assert moved.published is not None
    assert filed.published.topic == "hub.dossier.record.v1"
    hops = [trace_json(found)["events"][number]["hops"] for number in range(2)]
    for of_event in hops:
        times = [hop["at"] for hop in of_event]
        assert all(one <= other for one, other in pairwise(times)), of_event
    assert ["occurred", "appended", "parked", "released", "published"] in [[h["hop"] for h in one] for one in hops]
    assert str(found.key) in str(trace_json(found))
    assert CODE not in str(trace_json(found))


def test_person_shows_what_was_opened_and_a_duplicate_publishes_nothing(ground: Ground, story: list[Outgoing]) -> None:
    found = traced(ground, PIN)
    assert (found.entity, len(found.passages)) == ("citizen", 3)
    first, second, repeat = found.passages
    assert [one.event.outcome for one in found.passages] == [Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.DUPLICATE]
    assert [str(effect) for effect in second.effects if "birth_year" in effect.what]
    assert first.published is not None
    assert repeat.published is None
    assert PIN not in str(trace_json(found))
    assert "Người" not in str(trace_json(found))


def test_event_key_and_place_lead_to_the_same_event(ground: Ground, story: list[Outgoing]) -> None:
    whole = traced(ground, CODE)
    (filed,) = of_topic(whole, SUBMITTED)
    place = filed.event.place
    assert traced(ground, str(whole.key)).passages == whole.passages
    assert traced(ground, whole.key.hex, "dossier").key == whole.key
    assert [one.event.place for one in traced(ground, str(filed.event.event_id)).passages] == [place]
    (one,) = traced(ground, f"{place.topic}/{place.partition}/{place.offset}").passages
    assert one.event.event_id == filed.event.event_id


def test_record_of_the_portal_leads_to_its_things_events_and_shows_its_headers(
    ground: Ground, story: list[Outgoing]
) -> None:
    whole = traced(ground, PIN)
    first, second, _ = whole.passages
    one = first.published
    assert one is not None
    found = traced(ground, f"{one.topic}/{one.partition}/{one.offset}")
    assert (found.entity, found.key, found.passages) == (whole.entity, whole.key, whole.passages)
    assert found.asked is not None
    headers = found.asked.headers_as_text(is_masked=True)
    assert headers["hub.published_at"] == one.published_at
    assert headers["hub.position"] == one.position
    assert one.position is not None
    # one record was published for both events, so the later one is named
    (changing,) = traced(ground, one.position).passages
    assert changing.event.place == second.event.place
    told = trace_json(found)
    assert told["asked"]["headers"] == headers
    assert told["events"][0]["published"] == {
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.offset,
        "published_at": one.published_at,
        "position": one.position,
    }


def test_record_that_a_release_changed_says_a_job_and_leads_to_its_thing(ground: Ground, story: list[Outgoing]) -> None:
    (filed,) = of_topic(traced(ground, CODE), SUBMITTED)
    one = filed.published
    assert one is not None
    assert (one.position or "").startswith("(jobs)/")
    found = traced(ground, f"{one.topic}/{one.partition}/{one.offset}")
    assert found.passages[0].event.place == filed.event.place


def test_copy_of_a_dead_letter_leads_to_the_place_that_it_came_from(ground: Ground, story: list[Outgoing]) -> None:
    topic = event_topic("inspection.changed")
    before = {(copy.topic, copy.origin) for copy in ground.share()}
    producer = KafkaProducer(bootstrap_servers=ground.bootstrap)
    sent = producer.send(topic, key=b"k", value=b"no event", partition=1).get(30)
    producer.close()
    ground.consume()
    ((copies, origin),) = {(copy.topic, copy.origin) for copy in ground.share()} - before
    assert origin == f"{topic}/1/{sent.offset}"
    consumer = KafkaConsumer(bootstrap_servers=ground.bootstrap, group_id=None, enable_auto_commit=False)
    places = [TopicPartition(copies, number) for number in consumer.partitions_for_topic(copies)]
    ends = consumer.end_offsets(places)
    consumer.close()
    asked = [shared_record(ground.bootstrap, f"{copies}/{place.partition}/{end - 2}") for place, end in ends.items()]
    assert origin in [one.who for one in asked if one is not None]


def test_place_of_a_record_that_is_not_there_says_so(ground: Ground, story: list[Outgoing]) -> None:
    with pytest.raises(NoSuchThingError, match=r"holds no record at hub\.dossier\.record\.v1/0/99999999"):
        traced(ground, "hub.dossier.record.v1/0/99999999")
    with pytest.raises(NoSuchThingError, match="name its offset"):
        traced(ground, "hub.dossier.record.v1/0")
    with pytest.raises(NoSuchThingError, match="a job of the hub, not an event"):
        traced(ground, "(jobs)/0/7")


def test_what_is_not_known_is_said_without_repeating_it(ground: Ground, story: list[Outgoing]) -> None:
    for who in ("H99-nothing", str(uuid.uuid4()), f"{SUBMITTED}/0/99999999"):
        with pytest.raises(NoSuchThingError) as caught:
            traced(ground, who)
        assert "H99" not in caught.value.message
    with pytest.raises(ConfigError, match="no entity weather"):
        traced(ground, CODE, "weather")


def test_without_kafka_the_warehouse_tells_what_it_knows(ground: Ground, story: list[Outgoing]) -> None:
    found = traced(ground, CODE, bootstrap=NOWHERE)
    assert [one.event.outcome for one in found.passages] == [Outcome.APPLIED] * 2
    assert all(one.published is None and one.appended_at is None for one in found.passages)
    assert "no Kafka broker answers" in found.notes[0]


def test_lag_is_counted_from_the_stored_offset_and_the_oldest_unread_record(ground: Ground) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    make = EventSet(ground.secret, seed=78)
    fields = make.fields("hanam.motcua", 1, 1, dossier_code="H25.10-250601-90002", procedure_code=PROCEDURE)
    ((topic, partition, offset),) = send(ground.bootstrap, [make.record("dossier.submitted", fields)])
    other = 1 - partition
    ends = read_log_ends(ground.bootstrap, {(topic, partition): offset, (topic, other): 10**9, ("no.such", 0): 0})
    assert set(ends) == {(topic, partition), (topic, other)}
    end = ends[topic, partition]
    assert (end.end, end.lag(offset), end.lag(offset + 1)) == (offset + 1, 1, 0)
    assert end.unread_since is not None
    assert before < end.unread_since < datetime.now(UTC) + timedelta(seconds=2)
    assert ends[topic, other].unread_since is None
    assert "another log" in ends[topic, other].problem(10**9)
    with pytest.raises(UnreachableError):
        read_log_ends(NOWHERE, {(topic, partition): 0})


def test_place_that_could_not_be_read_is_told_with_what_is_known_and_with_the_next_command(
    ground: Ground, story: list[Outgoing]
) -> None:
    topic = event_topic("citizen.changed")
    producer = KafkaProducer(bootstrap_servers=ground.bootstrap)
    kept = producer.send(topic, key=b"k", value=b"no event", partition=0, headers=[("who", b"someone"), ("x", b"\xff")])
    offset = kept.get(30).offset
    producer.close()
    with pytest.raises(NoKeyError):
        traced(ground, f"citizen.changed/0@{offset}")
    named = place_named("citizen.changed/0")
    assert named == (topic, 0, None)
    unread = story_of(ground.database, ground.bootstrap, (topic, 0, offset))
    assert unread.outcome is None
    assert "it is not decided yet: 0 places are before it" in unread.said
    assert unread.record is not None
    assert unread.record.value_bytes == 8
    assert unread.record.headers_as_text(is_masked=True) == {"who": "7 bytes", "x": "1 bytes"}
    assert unread.record.headers_as_text(is_masked=False) == {"who": "someone", "x": "\\xff"}
    assert story_of(ground.database, ground.bootstrap, named).place == unread.place
    ground.consume()
    decided = story_of(ground.database, NOWHERE, (topic, 0, offset))
    assert (decided.outcome, decided.reason) == ("dead_lettered", "BAD_MAGIC")
    assert decided.do == (f"hub deadletters show {topic}/0/{offset}",)
    assert any(one.startswith("the log cannot be asked") for one in decided.said)
    never = story_of(ground.database, ground.bootstrap, (topic, 99, 5))
    assert never.said == ("the hub has never read this partition", "the log holds no record here now")
    shown = show_letter(ground.database, Place(topic, 0, offset), None, ground.bootstrap)
    told = shown_as_json(shown)
    assert told["headers"] == {"who": "7 bytes", "x": "1 bytes"}
    assert told["appended_at"] is not None
    assert "someone" not in repr(shown)


def test_event_shows_kafkas_time_and_its_headers(ground: Ground, story: list[Outgoing]) -> None:
    (filed,) = of_topic(traced(ground, CODE), SUBMITTED)
    place = filed.event.place
    producer = KafkaProducer(bootstrap_servers=ground.bootstrap)
    record = next(one for one in story if one.topic == SUBMITTED)
    kept = [("traceparent", b"00-1-2-01"), ("who", b"someone")]
    again = producer.send(SUBMITTED, key=record.key, value=record.value, partition=place.partition, headers=kept)
    offset = again.get(30).offset
    producer.close()
    ground.consume()
    found = traced(ground, f"{SUBMITTED}/{place.partition}/{offset}")
    (event,) = trace_json(found)["events"]
    assert event["headers"] == {"traceparent": "00-1-2-01", "who": "7 bytes"}
    assert event["appended_at"] is not None
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(trace_view(found, 20))
    shown = console.export_text()
    assert "header traceparent: 00-1-2-01" in shown
    assert "header who: 7 bytes" in shown
    assert "on the log since" in shown
