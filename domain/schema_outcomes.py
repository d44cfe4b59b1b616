"""What comes of checking a schema, or a content against one.

Light on purpose: the web process imports this, and never the validation itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.errors import DomainError

MAX_VIOLATIONS: Final = 100
"""Of one content; then the search ends."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a content breaks its schema."""

    pointer: str
    """JSON Pointer (RFC 6901) into the content; empty for the whole of it."""
    keyword: str
    """The schema's keyword that failed."""
    message: str
    """For people; at most a few hundred characters, shows at most the start of a value."""


class InvalidSchema(DomainError):
    """The text is no JSON Schema that this service can hold contents to."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(f"{detail} (at {pointer or 'the top of the schema'})")
        self.detail = detail
        self.pointer = pointer
        """JSON Pointer into the schema; empty for the whole of it."""


class SchemaTooExpensive(DomainError):
    """Checking would take more time, memory or recursion than one request may have."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the schema and the content are too expensive to check: {detail}")
        self.detail = detail
