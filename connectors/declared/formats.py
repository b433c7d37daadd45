"""How a declaration writes the formats of dates and numbers: reads them, or says what is wrong."""

from collections.abc import Mapping
from typing import Any

from connectors.declared.declaration import NumberFormat

_DIRECTIVES = {"d", "m", "Y", "H", "M", "S"}
_DECIMALS = (".", ",")
_THOUSANDS = (".", ",", " ", "'", "\u2019", "\u00a0", "\u202f")


def date_format_problem(text: str) -> str | None:
    """Return what is wrong with a date format; None if nothing is."""
    used = [piece[:1] for piece in text.split("%")[1:]]
    if not used or set(used) - _DIRECTIVES or len(used) != len(set(used)) or "Y" not in used:
        return f"format {text!r}: use %Y with any of %m %d %H %M %S, each once"
    return None


def number_format(given: object) -> NumberFormat | str:
    """Return the format of numbers in text, or a text that says what is wrong with it."""
    wanted = 'number must be { thousands = ".", decimal = "," }, either of them or both'
    if not isinstance(given, Mapping) or not given or set(given) - {"thousands", "decimal"}:
        return wanted
    thousands, decimal = _one(given, "thousands", _THOUSANDS), _one(given, "decimal", _DECIMALS)
    if thousands is None or decimal is None:
        return f"{wanted}: thousands is one of . , ' or a space, decimal is . or ,"
    if thousands == decimal:
        return "number: thousands and decimal must differ"
    return NumberFormat(thousands, decimal)


def _one(given: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str | None:
    value = given.get(name, "")
    return value if value == "" or value in allowed else None
