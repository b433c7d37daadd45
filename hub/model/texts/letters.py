"""Vietnamese letters, compared and published: composed or decomposed, with the tone mark on one vowel or another.

The same word is written in composed letters (NFC) or decomposed (NFD: macOS, databases in WIN1258), and with its tone
mark on one vowel or the next (hòa and hoà, thủy and thuỷ, khỏe and khoẻ). None of this is a difference. Small and
capital letters are different, and so are spaces. ``hub.warehouse.equal_texts`` has the same rule in SQL.
"""

import re
from typing import Any
from unicodedata import is_normalized, normalize

TONES = "\u0300\u0301\u0303\u0309\u0323"
"""Huyền, sắc, ngã, hỏi, nặng, as combining letters."""
VOWELS = "aeiouyAEIOUY\u0302\u0306\u031b"
"""Vowels, and the marks that turn them into other vowels: circumflex, breve, horn."""
TONE_INSIDE = f"([{TONES}])([{VOWELS}]+)"
"""In decomposed letters: a tone mark that is not at the end of its vowels."""
TONE_AT_END = r"\2\1"

_TONE_INSIDE = re.compile(TONE_INSIDE)


def folded_letters(name: str) -> str:
    """Return a form that is equal for names that differ only in letter form or tone position; not for display."""
    return _TONE_INSIDE.sub(TONE_AT_END, normalize("NFD", name))


def same_letters(one: object, other: object, is_name: bool = False) -> bool:
    """Return whether two values are the same; ``is_name``: ignore the position of a tone mark."""
    if one == other:
        return True
    if is_name and isinstance(one, str) and isinstance(other, str):
        return folded_letters(one) == folded_letters(other)
    return bool(composed(one) == composed(other))


def composed(value: Any) -> Any:
    """Return a value with all its texts, also in lists and mappings, in composed letters (NFC).

    A value that is already composed is returned without a copy.
    """
    if isinstance(value, str):
        is_composed = value.isascii() or is_normalized("NFC", value)
        return value if is_composed else normalize("NFC", value)
    if isinstance(value, dict):
        found = {name: composed(part) for name, part in value.items()}
        return found if any(found[name] is not part for name, part in value.items()) else value
    if isinstance(value, list | tuple):
        parts = [composed(part) for part in value]
        return parts if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    return value


def compose_all(values: Any) -> None:
    """Change every text in a mapping or list, at any depth, to composed letters (NFC), in place.

    Nearly all texts are already composed; checking them costs a tenth of ``composed``.
    """
    for name, value in values.items() if type(values) is dict else enumerate(values):
        kind = type(value)
        if kind is str:
            if not value.isascii() and not is_normalized("NFC", value):
                values[name] = normalize("NFC", value)
        elif kind is dict or kind is list:
            compose_all(value)
