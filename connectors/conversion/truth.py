"""Words of true and false: a closed list. What else a source says must be declared, and is never taken for either."""

from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.plain import folded, plain

TRUE = frozenset(("1", "true", "t", "yes", "y", "on"))
FALSE = frozenset(("0", "false", "f", "no", "n", "off"))
"""In any case: what PostgreSQL reads as a boolean, and 1 and 0 of a number. Words of a language are declared."""


def truth(value: Any) -> bool | None:
    """Return what a value says; None for none and for blank text.

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
    word = folded(text).lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise Unmappable(RejectReason.BAD_BOOLEAN)
