"""Find dossiers whose handling agency has a successor: they are published again when that changes."""

from collections.abc import Collection

from sqlalchemy import ARRAY, Select, Text, func, literal, or_, select, union

from hub.model.units.agencies import PREFIX_PATTERN
from hub.reconcile.rules.dossiers.versions import progress_tables, submission_tables
from hub.warehouse.tables.units import agency_now


def dossiers_carried_on(prefixes: Collection[str]) -> Select[tuple[object]]:
    """Select the dossiers that name an agency with a successor, now or before, in some provinces.

    Args:
        prefixes: agency prefixes of the provinces whose units have changed, e.g. ``H42``.
    """
    given = func.any(literal(sorted(prefixes), ARRAY(Text)))
    concerned = (
        select(agency_now.c.prefix)
        .where(agency_now.c.prefix != agency_now.c.now_prefix)
        .where(or_(agency_now.c.prefix == given, agency_now.c.now_prefix == given))
    )
    progress, filed = progress_tables().claim, submission_tables().claim
    named = (progress.c.processing_agency, filed.c.deciding_agency, filed.c.receiving_agency)
    found = union(
        *(select(agency.table.c.key).where(func.substring(agency, PREFIX_PATTERN).in_(concerned)) for agency in named)
    ).subquery()
    return select(found.c.key)
