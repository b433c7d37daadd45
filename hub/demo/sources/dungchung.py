"""Rows of the new shared system of Ninh Bình: an outbox with the portal's own field names and status numbers."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hub.demo.dossiers import Dossier, Step
from hub.demo.people import MIDNIGHT, Person
from hub.demo.sources.load import Rows
from hub.demo.story import Story
from hub.reference.units import new_province_of

_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_CHANNEL = {"DIRECT": "1", "ONLINE": "2", "POSTAL": "3"}
_OUTBOX = ("loai_su_kien", "phien_ban", "noi_dung", "xay_ra_luc")
_CARDS_EVERY = 40
TOO_EARLY = timedelta(minutes=30)
"""How long before midnight the system's first trial step is: it speaks before its start, and is rejected."""


def before(story: Story) -> list[Rows]:
    """Return nothing: before midnight the database is empty."""
    return []


def after(story: Story) -> list[Rows]:
    """Return what is written from midnight on; dossiers of the three old systems continue under their codes."""
    return [Rows("su_kien_di", _OUTBOX, _events(story))]


def _events(story: Story) -> Iterator[tuple[Any, ...]]:
    for dossier in story.dossiers:
        if dossier.province is None:
            yield _submitted(dossier)
        for step in dossier.steps_after_midnight:
            yield _step(dossier, step, step.at)
    trial = next(dossier for dossier in story.dossiers if dossier.province == "37")
    yield _step(trial, trial.steps[0], MIDNIGHT - TOO_EARLY)
    for person in story.people[5::_CARDS_EVERY]:
        yield _insurance(person)


def _event(kind: str, version: int, body: dict[str, Any], at: datetime) -> tuple[Any, ...]:
    return kind, version, json.dumps(body, ensure_ascii=False), at


def _submitted(dossier: Dossier) -> tuple[Any, ...]:
    person, procedure = dossier.applicant, dossier.procedure
    body = {
        "MaHoSo": dossier.code,
        "MaTTHC": procedure.code,
        "TenTTHC": procedure.name,
        "MaLinhVuc": procedure.field_code,
        "SoGiayToChuHoSo": person.pin,
        "ChuHoSo": person.full_name,
        "MaTinh": new_province_of(person.home.province_code),
        "MaXa": None if person.home.is_split else person.home.targets[0],
        "KenhThucHien": _CHANNEL[dossier.channel],
        "NgayNopHoSo": _text(dossier.submitted_at),
        "TaiKhoanDuocXacThucVoiVNeID": "1" if dossier.channel == "ONLINE" else "0",
        "DanhSachLePhi": [{"TenPhiLePhi": "Lệ phí", "Gia": str(procedure.fee_vnd)}] if procedure.fee_vnd else [],
    }
    return _event("ho_so.nop", 1, body, dossier.submitted_at)


def _step(dossier: Dossier, step: Step, at: datetime) -> tuple[Any, ...]:
    body = {
        "MaHoSo": dossier.code,
        "TrangThai": str(step.status),
        "NguoiXuLy": step.officer,
        "ChucDanh": step.title,
        "PhongBanXuLy": step.department,
        "ThoiDiemXuLy": _text(at),
        "NgayKetThucTheoQuyDinh": _text(dossier.due_at),
        "NoiDungXuLy": step.note,
    }
    return _event("ho_so.tien_do", step.number, body, at)


def _insurance(person: Person) -> tuple[Any, ...]:
    body = {"so_dinh_danh": person.pin, "ma_doi_tuong": "TE", "tu_ngay": "2025-07-01", "ket_qua": "KHOP"}
    return _event("bhyt.lien_ket", 1, body, MIDNIGHT + timedelta(hours=9, seconds=int(person.pin[-4:])))


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(_ZONE):%Y%m%d%H%M%S}"
