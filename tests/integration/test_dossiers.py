"""Dossiers on the real database: moves backwards, deadlines, whichever order their versions come in."""

import uuid
from collections.abc import Iterator
from datetime import date
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import insert

from hub.codec.decode import decode
from hub.model.entities import DOSSIER
from hub.model.flags import Flag
from hub.operate.dossier_now import dossier_rows
from hub.reconcile.dossier_links import linked_dossiers
from hub.reference.holidays import default_calendar
from hub.share.compose import Composer
from hub.warehouse.unit_tables import agency_now
from tests.conftest import RunningEngine
from tests.dossier_world import (
    Progress,
    at,
    code_of,
    commit_filing,
    commit_procedure,
    commit_progress,
    commit_unit,
    dossier_key,
    filing,
    local,
    number_of,
    open_dossier_world,
    open_reviews,
    stored_deadlines,
)
from tests.merge_world import SECRET, World

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


def told(version: int, code: int, time: str, **more: Any) -> Progress:
    times: dict[str, Any] = {
        name: at(more.pop(name)) for name in ("received_at", "due_at", "finished_at") if name in more
    }
    return Progress(more.pop("key", 1), version, code, at(time), **times, **more)


RECEIVED = told(1, 2, "2026-03-02 08:00", received_at="2026-03-02 08:00", due_at="2026-03-06 17:00")


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


def test_event_that_goes_back_is_flagged_in_the_audit_log(world: World) -> None:
    commit_progress(world, told(1, 9, "2026-03-02 08:00"), told(2, 10, "2026-03-02 09:00"))
    commit_progress(world, told(3, 4, "2026-03-03 08:00"), told(4, 9, "2026-03-04 08:00"))
    flags = [row.flags for row in world.rows("SELECT flags FROM audit ORDER BY log, log_offset")]
    assert flags == [None, None, int(Flag.BACKWARD_STATUS), None]


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


def published(world: World, key: int) -> dict[str, Any]:
    with world.engine.connect() as connection:
        value = Composer(DOSSIER, SECRET).compose(connection, [dossier_key(key)])[dossier_key(key)]
    assert value is not None
    return decode(value)[1]


def test_record_says_the_deadline_and_changes_with_it(world: World) -> None:
    commit_progress(world, RECEIVED, told(3, 4, "2026-03-04 07:30"))
    first = published(world, 1)
    assert (first["deadline"]["due_at"], first["deadline"]["on_time"]) == (at("2026-03-06 17:00"), None)
    assert published(world, 1) == first
    commit_progress(world, told(2, 5, "2026-03-03 07:30"))
    second = published(world, 1)
    assert (second["deadline"]["due_at"], second["deadline"]["paused_seconds"]) == (at("2026-03-09 17:00"), 8 * HOUR)
    assert second["revision"] != first["revision"]


def carried_on(world: World) -> None:
    """From the reform on, H42 carries on the work of H25."""
    with world.engine.begin() as connection:
        connection.execute(
            insert(agency_now),
            [
                {"prefix": "H25", "effective_from": date(1, 1, 1), "effective_until": REFORM, "now_prefix": "H25"},
                {"prefix": "H25", "effective_from": REFORM, "effective_until": date(9999, 12, 31), "now_prefix": "H42"},
            ],
        )


def test_handling_agency_follows_its_successor_while_the_original_stays(world: World) -> None:
    commit_progress(world, told(1, 4, "2025-06-20 08:00", processing_agency="H25.17"))
    assert [published(world, 1)[name] for name in ("handling_agency", "handling_agency_now")] == ["H25.17", "H25.17"]
    carried_on(world)
    assert [published(world, 1)[name] for name in ("handling_agency", "handling_agency_now")] == ["H25.17", "H42"]
    assert [row.processing_agency for row in world.rows("SELECT * FROM dossier_progress_claim")] == ["H25.17"]


def links(world: World, *numbers: int) -> set[tuple[int, str, str]]:
    with world.engine.connect() as connection:
        rows = connection.execute(linked_dossiers(), {"keys": [dossier_key(number) for number in numbers]}).all()
    return {(number_of(row.asked), row.relation, row.dossier_code) for row in rows}


def test_interlinked_dossiers_are_linked_to_their_parent_and_to_each_other(world: World) -> None:
    commit_procedure(world, 7, "2.002621")
    commit_filing(world, 1, filing(1, 1, "2.002621", linked_group="BIRTH"))
    for child in (2, 3):
        commit_filing(world, child, filing(child, 1, "2.002621", linked_parent_code=code_of(1)))
    assert links(world, 1, 2, 3) == {
        (1, "CHILD", code_of(2)),
        (1, "CHILD", code_of(3)),
        (2, "PARENT", code_of(1)),
        (2, "SIBLING", code_of(3)),
        (3, "PARENT", code_of(1)),
        (3, "SIBLING", code_of(2)),
    }
    assert published(world, 1)["linked_dossiers"] == [
        {"relation": "CHILD", "dossier_code": code_of(2)},
        {"relation": "CHILD", "dossier_code": code_of(3)},
    ]
    assert published(world, 3)["linked_dossiers"] == [{"relation": "PARENT", "dossier_code": code_of(1)}]
    assert {row.key for row in world.rows("SELECT key FROM touched WHERE entity = 'dossier'")} == {dossier_key(1)}


def test_child_is_linked_by_any_code_of_its_parent_and_until_it_is_taken_back(world: World) -> None:
    commit_procedure(world, 7, "2.002622")
    codes = f'[{{"system":"ministry","code":"{code_of(9)}"}}]'
    commit_filing(world, 1, filing(1, 1, "2.002622", alt_codes=codes))
    commit_filing(world, 2, filing(2, 1, "2.002622", linked_parent_code=code_of(9)))
    assert links(world, 1) == {(1, "CHILD", code_of(2))}
    assert links(world, 2) == {(2, "PARENT", code_of(9))}
    commit_filing(world, 2, filing(2, 2, "2.002622", linked_parent_code=code_of(9), operation="REVOKE"))
    assert links(world, 1, 2) == set()


def test_unit_change_notes_the_dossiers_whose_agency_has_a_successor(world: World) -> None:
    commit_progress(world, told(1, 4, "2025-06-20 08:00", processing_agency="H25.17"))
    commit_progress(world, told(1, 4, "2025-06-20 08:00", key=2, processing_agency="H26.17"))
    old = {"scheme": "GSO_2004", "unit_code": "35", "valid_from": date(2004, 7, 8), "valid_to": REFORM}
    successor = '[{"scheme":"GSO_2025","code":"37","share":"FULL","is_default":true}]'
    commit_unit(world, 1, old | {"agency_code": "H25", "successors": successor})
    assert published(world, 1)["handling_agency_now"] == "H25.17"
    before = len(world.rows("SELECT * FROM touched"))
    new = {"scheme": "GSO_2025", "unit_code": "37", "valid_from": REFORM, "agency_code": "H42"}
    commit_unit(world, 2, new)
    assert published(world, 1)["handling_agency_now"] == "H42"
    assert published(world, 2)["handling_agency_now"] == "H26.17"
    noted = world.rows(f"SELECT key FROM touched WHERE entity = 'dossier' OFFSET {before}")
    assert [row.key for row in noted] == [dossier_key(1)]


def shown(world: World, time: str, number: int = 1) -> dict[str, Any]:
    with world.engine.connect() as connection:
        rows = dossier_rows(connection, [dossier_key(number)], at(time))
    return {title: [dict(row) for row in of] for title, of in rows.items()}


@pytest.mark.parametrize(
    ("time", "state", "overdue_s", "left_s"),
    [
        ("2026-03-06 16:00", "in time", 0, HOUR),
        ("2026-03-07 09:00", "in time", 0, 0),
        ("2026-03-09 08:30", "overdue", HOUR, 0),
    ],
)
def test_open_dossier_is_compared_with_the_time_at_which_it_is_shown(
    world: World, time: str, state: str, overdue_s: int, left_s: int
) -> None:
    commit_progress(world, RECEIVED)
    (row,) = shown(world, time)["deadline"]
    assert (row["state"], row["overdue_seconds"], row["seconds_left"]) == (state, overdue_s, left_s)


def test_clock_that_stands_still_before_the_due_time_is_shown_standing(world: World) -> None:
    commit_progress(world, RECEIVED, told(2, 5, "2026-03-06 13:00"))
    (row,) = shown(world, "2026-03-20 09:00")["deadline"]
    assert (row["state"], row["overdue_seconds"], row["seconds_left"]) == ("clock stands still", 0, 4 * HOUR)
    commit_progress(world, told(3, 4, "2026-03-20 09:00"), told(4, 6, "2026-03-23 13:00"))
    (row,) = shown(world, "2026-03-24 08:30")["deadline"]
    assert (row["state"], row["overdue_seconds"]) == ("overdue", 11 * HOUR + HOUR // 2)


def test_dossier_is_shown_with_who_handles_it_and_its_kin(world: World) -> None:
    carried_on(world)
    commit_procedure(world, 7, "2.002621")
    commit_filing(world, 1, filing(1, 1, "2.002621", deciding_agency="H25.9"))
    commit_filing(world, 2, filing(2, 1, "2.002621", linked_parent_code=code_of(1)))
    found = shown(world, "2026-03-24 08:30")
    assert found["handling agency"] == [{"said": "H25.9", "today": "H42"}]
    assert [(row["relation"], row["dossier_code"]) for row in found["linked dossiers"]] == [("CHILD", code_of(2))]
    commit_progress(world, told(1, 4, "2026-03-20 08:00", processing_agency="H42.3"))
    assert shown(world, "2026-03-24 08:30")["handling agency"] == [{"said": "H42.3", "today": "H42.3"}]
