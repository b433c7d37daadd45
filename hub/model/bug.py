"""What the hub stores about a bug: its kind and its place in the code, never its message.

An error's message may hold a person's values (I8). The type and the lines of code do not, and neither do the messages
of the hub's own errors.
"""

import traceback
from dataclasses import dataclass
from pathlib import PurePath

from hub.model.errors import HubError

_PACKAGES = ("hub", "connectors", "tests")
_INSTALLED = "site-packages"


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug as it is stored and shown.

    Fields:
        kind: the error's type, with the SQLSTATE if PostgreSQL raised it.
        places: lines of code, ``file:line in function``, the innermost first.
    """

    kind: str
    places: tuple[str, ...]

    @classmethod
    def of(cls, error: BaseException) -> "Bug":
        """Return what is stored about an error."""
        state = getattr(getattr(error, "orig", error), "sqlstate", None)
        kind = type(error).__name__
        if isinstance(error, HubError):
            kind = f"{kind} ({error.message})"
        elif state:
            kind = f"{kind}, SQLSTATE {state}"
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"{_shown(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]
        return cls(kind, tuple(reversed(places)))

    @property
    def title(self) -> str:
        """Return the kind and the innermost line of the hub's own code, for a list."""
        own = [place for place in self.places if place.startswith(_PACKAGES)]
        innermost = (own or list(self.places))[:1]
        return " at ".join([self.kind, *innermost])

    @property
    def line(self) -> str:
        """Return everything in one line: the kind, then the lines of code from the inside out."""
        return f"{self.kind}; at {' < '.join(self.places)}"

    def __str__(self) -> str:
        """Return everything: the kind, then the lines of code from the inside out."""
        return "\n".join([self.kind, *(f"  {place}" for place in self.places)])


def _shown(filename: str) -> str:
    """Return a file's path from its package on, without the machine's own folders."""
    parts = PurePath(filename).parts
    if _INSTALLED in parts:
        return "/".join(parts[parts.index(_INSTALLED) + 1 :])
    roots = [place for place, part in enumerate(parts[:-1]) if part in _PACKAGES]
    return "/".join(parts[roots[-1] :]) if roots else parts[-1]
