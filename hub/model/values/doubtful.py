"""What is noted beside an event of values that broke the rule of their kind: never the value, only field and reason.

The field ``doubtful_fields`` of an event holds it as text, ``birth_year DROPPED OUT_OF_RANGE; commune_code PADDED
LEADING_ZEROS_LOST``. A connector writes it, and the hub adds what it drops itself; so it is no statement of the source
and no part of the event's content. A member of a list is named ``documents.sha256``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

DOUBTFUL = "doubtful_fields"
"""The field's name, in events and in each aspect of a golden record."""

SEPARATOR = "; "


class Done(StrEnum):
    """What became of a value that broke its rule."""

    DROPPED = "DROPPED"
    """The field is null: whatever was said of it cannot be read."""
    PADDED = "PADDED"
    """The mapping knows that the source lost leading zeros, and put them back."""


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One field's note; ``why`` is a ``Why`` of the hub's rules, or a connector's own reason."""

    field: str
    done: Done
    why: str

    def __str__(self) -> str:
        return f"{self.field} {self.done} {self.why}"


def text_of(notes: Iterable[Note | str]) -> str | None:
    """Return the text that an event carries; None for no notes."""
    return SEPARATOR.join(dict.fromkeys(map(str, notes))) or None


def notes_in(text: str | None) -> tuple[Note, ...]:
    """Return the notes of such a text; what is none, as in the detail of another outcome, is left out."""
    found = []
    for one in (text or "").split(SEPARATOR):
        words = one.split(" ")
        if len(words) == len(Note.__slots__) and words[1] in Done.__members__:
            found.append(Note(words[0], Done(words[1]), words[2]))
    return tuple(found)
