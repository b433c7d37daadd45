"""Doubts about identity: records that name one person but describe different ones (IDENTITY_MISMATCH reviews).

- The insurer could not match a link with the population database, or matched it twice.
- Two numbers are known to be one person, and differ in birth year or gender.
- The applicant of a dossier has a different name from the person with that number. Different spellings do not count
  (hub.model.texts.names), and companies and agencies are not compared.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Row,
    Select,
    SmallInteger,
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONPATH

from hub.model.decisions import ReviewKind
from hub.model.entities import CITIZEN
from hub.model.texts.names import same_name
from hub.reconcile.rules.people.reviews import Asked, closed, opened
from hub.reconcile.shared.held_claims import given_keys, held, is_among, keys_with_tracked_changes, merged_keys
from hub.reconcile.shared.questions import question
from hub.warehouse.tables.aspect_columns import other_key
from hub.warehouse.tables.core import identity_link, review
from hub.warehouse.tables.entities import AspectTables, aspect_tables

_KIND = ReviewKind.IDENTITY_MISMATCH
_PERSON, _SUBMISSION = "citizen.changed", "dossier.submitted"
_UNMATCHED = ("MISMATCH", "DUPLICATE")
_COMPARED = ("birth_year", "gender")
_NO_GENDER = "UNKNOWN"


def refresh_insurance(connection: Connection, tables: AspectTables) -> None:
    """Update the questions about links of the insurer after what a batch wrote."""
    for statement in _statements_of_insurance(tables):
        connection.execute(statement)


@cache
def _statements_of_insurance(tables: AspectTables) -> tuple[Any, ...]:
    of = held(tables, "insurance")
    fields = func.jsonb_path_query_array(of.c["mismatch_fields"], cast(literal("$[*].field_name", Text), JSONPATH))
    detail = func.jsonb_build_object("link_state", of.c["link_state"], "fields", fields)
    questions = (
        question(_KIND.value, tables.name, (of.c["key"], of.c["source"]), detail, field="link_state")
        .select_from(of.source)
        .where(is_among(of.c["key"], merged_keys(tables)), of.c["link_state"].in_(_UNMATCHED))
    )
    asked = Asked(_KIND, tables.name, ("link_state",))
    return opened(questions), closed(asked, merged_keys(tables), questions)


def refresh_pairs(connection: Connection, tables: AspectTables) -> None:
    """Update the questions about linked numbers after the people that a batch wrote."""
    linked = [*connection.execute(people_with_links(tables)).scalars()]
    if linked:
        refresh_given_pairs(connection, linked)


def refresh_given_pairs(connection: Connection, keys: Sequence[UUID]) -> None:
    """Update the questions about linked numbers, for all links of some citizens."""
    for statement in _statements_of_pairs():
        connection.execute(statement, {"keys": list(keys)})


@cache
def people_with_links(tables: AspectTables) -> Select[UUID]:
    """Select the people of the batch whose description changed and who have more than one number."""
    written = keys_with_tracked_changes(tables).cte("written")
    link = identity_link
    either = [
        select(written.c.key).join_from(written, link, side == written.c.key).where(link.c.entity == CITIZEN.name)
        for side in (link.c.key, link.c.other)
    ]
    found = union(*either).subquery()
    return select(found.c.key)


@cache
def _statements_of_pairs() -> tuple[Any, ...]:
    questions = _pairs_that_differ()
    asked = Asked(_KIND, aspect_tables(_PERSON).name, _COMPARED)
    return opened(questions), closed(asked, given_keys(), questions, pairs=True)


def _pairs_that_differ() -> Select[Any]:
    tables = aspect_tables(_PERSON)
    scope = given_keys().subquery("citizens")
    link, one, other = identity_link, held(tables, "one"), held(tables, "other")
    both = func.least(link.c.key, link.c.other).label("key"), func.greatest(link.c.key, link.c.other).label("other")
    from_either = [
        select(*both).join_from(scope, link, side == scope.c[0]).where(link.c.entity == CITIZEN.name)
        for side in (link.c.key, link.c.other)
    ]
    pairs = union(*from_either).subquery("pairs")
    differing = []
    for field in _COMPARED:
        known = [one.c[field] != other.c[field]]
        if field == "gender":
            known += [one.c[field] != _NO_GENDER, other.c[field] != _NO_GENDER]
        about, detail = (pairs.c.key, one.c["source"]), func.jsonb_build_object("other_key", cast(pairs.c.other, Text))
        differing.append(
            question(_KIND.value, tables.name, about, detail, cast(pairs.c.other, Text), field)
            .select_from(
                pairs.join(one.source, one.c["key"] == pairs.c.key).join(other.source, other.c["key"] == pairs.c.other)
            )
            .where(*known)
        )
    return select(union_all(*differing).subquery())


def refresh_names(connection: Connection, tables: AspectTables) -> None:
    """Update the questions about applicants' names after the people, or the dossiers, that a batch wrote.

    SQL finds names that are spelled differently; Python compares them in folded form.
    """
    rows = connection.execute(names_that_differ(tables)).all()
    wrong = [row for row in rows if not same_name(row.said, row.full_name)]
    asked = set(connection.execute(dossiers_asked_about(tables)).scalars())
    if not wrong and not asked:
        return
    parameters: dict[str, Any] = {"keys": sorted(asked | {row.key for row in wrong}), **_columns(wrong)}
    for statement in _statements_of_names():
        connection.execute(statement, parameters)


def _columns(rows: Iterable[Row[Any]]) -> dict[str, Any]:
    found = list(rows)
    return {
        "dossiers": [row.key for row in found],
        "people": [row.person for row in found],
        "sources": [row.source for row in found],
    }


@cache
def names_that_differ(tables: AspectTables) -> Select[Any]:
    """Select the dossiers of the batch, or of its people, whose applicant is spelled differently from that person."""
    of, person = held(aspect_tables(_SUBMISSION), "submission"), held(aspect_tables(_PERSON), "person")
    named = of.c[other_key("applicant_pin")]
    is_person = or_(of.c["applicant_type"].is_(None), of.c["applicant_type"].in_(("CITIZEN", "UNKNOWN")))
    is_written = (
        is_among(of.c[other_key("applicant_pin")], keys_with_tracked_changes(tables))
        if tables.entity is CITIZEN
        else is_among(of.c["key"], merged_keys(tables))
    )
    return (
        select(
            of.c["key"].label("key"),
            named.label("person"),
            of.c["source"].label("source"),
            of.c["applicant_name"].label("said"),
            person.c["full_name"].label("full_name"),
        )
        .select_from(of.source.join(person.source, person.c["key"] == named))
        .where(is_written, is_person, of.c["applicant_name"] != person.c["full_name"])
    )


@cache
def dossiers_asked_about(tables: AspectTables) -> Select[UUID]:
    """Select the dossiers of the batch, or of its people, with an open question about the applicant's name."""
    submission = aspect_tables(_SUBMISSION)
    claim = submission.claim.alias("asked")
    is_written = (
        is_among(claim.c[other_key("applicant_pin")], keys_with_tracked_changes(tables))
        if tables.entity is CITIZEN
        else is_among(claim.c.key, merged_keys(tables))
    )
    return (
        select(review.c.key)
        .join_from(review, claim, claim.c.key == review.c.key)
        .where(review.c.kind == _KIND.value, review.c.aspect == submission.name, review.c.field == "applicant_name")
        .where(review.c.closed_at.is_(None), is_written)
    )


@cache
def _statements_of_names() -> tuple[Any, ...]:
    tables = aspect_tables(_SUBMISSION)
    said = (
        func.unnest(
            bindparam("dossiers", type_=ARRAY(Uuid)),
            bindparam("people", type_=ARRAY(Uuid)),
            bindparam("sources", type_=ARRAY(SmallInteger)),
        )
        .table_valued("key", "person", "source", name="said")
        .render_derived()
        .render_derived()
    )
    detail = func.jsonb_build_object("person_key", cast(said.c.person, Text))
    about = (said.c.key, said.c.source)
    questions = question(_KIND.value, tables.name, about, detail, field="applicant_name")
    asked = Asked(_KIND, tables.name, ("applicant_name",))
    return opened(questions), closed(asked, given_keys(), questions)
