"""The breaker: what trips it, what does not, and what an operator's acceptance changes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.intake.faults.breaker import Breaker, Storm, Trip
from hub.model.errors import ConfigError
from hub.model.policies.breaker_limits import BreakerLimits
from hub.model.policies.changes import policy_changes
from hub.model.policies.policy import parse_policy

SOURCE = '[[source]]\ncode = "a"\nagency = "b"\nrole = "portal"\nsubjects = []\n'


def tripped(limits: BreakerLimits, records: list[bool], sizes: list[int], allowance: int = 0) -> int | None:
    """Return the number of the record that trips, batches being of these sizes over and over; None if none does."""
    breaker, first, turn = Breaker(limits, allowance), 0, 0
    while first < len(records):
        part = records[first : first + sizes[turn % len(sizes)]]
        trip = breaker.look(len(part), [index for index, is_poison in enumerate(part) if is_poison])
        if trip:
            return first + trip.at
        first, turn = first + len(part), turn + 1
    return None


def expected(limits: BreakerLimits, records: list[bool], allowance: int = 0) -> int | None:
    """Say the same record by record."""
    run, counted = 0, []
    for number, is_poison in enumerate(records):
        accepted = is_poison and allowance > 0
        allowance -= accepted
        is_counted = is_poison and not accepted
        counted.append(is_counted)
        run = run + 1 if is_counted else 0
        if is_counted and limits.run and run >= limits.run:
            return number
        if is_counted and sum(counted[-limits.window :]) >= limits.most_in_window:
            return number
    return None


@settings(max_examples=500)
@given(
    records=st.lists(st.sampled_from([True, True, False]), max_size=60),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    limits=st.builds(BreakerLimits, st.integers(0, 8), st.integers(1, 12), st.sampled_from([0.2, 0.5, 0.8, 1.0])),
    allowance=st.integers(0, 5),
)
def test_breaker_trips_at_the_same_record_however_the_log_is_cut_into_batches(
    records: list[bool], sizes: list[int], limits: BreakerLimits, allowance: int
) -> None:
    assert tripped(limits, records, sizes, allowance) == expected(limits, records, allowance)


@given(
    records=st.lists(st.sampled_from([True, True, False]), max_size=40),
    cut=st.integers(0, 40),
    limits=st.builds(BreakerLimits, st.integers(0, 8), st.integers(8, 20), st.sampled_from([0.5, 0.8, 1.0])),
)
def test_breaker_made_anew_goes_on_as_the_one_before(records: list[bool], cut: int, limits: BreakerLimits) -> None:
    trip = expected(limits, records)
    first, rest = records[:cut], records[cut:]
    if trip is not None and trip < len(first):
        return
    poison = [1000 + number for number, is_poison in enumerate(first) if is_poison]
    anew = Breaker.after(limits, 1000 + len(first), poison)
    found = anew.look(len(rest), [number for number, is_poison in enumerate(rest) if is_poison])
    assert (found and found.at + len(first)) == trip


def test_run_across_batches_trips_and_says_where() -> None:
    breaker = Breaker(BreakerLimits(run=5, window=1000, share=1.0))
    assert breaker.look(4, [2, 3]) is None
    assert breaker.look(2, [0, 1]) is None
    trip = breaker.look(3, [0, 2])
    assert trip == Trip(Storm.RUN, 0, 5, 5)
    assert str(trip) == "5 poison records in a row"


def test_one_good_record_ends_a_run_and_does_not_hide_a_storm() -> None:
    limits = BreakerLimits(run=10, window=100, share=0.2)
    records = ([True] * 9 + [False]) * 10
    assert tripped(limits, records, [7]) == 21
    assert tripped(BreakerLimits(run=10, window=100, share=1.0), records, [7]) is None


def test_demo_sized_trouble_does_not_trip() -> None:
    rolled = random.Random(7)  # the same every time
    records = [rolled.random() < 0.05 for _ in range(50_000)]
    assert tripped(BreakerLimits(), records, [500, 1, 3000]) is None


def test_what_tripped_is_not_counted_so_that_it_can_come_again() -> None:
    breaker = Breaker(BreakerLimits(run=3, window=10, share=1.0))
    assert breaker.look(2, [1]) is None
    first = breaker.look(4, [0, 1, 2])
    assert first == breaker.look(4, [0, 1, 2])
    breaker.allowance = 3
    assert breaker.look(4, [0, 1, 2]) is None
    assert breaker.allowance == 0


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("run = -1", "breaker: run must be a whole number, 0 to 1000000"),
        ("run = true", "breaker: run must be a whole number, 0 to 1000000"),
        ("window = 0", "breaker: window must be a whole number, 1 to 1000000"),
        ("share = 0", "breaker: share must be a number above 0 and at most 1"),
        ("share = 1.1", "breaker: share must be a number above 0 and at most 1"),
        ("ratio = 0.5", "breaker: unknown field 'ratio'; there are run, share, window"),
    ],
)
def test_policy_lists_what_is_wrong_with_the_limits(line: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_policy(f"{SOURCE}\n[breaker]\n{line}".encode(), "p")
    assert refused.value.problems == (f"p: {problem}",)


def test_policy_has_limits_with_defaults_and_says_what_changed() -> None:
    plain = parse_policy(SOURCE.encode())
    assert plain.breaker == BreakerLimits(100, 1000, 0.2)
    wider = parse_policy(f"{SOURCE}\n[breaker]\nrun = 500".encode())
    assert wider.breaker == BreakerLimits(500, 1000, 0.2)
    assert [str(change) for change in policy_changes(plain, wider)] == ["policy: breaker.run: 100 -> 500"]
    with pytest.raises(ConfigError, match=r"breaker must be a table: \[breaker\]"):
        parse_policy(f"breaker = 1\n{SOURCE}".encode())


def test_only_looser_limits_let_a_stopped_partition_try_again() -> None:
    stopped_by = BreakerLimits(100, 1000, 0.2)
    assert BreakerLimits(200, 1000, 0.2).is_looser_than(stopped_by)
    assert BreakerLimits(0, 1000, 0.5).is_looser_than(stopped_by)
    assert not stopped_by.is_looser_than(stopped_by)
    assert not BreakerLimits(200, 1000, 0.1).is_looser_than(stopped_by)
    assert not stopped_by.is_looser_than(BreakerLimits(0, 1000, 0.2))
