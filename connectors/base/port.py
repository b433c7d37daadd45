"""The port of a connector: what a source must offer, and what carries its events away.

Guarantees every connector gives (``connectors.testing`` holds them to it):

- every row that was committed in the source is delivered once or more, never zero times, however late its transaction
  commits;
- an event sent again has the same ``event_id``, version and content, so the hub audits it as duplicate;
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
"""A place in a source. Only its connector reads it; to everyone else it is a value to keep."""

Record = tuple[bytes, bytes]
"""Key (16 bytes) and value (framed Avro) of one event."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not become an event. No personal data: the row is named by the keyed hash of its primary key.

    Fields:
        row: the hash, hex. place: for an outbox the row's id, else empty.
        detail: the field it failed at and what is wrong with it; never its value.
    """

    row: str = field(repr=False)
    place: str
    reason: RejectReason
    detail: str


@dataclass(frozen=True, slots=True)
class Said:
    """What was sent last of a thing: of a row of a table, or of what the rows of an outbox are about.

    Fields:
        own: the row's own version. sent: the version of its event.
        content: keyed hash of all that the event said.
        at_us: when the row changed, microseconds since 1970; None where the source does not say.
        until_us: how long it is remembered, as a time of the same kind.
    """

    own: int
    sent: int
    content: str
    at_us: int | None
    until_us: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows read together. ``position`` is where to go on once all records are confirmed.

    Fields:
        resolved: hashes of rows that were rejects and now became events.
        said: what is to be remembered with the position, by thing.
        is_kept: the position is stored although nothing was read: it says something new of the source.
        mapping: digest of the mapping by which all rejects of the stream were read again; None: they were not.
    """

    position: Position
    records: Sequence[Record] = ()
    rejects: Sequence[Reject] = ()
    resolved: Sequence[str] = ()
    said: Mapping[str, Said] = field(default_factory=dict)
    is_kept: bool = False
    mapping: str | None = None


class Connector(Protocol):
    """One stream of a source. Not safe to share between threads."""

    @property
    def name(self) -> str:
        """The stream's name, unique in its source."""

    @property
    def topic(self) -> str:
        """Where its events go."""

    def stored(self) -> Position | None:
        """Return the position of the last checkpoint; None before the first. The source is this process's from now on.

        Raises ``AnotherConnectorError`` while another process has it.
        """

    def snapshot(self, position: Position | None) -> Iterator[Page]:
        """Read everything the source holds, from the start or from where an interrupted snapshot stopped.

        Yields nothing when ``position`` lies past the snapshot. The last page's position is where ``changes`` begins.
        Closing the iterator ends its transaction. Raises ``RetryableError`` when the source is away.
        """

    def changes(self, position: Position) -> Iterator[Page]:
        """Read what is new since ``position``, up to the source's high-water mark; ends when there is no more."""

    def is_held_back(self) -> bool:
        """Tell whether rows that were committed before the run began may be unread yet: somebody holds them back."""

    def held_back_at(self) -> str | None:
        """Name the place at which rows are held back, the same as long as they are; None where nothing is held back."""

    def held_back_by(self) -> str:
        """Say who holds rows back and since when, as far as the source tells; no value of a row."""

    def keep_wait(self, waits_for: str | None, since: datetime) -> None:
        """Keep what the stream waits for where `hub connect status` finds it; None: for nothing any more."""

    def checkpoint(self, page: Page) -> None:
        """Store the page's position, rejects and counts in one transaction; only for pages the broker has confirmed."""

    def close(self) -> None:
        """Let go of the source."""


class Publisher(Protocol):
    """Takes records to the broker."""

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Send records in their order and return when the broker has confirmed every one.

        Raises ``RetryableError`` when any was not confirmed: all of them must be published again.
        """

    def close(self) -> None:
        """Let go of the broker."""
