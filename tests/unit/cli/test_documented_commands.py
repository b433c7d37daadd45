"""Every command line that a document or a command's help shows is one that the command line takes."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer import BadParameter
from typer.exceptions import TyperException

from hub.cli.app import build_app

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PLACEHOLDER = re.compile(r"\.\.\.|…|\||<|\[-|\{")
"""What only stands for something: a line that has it is a pattern, not a command."""
ASKS_WHY = {"search"}
"""Commands that always want a reason."""
EXECUTES_WITHOUT_REASON = {"run"}
"""``hub archive run`` asks for one only where it deletes."""
NOT_YET_DECLARED = {"docs/add-an-entity.md": ("vehicle", "vehicle-model")}
"""The groups of the entities that the page declares as its example; tests/e2e/test_new_entity.py runs its lines."""
_STDIN = re.compile(r"^(echo|printf|curl|cat)\b[^|]*\| *")


@cache
def root() -> Any:
    return typer.main.get_command(build_app())


def command_lines(text: str) -> Iterator[str]:
    """Yield what begins with ``hub``: lines of code blocks, with their continuations, and code within a sentence."""
    for block in re.findall(r"```[^\n]*\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found = _STDIN.sub("", line.strip().removeprefix("$ "))
            found = re.sub(r"^(HUB_\w+=\S+ )+", "", found).removeprefix(".venv/bin/")
            if found.startswith("hub "):
                yield re.sub(r"( +#.*|  \s+.*| [&>].*| *—.*)$", "", found)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for code in re.findall(r"`((?:\.venv/bin/)?hub [^`\n]+)`", prose):
        yield code.removeprefix(".venv/bin/")


def examples() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        yield from ((str(path.relative_to(ROOT)), line) for line in command_lines(path.read_text("utf-8")))
    yield from ((f"hub {' '.join(names)} --help", line) for names, line in _of_help(root(), ()))


def _of_help(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, child in getattr(command, "commands", {}).items():
        yield from _of_help(child, (*names, name))
    yield from ((names, line) for line in command_lines(command.help or ""))


LINES = sorted(set(examples()))


def test_there_are_lines_to_try() -> None:
    assert len(LINES) > 150


@pytest.mark.parametrize(("where", "line"), LINES)
def test_command_line_is_taken(where: str, line: str) -> None:
    line = line.replace('"..."', '"a text"')
    if PLACEHOLDER.search(line):
        words = line.split("...")[0].split()[1:]
        _leaf([word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)], strict=False)
        return
    if shlex.split(line)[1] in NOT_YET_DECLARED.get(where, ()):
        return
    command, arguments = _leaf(shlex.split(line)[1:])
    if getattr(command, "commands", None):
        assert not [one for one in arguments if not one.startswith("--")], f"{where}: there is no command {line!r}"
        return
    problem = _problem(command, arguments)
    assert not problem, f"{where}: {line!r}: {problem}"


def _problem(command: Any, arguments: list[str]) -> str:
    if not arguments or set(arguments) & {"--help", "--version"}:
        return ""  # a sentence names the command alone
    names = {option.name for option in command.params}
    wants_reason = command.name in ASKS_WHY or ("execute" in names and "--execute" in arguments)
    wants_reason = wants_reason and "reason" in names and command.name not in EXECUTES_WITHOUT_REASON
    if wants_reason and "--reason" not in arguments:
        return "it needs --reason"
    try:
        command.make_context(command.name, list(arguments))
    except BadParameter as error:
        if type(error) is not BadParameter:
            return error.format_message()  # what is missing, and not what is wrong
        # a word in capitals stands for a value; a file that is not here is no fault of the line
        stands_for = [one for one in arguments if re.fullmatch("[A-Z][A-Z_]*", one)]
        return "" if stands_for or "does not exist" in error.format_message() else error.format_message()
    except TyperException as error:
        return error.format_message()
    return ""


def _leaf(words: list[str], strict: bool = True) -> tuple[Any, list[str]]:
    command = root()
    for number, word in enumerate(words):
        children = getattr(command, "commands", None)
        if not children:
            return command, words[number:]
        if word not in children:
            assert word.startswith("-") or not strict, f"there is no command {word!r} in {words}"
            return command, words[number:]
        command = children[word]
    return command, []
