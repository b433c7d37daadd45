"""A rule that follows from claims, and its input: one subject of a batch, with its claims, records and outcomes."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

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


@dataclass(frozen=True, slots=True)
class Rule:
    """What runs when claims were written, and when records were decided again without an event.

    Fields:
        about: what follows, in words.
        after_merge: runs at the end of the merge of each subject of a batch.
        after_redecision: runs when records of an aspect were decided again: ``tables.merged`` has their identities, and
            the place is where share will find further keys. None: it does not depend on which claim holds a record.
    """

    about: str
    after_merge: Callable[[Connection, Merge], None]
    after_redecision: Callable[[Connection, AspectTables, AuditPlace], None] | None
