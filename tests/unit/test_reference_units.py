"""The country's units as intervals and as events."""

from collections import Counter
from datetime import UTC, date, datetime

from hub.codec.encode import Encoder
from hub.model.envelope import UnitScheme
from hub.operate.units import SUBJECT, unit_events
from hub.reference.units import UnitInterval, commune_fates, unit_intervals

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
