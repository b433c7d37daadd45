"""Liveness of sources: what a batch announces of each, and how announcements add up."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from hub.warehouse.batch import Accepted, Batch
from hub.worker.activity import Activity, activity_of, added, seen_in


def frame_of(*said: tuple[str, int]) -> pl.DataFrame:
    times = [datetime(2025, 7, day, tzinfo=UTC) for _, day in said]
    data = {"source_system": [source for source, _ in said], "occurred_at": times, "other": [1] * len(said)}
    schema = {"source_system": pl.String(), "occurred_at": pl.Datetime("us", "UTC"), "other": pl.Int64()}
    return pl.DataFrame(data, schema=schema)


def test_batches_announce_each_source_once_over_all_subjects() -> None:
    frames = [frame_of(("x", 1), ("y", 3)), frame_of(("x", 5), ("x", 2))]
    activity = Activity(None, None)
    activity.announce(Batch((), tuple(Accepted(f"{number}", frame) for number, frame in enumerate(frames))))
    seen = activity_of([*activity.waiting])
    newest = {one["source"]: datetime.fromtimestamp(one["newest_occurred_at"], UTC).day for one in seen}
    assert newest == {"x": 5, "y": 3}
    assert [(one["source"], one["events"]) for one in seen] == [("x", 3), ("y", 1)]


def test_batch_of_refused_rows_announces_nothing() -> None:
    activity = Activity(None, None)
    activity.announce(Batch((), ()))
    assert activity_of([*activity.waiting]) == []


def test_what_the_broker_does_not_take_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.worker.activity.MOST_ROWS", 3)
    activity = Activity(None, None)
    for source in ("x", "y", "z"):
        activity.announce(Batch((), (Accepted("a", frame_of((source, 1), (source, 2))),)))
    assert [(one["source"], one["events"]) for one in activity_of([*activity.waiting])] == [("z", 2)]


def test_announcements_add_up_and_the_newest_time_stays() -> None:
    first = added(None, {"events": 2, "newest_occurred_at": 50.0, "seen_at": 100.0})
    assert first == {"events": 2, "newest_occurred_at": 50.0, "last_seen_at": 100.0}
    late = added(first, {"events": 3, "newest_occurred_at": 20.0, "seen_at": 101.0})
    assert late == {"events": 5, "newest_occurred_at": 50.0, "last_seen_at": 101.0}
    newer = added(late, {"events": 1, "newest_occurred_at": 60.0, "seen_at": 102.0})
    assert newer["newest_occurred_at"] == 60.0
    assert first["events"] == 2


@pytest.mark.parametrize(
    "said",
    [
        None,
        b"",
        b"no json",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[1]",
        b"{}",
        b'{"source": [1], "events": 1, "newest_occurred_at": 1, "seen_at": 1}',
        b'{"source": "x", "events": "1", "newest_occurred_at": 1, "seen_at": 1}',
        b'{"source": "x", "events": 1, "newest_occurred_at": "z", "seen_at": 1}',
        b'{"source": "x", "events": 1, "newest_occurred_at": NaN, "seen_at": 1}',
        b'{"source": "x", "events": 1, "newest_occurred_at": 1, "seen_at": true}',
        b'{"source": "' + b"x" * 1_000 + b'", "events": 1, "newest_occurred_at": 1, "seen_at": 1}',
    ],
)
def test_what_is_no_announcement_is_passed_over(said: bytes | None) -> None:
    assert seen_in(said) is None


@pytest.mark.parametrize("newest", [None, -86_400.0, 1_772_416_800])
def test_announcement_is_read_as_it_was_sent(newest: float | None) -> None:
    seen = {"source": "x", "events": 2, "newest_occurred_at": newest, "seen_at": 1_772_416_801.5}
    assert seen_in(json.dumps(seen).encode()) == seen
