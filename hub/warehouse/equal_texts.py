"""Equality of texts in SQL: composed or decomposed letters say the same, and in names a tone on one vowel or the next.

The same as ``hub.model.texts.letters.same_letters``. Needs a database in UTF8, as every warehouse is.
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
    """Return whether two known values of a field say something else; unknown when one of them is null.

    Letters are looked at only where the values are not the same bytes.
    """
    if field.kind not in _TEXTS:
        return one != other
    return and_(one != other, _letters(field, one, is_name) != _letters(field, other, is_name))


def _letters(field: FieldSpec, value: ColumnElement[Any], is_name: bool) -> ColumnElement[str]:
    if is_name and field.kind is FieldKind.STRING:
        decomposed = func.normalize(value, _NFD, type_=Text)
        return func.regexp_replace(decomposed, literal(TONE_INSIDE), literal(TONE_AT_END), literal("g"), type_=Text)
    return func.normalize(cast(value, Text), _NFC, type_=Text)
