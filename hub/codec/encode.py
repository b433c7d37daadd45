"""Encode events and golden records: from field values to framed Avro bytes.

Every value is checked against its field before it is written, so a producer never sends a value that a reader would
refuse. Errors name the field and the problem, never the value (I8).
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import fastavro

from hub.codec import wire
from hub.codec.catalogue import Catalogue, SchemaVersion, load_catalogue
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.entities import key_fields_of
from hub.model.errors import PoisonError
from hub.model.keys import EntityKey, entity_key
from hub.model.outcomes import Reason
from hub.topology import HEAD_SUBJECT

Check = Callable[[Any], Any]
"""Returns the value in the form in which it is written; raises ``ValueError`` with the problem."""

_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_INT_LIMIT, _LONG_LIMIT = 2**31, 2**63
_UUID_BYTES = 16


class Encoder:
    """Encodes one subject with its newest schema. Usable from any thread; keeps no state between calls."""

    def __init__(self, subject: str, secret: str, catalogue: Catalogue | None = None) -> None:
        self.version: SchemaVersion = (catalogue or load_catalogue()).latest(subject)
        self._secret = secret
        self._header = wire.header(self.version.schema_id)
        self._avro = fastavro.parse_schema(dict(self.version.schema))
        self._nested = _nested_records(self._avro)
        self._record = _record_check(self.version.fields)
        self._is_record = subject.endswith(".record") or subject == HEAD_SUBJECT
        self._entity, self.key_names = ("", ("key",)) if self._is_record else key_fields_of(subject)

    def encode(self, event: Mapping[str, Any]) -> bytes:
        """Return the framed bytes of an event.

        Optional fields may be missing; None means null. Times are aware datetimes, dates are ``date``, enums their
        symbols, ``event_id`` a UUID or its 16 bytes, lists are sequences of mappings; times inside lists may be
        datetimes or RFC 3339 text ending in Z.

        Raises:
            PoisonError: INVALID_VALUE, naming the first wrong field and never its value.
        """
        try:
            datum = self._record(event)
        except ValueError as error:
            raise PoisonError(Reason.INVALID_VALUE, f"{self.version.subject}: {error}") from None
        for name, branch in self._nested:
            if datum[name] is not None:
                datum[name] = (branch, datum[name])
        out = io.BytesIO()
        out.write(self._header)
        fastavro.schemaless_writer(out, self._avro, datum)
        return out.getvalue()

    def key(self, event: Mapping[str, Any]) -> EntityKey:
        """Return the 16-byte Kafka key of an event: the keyed hash of its entity's key fields.

        Raises:
            PoisonError: INVALID_VALUE if a key field is missing, empty or not text.
        """
        if self._is_record:
            return EntityKey(self._check_uuid(event.get("key")))
        parts = []
        for name in self.key_names:
            part = event.get(name)
            if not isinstance(part, str) or not part:
                problem = f"{self.version.subject}: {name} is part of the key and must be text"
                raise PoisonError(Reason.INVALID_VALUE, problem)
            parts.append(part)
        return self.key_of(parts)

    def key_of(self, parts: Sequence[str]) -> EntityKey:
        """Return the Kafka key of an event from the values of ``key_names``, which are texts and not empty."""
        return entity_key(self._secret, self._entity, parts)

    def _check_uuid(self, value: Any) -> bytes:
        try:
            return _uuid(value)
        except ValueError as error:
            raise PoisonError(Reason.INVALID_VALUE, f"{self.version.subject}: key {error}") from None


def _nested_records(avro: Any) -> list[tuple[str, str]]:
    """Return the fields that hold a record or null, and the record's name.

    A value that names its branch is written directly; otherwise the writer first tries it field by field.
    """
    unions = (
        (field["name"], branch)
        for field in avro["fields"]
        if isinstance(field["type"], list)
        for branch in field["type"]
    )
    return [
        (name, branch["name"]) for name, branch in unions if isinstance(branch, dict) and branch["type"] == "record"
    ]


def _record_check(fields: tuple[FieldSpec, ...]) -> Check:
    checks = [(spec.name, spec.nullable, check_of(spec)) for spec in fields]
    names = frozenset(spec.name for spec in fields)

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError("is not a mapping of fields")
        if not names.issuperset(value):
            unknown = sorted(str(name) for name in value if name not in names)
            raise ValueError(f"{', '.join(unknown)}: no such field")
        datum: dict[str, Any] = {}
        for name, nullable, check_value in checks:
            given = value.get(name)
            if given is None:
                if not nullable:
                    raise ValueError(f"{name} is required")
                datum[name] = None  # a given field is written faster than a missing one, which must be looked up
                continue
            try:
                datum[name] = check_value(given)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
        return datum

    return check


def check_of(spec: FieldSpec) -> Check:
    """Return the check of one field's values; None is handled elsewhere."""
    if spec.kind is FieldKind.JSON:
        check_item = _record_check(spec.items)
        return _list_check(check_item) if spec.is_array else check_item
    if spec.symbols:
        return _one_of(frozenset(spec.symbols))
    if spec.text_format == "date-time":
        return _time_text
    if spec.kind is FieldKind.STRING and spec.max_length is not None:
        return _text_of_at_most(spec.max_length)
    return _CHECKS[spec.kind]


def _list_check(check_item: Check) -> Check:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ValueError("is not a list")
        items = []
        for position, item in enumerate(value):
            try:
                items.append(check_item(item))
            except ValueError as error:
                raise ValueError(f"[{position}]: {error}") from None
        return items

    return check


def _one_of(symbols: frozenset[str]) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in symbols:
            raise ValueError(f"is none of {', '.join(sorted(symbols))}")
        return str(value)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a text")
    if "\0" in value:
        raise ValueError("holds a zero character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    return value


def _text_of_at_most(length: int) -> Check:
    def check(value: Any) -> str:
        text = _text(value)
        if len(text) > length:
            raise ValueError(f"is longer than {length} characters")
        return text

    return check


def _whole(limit: int) -> Check:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("is not a whole number")
        if not -limit <= value < limit:
            raise ValueError("is too large")
        return value

    return check


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _double(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("is not a number")
    return float(value)


def _timestamp(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("is not a time with its offset")
    return value


def _date(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("is not a date")
    return value


def _time_text(value: Any) -> str:
    if isinstance(value, datetime):
        return _timestamp(value).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if not isinstance(value, str) or not _UTC_TIME.fullmatch(value):
        raise ValueError("is not an RFC 3339 time ending in Z")
    return value


def _uuid(value: Any) -> bytes:
    if isinstance(value, UUID):
        return value.bytes
    if not isinstance(value, bytes) or len(value) != _UUID_BYTES:
        raise ValueError("is neither a UUID nor its 16 bytes")
    return value


_CHECKS: dict[FieldKind, Check] = {
    FieldKind.STRING: _text,
    FieldKind.INT: _whole(_INT_LIMIT),
    FieldKind.LONG: _whole(_LONG_LIMIT),
    FieldKind.BOOLEAN: _boolean,
    FieldKind.DOUBLE: _double,
    FieldKind.UUID: _uuid,
    FieldKind.TIMESTAMP: _timestamp,
    FieldKind.DATE: _date,
}
