"""The demo from start to end: before midnight, an outage, midnight, a killed worker, and the final account."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import psycopg

from hub.config import Settings
from hub.demo import doubts, poison, portal
from hub.demo.catalogue import load_catalogue_of_procedures
from hub.demo.children import Child
from hub.demo.operator import play_operator
from hub.demo.report import Outage, Report, fetch_report
from hub.demo.sources.load import libpq_url
from hub.demo.stage import Say, Stage
from hub.demo.story import Story, make_story
from hub.demo.watch import Watch, is_drained, wait_until
from hub.operate.units.load import load_units

_DOWN_S = 3.0
"""How many seconds PostgreSQL stays stopped."""
_DRAIN_LIMIT_S = 240.0
_SOURCES_BEFORE = ("dancu", "hanam", "namdinh", "ninhbinh")
_SOURCES_AFTER = ("dungchung", "dancu-2025", "hanam", "namdinh", "ninhbinh")
_REPEATED = 200


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo is to run; ``operator``: with the operator's act after midnight."""

    scale: float
    keep: bool
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The report, and the processes that were left running (``keep``)."""

    report: Report
    kept: tuple[int, ...]


def run_demo(settings: Settings, options: Options, say: Say) -> Ended:
    """Play the whole demo and return its account.

    Args:
        settings: with the demo's own data folder; its content is deleted.
        options: scale and what to keep.
        say: receives short lines of progress.

    Raises:
        HubError: a part did not do what it should; the message says which one, and where its log is.
    """
    began = time.monotonic()
    with Stage(settings, say) as stage, ThreadPoolExecutor(max_workers=1) as threads:
        writing = threads.submit(make_story, options.scale)
        stage.set_up()
        worker, share = (stage.start(name, name, stays=True) for name in ("worker", "share"))
        story = writing.result()
        with Watch(stage.where, stage.schema, stage.check) as watch:
            outages = [_before_midnight(stage, story, watch)]
            wait_for_drain(stage)
            again, outage = _midnight(stage, story, watch, worker)
            outages.append(outage)
            doubts.raise_doubts(stage, story)
            say("everything is sent; waiting until the last record has its outcome")
            wait_for_drain(stage)
            span_s = watch.span_s()
        act = play_operator(stage, story, wait_for_drain) if options.operator else None
        say("every record has its outcome; waiting for share")
        shown = portal.wait_until_equal(stage)
        report = fetch_report(stage, span_s, time.monotonic() - began, outages, shown)
        report = replace(report, operator=act)
        if options.keep:
            stage.keep()
        return Ended(report, (again.ref.pid, share.ref.pid) if options.keep else ())


def wait_for_drain(stage: Stage) -> None:
    """Wait until every record has its outcome; check meanwhile that worker and share still run."""

    def drained() -> bool:
        stage.check()
        return is_drained(stage.where, stage.schema)

    wait_until(drained, _DRAIN_LIMIT_S, "records are still waiting")


def _before_midnight(stage: Stage, story: Story, watch: Watch) -> Outage:
    """Fill the sources, run their connectors, and stop PostgreSQL in the middle."""
    stage.say(f"30 June 2025: {len(story.people):,} people, {len(story.dossiers):,} dossiers go into five databases")
    with ThreadPoolExecutor(max_workers=1) as threads:
        units = threads.submit(load_units, stage.where)
        rows = stage.load(story, "before")
        procedures = load_catalogue_of_procedures(stage.where)
        stage.say(f"{rows:,} rows; {units.result():,} units and {procedures} procedures published")
    connectors = stage.run_connectors(_SOURCES_BEFORE)
    stage.say("four connectors publish; the worker reconciles")
    so_far = watch.consumed
    watch.wait_for(so_far + len(story.people) // 3, _DRAIN_LIMIT_S)
    before, since = watch.read_now(), time.monotonic()
    stage.engine.stop_postgres(immediate=True)
    stage.say(f"PostgreSQL is stopped (immediate mode) for at least {_DOWN_S:.0f} s")
    time.sleep(_DOWN_S)
    stage.engine.start_postgres()
    up = time.monotonic()
    back = watch.wait_for_growth(up, before, _DRAIN_LIMIT_S)
    stage.say(f"PostgreSQL is back after {up - since:.1f} s; the worker went on after {back - since:.1f} s")
    stage.wait_for(connectors)
    return Outage("PostgreSQL stopped and started", back - since)


def _midnight(stage: Stage, story: Story, watch: Watch, worker: Child) -> tuple[Child, Outage]:
    """Let the new system take over; send late, broken and repeated records; kill the worker meanwhile."""
    stage.say("1 July 2025, 00:00: the new shared system of Ninh Bình takes over")
    rows = stage.load(story, "after")
    _forget_position(stage.urls["hanam"])
    since = time.monotonic()
    worker.kill()
    before = watch.read_now()
    stage.say("the worker is killed (SIGKILL)")
    connectors = stage.run_connectors(_SOURCES_AFTER)
    again = stage.start("worker-again", "worker", stays=True)
    bad = poison.send_bad_records(stage.where, story.people[0], story.people[1])
    repeated = poison.send_again(stage.where, "citizen.changed", _REPEATED)
    stage.say(f"{rows:,} later rows, {bad} bad records, {repeated} repeats; Hà Nam sends all again; a worker starts")
    back = watch.wait_for_growth(since, before, _DRAIN_LIMIT_S)
    stage.say(f"the worker went on after {back - since:.1f} s")
    stage.wait_for(connectors)
    return again, Outage("worker killed and started", back - since)


def _forget_position(url: str) -> None:
    """Delete a connector's position, as if its last acknowledgement was lost: it will send everything again."""
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute("DROP SCHEMA hub_connector CASCADE")
