"""What a step of share costs stays what it is for many records together: traffic to PostgreSQL, and processor time."""

import time
from pathlib import Path
from typing import Any

from hub.model.entities import CITIZEN
from hub.share.compose import Composer
from hub.share.outbox import open_spans
from hub.share.send.batches import batches_of
from hub.share.send.transaction import partitions_for
from hub.share.step import Step, Wanted, clock_of, next_step, step_done
from hub.warehouse.tables.entities import aspect_tables
from tests.support.whole_world import SECRET, Whole
from tests.support.wire_trace import Traffic, traced

ASPECTS = len(CITIZEN.aspects)
FEW, MANY = 200, 2_000
TIMES_THE_WORKER = 5.0
"""Most processor time of share for a record, against the worker's for its event: about 1 when this was written.

Record by record it was 6 to 8.
"""


def people(count: int) -> list[dict[str, Any]]:
    """Events of new people, one each."""
    pins = (f"00129{number:07d}" for number in range(count))
    return [{"source_system": "dancu", "pin": pin, "full_name": f"Trần An {pin}"} for pin in pins]


def one_step(whole: Whole) -> Step:
    """Compose what is new, encode its batches as the producer takes them, and move the positions."""
    composers = {CITIZEN.name: Composer(CITIZEN, SECRET)}
    with whole.engine.begin() as connection:
        step = next_step(connection, composers, Wanted(clock_of(connection)))
    for parcel in step.outgoing:
        for _, batch in batches_of(parcel, partitions_for(parcel.keys, 4)):
            batch._build()
    with whole.engine.begin() as connection:
        step_done(connection, step, any_aside=False, any_blocked=False)
        assert open_spans(connection) == []
    return step


def traffic_of_a_step(whole: Whole, count: int, file: Path) -> Traffic:
    whole.clear()
    whole.send("citizen.changed", *people(count))
    with traced(whole.engine, file) as traffic:
        step = one_step(whole)
    assert [len(parcel) for parcel in step.outgoing] == [count]
    return traffic


def test_statements_and_round_trips_of_a_step_do_not_grow_with_its_records(whole: Whole, tmp_path: Path) -> None:
    traffic_of_a_step(whole, FEW, tmp_path / "prepares")
    few = traffic_of_a_step(whole, FEW, tmp_path / "few")
    many = traffic_of_a_step(whole, MANY, tmp_path / "many")
    assert few.commands == many.commands
    assert few.waits == many.waits
    # spans, blocked topics, changes, letters and the clock; groups, an aspect each; positions: and savepoints
    assert many.statements <= 20 + ASPECTS
    assert many.waits <= 30 + 2 * ASPECTS


def test_rows_and_bytes_of_a_step_are_a_key_and_a_claim_for_each_record(whole: Whole, tmp_path: Path) -> None:
    few = traffic_of_a_step(whole, FEW, tmp_path / "few")
    many = traffic_of_a_step(whole, MANY, tmp_path / "many")
    more = MANY - FEW
    assert many.fetched - few.fetched == 2 * more
    # a claim has some 50 columns, of four bytes and what is in them
    columns = len(aspect_tables("citizen.changed").claim.columns)
    assert (many.received - few.received) / more < 6 * columns + 300
    assert (many.sent - few.sent) / more < 40 * (ASPECTS + 1)


def test_processor_time_of_share_for_a_record_is_of_the_size_of_the_workers(whole: Whole) -> None:
    traffic = [time_of_a_round(whole, FEW), *(time_of_a_round(whole, MANY) for _ in range(3))]
    assert min(shared / merged for merged, shared in traffic[1:]) < TIMES_THE_WORKER


def time_of_a_round(whole: Whole, count: int) -> tuple[float, float]:
    """Return the processor time of the worker's part, without its decoding child, and of share's."""
    whole.clear()
    polled = whole.polled("citizen.changed", people(count))
    begins = time.process_time()
    whole.commit(polled)
    merged = time.process_time()
    one_step(whole)
    return merged - begins, time.process_time() - merged
