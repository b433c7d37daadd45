"""``make setup`` says what goes on: on a slow network it takes minutes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PIP = """#!/bin/sh
case "$*" in
  *requirements.lock*)
    for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "Collecting part$n==1.$n (from -r requirements.lock (line $n))"; done
    echo "Installing collected packages: part1, part2";;
esac
exit {code}
"""


def make_setup(folder: Path, code: int) -> "subprocess.CompletedProcess[str]":
    """Run it with a pip that only says what the real one says."""
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(PIP.format(code=code))
    python.chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = [shutil.which("make") or "make", "setup", f"VENV={folder}"]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)


def test_setup_counts_the_packages_that_it_fetches(tmp_path: Path) -> None:
    ran = make_setup(tmp_path, 0)
    assert ran.returncode == 0, ran.stderr
    count = (ROOT / "requirements.lock").read_text("utf-8").count("==")
    assert f"10 of {count}: part10==1.10" in ran.stdout
    assert "unpacking" in ran.stdout
    assert (tmp_path / ".installed").exists()


@pytest.mark.parametrize("code", [1, 2])
def test_setup_fails_where_pip_fails(tmp_path: Path, code: int) -> None:
    ran = make_setup(tmp_path, code)
    assert ran.returncode != 0
    assert not (tmp_path / ".installed").exists()
