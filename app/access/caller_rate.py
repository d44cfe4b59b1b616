"""How often one key or user may ask one web process, so that no tenant starves the others.

In memory and for callers who are known already: a stranger's subjects would only push out
those of others.
"""

from __future__ import annotations

import math
import time

from app.access.principal import Application, Principal
from app.access.throttle import Rate, RateLimiter
from app.errors import TooManyRequests


class CallerRate:
    """`per_second` requests in the long run, `burst` at once; 0 per second: no limit."""

    def __init__(self, per_second: int, burst: int) -> None:
        self._limiter = RateLimiter(Rate(burst, 1 / per_second)) if per_second else None

    def count(self, principal: Principal) -> None:
        """Count a request. Raises TooManyRequests."""
        if self._limiter is None:
            return
        subject = (
            principal.key_id if isinstance(principal, Application) else f"user:{principal.user_id}"
        )
        verdict = self._limiter.attempt(subject, time.monotonic())
        if not verdict.allowed:
            raise TooManyRequests(
                "too many requests with these credentials", max(1, math.ceil(verdict.retry_after_s))
            )
