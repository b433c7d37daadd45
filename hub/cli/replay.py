"""Commands of replays up to a shadow that is ready: ``hub replay plan``, ``list``, ``show``, ``run``, ``pause``, ..."""

import json
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from hub.cli import replay_live
from hub.cli.context import located, warehouse
from hub.cli.replay_ground import Number, acting, ground_of, watched
from hub.model.errors import ConfigError

if TYPE_CHECKING:
    pass

_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Execute = Annotated[bool, typer.Option("--execute", help="Do it; without this, only what would be done is said.")]
_Reason = Annotated[str | None, typer.Option("--reason", help="Why; needed with --execute.")]
_Officer = Annotated[str | None, typer.Option("--officer", help="Code of the officer; else the user.")]
_Rate = Annotated[int | None, typer.Option("--rate", min=1, help="Most events a second. Unset: no cap.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    group = typer.Typer(
        no_args_is_help=True, help="Read retained events again into a shadow, compare it, make it live, and go back."
    )
    for command in (plan, list_, show, run, pause, resume, cancel):
        group.command(command.__name__.rstrip("_"))(command)
    replay_live.register(group)
    app.add_typer(group, name="replay")


def plan(
    source: Annotated[list[str] | None, typer.Option("--source", help="Code of a source; may be repeated.")] = None,
    province: Annotated[
        list[str] | None,
        typer.Option("--province", help="Agency prefix (H42): all sources of that province's agencies, by the policy."),
    ] = None,
    subject: Annotated[
        list[str] | None, typer.Option("--subject", help="E.g. citizen.changed; may be repeated.")
    ] = None,
    entity: Annotated[str | None, typer.Option("--entity", help="Entity of --key.")] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Code (PIN, dossier code, ...) or key of a thing; may be repeated."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only events published from this day or time on (Vietnam's).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Only events published before the end of this day, or time.")
    ] = None,
    offsets: Annotated[
        list[str] | None, typer.Option("--offsets", help="SUBJECT/PARTITION@FROM-TO; may be repeated.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Once live, publish the records that differ. Unset: nothing is published.")
    ] = False,
    rate: _Rate = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    officer: _Officer = None,
    as_json: _AsJson = False,
) -> None:
    """Say what a replay would read, withdraw and cost, and store the plan; nothing else is changed.

    Source, province, key and subject are the scope: what the warehouse says within it is withdrawn in the shadow, and
    then the selected events are read, so that it says what they say and nothing else. Time and offsets leave events
    out. Without any filter everything is rebuilt from the first event.

    **Examples**

    - `hub replay plan --province H40 --reason "wrong mapping of birth dates"`
    - `hub replay plan --source namdinh.motcua --since 2025-06-20 --publish --reason "bad until the 19th"`
    - `hub replay plan --entity citizen --key 001299000123 --reason "complaint 45/2025"`
    - `hub replay plan --offsets citizen.changed/0@1200-  --reason "test records at the beginning" --json`
    """
    from hub.operate.actions import Action, actor  # heavy: the merge
    from hub.operate.replay_filters import Filters, OffsetFilter
    from hub.operate.replay_plan import PLAN, plan_replay

    if not reason.strip():
        raise ConfigError(["--reason: say why the replay is planned; it is kept with it"])
    settings, places = located()
    filters = Filters(
        tuple(source or ()),
        tuple(province or ()),
        tuple(subject or ()),
        entity,
        _keys(entity, key or [], places.key_secret),
        _moment(since, "--since", is_end=False),
        _moment(until, "--until", is_end=True),
        tuple(map(OffsetFilter.parse, offsets or ())),
    )
    engine = warehouse(settings, places, "hub replay plan")
    planned = plan_replay(engine, filters, publish, Action(actor(officer), PLAN, reason), rate)
    if as_json:
        print(json.dumps(planned.as_json()))
        return
    from hub.cli.replay_view import print_plan

    print_plan(Console(highlight=False), planned)


def _keys(entity: str | None, keys: list[str], secret: str) -> tuple[Any, ...]:
    from hub.model.entities import ENTITIES
    from hub.operate.show_key import keys_meant

    named = {one.name: one for one in ENTITIES}
    if bool(entity) != bool(keys) or (entity and entity not in named):
        raise ConfigError([f"--key and --entity go together; entities are {', '.join(named)}"])
    return tuple(meant for one in keys for meant in keys_meant(named[str(entity)], one, secret)[:1])


def _moment(text: str | None, option: str, is_end: bool) -> datetime | None:
    """Return the time that a day or a time names; of a day its beginning, or for an end that of the next one."""
    from hub.operate.show_time import ZONE, time_of

    if text is None:
        return None
    if len(text) == len("2025-07-01"):
        time_of(text, option)
        day = date.fromisoformat(text) + timedelta(days=int(is_end))
        return datetime.combine(day, time(), ZONE).astimezone(UTC)
    return time_of(text, option)


def list_(as_json: _AsJson = False) -> None:
    """List the replays there are, the latest first: what they select, where they stand.

    **Examples**

    - `hub replay list`
    - `hub replay list --json`
    """
    from hub.cli.replay_view import replay_table
    from hub.operate.replay_store import replays
    from hub.warehouse.database import translated_errors

    settings, places = located()
    with translated_errors("reading replays"), warehouse(settings, places, "hub replay").connect() as connection:
        found = replays(connection)
    if as_json:
        print(json.dumps({"replays": [one.as_json() for one in found]}, default=str))
    else:
        Console().print(replay_table(found) if found else "no replay was planned yet: `hub replay plan --help`")


def show(number: Number, as_json: _AsJson = False) -> None:
    """Show one replay: its plan, how far each log partition is, whether a process works on it.

    **Examples**

    - `hub replay show 3`
    - `hub replay show 3 --json`
    """
    from hub.cli.replay_view import print_replay
    from hub.operate.replay_run import behind_live
    from hub.operate.replay_store import is_held, places_of, replay_numbered
    from hub.warehouse.database import translated_errors

    settings, places = located()
    with translated_errors("reading a replay"), warehouse(settings, places, "hub replay").connect() as connection:
        found, at = replay_numbered(connection, number), places_of(connection, number)
        held, behind = is_held(connection, number), behind_live(connection, number)
    if as_json:
        positions = [asdict(place) for place in at]
        print(json.dumps({**found.as_json(), "positions": positions, "held": held, "behind": behind}, default=str))
    else:
        print_replay(Console(highlight=False), found, at, held, behind)


def run(
    number: Number,
    execute: _Execute = False,
    rate: _Rate = None,
    reason: _Reason = None,
    officer: _Officer = None,
    as_json: _AsJson = False,
) -> None:
    """Run a planned replay into its shadow, or go on with one that was interrupted; then catch up with the worker.

    The live warehouse is not changed, nothing is published, no consumer group is touched. Ctrl-C and kill lose nothing:
    the next run goes on where the shadow stands.

    **Examples**

    - `hub replay run 3`
    - `hub replay run 3 --execute --reason "wrong mapping" --rate 20000`
    """
    from hub.operate.replay_run import RUN, run_replay

    if not execute:
        show(number, as_json)
        if not as_json:
            Console().print(f"nothing is read; `hub replay run {number} --execute --reason TEXT` does it")
        return
    by = acting(RUN, reason, officer)
    with ground_of() as ground, watched(f"replay {number}", as_json) as watch:
        ran = run_replay(ground, number, by, watch, rate)
    if as_json:
        print(json.dumps({**asdict(ran), "events_per_s": round(ran.events_per_s, 1)}))
        return
    console = Console(highlight=False)
    console.print(
        f"replay {number} is [bold]{ran.state.value}[/bold]: {ran.read:,} events read, {ran.selected:,} counted, "
        f"{ran.released:,} released, in {ran.seconds:.1f} s ({ran.events_per_s:,.0f}/s); {ran.behind:,} behind"
    )
    console.print(f"`hub replay diff {number}` shows what it would change")


def pause(number: Number, reason: _Reason = None, officer: _Officer = None, as_json: _AsJson = False) -> None:
    """Ask the process that runs a replay to wait after its batch, at once and without --execute.

    **Examples**

    - `hub replay pause 3 --reason "the worker lags"`
    """
    _ask(number, "replay.pause", reason, officer, as_json)


def resume(number: Number, reason: _Reason = None, officer: _Officer = None, as_json: _AsJson = False) -> None:
    """Let a replay that was paused go on; if its process has ended, `hub replay run` goes on.

    **Examples**

    - `hub replay resume 3 --reason "caught up"`
    """
    _ask(number, "replay.resume", reason, officer, as_json)


def _ask(number: int, name: str, reason: str | None, officer: str | None, as_json: bool) -> None:
    from hub.operate.replay_store import Asked, ask

    settings, places = located()
    asked = Asked.PAUSE if name == "replay.pause" else None
    ask(warehouse(settings, places, "hub replay"), number, asked, acting(name, reason or name, officer))
    if as_json:
        print(json.dumps({"id": number, "asked": asked and asked.value}))
    else:
        print(f"replay {number}: {'waits after its batch' if asked else 'goes on'}")


def cancel(
    number: Number,
    execute: _Execute = False,
    reason: _Reason = None,
    officer: _Officer = None,
    as_json: _AsJson = False,
) -> None:
    """Stop a replay and drop its shadow; the live warehouse is as it was.

    **Examples**

    - `hub replay cancel 3 --execute --reason "planned the wrong source"`
    """
    from hub.operate.replay_run import CANCEL, cancel_replay

    if not execute:
        show(number, as_json)
        if not as_json:
            Console().print(
                f"its shadow would be dropped; `hub replay cancel {number} --execute --reason TEXT` does it"
            )
        return
    by = acting(CANCEL, reason, officer)
    with ground_of() as ground:
        is_done = cancel_replay(ground, number, by)
    if as_json:
        print(json.dumps({"id": number, "cancelled": is_done}))
    else:
        print(
            f"replay {number}: " + ("cancelled, its shadow is gone" if is_done else "its process stops after its batch")
        )
