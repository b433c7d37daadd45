"""What a verification finds: what is wrong with the evidence, and where."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Wrong(StrEnum):
    """The kinds of problems."""

    DELETED = "deleted"
    INSERTED = "inserted"
    ALTERED = "altered"
    REORDERED = "reordered"
    SEAL_MISSING = "seal_missing"
    SEAL_ALTERED = "seal_altered"
    HEAD_MISSING = "head_missing"
    HEAD_ALTERED = "head_altered"
    SIGNATURE_WRONG = "signature_wrong"
    KEY_NOT_TRUSTED = "key_not_trusted"
    NOT_AUDITED = "not_audited"
    NOT_IN_LOG = "not_in_log"
    BYTES_DIFFER = "bytes_differ"
    OUTCOME_DIFFERS = "outcome_differs"
    NOT_RETIRED = "not_retired"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem. ``where``: a chain and a place in it, or a head; ``words``: for a person."""

    wrong: Wrong
    where: str
    words: str


def row_findings(chain: str, sealed: Mapping[int, bytes], there: Mapping[int, bytes]) -> Iterator[Finding]:
    """Yield the differences between the rows as sealed and as they are; both are given as marks of leaves by place.

    A row that is at a different place from the one it was sealed at is reported as reordered, not as deleted and
    inserted.
    """
    gone = [place for place in sealed if place not in there]
    new = [place for place in there if place not in sealed]
    changed = [place for place in sealed if place in there and there[place] != sealed[place]]
    now_at = {there[place]: place for place in (*new, *changed)}
    moved = {place: now_at[sealed[place]] for place in (*gone, *changed) if sealed[place] in now_at}
    taken = set(moved.values())
    for place in sorted((*gone, *changed)):
        where = f"{chain}/{place}"
        if place in moved:
            yield Finding(Wrong.REORDERED, where, f"the row that was sealed here is now at {moved[place]}")
        elif place in there and place not in taken:
            yield Finding(Wrong.ALTERED, where, "the row is not what was sealed")
        elif place not in there:
            yield Finding(Wrong.DELETED, where, "the row that was sealed here is gone")
        else:
            yield Finding(Wrong.DELETED, where, "the row that was sealed here is gone; another is in its place")
    for place in sorted(set(new) - taken):
        yield Finding(Wrong.INSERTED, f"{chain}/{place}", "this row was not there when its place was sealed")
