"""Whatever PostgreSQL says about a row is laid to that row: a dead letter, and its neighbours flow."""

import base64
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Table, text

from hub.model.errors import PoisonError
from hub.reconcile.shared import stage as staging
from hub.warehouse.batch import Accepted
from hub.warehouse.copy import EncodedRows, encode_rows
from tests.support.merge_world import SUBJECT, Said, World, key_of

DEAD = "dead_lettered:INVALID_VALUE"
LONG = base64.b64encode(random.Random(1).randbytes(2_800)).decode()[:2_800]
"""Random, so that the server cannot make it shorter."""


def _people(world: World, *names: str, **more: list[Any]) -> Accepted:
    said = [Said(number, "population", 1, full_name=name) for number, name in enumerate(names, 1)]
    fields = [one.fields() | {name: values[row] for name, values in more.items()} for row, one in enumerate(said)]
    return Accepted(SUBJECT, world.frame(SUBJECT, fields, [key_of(one.key) for one in said], 0))


def _details(world: World) -> list[str]:
    return [row.detail for row in world.rows("SELECT detail FROM dead_letter ORDER BY log, log_offset")]


@contextmanager
def _refusing(world: World, body: str, each: str = "FOR EACH ROW") -> Iterator[None]:
    """A trigger before claims of persons are written, as an administrator may have added it."""
    with world.engine.begin() as connection:
        connection.execute(
            text(f"CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$")
        )
        connection.execute(
            text(f"CREATE TRIGGER odd BEFORE INSERT ON citizen_person_claim {each} EXECUTE FUNCTION odd()")
            if "ROW" in each
            else text(f"CREATE TRIGGER odd AFTER INSERT ON citizen_person_claim {each} EXECUTE FUNCTION odd()")
        )
    try:
        yield
    finally:
        with world.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER odd ON citizen_person_claim; DROP FUNCTION odd()"))


def test_row_that_is_too_long_for_an_index_is_a_dead_letter_and_neighbours_flow(world: World) -> None:
    people = _people(world, "A", "B", "C")
    unchecked = people.frame.with_columns(pl.Series("cmnd9", [None, LONG, None], pl.String))
    world.commit_frames(0, replace(people, frame=unchecked))
    assert world.outcomes() == ["applied", DEAD, "applied"]
    assert ["SQLSTATE 54000" in detail for detail in _details(world)] == [True]


def test_number_of_an_insurance_that_is_too_long_for_an_index_is_a_dead_letter(world: World) -> None:
    subject, said = "health_insurance.linked", [Said(number, "population", 1) for number in (1, 2)]
    fields = [one.fields() | {"link_state": "MATCHED", "si_number_legacy": None} for one in said]
    frame = world.frame(subject, fields, [key_of(1), key_of(2)], 0)
    unchecked = frame.with_columns(pl.Series("si_number_legacy", [LONG, None], pl.String))
    world.commit_frames(0, Accepted(subject, unchecked))
    assert world.outcomes() == [DEAD, "applied"]


def test_json_that_is_nested_too_deep_for_the_server_is_a_dead_letter(world: World) -> None:
    subject, deep = "dossier.progressed", "[" * 200_000 + "]" * 200_000
    said = [Said(number, "population", 1) for number in (1, 2)]
    fields = [one.fields() | {"dossier_code": "H25-250601-0001", "status": "ACCEPTED"} for one in said]
    fields[1]["results"] = deep
    world.commit_frames(0, Accepted(subject, world.frame(subject, fields, [key_of(1), key_of(2)], 0)))
    assert world.outcomes() == ["applied", DEAD]
    assert ["SQLSTATE 54001" in detail for detail in _details(world)] == [True]


@pytest.mark.parametrize(
    "state", ["09000", "20000", "21000", "22023", "2200M", "23P01", "38000", "40002", "44000", "54000", "P0001"]
)
def test_error_about_a_row_whatever_its_state_is_laid_to_the_row(world: World, state: str) -> None:
    body = f"IF NEW.full_name = 'B' THEN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END IF;"
    with _refusing(world, body):
        world.commit_frames(0, _people(world, "A", "B", "C"))
    assert world.outcomes() == ["applied", DEAD, "applied"]
    assert [f"SQLSTATE {state}" in detail for detail in _details(world)] == [True]


def test_rows_that_can_be_stored_alone_and_not_together_are_refused_to_nobody_and_the_try_ends(world: World) -> None:
    body = "IF (SELECT count(*) FROM fresh) > 1 THEN RAISE EXCEPTION 'no' USING ERRCODE = '21000'; END IF;"
    with (
        _refusing(world, body, "REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT"),
        pytest.raises(PoisonError, match="21000"),
    ):
        world.commit_frames(0, _people(world, "A", "B", "C"))
    assert (world.outcomes(), _details(world)) == ([], [])


def test_row_that_can_not_be_encoded_for_the_server_is_a_dead_letter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(table: Table, frame: Any) -> EncodedRows:
        if "full_name" in frame.columns and "B" in frame["full_name"]:
            raise PoisonError("INVALID_VALUE", "a value has no form that PostgreSQL takes")
        return encode_rows(table, frame)

    monkeypatch.setattr(staging, "encode_rows", encode)
    world.commit_frames(0, staging.with_stage(_people(world, "A", "B", "C")))
    assert world.outcomes() == ["applied", DEAD, "applied"]
