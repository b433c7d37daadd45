"""Invented dossiers across midnight: filed in June in old systems, finished in July in the new shared system."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.demo.names import DEPARTMENTS, NOTES, OFFICER_TITLES
from hub.demo.people import MIDNIGHT, Person
from hub.demo.procedures import PROCEDURES, Procedure

DOSSIERS = 6_000
"""The number at scale 1."""

AGENCIES = {"35": "H25", "36": "H40", "37": "H42"}
"""Agency codes (Decision 20/2020/QD-TTg) of the three provinces by old unit code; H42 continues after midnight."""

_OLD_SHARES: dict[str | None, int] = {"35": 25, "36": 40, "37": 25}
_NEW_SHARE = 10
"""How many of 100 dossiers are filed after midnight in the new shared system."""

LATE_DAY = timedelta(days=3)
"""How long the story continues after midnight."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a dossier: the portal's status code (1 to 10), when and by whom. ``number`` rises from 1."""

    number: int
    status: int
    at: datetime
    officer: str
    title: str
    department: str
    note: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """A dossier with all its steps.

    Fields:
        province: old unit code of the system in which it was filed; None: filed in the new shared system.
        channel: DIRECT, ONLINE or POSTAL.
        steps: in order; those from midnight on belong to the new shared system.
    """

    code: str
    province: str | None
    procedure: Procedure
    applicant: Person
    channel: str
    submitted_at: datetime
    due_at: datetime
    steps: tuple[Step, ...]

    @property
    def steps_before_midnight(self) -> tuple[Step, ...]:
        """Return the steps that the old system recorded."""
        return tuple(step for step in self.steps if step.at < MIDNIGHT)

    @property
    def steps_after_midnight(self) -> tuple[Step, ...]:
        """Return the steps that the new shared system recorded."""
        return tuple(step for step in self.steps if step.at >= MIDNIGHT)


def make_dossiers(seed: int, count: int, people: Sequence[Person]) -> list[Dossier]:
    """Return ``count`` dossiers with 4 to 8 steps each; the same arguments give the same dossiers."""
    rng = random.Random(seed + 1)
    shares = {**_OLD_SHARES, None: _NEW_SHARE}
    adults = [person for person in people if person.birth_year <= 2006]
    return [
        _dossier(rng, number, province, adults)
        for number, province in enumerate(rng.choices(list(shares), list(shares.values()), k=count), 1)
    ]


def _dossier(rng: random.Random, number: int, province: str | None, adults: Sequence[Person]) -> Dossier:
    if province is None:
        submitted = MIDNIGHT + timedelta(seconds=rng.randint(3600, 40 * 3600))
    else:
        submitted = MIDNIGHT - timedelta(seconds=rng.randint(4 * 3600, 24 * 86_400))
    procedure = rng.choice(PROCEDURES)
    agency = AGENCIES.get(province or "37", "H42")
    local = submitted + timedelta(hours=7)
    office = rng.randint(10, 49)
    return Dossier(
        code=f"{agency}.{office}-{local:%y%m%d}-{number:05d}",
        province=province,
        procedure=procedure,
        applicant=adults[int(rng.random() * len(adults))],
        channel=rng.choices(("ONLINE", "DIRECT", "POSTAL"), (55, 40, 5))[0],
        submitted_at=submitted,
        due_at=submitted + timedelta(days=procedure.days * 1.4 + 1),
        steps=_steps(rng, submitted),
    )


def _steps(rng: random.Random, submitted: datetime) -> tuple[Step, ...]:
    path = _path(rng)
    length_s = rng.uniform(0.3, 1.0) * (MIDNIGHT + LATE_DAY - submitted).total_seconds()
    marks = sorted(rng.random() for _ in path[1:])
    times = [
        submitted,
        *(submitted + timedelta(seconds=int(60 * place + mark * length_s)) for place, mark in enumerate(marks, 1)),
    ]
    return tuple(
        Step(
            place,
            status,
            at,
            f"CB{rng.randint(100, 999)}",
            OFFICER_TITLES[min(place // 3, 3)],
            DEPARTMENTS[0] if place < 3 else rng.choice(DEPARTMENTS),
            rng.choice(NOTES),
        )
        for place, (status, at) in enumerate(zip(path, times, strict=True), 1)
    )


def _path(rng: random.Random) -> list[int]:
    """Return a path of 4 to 8 steps over the portal's status codes, by its allowed moves."""
    path = [1, 2]
    path += [4] * rng.randint(1, 2)
    detour = rng.random()
    if detour < 0.15:
        path += [5, 4]
    elif detour < 0.25:
        path += [6, 4]
    if detour > 0.96:
        return [*path, 8, 10]
    return [*path, 9, 10]
