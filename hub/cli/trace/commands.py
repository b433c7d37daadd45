"""``hub trace``: where is it?"""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.shared.context import opened
from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import Screen, say_json, screen

if TYPE_CHECKING:
    from hub.operate.trace.hops import Trace
    from hub.operate.trace.place import PlaceStory


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command("trace")(trace)


def trace(
    who: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A code or number, a key, an event id, TOPIC/PARTITION[@OFFSET]; - reads it from standard input.",
        ),
    ],
    entity: Annotated[str | None, typer.Option("--entity", help="Search only this entity, e.g. citizen.")] = None,
    last: Annotated[int, typer.Option("--last", help="How many of the last events to show; 0: all.", min=0)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show every hop of a dossier (hồ sơ), a person or an event, with times and delays, on one screen.

    The hops are: at the source, on the log, decided (and before that parked and released), what it opened or closed, on
    the portal's topic, and which replays read it. No value of an event is shown, and your input is not repeated. Exit
    code 1 if the hub has read no event of it. Without Kafka the times on the log and on the portal are missing. For a
    place whose record could not be read, or was not read yet, it shows what is known; you may also give a partition
    that an alert names.

    A place on the portal's topics, or the header `hub.position` of a record there, leads to the thing or the event; so
    does the copy of a dead letter. For a single event it shows the headers: of its record on the log, and of what was
    published.

    **Examples**

    - `hub trace H42.12.34-250701-0001`
    - `hub trace 5f0e7c4a-8f7c-4a54-9a53-0f8f7a0f4f11`
    - `hub trace hub.citizen.changed.v1/1/1656 --json`
    - `hub trace hub.dossier.record.v1/1/42`
    - `hub trace citizen.changed/1`
    - `echo 001299000123 | hub trace - --entity citizen`
    """
    from hub.cli.trace.view import story_view, trace_json, trace_view  # heavy: the codec, SQLAlchemy, the log's client
    from hub.operate.trace.place import PlaceStory

    with Screen(stderr=True).status("looking it up in the warehouse, the log and the portal's topic"):
        found = _looked_up(sys.stdin.readline() if who == "-" else who, entity)
    if isinstance(found, PlaceStory):
        say_json(found.as_json()) if as_json else screen().print(story_view(found))
        return
    if as_json:
        say_json(trace_json(found))
        return
    screen().print(trace_view(found, last))


def _looked_up(asked: str, entity: str | None) -> "Trace | PlaceStory":
    """Return the thing or event that is asked for; of a place without a record that can be read, what is known."""
    from hub.operate.trace.find import NoKeyError
    from hub.operate.trace.hops import trace as trace_of
    from hub.operate.trace.place import place_named, story_of

    settings, places, engine = opened("hub trace")
    try:
        return trace_of(engine, places.bootstrap, places.key_secret, asked, entity, settings.archive_dir)
    except NoKeyError:
        named = place_named(asked)
        if named is None:
            raise
        return story_of(engine, places.bootstrap, named)
