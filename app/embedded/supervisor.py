"""Keeps the processes of one machine running, and stops them in order.

Must never end while a child runs: `run` returns only after every child was stopped, and the
death signal of each (see processes) covers the case that this process is killed.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from app.embedded.processes import Child, EmbeddedError

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 10.0
STEADY_AFTER_S = 30.0
"""A child that ran this long starts again without a longer pause than the first."""
POLL_S = 0.1


class Stopped(KeyboardInterrupt):
    """A signal asked us to stop. A KeyboardInterrupt, so that asyncio lets it through."""


@contextmanager
def stop_signals() -> Iterator[None]:
    """Inside, SIGTERM, SIGINT and SIGHUP raise Stopped in the main thread, the first one only.

    Later ones are ignored, so that an impatient second Ctrl-C cannot break the orderly stop.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class _Service:
    name: str
    start: Callable[[], None]
    child: Callable[[], Child]
    stop: Callable[[], None]
    started_at: float = 0.0
    backoff_s: float = 0.0
    restart_at: float | None = None


class Supervisor:
    """Starts services again when they end; stops the one that was added last first."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` gets one line for each event that a person should know of."""
        self._say = say
        self._services: list[_Service] = []

    def add(
        self,
        name: str,
        start: Callable[[], None],
        child: Callable[[], Child],
        stop: Callable[[], None] | None = None,
        *,
        stop_last: bool = False,
    ) -> None:
        """Start a service now and keep it running from now on."""
        service = _Service(name, start, child, stop or (lambda: child().stop()))
        start()
        service.started_at = time.monotonic()
        self._services.insert(0 if stop_last else len(self._services), service)

    def add_command(self, name: str, make: Callable[[], Child]) -> None:
        """Start a service that is one child process."""
        current: list[Child] = []

        def start() -> None:
            current[:] = [make()]

        self.add(name, start, lambda: current[0])

    def check(self) -> None:
        """Start again what ended and whose pause is over. Returns at once."""
        now = time.monotonic()
        for service in self._services:
            if service.restart_at is None:
                self._notice_end(service, now)
            elif now >= service.restart_at:
                self._start_again(service, now)

    def pause(self) -> None:
        """Sleep a moment: for a loop around `check`."""
        time.sleep(POLL_S)

    def run(self) -> None:
        """Keep everything running until a signal raises Stopped."""
        while True:
            self.check()
            self.pause()

    def stop(self) -> None:
        """Stop everything, last added first. One that fails to stop does not keep the others."""
        errors = []
        for service in reversed(self._services):
            try:
                service.stop()
            except (OSError, EmbeddedError) as error:
                errors.append(f"{service.name}: {error}")
        self._services.clear()
        if errors:
            raise EmbeddedError("; ".join(errors))

    def _notice_end(self, service: _Service, now: float) -> None:
        if (code := service.child().exit_code) is None:
            return
        steady = now - service.started_at >= STEADY_AFTER_S
        longer = min(service.backoff_s * 2, MAX_BACKOFF_S) or FIRST_BACKOFF_S
        service.backoff_s = FIRST_BACKOFF_S if steady else longer
        service.restart_at = now + service.backoff_s
        words = service.child().last_words()
        self._say(
            f"{service.name} ended with {code}; starting it again in {service.backoff_s:g} s"
            + (f" (last lines: {words})" if words and code > 0 else "")
        )

    def _start_again(self, service: _Service, now: float) -> None:
        try:
            service.start()
        except EmbeddedError as error:
            service.backoff_s = min(service.backoff_s * 2, MAX_BACKOFF_S)
            service.restart_at = time.monotonic() + service.backoff_s
            self._say(f"{service.name}: {error}; trying again in {service.backoff_s:g} s")
        else:
            service.started_at = now
            service.restart_at = None
