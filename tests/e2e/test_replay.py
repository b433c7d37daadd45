"""An operator replays a source while a worker runs: plan, kill, go on, compare, switch, undo, verify."""

import json
import signal
import subprocess
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from tests.e2e.grounds import Field
from tests.e2e.hub_process import HUB, clean_environment, run_hub, wait_until
from tests.support.event_set import FIRST_DAY

pytestmark = pytest.mark.engine

WHY = ("--reason", "birth years were wrong", "--officer", "H40-003")
SOURCE = "namdinh.motcua"


def hub(field: Field, *arguments: str, code: int = 0) -> Any:
    """Run a command of replays and return its JSON."""
    ran = run_hub(field.environment(), "replay", *arguments, "--json")
    assert ran.returncode == code, ran.stderr
    return json.loads(ran.stdout)


def words(field: Field, *arguments: str) -> str:
    """Run a command of replays as at a terminal of 100 columns, and return what it says."""
    ran = run_hub(field.environment({"COLUMNS": "100"}), "replay", *arguments)
    assert ran.returncode == 0, ran.stderr
    assert max(map(len, ran.stdout.splitlines()), default=0) <= 100
    return ran.stdout


def groups(field: Field) -> set[str]:
    client = KafkaAdminClient(bootstrap_servers=field.grounds.bootstrap)
    try:
        return {str(group["group_id"]) for group in client.list_groups()}
    finally:
        client.close()


def killed(field: Field, number: int) -> None:
    """Run the replay slowly, and kill it when it has read something and not all."""
    command = [HUB, "replay", "run", str(number), "--execute", "--rate", "10", *WHY]
    read = f"SELECT coalesce(sum(read), 0) FROM replay_position WHERE replay = {number}"
    with subprocess.Popen(
        command, env=clean_environment(field.environment()), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: field.value(read) > 0, lambda: f"exit {process.poll()}, nothing read")
        finally:
            process.send_signal(signal.SIGKILL)
        process.wait()


def claims(field: Field) -> int:
    return int(
        field.value(f"SELECT count(*) FROM citizen_person_claim JOIN source s ON s.id = source WHERE code = '{SOURCE}'")
    )


def part_way(field: Field) -> None:
    """Let a worker consume a part of the log, with some of what the source says in it, and stop."""
    worker = field.worker(HUB_BATCH_ROWS="10")
    field.wait_for(1)
    wait_until(lambda: claims(field) >= 10, lambda: f"{claims(field)} claims of {SOURCE}")
    worker.stop()
    assert field.consumed() < field.grounds.log_length()


def test_operator_replays_a_source_beside_a_running_worker_and_goes_back(field: Field, undisturbed: Field) -> None:
    part_way(field)
    stood, before, names = field.consumed(), claims(field), groups(field)
    planned = hub(field, "plan", "--source", SOURCE, "--since", f"{FIRST_DAY:%Y}-12-31", *WHY)
    number, shown = planned["id"], str(planned["id"])
    assert (planned["whole"], planned["estimate"]["claims"]) == (False, before)
    assert "nothing is read" in words(field, "run", shown)
    killed(field, number)
    stopped = hub(field, "show", shown)
    assert stopped["state"] == "RUNNING"
    assert 0 < sum(place["read"] for place in stopped["positions"]) < planned["estimate"]["reads"]
    ran = hub(field, "run", shown, "--execute", *WHY)
    assert (ran["state"], ran["behind"], ran["selected"]) == ("READY", 0, 0)
    assert 0 < ran["read"] < planned["estimate"]["reads"]
    found = {table["table"]: table for table in hub(field, "diff", shown)["tables"]}
    assert found["citizen_person_claim"]["removed"] == before > 0
    assert "citizen_person_claim" in words(field, "diff", shown)

    worker = field.worker(HUB_BATCH_ROWS="5")
    field.wait_for(stood + 1)
    assert "nothing is changed" in words(field, "switch", shown)
    done = hub(field, "switch", shown, "--execute", *WHY)
    # Some of what was withdrawn is said again by repeated events after the plan's end.
    assert (done["state"], done["published"]) == ("SWITCHED", 0)
    assert 0 < done["withdrawn"] <= before
    assert done["caught_up"] > 0
    field.wait_for_all()
    assert worker.is_alive()
    assert 0 < claims(field) < before + claims(undisturbed)
    assert json.loads(run_hub(field.environment(), "ledger", "--json").stdout)["balanced"]

    back = hub(field, "undo", shown, "--execute", *WHY)
    assert back["state"] == "UNDONE"
    assert field.differences(undisturbed) == []
    verified = hub(field, "verify", *WHY)
    assert (verified["equal"], verified["differing"], verified["events"]) == (True, [], field.grounds.log_length())
    field.execute("UPDATE citizen_person_claim SET full_name = 'x' WHERE birth_year = 1951")
    assert hub(field, "verify", *WHY, code=1)["differing"]
    assert worker.health() == 200
    assert groups(field) <= names
    actions = {row[0] for row in field.rows("SELECT DISTINCT action FROM action WHERE actor = 'H40-003'")}
    assert actions == {"replay.plan", "replay.run", "replay.switch", "replay.undo", "replay.verify"}
    assert [one["state"] for one in hub(field, "list")["replays"]] == ["DROPPED", "DROPPED", "UNDONE"]
