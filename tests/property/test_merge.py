"""The merge on the real database against a plain-Python oracle: order, repetition, batching change nothing (I3-I5)."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import RunningEngine
from tests.merge_world import ENDED, RANKS, Said, World, key_of, open_world

SOAK = int(os.environ.get("HUB_SOAK_EXAMPLES", "100"))
COMPARED = ("full_name", "birth_year")


@pytest.fixture(scope="module")
def world(engine: RunningEngine) -> Iterator[World]:
    url = engine.create_database("merge_property")
    made = open_world(url)
    yield made
    made.engine.dispose()
    engine.engine.drop_database("merge_property")


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, list[Said]]]:
    """Batches (partition, events): versions of a few citizens by a few sources, repeated, shuffled, split anyhow."""
    versions = draw(
        st.dictionaries(
            st.tuples(st.integers(1, 3), st.sampled_from(sorted(RANKS)), st.integers(1, 2), st.integers(1, 3)),
            st.tuples(
                st.sampled_from(["UPDATE", "CORRECT", "REVOKE", "SNAPSHOT"]),
                st.integers(0, 2),
                st.sampled_from("AB"),
                st.sampled_from([None, 1990, 1991]),
            ),
            min_size=1,
            max_size=14,
        )
    )
    events = [
        Said(key, source, version, epoch, operation, day, name, year)
        for (key, source, epoch, version), (operation, day, name, year) in versions.items()
    ]
    repeats = draw(st.lists(st.sampled_from(events), max_size=6))
    shuffled = draw(st.permutations(events + repeats))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=4)) | {len(shuffled)})
    starts = [0, *cuts[:-1]]
    return [
        (draw(st.integers(0, 2)), list(shuffled[start:end]))
        for start, end in zip(starts, cuts, strict=True)
        if end > start
    ]


def oracle(events: list[Said]) -> tuple[Any, Any, Any]:
    """What the warehouse must hold: claims, holders, open conflicts."""
    claims: dict[tuple[int, str], Said] = {}
    for event in events:
        stored = claims.get((event.key, event.source))
        if stored is None or (event.epoch, event.version) > (stored.epoch, stored.version):
            claims[event.key, event.source] = event
    holders: dict[int, Said | None] = {}
    for key in {event.key for event in events}:
        standing = [claim for claim in claims.values() if claim.key == key and claim.operation != "REVOKE"]
        best = min(standing, key=lambda c: (RANKS[c.source], -c.day, c.source), default=None)
        holders[key] = best
    conflicts = {
        (claim.key, field, claim.source, held.source)
        for claim in claims.values()
        if (held := holders[claim.key]) and claim is not held and claim.operation != "REVOKE"
        if held.day < ENDED.get(claim.source, held.day + 1)
        for field in COMPARED
        if None not in (getattr(claim, field), getattr(held, field)) and getattr(claim, field) != getattr(held, field)
    }
    return claims, {key: held and held.source for key, held in holders.items()}, conflicts


def stored(world: World) -> tuple[Any, Any, Any]:
    """Read the same three things back."""
    claims = {
        (row.key.int & 0xFFFF, row.code): (
            row.source_epoch,
            row.source_version,
            row.operation,
            row.full_name,
            row.birth_year,
        )
        for row in world.rows("SELECT c.*, s.code FROM citizen_person_claim c JOIN source s ON s.id = c.source")
    }
    holders = {
        row.key.int & 0xFFFF: row.code
        for row in world.rows("SELECT r.key, s.code FROM citizen_person_record r LEFT JOIN source s ON s.id = r.source")
    }
    conflicts = {
        (row.key.int & 0xFFFF, row.field, row.code, row.held)
        for row in world.rows(
            "SELECT c.key, c.field, s.code, h.code AS held FROM conflict c JOIN source s ON s.id = c.source "
            "JOIN source h ON h.id = c.held_by WHERE c.closed_at IS NULL"
        )
    }
    return claims, holders, conflicts


def check_history(world: World, history: list[tuple[int, list[Said]]]) -> None:
    world.clear()
    for partition, events in history:
        world.commit(events, partition)
    everything = [event for _, events in history for event in events]
    expected_claims, expected_holders, expected_conflicts = oracle(everything)
    claims, holders, conflicts = stored(world)
    assert claims == {
        (c.key, c.source): (c.epoch, c.version, c.operation, c.full_name, c.birth_year)
        for c in expected_claims.values()
    }
    assert holders == expected_holders
    assert conflicts == expected_conflicts
    assert sorted(map(newer_or_not, world.outcomes())) == sorted(refusals(everything))


def newer_or_not(outcome: str) -> str:
    """Whether an event became its source's claim; if not, the outcome itself."""
    return "newer" if outcome in {"applied", "superseded"} else outcome


def refusals(events: list[Said]) -> list[str]:
    """What becomes of events that come one by one: ``newer``, or the outcome of one that is not."""
    newest: dict[tuple[int, str], Said] = {}
    outcomes = []
    for event in events:
        stored = newest.get((event.key, event.source))
        if stored is None or (event.epoch, event.version) > (stored.epoch, stored.version):
            newest[event.key, event.source] = event
            outcomes.append("newer")
        elif (event.epoch, event.version) < (stored.epoch, stored.version):
            outcomes.append("stale")
        else:
            outcomes.append("duplicate" if event == stored else "rejected:VERSION_REUSED")
    return outcomes


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_i4_state_equals_oracle_whatever_order_and_batches(world: World, history: list[tuple[int, list[Said]]]) -> None:
    check_history(world, history)


@pytest.mark.soak
@settings(max_examples=SOAK, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_i4_state_equals_oracle_at_length(world: World, history: list[tuple[int, list[Said]]]) -> None:
    check_history(world, history)


def test_i3_repeats_are_audited_as_duplicate_when_event_arrives_again(world: World) -> None:
    world.clear()
    event = Said(1, "population", 1)
    world.commit([event, event])
    before = stored(world)
    world.commit([event], partition=1)
    assert world.outcomes() == ["applied", "duplicate", "duplicate"]
    assert stored(world) == before


def test_version_reused_is_rejected_when_content_differs(world: World) -> None:
    world.clear()
    world.commit([Said(1, "population", 1, full_name="A"), Said(1, "population", 1, full_name="B")])
    world.commit([Said(1, "population", 1, full_name="C"), Said(1, "population", 2, full_name="D")])
    assert world.outcomes() == ["applied", "rejected:VERSION_REUSED", "rejected:VERSION_REUSED", "applied"]
    assert world.rows("SELECT full_name FROM citizen_person_claim") == [("D",)]


def test_lower_authority_is_superseded_and_kept_as_claim(world: World) -> None:
    world.clear()
    world.commit([Said(1, "population", 1, full_name="A")])
    world.commit([Said(1, "province_a", 7, full_name="B")])
    assert world.outcomes() == ["applied", "superseded"]
    claims, holders, conflicts = stored(world)
    assert set(claims) == {(1, "population"), (1, "province_a")}
    assert holders == {1: "population"}
    assert conflicts == {(1, "full_name", "province_a", "population")}


def test_conflict_closes_by_itself_when_sources_agree_again(world: World) -> None:
    world.clear()
    world.commit([Said(1, "population", 1, full_name="A"), Said(1, "province_a", 1, full_name="B")])
    assert stored(world)[2]
    world.commit([Said(1, "province_a", 2, full_name="A")])
    assert stored(world)[2] == set()
    assert [row.n for row in world.rows("SELECT count(*) AS n FROM conflict WHERE closed_at IS NOT NULL")] == [1]


def test_record_is_held_by_nobody_when_only_claim_is_revoked(world: World) -> None:
    world.clear()
    world.commit([Said(1, "population", 1)])
    world.commit([Said(1, "population", 2, operation="REVOKE")])
    assert stored(world)[1] == {1: None}
    world.commit([Said(1, "population", 3)])
    assert stored(world)[1] == {1: "population"}
    assert key_of(1).int & 0xFFFF == 1
