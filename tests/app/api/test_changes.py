"""Change sets through the public door: all or nothing, every conflict named, and what became
of one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from app.change_writer import ChangeWriter
from app.changes import Change, Committed, Plan
from app.services import SERVICES
from app.tables.changes import find_outcome
from domain.change_set import MAX_CHANGES, Actor
from domain.json_patch import CONTENT_DEPTH
from projections.read_model import Outcome
from tests.app.api.test_watch_ends import named_key
from tests.support.leaks import LogCollector
from tests.support.service import Client, Service, run_web


def put(key: str, content: Any, version: int = 0, **more: Any) -> dict[str, Any]:
    return {"op": "put", "key": key, "content": content, "version": version, **more}


def delete(key: str, version: int) -> dict[str, Any]:
    return {"op": "delete", "key": key, "version": version}


async def test_a_set_that_is_sent_escaped_is_as_large_as_it_is_stored(
    service: Service, admin: Client, configs: str
) -> None:
    """As Python's json.dumps sends it: three bytes for each that is stored."""
    project = configs.removesuffix("/configs")
    text = "\u0436" * 100_000
    changes = [put(f"k{n}", text) for n in range(15)]
    sent, headers = json.dumps({"changes": changes}), {"Content-Type": "application/json"}
    limit = service.app[SERVICES].log.max_entry_bytes
    assert len(sent) > limit
    answer = await admin("POST", f"{project}/changes", data=sent, headers=headers)
    assert answer.status == 200, answer.body
    assert (await admin("GET", f"{project}/configs/k14")).json["content"] == text
    # What is not escaped counts as ever.
    plain = json.dumps({"changes": changes, "comment": "x" * limit})
    refused = await admin("POST", f"{project}/changes", data=plain, headers=headers)
    assert (refused.status, refused.json["limit_bytes"]) == (413, limit)


async def test_a_change_set_is_applied_whole_and_rejected_whole(
    service: Service, admin: Client, configs: str
) -> None:
    project = configs.removesuffix("/configs")
    body = {"comment": "start", "changes": [put("a", 1), put("b", {"x": 1}), put("c", 3)]}
    rehearsed = await admin("POST", f"{project}/changes?dry_run=true", json=body)
    assert rehearsed.status == 200, rehearsed.body
    assert [(c["op"], c["key"], c["version"]) for c in rehearsed.json["changes"]] == [
        ("put", "a", 1),
        ("put", "b", 1),
        ("put", "c", 1),
    ]
    assert rehearsed.json["changes"][0]["patch"] == [{"op": "add", "path": "", "value": 1}]
    assert (await admin("GET", configs)).json["items"] == []

    done = await admin("POST", f"{project}/changes", json=body)
    assert done.status == 200, done.body
    assert done.json["position"] == int(done.headers["Guardian-Position"])
    assert [(c["key"], c["version"]) for c in done.json["changes"]] == [
        ("a", 1),
        ("b", 1),
        ("c", 1),
    ]
    status = await admin("GET", f"/v1/changes/{done.json['id']}")
    assert status.json == {
        "id": done.json["id"],
        "project_id": project.rpartition("/")[2],
        "position": done.json["position"],
        "status": "applied",
        "changes": done.json["changes"],
    }

    mixed = [put("a", 2, 1), delete("b", 1), put("d", 4), put("c", 5, 3), delete("gone", 1)]
    refused = await admin("POST", f"{project}/changes", json={"changes": mixed})
    assert (refused.status, refused.json["type"]) == (409, "/problems/version-conflict")
    assert refused.json["current_version"] == 1, "that of the first"
    assert refused.json["conflicts"] == [
        {"key": "c", "expected_version": 3, "current_version": 1, "deleted": False},
        {"key": "gone", "expected_version": 1, "current_version": 0, "deleted": False},
    ]
    rehearsed = await admin("POST", f"{project}/changes?dry_run=true", json={"changes": mixed})
    assert (rehearsed.status, len(rehearsed.json["conflicts"])) == (409, 2)
    again = await admin("POST", f"{project}/changes", json={"changes": mixed[:3]})
    assert again.status == 200
    assert [i["key"] for i in (await admin("GET", configs)).json["items"]] == ["a", "c", "d"]


async def test_of_two_hundred_configs_whose_last_conflicts_no_trace_remains(
    service: Service, admin: Client, configs: str
) -> None:
    """Also when only the rule of acceptance finds the conflict: the writer's own check, on its
    read model, is left out by making both change sets at the same moment."""
    project = configs.removesuffix("/configs")
    await admin("PUT", f"{configs}/k.199", json={"content": 0, "version": 0})

    def changes(n: int) -> list[dict[str, Any]]:
        return [put(f"k.{n}.{i:03}", i) for i in range(199)] + [put("k.199", n, 1)]

    answers = await asyncio.gather(
        *(admin("POST", f"{project}/changes", json={"changes": changes(n)}) for n in range(3))
    )
    statuses = [answer.status for answer in answers]
    assert sorted(statuses) == [200, 409, 409]
    winner = statuses.index(200)
    pool = service.app[SERVICES].pool
    rows = await pool.fetch("SELECT config_key, version FROM config_revisions")
    expected = {f"k.{winner}.{i:03}": 1 for i in range(199)} | {"k.199": 2}
    assert {row["config_key"]: row["version"] for row in rows if row["version"] > 1} == {"k.199": 2}
    assert {row["config_key"] for row in rows} == set(expected)
    assert len(rows) == 201
    rejected = await pool.fetch("SELECT change_id FROM rejected_changes")
    for row in rejected:
        status = (await admin("GET", f"/v1/changes/{row['change_id']}")).json
        assert (status["status"], status["conflicts"][0]["key"]) == ("rejected", "k.199")
    # A key with a prefix learns nothing of what it sees nothing of.
    beside = await named_key(service, configs, prefix="none.")
    applied = answers[winner].json["id"]
    for change_id in (applied, *(row["change_id"] for row in rejected)):
        status = (await beside("GET", f"/v1/changes/{change_id}")).json
        assert status == {"id": change_id, "status": "unknown"}
    assert await pool.fetchval("SELECT count(*) FROM configs") == 200


BAD: list[tuple[Any, str]] = [
    ([], "body"),
    ({}, "changes"),
    ({"changes": []}, "changes"),
    ({"changes": [1]}, "changes.0"),
    ({"changes": [put("a", 1), {"op": "move"}]}, "changes.1.op"),
    ({"changes": [put("a", 1), put("a", 2)]}, "changes"),
    ({"changes": [{"op": "put", "key": "a", "content": 1}]}, "changes.0.version"),
    ({"changes": [{"op": "put", "key": "a", "version": 0}]}, "changes.0.content"),
    ({"changes": [{"op": "delete", "key": "a", "version": 0}]}, "changes.0.version"),
    ({"changes": [delete("a", 1) | {"content": 1}]}, "changes.0.content"),
    ({"changes": [put(f"k{n}", n) for n in range(501)]}, "changes"),
    ({"changes": [put("a", 1)], "more": 1}, "more"),
]


async def test_a_bad_change_set_is_told_where(
    service: Service, admin: Client, configs: str
) -> None:
    path = configs.removesuffix("/configs") + "/changes"
    for body, parameter in BAD:
        answer = await admin("POST", path, json=body)
        assert (answer.status, answer.json["parameter"]) == (400, parameter), body
    # A content may be as deep here as in a PUT, and no deeper.
    deepest = json.loads("[" * CONTENT_DEPTH + "]" * CONTENT_DEPTH)
    for content, alone, in_set in ((deepest, 201, 200), ([deepest], 422, 422)):
        answer = await admin("PUT", f"{configs}/deep", json={"content": content, "version": 0})
        assert answer.status == alone
        answer = await admin("POST", path, json={"changes": [put("also", content)]})
        assert answer.status == in_set
    bad_key = await admin("POST", path, json={"changes": [put("a..b", 1)]})
    assert bad_key.json["type"] == "/problems/invalid-key"
    large = [put(f"k{n}", "x" * 260_000) for n in range(40)]
    too_large = await admin("POST", path, json={"changes": large})
    assert too_large.status == 413
    # More than a PUT may have in all, and no config too large: this is what a set is for.
    fine = await admin("POST", path, json={"changes": large[:5]})
    assert fine.status == 200, fine.body
    # What is written of it takes more than what was sent; a rehearsal says so, too.
    limit = service.app[SERVICES].log.max_entry_bytes
    padded = [put(f"p{n}", "x" * (limit // MAX_CHANGES - 100)) for n in range(MAX_CHANGES)]
    for query in ("", "?dry_run=true"):
        refused = await admin("POST", path + query, json={"changes": padded})
        assert refused.json["type"] == "/problems/change-set-too-large"
        assert (refused.status, refused.json["limit_bytes"]) == (413, limit)


async def test_a_change_is_known_to_those_who_may_read_its_project(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, key = await service.project(admin)
    _, other_key = await service.project(admin, "other")
    done = await admin("POST", f"{project}/changes", json={"changes": [put("a", 1)]})
    path = f"/v1/changes/{done.json['id']}"
    reader = service.anonymous.with_headers(**{"X-API-Key": key})
    assert (await reader("GET", path)).json["status"] == "applied"
    # What is recorded while the question is asked is told, too.
    look, looks = find_outcome, 0

    async def look_too_early(*asked: Any, **how: Any) -> Any:
        nonlocal looks
        looks += 1
        return None if looks == 1 else await look(*asked, **how)

    with monkeypatch.context() as patched:
        patched.setattr("app.api.changes.find_outcome", look_too_early)
        assert (await reader("GET", path)).json["status"] == "applied"
    stranger = service.anonymous.with_headers(**{"X-API-Key": other_key})
    unseen = await stranger("GET", path)
    assert unseen.json == {"id": done.json["id"], "status": "unknown"}
    nothing = await stranger("GET", "/v1/changes/nothing")
    assert nothing.json == {"id": "nothing", "status": "unknown"}
    assert (await service.anonymous("GET", path)).status == 401
    assert (await admin("GET", "/v1/changes/a%20b")).status == 400


async def test_a_change_without_an_outcome_is_pending_until_it_is_applied(
    service: Service, admin: Client, configs: str, logs: LogCollector
) -> None:
    """The projector stops, so that the log commits what nobody applies."""
    project_id = configs.split("/")[3]
    service.projector_task.cancel()
    await asyncio.gather(service.projector_task, return_exceptions=True)
    writer = service.app[SERVICES].writer
    writer._timeout_s = 0.7
    answer = await admin("PUT", f"{configs}/a", json={"content": 1, "version": 0})
    assert (answer.status, answer.json["change"]) == (202, "pending")
    (line,) = (line for line in logs.lines if line["event"] == "outcome_pending")
    assert line["change_id"] == answer.json["id"]
    assert line["awaited"].startswith("the projector, at ")
    path = answer.headers["Location"]
    assert path == f"/v1/changes/{answer.json['id']}"
    assert writer.pending.project_of(answer.json["id"]) == project_id
    # Who may not see the project is not told that anything is under way in it.
    _, stranger = await service.project(admin, "another")
    told = await service.anonymous("GET", path, headers={"X-API-Key": stranger})
    assert told.status == 503
    async with run_web(service.settings) as (_, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        asked = [asyncio.create_task(ask("GET", path)) for ask in (admin, other)]
        first = await asked[0]
        # The barrier cannot be reached either: this process knows of it, the other cannot say.
        assert first.json == {"id": answer.json["id"], "status": "pending"}
        assert (await asked[1]).status == 503
        projector = asyncio.create_task(service.projector.run())
        try:
            for ask in (admin, other):
                applied = await ask("GET", path)
                while applied.json["status"] == "pending":
                    applied = await ask("GET", path)
                assert applied.json["status"] == "applied"
        finally:
            projector.cancel()
            await asyncio.gather(projector, return_exceptions=True)


async def test_awaiting_the_same_change_twice_is_safe(service: Service) -> None:
    model = service.app[SERVICES].model
    first, second = model.expect("x"), model.expect("x")
    assert first is second
    model.forget("x", first)
    third = model.expect("x")
    assert third is first
    model.forget("x", second)
    model.forget("x", third)
    later = model.expect("x")
    assert later is not first
    model.forget("x", first)  # too late: must not take the later waiter's future away
    assert model.expect("x") is later


@pytest.mark.parametrize("attempts", [2, 8])
async def test_the_same_change_id_proposed_at_once_is_applied_once(
    service: Service, admin: Client, configs: str, attempts: int
) -> None:
    project_id = configs.split("/")[3]
    services = service.app[SERVICES]
    async with run_web(service.settings) as (other, _):
        writers = [services.writer, other[SERVICES].writer] * (attempts // 2)
        done = await asyncio.gather(
            *(
                writer.commit(
                    project_id,
                    [Change("a", 0, content=n)],
                    Actor(user_id=None, email="x@example.org"),
                    tenant="test",
                    ids=lambda attempt: f"fixed-{attempt}",
                )
                for n, writer in enumerate(writers)
            )
        )
    assert {committed.change_id for committed in done} == {"fixed-0"}
    assert len({committed.position for committed in done}) == 1
    assert len({committed.revisions[0].content for committed in done}) == 1
    assert await services.pool.fetchval("SELECT count(*) FROM config_revisions") == 1
    assert await services.pool.fetchval("SELECT count(*) FROM rejected_changes") == 0


@pytest.mark.parametrize("nothing_left", [False, True])
async def test_a_request_that_its_own_twin_overtook_is_not_a_conflict(
    service: Service, admin: Client, configs: str, nothing_left: bool
) -> None:
    """The twin is applied by another process right after this one looked for it; a plan (of a
    roll-back) finds all done by it then."""
    project_id = configs.split("/")[3]
    async with run_web(service.settings) as (other, _):
        writer, twin = service.app[SERVICES].writer, other[SERVICES].writer
        look, overtaken = writer._decided, False

        def commit(by: ChangeWriter) -> Awaitable[Committed]:
            change = Change("a", 0, content=1)

            async def plan() -> Sequence[Change]:
                return [] if by is writer else [change]

            changes: Sequence[Change] | Plan = plan if nothing_left else [change]
            return by.commit(
                project_id, changes, Actor(), tenant="test", ids=lambda attempt: f"id-{attempt}"
            )

        async def look_then_be_overtaken(change_id: str) -> Outcome | None:
            nonlocal overtaken
            found = await look(change_id)
            if not overtaken:
                overtaken = True
                committed = await commit(twin)
                await service.app[SERVICES].model.wait_for(committed.position, 5.0)
            return found

        writer._decided = look_then_be_overtaken  # type: ignore[method-assign]
        late = await commit(writer)
        assert overtaken
        assert late.revisions == (await commit(twin)).revisions
