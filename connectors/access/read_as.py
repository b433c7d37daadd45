"""What a position belongs to: it has no meaning in another table, or in another part of the same table."""

import hashlib

from connectors.base.port import Position
from connectors.declared.declaration import LateRows, Stream

READ_AS = "read_as"
_NEEDS = {LateRows.HORIZON: "low", LateRows.OVERLAP: "mark"}


def read_as(stream: Stream, late: LateRows) -> str:
    """Return a short name of what a stream reads, and how. It changes when old positions lose their meaning."""
    where = sorted((name, sorted(map(repr, values))) for name, values in stream.where.items())
    said = (stream.kind, stream.subject, stream.table, stream.key, stream.changed_at, stream.txid, where)
    digest = hashlib.blake2b(repr(tuple(map(str, said))).encode("utf-8", "surrogatepass"), digest_size=4)
    return f"{late} {digest.hexdigest()}"


def is_of(position: Position, name: str) -> bool:
    """Tell whether a stored position belongs to what a stream reads now; an old one without a name is accepted."""
    late = LateRows(name.partition(" ")[0])
    return _NEEDS[late] in position and position.get(READ_AS, name) == name
