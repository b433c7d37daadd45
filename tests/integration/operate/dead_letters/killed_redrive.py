"""A redrive that ends by SIGKILL at one step; run as a module: ``killed_redrive STEP ID...``.

It is ``hub deadletters redrive --execute`` but for the one call that it wraps: nothing of it has a chance to clean up.
"""

import os
import signal
import sys
from typing import Any

from hub.cli.app import main
from hub.operate.dead_letters import redrive as letter_redrive

STEPS = BEFORE, INTENDED, HANDED, HALF, SENT, MARKED = ("before", "intended", "handed", "half", "sent", "marked")
"""Before anything is durable; after the intents are; with records in the producer's memory only; with the first record
on the log and the others not; with all on the log and no offset marked; when all is done."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _deadly(name: str, after: bool) -> None:
    call = getattr(letter_redrive, name)

    def deadly(*arguments: Any, **named: Any) -> Any:
        if not after:
            _die()
        call(*arguments, **named)
        _die()

    setattr(letter_redrive, name, deadly)


def _flush_then_die(out: Any, one: Any) -> Any:
    handed = _send(out, one)
    out.flush()
    _die()
    return handed


_send = letter_redrive.send_one


def arm(step: str) -> None:
    """Make one step the process's last."""
    match step:
        case "before":
            _deadly("intend", after=False)
        case "intended":
            _deadly("intend", after=True)
        case "handed":
            _deadly("send_all", after=False)
        case "half":
            letter_redrive.send_one = _flush_then_die
        case "sent":
            _deadly("mark", after=False)
        case "marked":
            _deadly("mark", after=True)


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.argv = ["hub", "deadletters", "redrive", *sys.argv[2:], "--reason", "a test", "--execute"]
    main()
