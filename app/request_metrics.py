"""Counts of requests and how long they took, as Prometheus reads them.

The library's own counters take a lock for each number and look a series up by its labels; with a
request that takes 50 µs that would be a tenth of it. Here one event loop counts, in plain lists.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class RequestMetrics(Collector):
    """`guardian_http_requests` and `guardian_http_request_seconds`."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._times: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
        """By method and route: how many in each bucket and above all, and the sum in seconds."""

    def answered(
        self, method: str, route: str, status: int, seconds: float, *, stream: bool
    ) -> None:
        """Count a request. `route` is a pattern of ours, never an address as it was asked for."""
        if method not in METHODS:
            method = "other"
        counted = method, route, status
        self._counts[counted] = self._counts.get(counted, 0) + 1
        if stream:
            return
        times = self._times.get((method, route))
        if times is None:
            times = self._times[method, route] = [0] * (len(BUCKETS_S) + 1), [0.0]
        times[0][bisect_left(BUCKETS_S, seconds)] += 1
        times[1][0] += seconds

    def collect(self) -> Iterator[Metric]:
        """All series, for the registry."""
        requests = CounterMetricFamily(
            "guardian_http_requests",
            "Requests that were answered; status 499: the client left first.",
            labels=("method", "route", "status"),
        )
        for (method, route, status), count in self._counts.items():
            requests.add_metric((method, route, str(status)), count)
        yield requests
        seconds = HistogramMetricFamily(
            "guardian_http_request_seconds",
            "Time to the whole answer; streams are left out.",
            labels=("method", "route"),
        )
        bounds = [*map(str, map(float, BUCKETS_S)), "+Inf"]
        for (method, route), (counts, total) in self._times.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            seconds.add_metric((method, route), buckets, sum_value=total[0])
        yield seconds
