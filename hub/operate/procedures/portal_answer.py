"""Read procedures from the answer of the national portal's services ``LayThuTuc`` and ``LayDanhSachTTHC``.

The answer is JSON in which every value is a text: ``{"error_code": "0", "result": [{"MATTHC": ..., "TENTTHC": ...}]}``.
One list may contain several answers; a gateway's envelope ``{"message": "<the answer as text>"}`` is accepted too.
What the portal says and the hub has no field for is left empty and reported, never guessed.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.codec.encode import check_of
from hub.codec.fields import FieldSpec
from hub.model.values.kinds import broken_rule

CODE, NAME = "MATTHC", "TENTTHC"
_GOOD = ("", "0", "00")
_BASE = re.compile(r"[0-9]\.[0-9]{6}")
_THOUSANDS = re.compile(r"[0-9]{1,3}(\.[0-9]{3})+")

_LEVELS = {"cấp bộ": "MINISTRY", "cấp tỉnh": "PROVINCE", "cấp xã": "COMMUNE"}
_STATES = {"1": "PUBLISHED"}
_CHANNELS = {"1": "DIRECT", "2": "ONLINE", "3": "POSTAL"}
_UNITS = {
    "giờ làm việc": "WORKING_HOUR",
    "ngày làm việc": "WORKING_DAY",
    "ngày": "DAY",
    "tháng": "MONTH",
}
_APPLICANTS = {"công dân việt nam": "CITIZEN", "doanh nghiệp": "BUSINESS", "cơ quan nhà nước": "AGENCY"}
_FREE = ("không", "miễn phí")

Given = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeftEmpty:
    """What an answer says and no field of the hub accepts: the field, the reason, how many procedures, an example."""

    field: str
    why: str
    procedures: int
    example: str


class _NotTakenError(ValueError):
    """A value for which the hub has no field or word; the text says why."""


def read_answer(
    path: Path, text: str, specs: Mapping[str, FieldSpec], problems: list[str]
) -> tuple[list[dict[str, Any]], tuple[LeftEmpty, ...]]:
    """Return the procedures of an answer, and what was left empty in them.

    Args:
        path: of the file, for problems.
        text: its JSON.
        specs: the fields of a procedure; each row has all of them.
        problems: receives what is wrong with the answer, or with a required field.
    """
    try:
        found = list(_procedures(json.loads(text)))
    except json.JSONDecodeError as error:
        problems.append(f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}")
        return [], ()
    except ValueError as error:
        problems.append(f"{path}: {error}")
        return [], ()
    left = _Left()
    return [_row(str(path), given, specs, left, problems) for given in found], left.told()


class _Left:
    """Counts what is left empty."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    def note(self, field: str, why: str, code: str) -> None:
        self._counts[field, why] += 1
        self._examples.setdefault((field, why), code)

    def told(self) -> tuple[LeftEmpty, ...]:
        counted = sorted(self._counts.items(), key=lambda one: (-one[1], one[0]))
        return tuple(LeftEmpty(*place, count, self._examples[place]) for place, count in counted)


def _procedures(document: Any) -> Iterator[Given]:
    """Yield the procedures of a document, names in capitals; raises ``ValueError`` if it is not an answer."""
    if isinstance(document, list):
        for one in document:
            yield from _procedures(one)
        return
    if not isinstance(document, dict):
        raise ValueError("is not an answer of the portal: it contains something other than objects")
    said = _in_capitals(document)
    if CODE in said:
        yield said
        return
    error_code = said.get("ERROR_CODE")
    if error_code is not None and str(error_code).strip() not in _GOOD:
        raise ValueError(f"the portal answered with error_code {error_code}: {said.get('MESSAGE', '')}")
    if "RESULT" in said:
        yield from _procedures(said["RESULT"] or [])
        return
    inner = said.get("MESSAGE")
    if isinstance(inner, str) and inner.lstrip().startswith(("{", "[")):
        yield from _procedures(json.loads(inner))
        return
    raise ValueError("is not an answer of the portal: it has neither `result` nor `MATTHC`")


def _in_capitals(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name).upper(): _in_capitals(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_in_capitals(part) for part in value]
    return value


def _row(where: str, given: Given, specs: Mapping[str, FieldSpec], left: _Left, problems: list[str]) -> dict[str, Any]:
    code = str(given.get(CODE) or "")
    row: dict[str, Any] = {}
    for name, spec in specs.items():
        told = list[tuple[str, str]]()
        value = None
        try:
            value = _READ[name](given, told) if name in _READ else None
            if value is not None:
                value = check_of(spec)(value)
                if problem := broken_rule(spec.value_kind)(value):
                    raise ValueError(problem.text)
            elif not spec.nullable:
                raise ValueError("has no value")
        except ValueError as error:
            value = None
            if not spec.nullable:
                problems.append(f"{where}, procedure {code}: {name}: {error}")
            else:
                left.note(name, str(error), code)
        for inner, why in told:
            left.note(f"{name}.{inner}", why, code)
        row[name] = value
    return row


def _text(value: Any) -> str | None:
    """Return a text without spaces around it; None if there is none."""
    return str(value).strip() or None if value is not None else None


def _number(value: Any) -> int | None:
    """Return a whole number as the portal writes it: 15, "15", "1.500.000"; None if there is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = _text(value)
    if text is None:
        return None
    if _THOUSANDS.fullmatch(text):
        return int(text.replace(".", ""))
    if not text.isascii() or not text.isdigit():
        raise _NotTakenError(f"{text!r} is not a whole number")
    return int(text)


def _word(words: Mapping[str, str], value: Any) -> str | None:
    text = _text(value)
    if text is None:
        return None
    if text.lower() not in words:
        raise _NotTakenError(f"{text!r} has no counterpart in the hub")
    return words[text.lower()]


def _list(value: Any) -> Sequence[Given]:
    if value in (None, "", {}):
        return ()
    found = [value] if isinstance(value, dict) else value
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _NotTakenError("is not a list of objects")
    return found


def _only(group: str, tag: str) -> Callable[[Given, list[tuple[str, str]]], str | None]:
    """Return the function that reads a tag of a group with one member; the hub has a field for one only."""

    def read(given: Given, _: list[tuple[str, str]]) -> str | None:
        members = _list(given.get(group))
        if len(members) > 1:
            raise _NotTakenError(f"the portal names several {group}")
        return _text(members[0].get(tag)) if members else None

    return read


def _level(given: Given, told: list[tuple[str, str]]) -> str | None:
    return _word(_LEVELS, _only("CAPTHUCHIEN", "TENCAP")(given, told))


def _base(given: Given, _: list[tuple[str, str]]) -> str | None:
    found = _BASE.match(str(given[CODE]).strip())
    return found[0] if found else None


def _applicants(given: Given, _: list[tuple[str, str]]) -> list[dict[str, Any]] | None:
    kinds = [_word(_APPLICANTS, one.get("TENDOITUONG")) for one in _list(given.get("DOITUONGTHUCHIEN"))]
    return [{"applicant_type": kind} for kind in dict.fromkeys(kinds) if kind] or None


def _channels(given: Given, told: list[tuple[str, str]]) -> list[dict[str, Any]] | None:
    found = []
    for way in _list(given.get("CACHTHUCTHUCHIEN")):
        channel = _word(_CHANNELS, way.get("KENH"))
        for time in _list(way.get("THOIGIAN")) or ({},):
            told_of = {
                "duration": _or_told("duration", _number, time.get("THOIGIANGIAIQUYET"), told),
                "duration_unit": _or_told(
                    "duration_unit", lambda unit: _word(_UNITS, unit), time.get("DONVITINH"), told
                ),
                "fee_vnd": _or_told("fee_vnd", _fee, time.get("PHILEPHI"), told),
            }
            found.append({"channel": channel, **told_of})
    return found or None


def _fee(fees: Any) -> int | None:
    members = _list(fees)
    if len(members) > 1:
        raise _NotTakenError("the portal names several fees")
    said = members[0].get("SOTIEN") if members else None
    return 0 if str(said).strip().lower() in _FREE else _number(said)


def _or_told(name: str, read: Callable[[Any], Any], value: Any, told: list[tuple[str, str]]) -> Any:
    try:
        return read(value)
    except _NotTakenError as error:
        told.append((name, str(error)))
        return None


def _components(given: Given, _: list[tuple[str, str]]) -> list[dict[str, Any]] | None:
    papers = [paper for case in _list(given.get("THANHPHANHOSO")) for paper in _list(case.get("GIAYTO"))]
    return _items(papers, code="MAGIAYTO", name="TENGIAYTO", form_url="URL")


def _items(given: Sequence[Given], **tags: str) -> list[dict[str, Any]] | None:
    return [{name: _text(one.get(tag)) for name, tag in tags.items()} for one in given] or None


_READ: dict[str, Callable[[Given, list[tuple[str, str]]], Any]] = {
    "procedure_code": lambda given, _: _text(given[CODE]),
    "procedure_code_base": _base,
    "name": lambda given, _: _text(given.get(NAME)),
    "field_code": _only("LINHVUCTHUCHIEN", "MALINHVUC"),
    "field_name": _only("LINHVUCTHUCHIEN", "TENLINHVUC"),
    "level": _level,
    "executing_agency": _only("COQUANTHUCHIEN", "MADONVI"),
    "executing_agency_name": _only("COQUANTHUCHIEN", "TENDONVI"),
    "channels": _channels,
    "components": _components,
    "results": lambda given, _: _items(_list(given.get("KETQUATHUCHIEN")), code="MAKETQUA", name="TENKETQUA"),
    "applicants": _applicants,
    "legal_documents": lambda given, _: _items(_list(given.get("CANCUPHAPLY")), number="SOVANBAN", name="TENVANBAN"),
    "requirements": lambda given, _: _text(given.get("YEUCAU")),
    "state": lambda given, _: _word(_STATES, given.get("TRANGTHAI")),
}
"""How each field of the hub is read from a procedure; no answer contains the fields that are missing here."""
