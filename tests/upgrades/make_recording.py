"""Records what an old release wrote and answered: `python -m tests.upgrades.make_recording`.

Beside that release, just set up with the superuser of `tests.support.service` and a
`GUARDIAN_STREAM` of the recording's own name:

    BASE=http://127.0.0.1:8080 .venv/bin/python -m tests.upgrades.make_recording > DIR/answers.json
    ./guardian backup DIR/backup          # by the old release
    tar -C DIR -cJf tests/upgrades/recorded/NAME.tar.xz answers.json backup

Must never change a recording: what a release wrote is frozen.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.support.service import EMAIL, PASSWORD, Answer, Client

ODD = [
    *("1e2", "1.0", "-0.0", "9007199254740993", "-9223372036854775808", "1.7976931348623157e308"),
    *('"\\u00e9\\ud83d\\ude00\\u2028<b>\\u007f\\u0001"', '""', "null", "true", "[]", "{}"),
    '{"_type_":"uuid","__proto__":{"a":1},"":{"":[]},"b":1,"a":2,"10":3,"9":4,"a.b":{"~":"/"}}',
    "[" * 60 + "]" * 60,
]
LIMITS = {"type": "object", "properties": {"per_day": {"type": "integer"}}}
DRAFT_4 = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "number", "maximum": 5}


@dataclass
class Recorder:
    """Sends requests as one of several callers and writes down what was answered."""

    anonymous: Client
    callers: dict[str, dict[str, str]] = field(default_factory=dict)
    """By name: what identifies a caller. `email` and `password`, or `key`."""
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def client(self, caller: str) -> Client:
        found = self.callers[caller]
        if key := found.get("key"):
            return self.anonymous.with_headers(**{"X-API-Key": key})
        return await self.anonymous.sign_in(found["email"], found["password"])

    async def send(self, caller: Client, name: str, method: str, path: str, **sent: Any) -> Answer:
        """Send and write down; `sent` is `body` (text) or `json`, and `headers`."""
        body = sent.get("body")
        if "json" in sent:
            body = orjson.dumps(sent["json"]).decode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        headers |= sent.get("headers", {})
        answer = await caller(method, path, data=body, headers=headers)
        request = {"caller": name, "method": method, "path": path, "body": body, "headers": headers}
        told = {"status": answer.status, "answer": answer.body.decode()}
        self.requests.append(request | told | {"etag": answer.headers.get("ETag")})
        return answer


async def _fill(recorder: Recorder) -> list[str]:
    """Make data of every kind; the paths of the projects."""
    recorder.callers["admin"] = {"email": EMAIL, "password": PASSWORD}
    admin = await recorder.client("admin")

    async def made(path: str, **body: Any) -> Any:
        answer = await admin("POST", path, json=body)
        assert answer.status in (200, 201), answer.body
        return answer.json

    for name in ("ann", "bob", "zoe"):
        sign_in = {"email": f"{name}@example.org", "password": f"the password of {name}"}
        recorder.callers[name] = {**sign_in, "id": (await made("/v1/users", **sign_in))["id"]}
    shop, gone = [await made("/v1/projects", name=name) for name in ("Sh\u00f6p 'x'", "gone")]
    paths = [f"/v1/projects/{project['id']}" for project in (shop, gone)]
    for name, role in (("ann", "editor"), ("bob", "viewer")):
        member = f"{paths[0]}/roles/{recorder.callers[name]['id']}"
        assert (await admin("PUT", member, json={"role_level": role})).status in (200, 201)
    recorder.callers["application"] = {"key": shop["api_key"]}
    pipeline = await made(f"{paths[0]}/keys", name="pipeline", role_level="editor")
    recorder.callers["pipeline"] = {"key": pipeline["api_key"]}
    of_project = shop["id"]
    limits = await made("/v1/schemas", name="limits", schema=LIMITS, project_id=of_project)
    shared = await made("/v1/schemas", name="shared", schema=DRAFT_4)
    await _write(recorder, f"{paths[0]}", limits["id"], shared["id"])
    await admin("PUT", f"{paths[1]}/configs/a", json={"content": 1, "version": 0})
    assert (await admin("DELETE", paths[1])).status in (200, 204)
    user = f"/v1/users/{recorder.callers.pop('zoe')['id']}"
    assert (await admin("DELETE", user)).status in (200, 204)
    return paths


async def _write(recorder: Recorder, project: str, limits: str, shared: str) -> None:
    """Writes of every kind, each under a key, so that each may be sent again."""
    clients = {name: await recorder.client(name) for name in ("ann", "pipeline")}
    number = 0

    async def send(method: str, path: str, caller: str = "ann", **sent: Any) -> None:
        nonlocal number
        number += 1
        headers = {"Idempotency-Key": f"write-{number}", **sent.pop("headers", {})}
        path = f"{project}/{path}"
        await recorder.send(clients[caller], caller, method, path, headers=headers, **sent)

    async def put(key: str, content: Any, version: int, caller: str = "ann", **more: Any) -> None:
        body = {"content": content, "version": version, **more}
        await send("PUT", f"configs/{key}", caller, json=body)

    for place, text in enumerate(ODD):
        body = '{"version":0,"content":' + text + "}"
        await send("PUT", f"configs/odd.n{place}", body=body)
    assert recorder.requests[-1]["status"] == 201, recorder.requests[-1]
    await put("limits.eu", {"per_day": 1}, 0, schema_id=limits, comment="first \u2603 '\u0007'")
    await put("limits.eu", {"per_day": "x"}, 1)
    await put("limits.eu", {"per_day": 2}, 1)
    await put("limits.eu", {"per_day": 3}, 1)
    await put("by.key", [1], 0, "pipeline")
    await put("bound", 4, 0, schema_id=shared)
    await put("bound", 3, 1, schema_id=None)
    await asyncio.gather(*(put("race", [n], 0) for n in range(4)))
    await asyncio.gather(*(put(f"many.k{n}", {"n": n}, 0) for n in range(8)))
    await send("DELETE", "configs/many.k0", headers={"If-Match": '"1"'})
    await send("DELETE", "configs/many.k1", headers={"If-Match": '"1"'})
    await send("PUT", "configs/many.k1", json={"content": 2}, headers={"If-None-Match": "*"})
    add = '[{"op":"add","path":"/z","value":[1,2]}]'
    for kind, body in (("merge-patch", '{"n":null}'), ("json-patch", add)):
        patch = {"Content-Type": f"application/{kind}+json"}
        await send("PATCH", "configs/many.k2", body=body, headers=patch)
    changes = [
        {"op": "put", "key": "set.a", "content": {"v": 1}, "version": 0},
        {"op": "put", "key": "many.k3", "content": None, "version": 1},
        {"op": "delete", "key": "many.k4", "version": 1},
    ]
    await send("POST", "changes", json={"comment": "together", "changes": changes})
    together = orjson.loads(recorder.requests[-1]["answer"])["position"]
    await send("POST", "changes", json={"changes": changes})
    await put("new.later", 1, 0)
    back = {"If-Match": '"2"'}
    await send("POST", "configs/limits.eu/rollback", json={"to_version": 1}, headers=back)
    await send("POST", "rollback", json={"position": together, "comment": "all back"})
    await put("after.all", {"x": 1}, 0)


async def _read(recorder: Recorder, paths: list[str]) -> None:
    """Every address that shows what was written, each page of each list."""
    clients = {name: await recorder.client(name) for name in recorder.callers}

    async def get(path: str, name: str = "admin") -> Answer:
        return await recorder.send(clients[name], name, "GET", path)

    async def pages(path: str | None, name: str = "admin") -> list[Any]:
        items: list[Any] = []
        while path:
            answer = (await get(path, name)).json
            items += answer["items"]
            path = answer["next"]
        return items

    for name in ("admin", "ann", "bob"):
        await pages("/v1/projects", name)
    await pages("/v1/schemas")
    await get(paths[1])
    project = paths[0]
    for path in ("", "/roles", "/keys", "/audit/verify", '/configs?match={"n":5}'):
        await get(project + path)
    await pages(f"{project}/configs?limit=5", "application")
    feed = await pages(f"{project}/revisions?limit=20")
    for position in sorted({entry["position"] for entry in feed})[::7]:
        await pages(f"{project}/configs?position={position}&limit=500", "bob")
    for change in sorted({entry["change_id"] for entry in feed}):
        await get(f"/v1/changes/{change}")
    for key in sorted({entry["key"] for entry in feed}):
        config = f"{project}/configs/{key}"
        await get(config, "bob")
        await get(f"{config}/content", "application")
        for entry in await pages(f"{config}/revisions", "pipeline"):
            version = entry["version"]
            await get(f"{config}/revisions/{version}")
            if version > 1:
                await get(f"{config}/diff?from={version - 1}&to={version}")


async def record(base_url: str) -> dict[str, Any]:
    """Fill the service at that address, which must be new, and read all of it."""
    async with aiohttp.ClientSession() as session:
        recorder = Recorder(Client(session, base_url))
        paths = await _fill(recorder)
        writes, recorder.requests = recorder.requests, []
        await _read(recorder, paths)
    return {
        "project": paths[0],
        "callers": recorder.callers,
        "writes": writes,
        "reads": recorder.requests,
    }


if __name__ == "__main__":
    recording = asyncio.run(record(os.environ["BASE"]))
    sys.stdout.buffer.write(orjson.dumps(recording))
