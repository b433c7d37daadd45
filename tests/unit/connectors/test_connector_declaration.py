"""Declarations: every problem at once; every example fits the schemas; windows of transactions; partitions."""

import copy
import math
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError, NotLeaderForPartitionError, TopicAuthorizationFailedError
from kafka.partitioner.default import murmur2

from connectors.access.horizon import ROUND, WIDEST_WINDOW, distance_below
from connectors.checks.check import problems
from connectors.conversion.mapping import RowMapper
from connectors.declared.compare_every import compare_every
from connectors.declared.declaration import CompareEvery
from connectors.declared.load import load_declaration, parse_declaration
from connectors.declared.parsing import declaration_of
from connectors.running.publisher import PublishError
from connectors.running.publisher import meaning as broker_meaning
from hub.codec.catalogue import load_catalogue
from hub.codec.partitions import partition_of
from hub.model.errors import ConfigError, RetryableError, UnreachableError

ROOT = Path(__file__).parents[3]
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


def _is_in_window(xmin: int, low: int, high: int) -> bool:
    """Tell of one 32-bit id what ``xmin_window`` tells of a row's."""
    return bool(0 < distance_below(xmin, high) <= high - low)


@given(high=st.integers(3, 2**50), width=st.integers(1, WIDEST_WINDOW - 1), back=st.integers(1, WIDEST_WINDOW - 1))
def test_window_holds_a_writer_however_often_ids_came_round(high: int, width: int, back: int) -> None:
    low = max(high - width, 0)
    writer = max(high - back, 0)
    if low <= writer < high:
        assert _is_in_window(writer % ROUND, low, high)
    elif high - writer < ROUND:
        assert not _is_in_window(writer % ROUND, low, high)


@given(ahead=st.integers(0, WIDEST_WINDOW - 1), high=st.integers(3, 2**50), width=st.integers(1, WIDEST_WINDOW - 1))
def test_window_leaves_out_writers_from_the_horizon_on(ahead: int, high: int, width: int) -> None:
    assert not _is_in_window((high + ahead) % ROUND, high - width, high)


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


_ODD: tuple[Any, ...] = (
    *(5, -1, "x", "", [], {}, True, 1.5, math.inf, math.nan, [1], ["x", 1], {"a": 1}, {"a": {"b": [1]}}, [[]], [{}]),
    *(date(2025, 1, 1), 2**70, 10**400, "\0", "x" * 300, [""], {"": ""}, 1e15),
)


def _places(given: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    inside = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    for name, value in inside:
        yield from _places(value, (*place, name))


def test_any_odd_value_anywhere_in_a_declaration_is_a_problem_that_is_told_and_never_a_traceback() -> None:
    whole = tomllib.loads((ROOT / "docs/examples/source.toml").read_text(encoding="utf-8"))
    whole["source"] |= {"compare": {"every_s": 60, "allow_gone": 3}, "epoch": 1, "poll_s": 1.0, "overlap_s": 1.0}
    whole["source"] |= {"ahead_s": 1.0, "remember_s": 1.0, "page_rows": 10}
    whole["state"] = {"url": "sqlite:///state.db", "schema": "a"}
    refused = 0
    for place in list(_places(whole))[1:]:
        for odd in _ODD:
            document = copy.deepcopy(whole)
            inner: Any = document
            for name in place[:-1]:
                inner = inner[name]
            inner[place[-1]] = odd
            try:
                read = declaration_of(document, "odd")
                found = problems(read, load_catalogue())
            except ConfigError as error:
                found = list(error.problems)
            else:
                # what is taken can be used: seconds make durations, rules make functions
                for stream in read.streams if not found else ():
                    RowMapper(read, stream, load_catalogue().latest(stream.subject), "a secret of the tests")
                for seconds in (read.overlap_s, read.remember_s, read.ahead_s, read.poll_s):
                    assert datetime.now(UTC) - timedelta(seconds=seconds)
            refused += bool(found)
    assert refused > 1000


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("[stream]\nname = 'a'", "[[stream]] (two brackets)"),
        ("source = 'x'", "source: must be a table"),
        ("words = 'x'", "words: must be a table"),
        ("[[stream]]\nname = 'a'\nwhere = 'loai = 1'", "where must be a table"),
        ("[[stream]]\nname = 'a'\n[stream.fields]\npin = { columns = ['a', 'b'], join = 5 }", "join must be text"),
        ("[source]\npage_rows = inf", "page_rows must be a whole number"),
        ("[source]\npage_rows = 2.7", "page_rows must be a whole number"),
        ("[source]\npoll_s = nan", "poll_s must be a number"),
        ("[source]\nahead_s = 1e15", "ahead_s must be a number, 0 or more, 1000000000 at most"),
        ("[source]\nepoch = 3000000000", "epoch must be a whole number, 1 or more, 2147483647 at most"),
    ],
)
def test_what_is_of_the_wrong_shape_is_told_with_the_right_one(given: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_declaration(given.encode())
    assert said in "\n".join(caught.value.problems)
