"""What is kept of an error that is a bug of the hub: its kind, and where in the code; never what it says.

The words of an error may hold a person's values (I8): a type and the lines of the code do not, nor do the hub's own
errors.
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
        kind: the error's type, with the SQLSTATE when PostgreSQL raised it.
        places: lines of the code, ``file:line in function``, the innermost first.
    """

    kind: str
    places: tuple[str, ...]

    @classmethod
    def of(cls, error: BaseException) -> "Bug":
        """Return what is kept of an error."""
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
        """Return the kind and the innermost line of our own code, for a list."""
        own = [place for place in self.places if place.startswith(_PACKAGES)]
        innermost = (own or list(self.places))[:1]
        return " at ".join([self.kind, *innermost])

    def __str__(self) -> str:
        """Return the whole: the kind, then where, from the inside out."""
        return "\n".join([self.kind, *(f"  {place}" for place in self.places)])


def _shown(filename: str) -> str:
    """Return a file's path from its package on: where the package lies on this machine is nobody's business."""
    parts = PurePath(filename).parts
    if _INSTALLED in parts:
        return "/".join(parts[parts.index(_INSTALLED) + 1 :])
    roots = [place for place, part in enumerate(parts[:-1]) if part in _PACKAGES]
    return "/".join(parts[roots[-1] :]) if roots else parts[-1]
