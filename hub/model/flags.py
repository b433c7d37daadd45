"""Quality flags: a closed list of doubts about data. A flag never drops an event.

There are two kinds. A ``Flag`` is about one event, follows from the event alone, and is a bit of ``flags`` in the audit
log. A ``StandingFlag`` is about what is held now: it opens when two things that cannot both be right are held, and
closes when one of them no longer is.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntFlag, StrEnum


class Flag(IntFlag):
    """Doubts about one event. A number always keeps its meaning, because it is stored in the audit log."""

    PLACEHOLDER_ID = 1 << 0
    PIN_MISMATCH = 1 << 1
    PIN_PREFIX_UNKNOWN = 1 << 2
    CMND9_IN_PIN_FIELD = 1 << 3
    PIN_FORMAT_OTHER = 1 << 4
    CODE_SCHEME_MISMATCH = 1 << 5
    UNKNOWN_UNIT = 1 << 6
    UNKNOWN_PROCEDURE = 1 << 7
    UNKNOWN_DOSSIER = 1 << 8
    LATE = 1 << 9
    BACKWARD_STATUS = 1 << 10
    NO_DUE_DATE = 1 << 11
    TIME_IN_FUTURE = 1 << 12
    NAME_NOT_NFC = 1 << 13
    IMPOSSIBLE_DATE = 1 << 14
    PARTIAL_BIRTH_DATE = 1 << 15
    CODE_FORMAT_OTHER = 1 << 16
    UNKNOWN_ENUM = 1 << 17
    DATES_OUT_OF_ORDER = 1 << 18
    PLACEHOLDER_TEXT = 1 << 19
    UNKNOWN_REFERENCE = 1 << 20
    FIELD_DROPPED = 1 << 21
    LEADING_ZEROS_LOST = 1 << 22


class StandingFlag(StrEnum):
    """Doubts about what is held now: by law, a death ends these (domain.md section 9)."""

    DECEASED_HOLDS_INSURANCE = "DECEASED_HOLDS_INSURANCE"
    DECEASED_RESIDENT = "DECEASED_RESIDENT"
    DECEASED_EID_ACTIVE = "DECEASED_EID_ACTIVE"
    DECEASED_PAYEE = "DECEASED_PAYEE"
    DECEASED_APPLICANT = "DECEASED_APPLICANT"


@dataclass(frozen=True, slots=True)
class Words:
    """A flag in words, for officers: Vietnamese, English, and the basis of the rule."""

    vn: str
    en: str
    basis: str


WORDS: dict[Flag | StandingFlag, Words] = {
    Flag.PLACEHOLDER_ID: Words(
        "Số giấy tờ giả định",
        "an identity number that was never issued (000000001, or one repeated digit)",
        "seen in use",
    ),
    Flag.PIN_MISMATCH: Words(
        "Số định danh không khớp giới tính hoặc năm sinh",
        "digits 4 to 6 of the PIN give another gender or birth year",
        "Decree 137/2015/ND-CP Art. 13",
    ),
    Flag.PIN_PREFIX_UNKNOWN: Words(
        "Mã nơi đăng ký khai sinh không có trong danh mục",
        "the PIN does not begin with the digits of a province or country",
        "Circular 07/2016/TT-BCA",
    ),
    Flag.CMND9_IN_PIN_FIELD: Words(
        "Số CMND 9 số ghi ở trường số định danh",
        "a nine-digit CMND number in the field of a PIN",
        "Law on Identification 26/2023/QH15 Art. 12",
    ),
    Flag.PIN_FORMAT_OTHER: Words(
        "Số định danh sai định dạng",
        "the value in the field of a PIN is not twelve digits",
        "Law on Identification 26/2023/QH15 Art. 12",
    ),
    Flag.CODE_SCHEME_MISMATCH: Words(
        "Bộ mã đơn vị hành chính không khớp thời điểm",
        "codes from before 1 July 2025 in an event after that day, or the reverse",
        "Decision 19/2025/QD-TTg",
    ),
    Flag.UNKNOWN_UNIT: Words(
        "Đơn vị hành chính không có trong danh mục", "admitted although its unit never became known", "parking"
    ),
    Flag.UNKNOWN_PROCEDURE: Words(
        "Thủ tục không có trong danh mục", "admitted although its procedure never became known", "parking"
    ),
    Flag.UNKNOWN_DOSSIER: Words(
        "Hồ sơ gốc không tìm thấy", "admitted although its parent dossier never became known", "parking"
    ),
    Flag.LATE: Words("Gửi muộn", "published long after it happened; not a first full read", "policy, late_after_hours"),
    Flag.BACKWARD_STATUS: Words(
        "Trạng thái lùi không có lý do",
        "the status moved backward without a correction that explains it",
        "the portal's states",
    ),
    Flag.NO_DUE_DATE: Words(
        "Thiếu ngày hẹn trả", "an accepted dossier that is not finished has no due date", "Decree 118/2025/ND-CP"
    ),
    Flag.TIME_IN_FUTURE: Words(
        "Thời điểm ở tương lai",
        "its time is after the time at which it was published",
        "policy, future_tolerance_seconds",
    ),
    Flag.NAME_NOT_NFC: Words(
        "Tên chưa chuẩn hóa Unicode",
        "a name in decomposed letters: it looks the same, but its characters differ",
        "TCVN 6909:2001",
    ),
    Flag.IMPOSSIBLE_DATE: Words(
        "Ngày không tồn tại", "a day without a month, a month without a year, or 31 February", "the calendar"
    ),
    Flag.PARTIAL_BIRTH_DATE: Words(
        "Ngày sinh không đầy đủ",
        "the birth date lacks its day or month; kept and shown as given",
        "the population database",
    ),
    Flag.CODE_FORMAT_OTHER: Words(
        "Mã hồ sơ không theo mẫu",
        "the dossier's code does not have the prescribed form",
        "Circular 01/2018/TT-VPCP Art. 19",
    ),
    Flag.UNKNOWN_ENUM: Words(
        "Giá trị ngoài danh mục", "a value that is in no list, e.g. a status that only this system has", "schemas"
    ),
    Flag.DATES_OUT_OF_ORDER: Words(
        "Ngày kết thúc trước ngày bắt đầu", "something ended before it began", "the calendar"
    ),
    Flag.PLACEHOLDER_TEXT: Words(
        "Tên giấy tờ giả định", "a document titled Dinhkem, which systems send to fill a required field", "seen in use"
    ),
    Flag.UNKNOWN_REFERENCE: Words(
        "Đối tượng được nhắc đến không có trong hệ thống",
        "admitted although another thing that it names never became known",
        "parking",
    ),
    Flag.FIELD_DROPPED: Words(
        "Trường không bắt buộc bị bỏ trống vì sai quy tắc",
        "an optional value broke the rule of its kind and was left out; which one stands in doubtful_fields",
        "schemas, kinds of values",
    ),
    Flag.LEADING_ZEROS_LOST: Words(
        "Mã bị mất số 0 ở đầu",
        "a code has lost its leading zeros: it was left out, or the mapping put them back",
        "Decisions 124/2004 and 19/2025/QD-TTg; Law 26/2023/QH15 Art. 12",
    ),
    StandingFlag.DECEASED_HOLDS_INSURANCE: Words(
        "Người đã chết còn thẻ bảo hiểm y tế", "health insurance of a person who died is valid", "domain rule 9.7"
    ),
    StandingFlag.DECEASED_RESIDENT: Words(
        "Người đã chết còn đăng ký cư trú", "a residence of a person who died is not deleted", "domain rule 9.7"
    ),
    StandingFlag.DECEASED_EID_ACTIVE: Words(
        "Tài khoản định danh của người đã chết còn hoạt động",
        "the e-ID of a person who died is unlocked",
        "domain rule 9.7",
    ),
    StandingFlag.DECEASED_PAYEE: Words(
        "Chi trả cho người đã chết",
        "a payment to a person who died is in progress, or was made after the death",
        "domain rule 9.7",
    ),
    StandingFlag.DECEASED_APPLICANT: Words(
        "Hồ sơ của người đã chết còn mở", "an open dossier's applicant died", "domain rule 9.7"
    ),
}
"""Every flag in words; a test compares the two lists."""

NEW_CODES_FROM = datetime(2025, 6, 30, 17, tzinfo=UTC)
"""0:00 of 1 July 2025 in Vietnam: from then on codes are those of Decision 19/2025/QD-TTg."""


def flags_in(mask: int | None) -> tuple[Flag, ...]:
    """Return the flags of an audit row, in order; unknown bits are left out."""
    return tuple(flag for flag in Flag if mask is not None and mask & flag)
