"""What a stream's way of reading cannot see, in words: an operator must know it before a row is missed."""

from connectors.access.source import SourceTable
from connectors.access.ways import late_rows_of
from connectors.declared.declaration import Declaration, Kind, LateRows

FOUND_BY = "found by `hub connect compare`"


def unseen(declaration: Declaration, table: SourceTable) -> tuple[str, ...]:
    """Return what can happen in a source's table without its connector seeing it."""
    stream = table.stream
    late = late_rows_of(table)
    if stream.kind is Kind.OUTBOX:
        told = ["changes that the source does not write into the outbox; `hub connect compare` cannot find them either"]
    else:
        told = ["deleted rows", "the old key of a row whose key changes"]
        told += [f"rows that leave `where` ({', '.join(stream.where)})"] if stream.where else []
        told = [f"{', '.join(told)}: {FOUND_BY}"]
    if late is LateRows.OVERLAP:
        old = f"rows whose {stream.changed_at} is more than {declaration.overlap_s:g} s older than the latest one read"
        rest = "" if stream.kind is Kind.OUTBOX else f": {FOUND_BY}"
        told.append(f"{old} (loaded with old times, or changed without a new time){rest}")
    return tuple(told)
