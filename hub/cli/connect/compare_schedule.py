"""Comparisons by schedule, next to a running connector: in a separate thread, so that no event waits for them."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.access.reading import CHANGES, PHASE
from connectors.declared.declaration import CompareEvery, Kind
from connectors.declared.load import load_declaration
from connectors.memory.compared import ComparisonStore, LastComparison
from connectors.opening import open_context
from connectors.running.publisher import KafkaPublisher
from connectors.streams.context import Context
from hub.cli.connect.one_compare import Repair, SourceCompared, compare_source, subjects_of
from hub.cli.shared.context import warehouse
from hub.config import Settings
from hub.embedded.locate import Endpoints
from hub.model.errors import ConfigError, HubError
from hub.operate.actions import By
from hub.operate.compare.caught_up import CatchUp
from hub.operate.compare.opening import Ways

_log = logging.getLogger(__name__)
SETTLE_S = 300.0
LOOK_EVERY_S = 1.0
AGAIN_AFTER_S = 60.0
"""A failed comparison is tried again after this many seconds, or after its interval if that is shorter."""


class _StoppedError(Exception):
    """The connector ends: stop the comparison."""


@contextmanager
def compared_by_schedule(path: Path, settings: Settings, where: Endpoints, once: bool) -> Iterator[None]:
    """Compare the source of a declaration whenever its schedule says so, until the ``with`` block is left."""
    declared = load_declaration(path).compare
    if declared is None or once:
        yield
        return
    if not where.database_url:
        raise ConfigError(
            ["HUB_DATABASE_URL is not set: `compare` in the declaration needs the warehouse; set it, or remove that"]
        )
    context = open_context(load_declaration(path), where.key_secret, os.environ)
    schedule = Schedule(context, declared, settings, where)
    schedule.start()
    try:
        yield
    finally:
        schedule.stop()
        context.engine.dispose()


class Schedule:
    """Compares a source again and again; results are logged and stored in the connector's state."""

    def __init__(self, context: Context, declared: CompareEvery, settings: Settings, where: Endpoints) -> None:
        self._context, self._declared, self._settings, self._where = context, declared, settings, where
        self._store = ComparisonStore(context.state)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compare", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a running comparison is abandoned at its next page."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                if self._is_due():
                    self._compare()
            except _StoppedError:
                return
            except HubError as error:
                _log.warning("comparison of %s failed: %s", self._context.declaration.code, error.message)
                self._failed(error)

    def _is_due(self) -> bool:
        last = self._store.last()
        if last is not None:
            wait_s = self._declared.every_s
            if last.equal is None:
                wait_s = min(wait_s, AGAIN_AFTER_S)
            if datetime.now(UTC) < last.at + timedelta(seconds=wait_s):
                return False
        # until the first reading is over, all that is still unread would only be called on its way
        tables = [stream.name for stream in self._context.declaration.streams if stream.kind is Kind.TABLE]
        positions = [self._context.state.position(name) for name in tables]
        return all(position is not None and position.get(PHASE) == CHANGES for position in positions)

    def _compare(self) -> None:
        began = time.monotonic()
        code = self._context.declaration.code
        subjects, _ = subjects_of(self._context, None)
        engine = warehouse(self._settings, self._where, "hub connect run")
        publisher = KafkaPublisher(self._where.bootstrap, f"hub-compare-{code}")
        by = By(f"connector {code}", "comparison by schedule") if self._declared.repair else None
        repair = Repair(self._declared.allow_gone, by, publisher, partly=True) if by else None
        ways = Ways(CatchUp(self._where.bootstrap, SETTLE_S, self._sleep), self._tell)
        try:
            done = compare_source(self._context, engine, self._where, ways, subjects, repair)
        finally:
            publisher.close()
            engine.dispose()
        self._keep(done, time.monotonic() - began)

    def _keep(self, done: SourceCompared, took_s: float) -> None:
        refusals = [f"{plan.subject}: {plan.refusal}" for plan in done.plans.values() if plan.refusal]
        counts = {one.subject: {kind.value: count for kind, count in one.counts.items() if count} for one in done.found}
        last = LastComparison(datetime.now(UTC), took_s, done.is_equal, counts, "; ".join(refusals))
        self._store.save(last)
        level = logging.INFO if done.is_equal else logging.WARNING
        _log.log(level, "comparison of %s: %s, %s %s", done.source, done.conclusion, counts, last.problem)

    def _failed(self, error: HubError) -> None:
        try:
            self._store.save(LastComparison(datetime.now(UTC), 0.0, None, {}, f"{error.code}: {error.message}"))
        except HubError:
            # the source is unreachable: the next look finds out
            self._stop.wait(AGAIN_AFTER_S)

    def _tell(self, what: str, done: int, total: int | None) -> None:
        if self._stop.is_set():
            raise _StoppedError

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _StoppedError
