"""Goal: what HTTP itself is refused for is bounded, and answered like every other refusal.

Method: bytes on a plain connection, as no client library would send them.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import pytest

from app.api.requests import BODY_TIMEOUT_S
from app.serve import MAX_ADDRESS_BYTES, MAX_HEADER_BYTES
from app.services import SERVICES
from tests.app.api.test_watch import put, watch_of
from tests.support.leaks import LogCollector
from tests.support.service import Client, Service
from tests.support.sse import watching
from tests.support.waiting import until


@pytest.mark.parametrize("letter", ["\u044f", "\U0001f600"], ids=["Cyrillic", "beyond the BMP"])
async def test_a_match_of_the_greatest_length_is_searched_for(
    admin: Client, configs: str, letter: str
) -> None:
    text = letter * (4000 - len('{"t":""}'))
    await put(admin, configs, "a", {"t": text})
    await put(admin, configs, "b", {"t": letter})
    match = '{"t":"' + text + '"}'
    found = await admin("GET", f"{configs}?match={quote(match)}&prefix=")
    assert found.status == 200, found.body
    assert [item["key"] for item in found.json["items"]] == ["a"]
    longer = await admin("GET", f"{configs}?match={quote(letter * 4001)}")
    assert (longer.status, longer.json["parameter"]) == (400, "match")


@pytest.mark.parametrize("comma", [",", "%2C"])
async def test_as_many_keys_as_there_may_be_are_watched(
    admin: Client, configs: str, comma: str
) -> None:
    keys = [f"{n:03}." + "k" * 196 for n in range(500)]
    path = f"{watch_of(configs)}?prefix={keys[-1]}&keys="
    async with watching(admin, path + comma.join(keys)) as stream:
        await put(admin, configs, keys[-1], 1)
        assert (await stream.next()).data["key"] == keys[-1]
    refused = await admin("GET", path + comma.join([*keys, "k"]))
    assert (refused.status, refused.json["parameter"]) == (400, "keys")


async def test_an_address_and_a_header_have_their_bounds(service: Service) -> None:
    base = "/v1/me?x="
    longest = base + "x" * (MAX_ADDRESS_BYTES - len(base))
    assert (await service.anonymous("GET", longest)).status == 401
    assert (await service.anonymous("GET", longest + "x")).status == 400
    headers = {"X-Long": "x" * (MAX_HEADER_BYTES - len("X-Long"))}
    assert (await service.anonymous("GET", "/healthz", headers=headers)).status == 200
    headers = {"X-Long": "x" * (MAX_HEADER_BYTES + 1)}
    assert (await service.anonymous("GET", "/healthz", headers=headers)).status == 400


SECRET = b"what nobody else may read"
HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = (
    b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n"
)


@dataclass
class Raw:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


async def ask(service: Service, sent: bytes) -> Raw:
    """All that is answered until the service closes the connection.

    A bare socket: a stream forgets what it received when the connection is reset, as it is where
    the service closes it before all was read.
    """
    loop, parts = asyncio.get_running_loop(), urlsplit(service.anonymous.base_url)
    received = b""
    with socket.socket() as connection, suppress(ConnectionResetError):
        connection.setblocking(False)
        await loop.sock_connect(connection, (parts.hostname, parts.port))
        await loop.sock_sendall(connection, sent)
        while piece := await loop.sock_recv(connection, 65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines), "a header comes twice"
    return Raw(int(first.split()[1]), headers, body)


def is_problem(answer: Raw, status: int, slug: str) -> None:
    """As the contract has it for every refusal."""
    assert (answer.status, answer.json["status"]) == (status, status)
    assert answer.json["type"] == f"/problems/{slug}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    names = {name.lower(): value for name, value in answer.headers.items()}
    assert names["x-request-id"] == answer.json["request_id"]
    assert names["server"] == "config-guardian"
    assert names["x-content-type-options"] == "nosniff"
    assert answer.json["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v1/me?"
        + SECRET.replace(b" ", b"+")
        + b"x" * MAX_ADDRESS_BYTES
        + b" HTTP/1.1\r\n\r\n",
        HEAD + b"X-API-Key: " + SECRET + b"x" * 20_000 + b"\r\n\r\n",
        HEAD + b"x" * 20_000 + b": " + SECRET + b"\r\n\r\n",
        HEAD + b"".join(b"X-%d: x\r\n" % n for n in range(500)) + b"\r\n",
        b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"FETCH / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /" + "\u00fc".encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + SECRET + b"\r\n\r\n",
        HEAD + b"X-API-Key: " + SECRET + b"\0\r\n\r\n",
        HEAD + b"Host: y\r\n\r\n",
        HEAD + b"Content-Length: many\r\n\r\n",
        CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        SECRET + b"\r\n\r\n",
    ],
    ids=[
        "an address too long",
        "a header too long",
        "a header's name too long",
        "too many headers",
        "no method",
        "an unknown method",
        "another version",
        "a path beyond ASCII",
        "no header",
        "a header with U+0000",
        "two hosts",
        "a length that is none",
        "a length and chunks",
        "no chunk",
        "TLS",
        "anything",
    ],
)
async def test_what_is_not_http_is_answered_with_a_problem_and_not_repeated(
    service: Service, logs: LogCollector, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    answer = await ask(service, sent)
    is_problem(answer, 400, "malformed-request")
    line = next(line for line in logs.lines if line.get("request_id") == answer.json["request_id"])
    assert (line["event"], line["status"], line["route"]) == ("request", 400, "none")
    for written in (answer.body.decode(), logs.stream.getvalue(), caplog.text):
        assert SECRET.decode() not in written
        assert "Traceback" not in written
    metrics = (await service.anonymous("GET", "/metrics")).body.decode()
    assert 'guardian_http_requests_total{method="other",route="none",status="400"} 1.0' in metrics


UPGRADE = HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
"""Which nobody takes here: the connection goes on as it is (RFC 9110 section 7.8)."""
WHOLE = b"\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (CHUNKED.replace(b"chunked", b"gzip, chunked") + WHOLE, "Transfer-Encoding"),
        (CHUNKED.replace(b"chunked", b"identity, chunked") + WHOLE, "Transfer-Encoding"),
        (HEAD + b"\r\n" + CHUNKED.replace(b"chunked", b"gzip, chunked") + WHOLE, "Transfer-Enc"),
        (UPGRADE + CHUNKED.replace(b"chunked", b"gzip, chunked") + WHOLE, "Transfer-Encoding"),
        (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + WHOLE, "Transfer-Encoding"),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/2.0") + b"\r\n", "HTTP/1.1"),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/0.9") + b"\r\n", "HTTP/1.1"),
    ],
    ids=[
        "gzip",
        "identity",
        "behind another",
        "behind an Upgrade",
        "HTTP/1.0",
        "HTTP/2.0",
        "HTTP/0.9",
    ],
)
async def test_what_would_be_read_as_something_else_is_refused(
    service: Service, sent: bytes, says: str
) -> None:
    answer = await ask(service, sent)
    if answer.status == 200:  # of the one before
        head, _, body = answer.body.partition(b"}HTTP/1.")[2].partition(b"\r\n\r\n")
        answer = Raw(int(head.split()[1]), {}, body)
    assert (answer.status, answer.json["type"]) == (400, "/problems/malformed-request")
    assert says in answer.json["detail"]


@pytest.mark.parametrize("before", [b"", HEAD + b"\r\n"], ids=["alone", "behind another"])
async def test_a_client_that_ends_its_sending_alone_is_answered(
    service: Service, before: bytes
) -> None:
    """`nc -N`, and whoever half-closes: the answer was lost where it took any time."""
    body = b'{"email": "nobody@example.org", "password": "a password of nobody"}'
    head = CHUNKED.replace(b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(body))
    parts = urlsplit(service.anonymous.base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(before + head + b"\r\n" + body)
    writer.write_eof()
    async with asyncio.timeout(BODY_TIMEOUT_S / 2):
        if before:
            received = await reader.readuntil(b"\r\n\r\n")
            assert received.startswith(b"HTTP/1.1 200 ")
            assert b"HTTP/1.1 401 " in await reader.readuntil(b"\r\n\r\n")
        else:
            assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_a_client_that_ends_its_sending_within_its_body_has_left(
    service: Service, logs: LogCollector
) -> None:
    reader, writer = await begin(service, CHUNKED + b"\r\n2\r\n{}\r\n")
    writer.write_eof()
    async with asyncio.timeout(BODY_TIMEOUT_S / 2):
        assert await reader.read() == b""
    writer.close()
    await until(lambda: any(line.get("route") == "/v1/auth/login" for line in logs.lines))


async def begin(service: Service, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with a request whose body is being waited for."""
    parts = urlsplit(service.anonymous.base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(sent)
    await until(lambda: service.app[SERVICES].metrics.in_flight == 1)
    return reader, writer


@pytest.mark.parametrize(
    "before",
    [b"", HEAD + b"\r\n", UPGRADE],
    ids=["alone", "behind another", "behind an Upgrade"],
)
async def test_a_chunk_that_is_none_in_a_later_packet_is_answered_at_once(
    service: Service, logs: LogCollector, before: bytes
) -> None:
    """The request waited for its body for 30 s, and was answered that it was too slow."""
    reader, writer = await begin(service, before + CHUNKED + b"\r\n2\r\n{}\r\n")
    writer.write(b"zz\r\n" + SECRET + b"\r\n0\r\n\r\n")
    async with asyncio.timeout(BODY_TIMEOUT_S / 2):
        answer = (await reader.read()).rpartition(b"HTTP/1.1 ")[2]
    writer.close()
    assert answer.startswith(b"400 ")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "/problems/malformed-request"
    assert SECRET.decode() not in logs.stream.getvalue()
    assert "Traceback" not in logs.stream.getvalue()


async def test_a_client_that_leaves_before_its_body_is_whole_is_no_fault_of_the_database(
    service: Service, logs: LogCollector
) -> None:
    _, writer = await begin(service, CHUNKED + b"\r\n2\r\n{}\r\n")
    writer.close()
    await until(lambda: any(line.get("route") == "/v1/auth/login" for line in logs.lines))
    assert "database_away" not in logs.stream.getvalue()


@pytest.mark.parametrize("path", ["/healthz", "/v1/nothing", "/v1/auth/login"])
async def test_an_expectation_that_is_not_met_is_a_problem(service: Service, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: mine-7\r\n"
    answer = await ask(service, head.encode() + b"Expect: foo\r\n\r\n")
    is_problem(answer, 417, "expectation-failed")
    assert answer.json["request_id"] == "mine-7"


async def test_an_expectation_to_go_on_is_met(service: Service) -> None:
    answer = await ask(service, HEAD + b"Connection: close\r\nExpect: 100-continue\r\n\r\n")
    assert answer.status == 100
    assert answer.body.startswith(b"HTTP/1.1 200 ")


async def test_a_bug_in_front_of_the_application_is_told_like_any_other(
    service: Service, admin: Client, logs: LogCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, key = await service.project(admin)
    await put(admin, f"{project}/configs", "a", 1)
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    assert (await application("GET", f"{project}/configs/a")).status == 200

    def broken(*_: object) -> None:
        raise ValueError(SECRET.decode())

    monkeypatch.setattr(service.app[SERVICES].caller_rate, "count", broken)
    found = await application("GET", f"{project}/configs/a")
    is_problem(Raw(found.status, dict(found.headers), found.body), 500, "internal-error")
    assert SECRET not in found.body
    line = next(line for line in logs.lines if line["event"] == "request_failed")
    assert line["request_id"] == found.json["request_id"]
