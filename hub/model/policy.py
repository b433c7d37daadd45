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
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
    problems: list[str] = []
    sources: dict[str, Source] = {}
    for number, entry in enumerate(document.get("source", []), 1):
        where = f"{name}: source {entry.get('code', f'number {number}')}"
        source = _source(entry, where, problems)
        if source is None:
            continue
        if source.code in sources:
            problems.append(f"{where}: declared twice")
        sources[source.code] = source
    if problems:
        raise ConfigError(problems)
    return Policy(sources=sources, digest=hashlib.sha256(raw).hexdigest())


def _source(entry: Mapping[str, Any], where: str, problems: list[str]) -> Source | None:
    before = len(problems)
    problems += [f"{where}: unknown field {name!r}" for name in sorted(set(entry) - _KNOWN)]
    problems += [f"{where}: {name} is missing" for name in ("code", "agency", "role", "subjects") if name not in entry]
    subjects = entry.get("subjects", [])
    known = set(SUBJECTS) | set(KEYS_OF_OTHER_SUBJECTS)
    problems += [f"{where}: unknown subject {subject!r}" for subject in subjects if subject not in known]
    if "role" in entry and entry["role"] not in set(Role):
        problems.append(f"{where}: role {entry['role']!r} is none of {', '.join(Role)}")
    scheme = entry.get("unit_scheme", UnitScheme.GSO_2025)
    if scheme not in set(UnitScheme):
        problems.append(f"{where}: unit_scheme {scheme!r} is none of {', '.join(UnitScheme)}")
    times = {name: entry.get(name) for name in ("valid_from", "valid_until")}
    for name, value in times.items():
        if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
            problems.append(f"{where}: {name} must be a time with its offset, e.g. 2025-07-01T00:00:00+07:00")
    if len(problems) > before:
        return None
    return Source(
        code=entry["code"],
        agency=entry["agency"],
        role=Role(entry["role"]),
        subjects=frozenset(subjects),
        unit_scheme=UnitScheme(scheme),
        time_zone=entry.get("time_zone", "Asia/Ho_Chi_Minh"),
        valid_from=times["valid_from"].astimezone(UTC) if times["valid_from"] else None,
        valid_until=times["valid_until"].astimezone(UTC) if times["valid_until"] else None,
    )
