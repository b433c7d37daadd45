"""Serve the read side of the Schema Registry API by itself, until the process is told to stop."""

import asyncio
import signal
from collections.abc import Callable

from aiohttp import web

from hub.codec.catalogue import Catalogue
from hub.codec.registry.api import registry_app
from hub.model.errors import ConfigError


def serve(catalogue: Catalogue, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Block until SIGINT or SIGTERM; ``on_ready`` gets the address once the server accepts connections.

    Raises:
        ConfigError: the server cannot listen on the address.
    """
    asyncio.run(_serve(catalogue, host, port, on_ready))


async def _serve(catalogue: Catalogue, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(registry_app(catalogue), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        on_ready(f"http://{bound[0]}:{bound[1]}")
        await stop.wait()
    except OSError as error:
        raise ConfigError([f"cannot listen on {host}:{port}: {error.strerror}"]) from error
    finally:
        await runner.cleanup()
