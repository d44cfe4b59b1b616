"""Configs through the public door: optimistic locking, reads, and what bad input is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.service import Client, Service


async def test_a_put_is_read_back_and_listed_with_its_history(admin: Client, configs: str) -> None:
    content = {"limit": 10, "text": "Größe 🚀", "deep": {"a": [1, 2.5, None, True]}}
    created = await admin(
        "PUT",
        f"{configs}/payments.limits",
        json={"content": content, "comment": "first"},
        headers={"If-None-Match": "*"},
    )
    assert created.status == 201, created.body
    assert created.headers["ETag"] == '"1"'
    assert created.json["version"] == 1
    updated = await admin(
        "PUT",
        f"{configs}/payments.limits",
        json={"content": [1]},
        headers={"If-Match": '"1"'},
    )
    assert (updated.status, updated.json["version"]) == (200, 2)
    read = await admin("GET", f"{configs}/payments.limits")
    assert read.json["content"] == [1]
    assert read.json["updated_by_email"] == "admin@example.org"
    assert int(read.headers["Guardian-Position"]) >= int(updated.headers["Guardian-Position"])
    bare = await admin("GET", f"{configs}/payments.limits/content")
    assert bare.body == b"[1]"
    listed = await admin("GET", f"{configs}?prefix=payments.")
    assert [item["key"] for item in listed.json["items"]] == ["payments.limits"]
    history = await admin("GET", f"{configs}/payments.limits/revisions")
    assert [
        (item["version"], item["event"], item["comment"]) for item in history.json["items"]
    ] == [(2, "ConfigUpdated", None), (1, "ConfigCreated", "first")]


async def test_the_first_of_two_writers_wins_and_the_other_learns_the_version(
    admin: Client, configs: str
) -> None:
    path = f"{configs}/a"
    await admin("PUT", path, json={"content": 0}, headers={"If-None-Match": "*"})
    answers = await asyncio.gather(
        *(admin("PUT", path, json={"content": n}, headers={"If-Match": '"1"'}) for n in range(8))
    )
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    lost = next(answer for answer in answers if answer.status == 409)
    assert lost.json["type"] == "/problems/version-conflict"
    assert lost.json["current_version"] == 2
    won = next(answer for answer in answers if answer.status == 200)
    assert (await admin("GET", path)).json["content"] == won.json["content"]


async def test_a_deleted_config_is_gone_and_counts_on_when_it_is_set_again(
    admin: Client, configs: str
) -> None:
    path = f"{configs}/a"
    await admin("PUT", path, json={"content": 0, "version": 0})
    deleted = await admin("DELETE", path, headers={"If-Match": '"1"'})
    assert deleted.json == {"key": "a", "version": 2, "deleted": True}
    assert (await admin("GET", path)).status == 404
    assert (await admin("GET", configs)).json["items"] == []
    conflict = await admin("PUT", path, json={"content": 1, "version": 2})
    assert conflict.json["conflicts"][0]["deleted"] is True
    again = await admin("PUT", path, json={"content": 1, "version": 0})
    assert (again.status, again.json["version"]) == (201, 3)


async def test_a_list_is_paged_without_gaps(admin: Client, configs: str) -> None:
    keys = [f"k.{n:02}" for n in range(12)]
    for key in keys:
        await admin("PUT", f"{configs}/{key}", json={"content": key, "version": 0})
    seen: list[str] = []
    url: str | None = f"{configs}?limit=5"
    while url:
        answer = await admin("GET", url)
        seen += [item["key"] for item in answer.json["items"]]
        url = answer.json["next"]
    assert seen == keys


async def test_a_matching_etag_answers_304(admin: Client, configs: str) -> None:
    await admin("PUT", f"{configs}/a", json={"content": 0, "version": 0})
    answer = await admin("GET", f"{configs}/a", headers={"If-None-Match": '"1"'})
    assert (answer.status, answer.body) == (304, b"")


async def test_a_linearizable_read_sees_what_was_acknowledged(admin: Client, configs: str) -> None:
    await admin("PUT", f"{configs}/a", json={"content": 0, "version": 0})
    answer = await admin("GET", f"{configs}/a?consistency=linearizable")
    assert answer.json["version"] == 1


async def test_a_content_that_is_sent_escaped_is_as_large_as_it_is_stored(
    admin: Client, configs: str
) -> None:
    """As Python's json.dumps sends it: three bytes for each that is stored, six for ASCII."""
    path, text = f"{configs}/a", "\u0436" * 100_000
    assert len(json.dumps(text)) > 600_000
    schema = await admin("POST", "/v1/schemas", json={"name": "any", "schema": True})
    check = f"/v1/schemas/{schema.json['id']}/validate"
    as_json = {"Content-Type": "application/json"}
    as_merge = {"Content-Type": "application/merge-patch+json"}
    for method, place, body, headers in (
        ("PUT", path, {"content": {"t": text}, "version": 0}, as_json),
        ("PATCH", path, {"t": text + "!"}, as_merge),
        ("POST", check, {"content": text}, as_json),
    ):
        sent = json.dumps(body)
        answer = await admin(method, place, data=sent, headers=headers)
        assert answer.status in (200, 201), answer.body
        longer = sent.replace("\\u0436", "\\u0436" * 2)
        refused = await admin(method, place, data=longer, headers=headers)
        assert (refused.status, refused.json["limit_bytes"]) == (413, 262_144), refused.body
    assert (await admin("GET", path)).json["content"] == {"t": text + "!"}
    ascii_ = b'{"version": 0, "content": "' + b"\\u0041" * 262_142 + b'"}'
    made = await admin("PUT", f"{configs}/b", data=ascii_, headers=as_json)
    assert (made.status, made.json["content"]) == (201, "A" * 262_142)
    # What is not escaped counts as ever, and is refused before it is looked at.
    plain = b'{"version": 0, "content": [' + b"[]," * 200_000 + b"0]}"
    refused = await admin("PUT", f"{configs}/c", data=plain, headers=as_json)
    assert (refused.status, refused.json["limit_bytes"]) == (413, 262_144 + 64 * 1024)


BAD_BODIES: list[tuple[str, bytes, int, str, str]] = [
    ("broken", b'{"content": ', 400, "malformed-json", "line"),
    ("array", b"[1]", 400, "invalid-parameter", "parameter"),
    ("no content", b'{"version": 0}', 400, "invalid-parameter", "parameter"),
    (
        "unknown member",
        b'{"content": 1, "version": 0, "x": 1}',
        400,
        "invalid-parameter",
        "parameter",
    ),
    ("version as text", b'{"content": 1, "version": "0"}', 400, "invalid-parameter", "parameter"),
    ("version as bool", b'{"content": 1, "version": true}', 400, "invalid-parameter", "parameter"),
    ("NaN", b'{"version": 0, "content": {"a": NaN}}', 422, "not-i-json", "pointer"),
    (
        "duplicate name",
        b'{"version": 0, "content": {"a": 1, "a": 2}}',
        422,
        "not-i-json",
        "pointer",
    ),
    ("U+0000", b'{"version": 0, "content": {"a": "\\u0000"}}', 422, "not-i-json", "pointer"),
    ("surrogate", b'{"version": 0, "content": "\\ud800"}', 422, "not-i-json", "pointer"),
    (
        "20 digits",
        b'{"version": 0, "content": [12345678901234567890]}',
        422,
        "not-i-json",
        "pointer",
    ),
    ("1e999", b'{"version": 0, "content": 1e999}', 422, "not-i-json", "pointer"),
    (
        "deep",
        b'{"version": 0, "content": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        422,
        "not-i-json",
        "pointer",
    ),
    ("not UTF-8", b'{"version": 0, "content": "\xff"}', 400, "malformed-json", "column"),
    (
        "too large",
        b'{"version": 0, "content": "' + b"x" * 300_000 + b'"}',
        413,
        "content-too-large",
        "limit_bytes",
    ),
    ("far too large", b" " * 2_000_000, 413, "content-too-large", "limit_bytes"),
    ("empty", b"", 400, "malformed-json", "line"),
]


@pytest.mark.parametrize(
    ("body", "status", "slug", "place"),
    [case[1:] for case in BAD_BODIES],
    ids=[case[0] for case in BAD_BODIES],
)
async def test_a_bad_body_is_told_what_and_where_and_stores_nothing(
    service: Service, admin: Client, configs: str, body: bytes, status: int, slug: str, place: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await admin("PUT", f"{configs}/a", data=body, headers=headers)
    assert (answer.status, answer.json["type"]) == (status, f"/problems/{slug}")
    assert place in answer.json
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert (await admin("GET", f"{configs}/a")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status", "slug"),
    [
        ("PUT", "/a", {"json": {"content": 1}}, 428, "version-required"),
        ("PUT", "/a%20b", {"json": {"content": 1, "version": 0}}, 400, "invalid-key"),
        ("PUT", "/" + "k" * 201, {"json": {"content": 1, "version": 0}}, 400, "invalid-key"),
        ("PUT", "/a..b", {"json": {"content": 1, "version": 0}}, 400, "invalid-key"),
        ("PUT", "/%00", {"json": {"content": 1, "version": 0}}, 400, "invalid-key"),
        (
            "PUT",
            "/a",
            {"data": b"1", "headers": {"Content-Type": "text/plain"}},
            415,
            "unsupported-media-type",
        ),
        ("PUT", "/a", {"json": {"content": 1, "version": 3}}, 409, "version-conflict"),
        (
            "PUT",
            "/a",
            {"json": {"content": 1}, "headers": {"If-Match": "3"}},
            400,
            "invalid-parameter",
        ),
        (
            "PUT",
            "/a",
            {"json": {"content": 1}, "headers": {"If-Match": '"0"'}},
            400,
            "invalid-parameter",
        ),
        (
            "PUT",
            "/a",
            {"json": {"content": 1}, "headers": {"If-Match": "*"}},
            404,
            "config-not-found",
        ),
        (
            "PUT",
            "/a",
            {"json": {"content": 1, "version": 2}, "headers": {"If-None-Match": "*"}},
            400,
            "invalid-parameter",
        ),
        ("DELETE", "/a", {}, 428, "version-required"),
        ("DELETE", "/a", {"headers": {"If-Match": '"1"'}}, 404, "config-not-found"),
        ("DELETE", "/a", {"headers": {"If-None-Match": "*"}}, 400, "invalid-parameter"),
        ("GET", "/a", {}, 404, "config-not-found"),
        ("GET", "/a?surprise=1", {}, 400, "invalid-parameter"),
        ("GET", "/a?consistency=maybe", {}, 400, "invalid-parameter"),
        ("GET", "?limit=0", {}, 400, "invalid-parameter"),
        ("GET", "?limit=501", {}, 400, "invalid-parameter"),
        ("GET", "?cursor=!!", {}, 400, "invalid-parameter"),
        ("GET", "/a/revisions", {}, 404, "config-not-found"),
        ("POST", "/a", {}, 405, "method-not-allowed"),
    ],
)
async def test_a_bad_request_is_a_clear_problem(
    admin: Client, configs: str, method: str, path: str, kwargs: Any, status: int, slug: str
) -> None:
    answer = await admin(method, configs + path, **kwargs)
    assert (answer.status, answer.json["type"]) == (status, f"/problems/{slug}")


async def test_an_unknown_project_and_another_tenants_do_not_exist(
    service: Service, admin: Client, configs: str
) -> None:
    missing = await admin("GET", "/v1/projects/nothing/configs/a")
    assert (missing.status, missing.json["type"]) == (404, "/problems/not-found")
    _, other_key = await service.project(admin, "other")
    stranger = service.anonymous.with_headers(**{"X-API-Key": other_key})
    assert (await stranger("GET", configs)).status == 404


async def test_a_project_key_reads_and_does_not_change(service: Service, admin: Client) -> None:
    project, key = await service.project(admin)
    await admin("PUT", f"{project}/configs/a", json={"content": 7, "version": 0})
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    assert (await application("GET", f"{project}/configs/a")).json["content"] == 7
    refused = await application("PUT", f"{project}/configs/a", json={"content": 8, "version": 1})
    assert refused.status == 403
