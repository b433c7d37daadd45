"""The shape of a declaration's TOML: tables are tables, lists are lists, numbers are numbers that can be used."""

import math
from collections.abc import Callable, Mapping
from typing import Any

MOST_S = 1e9
"""Seconds that a declaration may name at most, 31 years: clocks and waits of the program take no more."""

MOST_WHOLE = 2**31 - 1
"""The largest whole number of a declaration: the schema's ``source_epoch`` holds no more."""

MOST_ROWS = 1_000_000
"""Rows that a page may have at most: it is held in memory."""

_Tell = Callable[[str, str], None]


def table(given: object, where: str, problem: _Tell) -> Mapping[str, Any]:
    """Return a table of the document; an empty one, and a problem, where it is none."""
    if isinstance(given, Mapping):
        return given
    problem(where, f"must be a table: [{where}] and its lines below it")
    return {}


def tables(given: object, where: str, problem: _Tell) -> list[Mapping[str, Any]]:
    """Return a list of tables of the document; what is none is left out, with a problem."""
    if isinstance(given, list) and all(isinstance(one, Mapping) for one in given):
        return given
    problem(where, f"must be tables, each with a line [[{where}]] (two brackets) above it")
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []


def number_problem(value: object, least: float, most: float, is_whole: bool = False) -> str | None:
    """Return what a value must be to be a number in the bounds; None where it is one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_number = is_number and not (isinstance(value, float) and (is_whole or math.isnan(value)))
    if is_number and least <= value <= most:  # type: ignore[operator]
        return None
    return f"must be a {'whole ' if is_whole else ''}number, {least:g} or more, {most:.10g} at most"
