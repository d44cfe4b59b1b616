"""Goal: `guardian up` brings everything up, keeps it up, and leaves nothing behind.

Method: the real command in a data folder of its own; its whole family of processes is written
down before it is stopped, and each member must be gone afterwards. What is refused before there is
a family is called in this process.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.embedded.processes import get
from app.embedded.raft import free_ports
from app.migrations import migrations
from tests.support.commands import run_here
from tests.support.processes import ROOT, Command, family, survivors

READY = "is ready: "
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def data(short_path: Path) -> Path:
    return short_path / "data"


def _up(data: Path, started: list[Command], **environ: str) -> Command:
    settings = {"GUARDIAN_DATA_DIR": str(data), "GUARDIAN_PORT": "0", **environ}
    started.append(Command("up", environ=settings))
    return started[-1]


def _address(line: str) -> str:
    match = re.search(r"https?://\S+", line)
    assert match is not None
    return match.group()


def _pid_of(up: Command, name: str, other_than: int = 0) -> psutil.Process:
    """Wait until a child `name` runs that is not the process `other_than`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for process in psutil.Process(up.process.pid).children():
            try:
                command = " ".join(process.cmdline())
                if f" app.cli {name}" in command and process.pid != other_than:
                    return process
            except psutil.Error:
                continue
        time.sleep(0.02)
    raise AssertionError(f"no {name} came back")


def test_up_keeps_its_data_and_leaves_nothing(data: Path, started: list[Command]) -> None:
    # First start: a sign-in is shown, once.
    up = _up(data, started)
    assert "password: " in up.wait_for("first superuser (shown once)")
    address = _address(up.wait_for(READY))
    assert get(f"{address}/readyz")[0] == 200
    assert get(f"{address}/healthz")[0] == 200

    # A second one in the same folder says so and harms nothing.
    second = _up(data, started)
    second.wait_for(f"in use by process {up.process.pid}")
    assert second.process.wait(30) == 1

    # Other commands find its servers.
    found = subprocess.run(
        [sys.executable, "-m", "app.cli", "migrate", "version"],
        cwd=ROOT,
        env={
            **{n: v for n, v in os.environ.items() if n != "DATABASE_URL"},
            "GUARDIAN_DATA_DIR": str(data),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.stdout.splitlines() == [migrations()[-1].name], found.stderr

    # Killed parts come back by themselves.
    for name in ("web", "projector"):
        before = _pid_of(up, name)
        before.kill()
        up.wait_for(f"{name} ended with -9")
        _pid_of(up, name, other_than=before.pid)

    everybody = family(up.process.pid)
    assert len(everybody) >= 7  # up, postgres and its own, three members, projector, web
    assert up.end(signal.SIGTERM) == 0
    assert survivors(everybody) == []
    assert not (data / "running.json").exists()

    # Second start: the same data, so no sign-in; then Ctrl-C.
    up = _up(data, started)
    up.wait_for(READY, timeout=30)
    assert "first superuser" not in "\n".join(up.lines)
    everybody = family(up.process.pid)
    assert up.end(signal.SIGINT) == 0
    assert survivors(everybody) == []

    # Third start, and the worst end: nothing of ours runs a line of code after it.
    up = _up(data, started)
    up.wait_for(READY, timeout=30)
    everybody = family(up.process.pid)
    up.end(signal.SIGKILL)
    assert survivors(everybody) == []


def test_a_stop_in_the_middle_of_the_start_leaves_nothing(
    data: Path, started: list[Command]
) -> None:
    up = _up(data, started)
    process = psutil.Process(up.process.pid)
    while len(process.children()) < 4:  # three members and initdb, PostgreSQL or dbmate
        assert up.process.poll() is None
        time.sleep(0.005)  # to look takes a third of that
    everybody = family(up.process.pid)
    assert up.end(signal.SIGTERM) == 0
    assert survivors(everybody) == []


def test_up_ends_with_the_make_that_started_it(data: Path) -> None:
    """Goal: `kill -9` of make leaves nothing. Method: a shell in make's place."""
    environ = {
        **os.environ,
        "GUARDIAN_DATA_DIR": str(data),
        "GUARDIAN_PORT": "0",
        "PYTHONPATH": str(ROOT),
    }
    shell = subprocess.Popen(
        ["bash", "-c", f"{sys.executable} -m app.cli up --parent $$; true"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process = psutil.Process(shell.pid)
    while not any(p.name() == "nats-server" for p in process.children(recursive=True)):
        assert shell.poll() is None
        time.sleep(0.005)
    everybody = family(shell.pid)
    shell.kill()
    shell.wait()
    assert survivors(everybody, timeout=30) == []


def _is_refused(line: str, **environ: str) -> None:
    up = run_here("up", environ={"PATH": os.defpath, **environ})
    assert up.code == 2
    assert up.err.startswith(f"error: {line}")
    assert len(up.err.splitlines()) == 1


def test_a_taken_port_is_one_line_and_starts_nothing(data: Path) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        line = f"GUARDIAN_HOST, GUARDIAN_PORT: cannot listen on 127.0.0.1:{port}"
        _is_refused(line, GUARDIAN_DATA_DIR=str(data), GUARDIAN_PORT=str(port))
    assert not data.exists()


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"GUARDIAN_ADMIN_EMAIL": "ops@example.com", "GUARDIAN_ADMIN_PASSWORD": "short"},
            "GUARDIAN_ADMIN_PASSWORD: a password has at least 12 characters",
        ),
        (
            {"GUARDIAN_PROCESS_PORT": "65535", "WEB_CONCURRENCY": "2"},
            "GUARDIAN_PROCESS_PORT: web process 2 would get 65536; the highest port is",
        ),
        (
            {"GUARDIAN_SECRET_KEY": f"new:{'k' * 35},old:x"},
            "GUARDIAN_SECRET_KEY: secret key number 2 has 1 bytes; 32 are needed",
        ),
    ],
)
def test_what_a_part_would_refuse_is_one_line_and_starts_nothing(
    data: Path, environ: dict[str, str], line: str
) -> None:
    _is_refused(line, GUARDIAN_DATA_DIR=str(data), GUARDIAN_PORT="0", **environ)
    assert not data.exists()


def test_up_uses_the_servers_that_are_named(
    data: Path, started: list[Command], database_url: str, nats_url: str, stream_name: str
) -> None:
    up = _up(
        data, started, DATABASE_URL=database_url, NATS_URL=nats_url, GUARDIAN_STREAM=stream_name
    )
    up.wait_for(READY)
    names = {process.name() for process in family(up.process.pid)}
    assert not names & {"postgres", "nats-server"}
    assert up.end() == 0


def _wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def _two_ports() -> int:
    """A free port whose next one is free too."""
    return next(
        port for port in free_ports(20) if free_ports(2, (port, port + 1)) == [port, port + 1]
    )


def test_a_port_of_a_process_that_all_share_is_refused(
    data: Path, database_url: str, nats_url: str
) -> None:
    port = _two_ports()
    servers = {"DATABASE_URL": database_url, "NATS_URL": nats_url, "WEB_CONCURRENCY": "2"}
    own = {"GUARDIAN_PORT": str(port + 1), "GUARDIAN_PROCESS_PORT": str(port)}
    line = f"GUARDIAN_PROCESS_PORT: a web process would get {port + 1}, GUARDIAN_PORT"
    _is_refused(line, GUARDIAN_DATA_DIR=str(data), **servers, **own)


def test_two_web_processes_share_the_port(
    data: Path, started: list[Command], database_url: str, nats_url: str, stream_name: str
) -> None:
    servers = {"DATABASE_URL": database_url, "NATS_URL": nats_url, "GUARDIAN_STREAM": stream_name}
    own = _two_ports()
    servers |= {"WEB_CONCURRENCY": "2", "GUARDIAN_PROCESS_PORT": str(own)}
    up = _up(data, started, **servers)
    address = _address(up.wait_for(READY))
    port = int(address.rpartition(":")[2])

    def serving() -> list[psutil.Process]:
        return [
            process
            for process in psutil.Process(up.process.pid).children()
            if process.status() != psutil.STATUS_ZOMBIE
            and any(
                connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
                for connection in process.net_connections(kind="inet")
            )
        ]

    _wait_until(lambda: len(serving()) == 2, "both listen on the port")
    # Each answers for itself on the port of its own.
    first, second = (f"http://127.0.0.1:{port}" for port in (own, own + 1))
    _wait_until(lambda: get(f"{second}/readyz")[0] == 200, "both are ready")
    assert get(f"{first}/openapi.json")[0] == 200
    assert [b'route="/openapi.json"' in get(f"{at}/metrics")[1] for at in (first, second)] == [
        True,
        False,
    ]
    # One of them dies: the other answers, and it comes back.
    dead = serving()[0]
    dead.kill()
    dead.wait(10)
    assert get(f"{address}/healthz")[0] == 200
    _wait_until(lambda: len(serving()) == 2, "another one came")
    assert up.end() == 0
