"""The run loop: snapshot, then changes; publish a page, wait for the broker's confirmation, then store the checkpoint.

While the broker takes one page, the next is read and mapped. It is published when the one before is confirmed and its
checkpoint stored. So at most one page is in doubt, and keys keep their order.

If the source or the broker is unreachable, the loop retries for ever. Each try continues from the last checkpoint, so a
page in doubt is sent again with the same event ids. A limit set in the source is retried a few times, then it counts as
configuration. Every wait is logged with its reason and its start. One loop serves all streams of a source in turn.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import tenacity

from connectors.base.port import Connector, Page, Position, Publisher
from connectors.faults import LimitError
from connectors.memory.lock import AnotherConnectorError
from connectors.running.pulse import Pulse
from connectors.running.waits import Waits
from hub.model.errors import HubError, RetryableError
from hub.retry import ENVIRONMENT, RetryPolicy

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class StreamCounts:
    """What a run has done for one stream so far; ``dropped``: published events that lack an optional value."""

    name: str
    published: int = 0
    rejected: int = 0
    dropped: int = 0
    position: Position | None = None
    phase: str = "snapshot"


REST_SHARE = 4
"""After a round without news, pause this many times as long as the round took."""

HELD_BACK_S = 5.0
"""A transaction that holds rows back for less time than this, in seconds, is not reported."""

MORE_REST_S = 2.0
"""The most seconds that a pause exceeds ``poll_s``: a round in which the source was away says nothing of its load."""


class ConnectorRunsError(HubError):
    """Another connector of the same source is running, and the caller does not want to wait for its end."""

    code = "CONNECTOR_RUNS"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run.

    Fields:
        once: stop when no stream has anything new; else run until ``stop`` is set.
        patience_s: with ``once``, how long to wait for transactions that were open in the source when the run began:
            while one is open, rows that others committed earlier may not be readable yet. Also how long to wait for
            another connector of the same source to end.
        poll_s: least pause after a round without news. If the source is slow to answer, the pause is longer, by up to
            ``MORE_REST_S``, so that polls take at most a fifth of the time.
        progress: called after each confirmed page.
        pulse: receives the state of the run.
    """

    once: bool = False
    patience_s: float = 0.0
    poll_s: float = 0.5
    policy: RetryPolicy = ENVIRONMENT
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[StreamCounts], None] = lambda counts: None
    pulse: Pulse = field(default_factory=Pulse)


def run(connectors: Sequence[Connector], publisher: Publisher, options: RunOptions) -> tuple[StreamCounts, ...]:
    """Run all streams of a source until there is nothing new (``once``) or until stopped; return the counts.

    Raises:
        RetryableError: only when the policy gives up.
        ConfigError, PublishError: errors that no retry can repair.
        ConnectorRunsError: with ``once``, another connector of the source runs for longer than ``patience_s``.
    """
    thread = ThreadPoolExecutor(1, "publish")
    streams = [_StreamRun(connector, publisher, options, thread) for connector in connectors]
    try:
        give_up = time.monotonic() + options.patience_s
        while not options.stop.is_set():
            began = time.monotonic()
            # every stream gets its turn, whatever the others found
            moved = [stream.turn() for stream in streams]
            if not options.stop.is_set() and not any(connector.held_back_at() for connector in connectors):
                options.pulse.caught_up()
            if not any(moved):
                if options.once and not _is_worth_waiting(connectors, give_up):
                    break
                options.stop.wait(rest_s(options.poll_s, time.monotonic() - began))
    finally:
        thread.shutdown()
        publisher.close()
        for connector in connectors:
            connector.close()
    return tuple(stream.counts for stream in streams)


def _is_worth_waiting(connectors: Sequence[Connector], give_up: float) -> bool:
    held_back = [connector.name for connector in connectors if connector.is_held_back()]
    if held_back and time.monotonic() >= give_up:
        _log.warning("a transaction has been open in the source since before the run: %s may be unread", held_back)
        return False
    return bool(held_back)


def rest_s(poll_s: float, took_s: float) -> float:
    """Return how many seconds to pause after a poll of ``took_s`` seconds that found nothing new."""
    return max(poll_s, min(REST_SHARE * took_s, poll_s + MORE_REST_S))


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A page that was sent to the broker but may not be confirmed yet."""

    page: Page
    confirmed: Future[None]


class _StreamRun:
    """One stream of the run: its position and what it has done."""

    def __init__(
        self, connector: Connector, publisher: Publisher, options: RunOptions, thread: ThreadPoolExecutor
    ) -> None:
        self._connector = connector
        self._publisher = publisher
        self._options = options
        self._thread = thread
        self._stores = False
        self._position: Position | None = None
        self._is_known = False
        self._limits = 0
        self._give_up = time.monotonic() + options.patience_s
        self._waits = Waits(connector.name, self._keep_wait)
        self.counts = StreamCounts(connector.name)

    def turn(self) -> bool:
        """Read the stream to its high-water mark; tell whether anything was new. Retries until done or stopped."""
        before = self.counts.published + self.counts.rejected
        retrying = self._options.policy.retrying(sleep=self._sleep, before_sleep=self._tell_try)
        for attempt in retrying:
            with attempt:
                if self._options.stop.is_set():
                    return False
                self._once_or_again()
        self._limits = 0
        self._tell_held_back()
        return self.counts.published + self.counts.rejected > before

    def _once_or_again(self) -> None:
        """Do one try: a source's limit is retried a few times; another connector's end is waited for."""
        try:
            self._once()
        except LimitError as error:
            self._limits += 1
            if self._limits >= error.tries:
                raise
            raise RetryableError(error.message) from None
        except AnotherConnectorError as error:
            if self._options.once and time.monotonic() >= self._give_up:
                raise ConnectorRunsError(error.message) from None
            raise

    def _tell_try(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._waits.tell(type(error).__name__, lambda: str(error))

    def _tell_held_back(self) -> None:
        """Report the transaction that the stream waits for; after a finished turn nothing else can hold it."""
        place = self._connector.held_back_at()
        if place is None:
            self._waits.over()
        else:
            self._waits.tell(place, self._connector.held_back_by, HELD_BACK_S)

    def _keep_wait(self, waits_for: str | None, since: datetime) -> None:
        self._options.pulse.waits(self._connector.name, waits_for, since)
        # the state's own database may be what is waited for: then only the log reports it
        with suppress(HubError):
            self._connector.keep_wait(waits_for, since)

    def _sleep(self, seconds: float) -> None:
        # a page in doubt is forgotten: the next try begins at the stored position
        self._is_known = False
        self._options.stop.wait(seconds)

    def _once(self) -> None:
        if not self._is_known:
            self._position = self._connector.stored()
            self._is_known = True
        self._take(self._connector.snapshot(self._position), always=True)
        if self._position is not None and not self._options.stop.is_set():
            self.counts.phase = "changes"
            self._take(self._connector.changes(self._position), always=False)

    def _take(self, pages: Iterator[Page], always: bool) -> None:
        """Publish, then store, page after page; ``always``: also store the positions of empty pages."""
        self._stores = always
        under_way: _UnderWay | None = None
        try:
            for page in pages:
                if under_way is not None:
                    self._settle(under_way)
                if self._options.stop.is_set():
                    return
                under_way = self._begin(page)
            if under_way is not None:
                self._settle(under_way)
        finally:
            # a page still on its way stays ahead of all that is published later, because one thread publishes
            _close(pages)

    def _begin(self, page: Page) -> _UnderWay:
        def publish() -> None:
            if page.records:
                self._publisher.publish(self._connector.topic, page.records)

        return _UnderWay(page, self._thread.submit(publish))

    def _settle(self, under_way: _UnderWay) -> None:
        """Wait for the broker's confirmation, then store the page's position."""
        page = under_way.page
        under_way.confirmed.result()
        # an empty poll writes nothing: a write would move the source's own high-water mark
        is_news = page.is_kept or page.mapping is not None
        self._stores = self._stores or is_news or bool(page.records or page.rejects or page.resolved)
        if self._stores:
            self._connector.checkpoint(page)
        self._count(page)

    def _count(self, page: Page) -> None:
        self._position = page.position
        self._limits = 0
        self.counts.published += len(page.records)
        self.counts.rejected += len(page.rejects)
        self.counts.dropped += len(page.dropped)
        self.counts.position = page.position
        self._options.pulse.turned(len(page.records))
        self._options.progress(self.counts)


def _close(pages: Iterable[Page]) -> None:
    close = getattr(pages, "close", None)
    if close is not None:
        close()
