"""Commands of replays and their shadows: ``hub replay plan``, ``list``, ``show``, ``run``, ``pause``, ..., ``drop``."""

from dataclasses import asdict
from typing import Annotated

import typer

from hub.cli.replay.ground import Number, ground_of, say_how, watched
from hub.cli.replay.live import diff, switch, undo, verify
from hub.cli.replay.options import (
    EntityName,
    Keys,
    Offsets,
    Provinces,
    Publish,
    Rate,
    ReplayChoice,
    Since,
    Sources,
    Subjects,
    Until,
)
from hub.cli.shared.context import located, opened, reading, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason, reason_option
from hub.cli.shared.screen import Screen, say, say_json, styled


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "Read stored events again (phát lại) into a shadow, compare it, make it live, go back."
    steps = (plan, list_, show, run, pause, resume, cancel, drop)
    add_group(app, "replay", told, *steps, diff, switch, undo, verify)


def plan(
    source: Sources = None,
    province: Provinces = None,
    subject: Subjects = None,
    entity: EntityName = None,
    key: Keys = None,
    since: Since = None,
    until: Until = None,
    offsets: Offsets = None,
    publish: Publish = False,
    rate: Rate = None,
    reason: Annotated[str | None, reason_option("every plan")] = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Show what a replay (phát lại) would read, withdraw and cost, and store the plan; nothing else changes.

    Source, province, key and subject are the scope: in the shadow (bản dựng song song), everything that the warehouse
    says within the scope is withdrawn. Then the selected events are read, so that the shadow says what they say and
    nothing else. Time and offsets leave events out. Without any filter everything is rebuilt from the first event.

    **Examples**

    - `hub replay plan --province H40 --reason "wrong mapping of birth dates"`
    - `hub replay plan --source namdinh.motcua --since 2025-06-20 --publish --reason "bad until the 19th"`
    - `hub replay plan --entity citizen --key 001299000123 --reason "complaint 45/2025"`
    - `hub replay plan --offsets citizen.changed/0/1200-  --reason "test records at the beginning" --json`
    """
    from hub.cli.replay.view import print_plan
    from hub.operate.replay.plan import PLAN, plan_replay  # heavy: the merge

    by = Asker(officer, reason).action(PLAN, "a plan")
    _, places, engine = opened("hub replay plan")
    choice = ReplayChoice(source, province, subject, entity, key, since, until, offsets)
    planned = plan_replay(engine, choice.filters(places.key_secret), publish, by, rate)
    if as_json:
        say_json(planned.as_json())
    else:
        print_plan(Screen(), planned)


def list_(as_json: AsJson = False) -> None:
    """List the replays, the latest first: what they select, and their states.

    **Examples**

    - `hub replay list`
    - `hub replay list --json`
    """
    from hub.cli.replay.view import replay_table
    from hub.operate.replay.store import replays

    with reading("replays", "hub replay") as connection:
        found = replays(connection)
    if as_json:
        say_json({"replays": [one.as_json() for one in found]}, default=str)
    else:
        Screen().print(replay_table(found) if found else "no replay was planned yet: `hub replay plan --help`")


def show(number: Number, as_json: AsJson = False) -> None:
    """Show one replay: its plan, how far each log partition is, whether a process works on it.

    **Examples**

    - `hub replay show 3`
    - `hub replay show 3 --json`
    """
    from hub.cli.replay.view import print_replay
    from hub.operate.replay.run import behind_live
    from hub.operate.replay.store import places_of, replay_numbered
    from hub.warehouse.locks import Lock, is_held

    with reading("a replay", "hub replay") as connection:
        found, at = replay_numbered(connection, number), places_of(connection, number)
        held, behind = is_held(connection, Lock.REPLAY, number), behind_live(connection, number)
    if as_json:
        positions = [asdict(place) for place in at]
        say_json({**found.as_json(), "positions": positions, "held": held, "behind": behind}, default=str)
    else:
        print_replay(Screen(), found, at, held, behind)


def run(
    number: Number,
    execute: Execute = False,
    rate: Rate = None,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Run a planned replay into its shadow, or continue an interrupted one; then catch up with the worker.

    The live warehouse is not changed, nothing is published, no consumer group is touched. Ctrl-C and kill lose nothing:
    the next run continues where the shadow is.

    **Examples**

    - `hub replay run 3`
    - `hub replay run 3 --execute --reason "wrong mapping" --rate 20000`
    """
    from hub.operate.replay.run import RUN, run_replay

    if not execute:
        show(number, as_json)
        say_how(as_json, "nothing is read", f"run {number}")
        return
    by = Asker(officer, reason).action(RUN)
    with ground_of() as ground, watched(f"replay {number}", as_json) as watch:
        ran = run_replay(ground, number, by, watch, rate)
    if as_json:
        say_json({**asdict(ran), "events_per_s": round(ran.events_per_s, 1)})
        return
    console = Screen()
    console.print(
        styled(
            "replay {} is [bold]{}[/bold]: {:,} events read, {:,} counted, {:,} released, "
            "in {:.1f} s ({:,.0f}/s); {:,} behind",
            number,
            ran.state.value,
            ran.read,
            ran.selected,
            ran.released,
            ran.seconds,
            ran.events_per_s,
            ran.behind,
        )
    )
    console.print(f"`hub replay diff {number}` shows what it would change")


def pause(number: Number, reason: Reason = None, officer: Officer = None, as_json: AsJson = False) -> None:
    """Ask the process that runs a replay to pause after its batch; this happens at once and without --execute.

    **Examples**

    - `hub replay pause 3 --reason "the worker lags"`
    """
    _ask(number, "replay.pause", reason, officer, as_json)


def resume(number: Number, reason: Reason = None, officer: Officer = None, as_json: AsJson = False) -> None:
    """Let a paused replay continue; if its process has ended, `hub replay run` continues it.

    **Examples**

    - `hub replay resume 3 --reason "caught up"`
    """
    _ask(number, "replay.resume", reason, officer, as_json)


def _ask(number: int, name: str, reason: str | None, officer: str | None, as_json: bool) -> None:
    from hub.operate.replay.store import Asked, ask

    settings, places = located()
    asked = Asked.PAUSE if name == "replay.pause" else None
    ask(warehouse(settings, places, "hub replay"), number, asked, Asker(officer, reason or name).action(name))
    if as_json:
        say_json({"id": number, "asked": asked and asked.value})
    else:
        say(f"replay {number}: {'waits after its batch' if asked else 'goes on'}")


def cancel(
    number: Number,
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Stop a replay and drop its shadow; the live warehouse stays as it was.

    **Examples**

    - `hub replay cancel 3 --execute --reason "planned the wrong source"`
    """
    from hub.operate.replay.run import CANCEL, cancel_replay

    if not execute:
        show(number, as_json)
        say_how(as_json, "its shadow would be dropped", f"cancel {number}")
        return
    by = Asker(officer, reason).action(CANCEL)
    with ground_of() as ground:
        is_done = cancel_replay(ground, number, by)
    if as_json:
        say_json({"id": number, "cancelled": is_done})
    else:
        say(
            f"replay {number}: " + ("cancelled, its shadow is gone" if is_done else "its process stops after its batch")
        )


def drop(
    number: Number,
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Drop a replay's shadow; after a switch the shadow is the earlier state, and then undo is no longer possible.

    **Examples**

    - `hub replay drop 3 --execute --reason "checked by the province"`
    """
    from hub.operate.replay.run import DROP, drop_replay

    if not execute:
        show(number, as_json)
        say_how(as_json, "its shadow would be dropped", f"drop {number}")
        return
    by = Asker(officer, reason).action(DROP)
    with ground_of() as ground:
        drop_replay(ground, number, by)
    if as_json:
        say_json({"id": number, "dropped": True})
    else:
        say(f"replay {number}: its shadow is gone")
