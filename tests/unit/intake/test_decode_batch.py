"""Decoding without the child process: blocks in doubt, versions, JSON columns."""

import json
from typing import Any

import polars as pl
import pytest

from hub.codec.catalogue import Catalogue, SchemaVersion, load_catalogue
from hub.codec.fields import fields_of
from hub.codec.wire import frame
from hub.intake.decode import batch as module
from hub.intake.decode.batch import Phase, decode_batch
from hub.intake.decode.block_path import BlockReader, Doubt
from hub.intake.decode.json_text import json_column
from hub.intake.decode.nodes import record_node
from hub.model.outcomes import Reason
from tests.support.encoded_events import SUBJECT, event


class _Watch:
    """Remembers what was marked."""

    def __init__(self) -> None:
        self.marks: list[tuple[Phase, int]] = []

    def __call__(self, phase: Phase, number: int) -> None:
        self.marks.append((phase, number))

    def rows(self) -> set[int]:
        """Return the records that took the row path."""
        return {number for phase, number in self.marks if phase is Phase.ROW}


def test_decode_batch_sends_few_records_down_the_row_path_when_one_is_bad() -> None:
    values: list[bytes | None] = [event(number) for number in range(500)]
    values[300] = (values[300] or b"")[:-3]
    watch = _Watch()
    decoded = decode_batch(SUBJECT, values, watch)
    assert [found.row for found in decoded.poison] == [300]
    assert decoded.path == "mixed"
    assert 300 in watch.rows()
    assert len(watch.rows()) <= module.ROW_PATH_BELOW


def test_decode_batch_gives_up_blocks_when_most_records_are_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOUBTS_PER_BATCH", 3)
    values = [event(number)[: -1 if number % 9 == 0 else None] for number in range(400)]
    watch = _Watch()
    decoded = decode_batch(SUBJECT, values, watch)
    assert [found.row for found in decoded.poison] == list(range(0, 400, 9))
    assert sum(phase is Phase.BLOCK for phase, _ in watch.marks) < 10


def test_decode_batch_leaves_out_what_it_is_told_to_skip() -> None:
    decoded = decode_batch(SUBJECT, [event(0), event(1)[:-1], event(2)], _Watch(), blocks=False, skip={1})
    assert (decoded.frame["row"].to_list(), decoded.poison, decoded.path) == ([0, 2], (), "row")


def test_block_is_doubted_when_two_wrongs_make_a_right_length() -> None:
    """One datum too short and its neighbour too long by the same bytes: only the tails between them show it."""
    version = load_catalogue().latest(SUBJECT)
    reader = BlockReader(version.schema_id, record_node(version.schema))
    one, other = event(1), event(2)
    assert isinstance(reader.read([one, other]), pl.DataFrame)
    assert isinstance(reader.read([one[:-5], one[-5:] + other]), Doubt)


def test_event_that_holds_another_event_is_one_event() -> None:
    inner = "".join(chr(byte) for byte in event(7) if 0 < byte < 128)
    decoded = decode_batch(SUBJECT, [event(1, actor=inner), event(2)], _Watch())
    assert (decoded.frame["actor"].to_list(), decoded.path) == ([inner, None], "block")


@pytest.mark.parametrize("subject", load_catalogue().subjects)
def test_every_schema_of_the_catalogue_can_be_decoded(subject: str) -> None:
    assert module.readers_of(load_catalogue(), subject).keys() == {
        version.schema_id for version in load_catalogue().versions(subject)
    }


def _list_of(*kinds: tuple[str, Any]) -> Any:
    fields = [{"name": name, "type": avro} for name, avro in kinds]
    item = {"type": "record", "name": "Item", "fields": fields}
    array = {"type": "array", "items": item}
    return record_node({"type": "record", "name": "Outer", "fields": [{"name": "x", "type": array}]}).fields[0].node


def test_json_text_by_polars_equals_json_dumps_for_every_character() -> None:
    points = [*range(1, 0x700), 0x2028, 0x2029, 0xD7FF, 0xE000, 0xFFFE, 0xFFFF, 0x10000, 0x1F389, 0x10FFFF]
    values = [[{"a": chr(point), "n": -point, "b": None}] for point in points]
    node = _list_of(("a", "string"), ("n", "long"), ("b", ["null", "boolean"]))
    column = pl.Series("x", values, pl.List(pl.Struct({"a": pl.String, "n": pl.Int64, "b": pl.Boolean})))
    texts, refused = json_column(column, node, node)
    assert refused is None
    assert texts.to_list() == [json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values]


def test_json_text_refuses_nul_and_keeps_what_only_looks_like_it() -> None:
    texts = ["\0", "\\u0000", "a\\\0", "u0000"]
    node = _list_of(("a", "string"))
    column = pl.Series("x", [[{"a": text}] for text in texts], pl.List(pl.Struct({"a": pl.String})))
    _, refused = json_column(column, node, node)
    assert refused is not None
    assert refused.to_list() == [True, False, True, False]


def test_json_text_gives_old_shapes_the_latest_keys_in_order() -> None:
    written = _list_of(("b", "int"), ("gone", "int"))
    latest = _list_of(("a", ["null", "string"]), ("b", "double"))
    column = pl.Series("x", [[{"b": 2, "gone": 1}], None, []], pl.List(pl.Struct({"b": pl.Int32, "gone": pl.Int32})))
    texts, refused = json_column(column, written, latest)
    assert (texts.to_list(), refused) == (['[{"a":null,"b":2.0}]', None, "[]"], None)


def test_decode_batch_refuses_nul_in_a_list() -> None:
    subject = "dossier.submitted"
    good = event(1, subject, fees=[{"name": "PHI-9", "amount_vnd": 1}])
    decoded = decode_batch(subject, [good, good.replace(b"PHI-9", b"PHI\0" + b"9")], _Watch())
    assert [(found.row, found.reason) for found in decoded.poison] == [(1, Reason.INVALID_VALUE)]


def _catalogue_of(*symbol_lists: dict[str, Any]) -> Catalogue:
    versions = []
    for number, enum in enumerate(symbol_lists, 1):
        colour = {"type": "enum", "name": "Colour", **enum}
        more = [{"name": "note", "type": ["null", "string"], "default": None}] if number > 1 else []
        schema = {"type": "record", "name": "t.changed", "fields": [{"name": "colour", "type": colour}, *more]}
        versions.append(SchemaVersion("t.changed", number, number, schema, fields_of(schema)))
    return Catalogue(versions)


def test_old_symbols_become_the_latest_schemas_default_and_new_fields_null() -> None:
    catalogue = _catalogue_of({"symbols": ["RED", "PINK"]}, {"symbols": ["UNKNOWN", "RED"], "default": "UNKNOWN"})
    values = [frame(1, b"\0"), frame(1, b"\2"), frame(2, b"\2\2\2a"), frame(1, b"\4")]
    for blocks in (True, False):
        decoded = decode_batch("t.changed", values, _Watch(), blocks=blocks, catalogue=catalogue)
        assert decoded.frame.rows() == [(0, "RED", None), (1, "UNKNOWN", None), (2, "RED", "a")]
        assert [(found.row, found.reason) for found in decoded.poison] == [(3, Reason.NOT_DECODABLE)]


def test_old_symbols_are_poison_when_the_latest_schema_has_no_default() -> None:
    catalogue = _catalogue_of({"symbols": ["RED", "PINK"]}, {"symbols": ["RED"]})
    decoded = decode_batch("t.changed", [frame(1, b"\0"), frame(1, b"\2")], _Watch(), catalogue=catalogue)
    assert decoded.frame.rows() == [(0, "RED", None)]
    assert [(found.row, found.reason) for found in decoded.poison] == [(1, Reason.NOT_DECODABLE)]
