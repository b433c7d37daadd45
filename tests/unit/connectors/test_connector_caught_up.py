"""When a run says that it has caught up: every stream was read to its end, none is held back, and nobody stopped it."""

import pytest

from connectors.base.port import Page
from connectors.running.run import RunOptions, run
from connectors.testing import QUICK, MemoryPublisher
from tests.unit.connectors.test_connector_run import Pages


class Held(Pages):
    """A connector that may not read further than a place."""

    def held_back_at(self) -> str | None:
        """See ``Connector``."""
        return "row 7"


class Stopped(Pages):
    """A connector whose run is told to stop when its first page is stored."""

    def __init__(self, count: int, options: RunOptions) -> None:
        super().__init__(count, [])
        self._options = options

    def checkpoint(self, page: Page) -> None:
        """See ``Connector``."""
        super().checkpoint(page)
        self._options.stop.set()


def options() -> RunOptions:
    return RunOptions(once=True, policy=QUICK)


def test_run_has_caught_up_when_every_stream_is_read_to_its_end() -> None:
    with_nothing_new, with_pages = options(), options()
    run([Pages(0, [])], MemoryPublisher(), with_nothing_new)
    run([Pages(2, []), Pages(0, [])], MemoryPublisher(), with_pages)
    for done in (with_nothing_new, with_pages):
        assert done.pulse.caught_up_at is not None
        assert done.pulse.caught_up_at >= done.pulse.began_at
    assert with_pages.pulse.published == 2


@pytest.mark.parametrize("first", [Held, Pages])
def test_run_has_not_caught_up_while_any_stream_is_held_back(first: type[Pages]) -> None:
    held = options()
    run([first(1, []), Held(1, [])], MemoryPublisher(), held)
    assert held.pulse.published == 2
    assert held.pulse.caught_up_at is None


def test_run_that_was_stopped_has_not_caught_up() -> None:
    stopped = options()
    run([Stopped(3, stopped)], MemoryPublisher(), stopped)
    assert stopped.pulse.published < 3
    assert stopped.pulse.caught_up_at is None
