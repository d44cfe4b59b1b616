"""A client of event streams, by the letter of WHATWG HTML section 9.2, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.support.service import Client


@dataclass(frozen=True)
class Event:
    """A dispatched event."""

    type: str
    data: Any
    last_event_id: str


@dataclass
class Reader:
    """Takes the lines of a stream; an id counts from the blank line behind it."""

    last_event_id: str = ""
    comments: list[str] = field(default_factory=list)
    _fields: dict[str, str] = field(default_factory=dict)
    _id: str | None = None

    def line(self, text: str) -> Event | None:
        """One line without its end; the event that it dispatches."""
        if text.startswith(":"):
            self.comments.append(text[1:].strip())
        elif text:
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                self._id = value
            elif name == "data" and "data" in self._fields:
                self._fields["data"] += "\n" + value
            else:
                self._fields[name] = value
        else:
            fields, self._fields = self._fields, {}
            self.last_event_id = self._id or ""
            if "data" in fields:
                data = orjson.loads(fields["data"])
                return Event(fields.get("event", "message"), data, self.last_event_id)
        return None


@dataclass
class Stream(Reader):
    """One connection; iterate over its events. Ends when the server does."""

    response: aiohttp.ClientResponse = field(kw_only=True)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events()

    async def next(self) -> Event:
        """The next event; raises StopAsyncIteration at the end."""
        async for event in self._events():
            return event
        raise StopAsyncIteration

    async def take(self, count: int) -> list[Event]:
        """The next `count` events."""
        return [await self.next() for _ in range(count)]

    async def _events(self) -> AsyncIterator[Event]:
        self._id = self._id or self.last_event_id
        while line := await self.response.content.readline():
            if not line.endswith(b"\n"):
                return
            text = line.decode().rstrip("\r\n")
            if event := self.line(text):
                yield event


@asynccontextmanager
async def watching(
    client: Client, path: str, last_event_id: str | None = None, **kwargs: Any
) -> AsyncIterator[Stream]:
    """An open stream of a watch."""
    headers = {**client.headers, "Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
    async with client.session.get(
        client.base_url + path, headers=headers, timeout=timeout, **kwargs
    ) as response:
        assert response.status == 200, await response.read()
        assert response.content_type == "text/event-stream"
        yield Stream(last_event_id or "", response=response)
