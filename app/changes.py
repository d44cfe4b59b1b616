"""What a request wants of configs, as data: the commands of `app.change_writer`.

Must never decide whether a change is accepted: that is the rule's, in the order of the log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from projections.read_model import RecordedRevision


class Keep(Enum):
    """Says that a change leaves the schema binding as it is."""

    BINDING = "binding"


class Expected(Enum):
    """Expectations that are not one version."""

    ANYTHING = "*"
    """Whatever live config is there."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a request wants of one config."""

    key: str
    expected: int | Expected
    """The version that it was made for; 0: there is no live config under this key."""
    delete: bool = False
    must_be_live: bool = False
    """Where there is no live config, say that it is not found rather than a conflict."""
    content: Any = None
    schema_id: str | Keep | None = Keep.BINDING
    to_version: int | None = None
    """Set for a roll-back: the version that `content` was taken from."""


Plan = Callable[[], Awaitable[Sequence[Change]]]
"""Changes that are worked out from the newest state, and again when another change came first."""


@dataclass(frozen=True, slots=True)
class PlanForVersion:
    """A plan for the one version that its caller named: as versions never go back, another change
    that came first is a conflict for good."""

    work: Plan

    async def __call__(self) -> Sequence[Change]:
        """As the plan."""
        return await self.work()


ChangeIds = Callable[[int], str]
"""The id of the n-th attempt (0, 1, …): the same whichever process gets the request."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """A change beside the config that it meets: all that its event is made of."""

    change: Change
    before: RecordedRevision | None
    """The newest revision as this process knows it, a tombstone too; None: there never was one."""
    schema_id: str | None
    """The binding that the change leaves or makes; None for a delete."""
    schema_version: int | None = None

    @property
    def key(self) -> str:
        """The config's key."""
        return self.change.key

    @property
    def version(self) -> int:
        """The version that the change makes."""
        return self.before.version + 1 if self.before else 1

    @property
    def revives(self) -> bool:
        """Whether there is no live config before the change."""
        return self.before is None or self.before.deleted


@dataclass(frozen=True, slots=True)
class Committed:
    """A change set that was accepted; or a plan that found nothing to change."""

    change_id: str | None
    """None: there was nothing to change, and nothing was proposed."""
    position: int
    revisions: tuple[RecordedRevision, ...]
