"""The Raft term, which only the servers' monitoring port (`/raftz`) tells.

For people's eyes: nothing may be decided by it, and no failure of it may harm a caller.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

_TIMEOUT_S: Final = 1.0
_MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024


async def fetch_term(monitor_urls: Sequence[str], raft_group: str | None) -> int | None:
    """The highest term that any server knows of the group; None if none answers."""
    if not raft_group:
        return None
    # Threads and the standard library: this package must not depend on a web framework.
    terms = await asyncio.gather(
        *(asyncio.to_thread(_term_at, url, raft_group) for url in monitor_urls)
    )
    return max((term for term in terms if term is not None), default=None)


def _term_at(url: str, raft_group: str) -> int | None:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/raftz")
        answer = json.loads(connection.getresponse().read(_MAX_ANSWER_BYTES))
        return _find_term(answer, raft_group)
    except (OSError, http.client.HTTPException, ValueError):
        return None  # the server is down or has no such port: the term is unknown there
    finally:
        connection.close()


def _find_term(answer: object, raft_group: str) -> int | None:
    """`/raftz` answers {account: {group: {"term": n, …}}}."""
    if not isinstance(answer, dict):
        return None
    for groups in answer.values():
        group = groups.get(raft_group) if isinstance(groups, dict) else None
        term = group.get("term") if isinstance(group, dict) else None
        if isinstance(term, int):
            return term
    return None
