"""Compatibility of two versions of a schema, both ways (FULL), and the stricter rules of the hub (I6).

``avro.compatibility`` says whether a reader can resolve a writer. It does not examine logical types (a timestamp may
become money), accepts bytes for text, loses messages if several problems meet, and lets an optional field disappear, or
a symbol of an enum with a default. Each of these would harm a replay into the newest schema. Hence the second set of
rules: the newest version holds every field of every ancestor, unchanged and in the same order.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import avro.errors
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from hub.codec.fields import DataClass, FieldKind, FieldSpec, UnsupportedTypeError, fields_of
from hub.codec.schema_check.problems import Problem, Rule
from hub.codec.schema_check.rules import is_record, parse_avro

Numbered = tuple[int, Mapping[str, Any]]


def problems_between(subject: str, ancestor: Numbered, version: Numbered) -> list[Problem]:
    """Return why a version is not compatible with one of its ancestors; empty if it is."""
    (old_number, old), (number, new) = ancestor, version
    try:
        found = [
            *((("", message)) for message in avro_messages(old, new)),
            *_field_problems(fields_of(old), fields_of(new), frozen_lists=not is_record(subject)),
        ]
    except (avro.errors.AvroException, UnsupportedTypeError, KeyError, TypeError, ValueError):
        return []  # a file that does not parse is reported by its own rules
    return [
        Problem(subject, number, Rule.COMPATIBILITY, f"{message} (against v{old_number})", field)
        for field, message in found
    ]


def avro_messages(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the problems by Avro's own resolution rules, with each schema as reader of the other."""
    messages = []
    parsed_old, parsed_new = parse_avro(old), parse_avro(new)
    for role, reader, writer in (("old", parsed_old, parsed_new), ("new", parsed_new, parsed_old)):
        checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        result = checker.get_compatibility(reader, writer)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            detail = ", ".join(sorted(result.messages)) or "incompatible"
            kinds = ", ".join(sorted({kind.value for kind in result.incompatibilities}))
            messages.append(f"{role} readers fail: {kinds}: {detail}")
    return messages


def _field_problems(
    old: tuple[FieldSpec, ...], new: tuple[FieldSpec, ...], *, frozen_lists: bool, prefix: str = ""
) -> Iterator[tuple[str, str]]:
    now = {spec.name: spec for spec in new}
    before = {spec.name: spec for spec in old}
    for name, spec in before.items():
        path = f"{prefix}{name}"
        if name not in now:
            yield path, "was removed"
            continue
        yield from _changes(path, spec, now[name])
        if frozen_lists and [item.name for item in spec.items] != [item.name for item in now[name].items]:
            # The text of a list is part of the content hash: a new key in it would make old content look new.
            yield path, "the fields of its items changed; add a further list instead"
        elif spec.items and now[name].items:
            items = spec.items, now[name].items
            yield from _field_problems(*items, frozen_lists=frozen_lists, prefix=f"{path}.")
    if [name for name in now if name in before] != [name for name in before if name in now]:
        yield prefix.rstrip("."), "the order of the fields changed"
    for name, spec in now.items():
        if name not in before and not spec.nullable:
            yield f"{prefix}{name}", "was added but is not optional"


def _changes(path: str, old: FieldSpec, new: FieldSpec) -> Iterator[tuple[str, str]]:
    if (old.kind, old.is_array, old.text_format) != (new.kind, new.is_array, new.text_format):
        yield path, f"was {old.kind} and is {new.kind}: a type never changes"
    if old.nullable != new.nullable:
        yield path, "became required" if old.nullable else "became optional"
    if not set(old.symbols) <= set(new.symbols):
        yield path, "lost symbols"
    if old.max_length is not None and (new.max_length is None or new.max_length < old.max_length):
        yield path, "lost its max_length" if new.max_length is None else "has a smaller max_length"
    if old.value_kind and new.value_kind != old.value_kind:
        # what was taken once under a rule is read again under it
        yield path, f"was of the kind {old.value_kind} and is of {new.value_kind or 'none'}: a kind never changes"
    if old.kind is FieldKind.STRING and new.symbols and not old.symbols:
        yield path, "became a closed list"
    order = tuple(DataClass)
    if order.index(new.data_class) < order.index(old.data_class):
        yield path, f"was {old.data_class} and became more open"
