"""Goal: bytes that are no text are refused by name wherever they come; none becomes another text
or a 500."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from yarl import URL

from tests.support.service import Client


@pytest.mark.parametrize("sent", ["%FF", "caf%E9", "%ED%A0%80", "%C3%28"])
async def test_a_query_that_is_not_utf_8_is_refused(admin: Client, configs: str, sent: str) -> None:
    """A comment in Latin-1 was kept for ever with U+FFFD in it."""
    await admin("PUT", f"{configs}/a", json={"content": 1, "version": 0})
    for method, address in (
        ("DELETE", f"{configs}/a?comment={sent}"),
        ("GET", f'{configs}?match="{sent}"'),
        ("GET", f"/v1/users?email={sent}"),
    ):
        url = URL(admin.base_url + address, encoded=True)
        headers = {**admin.headers, "If-Match": '"1"'}
        async with admin.session.request(method, url, headers=headers) as answer:
            problem = await answer.json(content_type="application/problem+json")
        assert answer.status == 400
        name = address.partition("?")[2].partition("=")[0]
        assert (problem["parameter"], problem["detail"]) == (name, f"{name}: is not UTF-8")
    assert (await admin("GET", f"{configs}/a")).json["version"] == 1


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b'Content-Type: application/json; x="\xff"\r\nIf-Match: "1"', 200),
        (b'Content-Type: application/json\r\nIf-Match: "1", "\xff"', 200),
        (b'Content-Type: application/json\r\nIf-Match: "\xff"', 400),
    ],
)
async def test_a_header_of_any_bytes_is_part_of_what_an_idempotency_key_stands_for(
    admin: Client, configs: str, header: bytes, status: int
) -> None:
    await admin("PUT", f"{configs}/a", json={"content": 1, "version": 0})
    parts = urlsplit(admin.base_url)
    for _ in range(2):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        authorization = f"Authorization: {admin.headers['Authorization']}\r\n"
        writer.write(
            f"PUT {configs}/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}".encode()
            + header
            + b'\r\nIdempotency-Key: one\r\nContent-Length: 14\r\n\r\n{"content": 2}'
        )
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 %d" % status), answer
