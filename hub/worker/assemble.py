"""Build a worker from the settings (warehouse, decoder, intake, Faust app) and run it until a signal ends it."""

import faulthandler
import logging
import os
import signal
import socket
from datetime import timedelta
from pathlib import Path

import faust
from sqlalchemy import Engine

from hub.config import Settings, limits_of
from hub.embedded.kafka import broker_answers
from hub.embedded.locate import Endpoints
from hub.intake.broker.log import IntakeOptions
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.faults.storms import Storms
from hub.intake.intake import Intake
from hub.intake.prepare import Preparer
from hub.intake.warehouse_port import Store
from hub.model.errors import NotMigratedError, RetryableError, UnreachableError
from hub.model.policies.policy import Policy, load_policy
from hub.model.texts.visible import logging_config
from hub.operate.dead_letters.watch import LOOK_EVERY_S as LETTERS_EVERY_S
from hub.operate.dead_letters.watch import LetterLimits, LetterWatch
from hub.operate.evidence.keeper import EvidenceGate
from hub.operate.log.watch import LOOK_EVERY_S, TopicWatch
from hub.reconcile.fence import Stamp
from hub.reconcile.ledger.check import CHECK_EVERY_S, LedgerCheck
from hub.reconcile.store import WarehouseStore
from hub.reference.holidays import load_calendar
from hub.retry import ENVIRONMENT
from hub.topology import merged_topics
from hub.waiting import Waiting
from hub.warehouse.alerts import open_alerts
from hub.warehouse.bugs import BugStore
from hub.warehouse.chores import ChoreStore
from hub.warehouse.database import open_database, translated_errors
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.setup.roles import WORKER
from hub.warehouse.sources import store_sources
from hub.warehouse.stops import StopStore
from hub.worker.app import AppOptions, build_app
from hub.worker.chores import Chore
from hub.worker.evidence import evidence_chores, evidence_shown
from hub.worker.heartbeat import Heartbeat
from hub.worker.log_throttle import throttle_repetitions

_log = logging.getLogger(__name__)

_LEDGER_YIELDS_S = 20.0
_SIGNALLED = 128
"""The exit code of a process that a signal ended is this plus the signal's number."""


class SignalledWorker(faust.Worker):  # type: ignore[misc, unused-ignore]
    """Faust's worker, which ends in order on a signal and remembers which signal it was, for the exit code."""

    ended_by: signal.Signals | None = None

    async def _stop_on_signal(self, signal: signal.Signals) -> None:
        self.ended_by = signal
        await super()._stop_on_signal(signal)


def run_worker(settings: Settings, places: Endpoints, policy_path: Path) -> int:
    """Run one worker; return the exit code after a signal: 130 or 143.

    Raises:
        ConfigError: policy, calendar or database are not as required.
        LostRangeError: the log does not hold a stored offset.
    """
    faulthandler.register(signal.SIGUSR1)  # `kill -USR1` shows what every thread does, without any value
    policy = load_policy(policy_path)
    throttle_repetitions()
    engine = open_database(places.database_url, settings.database_schema, "hub worker")
    numbers = _ready(settings, places, engine, policy)
    working = open_database(places.database_url, settings.database_schema, "hub worker", role=WORKER)
    stamp = Stamp(f"{socket.gethostname()}:{os.getpid()}", policy.digest)
    store = WarehouseStore(working, stamp, timedelta(hours=policy.parking_deadline_h), policy.breaker.run)
    with GuardedDecoder(settings.decode_timeout_s, settings.decode_memory_mb) as decoder:
        preparer = Preparer(decoder, SourceRules.of(policy, numbers), places.key_secret)
        gate = EvidenceGate()
        notes, chore_notes = BugStore(working, stamp.worker), ChoreStore(working, stamp.worker)
        storms = Storms(StopStore(working, policy.breaker, stamp.worker))
        intake = Intake(
            _intake_options(settings, places),
            preparer,
            Store(store.place, gate.guarded(store.commit), store.releasable, store.attempt, notes, chore_notes),
            storms,
        )
        gate.on_change = evidence_shown(intake.status)
        chores = (
            Chore("ledger", CHECK_EVERY_S, LedgerCheck(working).turn, _LEDGER_YIELDS_S),
            Chore("topics", LOOK_EVERY_S, TopicWatch(working, places.bootstrap).look),
            Chore(
                "dead letters",
                LETTERS_EVERY_S,
                LetterWatch(working, LetterLimits(settings.letters_most, settings.letters_after_s)).look,
            ),
            *evidence_chores(settings, places, (engine, working), gate),
        )
        heartbeat = Heartbeat(working, stamp.worker, intake.status, limits_of(settings))
        app = build_app(_app_options(settings, places), intake, chores, lambda: open_alerts(working), heartbeat)
        _log.info("worker %s, health on http://127.0.0.1:%d/health", stamp.worker, app.conf.web_port)
        return _run(app, intake, settings.log_level)


def _app_options(settings: Settings, places: Endpoints) -> AppOptions:
    folder = settings.data_dir / "worker"
    folder.mkdir(parents=True, exist_ok=True)
    return AppOptions(places.bootstrap, folder, settings.web_port, settings.session_timeout_s)


def _intake_options(settings: Settings, places: Endpoints) -> IntakeOptions:
    return IntakeOptions(
        bootstrap=places.bootstrap,
        group=settings.consumer_group,
        topics=merged_topics(),
        batch_rows=settings.batch_rows,
        poll_ms=settings.poll_ms,
        schema_wait_s=settings.schema_wait_s,
        session_timeout_s=settings.session_timeout_s,
        lanes=settings.lanes,
        batch_target_s=settings.batch_target_s,
    )


def _ready(settings: Settings, places: Endpoints, engine: Engine, policy: Policy) -> dict[str, int]:
    """Wait for the database, the broker and a complete warehouse; return the sources' numbers.

    If only the tables' owner may create tables or store the first policy, wait until that is done.
    """
    working_days = load_calendar(settings.calendar)
    waiting = Waiting()
    for attempt in ENVIRONMENT.retrying(before_sleep=waiting.note_retry):
        with attempt:
            try:
                report = migrate(engine, settings.database_schema, working_days)
                with translated_errors("storing the sources"), engine.begin() as connection:
                    numbers = store_sources(connection, policy)
            except NotMigratedError as error:
                raise RetryableError(str(error)) from error
            if not broker_answers(places.bootstrap):
                raise UnreachableError("no Kafka broker answers; is it up, and is HUB_KAFKA_BOOTSTRAP right?")
    waiting.goes_on()
    made = f", {len(report.added)} tables and columns added" if report.added else ""
    _log.info("warehouse: schema %s at revision %s%s", settings.database_schema, report.revision, made)
    _log.info("policy %s: %d sources", policy.digest[:12], len(numbers))
    _log.info("Kafka: %s, group %s", places.bootstrap, settings.consumer_group)
    return numbers


def _run(app: faust.App, intake: Intake, log_level: str) -> int:
    """Run the app until it ends; Faust always ends with ``SystemExit``."""
    worker = SignalledWorker(app, loglevel="INFO", logging_config=logging_config(log_level), redirect_stdouts=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        if intake.status.ended_by is not None:
            raise intake.status.ended_by from None
        if end.code or worker.ended_by is None:
            raise
    return _SIGNALLED + (worker.ended_by or 0)
