"""What is asked of NATS can be given up at any moment."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.msg import Msg

from consensus.jetstream_client import CancellableClient


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = CancellableClient()
    answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
    # As the library waits for it (nats.aio.client, 2.x).
    monkeypatch.setattr(client, "_request_new_style", lambda *_, **__: asyncio.wait_for(answer, 30))
    asked = asyncio.create_task(client.request("subject"))
    await asyncio.sleep(0)
    answer.set_result(Msg(client))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
