"""The stage: temporary tables that a batch's rows are copied into before the merge.

Encoding rows for the COPY needs no connection: it is done while the database works on the batch before.
"""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from hub.warehouse.batch import Accepted, Staged
from hub.warehouse.copy import EncodedRows, columns_of, copy_encoded, encode_rows
from hub.warehouse.entity_tables import aspect_tables


def ensure_stages(connection: Connection, subjects: Iterable[str]) -> None:
    """Make the temporary tables of some subjects, once per connection and in a transaction of its own."""
    made: set[str] = connection.info.setdefault("stages", set())
    missing = sorted(set(subjects) - made)
    if not missing:
        return
    with connection.begin():
        for subject in missing:
            tables = aspect_tables(subject)
            tables.stage.create(connection, checkfirst=False)
            tables.merged.create(connection, checkfirst=False)
    made.update(missing)


def with_stage(accepted: Accepted) -> Accepted:
    """Return the rows with their encoding for the stage beside them."""
    return replace(accepted, staged=Staged(accepted.frame, _encoded(accepted)))


def stage(connection: Connection, accepted: Accepted) -> None:
    """Copy the rows into the stage; rows whose encoding is missing, or is of another frame, are encoded now."""
    staged = accepted.staged
    rows = staged.rows if staged is not None and staged.frame is accepted.frame else _encoded(accepted)
    copy_encoded(connection, aspect_tables(accepted.subject).stage, rows)


def _encoded(accepted: Accepted) -> EncodedRows:
    """Encode in key order: neighbours in the claims' index, and the same order of locks in every worker."""
    table = aspect_tables(accepted.subject).stage
    return encode_rows(table, accepted.frame.sort("key").select(columns_of(table, accepted.frame.columns)))
