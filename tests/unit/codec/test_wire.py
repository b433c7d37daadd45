"""The framing of values."""

import pytest

from hub.codec.wire import HEADER_BYTES, frame, unframe
from hub.model.errors import PoisonError
from hub.model.outcomes import Reason


def test_frame_puts_zero_and_big_endian_id_before_the_datum() -> None:
    assert frame(1001, b"xy") == b"\x00\x00\x00\x03\xe9xy"


def test_unframe_gives_back_what_was_framed_when_the_datum_is_empty_too() -> None:
    assert unframe(frame(2**32 - 1, b"")) == (2**32 - 1, b"")
    assert len(frame(1, b"")) == HEADER_BYTES


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.TOMBSTONE),
        (b"", Reason.EMPTY),
        (b"{}", Reason.BAD_MAGIC),
        (b"\x01\x00\x00\x03\xe9x", Reason.BAD_MAGIC),
        (b"\x00\x00\x00\x03", Reason.NOT_DECODABLE),
    ],
)
def test_unframe_names_the_reason_when_the_header_is_wrong(value: bytes | None, reason: Reason) -> None:
    with pytest.raises(PoisonError) as caught:
        unframe(value)
    assert caught.value.reason == reason
