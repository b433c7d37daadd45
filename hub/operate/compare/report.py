"""Record in the warehouse what a comparison found: an alert per source and subject, closed when they are equal."""

from collections.abc import Sequence

from sqlalchemy import Engine, text

from hub.model.alerts import COMPARE_DIFFERS
from hub.operate.compare.found import DIFFERENCES, Compared
from hub.warehouse.alerts import clear_alert, raise_alert, read_alerts
from hub.warehouse.database import translated_errors

_MAY_WRITE = text("SELECT has_table_privilege(current_user, 'alert', 'INSERT,UPDATE')")


def alert_place(source: str, subject: str) -> str:
    """Return the place of an alert about one subject of a source."""
    return f"{source} {subject}"


def tell_of(found: Compared) -> str:
    """Return in words what differs, with counts and without keys."""
    counts = found.counts
    told = [f"{counts[kind]:,} {kind.value.replace('_', ' ')}" for kind in DIFFERENCES if counts[kind]]
    return f"{', '.join(told) or 'nothing differs'} of {found.source_rows:,} rows and {found.claims:,} claims"


def keep_alerts(engine: Engine, source: str, found: Sequence[Compared], mended: Sequence[str] = ()) -> bool:
    """Open the alerts of subjects that differ, close those of subjects that do not; return whether that was allowed.

    Args:
        engine: of the warehouse; a user who may only read leaves the alerts unchanged.
        source: code of the source.
        found: the comparisons; other subjects' alerts stay.
        mended: subjects that were fully repaired since.
    """
    with translated_errors("noting a comparison"), engine.begin() as connection:
        if not connection.execute(_MAY_WRITE).scalar_one():
            return False
        differ = {alert_place(source, one.subject): one for one in found if not (one.is_equal or one.subject in mended)}
        for place, one in differ.items():
            raise_alert(connection, COMPARE_DIFFERS, place, tell_of(one))
        equal = {alert_place(source, one.subject) for one in found} - set(differ)
        open_now = {one.place for one in read_alerts(connection) if one.name == COMPARE_DIFFERS.name}
        clear_alert(connection, COMPARE_DIFFERS, but=open_now - equal)
    return True
