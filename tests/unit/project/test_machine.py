"""Whether a process of this machine has ended: by its number, the kernel's start time, and the machine's identity."""

import os
import subprocess
import sys

import pytest

from hub import machine
from hub.machine import has_ended, own_identity


def test_this_process_has_not_ended() -> None:
    assert own_identity() is not None
    assert not has_ended(own_identity(), os.getpid())


def test_killed_process_has_ended_before_and_after_somebody_waited_for_it() -> None:
    code = "from hub.machine import own_identity; print(own_identity(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        identity = process.stdout.readline().strip()
        assert not has_ended(identity, process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(identity, process.pid), "a killed process that nobody waited for yet"
        process.wait()
        assert has_ended(identity, process.pid)


def test_later_process_with_the_same_number_is_another() -> None:
    here, _, started = str(own_identity()).rpartition("/")
    assert has_ended(f"{here}/{int(started) - 1}", os.getpid())


@pytest.mark.parametrize("other", ["another boot/pid:[4026531836]/1", None])
def test_nothing_is_told_of_a_process_elsewhere(other: str | None) -> None:
    boot, _, rest = str(own_identity()).partition("/")
    assert not has_ended(other, 2**22 + 1)
    assert not has_ended(f"{boot}/pid:[1]/{rest.rpartition('/')[2]}", 2**22 + 1), "a container beside"
    assert not has_ended(own_identity(), 0)


def test_nothing_is_told_where_the_kernel_does_not_say_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = own_identity()
    monkeypatch.setattr(machine, "_here", lambda: None)
    assert (own_identity(), has_ended(mine, 2**22 + 1)) == (None, False)
