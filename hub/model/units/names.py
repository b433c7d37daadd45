"""Names of administrative units for comparison: spelling as for any name, hyphens, and the type in front."""

import re
from functools import cache

from hub.model.texts.names import folded

_HYPHENS = re.compile(r"[\s\-\u2010-\u2015]+")
_TYPES = ("thành phố", "thị trấn", "thị xã", "đặc khu", "phường", "huyện", "quận", "tỉnh", "xã")


def folded_unit_name(name: str, without_type: bool = False) -> str:
    """Return a form of a unit's name that is equal for two spellings of it.

    Args:
        name: with or without the unit's type.
        without_type: remove a leading type, e.g. ``Phường``; a name that is only a type keeps it.
    """
    whole = folded(_HYPHENS.sub(" ", name))
    if without_type:
        rest = next((whole[len(kind) :] for kind in _folded_types() if whole.startswith(kind + " ")), "")
        return rest.strip() or whole
    return whole


def same_unit_name(one: str, other: str) -> bool:
    """Return whether two names differ only in spelling, or in whether they include the type."""
    first, second = folded_unit_name(one), folded_unit_name(other)
    return first == second or first == folded_unit_name(other, True) or folded_unit_name(one, True) == second


@cache
def _folded_types() -> tuple[str, ...]:
    return tuple(folded(kind) for kind in _TYPES)
