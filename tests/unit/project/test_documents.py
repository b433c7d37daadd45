"""The written product says what the code does: commands, settings, outcomes, reasons, invariants, links."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from hub.cli.app import build_app
from hub.config import Settings
from hub.embedded.state import EngineSecrets
from hub.model.outcomes import Outcome, Reason
from hub.model.policies.policy import load_policy
from hub.operate.units import load
from hub.topology import topics

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text("utf-8")
OPERATOR = (ROOT / "docs" / "operator.md").read_text("utf-8")
INVARIANTS = (ROOT / "docs" / "invariants.md").read_text("utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "hub").rglob("*.md")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SOURCES = sorted([*(ROOT / "hub").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")])
ON_KAFKA = {topic.name.split(".")[1] for topic in topics(1)} | {
    "reason",
    "origin",
    "published_at",
    "position",
    "vehicle",
}
"""Second words of topics and headers, and of the example entity: no modules."""
NOT_BUILT: set[int] = set()
"""Invariants of parts that do not exist yet; their sections say so."""


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    for name, found in getattr(command, "commands", {}).items():
        if getattr(found, "invoke_without_command", False):
            yield " ".join((*path, name))
        if getattr(found, "commands", None):
            yield from _commands(found, (*path, name))
        else:
            yield " ".join((*path, name))


COMMANDS = sorted(_commands(typer.main.get_command(build_app()), ("hub",)))


def _first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`|]+)` \|", text, re.MULTILINE)


def test_readme_lists_every_command_once_and_no_other() -> None:
    listed = [cell for cell in _first_cells(README) if cell.startswith("hub ")]
    assert sorted(listed) == COMMANDS


@pytest.mark.parametrize("name", Settings.model_fields)
def test_readme_says_what_each_setting_is_for(name: str) -> None:
    rows = re.findall(rf"^\| `HUB_{name.upper()}` \| (.*) \| (.*) \|$", README, re.MULTILINE)
    field = Settings.model_fields[name]
    assert [purpose for _, purpose in rows] == [field.description]
    if field.default is None:
        assert rows[0][0].strip() == ""
    elif name != "cache_dir":
        assert rows[0][0] == f"`{field.default}`"


def test_readme_lists_no_other_setting() -> None:
    listed = [cell for cell in _first_cells(README) if cell.startswith("HUB_")]
    assert listed == [f"HUB_{name.upper()}" for name in Settings.model_fields]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_only_settings_that_exist(document: Path) -> None:
    named = set(re.findall(r"\bHUB_[A-Z_]+\b", document.read_text("utf-8")))
    assert {name for name in named if name.removeprefix("HUB_").lower() not in Settings.model_fields} == set()


@pytest.mark.parametrize("word", [*Outcome, *Reason])
def test_operators_page_explains_each_outcome_and_reason(word: str) -> None:
    assert _first_cells(OPERATOR).count(word) == 1


def _sections() -> dict[int, str]:
    parts = re.split(r"^## I(\d) ", INVARIANTS, flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_there_are_eight_invariants() -> None:
    assert sorted(_sections()) == list(range(1, 9))


@pytest.mark.parametrize("number", range(1, 9))
def test_each_invariant_names_tests_that_exist(number: int) -> None:
    section = _sections()[number].split("\n## ")[0]
    named = re.findall(r"^- `(test_\w+)` \(`([\w/.]+)`\)$", section, re.MULTILINE)
    if number in NOT_BUILT:
        assert named == []
        assert "Not built yet" in section
        return
    assert named
    for test, file in named:
        assert test.startswith(f"test_i{number}_")
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), test


def test_an_invariant_with_tests_is_not_called_unbuilt() -> None:
    found = {int(digit) for path in TESTS for digit in re.findall(r"^def test_i(\d)_", path.read_text("utf-8"), re.M)}
    assert found == set(range(1, 9)) - NOT_BUILT


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), target
        assert not anchor or anchor in _anchors(found), target


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_documents_that_code_speaks_of_exist() -> None:
    for path in SOURCES:
        for named in re.findall(r"\bdocs/[\w./-]+\.(?:md|toml)", path.read_text("utf-8")):
            assert (ROOT / named).is_file(), f"{path.relative_to(ROOT)}: {named}"


def test_index_leads_to_every_document() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    inside = [path.relative_to(ROOT / "docs") for path in DOCUMENTS if path.is_relative_to(ROOT / "docs")]
    assert [str(path) for path in inside if str(path) != "index.md" and f"({path})" not in index] == []


def test_modules_that_documents_name_exist() -> None:
    for document in [path for path in DOCUMENTS if "decisions" not in path.parts]:
        for name in re.findall(r"`((?:hub|connectors)\.[a-z_]+(?:\.[a-z_]+)*)", document.read_text("utf-8")):
            assert name.split(".")[1] in ON_KAFKA or _is_code(name), f"{document.name}: {name}"


def _is_code(name: str) -> bool:
    """Tell whether a dotted name is a package, a module, or a name that stands in a module."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.is_dir():
            return length == len(parts)
        if path.with_suffix(".py").is_file():
            text = path.with_suffix(".py").read_text("utf-8")
            return all(re.search(rf"\b{part}\b", text) for part in parts[length:])
    return False


def test_licence_is_apache_and_the_readme_says_so() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")[:200]
    assert "Apache License 2.0" in README
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_ci_runs_make_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    done = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert done == ["exec make test"]


def test_make_prints_help_with_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert ".DEFAULT_GOAL := help" in makefile
    assert targets is not None
    assert set(targets[1].split()) == set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))


def test_each_rule_of_reconciliation_names_an_example_that_is_a_test_and_no_example_is_left_out() -> None:
    named = set(re.findall(r"`(test_example_\w+)`", (ROOT / "docs" / "reconciliation.md").read_text("utf-8")))
    examples = (ROOT / "tests/integration/reconcile/test_worked_examples.py").read_text("utf-8")
    assert named == set(re.findall(r"^def (test_example_\w+)", examples, re.MULTILINE))


def test_way_to_psql_that_the_operators_page_gives_leads_to_one() -> None:
    code = re.search(r"\$\(python -c '(from hub\.embedded[^']+)'\)/psql ", OPERATOR)
    assert code is not None
    found = subprocess.run([sys.executable, "-c", code[1]], capture_output=True, text=True, check=True).stdout.strip()
    assert os.access(f"{found}/psql", os.X_OK)
    assert f'["{fields(EngineSecrets)[0].name}"]' in OPERATOR


@pytest.mark.parametrize("command", ["hub ledger", "hub status"])
def test_exit_code_of_processes_that_are_gone_is_in_help_and_operators_page(command: str) -> None:
    (row,) = [line for line in OPERATOR.splitlines() if line.startswith("| 1 |")]
    assert f"`{command}`" in row
    assert "is gone" in row
    found: Any = typer.main.get_command(build_app())
    told = " ".join(found.commands[command.split()[1]].help.split())
    assert "gone, makes no progress or is far behind" in told


def test_policy_of_the_first_start_lets_the_units_of_the_country_in() -> None:
    policy = load_policy(ROOT / "docs" / "examples" / "first-start" / "policy.toml")
    assert load.SUBJECT in policy.sources[load.SOURCE].subjects


def test_page_for_a_new_source_says_what_the_hub_must_do_and_which_repair_only_plans() -> None:
    page = (ROOT / "docs" / "add-a-source.md").read_text("utf-8")
    assert "hub policy apply policy.toml --execute --reason" in page
    assert "Then start the workers again" in page
    for line in page.splitlines():
        assert "`--repair` mends" not in line
