"""Which processes run, are gone, stand still: judged from heartbeats alone."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from connectors.running.heartbeat import record_of
from hub.model.processes import Beat, Condition, Limits, Role, beat_from_json, beat_to_json, judged

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
LIMITS = Limits(gone_s=20, still_s=120, behind_s=300)


def beat(name: str, role: Role = Role.WORKER, *, began: float = 3600, silent: float = 1, **more: object) -> Beat:
    """Return a heartbeat; ``began`` and ``silent`` are seconds ago."""
    at = {
        "began_at": NOW - timedelta(seconds=began),
        "beat_at": NOW - timedelta(seconds=silent),
        "progress_at": NOW - timedelta(seconds=silent),
    }
    return Beat(**({"role": role, "name": name, "host": "a", "pid": 1, "version": "1"} | at | more))  # type: ignore[arg-type]


def conditions(*beats: Beat) -> dict[str, Condition]:
    return {one.beat.name: one.condition for one in judged(beats, NOW, LIMITS)}


def test_process_that_beats_runs_and_one_that_does_not_is_gone() -> None:
    assert conditions(beat("one"), beat("two", silent=21)) == {"one": Condition.RUNS, "two": Condition.GONE}


def test_process_that_is_known_to_have_ended_is_gone_at_once_unless_it_said_so_or_was_replaced() -> None:
    killed = [beat("a", silent=1), beat("b", silent=1, ended_at=NOW), beat("c", Role.SHARE), beat("d", Role.SHARE)]
    found = judged(killed, NOW, LIMITS, lambda one: one.name != "d")
    assert [one.condition for one in found if one.beat.name == "a"] == [Condition.GONE]
    assert [one.condition for one in found if one.beat.name == "b"] == [Condition.ENDED]
    assert [one.condition for one in found if one.beat.name == "c"] == [Condition.GONE]
    assert [one.condition for one in found if one.beat.name == "d"] == [Condition.RUNS]
    again = judged([beat("a", silent=2), beat("e", began=1)], NOW, LIMITS, lambda one: one.name == "a")
    assert {one.beat.name: one.condition for one in again} == {"a": Condition.ENDED, "e": Condition.RUNS}


def test_process_that_said_it_ended_is_not_missed() -> None:
    assert conditions(beat("one", silent=900, ended_at=NOW)) == {"one": Condition.ENDED}


def test_of_two_killed_and_one_started_again_one_is_still_missing() -> None:
    found = conditions(beat("a", silent=100), beat("b", silent=90), beat("c", began=50))
    assert sorted(found.values()) == [Condition.ENDED, Condition.GONE, Condition.RUNS]


def test_process_that_began_before_the_other_was_killed_does_not_replace_it() -> None:
    assert conditions(beat("a", silent=100), beat("b", began=101)) == {"a": Condition.GONE, "b": Condition.RUNS}


def test_a_share_does_not_replace_a_worker() -> None:
    found = conditions(beat("a", silent=100), beat("b", Role.SHARE, began=50))
    assert found == {"a": Condition.GONE, "b": Condition.RUNS}


def test_process_whose_loop_does_not_turn_stands_still_though_it_beats() -> None:
    late = NOW - timedelta(seconds=121)
    assert conditions(beat("a", progress_at=late)) == {"a": Condition.STANDS_STILL}
    assert conditions(beat("a", progress_at=late, waits_for="Kafka")) == {"a": Condition.WAITS}


def test_process_is_behind_when_its_oldest_record_is_older_than_the_limit() -> None:
    found = conditions(beat("a", Role.SHARE, behind_s=301.0), beat("b", Role.SHARE, behind_s=299.0))
    assert found == {"a": Condition.BEHIND, "b": Condition.RUNS}
    assert conditions(beat("a", Role.SHARE, behind_s=301.0, waits_for="Kafka")) == {"a": Condition.BEHIND}


def test_connector_is_judged_as_of_when_a_worker_was_heard() -> None:
    found = conditions(beat("w", silent=500), beat("thu", Role.CONNECTOR, silent=510))
    assert found == {"w": Condition.GONE, "thu": Condition.RUNS}
    found = conditions(beat("w", silent=1), beat("thu", Role.CONNECTOR, silent=510))
    assert found["thu"] is Condition.GONE


def test_connector_whose_process_ended_is_not_gone_before_a_worker_could_hear_that_it_ended() -> None:
    found = judged([beat("w"), beat("thu", Role.CONNECTOR, silent=6)], NOW, LIMITS, lambda _: True)
    assert [one.condition for one in found if one.beat.name == "thu"] == [Condition.RUNS]


def test_silence_of_a_connector_counts_only_while_a_worker_ran() -> None:
    silent = beat("thu", Role.CONNECTOR, silent=510)
    assert conditions(silent) == {"thu": Condition.RUNS}
    before = beat("a", silent=505, ended_at=NOW - timedelta(seconds=505))
    assert conditions(before, silent)["thu"] is Condition.RUNS
    assert conditions(before, beat("b", began=14, silent=1), silent)["thu"] is Condition.RUNS
    assert conditions(before, beat("b", began=17, silent=1), silent)["thu"] is Condition.GONE
    two_at_once = beat("b", began=14, silent=1), beat("c", began=14, silent=1)
    assert conditions(before, *two_at_once, silent)["thu"] is Condition.RUNS


def test_connector_is_shown_with_the_time_since_it_was_heard_though_no_worker_runs() -> None:
    (found,) = judged([beat("thu", Role.CONNECTOR, silent=510)], NOW, LIMITS)
    assert found.silent_s == 510


def test_connectors_word_comes_through_json_and_its_clock_is_put_right() -> None:
    said = beat("thu", Role.CONNECTOR, waits_for="the source", waits_since=NOW - timedelta(seconds=30), behind=4)
    heard_at = NOW + timedelta(hours=7)
    heard = beat_from_json(json.loads(json.dumps(beat_to_json(said))), heard_at)
    assert heard is not None
    assert heard.beat_at == heard_at
    assert heard_at - heard.progress_at == said.beat_at - said.progress_at
    assert heard.waits_since is not None
    assert heard_at - heard.waits_since == timedelta(seconds=29)
    assert (heard.behind, heard.waits_for, heard.name) == (4, "the source", "thu")


@pytest.mark.parametrize(
    "changed",
    [
        {"role": "worker"},
        {"role": "king"},
        {"at": "yesterday"},
        {"at": "0001-01-01T00:00:00"},
        {"began_at": None},
        {"pid": "many"},
        {"behind": "x"},
        {"behind_s": [1]},
    ],
)
def test_what_is_no_heartbeat_of_a_connector_is_none(changed: dict[str, object]) -> None:
    assert beat_from_json(beat_to_json(beat("thu", Role.CONNECTOR)) | changed, NOW) is None


def test_odd_values_of_a_strangers_heartbeat_are_tamed() -> None:
    said = beat_to_json(beat("thu\x00\x1b[2J" + "x" * 900, Role.CONNECTOR)) | {
        "behind": 10**400,
        "behind_s": float("nan"),
        "pid": 2**70,
        "doing": "\ud800",
    }
    heard = beat_from_json(said, NOW)
    assert heard is not None
    assert "\x00" not in heard.name
    assert len(heard.name) < 1_000
    assert heard.behind == 2**53
    assert heard.behind_s == 0.0
    assert heard.doing == "\\ud800"
    assert heard.pid < 2**31


@pytest.mark.parametrize("name", ["began_at", "progress_at", "waits_since", "ended_at"])
@pytest.mark.parametrize(
    ("said", "seconds_ago"),
    [
        ("0001-01-01T00:00:00+14:00", 3_650 * 86_400),
        ("0001-01-01T00:00:00", 3_650 * 86_400),
        ("9999-12-31T23:59:59-14:00", 0),
        ("2026-03-02T01:59:00", 60),
        ("2026-03-02T08:59:00+07:00", 60),
    ],
)
def test_any_time_that_a_connector_says_lies_between_ten_years_ago_and_now(
    name: str, said: str, seconds_ago: int
) -> None:
    given = beat_to_json(beat("thu", Role.CONNECTOR, silent=0)) | {name: said}
    heard = beat_from_json(given, NOW)
    assert heard is not None
    assert getattr(heard, name) == NOW - timedelta(seconds=seconds_ago)


def test_heartbeat_with_half_a_letter_in_its_texts_is_told_all_the_same() -> None:
    key, value = record_of(beat("thu/\udce9.toml", Role.CONNECTOR, waits_for="source: \ud800"))
    assert key == b"thu/\\udce9.toml"
    heard = beat_from_json(json.loads(value), NOW)
    assert heard is not None
    assert (heard.name, heard.waits_for) == ("thu/\\udce9.toml", "source: \\ud800")
