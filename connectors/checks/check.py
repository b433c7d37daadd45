"""Does a declaration fit the schemas? Reports every problem at once, without the source; and shows how one row maps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.access.source import SourceTable
from connectors.access.ways import reading_of
from connectors.base.reasons import RejectReason, Unmappable
from connectors.checks.doubts import order_doubts
from connectors.checks.row_security import hidden_rows
from connectors.checks.sight import unseen
from connectors.checks.unclear import unclear_columns
from connectors.checks.unknown_words import unknown_words
from connectors.conversion.mapping import RowMapper
from connectors.declared.declaration import Declaration, FieldRule, Kind, LateRows, Stream
from connectors.faults import SourceRowError, translated
from connectors.streams.context import Context
from hub.codec.catalogue import Catalogue, SchemaVersion
from hub.codec.encode import Encoder
from hub.codec.fields import DataClass, FieldKind, FieldSpec
from hub.model.entities import key_fields_of
from hub.model.envelope import ENVELOPE_FIELDS
from hub.model.errors import ConfigError, PoisonError
from hub.model.texts.near import did_you_mean
from hub.model.values.doubtful import DOUBTFUL, notes_in
from hub.model.values.kinds import broken_rule

OPTIONAL_ENVELOPE = {"occurred_at", "correlation_id", "causation_id", "actor", "purpose", "legal_basis", "unit_scheme"}
"""Fields of the envelope that a declaration may fill; the connector fills the rest."""

_DATES = {FieldKind.DATE, FieldKind.TIMESTAMP, FieldKind.STRING}
_NUMBERS = {FieldKind.INT, FieldKind.LONG, FieldKind.DOUBLE}
_OPEN = {DataClass.PUBLIC, DataClass.INTERNAL}
MASK = "•••"


def problems(declaration: Declaration, catalogue: Catalogue) -> list[str]:
    """Return every way in which a declaration does not fit the schemas."""
    found: list[str] = []
    for stream in declaration.streams:
        version = catalogue.latest(stream.subject)
        found += [f"stream {stream.name}: {problem}" for problem in _stream_problems(stream, version)]
    if declaration.compare and all(stream.kind is Kind.OUTBOX for stream in declaration.streams):
        found.append("compare: no stream reads a table; an outbox reports changes and holds no state to compare")
    return found


def is_fit(stream: Stream, catalogue: Catalogue) -> bool:
    """Tell whether one stream of a declaration fits its schema."""
    return not any(_stream_problems(stream, catalogue.latest(stream.subject)))


def require_fit(declaration: Declaration, catalogue: Catalogue) -> None:
    """Raise ``ConfigError`` with all problems, if there are any."""
    found = problems(declaration, catalogue)
    if found:
        raise ConfigError(found)


def _stream_problems(stream: Stream, version: SchemaVersion) -> Iterator[str]:
    specs = {spec.name: spec for spec in version.fields}
    given = {rule.field for rule in stream.fields}
    for rule in stream.fields:
        spec = specs.get(rule.field)
        if spec is None:
            yield f"{stream.subject} has no field {rule.field!r}{did_you_mean(rule.field, specs)}"
        elif rule.field == DOUBTFUL or (rule.field in ENVELOPE_FIELDS and rule.field not in OPTIONAL_ENVELOPE):
            yield f"field {rule.field}: the connector fills it itself"
        else:
            yield from (f"field {rule.field}: {problem}" for problem in _rule_problems(rule, spec))
    _, key = key_fields_of(stream.subject)
    for name in key:
        if name not in given:
            yield f"field {name} is missing: it is the key of {stream.subject}"
    for spec in version.data_fields:
        if not spec.nullable and spec.name not in given and spec.name not in key:
            yield f"field {spec.name} is missing: {stream.subject} requires it"
    if stream.late_rows is LateRows.OVERLAP and stream.changed_at is None:
        yield 'late_rows = "overlap" needs changed_at'
    if stream.kind is Kind.TABLE and stream.payload and stream.version is None and stream.changed_at is None:
        yield "version or changed_at is missing"


def _rule_problems(rule: FieldRule, spec: FieldSpec) -> Iterator[str]:
    said = [rule.constant, rule.default, *(rule.words or {}).values()]
    for word in said:
        if word is not None and not _fits(word, spec):
            yield f"value {word!r} does not fit: " + (
                f"it is none of {', '.join(spec.symbols)}{did_you_mean(str(word), spec.symbols)}"
                if spec.symbols
                else f"the schema wants {spec.kind}"
            )
        elif word is not None and (problem := broken_rule(spec.value_kind)(word)):
            yield f"value {word!r} breaks the rule of its kind, {spec.value_kind}: {problem.text}"
    if rule.part and spec.kind not in (FieldKind.INT, FieldKind.LONG):
        yield f"part is for numbers, the schema wants {spec.kind}"
    if rule.number and (rule.part or spec.kind not in _NUMBERS):
        yield f"number is for numbers, the schema wants {spec.kind}" if not rule.part else "part takes no number"
    if rule.formats and not rule.part and spec.kind not in _DATES:
        yield f"formats are for dates and times, the schema wants {spec.kind}"
    if rule.pad and spec.kind is not FieldKind.STRING:
        yield f"pad is for text, the schema wants {spec.kind}"
    if spec.kind is FieldKind.JSON and not rule.items:
        yield "is a list: it needs items"
    if rule.items and spec.kind is not FieldKind.JSON:
        yield "is not a list: it takes no items"
    elements = {item.name: item for item in spec.items}
    for item in rule.items:
        if item.field not in elements:
            yield f"its elements have no field {item.field!r}{did_you_mean(item.field, elements)}"
        else:
            yield from (f"element {item.field}: {text}" for text in _rule_problems(item, elements[item.field]))
    for name, element in elements.items():
        if rule.items and not element.nullable and name not in {item.field for item in rule.items}:
            yield f"element {name} is missing: the schema requires it"


def _fits(word: str | bool | int, spec: FieldSpec) -> bool:
    if spec.symbols:
        return word in spec.symbols
    if spec.kind is FieldKind.BOOLEAN:
        return isinstance(word, bool)
    if spec.kind in (FieldKind.INT, FieldKind.LONG):
        return isinstance(word, int) and not isinstance(word, bool)
    return spec.kind is FieldKind.STRING and isinstance(word, str)


@dataclass(frozen=True, slots=True)
class Sample:
    """How one row of a stream maps. Personal values are masked.

    Fields:
        problem: why the row would be a reject.
        warnings: what may go wrong with other rows, and what to do about it.
        unseen: what can happen in the table without the connector seeing it.
        doubtful: notes about the row's values: a value that is dropped, a code that is padded.
    """

    stream: str
    subject: str
    fields: Mapping[str, str]
    problem: str | None = None
    warnings: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


def sample(context: Context, stream: Stream, looks_at_words: bool = True) -> Sample:
    """Map the first row of a stream; this uses everything that a run needs of its table.

    Args:
        context: of the source.
        stream: the stream to try.
        looks_at_words: also warn of words in the first rows that no word table has.

    Raises:
        ConfigError: the source lacks tables or columns, or a yes/no column has words that are neither.
        RetryableError: the source is unreachable.
    """
    version = context.catalogue.latest(stream.subject)
    mapper = RowMapper(context.declaration, stream, version, context.secret)
    table = SourceTable(context.engine, stream)
    proof = table.prove_key()
    reading = reading_of(context.declaration, table)
    warned: list[str] = [*proof.doubts, *hidden_rows(table)]
    told = tuple(warned), unseen(context.declaration, table)
    try:
        # a run begins its first reading like this, so a missing permission shows here
        reading.begin()
        if unclear := [one.problem for one in unclear_columns(table, version)]:
            raise ConfigError(unclear)
        warned += order_doubts(context.declaration, table)
        told = tuple(warned), told[1]
        if looks_at_words:
            told = (*warned, *unknown_words(table, mapper)), told[1]
        with translated(table.what), table.engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(table.rows().order_by(*table.key).limit(1))]
            rows = table.with_children(connection, found)
    except SourceRowError as problem:
        said = f"{RejectReason.SOURCE_CANNOT_READ}: {problem.message}"
        return Sample(stream.name, stream.subject, {}, said, *told)
    if not rows:
        return Sample(stream.name, stream.subject, {}, None, *told)
    return _mapped(context, stream, rows[0], mapper, told)


def _mapped(
    context: Context,
    stream: Stream,
    row: Sequence[Any],
    mapper: RowMapper,
    told: tuple[tuple[str, ...], tuple[str, ...]],
) -> Sample:
    """Return how one row maps; ``told``: what the sample warns of, and what the connector does not see."""
    try:
        event = mapper.event(row, datetime.now(UTC))
        encoder = Encoder(stream.subject, context.secret, context.catalogue)
        encoder.key(event)
        encoder.encode(event)
    except Unmappable as problem:
        return Sample(stream.name, stream.subject, {}, str(problem), *told)
    except PoisonError as problem:
        return Sample(stream.name, stream.subject, {}, problem.detail, *told)
    doubtful = tuple(map(str, notes_in(event.pop(DOUBTFUL, None))))
    shown = _masked(event, context.catalogue.latest(stream.subject))
    return Sample(stream.name, stream.subject, shown, None, *told, doubtful)


def _masked(event: Mapping[str, Any], version: SchemaVersion) -> dict[str, str]:
    shown = {}
    for spec in version.fields:
        value = event.get(spec.name)
        if value is not None:
            shown[spec.name] = _text(value) if spec.data_class in _OPEN and not spec.items else MASK
    return shown


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else str(value)
