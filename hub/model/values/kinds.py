"""Kinds of values: the rule that a field's value must keep, whatever the field's name and its subject.

Each text and number of an event schema names its kind (``"kind": "commune_code"``); the rule of the kind is here, once.
The hub checks whole columns by it (``hub.intake.checks.values``), a connector each value of its source. A value that
breaks its rule means nothing: an optional field is dropped and noted (``hub.model.values.doubtful``), a required one
refuses the event. A plausible value that one may doubt gets a quality flag instead; so a kind that is used in several
forms has no rule.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from hub.model.values.bounds import LEAST_DAY, LEAST_MOMENT, MOST_DAY, MOST_MOMENT, OUT_OF_YEARS


class Why(StrEnum):
    """Why a value cannot stand: a closed list, part of what is noted beside an event."""

    WRONG_FORM = "WRONG_FORM"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    TOO_LONG = "TOO_LONG"
    LEADING_ZEROS_LOST = "LEADING_ZEROS_LOST"


@dataclass(frozen=True, slots=True)
class ValueKind:
    """A kind of value and its rule, if it has one. A null keeps every rule.

    Fields:
        meaning: of such a value, for people.
        is_number: it is a whole number; else a text.
        pattern: what the whole text must match (RE2 syntax, with its anchors).
        least, most: bounds of the number.
        without_zeros: what matches a code that has lost its leading zeros, for codes of which the domain says how many
            digits they have and that zeros lead them; only a mapping that knows its source may put them back.
    """

    meaning: str
    is_number: bool = False
    pattern: str | None = None
    least: int | None = None
    most: int | None = None
    without_zeros: str | None = None

    @property
    def has_rule(self) -> bool:
        """Whether any value breaks it."""
        return any(part is not None for part in (self.pattern, self.least, self.most, self.without_zeros))

    @property
    def keeps(self) -> Callable[[str], object] | None:
        """A quick look at a text, true if it keeps the rule; None if any text does."""
        if self.pattern is not None:
            return re.compile(self.pattern).fullmatch
        short = self.without_zeros
        return None if short is None else re.compile(rf"(?!{short.removesuffix('$')}\Z)").match

    def rules(self) -> tuple[tuple[Why, str, str], ...]:
        """Return each part of the rule: why it breaks, the part's name, and the text that says so, without a value."""
        parts = (
            (Why.LEADING_ZEROS_LOST, "without_zeros", "has too few digits: leading zeros were lost"),
            (Why.WRONG_FORM, "pattern", f"does not match {self.pattern}"),
            (Why.OUT_OF_RANGE, "least", f"less than {self.least}"),
            (Why.OUT_OF_RANGE, "most", f"more than {self.most}"),
        )
        return tuple(part for part in parts if getattr(self, part[1]) is not None)


def _number(meaning: str, least: int | None = None, most: int | None = None) -> ValueKind:
    return ValueKind(meaning, True, least=least, most=most)


_CODE = r"^\S.*$"
"""Something, and on one line; how long it may be says the schema's ``max_length``."""

KINDS: Mapping[str, ValueKind] = {
    # people: Law on Identification 26/2023/QH15 Art. 12; a PIN begins with 0 and a province's old code, or a country's
    "pin": ValueKind("personal number, 12 digits", pattern=r"^[0-9]{12}$", without_zeros=r"^[0-9]{10,11}$"),
    "pin_or_other": ValueKind(
        "personal number of another; another number in its place is kept and flagged", without_zeros=r"^[0-9]{10,11}$"
    ),
    "cmnd9": ValueKind("number of the old identity card, 9 digits", pattern=r"^[0-9]{9}$"),
    "si_number": ValueKind("social insurance number, 10 digits", pattern=r"^[0-9]{10}$"),
    "card_number": ValueKind("number of a health insurance card; printed in several forms"),
    "masked_number": ValueKind("number of a document, masked by its source"),
    "phone": ValueKind("telephone number: seven digits or more", pattern=r"^[^0-9]*([0-9][^0-9]*){7,}$"),
    "email": ValueKind("e-mail address", pattern=r"^[^@\s]+@[^@\s]+$"),
    "country_code": ValueKind("country, ISO 3166 alpha-2", pattern=r"^[A-Z]{2}$"),
    # units: Decisions 124/2004/QD-TTg and 19/2025/QD-TTg; leading zeros count (domain.md section 1)
    "province_code": ValueKind("province, 2 digits", pattern=r"^[0-9]{2}$", without_zeros=r"^[0-9]$"),
    "district_code": ValueKind("district, 3 digits", pattern=r"^[0-9]{3}$", without_zeros=r"^[0-9]{1,2}$"),
    "commune_code": ValueKind("commune, 5 digits", pattern=r"^[0-9]{5}$", without_zeros=r"^[0-9]{1,4}$"),
    "unit_code": ValueKind(
        "unit of any level: 2, 3 or 5 digits",
        pattern=r"^([0-9]{2}|[0-9]{3}|[0-9]{5})$",
        without_zeros=r"^([0-9]|[0-9]{4})$",
    ),
    "unit_scheme": ValueKind("name of a list of unit codes"),
    # dates and times
    "year": _number("year", 1800, 2399),
    "month": _number("month, 1 to 12", 1, 12),
    "day": _number("day of a month, 1 to 31", 1, 31),
    "year_month": ValueKind("month of a year, YYYY-MM", pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$"),
    "moment": ValueKind(
        "time in UTC, RFC 3339",
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
    ),
    # numbers
    "score": _number("satisfaction, 1 to 5", 1, 5),
    "eid_level": _number("level of an electronic identity, 1 or 2", 1, 2),
    "reuse_level": _number("how a document was reused, 0 to 3", 0, 3),
    "count": _number("count, duration or area: not below zero", 0),
    "money": _number("money in VND"),
    "version": _number("epoch or version of a source: not below zero", 0),
    "digest_number": _number("content hash as a number"),
    # codes and references whose form their owners decide
    "dossier_code": ValueKind("code of a dossier; other forms than the usual one are flagged", pattern=_CODE),
    "procedure_code": ValueKind("code of a procedure", pattern=_CODE),
    "agency_code": ValueKind("electronic identifier of an agency; an older form is in use"),
    "source_code": ValueKind("code of a source system, as the policy declares it"),
    "local_code": ValueKind("code of the source's own"),
    "list_code": ValueKind("code of a national list"),
    "document_number": ValueKind("number of a document, decision or law"),
    "reference": ValueKind("where something is kept, or what it belongs to"),
    "sha256": ValueKind("SHA-256 in hexadecimal", pattern=r"^[0-9A-Fa-f]{64}$"),
    "digest": ValueKind("keyed hash, in hexadecimal"),
    "field_name": ValueKind("name of a field"),
    # words
    "name": ValueKind("name of a person, a thing or a place"),
    "address": ValueKind("address or place, as text"),
    "words": ValueKind("word of the source, or of a closed list"),
    "text": ValueKind("free text"),
    "doubtful_fields": ValueKind(
        "what became of values that broke their rule",
        pattern=r"^[a-z0-9_.]+ [A-Z]+ [A-Z_]+(; [a-z0-9_.]+ [A-Z]+ [A-Z_]+)*$",
    ),
}


@dataclass(frozen=True, slots=True)
class Broken:
    """How a value breaks its rule; ``text`` says it without the value."""

    why: Why
    text: str


def broken_rule(kind: str) -> Callable[[Any], Broken | None]:
    """Return what tells how one value breaks the rule of a kind, None when it keeps it.

    Dates and times keep the years of ``hub.model.values.bounds`` whatever their kind; an unknown kind has no rule.
    """
    rule = KINDS.get(kind, _FREE)
    found = {part: Broken(why, text) for why, part, text in rule.rules()}
    pattern, short = (None if text is None else re.compile(text) for text in (rule.pattern, rule.without_zeros))

    def broken(value: Any) -> Broken | None:
        if isinstance(value, datetime):
            return None if LEAST_MOMENT <= value <= MOST_MOMENT else _OUT_OF_YEARS
        if isinstance(value, date):
            return None if LEAST_DAY <= value <= MOST_DAY else _OUT_OF_YEARS
        if isinstance(value, str):
            if short is not None and short.fullmatch(value):
                return found["without_zeros"]
            return None if pattern is None or pattern.fullmatch(value) else found["pattern"]
        if rule.least is not None and isinstance(value, int) and value < rule.least:
            return found["least"]
        if rule.most is not None and isinstance(value, int) and value > rule.most:
            return found["most"]
        return None

    return broken


_FREE = ValueKind("a value without a kind")
_OUT_OF_YEARS = Broken(Why.OUT_OF_RANGE, OUT_OF_YEARS)
