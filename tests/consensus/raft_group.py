"""Three real NATS servers with JetStream for the tests of this folder.

To be replaced by app/embedded/raft.py as soon as that is there.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class RaftGroup:
    """A group of servers that can be killed and started one by one."""

    def __init__(self, folder: Path, size: int = 3) -> None:
        self.folder = folder
        self.size = size
        ports = free_ports(3 * size)
        self.client_ports = ports[:size]
        self.route_ports = ports[size : 2 * size]
        self.monitor_ports = ports[2 * size :]
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * size

    @property
    def urls(self) -> list[str]:
        return [f"nats://127.0.0.1:{port}" for port in self.client_ports]

    @property
    def monitor_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.monitor_ports]

    def name(self, index: int) -> str:
        return f"n{index + 1}"

    def index(self, name: str) -> int:
        return int(name[1:]) - 1

    def start(self, index: int) -> None:
        folder = self.folder / self.name(index)
        folder.mkdir(parents=True, exist_ok=True)
        routes = ", ".join(f'"nats://127.0.0.1:{p}"' for p in self.route_ports)
        cluster = (
            f"cluster {{ name: test, listen: 127.0.0.1:{self.route_ports[index]}, "
            f"routes: [{routes}] }}\n"
            if self.size > 1
            else ""
        )
        (folder / "server.conf").write_text(
            f"server_name: {self.name(index)}\n"
            f"listen: 127.0.0.1:{self.client_ports[index]}\n"
            f"http: 127.0.0.1:{self.monitor_ports[index]}\n"
            "max_payload: 8MB\n"
            f'jetstream {{ store_dir: "{folder}/js", sync_interval: always }}\n' + cluster
        )
        binary = shutil.which("nats-server") or str(Path(sys.executable).parent / "nats-server")
        with (folder / "server.log").open("ab") as log:
            self.processes[index] = subprocess.Popen(
                [binary, "-c", str(folder / "server.conf")],
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )

    def start_all(self) -> None:
        for index in range(self.size):
            if self.processes[index] is None:
                self.start(index)

    def kill(self, index: int) -> None:
        process = self.processes[index]
        if process is not None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            self.processes[index] = None

    def stop(self) -> None:
        for index in range(self.size):
            self.kill(index)

    async def __aenter__(self) -> RaftGroup:
        self.start_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self.stop)
