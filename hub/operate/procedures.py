"""Publish a catalogue of procedures from a file, for a hub that has no portal yet: as ``procedure.changed`` events.

What the source has said already and the file says again is left alone; a procedure that it says otherwise gets the next
version of its claim. Versions are small, so that a portal that publishes the catalogue later can go on above them.
"""

import csv
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from hub.codec.catalogue import load_catalogue
from hub.codec.fields import FieldKind, FieldSpec
from hub.embedded.locate import Endpoints
from hub.model.envelope import Operation
from hub.model.errors import ConfigError
from hub.model.policy import Policy, Source
from hub.model.rules import broken_rule
from hub.operate.publish import publish
from hub.warehouse.database import translated_errors
from hub.warehouse.entity_tables import aspect_tables
from hub.warehouse.tables import source as sources

SUBJECT = "procedure.changed"
KEY = "procedure_code"
MOST_PROBLEMS = 20
_EVENT_IDS = uuid.uuid5(uuid.NAMESPACE_URL, f"hub:{SUBJECT}:file")
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")
_KINDS = (FieldKind.STRING, FieldKind.ENUM, FieldKind.BOOLEAN, FieldKind.DATE)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CataloguePlan:
    """What publishing a file would do. ``events``: what would be sent, of the new and the changed procedures."""

    source: str
    rows: int
    new: int
    changed: int
    same: int
    events: Sequence[Row] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        told = asdict(self)
        del told["events"]
        return told


def column_specs() -> dict[str, FieldSpec]:
    """Return the columns that a file may have, with the schema's fields that they fill."""
    version = load_catalogue().latest(SUBJECT)
    return {spec.name: spec for spec in version.data_fields if spec.kind in _KINDS}


def read_file(path: Path) -> list[dict[str, Any]]:
    """Read a catalogue from a CSV in UTF-8 whose first line names its columns.

    Raises:
        ConfigError: with every problem, by line.
    """
    specs, problems = column_specs(), list[str]()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = list(reader.fieldnames or ())
            problems += [f"{path}: unknown column {name!r}" for name in names if name not in specs]
            missing = [name for name, spec in specs.items() if not spec.nullable and name not in names]
            problems += [f"{path}: column {name} is missing" for name in missing]
            rows = [] if problems else [_row(f"{path}, line {reader.line_num}", row, specs, problems) for row in reader]
    except OSError as error:
        raise ConfigError([f"{path} cannot be read: {error.strerror}"]) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError([f"{path} is no CSV in UTF-8: {error}"]) from None
    codes = [row.get(KEY) for row in rows]
    twice = sorted({str(code) for code in codes if code is not None and codes.count(code) > 1})
    problems += [f"{path}: procedure {code} stands in more than one line" for code in twice]
    if not rows and not problems:
        problems.append(f"{path}: no procedure is in it")
    if problems:
        more = [f"and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else []
        raise ConfigError([*problems[:MOST_PROBLEMS], *more])
    return rows


def _row(
    where: str, given: Mapping[str | None, Any], specs: Mapping[str, FieldSpec], problems: list[str]
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if None in given:
        problems.append(f"{where}: has more values than there are columns")
    for name, spec in specs.items():
        text = (given.get(name) or "").strip()
        try:
            row[name] = _value(spec, text)
        except ValueError as error:
            problems.append(f"{where}: {name}: {error}")
    return row


def _value(spec: FieldSpec, text: str) -> Any:
    """Return a field's value, None for none; raises ``ValueError`` with what is wrong."""
    if not text:
        if not spec.nullable:
            raise ValueError("has no value")
        return None
    value: Any = text
    if spec.kind is FieldKind.ENUM and text not in spec.symbols:
        raise ValueError(f"is none of {', '.join(spec.symbols)}")
    if spec.kind is FieldKind.DATE:
        try:
            value = date.fromisoformat(text)
        except ValueError:
            raise ValueError("is no date like 2025-07-01") from None
    if spec.kind is FieldKind.BOOLEAN:
        if text.lower() not in (*_YES, *_NO):
            raise ValueError("is neither true nor false")
        value = text.lower() in _YES
    if spec.max_length is not None and len(text) > spec.max_length:
        raise ValueError(f"has more than {spec.max_length} characters")
    if problem := broken_rule(spec.name)(value):
        raise ValueError(problem)
    return value


def source_that_may(policy: Policy, code: str | None, now: datetime) -> Source:
    """Return the source of the policy that publishes the catalogue.

    Raises:
        ConfigError: no source of it may, or several may and none is named.
    """
    allowed = {one.code: one for one in policy.sources.values() if SUBJECT in one.subjects}
    if code is None and len(allowed) == 1:
        (code,) = allowed
    if code is None:
        names = ", ".join(sorted(allowed)) or "none"
        raise ConfigError([f"--source: name the source that publishes the catalogue; the policy lets speak: {names}"])
    found = policy.sources.get(code)
    if found is None:
        raise ConfigError([f"--source {code}: the policy does not know this source"])
    if code not in allowed:
        raise ConfigError([f"--source {code}: the policy does not let it speak of {SUBJECT}"])
    if (found.valid_from and now < found.valid_from) or (found.valid_until and now >= found.valid_until):
        raise ConfigError([f"--source {code}: by the policy it may not speak now: valid_from, valid_until"])
    return found


def plan_catalogue(engine: Engine, source: Source, rows: Sequence[Row], at: datetime) -> CataloguePlan:
    """Compare a file with what the source has said by the warehouse.

    Args:
        engine: of the warehouse.
        source: who says it.
        rows: as ``read_file`` gives them.
        at: when the file was written; becomes ``occurred_at``.
    """
    stood = _claims(engine, source.code)
    events, new, changed = list[Row](), 0, 0
    for row in rows:
        before = stood.get(row[KEY])
        if before is None:
            new += 1
        elif any(before[name] != value for name, value in row.items()) or before["revoked"]:
            changed += 1
        else:
            continue
        epoch, version = (before["source_epoch"], before["source_version"] + 1) if before else (1, 1)
        events.append(_event(source, row, at, epoch, version))
    return CataloguePlan(source.code, len(rows), new, changed, len(rows) - new - changed, events)


def publish_catalogue(where: Endpoints, plan: CataloguePlan) -> int:
    """Publish the new and the changed procedures; blocks until the broker has confirmed all.

    Raises:
        UnreachableError: the broker does not answer.
    """
    return publish(where, SUBJECT, plan.events) if plan.events else 0


def _claims(engine: Engine, source: str) -> dict[str, Row]:
    claim = aspect_tables(SUBJECT).claim
    wanted = select(claim).join(sources, sources.c.id == claim.c.source).where(sources.c.code == source)
    with translated_errors("reading the catalogue of procedures"), engine.connect() as connection:
        return {row[KEY]: dict(row) for row in connection.execute(wanted).mappings()}


def _event(source: Source, row: Row, at: datetime, epoch: int, version: int) -> Row:
    content = hashlib.sha256(json.dumps(row, default=str, sort_keys=True).encode()).hexdigest()
    return {
        "event_id": uuid.uuid5(_EVENT_IDS, f"{source.code}|{row[KEY]}|{epoch}|{version}|{content}"),
        "occurred_at": at,
        "recorded_at": datetime.now(UTC),
        "source_system": source.code,
        "source_agency": source.agency,
        "source_epoch": epoch,
        "source_version": version,
        "operation": Operation.SNAPSHOT.value,
        "unit_scheme": source.unit_scheme.value,
        **row,
    }
