"""A whole installation of real processes: PostgreSQL, three Raft servers, two projectors, two
web processes; with links between them that can be cut, and small disks that can be filled.

Children are started by threads that live as long as the cluster (their death signal is bound
to the thread), so that the event loop of the clients is never held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg
import orjson
import psutil
from aiohttp import ClientSession

from app.embedded.postgres import Postgres
from app.embedded.processes import Child, get
from app.embedded.raft import HOST, MEMBERS, USER, RaftGroup, free_ports
from tests.faults.links import Link
from tests.support.processes import family

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
STREAM = "guardian"
PROCESSES = ("web1", "web2", "projector1", "projector2")
READY_TIMEOUT_S = 90.0
DISK_BYTES = {"postgres": 2048 * 1024 * 1024, "n3": 1024 * 1024 * 1024}
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("/nowhere"))
SKEWED = ("web2", "projector2")
"""The processes whose clock can be set."""


class LinkedRaftGroup(RaftGroup):
    """A Raft group whose members reach each other, and are reached, through links alone."""

    routes: dict[tuple[int, int], int]
    """(from, to) to the port of the link."""
    clients: dict[int, int]

    def client_port(self, index: int) -> int:
        """Where a member listens itself."""
        return self._ports[index].client

    def route_port(self, index: int) -> int:
        """Where a member listens itself for the others."""
        return self._ports[index].cluster

    @property
    def linked_url(self) -> str:
        """Client URLs of all members through their links."""
        return ",".join(
            f"nats://{USER}:{self._password}@{HOST}:{self.clients[index]}"
            for index in range(MEMBERS)
        )

    def _config(self, index: int, home: Path) -> dict[str, object]:
        config: dict[str, Any] = super()._config(index, home)
        # What members tell clients and each other must not lead past the links.
        config["client_advertise"] = f"{HOST}:{self.clients[index]}"
        config["cluster"]["advertise"] = f"{HOST}:1"
        config["cluster"]["routes"] = [
            f"nats://{USER}:{self._password}@{HOST}:{port}"
            for (source, _), port in self.routes.items()
            if source == index
        ]
        return config


class Cluster:
    """Use as an async context manager; then everything is up."""

    def __init__(self, folder: Path, *, broken: str | None = None) -> None:
        """`broken` names a deliberately broken build (see tests.faults.broken)."""
        self.folder = folder
        self._broken = broken
        self._stack = AsyncExitStack()
        self._keepers = {name: ThreadPoolExecutor(1) for name in ("postgres", "others")}
        self.children: dict[str, Child] = {}
        self.links: dict[str, Link] = {}
        self.web_urls: dict[str, str] = {}
        self.ends: list[str] = []
        """Processes that ended although nobody killed them."""
        self.notes: list[str] = []
        """What cannot be tested on this machine, and why."""
        self.disks: dict[str, Path] = {}
        self._down: set[str] = set()
        self._environ: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._down |= set(PROCESSES)
        for child in self.children.values():
            child.send(signal.SIGCONT)
            child.kill()
        with contextlib.suppress(AttributeError):
            await self._in("others", self.raft.stop)
            self.signal_postgres(signal.SIGCONT)
            self.kill_postgres()
        await self._stack.aclose()
        for keeper in self._keepers.values():
            keeper.shutdown()
        for place in self.disks.values():
            subprocess.run(["umount", "-l", str(place)], check=False)  # noqa: ASYNC221 - the end

    async def _start(self) -> None:
        for name in DISK_BYTES:
            self._mount(name)
        self.folder.chmod(0o711)
        self.raft = LinkedRaftGroup(self.folder / "raft")
        self.raft.clients, self.raft.routes = {}, {}
        for index in range(MEMBERS):
            link = await self._link(f"clients>n{index + 1}", self.raft.client_port(index))
            self.raft.clients[index] = link.port
            for other in range(MEMBERS):
                if other != index:
                    name = f"n{index + 1}>n{other + 1}"
                    link = await self._link(name, self.raft.route_port(other))
                    self.raft.routes[index, other] = link.port
        options = {"max_wal_size": "96MB", "min_wal_size": "32MB", "max_connections": "100"}
        self.postgres = Postgres(self.folder / "postgres", options=options)
        await asyncio.gather(
            self._in("others", self.raft.start), self._in("postgres", self.postgres.start)
        )
        self._environ = self._service_environ()
        await self.guardian("migrate", "up")
        ports = free_ports(2)
        for name, port in zip(("web1", "web2"), ports, strict=True):
            self.web_urls[name] = f"http://{HOST}:{port}"
        for name in PROCESSES:
            await self.start(name)
        await self.ready()

    def _mount(self, name: str) -> None:
        """A small disk for a server, where we may."""
        place = self.folder / ("postgres" if name == "postgres" else f"raft/{name}")
        place.mkdir(parents=True)
        place.chmod(0o711 if name == "postgres" else 0o700)
        (self.folder / "raft").mkdir(exist_ok=True)
        size = f"size={DISK_BYTES[name]},mode={place.stat().st_mode & 0o777:o}"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], capture_output=True
        )
        if mounted.returncode == 0:
            self.disks[name] = place
        else:
            self.notes.append(f"full disk of {name}: no tmpfs here ({mounted.stderr.decode()!r})")

    async def _link(self, name: str, port: int) -> Link:
        self.links[name] = link = await self._stack.enter_async_context(Link(name, port))
        return link

    def _service_environ(self) -> dict[str, str]:
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **keep,
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": self.postgres.url(),
            "NATS_URL": self.raft.linked_url,
            "GUARDIAN_NATS_MONITOR_URLS": ",".join(self.raft.monitor_urls),
            "GUARDIAN_STREAM": STREAM,
            "GUARDIAN_SECRET_KEY": "a secret key of the fault tests that is long enough",
            "GUARDIAN_LOG_LEVEL": "info",
            "GUARDIAN_REQUESTS_PER_SECOND": "0",
        }

    # Processes

    async def _in(self, keeper: str, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._keepers[keeper], work, *arguments
        )

    async def start(self, name: str) -> None:
        """Start a web process or projector that does not run."""
        environ = dict(self._environ)
        if name in self.web_urls:
            environ["GUARDIAN_PORT"] = self.web_urls[name].rsplit(":", 1)[1]
        if name in SKEWED and FAKETIME.exists():
            environ |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock(name)),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        module = ["app.cli"] if self._broken is None else ["tests.faults.broken", self._broken]
        argv = [sys.executable, "-m", *module, name.rstrip("12")]
        log = self.folder / f"{name}.log"
        make: Callable[[], Child] = lambda: Child(name, argv, log=log, env=environ, cwd=ROOT)  # noqa: E731
        self.children[name] = await self._in("others", make)
        self._down.discard(name)

    def kill(self, name: str) -> None:
        """kill -9 a web process or projector."""
        self._down.add(name)
        self.children[name].kill()

    async def restart_the_fallen(self) -> None:
        """Do what a supervisor does, for ever: start again what ended by itself."""
        while True:
            await asyncio.sleep(0.25)
            for name in PROCESSES:
                # Looked at now: a start further up took time, in which this one may have been
                # killed and started again on purpose.
                child = self.children[name]
                if name not in self._down and (code := child.exit_code) is not None:
                    self.ends.append(f"{name} ended with {code}: {child.last_words()[-600:]}")
                    await self.start(name)

    def signal_postgres(self, number: int) -> None:
        """Send a signal to every process of the server."""
        if self.postgres.child.exit_code is None:
            for process in family(self.postgres.child.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def kill_postgres(self) -> None:
        """kill -9 the server with all its backends."""
        self.signal_postgres(signal.SIGKILL)
        self.postgres.child.wait(5)

    async def start_postgres(self) -> None:
        """Start it, and wait until it has recovered."""
        if self.postgres.child.exit_code is not None:
            await self._in("postgres", self.postgres.start)

    async def start_member(self, index: int) -> None:
        """Start a Raft server that does not run."""
        if self.raft.child(index).exit_code is not None:
            await self._in("others", self.raft.start_member, index)

    # Disks and clocks

    def fill_disk(self, name: str) -> None:
        """Leave nothing free on the disk of a server."""
        place = self.disks[name]
        with (place / "ballast").open("wb") as file:
            while True:
                free = os.statvfs(place)
                left = free.f_bavail * free.f_frsize
                if left < 4096:
                    break
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, left)
                except OSError:
                    break

    def free_disk(self, name: str) -> None:
        """Take the ballast away."""
        (self.disks[name] / "ballast").unlink(missing_ok=True)

    def _clock(self, name: str) -> Path:
        file = self.folder / f"{name}.clock"
        if not file.exists():
            file.write_text("+0s\n")
        return file

    def set_clock(self, name: str, offset_s: float) -> None:
        """Move the clock of one service process; seen within a second."""
        scratch = self._clock(name).with_suffix(".new")
        scratch.write_text(f"{offset_s:+.0f}s\n")
        scratch.replace(self._clock(name))

    # What is known of it

    def leader(self) -> int | None:
        """Who leads the stream's Raft group, as any member knows; blocks for a moment."""
        for url in self.raft.monitor_urls:
            _, body = get(f"{url}/jsz?streams=true", timeout=0.5)
            with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
                streams = orjson.loads(body)["account_details"][0]["stream_detail"]
                name = next(s["cluster"]["leader"] for s in streams if s["name"] == STREAM)
                return self.raft.names.index(name)
        return None

    async def find_leader(self, timeout: float = 20.0) -> int:
        """Wait for a leader."""
        deadline = time.monotonic() + timeout
        while (found := await asyncio.to_thread(self.leader)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("there is no leader")
            await asyncio.sleep(0.1)
        return found

    async def active_projector(self) -> str:
        """Which projector holds the lock; the first one while it cannot be told."""
        with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
            connection = await asyncpg.connect(self.postgres.url(), timeout=2)
            try:
                session = await connection.fetchval(
                    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                    " WHERE l.locktype = 'advisory' AND l.granted"
                    " AND a.application_name LIKE 'guardian-projector %'"
                )
            finally:
                connection.terminate()
            for name in ("projector1", "projector2"):
                if session and int(session.split()[1]) == self.children[name].pid:
                    return name
        return "projector1"

    async def guardian(self, *arguments: str) -> str:
        """Run the command line of the unbroken build; its output. Raises RuntimeError."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environ,
            cwd=ROOT,
        )
        output, errors = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(
                f"guardian {' '.join(arguments)} ended with {process.returncode}:"
                f" {(output + errors).decode(errors='replace')[-2000:]}"
            )
        return output.decode()

    async def ready(self) -> None:
        """Wait until every web process says that all is well."""
        reason = ""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S), ClientSession() as session:
                for url in self.web_urls.values():
                    while True:
                        with contextlib.suppress(OSError):
                            async with session.get(f"{url}/readyz") as answer:
                                reason = await answer.text()
                                if answer.status == 200:
                                    break
                        await asyncio.sleep(0.1)
        except TimeoutError:
            words = {name: child.last_words()[-500:] for name, child in self.children.items()}
            raise TimeoutError(f"not ready: {reason}; {self.ends}; {words}") from None

    async def heal(self) -> None:
        """Undo every fault."""
        for link in self.links.values():
            link.heal()
        for name in self.disks:
            self.free_disk(name)
        for name in SKEWED:
            self.set_clock(name, 0)
        self.signal_postgres(signal.SIGCONT)
        await self.start_postgres()
        for index in range(MEMBERS):
            if self.raft.child(index).exit_code is None:
                self.raft.resume_member(index)
            await self.start_member(index)
        for name in PROCESSES:
            if self.children[name].exit_code is None:
                self.children[name].send(signal.SIGCONT)
            elif name in self._down:
                await self.start(name)
