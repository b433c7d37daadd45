"""Near names: the known names that somebody may have meant who wrote an unknown one."""

import unicodedata
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_LIKE = 0.6
"""How similar two names must be, where 1 is equal; difflib's own measure and default."""
_MOST = 2
_SURE = 0.8
"""If a name is this similar, it is the one that was meant."""


def near_names(given: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names nearest to an unknown one, at most two, the nearest first.

    Capitals, spaces and accents are ignored: names that differ only in them are the nearest.
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
    """Return the end of a sentence that suggests near names; empty if there are none."""
    near = near_names(given, known)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def unknown_name(what: str, given: str, known: Iterable[str]) -> str:
    """Return a message that a name is unknown, with near names or, if there are none, all known names."""
    names = sorted(known)
    return f"unknown {what} {given!r}" + (did_you_mean(given, names) or f"; there are {', '.join(names)}")


def _bare(name: str) -> str:
    """Return a name in small letters, without accents, with single spaces."""
    letters = unicodedata.normalize("NFD", name.casefold().replace("đ", "d"))
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())
