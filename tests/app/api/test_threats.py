"""What strangers and tenants try. docs/SECURITY.md names the test of each line of its table."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hmac
import zlib
from datetime import UTC, datetime
from typing import Any

import asyncpg
import jwt
import orjson
import pytest
from aiohttp import web

from app.access.api_keys import generate_api_key
from app.access.tokens import AUDIENCE, ISSUER, TOKEN_TYPE
from app.api.openapi import OPERATIONS
from app.api.openapi.model import Operation
from app.project_deletions import ProjectDeletions
from app.services import SERVICES
from tests.support.service import Client, Service, run_web

INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    '" OR ""="',
    "\\'; SELECT pg_sleep(9); --",
    "$1",
    "%' UNION SELECT password_hash FROM users --",
)


def _claims(service: Service, user_id: str, session_id: str) -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user_id,
        "sid": session_id,
        "pwd": 1,
        "jti": "forged",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }


def _signed(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """A JWT as a forger makes it, by hand: the library refuses to."""
    parts = [base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (header, claims)]
    digest = {"HS512": "sha512"}.get(header["alg"], "sha256")
    signature = hmac.digest(secret, b".".join(parts), digest)
    parts.append(base64.urlsafe_b64encode(signature).rstrip(b"="))
    return b".".join(parts).decode()


async def test_a_forged_token_is_no_token(service: Service, admin: Client) -> None:
    """`alg: none`, another algorithm, key, key id, type, issuer or audience; no key at all."""
    key = service.app[SERVICES].ring.signing_key
    real = admin.headers["Authorization"].removeprefix("Bearer ")
    payload = jwt.decode(real, options={"verify_signature": False})
    good = {"kid": key.key_id, "typ": TOKEN_TYPE}
    claims = _claims(service, payload["sub"], payload["sid"])
    signed = _signed({"alg": "HS256", **good}, claims, key.secret)
    head, body, signature = signed.split(".")

    def forged(secret: bytes = key.secret, algorithm: str = "HS256", **more: Any) -> str:
        headers = {"alg": algorithm, **good, **more.pop("headers", {})}
        return _signed(headers, {**claims, **more}, secret)

    none = forged(algorithm="none").rpartition(".")[0] + "."
    tokens = {
        "alg none": none,
        "alg none, old signature": none + signature,
        "no signature": f"{head}.{body}.",
        "HS512": forged(algorithm="HS512"),
        "another secret": forged(secret=b"x" * 48),
        "an empty secret": forged(secret=b""),
        "the key id as the secret": forged(secret=key.key_id.encode()),
        "another kid": forged(headers={"kid": "other"}),
        "a path as the kid": forged(headers={"kid": "../../dev/null"}),
        "no kid": _signed({"alg": "HS256", "typ": TOKEN_TYPE}, claims, key.secret),
        "a plain JWT": forged(headers={"typ": "JWT"}),
        "another audience": forged(aud="another-service"),
        "two audiences": forged(aud=[AUDIENCE, "another"]),
        "another issuer": forged(iss="somebody"),
        "another session": forged(sid="00000000-0000-7000-8000-000000000000"),
        "an older password": forged(pwd=0),
        "for ever": forged(exp=2**60),
        "a payload of its own": f"{head}.{body[:-4]}AAAA.{signature}",
    }
    for what, token in tokens.items():
        client = admin.with_headers(Authorization=f"Bearer {token}")
        assert (await client("GET", "/v1/me")).status == 401, what
    # The test can tell: with everything right the same claims are let in.
    client = admin.with_headers(Authorization=f"Bearer {signed}")
    assert (await client("GET", "/v1/me")).status == 200


async def test_a_guessed_key_is_refused_and_a_mistyped_one_costs_no_query(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, key = await service.project(admin)
    # A process that asks nothing by itself: this looks for work when it starts, in its own time.
    monkeypatch.setattr(ProjectDeletions, "run", lambda _: asyncio.sleep(3600))
    async with run_web(service.settings) as (app, url):
        queries = _queries(app)
        for guess in (key[:-1] + ("0" if key[-1] != "0" else "1"), key + "x", "cg_", "x" * 53, "'"):
            client = Client(admin.session, url, {"X-API-Key": guess})
            assert (await client("GET", project)).status == 401
        assert _queries(app) == queries
        client = Client(admin.session, url, {"X-API-Key": generate_api_key().plain})
        assert (await client("GET", project)).status == 401
        assert _queries(app) > queries


def _queries(app: web.Application) -> float:
    """How often the database was asked."""
    registry = app[SERVICES].metrics.registry
    labels = {"dependency": "database", "operation": "query", "outcome": "ok"}
    return registry.get_sample_value("guardian_dependency_seconds_count", labels) or 0.0


async def test_two_credentials_at_once_are_refused(service: Service, admin: Client) -> None:
    _, key = await service.project(admin)
    both = admin.with_headers(**admin.headers, **{"X-API-Key": key})
    assert (await both("GET", "/v1/me")).status == 401


BOMBS = {
    "deep arrays": b'{"content": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"content": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    "many members": b'{"content": {' + b",".join(b'"%d":0' % n for n in range(60_000)) + b"}}",
    "a long number": b'{"content": ' + b"9" * 200_000 + b"}",
    "a long exponent": b'{"content": 1e' + b"9" * 200_000 + b"}",
    "the same name": b'{"content": {' + b",".join([b'"a":0'] * 40_000) + b"}}",
    "escapes": b'{"content": "' + b"\\u0000" * 40_000 + b'"}',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_a_json_bomb_is_refused_and_others_go_on(
    admin: Client, configs: str, bomb: bytes
) -> None:
    headers = {"Content-Type": "application/json", "If-None-Match": "*"}
    async with asyncio.timeout(20):
        thrown, other = await asyncio.gather(
            admin("PUT", f"{configs}/a", data=bomb, headers=headers), admin("GET", "/v1/me")
        )
    assert thrown.status in (201, 400, 413, 422)
    assert other.status == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_is_measured_unpacked(
    admin: Client, configs: str, encoding: str
) -> None:
    plain = b'{"content": "' + b"x" * 50_000_000 + b'"}'
    packed = gzip.compress(plain) if encoding == "gzip" else zlib.compress(plain)
    assert len(packed) < 100_000
    answer = await admin(
        "PUT",
        f"{configs}/a",
        data=packed,
        headers={
            "Content-Type": "application/json",
            "Content-Encoding": encoding,
            "If-None-Match": "*",
        },
    )
    assert answer.status == 413


async def test_sql_in_any_text_is_text(service: Service, admin: Client, configs: str) -> None:
    """Every path and query parameter and every text member of every body, from the document."""
    ids = {"project": configs.split("/")[3], "key": "a", "version": "1", "slug": "x", "name": "x"}
    ids |= {"user": "x", "schema": "x", "id": "x"}
    for operation in OPERATIONS:
        for path, query, body in _injected(operation, ids):
            answer = await admin(operation.method, path, params=query, json=body)
            where = f"{operation.method} {operation.path} {query} {body}"
            assert answer.status < 500, where
            assert b"$argon2" not in answer.body, where
    connection = await asyncpg.connect(service.settings.require_database_url())
    try:
        assert await connection.fetchval("SELECT count(*) FROM users") >= 1
    finally:
        await connection.close()
    # What was stored of it is the text itself.
    named = [p["name"] for p in (await admin("GET", "/v1/projects?limit=500")).json["items"]]
    assert "'; DROP TABLE users; --" in named


def _injected(operation: Operation, ids: dict[str, str]) -> list[tuple[str, Any, Any]]:
    """Requests with one injection each: the path, the query, the body."""
    requests: list[tuple[str, Any, Any]] = []
    if operation.path.startswith("/v1/auth") or operation.path.endswith(("/watch", "/password")):
        return requests  # throttled, endless, or the session's end
    path = operation.path
    for name, value in ids.items():
        path = path.replace("{" + name + "}", value)
    for text in INJECTIONS:
        quoted = text.replace("%", "%25").replace("/", "%2F").replace(" ", "%20")
        for name in ids:
            if "{" + name + "}" in operation.path:
                filled = operation.path.replace("{" + name + "}", quoted.replace("?", "%3F"))
                for other, value in ids.items():
                    filled = filled.replace("{" + other + "}", value)
                requests.append((filled, None, None))
        requests.extend(
            (path, {parameter.name: text}, None)
            for parameter in operation.parameters
            if parameter.where == "query"
        )
        if operation.body and (shape := operation.body.content.get("application/json")):
            members = shape.get("properties", {})
            requests.append((path, None, dict.fromkeys(members, text)))
            requests.extend((path, None, {name: text}) for name in members)
    return requests


@pytest.mark.parametrize(
    "key",
    [
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e",
        "..;",
        "a%2Fb",
        "a%5Cb",
        "a%00.json",
        "a%0a",
        "a..b",
        ".a",
        "a.",
        "a%20",
        "%C0%AE",
        "%EF%BC%8E%EF%BC%8E",
        "a%3Fversion=1",
        "%61%252e",
        "x" * 201,
        "é",
    ],
)
async def test_a_trick_in_a_key_reaches_nothing(admin: Client, configs: str, key: str) -> None:
    from yarl import URL

    url = URL(f"{admin.base_url}{configs}/{key}", encoded=True)
    for method in ("GET", "PUT", "DELETE"):
        body = {"content": 1, "version": 0} if method == "PUT" else None
        headers = {**admin.headers, "Accept": "application/json"}
        async with admin.session.request(method, url, json=body, headers=headers) as answer:
            assert answer.status in (400, 404, 405), f"{method} {key}: {answer.status}"
    assert (await admin("GET", configs)).json["items"] == []


async def test_members_that_are_not_the_callers_to_set_are_refused(
    service: Service, admin: Client, configs: str
) -> None:
    """Mass assignment: what a body may hold is a list, and nothing beside it is looked at."""
    ids = {"project": configs.split("/")[3], "key": "a", "user": "x", "id": "x"}
    schema = await admin("POST", "/v1/schemas", json={"name": "s", "schema": {}})
    ids["schema"] = schema.json["id"]
    asked = 0
    for operation in OPERATIONS:
        shape = operation.body and operation.body.content.get("application/json")
        if not shape or shape.get("additionalProperties") is not False:
            continue
        path = operation.path
        for name, value in ids.items():
            path = path.replace("{" + name + "}", value)
        for extra in ("id", "is_admin", "owner_user_id", "key_hash", "password_generation"):
            assert extra not in shape["properties"]
            answer = await admin(operation.method, path, json={extra: "x"})
            assert (answer.status, answer.json["parameter"]) == (400, extra), operation.path
            asked += 1
    assert asked > 50


async def test_nobody_raises_themselves(service: Service, admin: Client) -> None:
    body = {"email": "ann@example.org", "password": "a password of ann"}
    user = (await admin("POST", "/v1/users", json=body)).json["id"]
    ann = await service.anonymous.sign_in(body["email"], body["password"])
    raised = await ann("PATCH", f"/v1/users/{user}", json={"is_superuser": True})
    assert raised.status == 403
    project, _ = await service.project(admin)
    await admin("PUT", f"{project}/roles/{user}", json={"role_level": "editor"})
    raised = await ann("PUT", f"{project}/roles/{user}", json={"role_level": "admin"})
    assert raised.status == 403
    made = await ann("POST", f"{project}/keys", json={"name": "x", "role_level": "editor"})
    assert made.status == 403


async def test_a_page_of_another_tenant_cannot_be_asked_for_by_a_made_up_cursor(
    service: Service, admin: Client
) -> None:
    project, key = await service.project(admin)
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    values: list[Any] = ["", "'", None, 0, -1, 2**63, [], {}, "a\0b", ["x", "y"], True, 1e308]
    for value in values:
        cursor = base64.urlsafe_b64encode(orjson.dumps(value))
        for path in ("/configs", "/revisions", "/configs/a/revisions"):
            answer = await application(
                "GET", f"{project}{path}", params={"cursor": cursor.decode()}
            )
            assert answer.status in (200, 400, 404), f"{path} {value}: {answer.body!r}"
