"""Sources as policy: who may speak of what, with which authority, and from when until when.

One TOML file (``HUB_POLICY``, docs/policy.md) declares each source system::

    [[source]]
    code = "hanam.motcua"            # = source_system in the envelope
    agency = "H25"                   # agency code, Decision 20/2020/QD-TTg
    role = "province"                # decides its authority (hub.model.entities)
    subjects = ["dossier.submitted", "dossier.progressed"]
    unit_scheme = "GSO_2004"
    time_zone = "Asia/Ho_Chi_Minh"
    order = "version"                # or "time": its events are ordered by when they occurred
    valid_from = 2020-01-01T00:00:00+07:00
    valid_until = 2025-07-01T00:00:00+07:00   # the cut-over: events that occurred at or after it are rejected
    [source.authority]               # ranks that differ from the role's; 0 is the highest
    "dossier.progress" = 1

    [parking]
    deadline_hours = 72              # how long an event waits for what it refers to before an officer is asked

    [breaker]                        # storms of poison records (hub.model.policies.breaker_limits)
    run = 100
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.model.declaration import Role
from hub.model.entities import ENTITIES, SUBJECTS
from hub.model.envelope import UnitScheme
from hub.model.errors import ConfigError
from hub.model.policies.breaker_limits import DEFAULT_LIMITS, BreakerLimits, breaker_limits, breaker_problems
from hub.model.policies.quality import quality_problems
from hub.model.texts.near import did_you_mean, unknown_name

LOWEST_RANK = 32_767
PARKING_DEADLINE_H = 72

_TABLES = ("source", "quality", "parking", "breaker")
_REQUIRED = {
    "code": 'code = "hanam.motcua"',
    "agency": 'agency = "H25"',
    "role": 'role = "province"',
    "subjects": 'subjects = ["dossier.submitted"]',
}
"""Fields that every source must have, with an example each."""
FIELDS = tuple(sorted((*_REQUIRED, "unit_scheme", "time_zone", "valid_from", "valid_until", "order", "authority")))
"""Fields that a source may have."""
_SUBJECT_OF_ASPECT = {
    f"{entity.name}.{aspect.name}": aspect.subject for entity in ENTITIES for aspect in entity.aspects
}


class EventOrder(StrEnum):
    """What orders a source's events of one key: its version numbers, or the times at which they occurred."""

    VERSION = "version"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Source:
    """A source system as the policy declares it. Times are UTC; ``valid_until`` is exclusive.

    ``authority`` holds ranks by aspect (``citizen.person``) that differ from those of the role.
    """

    code: str
    agency: str
    role: Role
    subjects: frozenset[str]
    unit_scheme: UnitScheme = UnitScheme.GSO_2025
    time_zone: str = "Asia/Ho_Chi_Minh"
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    order: EventOrder = EventOrder.VERSION
    authority: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """All sources, and the digest (SHA-256, hex) and text of the file from which they were read.

    Fields:
        quality: the table ``[quality]`` as in the file; hub.model.policies.quality reads it.
        parking_deadline_h: how many hours a parked event waits before an officer is asked.
        breaker: when a partition stops because of too many poison records.
    """

    sources: Mapping[str, Source]
    digest: str
    document: str = field(default="", repr=False)
    quality: Mapping[str, Any] = field(default_factory=dict, hash=False)
    parking_deadline_h: int = PARKING_DEADLINE_H
    breaker: BreakerLimits = DEFAULT_LIMITS


def load_policy(path: Path) -> Policy:
    """Read the policy file.

    Raises:
        ConfigError: with every problem of the file; each names its source.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"policy file {path} cannot be read: {error.strerror}"]) from error
    return parse_policy(raw, str(path))


def parse_policy(raw: bytes, name: str = "policy") -> Policy:
    """Parse a policy from the bytes of its TOML; see ``load_policy``."""
    try:
        text = raw.decode()
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}: not valid TOML: {error}"]) from error
    problems = [f"{name}: {unknown_name('field', key, _TABLES)}" for key in sorted(set(document) - set(_TABLES))]
    problems += [f"{name}: {problem}" for problem in _problems_of_tables(document)]
    entries = document.get("source", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError([*problems, f"{name}: declares no source; each begins with [[source]]"])
    sources = _sources(entries, name, problems)
    if problems:
        raise ConfigError(problems)
    return Policy(
        sources=sources,
        digest=hashlib.sha256(raw).hexdigest(),
        document=text,
        quality=document.get("quality", {}),
        parking_deadline_h=document.get("parking", {}).get("deadline_hours", PARKING_DEADLINE_H),
        breaker=breaker_limits(document.get("breaker", {})),
    )


def _sources(entries: list[dict[str, Any]], name: str, problems: list[str]) -> dict[str, Source]:
    """Return the valid sources, by code; add the problems of the others to ``problems``."""
    sources: dict[str, Source] = {}
    codes: set[object] = set()
    for number, entry in enumerate(entries, 1):
        where = f"{name}: source {entry.get('code', f'number {number}')}"
        if entry.get("code") in codes:
            problems.append(f"{where}: declared twice")
        found = list(_problems(entry))
        problems += [f"{where}: {problem}" for problem in found]
        if isinstance(entry.get("code"), str):
            codes.add(entry["code"])
        if not found:
            sources[entry["code"]] = _source(entry)
    return sources


def _problems_of_tables(document: Mapping[str, Any]) -> Iterator[str]:
    quality = document.get("quality", {})
    if not isinstance(quality, dict):
        yield "quality must be a table: [quality]"
    else:
        yield from (f"quality: {problem}" for problem in quality_problems(quality))
    limits = document.get("breaker", {})
    if not isinstance(limits, dict):
        yield "breaker must be a table: [breaker]"
    else:
        yield from (f"breaker: {problem}" for problem in breaker_problems(limits))
    parking = document.get("parking", {})
    if not isinstance(parking, dict):
        yield "parking must be a table: [parking]"
        return
    others = sorted(set(parking) - {"deadline_hours"})
    yield from (f"parking: {unknown_name('field', key, ['deadline_hours'])}" for key in others)
    hours = parking.get("deadline_hours", PARKING_DEADLINE_H)
    if not _is_whole(hours) or not 1 <= hours <= 8760:
        yield "parking: deadline_hours must be a whole number of hours, 1 to 8760"


def _problems(entry: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(set(entry) - set(FIELDS)):
        yield unknown_name("field", name, FIELDS)
    for name, example in _REQUIRED.items():
        if name not in entry:
            yield f"{name} is missing: e.g. {example}"
    for name in ("code", "agency", "time_zone"):
        if not (isinstance(entry.get(name, "-"), str) and entry.get(name, "-").strip()):
            yield f"{name} must be a text"
    yield from _problems_of_subjects(entry.get("subjects", []))
    for name, allowed in (("role", Role), ("unit_scheme", UnitScheme), ("order", EventOrder)):
        if name in entry and entry[name] not in list(allowed):
            near = did_you_mean(entry[name], allowed) if isinstance(entry[name], str) else ""
            yield f"{name} {entry[name]!r} is none of {', '.join(allowed)}{near}"
    yield from _problems_of_times(entry)
    yield from _problems_of_ranks(entry)


def _problems_of_subjects(subjects: object) -> Iterator[str]:
    if not isinstance(subjects, list):
        yield "subjects must be a list"
        return
    unknown = [subject for subject in subjects if subject not in list(SUBJECTS)]
    yield from (unknown_name("subject", str(subject), SUBJECTS) for subject in unknown)


def _problems_of_times(entry: Mapping[str, Any]) -> Iterator[str]:
    zone = entry.get("time_zone")
    if isinstance(zone, str) and not _is_time_zone(zone):
        yield f"time_zone {zone!r} is unknown"
    times = {name: entry[name] for name in ("valid_from", "valid_until") if name in entry}
    wrong = [name for name, value in times.items() if not isinstance(value, datetime) or value.tzinfo is None]
    yield from (f"{name} must be a time with its offset, e.g. 2025-07-01T00:00:00+07:00" for name in wrong)
    if len(times) == 2 and not wrong and times["valid_from"] >= times["valid_until"]:
        yield "valid_from must be before valid_until"


def _problems_of_ranks(entry: Mapping[str, Any]) -> Iterator[str]:
    given = entry.get("authority", {})
    if not isinstance(given, dict):
        yield "authority must be a table: [source.authority]"
        return
    subjects = entry.get("subjects", [])
    for aspect, rank in _ranks(given).items():
        if aspect not in _SUBJECT_OF_ASPECT:
            yield f"authority: {unknown_name('aspect', aspect, _SUBJECT_OF_ASPECT)}"
        elif isinstance(subjects, list) and _SUBJECT_OF_ASPECT[aspect] not in subjects:
            yield f"authority: {aspect} is of {_SUBJECT_OF_ASPECT[aspect]}, which is none of the source's subjects"
        if not _is_whole(rank) or not 0 <= rank <= LOWEST_RANK:
            yield f"authority: the rank of {aspect} must be a whole number, 0 to {LOWEST_RANK}"


def _ranks(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ranks by aspect; in TOML ``citizen.person = 0`` without quotation marks is a table in a table."""
    ranks: dict[str, Any] = {}
    for name, value in given.items():
        ranks |= (
            {f"{name}.{aspect}": rank for aspect, rank in value.items()} if isinstance(value, dict) else {name: value}
        )
    return ranks


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _source(entry: Mapping[str, Any]) -> Source:
    return Source(
        code=entry["code"],
        agency=entry["agency"],
        role=Role(entry["role"]),
        subjects=frozenset(entry["subjects"]),
        unit_scheme=UnitScheme(entry.get("unit_scheme", UnitScheme.GSO_2025)),
        time_zone=entry.get("time_zone", "Asia/Ho_Chi_Minh"),
        valid_from=_utc(entry.get("valid_from")),
        valid_until=_utc(entry.get("valid_until")),
        order=EventOrder(entry.get("order", EventOrder.VERSION)),
        authority=_ranks(entry.get("authority", {})),
    )


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
