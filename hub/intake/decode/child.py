"""The child process that parses bytes from outside; only ``hub.intake.decode.decoder`` starts it.

It has no network connection, no credential and a memory limit. It ends when its parent ends, because its standard input
then ends. If it hangs at that moment, an alarm of the operating system ends it, which no hanging library can block.
"""

import os
import resource
import signal
import sys
import traceback
from typing import IO

from hub.codec.catalogue import Catalogue
from hub.intake.decode.batch import Phase, decode_batch
from hub.intake.decode.link import Link, Request

_ROWS_PER_ALARM = 256
READY = b"ready\n"
BUG = b"bug "
"""Beginning of a reply line that reports an error in the child which no input may cause."""


def main(arguments: list[str], catalogue: Catalogue | None = None) -> None:
    """Serve the parent until it closes the pipe.

    Args:
        arguments: the memory limit in MB, then the descriptors of the link's files.
        catalogue: the schemas; by default the project's.
    """
    memory_mb, *descriptors = map(int, arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when Ctrl-C ends the work
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limit = memory_mb * 1_048_576
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(Link(descriptors), sys.stdin.buffer, _own_output(), catalogue)


def serve(link: Link, requests: IO[bytes], replies: IO[bytes], catalogue: Catalogue | None = None) -> None:
    """Answer requests, one at a time, until the input ends."""
    _say(replies, READY)
    for line in iter(requests.readline, b""):
        request = Request.of_line(line)
        _say(replies, _answer(link, request, catalogue))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(link: Link, request: Request, catalogue: Catalogue | None) -> bytes:
    def mark(phase: Phase, number: int) -> None:
        link.mark(phase, number)
        if phase is not Phase.ROW or number % _ROWS_PER_ALARM == 0:
            signal.setitimer(signal.ITIMER_REAL, request.limit_s)

    try:
        mark(Phase.IDLE, 0)
        values = link.values(request.size)
        decoded = decode_batch(request.subject, values, mark, request.blocks, frozenset(request.skip), catalogue)
        return link.put_decoded(decoded)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - top of the process: the parent raises it
        # Send the places only: an exception's text may hold personal data.
        places = [f"{place.filename}:{place.lineno}" for place in traceback.extract_tb(error.__traceback__)]
        return BUG + f"{type(error).__name__} at {' < '.join(reversed(places))}\n".encode()


def _say(replies: IO[bytes], line: bytes) -> None:
    replies.write(line)
    replies.flush()


def _own_output() -> IO[bytes]:
    """Reserve standard output for replies: nothing that a library prints may come between them."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


if __name__ == "__main__":
    main(sys.argv[1:])
