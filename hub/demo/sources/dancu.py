"""Rows of the population database: people, residences, identity cards; and its recoding after midnight."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from hub.demo.people import MIDNIGHT, Person
from hub.demo.sources.load import Rows
from hub.demo.story import Story
from hub.reference.units import commune_fates, new_province_of

PROVINCES = ("01", "35", "36", "37")

RECODE = """
UPDATE cu_tru SET
    ma_tinh_truoc = ma_tinh, ma_xa_truoc = ma_xa, ma_tinh = ma_tinh_moi, ma_xa = ma_xa_moi, ma_huyen = NULL,
    bo_ma = '2025', thao_tac = 'MHL', phien_ban = phien_ban + 1, cap_nhat_luc = '2025-07-01T02:00:00+07:00'
FROM chuyen_doi_ma
WHERE ma_xa = ma_xa_cu AND bo_ma = '2004' AND so_dinh_danh LIKE '%7'
"""
"""The first night's share of the recoding: one person in ten, only communes that went into one new commune."""

_PERSON = (
    *("so_dinh_danh", "ho", "chu_dem", "ten", "ngay_sinh", "gioi_tinh", "que_quan", "quoc_tich", "tinh_trang"),
    *("phien_ban", "cap_nhat_luc"),
)
_RESIDENCE = (
    *("so_dinh_danh", "loai_cu_tru", "thao_tac", "bo_ma", "ma_tinh", "ma_huyen", "ma_xa", "dia_chi", "tu_ngay"),
    *("so_ho_so_cu_tru", "phien_ban", "cap_nhat_luc"),
)
_CARD = (
    *("so_dinh_danh", "loai_the", "so_the_che", "trang_thai_the", "ngay_cap", "noi_cap", "ngay_het_han"),
    *("muc_dinh_danh", "trang_thai_dinh_danh", "phien_ban", "cap_nhat_luc"),
)


def before(story: Story) -> list[Rows]:
    """Return the rows of the population database at midnight."""
    return [
        Rows("cong_dan", _PERSON, map(_person, story.people)),
        Rows("cu_tru", _RESIDENCE, _residences(story)),
        Rows("the_can_cuoc", _CARD, map(_card, story.people[::5])),
    ]


def after(story: Story) -> list[Rows]:
    """Return the table of unambiguous successors; ``RECODE`` applies it."""
    rows = [
        (fate.code, fate.targets[0], new_province_of(province))
        for province in PROVINCES
        for fate in commune_fates(province)
        if not fate.is_split
    ]
    return [Rows("chuyen_doi_ma", ("ma_xa_cu", "ma_xa_moi", "ma_tinh_moi"), rows)]


def birth_text(person: Person) -> str:
    """Return the birth date as far as it is known: ``dd/mm/yyyy``, ``mm/yyyy`` or ``yyyy``."""
    if person.birth_month is None:
        return f"{person.birth_year}"
    if person.birth_day is None:
        return f"{person.birth_month:02d}/{person.birth_year}"
    return f"{person.birth_day:02d}/{person.birth_month:02d}/{person.birth_year}"


def _person(person: Person) -> tuple[Any, ...]:
    return (
        person.pin,
        person.family,
        person.middle,
        person.given,
        birth_text(person),
        "Nam" if person.gender == "male" else "Nữ",
        person.home.name,
        "VN",
        "Còn sống",
        1,
        person.registered_at,
    )


def _residences(story: Story) -> Iterator[tuple[Any, ...]]:
    for number, person in enumerate(story.people):
        yield _residence(person, person, "TT", person.moved_in)
        if number % 20 == 0:
            other = story.people[(number * 7 + 1) % len(story.people)]
            yield _residence(person, other, "TA", date(2024, 9, 1))


def _residence(person: Person, place: Person, kind: str, since: date) -> tuple[Any, ...]:
    return (
        person.pin,
        kind,
        "DK",
        "2004",
        place.home.province_code,
        place.home.district_code,
        place.home.code,
        place.address,
        since,
        f"{place.home.code}-{person.pin[-6:]}",
        1,
        person.registered_at,
    )


def _card(person: Person) -> tuple[Any, ...]:
    issued = MIDNIGHT.date() - timedelta(days=int(person.pin[-3:]) + 30)
    return (
        person.pin,
        "CC" if issued >= date(2024, 7, 1) else "CCCD",
        "*" * 8 + person.pin[-4:],
        "Cấp lại" if person.pin[-1] == "3" else "Đã cấp",
        issued,
        "Cục Cảnh sát QLHC về TTXH",
        issued.replace(year=issued.year + 15, day=1),
        2 if person.pin[-2] < "7" else 1,
        "Khóa" if person.pin[-2:] == "99" else "Mở",
        1,
        person.registered_at,
    )
