"""The commands of units, on a warehouse that has every unit of the country."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from hub.cli.units import commands as units
from hub.model.errors import ConfigError
from tests.conftest import RunningEngine
from tests.support.merge_world import World
from tests.support.unit_world import lives, load_every_unit

APP = typer.Typer()
units.register(APP)
Run = Callable[..., str]


@pytest.fixture(scope="module")
def country(module_world: World) -> World:
    """Every unit that comes with the hub, and three residents."""
    module_world.clear()
    load_every_unit(module_world, "a secret of the tests")
    for step in (lives("00001"), lives("00634", 2), lives("13285", 3)):
        step(module_world)
    return module_world


@pytest.fixture
def run(country: World, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command against that warehouse and return what it prints."""
    monkeypatch.setenv("HUB_DATABASE_URL", country.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", engine.bootstrap)
    monkeypatch.setenv("HUB_KEY_SECRET", engine.key_secret)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(APP, ["units", *arguments])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return run


def asked(run: Run, *arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_show_tells_the_intervals_of_a_code_and_its_neighbours(run: Run) -> None:
    found = asked(run, "show", "75", "--on", "2026-01-01")
    assert [(unit["name"], unit["valid_from"], unit["valid_to"]) for unit in found["units"]] == [
        ("Tỉnh Đồng Nai", "2025-07-01", "2026-04-30"),
        ("Thành phố Đồng Nai", "2026-04-30", None),
    ]
    assert found["on"] == 0
    assert [one["code"] for one in found["predecessors"]] == ["70", "75"]
    assert [one["name"] for one in found["successors"]] == ["Thành phố Đồng Nai"]
    assert "H19" in run("show", "75")


def test_answer_is_printed_in_words_and_not_in_markup(run: Run) -> None:
    assert "EXACT\n" in run("resolve", "00004", "--said-on", "2025-06-01")
    assert "[green]" not in run("resolve", "00004", "--said-on", "2025-06-01")
    assert "[yellow]" not in run("predecessors", "37")


def test_code_of_the_other_list_is_told(run: Run) -> None:
    with pytest.raises(ConfigError, match="35 in the list GSO_2025; GSO_2004 has it: --scheme GSO_2004"):
        run("show", "35")
    with pytest.raises(ConfigError, match=r"no unit ever had the code 99998 in the list GSO_2025$"):
        run("show", "99998")


@pytest.mark.parametrize("command", ["show", "successors", "predecessors", "resolve"])
@pytest.mark.parametrize(
    ("day", "code", "scheme", "other"),
    [
        ("2025-06-30", "00004", "GSO_2004", "GSO_2025"),
        ("2025-07-01", "00004", "GSO_2025", "GSO_2004"),
        (None, "00004", "GSO_2025", "GSO_2004"),
    ],
)
def test_list_of_codes_is_that_of_the_day_of_the_code_and_is_said(
    run: Run, command: str, day: str | None, code: str, scheme: str, other: str
) -> None:
    when = [] if day is None else ["--on" if command == "show" else "--said-on", day]
    until = ["--on", "2004-01-01"] if command == "predecessors" else []
    found = asked(run, command, code, *when, *until)
    assert (found["units"][0] if command == "show" else found)["scheme"] == scheme
    given = asked(run, command, code, *when, *until, "--scheme", other)
    assert (given["units"][0] if command == "show" else given)["scheme"] == other


def test_list_that_was_taken_is_said_beside_the_answer(run: Run) -> None:
    told = CliRunner().invoke(APP, ["units", "resolve", "00004", "--said-on", "2026-01-01"])
    assert "list of codes: GSO_2025, by the day 2026-01-01; for the other list: --scheme GSO_2004" in told.stderr
    assert "list of codes" not in CliRunner().invoke(APP, ["units", "resolve", "00004", "--scheme", "GSO_2025"]).stderr


def test_residents_of_a_province_are_asked_for_by_its_communes(run: Run) -> None:
    with pytest.raises(ConfigError, match="37 is no commune: residences name communes"):
        run("residents", "37")


def test_resolve_is_exact_or_has_candidates(run: Run) -> None:
    found = asked(run, "resolve", "00004", "--said-on", "2025-06-01")
    assert (found["resolution"], found["said"]["name"]) == ("EXACT", "Phường Trúc Bạch")
    assert [(one["code"], one["name"]) for one in found["candidates"]] == [("00004", "Phường Ba Đình")]
    found = asked(run, "resolve", "00634", "--said-on", "2025-06-01")
    assert (found["resolution"], len(found["candidates"])) == ("AMBIGUOUS", 5)
    assert asked(run, "resolve", "99998")["resolution"] == "UNKNOWN"


def test_resolve_says_when_the_name_is_of_another_unit(run: Run) -> None:
    name = ("--name", "Phường Đại Mỗ")
    assert asked(run, "resolve", "00634", "--said-on", "2025-06-01", *name)["name_agrees"] is True
    wrong = asked(run, "resolve", "00634", "--scheme", "gso_2025", *name)
    assert wrong["name_agrees"] is False
    assert [unit["code"] for unit in wrong["of_that_name"]] == ["00637"]
    assert "the name that was said is another" in run("resolve", "00634", "--scheme", "GSO_2025", *name)


def test_successors_and_predecessors_lead_to_each_other(run: Run) -> None:
    ahead = asked(run, "successors", "13285", "--said-on", "2025-06-01")
    assert {one["code"] for one in ahead["candidates"]} == {"13285", "13366"}
    back = asked(run, "predecessors", "13366")
    assert back["on"] == "2025-06-30"
    assert "13285" in {one["code"] for one in back["candidates"]}
    assert "AMBIGUOUS" in run("successors", "13285", "--scheme", "GSO_2004")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["show", "99998"], "no unit ever had the code 99998"),
        (["show", "01", "--scheme", "GSO_1999"], "GSO_1999 is not a list"),
        (["successors", "13366", "--scheme", "GSO_2025", "--on", "2020-01-01"], "ask for its predecessors"),
        (["predecessors", "13366", "--on", "2026-01-01"], "ask for its successors"),
        (["recode", "--effective", "2025-07-01", "--execute"], "--reason"),
        (["residents", "13367", "--on", "2025-06-30"], "has the code 13367 today"),
    ],
)
def test_what_cannot_be_answered_is_said(run: Run, arguments: list[str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        run(*arguments)


def test_residents_tell_the_ambiguous_apart(run: Run) -> None:
    found = asked(run, "residents", "00097", "--on", "2025-06-30")
    assert (found["residents"], found["ambiguous"]) == (1, 0)
    found = asked(run, "residents", "13366", "--on", "2025-06-30")
    assert (found["residents"], found["ambiguous"]) == (0, 1)
    assert "here or elsewhere" in run("residents", "13366", "--on", "2025-06-30")


def test_recode_plans_then_does_it_once(run: Run, country: World) -> None:
    plan = asked(run, "recode", "--effective", "2025-07-01")
    assert (plan["to_recode"], plan["ambiguous"]) == (1, 2)
    assert country.rows("SELECT * FROM recode") == []
    said = run("recode", "--effective", "2025-07-01", "--execute", "--reason", "202/2025/QH15", "--officer", "o.1")
    assert "1 residences recoded" in said
    again = asked(run, "recode", "--effective", "2025-07-01", "--execute", "--reason", "again")
    assert (again["appended"], again["done"]) == (0, 1)
    assert country.rows("SELECT actor FROM action ORDER BY id")[0].actor == "o.1"


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "75"],
        ["successors", "00634"],
        ["residents", "13366", "--on", "2025-06-30"],
        ["recode", "--effective", "2025-07-01"],
    ],
)
def test_what_is_printed_fits_100_columns(run: Run, arguments: list[str]) -> None:
    assert all(len(line) <= 100 for line in run(*arguments).splitlines())
