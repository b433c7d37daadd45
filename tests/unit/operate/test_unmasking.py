"""Every command that can show personal values asks why, and notes who asked."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from hub.cli.app import build_app
from hub.model.entities import ENTITIES
from hub.model.errors import ConfigError

ROOT = Path(__file__).parents[3] / "hub"
SHOWN = {entity.show.group or entity.name.replace("_", "-") for entity in ENTITIES if entity.show is not None}
UNMASKING = {
    *(f"{group} show" for group in SHOWN),
    "review show",
    "deadletters show",
    "parked show",
    "replay diff",
}
"""The commands that show personal values when asked to; all others show them masked, or none."""


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, found in getattr(command, "commands", {}).items():
        if getattr(found, "commands", None):
            yield from _commands(found, (*path, name))
        else:
            yield " ".join((*path, name)), found


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


COMMANDS = dict(_commands(typer.main.get_command(build_app())))


def test_commands_that_unmask_are_those_that_are_known_and_each_asks_who_and_why() -> None:
    found = {name for name, command in COMMANDS.items() if "--unmask" in _options(command)}
    assert found == UNMASKING
    assert all({"--reason", "--officer"} <= _options(COMMANDS[name]) for name in found)


@pytest.mark.parametrize("name", sorted(UNMASKING))
def test_unmasking_without_a_reason_is_refused(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    arguments = ["1" for parameter in COMMANDS[name].params if parameter.param_type_name == "argument"]
    done = CliRunner().invoke(build_app(), [*name.split(), *arguments, "--unmask"])
    assert isinstance(done.exception, ConfigError)
    assert "reason" in done.exception.message


def test_whatever_unmasks_notes_it() -> None:
    """A function that takes ``unmasking``, or a command with ``--unmask``, writes the action or hands it on."""
    noting = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if "UNMASK," in path.read_text("utf-8")}
    assert noting == {
        "operate/records/request.py",
        "operate/desk/reviews.py",
        "operate/dead_letters/show.py",
        "operate/dead_letters/parked.py",
        "cli/replay/live.py",
    }


def test_consumer_of_the_portal_never_unmasks() -> None:
    tree = ast.parse((ROOT / "cli" / "share" / "commands.py").read_text("utf-8"))
    given = [word.value for node in ast.walk(tree) for word in getattr(node, "keywords", []) if word.arg == "unmask"]
    assert [ast.unparse(value) for value in given] == ["False"]
