"""Publish new schema files: give each an id and store its fingerprint, so that a later edit is noticed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.codec.catalogue import FIRST_ID, IDS_FILE, PublishedId, fingerprint, read_files, read_ids
from hub.model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Assignment:
    """The id that a schema file without one would get."""

    subject: str
    number: int
    schema_id: int
    fingerprint: str


def plan_assignments(folder: Path) -> tuple[Assignment, ...]:
    """Return an assignment for every schema file of the folder that has no id, in (subject, number) order.

    Raises:
        ConfigError: listing every file that cannot be read.
    """
    problems: list[str] = []
    files = read_files(folder, problems)
    ids = read_ids(folder, problems) if (folder / IDS_FILE).exists() else {}
    if problems:
        raise ConfigError(problems)
    new = sorted(set(files) - set(ids))
    first = max((entry.schema_id for entry in ids.values()), default=FIRST_ID - 1) + 1
    return tuple(
        Assignment(subject, number, schema_id, fingerprint(files[subject, number]))
        for schema_id, (subject, number) in enumerate(new, first)
    )


def write_assignments(folder: Path, assignments: Sequence[Assignment]) -> None:
    """Add assignments to ``ids.json``; existing entries do not change."""
    path = folder / IDS_FILE
    ids = read_ids(folder, []) if path.exists() else {}
    ids |= {(new.subject, new.number): PublishedId(new.schema_id, new.fingerprint) for new in assignments}
    document: dict[str, dict[str, dict[str, int | str]]] = {}
    for (subject, number), entry in sorted(ids.items(), key=lambda item: item[1].schema_id):
        document.setdefault(subject, {})[str(number)] = {"id": entry.schema_id, "fingerprint": entry.fingerprint}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
