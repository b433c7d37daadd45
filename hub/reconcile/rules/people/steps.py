"""What a batch changes about people: deaths and what they must end, doubts about identity.

If two workers write a person and something of that person at the same time, they do not see each other's rows.
Therefore batches of people run one after another, and batches of other things wait for them (an advisory lock, held
until the transaction ends).
"""

from dataclasses import dataclass
from functools import cache
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, Select, bindparam, exists, literal, select

from hub.model.entities import CITIZEN, DOSSIER, REVIEW
from hub.reconcile.rules.people import death_flags
from hub.reconcile.rules.people import duplicates as person_duplicates
from hub.reconcile.rules.people import mismatches as person_mismatches
from hub.reconcile.rules.people.deaths import STATES, deaths_changed
from hub.reconcile.shared.republish import AuditPlace
from hub.reconcile.shared.step import Merge
from hub.warehouse.locks import Lock, hold
from hub.warehouse.tables.aspect_columns import other_key
from hub.warehouse.tables.core import identity_link, touched
from hub.warehouse.tables.entities import AspectTables, aspect_tables

PERSON = "citizen.changed"
_INSURANCE, _SUBMISSION = "health_insurance.linked", "dossier.submitted"


@dataclass(frozen=True, slots=True)
class _Work:
    """What a batch may have changed about people, as far as its rows show.

    Fields:
        says_dead: a claim may say that somebody is dead.
        said_dead: a claim may have said so before.
        numbers: a claim has or had an older number of a person.
    """

    tables: AspectTables
    place: AuditPlace
    says_dead: bool
    said_dead: bool
    numbers: bool

    @classmethod
    def of(cls, merge: Merge) -> "_Work":
        frame, again = merge.accepted.frame, merge.moved > 0
        before = again or merge.watched > 0
        fields = [name for name in person_duplicates.NUMBERS if name in merge.tables.claim.c]
        has_number = any(frame[name].null_count() < frame.height for name in fields)
        is_dead = "life_status" in frame.columns and bool(
            frame.select(pl.col("life_status").is_in(STATES).any()).item()
        )
        return cls(merge.tables, merge.place, again or is_dead, before, before or has_number)


def step(connection: Connection, merge: Merge) -> None:
    """Update deaths, flags and questions after what the batch wrote."""
    if merge.written:
        _bring_in_line(connection, _Work.of(merge))


def follow(connection: Connection, tables: AspectTables, place: AuditPlace) -> None:
    """Update them after records were decided again: ``tables.merged`` has their keys, all contested."""
    _bring_in_line(connection, _Work(tables, place, True, True, True))


def _bring_in_line(connection: Connection, work: _Work) -> None:
    subject = work.tables.aspect.subject
    if subject == PERSON:
        _people(connection, work)
    elif subject in death_flags.SUBJECTS:
        _things(connection, work)
    elif work.tables.entity is REVIEW:
        _regrouped(connection, work.place)


def _people(connection: Connection, work: _Work) -> None:
    hold(connection, Lock.PEOPLE)
    about = connection.execute(_worth_a_look(), _at(work.place)).one()
    if work.says_dead or work.said_dead:
        causes = deaths_changed(connection, work.tables, work.says_dead, work.said_dead)
        death_flags.refresh(connection, causes, work.place)
    if work.numbers:
        person_duplicates.refresh_written(connection, work.tables)
    if about.has_links:
        person_mismatches.refresh_pairs(connection, work.tables)
    if about.has_dossiers:
        person_mismatches.refresh_names(connection, work.tables)
    if about.is_regrouped:
        _regrouped(connection, work.place)


def _things(connection: Connection, work: _Work) -> None:
    hold(connection, Lock.PEOPLE, shared=work.tables.aspect.subject != _INSURANCE)
    if connection.execute(death_flags.any_deceased()).scalar_one():
        place = _at(work.place) if work.tables.entity is DOSSIER else {}
        causes = connection.execute(death_flags.causes_around(work.tables), place).scalars()
        death_flags.refresh(connection, causes, work.place)
    if work.tables.aspect.subject == _INSURANCE:
        person_mismatches.refresh_insurance(connection, work.tables)
        if work.numbers:
            person_duplicates.refresh_written(connection, work.tables)
    elif work.tables.aspect.subject == _SUBMISSION:
        person_mismatches.refresh_names(connection, work.tables)


def _regrouped(connection: Connection, place: AuditPlace) -> None:
    """Update questions and flags after numbers of one person were linked or separated."""
    keys: list[UUID] = sorted(connection.execute(_citizens_touched(), _at(place)).scalars())
    if not keys:
        return
    hold(connection, Lock.PEOPLE)
    death_flags.refresh(connection, keys, place)
    person_duplicates.refresh_given(connection, keys)
    person_mismatches.refresh_given_pairs(connection, keys)


def _at(place: AuditPlace) -> dict[str, int]:
    return {"log": place[0], "log_offset": place[1]}


@cache
def _citizens_touched() -> Select[UUID]:
    return select(touched.c.key).where(
        touched.c.log == bindparam("log"),
        touched.c.log_offset == bindparam("log_offset"),
        touched.c.entity == CITIZEN.name,
    )


@cache
def _worth_a_look() -> Select[bool, bool, bool]:
    """Select what exists that people could contradict, and whether links changed at this place of the log."""
    submission = aspect_tables(_SUBMISSION).claim
    named = submission.c[other_key("applicant_pin")]
    return select(
        exists(select(literal(1)).where(identity_link.c.entity == CITIZEN.name)).label("has_links"),
        exists(select(literal(1)).where(named.is_not(None))).label("has_dossiers"),
        exists(_citizens_touched()).label("is_regrouped"),
    )
