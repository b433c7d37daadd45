"""A log that lost records, is damaged, or belongs to a topic that was created again: what replays and archives do."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from hub.config import Settings
from hub.intake.decode.decoder import GuardedDecoder
from hub.log.places import Place
from hub.log.topic_ids import topic_ids
from hub.model.errors import ConfigError, LostRangeError
from hub.operate.actions import Action
from hub.operate.archive.closing import move_archived
from hub.operate.archive.plan import plan_archive
from hub.operate.archive.run import DELETE, delete_archived, run_archive, verify_archive
from hub.operate.evidence.bytes import ANOTHER_LOG, BytesCheck
from hub.operate.evidence.outcomes import Derivation
from hub.operate.log.new_log import accept_new_log, plan_new_log
from hub.operate.log.offset_moves import apply_move, plan_move
from hub.operate.log.read_back import read_values
from hub.operate.replay.filters import Filters
from hub.operate.replay.ground import Ground as ReplayGround
from hub.operate.replay.plan import plan_replay
from hub.operate.replay.reading.whole_log import whole_log_reader
from hub.operate.replay.run import run_replay
from hub.operate.replay.verify import VERIFY, verify
from hub.topology import event_topic
from hub.warehouse.lost_offsets import read_lost
from hub.warehouse.offsets import known_topic_ids
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, Outgoing, send
from tests.support.odd_log import bend_on_disk, made_anew
from tests.support.replay_world import by, unwatched
from tests.support.running_intake import PARTITIONS, Ground

pytestmark = pytest.mark.engine

SUBJECT = "inspection.changed"
TOPIC = event_topic(SUBJECT)
NO_AGE = timedelta(seconds=-60)
_numbers = iter(range(60_000, 70_000))


class Office(Ground):
    """A warehouse that follows one topic, its archive, and its replays."""

    archive: Path

    def say(self, marks: list[str]) -> list[tuple[str, int, int]]:
        """Send an event for each mark; return where they are."""
        events = EventSet(self.secret, seed=next(_numbers))
        said = {"inspectorate_agency": "H42", "phase": "PREPARE"}
        fields = [events.fields("thanhtra", 1, inspection_id=mark, **said) for mark in marks]  # type: ignore[arg-type]
        return send(self.bootstrap, [events.record(SUBJECT, one) for one in fields])

    def replays(self) -> ReplayGround:
        """Return where replays work."""
        reader = whole_log_reader(self.bootstrap, self.archive, lambda: read_lost(self.database))
        url = self.database.url.render_as_string(hide_password=False)
        return ReplayGround(self.database, url, "hub", self.secret, reader, 1_000)

    def rebuilt(self) -> int:
        """Rebuild everything beside the live warehouse, which must be the same; return how many events it read."""
        found = verify(self.replays(), Action("H42-017", VERIFY, "a test"), unwatched)
        assert found.differing == ()
        return found.events

    def compared_bytes(self) -> list[tuple[str, str]]:
        """Compare the topic's bytes with the audit rows; return where they differ, and how."""
        with GuardedDecoder(20.0, 2048) as decoder, self.database.connect() as connection:
            derivation = Derivation(connection, decoder, self.secret)
            with closing(BytesCheck(self.bootstrap, derivation, lambda _: None)) as check:
                return sorted((one.where, one.words) for one in check.findings(connection, TOPIC))

    def archived(self) -> int:
        """Archive the topic; return how many offsets neither archive nor topic holds without a word about it."""
        stretches = plan_archive(self.database, self.bootstrap, self.archive, NO_AGE, [TOPIC])
        run_archive(self.bootstrap, self.archive, stretches)
        assert verify_archive(self.archive)[1] == []
        return sum(one.lost for one in stretches)


@pytest.fixture
def office(engine: RunningEngine, tmp_path: Path) -> Iterator[Office]:
    name = f"losses_{uuid.uuid4().hex[:12]}"
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database(name),
        key_secret=engine.key_secret,
        data_dir=tmp_path,
    )
    made = Office(settings, name)
    made.archive = tmp_path / "archive"
    yield made
    made.database.dispose()
    engine.engine.drop_database(name)


def marks(count: int) -> list[str]:
    return [f"loss-{next(_numbers)}" for _ in range(count)]


def skipped_on_record(office: Office, partition: int, to: str) -> None:
    plan = plan_move(office.database, office.bootstrap, (TOPIC, partition), to, "H42-017")
    apply_move(office.database, office.bootstrap, plan.id, "H42-017", "a test")


def test_lost_offsets_that_are_on_record_stop_no_replay_and_are_no_hole_in_the_archive(office: Office) -> None:
    office.say(marks(20))
    office.consume()
    assert office.archived() == 0
    lost = [offset for _, partition, offset in office.say(marks(20)) if partition == 0]
    admin = KafkaAdminClient(bootstrap_servers=office.bootstrap)
    admin.delete_records({TopicPartition(TOPIC, 0): lost[-1]})
    admin.close()
    office.say(marks(20))
    office.consume(lambda: bool(office.rows("SELECT FROM alert WHERE closed_at IS NULL")), drain=False)
    skipped_on_record(office, 0, "begin")
    office.consume()
    assert office.rebuilt() == 60 - (len(lost) - 1)
    assert office.archived() == 0
    stretches = plan_archive(office.database, office.bootstrap, office.archive, NO_AGE, [TOPIC])
    assert delete_archived(office.database, office.bootstrap, office.archive, stretches, Action("x", DELETE, "a test"))
    assert office.rebuilt() == 60 - (len(lost) - 1)
    assert plan_archive(office.database, office.bootstrap, office.archive, NO_AGE, [TOPIC])[0].lost == 0


def test_damage_that_was_skipped_on_record_is_passed_over_by_replay_and_archive(
    engine: RunningEngine, office: Office
) -> None:
    office.say(marks(10))
    needle = f"NEEDLE-{uuid.uuid4().hex}"
    ((_, partition, offset),) = office.say([needle])
    office.say(marks(10))
    bend_on_disk(engine.settings.data_dir, TOPIC, partition, needle.encode())
    office.consume(lambda: bool(office.rows("SELECT FROM alert WHERE closed_at IS NULL")), drain=False)
    assert office.rebuilt() > 0, "a partition that stands still holds up no replay"
    skipped_on_record(office, partition, str(offset + 1))
    office.consume()
    assert office.rebuilt() == 20
    assert office.archived() == 0


def test_topic_created_again_is_not_taken_for_the_log_of_before_by_replay_archive_or_history(office: Office) -> None:
    office.say(marks(10))
    old = office.say(marks(1))[0]
    office.consume()
    plan = plan_replay(office.database, Filters(), False, by("replay.plan"))
    assert office.archived() == 0
    with office.database.connect() as connection:
        known = known_topic_ids(connection)
    made_anew(office.bootstrap, TOPIC, PARTITIONS)
    office.say(marks(40))
    assert topic_ids(office.bootstrap, [TOPIC])[TOPIC] != known[TOPIC]
    with pytest.raises(LostRangeError, match="created again"):
        run_replay(office.replays(), plan.id, by("replay.run"), unwatched)
    with pytest.raises(ConfigError, match="hub offsets accept"):
        plan_archive(office.database, office.bootstrap, office.archive, NO_AGE, [TOPIC])
    read = read_values(office.bootstrap, [Place(*old)], known=known)
    assert not read.values
    assert read.gone == {Place(*old)}
    assert office.compared_bytes() == [(f"{TOPIC}/{number}", ANOTHER_LOG) for number in range(PARTITIONS)]
    office.consume(lambda: len(office.rows("SELECT FROM alert WHERE closed_at IS NULL")) == PARTITIONS, drain=False)
    new = plan_new_log(office.database, office.bootstrap, TOPIC)
    accept_new_log(office.database, new, "H42-017", "a test")
    assert move_archived(office.archive, TOPIC, None, new.closed)
    office.consume()
    assert office.rebuilt() == 51
    assert office.archived() == 0
    assert office.rebuilt() == 51
    assert office.compared_bytes() == []


def test_replay_goes_its_way_while_a_storm_of_poison_stops_the_worker(office: Office) -> None:
    office.say(marks(20))
    office.consume()
    plan = plan_replay(office.database, Filters(), False, by("replay.plan"))
    send(office.bootstrap, [Outgoing(TOPIC, b"k" * 16, b"no event")] * 130)
    office.say(marks(20))
    office.consume(lambda: bool(office.rows("SELECT FROM alert WHERE closed_at IS NULL")), drain=False)
    assert run_replay(office.replays(), plan.id, by("replay.run"), unwatched).state == "READY"
    assert office.rebuilt() >= 20
