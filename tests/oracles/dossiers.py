"""Which steps of a dossier go back without an explanation; see ``hub.model.dossiers.status``."""

from collections.abc import Iterable
from dataclasses import dataclass

from hub.model.dossiers.status import BLANKS, Move, Status, Version, move
from hub.model.envelope import Operation


def is_explained(version: Version) -> bool:
    """Return whether a version declares itself a correction and gives a reason."""
    return version.operation is Operation.CORRECT and bool((version.status_reason or "").strip(BLANKS))


@dataclass(frozen=True, slots=True)
class BackwardMove:
    """A backward move without an explanation, and the two versions between which it is."""

    old: Status
    new: Status
    after: tuple[int, int]
    at: tuple[int, int]


def standing_backward_moves(versions: Iterable[Version]) -> tuple[BackwardMove, ...]:
    """Return the unexplained backward moves among one source's accepted versions, oldest first.

    An explained correction also explains the moves before it: it shows that the source has checked. A version with
    status UNKNOWN says nothing about the status; the known status before it remains.
    """
    standing: list[BackwardMove] = []
    before: Version | None = None
    for version in sorted(versions, key=lambda each: each.order):
        if version.is_revoked:
            standing, before = [], None
            continue
        if is_explained(version):
            standing = []
        if version.status is Status.UNKNOWN:
            continue
        if before and not is_explained(version) and move(before.status, version.status) is Move.BACKWARD:
            standing.append(BackwardMove(before.status, version.status, before.order, version.order))
        before = version
    return tuple(standing)
