"""Watch for dead letters that nobody handles: an alert is open for their topic as long as they wait.

A letter waits while nothing is decided: from when it was written or, if it was edited or approved, from then on.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, func, or_, select

from hub.model.alerts import LETTERS_WAIT
from hub.operate.dead_letters.letters import UNDONE
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import dead_letter, log_partition
from hub.warehouse.tables.letters import letter

LOOK_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class LetterLimits:
    """How many letters of a topic may wait (``most`` opens the alert), and how long one of them may."""

    most: int
    after_s: float


@dataclass(slots=True)
class LetterWatch:
    """Opens and closes the alert about letters that wait."""

    engine: Engine = field(repr=False)
    limits: LetterLimits

    def look(self) -> None:
        """Open and close alerts.

        Raises:
            RetryableError: PostgreSQL is unreachable.
        """
        with translated_errors("looking for dead letters that wait"), self.engine.begin() as connection:
            waiting = _waiting_by_topic(connection)
            now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            late = {topic: one for topic, one in waiting.items() if one.is_late(self.limits, now)}
            for topic, one in late.items():
                raise_alert(connection, LETTERS_WAIT, topic, one.words())
            clear_alert(connection, LETTERS_WAIT, but=list(late))


@dataclass(slots=True)
class _Waiting:
    """The letters of a topic that wait: how many by reason, and since when the oldest does."""

    reasons: Counter[str] = field(default_factory=Counter)
    since: datetime | None = None

    def is_late(self, limits: LetterLimits, now: datetime) -> bool:
        is_old = self.since is not None and now - self.since > timedelta(seconds=limits.after_s)
        return is_old or self.reasons.total() >= limits.most

    def words(self) -> str:
        by_reason = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common())
        since = f", the oldest since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        return f"dead letters that nobody has handled: {self.reasons.total():,}{since} ({by_reason})"


def _waiting_by_topic(connection: Connection) -> dict[str, _Waiting]:
    found: dict[str, _Waiting] = defaultdict(_Waiting)
    for row in connection.execute(_letters_that_wait()):
        one = found[row.topic]
        one.reasons[row.reason] += int(row.letters)
        one.since = row.since if one.since is None else min(one.since, row.since)
    return dict(found)


def _letters_that_wait() -> Select[Any]:
    """Select (topic, reason, letters, since) of letters about which nothing is decided."""
    same = and_(
        letter.c.topic == log_partition.c.topic,
        letter.c.partition == log_partition.c.partition,
        letter.c.log_offset == dead_letter.c.log_offset,
    )
    since = func.min(func.coalesce(letter.c.changed_at, dead_letter.c.recorded_at))
    return (
        select(log_partition.c.topic, dead_letter.c.reason, func.count().label("letters"), since.label("since"))
        .join_from(dead_letter, log_partition, log_partition.c.id == dead_letter.c.log)
        .join(letter, same, isouter=True)
        .where(or_(letter.c.state.is_(None), letter.c.state.in_([state.value for state in UNDONE])))
        .group_by(log_partition.c.topic, dead_letter.c.reason)
    )
