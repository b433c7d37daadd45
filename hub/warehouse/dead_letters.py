"""The bytes and coordinates of rows that became dead letters, before or in the merge."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import polars as pl

from hub.model.outcomes import Outcome
from hub.model.refusals import refusal
from hub.topology import MAX_KEPT_KEY_BYTES, MAX_RECORD_BYTES
from hub.warehouse.batch import DEAD_LETTER_SCHEMA, NO_DEAD_LETTERS


def dead_letters(
    refused: pl.DataFrame,
    places: pl.DataFrame,
    values: Sequence[bytes | None],
    schema_ids: Mapping[int, int | None],
) -> pl.DataFrame:
    """Return the bytes and coordinates of dead letters (``DEAD_LETTER_SCHEMA``); row by row, since there are few.

    Args:
        refused: audit rows; the dead-lettered ones are used.
        places: row, log, log_offset, key of every polled record.
        values: the polled bytes, by row.
        schema_ids: schema id by row, if known.
    """
    dead = refused.filter(pl.col("outcome") == Outcome.DEAD_LETTERED.value)
    if dead.is_empty():
        return NO_DEAD_LETTERS
    found = dead.select("log", "log_offset", "reason", "detail").join(
        places.select("log", "log_offset", "row", "key"), on=["log", "log_offset"], how="left"
    )
    rows = [_letter(row, values[row["row"]], schema_ids) for row in found.iter_rows(named=True)]
    return pl.DataFrame(rows, schema=DEAD_LETTER_SCHEMA)


def _letter(row: Mapping[str, object], value: bytes | None, schema_ids: Mapping[int, int | None]) -> dict[str, object]:
    number, key = row["row"], row["key"]
    return {
        "log": row["log"],
        "log_offset": row["log_offset"],
        "reason": row["reason"],
        "detail": row["detail"],
        "schema_id": schema_ids.get(number) if isinstance(number, int) and number in schema_ids else _schema_id(value),
        "record_key": key if isinstance(key, bytes) and len(key) <= MAX_KEPT_KEY_BYTES else None,
        "record_value": value if value is not None and len(value) <= MAX_RECORD_BYTES else None,
        "value_bytes": len(value or b""),
        "value_sha256": hashlib.sha256(value or b"").digest(),
        "refused_by": json.dumps(refusal(str(row["reason"]), str(row["detail"])).stack()),
    }


def _schema_id(value: bytes | None) -> int | None:
    return int.from_bytes(value[1:5], "big") if value and len(value) >= 5 else None
