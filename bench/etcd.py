"""etcd's HTTP gateway, what a user may pick instead: the same load on it as on the product.

Runs only where the program `etcd` is on PATH (Debian: `apt-get install etcd-server`). Members
are started with etcd's own defaults, so each syncs every entry to its disk, as ours do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.stack import free_port, load

CONNECTIONS = 64
SECONDS = 3.0
START_TIMEOUT_S = 30.0


def installed() -> bool:
    """Whether there is an etcd to measure."""
    return shutil.which("etcd") is not None


@contextmanager
def start(members: int) -> Iterator[list[int]]:
    """A group of this many members in a temporary folder; the ports of their gateways.

    All of it ends with the block.
    """
    with tempfile.TemporaryDirectory(prefix="ge-") as name, ExitStack() as running:
        ports = [(free_port(), free_port()) for _ in range(members)]
        group = ",".join(f"m{n}={_url(peer)}" for n, (_, peer) in enumerate(ports))
        for number, (client, peer) in enumerate(ports):
            running.enter_context(_member(Path(name), f"m{number}", client, peer, group))
        for client, _ in ports:
            _wait_until_open(client)
        # Answered when there is a leader; etcd itself waits for one.
        _load(ports[0][0], [("/v3/kv/put", _body("ready", b""))], 0)
        yield [client for client, _ in ports]


def measure_ranges(port: int, value: bytes, seconds: float = SECONDS) -> dict[str, Any]:
    """Linearizable ranges (etcd's default) by 64 connections, each of a key of its own."""
    keys = [f"k.{number}" for number in range(CONNECTIONS)]
    _load(port, [("/v3/kv/put", _body(key, value)) for key in keys], 0)
    return _load(port, [("/v3/kv/range", _body(key)) for key in keys], seconds)


def measure_puts(
    port: int, value: bytes, writers: int = CONNECTIONS, seconds: float = SECONDS
) -> dict[str, Any]:
    """Puts by as many writers, each on a key of its own, through one member."""
    posts = [("/v3/kv/put", _body(f"w.{number}", value)) for number in range(writers)]
    return _load(port, posts, seconds)


@contextmanager
def _member(folder: Path, name: str, client: int, peer: int, group: str) -> Iterator[None]:
    options = {
        "name": name,
        "data-dir": str(folder / name),
        "listen-client-urls": _url(client),
        "advertise-client-urls": _url(client),
        "listen-peer-urls": _url(peer),
        "initial-advertise-peer-urls": _url(peer),
        "initial-cluster": group,
    }
    log = (folder / f"{name}.log").open("w")
    process = subprocess.Popen(
        ["etcd", *(f"--{option}={value}" for option, value in options.items())],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"etcd does not listen on {port}") from None
            time.sleep(0.05)
        else:
            return


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _body(key: str, value: bytes | None = None) -> str:
    fields = {"key": key.encode()} | ({} if value is None else {"value": value})
    return json.dumps({name: b64encode(field).decode() for name, field in fields.items()})


def _load(port: int, posts: list[tuple[str, str]], seconds: float) -> dict[str, Any]:
    figures = load(
        {"host": "127.0.0.1", "port": port, "seconds": seconds, "headers": {}, "posts": posts}
    )
    assert set(figures["statuses"]) == {"200"}, figures
    return figures


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not installed():
        raise SystemExit("etcd is not on PATH")
    with start(1) as ports:
        figures = measure_ranges(ports[0], b"x" * 300)
        print(f"range, 1 member: {figures['per_s']:,.0f}/s, p50 {figures['p50_ms']:.1f} ms")
    with start(3) as ports:
        for writers in (CONNECTIONS, 1):
            figures = measure_puts(ports[0], b"x" * 300, writers)
            print(
                f"put, 3 members, {writers} writers:"
                f" {figures['per_s']:,.0f}/s, p50 {figures['p50_ms']:.1f} ms"
            )


if __name__ == "__main__":
    main()
