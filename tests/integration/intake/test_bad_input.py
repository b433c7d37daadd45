"""Bad input on the real log: each record ends in its outcome with its reason, and no neighbour is lost."""

import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from hub.config import Settings
from hub.intake.status import IntakeStatus
from hub.model.outcomes import OUTCOME_OF_REASON, Outcome, Reason
from hub.topology import MAX_RECORD_BYTES, dead_letter_topic
from tests.conftest import RunningEngine
from tests.support.event_set import AFTER_CUT_OVER, FIRST_DAY, EventSet, Outgoing, pin_of, send
from tests.support.running_intake import Copy, Ground

pytestmark = pytest.mark.engine

UNKNOWN_ID = (2**31 - 1).to_bytes(4, "big")
HUGE_BYTES = 10_000_000
REFUSED_NAME = "Tên Không Ai Nhận"
SECRETS = (pin_of(1)[:9], "Người", REFUSED_NAME)
CITIZEN, DOSSIER = "citizen.changed", "dossier.progressed"


@dataclass(frozen=True, slots=True)
class Bad:
    """A record, and the reason that it must end with; None: it is good."""

    name: str
    record: Outgoing
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Night:
    """What became of all records, sent as one."""

    ground: Ground
    sent: list[Bad]
    status: IntakeStatus
    copies: list[Copy]
    audit: dict[tuple[str, int, int], Any]
    letters: dict[tuple[str, int, int], Any]
    places: dict[str, tuple[str, int, int]]
    log: str
    server_log: str


def _person(events: EventSet, number: int, version: int = 1, **data: Any) -> dict[str, Any]:
    return events.fields("dancu", version, pin=pin_of(number), full_name=f"Người Thứ {number}") | data


def _cases(events: EventSet) -> Iterator[Bad]:
    """Each about a person of its own, so that the key tells the cases apart."""
    yield from _broken_bytes(events)
    yield from _wrong_values(events)
    yield from _against_policy(events)


def _broken_bytes(events: EventSet) -> Iterator[Bad]:
    changes: dict[str, tuple[Callable[[Any], bytes | None], Reason]] = {
        "truncated": (lambda value: value[:-4], Reason.NOT_DECODABLE),
        "header only": (lambda value: value[:5], Reason.NOT_DECODABLE),
        "cut header": (lambda value: value[:3], Reason.NOT_DECODABLE),
        "trailing bytes": (lambda value: value + b"\0\0", Reason.TRAILING_BYTES),
        "wrong magic byte": (lambda value: b"\x01" + value[1:], Reason.BAD_MAGIC),
        "unknown schema id": (lambda value: value[:1] + UNKNOWN_ID + value[5:], Reason.UNKNOWN_SCHEMA_ID),
        "empty": (lambda value: b"", Reason.EMPTY),
        "tombstone": (lambda value: None, Reason.TOMBSTONE),
        "10 MB": (lambda value: value + bytes(HUGE_BYTES), Reason.TOO_LARGE),
    }
    for number, (name, (change, reason)) in enumerate(changes.items(), 1000):
        whole = events.record(CITIZEN, _person(events, number))
        yield Bad(name, Outgoing(whole.topic, whole.key, change(whole.value)), reason)
    citizen = events.record(CITIZEN, _person(events, 1100))
    code = "H25.10-250601-99999"
    step = events.record(DOSSIER, events.fields("hanam.motcua", 1, dossier_code=code, status="ACCEPTED"))
    yield Bad("id of another subject", Outgoing(citizen.topic, citizen.key, step.value), Reason.WRONG_SUBJECT)
    for number, (name, key) in enumerate(
        {
            "key of another": bytes(16),
            "no key": None,
            "PIN as key": pin_of(1).encode(),
            "3 MB key": bytes(3_000_000),
        }.items(),
        1200,
    ):
        whole = events.record(CITIZEN, _person(events, number))
        yield Bad(name, Outgoing(whole.topic, key, whole.value), Reason.KEY_MISMATCH)


def _wrong_values(events: EventSet) -> Iterator[Bad]:
    wrong: dict[str, dict[str, Any]] = {
        "PIN of 11 digits": {"pin": pin_of(1)[:11]},
        "NUL in a text": {"full_name": "Người\0Thứ"},
        "negative version": {"source_version": -1},
        "occurred before time": {"occurred_at": -(2**63)},
        "occurred in the far past": {"occurred_at": -(10**18)},
        "occurred in the far future": {"occurred_at": 2**63 - 1},
        "recorded in the far past": {"recorded_at": -(10**18)},
        "a name without end": {"full_name": "Người" * 100_000},
        "too long for an index": {"cmnd9": "ế" * 2_800},
    }
    for number, (name, raw) in enumerate(wrong.items(), 1300):
        yield Bad(name, events.raw(CITIZEN, _person(events, number), **raw), Reason.INVALID_VALUE)
    optional: dict[str, dict[str, Any]] = {
        "month 13": {"birth_month": 13},
        "day 0": {"birth_day": 0},
    }
    for number, (name, raw) in enumerate(optional.items(), 1370):
        yield Bad(name, events.raw(CITIZEN, _person(events, number), **raw), None)
    odd = events.record(CITIZEN, _person(events, 1350, other_name=REFUSED_NAME))
    yield Bad("a name that PostgreSQL alone refuses", odd, Reason.INVALID_VALUE)
    home = events.fields("dancu", 1, pin=pin_of(1400), kind="PERMANENT", action="REGISTER")
    yield Bad("date after time", events.raw("residence.changed", home, from_date=2**31 - 1), Reason.INVALID_VALUE)
    filed = events.fields("hanam.motcua", 1, dossier_code="H25.10-250601-99998", procedure_code="1.001193")
    fee = {"name": "Lệ phí\0", "amount_vnd": 1}
    yield Bad("NUL in a list", events.raw("dossier.submitted", filed, fees=[fee]), Reason.INVALID_VALUE)


def _against_policy(events: EventSet) -> Iterator[Bad]:
    def step(source: str, number: int, **data: Any) -> Outgoing:
        code = f"H25.10-250601-{number}"
        return events.record(DOSSIER, events.fields(source, 1, dossier_code=code, status="ACCEPTED") | data)

    stranger = _person(events, 1500) | {"source_system": "vien.nghien.cuu"}
    yield Bad("unknown source", events.record(CITIZEN, stranger), Reason.SOURCE_UNKNOWN)
    meddler = _person(events, 1501) | {"source_system": "hanam.motcua"}
    yield Bad("source of another subject", events.record(CITIZEN, meddler), Reason.SOURCE_NOT_ALLOWED)
    late = step("hanam.motcua", 99001, occurred_at=AFTER_CUT_OVER)
    yield Bad("after the cut-over", late, Reason.AFTER_CUT_OVER)
    midnight = step("hanam.motcua", 99002, occurred_at=FIRST_DAY + timedelta(days=30, hours=-7))
    yield Bad("at the cut-over", midnight, Reason.AFTER_CUT_OVER)
    yield Bad("before its start", step("ninhbinh.dungchung", 99003), Reason.BEFORE_START)
    yield Bad("a version", events.record(CITIZEN, _person(events, 1502)), None)
    other = events.record(CITIZEN, _person(events, 1502, full_name="Người Khác"))
    yield Bad("the version again", other, Reason.VERSION_REUSED)


@pytest.fixture(scope="module")
def night(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Send good and bad records in turns, consume them, share."""
    url = engine.create_database("bad_input")
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=url,
        key_secret=engine.key_secret,
        data_dir=tmp_path_factory.mktemp("bad_input"),
    )
    ground = Ground(settings, "test.bad_input")
    ground.execute(f"ALTER TABLE citizen_person_claim ADD CHECK (other_name IS DISTINCT FROM '{REFUSED_NAME}')")
    events = EventSet(engine.key_secret, seed=2)
    sent = []
    for number, bad in enumerate(_cases(events)):
        good = events.record(CITIZEN, _person(events, number))
        sent += [Bad(f"neighbour {number}", good, None), bad]
    places = send(ground.bootstrap, [bad.record for bad in sent])
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    status = ground.consume()
    logging.getLogger().removeHandler(handler)
    at = "topic, partition, log_offset"
    audit = ground.rows(f"SELECT {at}, outcome, reason, detail FROM audit JOIN log_partition ON id = log")
    letters = ground.rows(f"SELECT {at}, dead_letter.* FROM dead_letter JOIN log_partition ON id = log")
    yield Night(
        ground,
        sent,
        status,
        ground.share(),
        {(row.topic, row.partition, row.log_offset): row for row in audit},
        {(row.topic, row.partition, row.log_offset): row for row in letters},
        {bad.name: place for bad, place in zip(sent, places, strict=True)},
        log.getvalue(),
        (engine.settings.data_dir / "logs" / "postgres.log").read_text("utf-8"),
    )
    ground.database.dispose()
    engine.engine.drop_database("bad_input")


def test_each_bad_record_ends_in_its_outcome_with_its_reason(night: Night) -> None:
    found = {bad.name: night.audit[night.places[bad.name]].reason for bad in night.sent if bad.reason}
    assert found == {bad.name: bad.reason.value for bad in night.sent if bad.reason}
    outcomes = {bad.name: night.audit[night.places[bad.name]].outcome for bad in night.sent if bad.reason}
    assert outcomes == {bad.name: OUTCOME_OF_REASON[bad.reason].value for bad in night.sent if bad.reason}


def test_every_neighbour_of_bad_records_is_applied(night: Night) -> None:
    outcomes = {bad.name: night.audit[night.places[bad.name]].outcome for bad in night.sent if not bad.reason}
    assert outcomes == dict.fromkeys(outcomes, Outcome.APPLIED.value)
    assert len(outcomes) > len(night.sent) // 2


def test_bad_optional_value_is_left_out_and_told(night: Night) -> None:
    names = {"month 13": "birth_month", "day 0": "birth_day"}
    told = {name: night.audit[night.places[name]].detail for name in names}
    assert told == {
        "month 13": "birth_month DROPPED OUT_OF_RANGE",
        "day 0": "birth_day DROPPED OUT_OF_RANGE",
    }
    kept = "SELECT 1 FROM citizen_person_claim WHERE birth_month = 13 OR birth_day = 0"
    assert night.ground.rows(kept) == []


def test_intake_is_alive_and_well_after_bad_records(night: Night) -> None:
    assert night.status.ended_by is None
    assert not night.status.waiting
    assert night.status.consumed == len(night.sent)


def test_i5_ledger_is_balanced_with_bad_records(night: Night) -> None:
    ledger = night.ground.ledger()
    assert all(row.balanced for row in ledger)
    assert sum(row.consumed for row in ledger) == len(night.sent)
    assert sum(row.outcomes[Outcome.DEAD_LETTERED] for row in ledger) == len(night.letters)


def test_dead_letters_keep_place_bytes_and_digest(night: Night) -> None:
    dead = [bad for bad in night.sent if bad.reason and OUTCOME_OF_REASON[bad.reason] is Outcome.DEAD_LETTERED]
    assert len(dead) == len(night.letters)
    for bad in dead:
        letter, value = night.letters[night.places[bad.name]], bad.record.value or b""
        assert (letter.value_bytes, letter.value_sha256) == (len(value), hashlib.sha256(value).digest()), bad.name
        assert letter.record_value == (bad.record.value if len(value) <= MAX_RECORD_BYTES else None), bad.name
        assert letter.detail, bad.name
        assert letter.record_key == (bad.record.key if bad.name != "3 MB key" else None), bad.name


def test_dead_letters_are_copied_to_their_topics(night: Night) -> None:
    found = {copy.origin: (copy.topic, copy.reason, copy.key, copy.value) for copy in night.copies}
    expected = {}
    for (topic, partition, offset), letter in night.letters.items():
        kept = letter.record_key, letter.record_value
        expected[f"{topic}/{partition}/{offset}"] = (dead_letter_topic(topic), letter.reason, *kept)
    assert found == expected
    assert len(night.copies) == len(expected)


def test_i8_details_and_reasons_of_bad_records_name_no_person(night: Night) -> None:
    told = " ".join(f"{row.detail} {row.reason}" for row in (*night.audit.values(), *night.letters.values()))
    assert not any(secret in told for secret in SECRETS)


def test_i8_logs_about_bad_records_name_no_person(night: Night) -> None:
    assert "the row that PostgreSQL refuses" in night.log
    assert "violates check constraint" in night.server_log
    assert not any(secret in night.log + night.server_log for secret in SECRETS)


def test_i3_same_events_again_leave_the_state_and_are_duplicates(night: Night) -> None:
    before, repeated = night.ground.state(), [bad.record for bad in night.sent if bad.name.startswith("neighbour")]
    places = send(night.ground.bootstrap, repeated)
    night.ground.consume()
    assert night.ground.state() == before
    rows = night.ground.rows("SELECT topic, partition, log_offset, outcome FROM audit JOIN log_partition ON id = log")
    outcomes = {(row.topic, row.partition, row.log_offset): row.outcome for row in rows}
    assert {outcomes[place] for place in places} == {Outcome.DUPLICATE.value}
    assert all(row.balanced for row in night.ground.ledger())
