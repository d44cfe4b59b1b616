"""Every config at its newest version, in the memory of a web process, with its position.

Filled and moved on by `projections.follower` alone; everything else reads or waits. Must
never be ahead of what is committed in `config_revisions`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from domain.change_set import ABSENT, Head
from domain.config import Config
from domain.errors import Conflict


@dataclass(frozen=True, slots=True)
class RecordedRevision:
    """A row of `config_revisions`, as followers see it."""

    sequence: int
    position: int
    change_id: str
    change_index: int
    project_id: str
    key: str
    version: int
    event: str
    """The topic, for example `config:updated`."""
    content: bytes | None
    """JSON, exactly as it was committed; None for a tombstone."""
    schema_id: str | None
    schema_version: int | None
    comment: str | None
    user_id: str | None
    user_email: str | None
    created_at: datetime
    hash: bytes
    body: bytes | None = field(default=None, init=False, compare=False, repr=False)
    """The answer that `app.api.views.config_body` made of it, once it was asked for."""

    @property
    def deleted(self) -> bool:
        """Whether this version is a tombstone."""
        return self.event == Config.Deleted.TOPIC

    @property
    def head(self) -> Head:
        """Where the config stands with this revision."""
        return Head(self.version, self.deleted)


@dataclass(frozen=True, slots=True)
class Applied:
    """A change set was accepted; its revisions in their order."""

    revisions: tuple[RecordedRevision, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A change set was rejected, with all its conflicts."""

    position: int
    conflicts: tuple[Conflict, ...]


Outcome = Applied | Rejected


@dataclass(slots=True)
class _Awaited:
    """A change set that somebody waits for."""

    future: asyncio.Future[Outcome]
    waiters: int = 0


class ReadModel:
    """Newest revisions by project and key; the position that they reflect; who waits for more."""

    def __init__(self) -> None:
        self.position = 0
        """The log position that this process has seen applied."""
        self.sequence = 0
        self.live = False
        """Whether the follower is connected; if not, answers may be old."""
        self._projects: dict[str, dict[str, RecordedRevision]] = {}
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._abandoned = 0
        """Waiters who left since the heap was last cleaned; some of them may be popped already."""
        self._order = itertools.count()
        self._outcomes: dict[str, _Awaited] = {}
        self._listeners: list[Callable[[Sequence[RecordedRevision]], None]] = []

    def get(self, project_id: str, key: str) -> RecordedRevision | None:
        """The newest revision of a config, tombstones included; None if it never was."""
        return self._projects.get(project_id, {}).get(key)

    def head(self, project_id: str, key: str) -> Head:
        """Where a config stands, as far as this process knows."""
        revision = self.get(project_id, key)
        return revision.head if revision else ABSENT

    def project(self, project_id: str) -> dict[str, RecordedRevision]:
        """All newest revisions of a project by key, tombstones included. Not to be changed."""
        return self._projects.get(project_id, {})

    def forget_project(self, project_id: str) -> None:
        """Free the memory of a project that was deleted."""
        self._projects.pop(project_id, None)

    def listen(self, listener: Callable[[Sequence[RecordedRevision]], None]) -> Callable[[], None]:
        """Call `listener` with every batch of new revisions; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait_for(self, position: int, timeout: float | None = None) -> None:
        """Return when `position` is reached; TimeoutError after `timeout` seconds.

        None: the caller keeps to a time of its own.
        """
        if self.position >= position:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (position, next(self._order), future))
        try:
            async with nullcontext() if timeout is None else asyncio.timeout(timeout):
                await future
        finally:
            if future.cancelled():
                self._abandon()

    def _abandon(self) -> None:
        """Count a waiter who left; while nothing is applied they must not pile up."""
        self._abandoned += 1
        if self._abandoned * 2 > len(self._waiters):
            self._waiters = [waiter for waiter in self._waiters if not waiter[2].done()]
            heapq.heapify(self._waiters)
            self._abandoned = 0

    def expect(self, change_id: str) -> asyncio.Future[Outcome]:
        """A future of what becomes of a change set; ask before it is appended.

        The same change may be awaited several times at once (a request that was sent again):
        all get the same future; each gives it back to `forget`, and none may cancel it.
        """
        awaited = self._outcomes.get(change_id)
        if awaited is None:
            awaited = _Awaited(asyncio.get_running_loop().create_future())
            self._outcomes[change_id] = awaited
        awaited.waiters += 1
        return awaited.future

    def forget(self, change_id: str, future: asyncio.Future[Outcome]) -> None:
        """One waiter less for the future that `expect` gave."""
        awaited = self._outcomes.get(change_id)
        # Settled meanwhile: the entry under this id, if there is one, is a later waiter's.
        if awaited is None or awaited.future is not future:
            return
        awaited.waiters -= 1
        if awaited.waiters == 0:
            del self._outcomes[change_id]

    def load(self, revisions: Iterable[RecordedRevision], position: int, sequence: int) -> None:
        """Replace everything by a snapshot (start, or after a long cut)."""
        self._projects = {}
        for revision in revisions:
            self._projects.setdefault(revision.project_id, {})[revision.key] = revision
        self.sequence = sequence
        self._reach(position)

    def advance(
        self,
        revisions: Sequence[RecordedRevision],
        rejections: Iterable[tuple[str, Rejected]],
        position: int,
    ) -> None:
        """Take over what was recorded up to `position`, then wake whoever waited for it."""
        by_change: dict[str, list[RecordedRevision]] = {}
        for revision in revisions:
            self._projects.setdefault(revision.project_id, {})[revision.key] = revision
            self.sequence = revision.sequence
            if revision.change_id in self._outcomes:
                by_change.setdefault(revision.change_id, []).append(revision)
        for listener in tuple(self._listeners):
            listener(revisions)
        for change_id, applied in by_change.items():
            self._settle(change_id, Applied(tuple(applied)))
        for change_id, rejected in rejections:
            self._settle(change_id, rejected)
        self._reach(position)

    def _settle(self, change_id: str, outcome: Outcome) -> None:
        awaited = self._outcomes.pop(change_id, None)
        if awaited is not None and not awaited.future.done():
            awaited.future.set_result(outcome)

    def _reach(self, position: int) -> None:
        self.position = max(self.position, position)
        while self._waiters and self._waiters[0][0] <= self.position:
            _, _, future = heapq.heappop(self._waiters)
            if not future.done():
                future.set_result(None)
