"""Every advisory lock of the warehouse has a number of its own, one home, and a line in the documentation."""

from pathlib import Path

from hub.warehouse.locks import Lock

ROOT = Path(__file__).parents[3]


def test_no_two_locks_have_one_number() -> None:
    assert len(set(Lock)) == len(Lock.__members__)


def test_nothing_but_locks_py_takes_an_advisory_lock() -> None:
    takes = ("pg_advisory", "pg_try_advisory")
    files = [path for path in (ROOT / "hub").rglob("*.py") if any(word in path.read_text("utf-8") for word in takes)]
    assert files == [ROOT / "hub/warehouse/locks.py"]


def test_documentation_says_of_each_lock_what_waits_and_how_long() -> None:
    lines = (ROOT / "docs/architecture.md").read_text("utf-8").splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| `")]
    told = [cells[0].split("`")[1] for cells in rows if len(cells) == 3 and all(cell.strip() for cell in cells)]
    locks = [lock.name for lock in Lock]
    assert [name for name in told if name in locks] == locks
