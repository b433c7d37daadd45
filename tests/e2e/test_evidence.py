"""Evidence by the installed command: a worker without a key takes nothing; proof without a server; changes named."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hub.model.flags import Flag
from hub.operate.evidence.heads import oldest_unproven
from tests.e2e.grounds import Field
from tests.e2e.hub_process import HUB, run_hub, wait_until

pytestmark = pytest.mark.engine


def _json(field: Field, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = run_hub(field.environment(), "audit", *arguments, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _proven(field: Field) -> bool:
    with field.database.connect() as connection:
        return bool(field.value("SELECT count(*) FROM seal")) and oldest_unproven(connection) is None


def test_worker_waits_for_its_key_and_what_it_wrote_then_is_proven_or_named(field: Field, tmp_path: Path) -> None:
    key, bundle = tmp_path / "key.pem", tmp_path / "event.json"
    worker = field.worker(HUB_SIGNING_KEY_FILE=str(key), HUB_EVIDENCE_EVERY_S="0.3")
    wait_until(lambda: worker.health() == 503, lambda: worker.output()[-3000:])
    assert "the signing key" in worker.page("/health")[1]["waiting_for"]
    wait_until(lambda: "placed" in worker.output(), lambda: worker.output()[-3000:])
    assert field.consumed() == 0
    raised = "SELECT count(*) FROM alert WHERE name = 'evidence_not_written' AND closed_at IS NULL"
    wait_until(lambda: field.value(raised) == 1, lambda: worker.output()[-3000:])
    made = json.loads(run_hub({}, "audit", "keygen", str(key), "--json").stdout)
    field.wait_for_all()
    wait_until(lambda: worker.health() == 200, lambda: str(worker.page("/health")))
    assert field.problems() == []
    wait_until(lambda: _proven(field), lambda: worker.output()[-3000:])
    key.unlink()
    run_hub({}, "audit", "keygen", str(key))
    wait_until(lambda: field.value("SELECT count(*) FROM signing_key") == 2, lambda: worker.output()[-3000:])
    assert [one["last_head"] > 0 for one in _json(field, "keys")[1]["keys"]] == [True, True]
    assert _json(field, "status")[0] == 0
    assert worker.stop() == 143

    code, said = _json(field, "verify", "--bytes")
    assert (code, said["findings"], said["whole"]) == (0, [], True)
    assert said["records"] == said["rows"] - _beside_audit(field) == field.grounds.log_length()
    assert said["published"] >= said["heads"] >= 2
    code, said = _json(field, "verify", "--key", made["public_key"])
    assert (code, {one["wrong"] for one in said["findings"]}) == (1, {"key_not_trusted"})

    event = field.value("SELECT event_id FROM audit WHERE outcome = 'applied' ORDER BY log, log_offset LIMIT 1")
    assert run_hub(field.environment(), "audit", "prove", str(event), "--out", str(bundle)).returncode == 0
    assert _checked(bundle, made["public_key"]).returncode == 0
    bundle.write_text(bundle.read_text("utf-8").replace('"applied"', '"stale"'), "utf-8")
    assert "FAILS" in _checked(bundle, made["public_key"]).stdout

    first = "SELECT log, log_offset FROM audit WHERE content_hash IS NOT NULL ORDER BY log, log_offset LIMIT 1 OFFSET"
    field.execute(f"DELETE FROM audit WHERE (log, log_offset) = ({first} 7)")
    field.execute(f"UPDATE audit SET content_hash = content_hash + 1 WHERE (log, log_offset) = ({first} 20)")
    code, said = _json(field, "verify", "--bytes")
    assert code == 1
    assert sorted(one["wrong"] for one in said["findings"]) == ["altered", "bytes_differ", "deleted", "not_audited"]
    shown = run_hub(field.environment(), "audit", "verify")
    assert shown.returncode == 1
    _outcomes_are_compared(field)
    assert "the row that was sealed here is gone" in shown.stdout


def _outcomes_are_compared(field: Field) -> None:
    """Change outcome, reason and flags behind the hub's back: what follows from the bytes is named."""
    applied = "SELECT log, log_offset FROM audit WHERE outcome = 'applied' ORDER BY log, log_offset LIMIT 1 OFFSET"
    letter = "SELECT log, log_offset FROM audit WHERE outcome = 'dead_lettered' ORDER BY log, log_offset LIMIT 1"
    refused = "outcome = 'rejected', reason = 'SOURCE_NOT_ALLOWED'"
    changes = (
        (f"flags = COALESCE(flags, 0) # {Flag.PLACEHOLDER_TEXT.value}", f"{applied} 30"),
        (refused, f"{applied} 31"),
        ("reason = CASE reason WHEN 'TOMBSTONE' THEN 'EMPTY' ELSE 'TOMBSTONE' END", letter),
        ("outcome = 'applied', reason = NULL", f"{letter} OFFSET 1"),
        ("outcome = 'superseded'", f"{applied} 40"),
    )
    for change, where in changes:
        field.execute(f"UPDATE audit SET {change} WHERE (log, log_offset) = ({where})")
    findings = _json(field, "verify", "--bytes")[1]["findings"]
    found = [one["what"] for one in findings if one["wrong"] == "outcome_differs"]
    assert len(found) == 4, found
    assert sum("the bytes are refused" in words for words in found) == 2
    assert sum("the bytes pass every check" in words for words in found) == 1
    assert sum(Flag.PLACEHOLDER_TEXT.name in words and "the bytes give" in words for words in found) == 1


def _beside_audit(field: Field) -> int:
    """Count the rows that are verified and are no audit rows."""
    return int(field.value("SELECT (SELECT count(*) FROM release) + (SELECT count(*) FROM action)"))


def _checked(bundle: Path, key: str) -> "subprocess.CompletedProcess[str]":
    command = [HUB, "audit", "check", str(bundle), "--key", key]
    return subprocess.run(command, env={}, capture_output=True, text=True, check=False)
