"""What a consumer hands on, where its messages come as a script says: never an entry behind one
that was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from consensus.jetstream_consumer import PullConsumer
from consensus.jetstream_delivery import parse_delivery
from consensus.jetstream_layout import Layout, encode_group
from consensus.log import Entry, LogCorrupt


class Servers:
    """A client whose messages the test sends."""

    is_closed, is_connected = False, True

    def __init__(self) -> None:
        self.subscribed = asyncio.Event()
        self.ended = False
        self.published: list[str] = []

    def new_inbox(self) -> str:
        return "inbox"

    async def subscribe(self, subject: str, cb: Callable[[Msg], Awaitable[None]]) -> Any:
        self.send = cb
        self.subscribed.set()
        return self

    async def unsubscribe(self) -> None:
        self.ended = True

    async def publish(self, subject: str, *_: object, **__: object) -> None:
        self.published.append(subject)

    async def deliver(self, sequence: int, number: int, *entries: bytes) -> None:
        """The consumer's `sequence`th message, the stream's `number`th."""
        reply = f"$JS.ACK.s.c.1.{number}.{sequence}.1767268800000000000.0"
        subject, data = ("s.change", entries[0])
        if len(entries) > 1:
            subject, data = "s.group", encode_group(list(entries))
        message = SimpleNamespace(subject=subject, reply=reply, data=data, headers=None)
        await self.send(cast(Msg, message))


async def following(skip_to: int = 0) -> tuple[Servers, list[Entry], asyncio.Task[str]]:
    servers, accepted = Servers(), list[Entry]()
    consumer = PullConsumer(
        cast(Client, servers),
        Layout("s", groups=True),
        accept=accepted.append,
        has_room=lambda: True,
    )
    task = asyncio.create_task(consumer.follow("c", skip_to))
    await servers.subscribed.wait()
    return servers, accepted, task


async def ended(task: asyncio.Task[str]) -> str:
    async with asyncio.timeout(10):
        return await task


async def test_nothing_behind_a_message_that_was_lost_is_handed_on() -> None:
    servers, accepted, task = await following()
    await servers.deliver(1, 7, b"a")
    await servers.deliver(3, 9, b"c")
    await servers.deliver(2, 8, b"b")
    assert await ended(task) == "a message was lost before 9"
    assert [entry.data for entry in accepted] == [b"a"]
    assert servers.ended
    assert servers.published[-1].endswith(".CONSUMER.DELETE.s.c")


async def test_a_stream_that_goes_back_is_corrupt() -> None:
    servers, accepted, task = await following()
    await servers.deliver(1, 7, b"a")
    await servers.deliver(2, 7, b"b")
    with pytest.raises(LogCorrupt, match="message 7 came behind message 7"):
        await ended(task)
    assert [entry.data for entry in accepted] == [b"a"]


async def test_of_a_group_only_what_the_reader_has_not_is_handed_on() -> None:
    servers, accepted, task = await following(skip_to=699)
    await servers.deliver(1, 7, b"a", b"b", b"c")
    await servers.deliver(2, 8, b"d")
    assert [(entry.position, entry.data) for entry in accepted] == [(700, b"c"), (800, b"d")]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert servers.ended


@pytest.mark.parametrize(
    ("before", "behind"), [("", ""), ("domain.account.", ""), ("domain.account.", ".more")]
)
def test_the_place_and_the_time_of_a_message_are_read_from_its_reply_subject(
    before: str, behind: str
) -> None:
    reply = f"$JS.ACK.{before}s.c.1.7.3.1767268800000001999.0{behind}"
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert parse_delivery(reply) == (7, 3, noon + timedelta(microseconds=1))


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "$JS.ACK.s.c.1.7.3.17",
        "$JS.ACK.s.c.1.7.3.17.0.5",
        "$JS.ACK.s.c.1.7.x.17.0",
        "$JS.NAK.s.c.1.7.3.17.0",
        "inbox.s.c.1.7.3.17.0.5.1.0",
    ],
)
def test_what_is_no_reply_subject_of_a_stored_message_is_corrupt(reply: str) -> None:
    with pytest.raises(LogCorrupt, match="not the reply subject"):
        parse_delivery(reply)
