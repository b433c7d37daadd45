"""How the demo's account looks on a terminal: at a glance, in 100 columns."""

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hub.cli.shared.screen import plain, styled
from hub.demo.operator import OperatorReport
from hub.demo.report import Report
from hub.model.outcomes import Outcome
from hub.operate.ledger.balance import totals_by_topic
from hub.operate.ledger.quality import totals
from hub.topology import subject_of

_NBSP = "\N{NO-BREAK SPACE}"

_HEADS = {
    Outcome.APPLIED: "applied",
    Outcome.SUPERSEDED: "supers.",
    Outcome.DUPLICATE: "duplic.",
    Outcome.STALE: "stale",
    Outcome.PARKED: "parked",
    Outcome.REJECTED: "reject.",
    Outcome.DEAD_LETTERED: "dead",
}


def render(report: Report) -> RenderableType:
    """Return the account as tables and a verdict."""
    return Group(
        styled("\n[bold]midnight in Ninh Bình: every record and what became of it[/bold]"),
        _ledger(report),
        _facts(report),
        *_refusals(report),
        _verdict(report),
    )


def _ledger(report: Report) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), show_footer=True)
    topics = totals_by_topic(list(report.ledger))
    table.add_column("subject", footer="all", no_wrap=True)
    table.add_column("consumed", footer=_number(report.consumed), justify="right", no_wrap=True)
    for outcome in Outcome:
        count = sum(row.outcomes[outcome] for row in topics)
        table.add_column(_HEADS[outcome], footer=_number(count), justify="right", no_wrap=True)
    table.add_column("balanced", footer=_yes(report.is_balanced), justify="right", no_wrap=True)
    for row in topics:
        counts = (_number(row.outcomes[outcome]) for outcome in Outcome)
        table.add_row(subject_of(row.topic), _number(row.consumed), *counts, _yes(row.balanced))
    return table


def _facts(report: Report) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title_justify="left")
    for shown in report.portal:
        same = "equal to the warehouse" if not shown.differing else styled("[red]{:,} differ[/red]", shown.differing)
        table.add_row(
            f"{shown.entity} records", f"{shown.records:,}", styled("on the portal {:,}: {}", shown.on_portal, same)
        )
    fields = ", ".join(f"{aspect} {count:,}" for aspect, count in report.conflicts.items())
    table.add_row("open conflicts", f"{sum(report.conflicts.values()):,}", f"sources disagree: {fields}")
    table.add_row("conflicts closed", f"{report.conflicts_closed:,}", "by themselves: the sources agree again")
    table.add_row("open reviews", f"{sum(report.reviews.values()):,}", _counted(report.reviews))
    table.add_row("decided", f"{report.decided:,}", "questions that an officer has answered")
    flagged = {one.source: one.flagged for one in report.quality.sources if one.flagged}
    table.add_row("flagged events", f"{sum(flagged.values()):,}", _counted(flagged))
    table.add_row("", "", _counted({str(flag.name): count for flag, count in totals(report.quality.sources).items()}))
    standing = report.quality.standing
    table.add_row("standing flags", f"{sum(standing.values()):,}", _counted(standing))
    table.add_row("released", f"{report.released:,}", "records that were parked until their reference came")
    table.add_row("dead letters", f"{report.dead_letters:,}", "kept with their reason; no other record was lost")
    table.add_row("set aside", f"{report.set_aside:,}", "rows that a connector could not map")
    for outage in report.outages:
        table.add_row("outage", f"{outage.seconds:.1f} s", outage.what)
    if report.operator is not None:
        for name, figure, told in _operator(report.operator):
            table.add_row(name, figure, told)
    table.add_row(
        "events/s", f"{report.events_per_s:,.0f}", f"{report.consumed:,} in {report.busy_s:.1f} s with outages"
    )
    table.add_row("wall time", f"{report.wall_s:.1f} s", "engine, sources, events, comparison")
    return table


def _operator(act: OperatorReport) -> Iterator[tuple[str, str, str | Text]]:
    yield "bad mapping", f"{act.conflicts_wrong - act.conflicts_before:,}", f"new conflicts: {_counted(act.suspects)}"
    back = "as before" if act.conflicts_switched == act.conflicts_before else styled("[red]not as before[/red]")
    yield (
        f"replay {act.replay}",
        f"{act.rows:,}",
        styled("rows changed, {:,} records published; conflicts {}", act.published, back),
    )
    whole = "nothing is missing" if act.is_ledger_whole else styled("[red]something is missing[/red]")
    yield (
        "redriven",
        f"{act.redriven:,}",
        styled("dead letter, edited and approved by a second person; ledger: {}", whole),
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}{_NBSP}{count:,}" for name, count in counts.items()) or "none"


def _refusals(report: Report) -> Iterator[RenderableType]:
    for outcome, reasons in report.reasons.items():
        told = ", ".join(f"{reason}{_NBSP}{count:,}" for reason, count in reasons.items())
        yield plain(f"{outcome.replace('_', '-')}: {told}", style="dim")


def _verdict(report: Report) -> Text:
    if report.is_balanced and report.is_portal_equal:
        return plain("balanced, and the portal shows what the hub holds", style="bold green")
    wrong = [] if report.is_balanced else ["the ledger is not balanced"]
    wrong += [] if report.is_portal_equal else ["the portal differs from the warehouse"]
    return plain("; ".join(wrong), style="bold red")


def _number(value: int) -> Text:
    return plain(f"{value:,}") if value else styled("[dim]·[/dim]")


def _yes(is_so: bool) -> Text:
    return styled("[green]yes[/green]") if is_so else styled("[red]NO[/red]")
