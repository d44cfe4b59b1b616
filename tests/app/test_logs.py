"""Lines of the log: together where nobody waits for them, at once where a process may end."""

from __future__ import annotations

import asyncio
import logging
import threading
from io import RawIOBase
from typing import Any

import orjson
import pytest
import structlog

from app.logs import GatheredLines, structlog_settings, write_ready


class Writes(RawIOBase):
    """Each write to a stream, as the names of its events."""

    def __init__(self) -> None:
        self.all: list[list[str]] = []

    def write(self, data: Any) -> int:
        text = bytes(data)
        assert text.endswith(b"\n")
        self.all.append([orjson.loads(line)["event"] for line in text.splitlines()])
        return len(text)


@pytest.fixture
def writes() -> Writes:
    """What is written under the settings of the product."""
    stream = Writes()
    structlog.configure(**structlog_settings(logging.INFO, GatheredLines(stream)))
    return stream


async def test_the_lines_of_one_turn_of_the_loop_are_one_write(writes: Writes) -> None:
    logger = structlog.get_logger()
    logger.info("a")
    write_ready("b", {"n": 1})
    logger.debug("below the level")
    assert writes.all == []
    await asyncio.sleep(0)
    logger.info("c")
    await asyncio.sleep(0)
    assert writes.all == [["a", "b"], ["c"]]


async def test_a_warning_is_written_at_once_after_what_came_before_it(writes: Writes) -> None:
    logger = structlog.get_logger()
    logger.info("a")
    logger.warning("b")
    logger.error("c")
    assert writes.all == [["a", "b"], ["c"]]
    logger.info("d")
    await asyncio.sleep(0)
    assert writes.all[2:] == [["d"]]


def test_where_no_loop_runs_a_line_is_written_at_once(writes: Writes) -> None:
    structlog.get_logger().info("a")
    assert writes.all == [["a"]]


async def test_no_line_of_another_thread_is_lost_or_torn(writes: Writes) -> None:
    logger = structlog.get_logger()

    def write() -> None:
        for _ in range(200):
            logger.info("theirs")

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(200):
        logger.info("ours")
        await asyncio.sleep(0)
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
    names = [name for each in writes.all for name in each]
    assert (names.count("ours"), names.count("theirs")) == (200, 200)


async def test_a_stream_that_fails_once_holds_up_no_later_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Writes()
    lines = GatheredLines(stream)
    with monkeypatch.context() as broken:
        broken.setattr(stream, "write", lambda _: (_ for _ in ()).throw(BrokenPipeError()))
        lines.info(b'{"event":"lost"}')
        with pytest.raises(BrokenPipeError):
            lines.write()
    lines.info(b'{"event":"a"}')
    await asyncio.sleep(0)
    assert stream.all == [["a"]]


def test_a_ready_line_has_what_structlog_writes() -> None:
    lines: list[dict[str, Any]] = []

    class Whole(RawIOBase):
        def write(self, data: Any) -> int:
            lines.append(orjson.loads(bytes(data)))
            return len(data)

    structlog.configure(**structlog_settings(logging.INFO, GatheredLines(Whole())))
    structlog.get_logger().info("request", status=200)
    write_ready("request", {"status": 200})
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
    assert lines[0] == lines[1] == {"event": "request", "level": "info", "status": 200}
