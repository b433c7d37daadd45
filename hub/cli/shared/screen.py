"""The one place through which commands print: strings are text, and nothing in them controls the terminal.

Only ``styled`` reads markup, and only in its template. JSON has its own escapes and stays JSON. No other module of
``hub.cli`` opens a console or prints (tests/unit/cli/test_screen.py).
"""

import json
import sys
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from hub.model.texts.visible import STEERS, visible

WIDTH = 100
"""Views fit this many columns."""


class _Value:
    """A value in a template: formatted, made visible, not read as markup."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        if isinstance(self._value, Text):
            return self._value.markup
        return escape(visible(format(self._value, spec)))


def styled(template: str, *values: object) -> Text:
    """Return a text with styles: markup is read only in the template; values are shown as they are.

    Args:
        template: with rich's markup, and ``{}`` or ``{:,}`` for each value.
        values: of any type; a ``Text`` keeps its styles.
    """
    return Text.from_markup(template.format(*map(_Value, values)), emoji=False)


def plain(value: object, style: str = "") -> Text:
    """Return a value as one line of text in one style."""
    return Text(visible(str(value)), style=style)


def stacked(lines: Iterable[Text]) -> Text:
    """Return one text with the given texts as its lines."""
    return Text("\n").join(lines)


class Screen(Console):
    """A console on which strings are text: no markup, no emoji, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string; control characters are made visible before its width is measured."""
        return super().render_str(visible(text, lines=True), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a text that is wider than the console is not cut off."""
        super().print(*objects, **{"crop": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; only the console's own control codes stay. A table breaks lines only at spaces."""
        if isinstance(renderable, Table):
            options = _fitted(self, renderable, options or self.options)
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text, lines=True), segment.style)


def _fitted(console: Console, table: Table, options: ConsoleOptions) -> ConsoleOptions:
    """Give a table's columns widths at which no word is broken: a key, an id or a place can be copied whole.

    Columns with more than one word become narrower first. If the longest words alone need more than the width, the
    table is wider. Columns with a declared width or share keep it.
    """
    if any(column.ratio or column.width for column in table.columns) or not table.columns:
        return options
    wide = options.update(width=_UNLIMITED)
    ranges = [_range(console, column, wide) for column in table.columns]
    edges = Measurement.get(console, wide, table).maximum - sum(most for _, most in ranges)
    widths = _shared(ranges, options.max_width - edges)
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    return options.update(width=max(options.max_width, sum(widths) + edges))


_UNLIMITED = 100_000


def _range(console: Console, column: Column, options: ConsoleOptions) -> tuple[int, int]:
    """Return the width of a column's longest word, and of its longest cell."""
    sizes = [Measurement.get(console, options, cell) for cell in (column.header, column.footer, *column.cells)]
    most = max(size.maximum for size in sizes)
    least = most if column.no_wrap else max(size.minimum for size in sizes)
    limit = column.max_width or most
    return min(least, limit), min(most, limit)


def _shared(ranges: list[tuple[int, int]], room: int) -> list[int]:
    """Return widths within their ranges that fill the room, or the least widths if even these need more."""
    widths = [least for least, _ in ranges]
    left = room - sum(widths)
    while left > 0 and (growing := [at for at, (_, most) in enumerate(ranges) if widths[at] < most]):
        share = max(1, left // len(growing))
        for at in growing:
            grown = min(share, ranges[at][1] - widths[at], left)
            widths[at] += grown
            left -= grown
    return widths


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
    """Return JSON without control characters: characters that JSON leaves raw get JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False, default=default, indent=indent)
    return STEERS.sub(lambda found: json.dumps(found.group())[1:-1], text)


def say_json(value: object, default: Callable[[Any], Any] | None = None, indent: int | None = None) -> None:
    """Print one JSON value on standard output; on one line, unless it is indented."""
    sys.stdout.write(json_text(value, default, indent) + "\n")
    sys.stdout.flush()


def show_bugs_visibly() -> None:
    """Print the traceback of a bug without characters that control the terminal."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        say("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), error=True)

    sys.excepthook = show
