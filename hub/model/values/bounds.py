"""Bounds of every date and time; a value outside them is an error of its encoder. Rules of other values: ``kinds``."""

from datetime import UTC, date, datetime

LEAST_YEAR, MOST_YEAR = 1800, 2399

LEAST_DAY, MOST_DAY = date(LEAST_YEAR, 1, 1), date(MOST_YEAR, 12, 31)
LEAST_MOMENT, MOST_MOMENT = datetime(LEAST_YEAR, 1, 1, tzinfo=UTC), datetime(MOST_YEAR, 12, 31, tzinfo=UTC)
"""The same bounds as a day and as a time."""

OUT_OF_YEARS = f"outside {LEAST_YEAR}-{MOST_YEAR}"
