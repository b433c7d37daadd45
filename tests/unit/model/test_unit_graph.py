"""Codes resolved over time: the fixtures of the reform, every pair of its table, and shapes it has not had yet."""

import csv
import unicodedata
from datetime import date, timedelta
from importlib.resources import files

import pytest

from hub.model.envelope import UnitScheme
from hub.model.units.agencies import prefix_of
from hub.model.units.graph import Edge, Resolution, Resolved, Unit, UnitGraph, UnitRef
from hub.model.units.names import folded_unit_name, same_unit_name
from tests.oracles.agencies import agency_on, spans_by_prefix
from tests.oracles.units import reference_graph

OLD, NEW = UnitScheme.GSO_2004, UnitScheme.GSO_2025
BEFORE, REFORM = date(2025, 6, 30), date(2025, 7, 1)
TODAY = date(2026, 11, 1)
GRAPH = reference_graph()
EXACT, AMBIGUOUS, UNKNOWN = Resolution.EXACT, Resolution.AMBIGUOUS, Resolution.UNKNOWN


def forward(code: str, on: date = TODAY) -> Resolved:
    """What an old code said before the reform is on a day after it."""
    return GRAPH.resolve(UnitRef(OLD, code), BEFORE, on)


def codes(found: Resolved) -> list[str]:
    return [candidate.ref.code for candidate in found.candidates]


def defaults(found: Resolved) -> list[str]:
    return [candidate.ref.code for candidate in found.candidates if candidate.is_default]


def name(scheme: UnitScheme, code: str, day: date) -> str:
    unit = GRAPH.unit_on(UnitRef(scheme, code), day)
    assert unit is not None
    return unit.full_name


def province(code: str) -> str:
    """The province's code of a commune of today."""
    unit = GRAPH.unit_on(UnitRef(NEW, code), TODAY)
    assert unit is not None
    return unit.parent_code or ""


# The nine fixtures of the reform.


def test_plain_merge_is_exact() -> None:
    found = forward("00001")
    assert (found.resolution, found.ref) == (EXACT, UnitRef(NEW, "00097"))
    assert name(NEW, "00097", TODAY) == "Phường Hồng Hà"


def test_code_kept_with_another_name_is_another_unit() -> None:
    found = forward("00004")
    assert (found.resolution, found.ref) == (EXACT, UnitRef(NEW, "00004"))
    assert (name(OLD, "00004", BEFORE), name(NEW, "00004", TODAY)) == ("Phường Trúc Bạch", "Phường Ba Đình")
    assert found.said is not None
    assert found.said.ref != found.ref


def test_neither_code_nor_name_alone_finds_the_unit() -> None:
    assert name(NEW, "00634", TODAY) == "Phường Tây Mỗ"
    assert name(OLD, "00634", BEFORE) == "Phường Đại Mỗ"
    assert [unit.ref.code for unit in GRAPH.named("Phường Đại Mỗ", TODAY)] == ["00637"]
    assert [unit.ref.code for unit in GRAPH.named("Đại Mỗ", BEFORE)] == ["00634"]


def test_split_in_five_is_ambiguous_and_its_default_is_only_marked() -> None:
    found = forward("00634")
    assert (found.resolution, found.ref) == (AMBIGUOUS, None)
    assert codes(found) == ["00622", "00634", "00637", "09556", "09886"]
    assert defaults(found) == ["00637"]


def test_split_in_four_is_ambiguous() -> None:
    found = forward("00019")
    assert found.resolution is AMBIGUOUS
    assert (codes(found), defaults(found)) == (["00004", "00070", "00190", "00226"], ["00004"])


def test_split_may_change_the_province_and_prefer_another_code() -> None:
    found = forward("13285")
    assert found.resolution is AMBIGUOUS
    assert (codes(found), defaults(found)) == (["13285", "13366"], ["13366"])
    assert {province(code) for code in codes(found)} == {"37"}
    assert forward("35").ref == UnitRef(NEW, "37")


def test_split_where_the_province_did_not_merge() -> None:
    found = forward("06655")
    assert found.resolution is AMBIGUOUS
    assert (codes(found), defaults(found)) == (["06661", "06706"], ["06661"])
    assert forward("22").ref == UnitRef(NEW, "22")


def test_province_changes_and_its_agency_with_it() -> None:
    found = forward("12460")
    assert (found.resolution, found.ref) == (EXACT, UnitRef(NEW, "12817"))
    assert name(NEW, "12817", TODAY) == "Phường Trà Lý"
    assert province("12817") == "33"
    assert agency_on(spans_by_prefix(GRAPH), "H54", TODAY) == "H31"


def test_town_goes_on_as_a_commune_of_another_type() -> None:
    found = forward("14464")
    assert found.ref == UnitRef(NEW, "14464")
    assert (name(OLD, "14464", BEFORE), name(NEW, "14464", TODAY)) == ("Thị trấn Thịnh Vượng", "Xã Gia Viễn")


# Every pair of the table.


def _pairs() -> list[dict[str, str]]:
    text = files("hub.reference").joinpath("commune_map_2025-07-01.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_every_pair_of_the_reform_resolves_forward_and_back() -> None:
    pairs = _pairs()
    assert len(pairs) == 10_602
    wanted: dict[str, set[str]] = {}
    wanted_back: dict[str, set[str]] = {}
    for pair in pairs:
        wanted.setdefault(pair["old_code"], set()).add(pair["new_code"])
        wanted_back.setdefault(pair["new_code"], set()).add(pair["old_code"])
    ahead = {code: forward(code) for code in wanted}
    assert {code: set(codes(found)) for code, found in ahead.items()} == wanted
    assert all((len(wanted[code]) == 1) == (found.resolution is EXACT) for code, found in ahead.items())
    back = {code: GRAPH.resolve(UnitRef(NEW, code), TODAY, BEFORE) for code in wanted_back}
    assert {code: set(codes(found)) for code, found in back.items()} == wanted_back
    assert all((len(wanted_back[code]) == 1) == (found.resolution is EXACT) for code, found in back.items())
    assert sum(len(found.candidates) for found in ahead.values()) == 10_602
    assert sum(len(found.candidates) for found in back.values()) == 10_602


def test_successors_and_predecessors_are_each_other_turned_round() -> None:
    ahead = {(unit.ref, there.ref) for unit in GRAPH for there in GRAPH.successors(unit)}
    back = {(here.ref, unit.ref) for unit in GRAPH for here in GRAPH.predecessors(unit)}
    assert ahead == back


def test_every_code_of_today_stands_for_itself() -> None:
    for ref in GRAPH.refs():
        if ref.scheme is NEW:
            assert GRAPH.resolve(ref, TODAY, TODAY).ref == ref


# The day a code was said, and the day it is asked for.


def test_code_resolves_to_itself_on_the_day_it_was_said() -> None:
    assert forward("00634", BEFORE).ref == UnitRef(OLD, "00634")


def test_reform_takes_effect_on_its_day() -> None:
    assert forward("00001", REFORM - timedelta(days=1)).ref == UnitRef(OLD, "00001")
    assert forward("00001", REFORM).ref == UnitRef(NEW, "00097")


def test_old_code_said_too_late_still_means_the_old_unit() -> None:
    assert GRAPH.resolve(UnitRef(OLD, "00001"), TODAY, TODAY).ref == UnitRef(NEW, "00097")


def test_code_of_today_said_too_early_means_its_first_unit() -> None:
    assert GRAPH.resolve(UnitRef(NEW, "00097"), BEFORE, TODAY).ref == UnitRef(NEW, "00097")


def test_code_no_unit_ever_had_is_unknown() -> None:
    assert GRAPH.resolve(UnitRef(NEW, "99998"), TODAY, TODAY) == Resolved(UNKNOWN, None, ())


def test_nothing_is_known_before_the_old_list_began() -> None:
    assert GRAPH.resolve(UnitRef(NEW, "00097"), TODAY, date(2000, 1, 1)).resolution is UNKNOWN


@pytest.mark.parametrize("code", ["75", "25270"])
def test_dong_nai_changes_its_type_in_2026_and_stays_itself(code: str) -> None:
    day = date(2026, 4, 30)
    first, second = GRAPH.intervals(UnitRef(NEW, code))
    assert (first.valid_to, second.valid_from) == (day, day)
    assert GRAPH.successors(first)[0].unit is second
    assert GRAPH.resolve(UnitRef(NEW, code), REFORM, day - timedelta(days=1)).candidates[0].unit is first
    assert GRAPH.resolve(UnitRef(NEW, code), REFORM, day).candidates[0].unit is second
    assert GRAPH.resolve(UnitRef(NEW, code), TODAY, REFORM).candidates[0].unit is first


def test_old_unit_of_dong_nai_resolves_over_two_hops() -> None:
    found = forward("75")
    assert found.ref == UnitRef(NEW, "75")
    assert found.candidates[0].unit is GRAPH.intervals(UnitRef(NEW, "75"))[1]
    assert [unit.ref.code for unit in GRAPH.named("Thành phố Đồng Nai", TODAY)] == ["75"]
    assert GRAPH.changes_after(GRAPH.intervals(UnitRef(OLD, "75"))[0]) == [REFORM, date(2026, 4, 30)]


# Shapes that the reform did not have.

DAYS = [date(2025, 7, 1), date(2027, 1, 1), date(2030, 1, 1)]


def unit(code: str, since: int = 0, until: int | None = None, to: str = "", **more: object) -> Unit:
    """A unit of today's list; ``to`` are one-letter codes of successors, in capitals when each takes a part."""
    edges = tuple(Edge(UnitRef(NEW, letter.lower()), letter.islower()) for letter in to)
    said = {"ref": UnitRef(NEW, code), "valid_from": DAYS[since], "valid_to": DAYS[until] if until else None}
    return Unit(**{**said, "successors": edges, **more})  # type: ignore[arg-type]


def resolved(graph: UnitGraph, code: str, said: int, on: int) -> tuple[Resolution, str]:
    found = graph.resolve(UnitRef(NEW, code), DAYS[said], DAYS[on])
    return found.resolution, "".join(codes(found))


def test_several_hops_and_a_split_that_meets_again() -> None:
    graph = UnitGraph(
        [unit("a", 0, 1, "BC"), unit("b", 1, 2, "d"), unit("c", 1, 2, "d"), unit("d", 2), unit("e", 0, 2, "d")]
    )
    assert resolved(graph, "a", 0, 0) == (EXACT, "a")
    assert resolved(graph, "a", 0, 1) == (AMBIGUOUS, "bc")
    assert resolved(graph, "a", 0, 2) == (EXACT, "d")
    assert resolved(graph, "d", 2, 0) == (AMBIGUOUS, "ae")
    assert resolved(graph, "d", 2, 1) == (AMBIGUOUS, "bce")
    assert resolved(graph, "b", 1, 0) == (EXACT, "a")


def test_code_that_stays_with_one_part_means_less_after_the_split() -> None:
    graph = UnitGraph([unit("a", 0, 1, "AB"), unit("a", 1), unit("b", 1)])
    assert resolved(graph, "a", 0, 1) == (AMBIGUOUS, "ab")
    assert resolved(graph, "a", 1, 2) == (EXACT, "a")


def test_what_others_say_of_their_predecessors_counts_where_the_unit_says_nothing() -> None:
    taken = (Edge(UnitRef(NEW, "a"), whole=False),)
    parts = [unit("b", 1, predecessors=taken), unit("c", 1, predecessors=taken)]
    assert resolved(UnitGraph([unit("a", 0, 1), *parts]), "a", 0, 2) == (AMBIGUOUS, "bc")
    assert resolved(UnitGraph([unit("a", 0, 1, "b"), *parts]), "a", 0, 2) == (EXACT, "b")


def test_interval_that_only_follows_goes_on() -> None:
    graph = UnitGraph([unit("a", 0, 1), unit("a", 1)])
    assert resolved(graph, "a", 0, 1) == (EXACT, "a")


def test_unit_that_ended_without_a_word_is_unknown_afterwards() -> None:
    assert resolved(UnitGraph([unit("a", 0, 1)]), "a", 0, 1) == (UNKNOWN, "")


def test_successor_of_which_nothing_is_known_yet_is_named_by_its_code() -> None:
    found = UnitGraph([unit("a", 0, 1, "b")]).resolve(UnitRef(NEW, "a"), DAYS[0], DAYS[1])
    assert (found.resolution, found.ref) == (EXACT, UnitRef(NEW, "b"))
    assert found.candidates[0].unit is None


def test_lone_successor_of_a_part_is_no_answer() -> None:
    assert resolved(UnitGraph([unit("a", 0, 1, "B"), unit("b", 1)]), "a", 0, 1) == (AMBIGUOUS, "b")


def test_old_unit_whose_end_was_not_said_ended_with_its_list() -> None:
    old = Unit(UnitRef(OLD, "a"), date(2004, 7, 8), successors=(Edge(UnitRef(NEW, "b")),))
    graph = UnitGraph([old, unit("b")])
    assert graph.end_of(old) == REFORM
    assert graph.resolve(old.ref, BEFORE, BEFORE).ref == old.ref
    assert graph.resolve(old.ref, BEFORE, REFORM).ref == UnitRef(NEW, "b")


def test_order_in_which_units_are_given_does_not_matter() -> None:
    units = [unit("a", 0, 1, "BC"), unit("a", 1), unit("b", 1, 2, "d"), unit("c", 1), unit("d", 2)]
    for graph in (UnitGraph(units), UnitGraph(units[::-1])):
        assert resolved(graph, "a", 0, 2) == (AMBIGUOUS, "cd")
        assert resolved(graph, "a", 1, 2) == (EXACT, "a")


# Names and agencies.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Phường Hòa Bình", "Phường Hoà Bình"),
        ("xã Thủy Xuân", "Xã Thuỷ Xuân"),
        ("Thị trấn Thịnh Vượng", "Thịnh Vượng"),
        ("Bà Rịa - Vũng Tàu", "Tỉnh Bà Rịa-Vũng Tàu"),
        ("Phường Trà Lý", unicodedata.normalize("NFD", "PHƯỜNG TRÀ LÝ")),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    assert same_unit_name(one, other)


@pytest.mark.parametrize(("one", "other"), [("Hòa", "Hóa"), ("Hoa", "Hòa"), ("Xã Hòa", "Phường Hòa"), ("Đa", "Da")])
def test_other_names_stay_apart(one: str, other: str) -> None:
    assert not same_unit_name(one, other)


def test_type_is_left_away_only_in_front_of_a_name() -> None:
    assert folded_unit_name("Xã Xã", without_type=True) == folded_unit_name("Xã")
    assert folded_unit_name("Xã", without_type=True) == folded_unit_name("xã")


def test_units_are_found_by_a_name_spelt_either_way() -> None:
    one, other = GRAPH.named("Xã Hòa An", TODAY), GRAPH.named("xã Hoà An", TODAY)
    assert one == other
    assert one


@pytest.mark.parametrize(
    ("agency", "day", "wanted"),
    [
        ("H40.12.34", BEFORE, "H40.12.34"),
        ("H40.12.34", REFORM, "H42"),
        ("H42.12.34", TODAY, "H42.12.34"),
        ("000.17.22.H25", TODAY, "H42"),
        ("000.17.22.H56", TODAY, "000.17.22.H56"),
        ("H08", TODAY, "H21"),
        ("H10.1", TODAY, "H19"),
        ("G01.12", TODAY, "G01.12"),
        ("H99", TODAY, "H99"),
    ],
)
def test_agency_is_followed_to_the_one_that_carries_on(agency: str, day: date, wanted: str) -> None:
    assert agency_on(spans_by_prefix(GRAPH), agency, day) == wanted


def test_gia_lai_has_the_unit_code_of_one_part_and_the_agency_of_the_other() -> None:
    (unit_now,) = GRAPH.named("Tỉnh Gia Lai", TODAY)
    assert (unit_now.ref.code, unit_now.agency_code) == ("52", "H21")


def test_every_province_has_an_agency_and_34_stay() -> None:
    spans = spans_by_prefix(GRAPH)
    assert len(spans) == 63
    assert len({found[-1].now_prefix for found in spans.values()}) == 34
    assert prefix_of("G01") is None
