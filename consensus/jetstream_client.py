"""nats-py's client, with a cancellation that is never lost."""

from __future__ import annotations

import asyncio
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg


class CancellableClient(Client):
    """Before Python 3.12 `asyncio.wait_for`, in which nats-py waits for answers, forgets a
    cancellation that comes in the same turn of the loop as the answer (python/cpython#81839). A
    projector that was told to stop went on for ever."""

    async def request(self, *args: Any, **kwargs: Any) -> Msg:
        """As the client's."""
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        answer = await super().request(*args, **kwargs)
        if task.cancelling() > before:
            raise asyncio.CancelledError
        return answer
