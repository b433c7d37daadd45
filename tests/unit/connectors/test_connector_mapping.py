"""From a source's row to an event: code tables, partial dates, local time, numbers as text, lists, rejects."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.lookalikes import LooseText
from connectors.conversion.mapping import RowMapper
from connectors.declared.load import parse_declaration
from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder

SECRET = "a secret of the tests only"  # noqa: S105 - protects nothing
NOW = datetime(2025, 7, 1, tzinfo=UTC)
CITIZEN = """
[source]
code = "npd"
agency = "G01"
unit_scheme = "GSO_2004"
url_env = "X"
[words.gender]
"Nam" = "MALE"
"Nữ" = "FEMALE"
[[stream]]
name = "people"
connector = "table"
subject = "citizen.changed"
table = "t"
key = ["pin"]
changed_at = "luc"
[stream.fields]
pin = "pin"
full_name = { columns = ["ho", "dem", "ten"] }
gender = { column = "gt", words = "gender" }
birth_year = { column = "ns", formats = ["%d/%m/%Y", "%m/%Y", "%Y"], part = "year" }
birth_month = { column = "ns", formats = ["%d/%m/%Y", "%m/%Y", "%Y"], part = "month" }
birth_day = { column = "ns", formats = ["%d/%m/%Y", "%m/%Y", "%Y"], part = "day" }
civil_status_doc_date = { column = "ngay", formats = ["%d%m%Y"] }
"""
ROW = {
    "pin": "000299000123",
    "luc": datetime(2025, 6, 30, 23, 59, 30),  # noqa: DTZ001 - a source's local time
    "ho": " Trần ",
    "dem": None,
    "ten": "An",
    "gt": "Nữ",
    "ns": "07/03/2099",
    "ngay": "01062025",
}
DOSSIER = """
[source]
code = "hanam"
agency = "H25"
unit_scheme = "GSO_2004"
url_env = "X"
[[stream]]
name = "progress"
connector = "outbox"
subject = "dossier.progressed"
table = "o"
key = ["id"]
changed_at = "luc"
payload = "body"
operation = { column = "op", words = { D = "REVOKE" }, default = "CREATE" }
[stream.fields]
dossier_code = "ma"
status = { path = "tt.ten", words = { "Mới" = "REGISTERED" } }
due_at = { path = "han", formats = ["%Y%m%d%H%M%S"] }
paused_seconds = "dung"
on_time = "dung_han"
step_unit = { path = "don_vi", pad = 5 }
due_history = { path = "doi_han", items = { new_due_at = { path = "moi", formats = ["%d/%m/%Y"] }, reason = "ly_do" } }
"""
BODY = {"ma": "H25-250601-0001", "tt": {"ten": "Mới"}}


def mapped(declared: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event of a row; the streams are strict where a test says so: then nothing is dropped."""
    declaration = parse_declaration(declared.encode())
    stream = declaration.streams[0]
    mapper = RowMapper(declaration, stream, load_catalogue().latest(stream.subject), SECRET)
    event = mapper.event([row[name] for name in mapper.columns], NOW)
    Encoder(stream.subject, SECRET).encode(event)
    return event


def citizen(strict: bool = False, **changes: Any) -> dict[str, Any]:
    return mapped(as_declared(CITIZEN, strict), {**ROW, **changes})


def as_declared(declared: str, strict: bool) -> str:
    return declared.replace('changed_at = "luc"\n', 'changed_at = "luc"\nstrict = true\n') if strict else declared


def dossier(body: Mapping[str, Any] | str, strict: bool = False, **changes: Any) -> dict[str, Any]:
    given = {**BODY, **body} if isinstance(body, Mapping) else body
    return mapped(as_declared(DOSSIER, strict), {"id": 7, "luc": NOW, "op": None, "body": given, **changes})


def test_mapping_gives_utc_when_source_tells_local_time() -> None:
    event = citizen()
    assert event["occurred_at"] == datetime(2025, 6, 30, 16, 59, 30, tzinfo=UTC)
    assert event["source_version"] == int(event["occurred_at"].timestamp()) * 1_000_000


def test_mapping_joins_columns_and_leaves_empty_ones_out() -> None:
    assert citizen()["full_name"] == "Trần An"


def test_mapping_keeps_leading_zeros_of_numbers() -> None:
    assert citizen()["pin"] == "000299000123"
    event = dossier({"don_vi": 4})
    assert event["step_unit"] == "00004"
    assert event["doubtful_fields"] == "step_unit PADDED LEADING_ZEROS_LOST"
    assert "doubtful_fields" not in dossier({"don_vi": 12345})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("07/03/2099", (2099, 3, 7)),
        ("00/03/2099", (2099, 3, None)),
        ("00/00/2099", (2099, None, None)),
        ("03/2099", (2099, 3, None)),
        ("2099", (2099, None, None)),
        (date(2099, 3, 7), (2099, 3, 7)),
        (None, (None, None, None)),
        ("  ", (None, None, None)),
    ],
)
def test_mapping_keeps_of_a_date_what_is_known(said: object, expected: tuple[int | None, ...]) -> None:
    event = citizen(ns=said)
    assert tuple(event.get(f"birth_{part}") for part in ("year", "month", "day")) == expected


@pytest.mark.parametrize("said", ["31/02/2099", "7-3-2099", "13/2099", "nay"])
def test_mapping_rejects_when_a_date_does_not_exist_and_the_stream_is_strict(said: str) -> None:
    with pytest.raises(Unmappable, match=RejectReason.BAD_DATE):
        citizen(strict=True, ns=said)
    event = citizen(ns=said)
    assert not {"birth_year", "birth_month", "birth_day"} & set(event)
    parts = ("year", "month", "day")
    assert event["doubtful_fields"] == "; ".join(f"birth_{part} DROPPED BAD_DATE" for part in parts)


def test_mapping_reads_packed_dates() -> None:
    assert citizen()["civil_status_doc_date"] == date(2025, 6, 1)


def test_mapping_finds_words_however_their_letters_are_composed() -> None:
    assert citizen(gt=" Nữ ")["gender"] == "FEMALE"


def test_mapping_rejects_when_a_word_is_unmapped_and_the_schema_keeps_no_raw_word() -> None:
    with pytest.raises(Unmappable) as caught:
        citizen(gt="x")
    assert (caught.value.reason, caught.value.field) == (RejectReason.UNMAPPED_WORD, "gender")
    assert "x" not in str(caught.value).split()


def test_mapping_says_unknown_and_keeps_the_word_when_the_schema_has_a_raw_field() -> None:
    event = dossier({"tt": {"ten": " Chờ ký "}})
    assert (event["status"], event["raw_status"]) == ("UNKNOWN", "Chờ ký")


def test_mapping_rejects_when_a_required_value_is_blank() -> None:
    with pytest.raises(Unmappable, match="REQUIRED_MISSING full_name"):
        citizen(ho=" ", dem="", ten=None)


def test_mapping_reads_payload_given_as_text_with_times_numbers_and_lists() -> None:
    event = dossier(
        '{"ma": "H25-1", "tt": {"ten": "Mới"}, "han": "20250701080000", "dung": "60", "dung_han": 1,'
        ' "doi_han": [{"moi": "02/07/2025", "ly_do": "nghỉ lễ"}]}'
    )
    assert event["due_at"] == datetime(2025, 7, 1, 1, tzinfo=UTC)
    assert (event["paused_seconds"], event["on_time"]) == (60, True)
    assert event["due_history"] == [{"new_due_at": "2025-07-01T17:00:00Z", "reason": "nghỉ lễ"}]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", RejectReason.BAD_PAYLOAD),
        ("[]", RejectReason.BAD_PAYLOAD),
        ({"dung": "sáu"}, RejectReason.BAD_NUMBER),
        ({"dung": Decimal("1.5")}, RejectReason.BAD_NUMBER),
        ({"dung_han": "có lẽ"}, RejectReason.BAD_BOOLEAN),
        ({"doi_han": {"moi": 1}}, RejectReason.BAD_LIST),
        ({"ma": {}}, RejectReason.BAD_TEXT),
    ],
)
def test_mapping_rejects_with_its_reason_where_it_is_strict(
    body: Mapping[str, Any] | str, reason: RejectReason
) -> None:
    with pytest.raises(Unmappable) as caught:
        dossier(body, strict=True)
    assert caught.value.reason is reason


def test_outbox_id_is_the_version_and_operations_follow_the_code_table() -> None:
    assert dossier({})["source_version"] == 7
    assert dossier({})["operation"] == "CREATE"
    assert dossier({}, op="D")["operation"] == "REVOKE"


def test_event_id_follows_from_row_version_and_operation_alone() -> None:
    first = citizen()
    assert citizen(ten="Bình")["event_id"] == first["event_id"]
    assert citizen(pin="000299000124")["event_id"] != first["event_id"]
    assert citizen(luc=NOW)["event_id"] != first["event_id"]


def test_event_id_of_the_only_stream_of_a_subject_is_what_it_always_was() -> None:
    assert citizen()["event_id"].hex() == "5546aac8af1f83fcb1f9d57f6a135577"
    other = CITIZEN.partition("[[stream]]")[2].replace("citizen.changed", "identity.changed").replace("people", "cards")
    other = other.partition("[stream.fields]")[0] + '[stream.fields]\npin = "pin"\n'
    assert mapped(f"{CITIZEN}[[stream]]{other}", ROW)["event_id"] == citizen()["event_id"]


def test_keys_that_differ_in_type_or_parts_are_never_one_row() -> None:
    declared = parse_declaration(CITIZEN.replace('key = ["pin"]', 'key = ["pin", "ten"]').encode())
    stream = declared.streams[0]
    mapper = RowMapper(declared, stream, load_catalogue().latest(stream.subject), SECRET)
    keys: list[tuple[object, object]] = [
        ("a\x1f", "b"),
        ("a", "\x1fb"),
        (r"a\x1f", "b"),
        (r"a\\x1f", "b"),
        ("1", "b"),
        (LooseText("1"), "b"),
        ("'1", "b"),
    ]
    rows = [[*map((ROW | {"pin": pin, "ten": ten}).get, mapper.columns)] for pin, ten in keys]
    assert len({mapper.row_hash(row) for row in rows}) == len(keys) - 1, "only text beside numbers has a quote"
    assert len({mapper.row_hash(row) for row in rows[:6]}) == 6
    whole = [*map((ROW | {"pin": 1, "ten": "b"}).get, mapper.columns)]
    assert mapper.row_hash(whole) == mapper.row_hash(rows[4]), "a column of one type needs no mark"


def test_rows_of_two_streams_of_a_subject_have_ids_of_their_own_though_key_and_version_are_the_same() -> None:
    stream = CITIZEN.partition("[[stream]]")[2]
    declared = parse_declaration(f"{CITIZEN}[[stream]]{stream.replace('people', 'more')}".encode())
    ids = set()
    for one in declared.streams:
        mapper = RowMapper(declared, one, load_catalogue().latest(one.subject), SECRET)
        ids.add(mapper.event([ROW[name] for name in mapper.columns], NOW)["event_id"])
    assert len(ids | {citizen()["event_id"]}) == 3


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"ho": "ế" * 200}, "full_name"), ({"pin": "1" * 51}, "pin")],
)
def test_text_that_is_longer_than_the_schema_takes_is_a_reject_and_never_cut(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unmappable) as refused:
        citizen(**changes)
    assert (refused.value.reason, refused.value.field) == (RejectReason.TOO_LONG, field)


def test_text_as_long_as_the_schema_takes_is_mapped() -> None:
    assert citizen(ho="ế" * 197)["full_name"] == "ế" * 197 + " An"


def test_text_in_a_list_that_is_too_long_is_a_reject_with_its_path_where_it_is_strict() -> None:
    body = {"doi_han": [{"moi": "01/07/2025", "ly_do": "x" * 4_001}]}
    with pytest.raises(Unmappable) as refused:
        dossier(body, strict=True)
    assert (refused.value.reason, refused.value.field) == (RejectReason.TOO_LONG, "due_history.reason")
    event = dossier(body)
    assert event["due_history"] == [{"new_due_at": "2025-06-30T17:00:00Z", "reason": None}]
    assert event["doubtful_fields"] == "due_history.reason DROPPED TOO_LONG"


def test_word_that_no_table_knows_is_not_kept_when_it_is_too_long_for_the_raw_field() -> None:
    assert dossier({"tt": {"ten": "x" * 200}})["raw_status"] == "x" * 200
    event = dossier({"tt": {"ten": "x" * 201}})
    assert (event["status"], event["raw_status"]) == ("UNKNOWN", None)
    assert event["doubtful_fields"] == "raw_status DROPPED TOO_LONG"
    with pytest.raises(Unmappable) as refused:
        dossier({"tt": {"ten": "x" * 201}}, strict=True)
    assert (refused.value.reason, refused.value.field) == (RejectReason.TOO_LONG, "raw_status")
