"""Goal: every answer is safe to give, every request is bounded, and what is written down about
both names no secret.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import orjson
import pytest

from app.api import middleware, requests
from app.services import SERVICES
from tests.support.leaks import LogCollector
from tests.support.service import EMAIL, Client, Service, run_web

ORIGIN = "https://console.example.com"


async def test_every_answer_carries_the_security_headers(
    service: Service, admin: Client, configs: str
) -> None:
    await admin("PUT", f"{configs}/a", json={"content": 1, "version": 0})
    answers = [
        await admin("GET", f"{configs}/a"),
        await admin("GET", f"{configs}/a", headers={"If-None-Match": '"1"'}),
        await admin("GET", f"{configs}/b"),
        await service.anonymous("GET", f"{configs}/a"),
        await service.anonymous("GET", "/healthz"),
        await service.anonymous("GET", "/metrics"),
        await service.anonymous("GET", "/"),
        await service.anonymous("GET", "/v1/nothing"),
        await service.anonymous("DELETE", "/healthz"),
    ]
    assert [answer.status for answer in answers] == [200, 304, 404, 401, 200, 200, 200, 404, 405]
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"]
        assert answer.headers["X-Request-Id"]
        assert answer.headers["Server"] == "config-guardian"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Strict-Transport-Security" not in answer.headers


async def test_other_origins_may_call_only_where_a_setting_names_them(service: Service) -> None:
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    off = await service.anonymous("OPTIONS", "/v1/me", headers=preflight)
    assert off.status == 405
    assert "Access-Control-Allow-Origin" not in off.headers
    async with run_web(replace(service.settings, cors_origins=(ORIGIN,))) as (_, url):
        client = replace(service.anonymous, base_url=url)
        asked = await client("OPTIONS", "/v1/me", headers=preflight)
        assert (asked.status, asked.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
        assert "Access-Control-Allow-Credentials" not in asked.headers
        other = {**preflight, "Origin": "https://evil.example"}
        assert (await client("OPTIONS", "/v1/me", headers=other)).status == 405
        told = await client("GET", "/v1/me", headers={"Origin": ORIGIN})
        assert (told.status, told.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)
        refused = await client("GET", "/v1/me", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in refused.headers


async def test_behind_tls_the_answer_says_to_stay_there(service: Service) -> None:
    async with run_web(replace(service.settings, public_url="https://cg.example.com")) as (_, url):
        answer = await replace(service.anonymous, base_url=url)("GET", "/healthz")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


async def test_a_body_that_does_not_come_is_not_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_TIMEOUT_S", 0.1)
    parts = urlsplit(service.anonymous.base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_handler_that_does_not_end_is_ended(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "HANDLER_TIMEOUT_S", 0.1)
    answer = await admin(
        "GET", f"{configs}?timeout=30", headers={"Guardian-Min-Position": "999999999"}
    )
    assert (answer.status, answer.json["type"]) == (503, "/problems/unavailable")
    assert "too long" in answer.json["detail"]


@pytest.mark.parametrize(
    ("charset", "status"), [("Utf-8", 400), ("UTF-8", 400), ('"utf-8"', 400), ("latin1", 415)]
)
async def test_the_name_of_a_charset_is_taken_in_any_case(
    service: Service, charset: str, status: int
) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    answer = await service.anonymous("POST", "/v1/auth/login", data=b"{}", headers=headers)
    assert answer.status == status, answer.body


async def test_headers_are_bounded(service: Service) -> None:
    answer = await service.anonymous("GET", "/healthz", headers={"X-Long": "x" * 20_000})
    assert answer.status == 400
    many = {f"X-{n}": "x" for n in range(500)}
    assert (await service.anonymous("GET", "/healthz", headers=many)).status == 400


async def test_each_request_is_one_line_with_ids_and_the_pattern_of_its_route(
    service: Service, admin: Client, configs: str, logs: LogCollector
) -> None:
    secret = "a comment that nobody else may read"
    await admin(
        "PUT",
        f"{configs}/a.secret.key?dry_run=false&x={secret}",
        json={"content": secret},
        headers={"X-Request-Id": "request-7"},
    )
    line = next(line for line in logs.lines if line.get("request_id") == "request-7")
    user_id = (await admin("GET", "/v1/me")).json["id"]
    assert line.pop("ms") >= 0
    assert line.pop("timestamp")
    assert line == {
        "event": "request",
        "level": "info",
        "method": "PUT",
        "route": "/v1/projects/{project}/configs/{key}",
        "status": 400,
        "request_id": "request-7",
        "user_id": user_id,
        "project": configs.split("/")[3],
    }
    assert secret not in logs.stream.getvalue()


@pytest.mark.parametrize(
    "given", ['x", "level": "error', "a b", "x" * 65, "", "ümlaut", "line\\nbreak"]
)
async def test_a_request_id_that_is_not_sane_is_replaced(service: Service, given: str) -> None:
    answer = await service.anonymous("GET", "/healthz", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] != given


async def test_a_log_line_cannot_be_forged(
    service: Service, admin: Client, logs: LogCollector
) -> None:
    """Line breaks and quotes in whatever a caller chooses: each event stays one JSON object."""
    forged = '\n{"event": "signed_in", "user_id": "root"}\n'
    await service.anonymous("GET", "/v1/projects/" + "%0a%22%7b" * 3 + "/configs")
    await service.anonymous("POST", "/v1/auth/login", json={"email": forged, "password": forged})
    await admin("POST", "/v1/projects", json={"name": forged})
    assert "signed_in" not in {line["event"] for line in logs.lines}


async def test_a_bug_is_told_by_its_request_id_and_logged_without_what_it_held(
    service: Service, admin: Client, logs: LogCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "what the exception was about"

    def broken(*_: object) -> None:
        raise ValueError(secret)

    monkeypatch.setattr(service.app[SERVICES].directory, "role_in", broken)
    answer = await admin("GET", "/v1/projects/x")
    assert (answer.status, answer.json["type"]) == (500, "/problems/internal-error")
    assert secret.encode() not in answer.body
    line = next(line for line in logs.lines if line["event"] == "request_failed")
    assert line["request_id"] == answer.json["request_id"]
    assert "builtins.ValueError" in line["exception"]
    assert any("in project_access" in frame for frame in line["exception"])
    assert secret not in logs.stream.getvalue()


async def test_the_metrics_tell_routes_outcomes_and_dependencies_and_no_ids(
    service: Service, admin: Client, configs: str
) -> None:
    await admin("PUT", f"{configs}/a.secret", json={"content": 1, "version": 0})
    await admin("GET", f"{configs}/a.secret?consistency=linearizable")
    await service.anonymous("GET", "/v1/projects/whatever/configs/x")
    await service.anonymous("PROPFIND", "/somewhere/else")
    text = (await service.anonymous("GET", "/metrics")).body.decode()
    route = 'route="/v1/projects/{project}/configs/{key}"'
    assert f'guardian_http_requests_total{{method="PUT",{route},status="201"}} 1.0' in text
    assert f'guardian_http_requests_total{{method="GET",{route},status="401"}} 1.0' in text
    assert 'guardian_http_requests_total{method="other",route="none",status="404"} 1.0' in text
    for dependency in ('"log",operation="append"', '"log",operation="barrier"', '"database"'):
        assert f"guardian_dependency_seconds_count{{dependency={dependency}" in text
    assert "guardian_read_model_position" in text
    for hidden in (configs.split("/")[3], "a.secret", "whatever", "somewhere", EMAIL):
        assert hidden not in text


def test_every_collector_finds_what_leaks() -> None:
    """The watchman is watched: a leak in the log is a leak that is found."""
    collector = LogCollector()
    collector.note({"content": {"deep": ["a content of ours"]}, "password": 'with "quotes" in it'})
    collector.stream.write(orjson.dumps({"event": 'with "quotes" in it'}).decode() + "\n")
    assert collector.leaks() == ['with "quotes" in it']
    collector.stream.write("… a content of ours …")
    assert len(collector.leaks()) == 2
