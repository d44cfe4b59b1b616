"""The page's addresses: the document with a fresh nonce, its files, and nothing beside them."""

from __future__ import annotations

import re

from tests.support.service import Service


async def test_every_address_that_is_not_the_apis_answers_with_the_page(service: Service) -> None:
    first = await service.anonymous("GET", "/")
    second = await service.anonymous("GET", "/projects/x/configs/payments.limits?version=3")
    for answer in (first, second):
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert b"__CSP_NONCE__" not in answer.body
        limit = service.settings.max_content_bytes
        assert f'<meta name="max-content-bytes" content="{limit}" />' in answer.body.decode()
    nonces = [
        re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        for answer in (first, second)
    ]
    assert nonces[0]
    assert nonces[1]
    assert nonces[0][1] != nonces[1][1]
    assert "'unsafe" not in first.headers["Content-Security-Policy"]


async def test_the_apis_addresses_stay_problems(service: Service) -> None:
    # A page with 200 would be taken for the config by who put an address together wrongly.
    mistaken = ("//v1/projects", "/V1/projects", "/v1", "/healthz/", "/v1/projects/")
    for path in ("/v1/nothing", "/assets/nothing.js", "/assets/..%2Findex.html", *mistaken):
        answer = await service.anonymous("GET", path)
        assert answer.status == 404, path
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await service.anonymous("POST", "/anything")).status == 404
