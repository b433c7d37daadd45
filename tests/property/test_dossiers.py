"""Dossiers: statements and pure rules say the same, whatever the order and the batches in which versions come (I4)."""

import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, literal, select, true

from hub.model.dossiers.deadline import Deadline, deadline
from hub.model.dossiers.working_time import due_after, working_seconds
from hub.reference.holidays import default_calendar
from hub.warehouse.tables.core import utc_time
from hub.warehouse.working_time import in_force, moment, next_midnight, placed, with_days
from tests.conftest import RunningEngine
from tests.oracles.dossiers import standing_backward_moves
from tests.support.dossier_world import (
    Progress,
    at,
    commit_progress,
    open_dossier_world,
    open_reviews,
    stored_deadlines,
)
from tests.support.merge_world import World

CALENDAR = default_calendar()
HOUR = 3600
SOAK = int(os.environ.get("HUB_SOAK_EXAMPLES", "100"))


@pytest.fixture(scope="module")
def dossiers(engine: RunningEngine) -> Iterator[World]:
    name = f"dossiers_{uuid.uuid4().hex[:12]}"
    made = open_dossier_world(engine.create_database(name))
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


moments = st.datetimes(datetime(2014, 6, 1), datetime(2036, 6, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given a zone


@settings(max_examples=100)
@given(start=moments, end=moments, seconds=st.integers(1, 3_000 * HOUR))
def test_statements_reckon_as_python_does(dossiers: World, start: datetime, end: datetime, seconds: int) -> None:
    given_times = select(literal(start, utc_time).label("start"), literal(end, utc_time).label("end")).subquery()
    now = in_force()
    first, last = placed(given_times.c.start, "first", now), placed(given_times.c.end, "last", now)
    places = (
        select(
            func.greatest(0, last.place - first.place).label("worked"),
            (first.place + seconds).label("due"),
            next_midnight(given_times.c.start, now).label("midnight"),
        )
        .select_from(with_days(given_times.join(now, true()), first, last))
        .subquery()
    )
    due = moment(places.c.due, now, [places])
    with dossiers.engine.connect() as connection:
        row = connection.execute(select(places, due.label("moment")).select_from(places.join(now, true()))).one()
    assert row.worked == working_seconds(CALENDAR, start, end)
    assert row.moment == due_after(CALENDAR, start, seconds)
    assert row.midnight == CALENDAR.next_midnight(start)


def some_time(draw: st.DrawFn) -> datetime:
    return at("2026-02-09 07:00") + timedelta(minutes=30 * draw(st.integers(0, 48 * 28)))


@st.composite
def histories(draw: st.DrawFn) -> list[list[Progress]]:
    """Batches of versions of a few dossiers by a few sources, shuffled, repeated and split anyhow."""
    names = draw(
        st.sets(
            st.tuples(
                st.integers(1, 2),
                st.sampled_from(["province", "province_old", "portal"]),
                st.integers(1, 2),
                st.integers(1, 4),
            ),
            min_size=1,
            max_size=10,
        )
    )
    versions = [_version(draw, *name) for name in sorted(names)]
    repeats = draw(st.lists(st.sampled_from(versions), max_size=3))
    shuffled = draw(st.permutations(versions + repeats))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=4)) | {len(shuffled)})
    return [shuffled[start:end] for start, end in zip([0, *cuts[:-1]], cuts, strict=True) if end > start]


def _version(draw: st.DrawFn, key: int, source: str, epoch: int, version: int) -> Progress:
    maybe: dict[str, Any] = {
        name: draw(st.none() | st.just(some_time(draw)))
        for name in ("received_at", "due_at", "finished_at", "rejected_at")
    }
    return Progress(
        key,
        version,
        draw(st.integers(0, 10)),
        some_time(draw),
        source,
        epoch,
        draw(st.sampled_from(["UPDATE", "UPDATE", "CORRECT", "REVOKE", "SNAPSHOT"])),
        draw(st.sampled_from([None, "why", " "])),
        procedure_code=draw(st.sampled_from([None, "2.002622", "1.001193"])),
        **maybe,
    )


RANKS = {"province": 0, "province_old": 0, "portal": 1}


def expected(versions: Sequence[Progress]) -> tuple[dict[tuple[int, str], Any], dict[int, Deadline]]:
    """What the pure rules say of all versions together."""
    asked: dict[tuple[int, str], Any] = {}
    deadlines: dict[int, Deadline] = {}
    by_source: dict[tuple[int, str], list[Progress]] = {}
    for version in set(versions):
        by_source.setdefault((version.key, version.source), []).append(version)
    for name, said in by_source.items():
        moves = standing_backward_moves(one.as_version() for one in said)
        if moves:
            asked[name] = [(move.old, move.new, [list(move.after), list(move.at)]) for move in moves]
    for key in {version.key for version in versions}:
        newest = [
            max(said, key=lambda one: (one.epoch, one.version)) for (of, _), said in by_source.items() if of == key
        ]
        standing = [one for one in newest if one.operation != "REVOKE"]
        if not standing:
            continue
        holder = min(standing, key=lambda one: (RANKS[one.source], -one.occurred_at.timestamp(), one.source))
        found = deadline(
            (one.as_version() for one in by_source[key, holder.source]),
            CALENDAR,
            _interlinked(by_source[key, holder.source]),
        )
        assert found is not None
        deadlines[key] = found
    return asked, deadlines


def _interlinked(said: Sequence[Progress]) -> bool:
    ordered = sorted(said, key=lambda one: (one.epoch, one.version))
    last_revoke = max((place for place, one in enumerate(ordered) if one.operation == "REVOKE"), default=-1)
    codes = [one.procedure_code for one in ordered[last_revoke + 1 :] if one.procedure_code]
    return bool(codes) and codes[-1] == "2.002622"


_COMPARED = (
    "received_at",
    "started_at",
    "stated_due_at",
    "due_at",
    "finished_at",
    "paused_since",
    "paused_seconds",
    "used_seconds",
    "on_time",
    "overdue_seconds",
)


def check_history(world: World, history: list[list[Progress]]) -> None:
    world.clear()
    for number, batch in enumerate(history):
        commit_progress(world, *batch, partition=number % 3)
    asked, deadlines = expected([version for batch in history for version in batch])
    found = {
        name: [(move["from"], move["to"], move["versions"]) for move in [*detail["earlier"], detail]]
        for name, detail in open_reviews(world).items()
    }
    assert found == asked
    rows = stored_deadlines(world)
    assert {key: [getattr(row, name) for name in _COMPARED] for key, row in rows.items()} == {
        key: [getattr(each, name) for name in _COMPARED] for key, each in deadlines.items()
    }
    for key, each in deadlines.items():
        seen = (rows[key].extensions or {"seen": []})["seen"]
        assert [change["version"] for change in seen] == [list(one.at) for one in each.extensions]


@settings(max_examples=60)
@given(history=histories())
def test_i4_reviews_and_deadlines_are_those_of_the_rules_whatever_order_and_batches(
    dossiers: World, history: list[list[Progress]]
) -> None:
    check_history(dossiers, history)


@pytest.mark.soak
@settings(max_examples=SOAK)
@given(history=histories())
def test_i4_reviews_and_deadlines_are_those_of_the_rules_at_length(
    dossiers: World, history: list[list[Progress]]
) -> None:
    check_history(dossiers, history)
