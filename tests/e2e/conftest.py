"""An engine of the end-to-end tests' own, since they stop its servers, with one log that every test reads anew."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from hub.config import Settings
from hub.embedded.engine import Engine
from hub.operate.log.topics import create_topics
from hub.topology import topics
from tests.e2e.grounds import PARTITIONS, PEOPLE, Field, Grounds
from tests.e2e.hub_process import wait_until
from tests.support.event_set import EventSet, send

_numbers = itertools.count()


@pytest.fixture(scope="session")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    """Servers that a test may stop, and a log of a few thousand events."""
    engine = Engine(Settings(data_dir=tmp_path_factory.mktemp("faults")))
    try:
        places = engine.up()
        create_topics(places.bootstrap, topics(PARTITIONS), replication=1)
        records = EventSet(places.key_secret).mixed(PEOPLE)
        send(places.bootstrap, records)
        yield Grounds(engine, places.bootstrap, places.key_secret, records)
    finally:
        engine.down()


@pytest.fixture(scope="session")
def undisturbed(grounds: Grounds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """The warehouse that one worker made of the log, with nothing in its way; its pages are kept."""
    field = Field(grounds, "undisturbed", tmp_path_factory.mktemp("undisturbed"))
    try:
        worker = field.worker()
        field.wait_for_all()
        wait_until(lambda: worker.page("/health")[1]["consumed"] >= len(grounds.records), worker.output)
        field.pages = {path: worker.page(path) for path in ("/health", "/sources")}
        worker.stop()
        yield field
    finally:
        field.close()


@pytest.fixture(scope="module")
def new_field(grounds: Grounds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Field]]:
    """Make warehouses; their workers are stopped with the module."""
    fields: list[Field] = []

    def make() -> Field:
        name = f"field_{next(_numbers)}"
        fields.append(Field(grounds, name, tmp_path_factory.mktemp(name)))
        return fields[-1]

    yield make
    for field in fields:
        field.close()


@pytest.fixture
def field(new_field: Callable[[], Field]) -> Iterator[Field]:
    """A warehouse of one test's own. Its workers end with the test: they are of the same group as the next test's."""
    field = new_field()
    yield field
    field.close()
