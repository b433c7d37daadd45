"""What a personal identification number says; see ``hub.model.pin``."""

import re
from dataclasses import dataclass

from hub.model.pin import FIRST_CENTURY, FIRST_FOREIGN_PREFIX, INVENTED_PREFIXES, PLACEHOLDER, PROVINCE_PREFIXES

PIN_DIGITS = 12
_PLACEHOLDER = re.compile(PLACEHOLDER)


@dataclass(frozen=True, slots=True)
class PinFacts:
    """What a PIN states about its holder; ``gender`` is MALE or FEMALE."""

    prefix: str
    gender: str
    birth_year: int


def is_pin(text: str) -> bool:
    """Return whether a text is twelve digits: the form of a PIN."""
    return len(text) == PIN_DIGITS and text.isascii() and text.isdigit()


def is_placeholder(number: str) -> bool:
    """Return whether an identity number of any length is a placeholder that was never issued."""
    return _PLACEHOLDER.fullmatch(number) is not None


def pin_facts(pin: str) -> PinFacts:
    """Read a PIN of twelve digits."""
    digit = int(pin[3])
    century = FIRST_CENTURY + 100 * (digit // 2)
    return PinFacts(pin[:3], "FEMALE" if digit % 2 else "MALE", century + int(pin[4:6]))


def is_known_prefix(prefix: str, invented: bool) -> bool:
    """Return whether a number may have this prefix; ``invented`` accepts the prefixes of invented numbers."""
    return (
        prefix in PROVINCE_PREFIXES or int(prefix) >= FIRST_FOREIGN_PREFIX or (invented and prefix in INVENTED_PREFIXES)
    )


def disagreements(pin: str, gender: str | None, birth_year: int | None) -> tuple[str, ...]:
    """Return the fields of a person that contradict the PIN; unknown values and a third gender do not."""
    facts = pin_facts(pin)
    found = []
    if gender in {"MALE", "FEMALE"} and gender != facts.gender:
        found.append("gender")
    if birth_year is not None and birth_year != facts.birth_year:
        found.append("birth_year")
    return tuple(found)
