"""A real Raft group on this machine: three nats-server processes with JetStream.

Every server syncs each entry to disk (`sync_interval: always`), as DESIGN.md asks of any
group. Must never listen beyond the loopback address, and never without a password: other
users of the machine can reach the loopback too.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from app.embedded.processes import Child, EmbeddedError, get, make_folder, wait_until
from app.embedded.supervisor import Supervisor

HOST = "127.0.0.1"
USER = "guardian"
MEMBERS = 3
START_TIMEOUT_S = 60.0
KERNEL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT, MIN_ROOM = 12_000, 1_000
TIMER_SLACK_NS = 1_500_000
"""Go's monitor of its threads sleeps for 20 µs at a time while there is work. With the kernel's
usual slack of 50 µs it took a third of the processor time of a member that appends one entry after
the other, and moved goroutines to another thread in the midst of a flush (docs/PERFORMANCE.md)."""
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
"""The largest entry; the engine warns beyond this. Brokers of one's own need the same."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of one member."""

    client: int
    cluster: int
    monitor: int


def binary() -> str:
    """Path of nats-server: beside the interpreter, else on PATH. Raises EmbeddedError."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if found is None:
        raise EmbeddedError("nats-server is not installed: `make venv`")
    return found


def _processors_of_each() -> int:
    """How many processors one member uses at once: the members share them, and Go's scheduler looks
    for work on every one that it is given. Alone on two, three servers took a third more time for
    each entry (docs/PERFORMANCE.md)."""
    return max(1, len(os.sched_getaffinity(0)) // MEMBERS)


class RaftGroup:
    """Three members over `folder`/n1 … n3. Members are named by index, 0 to 2."""

    def __init__(self, folder: Path, *, sync_always: bool = True) -> None:
        """`sync_always=False` is for tests that do not kill machines: ten times faster."""
        self._folder = make_folder(folder)
        self._sync = "always" if sync_always else "10s"
        self._binary = binary()
        self._password = self._remembered_password()
        self._ports = self._choose_ports()
        self._children: list[Child | None] = [None] * MEMBERS

    @property
    def url(self) -> str:
        """Client URLs of all members with commas, for NATS_URL. Holds the password."""
        return ",".join(self.member_url(index) for index in range(MEMBERS))

    @property
    def monitor_urls(self) -> tuple[str, ...]:
        """Monitoring addresses of all members, for GUARDIAN_NATS_MONITOR_URLS."""
        return tuple(f"http://{HOST}:{ports.monitor}" for ports in self._ports)

    @property
    def names(self) -> tuple[str, ...]:
        """The server names, as the stream's info has them."""
        return tuple(f"n{index + 1}" for index in range(MEMBERS))

    def member_url(self, index: int) -> str:
        """The client URL of one member."""
        return f"nats://{USER}:{self._password}@{HOST}:{self._ports[index].client}"

    def child(self, index: int) -> Child:
        """The process of one member. Raises EmbeddedError before its start."""
        child = self._children[index]
        if child is None:
            raise EmbeddedError(f"{self.names[index]} was not started")
        return child

    def start(self) -> None:
        """Start all members and wait until they have elected a leader of the group."""
        for index in range(MEMBERS):
            self.start_member(index)
        self.wait_for_leader()

    def wait_for_leader(self) -> None:
        """Wait until all members see a leader of the group: 0.3 s, after a stop 4 to 9 s.

        A stream elects a leader of its own, up to some seconds later, and until then what is
        asked about it gets no answer at all, though every member calls itself healthy. So no
        waiting here would do: who asks must ask again, as `consensus.jetstream` does.
        """
        for index in range(MEMBERS):
            wait_until(self._has_leader(index), self.child(index), START_TIMEOUT_S)

    def supervise(self, supervisor: Supervisor) -> None:
        """Start all members and keep them running; does not wait for a leader."""
        for index in range(MEMBERS):
            supervisor.add(
                self.names[index],
                partial(self.start_member, index),
                partial(self.child, index),
            )

    def stop(self) -> None:
        """Stop all members. Idempotent."""
        running = [child for child in self._children if child is not None]
        for child in running:
            if child.exit_code is None:
                child.send(signal.SIGTERM)
        for child in running:
            child.stop()

    def start_member(self, index: int) -> None:
        """Start one member that does not run, and return at once (see `wait_for_member`)."""
        previous = self._children[index]
        if previous is not None and previous.exit_code is None:
            raise EmbeddedError(f"{self.names[index]} runs already")
        home = make_folder(self._folder / self.names[index])
        config = home / "server.json"
        write_private(config, json.dumps(self._config(index, home), indent=2))
        self._children[index] = Child(
            self.names[index],
            [self._binary, "-c", str(config)],
            log=home / "server.log",
            env={"GOMAXPROCS": str(_processors_of_each()), **os.environ},
            cwd=home,
            timer_slack_ns=TIMER_SLACK_NS,
        )

    def stop_member(self, index: int) -> None:
        """Stop one member in order."""
        self.child(index).stop()

    def kill_member(self, index: int) -> None:
        """kill -9 one member."""
        self.child(index).kill()

    def pause_member(self, index: int) -> None:
        """SIGSTOP one member: its connections stay open and nothing answers."""
        self.child(index).send(signal.SIGSTOP)

    def resume_member(self, index: int) -> None:
        """SIGCONT a paused member."""
        self.child(index).send(signal.SIGCONT)

    def wait_for_member(self, index: int, timeout: float = START_TIMEOUT_S) -> None:
        """Wait until a started member is healthy: all its streams have caught up."""
        wait_until(self._is_healthy(index), self.child(index), timeout)

    def _has_leader(self, index: int) -> Iterator[bool]:
        while True:
            self._check_all_run()
            meta = self._monitor(index, "/jsz").get("meta_cluster") or {}
            yield bool(meta.get("leader")) and meta.get("cluster_size") == MEMBERS

    def _check_all_run(self) -> None:
        """Raise EmbeddedError for a member that ended: the others would wait for it in vain."""
        for child in self._children:
            if child is not None and (code := child.exit_code) is not None:
                raise EmbeddedError(f"{child.name} ended with {code}: {child.last_words()}")

    def _is_healthy(self, index: int) -> Iterator[bool]:
        while True:
            yield self._monitor(index, "/healthz").get("status") == "ok"

    def _monitor(self, index: int, path: str) -> dict[str, Any]:
        """An answer of a member's monitoring port, empty while it gives none."""
        _, body = get(self.monitor_urls[index] + path)
        try:
            found = json.loads(body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _config(self, index: int, home: Path) -> dict[str, object]:
        """The server's configuration; nats-server reads JSON."""
        ports = self._ports[index]
        login = {"user": USER, "password": self._password}
        return {
            "server_name": self.names[index],
            "listen": f"{HOST}:{ports.client}",
            "http": f"{HOST}:{ports.monitor}",
            "max_payload": MAX_PAYLOAD_BYTES,
            "authorization": login,
            "jetstream": {"store_dir": str(home), "sync_interval": self._sync},
            "cluster": {
                "name": "guardian",
                "listen": f"{HOST}:{ports.cluster}",
                "authorization": login,
                "routes": [
                    f"nats://{USER}:{self._password}@{HOST}:{other.cluster}"
                    for other in self._ports
                ],
            },
        }

    def _remembered_password(self) -> str:
        file = self._folder / "password"
        if not file.exists():
            write_private(file, secrets.token_hex(16))
        return file.read_text(encoding="ascii")

    def _choose_ports(self) -> list[Ports]:
        """The ports of the last time while they are free, so that URLs stay the same.

        A member is known by its name, not by its ports, so another one is no harm.
        """
        file = self._folder / "ports.json"
        try:
            remembered = [Ports(**entry) for entry in json.loads(file.read_text())]
        except (FileNotFoundError, ValueError, TypeError):
            remembered = []
        numbers = [n for ports in remembered for n in (ports.client, ports.cluster, ports.monitor)]
        chosen = free_ports(3 * MEMBERS, numbers)
        groups = [Ports(*chosen[3 * index : 3 * index + 3]) for index in range(MEMBERS)]
        write_private(file, json.dumps([asdict(ports) for ports in groups]))
        return groups


def free_ports(count: int, wished: Sequence[int] = ()) -> list[int]:
    """`count` different free loopback ports; `wished` ones where they are free."""
    sockets: list[socket.socket] = []
    chosen: list[int] = []
    try:
        for place in range(count):
            for port in chain(wished[place : place + 1], _candidates()):
                # Two sockets that may be used again can be bound to one port.
                if port in chosen:
                    continue
                listener = socket.socket()
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    listener.bind((HOST, port))
                except OSError:
                    listener.close()
                    continue
                sockets.append(listener)
                chosen.append(listener.getsockname()[1])
                break
        return chosen
    finally:
        for listener in sockets:
            listener.close()


def _candidates() -> Iterator[int]:
    """Ports to try, for ever: below those that the kernel gives to whoever asks for any.

    Between our choice and the server's bind the port is nobody's, and everybody who connects
    somewhere is given one of the kernel's.
    """
    first_of_kernel = LOWEST_PORT
    with suppress(OSError, ValueError):
        first_of_kernel = int(KERNEL_PORTS.read_text().split()[0])
    while True:
        room = first_of_kernel - LOWEST_PORT
        yield LOWEST_PORT + secrets.randbelow(room) if room >= MIN_ROOM else 0


def write_private(file: Path, text: str) -> None:
    """Write `file` in one step, readable by us alone."""
    scratch = file.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    scratch.touch(0o600, exist_ok=False)
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(file)
