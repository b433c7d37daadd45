"""The port that the engine drives: one server, prepared once, launched on given ports, asked whether it answers."""

import signal
from collections.abc import Callable, Sequence
from typing import Protocol

from hub.embedded.processes import Launch
from hub.embedded.state import ProcessRef

Progress = Callable[[str], None]
"""Told, in a few words, what is being done now."""


class Server(Protocol):
    """One server of the engine."""

    name: str
    port_count: int
    polite_signal: signal.Signals
    """Ends it cleanly."""
    rude_signal: signal.Signals
    """Ends it at once; it recovers at its next start."""

    def prepare(self, progress: Progress) -> None:
        """Make what must exist before the first start. Repeatable; killed half way, the next call begins anew."""

    def launch(self, ports: Sequence[int]) -> Launch:
        """Render the configuration for these ports and say how to start the server."""

    def leftover(self) -> ProcessRef | None:
        """Find a server that runs on our data without being remembered, and clear what a killed one left behind."""

    def answers(self, ports: Sequence[int]) -> bool:
        """Ask the server something only a healthy one can answer; blocks a few seconds at most."""

    def url(self, ports: Sequence[int]) -> str:
        """Return the address for clients, without secrets."""
