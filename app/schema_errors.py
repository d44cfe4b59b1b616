"""What is refused because of a schema, as typed exceptions; `app.api.errors` maps them.

Beside `domain.schema_outcomes`, which says what comes of checking one schema or one content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import ServiceError
from domain.schema_outcomes import Violation


@dataclass(frozen=True, slots=True)
class KeyedViolation:
    """One way in which one config of a change set breaks its schema."""

    key: str
    violation: Violation


class SchemaViolated(ServiceError):
    """Contents do not hold to the schemas that they are bound to; nothing was changed.

    `cut`: the list ends where the search for violations ended, so there may be others.
    """

    def __init__(self, violations: Sequence[KeyedViolation], *, cut: bool = False) -> None:
        first, others = violations[0], len(violations) - 1
        more = f" (and {'at least ' if cut else ''}{others} more)" if others else ""
        place = first.violation.pointer or "the top"
        super().__init__(f"config {first.key!r}: {first.violation.message} at {place}{more}")
        self.violations = tuple(violations)


class UnknownSchema(ServiceError):
    """A config would be bound to a schema that is not there for its project."""

    def __init__(self, schema_id: str, key: str) -> None:
        super().__init__(
            f"config {key!r}: there is no schema {schema_id[:100]!r} for this project;"
            " schema_id null removes a binding"
        )
        self.schema_id = schema_id
        self.key = key


class SchemaGone(ServiceError):
    """A roll back would have bound a config to a schema that was deleted since it was rehearsed or
    planned."""

    def __init__(self, schema_id: str, key: str) -> None:
        super().__init__(
            f"config {key!r} would be bound to the schema {schema_id} again, which was deleted"
            " since; nothing was changed"
        )
        self.schema_id = schema_id
        self.key = key


class SchemaMoved(ServiceError):
    """Another change of the schema came first."""

    def __init__(self, expected: int, current: int) -> None:
        super().__init__(f"the schema is at version {current}, not {expected}")
        self.current_version = current


@dataclass(frozen=True, slots=True)
class BoundConfig:
    """A live config that is bound to a schema."""

    project_id: str
    key: str
    errors: tuple[Violation, ...] = ()
    """How it would break, where that was asked."""


class SchemaInUse(ServiceError):
    """Live configs are bound to the schema, so it stays."""

    def __init__(self, users: Sequence[BoundConfig], hidden: int, total: int) -> None:
        super().__init__(f"{total} live config{'s are' if total != 1 else ' is'} bound to it")
        self.users = tuple(users)
        """Those that the caller may see, the first of them."""
        self.hidden = hidden
        """How many are of projects that the caller may not see."""
        self.total = total


@dataclass(frozen=True, slots=True)
class Breakage:
    """Which live configs would not hold to a schema, as it may be told to somebody."""

    configs: tuple[BoundConfig, ...]
    """Those that the caller may see, the first of them."""
    hidden: int
    """How many are of projects that the caller may not see: they are counted, never checked."""
    total: int
    """Those that would break, and the hidden ones."""
    checked: int


class SchemaWouldBreak(ServiceError):
    """Live configs would not hold to the new version; `force=true` stores it anyway."""

    def __init__(self, breakage: Breakage) -> None:
        broken = breakage.total - breakage.hidden
        hidden = breakage.hidden and (
            f"; {breakage.hidden} of projects that the caller may not see are not checked"
        )
        super().__init__(
            f"{broken} of {breakage.checked} live configs that are bound to it would break the new"
            f" version{hidden or ''}; force=true stores it anyway"
        )
        self.breakage = breakage
