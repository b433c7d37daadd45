"""Dossiers on the real database: moves backwards, deadlines, whichever order their versions come in."""

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import event, select, update

from hub.model.errors import ConfigError
from hub.model.flags import Flag
from hub.operate.desk.calendar import calendars_used, plan_reckoning, reckon
from hub.reconcile.registry import redecide
from hub.reconcile.rules.dossiers.versions import progress_tables
from hub.reconcile.shared.republish import job_place
from hub.reconcile.shared.stage import ensure_stages
from hub.reference.holidays import default_calendar, parse_calendar, read_calendar_file
from hub.warehouse.tables.core import authority
from hub.warehouse.tables.dossiers import dossier_deadline
from tests.conftest import RunningEngine
from tests.support.dossier_world import (
    RECEIVED,
    Progress,
    commit_filing,
    commit_procedure,
    commit_progress,
    dossier_key,
    filing,
    local,
    open_dossier_world,
    open_reviews,
    stored_deadlines,
    told,
)
from tests.support.merge_world import World

CALENDAR = default_calendar()
HOUR = 3600
REFORM = date(2025, 7, 1)


@pytest.fixture(scope="module")
def module_world(engine: RunningEngine) -> Iterator[World]:
    name = f"dossiers_{uuid.uuid4().hex[:12]}"
    made = open_dossier_world(engine.create_database(name))
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


def test_backward_move_is_asked_about_with_its_versions(world: World) -> None:
    commit_progress(world, told(1, 10, "2026-03-02 08:00"))
    commit_progress(world, told(2, 4, "2026-03-03 08:00"))
    assert open_reviews(world) == {
        (1, "province"): {
            "from": "RESULT_RETURNED",
            "to": "IN_PROCESS",
            "versions": [[1, 1], [1, 2]],
            "earlier": [],
        }
    }


def test_earlier_backward_moves_are_kept_beside_the_newest(world: World) -> None:
    codes = (9, 4, 10, 4)
    commit_progress(world, *(told(number, code, "2026-03-02 08:00") for number, code in enumerate(codes, 1)))
    detail = open_reviews(world)[1, "province"]
    assert (detail["from"], detail["versions"]) == ("RESULT_RETURNED", [[1, 3], [1, 4]])
    assert [(move["from"], move["versions"]) for move in detail["earlier"]] == [("RESULT_READY", [[1, 1], [1, 2]])]


@pytest.mark.parametrize("operation", ["UPDATE", "SNAPSHOT", "CORRECT"])
def test_correction_without_a_reason_is_asked_about(world: World, operation: str) -> None:
    commit_progress(world, told(1, 9, "2026-03-02 08:00"), told(2, 4, "2026-03-03 08:00", operation=operation))
    assert list(open_reviews(world)) == [(1, "province")]


def test_correction_with_a_reason_is_accepted(world: World) -> None:
    why = {"operation": "CORRECT", "status_reason": "signed by the wrong office"}
    commit_progress(world, told(1, 9, "2026-03-02 08:00"), told(2, 4, "2026-03-03 08:00", **why))
    assert open_reviews(world) == {}
    assert [row.status for row in world.rows("SELECT status FROM dossier_progress_claim")] == ["IN_PROCESS"]


def in_any_order(world: World, *versions: Progress) -> dict[tuple[int, str], dict[str, Any]]:
    """Commit versions in every order, each its own batch; return the open questions, the same for all."""
    ends = []
    for order in permutations(versions):
        world.clear()
        for version in order:
            commit_progress(world, version)
        ends.append((open_reviews(world), {key: tuple(row)[2:] for key, row in stored_deadlines(world).items()}))
    assert all(end == ends[0] for end in ends)
    return ends[0][0]


def test_late_version_in_between_closes_or_opens_the_question(world: World) -> None:
    rejected = told(1, 3, "2026-03-02 08:00")
    in_process = told(3, 4, "2026-03-04 08:00")
    taken_back = told(2, 3, "2026-03-03 08:00", operation="REVOKE")
    assert in_any_order(world, rejected, in_process)
    assert in_any_order(world, rejected, in_process, taken_back) == {}
    assert in_any_order(world, told(1, 1, "2026-03-02 08:00"), in_process) == {}
    assert in_any_order(world, told(1, 1, "2026-03-02 08:00"), told(2, 7, "2026-03-03 08:00"), in_process)


def test_later_correction_closes_the_question(world: World) -> None:
    commit_progress(world, told(1, 10, "2026-03-02 08:00"), told(2, 4, "2026-03-03 08:00"))
    assert open_reviews(world)
    commit_progress(world, told(3, 10, "2026-03-04 08:00", operation="CORRECT", status_reason="entered by mistake"))
    assert open_reviews(world) == {}
    rows = world.rows("SELECT closed_at FROM review")
    assert len(rows) == 1
    assert rows[0].closed_at is not None


def test_event_that_goes_back_is_flagged_beside_the_audit_log(world: World) -> None:
    commit_progress(world, told(1, 9, "2026-03-02 08:00"), told(2, 10, "2026-03-02 09:00"))
    commit_progress(world, told(3, 4, "2026-03-03 08:00"), told(4, 9, "2026-03-04 08:00"))
    flagged = "SELECT late.flags FROM audit LEFT JOIN late_flag late USING (log, log_offset) ORDER BY log, log_offset"
    assert [row.flags for row in world.rows(flagged)] == [None, None, int(Flag.BACKWARD_STATUS), None]
    assert {row.flags for row in world.rows("SELECT flags FROM audit")} == {None}


def test_question_of_one_source_is_not_closed_by_another(world: World) -> None:
    commit_progress(world, told(1, 10, "2026-03-02 08:00"), told(2, 4, "2026-03-03 08:00"))
    why = {"operation": "CORRECT", "status_reason": "x"}
    commit_progress(world, told(1, 9, "2026-03-04 08:00", source="portal", **why))
    assert list(open_reviews(world)) == [(1, "province")]


def test_open_dossier_has_a_due_time_and_no_verdict(world: World) -> None:
    commit_progress(world, RECEIVED)
    row = stored_deadlines(world)[1]
    assert (row.calendar_version, local(row.started_at), local(row.due_at)) == (
        CALENDAR.version,
        "2026-03-02 08:00",
        "2026-03-06 17:00",
    )
    assert (row.finished_at, row.on_time, row.used_seconds, row.overdue_seconds) == (None, None, None, None)


def test_clock_stands_still_for_supplement_and_payment(world: World) -> None:
    commit_progress(world, RECEIVED, told(2, 5, "2026-03-03 07:30"), told(3, 4, "2026-03-04 07:30"))
    commit_progress(world, told(4, 6, "2026-03-06 13:00"))
    row = stored_deadlines(world)[1]
    assert (row.paused_seconds, local(row.paused_since), local(row.due_at)) == (
        8 * HOUR,
        "2026-03-06 13:00",
        "2026-03-09 17:00",
    )
    commit_progress(world, told(5, 4, "2026-03-09 09:30"), told(6, 9, "2026-03-10 15:30"))
    row = stored_deadlines(world)[1]
    assert (local(row.due_at), row.on_time, row.overdue_seconds, row.paused_since) == (
        "2026-03-10 15:00",
        False,
        HOUR // 2,
        None,
    )


def test_extensions_are_kept_without_reasons(world: World) -> None:
    listed = '[{"old_due_at":"2026-03-01T10:00:00Z","new_due_at":"2026-03-06T10:00:00Z","reason":"Nguyen Van A"}]'
    commit_progress(world, RECEIVED, told(2, 4, "2026-03-04 08:00", due_at="2026-03-10 17:00", due_history=listed))
    assert stored_deadlines(world)[1].extensions == {
        "stated": [{"old_due_at": "2026-03-01T10:00:00Z", "new_due_at": "2026-03-06T10:00:00Z"}],
        "seen": [
            {
                "old_due_at": "2026-03-06T10:00:00.000000Z",
                "new_due_at": "2026-03-10T10:00:00.000000Z",
                "version": [1, 2],
            }
        ],
    }


def test_deadline_follows_the_source_that_holds_the_record(world: World) -> None:
    commit_progress(world, told(1, 4, "2026-03-02 08:00", source="portal", due_at="2026-03-05 17:00"))
    assert local(stored_deadlines(world)[1].due_at) == "2026-03-05 17:00"
    commit_progress(world, RECEIVED)
    assert local(stored_deadlines(world)[1].due_at) == "2026-03-06 17:00"
    commit_progress(world, told(2, 2, "2026-03-03 08:00", operation="REVOKE"))
    assert local(stored_deadlines(world)[1].due_at) == "2026-03-05 17:00"
    commit_progress(world, told(2, 4, "2026-03-03 08:00", source="portal", operation="REVOKE"))
    assert stored_deadlines(world) == {}


@pytest.mark.parametrize("first", ["filing", "progress"])
def test_interlinked_dossier_filed_late_counts_from_the_next_day(world: World, first: str) -> None:
    commit_procedure(world, 7, "2.002621")
    late = told(1, 2, "2026-03-06 15:30", received_at="2026-03-06 15:30")
    steps = {"filing": lambda: commit_filing(world, 1, filing(1, 1, "2.002621.000.00.00.H42"))}
    steps["progress"] = lambda: commit_progress(world, late)
    for name in sorted(steps, key=lambda name: name != first):
        steps[name]()
    row = stored_deadlines(world)[1]
    assert (row.interlinked, local(row.started_at), local(row.due_at)) == (
        True,
        "2026-03-07 00:00",
        "2026-03-11 17:00",
    )
    commit_procedure(world, 8, "1.001193")
    commit_filing(world, 1, filing(1, 2, "1.001193"))
    row = stored_deadlines(world)[1]
    assert (row.interlinked, local(row.started_at), row.due_at) == (False, "2026-03-06 15:30", None)


def test_late_version_that_changes_a_deadline_notes_the_dossier(world: World) -> None:
    commit_progress(world, RECEIVED, told(3, 4, "2026-03-04 07:30"))
    assert world.rows("SELECT * FROM touched") == []
    commit_progress(world, told(2, 5, "2026-03-03 07:30"))
    assert world.outcomes()[-1] == "stale"
    assert local(stored_deadlines(world)[1].due_at) == "2026-03-09 17:00"
    assert [row.key for row in world.rows("SELECT key FROM touched WHERE entity = 'dossier'")] == [dossier_key(1)]


@pytest.mark.parametrize("first", ["filing", "progress"])
def test_filing_and_progress_committed_at_once_see_each_other(world: World, first: str) -> None:
    commit_procedure(world, 7, "2.002621")
    late = told(1, 2, "2026-03-06 15:30", received_at="2026-03-06 15:30")
    steps: dict[str, Callable[[], None]] = {
        "filing": lambda: commit_filing(world, 1, filing(1, 1, "2.002621")),
        "progress": lambda: commit_progress(world, late),
    }
    other = "progress" if first == "filing" else "filing"
    started, errors = threading.Event(), []

    def run(step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    second = threading.Thread(target=run, args=(steps[other],))

    def hold_commit(connection: Any) -> None:
        """The first transaction has done all its work; let the second do what it can before it commits."""
        is_of_batch = bool(connection.info.get("stages"))
        if is_of_batch and threading.current_thread() is not second and not started.is_set():
            started.set()
            second.start()
            second.join(timeout=2)

    event.listen(world.engine, "commit", hold_commit)
    try:
        run(steps[first])
        second.join()
    finally:
        event.remove(world.engine, "commit", hold_commit)
    assert errors == []
    assert stored_deadlines(world)[1].interlinked is True


def test_deadline_follows_a_record_that_was_decided_anew(world: World) -> None:
    commit_progress(world, told(1, 4, "2026-03-02 08:00", source="portal", due_at="2026-03-05 17:00"))
    commit_progress(world, RECEIVED)
    tables = progress_tables()
    turned = update(authority).where(authority.c.aspect == tables.name).values(rank=-authority.c.rank)
    with world.engine.connect() as connection:
        ensure_stages(connection)
        with connection.begin():
            connection.execute(turned)
            redecide(connection, tables, select(tables.record.c.key), job_place(connection))
            (due,) = connection.execute(select(dossier_deadline.c.due_at)).scalars()
            connection.execute(turned)
    assert local(due) == "2026-03-05 17:00"


def test_new_calendar_reckons_open_dossiers_and_leaves_ended_ones(world: World) -> None:
    commit_progress(world, RECEIVED, told(2, 5, "2026-03-03 07:30"), told(3, 4, "2026-03-04 07:30"))
    ended = [replace(one, key=2) for one in (RECEIVED, told(2, 9, "2026-03-04 07:30"))]
    commit_progress(world, *ended)
    assert local(stored_deadlines(world)[1].due_at) == "2026-03-09 17:00"
    toml = read_calendar_file(None).decode().replace(CALENDAR.version, "another")
    one_more_day = toml + '\n[[off]]\nname = "x"\nfrom = 2026-03-09\nuntil = 2026-03-09\ncertain = true\n'
    another = parse_calendar(one_more_day.encode())
    try:
        assert plan_reckoning(world.engine, another) == 1
        assert stored_deadlines(world)[1].calendar_version == CALENDAR.version
        assert reckon(world.engine, another, "officer", "a day off more") == 1
        rows = stored_deadlines(world)
        assert (rows[1].calendar_version, local(rows[1].due_at)) == ("another", "2026-03-10 17:00")
        assert rows[2].calendar_version == CALENDAR.version
        with world.engine.connect() as connection:
            assert [(one.version, one.is_in_force, one.open, one.ended) for one in calendars_used(connection)] == [
                ("another", True, 1, 0),
                (CALENDAR.version, False, 0, 1),
            ]
        assert [row.purpose for row in world.rows("SELECT * FROM action")] == ["a day off more"]
        assert dossier_key(1) in {row.key for row in world.rows("SELECT key FROM touched")}
        with pytest.raises(ConfigError, match="other content"):
            plan_reckoning(world.engine, parse_calendar(toml.encode()))
    finally:
        reckon(world.engine, CALENDAR, "officer", "back")
