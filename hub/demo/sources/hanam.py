"""Rows of the old one-stop system of Hà Nam: local times without offset."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hub.demo.dossiers import Dossier, Step
from hub.demo.sources.load import Rows
from hub.demo.story import Story

PROVINCE = "35"
_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")

_STATUS = {
    1: "Mới đăng ký",
    2: "Đã tiếp nhận",
    4: "Đang giải quyết",
    5: "Chờ bổ sung giấy tờ",
    6: "Chờ nộp phí",
    8: "Dừng giải quyết",
    9: "Đã có kết quả",
    10: "Đã trả kết quả",
}
_CHANNEL = {"DIRECT": "Trực tiếp", "ONLINE": "Trực tuyến", "POSTAL": "Bưu chính"}
_DOSSIER = (
    *("ma_ho_so", "ma_tthc", "ten_thu_tuc", "ma_linh_vuc", "chu_ho_so", "so_dinh_danh", "ma_xa", "dia_chi"),
    *("kenh_nop", "ngay_nop", "tong_le_phi", "da_nop", "phien_ban", "cap_nhat_luc"),
)
_STEP = (
    *("ma_ho_so", "lan", "trang_thai", "nguoi_xu_ly", "chuc_vu", "phong_ban", "noi_dung", "hen_tra"),
    "thoi_diem",
)


def before(story: Story) -> list[Rows]:
    """Return the rows of the database at midnight."""
    dossiers = story.of_province(PROVINCE)
    return [
        Rows("ho_so", _DOSSIER, map(_dossier, dossiers)),
        Rows("le_phi", ("ma_ho_so", "stt", "ten", "so_tien"), _fees(dossiers)),
        Rows("qua_trinh_xu_ly", _STEP, _steps(dossiers, story.recorded_before)),
    ]


def after(story: Story) -> list[Rows]:
    """Return what is still typed into the database after midnight."""
    return [Rows("qua_trinh_xu_ly", _STEP, _steps(story.of_province(PROVINCE), story.recorded_late))]


def _dossier(dossier: Dossier) -> tuple[Any, ...]:
    person, procedure = dossier.applicant, dossier.procedure
    return (
        dossier.code,
        procedure.code,
        procedure.name,
        procedure.field_code,
        person.full_name,
        person.pin,
        person.home.code,
        person.address,
        _CHANNEL[dossier.channel],
        _local(dossier.submitted_at),
        procedure.fee_vnd,
        procedure.fee_vnd if dossier.channel == "ONLINE" else 0,
        1,
        _local(dossier.submitted_at),
    )


def _fees(dossiers: Iterable[Dossier]) -> Iterator[tuple[Any, ...]]:
    for dossier in dossiers:
        if dossier.procedure.fee_vnd:
            yield dossier.code, 1, "Lệ phí", dossier.procedure.fee_vnd


def _steps(dossiers: Iterable[Dossier], recorded: Callable[[Dossier], Iterable[Step]]) -> Iterator[tuple[Any, ...]]:
    for dossier in dossiers:
        for step in recorded(dossier):
            yield _step(dossier, step)


def _step(dossier: Dossier, step: Step) -> tuple[Any, ...]:
    return (
        dossier.code,
        step.number,
        _STATUS[step.status],
        step.officer,
        step.title,
        step.department,
        step.note,
        _local(dossier.due_at),
        _local(step.at),
    )


def _local(moment: datetime) -> datetime:
    return moment.astimezone(_ZONE).replace(tzinfo=None)
