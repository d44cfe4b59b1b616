"""What only the servers' monitoring ports tell: the Raft term, and who is alive.

For people's eyes: nothing may be decided by it, and no failure of it may harm a caller.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

_TIMEOUT_S: Final = 1.0
_MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Observed:
    """What the monitoring ports that answered say together."""

    term: int | None
    """The highest term that any server knows of the group."""
    alive: frozenset[str]
    """Names of the servers that answered."""


async def observe(monitor_urls: Sequence[str], account: str, raft_group: str | None) -> Observed:
    """Ask every monitoring port once, all at the same time, for at most a second or two."""
    # Threads and the standard library: this package must not depend on a web framework.
    answers = await asyncio.gather(
        *(asyncio.to_thread(_observe_one, url, account, raft_group) for url in monitor_urls)
    )
    return Observed(
        term=max((term for _, term in answers if term is not None), default=None),
        alive=frozenset(name for name, _ in answers if name is not None),
    )


def _observe_one(url: str, account: str, raft_group: str | None) -> tuple[str | None, int | None]:
    """The server's name and the group's term, each None where it is not told."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        name = _get(connection, "/varz").get("server_name")
        group = f"&group={quote(raft_group)}" if raft_group else ""
        groups = _get(connection, f"/raftz?acc={quote(account)}{group}").get(account) or {}
        term = (groups.get(raft_group) or {}).get("term")
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return None, None  # the server is down, or it is no monitoring port
    finally:
        connection.close()
    return name, term


def _get(connection: http.client.HTTPConnection, path: str) -> dict[str, Any]:
    connection.request("GET", path)
    answer = json.loads(connection.getresponse().read(_MAX_ANSWER_BYTES))
    if not isinstance(answer, dict):
        raise ValueError("not a JSON object")
    return answer
