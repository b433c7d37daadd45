"""Evidence on the real PostgreSQL: seals and heads name each row that was changed behind the hub's back."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from hub.model.errors import HubError
from hub.operate.actions import Action, note
from hub.operate.evidence.keys import SigningKey, make_key
from hub.operate.evidence.retention import plan_retirement, retire
from hub.operate.evidence.seal import seal_all
from hub.operate.evidence.status import known_keys
from hub.operate.ledger.balance import read_ledger
from hub.warehouse.evidence.rows import Chain
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.tables.core import audit
from tests.support.evidence_world import CHAIN, execute, people, seal_and_sign, verified
from tests.support.merge_world import Said, World


def test_verify_names_every_row_that_was_changed(world: World, working: Engine, key: SigningKey) -> None:
    for first in range(1, 600, 200):
        world.commit(people(first, 200))
    execute(world, f"UPDATE log_partition SET next_offset = 610 WHERE id = {world.logs[0]}")
    seal_and_sign(working, key)
    assert verified(world)[0] == []
    execute(
        world,
        "DELETE FROM audit WHERE log_offset = 3",
        "UPDATE audit SET outcome = 'stale' WHERE log_offset = 307",
        "UPDATE audit SET log_offset = 990 + log_offset WHERE log_offset IN (10, 11)",
        "UPDATE audit SET log_offset = CASE log_offset WHEN 1000 THEN 11 ELSE 10 END WHERE log_offset >= 1000",
        "UPDATE audit SET log_offset = 605 WHERE log_offset = 599",
        f"INSERT INTO audit (log, log_offset, batch, outcome) VALUES ({world.logs[0]}, 607, 1, 'applied')",
        f"INSERT INTO audit (log, log_offset, batch, outcome) VALUES ({world.logs[0]}, 700, 1, 'applied')",
    )
    wrong, done = verified(world)
    assert wrong == [
        "deleted /3",
        "reordered /10",
        "reordered /11",
        "altered /307",
        "reordered /599",
        "inserted /607",
        "inserted /700",
    ]
    assert (done.rows, done.unsealed) == (600, 0)


def test_verify_names_a_batch_row_an_action_and_a_release_that_were_changed(
    world: World, working: Engine, key: SigningKey
) -> None:
    world.commit(people(1, 3))
    with world.engine.begin() as connection:
        for _ in range(3):
            note(connection, Action("H42-017", "unmask", "complaint 12"))
        insert = f"INSERT INTO release (log, log_offset, batch, outcome) VALUES ({world.logs[0]}, :at, 7, 'applied')"
        connection.execute(text(insert), [{"at": 1}, {"at": 2}])
    seal_and_sign(working, key)
    last = world.rows("SELECT max(id) FROM action")[0][0]
    released = world.rows("SELECT max(id) FROM release")[0][0]
    execute(
        world,
        "UPDATE batch SET worker = 'another'",
        f"UPDATE action SET actor = 'H42-018' WHERE id = {last - 1}",
        f"DELETE FROM release WHERE id = {released}",
    )
    assert verified(world)[0] == [f"altered (actions)/{last - 1}", f"deleted (releases)/{released}", "altered /0-2"]


def test_a_rewritten_chain_is_found_by_what_was_signed_and_rewritten_heads_by_what_was_published(
    world: World, working: Engine, key: SigningKey, tmp_path: Path
) -> None:
    published = []
    for first in (1, 11, 21):
        world.commit(people(first, 10))
        published.append(seal_and_sign(working, key))
    assert verified(world, published)[0] == []
    assert verified(world, published[:2])[0] == []
    execute(world, "DELETE FROM audit WHERE log_offset = 12", "DELETE FROM seal WHERE first_place >= 10")
    assert verified(world)[0] == ["seal_missing /20", "seal_missing /30"]
    with working.connect() as connection:
        seal_all(connection)
    assert verified(world)[0] == ["seal_altered /10", "seal_missing /20"]
    execute(world, "DELETE FROM head WHERE number > 1", "DELETE FROM head_published WHERE number > 1")
    assert verified(world)[0] == []
    other = make_key(tmp_path / "other.pem")
    seal_and_sign(working, other)
    wrong, _ = verified(world, published, {key.public})
    assert "key_not_trusted stored head 2" in wrong
    assert "head_altered head 2" in wrong
    assert "head_missing head 3" in wrong
    assert "seal_altered /10" in wrong
    execute(world, "DELETE FROM head", "DELETE FROM head_published", "DELETE FROM seal")
    anew = seal_and_sign(working, key)
    assert verified(world)[0] == []
    assert "head_missing head 1" in verified(world, [*published, anew])[0]
    assert "head_altered heads" in verified(world, published)[0]


def test_altered_heads_and_seals_are_named(world: World, working: Engine, key: SigningKey) -> None:
    for first in (1, 3, 5):
        world.commit(people(first, 2))
        seal_and_sign(working, key)
    execute(
        world,
        "UPDATE seal SET rows = 3 WHERE first_place = 2",
        "UPDATE head SET signature = decode(repeat('00', 64), 'hex') WHERE number = 3",
        "DELETE FROM head WHERE number = 2",
    )
    wrong, _ = verified(world)
    assert wrong[:2] == ["head_missing stored head 3", "signature_wrong stored head 3"]
    assert "seal_altered /2" in wrong


def test_keys_are_rotated_and_an_auditor_may_trust_some(
    world: World, working: Engine, key: SigningKey, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "next.pem")
    for signing, first in ((key, 1), (other, 3), (other, 5)):
        world.commit(people(first, 2))
        seal_and_sign(working, signing)
    assert verified(world)[0] == []
    assert verified(world, trusted={key.public, other.public})[0] == []
    assert verified(world, trusted={other.public})[0] == ["key_not_trusted stored head 1"]
    with world.engine.connect() as connection:
        found = {one.key_id: (one.first_head, one.last_head) for one in known_keys(connection)}
    assert found == {key.key_id: (1, 1), other.key_id: (2, 3)}


def test_month_that_is_noted_as_retired_and_is_there_hides_nothing(
    world: World, working: Engine, key: SigningKey
) -> None:
    world.commit(people(1, 4))
    head = seal_and_sign(working, key)
    (found,) = world.rows("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-01') AS month")
    month = found.month
    execute(
        world,
        "DELETE FROM audit WHERE log_offset = 2",
        "INSERT INTO retired (relation, month, log, first_place, end_place, outcome, records) "
        f"VALUES ('audit', '{month}', {world.logs[0]}, 0, 4, 'applied', 4)",
        "INSERT INTO action (actor, action, purpose, detail) VALUES ('x', 'audit.retire', 'x', "
        f"""'{{"partition": "audit_{month[:7].replace("-", "_")}"}}')""",
    )
    wrong, done = verified(world, [head])
    assert wrong == [f"not_retired audit {month[:7]}", "deleted /2"]
    assert done.retired_seals == 0


def test_month_that_was_dropped_without_its_counts_is_named(world: World, working: Engine, key: SigningKey) -> None:
    world.commit(people(1, 4))
    seal_and_sign(working, key)
    with world.engine.connect() as connection:
        plan = plan_retirement(connection, -1)
    try:
        retire(world.engine, plan, "admin", "retention")
        assert verified(world)[0] == []
        execute(world, "UPDATE retired SET records = records - 1")
        (wrong,) = verified(world)[0]
        assert wrong.startswith("not_retired audit ")
    finally:
        migrate(world.engine, "hub")


def test_month_is_dropped_when_it_verifies_and_the_ledger_balances_after(
    world: World, working: Engine, key: SigningKey
) -> None:
    world.commit([Said(1, "population", 2), Said(1, "population", 1), Said(2, "population", 1)])
    with world.engine.connect() as connection:
        assert plan_retirement(connection, 1) == []
        (month,) = [one for one in plan_retirement(connection, -1) if one.month.relation == "audit"]
        assert month.problems == ("3 rows, of which 0 are sealed",)
        with pytest.raises(HubError, match="nothing was dropped"):
            retire(world.engine, [month], "admin", "too early")
    head = seal_and_sign(working, key)
    execute(world, "UPDATE audit SET reason = 'x' WHERE log_offset = 1")
    with world.engine.connect() as connection:
        assert [one.problems for one in plan_retirement(connection, -1)] == [(), (f"altered: {CHAIN}/1",)]
    execute(world, "UPDATE audit SET reason = NULL WHERE log_offset = 1")
    with world.engine.connect() as connection:
        plan = plan_retirement(connection, -1)
    try:
        assert retire(world.engine, plan, "admin", "retention") == 3
        wrong, done = verified(world, [head])
        assert (wrong, done.retired_seals) == ([], 1)
        with world.engine.connect() as connection:
            assert all(row.balanced for row in read_ledger(connection))
        execute(world, "DELETE FROM action WHERE action = 'audit.retire'")
        assert [line.split()[0] for line in verified(world)[0]] == ["deleted"]
    finally:
        migrate(world.engine, "hub")
    world.commit(people(10, 2))
    assert _rows_of_chain(world) == 2


def _rows_of_chain(world: World) -> int:
    chain = Chain(CHAIN, "audit", world.logs[0])
    with world.engine.connect() as connection:
        return len(connection.execute(select(chain.place).where(audit.c.log == chain.log)).all())
