"""Rules for values, by field name, in every subject; a value that breaks one is INVALID_VALUE.

These are the forms without which a value has no meaning. Doubts about plausible values are quality flags, never
refusals (domain.md section 2.1).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must match: a pattern (RE2 syntax, whole value) and/or bounds. Null passes."""

    pattern: str | None = None
    least: int | None = None
    most: int | None = None


RULES: dict[str, Rule] = {
    "pin": Rule(pattern=r"^[0-9]{12}$"),
    "dossier_code": Rule(pattern=r"^\S.{0,49}$"),
    "procedure_code": Rule(pattern=r"^\S.{0,49}$"),
    "unit_code": Rule(pattern=r"^([0-9]{2}|[0-9]{3}|[0-9]{5})$"),
    "province_code": Rule(pattern=r"^[0-9]{2}$"),
    "commune_code": Rule(pattern=r"^[0-9]{5}$"),
    "birth_year": Rule(least=1800, most=2399),
    "birth_month": Rule(least=1, most=12),
    "birth_day": Rule(least=1, most=31),
    "life_status_month": Rule(least=1, most=12),
    "life_status_day": Rule(least=1, most=31),
    "source_epoch": Rule(least=0),
    "source_version": Rule(least=0),
}
"""PIN: Law on Identification 26/2023/QH15 Art. 12. Unit codes: Decisions 124/2004 and 19/2025/QD-TTg.

Dossier code: at most 50 characters, the portal's limit (domain.md section 3.3).
"""

LEAST_YEAR, MOST_YEAR = 1800, 2399
"""Bounds of every timestamp and date; a value outside them is an error of its encoder."""

LEAST_DAY, MOST_DAY = date(LEAST_YEAR, 1, 1), date(MOST_YEAR, 12, 31)
LEAST_MOMENT, MOST_MOMENT = datetime(LEAST_YEAR, 1, 1, tzinfo=UTC), datetime(MOST_YEAR, 12, 31, tzinfo=UTC)
"""The same bounds as a day and as a time."""

OUT_OF_YEARS = f"outside {LEAST_YEAR}-{MOST_YEAR}"


def rule_texts(rule: Rule) -> dict[str, str]:
    """Return the message for a value that breaks a part of a rule, by the part's name."""
    return {
        "pattern": f"does not match {rule.pattern}",
        "least": f"less than {rule.least}",
        "most": f"more than {rule.most}",
    }


def broken_rule(field: str) -> Callable[[Any], str | None]:
    """Return a function that says how one value breaks the rules of a field, or None; its text has no value.

    The intake checks whole columns by the same table (``hub.intake.checks.check``); this function is for senders of
    single values.
    """
    rule = RULES.get(field, Rule())
    texts = rule_texts(rule)
    pattern = None if rule.pattern is None else re.compile(rule.pattern)

    def broken(value: Any) -> str | None:
        if isinstance(value, datetime):
            return None if LEAST_MOMENT <= value <= MOST_MOMENT else OUT_OF_YEARS
        if isinstance(value, date):
            return None if LEAST_DAY <= value <= MOST_DAY else OUT_OF_YEARS
        if pattern is not None and isinstance(value, str) and not pattern.fullmatch(value):
            return texts["pattern"]
        if rule.least is not None and isinstance(value, int) and value < rule.least:
            return texts["least"]
        if rule.most is not None and isinstance(value, int) and value > rule.most:
            return texts["most"]
        return None

    return broken
