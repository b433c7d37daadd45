"""History and past states on the real log: values by their coordinates, both times, a log that is away or forgot."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from hub.codec.catalogue import load_catalogue
from hub.config import Settings
from hub.log.places import Place
from hub.model.declaration import Entity
from hub.model.entities import CITIZEN, DOSSIER, INSPECTION, PROCEDURE, SOCIAL_PAYMENT
from hub.model.errors import UnreachableError
from hub.model.keys import as_uuid, entity_key
from hub.model.outcomes import Outcome
from hub.operate.log.read_back import event_values, read_values
from hub.operate.records.claims import Rule
from hub.operate.records.history import Event, Limits
from hub.operate.records.request import Answer, Request, Unmasking, answer
from hub.warehouse.tables.core import batch
from tests.conftest import RunningEngine
from tests.property.test_history import state_of
from tests.support.event_set import FIRST_DAY, EventSet, Outgoing, send
from tests.support.running_intake import Ground
from tests.support.schema_samples import sample_event

PROCEDURE_CODE = "1.001193"
NOWHERE = "127.0.0.1:1"
OFFICER = Unmasking("H42-017", "a test")
POLICY = """
[[source]]
code = "population"
agency = "G01"
role = "population"
subjects = ["citizen.changed", "residence.changed"]
[[source]]
code = "province"
agency = "H40"
role = "province"
subjects = ["citizen.changed", "residence.changed"]
order = "time"
[[source]]
code = "all"
agency = "G99"
role = "population"
subjects = [
    "citizen.changed", "residence.changed", "identity.changed", "health_insurance.linked", "dossier.submitted",
    "dossier.progressed", "procedure.changed", "social_payment.changed", "inspection.changed",
]
[source.authority]
"citizen.insurance" = 0
"dossier.submission" = 0
"dossier.progress" = 0
"procedure.catalogue" = 0
"social_payment.payment" = 0
"inspection.inspection" = 0
[[source]]
code = "nso"
agency = "G12"
role = "statistics_office"
subjects = ["admin_unit.changed"]
"""
_pins = (f"0369{number:08d}" for number in range(1, 1000))


@pytest.fixture(scope="module")
def ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    name = f"history_{uuid.uuid4().hex[:12]}"
    policy = tmp_path_factory.mktemp(name) / "policy.toml"
    policy.write_text(POLICY)
    url = engine.create_database(name)
    settings = Settings(kafka_bootstrap=engine.bootstrap, database_url=url, key_secret=engine.key_secret, policy=policy)
    made = Ground(settings, name)
    yield made
    made.database.dispose()
    engine.engine.drop_database(name)


class Person:
    """One citizen nobody else speaks of, and what sources say of it."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.pin = ground, next(_pins)
        self.key = as_uuid(entity_key(ground.secret, "citizen", [self.pin]))
        self._events = EventSet(ground.secret, seed=int(self.pin))
        self.sent: list[tuple[str, int, int]] = []

    def says(self, name: str, version: int, day: float, source: str = "population", **more: Any) -> Outgoing:
        """Make an event that gives the name."""
        fields = self._events.fields(source, version, day, pin=self.pin, full_name=name, **more)
        return self._events.record("citizen.changed", fields)

    def lives_in(self, code: str, version: int, day: float, **more: Any) -> Outgoing:
        """Make an event that gives the commune."""
        home = {"pin": self.pin, "kind": "PERMANENT", "action": "REGISTER", "commune_code": code}
        return self._events.record("residence.changed", self._events.fields("population", version, day, **home, **more))

    def learn(self, *records: Outgoing) -> datetime:
        """Send, consume, and return when the hub had learnt it."""
        self.sent += send(self.ground.bootstrap, list(records))
        self.ground.consume()
        with self.ground.database.connect() as connection:
            latest: datetime = connection.execute(select(func.max(batch.c.recorded_at))).scalar_one()
        return latest

    def asked(self, limits: Limits | None = None, bootstrap: str = "", history: bool = False) -> Answer:
        """Return what is shown, unmasked."""
        request = Request(CITIZEN, self.pin, limits or Limits(), history, OFFICER)
        return answer(self.ground.database, bootstrap or self.ground.bootstrap, self.ground.secret, request)

    def name(self, **limits: datetime) -> Any:
        """Return the name that the record held."""
        (side,) = self.asked(Limits(**limits)).shown.sides
        return side.holder and side.holder.fields["full_name"]


def day(number: float) -> datetime:
    return FIRST_DAY + timedelta(days=number)


def test_known_at_shows_what_show_printed_then_and_as_of_what_held_though_late(ground: Ground) -> None:
    person = Person(ground)
    first = person.learn(person.says("A", 1, 1), person.says("P", 1, 2, source="province"))
    printed = [person.asked().shown]
    second = person.learn(person.says("C", 3, 20))
    printed.append(person.asked().shown)
    third = person.learn(person.says("B", 2, 10))
    printed.append(person.asked().shown)
    fourth = person.learn(person.says("C", 4, 30, operation="REVOKE"))
    printed.append(person.asked().shown)
    for at, shown in zip((first, second, third, fourth), printed, strict=True):
        then = person.asked(Limits(known_at=at)).shown
        assert state_of(list(then.sides)) == state_of(list(shown.sides))
    assert person.name(as_of=day(15)) == "B"
    assert person.name(as_of=day(15), known_at=second) == "A"
    assert person.name(as_of=day(25)) == "C"
    (now,) = person.asked().shown.sides
    assert (now.won.holder, now.won.rule, now.won.over) == ("province", Rule.TOOK_BACK, "population")
    assert person.asked(Limits(known_at=first - timedelta(seconds=1))).shown.sides == ()


def test_history_has_every_event_with_outcome_times_policy_and_values(ground: Ground) -> None:
    person = Person(ground)
    person.learn(person.says("A", 1, 1), person.says("A", 1, 1), person.says("B", 1, 1))
    person.learn(person.says("Z", 0, 0))
    events = person.asked(history=True).shown.events
    assert [(event.outcome, event.reason, event.values and event.values["full_name"]) for event in events] == [
        (Outcome.APPLIED, None, "A"),
        (Outcome.DUPLICATE, None, "A"),
        (Outcome.REJECTED, "VERSION_REUSED", "B"),
        (Outcome.STALE, None, "Z"),
    ]
    assert [event.place for event in events] == [Place(*place) for place in person.sent]
    assert {event.policy_digest for event in events} == {ground.rows("SELECT policy_digest FROM batch")[0][0]}
    assert "full_name" in {event.place: event for event in events}[Place(*person.sent[0])].changed


def test_source_ordered_by_time_is_folded_by_time(ground: Ground) -> None:
    person = Person(ground)
    person.learn(person.says("late", 1, 9, source="province"), person.says("early", 2, 3, source="province"))
    assert person.name() == "late"
    assert person.name(as_of=day(5)) == "early"
    assert state_of(list(person.asked(Limits(known_at=datetime.now(UTC))).shown.sides)) == state_of(
        list(person.asked().shown.sides)
    )


def of_residence(person: Person) -> Event:
    (found,) = [event for event in person.asked(history=True).shown.events if event.aspect == "residence"]
    return found


def test_parked_event_is_known_since_it_was_released(ground: Ground) -> None:
    person = Person(ground)
    code = person.pin[-5:]
    parked_at = person.learn(person.says("A", 1, 1), person.lives_in(code, 1, 1, unit_scheme="GSO_2025"))
    assert [one.waits_for for one in person.asked().shown.beside.parked] == [f"admin_unit:GSO_2025:{code}"]
    assert of_residence(person).outcome is Outcome.PARKED
    unit: dict[str, Any] = {"scheme": "GSO_2025", "unit_code": code, "level": "COMMUNE", "unit_type": "PHUONG"}
    unit |= {"name": "Phường Mới", "valid_from": day(0).date(), "change_kind": "CREATE", "unit_scheme": "GSO_2025"}
    events = EventSet(ground.secret)
    send(ground.bootstrap, [events.record("admin_unit.changed", events.fields("nso", 1, **unit))])
    ground.consume(until=lambda: not ground.rows("SELECT 1 FROM parked"))
    released = of_residence(person)
    assert (released.outcome, released.parked_at) == (Outcome.APPLIED, parked_at)
    assert [side.aspect.name for side in person.asked(Limits(known_at=parked_at)).shown.sides] == ["person"]
    assert [side.aspect.name for side in person.asked(Limits(known_at=released.recorded_at)).shown.sides] == [
        "person",
        "residence",
    ]


def test_history_says_so_and_shows_the_audit_rows_when_the_log_is_away(ground: Ground) -> None:
    person = Person(ground)
    person.learn(person.says("A", 1, 1))
    told = person.asked(history=True, bootstrap=NOWHERE)
    assert told.is_complete
    assert len(told.shown.sides) == 1
    assert [(event.outcome, event.values) for event in told.shown.events] == [(Outcome.APPLIED, None)]
    assert "no Kafka broker answers" in told.shown.notes[-1]
    past = person.asked(Limits(as_of=day(9)), bootstrap=NOWHERE)
    assert not past.is_complete
    assert past.shown.sides == ()
    assert len(past.shown.events) == 1


def test_history_says_how_many_events_the_log_no_longer_holds(ground: Ground) -> None:
    person = Person(ground)
    person.learn(person.says("A", 1, 1))
    ground.execute(f"UPDATE audit SET log_offset = log_offset + 1000000 WHERE key = '{person.key}'")
    told = person.asked(Limits(as_of=day(9)), history=True)
    assert told.shown.notes[-1].startswith("the log no longer holds 1 of the accepted events")


def test_records_are_read_by_their_coordinates_near_and_far_and_what_is_not_there_is_gone(
    engine: RunningEngine, kafka_topic: str
) -> None:
    sent = send(engine.bootstrap, [Outgoing(kafka_topic, None, b"%d" % number) for number in range(3000)])
    wanted = [Place(kafka_topic, 0, offset) for offset in (0, 1, 700, 2999)]
    lost = [Place(kafka_topic, 0, 3000), Place(kafka_topic, 7, 0), Place("no.such.topic", 0, 0)]
    read = read_values(engine.bootstrap, [*wanted, *lost])
    assert len(sent) == 3000
    assert read.values == {place: b"%d" % place.offset for place in wanted}
    assert read.gone == set(lost)


def test_reader_says_that_no_broker_answers() -> None:
    with pytest.raises(UnreachableError):
        read_values(NOWHERE, [Place("any", 0, 0)])


@pytest.mark.parametrize("entity", [CITIZEN, DOSSIER, PROCEDURE, SOCIAL_PAYMENT, INSPECTION], ids=lambda of: of.name)
def test_every_field_of_every_subject_is_read_from_the_log_as_the_warehouse_holds_it(
    ground: Ground, entity: Entity
) -> None:
    code, events = f"{next(_pins)}", EventSet(ground.secret)
    known_procedure = events.fields("all", 1, procedure_code=PROCEDURE_CODE, name="Đăng ký khai sinh")
    records = [events.record("procedure.changed", known_procedure)]
    for aspect in entity.aspects:
        given: dict[str, Any] = {name: code for name in entity.key} | {"source_system": "all", "operation": "UPDATE"}
        given |= {reference.field: None for reference in aspect.references}
        given |= {"procedure_code": PROCEDURE_CODE} if entity is DOSSIER else {}
        given |= {same_as.field: None for same_as in aspect.same_as}
        given |= {"occurred_at": day(1), "recorded_at": day(1)}
        version = load_catalogue().latest(aspect.subject)
        known = {spec.name for spec in version.fields} | {"source_system", "operation"}
        fields = sample_event(version, **{name: value for name, value in given.items() if name in known})
        records.append(events.record(aspect.subject, fields))
    send(ground.bootstrap, records[:1])
    ground.consume()
    send(ground.bootstrap, records[1:])
    ground.consume()
    now, past = (
        answer(ground.database, ground.bootstrap, ground.secret, Request(entity, code, limits, unmasking=OFFICER)).shown
        for limits in (Limits(), Limits(known_at=datetime.now(UTC)))
    )
    assert len(now.sides) == len(entity.aspects)
    assert state_of(list(past.sides)) == state_of(list(now.sides))


def test_bytes_that_are_no_event_have_no_values() -> None:
    assert event_values(b"no event") is None


def test_values_stay_out_of_reprs(ground: Ground) -> None:
    person = Person(ground)
    person.learn(person.says("Nguyễn", 1, 1))
    shown = person.asked(history=True).shown
    assert "Nguyễn" not in repr(shown)
