"""The rules of values, column-wise: which rows break one, which of them are refused for it, and what is dropped.

A required field that breaks the rule of its kind refuses the event. An optional one becomes null, and a note says which
and why (``hub.model.values.doubtful``); the event goes on. If a null says something itself (of a country: Viet Nam), an
optional field refuses, too. A text that is longer than its field can hold refuses in every field: it is no doubtful
value, it breaks the contract, and the dead letter keeps it. The rule is that of the kind which the newest schema gives
the field, so events of every version keep the same rules.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import DataClass, FieldKind, FieldSpec
from hub.intake.checks.lengths import too_long
from hub.model.declaration import Aspect
from hub.model.entities import named_by_key
from hub.model.values.bounds import LEAST_DAY, LEAST_MOMENT, MOST_DAY, MOST_MOMENT, OUT_OF_YEARS
from hub.model.values.doubtful import DOUBTFUL, SEPARATOR, Done, Note
from hub.model.values.kinds import KINDS, ValueKind, Why
from hub.warehouse.tables.aspect_columns import other_key

Part = tuple[Why, str, pl.Expr]
"""Why a value breaks a rule, the text that says so, and the rows in which it does."""


@dataclass(frozen=True, slots=True)
class ValueCheck:
    """What one field's values must keep.

    Fields:
        refuses: a value that does not refuses its event; else it is dropped.
        broken: the rows in which they do not.
        parts: why, the first counts.
    """

    field: str
    refuses: bool
    broken: pl.Expr
    parts: tuple[Part, ...]


@lru_cache(maxsize=1024)
def value_checks(version: SchemaVersion, names: frozenset[str], long: frozenset[str]) -> tuple[ValueCheck, ...]:
    """Return the checks of some fields of a schema.

    Args:
        version: the schema that the rows were read as.
        names: fields that are not null throughout; no check fails in the others.
        long: fields with a text that may be too long.
    """
    lengths = [_of_length(name, version) for name in sorted(long & names)]
    return (*lengths, *(check for check in _checks_of_kinds(version) if check.field in names))


def _of_length(name: str, version: SchemaVersion) -> ValueCheck:
    found = too_long(version, name)
    return ValueCheck(name, True, found.wrong, ((Why.TOO_LONG, found.detail, found.wrong),))


@cache
def _checks_of_kinds(version: SchemaVersion) -> tuple[ValueCheck, ...]:
    found = ((spec, _parts(spec)) for spec in version.fields)
    return tuple(ValueCheck(spec.name, not spec.is_droppable, _broken(spec), parts) for spec, parts in found if parts)


def _parts(spec: FieldSpec) -> tuple[Part, ...]:
    column = pl.col(spec.name)
    if spec.kind in _YEARS:
        return ((Why.OUT_OF_RANGE, OUT_OF_YEARS, _broken(spec)),)
    rule = KINDS.get(spec.value_kind)
    wrong = {} if rule is None else _wrong(rule, column)
    return () if rule is None else tuple((why, text, wrong[part]) for why, part, text in rule.rules())


def _wrong(rule: ValueKind, column: pl.Expr) -> dict[str, pl.Expr]:
    wrong: dict[str, pl.Expr] = {}
    if rule.without_zeros is not None:
        wrong["without_zeros"] = column.str.contains(rule.without_zeros)
    if rule.pattern is not None:
        wrong["pattern"] = ~column.str.contains(rule.pattern)
    if rule.least is not None:
        wrong["least"] = column < rule.least
    if rule.most is not None:
        wrong["most"] = column > rule.most
    return wrong


def _broken(spec: FieldSpec) -> pl.Expr:
    """Return one look at a column: a code without its zeros does not match its pattern either."""
    column = pl.col(spec.name)
    if spec.kind in _YEARS:
        return ~column.is_between(*_YEARS[spec.kind])
    wrong = _wrong(KINDS[spec.value_kind], column) if spec.value_kind in KINDS else {}
    if "pattern" in wrong:
        return wrong["pattern"]
    return pl.any_horizontal(wrong.values()) if wrong else pl.lit(value=False)


_YEARS = {FieldKind.TIMESTAMP: (LEAST_MOMENT, MOST_MOMENT), FieldKind.DATE: (LEAST_DAY, MOST_DAY)}


def any_broken(checks: Iterable[ValueCheck]) -> pl.Expr:
    """Return whether a row breaks any of some checks."""
    broken = [check.broken for check in checks]
    return pl.any_horizontal(broken).fill_null(value=False) if broken else pl.lit(value=False)


def without_broken(
    frame: pl.DataFrame, checks: Sequence[ValueCheck], version: SchemaVersion, aspect: Aspect, noted: Collection[str]
) -> pl.DataFrame:
    """Return the rows with null in place of each optional value that breaks its rule, and with a note of it.

    Args:
        frame: rows that passed; needs the fields of the checks, and what was derived from them.
        checks: of optional fields.
        version: the schema that the rows were read as.
        aspect: whose fields name other things.
        noted: columns with further notes, null where there is none.
    """
    parts = {check.field: check.parts for check in checks}
    notes = frame.select(
        *(_notes(name, found).alias(name) for name, found in parts.items()), *(pl.col(name) for name in noted)
    )
    standing = [column for column in notes.iter_columns() if column.null_count() < frame.height]
    gone = {column.name: column.is_null() for column in standing if column.name in parts}
    kept = [pl.when(is_kept).then(pl.col(name)).alias(name) for name, is_kept in gone.items()]
    # a value that cannot be read names nobody
    kept += [
        pl.when(gone[name]).then(pl.col(other_key(name))).alias(other_key(name))
        for name in named_by_key(aspect)
        if name in gone
    ]
    mended = frame.with_columns(kept)
    said = [mended[DOUBTFUL], *(column.alias(f"_note{place}") for place, column in enumerate(standing))]
    text = pl.DataFrame(said).select(pl.concat_str(pl.all(), separator=SEPARATOR, ignore_nulls=True)).to_series()
    mended = mended.with_columns(text.set(text == "", None).alias(DOUBTFUL))
    return _with_sensitive(mended, version) if gone else mended


def _notes(field: str, parts: Sequence[Part]) -> pl.Expr:
    said = [pl.when(wrong).then(pl.lit(str(Note(field, Done.DROPPED, why)))) for why, _, wrong in parts]
    return pl.coalesce([*said, pl.lit(None, pl.String())])


def _with_sensitive(frame: pl.DataFrame, version: SchemaVersion) -> pl.DataFrame:
    """Say anew which rows have sensitive fields."""
    apart = [spec.name for spec in version.data_fields if spec.data_class is DataClass.SENSITIVE]
    if not apart:
        return frame
    return frame.with_columns(sensitive=pl.any_horizontal(pl.col(name).is_not_null() for name in apart))
