"""What a batch knows of itself, and dead letters as they are kept."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import polars as pl

from hub.model.outcomes import Outcome, Reason
from hub.topology import MAX_RECORD_BYTES
from hub.warehouse.batch import AUDIT_SCHEMA, DEAD_LETTER_SCHEMA, Accepted, Advance, Batch, audit_rows
from hub.warehouse.dead_letters import dead_letters

KEY = bytes(range(16))


def refused_rows(*rows: dict[str, Any]) -> pl.DataFrame:
    filled = [dict.fromkeys(AUDIT_SCHEMA) | {"log": 1, "log_offset": number} | row for number, row in enumerate(rows)]
    return pl.DataFrame(filled, schema=AUDIT_SCHEMA)


def places_of(keys: list[bytes | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"log_offset": range(len(keys)), "key": keys},
        schema={"log_offset": pl.Int64(), "key": pl.Binary()},
    ).with_columns(log=pl.lit(1, pl.Int16), row=pl.int_range(pl.len(), dtype=pl.UInt32))


def test_batch_counts_what_it_consumed_and_what_was_refused() -> None:
    refused = refused_rows({"outcome": "rejected"}, {"outcome": "dead_lettered"}, {"outcome": "rejected"})
    batch = Batch((Advance(1, "t", 0, 5, 9, 3), Advance(2, "t", 1, 0, 2, 2)), (), refused)
    assert batch.consumed == 5
    assert sorted(batch.refused["outcome"]) == [Outcome.DEAD_LETTERED, Outcome.REJECTED, Outcome.REJECTED]
    assert Batch((), ()).consumed == 0
    assert Batch((), ()).refused.is_empty()


def test_batch_names_unknown_schema_ids_once() -> None:
    letters: list[dict[str, Any]] = [
        {"reason": Reason.UNKNOWN_SCHEMA_ID.value, "schema_id": 9},
        {"reason": Reason.UNKNOWN_SCHEMA_ID.value, "schema_id": 9},
        {"reason": Reason.NOT_DECODABLE.value, "schema_id": 3},
        {"reason": Reason.UNKNOWN_SCHEMA_ID.value, "schema_id": None},
    ]
    frame = pl.DataFrame([dict.fromkeys(DEAD_LETTER_SCHEMA) | letter for letter in letters], schema=DEAD_LETTER_SCHEMA)
    assert Batch((), (Accepted("s", pl.DataFrame()),), dead_letters=frame).unknown_schema_ids() == [9]
    assert Batch((), ()).unknown_schema_ids() == []


def test_audit_rows_keep_a_key_of_the_hub_and_no_other() -> None:
    keys = [KEY, b"an article of the press", b"", None]
    wrong = refused_rows(*({"outcome": "rejected", "key": key} for key in keys)).with_columns(pin=pl.lit("x"))
    rows = audit_rows(wrong)
    assert rows["key"].to_list() == [KEY, None, None, None]
    assert rows.schema == AUDIT_SCHEMA


def test_audit_rows_leave_null_what_they_are_not_told() -> None:
    rows = audit_rows(pl.DataFrame({"log": [1], "log_offset": [7], "outcome": ["rejected"]}))
    assert rows.schema == AUDIT_SCHEMA
    assert {name: value for name, value in rows.row(0, named=True).items() if value is not None} == {
        "log": 1,
        "log_offset": 7,
        "outcome": "rejected",
    }


def test_dead_letters_are_the_dead_lettered_rows_with_bytes_and_digest() -> None:
    values = [b"\x00\x00\x00\x00\x05datum", b"kept out", None, b"\x07", bytes(MAX_RECORD_BYTES + 1)]
    dead = {"outcome": "dead_lettered", "reason": "NOT_DECODABLE", "detail": "d"}
    refused = refused_rows(dead, {"outcome": "rejected", "reason": "SOURCE_UNKNOWN", "detail": "d"}, dead, dead, dead)
    keys = [KEY, KEY, None, b"any", KEY]
    letters = dead_letters(refused, places_of(keys), values, {3: 77})
    assert letters.schema == DEAD_LETTER_SCHEMA
    assert letters["log_offset"].to_list() == [0, 2, 3, 4]
    assert letters["record_key"].to_list() == [KEY, None, b"any", KEY]
    assert letters["record_value"].to_list() == [values[0], None, b"\x07", None]
    assert letters["value_bytes"].to_list() == [10, 0, 1, MAX_RECORD_BYTES + 1]
    assert letters["schema_id"].to_list() == [5, None, 77, 0]
    digests = [hashlib.sha256(values[number] or b"").digest() for number in (0, 2, 3, 4)]
    assert letters["value_sha256"].to_list() == digests


def test_no_dead_letters_of_rejected_rows() -> None:
    refused = refused_rows({"outcome": "rejected", "occurred_at": datetime(2025, 7, 1, tzinfo=UTC)})
    letters = dead_letters(refused, places_of([KEY]), [b""], {})
    assert letters.is_empty()
    assert letters.schema == DEAD_LETTER_SCHEMA
