"""A connector at its source: it knows Kafka and the key secret, and nothing of the warehouse."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hub.operate.log.topics import create_topics, plan_topics
from hub.topology import topics
from tests.conftest import RunningEngine
from tests.e2e.hub_process import run_hub

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "hanam.tinh"
agency = "H25"
unit_scheme = "GSO_2025"
url = "sqlite:///{folder}/source.db"
{more}
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
status = {{ column = "tt", words = {{ "1" = "REGISTERED" }} }}
"""


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    """A declaration of an SQLite source with three rows, and its state in the same file."""
    with closing(sqlite3.connect(tmp_path / "source.db")) as source, source:
        source.execute("CREATE TABLE ho_so (ma TEXT PRIMARY KEY, ban INTEGER, luc TIMESTAMP NOT NULL, tt TEXT)")
        rows = [(f"TINH-{number}", 1, "2025-06-01 08:00:00", "1") for number in range(3)]
        source.executemany("INSERT INTO ho_so VALUES (?, ?, ?, ?)", rows)
    path = tmp_path / "hanam.toml"
    path.write_text(DECLARATION.format(folder=tmp_path, more=""))
    return path


@pytest.fixture
def environment(engine: RunningEngine, tmp_path: Path) -> dict[str, str]:
    """All that a province sets."""
    create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, replication=1)
    return {
        "HUB_KAFKA_BOOTSTRAP": engine.bootstrap,
        "HUB_KEY_SECRET": engine.key_secret,
        "HUB_DATA_DIR": str(tmp_path / "none"),
    }


def test_connector_runs_with_kafka_and_the_key_secret_alone(environment: dict[str, str], declaration: Path) -> None:
    ran = run_hub(environment, "connect", "run", str(declaration), "--once", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["published"] == 3
    assert "no constraint guarantees it" not in ran.stderr
    shown = run_hub(environment, "connect", "status", str(declaration), "--json")
    assert json.loads(shown.stdout)["streams"][0]["published"] == 3
    checked = run_hub(environment, "connect", "check", str(declaration), "--json")
    assert "no constraint guarantees it" in checked.stdout


def test_declared_comparison_says_that_it_needs_the_warehouse(environment: dict[str, str], declaration: Path) -> None:
    declaration.write_text(DECLARATION.format(folder=declaration.parent, more="compare = { every_s = 60 }"))
    ran = run_hub(environment, "connect", "run", str(declaration))
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "HUB_DATABASE_URL is not set" in ran.stderr


def test_missing_key_secret_is_named(environment: dict[str, str], declaration: Path) -> None:
    del environment["HUB_KEY_SECRET"]
    ran = run_hub(environment, "connect", "run", str(declaration), "--once")
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "HUB_KEY_SECRET" in ran.stderr
