"""Invented people, from a seed: the same seed and scale give the same people.

No living person can have one of their numbers: a personal number begins with the code of a place of birth registration,
and ``000`` and ``099`` are neither a province nor a country. Gender and year of birth match digits 4 to 6.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from hub.demo.names import FAMILY_NAMES, GIVEN_NAMES, MIDDLE_NAMES, STREETS
from hub.reference.units import CommuneFate, commune_fates

IMPOSSIBLE_PREFIXES = ("000", "099")
"""Place codes with which no personal number begins."""

MIDNIGHT = datetime(2025, 6, 30, 17, tzinfo=UTC)
"""2025-07-01T00:00+07:00: the old units end, the new shared system takes over."""

CITIZENS = 30_000
"""The number at scale 1."""

_T = TypeVar("_T")

_HOME_SHARES = {"35": 25, "36": 45, "37": 25, "01": 5}
"""Old province code: weight. A few people live in Hà Nội, where most of the split communes are."""


@dataclass(frozen=True, slots=True)
class Person:
    """An invented citizen as the population database knows them. Birth month and day may be unknown.

    Fields:
        gender: ``male`` or ``female``.
        home: the commune of permanent residence until the reform.
        moved_in: first day of the permanent residence.
        registered_at: when the population database last changed the person before midnight.
    """

    pin: str
    family: str
    middle: str
    given: str
    gender: str
    birth_year: int
    birth_month: int | None
    birth_day: int | None
    home: CommuneFate
    address: str
    moved_in: date
    registered_at: datetime

    @property
    def full_name(self) -> str:
        """Return family, middle and given name."""
        return f"{self.family} {self.middle} {self.given}"


def make_people(seed: int, count: int) -> list[Person]:
    """Return ``count`` people with different numbers; the same arguments give the same people."""
    rng = random.Random(seed)
    families = rng.choices(list(FAMILY_NAMES), list(FAMILY_NAMES.values()), k=count)
    provinces = rng.choices(list(_HOME_SHARES), list(_HOME_SHARES.values()), k=count)
    serials = rng.sample(range(1_000_000), min(count, 1_000_000))
    return [
        _person(rng, families[number], provinces[number], number, serials[number % 1_000_000])
        for number in range(count)
    ]


def make_pin(number: int, serial: int, gender: str, birth_year: int) -> str:
    """Return a number that no living person has.

    Args:
        number: which person of the run; after every 1,000,000 the other impossible prefix is used.
        serial: the last six digits.
        gender: ``male`` or ``female``.
        birth_year: 1900 to 2099.
    """
    century = (birth_year // 100 - 19) * 2 + (gender == "female")
    prefix = IMPOSSIBLE_PREFIXES[number // 1_000_000 % 2]
    return f"{prefix}{century}{birth_year % 100:02d}{serial:06d}"


def _person(rng: random.Random, family: str, province: str, number: int, serial: int) -> Person:
    gender = "female" if rng.random() < 0.5 else "male"
    year = 1935 + int(rng.betavariate(2, 2) * 88)
    precision = rng.random()
    return Person(
        pin=make_pin(number, serial, gender, year),
        family=family,
        middle=_pick(rng, MIDDLE_NAMES[gender]),
        given=_pick(rng, GIVEN_NAMES[gender]),
        gender=gender,
        birth_year=year,
        birth_month=None if precision < 0.03 else rng.randint(1, 12),
        birth_day=None if precision < 0.05 else rng.randint(1, 28),
        home=_pick(rng, commune_fates(province)),
        address=f"Số {rng.randint(1, 299)}, {_pick(rng, STREETS)}",
        moved_in=date(max(year + 1, 1975), 1, 1) + timedelta(days=rng.randint(0, 360)),
        registered_at=MIDNIGHT - timedelta(seconds=rng.randint(86_400, 400 * 86_400)),
    )


def _pick(rng: random.Random, values: Sequence[_T]) -> _T:
    return values[int(rng.random() * len(values))]
