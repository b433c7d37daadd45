"""Source and warehouse compared by key: what a polling connector cannot see is found, told apart and mended."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from hub.model.errors import ConfigError
from hub.operate.compare.comparison import Comparing
from hub.operate.compare.conclusion import conclusion
from hub.operate.compare.found import Kind
from tests.conftest import RunningEngine
from tests.support.compare_world import DDL, HEAD, PROGRESS, STREAM, ComparedWorld
from tests.support.whole_world import Whole, key_of

pytestmark = pytest.mark.engine

FIVE = "INSERT INTO ho_so (id, ma) SELECT n, 'D-' || n FROM generate_series(1, 5) n"
MANY = "INSERT INTO ho_so (id, ma) SELECT n, 'D-' || n FROM generate_series(6, 100) n"


Patch = pytest.MonkeyPatch
Open = Callable[..., ComparedWorld]


@pytest.fixture
def opened(engine: RunningEngine, whole: Whole, unique: str) -> Iterator[Open]:
    """Open a source in an empty database: its declaration, and the subject to compare."""
    name = f"source_{unique}"
    source = engine.create_database(name)
    worlds: list[ComparedWorld] = []

    def open_source(declaration: str, subject: str = PROGRESS, url: str = source) -> ComparedWorld:
        worlds.append(ComparedWorld(whole, url, declaration, subject))
        return worlds[-1]

    yield open_source
    for world in worlds:
        world.close()
    engine.engine.drop_database(name)


def five_rows(opened: Open, late: str = "horizon") -> ComparedWorld:
    """A source of five rows that its connector has read."""
    world = opened(STREAM.format(late=late))
    world.sql(DDL, FIVE)
    world.run()
    return world


@pytest.fixture(params=["horizon", "overlap"])
def any_world(request: pytest.FixtureRequest, opened: Open) -> ComparedWorld:
    """The same, read in either way."""
    return five_rows(opened, request.param)


@pytest.fixture
def world(opened: Open) -> ComparedWorld:
    """The same, read exactly."""
    return five_rows(opened)


@pytest.fixture
def unseeing(opened: Open) -> ComparedWorld:
    """A source read by its time column: a row whose time stays as it is changes unseen."""
    world = opened(STREAM.format(late="overlap"))
    world.sql(DDL, FIVE, "UPDATE ho_so SET luc = now() - interval '30 days'", "INSERT INTO ho_so VALUES (6, 'D-6')")
    world.run()
    return world


def test_equal_sides_are_told_by_their_buckets(any_world: ComparedWorld) -> None:
    found = any_world.compare()
    assert found.is_equal
    assert (found.source_rows, found.claims, found.buckets) == (5, 5, 0)


def test_rows_that_went_are_left_over_and_taken_back(any_world: ComparedWorld) -> None:
    any_world.sql(
        MANY,
        "DELETE FROM ho_so WHERE ma = 'D-1'",
        "UPDATE ho_so SET ma = 'D-2b', ban = 2, luc = now() WHERE ma = 'D-2'",
        "UPDATE ho_so SET loai = 'B', ban = 2, luc = now() WHERE ma = 'D-3'",
    )
    any_world.run()
    left = any_world.compare().of_kind(Kind.LEFT_OVER)
    assert {bytes(key) for key in left["key"]} == {
        key_of(any_world.subject, code).bytes for code in ("D-1", "D-2", "D-3")
    }
    done = any_world.repair(allow_gone=None)
    assert (done.revoked, done.published, done.left) == (3, 0, 0)
    claims = any_world.claims()
    assert all(claims[code] == ("REGISTERED", 2, True) for code in ("D-1", "D-2", "D-3"))
    assert any_world.golden() == {"D-2b", "D-4", "D-5"} | {f"D-{number}" for number in range(6, 101)}
    assert any_world.compare().is_equal


def test_rows_loaded_with_old_times_are_missing_and_published(whole: Whole, opened: Open) -> None:
    world = five_rows(opened, "overlap")
    world.sql(
        "INSERT INTO ho_so (id, ma, luc) SELECT n, 'D-' || n, now() - interval '30 days' FROM generate_series(6, 9) n"
    )
    world.run()
    assert world.differences() == {"missing": 4}
    done = world.repair()
    assert (done.published, done.revoked, done.left) == (4, 0, 0)
    assert world.claims()["D-9"] == ("REGISTERED", 1, False)
    assert world.compare().is_equal


def test_other_content_under_the_same_version_is_published_under_the_next(unseeing: ComparedWorld) -> None:
    unseeing.sql("UPDATE ho_so SET tt = '4' WHERE ma = 'D-1'")
    unseeing.run()
    assert unseeing.claims()["D-1"] == ("REGISTERED", 1, False)
    plan = unseeing.plan()
    assert (plan.publish.height, plan.raised, plan.revoke.height) == (1, 1, 0)
    done = unseeing.carry_out(plan)
    assert (done.published, done.left) == (1, 0)
    assert unseeing.claims()["D-1"] == ("RESULT_READY", 2, False)


def test_change_after_a_repair_under_a_raised_version_wins_over_it(unseeing: ComparedWorld) -> None:
    unseeing.sql("UPDATE ho_so SET tt = '4' WHERE ma = 'D-1'")
    unseeing.run()
    assert unseeing.repair().left == 0
    assert unseeing.claims()["D-1"] == ("RESULT_READY", 2, False)
    unseeing.sql("UPDATE ho_so SET tt = '1', ban = 2, luc = now() WHERE ma = 'D-1'")
    unseeing.run()
    assert unseeing.claims()["D-1"] == ("REGISTERED", 3, False)
    assert unseeing.compare().is_equal


def test_row_that_comes_back_with_a_lower_version_is_published_above_the_one_taken_back(world: ComparedWorld) -> None:
    world.sql("UPDATE ho_so SET ban = 7 WHERE ma = 'D-1'")
    world.run()
    world.sql("DELETE FROM ho_so WHERE ma = 'D-1'")
    assert world.repair().revoked == 1
    world.sql("INSERT INTO ho_so (id, ma) VALUES (1, 'D-1')")
    world.run()
    assert world.claims()["D-1"] == ("REGISTERED", 8, True)
    assert world.differences() == {"missing": 1}
    assert world.repair().left == 0
    assert world.claims()["D-1"] == ("REGISTERED", 9, False)
    assert "D-1" in world.golden()


def test_rows_that_the_connector_has_yet_to_read_are_moving(any_world: ComparedWorld) -> None:
    any_world.sql(
        "INSERT INTO ho_so (id, ma, luc) VALUES (6, 'D-6', clock_timestamp())",
        "UPDATE ho_so SET tt = '4', ban = 2, luc = clock_timestamp() WHERE ma = 'D-1'",
        "UPDATE ho_so SET xoa = true, ban = 2, luc = clock_timestamp() WHERE ma = 'D-2'",
    )
    assert any_world.differences() == {"on_its_way": 3}
    assert any_world.compare().is_equal
    any_world.run()
    assert any_world.differences() == {}


class _During:
    """A source's streams; something happens before, and after, their rows are read for the ``number``-th time."""

    def __init__(
        self, comparing: Comparing, number: int, happens: Callable[[], None], before: Callable[[], None] = lambda: None
    ) -> None:
        self._streams, self._number, self._happens, self._before = comparing.streams, number, happens, before

    def __getattr__(self, name: str) -> object:
        return getattr(self._streams, name)

    def rows(self) -> Iterator[object]:
        """Read the rows, then let it happen."""
        self._number -= 1
        if self._number == 0:
            self._before()
        yield from self._streams.rows()
        if self._number == 0:
            self._happens()


@pytest.mark.parametrize("reading", [1, 2])
def test_rows_that_come_and_go_while_they_are_compared_are_no_differences(world: ComparedWorld, reading: int) -> None:
    world.sql("DELETE FROM ho_so WHERE ma = 'D-5'")  # so that there is something to look at

    def happens() -> None:
        world.sql(
            "INSERT INTO ho_so (id, ma) SELECT n, 'D-' || n FROM generate_series(6, 500) n",
            "UPDATE ho_so SET tt = '4', ban = 2 WHERE ma = 'D-1'",
        )
        world.run()

    comparing = world.comparing()
    object.__setattr__(comparing, "streams", _During(comparing, reading, happens))
    counts = comparing.compare().counts
    assert {kind.value: counts[kind] for kind in (Kind.MISSING, Kind.DIFFERS, Kind.LEFT_OVER)} == {
        "missing": 0,
        "differs": 0,
        "left_over": 1,
    }


def test_key_that_comes_after_its_place_was_read_is_not_gone(world: ComparedWorld) -> None:
    put = "INSERT INTO ho_so (id, ma) VALUES (6, 'D-6')"
    world.sql(put)  # not read by the connector yet: its bucket differs and is looked at

    def comes() -> None:
        world.sql(put)
        world.run()

    comparing = world.comparing()
    goes = partial(world.sql, "DELETE FROM ho_so WHERE id = 6")
    object.__setattr__(comparing, "streams", _During(comparing, 2, comes, goes))
    found = comparing.compare()
    assert "D-6" in world.claims()
    assert found.is_equal
    assert found.counts[Kind.LEFT_OVER] == 0


def test_all_that_differs_is_moving_while_the_hub_is_behind(unseeing: ComparedWorld) -> None:
    unseeing.sql("DELETE FROM ho_so WHERE ma = 'D-5'", "UPDATE ho_so SET tt = '4' WHERE ma = 'D-1'")
    unseeing.run()
    unseeing.settled.is_settled = False
    found = unseeing.compare()
    assert not found.caught_up
    assert {kind.value: count for kind, count in found.counts.items() if count} == {"on_its_way": 2}


def test_row_that_became_a_reject_is_not_gone(world: ComparedWorld) -> None:
    world.sql("UPDATE ho_so SET luc = NULL, ban = 2 WHERE ma = 'D-1'")
    world.run()
    found = world.compare()
    assert found.is_equal
    assert found.unmapped == {"TIME_MISSING": 1}


def test_nothing_is_taken_back_without_a_word_while_a_row_has_no_key_that_can_be_told(world: ComparedWorld) -> None:
    world.sql("UPDATE ho_so SET ma = NULL, ban = 2 WHERE ma = 'D-1'", "DELETE FROM ho_so WHERE ma = 'D-2'")
    world.run()
    plan = world.plan(allow_gone=None)
    assert plan.revoke.height == 2
    assert "--allow-gone 2" in plan.refusal
    with pytest.raises(ConfigError):
        world.carry_out(plan)
    assert not any(revoked for _, _, revoked in world.claims().values())


def test_soft_deleted_rows_are_equal_to_claims_taken_back(world: ComparedWorld) -> None:
    world.sql(
        "UPDATE ho_so SET xoa = true, ban = 2 WHERE ma = 'D-1'",
        "INSERT INTO ho_so (id, ma, xoa) VALUES (6, 'D-6', true)",
    )
    world.run()
    found = world.compare()
    assert found.is_equal
    assert (found.source_rows, found.claims, found.revoked) == (4, 4, 2)


@pytest.mark.parametrize(("statement", "allowed"), [("DELETE FROM ho_so", 5), ("DELETE FROM ho_so WHERE id > 1", 4)])
def test_many_keys_gone_are_taken_back_only_when_allowed(world: ComparedWorld, statement: str, allowed: int) -> None:
    world.sql(statement)
    for allow in (None, allowed - 1):
        plan = world.plan(allow)
        assert plan.refusal
        with pytest.raises(ConfigError, match=f"{allowed}"):
            world.carry_out(plan)
    assert len(world.golden()) == 5
    assert world.repair(allowed).revoked == allowed
    assert len(world.golden()) == 5 - allowed


def test_repair_that_is_cut_off_is_finished_by_another(unseeing: ComparedWorld) -> None:
    unseeing.sql("UPDATE ho_so SET tt = '4' WHERE id < 3", "DELETE FROM ho_so WHERE id = 5")
    unseeing.run()
    plan = unseeing.plan()
    unseeing.publisher.fail_after = 1
    with pytest.raises(ConnectionError):
        unseeing.carry_out(plan)
    unseeing.publisher.fail_after = None
    assert unseeing.differences() == {"left_over": 1}
    assert unseeing.repair().left == 0
    assert unseeing.compare().is_equal


def test_key_that_came_again_before_the_repair_is_left_alone(unseeing: ComparedWorld) -> None:
    unseeing.sql("DELETE FROM ho_so WHERE id = 5", "UPDATE ho_so SET tt = '4' WHERE id = 1")
    unseeing.run()
    plan = unseeing.plan()
    unseeing.sql("INSERT INTO ho_so (id, ma) VALUES (5, 'D-5')", "UPDATE ho_so SET tt = '1' WHERE id = 1")
    done = unseeing.carry_out(plan)
    assert (done.published, done.revoked, done.skipped) == (0, 0, 2)
    assert "D-5" in unseeing.golden()


def test_repair_is_noted_with_who_why_and_how_many(world: ComparedWorld) -> None:
    world.sql("DELETE FROM ho_so WHERE id = 5")
    world.repair()
    rows = world.whole.rows("SELECT actor, action, purpose, detail FROM action ORDER BY id DESC LIMIT 2")
    done, planned = rows
    assert (planned.action, planned.actor, planned.purpose) == ("connect.compare.repair", "H42-017", "case 12")
    assert planned.detail["revoke"] == 1
    assert (done.action, done.detail["revoked"], done.detail["left"]) == ("connect.compare.repaired", 1, 0)


def test_i8_findings_show_no_key_of_the_source_unless_asked(unseeing: ComparedWorld) -> None:
    unseeing.sql("UPDATE ho_so SET tt = '4' WHERE ma = 'D-1'")
    unseeing.run()
    (told,) = unseeing.compare().as_json(10)["keys"]
    assert told["key"] == str(key_of(unseeing.subject, "D-1"))
    assert "source_key" not in told
    assert "D-1" not in repr(told)
    (asked,) = unseeing.comparing(places=True).compare().as_json(10)["keys"]
    assert asked["source_key"] == "[1]"


SMALL = """
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
version = "ban"
changed_at = "luc"
[stream.fields]
dossier_code = "ma"
status = { column = "tt", words = { "1" = "REGISTERED", "4" = "RESULT_READY" } }
"""


def test_source_without_snapshots_is_compared_in_pages(opened: Open, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr("connectors.streams.comparing.ROWS_AT_ONCE", 7)
    state = f'[state]\nurl = "sqlite:///{tmp_path}/state.db"\n'
    world = opened(HEAD + state + SMALL, url=f"sqlite:///{tmp_path}/small.db")
    put = "INSERT INTO ho_so WITH RECURSIVE n(i) AS (SELECT {} UNION ALL SELECT i + 1 FROM n WHERE i < {})"
    put += " SELECT 'S-' || i, 1, '{}', '1' FROM n"
    world.sql(
        "CREATE TABLE ho_so (ma TEXT PRIMARY KEY, ban INT, luc TIMESTAMP, tt TEXT)", put.format(1, 60, "2025-06-01")
    )
    world.run()
    assert world.compare().is_equal
    world.sql("DELETE FROM ho_so WHERE ma IN ('S-1', 'S-33')", put.format(61, 64, "2025-01-01"))
    world.run()
    assert world.differences() == {"left_over": 2, "missing": 4}
    assert world.repair().left == 0
    assert world.compare().is_equal


TWO_STREAMS = """
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["id"]
version = "ban"
changed_at = "luc"
where = { loai = "A" }
[stream.fields]
dossier_code = "ma"
status = { column = "tt", words = { "1" = "REGISTERED", "4" = "RESULT_READY" } }
[[stream]]
name = "others"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["id"]
version = "ban"
changed_at = "luc"
where = { loai = "B" }
[stream.fields]
dossier_code = "ma"
status = { constant = "RESULT_READY" }
"""


def test_keys_of_another_stream_of_the_subject_are_not_left_over(whole: Whole, opened: Open) -> None:
    world = opened(HEAD + TWO_STREAMS)
    world.sql(DDL, FIVE, "UPDATE ho_so SET loai = 'B' WHERE id > 2")
    world.run()
    assert world.compare().is_equal
    world.sql("UPDATE ho_so SET loai = 'B', ban = 2 WHERE id = 1", "DELETE FROM ho_so WHERE id = 3")
    world.run()
    assert world.differences() == {"left_over": 1}


RESIDENCE = """
[[stream]]
name = "homes"
connector = "table"
subject = "{subject}"
table = "cu_tru"
key = ["so", "loai"]
version = "ban"
changed_at = "luc"
[stream.fields]
pin = "so"
{fields}
"""


def _people(opened: Open, subject: str, fields: str) -> ComparedWorld:
    world = opened(HEAD + RESIDENCE.format(subject=subject, fields=fields), subject)
    world.sql(
        "CREATE TABLE cu_tru (so text, loai text, xa text, ban int DEFAULT 1, luc timestamptz DEFAULT now(),"
        " PRIMARY KEY (so, loai))"
    )
    return world


HOME = 'kind = "loai"\ncommune_code = "xa"\naction = { constant = "REGISTER" }'


def test_part_of_a_key_that_is_gone_is_taken_back_alone(whole: Whole, opened: Open) -> None:
    world = _people(opened, "residence.changed", HOME)
    people = [f"0010900000{number:02}" for number in range(9)]
    values = ", ".join(f"('{pin}', '{kind}', NULL)" for pin in people for kind in ("PERMANENT", "TEMPORARY"))
    world.sql(f"INSERT INTO cu_tru VALUES {values}")
    world.run()
    assert world.compare().claims == 18
    world.sql(f"DELETE FROM cu_tru WHERE so = '{people[0]}' AND loai = 'TEMPORARY'")
    (gone,) = world.compare().as_json(10)["keys"]
    assert (gone["kind"], gone["part"]) == ("left_over", "TEMPORARY")
    assert world.repair(None).left == 0
    rows = whole.rows("SELECT pin, kind FROM citizen_residence_claim WHERE revoked")
    assert [(row.pin, row.kind) for row in rows] == [(people[0], "TEMPORARY")]


def test_parked_events_are_named_and_not_missing(whole: Whole, opened: Open) -> None:
    world = _people(opened, "residence.changed", HOME)
    world.sql("INSERT INTO cu_tru VALUES ('001090000001', 'PERMANENT', '99999')")
    world.run()
    found = world.compare()
    assert found.is_equal
    (told,) = found.as_json(10)["keys"]
    assert told["kind"] == "has_outcome"
    assert told["why"].startswith("published, parked, waits for admin_unit:")
    assert found.parked == 1
    assert conclusion([found], found.is_equal) == "equal, of which 1 waits (parked)"


def test_rows_of_one_thing_and_version_with_other_content_are_counted(world: ComparedWorld) -> None:
    world.sql(
        "INSERT INTO ho_so (id, ma, tt) VALUES (6, 'D-1', '4')",
        "INSERT INTO ho_so (id, ma, luc) SELECT 7, ma, luc FROM ho_so WHERE ma = 'D-2'",
        "INSERT INTO ho_so (id, ma, tt, ban) VALUES (8, 'D-3', '4', 2)",
    )
    world.run()
    found = world.compare()
    assert found.is_equal
    assert (found.source_rows, found.source_keys, found.claims) == (8, 5, 5)
    assert found.shared == 1, "D-2 has equal content twice, D-3 has two versions"
    assert conclusion([found], found.is_equal) == "equal, of which 1 with two or more rows of one version"


def test_differences_while_the_hub_has_not_merged_its_log_are_not_called_equal(world: ComparedWorld) -> None:
    world.sql("INSERT INTO ho_so (id, ma) VALUES (6, 'D-6')")
    world.settled.is_settled = False
    found = world.compare()
    assert found.is_equal
    assert conclusion([found], found.is_equal) == "no difference that is not on its way: 1 on its way"


def test_events_that_the_policy_refuses_are_named_and_not_missing(whole: Whole, opened: Open) -> None:
    world = _people(opened, "identity.changed", "")
    world.sql("INSERT INTO cu_tru VALUES ('001090000001', 'PERMANENT', '99999')")
    world.run()
    found = world.compare()
    assert found.is_equal
    (told,) = found.as_json(10)["keys"]
    assert told["why"] == "published, rejected SOURCE_NOT_ALLOWED"


def test_dead_letters_are_named_and_not_missing(world: ComparedWorld) -> None:
    world.sql("INSERT INTO ho_so (id, ma) VALUES (6, 'D-6'), (7, 'D-7')")
    world.publisher.dead_letters = "INVALID_VALUE"
    world.run()
    world.publisher.dead_letters = None
    world.sql("UPDATE ho_so SET ban = 2, tt = '4' WHERE id = 7")
    told = {one["kind"]: one["why"] for one in world.compare().as_json(10)["keys"]}
    assert told == {
        "has_outcome": "published, dead_lettered INVALID_VALUE",
        "on_its_way": "the connector has not read it yet, or it changed during the comparison",
    }


def test_all_that_a_person_s_claim_says_is_said_when_it_is_taken_back(whole: Whole, opened: Open) -> None:
    world = _people(opened, "citizen.changed", 'full_name = "xa"\nethnicity = "loai"')
    world.sql("INSERT INTO cu_tru VALUES ('001090000001', 'Kinh', 'Lê Thị Không Ai'), ('001090000002', 'Kinh', 'Ai')")
    world.run()
    before = whole.rows("SELECT * FROM citizen_person_claim WHERE pin = '001090000001'")[0]._mapping
    world.sql("DELETE FROM cu_tru WHERE so = '001090000001'")
    assert world.repair(None).left == 0
    after = whole.rows("SELECT * FROM citizen_person_claim WHERE pin = '001090000001'")[0]._mapping
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        *("event_id", "occurred_at", "recorded_at", "operation", "source_version", "content_hash", "revoked"),
        "contested",
    }
