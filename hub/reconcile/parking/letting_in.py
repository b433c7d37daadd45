"""Admit parked records by an officer's decision: a source's records of a key count although a reference is missing.

A decision to TAKE in REFERENCE_MISSING is in force for that key and source, for records parked now or later. So it does
not matter whether it is merged before or after they are read (I4).
"""

from functools import cache

from sqlalchemy import Connection, Update, case, update

from hub.model.decisions import ReviewKind, Verdict
from hub.model.entities import SUBJECTS
from hub.reconcile.parking.dated_ahead import is_decided_version, waits_for_officer
from hub.reconcile.shared.decisions import standing
from hub.warehouse.tables.core import parked, source


def let_in_decided(connection: Connection) -> int:
    """Mark the parked records that decisions in force admit; return how many were not marked before."""
    kept = {"preserve_rowcount": True}
    return sum(
        connection.execute(statement, execution_options=kept).rowcount
        for statement in (_parked_let_in(ReviewKind.REFERENCE_MISSING), _parked_let_in(ReviewKind.TIME_IN_FUTURE))
    )


@cache
def _parked_let_in(kind: ReviewKind) -> Update:
    decided = standing()
    is_ahead = kind is ReviewKind.TIME_IN_FUTURE
    which = is_decided_version(decided.c.field) if is_ahead else ~waits_for_officer(parked.c.waits_for)
    aspect = case(
        *((parked.c.subject == subject, f"{entity.name}.{of.name}") for subject, (entity, of) in SUBJECTS.items()),
        else_="",
    )
    return (
        update(parked)
        .values(let_in=True)
        .where(decided.c.kind == kind.value, decided.c.decision == Verdict.TAKE.value)
        .where(decided.c.subject_key == parked.c.key, decided.c.aspect == aspect)
        .where(source.c.id == parked.c.source, source.c.code == decided.c.source_code)
        .where(~parked.c.let_in, which)
    )
