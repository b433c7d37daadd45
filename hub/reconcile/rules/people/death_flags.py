"""Open flags for what a death should have ended, as a pure function of the records in force (domain.md section 9).

A flag is about one thing (a residence, a payment, an open dossier) and one dead person. It is open while both records
say so, whichever came first. A thing has ended if its end is on or before the day of the death, or on or before the day
on which its source reported it. If a date of death is partial, the earliest possible day counts.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Executable,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from hub.model.entities import CITIZEN, DOSSIER
from hub.model.flags import StandingFlag
from hub.reconcile.rules.people.deaths import local_day, the_dead
from hub.reconcile.shared.held_claims import Held, given_keys, held, is_among, with_group
from hub.reconcile.shared.identity import part_text
from hub.reconcile.shared.republish import AuditPlace, republish_keys
from hub.topology import FLAG_RECORDS
from hub.warehouse.tables.aspect_columns import other_key
from hub.warehouse.tables.core import same_key, touched
from hub.warehouse.tables.entities import AspectTables, aspect_tables, whole_claim
from hub.warehouse.tables.people import deceased, flag

_UNDER_WAY = ("PLANNED", "APPROVED", "SENT")
_OVER = ("REJECTED_AT_INTAKE", "WITHDRAWN", "STOPPED", "RESULT_RETURNED")
_FUNERAL = "FUNERAL"
_NAMES = ("id", "entity", "aspect", "key", "part", "flag", "cause_key")

_INSURANCE, _RESIDENCE, _IDENTITY = "health_insurance.linked", "residence.changed", "identity.changed"
_PAYMENT, _SUBMISSION, _PROGRESS = "social_payment.changed", "dossier.submitted", "dossier.progressed"
SUBJECTS = frozenset({_INSURANCE, _RESIDENCE, _IDENTITY, _PAYMENT, _SUBMISSION, _PROGRESS})
"""Subjects whose records a death must end."""


def refresh(connection: Connection, causes: Iterable[UUID], place: AuditPlace) -> None:
    """Update the flags caused by some citizens from the records, and note the changes for share."""
    parameters = {"keys": sorted(causes)}
    if not parameters["keys"]:
        return
    changed = connection.execute(flags_opened(), parameters).scalars().all()
    changed = [*changed, *connection.execute(flags_closed(), parameters).scalars()]
    if changed:
        republish_keys(connection, place, FLAG_RECORDS, select(func.unnest(literal(changed, ARRAY(Uuid)))))


def any_deceased() -> Select[bool]:
    """Select whether anybody is dead or missing: while nobody is, there can be no flags."""
    return select(exists(select(deceased.c.key)))


@cache
def flags_opened() -> Executable:
    """Open the flags caused by the citizens ``:keys``; a closed flag opens again."""
    standing = _standing().cte("standing")
    opening = insert(flag).from_select(list(_NAMES), select(*(standing.c[name] for name in _NAMES)))
    return opening.on_conflict_do_update(
        index_elements=["id"],
        set_={"opened_at": func.now(), "closed_at": null()},
        where=flag.c.closed_at.is_not(None),
    ).returning(flag.c.id)


@cache
def flags_closed() -> Executable:
    """Close the open flags caused by the citizens ``:keys`` whose reason no longer exists."""
    standing = _standing().cte("standing")
    return (
        update(flag)
        .values(closed_at=func.now())
        .where(flag.c.cause_key.in_(given_keys()), flag.c.closed_at.is_(None))
        .where(~exists(select(standing.c.id).where(standing.c.id == flag.c.id)))
        .returning(flag.c.id)
    )


def _standing() -> Select[*tuple[Any, ...]]:
    """Every flag that should be open because of the citizens ``:keys``, each once."""
    dead = _dead().cte("dead")
    rules = (_insurance(dead), _residence(dead), _eid(dead), *_payees(dead), _applicant(dead))
    found = union(*rules).subquery()
    parts = (found.c.entity, found.c.aspect, found.c.key, found.c.part, found.c.flag, found.c.cause_key)
    made_of = func.concat_ws("|", *(cast(part, Text) for part in parts))
    return select(cast(func.md5(made_of), Uuid).label("id"), *parts)


def _dead() -> Select[*tuple[Any, ...]]:
    """The dead among the citizens ``:keys``: (cause, key, died_on), one row for each of their numbers."""
    one = the_dead(given_keys()).subquery("one")
    mine, member = same_key.alias("mine"), same_key.alias("member")
    of_citizens = mine.c.entity == CITIZEN.name
    others = (
        select(one.c.key, member.c.key, one.c.died_on)
        .join_from(one, mine, and_(of_citizens, mine.c.key == one.c.key))
        .join(member, and_(member.c.entity == CITIZEN.name, member.c.canonical == mine.c.canonical))
    )
    both = select(one.c.key.label("cause"), one.c.key.label("key"), one.c.died_on).union(others).subquery()
    return select(both)


def _rule(
    name: StandingFlag, tables: AspectTables, held: Held, dead: CTE, on: ColumnElement[bool]
) -> Select[*tuple[Any, ...]]:
    return select(
        literal(tables.entity.name, Text).label("entity"),
        literal(tables.name, Text).label("aspect"),
        held.c["key"].label("key"),
        part_text(tables, held).label("part"),  # type: ignore[arg-type]
        literal(name.value, Text).label("flag"),
        dead.c.cause.label("cause_key"),
    ).select_from(held.source.join(dead, on))


def _has_not_ended(held: Held, end: str, dead: CTE) -> ColumnElement[bool]:
    until = held.c[end]
    return or_(until.is_(None), and_(until > dead.c.died_on, until > local_day(held.c["occurred_at"])))


def _insurance(dead: CTE) -> Select[*tuple[Any, ...]]:
    tables = aspect_tables(_INSURANCE)
    of = held(tables, "insurance")
    rule = _rule(StandingFlag.DECEASED_HOLDS_INSURANCE, tables, of, dead, of.c["key"] == dead.c.key)
    return rule.where(_has_not_ended(of, "valid_to", dead))


def _residence(dead: CTE) -> Select[*tuple[Any, ...]]:
    tables = aspect_tables(_RESIDENCE)
    of = held(tables, "residence")
    rule = _rule(StandingFlag.DECEASED_RESIDENT, tables, of, dead, of.c["key"] == dead.c.key)
    return rule.where(of.c["action"] != "DELETE", _has_not_ended(of, "to_date", dead))


def _eid(dead: CTE) -> Select[*tuple[Any, ...]]:
    tables = aspect_tables(_IDENTITY)
    of = held(tables, "eid")
    rule = _rule(StandingFlag.DECEASED_EID_ACTIVE, tables, of, dead, of.c["key"] == dead.c.key)
    return rule.where(of.c["eid_state"] == "UNLOCKED")


def _payees(dead: CTE) -> list[Select[*tuple[Any, ...]]]:
    """Rules for payments. A funeral allowance is paid because its beneficiary died, and to somebody else."""
    tables = aspect_tables(_PAYMENT)
    found = []
    for name in ("beneficiary_pin", "recipient_pin"):
        of = held(tables, name)
        paid_after = local_day(func.coalesce(of.c["paid_at"], of.c["occurred_at"])) > dead.c.died_on
        wrong = or_(of.c["state"].in_(_UNDER_WAY), and_(of.c["state"] == "PAID", paid_after))
        rule = _rule(StandingFlag.DECEASED_PAYEE, tables, of, dead, of.c[other_key(name)] == dead.c.key).where(wrong)
        is_funeral = of.c["programme_code"] == _FUNERAL
        found.append(rule.where(~func.coalesce(is_funeral, False)) if name == "beneficiary_pin" else rule)
    return found


def _applicant(dead: CTE) -> Select[*tuple[Any, ...]]:
    tables = aspect_tables(_SUBMISSION)
    of = held(tables, "submission")
    rule = _rule(StandingFlag.DECEASED_APPLICANT, tables, of, dead, of.c[other_key("applicant_pin")] == dead.c.key)
    return rule.where(~_is_over(of.c["key"]))


def _is_over(dossier: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return whether the dossier has ended under its own code or under another of its codes."""
    progress = held(aspect_tables(_PROGRESS), "progress")
    mine, member = same_key.alias("code"), same_key.alias("other_code")
    of_dossiers = and_(mine.c.entity == DOSSIER.name, member.c.entity == DOSSIER.name)
    other_codes = (
        select(member.c.key)
        .join_from(mine, member, and_(of_dossiers, member.c.canonical == mine.c.canonical))
        .where(mine.c.key == dossier)
        .correlate_except(mine, member)
    )
    is_this = or_(progress.c["key"] == dossier, progress.c["key"].in_(other_codes))
    over = select(literal(1)).select_from(progress.source).where(is_this, progress.c["status"].in_(_OVER))
    return exists(over.correlate(held(aspect_tables(_SUBMISSION), "submission").c["key"].table))


@cache
def causes_around(tables: AspectTables) -> Select[UUID]:
    """Select the dead or missing people whom the things in the batch are about, or whom their flags name.

    Parameters ``log`` and ``log_offset``: the place at which the batch noted dossiers that got another code.
    """
    things = select(tables.merged.c.key)
    people = things
    if tables.entity is DOSSIER:
        named = select(touched.c.key).where(
            touched.c.log == bindparam("log"),
            touched.c.log_offset == bindparam("log_offset"),
            touched.c.entity == DOSSIER.name,
        )
        things = with_group(DOSSIER.name, things.union(named))  # type: ignore[arg-type]
    if tables.entity is not CITIZEN:
        people = _people_named(tables, things)
    group = with_group(CITIZEN.name, people).subquery()
    of_group = select(deceased.c.key).join_from(deceased, group, group.c.key == deceased.c.key)
    flagged = select(flag.c.cause_key).where(
        flag.c.closed_at.is_(None), flag.c.entity == tables.entity.name, is_among(flag.c.key, things)
    )
    both = of_group.union(flagged).subquery()
    return select(both.c[0])


def _people_named(tables: AspectTables, things: Select[UUID]) -> Select[UUID]:
    subject = _SUBMISSION if tables.entity is DOSSIER else tables.aspect.subject
    named = aspect_tables(subject)
    claim = whole_claim(named, "named")
    fields = ("applicant_pin",) if subject == _SUBMISSION else named.aspect.persons
    selects = [
        select(claim.c[other_key(name)].label("key"))
        .select_from(claim.source)
        .where(is_among(claim.c["key"], things), claim.c[other_key(name)].is_not(None))
        for name in fields
    ]
    found = union(*selects).subquery()
    return select(found.c.key)
