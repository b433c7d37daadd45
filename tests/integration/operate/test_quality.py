"""`hub quality` and aliases: doubts counted once per event and by source; a person found by any number."""

import json
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import text as sql
from typer.testing import CliRunner

from hub.cli.app import build_app
from hub.cli.ledger.quality import show_quality
from hub.model.entities import CITIZEN
from hub.model.errors import ConfigError
from hub.model.flags import Flag
from hub.operate.ledger.quality import read_quality, totals
from hub.operate.records.find import find_keys
from tests.conftest import RunningEngine
from tests.support.whole_world import DAY, SECRET, Whole, key_of

PIN, OTHER = "001299000001", "001299000002"
PERSON = {"pin": PIN, "full_name": "A", "source_system": "dancu", "gender": "FEMALE", "birth_year": 2099}
TIMES = {"recorded_at": DAY}


def counted(whole: Whole, **options: object) -> dict[str, dict[str, int]]:
    with whole.engine.connect() as connection:
        found = read_quality(connection, **options)  # type: ignore[arg-type]
    return {one.source: {flag.name or "": count for flag, count in one.flags.items()} for one in found.sources}


def test_event_counts_once_however_often_it_was_sent(whole: Whole) -> None:
    first = PERSON | {"source_version": 2}
    whole.send("citizen.changed", first)
    whole.send("citizen.changed", first, first)
    assert counted(whole) == {"dancu": {"PIN_MISMATCH": 1, "PARTIAL_BIRTH_DATE": 1, "TIME_IN_FUTURE": 1}}
    whole.send("citizen.changed", PERSON | {"source_version": 1, "gender": "MALE"})
    assert counted(whole)["dancu"] == {"PIN_MISMATCH": 1, "PARTIAL_BIRTH_DATE": 2, "TIME_IN_FUTURE": 2}
    whole.send("citizen.changed", PERSON | {"source_system": "tinh"})
    assert set(counted(whole)) == {"dancu", "tinh"}


def test_flag_never_drops_an_event(whole: Whole) -> None:
    odd = PERSON | {
        "pin": "000000000001",
        "full_name": "Ho\u0300a",
        "birth_month": 2,
        "birth_day": 31,
        "marital_status": "UNKNOWN",
        "father_pin": "000000001",
        "occurred_at": DAY - timedelta(days=30),
    }
    whole.send("citizen.changed", odd)
    assert whole.outcomes("citizen.changed") == ["applied"]
    assert set(counted(whole)["dancu"]) == {
        "PLACEHOLDER_ID",
        "PIN_MISMATCH",
        "PIN_PREFIX_UNKNOWN",
        "CMND9_IN_PIN_FIELD",
        "LATE",
        "TIME_IN_FUTURE",
        "NAME_NOT_NFC",
        "IMPOSSIBLE_DATE",
        "UNKNOWN_ENUM",
    }
    assert whole.value("SELECT flags FROM citizen_person_claim") == whole.value("SELECT flags FROM audit")


def test_flags_since_a_time_are_of_later_batches(whole: Whole) -> None:
    whole.send("citizen.changed", PERSON)
    middle = whole.value("SELECT now()")
    assert counted(whole, since=middle) == {}
    whole.send("citizen.changed", PERSON | {"pin": OTHER})
    assert counted(whole, since=middle)["dancu"]["PIN_MISMATCH"] == 1
    assert counted(whole)["dancu"]["PIN_MISMATCH"] == 2


def test_parked_event_waits_first_and_counts_when_it_is_released(whole: Whole) -> None:
    submitted = {"dossier_code": "4711", "procedure_code": "1.001193", "source_system": "dvcqg"}
    whole.send("dossier.submitted", submitted)
    with whole.engine.connect() as connection:
        (portal,) = read_quality(connection).sources
    assert (portal.source, portal.flagged, portal.parked) == ("dvcqg", 0, 1)
    whole.send("procedure.changed", {"procedure_code": "1.001193", "name": "x", "source_system": "dvcqg"})
    assert whole.release() == 1
    with whole.engine.connect() as connection:
        (portal,) = read_quality(connection).sources
    assert (portal.flags, portal.parked) == ({Flag.CODE_FORMAT_OTHER: 1}, 0)


def test_event_that_is_let_in_without_what_it_names_says_so(whole: Whole) -> None:
    submitted = {"dossier_code": "H42.1-250701-0001", "procedure_code": "1.001193", "source_system": "dvcqg"}
    whole.send("dossier.submitted", submitted, submitted | {"source_version": 2})
    with whole.engine.begin() as connection:
        connection.execute(sql("UPDATE parked SET let_in = true WHERE log_offset = 0"))
    assert whole.release() >= 1
    assert counted(whole) == {"dvcqg": {"UNKNOWN_PROCEDURE": 1}}
    flags = whole.value("SELECT flags FROM release WHERE log_offset = 0")
    assert flags == Flag.UNKNOWN_PROCEDURE


def test_view_says_what_each_flag_means_and_fits_the_screen(whole: Whole) -> None:
    whole.send("citizen.changed", PERSON | {"life_status": "DEAD"})
    whole.send("identity.changed", {"pin": PIN, "eid_state": "UNLOCKED", "source_system": "cancuoc"})
    whole.send("health_insurance.linked", {"pin": PIN, "link_state": "MISMATCH", "source_system": "bhxh"})
    with whole.engine.connect() as connection:
        found = read_quality(connection)
    assert totals(found.sources)[Flag.PIN_MISMATCH] == 1
    assert found.standing == {"DECEASED_EID_ACTIVE": 1, "DECEASED_HOLDS_INSURANCE": 1}
    assert json.loads(json.dumps(found.as_json()))["sources"][0]["reviews"] == {"IDENTITY_MISMATCH": 1}
    text = StringIO()
    show_quality(Console(file=text, width=100), found)
    shown = text.getvalue()
    words = " ".join(shown.split())
    assert "PIN_MISMATCH" in shown
    assert "IDENTITY_MISMATCH 1" in shown
    assert "e-ID of a person who died" in words
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 100


def test_command_prints_tables_or_one_json_object_and_refuses_what_is_no_time(
    whole: Whole, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", whole.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", engine.bootstrap)
    monkeypatch.setenv("HUB_KEY_SECRET", engine.key_secret)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    run = partial(CliRunner().invoke, build_app())
    assert run(["quality"]).stdout == "there are no doubts\n"
    whole.send("citizen.changed", PERSON)
    assert json.loads(run(["quality", "--json"]).stdout)["sources"][0]["flags"]["PIN_MISMATCH"] == 1
    assert json.loads(run(["quality", "--json", "--since", "2100-01-01"]).stdout) == {"sources": [], "standing": {}}
    assert "PIN_MISMATCH" in run(["quality", "--since", "2025-07-01T08:00"]).stdout
    assert isinstance(run(["quality", "--since", "hôm qua"]).exception, ConfigError)


@pytest.mark.parametrize("text", [PIN, f" {PIN} ", str(key_of("citizen.changed", PIN)), "013000001", "0130000001"])
def test_person_is_found_by_any_number(whole: Whole, text: str) -> None:
    whole.send("citizen.changed", PERSON | {"cmnd9": "013000001"}, PERSON | {"pin": OTHER, "cmnd9": "013000002"})
    insured = {"pin": PIN, "link_state": "MATCHED", "source_system": "bhxh", "si_number_legacy": "0130000001"}
    whole.send("health_insurance.linked", insured)
    with whole.engine.connect() as connection:
        assert find_keys(connection, CITIZEN, text, SECRET) == (key_of("citizen.changed", PIN),)


def test_older_number_leads_to_everybody_who_holds_it_and_to_nobody_who_gave_it_up(whole: Whole) -> None:
    whole.send("citizen.changed", PERSON | {"cmnd9": "013000001"}, PERSON | {"pin": OTHER, "cmnd9": "013000001"})
    both = tuple(sorted([key_of("citizen.changed", PIN), key_of("citizen.changed", OTHER)]))
    with whole.engine.connect() as connection:
        assert find_keys(connection, CITIZEN, "013000001", SECRET) == both
    whole.send("citizen.changed", PERSON | {"source_version": 2, "operation": "REVOKE", "cmnd9": "013000001"})
    with whole.engine.connect() as connection:
        assert find_keys(connection, CITIZEN, "013000001", SECRET) == (key_of("citizen.changed", OTHER),)
        assert find_keys(connection, CITIZEN, "013000009", SECRET) == ()
