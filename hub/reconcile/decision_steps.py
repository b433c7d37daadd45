"""What a batch's decisions change: records and conflicts are decided again, parked records are admitted."""

from collections.abc import Callable

from sqlalchemy import Connection, Select

from hub.model.decisions import ReviewKind
from hub.model.entities import REVIEW
from hub.reconcile.parking.letting_in import let_in_decided
from hub.reconcile.shared.decisions import identities_decided
from hub.reconcile.shared.republish import AuditPlace
from hub.reconcile.shared.step import Merge
from hub.warehouse.locks import Lock, hold
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables

_LETS_IN = {ReviewKind.REFERENCE_MISSING.value, ReviewKind.TIME_IN_FUTURE.value}


Redecide = Callable[[Connection, AspectTables, Select[tuple[object, ...]], AuditPlace], int]
"""``hub.reconcile.registry.redecide``."""


def step(connection: Connection, merge: Merge, redecide: Redecide) -> None:
    """Decide again what the batch's decisions are about; batches without decisions cost nothing."""
    if merge.tables.entity is not REVIEW or not merge.written:
        return
    # wait for claims that are being merged, and block new ones: the decision then sees all of them
    hold(connection, Lock.DECISIONS)
    frame = merge.accepted.frame
    if _LETS_IN & set(frame["kind"]):
        let_in_decided(connection)
    named = set(frame.filter(frame["kind"] == ReviewKind.CONFLICT.value)["aspect"].unique())
    for tables in all_aspect_tables():
        if tables.name in named and tables.entity is not REVIEW:
            redecide(connection, tables, identities_decided(tables), merge.place)
