"""The port that the engine uses: one server, prepared once, started on given ports, asked whether it answers."""

import signal
from collections.abc import Callable, Sequence
from typing import Protocol

from hub.embedded.processes import Launch
from hub.embedded.state import ProcessRef

Progress = Callable[[str], None]
"""Receives, in a few words, what is being done now."""


class Server(Protocol):
    """One server of the engine."""

    name: str
    port_count: int
    polite_signal: signal.Signals
    """Stops it cleanly."""
    rude_signal: signal.Signals
    """Stops it at once; it recovers at its next start."""

    def prepare(self, progress: Progress) -> None:
        """Create what must exist before the first start. Repeatable; after a kill, the next call starts over."""

    def launch(self, ports: Sequence[int]) -> Launch:
        """Render the configuration for these ports and return how to start the server."""

    def leftover(self) -> ProcessRef | None:
        """Find a server that runs on our data but is not in the state file, and remove what a killed one left."""

    def answers(self, ports: Sequence[int]) -> bool:
        """Ask the server something that only a healthy one can answer; blocks a few seconds at most."""

    def url(self, ports: Sequence[int]) -> str:
        """Return the address for clients, without secrets."""
