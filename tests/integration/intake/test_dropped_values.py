"""What the hub drops, from the bytes to the portal: claim, audit row, quality, what officers and consumers see."""

import io
import json
from io import StringIO
from typing import Any

import fastavro
import pytest
from rich.console import Console

from hub.cli.ledger.quality import show_quality
from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.codec.decode import decode
from hub.model.entities import CITIZEN, DOSSIER
from hub.model.flags import Flag
from hub.operate.ledger.quality import read_quality
from hub.operate.records.as_json import as_json
from hub.operate.records.request import Answer
from hub.operate.records.thing import show
from hub.share.compose import Composer
from tests.support.whole_world import SECRET, Whole, key_of, whole_event

pytestmark = pytest.mark.engine

CODE = "H42.12.34-250801-0001"
FILED: dict[str, Any] = {"dossier_code": CODE, "procedure_code": "1.001193", "source_system": "dvcqg"}
GOOD, BAD = (
    FILED | {"applicant_birth_year": 1990, "note": "Lần một"},
    FILED | {"applicant_birth_year": 97, "note": "Lần hai"},
)
NOTE = "applicant_birth_year DROPPED OUT_OF_RANGE"


@pytest.fixture
def known(whole: Whole) -> Whole:
    """A warehouse that knows the procedure and a commune."""
    unit = {"scheme": "GSO_2025", "unit_code": "02635", "level": "COMMUNE", "unit_type": "XA", "name": "x"}
    whole.send("admin_unit.changed", unit | {"source_system": "nso"})
    whole.send("procedure.changed", {"procedure_code": "1.001193", "name": "x", "source_system": "dvcqg"})
    return whole


def audited(whole: Whole, subject: str = "dossier.submitted") -> list[tuple[Any, ...]]:
    query = "SELECT outcome, reason, detail, flags FROM audit JOIN log_partition ON id = log WHERE topic = :topic"
    return [tuple(row) for row in whole.rows(f"{query} ORDER BY log_offset", topic=f"hub.{subject}.v1")]


def test_event_with_one_bad_optional_value_is_applied_without_it(known: Whole) -> None:
    known.send("dossier.submitted", BAD)
    assert audited(known) == [("applied", None, NOTE, int(Flag.FIELD_DROPPED))]
    claim = "SELECT applicant_birth_year, note, doubtful_fields, flags FROM dossier_submission_claim"
    assert known.rows(claim) == [(None, "Lần hai", NOTE, int(Flag.FIELD_DROPPED))]


def test_dropped_value_leaves_nothing_of_an_older_one_in_the_claim_and_says_so_everywhere(known: Whole) -> None:
    known.send("dossier.submitted", GOOD)
    known.send("dossier.submitted", BAD | {"source_version": 2})
    claim = "SELECT source_version, applicant_birth_year, note, doubtful_fields FROM dossier_submission_claim"
    assert known.rows(claim) == [(2, None, "Lần hai", NOTE)], "a claim is one statement, never a mixture of two"
    key = key_of("dossier.submitted", CODE)
    with known.engine.connect() as connection:
        (value,) = Composer(DOSSIER, SECRET).compose(connection, [key]).values()
        shown = show(connection, DOSSIER, key)
    submission = decode(value or b"")[1]["submission"]
    assert (submission["applicant_birth_year"], submission["doubtful_fields"]) == (None, NOTE)
    assert shown is not None
    told = json.loads(json.dumps(as_json(Answer(shown, is_masked=True)), default=str))
    (claim_shown,) = told["aspects"][0]["claims"]
    assert claim_shown["doubtful_fields"] == NOTE
    assert "FIELD_DROPPED" in claim_shown["flags"]


def test_next_good_value_is_whole_again(known: Whole) -> None:
    known.send("dossier.submitted", BAD)
    known.send("dossier.submitted", GOOD | {"source_version": 2})
    claim = "SELECT applicant_birth_year, doubtful_fields FROM dossier_submission_claim"
    assert known.rows(claim) == [(1990, None)]


def test_i3_repeat_is_a_duplicate_and_another_bad_value_under_its_version_is_not(known: Whole) -> None:
    known.send("dossier.submitted", BAD, BAD, BAD | {"applicant_birth_year": 98})
    assert [(outcome, reason) for outcome, reason, *_ in audited(known)] == [
        ("applied", None),
        ("duplicate", None),
        ("rejected", "VERSION_REUSED"),
    ]
    assert [detail for _, _, detail, _ in audited(known)][:2] == [NOTE, NOTE]


def test_null_of_a_dropped_value_contradicts_nobody(known: Whole) -> None:
    person = {"pin": "001190000123", "full_name": "A", "birth_year": 1990}
    known.send("citizen.changed", person | {"source_system": "dancu"})
    known.send("citizen.changed", person | {"source_system": "tinh", "birth_year": 97})
    assert known.value("SELECT count(*) FROM conflict") == 0
    key = key_of("citizen.changed", "001190000123")
    with known.engine.connect() as connection:
        (value,) = Composer(CITIZEN, SECRET).compose(connection, [key]).values()
    found = decode(value or b"")[1]["person"]
    assert (found["source"], found["birth_year"], found["doubtful_fields"]) == ("dancu", 1990, None)


def test_commune_without_its_zeros_parks_nothing_and_is_told_apart(whole: Whole) -> None:
    home = {"pin": "001190000123", "kind": "PERMANENT", "action": "REGISTER", "source_system": "cutru"}
    whole.send("residence.changed", home | {"commune_code": "2635"})
    note = "commune_code DROPPED LEADING_ZEROS_LOST"
    both = int(Flag.FIELD_DROPPED | Flag.LEADING_ZEROS_LOST)
    assert audited(whole, "residence.changed") == [("applied", None, note, both)]


def test_event_of_the_first_version_is_held_to_the_same_kinds(known: Whole) -> None:
    first = load_catalogue().versions("dossier.submitted")[0]
    event = whole_event("dossier.submitted", FILED | {"applicant_commune_code": "2635", "applicant_birth_year": 7019})
    written = io.BytesIO()
    fields = {spec.name for spec in first.fields}
    fastavro.schemaless_writer(
        written,
        fastavro.parse_schema(dict(first.schema)),
        {name: value.bytes if name == "event_id" else value for name, value in event.items() if name in fields},
    )
    polled = known.polled("dossier.submitted", [FILED])
    value = wire.header(first.schema_id) + written.getvalue()
    known.commit(type(polled)(**{name: getattr(polled, name) for name in polled.__slots__} | {"values": [value]}))
    assert audited(known) == [
        (
            "applied",
            None,
            f"{NOTE}; applicant_commune_code DROPPED LEADING_ZEROS_LOST",
            int(Flag.FIELD_DROPPED | Flag.LEADING_ZEROS_LOST),
        )
    ]


def test_parked_event_tells_what_it_waits_for_first_and_what_was_dropped_when_it_is_released(whole: Whole) -> None:
    whole.send("dossier.submitted", BAD)
    assert audited(whole)[0][:3] == ("parked", "REFERENCE_MISSING", "procedure:1.001193")
    whole.send("procedure.changed", {"procedure_code": "1.001193", "name": "x", "source_system": "dvcqg"})
    assert whole.release() == 1
    assert whole.rows("SELECT outcome, detail, flags FROM release") == [("applied", NOTE, int(Flag.FIELD_DROPPED))]
    with whole.engine.connect() as connection:
        (portal,) = read_quality(connection).sources
    assert portal.doubtful == {f"dossier.submitted: {NOTE}": 1}


def test_quality_counts_by_source_field_and_reason_and_fits_the_screen(known: Whole) -> None:
    known.send("dossier.submitted", BAD, BAD | {"dossier_code": f"{CODE}9", "applicant_commune_code": "1"})
    padded = {"applicant_commune_code": "02635", "doubtful_fields": "applicant_commune_code PADDED LEADING_ZEROS_LOST"}
    known.send("dossier.submitted", FILED | padded | {"dossier_code": f"{CODE}8", "source_system": "tinh"})
    with known.engine.connect() as connection:
        found = read_quality(connection)
    assert {one.source: one.doubtful for one in found.sources if one.source != "nso"} == {
        "dvcqg": {
            f"dossier.submitted: {NOTE}": 2,
            "dossier.submitted: applicant_commune_code DROPPED LEADING_ZEROS_LOST": 1,
        },
        "tinh": {"dossier.submitted: applicant_commune_code PADDED LEADING_ZEROS_LOST": 1},
    }
    assert found.as_json()["sources"][0]["doubtful_fields"][f"dossier.submitted: {NOTE}"] == 2
    text = StringIO()
    show_quality(Console(file=text, width=100), found)
    assert NOTE in text.getvalue()
    assert max(len(line.rstrip()) for line in text.getvalue().splitlines()) <= 100
