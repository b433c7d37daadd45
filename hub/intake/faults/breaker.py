"""Detect a storm of poison records: too many in a row, or too many among the last records.

Pure: it counts the records of one partition in log order, across batches. In a storm the cause is more likely the hub
or a producer than the records themselves. So the partition stops before these records become dead letters.
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
        storm: which limit was reached.
        at: index, in the records just examined, of the poison record that reached the limit.
        poison: number of poison records counted, in the run or in the window.
        of: number of records examined for that count.
    """

    storm: Storm
    at: int
    poison: int
    of: int

    def __str__(self) -> str:
        """Return the reason as text."""
        if self.storm is Storm.RUN:
            return f"{self.poison} poison records in a row"
        return f"{self.poison} poison records among the last {self.of}"


@dataclass(slots=True)
class Breaker:
    """Counts one partition's records.

    Records that trip the breaker are not counted: they stay in the log and are read again.

    Fields:
        allowance: how many more poison records pass without being counted, because an operator accepted them.
    """

    limits: BreakerLimits
    allowance: int = 0
    _seen: int = 0
    _run: int = 0
    _poison: "deque[int]" = field(default_factory=deque)

    @classmethod
    def after(cls, limits: BreakerLimits, next_offset: int, poison: Sequence[int], allowance: int = 0) -> "Breaker":
        """Return a breaker that has already seen the last records of a partition.

        Args:
            limits: when it trips.
            next_offset: offset of the next record.
            poison: offsets, ascending, of the earlier poison records that count.
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
        """Count the partition's next records; return why it must stop, or None if it may continue.

        Args:
            count: number of records.
            poison: indexes, ascending, of the poison records among them. If there are none, the cost does not depend on
                ``count``.
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
