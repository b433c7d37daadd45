"""What a comparison of source and warehouse reads from the source: its rows as the events that they would be now.

Shared by connectors, which read the source, and ``hub.operate.compare``, which knows the warehouse; neither of the two
knows the other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Record = tuple[bytes, bytes]
"""Key (16 bytes) and value (framed Avro) of one event."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A row that cannot become an event. No personal data.

    Fields:
        row: keyed hash of the row's primary key, hex: its name among the connector's rejects.
        reason: the reason, a word of ``connectors.base.reasons``.
        at: the field that failed.
        key: the key of the thing that the row is about; None if it cannot be determined.
    """

    row: str
    reason: str
    at: str
    key: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SourceRows:
    """Rows of one stream, read together.

    Fields:
        stream: its name.
        records: what the rows would be published as now, in order.
        unmapped: the rows that have no record.
        place: returns the source's own key of a record, by its number in ``records``. It may be personal.
        raised: creates a record again under a higher version than its row's, by number and version.
        remember: tells the connector that rows were published under such versions, by number; otherwise their next
            change could use the same version.
    """

    stream: str
    records: Sequence[Record] = field(repr=False)
    unmapped: Sequence[Unmapped]
    place: Callable[[int], str]
    raised: Callable[[int, int], Record]
    remember: Callable[[Mapping[int, int]], None]


class SourceStreams(Protocol):
    """The streams of a source that feed one subject."""

    @property
    def source(self) -> str:
        """Code of the source."""

    @property
    def subject(self) -> str:
        """The subject."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the streams."""

    @property
    def says_all(self) -> bool:
        """Whether a key that no stream holds is gone; False if another stream reports changes and holds no state."""

    def begin(self) -> None:
        """Note how far the connector has read, for ``unread``."""

    def rows(self) -> Iterator[SourceRows]:
        """Read everything that the streams hold now; raises RetryableError if the source is unreachable."""

    def unread(self) -> Iterator[SourceRows]:
        """Read the rows that may have been written since ``begin``; none for streams in ``unknown``."""

    def unknown(self) -> Sequence[str]:
        """Return the streams of which it is unknown how far the connector has read."""
