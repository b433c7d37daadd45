"""Values on the worker's own topics. Whoever may write there may write anything."""

import json
from typing import Any


def parsed(value: bytes | None) -> Any:
    """Return the parsed JSON, or None if it is not JSON."""
    try:
        return json.loads(value or b"null")
    except (ValueError, RecursionError):
        return None
