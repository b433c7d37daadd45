"""Exit codes and messages of the command line."""

import importlib
import json
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from hub.model.errors import ConfigError, HubError, UnreachableError

# The package gives the name of this module to its function main.
cli = importlib.import_module("hub.cli.app")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hub", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


def test_version_is_said_and_it_ends(run: Run) -> None:
    assert run("--version") == (0, f"hub {version('hub')}, Python {platform.python_version()}\n", "")
    code, out, _ = run("--help")
    assert code == 0
    assert "Exit codes: 0 ok" in out
    assert "--version" in out


def _app_that(action: Callable[[], None]) -> Callable[[str | None], typer.Typer]:
    def build(_command: str | None) -> typer.Typer:
        app = typer.Typer()
        app.command("act")(action)
        return app

    return build


def _raiser(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError(["HUB_A: wrong", "HUB_B: missing [x]"]), 2, "HUB_B: missing [x]"),
        (UnreachableError("no broker"), 3, "no broker"),
        (HubError("it broke"), 1, "it broke"),
        (typer.Exit(7), 7, ""),
        (typer.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
        (typer.BadParameter("no such unit"), 2, "no such unit"),
    ],
)
def test_exit_code_follows_the_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    monkeypatch.setattr(cli, "build_app", _app_that(_raiser(error)))
    ended, _, shown = run()
    assert ended == code
    assert said in shown


@pytest.mark.parametrize("arguments", [("up", "--no-such-option"), ("no-such-command",)])
def test_exit_code_is_2_when_the_command_is_mistyped(run: Run, arguments: tuple[str, ...]) -> None:
    code, _, shown = run(*arguments)
    assert code == 2
    assert "No such" in shown


def test_help_ends_with_0(run: Run) -> None:
    code, shown, _ = run("--help")
    assert code == 0
    assert "Exit codes" in shown


def test_status_says_how_to_start_when_nothing_runs(run: Run) -> None:
    code, shown, said = run("status", "--json")
    assert code == 3
    assert "nothing is running; start it with `hub up`" in said
    assert json.loads(shown)["healthy"] is False


def test_down_is_fine_when_nothing_runs(run: Run, tmp_path: Path) -> None:
    assert run("down")[:2] == (0, "nothing was running\n")
    assert json.loads(run("down", "--json")[1]) == {"stopped": []}
    assert not (tmp_path / "data").exists()
