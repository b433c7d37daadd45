"""A shown thing as JSON: everything that the screen shows and more; times in UTC."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from hub.model.flags import flags_in
from hub.operate.records.claims import Claim, Side
from hub.operate.records.history import Event
from hub.operate.records.request import Answer


def as_json(answer: Answer) -> dict[str, Any]:
    """Return what is shown as JSON values."""
    shown = answer.shown
    found: dict[str, Any] = {
        "entity": shown.entity.name,
        "key": shown.key,
        "masked": answer.is_masked,
        "as_of": shown.limits.as_of,
        "known_at": shown.limits.known_at,
        "notes": shown.notes,
        "aspects": [_side(side) for side in shown.sides],
        "reviews": [asdict(question) for question in shown.beside.questions],
        "decisions": [asdict(decision) for decision in shown.beside.decisions],
        "same": shown.beside.same,
        "published_under": shown.beside.canonical,
        "links": [asdict(link) for link in shown.beside.links],
        "names": [asdict(naming) for naming in shown.beside.names],
        "named_by": [asdict(naming) for naming in shown.beside.named_by],
        "parked": [asdict(waiting) for waiting in shown.beside.parked],
        **{title.replace(" ", "_"): rows for title, rows in shown.beside.rows.items()},
    }
    if shown.events:
        found["history"] = [_event(event) for event in shown.events]
    plain: dict[str, Any] = _plain(found)
    return plain


def _side(side: Side) -> dict[str, Any]:
    return {
        "key": side.key,
        "aspect": side.aspect.name,
        "part": side.part,
        "record": {
            "source": side.won.holder,
            "rule": side.won.rule.value,
            "over": side.won.over,
            **(_provenance(side.holder) if side.holder else {}),
        },
        "claims": [_claim(claim) for claim in side.claims],
        "conflicts": [asdict(one) for one in side.conflicts],
    }


def _provenance(claim: Claim) -> dict[str, Any]:
    return {
        "version": f"{claim.epoch}.{claim.version}",
        "occurred_at": claim.occurred_at,
        "recorded_at": claim.recorded_at,
    }


def _claim(claim: Claim) -> dict[str, Any]:
    speaker = claim.speaker
    return {
        "source": claim.source,
        "agency": speaker.agency,
        "role": speaker.role,
        "rank": speaker.rank,
        "valid_until": speaker.valid_until,
        **_provenance(claim),
        "operation": claim.operation,
        "unit_scheme": claim.unit_scheme,
        "event_id": claim.event_id,
        "flags": [flag.name for flag in flags_in(claim.flags)],
        "doubtful_fields": claim.doubtful,
        "differs": sorted(claim.differs),
        "fields": claim.fields,
    }


def _event(event: Event) -> dict[str, Any]:
    version = None if event.version is None else f"{event.epoch}.{event.version}"
    return {
        "topic": event.place.topic,
        "partition": event.place.partition,
        "offset": event.place.offset,
        "aspect": event.aspect,
        "outcome": event.outcome.value,
        "reason": event.reason,
        "source": event.source,
        "version": version,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "parked_at": event.parked_at,
        "policy_digest": event.policy_digest,
        "flags": [flag.name for flag in flags_in(event.flags)],
        "doubtful_fields": event.doubtful,
        "changed": event.changed,
        "values": event.values,
    }


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case datetime() | date():
            return value.isoformat()
        case UUID():
            return str(value)
        case bytes():
            return value.hex()
        case str():
            return value
        case Iterable():
            return [_plain(part) for part in value]
        case _:
            return value
