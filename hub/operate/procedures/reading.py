"""Read a file of procedures: a CSV, or the answer of the national portal's service; its first character decides."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from hub.codec.catalogue import load_catalogue
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.errors import ConfigError
from hub.model.values.kinds import broken_rule
from hub.operate.procedures.portal_answer import LeftEmpty, read_answer

SUBJECT = "procedure.changed"
KEY = "procedure_code"
MOST_PROBLEMS = 20
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")
_IN_CSV = (FieldKind.STRING, FieldKind.ENUM, FieldKind.BOOLEAN, FieldKind.DATE)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """What is in a file.

    Fields:
        rows: one per procedure, each with every data field of the schema; None if the file has no value.
        left_empty: what the file says and the hub has no field for, by field and reason.
    """

    rows: tuple[Row, ...] = field(repr=False)
    left_empty: tuple[LeftEmpty, ...] = ()


def field_specs() -> dict[str, FieldSpec]:
    """Return the data fields of a procedure."""
    return {spec.name: spec for spec in load_catalogue().latest(SUBJECT).data_fields}


def read_file(path: Path) -> CatalogueFile:
    """Read a catalogue: JSON if the file begins with ``{`` or ``[``, else CSV in UTF-8 with a line of names.

    Raises:
        ConfigError: with every problem, by line of a CSV, by procedure of an answer.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{path} cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path} is not in UTF-8: {error}"]) from None
    problems = list[str]()
    rows: Sequence[Row]
    left_empty: tuple[LeftEmpty, ...] = ()
    if text.lstrip().startswith(("{", "[")):
        rows, left_empty = read_answer(path, text, field_specs(), problems)
        place = "place"
    else:
        rows, place = _read_csv(path, text, problems), "line"
    problems += [f"{path}: procedure {code} is in more than one {place}" for code in _twice(rows)]
    if not rows and not problems:
        problems.append(f"{path}: it contains no procedure")
    if problems:
        more = [f"and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else []
        raise ConfigError([*problems[:MOST_PROBLEMS], *more])
    return CatalogueFile(tuple(rows), left_empty)


def _twice(rows: Iterable[Row]) -> list[str]:
    seen, twice = set[str](), set[str]()
    for row in rows:
        code = row.get(KEY)
        if code is not None:
            (twice if code in seen else seen).add(str(code))
    return sorted(twice)


def _read_csv(path: Path, text: str, problems: list[str]) -> list[Row]:
    every = field_specs()
    specs = {name: spec for name, spec in every.items() if spec.kind in _IN_CSV}
    try:
        reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
        names = list(reader.fieldnames or ())
        problems += [f"{path}: unknown column {name!r}" for name in names if name not in specs]
        missing = [name for name, spec in specs.items() if not spec.nullable and name not in names]
        problems += [f"{path}: column {name} is missing" for name in missing]
        if problems:
            return []
        nothing = dict.fromkeys(every)
        return [nothing | _row(f"{path}, line {reader.line_num}", row, specs, problems) for row in reader]
    except csv.Error as error:
        problems.append(f"{path} is not a CSV file: {error}")
        return []


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
    """Return a field's value, None if there is none; raises ``ValueError`` that says what is wrong."""
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
            raise ValueError("is not a date like 2025-07-01") from None
    if spec.kind is FieldKind.BOOLEAN:
        if text.lower() not in (*_YES, *_NO):
            raise ValueError("is neither true nor false")
        value = text.lower() in _YES
    if spec.max_length is not None and len(text) > spec.max_length:
        raise ValueError(f"has more than {spec.max_length} characters")
    if problem := broken_rule(spec.value_kind)(value):
        raise ValueError(problem.text)
    return value
