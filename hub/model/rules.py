"""Rules that a value must keep, by field name, whatever the subject; else it contradicts itself: INVALID_VALUE.

These are the shapes without which a value means nothing. Doubts about plausible values are quality flags, never
refusals (domain.md section 2.1).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must match: a pattern (RE2 syntax, whole value) and/or bounds. A null passes."""

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
"""Bounds of every timestamp and date; outside them a value is a mistake of its encoder."""
