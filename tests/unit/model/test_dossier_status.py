"""Which moves between the portal's ten states stand, and which must be explained."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from hub.model.dossiers.status import ALLOWED, BACKWARD, BY_CODE, CORRECTIONS, Move, Status, Version, move
from hub.model.envelope import Operation
from tests.oracles.dossiers import BackwardMove, standing_backward_moves

S = BY_CODE
_START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def said(version: int, code: int, operation: str = "UPDATE", reason: str | None = None, epoch: int = 1) -> Version:
    status = S[code] if code else Status.UNKNOWN
    return Version(epoch, version, _START + timedelta(hours=version), status, Operation(operation), reason)


def test_states_have_the_portals_codes() -> None:
    assert [S[code].value for code in (1, 3, 5, 6, 7, 10)] == [
        "REGISTERED",
        "REJECTED_AT_INTAKE",
        "SUPPLEMENT_REQUESTED",
        "PAYMENT_REQUIRED",
        "WITHDRAWN",
        "RESULT_RETURNED",
    ]
    assert len(S) == 10


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        (1, 2, Move.DIRECT),
        (2, 9, Move.DIRECT),
        (4, 4, Move.STAYED),
        (10, 10, Move.STAYED),
        (5, 2, Move.DIRECT),
        (1, 4, Move.SKIPPED),
        (1, 10, Move.SKIPPED),
        (2, 7, Move.SKIPPED),
        (4, 10, Move.SKIPPED),
        (4, 2, Move.SKIPPED),
        (4, 1, Move.BACKWARD),
        (10, 4, Move.BACKWARD),
        (10, 9, Move.BACKWARD),
        (7, 4, Move.BACKWARD),
        (3, 2, Move.BACKWARD),
        (4, 3, Move.BACKWARD),
        (8, 9, Move.BACKWARD),
        (9, 4, Move.BACKWARD),
        (8, 4, Move.BACKWARD),
    ],
)
def test_move_is_direct_skipped_or_backward(old: int, new: int, how: Move) -> None:
    assert move(S[old], S[new]) is how


def test_every_pair_is_one_kind_of_move() -> None:
    backward = {(old, new) for old in S.values() for new in S.values() if move(old, new) is Move.BACKWARD}
    assert backward == set(BACKWARD)
    assert backward.isdisjoint(ALLOWED)
    assert backward >= CORRECTIONS


def test_backward_move_stands_with_its_versions() -> None:
    found = standing_backward_moves([said(1, 9), said(2, 10), said(3, 4)])
    assert found == (BackwardMove(S[10], S[4], (1, 2), (1, 3)),)


def test_order_of_arrival_does_not_matter() -> None:
    versions = [said(1, 2), said(2, 9), said(3, 4), said(4, 10), said(5, 1, epoch=2)]
    expected = standing_backward_moves(versions)
    assert [(each.old, each.new) for each in expected] == [(S[9], S[4]), (S[10], S[1])]
    assert all(standing_backward_moves(each) == expected for each in permutations(versions))


def test_late_event_in_between_settles_it() -> None:
    assert standing_backward_moves([said(1, 1), said(3, 7), said(4, 4)])
    assert standing_backward_moves([said(1, 5), said(3, 9), said(5, 6)])
    # 8 was told by a version that has been taken back as a correction with a reason.
    settled = [said(1, 4), said(3, 8), said(4, 4, "CORRECT", "handled by mistake"), said(5, 9)]
    assert standing_backward_moves(settled) == ()


@pytest.mark.parametrize(
    ("operation", "reason", "stands"),
    [
        ("CORRECT", "entered for another dossier", False),
        ("CORRECT", None, True),
        ("CORRECT", " \t\n", True),
        ("UPDATE", "entered for another dossier", True),
        ("SNAPSHOT", None, True),
    ],
)
def test_backward_move_is_accepted_only_as_a_correction_with_reason(
    operation: str, reason: str | None, stands: bool
) -> None:
    assert bool(standing_backward_moves([said(1, 10), said(2, 4, operation, reason)])) is stands


def test_later_correction_settles_the_moves_before_it_and_none_after() -> None:
    versions = [said(1, 10), said(2, 4), said(3, 4, "CORRECT", "reopened")]
    assert standing_backward_moves(versions) == ()
    assert [each.at for each in standing_backward_moves([*versions, said(4, 10), said(5, 4)])] == [(1, 5)]


def test_claim_taken_back_begins_anew() -> None:
    assert standing_backward_moves([said(1, 10), said(2, 4), said(3, 4, "REVOKE")]) == ()
    assert standing_backward_moves([said(1, 10), said(2, 10, "REVOKE"), said(3, 1)]) == ()


def test_unknown_status_is_looked_through() -> None:
    assert standing_backward_moves([said(1, 4), said(2, 0), said(3, 9)]) == ()
    (found,) = standing_backward_moves([said(1, 9), said(2, 0), said(3, 4)])
    assert (found.after, found.at) == ((1, 1), (1, 3))


def test_late_version_in_between_changes_what_stands() -> None:
    assert standing_backward_moves([said(1, 3), said(3, 4)])
    assert standing_backward_moves([said(1, 3), said(2, 3, "REVOKE"), said(3, 4)]) == ()
