"""What the benchmarks calculate with: the simulation against what a pencil gives, latencies, and slopes."""

import polars as pl
import pytest

from tests.bench.catch_up import caught_up_ns
from tests.bench.latency import percentiles, portal_latency, row_latency
from tests.bench.memory import epoch_place, slope
from tests.bench.service import fitted
from tests.bench.simulation import Cost, Load, Site, percentile, saturation, simulate
from tests.bench.support.events import citizen_events

MS = 1_000_000


def test_simulation_consumes_everything_once() -> None:
    site = Site(Cost(0.01, 1e-5), Cost(0.01, 1e-5), workers=3, partitions=8)
    run = simulate(site, Load((0.0, 5.0), (1_000.0, 0.0), 50_000.0), 60.0)
    assert run.events == pytest.approx(55_000, abs=3)
    assert run.caught_up_s is not None


def test_simulation_is_bound_by_its_narrowest_part() -> None:
    of_worker = Site(Cost(0.0, 2e-5), Cost(0.0, 1e-6), workers=1, processors=8)
    of_database = Site(Cost(0.0, 1e-6), Cost(0.0, 2e-5), workers=8, partitions=8, processors=4)
    assert saturation(of_worker, 30.0) == pytest.approx(50_000, rel=0.15)
    assert saturation(of_database, 30.0) == pytest.approx(200_000, rel=0.15)


def test_simulation_of_little_load_waits_for_the_fixed_costs_only() -> None:
    run = simulate(Site(Cost(0.010, 0.0), Cost(0.015, 0.0)), Load((0.0,), (1.0,)), 600.0)
    assert percentile(run, 0.5) == pytest.approx(25, rel=0.2)


def test_load_tells_when_an_event_came() -> None:
    load = Load((0.0, 10.0), (5.0, 50.0), waiting=7.0)
    assert load.arrived(12.0) == 7 + 50 + 100
    assert load.when(5) == 0.0
    assert load.when(7 + 25) == 5.0
    assert load.when(load.arrived(12.0)) == pytest.approx(12.0)


def test_row_latency_is_until_some_offset_at_or_after_the_events_was_seen() -> None:
    sent = pl.DataFrame({"partition": [0, 0, 1], "offset": [0, 1, 0], "sent_ns": [0, 10 * MS, 20 * MS]})
    seen = pl.DataFrame({"partition": [0, 1], "offset": [1, 0], "seen_ns": [30 * MS, 60 * MS]})
    assert sorted(row_latency(sent, seen)) == [20.0, 30.0, 40.0]


def test_portal_latency_is_until_the_keys_record_held_that_version_or_a_later_one() -> None:
    sent = pl.DataFrame({"key": [b"a", b"a", b"b"], "version": [1, 2, 3], "sent_ns": [0, 0, 0]})
    arrived = pl.DataFrame({"key": [b"a", b"b"], "version": [2, 3], "arrived_ns": [5 * MS, 9 * MS]})
    assert percentiles(portal_latency(sent, arrived))["p100"] == 9.0
    assert sorted(portal_latency(sent, arrived)) == [5.0, 5.0, 9.0]


def test_caught_up_when_the_last_partition_is_soon_after_its_senders() -> None:
    sent = pl.DataFrame({"partition": [0, 0, 1], "offset": [5, 6, 5], "sent_ns": [0, 4000 * MS, 4000 * MS]})
    seen = pl.DataFrame({"partition": [0, 0], "offset": [5, 6], "seen_ns": [3000 * MS, 4100 * MS]})
    assert caught_up_ns(sent, seen) is None
    more = pl.DataFrame({"partition": [1], "offset": [5], "seen_ns": [4200 * MS]})
    assert caught_up_ns(sent, pl.concat([seen, more])) == 4200 * MS


def test_epoch_is_the_byte_that_is_replaced() -> None:
    (_, value) = next(iter(citizen_events(1, "a secret of the tests", "dancu")))
    assert value[epoch_place(value)] == 2 * 1


def test_slope_and_fit_are_those_of_a_line() -> None:
    samples = pl.DataFrame({"consumed": [1_000_000, 2_000_000, 3_000_000], "mb": [100.0, 107.0, 114.0]})
    assert slope(samples) == pytest.approx(7.0)
    assert fitted([100, 1_000], [0.0101, 0.011]) == {"fixed_ms": 10.0, "per_event_us": 1.0}
