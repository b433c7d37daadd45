"""The catalogue of procedures is read from a CSV and from the national portal's own answer."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hub.model.errors import ConfigError
from hub.operate.procedures.reading import CatalogueFile, read_file

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "docs" / "examples" / "lay-thu-tuc.json"
ONE = {"MATTHC": "2.000889", "TENTTHC": "Cấp phép"}


def read(tmp_path: Path, document: Any) -> CatalogueFile:
    """Read a document as a file."""
    path = tmp_path / "thu-tuc.json"
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return read_file(path)


def test_portals_answer_fills_the_fields_that_it_has() -> None:
    found = read_file(SAMPLE)
    (row,) = found.rows
    assert {name: value for name, value in row.items() if value is not None} == {
        "procedure_code": "1.001193",
        "procedure_code_base": "1.001193",
        "name": "Đăng ký khai sinh",
        "field_code": "G15-TP01",
        "field_name": "Hộ tịch",
        "level": "COMMUNE",
        "executing_agency": "H42",
        "executing_agency_name": "Ủy ban nhân dân cấp xã",
        "channels": [
            {"channel": "DIRECT", "duration": 1, "duration_unit": "WORKING_DAY", "fee_vnd": 0},
            {"channel": "ONLINE", "duration": 1, "duration_unit": "WORKING_DAY", "fee_vnd": None},
        ],
        "components": [
            {
                "code": "000.00.00.G15-KQ0001",
                "name": "Tờ khai đăng ký khai sinh",
                "copies": None,
                "form_url": "https://portal.example/to-khai.docx",
            }
        ],
        "results": [{"code": "000.00.00.G15-KQ0002", "name": "Giấy khai sinh"}],
        "applicants": [{"applicant_type": "CITIZEN"}],
        "legal_documents": [{"number": "60/2014/QH13", "name": "Luật Hộ tịch"}],
        "state": "PUBLISHED",
    }
    assert found.left_empty == ()


@pytest.mark.parametrize(
    "document",
    [
        {"error_code": "00", "result": [ONE, {**ONE, "MATTHC": "2.000890"}]},
        {"result": [{"MaTTHC": "2.000889", "TenTTHC": "Cấp phép"}, {**ONE, "MATTHC": "2.000890"}]},
        [{"result": [ONE]}, {"result": [{**ONE, "MATTHC": "2.000890"}]}],
        [ONE, {**ONE, "MATTHC": "2.000890"}],
        {"message": json.dumps({"result": [ONE, {**ONE, "MATTHC": "2.000890"}]})},
    ],
    ids=["list of procedures", "other capitals", "answers one by one", "procedures alone", "a gateway's envelope"],
)
def test_every_form_of_the_answer_is_read(tmp_path: Path, document: Any) -> None:
    found = read(tmp_path, document)
    assert [(row["procedure_code"], row["name"]) for row in found.rows] == [
        ("2.000889", "Cấp phép"),
        ("2.000890", "Cấp phép"),
    ]


@pytest.mark.parametrize(
    ("more", "field", "expected"),
    [
        ({"CAPTHUCHIEN": [{"TENCAP": "Cấp Bộ"}]}, "level", "MINISTRY"),
        ({"CAPTHUCHIEN": [{"TENCAP": "cấp tỉnh"}]}, "level", "PROVINCE"),
        ({"YEUCAU": "  Có hộ khẩu "}, "requirements", "Có hộ khẩu"),
        ({"LINHVUCTHUCHIEN": {"MALINHVUC": "G1"}}, "field_code", "G1"),
    ],
)
def test_value_of_the_portal_becomes_the_hubs(tmp_path: Path, more: Any, field: str, expected: Any) -> None:
    (row,) = read(tmp_path, [{**ONE, **more}]).rows
    assert row[field] == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [("50.000", 50_000), ("1.500.000", 1_500_000), (50000.0, 50_000), ("50000", 50_000), ("Không", 0), ("", None)],
)
def test_fee_is_read_as_the_portal_writes_it(tmp_path: Path, said: Any, expected: int | None) -> None:
    ways = [{"KENH": 3, "THOIGIAN": [{"PHILEPHI": [{"SOTIEN": said}]}]}]
    (row,) = read(tmp_path, [{**ONE, "CACHTHUCTHUCHIEN": ways}]).rows
    assert row["channels"] == [{"channel": "POSTAL", "duration": None, "duration_unit": None, "fee_vnd": expected}]


@pytest.mark.parametrize(
    ("more", "field", "why"),
    [
        ({"CAPTHUCHIEN": [{"TENCAP": "Cấp Huyện"}]}, "level", "Cấp Huyện"),
        ({"CAPTHUCHIEN": [{"TENCAP": "Cấp Xã"}, {"TENCAP": "Cấp Tỉnh"}]}, "level", "several"),
        ({"COQUANTHUCHIEN": [{"MADONVI": "H42"}, {"MADONVI": "H43"}]}, "executing_agency", "several"),
        ({"TRANGTHAI": "7"}, "state", "'7'"),
        ({"YEUCAU": "x" * 20_001}, "requirements", "longer than 20000"),
        ({"DOITUONGTHUCHIEN": [{"TENDOITUONG": "Người nước ngoài"}]}, "applicants", "Người nước ngoài"),
        ({"CACHTHUCTHUCHIEN": [{"KENH": "9", "THOIGIAN": []}]}, "channels", "'9'"),
        (
            {"CACHTHUCTHUCHIEN": [{"KENH": "1", "THOIGIAN": [{"PHILEPHI": [{"SOTIEN": "1"}, {"SOTIEN": "2"}]}]}]},
            "channels.fee_vnd",
            "several",
        ),
        ({"KETQUATHUCHIEN": "x"}, "results", "not a list"),
    ],
)
def test_what_the_hub_has_no_place_for_is_left_empty_and_told(tmp_path: Path, more: Any, field: str, why: str) -> None:
    found = read(tmp_path, [{**ONE, **more}])
    (left,) = [one for one in found.left_empty if one.field == field]
    assert why in left.why
    assert (left.procedures, left.example) == (1, "2.000889")
    assert found.rows[0]["name"] == "Cấp phép"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"error_code": "-1", "message": "Phiên hết hạn"}, "answered with error_code -1: Phiên hết hạn"),
        ({"result": []}, "it contains no procedure"),
        ({"data": [ONE]}, "neither `result` nor `MATTHC`"),
        ([{**ONE, "TENTTHC": ""}], "procedure 2.000889: name: has no value"),
        ([{"TENTTHC": "Cấp phép"}], "neither `result` nor `MATTHC`"),
        ([ONE, ONE], "procedure 2.000889 is in more than one place"),
        ([{**ONE, "TENTTHC": "x" * 2_001}], "name: is longer than 2000"),
    ],
)
def test_answer_that_cannot_be_taken_says_why(tmp_path: Path, document: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read(tmp_path, document)


def test_file_that_is_no_json_says_where(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"result": [')
    with pytest.raises(ConfigError, match=r"is not JSON: line 1, column 13"):
        read_file(path)


def test_csv_is_read_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "thu-tuc.csv"
    path.write_text("procedure_code,name,valid_from\n1.000001,Đăng ký khai sinh,2025-07-01\n", "utf-8")
    (row,) = read_file(path).rows
    assert (row["name"], row["valid_from"], row["channels"]) == ("Đăng ký khai sinh", date(2025, 7, 1), None)
