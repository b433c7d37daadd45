"""All rows deleted and loaded again with old times, read by a time column: what a poll sees, and that comparing mends.

A file and MariaDB do not tell that rows were deleted and loaded again; the newest row only shows that the mark is gone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningEngine
from tests.support.compare_world import STREAM, ComparedWorld
from tests.support.whole_world import Whole

pytestmark = pytest.mark.engine

DDL = (
    "CREATE TABLE ho_so (id int PRIMARY KEY, ma varchar(20), ban int NOT NULL DEFAULT 1, luc {time} NOT NULL,"
    " tt varchar(9) DEFAULT '1', loai varchar(9) DEFAULT 'A', xoa boolean NOT NULL DEFAULT false)"
)
OLD, NEW, LATEST = "2024-03-01 08:00:00", "2025-06-01 08:00:00", "2025-06-02 08:00:00"


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def world(
    request: pytest.FixtureRequest, engine: RunningEngine, whole: Whole, tmp_path: Path, unique: str
) -> Iterator[ComparedWorld]:
    """A source of three rows that its connector has read by their times."""
    url = f"sqlite:///{tmp_path / 'source.db'}"
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb_url")
    elif request.param == "postgresql":
        url = engine.create_database(f"source_{unique}")
    world = ComparedWorld(whole, url, STREAM.format(late="overlap"))
    world.sql(DDL.format(time="timestamp" if request.param == "postgresql" else "datetime"))
    world.sql(*(_row(number, time) for number, time in enumerate((OLD, NEW, LATEST), 1)))
    world.run()
    assert world.golden() == {"D-1", "D-2", "D-3"}
    yield world
    world.close()
    if request.param == "postgresql":
        engine.engine.drop_database(f"source_{unique}")


def _row(number: int, time: str) -> str:
    return f"INSERT INTO ho_so (id, ma, luc) VALUES ({number}, 'D-{number}', '{time}')"


def test_rows_loaded_again_with_old_times_beside_the_latest_are_missing_until_compared(world: ComparedWorld) -> None:
    world.sql("DELETE FROM ho_so", _row(3, LATEST), _row(4, OLD), _row(5, NEW))
    world.run()
    assert world.golden() == {"D-1", "D-2", "D-3"}, "a poll sees neither what went nor what is older than the mark"
    assert world.differences() == {"missing": 2, "left_over": 2}
    assert world.repair().left == 0
    assert world.golden() == {"D-3", "D-4", "D-5"}
    assert world.compare().is_equal


def test_rows_loaded_again_that_are_all_older_are_read_from_the_newest_on_and_compared(world: ComparedWorld) -> None:
    world.sql("DELETE FROM ho_so", _row(4, OLD), _row(5, NEW))
    world.run()
    assert world.golden() == {"D-1", "D-2", "D-3", "D-5"}, "the mark is gone, so reading goes on at the newest row"
    assert world.differences() == {"missing": 1, "left_over": 3}
    assert world.repair().left == 0
    assert world.golden() == {"D-4", "D-5"}
    assert world.compare().is_equal


FUTURE = "2099-01-01 00:00:00"


def test_row_dated_in_the_future_hides_no_later_row_and_no_restored_source(world: ComparedWorld) -> None:
    world.sql(_row(9, FUTURE))
    world.run()
    later = "2025-06-02 08:00:30"
    world.sql(_row(4, later))
    world.run()
    assert world.golden() == {"D-1", "D-2", "D-3", "D-4"}, "the time of the run is not the time of the newest row"
    world.sql("DELETE FROM ho_so WHERE id <> 9", _row(5, NEW))
    world.run()
    assert "D-5" in world.golden(), "the newest row that counts is older than what was read"


def test_first_read_of_a_table_with_a_row_in_the_future_goes_on_from_the_latest_that_is_not(
    world: ComparedWorld,
) -> None:
    world.sql(_row(9, FUTURE))
    world.context.state.read_again(["progress"], 1, "a test")
    world.run()
    world.sql(_row(4, "2025-06-02 08:00:30"))
    world.run()
    assert world.golden() == {"D-1", "D-2", "D-3", "D-4"}
