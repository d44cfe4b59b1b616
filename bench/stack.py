"""What every benchmark starts: the whole product by `guardian up` in a folder of its own, a
signed-in superuser, a project with its key; and beside it the limits that it is compared with.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

ROOT = Path(__file__).parent.parent
EMAIL, PASSWORD = "bench@guardian.local", "a password for the bench"
START_TIMEOUT_S = 120.0


@dataclass
class Stack:
    """A running product."""

    base_url: str
    database_url: str
    nats_url: str
    monitor_urls: list[str]
    environ: dict[str, str]
    folder: Path

    @property
    def port(self) -> int:
        port = urlsplit(self.base_url).port
        assert port is not None
        return port


@contextmanager
def running_stack(**extra: str) -> Iterator[Stack]:
    """`guardian up` on free ports; everything ends with the block."""
    with tempfile.TemporaryDirectory(prefix="gb-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        environ = {
            **os.environ,
            "GUARDIAN_DATA_DIR": str(folder / "data"),
            "GUARDIAN_PORT": "0",
            "GUARDIAN_ADMIN_EMAIL": EMAIL,
            "GUARDIAN_ADMIN_PASSWORD": PASSWORD,
            "GUARDIAN_LOG_LEVEL": "warning",
            # One caller loads the service here as many would.
            "GUARDIAN_REQUESTS_PER_SECOND": "0",
            **extra,
        }
        environ.pop("DATABASE_URL", None)
        environ.pop("NATS_URL", None)
        log = (folder / "up.log").open("w+")
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "up", "--parent", str(os.getpid())],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"ready: (http://\S+)", line):
                    break
            else:
                log.seek(0)
                raise SystemExit(f"guardian up did not start:\n{log.read()}")
            known = json.loads((folder / "data" / "running.json").read_text())
            yield Stack(
                found[1],
                known["database_url"],
                known["nats_url"],
                known["nats_monitor_urls"],
                environ,
                folder,
            )
        finally:
            process.terminate()
            process.wait(60)
            log.close()


@contextmanager
def child(*argv: str, environ: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that ends with the block."""
    process = subprocess.Popen([sys.executable, *argv], cwd=ROOT, env=environ)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """A port of the loopback that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def wait_until_open(port: int) -> None:
    """Return when something listens there."""
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit(f"nothing listens on {port}")


def load(plan: dict[str, Any]) -> dict[str, Any]:
    """Run a plan of `bench.http_load` in a process of its own; its figures."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.http_load"],
        cwd=ROOT,
        input=json.dumps(plan).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


class Api:
    """A few calls that prepare a measurement."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url

    async def call(self, method: str, path: str, **kwargs: Any) -> Any:
        async with self._session.request(method, self._base_url + path, **kwargs) as response:
            body = await response.json()
            assert response.status < 300, body
            return body

    async def sign_in(self) -> dict[str, str]:
        """The header of the superuser."""
        answer = await self.call(
            "POST", "/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}
        )
        header = {"Authorization": f"Bearer {answer['access_token']}"}
        self._session.headers.update(header)
        return header

    async def project(self, name: str = "bench") -> tuple[str, str]:
        """The path of a new project, and its key."""
        answer = await self.call("POST", "/v1/projects", json={"name": name})
        return f"/v1/projects/{answer['id']}", answer["api_key"]
