"""What an auditor asks of evidence: a bundle for one event, what was done about a person, who looked."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from hub.cli.evidence.search import keys_asked
from hub.model.errors import ConfigError
from hub.operate.actions import Action, note
from hub.operate.evidence.check import check_bundle
from hub.operate.evidence.keys import SigningKey, make_key
from hub.operate.evidence.prove import NotProvableError, prove
from hub.operate.evidence.search import EvidenceFilter, search
from hub.warehouse.batch import Accepted
from hub.warehouse.evidence import find as evidence_find
from hub.warehouse.evidence.find import make_stretches, rows_naming, sought
from hub.warehouse.tables.core import audit
from tests.support.evidence_world import people, seal_and_sign
from tests.support.merge_world import Said, World, key_of


def test_bundle_of_an_event_is_checked_by_a_command_without_any_setting(
    world: World, working: Engine, key: SigningKey, tmp_path: Path
) -> None:
    events = [bytes([number]) * 16 for number in range(1, 4)]
    fields = [said.fields() | {"event_id": event} for said, event in zip(people(1, 3), events, strict=True)]
    frame = world.frame("citizen.changed", fields, [key_of(number) for number in (1, 2, 3)], 0)
    world.commit_frames(0, Accepted("citizen.changed", frame))
    event = UUID(bytes=events[1])
    with world.engine.connect() as connection, pytest.raises(NotProvableError, match="no signed head yet"):
        prove(connection, event)
    seal_and_sign(working, key)
    world.commit(people(7, 2))
    seal_and_sign(working, key)
    with world.engine.connect() as connection:
        bundle = prove(connection, event)
        with pytest.raises(NotProvableError, match="no audit row"):
            prove(connection, UUID(int=77))
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(bundle), "utf-8")
    command = [sys.executable, "-m", "hub.cli", "audit", "check", str(file), "--key", key.public.hex(), "--json"]
    where = {"PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, env=where, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert [said["row"][0][name] for name in ("event_id", "outcome")] == [str(event), "applied"]
    assert all(step["holds"] for step in said["steps"])
    assert not all(step.holds for step in check_bundle(bundle, make_key(tmp_path / "k").public))
    assert _checked(file, key.public.hex()) == (0, "proven")
    assert _checked(file, make_key(tmp_path / "other").public.hex()) == (1, "not proven")
    assert _checked(file, "no key")[0] == 2
    for name, value in (("outcome", "stale"), ("recorded_at", "2026-01-01T00:00:00+00:00"), ("batch", 99)):
        forged = json.loads(json.dumps(bundle))
        forged["proofs"][0]["row"][name] = value
        assert not all(step.holds for step in check_bundle(forged, key.public))
        file.write_text(json.dumps(forged), "utf-8")
        assert _checked(file, key.public.hex()) == (1, "not proven")
    file.write_text('{"format": "evidence bundle 1", "proofs": [{}], "event_id": 1}', "utf-8")
    assert _checked(file, key.public.hex())[0] == 2


CHECKER = Path(__file__).parents[4] / "docs" / "check_evidence.py"


def _checked(bundle: Path, key: str) -> tuple[int, str]:
    """Run the auditor's one file with nothing of the hub beside it; return its exit code and its last word."""
    command = [sys.executable, "-I", str(CHECKER), str(bundle), "--key", key]
    done = subprocess.run(command, cwd=bundle.parent, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    first, last = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    assert first.endswith(hashlib.sha256(CHECKER.read_bytes()).hexdigest())
    return done.returncode, last.split(":")[0]


def test_keys_and_events_are_found_in_stretches_and_behind_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_find, "LEAST_PLACES", 100)
    monkeypatch.setattr(evidence_find, "MOST_PLACES", 150)
    for first in range(1, 401, 100):
        world.commit(people(first, 100))
    with world.engine.begin() as connection:
        assert make_stretches(connection) == 3
    world.commit([Said(5, "population", 2), Said(350, "population", 2)])
    with world.engine.connect() as connection:
        for number, offsets in ((5, [4, 400]), (120, [119]), (350, [349, 401]), (999, [])):
            rows = connection.execute(rows_naming(audit.c.key), sought([key_of(number)])).all()
            assert sorted(row.log_offset for row in rows) == offsets
        every = connection.execute(rows_naming(audit.c.key), sought([key_of(n) for n in range(1, 401)])).all()
    assert len(every) == 402


def test_search_finds_by_key_source_officer_and_purpose_and_is_noted(world: World) -> None:
    world.commit([Said(1, "population", 1), Said(1, "province_b", 1), Said(2, "population", 1)])
    with world.engine.begin() as connection:
        note(connection, Action("H42-017", "unmask", "Complaint 12/2026", "citizen", key_of(1)))
        of_key = search(connection, EvidenceFilter([key_of(1)]), "auditor", "audit 1")
        assert [row["source"] for row in of_key.events] == ["province_b", "population"]
        assert {row["action"] for row in of_key.actions} == {"unmask", "audit.search"}
        of_source = search(connection, EvidenceFilter(source="population"), "auditor", "audit 2")
        assert ([row["log_offset"] for row in of_source.events], of_source.actions) == ([2, 0], [])
        of_purpose = search(connection, EvidenceFilter(purpose="complaint", officer="H42-017"), "auditor", "audit 3")
        assert ([row["action"] for row in of_purpose.actions], of_purpose.events) == (["unmask"], [])
        now = connection.execute(text("SELECT now()")).scalar_one()
        later = EvidenceFilter(source="population", since=now + timedelta(hours=1))
        assert search(connection, later, "auditor", "audit 4").events == []
        noted = connection.execute(text("SELECT count(*) FROM action WHERE action = 'audit.search'")).scalar_one()
    assert noted == 4


def test_number_that_nobody_holds_does_not_widen_the_search(world: World) -> None:
    with world.engine.connect() as connection:
        assert keys_asked(connection, "dossier", "H42.12.34-250701-0001", "secret")
        assert keys_asked(connection, None, None, "secret") == ()
        with pytest.raises(ConfigError, match="knows no citizen of this number"):
            keys_asked(connection, "citizen", "013000009", "secret")
        with pytest.raises(ConfigError, match="write SCHEME/UNIT_CODE"):
            keys_asked(connection, "admin_unit", "00004", "secret")
