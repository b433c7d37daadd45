"""The differences between two policies, in rows that an operator can read one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.model.entities import ENTITIES
from hub.model.policies.policy import Policy, Source
from hub.model.policies.ranks import ranks

RANK_IN = "rank in "
VALID_UNTIL = "valid_until"
SUBJECTS = "subjects"
ORDER = "order"
SOURCE = "source"

_FIELDS = ("agency", "role", "unit_scheme", "time_zone", "valid_from", VALID_UNTIL, ORDER)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: the source (empty: the whole policy), what differs, and both values as text, None for none."""

    source: str
    what: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.source or 'policy'}: {self.what}: {self.before or 'none'} -> {self.after or 'none'}"


def policy_changes(before: Policy, after: Policy) -> tuple[Change, ...]:
    """Return the differences, by source in the new policy's order; none if the policies differ only in wording."""
    found: list[Change] = []
    for code in [*after.sources, *(code for code in before.sources if code not in after.sources)]:
        found += _changes_of_source(code, before.sources.get(code), after.sources.get(code))
        found += _changes_of_ranks(code, before, after)
    found += _changes_of_settings(before, after)
    return tuple(found)


def rederived(changes: tuple[Change, ...]) -> dict[str, frozenset[str]]:
    """Return the sources whose claims must be decided again, by aspect: their rank or their cut-over changed."""
    by_aspect: dict[str, set[str]] = {}
    for change in changes:
        if change.what.startswith(RANK_IN):
            by_aspect.setdefault(change.what.removeprefix(RANK_IN), set()).add(change.source)
        elif change.what == VALID_UNTIL:
            for entity in ENTITIES:
                for aspect in entity.aspects:
                    by_aspect.setdefault(f"{entity.name}.{aspect.name}", set()).add(change.source)
    return {aspect: frozenset(sources) for aspect, sources in by_aspect.items()}


def _changes_of_source(code: str, before: Source | None, after: Source | None) -> Iterator[Change]:
    if before is None or after is None:
        yield Change(code, SOURCE, _agency(before), _agency(after))
    for name in _FIELDS:
        old, new = _text(getattr(before, name, None)), _text(getattr(after, name, None))
        if before is not None and after is not None and old != new:
            yield Change(code, name, old, new)
    gone = (before.subjects if before else frozenset()) - (after.subjects if after else frozenset())
    come = (after.subjects if after else frozenset()) - (before.subjects if before else frozenset())
    yield from (Change(code, SUBJECTS, subject, None) for subject in sorted(gone))
    yield from (Change(code, SUBJECTS, None, subject) for subject in sorted(come))


def _changes_of_ranks(code: str, before: Policy, after: Policy) -> Iterator[Change]:
    old, new = ({rank.aspect: rank.rank for rank in ranks(one) if rank.source == code} for one in (before, after))
    for aspect in sorted(old.keys() | new.keys()):
        if old.get(aspect) != new.get(aspect):
            yield Change(code, f"{RANK_IN}{aspect}", _text(old.get(aspect)), _text(new.get(aspect)))


def _changes_of_settings(before: Policy, after: Policy) -> Iterator[Change]:
    if before.parking_deadline_h != after.parking_deadline_h:
        yield Change("", "parking.deadline_hours", _text(before.parking_deadline_h), _text(after.parking_deadline_h))
    for name in ("run", "window", "share"):
        old, new = getattr(before.breaker, name), getattr(after.breaker, name)
        if old != new:
            yield Change("", f"breaker.{name}", _text(old), _text(new))
    for name in sorted(before.quality.keys() | after.quality.keys()):
        old, new = before.quality.get(name), after.quality.get(name)
        if old != new:
            yield Change("", f"quality.{name}", _text(old), _text(new))


def _agency(source: Source | None) -> str | None:
    return None if source is None else f"{source.role.value} of {source.agency}"


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case datetime():
            return value.isoformat()
        case StrEnum():
            return value.value
        case _:
            return str(value)
