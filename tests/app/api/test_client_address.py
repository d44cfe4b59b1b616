"""Who a caller is, and whether they speak TLS, where proxies stand between: what strangers write
into these headers is not believed."""

from __future__ import annotations

import ipaddress
from contextlib import AsyncExitStack
from dataclasses import replace
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

import pytest
from multidict import CIMultiDict

from app.api.client_address import client_address, is_https
from app.api.sessions import COOKIE
from app.services import SERVICES
from tests.support.service import EMAIL, PASSWORD, Service, run_web

PROXIES = (ipaddress.ip_network("127.0.0.1"),)


async def test_a_strangers_forwarded_address_is_not_believed(service: Service) -> None:
    wrong = {"email": EMAIL, "password": "wrong" * 3}
    answers = [
        await service.anonymous(
            "POST", "/v1/auth/login", json=wrong, headers={"X-Forwarded-For": f"192.0.2.{n}"}
        )
        for n in range(6)
    ]
    assert [answer.status for answer in answers] == [401] * 5 + [429]


@pytest.mark.parametrize("lines", [1, 2])
async def test_what_stands_left_of_a_proxys_own_address_is_not_believed(
    service: Service, lines: int
) -> None:
    """Whether the proxy appends to the line that it got, or writes one of its own behind it."""
    async with run_web(replace(service.settings, trusted_proxies=PROXIES)) as (_, url):
        statuses = []
        for n in range(6):
            hops = [f"192.0.2.{n}", "203.0.113.8"]
            headers = CIMultiDict(
                ("X-Forwarded-For", line) for line in (hops if lines == 2 else [", ".join(hops)])
            )
            async with service.anonymous.session.post(
                f"{url}/v1/auth/login",
                json={"email": EMAIL, "password": "wrong" * 3},
                headers=headers,
            ) as answer:
                statuses.append(answer.status)
    assert statuses == [401] * 5 + [429]


ADDRESSES: list[tuple[str | tuple[str, int], list[str], str]] = [
    (("198.51.100.1", 1), [], "198.51.100.1"),
    (("198.51.100.1", 1), ["192.0.2.1"], "198.51.100.1"),
    (("127.0.0.1", 1), [], "127.0.0.1"),
    (("127.0.0.1", 1), ["192.0.2.9, 203.0.113.8"], "203.0.113.8"),
    (("127.0.0.1", 1), ["192.0.2.9, 203.0.113.8, 127.0.0.1 "], "203.0.113.8"),
    (("127.0.0.1", 1), ["192.0.2.9, 203.0.113.8", "127.0.0.1"], "203.0.113.8"),
    # What our proxy could not name stands for nobody left of it.
    (("127.0.0.1", 1), ["192.0.2.9, unknown"], "127.0.0.1"),
    # A socket for both families calls IPv4 addresses so.
    (("::ffff:127.0.0.1", 1), ["::ffff:203.0.113.8"], "203.0.113.8"),
    (("2001:db8:1:2:3:4:5:6", 1), [], "2001:db8:1:2::/64"),
    (("2001:db8:1:2:8000::1", 1), [], "2001:db8:1:2::/64"),
    (("2001:db8:1:3::1", 1), [], "2001:db8:1:3::/64"),
    (("127.0.0.1", 1), ["2001:db8:1:2:3::4"], "2001:db8:1:2::/64"),
    ("", ["192.0.2.9"], "local"),
]


SETTINGS: Any = SimpleNamespace(trusted_proxies=PROXIES, speaks_tls=False)


def request_from(peer: str | tuple[str, int], name: str, lines: list[str]) -> Any:
    return SimpleNamespace(
        headers=CIMultiDict((name, line) for line in lines),
        app={SERVICES: SimpleNamespace(settings=SETTINGS)},
        transport=SimpleNamespace(get_extra_info={"peername": peer}.get),
        secure=False,
    )


@pytest.mark.parametrize(("peer", "lines", "expected"), ADDRESSES)
def test_who_is_counted(peer: str | tuple[str, int], lines: list[str], expected: str) -> None:
    assert client_address(request_from(peer, "X-Forwarded-For", lines)) == expected


@pytest.mark.parametrize(
    ("peer", "expected"), [(("127.0.0.1", 1), True), (("198.51.100.1", 1), False), ("", False)]
)
def test_who_did_not_come_by_a_proxy_of_ours_does_not_say_that_they_speak_tls(
    peer: str | tuple[str, int], expected: bool
) -> None:
    assert is_https(request_from(peer, "X-Forwarded-Proto", ["https"]), SETTINGS) is expected


FORWARDED: list[tuple[list[str], bool]] = [
    ([], False),
    (["HTTPS"], True),
    (["http"], False),
    (["http, https"], True),
    (["https, http"], False),
    (["http", "https"], True),
    (["https", "http"], False),
]


async def test_the_nearest_proxy_says_whether_the_client_speaks_tls(service: Service) -> None:
    """What a stranger wrote stands before that; and without a proxy of ours nobody says so."""
    body = {"email": EMAIL, "password": PASSWORD, "cookie": True}
    async with AsyncExitStack() as ended:
        behind = replace(service.settings, trusted_proxies=PROXIES)
        _, url = await ended.enter_async_context(run_web(behind))
        for base_url in (url, service.anonymous.base_url):
            for lines, secure in FORWARDED:
                headers = CIMultiDict(("X-Forwarded-Proto", line) for line in lines)
                login = f"{base_url}/v1/auth/login"
                async with service.anonymous.session.post(
                    login, json=body, headers=headers
                ) as answer:
                    morsel = SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]
                assert bool(morsel["secure"]) is (secure and base_url == url), lines
