"""Whatever bytes a fetch holds, unpacking never fails, never goes back, and leaves no place between two records out."""

from hypothesis import given
from hypothesis import strategies as st

from hub.log.odd import OddRecord
from hub.log.unpacking import Unpacking
from tests.support.log_bytes import CODECS, Said, batch, marker

_records = st.lists(
    st.builds(
        Said,
        key=st.none() | st.binary(max_size=9),
        value=st.none() | st.binary(max_size=40),
        headers=st.lists(st.tuples(st.binary(max_size=4), st.none() | st.binary(max_size=4)), max_size=2),
    ),
    min_size=1,
    max_size=6,
)


@given(
    st.lists(st.tuples(_records, st.sampled_from(sorted(CODECS.values())), st.booleans()), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.integers(0, 5),
)
def test_bent_bytes_account_for_every_place(
    batches: list[tuple[list[Said], int, bool]], bends: list[tuple[int, int]], first: int
) -> None:
    content, base = b"", 0
    for said, codec, is_marker in batches:
        content += batch(base, said, codec)
        base += len(said)
        if is_marker:
            content += marker(base, 7, commits=False)
            base += 1
    bent = bytearray(content)
    for at, byte in bends:
        bent[at % len(bent)] = byte
    unpacking = Unpacking(("t", 0), bytes(bent), first, [], True)
    expected = first
    for record in unpacking:
        assert record.offset >= expected
        expected = record.end if isinstance(record, OddRecord) else record.offset + 1
        assert unpacking.next_offset == expected
    assert unpacking.next_offset >= expected
    if not bends:
        assert unpacking.next_offset == max(base, first)


@given(st.binary(max_size=300), st.integers(0, 1 << 40))
def test_any_bytes_at_all_are_read(content: bytes, first: int) -> None:
    unpacking = Unpacking(("t", 0), content, first, [(1, 0)], True)
    assert all(isinstance(one, OddRecord) or one.offset >= first for one in unpacking)
    assert unpacking.next_offset >= first
