"""One nats-server of a test's own: no others to go to, and settings of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.embedded.processes import Child
from app.embedded.raft import binary

HOST = "127.0.0.1"


@contextmanager
def lone_server(folder: Path, port: int, **config: Any) -> Iterator[str]:
    """A running server with JetStream, its files in `folder`; its URL without a user."""
    listens = {"listen": f"{HOST}:{port}", "jetstream": {"store_dir": str(folder)}}
    file = folder / "server.json"
    file.write_text(json.dumps(listens | config))
    server = Child("lone", [binary(), "-c", str(file)], log=folder / "log")
    try:
        yield f"nats://{HOST}:{port}"
    finally:
        server.stop()
