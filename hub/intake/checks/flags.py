"""Quality flags of a subject's rows, column-wise: one bit mask per row, null if there is no doubt.

Flags depend on the event alone, not on stored data or the worker's clock. So an event that is read again has the same
flags. The names in the schema decide which fields are examined; a column with only nulls costs nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.dossiers.status import BACKWARD, BLANKS
from hub.model.envelope import FULL_READ, Operation, UnitScheme
from hub.model.flags import NEW_CODES_FROM, Flag
from hub.model.pin import FIRST_CENTURY, FIRST_FOREIGN_PREFIX, INVENTED_PREFIXES, PLACEHOLDER, PROVINCE_PREFIXES
from hub.model.policies.quality import QualityRules
from hub.model.values.doubtful import DOUBTFUL, Done
from hub.model.values.kinds import Why
from hub.warehouse.copy import filled

_Doubt = tuple[Flag, pl.Expr]

_PIN = r"^[0-9]{12}$"
_CMND = r"^[0-9]{9}$"
_DOSSIER_CODE = r"^[0-9A-Z.]{3,35}-[0-9]{6}-[0-9]{4,6}$"
_PLACEHOLDER_TITLE = r'(?i)"name": ?"dinh ?kem[0-9]*(\.[a-z]{3,4})?"'
_COMBINING = "[\u0300-\u036f]"
_PARTIAL_DATES = ("birth", "life_status")
_BEGINS_AND_ENDS = (
    ("valid_from", "valid_to"),
    ("from_date", "to_date"),
    ("issue_date", "expiry_date"),
    ("received_at", "finished_at"),
    ("received_at", "due_at"),
    ("finished_at", "returned_at"),
)
_PAST = (
    "submitted_at",
    "received_at",
    "finished_at",
    "returned_at",
    "rejected_at",
    "paid_at",
    "verified_at",
    "eid_activated_at",
)
_WITHOUT_DUE_DATE = ("ACCEPTED", "IN_PROCESS", "SUPPLEMENT_REQUESTED", "PAYMENT_REQUIRED")
_NUMBERS = ("cmnd9", "si_number_legacy")


def with_flags(frame: pl.DataFrame, version: SchemaVersion, rules: QualityRules) -> pl.DataFrame:
    """Add ``flags`` (Int32, null if none).

    Args:
        frame: rows that passed the checks; needs ``occurred_at``, ``recorded_at``, ``operation``, ``unit_scheme``,
            ``causation_id`` and the data fields of ``version``.
        version: the schema with which they were read.
        rules: limits, from the policy.
    """
    if frame.is_empty():
        return frame.with_columns(flags=pl.lit(None, pl.Int32))
    looks = _looks(version, frozenset(filled(frame)), rules)
    found = frame.with_columns(looks.numbers).select(looks.doubts)
    standing = [(flag, column) for flag, column in zip(looks.flags, found.iter_columns(), strict=True) if column.any()]
    return frame.with_columns(_mask(standing, frame.height).alias("flags"))


@dataclass(frozen=True, slots=True)
class _Looks:
    """The expressions to evaluate: first PINs as numbers, then a column for each doubt, and the flag of each."""

    numbers: tuple[pl.Expr, ...]
    doubts: tuple[pl.Expr, ...]
    flags: tuple[Flag, ...]


@lru_cache(maxsize=1024)
def _looks(version: SchemaVersion, filled: frozenset[str], rules: QualityRules) -> _Looks:
    """Return the expressions to evaluate; cached, because batches of a subject usually have the same fields filled."""
    present = _Present.of(version, filled)
    numbers = tuple(_number_of(name) for name in present.pins)
    told = [*_doubts(present, rules), *(_doubts_of_notes() if DOUBTFUL in filled else ())]
    doubts = [(flag, doubt) for flag, doubt in told if not flag & rules.off]
    columns = tuple(doubt.fill_null(False).alias(str(place)) for place, (_, doubt) in enumerate(doubts))
    return _Looks(numbers, columns, tuple(flag for flag, _ in doubts))


def _mask(standing: Sequence[tuple[Flag, pl.Series]], rows: int) -> pl.Series:
    if not standing:
        return pl.Series([None], dtype=pl.Int32).new_from_index(0, rows)
    mask = reduce(or_, (column.cast(pl.Int32) * int(flag) for flag, column in standing))
    return mask.set(mask == 0, None)


@dataclass(frozen=True, slots=True)
class _Present:
    """The fields that have a value in some row, by name; in other fields there is nothing to flag."""

    fields: dict[str, FieldSpec]

    @classmethod
    def of(cls, version: SchemaVersion, filled: Collection[str]) -> "_Present":
        return cls({spec.name: spec for spec in version.data_fields if spec.name in filled})

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    @property
    def pins(self) -> list[str]:
        """Names of fields that hold a PIN: ``pin`` has twelve digits, or the row was refused; others hold any text."""
        return [*(["pin"] if "pin" in self else []), *self.ending_in("_pin")]

    def ending_in(self, *ends: str) -> list[str]:
        return [name for name, spec in self.fields.items() if spec.kind is FieldKind.STRING and name.endswith(ends)]


def _doubts(present: _Present, rules: QualityRules) -> Iterator[_Doubt]:
    yield from _doubts_of_times(present, rules)
    yield from _doubts_of_pins(present, rules)
    yield from _doubts_of_numbers(present)
    yield from _doubts_of_dates(present, rules)
    yield from _doubts_of_codes(present)
    yield from _doubts_of_words(present)


def _doubts_of_times(present: _Present, rules: QualityRules) -> Iterator[_Doubt]:
    occurred, recorded = pl.col("occurred_at"), pl.col("recorded_at")
    is_late = recorded - occurred > pl.lit(rules.late_after)
    is_full_read = pl.col("causation_id").fill_null("") == FULL_READ
    yield Flag.LATE, is_late & (pl.col("operation") != Operation.SNAPSHOT.value) & ~is_full_read
    latest = recorded + pl.lit(rules.future_tolerance)
    yield Flag.TIME_IN_FUTURE, occurred > latest
    for name in _PAST:
        if name in present:
            yield Flag.TIME_IN_FUTURE, pl.col(name) > latest
    for begin, end in _BEGINS_AND_ENDS:
        if begin in present and end in present:
            yield Flag.DATES_OUT_OF_ORDER, pl.col(end) < pl.col(begin)


def _number_of(pin: str) -> pl.Expr:
    """Return a PIN as a number, for arithmetic on its digits; null if it is not twelve digits."""
    text = pl.col(pin)
    digits = text if pin == "pin" else pl.when(text.str.contains(_PIN)).then(text)
    return digits.cast(pl.Int64, strict=False).alias(_number_name(pin))


def _number_name(pin: str) -> str:
    return f"_{pin}_number"


def _doubts_of_pins(present: _Present, rules: QualityRules) -> Iterator[_Doubt]:
    known = PROVINCE_PREFIXES | INVENTED_PREFIXES if rules.invented_pins else PROVINCE_PREFIXES
    for name in present.pins:
        number = pl.col(_number_name(name))
        # A digit that is repeated twelve times is a multiple of twelve ones.
        yield Flag.PLACEHOLDER_ID, (number <= 1) | (number % 111_111_111_111 == 0)
        prefix = number // 10**9
        is_known = prefix.is_in([int(code) for code in sorted(known)]) | (prefix >= FIRST_FOREIGN_PREFIX)
        yield Flag.PIN_PREFIX_UNKNOWN, ~is_known
    for name in present.ending_in("_pin"):
        text = pl.col(name)
        is_cmnd = text.str.contains(_CMND)
        yield Flag.CMND9_IN_PIN_FIELD, is_cmnd
        yield Flag.PLACEHOLDER_ID, text.str.contains(PLACEHOLDER)
        yield Flag.PIN_FORMAT_OTHER, text.is_not_null() & pl.col(_number_name(name)).is_null() & ~is_cmnd
    yield from _disagreements(present, "pin", "gender", "birth_year")
    yield from _disagreements(present, "applicant_pin", "", "applicant_birth_year")


def _disagreements(present: _Present, pin: str, gender: str, birth_year: str) -> Iterator[_Doubt]:
    number = pl.col(_number_name(pin))
    digit = number // 10**8 % 10
    if pin in present and gender in present:
        said = pl.col(gender)
        yield Flag.PIN_MISMATCH, ((said == "MALE") & (digit % 2 == 1)) | ((said == "FEMALE") & (digit % 2 == 0))
    if pin in present and birth_year in present:
        year = FIRST_CENTURY + 100 * (digit // 2) + number // 10**6 % 100
        yield Flag.PIN_MISMATCH, pl.col(birth_year) != year


def _doubts_of_numbers(present: _Present) -> Iterator[_Doubt]:
    for name in _NUMBERS:
        if name in present:
            yield Flag.PLACEHOLDER_ID, pl.col(name).str.contains(PLACEHOLDER)


def _doubts_of_dates(present: _Present, rules: QualityRules) -> Iterator[_Doubt]:
    for name in _PARTIAL_DATES:
        year, month, day = (f"{name}_{part}" for part in ("year", "month", "day"))
        if month in present:
            yield Flag.IMPOSSIBLE_DATE, pl.col(month).is_not_null() & pl.col(year).is_null()
        if day in present:
            is_in_month = pl.col(day) <= _days_in(pl.col(year), pl.col(month))
            yield Flag.IMPOSSIBLE_DATE, pl.col(day).is_not_null() & ~is_in_month.fill_null(False)
    if "birth_year" in present:
        is_partial = pl.col("birth_month").is_null() | pl.col("birth_day").is_null()
        yield Flag.PARTIAL_BIRTH_DATE, pl.col("birth_year").is_not_null() & is_partial
        if not rules.invented_pins:
            yield Flag.TIME_IN_FUTURE, pl.col("birth_year") > pl.col("recorded_at").dt.year()
    if "life_status_year" in present:
        yield Flag.TIME_IN_FUTURE, pl.col("life_status_year") > pl.col("recorded_at").dt.year()


def _days_in(year: pl.Expr, month: pl.Expr) -> pl.Expr:
    """Return the days of a month; null if year or month is. A real date would fail on the first impossible one."""
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    of_february = pl.when(is_leap).then(29).otherwise(28)
    return (
        pl.when(year.is_null() | month.is_null())
        .then(None)
        .when(month == 2)
        .then(of_february)
        .when(month.is_in([4, 6, 9, 11]))
        .then(30)
        .otherwise(31)
    )


def _doubts_of_codes(present: _Present) -> Iterator[_Doubt]:
    codes = [name for name in present.ending_in("commune_code", "province_code") if not name.startswith("recode_from_")]
    if codes:
        names_unit = pl.any_horizontal(pl.col(name).is_not_null() for name in codes)
        is_new = pl.col("unit_scheme") == UnitScheme.GSO_2025.value
        is_after = pl.col("occurred_at") >= pl.lit(NEW_CODES_FROM)
        yield Flag.CODE_SCHEME_MISMATCH, names_unit & (is_new != is_after)
    if "dossier_code" in present:
        yield Flag.CODE_FORMAT_OTHER, ~pl.col("dossier_code").str.contains(_DOSSIER_CODE)
    if "documents" in present:
        yield Flag.PLACEHOLDER_TEXT, pl.col("documents").str.contains(_PLACEHOLDER_TITLE)


def _doubts_of_words(present: _Present) -> Iterator[_Doubt]:
    for name in present.ending_in("name"):
        yield Flag.NAME_NOT_NFC, pl.col(name).str.contains(_COMBINING)
    for name, spec in present.fields.items():
        if spec.kind is FieldKind.ENUM:
            yield Flag.UNKNOWN_ENUM, pl.col(name) == "UNKNOWN"
    if "status" in present:
        is_under_way = pl.col("status").is_in(_WITHOUT_DUE_DATE)
        yield Flag.NO_DUE_DATE, is_under_way & pl.col("due_at").is_null()
    if "previous_status" in present:
        yield Flag.BACKWARD_STATUS, _is_unexplained_move_back()


def _doubts_of_notes() -> Iterator[_Doubt]:
    notes = pl.col(DOUBTFUL).str
    yield Flag.FIELD_DROPPED, notes.contains(f" {Done.DROPPED} ", literal=True)
    yield Flag.LEADING_ZEROS_LOST, notes.contains(f" {Why.LEADING_ZEROS_LOST}", literal=True)


def _is_unexplained_move_back() -> pl.Expr:
    """Compare with the previous status that the source itself states; the merge compares with what the hub knows."""
    moved = pl.concat_str("previous_status", "status", separator=">").is_in([f"{old}>{new}" for old, new in BACKWARD])
    has_reason = pl.col("status_reason").fill_null("").str.strip_chars(BLANKS) != ""
    return moved & ~((pl.col("operation") == Operation.CORRECT.value) & has_reason)
