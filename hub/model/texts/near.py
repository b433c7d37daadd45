"""Near names: which of the known names did somebody mean who wrote another one?"""

import unicodedata
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_LIKE = 0.6
"""How alike two names must be, 1 being equal; difflib's own measure and default."""
_MOST = 2
_SURE = 0.8
"""A name that is so much alike is the one that was meant."""


def near_names(given: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names that are nearest to one that is not known, at most two, the nearest first.

    Capitals, spaces and accents count for nothing here: names that differ in them alone are the nearest.
    """
    by_form: dict[str, str] = {}
    for name in known:
        by_form.setdefault(_bare(name), str(name))
    bare = _bare(given)
    near = get_close_matches(bare, list(by_form), _MOST, _LIKE)
    if near and SequenceMatcher(None, near[0], bare).ratio() >= _SURE:
        near = near[:1]
    return tuple(by_form[form] for form in near)


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that suggests near names; empty where none is near."""
    near = near_names(given, known)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def unknown_name(what: str, given: str, known: Iterable[str]) -> str:
    """Return that a name is not known, with a near one to write instead, or with all there are where none is near."""
    names = sorted(known)
    return f"unknown {what} {given!r}" + (did_you_mean(given, names) or f"; there are {', '.join(names)}")


def _bare(name: str) -> str:
    """Return a name in small letters without accents, its spaces single."""
    letters = unicodedata.normalize("NFD", name.casefold().replace("đ", "d"))
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())
