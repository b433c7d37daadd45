"""Sources as policy: who may speak of what, with which authority, and from when until when.

One TOML file (``HUB_POLICY``) declares each source system::

    [[source]]
    code = "hanam.motcua"            # = source_system in the envelope
    agency = "H25"                   # agency code, Decision 20/2020/QD-TTg
    role = "province"                # decides its authority (hub.model.entities)
    subjects = ["dossier.submitted", "dossier.progressed"]
    unit_scheme = "GSO_2004"
    time_zone = "Asia/Ho_Chi_Minh"
    valid_from = 2020-01-01T00:00:00+07:00
    valid_until = 2025-07-01T00:00:00+07:00   # the cut-over: events that occurred at or after it are rejected
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.model.entities import KEYS_OF_OTHER_SUBJECTS, SUBJECTS, Role
from hub.model.envelope import UnitScheme
from hub.model.errors import ConfigError

_KNOWN = {"code", "agency", "role", "subjects", "unit_scheme", "time_zone", "valid_from", "valid_until"}


@dataclass(frozen=True, slots=True)
class Source:
    """A source system as the policy declares it. Times are UTC; ``valid_until`` is exclusive."""

    code: str
    agency: str
    role: Role
    subjects: frozenset[str]
    unit_scheme: UnitScheme = UnitScheme.GSO_2025
    time_zone: str = "Asia/Ho_Chi_Minh"
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """All sources, and the digest (SHA-256, hex) of the file they were read from."""

    sources: Mapping[str, Source]
    digest: str


def load_policy(path: Path) -> Policy:
    """Read the policy file.

    Raises:
        ConfigError: with every problem of the file, each naming the source it is about.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"policy file {path} cannot be read: {error.strerror}"]) from error
    return parse_policy(raw, str(path))


def parse_policy(raw: bytes, name: str = "policy") -> Policy:
    """Parse a policy from the bytes of its TOML; see ``load_policy``."""
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}: not valid TOML: {error}"]) from error
    problems = [f"{name}: unknown field {field!r}" for field in sorted(set(document) - {"source"})]
    entries = document.get("source", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError([*problems, f"{name}: declares no source; each begins with [[source]]"])
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
    if problems:
        raise ConfigError(problems)
    return Policy(sources=sources, digest=hashlib.sha256(raw).hexdigest())


def _problems(entry: Mapping[str, Any]) -> Iterator[str]:
    for field in sorted(set(entry) - _KNOWN):
        yield f"unknown field {field!r}"
    for field in ("code", "agency", "role", "subjects"):
        if field not in entry:
            yield f"{field} is missing"
    for field in ("code", "agency", "time_zone"):
        if not (isinstance(entry.get(field, "-"), str) and entry.get(field, "-").strip()):
            yield f"{field} must be a text"
    yield from _problems_of_subjects(entry.get("subjects", []))
    for field, allowed in (("role", Role), ("unit_scheme", UnitScheme)):
        if field in entry and entry[field] not in list(allowed):
            yield f"{field} {entry[field]!r} is none of {', '.join(allowed)}"
    yield from _problems_of_times(entry)


def _problems_of_subjects(subjects: object) -> Iterator[str]:
    if not isinstance(subjects, list):
        yield "subjects must be a list"
        return
    known = {*SUBJECTS, *KEYS_OF_OTHER_SUBJECTS}
    yield from (f"unknown subject {subject!r}" for subject in subjects if subject not in list(known))


def _problems_of_times(entry: Mapping[str, Any]) -> Iterator[str]:
    zone = entry.get("time_zone")
    if isinstance(zone, str) and not _is_time_zone(zone):
        yield f"time_zone {zone!r} is unknown"
    times = {name: entry[name] for name in ("valid_from", "valid_until") if name in entry}
    wrong = [name for name, value in times.items() if not isinstance(value, datetime) or value.tzinfo is None]
    yield from (f"{name} must be a time with its offset, e.g. 2025-07-01T00:00:00+07:00" for name in wrong)
    if len(times) == 2 and not wrong and times["valid_from"] >= times["valid_until"]:
        yield "valid_from must be before valid_until"


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
    )


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
