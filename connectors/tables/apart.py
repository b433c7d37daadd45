"""Rows of a page without a unique key: they are set aside with a reason and never published as one thing."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from connectors.base.port import Reject
from connectors.base.reasons import RejectReason
from connectors.tables.shape import Shape

Row = Sequence[Any]
REASONS = (RejectReason.KEY_MISSING, RejectReason.KEY_SHARED)


def told_apart(
    rows: Sequence[Row], shape: Shape, shared: Collection[str], name_of: Callable[[Row], str], known: Collection[str]
) -> tuple[list[Row], list[Reject]]:
    """Return the rows that have a unique key, and a reject for each other row.

    Args:
        rows: each begins with its key.
        shape: of the stream's table.
        shared: keys that rows of other pages have as well, as ``repr`` of their places.
        name_of: gives the hash of a row's content, which names the row.
        known: hashes that are rejects already; they are not reported again.
    """
    places = [shape.place(row) for row in rows]
    times = Counter(map(repr, places))
    good: list[Row] = []
    rejects: list[Reject] = []
    for row, place in zip(rows, places, strict=True):
        is_missing = None in place
        if not is_missing and times[repr(place)] == 1 and repr(place) not in shared:
            good.append(row)
        elif (name := name_of(row)) not in known:
            reason = RejectReason.KEY_MISSING if is_missing else RejectReason.KEY_SHARED
            rejects.append(Reject(name, "", reason, ", ".join(shape.stream.key)))
    return good, rejects
