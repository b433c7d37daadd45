"""The administrative units as intervals: each unit of both code lists, how long it stood, what came before and after.

Reads the tables beside this module. Intervals are half open: ``valid_to`` is the first day on which the unit no longer
stands.
"""

import csv
import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

from hub.model.envelope import UnitScheme

MAPPING_SOURCE = "vietnamadminunits"
MAPPING_VERSION = "1.0.4"

OLD_LIST_DAY = date(2004, 7, 8)
"""Decision 124/2004/QD-TTg; founding days before it are not in the source."""
REFORM_DAY = date(2025, 7, 1)

_OLD, _NEW = UnitScheme.GSO_2004, UnitScheme.GSO_2025
_OLD_LAW = "124/2004/QĐ-TTg"
_REFORM_LAW = "202/2025/QH15"

UNIT_TYPES = {
    "Tỉnh": "TINH",
    "Thành phố": "THANH_PHO",
    "Quận": "QUAN",
    "Huyện": "HUYEN",
    "Thị xã": "THI_XA",
    "Phường": "PHUONG",
    "Xã": "XA",
    "Thị trấn": "THI_TRAN",
    "Đặc khu": "DAC_KHU",
}


@dataclass(frozen=True, slots=True)
class Link:
    """An edge of the succession graph, to a predecessor or a successor.

    Fields:
        share: FULL when the older unit went into one newer unit, PART when it was split.
        is_default: the source's preferred target of a split; a guess, never applied silently.
    """

    scheme: UnitScheme
    code: str
    share: Literal["FULL", "PART"]
    is_default: bool


@dataclass(frozen=True, slots=True)
class UnitInterval:
    """One unit over one interval in which nothing about it changed.

    Fields:
        version: rises per (scheme, code).
        change_kind: how the interval began, in the schema's words. CREATE, new in its list, for all of the old list:
            what was before is not in the source.
        legal_basis: the act behind it.
        agency_code: prefix of the agency codes of a province (Decision 20/2020/QD-TTg).
    """

    scheme: UnitScheme
    code: str
    level: Literal["PROVINCE", "DISTRICT", "COMMUNE"]
    full_name: str
    parent_code: str | None
    valid_from: date
    valid_to: date | None
    change_kind: str
    legal_basis: str
    version: int = 1
    predecessors: tuple[Link, ...] = ()
    successors: tuple[Link, ...] = ()
    agency_code: str | None = None

    @property
    def unit_type(self) -> str:
        """The type as a code word, e.g. ``THI_TRAN``."""
        return UNIT_TYPES[_type_of(self.full_name)]

    @property
    def name(self) -> str:
        """The name without its type, e.g. ``Ba Đình``."""
        return _bare(self.full_name)


@cache
def unit_intervals() -> tuple[UnitInterval, ...]:
    """Return every interval of every unit: provinces before districts before communes, old list before new."""
    before = (*_old_provinces(), *_old_districts(), *_old_communes())
    after = (*_new_provinces(), *_new_communes())
    return before + tuple(_with_later_changes(after))


@dataclass(frozen=True, slots=True)
class CommuneFate:
    """An old commune and the new ones it went into, for look-ups outside the hub's own resolution."""

    code: str
    name: str
    district_code: str
    province_code: str
    targets: tuple[str, ...]

    @property
    def is_split(self) -> bool:
        """Whether an address in it needs a person to place it."""
        return len(self.targets) > 1


@cache
def commune_fates(province_code: str) -> tuple[CommuneFate, ...]:
    """Return the old communes of an old province with their targets, by code."""
    targets = _targets()
    return tuple(
        CommuneFate(
            row["commune_code"],
            row["commune_name"],
            row["district_code"],
            province_code,
            tuple(target["new_code"] for target in targets[row["commune_code"]]),
        )
        for row in _rows("commune_old_2025-06-30.csv")
        if row["province_code"] == province_code and row["commune_code"]
    )


def new_province_of(old_province_code: str) -> str:
    """Return the code of the province an old province went into whole."""
    return {row["old_code"]: row["new_code"] for row in _rows("province_map_63_to_34.csv")}[old_province_code]


def _rows(name: str) -> list[dict[str, str]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _type_of(full_name: str) -> str:
    return next(word for word in UNIT_TYPES if full_name.casefold().startswith(word.casefold() + " "))


def _bare(full_name: str) -> str:
    return full_name[len(_type_of(full_name)) :].strip()


@cache
def _targets() -> dict[str, list[dict[str, str]]]:
    """Mapping rows by old code; island districts by their district code."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in _rows("commune_map_2025-07-01.csv"):
        found[row["old_code"]].append(row)
    return found


@cache
def _sources() -> dict[str, list[dict[str, str]]]:
    """Mapping rows by new code."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in _rows("commune_map_2025-07-01.csv"):
        found[row["new_code"]].append(row)
    return found


def _share(row: dict[str, str]) -> Literal["FULL", "PART"]:
    return "PART" if row["is_split"] == "1" else "FULL"


def _successors(code: str) -> tuple[Link, ...]:
    return tuple(
        Link(_NEW, row["new_code"], _share(row), row["is_default_target"] == "1") for row in _targets().get(code, [])
    )


def _predecessors(code: str) -> tuple[Link, ...]:
    return tuple(
        Link(_OLD, row["old_code"], _share(row), row["is_default_target"] == "1") for row in _sources().get(code, [])
    )


def _kind(old_names: list[str], new_name: str) -> str:
    """How a unit of the new list came about; one that only went on is CREATE, as new in its list."""
    if len(old_names) > 1:
        return "MERGE"
    (old_name,) = old_names
    if old_name == new_name:
        return "CREATE"
    return "TYPE_CHANGE" if _bare(old_name) == _bare(new_name) else "RENAME"


def _old(level: Literal["PROVINCE", "DISTRICT", "COMMUNE"], code: str, name: str, parent: str | None) -> UnitInterval:
    return UnitInterval(_OLD, code, level, name, parent, OLD_LIST_DAY, REFORM_DAY, "CREATE", _OLD_LAW)


def _old_provinces() -> Iterator[UnitInterval]:
    for row in _rows("province_map_63_to_34.csv"):
        link = Link(_NEW, row["new_code"], "FULL", True)
        province = _old("PROVINCE", row["old_code"], row["old_name"], None)
        yield dataclasses.replace(province, successors=(link,), agency_code=_agency_codes()[row["old_code"]])


@cache
def _agency_codes() -> dict[str, str]:
    """Agency prefixes of the old provinces, by code."""
    return {row["old_code"]: row["agency_code"] for row in _rows("province_agency_codes.csv")}


def _agency_of(name: str, parts: list[dict[str, str]]) -> str:
    """A new province goes on with the prefix of the part whose name it has, whatever that part's unit code was."""
    (carrier,) = (row["old_code"] for row in parts if _bare(row["old_name"]) == _bare(name))
    return _agency_codes()[carrier]


def _old_districts() -> Iterator[UnitInterval]:
    seen: set[str] = set()
    for row in _rows("commune_old_2025-06-30.csv"):
        code = row["district_code"]
        if code not in seen:
            seen.add(code)
            district = _old("DISTRICT", code, row["district_name"], row["province_code"])
            yield dataclasses.replace(district, successors=_successors(code))


def _old_communes() -> Iterator[UnitInterval]:
    for row in _rows("commune_old_2025-06-30.csv"):
        if code := row["commune_code"]:
            yield dataclasses.replace(
                _old("COMMUNE", code, row["commune_name"], row["district_code"]), successors=_successors(code)
            )


def _new_provinces() -> Iterator[UnitInterval]:
    parts: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in _rows("province_map_63_to_34.csv"):
        parts[row["new_code"], row["new_name"]].append(row)
    for (code, name), rows in parts.items():
        kind = _kind([row["old_name"] for row in rows], name)
        links = tuple(Link(_OLD, row["old_code"], "FULL", True) for row in rows)
        province = UnitInterval(_NEW, code, "PROVINCE", name, None, REFORM_DAY, None, kind, _REFORM_LAW)
        yield dataclasses.replace(province, predecessors=links, agency_code=_agency_of(name, rows))


def _new_communes() -> Iterator[UnitInterval]:
    for row in _rows("commune_new_2025-07-01.csv"):
        code, name = row["commune_code"], row["commune_name"]
        sources = _sources()[code]
        kind = _kind([row["old_name"] for row in sources], name)
        yield UnitInterval(
            _NEW,
            code,
            "COMMUNE",
            name,
            row["province_code"],
            REFORM_DAY,
            None,
            kind,
            _REFORM_LAW,
            predecessors=_predecessors(code),
        )


def _with_later_changes(units: tuple[UnitInterval, ...]) -> Iterator[UnitInterval]:
    """End the interval of each unit that changed since the reform, and add the one that follows."""
    changes = {row["code"]: row for row in _rows("unit_changes_2026-04-30.csv")}
    for unit in units:
        row = changes.get(unit.code)
        if row is None or row["level"] != unit.level:
            yield unit
            continue
        day = date.fromisoformat(row["effective"])
        same = Link(_NEW, unit.code, "FULL", True)
        yield dataclasses.replace(unit, valid_to=day, successors=(same,))
        yield UnitInterval(
            _NEW,
            unit.code,
            unit.level,
            row["new_name"],
            unit.parent_code,
            day,
            None,
            row["change_kind"],
            row["legal_basis"],
            version=unit.version + 1,
            predecessors=(same,),
            agency_code=unit.agency_code,
        )
