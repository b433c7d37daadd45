"""The envelope: the fields that every event carries, in this order, before its data fields.

``event_id`` is fixed(16) with logicalType uuid. ``occurred_at`` is the time at the source, ``recorded_at`` the time at
which the hub's connector published; both are timestamp-micros in UTC. ``source_epoch`` rises when a source restarts its
version count. (``source_epoch``, ``source_version``) rises per key and orders a source's events.
"""

from enum import StrEnum

from hub.model.values.doubtful import DOUBTFUL

FULL_READ = "full-read"
"""``causation_id`` of the events of a first full read: they report an existing state, and are not late."""


class Operation(StrEnum):
    """What the source did."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    CORRECT = "CORRECT"
    REVOKE = "REVOKE"
    SNAPSHOT = "SNAPSHOT"


class UnitScheme(StrEnum):
    """The list of administrative unit codes that an event uses (Decisions 124/2004/QD-TTg and 19/2025/QD-TTg)."""

    GSO_2004 = "GSO_2004"
    GSO_2025 = "GSO_2025"


ENVELOPE_FIELDS: tuple[str, ...] = (
    "event_id",
    "occurred_at",
    "recorded_at",
    "source_system",
    "source_agency",
    "source_epoch",
    "source_version",
    "operation",
    "correlation_id",
    "causation_id",
    "actor",
    "purpose",
    "legal_basis",
    "unit_scheme",
)

NO_DATA = frozenset((*ENVELOPE_FIELDS, DOUBTFUL))
"""What of an event is no statement of its source."""
