"""Words that readers whose second language is English did not understand stay out of documents, help and messages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from hub.cli.app import build_app

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = sorted([*(ROOT / "hub").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")])
UNCLEAR = re.compile(
    r"\b(tak(e|es|en|ing) back|took back|left alone|made anew|accounted|neighbours?|anew|amiss)\b", re.IGNORECASE
)
NAMES = re.compile(r"`[^`\n]*`|[A-Z]+_[A-Z_]+|\([^)\s]*\)|^    .*$")
"""Names in code, codes, targets of links, and blocks of code by indent: no words of a sentence."""
ELSEWHERE = {"performance.md", "compare.md", "glossary.md"}
"""Pages whose words are not a newcomer's."""
MESSAGES_ELSEWHERE = ("hub/operate/compare", "hub/cli/connect/compare")


def unclear(text: str) -> list[str]:
    return [found[0] for line in text.splitlines() for found in UNCLEAR.finditer(NAMES.sub("", line))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_page_says_it_in_usual_words(page: Path) -> None:
    if page.name not in ELSEWHERE:
        assert unclear(page.read_text("utf-8")) == []


def _helps(command: Any, path: tuple[str, ...] = ("hub",)) -> Iterator[tuple[str, str]]:
    said = [command.help or "", *(getattr(option, "help", None) or "" for option in command.params)]
    yield " ".join(path), "\n".join(said)
    for name, child in getattr(command, "commands", {}).items():
        yield from _helps(child, (*path, name))


@pytest.mark.parametrize(("name", "text"), list(_helps(typer.main.get_command(build_app()))))
def test_help_says_it_in_usual_words(name: str, text: str) -> None:
    if name != "hub connect compare":
        assert unclear(text) == []


def _messages(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module that are no docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value


def test_messages_say_it_in_usual_words() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {words}"
        for path in SOURCES
        if not str(path.relative_to(ROOT)).startswith(MESSAGES_ELSEWHERE)
        for line, text in _messages(path)
        if (words := unclear(text))
    ]
    assert found == []
