"""The stage: temporary tables into which a batch's rows are copied before the merge.

Encoding rows for COPY needs no connection: it happens while the database works on the previous batch.
"""

from collections.abc import Collection
from dataclasses import replace

import polars as pl
from sqlalchemy import Connection

from hub.model.decisions import SUBJECT as DECISION
from hub.model.entities import SUBJECTS
from hub.model.errors import PoisonError
from hub.warehouse.batch import Accepted, Batch, Staged
from hub.warehouse.copy import EncodedRows, columns_of, copy_encoded, encode_rows, filled
from hub.warehouse.tables.entities import aspect_tables


def ensure_stages(connection: Connection, subjects: Collection[str] = tuple(SUBJECTS)) -> None:
    """Create the temporary tables of some subjects, once per connection and in a separate transaction.

    Only of these subjects: each commit truncates all temporary tables of its connection, used or not, at a cost of a
    third of a millisecond per subject.
    """
    made: set[str] = connection.info.setdefault("stages", set())
    missing = sorted(set(subjects) - made)
    if not missing:
        return
    with connection.begin():
        # Stages have no statistics: sorting them for a merge join costs more than hashing them.
        connection.exec_driver_sql("SET enable_mergejoin = off")
        for subject in missing:
            aspect_tables(subject).stage.create(connection, checkfirst=False)
            aspect_tables(subject).merged.create(connection, checkfirst=False)
    made.update(missing)


def ensure_stages_of(connection: Connection, batch: Batch) -> None:
    """Create the temporary tables that the merge of a batch needs: all of them if it has decisions."""
    subjects = [accepted.subject for accepted in batch.accepted]
    ensure_stages(connection, tuple(SUBJECTS) if DECISION in subjects else subjects)


def with_stage(accepted: Accepted) -> Accepted:
    """Return the rows together with their encoding for the stage.

    Without it if a row cannot be encoded: the merge encodes again, and there the row can be found.
    """
    try:
        return replace(accepted, staged=Staged(accepted.frame, _encoded(accepted)))
    except PoisonError:
        return accepted


def stage(connection: Connection, accepted: Accepted) -> None:
    """Copy the rows into the stage; encode them now if their encoding is missing or belongs to another frame."""
    staged = accepted.staged
    rows = staged.rows if staged is not None and staged.frame is accepted.frame else _encoded(accepted)
    copy_encoded(connection, aspect_tables(accepted.subject).stage, rows)


def _encoded(accepted: Accepted) -> EncodedRows:
    """Encode in key order: rows are then neighbours in the claims' index, and every worker locks in the same order."""
    table, frame = aspect_tables(accepted.subject).stage, accepted.frame
    order = frame["key"].bin.reinterpret(dtype=pl.Int128, endianness="big").arg_sort()
    return encode_rows(table, pl.DataFrame([frame[name][order] for name in columns_of(table, filled(frame))]))
