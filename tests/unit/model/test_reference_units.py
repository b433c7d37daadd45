"""The country's units as intervals and as events."""

import csv
import json
import uuid
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

import hub.operate.units.load as units_module
import hub.reference
from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.codec.polars_types import dtype_of
from hub.intake.checks.flags import with_flags
from hub.model.envelope import UnitScheme
from hub.model.flags import flags_in
from hub.model.policies.quality import QualityRules
from hub.operate.units.load import SUBJECT, unit_events
from hub.reference.units import UnitInterval, commune_fates, unit_intervals

NOW = datetime(2026, 11, 1, tzinfo=UTC)
REFERENCE = Path(hub.reference.__file__).parent

OLD, NEW = UnitScheme.GSO_2004, UnitScheme.GSO_2025


def _find(scheme: UnitScheme, code: str) -> list[UnitInterval]:
    return [unit for unit in unit_intervals() if (unit.scheme, unit.code) == (scheme, code)]


def test_units_at_the_reform_have_the_counts_of_the_law() -> None:
    standing = Counter(
        (unit.scheme, unit.level, unit.unit_type)
        for unit in unit_intervals()
        if unit.scheme is OLD or unit.valid_from == date(2025, 7, 1)
    )
    assert sum(n for (scheme, level, _), n in standing.items() if (scheme, level) == (NEW, "COMMUNE")) == 3321
    assert (standing[NEW, "COMMUNE", "XA"], standing[NEW, "COMMUNE", "PHUONG"]) == (2621, 687)
    assert standing[NEW, "COMMUNE", "DAC_KHU"] == 13
    assert sum(n for (scheme, level, _), n in standing.items() if (scheme, level) == (OLD, "COMMUNE")) == 10035
    assert sum(n for (scheme, level, _), n in standing.items() if (scheme, level) == (OLD, "PROVINCE")) == 63
    assert sum(n for (scheme, level, _), n in standing.items() if (scheme, level) == (NEW, "PROVINCE")) == 34


def test_code_kept_with_another_name_is_another_unit() -> None:
    (old,), (new,) = _find(OLD, "00004"), _find(NEW, "00004")
    assert (old.name, new.name) == ("Trúc Bạch", "Ba Đình")
    assert old.valid_to == new.valid_from == date(2025, 7, 1)


def test_split_commune_names_all_successors_and_the_default_among_them() -> None:
    (unit,) = _find(OLD, "00634")
    assert {link.code for link in unit.successors} == {"00637", "00622", "00634", "09556", "09886"}
    assert [link.code for link in unit.successors if link.is_default] == ["00637"]
    assert {link.share for link in unit.successors} == {"PART"}


def test_split_communes_are_those_of_the_source() -> None:
    split = [unit for unit in unit_intervals() if unit.level == "COMMUNE" and len(unit.successors) > 1]
    assert len(split) == 471
    assert all(sum(link.is_default for link in unit.successors) == 1 for unit in split)


def test_dong_nai_changes_in_2026_are_further_intervals() -> None:
    before, after = _find(NEW, "75")
    assert (before.unit_type, after.unit_type) == ("TINH", "THANH_PHO")
    assert before.valid_to == after.valid_from == date(2026, 4, 30)
    assert (before.version, after.version) == (1, 2)
    assert len([unit for unit in unit_intervals() if unit.valid_from == date(2026, 4, 30)]) == 11


def test_commune_fates_of_ha_nam_hold_its_five_splits() -> None:
    fates = commune_fates("35")
    assert len(fates) == 98
    assert {fate.code for fate in fates if fate.is_split} == {"13285", "13324", "13354", "13357", "13363"}


def test_unit_events_fit_their_schema_and_keep_their_ids() -> None:
    encoder = Encoder(SUBJECT, "a secret of the tests")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    events = list(unit_events(now))
    for event in events[::97]:
        assert encoder.encode(event)
        assert len(encoder.key(event)) == 16
    assert len({event["event_id"] for event in events}) == len(events)
    assert [event["event_id"] for event in unit_events(now)] == [event["event_id"] for event in events]


def test_units_are_sent_without_a_doubt() -> None:
    version = load_catalogue().latest(SUBJECT)
    schema = {spec.name: dtype_of(spec) for spec in version.fields}
    events = [
        {name: json_text(event.get(name)) if dtype == pl.String else event.get(name) for name, dtype in schema.items()}
        for event in unit_events(NOW)
    ]
    assert len(events) > 14_000
    found = with_flags(pl.DataFrame(events, schema=schema), version, QualityRules())["flags"]
    flags: Counter[str] = Counter()
    for mask in found:
        flags.update(str(flag.name) for flag in flags_in(mask))
    assert flags == {}


def json_text(value: object) -> object:
    return json.dumps(value) if isinstance(value, list) else value


def test_what_is_said_anew_of_a_unit_has_another_version_and_another_id() -> None:
    found = {(event["scheme"], event["unit_code"]): event for event in unit_events(NOW)}
    old_province, old_commune, new_commune = (
        found[key] for key in (("GSO_2004", "01"), ("GSO_2004", "00001"), ("GSO_2025", "00008"))
    )
    versions = [one["source_version"] for one in (old_province, old_commune, new_commune)]
    assert versions == [3, 2, 1]
    assert old_commune["event_id"] != uuid.uuid5(units_module._EVENT_IDS, "GSO_2004|00001|1")
    assert new_commune["event_id"] == uuid.uuid5(units_module._EVENT_IDS, "GSO_2025|00008|1")


def _communes() -> list[dict[str, str]]:
    return list(csv.DictReader((REFERENCE / "commune_new_2025-07-01.csv").read_text("utf-8").splitlines()))


def test_provinces_whose_communes_do_not_add_up_are_marked_and_no_others() -> None:
    areas = csv.DictReader((REFERENCE / "province_area_2025-07-01.csv").read_text("utf-8").splitlines())
    known = {row["province_code"]: float(row["area_km2"]) for row in areas}
    sums: dict[str, float] = defaultdict(float)
    marked: dict[str, set[str]] = defaultdict(set)
    for row in _communes():
        sums[row["province_code"]] += float(row["area_km2"] or 0)
        marked[row["doubt"]].add(row["province_code"])
    off = {code for code, area in known.items() if abs(sums[code] / area - 1) > 0.1}
    assert len(known) == 34
    assert off == {"33", "37", "80", "96"}
    assert off <= marked["area"]
    assert off.isdisjoint(marked[""])


def test_values_that_are_missing_or_wrong_are_marked() -> None:
    doubts = {row["commune_code"]: row["doubt"] for row in _communes()}
    assert set(doubts.values()) == {"", "area", "point"}
    assert all(row["area_km2"] or row["doubt"] == "area" for row in _communes())
    assert {code for code, doubt in doubts.items() if doubt == "point"} == {"06757", "06967"}
    assert {code for code in ("19147", "19159") if doubts[code] == "area"} == {"19147", "19159"}


def test_points_of_no_two_islands_are_unmarked_and_nearly_one() -> None:
    """The two wrong points are told from the right ones by this: both are where a third commune is."""
    places: dict[tuple[float, float], list[str]] = defaultdict(list)
    for row in _communes():
        if not row["doubt"]:
            places[round(float(row["lat"]), 3), round(float(row["lon"]), 3)].append(row["commune_code"])
    assert [codes for codes in places.values() if len(codes) > 1] == []
