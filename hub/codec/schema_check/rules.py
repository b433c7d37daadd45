"""The rules for a single schema file: names, labels, envelope, optional fields, keys, money, lists."""

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import avro.errors
import avro.schema
import fastavro

from hub.codec.fields import DataClass, FieldKind, FieldSpec, UnsupportedTypeError, fields_of
from hub.codec.schema_check.problems import Problem, Rule
from hub.codec.schema_check.symbols import problems_of_symbols
from hub.codec.schema_check.value_kinds import problems_of_kinds
from hub.model.entities import SUBJECTS
from hub.model.envelope import ENVELOPE_FIELDS, Operation, UnitScheme
from hub.topology import HEAD_SUBJECT

_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_NAME = 63
"""Maximum length of a PostgreSQL identifier; fields become columns."""
_MONEY = re.compile(r"(^|_)(vnd|amount|fee|money|price)(_|$)")
_ENVELOPE_KINDS: dict[str, tuple[FieldKind, bool]] = {
    "event_id": (FieldKind.UUID, False),
    "occurred_at": (FieldKind.TIMESTAMP, False),
    "recorded_at": (FieldKind.TIMESTAMP, False),
    "source_system": (FieldKind.STRING, False),
    "source_agency": (FieldKind.STRING, False),
    "source_epoch": (FieldKind.INT, False),
    "source_version": (FieldKind.LONG, False),
    "operation": (FieldKind.ENUM, False),
    "correlation_id": (FieldKind.STRING, True),
    "causation_id": (FieldKind.STRING, True),
    "actor": (FieldKind.STRING, True),
    "purpose": (FieldKind.STRING, True),
    "legal_basis": (FieldKind.STRING, True),
    "unit_scheme": (FieldKind.ENUM, False),
}
_ENVELOPE_SYMBOLS = {"operation": tuple(Operation), "unit_scheme": tuple(UnitScheme)}
_ITEM_KINDS = {FieldKind.STRING, FieldKind.INT, FieldKind.LONG, FieldKind.BOOLEAN}
_CLASS_ORDER = tuple(DataClass)


def is_record(subject: str) -> bool:
    """Tell whether a subject is a golden record or a head of evidence: neither has an envelope."""
    return subject.endswith(".record") or subject == HEAD_SUBJECT


def problems_of(subject: str, number: int, schema: Mapping[str, Any]) -> list[Problem]:
    """Return every problem of one schema file."""
    found: list[tuple[Rule, str, str]] = [*_parse_problems(schema), *_name_problems(subject, schema)]
    for path, field in _walk(schema):
        found += _label_problems(path, field)
        found += _optional_problems(path, field)
    found += _enum_problems(schema)
    found += _symbol_problems(schema)
    try:
        fields = fields_of(schema)
    except (UnsupportedTypeError, KeyError, TypeError, ValueError) as error:
        found.append((Rule.PARSE, "", str(error)))
    else:
        found += _money_problems(fields)
        found += _class_problems(fields)
        found += _length_problems(fields)
        found += ((Rule.KIND, path, message) for path, message in problems_of_kinds(fields))
        if not is_record(subject):
            found += _envelope_problems(fields)
            found += _key_problems(subject, fields)
            found += _list_problems(fields)
    return [Problem(subject, number, rule, message, field) for rule, field, message in found]


RuleProblems = Iterator[tuple[Rule, str, str]]
"""Rule, field, message."""


def parse_avro(schema: Mapping[str, Any]) -> avro.schema.Schema:
    """Parse with Apache avro, which warns about logical types that it does not know, such as a uuid in a fixed."""
    return _parse_avro_text(json.dumps(schema))


@lru_cache(maxsize=256)
def _parse_avro_text(text: str) -> avro.schema.Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)
        return avro.schema.parse(text)


def _parse_problems(schema: Mapping[str, Any]) -> RuleProblems:
    try:
        fastavro.parse_schema(dict(schema))
    except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, KeyError, TypeError) as error:
        yield Rule.PARSE, "", f"fastavro: {error!r}"
    try:
        parse_avro(schema)
    except (avro.errors.AvroException, KeyError, TypeError, AttributeError) as error:
        yield Rule.PARSE, "", f"avro: {error}"


def _walk(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every field with its path, including those of nested records."""
    for field in schema["fields"]:
        path = f"{prefix}{field.get('name', '?')}"
        yield path, field
        for avro_type in _types(field):
            if isinstance(avro_type, dict) and avro_type.get("type") == "record":
                yield from _walk(avro_type, f"{path}.")


def _types(field: Mapping[str, Any]) -> Iterator[Any]:
    avro_type = field.get("type")
    branches = avro_type if isinstance(avro_type, list) else [avro_type]
    for branch in branches:
        yield branch
        if isinstance(branch, dict) and branch.get("type") == "array":
            yield branch.get("items")


def _name_problems(subject: str, schema: Mapping[str, Any]) -> RuleProblems:
    full = f"{schema.get('namespace')}.{schema.get('name')}"
    if full != f"hub.{subject}":
        yield Rule.NAME, "", f"is named {full}, not hub.{subject}"
    if not schema.get("doc") or not schema.get("vn_name"):
        yield Rule.LABEL, "", "has no doc or no vn_name"
    for path, field in _walk(schema):
        name = str(field.get("name", ""))
        if not _SNAKE.fullmatch(name) or len(name) > _MAX_NAME:
            yield Rule.NAME, path, f"is not in snake_case of at most {_MAX_NAME} characters"


def _label_problems(path: str, field: Mapping[str, Any]) -> RuleProblems:
    for label in ("doc", "vn_name"):
        text = field.get(label)
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            yield Rule.LABEL, path, f"has no {label} of one line"
    if field.get("data_class") not in set(DataClass):
        yield Rule.LABEL, path, f"has no data_class out of {', '.join(DataClass)}"


def _optional_problems(path: str, field: Mapping[str, Any]) -> RuleProblems:
    avro_type = field.get("type")
    if isinstance(avro_type, list):
        if avro_type[:1] != ["null"]:
            yield Rule.OPTIONAL, path, "is optional but null is not the first type of its union"
        if "default" not in field or field["default"] is not None:
            yield Rule.OPTIONAL, path, "is optional but its default is not null"
    elif "default" in field:
        yield Rule.OPTIONAL, path, "has a default but is not nullable"


def _enum_problems(schema: Mapping[str, Any]) -> RuleProblems:
    for path, field in _walk(schema):
        for avro_type in _types(field):
            if not isinstance(avro_type, dict) or avro_type.get("type") != "enum":
                continue
            if avro_type.get("namespace") == "hub.envelope":
                continue
            if avro_type.get("default") not in avro_type.get("symbols", ()):
                yield Rule.ENUM, path, "has no default symbol, so none could ever be added"


def _symbol_problems(schema: Mapping[str, Any]) -> RuleProblems:
    for path, field in _walk(schema):
        for said in (field, *(one for one in _types(field) if isinstance(one, dict) and one.get("type") == "enum")):
            yield from ((Rule.LABEL, where, message) for where, message in problems_of_symbols(path, said))


def _money_problems(fields: tuple[FieldSpec, ...], prefix: str = "") -> RuleProblems:
    for spec in fields:
        path = f"{prefix}{spec.name}"
        is_number = spec.kind in (FieldKind.INT, FieldKind.LONG, FieldKind.DOUBLE)
        if spec.name.endswith("_vnd") and spec.kind is not FieldKind.LONG:
            yield Rule.MONEY, path, "is money and must be a long"
        elif (
            is_number and _MONEY.search(spec.name) and not (spec.kind is FieldKind.LONG and spec.name.endswith("_vnd"))
        ):
            yield Rule.MONEY, path, "is money and must be a long whose name ends in _vnd"
        yield from _money_problems(spec.items, f"{path}.")


def _class_problems(fields: tuple[FieldSpec, ...], prefix: str = "") -> RuleProblems:
    for spec in fields:
        closed = max((_CLASS_ORDER.index(item.data_class) for item in spec.items), default=0)
        if closed > _CLASS_ORDER.index(spec.data_class):
            yield Rule.LABEL, f"{prefix}{spec.name}", f"holds {_CLASS_ORDER[closed]} fields but is {spec.data_class}"
        yield from _class_problems(spec.items, f"{prefix}{spec.name}.")


def _length_problems(fields: tuple[FieldSpec, ...], prefix: str = "") -> RuleProblems:
    for spec in fields:
        length: object = spec.max_length
        if length is not None and spec.kind is not FieldKind.STRING:
            yield Rule.LENGTH, f"{prefix}{spec.name}", "has a max_length and is not a text"
        elif length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 1):
            yield Rule.LENGTH, f"{prefix}{spec.name}", "has a max_length that is not a whole number above zero"
        yield from _length_problems(spec.items, f"{prefix}{spec.name}.")


def texts_without_length(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of the texts without ``max_length``, including texts inside lists."""
    try:
        fields = fields_of(schema)
    except (UnsupportedTypeError, KeyError, TypeError, ValueError):
        return ()  # a file that does not parse is reported by its own rules
    return tuple(_without_length(fields))


def _without_length(fields: tuple[FieldSpec, ...], prefix: str = "") -> Iterator[str]:
    for spec in fields:
        if spec.kind is FieldKind.STRING and spec.max_length is None:
            yield f"{prefix}{spec.name}"
        yield from _without_length(spec.items, f"{prefix}{spec.name}.")


def _envelope_problems(fields: tuple[FieldSpec, ...]) -> RuleProblems:
    names = tuple(spec.name for spec in fields[: len(ENVELOPE_FIELDS)])
    if names != ENVELOPE_FIELDS:
        yield Rule.ENVELOPE, "", "does not begin with the fields of the envelope in their order"
    for spec in fields:
        if spec.name not in _ENVELOPE_KINDS:
            continue
        if (spec.kind, spec.nullable) != _ENVELOPE_KINDS[spec.name]:
            yield Rule.ENVELOPE, spec.name, "has another type than the envelope"
        if spec.symbols != _ENVELOPE_SYMBOLS.get(spec.name, ()):
            yield Rule.ENVELOPE, spec.name, "has other symbols than the envelope"


def _key_problems(subject: str, fields: tuple[FieldSpec, ...]) -> RuleProblems:
    if subject not in SUBJECTS:
        return
    specs = {spec.name: spec for spec in fields}
    entity, aspect = SUBJECTS[subject]
    for name in (*entity.key, *aspect.part):
        if name not in specs or specs[name].nullable:
            yield Rule.KEY, name, "is part of the key and must be there and required"
        elif name in entity.key and specs[name].kind not in (FieldKind.STRING, FieldKind.ENUM):
            yield Rule.KEY, name, "is part of the key and must be text"


def _list_problems(fields: tuple[FieldSpec, ...]) -> RuleProblems:
    """Block decoders fail on enums and on lists inside lists, so lists hold records of plain values."""
    for spec in fields:
        if spec.kind is FieldKind.JSON and not spec.is_array:
            yield Rule.LIST, spec.name, "is a record; data fields are flat"
        for item in spec.items:
            if item.kind not in _ITEM_KINDS:
                yield Rule.LIST, f"{spec.name}.{item.name}", "lists hold texts, whole numbers and booleans only"
