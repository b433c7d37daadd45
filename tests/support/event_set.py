"""One set of events for tests of faults: every outcome of a busy day is in it; the same seed gives the same bytes."""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import fastavro

from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.codec.wire import frame
from hub.log.clients import CONFIRM_LIMIT_S, log_writer
from hub.model.entities import key_fields_of
from hub.model.keys import entity_key
from hub.topology import MAX_LOG_RECORD_BYTES, event_topic

FIRST_DAY = datetime(2025, 6, 1, tzinfo=UTC)
AFTER_CUT_OVER = datetime(2025, 7, 2, tzinfo=UTC)
PROCEDURE = "1.001193"
SPLIT_UNIT = "13285"
AGENCIES = {"dancu": "G01", "namdinh.motcua": "H40", "hanam.motcua": "H25", "dvcqg": "G22", "nso": "G12"}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record for the log."""

    topic: str
    key: bytes | None
    value: bytes | None


class EventSet:
    """Makes events of the demo's sources with one secret; ids count up from ``seed``."""

    def __init__(self, secret: str, seed: int = 1) -> None:
        self._secret = secret
        self._encoders: dict[str, Encoder] = {}
        self._random = random.Random(seed)

    def fields(self, source: str, version: int, day: float = 0, **data: Any) -> dict[str, Any]:
        """Return an event's fields: envelope and data; ``day`` counts from the first of June 2025."""
        return {
            "event_id": UUID(int=self._random.getrandbits(128)),
            "occurred_at": FIRST_DAY + timedelta(days=day),
            "recorded_at": FIRST_DAY + timedelta(days=30),
            "source_system": source,
            "source_agency": AGENCIES.get(source, "H99"),
            "source_epoch": 1,
            "source_version": version,
            "operation": "UPDATE",
            "unit_scheme": "GSO_2004",
            **data,
        }

    def record(self, subject: str, fields: dict[str, Any]) -> Outgoing:
        """Encode an event for its topic."""
        encoder = self._encoders.setdefault(subject, Encoder(subject, self._secret))
        return Outgoing(event_topic(subject), encoder.key(fields), encoder.encode(fields))

    def raw(self, subject: str, fields: dict[str, Any], **raw: Any) -> Outgoing:
        """Encode an event as a careless producer would: nothing is checked.

        Args:
            subject: the event's subject.
            fields: the event's fields.
            raw: values put in place of the event's, as they lie in the datum: microseconds, days, bytes.
        """
        version = load_catalogue().latest(subject)
        entity, names = key_fields_of(subject)
        datum = {name: _raw_value(value) for name, value in fields.items()} | raw
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(_without_logical_types(version.schema)), datum)
        key = entity_key(self._secret, entity, [str(datum[name]) for name in names])
        return Outgoing(event_topic(subject), key, frame(version.schema_id, out.getvalue()))

    def mixed(self, people: int) -> list[Outgoing]:
        """Return about nine records for each person, out of order and with what must be refused among them."""
        records = [*self._units(), self._procedure()]
        for number in range(people):
            records += self._of_person(number)
            records += self._of_dossier(number)
        self._random.shuffle(records)
        records += self._random.sample(records, len(records) // 20)
        return records + list(self._broken(records))

    def _units(self) -> Iterator[Outgoing]:
        for code, successors in ((SPLIT_UNIT, ["13286", "13287"]), ("13300", ["13301"])):
            fields = self.fields("nso", 1, scheme="GSO_2004", unit_code=code, level="COMMUNE", unit_type="PHUONG")
            fields |= {"name": f"Phường {code}", "valid_from": date(2004, 7, 8), "change_kind": "SPLIT"}
            fields["successors"] = [{"scheme": "GSO_2025", "code": successor} for successor in successors]
            yield self.record("admin_unit.changed", fields)

    def _procedure(self) -> Outgoing:
        fields = self.fields("dvcqg", 1, procedure_code=PROCEDURE, name="Đăng ký khai sinh")
        return self.record("procedure.changed", fields)

    def _of_person(self, number: int) -> Iterator[Outgoing]:
        said = {"pin": pin_of(number), "full_name": f"Người Thứ {number}", "birth_year": 1950 + number % 50}
        for version in (1, 2, 3):
            name = said["full_name"] if version < 3 else f"Tên Mới {number}"
            yield self.record("citizen.changed", self.fields("dancu", version, version, **said | {"full_name": name}))
        if number % 3 == 0:
            other = said | {"birth_year": 1949 + number % 50}
            operation = "REVOKE" if number % 4 == 0 else "UPDATE"
            yield self.record("citizen.changed", self.fields("namdinh.motcua", 1, 5, **other, operation=operation))
        home = {"pin": pin_of(number), "kind": "PERMANENT", "action": "REGISTER"}
        code = SPLIT_UNIT if number % 10 == 0 else "13300"
        yield self.record("residence.changed", self.fields("dancu", 1, 2, **home, commune_code=code))

    def _of_dossier(self, number: int) -> Iterator[Outgoing]:
        code = {"dossier_code": f"H25.10-250601-{number:05d}"}
        yield self.record("dossier.submitted", self.fields("hanam.motcua", 1, 1, **code, procedure_code=PROCEDURE))
        for version, status in enumerate(("ACCEPTED", "IN_PROCESS", "RESULT_READY"), 1):
            yield self.record(
                "dossier.progressed", self.fields("hanam.motcua", version, version, **code, status=status)
            )
        if number % 20 == 0:
            late = self.fields("hanam.motcua", 4, 30, **code, status="STOPPED") | {"occurred_at": AFTER_CUT_OVER}
            yield self.record("dossier.progressed", late)

    def _broken(self, records: list[Outgoing]) -> Iterator[Outgoing]:
        for record in self._random.sample(records, max(1, len(records) // 200)):
            yield Outgoing(record.topic, record.key, record.value[:-3] if record.value else None)
            yield Outgoing(record.topic, bytes(16), record.value)
        person = self.fields("dancu", 9, pin=pin_of(1), full_name="Người\0Thứ")
        yield self.raw("citizen.changed", person)
        yield self.raw("citizen.changed", person | {"pin": pin_of(1)[:11]})
        yield self.raw("citizen.changed", person, occurred_at=2**63 - 1)


def pin_of(number: int) -> str:
    """Return a PIN of invented form: born in a century that has not begun."""
    return f"0368{number:08d}"


def _raw_value(value: Any) -> Any:
    match value:
        case datetime():
            return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        case date():
            return (value - date(1970, 1, 1)).days
        case UUID():
            return value.bytes
        case _:
            return value


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    return [_without_logical_types(part) for part in schema] if isinstance(schema, list) else schema


def send(bootstrap: str, records: Sequence[Outgoing]) -> list[tuple[str, int, int]]:
    """Send records in their order; return topic, partition and offset of each, once the broker has confirmed it."""
    with log_writer(bootstrap, "run the test again", max_request_size=MAX_LOG_RECORD_BYTES) as out:
        sent = [out.send(record.topic, key=record.key, value=record.value) for record in records]
        confirmed = [one.get(timeout=CONFIRM_LIMIT_S) for one in sent]
    return [(one.topic, one.partition, one.offset) for one in confirmed]
