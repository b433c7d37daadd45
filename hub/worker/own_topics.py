"""What is said on a topic of the worker's own: whoever may write there may write anything."""

import json
from typing import Any


def parsed(value: bytes | None) -> Any:
    """Return what JSON says, None when it is none."""
    try:
        return json.loads(value or b"null")
    except (ValueError, RecursionError):
        return None
