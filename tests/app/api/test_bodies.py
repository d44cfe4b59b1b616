"""Goal: a body is what its headers say, or it is refused with the reason and changes nothing."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from urllib.parse import urlsplit

import orjson
import pytest

from app.api.content_coding import unpacked
from app.errors import BodyTooLarge
from tests.support.service import EMAIL, PASSWORD, Client, Service

PLAIN = orjson.dumps({"content": {"text": "a text that is long enough " * 20}, "version": 0})
GZIPPED = gzip.compress(PLAIN)
DEFLATED = zlib.compress(PLAIN)
TYPE = {"Content-Type": "application/json"}


def raw_deflate(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", GZIPPED),
        ("GZip", GZIPPED),
        ("deflate", DEFLATED),
        ("deflate", raw_deflate(PLAIN)),
        ("identity", PLAIN),
    ],
    ids=["gzip", "in capitals", "deflate", "deflate without its header", "identity"],
)
async def test_a_coded_body_is_unpacked(
    admin: Client, configs: str, coding: str, body: bytes
) -> None:
    headers = {**TYPE, "Content-Encoding": coding}
    answer = await admin("PUT", f"{configs}/a", data=body, headers=headers)
    assert answer.status == 201, answer.body
    assert answer.json["content"] == orjson.loads(PLAIN)["content"]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", PLAIN),
        ("gzip", b""),
        ("gzip", GZIPPED[: len(GZIPPED) // 2]),
        ("gzip", GZIPPED[:-8]),
        ("gzip", GZIPPED[:-8] + bytes(8)),
        ("gzip", GZIPPED + b"{}"),
        ("deflate", PLAIN),
        ("deflate", GZIPPED),
        ("deflate", DEFLATED[:-5]),
        ("deflate", DEFLATED[:-4] + bytes(4)),
    ],
    ids=[
        "not gzip",
        "nothing",
        "half",
        "without its checksum",
        "another checksum",
        "more behind it",
        "not deflate",
        "gzip for deflate",
        "deflate cut short",
        "another checksum of deflate",
    ],
)
async def test_a_body_that_is_not_what_its_coding_says_is_malformed(
    admin: Client, configs: str, coding: str, body: bytes
) -> None:
    headers = {**TYPE, "Content-Encoding": coding}
    answer = await admin("PUT", f"{configs}/a", data=body, headers=headers)
    assert (answer.status, answer.json["type"]) == (400, "/problems/malformed-request")
    assert (await admin("GET", f"{configs}/a")).status == 404


@pytest.mark.parametrize(
    ("coding", "body"), [("gzip", GZIPPED), ("deflate", DEFLATED)], ids=["gzip", "deflate"]
)
def test_as_much_is_unpacked_as_a_body_may_have(coding: str, body: bytes) -> None:
    assert unpacked(body, coding, len(PLAIN)) == PLAIN
    with pytest.raises(BodyTooLarge):
        unpacked(body, coding, len(PLAIN) - 1)


async def test_without_credentials_it_is_malformed_too(service: Service) -> None:
    """It was a 500 with a traceback in the log for each."""
    headers = {**TYPE, "Content-Encoding": "gzip"}
    answer = await service.anonymous("POST", "/v1/auth/login", data=b"{}", headers=headers)
    assert (answer.status, answer.json["type"]) == (400, "/problems/malformed-request")
    body = orjson.dumps({"email": EMAIL, "password": PASSWORD})
    packed = gzip.compress(body)
    right = await service.anonymous("POST", "/v1/auth/login", data=packed, headers=headers)
    assert right.status == 200


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "x-gzip", "gzip, gzip", "a\u00e9"])
async def test_a_coding_that_nobody_unpacks_is_refused_before_the_body_is_read(
    service: Service, admin: Client, configs: str, coding: str
) -> None:
    parts = urlsplit(service.anonymous.base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = [
        f"PUT {configs}/a HTTP/1.1",
        "Host: x",
        f"Authorization: {admin.headers['Authorization']}",
        "Content-Type: application/json",
        f"Content-Encoding: {coding}",
        "Content-Length: 100",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 415 ")
    assert b"Accept-Encoding: identity, gzip, deflate\r\n" in head
    writer.close()
    headers = {**TYPE, "Content-Encoding": coding}
    answer = await admin("PUT", f"{configs}/a", data=PLAIN, headers=headers)
    assert (answer.status, answer.json["accepted"]) == (415, ["identity", "gzip", "deflate"])
    assert (await admin("GET", f"{configs}/a")).status == 404


async def test_two_codings_in_two_headers_are_two(admin: Client, configs: str) -> None:
    headers = [*admin.headers.items(), *TYPE.items()]
    headers += [("Content-Encoding", "gzip"), ("Content-Encoding", "identity")]
    async with admin.session.put(
        f"{admin.base_url}{configs}/a", data=GZIPPED, headers=headers
    ) as answer:
        assert answer.status == 415
