"""Past states folded from the events, against what the warehouse held: record time, valid time, and both limits off."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from hub.codec.catalogue import load_catalogue
from hub.codec.fields import FieldSpec
from hub.model.entities import CITIZEN
from hub.operate.history import NO_LIMITS, Event, Limits, Standing, fold
from hub.operate.show import sides_of
from hub.operate.show_claims import Identity, Side, Speaker
from hub.operate.show_events import events_of, speakers_of
from hub.warehouse.tables import batch
from tests.conftest import RunningEngine
from tests.merge_world import ENDED, FIRST_DAY, RANKS, Said, World, key_of, open_world

PERSON = CITIZEN.aspect("person")
KEYS = tuple(key_of(number) for number in (1, 2, 3))


@pytest.fixture(scope="module")
def world(engine: RunningEngine) -> Iterator[World]:
    name = f"history_{uuid.uuid4().hex[:12]}"
    made = open_world(engine.create_database(name))
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


Batches = list[tuple[int, list[Said]]]


@st.composite
def histories(draw: st.DrawFn) -> Batches:
    """Batches (partition, events): versions of a few citizens by a few sources, repeated, shuffled, split anyhow."""
    named = st.tuples(st.integers(1, 3), st.sampled_from(sorted(RANKS)), st.integers(1, 2), st.integers(1, 3))
    told = st.tuples(
        st.sampled_from(["UPDATE", "CORRECT", "REVOKE", "SNAPSHOT"]),
        st.integers(0, 2),
        st.sampled_from("AB"),
        st.sampled_from([None, 1990, 1991]),
    )
    versions = draw(st.lists(st.tuples(named, told), min_size=1, max_size=14))
    events = [
        Said(key, source, version, epoch, operation, day, name, year)
        for (key, source, epoch, version), (operation, day, name, year) in versions
    ]
    shuffled = draw(st.permutations(events + draw(st.lists(st.sampled_from(events), max_size=6))))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=4)) | {len(shuffled)})
    return [
        (draw(st.integers(0, 2)), list(shuffled[start:end]))
        for start, end in zip([0, *cuts[:-1]], cuts, strict=True)
        if end > start
    ]


Claims = dict[tuple[int, str], Said]


def accepted(events: list[Said]) -> list[Said]:
    """What of events that come one by one says something, if late: all but repeats of the newest version."""
    newest: Claims = {}
    taken = []
    for event in events:
        stored = newest.get((event.key, event.source))
        if stored is not None and (event.epoch, event.version) == (stored.epoch, stored.version):
            continue
        if stored is None or (event.epoch, event.version) > (stored.epoch, stored.version):
            newest[event.key, event.source] = event
        taken.append(event)
    return taken


def oracle(events: list[Said]) -> tuple[Any, Any]:
    """Who holds each record after some events, and the open conflicts."""
    claims: Claims = {}
    for event in events:
        stored = claims.get((event.key, event.source))
        if stored is None or (event.epoch, event.version) > (stored.epoch, stored.version):
            claims[event.key, event.source] = event
    holders: dict[int, Said | None] = {}
    for key in {event.key for event in events}:
        standing = [claim for claim in claims.values() if claim.key == key and claim.operation != "REVOKE"]
        holders[key] = min(standing, key=lambda c: (RANKS[c.source], -c.day, c.source), default=None)
    conflicts = {
        (claim.key, field, claim.source, held.source)
        for claim in claims.values()
        if (held := holders[claim.key]) and claim is not held and claim.operation != "REVOKE"
        if held.day < ENDED.get(claim.source, held.day + 1)
        for field in ("full_name", "birth_year")
        if None not in (getattr(claim, field), getattr(held, field)) and getattr(claim, field) != getattr(held, field)
    }
    return {key: held and held.source for key, held in holders.items()}, conflicts


@dataclass(frozen=True, slots=True)
class Seen:
    """What the warehouse held when the hub had learnt something."""

    at: datetime
    states: dict[Any, Any]


def state_of(sides: list[Side]) -> Any:
    """What must be equal: holder and rule, claims with their content, conflicts that are open."""
    return [
        (
            side.part,
            side.won,
            [
                (
                    claim.source,
                    claim.epoch,
                    claim.version,
                    claim.occurred_at,
                    claim.recorded_at,
                    claim.operation,
                    claim.content_hash,
                    dict(claim.fields),
                    claim.differs,
                )
                for claim in side.claims
            ],
            {(one.field, one.source, one.held_by) for one in side.conflicts if one.closed_at is None},
        )
        for side in sides
    ]


def held_now(connection: Connection) -> Seen:
    states = {key: state_of(sides_of(connection, CITIZEN, key)) for key in KEYS}
    return Seen(connection.execute(select(func.max(batch.c.recorded_at))).scalar_one(), states)


def play(world: World, history: Batches) -> tuple[list[Seen], list[Event], dict[str, Speaker]]:
    """Commit the batches; return what was held after each, and every event with what it said."""
    world.clear()
    said: dict[tuple[int, int], Said] = {}
    seen = []
    for partition, events in history:
        said |= {(partition, world.places[partition] + number): one for number, one in enumerate(events)}
        world.commit(events, partition)
        with world.engine.connect() as connection:
            seen.append(held_now(connection))
    with world.engine.connect() as connection:
        found = events_of(connection, CITIZEN, KEYS)
        speakers = speakers_of(connection, CITIZEN, PERSON)
    told = [replace(event, values=values(said[event.place.partition, event.place.offset])) for event in found]
    assert len(told) == len(said)
    return seen, told, speakers


def values(one: Said) -> dict[str, Any]:
    fields = dict.fromkeys(spec.name for spec in _data()) | one.fields()
    return {name: value for name, value in fields.items() if name not in {"event_id"}}


def _data() -> tuple[FieldSpec, ...]:
    return load_catalogue().latest(PERSON.subject).data_fields


def folded(events: list[Event], speakers: dict[str, Speaker], limits: Limits) -> dict[Any, Any]:
    return {key: state_of(fold(CITIZEN, Identity(key, PERSON), events, Standing(speakers), limits)) for key in KEYS}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_fold_equals_what_the_warehouse_holds_and_held_after_every_batch(world: World, history: Batches) -> None:
    seen, events, speakers = play(world, history)
    assert folded(events, speakers, NO_LIMITS) == seen[-1].states
    for moment in seen:
        assert folded(events, speakers, Limits(known_at=moment.at)) == moment.states
    before = Limits(known_at=seen[0].at - timedelta(microseconds=1))
    assert folded(events, speakers, before) == {key: [] for key in KEYS}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_as_of_a_day_holds_what_the_oracle_makes_of_the_events_up_to_it(world: World, history: Batches) -> None:
    _, events, speakers = play(world, history)
    everything = [event for _, said in history for event in said]
    taken = accepted(everything)
    for day in (0, 1, 2):
        limits = Limits(as_of=FIRST_DAY + timedelta(days=day))
        holders, conflicts = oracle([one for one in taken if one.day <= day])
        folds = {
            number: fold(CITIZEN, Identity(key_of(number), PERSON), events, Standing(speakers), limits)
            for number in (1, 2, 3)
        }
        assert {number: side.won.holder for number, sides in folds.items() for side in sides} == holders
        found = {
            (number, one.field, one.source, one.held_by)
            for number, sides in folds.items()
            for side in sides
            for one in side.conflicts
        }
        assert found == conflicts
