"""Places of a process that are held for long, of which no tenant gets more than a share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import TooManyRequests

_RETRY_AFTER_S = 5
"""Places come free when somebody leaves; how soon, nobody knows."""


class TenantPlaces:
    """At most `share` of one tenant. Costs nothing but when one is taken or left."""

    def __init__(self, what: str, *, share: int) -> None:
        self._what = what
        self._share = share
        self._held: dict[str, int] = {}

    @contextmanager
    def hold(self, tenant: str) -> Iterator[None]:
        """Do the block in a place. Raises TooManyRequests when the tenant has its share already."""
        held = self._held.get(tenant, 0)
        if held >= self._share:
            raise TooManyRequests(
                f"this account has {held} {self._what} open at this process, all that it may have",
                _RETRY_AFTER_S,
            )
        self._held[tenant] = held + 1
        try:
            yield
        finally:
            self._held[tenant] -= 1
            if not self._held[tenant]:
                del self._held[tenant]
