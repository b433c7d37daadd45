"""What was sent of the rows that every poll reads again: an unchanged row is sent once."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from connectors.base.port import Page

_Sent = dict[str, tuple[datetime | None, str]]
"""By a row's hash: when the row changed, and its content."""


class SentRows:
    """What confirmed pages sent of each row, and what pages that are not confirmed yet will have sent."""

    def __init__(self) -> None:
        self._sent: _Sent = {}
        self._page: _Sent = {}
        self._unconfirmed: deque[tuple[Page, _Sent]] = deque()

    def begin_page(self) -> None:
        """Begin a page; what an interrupted one noted is dropped."""
        self._page = {}

    def is_new(self, name: str, row: Sequence[Any]) -> bool:
        """Tell whether a row without a time is new or changed: each poll reads all such rows, mostly unchanged."""
        content = str(hash(repr(row)))
        if self._sent.get(name) == (None, content):
            return False
        self._page[name] = None, content
        return True

    def is_sent(self, name: str, content: str, changed_at: datetime | None) -> bool:
        """Tell whether the same content was already sent of a row; if not, note it, unless it has no time."""
        if name in self._sent and self._sent[name][1] == content:
            return True
        if changed_at is not None:
            self._page[name] = changed_at, content
        return False

    def made(self, page: Page) -> None:
        """End a page: what was noted since it began counts when the page is confirmed."""
        self._unconfirmed.append((page, self._page))
        self._page = {}

    def confirmed(self, page: Page) -> None:
        """Let a page count, and those before it; a later page may already exist: it is not covered."""
        while self._unconfirmed:
            made, sent = self._unconfirmed.popleft()
            self._sent.update(sent)
            if made is page:
                break

    def forget_unconfirmed(self) -> None:
        """Drop what unconfirmed pages say."""
        self._unconfirmed.clear()

    def keep(self, may_come_again: Callable[[datetime | None], bool]) -> None:
        """Forget the rows that no later poll reads, by the time at which they changed."""
        self._sent = {name: sent for name, sent in self._sent.items() if may_come_again(sent[0])}
