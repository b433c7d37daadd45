"""What codes stand for follows the units, in whatever order events come; claims that name units follow them."""

import itertools
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import literal, select, text

from hub.model.decisions import Verdict
from hub.reconcile.rules.units.graph_store import read_graph, refresh_unit_tables
from hub.reconcile.rules.units.steps import follow
from hub.reconcile.shared.republish import job_place
from hub.share.columns.aspects import held_claims
from hub.warehouse.tables.entities import aspect_tables
from hub.warehouse.tables.units import agency_now, agency_on
from tests.oracles.agencies import agency_on as agency_on_day
from tests.oracles.agencies import spans_by_prefix
from tests.oracles.units import reference_graph
from tests.support.merge_world import World, key_of
from tests.support.unit_world import Step, chooses, lives, load_every_unit, today_unit, unit

REFORM, LATER = date(2025, 7, 1), date(2026, 3, 1)
SPLIT = unit("13285", ["13366*", "13285*"])


def now_of(world: World, code: str, scheme: str = "GSO_2004") -> list[tuple[Any, ...]]:
    """What a code stands for after every known change, by the day it was said."""
    rows = world.rows(
        "SELECT resolution, now_code, candidates FROM unit_now WHERE effective_until = '9999-12-31' "
        f"AND scheme = '{scheme}' AND code = '{code}' ORDER BY said_from"
    )
    return [(row.resolution, row.now_code, [one["code"] for one in row.candidates or ()]) for row in rows]


def open_questions(world: World) -> list[tuple[str, str, list[str]]]:
    rows = world.rows("SELECT part, detail FROM review WHERE closed_at IS NULL ORDER BY key, part, source")
    return [(row.part, row.detail["code"], [one["code"] for one in row.detail["candidates"]]) for row in rows]


def touched(world: World) -> int:
    """How many citizens' records are to be published again without an event of theirs."""
    (row,) = world.rows("SELECT count(DISTINCT key) AS number FROM touched WHERE entity = 'citizen'")
    return int(row.number)


def home(world: World, person: int = 1) -> tuple[str | None, str]:
    """Today's unit in the record that is published."""
    with world.engine.connect() as connection:
        found = connection.execute(held_claims(aspect_tables("residence.changed")), {"keys": [key_of(person)]})
        row = found.mappings().one()
    return row["commune_code_now"], row["unit_resolution"]


def in_any_order(world: World, *steps: Step, first: tuple[Step, ...] = ()) -> Any:
    """Take the steps in every order, each in an empty warehouse; return what is the same for all."""
    ends = []
    for order in itertools.permutations(steps):
        world.clear()
        for step in (*first, *order):
            step(world)
        spans = world.rows("SELECT * FROM unit_now ORDER BY 1, 2, 3, 5")
        ends.append(([tuple(map(str, span)) for span in spans], open_questions(world)))
    assert all(end == ends[0] for end in ends)
    return ends[0][1]


def test_i4_what_codes_stand_for_does_not_depend_on_the_order_of_units(world: World) -> None:
    in_any_order(
        world,
        SPLIT,
        today_unit("13366", ["13400"], valid_to=LATER),
        today_unit("13285", ["13400"], valid_to=LATER),
        today_unit("13400", since=LATER),
    )
    assert now_of(world, "13285") == [("EXACT", "13400", [])]


def test_chain_within_todays_list_is_followed(world: World) -> None:
    for step in (unit("13300", ["13301"]), today_unit("13301", ["13400"], valid_to=LATER), lives("13300")):
        step(world)
    assert home(world) == ("13400", "EXACT")
    today_unit("13400", ["13500*", "13501*"], since=LATER, valid_to=date(2026, 5, 1))(world)
    assert home(world) == (None, "AMBIGUOUS")
    assert open_questions(world) == [("PERMANENT", "13300", ["13500", "13501"])]


def test_change_of_a_unit_touches_everybody_whose_code_leads_to_it(world: World) -> None:
    steps = unit("13300", ["13301"]), today_unit("13301"), unit("13310", ["13302"]), today_unit("13302")
    for step in (*steps, lives("13300"), lives("13301", 2, unit_scheme="GSO_2025"), lives("13310", 3)):
        step(world)
    assert touched(world) == 0
    today_unit("13301", ["13400"], valid_to=LATER, source_version=2)(world)
    assert touched(world) == 2


def test_unit_event_that_changes_no_meaning_touches_nobody(world: World) -> None:
    for step in (unit("13300", ["13301"]), today_unit("13301"), lives("13300")):
        step(world)
    today_unit("13301", name="Xã khác", source_version=2)(world)
    assert touched(world) == 0


def test_change_that_is_announced_takes_effect_on_its_day(world: World) -> None:
    far = date(2100, 1, 1)
    for step in (today_unit("13301", ["13400"], valid_to=far), today_unit("13400", since=far)):
        step(world)
    lives("13301", unit_scheme="GSO_2025")(world)
    assert home(world) == ("13301", "EXACT")
    assert now_of(world, "13301", "GSO_2025") == [("EXACT", "13400", [])]


def test_same_code_means_less_when_it_is_said_after_a_split(world: World) -> None:
    before = today_unit("13301", ["13301*", "13302*"], valid_to=LATER)
    for step in (before, today_unit("13301", since=LATER), today_unit("13302", since=LATER)):
        step(world)
    lives("13301", unit_scheme="GSO_2025", day=date(2026, 1, 1))(world)
    lives("13301", 2, unit_scheme="GSO_2025", day=date(2026, 4, 1))(world)
    assert (home(world), home(world, 2)) == ((None, "AMBIGUOUS"), ("13301", "EXACT"))
    assert len(open_questions(world)) == 1


def test_day_of_a_change_begins_at_midnight_in_viet_nam(world: World) -> None:
    for step in (today_unit("13301", ["13301*", "13302*"], valid_to=LATER), today_unit("13301", since=LATER)):
        step(world)
    moments = datetime(2026, 2, 28, 16, 59, tzinfo=UTC), datetime(2026, 2, 28, 17, 0, tzinfo=UTC)
    for person, moment in enumerate(moments, 1):
        lives("13301", person, unit_scheme="GSO_2025", occurred_at=moment)(world)
    assert [home(world, person)[1] for person in (1, 2)] == ["AMBIGUOUS", "EXACT"]


def test_units_decided_anew_without_an_event_are_followed(world: World) -> None:
    for step in (unit("13300", ["13301"]), today_unit("13301"), lives("13300")):
        step(world)
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE admin_unit_unit_record SET source = NULL WHERE valid_from < '2025-01-01'"))
        follow(connection, aspect_tables("residence.changed"), job_place(connection))
        assert connection.execute(text("SELECT count(*) FROM unit_now WHERE code = '13300'")).scalar_one() == 2
        follow(connection, aspect_tables("admin_unit.changed"), job_place(connection))
    assert (now_of(world, "13300"), home(world), touched(world)) == ([], (None, "UNKNOWN"), 1)


# An officer's choice.


def test_choice_of_an_officer_is_todays_unit_and_closes_the_question(world: World) -> None:
    for step in (SPLIT, lives("13285")):
        step(world)
    assert (home(world), len(open_questions(world))) == ((None, "AMBIGUOUS"), 1)
    chooses("13366")(world)
    assert (home(world), open_questions(world), touched(world)) == (("13366", "MANUAL"), [], 1)


def test_i4_choice_and_claim_and_unit_come_in_any_order(world: World) -> None:
    known = unit("13285", source_version=0)
    assert in_any_order(world, SPLIT, lives("13285"), chooses("13366"), first=(known,)) == []
    taken_back = chooses(None, verdict=Verdict.WAIT, minute=1)
    asked = in_any_order(world, SPLIT, lives("13285"), chooses("13366"), taken_back, first=(known,))
    assert asked == [("PERMANENT", "13285", ["13285", "13366"])]


def test_choice_that_is_no_candidate_counts_for_nothing(world: World) -> None:
    for step in (SPLIT, lives("13285"), chooses("99999")):
        step(world)
    assert (home(world), len(open_questions(world))) == ((None, "AMBIGUOUS"), 1)


def test_choice_counts_only_for_the_claim_that_the_officer_saw(world: World) -> None:
    for step in (SPLIT, lives("13285")):
        step(world)
    (row,) = world.rows("SELECT content_hash FROM citizen_residence_claim")
    chooses("13366", seen_other_hash=row.content_hash)(world)
    assert home(world) == ("13366", "MANUAL")
    lives("13285", version=2, detail_text="elsewhere")(world)
    assert (home(world), len(open_questions(world))) == ((None, "AMBIGUOUS"), 1)


def test_choice_follows_its_unit_when_that_changes(world: World) -> None:
    for step in (SPLIT, today_unit("13366"), today_unit("13285"), lives("13285"), chooses("13366")):
        step(world)
    today_unit("13366", ["13400"], valid_to=LATER, source_version=2)(world)
    today_unit("13400", since=LATER)(world)
    assert (home(world), open_questions(world)) == (("13400", "MANUAL"), [])


# The whole country.


@pytest.fixture(scope="module")
def country(module_world: World) -> World:
    """Every unit that comes with the hub."""
    module_world.clear()
    load_every_unit(module_world, "a secret of the tests")
    return module_world


def test_warehouse_holds_the_graph_of_the_reference_tables(country: World) -> None:
    with country.engine.connect() as connection:
        graph, wanted = read_graph(connection), reference_graph()
    assert set(graph.refs()) == set(wanted.refs())
    day = date(2026, 6, 1)
    for ref in wanted.refs():
        here, there = graph.resolve(ref, REFORM, day), wanted.resolve(ref, REFORM, day)
        assert here.resolution == there.resolution
        assert [one.ref for one in here.candidates] == [one.ref for one in there.candidates]


def test_deriving_again_changes_nothing(country: World) -> None:
    with country.engine.connect() as connection:
        assert refresh_unit_tables(connection) == []


def test_spans_of_the_country_have_every_split_and_every_merge(country: World) -> None:
    counted = country.rows(
        "SELECT scheme, length(code) AS size, resolution, count(*) AS number FROM unit_now "
        "WHERE effective_until = '9999-12-31' AND said_from < '2025-01-01' GROUP BY 1, 2, 3"
    )
    numbers = {(row.scheme, row.size, row.resolution): row.number for row in counted}
    assert (numbers["GSO_2004", 5, "EXACT"], numbers["GSO_2004", 5, "AMBIGUOUS"]) == (10_035 - 471, 471)
    assert (numbers["GSO_2025", 5, "EXACT"], numbers["GSO_2025", 2, "EXACT"]) == (3321, 34)
    pairs = country.rows(
        "SELECT sum(CASE WHEN now_code IS NULL THEN jsonb_array_length(candidates) ELSE 1 END) AS number FROM unit_now "
        "WHERE effective_until = '9999-12-31' AND scheme = 'GSO_2004' AND length(code) <> 2 AND resolution <> 'UNKNOWN'"
    )
    assert pairs[0].number == 10_602


def test_agencies_are_followed_in_the_database_as_in_the_model(country: World) -> None:
    spans = spans_by_prefix(reference_graph())
    with country.engine.connect() as connection:
        assert len(connection.execute(select(agency_now.c.prefix).distinct()).all()) == 63
        for agency in ("H40.12.34", "H42.12.34", "000.17.22.H25", "H08", "G01.12", "H99", "H54"):
            for day in (date(2025, 6, 30), REFORM):
                found = connection.execute(select(agency_on(literal(agency), literal(day)))).scalar_one()
                assert found == agency_on_day(spans, agency, day)
