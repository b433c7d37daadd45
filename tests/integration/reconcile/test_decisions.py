"""Decisions of officers: what they do to records and conflicts, how long they count, and that order does not matter."""

import threading
from datetime import UTC, datetime
from itertools import permutations
from uuid import UUID

import pytest
from sqlalchemy import select, text

from hub.model.decisions import SUBJECT, Decision, ReviewId, ReviewKind, Verdict
from hub.model.errors import RetryableError
from hub.reconcile.shared.decisions import decisions_settled, is_decided
from hub.warehouse.batch import Accepted
from hub.warehouse.locks import Lock, hold
from hub.warehouse.tables.core import review
from tests.support.decided import Decided, frame_of, frame_of_decisions
from tests.support.merge_world import SUBJECT as CITIZEN
from tests.support.merge_world import Said, World, key_of

RESIDENCE = "residence.changed"
NPD = Said(1, "population", 1, full_name="A", birth_year=1990)
PROVINCE = Said(1, "province_b", 1, full_name="B", birth_year=1991)
TAKE = Decided(1, "province_b", "TAKE", seen=PROVINCE, held=NPD)
KEEP = Decided(1, "province_b", "KEEP", seen=PROVINCE, held=NPD)


def commit(world: World, *said: Said | Decided, partition: int = 0) -> None:
    """Commit what is said and decided, in one batch, subject by subject."""
    citizens = [one for one in said if isinstance(one, Said)]
    decided = [one for one in said if isinstance(one, Decided)]
    accepted = []
    if citizens:
        keys = [key_of(one.key) for one in citizens]
        frame = world.frame(CITIZEN, [one.fields() for one in citizens], keys, partition)
        accepted.append(Accepted(CITIZEN, frame))
    if decided:
        accepted.append(Accepted(SUBJECT, frame_of_decisions(world, decided, partition, skip=len(citizens))))
    world.commit_frames(partition, *accepted)


def holder(world: World, key: int = 1) -> str | None:
    query = "SELECT s.code, r.key FROM citizen_person_record r LEFT JOIN source s ON s.id = r.source"
    holders: dict[UUID, str | None] = {row.key: row.code for row in world.rows(query)}
    return holders[key_of(key)]


def conflicts(world: World) -> set[tuple[str, str, str]]:
    query = (
        "SELECT c.field, s.code, h.code AS held_by FROM conflict c JOIN source s ON s.id = c.source "
        "JOIN source h ON h.id = c.held_by WHERE c.closed_at IS NULL"
    )
    return {(row.field, row.code, row.held_by) for row in world.rows(query)}


NAME, YEAR = ("full_name", "province_b", "population"), ("birth_year", "province_b", "population")


def test_keep_closes_the_conflict_of_that_field_until_the_rival_says_something_new(world: World) -> None:
    commit(world, NPD, PROVINCE)
    assert conflicts(world) == {NAME, YEAR}
    commit(world, KEEP)
    assert (holder(world), conflicts(world)) == ("population", {YEAR})
    commit(world, PROVINCE, Said(1, "population", 2, full_name="A2", birth_year=1990))
    assert conflicts(world) == {YEAR}
    commit(world, Said(1, "province_b", 2, full_name="C", birth_year=1991))
    assert conflicts(world) == {NAME, YEAR}


def test_take_hands_the_record_over_while_the_content_is_the_one_seen(world: World) -> None:
    commit(world, NPD, PROVINCE)
    commit(world, TAKE)
    assert (holder(world), conflicts(world)) == ("province_b", set())
    assert [row.entity for row in world.rows("SELECT entity FROM touched")] == ["citizen"]
    commit(world, Said(1, "civil", 1, full_name="B", birth_year=1990))
    assert (holder(world), conflicts(world)) == ("province_b", {("birth_year", "civil", "province_b")})
    commit(world, Said(1, "province_b", 2, full_name="B", birth_year=1991, day=1))
    assert holder(world) == "population"


def test_take_opens_a_conflict_when_the_one_passed_over_says_something_new(world: World) -> None:
    commit(world, NPD, PROVINCE, TAKE)
    assert conflicts(world) == set()
    commit(world, Said(1, "population", 2, full_name="A", birth_year=1992))
    assert holder(world) == "province_b"
    assert conflicts(world) == {
        ("full_name", "population", "province_b"),
        ("birth_year", "population", "province_b"),
    }


def test_taken_claim_that_is_revoked_holds_nothing(world: World) -> None:
    commit(world, NPD, PROVINCE, TAKE)
    commit(world, Said(1, "province_b", 2, operation="REVOKE", full_name="B", birth_year=1991))
    assert (holder(world), conflicts(world)) == ("population", set())


def test_wait_leaves_the_conflict_open(world: World) -> None:
    commit(world, NPD, PROVINCE, Decided(1, "province_b", "WAIT", seen=PROVINCE, held=NPD))
    assert (holder(world), conflicts(world)) == ("population", {NAME, YEAR})


def test_later_decision_replaces_an_earlier_one_whichever_comes_first(world: World) -> None:
    later = Decided(1, "province_b", "KEEP", at=2, seen=PROVINCE, held=NPD)
    for first, second in ((TAKE, later), (later, TAKE)):
        world.clear()
        commit(world, NPD, PROVINCE)
        commit(world, first)
        commit(world, second)
        assert (holder(world), conflicts(world)) == ("population", {YEAR})


def test_of_two_takes_the_later_one_counts(world: World) -> None:
    civil = Said(1, "civil", 1, full_name="C")
    other = Decided(1, "civil", "TAKE", at=5, seen=civil, held=NPD)
    commit(world, NPD, PROVINCE, civil, other, TAKE)
    assert holder(world) == "civil"


def test_i4_decisions_and_claims_in_any_order_and_batches_end_alike(world: World) -> None:
    ends = set()
    things: tuple[Said | Decided, ...] = (NPD, PROVINCE, TAKE, Said(1, "civil", 1, full_name="C"))
    for order in permutations(things):
        world.clear()
        for one in order:
            commit(world, one)
        ends.add((holder(world), frozenset(conflicts(world))))
        world.clear()
        commit(world, *order[:2])
        commit(world, *order[2:], partition=1)
        ends.add((holder(world), frozenset(conflicts(world))))
    assert ends == {("province_b", frozenset({("full_name", "civil", "province_b")}))}


def test_decision_about_one_part_leaves_the_others_alone(world: World) -> None:
    rows, keys = [], []
    for source in ("population", "province_b"):
        for kind in ("PERMANENT", "TEMPORARY"):
            said = Said(1, source, 1).fields()
            rows.append(said | {"kind": kind, "action": "REGISTER", "detail_text": source})
            keys.append(key_of(1))
    world.commit_frames(0, Accepted(RESIDENCE, world.frame(RESIDENCE, rows, keys, 0)))
    query = "SELECT r.kind, s.code FROM citizen_residence_record r JOIN source s ON s.id = r.source"
    assert set(map(tuple, world.rows(query))) == {("PERMANENT", "population"), ("TEMPORARY", "population")}
    seen = world.rows(
        "SELECT content_hash FROM citizen_residence_claim c JOIN source s ON s.id = c.source "
        "WHERE s.code = 'province_b' AND kind = 'PERMANENT'"
    )
    about = ReviewId(ReviewKind.CONFLICT, "citizen.residence", key_of(1), "PERMANENT", "detail_text", "province_b")
    at = datetime(2025, 7, 1, tzinfo=UTC)
    decision = Decision(about, Verdict.TAKE, "CB01", "lease", at, seen_other_hash=seen[0].content_hash)
    world.commit_frames(0, Accepted(SUBJECT, frame_of(world, [decision], 0)))
    assert set(map(tuple, world.rows(query))) == {("PERMANENT", "province_b"), ("TEMPORARY", "population")}


def test_decision_that_names_an_aspect_nobody_knows_changes_nothing(world: World) -> None:
    commit(world, NPD, PROVINCE)
    frame = frame_of_decisions(world, [TAKE], 0)
    world.commit_frames(0, Accepted(SUBJECT, frame.with_columns(aspect=frame["aspect"] + "s")))
    assert holder(world) == "population"


def test_decision_taken_back_no_longer_counts(world: World) -> None:
    commit(world, NPD, PROVINCE, TAKE)
    frame = frame_of_decisions(world, [Decided(1, "province_b", "TAKE", at=3)], 0)
    world.commit_frames(0, Accepted(SUBJECT, frame.with_columns(revoked=True)))
    assert (holder(world), conflicts(world)) == ("population", {NAME, YEAR})


def test_decision_waits_for_claims_being_merged_and_meets_them(world: World) -> None:
    """Claims and the decision about them at once, neither committed when the other begins: as in a replay."""
    with world.engine.connect() as other:
        transaction = other.begin()
        other.execute(select(decisions_settled()))
        thread = threading.Thread(target=commit, args=(world, TAKE), kwargs={"partition": 1})
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        transaction.commit()
    thread.join(10)
    assert not thread.is_alive()


def test_claims_that_are_decided_wait_for_a_decision_being_merged(world: World) -> None:
    with world.engine.connect() as other:
        transaction = other.begin()
        hold(other, Lock.DECISIONS)
        thread = threading.Thread(target=commit, args=(world, NPD, PROVINCE))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        transaction.commit()
    thread.join(10)
    assert not thread.is_alive()


def test_i4_decision_and_its_claims_at_once_end_as_one_after_the_other(world: World) -> None:
    def work(*said: Said | Decided, partition: int) -> None:
        together.wait()
        for _ in range(20):
            try:
                return commit(world, *said, partition=partition)
            except RetryableError:
                continue

    for _ in range(8):
        world.clear()
        together = threading.Barrier(2)
        threads = [
            threading.Thread(target=work, args=said, kwargs={"partition": partition})
            for partition, said in enumerate([(NPD, PROVINCE), (TAKE,)])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert (holder(world), conflicts(world)) == ("province_b", set())


@pytest.mark.parametrize(("verdict", "open_after"), [("KEEP", 0), ("TAKE", 0), ("WAIT", 1)])
def test_review_is_open_until_it_is_decided_about_what_the_claim_says(
    world: World, verdict: str, open_after: int
) -> None:
    commit(world, PROVINCE)
    with world.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO review (kind, aspect, key, part, field, source, detail) "
                "SELECT 'IDENTITY_MISMATCH', 'citizen.person', key, '', 'pin', source, '{}' FROM citizen_person_claim"
            )
        )
    decided = frame_of_decisions(world, [Decided(1, "province_b", verdict, field="pin", seen=PROVINCE)], 0)
    kind = decided["kind"].dtype
    world.commit_frames(
        0,
        Accepted(
            SUBJECT,
            decided.with_columns(kind=decided["kind"].clear().extend_constant("IDENTITY_MISMATCH", 1).cast(kind)),
        ),
    )
    assert open_reviews(world) == open_after
    commit(world, Said(1, "province_b", 2, full_name="B", birth_year=1999))
    assert open_reviews(world) == 1


def open_reviews(world: World) -> int:
    with world.engine.connect() as connection:
        return len(connection.execute(select(review.c.id).where(review.c.closed_at.is_(None), ~is_decided())).all())
