"""What a test process knows of the run's servers (see broker)."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.broker import ADDRESS_VARIABLE, database_of


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """The run's PostgreSQL server."""

    admin_url: str
    """A superuser's URL of its maintenance database."""

    def url(self, database: str) -> str:
        """The URL of one of its databases, which need not exist."""
        return database_of(self.admin_url, database)


@dataclass(frozen=True, slots=True)
class RaftAddress:
    """The run's Raft group. Never kill its members: other tests use it (see `RaftGroup`)."""

    url: str
    """Client URLs of all members, with commas."""
    monitor_urls: tuple[str, ...]
    """Empty for a group that TEST_NATS_URL names."""

    @property
    def servers(self) -> list[str]:
        """Client URLs of all members."""
        return self.url.split(",")


def ask(what: str, name: str = "") -> Any:
    """Ask the broker; the first question for a server waits for its start."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(90)
        connection.connect(os.environ[ADDRESS_VARIABLE])
        connection.sendall(json.dumps({"do": what, "name": name}).encode() + b"\n")
        with connection.makefile("rb") as stream:
            answer = json.loads(stream.readline())
    if "error" in answer:
        raise RuntimeError(f"{what}: {answer['error']}")
    return answer["result"]


@contextmanager
def own_database() -> Iterator[str]:
    """A fresh, migrated database of whoever asks alone; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    try:
        yield ask("create_database", name)
    finally:
        ask("drop_database", name)
