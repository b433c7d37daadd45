"""Headers of a record: when share read what it publishes, and which row of the audit log changed it last.

They are headers and not fields, so a repeated step or a record that is published again has the same value.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection

from hub.reconcile.shared.republish import AuditPlace
from hub.share.groups import groups_of
from hub.share.outbox import Changes, Span
from hub.share.send.outgoing import Headers
from hub.topology import HEADER_POSITION, HEADER_PUBLISHED_AT


@dataclass(frozen=True, slots=True)
class Stamp:
    """The headers of one step.

    Fields:
        published: headers of every record of the step.
        changes: what the step's spans changed.
        logs: ``topic/partition`` of each log partition of the spans, by its number.
    """

    published: Headers
    changes: Changes = field(default_factory=lambda: Changes({}, ()))
    logs: Mapping[int, str] = field(default_factory=dict)

    def headers(self, connection: Connection, name: str, keys: Collection[UUID]) -> dict[UUID, Headers]:
        """Return the headers of some records of a name.

        A key that no row changed has no position: it is published again as it was. A key of a group (keys of one thing)
        has the newest position in the group, since its record is made from all members.
        """
        known = self.changes.places.get(name, {})
        places = {key: known[key] for key in keys if key in known}
        others = [key for key in keys if key not in known]
        if others and known:
            places |= _of_groups(connection, name, others, known)
        return {key: self._one(places.get(key)) for key in keys}

    def _one(self, place: AuditPlace | None) -> Headers:
        if place is None:
            return self.published
        log, log_offset = place
        return (*self.published, (HEADER_POSITION, f"{self.logs[log]}/{log_offset}".encode()))


def _of_groups(
    connection: Connection, name: str, keys: Sequence[UUID], known: Mapping[UUID, AuditPlace]
) -> dict[UUID, AuditPlace]:
    groups = groups_of(connection, name, keys)
    places: dict[UUID, AuditPlace] = {}
    for member, canonical in groups.canonical.items():
        if member in known:
            places[canonical] = max(known[member], places.get(canonical, known[member]))
    found = {key: places.get(groups.canonical.get(key, key)) for key in keys}
    return {key: place for key, place in found.items() if place is not None}


def stamp_of(at: datetime, changes: Changes, spans: Sequence[Span]) -> Stamp:
    """Return the stamp of a step that reads the warehouse at or after a time.

    Args:
        at: by the warehouse's clock.
        changes: of the spans.
        spans: of the audit log.
    """
    text = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    logs = {span.log: f"{span.topic}/{span.partition}" for span in spans}
    return Stamp(((HEADER_PUBLISHED_AT, text.encode()),), changes, logs)
