"""An officer at the terminal: sees a conflict, decides it, sees it gone; an operator applies another policy."""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.config import Settings
from hub.embedded.locate import Endpoints
from hub.operate.log.publish import publish
from hub.operate.log.topics import create_topics, plan_topics
from hub.operate.records.questions import open_counts
from hub.topology import topics
from hub.warehouse.database import open_database
from tests.conftest import RunningEngine
from tests.e2e.hub_process import WorkerProcess, run_hub, wait_until

pytestmark = pytest.mark.engine

PIN = "000299000017"
POLICY = """
[[source]]
code = "desk-npd"
agency = "G01"
role = "population"
subjects = ["citizen.changed"]

[[source]]
code = "desk-province"
agency = "H42"
role = "province"
subjects = ["citizen.changed"]

[[source]]
code = "hub.desk"
agency = "H42"
role = "officer"
subjects = ["review.decided"]
"""
PROVINCE_FIRST = POLICY.replace('agency = "G01"', 'agency = "G01"\nauthority = {"citizen.person" = 5}')
OFFICER = ("--officer", "H42-017", "--reason", "birth certificate 45/2001")


@dataclass(frozen=True, slots=True)
class Desk:
    """A warehouse with a worker, and the commands of those who sit at it."""

    environment: Mapping[str, str]
    places: Endpoints
    worker: WorkerProcess

    def hub(self, *arguments: str, code: int = 0) -> Any:
        """Run a command and return its JSON."""
        ran = run_hub(self.environment, *arguments, "--json")
        assert ran.returncode == code, ran.stderr
        return json.loads(ran.stdout)

    def said(self, source: str, version: int, name: str) -> None:
        """Publish what a source says of the person."""
        now = datetime(2025, 8, version, tzinfo=UTC)
        event = {
            "event_id": uuid.uuid4(),
            "occurred_at": now,
            "recorded_at": now,
            "source_system": source,
            "source_agency": "H42",
            "source_epoch": 1,
            "source_version": version,
            "operation": "UPDATE",
            "unit_scheme": "GSO_2025",
            "pin": PIN,
            "full_name": name,
        }
        publish(self.places, "citizen.changed", [event])

    def open(self) -> list[Any]:
        """Return the open conflicts."""
        questions: list[Any] = self.hub("review", "list", "--kind", "CONFLICT")["questions"]
        return questions

    def wait_for(self, count: int) -> None:
        """Wait until so many conflicts are open."""
        database = open_database(self.places.database_url, "hub", "test")
        with database.connect() as connection:
            wait_until(
                lambda: open_counts(connection).get("CONFLICT", 0) == count,
                lambda: f"never {count} open\n{self.worker.output()[-2000:]}",
                60,
            )
        database.dispose()


@pytest.fixture
def desk(engine: RunningEngine, settings: Settings, tmp_path: Path, unique: str) -> Iterator[Desk]:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    environment = {
        "HUB_KAFKA_BOOTSTRAP": str(settings.kafka_bootstrap),
        "HUB_DATABASE_URL": str(settings.database_url),
        "HUB_KEY_SECRET": engine.key_secret,
        "HUB_DATA_DIR": str(tmp_path / "hub"),
        "HUB_CONSUMER_GROUP": unique,
        "HUB_POLICY": str(policy),
    }
    create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, 1)
    worker = WorkerProcess(environment, tmp_path / "worker.log")
    places = Endpoints(engine.bootstrap, str(settings.database_url), engine.key_secret)
    try:
        wait_until(lambda: worker.health() == 200, worker.output, 90)
        yield Desk(environment, places, worker)
    finally:
        worker.stop()


def test_officer_sees_a_conflict_decides_it_and_it_opens_again_when_the_source_says_something_new(desk: Desk) -> None:
    desk.said("desk-npd", 1, "Nguyễn Văn An")
    desk.said("desk-province", 2, "Nguyễn Văn Ân")
    desk.wait_for(1)
    (question,) = desk.open()
    assert (question["field"], question["source"], question["held_by"]) == ("full_name", "desk-province", "desk-npd")
    number = question["id"]

    masked = run_hub(desk.environment, "review", "show", number)
    assert "desk-npd holds" in masked.stdout
    assert "Nguyễn Văn" not in masked.stdout
    plain = run_hub(desk.environment, "review", "show", number, "--unmask", *OFFICER)
    assert "Nguyễn Văn Ân" in plain.stdout

    planned = desk.hub("review", "decide", number, "take", *OFFICER)
    assert planned["effect"].startswith("desk-province will hold citizen.person in place of desk-npd")
    assert not planned["executed"]
    assert len(desk.open()) == 1
    desk.hub("review", "decide", number, "take", *OFFICER, "--execute")
    desk.wait_for(0)
    shown = desk.hub("review", "show", number)
    assert (shown["is_open"], shown["noted"]["verdict"], shown["noted"]["officer"]) == (False, "TAKE", "H42-017")
    assert "decided by an officer" in shown["claims"]["aspects"][0]["record"]["rule"]

    desk.said("desk-province", 3, "Nguyễn Văn Ân B")
    desk.wait_for(1)
    refused = run_hub(desk.environment, "review", "decide", "C999", "keep", *OFFICER)
    assert refused.returncode == 2
    assert "there is no such question" in refused.stderr


def test_operator_plans_and_applies_a_policy_and_the_worker_of_the_old_one_ends(desk: Desk, tmp_path: Path) -> None:
    desk.said("desk-npd", 1, "Nguyễn Văn An")
    desk.said("desk-province", 2, "Nguyễn Văn Ân")
    desk.wait_for(1)
    other = tmp_path / "other.toml"
    other.write_text(PROVINCE_FIRST)
    plan = desk.hub("policy", "plan", str(other))
    assert [change["what"] for change in plan["changes"]] == ["rank in citizen.person"]
    (aspect,) = plan["aspects"]
    assert (aspect["records"], aspect["opened"], aspect["closed"]) == (1, 1, 1)
    (worker,) = plan["workers_to_restart"]
    assert f"1 worker runs: {worker}; when" in run_hub(desk.environment, "policy", "apply", str(other)).stdout
    assert run_hub(desk.environment, "policy", "apply", str(other), "--execute").returncode == 2
    done = desk.hub("policy", "apply", str(other), "--execute", "--reason", "decree 12/2026")
    assert (done["aspects"], done["applied"], done["workers_to_restart"]) == (plan["aspects"], True, [worker])
    (question,) = desk.open()
    assert (question["source"], question["held_by"]) == ("desk-npd", "desk-province")
    assert desk.hub("policy", "show")["is_same"] is False
    desk.said("desk-npd", 3, "Nguyễn Văn An")
    assert desk.worker.wait(60) == 2
    said = desk.worker.output()
    assert said.count("is not in force any more") == 1, said
    assert "configuration: the policy of this worker" in said.splitlines()[-1], said
    assert [line for line in said.splitlines() if "Traceback" in line or "rash" in line or "CRITICAL" in line] == [], (
        said
    )
    back = run_hub(desk.environment, "policy", "apply", str(other), "--execute", "--reason", "once more")
    assert "applied; the workers go on" in back.stdout
    again = run_hub(desk.environment, "worker")
    assert again.returncode == 2
    assert "rank in citizen.person: 5 -> 0" in again.stderr
