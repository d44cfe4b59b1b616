"""Goal: a refusal says what is wrong, where, and what would be right, in words of this API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.service import Client, Service


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "detail"),
    [
        ("GET", "/v1/nothing", {}, 404, "nothing is at this address; /docs lists what there is"),
        ("GET", "/v1/projects/", {}, 404, "nothing is at this address; /docs lists what there is"),
        ("POST", "/healthz", {}, 405, "POST is not taken here; GET, HEAD are"),
        (
            "PUT",
            "{configs}/a",
            {"data": b"{}", "headers": {"Content-Type": "application/json; charset=latin-1"}},
            415,
            (
                "Content-Type 'application/json; charset=latin-1'; this route takes"
                " application/json in UTF-8"
            ),
        ),
        (
            "PATCH",
            "{configs}/a",
            {"data": b"{}", "headers": {"Content-Type": ""}},
            415,
            (
                "no Content-Type; this route takes application/merge-patch+json or"
                " application/json-patch+json in UTF-8"
            ),
        ),
        (
            "DELETE",
            "{configs}/a",
            {},
            428,
            'send If-Match: "<version>", or If-Match: * for whatever is there',
        ),
        (
            "POST",
            "{configs}/a/rollback",
            {"json": {"to_version": 1}},
            428,
            (
                'send If-Match: "<version>", or If-Match: * for whatever is there, or'
                ' "version" in the body'
            ),
        ),
        (
            "PUT",
            "{configs}/gone",
            {"json": {"content": 2, "version": 2}},
            409,
            "config 'gone' was deleted at version 2; version 0 creates it anew",
        ),
        ("GET", "{project}/revisions?user=", {}, 400, "user: must have 1 to 100 characters"),
    ],
)
async def test_a_refusal_says_what_would_be_right(
    admin: Client,
    configs: str,
    method: str,
    path: str,
    sent: dict[str, Any],
    status: int,
    detail: str,
) -> None:
    for key in ("a", "gone"):
        await admin("PUT", f"{configs}/{key}", json={"content": 1, "version": 0})
    await admin("DELETE", f"{configs}/gone", headers={"If-Match": '"1"'})
    project = configs.removesuffix("/configs")
    answer = await admin(method, path.format(configs=configs, project=project), **sent)
    assert (answer.status, answer.json["detail"]) == (status, detail)


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8", "us-ascii"])
async def test_every_name_of_a_charset_that_is_utf_8_is_taken(
    admin: Client, configs: str, charset: str
) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}", "If-None-Match": "*"}
    answer = await admin("PUT", f"{configs}/a", data=b'{"content": 1}', headers=headers)
    assert answer.status == 201


async def test_who_may_not_is_told_who_may(service: Service, admin: Client) -> None:
    project, key = await service.project(admin)
    shared = await admin("POST", "/v1/schemas", json={"name": "any", "schema": True})
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    body = {"name": "ci", "role_level": "editor", "prefix": "web."}
    made = await admin("POST", f"{project}/keys", json=body)
    narrow = service.anonymous.with_headers(**{"X-API-Key": made.json["api_key"]})
    ann = await service.user(admin, "ann")
    schema = f"/v1/schemas/{shared.json['id']}"
    for refused, detail in (
        (
            await application("GET", "/v1/projects"),
            "this needs a signed-in user; a key is not enough",
        ),
        (await ann("GET", "/v1/users"), "this needs a superuser"),
        (
            await ann("PUT", schema, json={"schema": False}),
            "this needs who made the schema, or a superuser",
        ),
        (
            await application("PATCH", project, json={"name": "x"}),
            "this needs the role admin or higher",
        ),
        (
            await narrow("GET", f"{project}/audit/verify"),
            "the chain runs through all configs: a key with a prefix may not see it",
        ),
    ):
        assert (refused.status, refused.json["detail"]) == (403, detail)


async def test_a_key_of_a_change_set_is_told_with_its_place_and_bound(
    admin: Client, configs: str
) -> None:
    change = {"op": "put", "key": "", "version": 0, "content": 1}
    path = configs.removesuffix("configs") + "changes"
    refused = await admin("POST", path, json={"changes": [change]})
    assert refused.json["detail"] == "changes.0.key: must have 1 to 200 characters"
