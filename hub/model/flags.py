"""Quality flags: a closed list of doubts about what was said. A flag never drops an event.

Two kinds. A ``Flag`` is about one event, told from the event alone, and stands as a bit of ``flags`` in the audit log.
A ``StandingFlag`` is about what is held now: it opens when two things that cannot both be right are held, and closes
when one of them no longer is.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntFlag, StrEnum


class Flag(IntFlag):
    """Doubts about one event. A number, once given, keeps its meaning: it stands in the audit log."""

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


class StandingFlag(StrEnum):
    """Doubts about what is held now: the law says that a death ends these (domain.md section 9)."""

    DECEASED_HOLDS_INSURANCE = "DECEASED_HOLDS_INSURANCE"
    DECEASED_RESIDENT = "DECEASED_RESIDENT"
    DECEASED_EID_ACTIVE = "DECEASED_EID_ACTIVE"
    DECEASED_PAYEE = "DECEASED_PAYEE"
    DECEASED_APPLICANT = "DECEASED_APPLICANT"


@dataclass(frozen=True, slots=True)
class Words:
    """A flag in words, for officers: Vietnamese, English, and on what the rule rests."""

    vn: str
    en: str
    basis: str


WORDS: dict[Flag | StandingFlag, Words] = {
    Flag.PLACEHOLDER_ID: Words(
        "Số giấy tờ giả định",
        "an identity number that nobody was given (000000001, one digit throughout)",
        "seen in use",
    ),
    Flag.PIN_MISMATCH: Words(
        "Số định danh không khớp giới tính hoặc năm sinh",
        "digits 4 to 6 of the PIN say another gender or birth year",
        "Decree 137/2015/ND-CP Art. 13",
    ),
    Flag.PIN_PREFIX_UNKNOWN: Words(
        "Mã nơi đăng ký khai sinh không có trong danh mục",
        "the PIN begins with the digits of no province and no country",
        "Circular 07/2016/TT-BCA",
    ),
    Flag.CMND9_IN_PIN_FIELD: Words(
        "Số CMND 9 số ghi ở trường số định danh",
        "a nine-digit CMND number stands where a PIN belongs",
        "Law on Identification 26/2023/QH15 Art. 12",
    ),
    Flag.PIN_FORMAT_OTHER: Words(
        "Số định danh sai định dạng",
        "what stands where a PIN belongs is not twelve digits",
        "Law on Identification 26/2023/QH15 Art. 12",
    ),
    Flag.CODE_SCHEME_MISMATCH: Words(
        "Bộ mã đơn vị hành chính không khớp thời điểm",
        "codes of before 1 July 2025 in an event of after it, or the other way round",
        "Decision 19/2025/QD-TTg",
    ),
    Flag.UNKNOWN_UNIT: Words(
        "Đơn vị hành chính không có trong danh mục", "let through although its unit never became known", "parking"
    ),
    Flag.UNKNOWN_PROCEDURE: Words(
        "Thủ tục không có trong danh mục", "let through although its procedure never became known", "parking"
    ),
    Flag.UNKNOWN_DOSSIER: Words(
        "Hồ sơ gốc không tìm thấy", "let through although its parent dossier never became known", "parking"
    ),
    Flag.LATE: Words("Gửi muộn", "published long after it happened; not a first full read", "policy, late_after_hours"),
    Flag.BACKWARD_STATUS: Words(
        "Trạng thái lùi không có lý do",
        "the status went back without a correction that says why",
        "the portal's states",
    ),
    Flag.NO_DUE_DATE: Words(
        "Thiếu ngày hẹn trả", "an accepted dossier that is not finished has no due date", "Decree 118/2025/ND-CP"
    ),
    Flag.TIME_IN_FUTURE: Words(
        "Thời điểm ở tương lai", "said to have happened after it was published", "policy, future_tolerance_seconds"
    ),
    Flag.NAME_NOT_NFC: Words(
        "Tên chưa chuẩn hóa Unicode", "a name in decomposed letters: it looks the same and is not", "TCVN 6909:2001"
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
        "Mã hồ sơ không theo mẫu", "the dossier's code has another shape", "Circular 01/2018/TT-VPCP Art. 19"
    ),
    Flag.UNKNOWN_ENUM: Words(
        "Giá trị ngoài danh mục", "a value that is in no list, e.g. a status of the system's own", "schemas"
    ),
    Flag.DATES_OUT_OF_ORDER: Words(
        "Ngày kết thúc trước ngày bắt đầu", "something ended before it began", "the calendar"
    ),
    Flag.PLACEHOLDER_TEXT: Words(
        "Tên giấy tờ giả định", "a document titled Dinhkem, as systems send to get past a required field", "seen in use"
    ),
    Flag.UNKNOWN_REFERENCE: Words(
        "Đối tượng được nhắc đến không có trong hệ thống",
        "let through although another thing that it names never became known",
        "parking",
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
        "Chi trả cho người đã chết", "a payment to a person who died is under way, or was paid after", "domain rule 9.7"
    ),
    StandingFlag.DECEASED_APPLICANT: Words(
        "Hồ sơ của người đã chết còn mở", "an open dossier's applicant died", "domain rule 9.7"
    ),
}
"""Every flag in words; a test holds the two lists together."""

NEW_CODES_FROM = datetime(2025, 6, 30, 17, tzinfo=UTC)
"""0:00 of 1 July 2025 in Vietnam: from then on codes are those of Decision 19/2025/QD-TTg."""


def flags_in(mask: int | None) -> tuple[Flag, ...]:
    """Return the flags of an audit row, in order; bits of no flag are left out."""
    return tuple(flag for flag in Flag if mask is not None and mask & flag)
