"""Fields in columns have the bytes of values one by one."""

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from hub.codec.cells import long_bytes
from hub.codec.columns import composed_texts, counts, sizes
from hub.model.texts.letters import composed

LONG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.lists(st.one_of(LONG, st.integers(-70, 70), st.integers(-9_000, 9_000))))
@example([0, -1, 1, 63, 64, -64, -65, 8_191, 8_192, -8_192, -8_193, 2**63 - 1, -(2**63)])
def test_whole_numbers_in_columns_are_those_of_each(numbers: list[int]) -> None:
    assert counts(pa.array(numbers, pa.int64())).to_pylist() == [long_bytes(number) for number in numbers]


@given(st.lists(st.none() | st.binary(max_size=300)))
def test_sizes_in_columns_are_those_of_each(texts: list[bytes | None]) -> None:
    expected = [b"\0" if text is None else b"\2" + long_bytes(len(text)) for text in texts]
    assert sizes(pa.array(texts, pa.large_binary()), b"\2", b"\0").to_pylist() == expected


@given(st.lists(st.none() | TEXT | st.text("aeou\u0302\u0303\u0309\u0323ế–\u1100\u1161", max_size=8)))
def test_letters_in_columns_are_composed_as_each(texts: list[str | None]) -> None:
    assert composed_texts(pa.array(texts, pa.large_string())).to_pylist() == [composed(text) for text in texts]
