"""Show on the real warehouse: every entity, several keys of one thing, masks, and the row that unmasking leaves."""

import json
import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import text

from hub.cli.records.view import render
from hub.cli.shared.screen import WIDTH
from hub.codec.decode import MASK
from hub.config import Settings
from hub.model.declaration import Entity
from hub.model.entities import CITIZEN, DOSSIER, INSPECTION, PROCEDURE, SOCIAL_PAYMENT
from hub.model.errors import ConfigError
from hub.model.keys import as_uuid, entity_key
from hub.operate.records.as_json import as_json
from hub.operate.records.claims import Rule
from hub.operate.records.request import Answer, NoSuchThingError, NotOneThingError, Request, Unmasking, answer
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, send
from tests.support.running_intake import Ground

PIN, OLD_PIN = "036912345678", "036987654321"
TWINS = ("036911111112", "036911111113")
DOSSIER_CODE, PROCEDURE_CODE = "H42.12.34-250601-0001", "1.001193"
NAMES = ("Nguyễn Văn Một", "Trần Thị Hai")
POLICY = """
[[source]]
code = "population"
agency = "G01"
role = "population"
subjects = ["citizen.changed"]
[[source]]
code = "portal"
agency = "G22"
role = "portal"
subjects = ["procedure.changed", "dossier.submitted", "dossier.progressed"]
[[source]]
code = "province"
agency = "H42"
role = "province"
subjects = ["citizen.changed", "dossier.submitted", "dossier.progressed"]
[[source]]
code = "paying"
agency = "G30"
role = "paying_agency"
subjects = ["social_payment.changed"]
[[source]]
code = "inspectors"
agency = "H42.9"
role = "inspectorate"
subjects = ["inspection.changed"]
"""


@pytest.fixture(scope="module")
def ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    name = f"show_{uuid.uuid4().hex[:12]}"
    policy = tmp_path_factory.mktemp(name) / "policy.toml"
    policy.write_text(POLICY)
    url = engine.create_database(name)
    settings = Settings(kafka_bootstrap=engine.bootstrap, database_url=url, key_secret=engine.key_secret, policy=policy)
    made = Ground(settings, name)
    events = EventSet(made.secret, seed=77)

    def say(subject: str, source: str, day: float, **data: Any) -> None:
        send(made.bootstrap, [events.record(subject, events.fields(source, 1, day, **data))])

    say("procedure.changed", "portal", 0, procedure_code=PROCEDURE_CODE, name="Đăng ký khai sinh", state="PUBLISHED")
    made.consume()
    say(
        "citizen.changed",
        "population",
        1,
        pin=PIN,
        full_name=NAMES[0],
        birth_year=1990,
        previous_pin=OLD_PIN,
        cmnd9="160123456",
    )
    say("citizen.changed", "province", 2, pin=PIN, full_name=NAMES[1], birth_year=1990)
    say("citizen.changed", "province", 1, pin=OLD_PIN, full_name=NAMES[0], cmnd9="160123456")
    for pin in TWINS:
        say("citizen.changed", "province", 1, pin=pin, full_name=NAMES[1], cmnd9="160999999")
    of_dossier = {"dossier_code": DOSSIER_CODE, "procedure_code": PROCEDURE_CODE}
    say("dossier.submitted", "portal", 3, **of_dossier, applicant_pin=PIN, applicant_name=NAMES[0])
    say("dossier.progressed", "province", 4, **of_dossier, status="ACCEPTED")
    pays = {"payment_id": "CT-1", "beneficiary_pin": PIN, "beneficiary_name": NAMES[0], "amount_vnd": 500_123}
    say("social_payment.changed", "paying", 5, **pays, programme_code="SOCIAL_PENSION", state="PAID")
    inspects = {"inspection_id": "TT-1", "inspectorate_agency": "H42.9", "phase": "ON_SITE"}
    say("inspection.changed", "inspectors", 6, **inspects, team_head_name=NAMES[1])
    made.consume()
    yield made
    made.database.dispose()
    engine.engine.drop_database(name)


def asked(ground: Ground, entity: Entity, who: str, unmasking: Unmasking | None = None) -> Answer:
    return answer(ground.database, ground.bootstrap, ground.secret, Request(entity, who, unmasking=unmasking))


def printed(answer: Answer) -> str:
    out = StringIO()
    Console(file=out, width=WIDTH, no_color=True, highlight=False).print(render(answer))
    return out.getvalue() + json.dumps(as_json(answer), ensure_ascii=False)


def test_each_entity_is_shown_by_its_code_and_by_its_key_with_nothing_personal(ground: Ground) -> None:
    for entity, who, said in (
        (CITIZEN, PIN, "full_name: province against population"),
        (DOSSIER, DOSSIER_CODE, "ACCEPTED"),
        (SOCIAL_PAYMENT, "CT-1", "paying holds"),
        (INSPECTION, "TT-1", "ON_SITE"),
        (PROCEDURE, PROCEDURE_CODE, "Đăng ký khai sinh"),
    ):
        by_code = asked(ground, entity, who)
        for key in (str(by_code.shown.key), by_code.shown.key.hex):
            assert asked(ground, entity, key).shown.sides == by_code.shown.sides
        screen = printed(by_code)
        assert said in screen
        assert max(map(len, screen.splitlines()[:-1])) <= WIDTH
        for personal in (PIN, OLD_PIN, *NAMES, "1990", "500123", "SOCIAL_PENSION"):
            assert personal not in screen, (entity.name, personal)


def test_record_says_source_version_times_and_rule(ground: Ground) -> None:
    person = asked(ground, CITIZEN, PIN).shown.sides[0]
    assert (person.won.holder, person.won.rule, person.won.over) == ("population", Rule.AUTHORITY, "province")
    told = as_json(asked(ground, CITIZEN, PIN))["aspects"][0]["record"]
    assert told == {
        "source": "population",
        "rule": "higher authority",
        "over": "province",
        "version": "1.1",
        "occurred_at": "2025-06-02T00:00:00+00:00",
        "recorded_at": "2025-07-01T00:00:00+00:00",
    }


def test_thing_with_two_keys_is_shown_whole_under_either(ground: Ground) -> None:
    new, old = (as_uuid(entity_key(ground.secret, "citizen", [pin])) for pin in (PIN, OLD_PIN))
    for pin, keys in ((PIN, (new, old)), (OLD_PIN, (old, new))):
        shown = asked(ground, CITIZEN, pin).shown
        assert shown.keys == keys
        assert {side.key for side in shown.sides} == {new, old}
        assert shown.beside.canonical == new
        assert [link.kind for link in shown.beside.links] == ["PIN_REPLACED"]


def test_citizen_is_found_by_an_older_number_when_one_person_holds_it(ground: Ground) -> None:
    found = asked(ground, CITIZEN, "160123456").shown
    assert set(found.keys) == set(asked(ground, CITIZEN, PIN).shown.keys)
    with pytest.raises(NotOneThingError) as raised:
        asked(ground, CITIZEN, "160999999")
    keys = [str(as_uuid(entity_key(ground.secret, "citizen", [pin]))) for pin in TWINS]
    assert all(key in raised.value.message for key in keys)


def test_citizen_and_what_names_them_lead_to_each_other(ground: Ground) -> None:
    citizen = asked(ground, CITIZEN, PIN).shown
    dossier = asked(ground, DOSSIER, DOSSIER_CODE).shown
    assert {(one.entity, one.field) for one in citizen.beside.named_by} == {
        ("dossier", "applicant_pin"),
        ("social_payment", "beneficiary_pin"),
    }
    assert ("citizen", citizen.key, "applicant_pin") in [
        (one.entity, one.key, one.field) for one in dossier.beside.names
    ]


def test_unmasking_shows_values_and_leaves_who_and_why(ground: Ground) -> None:
    found = asked(ground, SOCIAL_PAYMENT, "CT-1", Unmasking("H42-017", "complaint 12/2025"))
    fields = found.shown.sides[0].claims[0].fields
    assert (fields["beneficiary_name"], fields["amount_vnd"]) == (NAMES[0], 500_123)
    (row,) = ground.rows("SELECT actor, action, purpose, entity, key FROM action WHERE purpose LIKE 'complaint%'")
    assert tuple(row) == ("H42-017", "unmask", "complaint 12/2025", "social_payment", found.shown.key)


def test_masked_look_leaves_no_row_and_hides_sensitive_companions(ground: Ground) -> None:
    before = ground.rows("SELECT count(*) FROM action")
    fields = asked(ground, SOCIAL_PAYMENT, "CT-1").shown.sides[0].claims[0].fields
    assert (fields["amount_vnd"], fields["state"], fields["payment_id"]) == (MASK, MASK, "CT-1")
    assert ground.rows("SELECT count(*) FROM action") == before


def test_nothing_is_read_when_the_row_cannot_be_written(ground: Ground) -> None:
    with pytest.raises(ConfigError, match="why"):
        asked(ground, CITIZEN, PIN, Unmasking("H42-017", " "))
    with ground.database.begin() as connection:
        connection.execute(text("ALTER TABLE action ADD CHECK (actor <> 'H42-666')"))
    with pytest.raises(Exception, match="INVALID_VALUE"):
        asked(ground, CITIZEN, PIN, Unmasking("H42-666", "curious"))
    assert ground.rows("SELECT 1 FROM action WHERE actor = 'H42-666' OR purpose = ' '") == []


def test_what_the_hub_does_not_know_is_said_so_without_repeating_it(ground: Ground) -> None:
    with pytest.raises(NoSuchThingError) as raised:
        asked(ground, CITIZEN, "036900000009", Unmasking("H42-017", "in vain"))
    assert raised.value.message.startswith("the hub knows no such citizen; its source may have rejected the row: ")
    assert "`hub connect rejects DECLARATION.toml`" in raised.value.message
    assert ground.rows("SELECT 1 FROM action WHERE purpose = 'in vain'") == []
