"""Choose how many records the next batch may have: more while full batches are fast, fewer when one is slow.

The next batch gathers while the current one is committed, so batch sizes follow the load by themselves. This module
only sets an upper bound. Without it, a slow database or a cold cache could make one transaction last many seconds and
block everything that waits for it.
"""

LEAST_ROWS = 500


class BatchSize:
    """The upper bound now in force. Each lane has one; it is used from the event loop."""

    def __init__(self, most: int, target_s: float) -> None:
        """Begin at a quarter of the maximum.

        Args:
            most: maximum number of rows.
            target_s: how long a full batch's transaction should last at most, in seconds.
        """
        self._most = most
        self._least = min(LEAST_ROWS, most)
        self._target_s = target_s
        self.rows = max(self._least, most // 4)

    def took(self, rows: int, seconds: float) -> None:
        """Adjust the bound after a committed batch of ``rows`` records that took ``seconds``."""
        if seconds > self._target_s:
            fitting = int(rows * self._target_s / seconds)
            self.rows = max(self._least, self.rows // 2, min(self.rows, fitting))
        elif rows >= self.rows and seconds * 2 <= self._target_s:
            self.rows = min(self._most, self.rows * 2)
        elif rows >= self.rows:
            self.rows = min(self._most, self.rows + self.rows // 4)
