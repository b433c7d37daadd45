"""What a province's engineer writes to join: one TOML file per source, read into frozen values.

``connectors.declared.load`` reads it; ``connectors.checks.check`` decides whether its fields fit the subject's schema.
The commented example is ``docs/examples/source.toml``. A declaration holds no secret:
``url_env`` names the environment variable that holds a URL with a password.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hub.model.envelope import UnitScheme

Word = str | bool | int
"""What a source's local code may be mapped to."""


class Kind(StrEnum):
    """Which connector reads a stream."""

    OUTBOX = "outbox"
    TABLE = "table"


class LateRows(StrEnum):
    """How rows of transactions that commit late are found.

    ``HORIZON``: PostgreSQL only, exact: nothing is read past the oldest open transaction. ``OVERLAP``: any
    database: the last ``overlap_s`` seconds are read again at every poll.
    """

    HORIZON = "horizon"
    OVERLAP = "overlap"


class Part(StrEnum):
    """A part of a date, for schemas that hold partial dates as separate fields."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How a source writes numbers in text: what separates groups of three digits, and what precedes the fraction.

    An empty string means: thousands are not separated, or numbers have no fraction.
    """

    thousands: str = ""
    decimal: str = ""


@dataclass(frozen=True, slots=True)
class Child:
    """Rows of another table that become a list field: ``on`` pairs its columns with columns of the stream's table."""

    table: str
    on: Mapping[str, str]
    order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one field of the event comes from the row. Its origin is exactly one of columns, paths, constant, child.

    Fields:
        field: the schema's field (data field, or an optional field of the envelope).
        columns: columns of the row; several are joined with ``join``, empty ones are skipped.
        paths: paths inside the stream's ``payload`` column, each a chain of keys; several are joined like columns.
        constant: the same value for every row.
        child: rows of a child table (list fields).
        words: from the local code to the schema's value; None: the value is taken as it is.
        formats: date formats of text (``%d %m %Y %H %M %S``), tried in order; a format with fewer parts gives a partial
            date.
        part: take only the year, month or day.
        number: format of numbers in text; None: digits with a decimal point, and only if no other reading is possible.
        pad: left-pad a number with zeros to this length (codes that a source keeps as numbers), and note it.
        default: the value if the source has none; not used for a value that is dropped.
        strict: whether an optional value that breaks its rule makes the row a reject; None: as the stream, or the list.
        items: rules of each element (list fields).
    """

    field: str
    columns: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()
    constant: Word | None = None
    child: Child | None = None
    join: str = " "
    words: Mapping[str, Word] | None = None
    formats: tuple[str, ...] = ()
    part: Part | None = None
    number: NumberFormat | None = None
    pad: int | None = None
    default: Word | None = None
    items: tuple["FieldRule", ...] = ()
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """A soft-delete column: true, a time, or one of ``values`` makes the operation REVOKE; ``alive``: the other words.

    Besides these its words are those of ``connectors.conversion.truth``; any other word makes the row a reject.
    """

    column: str
    values: tuple[str, ...] = ()
    alive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """One table (or outbox) that feeds one subject.

    Fields:
        key: columns that identify a row of the table; for an outbox its rising id. Pages are read in their order.
        version: column that rises per key, a whole number or a time. None: the microseconds of ``changed_at``; for an
            outbox its id.
        changed_at: time of the row's last change (for an outbox: when the row was written); becomes ``occurred_at``.
        txid: column filled with ``pg_current_xact_id()``; saves PostgreSQL a scan of the table at each poll.
        payload: JSON column; the fields name its keys.
        where: only rows in which each of these columns has (one of) the given values.
        operation: the constant, or the rule that finds it; None: UPDATE.
        strict: whether an optional value that breaks its rule makes the row a reject; else the value is dropped.
    """

    name: str
    kind: Kind
    subject: str
    table: str
    key: tuple[str, ...]
    fields: tuple[FieldRule, ...]
    version: str | None = None
    changed_at: str | None = None
    txid: str | None = None
    payload: str | None = None
    where: Mapping[str, tuple[Word, ...]] = field(default_factory=dict)
    operation: FieldRule | None = None
    deleted: Deleted | None = None
    late_rows: LateRows | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Location:
    """Where a database is: a URL without password, or the variable that holds it; neither: the owner's default."""

    url: str | None = field(default=None, repr=False)
    url_env: str | None = None


@dataclass(frozen=True, slots=True)
class CompareEvery:
    """When a running connector compares its source with the warehouse, and whether it repairs differences.

    Fields:
        every_s: seconds from one comparison to the next.
        allow_gone: how many keys of a subject one comparison may withdraw; None: few.
    """

    every_s: float
    repair: bool = False
    allow_gone: int | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """One source: where it is, its settings, and its streams.

    Fields:
        ahead_s: a row whose time of change is more than this many seconds ahead is a reject: its clock was wrong.
        remember_s: how many seconds what was sent of a row is remembered, to see a change under the same version.
    """

    code: str
    agency: str
    unit_scheme: UnitScheme
    time_zone: str
    database: Location
    streams: tuple[Stream, ...]
    epoch: int = 1
    poll_s: float = 0.5
    overlap_s: float = 60.0
    ahead_s: float = 86_400.0
    remember_s: float = 86_400.0
    page_rows: int = 5_000
    state: Location = field(default_factory=Location)
    state_schema: str = "hub_connector"
    compare: CompareEvery | None = None


def columns_of(stream: Stream) -> tuple[str, ...]:
    """Return the columns a stream reads, each once; the key comes first."""
    wanted = list(stream.key)
    wanted += [name for name in (stream.version, stream.changed_at, stream.payload) if name]
    wanted += [stream.deleted.column] if stream.deleted else []
    for rule in (*stream.fields, *([stream.operation] if stream.operation else [])):
        wanted += rule.columns
        wanted += rule.child.on.values() if rule.child else ()
    return tuple(dict.fromkeys(wanted))


def child_columns(rule: FieldRule) -> tuple[str, ...]:
    """Return the columns read from a child table, each once."""
    return tuple(dict.fromkeys(name for item in rule.items for name in item.columns))
