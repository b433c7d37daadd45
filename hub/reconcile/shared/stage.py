"""The stage: temporary tables that a batch's rows are copied into before the merge.

Encoding rows for the COPY needs no connection: it is done while the database works on the batch before.
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
    """Make the temporary tables of some subjects, once per connection and in a transaction of its own.

    Of no others: every commit empties all that its connection has, used or not, at a third of a millisecond a subject.
    """
    made: set[str] = connection.info.setdefault("stages", set())
    missing = sorted(set(subjects) - made)
    if not missing:
        return
    with connection.begin():
        # Nobody knows how many rows a stage has: to sort them for a merge join costs more than to hash them.
        connection.exec_driver_sql("SET enable_mergejoin = off")
        for subject in missing:
            aspect_tables(subject).stage.create(connection, checkfirst=False)
            aspect_tables(subject).merged.create(connection, checkfirst=False)
    made.update(missing)


def ensure_stages_of(connection: Connection, batch: Batch) -> None:
    """Make the temporary tables that the merge of a batch needs: a decision can be about any subject."""
    subjects = [accepted.subject for accepted in batch.accepted]
    ensure_stages(connection, tuple(SUBJECTS) if DECISION in subjects else subjects)


def with_stage(accepted: Accepted) -> Accepted:
    """Return the rows with their encoding for the stage beside them.

    Without it when a row cannot be encoded: the merge tries again, and there the row can be found.
    """
    try:
        return replace(accepted, staged=Staged(accepted.frame, _encoded(accepted)))
    except PoisonError:
        return accepted


def stage(connection: Connection, accepted: Accepted) -> None:
    """Copy the rows into the stage; rows whose encoding is missing, or is of another frame, are encoded now."""
    staged = accepted.staged
    rows = staged.rows if staged is not None and staged.frame is accepted.frame else _encoded(accepted)
    copy_encoded(connection, aspect_tables(accepted.subject).stage, rows)


def _encoded(accepted: Accepted) -> EncodedRows:
    """Encode in key order: neighbours in the claims' index, and the same order of locks in every worker."""
    table, frame = aspect_tables(accepted.subject).stage, accepted.frame
    order = frame["key"].bin.reinterpret(dtype=pl.Int128, endianness="big").arg_sort()
    return encode_rows(table, pl.DataFrame([frame[name][order] for name in columns_of(table, filled(frame))]))
