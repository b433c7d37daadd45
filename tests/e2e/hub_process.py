"""The installed command as child processes, and what a test asks of them: health, progress, the end."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.worker.app import free_port
from tests.support.patience import HANG_S

HUB = str(Path(sys.executable).with_name("hub"))
LIMIT_S = HANG_S


def run_hub(
    environment: Mapping[str, str], *arguments: str, limit_s: float = LIMIT_S
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, with nothing of our own ``HUB_*`` environment."""
    return subprocess.run(
        [HUB, *arguments],
        capture_output=True,
        text=True,
        timeout=limit_s,
        env=clean_environment(environment),
        check=False,
    )


def clean_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return our environment with other ``HUB_*`` variables than those given left out."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | dict(given)


class WorkerProcess:
    """``hub worker`` (or a script in its place) as a child; ``stop`` it, whatever happened."""

    def __init__(self, environment: Mapping[str, str], log: Path, command: Sequence[str] = (HUB, "worker")) -> None:
        self.port = free_port()
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=clean_environment({**environment, "HUB_WEB_PORT": str(self.port)}),
                start_new_session=True,
            )

    def page(self, path: str) -> tuple[int, Any]:
        """Return a page's status and JSON; (0, None) while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, None

    def health(self) -> int:
        """Return the status of the health page."""
        return self.page("/health")[0]

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self.process.poll() is None

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(limit_s)

    def stop(self) -> int:
        """End it as an operator would, and return its exit code."""
        if self.is_alive():
            self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end; what its threads did:\n{self.output()[-8000:]}") from None

    def output(self) -> str:
        """Return all that it has written."""
        return self.log.read_text("utf-8", "replace")


def wait_until(is_so: Callable[[], object], otherwise: Callable[[], str], limit_s: float = LIMIT_S) -> None:
    """Look ten times a second until it is so; fail with the text after the limit."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)
