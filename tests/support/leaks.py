"""Collects the logs of the services in this process, and what must never be in them.

The tests' client notes every password, token, key and content that it sends or gets; whoever
holds the collector asks for what leaked.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase, StringIO
from typing import Any

import orjson
import structlog

from app.logs import GatheredLines, library_handler, structlog_settings

SECRET_MEMBERS = frozenset(
    {
        "password",
        "current_password",
        "new_password",
        "access_token",
        "refresh_token",
        "api_key",
    }
)
CONTENT_MEMBERS = frozenset({"content", "schema"})
SHORTEST = 8
"""Shorter texts are in a log by chance."""
FORMS = (
    re.compile(r"cg_[0-9A-Za-z]{20}"),
    re.compile(r"cgr_[\w-]{20}"),
    re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}"),
    re.compile(r"\$argon2"),
)


class _Bytes(RawIOBase):
    """Takes bytes for a stream of text."""

    def __init__(self, stream: StringIO) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        return self._stream.write(bytes(data).decode())


class LogCollector:
    """The log of a stretch of time, as the product writes it."""

    def __init__(self) -> None:
        self.stream = StringIO()
        self._forbidden: set[str] = set()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The events. Raises if a line is not one JSON object: something broke the form."""
        return [orjson.loads(line) for line in self.stream.getvalue().splitlines()]

    def note(self, body: Any, *, forbidden: bool = False) -> None:
        """Remember the secrets and contents in a request's or an answer's body."""
        if isinstance(body, dict):
            for name, value in body.items():
                self.note(name, forbidden=forbidden)
                inside = forbidden or name in SECRET_MEMBERS or name in CONTENT_MEMBERS
                self.note(value, forbidden=inside)
        elif isinstance(body, list):
            for value in body:
                self.note(value, forbidden=forbidden)
        elif isinstance(body, str) and forbidden and len(body) >= SHORTEST:
            self._forbidden.add(body)

    def leaks(self) -> list[str]:
        """What is in the log and must not be."""
        text = self.stream.getvalue()
        # As JSON writes it: a quote or a line break in a content is escaped in the log too.
        found = [
            secret for secret in self._forbidden if orjson.dumps(secret)[1:-1].decode() in text
        ]
        return found + [match[0] for form in FORMS if (match := form.search(text))]


current: LogCollector | None = None
"""The collector of the test that runs."""


def note(body: Any) -> None:
    """Tell the running test's collector, if there is one."""
    if current is not None:
        current.note(body)


@contextmanager
def collected_logs(*, noting: bool) -> Iterator[LogCollector]:
    """Collect everything, at the level debug, while inside.

    `noting`: look for each secret and content that the tests' client sends or gets too, and not
    for the forms of secrets alone; a test under load has too many.
    """
    global current
    collector = LogCollector()
    current = collector if noting else None
    lines = GatheredLines(_Bytes(collector.stream))
    structlog.configure(**structlog_settings(logging.DEBUG, lines))
    handler = library_handler(collector.stream)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield collector
    finally:
        lines.write()
        root.removeHandler(handler)
        structlog.reset_defaults()
        current = None
