"""Parking on the real database: the same state in whatever order events, references and sweeps come (I4, I5)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.intake.decode.decoder import GuardedDecoder
from hub.operate.ledger.balance import read_ledger
from tests.conftest import RunningEngine
from tests.support.whole_world import Whole, open_whole

SOAK = int(os.environ.get("HUB_SOAK_EXAMPLES", "100"))
PROCEDURES = ("1.001001", "1.001002")
SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class Filed:
    """One version of a filing; ``parent`` is the number of the dossier it belongs to."""

    number: int
    version: int
    procedure: str
    parent: int | None

    def fields(self) -> dict[str, Any]:
        """Return the fields that the event does not share with every other."""
        return {
            "source_system": "dvcqg",
            "source_version": self.version,
            "dossier_code": code(self.number),
            "procedure_code": self.procedure,
            "linked_parent_code": None if self.parent is None else code(self.parent),
        }


Happening = Filed | str
"""A filing, the code of a procedure that is published, or a sweep."""


def code(number: int) -> str:
    return f"H42.12-250801-{number:04d}"


@pytest.fixture(scope="module")
def whole(engine: RunningEngine) -> Iterator[Whole]:
    with GuardedDecoder(20.0, 2048) as decoder:
        made = open_whole(engine.create_database("parking_property"), decoder)
        yield made
        made.engine.dispose()
    engine.engine.drop_database("parking_property")


@st.composite
def histories(draw: st.DrawFn) -> list[list[Happening]]:
    """Batches of filings, procedures and sweeps in any order; every dossier that is a parent is filed once itself."""
    versions = draw(
        st.dictionaries(
            st.tuples(st.integers(1, 4), st.integers(1, 3)),
            st.tuples(st.sampled_from(PROCEDURES), st.sampled_from([None, 1, 2])),
            min_size=1,
            max_size=9,
        )
    )
    filed = [
        Filed(number, version, procedure, parent if parent is not None and parent < number else None)
        for (number, version), (procedure, parent) in versions.items()
    ]
    parents = {one.parent for one in filed if one.parent} - {one.number for one in filed}
    filed += [Filed(number, 1, PROCEDURES[0], None) for number in sorted(parents)]
    repeats = draw(st.lists(st.sampled_from(filed), max_size=3))
    happenings: list[Happening] = [*filed, *repeats, *PROCEDURES, SWEEP, SWEEP]
    order = draw(st.permutations(happenings))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=5)) | {len(order)})
    return [list(order[start:end]) for start, end in zip([0, *cuts[:-1]], cuts, strict=True) if end > start]


def play(whole: Whole, history: list[list[Happening]]) -> None:
    whole.clear()
    for batch in history:
        filed = [one.fields() for one in batch if isinstance(one, Filed)]
        published = [one for one in batch if isinstance(one, str) and one != SWEEP]
        polled = []
        if filed:
            polled.append(whole.polled("dossier.submitted", filed))
        if published:
            procedures = [{"source_system": "dvcqg", "procedure_code": one, "name": "Khai sinh"} for one in published]
            polled.append(whole.polled("procedure.changed", procedures))
        if polled:
            whole.commit(*polled)
        if SWEEP in batch:
            whole.release(most=2)
    whole.release(most=3)


def check(whole: Whole, history: list[list[Happening]]) -> None:
    play(whole, history)
    newest: dict[str, tuple[int, str, str | None]] = {}
    for one in (one for batch in history for one in batch if isinstance(one, Filed)):
        fields = one.fields()
        said = one.version, one.procedure, fields["linked_parent_code"]
        newest[code(one.number)] = max(newest.get(code(one.number), said), said, key=lambda said: said[0])
    rows = whole.rows("SELECT * FROM dossier_submission_claim")
    assert {
        row.dossier_code: (row.source_version, row.procedure_code, row.linked_parent_code) for row in rows
    } == newest
    assert whole.value("SELECT count(*) FROM parked") == 0
    with whole.engine.connect() as connection:
        ledger = read_ledger(connection)
    assert all(row.balanced for row in ledger)
    parked = whole.value("SELECT count(*) FROM audit WHERE outcome = 'parked'")
    assert whole.value("SELECT count(*) FROM release") == parked


@settings(max_examples=60)
@given(history=histories())
def test_i4_state_is_the_same_whenever_references_arrive(whole: Whole, history: list[list[Happening]]) -> None:
    check(whole, history)


@pytest.mark.soak
@settings(max_examples=SOAK)
@given(history=histories())
def test_i4_state_is_the_same_whenever_references_arrive_at_length(
    whole: Whole, history: list[list[Happening]]
) -> None:
    check(whole, history)
