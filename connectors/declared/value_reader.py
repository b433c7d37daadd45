"""Single values of a declaration's document: each is read as its kind, or is a problem that is collected."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from connectors.declared.declaration import Location
from connectors.declared.toml_shapes import MOST_S, MOST_WHOLE, number_problem
from hub.model.texts.near import unknown_name

Table = Mapping[str, Any]
MOST_LETTERS = 200
"""The connector's state stores names up to this length."""

_MOST_LETTERS_OF_A_URL = 10_000


class ValueReader:
    """Reads single values of one document and collects its problems; what has a problem is left out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[str] = []

    def problem(self, where: str, text: str) -> None:
        """Note a problem at a place of the document."""
        self.problems.append(f"{self.name}: {where}: {text}")

    def unknown(self, where: str, given: Table, known: set[str]) -> None:
        """Note each name that is not known there."""
        for name in sorted(set(given) - known):
            self.problem(where, unknown_name("name", name, known))

    def text(
        self, where: str, given: Table, name: str, default: str | None = None, most: int = MOST_LETTERS
    ) -> str | None:
        """Return a text, or its default."""
        value = given.get(name, default)
        if value is None or (isinstance(value, str) and value and "\0" not in value and len(value) <= most):
            return value
        self.problem(where, f"{name} must be text of at most {most} letters")
        return None

    def required(self, where: str, given: Table, name: str) -> str:
        """Return a text that must be there."""
        if name not in given:
            self.problem(where, f"{name} is missing")
            return ""
        return self.text(where, given, name) or ""

    def seconds(self, given: Table, name: str, default: float, least: float = 0.0) -> float:
        """Return a number of seconds of the source."""
        value = given.get(name, default)
        if problem := number_problem(value, least, MOST_S):
            self.problem("source", f"{name} {problem}")
            return default
        return float(value)

    def whole(self, where: str, given: Table, name: str, default: int, most: int = MOST_WHOLE) -> int:
        """Return a whole number, at least 1."""
        value = given.get(name, default)
        if problem := number_problem(value, 1, most, is_whole=True):
            self.problem(where, f"{name} {problem}")
            return default
        return int(value)

    def names(self, where: str, given: Table, name: str) -> tuple[str, ...]:
        """Return a name or a list of names."""
        value = given.get(name, [])
        value = [value] if isinstance(value, str) else value
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        self.problem(where, f"{name} must be a name or a list of names")
        return ()

    def yes_or_no(self, where: str, given: Table, name: str) -> bool | None:
        """Return whether something is so, None if nothing says it."""
        value = given.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.problem(where, f"{name} must be true or false")
        return None

    def one_of(self, where: str, given: Table, name: str, allowed: Sequence[str]) -> str | None:
        """Return one of the allowed words."""
        value = given.get(name)
        if value is None or value in allowed:
            return value
        self.problem(where, f"{name} {value!r} is none of {', '.join(allowed)}")
        return None

    def location(self, where: str, given: Table, needed: bool) -> Location:
        """Return where a database is, by its URL or by the variable that holds it."""
        url, variable = self.text(where, given, "url", most=_MOST_LETTERS_OF_A_URL), self.text(where, given, "url_env")
        if url and variable:
            self.problem(where, "url and url_env exclude each other")
        if needed and not url and not variable:
            self.problem(where, "url or url_env is missing")
        if url:
            try:
                if make_url(url).password is not None:
                    self.problem(where, "url holds a password: put the URL into a variable and name it with url_env")
                    url = None
            except ArgumentError:
                self.problem(where, "url is not a database URL")
                url = None
        return Location(url, variable)
