"""``hub <entity> show`` as an officer meets it: one screen, masked; past states; what cannot be shown, and why."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.cli.shared.screen import WIDTH
from tests.e2e.grounds import Field
from tests.e2e.hub_process import HUB, clean_environment, run_hub
from tests.support.event_set import FIRST_DAY, pin_of

pytestmark = pytest.mark.engine

CONTESTED, PLAIN = pin_of(3), pin_of(1)
"""Two sources speak of the one, one of the other."""


def shown(field: Field, *arguments: str, **settings: str) -> Any:
    """Run a command that succeeds and return its JSON."""
    ran = run_hub(field.environment(settings), *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_screen_fits_and_says_the_rule_and_nothing_personal(undisturbed: Field) -> None:
    ran = run_hub(undisturbed.environment(), "citizen", "show", CONTESTED, "--history")
    assert ran.returncode == 0, ran.stderr
    assert "record of dancu: higher authority than namdinh.motcua" in ran.stdout
    assert "birth_year: namdinh.motcua against dancu" in ran.stdout
    assert "hub.citizen.changed.v1/" in ran.stdout
    for personal in (CONTESTED, "Người Thứ", "Tên Mới"):
        assert personal not in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= WIDTH


def test_past_states_by_both_times(undisturbed: Field) -> None:
    show = ("citizen", "show", PLAIN, "--unmask", "--reason", "a test of past states")
    day = (FIRST_DAY + timedelta(days=2)).isoformat()
    then = shown(undisturbed, *show, "--as-of", day)
    assert [side["claims"][0]["fields"]["full_name"] for side in then["aspects"][:1]] == ["Người Thứ 1"]
    now = shown(undisturbed, *show)
    assert now["aspects"][0]["claims"][0]["fields"]["full_name"] == "Tên Mới 1"
    known = shown(undisturbed, *show, "--known-at", datetime.now(UTC).isoformat())
    assert known["aspects"][0]["claims"] == now["aspects"][0]["claims"]
    assert shown(undisturbed, *show, "--known-at", "2020-01-01")["aspects"] == []


def test_unmasking_needs_a_reason_and_is_noted_with_who_and_why(undisturbed: Field) -> None:
    refused = run_hub(undisturbed.environment(), "citizen", "show", PLAIN, "--unmask")
    assert refused.returncode == 2
    assert "--reason" in refused.stderr
    found = shown(undisturbed, "citizen", "show", PLAIN, "--unmask", "--reason", "complaint 7", "--officer", "H42-017")
    assert not found["masked"]
    assert found["aspects"][0]["claims"][0]["fields"]["pin"] == PLAIN
    noted = undisturbed.rows("SELECT actor, action, key::text FROM action WHERE purpose = 'complaint 7'")
    assert noted == [("H42-017", "unmask", found["key"])]


def test_number_can_come_from_standard_input_and_a_key_stands_for_it(undisturbed: Field) -> None:
    by_pin = shown(undisturbed, "citizen", "show", PLAIN)
    assert shown(undisturbed, "citizen", "show", by_pin["key"]) == by_pin
    command = [HUB, "citizen", "show", "-", "--json"]
    environment = clean_environment(undisturbed.environment())
    ran = subprocess.run(command, input=f"{PLAIN}\n", capture_output=True, text=True, env=environment, check=True)
    assert json.loads(ran.stdout) == by_pin


@pytest.mark.parametrize("entity", ["citizen", "dossier", "payment", "inspection", "procedure"])
def test_what_is_not_known_ends_with_1_and_a_plain_message(undisturbed: Field, entity: str) -> None:
    ran = run_hub(undisturbed.environment(), entity, "show", "000000000001")
    assert ran.returncode == 1
    assert "the hub knows no such" in ran.stderr
    assert "000000000001" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_past_state_ends_with_3_when_the_log_is_away_and_the_history_still_shows_outcomes(undisturbed: Field) -> None:
    away = undisturbed.environment({"HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1"})
    past = run_hub(away, "citizen", "show", PLAIN, "--as-of", "2025-07-01")
    assert past.returncode == 3
    assert "no Kafka broker answers" in past.stdout
    history = run_hub(away, "citizen", "show", PLAIN, "--history", "--json")
    assert history.returncode == 0, history.stderr
    told = json.loads(history.stdout)
    assert {event["values"] for event in told["history"]} == {None}
    assert "applied" in {event["outcome"] for event in told["history"]}
    assert told["aspects"][0]["record"]["source"] == "dancu"


def test_what_is_no_time_ends_with_2(undisturbed: Field) -> None:
    ran = run_hub(undisturbed.environment(), "citizen", "show", PLAIN, "--known-at", "yesterday")
    assert ran.returncode == 2
    assert "--known-at" in ran.stderr
