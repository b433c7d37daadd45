"""Read one page ahead: the source's database works on the next page while this one is mapped."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def read_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield the items of an iterator that is run in a thread of its own, at most one item ahead.

    All of the iterator, its end and its errors included, happens in that one thread. Closing this iterator waits for
    the item that is being read, and closes the other.
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
