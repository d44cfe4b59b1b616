"""What the last batches left behind of all that they touched, so that the next one need not ask.

Never believed on its word: what is decided from it is written only if the database still stands
so (`projections.batch_write`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from domain.change_set import Head
from projections.batch import Chain, Touched, World

MAX_REMEMBERED = 20_000
"""Configs, and projects and users; about 300 bytes each. Beyond it all of them are forgotten."""


class Recent:
    """The memory of one projector on one connection: what it wrote last is how things stand."""

    def __init__(self) -> None:
        self._users: set[str] = set()
        self._heads: dict[str, Head] = {}
        self._chains: dict[str, Chain] = {}
        """Of each project that is remembered."""

    def world(self, touched: Touched, last_time: datetime | None) -> World | None:
        """All that a batch touches, if all of it is remembered; but not what came before, which
        the write must see to."""
        if not (touched.projects <= self._chains.keys() and touched.users <= self._users):
            return None
        if not touched.configs <= self._heads.keys():
            return None
        return World(
            projects=set(touched.projects),
            users=set(touched.users),
            heads={config: self._heads[config] for config in touched.configs},
            chains={project: replace(self._chains[project]) for project in touched.projects},
            last_time=last_time,
        )

    def keep(self, world: World) -> None:
        """Remember a world that a batch has moved on, once that batch is committed."""
        self._users |= world.users
        self._heads |= world.heads
        # A project without a revision yet has no chain; it is asked for again.
        self._chains |= world.chains
        if max(len(self._heads), len(self._chains) + len(self._users)) > MAX_REMEMBERED:
            self.forget()

    def forget(self) -> None:
        """Begin anew: somebody else changed what is remembered, or nobody knows."""
        self._users, self._heads, self._chains = set(), {}, {}
