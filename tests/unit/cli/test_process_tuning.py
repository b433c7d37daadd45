"""Every command runs with one polars thread, set before polars is imported; what a person has set stands."""

import os
import subprocess
import sys

import pytest

_AFTER_COMMAND = """
import os, sys
from hub.cli import main
from hub.cli.shared.process_tuning import ALLOCATOR
assert "polars" not in sys.modules, "imported before it could be told how to behave"
sys.argv = ["hub", "config", "--help"]
try:
    main()
except SystemExit:
    pass
import polars
print(polars.thread_pool_size(), os.environ["_RJEM_MALLOC_CONF"].endswith(ALLOCATOR))
"""


@pytest.mark.parametrize(("given", "threads"), [({}, "1"), ({"POLARS_MAX_THREADS": "2"}, "2")])
def test_polars_has_one_thread_unless_the_environment_says_otherwise(given: dict[str, str], threads: str) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in {"POLARS_MAX_THREADS"}}
    done = subprocess.run(
        [sys.executable, "-c", _AFTER_COMMAND], env=clean | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"{threads} True"
