"""What officers meet after midnight: deaths, replaced numbers, one person with two numbers, filings too early.

Each is a few events sent directly to the topics, from sources of the policy, with a higher epoch than the
connectors' own. So they win, whatever the connectors send at the same time.
"""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from hub.codec.catalogue import load_catalogue
from hub.demo.people import MIDNIGHT, Person
from hub.demo.stage import Stage
from hub.demo.story import Story
from hub.demo.watch import count_parked, wait_until
from hub.model.decisions import ReviewKind, Verdict
from hub.operate.desk.reviews import Given, decide, plan_decision
from hub.operate.log.publish import publish
from hub.operate.records.questions import QuestionFilter, open_questions
from hub.warehouse.tables.core import conflict, source
from hub.warehouse.tables.entities import aspect_tables, whole_claim

DEAD, REPLACED, TWICE, FILED_EARLY, BACKWARD, CORRECTED, INSPECTED = 25, 5, 5, 40, 10, 100, 5
"""How many of each there are, at any scale: people, dossiers, conflicts (at most half of them), inspections."""

UNLISTED = "1.990101"
"""A procedure that is used in filings before the catalogue contains it."""

_ONE_PERSON = ReviewKind.POSSIBLE_DUPLICATE_PERSON
_DECIDED = (Verdict.TAKE, Verdict.KEEP)
_WAIT_S = 120.0
_LATER = MIDNIGHT + timedelta(days=2)


def raise_doubts(stage: Stage, story: Story) -> None:
    """Send all of them, and check that the filings without a procedure are parked before the procedure arrives."""
    cast = story.people[2 : 2 + DEAD + REPLACED + 2 * TWICE]
    dead, replaced, twice = cast[:DEAD], cast[DEAD : DEAD + REPLACED], cast[DEAD + REPLACED :]
    publish(stage.where, "dossier.submitted", _early_filings())
    publish(stage.where, "citizen.changed", [*_deaths(dead), *_replacements(replaced), *_under_two_numbers(twice)])
    publish(stage.where, "social_payment.changed", _payments(dead))
    publish(stage.where, "inspection.changed", _inspections())
    publish(stage.where, "dossier.progressed", _backward_moves())
    stage.say(
        f"{DEAD} people die, {REPLACED} numbers are replaced, {TWICE} people have two numbers, "
        f"{BACKWARD} dossiers go backward, {2 * FILED_EARLY} filings wait for a procedure"
    )
    wait_until(lambda: _count_parked(stage) == 2 * FILED_EARLY, _WAIT_S, "filings without a procedure are not parked")
    publish(stage.where, "procedure.changed", [_procedure()])
    with stage.warehouse() as connection:
        corrections = list(_corrections(connection))
    publish(stage.where, "citizen.changed", corrections)
    stage.say(f"the procedure is published; Nam Định corrects {len(corrections)} people")
    wait_until(lambda: _count_parked(stage) == 0, _WAIT_S, "parked filings are not released")
    wait_until(lambda: len(_asked(stage, _ONE_PERSON)) >= len(_DECIDED), _WAIT_S, "nobody is asked about two numbers")
    for number, verdict in zip(_asked(stage, _ONE_PERSON), _DECIDED, strict=False):
        with stage.warehouse() as connection:
            given = Given(number, verdict, "CB-0042", "Đối chiếu hồ sơ gốc")
            decide(connection.engine, stage.where, plan_decision(connection.engine, given))
    stage.say("an officer decides: two numbers are one person; two others are two people")


def _asked(stage: Stage, kind: ReviewKind) -> list[str]:
    stage.check()
    with stage.warehouse() as connection:
        return [question.number for question in open_questions(connection, QuestionFilter(kind=kind))]


def _count_parked(stage: Stage) -> int:
    stage.check()
    return count_parked(stage.where, stage.schema)


def _early_filings() -> Iterator[dict[str, Any]]:
    for version in (1, 2):
        for number in range(FILED_EARLY):
            yield {
                **_envelope("dvcqg", "G22", version=version, at=MIDNIGHT + timedelta(hours=9)),
                "dossier_code": f"H42.51-250701-9{number:04d}",
                "procedure_code": UNLISTED,
                "submitted_at": MIDNIGHT + timedelta(hours=9),
                "summary": "Nộp trực tuyến" if version == 1 else "Đã bổ sung tờ khai",
            }


def _procedure() -> dict[str, Any]:
    return {
        **_envelope("dvcqg", "G22", at=MIDNIGHT),
        "procedure_code": UNLISTED,
        "procedure_code_base": UNLISTED,
        "name": "Thủ tục mới công bố sau khi sắp xếp",
        "state": "PUBLISHED",
    }


def _said_of(person: Person, **more: Any) -> dict[str, Any]:
    return {
        **_envelope("dancu", "G01", at=_LATER),
        "pin": person.pin,
        "full_name": person.full_name,
        "birth_year": person.birth_year,
        "birth_month": person.birth_month,
        "birth_day": person.birth_day,
        "gender": person.gender.upper(),
        "life_status": "ALIVE",
        **more,
    }


def _deaths(people: Sequence[Person]) -> Iterator[dict[str, Any]]:
    for person in people:
        yield _said_of(
            person, life_status="DEAD", life_status_year=2025, life_status_month=7, life_status_day=2, cause="DEATH"
        )


def _replacements(people: Sequence[Person]) -> Iterator[dict[str, Any]]:
    for person in people:
        corrected = f"{person.pin[:6]}{(int(person.pin[6:]) + 500_003) % 1_000_000:06d}"
        yield _said_of(person, pin=corrected, previous_pin=person.pin, cause="PIN_CHANGE")


def _under_two_numbers(people: Sequence[Person]) -> Iterator[dict[str, Any]]:
    """Yield two numbers with one old identity card: an officer is asked whether they are one person."""
    for number, person in enumerate(people):
        yield _said_of(person, cmnd9=f"99900{number // 2:04d}")


def _payments(dead: Sequence[Person]) -> Iterator[dict[str, Any]]:
    for number, person in enumerate(dead[:10]):
        yield {
            **_envelope("chitra", "H42", at=_LATER + timedelta(days=1)),
            "payment_id": f"CT-2025-07-{number:05d}",
            "beneficiary_pin": person.pin,
            "programme_code": "SOCIAL_PENSION",
            "period": "2025-07",
            "amount_vnd": 500_000,
            "state": "APPROVED",
        }


def _inspections() -> Iterator[dict[str, Any]]:
    for number in range(INSPECTED):
        yield {
            **_envelope("thanhtra", "H42", at=_LATER),
            "inspection_id": f"TT-2025-{number:03d}",
            "inspectorate_agency": "H42",
            "decision_date": date(2025, 7, 1),
            "phase": "ANNOUNCED",
        }


def _backward_moves() -> Iterator[dict[str, Any]]:
    for version, status in enumerate(("ACCEPTED", "RESULT_READY", "ACCEPTED"), 1):
        for number in range(BACKWARD):
            yield {
                **_envelope("dvcqg", "G22", version=version, at=MIDNIGHT + timedelta(hours=version)),
                "dossier_code": f"H42.52-250701-8{number:04d}",
                "status": status,
                "due_at": _LATER + timedelta(days=5),
            }


def _corrections(connection: Connection) -> Iterator[dict[str, Any]]:
    """Let Nam Định repeat for some people what the holder of their record says, so that their conflicts close."""
    tables = aspect_tables("citizen.changed")
    held, record = whole_claim(tables), tables.record
    asked = (
        select(conflict.c.key)
        .join(source, source.c.id == conflict.c.source)
        .where(conflict.c.aspect == tables.name, conflict.c.closed_at.is_(None), source.c.code == "namdinh.motcua")
        .distinct()
        .order_by(conflict.c.key)
    )
    keys = connection.execute(asked).scalars().all()
    names = [spec.name for spec in load_catalogue().latest("citizen.changed").data_fields]
    rows = connection.execute(
        select(*(held.c[name] for name in names))
        .select_from(held.source)
        .join(record, (record.c.key == tables.claim.c.key) & (record.c.source == tables.claim.c.source))
        .where(record.c.key.in_(keys[: min(CORRECTED, len(keys) // 2)]))
    ).mappings()
    for row in rows:
        yield {**_envelope("namdinh.motcua", "H40", at=MIDNIGHT - timedelta(hours=1)), **_without_links(row)}


def _without_links(row: RowMapping) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"previous_pin", "cmnd9"}}


def _envelope(code: str, agency: str, *, at: datetime, version: int = 1) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4(),
        "occurred_at": at,
        "recorded_at": datetime.now(UTC),
        "source_system": code,
        "source_agency": agency,
        "source_epoch": 2,
        "source_version": version,
        "operation": "UPDATE",
        "unit_scheme": "GSO_2025",
    }
