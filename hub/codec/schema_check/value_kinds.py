"""Check that the fields of a schema name kinds of values that fit them (``hub.model.values.kinds``)."""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.codec.fields import FieldKind, FieldSpec, UnsupportedTypeError, fields_of
from hub.model.values.doubtful import DOUBTFUL
from hub.model.values.kinds import KINDS

WITH_KIND = frozenset({FieldKind.STRING, FieldKind.INT, FieldKind.LONG, FieldKind.DOUBLE})
"""Types that do not say themselves what a value means; a date, a time, a symbol, yes or no do."""


def problems_of_kinds(fields: tuple[FieldSpec, ...], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path of each field whose kind is unknown or does not fit its type, and what is wrong."""
    for spec in fields:
        path, kind = f"{prefix}{spec.name}", KINDS.get(spec.value_kind)
        if spec.value_kind and kind is None:
            yield path, f"has the kind {spec.value_kind!r}, which hub.model.values.kinds does not have"
        elif kind is not None and spec.kind not in WITH_KIND:
            yield path, f"has a kind and is {spec.kind}: only texts and numbers have one"
        elif kind is not None and kind.is_number != (spec.kind is not FieldKind.STRING):
            yield path, f"has the kind {spec.value_kind}, which is {'a number' if kind.is_number else 'a text'}"
        if spec.null_means and not spec.nullable:
            yield path, "says what a null means and is required"
        yield from problems_of_kinds(spec.items, f"{path}.")


def lacking_kinds(schema: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what an event schema lacks: kinds of texts and numbers, inside lists too, and the field for notes."""
    try:
        fields = fields_of(schema)
    except (UnsupportedTypeError, KeyError, TypeError, ValueError):
        return ()  # a file that does not parse is reported by its own rules
    found = [(path, "is a text or a number without kind") for path in _without_kind(fields)]
    notes = next((spec for spec in fields if spec.name == DOUBTFUL), None)
    if notes is None or notes.kind is not FieldKind.STRING or not notes.nullable or notes.value_kind != DOUBTFUL:
        found.append((DOUBTFUL, f"must be there, an optional text of the kind {DOUBTFUL}"))
    return tuple(found)


def _without_kind(fields: tuple[FieldSpec, ...], prefix: str = "") -> Iterator[str]:
    for spec in fields:
        if spec.kind in WITH_KIND and not spec.value_kind:
            yield f"{prefix}{spec.name}"
        yield from _without_kind(spec.items, f"{prefix}{spec.name}.")
