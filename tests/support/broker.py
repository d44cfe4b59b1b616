"""The test run's servers: one PostgreSQL and one Raft group, started when first asked for.

The broker lives in a thread of the process that pytest was called in (with xdist: the
controller); test processes ask it over a unix socket. The thread lives as long as the run,
so the servers, its children, die with it however it ends. Tests of pure code start nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import threading
import uuid
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import nats
import nats.js.errors
from nats.aio.client import Client

from app import migrations
from app.embedded.postgres import Postgres
from app.embedded.raft import RaftGroup

PREFIX = "guardian-tests-"
NOT_YET = "new-"
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4_000_000_000
"""So much is asked of it to be free; a run has used 230 MB (measured)."""
ADDRESS_VARIABLE = "TEST_BROKER"
CONTROLLER_VARIABLE = "TEST_CONTROLLER"


class Broker:
    """Owns the servers of one test run. `start` and `stop` belong to the main thread."""

    def __init__(self) -> None:
        _sweep()
        made = Path(tempfile.mkdtemp(prefix=NOT_YET + PREFIX, dir=_parent()))
        made.chmod(0o711)  # PostgreSQL runs as another user when we are root
        self._lock = _hold(made)
        # Only held is it called as those that another run may sweep away.
        self.folder = made.rename(made.with_name(made.name.removeprefix(NOT_YET)))
        self.address = str(self.folder / "broker")
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="test-servers", daemon=True)
        self._postgres: Postgres | None = None
        self._raft: RaftGroup | None = None
        self._base_url: str | None = None
        self._maintenance: asyncpg.Connection | None = None
        self._template = f"template_{uuid.uuid4().hex[:12]}"
        self._nats_url = os.environ.get("TEST_NATS_URL") or None
        self._nats: Client | None = None

    def start(self) -> None:
        """Listen; returns when test processes may ask."""
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("the test servers' broker did not start")

    def stop(self) -> None:
        """Stop every server and remove the run's folder."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(60)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        server = await asyncio.start_unix_server(self._answer, self.address)
        self._ready.set()
        await self._stopped.wait()
        server.close()
        await self._close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        try:
            async with self._one_at_a_time:
                result = await self._do(request["do"], request.get("name", ""))
            answer: dict[str, Any] = {"result": result}
        except Exception as error:  # noqa: BLE001  (goes to the test that asked)
            answer = {"error": f"{type(error).__name__}: {error}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            writer.close()

    async def _do(self, what: str, name: str) -> Any:
        match what:
            case "postgres":
                return await self._start_postgres()
            case "create_database":
                return await self._create_database(name)
            case "drop_database":
                return await self._drop_database(name)
            case "raft":
                return await self._start_raft()
            case "delete_streams":
                return await self._delete_streams(name)
        raise ValueError(what)

    async def _start_postgres(self) -> str:
        """URL of the server's maintenance database; the template is migrated."""
        if self._base_url is None:
            base = os.environ.get("TEST_DATABASE_URL")
            if not base:
                options = {
                    "fsync": "off",
                    "full_page_writes": "off",
                    "autovacuum": "off",
                    "jit": "off",
                    "max_connections": "300",
                    # Nobody replicates it: a database of a test is copied without a journal, in
                    # 0.02 s instead of 0.25 (measured).
                    "wal_level": "minimal",
                    "max_wal_senders": "0",
                }
                self._postgres = Postgres(self.folder / "postgres", options=options)
                self._postgres.start()
                base = self._postgres.url("postgres")
            await migrations.up(database_of(base, self._template))
            self._base_url = base
        return self._base_url

    async def _create_database(self, name: str) -> str:
        base = await self._start_postgres()
        strategy = "" if self._postgres is None else "STRATEGY FILE_COPY"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}" {strategy}')
        return database_of(base, name)

    async def _drop_database(self, name: str) -> None:
        await self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def _execute(self, sql: str) -> None:
        # One for the run: a session's start takes as long as what is done in it (measured).
        if self._maintenance is None or self._maintenance.is_closed():
            self._maintenance = await asyncpg.connect(await self._start_postgres())
        await self._maintenance.execute(sql)

    async def _start_raft(self) -> dict[str, Any]:
        if self._nats_url is None:
            # Nothing here cuts the power, so the operating system may write when it likes.
            self._raft = RaftGroup(self.folder / "raft", sync_always=False)
            self._raft.start()
            self._nats_url = self._raft.url
        monitor_urls = self._raft.monitor_urls if self._raft is not None else ()
        return {"url": self._nats_url, "monitor_urls": list(monitor_urls)}

    async def _delete_streams(self, prefix: str) -> None:
        """Delete the streams of one test: each costs three servers heartbeats.

        By their names alone: the servers wait 4 s for the state of a stream that is going away
        (measured), and another test's often is.
        """
        if self._nats_url is None:
            return
        if self._nats is None:
            self._nats = await nats.connect(self._nats_url.split(","))
        engine = self._nats.jetstream()
        for name in await self._stream_names(self._nats):
            if name.startswith(prefix):
                with contextlib.suppress(nats.js.errors.NotFoundError):
                    await engine.delete_stream(name)

    async def _stream_names(self, client: Client) -> list[str]:
        names: list[str] = []
        while True:
            question = json.dumps({"offset": len(names)}).encode()
            answer = json.loads((await client.request("$JS.API.STREAM.NAMES", question, 5)).data)
            page = answer["streams"] or []
            names += page
            if not page or len(names) >= answer["total"]:
                return names

    async def _close(self) -> None:
        if self._nats is not None:
            await self._nats.close()
        if self._base_url is not None and self._postgres is None:
            await self._drop_database(self._template)
        if self._maintenance is not None:
            await self._maintenance.close()
        if self._raft is not None:
            self._raft.stop()
        if self._postgres is not None:
            self._postgres.stop()


def database_of(url: str, database: str) -> str:
    """`url` with another database name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _hold(folder: Path) -> IO[str]:
    file = (folder / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def _parent() -> Path:
    """Where the servers' files go: to memory if there is plenty. To copy the 400 files of a
    database for each test takes 0.02 s there, and up to 0.6 s on a slow disk (measured)."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
        return MEMORY
    return Path(tempfile.gettempdir())


def _sweep() -> None:
    """Remove the folders of runs that were killed; a run that lives holds its lock."""
    for parent in {MEMORY, Path(tempfile.gettempdir())}:
        for folder in parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError), _hold(folder):
                shutil.rmtree(folder, ignore_errors=True)
