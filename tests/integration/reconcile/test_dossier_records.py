"""What is told of dossiers: their records, how they are shown, and which dossiers belong together."""

import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import and_, insert, select

from hub.codec.decode import decode
from hub.model.entities import DOSSIER
from hub.operate.records.dossier_now import dossier_rows
from hub.reconcile.registry import redecide
from hub.reconcile.rules.dossiers.links import linked_dossiers
from hub.reconcile.shared.republish import job_place
from hub.reconcile.shared.stage import ensure_stages
from hub.share.compose import Composer
from hub.warehouse.tables.core import touched
from hub.warehouse.tables.entities import aspect_tables
from hub.warehouse.tables.units import agency_now
from tests.conftest import RunningEngine
from tests.support.dossier_world import (
    RECEIVED,
    UNIT,
    at,
    code_of,
    commit_filing,
    commit_procedure,
    commit_progress,
    commit_unit,
    dossier_key,
    filing,
    number_of,
    open_dossier_world,
    told,
)
from tests.support.merge_world import SECRET, World

HOUR = 3600
REFORM = date(2025, 7, 1)


@pytest.fixture(scope="module")
def module_world(engine: RunningEngine) -> Iterator[World]:
    name = f"dossiers_{uuid.uuid4().hex[:12]}"
    made = open_dossier_world(engine.create_database(name))
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


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


def test_units_that_are_decided_again_note_those_dossiers_too(world: World) -> None:
    commit_progress(world, told(1, 4, "2025-06-20 08:00", processing_agency="H25.17"))
    old = {"scheme": "GSO_2004", "unit_code": "35", "valid_from": date(2004, 7, 8), "valid_to": REFORM}
    successor = '[{"scheme":"GSO_2025","code":"37","share":"FULL","is_default":true}]'
    commit_unit(world, 1, old | {"agency_code": "H25", "successors": successor})
    commit_unit(world, 2, {"scheme": "GSO_2025", "unit_code": "37", "valid_from": REFORM, "agency_code": "H42"})
    tables = aspect_tables(UNIT)
    identities = select(*(tables.record.c[name] for name in tables.identity))
    with world.engine.connect() as connection:
        ensure_stages(connection)
        with connection.begin():
            place = job_place(connection)
            assert redecide(connection, tables, identities, place) == 2
            of_job = and_(touched.c.log == place[0], touched.c.log_offset == place[1])
            noted = connection.execute(select(touched.c.key).where(of_job, touched.c.entity == "dossier")).scalars()
            assert list(noted) == [dossier_key(1)]


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
