"""A plain reckoning of what a source's value must become in each kind of field: no line of the connectors is used here.

A value is known by what was written into the database (``Meaning``), not by what a driver gives for it.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAST, MOST = datetime(1800, 1, 1, tzinfo=UTC), datetime(2399, 12, 31, tzinfo=UTC)
LONGEST, LONGEST_RAW = 4000, 200


class Refused(Exception):
    """The row must be a reject."""


class Anything:
    """Stands for a text that is whatever the database prints."""


@dataclass(frozen=True)
class Meaning:
    """What a value is: none, num, float, single, bits, text, day, moment, bool, doc, blob, or odd.

    ``odd`` is a date or time beyond Python's.
    """

    kind: str
    value: Any = None


NONE = Meaning("none")
NUMBERS, TEXTS = ("num", "float", "single"), ("text", "bits")


def in_json(value: Any) -> Meaning:
    """Return what a value inside a JSON document is."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return Meaning("bool", value)
    if isinstance(value, str):
        return Meaning("text", value)
    return Meaning("num", value) if isinstance(value, Decimal | int) else Meaning("doc", value)


def document(text: str) -> Any:
    """Return what a JSON text holds; a number beyond sense is NaN."""

    def number(digits: str) -> Decimal:
        exponent = re.search(r"[eE]([+-]?\d+)$", digits)
        is_beyond = len(digits) > 400 or (exponent is not None and abs(int(exponent[1])) > 400)
        return Decimal("NaN") if is_beyond else Decimal(digits)

    def refuse(_: str) -> Any:
        raise Refused

    try:
        return json.loads(text, parse_float=number, parse_int=number, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Refused from None


def _words(meaning: Meaning) -> str | None:
    """Return a value in words, before a field looks at it."""
    kind, value = meaning.kind, meaning.value
    if kind == "none":
        return None
    if kind in TEXTS:
        return value.strip() or None
    if kind == "bool":
        return "true" if value else "false"
    if kind in NUMBERS:
        if not Decimal(value).is_finite():
            raise Refused
        text = format(Decimal(value), "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text
    if kind == "day":
        return str(value.isoformat())
    if kind == "moment":
        return _local(value).isoformat()
    raise Refused


def _local(moment: datetime) -> datetime:
    return moment.replace(tzinfo=ZONE) if moment.tzinfo is None else moment.astimezone(ZONE)


def _fits(text: str | None, most: int) -> str | None:
    if text is not None and (
        "\0" in text or len(text) > most or any("\ud800" <= letter <= "\udfff" for letter in text)
    ):
        raise Refused
    return text


def text(meaning: Meaning) -> Any:
    """A text field."""
    return Anything if meaning.kind == "odd" else _fits(_words(meaning), LONGEST)


def _number(meaning: Meaning, pattern: str, clean: Callable[[str], str]) -> Decimal | None:
    if meaning.kind == "none":
        return None
    if meaning.kind in NUMBERS:
        number = Decimal(meaning.value)
        if not number.is_finite():
            raise Refused
        return number
    if meaning.kind == "bits":
        return Decimal(int(meaning.value, 2)) if meaning.value else None
    if meaning.kind != "text":
        raise Refused
    said = meaning.value.strip(" ")
    if not said.strip():
        return None
    if len(said) > 400 or not re.fullmatch(pattern, said):
        raise Refused
    return Decimal(clean(said))


def _undeclared(meaning: Meaning) -> Decimal | None:
    if meaning.kind == "text" and re.fullmatch(r" *-?[1-9][0-9]{0,2}\.[0-9]{3} *", meaning.value):
        raise Refused
    return _number(meaning, r"-?[0-9]+(\.[0-9]+)?", str)


def _whole(number: Decimal | None, least: int, most: int) -> int | None:
    if number is None:
        return None
    if not least <= number <= most or number != int(number):
        raise Refused
    return int(number)


def whole(meaning: Meaning) -> int | None:
    """A whole number, no format declared."""
    return _whole(_undeclared(meaning), *_range(meaning))


def _range(meaning: Meaning) -> tuple[int, int]:
    """Return the bounds of whole numbers; from 53 bits on, and 24 in single precision, several are one and the same."""
    least_unsure = {"float": 2**53, "single": 2**24}.get(meaning.kind)
    return (-(2**63), 2**63 - 1) if least_unsure is None else (1 - least_unsure, least_unsure - 1)


def thousands(meaning: Meaning) -> int | None:
    """A whole number as Viet Nam writes it."""
    pattern = r"-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?"
    found = _number(meaning, pattern, lambda said: said.replace(".", "").replace(",", "."))
    return _whole(found, *_range(meaning))


def double(meaning: Meaning) -> float | None:
    """A double, no format declared."""
    number = _undeclared(meaning)
    if number is None:
        return None
    if abs(number) > Decimal("1.7976931348623157e308"):
        raise Refused
    return float(number)


_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
_PARTIAL = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?")


def _moment(meaning: Meaning) -> Any:
    if meaning.kind == "day":
        meaning = Meaning("moment", datetime(meaning.value.year, meaning.value.month, meaning.value.day))  # noqa: DTZ001
    if meaning.kind != "moment":
        said = _words(meaning)
        if said is None:
            return None
        if not _MOMENT.fullmatch(said):
            raise Refused
        try:
            meaning = Meaning("moment", datetime.fromisoformat(said))
        except ValueError:
            raise Refused from None
    return _local(meaning.value)


def moment(meaning: Meaning) -> datetime | None:
    """A time."""
    found: datetime | None = _moment(meaning)
    if found is not None and not LEAST <= found <= MOST:
        raise Refused
    return found


def in_format(meaning: Meaning) -> datetime | None:
    """A time whose text is day/month/year."""
    if meaning.kind in ("day", "moment"):
        return moment(meaning)
    said = _words(meaning)
    if said is None:
        return None
    match = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", said)
    try:
        return moment(Meaning("day", date(*map(int, reversed(match.groups()))))) if match else _refuse()
    except ValueError:
        raise Refused from None


def _refuse() -> Any:
    raise Refused


def _partial(meaning: Meaning) -> tuple[int, int, int] | None:
    if meaning.kind in ("day", "moment"):
        found = meaning.value if meaning.kind == "day" else _local(meaning.value)
        return found.year, found.month, found.day
    said = _words(meaning)
    if said is None:
        return None
    match = _PARTIAL.fullmatch(said)
    if not match:
        instant = _moment(Meaning("text", said)) if len(said) > 10 else _refuse()
        return instant.year, instant.month, instant.day
    year, month, day = (int(part or 0) for part in match.groups())
    try:
        date(year, month or 1, (day if month else 0) or 1)
    except ValueError:
        raise Refused from None
    return year, month, day


def day(meaning: Meaning) -> date | None:
    """A whole date."""
    found = _partial(meaning)
    if found is not None and (not found[1] or not found[2] or not 1800 <= found[0] <= 2399):
        raise Refused
    return None if found is None else date(*found)


def year(meaning: Meaning) -> int | None:
    """The year of a date."""
    found = _partial(meaning)
    if found is not None and not 1800 <= found[0] <= 2399:
        raise Refused
    return None if found is None else found[0]


def boolean(meaning: Meaning) -> bool | None:
    """True or false."""
    said = _words(meaning)
    if said is None:
        return None
    word = unicodedata.normalize("NFC", said).lower()
    if word in ("1", "true", "t", "yes", "y", "on"):
        return True
    if word in ("0", "false", "f", "no", "n", "off"):
        return False
    raise Refused


def deleted(meaning: Meaning) -> str:
    """The operation, by a soft-delete column."""
    if meaning.kind in ("day", "moment"):
        return "REVOKE"
    try:
        return "REVOKE" if boolean(meaning) else "UPDATE"
    except Refused:
        if meaning.kind in TEXTS and _moment(meaning) is not None:
            return "REVOKE"
        raise


def declared_deleted(meaning: Meaning) -> str:
    """The operation, by a soft-delete column whose words are declared: Y and xóa."""
    said = _words(meaning)
    if unicodedata.normalize("NFC", said or "") in ("Y", "xóa"):
        return "REVOKE"
    return "REVOKE" if boolean(meaning) else "UPDATE"


def word(meaning: Meaning) -> Any:
    """A field with a code table of 1 and Y; what it does not know is kept."""
    if meaning.kind in ("odd", "moment"):
        return "UNKNOWN", Anything
    said = _words(meaning)
    if said is None:
        raise Refused
    known = {"1": "REGISTERED", "Y": "ACCEPTED"}.get(unicodedata.normalize("NFC", said))
    return (known, None) if known else ("UNKNOWN", _fits(said, LONGEST_RAW))


def items(meaning: Meaning) -> Any:
    """A list of objects."""
    found = meaning.value if meaning.kind == "doc" else None
    if meaning.kind in (*TEXTS, "blob"):
        said = meaning.value if meaning.kind in TEXTS else meaning.value.decode("latin-1")
        found = document(said) if said.strip() else None
    elif meaning.kind not in ("doc", "none"):
        raise Refused
    if found in (None, [], {}):
        return None
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise Refused
    return [{"reason": text(in_json(one.get("ly_do"))), "new_due_at": _utc(one.get("moi"))} for one in found]


def _utc(given: Any) -> str | None:
    found = _moment(in_json(given))
    return None if found is None else found.astimezone(UTC).isoformat().replace("+00:00", "Z")


def payload(meaning: Meaning) -> Any:
    """A document with a code and a number."""
    given = document(meaning.value) if meaning.kind in TEXTS else meaning.value if meaning.kind == "doc" else _refuse()
    if not isinstance(given, Mapping):
        raise Refused
    code = text(in_json(given.get("ma")))
    if code is None or not re.fullmatch(r"\S.{0,49}", code):
        raise Refused
    return code, whole(in_json(given.get("so")))


def changed_at(meaning: Meaning) -> datetime:
    """The time of a change: there, and not to come."""
    found = moment(meaning)
    if found is None or found > datetime.now(UTC) + timedelta(days=1):
        raise Refused
    return found


def version(meaning: Meaning) -> int:
    """A version: a whole number from 0, or a time."""
    is_time = meaning.kind in ("day", "moment") or (meaning.kind in TEXTS and "-" in meaning.value.strip()[1:])
    if is_time:
        return max(0, (changed_at(meaning) - EPOCH) // timedelta(microseconds=1))
    found = _whole(_undeclared(meaning), 0, _range(meaning)[1])
    return _refuse() if found is None else found
