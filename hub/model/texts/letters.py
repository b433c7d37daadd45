"""Letters of Vietnamese as they are compared and published: composed or not, and on which vowel the tone stands.

The same word is written in composed letters (NFC) or decomposed (NFD: macOS, databases in WIN1258), and with its tone
on one vowel or the next (hòa and hoà, thủy and thuỷ, khỏe and khoẻ). None of it is a difference. Small and capital
letters are, and so are spaces. In SQL the same is said by ``hub.warehouse.equal_texts``.
"""

import re
from typing import Any
from unicodedata import is_normalized, normalize

TONES = "\u0300\u0301\u0303\u0309\u0323"
"""Huyền, sắc, ngã, hỏi, nặng, as combining letters."""
VOWELS = "aeiouyAEIOUY\u0302\u0306\u031b"
"""Vowels, and the marks that make other vowels of them: circumflex, breve, horn."""
TONE_INSIDE = f"([{TONES}])([{VOWELS}]+)"
"""In decomposed letters: a tone that does not stand at the end of its vowels."""
TONE_AT_END = r"\2\1"

_TONE_INSIDE = re.compile(TONE_INSIDE)


def folded_letters(name: str) -> str:
    """Return a name such that names which differ in form or place of tones only are equal; never for showing."""
    return _TONE_INSIDE.sub(TONE_AT_END, normalize("NFD", name))


def same_letters(one: object, other: object, is_name: bool = False) -> bool:
    """Return whether two values say the same; ``is_name``: a tone may stand on one vowel or the next."""
    if one == other:
        return True
    if is_name and isinstance(one, str) and isinstance(other, str):
        return folded_letters(one) == folded_letters(other)
    return bool(composed(one) == composed(other))


def composed(value: Any) -> Any:
    """Return a value with all texts in it, in lists and mappings too, in composed letters (NFC).

    What is composed already is returned as it is, and not copied.
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
    """Put every text in a mapping or list, and in those within it, into composed letters (NFC), in place.

    Nearly all texts are composed: they are looked at and left, which costs a tenth of ``composed``.
    """
    for name, value in values.items() if type(values) is dict else enumerate(values):
        kind = type(value)
        if kind is str:
            if not value.isascii() and not is_normalized("NFC", value):
                values[name] = normalize("NFC", value)
        elif kind is dict or kind is list:
            compose_all(value)
