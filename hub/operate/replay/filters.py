"""What a replay selects: the operator's filters, and what they mean in one warehouse.

Filters of different kinds are joined by *and*, several of one kind by *or*. Source, province, key and subject make the
replay's *scope*. What the warehouse says within the scope is withdrawn before the selected events are read, so that
afterwards
it says what these events say and nothing else. Time and offsets *narrow*: they leave out events within the scope.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hub.model.entities import SUBJECTS
from hub.model.errors import ConfigError
from hub.model.policies.policy import Policy
from hub.model.units.agencies import prefix_of
from hub.topology import event_topic

_OFFSETS = re.compile(r"(?P<subject>[\w.]+)/(?P<partition>\d+)[@/](?P<first>\d*)-(?P<end>\d*)")


@dataclass(frozen=True, slots=True)
class OffsetFilter:
    """Offsets of one log partition that count: ``first <= offset < end``; None: from the start or to the end."""

    subject: str
    partition: int
    first: int | None
    end: int | None

    @classmethod
    def parse(cls, text: str) -> "OffsetFilter":
        """Read ``citizen.changed/0/100-2000``; either number may be missing.

        Raises:
            ConfigError: it does not have that form, or selects nothing.
        """
        found = _OFFSETS.fullmatch(text.strip())
        if found is None:
            raise ConfigError([f"--offsets {text}: write SUBJECT/PARTITION/FROM-TO, e.g. citizen.changed/0/100-2000"])
        first, end = (int(found[name]) if found[name] else None for name in ("first", "end"))
        if first is not None and end is not None and first >= end:
            raise ConfigError([f"--offsets {text}: selects nothing: the offset after - is the first not read"])
        return cls(found["subject"], int(found["partition"]), first, end)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters as the operator gave them.

    Fields:
        sources: codes of the policy.
        provinces: agency prefixes (``H42``): every source whose agency, by the policy, belongs to that province.
        subjects: e.g. ``citizen.changed``.
        entity, keys: keys (keyed hashes) of things of one entity.
        since, until: ``since <= recorded_at < until``: when the source's connector published the event.
        offsets: log partitions that are not named count whole.
    """

    sources: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    entity: str | None = None
    keys: tuple[UUID, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    offsets: tuple[OffsetFilter, ...] = ()

    def words(self) -> list[str]:
        """Return the filters in words; empty if they select everything."""
        said = [
            ("source", ", ".join(self.sources)),
            ("province", ", ".join(self.provinces)),
            ("subject", ", ".join(self.subjects)),
            ("key", f"{len(self.keys)} of {self.entity}" if self.keys else ""),
            ("since", f"{self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""),
            ("until", f"{self.until:%Y-%m-%d %H:%M:%S} UTC" if self.until else ""),
            ("offsets", ", ".join(map(_offset_words, self.offsets))),
        ]
        return [f"{name} {value}" for name, value in said if value]

    def chosen_subjects(self, policy: Policy) -> tuple[str, ...]:
        """Return the subjects that are read.

        These are the subjects that are named (also by offsets), those of the entity if keys are given, and those that
        the sources may speak of if sources are given.
        """
        named = set(self.subjects) | {one.subject for one in self.offsets if not self.subjects}
        codes = self.chosen_sources(policy)
        spoken_of = set(SUBJECTS) if codes is None else {one for code in codes for one in policy.sources[code].subjects}
        return tuple(
            subject
            for subject, (entity, _) in SUBJECTS.items()
            if (not named or subject in named) and self.entity in (None, entity.name) and subject in spoken_of
        )

    def chosen_sources(self, policy: Policy) -> tuple[str, ...] | None:
        """Return the codes of the sources that are read; None: all."""
        if not self.sources and not self.provinces:
            return None
        return tuple(
            code
            for code, one in policy.sources.items()
            if (not self.sources or code in self.sources)
            and (not self.provinces or prefix_of(one.agency) in self.provinces)
        )

    def problems(self, policy: Policy) -> list[str]:
        """Return in words what is wrong with the filters."""
        agencies = {prefix_of(one.agency) for one in policy.sources.values()}
        found = [
            f"--source {code}: the policy has no such source" for code in self.sources if code not in policy.sources
        ]
        found += [f"--province {one}: no source of the policy has an agency {one}" for one in _not_in(self, agencies)]
        named = [*self.subjects, *(one.subject for one in self.offsets)]
        found += [f"{subject}: no such subject" for subject in sorted({*named} - set(SUBJECTS))]
        if self.subjects:
            strange = {one.subject for one in self.offsets} - set(self.subjects)
            found += [f"--offsets of {subject}, which --subject leaves out" for subject in sorted(strange)]
        if self.since and self.until and self.since >= self.until:
            found.append("--since must be before --until")
        if not found and self.chosen_sources(policy) == ():
            found.append("--source and --province together select no source")
        elif not found and not self.chosen_subjects(policy):
            found.append("the filters together select no subject: no source among them may speak of what is named")
        return found


def _not_in(filters: Filters, agencies: Iterable[str | None]) -> list[str]:
    return [one for one in filters.provinces if one not in set(agencies)]


def _offset_words(one: OffsetFilter) -> str:
    first, end = ("" if number is None else number for number in (one.first, one.end))
    return f"{one.subject}/{one.partition}/{first}-{end}"


@dataclass(frozen=True, slots=True)
class PlannedRange:
    """What is read of one log partition, and what of it counts.

    Fields:
        first, end: where reading begins, and the fixed end; the replay reads events from ``end`` on when it catches up.
        until: offsets from here to ``end`` are left out.
        begin: the first offset that the warehouse ever read.
    """

    log: int
    topic: str
    partition: int
    first: int
    end: int
    until: int
    begin: int


@dataclass(frozen=True, slots=True)
class Selection:
    """What the filters mean in one warehouse; ``None`` means all.

    Fields:
        subjects: of the scope.
        sources: numbers, by code.
        keys: of things of one entity.
        ranges: one for each log partition of the subjects.
    """

    subjects: tuple[str, ...]
    sources: Mapping[str, int] | None
    keys: tuple[UUID, ...] | None
    since: datetime | None
    until: datetime | None
    ranges: tuple[PlannedRange, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the scope is everything that the warehouse holds: then the shadow begins empty."""
        return self.sources is None and self.keys is None and set(self.subjects) == set(SUBJECTS)

    @property
    def is_narrowed(self) -> bool:
        """Whether events within the scope are left out."""
        return (
            self.since is not None
            or self.until is not None
            or any(one.until < one.end or one.first > one.begin for one in self.ranges)
        )

    @property
    def reads(self) -> int:
        """Return how many offsets are read."""
        return sum(one.end - one.first for one in self.ranges)

    def as_json(self) -> dict[str, Any]:
        """Return the selection as JSON values."""
        return {
            "subjects": list(self.subjects),
            "sources": None if self.sources is None else dict(self.sources),
            "keys": None if self.keys is None else [str(key) for key in self.keys],
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "ranges": [asdict(one) for one in self.ranges],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Selection":
        """Return the selection from which ``as_json`` made a document."""
        return cls(
            tuple(document["subjects"]),
            document["sources"],
            None if document["keys"] is None else tuple(map(UUID, document["keys"])),
            datetime.fromisoformat(document["since"]) if document["since"] else None,
            datetime.fromisoformat(document["until"]) if document["until"] else None,
            tuple(PlannedRange(**one) for one in document["ranges"]),
        )


@dataclass(frozen=True, slots=True)
class LogPlace:
    """How far the live warehouse has read a log partition."""

    log: int
    topic: str
    partition: int
    first: int
    next_offset: int


def ranges_of(filters: Filters, policy: Policy, places: Iterable[LogPlace]) -> tuple[PlannedRange, ...]:
    """Return what is read of each log partition; the end is fixed where the live warehouse is now."""
    topics = {event_topic(subject) for subject in filters.chosen_subjects(policy)}
    narrowed = {(event_topic(one.subject), one.partition): one for one in filters.offsets}
    ranges = []
    for place in sorted(places, key=lambda place: (place.topic, place.partition)):
        if place.topic not in topics:
            continue
        one = narrowed.get((place.topic, place.partition))
        first = max(place.first, one.first or 0) if one else place.first
        until = min(place.next_offset, one.end) if one and one.end is not None else place.next_offset
        first = min(first, place.next_offset)
        ranges.append(
            PlannedRange(place.log, place.topic, place.partition, first, place.next_offset, until, place.first)
        )
    return tuple(ranges)
