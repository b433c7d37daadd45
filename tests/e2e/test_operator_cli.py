"""An operator's day with the installed command: ledger, trace, topics, archive, a row removed behind the hub's back."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hub.cli.shared.screen import WIDTH
from tests.e2e.grounds import PARTITIONS, Field
from tests.e2e.hub_process import HUB, clean_environment, run_hub, wait_until
from tests.support.event_set import pin_of
from tests.support.patience import HANG_S

pytestmark = pytest.mark.engine

DOSSIER = "H25.10-250601-00003"
TOPIC = "hub.procedure.changed.v1"


class Desk:
    """Runs commands on a field, with two partitions and an archive."""

    def __init__(self, field: Field, archive: Path) -> None:
        self.field = field
        # the day goes on without a worker for a while
        quiet = {"HUB_GONE_AFTER_S": "3600"}
        self._more = {"HUB_PARTITIONS": str(PARTITIONS), "HUB_ARCHIVE_DIR": str(archive)} | quiet

    def run(self, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a command and check its exit code."""
        ran = run_hub(self.field.environment(self._more), *arguments)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran

    def asked(self, *arguments: str, code: int = 0) -> Any:
        """Run a command and return its JSON."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)


def test_operators_day(field: Field, tmp_path: Path) -> None:
    worker = field.worker()
    field.wait_for_all()
    desk = Desk(field, tmp_path / "archive")
    desk.run("share", "--once")

    _ledger_and_trace(desk)
    _topics_and_archive(desk)
    _row_removed(desk)
    worker.stop()
    _offset_moved(desk)
    _kafka_away(desk)


def _ledger_and_trace(desk: Desk) -> None:
    shown = desk.asked("ledger", "--check")
    assert shown["balanced"]
    assert shown["losses"] == []
    assert {(row["lag"], row["lag_s"], row["log_problem"]) for row in shown["ledger"]} == {(0, 0.0, None)}
    assert all(row["end_offset"] == row["next_offset"] for row in shown["ledger"])
    traced = desk.asked("trace", DOSSIER)
    hops = [hop["hop"] for event in traced["events"] for hop in event["hops"]]
    assert {"occurred", "appended", "decided", "published"} <= set(hops)
    said = desk.run("trace", pin_of(3)).stdout
    assert max(map(len, said.splitlines())) <= WIDTH
    assert pin_of(3) not in said
    assert "no event of it" in desk.run("trace", "H99-nothing", code=1).stderr


def _topics_and_archive(desk: Desk) -> None:
    assert "as they are wanted" in desk.run("topics", "ensure").stdout
    assert {topic["partitions"] for topic in desk.asked("topics", "list")["topics"]} == {1, PARTITIONS}
    planned = desk.asked("archive", "plan", "--older-than", "0")
    assert sum(one["end"] - one["first"] for one in planned["stretches"]) == desk.field.consumed()
    done = desk.asked("archive", "run", "--older-than", "0", "--execute")
    assert sum(of["records"] for of in done["written"]) == desk.field.consumed()
    assert desk.asked("archive", "verify") == {"files": len(done["written"]), "problems": []}


def _row_removed(desk: Desk) -> None:
    """The worker's alert and the search name the same place; both are silent when the row is back."""
    field = desk.field
    log = f"SELECT id FROM log_partition WHERE topic = '{TOPIC}' AND next_offset > first_offset"
    mine = f"log = ({log}) AND log_offset = 0"
    field.execute(f"CREATE TABLE kept AS SELECT * FROM audit WHERE {mine}")
    field.execute(f"DELETE FROM audit WHERE {mine}")
    shown = desk.asked("ledger", "--check", code=1)
    ((loss, *_), balanced) = shown["losses"], shown["balanced"]
    assert (loss["what"], loss["topic"], loss["first"], loss["last"], balanced) == ("no audit row", TOPIC, 0, 0, False)
    alerts = "SELECT detail FROM alert WHERE name = 'unbalanced' AND closed_at IS NULL"
    wait_until(lambda: field.rows(alerts), field.workers[0].output)
    assert f"no audit row: {TOPIC}/{loss['partition']}/0" in field.rows(alerts)[0][0]
    field.execute("INSERT INTO audit SELECT * FROM kept")
    wait_until(lambda: not field.rows(alerts), field.workers[0].output)


def _offset_moved(desk: Desk) -> None:
    """A record that is unread, as far as the warehouse knows, is skipped with an outcome."""
    field = desk.field
    ((partition,),) = field.rows(f"SELECT partition FROM log_partition WHERE topic = '{TOPIC}' AND consumed = 1")
    mine = f"topic = '{TOPIC}' AND partition = {partition}"
    field.execute(f"DELETE FROM audit WHERE log = (SELECT id FROM log_partition WHERE {mine})")
    field.execute(f"UPDATE log_partition SET next_offset = 0, consumed = 0 WHERE {mine}")
    plan = desk.asked("offsets", "plan", f"{TOPIC}/{partition}", "--to", "end")
    assert (plan["records"], plan["lost"], plan["executed"]) == (1, 0, False)
    assert "--reason" in desk.run("offsets", "apply", plan["plan"], "--execute", code=2).stderr
    assert desk.asked("offsets", "apply", plan["plan"], "--execute", "--reason", "a test")["executed"]
    assert field.value("SELECT count(*) FROM audit WHERE reason = 'SKIPPED_BY_OPERATOR'") == 1
    assert all(row.balanced for row in field.ledger())


def _kafka_away(desk: Desk) -> None:
    away = {"HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    ran = run_hub(desk.field.environment(away), "ledger")
    assert ran.returncode == 0, ran.stderr
    assert "without lag: no Kafka broker answers" in ran.stdout


def test_shell_completion_offers_what_a_command_takes() -> None:
    completing = {"_HUB_COMPLETE": "complete_bash", "COMP_WORDS": "hub ledger --ch", "COMP_CWORD": "2"}
    environment = clean_environment({**os.environ, **completing})
    ran = subprocess.run([HUB], env=environment, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert ran.stdout.split() == ["--check"], ran.stderr
