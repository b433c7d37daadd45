"""Options that choose what a replay reads, and the filters that they make."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.model.errors import ConfigError

if TYPE_CHECKING:
    from hub.operate.replay.filters import Filters

Sources = Annotated[list[str] | None, typer.Option("--source", help="Code of a source; may be repeated.")]
Provinces = Annotated[
    list[str] | None,
    typer.Option("--province", help="Agency prefix (H42): all sources of that province's agencies, by the policy."),
]
Subjects = Annotated[list[str] | None, typer.Option("--subject", help="E.g. citizen.changed; may be repeated.")]
EntityName = Annotated[str | None, typer.Option("--entity", help="Entity of --key.")]
Keys = Annotated[
    list[str] | None, typer.Option("--key", help="Code (PIN, dossier code, ...) or key of a thing; may be repeated.")
]
Since = Annotated[
    str | None, typer.Option("--since", help="Only events published from this day or time on (Vietnam's).")
]
Until = Annotated[
    str | None, typer.Option("--until", help="Only events published before the end of this day, or time.")
]
Offsets = Annotated[list[str] | None, typer.Option("--offsets", help="SUBJECT/PARTITION/FROM-TO; may be repeated.")]
Publish = Annotated[
    bool,
    typer.Option(
        "--publish", help="Publish the records that differ, once the replay is live. Without it nothing is published."
    ),
]
Rate = Annotated[int | None, typer.Option("--rate", min=1, help="Most events per second. Without it there is no cap.")]


@dataclass(frozen=True, slots=True)
class ReplayChoice:
    """What the options choose: a scope, things, times, and ranges of log partitions."""

    sources: list[str] | None
    provinces: list[str] | None
    subjects: list[str] | None
    entity: str | None
    keys: list[str] | None
    since: str | None
    until: str | None
    offsets: list[str] | None

    def filters(self, secret: str) -> "Filters":
        """Return the filters; ``secret``: of the keyed hash.

        Raises:
            ConfigError: an option cannot be read.
        """
        from hub.operate.replay.filters import Filters, OffsetFilter

        return Filters(
            tuple(self.sources or ()),
            tuple(self.provinces or ()),
            tuple(self.subjects or ()),
            self.entity,
            _keys(self.entity, self.keys or [], secret),
            _moment(self.since, "--since", is_end=False),
            _moment(self.until, "--until", is_end=True),
            tuple(map(OffsetFilter.parse, self.offsets or ())),
        )


def _keys(entity: str | None, keys: list[str], secret: str) -> tuple[Any, ...]:
    from hub.model.entities import ENTITIES
    from hub.operate.records.typed_key import keys_meant

    named = {one.name: one for one in ENTITIES}
    if bool(entity) != bool(keys) or (entity and entity not in named):
        raise ConfigError([f"--key and --entity go together; entities are {', '.join(named)}"])
    return tuple(meant for one in keys for meant in keys_meant(named[str(entity)], one, secret)[:1])


def _moment(text: str | None, option: str, is_end: bool) -> datetime | None:
    """Return the time that a day or a time means; for a day its start, or for an end the start of the next day."""
    from hub.operate.records.times import ZONE, time_of

    if text is None:
        return None
    if len(text) == len("2025-07-01"):
        time_of(text, option)
        day = date.fromisoformat(text) + timedelta(days=int(is_end))
        return datetime.combine(day, time(), ZONE).astimezone(UTC)
    return time_of(text, option)
