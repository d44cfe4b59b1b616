"""What is asked of NATS can be given up at any moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from consensus.jetstream_client import CancellableClient


@pytest.mark.parametrize(
    "name", ["_request_new_style", "_select_next_server", "_process_connect_init", "close"]
)
async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def wait(*_: object, **__: object) -> object:
        # As the library waits (nats.aio.client, 2.x).
        return await asyncio.wait_for(answer, 30)

    monkeypatch.setattr(Client, name, wait)
    client = CancellableClient()
    ask: Any = client.request if name == "_request_new_style" else getattr(client, name)
    asked = asyncio.create_task(ask("subject") if ask == client.request else ask())
    await asyncio.sleep(0)
    answer.set_result(Msg(client))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_a_publish_on_a_socket_that_does_not_drain_can_be_given_up() -> None:
    client = CancellableClient()
    client._status = Client.CONNECTED
    client._max_pending_size, client._flush_timeout = 1, 30.0
    client._max_payload = 100
    client._flush_queue = asyncio.Queue()
    client._flusher_task = asyncio.ensure_future(asyncio.Event().wait())
    publishing = asyncio.create_task(client.publish("subject", b"data"))
    try:
        async with asyncio.timeout(10):
            await client._flush_queue.get()
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
    finally:
        client._flusher_task.cancel()
