"""Waiting for what happens outside of the test's reach: in another process, behind a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody tells when it does
            await asyncio.sleep(0.002)
