"""What the last steps of a merge are given: one subject of a batch, its claims, records and outcomes written."""

from dataclasses import dataclass

from hub.reconcile.shared.republish import Place
from hub.warehouse.batch import Accepted
from hub.warehouse.tables.entities import AspectTables


@dataclass(frozen=True, slots=True)
class Merge:
    """One subject's rows, merged. ``tables.stage`` and ``tables.merged`` hold them and what was written.

    Fields:
        accepted: the rows as they were staged; columns that are not staged are there too.
        written: how many claims were written; with none, no claim and no record has changed.
        superseded: how many of them do not hold their record.
        moved: how many of them are of records that another claim holds than before.
        watched: how many of them replaced a claim in which a watched field had a value.
        are_versions_asked: whether a question about a reused version of the aspect is open.
        place: where to note keys that are touched without an event of their own.
    """

    tables: AspectTables
    accepted: Accepted
    written: int
    superseded: int
    moved: int
    watched: int
    are_versions_asked: bool
    place: Place
