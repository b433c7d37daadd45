"""The guarded decoder when its child hangs, dies, or has too much to do; and when its parent dies."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from hub.intake.decode.decoder import Decoded, GuardedDecoder
from hub.model.outcomes import Reason
from tests.support.encoded_events import SUBJECT, event


def _sources(decoded: Decoded) -> list[tuple[int, str]]:
    return list(zip(decoded.frame["row"].to_list(), decoded.frame["source_system"].to_list(), strict=True))


@pytest.fixture
def faulty() -> Iterator[GuardedDecoder]:
    with GuardedDecoder(
        timeout_s=2, memory_mb=512, child_module="tests.integration.intake.decode.faulty_child"
    ) as started:
        yield started


class _TimedDecoder(GuardedDecoder):
    """Knows how long its children took to start."""

    starts_s = 0.0

    def _start(self) -> None:
        begun = time.monotonic()
        super()._start()
        self.starts_s += time.monotonic() - begun


def test_decoder_comes_back_within_its_limit_when_a_record_hangs_it() -> None:
    values = [event(number, actor="HANG" if number == 3 else None) for number in range(6)]
    with _TimedDecoder(
        timeout_s=5, memory_mb=512, child_module="tests.integration.intake.decode.faulty_child"
    ) as decoder:
        begun, decoder.starts_s = time.monotonic(), 0.0
        decoded = decoder.decode(SUBJECT, values)
        assert time.monotonic() - begun - decoder.starts_s < 5
    assert [(found.row, found.reason) for found in decoded.poison] == [(3, Reason.DECODER_TIMEOUT)]
    assert _sources(decoded) == [(row, f"nguồn {row}") for row in range(6) if row != 3]


def test_decoder_poisons_that_record_alone_when_a_record_kills_it(faulty: GuardedDecoder) -> None:
    values: list[bytes | None] = [event(number, actor="CRASH" if number == 1 else None) for number in range(4)]
    decoded = faulty.decode(SUBJECT, [*values, b""])
    assert [(found.row, found.reason) for found in decoded.poison] == [
        (1, Reason.DECODER_CRASH),
        (4, Reason.EMPTY),
    ]
    assert decoded.frame["row"].to_list() == [0, 2, 3]


def test_decoder_loses_nothing_when_only_the_block_kills_it(faulty: GuardedDecoder) -> None:
    decoded = faulty.decode(SUBJECT, [event(0), event(1, actor="ONCE")])
    assert (decoded.path, decoded.poison, faulty.restarts) == ("row", (), 1)
    assert decoded.frame["actor"].to_list() == [None, "ONCE"]


def test_decoder_halves_a_batch_that_is_too_much_at_once(faulty: GuardedDecoder) -> None:
    decoded = faulty.decode(SUBJECT, [event(0, actor="ONCE"), event(1, actor="SWELL"), b"", event(3)])
    assert _sources(decoded) == [(row, f"nguồn {row}") for row in (0, 1, 3)]
    assert [found.row for found in decoded.poison] == [2]


def test_decoder_starts_another_child_when_it_was_killed_between_batches(faulty: GuardedDecoder) -> None:
    os.kill(faulty.child_id or 0, 9)
    assert _sources(faulty.decode(SUBJECT, [event(0)])) == [(0, "nguồn 0")]


def test_decoder_child_ends_when_its_parent_is_killed() -> None:
    program = (
        "import os, signal; from hub.intake.decode.decoder import GuardedDecoder\n"
        "with GuardedDecoder(2, 512) as decoder:\n"
        "    print(decoder.child_id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert parent.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while psutil.pid_exists(int(parent.stdout)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not psutil.pid_exists(int(parent.stdout)) or psutil.Process(int(parent.stdout)).status() == "zombie"


def test_decoder_answers_the_right_question_after_an_interrupted_one(
    faulty: GuardedDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(select, "select", interrupted)
        with pytest.raises(KeyboardInterrupt):
            faulty.decode(SUBJECT, [event(1), event(2)])
    assert _sources(faulty.decode(SUBJECT, [event(3)])) == [(0, "nguồn 3")]
