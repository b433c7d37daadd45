"""From the TOML document to the declaration's values.

Every problem of the file's form is collected; none stops the reading.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.declared.compare_every import compare_every
from connectors.declared.declaration import (
    Child,
    Declaration,
    Deleted,
    FieldRule,
    Kind,
    LateRows,
    NumberFormat,
    Part,
    Stream,
    Word,
)
from connectors.declared.formats import date_format_problem, number_format
from connectors.declared.toml_shapes import MOST_ROWS, table, tables
from connectors.declared.value_reader import MOST_LETTERS, Table, ValueReader
from hub.model.envelope import Operation, UnitScheme
from hub.model.errors import ConfigError
from hub.model.texts.near import unknown_name
from hub.topology import all_subjects

_SOURCE = {"code", "agency", "unit_scheme", "time_zone", "url", "url_env", "epoch", "poll_s", "overlap_s", "page_rows"}
_SOURCE |= {"ahead_s", "remember_s"}
_STREAM = {
    *("name", "connector", "subject", "table", "key", "fields", "version", "changed_at", "txid", "payload", "where"),
    *("operation", "deleted", "late_rows", "strict"),
}
_ORIGINS = ("column", "columns", "path", "paths", "constant", "child")
_RULE = {*_ORIGINS, "on", "order", "join", "words", "formats", "part", "number", "pad", "default", "items"}
_RULE |= {"strict"}


class _Reader(ValueReader):
    """Reads the parts of one declaration."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.words: Table = {}

    def word_map(self, where: str, value: object) -> Mapping[str, Word] | None:
        if isinstance(value, str):
            if value not in self.words:
                self.problem(where, f"no code table [words.{value}]")
                return None
            value = self.words[value]
        if isinstance(value, dict) and value and all(isinstance(word, Word) for word in value.values()):
            return dict(value)
        self.problem(where, "words must name a code table, or be a table itself; it must not be empty")
        return None

    def rule(self, where: str, name: str, given: object, in_json: bool) -> FieldRule | None:
        """Read one field's rule; ``in_json``: a bare name means a path, not a column."""
        if isinstance(given, str):
            given = {"path" if in_json else "column": given}
        if not isinstance(given, dict):
            self.problem(where, f"field {name}: must be the name of a column or a table")
            return None
        where = f"{where}, field {name}"
        self.unknown(where, given, _RULE)
        if sum(origin in given for origin in _ORIGINS) != 1:
            self.problem(where, f"needs exactly one of {', '.join(_ORIGINS)}")
            return None
        constant, default = given.get("constant"), given.get("default")
        for label, value in (("constant", constant), ("default", default)):
            if value is not None and not isinstance(value, Word):
                self.problem(where, f"{label} must be text, a whole number or true/false")
        part = self.one_of(where, given, "part", list(Part))
        return FieldRule(
            field=name,
            columns=self.names(where, given, "columns") or self.names(where, given, "column"),
            paths=tuple(
                tuple(path.split(".")) for path in self.names(where, given, "paths") or self.names(where, given, "path")
            ),
            constant=constant,
            child=self.child(where, given),
            join=self.join(where, given),
            words=self.word_map(where, given["words"]) if "words" in given else None,
            formats=self.formats(where, given),
            part=Part(part) if part else None,
            number=self.number_format(where, given),
            pad=self.whole(where, given, "pad", 1, MOST_LETTERS) if "pad" in given else None,
            default=default,
            items=self.items(where, given),
            strict=self.yes_or_no(where, given, "strict"),
        )

    def join(self, where: str, given: Table) -> str:
        value = given.get("join", " ")
        if isinstance(value, str):
            return value
        self.problem(where, "join must be text")
        return " "

    def formats(self, where: str, given: Table) -> tuple[str, ...]:
        formats = self.names(where, given, "formats")
        for text in formats:
            if problem := date_format_problem(text):
                self.problem(where, problem)
        return formats

    def number_format(self, where: str, given: Table) -> NumberFormat | None:
        found = number_format(given["number"]) if "number" in given else None
        if isinstance(found, str):
            self.problem(where, found)
            return None
        return found

    def child(self, where: str, given: Table) -> Child | None:
        if "child" not in given:
            return None
        on = given.get("on")
        if not isinstance(on, dict) or len(on) != 1 or not all(isinstance(value, str) for value in on.values()):
            self.problem(where, 'a child table needs on = { its_column = "column_of_the_stream" }, one pair')
            on = {}
        if "items" not in given:
            self.problem(where, "a child table needs items")
        return Child(self.required(where, given, "child"), on, self.names(where, given, "order"))

    def items(self, where: str, given: Table) -> tuple[FieldRule, ...]:
        items = given.get("items", {})
        if not isinstance(items, dict):
            self.problem(where, "items must be a table")
            return ()
        rules = [self.rule(where, name, rule, in_json="child" not in given) for name, rule in items.items()]
        return tuple(rule for rule in rules if rule)

    def time_zone(self, source: Table) -> str:
        zone = self.text("source", source, "time_zone", "Asia/Ho_Chi_Minh") or "UTC"
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.problem("source", f"time_zone {zone!r} is not known")
        return zone

    def streams(self, document: Table) -> tuple[Stream, ...]:
        given = tables(document.get("stream", []), "stream", self.problem)
        streams = tuple(self.stream(number, entry) for number, entry in enumerate(given, 1))
        if not streams:
            self.problem("top level", "no [[stream]]")
        for double in {stream.name for stream in streams if [other.name for other in streams].count(stream.name) > 1}:
            self.problem(f"stream {double}", "declared twice")
        return streams

    def stream(self, number: int, given: Table) -> Stream:
        where = f"stream {given.get('name', f'number {number}')}"
        self.unknown(where, given, _STREAM)
        name, table = self.required(where, given, "name"), self.required(where, given, "table")
        self.required(where, given, "connector")
        kind = Kind(self.one_of(where, given, "connector", list(Kind)) or Kind.TABLE)
        subject = self.required(where, given, "subject")
        if subject and subject not in all_subjects():
            self.problem(where, unknown_name("subject", str(subject), all_subjects()))
        late = self.one_of(where, given, "late_rows", list(LateRows))
        key = self.names(where, given, "key")
        if not key or (kind is Kind.OUTBOX and len(key) != 1):
            self.problem(where, "key is missing" if not key else "an outbox has one key column, its rising id")
        stream = Stream(
            name=name,
            kind=kind,
            subject=subject,
            table=table,
            key=key,
            fields=self.rules(where, given),
            version=self.text(where, given, "version"),
            changed_at=self.text(where, given, "changed_at"),
            txid=self.text(where, given, "txid"),
            payload=self.text(where, given, "payload"),
            where=self.conditions(where, given),
            operation=self.operation(where, given),
            deleted=self.deleted(where, given),
            late_rows=LateRows(late) if late else None,
            strict=bool(self.yes_or_no(where, given, "strict")),
        )
        if kind is Kind.TABLE and not stream.version and not stream.changed_at:
            self.problem(where, "version or changed_at is missing: without one of them no event has an order")
        if not stream.changed_at and "occurred_at" not in {rule.field for rule in stream.fields}:
            self.problem(where, "changed_at is missing, and no field occurred_at says when the change happened")
        return stream

    def rules(self, where: str, given: Table) -> tuple[FieldRule, ...]:
        fields = given.get("fields")
        if not isinstance(fields, dict) or not fields:
            self.problem(where, "[stream.fields] is missing")
            return ()
        rules = [self.rule(where, name, rule, in_json="payload" in given) for name, rule in fields.items()]
        if "payload" not in given and any(rule and rule.paths for rule in rules):
            self.problem(where, "a path needs the stream's payload column")
        return tuple(rule for rule in rules if rule)

    def conditions(self, where: str, given: Table) -> Mapping[str, tuple[Word, ...]]:
        conditions: dict[str, tuple[Word, ...]] = {}
        wanted = given.get("where", {})
        if not isinstance(wanted, Mapping):
            self.problem(where, "where must be a table: where = { its_column = a value, or a list of values }")
            wanted = {}
        for column, value in wanted.items():
            values = tuple(value) if isinstance(value, list) else (value,)
            if not values or not all(isinstance(item, Word) for item in values):
                self.problem(where, f"where.{column} must be a value or a list of values")
                continue
            conditions[column] = values
        return conditions

    def operation(self, where: str, given: Table) -> FieldRule | None:
        value = given.get("operation")
        if value is None:
            return None
        if isinstance(value, str):
            value = {"constant": value}
        rule = self.rule(where, "operation", value, in_json=False)
        said = [rule.constant] if rule and rule.constant is not None else list(((rule and rule.words) or {}).values())
        for word in said:
            if word not in set(Operation):
                self.problem(where, f"operation {word!r} is none of {', '.join(Operation)}")
        return rule

    def deleted(self, where: str, given: Table) -> Deleted | None:
        value = given.get("deleted")
        if value is None:
            return None
        if isinstance(value, str):
            return Deleted(value)
        if not isinstance(value, dict) or not set(value) <= {"column", "values", "alive"}:
            self.problem(where, "deleted must be a column, or { column, values, alive }")
            return None
        words = [self.names(f"{where}: deleted", value, name) for name in ("values", "alive")]
        if words[1] and not words[0]:
            self.problem(where, "deleted: alive goes with values, the words of deleted rows")
        if both := sorted({*words[0]} & {*words[1]}):
            self.problem(where, f"deleted: values and alive both have {', '.join(both)}")
        return Deleted(self.required(where, value, "column"), *words)


def declaration_of(document: Table, name: str) -> Declaration:
    """Return the declaration of a parsed TOML document.

    Raises:
        ConfigError: with every problem, each naming the file and the place.
    """
    reader = _Reader(name)
    reader.words = table(document.get("words", {}), "words", reader.problem)
    reader.unknown("top level", document, {"source", "state", "words", "stream"})
    source = table(document.get("source", {}), "source", reader.problem)
    state = table(document.get("state", {}), "state", reader.problem)
    reader.unknown("source", source, {*_SOURCE, "compare"})
    reader.unknown("state", state, {"url", "url_env", "schema"})
    streams, zone = reader.streams(document), reader.time_zone(source)
    reader.required("source", source, "unit_scheme")
    scheme = reader.one_of("source", source, "unit_scheme", list(UnitScheme))
    declaration = Declaration(
        code=reader.required("source", source, "code"),
        agency=reader.required("source", source, "agency"),
        unit_scheme=UnitScheme(scheme or UnitScheme.GSO_2025),
        time_zone=zone,
        database=reader.location("source", source, needed=True),
        streams=streams,
        epoch=reader.whole("source", source, "epoch", 1),
        poll_s=reader.seconds(source, "poll_s", 0.5, 0.05),
        overlap_s=reader.seconds(source, "overlap_s", 60.0),
        ahead_s=reader.seconds(source, "ahead_s", 86_400.0),
        remember_s=reader.seconds(source, "remember_s", 86_400.0),
        page_rows=reader.whole("source", source, "page_rows", 5_000, MOST_ROWS),
        state=reader.location("state", state, needed=False),
        state_schema=reader.text("state", state, "schema", "hub_connector") or "hub_connector",
        compare=compare_every(source.get("compare"), lambda text: reader.problem("source", text)),
    )
    if reader.problems:
        raise ConfigError(reader.problems)
    return declaration
