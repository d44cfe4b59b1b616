"""Who is next: a bounded queue in which no tenant can starve another. Pure.

Weighted fair queueing (Demers, Keshav, Shenker 1989) over the time that a tenant's work
took: whoever will have used least when its next work ends goes first, judged by what its
last took. So a tenant with cheap work does not wait behind the backlog of ones with
expensive work, and those are not starved either. And a tenant never holds all slots.

Nothing is known of a newcomer, so its first work is expected to take what others' took lately:
a crowd of newcomers with expensive work must not all go before those whose work is cheap.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")

FORGET_ABOVE: Final = 10_000
"""Idle tenants whose use of time is remembered at most."""
MEAN_GAIN: Final = 1 / 8
"""The share of the last work in the mean of all: one that is odd moves it little."""


class QueueFull(Exception):
    """More work waits than may: of this tenant, or of all."""


@dataclass(slots=True)
class _Tenant(Generic[T]):
    waiting: deque[T] = field(default_factory=deque)
    running: int = 0
    used_s: float = 0.0
    """Virtual: its own use, but never behind what was last admitted (no credit for idling)."""
    expected_s: float | None = None
    """What its next work will take, most likely; None: nothing of it has ended yet."""


class FairQueue(Generic[T]):
    """Work of tenants that waits for one of `slots`.

    Invariants: at most `slots` run; at most `per_tenant` of one tenant; at most
    `tenant_waiting` of one tenant wait, `all_waiting` together.
    """

    def __init__(
        self, *, slots: int, per_tenant: int, tenant_waiting: int, all_waiting: int
    ) -> None:
        if not 1 <= per_tenant <= slots:
            raise ValueError("a tenant may run at least one and at most as many as there are slots")
        self._free = slots
        self._per_tenant = per_tenant
        self._tenant_waiting = tenant_waiting
        self._all_waiting = all_waiting
        self._tenants: dict[str, _Tenant[T]] = {}
        self._queued: dict[str, _Tenant[T]] = {}
        """Those with work that waits: who is next is looked for among them alone."""
        self._waiting = 0
        self._clock_s = 0.0
        self._mean_s = 0.0
        """What work took lately, whosever it was."""

    def push(self, tenant: str, work: T) -> None:
        """Let `work` wait. Raises QueueFull."""
        entry = self._tenants.get(tenant)
        mine = 0 if entry is None else len(entry.waiting)
        if mine >= self._tenant_waiting or self._waiting >= self._all_waiting:
            raise QueueFull(f"{mine} of this tenant and {self._waiting} in all wait already")
        if entry is None:
            entry = self._tenants[tenant] = _Tenant()
        if not entry.waiting and not entry.running:
            entry.used_s = max(entry.used_s, self._clock_s)
        entry.waiting.append(work)
        self._queued[tenant] = entry
        self._waiting += 1

    def pop(self) -> tuple[str, T] | None:
        """Take the next work that may run now, and count it as running; None if none may."""
        if not self._free:
            return None
        ready = [
            (entry.used_s + self._expected_s(entry), name)
            for name, entry in self._queued.items()
            if entry.running < self._per_tenant
        ]
        if not ready:
            return None
        # min() keeps the order of arrival among equals, as a dict does.
        _, name = min(ready, key=lambda each: each[0])
        entry = self._queued[name]
        self._clock_s = max(self._clock_s, entry.used_s)
        self._free -= 1
        entry.running += 1
        work = entry.waiting.popleft()
        self._left(name, entry)
        return name, work

    def done(self, tenant: str, took_s: float) -> None:
        """Work that pop returned has ended after `took_s` seconds."""
        entry = self._tenants[tenant]
        if entry.running < 1:
            raise ValueError("nothing of this tenant runs")
        entry.running -= 1
        entry.used_s += took_s
        entry.expected_s = (self._expected_s(entry) + took_s) / 2
        self._mean_s += (took_s - self._mean_s) * MEAN_GAIN
        self._free += 1
        if len(self._tenants) > FORGET_ABOVE:
            self._forget()

    def discard(self, tenant: str, work: T) -> bool:
        """Let `work` wait no longer. False if it does not wait (any more)."""
        entry = self._tenants.get(tenant)
        if entry is None or work not in entry.waiting:
            return False
        entry.waiting.remove(work)
        self._left(tenant, entry)
        return True

    def _left(self, tenant: str, entry: _Tenant[T]) -> None:
        self._waiting -= 1
        if not entry.waiting:
            del self._queued[tenant]

    def _expected_s(self, entry: _Tenant[T]) -> float:
        return self._mean_s if entry.expected_s is None else entry.expected_s

    def _forget(self) -> None:
        """Drop idle tenants whose use lies behind the clock: they would start from it anyway."""
        idle = [
            name for name, entry in self._tenants.items() if not entry.waiting and not entry.running
        ]
        idle.sort(key=lambda name: self._tenants[name].used_s)
        for name in idle[: len(idle) // 2 + 1]:
            del self._tenants[name]

    @property
    def waiting(self) -> int:
        """How much work waits."""
        return self._waiting
