"""Goal: an answer whose bytes were ready is the answer that aiohttp would have put together.

Method: each request is sent twice on one plain connection, the second time as its last, which is
aiohttp's to answer.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from app.api import ready
from tests.support.service import Client, Service

OWN = {"date", "x-request-id", "connection", "etag", "guardian-position", "content-length"}
"""What differs between any two answers, or between two changes."""
PUT = b'{"content": {"a": 1}}'


async def ask(service: Service, sent: bytes, answers: int) -> list[tuple[int, dict[str, str]]]:
    """Status and headers of so many answers on one connection, which then ends."""
    parts = urlsplit(service.anonymous.base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(sent)
    found = []
    for _ in range(answers):
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        assert len(headers) == len(lines), "a header comes twice"
        await reader.readexactly(int(headers.get("content-length", 0)))
        found.append((int(first.split()[1]), headers))
    assert await reader.read() == b""
    writer.close()
    return found


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = {"Host": "x", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses of the answers that were ready."""
    statuses: list[int] = []
    make = ready.ReadyAnswers.make

    def noted(self: ready.ReadyAnswers, *given: object) -> ready.Ready:
        answer = make(self, *given)  # type: ignore[arg-type]
        statuses.append(answer.status)
        return answer

    monkeypatch.setattr(ready.ReadyAnswers, "make", noted)
    return statuses


REQUESTS: dict[str, tuple[str, str, dict[str, str], bytes, int | None]] = {
    "read": ("GET", "configs/k", {}, b"", 200),
    "known already": ("GET", "configs/k?consistency=stale", {"If-None-Match": '"1"'}, b"", None),
    "change": ("PUT", "configs/k", {"If-Match": "*"}, PUT, 200),
    "list": ("GET", "configs", {}, b"", 200),
    "not there": ("GET", "configs/absent", {}, b"", 404),
    "conflict": ("PUT", "configs/k", {"If-Match": '"77"'}, PUT, 409),
    "no route": ("GET", "nothing", {}, b"", 404),
    "another origin": ("GET", "configs", {"Origin": "https://elsewhere.example"}, b"", None),
}


@pytest.mark.parametrize(
    ("method", "path", "own", "body", "status"), REQUESTS.values(), ids=REQUESTS
)
async def test_what_was_ready_is_what_aiohttp_makes(
    service: Service,
    admin: Client,
    configs: str,
    made: list[int],
    method: str,
    path: str,
    own: dict[str, str],
    body: bytes,
    status: int | None,
) -> None:
    await admin("PUT", f"{configs}/k", json={"content": 1, "version": 0})
    path = configs.removesuffix("configs") + path
    headers = {**admin.headers, "Content-Type": "application/json", **own}
    made.clear()
    first = request(method, path, headers, body)
    last = request(method, path, {**headers, "Connection": "close"}, body)
    ours, theirs = await ask(service, first + last, 2)
    assert made == ([] if status is None else [status])
    assert ours[0] == theirs[0]
    assert theirs[1].pop("connection") == "close"
    assert ours[1].keys() == theirs[1].keys()
    for name in ours[1].keys() - OWN:
        assert ours[1][name] == theirs[1][name], name


async def test_an_answer_without_a_body_is_left_to_aiohttp(
    admin: Client, configs: str, made: list[int]
) -> None:
    assert (await admin("HEAD", f"{configs}/absent")).status == 404
    assert made == []


async def test_changes_that_come_together_are_answered_in_their_order(
    service: Service, admin: Client, configs: str
) -> None:
    """Bodies small and large, more of them than a connection keeps: reading stops and goes on."""
    headers = {**admin.headers, "Content-Type": "application/json", "If-Match": "*"}
    await admin("PUT", f"{configs}/k", json={"content": 1, "version": 0})
    sent = b""
    for number in range(40):
        content = b'"' + b"x" * (100_000 if number % 3 == 1 else 10) + b'"'
        last = {"Connection": "close"} if number == 39 else {}
        sent += request("PUT", f"{configs}/k", {**headers, **last}, b'{"content": %b}' % content)
    answers = await ask(service, sent, 40)
    assert [status for status, _ in answers] == [200] * 40
    assert [headers["etag"] for _, headers in answers] == [f'"{n}"' for n in range(2, 42)]
