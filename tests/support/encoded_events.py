"""Small valid events of any subject, as the bytes that travel."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder

SUBJECT = "residence.changed"
SECRET = "a secret of the tests"  # noqa: S105 - of no system
WHEN = datetime(2025, 7, 1, 0, 0, 0, 123456, tzinfo=UTC)


def event(number: int, subject: str = SUBJECT, **more: Any) -> bytes:
    """Return the bytes of an event with its required fields; ``number`` shows in its version and its source."""
    version = load_catalogue().latest(subject)
    values: dict[str, Any] = {}
    for spec in version.fields:
        if not spec.nullable:
            values[spec.name] = spec.symbols[0] if spec.symbols else _SAMPLES[spec.kind.value]
    values |= {"source_version": number, "source_system": f"nguồn {number}", **more}
    return Encoder(subject, SECRET).encode(values)


_SAMPLES: dict[str, Any] = {
    "uuid": UUID(int=7),
    "timestamp": WHEN,
    "string": "x",
    "int": 0,
    "long": 0,
    "boolean": True,
    "double": 0.5,
    "date": WHEN.date(),
    "json": [],
}
