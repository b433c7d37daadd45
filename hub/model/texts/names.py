"""Names of people and places, folded for comparison; never for display.

Vietnamese is written with the tone mark on one vowel or the next (Hòa and Hoà, Thủy and Thuỷ), composed or decomposed,
in capitals or not: these forms are one name. Different names stay different: Hoa, Hòa and Hóa.
"""

import unicodedata

_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")
"""Huyền, sắc, ngã, hỏi, nặng. Circumflex, breve and horn make other vowels and are not moved."""


def folded(name: str) -> str:
    """Return the folded form, the same for equal names: tone marks at the end of the syllable, small letters."""
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFC", name).casefold())
    return " ".join(_folded_syllable(syllable) for syllable in decomposed.split())


def same_name(one: str, other: str) -> bool:
    """Return whether two names differ only in their spelling."""
    return one == other or folded(one) == folded(other)


def _folded_syllable(syllable: str) -> str:
    tones = [mark for mark in syllable if mark in _TONES]
    letters = [letter for letter in syllable if letter not in _TONES]
    return unicodedata.normalize("NFC", "".join(letters)) + "".join(tones)
