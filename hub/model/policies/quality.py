"""What the policy says of doubts: its table ``[quality]``.

[quality]
late_after_hours = 72            # an event published longer than this after it happened is LATE
future_tolerance_seconds = 300   # by how much a source's clock may be ahead before it is TIME_IN_FUTURE
ahead_hours = 24                 # an event dated further ahead than this is parked for an officer
invented_pins = false            # true: numbers of invented people pass; for tests and demos only
off = ["PARTIAL_BIRTH_DATE"]     # flags that are not set
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hub.model.errors import ConfigError
from hub.model.flags import Flag
from hub.model.texts.near import unknown_name

LATE_AFTER_HOURS = 72
FUTURE_TOLERANCE_S = 300
AHEAD_HOURS = 24
_NONE = Flag(0)
_KNOWN = {"late_after_hours", "future_tolerance_seconds", "ahead_hours", "invented_pins", "off"}


@dataclass(frozen=True, slots=True)
class QualityRules:
    """Limits of the flags.

    Fields:
        late_after: an event published longer than this after it happened is late.
        future_tolerance: how far a source's clock may be ahead.
        ahead: an event dated further ahead is parked for an officer.
        invented_pins: accept numbers of invented people (prefix 000 or 099, birth years in the future). For tests and
            demos, whose numbers must not be able to belong to a living person.
        off: flags that are not set.
    """

    late_after: timedelta = timedelta(hours=LATE_AFTER_HOURS)
    future_tolerance: timedelta = timedelta(seconds=FUTURE_TOLERANCE_S)
    ahead: timedelta = timedelta(hours=AHEAD_HOURS)
    invented_pins: bool = False
    off: Flag = _NONE


def quality_rules(table: Mapping[str, Any]) -> QualityRules:
    """Read the table ``[quality]`` of a policy; missing fields have their defaults.

    Raises:
        ConfigError: listing every problem of the table.
    """
    problems = list(quality_problems(table))
    if problems:
        raise ConfigError([f"policy: quality: {problem}" for problem in problems])
    off = _NONE
    for name in table.get("off", []):
        off |= Flag[name]
    return QualityRules(
        late_after=timedelta(hours=table.get("late_after_hours", LATE_AFTER_HOURS)),
        future_tolerance=timedelta(seconds=table.get("future_tolerance_seconds", FUTURE_TOLERANCE_S)),
        ahead=timedelta(hours=table.get("ahead_hours", AHEAD_HOURS)),
        invented_pins=table.get("invented_pins", False),
        off=off,
    )


def quality_problems(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a table ``[quality]``."""
    for name in sorted(set(table) - _KNOWN):
        yield unknown_name("field", name, _KNOWN)
    for name in ("late_after_hours", "future_tolerance_seconds", "ahead_hours"):
        value = table.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            yield f"{name} must be a number above 0"
    if not isinstance(table.get("invented_pins", False), bool):
        yield "invented_pins must be true or false"
    off = table.get("off", [])
    if not isinstance(off, list):
        yield "off must be a list of flags"
    else:
        unknown = [name for name in off if name not in list(Flag.__members__)]
        yield from (unknown_name("flag", str(name), Flag.__members__) for name in unknown)
