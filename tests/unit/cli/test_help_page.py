"""The page of ``hub --help`` lists every command; a command imports what it needs and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from hub.cli.app import build_app
from hub.cli.help_page import ENTITIES_SHOWN, MODULES, help_page
from hub.model.entities import ENTITIES

HEAVY = {
    "aiokafka",
    "alembic",
    "confluent_kafka",
    "fastavro",
    "faust",
    "kafka",
    "numpy",
    "polars",
    "psycopg",
    "pyarrow",
    "pydantic",
    "rich",
    "sqlalchemy",
    "typer",
}
IMPORTED = """
import sys
sys.argv = ["hub", *sys.argv[1:]]
from hub.cli import main
try:
    main()
except SystemExit:
    pass
print("imported:", *sorted(sys.modules), file=sys.stderr)
"""


def _imported(folder: Path, *arguments: str) -> list[str]:
    """Return the modules that a process has imported at the end of a command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"HUB_DATA_DIR": str(folder)},
    )
    return done.stderr.rsplit("imported:", 1)[1].split()


def _heavy(modules: list[str]) -> set[str]:
    return {name.split(".")[0] for name in modules} & HEAVY


def test_page_lists_every_command_and_no_other() -> None:
    commands = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]
    assert sorted(commands) == sorted([*MODULES, *ENTITIES_SHOWN])
    assert {entity.show.group for entity in ENTITIES if entity.show is not None} == set(ENTITIES_SHOWN)
    page = help_page(80)
    assert [name for name in [*MODULES, *ENTITIES_SHOWN] if name not in page] == []
    assert max(len(line) for line in page.splitlines()) <= 80


@pytest.mark.parametrize("name", MODULES)
def test_module_of_a_command_is_enough_for_it(name: str) -> None:
    alone = typer.main.get_command(build_app(name)).commands[name]  # type: ignore[attr-defined]
    among_all = typer.main.get_command(build_app()).commands[name]  # type: ignore[attr-defined]
    assert sorted(getattr(alone, "commands", ())) == sorted(getattr(among_all, "commands", ()))


def test_word_that_is_no_command_of_the_page_may_be_an_entity() -> None:
    assert "citizen" in typer.main.get_command(build_app("citizen")).commands  # type: ignore[attr-defined]


def test_help_imports_little(tmp_path: Path) -> None:
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()
    modules = _imported(tmp_path, "--help")
    assert _heavy(modules) == set()
    assert [name for name in modules if name.startswith("hub")] == ["hub", "hub.cli", "hub.cli.help_page"]
    assert len(modules) - len(bare) <= 30, sorted(set(modules) - set(bare))


@pytest.mark.parametrize("command", ["status", "ledger", "alerts"])
def test_command_that_is_typed_often_imports_no_part_that_it_does_not_use(tmp_path: Path, command: str) -> None:
    unused = {"aiokafka", "alembic", "fastavro", "faust", "numpy", "polars", "pyarrow"}
    assert _heavy(_imported(tmp_path, command)) & unused == set()
