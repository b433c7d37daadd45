"""Commands of the policy: ``hub policy show``, ``plan`` and ``apply``."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from hub.cli.shared.context import located, policy_path, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.screen import Screen, plain, say_json, styled
from hub.config import limits_of
from hub.model.policies.policy import EventOrder, Policy, Source, load_policy
from hub.model.policies.ranks import policy_problems, ranks

if TYPE_CHECKING:
    from hub.operate.desk.policy import PolicyPlan
    from hub.warehouse.sources import AppliedPolicy

_File = Annotated[Path, typer.Argument(metavar="FILE", help="Policy file (TOML).")]
_DIGEST = 12
_MOST_CHANGES = 60


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "The policy (chính sách nguồn): who may speak of what, with which authority (thẩm quyền dữ liệu)."
    add_group(app, "policy", told, show, plan, apply)


def show(as_json: AsJson = False) -> None:
    """Show the policy in force (chính sách đang áp dụng), and whether the file that the settings name is the same.

    **Examples**

    - `hub policy show`
    - `hub policy show --json`
    """
    from hub.operate.desk.policy import policy_in_force  # heavy: the warehouse

    settings, places = located()
    applied = policy_in_force(warehouse(settings, places, "hub policy"))
    file = load_policy(policy_path(settings))
    if as_json:
        say_json(_as_json(applied, file))
        return
    console = Screen(soft_wrap=False)
    if applied is None:
        console.print("no policy is in force yet: the first worker to start applies its file")
        return
    by = f"applied {applied.applied_at:%Y-%m-%d %H:%M:%S} UTC by {applied.applied_by}"
    console.print(styled("policy [bold]{}[/bold], {}", applied.policy.digest[:_DIGEST], by))
    console.print(_sources(applied.policy))
    same = applied.policy.digest == file.digest
    where = policy_path(settings)
    console.print(
        f"{where} is the policy in force" if same else styled("[yellow]{} is a different policy[/yellow]", where)
    )


def plan(file: _File, as_json: AsJson = False) -> None:
    """Show what applying a policy file would change; it is counted by doing it in a transaction that is rolled back.

    **Examples**

    - `hub policy plan policy.toml`
    - `hub policy plan policy.toml --json`
    """
    from hub.operate.desk.policy import plan_policy, workers_running  # heavy: the merge

    policy = load_policy(file)
    settings, places = located()
    engine = warehouse(settings, places, "hub policy plan")
    found = plan_policy(engine, policy)
    running = workers_running(engine, limits_of(settings)) if found.before != found.after else ()
    _print(found, as_json, running)
    if not as_json and running:
        told = f"{_workers(running)}; when this is applied, each ends and must be started again with this file"
        Screen().print(plain(told), soft_wrap=True)
    if not as_json and found.before == found.after:
        Screen().print(f"{file} is the policy in force: there is nothing to apply")
    elif not as_json:
        Screen().print(f"nothing is changed; `hub policy apply {file} --execute --reason TEXT` does it")


def apply(
    file: _File,
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Put a policy (chính sách nguồn) in force and decide again what it changes; all of it or nothing.

    No batch commits meanwhile. Workers that run with the former policy are named; each ends at its next batch. Start
    them again with the new one.

    **Examples**

    - `hub policy apply policy.toml`
    - `hub policy apply policy.toml --execute --reason "decree 12/2026" --officer H42-017`
    """
    from hub.operate.desk.policy import apply_policy, policy_in_force, workers_running

    if not execute:
        plan(file, as_json)
        return
    by = Asker(officer, reason).by()
    policy = load_policy(file)
    settings, places = located()
    engine = warehouse(settings, places, "hub policy apply")
    before = policy_in_force(engine)
    is_other = before is not None and before.policy.digest != policy.digest
    running = workers_running(engine, limits_of(settings)) if is_other else ()
    if running and not as_json:
        told = f"{_workers(running)} under the former policy; start each again when this is done"
        Screen().print(plain(told), soft_wrap=True)
    done = apply_policy(engine, policy, by.actor, by.purpose)
    _print(done, as_json, running)
    if not as_json:
        Screen().print(styled("[green]applied[/green]; {}", _what_next(done, running)), soft_wrap=True)


def _what_next(done: "PolicyPlan", running: Sequence[str]) -> str:
    """Say what to do with the workers after a policy was applied."""
    if done.before == done.after:
        return "the workers go on"
    if not running:
        return "no worker runs; start the workers with this file"
    return f"restart the workers with this file: each ends at its next batch: {', '.join(running)}"


def _workers(running: Sequence[str]) -> str:
    count = f"{len(running)} worker runs" if len(running) == 1 else f"{len(running)} workers run"
    return f"{count}: {', '.join(running)}"


def _as_json(applied: "AppliedPolicy | None", file: Policy) -> dict[str, object]:
    return {
        "in_force": applied and applied.policy.digest,
        "applied_at": applied and applied.applied_at.isoformat(),
        "applied_by": applied and applied.applied_by,
        "document": applied and applied.policy.document,
        "file": file.digest,
        "file_problems": policy_problems(file),
        "is_same": applied is not None and applied.policy.digest == file.digest,
    }


def _sources(policy: Policy) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("source", "agency, role", "rank in", "speaks (UTC)"):
        table.add_column(heading, no_wrap=True)
    for of in policy.sources.values():
        found = [f"{rank.aspect} {rank.rank}" for rank in ranks(policy) if rank.source == of.code]
        spans = [f"{word} {time:%Y-%m-%d %H:%M}" for word, time in _span(of) if time]
        order = [] if of.order is EventOrder.VERSION else [f"ordered by {of.order.value}"]
        table.add_row(of.code, f"{of.agency} {of.role.value}", "\n".join(found), "\n".join([*spans, *order]))
    return table


def _span(source: Source) -> tuple[tuple[str, datetime | None], ...]:
    return (("from", source.valid_from), ("until", source.valid_until))


def _print(found: "PolicyPlan", as_json: bool, running: Sequence[str] = ()) -> None:
    if as_json:
        say_json(found.as_json() | {"workers_to_restart": list(running)})
        return
    console = Screen()
    before = found.before[:_DIGEST] if found.before else "none"
    console.print(styled("policy {} -> [bold]{}[/bold]", before, found.after[:_DIGEST]))
    if not found.changes:
        console.print("the same sources, ranks and settings" if found.before else "")
    changes = Table("source", "what", "before", "after", box=None, pad_edge=False)
    for change in found.changes[:_MOST_CHANGES]:
        changes.add_row(change.source or "-", change.what, change.before or "-", change.after or "-")
    if found.changes:
        console.print(changes)
    if len(found.changes) > _MOST_CHANGES:
        console.print(f"... and {len(found.changes) - _MOST_CHANGES} more (--json lists all)")
    aspects = Table(box=None, pad_edge=False)
    aspects.add_column("aspect")
    for heading in ("keys with claims", "records change hands", "conflicts opened", "conflicts closed"):
        aspects.add_column(heading, justify="right")
    for one in found.aspects:
        aspects.add_row(one.aspect, *(f"{count:,}" for count in (one.keys, one.records, one.opened, one.closed)))
    console.print(aspects if found.aspects else "no record is decided again")
