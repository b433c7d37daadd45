"""One comparison of a source's streams with the warehouse, and its repair: what the command and the schedule share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from connectors.streams.comparing import ComparedStreams, cannot_compare, compared_subjects
from connectors.streams.context import Context
from hub.embedded.locate import Endpoints
from hub.model.errors import ConfigError
from hub.operate.actions import By
from hub.operate.compare.conclusion import conclusion
from hub.operate.compare.found import Compared
from hub.operate.compare.opening import Ways, open_comparison
from hub.operate.compare.repair import Publisher, Repaired, Repairing, RepairPlan, plan_repair
from hub.operate.compare.report import keep_alerts


@dataclass(frozen=True, slots=True)
class Repair:
    """How to repair.

    Fields:
        allow_gone: how many keys of a subject may be withdrawn; None: few.
        by: who does it and why; None: only plan.
        publisher: publishes to the log; needed with ``by``.
        partly: repair what may be repaired even if something may not; else nothing is repaired.
    """

    allow_gone: int | None = None
    by: By | None = None
    publisher: Publisher | None = None
    partly: bool = False


@dataclass(slots=True)
class SourceCompared:
    """The results of a source's comparison, subject by subject."""

    source: str
    found: list[Compared] = field(default_factory=list)
    not_compared: dict[str, str] = field(default_factory=dict)
    plans: dict[str, RepairPlan] = field(default_factory=dict)
    repaired: dict[str, Repaired] = field(default_factory=dict)
    alerts_kept: bool = False

    @property
    def mended(self) -> list[str]:
        """Return the subjects for which a repair left no difference."""
        return [
            subject
            for subject, done in self.repaired.items()
            if not done.left and not self.plans[subject].refusal and not self.plans[subject].unable
        ]

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs, or no longer differs after a repair."""
        return all(one.is_equal or one.subject in self.mended for one in self.found)

    @property
    def conclusion(self) -> str:
        """Say in one line whether the sides are equal, and what is still open."""
        return conclusion(self.found, self.is_equal)

    @property
    def by_difference(self) -> list[Compared]:
        """Return the results with the subjects that differ first."""
        return sorted(self.found, key=lambda one: one.is_equal)

    def as_json(self, most_keys: int) -> dict[str, Any]:
        """Return the results as commands print them."""
        subjects = []
        for one in self.found:
            plan, done = self.plans.get(one.subject), self.repaired.get(one.subject)
            told = one.as_json(most_keys)
            told |= {"repair": plan.as_json()} if plan else {}
            subjects.append(
                told | ({"repaired": done.as_json() | {"keys": still_keys(done, most_keys)}} if done else {})
            )
        return {
            "source": self.source,
            "equal": self.is_equal,
            "conclusion": self.conclusion,
            "subjects": subjects,
            "not_compared": self.not_compared,
            "alerts_kept": self.alerts_kept,
        }


def still_keys(done: Repaired, most_keys: int) -> list[dict[str, str]]:
    """Return the first keys that differ after a repair, by their keyed hash."""
    return [
        {"kind": row["kind"], "key": str(UUID(bytes=row["key"])), "part": row["part"]}
        for row in done.still.head(most_keys).iter_rows(named=True)
    ]


def subjects_of(context: Context, stream: str | None) -> tuple[list[str], dict[str, str]]:
    """Return the subjects to compare, and those that cannot be compared, with the reason.

    Raises:
        ConfigError: there is no stream with that name, or nothing can be compared.
    """
    streams = context.declaration.streams
    if stream is not None:
        named = [one for one in streams if one.name == stream]
        if not named:
            raise ConfigError([f"there is no stream {stream!r}; there are {', '.join(one.name for one in streams)}"])
        streams = tuple(one for one in streams if one.subject == named[0].subject)
    wanted = compared_subjects(streams)
    others = dict.fromkeys(one.subject for one in streams if one.subject not in wanted)
    left = {subject: cannot_compare([one for one in streams if one.subject == subject]) for subject in others}
    if not wanted:
        raise ConfigError([*left.values()])
    return wanted, left


def compare_source(
    context: Context,
    engine: Engine,
    where: Endpoints,
    ways: Ways,
    subjects: Sequence[str],
    repair: Repair | None = None,
) -> SourceCompared:
    """Compare some subjects of a source, repair them if asked to, and keep the alerts.

    Raises:
        ConfigError: something may not be repaired (raised before anything is sent), or the declaration does not fit.
        RetryableError: the source, the broker or the warehouse is unreachable.
    """
    done = SourceCompared(context.declaration.code)
    comparisons = {
        subject: open_comparison(engine, where, ComparedStreams(context, subject), ways) for subject in subjects
    }
    for subject, comparing in comparisons.items():
        found = comparing.compare()
        done.found.append(found)
        if repair is not None:
            by_time = comparing.judge.is_ordered_by_time(done.source)
            done.plans[subject] = plan_repair(found, by_time, repair.allow_gone)
    if repair is not None and repair.by is not None and repair.publisher is not None:
        refused = [f"{plan.subject}: {plan.refusal}" for plan in done.plans.values() if plan.refusal]
        if refused and not repair.partly:
            raise ConfigError(refused)
        for subject, plan in done.plans.items():
            allowed = plan.without_revoking() if plan.refusal else plan
            if not allowed.is_empty:
                repairing = Repairing(comparisons[subject], repair.publisher, repair.by)
                done.repaired[subject] = repairing.repair(allowed)
    done.alerts_kept = keep_alerts(engine, done.source, done.found, done.mended)
    return done
