"""Configs at their newest version, in the memory of a web process, with its position.

Moved on by `projections.follower` alone; everything else reads or waits. Must never be ahead of
what is committed in `config_revisions`, nor hold an older version of a config than its position
says. Bounded in bytes: what was read least lately falls out, and `app.config_reader` reads it
from the table again.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.change_set import ABSENT, Head
from domain.config import Config
from domain.errors import Conflict
from projections.held_configs import HeldConfigs

REVISION_BYTES = 1_100
"""Of a revision beside its content, with the answer's other members (measured: `bench sizes`)."""

_NONE: Final = HeldConfigs()

LIVE_FOR_S = 5.0
"""Longer than a follower takes to notice that the database is silent (4 s)."""


@dataclass(slots=True)
class RecordedRevision:
    """A row of `config_revisions`, as followers see it. Final and not frozen: to make one of a
    frozen class takes eight times as long, and followers make one for each change."""

    sequence: Final[int]
    position: Final[int]
    change_id: Final[str]
    change_index: Final[int]
    project_id: Final[str]
    key: Final[str]
    version: Final[int]
    event: Final[str]
    """The topic, for example `config:updated`."""
    content: Final[bytes | None]
    """JSON, exactly as it was committed; None for a tombstone."""
    schema_id: Final[str | None]
    schema_version: Final[int | None]
    comment: Final[str | None]
    user_id: Final[str | None]
    user_email: Final[str | None]
    created_at: Final[datetime]
    hash: Final[bytes]
    body: bytes | None = field(default=None, init=False, compare=False, repr=False)
    """The answer that `app.api.views.config_body` made of it, once it was asked for."""
    key_id: str | None = field(default=None, init=False, compare=False, repr=False)
    """The API key that made it, in a line of history; not kept in memory with every config."""
    key_name: str | None = field(default=None, init=False, compare=False, repr=False)
    read: bool = field(default=False, init=False, compare=False, repr=False)
    """Whether it was read since the model last thought of dropping it."""

    @property
    def deleted(self) -> bool:
        """Whether this version is a tombstone."""
        return self.event == Config.Deleted.TOPIC

    @property
    def head(self) -> Head:
        """Where the config stands with this revision."""
        return Head(self.version, self.deleted)

    @property
    def bytes(self) -> int:
        """About what it takes in memory: the content, and the same again in the answer."""
        return REVISION_BYTES + 2 * len(self.content or b"")


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

    def __init__(self, max_bytes: int) -> None:
        self.position = 0
        """The log position that this process has seen applied."""
        self.sequence = 0
        self._live_until = 0.0
        """By time.monotonic(), for `live`."""
        self.complete = False
        """Whether every config is here, so that what is not was never there."""
        self.bytes = 0
        self._max_bytes = max_bytes
        self._projects: dict[str, HeldConfigs] = {}
        self._clock: deque[RecordedRevision] = deque()
        """What may fall out, in order; also what a newer version has replaced meanwhile."""
        self._replaced = 0
        self._newest_dropped = 0
        """The highest sequence that ever fell out; 0: none did."""
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._abandoned = 0
        """Waiters who left since the heap was last cleaned; some of them may be popped already."""
        self._order = itertools.count()
        self._outcomes: dict[str, _Awaited] = {}
        self._listeners: list[Callable[[Sequence[RecordedRevision]], None]] = []

    @property
    def live(self) -> bool:
        """Whether the follower heard lately that this is all there is; if not, answers may be old.

        Lately, because a process that was stopped answers before it hears that time went on.
        """
        return time.monotonic() < self._live_until

    @live.setter
    def live(self, live: bool) -> None:
        self._live_until = time.monotonic() + LIVE_FOR_S if live else 0.0

    def get(self, project_id: str, key: str) -> RecordedRevision | None:
        """The newest revision of a config, tombstones included; None if it is not held here.

        If the model is complete, what is not here never was; else `app.config_reader` knows.
        """
        revision = self._projects.get(project_id, _NONE).get(key)
        if revision is not None and not revision.read:
            # A revision never changes; this and `body` are marks that are put on it.
            revision.read = True
        return revision

    def head(self, project_id: str, key: str) -> Head:
        """Where a config stands, as far as this process knows."""
        revision = self.get(project_id, key)
        return revision.head if revision else ABSENT

    def project(self, project_id: str) -> HeldConfigs:
        """The revisions of a project that are held here, tombstones included; to be read only."""
        return self._projects.get(project_id, _NONE)

    def keep(self, revisions: Iterable[RecordedRevision], sequence: int) -> bool:
        """Take in what was read from the table as it stood at `sequence`, where nothing newer is.

        False: something as new as that fell out since it was read, so it may be old by now; then
        nothing is taken.
        """
        if self._newest_dropped > sequence:
            return False
        for revision in revisions:
            if revision.key not in self.project(revision.project_id):
                self._hold(revision)
        self._shrink()
        return True

    def warm(self, revisions: Iterable[RecordedRevision]) -> bool:
        """Take in what the table held after the start, where nothing is yet; False: it is full.

        What is ahead of the model is left out: it comes by `advance`.
        """
        for revision in revisions:
            if self._newest_dropped or self.bytes + revision.bytes > self._max_bytes:
                return False
            if revision.sequence <= self.sequence and revision.key not in self.project(
                revision.project_id
            ):
                self._hold(revision)
        return True

    def warmed(self) -> None:
        """All that the table held was taken in; complete, if nothing fell out meanwhile."""
        self.complete = not self._newest_dropped

    def _hold(self, revision: RecordedRevision) -> None:
        of_project = self._projects.get(revision.project_id)
        if of_project is None:
            of_project = self._projects[revision.project_id] = HeldConfigs()
        before = of_project.hold(revision)
        if before is not None:
            self.bytes -= before.bytes
            self._replaced += 1
        self.bytes += revision.bytes
        self._clock.append(revision)

    def _shrink(self) -> None:
        """Drop revisions until the rest fits: the first of the queue that was not read since it
        was last there (the second-chance algorithm, Corbató 1968)."""
        while self.bytes > self._max_bytes:
            revision = self._clock.popleft()
            of_project = self.project(revision.project_id)
            if of_project.get(revision.key) is not revision:
                self._replaced -= 1
            elif revision.read:
                revision.read = False
                self._clock.append(revision)
            else:
                of_project.drop(revision.key)
                if not of_project:
                    del self._projects[revision.project_id]
                self.bytes -= revision.bytes
                self.complete = False
                self._newest_dropped = max(self._newest_dropped, revision.sequence)
        if self._replaced * 2 > len(self._clock):
            self._clock = deque(r for kept in self._projects.values() for r in kept.values())
            self._replaced = 0

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
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiters, (position, next(self._order), future))
        alarm = None if timeout is None else loop.call_later(timeout, _time_out, future)
        try:
            await future
        except (asyncio.CancelledError, TimeoutError):
            self._abandon()
            raise
        finally:
            if alarm is not None:
                alarm.cancel()

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

    def start(self, position: int, sequence: int) -> None:
        """Begin at a checkpoint; what is behind it comes by `advance`, the rest when it is read."""
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
            self._hold(revision)
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
        self._shrink()

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


def _time_out(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
        future.exception()  # its waiter may leave just now
