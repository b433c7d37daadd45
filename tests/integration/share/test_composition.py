"""Records composed in columns are those that are composed one by one, to the byte, in warehouses filled at random."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from hub.codec.encode import Encoder
from hub.model.declaration import Entity
from hub.model.entities import ENTITIES
from hub.model.errors import PoisonError
from hub.share.columns.records import uuids_of
from hub.share.compose import Composer
from hub.share.flags import FlagComposer, open_flags
from hub.warehouse.database import open_database
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.sources import store_sources
from tests.conftest import RunningEngine
from tests.oracles.generated_warehouse import Filled
from tests.oracles.plain_composition import PlainComposer
from tests.support.whole_world import POLICY, SECRET

PUBLISHED = [entity for entity in ENTITIES if entity.record_topic]
SOAK = int(os.environ.get("HUB_SOAK_EXAMPLES", "1000"))
seeds = st.integers(0, 2**32)


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated warehouse without claims, and its sources."""

    engine: Engine
    sources: dict[str, int]


@pytest.fixture(scope="module")
def database(engine: RunningEngine) -> Iterator[Database]:
    name = f"composition_{uuid.uuid4().hex[:12]}"
    made = open_database(engine.create_database(name), "hub", "test")
    migrate(made, "hub")
    with made.begin() as connection:
        sources = store_sources(connection, POLICY)
    yield Database(made, sources)
    made.dispose()
    engine.engine.drop_database(name)


def bytes_or_problem(encoder: Any, record: Any) -> bytes | str | None:
    """The bytes of a record, or what the schema refuses in it."""
    try:
        return None if record is None else encoder.encode(record)
    except PoisonError as error:
        return error.detail


def plainly(connection: Connection, entity: Entity, keys: list[uuid.UUID]) -> dict[uuid.UUID, Any]:
    composer = PlainComposer(entity, SECRET)
    return {key: bytes_or_problem(composer, record) for key, record in composer.records(connection, keys).items()}


def in_columns(
    composer: Composer | FlagComposer, connection: Connection, keys: list[uuid.UUID]
) -> dict[uuid.UUID, Any]:
    found = composer.records(connection, keys)
    values: list[Any] = found.values.to_pylist()
    for place in found.refused:
        values[place] = bytes_or_problem(composer, found.one(place))
    return dict(zip(uuids_of(found.keys), values, strict=True))


def check(database: Database, seed: int, count: int) -> None:
    """Fill a warehouse, compare, and take all of it back."""
    with database.engine.connect() as connection, connection.begin() as filling:
        filled = Filled(seed, database.sources, count)
        for entity in PUBLISHED:
            filled.entity(connection, entity)
        filled.derived(connection)
        filled.flags(connection)
        for keys in (filled.keys[::2], filled.keys):
            for entity in PUBLISHED:
                wanted = plainly(connection, entity, keys)
                found = in_columns(Composer(entity, SECRET), connection, keys)
                assert found == wanted
                assert list(found) == list(wanted)
            encoder = Encoder("flag.record", SECRET)
            rows = connection.execute(open_flags(), {"keys": keys}).mappings()
            open_now = {row["key"]: encoder.encode(dict(row)) for row in rows}
            assert in_columns(FlagComposer(SECRET), connection, keys) == {key: open_now.get(key) for key in keys}
        filling.rollback()


@settings(max_examples=20, deadline=None)
@given(seed=seeds, count=st.integers(1, 12))
def test_records_in_columns_are_those_of_plain_reckoning(database: Database, seed: int, count: int) -> None:
    check(database, seed, count)


@pytest.mark.soak
@settings(max_examples=SOAK, deadline=None)
@given(seed=seeds, count=st.integers(1, 60))
def test_records_in_columns_at_length(database: Database, seed: int, count: int) -> None:
    check(database, seed, count)
