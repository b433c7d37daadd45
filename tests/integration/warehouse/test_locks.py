"""Locks of one purpose in two schemas never meet: a replay's shadow and the live warehouse go on beside each other."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.schema import CreateSchema

from hub.warehouse.database import open_database
from hub.warehouse.locks import Lock, hold, is_held, session_lock, try_hold

pytestmark = pytest.mark.engine


@pytest.fixture
def live(database_url: str) -> Iterator[Engine]:
    yield from _opened(database_url, "hub")


@pytest.fixture
def shadow(database_url: str) -> Iterator[Engine]:
    yield from _opened(database_url, "replay_1")


def _opened(url: str, schema: str) -> Iterator[Engine]:
    engine = open_database(url, schema)
    with engine.begin() as connection:
        connection.execute(CreateSchema(schema))
    yield engine
    engine.dispose()


def _does_not_wait(connection: Connection) -> None:
    connection.execute(text("SET LOCAL lock_timeout = '100ms'"))


@pytest.mark.parametrize("lock", Lock)
def test_shadow_and_live_warehouse_hold_each_lock_at_the_same_time(live: Engine, shadow: Engine, lock: Lock) -> None:
    with live.begin() as mine, shadow.begin() as theirs:
        hold(mine, lock)
        _does_not_wait(theirs)
        hold(theirs, lock)
        with live.connect() as other:
            assert not try_hold(other, lock)


def test_shared_holders_do_not_wait_for_each_other_and_an_exclusive_one_waits(live: Engine) -> None:
    with live.begin() as one, live.begin() as another:
        hold(one, Lock.UNITS, shared=True)
        _does_not_wait(another)
        hold(another, Lock.UNITS, shared=True)
        with live.connect() as third, third.begin():
            _does_not_wait(third)
            with pytest.raises(OperationalError, match="LockNotAvailable"):
                hold(third, Lock.UNITS)


def test_lock_of_a_number_is_seen_while_it_is_held_and_free_afterwards(live: Engine, shadow: Engine) -> None:
    with live.connect() as looking, shadow.connect() as elsewhere:
        for number in range(20):  # halves of a key above and below zero
            with session_lock(live, Lock.REPLAY, number) as mine:
                assert mine is not None
                with session_lock(live, Lock.REPLAY, number) as second:
                    assert second is None
                assert is_held(looking, Lock.REPLAY, number)
                assert not is_held(looking, Lock.REPLAY, number + 1)
                assert not is_held(elsewhere, Lock.REPLAY, number)
            assert not is_held(looking, Lock.REPLAY, number)


def test_lock_is_free_after_the_block_failed(live: Engine) -> None:
    def fail() -> None:
        with session_lock(live, Lock.SEAL) as mine:
            assert mine is not None
            mine.execute(text("SELECT 1 / 0"))

    with pytest.raises(DataError):
        fail()
    with session_lock(live, Lock.SEAL) as again:
        assert again is not None
