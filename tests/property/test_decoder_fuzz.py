"""Differential fuzz of the decoder: both paths agree on every record, no neighbour is touched, nothing hangs.

Failures name their seed: ``python -m tests.property.decoder_judge SEED SEED+1`` judges that case alone.
"""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from hub.codec.catalogue import load_catalogue
from hub.intake.decode.batch import decode_batch
from hub.intake.decode.decoder import GuardedDecoder
from tests.property.decoder_cases import case
from tests.property.decoder_judge import differences
from tests.property.decoder_subjects import OWN

CASES = 2_000
SOAK = int(os.environ.get("HUB_SOAK_EXAMPLES", "100"))
_SOAK_BEGINS = 1_000_000
_PART = 250
_HANG_S = 30.0
_WORKERS = max(1, min(4, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the judge said of a seed: what is wrong, or that it did not live to say."""

    seed: int
    wrong: str
    lost: bool


def _judged(first: int, end: int) -> list[_Verdict]:
    """Judge seeds in another process, started again after each case that it does not survive."""
    verdicts: list[_Verdict] = []
    while first < end:
        for seed, wrong in _lines(first, end):
            if wrong:
                verdicts.append(_Verdict(seed, wrong, lost=False))
            first = seed + 1
        if first < end:
            verdicts.append(_Verdict(first, "", lost=True))
            first += 1
    return verdicts


def _lines(first: int, end: int) -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-m", "tests.property.decoder_judge", str(first), str(end)]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "RUST_BACKTRACE": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as judge:
        assert judge.stdout is not None
        unread = b""
        while select.select([judge.stdout], [], [], _HANG_S)[0]:
            content = os.read(judge.stdout.fileno(), 1 << 16)
            if not content:
                break
            *lines, unread = (unread + content).split(b"\n")
            for line in lines:
                seed, _, wrong = line.decode().partition(" ")
                yield int(seed), wrong
        judge.kill()


def _fuzz(first: int, count: int) -> None:
    starts = range(first, first + count, _PART)
    with ThreadPoolExecutor(_WORKERS) as pool:
        parts = pool.map(_judged, starts, [min(start + _PART, first + count) for start in starts])
        verdicts = [verdict for part in parts for verdict in part]
    wrong = [f"seed {verdict.seed}: {verdict.wrong}" for verdict in verdicts if not verdict.lost]
    lost = [verdict.seed for verdict in verdicts if verdict.lost]
    wrong += [f"seed {seed}, guarded: {problem}" for seed in lost for problem in _guarded(seed)]
    assert not wrong, "\n".join(wrong)


def _guarded(seed: int) -> list[str]:
    """Return what is wrong when the guard decodes a case that takes its process with it."""
    made = case(seed)
    module = "tests.property.own_subjects_child" if made.catalogue is OWN else "hub.intake.decode.child"
    by_row = decode_batch(made.subject, made.values, lambda phase, number: None, False, catalogue=made.catalogue)
    with GuardedDecoder(10, 1024, module, made.catalogue) as decoder:
        return differences(made, decoder.decode(made.subject, made.values), by_row)


def test_decoder_paths_agree_and_neighbours_stay_when_records_are_damaged() -> None:
    _fuzz(0, CASES)


@pytest.mark.soak
def test_decoder_paths_agree_and_neighbours_stay_at_length() -> None:
    _fuzz(_SOAK_BEGINS, SOAK)


def test_guarded_decoder_equals_row_path_on_damaged_batches() -> None:
    wrong = [f"seed {seed}: {problem}" for seed in range(5_000, 5_010) for problem in _guarded(seed)]
    assert not wrong, "\n".join(wrong)


def test_fuzz_covers_the_projects_subjects_and_its_own() -> None:
    subjects = {case(seed).subject for seed in range(2_000)}
    events = {name for name in load_catalogue().subjects if not name.endswith(".record")}
    assert subjects == events | set(OWN.subjects)
