"""One connection to the NATS group that is never given up.

nats-py reconnects by itself, but closes for good when a server sends an error that it does not
know (`Slow Consumer` after a long pause of this process is one), and its reconnecting dies of
what it does not expect (a line without an end from whatever has the server's port now). This
class then makes a new client. Must never put a URL with its credentials into a text.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from consensus.jetstream_client import CancellableClient
from consensus.jetstream_credentials import Credentials
from consensus.jetstream_stream import MAX_MESSAGE_BYTES
from consensus.log import AccessUnusable, LogUnavailable

logger = logging.getLogger(__name__)

API_TIMEOUT_S: Final = 2.0
"""One question to the JetStream API; asked again until the caller's deadline."""

_RECONNECT_WAIT_S: Final = 0.1
_REPLACE_WAIT_S: Final = 1.0
_LOOK_EVERY_S: Final = 1.0
"""How soon an end is noticed that the client does not tell."""
_CONNECT_TIMEOUT_S: Final = 2
_FIRST_TOLD_S: Final = 1.0
"""How long a first connection is waited for before that is told; then after twice as long each."""
_PING_INTERVAL_S: Final = 2
"""With two outstanding pings a connection that hangs is given up after 6 s."""

_PENDING_BYTES: Final = 2 * MAX_MESSAGE_BYTES
"""What the client holds back for a socket that does not drain."""

_FLUSH_TIMEOUT_S: Final = 1.0
"""How long a publish waits for such a socket. Without an end to it, one on a server that is frozen
would wait until there is another server, whatever its caller's time is."""

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


def _has_ended(client: Client) -> bool:
    """Whether the client will never be connected again, whatever the servers do.

    Asked of what it is, because its callbacks do not tell all of it: none is called when its
    reconnecting dies, nor when it dies half way through closing.
    """
    if client.is_closed:
        return True
    task = client._reconnection_task
    if task is None or not task.done():
        return False
    return not client.is_connected or _death_of(client) is not None


def _death_of(client: Client) -> BaseException | None:
    """What the client's reconnecting died of."""
    task = client._reconnection_task
    return task.exception() if task is not None and task.done() and not task.cancelled() else None


def _require_cancelled(task: asyncio.Task[None]) -> None:
    """End the process if nobody keeps the connection: it would wait for the log for ever."""
    if task.cancelled() or (error := task.exception()) is None:
        return
    logger.critical("nats: nobody keeps the connection any more", exc_info=error)
    raise SystemExit(f"error: nobody keeps the connection to the log: {error!r}") from error


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
            user = Credentials(credentials)
            self._options |= {"user_jwt_cb": user.jwt, "signature_cb": user.sign}
        if tls is not None:
            self._options["tls"] = tls
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._closing = False
        self._keeping: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        """A client told that it closed."""
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
            await self._await_first({making, self._refused}, loop.time() + timeout)
            if making.done():
                try:
                    await making
                except (OSError, ValueError, nats.errors.Error) as error:  # not NATS, say
                    await self._on_error(error)
                else:
                    self._keeping = asyncio.create_task(self._keep_client())
                    self._keeping.add_done_callback(_require_cancelled)
                    return
            text = self._refused.result() if self._refused.done() else self._last_error
        finally:
            self._refused = None
            if not making.done():
                making.cancel()
                await asyncio.gather(making, return_exceptions=True)
        self._closing = True
        raise LogUnavailable(
            f"cannot connect to NATS at {self._hosts} within {timeout:g} s: {text}"
        )

    async def _await_first(self, either: set[asyncio.Future[Any]], deadline: float) -> None:
        """Until one of them is done, or the deadline; tells what it waits for, less and less."""
        loop, pause = asyncio.get_running_loop(), _FIRST_TOLD_S
        while (left := deadline - loop.time()) > 0:
            done, _ = await asyncio.wait(
                either, timeout=min(pause, left), return_when=asyncio.FIRST_COMPLETED
            )
            if done or loop.time() >= deadline:
                return
            logger.warning("nats: no connection to %s yet: %s", self._hosts, self._last_error)
            pause *= 2

    @property
    def _hosts(self) -> str:
        return ", ".join(self.servers)

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
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        self._changed()

    async def _make_client(self) -> None:
        client = CancellableClient()

        async def lost() -> None:
            # Once it is closed for good, nobody shall wait for a connection any more.
            if client is self._client and not self._closing:
                self._mark_lost()

        async def closed() -> None:
            if client is self._client:
                self._closed.set()

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
                flush_timeout=_FLUSH_TIMEOUT_S,
                **self._options,
            )
            for prepare in self.on_connect:
                await prepare(client)
        except BaseException:
            await client.close()
            raise
        self._client = client
        self._mark_made()

    async def _keep_client(self) -> None:
        """Replace the client whenever it has ended."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._closed.wait()
            self._closed.clear()
            client = self._client
            if client is not None and _has_ended(client):
                death = _death_of(client)
                if death is not None:
                    await self._on_error(death)
                logger.warning(
                    "nats: the client ended, making a new one: %s",
                    client.last_error,
                    exc_info=death,
                )
                self._mark_lost()
                await self._replace(client)

    async def _replace(self, client: Client) -> None:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await client.close()
        except Exception as error:  # noqa: BLE001 - nothing is asked of it any more
            logger.warning("nats: the client that ended could not be closed: %r", error)
        while True:
            try:
                await self._make_client()
                return
            except (OSError, nats.errors.Error) as error:
                # The credentials' file may be away for a moment; and it may close again.
                await self._on_error(error)
            except Exception as error:
                # What nats-py makes of bytes that are not NATS: not ours to know beforehand. Who
                # sends them may be gone the next second, and nobody is told that we are connected.
                logger.exception("nats: a new client could not be made")
                await self._on_error(error)
            await asyncio.sleep(_REPLACE_WAIT_S)

    async def _on_error(self, error: BaseException) -> None:
        self._last_error = f"{type(error).__name__}: {error}" if str(error) else repr(error)
        logger.debug("nats: %s", self._last_error)
        refused = "authorization violation" in self._last_error.lower()
        if refused and self._refused is not None and not self._refused.done():
            self._refused.set_result("the server refuses our credentials")

    def _mark_lost(self) -> None:
        logger.warning("nats: the connection to %s is lost: %s", self._hosts, self._last_error)
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
