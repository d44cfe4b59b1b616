"""What Prometheus is told: requests by route and outcome, and each dependency's answers.

One registry for each application. A label never holds an id, a key, an address or anything else
that a caller chose: the number of series must not grow with use, and who may read /metrics may
not thereby learn who uses the service.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from app.request_metrics import RequestMetrics
from consensus.log import (
    AppendOutcomeUnknown,
    Entry,
    EntryTooLarge,
    Log,
    LogReader,
    LogStatus,
)
from projections.database import DATABASE_AWAY

DEPENDENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10)


class Metrics:
    """The metrics of one web process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = RequestMetrics()
        self.registry.register(self._requests)
        self.answered = self._requests.answered
        """Count a request."""
        self.in_flight = 0
        self.gauge(
            "guardian_http_requests_in_flight",
            "Requests that are being answered, streams included.",
            lambda: self.in_flight,
        )
        self._dependency = Histogram(
            "guardian_dependency_seconds",
            "Time that a dependency took; outcome ok, away, refused or unknown.",
            ("dependency", "operation", "outcome"),
            buckets=DEPENDENCY_BUCKETS,
            registry=self.registry,
        )
        # To find a series by its labels takes longer than to count in it.
        self._series: dict[tuple[str, str, str], Histogram] = {}

    def dependency(self, name: str, operation: str, outcome: str, seconds: float) -> None:
        """Count one question to a dependency."""
        series = self._series.get((name, operation, outcome))
        if series is None:
            series = self._dependency.labels(name, operation, outcome)
            self._series[name, operation, outcome] = series
        series.observe(seconds)

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A number that is looked at when Prometheus asks."""
        Gauge(name, what, registry=self.registry).set_function(value)

    async def watch_connection(self, connection: Any) -> None:
        """Count the queries of a database connection: to be called when it is made."""
        connection.add_query_logger(self._queried)

    def _queried(self, query: Any) -> None:
        outcome = "ok"
        if query.exception is not None:
            outcome = "away" if isinstance(query.exception, DATABASE_AWAY) else "refused"
        self.dependency("database", "query", outcome, query.elapsed)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class MeteredLog:
    """A Raft log whose answers are counted."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    @property
    def max_entry_bytes(self) -> int:
        """As `Log.max_entry_bytes`."""
        return self._log.max_entry_bytes

    @property
    def position_step(self) -> int:
        """As `Log.position_step`."""
        return self._log.position_step

    async def append(self, message_id: str, data: bytes, *, timeout: float) -> int:
        """As `Log.append`."""
        with self._timed("append"):
            return await self._log.append(message_id, data, timeout=timeout)

    async def barrier(self, *, timeout: float) -> int:
        """As `Log.barrier`."""
        with self._timed("barrier"):
            return await self._log.barrier(timeout=timeout)

    def reader(self, after: int) -> LogReader:
        """As `Log.reader`."""
        return self._log.reader(after)

    async def entry_at(self, position: int) -> Entry | None:
        """As `Log.entry_at`."""
        with self._timed("entry"):
            return await self._log.entry_at(position)

    async def status(self) -> LogStatus:
        """As `Log.status`."""
        with self._timed("status"):
            return await self._log.status()

    async def lacking(self, recorded: int = 0) -> Mapping[str, int]:
        """As `Log.lacking`."""
        return await self._log.lacking(recorded)

    async def close(self) -> None:
        """As `Log.close`."""
        await self._log.close()

    def _timed(self, operation: str) -> _Timed:
        return _Timed(self._metrics, operation)


class _Timed:
    """Counts one question to the log when its block ends."""

    __slots__ = ("_metrics", "_operation", "_start")

    def __init__(self, metrics: Metrics, operation: str) -> None:
        self._metrics = metrics
        self._operation = operation

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        outcome = "ok" if kind is None else _OUTCOMES.get(kind, "away")
        seconds = time.perf_counter() - self._start
        self._metrics.dependency("log", self._operation, outcome, seconds)


_OUTCOMES: dict[type[BaseException], str] = {
    AppendOutcomeUnknown: "unknown",
    EntryTooLarge: "refused",
}
