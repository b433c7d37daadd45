"""How the views of share look: its state, what it set aside, what it is asked for. Fits 100 columns."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from hub.cli.shared.duration import duration
from hub.cli.shared.screen import plain, styled
from hub.model.processes import Condition
from hub.operate.share_republish import RepublishPlan
from hub.share.blocked import words_of
from hub.share.delay import Delay
from hub.share.report import ShareReport
from hub.share.set_aside import Aside
from hub.topology import shared_topics


def delay_table(delays: Sequence[Delay]) -> Table:
    """Render what share still has to publish, by topic; topics without a delay are left out."""
    table = Table(box=None, pad_edge=False)
    table.add_column("share behind", no_wrap=True, overflow="fold")
    table.add_column("rows", justify="right")
    table.add_column("oldest", justify="right")
    for one in delays:
        if one.rows:
            table.add_row(one.name, f"{one.rows:,}", duration(one.delay_s))
    return table


def told(report: ShareReport) -> Iterator[RenderableType]:
    """Yield what there is to say about share, part by part."""
    yield from _shares(report)
    table = delay_table(report.delays)
    yield table if table.row_count else "share is not behind: it has seen all that is merged"
    yield from troubles(report)
    yield from (plain(str(one)) for one in report.added)
    for one in report.requests:
        when = f"{one.asked_at:%Y-%m-%d %H:%M}"
        yield f"publishes {one.name} again: {one.done:,} of {one.total:,}, asked by {one.actor} at {when}: {one.reason}"


def troubles(report: ShareReport) -> Iterator[RenderableType]:
    """Yield what an operator must know: topics that are blocked or were created again, records set aside."""
    for blocked in report.blocked.values():
        yield styled("[red]{}[/red] is {}", blocked.topic, words_of(blocked))
    for topic, detail in report.anew.items():
        yield styled("[red]{}[/red]: {}", topic, detail)
    for topic, count in report.set_aside.items():
        yield styled("[yellow]set aside: {:,}[/yellow] of {}; `hub share set-aside` names the keys", count, topic)


def _shares(report: ShareReport) -> Iterator[RenderableType]:
    shown = [one for one in report.processes if one.condition is not Condition.ENDED]
    if not shown:
        yield styled("[red]no share runs[/red]: `hub share` publishes")
    for one in shown:
        beat = one.beat
        if one.condition is Condition.WAITS and beat.waits_since is not None:
            since = f"{beat.waits_since:%Y-%m-%d %H:%M:%S}"
            yield styled("[yellow]share {} waits[/yellow] since {} UTC: {}", beat.name, since, beat.waits_for)
        elif one.condition is Condition.RUNS:
            yield f"share {beat.name} runs since {beat.began_at:%Y-%m-%d %H:%M:%S} UTC: {beat.doing}"
        else:
            yield styled(
                "[red]share {} {}[/red]: heard of {} ago", beat.name, one.condition.value, duration(one.silent_s)
            )


def aside_table(asides: Sequence[Aside]) -> Table:
    """Render what is set aside."""
    table = Table(box=None, pad_edge=False)
    table.add_column("key or place", no_wrap=True, overflow="fold")
    for heading in ("of", "reason", "since (UTC)", "tries", "detail", "closed"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "tries" else "left")
    names = {topic: name for name, topic in shared_topics().items()}
    for one in asides:
        closed = f"{one.closed_at:%m-%d %H:%M}" if one.closed_at else ""
        of_topic = names.get(one.topic, one.topic)
        row = (one.item, of_topic, one.reason, f"{one.since:%m-%d %H:%M}", str(one.tries), one.detail, closed)
        table.add_row(*row)
    return table


def aside_as_json(one: Aside) -> dict[str, Any]:
    """Return one record that is set aside as JSON values."""
    return {
        "topic": one.topic,
        "item": one.item,
        "key": one.key and str(one.key),
        "reason": one.reason,
        "detail": one.detail,
        "value_bytes": one.value_bytes,
        "since": one.since.isoformat(),
        "tried_at": one.tried_at.isoformat(),
        "tries": one.tries,
        "closed_at": one.closed_at and one.closed_at.isoformat(),
    }


def plan_told(plan: RepublishPlan) -> Iterator[RenderableType]:
    """Yield the lines of a plan to publish again."""
    if plan.is_anew:
        yield styled("[red]{}[/red] was created again: it lacks what was published before", plan.topic)
    some = "" if plan.keys is None else f" of {len(plan.keys):,} keys asked for"
    yield f"{plan.amount.records:,} records{some}, {plan.amount.tombstones:,} of them tombstones, to {plan.topic}"
    if plan.under_way is not None:
        yield f"under way already: {plan.under_way.done:,} of {plan.under_way.total:,}; --execute goes on with it"


def plan_as_json(plan: RepublishPlan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return {
        "name": plan.name,
        "topic": plan.topic,
        "topic_id": str(plan.topic_id),
        "made_anew": plan.is_anew,
        "keys": None if plan.keys is None else [str(key) for key in plan.keys],
        "records": plan.amount.records,
        "tombstones": plan.amount.tombstones,
        "under_way": plan.under_way and {"id": plan.under_way.id, "done": plan.under_way.done},
    }
