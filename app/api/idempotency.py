"""`Idempotency-Key`: a write that is sent again is done once and answered as before.

A change of configs is safe by the id of its change set: it follows from the project, the caller,
the key and the request, so the log and the projector see that two are one, also when two processes
get the same request at the same moment. The table only keeps the answers.

What is made outside of the log: key and thing are written in one transaction. Must never keep a
secret: where an answer showed one, the second is refused and says what was made.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable

import asyncpg
import structlog
from aiohttp import web

from app.access.principal import Principal, User
from app.api.access import Access
from app.api.errors import PROBLEMS, problem_response
from app.api.requests import BODY, header_of
from app.changes import ChangeIds
from app.errors import Duplicate, IdempotencyKeyReused, InvalidParameter
from app.services import SERVICES
from app.tables import creations
from app.tables.idempotency import Answered, Name, claim, remember
from domain.errors import VersionConflict
from projections.database import DATABASE_AWAY
from projections.revisions import Connection

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NAMESPACE = uuid.UUID("6f6a4c1e-4a38-5d4c-9d0a-0f6b8d1c7e52")
_KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Guardian-Position")
_PRECONDITIONS = ("If-Match", "If-None-Match", "Content-Type")
_FINAL_REFUSALS = (404, 409, 413, 422)
"""Sent again, these get the same answer; whatever may pass by itself (503, 202) is tried again."""

Create = Callable[["asyncpg.Pool | Connection"], Awaitable[web.Response]]
"""Makes one thing in the database, and gives the answer."""
Write = Callable[[ChangeIds | None], Awaitable[tuple[web.Response, bool]]]
"""Gives the answer, and whether the log decided it."""
logger = structlog.get_logger(__name__)


async def once(request: web.Request, access: Access, write: Write) -> web.Response:
    """The answer of `write`, or what it answered when this request was sent before.

    Raises what `write` raises, IdempotencyKeyReused, InvalidParameter.
    """
    key = _key_of(request)
    if key is None:
        return (await write(None))[0]
    services = request.app[SERVICES]
    name = Name(access.project_id, _caller(access.principal), key)
    digest = _digest(request)
    ids = _ids(name, digest)
    async with services.turns.of(name):
        first, answered = await claim(services.pool, name, digest, ids(0))
        _require_same(key, first, digest)
        if answered is not None:
            return web.Response(
                status=answered.status,
                body=answered.body,
                headers={**answered.headers, REPLAYED: "true"},
            )
        response, decided = await _answer(request, write, ids)
        await _keep(services.pool, name, response, decided)
        return response


async def create_once(
    request: web.Request, user: User, create: Create, *, shows_secret: bool = False
) -> web.Response:
    """The answer of `create`, or what it answered when this request was sent before.

    A refusal is not kept: sent again, the request is tried again. Raises what `create` raises,
    IdempotencyKeyReused, InvalidParameter; Duplicate for an answer that showed a secret.
    """
    services, key = request.app[SERVICES], _key_of(request)
    if key is None:
        return await create(services.pool)
    digest = _digest(request)
    # Who waits for their turn holds no connection.
    async with (
        services.turns.of(Name("", _caller(user), key)),
        services.pool.acquire() as connection,
        connection.transaction(),
    ):
        made = await creations.claim(connection, user.user_id, key, digest)
        if made is not None:
            _require_same(key, made.request_digest, digest)
            return _again(made)
        response = await create(connection)
        body = response.body
        assert isinstance(body, bytes)
        kept = creations.Made(
            digest, response.status, _kept_headers(response), None if shows_secret else body
        )
        await creations.remember(connection, user.user_id, key, kept)
        return response


def _again(made: creations.Made) -> web.Response:
    if made.body is None:
        what = f" and made {made.headers['Location']}" if "Location" in made.headers else ""
        raise Duplicate(
            f"this was done before, under the same {HEADER}{what}; the key was shown that once and"
            " is kept nowhere: POST …/api-key makes another one"
        )
    headers = {**made.headers, REPLAYED: "true"}
    return web.Response(status=made.status, body=made.body, headers=headers)


def _key_of(request: web.Request) -> str | None:
    key = header_of(request, HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidParameter(HEADER, "must have 1 to 255 visible ASCII characters")
    return key


def _require_same(key: str, first: str, digest: str) -> None:
    if first != digest:
        raise IdempotencyKeyReused(
            f"{HEADER} {key!r} was sent before with another request; use a new one"
        )


def _kept_headers(response: web.Response) -> dict[str, str]:
    found = response.headers
    return {header: found[header] for header in _KEPT_HEADERS if header in found}


async def _answer(request: web.Request, write: Write, ids: ChangeIds) -> tuple[web.Response, bool]:
    try:
        return await write(ids)
    except Exception as error:
        problem = PROBLEMS.get(type(error))
        if problem is None or problem.status not in _FINAL_REFUSALS:
            raise
        decided = isinstance(error, VersionConflict) and error.decided
        return problem_response(request, problem, str(error), error), decided


async def _keep(pool: asyncpg.Pool, name: Name, response: web.Response, decided: bool) -> None:
    body = response.body
    assert isinstance(body, bytes)
    answered = Answered(response.status, _kept_headers(response), body)
    try:
        await remember(pool, name, answered, decided=decided)
    except DATABASE_AWAY as error:
        # The change is made and its caller is told; sent again, its id finds the outcome.
        logger.warning("answer_not_kept", error=repr(error))


def _caller(principal: Principal) -> str:
    if isinstance(principal, User):
        return f"user:{principal.user_id}"
    return f"key:{principal.key_id}"


def _digest(request: web.Request) -> str:
    """SHA-256 over all that makes the request; each part is preceded by its length.

    Only a DELETE has no body. Any other write that did not leave its body is a bug (KeyError):
    without it, another change under the same key would be taken for this one.
    """
    parts = [request.method, request.path, request.query_string]
    parts += [header_of(request, header) or "" for header in _PRECONDITIONS]
    digest = hashlib.sha256()
    body = b"" if request.method == "DELETE" else request[BODY]
    # A header may hold any byte.
    for part in (*(text.encode(errors="surrogateescape") for text in parts), body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _ids(name: Name, digest: str) -> ChangeIds:
    """The ids of a request's attempts. With the digest, because kept answers are forgotten one
    day: then the key may be used for something else, and must not find the old change."""
    stem = "\0".join((name.project_id, name.caller, name.key, digest))
    return lambda attempt: str(uuid.uuid5(_NAMESPACE, f"{stem}\0{attempt}"))
