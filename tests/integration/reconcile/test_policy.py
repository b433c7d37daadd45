"""A policy is planned and applied: numbers, ranks, cut-overs, what is decided anew, and which worker may go on."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select, text

from hub.model.errors import ConfigError
from hub.model.policies.policy import Policy, parse_policy
from hub.operate.desk.policy import AspectChange, PolicyPlan, apply_policy, plan_policy, policy_in_force
from hub.reconcile.fence import Stamp
from hub.reconcile.store import WarehouseStore
from hub.warehouse.sources import digest_in_force, store_sources
from tests.support.merge_world import POLICY, Said, World

CIVIL_FIRST = (
    """role = "civil_status"
    subjects = ["citizen.changed"]""",
    """role = "civil_status"
    subjects = ["citizen.changed"]
    [source.authority]
    "citizen.person" = 0""",
)
POPULATION_LATER = (
    """role = "population"
    subjects = ["citizen.changed", "residence.changed"]""",
    """role = "population"
    subjects = ["citizen.changed", "residence.changed"]
    [source.authority]
    citizen.person = 7""",
)


def changed(*replacements: tuple[str, str], added: str = "") -> Policy:
    document = POLICY.document
    for old, new in replacements:
        assert old in document
        document = document.replace(old, new)
    return parse_policy((document + added).encode())


def source(code: str, role: str = "province", subjects: str = '"citizen.changed"') -> str:
    return f'\n[[source]]\ncode = "{code}"\nagency = "H09"\nrole = "{role}"\nsubjects = [{subjects}]\n'


@pytest.fixture
def desk(world: World) -> Iterator[World]:
    """The world, whose policy is put back afterwards."""
    yield world
    world.clear()
    with world.engine.connect() as connection:
        digest = connection.execute(digest_in_force()).scalar_one()
    if digest != POLICY.digest:
        apply_policy(world.engine, POLICY, "test", "put back")
        world.clear()


def apply(world: World, policy: Policy) -> PolicyPlan:
    return apply_policy(world.engine, policy, "test", "of a test")


def holders(world: World) -> list[tuple[int, str]]:
    query = "SELECT r.key, s.code FROM citizen_person_record r JOIN source s ON s.id = r.source ORDER BY r.key"
    return [(row.key.int & 0xFFFF, row.code) for row in world.rows(query)]


def open_conflicts(world: World) -> int:
    return int(world.rows("SELECT count(*) AS n FROM conflict WHERE closed_at IS NULL")[0].n)


def numbers(world: World, policy: Policy) -> dict[str, int]:
    with world.engine.begin() as connection:
        return store_sources(connection, policy)


def test_first_start_applies_the_policy_by_itself(desk: World) -> None:
    applied = policy_in_force(desk.engine)
    assert applied is not None
    assert (applied.policy.digest, applied.policy.document) == (POLICY.digest, POLICY.document)
    assert numbers(desk, POLICY) == desk.numbers


def test_worker_with_another_policy_is_refused_at_start_with_the_differences(desk: World) -> None:
    with pytest.raises(ConfigError) as refused:
        numbers(desk, changed(CIVIL_FIRST, added=source("new")))
    first, *changes = refused.value.problems
    assert "is not the policy in force" in first
    assert "hub policy plan" in first
    assert changes == [
        "civil: rank in citizen.person: 1 -> 0",
        "new: source: none -> province of H09",
        "new: subjects: none -> citizen.changed",
        "new: rank in citizen.person: none -> 2",
    ]
    with pytest.raises(ConfigError, match="differ only in words"):
        numbers(desk, changed(added="\n# a remark\n"))


def test_worker_of_the_policy_before_cannot_commit_and_changes_nothing(desk: World) -> None:
    desk.commit([Said(1, "population", 1)])
    apply(desk, changed(added="\n# a remark\n"))
    with pytest.raises(ConfigError, match="not in force any more"):
        desk.commit([Said(1, "population", 2)])
    assert desk.outcomes() == ["applied"]
    assert desk.rows("SELECT sum(next_offset) AS n FROM log_partition WHERE topic LIKE 'hub.%'") == [(1,)]


def test_sources_keep_their_numbers_and_use_up_none_when_a_policy_is_planned_often(desk: World) -> None:
    grown = changed(added=source("one"))
    for _ in range(3):
        plan_policy(desk.engine, grown)
    apply(desk, grown)
    found = numbers(desk, grown)
    assert {code: found[code] for code in POLICY.sources} == desk.numbers
    assert found["one"] == max(desk.numbers.values()) + 1


def test_changed_rank_hands_records_over_and_swaps_conflicts(desk: World) -> None:
    desk.commit([Said(1, "population", 1, full_name="A"), Said(1, "civil", 1, full_name="B")])
    desk.commit([Said(2, "population", 1, full_name="A"), Said(2, "civil", 1, full_name="A")])
    desk.commit([Said(3, "civil", 1)])
    assert holders(desk) == [(1, "population"), (2, "population"), (3, "civil")]
    policy = changed(CIVIL_FIRST, POPULATION_LATER)
    plan = plan_policy(desk.engine, policy)
    assert plan.aspects == (AspectChange("citizen.person", keys=3, records=2, opened=1, closed=1),)
    assert not plan.applied
    assert holders(desk) == [(1, "population"), (2, "population"), (3, "civil")]
    done = apply(desk, policy)
    assert (done.aspects, done.applied) == (plan.aspects, True)
    assert holders(desk) == [(1, "civil"), (2, "civil"), (3, "civil")]
    assert open_conflicts(desk) == 1
    assert {row.entity for row in desk.rows("SELECT entity FROM touched")} == {"citizen"}
    assert len(desk.rows("SELECT DISTINCT key FROM touched")) == 2
    (noted,) = desk.rows("SELECT actor, action, purpose, detail FROM action")
    assert tuple(noted)[:3] == ("test", "policy.apply", "of a test")
    assert noted.detail["records"] == 2


def test_state_equals_that_of_a_warehouse_that_had_the_policy_from_the_start(desk: World) -> None:
    said = [
        Said(1, "population", 1, full_name="A", birth_year=1990),
        Said(1, "civil", 2, full_name="B", day=3),
        Said(1, "province_b", 2, full_name="C", birth_year=1991, day=2),
        Said(1, "province_a", 2, full_name="D", day=2),
    ]
    policy = changed(CIVIL_FIRST, POPULATION_LATER, ("2025-06-02T", "2025-06-09T"))
    conflicts = "SELECT field, source, held_by FROM conflict WHERE closed_at IS NULL ORDER BY 1, 2"
    desk.commit(said)
    apply(desk, policy)
    after = holders(desk), desk.rows(conflicts)
    desk.clear()
    store = WarehouseStore(desk.engine, Stamp("test", policy.digest))
    World(desk.engine, store, desk.numbers, desk.logs, desk.places).commit(said)
    assert (holders(desk), desk.rows(conflicts)) == after
    assert after[0] == [(1, "civil")]
    assert len(after[1]) == 3


def test_moved_cut_over_opens_what_was_history(desk: World) -> None:
    desk.commit([Said(1, "province_a", 1, full_name="A"), Said(1, "population", 1, full_name="B", day=5)])
    assert open_conflicts(desk) == 0
    moved = changed(("2025-06-02T", "2025-06-09T"))
    assert plan_policy(desk.engine, moved).aspects == (AspectChange("citizen.person", 1, 0, opened=1, closed=0),)
    apply(desk, moved)
    assert open_conflicts(desk) == 1


@pytest.mark.parametrize(
    ("replacements", "problem"),
    [
        ((("""code = "civil\"""", """code = "civil2\""""),), "civil has claims and cannot be left out"),
        (
            (('role = "civil_status"', 'role = "civil_status"\n    order = "time"'),),
            "civil has claims ordered by version: give the source that orders by time another code",
        ),
        (
            (
                (
                    'role = "civil_status"\n    subjects = ["citizen.changed"]',
                    'role = "civil_status"\n    subjects = []',
                ),
            ),
            "civil has claims in citizen.person and must keep a rank there",
        ),
        (
            (('role = "civil_status"', 'role = "portal"'),),
            "source civil: role portal has no authority in citizen.changed",
        ),
    ],
)
def test_policy_that_would_forget_claims_is_refused(
    desk: World, replacements: tuple[tuple[str, str], ...], problem: str
) -> None:
    desk.commit([Said(1, "civil", 1)])
    with pytest.raises(ConfigError) as refused:
        plan_policy(desk.engine, changed(*replacements))
    assert any(problem in found for found in refused.value.problems)
    with pytest.raises(ConfigError):
        apply(desk, changed(*replacements))


def test_source_without_claims_may_be_left_out_and_come_back(desk: World) -> None:
    grown = changed(added=source("one"))
    apply(desk, grown)
    number = numbers(desk, grown)["one"]
    apply(desk, POLICY)
    assert "one" not in numbers(desk, POLICY)
    apply(desk, grown)
    assert numbers(desk, grown)["one"] == number


def test_warehouse_of_before_policies_were_kept_is_not_taken_over_with_other_ranks(desk: World) -> None:
    desk.commit([Said(1, "population", 1, full_name="A"), Said(1, "civil", 1, full_name="B")])
    with desk.engine.begin() as connection:
        connection.execute(text("DELETE FROM policy"))
    policy = changed(CIVIL_FIRST, POPULATION_LATER, ("2025-06-02T", "2025-06-09T"))
    with pytest.raises(ConfigError) as refused:
        numbers(desk, policy)
    assert refused.value.problems[1:] == (
        "population: rank in citizen.person: 0 -> 7",
        "civil: rank in citizen.person: 1 -> 0",
        "province_a: valid_until: 2025-06-02 00:00:00+00:00 -> 2025-06-09 00:00:00+00:00",
    )
    assert plan_policy(desk.engine, policy).aspects[0].records == 1
    apply(desk, policy)
    assert holders(desk) == [(1, "civil")]


def test_applying_waits_for_a_batch_and_holds_back_the_next(desk: World) -> None:
    applied = threading.Event()

    def work() -> None:
        apply(desk, changed(added="\n# a remark\n"))
        applied.set()

    with desk.engine.connect() as batch:
        transaction = batch.begin()
        batch.execute(text("INSERT INTO batch (worker, policy_digest) VALUES ('slow', 'x')"))
        thread = threading.Thread(target=work)
        thread.start()
        assert not applied.wait(0.5)
        transaction.commit()
    thread.join(10)
    assert applied.is_set()


def test_policy_is_applied_with_a_reason_only(desk: World) -> None:
    with pytest.raises(ConfigError, match="say who does it, and why"):
        apply_policy(desk.engine, changed(CIVIL_FIRST), "test", " ")
    with desk.engine.connect() as connection:
        assert connection.execute(select(digest_in_force().subquery())).scalar_one() == POLICY.digest
