"""One connection to the NATS group that is never given up.

nats-py reconnects by itself, but closes for good when a server sends an error that it
does not know (`Slow Consumer` after a long pause of this process is one). This class
then makes a new client. Must never put a URL with its credentials into a text.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from consensus.jetstream_stream import MAX_MESSAGE_BYTES
from consensus.log import AccessUnusable, LogUnavailable

logger = logging.getLogger(__name__)

API_TIMEOUT_S: Final = 2.0
"""One question to the JetStream API; asked again until the caller's deadline."""

_RECONNECT_WAIT_S: Final = 0.1
_REPLACE_WAIT_S: Final = 1.0
_CONNECT_TIMEOUT_S: Final = 2
_PING_INTERVAL_S: Final = 2
"""With two outstanding pings a connection that hangs is given up after 6 s."""

_PENDING_BYTES: Final = 2 * MAX_MESSAGE_BYTES
"""What the client holds back for a socket that does not drain."""

# Refusals with a client's status code that pass by themselves: no suitable peers for the
# replicas yet (10005), not the leader any more (10009).
_TRANSIENT_CODES: Final = frozenset({10005, 10009})

# A server's fault by its status code, but for ever: replicas without a cluster (10074).
_PERMANENT_CODES: Final = frozenset({10074})


def is_transient(error: nats.errors.Error) -> bool:
    """Whether asking the JetStream API again may help."""
    if isinstance(error, nats.js.errors.APIError):
        if error.err_code in _PERMANENT_CODES:
            return False
        return error.code is None or error.code >= 500 or error.err_code in _TRANSIENT_CODES
    return True


def address(url: str) -> str:
    """A server's URL without its user and password."""
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    if not parts.hostname:
        raise AccessUnusable("a NATS server's URL is nats://[user:password@]host[:port]")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or 4222}"


def _login(servers: Sequence[str]) -> dict[str, str]:
    """What the URLs say about who we are, as the client's options.

    nats-py keeps a URL's user and password for that very server and greets the group's
    other members, which it learns of by itself, without; so they are given for all.
    """
    found = set()
    for url in servers:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        found.add((parts.username, parts.password))
    if len(found) != 1:
        raise AccessUnusable("give at least one NATS server, all with the same user and password")
    user, password = found.pop()
    if user is None:
        return {}
    if password is None:
        return {"token": unquote(user)}
    return {"user": unquote(user), "password": unquote(password)}


def _check_credentials(file: Path) -> None:
    """Raise AccessUnusable unless the file holds a user's JWT and seed, and we can sign with it.

    Otherwise the client breaks off half made, and closing it fails at an assertion of its own.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise AccessUnusable(f"{file} cannot be read: {error.strerror}") from error
    seed = re.search(rb"BEGIN USER NKEY SEED-*\s+([A-Z2-7]+)\s", text)
    if seed is None or re.search(rb"BEGIN NATS USER JWT-*\s+[\w.-]+\s", text) is None:
        raise AccessUnusable(f"{file} holds no NATS credentials (a user's JWT and seed)")
    if importlib.util.find_spec("nkeys") is None:  # nats-py imports it only then
        raise AccessUnusable("credentials need the Python package nkeys, which is not installed")


class Connection:
    """The current client, replaced when it closes; tells its listeners of every change."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        name: str,
        credentials: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.servers = tuple(address(url) for url in servers)
        """Scheme, host and port of each; never user and password."""
        self.generation = 0
        """Grows with every connection made: what was sent or awaited before is lost."""
        self.on_connect: list[Callable[[Client], Awaitable[None]]] = []
        """Awaited with every new client, before anything is published with it."""
        self.on_change: list[Callable[[], None]] = []
        """Called whenever a connection is lost or made."""
        self._options: dict[str, Any] = {"name": name, **_login(servers)}
        if credentials is not None:
            _check_credentials(credentials)
            self._options["user_credentials"] = str(credentials)
        if tls is not None:
            self._options["tls"] = tls
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._closing = False
        self._replacing: asyncio.Task[None] | None = None
        self._refused: asyncio.Future[str] | None = None
        self._last_error = "no server answered"

    @property
    def client(self) -> Client:
        """The current client; it may be reconnecting."""
        if self._client is None or self._closing:
            raise LogUnavailable("the connection to the log is closed")
        return self._client

    def jetstream(self, timeout: float = API_TIMEOUT_S) -> JetStreamContext:
        """The JetStream API over the current client; each question waits `timeout` seconds."""
        return self.client.jetstream(timeout=timeout)

    @property
    def is_up(self) -> bool:
        """Whether a server is connected, as far as is known."""
        return self._up.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed for good."""
        return self._closing

    @property
    def last_error(self) -> str:
        """Why there is no connection, for people."""
        return self._last_error

    async def open(self, timeout: float) -> None:
        """Connect. Raises LogUnavailable after `timeout` seconds, or at once when refused."""
        loop = asyncio.get_running_loop()
        self._refused = loop.create_future()
        making = asyncio.create_task(self._make_client())
        try:
            either: set[asyncio.Future[Any]] = {making, self._refused}
            await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                await making
                return
            text = self._refused.result() if self._refused.done() else self._last_error
        finally:
            self._refused = None
            if not making.done():
                making.cancel()
                await asyncio.gather(making, return_exceptions=True)
        self._closing = True
        hosts = ", ".join(self.servers)
        raise LogUnavailable(f"cannot connect to NATS at {hosts} within {timeout:g} s: {text}")

    async def wait_up(self, deadline: float | None = None) -> bool:
        """Wait for a connection; False when closed, or when the loop's clock passes `deadline`."""
        if not self._up.is_set():
            try:
                async with asyncio.timeout_at(deadline):
                    await self._up.wait()
            except TimeoutError:
                return False
        return not self._closing

    async def close(self) -> None:
        """Disconnect for good. Idempotent."""
        self._closing = True
        self._up.set()  # nobody waits for what will not come
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.gather(self._replacing, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        self._changed()

    async def _make_client(self) -> None:
        client = Client()

        async def lost() -> None:
            if client is self._client:
                self._mark_lost()

        async def closed() -> None:
            if client is self._client and not self._closing:
                logger.warning("nats: the client closed, making a new one: %s", client.last_error)
                self._mark_lost()
                self._replacing = asyncio.create_task(self._replace_client())

        async def again() -> None:
            if client is self._client:
                self._mark_made()

        try:
            await client.connect(
                servers=list(self.servers),
                error_cb=self._on_error,
                disconnected_cb=lost,
                closed_cb=closed,
                reconnected_cb=again,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_RECONNECT_WAIT_S,  # type: ignore[arg-type]
                connect_timeout=_CONNECT_TIMEOUT_S,
                ping_interval=_PING_INTERVAL_S,
                max_outstanding_pings=2,
                pending_size=_PENDING_BYTES,
                **self._options,
            )
            for prepare in self.on_connect:
                await prepare(client)
        except BaseException:
            await client.close()
            raise
        self._client = client
        self._mark_made()

    async def _replace_client(self) -> None:
        while True:
            try:
                await self._make_client()
                return
            except (OSError, nats.errors.Error) as error:
                # The credentials' file may be away for a moment; and it may close again.
                await self._on_error(error)
                await asyncio.sleep(_REPLACE_WAIT_S)

    async def _on_error(self, error: Exception) -> None:
        self._last_error = f"{type(error).__name__}: {error}" if str(error) else repr(error)
        logger.debug("nats: %s", self._last_error)
        refused = "authorization violation" in self._last_error.lower()
        if refused and self._refused is not None and not self._refused.done():
            self._refused.set_result("the server refuses our credentials")

    def _mark_lost(self) -> None:
        logger.warning("nats: the connection is lost: %s", self._last_error)
        self._up.clear()
        self._changed()

    def _mark_made(self) -> None:
        url = self.client.connected_url
        logger.info("nats: connected to %s", address(url.geturl()) if url else "a server")
        self.generation += 1
        self._up.set()
        self._changed()

    def _changed(self) -> None:
        for listener in list(self.on_change):
            listener()
