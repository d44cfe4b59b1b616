"""What the publisher makes of the servers' answers: each proves something, or nothing at all.

Method: a client that answers each attempt as a script says, the last line of it for ever.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from consensus import jetstream_publisher
from consensus.jetstream_connection import Connection
from consensus.jetstream_publisher import Publisher
from consensus.jetstream_stream import HEADER_ROOM_BYTES
from consensus.log import AppendOutcomeUnknown, EntryTooLarge, LogUnavailable

SILENCE, NO_LEADER, NOT_SENT = "no answer", "no responders", "the client did not write it"
NOT_PROPOSED = (10039, 10076, 10109, 10165, 10166)
TOO_LARGE, STORE_FAILED, IN_FLIGHT = 10054, 10077, 10158
PAYLOAD_BYTES = HEADER_ROOM_BYTES + 100


class Scripted:
    """A client and the connection that has it; a number below 10,000 is a position."""

    max_payload = PAYLOAD_BYTES
    is_closed = False

    def __init__(self, script: list[str | int]) -> None:
        self.client = self
        self.script = script
        self.sent = 0
        self.again = asyncio.Event()
        """There was a second attempt."""
        self.on_connect: list[Callable[[Any], Awaitable[None]]] = []
        self.on_change: list[Callable[[], None]] = []

    async def wait_up(self, deadline: float) -> bool:
        return True

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def subscribe(self, subject: str, cb: Callable[[Msg], Awaitable[None]]) -> None:
        self.answer = cb

    async def publish(self, subject: str, data: bytes, reply: str, headers: dict[str, str]) -> None:
        does = self.script[min(self.sent, len(self.script) - 1)]
        self.sent += 1
        if self.sent == 2:
            self.again.set()
        if does == NOT_SENT:
            raise nats.errors.OutboundBufferLimitError
        if does == NO_LEADER:
            await self.answer(_message(reply, b"", {"Status": "503"}))
        elif isinstance(does, int):
            refused = {"error": {"err_code": does, "description": "refused"}}
            found = refused if does >= 10_000 else {"seq": does}
            await self.answer(_message(reply, json.dumps(found).encode()))


def _message(subject: str, data: bytes, headers: dict[str, str] | None = None) -> Msg:
    return Msg(cast(Client, None), subject=subject, data=data, headers=headers)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetstream_publisher, "_ANSWER_TIMEOUT_S", 0.01)
    monkeypatch.setattr(jetstream_publisher, "FIRST_PAUSE_S", 0.001)


async def publish(servers: Scripted, data: bytes = b"x", **options: Any) -> int:
    publisher = Publisher(cast(Connection, servers))
    for prepare in servers.on_connect:
        await prepare(servers)
    try:
        return await publisher.publish("s", data, {}, **{"timeout": 0.1, **options})
    finally:
        assert not publisher._pending


@pytest.mark.parametrize(
    "script",
    [
        [7],
        [SILENCE, 7],
        [SILENCE, SILENCE, NO_LEADER, 7],
        [NOT_SENT, NO_LEADER, *NOT_PROPOSED, STORE_FAILED, IN_FLIGHT, 7],
        [SILENCE, TOO_LARGE, 7],
    ],
)
async def test_it_goes_on_until_it_is_committed(script: list[str | int]) -> None:
    servers = Scripted(script)
    assert await publish(servers, timeout=30) == 7
    assert servers.sent == len(script)


@pytest.mark.parametrize(
    "script", [[NO_LEADER], [NOT_SENT], *([code] for code in NOT_PROPOSED), [NOT_SENT, NO_LEADER]]
)
async def test_what_every_server_refused_was_certainly_not_appended(
    script: list[str | int],
) -> None:
    with pytest.raises(LogUnavailable):
        await publish(Scripted(script))


@pytest.mark.parametrize(
    "script",
    [
        [SILENCE],
        [SILENCE, NO_LEADER],
        [NO_LEADER, SILENCE],
        [SILENCE, NOT_SENT],
        [SILENCE, TOO_LARGE],
        [STORE_FAILED],
        [STORE_FAILED, NO_LEADER],
        [IN_FLIGHT],
    ],
)
async def test_one_answer_that_proves_nothing_leaves_it_unknown(script: list[str | int]) -> None:
    with pytest.raises(AppendOutcomeUnknown):
        await publish(Scripted(script))


@pytest.mark.parametrize("script", [[TOO_LARGE], [NO_LEADER, TOO_LARGE]])
async def test_too_large_is_told_as_soon_as_it_is_certain(script: list[str | int]) -> None:
    servers = Scripted(script)
    with pytest.raises(EntryTooLarge):
        await publish(servers, timeout=30)
    assert servers.sent == len(script)


async def test_what_leaves_no_room_for_headers_is_not_sent() -> None:
    servers = Scripted([7])
    assert await publish(servers, bytes(100)) == 7
    with pytest.raises(EntryTooLarge):
        await publish(servers, bytes(101), timeout=30)
    assert servers.sent == 1


async def test_who_does_not_want_it_again_is_told_at_the_first_refusal() -> None:
    servers = Scripted([NO_LEADER, 7])
    with pytest.raises(LogUnavailable):
        await publish(servers, timeout=30, retry_refused=False)
    assert servers.sent == 1
    with pytest.raises(EntryTooLarge):
        await publish(Scripted([TOO_LARGE]), retry_refused=False)
    # Once it may have been taken in, a refusal of another attempt proves nothing.
    assert await publish(Scripted([SILENCE, NO_LEADER, 7]), timeout=30, retry_refused=False) == 7


async def test_a_late_answer_to_an_earlier_attempt_counts() -> None:
    servers = Scripted([SILENCE])
    publishing = asyncio.create_task(publish(servers, timeout=30))
    await servers.again.wait()
    await servers.answer(_message("_INBOX.x.1", b'{"seq": 7}'))
    await servers.answer(_message("_INBOX.x.99", b'{"seq": 8}'))  # its caller gave up
    assert await publishing == 7
