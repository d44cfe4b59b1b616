"""Structured logs: one JSON object a line, on standard error.

Must never carry a password, token, key or config content: events name ids and numbers, and of
an exception that is not ours its message is left out (a driver's holds rows, a parser's input).
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from io import RawIOBase
from typing import Any, BinaryIO, TextIO

import orjson
import structlog

OWN_MODULES = ("app.", "consensus.", "domain.", "projections.")
MAX_FRAMES = 30


def configure_logs(level: str) -> None:
    """Set up structlog, and the libraries' loggers behind it, at `level` (a name)."""
    number = logging.getLevelNamesMapping()[level.upper()]
    lines = GatheredLines(sys.stderr.buffer)
    atexit.register(lines.write)
    structlog.configure(**structlog_settings(number, lines), cache_logger_on_first_use=True)
    root = logging.getLogger()
    root.handlers[:] = [library_handler(sys.stderr)]
    root.setLevel(max(number, logging.WARNING))


def structlog_settings(level: int, lines: GatheredLines) -> dict[str, Any]:
    """What `structlog.configure` takes for our own events."""
    return {
        "processors": [*_shared(), structlog.processors.JSONRenderer(_as_json)],
        "wrapper_class": structlog.make_filtering_bound_logger(level),
        "logger_factory": lambda *_: lines,
    }


class GatheredLines:
    """Writes lines to a stream: those of one turn of the event loop together, because a write for
    each takes a read 6 of its 70 µs. A warning and whatever is worse, and the lines before it, are
    written at once: a process may end with it. What a stream does not take is lost."""

    def __init__(self, stream: BinaryIO | RawIOBase) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._lock = threading.Lock()

    def info(self, line: bytes) -> None:
        """Write `line`, which has no end, when this turn of the loop is over."""
        with self._lock:
            self._lines.append(line)
            is_first = len(self._lines) == 1
        if is_first:
            try:
                asyncio.get_running_loop().call_soon(self.write)
            except RuntimeError:  # not in a loop, or in another thread than it
                self.write()

    def warning(self, line: bytes) -> None:
        """Write `line` now."""
        with self._lock:
            self._lines.append(line)
        self.write()

    def write(self) -> None:
        """Write what is left."""
        with self._lock:
            lines, self._lines = self._lines, []
            if lines:
                self._stream.write(b"\n".join([*lines, b""]))
                self._stream.flush()

    debug = info
    error = critical = exception = warning


def library_handler(stream: TextIO) -> logging.Handler:
    """A handler that writes the libraries' events in the same form."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(_as_text), foreign_pre_chain=_shared()
        )
    )
    return handler


def write_ready(event: str, fields: dict[str, object]) -> None:
    """Write a line of the level info as structlog would, without its steps: they take 20 µs, and a
    read of a config, with one such line, takes 50. Nothing that was bound is added."""
    fields["event"] = event
    fields["level"] = "info"
    fields["timestamp"] = datetime.now(UTC)
    structlog.get_config()["logger_factory"]().info(_as_json(fields))


def _as_json(event: Any, **_: object) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z)


def _as_text(event: Any, **_: object) -> str:
    return _as_json(event).decode()


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_time,
        describe_exception,
    ]


def _add_time(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """As the library's TimeStamper; to make its text with the rest of the line is quicker."""
    event["timestamp"] = datetime.now(UTC)
    return event


def describe_exception(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace `exc_info` by where the exception came from: types and places, no values."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = list(_chain(error))
    return event


def _chain(error: BaseException | None) -> list[str]:
    lines: list[str] = []
    while error is not None and len(lines) < 10 * MAX_FRAMES:
        kind = type(error)
        name = f"{kind.__module__}.{kind.__qualname__}"
        lines.append(f"{name}: {error}" if name.startswith(OWN_MODULES) else name)
        if code := getattr(error, "sqlstate", None):
            lines[-1] += f" ({code} {getattr(error, 'constraint_name', None) or ''})".rstrip()
        frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
        lines.extend(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines
