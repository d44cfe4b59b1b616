"""Differences of documents, worked out in a thread, one request at a time.

The work is bounded by size (`domain.json_patch`), but may take a second: it must never hold up
the event loop, nor may many of them at once take the processor from everything else. Whose turn it
is goes by tenant, so nobody waits behind all that somebody else asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from app.tenant_slots import TenantSlots
from domain.json_patch import diff

Pair = tuple[bytes | None, bytes | None]
Patch = list[dict[str, Any]]
MAX_DIFFED_BYTES = 1024 * 1024
"""Of all documents of one answer; behind that each difference is one replacement."""


class Differ:
    """The one place of a process where differences are worked out."""

    def __init__(self) -> None:
        self._slots = TenantSlots("differences", slots=1, tenant_waiting=16, all_waiting=128)

    async def diff(self, before: bytes | None, after: bytes | None, *, tenant: str) -> Patch:
        """The JSON patch that makes `after` of `before`; None: no document.

        Raises TooManyRequests when too many wait already.
        """
        return (await self.diffs([(before, after)], tenant=tenant))[0]

    async def diffs(self, pairs: Sequence[Pair], *, tenant: str) -> list[Patch]:
        """The JSON patch of each pair of documents. Raises TooManyRequests."""
        async with self._slots.hold(tenant):
            return await asyncio.to_thread(_diffs, pairs)

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._slots.waiting


def _diffs(pairs: Sequence[Pair]) -> list[Patch]:
    room = MAX_DIFFED_BYTES
    patches = []
    for before, after in pairs:
        room -= len(before or b"") + len(after or b"")
        patches.append(diff(before, after, coarse=room < 0))
    return patches
