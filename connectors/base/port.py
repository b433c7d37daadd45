"""The port of a connector: what a source must offer, and what takes its events to the broker.

Every connector guarantees (``connectors.testing`` tests it):

- every row that was committed in the source is delivered at least once, however late its transaction commits;
- an event that is sent again has the same ``event_id``, version and content, so the hub audits it as duplicate;
- a position is stored only after the broker has confirmed every record up to it;
- rows of one key come in the order of the source's versions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from connectors.base.reasons import RejectReason

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Position = Mapping[str, JsonValue]
"""A place in a source. Only its connector reads it; everyone else only stores it."""

Record = tuple[bytes, bytes]
"""Key (16 bytes) and value (Avro with Confluent's header) of one event."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not become an event. No personal data: the row is named by the keyed hash of its primary key.

    Fields:
        row: the hash, hex. place: the row's id for an outbox, else empty.
        detail: the field that failed and what is wrong with it; never its value.
    """

    row: str = field(repr=False)
    place: str
    reason: RejectReason
    detail: str


@dataclass(frozen=True, slots=True)
class Said:
    """What was sent last about a row of a table, or about the thing that rows of an outbox report on.

    Fields:
        own: the row's own version. sent: the version of its event.
        content: keyed hash of the whole content of the event.
        at_us: when the row changed, microseconds since 1970; None if the source does not say.
        until_us: until when it is remembered, microseconds since 1970.
    """

    own: int
    sent: int
    content: str
    at_us: int | None
    until_us: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows read together. ``position`` is where to read on after all records are confirmed.

    Fields:
        resolved: hashes of rows that were rejects and now became events.
        said: what to remember together with the position, by row or thing.
        is_kept: store the position although nothing was read: it says something new about the source.
        mapping: digest of the mapping with which all rejects of the stream were read again; None if they were not.
        dropped: rows that are among the records without an optional value; they are kept beside the rejects.
    """

    position: Position
    records: Sequence[Record] = ()
    rejects: Sequence[Reject] = ()
    resolved: Sequence[str] = ()
    said: Mapping[str, Said] = field(default_factory=dict)
    is_kept: bool = False
    mapping: str | None = None
    dropped: Sequence[Reject] = ()


class Connector(Protocol):
    """One stream of a source. Not safe to share between threads."""

    @property
    def name(self) -> str:
        """The stream's name, unique in its source."""

    @property
    def topic(self) -> str:
        """Where its events go."""

    def stored(self) -> Position | None:
        """Return the position of the last checkpoint; None before the first. This process then holds the source's lock.

        Raises ``AnotherConnectorError`` while another process holds it.
        """

    def snapshot(self, position: Position | None) -> Iterator[Page]:
        """Read everything the source holds, from the start or from where an interrupted snapshot stopped.

        Yields nothing if ``position`` is past the snapshot. ``changes`` begins at the last page's position.
        Closing the iterator ends its transaction. Raises ``RetryableError`` if the source is unreachable.
        """

    def changes(self, position: Position) -> Iterator[Page]:
        """Read what is new since ``position``, up to the source's high-water mark; ends when there is nothing more."""

    def is_held_back(self) -> bool:
        """Tell whether rows that were committed before the run began may be unread because something holds them."""

    def held_back_at(self) -> str | None:
        """Name what holds rows back. The name stays the same while it does; None if nothing is held back."""

    def held_back_by(self) -> str:
        """Say who holds rows back and since when, as far as the source tells it; no value of a row."""

    def keep_wait(self, waits_for: str | None, since: datetime) -> None:
        """Store what the stream waits for, so that `hub connect status` shows it; None: it no longer waits."""

    def checkpoint(self, page: Page) -> None:
        """Store the page's position, rejects and counts in one transaction; only after the broker confirmed it."""

    def close(self) -> None:
        """Release the source."""


class Publisher(Protocol):
    """Takes records to the broker."""

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Send records in their order and return when the broker has confirmed every one.

        Raises ``RetryableError`` if any was not confirmed: then all of them must be published again.
        """

    def close(self) -> None:
        """Release the broker."""
