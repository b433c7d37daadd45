"""Past states folded from the events, against what the warehouse held: record time, valid time, and both limits off."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from hub.codec.catalogue import load_catalogue
from hub.codec.fields import FieldSpec
from hub.model.decisions import SUBJECT as DECIDED
from hub.model.entities import CITIZEN, REVIEW
from hub.operate.records.claims import Identity, Side, Speaker
from hub.operate.records.events import decisions_about, events_of, speakers_of
from hub.operate.records.history import NO_LIMITS, Event, Limits, Standing, decisions_in, fold
from hub.operate.records.thing import sides_of
from hub.warehouse.batch import Accepted
from hub.warehouse.tables.core import batch
from tests.conftest import RunningEngine
from tests.support.decided import DESK, Decided, decision_of, frame_of_decisions
from tests.support.merge_world import ENDED, FIRST_DAY, RANKS, SUBJECT, Said, World, key_of, open_world

PERSON = CITIZEN.aspect("person")
SOAK = int(os.environ.get("HUB_SOAK_EXAMPLES", "100"))
COMPARED = ("full_name", "birth_year")
KEYS = tuple(key_of(number) for number in (1, 2, 3))


@pytest.fixture(scope="module")
def world(engine: RunningEngine) -> Iterator[World]:
    name = f"history_{uuid.uuid4().hex[:12]}"
    made = open_world(engine.create_database(name))
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


Batches = list[tuple[int, list[Said | Decided]]]


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
    about = st.tuples(st.sampled_from(events), st.sampled_from(events), st.sampled_from(COMPARED), st.integers(1, 3))
    verdicts = draw(st.dictionaries(about, st.sampled_from(["KEEP", "TAKE", "TAKE", "WAIT"]), max_size=4))
    decisions = {
        (seen.key, seen.source, field, at): Decided(seen.key, seen.source, verdict, at, field, seen, held)
        for (seen, held, field, at), verdict in verdicts.items()
    }
    everything: list[Said | Decided] = [*events, *decisions.values()]
    shuffled = draw(st.permutations(everything + draw(st.lists(st.sampled_from(everything), max_size=6))))
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
        for field in COMPARED
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
    states = {
        key: state_of(sides_of(connection, CITIZEN, key, decisions_about(connection, CITIZEN, [key]))) for key in KEYS
    }
    return Seen(connection.execute(select(func.max(batch.c.recorded_at))).scalar_one(), states)


@dataclass(frozen=True, slots=True)
class Played:
    """What was held after each batch, every event with what it said, and who may say it."""

    seen: list[Seen]
    events: list[Event]
    speakers: dict[str, Speaker]
    officers: dict[str, Speaker]


def play(world: World, history: Batches) -> Played:
    """Commit the batches, in each first what is said and then what is decided."""
    world.clear()
    told: dict[tuple[int, int], dict[str, Any]] = {}
    seen, reviews = [], set()
    for partition, batch_of in history:
        said = [one for one in batch_of if isinstance(one, Said)]
        made = [one for one in batch_of if isinstance(one, Decided)]
        decisions = [decision_of(world, one) for one in made]
        reviews |= {UUID(hex=one.of.review_key) for one in decisions}
        first = world.places[partition]
        everything = [*map(values, said), *(one.event(DESK, "G00") for one in decisions)]
        told |= {(partition, first + number): one for number, one in enumerate(everything)}
        frames = [world.frame(SUBJECT, [one.fields() for one in said], [key_of(one.key) for one in said], partition)]
        frames += [frame_of_decisions(world, made, partition, skip=len(said))] if made else []
        accepted_frames = [Accepted(*of) for of in zip((SUBJECT, DECIDED), frames, strict=False) if of[1].height]
        world.commit_frames(partition, *accepted_frames)
        with world.engine.connect() as connection:
            seen.append(held_now(connection))
    with world.engine.connect() as connection:
        found = events_of(connection, CITIZEN, KEYS)
        found += [replace(one, aspect="decision") for one in events_of(connection, CITIZEN, reviews)]
        speakers, officers = (speakers_of(connection, *of) for of in ((CITIZEN, PERSON), (REVIEW, REVIEW.aspects[0])))
    events = [replace(event, values=told[event.place.partition, event.place.offset]) for event in found]
    assert len(events) == len(told)
    return Played(seen, events, speakers, officers)


def values(one: Said) -> dict[str, Any]:
    fields = dict.fromkeys(spec.name for spec in _data()) | one.fields()
    return {name: value for name, value in fields.items() if name not in {"event_id"}}


def _data() -> tuple[FieldSpec, ...]:
    return load_catalogue().latest(PERSON.subject).data_fields


def folded(played: Played, limits: Limits) -> dict[Any, list[Side]]:
    decisions = decisions_in(
        REVIEW, [one for one in played.events if one.aspect == "decision"], played.officers, limits
    )
    standing = Standing(played.speakers, decisions)
    return {key: fold(CITIZEN, Identity(key, PERSON), played.events, standing, limits) for key in KEYS}


def states(played: Played, limits: Limits) -> dict[Any, Any]:
    return {key: state_of(sides) for key, sides in folded(played, limits).items()}


def check_record_time(world: World, history: Batches) -> None:
    """What is folded with and without ``known_at`` is what the warehouse holds, and held after every batch."""
    played = play(world, history)
    assert states(played, NO_LIMITS) == played.seen[-1].states
    for moment in played.seen:
        assert states(played, Limits(known_at=moment.at)) == moment.states
    before = Limits(known_at=played.seen[0].at - timedelta(microseconds=1))
    assert states(played, before) == {key: [] for key in KEYS}


def check_valid_time(world: World, history: Batches) -> None:
    """What is folded up to a day is what the oracle makes of the events up to it."""
    played = play(world, history)
    taken = accepted([one for _, of in history for one in of if isinstance(one, Said)])
    for day in (0, 1, 2):
        held = folded(played, Limits(as_of=FIRST_DAY + timedelta(days=day)))
        holders, conflicts = oracle([one for one in taken if one.day <= day])
        assert {key: side.won.holder for key, sides in held.items() for side in sides} == {
            key_of(number): holder for number, holder in holders.items()
        }
        found = {
            (key, one.field, one.source, one.held_by)
            for key, sides in held.items()
            for side in sides
            for one in side.conflicts
        }
        assert found == {(key_of(number), *rest) for number, *rest in conflicts}


IN_SHORT = settings(max_examples=100)
AT_LENGTH = settings(max_examples=SOAK)


@IN_SHORT
@given(history=histories())
def test_fold_equals_what_the_warehouse_holds_and_held_after_every_batch(world: World, history: Batches) -> None:
    check_record_time(world, history)


@IN_SHORT
@given(history=histories())
def test_as_of_a_day_holds_what_the_oracle_makes_of_the_events_up_to_it(world: World, history: Batches) -> None:
    check_valid_time(world, history)


@pytest.mark.soak
@AT_LENGTH
@given(history=histories())
def test_past_states_at_length(world: World, history: Batches) -> None:
    check_record_time(world, history)
    check_valid_time(world, history)
