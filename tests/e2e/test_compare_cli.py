"""``hub connect compare`` as an operator runs it: on real Kafka, with a worker that merges what a repair publishes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from hub.config import Settings
from tests.conftest import RunningEngine
from tests.e2e.hub_process import HUB, WorkerProcess, run_hub, wait_until
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "ninhbinh.dungchung"
agency = "H25"
unit_scheme = "GSO_2004"
url_env = "SOURCE_URL"
{more}
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
version = "ban"
changed_at = "luc"
where = {{ loai = "A" }}
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED", "4" = "RESULT_READY" }} }}
"""
ROWS = (
    "CREATE TABLE ho_so (ma text PRIMARY KEY, ban int DEFAULT 1, luc timestamptz DEFAULT now(), tt text DEFAULT '1',"
    " loai text DEFAULT 'A')",
    "INSERT INTO ho_so (ma) SELECT 'CMP-' || n FROM generate_series(1, 100) n",
)
GONE = (
    "DELETE FROM ho_so WHERE ma = 'CMP-1'",
    "UPDATE ho_so SET ma = 'CMP-2b', ban = 2 WHERE ma = 'CMP-2'",
    "UPDATE ho_so SET loai = 'B', ban = 2 WHERE ma = 'CMP-3'",
)
ALERTS = "SELECT count(*) FROM alert WHERE name = 'compare_differs' AND closed_at IS NULL"


@dataclass(frozen=True, slots=True)
class Office:
    """A source, its declaration, and a warehouse with a worker."""

    environment: Mapping[str, str]
    ground: Ground
    worker: WorkerProcess
    declaration: Path
    url: str

    def sql(self, *statements: str) -> None:
        """Run statements in the source."""
        source = create_engine(self.url, poolclass=NullPool)
        for statement in statements:
            with source.begin() as connection:
                connection.execute(text(statement))
        source.dispose()

    def hub(self, *arguments: str, code: int = 0) -> str:
        """Run a command of the group ``connect`` and return all that it printed."""
        ran = run_hub(self.environment, "connect", arguments[0], str(self.declaration), *arguments[1:])
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert "CMP-" not in ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command and return its JSON."""
        return json.loads(self.hub(*arguments, "--json", code=code).splitlines()[0])

    def golden(self) -> int:
        """Return how many dossiers have a golden record."""
        return int(self.ground.rows("SELECT count(*) FROM dossier_progress_record WHERE source IS NOT NULL")[0][0])


@pytest.fixture
def office(engine: RunningEngine, settings: Settings, tmp_path: Path, unique: str) -> Iterator[Office]:
    """A source of a hundred dossiers in a database of its own."""
    ground = Ground(settings, unique)
    url = engine.create_database(f"source_{unique}")
    environment = {
        "HUB_KAFKA_BOOTSTRAP": str(settings.kafka_bootstrap),
        "HUB_DATABASE_URL": str(settings.database_url),
        "HUB_KEY_SECRET": engine.key_secret,
        "HUB_DATA_DIR": str(tmp_path / "hub"),
        "HUB_CONSUMER_GROUP": unique,
        "SOURCE_URL": url,
    }
    declaration = tmp_path / "hanam.toml"
    declaration.write_text(DECLARATION.format(more=""))
    worker = WorkerProcess(environment, tmp_path / "worker.log")
    try:
        made = Office(environment, ground, worker, declaration, url)
        made.sql(*ROWS)
        wait_until(lambda: worker.health() == 200, worker.output, 90)
        yield made
    finally:
        worker.stop()
        ground.database.dispose()
        engine.engine.drop_database(f"source_{unique}")


def test_operator_finds_rows_that_went_and_takes_them_back(office: Office) -> None:
    office.hub("run", "--once")
    assert office.json("compare")["equal"]
    office.sql(*GONE)
    office.hub("run", "--once")
    told = office.json("compare", code=1)
    (subject,) = told["subjects"]
    assert (subject["left_over"], subject["missing"], subject["differs"]) == (3, 0, 0)
    assert "compare_differs" in run_hub(office.environment, "alerts", "list").stdout

    assert "nothing is published" in office.hub("compare", "--repair", code=1)
    assert "needs --repair" in office.hub("compare", "--execute", code=2)
    few = ("--repair", "--allow-gone", "2", "--execute", "--reason", "case 12")
    assert "3 keys are gone, more than --allow-gone 2" in office.hub("compare", *few, code=2)
    assert office.golden() == 101
    done = office.json("compare", "--repair", "--execute", "--reason", "monthly comparison")
    repaired = done["subjects"][0]["repaired"]
    assert {name: repaired[name] for name in ("published", "revoked", "skipped", "left")} == {
        "published": 0,
        "revoked": 3,
        "skipped": 0,
        "left": 0,
    }
    assert office.golden() == 98
    assert "equal" in office.hub("compare")
    assert office.ground.rows(ALERTS)[0][0] == 0

    _compares_by_schedule(office)


def _compares_by_schedule(office: Office) -> None:
    """A running connector compares by itself, repairs what it may, and leaves many gone keys to an operator."""
    office.declaration.write_text(DECLARATION.format(more="compare = { every_s = 1, repair = true }"))
    office.sql("DELETE FROM ho_so WHERE ma = 'CMP-10'")
    command = (HUB, "connect", "run", str(office.declaration))
    connector = WorkerProcess(office.environment, office.declaration.with_name("run.log"), command)
    try:
        wait_until(lambda: office.golden() == 97, connector.output, 120)
        office.sql("DELETE FROM ho_so WHERE ma LIKE 'CMP-5%'")
        wait_until(lambda: office.ground.rows(ALERTS)[0][0] == 1, connector.output, 120)
        assert office.golden() == 97
    finally:
        assert connector.stop() in (0, 143)
    compared = office.json("status")["compared"]
    assert compared["equal"] is False
    assert compared["subjects"] == {"dossier.progressed": {"left_over": 11}}
    assert "11 of 97 keys are gone" in compared["problem"]
    assert "they differ" in connector.output()
    office.json("compare", "--repair", "--allow-gone", "11", "--execute", "--reason", "closed with the province")
    assert office.golden() == 86
    assert office.ground.rows(ALERTS)[0][0] == 0


def test_source_that_is_away_is_told_by_the_exit_code(office: Office) -> None:
    office.environment["SOURCE_URL"] = "postgresql+psycopg://nobody@127.0.0.1:1/none"  # type: ignore[index]
    assert "unreachable" in office.hub("compare", code=3)
