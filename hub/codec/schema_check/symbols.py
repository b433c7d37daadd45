"""The rules for symbols: each has a Vietnamese name and, if the national portal has one, the portal's number.

An enum has both next to its symbols, a text with a closed list next to ``allowed``: ``vn_names`` and ``src_codes``,
each an object by symbol.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.codec.fields import FieldSpec, UnsupportedTypeError, fields_of

NAMES, CODES = "vn_names", "src_codes"
_LISTS = ("symbols", "allowed")


def lists_without_names(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the path of each list of symbols in which a symbol has no name."""
    try:
        fields = fields_of(schema)
    except (UnsupportedTypeError, KeyError, TypeError, ValueError, AttributeError):
        return ()  # a file that does not parse is reported by its own rules
    return tuple(_nameless(fields))


def _nameless(fields: tuple[FieldSpec, ...], prefix: str = "") -> Iterator[str]:
    for spec in fields:
        if spec.symbols and not (spec.symbol_names and all(spec.symbol_names)):
            yield f"{prefix}{spec.name}"
        yield from _nameless(spec.items, f"{prefix}{spec.name}.")


def problems_of_symbols(path: str, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (path, message) for names and numbers that belong to no symbol or have a wrong form."""
    known = next((set(said[name]) for name in _LISTS if isinstance(said.get(name), list)), set())
    for label, kind, form in ((NAMES, str, "a text of one line"), (CODES, int, "a whole number")):
        given = said.get(label, {})
        if not isinstance(given, dict):
            yield path, f"has {label} that are not an object by symbol"
            continue
        for symbol, value in given.items():
            is_blank = isinstance(value, str) and (not value.strip() or "\n" in value)
            if symbol not in known:
                yield path, f"has {label} for {symbol}, which is none of its symbols"
            elif not isinstance(value, kind) or isinstance(value, bool) or is_blank:
                yield path, f"has {label} for {symbol} that is not {form}"
        numbers = list(given.values()) if label == CODES else []
        if any(numbers.count(number) > 1 for number in numbers):
            yield path, f"has {label} that give one number to two symbols"


def without_names(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field without the names and numbers of its symbols."""
    avro = field.get("type")
    if not isinstance(avro, dict):
        return dict(field)
    return {**field, "type": {name: value for name, value in avro.items() if name not in (NAMES, CODES)}}
