"""Options that commands of dead letters and parked records share, and their values."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.model.errors import ConfigError
from hub.model.outcomes import Reason

if TYPE_CHECKING:
    from hub.operate.dead_letters.letters import LetterFilter

Id = Annotated[str, typer.Argument(metavar="ID", help="TOPIC/PARTITION/OFFSET; a subject may be given for its topic.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Only these; without any, those that the options choose.")
]
Cause = Annotated[Reason | None, typer.Option("--cause", help="Only those refused for this reason.")]
SourceCode = Annotated[str | None, typer.Option("--source", help="Only those of this source, if the source is known.")]
TopicName = Annotated[str | None, typer.Option("--topic", help="Only those of this topic or subject.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Only those written at or after this time, UTC.")]
Until = Annotated[datetime | None, typer.Option("--until", help="Only those written before this time, UTC.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Most letters or keys, the oldest first.")]


@dataclass(frozen=True, slots=True)
class LetterChoice:
    """Which letters the options choose."""

    cause: Reason | None
    source: str | None
    topic: str | None
    since: datetime | None
    until: datetime | None
    limit: int

    def filter(self, state: str = "undone", ids: list[str] | None = None) -> "LetterFilter":
        """Return the filter for letters in a state (``--state``), and only those of some ids if any are given."""
        from hub.log.places import place_of
        from hub.operate.dead_letters.letters import UNDONE, LetterFilter, State

        words = {"undone": UNDONE, "all": (), **{one.value: (one,) for one in State}}
        if state not in words:
            raise ConfigError([f"--state {state}: none of {', '.join(words)}"])
        return LetterFilter(
            cause=self.cause and self.cause.value,
            source=self.source,
            topic=self.topic,
            since=self.since and self.since.replace(tzinfo=UTC),
            until=self.until and self.until.replace(tzinfo=UTC),
            states=words[state],
            places=tuple(place_of(one) for one in ids or []),
            limit=self.limit,
        )


def bytes_of(path: Path | None) -> bytes | None:
    """Return a file's bytes; None if no file is given."""
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read"]) from error


def fields_of(sets: list[str]) -> dict[str, str]:
    """Return the new values by field; ``FIELD=@FILE`` reads the value from a file, so that no process list shows it."""
    if wrong := [one for one in sets if "=" not in one]:
        raise ConfigError([f"--set number {sets.index(one) + 1}: give FIELD=VALUE" for one in wrong])
    found = dict(one.split("=", 1) for one in sets)
    return {
        name: (bytes_of(Path(typed[1:])) or b"").decode().rstrip("\r\n") if typed.startswith("@") else typed
        for name, typed in found.items()
    }
