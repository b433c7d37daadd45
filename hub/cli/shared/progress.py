"""Progress of work that takes longer than a second, on standard error: a bar on a terminal, nothing elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hub.cli.shared.screen import Screen, plain


@contextmanager
def progress_line(what: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that says on one line how far it is; nothing is shown if ``quiet``, or not on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda text: None
        return
    with Screen(stderr=True).status(what) as status:
        yield lambda text: status.update(plain(text))


@contextmanager
def progress_bar(what: str, every_s: float = 0.1) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes how much is done and how much there is; it may be called as often as needed."""
    console = Screen(stderr=True)
    if not console.is_terminal:
        yield lambda done, of: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(what, total=None)
        told = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal told
            if done >= total or time.monotonic() - told >= every_s:
                told = time.monotonic()
                shown.update(task, completed=done, total=total)

        yield tell
