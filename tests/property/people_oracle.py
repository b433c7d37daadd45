"""What follows from events about people, in plain Python: who holds what, the flags of deaths, who may be who."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import Any
from uuid import UUID

from hub.model.texts.names import folded
from tests.oracles.pins import is_placeholder

Event = Mapping[str, Any]
Identity = tuple[str, str, str]
"""Subject, the key field's value, part."""

RANKS = {
    ("citizen.changed", "dancu"): 0,
    ("citizen.changed", "tinh"): 2,
    ("health_insurance.linked", "bhxh"): 0,
    ("health_insurance.linked", "tinh"): 1,
    ("dossier.submitted", "dvcqg"): 0,
    ("dossier.submitted", "tinh"): 1,
    ("dossier.progressed", "tinh"): 0,
    ("dossier.progressed", "dvcqg"): 1,
}
KEY_FIELDS = {
    "dossier.submitted": "dossier_code",
    "dossier.progressed": "dossier_code",
    "social_payment.changed": "payment_id",
}
TOLD = date(2025, 8, 1)
MOST_HOLDERS = 6


class Held:
    """The records that some events leave, whatever their order."""

    def __init__(self, events: Iterable[tuple[str, Event]]) -> None:
        newest: dict[Identity, dict[str, Event]] = defaultdict(dict)
        for subject, event in events:
            identity = (subject, event[KEY_FIELDS.get(subject, "pin")], event.get("kind", ""))
            of_source = newest[identity].get(event["source_system"])
            if of_source is None or of_source["source_version"] < event["source_version"]:
                newest[identity][event["source_system"]] = event
        self.claims = {
            identity: [event for event in by_source.values() if event["operation"] != "REVOKE"]
            for identity, by_source in newest.items()
        }

    def all(self, subject: str) -> Iterator[tuple[str, str, Event]]:
        """Yield (key, part, event) of what holds each record of a subject."""
        for (name, key, part), events in self.claims.items():
            if name == subject and events:
                yield key, part, min(events, key=lambda event: RANKS.get((subject, event["source_system"]), 0))

    def one(self, subject: str, key: str) -> Event | None:
        """Return what holds one record."""
        return next((event for found, _, event in self.all(subject) if found == key), None)

    def links(self) -> set[tuple[str, str]]:
        """Return which PINs say that they replace which."""
        return {
            (key, event["previous_pin"])
            for (subject, key, _), events in self.claims.items()
            for event in events
            if subject == "citizen.changed" and event.get("previous_pin") not in {None, key}
        }

    def group(self, pin: str) -> set[str]:
        """Return every number of a person."""
        found, links = {pin}, self.links()
        while more := {two for pair in links if found & set(pair) for two in pair} - found:
            found |= more
        return found


def flags(held: Held, key_of: Callable[..., UUID]) -> set[tuple[str, UUID, str, UUID]]:
    """Return the flags that stand: (flag, key, part, cause)."""
    found = set()
    for cause, _, person in held.all("citizen.changed"):
        if person.get("life_status") != "DEAD":
            continue
        year, month, day = (person.get(f"life_status_{part}") for part in ("year", "month", "day"))
        died = date(year, month or 1, (month and day) or 1) if year else TOLD
        for flag, subject, key, part in _flagged(held, held.group(cause), died):
            found.add((flag, key_of(subject, key), part, key_of("citizen.changed", cause)))
    return found


def _flagged(held: Held, numbers: set[str], died: date) -> Iterator[tuple[str, str, str, str]]:
    def lasts(until: date | None) -> bool:
        return until is None or (until > died and until > TOLD)

    for key, _, event in held.all("health_insurance.linked"):
        if key in numbers and lasts(event.get("valid_to")):
            yield "DECEASED_HOLDS_INSURANCE", "health_insurance.linked", key, ""
    for key, part, event in held.all("residence.changed"):
        if key in numbers and event["action"] != "DELETE" and lasts(event.get("to_date")):
            yield "DECEASED_RESIDENT", "residence.changed", key, part
    for key, _, event in held.all("identity.changed"):
        if key in numbers and event.get("eid_state") == "UNLOCKED":
            yield "DECEASED_EID_ACTIVE", "identity.changed", key, ""
    for key, _, event in held.all("social_payment.changed"):
        paid = event.get("paid_at")
        wrong = event["state"] in {"PLANNED", "APPROVED", "SENT"}
        wrong |= event["state"] == "PAID" and (paid.date() if paid else TOLD) > died
        is_payee = event.get("beneficiary_pin") in numbers and event["programme_code"] != "FUNERAL"
        if wrong and (is_payee or event.get("recipient_pin") in numbers):
            yield "DECEASED_PAYEE", "social_payment.changed", key, ""
    for key, _, event in held.all("dossier.submitted"):
        progress = held.one("dossier.progressed", key)
        is_open = progress is None or progress["status"] in {"ACCEPTED", "RESULT_READY"}
        if event.get("applicant_pin") in numbers and is_open:
            yield "DECEASED_APPLICANT", "dossier.submitted", key, ""


def reviews(held: Held, key_of: Callable[..., UUID]) -> set[tuple[str, str, UUID, str, str]]:
    """Return the questions that stand: (kind, aspect, key, part, field)."""
    found: set[tuple[str, str, UUID, str, str]] = set()
    people = {key: event for key, _, event in held.all("citizen.changed")}
    for subject, aspect, field in (
        ("citizen.changed", "citizen.person", "cmnd9"),
        ("health_insurance.linked", "citizen.insurance", "si_number_legacy"),
    ):
        holders = defaultdict(list)
        for key, _, event in held.all(subject):
            if event.get(field) is not None and not is_placeholder(event[field]):
                holders[event[field]].append(key)
        for keys in holders.values():
            for part, smaller in _asked(keys, held, key_of):
                found.add(("POSSIBLE_DUPLICATE_PERSON", aspect, smaller, part, field))
    for one, other in held.links():
        first, second = sorted((key_of("citizen.changed", one), key_of("citizen.changed", other)))
        for field in ("birth_year", "gender"):
            values = {people[key].get(field) for key in (one, other) if key in people}
            if len(values - {None, "UNKNOWN"}) == 2:
                found.add(("IDENTITY_MISMATCH", "citizen.person", first, str(second), field))
    for key, _, event in held.all("health_insurance.linked"):
        if event["link_state"] in {"MISMATCH", "DUPLICATE"}:
            of = key_of("health_insurance.linked", key)
            found.add(("IDENTITY_MISMATCH", "citizen.insurance", of, "", "link_state"))
    for key, _, event in held.all("dossier.submitted"):
        person, name = people.get(event.get("applicant_pin", "")), event.get("applicant_name")
        is_person = event.get("applicant_type") in {None, "CITIZEN"}
        if person and name and is_person and folded(name) != folded(person["full_name"]):
            of = key_of("dossier.submitted", key)
            found.add(("IDENTITY_MISMATCH", "dossier.submission", of, "", "applicant_name"))
    return found


def _asked(pins: Sequence[str], held: Held, key_of: Callable[..., UUID]) -> Iterator[tuple[str, UUID]]:
    by_key = sorted((key_of("citizen.changed", pin), pin) for pin in pins)
    if len(by_key) > MOST_HOLDERS:
        yield "", by_key[0][0]
        return
    for (key, pin), (other_key, other) in combinations(by_key, 2):
        if other not in held.group(pin):
            yield str(other_key), key
