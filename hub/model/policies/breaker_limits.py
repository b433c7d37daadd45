"""What the policy says of storms of poison records: its table ``[breaker]``.

[breaker]
run = 100        # this many poison records in a row stop a partition; 0: never
window = 1000    # number of latest records over which the share is counted
share = 0.2      # this share of poison among them stops it too; 1.0: only a window of nothing but poison
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.model.texts.near import unknown_name

RUN = 100
WINDOW = 1_000
SHARE = 0.2
_KNOWN = {"run", "window", "share"}
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a partition is stopped.

    Fields:
        run: poison records in a row; 0: never for a run.
        window: number of the latest records of the partition that are examined.
        share: share of poison records among them, above 0 and at most 1.
    """

    run: int = RUN
    window: int = WINDOW
    share: float = SHARE

    @property
    def most_in_window(self) -> int:
        """The number of poison records among the last ``window`` that stops the partition."""
        return max(1, math.ceil(self.window * self.share))

    def is_looser_than(self, other: "BreakerLimits") -> bool:
        """Tell whether these limits allow more than others: then a partition stopped by those may be tried again."""
        longest, its_longest = (limits.run or _MOST + 1 for limits in (self, other))
        return longest >= its_longest and self.most_in_window >= other.most_in_window and self != other


DEFAULT_LIMITS = BreakerLimits()


def breaker_limits(table: Mapping[str, Any]) -> BreakerLimits:
    """Read the table ``[breaker]`` of a policy, which has no problems; missing fields have their defaults."""
    return BreakerLimits(table.get("run", RUN), table.get("window", WINDOW), float(table.get("share", SHARE)))


def breaker_problems(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a table ``[breaker]``."""
    yield from (unknown_name("field", name, _KNOWN) for name in sorted(set(table) - _KNOWN))
    for name, least in (("run", 0), ("window", 1)):
        value = table.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST:
            yield f"{name} must be a whole number, {least} to {_MOST}"
    share = table.get("share", SHARE)
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
        yield "share must be a number above 0 and at most 1"
