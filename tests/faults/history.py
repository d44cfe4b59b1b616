"""What the clients of a fault test asked for and were answered; and what was found at the end.

Times are the harness's monotonic seconds, `begun` taken before a request was sent and `ended`
after its answer was read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

Register = tuple[str, str]
"""Project id and config key: one compare-and-set register."""


class Outcome(Enum):
    """What is known of an operation."""

    DONE = "done"
    """Acknowledged, or read."""
    REFUSED = "refused"
    """The answer says that nothing was changed."""
    UNKNOWN = "unknown"
    """No answer, or "not known yet": it may happen at any later time, or never."""


class Level(Enum):
    """What a read was promised."""

    LINEARIZABLE = "linearizable"
    DEFAULT = "default"
    STALE = "stale"


@dataclass(slots=True)
class Write:
    """One change set: versions that its configs were expected to be at, and what it became."""

    id: str
    """Unique; every event of the change set carries it as its comment."""
    begun: float
    expected: dict[Register, int | None]
    """0: no live config; None: whatever is there."""
    deletes: frozenset[Register] = frozenset()
    ended: float = math.inf
    outcome: Outcome = Outcome.UNKNOWN
    versions: dict[Register, int] = field(default_factory=dict)
    """As acknowledged."""
    position: int = 0
    conflicts: dict[Register, int] = field(default_factory=dict)
    """Current versions that a 409 named."""
    change_id: str | None = None
    """Where the answer named it."""


@dataclass(slots=True)
class Read:
    """One config as a process answered it."""

    register: Register
    level: Level
    begun: float
    ended: float
    version: int | None
    """None: there is no live config."""
    position: int
    """Guardian-Position: the answer holds everything up to there."""
    writer: str | None
    """The id of the write that the content names."""
    min_position: int = 0


@dataclass(slots=True)
class Listing:
    """A project's live configs as one process answered them: from one moment of the log."""

    project: str
    begun: float
    ended: float
    position: int
    versions: dict[str, int]


@dataclass(slots=True)
class History:
    """All that the clients saw."""

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    """Answers that the contract does not know: a 500, a 200 without a version."""
    unanswered: int = 0
    """Reads without an answer, or refused with 503."""

    @property
    def operations(self) -> int:
        """How many there were."""
        return len(self.writes) + len(self.reads) + len(self.listings) + self.unanswered


@dataclass(frozen=True, slots=True)
class Recorded:
    """A revision as it was found in the database at the end."""

    register: Register
    version: int
    position: int
    change_id: str
    change_index: int
    writer: str | None
    """Its comment: the id of the write that made it."""
    deleted: bool


@dataclass(slots=True)
class FinalState:
    """What was found when all was healed and still."""

    revisions: list[Recorded] = field(default_factory=list)
    """In the order of recording."""
    processes: dict[str, dict[Register, int]] = field(default_factory=dict)
    """The live configs that each web process answers, linearizable."""
    findings: list[str] = field(default_factory=list)
    """What the product's own verifications found wrong."""
