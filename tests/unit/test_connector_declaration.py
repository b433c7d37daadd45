"""Declarations: every problem at once; every example fits the schemas; windows of transactions; partitions."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError, NotLeaderForPartitionError, TopicAuthorizationFailedError
from kafka.partitioner.default import murmur2

from connectors.check import problems
from connectors.compare_every import compare_every
from connectors.declaration import CompareEvery
from connectors.horizon import ROUND, WIDEST_WINDOW, is_in_window
from connectors.load import load_declaration, parse_declaration
from connectors.publisher import PublishError, partition_of
from connectors.publisher import meaning as broker_meaning
from hub.codec.catalogue import load_catalogue
from hub.model.errors import ConfigError, RetryableError, UnreachableError

ROOT = Path(__file__).parents[2]
DECLARATIONS = sorted([*ROOT.glob("docs/examples/*.toml"), *ROOT.glob("hub/demo/sources/*.toml")])


@pytest.mark.parametrize("path", DECLARATIONS, ids=lambda path: str(path.name))
def test_declaration_fits_the_schemas(path: Path) -> None:
    assert problems(load_declaration(path), load_catalogue()) == []


def test_reading_lists_every_problem_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_declaration(
            b"""
            [source]
            code = "x"
            unit_scheme = "GSO_1999"
            url = "postgresql://user:password@host/name"
            time_zone = "Asia/Nowhere"
            [[stream]]
            name = "a"
            connector = "table"
            subject = "no.such"
            table = "t"
            colour = "red"
            [stream.fields]
            pin = { column = "a", path = "b" }
            gender = { column = "g", words = "missing" }
            """
        )
    text = "\n".join(caught.value.problems)
    for expected in (
        *("agency is missing", "GSO_1999", "holds a password", "Asia/Nowhere", "no.such", "'colour'", "key is missing"),
        *("exactly one of", "[words.missing]", "version or changed_at is missing"),
    ):
        assert expected in text
    assert "user:password" not in text


def test_check_lists_every_field_that_does_not_fit() -> None:
    declared = parse_declaration(
        b"""
        [source]
        code = "x"
        agency = "H25"
        unit_scheme = "GSO_2025"
        url_env = "X"
        [[stream]]
        name = "a"
        connector = "table"
        subject = "citizen.changed"
        table = "t"
        key = ["a"]
        changed_at = "b"
        [stream.fields]
        event_id = "a"
        nonsense = "a"
        gender = { column = "g", words = { M = "MAN" } }
        birth_year = { column = "n", pad = 4 }
        ethnicity = { column = "e", part = "year" }
        """
    )
    text = "\n".join(problems(declared, load_catalogue()))
    for expected in ("the connector fills it itself", "'nonsense'", "'MAN'", "pad is for text", "part is for numbers"):
        assert expected in text
    assert "field pin is missing" in text
    assert "field full_name is missing" in text


@given(high=st.integers(3, 2**50), width=st.integers(1, WIDEST_WINDOW - 1), back=st.integers(1, WIDEST_WINDOW - 1))
def test_window_holds_a_writer_however_often_ids_came_round(high: int, width: int, back: int) -> None:
    low = max(high - width, 0)
    writer = max(high - back, 0)
    if low <= writer < high:
        assert is_in_window(writer % ROUND, low, high)
    elif high - writer < ROUND:
        assert not is_in_window(writer % ROUND, low, high)


@given(ahead=st.integers(0, WIDEST_WINDOW - 1), high=st.integers(3, 2**50), width=st.integers(1, WIDEST_WINDOW - 1))
def test_window_leaves_out_writers_from_the_horizon_on(ahead: int, high: int, width: int) -> None:
    assert not is_in_window((high + ahead) % ROUND, high - width, high)


@given(key=st.binary(min_size=16, max_size=16), partitions=st.integers(1, 1000))
def test_partition_is_the_one_kafka_would_choose(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


def test_broker_errors_are_waited_for_unless_the_broker_refuses() -> None:
    assert type(broker_meaning(KafkaTimeoutError(), "t")) is UnreachableError
    assert type(broker_meaning(NotLeaderForPartitionError(), "t")) is RetryableError
    assert type(broker_meaning(TopicAuthorizationFailedError(), "t")) is PublishError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{ every_s = 3600 }", CompareEvery(3600.0)),
        ("{ every_s = 3600, repair = true, allow_gone = 7 }", CompareEvery(3600.0, True, 7)),
        ("{ repair = true }", "every_s"),
        ("{ every_s = 0 }", "1 or more"),
        ("{ every_s = true }", "1 or more"),
        ('{ every_s = 60, repair = "yes" }', "true or false"),
        ("{ every_s = 60, allow_gone = -1 }", "0 or more"),
        ("{ every_s = 60, often = true }", "with repair and allow_gone"),
        ('"daily"', "every_s"),
    ],
)
def test_schedule_of_comparisons_is_read_or_refused(given: str, expected: object) -> None:
    problems: list[str] = []
    found = compare_every(tomllib.loads(f"compare = {given}")["compare"], problems.append)
    if isinstance(expected, str):
        assert found is None
        assert expected in problems[0]
    else:
        assert (found, problems) == (expected, [])


def test_schedule_of_comparisons_is_refused_where_only_outboxes_are_read() -> None:
    declaration = parse_declaration(
        b"""
        [source]
        code = "x"
        agency = "H25"
        unit_scheme = "GSO_2025"
        url = "sqlite://"
        compare = { every_s = 60 }
        [[stream]]
        name = "changes"
        connector = "outbox"
        subject = "dossier.progressed"
        table = "hop_thu"
        key = ["id"]
        changed_at = "luc"
        [stream.fields]
        dossier_code = "ma"
        status = "tt"
        """
    )
    assert any("holds no state to compare" in problem for problem in problems(declaration, load_catalogue()))
