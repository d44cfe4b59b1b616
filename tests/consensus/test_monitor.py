"""What is asked of monitoring ports for people's eyes harms nobody, whatever answers there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from consensus import jetstream_monitor
from consensus.jetstream_monitor import Observed, lacking, observe

FOREIGN: list[Any] = [
    b"<html>a web page</html>",
    b"\xff\xfe",
    b"[" * 100_000,
    b"",
    ["a list"],
    {"server_name": {"a": 1}, "A": {"G": {"term": "7"}}},
    {"server_name": "x", "A": ["G"], "account_details": 7},
    {"server_name": "x", "A": {"G": ["term"]}, "account_details": [{"stream_detail": [7]}]},
    {"server_name": "x", "account_details": [{"stream_detail": [{"name": "s"}]}]},
    {"server_name": "x", "account_details": [{"stream_detail": [{"name": "s", "state": [1]}]}]},
    {"account_details": [{"stream_detail": [{"name": "s", "state": {}}]}]},
]
"""To every question."""


def server(name: str, term: int | None, *streams: tuple[str, int, int]) -> dict[str, Any]:
    """What a NATS server answers, all of it at once: streams by name, last number and messages."""
    details = [
        {"name": stream, "state": {"last_seq": last, "messages": messages}}
        for stream, last, messages in streams
    ]
    group = None if term is None else {"G": {"term": term}}
    holders = [{"name": "A", "stream_detail": details}] if streams else None
    return {"server_name": name, "A": group, "account_details": holders}


@asynccontextmanager
async def ports(*answers: Any) -> AsyncIterator[list[str]]:
    """A port for each answer; where that is None, nothing is ever said."""

    def answering(answer: Any) -> Any:
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readline():
                while (await reader.readline()).strip():
                    pass
                if answer is not None:
                    writer.write(head + data)
            writer.close()

        return serve

    servers = [await asyncio.start_server(answering(answer), "127.0.0.1", 0) for answer in answers]
    try:
        yield [f"http://127.0.0.1:{each.sockets[0].getsockname()[1]}" for each in servers]
    finally:
        for each in servers:
            each.close()


async def test_the_highest_term_is_told_and_who_is_alive() -> None:
    async with ports(server("n1", 5), server("n2", 7), server("n3", None)) as urls:
        assert await observe(urls, "A", "G") == Observed(7, frozenset({"n1", "n2", "n3"}))
        assert (await observe(urls, "A", None)).term is None
        assert (await observe(urls, "another", "G")).term is None
    assert await observe([], "A", "G") == Observed(None, frozenset())


async def test_who_lacks_messages_has_come_as_far_and_holds_fewer() -> None:
    whole, less = ("s", 12, 10), ("s", 13, 9)
    async with ports(
        server("whole", 1, ("other", 12, 3), whole),
        server("damaged", 1, ("other", 99, 99), less),
        server("coming", 1, ("s", 11, 5)),
        server("elsewhere", 1, ("other", 12, 1)),
        server("empty", 1),
    ) as urls:
        assert await lacking(urls, "A", "s", kept=10, last=12) == {"damaged": 1}


async def test_what_is_no_monitoring_port_tells_nothing_and_hides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jetstream_monitor, "_TIMEOUT_S", 0.3)
    async with ports(b"") as gone:
        pass
    async with (
        ports(None, *FOREIGN, server("n1", 7, ("s", 12, 9))) as urls,
        asyncio.timeout(20),
    ):
        for url in (*gone, *urls[:-1]):
            found = await observe([url, urls[-1]], "A", "G")
            assert (found.term, found.alive - {"x"}) == (7, frozenset({"n1"})), url
            lacks = await lacking([url, urls[-1]], "A", "s", kept=10, last=12)
            assert lacks == {"n1": 1}, url
