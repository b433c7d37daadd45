"""A record read by hand is never cut short in silence: its length must be one that the batch has, to the byte."""

import pytest

from hub.log.decompress import DamageError
from hub.log.record_bytes import records_in
from tests.support.log_bytes import varint

BODY = b"\0" + varint(0) + varint(0) + varint(-1) + varint(5) + b"value" + varint(0)


def test_record_that_ends_where_its_batch_ends_is_whole() -> None:
    (record,) = records_in(varint(len(BODY)) + BODY, 1)
    assert (record.key, record.value, record.headers, record.why) == (None, b"value", (), "")


@pytest.mark.parametrize("missing", [1, 2, len(BODY)])
def test_record_that_lacks_its_last_bytes_is_damage(missing: int) -> None:
    with pytest.raises(DamageError, match="record 1 of 1 gives a length"):
        list(records_in(varint(len(BODY)) + BODY[: len(BODY) - missing], 1))
