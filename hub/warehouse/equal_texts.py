"""Equality of texts in SQL: composed and decomposed letters are equal; in names, a tone mark's position is ignored.

The same rule as ``hub.model.texts.letters.same_letters``. Needs a database in UTF8, as every warehouse is.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, literal, literal_column

from hub.codec.fields import FieldKind, FieldSpec
from hub.model.texts.letters import TONE_AT_END, TONE_INSIDE

_NFC: ColumnElement[str] = literal_column("NFC", Text)
_NFD: ColumnElement[str] = literal_column("NFD", Text)
_TEXTS = (FieldKind.STRING, FieldKind.JSON)


def values_differ(
    field: FieldSpec, one: ColumnElement[Any], other: ColumnElement[Any], is_name: bool
) -> ColumnElement[bool]:
    """Return whether two known values of a field differ; null if one of them is null.

    Letters are compared only if the bytes differ.
    """
    if field.kind not in _TEXTS:
        return one != other
    return and_(one != other, _letters(field, one, is_name) != _letters(field, other, is_name))


def _letters(field: FieldSpec, value: ColumnElement[Any], is_name: bool) -> ColumnElement[str]:
    if is_name and field.kind is FieldKind.STRING:
        decomposed = func.normalize(value, _NFD, type_=Text)
        return func.regexp_replace(decomposed, literal(TONE_INSIDE), literal(TONE_AT_END), literal("g"), type_=Text)
    return func.normalize(cast(value, Text), _NFC, type_=Text)
