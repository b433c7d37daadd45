"""A migrated warehouse per test module, emptied before each test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from hub.intake.decode.decoder import GuardedDecoder
from hub.operate.evidence.keys import SigningKey, make_key
from hub.warehouse.database import open_database
from hub.warehouse.setup.roles import WORKER
from tests.conftest import RunningEngine
from tests.support.merge_world import World, open_world
from tests.support.whole_world import Whole, open_whole


@pytest.fixture(scope="module")
def module_world(engine: RunningEngine) -> Iterator[World]:
    """The module's warehouse, in a database of its own."""
    name = f"world_{uuid.uuid4().hex[:12]}"
    made = open_world(engine.create_database(name))
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


@pytest.fixture
def world(module_world: World) -> World:
    """The module's warehouse with its sources and nothing else."""
    module_world.clear()
    return module_world


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """A key that signs evidence."""
    return make_key(tmp_path / "key.pem")


@pytest.fixture(scope="module")
def working(module_world: World) -> Iterator[Engine]:
    """The module's warehouse, with the worker's rights."""
    engine = open_database(module_world.engine.url.render_as_string(hide_password=False), "hub", "test", role=WORKER)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def decoder() -> Iterator[GuardedDecoder]:
    """The module's decoder with its child process."""
    with GuardedDecoder(20.0, 2048) as made:
        yield made


@pytest.fixture(scope="module")
def module_whole(engine: RunningEngine, decoder: GuardedDecoder) -> Iterator[Whole]:
    """The module's warehouse for events of every subject."""
    name = f"whole_{uuid.uuid4().hex[:12]}"
    made = open_whole(engine.create_database(name), decoder)
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


@pytest.fixture
def whole(module_whole: Whole) -> Whole:
    """A warehouse that takes events of every subject, with its sources and nothing else."""
    module_whole.clear()
    return module_whole
