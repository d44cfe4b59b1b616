"""One web process on its port: the application, and in front of it the reads from memory."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import structlog
from aiohttp import web

from app.api.hot_reads import HotReads
from app.api.past import MAX_MATCH_CHARS
from app.api.plain_routes import PlainRoutes
from app.api.refusals import Refusals, Server
from app.api.watch import MAX_KEYS
from app.settings import Settings, SettingsError
from app.web import create_app
from domain.config import MAX_KEY_LENGTH

SHUTDOWN_TIMEOUT_S = 5.0
GOODBYE_S = 0.5
"""How long who asks on a kept connection may take until the next request."""
GOODBYE_POLL_S = 0.05
MAX_HEADER_BYTES = 8190
"""Of one header, name and value; aiohttp's own limit. Nothing of the contract needs more."""
MAX_ADDRESS_BYTES = 8190 + max(
    MAX_KEYS * (MAX_KEY_LENGTH + len("%2C")),
    MAX_MATCH_CHARS * len("%F0%9F%98%80"),
)
"""Of an address with its query: the longest parameter that the contract allows, and aiohttp's own
limit for all the rest. That is `keys=` of a watch, each with its comma; a `match=` of characters
beyond the BMP (four bytes of UTF-8, each sent as three) has half of it."""

logger = structlog.get_logger(__name__)


class _Runner(web.AppRunner):
    """aiohttp's, with our server: hot reads and plain routes before the application, and problems
    before all."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        refusals = Refusals(self.app)
        return Server(
            HotReads(self.app, PlainRoutes(self.app, refusals.behind(made.request_handler))),
            refusals,
            request_factory=made.request_factory,
            **self._kwargs,
        )


async def start_runner(settings: Settings, **options: Any) -> web.AppRunner:
    """The started application, ready to be given its sites. `options` are the runner's."""
    # Bodies are unpacked by app.api.content_coding, which can say what is wrong with one.
    runner = _Runner(
        create_app(settings),
        access_log=None,
        auto_decompress=False,
        max_line_size=MAX_ADDRESS_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        **options,
    )
    await runner.setup()
    return runner


async def _listen(
    runner: web.AppRunner, settings: Settings, variable: str, port: int, *, shared: bool = False
) -> None:
    """Raises SettingsError: an OSError would pass for a database that is away."""
    try:
        await web.TCPSite(runner, settings.host, port, reuse_port=shared or None).start()
    except OSError as error:
        # asyncio's own text repeats the address; a name that is not found has a negative number.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or error
        raise SettingsError(
            f"GUARDIAN_HOST, {variable}", f"cannot listen on {settings.host}:{port}: {reason}"
        ) from error
    host, port = runner.addresses[-1][:2]
    logger.info("listening", address=f"{host}:{port}")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, also while it starts; who has asked by then is answered."""
    told = asyncio.Event()
    starting = asyncio.create_task(_started(settings))

    def stop() -> None:
        # Behind the start nothing is cancelled: what is under way would answer nobody. Nor by a
        # second signal: Ctrl-C in a terminal comes beside the SIGTERM of whoever started us.
        told.set()
        starting.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        runner = await starting
    except asyncio.CancelledError:
        return
    try:
        await told.wait()
        await _send_clients_elsewhere(runner)
    finally:
        await runner.cleanup()


async def _send_clients_elsewhere(runner: web.AppRunner) -> None:
    """Take no new connection, and tell who asks on a kept one that it ends behind that answer. To
    end it while it is idle would meet a request that is on its way."""
    for site in runner.sites:
        await site.stop()
    server = runner.server
    assert isinstance(server, Server)
    server.ending = True
    until = asyncio.get_running_loop().time() + GOODBYE_S
    while server.connections and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
        await asyncio.sleep(GOODBYE_POLL_S)  # nobody tells of the last one's end


async def _started(settings: Settings) -> web.AppRunner:
    """The application, listening."""
    runner = await start_runner(settings, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    try:
        shared = settings.web_concurrency > 1
        await _listen(runner, settings, "GUARDIAN_PORT", settings.port, shared=shared)
        if settings.process_port:
            await _listen(runner, settings, "GUARDIAN_PROCESS_PORT", settings.process_port)
    except BaseException:
        await runner.cleanup()
        raise
    return runner
