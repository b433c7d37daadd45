"""Every command that reads the log reads what the worker reads: records in all of Kafka's codecs."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from hub.config import Settings
from hub.demo.portal import last_values
from hub.intake.decode.decoder import GuardedDecoder
from hub.log.places import Place
from hub.operate.archive.plan import plan_archive
from hub.operate.archive.reader import read_places
from hub.operate.archive.run import run_archive, verify_archive
from hub.operate.dead_letters.redrive_log import Sought, copies_since, origin_header
from hub.operate.evidence.bytes import BytesCheck
from hub.operate.evidence.outcomes import Derivation
from hub.operate.log.ends import read_log_ends
from hub.operate.log.offset_moves import plan_move
from hub.operate.log.read_back import read_values
from hub.operate.replay.reading.event_log import LogRange
from hub.operate.replay.reading.whole_log import whole_log_reader
from hub.operate.trace.portal import publications
from hub.share.tail import tail
from hub.topology import event_topic
from hub.warehouse.offsets import read_positions
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, pin_of
from tests.support.log_bytes import CODECS, Said
from tests.support.odd_log import send_batch
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

CITIZEN = event_topic("citizen.changed")
LATER = timedelta(seconds=-60)
_numbers = iter(range(60_000, 70_000))


@dataclass(frozen=True)
class Sent:
    """Three events of a codec, as one batch: those that are durable, and a copy of them on a topic of its own."""

    ground: Ground
    folder: Path
    log: int
    codec: int
    first: int
    records: tuple[Said, ...]
    own_topic: str

    @property
    def places(self) -> list[Place]:
        """Where they stand."""
        return [Place(CITIZEN, 0, self.first + number) for number in range(len(self.records))]

    @property
    def values(self) -> list[bytes | None]:
        """What they say."""
        return [one.value for one in self.records]

    @property
    def range(self) -> LogRange:
        """The stretch of the log that they are."""
        return LogRange(self.log, CITIZEN, 0, self.first, self.first + len(self.records))


@pytest.fixture(scope="module")
def ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    name = f"codecs_{uuid.uuid4().hex[:12]}"
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database(name),
        key_secret=engine.key_secret,
        data_dir=tmp_path_factory.mktemp("codecs"),
    )
    made = Ground(settings, name)
    yield made
    made.database.dispose()
    engine.engine.drop_database(name)


@pytest.fixture(scope="module", params=list(CODECS.values()), ids=list(CODECS))
def sent(ground: Ground, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    events = EventSet(ground.secret, seed=next(_numbers))
    made = [
        events.record("citizen.changed", events.fields("dancu", 1, pin=pin_of(next(_numbers)), full_name="Người Nén"))
        for _ in range(3)
    ]
    records = tuple(Said(one.key, one.value, [(b"hub.origin", origin_header(Place(CITIZEN, 0, 7))[1])]) for one in made)
    first = send_batch(ground.bootstrap, CITIZEN, 0, records, request.param)
    ground.consume()
    own = f"test.codecs.{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=ground.bootstrap)
    admin.create_topics([NewTopic(own, 1, 1, topic_configs={"retention.ms": "-1"})])
    admin.close()
    send_batch(ground.bootstrap, own, 0, records, request.param)
    with ground.database.connect() as connection:
        log = read_positions(connection)[CITIZEN, 0].log
    return Sent(ground, tmp_path_factory.mktemp("archive"), log, request.param, first, records, own)


def worker(sent: Sent) -> None:
    rows = sent.ground.rows(
        f"SELECT outcome FROM audit WHERE log = {sent.log} AND log_offset >= {sent.first} ORDER BY log_offset LIMIT 3"
    )
    assert [row.outcome for row in rows] == ["applied"] * 3


def history_and_trace(sent: Sent) -> None:
    read = read_values(sent.ground.bootstrap, sent.places)
    assert [read.values[place] for place in sent.places] == sent.values


def ledger(sent: Sent) -> None:
    end = read_log_ends(sent.ground.bootstrap, {(CITIZEN, 0): sent.first})[CITIZEN, 0]
    assert end.lag(sent.first) >= 3


def offsets_plan(sent: Sent) -> None:
    ground = sent.ground
    ground.execute(f"UPDATE log_partition SET next_offset = {sent.first} WHERE id = {sent.log}")
    try:
        plan = plan_move(ground.database, ground.bootstrap, (CITIZEN, 0), str(sent.first + 2), "H42-017")
        assert (plan.records, plan.lost) == (2, 0)
    finally:
        ground.execute(
            f"UPDATE log_partition SET next_offset = 1 + (SELECT max(log_offset) FROM audit WHERE log = {sent.log}) "
            f"WHERE id = {sent.log}"
        )


def archive(sent: Sent) -> None:
    ground = sent.ground
    stretches = plan_archive(ground.database, ground.bootstrap, sent.folder, LATER, [CITIZEN])
    run_archive(ground.bootstrap, sent.folder, stretches)
    assert verify_archive(sent.folder)[1] == []
    offsets = [place.offset for place in sent.places]
    assert [value for _, _, value, _ in read_places(sent.folder, CITIZEN, 0, offsets)] == sent.values


def replay(sent: Sent) -> None:
    async def read() -> list[bytes | None]:
        reader = whole_log_reader(sent.ground.bootstrap, None)
        return [value async for several in reader([sent.range], 10) for part in several for value in part.values]

    assert asyncio.run(read()) == sent.values


def evidence(sent: Sent) -> None:
    with GuardedDecoder(20.0, 2048) as decoder, sent.ground.database.connect() as connection:
        derivation = Derivation(connection, decoder, sent.ground.secret)
        with closing(BytesCheck(sent.ground.bootstrap, derivation, lambda _: None)) as check:
            found = [one for one in check.findings(connection, f"{CITIZEN}/0")]
            mine = {f"{CITIZEN}/0/{place.offset}" for place in sent.places}
            assert [one for one in found if one.where in mine] == []
            assert check.compared.records >= 3


def redrive(sent: Sent) -> None:
    origin, one = Place(CITIZEN, 0, 7), sent.records[1]
    assert copies_since(sent.ground.bootstrap, {origin: Sought(sent.first, one.key, one.value)}) == {
        origin: sent.first + 1
    }


def share_tail(sent: Sent) -> None:
    shown = list(tail(sent.ground.bootstrap, sent.own_topic, unmask=True, until_end=True))
    assert [one.key.bytes for one in shown] == [one.key for one in sent.records]
    assert all(one.fields and one.fields["full_name"] == "Người Nén" for one in shown)


def trace_of_the_portal(sent: Sent) -> None:
    key = uuid.UUID(bytes=sent.records[0].key or b"")
    (found,) = publications(sent.ground.bootstrap, sent.own_topic, key, [datetime.fromtimestamp(0, UTC)])
    assert found.offset == 0


def portal_of_the_demo(sent: Sent) -> None:
    assert last_values(sent.own_topic, sent.ground.bootstrap) == {one.key: one.value for one in sent.records}


READERS: tuple[Callable[[Sent], None], ...] = (
    worker,
    history_and_trace,
    ledger,
    offsets_plan,
    archive,
    replay,
    evidence,
    redrive,
    share_tail,
    trace_of_the_portal,
    portal_of_the_demo,
)


@pytest.mark.parametrize("reads", READERS, ids=[one.__name__ for one in READERS])
def test_command_reads_the_codec(sent: Sent, reads: Callable[[Sent], None]) -> None:
    reads(sent)
