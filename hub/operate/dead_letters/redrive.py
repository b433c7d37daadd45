"""Send dead letters back to their topic: an interruption neither loses a letter nor sends it twice.

Letters are sent in rounds of three steps. First the intent is made durable, with the offset at which each partition
ends. Then the records are sent to the partition they came from, with their key; the header ``hub.origin`` names the
letter. Last, the offsets they got are marked. If a later redrive finds unmarked intents, it searches the log from the
noted end for records of that
origin: those it finds are marked, and only the others are sent.

One redrive runs at a time. A record of a killed process may still be on its way to the
broker, so an intent is looked at again only when it is ``SETTLE_S`` seconds old.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaProducer
from sqlalchemy import BigInteger, Connection, Engine, Row, column, func, insert, select, update, values
from sqlalchemy.dialects.postgresql import insert as upsert

from hub.embedded.locate import Endpoints
from hub.log.clients import log_writer
from hub.log.places import Place, place_text
from hub.model.errors import ConfigError
from hub.operate.actions import Action, By, note
from hub.operate.dead_letters.letters import Letter, LetterFilter, State, among, at, read_letters
from hub.operate.dead_letters.redrive_log import Sought, copies_since, ends_of, origin_header, send_all
from hub.topology import MAX_SHARED_BYTES, is_closed
from hub.warehouse.database import translated_errors
from hub.warehouse.locks import Lock, session_lock
from hub.warehouse.tables.letters import letter, letter_edit, redrive

REDRIVE = "deadletters.redrive"
SETTLE_S = 5.0
ROUND = 500
"""Letters in one round of intending, sending and marking."""
_LOCK_WAIT_S = 2.0
"""A redrive that was just killed may still hold the lock at the server."""


@dataclass(frozen=True, slots=True)
class Returning:
    """A record on its way back: its letter, its key and bytes, and the edit they come from, if any.

    ``approved_by``, ``approval``: who approved that edit, and the row of ``action`` that says so.
    """

    origin: Place
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    sha256: bytes = field(repr=False)
    attempt: int
    edit: int | None
    approved_by: str | None = None
    approval: int | None = None


@dataclass(frozen=True, slots=True)
class RedrivePlan:
    """What a redrive would send, what it leaves out and why, and how many intents an earlier redrive left unmarked."""

    wanted: LetterFilter
    letters: tuple[Letter, ...]
    left_out: tuple[tuple[Place, str], ...]
    interrupted: int


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive did: records it sent, and records that an interrupted one had sent and this one only marked."""

    sent: int
    found: int


def plan_redrive(engine: Engine, wanted: LetterFilter) -> RedrivePlan:
    """Return what a redrive of some letters would do now.

    A letter that came back from a redrive is sent again only if it is named or was edited.
    """
    with translated_errors("reading dead letters"), engine.connect() as connection:
        found = read_letters(connection, wanted, with_bytes=True)
        open_intents = set(_intents(connection))
    left_out = [(one.place, why) for one in found if (why := _why_not(one, bool(wanted.places)))]
    out = {place for place, _ in left_out} | open_intents
    return RedrivePlan(wanted, tuple(one for one in found if one.place not in out), tuple(left_out), len(open_intents))


def _why_not(one: Letter, is_named: bool) -> str | None:
    """Say why a letter cannot be redriven; None if it can."""
    if is_closed(one.place.topic):
        return "its log was closed when the topic was created again: its source must send it again; or discard it"
    match one.state:
        case State.EDITED:
            approval = f"`hub deadletters approve {place_text(one.place)} --approved-by NAME --reason TEXT --execute`"
            return f"its edit waits for a second person, who gives {approval}"
        case State.REDRIVEN | State.DISCARDED:
            return f"it is {one.state.value} already"
        case State.APPROVED:
            return None
    if one.value is None:
        return "its bytes are not stored: edit it, or discard it"
    if one.attempt and not is_named:
        return f"it came back from redrive {one.attempt}: name it to send it again"
    return None


def redrive_letters(
    engine: Engine,
    where: Endpoints,
    plan: RedrivePlan,
    by: By,
    done: Callable[[int], None] = lambda count: None,
    settle_s: float = SETTLE_S,
) -> Redriven:
    """Finish what an earlier redrive left, then send the planned letters; ``done`` receives how many more are done.

    Raises:
        UnreachableError: the broker does not answer or did not confirm; another redrive first searches the log.
        ConfigError: another redrive is running.
    """
    with session_lock(engine, Lock.REDRIVE, wait_s=_LOCK_WAIT_S) as mine:
        if mine is None:
            raise ConfigError(["another redrive is running: wait until it has ended"])
        found, sent = _finish_interrupted(engine, where, settle_s, done)
        letters = plan.letters
        if found:
            # Only now it is known which of them came back from the interrupted redrive.
            planned = {one.place for one in letters}
            letters = tuple(one for one in plan_redrive(engine, plan.wanted).letters if one.place in planned)
        for first in range(0, len(letters), ROUND):
            returning = intend(engine, where, letters[first : first + ROUND], by)
            sent += _send_and_mark(engine, where, returning, done)
    return Redriven(sent, found)


def intend(engine: Engine, where: Endpoints, letters: Sequence[Letter], by: By) -> list[Returning]:
    """Make the intent to send some letters durable, and return what to send.

    A letter that changed after the plan is left out.
    """
    ends = ends_of(where.bootstrap, {(one.place.topic, one.place.partition) for one in letters})
    with translated_errors("intending a redrive"), engine.begin() as connection:
        returning = [_returning(connection, one) for one in _as_planned(connection, letters)]
        rows = [
            {
                "topic": one.origin.topic,
                "partition": one.origin.partition,
                "log_offset": one.origin.offset,
                "attempt": one.attempt,
                "intended_by": by.actor,
                "purpose": by.purpose,
                "value_sha256": one.sha256,
                "edit": one.edit,
                "approval": one.approval,
                "end_offset": ends[one.origin.topic, one.origin.partition],
            }
            for one in returning
        ]
        if rows:
            connection.execute(insert(redrive), rows)
            note(connection, Action(by.actor, REDRIVE, by.purpose, detail=_intended(returning)))
    return returning


def _intended(returning: Sequence[Returning]) -> dict[str, Any]:
    """Return what is sent, and the approvals for letters whose bytes were edited."""
    relied_on = [
        {"letter": place_text(one.origin), "edit": one.edit, "approval": one.approval, "approved_by": one.approved_by}
        for one in returning
        if one.edit is not None
    ]
    letters = [place_text(one.origin) for one in returning]
    return {"count": len(returning), "letters": letters} | ({"relied_on": relied_on} if relied_on else {})


def _as_planned(connection: Connection, letters: Sequence[Letter]) -> list[Letter]:
    """Return the letters whose state has not changed since the plan, and which have no intent since then."""
    places = [one.place for one in letters]
    rows: Any = connection.execute(
        select(*_place_of(letter), letter.c.state).where(among(letter, places)).with_for_update()
    )
    states = {Place(topic, partition, offset): State(state) for topic, partition, offset, state in rows}
    intended = {Place(*row) for row in connection.execute(select(*_place_of(redrive)).where(among(redrive, places)))}
    return [one for one in letters if states.get(one.place, State.OPEN) is one.state and one.place not in intended]


def _place_of(table: Any) -> tuple[Any, ...]:
    return table.c.topic, table.c.partition, table.c.log_offset


def _returning(connection: Connection, one: Letter) -> Returning:
    if one.state is not State.APPROVED:
        return Returning(one.place, one.key, one.value, bytes.fromhex(one.sha256), one.attempt + 1, None)
    edit = connection.execute(
        select(letter_edit).where(at(letter_edit, one.place)).order_by(letter_edit.c.id.desc()).limit(1)
    ).one()
    if edit.approved_by is None:
        raise ConfigError([f"{place_text(one.place)}: its last edit is not approved; see `hub deadletters approve`"])
    return Returning(
        one.place,
        edit.record_key,
        edit.record_value,
        edit.after_sha256,
        one.attempt + 1,
        edit.id,
        edit.approved_by,
        edit.approval,
    )


def _send_and_mark(
    engine: Engine, where: Endpoints, returning: Sequence[Returning], done: Callable[[int], None]
) -> int:
    if not returning:
        return 0
    advice = "redrive again; that searches the log before it sends"
    with log_writer(where.bootstrap, advice, limit_s=1, max_request_size=MAX_SHARED_BYTES) as out:
        offsets = send_all(out, [send_one(out, one) for one in returning], [one.origin for one in returning])
    mark(engine, offsets)
    done(len(offsets))
    return len(offsets)


def send_one(out: KafkaProducer, one: Returning) -> Any:
    """Hand one record to the producer; return the future that gives its offset."""
    place = one.origin
    header = origin_header(place)
    return out.send(place.topic, key=one.key, value=one.value, partition=place.partition, headers=[header])


def mark(engine: Engine, offsets: dict[Place, int]) -> None:
    """Store the offsets that redriven records got."""
    if not offsets:
        return
    got = values(*(column(name, BigInteger) for name in ("log_offset", "new_offset")), name="got")
    with translated_errors("marking a redrive"), engine.begin() as connection:
        for topic, partition in sorted({(place.topic, place.partition) for place in offsets}):
            here = [(of.offset, new) for of, new in offsets.items() if (of.topic, of.partition) == (topic, partition)]
            rows = got.data(here)
            marked: Any = connection.execute(
                update(redrive)
                .values(new_offset=rows.c.new_offset, done_at=func.now())
                .where(redrive.c.topic == topic, redrive.c.partition == partition)
                .where(redrive.c.log_offset == rows.c.log_offset, redrive.c.new_offset.is_(None))
                .returning(redrive.c.log_offset, redrive.c.intended_by, redrive.c.purpose)
            )
            by_whom: dict[By, list[Place]] = {}
            for offset, actor, purpose in marked:
                by_whom.setdefault(By(actor, purpose), []).append(Place(topic, partition, offset))
            for by, places in by_whom.items():
                set_states(connection, places, State.REDRIVEN, by)


def set_states(connection: Connection, places: Sequence[Place], state: State, by: By) -> None:
    """Give letters a state, in the caller's transaction."""
    said = {"state": state.value, "changed_by": by.actor, "purpose": by.purpose}
    names = ("topic", "partition", "log_offset")
    rows = [dict(zip(names, (place.topic, place.partition, place.offset), strict=True)) | said for place in places]
    connection.execute(
        upsert(letter).values(rows).on_conflict_do_update(index_elements=names, set_={**said, "changed_at": func.now()})
    )


def _intents(connection: Connection) -> dict[Place, Row[Any]]:
    rows = connection.execute(
        select(redrive, func.extract("epoch", func.now() - redrive.c.intent_at).label("age_s"))
        .where(redrive.c.new_offset.is_(None))
        .order_by(redrive.c.intent_at)
    )
    return {Place(row.topic, row.partition, row.log_offset): row for row in rows}


def _finish_interrupted(
    engine: Engine, where: Endpoints, settle_s: float, done: Callable[[int], None]
) -> tuple[int, int]:
    """Mark what an interrupted redrive has sent, send what it has not; return how many of each."""
    with translated_errors("reading interrupted redrives"), engine.connect() as connection:
        intents = _intents(connection)
    if not intents:
        return 0, 0
    youngest_s = min(float(row.age_s) for row in intents.values())
    time.sleep(max(0.0, settle_s - youngest_s))
    with translated_errors("reading interrupted redrives"), engine.connect() as connection:
        wanted = LetterFilter(places=tuple(intents), states=(), limit=len(intents))
        letters = read_letters(connection, wanted, with_bytes=True)
        returning = [_returning(connection, one) for one in letters]
    firsts = {origin: int(row.end_offset) for origin, row in intents.items()}
    sought = {one.origin: Sought(firsts[one.origin], one.key, one.value) for one in returning}
    copies = copies_since(where.bootstrap, sought)
    mark(engine, copies)
    done(len(copies))
    unsent = [one for one in returning if one.origin not in copies]
    return len(copies), _send_and_mark(engine, where, unsent, done)
