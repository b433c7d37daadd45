"""A state that is damaged is named, with a way out; it is never taken for an empty one, nor for another."""

import random
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from connectors.base.port import Position
from connectors.declared.load import parse_declaration
from connectors.memory.compared import ComparisonStore
from connectors.memory.state import StateStore
from connectors.opening import connectors_of, open_context
from connectors.streams.context import Context
from connectors.testing import catch_up
from hub.model.errors import ConfigError

DECLARATION = """
[source]
code = "test.state"
agency = "H25"
unit_scheme = "GSO_2025"
url = "sqlite:///{folder}/source.db"
[state]
url = "sqlite:///{folder}/state.db"
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
FLIPS = 150


def opened(folder: Path) -> Context:
    return open_context(parse_declaration(DECLARATION.format(folder=folder).encode()), "a secret of the tests", {})


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The file of a state that holds a position and a reject."""
    with closing(sqlite3.connect(tmp_path / "source.db")) as source, source:
        source.execute(
            "CREATE TABLE ho_so (ma TEXT PRIMARY KEY NOT NULL, ban INTEGER, luc TIMESTAMP NOT NULL, tt TEXT)"
        )
        rows = [(f"D-{number}", 1, f"2025-06-01 08:00:{number:02}", "1" if number else None) for number in range(20)]
        source.executemany("INSERT INTO ho_so VALUES (?, ?, ?, ?)", rows)
    (connector,) = connectors_of(opened(tmp_path))
    assert len(catch_up(connector).records) == 19
    return tmp_path / "state.db"


def position(folder: Path) -> Position | None:
    """Return what a connector would go on from."""
    context = opened(folder)
    try:
        stored, _ = context.state.load("progress")
        return None if stored is None else stored.position
    finally:
        context.close()


def looks(store: StateStore) -> list[Callable[[], object]]:
    return [store.summary, store.rejects, lambda: store.position("progress"), ComparisonStore(store).last]


@pytest.mark.parametrize("size", [0, 100, 4096, 8192, -4096, -100])
def test_state_that_was_cut_off_is_named_by_who_runs_and_by_who_looks(state: Path, size: int) -> None:
    left = state.read_bytes()[:size]
    state.write_bytes(left)
    with pytest.raises(ConfigError, match=r"state\.db.*(damaged|malformed|no SQLite database)"):
        position(state.parent)
    for number in range(4):
        context = opened(state.parent)
        with closing(context), pytest.raises(ConfigError, match=r"state\.db.*(damaged|malformed|no SQLite database)"):
            looks(context.state)[number]()
    assert state.read_bytes() == left


def test_no_flipped_bit_makes_a_state_empty_or_another(state: Path) -> None:
    """What cannot matter to a position may pass; whatever could is an error."""
    good, known = state.read_bytes(), position(state.parent)
    assert known is not None
    stands = good.index(b'"sum": ') - 150
    dice = random.Random(7)
    bits = [(at, dice.randrange(8)) for at in range(stands, stands + 120)]
    bits += [(dice.randrange(len(good)), dice.randrange(8)) for _ in range(FLIPS)]
    told = 0
    for at, bit in bits:
        bent = bytearray(good)
        bent[at] ^= 1 << bit
        state.write_bytes(bent)
        try:
            assert position(state.parent) == known, f"bit {bit} of byte {at}"
        except ConfigError:
            told += 1
    assert told >= 120
    state.write_bytes(good)
    assert position(state.parent) == known


def test_state_of_an_older_version_has_no_sum_and_is_read(state: Path) -> None:
    known = position(state.parent)
    with closing(sqlite3.connect(state)) as database, database:
        (text,) = database.execute("SELECT position FROM connector_checkpoint").fetchone()
        plain = text[: text.rindex(', "sum"')] + "}"
        database.execute("UPDATE connector_checkpoint SET position = ?", (plain,))
    assert position(state.parent) == known


def test_who_looks_makes_no_file_and_a_removed_state_begins_anew(state: Path) -> None:
    state.unlink()
    context = opened(state.parent)
    with closing(context):
        assert [look() for look in looks(context.state)] == [(), [], None, None]
    assert not state.exists()
    (connector,) = connectors_of(opened(state.parent))
    assert len(catch_up(connector).records) == 19


RUNS = """
import logging, resource, sys
from pathlib import Path
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.testing import catch_up
logging.basicConfig(stream=sys.stdout, format="%(message)s")
_, declaration, most = sys.argv
resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), resource.RLIM_INFINITY))
(connector,) = connectors_of(open_context(parse_declaration(declaration.encode()), "a secret of the tests", {}))
print(len(catch_up(connector).records), "published", flush=True)
"""


@pytest.mark.parametrize("most", [0, 10, 5_000, 40_000])
def test_disk_that_is_full_is_waited_for_whatever_part_of_the_state_it_stops(state: Path, most: int) -> None:
    folder = state.parent / "new"
    folder.mkdir()
    shutil.copy(state.parent / "source.db", folder)
    command = [sys.executable, "-c", RUNS, DECLARATION.format(folder=folder), str(most)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "waits since" in first
        assert "connector's state" in first
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        rest = process.stdout.read()
    assert process.returncode == 0, first + rest
    assert "goes on after" in rest
    assert int(rest.splitlines()[-1].split()[0]) >= 19
    assert position(folder) is not None
