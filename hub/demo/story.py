"""What happens in the demo, decided before it starts: the people, the dossiers, and what goes wrong with which.

Everything follows from the seed and the scale, so two runs with the same arguments have the same events.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from hub.demo.dossiers import DOSSIERS, Dossier, Step, make_dossiers
from hub.demo.people import CITIZENS, MIDNIGHT, Person, make_people

SEED = 20_250_701
OVERTIME = timedelta(minutes=7)
"""How long after midnight an officer still types into an old system: those steps are rejected."""

_LATE_EVERY, _OVERTIME_EVERY, _OVERTAKEN_EVERY = 25, 40, 15


@dataclass(frozen=True, slots=True)
class Story:
    """The people, the dossiers, and what goes wrong.

    Fields:
        late: codes of dossiers whose last step before midnight reaches the old system's database only after midnight.
        overtime: codes of dossiers on which an officer works in the old system after midnight.
        overtaken: codes of dossiers whose third step reaches the database after later steps, out of order.
    """

    people: tuple[Person, ...]
    dossiers: tuple[Dossier, ...]
    late: frozenset[str]
    overtime: frozenset[str]
    overtaken: frozenset[str]

    def of_province(self, province: str) -> tuple[Dossier, ...]:
        """Return the dossiers filed in the old system of that province."""
        return tuple(dossier for dossier in self.dossiers if dossier.province == province)

    def recorded_before(self, dossier: Dossier) -> tuple[Step, ...]:
        """Return the steps that are in the old system at midnight, in order."""
        steps = list(dossier.steps_before_midnight)
        if dossier.code in self.late:
            steps.pop()
        if dossier.code in self.overtaken:
            steps.pop(2)
        return tuple(steps)

    def recorded_late(self, dossier: Dossier) -> tuple[Step, ...]:
        """Return the steps that reach the old system after midnight: late and overtaken ones, and overtime."""
        before = dossier.steps_before_midnight
        late = (before[-1],) if dossier.code in self.late else ()
        if dossier.code in self.overtaken:
            late = (before[2], *late)
        if dossier.code not in self.overtime:
            return late
        last = before[-1]
        after = Step(
            last.number + 1, 4, MIDNIGHT + OVERTIME, last.officer, last.title, last.department, "Làm việc sau giao ca"
        )
        return (*late, after)


def make_story(scale: float, seed: int = SEED) -> Story:
    """Return the story: 30,000 people and 6,000 dossiers at scale 1."""
    people = make_people(seed, max(200, round(CITIZENS * scale)))
    dossiers = make_dossiers(seed, max(100, round(DOSSIERS * scale)), people)
    eligible = [dossier for dossier in dossiers if dossier.province and len(dossier.steps_before_midnight) >= 4]
    return Story(
        people=tuple(people),
        dossiers=tuple(dossiers),
        late=_codes(eligible[::_LATE_EVERY]),
        overtime=_codes(eligible[1::_OVERTIME_EVERY]),
        overtaken=_codes(eligible[2::_OVERTAKEN_EVERY]),
    )


def _codes(dossiers: Iterable[Dossier]) -> frozenset[str]:
    return frozenset(dossier.code for dossier in dossiers)
