"""The catalogue: every version of every schema, by subject and by its 4-byte id.

Reads ``schemas/<subject>/v<number>.avsc`` and ``schemas/ids.json``. A published file must never be edited: ``ids.json``
holds the fingerprint with which it was published, and loading compares the two (I6).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hub.codec.fields import DataClass, FieldKind, FieldSpec, UnsupportedTypeError, fields_of
from hub.model.envelope import NO_DATA
from hub.model.errors import ConfigError

__all__ = [
    "FIRST_ID",
    "IDS_FILE",
    "Catalogue",
    "DataClass",
    "FieldKind",
    "FieldSpec",
    "PublishedId",
    "SchemaVersion",
    "fingerprint",
    "load_catalogue",
    "read_files",
    "read_ids",
    "schemas_folder",
]

IDS_FILE = "ids.json"
FIRST_ID = 1001
_FILE_NAME = re.compile(r"v([1-9][0-9]*)\.avsc")


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One published version of a subject's schema.

    Fields:
        subject: e.g. ``citizen.changed``.
        number: 1, 2, ...
        schema_id: the 4-byte id before every datum written with it.
        schema: the parsed JSON of the Avro schema.
        fields: all fields in order, the envelope first; each has the version that introduced it.
    """

    subject: str
    number: int
    schema_id: int
    schema: Mapping[str, Any]
    fields: tuple[FieldSpec, ...]

    @property
    def data_fields(self) -> tuple[FieldSpec, ...]:
        """The fields after the envelope, without the one that says what became of their values."""
        return tuple(spec for spec in self.fields if spec.name not in NO_DATA)

    def field(self, name: str) -> FieldSpec:
        """Return the field of that name; ``KeyError`` if there is none."""
        for spec in self.fields:
            if spec.name == name:
                return spec
        raise KeyError(name)

    def __hash__(self) -> int:
        return hash((self.subject, self.number, self.schema_id))


class Catalogue:
    """All schema versions. Immutable once built; safe to share between threads."""

    def __init__(self, versions: Iterable[SchemaVersion]) -> None:
        ordered = sorted(versions, key=lambda version: (version.subject, version.number))
        self._by_id = {version.schema_id: version for version in ordered}
        self._by_subject: dict[str, tuple[SchemaVersion, ...]] = {}
        for version in ordered:
            self._by_subject[version.subject] = (*self._by_subject.get(version.subject, ()), version)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject that has a schema, golden records included, sorted."""
        return tuple(self._by_subject)

    def by_id(self, schema_id: int) -> SchemaVersion | None:
        """Return the version with that id, or None if it was never published."""
        return self._by_id.get(schema_id)

    def versions(self, subject: str) -> tuple[SchemaVersion, ...]:
        """Return a subject's versions, oldest first; ``KeyError`` if there is no such subject."""
        return self._by_subject[subject]

    def latest(self, subject: str) -> SchemaVersion:
        """Return the newest version: write with it, and read every older version as it."""
        return self._by_subject[subject][-1]


@cache
def schemas_folder() -> Path:
    """Return the folder of the schemas: inside an installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_schemas"
    return inside if inside.is_dir() else package.parent / "schemas"


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """Return the catalogue of a folder, read once per process.

    Raises:
        ConfigError: listing every file that cannot be read, has no id, or differs from what was published.
    """
    return _load(schemas_folder() if folder is None else folder.resolve())


def reload_catalogue() -> Catalogue:
    """Read the catalogue again: a version may have been published since the process read it."""
    _load.cache_clear()
    return load_catalogue()


@cache
def _load(folder: Path) -> Catalogue:
    problems: list[str] = []
    files = read_files(folder, problems)
    ids = read_ids(folder, problems)
    versions: list[SchemaVersion] = []
    since: dict[str, dict[str, int]] = {}
    for (subject, number), schema in sorted(files.items()):
        entry = ids.get((subject, number))
        if entry is None:
            problems.append(f"{subject} v{number}: has no id; `hub schemas assign` gives it one")
            continue
        if entry.fingerprint != fingerprint(schema):
            problems.append(f"{subject} v{number}: was edited after it was published")
        introduced = since.setdefault(subject, {})
        try:
            for name in (field["name"] for field in schema["fields"]):
                introduced.setdefault(name, number)
            fields = fields_of(schema, introduced)
        except (UnsupportedTypeError, KeyError, TypeError, ValueError) as error:
            problems.append(f"{subject} v{number}: {error}")
            continue
        versions.append(SchemaVersion(subject, number, entry.schema_id, schema, fields))
    if problems:
        raise ConfigError(problems)
    return Catalogue(versions)


def fingerprint(schema: Mapping[str, Any]) -> str:
    """Return the SHA-256, hex, of a schema file's content; changes of layout alone do not change it."""
    text = json.dumps(schema, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PublishedId:
    """What ``ids.json`` holds about a published version."""

    schema_id: int
    fingerprint: str


def read_files(folder: Path, problems: list[str]) -> dict[tuple[str, int], dict[str, Any]]:
    """Return every schema file of a folder by (subject, number); add unreadable ones to ``problems``."""
    files: dict[tuple[str, int], dict[str, Any]] = {}
    for path in sorted(folder.glob("*/*")):
        where = f"{path.parent.name}/{path.name}"
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            problems.append(f"{where}: schema files are named v1.avsc, v2.avsc, ...")
            continue
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problems.append(f"{where}: {error}")
            continue
        if not isinstance(schema, dict) or not isinstance(schema.get("fields"), list):
            problems.append(f"{where}: is not an Avro record")
            continue
        files[path.parent.name, int(match.group(1))] = schema
    if not files:
        problems.append(f"no schemas found in {folder}")
    return files


def read_ids(folder: Path, problems: list[str]) -> dict[tuple[str, int], PublishedId]:
    """Return the published ids of a folder by (subject, number); add unreadable ones to ``problems``."""
    try:
        document = json.loads((folder / IDS_FILE).read_text(encoding="utf-8"))
        return {
            (subject, int(number)): PublishedId(int(entry["id"]), str(entry["fingerprint"]))
            for subject, entries in document.items()
            for number, entry in entries.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problems.append(f"{IDS_FILE}: {error}")
        return {}
