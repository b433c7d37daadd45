"""Stretches of a log partition: cut into pieces, no offset is left out and none is looked at twice."""

from hypothesis import given
from hypothesis import strategies as st

from hub.reconcile.ledger.accounts import Account, Stretch

ACCOUNT = Account(1, "hub.citizen.changed.v1", 0, 0, 1_000, 1_000)


@given(first=st.integers(0, 500), length=st.integers(1, 500), at_once=st.integers(1, 600))
def test_i5_pieces_of_a_stretch_have_each_offset_once(first: int, length: int, at_once: int) -> None:
    pieces = list(Stretch(ACCOUNT, first, first + length, length).cut(at_once))
    assert [offset for of in pieces for offset in range(of.first, of.end)] == list(range(first, first + length))
    assert max(of.end - of.first for of in pieces) <= at_once
