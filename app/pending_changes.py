"""The changes of this process whose outcome was not known when their caller was answered.

In memory and bounded: it only tells "pending" from "unknown" for a while; what the log decided
is asked of the database.
"""

from __future__ import annotations

import time
from collections import OrderedDict

MAX_PENDING = 10_000
PENDING_FOR_S = 120.0
"""A publish that nobody heard of for this long will not be committed any more."""


class PendingChanges:
    """Change ids with their projects, the newest kept."""

    def __init__(self) -> None:
        self._projects: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def add(self, change_id: str, project_id: str) -> None:
        """A caller was told to ask again."""
        self._projects[change_id] = (project_id, time.monotonic() + PENDING_FOR_S)
        self._projects.move_to_end(change_id)
        while len(self._projects) > MAX_PENDING:
            self._projects.popitem(last=False)

    def project_of(self, change_id: str) -> str | None:
        """The project of a change that may still be committed; None for any other."""
        project_id, until = self._projects.get(change_id, (None, 0.0))
        return project_id if time.monotonic() < until else None
