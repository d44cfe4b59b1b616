"""Idempotency-Key: a write that is sent again is done once and answered as before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.changes import Committed
from app.services import SERVICES
from app.tables.idempotency import claim
from consensus.log import LogUnavailable
from domain.errors import Conflict, VersionConflict
from tests.app.api.test_projects import make_key
from tests.support.service import Answer, Client, Service, run_web


def keyed(key: str, **headers: str) -> dict[str, str]:
    return {"Idempotency-Key": key, **headers}


def _change(content: Any) -> dict[str, Any]:
    return {"changes": [{"op": "put", "key": "b", "content": content, "version": 0}]}


async def count(service: Service, table: str) -> Any:
    return await service.app[SERVICES].pool.fetchval(f"SELECT count(*) FROM {table}")


async def test_each_write_sent_again_answers_what_it_answered(
    service: Service, admin: Client, configs: str
) -> None:
    project = configs.removesuffix("/configs")
    writes: list[tuple[str, str, dict[str, Any], dict[str, str]]] = [
        ("PUT", f"{configs}/a", {"json": {"content": 1, "version": 0}}, {}),
        ("PUT", f"{configs}/a", {"json": {"content": 2}}, {"If-Match": "*"}),
        ("PUT", f"{configs}/a", {"json": {"content": 3, "version": 1}}, {}),  # 409
        ("DELETE", f"{configs}/a", {}, {"If-Match": '"2"'}),
        ("DELETE", f"{configs}/none", {}, {"If-Match": '"2"'}),  # 404
        (
            "POST",
            f"{project}/changes",
            {"json": {"changes": [{"op": "put", "key": "b", "content": 1, "version": 0}]}},
            {},
        ),
        ("PUT", f"{configs}/c", {"json": {"content": 1, "version": 0, "schema_id": "none"}}, {}),
        ("POST", f"{project}/changes", {"json": _change("x" * 270_000)}, {}),
    ]
    first = [
        await admin(method, path, **body, headers=keyed(f"k{n}", **headers))
        for n, (method, path, body, headers) in enumerate(writes)
    ]
    assert [answer.status for answer in first] == [201, 200, 409, 200, 404, 200, 422, 413]
    # What was a conflict would be accepted now; the answer under its key stays.
    revisions = await count(service, "config_revisions")
    async with run_web(service.settings) as (_, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        for n, (method, path, body, headers) in enumerate(writes):
            again = await other(method, path, **body, headers=keyed(f"k{n}", **headers))
            assert (again.status, again.body) == (first[n].status, first[n].body)
            for header in ("ETag", "Guardian-Position", "Location", "Content-Type"):
                assert again.headers.get(header) == first[n].headers.get(header)
            assert again.headers["Idempotency-Replayed"] == "true"
    assert await count(service, "config_revisions") == revisions


async def test_an_answer_that_was_kept_without_its_headers_is_given(
    service: Service, admin: Client, configs: str
) -> None:
    """By a release before migration 017, which made the place for them: it was a 500."""
    body = {"content": 1, "version": 0}
    first = await admin("PUT", f"{configs}/a", json=body, headers=keyed("k"))
    await service.app[SERVICES].pool.execute("UPDATE idempotency_keys SET headers = NULL")
    again = await admin("PUT", f"{configs}/a", json=body, headers=keyed("k"))
    assert (again.status, again.json) == (201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_used_key_with_another_request_is_refused(
    service: Service, admin: Client, configs: str
) -> None:
    path = f"{configs}/a"
    first = await admin("PUT", path, json={"content": 1, "version": 0}, headers=keyed("k"))
    assert first.status == 201
    others: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", path, {"json": {"content": 2, "version": 0}}),
        ("PUT", f"{configs}/b", {"json": {"content": 1, "version": 0}}),
        ("DELETE", path, {}),
    ]
    for method, where, body in others:
        headers = keyed("k", **({"If-Match": '"1"'} if method == "DELETE" else {}))
        answer = await admin(method, where, **body, headers=headers)
        assert (answer.status, answer.json["type"]) == (422, "/problems/idempotency-key-reused")
    bad = await admin("PUT", path, json={"content": 1, "version": 0}, headers=keyed("k" * 256))
    assert bad.status == 400
    # Another project's callers have keys of their own.
    elsewhere, _ = await service.project(admin, "other")
    body = {"content": 1, "version": 0}
    assert (
        await admin("PUT", f"{elsewhere}/configs/a", json=body, headers=keyed("k"))
    ).status == 201
    # To create is not to update, though all that is said of it is a star.
    longest = "k" * 255
    star = {"json": {"content": 1}, "headers": keyed(longest, **{"If-None-Match": "*"})}
    assert (await admin("PUT", f"{configs}/b", **star)).status == 201
    star["headers"] = keyed(longest, **{"If-Match": "*"})
    assert (await admin("PUT", f"{configs}/b", **star)).status == 422
    rehearsed = await admin("PUT", f"{path}?dry_run=true", json=body, headers=keyed("k2"))
    assert rehearsed.status == 409
    done = await admin("PUT", path, json={"content": 5, "version": 1}, headers=keyed("k2"))
    assert done.status == 200


@pytest.mark.parametrize(
    ("method", "where", "first", "other"),
    [
        ("PUT", "configs/a", {"json": {"content": 5}}, {"json": {"content": 6}}),
        (
            "PATCH",
            "configs/a",
            {"data": b'{"n":5}', "headers": {"Content-Type": "application/merge-patch+json"}},
            {"data": b'{"n":6}', "headers": {"Content-Type": "application/merge-patch+json"}},
        ),
        (
            "PATCH",
            "configs/a",
            {"data": b"[]", "headers": {"Content-Type": "application/merge-patch+json"}},
            {"data": b"[]", "headers": {"Content-Type": "application/json-patch+json"}},
        ),
        ("DELETE", "configs/a", {}, {"params": {"comment": "another"}}),
        ("DELETE", "configs/a", {}, {"headers": {"If-Match": '"2"'}}),
        ("POST", "changes", {"json": _change(5)}, {"json": _change(6)}),
        ("POST", "rollback", {"json": {"position": 0}}, {"json": {"position": 1}}),
        ("POST", "configs/a/rollback", {"json": {"to_version": 1}}, {"json": {"to_version": 2}}),
    ],
    ids=[
        "put",
        "patch",
        "patch type",
        "delete",
        "delete version",
        "changes",
        "rollback",
        "config rollback",
    ],
)
async def test_on_every_write_a_key_stands_for_one_request_with_its_body(
    service: Service,
    admin: Client,
    configs: str,
    method: str,
    where: str,
    first: dict[str, Any],
    other: dict[str, Any],
) -> None:
    """A change set under a used key was dropped and answered with the old one's answer: its body
    did not count."""
    for version in (0, 1):
        body = {"content": {"n": version}, "version": version}
        assert (await admin("PUT", f"{configs}/a", json=body)).status < 300
    path = f"{configs.removesuffix('configs')}{where}"

    def sent(request: dict[str, Any]) -> dict[str, Any]:
        return {**request, "headers": keyed("k", **{"If-Match": "*"} | request.get("headers", {}))}

    done = await admin(method, path, **sent(first))
    assert done.status == 200, done.body
    revisions = await count(service, "config_revisions")
    refused = await admin(method, path, **sent(other))
    assert (refused.status, refused.json["type"]) == (422, "/problems/idempotency-key-reused")
    again = await admin(method, path, **sent(first))
    assert (again.status, again.body) == (200, done.body)
    assert await count(service, "config_revisions") == revisions


@pytest.mark.parametrize("precondition", ['"1"', "*"])
async def test_the_same_request_at_two_processes_at_once_is_done_once(
    service: Service, admin: Client, configs: str, precondition: str
) -> None:
    path = f"{configs}/a"
    await admin("PUT", path, json={"content": 0, "version": 0})
    async with run_web(service.settings) as (_, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        for round_ in range(1, 8):
            match = precondition if precondition == "*" else f'"{round_}"'
            answers = await asyncio.gather(
                *(
                    ask(
                        "PUT",
                        path,
                        json={"content": round_},
                        headers=keyed(f"r{round_}", **{"If-Match": match}),
                    )
                    for ask in (admin, other, admin, other, other, admin)
                )
            )
            assert {answer.status for answer in answers} == {200}, answers
            assert len({answer.body for answer in answers}) == 1
            assert answers[0].json["version"] == round_ + 1
    assert await count(service, "config_revisions") == 8


async def test_a_retry_finds_the_change_that_was_applied_while_nobody_could_say_so(
    service: Service, admin: Client, configs: str
) -> None:
    """The answer of the first attempt is lost (202, nothing kept); the change is not."""
    path, body = f"{configs}/a", {"content": 1, "version": 0}
    service.projector_task.cancel()
    await asyncio.gather(service.projector_task, return_exceptions=True)
    writer = service.app[SERVICES].writer
    writer._timeout_s = 0.7
    first = await admin("PUT", path, json=body, headers=keyed("k"))
    assert first.status == 202
    twice = await admin("PUT", path, json=body, headers=keyed("k"))
    assert (twice.status, twice.json["id"]) == (202, first.json["id"])
    writer._timeout_s = 10.0
    projector = asyncio.create_task(service.projector.run())
    try:
        done = await admin("PUT", path, json=body, headers=keyed("k"))
        assert (done.status, done.json["version"]) == (201, 1)
        again = await admin("PUT", path, json=body, headers=keyed("k"))
        assert (again.status, again.body) == (done.status, done.body)
        assert await count(service, "config_revisions") == 1
        # Kept answers are forgotten one day; the change's id still finds what became of it.
        await service.app[SERVICES].pool.execute("DELETE FROM idempotency_keys")
        found = await admin("PUT", path, json=body, headers=keyed("k"))
        assert (found.status, found.body) == (done.status, done.body)
        assert await count(service, "config_revisions") == 1
    finally:
        projector.cancel()
        await asyncio.gather(projector, return_exceptions=True)


async def test_what_the_log_decided_is_answered_while_it_takes_nothing_more(
    service: Service, admin: Client, configs: str
) -> None:
    """The answer of the first attempt is lost, and then the quorum."""
    path, services = f"{configs}/a", service.app[SERVICES]
    await admin("PUT", path, json={"content": 0, "version": 0})
    request = {"json": {"content": 1}, "headers": keyed("k", **{"If-Match": "*"})}
    first = await admin("PUT", path, **request)
    assert first.status == 200
    await services.pool.execute("DELETE FROM idempotency_keys")

    async def refused(*_: Any, **__: Any) -> int:
        raise LogUnavailable("no leader")

    services.log.append = refused  # type: ignore[method-assign]
    again = await admin("PUT", path, **request)
    assert (again.status, again.body) == (200, first.body)
    other = await admin("PUT", path, json={"content": 2}, headers=keyed("k2", **{"If-Match": "*"}))
    assert (other.status, other.headers["Retry-After"]) == (503, "2")
    assert other.json["detail"] == "no quorum of the log: no leader; nothing was changed"
    assert not services.model._outcomes, "nobody waits for what was not done"


async def test_a_key_is_its_callers_and_stands_for_nothing_once_it_is_forgotten(
    service: Service, admin: Client, configs: str
) -> None:
    """The same body each time: whoever else sends it means another change."""
    project = configs.removesuffix("/configs")
    ann = await service.user(admin, "ann")
    ann_id = (await ann("GET", "/v1/me")).json["id"]
    await admin("PUT", f"{project}/roles/{ann_id}", json={"role_level": "editor"})
    keys = [await make_key(admin, project, name, role_level="editor") for name in ("x", "y")]
    await admin("PUT", f"{configs}/a", json={"content": 0, "version": 0})

    async def version(caller: Client, key: str, content: int = 1) -> int:
        headers = keyed(key, **{"If-Match": "*"})
        answer = await caller("PUT", f"{configs}/a", json={"content": content}, headers=headers)
        assert answer.status == 200, answer.body
        assert answer.json["content"] == content
        return int(answer.json["version"])

    assert [await version(caller, "k") for caller in (admin, ann, *keys)] == [2, 3, 4, 5]
    assert await version(admin, "another") == 6
    await service.app[SERVICES].pool.execute("DELETE FROM idempotency_keys")
    assert await version(admin, "k", content=2) == 7
    # Of changes at the same moment the log takes one; each of the others is tried again by itself.
    at_once = [version(caller, "together", content=3) for caller in (admin, ann, *keys) * 2]
    assert sorted(await asyncio.gather(*at_once)) == [8, 8, 9, 9, 10, 10, 11, 11]


async def test_a_change_is_told_also_where_its_answer_cannot_be_kept(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    request = {"json": {"content": 1, "version": 0}, "headers": keyed("k")}
    with monkeypatch.context() as patched:
        patched.setattr("app.api.idempotency.remember", away)
        first = await admin("PUT", f"{configs}/a", **request)
    again = await admin("PUT", f"{configs}/a", **request)
    assert (first.status, again.status, again.body) == (201, 201, first.body)


async def test_what_the_log_decided_is_kept_whoever_answers_first(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes may have one request at the same moment, and one refuses what it sees of the
    other's change."""
    writer = service.app[SERVICES].writer
    early = VersionConflict([Conflict("a", 0, 1, False)])
    rejected = VersionConflict([Conflict("a", 0, 2, False)], decided=True)

    async def unanswered(*request: Any) -> tuple[str, None]:
        return (await claim(*request))[0], None

    async def answer(to: dict[str, Any], error: VersionConflict | None = None) -> Answer:
        async def refuse(*_: Any, **__: Any) -> Committed:
            assert error is not None
            raise error

        with monkeypatch.context() as patched:
            patched.setattr("app.api.idempotency.claim", unanswered)
            if error is not None:
                patched.setattr(writer, "commit", refuse)
            return await admin(**to)

    orders: list[list[VersionConflict | None]] = [
        [early, None],
        [None, early],
        [early, rejected],
        [rejected, early],
    ]
    for n, outcomes in enumerate(orders):
        to: dict[str, Any] = {
            "method": "PUT",
            "path": f"{configs}/k{n}",
            "json": {"content": 1, "version": 0},
            "headers": keyed(f"k{n}"),
        }
        answers = [await answer(to, error) for error in outcomes]
        kept = await admin(**to)
        assert kept.body == answers[1 - outcomes.index(early)].body, n
