"""The place of a record in the log, and its text in commands and headers."""

from dataclasses import dataclass

from hub.model.entities import SUBJECTS
from hub.model.errors import ConfigError
from hub.topology import event_topic

Partition = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a record in the log."""

    topic: str
    partition: int
    offset: int


def place_text(place: Place) -> str:
    """Return a place as commands accept it and as the header ``hub.origin`` contains it."""
    return f"{place.topic}/{place.partition}/{place.offset}"


def place_of(text: str) -> Place:
    """Read ``<topic or subject>/<partition>/<offset>``; ``@`` before the offset is read the same.

    Raises:
        ConfigError: it is not a place.
    """
    rest, at, offset = text.rpartition("@")
    topic, *numbers = (f"{rest}/{offset}" if at else text).rsplit("/", 2)
    if len(numbers) != 2 or not topic or not all(part.isascii() and part.isdigit() for part in numbers):
        raise ConfigError([f"{text}: not a record's place; give TOPIC/PARTITION/OFFSET, e.g. citizen.changed/1/1656"])
    return Place(topic_of(topic), int(numbers[0]), int(numbers[1]))


def topic_of(text: str) -> str:
    """Return the topic for a topic's name or a subject."""
    return event_topic(text) if text in SUBJECTS else text
