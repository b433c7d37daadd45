"""The worker as a Faust app: Faust gives the process, supervision and web port; the intake is a service inside it.

Faust acknowledges an event even if its agent raised an error. So nothing that must reach the warehouse passes through
an agent: the intake has its own consumer and the transaction of ``hub.reconcile`` (docs/decisions/0003-faust.md).
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
from faust.web import Request, View
from mode import Service

from hub.intake.broker.log import HEARTBEATS_PER_SESSION
from hub.intake.chore_runs import run_chore
from hub.intake.intake import Intake
from hub.model.errors import HubError, RetryableError
from hub.topology import WORKER_APP
from hub.warehouse.alerts import Raised, alert_as_json
from hub.worker.activity import ANNOUNCE_EVERY_S, Activity, add_activity
from hub.worker.chores import Chore, run_chores
from hub.worker.heartbeat import Heartbeat, add_heartbeat_agent
from hub.worker.transport import Transport


@dataclass(frozen=True, slots=True)
class AppOptions:
    """Where the app finds Kafka, keeps its files and serves its pages (on loopback; port 0: a free one).

    The intake starts after the app, so the app's group must not wait longer for a killed worker than the intake's
    group.
    """

    bootstrap: str
    data_dir: Path
    web_port: int
    session_timeout_s: float


class _App(faust.App):  # type: ignore[misc, unused-ignore]
    """A Faust app that reads with the hub's own consumer."""

    logger = faust.App.logger

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)


def build_app(
    options: AppOptions,
    intake: Intake,
    chores: Sequence[Chore] = (),
    alerts: Callable[[], list[Raised]] = list,
    heartbeat: Heartbeat | None = None,
) -> faust.App:
    """Return the app that runs an intake and chores, and shows its health on ``/health``.

    Args:
        options: see ``AppOptions``.
        intake: the intake.
        chores: what else the worker does periodically.
        alerts: reads the open alerts for ``/alerts``; blocks, and raises RetryableError.
        heartbeat: runs as long as the app.
    """
    app = _App(
        WORKER_APP,
        broker=f"kafka://{options.bootstrap.replace(',', ';kafka://')}",
        store="memory://",
        autodiscover=False,
        topic_disable_leader=True,
        web_host="127.0.0.1",
        web_bind="127.0.0.1",
        web_port=options.web_port or free_port(),
        datadir=str(options.data_dir),
        broker_max_poll_interval=300.0,
        broker_session_timeout=options.session_timeout_s,
        broker_heartbeat_interval=options.session_timeout_s / HEARTBEATS_PER_SESSION,
    )

    activity = add_activity(app)
    intake.on_committed = activity.announce
    _add_services(app, intake, activity, chores, heartbeat)
    if heartbeat is not None:
        add_heartbeat_agent(app, heartbeat.hear)
    _add_pages(app, intake, activity)
    _add_alerts(app, alerts)
    return app


def _add_services(
    app: faust.App, intake: Intake, activity: Activity, chores: Sequence[Chore], heartbeat: Heartbeat | None
) -> None:
    notes = intake.chore_notes

    @app.service
    class IntakeService(Service):  # type: ignore[misc, unused-ignore]
        """The intake as a service of the worker: they start, stop and fail together."""

        @Service.task
        async def consume(self) -> None:
            await _run_or_end(intake)

        @Service.task
        async def announce(self) -> None:
            await run_chore("activity of sources", ANNOUNCE_EVERY_S, activity.send, notes)

        @Service.task
        async def do_chores(self) -> None:
            await run_chores(chores, intake.is_pressed, notes)

        @Service.task
        async def beat(self) -> None:
            if heartbeat is not None:
                await heartbeat.run(notes)

    _ = IntakeService


async def _run_or_end(intake: Intake) -> None:
    """Run the intake; an error of the hub's own kinds, which the intake keeps, ends the worker as a signal does.

    Raised here, it would be a crash to Faust, which logs it with all its tracebacks.
    """
    try:
        await intake.run()
    except HubError:
        if intake.status.ended_by is None:
            raise
        signal.raise_signal(signal.SIGTERM)


def _add_pages(app: faust.App, intake: Intake, activity: Activity) -> None:
    @app.page("/health")
    class Health(View):  # type: ignore[misc, unused-ignore]
        """200 while the intake works, 503 while it waits for a server."""

        async def get(self, request: Request) -> Any:
            report = health(intake)
            return self.json(report, status=200 if report["healthy"] else 503)

    @app.page("/sources")
    class Sources(View):  # type: ignore[misc, unused-ignore]
        """This worker's part of the source table: events and newest times, by source."""

        async def get(self, request: Request) -> Any:
            return self.json({code: dict(seen) for code, seen in activity.table.items()})

    _ = (Health, Sources)


def _add_alerts(app: faust.App, alerts: Callable[[], list[Raised]]) -> None:
    @app.page("/alerts")
    class Alerts(View):  # type: ignore[misc, unused-ignore]
        """The open alerts of the warehouse, from all workers; 503 while PostgreSQL cannot be asked."""

        async def get(self, request: Request) -> Any:
            try:
                found = await asyncio.to_thread(alerts)
            except RetryableError as error:
                return self.json({"alerts": None, "why": str(error)}, status=503)
            return self.json({"alerts": [alert_as_json(one) for one in found]})

    _ = Alerts


def health(intake: Intake) -> dict[str, object]:
    """Return what the health page shows."""
    status = intake.status
    waiting = status.longest_wait()
    return {
        "healthy": waiting is None,
        "consumed": status.consumed,
        "batches": status.batches,
        "partitions": status.partitions,
        "waiting_for": waiting.why if waiting else None,
        "waiting_s": round(time.time() - waiting.since, 1) if waiting else None,
        "stopped": dict(status.stopped),
    }


def free_port() -> int:
    """Return a port on loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
