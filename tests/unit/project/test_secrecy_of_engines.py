"""No engine of the project puts a statement's values into a message (I8)."""

import ast
import importlib
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from connectors.engines import open_engine, open_source
from hub.warehouse.database import open_database

ROOT = Path(__file__).parents[3]
NUMBER = "036830000123"
command_line = importlib.import_module("hub.cli.app")


def test_i8_every_engine_hides_the_values_of_statements() -> None:
    assert open_engine("sqlite://").hide_parameters
    assert open_source("sqlite://").hide_parameters
    assert open_engine("postgresql+psycopg://reader@127.0.0.1:1/x").hide_parameters
    assert open_database("postgresql+psycopg://hub@127.0.0.1:1/x", "hub").hide_parameters


def test_i8_every_call_that_makes_an_engine_says_so() -> None:
    files = [path for folder in ("hub", "connectors") for path in (ROOT / folder).rglob("*.py")]
    calls = [
        (path, call)
        for path in files
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _name(call.func) in ("create_engine", "create_async_engine")
    ]
    assert calls
    for path, call in calls:
        assert "hide_parameters" in {keyword.arg for keyword in call.keywords}, path


def test_i8_a_bug_in_a_statement_is_shown_without_its_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> object:
        original = Exception(f"duplicate key\nDETAIL:  Key (so)=({NUMBER}) already exists.")
        raise DBAPIError("INSERT", {"so": NUMBER}, original)

    monkeypatch.setattr(command_line, "tune_process", lambda: None)
    monkeypatch.setattr(command_line, "_run", fail)
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    shown = capsys.readouterr().err
    assert caught.value.code == 1
    assert "bug:" in shown
    assert "test_secrecy_of_engines.py" in shown
    assert NUMBER not in shown


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
