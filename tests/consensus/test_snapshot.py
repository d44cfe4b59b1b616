"""Goal: what the servers say in the midst of a snapshot or a restore is never taken for a part of
it, and a stream that is not whole keeps its mark.

Method: the client is a stand-in, because no real server can be made to say these things; what real
ones do is held by tests/faults/test_backup*.py.
"""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from consensus.jetstream_snapshot import Snapshot, _load, _save
from consensus.log import LogError, LogUnavailable

STATE = {"last_seq": 7}
CONFIG = {"name": "log", "subjects": ["log.change", "log.barrier", "log.group"]}
FAILED = {"error": {"code": 500, "err_code": 10062, "description": "restore failed"}}


class Servers:
    """Says what it was told to; notes what it was asked."""

    def __init__(self, *, pieces: list[Msg] | None = None, answers: list[bytes] | None = None):
        self._pieces = pieces or []
        self._answers = answers or []
        self.asked: list[str] = []
        self._deliver: Callable[[Msg], Awaitable[None]] | None = None

    def new_inbox(self) -> str:
        return "inbox"

    async def subscribe(self, _inbox: str, *, cb: Callable[[Msg], Awaitable[None]]) -> Servers:
        self._deliver = cb
        return self

    async def unsubscribe(self) -> None: ...

    async def publish(self, _subject: str) -> None: ...

    async def request(self, subject: str, _data: bytes, *, timeout: float) -> Msg:
        self.asked.append(subject)
        if subject == "pieces":
            return message(self._answers.pop(0))
        for piece in self._pieces:
            assert self._deliver is not None
            await self._deliver(piece)
        return message(
            json.dumps({"config": CONFIG, "state": STATE, "deliver_subject": "pieces"}).encode()
        )

    @property
    def client(self) -> Client:
        return cast(Client, self)


def message(data: bytes, **headers: str) -> Msg:
    return Msg(cast(Any, None), data=data, headers=headers or None)


async def test_a_snapshot_that_the_servers_give_up_is_none() -> None:
    """The message that says so has no data, as the one that ends a whole snapshot."""
    sink = io.BytesIO()
    whole = await _save(Servers(pieces=[message(b"a"), message(b"")]).client, "log", sink)
    assert (whole.bytes, sink.getvalue()) == (1, b"a")
    given_up = message(b"", Status="408", Description="No Flow Response")
    with pytest.raises(LogUnavailable, match="408 No Flow Response"):
        await _save(Servers(pieces=[message(b"a"), given_up]).client, "log", io.BytesIO())


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([b"insufficient storage", b"{}"], LogError),
        ([b"", json.dumps(FAILED).encode()], LogUnavailable),
    ],
)
async def test_a_restore_that_the_servers_refuse_leaves_the_mark(
    answers: list[bytes], error: type[LogError]
) -> None:
    servers = Servers(answers=answers)
    with pytest.raises(error, match=r"insufficient storage|restore failed"):
        await _load(servers.client, "log", Snapshot(CONFIG, STATE, 1), io.BytesIO(b"a"))
    assert not any("UPDATE" in subject for subject in servers.asked)
    whole = Servers(answers=[b"", b"{}"])
    await _load(whole.client, "log", Snapshot(CONFIG, STATE, 1), io.BytesIO(b"a"))
    assert whole.asked[-1] == "$JS.API.STREAM.UPDATE.log"
