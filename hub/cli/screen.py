"""The one place through which commands print: strings are text, and nothing in them steers the terminal.

Only ``styled`` reads markup, and only in its template. JSON has its own escapes and stays JSON. No other module of
``hub.cli`` opens a console or prints (tests/unit/test_screen.py).
"""

import json
import sys
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from hub.model.visible import STEERS, visible

WIDTH = 100
"""Views fit this many columns."""


class _Value:
    """A value in a template: formatted, made visible, and no markup."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        if isinstance(self._value, Text):
            return self._value.markup
        return escape(visible(format(self._value, spec)))


def styled(template: str, *values: object) -> Text:
    """Return a text with styles: markup counts in the template alone, values are shown as they are.

    Args:
        template: with rich's markup, and ``{}`` or ``{:,}`` for each value.
        values: of any type; a ``Text`` keeps its styles.
    """
    return Text.from_markup(template.format(*map(_Value, values)), emoji=False)


def plain(value: object, style: str = "") -> Text:
    """Return a value as one line of text of one style."""
    return Text(visible(str(value)), style=style)


def stacked(lines: Iterable[Text]) -> Text:
    """Return texts as the lines of one."""
    return Text("\n").join(lines)


class Screen(Console):
    """A console on which strings are text: no markup, no smileys, nothing that steers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string; what steers is shown, before its width is measured."""
        return super().render_str(visible(text, lines=True), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; only the console's own control codes stay as they are."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text, lines=True), segment.style)


def screen() -> Screen:
    """Return a console as wide as views need; a narrower terminal keeps its width."""
    terminal = Screen()
    return terminal if terminal.is_terminal and terminal.width < WIDTH else Screen(width=WIDTH)


def say(text: str, error: bool = False) -> None:
    """Print one text as it is, however long its lines are, on standard output or standard error."""
    file = sys.stderr if error else sys.stdout
    file.write(visible(text, lines=True) + "\n")
    file.flush()


def json_text(value: object, default: Callable[[Any], Any] | None = None, indent: int | None = None) -> str:
    """Return JSON in which nothing steers: what JSON would leave raw has JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False, default=default, indent=indent)
    return STEERS.sub(lambda found: json.dumps(found.group())[1:-1], text)


def say_json(value: object, default: Callable[[Any], Any] | None = None, indent: int | None = None) -> None:
    """Print one JSON value on standard output; on one line, unless it is indented."""
    sys.stdout.write(json_text(value, default, indent) + "\n")
    sys.stdout.flush()


def show_bugs_visibly() -> None:
    """Let the traceback of a bug steer no terminal."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        say("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), error=True)

    sys.excepthook = show
