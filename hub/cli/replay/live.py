"""Commands of replays that compare and change what is live: ``diff``, ``switch``, ``undo``, ``verify``."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.replay.ground import Number, ground_of, say_how, watched
from hub.cli.replay.options import Rate
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason, ReasonToUnmask, Unmask, reason_option
from hub.cli.shared.screen import Screen, say_json, styled

if TYPE_CHECKING:
    from hub.operate.replay.switch import Switched


def diff(
    number: Number,
    samples: Annotated[int, typer.Option("--samples", min=0, max=100, help="Rows of each kind to show.")] = 1,
    unmask: Unmask = False,
    reason: ReasonToUnmask = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Show what a replay would change: rows added, changed and removed, by table and field, with samples.

    **Examples**

    - `hub replay diff 3`
    - `hub replay diff 3 --samples 5 --json`
    - `hub replay diff 3 --unmask --reason "complaint 45/2025"`
    """
    from hub.cli.replay.view import print_diff
    from hub.operate.actions import UNMASK, note
    from hub.operate.replay.diff import diff as compare

    looking = Asker(officer, reason).action(UNMASK, "--unmask") if unmask else None
    with ground_of() as ground:
        if looking is not None:
            with ground.live.begin() as connection:
                note(connection, looking)
        with Screen(stderr=True).status("comparing"):
            found = compare(ground, number, samples, unmask)
    if as_json:
        say_json(found.as_json(), default=str)
    else:
        print_diff(Screen(), found)


def switch(
    number: Number,
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Make a replay's shadow live, in one transaction; the worker waits a moment, then continues.

    It is refused if the live warehouse has moved away from the shadow: another policy, other tables, or more events
    than can be caught up with.

    **Examples**

    - `hub replay switch 3`
    - `hub replay switch 3 --execute --reason "mapping of H40 corrected" --officer H40-003`
    """
    from hub.operate.replay.switch import switch as change

    _change(change, number, "switch", Asker(officer, reason) if execute else None, as_json)


def undo(
    number: Number,
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Make the state before a switch live again, with all events that came since.

    **Examples**

    - `hub replay undo 3 --execute --reason "the corrected mapping was wrong too"`
    """
    from hub.operate.replay.switch import undo as change

    _change(change, number, "undo", Asker(officer, reason) if execute else None, as_json)


def _change(change: Callable[..., "Switched"], number: int, name: str, by_whom: Asker | None, as_json: bool) -> None:
    """Change places, by whom; None: only show what that would change."""
    if by_whom is None:
        diff(number, samples=0, as_json=as_json)
        say_how(as_json, "nothing is changed", f"{name} {number}")
        return
    by = by_whom.action(f"replay.{name}")
    with ground_of() as ground, watched("catching up", as_json) as watch:
        done = change(ground, number, by, watch)
    if as_json:
        say_json(asdict(done))
        return
    Screen().print(
        styled(
            "replay {} is [bold]{}[/bold]: {} tables changed places, {:,} events caught up with, "
            "{:,} records to be published",
            number,
            done.state.value,
            done.tables,
            done.caught_up,
            done.published,
        )
    )


def verify(
    rate: Rate = None,
    reason: Annotated[str, reason_option()] = "verification",
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild the warehouse from the first event and compare it with the live one, row by row; exit code 1 if unequal.

    The rebuilt warehouse is dropped; the live one continues and is not changed. It takes as long as a rebuild, and as
    much disk space.

    **Examples**

    - `hub replay verify`
    - `hub replay verify --rate 10000 --json`
    """
    from hub.cli.replay.view import print_verified
    from hub.operate.replay.verify import VERIFY
    from hub.operate.replay.verify import verify as compare

    with ground_of() as ground, watched("rebuilding", as_json) as watch:
        found = compare(ground, Asker(officer, reason).action(VERIFY), watch, rate)
    if as_json:
        say_json({**asdict(found), "equal": not found.differing})
    else:
        print_verified(Screen(), found)
    if found.differing:
        raise typer.Exit(1)
