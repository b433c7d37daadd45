"""A stored position as text: JSON with a checksum, so that a damaged position is an error."""

import hashlib
import json

from connectors.base.port import Position
from hub.model.errors import ConfigError

_SUM = "sum"
_MEND = (
    "put the state back from a copy; or remove it, set `epoch` in the declaration higher than any that was used, and"
    " everything is read again"
)


def position_text(position: Position) -> str:
    """Return a position as it is stored."""
    plain = dict(position)
    return json.dumps({**plain, _SUM: _sum_of(plain)})


def stored_position(text: str, where: str) -> Position:
    """Return a stored position; one that an older version of the connector stored has no checksum.

    Args:
        text: as stored.
        where: the state and the stream, for the message.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        found = dict(json.loads(text))
    except (TypeError, ValueError):
        raise damaged(where) from None
    if found.pop(_SUM, None) not in (None, _sum_of(found)):
        raise damaged(where)
    return found


def damaged(where: str, how: str = "the position does not match its checksum") -> ConfigError:
    """Return the error that says how a state is damaged."""
    return ConfigError([f"{where} is damaged: {how}; {_MEND}"])


def _sum_of(position: Position) -> str:
    return hashlib.blake2b(json.dumps(position, sort_keys=True).encode(), digest_size=8).hexdigest()
