"""How far a connector has read its source, in words; ``--json`` has the position as it is stored."""

import json
from collections.abc import Mapping
from typing import Any

from connectors.access.origin import STEPPED_BACK
from connectors.access.overlap import MARK
from connectors.access.reading import AFTER, CHANGES, PHASE, SNAPSHOT

NOT_SHOWN = (AFTER, "witnesses", "identity")
"""Parts of a position that are not shown: keys of rows, which may be a person's number, and the table's identity."""


def shown_position(position: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a position without keys of rows and without the identity of its table."""
    return {name: value for name, value in position.items() if name not in NOT_SHOWN} if position else None


def position_text(position: Mapping[str, Any] | None) -> str:
    """Return in words how far a stream is read, and whether it was read again."""
    if not position:
        return "nothing read yet"
    said = _how_far(position)
    if said is None:
        return json.dumps(shown_position(position))
    stepped_back = position.get(STEPPED_BACK)
    if isinstance(stepped_back, Mapping):
        said += f"; stepped back {stepped_back.get('at')}: read again {stepped_back.get('read_again')}"
    return said


def _how_far(position: Mapping[str, Any]) -> str | None:
    """Return how far a stream is read; None if the position has no known form."""
    if position.get(PHASE) == SNAPSHOT:
        return "first full read under way" if AFTER in position else "first full read"
    if position.get(PHASE) != CHANGES:
        return None
    if MARK in position:
        mark = position[MARK]
        return "changes; no row has a time yet" if mark is None else f"changes up to {str(mark).replace('T', ' ', 1)}"
    if "low" in position and "high" in position:
        return f"changes of transactions {position['low']:,} to {position['high'] - 1:,} under way"
    if "low" in position:
        return f"changes below transaction {position['low']:,}"
    return None
