"""nats-py's client, with a cancellation that is never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg

_Result = TypeVar("_Result")


class CancellableClient(Client):
    """Before Python 3.12 `asyncio.wait_for`, in which nats-py waits for answers and connections,
    forgets a cancellation that comes in the same turn of the loop as what it waits for
    (python/cpython#81839); and where nats-py waits for its socket to drain, or for the end of its
    reconnecting, it drops each on purpose. A projector that was told to stop went on for ever.

    All such places are below these methods. asyncpg has none: it waits in `asyncio.timeout`."""

    async def request(self, *args: Any, **kwargs: Any) -> Msg:
        """As the client's."""
        return await _kept(super().request(*args, **kwargs))

    async def close(self) -> None:
        """As the client's: it is closed, also where this raises CancelledError."""
        await _kept(super().close())

    async def _flush_pending(self, *args: Any, **kwargs: Any) -> Any:
        return await _kept(super()._flush_pending(*args, **kwargs))

    async def _select_next_server(self) -> None:
        await _kept(super()._select_next_server())

    async def _process_connect_init(self) -> None:
        await _kept(super()._process_connect_init())


async def _kept(waiting: Awaitable[_Result]) -> _Result:
    """Its result, unless we were cancelled meanwhile."""
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    result = await waiting
    if task.cancelling() > before:
        raise asyncio.CancelledError
    return result
