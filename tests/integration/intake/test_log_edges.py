"""What outsiders write into the log, and what becomes of the log: one record, one partition, never the worker."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from hub.config import Settings
from hub.model.alerts import PARTITION_STOPPED
from hub.model.errors import ConfigError
from hub.model.stop_causes import StopCause
from hub.operate.dead_letters.partitions import list_stops
from hub.operate.ledger.balance import LedgerRow
from hub.operate.log.ends import LogEnd, read_log_ends
from hub.operate.log.offset_moves import apply_move, plan_move
from hub.topology import event_topic
from hub.warehouse.alerts import open_alerts
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, Outgoing, pin_of
from tests.support.log_bytes import Said, varint
from tests.support.odd_log import OpenTransaction, bend_on_disk, send_batch
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

TOPIC = event_topic("citizen.changed")
_numbers = iter(range(20_000, 30_000))


@pytest.fixture(scope="module")
def ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    name = f"edges_{uuid.uuid4().hex[:12]}"
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database(name),
        key_secret=engine.key_secret,
        data_dir=tmp_path_factory.mktemp("edges"),
    )
    made = Ground(settings, name)
    made.consume()
    yield made
    made.database.dispose()
    engine.engine.drop_database(name)


def person(ground: Ground, name: str = "Người Mới") -> Outgoing:
    events = EventSet(ground.secret, seed=next(_numbers))
    return events.record("citizen.changed", events.fields("dancu", 1, pin=pin_of(next(_numbers)), full_name=name))


def said(ground: Ground, **changed: Any) -> Said:
    one = person(ground)
    return Said(**{"key": one.key, "value": one.value, **changed})


def stored(ground: Ground, partition: int = 0) -> int:
    query = f"SELECT next_offset FROM log_partition WHERE topic = '{TOPIC}' AND partition = {partition}"
    ((offset,),) = ground.rows(query)
    return int(offset)


def outcomes(ground: Ground, first: int, partition: int = 0) -> list[tuple[int, str, str | None, str | None]]:
    rows = ground.rows(
        "SELECT log_offset, outcome, reason, detail FROM audit JOIN log_partition p ON p.id = log WHERE "
        f"p.topic = '{TOPIC}' AND p.partition = {partition} AND log_offset >= {first} ORDER BY 1"
    )
    return [tuple(row) for row in rows]


def is_balanced(ground: Ground) -> bool:
    return all(row.balanced for row in ground.ledger())


def log_end(ground: Ground, partition: int = 0) -> LogEnd:
    return read_log_ends(ground.bootstrap, {(TOPIC, partition): stored(ground, partition)})[TOPIC, partition]


def my_row(ground: Ground, partition: int = 0) -> LedgerRow:
    return next(row for row in ground.ledger() if (row.topic, row.partition) == (TOPIC, partition))


def skip(ground: Ground, to: int | str, partition: int = 0) -> Any:
    plan = plan_move(ground.database, ground.bootstrap, (TOPIC, partition), str(to), "H42-017")
    return apply_move(ground.database, ground.bootstrap, plan.id, "H42-017", "a test")


@pytest.mark.parametrize("codec", range(5), ids=["none", "gzip", "snappy", "lz4", "zstd"])
def test_header_that_is_not_utf8_is_a_dead_letter_and_its_neighbours_flow(ground: Ground, codec: int) -> None:
    odd = said(ground, headers=[("tenant\u00e9".encode("latin-1"), b"x")])
    first = send_batch(ground.bootstrap, TOPIC, 0, [said(ground), odd, said(ground)], codec)
    ground.consume()
    assert outcomes(ground, first) == [
        (first, "applied", None, None),
        (first + 1, "dead_lettered", "UNREADABLE_RECORD", "the name of header 1 is not UTF-8"),
        (first + 2, "applied", None, None),
    ]
    ((key, value),) = ground.rows(
        "SELECT record_key, record_value FROM dead_letter JOIN log_partition p ON p.id = log "
        f"WHERE p.topic = '{TOPIC}' AND p.partition = 0 AND log_offset = {first + 1}"
    )
    assert (bytes(key), bytes(value)) == (odd.key, odd.value)
    assert is_balanced(ground)


def test_keys_and_times_of_any_kind_stop_nobody(ground: Ground) -> None:
    """Before 1970, none at all, and beyond any clock: the broker takes them all of the first two."""
    one = said(ground)
    early = b"\0" + varint(-(1 << 60)) + varint(2) + varint(16) + (one.key or b"")
    early += varint(len(one.value or b"")) + (one.value or b"") + varint(0)
    records = [said(ground, key=None), said(ground, key=b"\xff\xfe\x00"), Said(raw=early), said(ground)]
    first = send_batch(ground.bootstrap, TOPIC, 0, records)
    ground.consume()
    assert [(outcome, reason) for _, outcome, reason, _ in outcomes(ground, first)] == [
        ("dead_lettered", "KEY_MISMATCH"),
        ("dead_lettered", "KEY_MISMATCH"),
        ("applied", None),
        ("applied", None),
    ]
    end = read_log_ends(ground.bootstrap, {(TOPIC, 0): first + 2})[TOPIC, 0]
    assert (end.lag(first + 2), end.unread_since) == (2, None)


def test_aborted_records_are_not_read_and_a_marker_at_the_end_is_no_lag(ground: Ground) -> None:
    transaction = OpenTransaction(ground.bootstrap, f"edges.{uuid.uuid4().hex}")
    try:
        first, second = transaction.send([person(ground), person(ground)], 0)
        transaction.end(commit=False)
        ground.consume()
        assert outcomes(ground, first) == []
        assert (stored(ground), log_end(ground).lag(stored(ground))) == (second + 2, 0)
        (kept,) = transaction.send([person(ground)], 0)
        transaction.end(commit=True)
        ground.consume()
        assert [(offset, outcome) for offset, outcome, _, _ in outcomes(ground, first)] == [(kept, "applied")]
        assert (stored(ground), log_end(ground).lag(stored(ground))) == (kept + 2, 0)
    finally:
        transaction.close()
    assert is_balanced(ground)


def test_open_transaction_holds_back_what_stands_behind_it_and_the_ledger_says_so(ground: Ground) -> None:
    transaction = OpenTransaction(ground.bootstrap, f"edges.{uuid.uuid4().hex}")
    try:
        (first,) = transaction.send([person(ground)], 0)
        send_batch(ground.bootstrap, TOPIC, 0, [said(ground)])
        beside = send_batch(ground.bootstrap, TOPIC, 1, [said(ground)])
        ground.consume(lambda: stored(ground, 1) == beside + 1, drain=False)
        assert outcomes(ground, first) == []
        end = log_end(ground)
        assert (end.end, end.held_back, end.lag(stored(ground)), end.problem(stored(ground))) == (first, 2, 0, "")
        with pytest.raises(ConfigError, match="a transaction is open"):
            skip(ground, first + 1)
        transaction.end(commit=True)
        ground.consume()
        assert [row[1] for row in outcomes(ground, first)] == ["applied", "applied"]
        assert log_end(ground).held_back == 0
    finally:
        transaction.close()
    assert is_balanced(ground)


def test_damage_on_the_disk_stops_its_partition_and_is_skipped_on_record(engine: RunningEngine, ground: Ground) -> None:
    before = send_batch(ground.bootstrap, TOPIC, 0, [said(ground)])
    mark = uuid.uuid4().bytes
    damaged = send_batch(ground.bootstrap, TOPIC, 0, [said(ground), said(ground, value=mark)])
    after = send_batch(ground.bootstrap, TOPIC, 0, [said(ground)])
    beside = send_batch(ground.bootstrap, TOPIC, 1, [said(ground)])
    bend_on_disk(engine.settings.data_dir, TOPIC, 0, mark)
    try:
        ground.consume(lambda: bool(ground.status.stopped) and stored(ground, 1) == beside + 1, drain=False)
        ground.consume(lambda: stored(ground) == damaged, drain=False)
        assert [row[0] for row in outcomes(ground, before)] == [before]
        (stop,) = list_stops(ground.database, standing_only=True)
        assert (stop.cause, stop.stop_offset) == (StopCause.DAMAGED_BATCH, damaged)
        (alert,) = open_alerts(ground.database)
        assert (alert.name, alert.place) == (PARTITION_STOPPED.name, f"{TOPIC}/0")
        assert f"the batch from {damaged} to {after - 1}: its checksum is wrong" in alert.detail
        assert f"hub offsets plan {TOPIC}/0 --to {after}" in alert.detail
        moved = skip(ground, after)
        assert (moved.records, moved.lost) == (2, 0)
        ground.consume()
        assert [(row[0], row[1], row[2]) for row in outcomes(ground, damaged)] == [
            (damaged, "rejected", "SKIPPED_BY_OPERATOR"),
            (damaged + 1, "rejected", "SKIPPED_BY_OPERATOR"),
            (after, "applied", None),
        ]
        assert "its checksum is wrong" in str(outcomes(ground, damaged)[0][3])
        assert (open_alerts(ground.database), ground.status.stopped) == ([], {})
        assert is_balanced(ground)
    finally:
        delete_before(ground, after)


def delete_before(ground: Ground, offset: int, partition: int = 0) -> None:
    admin = KafkaAdminClient(bootstrap_servers=ground.bootstrap)
    try:
        admin.delete_records({TopicPartition(TOPIC, partition): offset})
    finally:
        admin.close()


def test_lost_range_stops_its_partition_and_no_other_until_it_is_skipped_on_record(ground: Ground) -> None:
    first = send_batch(ground.bootstrap, TOPIC, 0, [said(ground), said(ground), said(ground)])
    beside = send_batch(ground.bootstrap, TOPIC, 1, [said(ground)])
    delete_before(ground, first + 2)
    ground.consume(lambda: bool(ground.status.stopped) and stored(ground, 1) == beside + 1, drain=False)
    (stop,) = list_stops(ground.database, standing_only=True)
    assert (stop.cause, stop.stop_offset) == (StopCause.LOST_RANGE, first)
    assert f"the log begins at {first + 2}, after the stored offset {first}" in stop.why
    assert skip(ground, "begin").lost == 2
    ground.consume()
    assert [row[1] for row in outcomes(ground, first)] == ["rejected", "rejected", "applied"]
    assert (open_alerts(ground.database), is_balanced(ground)) == ([], True)


def test_stored_offset_behind_the_logs_end_stops_its_partition_and_no_other(ground: Ground) -> None:
    at = stored(ground)
    beside = send_batch(ground.bootstrap, TOPIC, 1, [said(ground)])
    where = f"WHERE topic = '{TOPIC}' AND partition = 0"
    ground.execute(f"UPDATE log_partition SET next_offset = next_offset + 1000 {where}")
    try:
        ground.consume(lambda: bool(ground.status.stopped) and stored(ground, 1) == beside + 1, drain=False)
        (stop,) = list_stops(ground.database, standing_only=True)
        assert stop.cause is StopCause.LOST_RANGE
        assert f"the log ends at {at}, before the stored offset {at + 1000}" in stop.why
    finally:
        ground.execute(
            f"UPDATE log_partition SET next_offset = {at} {where}; DELETE FROM partition_stop; DELETE FROM alert"
        )
