"""How often one key or user may ask one web process, and one account with all its keys, so that no
tenant starves the others.

In memory and for callers who are known already: a stranger's subjects would only push out
those of others.
"""

from __future__ import annotations

import math
import time

from app.access.principal import Application, Principal
from app.access.throttle import Rate, RateLimiter, Verdict
from app.errors import TooManyRequests


class CallerRate:
    """`per_second` requests in the long run, `burst` at once; 0 per second: no limit at all.

    An account has `account_per_second`, for as long a burst; 0: as many as it has keys and users.
    """

    def __init__(self, per_second: int, burst: int, account_per_second: int = 0) -> None:
        self._each = self._accounts = None
        if per_second:
            self._each = RateLimiter(Rate(burst, 1 / per_second))
        if per_second and account_per_second:
            together = max(1, burst * account_per_second // per_second)
            self._accounts = RateLimiter(Rate(together, 1 / account_per_second))

    def count(self, principal: Principal) -> None:
        """Count a request. Raises TooManyRequests."""
        if self._each is None:
            return
        subject = principal.key_id if isinstance(principal, Application) else principal.tenant
        now = time.monotonic()
        _require(self._each.attempt(subject, now), "with these credentials")
        # Behind it: what one key is refused takes nothing from the others of its account.
        if self._accounts is not None:
            _require(
                self._accounts.attempt(principal.tenant, now), "of this account, with all keys"
            )


def _require(verdict: Verdict, whose: str) -> None:
    if not verdict.allowed:
        retry_after_s = max(1, math.ceil(verdict.retry_after_s))
        raise TooManyRequests(f"too many requests {whose}", retry_after_s)
