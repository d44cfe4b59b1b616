"""What only the servers' monitoring ports tell: the Raft term, who is alive, and who holds what.

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
_TELLS_NOTHING: Final = (
    OSError,
    http.client.HTTPException,
    ValueError,
    # What is no monitoring port may answer JSON of any shape.
    AttributeError,
    KeyError,
    TypeError,
    RecursionError,
)
"""The server is down, or it is no monitoring port."""


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


async def lacking(
    monitor_urls: Sequence[str], account: str, stream: str, *, kept: int, last: int
) -> dict[str, int]:
    """How many messages, at least, each server lacks that has come to message `last` and holds
    fewer than the `kept` that nothing ever removes; of one that does not answer nothing is known.

    A server whose files are damaged, or older than they were, drops what it cannot read and calls
    itself current: it fetches only what comes behind its last message. Barriers say nothing: each
    server lets them expire at its own time, one that was started anew much later.
    """
    holdings = await asyncio.gather(
        *(asyncio.to_thread(_holding_at, url, account, stream) for url in monitor_urls)
    )
    return {
        found.server: kept - found.messages
        for found in holdings
        if found is not None and found.last >= last and found.messages < kept
    }


@dataclass(frozen=True, slots=True)
class _Holding:
    server: str
    last: int
    """The number of its last message."""
    messages: int
    """How many it holds, barriers too."""


def _holding_at(url: str, account: str, stream: str) -> _Holding | None:
    connection = _connection(url)
    try:
        server = _get(connection, "/varz")["server_name"]
        found = _get(connection, f"/jsz?acc={quote(account)}&streams=1")
        states = [
            detail["state"]
            for holder in found.get("account_details") or ()
            for detail in holder.get("stream_detail") or ()
            if detail.get("name") == stream
        ]
        if not states:
            return None
        return _Holding(str(server), int(states[0]["last_seq"]), int(states[0]["messages"]))
    except _TELLS_NOTHING:
        return None
    finally:
        connection.close()


def _observe_one(url: str, account: str, raft_group: str | None) -> tuple[str | None, int | None]:
    """The server's name and the group's term, each None where it is not told."""
    connection = _connection(url)
    try:
        name = _get(connection, "/varz").get("server_name")
        group = f"&group={quote(raft_group)}" if raft_group else ""
        groups = _get(connection, f"/raftz?acc={quote(account)}{group}").get(account) or {}
        term = (groups.get(raft_group) or {}).get("term")
    except _TELLS_NOTHING:
        return None, None
    finally:
        connection.close()
    return name if isinstance(name, str) else None, term if isinstance(term, int) else None


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)


def _get(connection: http.client.HTTPConnection, path: str) -> dict[str, Any]:
    connection.request("GET", path)
    answer: dict[str, Any] = json.loads(connection.getresponse().read(_MAX_ANSWER_BYTES))
    return answer
