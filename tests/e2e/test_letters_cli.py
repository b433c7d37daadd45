"""An operator at the terminal: letters mended by two people, a storm accepted, parked records decided."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from hub.config import Settings
from tests.conftest import RunningEngine
from tests.e2e.hub_process import WorkerProcess, run_hub, wait_until
from tests.support.event_set import EventSet, Outgoing, pin_of
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

NAME = "Lê Thị Không Ai"
FIRST, SECOND = "H42-017", "H42-009"
WORD = "chín con rồng"
DONE = ("--reason", "case 7", "--officer", FIRST, "--execute")


@dataclass(frozen=True, slots=True)
class Desk:
    """A warehouse with a worker, and the commands of those who sit at it."""

    environment: Mapping[str, str]
    ground: Ground
    worker: WorkerProcess
    events: EventSet

    def text(self, *arguments: str, code: int = 0, **more: str) -> str:
        """Run a command and return what it prints."""
        ran = run_hub({**self.environment, **more}, *arguments)
        assert ran.returncode == code, ran.stderr
        assert WORD not in ran.stdout + ran.stderr
        assert max(map(len, ran.stdout.splitlines()), default=0) <= 100
        return ran.stdout + ran.stderr

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command and return its JSON."""
        ran = run_hub(self.environment, *arguments, "--json")
        assert ran.returncode == code, ran.stderr
        return json.loads(ran.stdout)

    def send(self, *records: Outgoing, partition: int | None = None) -> None:
        """Send records to the log."""
        producer = KafkaProducer(bootstrap_servers=self.ground.bootstrap)
        for record in records:
            producer.send(record.topic, key=record.key, value=record.value, partition=partition)
        producer.flush()
        producer.close()

    def person(self, number: int, **raw: Any) -> Outgoing:
        """Return what a source says of somebody, with values that an encoder would not write."""
        fields = self.events.fields("dancu", 1, pin=pin_of(number), full_name=NAME)
        return self.events.raw("citizen.changed", fields, **raw)

    def cut(self, number: int) -> Outgoing:
        """Return the same with bytes missing."""
        whole = self.person(number)
        return Outgoing(whole.topic, whole.key, (whole.value or b"")[:-4])

    def wait(self, query: str, value: Any) -> None:
        """Wait until a query gives a value."""
        told = lambda: f"{query}\n{self.worker.output()[-3000:]}"  # noqa: E731
        wait_until(lambda: self.ground.rows(query)[0][0] == value, told, 60)


@pytest.fixture
def desk(engine: RunningEngine, settings: Settings, tmp_path: Path, unique: str) -> Iterator[Desk]:
    ground = Ground(settings, unique)
    environment = {
        "HUB_KAFKA_BOOTSTRAP": str(settings.kafka_bootstrap),
        "HUB_DATABASE_URL": str(settings.database_url),
        "HUB_KEY_SECRET": engine.key_secret,
        "HUB_DATA_DIR": str(tmp_path / "hub"),
        "HUB_LETTERS_MOST": "1000",  # a storm of letters is told as partition_stopped here
        "HUB_CONSUMER_GROUP": unique,
    }
    worker = WorkerProcess(environment, tmp_path / "worker.log")
    try:
        wait_until(lambda: worker.health() == 200, worker.output, 90)
        yield Desk(environment, ground, worker, EventSet(engine.key_secret, seed=13))
    finally:
        worker.stop()
        ground.database.dispose()


def test_operator_mends_letters_with_a_second_person_stops_a_storm_and_decides_about_parked_records(desk: Desk) -> None:
    _mends_letters(desk)
    _accepts_a_storm(desk)
    _decides_about_parked_records(desk)
    assert desk.json("ledger")["balanced"]


def _mends_letters(desk: Desk) -> None:
    desk.send(desk.person(7001, source_epoch=-1), desk.cut(7002), partition=0)
    desk.wait("SELECT count(*) FROM dead_letter", 2)
    wrong, cut = (one["letter"] for one in desk.json("deadletters", "list")["letters"])
    groups = desk.json("deadletters", "list", "--by", "reason")["groups"]
    assert {(one["name"], one["count"], one["oldest"]) for one in groups} == {
        ("INVALID_VALUE", 1, wrong),
        ("NOT_DECODABLE", 1, cut),
    }
    assert desk.text("deadletters", "list", "--by", "reason").split()[:2] == ["count", "reason"]

    desk.text("deadletters", "edit", wrong, "--set", "source_epoch=1", *DONE)
    desk.text("operators", "add", SECOND, "--reason", "on duty", "--execute", HUB_NEW_CREDENTIAL=WORD)
    approve = ("deadletters", "approve", wrong, "--reason", "paper file seen", "--execute", "--approved-by")
    refused = " ".join(desk.text(*approve, FIRST, code=1, HUB_APPROVER_CREDENTIAL=WORD).split())
    assert "another person must approve it: they give this command with --approved-by THEIR-NAME" in refused
    credential = Path(desk.environment["HUB_DATA_DIR"]).with_name("credential")
    credential.write_text(f"{WORD}\n")
    desk.text(*approve, SECOND, HUB_APPROVER_CREDENTIAL_FILE=str(credential))

    assert "sent 2" in desk.text("deadletters", "redrive", *DONE)
    desk.wait("SELECT count(*) FROM dead_letter", 3)
    shown = desk.text("deadletters", "show", wrong)
    assert "applied" in shown
    assert NAME not in shown
    (again,) = desk.json("deadletters", "list")["letters"]
    assert (again["origin"], again["attempt"], again["same"]) == (cut, 1, 2)
    assert "discarded 1" in desk.text("deadletters", "discard", again["letter"], *DONE)


def _accepts_a_storm(desk: Desk) -> None:
    desk.send(*(desk.cut(7100 + number) for number in range(120)), partition=0)
    desk.send(desk.person(7003), partition=1)
    desk.wait("SELECT count(*) FROM alert WHERE closed_at IS NULL", 1)
    desk.wait("SELECT count(*) FROM citizen_person_claim", 2)
    alerts = desk.text("alerts", "list", code=1)
    assert "100 poison records in a row" in alerts
    assert "first: hub partitions list" in alerts
    status, health = desk.worker.page("/health")
    assert (status, list(health["stopped"].values())) == (200, ["100 poison records in a row"])
    _, page = desk.worker.page("/alerts")
    assert [(one["name"], one["do"]) for one in page["alerts"]] == [("partition_stopped", "hub partitions list")]
    desk.text("partitions", "resume", "citizen.changed/0", "--accept-poison", "120", *DONE)
    desk.wait("SELECT count(*) FROM dead_letter", 123)
    assert desk.worker.page("/health")[1]["stopped"] == {}
    assert desk.worker.output().count("alert opened: partition_stopped") == 1


def _decides_about_parked_records(desk: Desk) -> None:
    for number in range(3):
        code = f"H25.10-250601-9800{number % 2}"
        fields = desk.events.fields("hanam.motcua", 1 + number, dossier_code=code, procedure_code="9.999999")
        desk.send(desk.events.record("dossier.submitted", fields), partition=0)
    desk.wait("SELECT count(*) FROM parked", 3)
    first, second = (one["first"] for one in desk.json("parked", "list")["parked"])
    desk.text("parked", "release", first, *DONE)
    desk.wait("SELECT count(*) FROM parked", 1)
    desk.text("parked", "discard", second, *DONE, "--approved-by", SECOND, HUB_APPROVER_CREDENTIAL=WORD)
    assert desk.ground.rows("SELECT outcome, count(*) FROM release GROUP BY 1 ORDER BY 1") == [
        ("applied", 2),
        ("rejected", 1),
    ]
