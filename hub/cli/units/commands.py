"""Commands of administrative units: ``hub units``: load them, look them up over time, count residents, recode.

Reading and writing units needs polars, which is slow to import: each command imports it when it runs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Connection

from hub.cli.shared.context import located, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Execute, Officer, Reason
from hub.cli.shared.screen import Screen, say_json
from hub.config import load_settings
from hub.embedded.locate import endpoints
from hub.model.envelope import UnitScheme
from hub.model.errors import ConfigError
from hub.model.units.graph import UnitRef
from hub.warehouse.database import translated_errors

if TYPE_CHECKING:
    from hub.operate.units.recode import Job

_Code = Annotated[str, typer.Argument(help="Code of the unit, with leading zeros.")]
_Scheme = Annotated[
    str | None,
    typer.Option(
        "--scheme",
        help="List of codes: GSO_2004 (until 2025-06-30) or GSO_2025. Default: the list of the day of the code.",
    ),
]
_On = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day to answer for; default today.")
]
_SaidOn = Annotated[
    datetime | None,
    typer.Option("--said-on", formats=["%Y-%m-%d"], help="Day on which the code was used; default today."),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "Administrative units (đơn vị hành chính) over time."
    add_group(app, "units", told, load, show, successors, predecessors, resolve, residents, recode)


def load(as_json: AsJson = False) -> None:
    """Publish the country's administrative units (đơn vị hành chính), old and new, as `admin_unit.changed` events.

    Sources and licence: `hub/reference/README.md`. Safe to repeat: the same events are duplicates.

    **Examples**

    `hub units load` — publish them and print how many
    """
    from hub.operate.units.load import load_units

    count = load_units(endpoints(load_settings()))
    if as_json:
        say_json({"published": count})
    else:
        Screen().print(f"{count:,} events published")


def show(code: _Code, scheme: _Scheme = None, on: _On = None, as_json: AsJson = False) -> None:
    """Show a code's units (đơn vị hành chính) over time, and what came before and after the unit of a day.

    **Examples**

    - `hub units show 75`
    - `hub units show 00004 --on 2025-06-01` — the code in the list of that day, GSO_2004
    - `hub units show 25270 --on 2026-01-01 --json`
    """
    from hub.cli.units.view import history_view
    from hub.operate.units.lookup import history_of, load_graph

    ref = _ref(code, scheme, on)
    _print(_read(lambda connection: history_of(load_graph(connection), ref, _day(on))), history_view, as_json)


def successors(
    code: _Code, scheme: _Scheme = None, said_on: _SaidOn = None, on: _On = None, as_json: AsJson = False
) -> None:
    """Show the units that took over a unit's territory by a day, over all changes in between (sáp nhập, chia tách).

    **Examples**

    - `hub units successors 13285 --scheme GSO_2004` — what ward 13285 of the list of 2004 is today
    - `hub units successors 75 --said-on 2025-08-01 --on 2026-05-01`
    """
    from hub.cli.units.view import answer_view
    from hub.operate.units import lookup as units

    ref = _ref(code, scheme, said_on)
    found = _read(lambda connection: units.successors(units.load_graph(connection), ref, _day(said_on), _day(on)))
    _print(found, answer_view, as_json)


def predecessors(
    code: _Code, scheme: _Scheme = None, said_on: _SaidOn = None, on: _On = None, as_json: AsJson = False
) -> None:
    """Show the units whose territory a unit took over, as they were on an earlier day; default: the day before.

    **Examples**

    - `hub units predecessors 13366` — what ward 13366 of today was made of
    - `hub units predecessors 13366 --on 2025-06-30`
    """
    from hub.cli.units.view import answer_view
    from hub.operate.units import lookup as units

    ref, day = _ref(code, scheme, said_on), on.date() if on else None
    found = _read(lambda connection: units.predecessors(units.load_graph(connection), ref, _day(said_on), day))
    _print(found, answer_view, as_json)


def resolve(
    code: _Code,
    scheme: _Scheme = None,
    said_on: _SaidOn = None,
    on: _On = None,
    name: Annotated[str | None, typer.Option("--name", help="Name that was used with the code; it is checked.")] = None,
    as_json: AsJson = False,
) -> None:
    """Resolve a code of one day to the unit of another day (chuyển đổi mã): EXACT, AMBIGUOUS with candidates, UNKNOWN.

    If a unit was split, a preferred successor is only a guess of the table's author: it is marked and never chosen.

    **Examples**

    - `hub units resolve 00004 --said-on 2025-06-01`
    - `hub units resolve 00634 --said-on 2025-06-01 --name "Phường Đại Mỗ"`
    - `hub units resolve 00097 --on 2025-06-01` — the code of today, on an earlier day
    """
    from hub.cli.units.view import answer_view
    from hub.operate.units import lookup as units

    question = units.Question(_ref(code, scheme, said_on), _day(said_on), _day(on), name)
    found = _read(lambda connection: units.resolve(units.load_graph(connection), question))
    _print(found, answer_view, as_json)


def residents(
    code: _Code,
    on: _On = None,
    kind: Annotated[str, typer.Option("--kind", help="Kind of residence.")] = "PERMANENT",
    as_json: AsJson = False,
) -> None:
    """Count the residents (cư trú) that a unit of today had on a day; before it began, those of its predecessors.

    People who lived in a unit that was split may live here or elsewhere: they are shown separately and not counted.

    **Examples**

    - `hub units residents 13366 --on 2025-06-30`
    - `hub units residents 13366 --on 2026-01-01 --kind TEMPORARY --json`
    """
    from hub.cli.units.view import residents_view
    from hub.operate.units.residents import residents as count

    _print(_read(lambda connection: count(connection, code, _day(on), kind)), residents_view, as_json)


def recode(
    effective: Annotated[
        datetime, typer.Option("--effective", formats=["%Y-%m-%d"], help="Day on which the units have changed.")
    ],
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Recode residences (chuyển đổi mã đơn vị hành chính): append a RECODE row if the unit surely became another.

    This is never a move of a person; claims stay. Without `--execute` it counts what it would do. Residences in units
    that were split are left to the reviews (yêu cầu rà soát). Safe to repeat. Recoded residences are published again.

    **Examples**

    - `hub units recode --effective 2025-07-01`
    - `hub units recode --effective 2025-07-01 --execute --reason "Resolution 202/2025/QH15"`
    """
    from hub.cli.units.view import plan_view
    from hub.operate.actions import actor
    from hub.operate.units.recode import Job, plan_recode

    day = effective.date()
    plan = _read(lambda connection: plan_recode(connection, day))
    if not execute:
        _print(plan, plan_view, as_json)
        return
    if not reason:
        raise ConfigError(["--reason: say why you recode residences"])
    appended = _recode(Job(day, actor(officer), reason, plan.to_recode), quiet=as_json)
    if as_json:
        say_json(plan.as_json() | {"appended": appended})
    else:
        plan_view(plan, Screen())
        Screen().print(f"{appended:,} residences recoded")


def _recode(job: "Job", quiet: bool) -> int:
    from hub.operate.units.recode import execute_recode

    with (
        Progress(disable=quiet, console=Screen(stderr=True)) as bar,
        translated_errors("recoding residences"),
        _connected() as connection,
        connection.begin(),
    ):
        task = bar.add_task(f"recoding about {job.expected:,} residences", total=None)
        return execute_recode(connection, job, lambda done, of: bar.update(task, completed=done, total=of))


def _read(fetch: Callable[[Connection], Any]) -> Any:
    with translated_errors("reading units"), _connected() as connection:
        return fetch(connection)


@contextmanager
def _connected() -> Iterator[Connection]:
    engine = warehouse(*located(), "hub units")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _print(found: Any, view: Callable[[Any, Console], None], as_json: bool) -> None:
    if as_json:
        say_json(found.as_json())
    else:
        view(found, Screen())


def _ref(code: str, scheme: str | None, day: datetime | None) -> UnitRef:
    """Return the code in its list; if the list was not given, say on standard error which was taken."""
    from hub.operate.units.lookup import scheme_of

    ref = UnitRef(scheme_of(scheme, _day(day)), code)
    if scheme is None:
        other = next(one.value for one in UnitScheme if one is not ref.scheme)
        text = f"list of codes: {ref.scheme.value}, by the day {_day(day)}; for the other list: --scheme {other}"
        Screen(stderr=True).print(text)
    return ref


def _day(day: datetime | None) -> date:
    from hub.operate.units.lookup import today

    return today() if day is None else day.date()
