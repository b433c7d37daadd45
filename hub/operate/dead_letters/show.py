"""One whole dead letter: its story, fields and bytes; masked unless somebody unmasks, which is recorded first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from hub.codec.decode import decode, masked
from hub.log.places import Place, place_text
from hub.model.errors import PoisonError, UnreachableError
from hub.operate.actions import UNMASK, Action, note
from hub.operate.dead_letters.letters import Letter, letter_at
from hub.operate.dead_letters.story import Edit, Landing, edits_of, landing_of
from hub.operate.log.record import LogRecord, read_record
from hub.operate.records.request import Unmasking
from hub.warehouse.database import translated_errors


@dataclass(frozen=True, slots=True)
class ShownLetter:
    """A letter and what became of it.

    Fields:
        fields: decoded from its bytes; None if they cannot be decoded.
        record: as it is in the log, with Kafka's time and headers; None: ``record_missing`` says why.
    """

    letter: Letter
    edits: tuple[Edit, ...]
    landing: Landing | None
    is_masked: bool
    record: LogRecord | None = None
    record_missing: str = ""
    fields: Mapping[str, Any] | None = field(default=None, repr=False)


def show_letter(engine: Engine, place: Place, unmasking: Unmasking | None, bootstrap: str = "") -> ShownLetter:
    """Return a letter with all its known facts; ``bootstrap``: brokers to read the record from, empty: do not read it.

    Raises:
        ConfigError: there is none, or the person who unmasks gives no reason.
    """
    with translated_errors("reading a dead letter"), engine.begin() as connection:
        of = letter_at(connection, place)
        if unmasking is not None:
            note(connection, Action(unmasking.actor, UNMASK, unmasking.reason, detail={"letter": place_text(place)}))
        edits, landing = tuple(edits_of(connection, place)), landing_of(connection, place)
    record, missing = _on_the_log(bootstrap, place)
    return ShownLetter(of, edits, landing, unmasking is None, record, missing, decoded(of.value, unmasking is None))


def _on_the_log(bootstrap: str, place: Place) -> tuple[LogRecord | None, str]:
    try:
        record = read_record(bootstrap, place) if bootstrap else None
    except UnreachableError as error:
        return None, error.message
    return record, "" if record else "the log no longer holds it"


def decoded(value: bytes | None, is_masked: bool) -> Mapping[str, Any] | None:
    """Return the fields of a record's bytes, personal ones masked; None if they cannot be decoded."""
    try:
        version, fields = decode(value or b"")
    except PoisonError:
        return None
    shown = masked(fields, version.schema) if is_masked else fields
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in shown.items()}
