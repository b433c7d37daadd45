"""The embedded engine, really started: ports, data and processes over stops, kills and second starts."""

import psycopg
import pytest

from tests.conftest import RunningEngine

pytestmark = pytest.mark.engine


def test_engine_fixtures_answer(engine: RunningEngine, database_url: str, kafka_topic: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert kafka_topic.startswith("test.")
    assert engine.engine.status().is_healthy
