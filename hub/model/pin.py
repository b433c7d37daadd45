"""The rules of the personal identification number (PIN, số định danh cá nhân), used for doubts and never to refuse.

Twelve digits (Decree 137/2015 Art. 13): three for the place of birth registration, one for century and gender, two for
the birth year, six random ones; there is no check digit. If a PIN contradicts the rest of an event, the PIN may be
right: sexes and birth years are corrected, numbers almost never. Never derive somebody's present residence from the
first three digits: they stay for life.
"""

CMND_DIGITS = 9
SI_NUMBER_DIGITS = 10

_OLD_PROVINCES = (
    "01 02 04 06 08 10 11 12 14 15 17 19 20 22 24 25 26 27 30 31 33 34 35 36 37 38 40 42 44 45 46 48 49 51 52 54 56 58 "
    "60 62 64 66 67 68 70 72 74 75 77 79 80 82 83 84 86 87 89 91 92 93 94 95 96"
)
PROVINCE_PREFIXES = frozenset(f"0{code}" for code in _OLD_PROVINCES.split())
"""The 63 provinces before 1 July 2025 (Circular 07/2016/TT-BCA): "0" and the province's code."""

FIRST_FOREIGN_PREFIX = 100
"""From this number on, the three digits are a country's: born abroad. The countries' numbers are unknown, so all are
accepted.
"""

INVENTED_PREFIXES = frozenset({"000", "099"})
"""Prefixes of no province. Numbers invented for tests begin with them, so that they can never belong to a living
person.
"""

FIRST_CENTURY = 1900
PLACEHOLDER = r"^(0+1|0+|1+|2+|3+|4+|5+|6+|7+|8+|9+)$"
"""Numbers typed to fill a required field: zeros and a one, or one repeated digit."""
