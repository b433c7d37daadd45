"""Rows that have no form in PostgreSQL's binary COPY are a row's fault, and the words of the library stay out."""

from typing import Any

import pgpq
import polars as pl
import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from hub.model.errors import PoisonError
from hub.warehouse.copy import encode_rows

TABLE = Table("somewhere", MetaData(), Column("name", Text), Column("number", BigInteger))


def panic() -> BaseException:
    """What a panic in Rust code looks like: a BaseException of a class that nobody can import."""
    kind: type[BaseException] = type("PanicException", (BaseException,), {})
    return kind("called unwrap on Nguyễn Văn A")


@pytest.mark.parametrize(
    "raised", [ValueError("Nguyễn Văn A"), OverflowError("Nguyễn Văn A"), pl.exceptions.ComputeError("Nguyễn"), panic()]
)
def test_i8_library_that_cannot_encode_a_row_is_named_and_its_words_are_not(
    raised: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> None:
        raise raised

    monkeypatch.setattr(pgpq.ArrowToPostgresBinaryEncoder, "new_with_encoders", refuse, raising=True)
    with pytest.raises(PoisonError) as refused:
        encode_rows(TABLE, pl.DataFrame({"name": ["Nguyễn Văn A"]}))
    assert type(raised).__name__ in str(refused.value)
    assert "Nguyễn" not in str(refused.value)


def test_end_of_the_process_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pgpq.ArrowToPostgresBinaryEncoder, "new_with_encoders", end)
    with pytest.raises(KeyboardInterrupt):
        encode_rows(TABLE, pl.DataFrame({"name": ["A"]}))
