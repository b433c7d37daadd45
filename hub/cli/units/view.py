"""How units over time are printed; fits 100 columns."""

from rich.console import Console
from rich.table import Table

from hub.cli.shared.screen import styled
from hub.model.units.graph import Candidate, Resolution, Unit
from hub.operate.units.lookup import Answer, UnitHistory
from hub.operate.units.recode import RecodePlan
from hub.operate.units.residents import Residents

_COLOURS = {Resolution.EXACT: "green", Resolution.AMBIGUOUS: "yellow", Resolution.UNKNOWN: "red"}


def history_view(history: UnitHistory, console: Console) -> None:
    """Print a code's units, and the predecessors and successors of the one asked for."""
    table = Table("", "unit", "from", "until", "in", "agency", "by", box=None, pad_edge=False)
    for unit, end in history.units:
        mark = ">" if unit is history.on else ""
        until = end.isoformat() if end else "stands"
        act, agency = unit.legal_basis or "", unit.agency_code or ""
        table.add_row(mark, _named(unit), unit.valid_from.isoformat(), until, unit.parent_code or "", agency, act)
    console.print(table)
    for title, candidates in (("before it", history.predecessors), ("after it", history.successors)):
        if candidates:
            console.print(styled("\n[bold]{}[/bold]", title))
            console.print(_candidates(candidates))


def answer_view(answer: Answer, console: Console) -> None:
    """Print what a code is on a day."""
    asked, resolved = answer.question, answer.resolved
    said = "no unit" if resolved.said is None else _named(resolved.said)
    console.print(f"{asked.ref.scheme.value} {asked.ref.code}, said on {asked.said_on}: {said}")
    if answer.name_agrees is False:
        others = ", ".join(_named(unit) for unit in answer.of_that_name) or "no unit"
        console.print(styled("[yellow]the name that was said is another:[/yellow] {} is {}", asked.name or "", others))
    colour = _COLOURS.get(resolved.resolution, "default")
    console.print(styled(f"on {{}}: [{colour}]{{}}[/{colour}]", asked.on, resolved.resolution.value))
    if resolved.candidates:
        console.print(_candidates(resolved.candidates))


def residents_view(found: Residents, console: Console) -> None:
    """Print residents by the unit that was named, and how many may be residents."""
    table = Table("unit said", box=None, pad_edge=False)
    table.add_column("residents", justify="right")
    table.add_column("perhaps", justify="right")
    for row in found.by_unit:
        table.add_row(f"{row.said.scheme.value} {row.said.code}", f"{row.certain:,}", f"{row.ambiguous:,}")
    console.print(table)
    console.print(
        styled("{} on {}: [bold]{:,}[/bold] residents ({})", found.unit.code, found.on, found.certain, found.kind)
    )
    if found.ambiguous:
        console.print(
            styled(
                "[yellow]{:,} more lived in units that were split since[/yellow]: here or elsewhere, not counted; "
                "see hub review list",
                found.ambiguous,
            )
        )


def plan_view(plan: RecodePlan, console: Console) -> None:
    """Print what a recode would do."""
    table = Table("residences", "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for words, count in (
        (f"whose unit has become another one by {plan.effective}", plan.to_recode),
        ("with such a row already", plan.done),
        ("whose code is unchanged", plan.same),
        ("in a unit that was split: an officer decides", plan.ambiguous),
        ("whose unit is not known", plan.unknown),
        ("that ended before", plan.ended),
    ):
        table.add_row(words, f"{count:,}")
    console.print(table)


def _candidates(candidates: tuple[Candidate, ...]) -> Table:
    table = Table("list", "code", "unit", "in", "share", "", box=None, pad_edge=False)
    for one in candidates:
        name = one.unit.full_name if one.unit else "(nothing known of it yet)"
        parent = one.unit.parent_code if one.unit else None
        guess = "" if one.whole else ("preferred by the table, a guess" if one.is_default else "")
        table.add_row(one.ref.scheme.value, one.ref.code, name, parent or "", "whole" if one.whole else "part", guess)
    return table


def _named(unit: Unit) -> str:
    return f"{unit.full_name} ({unit.ref.code})"
