"""The service under the page, in a thread's own event loop, with what tests do to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from app.services import SERVICES
from app.settings import Settings
from tests.support.service import Service, run_service

T = TypeVar("T")
QUICK_WRITE_TIMEOUT_S = 0.5


@dataclass
class RunningService:
    """A handle for other threads: Playwright's lives in the test's."""

    service: Service
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.service.anonymous.base_url

    @property
    def database_url(self) -> str:
        return self.service.settings.require_database_url()

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        """Run something in the service's loop."""
        return asyncio.run_coroutine_threadsafe(act, self.loop).result(timeout=60)

    @contextmanager
    def nobody_applies(self) -> Iterator[None]:
        """The projector is stopped: the log commits what nobody applies, and writes answer 202."""
        writer = self.service.app[SERVICES].writer
        usual_s, writer._timeout_s = writer._timeout_s, QUICK_WRITE_TIMEOUT_S
        self.do(self._stop_projector())
        try:
            yield
        finally:
            writer._timeout_s = usual_s
            self.do(self._start_projector())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The process stands still, as after SIGSTOP: connected, and nobody answers."""
        thaw = threading.Event()
        self.loop.call_soon_threadsafe(thaw.wait)
        try:
            yield
        finally:
            thaw.set()

    async def _stop_projector(self) -> None:
        self.service.projector_task.cancel()
        with suppress(asyncio.CancelledError):
            await self.service.projector_task

    async def _start_projector(self) -> None:
        self.service.projector_task = asyncio.create_task(self.service.projector.run())


@contextmanager
def run_in_thread(settings: Settings) -> Iterator[RunningService]:
    """The service, until the block ends."""
    started: Future[Service] = Future()
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with run_service(settings) as service:
            started.set_result(service)
            await stop.wait()
            # Not the one that `run_service` knows of, if a test started it anew.
            service.projector_task.cancel()
            await asyncio.gather(service.projector_task, return_exceptions=True)

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="service")
    thread.start()
    try:
        yield RunningService(started.result(timeout=60), loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
