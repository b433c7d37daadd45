"""The page docs/mapping-was-wrong.md from its first step to its last, as an operator does it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from hub.config import Settings
from tests.conftest import RunningEngine
from tests.e2e.hub_process import WorkerProcess, run_hub, wait_until
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "ninhbinh.dungchung"
agency = "H25"
unit_scheme = "GSO_2004"
url_env = "SOURCE_URL"
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
version = "ban"
changed_at = "luc"
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED", "4" = "{four}" }} }}
"""
ROWS = (
    "CREATE TABLE ho_so (ma text PRIMARY KEY, ban int DEFAULT 1, luc timestamptz DEFAULT now(), tt text DEFAULT '1')",
    "INSERT INTO ho_so (ma) SELECT 'WRONG-' || n FROM generate_series(1, 20) n",
    "UPDATE ho_so SET tt = '4' WHERE ma IN ('WRONG-1', 'WRONG-2', 'WRONG-3')",
)
CLAIMS = "SELECT source_epoch, status, count(*) FROM dossier_progress_claim GROUP BY 1, 2 ORDER BY 1, 2"
WHY = ("--reason", "word 4 was mapped to REGISTERED")
PAGE = Path(__file__).parents[2] / "docs" / "mapping-was-wrong.md"


@dataclass(frozen=True, slots=True)
class Office:
    """A source whose declaration is wrong, and a warehouse with a worker."""

    environment: Mapping[str, str]
    ground: Ground
    worker: WorkerProcess
    declaration: Path

    def hub(self, *arguments: str, code: int = 0) -> str:
        """Run a command and return what it printed."""
        ran = run_hub(self.environment, *arguments)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def connect(self, command: str, *arguments: str, code: int = 0) -> Any:
        """Run a command of the group ``connect`` and return its JSON."""
        out = self.hub("connect", command, str(self.declaration), *arguments, "--json", code=code)
        return json.loads(next(line for line in out.splitlines() if line.startswith("{")))

    def replay(self, *arguments: str) -> Any:
        """Run a command of the group ``replay`` and return its JSON."""
        out = self.hub("replay", *arguments, "--json")
        return json.loads(next(line for line in out.splitlines() if line.startswith("{")))

    def claims(self) -> list[tuple[int, str, int]]:
        """Return how many claims the hub holds, by epoch and status."""
        return [(row[0], row[1], row[2]) for row in self.ground.rows(CLAIMS)]


@pytest.fixture
def office(engine: RunningEngine, settings: Settings, tmp_path: Path, unique: str) -> Iterator[Office]:
    """A source of twenty dossiers, three of them with the word that is mapped wrongly."""
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
    declaration.write_text(DECLARATION.format(four="REGISTERED"))
    source = create_engine(url, poolclass=NullPool)
    with source.begin() as connection:
        for statement in ROWS:
            connection.execute(text(statement))
    worker = WorkerProcess(environment, tmp_path / "worker.log")
    try:
        wait_until(lambda: worker.health() == 200, worker.output, 90)
        yield Office(environment, ground, worker, declaration)
    finally:
        worker.stop()
        ground.database.dispose()
        source.dispose()
        engine.engine.drop_database(f"source_{unique}")


def test_operator_mends_a_wrong_mapping_from_finding_it_to_the_replay(office: Office) -> None:
    office.connect("run", "--once")
    wait_until(lambda: office.claims() == [(1, "REGISTERED", 20)], office.worker.output)

    office.declaration.write_text(DECLARATION.format(four="RESULT_READY"))
    (differs,) = office.connect("compare", code=1)["subjects"]
    assert differs["differs"] == 3
    office.connect("check")

    assert "--again needs --reason" in office.hub("connect", "run", str(office.declaration), "--again", code=2)
    assert office.connect("run", "--again", "--once", *WHY)["published"] == 20
    right = [(2, "REGISTERED", 17), (2, "RESULT_READY", 3)]
    wait_until(lambda: [claim for claim in office.claims() if claim[0] == 2] == right, office.worker.output)
    assert office.connect("compare")["equal"]
    reused = "SELECT count(*) FROM audit WHERE reason = 'VERSION_REUSED'"
    assert office.ground.rows(reused)[0][0] == 0
    status = office.connect("status")
    assert (status["epoch"], status["read_again"]["reason"]) == (2, WHY[1])

    since = status["read_again"]["at"]
    plan = office.replay("plan", "--source", "ninhbinh.dungchung", "--since", since, "--publish", *WHY)
    number = str(plan["id"])
    assert office.replay("run", number, "--execute", *WHY)["state"] == "READY"
    office.replay("diff", number)
    assert office.replay("switch", number, "--execute", *WHY)["state"] == "SWITCHED"
    assert office.claims() == right
    assert office.connect("compare")["equal"]


def test_page_names_the_commands_that_are_tried_here() -> None:
    shown = PAGE.read_text("utf-8")
    tried = ["connect compare", "connect check", "connect run", "connect status"]
    tried += [f"replay {command}" for command in ("plan", "run", "diff", "switch")]
    assert [command for command in tried if not re.search(rf"^    hub {command} ", shown, re.MULTILINE)] == []
