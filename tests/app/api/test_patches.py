"""PATCH through the public door: both formats, what is refused, and patches that race."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.services import SERVICES
from tests.support.service import Answer, Client, Service, run_web

MERGE = "application/merge-patch+json"
STEPS = "application/json-patch+json"


async def patch(admin: Client, path: str, kind: str, body: Any, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await admin("PATCH", path, data=data, headers={"Content-Type": kind, **named})


async def test_both_patches_change_a_part_and_keep_the_rest(admin: Client, configs: str) -> None:
    path = f"{configs}/a"
    content = {"limit": 1, "names": ["x", "y"], "deep": {"keep": True, "drop": 1}}
    await admin("PUT", path, json={"content": content, "version": 0})
    merged = await patch(admin, path, MERGE, {"limit": 2, "deep": {"drop": None}})
    assert (merged.status, merged.json["version"], merged.headers["ETag"]) == (200, 2, '"2"')
    assert merged.json["content"] == {"limit": 2, "names": ["x", "y"], "deep": {"keep": True}}
    steps = [
        {"op": "test", "path": "/limit", "value": 2},
        {"op": "add", "path": "/names/-", "value": "z"},
        {"op": "move", "from": "/deep/keep", "path": "/kept"},
    ]
    stepped = await patch(admin, path, STEPS, steps, If_Match='"2"')
    assert stepped.json["content"] == {
        "limit": 2,
        "names": ["x", "y", "z"],
        "deep": {},
        "kept": True,
    }
    rehearsed = await patch(admin, f"{path}?dry_run=true", MERGE, {"limit": None})
    assert rehearsed.json["patch"] == [{"op": "remove", "path": "/limit"}]
    assert (rehearsed.json["version"], rehearsed.json["dry_run"]) == (4, True)
    assert (await admin("GET", path)).json["version"] == 3
    commented = await patch(admin, f"{path}?comment=why", MERGE, 7)
    assert (commented.json["content"], commented.json["version"]) == (7, 4)
    history = await admin("GET", f"{path}/revisions?limit=1")
    assert history.json["items"][0]["comment"] == "why"


async def test_a_bad_patch_is_told_what_and_where_and_changes_nothing(
    admin: Client, configs: str
) -> None:
    path = f"{configs}/a"
    await admin("PUT", path, json={"content": {"a": 1, "l": [1]}, "version": 0})
    add = {"op": "add", "path": "/b", "value": 2}
    double = [{"op": "copy", "from": "", "path": f"/{n:02}"} for n in range(40)]
    deep = [{"op": "add", "path": "", "value": []}]
    deep += [{"op": "add", "path": "/0" * n + "/0", "value": []} for n in range(150)]
    cases: list[tuple[Any, str, int | None]] = [
        ({}, "patch-failed", None),
        ([add, {"op": "test", "path": "/a", "value": True}], "patch-failed", 1),
        ([add, add, {"op": "remove", "path": "/missing"}], "patch-failed", 2),
        ([{"op": "replace", "path": "/l/7", "value": 1}], "patch-failed", 0),
        ([{"op": "add", "path": "/a/b", "value": 1}], "patch-failed", 0),
        ([{"op": "add", "path": "/l/x", "value": 1}], "patch-failed", 0),
        ([{"op": "add", "path": "b", "value": 1}], "patch-failed", 0),
        ([{"op": "frobnicate", "path": "/b"}], "patch-failed", 0),
        ([{"op": "add", "path": "/b"}], "patch-failed", 0),
        ([{"op": "add", "path": 7, "value": 1}], "patch-failed", 0),
        ([{"op": ["add"], "path": "/b", "value": 1}], "patch-failed", 0),
        ([{"op": "copy", "path": "/b"}], "patch-failed", 0),
        ([{"op": "copy", "path": "/b", "from": 7}], "patch-failed", 0),
        ([{"op": "move", "path": "/l/0", "from": "/l"}], "patch-failed", 0),
        ([{"op": "remove", "path": ""}], "patch-failed", 0),
        (["add"], "patch-failed", 0),
        ([None], "patch-failed", 0),
        (double, "patch-failed", 15),
        (deep, "not-i-json", None),
    ]
    for body, slug, index in cases:
        answer = await patch(admin, path, STEPS, body)
        assert (answer.status, answer.json["type"]) == (422, f"/problems/{slug}"), answer.body
        if slug == "patch-failed":
            assert answer.json["index"] == index, (body, answer.json)
    too_large = await patch(admin, path, MERGE, {"a": "x" * 262_144})
    assert too_large.status == 413
    assert (await patch(admin, path, "application/json", {})).status == 415
    assert (await patch(admin, path, MERGE, b'{"a": NaN}')).status == 422
    assert (await patch(admin, path, MERGE, {}, If_Match='"7"')).status == 409
    assert (await patch(admin, path, MERGE, {}, If_None_Match="*")).status == 400
    assert (await patch(admin, f"{configs}/none", MERGE, {})).status == 404
    assert (await admin("GET", path)).json["version"] == 1


async def test_a_step_holds_a_content_as_deep_as_a_put_takes(admin: Client, configs: str) -> None:
    path = f"{configs}/a"

    def nested(depth: int) -> bytes:
        return b"[" * depth + b"]" * depth

    await admin("PUT", path, json={"content": None, "version": 0})
    for depth, status in ((99, 200), (100, 422)):
        body = b'{"content": %b}' % nested(depth)
        headers = {"If-Match": "*", "Content-Type": "application/json"}
        assert (await admin("PUT", path, data=body, headers=headers)).status == status
        steps = b'[{"op": "add", "path": "", "value": %b}]' % nested(depth)
        assert (await patch(admin, path, STEPS, steps)).status == status
        assert (await patch(admin, path, MERGE, nested(depth))).status == status


async def test_patches_without_a_version_race_and_none_is_lost(
    service: Service, admin: Client, configs: str
) -> None:
    """Two processes, many patches at once: each meets the newest content."""
    path = f"{configs}/a"
    await admin("PUT", path, json={"content": {}, "version": 0})
    async with run_web(service.settings) as (_, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        answers = await asyncio.gather(
            *(
                patch((admin, other)[n % 2], path, MERGE, {f"n{n}": n})
                if n % 3
                else patch(
                    (admin, other)[n % 2],
                    path,
                    STEPS,
                    [{"op": "add", "path": f"/n{n}", "value": n}],
                    Idempotency_Key=f"k{n}",
                )
                for n in range(24)
            )
        )
        assert {answer.status for answer in answers} == {200}
        assert sorted(answer.json["version"] for answer in answers) == list(range(2, 26))
        read = await other("GET", f"{path}?consistency=linearizable")
        assert read.json["content"] == {f"n{n}": n for n in range(24)}
        again = await patch(
            other, path, STEPS, [{"op": "add", "path": "/n0", "value": 0}], Idempotency_Key="k0"
        )
        assert again.json == answers[0].json
        assert again.headers["Idempotency-Replayed"] == "true"
        raced = await asyncio.gather(
            *(patch(admin, path, MERGE, {"v": n}, If_Match='"25"') for n in range(4))
        )
        assert sorted(answer.status for answer in raced) == [200, 409, 409, 409]


async def test_a_patch_meets_what_was_acknowledged_elsewhere(
    service: Service, admin: Client, configs: str
) -> None:
    """A process whose read model is behind must not refuse a patch for what it has not seen."""
    async with run_web(service.settings) as (behind, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        model = behind[SERVICES].model
        for n in range(10):
            await admin("PUT", f"{configs}/c{n}", json={"content": {"a": n}, "version": 0})
            test = [{"op": "test", "path": "/a", "value": n}]
            answer = await patch(other, f"{configs}/c{n}", STEPS, test)
            assert answer.status == 200, (answer.body, model.position)


async def test_a_patch_that_others_overtake_until_its_time_is_over_may_be_sent_again(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever named no version is told of no version: that others were quicker passes by itself,
    so it is not what the request is answered with for ever."""
    path = f"{configs}/a"
    await admin("PUT", path, json={"content": {"n": 0}, "version": 0})
    writer = service.app[SERVICES].writer
    append, is_ours = writer._log.append, True

    async def overtaken(message_id: str, data: bytes, *, timeout: float) -> int:
        nonlocal is_ours
        if is_ours:
            is_ours = False
            version = (await admin("GET", path)).json["version"]
            await admin("PUT", path, json={"content": {"n": version}, "version": version})
            is_ours = True
        position = await append(message_id, data, timeout=timeout)
        await writer._model.wait_for(position)
        return position

    with monkeypatch.context() as patched:
        patched.setattr(writer._log, "append", overtaken)
        patched.setattr(writer, "_timeout_s", 0.0)
        refused = await patch(admin, path, MERGE, {"mine": 1}, Idempotency_Key="k")
    assert (refused.status, refused.json["type"]) == (503, "/problems/unavailable")
    assert "again and again" in refused.json["detail"]
    version = (await admin("GET", path)).json["version"]
    again = await patch(admin, path, MERGE, {"mine": 1}, Idempotency_Key="k")
    assert (again.status, again.json["version"]) == (200, version + 1)


async def test_a_patch_that_is_old_when_it_is_worked_out_until_its_time_is_over_may_be_sent_again(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{configs}/a"
    await admin("PUT", path, json={"content": {"n": 0}, "version": 0})
    writer = service.app[SERVICES].writer
    meet = writer._meet

    async def with_an_overtaken_plan(project_id: str, plan: Any, deadline: float) -> Any:
        async def overtaken() -> Any:
            planned = await plan()
            version = (await admin("GET", path)).json["version"]
            body = {"content": {"n": version}, "version": version}
            assert (await admin("PUT", path, json=body)).status == 200
            return planned

        if not callable(plan):
            return await meet(project_id, plan, deadline)
        return await meet(project_id, overtaken, 0.0)  # its time is over

    monkeypatch.setattr(writer, "_meet", with_an_overtaken_plan)
    refused = await patch(admin, path, MERGE, {"mine": 1})
    assert (refused.status, refused.json["type"]) == (503, "/problems/unavailable")
    assert "again and again" in refused.json["detail"]
    assert "mine" not in (await admin("GET", path)).json["content"]


@pytest.mark.parametrize("what", ["patch", "roll back"])
@pytest.mark.parametrize("when", ["in the log", "while it is worked out"])
async def test_a_change_for_a_version_that_lost_when_its_time_was_over_is_told_of_the_conflict(
    service: Service,
    admin: Client,
    configs: str,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    when: str,
) -> None:
    """It was a 503, and to send it again is of no use: versions never go back."""
    path = f"{configs}/a"
    for version in (0, 1):
        await admin("PUT", path, json={"content": {"n": version}, "version": version})
    writer = service.app[SERVICES].writer
    append, meet, is_ours = writer._log.append, writer._meet, True

    async def overtake() -> None:
        body = {"content": {"n": 2}, "version": 2}
        assert (await admin("PUT", path, json=body)).status == 200

    async def overtaken_in_the_log(message_id: str, data: bytes, *, timeout: float) -> int:
        nonlocal is_ours
        if is_ours:
            is_ours = False
            await overtake()
        position = await append(message_id, data, timeout=timeout)
        await writer._model.wait_for(position)
        return position

    async def overtaken_while_it_is_worked_out(
        project_id: str, changes: Any, deadline: float
    ) -> Any:
        async def work() -> Any:
            nonlocal is_ours
            planned = await changes()
            if is_ours:
                is_ours = False
                await overtake()
            return planned

        planned = callable(changes)
        return await meet(project_id, replace(changes, work=work) if planned else changes, 0.0)

    with monkeypatch.context() as patched:
        if when == "in the log":
            patched.setattr(writer._log, "append", overtaken_in_the_log)
            patched.setattr(writer, "_timeout_s", 0.0)
        else:
            patched.setattr(writer, "_meet", overtaken_while_it_is_worked_out)
        if what == "patch":
            refused = await patch(admin, path, MERGE, {"mine": 1}, If_Match='"2"')
        else:
            body = {"to_version": 1, "version": 2}
            refused = await admin("POST", f"{path}/rollback", json=body)
    assert not is_ours
    assert (refused.status, refused.json["type"]) == (409, "/problems/version-conflict")
    assert refused.json["current_version"] == 3


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        ({"op": "test", "path": "/a", "value": 2}, "there is another value than the one it tests"),
        ({"op": "test", "path": "/none", "value": 2}, "member 'none' is not there"),
        ({"op": "add", "path": "/none/x", "value": 2}, "member 'none' is not there"),
        ({"op": "replace", "path": "/none", "value": 2}, "can't replace a non-existent object"),
        ({"op": "copy", "from": "/none", "path": "/b"}, "member 'none' is not there"),
        ({"op": "add", "path": "/a/x/y", "value": 2}, "its path leads into what is no object or"),
        ("x", "must be an object"),
    ],
)
async def test_a_patch_that_fails_is_told_without_the_content(
    admin: Client, configs: str, step: object, detail: str
) -> None:
    body = {"content": {"a": 1, "secret": "hush"}, "version": 0}
    await admin("PUT", f"{configs}/k", json=body)
    headers = {"Content-Type": "application/json-patch+json"}
    answer = await admin("PATCH", f"{configs}/k", data=json.dumps([step]), headers=headers)
    assert answer.status == 422
    assert answer.json["detail"].startswith(f"operation 0: {detail}")
    assert b"hush" not in answer.body
    assert b"class" not in answer.body
