"""Put a worker together from the settings: warehouse, decoder, intake, Faust app; and run it until a signal ends it."""

import logging
import os
import socket
from pathlib import Path

import faust

from hub.config import Settings
from hub.embedded.locate import Endpoints
from hub.intake.check import SourceRules
from hub.intake.decoder import GuardedDecoder
from hub.intake.intake import Intake, Store
from hub.intake.log import IntakeOptions
from hub.intake.prepare import Preparer
from hub.model.policy import load_policy
from hub.reconcile.merge import Stamp
from hub.reconcile.store import WarehouseStore
from hub.retry import ENVIRONMENT
from hub.streams.app import AppOptions, build_app
from hub.topology import merged_topics
from hub.warehouse.database import open_database, translated_errors
from hub.warehouse.migrate import migrate
from hub.warehouse.sources import store_sources

_log = logging.getLogger(__name__)


def run_worker(settings: Settings, places: Endpoints, policy_path: Path) -> None:
    """Run one worker; returns (or exits the process) when a signal ends it.

    Raises:
        ConfigError: policy or database are not as they must be.
    """
    policy = load_policy(policy_path)
    engine = open_database(places.database_url, settings.database_schema, "hub worker")
    for attempt in ENVIRONMENT.retrying():
        with attempt:
            migrate(engine, settings.database_schema)
            with translated_errors("storing the sources"), engine.begin() as connection:
                numbers = store_sources(connection, policy)
    stamp = Stamp(f"{socket.gethostname()}:{os.getpid()}", policy.digest)
    store = WarehouseStore(engine, stamp)
    with GuardedDecoder(settings.decode_timeout_s, settings.decode_memory_mb) as decoder:
        preparer = Preparer(decoder, SourceRules.of(policy, numbers), places.key_secret)
        options = IntakeOptions(
            bootstrap=places.bootstrap,
            group=settings.consumer_group,
            topics=merged_topics(),
            batch_rows=settings.batch_rows,
            poll_ms=settings.poll_ms,
            schema_wait_s=settings.schema_wait_s,
            session_timeout_s=settings.session_timeout_s,
        )
        intake = Intake(options, preparer, Store(store.place, store.commit))
        folder = settings.data_dir / "worker"
        folder.mkdir(parents=True, exist_ok=True)
        app = build_app(AppOptions(places.bootstrap, folder, settings.web_port, settings.session_timeout_s), intake)
        _log.info("worker %s, health on http://127.0.0.1:%d/health", stamp.worker, app.conf.web_port)
        faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
