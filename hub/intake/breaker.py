"""Tell a storm of poison records from a few: a run of them, or too large a share of the last records.

Pure: counts records of one partition in the order of the log, across batches. A storm means that the fault is more
likely ours, or a producer's, than these records': the partition stops before they become dead letters.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hub.model.policies.breaker_limits import BreakerLimits


class Storm(StrEnum):
    """Which limit was reached."""

    RUN = "run"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Trip:
    """Why a partition stops.

    Fields:
        storm: which limit.
        at: index, among the records looked at last, of the poison record that reached it.
        poison: poison records counted: in the run, or in the window.
        of: records they were counted over.
    """

    storm: Storm
    at: int
    poison: int
    of: int

    def __str__(self) -> str:
        """Say it in words."""
        if self.storm is Storm.RUN:
            return f"{self.poison} poison records in a row"
        return f"{self.poison} poison records among the last {self.of}"


@dataclass(slots=True)
class Breaker:
    """Counts one partition's records. What trips it is not counted: the records stay in the log and come again.

    Fields:
        allowance: so many further poison records are let through without being counted: an operator accepted them.
    """

    limits: BreakerLimits
    allowance: int = 0
    _seen: int = 0
    _run: int = 0
    _poison: "deque[int]" = field(default_factory=deque)

    @classmethod
    def after(cls, limits: BreakerLimits, next_offset: int, poison: Sequence[int], allowance: int = 0) -> "Breaker":
        """Return a breaker that has seen the last records of a partition.

        Args:
            limits: when it trips.
            next_offset: of the record that comes next.
            poison: ascending offsets of the poison records before it that count.
            allowance: see ``Breaker``.
        """
        made = cls(limits, allowance, _seen=limits.window)
        numbers = (limits.window - next_offset + offset for offset in poison)
        made._poison.extend(number for number in numbers if 0 <= number < limits.window)
        counted = set(made._poison)
        while limits.window - made._run - 1 in counted:
            made._run += 1
        return made

    def look(self, count: int, poison: Sequence[int]) -> Trip | None:
        """Count the partition's next records; return why it must stop, None when it may go on.

        Args:
            count: how many records they are.
            poison: ascending indexes of those among them that can never be read. When there are none, the cost does
                not depend on ``count``.
        """
        allowance, run, last = self.allowance, self._run, -1
        window = deque(self._poison)
        for index in poison:
            is_next = index == last + 1
            last = index
            if allowance:
                allowance, run = allowance - 1, 0
                continue
            run = run + 1 if is_next else 1
            number = self._seen + index
            window.append(number)
            while window[0] <= number - self.limits.window:
                window.popleft()
            if trip := self._trip(index, run, len(window)):
                return trip
        self.allowance, self._poison = allowance, window
        self._run = run if last == count - 1 else 0
        self._seen += count
        return None

    def _trip(self, index: int, run: int, in_window: int) -> Trip | None:
        if self.limits.run and run >= self.limits.run:
            return Trip(Storm.RUN, index, run, run)
        if in_window >= self.limits.most_in_window:
            return Trip(Storm.SHARE, index, in_window, self.limits.window)
        return None
