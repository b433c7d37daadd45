"""The guarded decoder turns bytes from outside into columns, whatever the bytes are.

A child process with a memory limit parses them (``hub.intake.decode.child``). This module starts and watches the child,
and replaces it if it hangs or dies. A batch is first decoded in blocks. If the child does not survive that, a new child
decodes the batch record by record. A record that the new child does not survive is a suspect and is left out. At the
end each suspect is tried once more, alone, so that a record is not blamed for a machine that hung. Only if it fails
again is it poison: DECODER_TIMEOUT or DECODER_CRASH.

The child counts as hung after a fifth of the time limit without progress. So a record that always hangs the decoder (in
its block, by itself, and by itself again) costs less than the limit and three starts of a child.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import polars as pl

from hub.codec.catalogue import Catalogue, SchemaVersion, load_catalogue
from hub.intake.decode.batch import Phase
from hub.intake.decode.child import BUG, READY
from hub.intake.decode.decoded import Decoded, Poison
from hub.intake.decode.link import Link, Request
from hub.intake.decode.logical import ROW, empty_frame
from hub.model.errors import HubError, RetryableError
from hub.model.outcomes import Reason

__all__ = ["Decoded", "DecoderBugError", "GuardedDecoder", "Poison"]

_START_LIMIT_S = 60.0
_STANDSTILLS_PER_LIMIT = 5
_LOOKS_PER_STANDSTILL = 5
_THREADS = "1"


class DecoderBugError(HubError):
    """The child met an error that no input may cause: a bug of the hub. The worker stops."""

    code = "DECODER_BUG"


class _ChildLostError(Exception):
    """The child hung or died; says what it was doing."""

    def __init__(self, reason: Reason, phase: Phase, number: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.phase = phase
        self.number = number


class GuardedDecoder:
    """Decodes batches in a child process; a context manager that starts and ends the child.

    ``decode`` blocks; only one thread may use a decoder at a time.
    """

    def __init__(
        self,
        timeout_s: float,
        memory_mb: int,
        child_module: str = "hub.intake.decode.child",
        catalogue: Catalogue | None = None,
    ) -> None:
        """Take the limits.

        Args:
            timeout_s: see the module's docstring.
            memory_mb: the child's memory limit.
            child_module: the module that runs as the child.
            catalogue: the schemas, if they are not the project's; the child must use the same.
        """
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._module = child_module
        self._catalogue = catalogue
        self._link: Link | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._asked = False  # true while an answer is due: after an interrupted call, the next must not get it
        self.restarts = 0

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def child_id(self) -> int | None:
        """The child's process id, for tests and for people who look."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End the child. The decoder may be used again: it starts a new child, which reads the schemas again."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None
        if self._link is not None:
            self._link.close()
            self._link = None

    def decode(self, subject: str, values: Sequence[bytes | None]) -> Decoded:
        """Decode the values of one subject's records, in the given order.

        Returns:
            Every index of ``values`` once, in the frame or in the poison.

        Raises:
            RetryableError: no child could be started, or none stays alive.
            DecoderBugError: the decoder itself is broken.
        """
        latest = (self._catalogue or load_catalogue()).latest(subject)
        try:
            return self._ask(latest, values, blocks=True)
        except _ChildLostError:
            return self._decode_by_row(latest, values)

    def _decode_by_row(self, latest: SchemaVersion, values: Sequence[bytes | None]) -> Decoded:
        suspects: list[int] = []
        while True:
            try:
                decoded = self._ask(latest, values, blocks=False, skip=tuple(suspects))
                break
            except _ChildLostError as lost:
                if lost.phase is not Phase.ROW:
                    return self._decode_in_halves(latest, values, lost)
                if lost.number in suspects or lost.number >= len(values):
                    raise DecoderBugError("the decoding process was lost at a record that it was not given") from lost
                suspects.append(lost.number)
        return _merged([decoded, *(self._decode_alone(latest, values, row) for row in suspects)])

    def _decode_alone(self, latest: SchemaVersion, values: Sequence[bytes | None], row: int) -> Decoded:
        try:
            decoded = self._ask(latest, [values[row]], blocks=False)
        except _ChildLostError as lost:
            return _blamed(latest, row, lost)
        return _shifted(decoded, row)

    def _decode_in_halves(
        self, latest: SchemaVersion, values: Sequence[bytes | None], lost: _ChildLostError
    ) -> Decoded:
        """Decode in halves: the child read the records but could not make a frame, because they were too many."""
        if len(values) == 1:
            if lost.phase is Phase.IDLE:
                raise RetryableError("the decoding process dies before it begins")
            return _blamed(latest, 0, lost)
        half = len(values) // 2
        parts = [self._decode_by_row(latest, values[:half]), self._decode_by_row(latest, values[half:])]
        return _merged([parts[0], _shifted(parts[1], half)])

    def _ask(
        self, latest: SchemaVersion, values: Sequence[bytes | None], blocks: bool, skip: tuple[int, ...] = ()
    ) -> Decoded:
        child = self._child
        if child is None or child.poll() is not None or self._link is None or self._asked:
            self._start()
            child = self._child
        if child is None or child.stdin is None or self._link is None:
            raise RetryableError("the decoding process is gone")
        link = self._link
        link.mark(Phase.IDLE, 0)
        self._asked = True
        request = Request(latest.subject, link.put_values(values), blocks, skip, self._timeout_s + _START_LIMIT_S)
        try:
            child.stdin.write(request.line())
            child.stdin.flush()
        except BrokenPipeError:
            raise self._lost(Reason.DECODER_CRASH) from None
        line = self._reply(child, self._timeout_s / _STANDSTILLS_PER_LIMIT)
        self._asked = False
        if line.startswith(BUG):
            raise DecoderBugError(line.removeprefix(BUG).decode().strip())
        decoded = link.decoded(line, latest)
        if decoded.frame.height + len(decoded.poison) + len(skip) != len(values):
            raise DecoderBugError("a batch came back with a different number of records")
        return decoded

    def _reply(self, child: subprocess.Popen[bytes], standstill_s: float) -> bytes:
        """Return the child's next line; raise if it dies, or if it makes no progress for ``standstill_s``."""
        if child.stdout is None or self._link is None:
            raise RetryableError("the decoding process is gone")
        seen = self._link.progress()
        since = time.monotonic()
        output = child.stdout.fileno()
        while b"\n" not in self._unread:
            ready, _, _ = select.select([output], [], [], standstill_s / _LOOKS_PER_STANDSTILL)
            if ready:
                content = os.read(output, 1 << 20)
                if not content:
                    raise self._lost(Reason.DECODER_CRASH)
                self._unread += content
                since = time.monotonic()
                continue
            now = self._link.progress()
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > standstill_s:
                raise self._lost(Reason.DECODER_TIMEOUT)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _lost(self, reason: Reason) -> _ChildLostError:
        phase, number = self._link.progress() if self._link is not None else (Phase.IDLE, 0)
        self.close()
        self.restarts += 1
        return _ChildLostError(reason, phase, number)

    def _start(self) -> None:
        self.close()
        self._unread = b""
        self._asked = False
        link = self._link = Link()
        arguments = [str(self._memory_mb), *map(str, link.descriptors)]
        # The child gets a new environment, without the worker's credentials.
        environment = {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "POLARS_MAX_THREADS": _THREADS,
            "RUST_BACKTRACE": "0",
        }
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", self._module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a library's panic message may hold data
            pass_fds=link.descriptors,
            env=environment,
        )
        try:
            line = self._reply(self._child, _START_LIMIT_S)
        except _ChildLostError as lost:
            raise RetryableError(f"the decoding process did not start ({lost.reason})") from None
        if line + b"\n" != READY:
            raise DecoderBugError("the decoding process sent a reply before it was ready")


def _blamed(latest: SchemaVersion, row: int, lost: _ChildLostError) -> Decoded:
    detail = f"the decoding process was lost twice at this record, last in phase {lost.phase.name}"
    return Decoded(empty_frame(latest), (Poison(row, lost.reason, None, detail),), "row")


def _shifted(decoded: Decoded, by: int) -> Decoded:
    poison = tuple(Poison(p.row + by, p.reason, p.schema_id, p.detail) for p in decoded.poison)
    return Decoded(decoded.frame.with_columns(pl.col(ROW) + pl.lit(by, pl.UInt32())), poison, decoded.path)


def _merged(parts: list[Decoded]) -> Decoded:
    poison = sorted((found for part in parts for found in part.poison), key=lambda found: found.row)
    return Decoded(pl.concat([part.frame for part in parts]).sort(ROW), tuple(poison), "row")
