"""How many records the next batch may have: more while full batches are quick, fewer when one takes long.

While a batch is on its way the next one gathers, so batches follow the load by themselves; this only bounds them, so
that a slow database or a cold cache does not make one transaction, and all who wait for it, last for many seconds.
"""

LEAST_ROWS = 500


class BatchSize:
    """The bound in force. One for each lane, used from the event loop."""

    def __init__(self, most: int, target_s: float) -> None:
        """Begin in the middle.

        Args:
            most: never more rows than this.
            target_s: how long a full batch's transaction should last at most.
        """
        self._most = most
        self._least = min(LEAST_ROWS, most)
        self._target_s = target_s
        self.rows = max(self._least, most // 4)

    def took(self, rows: int, seconds: float) -> None:
        """Learn from a committed batch."""
        if seconds > self._target_s:
            fitting = int(rows * self._target_s / seconds)
            self.rows = max(self._least, self.rows // 2, min(self.rows, fitting))
        elif rows >= self.rows and seconds * 2 <= self._target_s:
            self.rows = min(self._most, self.rows * 2)
        elif rows >= self.rows:
            self.rows = min(self._most, self.rows + self.rows // 4)
