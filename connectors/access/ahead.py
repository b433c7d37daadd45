"""Read one page ahead: the source's database reads the next page while this one is mapped."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def read_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield the items of an iterator that runs in its own thread, at most one item ahead.

    The whole iterator runs in that one thread, its end and its errors included. Closing this generator waits for the
    item that is being read, then closes the iterator.
    """
    with ThreadPoolExecutor(1, "read") as thread:
        try:
            coming = thread.submit(next, items, None)
            while (item := coming.result()) is not None:
                coming = thread.submit(next, items, None)
                yield item
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                thread.submit(close)
