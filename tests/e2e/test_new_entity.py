"""The page that says how to add an entity, step by step, on a copy of the project: nothing else may be needed.

The page's schemas and its declaration are all that is added. Its events go through a real connector and a real worker;
record, claims, dead letter, parked records, trace and ``show`` are read by the commands of the copy.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from hub.config import Settings
from hub.embedded.locate import endpoints
from tests.e2e.hub_process import clean_environment, wait_until
from tests.support.patience import HANG_S

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-an-entity.md"
EXAMPLE = ROOT / "docs" / "examples" / "vehicle"
LIMIT_S = HANG_S
KNOWN, STRANGERS, OF_NO_MODEL = "35A-00001", "35A-00002", "35A-00003"
"""Plates of the example's vehicles: all that it names is known; its owner is not; its model is not."""
PERSONAL = ("000299000001", "000299000002", "Nguyễn Văn Thử", "Trần Thị Thử")


def block(name: str) -> str:
    """Return a marked code block of the page."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```\n<!-- /{name} -->", PAGE.read_text("utf-8"), re.DOTALL)
    assert found, f"{PAGE.name} has no block {name}"
    return found[1]


class Shell:
    """Runs a page's lines one by one, with the ``hub`` of a tree; what a line starts in the background, it stops."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.folder = folder
        self.printed: dict[str, str] = {}
        programs = folder / "programs"
        programs.mkdir()
        for name, arguments in (("hub", " -m hub.cli"), ("python", "")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable}{arguments} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        self._environment = clean_environment({"HUB_CACHE_DIR": str(Settings().cache_dir), "PYTHONPATH": str(tree)})
        self._environment["PATH"] = f"{programs}:{self._environment['PATH']}"
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, line: str, code: int = 0) -> str:
        """Run a line; return what it printed. It must end with ``code``."""
        line = re.sub(r"  +#.*$", "", line)
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self._environment[name] = value
            return ""
        if line.endswith("&"):
            self._started.append(self._open(f"exec {line[:-1]}"))
            return ""
        ran = subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert ran.returncode == code, f"{line}\n{ran.stdout}{ran.stderr}\n{self.logs()}"
        return ran.stdout + ran.stderr

    def json(self, line: str) -> Any:
        """Run a command and return its JSON."""
        return json.loads(self.run(f"{line} --json"))

    def _open(self, line: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["/bin/bash", "-c", line], cwd=self.folder, env=self._environment, start_new_session=True
        )

    def logs(self) -> str:
        """Return the ends of what the background processes wrote."""
        return "\n".join(f"{path.name}: {path.read_text('utf-8')[-3000:]}" for path in self.folder.glob("*.log"))

    def stop(self) -> None:
        """Stop what was started, then the engine."""
        for process in self._started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in self._started:
            process.wait(60)
        self._open("hub down").wait(60)


def lines(name: str) -> list[str]:
    """Return the command lines of a block."""
    return [line for line in block(name).splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which the page's declaration was added, and nothing else."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("hub", "connectors", "schemas"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(EXAMPLE, copy / "docs" / "examples" / "vehicle")
    declarations = copy / "hub" / "model" / "entities.py"
    before, marked, after = declarations.read_text("utf-8").partition("ENTITIES: ")
    added = block("declaration")
    names = re.findall(r"^([A-Z_]+) = Entity\(", added, re.MULTILINE)
    assert names, "the page declares no entity"
    listed = after.replace(")", f", {', '.join(names)})", 1)
    declarations.write_text(f"{before}{added}{marked}{listed}", encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def shell(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The page's commands, run: schemas assigned, an engine, a worker, share, and the example's events."""
    at_work = Shell(tree, tree)
    for line in (*lines("schemas"), *lines("check")):
        at_work.run(line)
    at_work.folder = tmp_path_factory.mktemp("vehicle")
    shutil.copytree(EXAMPLE, at_work.folder, dirs_exist_ok=True)
    try:
        for line in lines("try"):
            at_work.printed[line.split("  ")[0]] = at_work.run(line)
        yield at_work
    finally:
        at_work.stop()


def test_commands_of_the_page_show_claims_record_and_what_waits(shell: Shell) -> None:
    checked = shell.printed["hub connect check dang-ky-xe.toml"]
    assert "vehicles -> vehicle.changed" in checked
    assert "must name a known vehicle model" in " ".join(checked.split()) or "the hub knows no vehicle model" in checked
    shown = shell.printed[f"hub vehicle show {KNOWN}"]
    assert "dangkyxe" in shown
    assert "THU-125" in shown
    assert "applied" in shell.printed[f"hub trace {KNOWN}"]
    assert "vehicle_model:THU-999" in shell.printed["hub parked list"]
    record = shell.printed["hub portal tail vehicle --follow --limit 2"]
    assert "hub.vehicle.record.v1/" in record
    assert f"plate: {KNOWN}" in record
    assert "gone" in record
    for personal in PERSONAL:
        assert personal not in "".join(shell.printed.values())


def test_thing_is_shown_by_its_code_its_key_another_number_and_a_former_code(shell: Shell) -> None:
    found = shell.json(f"hub vehicle show {KNOWN}")
    (side,) = found["aspects"]
    assert [claim["source"] for claim in side["claims"]] == ["dangkyxe"]
    assert shell.json(f"hub vehicle show {found['key']}") == found
    assert shell.json("hub vehicle show VNTHU125000000001") == found
    former = shell.json("hub vehicle show 30A-99999")
    assert [one["key"] for one in former["aspects"]] == [found["key"]]
    model = shell.json("hub vehicle-model show 'Hãng Thử/THU-125'")
    assert model["aspects"][0]["claims"][0]["fields"]["seats"] == 2
    assert "the hub knows no such vehicle" in shell.run("hub vehicle show 35A-99999", code=1)


def test_past_state_is_folded_from_the_log(shell: Shell) -> None:
    then = shell.json(f"hub vehicle show {KNOWN} --history --as-of 2026-06-01")
    assert then["aspects"][0]["claims"][0]["fields"]["model_code"] == "THU-125"
    assert shell.json(f"hub vehicle show {KNOWN} --as-of 2020-01-01")["aspects"] == []


def test_thing_and_what_it_names_lead_to_each_other(shell: Shell) -> None:
    vehicle = shell.json(f"hub vehicle show {KNOWN}")
    owner = shell.json("hub citizen show 000299000001")
    assert {(one["entity"], one["key"]) for one in vehicle["names"]} == {("citizen", owner["key"])}
    assert ("vehicle", vehicle["key"]) in {(one["entity"], one["key"]) for one in owner["named_by"]}


def test_trace_finds_it_by_its_code_and_by_its_place(shell: Shell) -> None:
    assert "hub.vehicle.record.v1" in shell.run(f"hub trace {KNOWN}")
    (passage,) = shell.json(f"hub trace {KNOWN}")["events"]
    place = f"{passage['topic']}/{passage['partition']}@{passage['offset']}"
    assert shell.json(f"hub trace {place}")["events"]
    assert "applied" in shell.run("hub trace 'Hãng Thử/THU-125'")


def test_event_that_names_what_is_not_known_is_parked_and_let_in_with_a_flag(shell: Shell) -> None:
    parked = shell.json("hub parked list --subject vehicle.changed")["parked"]
    waits = {one["waits_for"][0].split(":")[0]: one["waits_for"][0] for one in parked}
    assert waits == {"citizen": waits["citizen"], "vehicle_model": "vehicle_model:THU-999"}
    let_in = f"hub parked release --waits-for {waits['citizen']} --reason 'seen on paper' --execute"
    shell.run(let_in)
    wait_until(lambda: len(shell.json("hub parked list --subject vehicle.changed")["parked"]) == 1, shell.logs)
    (side,) = shell.json(f"hub vehicle show {STRANGERS}")["aspects"]
    assert "UNKNOWN_REFERENCE" in side["claims"][0]["flags"]


def test_parked_event_is_released_when_what_it_names_comes(shell: Shell) -> None:
    shell.run(
        "python -c \"import sqlite3; d = sqlite3.connect('xe.db'); d.execute(\\\"INSERT INTO kieu_loai VALUES "
        "('Hãng Thử', 'THU-999', NULL, 4, '2026-01-06 08:00:00')\\\"); d.commit()\""
    )
    shell.run("hub connect run dang-ky-xe.toml --once")
    waiting = f"hub trace {OF_NO_MODEL}"
    wait_until(lambda: "applied" in shell.run(waiting), shell.logs)


def test_bytes_that_are_no_event_are_a_dead_letter_of_its_topic(shell: Shell) -> None:
    places = endpoints(Settings(data_dir=shell.folder / ".hub"))
    producer = KafkaProducer(bootstrap_servers=places.bootstrap)
    producer.send("hub.vehicle.changed.v1", key=bytes(16), value=b"no event").get(30)
    producer.close()
    wait_until(lambda: shell.json("hub deadletters list --topic vehicle.changed")["letters"], shell.logs)
    (letter,) = shell.json("hub deadletters list --topic vehicle.changed")["letters"]
    assert letter["reason"] == "BAD_MAGIC"


def test_every_record_has_one_outcome_and_source_and_hub_say_the_same(shell: Shell) -> None:
    shell.run("hub ledger --check")
    shell.run("hub connect compare dang-ky-xe.toml")


def test_records_are_published_again_by_their_name(shell: Shell) -> None:
    shell.run("hub share republish vehicle --execute --reason 'a test' --no-wait")
    assert "published are" in shell.run("hub portal tail vehicles", code=2)


def test_page_names_every_file_of_its_example() -> None:
    page = PAGE.read_text("utf-8")
    files = sorted(path.name for path in EXAMPLE.iterdir() if path.is_file())
    assert [name for name in files if f"`{name}`" not in page] == []
