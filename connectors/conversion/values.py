"""Convert a source's values into a schema's values: one compiled function per field.

A blank is never a value: text is stripped of surrounding space, and empty text is no value. Codes stay
text: a leading zero that a source keeps is kept. What cannot be converted raises ``Unmappable`` with a reason; no
message contains the value itself (I8).
"""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.dates import Convert, local, to_day, to_moment, to_part, to_partial
from connectors.conversion.numbers import to_double, to_whole
from connectors.conversion.plain import folded, plain
from connectors.conversion.truth import truth
from connectors.declared.declaration import FieldRule, Word
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.errors import ConfigError

INT_LIMIT, LONG_LIMIT = 2**31, 2**63


def converter(rule: FieldRule, spec: FieldSpec, zone: tzinfo) -> Convert:
    """Return the function that converts the source's value into the field's, or into None if the source has no value.

    That function raises ``Unmappable`` without a field name; the caller knows the name.
    """
    if rule.words is not None:
        return _words(rule.words)
    match spec.kind:
        case FieldKind.STRING if spec.symbols:
            return _symbol(spec.symbols)
        case FieldKind.STRING:
            return _text(rule, spec, zone)
        case FieldKind.ENUM:
            return _symbol(spec.symbols)
        case FieldKind.INT | FieldKind.LONG if rule.part:
            return to_part(rule.part, rule.formats, zone)
        case FieldKind.INT:
            return to_whole(rule.number, INT_LIMIT)
        case FieldKind.LONG:
            return to_whole(rule.number, LONG_LIMIT)
        case FieldKind.DOUBLE:
            return to_double(rule.number)
        case FieldKind.BOOLEAN:
            return truth
        case FieldKind.TIMESTAMP:
            return to_moment(rule.formats, zone)
        case FieldKind.DATE:
            return to_day(rule.formats, zone)
    raise ConfigError([f"{spec.name}: a column cannot fill a field of kind {spec.kind.name}"])


def _words(words: Mapping[str, Word]) -> Convert:
    table = {folded(word): value for word, value in words.items()}
    exact: Mapping[Any, Word] = words

    def convert(value: Any) -> Any:
        if value.__class__ is str and value in exact:
            return exact[value]
        text = plain(value)
        if text is None:
            return None
        found = table.get(folded(text))
        if found is None:
            raise Unmappable(RejectReason.UNMAPPED_WORD)
        return found

    return convert


def _symbol(symbols: tuple[str, ...]) -> Convert:
    known = frozenset(symbols)

    def convert(value: Any) -> Any:
        text = plain(value)
        if text is None or text in known:
            return text
        raise Unmappable(RejectReason.UNMAPPED_WORD)

    return convert


def _text(rule: FieldRule, spec: FieldSpec, zone: tzinfo) -> Convert:
    if rule.formats or spec.text_format:
        return _date_text(rule, spec, zone)

    def convert(value: Any) -> Any:
        if value.__class__ is str:
            return value.strip() or None
        if isinstance(value, datetime):
            return local(value, zone).isoformat()
        return plain(value)

    return convert


def _date_text(rule: FieldRule, spec: FieldSpec, zone: tzinfo) -> Convert:
    if spec.text_format == "date-time":
        moment = to_moment(rule.formats, zone)

        def convert(value: Any) -> Any:
            found = moment(value)
            return None if found is None else found.isoformat().replace("+00:00", "Z")

        return convert
    partial = to_partial(rule.formats, zone)

    def convert_date(value: Any) -> Any:
        found = partial(value)
        return None if found is None else found.text()

    return convert_date
