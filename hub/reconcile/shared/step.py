"""Input of the last steps of a merge: one subject of a batch, whose claims, records and outcomes are written."""

from dataclasses import dataclass

from hub.reconcile.shared.republish import AuditPlace
from hub.warehouse.batch import Accepted
from hub.warehouse.tables.entities import AspectTables


@dataclass(frozen=True, slots=True)
class Merge:
    """One subject's rows, merged. ``tables.stage`` and ``tables.merged`` hold them and what was written.

    Fields:
        accepted: the rows as they were staged, including columns that are not staged.
        written: number of claims written; if it is 0, no claim and no record has changed.
        superseded: how many of them do not hold their record.
        moved: how many of them belong to records that another claim holds than before.
        watched: how many of them replaced a claim in which a watched field had a value.
        are_versions_asked: whether a question about a reused version of the aspect is open.
        place: where to note keys that are touched without their own event.
    """

    tables: AspectTables
    accepted: Accepted
    written: int
    superseded: int
    moved: int
    watched: int
    are_versions_asked: bool
    place: AuditPlace
