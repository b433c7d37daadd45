"""Words for true and false: a closed list. Any other word must be declared; it is never taken as true or false."""

from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.plain import folded, plain

TRUE = frozenset(("1", "true", "t", "yes", "y", "on"))
FALSE = frozenset(("0", "false", "f", "no", "n", "off"))
"""In upper or lower case: what PostgreSQL reads as a boolean, and the numbers 1 and 0. Other words are declared."""


def truth(value: Any) -> bool | None:
    """Return the truth value of a value; None for no value and for blank text.

    Raises:
        Unmappable: BAD_BOOLEAN for any other value.
    """
    if value is None or isinstance(value, bool):
        return value
    try:
        text = plain(value)
    except Unmappable:
        raise Unmappable(RejectReason.BAD_BOOLEAN) from None
    if text is None:
        return None
    said = meaning(text)
    if said is None:
        raise Unmappable(RejectReason.BAD_BOOLEAN)
    return said


def meaning(word: str) -> bool | None:
    """Return whether a word of the closed list means true; None for any other word."""
    said = folded(word).lower()
    return True if said in TRUE else False if said in FALSE else None
