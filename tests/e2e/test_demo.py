"""The demo itself, small, by the installed command: everything it promises is in its account."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hub.embedded.state import load_state
from hub.model.outcomes import Outcome
from tests.e2e.hub_process import wait_until
from tests.support.patience import HANG_S

pytestmark = pytest.mark.engine

HUB = str(Path(sys.executable).with_name("hub"))
LIMIT_S = HANG_S


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}


def _running_in(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["environ", "cmdline"]):
        of_folder = (process.info["environ"] or {}).get("HUB_DATA_DIR", "") == str(folder)
        if of_folder or any(str(folder) in part for part in process.info["cmdline"] or ()):
            yield process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def account(folder: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [HUB, "demo", "--operator", "--json", "--scale", "0.05", "--data-dir", str(folder)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=_environment(),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _total(account: dict[str, Any], outcome: Outcome) -> int:
    return sum(row[outcome.value] for row in account["ledger"])


def test_i5_demo_ledger_is_balanced(account: dict[str, Any]) -> None:
    assert account["balanced"] is True
    for row in account["ledger"]:
        assert row["consumed"] == sum(row[outcome.value] for outcome in Outcome), row["topic"]
    assert _total(account, Outcome.PARKED) == 0
    assert account["events"] > 15_000


def test_demo_portal_shows_every_golden_record(account: dict[str, Any]) -> None:
    assert account["portal_records"] == account["records"] > 1_700
    assert account["portal_equal"] is True


def test_operator_finds_a_bad_mapping_and_takes_it_back_by_a_replay(account: dict[str, Any]) -> None:
    act = account["operator"]
    assert act["conflicts_wrong"] >= act["conflicts_before"] + 20
    assert set(act["suspects"]) == {"birth_day", "birth_month"}
    assert act["rows"] > 0
    assert act["conflicts_switched"] == act["conflicts_after"] == act["conflicts_before"]
    assert (act["redriven"], act["is_ledger_whole"], act["mended"]) == (1, True, True)


def test_demo_dead_letters_have_their_reasons(account: dict[str, Any]) -> None:
    reasons = account["reasons"]["dead_lettered"]
    expected = {"NOT_DECODABLE", "TRAILING_BYTES", "BAD_MAGIC", "UNKNOWN_SCHEMA_ID", "WRONG_SUBJECT", "EMPTY"}
    expected |= {"TOMBSTONE", "TOO_LARGE", "INVALID_VALUE", "KEY_MISMATCH"}
    assert reasons == dict.fromkeys(expected, 1)
    assert account["dead_letters"] == len(expected) == _total(account, Outcome.DEAD_LETTERED)


def test_demo_rejects_what_policy_forbids(account: dict[str, Any]) -> None:
    reasons = account["reasons"]["rejected"]
    assert set(reasons) == {
        "AFTER_CUT_OVER",
        "BEFORE_START",
        "SOURCE_UNKNOWN",
        "SOURCE_NOT_ALLOWED",
        "VERSION_REUSED",
    }
    assert reasons["AFTER_CUT_OVER"] > 1


def test_demo_meets_every_outcome_of_a_busy_night(account: dict[str, Any]) -> None:
    for outcome in (Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.DUPLICATE, Outcome.STALE, Outcome.REJECTED):
        assert _total(account, outcome) > 0, outcome
    assert account["conflicts"] > 0
    assert account["reviews"] > 0
    assert account["set_aside_by_connectors"] > 0


def test_demo_measures_both_outages(account: dict[str, Any]) -> None:
    assert [outage["what"] for outage in account["outages"]] == [
        "PostgreSQL stopped and started",
        "worker killed and started",
    ]
    assert all(outage["seconds"] > 0 for outage in account["outages"])
    assert account["wall_s"] > account["busy_s"] > 0
    assert account["events_per_s"] > 0


def test_demo_leaves_nothing_running(account: dict[str, Any], folder: Path) -> None:
    assert account["balanced"]
    wait_until(lambda: not list(_running_in(folder)), lambda: str(list(_running_in(folder))))


def test_demo_refuses_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    ran = subprocess.run(
        [HUB, "demo", "--data-dir", str(tmp_path)], capture_output=True, timeout=HANG_S, env=_environment(), check=False
    )
    assert ran.returncode == 2
    assert (tmp_path / "precious.txt").read_text() == "keep me"


def test_demo_ended_by_a_signal_ends_all_it_started(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    process = subprocess.Popen(
        [HUB, "demo", "--scale", "0.02", "--data-dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    try:
        deadline = time.monotonic() + HANG_S
        while not (folder / "logs" / "demo" / "worker.log").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    finally:
        process.kill()
        process.wait()
    assert not load_state(folder).is_up
    # a decoder's child ends by itself when its worker is gone: in a moment, and for certain
    wait_until(lambda: not list(_running_in(folder)), lambda: str(list(_running_in(folder))))
