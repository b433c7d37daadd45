"""The form of a declaration's TOML: tables are tables, lists are lists, numbers are in usable bounds."""

import math
from collections.abc import Callable, Mapping
from typing import Any

MOST_S = 1e9
"""The most seconds that a declaration may give, 31 years: the program's clocks and waits take no more."""

MOST_WHOLE = 2**31 - 1
"""The largest whole number of a declaration: the schema's ``source_epoch`` holds no more."""

MOST_ROWS = 1_000_000
"""The most rows that a page may have: a page is held in memory."""

_Tell = Callable[[str, str], None]


def table(given: object, where: str, problem: _Tell) -> Mapping[str, Any]:
    """Return a table of the document; if it is not a table, report a problem and return an empty one."""
    if isinstance(given, Mapping):
        return given
    problem(where, f"must be a table: [{where}] and its lines below it")
    return {}


def tables(given: object, where: str, problem: _Tell) -> list[Mapping[str, Any]]:
    """Return a list of tables of the document; reports entries that are not tables and leaves them out."""
    if isinstance(given, list) and all(isinstance(one, Mapping) for one in given):
        return given
    problem(where, f"must be tables, each with a line [[{where}]] (two brackets) above it")
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []


def number_problem(value: object, least: float, most: float, is_whole: bool = False) -> str | None:
    """Return what a value must be to be a number within the bounds; None if it is one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_number = is_number and not (isinstance(value, float) and (is_whole or math.isnan(value)))
    if is_number and least <= value <= most:  # type: ignore[operator]
        return None
    return f"must be a {'whole ' if is_whole else ''}number, {least:g} or more, {most:.10g} at most"
