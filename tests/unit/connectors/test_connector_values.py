"""What a source writes is read by a closed grammar: numbers, dates, words of truth, JSON. Nothing is guessed.

The streams are strict, so that what cannot be read shows with its reason in optional fields, too.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.columns import ColumnEncoder
from connectors.conversion.mapping import RowMapper
from connectors.conversion.values import converter
from connectors.declared.load import parse_declaration
from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.codec.fields import DataClass, FieldKind, FieldSpec
from hub.model.errors import ConfigError
from hub.model.values.doubtful import DOUBTFUL
from tests.unit.connectors.test_connector_mapping import NOW, SECRET

TABLE = """
[source]
code = "hanam"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "X"
[[stream]]
name = "s"
connector = "table"
subject = "{subject}"
table = "t"
key = ["ma"]
version = "ban"
changed_at = "luc"
strict = true
{more}
[stream.fields]
{fields}
"""
PROGRESS = 'dossier_code = "ma"\nstatus = {{ constant = "REGISTERED" }}\n{0}\n'
FORMAT = 'number = { thousands = ".", decimal = "," }'


@cache
def parts_of(fields: str, more: str, subject: str) -> tuple[RowMapper, Encoder, ColumnEncoder]:
    declaration = parse_declaration(TABLE.format(subject=subject, fields=fields, more=more).encode())
    stream = declaration.streams[0]
    mapper = RowMapper(declaration, stream, load_catalogue().latest(subject), SECRET)
    encoder = Encoder(subject, SECRET)
    return mapper, encoder, ColumnEncoder(mapper, encoder)


def event_of(fields: str, value: Any, more: str = "", subject: str = "dossier.progressed", **row: Any) -> Any:
    """Return the event of a row whose column ``x`` holds the value; the page of one row must say the same."""
    mapper, encoder, columns = parts_of(fields, more, subject)
    values = {"ma": "K-1", "ban": 1, "luc": NOW, "x": value, **row}
    given = tuple(values[name] for name in mapper.columns)
    page = columns.encode([given], NOW).records
    event = mapper.event(given, NOW)
    assert page[0] is None or page[0][1] == encoder.encode(event)
    return event


def amount(value: Any, rule: str = '"x"') -> Any:
    """Return what a whole-number field has that may be below zero, too."""
    fields = f'dossier_code = "ma"\nprocedure_code = {{ constant = "1.001193" }}\ntotal_fee_vnd = {rule}\n'
    return event_of(fields, value, subject="dossier.submitted").get("total_fee_vnd")


def reason_of(call: Any, *arguments: Any, **named: Any) -> RejectReason:
    with pytest.raises(Unmappable) as caught:
        call(*arguments, **named)
    return caught.value.reason


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("15", 15), ("-15", -15), ("007", 7), (" 15 ", 15), ("15   ", 15), ("1500.00", 1500), ("2.0", 2), ("-0", 0),
        ("1234.000", 1234), ("0.000", 0), ("9223372036854775807", 2**63 - 1), ("", None), ("   ", None), (None, None),
        (15, 15), (15.0, 15), (Decimal("15.00"), 15), (Decimal("1.5E+1"), 15), (1e15, 10**15),
    ],
)  # fmt: skip
def test_a_whole_number_is_read_when_it_can_mean_one_thing(said: object, expected: int | None) -> None:
    assert amount(said) == expected


AMBIGUOUS = [
    "150.000",
    "2.000",
    "1.500",
    "-1.500",
    "1.500.000",
    "150,000",
    "1,5",
    "1 500",
    "1'500",
    "1.500,00",
    "1\u00a0500",
]
NO_NUMBER = [
    "1_500", "1e3", "1E3", "+5", "٣٤", "１５", "nan", "NaN", "inf", "infinity", "Infinity", "-Infinity", "0x10",
    "0b1", "0o7",
    "1.", ".5", "--1", "1-", "(1)", "15\t", "\u00a015", "15\n", "1\u200b5", "1\0", "\udc80", "15đ", "1e999999999",
    "9" * 5000,
    "9223372036854775808", "1.5", True, b"15", [15], {"a": 1}, date(2025, 1, 1), float("nan"), float("inf"), 1.5,
    1e300,
    Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("1.5"),
    Decimal("1E+999999999"),
    Decimal("1E-999999999"), 2**63, -(2**63) - 1,
]  # fmt: skip


@pytest.mark.parametrize("said", AMBIGUOUS)
def test_a_text_that_can_mean_two_numbers_is_refused_without_a_declared_format(said: str) -> None:
    assert reason_of(amount, said) is RejectReason.AMBIGUOUS_NUMBER


@pytest.mark.parametrize("said", NO_NUMBER, ids=lambda said: ascii(said)[:30])
def test_what_is_no_number_of_the_source_is_refused(said: object) -> None:
    assert reason_of(amount, said) is RejectReason.BAD_NUMBER


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("150.000", 150_000), ("1.500.000", 1_500_000), ("150000", 150_000), ("-1.500", -1500), ("150,000", 150),
        ("1.500,00", 1500), ("150.000 ", 150_000), (" ", None), (None, None), (150, 150), (Decimal("150.000"), 150),
    ],
)  # fmt: skip
def test_a_declared_format_is_what_a_text_means(said: object, expected: int | None) -> None:
    assert amount(said, f'{{ column = "x", {FORMAT} }}') == expected


@pytest.mark.parametrize(
    "said", ["1.50", "1.5000", "15.00.000", ".500", "1,5", "1.500,", "1 500", "1,500.00", "+1.500", "1e3"]
)
def test_a_text_in_another_than_the_declared_format_is_refused(said: str) -> None:
    assert reason_of(amount, said, f'{{ column = "x", {FORMAT} }}') is RejectReason.BAD_NUMBER


@pytest.mark.parametrize("text", ["0.500", "-0.500", "000.500", "0.500.000", "00.500,5"])
def test_zero_before_three_digits_is_a_fraction_of_another_format_and_no_thousands(text: str) -> None:
    assert reason_of(amount, text, '{ column = "x", number = { thousands = ".", decimal = "," } }') is (
        RejectReason.BAD_NUMBER
    )


def test_thousands_and_decimals_may_be_declared_alone() -> None:
    assert amount("1,500", '{ column = "x", number = { thousands = "," } }') == 1500
    assert amount("1.000", '{ column = "x", number = { decimal = "." } }') == 1
    assert reason_of(amount, "1.5", '{ column = "x", number = { thousands = "." } }') is RejectReason.BAD_NUMBER
    assert amount("1 500", '{ column = "x", number = { thousands = " " } }') == 1500


def double(value: Any, more: str = "") -> Any:
    spec = FieldSpec("x", FieldKind.DOUBLE, True, DataClass.PUBLIC, "", "")
    fields = PROGRESS.format(f'paused_seconds = {{ column = "x"{more and ", "}{more} }}')
    declared = parse_declaration(TABLE.format(subject="dossier.progressed", more="", fields=fields).encode())
    return converter(declared.streams[0].fields[-1], spec, UTC)(value)


@pytest.mark.parametrize(
    ("said", "rule", "expected"),
    [
        ("21.02", "", 21.02), ("21.0285", "", 21.0285), ("-0.5", "", -0.5), ("21", "", 21.0), (" ", "", None),
        (Decimal("21.028"), "", 21.028), (21.028, "", 21.028), (7, "", 7.0), ("21,028", FORMAT, 21.028),
        ("21.028", 'number = { decimal = "." }', 21.028),
    ],
)  # fmt: skip
def test_a_double_is_the_nearest_of_what_is_written(said: object, rule: str, expected: float | None) -> None:
    assert double(said, rule) == expected


NOT_FINITE = ["nan", "inf", float("nan"), float("-inf"), Decimal("NaN"), Decimal("1E+400"), 10**400]


@pytest.mark.parametrize("said", [*NOT_FINITE, "1_0", "1e3", "+1", "٣", "1e400", True], ids=ascii)
def test_what_is_no_finite_number_is_no_double(said: object) -> None:
    assert reason_of(double, said) is RejectReason.BAD_NUMBER
    assert reason_of(double, "21.028") is RejectReason.AMBIGUOUS_NUMBER


FEES = 'due_history = { column = "x", items = { new_due_at = "moi", reason = "ly_do" } }'


def test_a_number_inside_a_list_is_of_the_same_grammar() -> None:
    fee = 'code_format = { constant = "NATIONAL" }\nprocedure_code = { constant = "1.001" }\ndossier_code = "ma"\n'
    fee += 'fees = { column = "x", items = { name = "ten", amount_vnd = %s } }'
    plain, declared = fee % '"so"', fee % f'{{ path = "so", {FORMAT} }}'

    def amount(fields: str, document: str) -> Any:
        return event_of(fields, document, subject="dossier.submitted")["fees"][0]["amount_vnd"]

    assert reason_of(amount, plain, '[{"ten": "a", "so": "150.000"}]') is RejectReason.AMBIGUOUS_NUMBER
    assert reason_of(amount, plain, '[{"ten": "a", "so": 1e5000}]') is RejectReason.BAD_NUMBER
    assert amount(declared, '[{"ten": "a", "so": "150.000"}]') == 150_000
    assert amount(plain, '[{"ten": "a", "so": 150.000}]') == 150


def test_version_in_text_is_read_by_the_same_grammar() -> None:
    assert event_of(PROGRESS.format(""), None, ban="15 ")["source_version"] == 15
    for said, reason in (("1.500", "AMBIGUOUS_NUMBER"), ("1_500", "BAD_NUMBER"), (Decimal("Infinity"), "BAD_NUMBER")):
        assert reason_of(event_of, PROGRESS.format(""), None, ban=said) == reason


def test_problem_of_version_time_and_deletion_names_what_it_is_about() -> None:
    more = 'deleted = "xoa"'
    for column, value, field in (
        ("ban", "x", "source_version"),
        ("luc", "x", "occurred_at"),
        ("xoa", "x", "operation"),
    ):
        row: dict[str, Any] = {"xoa": None, column: value}
        with pytest.raises(Unmappable) as caught:
            event_of(PROGRESS.format(""), None, more, **row)
        assert caught.value.field == field


@pytest.mark.parametrize(
    "form", ['"x"', '{ thousands = "x" }', '{ thousands = ".", decimal = "." }', "{}", '{ decimal = " " }', "{ a = 1 }"]
)
def test_a_wrong_number_format_is_told(form: str) -> None:
    fields = PROGRESS.format(f'paused_seconds = {{ column = "x", number = {form} }}')
    with pytest.raises(ConfigError, match="number"):
        parse_declaration(TABLE.format(subject="dossier.progressed", fields=fields, more="").encode())


def operation(value: Any, deleted: str = '"x"') -> Any:
    return event_of(PROGRESS.format(""), value, more=f"deleted = {deleted}")["operation"]


@pytest.mark.parametrize(
    "said", ["N", "n", "no", "No", "off", "0", "false", "F", "N  ", "", "  ", None, 0, False, 0.0, Decimal(0)]
)
def test_a_row_is_not_deleted_when_its_column_says_no(said: object) -> None:
    assert operation(said) == "UPDATE"


@pytest.mark.parametrize(
    "said",
    ["Y", "yes", "on", "1", "true", "T", "Y  ", 1, True, Decimal(1), NOW, date(2025, 7, 1), "2025-07-01 10:00:00"],
)
def test_a_row_is_deleted_when_its_column_says_yes_or_when(said: object) -> None:
    assert operation(said) == "REVOKE"


NO_TRUTH = [
    "X",
    "xóa",
    "có",
    "không",
    "2",
    2,
    -1,
    "deleted",
    "infinity",
    "0000-00-00",
    "-",
    "none",
    "null",
    b"\1",
    [],
    0.5,
    "\0",
]


@pytest.mark.parametrize("said", NO_TRUTH, ids=ascii)
def test_a_word_that_is_neither_yes_nor_no_deletes_nothing_and_is_refused(said: object) -> None:
    assert reason_of(operation, said) is RejectReason.BAD_BOOLEAN


def test_declared_words_of_deletion_are_all_that_deletes() -> None:
    declared = '{ column = "x", values = ["Hủy", "X"] }'
    assert [operation(said, declared) for said in ("Hủy", "Hủy", "X ", "Y", "1", True, None)] == ["REVOKE"] * 3 + [
        "UPDATE"
    ] * 4


DELETED_IF_YES = '{ column = "x", values = ["1"] }'
DELETED_IF_NO = '{ column = "x", values = ["N"] }'


@pytest.mark.parametrize(
    "said", [True, 1, 1.0, Decimal("1.00"), "1", "1 ", "t", "T", "true", "Y", "yes", "on"], ids=ascii
)
def test_a_declared_one_deletes_whatever_says_yes_in_the_columns_own_type(said: object) -> None:
    assert operation(said, DELETED_IF_YES) == "REVOKE"
    assert operation(said, DELETED_IF_NO) == "UPDATE"


@pytest.mark.parametrize(
    "said", [False, 0, 0.0, Decimal("0.00"), "0", "0 ", "f", "F", "false", "N", "n  ", "off"], ids=ascii
)
def test_a_declared_no_deletes_whatever_says_no_in_the_columns_own_type(said: object) -> None:
    assert operation(said, DELETED_IF_YES) == "UPDATE"
    assert operation(said, DELETED_IF_NO) == "REVOKE"


@pytest.mark.parametrize("said", [None, "", "   "])
def test_no_value_deletes_nothing(said: object) -> None:
    assert operation(said, DELETED_IF_YES) == operation(said, DELETED_IF_NO) == "UPDATE"


@pytest.mark.parametrize("said", ["Hủy bỏ", "2", 2, 0.5, "xóa", NOW, date(2025, 7, 1), "infinity"], ids=ascii)
@pytest.mark.parametrize("declared", [DELETED_IF_YES, DELETED_IF_NO, '{ column = "x", values = ["Hủy"] }'])
def test_an_undeclared_word_of_a_column_with_declared_words_is_a_reject(said: object, declared: str) -> None:
    assert reason_of(operation, said, declared) is RejectReason.UNMAPPED_WORD


def test_words_of_living_rows_are_declared_beside_those_of_deleted_ones() -> None:
    declared = '{ column = "x", values = ["Hủy", "B"], alive = ["Đang xử lý", "Y"] }'
    assert [operation(said, declared) for said in ("Hủy", "B ", "Đang xử lý", "Y", True)] == ["REVOKE"] * 2 + [
        "UPDATE"
    ] * 3
    # whether the opposite of a living word deletes, the declaration does not say
    assert reason_of(operation, False, declared) is RejectReason.UNMAPPED_WORD
    assert reason_of(operation, "t", '{ column = "x", values = ["1"], alive = ["Y"] }') is RejectReason.UNMAPPED_WORD


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('{ column = "x", alive = ["A"] }', "alive goes with values"),
        ('{ column = "x", values = ["A"], alive = ["B", "A"] }', "values and alive both have A"),
        ('{ column = "x", others = ["A"] }', "{ column, values, alive }"),
    ],
)
def test_a_wrong_declaration_of_deletion_is_told(declared: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        operation("A", declared)


@pytest.mark.parametrize(
    ("said", "expected"), [("Y", True), ("off", False), ("T", True), (0, False), (" ", None), (1.0, True)]
)
def test_a_boolean_field_reads_the_same_words(said: object, expected: bool | None) -> None:
    assert event_of(PROGRESS.format('on_time = "x"'), said).get("on_time") is expected


@pytest.mark.parametrize("said", [*NO_TRUTH, NOW, "2025-07-01"], ids=ascii)
def test_a_boolean_field_refuses_other_words(said: object) -> None:
    assert reason_of(event_of, PROGRESS.format('on_time = "x"'), said) is RejectReason.BAD_BOOLEAN


def due(value: Any, rule: str = '"x"') -> Any:
    return event_of(PROGRESS.format(f"due_at = {rule}"), value).get("due_at")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2025-07-01", datetime(2025, 6, 30, 17, tzinfo=UTC)),
        ("2025-07-01 08:00", datetime(2025, 7, 1, 1, tzinfo=UTC)),
        ("2025-07-01T08:00:00.5", datetime(2025, 7, 1, 1, 0, 0, 500_000, tzinfo=UTC)),
        ("2025-07-01 08:00:00.1234567", datetime(2025, 7, 1, 1, 0, 0, 123_456, tzinfo=UTC)),
        ("2025-07-01T08:00:00Z", datetime(2025, 7, 1, 8, tzinfo=UTC)),
        ("2025-07-01 08:00:00+07", datetime(2025, 7, 1, 1, tzinfo=UTC)),
        ("2025-07-01 08:00:00 +07:00", datetime(2025, 7, 1, 1, tzinfo=UTC)),
        ("1900-01-01 00:00:00+07:06:30", datetime(1899, 12, 31, 16, 53, 30, tzinfo=UTC)),
        ("20250701T080000", datetime(2025, 7, 1, 1, tzinfo=UTC)),
        ("2099-12-31 23:59:59.999999", datetime(2099, 12, 31, 16, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_iso_and_databases_write_it(said: str, expected: datetime) -> None:
    assert due(said) == expected


NO_TIME = [
    "infinity", "-infinity", "20250-07-01", "0044-03-15 BC", "2025-07-01 24:00:00", "2025-06-30 23:59:60",
    "0000-00-00",
    "0000-00-00 00:00:00", "2025-02-30", "2025-W27-2", "2025-07-01T08", "2025-07-01 08:00:00+24:00", "1751328000",
    1751328000,
    2460857.5, "08:00:00", "٢٠٢٥-07-01", "2025-07-01 08:00:00 ICT", "hôm nay", "\udc80", "2025-07-01\0", True,
    b"2025-07-01", [],
    Decimal("NaN"), "0001-01-01 00:00:00", "9" * 1000,
    "2025-07-01T08:00:00+07:60", "2025-07-01T08:00:00+07:00:60", "2025-07-01T08:00:00+23:59",
    datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh")),
    datetime(9999, 12, 31, 23, tzinfo=ZoneInfo("America/New_York")),
]  # fmt: skip


@pytest.mark.parametrize("said", NO_TIME, ids=lambda said: ascii(said)[:30])
def test_what_is_no_time_that_an_event_can_hold_is_refused(said: object) -> None:
    assert reason_of(due, said) is RejectReason.BAD_DATE


def test_a_day_of_an_instant_beyond_the_calendar_of_its_place_is_refused() -> None:
    day = 'civil_status_doc_date = "x"'
    person = f'pin = {{ constant = "000299000123" }}\nfull_name = {{ constant = "A" }}\n{day}\n'
    late = datetime(9999, 12, 31, 23, tzinfo=UTC)  # already the next year in Hà Nội
    assert reason_of(event_of, person, late, subject="citizen.changed") is RejectReason.BAD_DATE
    assert reason_of(event_of, person, late.isoformat(), subject="citizen.changed") is RejectReason.BAD_DATE


def test_a_time_with_a_declared_format_beyond_the_calendar_is_refused() -> None:
    assert reason_of(due, "01/01/0001", '{ column = "x", formats = ["%d/%m/%Y"] }') is RejectReason.BAD_DATE


def test_parts_of_dates_are_of_the_same_grammar() -> None:
    person = 'pin = { constant = "000299000123" }\nfull_name = { constant = "A" }\n'
    person += 'birth_year = { column = "x", part = "year" }\n'
    for said in ("1_985", "+198", "١٩٨٥", " 19 85", "0000", "20250", 1.5, "infinity", True, [1985]):
        assert reason_of(event_of, person, said, subject="citizen.changed") is RejectReason.BAD_DATE
    for known in ("1985", 1985, Decimal(1985), 1985.0, "1985-00-00", "1985-06", date(1985, 6, 1)):
        assert event_of(person, known, subject="citizen.changed")["birth_year"] == 1985


def unit(value: Any, rule: str = '"x"') -> Any:
    return event_of(PROGRESS.format(f"step_unit = {rule}"), value).get("step_unit")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Decimal("1.23456789012345678901234567890123"), "1.23456789012345678901234567890123"),
        (Decimal("1500.00"), "1500"), (Decimal("-0.0"), "0"), (Decimal("1E+30"), "1" + "0" * 30), (1e22,
        "1" + "0" * 22),
        (1e-7, "0.0000001"), (0.1, "0.1"), (2.0, "2"), (10**30, "1" + "0" * 30), (True, "true"),
    ],
)  # fmt: skip
def test_a_number_in_a_text_field_keeps_all_its_digits(said: object, expected: str) -> None:
    assert unit(said) == expected


@pytest.mark.parametrize(
    "said", [Decimal("NaN"), Decimal("Infinity"), float("nan"), float("-inf"), Decimal("1E+999999999")]
)
def test_what_is_no_number_is_no_text_either(said: object) -> None:
    assert reason_of(unit, said) is RejectReason.BAD_NUMBER


@pytest.mark.parametrize("said", [b"a", bytearray(b"a"), [1], (1,), {"a": 1}, {1}])
def test_what_is_no_text_is_refused(said: object) -> None:
    assert reason_of(unit, said) is RejectReason.BAD_TEXT


OUTBOX = """
[source]
code = "hanam"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "X"
[[stream]]
name = "o"
connector = "outbox"
subject = "dossier.progressed"
table = "hop"
key = ["id"]
changed_at = "luc"
payload = "noi"
strict = true
[stream.fields]
dossier_code = "ma"
status = { constant = "REGISTERED" }
paused_seconds = "dung"
due_history = { path = "han", items = { reason = "ly_do", new_due_at = "moi" } }
"""


def said_in_json(document: str | Mapping[str, Any], declared: str = OUTBOX) -> Any:
    declaration = parse_declaration(declared.encode())
    stream = declaration.streams[0]
    mapper = RowMapper(declaration, stream, load_catalogue().latest(stream.subject), SECRET)
    row = {"id": 7, "luc": NOW, "noi": document}
    event = mapper.event([row[name] for name in mapper.columns], NOW)
    Encoder(stream.subject, SECRET).encode(event)
    return event


@pytest.mark.parametrize(
    "number",
    [
        "1e5000",
        "1e999999999",
        "-1e999999999",
        "1e9999999999999999999999",
        "1e-999999999",
        "9" * 5000,
        "1.5",
        '"150.0000001"',
        "true",
    ],
    ids=lambda number: number[:30],
)
def test_a_number_in_json_that_no_field_holds_costs_nothing_and_is_refused(number: str) -> None:
    assert reason_of(said_in_json, f'{{"ma": "K", "dung": {number}}}') is RejectReason.BAD_NUMBER


@pytest.mark.parametrize("number", ["1e5000", "-1e999999999", "9" * 5000], ids=lambda number: number[:30])
def test_a_number_that_cannot_be_read_refuses_the_row_and_one_that_breaks_a_rule_is_dropped(number: str) -> None:
    lenient = OUTBOX.replace("strict = true\n", "")
    assert lenient != OUTBOX
    assert reason_of(said_in_json, f'{{"ma": "K", "dung": {number}}}', lenient) is RejectReason.BAD_NUMBER
    dropped = said_in_json('{"ma": "K", "dung": 1.5}', lenient)
    assert (dropped.get("paused_seconds"), dropped[DOUBTFUL]) == (None, "paused_seconds DROPPED BAD_NUMBER")


def test_a_number_in_json_text_is_of_the_same_grammar_as_in_a_column() -> None:
    assert reason_of(said_in_json, '{"ma": "K", "dung": "150.000"}') is RejectReason.AMBIGUOUS_NUMBER
    assert reason_of(said_in_json, '{"ma": "K", "dung": "1_500"}') is RejectReason.BAD_NUMBER
    assert said_in_json('{"ma": "K", "dung": 150.000}')["paused_seconds"] == 150
    assert said_in_json('{"ma": "K", "dung": 1.5e2}')["paused_seconds"] == 150
    assert said_in_json('{"ma": "K", "dung": 0e999999999}')["paused_seconds"] == 0


def test_a_number_that_no_field_asks_for_holds_nothing_up() -> None:
    assert said_in_json('{"ma": "K", "khac": 1e999999999, "dai": ' + "9" * 5000 + "}")["dossier_code"] == "K"


@pytest.mark.parametrize(
    "document",
    ["[" * 100_000, '{"a":' * 100_000, "NaN", '{"ma": "K", "dung": NaN}', '{"ma": "K", "dung": Infinity}', "",
    "null", "7"]
    , ids=lambda document: document[:20],
)  # fmt: skip
def test_what_is_no_json_object_is_no_payload(document: str) -> None:
    assert reason_of(said_in_json, document) is RejectReason.BAD_PAYLOAD


@pytest.mark.parametrize("given", ["0", "false", "7", '"x"', "[1]", "[[1]]", '{"a": 1}'])
def test_what_is_no_list_of_objects_is_no_list(given: str) -> None:
    assert reason_of(said_in_json, f'{{"ma": "K", "han": {given}}}') is RejectReason.BAD_LIST


def test_an_empty_list_is_none() -> None:
    for said in ("null", "[]", "{}", '""', '"  "'):
        assert "due_history" not in said_in_json(f'{{"ma": "K", "han": {said}}}')


_PLAIN = re.compile(r" *-?[0-9]+(\.[0-9]+)? *")


@given(st.text(alphabet="0123456789.,-+ _eE'", max_size=12))
def test_any_text_of_digits_is_its_one_meaning_or_is_refused(text: str) -> None:
    thousands = re.fullmatch(r" *-?[1-9][0-9]{0,2}\.[0-9]{3} *", text)
    is_plain = _PLAIN.fullmatch(text) and not thousands
    expected = Decimal(text.strip()) if is_plain else None
    if not text.strip():
        assert amount(text) is None
    elif expected is not None and expected == expected.to_integral_value():
        assert amount(text) == int(expected)
    else:
        assert reason_of(amount, text) in (RejectReason.BAD_NUMBER, RejectReason.AMBIGUOUS_NUMBER)


@given(
    st.one_of(
        st.text(), st.binary(), st.floats(), st.decimals(), st.integers(), st.datetimes(), st.dates(), st.times(),
        st.timedeltas(),
        st.uuids(), st.complex_numbers(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()),
        st.just(object()),
    )
)  # fmt: skip
def test_any_value_becomes_an_event_or_a_reason_in_every_kind_of_field(value: Any) -> None:
    rules = (
        'paused_seconds = "x"', 'on_time = "x"', 'due_at = "x"', 'step_unit = "x"', FEES,
        'step_unit = { column = "x", pad = 5 }',
        'due_at = { column = "x", formats = ["%d/%m/%Y %H:%M:%S", "%Y%m%d"] }',
        f'paused_seconds = {{ column = "x", {FORMAT} }}',
        'step_unit = { columns = ["x", "x"] }', 'on_time = { column = "x", words = { C = true } }',
    )  # fmt: skip
    for rule in rules:
        try:
            event = event_of(PROGRESS.format(rule), value)
            said = event["dossier_code"]
        except Unmappable as problem:
            said = problem.reason
        assert said == "K-1" or (isinstance(said, RejectReason) and said is not RejectReason.BAD_VALUE)
