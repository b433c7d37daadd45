"""From bytes to the warehouse, without a broker: every record has its outcome and its neighbours keep theirs."""

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import fastavro
import pytest

from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled, Preparer
from hub.model.errors import HubError
from hub.share.outbox import open_spans
from hub.topology import MAX_RECORD_BYTES
from tests.support.merge_world import POLICY, SUBJECT, TOPIC, Said, World
from tests.support.schema_samples import sample_event

SECRET = "a secret of the tests"  # noqa: S105 - of no system
LONG = 2**63 - 1


@pytest.fixture(scope="module")
def decoder() -> Iterator[GuardedDecoder]:
    with GuardedDecoder(timeout_s=30.0, memory_mb=2048) as decoder:
        yield decoder


@pytest.fixture
def preparer(world: World, decoder: GuardedDecoder) -> Preparer:
    return Preparer(decoder, SourceRules.of(POLICY, world.numbers), SECRET)


def _fields(person: int, **more: Any) -> dict[str, Any]:
    version = load_catalogue().latest(SUBJECT)
    said = Said(person, "population", 1).fields()
    known = sample_event(version, optional=False)
    return known | {name: value for name, value in said.items() if name != "event_id"} | more


def _record(person: int, **more: Any) -> tuple[bytes, bytes]:
    encoder = Encoder(SUBJECT, SECRET)
    fields = _fields(person, **more)
    return encoder.key(fields), encoder.encode(fields)


def _with_raw_time(person: int, name: str, micros: int) -> tuple[bytes, bytes]:
    """A record whose timestamp is any long: what an encoder of another make may write."""
    version = load_catalogue().latest(SUBJECT)
    schema = deepcopy(dict(version.schema))
    for field in schema["fields"]:
        if field["name"] in {"occurred_at", "recorded_at"}:
            field["type"] = "long"
    fields = _fields(person)
    for field in ("occurred_at", "recorded_at"):
        fields[field] = int(fields[field].timestamp() * 1_000_000)
    for field in schema["fields"]:
        if field["name"] == "event_id":
            field["type"] = {"type": "fixed", "name": "sixteen", "size": 16}
    out = BytesIO()
    fastavro.schemaless_writer(out, schema, fields | {name: micros})
    return _record(person)[0], wire.frame(version.schema_id, out.getvalue())


def _commit(world: World, preparer: Preparer, *records: tuple[bytes | None, bytes | None]) -> list[str]:
    """Prepare and commit records as one batch; return their outcomes."""
    first = world.places[0]
    offsets = list(range(first, first + len(records)))
    keys, values = zip(*records, strict=True)
    world.store.commit(preparer.prepare([Polled(world.logs[0], TOPIC, 0, first, offsets, keys, values)]))
    world.places[0] = first + len(records)
    return world.outcomes()[-len(records) :]


def test_valid_record_is_applied_and_then_a_duplicate(world: World, preparer: Preparer) -> None:
    assert _commit(world, preparer, _record(1)) == ["applied"]
    assert _commit(world, preparer, _record(1)) == ["duplicate"]
    assert world.rows("SELECT full_name, pin FROM citizen_person_claim") == [("A", "000299000001")]


@pytest.mark.parametrize("name", ["occurred_at", "recorded_at"])
@pytest.mark.parametrize("micros", [LONG, -LONG - 1, LONG // 2, -LONG // 2, -(2**57), 2**57, -(2**58)])
def test_time_far_out_of_bounds_is_a_dead_letter(world: World, preparer: Preparer, name: str, micros: int) -> None:
    outcomes = _commit(world, preparer, _record(1), _with_raw_time(2, name, micros), _record(3))
    assert outcomes == ["applied", "dead_lettered:INVALID_VALUE", "applied"]


def test_every_kind_of_record_has_its_outcome_and_neighbours_keep_theirs(world: World, preparer: Preparer) -> None:
    key, value = _record(2)
    kinds: dict[str, tuple[bytes | None, bytes | None]] = {
        "dead_lettered:TOMBSTONE": (key, None),
        "dead_lettered:EMPTY": (key, b""),
        "dead_lettered:TOO_LARGE": (key, value + bytes(MAX_RECORD_BYTES)),
        "dead_lettered:BAD_MAGIC": (key, b"\x07" + value[1:]),
        "dead_lettered:UNKNOWN_SCHEMA_ID": (key, wire.frame(987_654, value[5:])),
        "dead_lettered:NOT_DECODABLE": (key, value[:-2]),
        "dead_lettered:TRAILING_BYTES": (key, value + b"\x00"),
        "dead_lettered:INVALID_VALUE": (key, _record(2, full_name="A_B")[1].replace(b"A_B", b"A\x00B")),
        "dead_lettered:KEY_MISMATCH": (None, value),
        "rejected:SOURCE_UNKNOWN": _record(2, source_system="nobody"),
        "rejected:SOURCE_NOT_ALLOWED": _record(2, source_system="nso"),
    }
    records = [item for kind in kinds.values() for item in (_record(1), kind)]
    outcomes = _commit(world, preparer, *records)
    assert outcomes[1::2] == list(kinds)
    assert outcomes[0::2] == ["applied"] + ["duplicate"] * (len(kinds) - 1)
    letters = world.rows("SELECT log_offset, record_key, record_value, value_bytes FROM dead_letter ORDER BY 1")
    dead = [
        (number, kind) for number, (name, kind) in enumerate(zip(kinds, kinds.values(), strict=True)) if "dead" in name
    ]
    assert [row.log_offset for row in letters] == [2 * number + 1 for number, _ in dead]
    for row, (_, (record_key, record_value)) in zip(letters, dead, strict=True):
        assert row.record_key == record_key
        assert row.value_bytes == len(record_value or b"")
        kept = record_value if len(record_value or b"") <= MAX_RECORD_BYTES else None
        assert row.record_value == kept
    with world.engine.connect() as connection:
        assert [span.end for span in open_spans(connection)] == [len(records)]


def test_batch_of_nothing_but_poison_moves_the_offset(world: World, preparer: Preparer) -> None:
    outcomes = _commit(world, preparer, (None, None), (b"k", b"\x07more than a header"))
    assert outcomes == ["dead_lettered:TOMBSTONE", "dead_lettered:BAD_MAGIC"]
    assert world.rows(f"SELECT next_offset FROM log_partition WHERE id = {world.logs[0]}") == [(2,)]


def test_partitions_of_one_topic_are_prepared_together(world: World, preparer: Preparer) -> None:
    parts = []
    for partition in (0, 1):
        key, value = _record(partition + 1)
        parts.append(Polled(world.logs[partition], TOPIC, partition, 0, [4], [key], [value]))
    with pytest.raises(HubError):
        world.store.commit(
            preparer.prepare([parts[0], parts[1], Polled(world.logs[2], TOPIC, 2, 5, [6], [b""], [b""])])
        )
    world.store.commit(preparer.prepare(parts))
    stored = world.rows("SELECT log, log_offset, outcome, occurred_at FROM audit ORDER BY 1")
    when = datetime(2025, 6, 1, tzinfo=UTC)
    assert stored == [(world.logs[0], 4, "applied", when), (world.logs[1], 4, "applied", when)]
    places = world.rows(f"SELECT next_offset, consumed FROM log_partition WHERE topic = '{TOPIC}' ORDER BY partition")
    assert places == [(5, 1), (5, 1), (0, 0)]
