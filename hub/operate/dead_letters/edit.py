"""Give a dead letter other bytes, have a second person approve them, or discard the letter.

An edit never changes the letter itself: it is stored next to it, with the hashes before and after. It counts when
another person has approved it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, func, insert, select, update

from hub.codec.decode import decode
from hub.codec.encode import Encoder
from hub.codec.fields import FieldKind, FieldSpec
from hub.log.places import Place, place_text
from hub.model.entities import key_fields_of
from hub.model.errors import ConfigError, PoisonError
from hub.operate.actions import Action, By, note
from hub.operate.approval import Second, check_second
from hub.operate.dead_letters.letters import UNDONE, Letter, LetterFilter, State, at, letter_at, read_letters
from hub.operate.dead_letters.redrive import set_states
from hub.operate.dead_letters.story import Edit, edits_of
from hub.topology import MAX_RECORD_BYTES, subject_of
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.letters import letter_edit, redrive

EDIT = "deadletters.edit"
APPROVE = "deadletters.approve"
DISCARD = "deadletters.discard"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be changed: the whole value, or some fields of a value that can be decoded.

    Fields:
        value: the new bytes; None: the letter's own, with ``sets`` applied.
        sets: new values by field, as typed; empty: null.
        rekey: give it the key that its fields make, instead of the key it came with.
    """

    value: bytes | None = field(default=None, repr=False)
    sets: Mapping[str, str] = field(default_factory=dict, repr=False)
    rekey: bool = False


@dataclass(frozen=True, slots=True)
class EditPlan:
    """An edit that is about to be stored.

    Fields:
        fields: names of the fields that are set; empty if all bytes are given.
        reads_as: the subject and version that the new bytes can be read as, or why they cannot be read.
    """

    letter: Letter
    before_sha256: str
    after_sha256: str
    fields: tuple[str, ...]
    is_key_changed: bool
    reads_as: str
    key: bytes | None = field(repr=False)
    value: bytes = field(repr=False)


def plan_edit(engine: Engine, secret: str, place: Place, change: Change) -> EditPlan:
    """Return the edit as it would be stored.

    Raises:
        ConfigError: the letter cannot be edited like this; no message contains a value.
    """
    with translated_errors("reading a dead letter"), engine.connect() as connection:
        of = letter_at(connection, place)
        _refuse_when_done(connection, of)
    if (change.value is None) == (not change.sets and not change.rekey):
        raise ConfigError(["give either --value-file or --set FIELD=VALUE (or --rekey)"])
    key, value = _changed(of, secret, change)
    if len(value) > MAX_RECORD_BYTES:
        raise ConfigError([f"{place_text(place)}: {len(value)} bytes, more than {MAX_RECORD_BYTES}"])
    after = hashlib.sha256(value).hexdigest()
    if after == of.sha256 and key == of.key:
        raise ConfigError([f"{place_text(place)}: that changes nothing"])
    return EditPlan(of, of.sha256, after, tuple(sorted(change.sets)), key != of.key, _reads_as(of, value), key, value)


def edit_letter(engine: Engine, plan: EditPlan, by: By) -> int:
    """Store an edit; return its number. It then waits for a second person."""
    place = plan.letter.place
    with translated_errors("editing a dead letter"), engine.begin() as connection:
        _refuse_when_done(connection, letter_at(connection, place))
        number = connection.execute(
            insert(letter_edit)
            .values(
                topic=place.topic,
                partition=place.partition,
                log_offset=place.offset,
                edited_by=by.actor,
                purpose=by.purpose,
                before_sha256=bytes.fromhex(plan.before_sha256),
                after_sha256=bytes.fromhex(plan.after_sha256),
                fields=list(plan.fields),
                record_key=plan.key,
                record_value=plan.value,
            )
            .returning(letter_edit.c.id)
        ).scalar_one()
        set_states(connection, [place], State.EDITED, by)
        detail = {"letter": place_text(place), "before": plan.before_sha256, "after": plan.after_sha256}
        note(connection, Action(by.actor, EDIT, by.purpose, detail={**detail, "fields": list(plan.fields)}))
    return int(number)


def edit_to_approve(engine: Engine, place: Place) -> Edit:
    """Return the edit that waits for a second person.

    Raises:
        ConfigError: none waits.
    """
    with translated_errors("reading a dead letter"), engine.connect() as connection:
        return _waiting(connection, place)


def approve_edit(engine: Engine, place: Place, second: Second, purpose: str) -> Edit:
    """Approve the waiting edit as the second person; then the letter can be redriven.

    Raises:
        NotApprovedError: the second person may not approve, or made the edit.
        ConfigError: no edit waits.
    """
    waiting = edit_to_approve(engine, place)
    check_second(engine, second, waiting.edited_by)
    with translated_errors("approving an edit"), engine.begin() as connection:
        if _waiting(connection, place).number != waiting.number:
            raise ConfigError([f"{place_text(place)}: it was edited again meanwhile; look at it first"])
        detail: dict[str, Any] = {"letter": place_text(place), "edit": waiting.number, "edited_by": waiting.edited_by}
        detail["after"] = waiting.after_sha256
        approval = note(connection, Action(second.name, APPROVE, purpose, detail=detail))
        connection.execute(
            update(letter_edit)
            .values(approved_at=func.now(), approved_by=second.name, approval=approval)
            .where(letter_edit.c.id == waiting.number)
        )
        set_states(connection, [place], State.APPROVED, By(second.name, purpose))
    return replace(waiting, approved_by=second.name)


def plan_discard(engine: Engine, wanted: LetterFilter) -> list[Letter]:
    """Return the letters that would be discarded."""
    with translated_errors("reading dead letters"), engine.connect() as connection:
        return [one for one in read_letters(connection, wanted) if one.state in UNDONE]


def discard_letters(engine: Engine, letters: list[Letter], by: By) -> int:
    """Discard letters: they and their bytes stay, but nobody has to handle them any more; return how many."""
    with translated_errors("discarding dead letters"), engine.begin() as connection:
        for one in letters:
            _refuse_when_done(connection, letter_at(connection, one.place))
        if letters:
            set_states(connection, [one.place for one in letters], State.DISCARDED, by)
            places = [place_text(one.place) for one in letters]
            note(connection, Action(by.actor, DISCARD, by.purpose, detail={"count": len(places), "letters": places}))
    return len(letters)


def _waiting(connection: Connection, place: Place) -> Edit:
    of, edits = letter_at(connection, place), edits_of(connection, place)
    if of.state is not State.EDITED or not edits:
        raise ConfigError([f"{place_text(place)}: no edit waits for approval; the letter is {of.state.value}"])
    return edits[-1]


def _refuse_when_done(connection: Connection, letter: Letter) -> None:
    if letter.state not in UNDONE:
        raise ConfigError([f"{place_text(letter.place)}: {letter.state.value} by {letter.changed_by} already"])
    if connection.execute(select(func.count()).select_from(redrive).where(at(redrive, letter.place))).scalar_one():
        raise ConfigError(
            [f"{place_text(letter.place)}: a redrive of it was interrupted; `hub deadletters redrive` finishes it"]
        )


def _changed(letter: Letter, secret: str, change: Change) -> tuple[bytes | None, bytes]:
    """Return the new key and value. If a field of the key is set, the key is computed again from the fields."""
    rekey = change.rekey or not set(key_fields_of(subject_of(letter.place.topic))[1]).isdisjoint(change.sets)
    if change.value is not None and not rekey:
        return letter.key, change.value
    value = change.value if change.value is not None else letter.value
    subject = subject_of(letter.place.topic)
    encoder = Encoder(subject, secret)
    specs = {spec.name: spec for spec in encoder.version.fields}
    problems = [f"{name}: {subject} has no such field" for name in sorted(set(change.sets) - set(specs))]
    if problems:
        raise ConfigError(problems)
    try:
        version, decoded = decode(value or b"")
        if version.subject != subject:
            raise ConfigError([f"{place_text(letter.place)}: the bytes are of {version.subject}; give --value-file"])
        fields = {name: found for name, found in decoded.items() if name in specs}
        fields |= {name: _parsed(specs[name], typed) for name, typed in change.sets.items()}
        new_value = encoder.encode(fields) if change.sets else value or b""
        return (encoder.key(fields) if rekey else letter.key), new_value
    except PoisonError as error:
        raise ConfigError(
            [f"{place_text(letter.place)}: {error.detail}; give the whole bytes with --value-file"]
        ) from None


_PARSERS: Mapping[FieldKind, Callable[[str], Any]] = {
    FieldKind.INT: int,
    FieldKind.LONG: int,
    FieldKind.DOUBLE: float,
    FieldKind.UUID: UUID,
    FieldKind.DATE: date.fromisoformat,
    FieldKind.JSON: json.loads,
    FieldKind.BOOLEAN: lambda typed: {"true": True, "false": False}[typed],
    FieldKind.TIMESTAMP: lambda typed: datetime.fromisoformat(typed).astimezone(UTC),
}


def _parsed(spec: FieldSpec, typed: str) -> Any:
    if typed == "" and spec.nullable:
        return None
    try:
        return _PARSERS.get(spec.kind, str)(typed)
    except (ValueError, KeyError):
        raise ConfigError([f"--set {spec.name}: is not of type {spec.kind.value}"]) from None


def _reads_as(letter: Letter, value: bytes) -> str:
    try:
        version, _ = decode(value)
    except PoisonError as error:
        return f"cannot be read: {error.reason}"
    other = "" if version.subject == subject_of(letter.place.topic) else ", which does not belong on its topic"
    return f"{version.subject} version {version.number}{other}"
