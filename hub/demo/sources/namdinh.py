"""Rows of the old one-stop system of Nam Định: its outbox carries dossiers, steps, applicants and health cards."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hub.demo.dossiers import Dossier, Step
from hub.demo.people import MIDNIGHT, Person
from hub.demo.sources.dancu import birth_text
from hub.demo.sources.load import Rows
from hub.demo.story import Story

PROVINCE = "36"
_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_STATUS = {1: "MDK", 2: "TN", 4: "XL", 5: "BS", 6: "TC", 8: "DUNG", 9: "XONG", 10: "TRA"}
_CHANNEL = {"DIRECT": "TT", "ONLINE": "TR", "POSTAL": "BC"}
_OUTBOX = ("loai", "phien_ban", "thao_tac", "noi_dung", "tao_luc")

_PEOPLE_EVERY, _CARDS_EVERY = 10, 10
"""One citizen in this many is known to the province's system, or has a health card linked there."""


def before(story: Story) -> list[Rows]:
    """Return the rows of the database at midnight."""
    dossiers = story.of_province(PROVINCE)
    current = (
        (item.code, item.procedure.code, item.applicant.full_name, _STATUS[story.recorded_before(item)[-1].status], at)
        for item in dossiers
        for at in (item.submitted_at,)
    )
    events = [
        *map(_submitted, dossiers),
        *_steps(dossiers, story.recorded_before),
        *map(_citizen, range(len(story.people[::_PEOPLE_EVERY])), story.people[::_PEOPLE_EVERY]),
        *map(_insurance, story.people[3::_CARDS_EVERY]),
    ]
    return [
        Rows("hs_mot_cua", ("so_bien_nhan", "ma_thu_tuc", "nguoi_nop", "tinh_trang", "nhan_luc"), current),
        Rows("hop_thu_di", _OUTBOX, events),
    ]


def after(story: Story) -> list[Rows]:
    """Return what is still written into the outbox after midnight."""
    return [Rows("hop_thu_di", _OUTBOX, _steps(story.of_province(PROVINCE), story.recorded_late))]


def _event(kind: str, version: int, body: dict[str, Any], at: datetime) -> tuple[Any, ...]:
    return kind, version, "T" if version == 1 else "S", json.dumps(body, ensure_ascii=False), at


def _submitted(dossier: Dossier) -> tuple[Any, ...]:
    person, procedure = dossier.applicant, dossier.procedure
    body = {
        "so_bien_nhan": dossier.code,
        "thu_tuc": {"ma": procedure.code, "ten": procedure.name, "linh_vuc": procedure.field_code},
        "nguoi_nop": {
            "so_dinh_danh": person.pin,
            "ho_ten": person.full_name,
            "ma_xa": person.home.code,
            "dia_chi": person.address,
        },
        "kenh": _CHANNEL[dossier.channel],
        "nop_luc": _text(dossier.submitted_at),
        "tong_phi": procedure.fee_vnd,
        "phi": [{"ten": "Lệ phí", "so_tien": procedure.fee_vnd}] if procedure.fee_vnd else [],
    }
    return _event("HS", 1, body, dossier.submitted_at)


def _steps(dossiers: Iterable[Dossier], recorded: Callable[[Dossier], Iterable[Step]]) -> Iterator[tuple[Any, ...]]:
    for dossier in dossiers:
        for step in recorded(dossier):
            body = {
                "so_bien_nhan": dossier.code,
                "tinh_trang": _STATUS[step.status],
                "can_bo": {"ten": step.officer, "chuc_danh": step.title, "phong": step.department},
                "hen_tra": _text(dossier.due_at),
                "ghi_chu": step.note,
            }
            yield _event("TD", step.number, body, step.at)


def _citizen(number: int, person: Person) -> tuple[Any, ...]:
    """Return a citizen; one in eight has another name, one in eight another birth year."""
    name = f"{person.family} {person.given}" if number % 8 == 1 else person.full_name
    born = f"{person.birth_year + 1}" if number % 8 == 5 else birth_text(person)
    body = {
        "so_dinh_danh": person.pin,
        "ho_ten": name,
        "ngay_sinh": born,
        "gioi_tinh": "1" if person.gender == "male" else "2",
    }
    return _event("CD", 1, body, MIDNIGHT - timedelta(days=20, seconds=number))


def _insurance(person: Person) -> tuple[Any, ...]:
    body = {
        "so_dinh_danh": person.pin,
        "so_bhxh": f"99{person.pin[-6:]}00",
        "doi_tuong": "GD",
        "ma_kcb": "36001",
        "ten_kcb": "Trạm y tế xã",
        "tu_ngay": "20250101",
        "den_ngay": "20251231",
        "doi_chieu": "lech" if person.pin[-1] == "9" else "khop",
    }
    return _event("BH", 1, body, MIDNIGHT - timedelta(days=10, seconds=int(person.pin[-5:])))


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(_ZONE):%Y%m%d%H%M%S}"
