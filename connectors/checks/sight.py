"""What a stream's way of reading cannot see, in words: an operator must know before a row is missed, not after."""

from connectors.access.source import SourceTable
from connectors.access.ways import late_rows_of
from connectors.declared.declaration import Declaration, Kind, LateRows

FOUND_BY = "found by `hub connect compare`"


def unseen(declaration: Declaration, table: SourceTable) -> tuple[str, ...]:
    """Return what happens in a source's table that its connector does not see."""
    stream = table.stream
    late = late_rows_of(table)
    if stream.kind is Kind.OUTBOX:
        told = ["changes that the source does not write into the outbox; they cannot be found by comparing either"]
    else:
        told = ["deleted rows", "the old key of a row whose key becomes another"]
        told += [f"rows that leave `where` ({', '.join(stream.where)})"] if stream.where else []
        told = [f"{', '.join(told)}: {FOUND_BY}"]
    if late is LateRows.OVERLAP:
        old = f"rows whose {stream.changed_at} is more than {declaration.overlap_s:g} s older than the latest one read"
        rest = "" if stream.kind is Kind.OUTBOX else f": {FOUND_BY}"
        told.append(f"{old} (loaded with old times, or changed without a new one){rest}")
    return tuple(told)
