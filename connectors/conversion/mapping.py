"""From a source's row to an event: the declaration is compiled once, into one function per field.

A row is a tuple: the columns in the order of ``RowMapper.columns``, then one list per child table. The event's id is a
keyed hash of the source, the row's key, its version and the operation. So the same version of a row has the same id,
whenever and however often it is sent. Where several streams of a declaration feed one subject, the stream's name is
hashed as well: two tables may have rows of the same key and version. The hub knows a repeated event by its version and
content, not by its id, so a declaration may get or lose such a stream.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from connectors.base.reasons import UNFORESEEN, RejectReason, Unmappable
from connectors.conversion.dates import Convert, to_moment
from connectors.conversion.getters import Get, Row, column_getter, deletion, digger, payload_of
from connectors.conversion.list_field import list_converter
from connectors.conversion.lookalikes import LooseText
from connectors.conversion.noted import Noted, kept_to_rule, lenient
from connectors.conversion.plain import plain
from connectors.conversion.values import converter
from connectors.conversion.versions import timely_within, version_getter
from connectors.declared.declaration import Declaration, FieldRule, Kind, Stream, Word, columns_of
from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.envelope import FULL_READ, Operation
from hub.model.values.doubtful import DOUBTFUL, Done, Note, text_of
from hub.model.values.kinds import KINDS

UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Step:
    """How one field is filled.

    Fields:
        raw: the field that keeps a word if no code table has it.
        is_text: the value is the source's text, only without surrounding space.
        longest: how many characters the field's text may have; None: no limit, or not text.
        keeps: a quick look at a text, true if it keeps the rule of its kind; None: any text does.
    """

    field: str
    get: Get
    convert: Convert
    default: Word | None
    required: bool
    raw: str | None
    is_text: bool = False
    longest: int | None = None
    keeps: Callable[[str], object] | None = None

    def value(self, row: Row) -> Any:
        """Return the row's value converted for the field, None if there is none; raises ``Unmappable``."""
        found = self.noted(row)
        return found.value if found.__class__ is Noted else found

    def noted(self, row: Row) -> Any:
        """Return the same, as a ``Noted`` if there is a note about it."""
        try:
            return self.convert(self.get(row))
        except UNFORESEEN:
            raise Unmappable(RejectReason.BAD_VALUE) from None


class RowMapper:
    """Maps the rows of one stream. Not bound to a thread; keeps no state between rows."""

    def __init__(
        self, source: Declaration, stream: Stream, version: SchemaVersion, secret: str, is_full_read: bool = False
    ) -> None:
        """Compile a stream's mapping; events of a first full read are marked (``hub.model.envelope.FULL_READ``)."""
        self.stream = stream
        self.columns = columns_of(stream)
        self.children = tuple(rule for rule in stream.fields if rule.child)
        self._zone = ZoneInfo(source.time_zone)
        self.constants: dict[str, Any] = {
            "source_system": source.code,
            "source_agency": source.agency,
            "source_epoch": source.epoch,
            "unit_scheme": str(source.unit_scheme),
            **({"causation_id": FULL_READ} if is_full_read else {}),
        }
        self._index = {name: place for place, name in enumerate(self.columns)}
        self._specs = {spec.name: spec for spec in version.fields}
        self._timely = timely_within(source.ahead_s)
        self.steps = tuple(self._step(rule) for rule in stream.fields)
        self._key = tuple(self._index[name] for name in stream.key)
        self._payload = self._index[stream.payload] if stream.payload else None
        self.version = version_getter(stream, self._index, self._zone, self._timely)
        self._moment = to_moment((), self._zone)
        self._changed_at = self._index[stream.changed_at] if stream.changed_at else None
        self.operation = self._operation_of()
        self._keyed = hashlib.blake2b(digest_size=16, key=hashlib.sha256(secret.encode()).digest())
        self._identity = f"{source.code}\x1f{stream.subject}\x1f{source.epoch}"
        if any(other.subject == stream.subject and other.name != stream.name for other in source.streams):
            self._identity += f"\x1f{stream.name}"

    def event(self, row: Row, recorded_at: datetime) -> dict[str, Any]:
        """Return the event of a row.

        Raises:
            Unmappable: with the reason and the field.
        """
        if self._payload is not None:
            row = (*row, payload_of(row[self._payload]))
        event = dict(self.constants)
        notes: list[str] = []
        for step in self.steps:
            try:
                value = step.noted(row)
            except Unmappable as problem:
                if problem.reason is not RejectReason.UNMAPPED_WORD or step.raw is None:
                    raise Unmappable(problem.reason, problem.field or step.field) from None
                self._keep_word(event, step.raw, plain(step.get(row)), notes)
                value = UNKNOWN
            if value.__class__ is Noted:
                notes += value.notes
                value = value.value
                if value is None:
                    continue
            if value is None:
                value = step.default
                if value is None:
                    if step.required:
                        raise Unmappable(RejectReason.REQUIRED_MISSING, step.field)
                    continue
            event[step.field] = value
        if notes:
            event[DOUBTFUL] = text_of(notes)
        self._envelope(event, row, recorded_at)
        return event

    def symbols(self, field: str) -> tuple[str, ...]:
        """Return the closed list of a field's values in the schema; empty where it has none."""
        return self._specs[field].symbols

    def _keep_word(self, event: dict[str, Any], field: str, word: str | None, notes: list[str]) -> None:
        """Keep a word that no word table has in the field for such words."""
        if word is not None and len(word) > (self._specs[field].max_length or len(word)):
            if self.stream.strict:
                raise Unmappable(RejectReason.TOO_LONG, field)
            notes.append(str(Note(field, Done.DROPPED, RejectReason.TOO_LONG)))
            word = None
        event.setdefault(field, word)

    def row_hash(self, row: Row) -> str:
        """Return the keyed hash of the row's primary key, in hex: a reject names its row by it."""
        return self._digest(f"{self.stream.table}\x1f{self._key_text(row)}").hex()

    def content_hash(self, row: Row) -> str:
        """Return the keyed hash of the row's content, in hex: it names a reject that its key does not identify."""
        return self._digest(f"{self.stream.table}\x1f{row!r}").hex()

    def place(self, row: Row) -> str:
        """Return where the row is in its table, if that reveals nobody: the id of an outbox row, else empty."""
        text = self._key_text(row) if self.stream.kind is Kind.OUTBOX else ""
        return text if text.isprintable() else ""

    def _envelope(self, event: dict[str, Any], row: Row, recorded_at: datetime) -> None:
        event["recorded_at"] = recorded_at
        if "occurred_at" not in event:
            moment = _named("occurred_at", self.changed_at, row)
            if moment is None:
                raise Unmappable(RejectReason.TIME_MISSING, "occurred_at")
            event["occurred_at"] = moment
        version = _named("source_version", self.version, row)
        if version is None:
            raise Unmappable(RejectReason.VERSION_MISSING, "source_version")
        event["source_version"] = version
        event["operation"] = operation = _named("operation", self.operation, row)
        event["event_id"] = self.event_id(row, version, operation)

    def changed_at(self, row: Row) -> datetime | None:
        """Return when the row last changed; None if the source does not say.

        Raises:
            Unmappable: the value is not a time, or is a time in the future.
        """
        return None if self._changed_at is None else self._timely(self._moment(row[self._changed_at]))

    def event_id(self, row: Row, version: int, operation: str) -> bytes:
        """Return the 16-byte id of this version of the row; it is the same whenever the event is sent."""
        return self._digest(f"{self._identity}\x1f{self._key_text(row)}\x1f{version}\x1f{operation}")

    def opened(self, rows: Sequence[Row]) -> tuple[Sequence[Row], set[int]]:
        """Return the rows as the steps need them (outbox payloads parsed), and the places of rows without a payload."""
        if self._payload is None:
            return rows, set()
        opened: list[Row] = []
        unreadable: set[int] = set()
        for place, row in enumerate(rows):
            try:
                payload: Mapping[str, Any] = payload_of(row[self._payload])
            except Unmappable:
                payload = {}
                unreadable.add(place)
            opened.append((*row, payload))
        return opened, unreadable

    def _digest(self, text: str) -> bytes:
        hashed = self._keyed.copy()
        hashed.update(text.encode("utf-8", "surrogatepass"))
        digest = bytearray(hashed.digest())
        digest[6] = digest[6] & 0x0F | 0x80  # a UUID of version 8, which leaves the content to us
        digest[8] = digest[8] & 0x3F | 0x80
        return bytes(digest)

    def _key_text(self, row: Row) -> str:
        """Return the key as text: different keys have different texts, whatever is in them."""
        return "\x1f".join([_part(row[place]) for place in self._key])

    def _step(self, rule: FieldRule) -> Step:
        spec = self._specs[rule.field]
        raw = f"raw_{rule.field}"
        kind = KINDS.get(spec.value_kind)
        return Step(
            field=rule.field,
            get=self._getter(rule),
            convert=self._list(rule, spec) if spec.kind is FieldKind.JSON else self._plain(rule, spec),
            default=rule.default,
            required=not spec.nullable,
            raw=raw if raw in self._specs and UNKNOWN in spec.symbols else None,
            is_text=spec.kind is FieldKind.STRING and not _is_read(rule, spec),
            longest=spec.max_length,
            keeps=None if kind is None else kind.keeps,
        )

    def _plain(self, rule: FieldRule, spec: FieldSpec) -> Convert:
        convert = self._convert(rule, spec, rule.field)
        if spec.name == "occurred_at":
            return lambda value: self._timely(convert(value))
        return convert

    def _convert(self, rule: FieldRule, spec: FieldSpec, path: str, strict: bool | None = None) -> Convert:
        """Return what turns one value; what breaks the rule of an optional field is dropped, if that is not strict."""
        if rule.constant is not None:
            return lambda value: value
        convert = kept_to_rule(spec, path, converter(rule, spec, self._zone), rule.pad)
        strict = self._is_strict(rule) if strict is None else strict
        return lenient(path, convert) if spec.is_droppable and not strict else convert

    def _is_strict(self, rule: FieldRule) -> bool:
        return self.stream.strict if rule.strict is None else rule.strict

    def _getter(self, rule: FieldRule) -> Get:
        if rule.child:
            return itemgetter(len(self.columns) + self.children.index(rule))
        if rule.paths:
            return digger(rule.paths, rule.join, last=True)
        return column_getter(rule, self._index)

    def _list(self, rule: FieldRule, spec: FieldSpec) -> Convert:
        def convert_of(item: FieldRule, member: FieldSpec) -> Convert:
            strict = self._is_strict(rule) if item.strict is None else item.strict
            return self._convert(item, member, f"{rule.field}.{item.field}", strict)

        return list_converter(rule, spec, convert_of)

    def _operation_of(self) -> Get:
        rule, deleted = self.stream.operation, self.stream.deleted
        if rule is None or rule.constant is not None:
            usual = str(rule.constant) if rule else str(Operation.UPDATE)

            def said(row: Row) -> str:
                return usual
        else:
            get, convert = self._getter(rule), converter(rule, self._specs["operation"], self._zone)

            def said(row: Row) -> str:
                return str(convert(get(row)) or rule.default or Operation.UPDATE)

        if deleted is None:
            return said
        is_deleted = deletion(deleted, self._index[deleted.column], self._zone)
        return lambda row: str(Operation.REVOKE) if is_deleted(row) else said(row)


def _part(value: Any) -> str:
    """Return a part of a key as text; the separator is escaped, and text beside numbers is told apart from them."""
    text = f"'{value}" if isinstance(value, LooseText) else str(value)
    if "\x1f" in text or r"\x1f" in text:
        return text.replace("\\", r"\\").replace("\x1f", r"\x1f")
    return text


def _named(field: str, call: Callable[[Row], Any], row: Row) -> Any:
    """Call ``call`` on the row; an error then names the field."""
    try:
        return call(row)
    except Unmappable as problem:
        raise Unmappable(problem.reason, problem.field or field) from None
    except UNFORESEEN:
        raise Unmappable(RejectReason.BAD_VALUE, field) from None


def _is_read(rule: FieldRule, spec: FieldSpec) -> bool:
    """Tell whether a text field needs more than the source's text: a code table, a date format, lost zeros."""
    said = rule.constant is not None or rule.words is not None or bool(rule.formats) or rule.pad is not None
    return said or bool(spec.symbols) or bool(spec.text_format)
