"""A worker that ends leaves its group, and does not stay for a broker that does not answer."""

import asyncio
from typing import Any, cast

import pytest

from hub.intake.broker import log


class Silent:
    """A consumer whose broker never answers."""

    async def stop(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


def test_worker_that_ends_does_not_wait_for_a_broker_that_is_silent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log, "LEAVE_S", 0.01)

    async def leave() -> None:
        async with asyncio.timeout(30):
            await log.let_go(cast(Any, Silent()))

    asyncio.run(leave())
    assert "did not answer" in caplog.text
